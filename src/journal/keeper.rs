//! What keeps a log, to be read: its records and its snapshots.
//!
//! Two keepers stand: [`DiskKeeper`] on this machine's disk, and one on a replicated log (`stream/keeper.rs`).
//!
//! Absent on purpose: writing records, which is a [`Lane`](super::lane)'s.
//!
//! Invariant: whatever a snapshot that stays needs behind it is retained.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::config::Retain;
use super::generations::Generations;
use super::position::Position;
use super::read::{DiskRuns, Runs};
use super::retention;
use super::room;
use super::snapshot::{self, Snapshot, SnapshotError, SnapshotHeader, SnapshotWriter};
use super::store::generation_dir;
use super::stream::LogHealth;

/// The fewest records for which a new generation is begun: some megabytes.
const GENERATION_RECORDS_MIN: u64 = 16_384;
/// The age at which a generation ends in any case, in the engine's milliseconds: what is no longer retained is deleted by generations.
const GENERATION_AGE_MAX: u64 = 6 * 3_600_000;

/// See the module. Every method may block.
pub(super) trait Keeper: Send + Sync {
    /// Walks runs of records behind `after`, up to `until`, which is durable; the first may begin before.
    fn runs(&self, after: Position, until: Position) -> Runs;
    /// Returns the oldest position that is retained.
    fn oldest(&self) -> Position;
    /// Returns the position behind which everything is retained: [`Position::START`] where that is all there ever was.
    fn retained_after(&self) -> Position;
    /// Tells whether a new part of the log is worth beginning, behind a snapshot, so that the parts before can be deleted.
    fn is_rotation_due(&self, durable: Position, retain: Retain, now: u64) -> bool;
    /// Deletes what is no longer retained at the instant `now`; what fails is logged and tried again the next time.
    fn delete_old(&self, retain: Retain, now: u64);

    /// Lists the positions of the snapshots, newest first; they have not been read.
    fn snapshots(&self) -> Result<Vec<Position>, SnapshotError>;
    /// Reads the snapshot at a position, and checks all of it.
    fn snapshot_at(&self, position: Position) -> Result<Snapshot, SnapshotError>;
    /// Returns how many bytes the snapshot at a position has; none where there is none.
    fn snapshot_len(&self, position: Position) -> u64;
    /// Begins a snapshot.
    fn begin_snapshot(&self, header: SnapshotHeader) -> Result<SnapshotWriter, SnapshotError>;

    /// Says how the log is doing, beside whether it has failed.
    fn health(&self) -> LogHealth {
        LogHealth::default()
    }

    /// Follows whether the log's snapshots are lost; nothing where that can't be while the process runs.
    fn snapshots_lost(&self) -> Option<watch::Receiver<bool>> {
        None
    }

    /// Returns the generations of a log on this machine's disk; nothing of any other.
    fn on_disk(&self) -> Option<&Arc<Generations>> {
        None
    }
}

/// Reads the newest snapshot of a log that is whole; nothing where there is none.
pub(super) fn newest_snapshot(keeper: &dyn Keeper) -> Result<Option<Snapshot>, SnapshotError> {
    for position in keeper.snapshots()? {
        match keeper.snapshot_at(position) {
            Ok(snapshot) => return Ok(Some(snapshot)),
            Err(error) => {
                tracing::error!(position = position.get(), %error, "skipped a snapshot that cannot be used");
            }
        }
    }
    Ok(None)
}

/// Keeps a log on this machine's disk.
pub(super) struct DiskKeeper {
    pub(super) generations: Arc<Generations>,
    /// Where the snapshots are, whatever the generations are on.
    pub(super) dir: PathBuf,
    pub(super) log_id: u128,
    pub(super) reserve_bytes: u64,
}

impl Keeper for DiskKeeper {
    fn runs(&self, after: Position, until: Position) -> Runs {
        DiskRuns::new(Arc::clone(&self.generations), after, until).into()
    }

    fn oldest(&self) -> Position {
        self.generations.oldest().position()
    }

    fn retained_after(&self) -> Position {
        self.generations.oldest().previous().position()
    }

    fn is_rotation_due(&self, durable: Position, retain: Retain, now: u64) -> bool {
        let newest = self.generations.newest();
        let records = durable.ordinal().since(newest.first.previous());
        let age = now.saturating_sub(newest.created);
        retain == Retain::Snapshot || records >= GENERATION_RECORDS_MIN || age >= GENERATION_AGE_MAX
    }

    fn delete_old(&self, retain: Retain, now: u64) {
        retention::apply(&self.generations, retain, now);
    }

    fn snapshots(&self) -> Result<Vec<Position>, SnapshotError> {
        Ok(snapshot::list(&self.dir)?.into_iter().map(|(position, _)| position).collect())
    }

    fn snapshot_at(&self, position: Position) -> Result<Snapshot, SnapshotError> {
        snapshot::read_at(&snapshot::path(&self.dir, position), position, Some(self.log_id))
    }

    fn snapshot_len(&self, position: Position) -> u64 {
        snapshot::len(&self.dir, position)
    }

    fn begin_snapshot(&self, header: SnapshotHeader) -> Result<SnapshotWriter, SnapshotError> {
        let is_ours = self.generations.medium().check_place();
        is_ours.map_err(|error| SnapshotError::Io {
            path: self.dir.display().to_string(),
            source: std::io::Error::other(error.to_string()),
        })?;

        let kept = room::kept_free(self.reserve_bytes);
        let newest = generation_dir(&self.dir, self.generations.newest().number);
        snapshot::check_begin(&self.dir, snapshot::expected_len(&self.dir, &newest), kept)?;
        SnapshotWriter::create(&self.dir, header.log_id, header.position, header.instant, kept)
    }

    fn on_disk(&self) -> Option<&Arc<Generations>> {
        Some(&self.generations)
    }
}
