//! Venues, schedules and ids: what the service knows by heart, so that the store is asked for a seat by two numbers.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    str::FromStr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// A reservation or a payment of one seat, by numbers. Its text says where the seat is, so that nothing has to be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeatId {
    pub(super) schedule: u16,
    /// Below 2^24.
    pub(super) seat: u32,
    /// Not to be guessed.
    pub(super) nonce: u64,
}

/// As many characters as an id of `onsale` has.
const ID_LEN: usize = 26;
/// The most seats of a venue.
pub(super) const SEATS_MAX: usize = 1 << 24;

impl core::fmt::Display for SeatId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:04x}{:06x}{:016x}", self.schedule, self.seat, self.nonce)
    }
}

impl FromStr for SeatId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() != ID_LEN || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(());
        }
        let part = |from: usize, until: usize| u64::from_str_radix(&text[from..until], 16).map_err(drop);
        Ok(Self {
            schedule: u16::try_from(part(0, 4)?).map_err(drop)?,
            seat: u32::try_from(part(4, 10)?).map_err(drop)?,
            nonce: part(10, ID_LEN)?,
        })
    }
}

/// Makes nonces: a keyed hash of a count.
#[derive(Default)]
pub(super) struct Nonces(RandomState, AtomicU64);

impl Nonces {
    pub(super) fn next(&self) -> u64 {
        self.0.hash_one(self.1.fetch_add(1, Ordering::Relaxed))
    }
}

/// The seats of a venue.
pub(super) struct Layout {
    pub(super) name: String,
    pub(super) seats: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl Layout {
    pub(super) fn new(name: String, seats: Vec<Box<str>>) -> Self {
        let numbers = seats.iter().cloned().zip(0..).collect();
        Self { name, seats, numbers }
    }

    pub(super) fn number(&self, seat: &str) -> Option<u32> {
        self.numbers.get(seat).copied()
    }
}

/// What is played, and for how much.
#[derive(Clone)]
pub(super) struct Concert {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) venue: String,
    pub(super) grade: String,
    pub(super) price: u64,
    pub(super) currency: String,
}

pub(super) struct Schedule {
    pub(super) id: String,
    pub(super) number: u16,
    pub(super) starts_at: String,
    pub(super) hold_millis: i64,
    pub(super) concert: Concert,
    pub(super) layout: Arc<Layout>,
}

#[derive(Default)]
struct Known {
    venues: HashMap<String, Arc<Layout>>,
    concerts: HashMap<String, Concert>,
    by_id: HashMap<String, Arc<Schedule>>,
    by_number: Vec<Arc<Schedule>>,
}

/// Everything that was set up.
#[derive(Default)]
pub(super) struct Halls(RwLock<Known>);

impl Halls {
    pub(super) fn put_venue(&self, id: String, layout: Layout) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).venues.insert(id, Arc::new(layout));
    }

    pub(super) fn put_concert(&self, concert: Concert) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.concerts.insert(concert.id.clone(), concert);
    }

    /// Makes a schedule of a concert that is known; nothing otherwise.
    pub(super) fn put_schedule(
        &self,
        id: &str,
        concert: &str,
        starts_at: String,
        hold_millis: i64,
    ) -> Option<Arc<Schedule>> {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let concert = known.concerts.get(concert)?.clone();
        let layout = Arc::clone(known.venues.get(&concert.venue)?);
        let number = u16::try_from(known.by_number.len()).ok()?;
        let schedule =
            Arc::new(Schedule { id: id.to_owned(), number, starts_at, hold_millis, concert, layout });
        known.by_id.insert(id.to_owned(), Arc::clone(&schedule));
        known.by_number.push(Arc::clone(&schedule));
        Some(schedule)
    }

    pub(super) fn schedule(&self, id: &str) -> Option<Arc<Schedule>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).by_id.get(id).cloned()
    }

    /// Returns the schedule of an id whose seat is in it.
    pub(super) fn of(&self, id: SeatId) -> Option<Arc<Schedule>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let schedule = known.by_number.get(usize::from(id.schedule))?;
        (usize::try_from(id.seat).ok()? < schedule.layout.seats.len()).then(|| Arc::clone(schedule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written() {
        for id in [
            SeatId { schedule: 0, seat: 0, nonce: 0 },
            SeatId { schedule: 7, seat: 49_999, nonce: 1 },
            SeatId { schedule: u16::MAX, seat: 0x00ff_ffff, nonce: u64::MAX },
        ] {
            let text = id.to_string();
            assert_eq!((text.len(), text.parse()), (ID_LEN, Ok(id)));
        }
        for text in
            ["", "00010000010000000000000001a", "+00100000100000000000000001", "é001000001000000000000001"]
        {
            assert_eq!(text.parse::<SeatId>(), Err(()), "{text}");
        }
    }

    #[test]
    fn nonces_differ() {
        let nonces = Nonces::default();
        assert_ne!(nonces.next(), nonces.next());
    }
}
