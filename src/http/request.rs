//! The layer around every request: an id, a deadline, limits of its headers and of its address's reads, a catch for
//! panics, security headers, metrics, a log line.
//!
//! It is one hand-written layer rather than five, since they would share the same state of a request: its id, its phase
//! and its beginning. A request that is answered at once has no timer: the deadline is set when the first poll has no
//! answer. An event stream has no deadline once its headers are sent.
//!
//! Absent on purpose: the caller, and raw paths or values in metrics and logs. A route appears as its template, and of
//! the client's text only the checked request id appears.

mod metrics;

use core::convert::Infallible;
use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::task::{Context, Poll, ready};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, header};
use axum::response::IntoResponse;
use tokio::time::{Instant, Sleep};
use tower::{Layer, Service};
use tracing::Span;

use self::metrics::{RequestMetrics, method_label};
use super::HttpParts;
use super::auth::changes;
use super::limits::LARGE_TIMEOUT_FACTOR;
use super::problem::{Code, Problem};

/// The header of the request's id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken from a client, in characters.
const REQUEST_ID_LEN_MAX: usize = 128;

/// How far a request is, which decides the answer at its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its body is on its way.
    Body,
    /// Its body, an import or a venue, is on its way.
    LargeBody,
    /// The route works on it.
    Handling,
    /// The route works on an import or a venue.
    LargeHandling,
}

/// The state of a request that the layer and the extractors share.
#[derive(Debug, Clone)]
pub struct RequestContext(Arc<ContextState>);

#[derive(Debug)]
struct ContextState {
    id: HeaderValue,
    reading: AtomicBool,
    large: AtomicBool,
}

impl RequestContext {
    fn new(id: HeaderValue) -> Self {
        let (reading, large) = (AtomicBool::new(false), AtomicBool::new(false));
        Self(Arc::new(ContextState { id, reading, large }))
    }

    /// Says how far the request is.
    pub fn enter(&self, phase: Phase) {
        let (reading, large) = match phase {
            Phase::Body => (true, false),
            Phase::LargeBody => (true, true),
            Phase::Handling => (false, false),
            Phase::LargeHandling => (false, true),
        };
        self.0.reading.store(reading, Ordering::Relaxed);
        self.0.large.store(large, Ordering::Relaxed);
    }

    /// Returns the request's id: 1–128 visible ASCII characters.
    pub fn id(&self) -> &str {
        self.0.id.to_str().unwrap_or_default()
    }
}

/// Extracts the request's id, for [`Problem::internal`] and the journal's feed.
impl<S: Send + Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts
            .extensions
            .get::<Self>()
            .cloned()
            .unwrap_or_else(|| Self::new(HeaderValue::from_static("none"))))
    }
}

/// Makes unique ids: `SplitMix64` from a random beginning, whose outputs only repeat after 2^64. They are names, not
/// secrets.
#[derive(Debug)]
pub(super) struct RequestIds(AtomicU64);

impl RequestIds {
    pub(super) fn new() -> Self {
        use core::hash::BuildHasher;
        use std::hash::RandomState;
        Self(AtomicU64::new(RandomState::new().hash_one(0)))
    }

    pub(super) fn next(&self) -> HeaderValue {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let mut text = [0; 16];
        for (index, byte) in z.to_be_bytes().into_iter().enumerate() {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            text[2 * index] = HEX[usize::from(byte >> 4)];
            text[2 * index + 1] = HEX[usize::from(byte & 15)];
        }
        HeaderValue::from_bytes(&text).expect("hexadecimal digits are a header's value")
    }

    /// Takes the client's id if it is one line of visible ASCII, else makes one.
    fn of(&self, request: &Request<Body>) -> HeaderValue {
        request
            .headers()
            .get(X_REQUEST_ID)
            .filter(|id| (1..=REQUEST_ID_LEN_MAX).contains(&id.len()))
            .filter(|id| id.as_bytes().iter().all(u8::is_ascii_graphic))
            .cloned()
            .unwrap_or_else(|| self.next())
    }
}

/// The layer. Make it once, after the metrics recorder is installed, and put it outermost.
#[derive(Clone)]
pub struct RequestLayer(Arc<LayerState>);

struct LayerState {
    ids: RequestIds,
    metrics: RequestMetrics,
    parts: HttpParts,
}

/// Marks a request that the server refuses before its route, with the problem to answer.
#[derive(Debug, Clone)]
pub(super) struct Unanswerable(pub(super) Problem);

/// The paths that aren't counted as reads: a probe must never be refused.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

impl LayerState {
    /// Says why a request doesn't come to its route, if it doesn't.
    fn refusal(&self, request: &mut Request<Body>) -> Option<Problem> {
        if let Some(Unanswerable(problem)) = request.extensions_mut().remove() {
            return Some(problem);
        }
        let limit = self.parts.limits.header_bytes_max;
        if header_bytes(request) > limit {
            return Some(Problem::headers_too_large(limit));
        }
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if reads && !PROBES.contains(&request.uri().path()) {
            let address = self.parts.client_address(request.extensions(), request.headers());
            return self.parts.read_limit.check(&address, 1, self.parts.clock.now()).err();
        }
        None
    }
}

impl core::fmt::Debug for RequestLayer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RequestLayer").field("parts", &self.0.parts).finish_non_exhaustive()
    }
}

impl RequestLayer {
    /// Makes the layer.
    pub fn new(parts: HttpParts) -> Self {
        Self(Arc::new(LayerState { ids: RequestIds::new(), metrics: RequestMetrics::new(), parts }))
    }
}

impl<S> Layer<S> for RequestLayer {
    type Service = RequestService<S>;

    fn layer(&self, inner: S) -> RequestService<S> {
        RequestService { inner, layer: self.0.clone() }
    }
}

/// The service that [`RequestLayer`] makes.
#[derive(Clone)]
pub struct RequestService<S> {
    inner: S,
    layer: Arc<LayerState>,
}

impl<S> core::fmt::Debug for RequestService<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("RequestService")
    }
}

impl<S> Service<Request<Body>> for RequestService<S>
where
    S: Service<Request<Body>, Error = Infallible>,
    S::Response: IntoResponse,
    S::Future: Unpin,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = RequestFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let started = Instant::now();
        let context = RequestContext::new(self.layer.ids.of(&request));
        let method = method_label(request.method());
        let changes = changes(request.method());
        let route = request.extensions().get::<MatchedPath>().cloned();

        // At `debug`, since a live span costs 2 µs, a seventh of the request: at `info` the line of
        // a failure says the same by itself.
        let span = tracing::debug_span!(
            "request",
            request_id = context.id(),
            method,
            route = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str)
        );
        let step = if let Some(problem) = self.layer.refusal(&mut request) {
            Step::Refuse(Some(problem))
        } else {
            request.extensions_mut().insert(context.clone());
            let inner = &mut self.inner;
            match std::panic::catch_unwind(AssertUnwindSafe(|| inner.call(request))) {
                Ok(future) => Step::Run(future),
                Err(_) => Step::Refuse(Some(Problem::internal(context.id()))),
            }
        };

        self.layer.metrics.in_flight.increment(1.0);
        RequestFuture {
            step,
            deadline: None,
            flight: Flight { layer: self.layer.clone(), context, method, changes, route, started },
            span,
        }
    }
}

const UNMATCHED: &str = "unmatched";

/// Estimates the bytes of the request line and headers.
fn header_bytes(request: &Request<Body>) -> usize {
    let uri = request.uri();
    let line = uri.path().len() + uri.query().map_or(0, str::len) + 16;
    let headers = request.headers().iter();
    line + headers.map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}

enum Step<F> {
    Run(F),
    Refuse(Option<Problem>),
}

/// A running request. When it is dropped, as when the client leaves, it is no longer counted as in flight.
struct Flight {
    layer: Arc<LayerState>,
    context: RequestContext,
    method: &'static str,
    changes: bool,
    route: Option<MatchedPath>,
    started: Instant,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.layer.metrics.in_flight.decrement(1.0);
    }
}

impl Flight {
    fn route(&self) -> &str {
        self.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str)
    }

    /// Says when the request's time is up, as far as is known by now.
    fn deadline(&self) -> Instant {
        let limit = self.layer.parts.limits.request_timeout;
        let large = self.context.0.large.load(Ordering::Relaxed);
        self.started + if large { limit * LARGE_TIMEOUT_FACTOR } else { limit }
    }

    fn timed_out(&self) -> Problem {
        if self.context.0.reading.load(Ordering::Relaxed) {
            Problem::new(Code::RequestTimeout, "The body didn't arrive in time.")
        } else if self.changes {
            Problem::new(
                Code::OutcomeUnknown,
                "The change may or may not have happened; repeat the request with the same Idempotency-Key to find out.",
            )
        } else {
            Problem::overloaded()
        }
    }

    /// Adds what every answer carries, and counts and logs the request.
    fn finish(&self, response: Response<Body>) -> Response<Body> {
        let mut response = dress(response);
        let status = response.status();
        let seconds = self.started.elapsed().as_secs_f64();
        response.headers_mut().insert(X_REQUEST_ID, self.context.0.id.clone());
        self.layer.metrics.record(self.route(), self.method, status, seconds);
        if status.is_server_error() {
            let code = response.extensions().get::<Code>().map_or("", |code| code.as_str());
            tracing::warn!(
                request_id = self.context.id(),
                method = self.method,
                route = self.route(),
                status = status.as_u16(),
                code,
                seconds,
                "request failed"
            );
        } else {
            tracing::debug!(status = status.as_u16(), seconds, "request answered");
        }
        response
    }
}

/// The policy of an answer that isn't a page: a browser may load nothing from it.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Adds security headers: a browser doesn't guess the type, loads nothing unless a page has its own policy, and caches
/// no error.
pub(crate) fn dress(mut response: Response<Body>) -> Response<Body> {
    let failed = response.status().is_client_error() || response.status().is_server_error();
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(POLICY);
    if failed {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// The future of [`RequestService`].
pub struct RequestFuture<F> {
    step: Step<F>,
    deadline: Option<Pin<Box<Sleep>>>,
    flight: Flight,
    span: Span,
}

impl<F> core::fmt::Debug for RequestFuture<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("RequestFuture")
    }
}

impl<F, R> Future for RequestFuture<F>
where
    F: Future<Output = Result<R, Infallible>> + Unpin,
    R: IntoResponse,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { step, deadline, flight, span } = self.get_mut();
        let _entered = span.enter();
        let response = ready!(poll_step(step, deadline, flight, cx));
        Poll::Ready(Ok(flight.finish(response)))
    }
}

fn poll_step<F, R>(
    step: &mut Step<F>,
    deadline: &mut Option<Pin<Box<Sleep>>>,
    flight: &Flight,
    cx: &mut Context<'_>,
) -> Poll<Response<Body>>
where
    F: Future<Output = Result<R, Infallible>> + Unpin,
    R: IntoResponse,
{
    let inner = match step {
        Step::Run(inner) => inner,
        Step::Refuse(problem) => {
            let problem = problem.take().expect("a future isn't polled after its end");
            return Poll::Ready(problem.into_response());
        }
    };

    // After a panic the handler's future is never touched again: only the answer goes on.
    match std::panic::catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll(cx))) {
        Ok(Poll::Ready(Ok(response))) => return Poll::Ready(response.into_response()),
        Ok(Poll::Pending) => {}
        Err(_) => {
            tracing::error!(request_id = flight.context.id(), "a handler panicked");
            *step = Step::Refuse(None);
            return Poll::Ready(Problem::internal(flight.context.id()).into_response());
        }
    }

    let sleep = deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(flight.deadline())));
    loop {
        ready!(sleep.as_mut().poll(cx));
        // A large body was announced after the timer was set: its time is longer.
        let moved = flight.deadline();
        if moved <= sleep.deadline() {
            break;
        }
        sleep.as_mut().reset(moved);
    }

    *step = Step::Refuse(None);
    Poll::Ready(flight.timed_out().into_response())
}

#[cfg(test)]
mod tests;
