//! The draw: a uniform order of everyone who joined before the room opened, from a seed.
//!
//! Anyone can make it again. The seed's SHA-256 is published before the draw, the seed after it. A stream of numbers
//! comes from the seed: block `i` is SHA-256(seed ‖ `i` as 8 bytes, big-endian), four big-endian 64-bit numbers.
//! A number below `n` is the first of the stream below the greatest multiple of `n` that is at most 2^64, modulo `n`. The
//! tickets of who waits, in order of joining, are shuffled by Fisher and Yates from the end (Donald E. Knuth, "The Art
//! of Computer Programming", vol. 2, algorithm P): for `i` from the last down to 1, exchange the `i`-th and the one
//! at a number below `i + 1`.

use core::fmt;

use aws_lc_rs::digest::{SHA256, digest};

/// The seed of a draw: 32 random bytes, a secret until then.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// Returns the SHA-256 of the seed, which is published before the draw.
    pub fn commitment(&self) -> [u8; 32] {
        sha256(&self.0)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// Writes a seed or its hash in hexadecimal.
pub fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).expect("four bits are a digit"));
        }
        text
    })
}

/// Shuffles with the seed's numbers: the first of the result is the first in line.
pub fn shuffle<T>(seed: &Seed, items: &mut [T]) {
    let mut numbers = Numbers { seed, block: 0, left: [0; 4], used: 4 };
    for last in (1..items.len()).rev() {
        let below = u64::try_from(last + 1).expect("a usize fits");
        let chosen = usize::try_from(numbers.below(below)).expect("at most a usize");
        items.swap(last, chosen);
    }
}

/// The stream of numbers that a seed gives.
struct Numbers<'a> {
    seed: &'a Seed,
    block: u64,
    left: [u64; 4],
    used: usize,
}

impl Numbers<'_> {
    fn next(&mut self) -> u64 {
        if self.used == self.left.len() {
            let mut input = [0; 40];
            input[..32].copy_from_slice(&self.seed.0);
            input[32..].copy_from_slice(&self.block.to_be_bytes());
            let bytes = sha256(&input);
            for (number, bytes) in self.left.iter_mut().zip(bytes.as_chunks().0) {
                *number = u64::from_be_bytes(*bytes);
            }
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        self.left[self.used - 1]
    }

    fn below(&mut self, n: u64) -> u64 {
        // The rest of 2^64 divided by n: so many numbers at the end would make the first ones likelier.
        let rest = (u64::MAX % n + 1) % n;
        loop {
            let number = self.next();
            if number <= u64::MAX - rest {
                return number % n;
            }
        }
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest(&SHA256, bytes);
    *digest.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draw_is_the_one_that_anyone_can_compute() {
        // Computed with Python's hashlib by the description above.
        let seed = Seed([7; 32]);
        let mut order: Vec<u32> = (1..=10).collect();
        shuffle(&seed, &mut order);
        assert_eq!(order, [7, 9, 10, 1, 8, 5, 2, 4, 6, 3]);
    }

    #[test]
    fn every_order_is_as_likely_as_another() {
        let mut counts = std::collections::BTreeMap::new();
        for round in 0..24_000u64 {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&round.to_le_bytes());
            let mut order = [1, 2, 3, 4];
            shuffle(&Seed(seed), &mut order);
            *counts.entry(order).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 24);
        // Chi-square with 23 degrees of freedom: 49.7 is passed once in a thousand; the seeds are fixed.
        let chi: f64 = counts.values().map(|count| (f64::from(*count) - 1_000.0).powi(2) / 1_000.0).sum();
        assert!(chi < 49.7, "{chi}");
    }
}
