//! Everything at one position, while the engine goes on: a second world, made as recovery makes the first.
//!
//! A snapshot alone isn't one instant: each of its sections may be later than its position. So the newest one is read,
//! then the position that is durable, then the records between the two. Everything in a section was durable when it
//! was written, before that position was asked for; so the records up to it bring every aggregate to the same place.
//!
//! Absent on purpose: waiting rooms, which no caller wants and whose people can be most of a world; and any effect on
//! the engine but the memory and the time of one core. The calls block: call them off the async threads.

use super::history::HistoryError;
use crate::domain::time::Timestamp;
use crate::engine::Engine;
use crate::journal::snapshot::SnapshotError;
use crate::journal::{Position, ReadError};
use crate::record::Stream;
use crate::recovery::{RebuildError, Rebuilt, Start, Until, Visit, World, rebuild};

/// How often it is begun anew when its files are deleted meanwhile: that takes two newer snapshots each time.
const TRIES_MAX: u32 = 3;

/// Every aggregate but the waiting rooms, after one position of the journal.
#[derive(Debug)]
pub struct PointInTime {
    /// The aggregates.
    pub world: World,
    /// The position: every fact up to it is in, and none behind it.
    pub position: Position,
    /// The engine's instant when that was the last durable one.
    pub at: Timestamp,
}

/// Why the state at one position can't be made.
#[derive(Debug, thiserror::Error)]
pub enum PointInTimeError {
    /// Nobody wants it any more.
    #[error("nobody waits for it any more")]
    Unwanted,
    /// The past can't be read.
    #[error(transparent)]
    Past(#[from] HistoryError),
}

impl From<ReadError> for PointInTimeError {
    fn from(error: ReadError) -> Self {
        Self::Past(error.into())
    }
}

impl From<RebuildError> for PointInTimeError {
    fn from(error: RebuildError) -> Self {
        Self::Past(error.into())
    }
}

impl From<SnapshotError> for PointInTimeError {
    fn from(error: SnapshotError) -> Self {
        Self::Past(error.into())
    }
}

impl Engine {
    /// Makes everything at a position that is durable now. `wanted` is asked again and again: a "no" ends it.
    ///
    /// # Errors
    /// When the journal can't be read or contradicts itself, or nobody wants it any more.
    ///
    /// # Panics
    /// When an invariant doesn't hold.
    pub fn point_in_time(&self, wanted: &dyn Fn() -> bool) -> Result<PointInTime, PointInTimeError> {
        let mut tries = 1;
        loop {
            match self.try_point_in_time(wanted) {
                Err(PointInTimeError::Past(HistoryError::NotRetained { .. })) if tries < TRIES_MAX => {
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    fn try_point_in_time(&self, wanted: &dyn Fn() -> bool) -> Result<PointInTime, PointInTimeError> {
        let wanted = &|stream| {
            let is_room = matches!(stream, Stream::WaitingRoom(_));
            if wanted() { Ok(!is_room) } else { Err(PointInTimeError::Unwanted) }
        };

        let newest = self.journal().newest_snapshot()?;
        let start = newest.map(|newest| Start::of(&newest, World::default(), wanted));

        // Taken first: everything that was durable at this instant is in.
        let at = self.now();

        let records = |after, visit: &mut Visit<'_, _>| self.journal().for_each(after, visit);
        let starts = [start.unwrap_or_else(|| Ok(Start::default()))];

        let Rebuilt { world, position, .. } = rebuild(starts, records, Until::End, wanted)?;
        world.check_at(position)?;
        Ok(PointInTime { world, position, at })
    }
}
