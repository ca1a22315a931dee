//! Nodes over real sockets: one that stands by, and those that have the log, or fail in every way.

use core::convert::Infallible;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::Standby;
use super::seal::HOP;
use crate::cluster::{Drain, Member, Moment, Owner, Reads, View};
use crate::config::Config;
use crate::http::HttpParts;
use crate::http::cluster::ClusterNode;
use crate::http::context::RequestContext;
use crate::http::limits::ServerLimits;
use crate::http::problem::{Code, Problem};
use crate::http::request::Site;
use crate::http::server;
use crate::http::table::{Routes, any, get};
use crate::http::tests_support::{CLUSTER, SECRET, parts};

const ADMIN: &str = "an-administrator-token-of-32-bytes";

fn http(more: &[(&str, &str)]) -> HttpParts {
    let admin = [("ONSALE_ADMIN_TOKEN", ADMIN)];
    parts(&[&CLUSTER, &admin[..], more].concat())
}

/// Serves a site on a port of its own; returns its address.
fn serve(site: Site) -> String {
    let listener = server::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let config = Config::defaults();
    let limits = ServerLimits::new(&config.server, &config.limits);
    tokio::spawn(server::serve(listener, site, limits, CancellationToken::new()));
    format!("http://{address}")
}

/// A node that has the log: its routes count what comes to them.
#[derive(Clone, Default)]
struct Has(Arc<AtomicUsize>);

impl Has {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn serve(&self) -> String {
        self.serve_as(&[])
    }

    fn serve_as(&self, more: &[(&str, &str)]) -> String {
        let http = http(more);
        let counted = self.0.clone();
        let echo = async move |context: RequestContext, request: Request<Body>| {
            counted.fetch_add(1, Ordering::SeqCst);
            let (head, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            let told = json!({
                "method": head.method.as_str(), "target": head.uri.to_string(), "peer": context.peer().to_string(),
                "id": context.id(), "body": String::from_utf8_lossy(&body[..body.len().min(64)]), "len": body.len(),
                "headers": head.headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            });
            let mut response = axum::Json(told).into_response();
            *response.status_mut() = StatusCode::CREATED;
            response.headers_mut().insert("x-mine", HeaderValue::from_static("kept"));
            response
        };
        let routes = Routes::new().route("/readyz", get(async || "ready")).route("/{*path}", any(echo));
        serve(http.dress(routes, &()))
    }
}

/// Answers each connection's first request with bytes as they stand, and hangs up; counts the requests. Without an answer it hangs up
/// once it has read the request, and with `None` it says nothing for good.
async fn scripted(answer: Option<&'static str>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = seen.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let counted = counted.clone();
            tokio::spawn(async move {
                let mut read = Vec::new();
                while !read.windows(4).any(|end| end == b"\r\n\r\n") {
                    if stream.read_buf(&mut read).await.unwrap() == 0 {
                        return;
                    }
                }
                counted.fetch_add(1, Ordering::SeqCst);
                match answer {
                    Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                    None => core::future::pending().await,
                }
            });
        }
    });
    (address, seen)
}

fn problem(status: &str, code: &str) -> &'static str {
    let body = format!("{{\"code\":\"{code}\"}}");
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\n");
    Box::leak(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_boxed_str())
}

fn view(owner: Owner) -> View {
    let member = Member {
        node: "a".to_owned(),
        address: "http://127.0.0.1:1".to_owned(),
        version: "0.1.0".to_owned(),
        boot: 1,
        is_alive: true,
        is_draining: false,
    };
    View { me: "b".to_owned(), owner, epoch: 7, members: vec![member] }
}

fn peer(address: &str) -> View {
    view(Owner::Peer { node: "a".to_owned(), address: address.to_owned() })
}

/// A node that stands by, and what it is told.
struct StandsBy {
    standby: Standby,
    site: Site,
    view: watch::Sender<View>,
    drain: Drain,
    reads: Reads,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn code(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

async fn read(response: Response) -> Answer {
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answer { status: head.status.as_u16(), headers: head.headers, body }
}

impl StandsBy {
    fn new(first: View, more: &[(&str, &str)]) -> Self {
        let (view, told) = watch::channel(first);
        let drain = Drain::default();
        let reads = Reads::none();
        let node = ClusterNode { view: told, reads: reads.clone(), drain: drain.clone() };
        let standby = Standby::new(http(more), node, None).unwrap();
        Self { site: standby.site(), standby, view, drain, reads }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        read(self.site.clone().oneshot(request).await.unwrap()).await
    }

    /// Sends a request in the background.
    fn begin(&self, request: Request<Body>) -> tokio::task::JoinHandle<Answer> {
        let site = self.site.clone();
        tokio::spawn(async move { read(site.oneshot(request).await.unwrap()).await })
    }
}

fn request(method: Method, path: &str, key: Option<&str>, body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

fn hold(key: Option<&str>) -> Request<Body> {
    request(Method::POST, "/api/v1/reservations", key, "{}")
}

fn read_of(path: &str) -> Request<Body> {
    request(Method::GET, path, None, "")
}

/// Waits until something has counted so many.
async fn reached(count: &AtomicUsize, least: usize) {
    while count.load(Ordering::SeqCst) < least {
        tokio::task::yield_now().await;
    }
}

/// Nobody listens there.
async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn an_answer_passes_as_it_is_and_so_does_what_was_asked() {
    let owner = Has::default();
    let node = StandsBy::new(peer(&owner.serve()), &[("ONSALE_TRUSTED_PROXIES", "0.0.0.0")]);
    let sent = Request::patch("/api/v1/concerts/%2e%2e/a%7Cb?x=%EC%83%A4&y=1")
        .header("x-request-id", "mine-1")
        .header("x-forwarded-for", "203.0.113.7")
        .header("connection", "close, x-dropped")
        .header("x-dropped", "1")
        .header("queue-token", "pass")
        .header(HOP, "1 2 3 4");
    let answer = node.send(sent.body(Body::from("{\"a\":1}")).unwrap()).await;
    assert_eq!(answer.status, 201);
    let told = answer.json();
    assert_eq!(told["method"], "PATCH");
    assert_eq!(told["target"], "/api/v1/concerts/%2e%2e/a%7Cb?x=%EC%83%A4&y=1");
    assert_eq!((&told["id"], &told["body"]), (&json!("mine-1"), &json!("{\"a\":1}")));
    assert_eq!(told["peer"], "203.0.113.7", "limits are counted by the client, and not by the node");
    let headers: Vec<&str> = told["headers"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(headers.contains(&"queue-token"));
    for gone in ["x-dropped", "x-forwarded-for", "onsale-hop", "connection"] {
        assert!(!headers.contains(&gone), "{gone}: {headers:?}");
    }
    assert_eq!(answer.headers["x-mine"], "kept");
    assert_eq!(answer.headers["x-request-id"], "mine-1");
    assert_eq!(answer.headers[header::CONTENT_LENGTH], answer.body.len().to_string().as_str());
    assert!(!answer.headers.contains_key(HOP));
    assert_eq!(owner.count(), 1);
}

#[tokio::test]
async fn a_head_is_answered_with_the_length_and_without_the_body() {
    let owner = Has::default();
    let node = StandsBy::new(peer(&owner.serve()), &[]);
    let head = node.send(request(Method::HEAD, "/x", None, "")).await;
    assert_eq!((head.status, head.body.len()), (201, 0));
    let length: usize = head.headers[header::CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
    assert!(length > 100, "{length}");
}

#[tokio::test]
async fn a_client_that_forges_a_hop_is_counted_as_itself() {
    let owner = Has::default();
    let address = owner.serve();
    let mut stream = TcpStream::connect(address.strip_prefix("http://").unwrap()).await.unwrap();
    let forged = "1800000000000 203.0.113.7 9000 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let sent = format!("GET /x HTTP/1.1\r\nhost: x\r\nonsale-hop: {forged}\r\nconnection: close\r\n\r\n");
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.contains("\"peer\":\"127.0.0.1\""), "{text}");
    assert!(!text.contains("onsale-hop"), "{text}");
}

#[tokio::test]
async fn what_was_never_sent_waits_for_the_next_owner() {
    let owner = Has::default();
    for first in [view(Owner::Nobody), peer(&nowhere().await)] {
        let node = StandsBy::new(first, &[]);
        let waiting = node.begin(hold(None));
        tokio::task::yield_now().await;
        node.view.send_replace(peer(&owner.serve()));
        assert_eq!(waiting.await.unwrap().status, 201);
    }
    assert_eq!(owner.count(), 2, "each was carried out once");
}

#[tokio::test]
async fn who_says_that_it_does_not_serve_is_asked_no_more_once_another_does() {
    for answer in [
        "HTTP/1.1 421 Misdirected Request\r\ncontent-length: 0\r\n\r\n",
        problem("503 Service Unavailable", "not_ready"),
    ] {
        let (address, seen) = scripted(Some(answer)).await;
        let owner = Has::default();
        let node = StandsBy::new(peer(&address), &[]);
        let waiting = node.begin(hold(None));
        reached(&seen, 2).await;
        node.view.send_replace(peer(&owner.serve()));
        assert_eq!(waiting.await.unwrap().status, 201);
        assert_eq!(owner.count(), 1);
    }
}

#[tokio::test]
async fn a_change_without_a_key_whose_connection_broke_has_an_unknown_outcome() {
    for answer in ["", "HTTP/1.1 201 Created\r\ncontent-length: 20\r\n\r\n{"] {
        let (address, seen) = scripted(Some(answer)).await;
        let node = StandsBy::new(peer(&address), &[]);
        for request in [hold(None), request(Method::PATCH, "/api/v1/reservations/r", None, "{}")] {
            assert_eq!(node.send(request).await.code(), (503, "outcome_unknown".to_owned()));
        }
        assert_eq!(seen.load(Ordering::SeqCst), 2, "neither was asked again");
    }
}

#[tokio::test]
async fn what_has_one_effect_is_asked_again_of_the_next_owner() {
    for answer in [
        "",
        "HTTP/1.1 201 Created\r\ncontent-length: 20\r\n\r\n{",
        problem("503 Service Unavailable", "outcome_unknown"),
    ] {
        for request in [
            hold(Some("key-1")),
            request(Method::POST, "/api/v1/queue/tokens", None, "{}"),
            request(Method::PUT, "/api/v1/venues/hall", None, "{}"),
            request(Method::DELETE, "/api/v1/reservations/r", None, ""),
            read_of("/api/v1/concerts"),
        ] {
            let (address, seen) = scripted(Some(answer)).await;
            let owner = Has::default();
            let node = StandsBy::new(peer(&address), &[]);
            let waiting = node.begin(request);
            reached(&seen, 1).await;
            node.view.send_replace(peer(&owner.serve()));
            let answer = waiting.await.unwrap();
            assert_eq!((answer.status, owner.count()), (201, 1));
        }
    }
}

#[tokio::test]
async fn a_request_that_was_sent_before_waits_for_itself() {
    let in_progress = problem("409 Conflict", "request_in_progress");
    let (address, seen) = scripted(Some(in_progress)).await;
    let node = StandsBy::new(peer(&address), &[]);
    let answer = node.send(hold(Some("k"))).await;
    assert_eq!(answer.code(), (409, "request_in_progress".to_owned()), "the first time it is another's");
    assert_eq!(seen.load(Ordering::SeqCst), 1);

    let (torn, torn_seen) = scripted(Some("")).await;
    let node = StandsBy::new(peer(&torn), &[]);
    let waiting = node.begin(hold(Some("k")));
    reached(&torn_seen, 1).await;
    node.view.send_replace(peer(&address));
    reached(&seen, 2).await;
    let owner = Has::default();
    node.view.send_replace(peer(&owner.serve()));
    assert_eq!(waiting.await.unwrap().status, 201);
}

#[tokio::test]
async fn an_owner_that_stands_still_is_left_once_another_has_the_log() {
    let owner = Has::default();
    for (request, expected) in [(hold(Some("k")), 201), (hold(None), 503)] {
        let (address, seen) = scripted(None).await;
        let node = StandsBy::new(peer(&address), &[]);
        let waiting = node.begin(request);
        reached(&seen, 1).await;
        node.view.send_replace(peer(&owner.serve()));
        assert_eq!(waiting.await.unwrap().status, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_owner_a_request_is_told_so_at_its_deadline() {
    let node = StandsBy::new(view(Owner::Nobody), &[]);
    let begun = Instant::now();
    for request in [hold(Some("k")), hold(None), read_of("/api/v1/concerts")] {
        let answer = node.send(request).await;
        assert_eq!(answer.code(), (503, "not_ready".to_owned()));
        assert_eq!(answer.headers[header::RETRY_AFTER], "1");
    }
    assert!(begun.elapsed() > Duration::from_secs(3 * 9), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_request_makes_no_second_hop() {
    let owner = Has::default();
    let second = StandsBy::new(peer(&owner.serve()), &[]);
    let first =
        StandsBy::new(peer(&serve(second.site.clone())), &[("ONSALE_LIMITS_REQUEST_TIMEOUT_SECONDS", "1")]);
    let answer = first.send(hold(None)).await;
    assert_eq!(answer.code(), (503, "not_ready".to_owned()), "the 421 reaches no client");
    assert_eq!(owner.count(), 0);
    // A client's own header is no hop.
    let forged = Request::get("/x").header(HOP, "1 127.0.0.1 9000 AAAA").body(Body::empty()).unwrap();
    assert_eq!(second.send(forged).await.status, 201);
}

#[tokio::test]
async fn a_large_body_passes_while_it_comes_and_a_long_answer_too() {
    let owner = Has::default();
    let node = StandsBy::new(peer(&owner.serve()), &[]);
    let chunks = (0..512).map(|_| Ok::<_, Infallible>(Bytes::from(vec![b'x'; 4096])));
    let body = Body::from_stream(futures_util::stream::iter(chunks));
    let answer = node.send(Request::put("/api/v1/venues/hall").body(body).unwrap()).await;
    assert_eq!((answer.status, &answer.json()["len"]), (201, &json!(512 * 4096)));
    let known = Body::from(vec![b'y'; 1 << 20]);
    let answer = node.send(Request::post("/api/v1/import").body(known).unwrap()).await;
    assert_eq!(answer.json()["len"], 1 << 20);

    let piece = || Ok::<_, Infallible>(Bytes::from(vec![b'z'; 8192]));
    let long = async move || Body::from_stream(futures_util::stream::iter((0..256).map(move |_| piece())));
    let site = http(&[]).dress(Routes::new().route("/long", get(long)), &());
    let node = StandsBy::new(peer(&serve(site)), &[]);
    assert_eq!(node.send(read_of("/long")).await.body.len(), 256 * 8192);
}

#[tokio::test]
async fn a_large_body_that_can_be_sent_once_is_refused_and_not_lost_where_nobody_serves() {
    let node = StandsBy::new(peer(&nowhere().await), &[("ONSALE_LIMITS_REQUEST_TIMEOUT_SECONDS", "1")]);
    let large = || Request::post("/api/v1/import").body(Body::from(vec![b'y'; 1 << 20])).unwrap();
    let waiting = node.begin(large());
    tokio::task::yield_now().await;
    let owner = Has::default();
    node.view.send_replace(peer(&owner.serve()));
    assert_eq!(waiting.await.unwrap().status, 201, "the owner is asked first whether it serves");
}

#[tokio::test]
async fn events_pass_as_they_come_and_end_once_another_has_the_log() {
    let (events, given) = mpsc::channel::<Bytes>(4);
    let given = Arc::new(tokio::sync::Mutex::new(Some(given)));
    let follow = async move || {
        let given = given.lock().await.take().unwrap();
        let chunks =
            futures_util::stream::unfold(given, async |mut given| given.recv().await.map(|c| (c, given)));
        crate::http::stream::of_events(chunks)
    };
    let site = http(&[]).dress(Routes::new().route("/events", get(follow)), &());
    let node = StandsBy::new(peer(&serve(site)), &[("ONSALE_LIMITS_REQUEST_TIMEOUT_SECONDS", "1")]);
    let response = node.site.clone().oneshot(read_of("/events")).await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut chunks = response.into_body().into_data_stream();
    for text in ["data: 1\n\n", "data: 2\n\n"] {
        events.send(Bytes::from_static(text.as_bytes())).await.unwrap();
        assert_eq!(chunks.next().await.unwrap().unwrap(), text);
    }
    node.view.send_replace(view(Owner::Nobody));
    events.send(Bytes::from_static(b"data: 3\n\n")).await.unwrap();
    assert_eq!(chunks.next().await.unwrap().unwrap(), "data: 3\n\n", "a gap in the lease ends nothing");
    node.view.send_replace(peer("http://127.0.0.1:1"));
    assert!(chunks.next().await.is_none());
}

#[tokio::test]
async fn what_waits_is_answered_by_the_node_itself_once_it_has_the_log() {
    let node = StandsBy::new(view(Owner::Nobody), &[]);
    let waiting = node.begin(hold(None));
    tokio::task::yield_now().await;
    node.view.send_replace(view(Owner::Me));
    let own = http(&[]).dress(Routes::new().route("/{*path}", any(async || "own")), &());
    node.standby.succeed(own);
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "it may not answer yet");
    node.reads.extend(Moment::now() + Duration::from_hours(1));
    assert_eq!(waiting.await.unwrap().body, "own");
    assert_eq!(node.send(read_of("/anything")).await.body, "own");
}

#[tokio::test]
async fn it_is_ready_as_long_as_the_owner_answers() {
    let node = StandsBy::new(view(Owner::Nobody), &[]);
    assert_eq!(node.send(read_of("/healthz")).await.status, 200);
    assert_eq!(node.send(read_of("/readyz")).await.code(), (503, "not_ready".to_owned()));
    node.view.send_replace(peer(&nowhere().await));
    assert_eq!(node.send(read_of("/readyz")).await.status, 503);
    node.view.send_replace(peer(&Has::default().serve()));
    let ready = node.send(read_of("/readyz")).await;
    assert_eq!((ready.status, &ready.json()["role"]), (200, &json!("standby")));
    node.drain.ask();
    assert_eq!(node.send(read_of("/readyz")).await.status, 503);
}

fn token(role: &str) -> String {
    let claims = json!({"sub": "u", "role": role, "exp": 1_800_000_060_u64});
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256), &claims, &key).unwrap()
}

fn by(method: Method, path: &str, token: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    request.header(header::AUTHORIZATION, format!("Bearer {token}")).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn it_shows_the_cluster_itself_and_asks_the_owner_who_may_see_it() {
    let node = StandsBy::new(view(Owner::Nobody), &[("ONSALE_LIMITS_REQUEST_TIMEOUT_SECONDS", "1")]);
    let path = "/api/v1/admin/cluster";
    assert_eq!(node.send(read_of(path)).await.code(), (401, "unauthenticated".to_owned()));
    assert_eq!(node.send(by(Method::GET, path, &token("user"))).await.code(), (403, "forbidden".to_owned()));
    let shown = node.send(by(Method::GET, path, ADMIN)).await;
    assert_eq!(
        shown.json(),
        json!({"mode": "cluster", "me": "b", "owner": null, "epoch": 7, "members": [{
            "node": "a", "address": "http://127.0.0.1:1", "version": "0.1.0", "isAlive": true, "isDraining": false, "role": "standby"}]})
    );
    assert_eq!(node.send(by(Method::GET, path, &token("admin"))).await.code(), (503, "not_ready".to_owned()));
    let suspended = async || Problem::user_suspended();
    let owner = http(&[]).dress(Routes::new().route("/api/v1/admin/cluster", get(suspended)), &());
    node.view.send_replace(peer(&serve(owner)));
    let refused = node.send(by(Method::GET, path, &token("admin"))).await;
    assert_eq!(refused.code(), (403, "user_suspended".to_owned()));
    let drain = "/api/v1/admin/cluster/drain";
    assert_eq!(node.send(by(Method::POST, drain, &token("admin"))).await.status, 403);
    assert!(!node.drain.is_asked());
    let well = http(&[]).dress(Routes::new().route("/api/v1/admin/cluster", get(async || "{}")), &());
    node.view.send_replace(peer(&serve(well)));
    let shown = node.send(by(Method::GET, path, &token("admin"))).await;
    assert_eq!(
        (shown.json()["owner"].as_str(), shown.json()["members"][0]["role"].as_str()),
        (Some("a"), Some("owner"))
    );
    assert_eq!(
        node.send(by(Method::POST, drain, ADMIN)).await.json(),
        json!({"node": "b", "isDraining": true})
    );
    assert!(node.drain.is_asked());
}

#[tokio::test]
async fn pages_of_other_origins_are_let_in_once() {
    let cors = [("ONSALE_CORS_ORIGINS", "https://shop.example")];
    let node = StandsBy::new(peer(&Has::default().serve_as(&cors)), &cors);
    let sent = Request::get("/x").header("origin", "https://shop.example").body(Body::empty()).unwrap();
    let answer = node.send(sent).await;
    let all = |name: &str| answer.headers.get_all(name).iter().count();
    assert_eq!((all("access-control-allow-origin"), all("access-control-expose-headers")), (1, 1));
    assert_eq!(all("vary"), 1);
}

#[tokio::test]
async fn more_bodies_than_there_is_room_for_are_refused() {
    let node = StandsBy::new(view(Owner::Nobody), &[]);
    let room = node.standby.hold_room();
    let refused = node.send(hold(None)).await;
    assert_eq!(refused.code(), (503, Code::Overloaded.as_str().to_owned()));
    drop(room);
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_nobody() {
    let node = StandsBy::new(peer("not an address"), &[("ONSALE_LIMITS_REQUEST_TIMEOUT_SECONDS", "1")]);
    assert_eq!(node.send(read_of("/x")).await.code(), (503, "not_ready".to_owned()));
}
