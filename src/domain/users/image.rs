//! The users' state without its indexes: a snapshot keeps it, and two states are compared by it.

use super::{Answer, User, Users};
use crate::domain::keys::{KeyList, Keys};
use crate::domain::time::Timestamp;
use crate::domain::users::USERS_KEYS_MAX;

/// Everything of the users that doesn't follow from the rest, in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the fields are those of `Users` and its getters")]
pub struct UsersImage {
    /// In order of their ids.
    pub users: Vec<User>,
    pub keys: KeyList<Answer>,
    pub version: u64,
    pub last_instant: Timestamp,
}

impl UsersImage {
    /// Takes the image of the users. A million take a while: take it of a clone, which costs nothing.
    pub fn of(users: &Users) -> Self {
        let mut all: Vec<User> = users.iter().cloned().collect();
        all.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        let keys = users.keys.list();
        Self { users: all, keys, version: users.version, last_instant: users.last_instant }
    }

    /// Makes the users again.
    ///
    /// # Panics
    /// When the image contradicts itself, which a checked snapshot doesn't.
    pub fn restore(self) -> Users {
        let mut users = Users::default();
        for user in self.users {
            users.insert(user);
        }
        users.keys = Keys::restore(USERS_KEYS_MAX, self.keys);
        users.version = self.version;
        users.last_instant = self.last_instant;
        users
    }
}
