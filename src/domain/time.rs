//! Instants and durations as the domain knows them: milliseconds since 1970 in UTC, never read
//! from a clock here (`crate::clock` is the only place that does), always given.

use core::fmt;
use core::num::NonZeroU64;

/// The digits of the numbers below a hundred.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [*b"00"; 100];
    let mut number = 1;
    while number < pairs.len() {
        let [tens, ones] = pairs[number - 1];
        pairs[number] = if ones < b'9' { [tens, ones + 1] } else { [tens + 1, b'0'] };
        number += 1;
    }
    pairs
};

/// An instant: whole milliseconds since 1970-01-01T00:00:00Z. `Option<Timestamp>` is no larger, since one more than them is kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroU64);

impl Timestamp {
    /// The beginning of time: before every instant that an event carries.
    pub const ZERO: Self = Self(NonZeroU64::MIN);
    /// The last instant of the year 9999, which is the last that RFC 3339 can write.
    pub const MAX: Self = Self::from_millis(Self::MAX_MILLIS);

    const MAX_MILLIS: u64 = 253_402_300_799_999;

    /// Makes an instant from milliseconds since 1970, capped at [`Timestamp::MAX`].
    pub const fn from_millis(millis: u64) -> Self {
        let millis = if millis > Self::MAX_MILLIS { Self::MAX_MILLIS } else { millis };
        Self(NonZeroU64::MIN.saturating_add(millis))
    }

    /// Returns the milliseconds since 1970.
    pub const fn as_millis(self) -> u64 {
        self.0.get() - 1
    }

    /// Returns the instant `duration` later, at most [`Timestamp::MAX`].
    #[must_use]
    pub const fn plus(self, duration: Seconds) -> Self {
        self.plus_millis(duration.as_millis())
    }

    /// Returns the instant `millis` later, at most [`Timestamp::MAX`].
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self::from_millis(self.as_millis().saturating_add(millis))
    }

    /// Returns the instant `duration` earlier, at least [`Timestamp::ZERO`].
    #[must_use]
    pub const fn minus(self, duration: Seconds) -> Self {
        Self::from_millis(self.as_millis().saturating_sub(duration.as_millis()))
    }

    /// Returns the milliseconds from `earlier` to `self`, zero if `earlier` is later.
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.as_millis().saturating_sub(earlier.as_millis())
    }

    /// Parses an RFC 3339 instant with any offset; finer digits than milliseconds are cut.
    ///
    /// # Errors
    /// When the text isn't an RFC 3339 instant, or lies before 1970.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        let instant: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp)?;
        let millis = u64::try_from(instant.as_millisecond()).map_err(|_| InvalidTimestamp)?;
        Ok(Self::from_millis(millis))
    }
}

impl Timestamp {
    /// The length of the text form.
    pub const TEXT_LEN: usize = 24;

    /// Returns RFC 3339 in UTC with milliseconds: `2026-11-20T12:00:00.000Z`.
    ///
    /// The date is computed with the days-from-civil algorithm run backwards (Howard Hinnant,
    /// "chrono-compatible low-level date algorithms"), and the digits are written two at a time, because this is on
    /// the path of every answer.
    pub fn to_text(self) -> [u8; Self::TEXT_LEN] {
        let (days, millis) = (self.as_millis() / 86_400_000, self.as_millis() % 86_400_000);
        // Years begin in March here, so that a leap day is the last of its year: 719,468 days lie between
        // 0000-03-01 and 1970-01-01.
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);

        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |at: usize, number: u64| {
            let pair = PAIRS[usize::try_from(number).expect("two digits")];
            text[at..at + 2].copy_from_slice(&pair);
        };

        put(0, year / 100);
        put(2, year % 100);
        put(5, month);
        put(8, day);
        put(11, millis / 3_600_000);
        put(14, millis / 60_000 % 60);
        put(17, millis / 1_000 % 60);
        put(20, millis % 1_000 / 10);
        text[22] = b'0' + u8::try_from(millis % 10).expect("a digit");
        text
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::ZERO
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(core::str::from_utf8(&self.to_text()).expect("digits and marks are ASCII"))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that isn't an RFC 3339 instant from 1970 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 instant from 1970 on")]
pub struct InvalidTimestamp;

/// A duration in whole seconds, the unit of every policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seconds(u32);

impl Seconds {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// One day.
    pub const DAY: Self = Self(86_400);

    /// Makes a duration of whole seconds.
    pub const fn new(seconds: u32) -> Self {
        Self(seconds)
    }

    /// Returns the whole seconds.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Returns the same duration in milliseconds.
    pub const fn as_millis(self) -> u64 {
        // A u32 of seconds is at most 4.3e12 milliseconds. `u64::from` isn't const yet.
        #[expect(clippy::as_conversions, reason = "widening, in a const fn")]
        let seconds = self.0 as u64;
        seconds * 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_instant_survives_being_written_and_read(millis in 0..=Timestamp::MAX.as_millis()) {
            let instant = Timestamp::from_millis(millis);
            prop_assert_eq!(Timestamp::parse(&instant.to_string()), Ok(instant));
        }
    }

    #[test]
    fn an_instant_is_written_in_utc_with_milliseconds() {
        let instant = Timestamp::parse("2027-02-09T19:30:00+09:00").unwrap();
        assert_eq!(instant.to_string(), "2027-02-09T10:30:00.000Z");
        assert_eq!(Timestamp::parse("1969-12-31T23:59:59Z"), Err(InvalidTimestamp));
        assert_eq!(Timestamp::parse("tomorrow"), Err(InvalidTimestamp));
    }
}
