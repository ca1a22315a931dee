//! The journal's settings, and the engine's part in it: a clock and an observer.

use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::Arc;

use super::stream::StreamConfig;

/// Says how long history is kept beyond the needs of the two newest snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retain {
    /// No longer than the two newest verified snapshots need it.
    Snapshot,
    /// At least this long.
    For(Duration),
    /// Everything.
    Forever,
}

/// The version of the records' encoding, in every frame and snapshot and in the log's identity, beside the version of each
/// file's own layout. The records' own module checks that it means the same by it.
pub const CODEC: u8 = 1;
/// The version before it, which is read to be migrated, and never written.
pub const CODEC_V1: u8 = 0;

/// Says what runs the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// A task. It keeps its worker while it writes and syncs, which wakes nobody, as long as the disk is quick; once a
    /// commit was slow, it hands its worker's other tasks over (`block_in_place`) during the next.
    Task,
    /// A thread of its own.
    Thread,
    /// A task, on a runtime of one thread; all other work that blocks runs there, too. So a simulation does the same each time.
    Alone,
}

impl Driver {
    /// Runs work that blocks: off the async threads, but for [`Driver::Alone`].
    ///
    /// # Errors
    /// When it panicked.
    pub(crate) async fn run_blocking<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, WorkPanicked> {
        match self {
            Self::Task | Self::Thread => tokio::task::spawn_blocking(work).await.map_err(|_| WorkPanicked),
            Self::Alone => catch_unwind(AssertUnwindSafe(work)).map_err(|_| WorkPanicked),
        }
    }
}

/// Says that work which blocks has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WorkPanicked;

/// Holds the journal's settings.
#[derive(Clone, Debug)]
pub struct JournalConfig {
    /// The data directory; created when missing.
    pub dir: PathBuf,
    /// How long history is kept. Default: 7 days.
    pub retain: Retain,
    /// How many entries may wait for the writer; callers wait beyond it. Default: 16,384.
    pub queue_len_max: usize,
    /// The size of the reserve file in bytes; 0 is none. Default: 64 MiB.
    pub reserve_bytes: u64,
    /// How often the high-water mark is rewritten while positions move. Default: 100 ms. It bounds what a damaged tail can
    /// take without being noticed as a loss.
    pub mark_interval: Duration,
    /// How often the mark is rewritten while they do not, so that its instant stays fresh. Default: 1 s.
    pub idle_mark_interval: Duration,
    /// What runs the writer. Default: [`Driver::Task`].
    pub driver: Driver,
    /// Where the log is, if not in `dir`: on a replicated log. Default: in `dir`.
    pub stream: Option<StreamConfig>,
}

impl JournalConfig {
    /// Makes the default settings for a data directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            retain: Retain::For(Duration::from_hours(7 * 24)),
            queue_len_max: 16_384,
            reserve_bytes: 64 << 20,
            mark_interval: Duration::from_millis(100),
            idle_mark_interval: Duration::from_secs(1),
            driver: Driver::Task,
            stream: None,
        }
    }
}

/// Describes one commit, for the caller's metrics: a frame, or the frames of one large entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitStats {
    /// Entries made durable, barriers included.
    pub entries: usize,
    /// Records made durable.
    pub records: u64,
    /// Bytes of frames, headers included.
    pub bytes: u64,
    /// Frames, each synced once.
    pub frames: u32,
    /// Time spent handing bytes to the store, in µs.
    pub write_us: u64,
    /// Time spent syncing, in µs.
    pub sync_us: u64,
}

/// Reads the engine's clock, in milliseconds.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;
/// Sees every commit that succeeded, before its completions run.
pub type Observer = Arc<dyn Fn(&CommitStats) + Send + Sync>;

/// What the engine hands to a journal that starts.
#[derive(Clone)]
pub struct Hooks {
    /// The engine's clock: its instants stand in the mark and in generations' headers.
    pub clock: Clock,
    /// Sees every commit.
    pub observer: Observer,
}

impl Hooks {
    /// Makes hooks that only read a clock.
    pub fn with_clock(clock: Clock) -> Self {
        Self { clock, observer: Arc::new(|_| {}) }
    }
}
