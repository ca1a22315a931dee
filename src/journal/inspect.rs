//! Looking at a stopped engine's log without changing anything: for `onsale verify` and `onsale replay`.
//!
//! The directory is locked, and each generation is copied to a scratch directory before it is opened, since a store may
//! write when it is opened. A generation whose recovery did not succeed is looked at as that recovery found it.
//!
//! Absent on purpose: repair, and stopping at the first damage: every frame gets its verdict.
//!
//! Invariant: nothing below the data directory is written.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use super::config::{CODEC, CODEC_V1};
use super::frame::Defect;
use super::generations::Generation;
use super::identity::{self, Identity, OtherFormat};
use super::mark::{self, Mark};
use super::position::{Ordinal, Position};
use super::scan::{Run, Sequence, Walk, Walked};
use super::store::{
    Key, Store, StoreError, copy_dir, generation_dir, lock_read_only, numbers_with, open_copy, read_file,
    remove_dir,
};
use super::stream::is_of_a_stream;
use crate::files;
use crate::random;

/// Says why a log cannot be looked at.
#[derive(Debug, Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the message says what each field is")]
pub enum InspectError {
    /// The directory cannot be read: an engine runs on it, or an error of the operating system.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// There is no journal.
    #[error("{0} holds no journal")]
    Nothing(String),
    /// The log is elsewhere.
    #[error(
        "the log of {0} is on NATS (cluster.log): this command looks at a log on this machine's disk only"
    )]
    Elsewhere(String),
    /// Records are missing in between.
    #[error("the records from position {from} on are missing: the next is {found}")]
    Missing {
        /// The first that is missing.
        from: Position,
        /// The next that is there.
        found: Position,
    },
    /// It is of today's format, and was to be of the one before it.
    #[error("{0} is of format 2 already")]
    Migrated(String),
    /// It is of another format.
    #[error(transparent)]
    Format(#[from] OtherFormat),
    /// A record that was asked for is damaged or not there.
    #[error("generation {generation}, position {position}: {defect}")]
    Damaged { generation: u64, position: Position, defect: Defect },
}

/// Describes one frame, or the bytes that stand in the place of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameReport {
    /// The generation's number.
    pub generation: u64,
    /// Its first record, as its key says.
    pub first: Ordinal,
    /// The number of its first chunk; 0 except inside a large entry.
    pub chunk: u16,
    /// How many records it completes; 0 inside a large entry and where it is damaged.
    pub count: u32,
    /// Its length in bytes.
    pub bytes: usize,
    /// What is wrong; nothing when it is right.
    pub defect: Option<Defect>,
}

/// Tells whether a directory is an engine's; opening another one would make it so.
pub fn is_data_dir(dir: &Path) -> bool {
    dir.join("journal").is_dir()
}

/// Looks at a stopped engine's log.
pub struct Inspection {
    dir: PathBuf,
    scratch: PathBuf,
    codec: u8,
    identity: Option<Identity>,
    mark: Option<Mark>,
    was_clean: bool,
    numbers: Vec<u64>,
    _lock: Option<File>,
}

impl Inspection {
    /// Locks a data directory for looking at it; copies go below `scratch`, or the system's temporary directory.
    pub fn open(dir: &Path, scratch: Option<&Path>) -> Result<Self, InspectError> {
        Self::open_as(dir, scratch, CODEC)
    }

    /// The same for a directory of format 1.
    pub fn open_v1(dir: &Path, scratch: Option<&Path>) -> Result<Self, InspectError> {
        Self::open_as(dir, scratch, CODEC_V1)
    }

    fn open_as(dir: &Path, scratch: Option<&Path>, codec: u8) -> Result<Self, InspectError> {
        let journal = dir.join("journal");
        if is_of_a_stream(dir) {
            return Err(InspectError::Elsewhere(dir.display().to_string()));
        }
        if !is_data_dir(dir) {
            return Err(InspectError::Nothing(dir.display().to_string()));
        }

        let lock = lock_read_only(dir)?;
        let identity = read_file(&dir.join(identity::FILE))?.and_then(|file| Identity::parse(&file));
        // Where there is none, every frame gets its verdict.
        let found = identity.map_or(codec, |identity| identity.codec);
        if found != codec {
            return Err(match OtherFormat::of(dir.display(), found) {
                Some(format) => format.into(),
                None => InspectError::Migrated(dir.display().to_string()),
            });
        }

        let mut numbers = numbers_with(&journal, "")?;

        // Where a recovery died, its copy may be all that is left of a generation.
        numbers.extend(numbers_with(&journal, ".recovering")?);
        numbers.sort_unstable();
        numbers.dedup();

        // A directory of its own, since another inspection may use the same parent.
        let parent = scratch.map_or_else(std::env::temp_dir, Path::to_owned);
        let scratch = parent.join(random::name("onsale-inspect-"));
        files::create_dir_all(&parent)
            .and_then(|()| files::create_dir(&scratch))
            .map_err(|error| StoreError::io(format!("create {}", scratch.display()), error))?;

        Ok(Self {
            codec,
            identity,
            mark: read_file(&dir.join(mark::FILE))?.and_then(|file| Mark::parse(&file)),
            was_clean: dir.join(super::lane::CLEAN).is_file(),
            dir: dir.to_owned(),
            scratch,
            numbers,
            _lock: lock,
        })
    }

    /// Returns the log's id; nothing when `identity` is missing or damaged.
    pub fn log_id(&self) -> Option<u128> {
        self.identity.map(|identity| identity.log_id)
    }

    /// Returns the log's identity and its mark; nothing where either is missing or damaged.
    pub(super) fn identity_and_mark(&self) -> (Option<Identity>, Option<Mark>) {
        (self.identity, self.mark)
    }

    /// Returns the directory for copies, which goes when this does.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Returns the mark's position and instant; nothing when `mark` is missing or damaged.
    pub fn mark(&self) -> Option<(Position, u64)> {
        self.mark.map(|mark| (mark.durable.position(), mark.instant))
    }

    /// Tells whether the mark is of the same log as the identity; true where either is missing or damaged.
    pub fn mark_is_of_the_log(&self) -> bool {
        self.identity.zip(self.mark).is_none_or(|(identity, mark)| identity.log_id == mark.log_id)
    }

    /// Tells whether the engine stopped cleanly.
    pub const fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// Lists the generations' numbers.
    pub fn generations(&self) -> &[u64] {
        &self.numbers
    }

    /// Reads a generation's header; nothing when it is missing or damaged.
    pub fn header(&self, number: u64) -> Result<Option<Generation>, InspectError> {
        Ok(self.header_file(number)?.and_then(|header| Generation::decode(&header)))
    }

    /// Tells whether a generation has no whole header. The process stopped while it made the generation, if it is the newest.
    pub fn is_unfinished(&self, number: u64) -> Result<bool, InspectError> {
        Ok(self.header_file(number)?.is_none_or(|header| Generation::is_cut_short(&header)))
    }

    fn header_file(&self, number: u64) -> Result<Option<Vec<u8>>, InspectError> {
        Ok(read_file(&self.source(number).join("generation"))?)
    }

    /// Returns the position behind which everything is retained; [`Position::START`] where that is all there ever was.
    pub fn retained_after(&self) -> Result<Position, InspectError> {
        let header = self.numbers.first().map(|number| self.header(*number)).transpose()?.flatten();
        Ok(header.map_or(Position::START, |header| header.first.previous().position()))
    }

    /// Returns the oldest position that is retained.
    pub fn oldest(&self) -> Result<Position, InspectError> {
        self.retained_after().map(|after| after.ordinal().next().position())
    }

    /// Returns how many records stand behind a position, as far as the mark says.
    pub fn records_behind(&self, after: Position) -> Option<u64> {
        self.mark.map(|mark| mark.durable.since(after.ordinal()))
    }

    fn source(&self, number: u64) -> PathBuf {
        let dir = generation_dir(&self.dir, number);
        let mut recovering = dir.clone().into_os_string();
        recovering.push(".recovering");
        let recovering = PathBuf::from(recovering);
        if recovering.is_dir() { recovering } else { dir }
    }

    fn copy(&self, number: u64) -> Result<Scratch, InspectError> {
        let dir = self.scratch.join(format!("gen-{number}"));
        remove_dir(&dir)?;
        copy_dir(&self.source(number), &dir, false)?;
        let mut copy = Scratch { store: None, dir };
        copy.store = Some(open_copy(&copy.dir)?);
        Ok(copy)
    }

    /// Shows every frame of one generation with its verdict, the last one for a large entry that does not end.
    pub fn frames(&self, number: u64, mut visit: impl FnMut(FrameReport)) -> Result<(), InspectError> {
        self.walk(number, |_, report, _| {
            visit(report);
            Ok::<_, InspectError>(())
        })
    }

    /// Shows every record behind `after`, in order, up to `until`; the first damage in between is an error.
    pub fn for_each<E: From<InspectError>>(
        &self,
        after: Position,
        until: Position,
        mut visit: impl FnMut(Position, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut next, until) = (after.ordinal().next(), until.ordinal());

        let mut headers = Vec::new();
        for &number in &self.numbers {
            headers.push((number, self.header(number)?));
        }

        // To walk a generation is to copy it. So those that can't hold what is wanted are left out.
        for (at, (number, header)) in headers.iter().enumerate() {
            let end = headers.get(at + 1).and_then(|(_, header)| *header).map(|header| header.first);
            if end.is_some_and(|end| end <= next) || header.is_none_or(|header| header.first > until) {
                continue;
            }
            self.walk::<E>(*number, |generation, report, run| {
                if let Some(defect) = report.defect
                    && report.first <= until
                    && report.first >= next
                {
                    return Err(InspectError::Damaged {
                        generation,
                        position: report.first.position(),
                        defect,
                    }
                    .into());
                }

                let Some(run) = run else { return Ok(()) };
                let (first, last) = (run.first.ordinal(), run.last().ordinal());
                if last < next || first > until {
                    return Ok(());
                }

                if first > next {
                    return Err(InspectError::Missing { from: next.position(), found: run.first }.into());
                }

                let wanted = run.records(next.previous().position());
                for (position, record) in wanted.take_while(|(position, _)| position.ordinal() <= until) {
                    visit(position, record)?;
                }
                next = last.next();
                Ok(())
            })?;
        }
        Ok(())
    }

    fn walk<E: From<InspectError>>(
        &self,
        number: u64,
        mut visit: impl FnMut(u64, FrameReport, Option<&Run>) -> Result<(), E>,
    ) -> Result<(), E> {
        let header = self.header(number)?;
        let copy = self.copy(number)?;
        let Some(store) = &copy.store else { return Ok(()) };

        // Without a header, the frames are compared with what the first generation of this log would say.
        let (log_id, first, epoch) = header
            .map_or((self.log_id().unwrap_or_default(), Ordinal::START.next(), 0), |header| {
                (header.log_id, header.first, header.epoch)
            });

        // A store that lost everything opens as if it were new, and has no frame that could be found wrong.
        if let Some(header) = header
            && !header.is_in(&**store).map_err(InspectError::from)?
        {
            let lost = FrameReport {
                generation: number,
                first,
                chunk: 0,
                count: 0,
                bytes: 0,
                defect: Some(Defect::Gap(first)),
            };
            visit(number, lost, None)?;
        }

        let mut sequence = Sequence::new(log_id, first, epoch);
        for walked in Walk::of_codec(store.scan(Key::FIRST, Key::META), self.codec) {
            match walked.map_err(InspectError::from)? {
                Walked::Bad(bad) => {
                    let report = FrameReport {
                        generation: number,
                        first: bad.key.ordinal,
                        chunk: bad.key.chunk,
                        count: 0,
                        bytes: bad.bytes,
                        defect: Some(bad.defect),
                    };
                    visit(number, report, None)?;
                }
                Walked::Frame(frame) => {
                    let (head, bytes) = (frame.header, frame.bytes.len());
                    let (run, defect) = match sequence.accept(frame) {
                        Ok(run) => (run, None),
                        Err(defect) => {
                            // One bad frame gets one verdict: the next is compared with where this one ends.
                            sequence.resume_behind(&head);
                            (None, Some(defect))
                        }
                    };

                    let report = FrameReport {
                        generation: number,
                        first: head.first,
                        chunk: head.chunk,
                        count: if defect.is_none() { head.count } else { 0 },
                        bytes,
                        defect,
                    };
                    visit(number, report, run.as_ref())?;
                }
            }
        }

        if let Some(bytes) = sequence.unfinished() {
            let defect = Some(Defect::Unfinished);
            let report =
                FrameReport { generation: number, first: sequence.next(), chunk: 0, count: 0, bytes, defect };
            visit(number, report, None)?;
        }

        Ok(())
    }
}

/// A copy that is removed when it is no longer needed.
struct Scratch {
    store: Option<Arc<dyn Store>>,
    dir: PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.store = None;
        discard(&self.dir);
    }
}

impl Drop for Inspection {
    fn drop(&mut self) {
        discard(&self.scratch);
    }
}

fn discard(dir: &Path) {
    if let Err(error) = remove_dir(dir) {
        tracing::warn!(%error, "a scratch directory cannot be removed");
    }
}
