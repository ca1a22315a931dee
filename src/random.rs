//! Randomness: the only place that asks the operating system for it. Decisions are given it, so that a replay needs none.
//!
//! # Panics
//! Each function, when the system has no randomness: on Linux that is so only before it has booted.

use core::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Returns bytes that nobody guesses.
pub fn bytes<const LEN: usize>() -> [u8; LEN] {
    let mut bytes = [0; LEN];
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    bytes
}

/// Returns a name that nobody foretells: `prefix`, and 128 bits in hexadecimal.
pub fn name(prefix: &str) -> String {
    format!("{prefix}{:032x}", u128::from_le_bytes(bytes()))
}

/// Returns a secret of 256 bits, as 43 characters of base 64 that a URL may have.
pub fn token() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<32>())
}

/// Returns 64 random bits for an id that can't be guessed, from the operating system's generator; asked for 64 of them
/// at a time, since the call costs more than the number.
pub fn number() -> u64 {
    const POOL: usize = 512;
    thread_local! {
        static UNUSED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    UNUSED.with_borrow_mut(|unused| {
        if unused.is_empty() {
            unused.resize(POOL, 0);
            getrandom::fill(unused).expect("the operating system has random numbers");
        }
        let (rest, bytes) = unused.split_last_chunk().expect("a whole number of eight bytes is left");
        let (number, rest) = (u64::from_le_bytes(*bytes), rest.len());
        unused.truncate(rest);
        number
    })
}
