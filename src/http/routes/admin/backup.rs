//! The data directory as a stream, for a copy of it that is made elsewhere while the sale goes on.
//!
//! Absent on purpose: another status than 200 for a failure after the beginning; the last part says it.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::Response;

use crate::backup::{GiveError, alive, failure, give};
use crate::engine::Engine;
use crate::http::app::App;
use crate::http::auth::Admin;
use crate::http::context::RequestContext;
use crate::http::exports::{NotTaken, Out, stream_of};
use crate::http::problem::{Code, Problem};
use crate::http::stream;

/// Copy the data directory
///
/// Everything that `onsale backup` needs to make a data directory of its own, up to one position of the journal: the log with its
/// secret, the newest snapshots, the archive. The form is the program's own; use `onsale backup` of the engine's version.
#[utoipa::path(get, path = "/api/v1/admin/backup", operation_id = "backUp", tag = "Operations", security(("bearer" = [])),
    responses((status = 200, content_type = "application/octet-stream",
        description = "Parts in the program's own form. The last one says that it is complete, or why it isn't"),
        (status = 404, description = "`not_found`: the log isn't in the engine's data directory (`cluster.log`)"),
        (status = 503, description = "`overloaded` with `Retry-After`: an export or another backup is running")))]
pub(super) async fn backup(
    State(app): State<App>,
    _: Admin,
    context: RequestContext,
) -> Result<Response, Problem> {
    if !app.engine.journal().is_local() {
        return Err(Problem::new(
            Code::NotFound,
            "The engine's log is on NATS and not in its data directory, so there is nothing here to copy. Back up the servers' streams.",
        ));
    }
    let turn = app.exports.begin()?;
    let (out, given) = stream_of(&app.parts.shutdown, alive().into(), failure);
    let (engine, request_id) = (app.engine.clone(), context.id().to_owned());
    tokio::task::spawn_blocking(move || {
        send(&engine, &out, &request_id);
        drop(turn);
    });
    Ok(stream::of(HeaderValue::from_static("application/octet-stream"), stream::chunks(given)))
}

/// Why a backup ended early.
#[derive(Debug, thiserror::Error)]
enum BackupError {
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    #[error(transparent)]
    Give(#[from] GiveError),
}

fn send(engine: &Engine, out: &Out, request_id: &str) {
    let sent = give::<BackupError>(engine.data_dir(), engine.journal(), engine.archive(), |chunk| {
        Ok(out.send(chunk)?)
    });
    match sent {
        Ok(given) => {
            let (position, bytes) = (given.position.get(), given.bytes);
            tracing::info!(position, bytes, request_id, "the data directory was backed up");
        }
        Err(BackupError::NotTaken(error)) => {
            tracing::warn!(%error, request_id, "a backup ended early");
        }
        Err(BackupError::Give(error)) => {
            tracing::error!(%error, request_id, "the data directory can't be backed up");
            let why = format!("{error} (request id {request_id} in the engine's log)");
            // Whoever left needn't hear it.
            let _ = out.send(failure(&why));
        }
    }
}
