//! Why the engine didn't do what it was asked. The HTTP layer maps each to one problem code.

use core::fmt::{self, Display};

use crate::domain::accounts;
use crate::domain::catalogue::CatalogueRefusal;
use crate::domain::payments;
use crate::domain::schedule::Refusal;
use crate::domain::users;
use crate::domain::venue::Layout;
use crate::domain::waiting_room;
use crate::journal::CommitError;

/// Why the engine didn't do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The schedule refused: nothing changed.
    #[error("{0}")]
    Refused(Refusal),
    /// The catalogue refused: nothing changed.
    #[error("{0}")]
    CatalogueRefused(CatalogueRefusal),
    /// The waiting room refused: nothing changed.
    #[error("{0}")]
    RoomRefused(waiting_room::Refusal),
    /// The account refused: nothing changed.
    #[error("{0}")]
    AccountRefused(accounts::Refusal),
    /// The payment refused: nothing changed.
    #[error("{0}")]
    PaymentRefused(payments::Refusal),
    /// There is no such schedule.
    #[error("there is no such schedule")]
    NoSuchSchedule,
    /// The idempotency key had an effect with another body.
    #[error("the idempotency key was used with another body")]
    KeyReused,
    /// The idempotency key's effect isn't durable yet.
    #[error("the request with this idempotency key is still running")]
    InProgress,
    /// The mailbox is full.
    #[error("too much is waiting already")]
    Overloaded,
    /// The schedule's actor isn't running, or is recovering.
    #[error("the schedule is not ready")]
    NotReady,
    /// It may or may not have happened.
    #[error("the outcome is unknown")]
    OutcomeUnknown,
    /// The journal has failed: nothing can change until a restart.
    #[error("the journal takes no more entries")]
    JournalUnavailable,
    /// The archive can't be read: nothing changed.
    #[error("the archive can't be read")]
    ArchiveUnavailable,
    /// The users' actor refused: nothing changed.
    #[error("{0}")]
    UsersRefused(users::Refusal),
    /// No gateway is set up, and this needs one.
    #[error("no payment gateway is set up")]
    NoGateway,
}

impl EngineError {
    /// Says the same with the ids of the seats that it is about: see [`Refusal::named`].
    pub fn named(&self, layout: &Layout) -> impl Display {
        fmt::from_fn(move |f| match self {
            Self::Refused(refusal) => refusal.named(layout).fmt(f),
            Self::CatalogueRefused(_)
            | Self::RoomRefused(_)
            | Self::AccountRefused(_)
            | Self::PaymentRefused(_)
            | Self::NoSuchSchedule
            | Self::KeyReused
            | Self::InProgress
            | Self::Overloaded
            | Self::NotReady
            | Self::OutcomeUnknown
            | Self::JournalUnavailable
            | Self::ArchiveUnavailable
            | Self::UsersRefused(_)
            | Self::NoGateway => self.fmt(f),
        })
    }
}

impl EngineError {
    /// Tells whether a rule said no.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refused(_)
                | Self::CatalogueRefused(_)
                | Self::RoomRefused(_)
                | Self::AccountRefused(_)
                | Self::PaymentRefused(_)
                | Self::UsersRefused(_)
        )
    }
}

impl From<Refusal> for EngineError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<waiting_room::Refusal> for EngineError {
    fn from(refusal: waiting_room::Refusal) -> Self {
        Self::RoomRefused(refusal)
    }
}

impl From<accounts::Refusal> for EngineError {
    fn from(refusal: accounts::Refusal) -> Self {
        Self::AccountRefused(refusal)
    }
}

impl From<payments::Refusal> for EngineError {
    fn from(refusal: payments::Refusal) -> Self {
        Self::PaymentRefused(refusal)
    }
}

impl From<users::Refusal> for EngineError {
    fn from(refusal: users::Refusal) -> Self {
        Self::UsersRefused(refusal)
    }
}

impl From<CatalogueRefusal> for EngineError {
    fn from(refusal: CatalogueRefusal) -> Self {
        Self::CatalogueRefused(refusal)
    }
}

impl From<CommitError> for EngineError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::OutcomeUnknown => Self::OutcomeUnknown,
            CommitError::Unavailable => Self::JournalUnavailable,
        }
    }
}
