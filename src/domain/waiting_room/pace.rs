//! The pace of admission: a token bucket, so that `admitPerMinute` is a stream and not a burst at each minute.
//!
//! Exact in integers: the credit is counted in units of which an admission costs [`COST`], and a rate of `n` a minute
//! earns `n` each millisecond. It holds at most one second's worth, and at least one admission.

use crate::domain::time::Timestamp;

/// The cost of one admission: the milliseconds of a minute.
const COST: u64 = 60_000;
const SECOND_MILLIS: u64 = 1_000;

/// How many may be admitted by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// The admissions a minute; without a limit, none.
    per_minute: Option<u32>,
    credit: u64,
    as_of: Timestamp,
}

impl Default for Pace {
    fn default() -> Self {
        Self { per_minute: None, credit: COST, as_of: Timestamp::ZERO }
    }
}

impl Pace {
    /// Makes the pace as it was kept.
    pub(super) fn restore(per_minute: Option<u32>, credit: u64, as_of: Timestamp) -> Self {
        Self { per_minute, credit, as_of }
    }

    /// Returns its rate, its credit and the instant that the credit is of.
    pub(super) fn parts(&self) -> (Option<u32>, u64, Timestamp) {
        (self.per_minute, self.credit, self.as_of)
    }

    /// Changes the rate. The credit stays, as far as one second of the new rate holds it.
    pub(super) fn set(&mut self, per_minute: Option<u32>, now: Timestamp) {
        let credit = self.credit(now);
        *self = Self { per_minute, credit, as_of: now };
        self.credit = self.credit.min(self.most());
    }

    /// Returns how many may be admitted at `now`.
    pub(super) fn allowance(&self, now: Timestamp) -> u32 {
        match self.per_minute {
            None => u32::MAX,
            Some(_) => u32::try_from(self.credit(now) / COST).unwrap_or(u32::MAX),
        }
    }

    /// Returns the first instant at which one may be admitted.
    pub(super) fn next_at(&self) -> Timestamp {
        match self.per_minute {
            // At a rate of none, never.
            Some(0) if self.credit < COST => Timestamp::MAX,
            Some(rate) if self.credit < COST => {
                self.as_of.plus_millis((COST - self.credit).div_ceil(u64::from(rate)))
            }
            Some(_) | None => Timestamp::ZERO,
        }
    }

    /// Takes the cost of `count` admissions.
    pub(super) fn spend(&mut self, count: u32, now: Timestamp) {
        if self.per_minute.is_some() {
            self.credit = self.credit(now).saturating_sub(COST * u64::from(count));
        }
        self.as_of = now;
    }

    fn credit(&self, now: Timestamp) -> u64 {
        let Some(rate) = self.per_minute else { return self.credit };
        let earned = now.millis_since(self.as_of).saturating_mul(u64::from(rate));
        self.credit.saturating_add(earned).min(self.most())
    }

    fn most(&self) -> u64 {
        let rate = u64::from(self.per_minute.unwrap_or_default());
        COST.max(rate * SECOND_MILLIS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn ninety_a_minute_are_one_and_a_half_a_second() {
        let mut pace = Pace::default();
        pace.set(Some(90), at(0));
        assert_eq!(pace.allowance(at(0)), 1);
        pace.spend(1, at(0));
        // 60,000 units at 90 a millisecond: 667 ms.
        assert_eq!(pace.next_at(), at(667));
        assert_eq!((pace.allowance(at(666)), pace.allowance(at(667))), (0, 1));
        // Nothing is saved up beyond a second.
        assert_eq!(pace.allowance(at(60_000)), 1);
    }

    proptest! {
        #[test]
        fn no_window_sees_more_than_its_share_and_one_second(rate in 1u32..100_000, steps in prop::collection::vec(0u64..500, 1..200)) {
            let mut pace = Pace::default();
            pace.set(Some(rate), at(0));
            let (mut now, mut admitted) = (0, 0u64);
            for step in steps {
                now += step;
                let allowed = pace.allowance(at(now));
                prop_assert_eq!(allowed > 0, pace.next_at() <= at(now));
                pace.spend(allowed, at(now));
                admitted += u64::from(allowed);
                let share = (u64::from(rate) * (now + 1_000)) / 60_000 + 1;
                prop_assert!(admitted <= share, "{} of {} after {} ms", admitted, share, now);
            }
        }
    }
}
