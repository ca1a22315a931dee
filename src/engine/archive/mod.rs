//! The archive as the engine uses it: behind everything that is looked up, and where what is long over moves.

mod access;
mod archivist;
mod lists;
mod lookup;

pub(super) use access::{ArchiveAccess, ArchivedSchedule};
pub use archivist::Moved;
pub(super) use archivist::archive_now_and_then;
pub use lists::{Listed, Narrow};
pub use lookup::FoundReservation;
