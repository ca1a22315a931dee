//! What the engine leaves of the journal's rate: 1,024 callers change one hot schedule, and then the same batches are
//! appended without an engine, in turns.
//!
//! A batch is what the engine's journal wrote and synced at once, read back from its data directory. It is queued whole, an
//! entry for each record as in the engine, and the next one follows when it is durable.
//!
//! `cargo bench --bench raw_append -- 40000` makes so many changes a round.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a benchmark fails loudly; a benchmark is a program"
)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod callers;
mod rounds;
#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use callers::drive;
use onsale::clock::Stopwatch;
use onsale::journal::{Entry, Hooks, Journal, JournalConfig, Records};
use rounds::{ROUNDS, shown, size_or};
use support::{config, open_with};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CALLERS: u32 = 1_024;
const CHANGES: u32 = 500_000;

/// Records that became durable together.
type Batch = Vec<Records>;

fn runtime(workers: usize) -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap()
}

/// Changes one schedule through an engine; returns how long that took, and its batches.
fn change(changes: u32) -> (Duration, Vec<Batch>) {
    let dir = tempfile::tempdir().unwrap();
    runtime(2).block_on(async {
        let (engine, entries) = open_with(config(dir.path()), 21, 1).await;
        let before = engine.journal().durable();
        let took = drive(&engine, &entries, CALLERS, changes.into()).await;

        let runs = engine.journal().runs(before).map(Result::unwrap);
        let batches = runs.map(|run| run.records(before).map(|(_, record)| entry_of(record)).collect());
        let batches = batches.collect();
        engine.close().await.unwrap();
        (took, batches)
    })
}

fn entry_of(record: &[u8]) -> Records {
    let mut records = Records::with_capacity(record.len() + 4);
    records.push(record).unwrap();
    records
}

/// Appends the batches, one after the other; returns how long that took, and in how many commits.
fn append(batches: Vec<Batch>) -> (Duration, u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = JournalConfig::new(dir.path());
    config.reserve_bytes = 0;
    // With one worker, the writer looks at its queue only once a batch is whole.
    let runtime = runtime(1);
    let appending = runtime.spawn(async move {
        let journal = Journal::open(config).unwrap().start(Hooks::with_clock(Arc::new(|| 1))).unwrap();
        let watch = Stopwatch::start();
        for batch in batches {
            append_one(&journal, batch).await;
        }
        let took = watch.elapsed();
        let (commits, _) = journal.commits();
        journal.close().await.unwrap();
        (took, commits)
    });
    runtime.block_on(appending).unwrap()
}

async fn append_one(journal: &Journal, batch: Batch) {
    let (sender, durable) = oneshot::channel();
    let (mut sender, last) = (Some(sender), batch.len() - 1);
    for (number, records) in batch.into_iter().enumerate() {
        let teller = if number == last { sender.take() } else { None };
        let done = Box::new(move |committed: Result<_, _>| {
            committed.unwrap();
            if let Some(teller) = teller {
                teller.send(()).unwrap();
            }
        });
        journal.try_reserve().unwrap().unwrap().send(Entry { records, done });
    }
    durable.await.unwrap();
}

fn main() {
    let changes = size_or(CHANGES);
    let (mut engine, mut raw, mut ratios, mut batch) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (changing, batches) = change(changes);
        let (records, commits) = (batches.iter().map(Vec::len).sum::<usize>(), batches.len());
        let (appending, raw_commits) = append(batches);
        assert!(raw_commits >= commits as u64, "a batch is a commit at least");

        engine.push(records as f64 / changing.as_secs_f64());
        raw.push(records as f64 / appending.as_secs_f64());
        ratios.push(appending.as_secs_f64() / changing.as_secs_f64());
        batch.push(records as f64 / commits as f64);
        println!("{records} records, {commits} commits of the engine, {raw_commits} when appended raw");
    }

    println!("{CALLERS} callers, one schedule: {} changes a second", shown(engine, 0));
    println!("the same batches, appended raw: {} records a second", shown(raw, 0));
    println!("records a batch: {}", shown(batch, 0));
    println!("engine ÷ raw append: {}", shown(ratios, 2));
}
