//! Group commit: the entries that have gathered are written as frames, synced, and only then answered, in order.
//!
//! Owns the next ordinal and the frame that is being filled. The frames go to a [`Lane`], one at a time; [`run`] drives all.
//!
//! Absent on purpose: retries. After any error the writer never touches the lane again: on Linux the `fdatasync` after a
//! failed one "succeeds".
//!
//! Invariants: no completion runs with success before the frame that ends its entry is durable; completions run in the
//! order of the entries.

use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::{Arc, OnceLock};

use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

use super::config::{CODEC, CommitStats, Observer};
use super::frame::{self, CHUNK_LEN, Header, PAYLOAD_LEN_MAX};
use super::lane::{Appended, Lane, Rotated, Sealed};
use super::position::{Ordinal, Position};
use super::records::Records;
use super::store::StoreError;

/// The most entries in one commit.
pub(super) const BATCH_LEN_MAX: usize = 4096;
/// How often callers that are running get to join a batch before it is written.
const DRAINS: usize = 2;

/// Says where an entry's records stand, now that they are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The position of the entry's first record; of a barrier, of the last record before it.
    pub first: Position,
    /// The position of the entry's last record; of a barrier, of the last record before it.
    pub last: Position,
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

/// Holds records that become durable all or none, and whom to tell.
pub struct Entry {
    /// The records; none make the entry a barrier.
    pub records: Records,
    /// Whom to tell. Runs on the writer, so that it must be short and must not block.
    pub done: Completion,
}

pub(super) enum Message {
    Entry(Entry),
    Rotate(oneshot::Sender<Result<Rotated, CommitError>>),
    Bridged(oneshot::Sender<Result<(), CommitError>>),
    Close(oneshot::Sender<Result<Position, CommitError>>),
}

/// How far the log is, for everyone to see.
pub(super) struct Progress {
    durable: AtomicU64,
    records: AtomicU64,
    commits: AtomicU64,
    commit_us: AtomicU64,
    pub(super) watch: watch::Sender<Position>,
    pub(super) failure: OnceLock<Arc<str>>,
    /// Whether another life of the log has begun elsewhere.
    pub(super) deposed: watch::Sender<bool>,
}

impl Progress {
    pub(super) fn new(durable: Position) -> Self {
        Self {
            durable: AtomicU64::new(durable.get()),
            records: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            commit_us: AtomicU64::new(0),
            watch: watch::Sender::new(durable),
            failure: OnceLock::new(),
            deposed: watch::Sender::new(false),
        }
    }

    /// Returns how many records became durable in this life.
    pub(super) fn records(&self) -> u64 {
        self.records.load(Ordering::Acquire)
    }

    /// Returns how many commits there were in this life, and how long they took together, in µs.
    pub(super) fn commits(&self) -> (u64, u64) {
        (self.commits.load(Ordering::Relaxed), self.commit_us.load(Ordering::Relaxed))
    }

    fn count_commit(&self, stats: &CommitStats) {
        self.commit_us.fetch_add(stats.write_us + stats.sync_us, Ordering::Relaxed);
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn durable(&self) -> Position {
        Position::new(self.durable.load(Ordering::Acquire))
    }

    /// Stops the writing for good.
    fn fail(&self, action: &'static str, error: &StoreError) {
        let is_deposed = matches!(error, StoreError::Deposed { .. });
        let advice = if is_deposed {
            "this process has to stop; what was acknowledged is kept"
        } else if matches!(error, StoreError::Log(_)) {
            "what was acknowledged is kept; mend the log's servers, and restart"
        } else if error.is_full() {
            "the disk is full: free space and restart; what was acknowledged is kept"
        } else {
            "restart after checking the disk; what was acknowledged is kept"
        };
        let reason: Arc<str> = format!("{action}: {error}; {advice}").into();
        if self.failure.set(Arc::clone(&reason)).is_ok() {
            tracing::error!(%reason, durable = self.durable().get(), "the journal failed and takes no more changes");
        }
        if is_deposed {
            self.deposed.send_replace(true);
        }
    }

    fn advance(&self, position: Position, records: u64) {
        assert!(records > 0 && position > self.durable(), "the log only grows");
        self.records.fetch_add(records, Ordering::Release);
        self.durable.store(position.get(), Ordering::Release);
        self.watch.send_replace(position);
    }
}

/// Writes the log to a lane.
pub(super) struct Writer<L: Lane> {
    lane: L,
    progress: Arc<Progress>,
    observer: Observer,
    log_id: u128,
    epoch: u64,
    /// The last record that is durable.
    durable: Ordinal,
    /// The next record.
    next: Ordinal,
    frame: Vec<u8>,
    /// The entries whose records are in `frame`.
    waiting: Vec<Waiting>,
    stats: CommitStats,
}

/// An entry that is being written.
struct Waiting {
    done: Completion,
    /// How many records of the frame stand before its own.
    before: u32,
    count: u32,
}

pub(super) struct WriterParts<L: Lane> {
    pub(super) lane: L,
    pub(super) progress: Arc<Progress>,
    pub(super) observer: Observer,
    pub(super) log_id: u128,
    pub(super) epoch: u64,
    /// The last record of the log.
    pub(super) last: Ordinal,
}

impl<L: Lane> Writer<L> {
    pub(super) fn new(parts: WriterParts<L>) -> Self {
        let mut frame = Vec::with_capacity(frame::FRAME_LEN_MAX);
        frame::begin(&mut frame);
        Self {
            lane: parts.lane,
            progress: parts.progress,
            observer: parts.observer,
            log_id: parts.log_id,
            epoch: parts.epoch,
            durable: parts.last,
            next: parts.last.next(),
            frame,
            waiting: Vec::new(),
            stats: CommitStats::default(),
        }
    }

    /// Makes the entries durable and completes them, in order; leaves `entries` empty.
    pub(super) async fn commit(&mut self, entries: &mut Vec<Entry>) {
        self.stats = CommitStats::default();
        for entry in entries.drain(..) {
            self.add(entry).await;
        }
        self.write_frame().await;
        assert!(self.waiting.is_empty(), "a commit leaves nobody waiting");
    }

    /// Puts an entry in the frame, and writes the frame when it is full.
    async fn add(&mut self, entry: Entry) {
        let bytes = entry.records.bytes();
        if bytes.len() > PAYLOAD_LEN_MAX {
            self.write_frame().await;
            return self.write_chain(entry).await;
        }

        if self.frame.len() + bytes.len() > frame::FRAME_LEN_MAX {
            self.write_frame().await;
        }
        if self.failed() {
            return complete(entry.done, Err(CommitError::Unavailable));
        }

        self.frame.extend_from_slice(bytes);
        self.wait(entry.done, entry.records.count());
    }

    /// Gives the next ordinals to an entry's records.
    fn wait(&mut self, done: Completion, count: u32) {
        let before = self.gathered();
        self.next = self.next.advance(count);
        self.waiting.push(Waiting { done, before, count });
    }

    /// Returns how many records have gathered that aren't durable.
    fn gathered(&self) -> u32 {
        let gathered = self.next.previous().since(self.durable);
        u32::try_from(gathered).expect("FRAME_LEN_MAX and Records::BYTES_MAX bound them")
    }

    /// Writes the records that have gathered as one frame, and completes their entries.
    async fn write_frame(&mut self) {
        if self.waiting.is_empty() {
            return;
        }

        let count = self.gathered();
        let written = if count == 0 {
            // Barriers alone: the records before them are durable.
            Ok(self.progress.durable())
        } else {
            self.append(self.header(count, 0, false)).await
        };
        self.finish(written);
    }

    /// Writes an entry that is larger than a frame as a chain of frames.
    async fn write_chain(&mut self, entry: Entry) {
        if self.failed() {
            return complete(entry.done, Err(CommitError::Unavailable));
        }

        let Entry { records, done } = entry;
        assert!(self.waiting.is_empty(), "an entry of several frames shares none of them");
        let mut chunk: u16 = 0;
        let mut parts = records.bytes().chunks(PAYLOAD_LEN_MAX).peekable();
        let mut written = Ok(self.progress.durable());
        while let Some(part) = parts.next() {
            let more = parts.peek().is_some();
            frame::begin(&mut self.frame);
            self.frame.extend_from_slice(part);
            let chunks = self.frame.len().div_ceil(CHUNK_LEN);

            written = self.append(self.header(if more { 0 } else { records.count() }, chunk, more)).await;
            if written.is_err() {
                break;
            }
            chunk += u16::try_from(chunks).expect("FRAME_LEN_MAX bounds a frame's chunks");
        }

        self.wait(done, records.count());
        self.finish(written);
    }

    fn header(&self, count: u32, chunk: u16, more: bool) -> Header {
        let (log_id, epoch, first) = (self.log_id, self.epoch, self.durable.next());
        Header { more, log_id, epoch, first, chunk, count, life: false }
    }

    /// Seals the frame and makes it durable; returns the position of its first record.
    async fn append(&mut self, header: Header) -> Result<Position, StoreError> {
        assert!(!self.failed(), "after an error nothing is written any more");
        frame::seal(&mut self.frame, &header);
        debug_assert!(frame::open(&self.frame, CODEC) == Ok(header), "a frame reads back as it was sealed");
        let sealed = Sealed { header: &header, bytes: &self.frame };
        let Appended { position, wrote, synced } = self.lane.append(sealed).await?;

        self.stats.frames += 1;
        self.stats.bytes += u64::try_from(self.frame.len()).unwrap_or(u64::MAX);
        self.stats.write_us += micros(wrote);
        self.stats.sync_us += micros(synced);
        Ok(position)
    }

    /// Tells everyone in the frame how it went, and begins the next frame. `written` is where its first record stands.
    fn finish(&mut self, written: Result<Position, StoreError>) {
        frame::begin(&mut self.frame);
        let first = match written {
            Ok(first) => first,
            Err(error) => {
                self.progress.fail("write", &error);
                // Who was deposed knows that the frame isn't there.
                let deposed = matches!(error, StoreError::Deposed { .. });
                let outcome = if deposed { CommitError::Unavailable } else { CommitError::OutcomeUnknown };
                for waiting in self.waiting.drain(..) {
                    complete(waiting.done, Err(outcome));
                }
                return;
            }
        };

        let count = self.gathered();
        let waiting: u32 = self.waiting.iter().map(|waiting| waiting.count).sum();
        assert!(count == waiting, "every record in a frame is somebody's");
        self.stats.entries = self.waiting.len();
        self.stats.records = u64::from(count);
        if self.stats.frames > 0 {
            self.progress.count_commit(&self.stats);
            (self.observer)(&self.stats);
        }
        self.stats = CommitStats::default();

        let before = self.progress.durable();
        if count > 0 {
            let last = first.plus(count - 1);
            assert!(before < first, "a lane's positions grow");
            self.durable = self.next.previous();
            self.progress.advance(last, u64::from(count));
        }

        // The position moves before the replies: a caller who has one finds its records in the log.
        for Waiting { done, before: index, count } in self.waiting.drain(..) {
            let committed = match (index, count) {
                (0, 0) => Committed { first: before, last: before },
                (_, 0) => Committed { first: first.plus(index - 1), last: first.plus(index - 1) },
                (_, _) => Committed { first: first.plus(index), last: first.plus(index + count - 1) },
            };
            debug_assert!(committed.last <= self.progress.durable(), "a reply names what is durable");
            complete(done, Ok(committed));
        }
    }

    fn failed(&self) -> bool {
        self.progress.failure.get().is_some()
    }

    /// Begins the next generation.
    async fn rotate(&mut self) -> Result<Rotated, CommitError> {
        if self.failed() {
            return Err(CommitError::Unavailable);
        }
        self.lane.rotate(self.next).await.map_err(|error| {
            self.progress.fail("begin a generation", &error);
            CommitError::OutcomeUnknown
        })
    }

    /// Tells the lane how far the log is.
    async fn tick(&mut self) {
        if !self.failed()
            && let Err(error) = self.lane.tick(self.durable).await
        {
            self.progress.fail("write the mark", &error);
        }
    }

    /// Ends the crossing of the outage: from now on the log says that the engine is alive.
    async fn bridged(&mut self) -> Result<(), CommitError> {
        if self.failed() {
            return Err(CommitError::Unavailable);
        }
        self.lane.bridged(self.durable).await.map_err(|error| {
            self.progress.fail("write the mark", &error);
            CommitError::Unavailable
        })
    }

    /// Works through the messages in order; returns the replies of those that want the journal closed.
    async fn handle(&mut self, messages: &mut Vec<Message>, entries: &mut Vec<Entry>) -> Vec<CloseReply> {
        let mut closing = Vec::new();
        for message in messages.drain(..) {
            match message {
                Message::Entry(entry) => entries.push(entry),
                Message::Rotate(reply) => {
                    self.commit(entries).await;
                    // The caller may have gone; the rotation stands.
                    let _ = reply.send(self.rotate().await);
                }
                Message::Bridged(reply) => {
                    self.commit(entries).await;
                    let _ = reply.send(self.bridged().await);
                }
                Message::Close(reply) => closing.push(reply),
            }
        }
        self.commit(entries).await;
        closing
    }

    /// Ends this life of the log; returns the last durable position.
    async fn close(self) -> Result<Position, CommitError> {
        if self.failed() {
            self.lane.abandon();
            return Err(CommitError::Unavailable);
        }
        let Self { lane, progress, durable, .. } = self;
        lane.close(durable).await.map_err(|error| {
            progress.fail("close", &error);
            CommitError::Unavailable
        })?;
        Ok(progress.durable())
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
pub(super) async fn run<L: Lane>(
    mut writer: Writer<L>,
    mut queue: mpsc::Receiver<Message>,
    mark_interval: Duration,
) {
    let mut ticks = tokio::time::interval(mark_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut messages = Vec::with_capacity(BATCH_LEN_MAX);
    let mut entries = Vec::with_capacity(BATCH_LEN_MAX);
    let mut closing = Vec::new();
    loop {
        // The mark goes first. Under load the queue is never empty, and the mark would never be written.
        let received = tokio::select! {
            biased;
            _ = ticks.tick() => {
                writer.tick().await;
                if writer.failed() {
                    queue.close();
                }
                continue;
            }
            received = queue.recv_many(&mut messages, BATCH_LEN_MAX) => received,
        };

        // Every sender is gone, or the queue was closed and everything in it is done.
        if received == 0 {
            break;
        }

        // Callers that are running get to join the batch.
        for _ in 0..DRAINS {
            tokio::task::yield_now().await;
            while messages.len() < BATCH_LEN_MAX
                && let Ok(message) = queue.try_recv()
            {
                messages.push(message);
            }
        }

        closing.extend(writer.handle(&mut messages, &mut entries).await);
        if writer.failed() || !closing.is_empty() {
            queue.close();
        }
    }

    if !closing.is_empty() {
        let result = writer.close().await;
        for reply in closing {
            // The callers may have gone; the journal is closed all the same.
            let _ = reply.send(result);
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
