//! Follows the log: every durable fact, in order and none left out, behind any position that the journal still has.
//!
//! Absent on purpose: JSON, names for numbers, and memory of who follows. A follower keeps its position itself, and costs that and one
//! page: the next is read, off the async threads, once it asks.

use tokio::sync::watch;

use super::history::{HistoryError, Moment};
use crate::engine::Engine;
use crate::journal::{Log, Position, ReadError};
use crate::recovery;

/// A page ends with the record that fills this many bytes: one record (a venue's) can have more.
const PAGE_BYTES: usize = 16 << 10;

/// Follows the durable facts. Made by [`Engine::changes`].
pub struct Changes {
    log: Log,
    durable: watch::Receiver<Position>,
    /// The last position that was returned.
    after: Position,
}

impl Engine {
    /// Follows everything that happens behind a position: [`Position::START`] is before the first fact, and `journal().durable()` is now.
    pub fn changes(&self, after: Position) -> Changes {
        let log = self.journal().clone();
        Changes { durable: log.watch(), log, after }
    }
}

impl Changes {
    /// Returns the position up to which it has told everything. Keep it, and go on from there after a restart.
    pub fn position(&self) -> Position {
        self.after
    }

    /// Waits until there is more to tell; says no once the engine is closed. May be dropped and called again.
    pub async fn ready(&mut self) -> bool {
        loop {
            if *self.durable.borrow_and_update() > self.after {
                return true;
            }
            tokio::select! {
                changed = self.durable.changed() => if changed.is_err() { return false },
                () = self.log.closed() => return false,
            }
        }
    }

    /// Waits for the next facts and returns them, a page at a time; nothing once the engine is closed.
    ///
    /// # Errors
    /// [`HistoryError::NotRetained`] when the journal begins behind the position by now; when it can't be read.
    pub async fn next(&mut self) -> Result<Option<Vec<Moment>>, HistoryError> {
        if !self.ready().await {
            return Ok(None);
        }

        let (log, after) = (self.log.clone(), self.after);
        let read = self.log.driver().run_blocking(move || page(&log, after)).await;
        match read.unwrap_or(Err(HistoryError::Read(ReadError::Closed))) {
            Ok(page) => {
                if let Some(last) = page.last() {
                    assert!(last.position > self.after, "a page only goes on");
                    self.after = last.position;
                }
                Ok(Some(page))
            }
            Err(HistoryError::Read(ReadError::Closed)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn page(log: &Log, after: Position) -> Result<Vec<Moment>, HistoryError> {
    let mut page = Vec::new();
    let mut bytes = 0;
    for read in log.read(after) {
        let (position, record) = read?;
        page.push(Moment { position, record: recovery::decode(position, &record)? });
        bytes += record.len();
        if bytes >= PAGE_BYTES {
            break;
        }
    }
    Ok(page)
}
