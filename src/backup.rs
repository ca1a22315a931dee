//! A data directory, copied while its engine runs, as a stream of parts.
//!
//! ```text
//! snapshots named so far → position P → frames up to P → those snapshots → rows of the archive → end
//! ```
//!
//! The order makes the copy consistent. A snapshot that had its name before P was read shows nothing later than P. The archive is
//! read behind P, so that all that the journal moved there is in it; what is later there does no harm. The copy is a directory of
//! an engine that stopped cleanly at P.
//!
//! Of the snapshots, the two newest come, and the oldest, from which everything that is retained can be rebuilt; those between them
//! only shorten the way to an earlier instant.
//!
//! Absent on purpose: HTTP and the command line; files that aren't the engine's; any copy of the store's own files.
//!
//! Invariant: a directory without its mark is no copy, and the mark is written when everything came and is on disk.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::archive::{Archive, ArchiveError};
use crate::files;
use crate::journal::snapshot::{self, SnapshotError};
use crate::journal::{BackupError, Log, LogBackup, LogCopy, LogPart, Position, ReadError, StoreError};

/// The kinds of parts, as they stand in the stream: a byte, the length as a little-endian `u32`, then the bytes.
mod kind {
    pub(super) const LOG: u8 = 1;
    pub(super) const GENERATION: u8 = 2;
    pub(super) const FRAME: u8 = 3;
    /// A snapshot begins; its position.
    pub(super) const SNAPSHOT: u8 = 4;
    pub(super) const SNAPSHOT_BYTES: u8 = 5;
    pub(super) const ROWS: u8 = 6;
    /// Nothing; the giver is there.
    pub(super) const ALIVE: u8 = 7;
    /// The last part; the checksum of all parts but those that say that the giver is there.
    pub(super) const END: u8 = 8;
    /// The last part of a copy that failed; why.
    pub(super) const FAILURE: u8 = 9;
}

/// Bytes before a part's own.
const PREFIX_LEN: usize = 5;
/// A longer part is none of ours.
const PART_LEN_MAX: usize = 1 << 30;
/// A chunk of the stream ends with the part that fills this many bytes.
const CHUNK_BYTES: usize = 64 << 10;
/// How often it is begun anew when snapshots are deleted meanwhile.
const TRIES_MAX: u32 = 3;
/// The oldest snapshot comes, and so many of the newest.
const NEWEST: usize = 2;

/// Why a running engine's directory can't be copied.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are their causes'")]
pub enum GiveError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("a snapshot can't be read: {0}")]
    Io(#[from] io::Error),
    /// What is kept of the journal doesn't lead to its beginning, and there is no snapshot to begin with.
    #[error("the journal doesn't begin at its beginning, and no snapshot leads to where it does")]
    NoBase,
}

/// A copy that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// Where it ends.
    pub position: Position,
    /// How many bytes the stream had.
    pub bytes: u64,
}

/// Returns the part that says that the giver is still there: it may stand between any two chunks.
pub fn alive() -> Vec<u8> {
    part(kind::ALIVE, &[])
}

/// Returns the part that ends a stream in place of its end.
pub fn failure(why: &str) -> Vec<u8> {
    part(kind::FAILURE, why.as_bytes())
}

fn part(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut part = Vec::with_capacity(PREFIX_LEN + bytes.len());
    part.push(kind);
    part.extend_from_slice(&u32::try_from(bytes.len()).expect("a part has a bound").to_le_bytes());
    part.extend_from_slice(bytes);
    part
}

/// Gives everything that a copy needs to `send`, in chunks of whole parts. Blocks.
///
/// # Errors
/// When something can't be read, or `send` fails.
pub fn give<E: From<GiveError>>(
    data: &Path,
    log: &Log,
    archive: &Archive,
    send: impl FnMut(Vec<u8>) -> Result<(), E>,
) -> Result<Given, E> {
    let (backup, snapshots) = begin(data, log)?;
    let position = backup.position();
    let mut out = Giver { send, chunk: Vec::new(), sum: crc32fast::Hasher::new(), bytes: 0 };
    out.part(kind::LOG, &backup.head().map_err(GiveError::from)?)?;

    let mut failed = None;
    let shown = backup.for_each(|part| {
        let given = match part {
            LogPart::Generation(header) => out.part(kind::GENERATION, header),
            LogPart::Frame(bytes) => out.part(kind::FRAME, bytes),
        };
        given.map_err(|error| {
            failed = Some(error);
            ReadError::Closed
        })
    });
    match (failed, shown) {
        (Some(error), _) => return Err(error),
        (None, shown) => shown.map_err(GiveError::from)?,
    }

    let mut piece = vec![0; CHUNK_BYTES];
    for (position, mut file) in snapshots {
        out.part(kind::SNAPSHOT, &position.get().to_le_bytes())?;
        loop {
            let length = file.read(&mut piece).map_err(GiveError::from)?;
            if length == 0 {
                break;
            }
            out.part(kind::SNAPSHOT_BYTES, &piece[..length])?;
        }
    }

    archive.for_each_batch(|rows| out.part(kind::ROWS, rows).map_err(Interrupted::Taker)).map_err(
        |error| match error {
            Interrupted::Taker(error) => error,
            Interrupted::Archive(error) => GiveError::from(error).into(),
        },
    )?;

    let bytes = out.end()?;
    Ok(Given { position, bytes })
}

/// Why reading the archive ended early.
enum Interrupted<E> {
    Archive(ArchiveError),
    Taker(E),
}

impl<E> From<ArchiveError> for Interrupted<E> {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

/// The giving side of the stream.
struct Giver<S> {
    send: S,
    chunk: Vec<u8>,
    sum: crc32fast::Hasher,
    bytes: u64,
}

impl<E, S: FnMut(Vec<u8>) -> Result<(), E>> Giver<S> {
    fn part(&mut self, kind: u8, bytes: &[u8]) -> Result<(), E> {
        let part = part(kind, bytes);
        self.sum.update(&part);
        self.bytes += u64::try_from(part.len()).expect("a length fits");
        self.chunk.extend_from_slice(&part);
        if self.chunk.len() < CHUNK_BYTES { Ok(()) } else { (self.send)(core::mem::take(&mut self.chunk)) }
    }

    fn end(mut self) -> Result<u64, E> {
        let sum = self.sum.clone().finalize();
        self.part(kind::END, &sum.to_le_bytes())?;
        if !self.chunk.is_empty() {
            (self.send)(self.chunk)?;
        }
        Ok(self.bytes)
    }
}

/// Opens the snapshots, and then begins with the log: what had its name before is of before.
fn begin(data: &Path, log: &Log) -> Result<(LogBackup, Vec<(Position, File)>), GiveError> {
    for _ in 0..TRIES_MAX {
        let Some(snapshots) = open(data)? else { continue };
        let backup = match log.back_up() {
            Err(ReadError::Gone { .. }) => continue,
            done => done?,
        };

        // An older snapshot leads to records that are gone.
        let after = backup.retained_after();
        let usable: Vec<_> = snapshots.into_iter().filter(|(position, _)| *position >= after).collect();
        if usable.is_empty() && after > Position::START {
            continue;
        }
        let last = usable.len().saturating_sub(1);
        let chosen = usable.into_iter().enumerate().filter(|(index, _)| *index < NEWEST || *index == last);
        return Ok((backup, chosen.map(|(_, snapshot)| snapshot).collect()));
    }
    Err(GiveError::NoBase)
}

/// Opens all snapshots, newest first: an open one can be read though it is deleted. Nothing where one went meanwhile.
fn open(data: &Path) -> Result<Option<Vec<(Position, File)>>, GiveError> {
    let mut opened = Vec::new();
    for (position, path) in snapshot::list(data)? {
        match File::open(path) {
            Ok(file) => opened.push((position, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(opened))
}

/// Why a copy isn't made.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message says what each field is")]
pub enum TakeError {
    /// The giver says why.
    #[error("the engine gave up: {0}")]
    GivenUp(String),
    /// The stream ended early.
    #[error("the answer was cut off")]
    Cut,
    /// What came isn't a copy of a directory.
    #[error("the answer isn't a copy of this version: use the program of the engine's own version")]
    Foreign,
    /// Bytes changed on their way.
    #[error("the answer's checksum is wrong")]
    Checksum,
    #[error("the copy of the journal: {0}")]
    Log(#[from] BackupError),
    #[error("the copy of the archive: {0}")]
    Archive(#[from] ArchiveError),
    /// No snapshot that came can be used, and the journal alone doesn't lead to its beginning.
    #[error("no snapshot that came can be used: {0}")]
    NoBase(SnapshotError),
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
}

/// A copy that was made.
#[derive(Debug)]
pub struct Taken {
    /// Where it ends.
    pub position: Position,
    /// The engine's instant there, in milliseconds.
    pub instant: u64,
    /// How many snapshots it has.
    pub snapshots: usize,
    /// The snapshots that can't be used, and so aren't in it.
    pub skipped: Vec<SnapshotError>,
}

/// Makes a copy of a data directory of the stream that [`give`] gives.
pub struct Taker {
    dir: PathBuf,
    /// Bytes of a part that isn't whole yet.
    rest: Vec<u8>,
    sum: crc32fast::Hasher,
    log: Option<LogCopy>,
    snapshot: Option<(Position, File)>,
    snapshots: usize,
    skipped: Vec<SnapshotError>,
    archive: Option<Archive>,
    ended: bool,
}

impl Taker {
    /// Begins a copy in a directory that isn't there yet.
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            rest: Vec::new(),
            sum: crc32fast::Hasher::new(),
            log: None,
            snapshot: None,
            snapshots: 0,
            skipped: Vec::new(),
            archive: None,
            ended: false,
        }
    }

    /// Takes the next bytes of the stream, however they are cut.
    ///
    /// # Errors
    /// When they aren't such a stream's, or can't be written.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TakeError> {
        let mut rest = core::mem::take(&mut self.rest);
        rest.extend_from_slice(bytes);
        let mut at = 0;
        while let Some((prefix, behind)) = rest[at..].split_first_chunk::<PREFIX_LEN>() {
            let [kind, length @ ..] = *prefix;
            let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
            if length > PART_LEN_MAX || !(kind::LOG..=kind::FAILURE).contains(&kind) {
                return Err(TakeError::Foreign);
            }
            let Some(content) = behind.get(..length) else { break };
            self.take(kind, content, prefix)?;
            at += PREFIX_LEN + length;
        }
        rest.drain(..at);
        self.rest = rest;
        Ok(())
    }

    fn take(&mut self, kind: u8, bytes: &[u8], prefix: &[u8]) -> Result<(), TakeError> {
        if self.ended {
            return Err(TakeError::Foreign);
        }
        let sum = self.sum.clone();
        if kind != kind::ALIVE {
            self.sum.update(prefix);
            self.sum.update(bytes);
        }
        match kind {
            kind::ALIVE => Ok(()),
            kind::FAILURE => Err(TakeError::GivenUp(String::from_utf8_lossy(bytes).into_owned())),
            kind::END if bytes != sum.finalize().to_le_bytes() => Err(TakeError::Checksum),
            kind::END => {
                self.ended = true;
                self.end_snapshot()
            }
            kind::LOG if self.log.is_none() => {
                self.log = Some(LogCopy::create(&self.dir, bytes)?);
                Ok(())
            }
            kind::GENERATION => Ok(self.log()?.put(LogPart::Generation(bytes))?),
            kind::FRAME => Ok(self.log()?.put(LogPart::Frame(bytes))?),
            kind::SNAPSHOT => self.begin_snapshot(bytes),
            kind::SNAPSHOT_BYTES => {
                let dir = &self.dir;
                let (position, file) = self.snapshot.as_mut().ok_or(TakeError::Foreign)?;
                file.write_all(bytes).map_err(|source| io_error(&snapshot::path(dir, *position), source))
            }
            kind::ROWS => {
                self.end_snapshot()?;
                let log_id = self.log()?.log_id();
                if self.archive.is_none() {
                    self.archive = Some(Archive::open(&self.dir, log_id)?);
                }
                let archive = self.archive.as_ref().ok_or(TakeError::Foreign)?;
                Ok(archive.put_batch(bytes)?)
            }
            _ => Err(TakeError::Foreign),
        }
    }

    fn log(&mut self) -> Result<&mut LogCopy, TakeError> {
        self.log.as_mut().ok_or(TakeError::Foreign)
    }

    fn begin_snapshot(&mut self, position: &[u8]) -> Result<(), TakeError> {
        self.end_snapshot()?;
        self.log()?;
        let position = <[u8; 8]>::try_from(position).map_err(|_| TakeError::Foreign)?;
        let position = Position::new(u64::from_le_bytes(position));
        let path = snapshot::path(&self.dir, position);
        let made =
            path.parent().map_or(Ok(()), files::create_dir_all).and_then(|()| files::create_new(&path));
        self.snapshot = Some((position, made.map_err(|source| io_error(&path, source))?));
        Ok(())
    }

    /// Makes the snapshot durable that is being written, and leaves it out when it can't be used: a start would do the same.
    fn end_snapshot(&mut self) -> Result<(), TakeError> {
        let Some((position, file)) = self.snapshot.take() else { return Ok(()) };
        let path = snapshot::path(&self.dir, position);
        file.sync_all().map_err(|source| io_error(&path, source))?;
        let log_id = self.log()?.log_id();
        match snapshot::check(&path, position, log_id) {
            Ok(()) => self.snapshots += 1,
            Err(error) => {
                fs::remove_file(&path).map_err(|source| io_error(&path, source))?;
                self.skipped.push(error);
            }
        }
        Ok(())
    }

    /// Ends the copy once everything came: only now can the directory be opened.
    ///
    /// # Errors
    /// When something is missing, or can't be made durable.
    pub fn finish(mut self) -> Result<Taken, TakeError> {
        if !self.ended || !self.rest.is_empty() {
            return Err(TakeError::Cut);
        }
        let log = self.log.take().ok_or(TakeError::Foreign)?;
        if self.snapshots == 0
            && log.begins_after() > Position::START
            && let Some(error) = self.skipped.pop()
        {
            return Err(TakeError::NoBase(error));
        }

        // The archive's connection closes before the directory is released.
        self.archive = None;
        if self.snapshots > 0 {
            let dir = self.dir.join("snapshots");
            File::open(&dir).and_then(|dir| dir.sync_all()).map_err(|source| io_error(&dir, source))?;
        }
        let instant = log.instant();
        let position = log.finish()?;
        Ok(Taken { position, instant, snapshots: self.snapshots, skipped: self.skipped })
    }
}

fn io_error(path: &Path, source: io::Error) -> TakeError {
    TakeError::Io { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_of_something_else_or_without_an_end_is_refused_however_it_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let taker = || Taker::new(&dir.path().join("copy"));
        assert!(matches!(taker().push(b"<html>"), Err(TakeError::Foreign)));
        assert!(matches!(taker().finish(), Err(TakeError::Cut)));

        let mut stream = alive();
        stream.extend(failure("it is stopping"));
        for cut in 0..stream.len() {
            let mut taker = taker();
            let both = [&stream[..cut], &stream[cut..]].map(|bytes| taker.push(bytes).err());
            let told = both.into_iter().flatten().next().unwrap().to_string();
            assert_eq!(told, "the engine gave up: it is stopping");
        }
        let wrong_sum = part(kind::END, &[1, 2, 3, 4]);
        assert!(matches!(taker().push(&wrong_sum), Err(TakeError::Checksum)));
        assert!(matches!(taker().push(&part(kind::FRAME, b"frame")), Err(TakeError::Foreign)));
        assert!(!dir.path().join("copy").exists(), "nothing was made");
    }
}
