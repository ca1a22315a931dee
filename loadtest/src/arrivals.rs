//! When requests of an open loop are meant to be sent, whatever the server does.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::sync::Semaphore;

use crate::clock::Clock;

/// How often the scheduler of an open loop looks for due arrivals. Its delay counts as latency, so
/// it is short.
const PAUSE: Duration = Duration::from_micros(100);
/// The parts of the time that a spike is divided into.
const SPIKE_PARTS: u64 = 10;

/// How arrivals are spread over the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Pattern {
    /// Evenly.
    #[default]
    Constant,
    /// Each at an instant of its own, independent of the others: bursts and gaps as in a crowd of strangers.
    Poisson,
    /// A sale opens: half of all in the first tenth of the time, half of the rest in the next, and so on.
    Spike,
}

impl Pattern {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Poisson => "Poisson",
            Self::Spike => "spike",
        }
    }

    /// Returns the instants of so many arrivals, in nanoseconds from the beginning, in order. The same seed gives the same.
    pub(crate) fn offsets(self, total: u64, time: Duration, seed: u64) -> Vec<u64> {
        let time = u64::try_from(time.as_nanos()).expect("a round is seconds");
        let mut random = seed;
        let mut within = |from: u64, len: u64| from + part(len, next(&mut random));
        let mut offsets: Vec<u64> = match self {
            Self::Constant => (0..total).map(|number| at(number, total, time)).collect(),
            Self::Poisson => (0..total).map(|_| within(0, time)).collect(),
            Self::Spike => {
                let len = time / SPIKE_PARTS;
                (0..total).map(|number| within(spike_part(number, total) * len, len)).collect()
            }
        };
        // Independent uniform instants, in order, are a Poisson process of which the number is known.
        offsets.sort_unstable();
        offsets
    }
}

/// Returns `number / total` of a time.
fn at(number: u64, total: u64, time: u64) -> u64 {
    let at = u128::from(number) * u128::from(time) / u128::from(total);
    u64::try_from(at).expect("within the time")
}

/// Returns `random / 2^64` of a length.
fn part(len: u64, random: u64) -> u64 {
    u64::try_from((u128::from(len) * u128::from(random)) >> 64).expect("within the length")
}

/// Says in which part of a spike an arrival comes: the first half of all in part 0.
fn spike_part(number: u64, total: u64) -> u64 {
    let left = (total / (total - number)).max(1).ilog2();
    u64::from(left).min(SPIKE_PARTS - 1)
}

/// `SplitMix64` (Steele, Lea and Flood, 2014).
pub(crate) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The arrivals of an open loop.
pub(crate) struct Arrivals {
    from: u64,
    offsets: Vec<u64>,
    next: AtomicU64,
    /// A permit for each arrival that is due and not taken.
    due: Semaphore,
}

impl Arrivals {
    /// Makes them, at these offsets from an instant of the clock; there is at least one.
    pub(crate) fn new(from: u64, offsets: Vec<u64>) -> Self {
        assert!(!offsets.is_empty(), "arrivals without one");
        Self { from, offsets, next: AtomicU64::new(0), due: Semaphore::new(0) }
    }

    /// Counts the arrivals that have their intended instants at or before `now`.
    fn due_by(&self, now: u64) -> usize {
        now.checked_sub(self.from).map_or(0, |passed| self.offsets.partition_point(|&at| at <= passed))
    }

    /// Waits for an arrival and returns its intended instant; nothing after the last.
    pub(crate) async fn take(&self) -> Option<u64> {
        self.due.acquire().await.ok()?.forget();
        let number = usize::try_from(self.next.fetch_add(1, Ordering::Relaxed)).ok()?;
        if number + 1 == self.offsets.len() {
            self.due.close();
        }
        self.offsets.get(number).map(|offset| self.from + offset)
    }

    /// Makes arrivals due at their instants. A thread of its own, since tokio's timers are of
    /// whole milliseconds.
    pub(crate) fn run(&self, clock: Clock) {
        let mut given = 0;
        while given < self.offsets.len() && !self.due.is_closed() {
            let due = self.due_by(clock.nanos());
            self.due.add_permits(due - given);
            given = due;
            std::thread::sleep(PAUSE);
        }
    }

    /// Ends it, and returns the intended instants of those that nobody took.
    pub(crate) fn end(&self) -> impl Iterator<Item = u64> {
        self.due.close();
        let taken = usize::try_from(self.next.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        self.offsets.iter().skip(taken).map(|offset| self.from + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_arrival_is_due_at_its_intended_instant_and_not_before() {
        let arrivals = Arrivals::new(1000, Pattern::Constant.offsets(3, SECOND, 0));
        assert_eq!(arrivals.due_by(999), 0);
        for (number, intended) in [1000, 333_334_333, 666_667_666].into_iter().enumerate() {
            assert_eq!(arrivals.due_by(intended - 1), number);
            assert_eq!(arrivals.due_by(intended), number + 1);
        }
    }

    #[tokio::test]
    async fn arrivals_keep_their_intended_instants_however_late_they_are_taken() {
        let arrivals = Arrivals::new(1000, Pattern::Constant.offsets(4, SECOND, 0));
        arrivals.due.add_permits(3);
        let mut intended = Vec::new();
        for _ in 0..3 {
            intended.push(arrivals.take().await.unwrap());
        }
        assert_eq!(intended, [1000, 250_001_000, 500_001_000]);
        assert_eq!(arrivals.end().collect::<Vec<_>>(), [750_001_000]);
        assert_eq!(arrivals.take().await, None);
    }

    #[tokio::test]
    async fn there_is_nothing_after_the_last_arrival() {
        let arrivals = Arrivals::new(0, vec![5]);
        arrivals.due.add_permits(1);
        assert_eq!((arrivals.take().await, arrivals.take().await), (Some(5), None));
    }

    #[test]
    fn random_arrivals_are_in_order_within_the_time_and_spread_as_they_should_be() {
        let offsets = Pattern::Poisson.offsets(100_000, SECOND, 7);
        assert!(offsets.is_sorted() && *offsets.last().unwrap() < 1_000_000_000);
        assert_eq!(offsets, Pattern::Poisson.offsets(100_000, SECOND, 7));
        // Of gaps with the mean m, the part e^-1 is longer than m.
        let longer = offsets.windows(2).filter(|pair| pair[1] - pair[0] > 10_000).count();
        assert!((36_000..37_600).contains(&longer), "{longer}");
    }

    #[test]
    fn half_of_a_spike_comes_in_the_first_tenth_and_half_of_the_rest_in_the_next() {
        let offsets = Pattern::Spike.offsets(4096, SECOND, 7);
        assert!(offsets.is_sorted() && *offsets.last().unwrap() < 1_000_000_000);
        let within = |tenths: u64| offsets.partition_point(|&at| at < tenths * 100_000_000);
        assert_eq!([1, 2, 3, 9].map(within), [2048, 3072, 3584, 4088]);
    }
}
