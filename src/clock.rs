//! The only place that reads time.
//!
//! [`SystemClock`] reads the wall once, at start, and runs on the monotonic clock from there: a step
//! of the wall clock changes nothing. Where the journal is ahead of the wall, it continues from the
//! journal's last instant. [`ManualClock`] is for tests and replay: it moves when it is told to.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::domain::time::Timestamp;

/// A source of instants that never run backwards.
pub trait Clock: Send + Sync + 'static {
    /// Returns the present instant.
    fn now(&self) -> Timestamp;

    /// Makes sure that no later instant is before `at`.
    fn advance_to(&self, at: Timestamp);

    /// Returns how long it is until `at`: nothing, once it has passed.
    fn time_until(&self, at: Timestamp) -> Duration {
        Duration::from_millis(at.millis_since(self.now()))
    }
}

/// The wall clock as it stood at start, continued by the monotonic clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    /// Milliseconds since 1970 at `started`; only ever raised.
    wall_at_start: AtomicU64,
}

impl SystemClock {
    /// Reads the wall clock, once.
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn new() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        Self { started: Instant::now(), wall_at_start: AtomicU64::new(wall) }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let start = self.wall_at_start.load(Ordering::Relaxed);
        Timestamp::from_millis(start.saturating_add(self.elapsed()))
    }

    fn advance_to(&self, at: Timestamp) {
        let start = at.as_millis().saturating_sub(self.elapsed());
        self.wall_at_start.fetch_max(start, Ordering::Relaxed);
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Makes a clock that stands at `at`.
    pub fn at(at: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(at.as_millis())))
    }

    /// Moves the clock on.
    pub fn pass_millis(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn advance_to(&self, at: Timestamp) {
        self.0.fetch_max(at.as_millis(), Ordering::SeqCst);
    }
}

/// Measures how long something took, for metrics and logs alone: no decision sees it.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts to measure.
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_behind_the_journal_continues_from_it() {
        let clock = SystemClock::new();
        let ahead = Timestamp::from_millis(clock.now().as_millis() + 3_600_000);
        clock.advance_to(ahead);
        assert!(clock.now() >= ahead);
        clock.advance_to(Timestamp::ZERO);
        assert!(clock.now() >= ahead);
    }
}
