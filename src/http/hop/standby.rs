//! The site of a node that stands by: each request goes to the node that has the log, in one hop.
//!
//! It answers itself what is about this process: the probes, the metrics, and the cluster as it sees it. Once this node has the log and
//! serves, what still waits here is given to its own site ([`Standby::succeed`]).
//!
//! Invariants: a request is asked again only where that has one effect, or nothing was done; whatever waits, waits until its deadline at
//! most; at most [`HOPS_MAX`] requests with [`KEPT_KIB_MAX`] of bodies are under way.

use core::fmt::Write;
use core::net::IpAddr;
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, VARY,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use hyper::body::Incoming;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempt::{Asked, Outcome, attempt, replaced};
use super::load::Load;
use super::repeat::{has_one_effect, remove_hop_by_hop};
use super::seal::{HOP, Hop, HopKey, target};
use crate::cluster::Owner;
use crate::domain::ids::UserId;
use crate::http::HttpParts;
use crate::http::auth::{Admin, Caller, Standing, changes};
use crate::http::cluster::{CLUSTER, ClusterDocument, ClusterNode, DRAIN_PATH, DrainBegun};
use crate::http::context::RequestContext;
use crate::http::json::Json;
use crate::http::limits::LARGE_TIMEOUT_FACTOR;
use crate::http::problem::{Code, Problem};
use crate::http::rate_limit::{X_FORWARDED_FOR, client_address};
use crate::http::request::{Site, X_REQUEST_ID};
use crate::http::table::{Routes, any, get, post};
use crate::outbound::{self, NodeClient};

/// The most requests that wait for an answer or take one.
const HOPS_MAX: usize = 16_384;
/// The most of their bodies that is kept, in KiB.
const KEPT_KIB_MAX: usize = 64 << 10;
/// How long a connection to the owner may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The connections to the owner that are kept for the next request.
const IDLE_MAX: usize = 256;
/// So much before a request's time is up it is answered here, and before that by the owner.
const ANSWER_AHEAD: Duration = Duration::from_millis(250);
const OWNER_AHEAD: Duration = Duration::from_millis(50);
/// The pauses between two tries at the same node.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_millis(400);
/// How long an answer that goes on may be silent: longer than the signs of life of every stream.
const STALL: Duration = Duration::from_mins(1);
/// How long it counts that the owner was reached.
const LATELY: Duration = Duration::from_secs(3);
/// How long a probe of the owner may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// A node that stands by. A clone is the same.
#[derive(Clone)]
pub struct Standby(Arc<StandbyState>);

struct StandbyState {
    parts: HttpParts,
    node: ClusterNode,
    key: HopKey,
    client: NodeClient<Body>,
    turns: Arc<Semaphore>,
    room: Arc<Semaphore>,
    /// This node's own site, once it has the log.
    own: watch::Sender<Option<Site>>,
    /// The owner's address, and when it last answered.
    reached: Mutex<Option<(String, Instant)>>,
    /// Ends the streams that were passed on.
    over: CancellationToken,
    recorder: Option<PrometheusHandle>,
}

impl core::fmt::Debug for Standby {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Standby").field("node", &self.0.node).finish_non_exhaustive()
    }
}

impl AsRef<HttpParts> for Standby {
    fn as_ref(&self) -> &HttpParts {
        &self.0.parts
    }
}

/// Who is suspended is the owner's to say, and it is asked (`vouched`).
impl Standing for Standby {
    fn is_barred(&self, _: &UserId) -> bool {
        false
    }
}

impl Standby {
    /// Begins to stand by; nothing where `parts` have no key to make hops with. `recorder` is what `/metrics` shows.
    pub fn new(parts: HttpParts, node: ClusterNode, recorder: Option<PrometheusHandle>) -> Option<Self> {
        let key = parts.hop_key.clone()?;
        Some(Self(Arc::new(StandbyState {
            node,
            key,
            client: outbound::node_client(CONNECT_TIMEOUT, IDLE_MAX),
            turns: Arc::new(Semaphore::new(HOPS_MAX)),
            room: Arc::new(Semaphore::new(KEPT_KIB_MAX)),
            own: watch::Sender::new(None),
            reached: Mutex::new(None),
            over: CancellationToken::new(),
            recorder,
            parts,
        })))
    }

    /// Makes the site.
    pub fn site(&self) -> Site {
        let alive = async || axum::Json(serde_json::json!({"status": "ok"}));
        let routes = Routes::new()
            .route("/healthz", get(alive))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .route(CLUSTER, get(read_cluster))
            .route(DRAIN_PATH, post(drain))
            .route("/", any(forward))
            .route("/{*path}", any(forward));
        self.0.parts.dress(routes, self)
    }

    /// Has this node's own site answer from now on, also what waits here already.
    pub fn succeed(&self, own: Site) {
        self.0.own.send_replace(Some(own));
        self.0.over.cancel();
    }

    /// Ends the streams that are passed on.
    pub fn end(&self) {
        self.0.over.cancel();
    }

    /// Takes all the room for bodies.
    #[cfg(test)]
    pub(super) fn hold_room(&self) -> OwnedSemaphorePermit {
        let all = u32::try_from(KEPT_KIB_MAX).unwrap();
        Arc::clone(&self.0.room).try_acquire_many_owned(all).unwrap()
    }

    /// Gives a request to the owner, and its answer to the client.
    async fn carry(&self, request: Request, context: &RequestContext) -> Response {
        match self.carried(request, context).await {
            Ok(response) => response,
            Err(problem) => {
                let code = problem.code().as_str();
                metrics::counter!("onsale_hops_total", "outcome" => code).increment(1);
                problem.into_response()
            }
        }
    }

    async fn carried(&self, request: Request, context: &RequestContext) -> Result<Response, Problem> {
        let started = Instant::now();
        let overloaded = |_| Problem::overloaded();
        let turn = Arc::clone(&self.0.turns).try_acquire_owned().map_err(overloaded)?;
        let (parts, body) = request.into_parts();
        let _room = self.0.room.try_acquire_many(Load::kib_max(&body)).map_err(overloaded)?;
        let limits = self.0.parts.limits;
        let load = Load::read(body, limits.large_body_bytes_max, context).await?;

        let factor = if load.is_large() { LARGE_TIMEOUT_FACTOR } else { 1 };
        let limit = (limits.request_timeout * factor).saturating_sub(ANSWER_AHEAD);
        let errand = Errand {
            client: client_address(context.peer(), &parts.headers, &self.0.parts.trusted_proxies),
            deadline: started + limit,
            is_repeatable: !load.is_large() && has_one_effect(&parts),
            was_sent: false,
            load,
            turn: Some(turn),
            parts,
            context,
        };
        self.run(errand).await
    }

    /// Tries until there is an answer, or the request's time is up.
    async fn run(&self, mut errand: Errand<'_>) -> Result<Response, Problem> {
        let (mut view, mut own) = (self.0.node.view.clone(), self.0.own.subscribe());
        let mut pause = PAUSE_MIN;
        loop {
            let own_site = own.borrow_and_update().clone();
            let mut is_somebody_there = own_site.is_some();
            // A change isn't begun while its answer couldn't be given.
            if let Some(site) = own_site
                && self.0.node.reads.may_answer(Duration::ZERO)
            {
                let peer = errand.context.peer();
                return Ok(site.answer(errand.into_request(), peer).await);
            }
            let owner = view.borrow_and_update().owner.clone();
            if let Owner::Peer { address, .. } = owner {
                is_somebody_there = true;
                if let Some(answer) = self.ask(&mut errand, address).await? {
                    return Ok(answer);
                }
            }

            tokio::select! {
                Ok(()) = view.changed() => {}
                Ok(()) = own.changed() => {}
                () = tokio::time::sleep(pause), if is_somebody_there => pause = (pause * 2).min(PAUSE_MAX),
                () = tokio::time::sleep_until(errand.deadline) => return Err(errand.late()),
                () = self.0.parts.shutdown.cancelled() => return Err(errand.late()),
            }
        }
    }

    /// Asks the node at an address. Without an answer it may be asked again, or another one.
    async fn ask(&self, errand: &mut Errand<'_>, address: String) -> Result<Option<Response>, Problem> {
        // A large body can be sent once: the node is asked first whether it serves.
        if errand.load.is_large() && !self.probe(&address).await {
            return Ok(None);
        }
        let request = self.outgoing(&address, errand)?;
        let asked = Asked { has_one_effect: errand.is_repeatable, was_sent: errand.was_sent };
        let replaced = replaced(self.0.node.view.clone(), address.clone());
        match attempt(&self.0.client, request, asked, replaced, errand.deadline).await {
            Outcome::Whole(response) => {
                self.note_reached(&address);
                Ok(Some(self.passed(response.map(Body::from))))
            }
            Outcome::GoesOn(response) => {
                self.note_reached(&address);
                let turn = errand.turn.take().ok_or_else(Problem::overloaded)?;
                Ok(Some(self.passed(self.going_on(response, address, turn))))
            }
            Outcome::Nothing if errand.load.is_gone() => Err(nobody_serves()),
            Outcome::Nothing => Ok(None),
            Outcome::Unknown if errand.is_repeatable => {
                errand.was_sent = true;
                Ok(None)
            }
            Outcome::Unknown => Err(Problem::outcome_unknown()),
        }
    }

    /// Makes the request to the owner.
    fn outgoing(&self, address: &str, errand: &mut Errand<'_>) -> Result<Request, Problem> {
        let parts = &errand.parts;
        let patience = errand.deadline.saturating_duration_since(Instant::now()).saturating_sub(OWNER_AHEAD);
        let hop = Hop { client: errand.client, patience };
        let mut request = Request::new(Body::empty());
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.clone();
        *request.headers_mut() = parts.headers.clone();
        let seal = self.0.key.seal(hop, &parts.method, target(&request), self.0.parts.clock.now());
        let uri: Result<Uri, _> = format!("{address}{}", target(&request)).parse();
        *request.uri_mut() = uri.map_err(|error| {
            tracing::error!(%error, address, "the owner's address can't be used");
            nobody_serves()
        })?;

        let headers = request.headers_mut();
        remove_hop_by_hop(headers);
        headers.remove(EXPECT);
        headers.remove(X_FORWARDED_FOR);
        if !errand.load.is_large() {
            headers.remove(CONTENT_LENGTH);
        }
        headers.insert(X_REQUEST_ID, errand.context.id_header().clone());
        headers.insert(HOP, seal);
        *request.body_mut() = errand.load.take();
        Ok(request)
    }

    /// Says what this node says of each answer itself: which pages may read it.
    fn passed(&self, mut response: Response) -> Response {
        metrics::counter!("onsale_hops_total", "outcome" => "answered").increment(1);
        if !self.0.parts.cors_origins.is_empty() {
            let headers = response.headers_mut();
            for name in
                [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_EXPOSE_HEADERS]
            {
                headers.remove(name);
            }
            // Both nodes say that the answer depends on the origin.
            let others = headers.get_all(VARY).iter().filter(|value| value.as_bytes() != b"origin");
            let others: Vec<HeaderValue> = others.cloned().collect();
            headers.remove(VARY);
            for value in others {
                headers.append(VARY, value);
            }
        }
        response
    }

    /// Passes on an answer that goes on. An event stream ends once another node has the log: its client comes again.
    fn going_on(
        &self,
        response: Response<Incoming>,
        address: String,
        turn: OwnedSemaphorePermit,
    ) -> Response {
        let (head, body) = response.into_parts();
        let chunks = chunks(Body::new(body).into_data_stream(), turn);
        let is_events =
            head.headers.get(CONTENT_TYPE).is_some_and(|of| of.as_bytes().starts_with(b"text/event-stream"));
        let body = if is_events {
            let (over, shutdown) = (self.0.over.clone(), self.0.parts.shutdown.clone());
            let replaced = replaced(self.0.node.view.clone(), address);
            let end = async move {
                tokio::select! {
                    () = over.cancelled() => {}
                    () = shutdown.cancelled() => {}
                    () = replaced => {}
                }
            };
            Body::from_stream(chunks.take_until(Box::pin(end)))
        } else {
            Body::from_stream(chunks)
        };
        Response::from_parts(head, body)
    }

    fn note_reached(&self, address: &str) {
        let now = Some((address.to_owned(), Instant::now()));
        *self.0.reached.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    fn was_reached_lately(&self, address: &str) -> bool {
        let reached = self.0.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.as_ref().is_some_and(|(of, at)| of == address && at.elapsed() < LATELY)
    }

    /// Asks the node at an address whether it serves.
    async fn probe(&self, address: &str) -> bool {
        let Ok(request) = Request::get(format!("{address}/readyz")).body(Body::empty()) else { return false };
        let answered = tokio::time::timeout(PROBE_TIMEOUT, self.0.client.request(request)).await;
        let serves = matches!(answered, Ok(Ok(response)) if response.status() == StatusCode::OK);
        if serves {
            self.note_reached(address);
        }
        serves
    }

    /// Tells whether requests get answers here.
    async fn readiness(&self) -> Result<(), Problem> {
        if self.0.parts.shutdown.is_cancelled() || self.0.node.drain.is_asked() {
            return Err(Problem::new(Code::NotReady, "The process is stopping and takes no new requests."));
        }
        let owner = self.0.node.view.borrow().owner.clone();
        match owner {
            _ if self.0.own.borrow().is_some() => Ok(()),
            Owner::Peer { address, .. } if self.was_reached_lately(&address) => Ok(()),
            Owner::Peer { address, .. } if self.probe(&address).await => Ok(()),
            Owner::Peer { .. } | Owner::Me | Owner::Nobody => Err(nobody_serves()),
        }
    }

    /// Asks the owner whether a caller may act: only it knows who is suspended. The scripts' token is nobody who could be.
    async fn vouched(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
        context: &RequestContext,
    ) -> Result<(), Response> {
        if caller.expires_at.is_none() {
            return Ok(());
        }
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from_static(CLUSTER);
        if let Some(token) = headers.get(AUTHORIZATION) {
            request.headers_mut().insert(AUTHORIZATION, token.clone());
        }
        let answer = self.carry(request, context).await;
        if answer.status() == StatusCode::OK { Ok(()) } else { Err(answer) }
    }
}

/// Passes chunks on, and keeps the request's turn until the last.
fn chunks(
    of: impl Stream<Item = Result<Bytes, axum::Error>> + Send + Unpin + 'static,
    turn: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send + 'static {
    stream::unfold((of, turn), async |(mut of, turn)| {
        let silent = |_| Some(Err(axum::Error::new("the node that has the log is silent")));
        let next = tokio::time::timeout(STALL, of.next()).await.unwrap_or_else(silent);
        next.map(|chunk| (chunk, (of, turn)))
    })
}

/// A request that is to be answered, and how far that is.
struct Errand<'r> {
    parts: Parts,
    context: &'r RequestContext,
    load: Load,
    turn: Option<OwnedSemaphorePermit>,
    client: IpAddr,
    deadline: Instant,
    is_repeatable: bool,
    /// Whether it was sent, and it isn't known what became of it.
    was_sent: bool,
}

impl Errand<'_> {
    /// Makes the request for this node's own site, with the id that it has already.
    fn into_request(mut self) -> Request {
        self.parts.headers.insert(X_REQUEST_ID, self.context.id_header().clone());
        Request::from_parts(self.parts, self.load.take())
    }

    /// Says what is known when its time is up: it may have had an effect only where it was sent and changes something.
    fn late(&self) -> Problem {
        if self.was_sent && changes(&self.parts.method) {
            Problem::outcome_unknown()
        } else {
            nobody_serves()
        }
    }
}

fn nobody_serves() -> Problem {
    Problem::new(Code::NotReady, "No node serves just now; try again in a moment.").retry_after(1)
}

async fn forward(State(standby): State<Standby>, context: RequestContext, request: Request) -> Response {
    // A hop that came here makes no other one: the node before looks for the owner again.
    if request.extensions().get::<Hop>().is_some() {
        return StatusCode::MISDIRECTED_REQUEST.into_response();
    }
    standby.carry(request, &context).await
}

async fn ready(State(standby): State<Standby>) -> Result<impl IntoResponse, Problem> {
    standby.readiness().await?;
    Ok(axum::Json(serde_json::json!({"status": "ready", "role": "standby"})))
}

async fn metrics(State(standby): State<Standby>) -> Result<Response, Problem> {
    let recorder = standby.0.recorder.as_ref().ok_or_else(Problem::not_found)?;
    let ready = u8::from(standby.readiness().await.is_ok());
    let mut text = recorder.render();
    text.push_str("# HELP onsale_ready Whether the process takes work\n# TYPE onsale_ready gauge\n");
    writeln!(text, "onsale_ready {ready}").expect("writing to memory doesn't fail");
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(CONTENT_TYPE, kind)], text).into_response())
}

async fn read_cluster(
    State(standby): State<Standby>,
    Admin(caller): Admin,
    context: RequestContext,
    headers: HeaderMap,
) -> Result<Json<ClusterDocument>, Response> {
    standby.vouched(&caller, &headers, &context).await?;
    Ok(Json(StatusCode::OK, standby.0.node.document()))
}

async fn drain(
    State(standby): State<Standby>,
    Admin(caller): Admin,
    context: RequestContext,
    headers: HeaderMap,
) -> Result<Json<DrainBegun>, Response> {
    standby.vouched(&caller, &headers, &context).await?;
    Ok(Json(StatusCode::ACCEPTED, standby.0.node.begin_to_drain(&caller)))
}
