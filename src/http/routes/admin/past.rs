//! Reads of the past: off the async threads, and with the reason if one fails.

use crate::engine::HistoryError;
use crate::http::context::RequestContext;
use crate::http::problem::{Code, Problem};
use crate::journal::{Position, ReadError};

/// Runs a read of the journal or the snapshots on a thread that may block.
pub(super) async fn off_thread<T: Send + 'static>(
    context: &RequestContext,
    work: impl FnOnce() -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(unreadable(&error, context.id())),
        Err(_) => Err(Problem::internal(context.id())),
    }
}

/// Makes the problem of a past that can't be read. Damage is logged and counted for the operator: a start checks only the
/// records that it needs, so older damage is found here.
pub(super) fn unreadable(error: &HistoryError, request_id: &str) -> Problem {
    if error.is_full() {
        tracing::warn!(%error, request_id, "the past can't be read");
        return no_room();
    }

    let place = match error {
        HistoryError::NotRetained { oldest } => return not_retained(*oldest),
        HistoryError::Read(ReadError::Closed) => {
            return Problem::new(Code::NotReady, "The engine is stopping.").retry_after(1);
        }
        HistoryError::Read(ReadError::Damaged { .. } | ReadError::Gone { .. }) | HistoryError::Rebuild(_) => {
            error.to_string()
        }
        HistoryError::Read(ReadError::Log { position, .. }) => {
            format!(
                "the log's servers don't give what stands at position {position}; look at them and at this process's log"
            )
        }
        // What the disk says has paths in it, which the log may have.
        HistoryError::Read(ReadError::Store { generation, .. }) => {
            format!("generation {generation} can't be opened; run `onsale verify` on the data directory")
        }
        HistoryError::Snapshot(_) => "the snapshots can't be listed; this process's log says why".to_owned(),
    };

    metrics::counter!("onsale_journal_read_failures_total").increment(1);
    tracing::error!(%error, request_id, "the past can't be read");
    Problem::new(Code::JournalUnavailable, format!("What is kept of that time can't be read: {place}."))
}

/// Makes the problem of a full disk, which the operator must free: it isn't a bug.
pub(super) fn no_room() -> Problem {
    let detail = "There is no room for it on the engine's disk: free space there. The log has the figures.";
    Problem::new(Code::NotReady, detail).retry_after(60)
}

pub(super) fn not_retained(oldest: Position) -> Problem {
    Problem::new(Code::NotRetained, "This is no longer kept; see `oldestPosition`.")
        .with("oldestPosition", oldest.get())
}
