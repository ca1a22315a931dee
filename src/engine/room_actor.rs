//! The actor of one waiting room: follow → due → decide → apply → due again → append.
//!
//! It runs ahead of the durable state as a schedule's actor does, and recovers the same way. What it must
//! know of its schedule it reads from the durable state of that, never by asking: the gate moves when the sale
//! opens or closes, and when the last seat goes or comes back. What is due is applied before a decision and after it, so that who
//! ends a pass admits the next in the same entry.

use std::sync::{Arc, Weak};
use std::time::Duration;

use kameo::actor::{Actor, ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, PanicError};
use kameo::mailbox::{MailboxReceiver, Signal};
use kameo::message::{Context, Message};
use kameo::reply::DelegatedReply;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::watch;

use super::error::EngineError;
use super::parking::{Gone, Parked, Reply};
use super::room::{RoomEntry, RoomHappened};
use super::schedule::ScheduleEntry;
use super::shared::Shared;
use crate::clock::Stopwatch;
use crate::domain::cause::Cause;
use crate::domain::keys::KeyFound;
use crate::domain::time::Timestamp;
use crate::domain::waiting_room::draw::Seed;
use crate::domain::waiting_room::{Answer, Command, Event, Gate, Place, Refusal, Ticket, WaitingRoom};
use crate::journal::Records;
use crate::record;

/// The most events that time alone brings in one entry.
const DUE_BATCH_MAX: usize = 64;
/// The longest that an idle actor sleeps: a bound for what a step of the clock could do.
const SLEEP_MAX: Duration = Duration::from_mins(1);
/// After how many joins the actor takes the blocks of people from the durable state, so that both have one copy.
const SHARE_EVERY: u32 = 65_536;

/// A command, with the idempotency key whose effect it would be.
pub(super) struct ActInRoom {
    pub(super) command: Command,
    pub(super) cause: Cause,
    pub(super) queued: Stopwatch,
}

/// Reads what the schedule is, so that whoever changed it knows that the room does, too.
pub(super) struct FollowSchedule;

/// What was done in a waiting room, and whether it had been done before (by the same key).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomActed {
    /// The thing as the change left it.
    pub answer: Answer,
    /// Whether this is the answer of an earlier request with the same key.
    pub replayed: bool,
}

/// The actor of one waiting room.
pub(super) struct RoomActor {
    state: WaitingRoom,
    entry: Arc<ScheduleEntry>,
    shared: Arc<Shared>,
    gates: watch::Receiver<Gate>,
    shared_at: u32,
    /// The draw whose tables are those of the durable state.
    draw_shared: Option<(Seed, u32)>,
}

impl Actor for RoomActor {
    type Args = (Weak<ScheduleEntry>, Arc<Shared>);
    type Error = Gone;

    async fn on_start((entry, shared): Self::Args, _: ActorRef<Self>) -> Result<Self, Gone> {
        let entry = entry.upgrade().ok_or(Gone)?;
        // What a former life appended becomes durable first; on a failed journal nothing more will.
        let _ = shared.journal.barrier().await;
        let state = entry.room().read().clone();
        let (gates, shared_at) = (entry.watch_gate(), state.joined_total());
        let draw_shared = state.drawing();
        Ok(Self { state, entry, shared, gates, shared_at, draw_shared })
    }

    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<std::ops::ControlFlow<ActorStopReason>, Gone> {
        tracing::error!(
            schedule = self.entry.number().0,
            "a waiting room's actor panicked; it recovers from the journal"
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
            let works = self.shared.journal.failure().is_none();
            let due = self.state.next_due(now).filter(|_| works);
            let moved = works && self.gate() != self.state.gate();
            if moved || due.is_some_and(|due| due <= now) {
                self.bring(now).await;
                continue;
            }
            match mailbox.try_recv() {
                Ok(signal) => return Ok(Some(signal)),
                Err(TryRecvError::Disconnected) => return Ok(None),
                Err(TryRecvError::Empty) => {}
            }
            self.share();
            let wait =
                due.map_or(SLEEP_MAX, |due| Duration::from_millis(due.millis_since(now))).min(SLEEP_MAX);
            tokio::select! {
                signal = mailbox.recv() => return Ok(signal),
                // The entry keeps the sender for as long as the actor keeps the entry.
                _ = self.gates.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

impl Message<ActInRoom> for RoomActor {
    type Reply = DelegatedReply<Result<RoomActed, EngineError>>;

    async fn handle(&mut self, act: ActInRoom, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let (delegated, reply) = ctx.reply_sender();
        metrics::histogram!("onsale_mailbox_wait_seconds").record(act.queued.elapsed());
        let now = self.now();
        let mut draft = Draft::default();
        let outcome = self.act(&act, now, &mut draft);
        count_decision(&act.command, &outcome);
        self.append(draft, reply, outcome).await;
        delegated
    }
}

impl Message<FollowSchedule> for RoomActor {
    type Reply = DelegatedReply<Result<(), EngineError>>;

    async fn handle(&mut self, _: FollowSchedule, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let (delegated, reply) = ctx.reply_sender();
        let now = self.now();
        let mut draft = Draft::default();
        if self.shared.journal.failure().is_none() {
            self.apply_due(now, &mut draft);
        }
        self.append(draft, reply, Ok(())).await;
        delegated
    }
}

/// The events of one entry, before they are encoded.
#[derive(Default)]
struct Draft {
    happened: Vec<RoomHappened>,
    /// The version of the first of them.
    first_version: u64,
}

impl RoomActor {
    fn room(&self) -> &RoomEntry {
        self.entry.room()
    }

    /// Returns the present, never before the room's last event.
    fn now(&self) -> Timestamp {
        self.shared.clock.now().max(self.state.last_instant())
    }

    fn gate(&mut self) -> Gate {
        if self.state.settings().is_none() { self.state.gate() } else { *self.gates.borrow_and_update() }
    }

    fn act(&mut self, act: &ActInRoom, now: Timestamp, draft: &mut Draft) -> Result<RoomActed, EngineError> {
        if self.shared.journal.failure().is_some() {
            return Err(EngineError::JournalUnavailable);
        }
        self.apply_due(now, draft);
        if let Some(key) = act.cause.key
            && let Some(found) = self.state.find_key(key, now)
        {
            return match found {
                KeyFound::Reused => Err(EngineError::KeyReused),
                KeyFound::Answered { version, .. } if version > self.room().durable_version() => {
                    Err(EngineError::InProgress)
                }
                KeyFound::Answered { answer, .. } => Ok(RoomActed { answer: *answer, replayed: true }),
            };
        }
        let kept_tuning = match &act.command {
            Command::Configure { settings: Some(settings), .. } => self.state.kept_tuning(settings),
            Command::Configure { settings: None, .. }
            | Command::Tune(_)
            | Command::Follow(_)
            | Command::Join { .. }
            | Command::Leave { .. }
            | Command::Claim { .. }
            | Command::Finish { .. }
            | Command::BridgeOutage { .. } => None,
        };
        let Some(event) = self.state.decide(&act.command, now)? else {
            // It is so already: the key is all that is new.
            let kept = Event::KeyKept { ticket: self.named(&act.command) };
            let answer = self.state.answer(&kept);
            let keyed = act.cause.key.is_some();
            if keyed && !act.command.stays_so() {
                self.happen(kept, now, act.cause.clone(), draft);
                return Ok(RoomActed { answer, replayed: false });
            }
            return Ok(RoomActed { answer, replayed: keyed });
        };
        self.happen(event.clone(), now, act.cause.clone(), draft);
        let answer = self.state.answer(&event);
        // In the same entry, before anyone is let in by settings that nobody wanted.
        if let Some(kept) = kept_tuning
            && let Some(tuned) = self.state.decide(&Command::Tune(kept), now)?
        {
            self.happen(tuned, now, Cause { by: act.cause.by.clone(), key: None }, draft);
        }
        // Whoever ends a pass admits the next in the same step.
        self.apply_due(now, draft);
        Ok(RoomActed { answer, replayed: false })
    }

    /// Returns the place that a command is about where it changed nothing.
    fn named(&self, command: &Command) -> Option<Ticket> {
        match command {
            Command::Join { user } | Command::Finish { user } => self.state.standing(user),
            Command::Leave { ticket, .. } | Command::Claim { ticket } => Some(*ticket),
            Command::Configure { .. }
            | Command::Tune(_)
            | Command::Follow(_)
            | Command::BridgeOutage { .. } => None,
        }
    }

    /// Applies what the schedule, time and free places have brought by `now`.
    fn apply_due(&mut self, now: Timestamp, draft: &mut Draft) {
        self.apply_some_due(now, usize::MAX, draft);
    }

    fn apply_some_due(&mut self, now: Timestamp, most: usize, draft: &mut Draft) {
        let gate = self.gate();
        if gate != self.state.gate() {
            self.happen(Event::GateMoved { gate }, now, Cause::default(), draft);
        }
        while draft.happened.len() < most
            && let Some(event) = self.state.due(now, |ticket| self.room().last_seen(ticket))
        {
            self.happen(event, now, Cause::default(), draft);
        }
    }

    fn happen(&mut self, event: Event, at: Timestamp, cause: Cause, draft: &mut Draft) {
        self.state.apply(&event, at, cause.key);
        if draft.happened.is_empty() {
            draft.first_version = self.state.version();
        }
        draft.happened.push(RoomHappened { event, at, cause });
    }

    /// Appends what the schedule and time have brought, at most [`DUE_BATCH_MAX`] events.
    async fn bring(&mut self, now: Timestamp) {
        let mut draft = Draft::default();
        self.apply_some_due(now, DUE_BATCH_MAX, &mut draft);
        self.append::<()>(draft, None, Ok(())).await;
    }

    async fn append<T: Send + 'static>(
        &self,
        draft: Draft,
        reply: Reply<T>,
        outcome: Result<T, EngineError>,
    ) {
        let number = self.entry.number();
        let mut records = Records::with_capacity(96 * draft.happened.len());
        for (version, RoomHappened { event, at, cause }) in (draft.first_version..).zip(&draft.happened) {
            let encoded = records.push_with(|bytes| {
                record::encode_room_event(bytes, number, version, *at, cause.clone(), event);
                Ok::<(), crate::journal::EntryTooLarge>(())
            });
            encoded.expect("a room's events are bounded by its batches");
        }
        let entry = Arc::clone(&self.entry);
        let parked = Parked {
            records,
            ahead: self.state.version() > self.room().durable_version(),
            publish: move || {
                if !draft.happened.is_empty() {
                    entry.room().publish(&draft.happened);
                }
            },
            reply,
            outcome,
        };
        parked.append_to(&self.shared.journal).await;
    }

    /// Takes the blocks of people from the durable state now and then, and the tables of a draw once it is durable,
    /// while there is nothing else to do.
    fn share(&mut self) {
        let joined = self.state.joined_total();
        let drawing = self.state.drawing();
        let drawn = drawing.is_some() && drawing != self.draw_shared;
        if joined - self.shared_at < SHARE_EVERY && !drawn {
            return;
        }
        let entry = Arc::clone(&self.entry);
        let durable = entry.room().read();
        self.shared_at = joined;
        self.draw_shared = durable.drawing();
        self.state.share_with(&durable);
    }
}

/// What a user is told of the place that they have: the standing one needs no actor.
pub(super) fn standing(room: &WaitingRoom, user: &str, now: Timestamp) -> Option<Place> {
    use crate::domain::waiting_room::PlaceStatus;
    let place = room.place(room.standing(user)?, now)?;
    matches!(place.status, PlaceStatus::Waiting | PlaceStatus::Active).then_some(place)
}

fn count_decision(command: &Command, outcome: &Result<RoomActed, EngineError>) {
    let outcome = match outcome {
        Ok(RoomActed { replayed: false, .. }) => "done",
        Ok(RoomActed { replayed: true, .. }) => "replayed",
        Err(EngineError::RoomRefused(
            Refusal::NoRoom | Refusal::NotOnSale | Refusal::Full | Refusal::OrderFixed | Refusal::OutOfRange,
        )) => "refused",
        Err(
            EngineError::Refused(_)
            | EngineError::CatalogueRefused(_)
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
