//! How a log is doing, for probes and metrics: the lane of a replicated log writes it, and anyone reads it.
//!
//! Absent on purpose: decisions about the log. What is said here may be over in a moment; the writer asks on, whatever it says.

use core::time::Duration;
use std::sync::Arc;
#[cfg(feature = "cluster")]
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
#[cfg(feature = "cluster")]
use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(feature = "cluster")]
use tokio::sync::watch;
#[cfg(feature = "cluster")]
use tokio::time::Instant;

/// How long what keeps a log may say nothing of use before the process takes no more work: longer than an election of its servers, which
/// took up to 8.2 seconds, so that no election takes a sale off its balancer.
const SILENT_MAX: Duration = Duration::from_secs(10);

/// How a log is doing.
#[derive(Clone, Debug)]
pub struct LogHealth {
    /// Whether what keeps it can be reached.
    pub is_connected: bool,
    /// How many answers to appends didn't say what had become of them, in this life, so that they were asked for again.
    pub unknown_answers: u64,
    /// How long it hasn't been known what becomes of the append that is under way.
    pub unknown_for: Duration,
    /// How long no question has been answered, or nothing could be written, though nothing is under way.
    pub silent_for: Duration,
    /// Whether how far the log was seen can be kept in the data directory.
    pub is_seen_kept: bool,
    /// Whether its snapshots, or messages that they may rest on, were lost, and no new one has been taken since.
    pub is_without_snapshots: bool,
    /// What its servers have lost of what was acknowledged, as far as they say.
    pub lost: Option<Arc<str>>,
}

impl LogHealth {
    /// Tells whether what keeps it has said nothing of use for longer than an election takes.
    pub fn is_silent(&self) -> bool {
        self.unknown_for.max(self.silent_for) >= SILENT_MAX
    }
}

impl Default for LogHealth {
    /// That of a log on this machine's disk, which works or has failed.
    fn default() -> Self {
        Self {
            is_connected: true,
            unknown_answers: 0,
            unknown_for: Duration::ZERO,
            silent_for: Duration::ZERO,
            is_seen_kept: true,
            is_without_snapshots: false,
            lost: None,
        }
    }
}

/// What the lane notes. Clones share it.
#[cfg(feature = "cluster")]
#[derive(Clone)]
pub(in crate::journal) struct Vitals(Arc<Noted>);

#[cfg(feature = "cluster")]
struct Noted {
    unknown_answers: AtomicU64,
    unknown_since: Mutex<Option<Instant>>,
    silent_since: Mutex<Option<Instant>>,
    is_blind: AtomicBool,
    lost: Mutex<Option<Arc<str>>>,
    is_without_snapshots: watch::Sender<bool>,
    /// The sequence of this life's last message.
    last: AtomicU64,
    /// The sequence of the first message that has to be there; 0 where nobody knows.
    oldest: AtomicU64,
}

#[cfg(feature = "cluster")]
impl Default for Vitals {
    fn default() -> Self {
        Self(Arc::new(Noted {
            unknown_answers: AtomicU64::new(0),
            unknown_since: Mutex::default(),
            silent_since: Mutex::default(),
            is_blind: AtomicBool::new(false),
            lost: Mutex::default(),
            is_without_snapshots: watch::Sender::new(false),
            last: AtomicU64::new(0),
            oldest: AtomicU64::new(0),
        }))
    }
}

#[cfg(feature = "cluster")]
fn held<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(feature = "cluster")]
fn long(since: &Mutex<Option<Instant>>) -> Duration {
    held(since).map_or(Duration::ZERO, |since| since.elapsed())
}

#[cfg(feature = "cluster")]
impl Vitals {
    /// Notes that nothing is known of an append that was first sent at `since`.
    pub(in crate::journal) fn unknown(&self, since: Instant) {
        self.0.unknown_answers.fetch_add(1, Ordering::Relaxed);
        *held(&self.0.unknown_since) = Some(since);
    }

    /// Notes that the outcome of the append is known; its last message is the log's.
    pub(in crate::journal) fn known(&self, last: u64) {
        *held(&self.0.unknown_since) = None;
        self.0.last.store(last, Ordering::Release);
        self.hear(true);
    }

    /// Notes whether questions are answered, and what is to be written can be.
    pub(in crate::journal) fn hear(&self, is_heard: bool) {
        let mut since = held(&self.0.silent_since);
        if is_heard {
            *since = None;
        } else {
            since.get_or_insert_with(Instant::now);
        }
    }

    /// Notes whether how far the log was seen can't be kept; tells whether that is news.
    pub(in crate::journal) fn blind(&self, is_blind: bool) -> bool {
        self.0.is_blind.swap(is_blind, Ordering::Relaxed) != is_blind
    }

    /// Notes what the servers have lost, or that they have all again.
    pub(in crate::journal) fn lose(&self, what: Option<String>) {
        let mut lost = held(&self.0.lost);
        match (&what, &*lost) {
            (Some(what), None) => tracing::error!(
                %what,
                "the log's servers have lost what was acknowledged: nothing is appended until they have it again; stop this process, \
                 look for their newest data, and start again"
            ),
            (None, Some(_)) => tracing::warn!("the log's servers have again what they had lost"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        *lost = what.map(Arc::from);
    }

    /// Tells whether the servers have lost something.
    pub(in crate::journal) fn is_lost(&self) -> bool {
        held(&self.0.lost).is_some()
    }

    /// Notes whether the log's snapshots are lost.
    pub(in crate::journal) fn lose_snapshots(&self, are_lost: bool) {
        self.0.is_without_snapshots.send_if_modified(|before| {
            let is_news = *before != are_lost;
            if is_news && are_lost {
                tracing::error!("the log's snapshots were lost: a new one is taken at once, since the next start may need it");
            } else if is_news {
                tracing::warn!("the log has a snapshot again");
            }
            *before = are_lost;
            is_news
        });
    }

    /// Notes that somebody else has deleted the log's messages before one. A snapshot may rest on them, so that a new one is due.
    pub(in crate::journal) fn cut(&self, first: u64) {
        let before = self.0.oldest.swap(first, Ordering::AcqRel);
        tracing::error!(
            from = before,
            to = first,
            "the log's messages before this one were deleted, and not by this process: what they told of is gone from history and the \
             feed; a snapshot is taken at once, so that the next start doesn't need them"
        );
        self.0.is_without_snapshots.send_replace(true);
    }

    /// Follows whether the log's snapshots are lost.
    pub(in crate::journal) fn snapshots_lost(&self) -> watch::Receiver<bool> {
        self.0.is_without_snapshots.subscribe()
    }

    /// Returns the sequence of this life's last message.
    pub(in crate::journal) fn last(&self) -> u64 {
        self.0.last.load(Ordering::Acquire)
    }

    /// Returns the sequence of the first message that has to be there; 0 where nobody knows.
    pub(in crate::journal) fn oldest(&self) -> u64 {
        self.0.oldest.load(Ordering::Acquire)
    }

    /// Notes which is the first message that has to be there. Said before those before it are deleted.
    pub(in crate::journal) fn keep_from(&self, oldest: u64) {
        self.0.oldest.store(oldest, Ordering::Release);
    }

    /// Shows it all; who has the connection says whether there is one.
    pub(in crate::journal) fn show(&self, is_connected: bool) -> LogHealth {
        LogHealth {
            is_connected,
            unknown_answers: self.0.unknown_answers.load(Ordering::Relaxed),
            unknown_for: long(&self.0.unknown_since),
            silent_for: long(&self.0.silent_since),
            is_seen_kept: !self.0.is_blind.load(Ordering::Relaxed),
            is_without_snapshots: *self.0.is_without_snapshots.borrow(),
            lost: held(&self.0.lost).clone(),
        }
    }
}
