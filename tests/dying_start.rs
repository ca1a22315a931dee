//! A start that dies (S4): wherever it does, and however often, the next one still crosses the outage that was, and every
//! hold that was live then has its time.
#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    reason = "a test fails loudly, and its numbers are small"
)]

#[path = "support/server.rs"]
mod server;
mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use onsale::clock::{Clock, ManualClock, SystemClock};
use onsale::domain::schedule::policy::Policy;
use onsale::domain::schedule::{Reservation, ReservationStatus};
use onsale::domain::time::{Seconds, Timestamp};
use onsale::engine::{CatalogueChange, Engine, EngineConfig};
use onsale::journal::MemoryDisk;
use server::{ADMIN, SECRET, Server};
use support::{NOW, concert, config, hold, one_entry_a_sync, open_schedule, plan, venue};

const SCHEDULES: u32 = 4;
/// A hold that the outage would have ended, and one that would have outlived it.
const HOLDS: [Seconds; 2] = [Seconds::new(300), Seconds::new(40_000)];
const HOUR: u64 = 3_600_000;

/// Sells seats of several schedules and stops without a word; returns what is left.
async fn sold(dir: &Path) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let clock = Arc::new(ManualClock::at(NOW));
    let config = EngineConfig { medium: Some(Arc::new(disk.clone())), clock, ..config(dir) };
    let engine = Engine::open(config).await.unwrap();
    engine.change(CatalogueChange::PutVenue(venue(1, 50)), None).await.unwrap();
    engine.change(CatalogueChange::PutConcert(concert()), None).await.unwrap();
    for index in 0..SCHEDULES {
        let policy = Policy { hold: HOLDS[index as usize % HOLDS.len()], ..Policy::default() };
        let entry = open_schedule(&engine, &format!("s{index}"), plan(NOW, policy)).await;
        for seat in [1, 5] {
            hold(&engine, &entry, "u1", &[seat]).await.unwrap();
        }
    }
    disk.crashed()
}

/// Starts on a disk at an instant.
async fn start(dir: &Path, disk: &MemoryDisk, at: Timestamp) -> Engine {
    let mut config = one_entry_a_sync(config(dir));
    config.medium = Some(Arc::new(disk.clone()));
    config.clock = Arc::new(ManualClock::at(at));
    Engine::open(config).await.unwrap()
}

/// Starts at an instant and dies after so many steps of its disk; returns what is left.
async fn die(dir: &Path, disk: &MemoryDisk, at: Timestamp, steps: u64) -> MemoryDisk {
    let disk = disk.crashed();
    disk.freeze_after_steps(steps);
    drop(start(dir, &disk, at).await);
    disk.crashed()
}

fn reservations(engine: &Engine) -> Vec<Reservation> {
    let all = (0..SCHEDULES).map(|index| engine.schedule(&format!("s{index}")).unwrap());
    all.flat_map(|entry| entry.read().reservations_of("u1").cloned().collect::<Vec<_>>()).collect()
}

/// Starts for good, and looks whether each hold has what it had left at [`NOW`], and the grace at least.
async fn check(dir: &Path, disk: &MemoryDisk, at: Timestamp, what: &str) {
    let engine = start(dir, &disk.crashed(), at).await;
    let found = reservations(&engine);
    assert_eq!(found.len(), 2 * SCHEDULES as usize, "{what}");
    for (index, hold) in found.iter().enumerate() {
        assert_eq!(hold.status, ReservationStatus::Held, "{what}: hold {index}");
        let had = HOLDS[index / 2 % HOLDS.len()];
        let expected = at.plus(had.max(Policy::default().recovery_grace));
        assert_eq!(hold.expires_at, expected, "{what}: hold {index} has its time once");
    }
}

#[tokio::test]
async fn a_start_that_dies_anywhere_leaves_each_hold_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let down = sold(dir.path()).await;
    let whole = down.crashed();
    drop(start(dir.path(), &whole, NOW.plus_millis(HOUR)).await);
    let steps = whole.steps();
    assert!(steps > u64::from(SCHEDULES), "a start writes for each schedule");

    for first in 0..=steps {
        let once = die(dir.path(), &down, NOW.plus_millis(HOUR), first).await;
        check(dir.path(), &once, NOW.plus_millis(2 * HOUR), &format!("died after {first}")).await;
        for second in (first % 3..=steps).step_by(3) {
            let twice = die(dir.path(), &once, NOW.plus_millis(2 * HOUR), second).await;
            let what = format!("died after {first} and after {second}");
            check(dir.path(), &twice, NOW.plus_millis(3 * HOUR), &what).await;
        }
    }
}

/// Starts the program and kills it as soon as it has written the mark.
fn kill_at_start(data: &Path) {
    let mark = || std::fs::read(data.join("mark")).unwrap();
    let before = mark();
    let mut child = Command::new(env!("CARGO_BIN_EXE_onsale"))
        .arg("serve")
        .env("ONSALE_LISTEN", "127.0.0.1:0")
        .env("ONSALE_DATA_DIR", data)
        .env("ONSALE_JWT_SECRET", SECRET)
        .env("ONSALE_ADMIN_TOKEN", ADMIN)
        .env("ONSALE_JOURNAL_RESERVE_BYTES", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while mark() == before {
        assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_at_its_start_again_and_again_expires_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // An engine that stopped an hour ago, with holds of five minutes.
    let an_hour_ago = Timestamp::from_millis(SystemClock::new().now().as_millis() - HOUR);
    let past = EngineConfig { clock: Arc::new(ManualClock::at(an_hour_ago)), ..config(dir.path()) };
    let (engine, entries) = support::open_with(past, 8, 1).await;
    for seat in 0..300 {
        hold(&engine, &entries[0], &format!("u{seat}"), &[seat]).await.unwrap();
    }
    engine.close().await.unwrap();

    for _ in 0..4 {
        kill_at_start(dir.path());
    }
    let server = Server::start(dir.path());
    let (status, seats) = server.get("/api/v1/schedules/s0/seats").await;
    assert_eq!(status, 200);
    let held = seats["seats"].as_array().unwrap().iter().filter(|seat| seat["status"] == "held").count();
    assert_eq!(held, 300);
    assert!(server.terminate().success());
}
