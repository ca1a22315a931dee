//! What a schedule knows of one user. A sale that sells out in a minute has as many of these as it has buyers, most of them with
//! one reservation, so that one is small and keeps nothing elsewhere.

use core::iter::Chain;
use core::slice;
use std::collections::{BTreeSet, VecDeque};

use crate::domain::time::Timestamp;

/// A user's reservations and places in one schedule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UserSeats {
    /// Places of live reservations: seats, and places of areas.
    pub(super) live: u32,
    /// The numbers of all reservations that are kept.
    pub(super) reservations: Numbers,
    /// Those that ended for good, by when they did: not one whose money is still pursued, since that may be confirmed yet.
    #[expect(clippy::box_collection, reason = "most users have none, and it is 16 bytes smaller")]
    ended: Option<Box<BTreeSet<(Timestamp, u32)>>>,
}

impl UserSeats {
    /// Returns those that ended for good, by when they did.
    pub(super) fn ended(&self) -> impl DoubleEndedIterator<Item = (Timestamp, u32)> {
        self.ended.iter().flat_map(|ended| ended.iter().copied())
    }

    /// Returns how many ended for good.
    pub(super) fn ended_count(&self) -> usize {
        self.ended.as_ref().map_or(0, |ended| ended.len())
    }

    /// Notes that a reservation ended for good.
    pub(super) fn add_ended(&mut self, at: Timestamp, number: u32) {
        self.ended.get_or_insert_default().insert((at, number));
    }

    /// Takes back that a reservation ended for good, where that was noted.
    pub(super) fn remove_ended(&mut self, at: Timestamp, number: u32) {
        let Some(ended) = &mut self.ended else { return };

        ended.remove(&(at, number));
        if ended.is_empty() {
            self.ended = None;
        }
    }
}

/// Numbers of reservations, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Numbers {
    /// None.
    #[default]
    None,
    /// One.
    One(u32),
    /// Two or more. Reservations end about in the order in which they began, so the one that is forgotten stands
    /// near the front: behind those that lived longer, which are few.
    #[expect(clippy::box_collection, reason = "most users have one, and it is 16 bytes smaller")]
    Many(Box<VecDeque<u32>>),
}

/// Some of a user's numbers, the oldest first.
pub(super) type NumbersIter<'a> = Chain<slice::Iter<'a, u32>, slice::Iter<'a, u32>>;

impl Numbers {
    /// Adds a number behind all others.
    pub(super) fn push(&mut self, number: u32) {
        match self {
            Self::None => *self = Self::One(number),
            Self::One(first) => *self = Self::Many(Box::new(VecDeque::from([*first, number]))),
            Self::Many(numbers) => numbers.push_back(number),
        }
    }

    /// Removes a number, which is there.
    pub(super) fn remove(&mut self, number: u32) {
        match self {
            Self::None => panic!("a reservation is its user's"),
            Self::One(first) => {
                assert_eq!(*first, number, "a reservation is its user's");
                *self = Self::None;
            }
            Self::Many(numbers) => {
                let at = numbers.binary_search(&number).expect("a reservation is its user's");
                numbers.remove(at);
                if numbers.len() == 1 {
                    let last = numbers[0];
                    *self = Self::One(last);
                }
            }
        }
    }

    /// Tells whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        let (front, back) = self.slices();
        front.len() + back.len()
    }

    /// Returns all of them.
    pub(super) fn iter(&self) -> NumbersIter<'_> {
        let (front, back) = self.slices();
        front.iter().chain(back)
    }

    /// Returns the first of them: those of which `is_before` is true, as it must be of none behind one of which it isn't. The place is
    /// found in O(log n).
    pub(super) fn before(&self, is_before: impl Fn(u32) -> bool) -> NumbersIter<'_> {
        let (front, back) = self.slices();
        let place = |numbers: &[u32]| numbers.partition_point(|number| is_before(*number));

        let in_front = place(front);
        let in_back = if in_front == front.len() { place(back) } else { 0 };
        front[..in_front].iter().chain(&back[..in_back])
    }

    fn slices(&self) -> (&[u32], &[u32]) {
        match self {
            Self::None => (&[], &[]),
            Self::One(number) => (slice::from_ref(number), &[]),
            Self::Many(numbers) => numbers.as_slices(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        /// Pushes and removals in any order leave what a plain list has, and `before` cuts it where a walk would.
        #[test]
        fn numbers_are_a_list_in_order(steps in vec((any::<bool>(), any::<prop::sample::Index>()), 0..60)) {
            let (mut numbers, mut list, mut next) = (Numbers::default(), Vec::new(), 0);
            for (adds, which) in steps {
                if adds || list.is_empty() {
                    next += 1;
                    numbers.push(next);
                    list.push(next);
                } else {
                    numbers.remove(list.remove(which.index(list.len())));
                }

                prop_assert!(numbers.iter().eq(&list));
                prop_assert_eq!(numbers.len(), list.len());
                prop_assert_eq!(numbers.is_empty(), list.is_empty());
                for bound in 0..=next + 1 {
                    let expected = list.iter().filter(|number| **number < bound);
                    prop_assert!(numbers.before(|number| number < bound).eq(expected));
                }
            }
        }
    }

    #[test]
    fn a_user_with_one_reservation_is_small() {
        assert!(size_of::<UserSeats>() <= 32, "{}", size_of::<UserSeats>());
    }
}
