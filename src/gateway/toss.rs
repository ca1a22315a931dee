//! Toss Payments: its core API of version 2022-11-16 over HTTPS, in won.
//!
//! # How its answers are read
//!
//! By code first, since the status says little: a declined card is 403, a passing failure of the card company is 400.
//!
//! | what came | confirm | cancel |
//! | --- | --- | --- |
//! | 200 that names what was asked, `DONE` (confirm), `CANCELED` or `PARTIAL_CANCELED` with the amount (cancel) | `Captured` | `Cancelled` |
//! | 200 `ABORTED`, `EXPIRED`; a cancellation that is `ABORTED` | `Declined` | `Refused` |
//! | 200 `READY`, `IN_PROGRESS`, `WAITING_FOR_DEPOSIT`; a cancellation that is `IN_PROGRESS` | `Unknown(UnderWay)` | `Unknown(UnderWay)` |
//! | 200 of another key, order, amount or currency; unreadable, or over 64 KiB; a 4xx whose code isn't in this table | `Unknown(NotUnderstood)` | the same |
//! | no connection: refused, no such name, TLS, 3 s over | `Unknown(NotSent)` | the same |
//! | 10 s over (a setting); connection broken, answer cut off | `Unknown(TimedOut)`, `Unknown(Broken)` | the same |
//! | 5xx, 408, 429; `PROVIDER_ERROR`, `CARD_PROCESSING_ERROR`, `COMMON_ERROR`, `UNKNOWN_…`, `FAILED_…` | `Unknown(Failed)` | the same, and `NOT_AVAILABLE_BANK`, `EXCEED_MAX_REFUND_AMOUNT` (a day's or month's limit) |
//! | 409; `IDEMPOTENT_REQUEST_PROCESSING`, `ALREADY_PROCESSING_REQUEST`, `DUPLICATED_REQUEST` | `Unknown(UnderWay)` | the same, and `FORBIDDEN_CONSECUTIVE_REQUEST`, `ALREADY_REFUNDING_PAYMENT` |
//! | `ALREADY_PROCESSED_PAYMENT`, `ALREADY_COMPLETED_PAYMENT`, `ALREADY_CANCELED_PAYMENT`, `ALREADY_REFUND_PAYMENT`, `DUPLICATED_ORDER_ID` | looks at the payment: `Captured`, `Declined`, or `Unknown(AlreadyProcessed)` | looks at the payment: `Cancelled`; `Refused` only where it still has the money after `NOT_CANCELABLE_…` |
//! | `NOT_CANCELABLE_AMOUNT`, `NOT_CANCELABLE_PAYMENT`, `NOT_MATCHES_REFUNDABLE_AMOUNT` | (not said) | looks at the payment, as above; `Differs` where a part of it is back, or more than was asked for |
//! | 401; 3xx; 403, 404, 405 without a code; `UNAUTHORIZED_KEY`, `INVALID_API_KEY`, `INVALID_CLIENT_KEY`, `INCORRECT_BASIC_AUTH_FORMAT`, `INSECURE_KEY_USAGE`, `API_VERSION_UPDATE_NEEDED`, `NOT_FOUND_MERCHANT…`, `NOT_FOUND_HTTP_METHOD` | `Unknown(Misconfigured)`, and an error in the log | the same |
//! | `FORBIDDEN_REQUEST` (the order or the secret isn't the checkout's) | `Declined`, and a warning in the log | `Unknown(Misconfigured)` |
//! | 400, 402, 403, 404, 422 with `REJECT_…`, `INVALID_…`, `EXCEED…`, `BELOW_…`, `NOT_ALLOWED_…`, `NOT_AVAILABLE_…`, `NOT_SUPPORTED_…`, `NOT_REGISTERED_…`, `NOT_FOUND_…`, `NOT_ENOUGH_…`, `RESTRICTED_…`, `REQUIRED_…`, `UNAPPROVED_…`, `FDS_ERROR`, `MAINTAINED_METHOD`, `PAY_PROCESS_…`, `USER_ACCOUNT_ON_HOLD` | `Declined` | the first six, `NOT_SUPPORTED_…`, `NOT_FOUND_…`, `NOT_MATCHES_…`, `REFUND_REJECTED`, `FORBIDDEN_BANK_REFUND_REQUEST`: `Refused` |
//!
//! | find | |
//! | --- | --- |
//! | `DONE`, `PARTIAL_CANCELED`, `CANCELED` | `Captured`, with what went back |
//! | `CANCELED` that was never approved, `ABORTED`; the payment key is another order's | `NotCaptured(Declined)` |
//! | `EXPIRED` | `NotCaptured(Expired)` |
//! | `READY`, `IN_PROGRESS`, `WAITING_FOR_DEPOSIT` | `NotCaptured(Open)` |
//! | 404 `NOT_FOUND…`, `INVALID_PAYMENT_KEY`, `INVALID_ORDER_ID` | `NoSuchOrder` |
//! | everything else | `Unknown`, as above |
//!
//! Invariants: a call makes one request (two if it also looks at the payment) and never repeats it on the wire; no
//! redirect is followed; no answer takes more than [`BODY_BYTES_MAX`] of memory.
//!
//! Absent on purpose: virtual accounts (a deposit takes days: leave them out of the checkout's methods), currencies other than won, proxies
//! from the environment.

mod answer;
#[cfg(test)]
mod tests;

use core::fmt::Write;
use core::time::Duration;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use self::answer::Reply;
use super::{
    Answer, Cancel, CancelOutcome, Capture, CaptureOutcome, Codes, Find, Found, Gateway,
    IDEMPOTENCY_KEY_LEN_MAX, NotCaptured, ORDER_ID_LEN, OrderId, PAYMENT_KEY_LEN_MAX, PaymentKey, Said,
    Terms, Why,
};
use crate::clock::Stopwatch;
use crate::config::{PaymentsConfig, Secret};
use crate::domain::money::{Currency, Money};
use crate::domain::payments::Method;
use crate::domain::time::{Seconds, Timestamp};
use crate::outbound::{self, OutboundError};

/// The largest answer that is read.
pub const BODY_BYTES_MAX: usize = 64 << 10;
/// How long a connection may take to open.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a whole call may take by default: a capture by a card company takes seconds, and one with a late answer is
/// found by asking.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// The terms of Toss Payments. A session of its checkout ends after 30 minutes; twice that is certain.
pub const TERMS: Terms = Terms {
    name: "toss",
    methods: &[Method::Card, Method::KakaoPay, Method::NaverPay, Method::Toss],
    checkout_life: Seconds::new(3_600),
    codes: Codes {
        given_back: "CANCELED",
        expired: "EXPIRED",
        no_such_payment: "NOT_FOUND_PAYMENT",
        invalid_key: "INVALID_PAYMENT_KEY",
    },
};

// Toss's limits: it accepts every name that the engine's types allow.
const _: () = assert!(PAYMENT_KEY_LEN_MAX <= 200, "a payment key has at most 200 characters there");
const _: () = assert!(*ORDER_ID_LEN.start() >= 6 && *ORDER_ID_LEN.end() <= 64, "an order id has 6 to 64");
const _: () = assert!(IDEMPOTENCY_KEY_LEN_MAX <= 300, "an idempotency key has at most 300");

/// The longest reason of a cancellation, in characters (Toss's own limit).
const CANCEL_REASON_LEN_MAX: usize = 200;

/// The gateway's URL, and the engine's secret there.
#[derive(Debug, Clone)]
pub struct TossConfig {
    /// `https://api.tosspayments.com`, or the URL of the mock gateway.
    pub url: String,
    /// The secret key.
    pub secret: Secret,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long a whole call may take, from the connection to the answer's last byte.
    pub timeout: Duration,
}

impl TossConfig {
    /// Makes a configuration with the usual timeouts.
    pub fn new(url: impl Into<String>, secret: Secret) -> Self {
        Self { url: url.into(), secret, connect_timeout: CONNECT_TIMEOUT, timeout: TIMEOUT }
    }
}

/// How many movements of money one request lists.
const PAGE: usize = 100;
/// The most movements that are listed.
pub const MOVEMENTS_MAX: usize = 1_000_000;

/// The orders whose money moved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Orders {
    /// The engine's orders, each with its movements.
    pub ours: BTreeMap<OrderId, OrderMovements>,
    /// How many movements are of orders that can't be the engine's.
    pub others: u64,
}

/// The movements of an order's money.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderMovements {
    /// The keys of its checkouts; an order usually has one.
    pub payment_keys: Vec<PaymentKey>,
    /// Whether any money was refunded.
    pub went_back: bool,
}

impl Orders {
    /// Adds a page. Returns the name of its last movement, behind which the next page begins.
    fn add(&mut self, page: &[answer::Movement]) -> Option<String> {
        for movement in page {
            let names = (OrderId::parse(&movement.order_id), PaymentKey::parse(&movement.payment_key));
            let (Ok(order_id), Ok(payment_key)) = names else {
                self.others += 1;
                continue;
            };
            let moved = self.ours.entry(order_id).or_default();
            moved.went_back |= movement.went_back();
            if !moved.payment_keys.contains(&payment_key) {
                moved.payment_keys.push(payment_key);
            }
        }
        page.last().map(|movement| movement.transaction_key.clone())
    }
}

/// Why the orders can't be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrdersError {
    /// The gateway doesn't answer.
    #[error(
        "the gateway doesn't list its orders ({}), so that nothing was compared: see whether toss.url and toss.secret are right and \
         the gateway answers, and run it again",
        .0.as_str()
    )]
    NotTold(Why),
    /// The gateway has more movements than can be listed.
    #[error("the gateway has more than a million movements of that time: ask for less of it")]
    TooMany,
}

/// A client that can't be made.
#[derive(Debug, thiserror::Error)]
pub enum TossError {
    /// The URL can't be used.
    #[error("toss.url must be an http or https URL without user, query and fragment")]
    Url,
    /// The secret can't be sent in a header.
    #[error("toss.secret has characters that can't be sent")]
    Secret,
    /// Only one of the two settings is set.
    #[error("{set} is set, and {unset} isn't: set both, or none")]
    Half {
        /// The setting that is set.
        set: &'static str,
        /// The setting that is missing.
        unset: &'static str,
    },
    /// TLS can't be set up, usually on a system without root certificates.
    #[error("the gateway's client can't be made: {0}")]
    Client(String),
}

/// The client. It is made once, and its calls share connections.
pub struct Toss {
    client: Client,
    /// Only for captures, so that they share no connection with calls that hang.
    captures: Client,
    /// Without a slash at the end.
    base: String,
    authorization: HeaderValue,
}

impl core::fmt::Debug for Toss {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Toss").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Toss {
    /// Makes the client, if the settings name the gateway.
    ///
    /// # Errors
    /// When they name half of it, and as [`Toss::new`].
    pub fn from_settings(settings: &PaymentsConfig) -> Result<Option<Self>, TossError> {
        let (url, secret) = match (&settings.toss_url, &settings.toss_secret) {
            (None, None) => return Ok(None),
            (Some(url), Some(secret)) => (url, secret),
            (None, Some(_)) => return Err(TossError::Half { set: "toss.secret", unset: "toss.url" }),
            (Some(_), None) => return Err(TossError::Half { set: "toss.url", unset: "toss.secret" }),
        };
        let timeout = Duration::from_secs(settings.toss_timeout_seconds);
        Self::new(&TossConfig { timeout, ..TossConfig::new(url.as_str(), secret.clone()) }).map(Some)
    }

    /// Makes the client. It sends nothing.
    ///
    /// # Errors
    /// When the URL or the secret can't be used, or TLS can't be set up.
    pub fn new(config: &TossConfig) -> Result<Self, TossError> {
        let made = || {
            let made = outbound::client("toss.url", &config.url, config.connect_timeout, config.timeout);
            made.map_err(|error| match error {
                OutboundError::Url => TossError::Url,
                OutboundError::Client(reason) => TossError::Client(reason),
            })
        };
        let (client, base) = made()?;
        // Captures have connections of their own.
        let (captures, _) = made()?;
        let credentials = STANDARD.encode(format!("{}:", config.secret.expose()));
        let mut authorization =
            HeaderValue::from_str(&format!("Basic {credentials}")).map_err(|_| TossError::Secret)?;
        authorization.set_sensitive(true);
        Ok(Self { client, captures, base, authorization })
    }

    /// Lists the orders whose money moved in a time, each with the keys of its checkouts, for a comparison with the
    /// journal. Orders whose ids aren't of the engine's form are only counted.
    ///
    /// # Errors
    /// When the gateway doesn't tell, or has more to tell than [`MOVEMENTS_MAX`].
    pub async fn orders(&self, from: Timestamp, to: Timestamp) -> Result<Orders, OrdersError> {
        let mut orders = Orders::default();
        let mut after: Option<String> = None;
        for _ in 0..MOVEMENTS_MAX / PAGE {
            let mut path = format!(
                "/v1/transactions?startDate={}&endDate={}&limit={PAGE}",
                answer::local_time(from),
                answer::local_time(to)
            );
            if let Some(after) = &after {
                let _ = write!(path, "&startingAfter={after}");
            }
            let reply = self.send("list", self.get(&path)).await.map_err(OrdersError::NotTold)?;
            let page = answer::movements(&reply).ok_or(OrdersError::NotTold(Why::NotUnderstood))?;
            after = orders.add(&page);
            if page.len() < PAGE {
                return Ok(orders);
            }
        }
        Err(OrdersError::TooMany)
    }

    async fn capture(&self, capture: Capture) -> CaptureOutcome {
        if !self.takes(capture.currency) {
            return answer::declined("UNSUPPORTED_CURRENCY", "The gateway takes won only.");
        }
        let body = json!({
            "paymentKey": capture.payment_key.as_str(),
            "orderId": capture.order_id.as_str(),
            "amount": capture.amount.minor(),
        });
        let request =
            self.post(&self.captures, "/v1/payments/confirm", capture.idempotency_key.as_str(), &body);
        let reply = match self.send("confirm", request).await {
            Ok(reply) => reply,
            Err(why) => return CaptureOutcome::Unknown { why },
        };
        match answer::capture(&reply, &capture) {
            answer::OrLook::Answered(outcome) => outcome,
            answer::OrLook::Look { .. } => self.look_at_capture(capture).await,
        }
    }

    /// Asks for the state of a payment that the gateway says it has dealt with before.
    async fn look_at_capture(&self, capture: Capture) -> CaptureOutcome {
        let Capture { payment_key, order_id, amount: asked, .. } = capture;
        match self.look(Find { order_id, payment_key: Some(payment_key) }).await {
            Found::Captured { payment_key, amount, cancelled_amount: Money::ZERO, approved_at }
                if amount == asked =>
            {
                CaptureOutcome::Captured { payment_key, transaction: None, approved_at }
            }
            Found::NotCaptured(NotCaptured::Declined { code, reason }) => {
                CaptureOutcome::Declined { code, reason }
            }
            Found::NotCaptured(NotCaptured::Expired) => answer::expired(),
            Found::Captured { .. }
            | Found::NotCaptured(NotCaptured::Open)
            | Found::NoSuchOrder
            | Found::Unknown { .. } => CaptureOutcome::Unknown { why: Why::AlreadyProcessed },
        }
    }

    /// Asks for the payment by its key, which names exactly one checkout, and if that has no answer by its order.
    async fn look(&self, find: Find) -> Found {
        let by_order = format!("/v1/payments/orders/{}", find.order_id);
        let Some(key) = &find.payment_key else { return self.ask(&by_order, &find).await };
        let found = self.ask(&format!("/v1/payments/{}", key.as_str()), &find).await;
        let tells = !matches!(
            found,
            Found::NoSuchOrder | Found::Unknown { why: Why::Misconfigured | Why::NotUnderstood }
        );
        if tells {
            return found;
        }
        match self.ask(&by_order, &find).await {
            told @ (Found::Captured { .. } | Found::NotCaptured(_)) => told,
            Found::NoSuchOrder | Found::Unknown { .. } => found,
        }
    }

    async fn ask(&self, path: &str, find: &Find) -> Found {
        match self.send("find", self.get(path)).await {
            Ok(reply) => answer::find(&reply, find),
            Err(why) => Found::Unknown { why },
        }
    }

    async fn give_back(&self, cancel: Cancel) -> CancelOutcome {
        let reason: String = cancel.reason.chars().take(CANCEL_REASON_LEN_MAX).collect();
        let path = format!("/v1/payments/{}/cancel", cancel.payment_key.as_str());
        let left = |of: Money| of.minor().saturating_sub(cancel.back.minor());
        let mut body = json!({"cancelReason": reason, "cancelAmount": left(cancel.amount)});
        // A part could go back twice: so the gateway is told how much it must still have.
        if cancel.amount < cancel.captured || cancel.back > Money::ZERO {
            body["refundableAmount"] = left(cancel.captured).into();
        }
        let request = self.post(&self.client, &path, cancel.idempotency_key.as_str(), &body);
        let reply = match self.send("cancel", request).await {
            Ok(reply) => reply,
            Err(why) => return CancelOutcome::Unknown { why },
        };
        match answer::cancel(&reply, &cancel) {
            answer::OrLook::Answered(outcome) => outcome,
            answer::OrLook::Look { code, reason } => {
                let request = self.get(&format!("/v1/payments/{}", cancel.payment_key.as_str()));
                let looked = self.send("find", request).await;
                answer::cancelled_before(looked.ok().as_ref(), &cancel, code, reason)
            }
        }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base)).header(AUTHORIZATION, self.authorization.clone())
    }

    fn post(&self, client: &Client, path: &str, idempotency_key: &str, body: &Value) -> RequestBuilder {
        client
            .post(format!("{}{path}", self.base))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", idempotency_key)
            .body(body.to_string())
    }

    async fn send(&self, call: &'static str, request: RequestBuilder) -> Result<Reply, Why> {
        let failed = |error: reqwest::Error| {
            let why = why(&error);
            // The URL has the payment key, so it isn't logged.
            let error = outbound::chain(&error.without_url());
            tracing::warn!(call, why = why.as_str(), error, "the payment gateway gave no answer");
            why
        };
        let response = request.send().await.map_err(failed)?;
        read(response).await.map_err(|unread| match unread {
            Unread::Error(error) => failed(error),
            Unread::TooLarge => {
                tracing::warn!(call, "the payment gateway's answer is too large to be one");
                Why::NotUnderstood
            }
        })
    }

    /// Waits for an outcome and measures it.
    async fn timed<T>(
        call: &'static str,
        label: fn(&T) -> &'static str,
        answer: impl Future<Output = T>,
    ) -> T {
        let watch = Stopwatch::start();
        let outcome = answer.await;
        let seconds = watch.elapsed().as_secs_f64();
        metrics::histogram!("onsale_gateway_seconds", "gateway" => TERMS.name, "call" => call, "outcome" => label(&outcome))
            .record(seconds);
        outcome
    }
}

impl Gateway for Toss {
    fn terms(&self) -> &'static Terms {
        &TERMS
    }

    fn takes(&self, currency: Currency) -> bool {
        currency.as_str() == answer::CURRENCY
    }

    fn confirm(&self, capture: Capture) -> Answer<'_, CaptureOutcome> {
        Box::pin(Self::timed("confirm", CaptureOutcome::as_str, self.capture(capture)))
    }

    fn find(&self, find: Find) -> Answer<'_, Found> {
        Box::pin(Self::timed("find", Found::as_str, self.look(find)))
    }

    fn cancel(&self, cancel: Cancel) -> Answer<'_, CancelOutcome> {
        Box::pin(Self::timed("cancel", CancelOutcome::as_str, self.give_back(cancel)))
    }

    fn read_notice(&self, body: &[u8]) -> Option<OrderId> {
        answer::notice(body)
    }
}

/// Why an answer wasn't read to its end.
enum Unread {
    Error(reqwest::Error),
    TooLarge,
}

async fn read(mut response: Response) -> Result<Reply, Unread> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(Unread::Error)? {
        if body.len() + piece.len() > BODY_BYTES_MAX {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Reply { status, body })
}

/// Reads from an error whether anything was sent. A request's head goes out only on a connection that stands.
fn why(error: &reqwest::Error) -> Why {
    if error.is_connect() || error.is_builder() {
        Why::NotSent
    } else if error.is_timeout() {
        Why::TimedOut
    } else {
        Why::Broken
    }
}
