//! A log that goes on behind another's last record, without its records: what a migration makes.
//!
//! It is the same log: its id, its secret, its epoch and the instant at which it was last alive are the other's. Its one
//! generation is empty and begins behind the last position, so that a snapshot of that position belongs beside it.
//!
//! Invariant: it is made in a directory that isn't there yet, and is durable when the call returns.

use std::path::Path;

use super::config::CODEC;
use super::generations::Generation;
use super::identity::{self, Identity};
use super::inspect::{InspectError, Inspection};
use super::lane::CLEAN;
use super::mark::Mark;
use super::position::Position;
use super::store::{DataDir, Medium, StoreError, caught};

/// Makes the successor of a log that stopped cleanly at a position, in a directory of its own.
///
/// # Errors
/// When the log has no identity or no mark, or the directory can't be made.
pub fn create_successor(of: &Inspection, dir: &Path, last: Position) -> Result<(), InspectError> {
    let (Some(identity), Some(mark)) = of.identity_and_mark() else {
        let what = "the file `identity` or the file `mark` is missing or damaged".to_owned();
        return Err(StoreError::Damaged(what).into());
    };
    let number = of.generations().last().copied().unwrap_or_default() + 1;

    let medium = DataDir::open(dir)?;
    medium.replace(identity::FILE, &Identity { codec: CODEC, ..identity }.encode())?;
    Mark::create(&medium, identity.log_id)?;

    let last = last.ordinal();
    let mut mark = Mark { durable: last, ..mark };
    mark.write(&medium)?;

    let (log_id, first, epoch, created) = (identity.log_id, last.next(), mark.epoch, mark.instant);
    let generation = Generation { log_id, number, first, epoch, created };
    caught(|| generation.create(&medium).map(drop))?;

    medium.settle(number)?;
    medium.replace(CLEAN, &last.get().to_le_bytes())?;
    medium.release();
    Ok(())
}
