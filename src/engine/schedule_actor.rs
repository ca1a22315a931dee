//! The actor of one schedule: stamp → decide → apply → append, and never a wait for the disk.
//!
//! Its state runs ahead of what is durable by the records that are on their way. A reply is parked with
//! the entry that it rests on and given when that entry is durable; so is a refusal while the state is
//! ahead, since "taken" must stay true after a crash (V1). When it panics, its supervisor starts it again: it
//! waits until its former life's records are durable and continues from the durable state.
//!
//! The chain of permits is the whole backpressure: a full journal stops the actor, a stopped actor
//! fills its mailbox, a full mailbox is refused at once.

use std::sync::{Arc, Weak};
use std::time::Duration;

use kameo::actor::{Actor, ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, PanicError};
use kameo::mailbox::{MailboxReceiver, Signal};
use kameo::message::{Context, Message};
use kameo::reply::DelegatedReply;
use tokio::sync::mpsc::error::TryRecvError;

use super::driving::Pace;
use super::error::EngineError;
use super::parking::{Gone, Parked, Reply};
use super::schedule::{Happened, ScheduleEntry};
use super::shared::{CatalogueHappened, Shared};
use crate::clock::Stopwatch;
use crate::domain::catalogue::CatalogueEvent;
use crate::domain::cause::Cause;
use crate::domain::keys::KeyFound;
use crate::domain::schedule::{Answer, AnyCommand, Command, Event, Schedule};
use crate::domain::time::Timestamp;
use crate::journal::{EntryTooLarge, Records};
use crate::record;

/// The most events that time alone brings in one entry, so that a great expiry doesn't block the mailbox.
const DUE_BATCH_MAX: usize = 256;
/// The longest that an idle actor sleeps: a bound for what a step of the clock could do.
const SLEEP_MAX: Duration = Duration::from_mins(1);

/// A command, with the idempotency key whose effect it would be.
pub(super) struct Act {
    /// What is asked.
    pub(super) command: AnyCommand,
    /// Who asks, and with which key.
    pub(super) cause: Cause,
    /// Runs since the message was sent, for the metric of the mailbox's wait.
    pub(super) queued: Stopwatch,
}

/// Removes the schedule: its stream ends, and the catalogue unlists it, in one entry.
pub(super) struct Remove {
    /// The catalogue's version before. Its actor waits for this one, so that it can't move.
    pub(super) catalogue_version: u64,
    /// Who asks, and with which key. The key is kept by the catalogue, which outlives the schedule.
    pub(super) cause: Cause,
}

/// Answers once everything that came before is on its way to the journal, and what time has brought by then.
pub(super) struct Flush;

/// Panics, as a bug would: for the tests of supervision.
pub(super) struct Fail;

/// What was done, and whether it had been done before (by the same key).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acted {
    /// The thing as the change left it.
    pub answer: Answer,
    /// Whether this is the answer of an earlier request with the same key.
    pub replayed: bool,
}

/// The actor of one schedule.
pub(super) struct ScheduleActor {
    state: Schedule,
    entry: Arc<ScheduleEntry>,
    shared: Arc<Shared>,
}

impl Actor for ScheduleActor {
    type Args = (Weak<ScheduleEntry>, Arc<Shared>);
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
        tracing::error!(
            schedule = self.entry.number().0,
            "a schedule's actor panicked; it recovers from the journal"
        );
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
            let due = self.state.next_due().filter(|_| self.shared.journal.failure().is_none());
            if due.is_some_and(|due| due <= now) {
                self.catch_up(now).await;
                continue;
            }
            match mailbox.try_recv() {
                Ok(signal) => return Ok(Some(signal)),
                Err(TryRecvError::Disconnected) => return Ok(None),
                Err(TryRecvError::Empty) => {}
            }
            let Some(due) = due else { return Ok(mailbox.recv().await) };
            let wait = Duration::from_millis(due.millis_since(now)).min(SLEEP_MAX);
            tokio::select! {
                signal = mailbox.recv() => return Ok(signal),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

impl Message<Act> for ScheduleActor {
    type Reply = DelegatedReply<Result<Acted, EngineError>>;

    async fn handle(&mut self, act: Act, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let (delegated, reply) = ctx.reply_sender();
        metrics::histogram!("onsale_mailbox_wait_seconds").record(act.queued.elapsed());
        let now = self.now();
        self.catch_up(now).await;
        let mut entry = Draft::default();
        let outcome = self.act(&act, now, &mut entry);
        count_decision(&act.command, &outcome);
        self.append(entry, reply, outcome).await;
        delegated
    }
}

impl Message<Remove> for ScheduleActor {
    type Reply = DelegatedReply<Result<(), EngineError>>;

    async fn handle(&mut self, remove: Remove, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let (delegated, reply) = ctx.reply_sender();
        let now = self.now();
        self.catch_up(now).await;
        let mut entry = Draft::default();
        let outcome = match self.state.decide(&AnyCommand::Delete, now) {
            Ok(Some(event)) => {
                let cause = Cause { by: remove.cause.by.clone(), key: None };
                self.happen(event, now, cause, &mut entry);
                let event = CatalogueEvent::ScheduleUnlisted(self.entry.id().clone());
                let unlisted = CatalogueHappened { event, at: now, cause: remove.cause };
                entry.catalogue = Some((remove.catalogue_version + 1, unlisted));
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(refusal) => Err(refusal.into()),
        };
        self.append(entry, reply, outcome).await;
        delegated
    }
}

impl Message<Flush> for ScheduleActor {
    type Reply = ();

    async fn handle(&mut self, _: Flush, _: &mut Context<Self, Self::Reply>) {
        self.catch_up(self.now()).await;
    }
}

impl Message<Fail> for ScheduleActor {
    type Reply = ();

    async fn handle(&mut self, _: Fail, _: &mut Context<Self, Self::Reply>) {
        panic!("asked to fail");
    }
}

/// The events of one entry, before they are encoded.
#[derive(Default)]
struct Draft {
    happened: Vec<Happened>,
    /// The version of the first of them.
    first_version: u64,
    catalogue: Option<(u64, CatalogueHappened)>,
}

impl ScheduleActor {
    /// Returns the present, never before the schedule's last event (S4).
    fn now(&self) -> Timestamp {
        self.shared.clock.now().max(self.state.last_instant())
    }

    /// Decides a command and applies what it brings.
    fn act(&mut self, act: &Act, now: Timestamp, entry: &mut Draft) -> Result<Acted, EngineError> {
        if let Some(failure) = self.shared.journal.failure() {
            tracing::debug!(%failure, "a change was refused: the journal has failed");
            return Err(EngineError::JournalUnavailable);
        }
        if self.state.is_deleted() {
            return Err(EngineError::NoSuchSchedule);
        }
        if self.entry.is_closed() {
            return Err(EngineError::NotReady);
        }
        if let Some(key) = act.cause.key
            && let Some(found) = self.state.find_key(key, now)
        {
            return match found {
                KeyFound::Reused => Err(EngineError::KeyReused),
                KeyFound::Answered { version, .. } if version > self.entry.durable_version() => {
                    Err(EngineError::InProgress)
                }
                KeyFound::Answered { answer, .. } => Ok(Acted { answer: answer.clone(), replayed: true }),
            };
        }
        if let (AnyCommand::Callers(Command::Hold { user, .. }), Some(max)) =
            (&act.command, self.shared.unpaid_holds_max)
        {
            self.state.check_unpaid(user, max.get(), now)?;
        }
        let named = act.command.reservation().map(|reservation| reservation.number);
        let Some(mut event) = self.state.decide(&act.command, now)? else {
            // It is so already. The answer comes first: keeping the key may be what ends a retention.
            let answer = self.state.answer(named);
            let keyed = act.cause.key.is_some();
            if keyed && !act.command.stays_so() {
                self.happen(Event::KeyKept { number: named }, now, act.cause.clone(), entry);
                return Ok(Acted { answer, replayed: false });
            }
            return Ok(Acted { answer, replayed: keyed });
        };
        let touched = if let Event::SeatsHeld { number, nonce, .. } = &mut event {
            self.shared.seal.reservation(self.entry.number(), number, nonce);
            Some(*number)
        } else {
            named
        };
        self.happen(event, now, act.cause.clone(), entry);
        Ok(Acted { answer: self.state.answer(touched), replayed: false })
    }

    fn happen(&mut self, event: Event, at: Timestamp, cause: Cause, entry: &mut Draft) {
        self.state.apply(&event, at, cause.key);
        if entry.happened.is_empty() {
            entry.first_version = self.state.version();
        }
        entry.happened.push(Happened { event, at, cause });
    }

    /// Appends what time alone has brought by now, at most [`DUE_BATCH_MAX`] events an entry.
    async fn catch_up(&mut self, now: Timestamp) {
        loop {
            let mut entry = Draft::default();
            while entry.happened.len() < DUE_BATCH_MAX
                && let Some(event) = self.state.due(now, || self.shared.prices(&self.entry))
            {
                if matches!(event, Event::HoldExpired { .. }) {
                    let labels = [("command", "expire"), ("outcome", "done")];
                    metrics::counter!("onsale_decisions_total", &labels).increment(1);
                }
                self.happen(event, now, Cause::default(), &mut entry);
            }
            if entry.happened.is_empty() {
                return;
            }
            self.append::<()>(entry, None, Ok(())).await;
        }
    }

    /// Appends an entry and parks the reply with it. A reply that rests on nothing that could be lost
    /// is given at once.
    async fn append<T: Send + 'static>(
        &self,
        draft: Draft,
        reply: Reply<T>,
        outcome: Result<T, EngineError>,
    ) {
        let records = match self.encode(&draft) {
            Ok(records) => records,
            Err(EntryTooLarge { bytes }) => {
                panic!("an entry of {bytes} bytes: a schedule's events are bounded by its policy")
            }
        };
        let (entry, shared) = (Arc::clone(&self.entry), Arc::clone(&self.shared));
        let parked = Parked {
            records,
            ahead: self.state.version() > self.entry.durable_version(),
            publish: move || publish(&shared, &entry, draft),
            reply,
            outcome,
        };
        parked.append_to(&self.shared.journal).await;
    }

    fn encode(&self, draft: &Draft) -> Result<Records, EntryTooLarge> {
        let mut records = Records::with_capacity(128 * draft.happened.len());
        let number = self.entry.number();
        for (version, Happened { event, at, cause }) in (draft.first_version..).zip(&draft.happened) {
            records.push_with(|bytes| {
                record::encode_schedule_event(bytes, number, version, *at, cause.clone(), event);
                Ok::<(), EntryTooLarge>(())
            })?;
        }
        if let Some((version, CatalogueHappened { event, at, cause })) = &draft.catalogue {
            records.push_with(|bytes| {
                record::encode_catalogue_event(bytes, *version, *at, cause.clone(), event);
                Ok::<(), EntryTooLarge>(())
            })?;
        }
        Ok(records)
    }
}

/// Shows what has just become durable to everyone, and starts what follows from it. Runs on the journal's writer, in order.
fn publish(shared: &Arc<Shared>, entry: &ScheduleEntry, draft: Draft) {
    if draft.happened.is_empty() {
        return;
    }
    for user in entry.publish(&draft.happened) {
        shared.note_user(user, entry.number());
    }
    for Happened { event, .. } in &draft.happened {
        follow(shared, entry, event);
    }
    if let Some((_, unlisted)) = draft.catalogue {
        shared.remove(entry);
        shared.publish_catalogue(&[unlisted]);
    }
}

/// Starts what follows from an event that has just become durable (E1): whoever asked for it may be gone.
fn follow(shared: &Arc<Shared>, entry: &ScheduleEntry, event: &Event) {
    if let Event::ReservationCancelled { number } = event {
        let payment = entry.read().reservation_numbered(*number).and_then(|reservation| reservation.payment);
        if let Some(payment) = payment {
            shared.drive(payment, Pace::AtOnce);
        }
    } else if matches!(event, Event::ScheduleCancelled) {
        shared.settle(entry.number());
    }
}

fn count_decision(command: &AnyCommand, outcome: &Result<Acted, EngineError>) {
    let outcome = match outcome {
        Ok(Acted { replayed: false, .. }) => "done",
        Ok(Acted { replayed: true, .. }) => "replayed",
        Err(EngineError::Refused(_)) => "refused",
        Err(
            EngineError::CatalogueRefused(_)
            | EngineError::RoomRefused(_)
            | EngineError::AccountRefused(_)
            | EngineError::PaymentRefused(_)
            | EngineError::NoSuchSchedule
            | EngineError::KeyReused
            | EngineError::InProgress
            | EngineError::Overloaded
            | EngineError::NotReady
            | EngineError::OutcomeUnknown
            | EngineError::JournalUnavailable
            | EngineError::UsersRefused(_)
            | EngineError::NoGateway
            | EngineError::ArchiveUnavailable,
        ) => "failed",
    };
    metrics::counter!("onsale_decisions_total", "command" => command.name(), "outcome" => outcome)
        .increment(1);
}
