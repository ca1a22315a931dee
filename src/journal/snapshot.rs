//! Snapshot files: opaque sections that stand for the state at a position.
//!
//! ```text
//! header   magic "OSSN", format version u8, codec u8, zero u16, log id u128, position u64, instant u64, section count u32, crc32
//! section  length u32, bytes, crc32 of length and bytes
//! trailer  magic "OSSE", crc32 of everything before it, the trailer's magic excluded
//! ```
//!
//! `<data>/snapshots/snapshot-<position, 20 digits>.onsale`, little-endian throughout. The section count stands in the
//! header and is filled in at the end, so that sections can be streamed.
//!
//! Absent on purpose: what a section means, and when a snapshot may be given its name: the caller finishes it only once its
//! highest position is durable.
//!
//! Invariants: a file has its name only after it was synced and read back; a damaged one is skipped and reported; one that
//! could not be finished is removed at once, since it may have taken the journal's last room.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::config::CODEC;
use super::frame::{u32_at, u64_at, u128_at};
use super::position::Position;
use super::room::{self, Looks};
use super::store::{StoreError, create_dir_durably, is_full, sync_dir};
use crate::files;

const MAGIC: [u8; 4] = *b"OSSN";
const END: [u8; 4] = *b"OSSE";
const FORMAT: u8 = 1;
pub(super) const HEADER_LEN: usize = 48;
const COUNT_AT: usize = 40;
const CRC_AT: usize = 44;
pub(super) const TRAILER_LEN: usize = 8;
const _: () = assert!(COUNT_AT + 4 == CRC_AT && CRC_AT + 4 == HEADER_LEN);
/// The largest section in bytes: 1 GiB.
pub const SECTION_LEN_MAX: usize = 1 << 30;

/// Says why a snapshot cannot be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the message says what each field is")]
pub enum SnapshotError {
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
    /// The file is damaged.
    #[error("{path} is damaged: {what}")]
    Damaged { path: String, what: &'static str },
    /// A section exceeds [`SECTION_LEN_MAX`], or there are too many.
    #[error("a snapshot's section of {0} bytes is too large")]
    SectionTooLarge(usize),
    /// It would take the room that the journal needs.
    #[error(
        "there is no room for a snapshot: it takes about {needed} bytes, {free} are free, and {kept} of them are kept for the \
         journal; free space on the disk"
    )]
    NoRoom {
        /// How many bytes are still to be written.
        needed: u64,
        /// How many are free.
        free: u64,
        /// How many of these are the journal's.
        kept: u64,
    },
    /// The directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SnapshotError {
    /// Tells whether it is for want of room on the disk.
    pub fn is_full(&self) -> bool {
        match self {
            Self::NoRoom { .. } => true,
            Self::Io { source, .. } => is_full(source),
            Self::Store(error) => error.is_full(),
            Self::Damaged { .. } | Self::SectionTooLarge(_) => false,
        }
    }
}

/// Describes a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotHeader {
    /// The log that it belongs to.
    pub log_id: u128,
    /// The position that it stands for.
    pub position: Position,
    /// When it was taken, in the engine's milliseconds.
    pub instant: u64,
    /// How many sections there are.
    pub sections: u32,
}

impl SnapshotHeader {
    pub(super) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut header = [0; HEADER_LEN];
        header[0..4].copy_from_slice(&MAGIC);
        header[4] = FORMAT;
        header[5] = CODEC;
        header[8..24].copy_from_slice(&self.log_id.to_le_bytes());
        header[24..32].copy_from_slice(&self.position.get().to_le_bytes());
        header[32..40].copy_from_slice(&self.instant.to_le_bytes());
        header[COUNT_AT..CRC_AT].copy_from_slice(&self.sections.to_le_bytes());
        let crc = crc32fast::hash(&header[..CRC_AT]);
        header[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        header
    }

    pub(super) fn decode(header: &[u8; HEADER_LEN], codec: u8) -> Result<Self, &'static str> {
        if header[..4] != MAGIC {
            return Err("it does not begin like a snapshot");
        }
        if u32_at(header, CRC_AT) != Some(crc32fast::hash(&header[..CRC_AT])) {
            return Err("the header's checksum is wrong");
        }
        if header[4] != FORMAT || header[5] > codec {
            return Err("it was written by a newer version");
        }
        if header[5] < codec {
            return Err("it was written by an earlier version, before `onsale migrate`");
        }
        Ok(Self {
            log_id: u128_at(header, 8).unwrap_or_default(),
            position: Position::new(u64_at(header, 24).unwrap_or_default()),
            instant: u64_at(header, 32).unwrap_or_default(),
            sections: u32_at(header, COUNT_AT).unwrap_or_default(),
        })
    }
}

/// Holds a snapshot that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What it is.
    pub header: SnapshotHeader,
    /// The sections, in the order in which they were written.
    pub sections: Vec<Vec<u8>>,
}

fn directory(data: &Path) -> PathBuf {
    data.join("snapshots")
}

fn file_name(position: Position) -> String {
    format!("snapshot-{:020}.onsale", position.get())
}

/// What a snapshot is written to, under a name that nobody reads until it is finished. One that is dropped before leaves nothing.
pub(super) trait Sink: Send {
    /// Refuses to go on where so many bytes more would take room that is kept free.
    fn look_at_room(&mut self, needed: u64) -> Result<(), SnapshotError>;
    /// Appends bytes to the body.
    fn write(&mut self, bytes: &[u8]) -> Result<(), SnapshotError>;
    /// Puts the header before the body and the trailer behind it, makes all of it durable, reads it back, and gives it its name. Returns
    /// how many bytes it has.
    fn finish(
        self: Box<Self>,
        header: &SnapshotHeader,
        trailer: [u8; TRAILER_LEN],
    ) -> Result<u64, SnapshotError>;
}

/// Writes a snapshot, section by section.
pub struct SnapshotWriter {
    sink: Box<dyn Sink>,
    header: SnapshotHeader,
    /// Of everything behind the header.
    body: crc32fast::Hasher,
}

impl SnapshotWriter {
    /// Begins a snapshot in a data directory; it ends early where it would leave less than `kept` bytes free.
    pub fn create(
        data: &Path,
        log_id: u128,
        position: Position,
        instant: u64,
        kept: u64,
    ) -> Result<Self, SnapshotError> {
        let header = SnapshotHeader { log_id, position, instant, sections: 0 };
        let sink = FileSink::create(data, &header, kept)?;
        Ok(Self::to(Box::new(sink), header))
    }

    /// Begins a snapshot elsewhere.
    pub(super) fn to(sink: Box<dyn Sink>, header: SnapshotHeader) -> Self {
        assert!(
            SnapshotHeader::decode(&header.encode(), CODEC) == Ok(header),
            "a header reads back as it is written"
        );
        Self { sink, header, body: crc32fast::Hasher::new() }
    }

    /// Appends a section.
    pub fn section(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= SECTION_LEN_MAX);
        let length = length.ok_or(SnapshotError::SectionTooLarge(bytes.len()))?.to_le_bytes();
        let sections =
            self.header.sections.checked_add(1).ok_or(SnapshotError::SectionTooLarge(bytes.len()))?;

        // Before a byte of it is written: the journal ends with its first write that doesn't fit.
        self.sink.look_at_room(u64::from(u32::from_le_bytes(length)))?;

        let mut crc = crc32fast::Hasher::new();
        crc.update(&length);
        crc.update(bytes);
        for part in [&length[..], bytes, &crc.finalize().to_le_bytes()] {
            self.body.update(part);
            self.sink.write(part)?;
        }

        self.header.sections = sections;
        Ok(())
    }

    /// Makes it durable, reads it back, gives it its name, and returns how many bytes it has. To be called only once the position is
    /// durable.
    pub fn finish(self) -> Result<u64, SnapshotError> {
        let Self { sink, header, body } = self;
        let mut whole = crc32fast::Hasher::new();
        whole.update(&header.encode());
        whole.combine(&body);

        let mut trailer = [0; TRAILER_LEN];
        trailer[..4].copy_from_slice(&END);
        trailer[4..].copy_from_slice(&whole.finalize().to_le_bytes());
        sink.finish(&header, trailer)
    }
}

/// A file in a data directory.
struct FileSink {
    file: BufWriter<File>,
    /// Behind the file, so that it is removed once that is closed.
    partial: Partial,
    /// How many bytes it leaves free on the disk.
    kept: u64,
    looks: Looks,
    path: PathBuf,
}

/// A file that isn't finished: it goes with its writer, for whatever reason that ends.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Ok(()) => {}
            // It has got its name.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let path = self.0.display();
                tracing::error!(%path, %error, "an unfinished snapshot cannot be removed; the next start removes it");
            }
        }
    }
}

impl FileSink {
    fn create(data: &Path, header: &SnapshotHeader, kept: u64) -> Result<Self, SnapshotError> {
        let dir = directory(data);
        create_dir_durably(&dir)?;
        let path = dir.join(file_name(header.position));
        let partial = Partial(path.with_extension("partial"));

        let file = files::replace(&partial.0).map_err(|error| io_error(&partial.0, error))?;
        let mut file = BufWriter::with_capacity(256 << 10, file);
        file.write_all(&header.encode()).map_err(|error| io_error(&partial.0, error))?;
        Ok(Self { file, partial, kept, looks: Looks::new(), path })
    }
}

impl Sink for FileSink {
    fn look_at_room(&mut self, needed: u64) -> Result<(), SnapshotError> {
        if self.looks.due(needed) { check_room(&self.path, needed, self.kept) } else { Ok(()) }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.file.write_all(bytes).map_err(|error| io_error(&self.partial.0, error))
    }

    fn finish(
        mut self: Box<Self>,
        header: &SnapshotHeader,
        trailer: [u8; TRAILER_LEN],
    ) -> Result<u64, SnapshotError> {
        // The count of sections is known only now, so the header is written again.
        let write = |file: &mut BufWriter<File>| {
            file.write_all(&trailer)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header.encode())?;
            file.flush()?;
            file.get_ref().sync_all()?;
            Ok(file.get_ref().metadata()?.len())
        };
        let bytes = write(&mut self.file).map_err(|error| io_error(&self.partial.0, error))?;

        // What can't be read back gets no name, so that the snapshots before it and the journal stay.
        let found = scan(&self.partial.0, CODEC, |_| {})?;
        assert!(found == *header, "a snapshot reads back as it was written");
        fs::rename(&self.partial.0, &self.path).map_err(|error| io_error(&self.path, error))?;

        if let Some(dir) = self.path.parent() {
            sync_dir(dir)?;
        }
        Ok(bytes)
    }
}

/// Tells whether `needed` bytes more fit on the disk of a file that is to be, and leave `kept` free.
fn check_room(path: &Path, needed: u64, kept: u64) -> Result<(), SnapshotError> {
    let dir = path.parent().unwrap_or(path);
    match room::free(dir).map_err(|error| io_error(dir, error))? {
        Some(free) if free < needed.saturating_add(kept) => Err(SnapshotError::NoRoom { needed, free, kept }),
        Some(_) | None => Ok(()),
    }
}

/// Estimates the size of the next snapshot from the last one's and from what the journal's newest generation has taken since;
/// where there is no snapshot, everything is in the journal.
pub(super) fn expected_len(data: &Path, newest_generation: &Path) -> u64 {
    let last = list(data).unwrap_or_default().into_iter().next();
    let last = last.and_then(|(_, path)| fs::metadata(path).ok()).map_or(0, |file| file.len());
    last.saturating_add(dir_len(newest_generation))
}

/// Returns the bytes of the plain files in a directory; a file that can't be looked at counts nothing.
fn dir_len(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    files.filter_map(|entry| entry.metadata().ok()).filter(fs::Metadata::is_file).map(|file| file.len()).sum()
}

/// Refuses to begin a snapshot of about `expected` bytes where it would take room that is kept free.
pub(super) fn check_begin(data: &Path, expected: u64, kept: u64) -> Result<(), SnapshotError> {
    let dir = directory(data);
    create_dir_durably(&dir)?;
    check_room(&dir.join("snapshot"), expected, kept)
}

fn io_error(path: &Path, source: io::Error) -> SnapshotError {
    SnapshotError::Io { path: path.display().to_string(), source }
}

/// Reads a snapshot and checks all of it.
pub fn read(path: &Path) -> Result<Snapshot, SnapshotError> {
    read_as(path, CODEC)
}

/// Reads a snapshot whose sections are of a codec, and checks all of it.
pub fn read_as(path: &Path, codec: u8) -> Result<Snapshot, SnapshotError> {
    let mut sections = Vec::new();
    let header = scan(path, codec, |section| sections.push(section))?;
    Ok(Snapshot { header, sections })
}

/// Reads a snapshot, and checks that it is of this position, and of this log where that is known.
pub fn read_at(path: &Path, position: Position, log_id: Option<u128>) -> Result<Snapshot, SnapshotError> {
    let snapshot = read(path)?;
    let is_ours = log_id.is_none_or(|log_id| snapshot.header.log_id == log_id);
    if is_ours && snapshot.header.position == position {
        return Ok(snapshot);
    }
    let (path, what) = (path.display().to_string(), "it belongs to another log or another position");
    Err(SnapshotError::Damaged { path, what })
}

/// Checks that a whole snapshot is of this position and log.
pub fn check(path: &Path, position: Position, log_id: u128) -> Result<(), SnapshotError> {
    let header = scan(path, CODEC, drop)?;
    if header.log_id == log_id && header.position == position {
        return Ok(());
    }
    let (path, what) = (path.display().to_string(), "it belongs to another log or another position");
    Err(SnapshotError::Damaged { path, what })
}

/// Returns the path of the snapshot at a position.
pub fn path(data: &Path, position: Position) -> PathBuf {
    directory(data).join(file_name(position))
}

/// Checks a whole snapshot whose sections are of a codec, and shows them.
fn scan(path: &Path, codec: u8, section: impl FnMut(Vec<u8>)) -> Result<SnapshotHeader, SnapshotError> {
    let file = File::open(path).map_err(|error| io_error(path, error))?;
    let length = file.metadata().map_err(|error| io_error(path, error))?.len();
    scan_from(BufReader::with_capacity(256 << 10, file), length, path, codec, section)
}

/// As [`scan`], of `left` bytes of any input; the path is its name in errors.
pub(super) fn scan_from(
    mut input: impl Read,
    mut left: u64,
    path: &Path,
    codec: u8,
    mut section: impl FnMut(Vec<u8>),
) -> Result<SnapshotHeader, SnapshotError> {
    let damaged = |what| SnapshotError::Damaged { path: path.display().to_string(), what };
    let mut whole = crc32fast::Hasher::new();

    // Bytes are summed as they are read, so that the file is read once. The trailer isn't part of the sum.
    let mut next = |bytes: &mut [u8], checked: bool| {
        input.read_exact(bytes).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                damaged("it stops early")
            } else {
                io_error(path, error)
            }
        })?;
        if checked {
            whole.update(bytes);
        }
        Ok::<_, SnapshotError>(whole.clone())
    };

    let mut header = [0; HEADER_LEN];
    next(&mut header, true)?;
    let header = SnapshotHeader::decode(&header, codec).map_err(damaged)?;
    left = left.saturating_sub(u64::try_from(HEADER_LEN).unwrap_or(u64::MAX));

    for _ in 0..header.sections {
        let mut length = [0; 4];
        next(&mut length, true)?;
        // The length is checked against the file before room is made for it.
        left = left
            .checked_sub(u64::from(u32::from_le_bytes(length)) + 8)
            .ok_or_else(|| damaged("a section is cut"))?;

        let mut bytes = vec![0; usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX)];
        next(&mut bytes, true)?;
        let mut crc = [0; 4];
        next(&mut crc, true)?;

        let mut expected = crc32fast::Hasher::new();
        expected.update(&length);
        expected.update(&bytes);
        if crc != expected.finalize().to_le_bytes() {
            return Err(damaged("a section's checksum is wrong"));
        }
        section(bytes);
    }

    let mut trailer = [0; TRAILER_LEN];
    let whole = next(&mut trailer, false)?;
    if trailer[..4] != END || trailer[4..] != whole.finalize().to_le_bytes() || left != 8 {
        return Err(damaged("the trailer is wrong"));
    }

    Ok(header)
}

/// Lists the snapshots of a data directory by position, newest first; they have not been read.
pub fn list(data: &Path) -> Result<Vec<(Position, PathBuf)>, SnapshotError> {
    let dir = directory(data);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error(&dir, error)),
    };

    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| io_error(&dir, error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let position = name.strip_prefix("snapshot-").and_then(|name| name.strip_suffix(".onsale"));
        if let Some(position) = position.and_then(|position| position.parse().ok()) {
            found.push((Position::new(position), path));
        }
    }

    found.sort_unstable_by(|one, other| other.cmp(one));
    Ok(found)
}

/// Holds the newest snapshot that can be read, and why newer ones were skipped.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The snapshot; nothing when there is none that can be read.
    pub snapshot: Option<Snapshot>,
    /// The newer ones that cannot; each has been logged.
    pub skipped: Vec<(PathBuf, SnapshotError)>,
}

/// Reads the newest snapshot of the log that is whole.
pub fn load_newest(data: &Path, log_id: u128) -> Result<Loaded, SnapshotError> {
    let mut loaded = Loaded::default();
    for (position, path) in list(data)? {
        match read_at(&path, position, Some(log_id)) {
            Ok(snapshot) => {
                loaded.snapshot = Some(snapshot);
                break;
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "skipped a snapshot that cannot be used");
                loaded.skipped.push((path, error));
            }
        }
    }
    Ok(loaded)
}

/// Lists the positions of the snapshots that are whole, newest first; each is read only when it is asked for.
pub(super) fn readable(data: &Path) -> impl Iterator<Item = Position> {
    let listed = list(data).unwrap_or_else(|error| {
        tracing::warn!(%error, "snapshots cannot be listed");
        Vec::new()
    });
    listed.into_iter().filter(|(_, path)| scan(path, CODEC, drop).is_ok()).map(|(position, _)| position)
}

/// Returns when a snapshot was taken, in the engine's milliseconds; nothing where its header can't be read.
pub(super) fn instant_of(path: &Path) -> Option<u64> {
    let mut header = [0; HEADER_LEN];
    File::open(path).and_then(|mut file| file.read_exact(&mut header)).ok()?;
    SnapshotHeader::decode(&header, CODEC).ok().map(|header| header.instant)
}

/// Returns how many bytes the snapshot at a position has; none where there is none.
pub fn len(data: &Path, position: Position) -> u64 {
    fs::metadata(directory(data).join(file_name(position))).map_or(0, |file| file.len())
}

/// Removes the snapshots before `base`.
pub(super) fn remove_before(data: &Path, base: Position) -> Result<(), SnapshotError> {
    let old = list(data)?.into_iter().filter(|(position, _)| *position < base);
    for (_, path) in old {
        fs::remove_file(&path).map_err(|error| io_error(&path, error))?;
    }
    Ok(())
}

/// Removes one snapshot.
pub(super) fn remove(data: &Path, position: Position) -> Result<(), SnapshotError> {
    let path = directory(data).join(file_name(position));
    fs::remove_file(&path).map_err(|error| io_error(&path, error))
}

/// Removes snapshots that were not finished.
pub(super) fn remove_unfinished(data: &Path) -> Result<(), StoreError> {
    let dir = directory(data);
    let failed = |error| StoreError::io(format!("clean {}", dir.display()), error);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "partial") {
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    Ok(())
}
