//! The past, from the data directory of a stopped engine: the world as it was after some position or at some instant.
//!
//! How a world is rebuilt is `recovery`'s; this finds what there is to rebuild it from, and says what an operator should know.
//!
//! Absent on purpose: any change of the directory ([`Inspection`] copies), and repair.
//!
//! Invariant: damage is an error that says where, never a panic; what applies records runs under [`caught`].

use core::cell::{Cell, RefCell};
use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use onsale::domain::time::Timestamp;
use onsale::journal::snapshot::{self, SnapshotError};
use onsale::journal::{InspectError, Inspection, Position, StoreError};
use onsale::record::{Record, Stream};
use onsale::recovery::{RebuildError, Rebuilt, Start, Until, Visit, World, rebuild};

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
    /// What is read can't be replayed.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// Applying a record panicked: it contradicts the state.
    #[error("position {position} contradicts what came before it: {message}")]
    Contradiction {
        /// Where.
        position: Position,
        /// What the assertion says.
        message: String,
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
        if matches!(error, InspectError::Format(_)) {
            return Failure::Usage(error.to_string());
        }
        Failure::Usage(format!("{error}; name the data directory of a stopped engine with --data-dir"))
    })
}

/// Rebuilds the world of a data directory; says, too, what an operator should know besides.
pub(super) fn run(
    inspection: &Inspection,
    dir: &Path,
    until: Until,
) -> Result<(Rebuilt, Vec<String>), PastError> {
    let (oldest, retained_after) = (inspection.oldest()?, inspection.retained_after()?);
    let past = Past { inspection, until, notes: RefCell::default(), reached: Cell::default() };
    let serves = |position| !matches!(until, Until::Position(until) if position > until);
    let starts = snapshot::list(dir)?
        .into_iter()
        .take_while(|(position, _)| *position >= retained_after)
        .filter(|(position, _)| serves(*position))
        .filter_map(|(position, path)| past.start(position, &path).map(Ok));
    let beginning = (retained_after == Position::START).then(|| Ok(Start::default()));
    let rebuilt =
        guarded(|| rebuild(starts.chain(beginning), |after, visit| past.records(after, visit), until, ALL));
    let position = past.reached.get();

    match rebuilt.unwrap_or_else(|message| Err(PastError::Contradiction { position, message })) {
        Ok(rebuilt) => Ok((rebuilt, past.notes.into_inner())),
        Err(PastError::Rebuild(RebuildError::TooLate { oldest: usable })) => {
            Err(PastError::NotRetained { oldest, usable })
        }
        Err(error) => Err(error),
    }
}

/// Every stream.
const ALL: &dyn Fn(Stream) -> Result<bool, PastError> = &|_| Ok(true);

/// What a rebuild reads.
struct Past<'a> {
    inspection: &'a Inspection,
    until: Until,
    notes: RefCell<Vec<String>>,
    /// The last position that was read.
    reached: Cell<Position>,
}

impl Past<'_> {
    /// Notes it once, however many starts are tried.
    fn note(&self, note: String) {
        let mut notes = self.notes.borrow_mut();
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Reads a snapshot as a start; one that can't be used is noted.
    fn start(&self, position: Position, path: &Path) -> Option<Start> {
        start(self.inspection, position, path)
            .inspect_err(|error| {
                self.note(format!("the snapshot at position {position} is passed over: {error}"));
            })
            .ok()
    }

    /// Shows the records behind a position.
    fn records(&self, after: Position, visit: &mut Visit<'_, PastError>) -> Result<(), PastError> {
        let bar = bar(self.inspection, after);
        let mut last = after;
        let walked = self.inspection.for_each(after, Position::END, |position, bytes| {
            last = position;
            self.reached.set(position);
            move_bar(bar.as_ref(), position);
            visit(position, bytes)
        });
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        self.judge_end(walked, last)
    }

    /// Says whether the log reaches as far as what is asked for, though it may end in damage.
    fn judge_end(&self, walked: Result<(), PastError>, last: Position) -> Result<(), PastError> {
        if let Until::Position(until) = self.until
            && until <= last
        {
            return Ok(());
        }
        let mark = self.inspection.mark().map_or(Position::START, |(position, _)| position);
        match walked {
            Err(PastError::Inspect(InspectError::Damaged { position, defect, .. })) if last >= mark => {
                self.note(format!(
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

/// Makes the world of the snapshot at a position.
pub(super) fn start(inspection: &Inspection, position: Position, path: &Path) -> Result<Start, PastError> {
    let snapshot = snapshot::read_at(path, position, inspection.log_id())?;
    caught(position, || Start::of(&snapshot, World::default(), ALL))
}

/// Returns the world of the snapshot at a position.
pub(super) fn start_at(inspection: &Inspection, dir: &Path, position: Position) -> Result<World, PastError> {
    let found = snapshot::list(dir)?.into_iter().find(|(at, _)| *at == position);
    let (_, path) = found.ok_or(PastError::NotRetained { oldest: inspection.oldest()?, usable: None })?;
    Ok(start(inspection, position, &path)?.world)
}

/// Applies a record; returns whether the world hadn't it yet.
pub(super) fn apply(world: &mut World, position: Position, record: &Record) -> Result<bool, PastError> {
    caught(position, || Ok(world.follow(position, record)?))
}

/// Checks every invariant of a world.
pub(super) fn check(world: &World, position: Position) -> Result<(), PastError> {
    caught(position, || Ok(world.check_at(position)?))
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
    let outer = CATCHING.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(outer);
    done.map_err(|_| std::mem::take(&mut *PANIC.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Makes a bar for what is behind `after`, where there is much of it and someone to see it.
pub(super) fn bar(inspection: &Inspection, after: Position) -> Option<ProgressBar> {
    let records = inspection.records_behind(after)?;
    if records < BAR_RECORDS_MIN || !std::io::stderr().is_terminal() {
        return None;
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} records, {per_sec}, {eta} left").ok()?;
    let bar = ProgressBar::new(records).with_style(style);
    Some(bar)
}

/// Moves a bar now and then.
pub(super) fn move_bar(bar: Option<&ProgressBar>, position: Position) {
    if let Some(bar) = bar
        && position.get().is_multiple_of(BAR_STEP)
    {
        bar.inc(BAR_STEP);
    }
}
