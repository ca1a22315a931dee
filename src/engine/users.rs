//! The users as everyone but their actor sees them, and the calls about them.
//!
//! As with a schedule, the journal is the only writer: it applies each event once it is durable. Every request of a
//! user asks whether they may act, so those who may not stand in a table of their own, which is empty as a rule: a
//! look at a number, and nothing else.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use dashmap::DashSet;

use super::Engine;
use super::core::Core;
use super::error::EngineError;
use super::live::{Aggregate, Done, KeyLookup, Live};
use crate::domain::cause::{By, Cause};
use crate::domain::ids::UserId;
use crate::domain::keys::KeyUse;
use crate::domain::time::Timestamp;
use crate::domain::users::{
    Answer, Command, Email, Event, PasswordHash, Profile, User, UserCounts, UserStatus, Users, drawn_id,
};
use crate::random;
use crate::record;

impl Aggregate for Users {
    type Command = Command;
    type Event = Event;
    /// The user of an answer, with the present profile; one who was deleted since has none.
    type Answer = User;
    type View = Barred;
    type Own = ();

    fn title(&self) -> String {
        "users".to_owned()
    }

    fn version(&self) -> u64 {
        self.version()
    }

    fn last_instant(&self) -> Timestamp {
        self.last_instant()
    }

    fn name(command: &Self::Command) -> &'static str {
        command.name()
    }

    fn find(&self, key: KeyUse, now: Timestamp) -> Option<KeyLookup<Self::Answer>> {
        self.find_key(key, now).map(|found| KeyLookup::of(&found, |answer| shown(self, answer)))
    }

    fn decide(
        &self,
        command: &Self::Command,
        _: Timestamp,
        _: &Core,
    ) -> Result<Option<Self::Event>, EngineError> {
        Ok(self.decide(command)?)
    }

    fn apply(&mut self, event: &Self::Event, at: Timestamp, key: Option<KeyUse>) {
        self.apply(event, at, key);
    }

    fn kept(&self, command: &Self::Command) -> Self::Event {
        Event::KeyKept { user: command.user().clone() }
    }

    fn answer(&self, _: &Self::Command, event: &Self::Event) -> Self::Answer {
        shown(self, &self.answer(event))
    }

    fn encode(&self, bytes: &mut Vec<u8>, version: u64, at: Timestamp, cause: Cause, event: &Self::Event) {
        record::encode_user_event(bytes, version, at, cause, event);
    }

    fn own(&self, _: &Live<Self>) {}

    fn follow(live: &Live<Self>, event: &Self::Event, _: &Core) {
        live.view.follow(event);
    }
}

fn shown(users: &Users, answer: &Answer) -> User {
    let user = users.find(&answer.user).expect("who was answered about is known");
    User { status: answer.status, ..user.clone() }
}

/// Who may not act: suspended or deleted.
#[derive(Debug, Default)]
pub(super) struct Barred {
    users: DashSet<UserId>,
    /// How many these are.
    len: AtomicUsize,
}

impl Barred {
    fn contains(&self, user: &str) -> bool {
        self.len.load(Ordering::Acquire) > 0 && self.users.contains(user)
    }

    fn put(&self, user: &UserId, barred: bool) {
        if barred {
            self.users.insert(user.clone());
        } else {
            self.users.remove(user);
        }
        self.len.store(self.users.len(), Ordering::Release);
    }

    /// Follows an event that has just become durable. Called by the journal, in order.
    fn follow(&self, event: &Event) {
        match event {
            Event::SignedUp { .. } => metrics::counter!("onsale_sign_ups_total").increment(1),
            Event::Suspended { user } | Event::Deleted { user } => self.put(user, true),
            Event::Reinstated { user } => self.put(user, false),
            Event::PasswordReplaced { .. } | Event::KeyKept { .. } => {}
        }
    }
}

/// Makes the entry of users whose whole state is durable.
pub(super) fn live(users: Users) -> Arc<Live<Users>> {
    let barred = Barred::default();
    for user in users.iter() {
        match user.status {
            UserStatus::Active => {}
            UserStatus::Suspended | UserStatus::Deleted => barred.put(&user.id, true),
        }
    }
    let version = users.version();
    Arc::new(Live::new(users, barred, version))
}

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
