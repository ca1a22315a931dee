//! Everything at one position, as lines of JSON that are sent while they are made.
//!
//! ```text
//! blocking thread: cut → rows ─▶ chunks, a few at most ─▶ body ─▶ client
//! ```
//!
//! Only one export runs at a time, since it holds a second world in memory. A client that goes away or takes nothing, and a stop
//! of the server, end the work at the next chunk.
//!
//! Absent on purpose: another status than 200 for a failure after the beginning; the last line says it.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::Response;
use bytes::Bytes;

use super::past::unreadable;
use crate::archive::ArchiveError;
use crate::engine::{Engine, PointInTimeError};
use crate::export::{Sources, Taken, Writer, count, walk};
use crate::http::app::App;
use crate::http::auth::Auditor;
use crate::http::context::RequestContext;
use crate::http::exports::{NotTaken, Out, stream_of};
use crate::http::problem::Problem;
use crate::http::stream;

/// A chunk ends with the row that fills this many bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// Export everything at one position
///
/// Venues, concerts, schedules, seats, users, payments, reservations, accounts and their movements, as they were
/// after one event of the journal, without secrets. `onsale export` writes them to files. The first line has the
/// position, the tables and their numbers of rows. Then comes a line for each row, and last a line with
/// `"complete": true`. Without that line the export was cut off; `{"failure": "…"}` in its place says why.
#[utoipa::path(get, path = "/api/v1/admin/export", operation_id = "exportAll", tag = "Operations", security(("bearer" = [])),
    responses((status = 200, content_type = "application/x-ndjson",
        description = "`{\"onsale\", \"schemaVersion\", \"position\", \"takenAt\", \"logId\", \"tables\": [{\"name\", \"columns\", \"rows\"}]}`, then `[\"<table>\", <value>, …]` a row, then `{\"complete\": true, \"tables\": {\"<table>\": <rows>}}`"),
        (status = 503, description = "`overloaded` with `Retry-After`: another export is running")))]
pub(super) async fn export(
    State(app): State<App>,
    _: Auditor,
    context: RequestContext,
) -> Result<Response, Problem> {
    let turn = app.exports.begin()?;
    let (out, given) = stream_of(&app.parts.shutdown, Bytes::from_static(b"\n"), Writer::failure);
    let (engine, request_id) = (app.engine.clone(), context.id().to_owned());
    tokio::task::spawn_blocking(move || {
        match give(&engine, &out) {
            Ok((taken, rows)) => {
                tracing::info!(position = taken.position.get(), rows, request_id, "everything was exported");
            }
            Err(ExportError::NotTaken(NotTaken::Left) | ExportError::Cut(PointInTimeError::Unwanted)) => {
                tracing::info!(request_id, "an export ended early: its client went away");
            }
            Err(ExportError::NotTaken(NotTaken::Stalled)) => {
                tracing::warn!(request_id, "an export ended early: its client took nothing for a minute");
            }
            // Whoever left needn't hear why it failed.
            Err(ExportError::Cut(PointInTimeError::Past(error))) => {
                let _ = out.send(Writer::failure(unreadable(&error, &request_id).detail()));
            }
            Err(error @ ExportError::Archive(_)) => {
                tracing::error!(%error, request_id, "nothing can be exported");
                let why = format!("the engine's log has the reason, under the request id {request_id}");
                let _ = out.send(Writer::failure(&why));
            }
        }
        drop(turn);
    });

    Ok(stream::of(HeaderValue::from_static("application/x-ndjson"), stream::chunks(given)))
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    #[error(transparent)]
    Cut(#[from] PointInTimeError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// Sends all rows. Returns the moment of the export and the number of rows.
fn give(engine: &Engine, out: &Out) -> Result<(Taken, u64), ExportError> {
    let cut = engine.point_in_time(&|| out.is_wanted())?;
    let taken = Taken { position: cut.position, at: cut.at, log_id: engine.journal().log_id() };
    let mut sources = Sources::<ExportError>::of(&cut.world, taken);
    sources.add_archive(engine.archive(), &cut.world);
    let rows = count(&sources)?;
    let mut writer = Writer::new(&taken, &rows);
    walk(&sources, &mut |table, values| {
        writer.row(table, values);
        if writer.len() < CHUNK_BYTES { Ok(()) } else { Ok(out.send(writer.take())?) }
    })?;
    writer.complete();
    out.send(writer.take())?;
    Ok((taken, rows.iter().sum()))
}
