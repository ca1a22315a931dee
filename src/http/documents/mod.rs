//! The documents of the catalogue: what a `PUT` and an import take, what a `GET` gives, and what the
//! journal's feed says of an event. Types of their own, apart from the domain's.
//!
//! ```text
//! JSON → document (shape: serde, unknown fields refused) → into_domain (values: every wrong one, with its path) → domain
//! domain → document → JSON
//! ```
//!
//! Absent on purpose: rules that need the rest of the catalogue (does the venue exist?), which the domain's
//! draft decides, and any text of the client in an error.
//!
//! Invariant: a document that is read, checked and written again says the same.

mod checks;
mod concert;
pub mod event;
mod import;
pub mod money;
mod schedule;
mod venue;

pub use concert::{ConcertDocument, GradeDocument, PRICE_MINOR_MAX};
pub use import::ImportDocument;
pub use schedule::{
    CastingDocument, OrderDocument, PlanDocument, PolicyDocument, QueuePolicyDocument, ScheduleDocument,
};
pub use venue::{RowDocument, SeatDocument, SectionDocument, VenueDocument};

pub(crate) use checks::instant;
pub use checks::{LINES_LEN_MAX, NAME_LEN_MAX, NAMES_MAX};
