//! The seat map, and the stream of its changes.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::schedule::SeatStatus;
use crate::domain::venue::{Grade, Layout};
use crate::engine::ScheduleEntry;
use crate::http::ClientAddress;
use crate::http::app::App;
use crate::http::description::add_schema;
use crate::http::documents::{GradeText, SeatWord};
use crate::http::extract::{Path, Query};
use crate::http::lookup::find;
use crate::http::problem::Problem;
use crate::http::seat_map::{MapBody, MapDocument, SeatFilter, id_of, narrowed};
use crate::http::stream::LAST_EVENT_ID;
use crate::http::table::{Routes, routes};

mod follow;

/// How many seats of a map count as one more read.
const SEATS_PER_READ: u32 = 2_000;

/// Makes the routes of the seat map.
pub fn routes() -> Routes<App> {
    let mut routes = routes![seats, events];
    add_schema::<ChangesDocument>(&mut routes.openapi);
    routes
}

/// An event of a seat map's stream. A `snapshot` has every seat that isn't available, a `delta` the seats that
/// changed.
#[derive(Debug, ToSchema)]
#[schema(as = SeatChanges)]
#[expect(dead_code, reason = "describes what `frame` writes")]
struct ChangesDocument {
    /// The version of the map after this event.
    version: u64,
    /// The statuses of seats by their ids.
    seats: BTreeMap<String, SeatWord>,
}

/// Returns the version that a client has, if `id` is one that this map's stream gives for it.
fn resumed_at(entry: &ScheduleEntry, id: &str) -> Option<u64> {
    let version = id.split('-').nth(1)?.parse().ok()?;
    let mark = entry.mark_at(version)?;
    (id_of(entry, mark) == id).then_some(version)
}

/// The filter of a map.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct NarrowQuery {
    /// Only seats with this status.
    status: Option<SeatWord>,
    /// Only seats of this grade, which the venue must have.
    #[param(value_type = Option<GradeText>)]
    grade: Option<String>,
}

/// Read the seat map
///
/// The durable state, with a strong `ETag` for `If-None-Match`. It never says who holds a seat. For the limit of
/// reads by network address (429 `rate_limited`), a map counts as one read, and one more for each 2,000 seats.
#[utoipa::path(get, path = "/api/v1/schedules/{scheduleId}/seats", operation_id = "readSeatMap", tag = "Seats",
    params(("scheduleId" = String, Path), NarrowQuery, ("If-None-Match" = Option<String>, Header, pattern = r"^[^\x00-\x08\x0a-\x1f\x7f]*$")),
    responses((status = 200, description = "Every seat with its status", body = MapDocument),
        (status = 304, description = "The caller's copy is current"),
        (status = 404, description = "`not_found`")))]
async fn seats(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<NarrowQuery>,
    address: ClientAddress,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let entry = find(&app, &id).await?;
    let status = query.status.map(SeatStatus::from);
    let grade = query.grade.as_deref().map(|name| grade_named(entry.layout(), name)).transpose()?;
    let body = app.seat_bodies.get(&app.engine, &entry);
    let is_whole = status.is_none() && grade.is_none();
    let gzip = is_whole && reads_gzip(&headers);
    if has(&headers, &body.tag) {
        return Ok(unchanged(&body.tag, gzip));
    }

    count_seats(&app, address, entry.layout())?;
    if !is_whole {
        let pieces = narrowed(&body, SeatFilter { status, grade });
        let stream = futures_util::stream::iter(pieces.map(Ok::<_, core::convert::Infallible>));
        return Ok(sent(&body.tag, Body::from_stream(stream), false));
    }

    if gzip && let Some((body, gzip)) = app.seat_bodies.compressed(&app.engine, &entry).await {
        return Ok(sent(&body.tag, Body::from(gzip), true));
    }
    let tag = body.tag.clone();
    Ok(sent(&tag, Body::new(MapBody::new(body)), false))
}

/// Counts the additional reads of a map.
fn count_seats(app: &App, ClientAddress(address): ClientAddress, layout: &Layout) -> Result<(), Problem> {
    match layout.seat_count() / SEATS_PER_READ {
        0 => Ok(()),
        reads => app.parts.read_limit.check(&address, reads, app.engine.now()),
    }
}

/// Tells whether a caller accepts gzip (RFC 9110, section 12.5.3): its own weight counts, and that of `*` only if it
/// has none.
fn reads_gzip(headers: &HeaderMap) -> bool {
    let said_of = |names: &[&str]| {
        let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        lines.flat_map(|line| line.split(',')).find_map(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next()?;
            // A weight is a decimal number from 0 to 1, and nothing but zeros says no.
            let is_zero = |weight: &str| weight.bytes().all(|byte| matches!(byte, b'0' | b'.'));
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let is_meant = names.iter().any(|of| name.eq_ignore_ascii_case(of));
            is_meant.then(|| !weight.is_some_and(is_zero))
        })
    };
    said_of(&["gzip", "x-gzip"]).or_else(|| said_of(&["*"])).unwrap_or(false)
}

/// Tells whether the caller has this content, in any coding.
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

fn sent(tag: &str, body: Body, gzip: bool) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    tagged(headers, tag, gzip);
    response
}

/// Answers 304 with the headers that the 200 would have (RFC 9110, section 15.4.5).
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

fn grade_named(layout: &Layout, name: &str) -> Result<Grade, Problem> {
    let unknown = || Problem::invalid_field("grade", "the venue has no seats of this grade");
    layout.grade(name).ok_or_else(unknown)
}

/// Follow the seat map
///
/// Server-sent events: first `snapshot` (every seat that isn't available), then `delta` for each later version,
/// without a gap. A client that falls too far behind gets a new `snapshot`. `id` names the schedule's number, the
/// version and the map's content. `Last-Event-ID` resumes; one that is too old or of another map gets a `snapshot`.
#[utoipa::path(get, path = "/api/v1/schedules/{scheduleId}/seats/events", operation_id = "followSeatMap", tag = "Seats",
    params(("scheduleId" = String, Path), ("Last-Event-ID" = Option<String>, Header, pattern = r"^[^\x00-\x08\x0a-\x1f\x7f]*$")),
    responses((status = 200, content_type = "text/event-stream", body = String,
        description = "The `data` of `snapshot` and `delta` is a `SeatChanges`"),
        (status = 404, description = "`not_found`")))]
async fn events(
    State(app): State<App>,
    Path(id): Path<String>,
    address: ClientAddress,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let entry = find(&app, &id).await?;
    let resumed = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    let version = resumed.and_then(|id| resumed_at(&entry, id));
    if version.is_none() {
        // It begins with the map.
        count_seats(&app, address, entry.layout())?;
    }
    if entry.is_archived() {
        return Ok(follow::stand_still(&app, &entry));
    }
    Ok(follow::follow(app, entry, version))
}
