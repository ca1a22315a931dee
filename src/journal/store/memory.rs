//! A disk in memory, for tests: it tells what is durable from what is only written, and fails when asked.
//!
//! Owns two images, the live one and the durable one. A chunk reaches the durable image at its store's sync; a small file
//! reaches it at once, as [`Medium`] promises. After [`MemoryDisk::freeze_after_syncs`] or
//! [`MemoryDisk::freeze_after_steps`] the durable image changes no more,
//! whatever the live one is told, so that [`MemoryDisk::crashed`] is what a power cut would leave.
//!
//! Absent on purpose: the preserved copies, since nothing damages a generation when it is opened.

use core::ops::Bound;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{ChunkIter, Key, Medium, Store, StoreError};

#[derive(Clone, Default)]
struct Image {
    files: BTreeMap<String, Vec<u8>>,
    generations: BTreeMap<u64, Generation>,
}

#[derive(Clone, Default)]
struct Generation {
    header: Option<Vec<u8>>,
    chunks: BTreeMap<Key, Arc<[u8]>>,
}

#[derive(Clone)]
enum Change {
    Put(u64, Key, Arc<[u8]>),
    Remove(u64, Key),
}

#[derive(Default)]
struct State {
    live: Image,
    durable: Image,
    /// Written and not yet synced, in order.
    pending: Vec<Change>,
    frozen: bool,
    syncs_until_frozen: Option<u64>,
    steps_until_frozen: Option<u64>,
    steps_done: u64,
    writes_until_error: Option<u64>,
    flushes_until_error: Option<u64>,
    syncs_until_error: Option<u64>,
    syncs_held: bool,
    syncs_waiting: usize,
    syncs_done: u64,
}

/// Keeps a log in memory and fails, stalls or freezes when a test asks for it; clones share one disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl MemoryDisk {
    /// Makes an empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fails the `n`-th write of a chunk from now; 1 is the next.
    pub fn fail_write(&self, n: u64) {
        self.state().writes_until_error = Some(n);
    }

    /// Fails the `n`-th flush from now; 1 is the next.
    pub fn fail_flush(&self, n: u64) {
        self.state().flushes_until_error = Some(n);
    }

    /// Fails the `n`-th sync from now; 1 is the next.
    pub fn fail_sync(&self, n: u64) {
        self.state().syncs_until_error = Some(n);
    }

    /// Makes every sync wait until [`MemoryDisk::release_syncs`].
    ///
    /// The thread that syncs is blocked: on a runtime with one thread use `Driver::Thread`.
    pub fn hold_syncs(&self) {
        self.state().syncs_held = true;
    }

    /// Lets the syncs go on.
    pub fn release_syncs(&self) {
        self.state().syncs_held = false;
        self.shared.changed.notify_all();
    }

    /// Waits until a sync is being held.
    pub fn wait_for_held_sync(&self) {
        let mut state = self.state();
        while state.syncs_waiting == 0 {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Returns how many syncs have been done.
    pub fn syncs(&self) -> u64 {
        self.state().syncs_done
    }

    /// Lets `n` more syncs take effect; after them nothing becomes durable, though everything seems to succeed.
    pub fn freeze_after_syncs(&self, n: u64) {
        let mut state = self.state();
        state.syncs_until_frozen = Some(n);
        state.frozen = n == 0;
    }

    /// Lets `n` more steps take effect, which are syncs and changes of small files and of generations; after them nothing
    /// becomes durable, though everything seems to succeed.
    pub fn freeze_after_steps(&self, n: u64) {
        let mut state = self.state();
        state.steps_until_frozen = Some(n);
        state.frozen = n == 0;
    }

    /// Returns how many such steps there have been.
    pub fn steps(&self) -> u64 {
        self.state().steps_done
    }

    /// Returns the disk that a power cut would leave now.
    #[must_use]
    pub fn crashed(&self) -> Self {
        self.crashed_after_writes(0)
    }

    /// Returns the disk that a power cut would leave now, had the first `n` unsynced writes reached it.
    #[must_use]
    pub fn crashed_after_writes(&self, n: usize) -> Self {
        let state = self.state();
        let mut image = state.durable.clone();
        for change in state.pending.iter().take(n) {
            image.apply(change);
        }
        Self::with_image(image)
    }

    /// Returns how many chunk writes and removals have not been synced.
    pub fn unsynced(&self) -> usize {
        self.state().pending.len()
    }

    /// Lists the keys of the chunks of a generation, its header's excluded.
    pub fn chunks(&self, generation: u64) -> Vec<Key> {
        let state = self.state();
        let generation = state.live.generations.get(&generation);
        generation
            .into_iter()
            .flat_map(|found| found.chunks.keys())
            .copied()
            .filter(|key| *key != Key::META)
            .collect()
    }

    /// Changes the bytes of one chunk, as damage on the disk would; an emptied chunk is removed.
    pub fn damage(&self, generation: u64, key: Key, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let State { live, durable, .. } = &mut *state;
        let found = live.generations.get(&generation).and_then(|found| found.chunks.get(&key));
        let mut bytes = found.expect("the chunk to damage exists").to_vec();
        change(&mut bytes);
        for image in [live, durable] {
            let chunks = &mut image.generations.entry(generation).or_default().chunks;
            if bytes.is_empty() {
                chunks.remove(&key);
            } else {
                chunks.insert(key, bytes.clone().into());
            }
        }
    }

    fn with_image(image: Image) -> Self {
        let disk = Self::new();
        {
            let mut state = disk.state();
            state.live = image.clone();
            state.durable = image;
        }
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, generation: u64) -> Arc<dyn Store> {
        Arc::new(MemoryStore { disk: self.clone(), generation })
    }
}

impl Image {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Put(generation, key, bytes) => {
                self.generations.entry(*generation).or_default().chunks.insert(*key, Arc::clone(bytes));
            }
            Change::Remove(generation, key) => {
                self.generations.entry(*generation).or_default().chunks.remove(key);
            }
        }
    }
}

impl State {
    fn write(&mut self, change: Change) -> Result<(), StoreError> {
        if due(&mut self.writes_until_error) {
            return Err(StoreError::Injected("write"));
        }
        self.live.apply(&change);
        self.pending.push(change);
        Ok(())
    }

    fn sync_now(&mut self) {
        self.syncs_done += 1;
        if !self.frozen {
            for change in self.pending.drain(..) {
                self.durable.apply(&change);
            }
            if let Some(left) = &mut self.syncs_until_frozen {
                *left -= 1;
                self.frozen = *left == 0;
            }
        }
        self.step();
    }

    /// Counts a step that may have become durable, and freezes durability behind the last that shall.
    fn step(&mut self) {
        self.steps_done += 1;
        if !self.frozen
            && let Some(left) = &mut self.steps_until_frozen
        {
            *left -= 1;
            self.frozen = *left == 0;
        }
    }

    /// Changes both images, or the live one alone once durability is frozen.
    fn change(&mut self, change: impl Fn(&mut Image)) {
        change(&mut self.live);
        if !self.frozen {
            change(&mut self.durable);
        }
        self.step();
    }
}

/// Counts down to an injected error; tells whether it is due now.
fn due(countdown: &mut Option<u64>) -> bool {
    match countdown {
        None => false,
        Some(left) => {
            *left = left.saturating_sub(1);
            let due = *left == 0;
            if due {
                *countdown = None;
            }
            due
        }
    }
}

impl Medium for MemoryDisk {
    fn place(&self) -> &Path {
        Path::new("memory")
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().live.files.get(name).cloned())
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.state().change(|image| {
            image.files.insert(name.to_owned(), bytes.to_vec());
        });
        Ok(())
    }

    fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let start = usize::try_from(offset).map_err(|_| StoreError::Injected("offset"))?;
        self.state().change(|image| {
            let file = image.files.entry(name.to_owned()).or_default();
            if file.len() < start + bytes.len() {
                file.resize(start + bytes.len(), 0);
            }
            file[start..start + bytes.len()].copy_from_slice(bytes);
        });
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.state().change(|image| {
            image.files.remove(name);
        });
        Ok(())
    }

    fn generations(&self) -> Result<Vec<u64>, StoreError> {
        Ok(self.state().live.generations.keys().copied().collect())
    }

    fn create_generation(&self, number: u64) -> Result<Arc<dyn Store>, StoreError> {
        self.state().change(|image| {
            image.generations.insert(number, Generation::default());
        });
        Ok(self.store(number))
    }

    fn seal_generation(&self, number: u64, header: &[u8]) -> Result<(), StoreError> {
        self.state().change(|image| {
            image.generations.entry(number).or_default().header = Some(header.to_vec());
        });
        Ok(())
    }

    fn generation_header(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().live.generations.get(&number).and_then(|found| found.header.clone()))
    }

    fn open_generation(&self, number: u64) -> Result<Arc<dyn Store>, StoreError> {
        if self.state().live.generations.contains_key(&number) {
            Ok(self.store(number))
        } else {
            Err(StoreError::Damaged(format!("generation {number} is missing")))
        }
    }

    fn remove_generation(&self, number: u64) -> Result<(), StoreError> {
        self.state().change(|image| {
            image.generations.remove(&number);
        });
        Ok(())
    }

    fn set_aside(&self, number: u64) -> Result<(), StoreError> {
        self.remove_generation(number)
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

    fn settle(&self, _: u64) -> Result<(), StoreError> {
        Ok(())
    }

    fn release(&self) {}
}

struct MemoryStore {
    disk: MemoryDisk,
    generation: u64,
}

impl Store for MemoryStore {
    fn put(&self, key: Key, chunk: &[u8]) -> Result<(), StoreError> {
        self.disk.state().write(Change::Put(self.generation, key, chunk.into()))
    }

    fn remove(&self, key: Key) -> Result<(), StoreError> {
        self.disk.state().write(Change::Remove(self.generation, key))
    }

    fn flush(&self) -> Result<(), StoreError> {
        if due(&mut self.disk.state().flushes_until_error) {
            return Err(StoreError::Injected("flush"));
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut state = self.disk.state();
        state.syncs_waiting += 1;
        self.disk.shared.changed.notify_all();
        while state.syncs_held {
            state = self.disk.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.syncs_waiting -= 1;
        if due(&mut state.syncs_until_error) {
            return Err(StoreError::Injected("sync"));
        }
        state.sync_now();
        Ok(())
    }

    fn get(&self, key: Key) -> Result<Option<Bytes>, StoreError> {
        let state = self.disk.state();
        let found = state.live.generations.get(&self.generation).and_then(|found| found.chunks.get(&key));
        Ok(found.map(|bytes| Bytes::from_owner(Arc::clone(bytes))))
    }

    fn floor(&self, key: Key) -> Result<Option<Key>, StoreError> {
        let state = self.disk.state();
        let generation = state.live.generations.get(&self.generation);
        Ok(generation.and_then(|found| found.chunks.range(..=key).next_back().map(|(key, _)| *key)))
    }

    fn scan(&self, from: Key, to: Key) -> ChunkIter {
        let (disk, generation) = (self.disk.clone(), self.generation);
        let mut from = Bound::Included(from);
        Box::new(core::iter::from_fn(move || {
            let state = disk.state();
            let chunks = &state.live.generations.get(&generation)?.chunks;
            let (key, bytes) = chunks.range((from, Bound::Unbounded)).next().filter(|(key, _)| **key < to)?;
            from = Bound::Excluded(*key);
            Some(Ok((*key, Bytes::from_owner(Arc::clone(bytes)))))
        }))
    }
}
