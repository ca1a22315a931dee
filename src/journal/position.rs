//! Where a record stands: its [`Ordinal`] in its log, and its [`Position`] for everyone else.
//!
//! A log counts its records, one after the other, and so finds out when one is missing. Readers of the log only
//! compare places, keep them, and ask for the records behind one. Nobody outside the journal may count by them: a log
//! that is kept elsewhere numbers its records with gaps.
//!
//! Invariant: both are 0 before the first record. In a log on this machine's disk they are equal.

use core::fmt;

/// How many bits of a position count the records of one message, in a log that is a stream of messages. A frame holds fewer records than
/// that, since each has four bytes of length and more than four of its own.
#[cfg(any(test, feature = "cluster"))]
const INDEX_BITS: u32 = 14;

/// Names a record's place in the whole log; ordered, and otherwise opaque.
///
/// Two positions that differ by more than one may have nothing between them: don't count records by them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// Stands before the first record.
    pub const START: Self = Self(0);
    /// Stands behind every record.
    pub const END: Self = Self(u64::MAX);

    /// Makes a position from its number, as it stands in a file or in a client's request.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number, for a file or an answer.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the position of the first record of a message, in a log that is a stream of messages. The message with the number
    /// 2^39 is the last whose positions a client's JSON holds exactly.
    #[cfg(any(test, feature = "cluster"))]
    pub(super) const fn in_stream(sequence: u64) -> Self {
        Self(sequence << INDEX_BITS)
    }

    /// Returns the message of an entry that the record at this position is in, in a log that is a stream of messages: the first, or the
    /// second where the entry has more than 16,384 records, and so on. Messages of an entry have consecutive numbers.
    #[cfg(any(test, feature = "cluster"))]
    pub(super) const fn sequence(self) -> u64 {
        self.0 >> INDEX_BITS
    }

    /// Returns the position just before; [`Position::START`] stays where it is.
    #[cfg(any(test, feature = "cluster"))]
    pub(super) const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Returns the position of the record that stands `index` records further in the same entry or frame: there, and only
    /// there, positions are consecutive.
    pub(super) fn plus(self, index: u32) -> Self {
        Self(self.0 + u64::from(index))
    }

    /// Returns the ordinal of the record at this position, in a log on this machine's disk.
    pub(super) const fn ordinal(self) -> Ordinal {
        Ordinal(self.0)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Counts a record in its log: the first is 1, and none is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ordinal(u64);

impl Ordinal {
    /// Stands before the first record.
    pub const START: Self = Self(0);

    /// Makes an ordinal from its number, as it stands in a frame or a file.
    pub(super) const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the next record's.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Returns the ordinal of the record before; [`Ordinal::START`] stays where it is.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Returns the ordinal `count` records further.
    #[must_use]
    pub fn advance(self, count: u32) -> Self {
        Self(self.0 + u64::from(count))
    }

    /// Returns how many records stand behind `earlier`, up to this one.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the position of this record, in a log on this machine's disk.
    pub const fn position(self) -> Position {
        Position(self.0)
    }
}

impl fmt::Display for Ordinal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
