//! Users: their events, and their sections of a snapshot.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use crate::domain::keys::KeyUse;
use crate::domain::time::Timestamp;
use crate::domain::users::{Answer, Email, Event, Profile, User, UserName, UserStatus, UsersImage};
use crate::record::DecodeError;
use crate::record::fields::{Read, user_id};
use crate::record::users::{password_hash, status_in};

#[derive(Deserialize)]
pub(super) enum UserEventWire<'a> {
    SignedUp {
        #[serde(borrow)]
        id: Cow<'a, str>,
        #[serde(borrow)]
        profile: ProfileWire<'a>,
    },
    Suspended(#[serde(borrow)] Cow<'a, str>),
    Reinstated(#[serde(borrow)] Cow<'a, str>),
    Deleted(#[serde(borrow)] Cow<'a, str>),
    KeyKept(#[serde(borrow)] Cow<'a, str>),
    PasswordReplaced(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Cow<'a, str>),
}

#[derive(Deserialize)]
pub(super) struct ProfileWire<'a> {
    #[serde(borrow)]
    email: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    password: Cow<'a, str>,
}

/// Some of the users, in order of their ids.
#[derive(Deserialize)]
pub(super) struct UsersPartWire<'a>(#[serde(borrow)] Vec<UserWire<'a>>);

#[derive(Deserialize)]
struct UserWire<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    status: u8,
    #[serde(borrow)]
    profile: Option<ProfileWire<'a>>,
    created_at: u64,
}

#[derive(Deserialize)]
pub(super) struct UsersImageWire {
    keys: Vec<(u128, u128, u64, u64, String, u8)>,
    version: u64,
    last_instant: u64,
}

impl UserEventWire<'_> {
    pub(super) fn into_domain(self) -> Read<Event> {
        Ok(match self {
            Self::SignedUp { id, profile } => {
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

impl ProfileWire<'_> {
    fn into_domain(self) -> Read<Profile> {
        Ok(Profile {
            email: Email::kept(&self.email).map_err(|_| DecodeError::Value("a user's address"))?,
            name: UserName::kept(&self.name).map_err(|_| DecodeError::Value("a user's name"))?,
            password: password_hash(&self.password)?,
        })
    }
}

impl UsersPartWire<'_> {
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
    /// Reads an image, to which its users are given back.
    pub(super) fn into_domain(self) -> Read<UsersImage> {
        let key = |(digest, fingerprint, version, at, user, status): (_, _, _, _, String, _)| {
            let answer = Answer { user: user_id(&user)?, status: status_in(status)? };
            Ok((KeyUse { digest, fingerprint }, version, Timestamp::from_millis(at), answer))
        };
        Ok(UsersImage {
            users: Vec::new(),
            keys: self.keys.into_iter().map(key).collect::<Read<_>>()?,
            version: self.version,
            last_instant: Timestamp::from_millis(self.last_instant),
        })
    }
}
