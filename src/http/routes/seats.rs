//! The seat map, and the stream of its changes.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::schedule::SeatStatus;
use crate::domain::venue::{Grade, Layout};
use crate::engine::ScheduleEntry;
use crate::http::ClientAddress;
use crate::http::app::App;
use crate::http::by_ticket::ByTicket;
use crate::http::description::add_schema;
use crate::http::documents::{GradeText, SeatWord, ShapeWord};
use crate::http::extract::{Path, Query};
use crate::http::lookup::{count_seats, find, plan_of};
use crate::http::map_areas::{MapAreaDocument, SeatFilter};
use crate::http::problem::Problem;
use crate::http::seat_map::{MapBody, MapDocument, id_of, narrowed};
use crate::http::seat_vector::VectorDocument;
use crate::http::stream::LAST_EVENT_ID;
use crate::http::table::{Routes, routes};
use crate::http::tagged::{Kept, has, reads_gzip, sent, unchanged};

mod follow;

/// Makes the routes of the seat map.
pub fn routes() -> Routes<App> {
    let mut routes = routes![seats, events];
    add_schema::<ChangesDocument>(&mut routes.openapi);
    routes
}

/// An event of a seat map's stream. A `snapshot` has every seat that isn't available and all areas, a `delta` the seats and the counts
/// of areas that changed.
#[derive(Debug, ToSchema)]
#[schema(as = SeatChanges)]
#[expect(dead_code, reason = "describes what `frame` writes")]
struct ChangesDocument {
    /// The version of the map after this event.
    version: u64,
    /// The statuses of seats by their ids.
    seats: BTreeMap<String, SeatWord>,
    /// The areas of a `snapshot`, of a `delta` the counts that changed; absent if the venue has no areas, or none changed.
    areas: Option<AreasDocument>,
}

/// What a stream tells of areas.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is written")]
enum AreasDocument {
    /// Every area, in a `snapshot`.
    All(Vec<MapAreaDocument<'static>>),
    /// The areas that changed by their ids, in a `delta`; of each the counts that changed, as they are now.
    Changed(BTreeMap<String, BTreeMap<String, u32>>),
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
    /// How the map is written; with `vector` it can't be narrowed.
    #[serde(default)]
    #[param(inline)]
    shape: ShapeWord,
}

/// A seat map in one of its shapes.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[schema(as = SeatMapOfAShape)]
#[expect(dead_code, reason = "describes what is written")]
enum MapAnswer {
    List(MapDocument),
    Vector(VectorDocument<'static>),
}

/// Read the seat map
///
/// The durable state, with a strong `ETag` for `If-None-Match`. It never says who holds a seat. For the limit of
/// reads by network address (429 `rate_limited`), a map counts as one read, and one more for each 2,000 seats.
///
/// With `shape=vector` the answer is small (a third of a byte for each seat), and follows the order of the seats of
/// `GET /plans/{planId}`: read the plan once and the vector as often as it changes. It counts as one read. With `status` or `grade` it
/// is 422.
#[utoipa::path(get, path = "/api/v1/schedules/{scheduleId}/seats", operation_id = "readSeatMap", tag = "Seats",
    params(("scheduleId" = String, Path), NarrowQuery, ("If-None-Match" = Option<String>, Header, pattern = r"^[^\x00-\x08\x0a-\x1f\x7f]*$")),
    responses((status = 200, description = "Every seat with its status", body = MapAnswer),
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
    if query.shape == ShapeWord::Vector {
        return vector(&app, &entry, &query, &headers);
    }

    let status = query.status.map(SeatStatus::from);
    let grade = query.grade.as_deref().map(|name| grade_named(entry.layout(), name)).transpose()?;
    let body = app.seat_bodies.get(&app.engine, &entry);
    let is_whole = status.is_none() && grade.is_none();
    let gzip = is_whole && reads_gzip(&headers);
    if has(&headers, &body.tag) {
        return Ok(unchanged(&body.tag, gzip, Kept::Checked));
    }

    count_seats(&app, address, entry.layout())?;
    if !is_whole {
        let pieces = narrowed(&body, SeatFilter { status, grade });
        let stream = futures_util::stream::iter(pieces.map(Ok::<_, core::convert::Infallible>));
        return Ok(sent(&body.tag, Body::from_stream(stream), false, Kept::Checked));
    }

    if gzip && let Some((body, gzip)) = app.seat_bodies.compressed(&app.engine, &entry).await {
        return Ok(sent(&body.tag, Body::from(gzip), true, Kept::Checked));
    }
    let tag = body.tag.clone();
    Ok(sent(&tag, Body::new(MapBody::new(body)), false, Kept::Checked))
}

/// Answers with the map as a vector.
fn vector(
    app: &App,
    entry: &ScheduleEntry,
    query: &NarrowQuery,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    for (field, is_given) in [("status", query.status.is_some()), ("grade", query.grade.is_some())] {
        if is_given {
            return Err(Problem::invalid_field(field, "a vector has every seat: leave it out"));
        }
    }

    // A schedule that was removed at this moment has no venue any more.
    let plan = plan_of(app, entry).ok_or_else(Problem::not_found)?;
    let (tag, body) = app.seat_vectors.get(&app.engine, entry, plan);
    if has(headers, &tag) {
        return Ok(unchanged(&tag, false, Kept::Checked));
    }
    Ok(sent(&tag, Body::from(body), false, Kept::Checked))
}

fn grade_named(layout: &Layout, name: &str) -> Result<Grade, Problem> {
    let unknown = || Problem::invalid_field("grade", "the venue has no seats of this grade");
    layout.grade(name).ok_or_else(unknown)
}

/// Follow the seat map
///
/// Server-sent events: first `snapshot` (every seat that isn't available, and all areas), then `delta` for each later version
/// (the seats that changed, and of areas the counts that did), without a gap. A client that falls too far behind gets a new `snapshot`. `id` names the schedule's number, the
/// version and the map's content. `Last-Event-ID` resumes; one that is too old or of another map gets a `snapshot`.
#[utoipa::path(get, path = "/api/v1/schedules/{scheduleId}/seats/events", operation_id = "followSeatMap", tag = "Seats",
    params(("scheduleId" = String, Path), ("Last-Event-ID" = Option<String>, Header, pattern = r"^[^\x00-\x08\x0a-\x1f\x7f]*$"),
        ("ticket" = Option<String>, Query, description = "Not needed, since the stream is public: from `POST /streams/tickets`", pattern = "^[A-Za-z0-9_-]{43}$")),
    responses((status = 200, content_type = "text/event-stream", body = String,
        description = "The `data` of `snapshot` and `delta` is a `SeatChanges`"),
        (status = 404, description = "`not_found`")))]
async fn events(
    State(app): State<App>,
    _: ByTicket,
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
