//! A payment gateway to try and test with: it speaks Toss Payments' protocol, moves no money, and fails on demand.
//!
//! ```text
//! customer ─▶ /checkout ─▶ payment key ─▶ shop ─▶ /v1/payments/confirm, /cancel, /{key}, /orders/{id}
//! tests    ─▶ /mock/faults (what shall go wrong)     /mock/ledger (what is true)     notices ─▶ the shop's webhook
//! ```
//!
//! It shares no code with the client except the types of names, so that the two can disagree. It is a library module,
//! which tests run in their process ([`MockGateway::start`]), and a command, `onsale mock-gateway`.
//!
//! # The protocol
//!
//! `POST /v1/payments/confirm`, `GET /v1/payments/{paymentKey}`, `GET /v1/payments/orders/{orderId}`, `POST /v1/payments/{paymentKey}/cancel`, with Basic
//! authentication, payments and errors shaped as Toss shapes them. An `Idempotency-Key` belongs to a path: its first answer is played again, errors
//! included, whatever the body says; while the first request runs it is 409. A gateway goes on when its client hangs up, and so does this one.
//!
//! # The checkout
//!
//! `GET /checkout?orderId=&amount=&orderName=&successUrl=&failUrl=&fault=` is a page where a person pays or declines; its form can be sent once.
//! `POST /checkout` with a JSON object `{"orderId", "amount", "orderName"?, "fault"?}` is the same for programs: `{"paymentKey", "orderId", "amount"}`.
//!
//! # Faults and the truth
//!
//! `POST /mock/faults` takes `{"fault": "drop-after", "orderId"?: "…", "times"?: 1}` (without an order: for all; without times: until cleared),
//! `GET` shows what is set, `DELETE` clears it. [`Fault`] lists what there is. `GET /mock/ledger` (`?orderId=` for one) tells of every order what was
//! captured, what was given back, how often a capture was asked for and how often money was taken (once at most), and the totals.
//!
//! # Web pages
//!
//! Somebody's browser may reach it. So a change must come as `application/json`, which a page of another site can't
//! send, or in one of its own forms. If it listens on the loopback, it may only be called by names of the loopback.
//!
//! Invariants: of an order at most one payment is captured; memory is bounded ([`ORDERS_MAX`], keys, faults, notices, connections, bodies of 64 KiB); the same seed
//! and requests give the same keys and faults.
//!
//! Absent on purpose: virtual accounts and other methods, currencies but won, signatures of notices (Toss doesn't sign these), anything on disk.

mod book;
mod checkout;
mod codes;
mod control;
mod document;
mod faults;
mod forms;
mod keys;
mod notices;
mod page;
mod protocol;
mod random;
mod server;
#[cfg(test)]
mod tests;

use core::net::Ipv4Addr;
use core::time::Duration;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::book::Book;
use self::faults::Faults;
pub use self::faults::{DELAY_MILLIS_MAX, FAULTS_MAX, Fault, InvalidFault};
use self::forms::Forms;
use self::keys::{KEYS_MAX, Keys};
use self::notices::Notices;
pub use self::notices::NoticesError;
use self::random::Random;
use crate::clock::{Clock, SystemClock};
use crate::domain::time::Timestamp;

/// The default secret. It protects nothing.
pub const DEMO_SECRET: &str = "test_sk_onsale_mock_gateway";
/// The most orders that are kept.
pub const ORDERS_MAX: usize = 100_000;
/// How long a payment can be captured after the customer agreed: as long as at Toss.
pub const SESSION: Duration = Duration::from_mins(10);
/// The largest body.
const BODY_BYTES_MAX: usize = 64 << 10;
/// The most calls at a time, those whose client has left included.
const CALLS_MAX: usize = 4096;

/// The configuration of a mock gateway.
#[derive(Debug, Clone)]
pub struct MockConfig {
    /// The secret that callers must send.
    pub secret: String,
    /// The URL to which notices are sent; none are sent if absent.
    pub webhook_url: Option<String>,
    /// How long the first retry of a notice waits; each later one four times as long, at most ten seconds.
    pub webhook_retry: Duration,
    /// The seed of payment keys and of faults with a percentage.
    pub seed: u64,
    /// How long a payment can be captured after the customer agreed.
    pub session: Duration,
    /// The most orders that are kept.
    pub orders_max: usize,
    /// The faults of every order from the beginning.
    pub faults: Vec<Fault>,
}

impl Default for MockConfig {
    fn default() -> Self {
        Self {
            secret: DEMO_SECRET.to_owned(),
            webhook_url: None,
            webhook_retry: Duration::from_millis(200),
            seed: 1,
            session: SESSION,
            orders_max: ORDERS_MAX,
            faults: Vec::new(),
        }
    }
}

/// A mock gateway that can't be made.
#[derive(Debug, thiserror::Error)]
pub enum MockError {
    /// Notices can't be sent.
    #[error(transparent)]
    Notices(#[from] NoticesError),
    /// It can't listen on a port.
    #[error("no port can be listened on: {0}")]
    Listen(#[from] io::Error),
}

/// The gateway. A clone is the same one.
#[derive(Clone)]
pub struct MockGateway(Arc<Inner>);

struct Inner {
    /// The `Authorization` header of a caller who knows the secret.
    authorization: String,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    notices: Notices,
    calls: Arc<Semaphore>,
}

/// The state under one lock, which is never held over an await.
struct State {
    book: Book,
    faults: Faults,
    keys: Keys,
    random: Random,
    forms: Forms,
}

impl MockGateway {
    /// Makes a gateway; call it inside a tokio runtime, since it begins to send notices.
    ///
    /// # Errors
    /// If notices can't be sent to their URL.
    pub fn new(config: MockConfig, clock: Arc<dyn Clock>) -> Result<Self, MockError> {
        let session_millis = u64::try_from(config.session.as_millis()).unwrap_or(u64::MAX);
        let mut faults = Faults::default();
        for fault in config.faults {
            faults.set(fault, None, None);
        }
        let notices = Notices::new(config.webhook_url.as_deref(), config.webhook_retry)?;
        Ok(Self(Arc::new(Inner {
            authorization: protocol::authorization(&config.secret),
            clock,
            state: Mutex::new(State {
                book: Book::new(config.orders_max, session_millis),
                faults,
                keys: Keys::new(KEYS_MAX),
                random: Random::seeded(config.seed),
                forms: Forms::default(),
            }),
            notices,
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
        })))
    }

    /// Returns all routes.
    pub fn router(&self) -> Router {
        Router::new()
            .merge(protocol::routes())
            .merge(checkout::routes())
            .merge(control::routes())
            .fallback(protocol::no_such_route)
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(self.clone())
    }

    /// Serves until `shutdown`, then answers what is under way.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        server::serve(listener, self.router(), shutdown).await;
    }

    /// Starts a gateway for a test: on a free port of loopback, with the system's clock.
    ///
    /// # Errors
    /// As [`MockGateway::new`], or when there is no port.
    pub async fn start(config: MockConfig) -> Result<RunningGateway, MockError> {
        Self::start_with(config, Arc::new(SystemClock::new())).await
    }

    /// Starts a gateway for a test with a clock of its own.
    ///
    /// # Errors
    /// As [`MockGateway::start`].
    pub async fn start_with(config: MockConfig, clock: Arc<dyn Clock>) -> Result<RunningGateway, MockError> {
        let gateway = Self::new(config, clock)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(gateway.serve(listener, shutdown.clone()));
        Ok(RunningGateway { url, shutdown, task })
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A handler that panicked left at worst a half-counted order of a mock.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A gateway that runs in this process. It ends when it is dropped.
#[derive(Debug)]
pub struct RunningGateway {
    url: String,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl RunningGateway {
    /// Returns its URL, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it, and waits until its port is free.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        // A server that panicked has ended, too.
        let _ = (&mut self.task).await;
    }
}

impl Drop for RunningGateway {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
