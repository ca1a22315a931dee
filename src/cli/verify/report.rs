//! The findings of `verify`, as tables for a person.

use core::fmt;
use std::path::{Path, PathBuf};

use onsale::archive::Checked;
use onsale::books::{Books, BooksError};
use onsale::domain::time::Timestamp;
use onsale::journal::{Inspection, Position};
use onsale::recovery::World;

use crate::cli::output::{count, plain};

/// The most damaged places of one generation that are listed.
const PLACES_MAX: usize = 20;

/// The row of a checked generation.
#[derive(Debug, Default)]
pub(super) struct GenerationRow {
    number: u64,
    /// The position of its first record; absent if its header can't be read.
    pub(super) first: Option<Position>,
    /// The position of its last record; absent if it has none.
    pub(super) last: Option<Position>,
    /// The number of whole frames.
    pub(super) frames: u64,
    /// The records in whole frames.
    pub(super) records: u64,
    /// The bytes of all frames, damaged ones too.
    pub(super) bytes: u64,
    damage: Vec<String>,
}

impl GenerationRow {
    pub(super) fn new(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    pub(super) fn damage(&mut self, what: String) {
        self.damage.push(what);
    }
}

/// The row of a checked snapshot.
#[derive(Debug)]
pub(super) struct SnapshotRow {
    position: Position,
    /// The instant at which it was taken; absent if it can't be read.
    pub(super) instant: Option<Timestamp>,
    /// The number of its sections.
    pub(super) sections: u32,
    /// The length of its file.
    pub(super) bytes: u64,
    damage: Vec<String>,
}

impl SnapshotRow {
    pub(super) fn new(position: Position) -> Self {
        Self { position, instant: None, sections: 0, bytes: 0, damage: Vec::new() }
    }

    pub(super) fn damage(&mut self, what: String) {
        self.damage.push(what);
    }
}

/// A check and its outcome.
#[derive(Debug)]
struct Check {
    name: &'static str,
    /// What was checked, or what is damaged.
    outcome: Result<String, String>,
}

/// All findings.
#[derive(Debug)]
pub(super) struct Report {
    dir: PathBuf,
    log_id: Option<u128>,
    mark: Option<(Position, u64)>,
    was_clean: bool,
    /// The generations in order.
    pub(super) generations: Vec<GenerationRow>,
    /// The snapshots, the oldest first.
    pub(super) snapshots: Vec<SnapshotRow>,
    damage: Vec<String>,
    notes: Vec<String>,
    start: Option<Position>,
    range: Option<(Position, Position)>,
    instants: Option<(Timestamp, Timestamp)>,
    checks: Vec<Check>,
}

impl Report {
    pub(super) fn new(inspection: &Inspection, dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            log_id: inspection.log_id(),
            mark: inspection.mark(),
            was_clean: inspection.was_clean(),
            generations: Vec::new(),
            snapshots: Vec::new(),
            damage: Vec::new(),
            notes: Vec::new(),
            start: None,
            range: None,
            instants: None,
            checks: Vec::new(),
        }
    }

    /// Adds damage of the directory itself.
    pub(super) fn damage(&mut self, what: impl Into<String>) {
        self.damage.push(what.into());
    }

    /// Adds a remark that isn't damage.
    pub(super) fn note(&mut self, what: String) {
        self.notes.push(what);
    }

    pub(super) fn snapshot_damage(&mut self, position: Position, what: String) {
        if let Some(row) = self.snapshots.iter_mut().find(|row| row.position == position) {
            row.damage(what);
        }
    }

    /// Sets the snapshot from which the replay begins, if the beginning isn't retained.
    pub(super) fn begun_from(&mut self, position: Position) {
        self.start = Some(position);
    }

    pub(super) fn replayed(
        &mut self,
        after: Position,
        oldest: Position,
        last: Position,
        records: u64,
        instants: Option<(Timestamp, Timestamp)>,
    ) {
        self.range = Some((oldest, last));
        self.instants = instants;
        let from = match self.start {
            Some(start) => format!("behind the snapshot at position {start}"),
            None if after == Position::START => "from the beginning".to_owned(),
            None => format!("from position {oldest}"),
        };
        self.checks
            .push(Check { name: "replay", outcome: Ok(format!("{} {from}", count(records, "record"))) });
    }

    /// Replaces the success of the replay by damage.
    pub(super) fn replay_damage(&mut self, what: String) {
        self.checks.retain(|check| check.name != "replay" || check.outcome.is_err());
        self.checks.push(Check { name: "replay", outcome: Err(what) });
    }

    pub(super) fn invariants_hold(&mut self, world: &World) {
        let seats: u64 = world.schedules.values().map(|schedule| u64::from(schedule.counts().total())).sum();
        let reservations: usize =
            world.schedules.values().map(|schedule| schedule.reservations().count()).sum();
        let [schedules, reservations] =
            [world.schedules.len(), reservations].map(|count| u64::try_from(count).unwrap_or(u64::MAX));
        let outcome = Ok(format!(
            "{}, {}, {}",
            count(schedules, "schedule"),
            count(seats, "seat"),
            count(reservations, "reservation")
        ));
        self.checks.push(Check { name: "invariants", outcome });
    }

    pub(super) fn books(&mut self, checked: Result<Books, BooksError>) {
        if let Ok(books) = &checked
            && books.owed.payments > 0
        {
            self.note(format!("{}; the next start gives it back", books.owed));
        }
        let told = |books: Books| {
            format!(
                "{}, {}, {} ({} under way), {}, {}",
                count(books.accounts, "account"),
                count(books.movements, "movement"),
                count(books.payments, "payment"),
                books.under_way,
                count(books.paid_reservations, "paid reservation"),
                count(books.orders, "order")
            )
        };
        self.checks
            .push(Check { name: "money", outcome: checked.map(told).map_err(|error| error.to_string()) });
    }

    pub(super) fn invariant_damage(&mut self, what: String) {
        self.checks.push(Check { name: "invariants", outcome: Err(what) });
    }

    /// Adds the counts of the archive, unless it is empty.
    pub(super) fn archive_is_sound(&mut self, checked: Checked) {
        if checked == Checked::default() {
            return;
        }
        if checked.owed.payments > 0 {
            return self.archive_damage(format!(
                "{}; the engine doesn't give back what the archive holds",
                checked.owed
            ));
        }
        let outcome = Ok(format!(
            "{}, {}, {}, {}",
            count(checked.schedules, "schedule"),
            count(checked.reservations, "reservation"),
            count(checked.payments, "payment"),
            count(checked.transactions, "transaction")
        ));
        self.checks.push(Check { name: "archive", outcome });
    }

    pub(super) fn archive_damage(&mut self, what: String) {
        self.checks.push(Check { name: "archive", outcome: Err(what) });
    }

    pub(super) fn compared(&mut self, snapshots: u64, from_beginning: bool) {
        let wrong = self.snapshots.iter().filter(|row| !row.damage.is_empty()).count();
        let with = if from_beginning {
            "replay from the beginning"
        } else {
            "replay from the oldest snapshot; the beginning is no longer retained"
        };
        let outcome = if wrong == 0 && snapshots == 0 {
            Ok("there is no snapshot to compare".to_owned())
        } else if wrong == 0 {
            Ok(format!("{} + replay = {with}", count(snapshots, "snapshot")))
        } else {
            Err(format!(
                "{wrong} of {} snapshots are damaged or differ from the {with}",
                self.snapshots.len()
            ))
        };
        self.checks.push(Check { name: "snapshots", outcome });
    }

    /// Tells whether nothing is damaged.
    pub(super) fn is_sound(&self) -> bool {
        self.damage.is_empty()
            && self.generations.iter().all(|row| row.damage.is_empty())
            && self.snapshots.iter().all(|row| row.damage.is_empty())
            && self.checks.iter().all(|check| check.outcome.is_ok())
    }

    fn write_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "directory  {}", plain(&self.dir.display().to_string()))?;
        let stopped = if self.was_clean { "stopped cleanly" } else { "not stopped cleanly" };
        match self.log_id {
            Some(log_id) => writeln!(f, "log        {log_id:032x}, {stopped}")?,
            None => writeln!(f, "log        unknown, {stopped}")?,
        }
        if let Some((first, last)) = self.range {
            let mark = self.mark.map(|(mark, _)| format!("; up to {mark} was acknowledged at the last mark"));
            writeln!(f, "positions  {first} to {last}{}", mark.unwrap_or_default())?;
        }
        if let Some((first, last)) = self.instants {
            writeln!(f, "instants   {first} to {last}")?;
        }
        Ok(())
    }

    fn write_generations(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last, frames, records) = ("first", "last", "frames", "records");
        writeln!(
            f,
            "\ngeneration {first:>12} {last:>12} {frames:>10} {records:>12} {:>14}  damage",
            "bytes"
        )?;
        for row in &self.generations {
            let position = |position: Option<Position>| position.map_or("-".to_owned(), |at| at.to_string());
            let (first, last) = (position(row.first), position(row.last));
            let GenerationRow { number, frames, records, bytes, damage, .. } = row;
            write!(f, "{number:>10} {first:>12} {last:>12} {frames:>10} {records:>12} {bytes:>14}  ")?;
            write_damage(f, damage)?;
        }
        Ok(())
    }

    fn write_snapshots(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (instant, sections) = ("instant", "sections");
        writeln!(f, "\n  snapshot {instant:>24} {sections:>10} {:>14}  damage", "bytes")?;
        for row in &self.snapshots {
            let SnapshotRow { position, sections, bytes, damage, .. } = row;
            let instant = row.instant.map_or("-".to_owned(), |at| at.to_string());
            write!(f, "{:>10} {instant:>24} {sections:>10} {bytes:>14}  ", position.get())?;
            write_damage(f, damage)?;
        }
        Ok(())
    }
}

fn write_damage(f: &mut fmt::Formatter<'_>, damage: &[String]) -> fmt::Result {
    let Some((first, rest)) = damage.split_first() else { return writeln!(f, "none") };
    writeln!(f, "{}", plain(first))?;
    for what in rest.iter().take(PLACES_MAX - 1) {
        writeln!(f, "           {}", plain(what))?;
    }
    let left = rest.len().saturating_sub(PLACES_MAX - 1);
    if left > 0 {
        writeln!(f, "           and {left} more")?;
    }
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        self.write_generations(f)?;
        self.write_snapshots(f)?;
        writeln!(f)?;
        let frames: u64 = self.generations.iter().map(|row| row.frames).sum();

        if self.generations.iter().all(|row| row.damage.is_empty()) {
            writeln!(f, "{:<10} ok       {}", "frames", count(frames, "frame"))?;
        } else {
            writeln!(f, "{:<10} DAMAGED  see the generations", "frames")?;
        }

        for Check { name, outcome } in &self.checks {
            match outcome {
                Ok(done) => writeln!(f, "{name:<10} ok       {done}")?,
                Err(wrong) => writeln!(f, "{name:<10} DAMAGED  {}", plain(wrong))?,
            }
        }

        for what in &self.damage {
            writeln!(f, "{:<10} DAMAGED  {}", "directory", plain(what))?;
        }
        for note in &self.notes {
            writeln!(f, "{:<10} {}", "note", plain(note))?;
        }

        writeln!(f, "\n{}", if self.is_sound() { "sound" } else { "damaged" })
    }
}
