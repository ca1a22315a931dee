//! A process among others that share a log: it has a lease, knows who has the log, and takes it over when it is its turn.
//!
//! | file | what it does |
//! | --- | --- |
//! | `rules.rs` | who may claim, who waits, until when an owner may be read: pure |
//! | `record.rs` | what stands in the bucket |
//! | `bucket.rs` | reads and writes it |
//!
//! A task renews the lease, reads the bucket behind each renewal, and tells the rules; whoever has a [`Membership`] waits for what they
//! say. It has a connection and a thread of its own, so that neither a large append nor a busy engine keeps it.
//!
//! A process that loses what it had ends, and is started again: it stands by then. There is no way back within a life.

mod bucket;
mod record;
mod rules;

use core::fmt;
use core::time::Duration;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use self::bucket::{Bucket, Former, Renewed};
use self::record::{Boot, Form, NodeRecord};
use self::rules::{CLOCK_APART_MAX, HURRY_EVERY, NoTurn, RENEW_EVERY, Rules, Stage, Tip, Turn};
use super::claim::{self, Claimed, Claimer, Claiming};
use super::lost::Lost;
use super::member::{NodeConfig, Standing};
use super::names::LANE;
use super::refused::LogRefused;
use super::session::Session;
use super::settings::StreamConfig;
use crate::cluster::{Moment, Owner, Reads, View};
use crate::random;

/// The pause before a renewal that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// How long a claim waits for a picture that is newer than the log's last frame.
const FRESH_WITHIN: Duration = Duration::from_secs(2);
/// How long a process that ends waits until the others can know.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// See the module. Clones are the same process.
#[derive(Clone)]
pub struct Membership(Arc<Shared>);

struct Shared {
    rules: Mutex<Rules>,
    boot: u128,
    reads: Reads,
    view: watch::Sender<View>,
    /// When the last renewal was sent whose picture came; sent again at each turn.
    turns: watch::Sender<Option<Moment>>,
    /// Asks for the next turn now.
    next: Notify,
    /// Whether the others have been told that this process ends.
    has_left: watch::Sender<bool>,
    session: Arc<Session>,
    claiming: Mutex<Option<Claiming>>,
}

impl fmt::Debug for Membership {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Membership").field("view", &*self.0.view.borrow()).finish_non_exhaustive()
    }
}

fn held<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Membership {
    /// Checks how everything is set up, and stands by from then on. Blocks, for up to two seconds where the node's last process may be
    /// alive.
    ///
    /// # Errors
    /// As of [`Journal::open`](crate::journal::Journal::open), and when another process is the node of this name.
    pub fn begin(dir: &Path, stream: &StreamConfig, node: NodeConfig) -> Result<Self, LogRefused> {
        let claiming = Claiming::prepare(dir, stream)?;
        let identity = claiming.identity()?;
        let settings = claiming.leases(identity.log_id)?;
        let session = claiming.connect_beside()?;

        let NodeConfig { address, version, settings: own, clock } = node;
        let boot = u128::from_le_bytes(random::bytes());
        let form = Form { version, formats: claim::formats(), settings: own };
        let me = NodeRecord {
            node: stream.node.clone(),
            boot: Boot(boot),
            address,
            form,
            draining: false,
            left: false,
            holds: std::collections::BTreeMap::new(),
        };
        let mut bucket = Bucket {
            session: Arc::clone(&session),
            names: claiming.names.clone(),
            settings,
            clock,
            node: me.node.clone(),
            boot: me.boot,
            own: 0,
        };

        let (stream, record) = (claiming.names.live.clone(), me.clone());
        let (joined, bucket) = session.block(async move { (join(&mut bucket, &record).await, bucket) });
        let is_former_over = match joined {
            Ok(Former::Alive(NodeRecord { node, address, .. })) => {
                return Err(LogRefused::NameTaken { node, address });
            }
            Ok(former) => matches!(former, Former::Over),
            Err(what) => return Err(LogRefused::Stream { stream, what }),
        };

        let rules = Rules::new(me, LANE, is_former_over);
        let shared = Arc::new(Shared {
            view: watch::Sender::new(rules.view(Moment::now())),
            rules: Mutex::new(rules),
            boot,
            reads: Reads::none(),
            turns: watch::Sender::new(None),
            next: Notify::new(),
            has_left: watch::Sender::new(false),
            session: Arc::clone(&session),
            claiming: Mutex::new(Some(claiming)),
        });
        session.spawn(keep(Arc::clone(&shared), bucket));
        Ok(Self(shared))
    }

    /// Follows the cluster as this process sees it.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<View> {
        self.0.view.subscribe()
    }

    /// Returns until when this process may answer reads.
    #[must_use]
    pub fn reads(&self) -> Reads {
        self.0.reads.clone()
    }

    /// Says how it stands, for metrics.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let rules = held(&self.0.rules);
        let now = Moment::now();
        let view = self.0.view.borrow();
        Standing {
            serves: matches!(rules.stage(), Stage::Serves { .. }),
            epoch: view.epoch,
            lease_age: rules.renewed().map(|sent| now.since(sent)),
            clock_apart: rules.clock_apart(),
            alive: view.members.iter().filter(|member| member.is_alive).count(),
            known: view.members.len(),
            has_owner: view.owner != Owner::Nobody,
        }
    }

    /// Waits until it is this process's turn to take the log over. Whoever opens the journal then may be late all the same.
    ///
    /// # Errors
    /// When it gets nothing any more.
    pub async fn turn(&self) -> Result<(), Lost> {
        self.when(|rules, now| matches!(rules.turn(now), Turn::From(from) if from <= now)).await
    }

    /// Waits until no owner before this one answers any more, once the journal is open.
    ///
    /// # Errors
    /// When what it claimed is another's meanwhile.
    pub async fn waited(&self) -> Result<(), Lost> {
        self.when(Rules::may_serve).await
    }

    /// Waits until this process has lost what it had, or can't get anything.
    pub async fn lost(&self) -> Lost {
        match self.when(|_, _| false).await {
            Ok(()) => core::future::pending().await,
            Err(lost) => lost,
        }
    }

    /// Returns why this process has lost what it had, if it has.
    #[must_use]
    pub fn has_lost(&self) -> Option<Lost> {
        held(&self.0.rules).lost().cloned()
    }

    /// Says that it serves from now on: its answers count, and the others hand their requests to it.
    pub fn serve(&self) {
        let now = Moment::now();
        let mut rules = held(&self.0.rules);
        rules.serve(now);
        self.0.follow(&rules, now);
        drop(rules);
        self.0.next.notify_one();
    }

    /// Says that it is about to let go what it has: it claims nothing any more.
    pub fn drain(&self) {
        held(&self.0.rules).drain();
        self.0.next.notify_one();
    }

    /// Lets everything go, so that another one takes over at once. To be called when nothing is answered any more and nothing is
    /// under way.
    pub async fn leave(&self) {
        self.0.reads.end();
        let mut has_left = self.0.has_left.subscribe();
        held(&self.0.rules).release();
        self.0.next.notify_one();
        // Where the servers are away, the others find it out by its silence.
        let _ = tokio::time::timeout(LEAVE_WITHIN, has_left.wait_for(|left| *left)).await;
    }

    /// Takes the log over, if it still is this process's turn. Blocks.
    pub(in crate::journal) fn claim(&self) -> Result<Claimed, LogRefused> {
        let mut claiming = held(&self.0.claiming);
        let begun = claiming.as_ref().expect("a process claims once").begin(&self.0)?;
        claiming.take().expect("it is held").finish(begun)
    }

    /// Waits until something is so.
    async fn when(&self, is_so: impl Fn(&Rules, Moment) -> bool) -> Result<(), Lost> {
        let mut turns = self.0.turns.subscribe();
        loop {
            {
                let rules = held(&self.0.rules);
                if let Some(lost) = rules.lost() {
                    return Err(lost.clone());
                }
                if is_so(&rules, Moment::now()) {
                    return Ok(());
                }
            }
            // The sender is in what this process has.
            let _ = turns.changed().await;
        }
    }
}

/// Finds out whether the node's name is free, and writes the first record.
async fn join(bucket: &mut Bucket, record: &NodeRecord) -> Result<Former, String> {
    let former = bucket.watch_name().await?;
    if matches!(former, Former::Alive(_)) {
        return Ok(former);
    }
    match bucket.renew(record).await {
        Renewed::There | Renewed::Unknown(_) => Ok(former),
        Renewed::Forgotten => Ok(Former::Unknown),
        Renewed::NameTaken(other) => Ok(Former::Alive(other)),
    }
}

/// Renews the lease until the process ends or has nothing any more.
async fn keep(shared: Arc<Shared>, mut bucket: Bucket) {
    let mut said = Said::default();
    loop {
        let began = Moment::now();
        let pause = shared.take_turn(&mut bucket).await;

        let (is_over, wakes_at) = {
            let (rules, now) = (held(&shared.rules), Moment::now());
            said.tell(&rules, now);
            shared.follow(&rules, now);
            let is_over = match rules.stage() {
                Stage::Over(_) => true,
                // Once nothing is left to be told.
                Stage::Released { .. } => pause == RENEW_EVERY,
                Stage::StandsBy | Stage::Claims { .. } | Stage::Serves { .. } => false,
            };
            (is_over, rules.wakes_at(now))
        };
        if is_over {
            break;
        }
        let next = began + pause;
        let next = wakes_at.map_or(next, |wake| wake.min(next));
        tokio::select! {
            () = tokio::time::sleep(next.since(Moment::now())) => {}
            () = shared.next.notified() => {}
        }
    }
    // The last word, if it isn't said yet: whoever has the name now is left alone.
    let record = held(&shared.rules).record();
    let _ = bucket.renew(&record).await;
    shared.has_left.send_replace(true);
}

impl Shared {
    /// Renews the lease once, and learns what there is to learn; returns the pause until the next time.
    async fn take_turn(&self, bucket: &mut Bucket) -> Duration {
        let record = held(&self.rules).record();
        let (sent, wall) = (Moment::now(), (bucket.clock)());
        let failed = |why: String| {
            tracing::debug!(%why, "the lease isn't renewed");
            RETRY_AFTER
        };
        let mut pause = match bucket.renew(&record).await {
            Renewed::There => match bucket.look(sent, wall).await {
                Ok(picture) => {
                    held(&self.rules).see(picture);
                    RENEW_EVERY
                }
                Err(why) => failed(why),
            },
            Renewed::Forgotten => {
                held(&self.rules).forgotten();
                Duration::ZERO
            }
            Renewed::NameTaken(other) => {
                held(&self.rules).name_taken(other.address);
                Duration::ZERO
            }
            Renewed::Unknown(why) => failed(why),
        };

        let (wanted, hurries, outdated) = {
            let rules = held(&self.rules);
            let outdated = rules.outdated(Moment::now());
            let outdated = outdated.map(|(node, sequence)| (node.to_owned(), sequence));
            (rules.wanted_hint(), rules.hurries(), outdated)
        };
        if let Some((node, sequence)) = outdated {
            bucket.forget(&node, sequence).await;
        }
        if let Some((last, hint)) = wanted {
            // It counts once it is delivered back.
            pause = if bucket.put_hint(last, &hint).await { Duration::ZERO } else { pause.min(RETRY_AFTER) };
        } else if hurries {
            pause = pause.min(HURRY_EVERY);
        }
        pause
    }

    /// Shows what the rules say.
    fn follow(&self, rules: &Rules, now: Moment) {
        match rules.stage() {
            Stage::Over(_) | Stage::Released { .. } => self.reads.end(),
            Stage::StandsBy | Stage::Claims { .. } | Stage::Serves { .. } => {
                if let Some(until) = rules.reads_until() {
                    self.reads.extend(until);
                }
            }
        }
        let view = rules.view(now);
        self.view.send_if_modified(|known| {
            let is_news = *known != view;
            *known = view;
            is_news
        });
        self.turns.send_replace(rules.renewed());
    }

    /// Runs a future to its end, on the leases' own thread; `false` if it takes too long.
    fn wait(
        self: &Arc<Self>,
        within: Option<Duration>,
        is_so: impl Fn(&Rules, Option<Moment>) -> bool + Send + Sync + 'static,
    ) -> bool {
        let shared = Arc::clone(self);
        self.session.block(async move {
            let mut turns = shared.turns.subscribe();
            shared.next.notify_one();
            let all = async {
                while !is_so(&held(&shared.rules), *turns.borrow_and_update()) {
                    let _ = turns.changed().await;
                }
            };
            if let Some(within) = within {
                return tokio::time::timeout(within, all).await.is_ok();
            }
            all.await;
            true
        })
    }
}

impl Claimer for Arc<Shared> {
    fn boot(&self) -> u128 {
        self.boot
    }

    fn may_begin(&self, epoch: u64, author: Option<(&str, u128)>) -> bool {
        let asked = Moment::now();
        self.wait(Some(FRESH_WITHIN), move |_, sent| sent.is_some_and(|sent| sent >= asked));
        let tip = Tip { epoch, author: author.map(|(node, boot)| (node.to_owned(), boot)) };
        let (mut rules, now) = (held(&self.rules), Moment::now());
        let may = rules.may_begin(&tip, asked, now);
        if !may {
            rules.was_late(now);
        }
        may
    }

    fn has_begun(&self, epoch: u64) -> Result<(), Lost> {
        held(&self.rules).claimed(epoch);
        self.wait(None, |rules, _| {
            matches!(
                rules.stage(),
                Stage::Claims { until: Some(_), .. } | Stage::Over(_) | Stage::Released { .. }
            )
        });
        held(&self.rules).lost().cloned().map_or(Ok(()), Err)
    }

    fn insists(&self) -> bool {
        false
    }
}

/// What was logged last, so that each transition is said once.
#[derive(Default)]
struct Said {
    owner: Option<Owner>,
    stage: Option<core::mem::Discriminant<Stage>>,
    no_turn: Option<core::mem::Discriminant<NoTurn>>,
}

impl Said {
    fn tell(&mut self, rules: &Rules, now: Moment) {
        let stage = core::mem::discriminant(rules.stage());
        if self.stage.replace(stage) != Some(stage) {
            match rules.stage() {
                Stage::StandsBy => {}
                Stage::Claims { epoch, .. } => tracing::info!(epoch, "takes the log over"),
                Stage::Serves { epoch, .. } => tracing::info!(epoch, "has the log, and serves"),
                Stage::Released { epoch } => tracing::info!(epoch, "leaves the cluster"),
                Stage::Over(lost) => tracing::error!(%lost, "this process has nothing any more, and ends"),
            }
        }

        let owner = rules.view(now).owner;
        if *rules.stage() == Stage::StandsBy && self.owner.as_ref() != Some(&owner) {
            match &owner {
                Owner::Peer { node, address } => {
                    tracing::info!(node, address, "stands by: this node has the log");
                }
                Owner::Nobody if self.owner.is_some() => {
                    tracing::warn!("nobody has the log: it is about to be taken over");
                }
                Owner::Nobody | Owner::Me => {}
            }
        }
        self.owner = Some(owner);

        let no_turn = match rules.turn(now) {
            Turn::No(why @ (NoTurn::Clock(_) | NoTurn::Differs(_) | NoTurn::NoLease)) => Some(why),
            Turn::No(NoTurn::NotStandingBy) | Turn::From(_) => None,
        };
        let kind = no_turn.as_ref().map(core::mem::discriminant);
        if self.no_turn == kind {
            return;
        }
        self.no_turn = kind;
        match no_turn {
            Some(NoTurn::Clock(apart)) => tracing::error!(
                ?apart,
                "takes nothing over: its clock is more than {CLOCK_APART_MAX:?} from the log's servers'. Set it, and start this process again"
            ),
            Some(NoTurn::Differs(what)) => tracing::warn!(
                "takes nothing over while another node can: {what} differ from those of the node that has the log, or had it last"
            ),
            Some(NoTurn::NoLease) => tracing::warn!("takes nothing over: its lease can't be renewed"),
            Some(NoTurn::NotStandingBy) | None => {}
        }
    }
}
