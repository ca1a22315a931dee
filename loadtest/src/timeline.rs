//! How an open loop went over time: slices of a round, each with the latencies of those who were meant to come in it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;

use crate::round::{histogram, record};

/// How many slices a round has.
pub(crate) const SLICES: usize = 60;

/// A slice of a round.
#[derive(Clone)]
pub(crate) struct Slice {
    /// Microseconds of the requests whose intended instants are in it.
    pub(crate) latency: Histogram<u64>,
    /// How many requests ended in it.
    pub(crate) ended: u64,
}

/// The slices of a round while it runs. All connections write to the same ones: a histogram for each connection and slice would need gigabytes.
pub(crate) struct Timeline {
    from: u64,
    width: u64,
    slices: Vec<Mutex<Slice>>,
}

impl Timeline {
    /// Divides a span of the clock, in nanoseconds.
    pub(crate) fn new(from: u64, until: u64) -> Self {
        let width = ((until - from) / u64::try_from(SLICES).expect("small")).max(1);
        let slice = || Mutex::new(Slice { latency: histogram(), ended: 0 });
        Self { from, width, slices: std::iter::repeat_with(slice).take(SLICES).collect() }
    }

    /// The slice of an instant; nothing outside the span.
    fn slice(&self, at: u64) -> Option<MutexGuard<'_, Slice>> {
        let number = usize::try_from(at.checked_sub(self.from)? / self.width).ok()?;
        self.slices.get(number).map(|slice| slice.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes a request that ended.
    pub(crate) fn note(&self, intended: u64, ended: u64) {
        if let Some(mut slice) = self.slice(intended) {
            record(&mut slice.latency, ended.saturating_sub(intended));
        }
        if let Some(mut slice) = self.slice(ended) {
            slice.ended += 1;
        }
    }

    /// Returns the slices as they are.
    pub(crate) fn slices(&self) -> Vec<Slice> {
        self.slices.iter().map(|slice| slice.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_belongs_to_when_it_was_meant_to_be_and_an_end_to_when_it_was() {
        let timeline = Timeline::new(1000, 1000 + 60_000_000);
        timeline.note(1000, 1000 + 2_500_000);
        timeline.note(1000 + 59_999_999, 1000 + 60_000_000);
        timeline.note(999, 1000);
        let slices = timeline.slices();
        let seen: Vec<_> = slices.iter().map(|slice| (slice.latency.len(), slice.ended)).collect();
        let mut expected = vec![(0, 0); SLICES];
        (expected[0], expected[2], expected[59]) = ((1, 1), (0, 1), (1, 0));
        assert_eq!(seen, expected);
        assert!((2500..2510).contains(&slices[0].latency.max()), "within the histogram's three digits");
    }
}
