//! The state that extractors and layers share: tokens, limits, the clock and the shutdown; and the client's address.
//!
//! Absent on purpose: the engine, which only routes need ([`App`](super::app::App)).

use core::net::IpAddr;
use core::num::NonZeroU32;
use std::sync::{Arc, Once};

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use tokio_util::sync::CancellationToken;

use super::auth::{self, Authenticator};
use super::context::RequestContext;
use super::hop::HopKey;
use super::limits::RequestLimits;
use super::mail_hook::{MailHook, MailHookError};
use super::passwords::Passwords;
use super::rate_limit::{
    self, AccountRateLimit, AddressKey, AddressRateLimit, CodeRateLimit, HOUR_SECONDS, Limiter,
    MAILS_AN_HOUR, MINUTE_SECONDS, ReadLimit, UserRateLimit,
};
use super::stream_tickets::StreamTickets;
use super::webhook_signature::Verifier;
use crate::clock::Clock;
use crate::config::{AddressRange, Config, PaymentsConfig};
use crate::domain::ids::PaymentId;
use crate::domain::money::{Currency, Money};

/// How many notices of one payment lead to a question at its gateway, per second and at once.
const NOTICES_PER_SECOND: NonZeroU32 = NonZeroU32::MIN;
const NOTICES_AT_ONCE: NonZeroU32 = NonZeroU32::new(3).expect("three isn't zero");

/// Settings that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The key file.
    #[error(transparent)]
    Keys(#[from] auth::KeysError),
    /// The mail hook.
    #[error(transparent)]
    Mail(#[from] MailHookError),
}

/// The state that extractors and layers share. A clone is a counter.
#[derive(Clone)]
pub struct HttpParts(Arc<HttpPartsInner>);

/// The fields of [`HttpParts`].
pub struct HttpPartsInner {
    /// Checks tokens.
    pub authenticator: Arc<Authenticator>,
    /// The limit of a user's changes.
    pub rate_limit: UserRateLimit,
    /// The limit of what an address reads.
    pub read_limit: ReadLimit,
    /// The limit of an address's tries to sign up or in.
    pub sign_in_limit: AddressRateLimit,
    /// The limit of the wrong codes that a user brings, and that come from an address.
    pub code_limit: CodeRateLimit,
    /// Who puts money in, and how much.
    pub payments: ChargeSettings,
    /// The limit of the wrong passwords that an account is tried with.
    pub account_limit: AccountRateLimit,
    /// The limit of the mails that an address gets.
    pub mail_limit: AccountRateLimit,
    /// Who is told to send them, where that is configured.
    pub mail_hook: Option<MailHook>,
    /// Checks what the platform's own payment service reports, where there is one.
    pub external: Option<Verifier>,
    /// How often a gateway's notices have it asked about one payment.
    pub notice_limit: Limiter<PaymentId>,
    /// The tickets to event streams that nobody has used yet.
    pub stream_tickets: StreamTickets,
    /// Hashes and checks passwords.
    pub passwords: Passwords,
    /// How long a token of the built-in sign-in is valid.
    pub session_seconds: u64,
    /// The bounds of one request.
    pub limits: RequestLimits,
    /// Opens and makes the seals of hops between nodes, where the log is a cluster's.
    pub hop_key: Option<HopKey>,
    /// Whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<AddressRange>,
    /// Whether it was said that a proxy isn't trusted.
    stranger_told: Once,
    /// The origins whose pages may call.
    pub cors_origins: Vec<String>,
    /// Whether this server has pages.
    pub has_pages: bool,
    /// The only clock.
    pub clock: Arc<dyn Clock>,
    /// Ends the streams of events when the server stops.
    pub shutdown: CancellationToken,
}

/// Who may charge a balance, and with how much.
#[derive(Debug, Clone, Copy)]
pub struct ChargeSettings {
    /// Whether users charge their own balance.
    pub self_charge: bool,
    /// The least at once.
    pub charge_min: Money,
    /// The most at once.
    pub charge_max: Money,
    /// The currency of a new account.
    pub currency: Currency,
}

impl From<&PaymentsConfig> for ChargeSettings {
    fn from(config: &PaymentsConfig) -> Self {
        let money = |minor| Money::new(minor).unwrap_or(Money::MAX);
        Self {
            self_charge: config.self_charge,
            charge_min: money(config.charge_min),
            charge_max: money(config.charge_max),
            currency: config.currency,
        }
    }
}

impl core::ops::Deref for HttpParts {
    type Target = HttpPartsInner;

    fn deref(&self) -> &HttpPartsInner {
        &self.0
    }
}

impl AsRef<Self> for HttpParts {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl core::fmt::Debug for HttpParts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("HttpParts").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl HttpParts {
    /// Makes the parts of a configuration and reads the key file.
    ///
    /// # Errors
    /// When the key file or the mail hook can't be used.
    pub fn new(
        config: &Config,
        clock: Arc<dyn Clock>,
        shutdown: CancellationToken,
    ) -> Result<Self, SetupError> {
        let sign_ins = config.limits.sign_ins_per_minute;
        let limits = RequestLimits::from(&config.limits);
        let request_timeout = limits.request_timeout;
        Ok(Self(Arc::new(HttpPartsInner {
            authenticator: Arc::new(Authenticator::new(&config.auth)?),
            rate_limit: UserRateLimit::new(config.limits.rate_limit),
            read_limit: ReadLimit::new(config.limits.reads_per_second),
            payments: ChargeSettings::from(&config.payments),
            sign_in_limit: AddressRateLimit::new(sign_ins, MINUTE_SECONDS),
            account_limit: AccountRateLimit::new(),
            code_limit: CodeRateLimit::new(),
            mail_limit: AccountRateLimit::of(MAILS_AN_HOUR, HOUR_SECONDS),
            mail_hook: MailHook::of(&config.mail, request_timeout)?,
            external: Verifier::of(&config.payments),
            notice_limit: Limiter::new(NOTICES_PER_SECOND, NonZeroU32::MIN, NOTICES_AT_ONCE),
            stream_tickets: StreamTickets::default(),
            passwords: Passwords::default(),
            session_seconds: config.auth.session_seconds,
            limits,
            hop_key: HopKey::of(&config.cluster),
            trusted_proxies: config.server.trusted_proxies.clone(),
            stranger_told: Once::new(),
            cors_origins: config.server.cors_origins.clone(),
            has_pages: config.server.pages,
            clock,
            shutdown,
        })))
    }

    /// Returns the address that a request of `peer` came from, through trusted proxies, as a limit counts it.
    ///
    /// A proxy that nobody said is trusted makes all its clients one, and they would share one client's limits: that is said
    /// aloud, once.
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> AddressKey {
        let is_stranger = || !self.trusted_proxies.iter().any(|range| range.contains(peer));
        if headers.contains_key(rate_limit::X_FORWARDED_FOR) && is_stranger() {
            self.stranger_told.call_once(|| {
                tracing::warn!(
                    from = %peer,
                    "X-Forwarded-For came from an address that isn't in trusted_proxies, and doesn't count: if this is your \
                     proxy, all its clients share the limits of one address; set trusted_proxies"
                );
            });
        }
        AddressKey::new(rate_limit::client_address(peer, headers, &self.trusted_proxies))
    }
}

/// The client's address, behind trusted proxies, as rate limits count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub AddressKey);

impl<S: AsRef<HttpParts> + Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = core::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get().map_or(rate_limit::UNKNOWN_PEER, RequestContext::peer);
        Ok(Self(state.as_ref().client_address(peer, &parts.headers)))
    }
}
