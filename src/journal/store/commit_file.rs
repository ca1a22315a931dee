//! A store behind a commit file: a commit is one write and one sync of a file that is written already, and the store gets its chunks later.
//!
//! ```text
//! <generation>/commits   two halves of 1 MiB; a half is a row of commits, each at a multiple of 4 KiB
//!
//! a commit, little-endian:
//!  0  magic "OSCF"      4       8  number, from 1    u64
//!  4  crc32 of the rest u32    16  bytes of chunks   u32
//!                              20  chunks, each: key 10, length u16, bytes
//! ```
//!
//! While one half is written, a thread hands the other one's chunks to the store below, syncs it, and so frees the half. sled's own commit
//! takes two trips to the disk, wakes seven threads, and grows its file (`docs/BENCHMARKS.md`, "Compared with Redis and Postgres").
//!
//! The file is there while its generation is written, and after a kill. To open a generation is to hand over what the file has, and to
//! remove it: one that was written to its end, closed, or opened again is a plain store.
//!
//! Absent on purpose: what a chunk means. A commit that was cut short isn't one.
//!
//! Invariants: a chunk is in memory until the store below has synced it, so a reader finds it in one of the two; a half is written again only
//! when all its chunks are durable below; the store below never gets more than [`FRAME_LEN_MAX`] and its headers between two syncs; what was
//! removed below is durable before the file has a commit; a commit is written when the one before it is synced, so that a whole one behind one
//! that isn't is damage, and not a crash.

use core::fmt;
use core::iter::{Fuse, Peekable};
use core::ops::{Deref, DerefMut};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::{ChunkIter, Key, Store, StoreError, caught};
use crate::journal::frame::{CHUNK_LEN, FRAME_CHUNKS_MAX, FRAME_LEN_MAX, u32_at, u64_at};

/// The file's name in its generation's directory.
const FILE: &str = "commits";
const HALF_LEN: usize = 1 << 20;
/// What direct writes are aligned to, in memory and in the file.
const BLOCK_LEN: usize = 4096;
const MAGIC: [u8; 4] = *b"OSCF";
const CRC_AT: usize = 4;
const HEADER_LEN: usize = 20;
const CHUNK_HEADER_LEN: usize = Key::LEN + 2;
/// The largest commit: a frame.
const COMMIT_LEN_MAX: usize =
    (HEADER_LEN + FRAME_LEN_MAX + FRAME_CHUNKS_MAX * CHUNK_HEADER_LEN).next_multiple_of(BLOCK_LEN);

const _: () = assert!(HALF_LEN.is_multiple_of(BLOCK_LEN) && COMMIT_LEN_MAX <= HALF_LEN);

/// Puts a commit file before a store, and hands it what a file that a kill left has.
pub(super) fn open(dir: &Path, below: Arc<dyn Store>, skip_sync: bool) -> Result<Arc<dyn Store>, StoreError> {
    let dir = File::open(dir).map_err(|error| failed("open its directory", error))?;
    let place = Place { dir, skip_sync };
    if let Some(left) = place.read()? {
        let chunks = chunks_in(&left)?;
        tracing::info!(chunks = chunks.len(), "a generation gets what its commit file has");
        hand_over(&*below, &chunks, |_| ())?;
        place.remove()?;
    }
    Ok(Arc::new(Committed { below, recent: Recent::default(), writing: Mutex::new(Writing::Nothing), place }))
}

struct Committed {
    below: Arc<dyn Store>,
    recent: Recent,
    writing: Mutex<Writing>,
    place: Place,
}

/// The chunks that the store below hasn't made durable yet.
type Recent = Arc<RwLock<BTreeMap<Key, Bytes>>>;

/// How far a generation is written.
enum Writing {
    /// Nothing was written since it was opened.
    Nothing,
    To(Box<CommitFile>),
    /// An error came: neither the file nor the store below is written any more.
    Failed,
}

impl Committed {
    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the file, which is made where there is none. After an error there is none any more.
    fn write<T>(&self, work: impl FnOnce(&mut CommitFile) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut writing = self.writing();
        let mut file = match std::mem::replace(&mut *writing, Writing::Failed) {
            Writing::Nothing => {
                self.sync_below()?;
                Box::new(CommitFile::create(&self.place)?)
            }
            Writing::To(file) => file,
            Writing::Failed => return Err(StoreError::Damaged("an earlier write failed".to_owned())),
        };
        let done = work(&mut file)?;
        *writing = Writing::To(file);
        Ok(done)
    }

    const fn is_written(writing: &Writing) -> bool {
        !matches!(writing, Writing::Nothing)
    }

    /// Makes durable what was removed. A commit that came before it would bring the removed chunks back with a crash.
    fn sync_below(&self) -> Result<(), StoreError> {
        self.below.flush()?;
        self.below.sync()
    }
}

impl Store for Committed {
    fn put(&self, key: Key, chunk: &[u8]) -> Result<(), StoreError> {
        assert!(chunk.len() <= CHUNK_LEN, "a frame is cut in chunks");
        self.write(|file| {
            if !file.block.has_room_for(chunk) {
                file.flush(&self.below, &self.recent)?;
            }
            file.block.push(key, chunk);
            file.chunks.push(key);
            let former = write(&self.recent).insert(key, Bytes::copy_from_slice(chunk));
            assert!(former.is_none(), "a chunk is written once");
            Ok(())
        })
    }

    fn remove(&self, key: Key) -> Result<(), StoreError> {
        self.finish()?;
        self.below.remove(key)
    }

    fn flush(&self) -> Result<(), StoreError> {
        if !Self::is_written(&self.writing()) {
            return self.below.flush();
        }
        self.write(|file| file.flush(&self.below, &self.recent))
    }

    fn sync(&self) -> Result<(), StoreError> {
        if !Self::is_written(&self.writing()) {
            return self.below.sync();
        }
        self.write(CommitFile::sync)
    }

    fn finish(&self) -> Result<(), StoreError> {
        let mut writing = self.writing();
        match std::mem::replace(&mut *writing, Writing::Failed) {
            Writing::Nothing => {}
            Writing::To(mut file) => {
                file.flush(&self.below, &self.recent)?;
                file.freed()?;
                drain(&*self.below, &self.recent, &file.chunks)?;
                self.place.remove()?;
            }
            Writing::Failed => return Err(StoreError::Damaged("an earlier write failed".to_owned())),
        }
        *writing = Writing::Nothing;
        Ok(())
    }

    fn get(&self, key: Key) -> Result<Option<Bytes>, StoreError> {
        // In this order: a chunk leaves memory only when it is below.
        let recent = read(&self.recent).get(&key).cloned();
        if recent.is_some() { Ok(recent) } else { self.below.get(key) }
    }

    fn floor(&self, key: Key) -> Result<Option<Key>, StoreError> {
        let recent = read(&self.recent).range(..=key).next_back().map(|(found, _)| *found);
        Ok(recent.max(self.below.floor(key)?))
    }

    fn scan(&self, from: Key, to: Key) -> ChunkIter {
        if from >= to {
            return Box::new(std::iter::empty());
        }
        let recent: Vec<_> =
            read(&self.recent).range(from..to).map(|(key, chunk)| (*key, chunk.clone())).collect();
        // Fused: what is handed over after its end was in memory, and so comes from there.
        let below = self.below.scan(from, to).fuse();
        Box::new(Merged { recent: recent.into_iter().peekable(), below: below.peekable() })
    }
}

impl Drop for Committed {
    fn drop(&mut self) {
        if matches!(*self.writing(), Writing::To(_))
            && let Err(error) = caught(|| self.finish())
        {
            tracing::error!(%error, "a generation's last commits stay in their file until it is opened");
        }
    }
}

/// The file that is written, and where.
struct CommitFile {
    file: File,
    /// Leaves the sync of each commit out, see `DataDir::without_commit_syncs`.
    skip_sync: bool,
    is_synced: bool,
    /// The next commit.
    block: Block,
    number: u64,
    /// Where the next commit stands, and where the half ends.
    at: usize,
    end: usize,
    /// The chunks of the half that is written.
    chunks: Vec<Key>,
    /// Hands the other half to the store below.
    draining: Option<JoinHandle<Result<(), StoreError>>>,
}

impl CommitFile {
    /// Makes the file and writes it through, so that a commit neither grows it nor asks the file system for room.
    fn create(place: &Place) -> Result<Self, StoreError> {
        let file = place.create()?;
        let block = Block::new();
        let create = || {
            for at in (0..2 * HALF_LEN).step_by(COMMIT_LEN_MAX) {
                let len = COMMIT_LEN_MAX.min(2 * HALF_LEN - at);
                file.write_all_at(&block.zeros()[..len], offset(at))?;
            }
            file.sync_all()?;
            place.dir.sync_all()
        };
        create().map_err(|error| failed("make", error))?;
        Ok(Self {
            file,
            skip_sync: place.skip_sync,
            is_synced: true,
            block,
            number: 1,
            at: 0,
            end: HALF_LEN,
            chunks: Vec::new(),
            draining: None,
        })
    }

    /// Writes what was put as one commit.
    fn flush(&mut self, below: &Arc<dyn Store>, recent: &Recent) -> Result<(), StoreError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let len = self.block.seal(self.number);
        if self.at + len > self.end {
            self.turn(below, recent)?;
        }

        self.sync()?;
        let bytes = self.block.sealed(len);
        self.is_synced = false;
        self.file.write_all_at(bytes, offset(self.at)).map_err(|error| failed("write", error))?;
        self.at += len;
        self.number += 1;
        self.block.clear();
        Ok(())
    }

    /// Goes on in the other half, and has this one's chunks handed over. The chunks of the commit that is to be written go with the half in
    /// which it will be.
    fn turn(&mut self, below: &Arc<dyn Store>, recent: &Recent) -> Result<(), StoreError> {
        let own = self.chunks.split_off(self.chunks.len() - self.block.chunks);
        let full = std::mem::replace(&mut self.chunks, own);
        self.freed()?;

        let (below, recent) = (Arc::clone(below), Arc::clone(recent));
        let hand_over = move || caught(|| drain(&*below, &recent, &full));
        let spawned = thread::Builder::new().name("journal-drain".to_owned()).spawn(hand_over);
        self.draining = Some(spawned.map_err(|error| failed("hand over", error))?);
        self.at = self.end % (2 * HALF_LEN);
        self.end = self.at + HALF_LEN;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        if !self.is_synced && !self.skip_sync {
            self.file.sync_data().map_err(|error| failed("sync", error))?;
        }
        self.is_synced = true;
        Ok(())
    }

    /// Waits until the other half may be written again.
    fn freed(&mut self) -> Result<(), StoreError> {
        match self.draining.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(drained)) => drained,
            Some(Err(_)) => Err(StoreError::Panicked("while a commit file was handed over".to_owned())),
        }
    }
}

impl Drop for CommitFile {
    fn drop(&mut self) {
        // The store below is let go of with this one.
        if let Err(error) = self.freed() {
            tracing::error!(%error, "a generation's commits stay in their file until it is opened");
        }
    }
}

/// Hands chunks to the store below, makes them durable there, and forgets them.
fn drain(below: &dyn Store, recent: &RwLock<BTreeMap<Key, Bytes>>, keys: &[Key]) -> Result<(), StoreError> {
    let chunks: Vec<(Key, Bytes)> = {
        let recent = read(recent);
        keys.iter().map(|key| (*key, recent[key].clone())).collect()
    };
    hand_over(below, &chunks, |done| {
        let mut recent = write(recent);
        for (key, _) in done {
            recent.remove(key);
        }
    })
}

/// Puts chunks into a store, no more at once than it is safe with, and says after each sync which are durable.
fn hand_over(
    below: &dyn Store,
    chunks: &[(Key, Bytes)],
    mut durable: impl FnMut(&[(Key, Bytes)]),
) -> Result<(), StoreError> {
    let mut rest = chunks;
    while !rest.is_empty() {
        // A chunk's key and sled's headers take 64 bytes, as for a frame.
        let costs = rest.iter().scan(0, |sum, (_, chunk)| {
            *sum += chunk.len() + 64;
            Some(*sum)
        });
        let fitting = costs.take_while(|cost| *cost <= FRAME_LEN_MAX + FRAME_CHUNKS_MAX * 64).count();
        let (now, later) = rest.split_at(fitting);
        assert!(!now.is_empty(), "a chunk fits");

        for (key, chunk) in now {
            below.put(*key, chunk)?;
        }
        below.flush()?;
        below.sync()?;
        durable(now);
        rest = later;
    }
    Ok(())
}

/// Reads the chunks of all commits, the older half's first.
///
/// # Errors
/// [`StoreError::Damaged`] where commits were there that are no longer.
fn chunks_in(file: &[u8]) -> Result<Vec<(Key, Bytes)>, StoreError> {
    let mut halves: Vec<_> = file.chunks(HALF_LEN).map(half).collect();
    let last = halves.iter().flatten().map(|commit| commit.number).max().unwrap_or(0);

    let mut at_blocks = file.chunks(BLOCK_LEN).zip((0..).step_by(BLOCK_LEN));
    let behind = at_blocks.find_map(|(block, at)| {
        // Only a block that begins like a commit is worth the sum of what it says to have.
        let commit = block.starts_with(&MAGIC).then(|| Commit::read(&file[at..]))??;
        (commit.number > last).then_some(commit.number)
    });
    if let Some(number) = behind {
        let what = format!("commit {} isn't whole, and commit {number} was written behind it", last + 1);
        return Err(StoreError::Damaged(what));
    }
    if last > 0 && file.len() != 2 * HALF_LEN {
        let what = format!("a commit file has {} bytes, and {} when it was made", file.len(), 2 * HALF_LEN);
        return Err(StoreError::Damaged(what));
    }

    halves.sort_unstable_by_key(|half| half.first().map(|commit| commit.number));
    Ok(halves.into_iter().flatten().flat_map(|commit| commit.chunks).collect())
}

/// Reads a half up to the first commit that isn't whole, or is left from when the half was written before.
fn half(bytes: &[u8]) -> Vec<Commit> {
    let (mut commits, mut rest) = (Vec::<Commit>::new(), bytes);
    while let Some(commit) = Commit::read(rest)
        && commits.last().is_none_or(|last| last.number + 1 == commit.number)
    {
        rest = rest.get(commit.len.next_multiple_of(BLOCK_LEN)..).unwrap_or_default();
        commits.push(commit);
    }
    commits
}

struct Commit {
    number: u64,
    len: usize,
    chunks: Vec<(Key, Bytes)>,
}

impl Commit {
    /// Reads the commit at the beginning of `bytes`, if there is a whole one.
    fn read(bytes: &[u8]) -> Option<Self> {
        let len = HEADER_LEN + usize::try_from(u32_at(bytes, 16)?).ok()?;
        let own = bytes.get(..len)?;
        let is_whole = own[..CRC_AT] == MAGIC && u32_at(own, CRC_AT)? == crc32fast::hash(&own[CRC_AT + 4..]);
        is_whole.then_some(())?;

        let (mut chunks, mut rest) = (Vec::new(), &own[HEADER_LEN..]);
        while !rest.is_empty() {
            let (key, behind) = rest.split_at_checked(Key::LEN)?;
            let (len, behind) = behind.split_first_chunk::<2>()?;
            let (chunk, behind) = behind.split_at_checked(u16::from_le_bytes(*len).into())?;
            chunks.push((Key::from_bytes(key)?, Bytes::copy_from_slice(chunk)));
            rest = behind;
        }
        Some(Self { number: u64_at(own, 8)?, len, chunks })
    }
}

/// A commit's bytes, where direct writes want them.
struct Block {
    bytes: Vec<u8>,
    /// Where the first aligned byte is.
    start: usize,
    len: usize,
    chunks: usize,
}

impl Block {
    fn new() -> Self {
        let bytes = vec![0; COMMIT_LEN_MAX + BLOCK_LEN];
        let start = bytes.as_ptr().align_offset(BLOCK_LEN);
        assert!(start < BLOCK_LEN, "a vector of bytes has an aligned one");
        Self { bytes, start, len: HEADER_LEN, chunks: 0 }
    }

    /// Returns the whole room, of which nothing was used yet.
    fn zeros(&self) -> &[u8] {
        assert!(self.is_empty(), "only a new one is zeros");
        self.sealed(COMMIT_LEN_MAX)
    }

    const fn is_empty(&self) -> bool {
        self.chunks == 0
    }

    const fn has_room_for(&self, chunk: &[u8]) -> bool {
        self.len + CHUNK_HEADER_LEN + chunk.len() <= COMMIT_LEN_MAX
    }

    fn push(&mut self, key: Key, chunk: &[u8]) {
        let len = u16::try_from(chunk.len()).expect("a chunk has at most 4 KiB");
        for part in [&key.to_bytes()[..], &len.to_le_bytes(), chunk] {
            self.write(self.len, part);
            self.len += part.len();
        }
        self.chunks += 1;
    }

    /// Closes the commit, and returns how many bytes are to be written.
    fn seal(&mut self, number: u64) -> usize {
        let len = u32::try_from(self.len - HEADER_LEN).expect("a commit is small");
        self.write(0, &MAGIC);
        self.write(8, &number.to_le_bytes());
        self.write(16, &len.to_le_bytes());
        let crc = crc32fast::hash(&self.bytes[self.start + CRC_AT + 4..self.start + self.len]);
        self.write(CRC_AT, &crc.to_le_bytes());
        self.len.next_multiple_of(BLOCK_LEN)
    }

    fn sealed(&self, len: usize) -> &[u8] {
        &self.bytes[self.start..self.start + len]
    }

    fn write(&mut self, at: usize, part: &[u8]) {
        let at = self.start + at;
        self.bytes[at..at + part.len()].copy_from_slice(part);
    }

    fn clear(&mut self) {
        (self.len, self.chunks) = (HEADER_LEN, 0);
    }
}

/// The directory, which may be moved meanwhile: names are looked up in this very one.
struct Place {
    dir: File,
    /// Leaves the sync of each commit out, see `DataDir::without_commit_syncs`.
    skip_sync: bool,
}

impl Place {
    fn create(&self) -> Result<File, StoreError> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let make = |more| rustix::fs::openat(&self.dir, FILE, flags | more, Mode::RUSR | Mode::WUSR);
        // Where a write goes past the page cache, only its own blocks are written, and not the large folio around them.
        let direct = if self.skip_sync { OFlags::empty() } else { DIRECT };
        let opened = make(direct).or_else(|error| {
            // Not every file system has direct writes. Some refuse them when the file is there already.
            if error != Errno::INVAL {
                return Err(error);
            }
            self.unlink()?;
            make(OFlags::empty())
        });
        opened.map(File::from).map_err(|error| failed("make", error.into()))
    }

    fn read(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut file = match rustix::fs::openat(&self.dir, FILE, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(failed("open", error.into())),
        };
        let mut bytes = Vec::with_capacity(2 * HALF_LEN);
        file.read_to_end(&mut bytes).map_err(|error| failed("read", error))?;
        Ok(Some(bytes))
    }

    fn remove(&self) -> Result<(), StoreError> {
        let removed = self.unlink().map_err(io::Error::from).and_then(|()| self.dir.sync_all());
        removed.map_err(|error| failed("remove", error))
    }

    fn unlink(&self) -> Result<(), Errno> {
        match rustix::fs::unlinkat(&self.dir, FILE, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            done => done,
        }
    }
}

#[cfg(target_os = "linux")]
const DIRECT: OFlags = OFlags::DIRECT;
#[cfg(not(target_os = "linux"))]
const DIRECT: OFlags = OFlags::empty();

fn offset(at: usize) -> u64 {
    u64::try_from(at).expect("the file has 2 MiB")
}

fn failed(action: impl fmt::Display, error: io::Error) -> StoreError {
    StoreError::io(format!("{action} a generation's commit file"), error)
}

fn read(recent: &RwLock<BTreeMap<Key, Bytes>>) -> impl Deref<Target = BTreeMap<Key, Bytes>> {
    recent.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(recent: &RwLock<BTreeMap<Key, Bytes>>) -> impl DerefMut<Target = BTreeMap<Key, Bytes>> {
    recent.write().unwrap_or_else(PoisonError::into_inner)
}

/// Walks two rows of chunks as one. A chunk that is in both was handed over meanwhile.
struct Merged {
    recent: Peekable<std::vec::IntoIter<(Key, Bytes)>>,
    below: Peekable<Fuse<ChunkIter>>,
}

impl Iterator for Merged {
    type Item = Result<(Key, Bytes), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (Some((recent, _)), Some(Ok((below, _)))) = (self.recent.peek(), self.below.peek()) else {
            // An error of the store comes at once, whatever else there is.
            return match self.below.next() {
                None => self.recent.next().map(Ok),
                below => below,
            };
        };
        if recent == below {
            self.below.next();
            return self.recent.next().map(Ok);
        }
        if recent < below { self.recent.next().map(Ok) } else { self.below.next() }
    }
}

#[cfg(test)]
mod tests;
