//! The journal as the engine holds it.

use core::fmt;
use core::ops::Deref;
use core::time::Duration;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::config::{Clock, Driver, Retain};
use super::generations::Generations;
use super::keeper::{self, Keeper};
use super::lane::Rotated;
use super::position::Position;
use super::read::{Reader, Runs, for_each};
use super::read_error::ReadError;
use super::records::Records;
use super::room;
use super::snapshot::{Snapshot, SnapshotError, SnapshotHeader, SnapshotWriter};
use super::stream::LogHealth;
use super::writer::{CommitError, Entry, Message, Progress};

/// Appends to the log and reads what is durable in it; clones share one journal.
#[derive(Debug, Clone)]
pub struct Journal(Log);

/// Reads what is durable in the log and follows it: a journal without its pen. Clones share one.
#[derive(Clone)]
pub struct Log {
    queue: mpsc::Sender<Message>,
    shared: Arc<Shared>,
}

struct Shared {
    progress: Arc<Progress>,
    keeper: Arc<dyn Keeper>,
    clock: Clock,
    retain: Retain,
    reserve_bytes: u64,
    driver: Driver,
    log_id: u128,
}

pub(super) struct Parts {
    pub(super) queue: mpsc::Sender<Message>,
    pub(super) progress: Arc<Progress>,
    pub(super) keeper: Arc<dyn Keeper>,
    pub(super) clock: Clock,
    pub(super) retain: Retain,
    pub(super) reserve_bytes: u64,
    pub(super) driver: Driver,
    pub(super) log_id: u128,
}

/// Stands for one place in the writer's queue: its owner can append without waiting.
#[must_use = "a permit that is not used gives its place back"]
pub struct Permit(mpsc::OwnedPermit<Message>);

impl Permit {
    /// Queues an entry; its completion is called once its fate is known.
    pub fn send(self, entry: Entry) {
        drop(self.0.send(Message::Entry(entry)));
    }
}

impl Deref for Journal {
    type Target = Log;

    fn deref(&self) -> &Log {
        &self.0
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Log").field("durable", &self.durable()).finish_non_exhaustive()
    }
}

impl Journal {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { queue, progress, keeper, clock, retain, reserve_bytes, driver, log_id } = parts;
        let shared = Shared { progress, keeper, clock, retain, reserve_bytes, driver, log_id };
        Self(Log { queue, shared: Arc::new(shared) })
    }

    /// Waits for a place in the writer's queue.
    pub async fn reserve(&self) -> Result<Permit, CommitError> {
        self.queue.clone().reserve_owned().await.map(Permit).map_err(|_| CommitError::Unavailable)
    }

    /// Takes a place in the writer's queue if there is one now; `Ok(None)` when it is full.
    pub fn try_reserve(&self) -> Result<Option<Permit>, CommitError> {
        match self.queue.clone().try_reserve_owned() {
            Ok(permit) => Ok(Some(Permit(permit))),
            Err(mpsc::error::TrySendError::Full(_)) => Ok(None),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(CommitError::Unavailable),
        }
    }

    /// Begins a snapshot of a position. Blocks, and so do the writer's methods.
    ///
    /// # Errors
    /// [`SnapshotError::NoRoom`] when it is not expected to fit beside what the journal needs; nothing was written then.
    pub fn begin_snapshot(&self, position: Position, instant: u64) -> Result<SnapshotWriter, SnapshotError> {
        assert!(position <= self.durable(), "a snapshot stands for what is durable");
        let log_id = self.shared.log_id;
        self.shared.keeper.begin_snapshot(SnapshotHeader { log_id, position, instant, sections: 0 })
    }

    /// Says that the entries which were queued before have crossed the outage; see [`Recovering::start_down_since`](super::Recovering::start_down_since).
    ///
    /// When it returns, all of that is durable, and so is the mark that says that the engine is alive.
    pub async fn bridged(&self) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::channel();
        let permit = self.reserve().await?;
        drop(permit.0.send(Message::Bridged(reply)));
        answer.await.map_err(|_| CommitError::OutcomeUnknown)?
    }

    /// Follows a snapshot: begins a new generation where one is worth it, and deletes what is no longer retained.
    ///
    /// A generation costs whoever reads the log some milliseconds to open, however little it holds. So the newest is written on until it
    /// holds 16,384 records or is six hours old; only where nothing behind the snapshot is to be retained, each
    /// snapshot ends one.
    ///
    /// # Errors
    /// As of [`Journal::rotate`].
    pub async fn follow_snapshot(&self) -> Result<(), CommitError> {
        if self.is_rotation_due() {
            self.rotate().await?;
        } else {
            self.delete_old().await;
        }
        Ok(())
    }

    fn is_rotation_due(&self) -> bool {
        let Shared { keeper, retain, clock, .. } = &*self.shared;
        keeper.is_rotation_due(self.durable(), *retain, clock())
    }

    /// Begins a new generation behind everything that was queued before, and then deletes what is no longer retained.
    ///
    /// A deletion that fails is logged and tried again at the next rotation.
    ///
    /// # Errors
    /// When the journal has failed, or fails at this.
    pub async fn rotate(&self) -> Result<Rotated, CommitError> {
        let (reply, answer) = oneshot::channel();
        let permit = self.reserve().await?;
        drop(permit.0.send(Message::Rotate(reply)));
        let rotated = answer.await.map_err(|_| CommitError::OutcomeUnknown)??;

        // A caller that goes away before this leaves old generations, which the next rotation deletes.
        self.delete_old().await;
        Ok(rotated)
    }

    async fn delete_old(&self) {
        let shared = Arc::clone(&self.shared);
        let delete = move || shared.keeper.delete_old(shared.retain, (shared.clock)());
        if self.driver().run_blocking(delete).await.is_err() {
            tracing::error!("deleting old generations panicked");
        }
    }

    /// Writes everything that was queued, the mark and the clean-stop marker, and lets the directory go.
    ///
    /// Returns the last durable position. It waits for every [`Permit`] that is still held; clones of the journal answer
    /// [`CommitError::Unavailable`] from here on.
    pub async fn close(self) -> Result<Position, CommitError> {
        let (reply, answer) = oneshot::channel();
        let permit = self.reserve().await?;
        drop(permit.0.send(Message::Close(reply)));
        drop(self);
        answer.await.map_err(|_| CommitError::Unavailable)?
    }
}

impl Log {
    /// Waits until everything that was queued before is durable, and returns the last durable position then.
    pub async fn barrier(&self) -> Result<Position, CommitError> {
        let before = self.durable();
        let (reply, answer) = oneshot::channel();
        let done = Box::new(move |result| {
            let _ = reply.send(result);
        });
        let entry = Message::Entry(Entry { records: Records::new(), done });
        self.queue.send(entry).await.map_err(|_| CommitError::Unavailable)?;
        // The writer is gone only when the runtime is, and then nobody knows.
        let committed = answer.await.map_err(|_| CommitError::OutcomeUnknown)??;
        assert!(before <= committed.last && committed.last <= self.durable(), "what is durable stays so");
        Ok(committed.last)
    }

    /// Returns the last position that is durable.
    pub fn durable(&self) -> Position {
        self.shared.progress.durable()
    }

    /// Follows the last durable position: never ahead of the sync, maybe ahead of the replies.
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.shared.progress.watch.subscribe()
    }

    /// Waits until the journal is closed.
    pub async fn closed(&self) {
        self.queue.closed().await;
    }

    /// Returns why the journal takes no more entries, if it has failed.
    pub fn failure(&self) -> Option<Arc<str>> {
        self.shared.progress.failure.get().cloned()
    }

    /// Returns what runs the writer, and so all other work that blocks.
    pub(crate) fn driver(&self) -> Driver {
        self.shared.driver
    }

    /// Returns how many records became durable since the journal was opened.
    pub fn records(&self) -> u64 {
        self.shared.progress.records()
    }

    /// Returns how many commits there were since the journal was opened, and how long they took together, in µs.
    pub fn commits(&self) -> (u64, u64) {
        self.shared.progress.commits()
    }

    /// Returns the oldest position that is retained.
    pub fn oldest(&self) -> Position {
        self.shared.keeper.oldest()
    }

    /// Returns the position behind which everything is retained: [`Position::START`] where that is all there ever was.
    pub fn retained_after(&self) -> Position {
        self.shared.keeper.retained_after()
    }

    /// Returns how many bytes others have to leave free on the disk, for the journal's next entries and generation.
    pub fn kept_free(&self) -> u64 {
        room::kept_free(self.shared.reserve_bytes)
    }

    /// Returns the log's random id.
    pub fn log_id(&self) -> u128 {
        self.shared.log_id
    }

    /// Lists the positions of the log's snapshots, newest first; they have not been read. Blocks.
    pub fn snapshots(&self) -> Result<Vec<Position>, SnapshotError> {
        self.shared.keeper.snapshots()
    }

    /// Reads the snapshot at a position, and checks all of it. Blocks.
    pub fn snapshot_at(&self, position: Position) -> Result<Snapshot, SnapshotError> {
        self.shared.keeper.snapshot_at(position)
    }

    /// Reads the newest snapshot that is whole; nothing where there is none. Blocks.
    pub fn newest_snapshot(&self) -> Result<Option<Snapshot>, SnapshotError> {
        keeper::newest_snapshot(&*self.shared.keeper)
    }

    /// Tells whether the log is on this machine's disk.
    pub fn is_local(&self) -> bool {
        self.shared.keeper.on_disk().is_some()
    }

    /// Says how the log is doing, beside [`Log::failure`].
    pub fn health(&self) -> LogHealth {
        self.shared.keeper.health()
    }

    /// Waits until the log's snapshots are lost, so that a new one is needed.
    pub async fn snapshots_lost(&self) {
        if let Some(mut lost) = self.shared.keeper.snapshots_lost()
            && lost.wait_for(|lost| *lost).await.is_ok()
        {
            return;
        }
        core::future::pending::<()>().await;
    }

    /// Waits until what keeps the log has been silent for too long, as [`LogHealth::is_silent`] says.
    pub async fn silent(&self) {
        const LOOK_EVERY: Duration = Duration::from_millis(200);
        while self.failure().is_some() || !self.health().is_silent() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Tells whether another life of the log has begun elsewhere, as far as this one knows.
    pub fn is_deposed(&self) -> bool {
        *self.shared.progress.deposed.borrow()
    }

    /// Waits until another life of the log has begun elsewhere, as far as this one knows: nothing that it says is right any more.
    pub async fn deposed(&self) {
        let mut deposed = self.shared.progress.deposed.subscribe();
        // The writer may be gone by then, and its word stands.
        if deposed.wait_for(|deposed| *deposed).await.is_err() {
            core::future::pending::<()>().await;
        }
    }

    pub(super) fn generations(&self) -> Option<&Arc<Generations>> {
        self.shared.keeper.on_disk()
    }

    /// Reads the engine's clock, in milliseconds.
    pub(super) fn instant(&self) -> u64 {
        (self.shared.clock)()
    }

    /// Walks the durable records behind `after`, up to what is durable now. Blocks while it opens older generations.
    pub fn read(&self, after: Position) -> Reader {
        Reader::new(self.runs(after), after)
    }

    /// Walks runs of durable records behind `after`; the first may begin before it.
    pub fn runs(&self, after: Position) -> Runs {
        self.shared.keeper.runs(after, self.durable())
    }

    /// Shows every durable record behind `after` to `visit`, in order and without copying it.
    pub fn for_each<E: From<ReadError>>(
        &self,
        after: Position,
        visit: impl FnMut(Position, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for_each(self.runs(after), after, visit)
    }
}
