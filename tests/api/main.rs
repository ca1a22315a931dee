//! The HTTP API over real sockets, against its contract: routes, codes, headers, documents.
//!
//! Written from the contract and not from the code. Every answer that any test gets is also checked for what
//! holds everywhere: the request id, `nosniff`, a policy, that no error is kept, instants, the shape of a problem document; and
//! against the description that the server gives of itself.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/directory.rs"]
mod directory;
#[path = "../support/server.rs"]
mod server;

mod accessible;
mod areas;
mod auth;
mod catalogue;
mod codes;
mod described;
mod events;
mod export;
mod external;
mod feed;
mod gateway;
mod general;
mod history;
mod import;
mod keys;
mod limits;
mod lists;
mod mails;
mod orders;
mod pages;
mod payments;
mod plans;
mod prices;
mod queue;
mod reservations;
mod roles;
mod running;
mod sale;
mod seats;
mod security;
mod tickets;
mod users;

use std::fmt::Debug;
use std::future::{Future, IntoFuture};
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use directory::copy;
use server::{ADMIN, Server, token};

pub(crate) const GET: Method = Method::GET;
pub(crate) const POST: Method = Method::POST;
pub(crate) const PUT: Method = Method::PUT;
pub(crate) const PATCH: Method = Method::PATCH;
pub(crate) const DELETE: Method = Method::DELETE;

/// After how long a test gives up on an answer that doesn't come.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server on a directory of its own.
pub(crate) struct Api {
    pub(crate) server: Server,
    data: TempDir,
    environment: Vec<(String, String)>,
}

impl Api {
    /// Starts a server on an empty directory.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more of the environment.
    pub(crate) fn start_with(environment: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::on(data, environment)
    }

    fn on(data: TempDir, environment: Vec<(String, String)>) -> Self {
        let set: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let server = Server::start_with(data.path(), &quiet(&set));
        Self { server, data, environment }
    }

    /// Starts a server with one row of `seats` seats, `1-A-1-1` and so on, and an open schedule `s`.
    pub(crate) async fn with_hall(seats: u32, policy: Value) -> Self {
        let api = Self::start();
        api.server.prepare(seats, policy).await;
        api
    }

    /// Kills the server where it stands, and starts one on the same directory.
    pub(crate) fn kill_and_restart(self) -> Self {
        let Self { server, data, environment } = self;
        server.kill();
        Self::on(data, environment)
    }

    /// Kills the server, and starts it on its directory after something happened to that.
    pub(crate) fn kill_and_restart_after(self, happens: impl FnOnce(&Path)) -> Self {
        let Self { server, data, environment } = self;
        server.kill();
        happens(data.path());
        Self::on(data, environment)
    }

    /// The same with another environment.
    pub(crate) fn kill_and_restart_with(self, environment: &[(&str, &str)]) -> Self {
        let Self { server, data, environment: _ } = self;
        server.kill();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self::on(data, environment.iter().map(own).collect())
    }

    /// Copies the server's directory at one instant.
    pub(crate) fn back_up(&self) -> TempDir {
        let backup = tempfile::tempdir().unwrap();
        self.server.pause(|| copy(self.data.path(), backup.path()));
        backup
    }

    /// Kills the server, and starts one on what was backed up.
    pub(crate) fn kill_and_restore(self, backup: &TempDir) -> Self {
        let Self { server, data, environment } = self;
        server.kill();
        let restored = tempfile::tempdir().unwrap();
        copy(backup.path(), restored.path());
        drop(data);
        Self::on(restored, environment)
    }

    /// Calls a route under `/api/v1` without a token.
    pub(crate) fn public(&self, method: Method, path: &str) -> Call {
        self.root(method, &format!("/api/v1{path}"))
    }

    /// Calls a route under `/api/v1` as an administrator.
    pub(crate) fn admin(&self, method: Method, path: &str) -> Call {
        self.public(method, path).bearer(ADMIN)
    }

    /// Calls a route under `/api/v1` as a user.
    pub(crate) fn user(&self, user: &str, method: Method, path: &str) -> Call {
        self.public(method, path).bearer(&token(user))
    }

    /// Calls a route that stands outside of `/api/v1`.
    pub(crate) fn root(&self, method: Method, path: &str) -> Call {
        Call(self.server.request(method, path))
    }

    /// Holds seats `1-A-1-<number>` of the schedule `s`.
    pub(crate) async fn hold(&self, user: &str, seats: &[u32]) -> Answer {
        self.user(user, POST, "/reservations").json(&hold_of(seats)).await
    }

    /// The statuses of the seats of the schedule `s`, in the map's order.
    pub(crate) async fn statuses(&self) -> Vec<String> {
        let map = self.public(GET, "/schedules/s/seats").await.ok(200);
        map["seats"].as_array().unwrap().iter().map(|seat| text(&seat["status"])).collect()
    }
}

/// Logs of a server under test say only what went wrong.
fn quiet<'a>(environment: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("ONSALE_LOG_FILTER", "error")], environment].concat()
}

/// A request that is being made up; awaiting it sends it.
#[must_use]
pub(crate) struct Call(RequestBuilder);

impl Call {
    pub(crate) fn bearer(self, token: &str) -> Self {
        Self(self.0.bearer_auth(token))
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    /// Adds an `Idempotency-Key`.
    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        Self(self.0.json(body))
    }

    /// Sends these bytes, whatever they are, as a type of content.
    pub(crate) fn bytes(self, kind: &str, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.header("content-type", kind).body(body))
    }

    /// Sends it and leaves the body to be read as it comes.
    pub(crate) async fn open(self) -> Response {
        soon(self.0.send()).await.unwrap()
    }
}

impl IntoFuture for Call {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async {
            let (client, request) = self.0.build_split();
            let request = request.unwrap();
            let (method, path) = (request.method().clone(), request.url().path().to_owned());
            let answer = Answer::read(soon(client.execute(request)).await.unwrap()).await;
            described::check(&method, &path, &answer);
            answer
        })
    }
}

/// An answer, checked for what holds of all of them.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
    /// The document, where there is one.
    pub(crate) body: Value,
}

impl Answer {
    async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = soon(response.bytes()).await.unwrap().to_vec();
        let is_json = headers.get("content-type").is_some_and(|kind| kind.to_str().unwrap().contains("json"));
        let body = if is_json { serde_json::from_slice(&bytes).unwrap() } else { Value::Null };
        let answer = Self { status, headers, bytes, body };
        answer.check();
        answer
    }

    fn check(&self) {
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        assert!(self.header("content-security-policy").starts_with("default-src 'none'; "), "{self:?}");
        let id = self.header("x-request-id");
        assert!((1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()), "{id}");
        let is_page = self.header("content-type").starts_with("text/html");
        if self.status == 404 && is_page {
            // What a browser is told of a link that leads nowhere.
            assert_eq!(self.header("cache-control"), "no-store", "{self:?}");
        } else if self.status >= 400 {
            self.check_problem();
        } else if self.body.get("openapi").is_none() {
            check_members(&self.body);
        }
    }

    fn check_problem(&self) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.header("cache-control"), "no-store", "{self:?}");
        let code = self.code();
        assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
        assert_eq!(self.body["type"], format!("/problems/{}", code.replace('_', "-")));
        assert_eq!(self.body["status"], self.status);
        assert!(!text(&self.body["title"]).is_empty());
        let detail = text(&self.body["detail"]);
        assert!(detail.ends_with('.') && detail.contains(' '), "{detail:?} is a sentence");
        let asks_to_wait = ["rate_limited", "overloaded"].contains(&code.as_str());
        assert!(!asks_to_wait || self.header("retry-after").parse::<u64>().unwrap() >= 1);
    }

    /// Returns the document of a success, and fails for any other status.
    #[track_caller]
    pub(crate) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// Returns the problem of a refusal, and fails for any other answer.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, &self.body["code"]), (status, &json!(code)), "{}", self.body);
        self.body
    }

    /// Fails unless it is a 422 `invalid_request` that names this field.
    #[track_caller]
    pub(crate) fn names(self, field: &str) {
        let problem = self.refused(422, "invalid_request");
        let errors = problem["errors"].as_array().unwrap();
        assert!(errors.iter().all(|error| error["detail"].is_string()), "{problem}");
        assert!(errors.iter().any(|error| error["field"] == field), "{field}: {problem}");
    }

    pub(crate) fn code(&self) -> String {
        text(&self.body["code"])
    }

    /// Returns a header, or nothing where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Checks a document's members by their names: instants end in `At`, durations in `Seconds`.
fn check_members(document: &Value) {
    if let Some(items) = document.as_array() {
        items.iter().for_each(check_members);
    }
    for (name, value) in document.as_object().into_iter().flatten() {
        if name.ends_with("At") && !value.is_null() {
            assert!(is_instant(value), "{name}: {value}");
        }
        if name.ends_with("Seconds") || ["price", "amount"].contains(&name.as_str()) {
            // A line of a reservation may take something off.
            assert!(value.is_u64() || value.is_i64() || value.is_null(), "{name}: {value}");
        }
        check_members(value);
    }
}

/// Tells whether it is `2026-11-20T12:00:00.000Z` in form.
pub(crate) fn is_instant(value: &Value) -> bool {
    let form = |(is, like): (char, char)| if like == '0' { is.is_ascii_digit() } else { is == like };
    let like = "0000-00-00T00:00:00.000Z";
    value.as_str().is_some_and(|text| text.len() == like.len() && text.chars().zip(like.chars()).all(form))
}

/// Waits for what must come.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it comes within a minute")
}

/// Returns an instant so many milliseconds from now, as the API writes it.
pub(crate) fn from_now(millis: i64) -> String {
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(millis);
    format!("{at:.3}")
}

#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is text")).to_owned()
}

/// The keys of an object, in order.
pub(crate) fn keys_of(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

pub(crate) fn hold_of(seats: &[u32]) -> Value {
    json!({"scheduleId": "s", "seats": seat_ids(seats)})
}

pub(crate) fn seat_ids(seats: &[u32]) -> Vec<String> {
    seats.iter().map(|seat| format!("1-A-1-{seat}")).collect()
}

/// The path of the reservation that an answer shows.
pub(crate) fn path_of(reservation: &Value) -> String {
    format!("/reservations/{}", text(&reservation["reservationId"]))
}

/// A venue with two grades: row 1 of 4 seats is `R`, row 2 of 3 seats is `S`.
pub(crate) fn venue() -> Value {
    json!({"name": "Hall", "address": "1 Street", "type": "hall", "timeZone": "Asia/Seoul",
        "sections": [{"sectionId": "A", "floor": "1", "rows": [
            {"rowId": "1", "grade": "R", "length": 4}, {"rowId": "2", "grade": "S", "length": 3}]}]})
}

/// A concert in [`venue`], put as `v`.
pub(crate) fn concert() -> Value {
    json!({"title": "Show", "artist": "Someone", "venueId": "v", "currency": "KRW", "grades": [
        {"grade": "R", "price": 50_000, "color": "#FF0000"}, {"grade": "S", "price": 30_000, "color": "#00FF00"}]})
}

/// A schedule of [`concert`], put as `c`, far in the future.
pub(crate) fn schedule() -> Value {
    json!({"concertId": "c", "startsAt": "2037-01-01T10:00:00.000Z", "endsAt": "2037-01-01T12:00:00.000Z"})
}

/// Returns a document with one member changed, or removed where the value is null.
pub(crate) fn with(mut document: Value, name: &str, value: Value) -> Value {
    let object = document.as_object_mut().unwrap();
    if value.is_null() {
        object.remove(name);
    } else {
        object.insert(name.to_owned(), value);
    }
    document
}

/// Puts [`venue`] as `v` and [`concert`] as `c`.
pub(crate) async fn put_concert(api: &Api) {
    api.admin(PUT, "/venues/v").json(&venue()).await.ok(201);
    api.admin(PUT, "/concerts/c").json(&concert()).await.ok(201);
}
