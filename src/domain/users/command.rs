//! The users' commands, events and refusals.

use std::sync::Arc;

use super::{PasswordHash, Profile, UserStatus};
use crate::domain::ids::UserId;

/// A command to the users.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub enum Command {
    /// Take a new user in.
    SignUp {
        /// An id that nobody could guess.
        id: UserId,
        /// Their name, address and password.
        profile: Arc<Profile>,
    },
    /// Let a user act, or no longer.
    SetStatus {
        /// Who; they needn't have signed up here.
        user: UserId,
        status: UserStatus,
    },
    /// Give a user who signed up here another password.
    ReplacePassword {
        user: UserId,
        /// The one that it replaces: where another stands by now, nothing is replaced.
        standing: PasswordHash,
        /// What it is checked against.
        password: PasswordHash,
    },
}

impl Command {
    /// Returns whom it is about.
    pub const fn user(&self) -> &UserId {
        match self {
            Self::SignUp { id: user, .. }
            | Self::SetStatus { user, .. }
            | Self::ReplacePassword { user, .. } => user,
        }
    }

    /// Returns what it is called in metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SignUp { .. } => "sign_up",
            Self::SetStatus { .. } => "set_user_status",
            Self::ReplacePassword { .. } => "replace_password",
        }
    }
}

/// A fact about a user. It already happened: applying it can't fail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub enum Event {
    /// A user signed up.
    SignedUp {
        /// Who they are from now on.
        id: UserId,
        /// Their name, address and password. Both copies of the state share it.
        profile: Arc<Profile>,
    },
    /// An administrator no longer lets a user act.
    Suspended { user: UserId },
    /// An administrator lets a suspended user act again.
    Reinstated { user: UserId },
    /// An administrator deleted a user: their profile is forgotten, and the id never works again.
    Deleted { user: UserId },
    /// A command with an idempotency key changed nothing: only its key is new.
    KeyKept { user: UserId },
    /// A reader of the mail to a user's address chose another password.
    PasswordReplaced {
        user: UserId,
        /// What it is checked against from now on.
        password: PasswordHash,
    },
}

impl Event {
    /// Returns whom it is about.
    pub const fn user(&self) -> &UserId {
        match self {
            Self::SignedUp { id, .. } => id,
            Self::Suspended { user }
            | Self::Reinstated { user }
            | Self::Deleted { user }
            | Self::KeyKept { user }
            | Self::PasswordReplaced { user, .. } => user,
        }
    }
}

/// Why something is refused. Each is one problem code of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another user has the address.
    #[error("another user has this address")]
    EmailTaken,
    /// Another user has the id, which random ones don't come to.
    #[error("another user has this id")]
    IdTaken,
    /// Nothing is known of such a user, so that there is nothing to take back, or no password.
    #[error("there is no such user")]
    NoSuchUser,
    /// The user is deleted, which is final.
    #[error("a deleted user stays deleted")]
    IsDeleted,
    /// The user has another password by now than the one that was to be replaced.
    #[error("the password was replaced meanwhile")]
    PasswordReplaced,
}

/// What a change of a user's status answers: whom it was about, and what they were after it. What else is said of
/// them is looked up, so that a key keeps nothing of who is deleted later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who.
    pub user: UserId,
    /// Whether they could act after it.
    pub status: UserStatus,
}
