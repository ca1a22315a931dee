//! A room's state without its indexes and counts: a snapshot keeps it, and two states are compared by it.
//!
//! It costs a copy of the bits, not of the people and the keys: those are shared until one of the two lets them go.

use std::sync::Arc;

use super::command::{Answer, Gate, Settings, Ticket};
use super::draw::Seed;
use super::line::Line;
use super::pace::Pace;
use super::people::{Block, People, TICKETS};
use super::{Active, Drawn, EndedPlaces, WaitingRoom};
use crate::domain::ids::ScheduleNumber;
use crate::domain::keys::{KeyList, Keys};
use crate::domain::time::Timestamp;

/// A block of slots, a bit each.
pub type RoomBlock = [u64; 16];

/// The draw that was made: the seed, how many were drawn, and by slot from the first on who stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the sentence above names each")]
pub struct Drawing {
    pub seed: Seed,
    pub count: u32,
    pub first: u32,
    pub ticket_of: Arc<[u32]>,
}

/// Everything of a room that doesn't follow from the rest, in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `WaitingRoom` and its getters")]
pub struct RoomImage {
    pub number: ScheduleNumber,
    pub settings: Option<Settings>,
    pub configured: Option<Settings>,
    pub paused: bool,
    pub gate: Gate,
    /// The rate, the credit, and the instant that it is of.
    pub pace: (Option<u32>, u64, Timestamp),
    pub seed: Option<Seed>,
    pub drawn: Option<Drawing>,
    /// The number of the first block of people that is kept.
    pub first_people: u32,
    /// The blocks of people, the last of them not full; one that is gone is `None`.
    pub people: Vec<Option<Arc<Block>>>,
    /// The number of the first block of slots that is kept.
    pub first_slots: u32,
    pub slots: Vec<RoomBlock>,
    /// By ticket: when it was admitted, when it ends, until when it is to be claimed.
    pub active: Vec<(Ticket, Timestamp, Timestamp, Option<Timestamp>)>,
    pub done: Vec<u32>,
    pub admitted_total: u64,
    pub keys: KeyList<Answer>,
    pub version: u64,
    pub last_instant: Timestamp,
}

impl RoomImage {
    /// Takes the image of a room.
    pub fn of(room: &WaitingRoom) -> Self {
        let (first_people, full, tail) = room.people.blocks();
        let mut people: Vec<_> = full.iter().cloned().collect();
        // Full blocks are shared; the one that is being filled is copied.
        people.push(Some(Arc::new(tail.clone())));

        let (first_slots, slots) = room.line.blocks();

        let mut active: Vec<_> = room
            .active
            .iter()
            .map(|(ticket, active)| {
                (Ticket(*ticket), active.activated_at, active.expires_at, active.claim_by)
            })
            .collect();
        active.sort_unstable_by_key(|(ticket, ..)| *ticket);

        let drawn = room.drawn.as_ref().map(|drawn| Drawing {
            seed: drawn.seed,
            count: drawn.count,
            first: drawn.first,
            ticket_of: Arc::clone(&drawn.ticket_of),
        });

        Self {
            number: room.number,
            settings: room.settings.clone(),
            configured: room.configured.clone(),
            paused: room.paused,
            gate: room.gate,
            pace: room.pace.parts(),
            seed: room.seed,
            drawn,
            first_people,
            people,
            first_slots,
            slots: slots.copied().collect(),
            active,
            done: room.done.order.iter().copied().collect(),
            admitted_total: room.admitted_total,
            keys: room.keys.list(),
            version: room.version,
            last_instant: room.last_instant,
        }
    }

    /// Makes the room again.
    ///
    /// # Panics
    /// When the image contradicts itself, which a checked snapshot doesn't.
    pub fn restore(self) -> WaitingRoom {
        let mut room = WaitingRoom::new(self.number);
        let keys_max = self.configured.as_ref().map_or(0, |configured| configured.keys_max);
        room.keys = Keys::restore(keys_max.max(u32::try_from(self.keys.len()).expect("bounded")), self.keys);
        if self.configured.is_some() {
            room.keys.set_max(keys_max);
        }

        room.settings = self.settings;
        room.configured = self.configured;
        room.paused = self.paused;
        room.gate = self.gate;

        let (rate, credit, as_of) = self.pace;
        room.pace = Pace::restore(rate, credit, as_of);
        room.seed = self.seed;
        room.drawn = self.drawn.map(Drawn::from);
        room.line = Line::from_blocks(self.first_slots, self.slots);

        for (ticket, activated_at, expires_at, claim_by) in self.active {
            let active = Active { activated_at, expires_at, claim_by };
            room.ends.insert((active.ends_at(), ticket.0));
            room.active.insert(ticket.0, active);
        }

        // People follow the line and the active: only those who have a place are in their table.
        let mut full: std::collections::VecDeque<_> = self.people.into();
        let tail = full.pop_back().flatten().map(Arc::unwrap_or_clone).unwrap_or_default();
        let live: Vec<Ticket> =
            room.in_line().chain(room.active.keys().map(|ticket| Ticket(*ticket))).collect();
        room.people = People::from_blocks(self.first_people, full, tail, live.into_iter());
        room.oldest = room.in_line().min().map_or(room.people.tickets() + 1, |ticket| ticket.0);

        room.done = EndedPlaces { tickets: self.done.iter().copied().collect(), order: self.done.into() };
        room.admitted_total = self.admitted_total;
        room.version = self.version;
        room.last_instant = self.last_instant;
        room
    }
}

impl From<Drawing> for Drawn {
    fn from(drawing: Drawing) -> Self {
        let Drawing { seed, count, first, ticket_of } = drawing;
        let mut slot_of = vec![0; ticket_of.len()];
        for (slot, ticket) in (first..).zip(&*ticket_of) {
            slot_of[usize::try_from(*ticket - first).expect("a u32 fits")] = slot;
        }
        Self { seed, count, first, ticket_of, slot_of: slot_of.into() }
    }
}

impl Block {
    /// Makes a block from its people's ids and the instants at which they joined, in milliseconds since 1970.
    ///
    /// Returns nothing where the lists don't fit each other, or are longer than a block.
    pub fn from_parts(joined: Vec<u64>, ends: Vec<u32>, ids: String) -> Option<Self> {
        let whole = ends.last().copied().unwrap_or_default();
        let lists = joined.len() == ends.len() && joined.len() <= usize::try_from(TICKETS).ok()?;
        let cuts = ends.iter().all(|end| ids.is_char_boundary(usize::try_from(*end).unwrap_or(usize::MAX)));
        let right = lists && cuts && ends.is_sorted() && u32::try_from(ids.len()) == Ok(whole);
        right.then_some(Self { joined, ends, ids })
    }

    /// Returns the instants, the ends of the ids, and the ids.
    pub fn parts(&self) -> (&[u64], &[u32], &str) {
        (&self.joined, &self.ends, &self.ids)
    }
}
