//! A waiting room: its actor's part ([`aggregate`]), its published state ([`entry`]), its passes, and the pace at which it moves.

mod aggregate;
mod entry;
mod passes;
mod rate;

pub(super) use aggregate::{random_seed, standing};
pub use entry::RoomEntry;
pub use passes::Pass;
pub(super) use passes::Passes;
