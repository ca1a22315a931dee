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

use std::sync::Arc;
use std::time::Duration;

use callers::drive;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use onsale::domain::schedule::Command;
use onsale::domain::schedule::policy::Policy;
use onsale::domain::time::Seconds;
use onsale::domain::venue::Venue;
use onsale::engine::{CatalogueChange, Engine};
use support::{
    area, concert, config, hold_command, key, open_schedule, open_with, plan, release_command, reservation,
    user, venue, wish,
};
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

/// Three places of an area of 100,000 that 50,000 people hold already, and the same given back: two acknowledged changes. What they cost
/// beside the disk is measured in `domain`.
fn places_of_an_area(bench: &mut Criterion) {
    let runtime = runtime();
    let dir = tempfile::tempdir().unwrap();
    let (engine, entry) = runtime.block_on(async {
        let engine = Engine::open(config(dir.path())).await.unwrap();
        let hall = Venue { areas: vec![area("pit", 100_000)], ..venue(1, 1) };
        engine.change(CatalogueChange::PutVenue(hall), None).await.unwrap();
        engine.change(CatalogueChange::PutConcert(concert()), None).await.unwrap();
        let policy = Policy { hold: Seconds::DAY, ..Policy::default() };
        let entry = open_schedule(&engine, "s", plan(engine.now(), policy)).await;

        let mut holders = tokio::task::JoinSet::new();
        for first in 0..100 {
            let (engine, entry) = (engine.clone(), Arc::clone(&entry));
            holders.spawn(async move {
                for number in first * 500..(first + 1) * 500 {
                    let hold = Command::hold(user(&format!("user-{number}")), wish(&[], &[(0, 1)]), number);
                    engine.act(&entry, hold, None).await.unwrap();
                }
            });
        }
        holders.join_all().await;
        (engine, entry)
    });
    assert_eq!(entry.read().area_counts()[0].held, 50_000);

    let mut group = bench.benchmark_group("areas");
    group.sample_size(10).measurement_time(Duration::from_secs(6));
    group.bench_function("hold three places of 100,000 with 50,000 holders, and release them", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            let three = Command::hold(user("fan"), wish(&[], &[(0, 3)]), 7);
            let held = reservation(engine.act(&entry, three, None).await.unwrap());
            engine.act(&entry, release_command("fan", &held), None).await.unwrap();
        });
    });
    group.finish();
    runtime.block_on(engine.close()).unwrap();
}

criterion_group!(benches, ask, with_a_key, acknowledged, places_of_an_area);
criterion_main!(benches);
