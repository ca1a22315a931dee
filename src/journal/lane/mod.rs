//! The seam between the writer and the log that it writes: [`Lane`].
//!
//! The writer gathers entries, numbers their records, and seals them in frames. A lane makes a frame durable behind the last
//! one. Nobody else knows its layers below: chunks and generations of sled, or a replicated log.
//!
//! [`LocalLane`] writes on this machine's disk, `NatsLane` on a replicated log, and `MemoryLane` in the conformance suite, which holds
//! every lane to the promises made here.
//!
//! Absent on purpose: retries by the writer. A lane returns when the outcome is known; after an error it is never called
//! again. Reading is absent, too: see [`read`](super::read).

mod local;
#[cfg(feature = "cluster")]
mod nats;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod memory;

use core::time::Duration;

pub(super) use self::local::{CLEAN, LocalLane, LocalParts};
#[cfg(feature = "cluster")]
pub(super) use self::nats::{Appender, End, LogState, Message, NatsLane, NatsParts, Pen, Published};
use super::frame::Header;
use super::position::{Ordinal, Position};
use super::store::StoreError;

/// A frame that [`seal`](super::frame::seal) has closed.
#[derive(Clone, Copy)]
pub(super) struct Sealed<'a> {
    pub(super) header: &'a Header,
    pub(super) bytes: &'a [u8],
}

/// Names the generation that a rotation began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The generation's number.
    pub generation: u64,
    /// The position of its first record.
    pub first: Position,
}

/// A frame's place, now that it is durable, and its cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Appended {
    /// Where the entry's first record stands. Only an entry's last frame knows it: of the others it means nothing.
    pub(super) position: Position,
    /// How long it took to hand the bytes over.
    pub(super) wrote: Duration,
    /// How long it then took until they were durable.
    pub(super) synced: Duration,
}

/// Makes frames durable, one behind the other.
///
/// One caller, and one call at a time. A frame whose header says `more` counts only together with those that follow it, up to
/// the first that doesn't: after a crash all of them are there, or none.
///
/// # Errors
/// After any error the lane isn't called again, and a frame that it was given may be there after a restart or not.
pub(super) trait Lane: Send + 'static {
    /// Makes a frame durable behind the last one.
    fn append(&mut self, frame: Sealed<'_>) -> impl Future<Output = Result<Appended, StoreError>> + Send;

    /// Notes now and then how far the log is durable and that the engine is alive, so that a loss and an outage can be told.
    fn tick(&mut self, durable: Ordinal) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes that the outage before this life is crossed: until then [`Lane::tick`] keeps the instant at which it began.
    fn bridged(&mut self, durable: Ordinal) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Begins a part of the log that can be deleted as a whole one day, with the record `first`.
    fn rotate(&mut self, first: Ordinal) -> impl Future<Output = Result<Rotated, StoreError>> + Send;

    /// Ends this life of the log: nothing is appended any more, and the next opening finds it whole.
    fn close(self, durable: Ordinal) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Lets the log go after an error, and writes nothing more.
    fn abandon(self);
}
