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
pub(crate) fn unix_seconds() -> u64 {
    unix_millis() / 1000
}

/// Reads the wall clock, to compare it with the instants that the server tells.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub(crate) fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The wall clock as it stood once, continued by ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wall {
    /// Milliseconds since 1970 when our clock began.
    began: u64,
}

impl Wall {
    pub(crate) fn of(clock: Clock) -> Self {
        Self { began: unix_millis() - clock.nanos() / 1_000_000 }
    }

    /// Returns an instant of our clock in milliseconds since 1970.
    pub(crate) fn millis(self, nanos: u64) -> i64 {
        i64::try_from(self.began + nanos / 1_000_000).expect("not for 292 million years")
    }

    /// Returns an instant given in milliseconds since 1970 by our clock; its beginning, if it is earlier.
    pub(crate) fn nanos(self, millis: u64) -> u64 {
        millis.saturating_sub(self.began) * 1_000_000
    }
}
