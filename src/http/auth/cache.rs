//! The cache of verified tokens, which spares the hot path the signature check.
//!
//! It is a direct-mapped table: a token's keyed hash chooses its one slot, and a new token replaces the old one. So
//! memory is bounded, there is no eviction policy, and two requests wait for the same lock only if their tokens share a
//! slot. Only verified tokens are put in.
//!
//! Absent on purpose: time. An entry has its token's expiry, which the caller checks.

use core::hash::BuildHasher;
use std::hash::RandomState;
use std::sync::{Mutex, PoisonError};

use super::Caller;

/// The number of slots: 100,000 callers who are busy at once hit in seven of ten requests.
const SLOTS: usize = 1 << 17;

/// The longest token that is kept, in bytes; with [`SLOTS`] it bounds the memory to 150 MB.
const TOKEN_LEN_MAX: usize = 1024;

/// How much of a token's end picks its slot, in bytes: of an HS256 signature 192 of its 256 bits.
const HASHED_LEN: usize = 32;

/// The caller of a valid token.
#[derive(Debug, Clone)]
pub(super) struct Verified {
    /// Who calls, and until when.
    pub(super) caller: Caller,
    /// Which reading of the keys verified it.
    pub(super) generation: u64,
}

struct Entry {
    token: Box<str>,
    verified: Verified,
}

/// See the module.
pub(super) struct TokenCache {
    hasher: RandomState,
    slots: Box<[Mutex<Option<Box<Entry>>>]>,
}

impl TokenCache {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), slots: (0..SLOTS).map(|_| Mutex::new(None)).collect() }
    }

    fn slot(&self, token: &str) -> &Mutex<Option<Box<Entry>>> {
        // A token ends in its signature, so that the last bytes tell tokens apart as well as all of them.
        let tail = &token.as_bytes()[token.len().saturating_sub(HASHED_LEN)..];
        let hash = self.hasher.hash_one(tail);
        let mask = u64::try_from(SLOTS - 1).expect("the number of slots fits");
        let index = usize::try_from(hash & mask).expect("masked below the number of slots");
        &self.slots[index]
    }

    /// Returns what the token says, if the very same token was verified before.
    pub(super) fn get(&self, token: &str) -> Option<Verified> {
        let slot = self.slot(token).lock().unwrap_or_else(PoisonError::into_inner);
        let entry = slot.as_ref()?;
        (*entry.token == *token).then(|| entry.verified.clone())
    }

    /// Keeps what a verified token says.
    pub(super) fn put(&self, token: &str, verified: Verified) {
        if token.len() > TOKEN_LEN_MAX {
            return;
        }
        let entry = Box::new(Entry { token: token.into(), verified });
        let old = self.slot(token).lock().unwrap_or_else(PoisonError::into_inner).replace(entry);
        drop(old);
    }
}
