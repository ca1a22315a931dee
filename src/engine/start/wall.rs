//! Whether the clock with which a start begins can be right.
//!
//! Time only goes forward, and its events stand: a start whose clock is a year ahead ends every sale and every token,
//! and the next start goes on from there. So a clock that is far ahead of the log is believed only if somebody says what
//! day it is.
//!
//! Nothing on the machine can tell a long outage from a wrong clock: the same clock dated the files and the log, and the
//! system's count of time ends with each boot. So a clock is believed up to a length, and beyond it on a person's word.
//!
//! Absent on purpose: steps of the wall clock while the engine runs, which it doesn't see; and a refusal of a clock that is
//! behind the log, since time then goes on from the log.

use super::open::EngineOpenError;
use crate::domain::schedule::SaleStatus;
use crate::domain::time::{Seconds, Timestamp};
use crate::recovery::World;

/// How far the clock may be from the end of the log without a warning: wrong time zones come in steps of half an hour.
const NOTABLE: Seconds = Seconds::new(1_800);

/// How far a start's clock may be ahead of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockLimit {
    /// By how much it may be ahead of the last instant at which the engine is known to have run; anything, if unset.
    pub ahead_max: Option<Seconds>,
    /// The beginning of a day in UTC. A clock that is in it, or a day before or after it, is right whatever the log says.
    pub today: Option<Timestamp>,
}

impl ClockLimit {
    /// Tells whether the clock may be believed.
    fn allows(&self, now: Timestamp, known: Timestamp) -> bool {
        let Some(ahead_max) = self.ahead_max else { return true };
        // A new log knows of no instant.
        if known == Timestamp::ZERO || now <= known.plus(ahead_max) {
            return true;
        }
        // A day on each side: where the day begins is another question in each time zone.
        self.today.is_some_and(|today| {
            today.minus(Seconds::DAY) <= now && now < today.plus(Seconds::DAY).plus(Seconds::DAY)
        })
    }

    /// Refuses a clock that can't be believed, and warns of one that isn't where the log ended.
    pub(super) fn check(
        &self,
        now: Timestamp,
        known: Timestamp,
        world: &World,
    ) -> Result<(), EngineOpenError> {
        if !self.allows(now, known) {
            return Err(EngineOpenError::Clock { now, known });
        }
        if known == Timestamp::ZERO {
            return Ok(());
        }

        if known > now.plus(NOTABLE) {
            let seconds = known.millis_since(now) / 1_000;
            tracing::warn!(
                clock = %now, log = %known, seconds,
                "the clock is behind the log: time goes on from the log, and stays ahead until a start finds that the clock has \
                 caught up; if the log was written with a wrong clock, see OPERATIONS, \"A wrong clock\""
            );
        } else if now > known.plus(NOTABLE) {
            let seconds = now.millis_since(known) / 1_000;
            let TimePassed { holds, opening, closing } = TimePassed::by(world, now);
            tracing::warn!(
                clock = %now, log = %known, seconds, holds, opening, closing,
                "the clock is far ahead of the log: if that is no outage but a wrong clock, stop now; holds that were live get \
                 the time back, sales open and close as it says"
            );
        }
        Ok(())
    }
}

/// The effects of the time that has passed.
struct TimePassed {
    /// Holds that were live, and get the time back.
    holds: usize,
    /// Sales that open.
    opening: usize,
    /// Sales that close.
    closing: usize,
}

impl TimePassed {
    fn by(world: &World, now: Timestamp) -> Self {
        let mut passed = Self { holds: 0, opening: 0, closing: 0 };
        for schedule in world.schedules.values() {
            passed.holds += schedule.deadline_count();
            let (was, is) = (schedule.sale_status(), schedule.sale_at(now));
            passed.opening += usize::from(was == SaleStatus::Upcoming && is != was);
            passed.closing += usize::from(is == SaleStatus::Closed && is != was);
        }
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const WEEK: Seconds = Seconds::new(7 * 86_400);

    fn after(days: u32) -> Timestamp {
        KNOWN.plus(Seconds::new(days * 86_400))
    }

    #[test]
    fn a_clock_is_believed_for_a_while_and_beyond_it_only_on_the_day_that_somebody_names() {
        let limit = ClockLimit { ahead_max: Some(WEEK), today: None };
        assert!(limit.allows(KNOWN, KNOWN) && limit.allows(after(7), KNOWN));
        assert!(limit.allows(Timestamp::from_millis(1), KNOWN), "behind is no harm");
        assert!(!limit.allows(after(7).plus_millis(1), KNOWN));

        let named = ClockLimit { today: Some(after(365)), ..limit };
        for (days, believed) in [(363, false), (364, true), (365, true), (366, true), (367, false)] {
            assert_eq!(named.allows(after(days), KNOWN), believed, "{days} days later");
        }
        assert!(named.allows(after(3), KNOWN), "what needs no word needs none");
    }

    #[test]
    fn a_new_log_and_an_embedder_without_a_limit_take_any_clock() {
        let limit = ClockLimit { ahead_max: Some(WEEK), today: None };
        assert!(limit.allows(after(10_000), Timestamp::ZERO));
        assert!(ClockLimit::default().allows(after(10_000), KNOWN));
    }
}
