//! A schedule: what its actor does ([`aggregate`]), and what everyone sees of it ([`entry`]).

mod aggregate;
mod entry;

pub use entry::{DELTAS_MAX, Delta, ScheduleEntry, SeatsMark};
