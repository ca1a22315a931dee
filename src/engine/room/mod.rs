//! A waiting room: what its actor does ([`aggregate`]), what everyone sees of it ([`entry`]), its passes, and how fast it moves.

mod aggregate;
mod entry;
mod passes;
mod rate;

pub(super) use aggregate::{random_seed, standing};
pub use entry::RoomEntry;
pub use passes::Pass;
pub(super) use passes::Passes;
