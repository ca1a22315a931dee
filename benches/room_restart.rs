//! A start with a million waiting: from the journal alone, and from a snapshot.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a benchmark fails loudly; criterion's macros make what isn't documented"
)]

mod crowd;
#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crowd::{join_all, open_engine, quiet_config};
use onsale::clock::Stopwatch;
use onsale::engine::Engine;
use onsale::journal::{Journal, JournalConfig, Position, ReadError};
use onsale::recovery::World;
use tokio::runtime::Runtime;

const PEOPLE: u32 = 1_000_000;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Lets a million people join through the engine itself. Stopping, it takes a snapshot; the journal is kept.
fn prepare(dir: &Path) {
    runtime().block_on(async {
        let (engine, entry) = open_engine(quiet_config(dir)).await;
        assert_eq!(join_all(&engine, &entry, 1_000, 0, PEOPLE).await, PEOPLE);
        engine.close().await.unwrap();
    });
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy(&file.path(), &to);
        } else {
            fs::copy(file.path(), to).unwrap();
        }
    }
}

/// Opens an engine on a copy of the data, and returns how long that took.
fn open(data: &Path, snapshot: bool) -> Duration {
    let dir = tempfile::tempdir().unwrap();
    copy(data, dir.path());
    if !snapshot {
        fs::remove_dir_all(dir.path().join("snapshots")).unwrap();
    }
    let config = quiet_config(dir.path());
    let runtime = runtime();
    let (took, engine) = runtime.block_on(async {
        let watch = Stopwatch::start();
        let engine = Engine::open(config).await.unwrap();
        (watch.elapsed(), engine)
    });
    let waiting = engine.schedule("s").unwrap().room().read().waiting();
    assert_eq!(waiting, PEOPLE);
    runtime.block_on(engine.close()).unwrap();
    took
}

fn restart(bench: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let mut group = bench.benchmark_group("a million waiting");
    group.sample_size(10).throughput(Throughput::Elements(PEOPLE.into()));
    for (snapshot, name) in [(false, "open from the journal alone"), (true, "open from a snapshot")] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| open(dir.path(), snapshot)).sum());
        });
    }
    let mut config = JournalConfig::new(dir.path());
    config.reserve_bytes = 0;
    let recovering = Journal::open(config).unwrap();
    let replay = || {
        let mut world = World::default();
        let read = recovering.for_each(Position::START, |_, bytes| {
            world.apply(&onsale::record::decode(bytes).unwrap()).unwrap();
            Ok::<(), ReadError>(())
        });
        read.unwrap();
        world
    };
    group.bench_function("the part of it: read, decode and apply", |bencher| {
        bencher.iter_with_large_drop(replay);
    });
    let world = replay();
    group.bench_function("the part of it: check every invariant", |bencher| {
        bencher.iter(|| world.check().unwrap());
    });
    group.finish();
}

criterion_group!(benches, restart);
criterion_main!(benches);
