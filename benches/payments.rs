//! Payments inside one process, on the real disk: a hold is paid from the balance, confirmed, and given back with a refund.
//! Each of these is acknowledged: thirteen events of three aggregates, most of them one after the other.
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
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use onsale::domain::cause::Cause;
use onsale::domain::money::{Currency, Money};
use onsale::domain::payments::{Method, State};
use onsale::domain::schedule::{Caller, Command, ReservationRef};
use onsale::engine::{Engine, Purchase, ScheduleEntry};
use support::{config, hold, open_with, user};

/// Buys and gives back by `callers` callers, each on a seat of its own, until `purchases` were made.
async fn drive(engine: &Engine, entry: &Arc<ScheduleEntry>, callers: u32, purchases: u64) -> Duration {
    let rounds = purchases.div_ceil(callers.into());
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let (engine, entry) = (engine.clone(), Arc::clone(entry));
        tasks.spawn(async move {
            let name = format!("user-{caller}");
            for _ in 0..rounds {
                let held = hold(&engine, &entry, &name, &[caller]).await.unwrap();
                let reservation = ReservationRef { number: held.number, nonce: held.nonce };
                let (user, method) = (user(&name), Method::Balance);
                let purchase = Purchase { user, reservation, method, nonce: 7, key: None };
                assert_eq!(engine.pay(&entry, purchase).await.unwrap().answer.state, State::Completed);
                let back = Command::Release { reservation, caller: Caller::Admin };
                engine.act(&entry, back, None).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    started.elapsed()
}

fn purchases(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("hold, pay from the balance, give back");
    group.sample_size(10).measurement_time(Duration::from_secs(6)).throughput(Throughput::Elements(1));
    for callers in [1, 64, 256] {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (engine, entry) = runtime.block_on(async {
            let (engine, entries) = open_with(config(dir.path()), 6, 1).await;
            let (amount, krw) = (Money::new(1_000_000_000).unwrap(), Currency::parse("KRW").unwrap());
            for caller in 0..callers {
                let name = user(&format!("user-{caller}"));
                engine.charge(&name, amount, krw, 1, Cause::default()).await.unwrap();
            }
            (engine, Arc::clone(&entries[0]))
        });
        group.bench_function(BenchmarkId::from_parameter(format!("{callers} callers")), |bencher| {
            // Fewer purchases than callers would leave most of them idle.
            bencher.iter_custom(|iterations| {
                let wanted = iterations.max(callers.into());
                let took = runtime.block_on(drive(&engine, &entry, callers, wanted));
                let made = wanted.div_ceil(callers.into()) * u64::from(callers);
                Duration::from_secs_f64(took.as_secs_f64() * iterations as f64 / made as f64)
            });
        });
        runtime.block_on(engine.close()).unwrap();
    }
    group.finish();
}

criterion_group!(benches, purchases);
criterion_main!(benches);
