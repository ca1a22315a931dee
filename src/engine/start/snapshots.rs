//! Snapshots: the state of everything, written beside the journal so that recovery needn't replay it all.
//!
//! A snapshot is taken by the catalogue's actor, so no schedule comes or goes meanwhile; the schedules go
//! on. It stands for the position of a barrier: everything before it has been published by then, and the published state is
//! what is written. (The durable position alone is a little ahead of what is published.) Each schedule's section may be
//! later than the position. Replay recognises the events that a section has by their versions, and skips them. Only durable
//! state is ever in a snapshot.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::clock::Stopwatch;
use crate::engine::directory::Directory;
use crate::engine::numbers;
use crate::journal::snapshot::SnapshotError;
use crate::journal::{CommitError, Position};

/// Why no snapshot was taken. The journal is as it was.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SnapshotFailed {
    /// The journal has failed: no snapshot is taken after that.
    #[error("the journal has failed")]
    JournalUnavailable,
    /// The file couldn't be written.
    #[error("the snapshot could not be written: {0}")]
    Io(Arc<SnapshotError>),
    /// The task that wrote it panicked.
    #[error("the snapshot's writer panicked")]
    Panicked,
    /// The engine is stopping.
    #[error("the engine is stopping")]
    Stopping,
}

impl SnapshotFailed {
    /// Tells whether the disk has too little room.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io(error) => error.is_full(),
            Self::JournalUnavailable | Self::Panicked | Self::Stopping => false,
        }
    }

    /// Names the reason in a metric.
    fn reason(&self) -> &'static str {
        match self {
            Self::JournalUnavailable => "journal",
            Self::Io(error) if error.is_full() => "no_room",
            Self::Io(_) => "disk",
            Self::Panicked => "bug",
            Self::Stopping => "stopping",
        }
    }
}

impl From<CommitError> for SnapshotFailed {
    fn from(_: CommitError) -> Self {
        Self::JournalUnavailable
    }
}

/// Takes a snapshot, and lets the journal end a generation and delete what is no longer retained.
pub(in crate::engine) async fn take(directory: &Arc<Directory>) -> Result<Position, SnapshotFailed> {
    let taken = try_take(directory).await;
    if let Err(error) = &taken {
        metrics::counter!("onsale_snapshots_failed_total", "reason" => error.reason()).increment(1);
    }
    taken
}

async fn try_take(directory: &Arc<Directory>) -> Result<Position, SnapshotFailed> {
    if directory.core.journal.failure().is_some() {
        return Err(SnapshotFailed::JournalUnavailable);
    }
    // Read first: what comes meanwhile may be in the snapshot, and is counted as if it weren't.
    let records = directory.core.journal.records();
    let position = directory.core.journal.barrier().await?;
    let is_there = !directory.core.journal.health().is_without_snapshots;
    if is_there && position.get() == directory.last_snapshot.load(Ordering::Relaxed) {
        // Nothing has happened since the last snapshot, so it still stands for the present.
        return Ok(position);
    }

    let started = Stopwatch::start();
    let writer = Arc::clone(directory);
    let written = directory.core.journal.driver().run_blocking(move || write(&writer, position)).await;
    let bytes = written
        .map_err(|_| SnapshotFailed::Panicked)?
        .map_err(|error| SnapshotFailed::Io(Arc::new(error)))?;

    directory.last_snapshot.store(position.get(), Ordering::Relaxed);
    directory.snapshot_records.store(records, Ordering::Relaxed);
    directory.core.journal.follow_snapshot().await?;
    directory.forget_users();

    metrics::histogram!("onsale_snapshot_seconds").record(started.elapsed());
    metrics::gauge!("onsale_snapshot_bytes").set(numbers::value(bytes));
    metrics::gauge!("onsale_snapshot_position").set(numbers::value(position.get()));
    tracing::info!(position = position.get(), bytes, "a snapshot was taken");
    Ok(position)
}

/// Returns how many bytes it has.
fn write(directory: &Directory, position: Position) -> Result<u64, SnapshotError> {
    let instant = directory.core.clock.now().as_millis();
    let mut writer = directory.core.journal.begin_snapshot(position, instant)?;
    directory.show_sections(|section| section.encode().try_for_each(|part| writer.section(&part)))?;
    writer.finish()
}
