//! The catalogue: what administrators change, one change after the other.

mod actor;
mod change;

pub(super) use actor::{CatalogueActor, Change, MoveToArchive, TakeSnapshot};
pub use change::{CatalogueChange, Changed, Import};
