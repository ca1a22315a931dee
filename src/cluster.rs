//! Who is in a cluster, and who serves: what those who find it out tell those who route by it.
//!
//! Several processes share one log (`journal`), and one of them has it. The others are there to take it over, and hand every request to
//! the one that has it.

use core::fmt;
use core::ops::Add;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

/// A moment of this machine's clock that nobody sets: what leases are measured by.
///
/// On Linux it goes on while the machine is suspended, so that a lease that ran out meanwhile is over when the machine goes on. Of a
/// virtual machine that is paused from outside it knows as little as any clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// Returns the present moment.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).expect("a machine isn't started in the future");
        Self(Duration::new(seconds, u32::try_from(time.tv_nsec).expect("nanoseconds are less than a second")))
    }

    /// Returns the present moment, of a clock that stands still while the machine is suspended.
    #[cfg(not(target_os = "linux"))]
    #[must_use]
    pub fn now() -> Self {
        static ORIGIN: std::sync::LazyLock<tokio::time::Instant> =
            std::sync::LazyLock::new(tokio::time::Instant::now);
        Self(ORIGIN.elapsed())
    }

    /// Returns how long it is since an earlier moment; nothing since a later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Makes a moment of a model's time.
    #[cfg(test)]
    pub(crate) const fn of_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }
}

/// Asks this process to hand over what it has, and to end. Clones ask the same one.
#[derive(Clone, Debug, Default)]
pub struct Drain(CancellationToken);

impl Drain {
    /// Makes one that ends the process by its shutdown.
    #[must_use]
    pub const fn by(shutdown: CancellationToken) -> Self {
        Self(shutdown)
    }

    /// Asks for it; the process then does what it does at SIGTERM.
    pub fn ask(&self) {
        self.0.cancel();
    }

    /// Tells whether it was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// A node's record, as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub node: String,
    /// Where other nodes reach its API, such as `http://10.0.0.1:8080`, without a slash at its end.
    pub address: String,
    /// The version of its program.
    pub version: String,
    /// Tells two processes of one name apart.
    pub boot: u128,
    /// Whether it renews its lease.
    pub is_alive: bool,
    /// Whether it hands over what it has, and takes nothing.
    pub is_draining: bool,
}

/// Who has the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nobody whose lease counts: it is being taken over.
    Nobody,
    /// This process, and it serves.
    Me,
    /// Another one, at this address.
    Peer {
        /// Its name.
        node: String,
        /// See [`Member::address`].
        address: String,
    },
}

/// The cluster as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// This node's name.
    pub me: String,
    /// Who has the log.
    pub owner: Owner,
    /// The log's life that the owner began; 0 where none is known.
    pub epoch: u64,
    /// Every node that is known, by name. This one is among them.
    pub members: Vec<Member>,
}

/// Until when this process may answer from its state: as long as nobody else can have acknowledged a change that it lacks.
///
/// A clone shows the same. The moment only grows, until [`Reads::end`].
#[derive(Clone)]
pub struct Reads(Arc<Inner>);

struct Inner {
    /// A [`Moment`] in nanoseconds; 0 where nothing may be read.
    until: AtomicU64,
}

/// Says "for good", as for a process whose log nobody else can have.
const FOR_GOOD: u64 = u64::MAX;
/// Says that they ended. It is above every instant, so that nothing brings reads back.
const ENDED: u64 = FOR_GOOD - 1;
/// The last instant that is one.
const LAST: u64 = ENDED - 1;

impl Reads {
    /// Makes one that never ends.
    #[must_use]
    pub fn for_good() -> Self {
        Self(Arc::new(Inner { until: AtomicU64::new(FOR_GOOD) }))
    }

    /// Makes one that has not begun.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::new(Inner { until: AtomicU64::new(0) }))
    }

    /// Lets reads go on until a moment, unless they ended for good or go on for longer.
    pub fn extend(&self, until: Moment) {
        self.0.until.fetch_max(nanos(until.0), Ordering::Relaxed);
    }

    /// Ends them for good.
    pub fn end(&self) {
        self.0.until.store(ENDED, Ordering::Relaxed);
    }

    /// Tells whether what was read until now may be answered, or may be answered `grace` after it had to end.
    #[must_use]
    pub fn may_answer(&self, grace: Duration) -> bool {
        match self.0.until.load(Ordering::Relaxed) {
            FOR_GOOD => true,
            ENDED => false,
            until => nanos(Moment::now().0) < until.saturating_add(nanos(grace)),
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).map_or(LAST, |nanos| nanos.min(LAST))
}

impl fmt::Debug for Reads {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reads").field("may_answer", &self.may_answer(Duration::ZERO)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_on_until_an_instant_and_end_for_good() {
        let reads = Reads::none();
        assert!(!reads.may_answer(Duration::ZERO));
        reads.extend(Moment::now() + Duration::from_hours(1));
        assert!(reads.may_answer(Duration::ZERO));
        reads.extend(Moment::now());
        assert!(reads.may_answer(Duration::ZERO), "an earlier instant takes nothing away");
        reads.clone().end();
        reads.extend(Moment::now() + Duration::from_hours(1));
        assert!(!reads.may_answer(Duration::from_hours(2)), "nothing brings them back");
        assert!(Reads::for_good().may_answer(Duration::ZERO));
    }

    #[test]
    fn what_is_shown_may_go_on_for_a_grace() {
        let reads = Reads::none();
        reads.extend(Moment::now());
        assert!(!reads.may_answer(Duration::ZERO));
        assert!(reads.may_answer(Duration::from_hours(1)));
    }
}
