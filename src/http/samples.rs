//! How fast the journal grows, from samples at each request for the operations page.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::time::Timestamp;

/// The time over which throughput is measured.
const WINDOW_MILLIS: u64 = 60_000;
/// The least time between two samples, which bounds their number.
const SAMPLE_MILLIS: u64 = 500;

/// The rate of events.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Throughput {
    /// Events per second, over `windowMillis`.
    events_per_second: f64,
    /// The measured time, at most a minute: since an earlier request for this page.
    window_millis: u64,
}

/// The records of the journal at earlier requests.
#[derive(Debug, Default)]
pub struct Samples(Mutex<VecDeque<(Timestamp, u64)>>);

impl Samples {
    /// Adds a sample, and tells how much happened since the oldest that counts.
    pub(super) fn throughput(&self, now: Timestamp, records: u64) -> Throughput {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while samples.front().is_some_and(|(at, _)| now.millis_since(*at) > WINDOW_MILLIS) {
            samples.pop_front();
        }
        let (window_millis, events) =
            samples.front().map_or((0, 0), |(at, before)| (now.millis_since(*at), records - before));
        if samples.back().is_none_or(|(at, _)| now.millis_since(*at) >= SAMPLE_MILLIS) {
            samples.push_back((now, records));
        }
        let count = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        let events_per_second =
            if window_millis == 0 { 0.0 } else { count(events) * 1_000.0 / count(window_millis) };
        Throughput { events_per_second, window_millis }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_is_what_happened_since_the_oldest_look_within_a_minute() {
        let samples = Samples::default();
        let look = |millis, records| {
            let throughput = samples.throughput(Timestamp::from_millis(millis), records);
            (throughput.events_per_second, throughput.window_millis)
        };
        assert_eq!(look(1_000_000, 100), (0.0, 0));
        assert_eq!(look(1_002_000, 300), (100.0, 2_000));
        assert_eq!(look(1_061_000, 300), (0.0, 59_000));
        assert_eq!(look(2_000_000, 400), (0.0, 0));
    }
}
