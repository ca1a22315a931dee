//! Sign-ups whose mails aren't confirmed yet. The server keeps none of them: the mail's token is the encrypted sign-up.
//!
//! ```text
//! token  base64url of: nonce 12 bytes, ciphertext and tag of AES-256-GCM
//! key    the log's own for this purpose
//! ```
//!
//! A token has the hash of the sign-up's password, and its completion needs that password. So neither a reader of
//! another's mail nor a stranger who signs up with another's address gets an account alone.
//!
//! A token names one user, whom it makes or whose password it replaces:
//!
//! - A sign-up's token carries the id of the user that it makes. An id is given once, also after its user was deleted, so a token makes
//!   one user. It never touches another account, since its mail may have gone to an address that is only written like the account's.
//! - An account's token carries the account's id and a fingerprint of the password that it replaces. Once another password stands there,
//!   or the account is deleted, the token does nothing: it brings neither an old password nor an account back.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::domain::ids::UserId;
use crate::domain::time::{Seconds, Timestamp};
use crate::domain::users::{Email, PasswordHash, Profile, UserName};
use crate::engine::Engine;

/// How long a mail can be confirmed.
pub const VALID: Seconds = Seconds::new(3_600);
/// The longest token: a profile has at most some 1,700 bytes, and escaped as JSON a few more.
const TOKEN_LEN_MAX: usize = 8 << 10;

/// Seals sign-ups.
pub struct SignUps(RandomizedNonceKey);

impl core::fmt::Debug for SignUps {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SignUps(..)")
    }
}

/// A sign-up whose mail isn't confirmed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignUp {
    /// Who it makes, or whose password it replaces.
    pub user: UserId,
    /// Who signs up, or what the account at their address becomes.
    pub profile: Profile,
    /// The password that it replaces: none for a new user.
    pub replaces: Option<Fingerprint>,
}

/// A fingerprint of a password's hash, which only tells it from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Returns the fingerprint of a hash.
    pub fn of(hash: &PasswordHash) -> Self {
        Self(URL_SAFE_NO_PAD.encode(digest(&SHA256, hash.expose().as_bytes())))
    }
}

#[derive(Serialize, Deserialize)]
struct Content {
    user: String,
    email: String,
    name: String,
    password: String,
    replaces: Option<Fingerprint>,
    expires_at: u64,
}

impl SignUps {
    /// Makes what seals the sign-ups of an engine.
    pub fn new(engine: &Engine) -> Self {
        Self::with_key(&engine.secret("onsale: sign-ups"))
    }

    fn with_key(key: &[u8; 32]) -> Self {
        Self(RandomizedNonceKey::new(&AES_256_GCM, key).expect("the key has the algorithm's length"))
    }

    /// Returns the token of a sign-up.
    pub fn seal(&self, sign_up: &SignUp, expires_at: Timestamp) -> String {
        let SignUp { user, profile, replaces } = sign_up;
        let content = Content {
            user: user.to_string(),
            email: profile.email.as_str().to_owned(),
            name: profile.name.as_str().to_owned(),
            password: profile.password.expose().to_owned(),
            replaces: replaces.clone(),
            expires_at: expires_at.as_millis(),
        };
        let mut bytes = serde_json::to_vec(&content).expect("texts and a number are JSON");
        let nonce = self.0.seal_in_place_append_tag(Aad::empty(), &mut bytes).expect("it is short");
        let mut token = nonce.as_ref().to_vec();
        token.append(&mut bytes);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Reads a token; nothing, unless it was made here and isn't over at `now`.
    pub fn open(&self, token: &str, now: Timestamp) -> Option<SignUp> {
        if token.len() > TOKEN_LEN_MAX {
            return None;
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let content = self.0.open_in_place(nonce, Aad::empty(), sealed).ok()?;
        let content: Content = serde_json::from_slice(content).ok()?;
        if Timestamp::from_millis(content.expires_at) <= now {
            return None;
        }
        let profile = Profile {
            email: Email::kept(&content.email).ok()?,
            name: UserName::kept(&content.name).ok()?,
            password: PasswordHash::parse(&content.password).ok()?,
        };
        let user = UserId::parse(&content.user).ok()?;
        Some(SignUp { user, profile, replaces: content.replaces })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_token_says_what_was_sealed_until_it_is_over_and_no_other_does() {
        let sign_ups = SignUps::with_key(&[7; 32]);
        let profile = Profile {
            email: Email::parse("Ann@example.org").unwrap(),
            name: UserName::parse("앤").unwrap(),
            password: PasswordHash::parse("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA").unwrap(),
        };
        let replaces = Some(Fingerprint::of(&profile.password));
        let sign_up = SignUp { user: UserId::parse("u_ann").unwrap(), profile, replaces };
        let until = NOW.plus(VALID);
        let token = sign_ups.seal(&sign_up, until);
        assert_eq!(sign_ups.open(&token, NOW), Some(sign_up.clone()));
        let just_before = Timestamp::from_millis(until.as_millis() - 1);
        assert_eq!(sign_ups.open(&token, just_before), Some(sign_up.clone()));
        assert_eq!(sign_ups.open(&token, until), None);
        assert_eq!(SignUps::with_key(&[8; 32]).open(&token, NOW), None, "another log's");
        assert_ne!(sign_ups.seal(&sign_up, until), token);
        for at in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(sign_ups.open(core::str::from_utf8(&forged).unwrap(), NOW), None, "{at}");
        }
        for odd in ["", "A", "not a token", &token[..20], &"A".repeat(1 << 20)] {
            assert_eq!(sign_ups.open(odd, NOW), None);
        }
    }
}
