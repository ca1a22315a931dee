//! The disk of a simulated world: the engine's own disk in memory, behind faults.
//!
//! Every operation that changes something is a *point*: the process can die before it, in the middle of it, or after it, and the
//! operation can fail or find the disk full. Once dead, nothing takes effect any more, whoever asks: what the rest of that
//! life does in the same poll never happened. What a restart finds is what was synced, and as much of the rest as the
//! crash left.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use onsale::journal::{ChunkIter, Key, Medium, MemoryDisk, Store, StoreError};
use tokio::sync::Notify;

use crate::shim;

/// Where in an operation the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    Before,
    /// Half of what was to be written is.
    Torn,
    After,
}

/// What goes wrong with the operations to come, besides dying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The `n`-th write of a chunk, mark or file fails.
    Write(u64),
    /// The `n`-th sync fails.
    Sync(u64),
    /// From the `n`-th write on there is no room.
    Full(u64),
}

/// Whether the present life is over.
#[derive(Debug, Default)]
pub(crate) struct Life {
    dead: Mutex<bool>,
    pub(crate) ended: Notify,
}

impl Life {
    pub(crate) fn is_over(&self) -> bool {
        // The process may have died in the middle of a file that isn't on this disk.
        shim::is_dead() || *self.dead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn end(&self) {
        *self.dead.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ended.notify_one();
    }
}

/// What the faults came to, for the report.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DiskCounts {
    pub(crate) deaths: u64,
    pub(crate) torn: u64,
    pub(crate) failed: u64,
    pub(crate) full: u64,
}

impl DiskCounts {
    /// Returns how often an operation failed or found no room.
    pub(crate) const fn failures(&self) -> u64 {
        self.failed + self.full
    }
}

struct State {
    memory: MemoryDisk,
    life: Arc<Life>,
    death: Option<(u64, Death)>,
    trouble: Option<Trouble>,
    counts: DiskCounts,
}

/// The disk; clones share it. It outlives the engine's lives.
#[derive(Clone)]
pub(crate) struct Disk {
    state: Arc<Mutex<State>>,
    place: PathBuf,
}

/// What becomes of an operation.
enum Verdict {
    Go,
    Die(Death),
    Fail(StoreError),
}

impl Disk {
    pub(crate) fn new(place: PathBuf) -> Self {
        let state = State {
            memory: MemoryDisk::new(),
            life: Arc::new(Life::default()),
            death: None,
            trouble: None,
            counts: DiskCounts::default(),
        };
        Self { state: Arc::new(Mutex::new(state)), place }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a life on what the last one left: all that was synced, and the first `unsynced` of the other writes.
    pub(crate) fn begin_life(&self, unsynced: usize) -> Arc<Life> {
        let mut state = self.state();
        state.memory = state.memory.crashed_after_writes(unsynced);
        state.life = Arc::new(Life::default());
        (state.death, state.trouble) = (None, None);
        Arc::clone(&state.life)
    }

    pub(crate) fn unsynced(&self) -> usize {
        self.state().memory.unsynced()
    }

    /// Has the process die at the `points`-th operation from now; 1 is the next.
    pub(crate) fn die_at(&self, points: u64, how: Death) {
        self.state().death = Some((points, how));
    }

    pub(crate) fn trouble(&self, trouble: Trouble) {
        self.state().trouble = Some(trouble);
    }

    /// Nothing goes wrong any more by what was asked for.
    pub(crate) fn mend(&self) {
        let mut state = self.state();
        (state.death, state.trouble) = (None, None);
    }

    pub(crate) fn counts(&self) -> DiskCounts {
        self.state().counts
    }

    fn memory(&self) -> MemoryDisk {
        self.state().memory.clone()
    }

    /// Decides what becomes of one operation.
    fn point(&self, is_sync: bool) -> Verdict {
        let mut state = self.state();
        if state.life.is_over() {
            return Verdict::Fail(StoreError::Injected("the process is dead"));
        }

        if let Some((points, how)) = &mut state.death {
            *points -= 1;
            if *points == 0 {
                let how = *how;
                state.death = None;
                state.counts.deaths += 1;
                state.counts.torn += u64::from(how == Death::Torn);
                state.life.end();
                return Verdict::Die(how);
            }
        }

        match &mut state.trouble {
            Some(Trouble::Write(left)) if !is_sync => {
                *left -= 1;
                if *left == 0 {
                    state.trouble = None;
                    state.counts.failed += 1;
                    return Verdict::Fail(StoreError::Injected("write"));
                }
            }
            Some(Trouble::Sync(left)) if is_sync => {
                *left -= 1;
                if *left == 0 {
                    state.trouble = None;
                    state.counts.failed += 1;
                    return Verdict::Fail(StoreError::Injected("sync"));
                }
            }
            Some(Trouble::Full(left)) if !is_sync => {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    state.counts.full += 1;
                    let source = io::Error::from(io::ErrorKind::StorageFull);
                    return Verdict::Fail(StoreError::Io { action: "write".to_owned(), source });
                }
            }
            Some(Trouble::Write(_) | Trouble::Sync(_) | Trouble::Full(_)) | None => {}
        }

        Verdict::Go
    }

    /// Does an operation that is done wholly or not at all.
    fn whole<T>(
        &self,
        is_sync: bool,
        done: impl FnOnce(&MemoryDisk) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let memory = self.memory();
        match self.point(is_sync) {
            Verdict::Go => done(&memory),
            Verdict::Fail(error) => Err(error),
            Verdict::Die(Death::Before | Death::Torn) => Err(dead()),
            Verdict::Die(Death::After) => done(&memory).and(Err(dead())),
        }
    }
}

fn dead() -> StoreError {
    StoreError::Injected("the process died here")
}

impl Medium for Disk {
    fn place(&self) -> &Path {
        &self.place
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.memory().read(name)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.whole(false, |memory| memory.replace(name, bytes))
    }

    fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let memory = self.memory();
        match self.point(false) {
            Verdict::Go => memory.overwrite(name, offset, bytes),
            Verdict::Fail(error) => Err(error),
            Verdict::Die(Death::Before) => Err(dead()),
            Verdict::Die(Death::Torn) => {
                memory.overwrite(name, offset, &bytes[..bytes.len() / 2]).and(Err(dead()))
            }
            Verdict::Die(Death::After) => memory.overwrite(name, offset, bytes).and(Err(dead())),
        }
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.whole(false, |memory| Medium::remove(memory, name))
    }

    fn generations(&self) -> Result<Vec<u64>, StoreError> {
        self.memory().generations()
    }

    fn create_generation(&self, number: u64) -> Result<Arc<dyn Store>, StoreError> {
        let store = self.whole(false, |memory| memory.create_generation(number))?;
        Ok(Arc::new(Behind { disk: self.clone(), store }))
    }

    fn seal_generation(&self, number: u64, header: &[u8]) -> Result<(), StoreError> {
        self.whole(false, |memory| memory.seal_generation(number, header))
    }

    fn generation_header(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.memory().generation_header(number)
    }

    fn open_generation(&self, number: u64) -> Result<Arc<dyn Store>, StoreError> {
        let store = self.memory().open_generation(number)?;
        Ok(Arc::new(Behind { disk: self.clone(), store }))
    }

    fn remove_generation(&self, number: u64) -> Result<(), StoreError> {
        self.whole(false, |memory| memory.remove_generation(number))
    }

    fn set_aside(&self, number: u64) -> Result<(), StoreError> {
        self.whole(false, |memory| memory.set_aside(number))
    }

    fn preserve(&self, _: u64) -> Result<(), StoreError> {
        Ok(())
    }

    fn retry_preserved(&self, _: u64) -> Result<(), StoreError> {
        Ok(())
    }

    fn keep_preserved(&self, _: u64) -> Result<(), StoreError> {
        Ok(())
    }

    fn discard_preserved(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn settle(&self, number: u64) -> Result<(), StoreError> {
        self.whole(true, |memory| memory.settle(number))
    }

    fn release(&self) {}
}

/// A generation's store behind the faults.
struct Behind {
    disk: Disk,
    store: Arc<dyn Store>,
}

impl Store for Behind {
    fn put(&self, key: Key, chunk: &[u8]) -> Result<(), StoreError> {
        match self.disk.point(false) {
            Verdict::Go => self.store.put(key, chunk),
            Verdict::Fail(error) => Err(error),
            Verdict::Die(Death::Before) => Err(dead()),
            Verdict::Die(Death::Torn) => self.store.put(key, &chunk[..chunk.len() / 2]).and(Err(dead())),
            Verdict::Die(Death::After) => self.store.put(key, chunk).and(Err(dead())),
        }
    }

    fn remove(&self, key: Key) -> Result<(), StoreError> {
        match self.disk.point(false) {
            Verdict::Go => self.store.remove(key),
            Verdict::Fail(error) => Err(error),
            Verdict::Die(Death::Before | Death::Torn) => Err(dead()),
            Verdict::Die(Death::After) => self.store.remove(key).and(Err(dead())),
        }
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.store.flush()
    }

    fn sync(&self) -> Result<(), StoreError> {
        match self.disk.point(true) {
            Verdict::Go => self.store.sync(),
            Verdict::Fail(error) => Err(error),
            Verdict::Die(Death::Before | Death::Torn) => Err(dead()),
            Verdict::Die(Death::After) => self.store.sync().and(Err(dead())),
        }
    }

    fn get(&self, key: Key) -> Result<Option<Bytes>, StoreError> {
        self.store.get(key)
    }

    fn floor(&self, key: Key) -> Result<Option<Key>, StoreError> {
        self.store.floor(key)
    }

    fn scan(&self, from: Key, to: Key) -> ChunkIter {
        self.store.scan(from, to)
    }
}
