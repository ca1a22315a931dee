//! How fast the journal grows, from samples at each request for the operations page.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::time::Timestamp;
use crate::journal::Log;

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
    /// Commits of the journal per second: each makes many decisions durable at once.
    commits_per_second: f64,
    /// How long a commit took on average, its write and its sync; null if there was none.
    #[schema(required)]
    commit_millis: Option<f64>,
    /// The measured time, at most a minute: since an earlier request for this page.
    window_millis: u64,
}

/// How far the journal was.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    pub(super) records: u64,
    pub(super) commits: u64,
    pub(super) commit_us: u64,
}

impl Sample {
    /// Takes the journal as it is.
    pub(super) fn of(journal: &Log) -> Self {
        let (commits, commit_us) = journal.commits();
        Self { records: journal.records(), commits, commit_us }
    }
}

/// Where the journal was at earlier requests.
#[derive(Debug, Default)]
pub struct Samples(Mutex<VecDeque<(Timestamp, Sample)>>);

impl Samples {
    /// Adds a sample, and tells how much happened since the oldest that counts.
    pub(super) fn throughput(&self, now: Timestamp, sample: Sample) -> Throughput {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while samples.front().is_some_and(|(at, _)| now.millis_since(*at) > WINDOW_MILLIS) {
            samples.pop_front();
        }
        let (from, before) = samples.front().copied().unwrap_or((now, sample));
        let window_millis = now.millis_since(from);
        // The three are read one after the other, so that one may be a commit ahead of another.
        let since = |of: fn(&Sample) -> u64| of(&sample).saturating_sub(of(&before));
        if samples.back().is_none_or(|(at, _)| now.millis_since(*at) >= SAMPLE_MILLIS) {
            samples.push_back((now, sample));
        }
        let count = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        let per_second = |number| {
            if window_millis == 0 { 0.0 } else { count(number) * 1_000.0 / count(window_millis) }
        };
        let commits = since(|sample| sample.commits);
        let commit_millis = count(since(|sample| sample.commit_us)) / 1_000.0 / count(commits);
        Throughput {
            events_per_second: per_second(since(|sample| sample.records)),
            commits_per_second: per_second(commits),
            commit_millis: (commits > 0).then_some(commit_millis),
            window_millis,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_is_what_happened_since_the_oldest_look_within_a_minute() {
        let samples = Samples::default();
        let look = |millis, records| {
            let sample = Sample { records, commits: records / 10, commit_us: records * 200 };
            let throughput = samples.throughput(Timestamp::from_millis(millis), sample);
            assert_eq!(
                format!("{}", throughput.commits_per_second * 10.0),
                format!("{}", throughput.events_per_second)
            );
            let is_any = throughput.commits_per_second > 0.0;
            assert_eq!(throughput.commit_millis, is_any.then_some(2.0));
            (throughput.events_per_second, throughput.window_millis)
        };
        assert_eq!(look(1_000_000, 100), (0.0, 0));
        assert_eq!(look(1_002_000, 300), (100.0, 2_000));
        assert_eq!(look(1_061_000, 300), (0.0, 59_000));
        assert_eq!(look(2_000_000, 400), (0.0, 0));
    }
}
