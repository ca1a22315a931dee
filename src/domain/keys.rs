//! One idempotency key, one effect (I1): the table that an aggregate keeps of the keys it has seen.
//!
//! A key is known by a keyed digest of who called, what was called and the key itself; beside it
//! stands a fingerprint of the body and the answer that the effect gave. Both are part of the effect's
//! record, so the table is rebuilt by replay. Entries leave after a day, or when the room is full,
//! the oldest first: both by the events' own time, so that replay agrees. Of one owner's keys the oldest go long before
//! ([`OWNER_KEYS_MAX`]), so that few push out another's.

mod owners;

use core::hash::BuildHasher;
use hashbrown::{DefaultHashBuilder, HashTable};

pub use owners::OWNER_KEYS_MAX;
use owners::Owners;

use super::pages::Pages;
use super::time::{Seconds, Timestamp};

/// How long a key is kept.
pub const KEY_RETENTION: Seconds = Seconds::DAY;

/// A key as a command carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyUse {
    /// The digest of caller, route and key.
    pub digest: u128,
    /// The digest of the body in the lower 96 bits, and above them whose the key is: [`KeyUse::owned_by`].
    pub fingerprint: u128,
}

/// How many of a fingerprint's bits are the body's.
const BODY_BITS: u32 = 96;

impl KeyUse {
    /// Says whose key it is: some digest of the owner, or 0 for the administrators. (A key of a former version has
    /// bits of its body there, and so an owner of its own.)
    #[must_use]
    pub fn owned_by(self, owner: u32) -> Self {
        let body = self.fingerprint & ((1 << BODY_BITS) - 1);
        Self { fingerprint: (u128::from(owner) << BODY_BITS) | body, ..self }
    }

    fn owner(self) -> u32 {
        u32::try_from(self.fingerprint >> BODY_BITS).expect("shifted")
    }

    /// Tells whether it came with the body that another came with.
    fn has_body_of(self, other: Self) -> bool {
        (self.fingerprint ^ other.fingerprint).trailing_zeros() >= BODY_BITS
    }
}

/// The table's answer about a key.
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
struct KeyEntry<A> {
    key: KeyUse,
    version: u64,
    at: Timestamp,
    answer: A,
}

/// The keys that an aggregate has seen, with the answers that they got.
///
/// They are numbered in the order in which they came; a table of numbers leads there, so that a table that grows moves eight
/// bytes a key.
#[derive(Debug, Clone)]
pub struct Keys<A> {
    kept: Pages<KeyEntry<A>>,
    /// The number of the next that comes.
    next: u64,
    /// The numbers of the keys, by their digests.
    numbers: HashTable<u64>,
    /// Whose the keys are.
    owners: Owners,
    /// Another one in each table: only the keys are state.
    hasher: DefaultHashBuilder,
    max: usize,
    dropped: u64,
}

/// Keys in the order in which they came, each with its version, instant and answer: the part of [`Keys`] that an image has. It
/// shares the table's pages.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyList<A>(Pages<KeyEntry<A>>);

impl<A: Clone> Keys<A> {
    /// Makes an empty table with room for `max` keys.
    pub fn new(max: u32) -> Self {
        Self {
            kept: Pages::default(),
            next: 0,
            numbers: HashTable::new(),
            owners: Owners::default(),
            hasher: DefaultHashBuilder::default(),
            max: usize::try_from(max).expect("a u32 fits"),
            dropped: 0,
        }
    }

    /// Makes a table of the keys of a list, with room for `max`.
    pub fn restore(max: u32, list: KeyList<A>) -> Self {
        let mut keys = Self { kept: list.0, ..Self::new(max) };
        keys.numbers.reserve(keys.kept.len(), |_| unreachable!("an empty table moves nothing"));
        // Of a list of a version that kept more.
        let mut surplus = Vec::new();
        for (number, kept) in keys.kept.numbered() {
            let hash = keys.hasher.hash_one(kept.key.digest);
            keys.numbers.insert_unique(hash, number, |_| unreachable!("there is room for all of them"));
            surplus.extend(keys.owners.add(kept.key.owner(), number));
            keys.next = number + 1;
        }
        for number in surplus {
            keys.let_go(number);
        }
        keys.shrink();
        keys
    }

    /// Looks a key up.
    pub fn find(&self, key: KeyUse, now: Timestamp) -> Option<KeyFound<'_, A>> {
        let Self { kept, hasher, .. } = self;
        let number =
            self.numbers.find(hasher.hash_one(key.digest), |number| is_at(kept, *number, key.digest))?;
        let kept = kept.get(*number)?;
        if kept.at.plus(KEY_RETENTION) <= now {
            return None;
        }
        if !kept.key.has_body_of(key) {
            return Some(KeyFound::Reused);
        }
        Some(KeyFound::Answered { answer: &kept.answer, version: kept.version })
    }

    /// Keeps the answer of a key's effect.
    pub fn keep(&mut self, key: KeyUse, version: u64, at: Timestamp, answer: A) {
        // A key whose day is over may come again: its old entry leaves here, first in order.
        self.forget_old(at);
        debug_assert!(self.find(key, at).is_none(), "a key that answers has no new effect");
        self.kept.insert(self.next, KeyEntry { key, version, at, answer });
        let Self { kept, numbers, hasher, .. } = self;
        numbers.insert_unique(hasher.hash_one(key.digest), self.next, |number| {
            kept.get(*number).map_or(0, |kept| hasher.hash_one(kept.key.digest))
        });
        let surplus = self.owners.add(key.owner(), self.next);
        self.next += 1;
        if let Some(oldest) = surplus {
            self.let_go(oldest);
            self.dropped += 1;
        }
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
        let Self { kept, numbers, hasher, .. } = self;
        let found = numbers.find_entry(hasher.hash_one(digest), |number| is_at(kept, *number, digest));
        let Ok(entry) = found else { return };
        if !kept.get(*entry.get()).is_some_and(|kept| is_its(&kept.answer)) {
            return;
        }
        let number = *entry.get();
        self.owners.remove(kept.get(number).map_or(0, |kept| kept.key.owner()), number);
        self.let_go(number);
    }

    /// Lets a key go that its owner has no more.
    fn let_go(&mut self, number: u64) {
        let Some(kept) = self.kept.remove(number) else { return };
        let hash = self.hasher.hash_one(kept.key.digest);
        if let Ok(entry) = self.numbers.find_entry(hash, |other| *other == number) {
            entry.remove();
        }
    }

    /// Removes the keys that are older than [`KEY_RETENTION`] at `now`.
    pub fn forget_old(&mut self, now: Timestamp) {
        while self.kept.first().is_some_and(|(_, kept)| kept.at.plus(KEY_RETENTION) <= now) {
            self.drop_first();
        }
    }

    /// Returns how many keys are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Tells whether no key is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Returns how many keys left before their day was over, because the room was full, since start.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns the keys for an image.
    pub fn list(&self) -> KeyList<A> {
        KeyList(self.kept.clone())
    }

    fn shrink(&mut self) {
        while self.len() > self.max {
            self.drop_first();
            self.dropped += 1;
        }
    }

    fn drop_first(&mut self) {
        let Some((first, kept)) = self.kept.first() else { return };
        self.owners.remove(kept.key.owner(), first);
        self.let_go(first);
    }
}

impl<A> KeyList<A> {
    /// Returns every key with its version, instant and answer, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (KeyUse, u64, Timestamp, &A)> {
        self.0.iter().map(|kept| (kept.key, kept.version, kept.at, &kept.answer))
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<A: core::fmt::Debug> core::fmt::Debug for KeyList<A> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<A> Default for KeyList<A> {
    fn default() -> Self {
        Self(Pages::default())
    }
}

impl<A: Clone> FromIterator<(KeyUse, u64, Timestamp, A)> for KeyList<A> {
    fn from_iter<I: IntoIterator<Item = (KeyUse, u64, Timestamp, A)>>(all: I) -> Self {
        let kept = |(key, version, at, answer)| KeyEntry { key, version, at, answer };
        Self((0_u64..).zip(all.into_iter().map(kept)).collect())
    }
}

#[cfg(test)]
impl<A: core::fmt::Debug> Keys<A> {
    /// Says what is inside: the keys in order, and which of them the table leads to.
    pub(crate) fn inside(&self) -> String {
        let Self { kept, next: _, numbers, owners: _, hasher: _, max, dropped: _ } = self;
        let mut led: Vec<u128> =
            numbers.iter().map(|number| kept.get(*number).expect("it leads to a key").key.digest).collect();
        led.sort_unstable();
        format!("{max} {led:?} {:?}", kept.iter().collect::<Vec<_>>())
    }
}

fn is_at<A>(kept: &Pages<KeyEntry<A>>, number: u64, digest: u128) -> bool {
    kept.get(number).is_some_and(|kept| kept.key.digest == digest)
}

impl<A: PartialEq> PartialEq for Keys<A> {
    /// Compares what is kept, in order, and the room; not what was dropped, which replay from a
    /// snapshot can't know.
    fn eq(&self, other: &Self) -> bool {
        self.max == other.max && self.kept == other.kept
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
    fn whoever_uses_many_keys_loses_their_own_oldest_and_nobody_elses() {
        let most = u128::try_from(OWNER_KEYS_MAX).unwrap();
        let mut keys = Keys::new(100_000);
        let of = |owner: u32, digest: u128| key((u128::from(owner) << 64) | digest).owned_by(owner);
        keys.keep(of(7, 0), 1, START, 1);
        keys.keep(of(0, 0), 1, START, 1);
        for digest in 0..20 * most {
            keys.keep(of(8, digest), 1, START, 1);
            // Whoever runs the sale has no bound of their own.
            keys.keep(of(0, 1 + digest), 1, START, 1);
        }
        for (owner, digest, kept) in
            [(7, 0, true), (0, 0, true), (8, 19 * most - 1, false), (8, 19 * most, true)]
        {
            assert_eq!(keys.find(of(owner, digest), START).is_some(), kept, "{owner} {digest}");
        }
        assert_eq!(keys.len(), 1 + 1 + usize::try_from(21 * most).unwrap());
        // Made again from what is kept, the table goes on as before.
        let mut again = Keys::restore(100_000, keys.list());
        assert!(again == keys);
        for keys in [&mut again, &mut keys] {
            keys.forget(of(8, 20 * most - 1).digest, |_| true);
            keys.keep(of(8, 20 * most), 1, START, 1);
            keys.keep(of(8, 20 * most + 1), 1, START, 1);
            assert!(
                keys.find(of(8, 19 * most), START).is_none()
                    && keys.find(of(8, 19 * most + 1), START).is_some()
            );
        }
        assert!(again == keys);
        keys.forget_old(START.plus(KEY_RETENTION));
        assert_eq!(keys.owners, Owners::default(), "nothing is left of who has no key");
    }

    #[test]
    fn a_key_of_a_former_version_is_known_by_its_body_alone() {
        let mut keys = Keys::new(10);
        let former = KeyUse { digest: 1, fingerprint: u128::MAX };
        keys.keep(former, 1, START, 1);
        assert!(matches!(keys.find(former.owned_by(9), START), Some(KeyFound::Answered { .. })));
        let other = KeyUse { fingerprint: u128::MAX - 1, ..former };
        assert_eq!(keys.find(other.owned_by(9), START), Some(KeyFound::Reused));
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
                let kept: Vec<_> = keys.list().iter().map(|(key, version, at, _)| (key.digest, at, version)).collect();
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
        assert_eq!((keys.len(), keys.numbers.len()), (1, 1));
        assert!(keys.find(key(1), START).is_some() && keys.find(key(99_999), START).is_none());
    }
}
