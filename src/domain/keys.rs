//! One idempotency key, one effect (I1): the table that an aggregate keeps of the keys it has seen.
//!
//! A key is known by a keyed digest of who called, what was called and the key itself; beside it
//! stands a fingerprint of the body and the answer that the effect gave. Both are part of the effect's
//! record, so the table is rebuilt by replay. Entries leave after a day, or when the room is full,
//! the oldest first: both by the events' own time, so that replay agrees.

use std::collections::VecDeque;

use hashbrown::HashMap;

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
    fingerprint: u128,
    version: u64,
    at: Timestamp,
    answer: A,
}

/// The keys that an aggregate has seen, with the answers that they got.
#[derive(Debug, Clone)]
pub struct Keys<A> {
    kept: HashMap<u128, Kept<A>>,
    order: VecDeque<u128>,
    max: usize,
    dropped: u64,
}

impl<A> Keys<A> {
    /// Makes an empty table with room for `max` keys.
    pub fn new(max: u32) -> Self {
        Self {
            kept: HashMap::new(),
            order: VecDeque::new(),
            max: usize::try_from(max).expect("a u32 fits"),
            dropped: 0,
        }
    }

    /// Looks a key up.
    pub fn find(&self, key: KeyUse, now: Timestamp) -> Option<KeyFound<'_, A>> {
        let kept = self.kept.get(&key.digest)?;
        if kept.at.plus(KEY_RETENTION) <= now {
            return None;
        }
        if kept.fingerprint != key.fingerprint {
            return Some(KeyFound::Reused);
        }
        Some(KeyFound::Answered { answer: &kept.answer, version: kept.version })
    }

    /// Keeps the answer of a key's effect.
    pub fn keep(&mut self, key: KeyUse, version: u64, at: Timestamp, answer: A) {
        // A key whose day is over may come again: its old entry leaves here, first in order.
        self.forget_old(at);
        debug_assert!(!self.kept.contains_key(&key.digest), "a key that answers has no new effect");
        let kept = Kept { fingerprint: key.fingerprint, version, at, answer };
        self.kept.insert(key.digest, kept);
        self.order.push_back(key.digest);
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

    /// Lets a key go whose effect came to nothing: used again, it is new.
    pub fn forget(&mut self, digest: u128) {
        if self.kept.remove(&digest).is_some() {
            self.order.retain(|other| *other != digest);
        }
    }

    /// Removes what is older than [`KEY_RETENTION`] at `now`.
    pub fn forget_old(&mut self, now: Timestamp) {
        while let Some(first) = self.order.front() {
            let old = self.kept.get(first).is_none_or(|kept| kept.at.plus(KEY_RETENTION) <= now);
            if !old {
                return;
            }
            self.drop_first();
        }
    }

    /// Returns how many keys are kept.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Tells whether no key is kept.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Returns how many keys left before their day was over, because the room was full, since start.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns every key with its version, instant and answer, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (KeyUse, u64, Timestamp, &A)> {
        self.order.iter().filter_map(|digest| {
            let kept = self.kept.get(digest)?;
            let key = KeyUse { digest: *digest, fingerprint: kept.fingerprint };
            Some((key, kept.version, kept.at, &kept.answer))
        })
    }

    fn shrink(&mut self) {
        while self.order.len() > self.max {
            self.drop_first();
            self.dropped += 1;
        }
    }

    fn drop_first(&mut self) {
        if let Some(first) = self.order.pop_front() {
            self.kept.remove(&first);
        }
    }
}

impl<A: PartialEq> PartialEq for Keys<A> {
    /// Compares what is kept, in order, and the room; not what was dropped, which replay from a
    /// snapshot can't know.
    fn eq(&self, other: &Self) -> bool {
        self.max == other.max && self.order == other.order && self.kept == other.kept
    }
}

#[cfg(test)]
mod tests {
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
}
