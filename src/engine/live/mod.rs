//! How an aggregate lives: one actor decides, the journal makes it durable, and everyone reads what is published.
//!
//! ```text
//! ask ──▶ due → decide → apply → due ──entry──▶ journal: write, sync
//!                 (runs ahead)        + parked        │
//! read ◀── published state: apply → follow ◀──────────┘ ──▶ reply
//! ```
//!
//! An aggregate's own part stands in [`Aggregate`]; everything else is here, once.

mod actor;
mod aggregate;
mod commit;
mod entry;

pub(super) use actor::{Act, Flush};
pub use aggregate::Done;
pub(super) use aggregate::{Aggregate, Happened, KeyLookup};
pub(super) use commit::{Parked, append};
pub(super) use entry::Live;
