//! A waiting room: who waits for the seats of one schedule, in what order, and who is at them.
//!
//! [`WaitingRoom::decide`] says what a command would do, or why not; [`WaitingRoom::apply`] does what happened;
//! [`WaitingRoom::due`] says what time and a free place have brought, and is asked before every decision and after it. So
//! a pass that ends admits the next user in the same step.
//!
//! Everyone who joins gets the next ticket. The line's order is that of the tickets; a draw, where the policy
//! asks for one, exchanges who stands in which slot of it, among those who have no position yet. A slot is never taken twice and
//! nobody is put before one who has a position, so a position never grows (Q1).
//!
//! **When a room draws.** At its opening: users who joined before have no position until then. If the opening is moved to an instant
//! ahead (or to a sale that isn't open yet) after a draw, the room draws again at the new opening, by another seed whose hash is
//! published when the opening is moved:
//! - nobody waits: the first draw is as if it had never been made. A wrong instant, or a rehearsal, costs the later fans nothing;
//! - people wait who have positions, drawn or behind a draw: they keep them. Those who join from then on have none until the next
//!   draw, which puts them in order behind those;
//! - people were admitted: they stay at the seats. It makes no difference.
//!
//! The opening moved while the draw is ahead, there is still one draw, by the seed whose hash is out. Moved to an instant that has
//! passed, or not moved, it brings no draw.
//!
//! Absent on purpose: clocks, randomness, I/O, the wire, the schedule (what the room must know of it is told: [`Gate`]).
//!
//! Invariants, checked by [`WaitingRoom::check_invariants`]:
//! - a user has at most one place, waiting or active;
//! - a user who is admitted was first in line, and then at most `active_max` were active (asserted in `apply`);
//! - the ends are exactly those of the active.

mod apply;
mod command;
mod decide;
pub mod draw;
mod image;
mod line;
mod pace;
mod people;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use hashbrown::HashMap;

pub use command::{
    Answer, Command, Event, Gate, Overview, Place, PlaceStatus, Refusal, Settings, Ticket, Tuning,
};
pub use image::{Drawing, RoomBlock, RoomImage};
pub use people::Block;

use draw::Seed;
use line::Line;
use pace::Pace;
use people::People;

use super::ids::ScheduleNumber;
use super::keys::{KeyFound, KeyUse, Keys};
use super::schedule::policy::QueueOrder;
use super::time::Timestamp;

/// The most that may wait in one room.
pub const WAITING_MAX: u32 = 50_000_000;
/// How many are admitted, or lose their passes, by one event at most.
pub const BATCH_MAX: usize = 256;
/// How many finished places are told from expired ones; older ones are said to have expired.
const DONE_MAX: usize = 65_536;

/// The waiting room of one schedule. One that was never configured is empty and shut.
#[derive(Debug, Clone)]
pub struct WaitingRoom {
    number: ScheduleNumber,
    /// The settings that the room runs by: as configured, and tuned since.
    settings: Option<Settings>,
    /// The settings of the last configuration; they stay when the room is shut, which keeps as many keys as before.
    configured: Option<Settings>,
    paused: bool,
    gate: Gate,
    pace: Pace,

    seed: Option<Seed>,
    drawn: Option<Drawn>,

    people: People,
    line: Line,
    /// Nobody with a ticket before it waits.
    oldest: u32,
    active: HashMap<u32, Active>,
    /// The active by the instant at which they end, if nothing else happens.
    ends: BTreeSet<(Timestamp, u32)>,
    done: EndedPlaces,
    admitted_total: u64,

    keys: Keys<Answer>,
    version: u64,
    last_instant: Timestamp,
}

/// The draws that were made: who stands in whose slot. The tables lead through everyone who has a position by a draw, or got one
/// behind it before the opening was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Drawn {
    /// The last draw's.
    seed: Seed,
    /// How many were drawn by it.
    count: u32,
    /// The first ticket (and slot) of the two tables.
    first: u32,
    /// By slot, the ticket that stands there.
    ticket_of: Arc<[u32]>,
    /// By ticket, the slot that it stands in.
    slot_of: Arc<[u32]>,
}

impl Drawn {
    /// Returns the ticket behind the tables' last.
    fn end(&self) -> u32 {
        self.first + u32::try_from(self.ticket_of.len()).expect("there are fewer than tickets")
    }
}

/// One who is at the seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Active {
    activated_at: Timestamp,
    expires_at: Timestamp,
    /// Until when a sign of life must come, or the next one; nothing where none is awaited any more.
    claim_by: Option<Timestamp>,
}

impl Active {
    fn ends_at(&self) -> Timestamp {
        self.claim_by.map_or(self.expires_at, |claim_by| claim_by.min(self.expires_at))
    }
}

/// The places that ended otherwise than by time, as far as they are remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct EndedPlaces {
    order: VecDeque<u32>,
    tickets: hashbrown::HashSet<u32>,
}

impl EndedPlaces {
    fn add(&mut self, ticket: Ticket) {
        self.tickets.insert(ticket.0);
        self.order.push_back(ticket.0);
        if self.order.len() > DONE_MAX
            && let Some(old) = self.order.pop_front()
        {
            self.tickets.remove(&old);
        }
    }
}

impl WaitingRoom {
    /// Makes a room before its first event: shut, with nobody in it.
    pub fn new(number: ScheduleNumber) -> Self {
        Self {
            number,
            settings: None,
            configured: None,
            paused: false,
            gate: Gate::default(),
            pace: Pace::default(),
            seed: None,
            drawn: None,
            people: People::default(),
            line: Line::default(),
            oldest: 1,
            active: HashMap::new(),
            ends: BTreeSet::new(),
            done: EndedPlaces::default(),
            admitted_total: 0,
            keys: Keys::new(0),
            version: 0,
            last_instant: Timestamp::ZERO,
        }
    }

    /// Returns the number of its schedule.
    pub fn number(&self) -> ScheduleNumber {
        self.number
    }

    /// Returns the settings that it runs by; nothing when it is shut.
    pub fn settings(&self) -> Option<&Settings> {
        self.settings.as_ref()
    }

    /// Returns the settings of the last configuration, before any tuning; nothing when it is shut.
    pub fn configured(&self) -> Option<&Settings> {
        self.configured.as_ref().filter(|_| self.settings.is_some())
    }

    /// Returns its knowledge of its schedule.
    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// Returns the number of events so far.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the instant of the last event.
    pub fn last_instant(&self) -> Timestamp {
        self.last_instant
    }

    /// Returns the idempotency keys that it has seen.
    pub fn keys(&self) -> &Keys<Answer> {
        &self.keys
    }

    /// Returns how many wait.
    pub fn waiting(&self) -> u32 {
        self.line.len()
    }

    /// Returns how many are at the seats.
    pub fn active(&self) -> u32 {
        u32::try_from(self.active.len()).expect("at most as many as a u32 allows")
    }

    /// Returns how many have ever joined.
    pub fn joined_total(&self) -> u32 {
        self.people.tickets()
    }

    /// Returns the hash of the seed, which is published before the draw.
    pub fn commitment(&self) -> Option<[u8; 32]> {
        self.seed.or_else(|| self.drawn.as_ref().map(|drawn| drawn.seed)).map(|seed| seed.commitment())
    }

    /// Returns the seed of the last draw, and how many were drawn by it; nothing as long as one is to come.
    pub fn drawing(&self) -> Option<(Seed, u32)> {
        let made = self.drawn.as_ref().filter(|_| !self.draw_pending());
        made.map(|drawn| (drawn.seed, drawn.count))
    }

    /// Returns those who wait for a draw to give them a position, in order of joining.
    pub fn undrawn(&self) -> impl Iterator<Item = Ticket> {
        let from = if self.draw_pending() { self.undrawn_from() } else { u32::MAX };
        // Their slots are their tickets.
        self.line.slots_from(from).map(Ticket)
    }

    /// Returns the room in short.
    pub fn overview(&self) -> Overview {
        let policy = self.settings.as_ref().map(|settings| &settings.policy);
        Overview {
            waiting: self.waiting(),
            active: self.active(),
            active_max: policy.map_or(0, |policy| policy.active_max),
            admit_per_minute: policy.and_then(|policy| policy.admit_per_minute),
            paused: self.paused,
            admitted_total: self.admitted_total,
            gate: self.gate,
        }
    }

    /// Finds the place that a user has.
    pub fn standing(&self, user: &str) -> Option<Ticket> {
        self.people.find(user)
    }

    /// Returns who has a place.
    pub fn user(&self, ticket: Ticket) -> Option<&str> {
        self.has(ticket).then(|| self.people.user(ticket))
    }

    /// Returns when the user of a ticket joined; kept as long as they have the place.
    pub fn joined_at(&self, ticket: Ticket) -> Option<Timestamp> {
        self.people.joined_at(ticket)
    }

    /// Tells whether the holder of a ticket still has the place.
    pub fn has(&self, ticket: Ticket) -> bool {
        self.is_waiting(ticket) || self.active.contains_key(&ticket.0)
    }

    /// Returns how many are admitted before a waiting user and with them: 1 is the next. None before the draw.
    pub fn position(&self, ticket: Ticket) -> Option<u32> {
        let drawn = !self.draw_pending() || ticket.0 < self.undrawn_from();
        let known = self.is_waiting(ticket) && drawn;
        known.then(|| self.line.rank(self.slot_of(ticket.0)))
    }

    /// Returns a place as it stands at `now`, whether or not the event that says so has come; `None` once it is
    /// over and forgotten.
    pub fn place(&self, ticket: Ticket, now: Timestamp) -> Option<Place> {
        let issued_at = self.joined_at(ticket)?;
        if let Some(active) = self.active.get(&ticket.0) {
            let over = active.ends_at() <= now;
            return Some(Place {
                ticket,
                status: if over { PlaceStatus::Expired } else { PlaceStatus::Active },
                position: None,
                issued_at,
                activated_at: Some(active.activated_at),
                expires_at: active.expires_at,
            });
        }

        if !self.is_waiting(ticket) {
            return None;
        }

        let expires_at = self.waiting_until(issued_at);
        let over = expires_at <= now;
        Some(Place {
            ticket,
            status: if over { PlaceStatus::Expired } else { PlaceStatus::Waiting },
            position: self.position(ticket).filter(|_| !over),
            issued_at,
            activated_at: None,
            expires_at,
        })
    }

    /// Tells how a place ended that nobody has any more.
    pub fn ending(&self, ticket: Ticket) -> PlaceStatus {
        if self.done.tickets.contains(&ticket.0) { PlaceStatus::Done } else { PlaceStatus::Expired }
    }

    /// Returns the active with the instants at which they end: by time, and unless a sign of life comes.
    pub fn actives(&self) -> impl Iterator<Item = (Ticket, Timestamp, Option<Timestamp>)> {
        self.active.iter().map(|(ticket, active)| (Ticket(*ticket), active.expires_at, active.claim_by))
    }

    /// Returns when an active place ends: by time, and unless a sign of life comes.
    pub fn pass(&self, ticket: Ticket) -> Option<(Timestamp, Option<Timestamp>)> {
        self.active.get(&ticket.0).map(|active| (active.expires_at, active.claim_by))
    }

    /// Tells whether people wait who are admitted as others go: not before the room opens, nor while it is paused.
    pub fn is_moving(&self, now: Timestamp) -> bool {
        let Some(settings) = &self.settings else { return false };
        let open = settings.opens_at.is_none_or(|at| at <= now) && now < settings.closes_at;
        open && !self.paused && self.gate == Gate::Open && self.waiting() > 0
    }

    /// Returns those who wait, in the order in which they will be admitted (before a draw: in which they joined).
    pub fn in_line(&self) -> impl Iterator<Item = Ticket> {
        self.line.slots().map(|slot| Ticket(self.ticket_of(slot)))
    }

    /// Looks an idempotency key up.
    pub fn find_key(&self, key: KeyUse, now: Timestamp) -> Option<KeyFound<'_, Answer>> {
        self.keys.find(key, now)
    }

    /// Returns the first instant at which time alone changes something, if there is one; it may have passed by `now`.
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let closes_at = self.settings.as_ref()?.closes_at;
        let pass = self.ends.first().map(|(at, _)| *at);
        let place = self.oldest_waiting().map(|(_, until)| until);
        let admission = self.admission_at().filter(|_| now < closes_at);
        [pass, place, self.draw_at(), admission].into_iter().flatten().min()
    }

    /// Takes the bytes of who waits from another copy of the same room, so that both have one.
    pub fn share_with(&mut self, other: &Self) {
        self.people.share(&other.people);
        if let (Some(mine), Some(other)) = (&mut self.drawn, &other.drawn)
            && (mine.seed, mine.first, mine.count) == (other.seed, other.first, other.count)
            && mine.ticket_of.len() == other.ticket_of.len()
        {
            *mine = other.clone();
        }
    }

    /// Returns the number of bytes that it takes on the heap, for benchmarks.
    pub fn heap_bytes(&self) -> usize {
        let tables = self.drawn.as_ref().map_or(0, |drawn| 4 * (drawn.ticket_of.len() + drawn.slot_of.len()));
        let active = self.active.capacity() * size_of::<(u32, Active)>() + self.ends.len() * 32;
        self.people.heap_bytes() + self.line.heap_bytes() + tables + active
    }

    /// Checks every invariant of the module's documentation.
    ///
    /// # Panics
    /// When one doesn't hold.
    pub fn check_invariants(&self) {
        let waiting: Vec<Ticket> = self.in_line().collect();
        assert_eq!(waiting.len(), self.line.slots().count());
        assert_eq!(u32::try_from(waiting.len()), Ok(self.waiting()), "the count is that of the line");
        assert!(waiting.iter().all(|ticket| ticket.0 >= self.oldest), "nobody waits before the oldest");
        let mut live = waiting;
        live.extend(self.active.keys().map(|ticket| Ticket(*ticket)));
        self.people.check(&live);
        let ends: BTreeSet<_> =
            self.active.iter().map(|(ticket, active)| (active.ends_at(), *ticket)).collect();
        assert_eq!(ends, self.ends, "every pass has its end");
        let Some(settings) = &self.settings else {
            assert!(live.is_empty() && self.seed.is_none(), "nobody is in a room that is shut");
            return;
        };
        let shuffles = settings.policy.order == QueueOrder::Shuffle;
        assert!(shuffles || self.seed.is_none(), "Q1: a draw is to come only where one is asked for");
        assert!(!shuffles || self.seed.is_some() || self.drawn.is_some(), "Q1: a shuffled room has its draw");
    }

    fn is_waiting(&self, ticket: Ticket) -> bool {
        ticket.0 != 0 && self.line.has(self.slot_of(ticket.0))
    }

    fn slot_of(&self, ticket: u32) -> u32 {
        self.drawn.as_ref().map_or(ticket, |drawn| looked_up(&drawn.slot_of, drawn.first, ticket))
    }

    fn ticket_of(&self, slot: u32) -> u32 {
        self.drawn.as_ref().map_or(slot, |drawn| looked_up(&drawn.ticket_of, drawn.first, slot))
    }

    /// Tells whether a draw is to come: its seed is there, and still a secret.
    fn draw_pending(&self) -> bool {
        self.seed.is_some()
    }

    /// Returns the first ticket that no draw has given a position, nor a place behind one.
    fn undrawn_from(&self) -> u32 {
        self.drawn.as_ref().map_or(0, Drawn::end)
    }

    /// Returns until when one waits who joined at an instant. Nobody loses time before the room opens.
    fn waiting_until(&self, joined_at: Timestamp) -> Timestamp {
        let Some(settings) = &self.settings else { return joined_at };
        let from = settings.opens_at.map_or(joined_at, |opens_at| opens_at.max(joined_at));
        from.plus(settings.policy.waiting)
    }

    /// Returns who has waited for the longest, and until when they wait.
    fn oldest_waiting(&self) -> Option<(Ticket, Timestamp)> {
        if self.line.len() == 0 {
            return None;
        }
        let oldest = Ticket(self.oldest);
        let joined_at = self.joined_at(oldest).expect("the oldest has a place");
        Some((oldest, self.waiting_until(joined_at)))
    }

    /// Returns when the draw is due, if one is to come.
    fn draw_at(&self) -> Option<Timestamp> {
        let settings = self.settings.as_ref().filter(|_| self.draw_pending())?;
        settings.opens_at.or_else(|| self.on_sale().then_some(self.last_instant))
    }

    fn on_sale(&self) -> bool {
        matches!(self.gate, Gate::Open | Gate::AllHeld | Gate::SoldOut)
    }

    /// Returns from when on one more may be admitted, as things stand; whether someone waits isn't asked.
    fn entry_at(&self) -> Option<Timestamp> {
        let settings = self.settings.as_ref()?;
        let room = self.active() < settings.policy.active_max;
        if self.paused || self.gate != Gate::Open || !room || self.draw_pending() {
            return None;
        }
        let from = settings.opens_at.unwrap_or(Timestamp::ZERO).max(self.pace.next_at());
        (from < settings.closes_at).then_some(from)
    }

    fn admission_at(&self) -> Option<Timestamp> {
        self.entry_at().filter(|_| self.line.len() > 0)
    }

    fn may_enter(&self, now: Timestamp) -> bool {
        let closes_at = self.settings.as_ref().map(|settings| settings.closes_at);
        closes_at.is_some_and(|at| now < at) && self.entry_at().is_some_and(|from| from <= now)
    }
}

fn looked_up(table: &[u32], first: u32, number: u32) -> u32 {
    let at = number.checked_sub(first).and_then(|at| usize::try_from(at).ok());
    at.and_then(|at| table.get(at)).copied().unwrap_or(number)
}

impl PartialEq for WaitingRoom {
    /// Compares all that replay must bring back (R1).
    fn eq(&self, other: &Self) -> bool {
        RoomImage::of(self) == RoomImage::of(other) && self.line.slots().eq(other.line.slots())
    }
}

#[cfg(test)]
mod tests;
