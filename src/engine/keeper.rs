//! The actor of an aggregate that time alone doesn't change: decide → apply → append, and its published side.
//!
//! Accounts, payments and users are such. It runs ahead of the durable state, parks its replies, and recovers as a schedule's
//! actor does; see `schedule_actor`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, Weak};

use kameo::actor::{Actor, ActorRef, Spawn, WeakActorRef};
use kameo::error::{ActorStopReason, PanicError};
use kameo::mailbox;
use kameo::message::{Context, Message};
use kameo::reply::DelegatedReply;
use kameo::supervision::RestartPolicy;
use tokio::sync::watch;

use super::catalogue_actor::{RESTART_WINDOW, RESTARTS_MAX, Supervisor, from_send_error};
use super::error::EngineError;
use super::parking::{Gone, Parked};
use super::seal::Seal;
use super::shared::Shared;
use crate::domain::cause::Cause;
use crate::domain::keys::{KeyFound, KeyUse};
use crate::domain::time::Timestamp;
use crate::journal::{EntryTooLarge, Records};

/// An aggregate that a [`Keeper`] can keep.
pub(super) trait Aggregate: Clone + Send + Sync + 'static {
    /// What may be asked.
    type Command: Send + 'static;
    /// What may happen.
    type Event: Clone + Send + Sync + 'static;
    /// What is answered.
    type Answer: Clone + Send + 'static;

    fn version(&self) -> u64;
    fn last_instant(&self) -> Timestamp;
    fn name(command: &Self::Command) -> &'static str;
    /// Looks a key up; the answer as it is given now.
    fn find(&self, key: KeyUse, now: Timestamp) -> Option<Found<Self::Answer>>;
    fn decide(&self, command: &Self::Command) -> Result<Option<Self::Event>, EngineError>;
    fn apply(&mut self, event: &Self::Event, at: Timestamp, key: Option<KeyUse>);
    /// Hides the number of what an event makes, where it makes something that has an id.
    fn seal(&self, event: &mut Self::Event, seal: &Seal);
    /// The event that keeps the key of a command that changes nothing.
    fn kept(&self, command: &Self::Command) -> Self::Event;
    fn answer(&self, event: &Self::Event) -> Self::Answer;
    fn encode(&self, bytes: &mut Vec<u8>, version: u64, at: Timestamp, cause: Cause, event: &Self::Event);
    /// Starts what follows from an event that has just become durable (E1). Runs on the journal's writer, once the event is shown
    /// and before its reply is given: it may start a task, and waits for nothing.
    fn follow(entry: &Kept<Self>, event: &Self::Event, shared: &Arc<Shared>);
}

/// What a look at the keys finds.
pub(super) enum Found<A> {
    /// The key's effect, with the stream's version at it, and the answer.
    Answered(u64, A),
    /// It had an effect with another body.
    Reused,
}

impl<A> Found<A> {
    pub(super) fn of<K>(found: &KeyFound<'_, K>, answer: impl FnOnce(&K) -> A) -> Self {
        match found {
            KeyFound::Answered { answer: kept, version } => Self::Answered(*version, answer(kept)),
            KeyFound::Reused => Self::Reused,
        }
    }
}

/// What was done, and whether it had been done before (by the same key).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done<A> {
    /// The thing as the change left it.
    pub answer: A,
    /// Whether this is the answer of an earlier request with the same key.
    pub replayed: bool,
}

/// An aggregate's durable state, and its actor.
pub(super) struct Kept<A: Aggregate> {
    durable: RwLock<A>,
    durable_version: AtomicU64,
    version: watch::Sender<u64>,
    actor: OnceLock<ActorRef<Keeper<A>>>,
    /// Whether it takes no changes, since it is being moved to the archive.
    closed: AtomicBool,
}

impl<A: Aggregate> Kept<A> {
    /// Makes the entry of an aggregate whose whole state is durable.
    pub(super) fn new(aggregate: A) -> Self {
        let version = aggregate.version();
        Self {
            durable: RwLock::new(aggregate),
            durable_version: AtomicU64::new(version),
            version: watch::Sender::new(version),
            actor: OnceLock::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// Looks at the durable state. Don't keep the guard over an await: the journal waits for it.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, A> {
        self.durable.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the actor; the answer is durable when it comes.
    pub(super) async fn ask(
        &self,
        command: A::Command,
        cause: Cause,
    ) -> Result<Done<A::Answer>, EngineError> {
        let actor = self.actor.get().ok_or(EngineError::NotReady)?;
        actor.ask(Act { command, cause }).try_send().await.map_err(from_send_error)
    }

    /// Waits until its durable state is so.
    pub(super) async fn until(&self, is_so: impl Fn(&A) -> bool) {
        let mut version = self.version.subscribe();
        while !is_so(&self.read()) {
            // The sender lives as long as this.
            let _ = version.changed().await;
        }
    }

    /// Says whether it takes changes; while it doesn't, they are refused as not ready.
    pub(super) fn set_closed(&self, closed: bool) {
        self.closed.store(closed, Ordering::Release);
    }

    /// Waits until everything that was asked of the actor before is on its way to the journal.
    pub(super) async fn flush(&self) -> Result<(), EngineError> {
        let Some(actor) = self.actor.get() else { return Ok(()) };
        actor.ask(Flush).send().await.map_err(|_| EngineError::NotReady)
    }

    /// Stops the actor, for good.
    pub(super) async fn stop(&self) {
        if let Some(actor) = self.actor.get() {
            let _ = actor.stop_gracefully().await;
        }
    }

    fn publish(&self, event: &A::Event, at: Timestamp, key: Option<KeyUse>, shared: &Arc<Shared>) {
        let version = {
            let mut aggregate = self.durable.write().unwrap_or_else(PoisonError::into_inner);
            aggregate.apply(event, at, key);
            aggregate.version()
        };
        A::follow(self, event, shared);
        self.durable_version.store(version, Ordering::Release);
        self.version.send_replace(version);
    }
}

/// Starts the actor of an aggregate, where it doesn't run.
pub(super) async fn start<A: Aggregate>(
    supervisor: &ActorRef<Supervisor>,
    shared: &Arc<Shared>,
    entry: &Arc<Kept<A>>,
) {
    if entry.actor.get().is_some() {
        return;
    }
    let (args, space) = ((Arc::downgrade(entry), Arc::clone(shared)), shared.mailbox_len_max);
    let actor = Keeper::supervise_with(supervisor, move || args.clone())
        .restart_policy(RestartPolicy::Transient)
        .restart_limit(RESTARTS_MAX, RESTART_WINDOW)
        .spawn_with_mailbox(mailbox::bounded(space))
        .await;
    // Two that start at once: the second is let go, and stops with its last reference.
    drop(entry.actor.set(actor));
}

/// A command, with who asks and the idempotency key whose effect it would be.
struct Act<C> {
    command: C,
    cause: Cause,
}

/// Answers once everything that came before is on its way to the journal.
struct Flush;

/// The actor of an aggregate.
pub(super) struct Keeper<A: Aggregate> {
    state: A,
    entry: Arc<Kept<A>>,
    shared: Arc<Shared>,
}

impl<A: Aggregate> Actor for Keeper<A> {
    type Args = (Weak<Kept<A>>, Arc<Shared>);
    type Error = Gone;

    async fn on_start((entry, shared): Self::Args, _: ActorRef<Self>) -> Result<Self, Gone> {
        let entry = entry.upgrade().ok_or(Gone)?;
        // What a former life appended becomes durable first; on a failed journal nothing more will.
        let _ = shared.journal.barrier().await;
        let state = entry.read().clone();
        Ok(Self { state, entry, shared })
    }

    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<std::ops::ControlFlow<ActorStopReason>, Gone> {
        tracing::error!("an aggregate's actor panicked; it recovers from the journal");
        metrics::counter!("onsale_actor_panics_total").increment(1);
        Ok(std::ops::ControlFlow::Break(ActorStopReason::Panicked(error)))
    }
}

impl<A: Aggregate> Message<Act<A::Command>> for Keeper<A> {
    type Reply = DelegatedReply<Result<Done<A::Answer>, EngineError>>;

    async fn handle(&mut self, act: Act<A::Command>, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let (delegated, reply) = ctx.reply_sender();
        let now = self.shared.clock.now().max(self.state.last_instant());
        let name = A::name(&act.command);
        let (outcome, happened) = match self.act(act, now) {
            Ok((answer, happened)) => (Ok(answer), happened),
            Err(error) => (Err(error), None),
        };
        let word = match &outcome {
            Ok(Done { replayed: false, .. }) => "done",
            Ok(Done { replayed: true, .. }) => "replayed",
            Err(_) => "refused",
        };
        metrics::counter!("onsale_decisions_total", "command" => name, "outcome" => word).increment(1);
        let mut records = Records::with_capacity(128);
        if let Some((event, cause)) = &happened {
            let encoded = records.push_with(|bytes| {
                self.state.encode(bytes, self.state.version(), now, cause.clone(), event);
                Ok::<(), EntryTooLarge>(())
            });
            encoded.expect("an event of such an aggregate is small");
        }
        let (entry, shared) = (Arc::clone(&self.entry), Arc::clone(&self.shared));
        let parked = Parked {
            records,
            ahead: self.state.version() > self.entry.durable_version.load(Ordering::Acquire),
            publish: move || {
                if let Some((event, cause)) = happened {
                    entry.publish(&event, now, cause.key, &shared);
                }
            },
            reply,
            outcome,
        };
        parked.append_to(&self.shared.journal).await;
        delegated
    }
}

impl<A: Aggregate> Message<Flush> for Keeper<A> {
    type Reply = ();

    async fn handle(&mut self, _: Flush, _: &mut Context<Self, Self::Reply>) {}
}

type Happened<A> = Option<(<A as Aggregate>::Event, Cause)>;

impl<A: Aggregate> Keeper<A> {
    fn act(
        &mut self,
        Act { command, cause }: Act<A::Command>,
        now: Timestamp,
    ) -> Result<(Done<A::Answer>, Happened<A>), EngineError> {
        if self.shared.journal.failure().is_some() {
            return Err(EngineError::JournalUnavailable);
        }
        if self.entry.closed.load(Ordering::Acquire) {
            return Err(EngineError::NotReady);
        }
        if let Some(found) = cause.key.and_then(|key| self.state.find(key, now)) {
            return match found {
                Found::Reused => Err(EngineError::KeyReused),
                Found::Answered(version, _)
                    if version > self.entry.durable_version.load(Ordering::Acquire) =>
                {
                    Err(EngineError::InProgress)
                }
                Found::Answered(_, answer) => Ok((Done { answer, replayed: true }, None)),
            };
        }
        let decided = self.state.decide(&command)?;
        let changes = decided.is_some();
        let mut event = decided.unwrap_or_else(|| self.state.kept(&command));
        self.state.seal(&mut event, &self.shared.seal);
        if changes || cause.key.is_some() {
            self.state.apply(&event, now, cause.key);
            let answer = self.state.answer(&event);
            return Ok((Done { answer, replayed: false }, Some((event, cause))));
        }
        Ok((Done { answer: self.state.answer(&event), replayed: false }, None))
    }
}
