//! What is around every request: an id, a deadline, limits of its headers and of its address's reads, a catch for
//! panics, security headers, metrics, a log line.
//!
//! It is one future around the route's, since these share the state of a request: its id, its phase
//! and its beginning. The future has no timer: whoever polls it looks again at its deadline (`Running::deadline`), as the
//! server does by each connection's one timer. An event stream has no deadline once its headers are sent.
//!
//! Absent on purpose: the caller, and raw paths or values in metrics and logs. A route appears as its template, and of
//! the client's text only the checked request id appears.

use core::convert::Infallible;
use core::future::Future;
use core::net::IpAddr;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, header};
use axum::response::IntoResponse;
use futures_util::FutureExt;
use tokio::time::Instant;
use tower::{Layer, Service};
use tower_http::cors::CorsLayer;
use tracing::Span;

use super::auth::changes;
use super::cluster::Gate;
use super::context::RequestContext;
use super::limits::LARGE_TIMEOUT_FACTOR;
use super::problem::{Code, Problem};
use super::rate_limit::UNKNOWN_PEER;
use super::shape::Fit;
use super::table::{Answering, Route, Routes, Table, method_label};
use super::{HttpParts, cors};

/// The header of the request's id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken from a client, in characters.
const REQUEST_ID_LEN_MAX: usize = 128;

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

/// All routes, with what every request has around it. A clone is a counter.
///
/// It is a service of tower, too, for whoever has a server of their own.
#[derive(Clone)]
pub struct Site(Arc<SiteState>);

struct SiteState {
    ids: RequestIds,
    in_flight: metrics::Gauge,
    parts: HttpParts,
    cors: Option<CorsLayer>,
    gate: Option<Gate>,
    table: Table,
}

/// What the server knows of a request beside the request.
pub(super) struct Arrival {
    /// The address at the other end of the connection.
    pub(super) peer: IpAddr,
    /// Why the request doesn't come to its route, if it doesn't.
    pub(super) fault: Option<Problem>,
}

/// The paths that aren't counted as reads: a probe must never be refused.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

impl SiteState {
    /// Says why a request doesn't come to its route, if it doesn't.
    fn refusal(&self, request: &Request<Body>, peer: IpAddr) -> Option<Problem> {
        let limit = self.parts.limits.header_bytes_max;
        if header_bytes(request) > limit {
            return Some(Problem::headers_too_large(limit));
        }
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if reads && !PROBES.contains(&request.uri().path()) {
            let address = self.parts.client_address(peer, request.headers());
            return self.parts.read_limit.check(&address, 1, self.parts.clock.now()).err();
        }
        None
    }

    /// Has a request answered by its route, if it is of the route's shape.
    fn answer(&self, route: &Arc<Route>, request: Request<Body>) -> Answering {
        let Some(shape) = route.shape(request.method()) else { return route.answer(request) };
        match shape.check(&request, &self.parts) {
            Fit::Fits => route.answer(request),
            Fit::Refused(problem) => Box::pin(core::future::ready(problem.into_response())),
            Fit::MustBeEmpty => {
                let (shape, route, parts) = (shape.clone(), Arc::clone(route), self.parts.clone());
                Box::pin(async move {
                    match shape.emptied(request, &parts).await {
                        Ok(request) => route.answer(request).await,
                        Err(problem) => problem.into_response(),
                    }
                })
            }
        }
    }
}

impl core::fmt::Debug for Site {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Site").field("parts", &self.0.parts).finish_non_exhaustive()
    }
}

impl HttpParts {
    /// Adds what every route has: the answers for unknown routes and methods, CORS, and what is around a request. Call
    /// it after the metrics recorder is there.
    pub fn dress<S: Clone + Send + Sync + 'static>(&self, routes: Routes<S>, state: &S) -> Site {
        self.dress_behind(None, routes, state)
    }

    /// The same, with a gate before the answers of a node of a cluster.
    pub(super) fn dress_behind<S: Clone + Send + Sync + 'static>(
        &self,
        gate: Option<Gate>,
        routes: Routes<S>,
        state: &S,
    ) -> Site {
        Site(Arc::new(SiteState {
            ids: RequestIds::new(),
            in_flight: metrics::gauge!("onsale_http_requests_in_flight"),
            parts: self.clone(),
            cors: cors::layer(&self.cors_origins),
            gate,
            table: routes.table(state),
        }))
    }
}

impl Site {
    /// Begins to answer a request.
    pub(super) fn begin(&self, mut request: Request<Body>, Arrival { peer, fault }: Arrival) -> Running {
        let site = &self.0;
        let started = Instant::now();
        // A node that stands by says whose request it hands on.
        let hop =
            site.parts.hop_key.as_ref().and_then(|key| key.take(&mut request, || site.parts.clock.now()));
        let peer = hop.map_or(peer, |hop| hop.client);
        let (route, parameter) = site.table.find(request.uri().path());
        let context = RequestContext::new(site.ids.of(&request), peer, parameter);
        let method = method_label(request.method());
        let flight = Flight {
            site: self.clone(),
            context: context.clone(),
            method,
            is_head: request.method() == Method::HEAD,
            changes: changes(request.method()),
            route: Arc::clone(&route),
            started,
            patience: hop.map(|hop| hop.patience),
        };

        // At `debug`, since a live span costs 2 µs, a seventh of the request: at `info` the line of
        // a failure says the same by itself.
        let span =
            tracing::debug_span!("request", request_id = context.id(), method, route = route.template());
        site.in_flight.increment(1.0);
        let is_handed_over = || site.gate.as_ref().and_then(|gate| gate.refusal(route.template()));
        let refused = fault.or_else(|| site.refusal(&request, peer)).or_else(is_handed_over);
        let step = if let Some(problem) = refused {
            Step::Refuse(Some(problem))
        } else {
            request.extensions_mut().insert(context);
            if let Some(hop) = hop {
                request.extensions_mut().insert(hop);
            }
            self.enter(route, request, &flight)
        };
        Running { step, flight, span }
    }

    /// Answers a request that came from an address.
    pub(super) async fn answer(&self, request: Request<Body>, peer: IpAddr) -> Response<Body> {
        let mut running = self.begin(request, Arrival { peer, fault: None });
        loop {
            let deadline = running.deadline();
            if let Ok(response) = tokio::time::timeout_at(deadline, &mut running).await {
                return response;
            }
        }
    }

    fn enter(&self, route: Arc<Route>, request: Request<Body>, flight: &Flight) -> Step {
        let answering = || match &self.0.cors {
            None => self.0.answer(&route, request),
            Some(cors) => {
                let site = Arc::clone(&self.0);
                let inner = move |request| site.answer(&route, request).map(Ok::<_, Infallible>);
                let answered = cors.layer(tower::service_fn(inner)).call(request);
                Box::pin(answered.map(|Ok(response)| response))
            }
        };
        match std::panic::catch_unwind(AssertUnwindSafe(answering)) {
            Ok(answering) => Step::Run(answering),
            Err(_) => Step::Refuse(Some(Problem::internal(flight.context.id()))),
        }
    }
}

impl Service<Request<Body>> for Site {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let site = self.clone();
        Box::pin(async move { Ok(site.answer(request, UNKNOWN_PEER).await) })
    }
}

/// Estimates the bytes of the request line and headers.
fn header_bytes(request: &Request<Body>) -> usize {
    let uri = request.uri();
    let line = uri.path().len() + uri.query().map_or(0, str::len) + 16;
    let headers = request.headers().iter();
    line + headers.map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}

enum Step {
    Run(Answering),
    Refuse(Option<Problem>),
}

/// The facts of a running request. When it is dropped, as when the client leaves, it is no longer counted as in flight.
struct Flight {
    site: Site,
    context: RequestContext,
    method: &'static str,
    is_head: bool,
    changes: bool,
    route: Arc<Route>,
    started: Instant,
    /// How long the node waits that hands the request on.
    patience: Option<Duration>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.site.0.in_flight.decrement(1.0);
    }
}

impl Flight {
    /// Says when the request's time is up: a large body, of which its route has to say so, has more.
    fn deadline(&self) -> Instant {
        let limit = self.site.0.parts.limits.request_timeout;
        let limit = if self.context.is_large() { limit * LARGE_TIMEOUT_FACTOR } else { limit };
        self.started + self.patience.map_or(limit, |patience| patience.min(limit))
    }

    fn timed_out(&self) -> Problem {
        if self.context.is_reading() {
            Problem::new(Code::RequestTimeout, "The body didn't arrive in time.")
        } else if self.changes {
            Problem::outcome_unknown()
        } else {
            Problem::overloaded()
        }
    }

    /// Adds what every answer carries, and counts and logs the request.
    fn finish(&self, response: Response<Body>) -> Response<Body> {
        let response = match &self.site.0.gate {
            None => response,
            Some(gate) => gate.pass(self.route.template(), self.method, response),
        };
        let mut response = dress(response);
        let status = response.status();
        let seconds = self.started.elapsed().as_secs_f64();
        response.headers_mut().insert(X_REQUEST_ID, self.context.id_header().clone());
        if self.is_head {
            behead(&mut response);
        }

        self.route.metrics.record(self.route.template(), self.method, status, seconds);
        if status.is_server_error() {
            let code = response.extensions().get::<Code>().map_or("", |code| code.as_str());
            tracing::warn!(
                request_id = self.context.id(),
                method = self.method,
                route = self.route.template(),
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

/// Takes the body from an answer to `HEAD`, and says how long it would be.
fn behead(response: &mut Response<Body>) {
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    *response.body_mut() = Body::empty();
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

/// A request on its way to its answer.
pub(super) struct Running {
    step: Step,
    flight: Flight,
    span: Span,
}

impl Running {
    /// Returns when its time is up, as far as is known by now. It has to be polled then.
    pub(super) fn deadline(&self) -> Instant {
        self.flight.deadline()
    }
}

impl Future for Running {
    type Output = Response<Body>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<Body>> {
        let Self { step, flight, span } = self.get_mut();
        let _entered = span.enter();
        let response = ready!(poll_step(step, flight, cx));
        Poll::Ready(flight.finish(response))
    }
}

fn poll_step(step: &mut Step, flight: &Flight, cx: &mut Context<'_>) -> Poll<Response<Body>> {
    let answering = match step {
        Step::Run(answering) => answering,
        Step::Refuse(problem) => {
            let problem = problem.take().expect("a future isn't polled after its end");
            return Poll::Ready(problem.into_response());
        }
    };

    let problem = match std::panic::catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(cx))) {
        Ok(Poll::Ready(response)) => return Poll::Ready(response),
        Ok(Poll::Pending) if Instant::now() < flight.deadline() => return Poll::Pending,
        Ok(Poll::Pending) => flight.timed_out(),
        Err(_) => {
            tracing::error!(request_id = flight.context.id(), "a handler panicked");
            Problem::internal(flight.context.id())
        }
    };

    // The route's future is never touched again, since it may have panicked: only the answer goes on.
    *step = Step::Refuse(None);
    Poll::Ready(problem.into_response())
}

#[cfg(test)]
mod tests;
