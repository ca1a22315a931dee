//! A schedule as everyone but its actor sees it: the durable state, and what follows from it.
//!
//! [`ScheduleEntry`] holds the schedule as it stands after the last flush. Its only writer is the
//! journal, which applies each event once it is durable and before the reply to it is given; so a reader
//! never sees what could be lost, and never less than what was acknowledged (V1). The actor runs ahead
//! of it, and recovers from it. Readers hold its lock for a look-up or a copy, never over an await.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use kameo::actor::ActorRef;
use tokio::sync::watch;

use super::room::RoomEntry;
use super::schedule_actor::ScheduleActor;
use crate::domain::cause::Cause;
use crate::domain::ids::{ConcertId, ScheduleId, ScheduleNumber, UserId};
use crate::domain::schedule::{Event, Schedule, SeatStatus};
use crate::domain::time::Timestamp;
use crate::domain::venue::{Layout, Seat};
use crate::domain::waiting_room::{Gate, WaitingRoom};

/// How many changes of a seat map are kept for those who follow it; who falls further behind starts anew.
pub const DELTAS_MAX: usize = 1_024;

/// One change of a seat map.
#[derive(Debug)]
pub struct Delta {
    /// The map's version with this change: one more than the last.
    pub version: u64,
    /// The seats whose status changed.
    pub seats: Box<[(Seat, SeatStatus)]>,
    /// The change as it is sent, made by the first who sends it and shared by all.
    frame: OnceLock<Bytes>,
}

impl Delta {
    /// Returns the change as it is sent; `encode` runs once, whoever asks.
    pub fn frame(&self, encode: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.frame.get_or_init(|| encode(self)).clone()
    }
}

/// An event with its instant and the idempotency key whose effect it is.
#[derive(Debug, Clone)]
pub(super) struct Happened {
    /// What happened.
    pub event: Event,
    /// When.
    pub at: Timestamp,
    /// Who asked, and with which key.
    pub cause: Cause,
}

/// A schedule's durable state, and its actor. One that was read from the archive has none, and never changes.
pub struct ScheduleEntry {
    id: ScheduleId,
    number: ScheduleNumber,
    concert: ConcertId,
    layout: Arc<Layout>,
    durable: RwLock<Schedule>,
    durable_version: AtomicU64,
    deltas: Mutex<VecDeque<Arc<Delta>>>,
    seats_version: watch::Sender<u64>,
    gate: watch::Sender<Gate>,
    room: RoomEntry,
    actor: OnceLock<ActorRef<ScheduleActor>>,
    /// Whether it takes no changes, since it is being moved to the archive.
    closed: AtomicBool,
    /// Whether it was moved there: this entry is on its way out.
    moved: AtomicBool,
    archived: bool,
}

impl ScheduleEntry {
    /// Makes the entry of a schedule and its waiting room, whose whole state is durable.
    pub fn new(schedule: Schedule, room: WaitingRoom) -> Self {
        Self {
            id: schedule.id().clone(),
            number: schedule.number(),
            concert: schedule.concert().clone(),
            layout: Arc::clone(schedule.layout()),
            durable_version: AtomicU64::new(schedule.version()),
            seats_version: watch::Sender::new(schedule.seats_version()),
            gate: watch::Sender::new(gate_of(&schedule)),
            room: RoomEntry::new(room),
            durable: RwLock::new(schedule),
            deltas: Mutex::new(VecDeque::new()),
            actor: OnceLock::new(),
            closed: AtomicBool::new(false),
            moved: AtomicBool::new(false),
            archived: false,
        }
    }

    /// Makes the entry of a schedule that was read from the archive.
    pub(super) fn from_archive(schedule: Schedule) -> Self {
        let room = WaitingRoom::new(schedule.number());
        Self { archived: true, ..Self::new(schedule, room) }
    }

    /// Tells whether it was read from the archive: nothing of it changes any more.
    pub fn is_archived(&self) -> bool {
        self.archived
    }

    /// Tells whether it is gone: removed, or moved to the archive. Whoever follows it has nothing more to follow.
    pub fn is_gone(&self) -> bool {
        self.has_moved() || self.read().is_deleted()
    }

    /// Tells whether it was moved to the archive since this entry was found: who looks again finds it there.
    pub(super) fn has_moved(&self) -> bool {
        self.moved.load(Ordering::Acquire)
    }

    /// Says whether it takes changes; while it doesn't, they are refused as not ready.
    pub(super) fn set_closed(&self, closed: bool) {
        self.closed.store(closed, Ordering::Release);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Ends what follows it, now that it is in the archive.
    pub(super) fn let_go(&self) {
        self.moved.store(true, Ordering::Release);
        self.wake_followers();
    }

    fn wake_followers(&self) {
        self.seats_version.send_modify(|_| ());
        self.room.wake_followers();
    }

    /// Returns its id.
    pub fn id(&self) -> &ScheduleId {
        &self.id
    }

    /// Returns its number in the log.
    pub fn number(&self) -> ScheduleNumber {
        self.number
    }

    /// Returns the concert that it performs.
    pub fn concert(&self) -> &ConcertId {
        &self.concert
    }

    /// Returns its seats' layout.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Looks at the durable state. Don't keep the guard over an await: the journal waits for it.
    pub fn read(&self) -> RwLockReadGuard<'_, Schedule> {
        self.durable.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the version of the durable state.
    pub fn durable_version(&self) -> u64 {
        self.durable_version.load(Ordering::Acquire)
    }

    /// Follows the version of the seat map.
    pub fn watch_seats(&self) -> watch::Receiver<u64> {
        self.seats_version.subscribe()
    }

    /// Returns its waiting room, which is shut where the policy has none.
    pub fn room(&self) -> &RoomEntry {
        &self.room
    }

    /// Follows whether anyone should be let in from the waiting room.
    pub(super) fn watch_gate(&self) -> watch::Receiver<Gate> {
        self.gate.subscribe()
    }

    /// Tells whether anyone follows the seat map.
    pub fn followers(&self) -> usize {
        self.seats_version.receiver_count()
    }

    /// Returns the changes after `version`, in order and without a gap; `None` when they are no longer
    /// kept.
    pub fn deltas_after(&self, version: u64) -> Option<Vec<Arc<Delta>>> {
        let deltas = self.deltas.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = deltas.back().map_or_else(|| *self.seats_version.borrow(), |delta| delta.version);
        // A copy of the map may be a moment ahead of the changes that lead to it.
        if version >= latest {
            return Some(Vec::new());
        }
        let oldest = deltas.front()?.version;
        if version + 1 < oldest {
            return None;
        }
        let skipped = usize::try_from(version + 1 - oldest).expect("bounded by DELTAS_MAX");
        Some(deltas.iter().skip(skipped).cloned().collect())
    }

    /// Copies the seat map: its version and every seat's status.
    pub fn seats(&self) -> (u64, Box<[SeatStatus]>) {
        let schedule = self.read();
        (schedule.seats_version(), schedule.statuses().into())
    }

    /// Tells whether its actor runs or is being started again; once its restarts are spent it doesn't.
    pub fn is_running(&self) -> bool {
        self.actor.get().is_some_and(ActorRef::is_alive)
    }

    /// Returns how many messages wait for its actor: none where it doesn't run.
    pub fn mailbox_depth(&self) -> usize {
        let depth = |actor: &ActorRef<ScheduleActor>| {
            let mailbox = actor.mailbox_sender();
            Some(mailbox.max_capacity()?.saturating_sub(mailbox.capacity()?))
        };
        self.actor.get().and_then(depth).unwrap_or_default()
    }

    /// Returns its actor, once it runs.
    pub(super) fn actor(&self) -> Option<&ActorRef<ScheduleActor>> {
        self.actor.get()
    }

    pub(super) fn set_actor(&self, actor: ActorRef<ScheduleActor>) {
        assert!(self.actor.set(actor).is_ok(), "a schedule has one actor");
    }

    /// Applies events that have just become durable; returns the users who are new here.
    ///
    /// Called by the journal, in order.
    pub(super) fn publish(&self, happened: &[Happened]) -> Vec<UserId> {
        let mut newcomers = Vec::new();
        let mut deltas = Vec::new();
        let (version, deleted, gate) = {
            let mut schedule = self.durable.write().unwrap_or_else(PoisonError::into_inner);
            for Happened { event, at, cause } in happened {
                if let Event::SeatsHeld { user, .. } = event
                    && !schedule.knows(user)
                {
                    newcomers.push(user.clone());
                }
                schedule.apply(event, *at, cause.key);
                if !schedule.changed().is_empty() {
                    deltas.push(Arc::new(delta_of(&schedule)));
                }
            }
            (schedule.version(), schedule.is_deleted(), gate_of(&schedule))
        };
        self.gate.send_if_modified(|standing| core::mem::replace(standing, gate) != gate);
        if deleted {
            // Whoever follows the map, or a place in the room, learns that there is no more to follow.
            self.wake_followers();
        }
        if let Some(last) = deltas.last() {
            let seats_version = last.version;
            self.keep_deltas(deltas);
            self.seats_version.send_replace(seats_version);
        }
        self.durable_version.store(version, Ordering::Release);
        newcomers
    }

    fn keep_deltas(&self, new: Vec<Arc<Delta>>) {
        let mut deltas = self.deltas.lock().unwrap_or_else(PoisonError::into_inner);
        deltas.extend(new);
        let surplus = deltas.len().saturating_sub(DELTAS_MAX);
        deltas.drain(..surplus);
    }
}

impl std::fmt::Debug for ScheduleEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScheduleEntry").field("id", &self.id).finish_non_exhaustive()
    }
}

fn gate_of(schedule: &Schedule) -> Gate {
    Gate::of(schedule.sale_status(), schedule.counts())
}

fn delta_of(schedule: &Schedule) -> Delta {
    let statuses = schedule.statuses();
    let seats = schedule.changed().iter().map(|seat| (*seat, statuses[seat.index()]));
    Delta { version: schedule.seats_version(), seats: seats.collect(), frame: OnceLock::new() }
}
