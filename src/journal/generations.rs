//! The log as a row of generations, one store each.
//!
//! Owns the list, the store that is written, and a bounded cache of older ones that are being read. A generation begins
//! where a rotation put it and ends where the next begins.
//!
//! Absent on purpose: which generations may go (`retention` decides), and their contents.
//!
//! Invariants: numbers are consecutive, first positions never decrease, and the oldest is deleted first; a generation counts
//! once it is sealed; a store is opened once, however many read it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::frame::{u32_at, u64_at, u128_at};
use super::position::Ordinal;
use super::store::{Key, Medium, Store, StoreError};

const MAGIC: [u8; 4] = *b"OSGN";
const FORMAT: u8 = 1;
const HEADER_LEN: usize = 60;
const CRC_AT: usize = 56;
/// Older generations kept open for readers.
const OPEN_LEN_MAX: usize = 2;

/// Describes a generation; stands in its directory and, once more, in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The log that it belongs to.
    pub log_id: u128,
    /// Counts from 1.
    pub number: u64,
    /// Its first record.
    pub first: Ordinal,
    /// The log's life in which it was created.
    pub epoch: u64,
    /// When it was created, in the engine's milliseconds; 0 for the first of a log.
    pub created: u64,
}

impl Generation {
    pub(super) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut header = [0; HEADER_LEN];
        header[0..4].copy_from_slice(&MAGIC);
        header[4] = FORMAT;
        header[8..24].copy_from_slice(&self.log_id.to_le_bytes());
        header[24..32].copy_from_slice(&self.number.to_le_bytes());
        header[32..40].copy_from_slice(&self.first.get().to_le_bytes());
        header[40..48].copy_from_slice(&self.epoch.to_le_bytes());
        header[48..56].copy_from_slice(&self.created.to_le_bytes());
        let crc = crc32fast::hash(&header[..CRC_AT]);
        header[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        header
    }

    /// Reads a header; nothing when it is damaged.
    pub(super) fn decode(header: &[u8]) -> Option<Self> {
        let head = header.get(..CRC_AT)?;
        let right =
            head[..4] == MAGIC && head[4] == FORMAT && u32_at(header, CRC_AT)? == crc32fast::hash(head);
        right.then_some(())?;
        Some(Self {
            log_id: u128_at(head, 8)?,
            number: u64_at(head, 24)?,
            first: Ordinal::new(u64_at(head, 32)?),
            epoch: u64_at(head, 40)?,
            created: u64_at(head, 48)?,
        })
    }

    /// Tells whether a header is only the beginning of one, or nothing: an earlier version wrote it in place, and was killed or found the
    /// disk full meanwhile. A generation is sealed before anything is written to it, so such a one holds nothing.
    pub(super) const fn is_cut_short(header: &[u8]) -> bool {
        header.len() < HEADER_LEN
    }

    /// Tells whether the store carries this very header; one that lost everything does not.
    pub(super) fn is_in(&self, store: &dyn Store) -> Result<bool, StoreError> {
        Ok(store.get(Key::META)?.is_some_and(|header| header[..] == self.encode()))
    }

    /// Creates this generation, durably.
    pub(super) fn create(&self, medium: &dyn Medium) -> Result<Arc<dyn Store>, StoreError> {
        let header = self.encode();
        let store = medium.create_generation(self.number)?;
        store.put(Key::META, &header)?;
        store.flush()?;
        store.sync()?;
        medium.seal_generation(self.number, &header)?;
        Ok(store)
    }
}

/// Owns the generations of an open log.
pub(super) struct Generations {
    medium: Arc<dyn Medium>,
    inner: Mutex<Inner>,
}

struct Inner {
    /// Oldest first; never empty.
    list: VecDeque<Generation>,
    /// The newest generation's store; nothing once the journal is closed.
    current: Option<Arc<dyn Store>>,
    /// Older ones that stay open, the last used at the back.
    open: VecDeque<(u64, Arc<dyn Store>)>,
    /// Older ones that someone may still be reading.
    seen: Vec<(u64, Weak<dyn Store>)>,
}

/// The generation that holds a position.
pub(super) struct Located {
    pub(super) generation: Generation,
    /// Where the next generation begins; nothing for the newest.
    pub(super) end: Option<Ordinal>,
    pub(super) store: Arc<dyn Store>,
}

/// Why a generation cannot be read.
pub(super) enum Missing {
    /// The position is older than all that is retained.
    Gone(Ordinal),
    /// The journal is closed.
    Closed,
    /// The generation cannot be opened, or is not what its header says.
    Store(u64, StoreError),
}

impl Generations {
    pub(super) fn new(medium: Arc<dyn Medium>, list: VecDeque<Generation>, current: Arc<dyn Store>) -> Self {
        assert!(!list.is_empty(), "a log has a generation");
        let follows = |(one, next): (&Generation, &Generation)| {
            next.number == one.number + 1 && next.first >= one.first && next.log_id == one.log_id
        };
        assert!(
            list.iter().zip(list.iter().skip(1)).all(follows),
            "generations follow each other without a gap"
        );

        let inner = Inner { list, current: Some(current), open: VecDeque::new(), seen: Vec::new() };
        Self { medium, inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn medium(&self) -> &Arc<dyn Medium> {
        &self.medium
    }

    pub(super) fn newest(&self) -> Generation {
        *self.inner().list.back().expect("a log has a generation")
    }

    /// Returns the position of the oldest record that is retained.
    pub(super) fn oldest(&self) -> Ordinal {
        self.inner().list.front().expect("a log has a generation").first
    }

    pub(super) fn list(&self) -> Vec<Generation> {
        self.inner().list.iter().copied().collect()
    }

    /// Finds the generation that holds `position`, and opens it if it is not open.
    pub(super) fn find(&self, position: Ordinal) -> Result<Located, Missing> {
        let mut inner = self.inner();
        let oldest = inner.list.front().map_or(Ordinal::START, |generation| generation.first);

        let Some(at) = inner.list.iter().rposition(|generation| generation.first <= position) else {
            return Err(Missing::Gone(oldest));
        };
        self.located(&mut inner, at)
    }

    /// Opens a generation by its number; one that was deleted is gone.
    pub(super) fn numbered(&self, number: u64) -> Result<Located, Missing> {
        let mut inner = self.inner();
        let oldest = inner.list.front().map_or(Ordinal::START, |generation| generation.first);
        match inner.list.iter().position(|generation| generation.number == number) {
            Some(at) => self.located(&mut inner, at),
            None => Err(Missing::Gone(oldest)),
        }
    }

    fn located(&self, inner: &mut Inner, at: usize) -> Result<Located, Missing> {
        let generation = inner.list[at];
        let end = inner.list.get(at + 1).map(|next| next.first);
        let Some(current) = &inner.current else { return Err(Missing::Closed) };

        let store = if end.is_none() {
            Arc::clone(current)
        } else {
            self.older(inner, generation).map_err(|error| Missing::Store(generation.number, error))?
        };
        Ok(Located { generation, end, store })
    }

    fn older(&self, inner: &mut Inner, generation: Generation) -> Result<Arc<dyn Store>, StoreError> {
        inner.seen.retain(|(_, store)| store.strong_count() > 0);
        let known = inner.seen.iter().find(|(number, _)| *number == generation.number);
        let known = known.and_then(|(_, store)| store.upgrade());

        let store = if let Some(store) = known {
            store
        } else {
            let store = self.medium.open_generation(generation.number)?;
            if !generation.is_in(&*store)? {
                return Err(StoreError::Damaged(
                    "the store does not carry its generation's header".to_owned(),
                ));
            }
            inner.seen.push((generation.number, Arc::downgrade(&store)));
            store
        };

        inner.keep_open(generation.number, &store);
        Ok(store)
    }

    /// Creates the next generation, which begins at `first`; from here on it is the one that is written.
    pub(super) fn rotate(
        &self,
        first: Ordinal,
        epoch: u64,
        created: u64,
    ) -> Result<Arc<dyn Store>, StoreError> {
        let newest = self.newest();
        assert!(
            first >= newest.first && epoch >= newest.epoch,
            "a generation begins behind the one before it"
        );
        let next = Generation { number: newest.number + 1, first, epoch, created, ..newest };
        let current = self.inner().current.clone();
        if let Some(former) = current {
            former.finish()?;
        }
        let store = next.create(&*self.medium)?;

        // The former store stays open for its readers, so that it isn't opened a second time.
        let mut inner = self.inner();
        if let Some(former) = inner.current.replace(Arc::clone(&store)) {
            inner.seen.push((newest.number, Arc::downgrade(&former)));
            inner.keep_open(newest.number, &former);
        }
        inner.list.push_back(next);
        Ok(store)
    }

    /// Deletes the oldest generation, unless it is the only one or is being read; tells whether it did. After an error it is the oldest
    /// still: a younger one that went before it would be a gap. There is one caller at a time.
    pub(super) fn remove_oldest(&self, number: u64) -> Result<bool, StoreError> {
        let oldest = {
            let mut inner = self.inner();
            let is_oldest = inner.list.front().is_some_and(|oldest| oldest.number == number);
            if !is_oldest || inner.list.len() == 1 {
                return Ok(false);
            }

            // The cache alone keeps no generation from being deleted; a reader does.
            inner.open.retain(|(open, _)| *open != number);
            if inner.seen.iter().any(|(seen, store)| *seen == number && store.strong_count() > 0) {
                return Ok(false);
            }
            // Nobody begins to read it any more.
            inner.list.pop_front().expect("there are two")
        };

        // Deleting takes long, so it is done with the lock let go.
        if let Err(error) = self.medium.remove_generation(number) {
            let mut inner = self.inner();
            let follows = inner.list.front().is_some_and(|next| next.number == number + 1);
            assert!(follows, "nobody else deletes generations");
            inner.list.push_front(oldest);
            return Err(error);
        }
        Ok(true)
    }

    /// Lets every store go; reads fail from here on. Returns the newest store, for its last sync.
    pub(super) fn close(&self) -> Option<Arc<dyn Store>> {
        let mut inner = self.inner();
        inner.open.clear();
        inner.current.take()
    }
}

impl Inner {
    fn keep_open(&mut self, number: u64, store: &Arc<dyn Store>) {
        self.open.retain(|(open, _)| *open != number);
        self.open.push_back((number, Arc::clone(store)));
        while self.open.len() > OPEN_LEN_MAX {
            self.open.pop_front();
        }
        assert!(self.open.back().is_some_and(|(open, _)| *open == number), "the last used stays");
    }
}
