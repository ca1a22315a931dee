//! What may be deleted, of generations and of snapshots.
//!
//! One rule: there is a *base*, a position from which everything can be rebuilt, and everything behind it stays.
//!
//! - The base is never later than the older of the two newest snapshots that can be read, so that either of them can be
//!   lost; with fewer than two, the base is the beginning and everything stays.
//! - `Retain::Snapshot`: the base is that snapshot.
//! - `Retain::For(duration)`: a generation that ended within the duration stays; the base is the newest snapshot before the
//!   oldest such generation, so that every instant in the duration can be rebuilt.
//! - `Retain::Forever`: the base is the beginning.
//!
//! A generation goes when all of it stands at or before the base; a snapshot goes when it stands before the base.

use std::path::Path;
use std::time::Duration;

use super::config::Retain;
use super::generations::{Generation, Generations};
use super::position::Position;
use super::snapshot;

/// Deletes what `retain` no longer wants at the instant `now`, in the engine's milliseconds.
pub(super) fn apply(generations: &Generations, retain: Retain, now: u64) {
    let dir = generations.medium().place().to_owned();
    let list = generations.list();
    let Some(base) = base(&dir, &list, retain, now) else { return };
    for pair in list.windows(2) {
        if pair[1].first > base.next() {
            break;
        }
        match generations.remove_oldest(pair[0].number) {
            Ok(true) => tracing::info!(generation = pair[0].number, "deleted an old generation"),
            // It is being read; the next rotation tries again, and a younger one must not go before it.
            Ok(false) => break,
            Err(error) => {
                tracing::warn!(generation = pair[0].number, %error, "an old generation cannot be deleted");
                break;
            }
        }
    }
    if let Err(error) = snapshot::remove_before(&dir, base) {
        tracing::warn!(%error, "an old snapshot cannot be deleted");
    }
}

/// Finds the base; nothing when all has to stay.
fn base(dir: &Path, list: &[Generation], retain: Retain, now: u64) -> Option<Position> {
    let duration = match retain {
        Retain::Forever => return None,
        Retain::Snapshot => Duration::ZERO,
        Retain::For(duration) => duration,
    };
    let horizon = now.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    let mut readable = snapshot::readable(dir);
    let second = readable.nth(1)?;
    // A generation ends when the next one is created.
    let kept = list
        .windows(2)
        .find(|pair| retain != Retain::Snapshot && pair[1].created >= horizon)
        .map(|pair| pair[0].first);
    match kept {
        None => Some(second),
        Some(first) if second < first => Some(second),
        Some(first) => readable.find(|position| *position < first),
    }
}
