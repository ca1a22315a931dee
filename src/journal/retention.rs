//! Which generations and snapshots may be deleted.
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
//!
//! Of the snapshots behind the base, which only shorten the way to an earlier instant, the newest few stay, then the first of
//! each hour, then the first of each day. The first, since it stays the first: what is kept today is what would have been
//! kept had it been thinned out all along. So the base, which is one of these, may be up to a day older than it would be.

use core::time::Duration;
use std::collections::BTreeSet;
use std::path::Path;

use super::config::Retain;
use super::generations::{Generation, Generations};
use super::position::Position;
use super::snapshot::{self, SnapshotError};

/// How many of the newest snapshots stay in any case.
const NEWEST: usize = 4;
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// Deletes the files that `retain` no longer wants at the instant `now`, in the engine's milliseconds.
pub(super) fn apply(generations: &Generations, retain: Retain, now: u64) {
    let dir = generations.medium().place().to_owned();
    let list = generations.list();
    let base = base(&dir, &list, retain, now);
    if let Some(base) = base {
        remove_generations(generations, &list, base);
        if let Err(error) = snapshot::remove_before(&dir, base) {
            tracing::warn!(%error, "an old snapshot cannot be deleted");
        }
    }
    if let Err(error) = thin_out(&dir, base, now) {
        tracing::warn!(%error, "an old snapshot cannot be deleted");
    }
}

fn remove_generations(generations: &Generations, list: &[Generation], base: Position) {
    for pair in list.windows(2) {
        assert!(pair[0].number < pair[1].number, "the oldest generation goes first");
        if pair[1].first > base.ordinal().next() {
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
}

/// Removes the snapshots between those that have a reason to stay.
fn thin_out(dir: &Path, base: Option<Position>, now: u64) -> Result<(), SnapshotError> {
    let listed = snapshot::list(dir)?;
    // Either of the two newest that can be read must be there when the other is lost; the next ones are looked at only then.
    let mut kept: BTreeSet<Position> = snapshot::readable(dir).take(2).chain(base).collect();
    kept.extend(listed.iter().take(NEWEST).map(|(position, _)| *position));

    // A snapshot that can't be read leads nowhere, but it may be evidence: it stays until its base goes.
    let dated = listed.iter().filter_map(|(position, path)| Some((*position, snapshot::instant_of(path)?)));
    let mut dated: Vec<(Position, u64)> = dated.collect();
    dated.reverse();
    kept.extend(first_of_each(&dated, HOUR, now.saturating_sub(DAY)));
    kept.extend(first_of_each(&dated, DAY, 0));

    for (position, _) in dated {
        if !kept.contains(&position) {
            snapshot::remove(dir, position)?;
        }
    }
    Ok(())
}

/// Returns the first of each span of time among those that were taken at `from` or later; they come in order.
fn first_of_each(dated: &[(Position, u64)], span: u64, from: u64) -> impl Iterator<Item = Position> {
    let mut last = None;
    let firsts =
        dated.iter().filter(move |(_, instant)| last.replace(instant / span) != Some(instant / span));
    firsts.filter(move |(_, instant)| *instant >= from).map(|(position, _)| *position)
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
        .map(|pair| pair[0].first.position());
    match kept {
        None => Some(second),
        Some(first) if second < first => Some(second),
        Some(first) => readable.find(|position| *position < first),
    }
}
