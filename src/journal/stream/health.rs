//! How a log is doing, for probes and metrics: the lane of a replicated log writes it, and anyone reads it.
//!
//! Absent on purpose: decisions. What is said here may be over in a moment; the writer asks on, whatever it says.

use core::time::Duration;
use std::sync::Arc;
#[cfg(feature = "cluster")]
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
#[cfg(feature = "cluster")]
use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(feature = "cluster")]
use tokio::time::Instant;

/// How a log is doing.
#[derive(Clone, Debug)]
pub struct LogHealth {
    /// Whether what keeps it can be reached.
    pub is_connected: bool,
    /// How many answers to appends didn't say what had become of them, in this life, so that they were asked for again.
    pub unknown_answers: u64,
    /// How long it hasn't been known what becomes of the append that is under way.
    pub unknown_for: Duration,
    /// Whether how far the log was seen can be kept in the data directory.
    pub is_seen_kept: bool,
    /// What its servers have lost of what was acknowledged, as far as they say.
    pub lost: Option<Arc<str>>,
}

impl Default for LogHealth {
    /// That of a log on this machine's disk, which works or has failed.
    fn default() -> Self {
        Self {
            is_connected: true,
            unknown_answers: 0,
            unknown_for: Duration::ZERO,
            is_seen_kept: true,
            lost: None,
        }
    }
}

/// What the lane notes. Clones share it.
#[cfg(feature = "cluster")]
#[derive(Clone, Default)]
pub(in crate::journal) struct Vitals(Arc<Noted>);

#[cfg(feature = "cluster")]
#[derive(Default)]
struct Noted {
    unknown_answers: AtomicU64,
    unknown_since: Mutex<Option<Instant>>,
    is_blind: AtomicBool,
    lost: Mutex<Option<Arc<str>>>,
}

#[cfg(feature = "cluster")]
fn held<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(feature = "cluster")]
impl Vitals {
    /// Notes that nothing is known of an append that was first sent at `since`.
    pub(in crate::journal) fn unknown(&self, since: Instant) {
        self.0.unknown_answers.fetch_add(1, Ordering::Relaxed);
        *held(&self.0.unknown_since) = Some(since);
    }

    /// Notes that the outcome of the append is known, and with it that the log is what it was.
    pub(in crate::journal) fn known(&self) {
        *held(&self.0.unknown_since) = None;
        self.lost(None);
    }

    /// Notes whether how far the log was seen can't be kept; tells whether that is news.
    pub(in crate::journal) fn blind(&self, is_blind: bool) -> bool {
        self.0.is_blind.swap(is_blind, Ordering::Relaxed) != is_blind
    }

    /// Notes what the servers have lost, or that they have all again.
    pub(in crate::journal) fn lost(&self, what: Option<String>) {
        let mut lost = held(&self.0.lost);
        match (&what, &*lost) {
            (Some(what), None) => tracing::error!(
                %what,
                "the log's servers have lost what was acknowledged: stop this process, look for their newest data, and start again"
            ),
            (None, Some(_)) => tracing::warn!("the log's servers have again what they had lost"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        *lost = what.map(Arc::from);
    }

    /// Shows it all; who has the connection says whether there is one.
    pub(in crate::journal) fn show(&self, is_connected: bool) -> LogHealth {
        LogHealth {
            is_connected,
            unknown_answers: self.0.unknown_answers.load(Ordering::Relaxed),
            unknown_for: held(&self.0.unknown_since).map_or(Duration::ZERO, |since| since.elapsed()),
            is_seen_kept: !self.0.is_blind.load(Ordering::Relaxed),
            lost: held(&self.0.lost).clone(),
        }
    }
}
