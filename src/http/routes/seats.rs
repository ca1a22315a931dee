//! The seat map: whole, as it is durable, and as a stream of its changes.
//!
//! A body is serialised once a version and shared; compressed once, by the first who can read it so. A
//! stream costs one number a client: the version that it has. What it gets next is read from the
//! changes that the schedule keeps, so a slow client holds back nobody and nothing grows for it.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::schedules::find;
use crate::domain::concert::Prices;
use crate::domain::ids::ScheduleNumber;
use crate::domain::schedule::SeatStatus;
use crate::domain::venue::{Grade, Layout};
use crate::engine::{Delta, ScheduleEntry, SeatsMark};
use crate::http::app::App;
use crate::http::extract::{Path, Query};
use crate::http::problem::Problem;
use crate::http::write::JsonWriter;

/// How often a stream says that it is alive when nothing else is said.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How many changes one write to a client carries at most; the rest follow once it was taken.
const DELTAS_PER_WRITE: usize = 256;
/// What a stream says then: a comment.
const STILL_HERE: Bytes = Bytes::from_static(b": still here\n\n");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Makes the routes of the seat map.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(seats)).routes(routes!(events))
}

/// A seat map.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `write_seats` writes")]
struct SeatMap {
    schedule_id: String,
    version: u64,
    seats: Vec<SeatDocument>,
}

/// A seat of a map.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `write_seats` writes")]
struct SeatDocument {
    seat_id: String,
    section: String,
    floor: String,
    row: String,
    number: u32,
    grade: String,
    price: u64,
    /// `available`, `held`, `reserved` or `blocked`.
    status: String,
}

/// The newest body of each live schedule's map.
#[derive(Default)]
pub struct SeatBodies(Mutex<HashMap<ScheduleNumber, Arc<SeatBody>>>);

/// A map as it is sent.
struct SeatBody {
    tag: String,
    plain: Bytes,
    gzip: OnceLock<Bytes>,
}

impl SeatBodies {
    /// Returns the body of the map as it is now.
    fn get(&self, app: &App, entry: &ScheduleEntry) -> Arc<SeatBody> {
        let prices = app.engine.prices(entry);
        let tag = |mark: SeatsMark| tag_of(entry, mark, &prices);
        let standing = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&entry.number()).cloned();
        if let Some(body) = standing
            && body.tag == tag(entry.seats_mark())
        {
            return body;
        }
        let (mark, statuses) = entry.marked_seats();
        let map = Map { entry, prices: &prices, version: mark.version, statuses: &statuses };
        let plain = map.write(None, None).into();
        let body = Arc::new(SeatBody { tag: tag(mark), plain, gzip: OnceLock::new() });
        if !entry.is_archived() {
            let mut bodies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if bodies.insert(entry.number(), Arc::clone(&body)).is_none() {
                // One more: those whose schedules are gone leave.
                bodies.retain(|number, _| app.engine.schedule_by_number(*number).is_some());
            }
        }
        body
    }
}

impl SeatBody {
    /// Returns the body compressed, made at the first call.
    fn gzip(&self) -> Bytes {
        let compress = || {
            let room = Vec::with_capacity(self.plain.len() / 8);
            let mut encoder = flate2::write::GzEncoder::new(room, flate2::Compression::fast());
            encoder.write_all(&self.plain).expect("writing to memory doesn't fail");
            encoder.finish().expect("writing to memory doesn't fail").into()
        };
        self.gzip.get_or_init(compress).clone()
    }
}

/// Names a map's content: the schedule, its version, and a sum of what the map says, with the prices, which may change before it
/// opens.
fn tag_of(entry: &ScheduleEntry, mark: SeatsMark, prices: &Prices) -> String {
    named(entry, mark, prices.by_grade.iter().map(|price| price.minor()))
}

/// Names what a stream has told: the schedule, the map's version, and a sum of what the map says.
///
/// The sum is of the content, so the name means the same in every life of the engine, and nothing in a life that began from a
/// restored backup and came to the same version another way.
fn id_of(entry: &ScheduleEntry, mark: SeatsMark) -> String {
    named(entry, mark, core::iter::empty())
}

fn named(entry: &ScheduleEntry, mark: SeatsMark, more: impl Iterator<Item = u64>) -> String {
    let mut sum = crc32fast::Hasher::new_with_initial(entry.layout_sum());
    sum.update(&mark.sum.to_le_bytes());
    more.for_each(|number| sum.update(&number.to_le_bytes()));
    format!("{}-{}-{:08x}", entry.number().0, mark.version, sum.finalize())
}

/// Finds the version that a client has, as far as `id` is one that this map's stream would give for it.
fn resumed_at(entry: &ScheduleEntry, id: &str) -> Option<u64> {
    let version = id.split('-').nth(1)?.parse().ok()?;
    let mark = entry.mark_at(version)?;
    (id_of(entry, mark) == id).then_some(version)
}

/// What a map is narrowed by.
#[derive(Debug, Deserialize)]
struct Narrow {
    status: Option<String>,
    grade: Option<String>,
}

/// The seat map
///
/// As it is durable. With a strong `ETag`; `If-None-Match` gives 304. It never says who holds a seat.
#[utoipa::path(get, path = "/api/v1/schedules/{scheduleId}/seats", tag = "Seats",
    params(("scheduleId" = String, Path), ("status" = Option<String>, Query), ("grade" = Option<String>, Query)),
    responses((status = 200, description = "Every seat with its status", body = SeatMap),
        (status = 304, description = "It is as the caller has it"),
        (status = 404, description = "`not_found`")))]
async fn seats(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(narrow): Query<Narrow>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let entry = find(&app, &id).await?;
    let status = narrow.status.as_deref().map(status_named).transpose()?;
    let grade = narrow.grade.as_deref().map(|name| grade_named(entry.layout(), name)).transpose()?;
    if status.is_none() && grade.is_none() {
        return Ok(whole(&app, &entry, &headers).await);
    }
    let prices = app.engine.prices(&entry);
    let (mark, statuses) = entry.marked_seats();
    let tag = tag_of(&entry, mark, &prices);
    if has(&headers, &tag) {
        return Ok(unchanged(&tag, false));
    }
    let map = Map { entry: &entry, prices: &prices, version: mark.version, statuses: &statuses };
    Ok(sent(&tag, map.write(status, grade).into(), false))
}

async fn whole(app: &App, entry: &ScheduleEntry, headers: &HeaderMap) -> Response {
    let body = app.seat_bodies.get(app, entry);
    if has(headers, &body.tag) {
        return unchanged(&body.tag, reads_gzip(headers));
    }
    if !reads_gzip(headers) {
        return sent(&body.tag, body.plain.clone(), false);
    }
    if let Some(gzip) = body.gzip.get() {
        return sent(&body.tag, gzip.clone(), true);
    }
    let made = Arc::clone(&body);
    match tokio::task::spawn_blocking(move || made.gzip()).await {
        Ok(gzip) => sent(&body.tag, gzip, true),
        Err(_) => sent(&body.tag, body.plain.clone(), false),
    }
}

fn reads_gzip(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*");
            named && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
    })
}

/// Tells whether the caller has this content, in whatever coding.
fn has(headers: &HeaderMap, tag: &str) -> bool {
    let same = |candidate: &str| {
        let candidate = candidate.trim().trim_start_matches("W/").trim_matches('"');
        candidate == "*" || candidate == tag || candidate.strip_suffix("-gzip") == Some(tag)
    };
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(same))
}

fn sent(tag: &str, body: Bytes, gzip: bool) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    tagged(headers, tag, gzip);
    response
}

/// Says 304 with the headers that the 200 would have had (RFC 9110, section 15.4.5).
fn unchanged(tag: &str, gzip: bool) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    tagged(response.headers_mut(), tag, gzip);
    response
}

fn tagged(headers: &mut HeaderMap, tag: &str, gzip: bool) {
    // A strong tag names bytes: the compressed ones are others.
    let tag = format!("\"{tag}{}\"", if gzip { "-gzip" } else { "" });
    headers.insert(header::ETAG, HeaderValue::try_from(tag).expect("digits and dashes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
}

fn status_named(name: &str) -> Result<SeatStatus, Problem> {
    SeatStatus::ALL
        .into_iter()
        .find(|status| status.as_str() == name)
        .ok_or_else(|| Problem::invalid_field("status", "not a status of a seat"))
}

fn grade_named(layout: &Layout, name: &str) -> Result<Grade, Problem> {
    let unknown = || Problem::invalid_field("grade", "the venue has no seats of this grade");
    layout.grade(name).ok_or_else(unknown)
}

/// A map to be written.
pub(super) struct Map<'a> {
    pub(super) entry: &'a ScheduleEntry,
    pub(super) prices: &'a Prices,
    pub(super) version: u64,
    pub(super) statuses: &'a [SeatStatus],
}

impl Map<'_> {
    /// Writes the map, or what of it has a status and a grade.
    pub(super) fn write(&self, status: Option<SeatStatus>, grade: Option<Grade>) -> Vec<u8> {
        let mut json = JsonWriter::with_capacity(self.statuses.len() * 160 + 128);
        json.raw("{\"scheduleId\":").string(self.entry.id());
        json.raw(",\"version\":").display(self.version).raw(",\"seats\":[");
        self.write_seats(&mut json, status, grade);
        json.raw("]}");
        json.into_bytes()
    }

    /// Writes the seats, separated by commas. What a row's seats share is written once and copied.
    pub(super) fn write_seats(
        &self,
        json: &mut JsonWriter,
        status: Option<SeatStatus>,
        grade: Option<Grade>,
    ) {
        let layout = self.entry.layout();
        let mut first = true;
        for row in layout.rows().iter().filter(|row| grade.is_none_or(|grade| grade == row.grade)) {
            let section = &layout.sections()[usize::from(row.section)];
            let mut place = JsonWriter::default();
            place.raw(",\"section\":").string(&section.id).raw(",\"floor\":").string(&section.floor);
            place.raw(",\"row\":").string(&row.id).raw(",\"number\":");
            let mut worth = JsonWriter::default();
            worth.raw(",\"grade\":").string(&layout.grades()[row.grade.index()]).raw(",\"price\":");
            worth.display(self.prices.by_grade[row.grade.index()].minor()).raw(",\"status\":\"");
            let (place, worth) = (text(place), text(worth));
            for seat in row.seats() {
                let of = self.statuses[seat.index()];
                if status.is_some_and(|status| status != of) {
                    continue;
                }
                json.raw(if first { "{\"seatId\":" } else { ",{\"seatId\":" });
                first = false;
                json.string(layout.seat_id(seat)).raw(&place).display(layout.seat_number(seat));
                json.raw(&worth).raw(of.as_str()).raw("\"}");
            }
        }
    }
}

fn text(json: JsonWriter) -> String {
    String::from_utf8(json.into_bytes()).expect("JSON is UTF-8")
}

/// Follow the seat map
///
/// Server-sent events: first `snapshot` (every seat that isn't available), then `delta` for each
/// version after it, without a gap; who falls too far behind gets a fresh `snapshot`. `id` names the schedule's number, the version
/// and what the map says; `Last-Event-ID` resumes, and gets a `snapshot` where it is another's or too old.
#[utoipa::path(get, path = "/api/v1/schedules/{scheduleId}/seats/events", tag = "Seats",
    params(("scheduleId" = String, Path), ("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, description = "`text/event-stream`"), (status = 404, description = "`not_found`")))]
async fn events(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let entry = find(&app, &id).await?;
    if entry.is_archived() {
        // Nothing changes any more: the client gets the map, and the connection keeps nothing in memory.
        let (mark, statuses) = entry.marked_seats();
        let first = snapshot(&entry, mark, &statuses);
        return Ok(streamed(still(first, app.parts.shutdown.clone())));
    }
    let resumed = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    let follower = Follower {
        versions: entry.watch_seats(),
        version: resumed.and_then(|id| resumed_at(&entry, id)),
        greeted: false,
        shutdown: app.parts.shutdown.clone(),
        entry,
    };
    let stream = futures_util::stream::unfold(follower, |mut follower| async move {
        follower.next().await.map(|chunk| (chunk, follower))
    });
    Ok(streamed(stream))
}

/// Sends chunks as a stream of events.
fn streamed(chunks: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let mut response = Response::new(Body::from_stream(chunks.map(Ok::<_, core::convert::Infallible>)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Some proxies hold a stream back unless they are told.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// The stream of a map that stands still.
fn still(first: Bytes, shutdown: CancellationToken) -> impl Stream<Item = Bytes> {
    futures_util::stream::unfold((Some(first), shutdown), |(first, shutdown)| async move {
        if let Some(first) = first {
            return Some((first, (None, shutdown)));
        }
        tokio::select! {
            () = tokio::time::sleep(KEEP_ALIVE) => Some((STILL_HERE, (None, shutdown))),
            () = shutdown.cancelled() => None,
        }
    })
}

/// One client that follows a map.
struct Follower {
    entry: Arc<ScheduleEntry>,
    versions: watch::Receiver<u64>,
    /// The version that the client has.
    version: Option<u64>,
    greeted: bool,
    shutdown: CancellationToken,
}

impl Follower {
    /// Returns what is sent next; `None` ends the stream. Asked only when the client took the last.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.versions.borrow_and_update();
            if self.shutdown.is_cancelled() || self.entry.is_gone() {
                return None;
            }
            let Some(version) = self.version else { return Some(self.snapshot()) };
            let Some(deltas) = self.entry.deltas_after(version, DELTAS_PER_WRITE) else {
                return Some(self.snapshot());
            };
            if let Some(chunk) = self.deltas(&deltas) {
                return Some(chunk);
            }
            if !self.greeted {
                // A resumed stream with nothing new says so, so that the client knows it is connected.
                self.greeted = true;
                return Some(Bytes::from_static(b": resumed\n\n"));
            }
            tokio::select! {
                changed = self.versions.changed() => if changed.is_err() { return None },
                () = tokio::time::sleep(KEEP_ALIVE) => return Some(STILL_HERE),
                () = self.shutdown.cancelled() => return None,
            }
        }
    }

    fn snapshot(&mut self) -> Bytes {
        let (mark, statuses) = self.entry.marked_seats();
        self.version = Some(mark.version);
        self.greeted = true;
        snapshot(&self.entry, mark, &statuses)
    }

    fn deltas(&mut self, deltas: &[Arc<Delta>]) -> Option<Bytes> {
        self.version = Some(deltas.last()?.mark.version);
        self.greeted = true;
        let encode = |delta: &Arc<Delta>| {
            let seats = |delta: &Delta| frame("delta", &self.entry, delta.mark, delta.seats.iter().copied());
            delta.frame(seats)
        };
        if let [delta] = deltas {
            return Some(encode(delta));
        }
        let mut chunk = BytesMut::new();
        for delta in deltas {
            chunk.extend_from_slice(&encode(delta));
        }
        Some(chunk.freeze())
    }
}

fn snapshot(entry: &ScheduleEntry, mark: SeatsMark, statuses: &[SeatStatus]) -> Bytes {
    let taken = entry.layout().seats().map(|seat| (seat, statuses[seat.index()]));
    let taken = taken.filter(|(_, status)| *status != SeatStatus::Available);
    frame("snapshot", entry, mark, taken)
}

fn frame(
    event: &str,
    entry: &ScheduleEntry,
    mark: SeatsMark,
    seats: impl Iterator<Item = (crate::domain::venue::Seat, SeatStatus)>,
) -> Bytes {
    let mut json = JsonWriter::with_capacity(128);
    json.raw("id: ").raw(&id_of(entry, mark)).raw("\nevent: ").raw(event);
    json.raw("\ndata: {\"version\":").display(mark.version).raw(",\"seats\":{");
    for (index, (seat, status)) in seats.enumerate() {
        if index > 0 {
            json.raw(",");
        }
        json.string(entry.layout().seat_id(seat)).raw(":\"").raw(status.as_str()).raw("\"");
    }
    json.raw("}}\n\n");
    json.into_bytes().into()
}
