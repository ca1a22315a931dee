//! The wire format of users: their events, and their sections of a snapshot.
//!
//! A million users are more than one section should hold: they come first, in sections of [`USERS_PER_SECTION`], and
//! then their keys and their version.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::fields::{KeyWire, More, Read, keys_in, keys_out, user_id};
use crate::domain::time::Timestamp;
use crate::domain::users::{
    Answer, Email, Event, PasswordHash, Profile, User, UserName, UserStatus, UsersImage,
};

/// How many users one section holds: some megabytes.
pub(super) const USERS_PER_SECTION: usize = 16_384;

#[derive(Serialize, Deserialize)]
pub(super) enum UserEventWire<'a> {
    SignedUp {
        #[serde(borrow)]
        id: Cow<'a, str>,
        #[serde(borrow)]
        profile: ProfileWire<'a>,
        more: More,
    },
    Suspended(#[serde(borrow)] Cow<'a, str>),
    Reinstated(#[serde(borrow)] Cow<'a, str>),
    Deleted(#[serde(borrow)] Cow<'a, str>),
    KeyKept(#[serde(borrow)] Cow<'a, str>),
    PasswordReplaced(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Cow<'a, str>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct ProfileWire<'a> {
    #[serde(borrow)]
    email: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    password: Cow<'a, str>,
    more: More,
}

/// Some of the users, in order of their ids.
#[derive(Serialize, Deserialize)]
pub(super) struct UsersPartWire<'a>(#[serde(borrow)] Vec<UserWire<'a>>);

#[derive(Serialize, Deserialize)]
struct UserWire<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    status: u8,
    #[serde(borrow)]
    profile: Option<ProfileWire<'a>>,
    created_at: u64,
    more: More,
}

#[derive(Serialize, Deserialize)]
pub(super) struct UsersImageWire {
    /// The answer is a user and their status.
    keys: Vec<KeyWire<(String, u8)>>,
    version: u64,
    last_instant: u64,
    more: More,
}

impl<'a> UserEventWire<'a> {
    pub(super) fn from_domain(event: &'a Event) -> Self {
        let text = Cow::Borrowed(event.user().as_str());
        match event {
            Event::SignedUp { profile, .. } => {
                Self::SignedUp { id: text, profile: ProfileWire::from_domain(profile), more: More::default() }
            }
            Event::Suspended { .. } => Self::Suspended(text),
            Event::Reinstated { .. } => Self::Reinstated(text),
            Event::Deleted { .. } => Self::Deleted(text),
            Event::KeyKept { .. } => Self::KeyKept(text),
            Event::PasswordReplaced { password, .. } => {
                Self::PasswordReplaced(text, Cow::Borrowed(password.expose()))
            }
        }
    }

    pub(super) fn into_domain(self) -> Read<Event> {
        Ok(match self {
            Self::SignedUp { id, profile, more: _ } => {
                Event::SignedUp { id: user_id(&id)?, profile: Arc::new(profile.into_domain()?) }
            }
            Self::Suspended(user) => Event::Suspended { user: user_id(&user)? },
            Self::Reinstated(user) => Event::Reinstated { user: user_id(&user)? },
            Self::Deleted(user) => Event::Deleted { user: user_id(&user)? },
            Self::KeyKept(user) => Event::KeyKept { user: user_id(&user)? },
            Self::PasswordReplaced(user, password) => {
                Event::PasswordReplaced { user: user_id(&user)?, password: password_hash(&password)? }
            }
        })
    }
}

impl<'a> ProfileWire<'a> {
    fn from_domain(profile: &'a Profile) -> Self {
        Self {
            email: Cow::Borrowed(profile.email.as_str()),
            name: Cow::Borrowed(profile.name.as_str()),
            password: Cow::Borrowed(profile.password.expose()),
            more: More::default(),
        }
    }

    fn into_domain(self) -> Read<Profile> {
        Ok(Profile {
            email: Email::kept(&self.email).map_err(|_| DecodeError::Value("a user's address"))?,
            name: UserName::kept(&self.name).map_err(|_| DecodeError::Value("a user's name"))?,
            password: password_hash(&self.password)?,
        })
    }
}

pub(super) fn password_hash(text: &str) -> Read<PasswordHash> {
    PasswordHash::parse(text).map_err(|_| DecodeError::Value("a user's password hash"))
}

impl<'a> UsersPartWire<'a> {
    /// Cuts the users into sections.
    pub(super) fn sections(image: &'a UsersImage) -> impl Iterator<Item = Self> {
        let user = |user: &'a User| UserWire {
            id: Cow::Borrowed(user.id.as_str()),
            status: status_out(user.status),
            profile: user.profile.as_deref().map(ProfileWire::from_domain),
            created_at: user.created_at.as_millis(),
            more: More::default(),
        };
        image.users.chunks(USERS_PER_SECTION).map(move |users| Self(users.iter().map(user).collect()))
    }

    pub(super) fn into_domain(self) -> Read<Vec<User>> {
        let user = |user: UserWire<'_>| {
            let profile = user.profile.map(ProfileWire::into_domain).transpose()?.map(Arc::new);
            let status = status_in(user.status)?;
            if status == UserStatus::Deleted && profile.is_some() {
                return Err(DecodeError::Value("a deleted user's profile"));
            }
            let created_at = Timestamp::from_millis(user.created_at);
            Ok(User { id: user_id(&user.id)?, status, profile, created_at })
        };
        self.0.into_iter().map(user).collect()
    }
}

impl UsersImageWire {
    /// Writes the users' keys and version, without the users.
    pub(super) fn from_domain(image: &UsersImage) -> Self {
        Self {
            keys: keys_out(&image.keys, |answer| (answer.user.to_string(), status_out(answer.status))),
            version: image.version,
            last_instant: image.last_instant.as_millis(),
            more: More::default(),
        }
    }

    /// Reads an image, to which its users are given back.
    pub(super) fn into_domain(self) -> Read<UsersImage> {
        let answer =
            |(user, status): (String, u8)| Ok(Answer { user: user_id(&user)?, status: status_in(status)? });
        Ok(UsersImage {
            users: Vec::new(),
            keys: keys_in(self.keys, answer)?,
            version: self.version,
            last_instant: Timestamp::from_millis(self.last_instant),
        })
    }
}

fn status_out(status: UserStatus) -> u8 {
    match status {
        UserStatus::Active => 0,
        UserStatus::Suspended => 1,
        UserStatus::Deleted => 2,
    }
}

pub(super) fn status_in(status: u8) -> Read<UserStatus> {
    match status {
        0 => Ok(UserStatus::Active),
        1 => Ok(UserStatus::Suspended),
        2 => Ok(UserStatus::Deleted),
        _ => Err(DecodeError::Value("a user's status")),
    }
}
