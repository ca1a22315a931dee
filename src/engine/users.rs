//! The users as everyone but their actor sees them, and what is asked of them.
//!
//! As with a schedule, the journal is the only writer: it applies each event once it is durable. Every request of a
//! user asks whether they may act, so those who may not stand in a table of their own, which is empty as a rule: a
//! look at a number, and nothing else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLockReadGuard};

use dashmap::DashSet;
use kameo::actor::ActorRef;

use super::Engine;
use super::catalogue_actor::Supervisor;
use super::error::EngineError;
use super::keeper::{self, Aggregate, Done, Found, Kept};
use super::seal::Seal;
use super::shared::Shared;
use crate::domain::cause::{By, Cause};
use crate::domain::ids::UserId;
use crate::domain::keys::KeyUse;
use crate::domain::time::Timestamp;
use crate::domain::users::{
    Answer, Command, Email, Event, PasswordHash, Profile, USER_ID_RANDOM_LEN, User, UserCounts, UserStatus,
    Users, drawn_id,
};
use crate::record;

impl Aggregate for Users {
    type Command = Command;
    type Event = Event;
    /// The user as an answer says, with what is known of them now: of one who was deleted since, it is less.
    type Answer = User;

    fn version(&self) -> u64 {
        self.version()
    }

    fn last_instant(&self) -> Timestamp {
        self.last_instant()
    }

    fn name(command: &Self::Command) -> &'static str {
        command.name()
    }

    fn find(&self, key: KeyUse, now: Timestamp) -> Option<Found<Self::Answer>> {
        self.find_key(key, now).map(|found| Found::of(&found, |answer| shown(self, answer)))
    }

    fn decide(&self, command: &Self::Command) -> Result<Option<Self::Event>, EngineError> {
        Ok(self.decide(command)?)
    }

    fn apply(&mut self, event: &Self::Event, at: Timestamp, key: Option<KeyUse>) {
        self.apply(event, at, key);
    }

    fn seal(&self, _: &mut Self::Event, _: &Seal) {}

    fn kept(&self, command: &Self::Command) -> Self::Event {
        Event::KeyKept { user: command.user().clone() }
    }

    fn answer(&self, event: &Self::Event) -> Self::Answer {
        shown(self, &self.answer(event))
    }

    fn encode(&self, bytes: &mut Vec<u8>, version: u64, at: Timestamp, cause: Cause, event: &Self::Event) {
        record::encode_user_event(bytes, version, at, cause, event);
    }

    fn follow(_: &Kept<Self>, event: &Self::Event, shared: &Arc<Shared>) {
        shared.users.barred.follow(event);
    }
}

fn shown(users: &Users, answer: &Answer) -> User {
    let user = users.find(&answer.user).expect("who was answered about is known");
    User { status: answer.status, ..user.clone() }
}

/// Who may not act: suspended or deleted.
#[derive(Debug, Default)]
struct Barred {
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

/// The users' durable state, their actor, and who may not act.
pub(super) struct UsersEntry {
    kept: Arc<Kept<Users>>,
    barred: Barred,
}

impl UsersEntry {
    /// Makes the entry of users whose whole state is durable.
    pub(super) fn new(users: Users) -> Self {
        let barred = Barred::default();
        for user in users.iter() {
            match user.status {
                UserStatus::Active => {}
                UserStatus::Suspended | UserStatus::Deleted => barred.put(&user.id, true),
            }
        }
        Self { kept: Arc::new(Kept::new(users)), barred }
    }

    /// Looks at the durable state. Don't keep the guard over an await: the journal waits for it.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Users> {
        self.kept.read()
    }

    pub(super) async fn start(&self, supervisor: &ActorRef<Supervisor>, shared: &Arc<Shared>) {
        keeper::start(supervisor, shared, &self.kept).await;
    }
}

impl Engine {
    /// Finds a user of whom something is known: who signed up here, or was suspended or deleted once.
    pub fn user(&self, id: &str) -> Option<User> {
        self.shared.users.read().find(id).cloned()
    }

    /// Finds who signs in with an address.
    pub fn user_by_email(&self, email: &Email) -> Option<User> {
        self.shared.users.read().find_by_email(email).cloned()
    }

    /// Returns how many users are known, by status.
    pub fn user_counts(&self) -> UserCounts {
        self.shared.users.read().counts()
    }

    /// Tells whether a user is suspended or deleted. Cheap enough to be asked with every request; whoever was
    /// told that someone is suspended finds it so here.
    pub fn is_barred(&self, user: &str) -> bool {
        self.shared.users.barred.contains(user)
    }

    /// Takes a new user in, under an id that nobody could guess; durable when it returns.
    ///
    /// # Errors
    /// `UsersRefused`, where another user has the address; else as [`Engine::act`].
    pub async fn sign_up(&self, profile: Profile) -> Result<User, EngineError> {
        let mut random = [0; USER_ID_RANDOM_LEN];
        getrandom::fill(&mut random).expect("the system has randomness");
        let command = Command::SignUp { id: drawn_id(&random), profile: Arc::new(profile) };
        let done = self.shared.users.kept.ask(command, Cause { by: By::User, key: None }).await?;
        Ok(done.answer)
    }

    /// Gives a user who signed up here another password in the place of `standing`; durable when it returns.
    ///
    /// # Errors
    /// `UsersRefused`, where nobody such signed up, or a third password stands by now; else as [`Engine::act`].
    pub async fn replace_password(
        &self,
        user: UserId,
        standing: PasswordHash,
        password: PasswordHash,
    ) -> Result<User, EngineError> {
        let command = Command::ReplacePassword { user, standing, password };
        let done = self.shared.users.kept.ask(command, Cause { by: By::User, key: None }).await?;
        Ok(done.answer)
    }

    /// Lets a user act, or no longer; durable when it returns. They needn't have signed up here.
    ///
    /// # Errors
    /// `UsersRefused`, where it can't be; else as [`Engine::act`].
    pub async fn set_user_status(
        &self,
        user: UserId,
        status: UserStatus,
        cause: Cause,
    ) -> Result<Done<User>, EngineError> {
        self.shared.users.kept.ask(Command::SetStatus { user, status }, cause).await
    }
}

#[cfg(test)]
mod tests;
