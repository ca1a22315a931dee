//! `onsale verify`: checks that the data directory of a stopped engine is sound.
//!
//! It checks every frame and every snapshot, replays all retained records once, and compares each snapshot with the
//! replay on the way (R1). A snapshot stands for a position, but its sections may be a little later: it is compared as
//! soon as the replay has reached the last of them. Once is enough, since applying is deterministic: equal states stay
//! equal. The archive is checked against the end of the replay.
//!
//! Absent on purpose: repair, and stopping at the first damage.

mod report;
mod rights;

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};
use onsale::archive::Archive;
use onsale::books;
use onsale::domain::time::Timestamp;
use onsale::journal::{
    Defect, FrameReport, Generation, InspectError, Inspection, Ordinal, Position, snapshot,
};
use onsale::record::Record;
use onsale::recovery::{self, Start, World};

use self::report::{GenerationRow, Report, SnapshotRow};
use super::output::{Failure, print};
use super::rebuild::{self, WorldError};
use super::{load, quiet_logs, replay, settings};

pub(super) fn command() -> Command {
    Command::new("verify")
        .about("Check everything in a stopped engine's data directory, without changing anything")
        .arg(replay::scratch())
        .args(settings(&["data_dir"]))
        .after_help(
            "EXAMPLE\n  onsale verify --data-dir ./data\n\n\
             PRINTS\n  the generations and the snapshots with their damage, then one line for each check: frames, replay, \
             invariants, money (payments match reservations), snapshots (each equals the replay up to it), and the archive; as notes, what the \
             next start puts right, and files that the engine's own user couldn't open\n\n\
             EXIT CODES\n  0  sound\n  1  damaged: the tables say where\n  \
             2  wrong usage, no journal there, or an engine runs on the directory",
        )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let config = load(matches)?;
    quiet_logs(&config)?;
    rebuild::catch_panics();
    let dir = &config.server.data_dir;
    let inspection = rebuild::inspect(dir, matches.get_one::<PathBuf>("scratch").map(PathBuf::as_path))?;
    let report = verify(&inspection, dir);
    print(&report.to_string())?;
    if report.is_sound() {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "{} is damaged: keep a copy of it as it is, and restore the newest sound backup",
        dir.display()
    )))
}

fn verify(inspection: &Inspection, dir: &Path) -> Report {
    let mut report = Report::new(inspection, dir);
    check_files(inspection, &mut report);
    if let Some(warning) = rights::warning(dir) {
        report.note(warning);
    }
    let headers = check_generations(inspection, &mut report);
    let oldest = headers.first().map_or(Ordinal::START.next(), |header| header.first);
    let mut snapshots = check_snapshots(inspection, dir, &mut report);
    leave_unreachable(&mut snapshots, oldest, &mut report);
    if let Some(world) = Comparison::new(inspection, oldest, snapshots).run(&mut report) {
        check_archive(inspection, dir, &world, &mut report);
    }
    report
}

/// Checks that the archive has what the journal moved there, and that it is sound.
fn check_archive(inspection: &Inspection, dir: &Path, world: &World, report: &mut Report) {
    // Without an identity nothing belongs to the directory, which was said already.
    let Some(log_id) = inspection.log_id() else { return };
    let checked = rebuild::guarded(|| {
        let archive = Archive::open_read_only(dir, log_id, inspection.scratch())?;
        archive.verify(world)
    });
    match checked {
        Ok(Ok(checked)) => report.archive_is_sound(checked),
        Ok(Err(error)) => report.archive_damage(error.to_string()),
        Err(contradiction) => {
            report.archive_damage(format!("what is in it contradicts itself: {contradiction}"));
        }
    }
}

fn check_files(inspection: &Inspection, report: &mut Report) {
    if inspection.log_id().is_none() {
        report.damage("the file `identity` is missing or damaged");
    }
    if inspection.mark().is_none() {
        report.damage("the file `mark`, which says what has to be there, is missing or damaged");
    } else if !inspection.mark_is_of_the_log() {
        report.damage("the file `mark` belongs to another log than `identity`");
    }
    if inspection.generations().is_empty()
        && inspection.mark().is_some_and(|(position, _)| position > Position::START)
    {
        report.damage("records were durable, and no generation is left");
    }
}

/// Checks every frame of every generation; returns the headers that can be read.
fn check_generations(inspection: &Inspection, report: &mut Report) -> Vec<Generation> {
    let mut headers: Vec<Generation> = Vec::new();
    let mut end = None;
    let last = inspection.generations().last().copied();

    for &number in inspection.generations() {
        let mut row = GenerationRow::new(number);

        // Only the newest generation may lack a header: the process stopped while it made the file.
        let header = match inspection.header(number) {
            Ok(Some(header)) => header,
            Ok(None)
                if Some(number) == last
                    && !headers.is_empty()
                    && inspection.is_unfinished(number).is_ok_and(|unfinished| unfinished) =>
            {
                report.note(format!("generation {number} was not finished when the process stopped; the next start puts it aside"));
                continue;
            }
            Ok(None) => {
                row.damage("its header is missing or damaged".to_owned());
                report.generations.push(row);
                continue;
            }
            Err(error) => {
                row.damage(error.to_string());
                report.generations.push(row);
                continue;
            }
        };

        if inspection.log_id().is_some_and(|log_id| log_id != header.log_id) || header.number != number {
            row.damage("its header is another log's or another generation's".to_owned());
        }
        if headers.last().is_some_and(|former| former.number + 1 != number) {
            row.damage("the generation before it is missing".to_owned());
        }
        if end.is_some_and(|end| end != header.first) {
            row.damage(format!(
                "it begins at position {}, and the one before it ends elsewhere",
                header.first
            ));
        }

        let mut frames = Frames::new(header.first);
        match inspection.frames(number, |frame| frames.take(frame)) {
            Ok(()) => {}
            Err(error) => row.damage(error.to_string()),
        }
        end = Some(frames.next);

        // A generation that isn't the newest was finished, so that a bad frame in it is damage.
        let torn = Some(number) == last && frames.is_torn(inspection);
        frames.fill(&mut row, torn, report);
        headers.push(header);
        report.generations.push(row);
    }

    if let (Some((mark, _)), Some(end)) = (inspection.mark(), end)
        && end.previous().position() < mark
    {
        report.damage(format!(
            "records up to position {mark} were durable, and the log ends at position {}",
            end.previous()
        ));
    }
    headers
}

/// The frames of a generation, counted.
struct Frames {
    first: Ordinal,
    /// The next record.
    next: Ordinal,
    whole: u64,
    records: u64,
    bytes: u64,
    bad: Vec<FrameReport>,
    /// Whether a whole frame stands behind a bad one.
    whole_behind_bad: bool,
}

impl Frames {
    fn new(first: Ordinal) -> Self {
        Self { first, next: first, whole: 0, records: 0, bytes: 0, bad: Vec::new(), whole_behind_bad: false }
    }

    fn take(&mut self, frame: FrameReport) {
        self.bytes += u64::try_from(frame.bytes).unwrap_or(u64::MAX);
        if frame.defect.is_some() {
            self.bad.push(frame);
            return;
        }
        self.whole_behind_bad |= !self.bad.is_empty();
        self.whole += 1;
        self.records += u64::from(frame.count);
        self.next = frame.first.advance(frame.count);
    }

    /// Tells whether the bad frames are one unfinished write at the end, of which nobody was told. The next start cuts
    /// it: this is the rule of recovery.
    fn is_torn(&self, inspection: &Inspection) -> bool {
        let mark = inspection.mark().map_or(Position::START, |(position, _)| position);
        let place = self.bad.first().map(|frame| frame.first);
        let torn = |frame: &FrameReport| {
            let can_be = matches!(
                frame.defect,
                Some(Defect::Malformed | Defect::Incomplete | Defect::Checksum | Defect::Unfinished)
            );
            can_be && Some(frame.first) == place && frame.first.position() > mark
        };
        !self.bad.is_empty() && !self.whole_behind_bad && self.bad.iter().all(torn)
    }

    fn fill(self, row: &mut GenerationRow, torn: bool, report: &mut Report) {
        row.first = Some(self.first.position());
        row.last = (self.records > 0).then(|| self.next.previous().position());
        (row.frames, row.records, row.bytes) = (self.whole, self.records, self.bytes);
        for FrameReport { first, chunk, defect, .. } in self.bad {
            let Some(defect) = defect else { continue };
            let place = if chunk == 0 { String::new() } else { format!(", chunk {chunk}") };
            let what = format!("position {first}{place}: {defect}");
            if torn {
                report.note(format!(
                    "{what}: an unfinished write that nobody was told of; the next start cuts it"
                ));
            } else {
                row.damage(what);
            }
        }
    }
}

/// Reads every snapshot once; returns those that are whole, the oldest first.
fn check_snapshots(inspection: &Inspection, dir: &Path, report: &mut Report) -> Vec<(Position, PathBuf)> {
    let mut listed = match snapshot::list(dir) {
        Ok(listed) => listed,
        Err(error) => {
            report.damage(error.to_string());
            return Vec::new();
        }
    };

    listed.reverse();
    let mut whole = Vec::new();
    for (position, path) in listed {
        let mut row = SnapshotRow::new(position);
        match snapshot::read_at(&path, position, inspection.log_id()) {
            Ok(snapshot) => {
                row.instant = Some(Timestamp::from_millis(snapshot.header.instant));
                row.sections = snapshot.header.sections;
                row.bytes = std::fs::metadata(&path).map_or(0, |file| file.len());
                whole.push((position, path));
            }
            Err(error) => row.damage(error.to_string()),
        }
        report.snapshots.push(row);
    }

    whole
}

/// Leaves out the snapshots (the oldest first) behind which records are missing. The records behind the two newest
/// must be there. An older snapshot without them is left over from an interrupted deletion.
fn leave_unreachable(snapshots: &mut Vec<(Position, PathBuf)>, oldest: Ordinal, report: &mut Report) {
    let needed = snapshots.len().saturating_sub(2);
    for (index, (position, _)) in snapshots.iter().enumerate() {
        if *position >= oldest.previous().position() {
            break;
        }
        if index < needed {
            report.note(format!(
                "the snapshot at position {position} is no longer needed; the next one's taking removes it"
            ));
        } else {
            report.snapshot_damage(
                *position,
                format!("the records behind it are gone: the oldest is {oldest}"),
            );
        }
    }
    snapshots.retain(|(position, _)| *position >= oldest.previous().position());
}

/// A snapshot that waits for the replay to reach the last of its sections.
struct Waiting {
    start: Start,
}

impl Waiting {
    /// Tells whether the replay has everything that the snapshot has.
    fn is_reached_by(&self, world: &World) -> bool {
        self.start.versions.iter().all(|(stream, version)| world.has_reached(*stream, *version))
    }
}

/// One replay of all retained records, which compares each snapshot on its way.
struct Comparison<'a> {
    inspection: &'a Inspection,
    /// The snapshots that are still ahead, the next one last.
    ahead: Vec<(Position, PathBuf)>,
    waiting: Vec<Waiting>,
    /// The replayed world; absent until a start is found.
    world: Option<World>,
    after: Position,
    /// The oldest record.
    oldest: Ordinal,
    /// The last position that was read.
    last: Position,
    compared: u64,
    records: u64,
    instants: Option<(Timestamp, Timestamp)>,
}

impl<'a> Comparison<'a> {
    fn new(inspection: &'a Inspection, oldest: Ordinal, mut snapshots: Vec<(Position, PathBuf)>) -> Self {
        let after = oldest.previous().position();
        snapshots.reverse();
        let world = (after == Position::START).then(World::default);
        Self {
            inspection,
            ahead: snapshots,
            waiting: Vec::new(),
            world,
            after,
            oldest,
            last: after,
            compared: 0,
            records: 0,
            instants: None,
        }
    }

    /// Returns the world at the end of the replay, if it is sound.
    fn run(mut self, report: &mut Report) -> Option<World> {
        let inspection = self.inspection;
        let bar = rebuild::bar(inspection, self.after);
        self.meet(report);
        let walked = inspection.for_each(self.after, Position::END, |position, bytes| {
            rebuild::move_bar(bar.as_ref(), position);
            self.last = position;
            let record = recovery::decode(position, bytes)?;
            self.take(position, &record, report)
        });
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        self.conclude(walked, report)
    }

    fn take(&mut self, position: Position, record: &Record, report: &mut Report) -> Result<(), WorldError> {
        self.records += u64::from(self.world.is_some());
        let (first, last) = self.instants.unwrap_or((record.at, record.at));
        self.instants = Some((first, last.max(record.at)));
        if let Some(world) = &mut self.world {
            rebuild::apply(world, position, record)?;
        }
        for waiting in &mut self.waiting {
            rebuild::apply(&mut waiting.start.world, position, record)?;
        }
        self.meet(report);
        Ok(())
    }

    /// Restores the snapshots of the present position, and compares those that the replay has reached.
    fn meet(&mut self, report: &mut Report) {
        while let Some((position, path)) = self.ahead.pop_if(|(position, _)| *position <= self.last) {
            match rebuild::start(self.inspection, position, &path) {
                Ok(start) if self.world.is_none() => {
                    report.begun_from(position);
                    self.world = Some(start.world);
                }
                Ok(start) => self.waiting.push(Waiting { start }),
                Err(error) => report.snapshot_damage(position, error.to_string()),
            }
        }

        // A waiting snapshot is removed in place, so that the index moves on only past those that stay.
        let Some(world) = &self.world else { return };
        let mut at = 0;
        while let Some(waiting) = self.waiting.get(at) {
            if !waiting.is_reached_by(world) {
                at += 1;
                continue;
            }
            let Waiting { start } = self.waiting.swap_remove(at);
            self.compared += 1;
            if start.world != *world {
                let what = format!("it differs from the replay at position {}", self.last);
                report.snapshot_damage(start.position, what);
            }
        }
    }

    fn conclude(mut self, walked: Result<(), WorldError>, report: &mut Report) -> Option<World> {
        report.replayed(self.after, self.oldest.position(), self.last, self.records, self.instants);
        let mark = self.inspection.mark().map_or(Position::START, |(position, _)| position);
        match walked {
            Ok(()) => {}
            // The table of generations has this damage, and says whether it matters.
            Err(WorldError::Inspect(InspectError::Damaged { position, .. })) if self.last >= mark => {
                report.note(format!("the replay ends before position {position}"));
            }
            Err(error) => report.replay_damage(error.to_string()),
        }

        // Snapshots that the replay never reached claim more than the journal has.
        for Waiting { start } in self.waiting.drain(..) {
            report.snapshot_damage(start.position, "it has events that the journal doesn't have".to_owned());
        }
        for (position, _) in self.ahead.drain(..) {
            report.snapshot_damage(position, "it stands for more than the journal has".to_owned());
        }

        let checked = self.world.as_ref().map(|world| rebuild::check(world, self.last));
        match (&self.world, &checked) {
            (Some(world), Some(Ok(()))) => {
                report.invariants_hold(world);
                report.books(books::check(world));
            }
            (_, Some(Err(error))) => report.invariant_damage(error.to_string()),
            (_, _) => report.replay_damage(
                "the beginning is no longer retained, and there is no snapshot that can be used".to_owned(),
            ),
        }

        report.compared(self.compared, self.after == Position::START);
        self.world.filter(|_| checked.is_some_and(|checked| checked.is_ok()))
    }
}
