//! The only place that reads time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the start of the process: one time line for all connections, so that the
/// book can order what different connections saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn nanos(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Says how long it is until `at`; nothing if it has passed.
    pub(crate) fn until(self, at: u64) -> Duration {
        Duration::from_nanos(at.saturating_sub(self.nanos()))
    }
}

/// Reads the wall clock, for the end of tokens and for names.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
