//! A start with a wrong clock: what would end sales and tokens for good is refused, unless somebody says what day it is.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

#[path = "support/server.rs"]
mod server;
mod support;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use onsale::clock::{Clock, ManualClock, SystemClock};
use onsale::domain::schedule::SaleStatus;
use onsale::domain::time::{Seconds, Timestamp};
use onsale::engine::{ClockLimit, Engine, EngineConfig, EngineOpenError};
use onsale::journal::MemoryDisk;
use server::{ADMIN, SECRET, Server};
use support::{NOW, config, hold, open_with};

const DAY: u32 = 86_400;
const WEEK: Option<Seconds> = Some(Seconds::new(7 * DAY));

fn days_later(days: u32) -> Timestamp {
    NOW.plus(Seconds::new(days * DAY))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_a_year_ahead_is_refused_and_the_sale_goes_on_with_a_right_one() {
    let dir = tempfile::tempdir().unwrap();
    let disk = MemoryDisk::new();
    let with = |at: Timestamp, today: Option<Timestamp>| EngineConfig {
        medium: Some(Arc::new(disk.clone())),
        clock: Arc::new(ManualClock::at(at)),
        clock_limit: ClockLimit { ahead_max: WEEK, today },
        ..config(dir.path())
    };
    let (engine, entries) = open_with(with(NOW, None), 1, 1).await;
    let held = hold(&engine, &entries[0], "u1", &[1]).await.unwrap();
    engine.close().await.unwrap();

    for today in [None, Some(days_later(5))] {
        let refused = Engine::open(with(days_later(365), today)).await.map(drop).unwrap_err();
        assert!(
            matches!(refused, EngineOpenError::Clock { now, known } if now == days_later(365) && known == NOW)
        );
        assert!(refused.to_string().contains("--clock-accept"), "{refused}");
    }

    let engine = Engine::open(with(NOW.plus_millis(1_000), None)).await.unwrap();
    let entry = engine.schedule("s0").unwrap();
    assert_eq!(entry.read().sale_status(), SaleStatus::Open);
    let kept = entry.read().reservations_of("u1").next().cloned().unwrap();
    assert_eq!(kept.expires_at, held.expires_at.plus_millis(1_000));
    engine.close().await.unwrap();

    let engine = Engine::open(with(days_later(365), Some(days_later(365)))).await.unwrap();
    assert_eq!(engine.schedule("s0").unwrap().read().sale_status(), SaleStatus::Closed);
    engine.close().await.unwrap();
}

fn serve(data: &Path, accept: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
    command.arg("serve").env("ONSALE_LISTEN", "127.0.0.1:0").env("ONSALE_DATA_DIR", data);
    command.env("ONSALE_JWT_SECRET", SECRET).env("ONSALE_ADMIN_TOKEN", ADMIN);
    command.env("ONSALE_JOURNAL_RESERVE_BYTES", "0");
    if let Some(date) = accept {
        command.args(["--clock-accept", date]);
    }
    command.output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_starts_after_a_long_outage_only_with_the_date_of_today() {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemClock::new().now();
    let a_month_ago = now.minus(Seconds::new(30 * DAY));
    let past = EngineConfig { clock: Arc::new(ManualClock::at(a_month_ago)), ..config(dir.path()) };
    let (engine, _) = open_with(past, 1, 1).await;
    engine.close().await.unwrap();

    let date = |at: Timestamp| at.to_string()[..10].to_owned();
    for accept in [None, Some(date(a_month_ago))] {
        let refused = serve(dir.path(), accept.as_deref());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("--clock-accept"), "{said}");
    }
    let server = Server::start_with(dir.path(), &[("ONSALE_CLOCK_ACCEPT", &date(now))]);
    assert_eq!(server.get("/readyz").await.0, 200);
    assert!(server.terminate().success());
    let again = Server::start(dir.path());
    assert!(again.terminate().success(), "it is needed once");
}
