//! Looking back, as far as the journal is kept; and following what happens.

mod changes;
mod history;
mod point_in_time;

pub use changes::Changes;
pub use history::{HistoryError, Moment};
pub use point_in_time::{Cut, CutError};
