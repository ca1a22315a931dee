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

/// What a seat map is known by: its version, and the sum of what it says. The version alone isn't enough, since an engine
/// that began from a restored backup comes to the same versions with other seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeatsMark {
    /// The map's version.
    pub version: u64,
    /// The sum of its statuses.
    pub sum: u64,
}

impl SeatsMark {
    fn of(schedule: &Schedule) -> Self {
        Self { version: schedule.seats_version(), sum: schedule.seats_sum() }
    }
}

/// One change of a seat map.
#[derive(Debug)]
pub struct Delta {
    /// The map with this change: its version is one more than the last.
    pub mark: SeatsMark,
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

/// The last changes of a seat map, without a gap.
struct Trail {
    /// The map before the first of them.
    base: SeatsMark,
    deltas: VecDeque<Arc<Delta>>,
}

impl Trail {
    fn latest(&self) -> SeatsMark {
        self.deltas.back().map_or(self.base, |delta| delta.mark)
    }

    /// Returns the map at a version, if the changes lead to it or away from it.
    fn at(&self, version: u64) -> Option<SeatsMark> {
        match usize::try_from(version.checked_sub(self.base.version)?).ok()?.checked_sub(1) {
            None => Some(self.base),
            Some(index) => self.deltas.get(index).map(|delta| delta.mark),
        }
    }
}

/// A schedule's durable state, and its actor. One that was read from the archive has none, and never changes.
pub struct ScheduleEntry {
    id: ScheduleId,
    number: ScheduleNumber,
    concert: ConcertId,
    layout: Arc<Layout>,
    durable: RwLock<Schedule>,
    durable_version: AtomicU64,
    trail: Mutex<Trail>,
    layout_sum: OnceLock<u32>,
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
            trail: Mutex::new(Trail { base: SeatsMark::of(&schedule), deltas: VecDeque::new() }),
            layout_sum: OnceLock::new(),
            durable: RwLock::new(schedule),
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

    /// Returns the changes after `version`, in order and without a gap, at most `max`; `None` when they are no longer kept.
    pub fn deltas_after(&self, version: u64, max: usize) -> Option<Vec<Arc<Delta>>> {
        let trail = self.trail.lock().unwrap_or_else(PoisonError::into_inner);
        // A copy of the map may be a moment ahead of the changes that lead to it.
        if version >= trail.latest().version {
            return Some(Vec::new());
        }
        let skipped = version.checked_sub(trail.base.version)?;
        let skipped = usize::try_from(skipped).expect("bounded by DELTAS_MAX");
        Some(trail.deltas.iter().skip(skipped).take(max).cloned().collect())
    }

    /// Returns what the map was known by at `version`, as far as its changes are kept.
    pub fn mark_at(&self, version: u64) -> Option<SeatsMark> {
        let now = self.seats_mark();
        if now.version == version {
            return Some(now);
        }
        self.trail.lock().unwrap_or_else(PoisonError::into_inner).at(version)
    }

    /// Returns what the map is known by now.
    pub fn seats_mark(&self) -> SeatsMark {
        SeatsMark::of(&self.read())
    }

    /// Copies the seat map: its version and every seat's status.
    pub fn seats(&self) -> (u64, Box<[SeatStatus]>) {
        let (mark, statuses) = self.marked_seats();
        (mark.version, statuses)
    }

    /// Copies the seat map: what it is known by, and every seat's status.
    pub fn marked_seats(&self) -> (SeatsMark, Box<[SeatStatus]>) {
        let schedule = self.read();
        (SeatsMark::of(&schedule), schedule.statuses().into())
    }

    /// Returns a checksum of where the seats are and what they are called, made at the first call.
    pub fn layout_sum(&self) -> u32 {
        *self.layout_sum.get_or_init(|| {
            let mut sum = crc32fast::Hasher::new();
            let mut text = |text: &str| {
                sum.update(text.as_bytes());
                // No id has a zero byte.
                sum.update(&[0]);
            };
            for row in self.layout.rows() {
                let section = &self.layout.sections()[usize::from(row.section)];
                for name in [&section.floor, &section.id, &row.id] {
                    text(name);
                }
                text(&self.layout.grades()[row.grade.index()]);
                for seat in row.seats() {
                    text(self.layout.seat_id(seat));
                    text(&self.layout.seat_number(seat).to_string());
                }
            }
            sum.finalize()
        })
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
            let seats_version = last.mark.version;
            self.keep_deltas(deltas);
            self.seats_version.send_replace(seats_version);
        }
        self.durable_version.store(version, Ordering::Release);
        newcomers
    }

    fn keep_deltas(&self, new: Vec<Arc<Delta>>) {
        let mut trail = self.trail.lock().unwrap_or_else(PoisonError::into_inner);
        let Trail { base, deltas } = &mut *trail;
        deltas.extend(new);
        let surplus = deltas.len().saturating_sub(DELTAS_MAX);
        if let Some(last) = deltas.drain(..surplus).next_back() {
            *base = last.mark;
        }
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
    Delta { mark: SeatsMark::of(schedule), seats: seats.collect(), frame: OnceLock::new() }
}
