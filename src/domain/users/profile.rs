//! What a user signs up with. Past the boundary each part is right by its type.
//!
//! Addresses, names and what a password is made from are compared as people see them: in normalisation form C of
//! Unicode (UAX #15), since one keyboard writes `é` and `한` as one character and another as several.

use core::{borrow::Borrow, fmt, ops::Deref};
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use crate::domain::ids::UserId;

/// The longest address, in characters: the path of RFC 5321, section 4.5.3.1.3, without its brackets.
pub const EMAIL_LEN_MAX: usize = 254;
/// The longest name, in characters.
pub const NAME_LEN_MAX: usize = 100;
/// How many random bytes a user's id is drawn from.
pub const USER_ID_RANDOM_LEN: usize = 26;
/// The longest hash that is kept. One of argon2id has about 97.
const HASH_LEN_MAX: usize = 256;

/// A text that can't be part of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProfile {
    /// No address, or one that is too long.
    #[error("must be an address as in name@example.org, with {EMAIL_LEN_MAX} characters at most")]
    Email,
    /// No name, or one that is too long.
    #[error("must have 1 to {NAME_LEN_MAX} characters, none of them a control character")]
    Name,
    /// No password hash.
    #[error("must be a PHC string of argon2")]
    Hash,
}

/// An address to sign in with.
///
/// Two texts are the same address when they are equal without white space around them, in normalisation form C, and with
/// the domain in lower case. What stands before the `@` is the domain's own business (RFC 5321, section 2.4) and compared as it is.
/// Refused is only what surely is no address: it has one `@`, something without spaces before it, and behind it two or more
/// labels of letters, digits and hyphens of any script. Whether mail arrives is not known here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(Arc<str>);

impl Email {
    /// Reads an address as a person writes it.
    ///
    /// # Errors
    /// When it surely is none.
    pub fn parse(text: &str) -> Result<Self, InvalidProfile> {
        // Normalisation at most triples a text: what is much too long isn't worth it.
        if text.len() > 16 * EMAIL_LEN_MAX {
            return Err(InvalidProfile::Email);
        }
        let text: String = text.trim().nfc().collect();
        let (local, domain) = text.split_once('@').ok_or(InvalidProfile::Email)?;
        // Lower case may take a form apart that was together.
        let domain: String = domain.to_lowercase().nfc().collect();
        Self::kept(&format!("{local}@{domain}"))
    }

    /// Takes an address that was kept as [`Email::parse`] made it, whatever Unicode's tables said then.
    ///
    /// # Errors
    /// When it surely is none.
    pub fn kept(text: &str) -> Result<Self, InvalidProfile> {
        let count = text.chars().take(EMAIL_LEN_MAX + 1).count();
        let plain = |c: char| !c.is_whitespace() && !c.is_control();
        let label = |label: &str| {
            let letters = label.chars().all(|c| c.is_alphanumeric() || c == '-' || is_mark(c));
            !label.is_empty() && letters && !label.starts_with('-') && !label.ends_with('-')
        };
        let (local, domain) = text.split_once('@').ok_or(InvalidProfile::Email)?;
        let right = count <= EMAIL_LEN_MAX
            && !local.is_empty()
            && local.chars().all(plain)
            && domain.contains('.')
            && domain.split('.').all(label);
        if right { Ok(Self(text.into())) } else { Err(InvalidProfile::Email) }
    }

    /// Returns the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Tells whether a character belongs to the one before it, as in many scripts' vowels.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

impl Deref for Email {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Email {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// How a user is called: 1–100 characters in normalisation form C, without white space around them.
#[derive(Clone, PartialEq, Eq)]
pub struct UserName(Box<str>);

impl UserName {
    /// Reads a name as a person writes it.
    ///
    /// # Errors
    /// When it is empty, too long, or has control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidProfile> {
        if text.len() > 16 * NAME_LEN_MAX {
            return Err(InvalidProfile::Name);
        }
        Self::kept(&text.trim().nfc().collect::<String>())
    }

    /// Takes a name that was kept as [`UserName::parse`] made it.
    ///
    /// # Errors
    /// As there.
    pub fn kept(text: &str) -> Result<Self, InvalidProfile> {
        let count = text.chars().take(NAME_LEN_MAX + 1).count();
        let right = (1..=NAME_LEN_MAX).contains(&count) && !text.chars().any(char::is_control);
        if right { Ok(Self(text.into())) } else { Err(InvalidProfile::Name) }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// What a password is checked against: a PHC string of argon2, with the parameters that it was made with.
///
/// Invariant: it is never shown, not by [`fmt::Debug`] either.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Box<str>);

impl PasswordHash {
    /// Takes a PHC string.
    ///
    /// # Errors
    /// When it can't be one of argon2.
    pub fn parse(text: &str) -> Result<Self, InvalidProfile> {
        let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
        let right = text.starts_with("$argon2") && text.len() <= HASH_LEN_MAX && graphic;
        if right { Ok(Self(text.into())) } else { Err(InvalidProfile::Hash) }
    }

    /// Returns the PHC string.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// What a user signed up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The address that they sign in with.
    pub email: Email,
    /// How they are called.
    pub name: UserName,
    /// What their password is checked against.
    pub password: PasswordHash,
}

/// Makes the id of a user who signs up from random bytes: `u_` and 130 random bits in base 32 (the alphabet of RFC 4648 in
/// lower case), which nobody guesses.
pub fn drawn_id(random: &[u8; USER_ID_RANDOM_LEN]) -> UserId {
    const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digits = random.iter().map(|byte| char::from(BASE32[usize::from(byte & 31)]));
    let text: String = "u_".chars().chain(digits).collect();
    UserId::parse(&text).expect("28 letters and digits are an id")
}
