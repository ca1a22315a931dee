//! Snapshots in a stream: parts of at most 512 kB, and a sheet that names them, last.
//!
//! ```text
//! sheet    magic "OSSH", version u8, zero u8 x3, attempt u64, parts u32, frame u32, body length u64, sha256 of header, body and trailer,
//!          header (48 bytes), trailer (8 bytes), crc32
//! ```
//!
//! Header and trailer are those of a snapshot's file; the parts are what stands between. Each attempt writes under a name of its own, so
//! that two that write at once don't mix.
//!
//! `frame` is the checksum of the frame in which the snapshot's position is. Servers that forgot may number other records with the same
//! positions: a snapshot of what was forgotten would be taken for one of those.
//!
//! Invariants: without its sheet a snapshot isn't one; the sheet is stored only after everything was read back,
//! and while the log has this life's last message; a snapshot counts only for a log that has its frame.

use core::time::Duration;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;

use super::super::config::CODEC;
use super::super::frame::{CRC_AT as FRAME_CRC_AT, u32_at, u64_at};
use super::super::lane::Message;
use super::super::position::Position;
use super::super::snapshot::{
    HEADER_LEN, Sink, Snapshot, SnapshotError, SnapshotHeader, TRAILER_LEN, scan_from,
};
use super::health::Vitals;
use super::names::Names;
use super::session::{NoAnswer, Session};
use crate::random;

/// The most bytes of a part; with JetStream's JSON around it, it is read in one answer.
const PART_LEN: usize = 512 << 10;
const MAGIC: [u8; 4] = *b"OSSH";
const VERSION: u8 = 1;
const FRAME_AT: usize = 20;
const HEADER_AT: usize = 64;
const TRAILER_AT: usize = HEADER_AT + HEADER_LEN;
const CRC_AT: usize = TRAILER_AT + TRAILER_LEN;
/// How often a request is repeated: some 15 seconds, longer than an election.
const TRIES_MAX: u32 = 40;
const PAUSE_MAX: Duration = Duration::from_millis(400);

/// Where a log's snapshots are.
pub(super) struct Shelf {
    pub(super) session: Arc<Session>,
    pub(super) names: Names,
    pub(super) log_id: u128,
    /// The subject of this life's frames.
    pub(super) subject: String,
    pub(super) vitals: Vitals,
}

/// Describes a whole snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sheet {
    attempt: u64,
    parts: u32,
    /// The checksum of the frame in which its position is; 0 where it stands before the first.
    frame: u32,
    body_len: u64,
    sha256: [u8; 32],
    pub(super) header: SnapshotHeader,
    trailer: [u8; TRAILER_LEN],
}

impl Sheet {
    /// Returns how many bytes the snapshot has.
    pub(super) fn bytes(&self) -> u64 {
        self.body_len + u64::try_from(HEADER_LEN + TRAILER_LEN).expect("both are small")
    }

    fn encode(&self) -> Vec<u8> {
        let mut sheet = vec![0; CRC_AT + 4];
        sheet[0..4].copy_from_slice(&MAGIC);
        sheet[4] = VERSION;
        sheet[8..16].copy_from_slice(&self.attempt.to_le_bytes());
        sheet[16..20].copy_from_slice(&self.parts.to_le_bytes());
        sheet[FRAME_AT..24].copy_from_slice(&self.frame.to_le_bytes());
        sheet[24..32].copy_from_slice(&self.body_len.to_le_bytes());
        sheet[32..64].copy_from_slice(&self.sha256);
        sheet[HEADER_AT..TRAILER_AT].copy_from_slice(&self.header.encode());
        sheet[TRAILER_AT..CRC_AT].copy_from_slice(&self.trailer);
        let crc = crc32fast::hash(&sheet[..CRC_AT]);
        sheet[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        assert!(Self::decode(&sheet) == Ok(*self), "a sheet reads back as it is written");
        sheet
    }

    fn decode(sheet: &[u8]) -> Result<Self, &'static str> {
        let cut = "its sheet stops early";
        let head = sheet.get(..CRC_AT).ok_or(cut)?;
        if head[..4] != MAGIC || u32_at(sheet, CRC_AT) != Some(crc32fast::hash(head)) {
            return Err("its sheet is damaged");
        }
        if head[4] != VERSION {
            return Err("it was written by a newer version");
        }
        let header = head[HEADER_AT..].first_chunk().ok_or(cut)?;
        Ok(Self {
            attempt: u64_at(head, 8).ok_or(cut)?,
            parts: u32_at(head, 16).ok_or(cut)?,
            frame: u32_at(head, FRAME_AT).ok_or(cut)?,
            body_len: u64_at(head, 24).ok_or(cut)?,
            sha256: *head[32..].first_chunk().ok_or(cut)?,
            header: SnapshotHeader::decode(header, CODEC)?,
            trailer: *head[TRAILER_AT..].first_chunk().ok_or(cut)?,
        })
    }
}

/// Names a snapshot in errors.
fn name(shelf: &Shelf, position: Position) -> PathBuf {
    PathBuf::from(shelf.names.manifest(position))
}

fn damaged(shelf: &Shelf, position: Position, what: &'static str) -> SnapshotError {
    SnapshotError::Damaged { path: name(shelf, position).display().to_string(), what }
}

fn failed(path: impl Into<String>, error: NoAnswer) -> SnapshotError {
    SnapshotError::Io { path: path.into(), source: io::Error::other(error.what) }
}

/// Asks again and again until there is an answer.
async fn patiently<T, F: Future<Output = Result<T, NoAnswer>>>(
    mut ask: impl FnMut() -> F,
) -> Result<T, NoAnswer> {
    let mut pause = Duration::from_millis(20);
    for _ in 1..TRIES_MAX {
        match ask().await {
            // The servers know what they are asked for, and won't do it.
            Err(error) if error.code.is_none() => {}
            done => return done,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
    ask().await
}

fn last(shelf: &Shelf, subject: String) -> Result<Option<Bytes>, NoAnswer> {
    let (session, stream) = (Arc::clone(&shelf.session), shelf.names.rest.clone());
    let read = async move { patiently(|| session.last(&stream, &subject)).await };
    shelf.session.block(read).map(|found| found.map(|found| found.bytes))
}

/// Lists the positions of the snapshots, newest first.
pub(super) fn list(shelf: &Shelf) -> Result<Vec<Position>, SnapshotError> {
    let subjects = subjects(shelf, shelf.names.manifests())?;
    let mut positions: Vec<Position> =
        subjects.iter().filter_map(|subject| Some(shelf.names.read_snapshot(subject)?.0)).collect();
    positions.sort_unstable_by(|one, other| other.cmp(one));
    Ok(positions)
}

fn subjects(shelf: &Shelf, filter: String) -> Result<Vec<String>, SnapshotError> {
    let (session, stream) = (Arc::clone(&shelf.session), shelf.names.rest.clone());
    let path = filter.clone();
    let info = shelf.session.block(async move { patiently(|| session.info(&stream, Some(&filter))).await });
    Ok(info.map_err(|error| failed(path, error))?.state.subjects.into_keys().collect())
}

/// Reads the sheet of the snapshot at a position.
pub(super) fn sheet(shelf: &Shelf, position: Position) -> Result<Sheet, SnapshotError> {
    let subject = shelf.names.manifest(position);
    let found = last(shelf, subject.clone()).map_err(|error| failed(subject, error))?;
    let found = found.ok_or_else(|| damaged(shelf, position, "it isn't there"))?;
    let sheet = Sheet::decode(&found).map_err(|what| damaged(shelf, position, what))?;
    let is_ours = sheet.header.log_id == shelf.log_id && sheet.header.position == position;
    is_ours
        .then_some(sheet)
        .ok_or_else(|| damaged(shelf, position, "it belongs to another log or another position"))
}

/// Reads the log's first frame at a sequence or behind it, from its leader.
fn frame_from(shelf: &Shelf, sequence: u64) -> Result<Option<Message>, SnapshotError> {
    let (session, Names { log, lane, .. }) = (Arc::clone(&shelf.session), shelf.names.clone());
    let path = format!("{log}, message {sequence}");
    let read = async move { patiently(|| session.first_from(&log, &lane, sequence)).await };
    shelf.session.block(read).map_err(|error| failed(path, error))
}

/// Checks that a snapshot is of what the log has: that its frame is there. One that stands behind the log's end passes.
pub(super) fn check_history(shelf: &Shelf, sheet: &Sheet) -> Result<(), SnapshotError> {
    let position = sheet.header.position;
    if position == Position::START {
        return Ok(());
    }
    match frame_from(shelf, position.sequence())? {
        Some(found)
            if found.sequence != position.sequence()
                || u32_at(&found.bytes, FRAME_CRC_AT) != Some(sheet.frame) =>
        {
            Err(damaged(shelf, position, "the log has other records where it stands"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Checks that the log has this life's last message, and nothing of another life behind it: that its servers have forgotten nothing, no
/// other log is in its place, and nobody has taken it over.
pub(super) fn check_own(shelf: &Shelf) -> Result<(), SnapshotError> {
    let last = shelf.vitals.last();
    let is_own = |found: &Message| found.subject == shelf.subject;
    let found = frame_from(shelf, last)?.filter(|found| found.sequence == last && is_own(found));
    let what = if found.is_none() {
        "the log's servers have lost what was acknowledged"
    } else if frame_from(shelf, last + 1)?.is_some_and(|found| !is_own(&found)) {
        "another process has taken the log over"
    } else {
        return Ok(());
    };
    let source = io::Error::other(what);
    Err(SnapshotError::Io { path: format!("{}, message {last}", shelf.names.log), source })
}

/// Reads the snapshot at a position, and checks all of it.
pub(super) fn read(shelf: &Arc<Shelf>, position: Position) -> Result<Snapshot, SnapshotError> {
    let sheet = sheet(shelf, position)?;
    check_history(shelf, &sheet)?;
    let mut sections = Vec::new();
    check(shelf, &sheet, |section| sections.push(section))?;
    Ok(Snapshot { header: sheet.header, sections })
}

/// Checks all of a snapshot, and shows its sections.
fn check(shelf: &Arc<Shelf>, sheet: &Sheet, section: impl FnMut(Vec<u8>)) -> Result<(), SnapshotError> {
    let mut parts = Parts::new(Arc::clone(shelf), sheet);
    let found = scan_from(&mut parts, sheet.bytes(), &name(shelf, sheet.header.position), CODEC, section)?;
    if parts.sum.finish().as_ref() != sheet.sha256 || found != sheet.header {
        return Err(damaged(shelf, sheet.header.position, "its digest is wrong"));
    }
    Ok(())
}

/// A snapshot's bytes, in order.
struct Parts {
    shelf: Arc<Shelf>,
    sheet: Sheet,
    next: u32,
    /// What has come and isn't read yet.
    bytes: Bytes,
    sum: digest::Context,
}

impl Parts {
    fn new(shelf: Arc<Shelf>, sheet: &Sheet) -> Self {
        let bytes = Bytes::copy_from_slice(&sheet.header.encode());
        let mut sum = digest::Context::new(&digest::SHA256);
        sum.update(&bytes);
        Self { shelf, sheet: *sheet, next: 0, bytes, sum }
    }
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Self { shelf, sheet, next, bytes, sum } = self;
        if bytes.is_empty() && *next <= sheet.parts {
            *bytes = if *next == sheet.parts {
                Bytes::copy_from_slice(&sheet.trailer)
            } else {
                let subject = shelf.names.part(sheet.header.position, sheet.attempt, *next);
                let part = last(shelf, subject).map_err(|error| io::Error::other(error.what))?;
                part.ok_or(io::ErrorKind::UnexpectedEof)?
            };
            sum.update(bytes);
            *next += 1;
        }
        let length = buffer.len().min(bytes.len());
        buffer[..length].copy_from_slice(&bytes.split_to(length));
        Ok(length)
    }
}

/// Begins a snapshot.
pub(super) fn begin(shelf: &Arc<Shelf>, position: Position) -> PartsSink {
    let shelf = Arc::clone(shelf);
    let attempt = u64::from_le_bytes(random::bytes());
    PartsSink { shelf, position, attempt, parts: 0, body_len: 0, part: Vec::new(), finished: false }
}

/// Writes the parts of a snapshot.
pub(super) struct PartsSink {
    shelf: Arc<Shelf>,
    position: Position,
    attempt: u64,
    parts: u32,
    body_len: u64,
    part: Vec<u8>,
    finished: bool,
}

impl PartsSink {
    /// Returns the checksum of the frame in which the position is.
    fn frame(&self) -> Result<u32, SnapshotError> {
        if self.position == Position::START {
            return Ok(0);
        }
        let sequence = self.position.sequence();
        let found = frame_from(&self.shelf, sequence)?.filter(|found| found.sequence == sequence);
        let crc = found.and_then(|found| u32_at(&found.bytes, FRAME_CRC_AT));
        crc.ok_or_else(|| {
            damaged(&self.shelf, self.position, "the log doesn't have the records that it stands for")
        })
    }

    fn store(&self, subject: String, message: Vec<u8>) -> Result<(), SnapshotError> {
        let (session, message, path) =
            (Arc::clone(&self.shelf.session), Bytes::from(message), subject.clone());
        let stored = self
            .shelf
            .session
            .block(async move { patiently(|| session.store(&subject, message.clone())).await });
        stored.map(drop).map_err(|error| failed(path, error))
    }

    fn store_part(&mut self) -> Result<(), SnapshotError> {
        let part = core::mem::take(&mut self.part);
        self.body_len += u64::try_from(part.len()).expect("a part is small");
        self.store(self.shelf.names.part(self.position, self.attempt, self.parts), part)?;
        self.parts += 1;
        Ok(())
    }
}

impl Sink for PartsSink {
    fn look_at_room(&mut self, _: u64) -> Result<(), SnapshotError> {
        // The servers' disks are theirs: a part that doesn't fit is refused, and the log has a limit of its own.
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), SnapshotError> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PART_LEN - self.part.len()));
            self.part.extend_from_slice(now);
            bytes = later;
            if self.part.len() == PART_LEN {
                self.store_part()?;
            }
        }
        Ok(())
    }

    fn finish(
        mut self: Box<Self>,
        header: &SnapshotHeader,
        trailer: [u8; TRAILER_LEN],
    ) -> Result<u64, SnapshotError> {
        if !self.part.is_empty() {
            self.store_part()?;
        }
        let Self { parts, body_len, attempt, .. } = *self;
        let frame = self.frame()?;
        let sheet = Sheet { attempt, parts, frame, body_len, sha256: [0; 32], header: *header, trailer };

        // What is read back is what the sheet is made of: a digest of what was written would say less.
        let mut read = Parts::new(Arc::clone(&self.shelf), &sheet);
        let found = scan_from(&mut read, sheet.bytes(), &name(&self.shelf, self.position), CODEC, drop)?;
        assert!(found == *header, "a snapshot reads back as it was written");
        let sha256 = *read.sum.finish().as_ref().first_chunk().expect("SHA-256 has 32 bytes");

        // Behind everything that was read of the log: its frame is this life's.
        check_own(&self.shelf)?;
        self.store(self.shelf.names.manifest(self.position), Sheet { sha256, ..sheet }.encode())?;
        self.finished = true;
        self.shelf.vitals.lose_snapshots(false);
        Ok(sheet.bytes())
    }
}

impl Drop for PartsSink {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // What stays behind is removed after the next snapshot.
        let (session, stream) = (Arc::clone(&self.shelf.session), self.shelf.names.rest.clone());
        let parts = self.shelf.names.parts(self.position, self.attempt);
        self.shelf.session.spawn(async move { drop(session.purge(&stream, &parts, None).await) });
    }
}

/// Removes snapshots, the sheet first, and the parts of those that were never finished and that a newer whole one stands behind.
pub(super) fn remove(shelf: &Shelf, unwanted: &[Position]) -> Result<(), SnapshotError> {
    for position in unwanted {
        purge(shelf, shelf.names.manifest(*position))?;
    }

    let mut attempts = std::collections::BTreeSet::new();
    let mut newest = None;
    for subject in subjects(shelf, shelf.names.snapshots())? {
        match shelf.names.read_snapshot(&subject) {
            Some((position, None)) => newest = newest.max(Some(position)),
            Some((position, Some(attempt))) => drop(attempts.insert((position, attempt))),
            None => {}
        }
    }
    for (position, attempt) in attempts {
        // One that stands as far as the newest may be under way.
        let is_old = newest.is_some_and(|newest| position < newest);
        let is_unfinished = || match sheet(shelf, position) {
            Ok(sheet) => sheet.attempt != attempt,
            Err(SnapshotError::Damaged { .. }) => true,
            // Nobody knows.
            Err(_) => false,
        };
        if is_old && is_unfinished() {
            purge(shelf, shelf.names.parts(position, attempt))?;
        }
    }
    Ok(())
}

fn purge(shelf: &Shelf, subject: String) -> Result<(), SnapshotError> {
    let (session, stream, path) = (Arc::clone(&shelf.session), shelf.names.rest.clone(), subject.clone());
    let purged =
        shelf.session.block(async move { patiently(|| session.purge(&stream, &subject, None)).await });
    purged.map_err(|error| failed(path, error))
}
