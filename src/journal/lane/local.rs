//! The lane on this machine's disk: the newest generation's store, the mark, and the clean-stop marker.
//!
//! Invariants: a frame is handed to the store, flushed and synced before the next; the mark is written only after the
//! record that it names was synced; nothing is written where the directory isn't the one that was opened.

use core::time::Duration;
use std::sync::Arc;

use tokio::time::Instant;

use super::super::config::{Clock, Driver};
use super::super::frame::{CHUNK_LEN, FRAME_LEN_MAX};
use super::super::generations::Generations;
use super::super::mark::Mark;
use super::super::position::Ordinal;
use super::super::store::{Key, Medium, Store, StoreError, caught};
use super::{Appended, Lane, Rotated, Sealed};

/// The clean-stop marker: there while everything is synced and the store is closed.
pub(in crate::journal) const CLEAN: &str = "clean";

/// See the module.
pub(in super::super) struct LocalLane {
    generations: Arc<Generations>,
    store: Arc<dyn Store>,
    mark: Mark,
    marked_at: Instant,
    idle_mark_interval: Duration,
    clock: Clock,
    disk: Disk,
}

/// The parts of a [`LocalLane`].
pub(in super::super) struct LocalParts {
    pub(in super::super) generations: Arc<Generations>,
    pub(in super::super) store: Arc<dyn Store>,
    pub(in super::super) mark: Mark,
    pub(in super::super) idle_mark_interval: Duration,
    pub(in super::super) clock: Clock,
    pub(in super::super) driver: Driver,
}

impl LocalLane {
    /// Makes the lane of a log that was opened; must be called within a tokio runtime.
    pub(in super::super) fn new(parts: LocalParts) -> Self {
        let LocalParts { generations, store, mark, idle_mark_interval, clock, driver } = parts;
        let (marked_at, disk) = (Instant::now(), Disk::new(driver));
        Self { generations, store, mark, marked_at, idle_mark_interval, clock, disk }
    }

    fn medium(&self) -> &Arc<dyn Medium> {
        self.generations.medium()
    }

    fn write_mark(&mut self, durable: Ordinal) -> Result<(), StoreError> {
        assert!(durable >= self.mark.durable, "a mark never goes back");
        self.mark.durable = durable;
        // Before the outage is crossed, the engine isn't alive: the mark still says since when it was down.
        if !self.mark.bridging {
            self.mark.instant = (self.clock)();
        }
        self.marked_at = Instant::now();

        let Self { generations, mark, disk, .. } = self;
        let medium = generations.medium();
        disk.work(|| medium.check_place().and_then(|()| mark.write(&**medium)))
    }
}

impl Lane for LocalLane {
    async fn append(&mut self, frame: Sealed<'_>) -> Result<Appended, StoreError> {
        assert!(frame.bytes.len() <= FRAME_LEN_MAX, "sled is never given more between two syncs");
        assert!(frame.header.first > self.mark.durable, "a frame stands behind what the mark names");
        assert!(frame.header.epoch == self.mark.epoch, "a frame is of this life of the log");

        // A frame is acknowledged only where the next start looks for it.
        self.medium().check_place()?;

        let store = &*self.store;
        self.disk.work(|| {
            caught(|| {
                let started = stopwatch();
                let mut key = Key { ordinal: frame.header.first, chunk: frame.header.chunk };
                for chunk in frame.bytes.chunks(CHUNK_LEN) {
                    store.put(key, chunk)?;
                    key.chunk += 1;
                }
                store.flush()?;
                let flushed = stopwatch();

                store.sync()?;
                Ok(Appended {
                    position: frame.header.first.position(),
                    wrote: flushed.duration_since(started),
                    synced: flushed.elapsed(),
                })
            })
        })
    }

    async fn tick(&mut self, durable: Ordinal) -> Result<(), StoreError> {
        let moved = self.mark.durable != durable;
        if moved || self.marked_at.elapsed() >= self.idle_mark_interval {
            self.write_mark(durable)?;
        }
        Ok(())
    }

    async fn bridged(&mut self, durable: Ordinal) -> Result<(), StoreError> {
        self.mark.bridging = false;
        self.write_mark(durable)
    }

    async fn rotate(&mut self, first: Ordinal) -> Result<Rotated, StoreError> {
        assert!(first > self.mark.durable, "a generation begins behind what the mark names");
        let Self { generations, mark, clock, disk, store, .. } = self;
        *store = disk.work(|| {
            generations.medium().check_place()?;
            caught(|| generations.rotate(first, mark.epoch, clock()))
        })?;
        Ok(Rotated { generation: self.generations.newest().number, first: first.position() })
    }

    async fn close(mut self, durable: Ordinal) -> Result<(), StoreError> {
        let marked = self.write_mark(durable);

        // An error of the mark waits: the store is closed and the directory let go all the same.
        let Self { generations, store, mut disk, .. } = self;
        drop(store);
        let medium = Arc::clone(generations.medium());
        let number = generations.newest().number;
        let current = generations.close();

        let read_on = current.as_ref().is_some_and(|store| Arc::strong_count(store) > 1);

        let closed = disk.work(|| {
            marked?;
            if let Some(current) = current {
                caught(|| current.finish())?;
            }
            if read_on {
                // A store that someone still reads is closed later, and may then write: the next start looks closely.
                tracing::warn!(
                    "the journal was closed while it was read; the next start will check it as after a crash"
                );
                return Ok(());
            }

            medium.settle(number)?;
            medium.discard_preserved()?;
            medium.replace(CLEAN, &durable.get().to_le_bytes())
        });

        medium.release();
        closed
    }

    fn abandon(self) {
        let Self { generations, store, .. } = self;
        drop(store);
        drop(generations.close());
        generations.medium().release();
    }
}

/// A call that takes longer than this makes the next one hand its worker's other tasks over.
const SLOW: Duration = Duration::from_millis(5);

/// How the work on the disk shares its worker with other tasks.
///
/// Handing the tasks over costs two switches of threads each time; keeping them costs them the time of a sync, once,
/// when a disk turns slow. With 256 clients over HTTP the first took a tenth of the throughput.
struct Disk {
    /// Whether there are other tasks to hand over, and workers to take them.
    shared: bool,
    slow: bool,
}

impl Disk {
    fn new(driver: Driver) -> Self {
        let flavor = tokio::runtime::Handle::current().runtime_flavor();
        let shared = driver == Driver::Task && flavor == tokio::runtime::RuntimeFlavor::MultiThread;
        Self { shared, slow: false }
    }

    fn work<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = stopwatch();
        let done = if self.shared && self.slow { tokio::task::block_in_place(work) } else { work() };
        self.slow = started.elapsed() > SLOW;
        done
    }
}

/// Reads a stopwatch, for [`Appended`] and [`SLOW`] and nothing else: no decision about the log rests on it.
#[expect(clippy::disallowed_methods, reason = "measures how long the disk takes; no decision rests on it")]
fn stopwatch() -> std::time::Instant {
    std::time::Instant::now()
}
