//! Callers that hold and release, each on a seat of its own: what the benchmarks of the engine share.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::as_conversions,
    reason = "shared by benchmarks, which fail loudly"
)]

use std::sync::Arc;
use std::time::Duration;

use onsale::clock::Stopwatch;
use onsale::engine::{Engine, ScheduleEntry};

use super::support::{hold_command, release_command, reservation};

/// Holds and releases by `callers` callers, each on a seat of its own, until `changes` were acknowledged.
pub async fn drive(engine: &Engine, entries: &[Arc<ScheduleEntry>], callers: u32, changes: u64) -> Duration {
    let rounds = changes.div_ceil(u64::from(callers) * 2);
    let watch = Stopwatch::start();
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let engine = engine.clone();
        let entry = Arc::clone(&entries[caller as usize % entries.len()]);
        tasks.spawn(async move {
            let name = format!("user-{caller}");
            for _ in 0..rounds {
                let held = engine.act(&entry, hold_command(&name, &[caller]), None).await.unwrap();
                let back = release_command(&name, &reservation(held));
                engine.act(&entry, back, None).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    watch.elapsed()
}
