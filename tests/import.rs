//! An import is all or nothing, also where the engine is killed in the middle of it (I1).
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod support;

use std::sync::Arc;

use onsale::domain::cause::{By, Cause};
use onsale::domain::ids::ScheduleId;
use onsale::domain::schedule::policy::{Policy, QueuePolicy};
use onsale::domain::schedule::{Command, Plan};
use onsale::domain::time::Seconds;
use onsale::domain::waiting_room::Tuning;
use onsale::engine::{CatalogueChange, Changed, Engine, EngineConfig, EngineError, Import};
use onsale::journal::MemoryDisk;
use support::{concert, config, cut_off, key, open_with, venue};

const SCHEDULES: u32 = 6;

fn on(disk: &MemoryDisk, dir: &std::path::Path) -> EngineConfig {
    EngineConfig { medium: Some(Arc::new(disk.clone())), ..config(dir) }
}

/// A document that gives the hall another address, and every schedule another end and a waiting room.
fn document(standing: &Plan) -> Import {
    let queue = Some(QueuePolicy { active_max: 7, ..QueuePolicy::default() });
    let ends_at = standing.ends_at.plus(Seconds::new(60));
    let plan = Plan { ends_at, policy: Policy { queue, ..standing.policy.clone() }, ..standing.clone() };
    let schedule =
        |index: u32| (ScheduleId::parse(&format!("s{index}")).unwrap(), concert().id, plan.clone());
    Import {
        venues: vec![onsale::domain::venue::Venue { address: "elsewhere".into(), ..venue(2, 50) }],
        concerts: Vec::new(),
        schedules: (0..SCHEDULES).map(schedule).collect(),
    }
}

async fn import(engine: &Engine, document: &Import) -> Result<Changed, EngineError> {
    let cause = Cause { by: By::Engine, key: key(7, 7) };
    engine.change(CatalogueChange::Import(document.clone()), cause).await
}

/// Counts the schedules that have the document's plan, with their rooms set up by it.
fn followed(engine: &Engine, document: &Import) -> usize {
    let done = |(id, _, plan): &&(ScheduleId, _, Plan)| {
        let entry = engine.schedule(id).unwrap();
        let (has, room) = (**entry.read().plan() == *plan, entry.room().read().configured().is_some());
        assert!(!has || room, "a schedule with a queue has its room");
        has
    };
    document.schedules.iter().filter(done).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_killed_anywhere_has_happened_wholly_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = MemoryDisk::new();
    let (engine, entries) = open_with(on(&prepared, dir.path()), 2, SCHEDULES).await;
    let document = document(entries[0].read().plan());
    drop(engine);
    let start = prepared.crashed();

    let counts = document.counts();
    let mut ends = std::collections::BTreeSet::new();
    for point in 0.. {
        let disk = start.crashed();
        let engine = Engine::open(on(&disk, dir.path())).await.unwrap();
        let killed = cut_off(&disk, point, async {
            let made = import(&engine, &document).await;
            assert_eq!(made, Ok(Changed::Imported { counts, replayed: false }));
        })
        .await;
        let again = import(&engine, &document).await;
        assert_eq!(again, Ok(Changed::Imported { counts, replayed: true }));
        drop(engine);

        let engine = Engine::open(on(&disk.crashed(), dir.path())).await.unwrap();
        let (done, address) =
            (followed(&engine, &document), engine.catalogue().venue("hall").unwrap().venue.address.clone());
        assert!(engine.catalogue().replans().is_empty(), "what was begun is done");
        assert_eq!(done > 0, address == "elsewhere", "point {point}");
        assert!(done == 0 || done == document.schedules.len(), "point {point}: {done} schedules");
        let again = import(&engine, &document).await;
        assert_eq!(again, Ok(Changed::Imported { counts, replayed: done > 0 }), "point {point}");
        assert_eq!(followed(&engine, &document), document.schedules.len());
        ends.insert(done);
        if !killed {
            assert!(point > u64::from(SCHEDULES), "{point} points to be killed at");
            break;
        }
    }
    assert_eq!(ends.len(), 2, "some points are before the announcement and some behind it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_is_put_with_a_key_and_killed_has_been_put_when_the_key_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = MemoryDisk::new();
    let (engine, entries) = open_with(on(&prepared, dir.path()), 2, 1).await;
    let (id, _, plan) = document(entries[0].read().plan()).schedules.remove(0);
    drop(engine);
    let start = prepared.crashed();
    let put = || CatalogueChange::PutSchedule(id.clone(), concert().id, plan.clone());
    for point in 0..8 {
        let disk = start.crashed();
        let engine = Engine::open(on(&disk, dir.path())).await.unwrap();
        disk.freeze_after_syncs(point);
        engine.change(put(), Cause { by: By::Engine, key: key(8, 8) }).await.unwrap();
        drop(engine);
        let engine = Engine::open(on(&disk.crashed(), dir.path())).await.unwrap();
        engine.change(put(), Cause { by: By::Engine, key: key(8, 8) }).await.unwrap();
        assert_eq!(**engine.schedule("s0").unwrap().read().plan(), plan, "point {point}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_of_what_is_so_already_leaves_alone_what_an_operator_has_tuned() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(config(dir.path()), 2, SCHEDULES).await;
    let document = document(entries[0].read().plan());
    engine.change(CatalogueChange::Import(document.clone()), None).await.unwrap();
    let tuning = Tuning { active_max: Some(1), admit_per_minute: Some(Some(3)), paused: Some(true) };
    engine.tune(&entries[0], tuning, None).await.unwrap();
    let tuned = |engine: &Engine| {
        let entry = engine.schedule("s0").unwrap();
        let room = entry.room().read();
        let policy = &room.settings().unwrap().policy;
        (policy.active_max, policy.admit_per_minute, room.overview().paused)
    };
    assert_eq!(tuned(&engine), (1, Some(3), true));
    let version = engine.journal().durable();
    engine.change(CatalogueChange::Import(document.clone()), None).await.unwrap();
    assert_eq!(tuned(&engine), (1, Some(3), true), "it says nothing new");
    assert_eq!(engine.journal().durable(), version, "what is so already is no event");

    // Another end is no other room: what was tuned stands; what the document changes of the room counts.
    let (id, concert, plan) = document.schedules[0].clone();
    let later = Plan { ends_at: plan.ends_at.plus(Seconds::new(60)), ..plan };
    let put = |plan: &Plan| CatalogueChange::PutSchedule(id.clone(), concert.clone(), plan.clone());
    engine.change(put(&later), None).await.unwrap();
    assert_eq!(tuned(&engine), (1, Some(3), true));
    engine.close().await.unwrap();
    let engine = Engine::open(config(dir.path())).await.unwrap();
    assert_eq!(tuned(&engine), (1, Some(3), true), "nor is a restart");
    let mut wider = later.clone();
    wider.policy.queue.as_mut().unwrap().active_max = 9;
    engine.change(put(&wider), None).await.unwrap();
    assert_eq!(tuned(&engine), (9, None, true), "another policy of the room is followed as it is");
    let entry = engine.schedule("s0").unwrap();
    engine.act(&entry, Command::Close, None).await.unwrap();
    engine.close().await.unwrap();
}
