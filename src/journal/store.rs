//! The seam between the journal and the keeper of its bytes: [`Medium`] (a data directory) and [`Store`] (one generation).
//!
//! Two implementations stand: [`DataDir`] with sled, and [`MemoryDisk`] for tests, which injects errors, blocks syncs
//! and freezes durability.
//!
//! Absent on purpose: frames, positions' meaning, recovery rules. sled's name appears in `store/sled_store.rs`, and here where it is chosen.
//!
//! Invariants: nothing counts as durable before [`Store::sync`] returned; after any error of `put`, `remove`, `flush`
//! or `sync` the caller never writes to that store again.

mod commit_file;
mod data_dir;
mod memory;
mod sled_store;

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use super::position::Ordinal;

pub use self::data_dir::DataDir;
#[cfg(feature = "cluster")]
pub(super) use self::data_dir::{DirLock, overwrite, write_whole};
pub(super) use self::data_dir::{
    copy_dir, create_dir_durably, generation_dir, lock_read_only, numbers_with, read_file, remove_dir,
    sync_dir,
};
pub use self::memory::MemoryDisk;

/// Says why the medium could not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused.
    #[error("{action}: {source}")]
    Io {
        /// What was being done, with the path.
        action: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The store's own bytes are damaged.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The store panicked; its message follows.
    #[error("the store panicked: {0}")]
    Panicked(String),
    /// Another process has the directory.
    #[error(
        "{0} is in use by another onsale process (its lock file is held); stop that one first, or name another --data-dir"
    )]
    Locked(String),
    /// The directory that was opened is no longer where it was: moved, or replaced by another.
    #[error("{0} was moved or replaced while the engine ran; stop it before a backup is restored")]
    Replaced(String),
    /// Another life of the log has begun: nothing that this one appends counts, and what it was about to append isn't there.
    #[error("{by} has taken the log over, as its life {epoch}")]
    Deposed {
        /// The life.
        epoch: u64,
        /// The node that began it.
        by: String,
    },
    /// The servers of the log refused.
    #[error("the log's servers: {0}")]
    Log(String),
    /// A test asked for this error.
    #[error("injected error: {0}")]
    Injected(&'static str),
}

impl StoreError {
    pub(super) fn io(action: impl Into<String>, source: io::Error) -> Self {
        Self::Io { action: action.into(), source }
    }

    /// Tells whether there is no room left on the disk.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_full(source),
            Self::Damaged(text) | Self::Panicked(text) => {
                text.contains("StorageFull") || text.contains("No space left")
            }
            Self::Locked(_) | Self::Replaced(_) | Self::Injected(_) | Self::Deposed { .. } | Self::Log(_) => {
                false
            }
        }
    }
}

pub(super) fn is_full(error: &io::Error) -> bool {
    // sled hands some errors on as text.
    error.kind() == io::ErrorKind::StorageFull
        || error.kind() == io::ErrorKind::QuotaExceeded
        || error.to_string().contains("No space left")
}

/// Names one chunk in a store; ordered by the frame, then by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The frame's first record.
    pub ordinal: Ordinal,
    /// The chunk's number.
    pub chunk: u16,
}

impl Key {
    /// Stands before every chunk.
    pub const FIRST: Self = Self { ordinal: Ordinal::START, chunk: 0 };
    /// Holds the generation's header; no frame reaches it, and it ends every scan.
    pub const META: Self = Self { ordinal: Ordinal::new(u64::MAX), chunk: u16::MAX };

    pub(super) const LEN: usize = 10;

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.ordinal.get().to_be_bytes());
        bytes[8..].copy_from_slice(&self.chunk.to_be_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (ordinal, rest) = bytes.split_first_chunk::<8>()?;
        let chunk = <[u8; 2]>::try_from(rest).ok()?;
        Some(Self { ordinal: Ordinal::new(u64::from_be_bytes(*ordinal)), chunk: u16::from_be_bytes(chunk) })
    }
}

/// Walks chunks in the order of their keys.
pub type ChunkIter = Box<dyn Iterator<Item = Result<(Key, Bytes), StoreError>> + Send>;

/// Keeps the chunks of one generation.
///
/// One thread writes; any number reads at the same time.
pub trait Store: Send + Sync {
    /// Writes one chunk, once; not durable before the next [`Store::flush`] and [`Store::sync`].
    fn put(&self, key: Key, chunk: &[u8]) -> Result<(), StoreError>;
    /// Removes one chunk, if it is there.
    fn remove(&self, key: Key) -> Result<(), StoreError>;
    /// Hands the written chunks to the operating system.
    fn flush(&self) -> Result<(), StoreError>;
    /// Makes the flushed chunks survive a power cut.
    fn sync(&self) -> Result<(), StoreError>;
    /// Ends the writing, at least for long: everything is durable where it stays, and nothing is kept beside.
    fn finish(&self) -> Result<(), StoreError> {
        Ok(())
    }
    /// Finds one chunk, not copied.
    fn get(&self, key: Key) -> Result<Option<Bytes>, StoreError>;
    /// Finds the greatest key that is at most `key`.
    fn floor(&self, key: Key) -> Result<Option<Key>, StoreError>;
    /// Walks the chunks from `from` to `to`, which is excluded.
    fn scan(&self, from: Key, to: Key) -> ChunkIter;
}

/// Keeps one log's generations and its few small files.
///
/// Every method that changes something returns when the change is durable, directories included.
pub trait Medium: Send + Sync {
    /// Returns where this is, for messages.
    fn place(&self) -> &Path;
    /// Refuses where another directory stands in the place of the one that was opened.
    fn check_place(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Reads a small file.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;
    /// Writes a small file as a whole: after a crash it is the old or the new one.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;
    /// Overwrites bytes of a small file in place.
    fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), StoreError>;
    /// Removes a small file, if it is there.
    fn remove(&self, name: &str) -> Result<(), StoreError>;

    /// Lists the generations' numbers in order, unfinished ones included; a preserved one counts where only its copy is left.
    fn generations(&self) -> Result<Vec<u64>, StoreError>;
    /// Creates a generation's store; it counts only once it is sealed.
    fn create_generation(&self, number: u64) -> Result<Arc<dyn Store>, StoreError>;
    /// Seals a new generation: writes its header beside the store, and makes its files and directories durable.
    fn seal_generation(&self, number: u64, header: &[u8]) -> Result<(), StoreError>;
    /// Reads the header that seals a generation; nothing when its creation was not finished.
    fn generation_header(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError>;
    /// Opens a sealed generation's store.
    fn open_generation(&self, number: u64) -> Result<Arc<dyn Store>, StoreError>;
    /// Removes a generation. After an error it is there, or a second try finishes the first.
    fn remove_generation(&self, number: u64) -> Result<(), StoreError>;
    /// Puts an unsealed generation out of the way, without destroying it.
    fn set_aside(&self, number: u64) -> Result<(), StoreError>;

    /// Copies a generation before it is opened after an unclean stop; when an earlier recovery did not end, goes back to
    /// the copy that one began with.
    fn preserve(&self, number: u64) -> Result<(), StoreError>;
    /// Goes back to the preserved copy, which stays, without the files that the store can rebuild by itself.
    fn retry_preserved(&self, number: u64) -> Result<(), StoreError>;
    /// Ends a recovery that succeeded; the copy stays as evidence until the next clean stop.
    fn keep_preserved(&self, number: u64) -> Result<(), StoreError>;
    /// Removes copies that are no longer needed.
    fn discard_preserved(&self) -> Result<(), StoreError>;

    /// Makes everything durable that a store wrote when it was closed.
    fn settle(&self, number: u64) -> Result<(), StoreError>;
    /// Lets another process have the directory.
    fn release(&self);
}

/// The store of a [`DataDir`]'s generations: sled, behind a commit file.
mod disk_store {
    use super::{Arc, Path, Store, StoreError, commit_file, sled_store};

    pub(super) use super::sled_store::clean;

    /// Opens or creates the generation in `dir`.
    pub(super) fn open_or_create(dir: &Path, skip_sync: bool) -> Result<Arc<dyn Store>, StoreError> {
        commit_file::open(dir, sled_store::open_or_create(dir, skip_sync)?, skip_sync)
    }

    /// Opens the generation in `dir`, which must be there.
    pub(super) fn open(dir: &Path, skip_sync: bool) -> Result<Arc<dyn Store>, StoreError> {
        commit_file::open(dir, sled_store::open(dir, skip_sync)?, skip_sync)
    }
}

/// Opens a copy of a generation, to look at it.
pub(super) fn open_copy(dir: &Path) -> Result<Arc<dyn Store>, StoreError> {
    disk_store::open_or_create(dir, true)
}

/// Runs `work` and turns a panic into an error.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    match std::panic::catch_unwind(core::panic::AssertUnwindSafe(work)) {
        Ok(done) => done,
        Err(payload) => {
            let text = payload
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| payload.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned());
            Err(StoreError::Panicked(text))
        }
    }
}
