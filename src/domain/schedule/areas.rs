//! The places of a schedule's areas: how many of each area have each status. Nothing tells them apart, so that an area takes as much
//! memory as its counts, whatever its capacity; who has places of it is told by the reservations.
//!
//! Absent on purpose: the order of places, and the rule of the single seat, which is about neighbours.
//!
//! Invariant: the counts of an area add up to its capacity (A1).

use super::command::{Counts, SeatStatus};
use super::sum::mark_of_places;
use crate::domain::venue::{Area, Layout};

/// The counts of a schedule's areas, by the area's index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Areas {
    counts: Box<[Counts]>,
    /// Those that the last event touched, with their counts before it.
    touched: Vec<(Area, Counts)>,
}

/// A change of an area's counts by one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AreaChange {
    /// The area.
    pub area: Area,
    /// Its counts before the event.
    pub before: Counts,
    /// Its counts after the event.
    pub after: Counts,
}

impl Areas {
    /// Makes the areas of a layout with all their places available; none where the layout has no areas.
    pub(super) fn of(layout: &Layout) -> Option<Box<Self>> {
        let count = |capacity| Counts { available: capacity, ..Counts::default() };
        let counts: Box<[Counts]> = layout.areas().iter().map(|area| count(area.capacity)).collect();
        (!counts.is_empty()).then(|| Box::new(Self { counts, touched: Vec::new() }))
    }

    /// Returns the counts, by the area's index.
    pub(super) fn counts(&self) -> &[Counts] {
        &self.counts
    }

    /// Begins another event.
    pub(super) fn begin(&mut self) {
        self.touched.clear();
    }

    /// Returns the areas whose counts the last event changed.
    pub(super) fn changed(&self) -> impl Iterator<Item = AreaChange> {
        let change =
            |&(area, before): &(Area, Counts)| AreaChange { area, before, after: self.counts[area.index()] };
        self.touched.iter().map(change).filter(|change| change.before != change.after)
    }

    /// Moves places from one status to another; returns what that adds (by XOR) to the sum of the map.
    ///
    /// # Panics
    /// When the area has fewer places of the first status, which no decided event finds (A1).
    pub(super) fn give(&mut self, area: Area, count: u32, from: SeatStatus, to: SeatStatus) -> u64 {
        let counts = &mut self.counts[area.index()];
        if !self.touched.iter().any(|(touched, _)| *touched == area) {
            self.touched.push((area, *counts));
        }

        let old = [from, to].map(|status| mark_of_places(area, status, counts.of(status)));
        let left = counts.of(from).checked_sub(count);
        *counts.of_mut(from) = left.expect("A1: places pass only from the status that they have");
        *counts.of_mut(to) += count;
        let new = [from, to].map(|status| mark_of_places(area, status, counts.of(status)));

        if from == to { 0 } else { old.into_iter().chain(new).fold(0, |sum, mark| sum ^ mark) }
    }

    /// Returns what all counts add to the sum of the map.
    pub(super) fn sum(&self) -> u64 {
        let marks = |(area, counts): (u16, &Counts)| {
            SeatStatus::ALL.map(|status| mark_of_places(Area(area), status, counts.of(status)))
        };
        (0..).zip(&self.counts).flat_map(marks).fold(0, |sum, mark| sum ^ mark)
    }

    /// Checks that each area's counts add up.
    ///
    /// # Panics
    /// When they don't.
    pub(super) fn check(&self, layout: &Layout) {
        assert_eq!(self.counts.len(), layout.areas().len(), "A1: every area has its counts");
        for (counts, area) in self.counts.iter().zip(layout.areas()) {
            assert_eq!(counts.total(), area.capacity, "A1: an area's counts are its capacity");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn areas() -> Areas {
        let counts = [5, 3].map(|available| Counts { available, ..Counts::default() });
        Areas { counts: counts.into(), touched: Vec::new() }
    }

    #[test]
    fn places_pass_from_status_to_status_and_the_sum_follows() {
        let mut areas = areas();
        let mut sum = areas.sum();
        assert_eq!(sum, 0, "what is available adds nothing");

        let moves = [
            (Area(0), 2, SeatStatus::Available, SeatStatus::Held),
            (Area(0), 1, SeatStatus::Held, SeatStatus::Reserved),
            (Area(1), 3, SeatStatus::Available, SeatStatus::Blocked),
            (Area(0), 1, SeatStatus::Held, SeatStatus::Held),
            (Area(0), 1, SeatStatus::Reserved, SeatStatus::Available),
        ];
        for (area, count, from, to) in moves {
            sum ^= areas.give(area, count, from, to);
            assert_eq!(sum, areas.sum());
        }
        assert_eq!(areas.counts()[0], Counts { available: 4, held: 1, reserved: 0, blocked: 0 });
        assert_eq!(areas.counts()[1], Counts { available: 0, held: 0, reserved: 0, blocked: 3 });
    }

    #[test]
    fn only_what_an_event_changed_in_the_end_is_told() {
        let mut areas = areas();
        areas.give(Area(0), 2, SeatStatus::Available, SeatStatus::Held);
        areas.begin();
        // An exchange gives places back and takes as many again.
        areas.give(Area(0), 2, SeatStatus::Held, SeatStatus::Available);
        areas.give(Area(0), 2, SeatStatus::Available, SeatStatus::Held);
        areas.give(Area(1), 1, SeatStatus::Available, SeatStatus::Held);
        let changed: Vec<Area> = areas.changed().map(|change| change.area).collect();
        assert_eq!(changed, [Area(1)]);
    }

    #[test]
    #[should_panic(expected = "A1")]
    fn an_area_never_gives_more_than_it_has() {
        areas().give(Area(1), 4, SeatStatus::Available, SeatStatus::Held);
    }
}
