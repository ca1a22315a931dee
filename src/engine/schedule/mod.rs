//! A schedule: its actor's part ([`aggregate`]), and its published state ([`entry`]).

mod aggregate;
mod entry;

pub use entry::{DELTAS_MAX, Delta, MarkedMap, ScheduleEntry, SeatsMark};
