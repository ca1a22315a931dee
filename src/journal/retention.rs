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

/// Finds the base of a log whose records go one by one, among its snapshots, newest first, with the instants at which they were taken;
/// nothing when all has to stay.
#[cfg(feature = "cluster")]
pub(super) fn base_of(dated: &[(Position, u64)], retain: Retain, now: u64) -> Option<Position> {
    let duration = match retain {
        Retain::Forever => return None,
        Retain::Snapshot => Duration::ZERO,
        Retain::For(duration) => duration,
    };
    let horizon = now.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    let mut old_enough =
        dated.iter().skip(1).filter(|(_, instant)| retain == Retain::Snapshot || *instant <= horizon);
    old_enough.next().map(|(position, _)| *position)
}

/// Finds the snapshots that have no reason to stay, among all, newest first, with the instants at which they were taken.
#[cfg(feature = "cluster")]
pub(super) fn unwanted(dated: &[(Position, u64)], base: Option<Position>, now: u64) -> Vec<Position> {
    let stays = |position: Position| base.is_none_or(|base| position >= base);
    let mut oldest_first: Vec<_> = dated.iter().copied().filter(|(position, _)| stays(*position)).collect();
    oldest_first.reverse();

    let mut kept: BTreeSet<Position> = dated.iter().take(NEWEST).map(|(position, _)| *position).collect();
    kept.extend(base);
    kept.extend(first_of_each(&oldest_first, HOUR, now.saturating_sub(DAY)));
    kept.extend(first_of_each(&oldest_first, DAY, 0));
    let all = dated.iter().map(|(position, _)| *position);
    all.filter(|position| !stays(*position) || !kept.contains(position)).collect()
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

#[cfg(all(test, feature = "cluster"))]
mod tests {
    use super::*;

    fn dated(instants: &[u64]) -> Vec<(Position, u64)> {
        instants.iter().map(|instant| (Position::new(*instant), *instant)).collect()
    }

    #[test]
    fn the_base_is_never_later_than_the_older_of_the_two_newest_snapshots() {
        let all = dated(&[9_000, 8_000, 5_000, 1_000]);
        let base = |retain| base_of(&all, retain, 10_000).map(Position::get);
        assert_eq!(base(Retain::Forever), None);
        assert_eq!(base(Retain::Snapshot), Some(8_000));
        assert_eq!(base(Retain::For(Duration::ZERO)), Some(8_000));
        assert_eq!(base(Retain::For(Duration::from_secs(3))), Some(5_000));
        assert_eq!(base(Retain::For(Duration::from_secs(9))), Some(1_000));
        assert_eq!(base(Retain::For(Duration::from_secs(10))), None, "no snapshot is so old");
        assert_eq!(base_of(&all[..1], Retain::Snapshot, 10_000), None);
    }

    #[test]
    fn the_newest_stay_and_the_first_of_each_hour_and_day() {
        let third = HOUR / 3;
        let now = 5 * DAY;
        let mut all = dated(&(1..=now / third).map(|turn| turn * third).collect::<Vec<_>>());
        all.reverse();
        let gone = unwanted(&all, None, now);
        let kept: Vec<u64> = all
            .iter()
            .map(|(position, _)| *position)
            .filter(|at| !gone.contains(at))
            .map(Position::get)
            .collect();
        let newest = (0..4).map(|turn| now - turn * third);
        let hours = (1..=24).map(|hour| now - hour * HOUR);
        let days = (1..=4).rev().map(|day| day * DAY);
        let expected: BTreeSet<u64> = newest.chain(hours).chain(days).chain([third]).collect();
        assert_eq!(kept.into_iter().collect::<BTreeSet<_>>(), expected);
        assert!(unwanted(&all, Some(Position::new(4 * DAY)), now).contains(&Position::new(3 * DAY)));
    }
}
