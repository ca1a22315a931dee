//! One idempotency key, one effect (I1): the table that an aggregate keeps of the keys it has seen.
//!
//! A key is known by a keyed digest of who called, what was called and the key itself; beside it
//! stands a fingerprint of the body and the answer that the effect gave. Both are part of the effect's
//! record, so the table is rebuilt by replay. Entries leave after a day, or when the room is full,
//! the oldest first: both by the events' own time, so that replay agrees.

use core::hash::BuildHasher;
use std::collections::VecDeque;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::time::{Seconds, Timestamp};

/// How long a key is kept.
pub const KEY_RETENTION: Seconds = Seconds::DAY;

/// A key as a command carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyUse {
    /// The digest of caller, route and key.
    pub digest: u128,
    /// The digest of the body.
    pub fingerprint: u128,
}

/// What the table says about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFound<'a, A> {
    /// It has an effect, and this was the answer; `version` is the stream's version after the effect.
    Answered {
        /// The first answer.
        answer: &'a A,
        /// The version of the stream with the effect.
        version: u64,
    },
    /// It has an effect for another body.
    Reused,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept<A> {
    key: KeyUse,
    version: u64,
    at: Timestamp,
    answer: A,
}

/// How many places of keys that were let go are kept beside as many as there are keys.
const EMPTY_MAX: usize = 1_024;

/// The keys that an aggregate has seen, with the answers that they got.
///
/// They stand in a ring in the order in which they came; a table of numbers leads there, so that a table that
/// grows moves eight bytes a key.
#[derive(Debug, Clone)]
pub struct Keys<A> {
    /// The oldest first. The place of a key that was let go is empty.
    ring: VecDeque<Option<Kept<A>>>,
    /// The number of the ring's first place: places are numbered in the order in which they came.
    first: u64,
    /// The numbers of the keys' places, by their digests.
    places: HashTable<u64>,
    /// Another one in each table: only what is kept is state.
    hasher: DefaultHashBuilder,
    max: usize,
    dropped: u64,
}

impl<A> Keys<A> {
    /// Makes an empty table with room for `max` keys.
    pub fn new(max: u32) -> Self {
        Self {
            ring: VecDeque::new(),
            first: 0,
            places: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            max: usize::try_from(max).expect("a u32 fits"),
            dropped: 0,
        }
    }

    /// Looks a key up.
    pub fn find(&self, key: KeyUse, now: Timestamp) -> Option<KeyFound<'_, A>> {
        let Self { ring, first, hasher, .. } = self;
        let number = self
            .places
            .find(hasher.hash_one(key.digest), |number| is_at(ring, *first, *number, key.digest))?;
        let kept = at(ring, *first, *number)?;
        if kept.at.plus(KEY_RETENTION) <= now {
            return None;
        }
        if kept.key.fingerprint != key.fingerprint {
            return Some(KeyFound::Reused);
        }
        Some(KeyFound::Answered { answer: &kept.answer, version: kept.version })
    }

    /// Keeps the answer of a key's effect.
    pub fn keep(&mut self, key: KeyUse, version: u64, at: Timestamp, answer: A) {
        // A key whose day is over may come again: its old entry leaves here, first in order.
        self.forget_old(at);
        debug_assert!(self.find(key, at).is_none(), "a key that answers has no new effect");
        let number = self.first + u64::try_from(self.ring.len()).expect("a length fits");
        self.ring.push_back(Some(Kept { key, version, at, answer }));
        let Self { ring, first, places, hasher, .. } = self;
        places.insert_unique(hasher.hash_one(key.digest), number, |number| {
            hash_at(ring, *first, *number, hasher)
        });
        self.shrink();
    }

    /// Changes the room.
    pub fn set_max(&mut self, max: u32) {
        self.max = usize::try_from(max).expect("a u32 fits");
        self.shrink();
    }

    /// Returns how many keys there is room for.
    pub fn max(&self) -> u32 {
        u32::try_from(self.max).expect("made from a u32")
    }

    /// Lets a key go whose effect came to nothing: used again, it is new. A key whose answer `is_its` says is another's stays:
    /// its day was over meanwhile, and it came again.
    pub fn forget(&mut self, digest: u128, is_its: impl FnOnce(&A) -> bool) {
        let Self { ring, first, places, hasher, .. } = self;
        let found = places.find_entry(hasher.hash_one(digest), |number| is_at(ring, *first, *number, digest));
        let Ok(entry) = found else { return };
        if !at(ring, *first, *entry.get()).is_some_and(|kept| is_its(&kept.answer)) {
            return;
        }
        let (number, _) = entry.remove();
        if let Some(place) = index(*first, number).and_then(|index| ring.get_mut(index)) {
            *place = None;
        }
        if self.ring.len() > 2 * self.places.len() + EMPTY_MAX {
            self.close_up();
        }
    }

    /// Removes what is older than [`KEY_RETENTION`] at `now`.
    pub fn forget_old(&mut self, now: Timestamp) {
        while let Some(first) = self.ring.front() {
            if first.as_ref().is_some_and(|kept| kept.at.plus(KEY_RETENTION) > now) {
                return;
            }
            self.drop_first();
        }
    }

    /// Returns how many keys are kept.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Tells whether no key is kept.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns how many keys left before their day was over, because the room was full, since start.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns every key with its version, instant and answer, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (KeyUse, u64, Timestamp, &A)> {
        self.ring.iter().flatten().map(|kept| (kept.key, kept.version, kept.at, &kept.answer))
    }

    fn shrink(&mut self) {
        while self.places.len() > self.max {
            if self.drop_first() {
                self.dropped += 1;
            }
        }
    }

    /// Removes the ring's first place; returns whether a key stood there.
    fn drop_first(&mut self) -> bool {
        let (first, kept) = (self.first, self.ring.pop_front().flatten());
        self.first += 1;
        let Some(kept) = kept else { return false };
        let hash = self.hasher.hash_one(kept.key.digest);
        if let Ok(entry) = self.places.find_entry(hash, |number| *number == first) {
            entry.remove();
        }
        true
    }

    /// Removes the empty places.
    fn close_up(&mut self) {
        self.ring.retain(Option::is_some);
        self.first = 0;
        self.places.clear();
        let Self { ring, first, places, hasher, .. } = self;
        for (number, kept) in (0..).zip(ring.iter().flatten()) {
            let hash = hasher.hash_one(kept.key.digest);
            places.insert_unique(hash, number, |number| hash_at(ring, *first, *number, hasher));
        }
    }
}

#[cfg(test)]
impl<A: core::fmt::Debug> Keys<A> {
    /// Says what is inside: the keys in order, and which of them the table leads to.
    pub(crate) fn inside(&self) -> String {
        let Self { ring, first, places, hasher: _, max, dropped: _ } = self;
        let kept: Vec<_> = ring.iter().flatten().collect();
        let mut led: Vec<u128> = places
            .iter()
            .map(|number| at(ring, *first, *number).expect("it leads to a key").key.digest)
            .collect();
        led.sort_unstable();
        format!("{max} {led:?} {kept:?}")
    }
}

fn index(first: u64, number: u64) -> Option<usize> {
    usize::try_from(number.checked_sub(first)?).ok()
}

fn at<A>(ring: &VecDeque<Option<Kept<A>>>, first: u64, number: u64) -> Option<&Kept<A>> {
    ring.get(index(first, number)?)?.as_ref()
}

fn is_at<A>(ring: &VecDeque<Option<Kept<A>>>, first: u64, number: u64, digest: u128) -> bool {
    at(ring, first, number).is_some_and(|kept| kept.key.digest == digest)
}

fn hash_at<A>(ring: &VecDeque<Option<Kept<A>>>, first: u64, number: u64, hasher: &DefaultHashBuilder) -> u64 {
    at(ring, first, number).map_or(0, |kept| hasher.hash_one(kept.key.digest))
}

impl<A: PartialEq> PartialEq for Keys<A> {
    /// Compares what is kept, in order, and the room; not what was dropped, which replay from a
    /// snapshot can't know.
    fn eq(&self, other: &Self) -> bool {
        self.max == other.max && self.len() == other.len() && self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    fn key(digest: u128) -> KeyUse {
        KeyUse { digest, fingerprint: 7 }
    }

    #[test]
    fn a_key_answers_for_a_day_and_then_is_new_again() {
        let mut keys = Keys::new(10);
        keys.keep(key(1), 3, START, "held");
        let answered = Some(KeyFound::Answered { answer: &"held", version: 3 });
        let end = START.plus(KEY_RETENTION);
        assert_eq!(keys.find(key(1), Timestamp::from_millis(end.as_millis() - 1)), answered);
        assert_eq!(keys.find(key(1), end), None);
        keys.keep(key(1), 9, end, "again");
        let answered = Some(KeyFound::Answered { answer: &"again", version: 9 });
        assert_eq!(keys.find(key(1), end), answered);
        assert_eq!(keys.len(), 1);
    }

    #[test]
    fn a_key_with_another_body_is_found_out() {
        let mut keys = Keys::new(10);
        keys.keep(key(1), 3, START, ());
        let other = KeyUse { digest: 1, fingerprint: 8 };
        assert_eq!(keys.find(other, START), Some(KeyFound::Reused));
    }

    #[test]
    fn a_full_table_loses_the_oldest_key_and_counts_it() {
        let mut keys = Keys::new(2);
        for digest in 1..=3 {
            keys.keep(key(digest), 1, START, ());
        }
        assert_eq!(keys.find(key(1), START), None);
        assert!(keys.find(key(2), START).is_some());
        assert_eq!((keys.len(), keys.dropped()), (2, 1));
        keys.set_max(1);
        assert_eq!((keys.len(), keys.dropped()), (1, 2));
    }

    proptest! {
        /// Against a list that is scanned.
        #[test]
        fn a_table_answers_as_a_list_does(
            steps in prop::collection::vec((0u8..4, 0u128..40, 0u64..30_000_000), 1..300),
            max in 1u32..30,
        ) {
            let mut keys = Keys::new(max);
            let mut list: Vec<(u128, Timestamp, u64)> = Vec::new();
            let mut now = START;
            let mut version = 0;
            for (step, digest, pass) in steps {
                now = Timestamp::from_millis(now.as_millis() + pass);
                list.retain(|(_, at, _)| at.plus(KEY_RETENTION) > now);
                let known = list.iter().find(|(of, ..)| *of == digest).map(|(.., version)| *version);
                let answered = known.as_ref().map(|version| KeyFound::Answered { answer: version, version: *version });
                prop_assert_eq!(keys.find(key(digest), now), answered);
                match step {
                    0 => {
                        // Of an odd version, it is another's.
                        keys.forget(digest, |version| version % 2 == 0);
                        list.retain(|(of, _, version)| *of != digest || version % 2 == 1);
                    }
                    _ if known.is_none() => {
                        version += 1;
                        keys.keep(key(digest), version, now, version);
                        list.push((digest, now, version));
                        if list.len() > usize::try_from(max).unwrap() {
                            list.remove(0);
                        }
                    }
                    _ => {}
                }
                keys.forget_old(now);
                let kept: Vec<_> = keys.iter().map(|(key, version, at, _)| (key.digest, at, version)).collect();
                prop_assert_eq!(&kept, &list);
                prop_assert_eq!(keys.len(), list.len());
            }
        }
    }

    #[test]
    fn keys_that_are_let_go_leave_no_places_behind() {
        let mut keys = Keys::new(10);
        keys.keep(key(1), 1, START, ());
        for digest in 2..100_000 {
            keys.keep(key(digest), 1, START, ());
            keys.forget(digest, |()| true);
        }
        assert!(keys.ring.len() <= EMPTY_MAX + 2 && keys.len() == 1);
        assert!(keys.find(key(1), START).is_some() && keys.find(key(99_999), START).is_none());
    }
}
