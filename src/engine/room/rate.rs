//! Measures how fast a waiting room moves; the wait is estimated from it.
//!
//! An exponentially weighted mean of the admissions, with a time constant of [`MEMORY`], over the time in which people
//! waited and might enter: `rate = Σ nᵢ·e^(-age/τ) ÷ ∫ e^(-age/τ)`, so that it is right from the first minute on and a single
//! admission never makes it jump. Who fills seats that nobody had before (the first hundred at the opening, or
//! a raised `maxActive`) says nothing about how fast the others will follow, and isn't counted, unless a pace is set: then
//! that is how fast they follow.

use core::time::Duration;

use crate::domain::time::Timestamp;
use crate::engine::numbers;

const MEMORY: Duration = Duration::from_mins(2);
/// Nothing is said before so much time was measured, and so many admissions.
const KNOWN_AFTER_SECONDS: f64 = 5.0;
const KNOWN_ADMISSIONS: f64 = 2.5;

/// The measured rate of one room.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rate {
    admitted: f64,
    seconds: f64,
    as_of: Timestamp,
    running: bool,
    peak: u32,
    over: bool,
}

impl Rate {
    /// Brings the measure to `now`, with whether the room moves from here on, and whether nobody will be let in any more.
    pub(super) fn advance(&mut self, now: Timestamp, running: bool, over: bool) {
        *self = self.at(now);
        (self.running, self.over) = (running, over);
    }

    /// Counts admissions, after which `active` are active; `paced` where a limit a minute spreads them.
    pub(super) fn admit(&mut self, count: u32, active: u32, paced: bool) {
        let fresh = if paced { 0 } else { active.saturating_sub(self.peak).min(count) };
        self.peak = self.peak.max(active);
        self.admitted += numbers::value(u64::from(count - fresh));
    }

    /// Returns how long it takes until so many are admitted, in whole seconds; nothing while it isn't known.
    pub(super) fn wait_for(&self, position: u32, now: Timestamp) -> Option<u64> {
        let Self { admitted, seconds, .. } = self.at(now);
        if self.over || seconds < KNOWN_AFTER_SECONDS || admitted < KNOWN_ADMISSIONS {
            return None;
        }
        let wait = Duration::try_from_secs_f64(numbers::value(u64::from(position)) * seconds / admitted);
        Some(wait.ok()?.as_secs().max(1))
    }

    fn at(&self, now: Timestamp) -> Self {
        if !self.running {
            return Self { as_of: self.as_of.max(now), ..*self };
        }
        let memory = MEMORY.as_secs_f64();
        let passed = numbers::value(now.millis_since(self.as_of)) / 1e3;
        let kept = (-passed / memory).exp();
        Self {
            admitted: self.admitted * kept,
            seconds: self.seconds * kept + memory * (1.0 - kept),
            as_of: self.as_of.max(now),
            ..*self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + seconds * 1_000)
    }

    /// A room of 100 that is full, and lets one in each half second.
    fn steady(seconds: u64) -> Rate {
        let mut rate = Rate::default();
        rate.advance(at(0), true, false);
        rate.admit(100, 100, false);
        for second in 1..=seconds {
            rate.advance(at(second), true, false);
            rate.admit(2, 100, false);
        }
        rate
    }

    #[test]
    fn the_wait_is_unknown_at_first_and_then_what_was_measured() {
        assert_eq!(steady(0).wait_for(600, at(0)), None);
        assert_eq!(steady(4).wait_for(600, at(4)), None);
        for seconds in [10, 60, 600] {
            let wait = steady(seconds).wait_for(600, at(seconds)).unwrap();
            assert!((290..=310).contains(&wait), "{wait} after {seconds} s");
        }
    }

    #[test]
    fn who_fills_new_room_says_nothing_about_the_pace() {
        let mut rate = steady(600);
        let before = rate.wait_for(600, at(600)).unwrap();
        rate.admit(400, 500, false);
        assert_eq!(rate.wait_for(600, at(600)), Some(before));
    }

    #[test]
    fn a_pace_that_is_set_is_the_pace_also_while_the_room_fills() {
        let mut rate = Rate::default();
        for second in 0..=20 {
            rate.advance(at(second), true, false);
            rate.admit(5, 5 * u32::try_from(second + 1).unwrap(), true);
        }
        let wait = rate.wait_for(3_000, at(20)).unwrap();
        assert!((540..=620).contains(&wait), "{wait}");
    }

    #[test]
    fn where_nobody_will_be_let_in_any_more_no_wait_is_told() {
        let mut rate = steady(600);
        rate.advance(at(600), false, true);
        assert_eq!(rate.wait_for(600, at(600)), None);
    }

    #[test]
    fn no_second_makes_the_estimate_jump() {
        let mut rate = steady(600);
        let mut last = rate.wait_for(6_000, at(600)).unwrap();
        for second in 601..900 {
            rate.advance(at(second), true, false);
            // Bursts: nothing for nine seconds, then twenty at once.
            if second % 10 == 0 {
                rate.admit(20, 100, false);
            }
            let wait = rate.wait_for(6_000, at(second)).unwrap();
            assert!(wait.abs_diff(last) * 10 <= last, "{last} to {wait}");
            last = wait;
        }
    }

    #[test]
    fn a_room_that_stands_still_by_order_keeps_its_pace() {
        let mut rate = steady(600);
        let before = rate.wait_for(600, at(600));
        rate.advance(at(600), false, false);
        assert_eq!(rate.wait_for(600, at(6_000)), before);
    }
}
