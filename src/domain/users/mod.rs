//! Users: who signed up here, and who may no longer act. One aggregate, one stream.
//!
//! [`Users::decide`] says what a command would do, or why not; [`Users::apply`] does what happened. A user who signed up
//! has a [`Profile`]. One of an outside identity provider is in here only once something must be remembered of them: they
//! were suspended or deleted, and have no profile.
//!
//! ```text
//! sign-up → active ⇄ suspended
//!             └────────┴─────→ deleted: no profile any more, the address is free again, the id never works again
//! ```
//!
//! The users stand in [`SHARDS`] shared tables: a growing table is a small one, and a copy of all (for a snapshot, for a
//! restarted actor) costs a counter a table, however many users there are; a table is copied when it is changed next.
//!
//! Absent on purpose: passwords and how they are hashed (the hash is a text that is kept), tokens, clocks, randomness,
//! and users of whom nothing must be remembered.
//!
//! Invariants, checked by [`Users::check_invariants`]:
//! - nobody signs up with the mailbox of another; of a former version, which compared addresses as they were written, some share one,
//!   and each of these is found by the address as they wrote it;
//! - each mailbox leads to its users, and no other does;
//! - who is deleted has no profile; the counts are those of the users.

mod command;
mod image;
mod profile;

use std::sync::Arc;

use core::hash::BuildHasher;
use hashbrown::{DefaultHashBuilder, HashMap};

pub use command::{Answer, Command, Event, Refusal};
pub use image::UsersImage;
pub use profile::{
    EMAIL_LEN_MAX, Email, InvalidProfile, Mailbox, NAME_LEN_MAX, PasswordHash, Profile, USER_ID_RANDOM_LEN,
    UserName, drawn_id,
};

use super::ids::UserId;
use super::keys::{KeyFound, KeyUse, Keys};
use super::time::Timestamp;

/// How many tables the users stand in: with a million users, one has a thousand.
pub const SHARDS: usize = 1_024;
/// The most idempotency keys that are kept: only administrators have any here.
pub const USERS_KEYS_MAX: u32 = 100_000;

/// Whether a user may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserStatus {
    /// They may.
    Active,
    /// Not until an administrator lets them again.
    Suspended,
    /// Never again.
    Deleted,
}

impl UserStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Active, Self::Suspended, Self::Deleted];

    /// Returns the word that clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }
}

/// A user, as far as the engine knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub id: UserId,
    /// Whether they may act.
    pub status: UserStatus,
    /// Their profile; nothing of a user of an outside identity provider, or of one who is deleted.
    pub profile: Option<Arc<Profile>>,
    /// When they signed up, or when something of them was first remembered.
    pub created_at: Timestamp,
}

/// How many users there are, by status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UserCounts {
    /// Those who may act, as far as they are in here.
    pub active: u64,
    /// Those who are suspended.
    pub suspended: u64,
    /// Those who are deleted.
    pub deleted: u64,
}

impl UserCounts {
    /// Returns how many have a status.
    pub const fn of(&self, status: UserStatus) -> u64 {
        match status {
            UserStatus::Active => self.active,
            UserStatus::Suspended => self.suspended,
            UserStatus::Deleted => self.deleted,
        }
    }

    fn of_mut(&mut self, status: UserStatus) -> &mut u64 {
        match status {
            UserStatus::Active => &mut self.active,
            UserStatus::Suspended => &mut self.suspended,
            UserStatus::Deleted => &mut self.deleted,
        }
    }
}

/// Some of the users, and some of the addresses (not the same users').
#[derive(Debug, Clone, Default)]
struct Shard {
    users: HashMap<UserId, User>,
    by_mailbox: HashMap<Mailbox, Owners>,
}

/// Whose a mailbox is.
#[derive(Debug, Clone)]
enum Owners {
    /// One user's.
    One(UserId),
    /// Several users', who signed up when addresses were compared as they were written.
    Several(Vec<UserId>),
}

impl Owners {
    fn add(&mut self, user: UserId) {
        match self {
            Self::One(one) => *self = Self::Several(vec![one.clone(), user]),
            Self::Several(users) => users.push(user),
        }
    }

    /// Takes one out; returns whether nobody is left.
    fn remove(&mut self, user: &UserId) -> bool {
        match self {
            Self::One(_) => true,
            Self::Several(users) => {
                users.retain(|other| other != user);
                users.is_empty()
            }
        }
    }

    fn as_slice(&self) -> &[UserId] {
        match self {
            Self::One(user) => core::slice::from_ref(user),
            Self::Several(users) => users,
        }
    }
}

/// All users of whom something is known. A clone shares them until one of the two changes.
#[derive(Debug, Clone)]
pub struct Users {
    shards: Vec<Arc<Shard>>,
    /// Which table a text belongs to: another one each time a process makes it, since only the sum of the tables is state.
    hasher: DefaultHashBuilder,
    counts: UserCounts,
    keys: Keys<Answer>,
    version: u64,
    last_instant: Timestamp,
}

impl Default for Users {
    fn default() -> Self {
        let empty = Arc::new(Shard::default());
        Self {
            shards: vec![empty; SHARDS],
            hasher: DefaultHashBuilder::default(),
            counts: UserCounts::default(),
            keys: Keys::new(USERS_KEYS_MAX),
            version: 0,
            last_instant: Timestamp::ZERO,
        }
    }
}

/// One event, nothing to do (it is so already), or a refusal.
type Decision = Result<Option<Event>, Refusal>;

impl Users {
    /// Finds a user of whom something is known.
    pub fn find(&self, id: &str) -> Option<&User> {
        self.shards[self.shard_of(id)].users.get(id)
    }

    /// Finds who has an address, however it is written. Of several who share its mailbox: who wrote it so, or who signed up first.
    pub fn find_by_email(&self, email: &Email) -> Option<&User> {
        let users = || self.owners(&email.mailbox()).iter().filter_map(|id| self.find(id));
        let wrote_so =
            |user: &&User| user.profile.as_ref().is_some_and(|profile| profile.email.is_written_as(email));
        users().find(wrote_so).or_else(|| users().min_by_key(|user| (user.created_at, user.id.clone())))
    }

    fn owners(&self, mailbox: &Mailbox) -> &[UserId] {
        let owners = self.shards[self.shard_of(mailbox)].by_mailbox.get(mailbox);
        owners.map_or(&[], Owners::as_slice)
    }

    /// Returns the users in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.shards.iter().flat_map(|shard| shard.users.values())
    }

    /// Returns how many there are, by status.
    pub fn counts(&self) -> UserCounts {
        self.counts
    }

    /// Returns the number of events so far.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the instant of the last event.
    pub fn last_instant(&self) -> Timestamp {
        self.last_instant
    }

    /// Returns the idempotency keys that it has seen.
    pub fn keys(&self) -> &Keys<Answer> {
        &self.keys
    }

    /// Looks an idempotency key up.
    pub fn find_key(&self, key: KeyUse, now: Timestamp) -> Option<KeyFound<'_, Answer>> {
        self.keys.find(key, now)
    }

    /// Decides a command.
    ///
    /// # Errors
    /// A [`Refusal`], which changes nothing.
    pub fn decide(&self, command: &Command) -> Decision {
        match command {
            Command::SignUp { id, profile } => self.sign_up(id, profile),
            Command::SetStatus { user, status } => self.set_status(user, *status),
            Command::ReplacePassword { user, standing, password } => {
                self.replace_password(user, standing, password)
            }
        }
    }

    fn replace_password(&self, user: &UserId, standing: &PasswordHash, password: &PasswordHash) -> Decision {
        let known = self.find(user).and_then(|user| user.profile.as_ref()).ok_or(Refusal::NoSuchUser)?;
        if known.password == *password {
            return Ok(None);
        }
        if known.password != *standing {
            return Err(Refusal::PasswordReplaced);
        }
        Ok(Some(Event::PasswordReplaced { user: user.clone(), password: password.clone() }))
    }

    fn sign_up(&self, id: &UserId, profile: &Arc<Profile>) -> Decision {
        if self.find_by_email(&profile.email).is_some() {
            return Err(Refusal::EmailTaken);
        }
        if self.find(id).is_some() {
            return Err(Refusal::IdTaken);
        }
        Ok(Some(Event::SignedUp { id: id.clone(), profile: Arc::clone(profile) }))
    }

    fn set_status(&self, user: &UserId, wanted: UserStatus) -> Decision {
        let standing = self.find(user).map(|user| user.status);
        let user = user.clone();
        match (standing, wanted) {
            (None, UserStatus::Active) => Err(Refusal::NoSuchUser),
            (Some(UserStatus::Deleted), UserStatus::Active | UserStatus::Suspended) => {
                Err(Refusal::IsDeleted)
            }
            (Some(standing), wanted) if standing == wanted => Ok(None),
            (Some(_), UserStatus::Active) => Ok(Some(Event::Reinstated { user })),
            (None | Some(_), UserStatus::Suspended) => Ok(Some(Event::Suspended { user })),
            (None | Some(_), UserStatus::Deleted) => Ok(Some(Event::Deleted { user })),
        }
    }

    /// Applies an event; `key` is the idempotency key whose effect it is.
    ///
    /// # Panics
    /// When the event doesn't follow from the state: the journal was tampered with.
    pub fn apply(&mut self, event: &Event, at: Timestamp, key: Option<KeyUse>) {
        self.version += 1;
        self.last_instant = self.last_instant.max(at);
        match event {
            Event::SignedUp { id, profile } => {
                let profile = Some(Arc::clone(profile));
                self.insert(User { id: id.clone(), status: UserStatus::Active, profile, created_at: at });
            }
            Event::Suspended { user } => self.put_status(user, UserStatus::Suspended, at),
            Event::Reinstated { user } => self.put_status(user, UserStatus::Active, at),
            Event::Deleted { user } => self.put_status(user, UserStatus::Deleted, at),
            Event::PasswordReplaced { user, password } => {
                let user = self.shard_mut(user).users.get_mut(user);
                let profile =
                    user.and_then(|user| user.profile.as_mut()).expect("who has a password has a profile");
                *profile = Arc::new(Profile { password: password.clone(), ..Profile::clone(profile) });
            }
            Event::KeyKept { .. } => {}
        }
        match key {
            Some(key) => self.keys.keep(key, self.version, at, self.answer(event)),
            None => self.keys.forget_old(at),
        }
    }

    /// Returns the answer to the command that led to the last event, `event`.
    pub fn answer(&self, event: &Event) -> Answer {
        let user = event.user();
        let status = self.find(user).map(|user| user.status).expect("an event's user is known after it");
        Answer { user: user.clone(), status }
    }

    fn put_status(&mut self, id: &UserId, status: UserStatus, at: Timestamp) {
        if self.find(id).is_none() {
            assert_ne!(status, UserStatus::Active, "nothing is remembered of who may act as everyone");
            return self.insert(User { id: id.clone(), status, profile: None, created_at: at });
        }
        let user = self.shard_mut(id).users.get_mut(id).expect("it was found");
        let before = core::mem::replace(&mut user.status, status);
        assert_ne!(before, UserStatus::Deleted, "who is deleted stays so");
        let forgotten = if status == UserStatus::Deleted { user.profile.take() } else { None };
        *self.counts.of_mut(before) -= 1;
        *self.counts.of_mut(status) += 1;
        if let Some(profile) = forgotten {
            let mailbox = profile.email.mailbox();
            let by_mailbox = &mut self.shard_mut(&mailbox).by_mailbox;
            if by_mailbox.get_mut(&mailbox).is_some_and(|owners| owners.remove(id)) {
                by_mailbox.remove(&mailbox);
            }
        }
    }

    fn insert(&mut self, user: User) {
        if let Some(profile) = &user.profile {
            let mailbox = profile.email.mailbox();
            let shard = self.shard_mut(&mailbox);
            match shard.by_mailbox.get_mut(&mailbox) {
                Some(owners) => owners.add(user.id.clone()),
                None => drop(shard.by_mailbox.insert(mailbox, Owners::One(user.id.clone()))),
            }
        }
        *self.counts.of_mut(user.status) += 1;
        let known = self.shard_mut(&user.id).users.insert(user.id.clone(), user);
        assert!(known.is_none(), "an id is one user's");
    }

    fn shard_of(&self, text: &str) -> usize {
        let shards = u64::try_from(SHARDS).expect("a thousand fits");
        usize::try_from(self.hasher.hash_one(text) % shards).expect("below the number of shards")
    }

    fn shard_mut(&mut self, text: &str) -> &mut Shard {
        let shard = self.shard_of(text);
        Arc::make_mut(&mut self.shards[shard])
    }

    /// Checks every invariant of the module's documentation.
    ///
    /// # Panics
    /// When one doesn't hold.
    pub fn check_invariants(&self) {
        let mut counts = UserCounts::default();
        let mut addresses = 0;
        for user in self.iter() {
            *counts.of_mut(user.status) += 1;
            assert!(
                user.status != UserStatus::Deleted || user.profile.is_none(),
                "who is deleted has no profile"
            );
            if let Some(profile) = &user.profile {
                addresses += 1;
                assert_eq!(self.find_by_email(&profile.email), Some(user), "an address leads to its user");
            }
            assert_eq!(self.find(&user.id), Some(user), "an id leads to its user");
        }
        assert_eq!(counts, self.counts, "the counts are those of the users");
        let owners = self.shards.iter().flat_map(|shard| shard.by_mailbox.values());
        let leading: usize = owners.map(|owners| owners.as_slice().len()).sum();
        assert_eq!(leading, addresses, "no mailbox leads to anyone else");
    }
}

impl PartialEq for Users {
    /// Compares all that replay must bring back (R1).
    fn eq(&self, other: &Self) -> bool {
        UsersImage::of(self) == UsersImage::of(other)
    }
}

#[cfg(test)]
mod tests;
