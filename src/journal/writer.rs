//! Group commit: what has gathered is written as frames, synced, and only then answered, in order.
//!
//! Owns the write position and the frame that is being filled. [`Writer::commit`] is synchronous; [`run`] drives it.
//!
//! Absent on purpose: retries. After any error of write, flush or sync, or a panic in the store, the writer never touches
//! the store again: on Linux the `fdatasync` after a failed one "succeeds".
//!
//! Invariants: no completion runs with success before the sync of the frame that ends its entry; completions run in the
//! order of the entries; no more than one frame stands between two syncs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::config::{CommitStats, Driver, Hooks};
use super::frame::{self, CHUNK_LEN, Header, PAYLOAD_LEN_MAX};
use super::generations::Generations;
use super::mark::Mark;
use super::position::Position;
use super::records::Records;
use super::store::{Key, Store, StoreError, caught};

/// The most entries in one commit.
pub(super) const BATCH_LEN_MAX: usize = 4096;
/// How often callers that are running get to join a batch before it is written.
const DRAINS: usize = 2;

/// Says where an entry's records stand, now that they are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The position of the entry's first record; of a barrier, the next position.
    pub first: Position,
    /// How many records the entry has.
    pub count: u32,
}

impl Committed {
    /// Returns the position of the last record; of a barrier, of the last before it.
    pub fn last(self) -> Position {
        self.first.advance(self.count).previous()
    }
}

/// Says why an entry was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CommitError {
    /// The entry was being written when the journal failed: it may be there after a restart, or not.
    #[error("the journal failed while the entry was being written; its outcome is unknown until a restart")]
    OutcomeUnknown,
    /// The journal had failed or was closed: the entry was not written.
    #[error("the journal takes no more entries")]
    Unavailable,
}

/// Is called once, when the entry's fate is known.
pub type Completion = Box<dyn FnOnce(Result<Committed, CommitError>) + Send>;

/// Holds what becomes durable all or none, and whom to tell.
pub struct Entry {
    /// The records; none make the entry a barrier.
    pub records: Records,
    /// Whom to tell. Runs on the writer, so that it must be short and must not block.
    pub done: Completion,
}

/// Names the generation that a rotation began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The generation's number.
    pub generation: u64,
    /// The position of its first record.
    pub first: Position,
}

pub(super) enum Message {
    Entry(Entry),
    Rotate(oneshot::Sender<Result<Rotated, CommitError>>),
    Bridged(oneshot::Sender<Result<(), CommitError>>),
    Close(oneshot::Sender<Result<Position, CommitError>>),
}

/// What the writer tells everyone.
pub(super) struct Progress {
    durable: AtomicU64,
    pub(super) watch: watch::Sender<Position>,
    pub(super) failure: OnceLock<Arc<str>>,
}

impl Progress {
    pub(super) fn new(durable: Position) -> Self {
        Self {
            durable: AtomicU64::new(durable.get()),
            watch: watch::Sender::new(durable),
            failure: OnceLock::new(),
        }
    }

    pub(super) fn durable(&self) -> Position {
        Position::new(self.durable.load(Ordering::Acquire))
    }

    fn advance(&self, position: Position) {
        self.durable.store(position.get(), Ordering::Release);
        self.watch.send_replace(position);
    }
}

/// Writes the log.
pub(super) struct Writer {
    generations: Arc<Generations>,
    store: Option<Arc<dyn Store>>,
    progress: Arc<Progress>,
    hooks: Hooks,
    mark: Mark,
    marked_at: Instant,
    idle_mark_interval: Duration,
    log_id: u128,
    epoch: u64,
    /// The position of the next record.
    next: Position,
    frame: Vec<u8>,
    /// Completions of the entries in `frame`, with where they will stand.
    waiting: Vec<(Completion, Committed)>,
    stats: CommitStats,
}

pub(super) struct WriterParts {
    pub(super) generations: Arc<Generations>,
    pub(super) store: Arc<dyn Store>,
    pub(super) progress: Arc<Progress>,
    pub(super) hooks: Hooks,
    pub(super) mark: Mark,
    pub(super) idle_mark_interval: Duration,
}

impl Writer {
    pub(super) fn new(parts: WriterParts) -> Self {
        let mut frame = Vec::with_capacity(frame::FRAME_LEN_MAX);
        frame::begin(&mut frame);
        Self {
            store: Some(parts.store),
            log_id: parts.mark.log_id,
            epoch: parts.mark.epoch,
            next: parts.progress.durable().next(),
            generations: parts.generations,
            progress: parts.progress,
            hooks: parts.hooks,
            mark: parts.mark,
            marked_at: Instant::now(),
            idle_mark_interval: parts.idle_mark_interval,
            frame,
            waiting: Vec::new(),
            stats: CommitStats::default(),
        }
    }

    /// Makes the entries durable and completes them, in order; leaves `entries` empty.
    pub(super) fn commit(&mut self, entries: &mut Vec<Entry>) {
        self.stats = CommitStats::default();
        for entry in entries.drain(..) {
            self.add(entry);
        }
        self.write_frame();
        assert!(self.waiting.is_empty(), "a commit leaves nobody waiting");
    }

    /// Puts an entry in the frame, and writes the frame when it is full.
    fn add(&mut self, entry: Entry) {
        if self.failed() {
            complete(entry.done, Err(CommitError::Unavailable));
            return;
        }
        let bytes = entry.records.bytes();
        if bytes.len() > PAYLOAD_LEN_MAX {
            self.write_frame();
            self.write_chain(&entry.records, entry.done);
            return;
        }
        if self.frame.len() + bytes.len() > frame::FRAME_LEN_MAX {
            self.write_frame();
            if self.failed() {
                complete(entry.done, Err(CommitError::Unavailable));
                return;
            }
        }
        self.frame.extend_from_slice(bytes);
        let committed = Committed { first: self.next, count: entry.records.count() };
        self.next = self.next.advance(committed.count);
        self.waiting.push((entry.done, committed));
    }

    /// Writes what has gathered as one frame, syncs it, and completes its entries.
    fn write_frame(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let first = self.progress.durable().next();
        let count = u32::try_from(self.next.get() - first.get()).expect("a frame's records fit in a u32");
        let header = self.header(first, count, 0, false);
        let written = if count == 0 { Ok(()) } else { self.seal_and_sync(&header) };
        self.finish(written);
    }

    /// Writes an entry that is larger than a frame as a chain of frames, each synced.
    fn write_chain(&mut self, records: &Records, done: Completion) {
        if self.failed() {
            complete(done, Err(CommitError::Unavailable));
            return;
        }
        let committed = Committed { first: self.next, count: records.count() };
        let mut chunk: u16 = 0;
        let mut parts = records.bytes().chunks(PAYLOAD_LEN_MAX).peekable();
        let mut written = Ok(());
        while let Some(part) = parts.next() {
            let more = parts.peek().is_some();
            frame::begin(&mut self.frame);
            self.frame.extend_from_slice(part);
            let header = self.header(committed.first, if more { 0 } else { committed.count }, chunk, more);
            written = self.seal_and_sync(&header);
            if written.is_err() {
                break;
            }
            let chunks = self.frame.len().div_ceil(CHUNK_LEN);
            chunk += u16::try_from(chunks).expect("FRAME_LEN_MAX bounds a frame's chunks");
        }
        self.next = self.next.advance(committed.count);
        self.waiting.push((done, committed));
        self.finish(written);
    }

    fn header(&self, first: Position, count: u32, chunk: u16, more: bool) -> Header {
        Header { more, log_id: self.log_id, epoch: self.epoch, first, chunk, count }
    }

    fn seal_and_sync(&mut self, header: &Header) -> Result<(), StoreError> {
        frame::seal(&mut self.frame, header);
        // What would be acknowledged must be where the next start looks for it.
        self.generations.medium().check_place()?;
        let Self { store: Some(store), frame, .. } = self else { return Err(StoreError::Injected("closed")) };
        let started = stopwatch();
        let mut flushed = started;
        caught(|| {
            let mut key = Key { position: header.first.get(), chunk: header.chunk };
            for chunk in frame.chunks(CHUNK_LEN) {
                store.put(key, chunk)?;
                key.chunk += 1;
            }
            store.flush()?;
            flushed = stopwatch();
            store.sync()
        })?;
        let synced = stopwatch();
        self.stats.frames += 1;
        self.stats.bytes += u64::try_from(self.frame.len()).unwrap_or(u64::MAX);
        self.stats.write_us += micros(flushed.duration_since(started));
        self.stats.sync_us += micros(synced.duration_since(flushed));
        Ok(())
    }

    /// Tells everyone in the frame how it went, and begins the next frame.
    fn finish(&mut self, written: Result<(), StoreError>) {
        frame::begin(&mut self.frame);
        match written {
            Ok(()) => {
                let durable = self.next.previous();
                self.stats.entries = self.waiting.len();
                self.stats.records = durable.get() - self.progress.durable().get();
                if self.stats.frames > 0 {
                    (self.hooks.observer)(&self.stats);
                }
                self.stats = CommitStats::default();
                self.progress.advance(durable);
                for (done, committed) in self.waiting.drain(..) {
                    complete(done, Ok(committed));
                }
            }
            Err(error) => {
                self.fail("write", &error);
                for (done, _) in self.waiting.drain(..) {
                    complete(done, Err(CommitError::OutcomeUnknown));
                }
            }
        }
    }

    /// Stops writing for good.
    fn fail(&mut self, action: &'static str, error: &StoreError) {
        let advice = if error.is_full() {
            "the disk is full: free space and restart; what was acknowledged is kept"
        } else {
            "restart after checking the disk; what was acknowledged is kept"
        };
        let reason: Arc<str> = format!("{action}: {error}; {advice}").into();
        if self.progress.failure.set(Arc::clone(&reason)).is_ok() {
            tracing::error!(%reason, durable = self.progress.durable().get(), "the journal failed and takes no more changes");
        }
        self.store = None;
    }

    pub(super) fn failed(&self) -> bool {
        self.progress.failure.get().is_some()
    }

    /// Begins the next generation.
    fn rotate(&mut self) -> Result<Rotated, CommitError> {
        if self.failed() {
            return Err(CommitError::Unavailable);
        }
        let (first, created) = (self.next, (self.hooks.clock)());
        let medium = self.generations.medium();
        match medium
            .check_place()
            .and_then(|()| caught(|| self.generations.rotate(first, self.epoch, created)))
        {
            Ok(store) => {
                self.store = Some(store);
                Ok(Rotated { generation: self.generations.newest().number, first })
            }
            Err(error) => {
                self.fail("begin a generation", &error);
                Err(CommitError::OutcomeUnknown)
            }
        }
    }

    /// Rewrites the mark when it is due.
    fn tick(&mut self) {
        let moved = self.mark.position != self.progress.durable();
        if moved || self.marked_at.elapsed() >= self.idle_mark_interval {
            self.write_mark();
        }
    }

    fn write_mark(&mut self) {
        if self.failed() {
            return;
        }
        self.mark.position = self.progress.durable();
        // Before the outage is crossed, the engine isn't alive: the mark still says since when it was down.
        if !self.mark.bridging {
            self.mark.instant = (self.hooks.clock)();
        }
        self.marked_at = Instant::now();
        let medium = self.generations.medium();
        if let Err(error) = medium.check_place().and_then(|()| self.mark.write(&**medium)) {
            self.fail("write the mark", &error);
        }
    }

    /// Ends the crossing of the outage: from now on the mark says that the engine is alive.
    fn bridged(&mut self) -> Result<(), CommitError> {
        self.mark.bridging = false;
        self.write_mark();
        if self.failed() { Err(CommitError::Unavailable) } else { Ok(()) }
    }

    /// Works through what has been received, in order; returns who wants the journal closed.
    fn handle(&mut self, messages: &mut Vec<Message>, entries: &mut Vec<Entry>) -> Vec<CloseReply> {
        let mut closing = Vec::new();
        for message in messages.drain(..) {
            match message {
                Message::Entry(entry) => entries.push(entry),
                Message::Rotate(reply) => {
                    self.commit(entries);
                    // Whoever asked may have gone; the rotation stands.
                    let _ = reply.send(self.rotate());
                }
                Message::Bridged(reply) => {
                    self.commit(entries);
                    let _ = reply.send(self.bridged());
                }
                Message::Close(reply) => closing.push(reply),
            }
        }
        self.commit(entries);
        closing
    }

    /// Ends a log that did not fail: everything synced, the store closed, the mark and the clean-stop marker written.
    fn close(&mut self) -> Result<Position, CommitError> {
        self.write_mark();
        self.store = None;
        let durable = self.progress.durable();
        let medium = Arc::clone(self.generations.medium());
        let number = self.generations.newest().number;
        let current = self.generations.close();
        let read_on = current.as_ref().is_some_and(|store| Arc::strong_count(store) > 1);
        drop(current);
        let result = if self.failed() {
            Err(CommitError::Unavailable)
        } else if read_on {
            // A store that someone still reads is closed later, and may then write: the next start looks closely.
            tracing::warn!(
                "the journal was closed while it was read; the next start will check it as after a crash"
            );
            Ok(durable)
        } else {
            let settled = medium
                .settle(number)
                .and_then(|()| medium.discard_preserved())
                .and_then(|()| medium.replace(super::open::CLEAN, &durable.get().to_le_bytes()));
            settled.map(|()| durable).map_err(|error| {
                self.fail("close", &error);
                CommitError::Unavailable
            })
        };
        medium.release();
        result
    }
}

pub(super) type CloseReply = oneshot::Sender<Result<Position, CommitError>>;

/// Calls a completion; its panic must not take the writer with it.
fn complete(done: Completion, result: Result<Committed, CommitError>) {
    if catch_unwind(AssertUnwindSafe(|| done(result))).is_err() {
        tracing::error!("a completion panicked");
    }
}

/// Drives the writer until every sender is gone or the journal is closed.
pub(super) async fn run(
    mut writer: Writer,
    mut queue: mpsc::Receiver<Message>,
    mark_interval: Duration,
    driver: Driver,
) {
    let mut disk = Disk::new(driver);
    let mut ticks = tokio::time::interval(mark_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut messages = Vec::with_capacity(BATCH_LEN_MAX);
    let mut entries = Vec::with_capacity(BATCH_LEN_MAX);
    let mut closing = Vec::new();
    loop {
        let received = tokio::select! {
            biased;
            _ = ticks.tick() => {
                disk.work(|| writer.tick());
                if writer.failed() {
                    queue.close();
                }
                continue;
            }
            received = queue.recv_many(&mut messages, BATCH_LEN_MAX) => received,
        };
        if received == 0 {
            break;
        }
        for _ in 0..DRAINS {
            tokio::task::yield_now().await;
            while messages.len() < BATCH_LEN_MAX
                && let Ok(message) = queue.try_recv()
            {
                messages.push(message);
            }
        }
        closing.extend(disk.work(|| writer.handle(&mut messages, &mut entries)));
        if writer.failed() || !closing.is_empty() {
            queue.close();
        }
    }
    if !closing.is_empty() {
        let result = disk.work(|| writer.close());
        for reply in closing {
            // Whoever asked may have gone; the journal is closed all the same.
            let _ = reply.send(result);
        }
    }
}

/// A commit that takes longer than this makes the next one hand its worker's other tasks over.
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

/// Reads a stopwatch; the only place of the journal that reads real time, for [`CommitStats`] and nothing else.
#[expect(clippy::disallowed_methods, reason = "measures how long the disk takes; no decision rests on it")]
fn stopwatch() -> std::time::Instant {
    std::time::Instant::now()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
