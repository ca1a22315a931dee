//! Positions in the log: opaque, ordered numbers.
//!
//! Invariant: 0 is "before the first record"; the first record has position 1.

use std::fmt;

/// Names a record's place in the whole log; ordered, and otherwise opaque.
///
/// [`Position::START`] (0) stands before the first record, whose position is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// Stands before the first record.
    pub const START: Self = Self(0);

    /// Makes a position from its number, as it stands in a file or in a client's request.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number, for a file or an answer.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the position right after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Returns the position right before this one; [`Position::START`] stays where it is.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Returns the position `count` records further.
    #[must_use]
    pub fn advance(self, count: u32) -> Self {
        Self(self.0 + u64::from(count))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
