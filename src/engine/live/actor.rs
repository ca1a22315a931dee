//! The one actor: due → decide → apply → due → append, and never a wait for the disk.
//!
//! Its state runs ahead of what is durable by the records that are on their way. A reply is parked with
//! the entry that it rests on and given when that entry is durable; so is a refusal while the state is
//! ahead, since "taken" must stay true after a crash (V1). When it panics, its supervisor starts it again: it
//! waits until its former life's records are durable and continues from the durable state.
//!
//! What is due is applied before a decision and after it: a deadline is exact without a timer, and whoever ends a pass admits
//! the next in the same entry.
//!
//! The chain of permits is the whole backpressure: a full journal stops the actor, a stopped actor
//! fills its mailbox, a full mailbox is refused at once.

use std::sync::{Arc, Weak};
use std::time::Duration;

use kameo::actor::{Actor, ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, PanicError};
use kameo::mailbox::{MailboxReceiver, Signal};
use kameo::message::{Context, Message};
use kameo::reply::{DelegatedReply, ReplySender};
use tokio::sync::mpsc::error::TryRecvError;

use super::aggregate::{Aggregate, Done, Happened, KeyLookup};
use super::commit::Parked;
use super::entry::Live;
use crate::clock::Stopwatch;
use crate::domain::cause::Cause;
use crate::domain::time::Timestamp;
use crate::engine::core::Core;
use crate::engine::error::EngineError;
use crate::journal::{EntryTooLarge, Records};

/// The longest that an idle actor sleeps: a bound for what a step of the clock could do.
const SLEEP_MAX: Duration = Duration::from_mins(1);
/// About how many bytes an event has.
const EVENT_BYTES: usize = 128;

/// A command, with who asks and the idempotency key whose effect it would be.
pub(in crate::engine) struct Act<C> {
    pub(super) command: C,
    pub(super) cause: Cause,
    /// Runs since the message was sent, for the metric of the mailbox's wait.
    pub(super) queued: Stopwatch,
}

impl<C> Act<C> {
    pub(in crate::engine) fn new(command: C, cause: Cause) -> Self {
        Self { command, cause, queued: Stopwatch::start() }
    }
}

/// Answers once everything that came before is on its way to the journal, and what time and the outside have brought by then.
pub(in crate::engine) struct Flush;

/// Panics, as a bug would: for the tests of supervision.
pub(super) struct Fail;

/// What an actor was started for is gone, to the archive: it doesn't start again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Gone;

/// Where a reply goes, where one is awaited.
pub(in crate::engine) type Reply<T> = Option<ReplySender<Result<T, EngineError>>>;

/// The actor of one aggregate.
pub(in crate::engine) struct LiveActor<A: Aggregate> {
    state: A,
    own: A::Own,
    live: Arc<Live<A>>,
    core: Arc<Core>,
    metrics: ActorMetrics,
}

impl<A: Aggregate> Actor for LiveActor<A> {
    type Args = (Weak<Live<A>>, Arc<Core>);
    type Error = Gone;

    async fn on_start((live, core): Self::Args, _: ActorRef<Self>) -> Result<Self, Gone> {
        let live = live.upgrade().ok_or(Gone)?;
        // What a former life appended becomes durable first; on a failed journal nothing more will.
        let _ = core.journal.barrier().await;
        let state = live.read().clone();
        let own = state.own(&live);
        Ok(Self { state, own, live, core, metrics: ActorMetrics::new() })
    }

    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<std::ops::ControlFlow<ActorStopReason>, Gone> {
        tracing::error!(aggregate = self.state.title(), "an actor panicked; it recovers from the journal");
        metrics::counter!("onsale_actor_panics_total").increment(1);
        Ok(std::ops::ControlFlow::Break(ActorStopReason::Panicked(error)))
    }

    async fn next(
        &mut self,
        _: WeakActorRef<Self>,
        mailbox: &mut MailboxReceiver<Self>,
    ) -> Result<Option<Signal<Self>>, Gone> {
        loop {
            let now = self.now();
            let works = self.core.journal.failure().is_none();
            let due = self.state.next_due(now, &self.live).filter(|_| works);
            if due.is_some_and(|due| due <= now) {
                self.catch_up(now).await;
                continue;
            }

            match mailbox.try_recv() {
                Ok(signal) => return Ok(Some(signal)),
                Err(TryRecvError::Disconnected) => return Ok(None),
                Err(TryRecvError::Empty) => {}
            }

            let again = self.state.rest(&mut self.own, &self.live).then_some(SLEEP_MAX);
            let until_due = due.map(|due| Duration::from_millis(due.millis_since(now)).min(SLEEP_MAX));
            tokio::select! {
                signal = mailbox.recv() => return Ok(signal),
                () = A::woken(&mut self.own) => {}
                () = sleep(until_due.or(again)) => {}
            }
        }
    }
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => core::future::pending().await,
    }
}

impl<A: Aggregate> Message<Act<A::Command>> for LiveActor<A> {
    type Reply = DelegatedReply<Result<Done<A::Answer>, EngineError>>;

    async fn handle(&mut self, act: Act<A::Command>, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let (delegated, reply) = ctx.reply_sender();
        self.metrics.waited.record(act.queued.elapsed());

        let mut draft = Draft::default();
        let outcome = self.act(&act, &mut draft).await;
        self.metrics.count(A::name(&act.command), &outcome);
        let records = self.encode(&draft);
        self.park(records, draft, || {}, reply, outcome).await;
        delegated
    }
}

impl<A: Aggregate> Message<Flush> for LiveActor<A> {
    type Reply = ();

    async fn handle(&mut self, _: Flush, _: &mut Context<Self, Self::Reply>) {
        if self.core.journal.failure().is_none() {
            self.catch_up(self.now()).await;
        }
    }
}

impl<A: Aggregate> Message<Fail> for LiveActor<A> {
    type Reply = ();

    async fn handle(&mut self, _: Fail, _: &mut Context<Self, Self::Reply>) {
        panic!("asked to fail");
    }
}

/// The events of one entry, before they are encoded.
pub(in crate::engine) struct Draft<A: Aggregate> {
    happened: Vec<Happened<A>>,
    /// The version of the first of them.
    first_version: u64,
}

impl<A: Aggregate> Default for Draft<A> {
    fn default() -> Self {
        Self { happened: Vec::new(), first_version: 0 }
    }
}

impl<A: Aggregate> Draft<A> {
    pub(super) fn happened(&self) -> &[Happened<A>] {
        &self.happened
    }

    pub(super) fn first_version(&self) -> u64 {
        self.first_version
    }

    /// Returns the version of the last event; nothing where there is none.
    pub(super) fn last_version(&self) -> Option<u64> {
        let behind_first = self.happened.len().checked_sub(1)?;
        Some(self.first_version + u64::try_from(behind_first).expect("few at once"))
    }
}

impl<A: Aggregate> LiveActor<A> {
    /// Returns the present, never before the aggregate's last event (S4).
    pub(in crate::engine) fn now(&self) -> Timestamp {
        self.core.clock.now().max(self.state.last_instant())
    }

    pub(in crate::engine) fn state(&self) -> &A {
        &self.state
    }

    /// Decides a command and applies what it brings, with what is due before it and after it.
    async fn act(
        &mut self,
        Act { command, cause, .. }: &Act<A::Command>,
        draft: &mut Draft<A>,
    ) -> Result<Done<A::Answer>, EngineError> {
        if let Some(failure) = self.core.journal.failure() {
            tracing::debug!(%failure, "a change was refused: the journal has failed");
            return Err(EngineError::JournalUnavailable);
        }
        let now = self.now();
        self.bring(now, draft).await;
        self.state.check_open()?;
        if self.live.is_closed() {
            return Err(EngineError::NotReady);
        }

        if let Some(found) = cause.key.and_then(|key| self.state.find(key, now)) {
            return match found {
                KeyLookup::Reused => Err(EngineError::KeyReused),
                KeyLookup::Answered(version, _) if version > self.live.durable_version() => {
                    Err(EngineError::InProgress)
                }
                KeyLookup::Answered(_, answer) => Ok(Done { answer, replayed: true }),
            };
        }

        let then = self.state.then(command);
        let Some(mut event) = self.state.decide(command, now, &self.core)? else {
            // It is so already. The answer comes first: keeping the key may be what ends a retention.
            let kept = self.state.kept(command);
            let answer = self.state.answer(command, &kept);
            let keeps = cause.key.is_some() && !A::stays_so(command);
            if keeps {
                self.happen(kept, now, cause.clone(), draft);
            }
            return Ok(Done { answer, replayed: cause.key.is_some() && !keeps });
        };
        self.state.seal(&mut event, &self.core.seal);
        let event = self.happen(event, now, cause.clone(), draft);
        let answer = self.state.answer(command, event);

        // In the same entry, before anything is done by a state that nobody wanted.
        if let Some(then) = then
            && let Some(event) = self.state.decide(&then, now, &self.core)?
        {
            self.happen(event, now, Cause { by: cause.by.clone(), key: None }, draft);
        }
        self.bring(now, draft).await;
        Ok(Done { answer, replayed: false })
    }

    /// Applies an event, and adds it to the entry.
    pub(in crate::engine) fn happen<'d>(
        &mut self,
        event: A::Event,
        at: Timestamp,
        cause: Cause,
        draft: &'d mut Draft<A>,
    ) -> &'d A::Event {
        self.state.apply(&event, at, cause.key);
        if draft.happened.is_empty() {
            draft.first_version = self.state.version();
        }
        draft.happened.push(Happened { event, at, cause });
        &draft.happened.last().expect("one was pushed").event
    }

    /// Applies what is due by now. An entry that is full is appended, and what is due goes on in the next.
    pub(in crate::engine) async fn bring(&mut self, now: Timestamp, draft: &mut Draft<A>) {
        while let Some(event) = self.state.due(now, &self.live, &self.core) {
            self.happen(event, now, Cause::default(), draft);
            if draft.happened.len() >= A::DUE_BATCH_MAX {
                self.append(core::mem::take(draft)).await;
            }
        }
    }

    async fn catch_up(&mut self, now: Timestamp) {
        let mut draft = Draft::default();
        self.bring(now, &mut draft).await;
        self.append(draft).await;
    }

    /// Appends an entry that nobody waits for.
    async fn append(&self, draft: Draft<A>) {
        self.park::<()>(self.encode(&draft), draft, || {}, None, Ok(())).await;
    }

    /// Appends an entry, and parks the reply with it. `also` is shown behind its events, if there are any.
    pub(in crate::engine) async fn park<T: Send + 'static>(
        &self,
        records: Records,
        draft: Draft<A>,
        also: impl FnOnce() + Send + 'static,
        reply: Reply<T>,
        outcome: Result<T, EngineError>,
    ) {
        let (live, core) = (Arc::clone(&self.live), Arc::clone(&self.core));
        let publish = move || {
            live.publish(&draft, &core);
            if !draft.happened.is_empty() {
                also();
            }
        };
        let parked = Parked {
            records,
            ahead: self.state.version() > self.live.durable_version(),
            publish,
            outcome,
            reply: move |outcome| {
                if let Some(reply) = reply {
                    reply.send(outcome);
                }
            },
        };
        parked.append_to(&self.core.journal).await;
    }

    pub(in crate::engine) fn encode(&self, draft: &Draft<A>) -> Records {
        let mut records = Records::with_capacity(EVENT_BYTES * draft.happened.len());
        for (version, Happened { event, at, cause }) in (draft.first_version..).zip(&draft.happened) {
            let encoded = records.push_with(|bytes| {
                self.state.encode(bytes, version, *at, cause.clone(), event);
                Ok::<(), EntryTooLarge>(())
            });
            encoded.expect("an aggregate's events are bounded by its policy, and by batches");
        }
        records
    }
}

/// An actor's metrics. It keeps their handles: to look one up in the recorder costs more than to decide.
struct ActorMetrics {
    waited: metrics::Histogram,
    /// By command and outcome: those that there were.
    decided: Vec<(&'static str, &'static str, metrics::Counter)>,
}

impl ActorMetrics {
    fn new() -> Self {
        Self { waited: metrics::histogram!("onsale_mailbox_wait_seconds"), decided: Vec::new() }
    }

    fn count<T>(&mut self, command: &'static str, outcome: &Result<Done<T>, EngineError>) {
        let outcome = match outcome {
            Ok(Done { replayed: false, .. }) => "done",
            Ok(Done { replayed: true, .. }) => "replayed",
            Err(EngineError::Refused(_)) => "refused",
            Err(_) => "failed",
        };
        let known = self.decided.iter().find(|known| known.0 == command && known.1 == outcome);
        if let Some((_, _, counter)) = known {
            return counter.increment(1);
        }

        let counter = metrics::counter!("onsale_decisions_total", "command" => command, "outcome" => outcome);
        counter.increment(1);
        self.decided.push((command, outcome, counter));
    }
}
