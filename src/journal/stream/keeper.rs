//! Keeps a replicated log and its snapshots, to be read.
//!
//! What is no longer retained is deleted up to a snapshot: the newest one that was taken before the time that is to be kept, and never
//! later than the older of the two newest. So each instant that is to be kept can be rebuilt.
//!
//! Invariant: the message that a snapshot's position is in stays, and with it the lane's last one: servers take an append that expects
//! an empty log once a subject has no message.

use std::sync::{Arc, PoisonError};

use tokio::sync::watch;

use super::super::config::Retain;
use super::super::keeper::Keeper;
use super::super::position::Position;
use super::super::read::Runs;
use super::super::read_error::ReadError;
use super::super::retention;
use super::super::snapshot::{Snapshot, SnapshotError, SnapshotHeader, SnapshotWriter};
use super::health::{LogHealth, Vitals};
use super::runs::{Oldest, StreamReader, StreamRuns};
use super::snapshots::{self, Sheet, Shelf};

/// See the module.
pub(super) struct StreamKeeper {
    pub(super) reader: Arc<StreamReader>,
    pub(super) shelf: Arc<Shelf>,
}

impl Keeper for StreamKeeper {
    fn runs(&self, after: Position, until: Position) -> Runs {
        StreamRuns::new(Arc::clone(&self.reader), after, until).into()
    }

    fn oldest(&self) -> Position {
        Position::in_stream(self.reader.oldest().sequence)
    }

    fn retained_after(&self) -> Position {
        self.reader.retained_after()
    }

    fn is_rotation_due(&self, _: Position, _: Retain, _: u64) -> bool {
        // It has no parts that would have to end.
        false
    }

    fn delete_old(&self, retain: Retain, now: u64) {
        if let Err(error) = self.try_delete_old(retain, now) {
            tracing::warn!(%error, "what is no longer retained can't be deleted");
        }
    }

    fn snapshots(&self) -> Result<Vec<Position>, SnapshotError> {
        snapshots::list(&self.shelf)
    }

    fn snapshot_at(&self, position: Position) -> Result<Snapshot, SnapshotError> {
        snapshots::read(&self.shelf, position)
    }

    fn snapshot_len(&self, position: Position) -> u64 {
        snapshots::sheet(&self.shelf, position).map_or(0, |sheet| sheet.bytes())
    }

    fn begin_snapshot(&self, header: SnapshotHeader) -> Result<SnapshotWriter, SnapshotError> {
        Ok(SnapshotWriter::to(Box::new(snapshots::begin(&self.shelf, header.position)), header))
    }

    fn health(&self) -> LogHealth {
        self.vitals().show(self.shelf.session.is_connected())
    }

    fn snapshots_lost(&self) -> Option<watch::Receiver<bool>> {
        Some(self.vitals().snapshots_lost())
    }
}

#[derive(Debug, thiserror::Error)]
enum DeleteError {
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl StreamKeeper {
    fn vitals(&self) -> &Vitals {
        &self.shelf.vitals
    }

    fn try_delete_old(&self, retain: Retain, now: u64) -> Result<(), DeleteError> {
        self.follow_cut()?;
        let sheets: Vec<Sheet> = snapshots::list(&self.shelf)?
            .into_iter()
            .filter_map(|position| snapshots::sheet(&self.shelf, position).ok())
            .collect();
        let dated = |sheet: &Sheet| (sheet.header.position, sheet.header.instant);

        // One of another history of the log is none to rest on; it goes when its time comes.
        let of_this: Vec<_> = sheets
            .iter()
            .filter(|sheet| snapshots::check_history(&self.shelf, sheet).is_ok())
            .map(dated)
            .collect();
        let base = retention::base_of(&of_this, retain, now);
        if let Some(base) = base {
            self.purge_before(base)?;
        }
        let all: Vec<_> = sheets.iter().map(dated).collect();
        snapshots::remove(&self.shelf, &retention::unwanted(&all, base, now))?;
        Ok(())
    }

    /// Learns where the log begins after somebody else has deleted its beginning.
    fn follow_cut(&self) -> Result<(), ReadError> {
        let cut = self.vitals().oldest();
        if cut > self.reader.oldest().sequence {
            let (sequence, header) = self.reader.entry_of(cut)?;
            self.keep_from(Oldest { sequence, ordinal: header.first });
        }
        Ok(())
    }

    /// Deletes the entries before the one that a position is in.
    fn purge_before(&self, base: Position) -> Result<(), DeleteError> {
        let (first, header) = self.reader.entry_of(base.sequence())?;
        let oldest = self.reader.oldest();
        if first <= oldest.sequence {
            return Ok(());
        }

        // Said first: whoever finds less than this has come too late.
        snapshots::check_own(&self.shelf)?;
        let next = Oldest { sequence: first, ordinal: header.first };
        self.keep_from(next);
        let (session, names) = (Arc::clone(&self.shelf.session), self.shelf.names.clone());
        let purged = self
            .shelf
            .session
            .block(async move { session.purge(&names.log, &names.lane, Some(first)).await });
        match purged {
            Ok(()) => tracing::info!(position = base.get(), "deleted what is no longer retained"),
            Err(error) => {
                tracing::warn!(error = %error.what, "what is no longer retained can't be deleted; the next snapshot tries again");
                // Without an answer it may be deleted, or will be.
                if error.code.is_some() {
                    self.keep_from(oldest);
                }
            }
        }
        Ok(())
    }

    /// Says which is the first message that has to be there.
    fn keep_from(&self, oldest: Oldest) {
        *self.reader.oldest.lock().unwrap_or_else(PoisonError::into_inner) = oldest;
        self.vitals().keep_from(oldest.sequence);
    }
}
