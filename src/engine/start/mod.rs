//! A start: recovery, the outage, the actors; and the snapshots that the next start begins with.

mod now_and_then;
mod open;
mod outage;
mod snapshots;
mod wall;

pub use open::EngineOpenError;
pub(super) use open::open;
pub use snapshots::SnapshotFailed;
pub(super) use snapshots::take as take_snapshot;
pub use wall::ClockLimit;
