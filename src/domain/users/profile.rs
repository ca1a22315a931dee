//! A user's name, address and password. Past the boundary each part is right by its type.
//!
//! Names and passwords are compared as people see them: in normalisation form C of Unicode (UAX #15), since one
//! keyboard writes `é` and `한` as one character and another as several. Addresses are kept as they are written and
//! compared by the [`Mailbox`] that they lead to.

use core::fmt;
use core::ops::Deref;
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

/// An address to sign in with, as it was written: in normalisation form C, without white space around it.
///
/// Refused is only what surely is no address: it has one `@`, something without spaces before it, and behind it two or more
/// labels of letters, digits and hyphens of any script. Whether mail arrives is not known here. Whose it is tells its
/// [`Mailbox`], not its text.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(Arc<str>);

impl Email {
    /// Reads an address as a person writes it.
    ///
    /// # Errors
    /// When it surely is none.
    pub fn parse(text: &str) -> Result<Self, InvalidProfile> {
        // Normalisation at most triples a text: a much longer one isn't worth it.
        if text.len() > 16 * EMAIL_LEN_MAX {
            return Err(InvalidProfile::Email);
        }
        Self::kept(&text.trim().nfc().collect::<String>())
    }

    /// Refuses an address that no mail server takes: marks that only a name in quotation marks may have (RFC 5321, section 4.1.2).
    /// Who signed up with one before that was asked still signs in with it.
    ///
    /// # Errors
    /// When it has one.
    pub fn deliverable(self) -> Result<Self, InvalidProfile> {
        let (local, _) = self.parts();
        let plain = local.len() > 2 && unquoted(local).is_some() || !local.contains(SPECIALS);
        if plain { Ok(self) } else { Err(InvalidProfile::Email) }
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

    /// Returns the parts before the `@` and behind it.
    fn parts(&self) -> (&str, &str) {
        self.0.split_once('@').expect("it was checked when it was read")
    }

    /// Returns the mailbox that it leads to.
    pub fn mailbox(&self) -> Mailbox {
        let (local, domain) = self.parts();
        let local = unquoted(local).map_or_else(|| folded(local), |local| folded(&local));
        // A part that can't be a domain name is compared as text.
        let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| folded(domain));
        Mailbox(format!("{local}@{domain}").into())
    }

    /// Tells whether two addresses differ in the case of their domains at most: a former version took all others for different.
    pub fn is_written_as(&self, other: &Self) -> bool {
        let ((local, domain), (other_local, other_domain)) = (self.parts(), other.parts());
        local == other_local && domain.to_lowercase().nfc().eq(other_domain.to_lowercase().nfc())
    }
}

/// The mailbox of an address: the same for every text that can be written for it.
///
/// These don't count: the case of letters, Unicode's forms that look the same (NFKC: full width, ligatures, composed or not) and its characters
/// that don't show, quotation marks that nothing needs, and whether a domain is written in its script or in ASCII (`xn--…`, UTS #46). The domain
/// alone may say what case means before its `@` (RFC 5321, section 2.4); no provider that matters tells `Ann` from `ann`, and an
/// account for each would be two people's. What looks alike in different scripts, dots, and what stands behind a `+` are other mailboxes:
/// some providers think otherwise, and only they know.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Mailbox(Box<str>);

impl Deref for Mailbox {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// What the name of a mailbox may only have within quotation marks.
const SPECIALS: [char; 11] = ['(', ')', '<', '>', '[', ']', ':', ';', ',', '\\', '"'];

/// Returns what stands in quotation marks, without the marks and without the backslashes that quote a character; nothing where the
/// text isn't one in quotation marks.
fn unquoted(local: &str) -> Option<String> {
    let inside = local.strip_prefix('"')?.strip_suffix('"')?;
    let mut plain = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => return None,
            '\\' => plain.push(characters.next()?),
            _ => plain.push(c),
        }
    }
    Some(plain)
}

/// Returns a text without characters that don't show, and without the difference of cases and of forms that look the same.
fn folded(text: &str) -> String {
    let once = |text: &str| -> String {
        let shown = text.nfkc().filter(|c| !is_ignorable(*c));
        // Upper and then lower case: so `ß` is `ss`, and each of the Greek sigmas is one.
        shown.flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc().collect()
    };
    // One step may bring forth characters that the next folds.
    once(&once(text))
}

/// Tells whether a character doesn't show by itself: `Default_Ignorable_Code_Point` of Unicode 16.
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Tells whether a character belongs to the one before it, as in many scripts' vowels.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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

/// A user's name, address and password.
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
