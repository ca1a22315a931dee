//! A table of values that are numbered in the order in which they came: pages of a fixed size, which copies share.
//!
//! Finding one is a few steps and no hash, the values in use stand together, and growth adds a page where a hash table would
//! move everything at once: one of 400,000 reservations took a tenth of a second for that, in the actor and again in the
//! journal. A page leaves when the last in it does; between the first and the last that is kept, an empty one costs eight bytes.
//!
//! A copy costs a pointer a page. A page is copied when one of those who share it changes something in it. So a snapshot
//! is a copy that is taken under the lock, and is read when the lock is free again.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ids::count_of;

/// How many numbers a page has.
const PAGE_LEN: usize = 256;
const LEN: u64 = 256;

/// Things by number.
#[derive(Clone)]
pub struct Pages<T> {
    /// From the first that isn't empty to the last that isn't.
    kept: VecDeque<Option<Arc<Page<T>>>>,
    /// The number of the first page.
    first: u64,
    len: usize,
}

/// A number that values are counted by.
pub trait Number {
    /// Returns its place in the order in which the things came.
    fn place(self) -> u64;
}

impl Number for u64 {
    fn place(self) -> u64 {
        self
    }
}

impl Number for u32 {
    /// Its count: whether an id is sealed doesn't move it.
    fn place(self) -> u64 {
        count_of(self).into()
    }
}

#[derive(Debug, Clone)]
struct Page<T> {
    /// Grows with its values, so that a schedule that sells little stays small.
    slots: Vec<Option<T>>,
    /// How many slots are in use.
    used: usize,
    /// The first of them.
    lowest: usize,
}

impl<T> Pages<T> {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Finds one.
    pub fn get(&self, number: impl Number) -> Option<&T> {
        let (index, slot) = self.place(number.place())?;
        self.kept.get(index)?.as_ref()?.slots.get(slot)?.as_ref()
    }

    /// Returns all of them, in order of their numbers.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.kept.iter().flatten().flat_map(|page| page.slots[page.lowest..].iter().flatten())
    }

    /// Returns those behind a number, in order of their numbers.
    pub fn after(&self, number: impl Number) -> impl Iterator<Item = &T> {
        let (first, slot) = self.place(number.place() + 1).unwrap_or_default();
        let pages = self
            .kept
            .iter()
            .enumerate()
            .skip(first)
            .filter_map(|(index, page)| Some((index, page.as_ref()?)));
        pages.flat_map(move |(index, page)| {
            let from = if index == first { slot } else { 0 };
            page.slots.iter().skip(from).flatten()
        })
    }

    /// Returns the first ones, the last of them first: those of which `is_before` is true, as it must be of none behind one of
    /// which it isn't. The place is found in O(log n), but for pages that have left.
    pub fn before<F: Fn(&T) -> bool>(&self, is_before: F) -> impl Iterator<Item = &T> + use<'_, T, F> {
        let (mut low, mut high) = (0, self.kept.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            let first = |index: usize| {
                let page = self.kept[index].as_ref()?;
                Some((index, page.slots[page.lowest].as_ref()?))
            };
            match (low..=middle).rev().find_map(first) {
                Some((index, first)) if !is_before(first) => high = index,
                Some(_) | None => low = middle + 1,
            }
        }
        let pages = self.kept.range(..high).rev().flatten();
        pages
            .flat_map(|page| page.slots[page.lowest..].iter().rev().flatten())
            .skip_while(move |one| !is_before(one))
    }

    /// Returns all of them with their numbers, in order of these.
    pub fn numbered(&self) -> impl Iterator<Item = (u64, &T)> {
        let pages = (self.first..).zip(&self.kept).filter_map(|(place, page)| Some((place, page.as_ref()?)));
        pages.flat_map(|(place, page)| {
            (place * LEN..).zip(&page.slots).filter_map(|(number, slot)| Some((number, slot.as_ref()?)))
        })
    }

    /// Returns the number of the first, and the first.
    pub fn first(&self) -> Option<(u64, &T)> {
        let page = self.kept.front()?.as_ref()?;
        let number = self.first * LEN + u64::try_from(page.lowest).expect("a page is small");
        Some((number, page.slots[page.lowest].as_ref()?))
    }

    /// Returns where a number stands, counted from the first page on.
    fn place(&self, number: u64) -> Option<(usize, usize)> {
        let page = (number / LEN).checked_sub(self.first)?;
        Some((usize::try_from(page).ok()?, slot(number)))
    }
}

impl<T: Clone> Pages<T> {
    /// Finds one, to change it.
    pub fn get_mut(&mut self, number: impl Number) -> Option<&mut T> {
        let (index, slot) = self.place(number.place())?;
        let page = self.kept.get_mut(index)?.as_mut()?;
        // An absent value isn't worth a copy of the page.
        page.slots.get(slot)?.as_ref()?;
        Arc::make_mut(page).slots[slot].as_mut()
    }

    /// Adds one under its number.
    ///
    /// # Panics
    /// When the number is taken.
    pub fn insert(&mut self, number: impl Number, value: T) {
        let number = number.place();
        let page = number / LEN;
        if self.kept.is_empty() {
            self.first = page;
        }
        while page < self.first {
            self.kept.push_front(None);
            self.first -= 1;
        }
        let (index, slot) = self.place(number).expect("the first page isn't behind it");
        if self.kept.len() <= index {
            self.kept.resize(index + 1, None);
        }
        Arc::make_mut(self.kept[index].get_or_insert_default()).insert(slot, value);
        self.len += 1;
    }

    /// Takes one out.
    pub fn remove(&mut self, number: impl Number) -> Option<T> {
        let (index, slot) = self.place(number.place())?;
        let entry = self.kept.get_mut(index)?;
        let page = entry.as_mut()?;
        page.slots.get(slot)?.as_ref()?;
        let page = Arc::make_mut(page);
        let removed = page.remove(slot);
        self.len -= 1;
        if page.used == 0 {
            *entry = None;
            self.trim();
        }
        removed
    }

    /// Lets the empty pages at both ends go.
    fn trim(&mut self) {
        while self.kept.pop_back_if(|page| page.is_none()).is_some() {}
        while self.kept.pop_front_if(|page| page.is_none()).is_some() {
            self.first += 1;
        }
    }
}

impl<T: Clone> Page<T> {
    fn insert(&mut self, slot: usize, value: T) {
        if self.slots.len() <= slot {
            if self.slots.capacity() <= slot {
                // Twice as many, as a vector would have them, but no more than a page.
                let wanted = (2 * self.slots.capacity()).clamp(slot + 1, PAGE_LEN);
                self.slots.reserve_exact(wanted - self.slots.len());
            }
            self.slots.resize_with(slot + 1, || None);
        }
        let taken = self.slots[slot].replace(value);
        assert!(taken.is_none(), "a number is given once");
        self.lowest = if self.used == 0 { slot } else { self.lowest.min(slot) };
        self.used += 1;
    }

    fn remove(&mut self, slot: usize) -> Option<T> {
        let removed = self.slots[slot].take()?;
        self.used -= 1;
        if slot == self.lowest {
            let behind = self.slots[slot..].iter().position(Option::is_some);
            self.lowest = slot + behind.unwrap_or_default();
        }
        Some(removed)
    }
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { kept: VecDeque::new(), first: 0, len: 0 }
    }
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), used: 0, lowest: 0 }
    }
}

impl<T: core::fmt::Debug> core::fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: PartialEq> PartialEq for Pages<T> {
    /// Compares the values, in order. Each says its number itself.
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<T: Eq> Eq for Pages<T> {}

impl<T: Clone, N: Number> FromIterator<(N, T)> for Pages<T> {
    /// # Panics
    /// When a number comes twice.
    fn from_iter<I: IntoIterator<Item = (N, T)>>(all: I) -> Self {
        let mut pages = Self::default();
        for (number, value) in all {
            pages.insert(number, value);
        }
        pages
    }
}

#[cfg(test)]
impl<T: core::fmt::Debug> Pages<T> {
    /// Says what is inside: each with its number, and the count. Where the pages begin and end is no state.
    pub(crate) fn inside(&self) -> String {
        format!("{} {:?}", self.len, self.numbered().collect::<Vec<_>>())
    }
}

fn slot(number: u64) -> usize {
    usize::try_from(number % LEN).expect("a page is small")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a map; and a copy that was taken on the way stays what it was.
        #[test]
        fn pages_hold_what_a_map_would(
            steps in prop::collection::vec((0u8..3, 0..5_000_u64), 0..300),
            copied_at in 0_usize..300,
        ) {
            let mut pages = Pages::default();
            let mut map = BTreeMap::new();
            let mut copies = None;
            for (index, (step, number)) in steps.into_iter().enumerate() {
                match (step, map.contains_key(&number)) {
                    (0 | 1, false) => {
                        pages.insert(number, 2 * number);
                        map.insert(number, 2 * number);
                    }
                    (0, true) => {
                        // The order stays through each change.
                        *pages.get_mut(number).unwrap() = 2 * number + 1;
                        map.insert(number, 2 * number + 1);
                    }
                    _ => prop_assert_eq!(pages.remove(number), map.remove(&number)),
                }
                prop_assert_eq!(pages.get(number), map.get(&number));
                prop_assert_eq!(pages.get_mut(number), map.get_mut(&number));
                prop_assert!(pages.after(number).eq(map.range(number + 1..).map(|(_, value)| value)));
                prop_assert_eq!(pages.first(), map.first_key_value().map(|(number, value)| (*number, value)));
                if index == copied_at {
                    copies = Some((pages.clone(), map.clone()));
                }
            }
            prop_assert_eq!(pages.len(), map.len());
            prop_assert!(pages.iter().eq(map.values()), "all of them, in order");
            prop_assert!(pages.iter().rev().eq(map.values().rev()), "and from behind");
            for end in [0, 1, 511, 512, 513, 5_000, 10_002] {
                let before = pages.before(|value| *value < end);
                let expected = map.values().rev().filter(|value| **value < end);
                prop_assert!(before.eq(expected), "those before, the last first");
            }
            if let Some((copy, of_map)) = copies {
                prop_assert!(copy.iter().eq(of_map.values()), "a copy shares what isn't changed");
            }
            for number in 0..5_001_u64 {
                pages.remove(number);
            }
            prop_assert!(pages.is_empty() && pages.kept.is_empty(), "an empty page leaves");
        }
    }

    #[test]
    fn a_page_has_no_more_room_than_its_numbers_need() {
        let mut pages = Pages::default();
        for number in 0..PAGE_LEN {
            pages.insert(u64::try_from(number).unwrap(), number);
            // A copy has room for its values alone: from there it grows on.
            pages.kept[0] = pages.kept[0].as_deref().cloned().map(Arc::new);
            let page = pages.kept[0].as_ref().unwrap();
            assert!(page.slots.capacity() <= PAGE_LEN.min(2 * (number + 1)));
        }
    }
}
