//! The one actor: due → decide → apply → due → append, and never a wait for the disk.
//!
//! Its state runs ahead of the durable one by the records that are on their way. A reply is parked with
//! the entry that it rests on and given when that entry is durable; so is a refusal while the state is
//! ahead, since "taken" must stay true after a crash (V1). When it panics, its supervisor starts it again: it
//! waits until its former life's records are durable and continues from the durable state.
//!
//! Due events are applied before a decision and after it: a deadline is exact without a timer, and a pass that ends admits
//! the next user in the same entry.
//!
//! The chain of permits is the whole backpressure: a full journal stops the actor, a stopped actor
//! fills its mailbox, a full mailbox is refused at once.

use core::pin::Pin;
use core::time::Duration;
use std::sync::{Arc, Weak};

use kameo::actor::{Actor, ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, PanicError};
use kameo::mailbox::{MailboxReceiver, Signal};
use kameo::message::{Context, Message};
use kameo::reply::{DelegatedReply, ReplySender};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::time::{Instant, Sleep};

use super::aggregate::{Aggregate, Done, Happened, KeyLookup};
use super::commit::{self, Parked};
use super::entry::Live;
use crate::clock::Stopwatch;
use crate::domain::cause::Cause;
use crate::domain::time::Timestamp;
use crate::engine::core::Core;
use crate::engine::error::EngineError;
use crate::journal::{Entry, EntryTooLarge, Records};
use crate::record;

/// The longest that an idle actor sleeps: a step of the clock delays a deadline by no more.
const SLEEP_MAX: Duration = Duration::from_millis(SLEEP_MAX_MILLIS);
const SLEEP_MAX_MILLIS: u64 = 60_000;
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

/// Answers once all earlier commands and everything due by then are on their way to the journal.
pub(in crate::engine) struct Flush;

/// Panics, as a bug would: for the tests of supervision.
pub(super) struct Fail;

/// The aggregate has moved to the archive, so its actor doesn't start again.
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
    alarm: Alarm,
    metrics: ActorMetrics,
}

impl<A: Aggregate> Actor for LiveActor<A> {
    type Args = (Weak<Live<A>>, Arc<Core>);
    type Error = Gone;

    async fn on_start((live, core): Self::Args, _: ActorRef<Self>) -> Result<Self, Gone> {
        let live = live.upgrade().ok_or(Gone)?;
        // Wait until everything that the actor's former life appended is durable; on a failed journal nothing more will be.
        let _ = core.journal.barrier().await;
        let state = live.read().clone();
        let own = state.own(&live);
        Ok(Self { state, own, live, core, alarm: Alarm::new(), metrics: ActorMetrics::new() })
    }

    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<core::ops::ControlFlow<ActorStopReason>, Gone> {
        tracing::error!(aggregate = self.state.title(), "an actor panicked; it recovers from the journal");
        metrics::counter!("onsale_actor_panics_total").increment(1);
        Ok(core::ops::ControlFlow::Break(ActorStopReason::Panicked(error)))
    }

    async fn next(
        &mut self,
        _: WeakActorRef<Self>,
        mailbox: &mut MailboxReceiver<Self>,
    ) -> Result<Option<Signal<Self>>, Gone> {
        loop {
            let now = self.now();

            // On a failed journal nothing more becomes durable: due events wait for the next start.
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

            let again = self.state.rest(&mut self.own, &self.live).then_some(Timestamp::MAX);
            let by = due.or(again);
            if let Some(by) = by {
                self.alarm.ring_by(by, now);
            }
            tokio::select! {
                biased;
                signal = mailbox.recv() => return Ok(signal),
                () = A::woken(&mut self.own) => {}
                () = &mut self.alarm.sleep, if by.is_some() => {}
            }
        }
    }
}

/// Wakes an actor for what is due. It is set anew only where it would ring too late: a look too early costs less than a
/// timer for each message.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    at: Timestamp,
}

impl Alarm {
    fn new() -> Self {
        Self { sleep: Box::pin(tokio::time::sleep(SLEEP_MAX)), at: Timestamp::MAX }
    }

    /// Has it ring by an instant, and within [`SLEEP_MAX`].
    fn ring_by(&mut self, by: Timestamp, now: Timestamp) {
        let wait = Duration::from_millis(by.millis_since(now)).min(SLEEP_MAX);
        let by = by.min(now.plus_millis(SLEEP_MAX_MILLIS));
        if by < self.at || self.sleep.is_elapsed() {
            self.sleep.as_mut().reset(Instant::now() + wait);
            self.at = by;
        }
    }
}

impl<A: Aggregate> Message<Act<A::Command>> for LiveActor<A> {
    type Reply = DelegatedReply<Result<Done<A::Answer>, EngineError>>;

    async fn handle(&mut self, act: Act<A::Command>, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let (delegated, reply) = ctx.reply_sender();
        self.metrics.waited.record(act.queued.elapsed());

        let (mut draft, now) = (EntryDraft::default(), self.now());
        let outcome = match self.check_works() {
            Ok(()) => {
                self.bring(now, &mut draft).await;
                self.act(&act, now, &mut draft)
            }
            Err(failed) => Err(failed),
        };
        if outcome.is_ok() {
            // In the same entry, what this command has made due: a pass that ends admits the next in line.
            self.bring(now, &mut draft).await;
        }
        self.metrics.count(A::name(&act.command), &outcome);
        if let Some(entry) = self.park(draft, reply, outcome) {
            commit::append(entry, &self.core.journal).await;
        }
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
pub(super) struct EntryDraft<A: Aggregate> {
    happened: Vec<Happened<A>>,
    /// The version of the first of them.
    first_version: u64,
}

impl<A: Aggregate> Default for EntryDraft<A> {
    fn default() -> Self {
        Self { happened: Vec::new(), first_version: 0 }
    }
}

impl<A: Aggregate> EntryDraft<A> {
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
    fn now(&self) -> Timestamp {
        self.core.clock.now().max(self.state.last_instant())
    }

    fn check_works(&self) -> Result<(), EngineError> {
        if let Some(failure) = self.core.journal.failure() {
            tracing::debug!(%failure, "a change was refused: the journal has failed");
            return Err(EngineError::JournalUnavailable);
        }
        let is_ahead = self.state.version() >= self.live.durable_version();
        assert!(is_ahead, "an actor's state is never behind what is published");
        Ok(())
    }

    /// Decides a command and applies its event. What is due by `now` was brought before.
    fn act(
        &mut self,
        Act { command, cause, .. }: &Act<A::Command>,
        now: Timestamp,
        draft: &mut EntryDraft<A>,
    ) -> Result<Done<A::Answer>, EngineError> {
        self.state.check_open()?;
        if self.live.is_closed() && !A::ends(command) {
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

        // The number is known only now, and is sealed before anyone sees it.
        self.state.seal(&mut event, &self.core.seal);
        let event = self.happen(event, now, cause.clone(), draft);
        let answer = self.state.answer(command, event);

        // In the same entry, before anything is done by a state that nobody wanted.
        if let Some(then) = then
            && let Some(event) = self.state.decide(&then, now, &self.core)?
        {
            self.happen(event, now, Cause { by: cause.by.clone(), key: None }, draft);
        }
        Ok(Done { answer, replayed: false })
    }

    /// Applies an event, and adds it to the entry.
    fn happen<'d>(
        &mut self,
        event: A::Event,
        at: Timestamp,
        cause: Cause,
        draft: &'d mut EntryDraft<A>,
    ) -> &'d A::Event {
        assert!(at >= self.state.last_instant(), "S4: time never runs backwards for an aggregate");
        let before = self.state.version();
        self.state.apply(&event, at, cause.key);
        assert_eq!(self.state.version(), before + 1, "an event is one version of its stream");

        match draft.last_version() {
            None => draft.first_version = self.state.version(),
            Some(last) => assert_eq!(last, before, "the events of an entry follow without a gap"),
        }
        draft.happened.push(Happened { event, at, cause });
        &draft.happened.last().expect("one was pushed").event
    }

    /// Applies the events that are due by now. A full entry is appended, and the rest goes into the next.
    async fn bring(&mut self, now: Timestamp, draft: &mut EntryDraft<A>) {
        while let Some(event) = self.state.due(now, &self.live, &self.core) {
            self.happen(event, now, Cause::default(), draft);
            if draft.happened.len() >= A::DUE_BATCH_MAX {
                self.append(core::mem::take(draft)).await;
            }
        }
    }

    async fn catch_up(&mut self, now: Timestamp) {
        let mut draft = EntryDraft::default();
        self.bring(now, &mut draft).await;
        self.append(draft).await;
    }

    /// Appends an entry that nobody waits for.
    async fn append(&self, draft: EntryDraft<A>) {
        if let Some(entry) = self.park::<()>(draft, None, Ok(())) {
            commit::append(entry, &self.core.journal).await;
        }
    }

    /// Makes the entry of a draft, and parks the reply with it.
    fn park<T: Send + 'static>(
        &self,
        draft: EntryDraft<A>,
        reply: Reply<T>,
        outcome: Result<T, EngineError>,
    ) -> Option<Entry> {
        let (records, last) = (self.encode(&draft), draft.last_version());
        assert!(
            last.is_none_or(|last| last == self.state.version()),
            "an entry ends with the state's last event"
        );

        let (live, core) = (Arc::clone(&self.live), Arc::clone(&self.core));
        // The entry keeps both alive until it is durable, however the actor ends meanwhile.
        let publish = move || live.publish(&draft, &core);
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
        parked.entry()
    }

    fn encode(&self, draft: &EntryDraft<A>) -> Records {
        assert!(draft.happened.is_empty() || draft.first_version > 0, "a stream's first fact has version 1");
        let mut records = Records::with_capacity(EVENT_BYTES * draft.happened.len());
        for (version, Happened { event, at, cause }) in (draft.first_version..).zip(&draft.happened) {
            let encoded = records.push_with(|bytes| {
                record::encode_fact(bytes, version, *at, cause.clone(), self.state.fact(event));
                Ok::<(), EntryTooLarge>(())
            });
            encoded.expect("an aggregate's events are bounded by its policy, and by batches");
        }
        assert!(usize::try_from(records.count()) == Ok(draft.happened.len()), "each event is one record");
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
