//! Randomness that is the seed's: the same number gives the same run.
//!
//! Each step of a plan has dice of its own, made from the seed and the step's number, so that a step that is left out changes
//! no other one's throws. The generator is `SplitMix64` (Guy L. Steele and others, "Fast splittable pseudorandom number
//! generators", 2014).

/// A stream of numbers.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Makes the stream of a seed and of one purpose there.
    pub(crate) fn of(seed: u64, purpose: u64) -> Self {
        let mut dice = Self(seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Two near seeds don't begin alike.
        dice.next();
        Self(dice.next())
    }

    /// Returns 64 random bits.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `n`, which isn't zero.
    pub(crate) const fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Returns a number from `low` to `high`, both included.
    pub(crate) const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// Returns yes `percent` times of a hundred.
    pub(crate) const fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns one of several.
    pub(crate) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let len = u64::try_from(of.len()).expect("a length fits");
        &of[usize::try_from(self.below(len)).expect("below a length")]
    }

    /// Returns a small number, to choose among what there is when it is used.
    pub(crate) fn pick(&mut self) -> usize {
        usize::try_from(self.below(1 << 20)).expect("twenty bits fit")
    }
}

/// Digests what happened, so that two runs can be compared (FNV-1a, 64 bits).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trace(u64);

impl Default for Trace {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Trace {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(crate) const fn digest(self) -> u64 {
        self.0
    }
}
