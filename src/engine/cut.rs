//! Everything at one position, while the engine goes on: a second world, made as recovery makes the first.
//!
//! A snapshot alone isn't one instant: each of its sections may be later than its position. So the newest one is read,
//! then the position that is durable, then the records between the two. What a section has was durable when it
//! was written, before that position was asked for; so the records up to it bring every aggregate to the same place.
//!
//! Absent on purpose: waiting rooms, which no caller wants and whose people can be most of a world; and any effect on
//! the engine but the memory and the time of one core. The calls block: call them off the async threads.

use super::Engine;
use crate::domain::time::Timestamp;
use crate::journal::snapshot::{self, SnapshotError};
use crate::journal::{Position, ReadError};
use crate::record::{self, DecodeError, Fact, Section};
use crate::recovery::{ReplayError, World};

/// How often it is begun anew when what it reads is deleted meanwhile: that takes two newer snapshots each time.
const TRIES_MAX: u32 = 3;

/// Every aggregate but the waiting rooms, after one position of the journal.
#[derive(Debug)]
pub struct Cut {
    /// The aggregates.
    pub world: World,
    /// The position: every fact up to it is in, and none behind it.
    pub position: Position,
    /// The engine's instant when that was the last durable one.
    pub at: Timestamp,
}

/// Why there is no cut.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    /// Whoever wanted it no longer does.
    #[error("nobody waits for it any more")]
    Unwanted,
    /// The journal can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The snapshots can't be listed.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A section or a record can't be decoded.
    #[error("position {position}: {source}")]
    Decode {
        /// Where: the snapshot's, or the record's.
        position: Position,
        /// What is wrong.
        source: DecodeError,
    },
    /// A section or a record doesn't follow what came before it.
    #[error("position {position}: {source}")]
    Replay {
        /// Where.
        position: Position,
        /// What is wrong.
        source: ReplayError,
    },
}

impl Engine {
    /// Makes everything at a position that is durable now. `wanted` is asked again and again: a "no" ends it.
    ///
    /// # Errors
    /// When the journal can't be read or contradicts itself, or nobody wants it any more.
    ///
    /// # Panics
    /// When an invariant doesn't hold.
    pub fn cut(&self, wanted: &dyn Fn() -> bool) -> Result<Cut, CutError> {
        let mut tries = 1;
        loop {
            match self.try_cut(wanted) {
                Err(CutError::Read(ReadError::Gone { .. })) if tries < TRIES_MAX => tries += 1,
                done => return done,
            }
        }
    }

    fn try_cut(&self, wanted: &dyn Fn() -> bool) -> Result<Cut, CutError> {
        let go_on = || if wanted() { Ok(()) } else { Err(CutError::Unwanted) };
        let mut world = World::default();
        let mut position = Position::START;
        if let Some(loaded) = snapshot::load_newest(self.data_dir(), self.journal().log_id())?.snapshot {
            position = loaded.header.position;
            for bytes in loaded.sections {
                go_on()?;
                let section =
                    record::decode_section(&bytes).map_err(|source| CutError::Decode { position, source })?;
                match section {
                    Section::People(..) | Section::WaitingRoom(_) => {}
                    Section::Catalogue(_)
                    | Section::Schedule(_)
                    | Section::Accounts(_)
                    | Section::Payments(_)
                    | Section::UsersPart(_)
                    | Section::Users(_)
                    | Section::Archived(_)
                    | Section::Replans(_)
                    | Section::Carried(..) => {
                        world.restore(section).map_err(|source| CutError::Replay { position, source })?;
                    }
                }
            }
        }
        let at = self.now();
        self.journal().for_each(position, |next, bytes| {
            go_on()?;
            position = next;
            let record = record::decode(bytes).map_err(|source| CutError::Decode { position, source })?;
            if matches!(record.fact, Fact::WaitingRoom(..)) {
                return Ok(());
            }
            world.apply(&record).map_err(|source| CutError::Replay { position, source })?;
            Ok::<(), CutError>(())
        })?;
        world.check().map_err(|source| CutError::Replay { position, source })?;
        Ok(Cut { world, position, at })
    }
}
