//! The past, from the data directory of a stopped engine: the world as it was after some position or at some instant.
//!
//! ```text
//! snapshots, newest first → the first that isn't later than what is asked for → replay from there
//! ```
//!
//! A snapshot's sections may be later than its position, by events that replay skips. For a position that is
//! asked for, that matters: [`Rebuild`] looks behind it whether any event stands there which a section has already, and
//! then takes an earlier snapshot.
//!
//! Absent on purpose: any change of the directory ([`Inspection`] copies), and repair.
//!
//! Invariant: damage is an error that says where, never a panic; what applies records runs under [`caught`].

use core::cell::Cell;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use onsale::domain::time::Timestamp;
use onsale::journal::snapshot::{self, Snapshot, SnapshotError};
use onsale::journal::{InspectError, Inspection, Position, StoreError};
use onsale::record::{self, DecodeError, Record, Section, Stream};
use onsale::recovery::{ReplayError, World};

use super::output::Failure;

/// Fewer records than this are replayed before a bar could be read.
const BAR_RECORDS_MIN: u64 = 100_000;
/// How often a bar moves.
const BAR_STEP: u64 = 4_096;

/// Why the past can't be rebuilt.
#[derive(Debug, thiserror::Error)]
pub(super) enum PastError {
    /// The log can't be looked at, or is damaged.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The snapshots can't be listed, or one can't be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A record can't be decoded.
    #[error("position {position}: {source}")]
    Decode {
        /// Where.
        position: Position,
        /// What is wrong.
        source: DecodeError,
    },
    /// A record doesn't follow what came before it.
    #[error("position {position}: {source}")]
    Replay {
        /// Where.
        position: Position,
        /// What is wrong.
        source: ReplayError,
    },
    /// Applying a record panicked: it contradicts the state.
    #[error("position {position} contradicts what came before it: {message}")]
    Contradiction {
        /// Where.
        position: Position,
        /// What the assertion says.
        message: String,
    },
    /// Records are missing in between.
    #[error("the records from position {from} on are missing: the next is {found}")]
    Missing {
        /// The position that should have come.
        from: Position,
        /// The one that came.
        found: Position,
    },
    /// The log ends earlier than it did once.
    #[error("records up to position {mark} were durable, and the log ends at position {last}")]
    Lost {
        /// What was durable.
        mark: Position,
        /// What is there.
        last: Position,
    },
    /// The log ends before what was asked for.
    #[error("the log ends at position {last}")]
    Beyond {
        /// The last position.
        last: Position,
    },
    /// What was asked for is no longer kept.
    #[error("it is no longer kept: the log is retained from position {oldest} on{}", since(.usable.as_ref()))]
    NotRetained {
        /// The oldest record.
        oldest: Position,
        /// The oldest snapshot to begin from.
        usable: Option<(Position, Timestamp)>,
    },
}

fn since(usable: Option<&(Position, Timestamp)>) -> String {
    match usable {
        Some((position, at)) => {
            format!(
                ", and the oldest snapshot to begin from stands at position {position}, {at}; ask for that or later"
            )
        }
        None => ", and no snapshot can be used".to_owned(),
    }
}

impl From<PastError> for Failure {
    fn from(error: PastError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Opens a data directory for looking at it.
///
/// # Errors
/// Wrong usage: there is no journal, an engine runs on it, or it can't be read.
pub(super) fn inspect(dir: &Path, scratch: Option<&Path>) -> Result<Inspection, Failure> {
    Inspection::open(dir, scratch).map_err(|error| {
        if matches!(error, InspectError::Store(StoreError::Locked(_))) {
            let dir = dir.display();
            return Failure::Usage(format!(
                "{dir} is in use by a running engine: stop that one first, or look at a copy of it"
            ));
        }
        Failure::Usage(format!("{error}; name the data directory of a stopped engine with --data-dir"))
    })
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Everything.
    End,
    /// What stands at or before a position.
    Position(Position),
    /// What happened at or before an instant.
    Instant(Timestamp),
}

/// The world as it was.
#[derive(Debug)]
pub(super) struct Rebuilt {
    /// Every aggregate.
    pub(super) world: World,
    /// The last position that was applied, or that the snapshot stands for.
    pub(super) position: Position,
    /// The snapshot that it began from; nothing when it began from the beginning.
    pub(super) snapshot: Option<Position>,
    /// How many records were applied.
    pub(super) applied: u64,
    /// What else should be said.
    pub(super) notes: Vec<String>,
}

/// Rebuilds the world of a data directory.
pub(super) struct Rebuild<'a> {
    inspection: &'a Inspection,
    dir: PathBuf,
    until: Until,
    notes: Vec<String>,
}

impl<'a> Rebuild<'a> {
    pub(super) fn new(inspection: &'a Inspection, dir: &Path, until: Until) -> Self {
        Self { inspection, dir: dir.to_owned(), until, notes: Vec::new() }
    }

    /// Rebuilds it, from the newest snapshot that serves.
    pub(super) fn run(mut self) -> Result<Rebuilt, PastError> {
        let oldest = oldest(self.inspection)?;
        let mut usable = None;
        for (position, path) in snapshot::list(&self.dir)? {
            if position < oldest.previous() {
                break;
            }
            if matches!(self.until, Until::Position(until) if position > until) {
                continue;
            }
            let Some((start, at)) = self.start(position, &path) else { continue };
            usable = Some((position, at));
            let late = |at: Timestamp| matches!(self.until, Until::Instant(until) if at > until);
            if late(at) || late(start.world.last_instant()) {
                continue;
            }
            if let Some(rebuilt) = self.replay(start)? {
                return Ok(rebuilt);
            }
        }
        if oldest > Position::START.next() {
            return Err(PastError::NotRetained { oldest, usable });
        }
        let rebuilt = self.replay(Start::default())?;
        rebuilt.ok_or(PastError::NotRetained { oldest, usable })
    }

    /// Reads a snapshot as a start; one that can't be used is noted.
    fn start(&mut self, position: Position, path: &Path) -> Option<(Start, Timestamp)> {
        let read = read_snapshot(path, position, self.inspection.log_id())
            .and_then(|snapshot| Ok((restore(&snapshot)?, Timestamp::from_millis(snapshot.header.instant))));
        read.inspect_err(|error| {
            self.notes.push(format!("the snapshot at position {position} is passed over: {error}"));
        })
        .ok()
    }

    /// Replays what follows a start; nothing when the start is later than what is asked for.
    fn replay(&mut self, start: Start) -> Result<Option<Rebuilt>, PastError> {
        let Start { mut world, position, versions } = start;
        let snapshot = (position > Position::START).then_some(position);
        let (mut applied, mut last_applied, mut too_late) = (0, position, false);
        let bar = bar(self.inspection, position);
        let until = self.until;
        let mut walk = Contiguous { last: position };
        let walked = self.inspection.for_each(position, Position::new(u64::MAX), |position, bytes| {
            walk.step(position)?;
            move_bar(bar.as_ref(), position);
            let record = decode(position, bytes)?;
            let wanted = match until {
                Until::End => true,
                Until::Position(until) => position <= until,
                Until::Instant(until) => record.at <= until,
            };
            if wanted {
                applied += u64::from(apply(&mut world, position, &record)?);
                last_applied = position;
            } else if versions.get(&record.stream()).is_some_and(|version| record.version <= *version) {
                too_late = true;
            }
            Ok::<(), PastError>(())
        });
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        if too_late {
            return Ok(None);
        }
        self.judge_end(walked, walk.last)?;
        let notes = std::mem::take(&mut self.notes);
        Ok(Some(Rebuilt { world, position: last_applied, snapshot, applied, notes }))
    }

    /// Says whether the log reaches as far as what is asked for, though it may end in damage.
    fn judge_end(&mut self, walked: Result<(), PastError>, last: Position) -> Result<(), PastError> {
        if let Until::Position(until) = self.until
            && until <= last
        {
            return Ok(());
        }
        let mark = self.inspection.mark().map_or(Position::START, |(position, _)| position);
        match walked {
            Err(PastError::Inspect(InspectError::Damaged { position, defect, .. })) if last >= mark => {
                self.notes.push(format!(
                    "the log ends in an unfinished write at position {position} ({defect}), which nobody was told of; the next \
                     start cuts it"
                ));
            }
            Err(error) => return Err(error),
            Ok(()) if last < mark => return Err(PastError::Lost { mark, last }),
            Ok(()) => {}
        }
        if matches!(self.until, Until::Position(_)) { Err(PastError::Beyond { last }) } else { Ok(()) }
    }
}

/// A world to replay from.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// Every aggregate.
    pub(super) world: World,
    /// The position that it stands for.
    pub(super) position: Position,
    /// The version of each stream in it, which may be later than the position.
    pub(super) versions: BTreeMap<Stream, u64>,
}

/// Returns the oldest position that is retained.
pub(super) fn oldest(inspection: &Inspection) -> Result<Position, PastError> {
    let mut oldest = Position::START.next();
    if let Some(number) = inspection.generations().first()
        && let Some(header) = inspection.header(*number)?
    {
        oldest = header.first;
    }
    Ok(oldest)
}

/// Reads a snapshot, and checks that it is this log's at this position.
pub(super) fn read_snapshot(
    path: &Path,
    position: Position,
    log_id: Option<u128>,
) -> Result<Snapshot, PastError> {
    let snapshot = snapshot::read(path)?;
    let is_ours = log_id.is_none_or(|log_id| snapshot.header.log_id == log_id);
    if is_ours && snapshot.header.position == position {
        return Ok(snapshot);
    }
    let (path, what) = (path.display().to_string(), "it belongs to another log or another position");
    Err(SnapshotError::Damaged { path, what }.into())
}

/// Makes the world of a snapshot.
pub(super) fn restore(snapshot: &Snapshot) -> Result<Start, PastError> {
    let position = snapshot.header.position;
    let mut start = Start { position, ..Start::default() };
    for section in &snapshot.sections {
        caught(position, || {
            let section =
                record::decode_section(section).map_err(|source| PastError::Decode { position, source })?;
            let stands = match &section {
                Section::Catalogue(catalogue) => Some((Stream::Catalogue, catalogue.version())),
                Section::Schedule(image) => Some((Stream::Schedule(image.number), image.version)),
                // Parts of what comes before or next.
                Section::People(..)
                | Section::UsersPart(_)
                | Section::Archived(_)
                | Section::Carried(..)
                | Section::Replans(_) => None,
                Section::WaitingRoom(image) => Some((Stream::WaitingRoom(image.number), image.version)),
                Section::Accounts(image) => Some((Stream::Accounts(image.shard), image.version)),
                Section::Payments(image) => Some((Stream::Payments(image.schedule), image.version)),
                Section::Users(image) => Some((Stream::Users, image.version)),
            };
            start.versions.extend(stands);
            start.world.restore(section).map_err(|source| PastError::Replay { position, source })
        })?;
    }
    Ok(start)
}

/// Returns the world of the snapshot at a position.
pub(super) fn start_at(inspection: &Inspection, dir: &Path, position: Position) -> Result<World, PastError> {
    let found = snapshot::list(dir)?.into_iter().find(|(at, _)| *at == position);
    let (_, path) = found.ok_or(PastError::NotRetained { oldest: position.next(), usable: None })?;
    Ok(restore(&read_snapshot(&path, position, inspection.log_id())?)?.world)
}

/// Reads a record.
pub(super) fn decode(position: Position, bytes: &[u8]) -> Result<Record, PastError> {
    record::decode(bytes).map_err(|source| PastError::Decode { position, source })
}

/// Applies a record; returns whether the world hadn't it yet.
pub(super) fn apply(world: &mut World, position: Position, record: &Record) -> Result<bool, PastError> {
    caught(position, || world.apply(record).map_err(|source| PastError::Replay { position, source }))
}

/// Checks every invariant of a world.
pub(super) fn check(world: &World, position: Position) -> Result<(), PastError> {
    caught(position, || world.check().map_err(|source| PastError::Replay { position, source }))
}

/// Checks that no position is left out.
pub(super) struct Contiguous {
    /// The last position that came.
    pub(super) last: Position,
}

impl Contiguous {
    /// Takes the next position.
    pub(super) fn step(&mut self, position: Position) -> Result<(), PastError> {
        if position != self.last.next() {
            return Err(PastError::Missing { from: self.last.next(), found: position });
        }
        self.last = position;
        Ok(())
    }
}

static PANIC: Mutex<String> = Mutex::new(String::new());

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// Keeps a panic's words for [`caught`] instead of printing them. Call it once, before anything is replayed.
pub(super) fn catch_panics() {
    let standing = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if CATCHING.get() {
            let payload = panic.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            // An assertion's second and third lines are values.
            let line = text.and_then(|text| text.lines().next()).unwrap_or_default();
            line.clone_into(&mut PANIC.lock().unwrap_or_else(PoisonError::into_inner));
        } else {
            standing(panic);
        }
    }));
}

/// Runs what trusts a checked journal on one that may be damaged: a failed assertion is an error.
fn caught<T>(position: Position, work: impl FnOnce() -> Result<T, PastError>) -> Result<T, PastError> {
    guarded(work).unwrap_or_else(|message| Err(PastError::Contradiction { position, message }))
}

/// Runs what trusts what it reads; where an assertion fails, returns what it says.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    CATCHING.set(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(false);
    done.map_err(|_| std::mem::take(&mut *PANIC.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Makes a bar for what is behind `after`, where there is much of it and someone to see it.
pub(super) fn bar(inspection: &Inspection, after: Position) -> Option<ProgressBar> {
    let (end, _) = inspection.mark()?;
    let records = end.get().saturating_sub(after.get());
    if records < BAR_RECORDS_MIN || !std::io::stderr().is_terminal() {
        return None;
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} records, {per_sec}, {eta} left").ok()?;
    let bar = ProgressBar::new(end.get()).with_style(style);
    bar.set_position(after.get());
    Some(bar)
}

/// Moves a bar now and then.
pub(super) fn move_bar(bar: Option<&ProgressBar>, position: Position) {
    if let Some(bar) = bar
        && position.get().is_multiple_of(BAR_STEP)
    {
        bar.set_position(position.get());
    }
}
