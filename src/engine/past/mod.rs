//! Looks back, as far as the journal is kept, and follows new facts.

mod changes;
mod history;
mod point_in_time;

pub use changes::Changes;
pub use history::{HistoryError, Moment};
pub use point_in_time::{PointInTime, PointInTimeError};
