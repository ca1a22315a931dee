//! The documents of requests, answers and the journal's feed. Their types are separate from the domain's.
//!
//! ```text
//! JSON → document (shape: serde, unknown fields refused) → into_domain (values: every wrong one, with its path) → domain
//! domain → document → JSON
//! ```
//!
//! Absent on purpose: rules that need the rest of the catalogue (does the venue exist?), which the domain decides, and
//! any text of the client in an error.
//!
//! Invariant: a document that is read, checked and written again is the same.

mod checks;
mod code;
mod concert;
pub mod event;
mod geometry;
mod import;
pub mod kinds;
pub mod money;
mod reservation;
mod schedule;
mod schedule_view;
mod venue;
mod words;

pub use code::{
    AllotmentBody, AllotmentDocument, AsidePlacesDocument, CodeBody, CodeDocument, DiscountDocument,
};
pub use concert::{ConcertDocument, GradeDocument, PRICE_MINOR_MAX};
pub use geometry::{Number, OutlineDocument, PointDocument, StageDocument};
pub use import::ImportDocument;
pub use reservation::{GuestDocument, ReservationDocument, Surroundings};
pub use schedule::{
    CastingDocument, OrderDocument, PhaseDocument, PlanDocument, PolicyDocument, QueuePolicyDocument,
    ScheduleDocument, ScheduleState, SeatCounts,
};
pub use schedule_view::ScheduleView;
pub use venue::{RowDocument, SeatDocument, SectionDocument, VenueDocument};
pub use words::{
    AnyMethodWord, At, CatalogueId, CodeText, CurrencyText, EmailText, FloorText, GateWord, GradeText,
    InstantText, LineName, LineText, LinesText, MethodWord, NameText, NewEmailText, OpaqueId,
    OrderMethodWord, OrderText, PaymentWord, PictureUrl, PlaceText, PlaceWord, PlanName, ReasonText,
    ReservationWord, SaleWord, SeatName, SeatWord, ShapeWord, TransactionWord, UserNameText, UserText,
    UserWord, ZoneText, either, numbers_by_id,
};

pub(crate) use checks::instant;
#[cfg(test)]
pub(crate) use checks::is_reachable;
pub use checks::{LINES_LEN_MAX, NAME_LEN_MAX, NAMES_MAX};
pub(crate) use checks::{check_order_texts, narrowing_id};
pub(crate) use schedule::given;
