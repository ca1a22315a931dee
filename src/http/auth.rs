//! Who calls: from the `Authorization` header to a [`Caller`].
//!
//! Owns the check of tokens (HS256 with the secrets, RS256/ES256/EdDSA with the keys of a file), the administrators'
//! tokens for scripts, the cache of verified tokens, the table of rights ([`Role`]), and the extractors of the routes.
//! Absent on purpose: whether the user exists or is suspended (the extractors ask the engine: [`Standing`]), and every
//! clock: each call gets `now`.
//!
//! Invariants: a key is used only with its own algorithm; a token without `exp` is invalid; expiry is checked on every
//! use without leeway (NTP keeps the clocks, and a token lives for minutes); no token or part of one is ever logged or
//! shown.

mod cache;
mod extractors;
mod keys;
mod roles;

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::{HeaderMap, header};
use jsonwebtoken::{Algorithm, EncodingKey, Header, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use self::cache::{TokenCache, Verified};
pub(crate) use self::extractors::changes;
use self::keys::{Expectations, Key, KeyFile};
pub use self::{
    extractors::{
        Admin, Auditor, Clerk, Follower, Operator, Reader, Returner, Standing, StreamOpener, User, Viewer,
        Watcher,
    },
    keys::KeysError,
    roles::{Right, Role},
};
use super::problem::{Code, Problem};
use crate::config::AuthConfig;
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;

/// How often the JWKS file is looked at.
const JWKS_LOOK_SECONDS: u64 = 3;

/// The user id of the administrator's token for scripts. No token may have it as its `sub`, so that scripts and a user
/// are never the same.
pub const SCRIPTS: &str = "onsale:scripts";

/// Reads the bearer token of a request.
fn token_of(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
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
        .map(|(_, token)| token.trim_start_matches(' '));
    token.map(Some).ok_or_else(|| unauthenticated("The Authorization header isn't a bearer token."))
}

/// The token of a stream's follower. It is checked again before each chunk, since a stream outlives its request: a
/// secret may be replaced meanwhile.
#[derive(Clone)]
pub struct FollowersToken(Box<str>);

impl FollowersToken {
    /// Takes the token that a request shows.
    ///
    /// # Errors
    /// 401 `unauthenticated` where it shows none.
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        token_of(headers)?.map(|token| Self(token.into())).ok_or_else(no_token)
    }
}

impl core::fmt::Debug for FollowersToken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("FollowersToken(..)")
    }
}

/// The caller that a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who the token is about, or [`SCRIPTS`].
    pub user_id: UserId,
    /// What the caller may do.
    pub role: Role,
    /// From when on the token is no longer valid; the scripts' has no end.
    pub expires_at: Option<Timestamp>,
}

impl Caller {
    /// Says whether the caller is an administrator.
    pub fn is_admin(&self) -> bool {
        self.role.may(Right::Administer)
    }

    /// Says whether the caller may see what belongs to `owner`: its own, or whoever reads everything.
    pub fn may_see(&self, owner: &UserId) -> bool {
        self.role.may(Right::ReadAll) || self.user_id == *owner
    }

    /// Says whether the caller may see what belongs to `owner`, or to nobody; of orders, whoever sells may.
    pub fn may_see_of(&self, owner: Option<&UserId>, is_order: bool) -> bool {
        let owns = owner.is_some_and(|owner| self.may_see(owner));
        owns || self.role.may(Right::ReadAll) || (is_order && self.role.may(Right::Sell))
    }

    /// Says whether the caller sees what the staff notes of payments: gateways' answers, and who sold an order.
    pub fn is_staff(&self) -> bool {
        self.role.may(Right::ReadAll) || self.role.may(Right::Sell)
    }

    /// Says whether the caller's token is over.
    fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
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
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}

impl Claims {
    fn role_if_absent() -> Role {
        Role::User
    }

    /// Returns who the token is about: its `sub`, or what another claim says of the person. Whoever has a role beside buying may have no such claim.
    fn user(&self, person_claim: Option<&str>) -> Option<UserId> {
        let person = person_claim.map(|name| self.others.get(name).and_then(serde_json::Value::as_str));
        let text = match person {
            None => &self.sub,
            Some(Some(person)) => person,
            Some(None) if self.role != Role::User => &self.sub,
            Some(None) => return None,
        };
        UserId::parse(text).ok().filter(|user| user.as_str() != SCRIPTS)
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

/// The secrets and keys that were read last.
struct Trusted {
    config: AuthConfig,
    /// Grows with every reading, so that what an earlier one verified is verified anew.
    generation: u64,
    /// The present secret, and the one before it.
    secrets: Vec<Key>,
    /// What is signed with: the present secret.
    signing: Option<EncodingKey>,
    file: Option<KeyFile>,
    /// The administrators' tokens for scripts: the present one, and the one before it.
    admin_tokens: Vec<Box<[u8]>>,
}

impl Trusted {
    fn read(config: &AuthConfig, generation: u64) -> Result<Self, KeysError> {
        let expectations = Expectations::of(config);
        let secrets = [&config.jwt_secret, &config.jwt_secret_before];
        let secrets = secrets.into_iter().flatten();
        let admin_tokens = [&config.admin_token, &config.admin_token_before].into_iter().flatten();
        let file = config.jwks_file.as_deref().map(|path| KeyFile::load(path, &expectations)).transpose()?;
        Ok(Self {
            generation,
            secrets: secrets.map(|secret| expectations.hs256(secret.expose().as_bytes())).collect(),
            signing: config
                .jwt_secret
                .as_ref()
                .map(|secret| EncodingKey::from_secret(secret.expose().as_bytes())),
            file,
            admin_tokens: admin_tokens.map(|token| token.expose().as_bytes().into()).collect(),
            config: config.clone(),
        })
    }

    /// Compares with the scripts' tokens, each in a time that only depends on the lengths.
    fn is_admin_token(&self, token: &str) -> bool {
        let is = |admin: &[u8]| verify_slices_are_equal(admin, token.as_bytes()).is_ok();
        // All are looked at, whichever it is.
        self.admin_tokens.iter().fold(false, |found, admin| is(admin) | found)
    }

    /// Checks the signature and the claims, except for `exp`.
    fn check(&self, token: &str, now: Timestamp) -> Result<Caller, Problem> {
        let invalid = || unauthenticated("The token is not valid.");
        let header = decode_header(token).map_err(|_| invalid())?;

        // A critical header that isn't understood makes the token invalid (RFC 7515, section 4.1.11).
        if header.crit.is_some() {
            return Err(invalid());
        }

        // The algorithm chooses the keys: an HS256 token is never checked with a public key.
        let read = |key: &Key| decode::<Claims>(token, &key.decoding, &key.validation).ok();
        let claims = if header.alg == Algorithm::HS256 {
            self.secrets.iter().find_map(read)
        } else {
            self.file.as_ref().and_then(|file| file.keys().select(&header)).and_then(read)
        };
        let claims = claims.ok_or_else(invalid)?.claims;

        let millis = |date: NumericDate| date.millis().ok_or_else(invalid);
        let expires_at = Timestamp::from_millis(millis(claims.exp)?);
        if let Some(nbf) = claims.nbf {
            // This refusal isn't cached, so that the token becomes valid in time.
            let leeway = self.config.jwt_nbf_leeway_seconds.saturating_mul(1000);
            if now.as_millis().saturating_add(leeway) < millis(nbf)? {
                return Err(unauthenticated("The token is not valid yet."));
            }
        }

        let user_id = claims.user(self.config.jwt_person_claim.as_deref()).ok_or_else(invalid)?;
        Ok(Caller { user_id, role: claims.role, expires_at: Some(expires_at) })
    }
}

/// Checks and issues tokens; shared by every request.
pub struct Authenticator {
    trusted: RwLock<Arc<Trusted>>,
    /// Who changes what is trusted, one at a time.
    changing: Mutex<()>,
    scripts: Caller,
    cache: TokenCache,
}

impl core::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let trusted = self.trusted();
        f.debug_struct("Authenticator")
            .field("secrets", &trusted.secrets.len())
            .field("file", &trusted.config.jwks_file)
            .field("admin_tokens", &trusted.admin_tokens.len())
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
        let user_id = UserId::parse(SCRIPTS).expect("plain words are an id");
        Ok(Self {
            trusted: RwLock::new(Arc::new(Trusted::read(config, 0)?)),
            changing: Mutex::new(()),
            scripts: Caller { user_id, role: Role::Admin, expires_at: None },
            cache: TokenCache::new(),
        })
    }

    fn trusted(&self) -> RwLockReadGuard<'_, Arc<Trusted>> {
        self.trusted.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says who calls, or nothing when there is no `Authorization` header.
    ///
    /// # Errors
    /// 401 `unauthenticated` for a header that isn't one valid bearer token, `token_expired` for
    /// one that was valid.
    pub fn caller(&self, headers: &HeaderMap, now: Timestamp) -> Result<Option<Caller>, Problem> {
        token_of(headers)?.map(|token| self.verify(token, now)).transpose()
    }

    /// Says who follows a stream by a token.
    ///
    /// # Errors
    /// As [`Authenticator::verify`].
    pub fn followed_by(&self, token: &FollowersToken, now: Timestamp) -> Result<Caller, Problem> {
        self.verify(&token.0, now)
    }

    /// Says whose token it is.
    ///
    /// # Errors
    /// 401 `unauthenticated` or `token_expired`.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Caller, Problem> {
        let trusted = Arc::clone(&self.trusted());
        if trusted.is_admin_token(token) {
            return Ok(self.scripts.clone());
        }
        let generation = trusted.generation;
        let known = self.cache.get(token).filter(|known| known.generation == generation);
        let caller = if let Some(known) = known {
            known.caller
        } else {
            let caller = trusted.check(token, now)?;
            self.cache.put(token, Verified { caller: caller.clone(), generation });
            caller
        };
        if caller.is_over(now) { Err(token_expired()) } else { Ok(caller) }
    }

    /// Says whether users sign up here: the server has a secret to sign tokens with, and no provider says who is one person.
    pub fn issues_tokens(&self) -> bool {
        let trusted = self.trusted();
        trusted.signing.is_some() && trusted.config.jwt_person_claim.is_none()
    }

    /// Issues a token that this server accepts for `ttl_seconds` from `now`; nothing when it only
    /// has public keys.
    pub fn issue(&self, user_id: &UserId, role: Role, now: Timestamp, ttl_seconds: u64) -> Option<String> {
        let trusted = Arc::clone(&self.trusted());
        let now_seconds = now.as_millis() / 1000;
        let claims = IssuedClaims {
            sub: user_id.as_str(),
            exp: now_seconds.saturating_add(ttl_seconds),
            iat: now_seconds,
            role,
            iss: trusted.config.jwt_issuer.as_deref(),
            aud: trusted.config.jwt_audience.as_deref(),
        };
        encode(&Header::new(Algorithm::HS256), &claims, trusted.signing.as_ref()?).ok()
    }

    /// Takes other secrets, tokens, keys and expectations from now on; what they don't accept is refused from the next call on.
    ///
    /// # Errors
    /// When the key file can't be read or has no usable key: then nothing changes.
    pub fn replace(&self, config: &AuthConfig) -> Result<(), KeysError> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace_alone(config)
    }

    fn replace_alone(&self, config: &AuthConfig) -> Result<(), KeysError> {
        let generation = self.trusted().generation + 1;
        let fresh = Arc::new(Trusted::read(config, generation)?);
        *self.trusted.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Reads the key file again if its content changed, and says whether it did. A file that can't be used
    /// leaves the keys as they are.
    ///
    /// # Errors
    /// When the file can't be read or has no usable key.
    pub fn reload_keys_if_changed(&self) -> Result<bool, KeysError> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let trusted = Arc::clone(&self.trusted());
        match &trusted.file {
            Some(file) if file.changed()? => self.replace_alone(&trusted.config).map(|()| true),
            Some(_) | None => Ok(false),
        }
    }

    /// Looks at the key file every few seconds until the token is cancelled. Spawn it once.
    pub async fn watch_keys(self: Arc<Self>, shutdown: CancellationToken) {
        let mut looks = tokio::time::interval(Duration::from_secs(JWKS_LOOK_SECONDS));
        let broken = metrics::gauge!("onsale_jwks_file_broken");
        // A file that stays broken is logged once.
        let mut told = None;

        while shutdown.run_until_cancelled(looks.tick()).await.is_some() {
            let this = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || this.reload_keys_if_changed()).await {
                Ok(Ok(changed)) => {
                    told = None;
                    broken.set(0.0);
                    if changed {
                        tracing::info!("the keys were read again");
                    }
                }
                Ok(Err(error)) => {
                    broken.set(1.0);
                    let error = Some(error.to_string());
                    if told != error {
                        tracing::warn!(error, "the file of keys can't be used: the keys stay as they are");
                        told = error;
                    }
                }
                Err(error) => tracing::error!(%error, "reading the keys failed"),
            }
        }
    }
}

fn unauthenticated(detail: &'static str) -> Problem {
    Problem::new(Code::Unauthenticated, detail)
}

pub(super) fn no_token() -> Problem {
    unauthenticated("This needs a bearer token.")
}

fn token_expired() -> Problem {
    Problem::new(Code::TokenExpired, "The token is no longer valid.")
}

#[cfg(test)]
mod tests;
