//! A seat map as a vector: two bits for each seat, in the order of its venue's plan.
//!
//! The bits of each live schedule are kept, and changed by what changed in the map since they were last asked for. They are read
//! from the map anew only where its changes are no longer kept. So a sale pays nothing for them, and a reader no walk over the seats.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::written;
use super::documents::{At, CatalogueId, PlanName};
use super::map_areas::{MapAreaDocument, MapAreas, SeatFilter, seating_of};
use super::seat_map::named;
use crate::domain::concert::Prices;
use crate::domain::ids::ScheduleNumber;
use crate::domain::schedule::{AreaChange, Counts, Schedule, SeatStatus};
use crate::domain::venue::PlanId;
use crate::engine::{DELTAS_MAX, Engine, MarkedMap, ScheduleEntry, SeatsMark};

/// How many seats stand in a byte.
const SEATS_PER_BYTE: usize = 4;
/// The bits of a seat.
const BITS: usize = 2;
const MASK: u8 = 0b11;

/// A seat map as a vector.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SeatVector)]
pub(super) struct VectorDocument<'a> {
    #[schema(value_type = CatalogueId)]
    schedule_id: String,
    /// The map's version.
    version: u64,
    /// The plan whose order it follows.
    #[schema(value_type = PlanName)]
    plan_id: String,
    /// Base64 of 2 bits for each seat in the plan's order, the first seat in the lowest bits of the first byte: 0 available, 1 held,
    /// 2 reserved, 3 blocked.
    #[schema(pattern = "^[A-Za-z0-9+/]*={0,2}$")]
    statuses: String,
    /// The areas in the order of the plan; absent if the venue has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    areas: Vec<MapAreaDocument<'a>>,
}

impl<'a> VectorDocument<'a> {
    /// Writes a map that was read whole.
    pub(super) fn of(entry: &ScheduleEntry, schedule: &Schedule, plan: PlanId, areas: &MapAreas<'a>) -> Self {
        Self {
            schedule_id: entry.id().to_string(),
            version: schedule.seats_version(),
            plan_id: plan.to_string(),
            statuses: Statuses::of(schedule.statuses()).text(),
            areas: areas.documents(SeatFilter::default()),
        }
    }
}

/// A seat map as a vector, as it was.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SeatVectorAt)]
pub(super) struct VectorAtDocument<'a> {
    pub(super) at: At,
    #[serde(flatten)]
    pub(super) vector: VectorDocument<'a>,
}

/// The bits of a map's seats.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Statuses(Vec<u8>);

impl Statuses {
    /// Reads every seat.
    fn of(statuses: &[SeatStatus]) -> Self {
        let byte = |seats: &[SeatStatus]| {
            let placed = seats.iter().enumerate();
            placed.fold(0, |byte, (place, status)| byte | bits(*status) << (BITS * place))
        };
        Self(statuses.chunks(SEATS_PER_BYTE).map(byte).collect())
    }

    fn set(&mut self, seat: usize, status: SeatStatus) {
        let (byte, shift) = (&mut self.0[seat / SEATS_PER_BYTE], BITS * (seat % SEATS_PER_BYTE));
        *byte = *byte & !(MASK << shift) | bits(status) << shift;
    }

    /// Writes them in base64.
    fn text(&self) -> String {
        STANDARD.encode(&self.0)
    }
}

fn bits(status: SeatStatus) -> u8 {
    match status {
        SeatStatus::Available => 0,
        SeatStatus::Held => 1,
        SeatStatus::Reserved => 2,
        SeatStatus::Blocked => 3,
    }
}

/// A version of a map, and what was written of it.
#[derive(Debug)]
struct Vector {
    mark: SeatsMark,
    statuses: Statuses,
    areas: Box<[Counts]>,
    written: Option<Written>,
}

/// An answer, and the plan that it names.
#[derive(Debug, Clone)]
struct Written {
    plan: PlanId,
    /// What the places of areas cost then, which may change before the sale opens.
    prices: Arc<Prices>,
    tag: Arc<str>,
    json: Bytes,
}

impl Vector {
    fn new(entry: &ScheduleEntry) -> Self {
        let MarkedMap { mark, statuses, areas } = entry.marked_map();
        Self { mark, statuses: Statuses::of(&statuses), areas, written: None }
    }

    /// Follows the map's changes to the newest.
    fn follow(&mut self, entry: &ScheduleEntry) {
        if self.mark == entry.seats_mark() {
            return;
        }
        let Some(deltas) = entry.deltas_after(self.mark.version, DELTAS_MAX) else {
            *self = Self::new(entry);
            return;
        };
        for delta in deltas {
            for (seat, status) in &delta.seats {
                self.statuses.set(seat.index(), *status);
            }
            for AreaChange { area, after, .. } in &delta.areas {
                self.areas[area.index()] = *after;
            }
            self.mark = delta.mark;
            self.written = None;
        }
    }

    /// Returns the answer with its tag; who comes first writes it.
    fn answer(&mut self, engine: &Engine, entry: &ScheduleEntry, plan: PlanId) -> (Arc<str>, Bytes) {
        let (prices, seating) = (engine.prices(entry), seating_of(engine, entry));
        let has_areas = !self.areas.is_empty();
        let is_same = |written: &&Written| written.plan == plan && (!has_areas || written.prices == prices);
        if let Some(written) = self.written.as_ref().filter(is_same) {
            return (Arc::clone(&written.tag), written.json.clone());
        }

        let (layout, seating) = (entry.layout(), seating.as_deref());
        let areas = MapAreas { layout, seating, prices: &prices, counts: &self.areas };
        let document = VectorDocument {
            schedule_id: entry.id().to_string(),
            version: self.mark.version,
            plan_id: plan.to_string(),
            statuses: self.statuses.text(),
            areas: areas.documents(SeatFilter::default()),
        };
        let worth = prices.by_grade.iter().map(|price| price.minor()).filter(|_| has_areas);
        let tag: Arc<str> = named(entry, self.mark, plan.halves().into_iter().chain(worth)).into();
        let json = Bytes::from(written(&document));
        self.written = Some(Written { plan, prices, tag: Arc::clone(&tag), json: json.clone() });
        (tag, json)
    }
}

/// The vector of a live schedule; nobody has asked for one yet where there is none.
type Slot = Arc<Mutex<Option<Vector>>>;

/// The vector of each live schedule.
#[derive(Debug, Default)]
pub struct SeatVectors(Mutex<HashMap<ScheduleNumber, Slot>>);

impl SeatVectors {
    /// Returns the map as it is now as an answer, with its tag.
    pub(super) fn get(&self, engine: &Engine, entry: &ScheduleEntry, plan: PlanId) -> (Arc<str>, Bytes) {
        if entry.is_archived() {
            return Vector::new(entry).answer(engine, entry, plan);
        }
        let slot = self.slot(engine, entry);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let vector = slot.get_or_insert_with(|| Vector::new(entry));
        vector.follow(entry);
        vector.answer(engine, entry, plan)
    }

    fn slot(&self, engine: &Engine, entry: &ScheduleEntry) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !slots.contains_key(&entry.number()) {
            // One more: those whose schedules are gone leave.
            slots.retain(|number, _| engine.schedule_by_number(*number).is_some());
        }
        Arc::clone(slots.entry(entry.number()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [SeatStatus; 4] =
        [SeatStatus::Available, SeatStatus::Held, SeatStatus::Reserved, SeatStatus::Blocked];

    #[test]
    fn the_first_seat_stands_in_the_lowest_bits_of_the_first_byte() {
        let five = [ALL[1], ALL[2], ALL[3], ALL[0], ALL[2]];
        assert_eq!(Statuses::of(&five).0, [0b00_11_10_01, 0b10]);
        assert_eq!(Statuses::of(&five).text(), "OQI=");
        assert_eq!(Statuses::of(&[]).text(), "");
    }

    #[test]
    fn fifty_thousand_seats_take_less_than_twenty_kilobytes() {
        assert!(Statuses::of(&vec![ALL[3]; 50_000]).text().len() < 17_000);
    }

    proptest! {
        #[test]
        fn changed_seat_by_seat_it_is_what_it_is_when_read_whole(
            begin in prop::collection::vec(0..4_usize, 1..50),
            changes in prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize), 0..50),
        ) {
            let mut statuses: Vec<SeatStatus> = begin.iter().map(|status| ALL[*status]).collect();
            let mut followed = Statuses::of(&statuses);
            for (seat, status) in changes {
                let seat = seat.index(statuses.len());
                statuses[seat] = ALL[status];
                followed.set(seat, ALL[status]);
            }
            prop_assert_eq!(followed, Statuses::of(&statuses));
        }
    }
}
