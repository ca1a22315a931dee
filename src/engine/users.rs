//! The users as everyone but their actor sees them, and the calls about them.
//!
//! As with a schedule, the journal is the only writer: it applies each event once it is durable. Every request of a
//! user asks whether they may act, so those who may not stand in a table of their own, which is empty as a rule: a
//! look at a number, and nothing else.

mod aggregate;

use std::sync::Arc;

use super::Engine;
use super::error::EngineError;
use super::live::Done;
use crate::domain::cause::{By, Cause};
use crate::domain::ids::UserId;
use crate::domain::users::{Command, Email, PasswordHash, Profile, User, UserCounts, UserStatus, drawn_id};
use crate::random;

pub(super) use aggregate::live_users;

/// Draws the id of a new user, which nobody could guess.
pub fn new_user_id() -> UserId {
    drawn_id(&random::bytes())
}

impl Engine {
    /// Finds a user of whom something is known: who signed up here, or was suspended or deleted once.
    pub fn user(&self, id: &str) -> Option<User> {
        self.directory.users.read().find(id).cloned()
    }

    /// Finds who signs in with an address.
    pub fn user_by_email(&self, email: &Email) -> Option<User> {
        self.directory.users.read().find_by_email(email).cloned()
    }

    /// Returns how many users are known, by status.
    pub fn user_counts(&self) -> UserCounts {
        self.directory.users.read().counts()
    }

    /// Tells whether a user is suspended or deleted. Cheap enough to be asked with every request; whoever was
    /// told that someone is suspended finds it so here.
    pub fn is_barred(&self, user: &str) -> bool {
        self.directory.users.view.contains(user)
    }

    /// Takes a new user in, under an id that nobody could guess; durable when it returns.
    ///
    /// # Errors
    /// [`Refusal::User`](super::Refusal), where another user has the address; else as [`Engine::act`].
    pub async fn sign_up(&self, profile: Profile) -> Result<User, EngineError> {
        self.sign_up_as(new_user_id(), profile).await
    }

    /// Takes a new user in under an id from [`new_user_id`]; durable when it returns. An id makes one user, ever.
    ///
    /// # Errors
    /// [`Refusal::User`](super::Refusal), where another user has the address, or a user had the id, also a deleted one; else as
    /// [`Engine::act`].
    pub async fn sign_up_as(&self, id: UserId, profile: Profile) -> Result<User, EngineError> {
        let command = Command::SignUp { id, profile: Arc::new(profile) };
        let done = self.directory.users.ask(command, Cause { by: By::User, key: None }, None).await?;
        Ok(done.answer)
    }

    /// Gives a user who signed up here another password in the place of `standing`; durable when it returns.
    ///
    /// # Errors
    /// [`Refusal::User`](super::Refusal), where nobody such signed up, or a third password stands by now; else as [`Engine::act`].
    pub async fn replace_password(
        &self,
        user: UserId,
        standing: PasswordHash,
        password: PasswordHash,
    ) -> Result<User, EngineError> {
        let command = Command::ReplacePassword { user, standing, password };
        let done = self.directory.users.ask(command, Cause { by: By::User, key: None }, None).await?;
        Ok(done.answer)
    }

    /// Lets a user act, or no longer; durable when it returns. They needn't have signed up here.
    ///
    /// # Errors
    /// [`Refusal::User`](super::Refusal), where it can't be; else as [`Engine::act`].
    pub async fn set_user_status(
        &self,
        user: UserId,
        status: UserStatus,
        cause: Cause,
    ) -> Result<Done<User>, EngineError> {
        self.directory.users.ask(Command::SetStatus { user, status }, cause, None).await
    }
}

#[cfg(test)]
mod tests;
