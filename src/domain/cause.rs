//! Why an event happened: who asked for it, and with which idempotency key.

use super::ids::UserId;
use super::keys::KeyUse;

/// Who asked for an event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum By {
    /// Nobody: time brought it, or the engine itself.
    #[default]
    Engine,
    /// The user whose reservation it is.
    User,
    /// An administrator.
    Admin(UserId),
}

/// Why an event happened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cause {
    /// Who asked.
    pub by: By,
    /// The idempotency key whose effect it is.
    pub key: Option<KeyUse>,
}

impl From<Option<KeyUse>> for Cause {
    fn from(key: Option<KeyUse>) -> Self {
        Self { by: By::Engine, key }
    }
}
