//! Snapshots: the state of everything, written beside the journal so that recovery needn't replay it all.
//!
//! A snapshot is taken by the catalogue's actor, so no schedule comes or goes meanwhile; the schedules go
//! on. It stands for the position of a barrier: what was durable before it has been published by then, and
//! what is published is what is written. (The durable position alone is a little ahead of that.) Each schedule's section may be
//! later than that, by events that replay recognises by their versions and skips. Only durable state
//! is ever in it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::clock::Stopwatch;
use crate::domain::accounts::AccountsImage;
use crate::domain::payments::PaymentsImage;
use crate::domain::schedule::Image;
use crate::domain::users::UsersImage;
use crate::domain::waiting_room::RoomImage;
use crate::engine::directory::Directory;
use crate::engine::numbers;
use crate::journal::snapshot::SnapshotError;
use crate::journal::{CommitError, Position};
use crate::record;

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
    /// Says whether it is for want of room on the disk.
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
    let position = directory.core.journal.barrier().await?;
    if position.get() == directory.last_snapshot.load(Ordering::Relaxed) {
        // Nothing has happened since the last: it still stands for the present.
        return Ok(position);
    }
    let started = Stopwatch::start();
    let writer = Arc::clone(directory);
    let written = directory.core.journal.driver().run_blocking(move || write(&writer, position)).await;
    let path = written
        .map_err(|_| SnapshotFailed::Panicked)?
        .map_err(|error| SnapshotFailed::Io(Arc::new(error)))?;
    directory.last_snapshot.store(position.get(), Ordering::Relaxed);
    directory.core.journal.follow_snapshot().await?;
    directory.forget_users();
    let bytes = std::fs::metadata(&path).map_or(0, |file| file.len());
    metrics::histogram!("onsale_snapshot_seconds").record(started.elapsed());
    metrics::gauge!("onsale_snapshot_bytes").set(numbers::value(bytes));
    metrics::gauge!("onsale_snapshot_position").set(numbers::value(position.get()));
    tracing::info!(position = position.get(), bytes, "a snapshot was taken");
    Ok(position)
}

fn write(directory: &Directory, position: Position) -> Result<PathBuf, SnapshotError> {
    let instant = directory.core.clock.now().as_millis();
    let dir = directory.data_dir.as_path();
    let mut writer = directory.core.journal.begin_snapshot(dir, position, instant)?;
    writer.section(&record::encode_catalogue(&directory.core.catalogue()))?;
    let ended = directory.ended();
    let has_ended = |number| ended.iter().any(|(_, ended)| ended.number == number);
    for (_, ended) in &ended {
        writer.section(&record::encode_ended(ended))?;
    }
    for entry in directory.schedules().into_iter().filter(|entry| !has_ended(entry.number())) {
        // The lock is held for a copy that shares almost all, not while that is read, encoded and written.
        let image = Image::of(&entry.read());
        writer.section(&record::encode_schedule(&image))?;
        let room = RoomImage::of(&entry.room().read());
        if room.version > 0 {
            for section in record::encode_room(&room) {
                writer.section(&section)?;
            }
        }
    }
    for shard in directory.ledgers.all_accounts() {
        let accounts = shard.read().clone();
        let image = AccountsImage::of(&accounts);
        if image.version > 0 {
            writer.section(&record::encode_accounts(&image))?;
        }
    }
    for payments in directory.ledgers.all_payments() {
        let image = PaymentsImage::of(&payments.read());
        // Those of a schedule that was removed stay; those of one that moved to the archive have moved with it.
        let moved = ended.iter().any(|(_, ended)| ended.number == image.schedule && ended.is_archived());
        if image.version > 0 && !moved {
            writer.section(&record::encode_payments(&image))?;
        }
    }
    // The guard is gone with this line: a clone shares the users, and the image is taken of it.
    let users = directory.users.read().clone();
    if users.version() > 0 {
        for section in record::encode_users(&UsersImage::of(&users)) {
            writer.section(&section)?;
        }
    }
    writer.finish()
}
