//! Pseudo-random numbers (splitmix64), so that the same fan always does the same; and the character of a fan.

use core::ops::RangeInclusive;
use core::time::Duration;
use std::sync::Arc;

use onsale::domain::schedule::SeatStatus;
use onsale::domain::venue::{Area, Grade, Layout, Seat};

/// A stream of pseudo-random numbers.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// Makes the dice of one fan.
    pub(super) fn of(fan: u32) -> Self {
        Self(u64::from(fan) << 32)
    }

    /// Returns 64 bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`, or 0 where that is 0.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        // The upper half of a product with 32 random bits is below the bound, and even enough for a crowd.
        u32::try_from(((self.bits() >> 32) * u64::from(bound)) >> 32).unwrap_or_default()
    }

    /// Returns a time within the range.
    pub(super) fn within(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let (shortest, longest) = (*range.start(), *range.end());
        shortest + longest.saturating_sub(shortest) * self.below(1_001) / 1_000
    }

    /// Chooses an item by weight.
    pub(super) fn among<T: Copy>(&mut self, weighted: &[(u32, T)]) -> Option<T> {
        let mut at = self.below(weighted.iter().map(|(weight, _)| weight).sum());
        for (weight, item) in weighted {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return Some(*item),
            }
        }
        None
    }
}

/// What a fan does once it is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// Holds seats, and pays for them.
    Pays,
    /// Holds seats, changes its mind, and gives everything back.
    GivesUp,
    /// Holds seats, and leaves without a word.
    Vanishes,
    /// Isn't there when its turn comes.
    NeverComes,
}

/// The fates by percent.
const FATES: &[(u32, Fate)] =
    &[(75, Fate::Pays), (10, Fate::GivesUp), (10, Fate::Vanishes), (5, Fate::NeverComes)];
const COUNTS: &[(u32, u32)] = &[(20, 1), (50, 2), (15, 3), (15, 4)];

/// The character of a fan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Character {
    pub(super) fate: Fate,
    /// The number of seats that it wants.
    pub(super) count: u32,
    /// The grade that it wants, if it cares.
    pub(super) grade: Option<Grade>,
    /// Whether it chooses seats on the map instead of taking the best.
    pub(super) picks: bool,
}

impl Character {
    pub(super) fn of(dice: &mut Dice, layout: &Layout, seats_max: u32) -> Self {
        let fate = dice.among(FATES).unwrap_or(Fate::Pays);
        let count = dice.among(COUNTS).unwrap_or(1).min(seats_max);
        let grades = u32::try_from(layout.grades().len()).unwrap_or_default();
        let grade = u16::try_from(dice.below(grades)).ok().map(Grade);
        let grade = grade.filter(|_| dice.below(100) < 70);
        Self { fate, count, grade, picks: dice.below(100) < 60 }
    }
}

/// Chooses an area of a grade where one is named, as often as its places are many among all places and seats of that grade; nothing where it
/// is to be seats.
pub(super) fn pick_area(dice: &mut Dice, layout: &Layout, grade: Option<Grade>) -> Option<Area> {
    let wanted = |own: Grade| grade.is_none_or(|grade| grade == own);
    let areas = layout.areas().iter().zip(0_u16..).filter(|(area, _)| wanted(area.grade));
    let mut weighted: Vec<(u32, Option<Area>)> =
        areas.map(|(area, index)| (area.capacity, Some(Area(index)))).collect();
    if weighted.is_empty() {
        return None;
    }
    let seats = layout.rows().iter().filter(|row| wanted(row.grade)).map(|row| row.len).sum();
    weighted.push((seats, None));
    dice.among(&weighted).flatten()
}

/// Chooses free seats beside each other on the map, of a grade where one is named, rather from the front; nothing where there are
/// none.
pub(super) fn pick(
    dice: &mut Dice,
    layout: &Layout,
    statuses: &[SeatStatus],
    grade: Option<Grade>,
    count: u32,
) -> Option<Arc<[Seat]>> {
    let free = |seat: &Seat| statuses.get(seat.index()) == Some(&SeatStatus::Available);
    let wanted = |seat: &Seat| free(seat) && grade.is_none_or(|grade| layout.grade_of(*seat) == grade);
    let together = |first: &Seat| {
        let row = layout.row_index(*first);
        (first.0..first.0.saturating_add(count))
            .map(Seat)
            .all(|seat| seat.0 < layout.seat_count() && layout.row_index(seat) == row && wanted(&seat))
    };
    let firsts: Vec<Seat> = layout.seats().filter(wanted).filter(together).collect();
    let most = u32::try_from(firsts.len()).unwrap_or(u32::MAX);
    // The lower of two throws prefers the front, so that fans want the same seats.
    let at = dice.below(most).min(dice.below(most));
    let first = firsts.get(usize::try_from(at).ok()?)?;
    Some((first.0..first.0 + count).map(Seat).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use onsale::domain::ids::GradeName;
    use onsale::domain::venue::{Row, RowSeats, Section};

    use super::*;

    /// Two rows of six, VIP before R.
    fn layout() -> Layout {
        let row = |id: &str, grade: &str| Row {
            id: id.to_owned(),
            grade: GradeName::parse(grade).unwrap(),
            line: None,
            seats: RowSeats::Length(6),
        };
        let rows = vec![row("1", "VIP"), row("2", "R")];
        Layout::new(&[Section { id: "A".to_owned(), floor: "1".to_owned(), outline: None, rows }]).unwrap()
    }

    #[test]
    fn the_same_fan_always_does_the_same_and_another_does_not() {
        let throws = |fan| {
            let mut dice = Dice::of(fan);
            (0..8).map(|_| dice.below(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(throws(7), throws(7));
        assert_ne!(throws(7), throws(8));
        assert_eq!(Dice::of(1).below(0), 0);
    }

    #[test]
    fn of_many_fans_so_many_do_each_as_is_said() {
        let layout = layout();
        let mut fates = BTreeMap::new();
        let mut counts = BTreeSet::new();
        let mut grades = BTreeSet::new();
        for fan in 0..10_000 {
            let character = Character::of(&mut Dice::of(fan), &layout, 4);
            *fates.entry(character.fate).or_insert(0_u32) += 1;
            counts.insert(character.count);
            grades.insert(character.grade.map(|grade| grade.0));
        }
        for (percent, fate) in FATES {
            assert!(fates[fate].abs_diff(percent * 100) < 150, "{fate:?}: {fates:?}");
        }
        assert_eq!(counts, BTreeSet::from([1, 2, 3, 4]));
        assert_eq!(grades, BTreeSet::from([None, Some(0), Some(1)]));
        assert!((0..100).all(|fan| Character::of(&mut Dice::of(fan), &layout, 2).count <= 2));
    }

    #[test]
    fn seats_are_chosen_that_are_free_together_and_of_the_grade() {
        let layout = layout();
        let mut statuses = vec![SeatStatus::Available; 12];
        statuses[2] = SeatStatus::Held;
        let vip = layout.grade("VIP");
        let mut seen = BTreeSet::new();
        for fan in 0..200 {
            let seats = pick(&mut Dice::of(fan), &layout, &statuses, vip, 2).unwrap();
            seen.insert([seats[0].0, seats[1].0]);
        }
        assert_eq!(seen, BTreeSet::from([[0, 1], [3, 4], [4, 5]]));
        // A row's end isn't beside the next one's beginning.
        let four = (0..200).filter_map(|fan| pick(&mut Dice::of(fan), &layout, &statuses, None, 4));
        let four: BTreeSet<u32> = four.map(|seats| seats[0].0).collect();
        assert_eq!(four, BTreeSet::from([6, 7, 8]));
        assert_eq!(pick(&mut Dice::of(1), &layout, &statuses, vip, 4), None);
    }
}
