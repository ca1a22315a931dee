//! The journal on the real disk: what one commit costs, by the number of events that it makes durable.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a benchmark fails loudly; criterion's macros make what isn't documented"
)]

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use onsale::journal::{Entry, Hooks, Journal, JournalConfig, Records};
use tokio::sync::oneshot;

fn commit(bench: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut config = JournalConfig::new(dir.path());
    config.reserve_bytes = 0;
    let recovering = Journal::open(config).unwrap();
    let journal = {
        let _guard = runtime.enter();
        recovering.start(Hooks::with_clock(Arc::new(|| 1))).unwrap()
    };
    let mut group = bench.benchmark_group("commit events of 80 bytes");
    group.sample_size(20);
    for count in [1_u64, 16, 256, 2_048] {
        let mut records = Records::new();
        for _ in 0..count {
            records.push(&[7; 80]).unwrap();
        }
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                let (sender, receiver) = oneshot::channel();
                let done = Box::new(move |committed| sender.send(committed).unwrap());
                journal.reserve().await.unwrap().send(Entry { records: records.clone(), done });
                receiver.await.unwrap().unwrap();
            });
        });
    }
    group.finish();
    runtime.block_on(journal.close()).unwrap();
}

criterion_group!(benches, commit);
criterion_main!(benches);
