//! How long a snapshot of a season takes: 10,000 schedules of 1,210 seats, free and with a tenth of them held.
//!
//! `cargo bench --bench snapshot -- 100` takes so many schedules.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark fails loudly; a benchmark is a program")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod rounds;
#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use onsale::clock::Stopwatch;
use onsale::domain::schedule::policy::Policy;
use onsale::domain::time::Seconds;
use onsale::engine::{CatalogueChange, Engine, ScheduleEntry};
use rounds::{ROUNDS, shown, size_or};
use support::{concert, config, hold, open_schedule, plan, release_command, venue};
use tokio::task::JoinSet;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SCHEDULES: u32 = 10_000;
const ROWS: u32 = 22;
const ROW_LEN: u32 = 55;
/// Holds of a schedule, of four seats each: a tenth of its seats.
const HOLDS: u32 = 30;
const CALLERS: usize = 256;

async fn season(dir: &Path, schedules: u32) -> (Engine, Vec<Arc<ScheduleEntry>>) {
    let mut config = config(dir);
    config.snapshot_every_events = u64::MAX;
    config.snapshot_every = Duration::from_hours(24);
    let engine = Engine::open(config).await.unwrap();
    engine.change(CatalogueChange::PutVenue(venue(ROWS, ROW_LEN)), None).await.unwrap();
    engine.change(CatalogueChange::PutConcert(concert()), None).await.unwrap();

    // Holds that don't end meanwhile.
    let plan = plan(engine.now(), Policy { hold: Seconds::new(3_600), ..Policy::default() });
    let mut entries = Vec::new();
    for number in 0..schedules {
        entries.push(open_schedule(&engine, &format!("s{number}"), plan.clone()).await);
    }
    (engine, entries)
}

/// Holds seats of all schedules, from the fifth on: the first four are for [`measure`].
async fn hold_in_all(engine: &Engine, entries: &[Arc<ScheduleEntry>]) {
    let mut callers = JoinSet::new();
    for part in entries.chunks(entries.len().div_ceil(CALLERS)) {
        let (engine, part) = (engine.clone(), part.to_vec());
        callers.spawn(async move {
            for (entry, number) in
                part.iter().flat_map(|entry| (1..=HOLDS).map(move |number| (entry, number)))
            {
                let seats = [0, 1, 2, 3].map(|seat| 4 * number + seat);
                hold(&engine, entry, &format!("user-{number}"), &seats).await.unwrap();
            }
        });
    }
    callers.join_all().await;
}

/// Takes snapshots, each after a change, since none is written where nothing has happened.
async fn measure(engine: &Engine, entries: &[Arc<ScheduleEntry>], what: &str) {
    let mut seconds = Vec::new();
    for _ in 0..ROUNDS {
        let held = hold(engine, &entries[0], "someone", &[0]).await.unwrap();
        engine.act(&entries[0], release_command("someone", &held), None).await.unwrap();

        let watch = Stopwatch::start();
        engine.snapshot().await.unwrap();
        seconds.push(watch.elapsed().as_secs_f64());
    }
    let bytes = newest_len(&engine.data_dir().join("snapshots"));
    let seats = ROWS * ROW_LEN;
    println!(
        "a snapshot of {} schedules of {seats} seats, {what}: {} s, {bytes} bytes",
        entries.len(),
        shown(seconds, 2)
    );
}

fn newest_len(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    let newest = files.max_by_key(std::fs::DirEntry::file_name).unwrap();
    newest.metadata().unwrap().len()
}

fn main() {
    let schedules = size_or(SCHEDULES);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let (engine, entries) = season(dir.path(), schedules).await;
        measure(&engine, &entries, "all free").await;
        hold_in_all(&engine, &entries).await;
        measure(&engine, &entries, "a tenth held, four a reservation").await;
        engine.close().await.unwrap();
    });
}
