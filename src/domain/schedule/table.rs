//! The reservations of a schedule by number: pages of a fixed size, since numbers are given in order.
//!
//! Finding one is two steps and no hash, those that are used now stand together, and growth adds a page
//! where a hash table would copy everything at once: a table of 400,000 took a tenth of a second for that,
//! in the actor and again in the journal. A page leaves when its last reservation does.

use super::Reservation;

const PAGE_LEN: usize = 64;

type Page = Box<[Option<Reservation>; PAGE_LEN]>;

/// Reservations by number.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pages: Vec<Option<(Page, usize)>>,
    len: usize,
}

impl Table {
    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Finds one.
    pub(super) fn get(&self, number: u32) -> Option<&Reservation> {
        let (page, slot) = place(number);
        let (page, _) = self.pages.get(page)?.as_ref()?;
        page[slot].as_ref()
    }

    /// Finds one, to change it.
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Reservation> {
        let (page, slot) = place(number);
        let (page, _) = self.pages.get_mut(page)?.as_mut()?;
        page[slot].as_mut()
    }

    /// Adds one under its own number.
    ///
    /// # Panics
    /// When the number is taken.
    pub(super) fn insert(&mut self, reservation: Reservation) {
        let (page, slot) = place(reservation.number.0);
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        let empty = || (Box::new([const { None }; PAGE_LEN]), 0);
        let (page, used) = self.pages[page].get_or_insert_with(empty);
        let taken = page[slot].replace(reservation);
        assert!(taken.is_none(), "a number is given once");
        *used += 1;
        self.len += 1;
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, number: u32) -> Option<Reservation> {
        let (index, slot) = place(number);
        let entry = self.pages.get_mut(index)?;
        let (page, used) = entry.as_mut()?;
        let removed = page[slot].take()?;
        *used -= 1;
        self.len -= 1;
        if *used == 0 {
            *entry = None;
        }
        Some(removed)
    }

    /// Returns all of them, in order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Reservation> {
        self.pages.iter().flatten().flat_map(|(page, _)| page.iter().flatten())
    }
}

#[cfg(test)]
impl Table {
    /// Says what is inside: each page with its place and its count.
    pub(super) fn inside(&self) -> String {
        let Self { pages, len } = self;
        let pages: Vec<_> = pages.iter().enumerate().filter(|(_, page)| page.is_some()).collect();
        format!("{len} {pages:?}")
    }
}

fn place(number: u32) -> (usize, usize) {
    let number = usize::try_from(number).expect("a u32 fits");
    (number / PAGE_LEN, number % PAGE_LEN)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::ids::{ReservationNumber, UserId};
    use crate::domain::schedule::ReservationStatus;
    use crate::domain::time::Timestamp;

    fn reservation(number: u32) -> Reservation {
        Reservation {
            number: ReservationNumber(number),
            nonce: u64::from(number),
            user: UserId::parse("u").unwrap(),
            seats: Arc::from([]),
            status: ReservationStatus::Held,
            created_at: Timestamp::ZERO,
            expires_at: Timestamp::ZERO,
            confirmed_at: None,
            cancelled_at: None,
            ended_at: None,
            payment: None,
            deadline_moved: false,
            recovered: false,
        }
    }

    proptest! {
        #[test]
        fn a_table_holds_what_a_map_would(steps in prop::collection::vec((any::<bool>(), 0..1_000_u32), 0..300)) {
            let mut table = Table::default();
            let mut map = BTreeMap::new();
            for (add, number) in steps {
                if add && !map.contains_key(&number) {
                    table.insert(reservation(number));
                    map.insert(number, reservation(number));
                } else {
                    table.remove(number);
                    map.remove(&number);
                }
                prop_assert_eq!(table.get(number), map.get(&number));
                prop_assert_eq!(table.get_mut(number), map.get_mut(&number));
            }
            prop_assert_eq!(table.len(), map.len());
            prop_assert!(table.iter().eq(map.values()), "all of them, in order");
            for number in 0..1_000 {
                table.remove(number);
            }
            prop_assert!(table.pages.iter().all(Option::is_none), "an empty page leaves");
        }
    }
}
