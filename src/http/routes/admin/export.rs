//! Everything at one position, as lines of JSON that are sent while they are made.
//!
//! ```text
//! blocking thread: cut → rows ─▶ chunks, a few at most ─▶ body ─▶ client
//! ```
//!
//! Only one export runs at a time, since it holds a second world in memory. A client that goes away or takes nothing for
//! [`STALL`], and a stop of the server, end the work at the next chunk.
//!
//! Absent on purpose: another status than 200 for a failure after the beginning; the last line says it.

use core::time::Duration;

use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::Response;
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::past::unreadable;
use crate::archive::ArchiveError;
use crate::engine::{Engine, PointInTimeError};
use crate::export::{Sources, Taken, Writer, count, walk};
use crate::http::app::App;
use crate::http::auth::Auditor;
use crate::http::problem::{Code, Problem};
use crate::http::request::RequestContext;
use crate::http::stream::{self, Follow, KEEP_ALIVE};

/// A chunk ends with the row that fills this many bytes.
const CHUNK_BYTES: usize = 64 << 10;
/// The chunks that wait for the client.
const CHUNKS: usize = 4;
/// How long a client may accept nothing.
const STALL: Duration = Duration::from_mins(1);
/// The seconds after which to ask again while another export runs.
const RETRY_AFTER_SECONDS: u64 = 10;

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
    let turn = app.exports.begin().ok_or_else(|| {
        let detail = "An export is running already; there is one at a time.";
        Problem::new(Code::Overloaded, detail).retry_after(RETRY_AFTER_SECONDS)
    })?;
    let (chunks, given) = mpsc::channel(CHUNKS);
    let (engine, request_id) = (app.engine.clone(), context.id().to_owned());
    tokio::task::spawn_blocking(move || {
        let out = Out { chunks, runtime: Handle::current() };
        match give(&engine, &out) {
            Ok((taken, rows)) => {
                tracing::info!(position = taken.position.get(), rows, request_id, "everything was exported");
            }
            Err(ExportError::Left | ExportError::Cut(PointInTimeError::Unwanted)) => {
                tracing::info!(request_id, "an export ended early: its client went away");
            }
            Err(ExportError::Stalled) => {
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

    let given = ExportBody { chunks: given, shutdown: app.parts.shutdown.clone(), ended: false };
    Ok(stream::of(HeaderValue::from_static("application/x-ndjson"), stream::chunks(given)))
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("the client went away")]
    Left,
    #[error("the client took nothing for too long")]
    Stalled,
    #[error(transparent)]
    Cut(#[from] PointInTimeError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// The blocking side of the stream.
struct Out {
    chunks: mpsc::Sender<Bytes>,
    runtime: Handle,
}

impl Out {
    /// Waits until there is room for a chunk of whole lines.
    fn send(&self, chunk: Vec<u8>) -> Result<(), ExportError> {
        let sent = async { tokio::time::timeout(STALL, self.chunks.send(chunk.into())).await };
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(ExportError::Left),
            Err(_) => Err(ExportError::Stalled),
        }
    }
}

/// Sends all rows. Returns the moment of the export and the number of rows.
fn give(engine: &Engine, out: &Out) -> Result<(Taken, u64), ExportError> {
    let cut = engine.point_in_time(&|| !out.chunks.is_closed())?;
    let taken = Taken { position: cut.position, at: cut.at, log_id: engine.journal().log_id() };
    let mut sources = Sources::<ExportError>::of(&cut.world, taken);
    sources.add_archive(engine.archive(), &cut.world);
    let rows = count(&sources)?;
    let mut writer = Writer::new(&taken, &rows);
    walk(&sources, &mut |table, values| {
        writer.row(table, values);
        if writer.len() < CHUNK_BYTES { Ok(()) } else { out.send(writer.take()) }
    })?;
    writer.complete();
    out.send(writer.take())?;
    Ok((taken, rows.iter().sum()))
}

/// The client's side of the stream.
struct ExportBody {
    chunks: mpsc::Receiver<Bytes>,
    shutdown: CancellationToken,
    ended: bool,
}

impl Follow for ExportBody {
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => {
                self.ended = true;
                Some(Writer::failure("it is stopping").into())
            }
            chunk = self.chunks.recv() => chunk,
            // An empty line: chunks are whole lines, so it never stands within one.
            () = tokio::time::sleep(KEEP_ALIVE) => Some(Bytes::from_static(b"\n")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_with_nothing_to_give_says_that_it_is_alive_and_a_stop_ends_it() {
        let (chunks, given) = mpsc::channel(CHUNKS);
        let shutdown = CancellationToken::new();
        let mut body = ExportBody { chunks: given, shutdown: shutdown.clone(), ended: false };
        chunks.send(Bytes::from_static(b"[]\n")).await.unwrap();
        assert_eq!(body.next().await.unwrap(), "[]\n");
        assert_eq!(body.next().await.unwrap(), "\n");
        shutdown.cancel();
        assert_eq!(body.next().await.unwrap(), "{\"failure\":\"it is stopping\"}\n");
        assert_eq!(body.next().await, None);
    }

    #[tokio::test]
    async fn a_client_that_went_away_ends_the_work() {
        let (chunks, given) = mpsc::channel(CHUNKS);
        let out = Out { chunks, runtime: Handle::current() };
        drop(given);
        let sent = tokio::task::spawn_blocking(move || out.send(Vec::new())).await.unwrap();
        assert!(matches!(sent, Err(ExportError::Left)), "{sent:?}");
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up_after_a_while() {
        let (chunks, given) = mpsc::channel(1);
        let out = Out { chunks, runtime: Handle::current() };
        out.chunks.send(Bytes::new()).await.unwrap();
        tokio::time::pause();
        let sent = tokio::task::spawn_blocking(move || out.send(Vec::new()));
        tokio::pin!(sent);
        let sent = loop {
            tokio::select! {
                biased;
                sent = &mut sent => break sent.unwrap(),
                () = tokio::time::advance(STALL) => tokio::task::yield_now().await,
            }
        };
        assert!(matches!(sent, Err(ExportError::Stalled)), "{sent:?}");
        drop(given);
    }
}
