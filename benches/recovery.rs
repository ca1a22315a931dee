//! Recovery: a million events, read from the journal, decoded and applied.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a benchmark fails loudly; criterion's macros make what isn't documented"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use onsale::journal::{Journal, JournalConfig, Position, ReadError};
use onsale::recovery::World;
use support::{config, hold_command, open_with, release_command, reservation};

const EVENTS: u64 = 1_000_000;

/// Makes a journal of a million events through the engine itself.
fn journal(dir: &std::path::Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut config = config(dir);
        config.snapshot_every_events = u64::MAX;
        config.snapshot_every = Duration::from_hours(24);
        let (engine, entries) = open_with(config, 21, 1).await;
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..1_000_u32 {
            let (engine, entry) = (engine.clone(), Arc::clone(&entries[0]));
            callers.spawn(async move {
                let name = format!("user-{caller}");
                for _ in 0..EVENTS / 2_000 {
                    let held = engine.act(&entry, hold_command(&name, &[caller]), None).await.unwrap();
                    let back = release_command(&name, &reservation(held));
                    engine.act(&entry, back, None).await.unwrap();
                }
            });
        }
        callers.join_all().await;
        // The snapshot that this takes isn't looked at: the journal is kept from its beginning.
        engine.close().await.unwrap();
    });
}

fn replay(bench: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    journal(dir.path());
    let mut config = JournalConfig::new(dir.path());
    config.reserve_bytes = 0;
    let recovering = Journal::open(config).unwrap();
    let mut group = bench.benchmark_group("recovery");
    group.sample_size(10).throughput(Throughput::Elements(recovering.last().get()));
    group.bench_function("read, decode and apply a million events", |bencher| {
        bencher.iter(|| {
            let mut world = World::default();
            recovering
                .for_each(Position::START, |_, bytes| {
                    let record = onsale::record::decode(bytes).unwrap();
                    world.apply(&record).unwrap();
                    Ok::<(), ReadError>(())
                })
                .unwrap();
            assert_eq!(world.schedules.len(), 1);
        });
    });
    group.finish();
}

criterion_group!(benches, replay);
criterion_main!(benches);
