//! Who calls: HS256 tokens (RFC 7515, RFC 7519), and a cache of those that were verified, both as `onsale` has them.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::hmac;
use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

/// The slots of the cache; a token has one, and a newcomer takes it over.
const SLOTS: usize = 1 << 17;

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: Arc<str>,
    exp: u64,
}

struct Entry {
    token: Box<str>,
    user: Arc<str>,
    exp: u64,
}

/// Checks tokens of one secret.
pub(super) struct Tokens {
    key: hmac::Key,
    hasher: RandomState,
    slots: Box<[Mutex<Option<Box<Entry>>>]>,
}

impl Tokens {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
            hasher: RandomState::new(),
            slots: (0..SLOTS).map(|_| Mutex::new(None)).collect(),
        }
    }

    /// Returns the user whose valid token the request shows. `now` is in seconds since 1970.
    pub(super) fn user(&self, headers: &HeaderMap, now: u64) -> Option<Arc<str>> {
        let token = bearer(headers)?;
        let mask = u64::try_from(SLOTS - 1).expect("the number of slots fits");
        let index = usize::try_from(self.hasher.hash_one(token) & mask).expect("masked");
        let slot = || self.slots[index].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = slot().as_ref()
            && *entry.token == *token
        {
            return (entry.exp > now).then(|| Arc::clone(&entry.user));
        }

        let Claims { sub, exp } = self.verify(token)?;
        if exp <= now {
            return None;
        }
        *slot() = Some(Box::new(Entry { token: token.into(), user: Arc::clone(&sub), exp }));
        Some(sub)
    }

    fn verify(&self, token: &str) -> Option<Claims> {
        let (signed, tag) = token.rsplit_once('.')?;
        let (head, claims) = signed.split_once('.')?;
        let head: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).ok()?).ok()?;
        if head.alg != "HS256" {
            return None;
        }
        hmac::verify(&self.key, signed.as_bytes(), &URL_SAFE_NO_PAD.decode(tag).ok()?).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}

/// Returns the token that a request shows.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Signer;

    #[test]
    fn only_a_token_of_the_secret_that_is_not_over_says_who_calls() {
        let tokens = Tokens::new(&[7; 32]);
        let user = |token: &str, now| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
            tokens.user(&headers, now).map(|user| user.to_string())
        };
        let token = Signer::new(&[7; 32]).user("u-1", 99);
        // Verified at first, found in the cache then; over in both.
        for _ in 0..2 {
            assert_eq!(user(&token, 98), Some("u-1".to_owned()));
            assert_eq!(user(&token, 99), None);
        }
        assert_eq!(user(&Signer::new(&[8; 32]).user("u-1", 99), 98), None);
        assert_eq!(user(&token[..token.len() - 1], 98), None);
        assert_eq!(user(&token.replacen('e', "f", 1), 98), None);
        assert_eq!(tokens.user(&HeaderMap::new(), 0), None);
    }
}
