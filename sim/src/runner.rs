//! Many seeds, some at once, each in a process of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use onsale::clock::Stopwatch;

use crate::child::{self, Job, Told};

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    pub(crate) from: u64,
    pub(crate) seeds: u64,
    pub(crate) jobs: usize,
    pub(crate) limit: Option<Duration>,
    pub(crate) unchecked: Vec<String>,
    /// Whether it goes on behind a failing seed.
    pub(crate) all: bool,
}

/// What the runs came to, together.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    pub(crate) runs: u64,
    pub(crate) numbers: BTreeMap<String, u64>,
    /// By promise: how many seeds broke it, and the first of them with what it said.
    pub(crate) failures: BTreeMap<String, (u64, u64, String)>,
    pub(crate) errors: Vec<String>,
    /// Digests all that happened in all of them.
    pub(crate) trace: u64,
    pub(crate) elapsed: Duration,
}

impl Sum {
    fn add(&mut self, seed: u64, told: Told) {
        self.runs += 1;
        for (name, number) in told.numbers {
            if name == "trace" {
                // Whatever the order in which they end.
                self.trace ^= number.rotate_left(u32::try_from(seed % 64).expect("small"));
            } else {
                *self.numbers.entry(name).or_default() += number;
            }
        }
        if let Some((promise, what)) = told.violation {
            let entry = self.failures.entry(promise).or_insert((0, seed, what.clone()));
            entry.0 += 1;
            if seed < entry.1 {
                (entry.1, entry.2) = (seed, what);
            }
        }
    }
}

/// Runs a range of seeds; `progress` is told of the sum now and then.
pub(crate) fn run(range: &Range, progress: impl Fn(&Sum) + Sync) -> Sum {
    let watch = Stopwatch::start();
    let next = AtomicU64::new(range.from);
    let stop = AtomicBool::new(false);
    let sum = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..range.jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let over = range.limit.is_some_and(|limit| watch.elapsed() >= limit);
                    if seed >= range.from.saturating_add(range.seeds) || over {
                        return;
                    }
                    let job = Job { seed, steps: None, unchecked: range.unchecked.clone() };
                    let ran = child::run(&job);
                    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                    match ran {
                        Ok(told) => sum.add(seed, told),
                        Err(error) => sum.errors.push(format!("{error:#}")),
                    }
                    sum.elapsed = watch.elapsed();
                    let failed = !sum.failures.is_empty() || !sum.errors.is_empty();
                    if failed && !range.all {
                        stop.store(true, Ordering::Relaxed);
                    }
                    progress(&sum);
                }
            });
        }
    });

    let mut sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    sum.elapsed = watch.elapsed();
    sum
}
