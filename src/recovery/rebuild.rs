//! The one replay: snapshots and records in, a [`World`] out.
//!
//! ```text
//! starts, newest first → the first that isn't later than what is asked for → the records behind it, in order
//! ```
//!
//! A snapshot's sections may be later than its position, and replay skips the events that a section has. This matters where
//! a caller asks for less than everything: if a section has an event that is behind what is asked for, [`rebuild`] takes an
//! earlier start.
//!
//! Absent on purpose: where snapshots and records come from, which snapshots are passed over, and what damage at the
//! end means. The callers know: a start, an export, the history, and the commands that look at a stopped engine.

use std::collections::BTreeMap;

use super::{ReplayError, World};
use crate::domain::time::Timestamp;
use crate::journal::Position;
use crate::journal::snapshot::Snapshot;
use crate::record::{self, DecodeError, Record, Stream};

/// Why no world can be rebuilt from what was read.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// A section or a record can't be decoded: it was written by a newer version, or damaged before its checksum was made.
    #[error(
        "the record at position {position} can't be read: {source}. If a newer onsale has run on this directory, start that one; \
         else it is damaged"
    )]
    Decode {
        /// Where: the snapshot's position, or the record's.
        position: Position,
        /// What is wrong.
        source: DecodeError,
    },
    /// A section or a record doesn't follow what came before it.
    #[error("the journal doesn't continue at position {position}: {source}")]
    Replay {
        /// Where.
        position: Position,
        /// What is wrong.
        source: ReplayError,
    },
    /// Every start is later than what is asked for.
    #[error("nothing that is kept goes back that far")]
    TooLate {
        /// The oldest start, and when it was.
        oldest: Option<(Position, Timestamp)>,
    },
}

/// How much is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Everything.
    End,
    /// What stands at or before a position.
    Position(Position),
    /// What happened at or before an instant.
    Instant(Timestamp),
}

impl Until {
    /// Says whether what stands at a position, and happened at an instant, is asked for.
    pub fn includes(self, position: Position, at: Timestamp) -> bool {
        match self {
            Self::End => true,
            Self::Position(until) => position <= until,
            Self::Instant(until) => at <= until,
        }
    }
}

/// A world to replay from; the default is the beginning.
#[derive(Debug, Default)]
pub struct Start {
    /// Every aggregate.
    pub world: World,
    /// The position that it stands for.
    pub position: Position,
    /// When the engine stood there.
    pub at: Timestamp,
    /// The version of each stream in it, which may be later than the position.
    pub versions: BTreeMap<Stream, u64>,
}

impl Start {
    /// Restores the wanted streams of a snapshot, on top of a world that has what they need.
    ///
    /// # Errors
    /// When a section can't be decoded or restored, and what `wanted` returns.
    pub fn of<E: From<RebuildError>>(
        snapshot: &Snapshot,
        mut world: World,
        wanted: &dyn Fn(Stream) -> Result<bool, E>,
    ) -> Result<Self, E> {
        let position = snapshot.header.position;
        let mut versions = BTreeMap::new();

        for section in record::decode_sections(&snapshot.sections) {
            let section = section.map_err(|source| RebuildError::Decode { position, source })?;
            let (stream, version) = section.stands();
            if !wanted(stream)? {
                continue;
            }
            versions.insert(stream, version);
            world.restore(section).map_err(|source| RebuildError::Replay { position, source })?;
        }

        Ok(Self { world, position, at: Timestamp::from_millis(snapshot.header.instant), versions })
    }

    /// Replays the records behind it; returns nothing where a section is later than what is asked for.
    fn replay<E: From<RebuildError>>(
        self,
        records: &mut impl FnMut(Position, &mut Visit<'_, E>) -> Result<(), E>,
        until: Until,
        wanted: &dyn Fn(Stream) -> Result<bool, E>,
    ) -> Result<Option<Rebuilt>, E> {
        let Self { mut world, position: from, versions, .. } = self;
        let (mut last, mut applied, mut too_late) = (from, 0, false);

        records(from, &mut |position, bytes| {
            let record = decode(position, bytes)?;
            let stream = record.stream();

            // Behind what is asked for, one question is left: whether a section has this record already.
            if !until.includes(position, record.at) {
                too_late |= versions.get(&stream).is_some_and(|version| record.version <= *version);
                return Ok(());
            }
            if wanted(stream)? {
                applied += u64::from(world.follow(position, &record)?);
            }
            assert!(position > last, "records come in order");
            last = position;
            Ok(())
        })?;

        let snapshot = (from > Position::START).then_some(from);
        Ok((!too_late).then_some(Rebuilt { world, position: last, snapshot, applied }))
    }
}

/// What is shown each record: its position and its bytes.
pub type Visit<'a, E> = dyn FnMut(Position, &[u8]) -> Result<(), E> + 'a;

/// The world as it was.
#[derive(Debug)]
pub struct Rebuilt {
    /// Every aggregate, or those that were wanted.
    pub world: World,
    /// The last position that was asked for and is there, or that the snapshot stands for.
    pub position: Position,
    /// The snapshot that it began from; nothing when it began from the beginning.
    pub snapshot: Option<Position>,
    /// How many records were applied.
    pub applied: u64,
}

/// Rebuilds a world from the first start that serves; the newest comes first.
///
/// `records` shows everything behind a position, in order. `wanted` says which streams are replayed; its error ends the rebuilding.
///
/// # Errors
/// When what is read can't be decoded or doesn't follow, when no start serves, and what `starts`, `records` and `wanted`
/// return.
pub fn rebuild<E: From<RebuildError>>(
    starts: impl IntoIterator<Item = Result<Start, E>>,
    mut records: impl FnMut(Position, &mut Visit<'_, E>) -> Result<(), E>,
    until: Until,
    wanted: &dyn Fn(Stream) -> Result<bool, E>,
) -> Result<Rebuilt, E> {
    let mut oldest = None;
    for start in starts {
        let start = start?;
        oldest = Some((start.position, start.at));
        if until.includes(start.position, start.at)
            && let Some(rebuilt) = start.replay(&mut records, until, wanted)?
        {
            return Ok(rebuilt);
        }
    }
    Err(RebuildError::TooLate { oldest }.into())
}

/// Reads a record.
///
/// # Errors
/// When the bytes aren't one.
pub fn decode(position: Position, bytes: &[u8]) -> Result<Record, RebuildError> {
    record::decode(bytes).map_err(|source| RebuildError::Decode { position, source })
}

impl World {
    /// Applies the record of a position; returns whether the world hadn't it yet.
    ///
    /// # Errors
    /// When it doesn't follow what came before it.
    pub fn follow(&mut self, position: Position, record: &Record) -> Result<bool, RebuildError> {
        self.apply(record).map_err(|source| RebuildError::Replay { position, source })
    }

    /// Checks everything that [`World::check`] does, of the world at a position.
    ///
    /// # Errors
    /// When the catalogue lists other schedules than there are.
    ///
    /// # Panics
    /// When an invariant doesn't hold.
    pub fn check_at(&self, position: Position) -> Result<(), RebuildError> {
        self.check().map_err(|source| RebuildError::Replay { position, source })
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::journal::snapshot;
    use crate::journal::{InspectError, Inspection};

    type Failed = RebuildError;
    type Log = Vec<(Position, Vec<u8>)>;

    const ALL: &dyn Fn(Stream) -> Result<bool, Failed> = &|_| Ok(true);

    /// The golden data of money: every record, and the directory of its snapshots.
    fn golden() -> (Log, PathBuf) {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots/v2-money/data");
        let mut log = Log::new();
        let visit = |position, bytes: &[u8]| {
            log.push((position, bytes.to_vec()));
            Ok::<_, InspectError>(())
        };
        let inspection = Inspection::open(&data, None).unwrap();
        inspection.for_each(Position::START, Position::new(u64::MAX), visit).unwrap();
        (log, data)
    }

    fn records(log: &Log) -> impl FnMut(Position, &mut Visit<'_, Failed>) -> Result<(), Failed> {
        |after, visit| {
            let mut behind = log.iter().filter(|(position, _)| *position > after);
            behind.try_for_each(|(position, bytes)| visit(*position, bytes))
        }
    }

    fn snapshots(data: &Path) -> impl Iterator<Item = Snapshot> {
        snapshot::list(data).unwrap().into_iter().map(|(_, path)| snapshot::read(&path).unwrap())
    }

    fn starts(data: &Path) -> impl Iterator<Item = Result<Start, Failed>> {
        snapshots(data).map(|snapshot| Start::of(&snapshot, World::default(), ALL))
    }

    fn beginning() -> [Result<Start, Failed>; 1] {
        [Ok(Start::default())]
    }

    /// Every place of the journal that can be asked for.
    fn everywhere(log: &Log) -> Vec<Until> {
        let of = |(position, bytes): &(Position, Vec<u8>)| {
            [Until::Position(*position), Until::Instant(decode(*position, bytes).unwrap().at)]
        };
        log.iter().flat_map(of).chain([Until::End]).collect()
    }

    #[test]
    fn every_start_leads_to_the_same_world_wherever_it_is_to_end() {
        let (log, data) = golden();
        let mut from_snapshots = 0;
        for until in everywhere(&log) {
            let replayed = rebuild(beginning(), records(&log), until, ALL).unwrap();
            let every = starts(&data).chain(beginning());
            let rebuilt = rebuild(every, records(&log), until, ALL).unwrap();
            assert!(rebuilt.world == replayed.world, "{until:?}");
            assert_eq!((rebuilt.position, replayed.snapshot), (replayed.position, None), "{until:?}");
            from_snapshots += u32::from(rebuilt.snapshot.is_some());
        }
        assert!(from_snapshots > 10, "{from_snapshots}");
    }

    #[test]
    fn a_stream_alone_is_what_it_is_among_the_others() {
        let (log, data) = golden();
        let whole = rebuild(beginning(), records(&log), Until::End, ALL).unwrap().world;
        for (number, schedule) in &whole.schedules {
            let wanted = &|stream| Ok(stream == Stream::Schedule(*number));
            let world = || World::with(whole.catalogue.clone());
            let starts = snapshots(&data).map(|snapshot| Start::of(&snapshot, world(), wanted));
            let alone = rebuild(starts, records(&log), Until::End, wanted).unwrap().world;
            assert!(alone.schedules.get(number) == Some(schedule));
            assert_eq!((alone.schedules.len(), alone.rooms.len(), alone.payments.len()), (1, 0, 0));
        }
        assert!(!whole.schedules.is_empty());
    }

    #[test]
    fn a_start_that_has_what_is_not_asked_for_is_left_for_an_older_one() {
        let (log, _) = golden();
        let middle = Until::Position(Position::new(5));
        let replayed = rebuild(beginning(), records(&log), middle, ALL).unwrap();
        // Its sections are later than its position, as those of a snapshot may be.
        let later = || {
            let whole = rebuild(beginning(), records(&log), Until::End, ALL).unwrap().world;
            let versions = BTreeMap::from([(Stream::Catalogue, whole.catalogue.version())]);
            Ok(Start { world: whole, position: Position::new(4), at: Timestamp::ZERO, versions })
        };
        let starts = core::iter::once_with(later).chain(beginning());
        assert!(rebuild(starts, records(&log), middle, ALL).unwrap().world == replayed.world);
        let none = rebuild(core::iter::once_with(later), records(&log), middle, ALL);
        let oldest = Some((Position::new(4), Timestamp::ZERO));
        assert!(matches!(none, Err(RebuildError::TooLate { oldest: found }) if found == oldest));
    }
}
