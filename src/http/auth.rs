//! Who calls: from the `Authorization` header to a [`Caller`].
//!
//! Owns the check of tokens (HS256 with the secret, RS256/ES256/EdDSA with the keys of a file), the
//! administrator's token, the cache of verified tokens, and the extractors of the routes. Absent on
//! purpose: whether the user exists or is suspended (the engine knows, and the extractors ask it: [`Standing`]), and every
//! clock: `now` is given with each call.
//!
//! Invariants: a key is used with its own algorithm alone; a token without `exp` is none; expiry is
//! checked on every use, without leeway (zero seconds: the issuer's clock and ours are kept by
//! NTP, and a token lives for minutes); no token or part of one is ever logged or shown.

mod cache;
mod extractors;
mod keys;

use std::{
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::{HeaderMap, header};
use jsonwebtoken::{Algorithm, EncodingKey, Header, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub(crate) use self::extractors::changes;
use self::{
    cache::{TokenCache, Verified},
    keys::{Expectations, Key, KeySet, Stamp},
};
pub use self::{
    extractors::{Admin, MaybeUser, Standing, User},
    keys::KeysError,
};
use super::problem::{Code, Problem};
use crate::{
    config::AuthConfig,
    domain::{ids::UserId, time::Timestamp},
};

/// How often the JWKS file is looked at.
const JWKS_LOOK_SECONDS: u64 = 3;

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Buys seats.
    User,
    /// Runs the sale.
    Admin,
}

/// Who calls, as the token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's `sub`, or `admin` for the administrator's token.
    pub user_id: UserId,
    /// What the caller may do.
    pub role: Role,
}

impl Caller {
    /// Says whether the caller is an administrator.
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    /// Says whether the caller may see what belongs to `owner`: its own, or an administrator.
    pub fn may_see(&self, owner: &UserId) -> bool {
        self.is_admin() || self.user_id == *owner
    }
}

/// The claims that are read; others are ignored.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    #[serde(default = "Claims::role_if_absent")]
    role: Role,
}

impl Claims {
    fn role_if_absent() -> Role {
        Role::User
    }
}

/// Seconds since 1970, whole or not (RFC 7519, section 2).
#[derive(Deserialize, Clone, Copy)]
#[serde(untagged)]
enum NumericDate {
    Whole(u64),
    Fraction(f64),
}

impl NumericDate {
    fn millis(self) -> Option<u64> {
        match self {
            Self::Whole(seconds) => Some(seconds.saturating_mul(1000)),
            Self::Fraction(seconds) => {
                let duration = Duration::try_from_secs_f64(seconds).ok()?;
                Some(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
            }
        }
    }
}

#[derive(Serialize)]
struct IssuedClaims<'a> {
    sub: &'a str,
    exp: u64,
    iat: u64,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

/// A file of public keys and what is known of its present content.
struct KeyFile {
    path: PathBuf,
    loaded: RwLock<(Arc<KeySet>, Stamp)>,
}

/// Checks and issues tokens; shared by every request.
pub struct Authenticator {
    secret: Option<(Key, EncodingKey)>,
    file: Option<KeyFile>,
    admin_token: Option<Box<[u8]>>,
    admin: Caller,
    expectations: Expectations,
    cache: TokenCache,
    /// Grows with every load of the key file, so that what an older load verified is verified anew.
    generation: AtomicU64,
}

impl core::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Authenticator")
            .field("secret", &self.secret.is_some())
            .field("file", &self.file.as_ref().map(|file| &file.path))
            .field("admin_token", &self.admin_token.is_some())
            .finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Makes the authenticator of a configuration and reads the key file.
    ///
    /// # Errors
    /// When the key file can't be read or has no usable key. That neither a secret nor a file is
    /// given is the configuration's to refuse; such an authenticator lets nobody in but the
    /// administrator's token.
    pub fn new(config: &AuthConfig) -> Result<Self, KeysError> {
        let expectations =
            Expectations { issuer: config.jwt_issuer.clone(), audience: config.jwt_audience.clone() };
        let secret = config.jwt_secret.as_ref().map(|secret| {
            let bytes = secret.expose().as_bytes();
            (expectations.hs256(bytes), EncodingKey::from_secret(bytes))
        });
        let file = match &config.jwks_file {
            None => None,
            Some(path) => {
                let (set, stamp) = keys::load(path, &expectations)?;
                Some(KeyFile { path: path.clone(), loaded: RwLock::new((Arc::new(set), stamp)) })
            }
        };
        let admin_token = config.admin_token.as_ref().map(|token| token.expose().as_bytes().into());
        let admin =
            Caller { user_id: UserId::parse("admin").expect("a plain word is an id"), role: Role::Admin };
        Ok(Self {
            secret,
            file,
            admin_token,
            admin,
            expectations,
            cache: TokenCache::new(),
            generation: AtomicU64::new(0),
        })
    }

    /// Says who calls, or nothing when there is no `Authorization` header.
    ///
    /// # Errors
    /// 401 `unauthenticated` for a header that isn't one valid bearer token, `token_expired` for
    /// one that was valid.
    pub fn caller(&self, headers: &HeaderMap, now: Timestamp) -> Result<Option<Caller>, Problem> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(unauthenticated("There is more than one Authorization header."));
        }
        let token = value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim_start_matches(' '))
            .ok_or_else(|| unauthenticated("The Authorization header isn't a bearer token."))?;
        self.verify(token, now).map(Some)
    }

    /// Says whose token it is.
    ///
    /// # Errors
    /// 401 `unauthenticated` or `token_expired`.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Caller, Problem> {
        if self.is_admin_token(token) {
            return Ok(self.admin.clone());
        }
        let generation = self.generation.load(Ordering::Acquire);
        let known = self.cache.get(token).filter(|known| known.generation == generation);
        let verified = if let Some(known) = known {
            known
        } else {
            let fresh = self.check(token, generation, now)?;
            self.cache.put(token, fresh.clone());
            fresh
        };
        if now.as_millis() >= verified.expires_at_ms {
            return Err(Problem::new(Code::TokenExpired, "The token is no longer valid."));
        }
        Ok(verified.caller)
    }

    /// Compares with the administrator's token in a time that only depends on the lengths.
    fn is_admin_token(&self, token: &str) -> bool {
        self.admin_token
            .as_ref()
            .is_some_and(|admin| verify_slices_are_equal(admin, token.as_bytes()).is_ok())
    }

    /// Checks the signature and the claims, except for `exp`.
    fn check(&self, token: &str, generation: u64, now: Timestamp) -> Result<Verified, Problem> {
        let invalid = || unauthenticated("The token is not valid.");
        let header = decode_header(token).map_err(|_| invalid())?;
        // RFC 7515, section 4.1.11: what is critical and not understood makes the token invalid.
        if header.crit.is_some() {
            return Err(invalid());
        }
        let claims: Claims = if header.alg == Algorithm::HS256 {
            let (key, _) = self.secret.as_ref().ok_or_else(invalid)?;
            decode(token, &key.decoding, &key.validation)
        } else {
            let set = self.key_set().ok_or_else(invalid)?;
            let key = set.select(&header).ok_or_else(invalid)?;
            decode(token, &key.decoding, &key.validation)
        }
        .map_err(|_| invalid())?
        .claims;
        let expires_at_ms = claims.exp.millis().ok_or_else(invalid)?;
        if let Some(nbf) = claims.nbf {
            // It isn't kept, so that a token which isn't valid yet becomes so in time.
            if now.as_millis() < nbf.millis().ok_or_else(invalid)? {
                return Err(unauthenticated("The token is not valid yet."));
            }
        }
        let user_id = UserId::parse(&claims.sub).map_err(|_| invalid())?;
        let caller = Caller { user_id, role: claims.role };
        Ok(Verified { caller, expires_at_ms, generation })
    }

    /// Says whether this server can issue tokens: it has a secret, not only public keys.
    pub fn issues_tokens(&self) -> bool {
        self.secret.is_some()
    }

    fn key_set(&self) -> Option<Arc<KeySet>> {
        let file = self.file.as_ref()?;
        Some(file.loaded.read().unwrap_or_else(PoisonError::into_inner).0.clone())
    }

    /// Issues a token that this server accepts for `ttl_seconds` from `now`; nothing when it only
    /// has public keys.
    pub fn issue(&self, user_id: &UserId, role: Role, now: Timestamp, ttl_seconds: u64) -> Option<String> {
        let (_, key) = self.secret.as_ref()?;
        let now_seconds = now.as_millis() / 1000;
        let claims = IssuedClaims {
            sub: user_id.as_str(),
            exp: now_seconds.saturating_add(ttl_seconds),
            iat: now_seconds,
            role,
            iss: self.expectations.issuer.as_deref(),
            aud: self.expectations.audience.as_deref(),
        };
        encode(&Header::new(Algorithm::HS256), &claims, key).ok()
    }

    /// Reads the key file again if it changed, and says whether it did. A file that can't be used
    /// leaves the keys as they are.
    ///
    /// # Errors
    /// When the file can't be read or has no usable key.
    pub fn reload_keys_if_changed(&self) -> Result<bool, KeysError> {
        let Some(file) = &self.file else {
            return Ok(false);
        };
        let stamp =
            keys::stamp(&file.path).map_err(|source| KeysError::Read { path: file.path.clone(), source })?;
        if file.loaded.read().unwrap_or_else(PoisonError::into_inner).1 == stamp {
            return Ok(false);
        }
        let (set, stamp) = keys::load(&file.path, &self.expectations)?;
        *file.loaded.write().unwrap_or_else(PoisonError::into_inner) = (Arc::new(set), stamp);
        // After the keys: a token that is verified in between stands under the old number.
        self.generation.fetch_add(1, Ordering::AcqRel);
        Ok(true)
    }

    /// Looks at the key file every few seconds until the token is cancelled; ends at once when
    /// there is none. Spawn it once.
    pub async fn watch_keys(self: Arc<Self>, shutdown: CancellationToken) {
        if self.file.is_none() {
            return;
        }
        let mut looks = tokio::time::interval(Duration::from_secs(JWKS_LOOK_SECONDS));
        while shutdown.run_until_cancelled(looks.tick()).await.is_some() {
            let this = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || this.reload_keys_if_changed()).await {
                Ok(Ok(true)) => tracing::info!("the keys were read again"),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the keys stay as they are"),
                Err(error) => tracing::error!(%error, "the reading of the keys ended early"),
            }
        }
    }
}

/// Issues an HS256 token for the command line and the demo, without a running server.
///
/// # Errors
/// What jsonwebtoken says, which for a secret of bytes and these claims is nothing.
pub fn issue(
    secret: &[u8],
    user_id: &UserId,
    role: Role,
    now: Timestamp,
    ttl_seconds: u64,
) -> Result<String, jsonwebtoken::errors::Error> {
    let iat = now.as_millis() / 1000;
    let exp = iat.saturating_add(ttl_seconds);
    let claims = IssuedClaims { sub: user_id.as_str(), exp, iat, role, iss: None, aud: None };
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret))
}

fn unauthenticated(detail: &'static str) -> Problem {
    Problem::new(Code::Unauthenticated, detail)
}

#[cfg(test)]
mod tests;
