//! Why the engine didn't carry a command out. The HTTP layer maps each to one problem code.

use core::fmt::{self, Display};

use crate::domain::venue::Layout;
use crate::domain::{accounts, catalogue, payments, schedule, users, waiting_room};
use crate::journal::CommitError;

/// Why the engine didn't carry a command out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A rule said no: nothing changed.
    #[error("{0}")]
    Refused(Refusal),
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
    /// No gateway is set up, and this needs one.
    #[error("no payment gateway is set up")]
    NoGateway,
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $aggregate:ident($refusal:ty),)*) => {
        /// Whose rule said no, and which.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum Refusal {
            $($(#[$doc])* #[error("{0}")] $aggregate($refusal),)*
        }

        $(impl From<$refusal> for EngineError {
            fn from(refusal: $refusal) -> Self {
                Self::Refused(Refusal::$aggregate(refusal))
            }
        })*
    };
}

// One line an aggregate.
refusals! {
    /// A schedule's.
    Schedule(schedule::Refusal),
    /// The catalogue's.
    Catalogue(catalogue::CatalogueRefusal),
    /// A waiting room's.
    Room(waiting_room::Refusal),
    /// An account's.
    Account(accounts::Refusal),
    /// A payment's.
    Payment(payments::Refusal),
    /// The users'.
    User(users::Refusal),
}

impl EngineError {
    /// Says the same with the ids of the seats that it is about: see [`schedule::Refusal::named`].
    pub fn named(&self, layout: &Layout) -> impl Display {
        fmt::from_fn(move |f| {
            if let Self::Refused(Refusal::Schedule(refusal)) = self {
                refusal.named(layout).fmt(f)
            } else {
                self.fmt(f)
            }
        })
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
