//! One generation as a sled database, with the guard rails that power cuts showed to be necessary.
//!
//! sled's `flush` is not an fsync, so that [`Store::sync`] syncs `<dir>/db` through a descriptor of its own, which also
//! keeps its own error state. No background flusher, since it swallows errors. Values stay within 4 KB, so that nothing
//! goes to `blobs/`, which sled never syncs; this is checked. After an error of its own sled may refuse to be read, so it isn't given what may not
//! fit on the disk.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;

use super::{ChunkIter, Key, Store, StoreError, caught};
use crate::journal::frame::CHUNK_LEN;
use crate::journal::room;

/// The database's file in its directory.
const DB: &str = "db";
const CACHE_BYTES: u64 = 64 << 20;
/// What must be free before sled is written: four of its segments. Between two flushes it gets a frame, and writes two at the most.
const ROOM_BYTES: u64 = 4 * (512 << 10);
/// Looking into `blobs/` costs some microseconds; at this rate it costs nothing.
const SYNCS_BETWEEN_BLOB_CHECKS: u32 = 1024;
/// sled gives its lock back a moment after it was dropped, when its last background write ends.
const OPEN_TRIES: u32 = 100;
const OPEN_TRY_INTERVAL: Duration = Duration::from_millis(20);

/// Opens or creates the database in `dir`; never panics.
pub(super) fn open_or_create(dir: &Path, skip_sync: bool) -> Result<Arc<dyn Store>, StoreError> {
    remove_unfinished_snapshots(dir)?;
    let db = open_db(dir)?;
    let path = dir.join(DB);
    let file =
        File::open(&path).map_err(|error| StoreError::io(format!("open {}", path.display()), error))?;
    let file = SyncedFile { file, skip_sync };
    let (syncs, has_room) = (AtomicU32::new(0), AtomicBool::new(false));
    let store = SledStore { db, file, dir: dir.to_owned(), syncs, has_room };
    store.check_blobs()?;
    Ok(Arc::new(store))
}

/// Opens the database in `dir`, which must be there.
pub(super) fn open(dir: &Path, skip_sync: bool) -> Result<Arc<dyn Store>, StoreError> {
    // sled would create what is missing, and so hide a loss.
    let db = dir.join(DB);
    if !db.is_file() {
        return Err(StoreError::Damaged(format!("{} is missing", db.display())));
    }
    open_or_create(dir, skip_sync)
}

struct SledStore {
    /// Dropped before `file`, which then syncs sled's last writes.
    db: sled::Db,
    file: SyncedFile,
    dir: PathBuf,
    syncs: AtomicU32,
    /// Whether the room was looked at since the last flush.
    has_room: AtomicBool,
}

/// The descriptor on `<dir>/db` that syncs go through.
struct SyncedFile {
    file: File,
    skip_sync: bool,
}

impl SyncedFile {
    fn sync(&self) -> Result<(), StoreError> {
        if self.skip_sync {
            Ok(())
        } else {
            self.file.sync_data().map_err(|error| StoreError::io("sync the journal", error))
        }
    }
}

impl Drop for SyncedFile {
    fn drop(&mut self) {
        if let Err(error) = self.sync() {
            tracing::error!(%error, "a generation's last sync failed");
        }
    }
}

impl SledStore {
    /// Looks once at the room that the writes up to the next flush have.
    fn check_room(&self) -> Result<(), StoreError> {
        if self.has_room.load(Ordering::Relaxed) {
            return Ok(());
        }
        let free = room::free_beside(&self.file.file);
        let free = free.map_err(|error| StoreError::io("look at the disk of the journal", error))?;
        if free.is_some_and(|free| free < ROOM_BYTES) {
            return Err(StoreError::io("write", io::ErrorKind::StorageFull.into()));
        }
        self.has_room.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn check_blobs(&self) -> Result<(), StoreError> {
        let blobs = self.dir.join("blobs");
        match fs::read_dir(&blobs) {
            Ok(mut entries) => match entries.next() {
                None => Ok(()),
                Some(_) => Err(StoreError::Damaged(format!(
                    "{} is not empty: sled keeps values there that it never syncs",
                    blobs.display()
                ))),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StoreError::io(format!("list {}", blobs.display()), error)),
        }
    }
}

fn open_db(dir: &Path) -> Result<sled::Db, StoreError> {
    let mut tries = 1;
    loop {
        let opened = caught(|| {
            sled::Config::new()
                .path(dir)
                .cache_capacity(CACHE_BYTES)
                .mode(sled::Mode::HighThroughput)
                .flush_every_ms(None)
                .open()
                .map_err(|error| from_sled(&format!("open {}", dir.display()), error))
        });
        match opened {
            Err(error) if tries < OPEN_TRIES && error.to_string().contains("could not acquire lock") => {
                tries += 1;
                thread::sleep(OPEN_TRY_INTERVAL);
            }
            Ok(_) | Err(_) => return opened,
        }
    }
}

/// Removes `snap.*.generating`, which a kill while opening leaves behind and over which the next opening fails (sled #1527).
pub(super) fn remove_unfinished_snapshots(dir: &Path) -> Result<(), StoreError> {
    remove_snapshots(dir, |name| name.ends_with(".generating"))
}

/// Removes from a copy what the database can make anew: sled's own snapshots.
pub(super) fn clean(dir: &Path) -> Result<(), StoreError> {
    remove_snapshots(dir, |_| true)
}

fn remove_snapshots(dir: &Path, chosen: impl Fn(&str) -> bool) -> Result<(), StoreError> {
    let failed = |error| StoreError::io(format!("clean {}", dir.display()), error);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.starts_with("snap.") && chosen(name) {
            fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}

fn from_sled(action: &str, error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(source) => StoreError::io(action, source),
        sled::Error::CollectionNotFound(_)
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_)
        | sled::Error::Corruption { .. } => {
            // sled adds a backtrace that is empty unless it is built to have one.
            let text = format!("{action}: {error}");
            StoreError::Damaged(text.trim_end_matches(" backtrace ()").to_owned())
        }
    }
}

impl Store for SledStore {
    fn put(&self, key: Key, chunk: &[u8]) -> Result<(), StoreError> {
        assert!(chunk.len() <= CHUNK_LEN, "larger values go to blobs/, which sled never syncs");
        self.check_room()?;
        self.db.insert(key.to_bytes(), chunk).map(drop).map_err(|error| from_sled("write", error))
    }

    fn remove(&self, key: Key) -> Result<(), StoreError> {
        self.check_room()?;
        self.db.remove(key.to_bytes()).map(drop).map_err(|error| from_sled("remove", error))
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.has_room.store(false, Ordering::Relaxed);
        self.db.flush().map(drop).map_err(|error| from_sled("flush", error))
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.file.sync()?;
        if self.syncs.fetch_add(1, Ordering::Relaxed).is_multiple_of(SYNCS_BETWEEN_BLOB_CHECKS) {
            self.check_blobs()?;
        }
        Ok(())
    }

    fn get(&self, key: Key) -> Result<Option<Bytes>, StoreError> {
        caught(|| {
            let found = self.db.get(key.to_bytes()).map_err(|error| from_sled("read", error))?;
            Ok(found.map(Bytes::from_owner))
        })
    }

    fn floor(&self, key: Key) -> Result<Option<Key>, StoreError> {
        caught(|| match self.db.range(..=key.to_bytes()).next_back() {
            None => Ok(None),
            Some(Ok((found, _))) => parse_key(&found).map(Some),
            Some(Err(error)) => Err(from_sled("read", error)),
        })
    }

    fn scan(&self, from: Key, to: Key) -> ChunkIter {
        Box::new(Scan { chunks: self.db.range(from.to_bytes()..to.to_bytes()), failed: false })
    }
}

fn parse_key(bytes: &[u8]) -> Result<Key, StoreError> {
    Key::from_bytes(bytes).ok_or_else(|| StoreError::Damaged(format!("a key has {} bytes", bytes.len())))
}

struct Scan {
    chunks: sled::Iter,
    failed: bool,
}

impl Iterator for Scan {
    type Item = Result<(Key, Bytes), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = caught(|| match self.chunks.next() {
            None => Ok(None),
            Some(Ok((key, bytes))) => Ok(Some((parse_key(&key)?, Bytes::from_owner(bytes)))),
            Some(Err(error)) => Err(from_sled("read", error)),
        });
        self.failed = next.is_err();
        next.transpose()
    }
}
