//! Rebuilds the world of a stopped engine's data directory, as it was after a position or at an instant.
//!
//! `recovery` rebuilds it. This module finds the snapshots and records, and collects notes for the operator.
//!
//! Absent on purpose: any change of the directory ([`Inspection`] copies), and repair.
//!
//! Invariant: damage is an error that says where, never a panic: records are applied under [`caught`].

use core::cell::{Cell, RefCell};
use core::panic::AssertUnwindSafe;
use std::io::IsTerminal;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use onsale::domain::time::Timestamp;
use onsale::journal::snapshot::{self, SnapshotError};
use onsale::journal::{InspectError, Inspection, Position, StoreError};
use onsale::record::{Record, Stream};
use onsale::recovery::{RebuildError, Rebuilt, Start, Until, Visit, World, rebuild};

use super::output::Failure;

/// The fewest records that get a progress bar: fewer are replayed at once.
const BAR_RECORDS_MIN: u64 = 100_000;
/// How often a bar moves.
const BAR_STEP: u64 = 4_096;

/// Why a past world can't be rebuilt.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorldError {
    /// The log can't be looked at, or is damaged.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The snapshots can't be listed, or one can't be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A snapshot or a record can't be applied.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// Applying a record panicked: it contradicts the state.
    #[error("position {position} contradicts what came before it: {message}")]
    Contradiction {
        position: Position,
        /// The first line of the failed assertion.
        message: String,
    },
    /// The log ends before the mark, so acknowledged records are missing.
    #[error("records up to position {mark} were durable, but the log ends at position {last}")]
    Lost { mark: Position, last: Position },
    /// The log ends before the position that was asked for.
    #[error("the log ends at position {last}")]
    Beyond { last: Position },
    /// The position or instant that was asked for is no longer kept.
    #[error("it is no longer kept: the log is retained from position {oldest} on{}", since(.usable.as_ref()))]
    NotRetained {
        oldest: Position,
        /// The oldest snapshot from which a replay can begin.
        usable: Option<(Position, Timestamp)>,
    },
}

fn since(usable: Option<&(Position, Timestamp)>) -> String {
    match usable {
        Some((position, at)) => {
            format!(
                ", and the oldest snapshot to begin from is of position {position}, {at}: ask for that or later"
            )
        }
        None => ", and no snapshot can be used".to_owned(),
    }
}

impl From<WorldError> for Failure {
    fn from(error: WorldError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Opens a data directory to read it.
///
/// # Errors
/// Wrong usage if it has no journal, an engine runs on it, or it can't be read.
pub(super) fn inspect(dir: &Path, scratch: Option<&Path>) -> Result<Inspection, Failure> {
    Inspection::open(dir, scratch).map_err(|error| {
        if matches!(error, InspectError::Store(StoreError::Locked(_))) {
            let dir = dir.display();
            return Failure::Usage(format!(
                "{dir} is in use by a running engine: stop the engine first, or use a copy of the directory"
            ));
        }
        if matches!(error, InspectError::Format(_)) {
            return Failure::Usage(error.to_string());
        }
        Failure::Usage(format!("{error}; name the data directory of a stopped engine with --data-dir"))
    })
}

/// Rebuilds the world of a data directory. Also returns notes for the operator, such as snapshots that can't be read.
pub(super) fn run(
    inspection: &Inspection,
    dir: &Path,
    until: Until,
) -> Result<(Rebuilt, Vec<String>), WorldError> {
    let (oldest, retained_after) = (inspection.oldest()?, inspection.retained_after()?);
    let files = Files { inspection, until, notes: RefCell::default(), reached: Cell::default() };

    // The newest snapshot first. One that can't be read is passed over for the one before it, and where the whole log is
    // retained, the replay can begin without any.
    let serves = |position| !matches!(until, Until::Position(until) if position > until);
    let starts = snapshot::list(dir)?
        .into_iter()
        .take_while(|(position, _)| *position >= retained_after)
        .filter(|(position, _)| serves(*position))
        .filter_map(|(position, path)| files.start(position, &path).map(Ok));
    let beginning = (retained_after == Position::START).then(|| Ok(Start::default()));
    let rebuilt =
        guarded(|| rebuild(starts.chain(beginning), |after, visit| files.records(after, visit), until, ALL));
    let position = files.reached.get();

    match rebuilt.unwrap_or_else(|message| Err(WorldError::Contradiction { position, message })) {
        Ok(rebuilt) => Ok((rebuilt, files.notes.into_inner())),
        Err(WorldError::Rebuild(RebuildError::TooLate { oldest: usable })) => {
            Err(WorldError::NotRetained { oldest, usable })
        }
        Err(error) => Err(error),
    }
}

/// Every stream.
const ALL: &dyn Fn(Stream) -> Result<bool, WorldError> = &|_| Ok(true);

/// The files that a rebuild reads.
struct Files<'a> {
    inspection: &'a Inspection,
    until: Until,
    notes: RefCell<Vec<String>>,
    /// The last position that was read.
    reached: Cell<Position>,
}

impl Files<'_> {
    /// Adds a note, unless an earlier start has made the same one.
    fn note(&self, note: String) {
        let mut notes = self.notes.borrow_mut();
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Reads a snapshot as a start. If it can't be used, a note says why.
    fn start(&self, position: Position, path: &Path) -> Option<Start> {
        start(self.inspection, position, path)
            .inspect_err(|error| {
                self.note(format!("the snapshot at position {position} is passed over: {error}"));
            })
            .ok()
    }

    /// Visits the records behind a position.
    fn records(&self, after: Position, visit: &mut Visit<'_, WorldError>) -> Result<(), WorldError> {
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

    /// Checks that the log reaches as far as is asked for. It may end in an unfinished write.
    fn judge_end(&self, walked: Result<(), WorldError>, last: Position) -> Result<(), WorldError> {
        if let Until::Position(until) = self.until
            && until <= last
        {
            return Ok(());
        }
        let mark = self.inspection.mark().map_or(Position::START, |(position, _)| position);
        match walked {
            Err(WorldError::Inspect(InspectError::Damaged { position, defect, .. })) if last >= mark => {
                self.note(format!(
                    "the log ends in an unfinished write at position {position} ({defect}), which was never acknowledged; the \
                     next start cuts it"
                ));
            }
            Err(error) => return Err(error),
            Ok(()) if last < mark => return Err(WorldError::Lost { mark, last }),
            Ok(()) => {}
        }
        if matches!(self.until, Until::Position(_)) { Err(WorldError::Beyond { last }) } else { Ok(()) }
    }
}

/// Makes the world of the snapshot at a position.
pub(super) fn start(inspection: &Inspection, position: Position, path: &Path) -> Result<Start, WorldError> {
    let snapshot = snapshot::read_at(path, position, inspection.log_id())?;
    caught(position, || Start::of(&snapshot, World::default(), ALL))
}

/// Returns the world of the snapshot at a position.
pub(super) fn start_at(inspection: &Inspection, dir: &Path, position: Position) -> Result<World, WorldError> {
    let found = snapshot::list(dir)?.into_iter().find(|(at, _)| *at == position);
    let (_, path) = found.ok_or(WorldError::NotRetained { oldest: inspection.oldest()?, usable: None })?;
    Ok(start(inspection, position, &path)?.world)
}

/// Applies a record. Returns false if the world has it already.
pub(super) fn apply(world: &mut World, position: Position, record: &Record) -> Result<bool, WorldError> {
    caught(position, || Ok(world.follow(position, record)?))
}

/// Checks every invariant of a world.
pub(super) fn check(world: &World, position: Position) -> Result<(), WorldError> {
    caught(position, || Ok(world.check_at(position)?))
}

static PANIC: Mutex<String> = Mutex::new(String::new());

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// Keeps a panic's message for [`caught`] instead of printing it. Call this once, before anything is replayed.
pub(super) fn catch_panics() {
    let standing = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if CATCHING.get() {
            let payload = panic.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            // The second and third lines of an assertion are values, which may be a user's data.
            let line = text.and_then(|text| text.lines().next()).unwrap_or_default();
            line.clone_into(&mut PANIC.lock().unwrap_or_else(PoisonError::into_inner));
        } else {
            standing(panic);
        }
    }));
}

/// Runs code that trusts a checked journal on one that may be damaged: a failed assertion becomes an error.
fn caught<T>(position: Position, work: impl FnOnce() -> Result<T, WorldError>) -> Result<T, WorldError> {
    guarded(work).unwrap_or_else(|message| Err(WorldError::Contradiction { position, message }))
}

/// Runs code that trusts its input. If an assertion fails, returns its message.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let outer = CATCHING.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(outer);
    done.map_err(|_| core::mem::take(&mut *PANIC.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Makes a progress bar for the records behind `after`, if there are many and standard error is a terminal.
pub(super) fn bar(inspection: &Inspection, after: Position) -> Option<ProgressBar> {
    let records = inspection.records_behind(after)?;
    if records < BAR_RECORDS_MIN || !std::io::stderr().is_terminal() {
        return None;
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} records, {per_sec}, {eta} left").ok()?;
    let bar = ProgressBar::new(records).with_style(style);
    Some(bar)
}

/// Moves a bar every few thousand records.
pub(super) fn move_bar(bar: Option<&ProgressBar>, position: Position) {
    if let Some(bar) = bar
        && position.get().is_multiple_of(BAR_STEP)
    {
        bar.inc(BAR_STEP);
    }
}
