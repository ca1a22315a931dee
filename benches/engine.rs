//! The engine inside one process: asking an actor, and acknowledged (synced) changes on the real disk.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a benchmark fails loudly; criterion's macros make what isn't documented"
)]

mod callers;
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use callers::drive;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use onsale::domain::schedule::Command;
use support::{config, hold_command, key, open_with};
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// An actor asked for what needs no journal: the refusal of a closed sale, resting on durable state.
fn ask(bench: &mut Criterion) {
    let runtime = runtime();
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = runtime.block_on(open_with(config(dir.path()), 1, 1));
    runtime.block_on(engine.act(&entries[0], Command::Close, None)).unwrap();
    bench.bench_function("ask an actor, refused without the journal", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            engine.act(&entries[0], hold_command("u", &[1]), None).await.unwrap_err();
        });
    });
    runtime.block_on(engine.close()).unwrap();
}

fn acknowledged(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("acknowledged changes");
    group.sample_size(10).measurement_time(Duration::from_secs(6)).throughput(Throughput::Elements(1));
    for schedules in [1, 64] {
        for callers in [1, 64, 256, 1_024] {
            let runtime = runtime();
            let dir = tempfile::tempdir().unwrap();
            let (engine, entries) = runtime.block_on(open_with(config(dir.path()), 21, schedules));
            let id = BenchmarkId::new(format!("{schedules} schedules"), format!("{callers} callers"));
            group.bench_function(id, |bencher| {
                // Fewer changes than callers would leave most of them idle.
                let least = u64::from(callers) * 2;
                bencher.iter_custom(|iterations| {
                    let changes = iterations.max(least);
                    let took = runtime.block_on(drive(&engine, &entries, callers, changes));
                    let made = changes.div_ceil(least) * least;
                    Duration::from_secs_f64(took.as_secs_f64() * iterations as f64 / made as f64)
                });
            });
            runtime.block_on(engine.close()).unwrap();
        }
    }
    group.finish();
}

/// What an idempotency key costs: two digests, and an entry of the table.
fn with_a_key(bench: &mut Criterion) {
    let runtime = runtime();
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = runtime.block_on(open_with(config(dir.path()), 1, 1));
    runtime.block_on(engine.act(&entries[0], hold_command("u", &[1]), key(1, 1))).unwrap();
    bench.bench_function("digest a key and its body", |bencher| {
        bencher.iter(|| engine.key("user-1", "POST /reservations", "0123456789abcdef", &[0x20; 120]));
    });
    bench.bench_function("ask an actor, replayed from its key", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            assert!(engine.act(&entries[0], hold_command("u", &[1]), key(1, 1)).await.unwrap().replayed);
        });
    });
    runtime.block_on(engine.close()).unwrap();
}

criterion_group!(benches, ask, with_a_key, acknowledged);
criterion_main!(benches);
