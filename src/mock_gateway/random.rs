//! Seeded randomness, for keys and for faults with a percentage.

/// `SplitMix64` (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014). Not for secrets: it is a mock's.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Tells whether something that happens in so many of a hundred cases does.
    pub(super) fn happens(&mut self, percent: u8) -> bool {
        self.number() % 100 < u64::from(percent)
    }

    /// Makes a word of small letters and digits.
    pub(super) fn word(&mut self, len: usize) -> String {
        const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let letter = |number: u64| {
            let index = usize::try_from(number >> 59).expect("five bits fit");
            char::from(LETTERS[index])
        };
        (0..len).map(|_| letter(self.number())).collect()
    }

    /// Makes the name of a movement of money.
    pub(super) fn transaction(&mut self) -> String {
        self.word(32).to_ascii_uppercase()
    }
}
