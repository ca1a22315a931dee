//! A schedule as everyone but its actor sees it: the durable state, and its seat map's changes.
//!
//! [`ScheduleEntry`] holds the schedule as it stands after the last flush, its seat map's last changes, and its waiting room.

use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLockReadGuard};

use bytes::Bytes;
use kameo::actor::ActorRef;
use tokio::sync::watch;

use crate::domain::ids::{ConcertId, ScheduleId, ScheduleNumber};
use crate::domain::schedule::{AreaChange, Counts, Schedule, SeatStatus};
use crate::domain::venue::{Layout, Seat};
use crate::domain::waiting_room::{Gate, WaitingRoom};
use crate::engine::live::Live;
use crate::engine::room::RoomEntry;

/// How many changes of a seat map are kept for those who follow it; who falls further behind starts anew.
pub const DELTAS_MAX: usize = 1_024;

/// Identifies a state of a seat map: its version, and the checksum of its statuses. The version alone isn't enough, since an engine
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

/// A copy of a seat map.
#[derive(Debug)]
pub struct MarkedMap {
    /// Which state of the map it is.
    pub mark: SeatsMark,
    /// Every seat's status, by the seat's index.
    pub statuses: Box<[SeatStatus]>,
    /// How many places of each area have each status, by the area's index.
    pub areas: Box<[Counts]>,
}

/// One change of a seat map.
#[derive(Debug)]
pub struct Delta {
    /// The map with this change: its version is one more than the last.
    pub mark: SeatsMark,
    /// The seats whose status changed.
    pub seats: Box<[(Seat, SeatStatus)]>,
    /// The areas whose counts changed.
    pub areas: Box<[AreaChange]>,
    /// The change as it is sent, made by the first who sends it and shared by all.
    frame: OnceLock<Bytes>,
}

impl Delta {
    /// Returns the change as it is sent; `encode` runs once, for the first who asks.
    pub fn frame(&self, encode: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.frame.get_or_init(|| encode(self)).clone()
    }
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

    fn extend(&mut self, new: Vec<Arc<Delta>>) {
        for delta in new {
            assert_eq!(delta.mark.version, self.latest().version + 1, "a seat map's changes have no gap");
            self.deltas.push_back(delta);
        }

        let surplus = self.deltas.len().saturating_sub(DELTAS_MAX);
        if let Some(last) = self.deltas.drain(..surplus).next_back() {
            self.base = last.mark;
        }
        assert!(self.deltas.len() <= DELTAS_MAX, "a trail keeps within its bound");
    }

    /// Returns the map at a version, if the changes lead to it or away from it.
    fn at(&self, version: u64) -> Option<SeatsMark> {
        match usize::try_from(version.checked_sub(self.base.version)?).ok()?.checked_sub(1) {
            None => Some(self.base),
            Some(index) => self.deltas.get(index).map(|delta| delta.mark),
        }
    }
}

/// The data that everyone sees beside a schedule's state.
pub(in crate::engine) struct SeatMap {
    trail: Mutex<Trail>,
    /// Whether anyone should be let in from the waiting room.
    gate: watch::Sender<Gate>,
}

impl SeatMap {
    fn of(schedule: &Schedule) -> Self {
        let trail = Trail { base: SeatsMark::of(schedule), deltas: VecDeque::new() };
        Self { trail: Mutex::new(trail), gate: watch::Sender::new(gate_of(schedule)) }
    }

    fn trail(&self) -> std::sync::MutexGuard<'_, Trail> {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the changes of the map and of the gate; returns the map's version, where followers have to look. Called by
    /// the journal, in order, once the schedule's lock is let go.
    pub(super) fn show(&self, changes: Changes) -> Option<u64> {
        let Changes { deltas, gate, deleted, seats_version } = changes;
        self.gate.send_if_modified(|standing| core::mem::replace(standing, gate) != gate);
        if !deltas.is_empty() {
            self.trail().extend(deltas);
            return Some(seats_version);
        }
        // The map's followers learn that there is no more to follow.
        deleted.then_some(seats_version)
    }
}

/// The changes that some events made to a seat map, and the gate behind them.
pub(super) struct Changes {
    deltas: Vec<Arc<Delta>>,
    gate: Gate,
    deleted: bool,
    seats_version: u64,
}

impl Changes {
    /// Takes the state to which `deltas` led.
    pub(super) fn of(schedule: &Schedule, deltas: Vec<Arc<Delta>>) -> Self {
        let (gate, deleted) = (gate_of(schedule), schedule.is_deleted());
        Self { deltas, gate, deleted, seats_version: schedule.seats_version() }
    }
}

/// A schedule's durable state, and its actor. One that was read from the archive has none, and never changes.
pub struct ScheduleEntry {
    id: ScheduleId,
    number: ScheduleNumber,
    concert: ConcertId,
    layout: Arc<Layout>,
    layout_sum: OnceLock<u32>,
    live: Arc<Live<Schedule>>,
    room: RoomEntry,
    /// Whether it was moved to the archive: this entry is on its way out.
    moved: AtomicBool,
    archived: bool,
}

impl ScheduleEntry {
    /// Makes the entry of a schedule and its waiting room, whose whole state is durable.
    pub fn new(schedule: Schedule, room: WaitingRoom) -> Self {
        let map = SeatMap::of(&schedule);
        let seats_version = schedule.seats_version();
        Self {
            id: schedule.id().clone(),
            number: schedule.number(),
            concert: schedule.concert().clone(),
            layout: Arc::clone(schedule.layout()),
            layout_sum: OnceLock::new(),
            room: RoomEntry::new(room, map.gate.subscribe()),
            live: Arc::new(Live::new(schedule, map, seats_version)),
            moved: AtomicBool::new(false),
            archived: false,
        }
    }

    /// Makes the entry of a schedule that was read from the archive.
    pub(in crate::engine) fn from_archive(schedule: Schedule) -> Self {
        let room = WaitingRoom::new(schedule.number());
        Self { archived: true, ..Self::new(schedule, room) }
    }

    /// Tells whether it was read from the archive: nothing of it changes any more.
    pub fn is_archived(&self) -> bool {
        self.archived
    }

    /// Tells whether it is gone: removed, or moved to the archive. Its followers have nothing more to follow.
    pub fn is_gone(&self) -> bool {
        self.has_moved() || self.read().is_deleted()
    }

    /// Tells whether it was moved to the archive since this entry was found: who looks again finds it there.
    pub(in crate::engine) fn has_moved(&self) -> bool {
        self.moved.load(Ordering::Acquire)
    }

    /// Returns its durable state and its actor.
    pub(in crate::engine) fn live(&self) -> &Arc<Live<Schedule>> {
        &self.live
    }

    /// Ends its streams, now that it is in the archive.
    pub(in crate::engine) fn let_go(&self) {
        self.moved.store(true, Ordering::Release);
        self.live.wake_followers();
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
        self.live.read()
    }

    /// Returns the version of the durable state.
    pub fn durable_version(&self) -> u64 {
        self.live.durable_version()
    }

    /// Follows the version of the seat map.
    pub fn watch_seats(&self) -> watch::Receiver<u64> {
        self.live.watch()
    }

    /// Returns its waiting room, which is shut where the policy has none.
    pub fn room(&self) -> &RoomEntry {
        &self.room
    }

    /// Tells whether anyone follows the seat map.
    pub fn followers(&self) -> usize {
        self.live.followers()
    }

    /// Returns the changes after `version`, in order and without a gap, at most `max`; `None` when they are no longer kept.
    pub fn deltas_after(&self, version: u64, max: usize) -> Option<Vec<Arc<Delta>>> {
        let trail = self.live.view.trail();
        // A copy of the map may be a moment ahead of the changes that lead to it.
        if version >= trail.latest().version {
            return Some(Vec::new());
        }

        let skipped = version.checked_sub(trail.base.version)?;
        let skipped = usize::try_from(skipped).expect("bounded by DELTAS_MAX");
        Some(trail.deltas.iter().skip(skipped).take(max).cloned().collect())
    }

    /// Returns the map's mark at `version`, as far as its changes are kept.
    pub fn mark_at(&self, version: u64) -> Option<SeatsMark> {
        let now = self.seats_mark();
        if now.version == version {
            return Some(now);
        }
        self.live.view.trail().at(version)
    }

    /// Returns the map's present mark.
    pub fn seats_mark(&self) -> SeatsMark {
        SeatsMark::of(&self.read())
    }

    /// Copies the seat map: its version and every seat's status.
    pub fn seats(&self) -> (u64, Box<[SeatStatus]>) {
        let MarkedMap { mark, statuses, .. } = self.marked_map();
        (mark.version, statuses)
    }

    /// Copies the seat map.
    pub fn marked_map(&self) -> MarkedMap {
        let schedule = self.read();
        MarkedMap {
            mark: SeatsMark::of(&schedule),
            statuses: schedule.statuses().into(),
            areas: schedule.area_counts().into(),
        }
    }

    /// Returns a checksum of the seats' places and names, made at the first call.
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
            for area in self.layout.areas() {
                text(&area.floor);
                text(&area.id);
                text(&self.layout.grades()[area.grade.index()]);
                text(&area.capacity.to_string());
            }
            sum.finalize()
        })
    }

    /// Tells whether its actor runs or is being started again; once its restarts are spent it doesn't.
    pub fn is_running(&self) -> bool {
        self.live.actor().is_some_and(ActorRef::is_alive)
    }

    /// Returns how many messages wait for its actor: none where it doesn't run.
    pub fn mailbox_depth(&self) -> usize {
        self.live.mailbox_depth()
    }
}

impl core::fmt::Debug for ScheduleEntry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ScheduleEntry").field("id", &self.id).finish_non_exhaustive()
    }
}

fn gate_of(schedule: &Schedule) -> Gate {
    Gate::of(schedule.sale_status(), schedule.sellable())
}

impl Delta {
    /// Makes the change that the last event made, if it made any.
    pub(super) fn of(schedule: &Schedule) -> Option<Self> {
        if !schedule.has_changed() {
            return None;
        }
        let statuses = schedule.statuses();
        let seats = schedule.changed().iter().map(|seat| (*seat, statuses[seat.index()]));
        Some(Self {
            mark: SeatsMark::of(schedule),
            seats: seats.collect(),
            areas: schedule.changed_areas().collect(),
            frame: OnceLock::new(),
        })
    }
}
