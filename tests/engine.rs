//! The engine as an embedder uses it: what is acknowledged is durable, what is refused is true, and
//! what fails stays within its schedule.
#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    reason = "a test fails loudly, and its numbers are small"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use onsale::domain::schedule::policy::Policy;
use onsale::domain::schedule::{Command, Refusal, ReservationRef, ReservationStatus, SaleStatus, SeatStatus};
use onsale::domain::time::Seconds;
use onsale::domain::venue::Seat;
use onsale::engine::{self, CatalogueChange, Changed, Engine, EngineConfig, EngineError, Narrow};
use onsale::journal::MemoryDisk;
use support::{config, config_at_now, hold, hold_command, key, open_with, release_command, reservation};

fn on_memory(dir: &std::path::Path) -> (EngineConfig, MemoryDisk) {
    let disk = MemoryDisk::new();
    (EngineConfig { medium: Some(Arc::new(disk.clone())), ..config(dir) }, disk)
}

fn taken(error: &EngineError) -> bool {
    matches!(error, EngineError::Refused(engine::Refusal::Schedule(Refusal::SeatsUnavailable { .. })))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_the_engine_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(config(dir.path()), 2, 1).await;
    let held = hold(&engine, &entries[0], "u1", &[1, 2]).await.unwrap();
    let given_back = hold(&engine, &entries[0], "u2", &[5]).await.unwrap();
    engine.act(&entries[0], release_command("u2", &given_back), None).await.unwrap();
    let before = entries[0].read().clone();
    engine.close().await.unwrap();

    let engine = Engine::open(config(dir.path())).await.unwrap();
    let entry = engine.schedule("s0").unwrap();
    let found = |number, nonce| entry.read().reservation(ReservationRef { number, nonce }).cloned().unwrap();
    let kept = found(held.number, held.nonce);
    assert_eq!((&kept.seats, kept.status), (&held.seats, ReservationStatus::Held));
    assert!(kept.recovered && kept.expires_at >= held.expires_at, "a stop is an outage too");
    assert_eq!(found(given_back.number, given_back.nonce).status, ReservationStatus::Released);
    assert_eq!(entry.read().counts(), before.counts());
    assert!(taken(&hold(&engine, &entry, "u3", &[2]).await.unwrap_err()));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_answered_or_shown_before_it_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let (config, disk) = on_memory(dir.path());
    let (engine, entries) = open_with(config, 2, 1).await;
    let entry = Arc::clone(&entries[0]);
    disk.hold_syncs();
    let ask = |name: &'static str| {
        let (engine, entry) = (engine.clone(), Arc::clone(&entry));
        tokio::spawn(async move { hold(&engine, &entry, name, &[7]).await })
    };
    let winner = ask("u1");
    tokio::task::block_in_place(|| disk.wait_for_held_sync());
    // The loser's refusal rests on a hold that isn't durable yet: it waits with it (V1).
    let loser = ask("u2");
    let mut seats = entry.watch_seats();
    tokio::task::yield_now().await;
    assert!(!winner.is_finished() && !loser.is_finished());
    assert_eq!(entry.read().statuses()[7], SeatStatus::Available);
    assert!(!seats.has_changed().unwrap());
    disk.release_syncs();
    assert_eq!(winner.await.unwrap().unwrap().seats[..], [Seat(7)]);
    assert!(taken(&loser.await.unwrap().unwrap_err()));
    assert!(seats.changed().await.is_ok());
    assert_eq!(entry.read().statuses()[7], SeatStatus::Held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_still_running_is_in_progress_and_then_answers_again() {
    let dir = tempfile::tempdir().unwrap();
    let (config, disk) = on_memory(dir.path());
    let (engine, entries) = open_with(config, 2, 1).await;
    let entry = Arc::clone(&entries[0]);
    disk.hold_syncs();
    let first = {
        let (engine, entry) = (engine.clone(), Arc::clone(&entry));
        tokio::spawn(async move { engine.act(&entry, hold_command("u1", &[3]), key(1, 1)).await })
    };
    tokio::task::block_in_place(|| disk.wait_for_held_sync());
    let again = engine.act(&entry, hold_command("u1", &[3]), key(1, 1)).await;
    assert_eq!(again, Err(EngineError::InProgress));
    disk.release_syncs();
    let first = first.await.unwrap().unwrap();
    let again = engine.act(&entry, hold_command("u1", &[3]), key(1, 1)).await.unwrap();
    assert!(again.replayed && !first.replayed);
    assert_eq!(again.answer, first.answer);
    let other = engine.act(&entry, hold_command("u1", &[4]), key(1, 2)).await;
    assert_eq!(other, Err(EngineError::KeyReused));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_has_one_effect_and_one_answer_across_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let (config, disk) = on_memory(dir.path());
    let (engine, entries) = open_with(config.clone(), 2, 1).await;
    let first = engine.act(&entries[0], hold_command("u1", &[3]), key(9, 1)).await.unwrap();
    let crashed = disk.crashed();
    let config = EngineConfig { medium: Some(Arc::new(crashed)), ..config };
    let engine = Engine::open(config).await.unwrap();
    let entry = engine.schedule("s0").unwrap();
    let again = engine.act(&entry, hold_command("u1", &[3]), key(9, 1)).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.answer, first.answer, "the first answer, though the deadline has moved since");
    assert_eq!(entry.read().counts().held, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_wish_was_so_already_has_no_effect_later_either() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(config(dir.path()), 2, 1).await;
    let open = || CatalogueChange::OpenSchedule(entries[0].id().clone());
    engine.change(open(), key(5, 5)).await.unwrap();
    engine.act(&entries[0], Command::Close, None).await.unwrap();
    let Changed::Acted(again) = engine.change(open(), key(5, 5)).await.unwrap() else { panic!() };
    assert!(again.replayed);
    assert_eq!(entries[0].read().sale_at(engine.now()), SaleStatus::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failed_sync_changes_are_refused_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (config, disk) = on_memory(dir.path());
    let (engine, entries) = open_with(config, 2, 1).await;
    let entry = &entries[0];
    hold(&engine, entry, "u1", &[1]).await.unwrap();
    disk.fail_sync(1);
    let lost = hold(&engine, entry, "u1", &[2]).await;
    assert_eq!(lost, Err(EngineError::OutcomeUnknown));
    assert_eq!(hold(&engine, entry, "u1", &[3]).await, Err(EngineError::JournalUnavailable));
    let change = engine.change(CatalogueChange::PutVenue(support::venue(3, 3)), None).await;
    assert_eq!(change, Err(EngineError::JournalUnavailable));
    assert_eq!(entry.read().statuses()[1], SeatStatus::Held);
    assert_eq!(entry.read().statuses()[2], SeatStatus::Available, "what isn't durable isn't shown");
    assert!(engine.journal().failure().is_some());
    assert!(engine.snapshot().await.is_err(), "none is taken after a failure");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panicking_actor_comes_back_with_what_is_durable_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(config(dir.path()), 2, 2).await;
    let held = hold(&engine, &entries[0], "u1", &[1]).await.unwrap();
    engine.fail_actor(&entries[0]).await;
    assert!(hold(&engine, &entries[1], "u2", &[1]).await.is_ok());
    // While it comes back a request may be told so; it says that nothing happened.
    let taken_again = loop {
        match hold(&engine, &entries[0], "u2", &[1]).await {
            Err(EngineError::NotReady | EngineError::OutcomeUnknown) => tokio::task::yield_now().await,
            other => break other,
        }
    };
    assert!(taken(&taken_again.unwrap_err()));
    engine.act(&entries[0], release_command("u1", &held), None).await.unwrap();
    assert_eq!(entries[0].read().counts().held, 0);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_that_panics_too_often_is_left_stopped_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(config(dir.path()), 2, 2).await;
    let spent = async {
        while entries[0].is_running() {
            engine.fail_actor(&entries[0]).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), spent).await.expect("its restarts are bounded");
    assert_eq!(hold(&engine, &entries[0], "u", &[1]).await, Err(EngineError::NotReady));
    assert!(hold(&engine, &entries[1], "u", &[1]).await.is_ok());
    assert_eq!(entries[0].read().statuses().len(), 100, "reads go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_ends_at_its_deadline_without_any_request() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(config(dir.path())).await.unwrap();
    engine.change(CatalogueChange::PutVenue(support::venue(1, 5)), None).await.unwrap();
    engine.change(CatalogueChange::PutConcert(support::concert()), None).await.unwrap();
    let policy = Policy { hold: Seconds::new(1), ..Policy::default() };
    let mut plan = support::plan(engine.now(), policy);
    plan.sales_open_at = Some(engine.now());
    let id = onsale::domain::ids::ScheduleId::parse("s0").unwrap();
    engine.change(CatalogueChange::PutSchedule(id, support::concert().id, plan), None).await.unwrap();
    let entry = engine.schedule("s0").unwrap();
    let held = hold(&engine, &entry, "u1", &[1]).await.unwrap();
    let mut versions = entry.watch_seats();
    let freed = async { versions.wait_for(|version| *version == 2).await.map(|version| *version) };
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), freed).await.unwrap().unwrap(), 2);
    let schedule = entry.read().clone();
    assert_eq!(schedule.reservations_of("u1").next().unwrap().status, ReservationStatus::Expired);
    assert!(schedule.last_instant() >= held.expires_at, "never before the deadline");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_lives_through_an_outage_and_gets_its_time_back() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = config_at_now(dir.path());
    let (engine, entries) = open_with(config.clone(), 1, 1).await;
    let held = hold(&engine, &entries[0], "u1", &[1]).await.unwrap();
    engine.close().await.unwrap();
    let down_at = held.created_at;
    support::pass_millis(&clock, 1_000_000);
    let engine = Engine::open(config).await.unwrap();
    let entry = engine.schedule("s0").unwrap();
    let kept = entry.read().reservations_of("u1").next().cloned().unwrap();
    let grace = Policy::default().recovery_grace;
    assert!(kept.recovered);
    assert_eq!(kept.expires_at, down_at.plus_millis(1_000_000).plus(grace));
    assert_eq!(kept.status, ReservationStatus::Held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_was_removed_is_gone_everywhere_and_its_key_answers_again() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(config(dir.path()), 1, 1).await;
    let held = hold(&engine, &entries[0], "u1", &[1]).await.unwrap();
    let id = entries[0].id().clone();
    let remove = || CatalogueChange::RemoveSchedule(id.clone());
    let refused = engine.change(remove(), key(4, 4)).await;
    assert_eq!(refused, Err(Refusal::InUse.into()));
    engine.act(&entries[0], release_command("u1", &held), None).await.unwrap();
    assert_eq!(engine.change(remove(), key(4, 4)).await, Ok(Changed::Removed { replayed: false }));
    assert!(engine.schedule("s0").is_none());
    assert_eq!(engine.change(remove(), key(4, 4)).await, Ok(Changed::Removed { replayed: true }));
    let late = hold(&engine, &entries[0], "u1", &[1]).await.unwrap_err();
    assert!(matches!(late, EngineError::NoSuchSchedule | EngineError::NotReady), "{late}");
    engine.close().await.unwrap();
    let engine = Engine::open(config(dir.path())).await.unwrap();
    assert!(engine.schedule("s0").is_none());
    assert_eq!(engine.change(remove(), key(4, 4)).await, Ok(Changed::Removed { replayed: true }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_mailbox_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, disk) = on_memory(dir.path());
    config.mailbox_len_max = 4;
    config.journal.queue_len_max = 1;
    let (engine, entries) = open_with(config, 2, 1).await;
    disk.hold_syncs();
    let mut waiting = tokio::task::JoinSet::new();
    for seat in 0..100 {
        let (engine, entry) = (engine.clone(), Arc::clone(&entries[0]));
        waiting.spawn(async move { hold(&engine, &entry, "u1", &[seat]).await });
    }
    // The first that ends is refused, since nothing can be durable.
    let first = waiting.join_next().await.unwrap().unwrap();
    assert_eq!(first, Err(EngineError::Overloaded));
    disk.release_syncs();
    let mut held = 0;
    while let Some(outcome) = waiting.join_next().await {
        match outcome.unwrap() {
            Ok(_) => held += 1,
            Err(error) => assert_eq!(error, EngineError::Overloaded),
        }
    }
    assert_eq!(entries[0].read().counts().held, held);
    assert!(held > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovery_from_a_snapshot_equals_recovery_from_the_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = config_at_now(dir.path());
    let (engine, entries) = open_with(config.clone(), 4, 2).await;
    let mut holds = Vec::new();
    for seat in 0..20 {
        holds.push(
            hold(&engine, &entries[seat as usize % 2], &format!("u{}", seat % 3), &[seat]).await.unwrap(),
        );
        if seat == 9 {
            engine.snapshot().await.unwrap();
        }
        support::pass_millis(&clock, 1_000);
    }
    engine.act(&entries[0], release_command("u0", &holds[0]), None).await.unwrap();
    let live: Vec<_> = entries.iter().map(|entry| entry.read().clone()).collect();
    engine.snapshot().await.unwrap();
    let mut world = onsale::recovery::World::default();
    let mut count = 0;
    engine
        .journal()
        .for_each(onsale::journal::Position::START, |_, bytes| {
            let record = onsale::record::decode(bytes).unwrap();
            count += 1;
            world.apply(&record).unwrap();
            Ok::<(), onsale::journal::ReadError>(())
        })
        .unwrap();
    assert!(count > 20, "the beginning is retained");
    for schedule in live {
        assert_eq!(world.schedules[&schedule.number()], schedule);
    }
    world.check().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_snapshot_that_is_taken_under_load_lacks_nothing_up_to_its_position() {
    let dir = tempfile::tempdir().unwrap();
    let (config, _) = on_memory(dir.path());
    let (engine, entries) = open_with(config, 2, 2).await;
    let mut callers = tokio::task::JoinSet::new();
    for seat in 0..64_u32 {
        let (engine, entry) = (engine.clone(), Arc::clone(&entries[seat as usize % 2]));
        callers.spawn(async move {
            let name = format!("u{seat}");
            for _ in 0..100 {
                let held = hold(&engine, &entry, &name, &[seat]).await.unwrap();
                engine.act(&entry, release_command(&name, &held), None).await.unwrap();
            }
        });
    }
    while !callers.is_empty() {
        engine.snapshot().await.unwrap();
        let reader = engine.clone();
        // It begins from that snapshot, as recovery does.
        tokio::task::spawn_blocking(move || reader.point_in_time(&|| true).unwrap()).await.unwrap();
        while let Some(done) = callers.try_join_next() {
            done.unwrap();
        }
    }
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seat_map_of_an_earlier_instant_is_the_one_that_was_shown() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = config_at_now(dir.path());
    let (engine, entries) = open_with(config, 1, 1).await;
    let entry = &entries[0];
    let mut shown = Vec::new();
    for seat in 0..10 {
        support::pass_millis(&clock, 10);
        hold(&engine, entry, "u", &[seat]).await.unwrap();
        shown.push((engine.now(), entry.seats()));
        if seat % 4 == 0 {
            engine.snapshot().await.unwrap();
        }
    }
    for (at, (version, statuses)) in shown {
        let then = engine.schedule_at(entry, at).unwrap().unwrap();
        assert_eq!((then.seats_version(), then.statuses()), (version, &*statuses));
    }
    let before = engine.schedule_at(entry, onsale::domain::time::Timestamp::from_millis(1)).unwrap();
    assert!(before.is_none());
    let history = engine.history(entry, Some(Seat(3)), 10).unwrap();
    assert_eq!(history.len(), 1, "one hold of that seat");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_opens_by_itself_at_its_instant_at_the_prices_of_that_moment() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = config_at_now(dir.path());
    let engine = Engine::open(config).await.unwrap();
    engine.change(CatalogueChange::PutVenue(support::venue(1, 5)), None).await.unwrap();
    engine.change(CatalogueChange::PutConcert(support::concert()), None).await.unwrap();
    let mut plan = support::plan(support::NOW, Policy::default());
    plan.sales_open_at = Some(support::NOW.plus(Seconds::new(60)));
    let id = onsale::domain::ids::ScheduleId::parse("s0").unwrap();
    let put = CatalogueChange::PutSchedule(id, support::concert().id, plan);
    engine.change(put, None).await.unwrap();
    let entry = engine.schedule("s0").unwrap();
    let early = hold(&engine, &entry, "u", &[1]).await;
    assert_eq!(early, Err(Refusal::NotOpen.into()));
    let mut dearer = support::concert();
    dearer.grades[0].price = onsale::domain::money::Money::new(60_000).unwrap();
    engine.change(CatalogueChange::PutConcert(dearer.clone()), None).await.unwrap();
    clock.pass_millis(60_000);
    assert_eq!(entry.read().sale_at(engine.now()), SaleStatus::Open);
    let held = hold(&engine, &entry, "u", &[1]).await.unwrap();
    assert_eq!(entry.read().amount(&held.seats).minor(), 60_000);
    dearer.grades[0].price = onsale::domain::money::Money::new(70_000).unwrap();
    let late = engine.change(CatalogueChange::PutConcert(dearer), None).await;
    assert!(matches!(late, Err(EngineError::Refused(engine::Refusal::Catalogue(_)))), "prices stand");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_holds_after_their_time_is_told_that_they_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = config_at_now(dir.path());
    let (engine, entries) = open_with(config, 1, 3).await;
    let mut held = Vec::new();
    for entry in &entries {
        held.push(hold(&engine, entry, "kim", &[1]).await.unwrap());
    }
    // No schedule wakes up by a clock that jumps: each is asked by the one reader that looks at it.
    clock.pass_millis(600_000);
    let everyones = Narrow { user: None, schedule: Some("s0"), status: None };
    for narrow in [everyones, Narrow { user: Some("kim"), schedule: Some("s1"), status: None }] {
        let listed = engine.list_reservations(narrow, None, 10).await.unwrap().items;
        assert_eq!(listed.len(), 1, "{narrow:?}");
        assert_eq!(listed[0].2.status, ReservationStatus::Expired, "{narrow:?}");
    }
    let id = ReservationRef { number: held[2].number, nonce: held[2].nonce };
    let read = engine.read_reservation(&entries[2], id).await.unwrap();
    assert_eq!(read.status, ReservationStatus::Expired);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_callers_on_the_same_seats_never_share_one() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(config(dir.path()), 1, 1).await;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..400_u32 {
        let (engine, entry) = (engine.clone(), Arc::clone(&entries[0]));
        callers.spawn(async move {
            let command = hold_command(&format!("u{caller}"), &[caller % 50]);
            engine.act(&entry, command, None).await.map(reservation)
        });
    }
    let outcomes = callers.join_all().await;
    let mut seats: Vec<Seat> =
        outcomes.iter().flatten().flat_map(|held| held.seats.iter().copied()).collect();
    seats.sort_unstable();
    let everyone: Vec<Seat> = (0..50).map(Seat).collect();
    assert_eq!(seats, everyone, "each seat once, and none left over");
    assert!(outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).all(taken));
    let Command::Hold { .. } = hold_command("u", &[1]) else { unreachable!() };
    entries[0].read().check_invariants();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_began_after_the_kept_snapshots_has_its_past_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, clock) = config_at_now(dir.path());
    config.journal.retain = onsale::journal::Retain::Snapshot;
    let (engine, entries) = open_with(config, 1, 1).await;
    for seat in 0..4 {
        hold(&engine, &entries[0], "u", &[seat]).await.unwrap();
        support::pass_millis(&clock, 10);
        engine.snapshot().await.unwrap();
    }
    assert!(engine.journal().oldest() > onsale::journal::Position::new(1), "the beginning is gone");
    let id = onsale::domain::ids::ScheduleId::parse("late").unwrap();
    let plan = support::plan(engine.now(), Policy::default());
    engine.change(CatalogueChange::PutSchedule(id.clone(), support::concert().id, plan), None).await.unwrap();
    engine.change(CatalogueChange::OpenSchedule(id), None).await.unwrap();
    let late = engine.schedule("late").unwrap();
    hold(&engine, &late, "u", &[3]).await.unwrap();
    let now = engine.schedule_at(&late, engine.now()).unwrap().unwrap();
    assert_eq!(now.statuses(), late.read().statuses());
    let gone = engine.schedule_at(&entries[0], support::NOW);
    assert!(matches!(gone, Err(engine::HistoryError::NotRetained { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_release_at_the_end_of_the_retention_is_answered_with_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, clock) = config_at_now(dir.path());
    config.ended_retention = Seconds::new(1);
    let (engine, entries) = open_with(config, 1, 1).await;
    let held = hold(&engine, &entries[0], "u", &[1]).await.unwrap();
    engine.act(&entries[0], release_command("u", &held), None).await.unwrap();
    support::pass_millis(&clock, 5_000);
    let again = engine.act(&entries[0], release_command("u", &held), key(1, 1)).await.unwrap();
    assert_eq!(reservation(again).status, ReservationStatus::Released);
    let third = engine.act(&entries[0], release_command("u", &held), key(1, 1)).await.unwrap();
    assert!(third.replayed);
}
