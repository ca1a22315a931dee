//! Time in a simulated world: the true time, which outages pass too, and the engine's clock of one life.
//!
//! Both run on the runtime's paused clock. A life's clock may begin with another wall time than the true one, step forward and
//! stand still; it never runs backwards, as [`onsale::clock::Clock`] promises.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use onsale::clock::Clock;
use onsale::domain::time::Timestamp;
use tokio::time::Instant;

/// The instant at which each world begins.
pub(crate) const BEGIN: u64 = 1_800_000_000_000;

/// The true time, in milliseconds since 1970. It goes on while the engine is down.
#[derive(Debug, Clone)]
pub(crate) struct TrueTime(Arc<TrueTimeParts>);

#[derive(Debug)]
struct TrueTimeParts {
    /// As it stood when the present life began.
    base: AtomicU64,
    /// When that was, on the runtime's clock.
    origin: Mutex<Option<Instant>>,
}

impl TrueTime {
    pub(crate) fn new() -> Self {
        Self(Arc::new(TrueTimeParts { base: AtomicU64::new(BEGIN), origin: Mutex::new(None) }))
    }

    pub(crate) fn now(&self) -> u64 {
        let origin = *self.0.origin.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.base.load(Ordering::Relaxed) + origin.map_or(0, millis_since)
    }

    /// A life begins, on a runtime of its own.
    pub(crate) fn begin(&self) {
        *self.0.origin.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// The life ends. To be called while its runtime still shows its time.
    pub(crate) fn end(&self) {
        let now = self.now();
        *self.0.origin.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.base.store(now, Ordering::Relaxed);
    }

    /// Time passes between two lives.
    pub(crate) fn pass(&self, millis: u64) {
        self.0.base.fetch_add(millis, Ordering::Relaxed);
    }
}

/// The clock of one life of the engine.
#[derive(Debug)]
pub(crate) struct LifeClock {
    origin: Instant,
    /// What it shows at `origin`; only ever raised.
    wall: AtomicU64,
    /// What it showed when it was made to stand, and how much runtime's time it had seen by then.
    stands: Mutex<Option<u64>>,
}

impl LifeClock {
    pub(crate) fn new(wall: u64) -> Self {
        Self { origin: Instant::now(), wall: AtomicU64::new(wall), stands: Mutex::new(None) }
    }

    /// Jumps forward.
    pub(crate) fn step(&self, millis: u64) {
        self.wall.fetch_add(millis, Ordering::Relaxed);
    }

    /// Stands still until [`LifeClock::go_on`].
    pub(crate) fn stand(&self) {
        let now = self.now().as_millis();
        let mut stands = self.stands.lock().unwrap_or_else(PoisonError::into_inner);
        stands.get_or_insert(now);
    }

    /// Goes on from where it stood.
    pub(crate) fn go_on(&self) {
        let mut stands = self.stands.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stood) = stands.take() {
            let elapsed = millis_since(self.origin);
            // A clock that is behind what the runtime counted: it never has to go below zero here.
            self.wall.store(stood.saturating_sub(elapsed), Ordering::Relaxed);
        }
    }
}

impl Clock for LifeClock {
    fn now(&self) -> Timestamp {
        let stood = *self.stands.lock().unwrap_or_else(PoisonError::into_inner);
        let running = self.wall.load(Ordering::Relaxed) + millis_since(self.origin);
        Timestamp::from_millis(stood.unwrap_or(running))
    }

    fn advance_to(&self, at: Timestamp) {
        let wall = at.as_millis().saturating_sub(millis_since(self.origin));
        self.wall.fetch_max(wall, Ordering::Relaxed);
    }
}

fn millis_since(origin: Instant) -> u64 {
    u64::try_from(Instant::now().duration_since(origin).as_millis()).expect("a simulated life is short")
}
