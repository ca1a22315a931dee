//! Operators' routes: the state in one page, the history of a schedule, the export, the backup, and the journal as a feed.
//!
//! Absent on purpose: secrets (events carry no key, and the journal's documents no password). Reads of the journal and
//! the snapshots run off the async threads.

mod backup;
mod cluster;
mod event_names;
mod export;
mod feed;
mod history;
mod overview;
mod past;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::past::{no_room, not_retained, unreadable};
use crate::engine::SnapshotFailed;
use crate::http::app::App;
use crate::http::auth::{Admin, Follower, FollowersToken};
use crate::http::by_ticket::ByTicket;
use crate::http::context::RequestContext;
use crate::http::extract::Query;
use crate::http::json::Json;
use crate::http::problem::{Code, Problem};
use crate::http::table::{Routes, routes};
use crate::journal::Position;

/// Makes the administrators' routes.
pub fn routes() -> Routes<App> {
    routes![
        overview::overview,
        history::history,
        history::seats_at,
        events,
        take_snapshot,
        export::export,
        backup::backup,
        cluster::cluster,
        cluster::drain
    ]
}

/// The position at which the feed begins.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Resume {
    /// The position of the last event that the consumer has.
    #[param(maximum = 9_007_199_254_740_991_u64)]
    after: Option<u64>,
}

/// Follow the journal
///
/// Server-sent `CloudEvents` 1.0 in JSON, one for every event, in order. `id` is the position. A consumer resumes
/// with `after` or `Last-Event-ID`; the latter wins. Without either, the stream begins with the oldest event that
/// is kept.
#[utoipa::path(get, path = "/api/v1/events", operation_id = "followJournal", tag = "Operations",
    params(Resume, ("Last-Event-ID" = Option<String>, Header, pattern = "^[0-9]{1,15}$", description = "As `after`"),
        ("ticket" = Option<String>, Query, description = "In place of the headers: from `POST /streams/tickets`", pattern = "^[A-Za-z0-9_-]{43}$")),
    security(("bearer" = []), ("streamTicket" = [])),
    responses((status = 200, content_type = "text/event-stream",
        description = "`id`: the position; `event`: the type; `data`: `{\"specversion\": \"1.0\", \"id\", \"source\", \"type\", \"subject\", \"time\", \"datacontenttype\", \"position\", \"data\": {…}}`"),
        (status = 410, description = "`not_retained` with `oldestPosition`"),
        (status = 422, description = "`invalid_request`: a position that the journal hasn't reached"),
        (status = 503, description = "`journal_unavailable`: the kept records are damaged")))]
async fn events(
    State(app): State<App>,
    _: ByTicket,
    Follower(caller): Follower,
    token: FollowersToken,
    Query(Resume { after }): Query<Resume>,
    headers: HeaderMap,
    context: RequestContext,
) -> Result<Response, Problem> {
    let journal = app.engine.journal();
    let oldest = journal.oldest();
    let after = match feed::last_event_id(&headers)?.or(after.map(Position::new)) {
        None => journal.retained_after(),
        Some(after) if after < journal.retained_after() => return Err(not_retained(oldest)),
        Some(after) if after > journal.durable() => {
            return Err(Problem::invalid_field("after", "the journal hasn't reached this position"));
        }
        Some(after) => after,
    };
    feed::follow(&app, caller, token, after, context.id())
        .await
        .map_err(|error| unreadable(&error, context.id()))
}

/// A snapshot that was taken.
#[derive(Debug, Serialize, ToSchema)]
struct SnapshotTaken {
    /// The position at which it was taken.
    position: u64,
}

/// Take a snapshot now
#[utoipa::path(post, path = "/api/v1/admin/snapshots", operation_id = "takeSnapshot", tag = "Operations", security(("bearer" = [])),
    responses((status = 200, description = "The snapshot was taken", body = SnapshotTaken),
        (status = 503, description = "`journal_unavailable`; `not_ready`: the engine stops, or its disk is full")))]
async fn take_snapshot(
    State(app): State<App>,
    _: Admin,
    context: RequestContext,
) -> Result<Json<SnapshotTaken>, Problem> {
    match app.engine.snapshot().await {
        Ok(position) => Ok(Json(StatusCode::OK, SnapshotTaken { position: position.get() })),
        Err(SnapshotFailed::JournalUnavailable) => {
            Err(Problem::new(Code::JournalUnavailable, "No snapshot is taken: the journal has failed."))
        }
        Err(SnapshotFailed::Stopping) => {
            Err(Problem::new(Code::NotReady, "No snapshot is taken: the engine is stopping."))
        }
        Err(error) if error.is_full() => {
            tracing::warn!(%error, request_id = context.id(), "no snapshot was taken");
            Err(no_room())
        }
        Err(error @ (SnapshotFailed::Io(_) | SnapshotFailed::Panicked)) => {
            tracing::error!(%error, request_id = context.id(), "no snapshot was taken");
            Err(Problem::internal(context.id()))
        }
    }
}
