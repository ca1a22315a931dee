//! The waiting room as an embedder uses it: what is acknowledged is durable, nothing is shown before it is, and a
//! restart brings the room back.
#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    reason = "a test fails loudly, and its numbers are small"
)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::task::Poll;

use onsale::clock::ManualClock;
use onsale::domain::catalogue::CatalogueRefusal;
use onsale::domain::ids::ScheduleId;
use onsale::domain::schedule::policy::{Policy, QueueOrder, QueuePolicy};
use onsale::domain::time::{Seconds, Timestamp};
use onsale::domain::waiting_room::{Answer, Place, PlaceStatus, Refusal, Ticket, Tuning, WaitingRoom};
use onsale::engine::{self, CatalogueChange, Done, Engine, EngineConfig, EngineError, ScheduleEntry};
use onsale::journal::{Journal, MemoryDisk, Position, ReadError};
use onsale::record::{self, Fact};
use onsale::recovery::World;
use support::{NOW, config, config_at_now, key, user};

fn on_memory(dir: &Path) -> (EngineConfig, MemoryDisk) {
    let disk = MemoryDisk::new();
    (on(&config(dir), &disk), disk)
}

fn on(config: &EngineConfig, disk: &MemoryDisk) -> EngineConfig {
    EngineConfig { medium: Some(Arc::new(disk.clone())), ..config.clone() }
}

fn one_at_a_time() -> QueuePolicy {
    QueuePolicy { active_max: 1, idle: None, ..QueuePolicy::default() }
}

/// Gives the schedule `s0` this waiting room, or none.
fn planned(queue: Option<QueuePolicy>) -> CatalogueChange {
    // Whenever it is put, and by whichever clock, the show is the same and yet to come.
    let plan =
        support::plan(NOW.plus(Seconds::new(10 * 365 * 86_400)), Policy { queue, ..Policy::default() });
    CatalogueChange::PutSchedule(ScheduleId::parse("s0").unwrap(), support::concert().id, plan)
}

/// Opens an engine with a schedule `s0` that is on sale.
async fn open_with(config: EngineConfig, queue: Option<QueuePolicy>) -> (Engine, Arc<ScheduleEntry>) {
    let engine = Engine::open(config).await.unwrap();
    engine.change(CatalogueChange::PutVenue(support::venue(2, 50)), None).await.unwrap();
    engine.change(CatalogueChange::PutConcert(support::concert()), None).await.unwrap();
    engine.change(planned(queue), None).await.unwrap();
    let open = CatalogueChange::OpenSchedule(ScheduleId::parse("s0").unwrap());
    engine.change(open, None).await.unwrap();
    let entry = engine.schedule("s0").unwrap();
    (engine, entry)
}

async fn reopen(config: EngineConfig) -> (Engine, Arc<ScheduleEntry>) {
    let engine = Engine::open(config).await.unwrap();
    let entry = engine.schedule("s0").unwrap();
    (engine, entry)
}

fn place(acted: Result<Done<Answer>, EngineError>) -> Place {
    match acted.unwrap().answer {
        Answer::Place(place) | Answer::Standing(place) => place,
        Answer::Room(room) => panic!("a place was expected, not {room:?}"),
    }
}

async fn join(engine: &Engine, entry: &ScheduleEntry, name: &str) -> Place {
    place(engine.join(entry, &user(name), None).await)
}

async fn leave(engine: &Engine, entry: &ScheduleEntry, name: &str, ticket: Ticket) {
    engine.leave(entry, &user(name), ticket, None).await.unwrap();
}

/// Waits until all that the room was asked so far has happened and is durable.
async fn settle(engine: &Engine, entry: &ScheduleEntry) {
    engine.tune(entry, Tuning::default(), None).await.unwrap();
}

async fn show_life(engine: &Engine, entry: &ScheduleEntry, ticket: Ticket) {
    engine.show_life(entry, ticket);
    settle(engine, entry).await;
}

fn is_active(engine: &Engine, entry: &ScheduleEntry, ticket: Ticket) -> bool {
    entry.room().is_active(ticket, engine.now())
}

/// Asks for a place from a task of its own.
fn ask(
    engine: &Engine,
    entry: &Arc<ScheduleEntry>,
    name: &'static str,
) -> tokio::task::JoinHandle<Result<Done<Answer>, EngineError>> {
    let (engine, entry) = (engine.clone(), Arc::clone(entry));
    tokio::spawn(async move { engine.join(&entry, &user(name), None).await })
}

/// The room as the journal alone tells, from its beginning.
fn replayed(engine: &Engine, entry: &ScheduleEntry) -> WaitingRoom {
    let mut world = World::default();
    let apply = |_, bytes: &[u8]| {
        world.apply(&record::decode(bytes).unwrap()).unwrap();
        Ok::<(), ReadError>(())
    };
    engine.journal().for_each(Position::START, apply).unwrap();
    world.check().unwrap();
    world.rooms.remove(&entry.number()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_is_neither_answered_nor_shown_before_it_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let (config, disk) = on_memory(dir.path());
    let (engine, entry) = open_with(config, Some(one_at_a_time())).await;
    let versions = entry.room().watch();
    disk.hold_syncs();
    let kim = ask(&engine, &entry, "kim");
    tokio::task::block_in_place(|| disk.wait_for_held_sync());
    // What they are told rests on a place that isn't durable yet: it waits with it (V1).
    let (again, lee) = (ask(&engine, &entry, "kim"), ask(&engine, &entry, "lee"));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!kim.is_finished() && !again.is_finished() && !lee.is_finished());
    assert!(!versions.has_changed().unwrap());
    assert_eq!(entry.room().read().joined_total(), 0);
    assert!(!is_active(&engine, &entry, Ticket(1)), "the pass opens nothing yet");
    disk.release_syncs();
    let kim = place(kim.await.unwrap());
    assert_eq!((kim.ticket, kim.status), (Ticket(1), PlaceStatus::Active));
    assert_eq!(again.await.unwrap().unwrap().answer, Answer::Standing(kim));
    let lee = place(lee.await.unwrap());
    assert_eq!((lee.status, lee.position), (PlaceStatus::Waiting, Some(1)));
    assert!(is_active(&engine, &entry, kim.ticket) && versions.has_changed().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_let_in_or_out_before_it_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let (config, disk) = on_memory(dir.path());
    let (engine, entry) = open_with(config, Some(one_at_a_time())).await;
    let kim = join(&engine, &entry, "kim").await.ticket;
    let lee = join(&engine, &entry, "lee").await.ticket;
    disk.hold_syncs();
    let left = {
        let (engine, entry) = (engine.clone(), Arc::clone(&entry));
        tokio::spawn(async move { leave(&engine, &entry, "kim", kim).await })
    };
    tokio::task::block_in_place(|| disk.wait_for_held_sync());
    let shown = |ticket| entry.room().read().place(ticket, engine.now()).unwrap();
    assert!(!left.is_finished());
    assert_eq!(shown(kim).status, PlaceStatus::Active);
    assert_eq!((shown(lee).status, shown(lee).position), (PlaceStatus::Waiting, Some(1)));
    assert!(is_active(&engine, &entry, kim) && !is_active(&engine, &entry, lee));
    disk.release_syncs();
    left.await.unwrap();
    assert_eq!(shown(lee).status, PlaceStatus::Active);
    assert!(!is_active(&engine, &entry, kim) && is_active(&engine, &entry, lee));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_whose_sync_failed_is_not_given_and_those_that_were_stand() {
    let dir = tempfile::tempdir().unwrap();
    let (config, disk) = on_memory(dir.path());
    let (engine, entry) = open_with(config, Some(one_at_a_time())).await;
    let kim = join(&engine, &entry, "kim").await;
    disk.fail_sync(1);
    assert_eq!(engine.join(&entry, &user("lee"), None).await, Err(EngineError::OutcomeUnknown));
    assert_eq!(engine.join(&entry, &user("park"), None).await, Err(EngineError::JournalUnavailable));
    let left = engine.leave(&entry, &user("kim"), kim.ticket, None).await;
    assert_eq!(left, Err(EngineError::JournalUnavailable));
    engine.show_life(&entry, kim.ticket);
    let again = engine.join(&entry, &user("kim"), None).await.unwrap();
    assert_eq!(again.answer, Answer::Standing(kim), "reads go on");
    assert!(is_active(&engine, &entry, kim.ticket));
    let room = entry.room().read();
    assert_eq!(
        (room.joined_total(), room.waiting(), room.active()),
        (1, 0, 1),
        "what isn't durable isn't shown"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_still_running_is_in_progress_and_then_answers_again() {
    let dir = tempfile::tempdir().unwrap();
    let (config, disk) = on_memory(dir.path());
    let (engine, entry) = open_with(config.clone(), Some(one_at_a_time())).await;
    disk.hold_syncs();
    let first = {
        let (engine, entry) = (engine.clone(), Arc::clone(&entry));
        tokio::spawn(async move { engine.join(&entry, &user("kim"), key(1, 1)).await })
    };
    tokio::task::block_in_place(|| disk.wait_for_held_sync());
    let again = engine.join(&entry, &user("kim"), key(1, 1)).await;
    assert_eq!(again, Err(EngineError::InProgress));
    disk.release_syncs();
    let first = first.await.unwrap().unwrap();
    leave(&engine, &entry, "kim", Ticket(1)).await;
    let repeated = Ok(Done { replayed: true, ..first });
    assert_eq!(engine.join(&entry, &user("kim"), key(1, 1)).await, repeated);
    assert_eq!(engine.join(&entry, &user("kim"), key(1, 2)).await, Err(EngineError::KeyReused));
    let (engine, entry) = reopen(on(&config, &disk.crashed())).await;
    assert_eq!(engine.join(&entry, &user("kim"), key(1, 1)).await, repeated, "also across a crash");
    assert_eq!(entry.room().read().joined_total(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_known_after_a_restart_though_the_room_was_shut_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let (config, disk) = on_memory(dir.path());
    let (engine, entry) = open_with(config.clone(), Some(one_at_a_time())).await;
    let first = engine.join(&entry, &user("kim"), key(1, 1)).await.unwrap();
    engine.change(planned(None), None).await.unwrap();
    let repeated = Ok(Done { replayed: true, ..first });
    assert_eq!(engine.join(&entry, &user("kim"), key(1, 1)).await, repeated);
    let (engine, entry) = reopen(on(&config, &disk.crashed())).await;
    assert_eq!(engine.join(&entry, &user("kim"), key(1, 1)).await, repeated);
    let refused = engine.join(&entry, &user("kim"), None).await;
    assert_eq!(refused, Err(Refusal::NoRoom.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_a_crash_and_what_was_not_harms_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (config, disk) = on_memory(dir.path());
    let (engine, entry) = open_with(config.clone(), Some(one_at_a_time())).await;
    let kim = join(&engine, &entry, "kim").await;
    let lee = join(&engine, &entry, "lee").await;
    disk.hold_syncs();
    let park = ask(&engine, &entry, "park");
    tokio::task::block_in_place(|| disk.wait_for_held_sync());
    for written in 0..=disk.unsynced() {
        let (engine, entry) = reopen(on(&config, &disk.crashed_after_writes(written))).await;
        assert_eq!(join(&engine, &entry, "kim").await, kim);
        assert_eq!(join(&engine, &entry, "lee").await, lee);
        assert_eq!(join(&engine, &entry, "park").await.position, Some(2));
        assert_eq!(entry.room().read().joined_total(), 3);
        entry.room().read().check_invariants();
    }
    disk.release_syncs();
    assert_eq!(place(park.await.unwrap()).position, Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_brings_the_room_back_as_it_was() {
    for order in [QueueOrder::Fifo, QueueOrder::Shuffle] {
        let dir = tempfile::tempdir().unwrap();
        let (config, clock) = config_at_now(dir.path());
        let opens_at = Some(NOW.plus(Seconds::new(60)));
        let queue = QueuePolicy { active_max: 3, idle: None, order, opens_at, ..QueuePolicy::default() };
        let (engine, entry) = open_with(config.clone(), Some(queue)).await;
        let mut tickets = Vec::new();
        for number in 0..40 {
            clock.pass_millis(7);
            let name = format!("fan-{number}");
            tickets.push((join(&engine, &entry, &name).await.ticket, name));
            if number == 20 {
                engine.snapshot().await.unwrap();
            }
        }
        support::pass_millis(&clock, 60_000);
        settle(&engine, &entry).await;
        engine.snapshot().await.unwrap();
        for (ticket, name) in &tickets[10..30] {
            leave(&engine, &entry, name, *ticket).await;
            clock.pass_millis(100);
        }
        engine.join(&entry, &user("late"), key(5, 5)).await.unwrap();
        let tuning = Tuning { active_max: Some(5), admit_per_minute: Some(Some(6_000)), paused: Some(false) };
        engine.tune(&entry, tuning, key(6, 6)).await.unwrap();
        clock.pass_millis(1_000);
        settle(&engine, &entry).await;
        // Whoever is at the seats has shown up: nothing is to be bridged.
        let active: Vec<Ticket> = entry.room().read().actives().map(|(ticket, ..)| ticket).collect();
        assert_eq!(active.len(), 5);
        for ticket in &active {
            show_life(&engine, &entry, *ticket).await;
        }
        let before = entry.room().read().clone();
        assert_eq!(replayed(&engine, &entry), before, "from the beginning of the journal");
        engine.close().await.unwrap();
        let (engine, entry) = reopen(config).await;
        assert_eq!(*entry.room().read(), before, "from the snapshot at the end");
        for (ticket, _) in &tickets {
            assert_eq!(is_active(&engine, &entry, *ticket), active.contains(ticket));
        }
        entry.room().read().check_invariants();
        engine.close().await.unwrap();
    }
}

/// The kinds of records that a disk holds of schedules (false) and of rooms (true), in order.
fn records(config: &EngineConfig, disk: &MemoryDisk) -> Vec<bool> {
    let opened = Journal::open_in(config.journal.clone(), Arc::new(disk.crashed())).unwrap();
    let mut kinds = Vec::new();
    let visit = |_, bytes: &[u8]| {
        match record::decode(bytes).unwrap().fact {
            Fact::Schedule(..) => kinds.push(false),
            Fact::WaitingRoom(..) => kinds.push(true),
            Fact::Catalogue(_) | Fact::Accounts(..) | Fact::Payments(..) | Fact::User(_) => {}
        }
        Ok::<(), ReadError>(())
    };
    opened.for_each(Position::START, visit).unwrap();
    kinds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_a_crash_kept_from_being_set_up_is_there_after_the_restart() {
    // The schedule is listed and created, and its room is not set up: whether or not the catalogue says yet that it was created.
    for syncs in [2, 3] {
        let dir = tempfile::tempdir().unwrap();
        let (config, disk) = on_memory(dir.path());
        let engine = Engine::open(config.clone()).await.unwrap();
        engine.change(CatalogueChange::PutVenue(support::venue(2, 50)), None).await.unwrap();
        engine.change(CatalogueChange::PutConcert(support::concert()), None).await.unwrap();

        disk.freeze_after_syncs(syncs);
        engine.change(planned(Some(one_at_a_time())), None).await.unwrap();
        assert_eq!(records(&config, &disk), [false], "the crash is where the test means it to be");

        let (engine, entry) = reopen(on(&config, &disk.crashed())).await;
        assert!(entry.room().is_open());
        assert_eq!(entry.room().read().settings().unwrap().policy, one_at_a_time());
        engine.change(CatalogueChange::OpenSchedule(entry.id().clone()), None).await.unwrap();
        assert_eq!(join(&engine, &entry, "kim").await.status, PlaceStatus::Active);
        assert_eq!(join(&engine, &entry, "lee").await.position, Some(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_follows_its_schedules_plan_wherever_a_crash_cut_a_change_of_it() {
    let other = QueuePolicy { active_max: 7, ..QueuePolicy::default() };
    let plans = [None, Some(one_at_a_time()), Some(other)];
    for from in &plans {
        for to in plans.iter().filter(|to| *to != from) {
            for syncs in 0..=2 {
                let dir = tempfile::tempdir().unwrap();
                let (config, disk) = on_memory(dir.path());
                let (engine, entry) = open_with(config.clone(), from.clone()).await;
                let kim = match from {
                    Some(_) => Some(join(&engine, &entry, "kim").await),
                    None => None,
                };
                disk.freeze_after_syncs(syncs);
                engine.change(planned(to.clone()), None).await.unwrap();
                let (engine, entry) = reopen(on(&config, &disk.crashed())).await;
                let now = entry.read().plan().policy.queue.clone();
                let case = format!("{from:?} to {to:?} after {syncs} syncs");
                assert!(now == *from || now == *to, "{case}");
                assert_eq!(entry.room().read().settings().map(|found| found.policy.clone()), now, "{case}");
                // A place that was given stands as long as there is a room (S3).
                if let (Some(kim), true) = (kim, now.is_some()) {
                    assert_eq!(join(&engine, &entry, "kim").await.ticket, kim.ticket, "{case}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_followed_in_all_but_the_order_where_someone_comes_in_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let (config, disk) = on_memory(dir.path());
    let opens_at = Some(NOW.plus(Seconds::new(9 * 365 * 86_400)));
    let drawn = QueuePolicy { order: QueueOrder::Shuffle, opens_at, ..one_at_a_time() };
    let (engine, entry) = open_with(config.clone(), Some(drawn)).await;
    settle(&engine, &entry).await;
    let policy = |entry: &ScheduleEntry| entry.room().read().settings().unwrap().policy.clone();

    // The plan is announced, since nobody waits, and not yet followed.
    disk.hold_syncs();
    let three = planned(Some(QueuePolicy { active_max: 3, opens_at, ..one_at_a_time() }));
    let (putting, change) = (engine.clone(), three.clone());
    let put = tokio::spawn(async move { putting.change(change, None).await });
    tokio::task::block_in_place(|| disk.wait_for_held_sync());
    let kim = user("kim");
    let mut joins = std::pin::pin!(engine.join(&entry, &kim, None));
    let waits = std::future::poll_fn(|context| Poll::Ready(joins.as_mut().poll(context).is_pending())).await;
    assert!(waits, "kim's place isn't durable");
    disk.release_syncs();
    let kim = place(joins.await);
    put.await.unwrap().unwrap();
    assert_eq!((policy(&entry).order, policy(&entry).active_max), (QueueOrder::Shuffle, 3));
    let again = engine.change(three, None).await;
    assert!(
        matches!(again, Err(EngineError::Refused(engine::Refusal::Catalogue(CatalogueRefusal::InUse(_))))),
        "{again:?}"
    );

    // What is left of it is followed by the next start, and undoes nothing.
    let tuning = Tuning { active_max: Some(4), ..Tuning::default() };
    engine.tune(&entry, tuning, None).await.unwrap();
    leave(&engine, &entry, "kim", kim.ticket).await;
    let (_engine, entry) = reopen(on(&config, &disk.crashed())).await;
    assert_eq!((policy(&entry).order, policy(&entry).active_max), (QueueOrder::Fifo, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_tuned_stands_though_the_engine_starts_with_other_limits() {
    let dir = tempfile::tempdir().unwrap();
    let (config, disk) = on_memory(dir.path());
    let (engine, entry) = open_with(config.clone(), Some(one_at_a_time())).await;
    let tuning = Tuning { active_max: Some(9), admit_per_minute: Some(Some(30)), paused: Some(true) };
    engine.tune(&entry, tuning, None).await.unwrap();
    let mut disk = disk.crashed();
    for keys_max in [500_000, 500_000, 400_000] {
        let (_engine, entry) = reopen(EngineConfig { keys_max, ..on(&config, &disk) }).await;
        let overview = entry.room().read().overview();
        let tuned = (overview.active_max, overview.admit_per_minute, overview.paused);
        assert_eq!(tuned, (9, Some(30), true), "S3: an administrator was told that it is so");
        disk = disk.crashed();
    }
}

/// An engine on a disk in memory whose clock the test moves, with kim at the seats and lee next.
async fn with_two(dir: &Path) -> (EngineConfig, ManualClock, MemoryDisk, Engine, Arc<ScheduleEntry>) {
    let disk = MemoryDisk::new();
    let (config, clock) = config_at_now(dir);
    let config = on(&config, &disk);
    let queue = QueuePolicy { claim: Seconds::new(60), active: Seconds::new(600), ..one_at_a_time() };
    let (engine, entry) = open_with(config.clone(), Some(queue)).await;
    join(&engine, &entry, "kim").await;
    join(&engine, &entry, "lee").await;
    (config, clock, disk, engine, entry)
}

fn pass(entry: &ScheduleEntry, ticket: u32) -> Option<(Timestamp, Option<Timestamp>)> {
    entry.room().read().pass(Ticket(ticket))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_moves_no_pass_and_takes_nobody_the_time_to_show_up() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock, _, engine, entry) = with_two(dir.path()).await;
    support::pass_millis(&clock, 20_000);
    let expires_at = NOW.plus(Seconds::new(600));
    assert_eq!(pass(&entry, 1), Some((expires_at, Some(NOW.plus(Seconds::new(60))))));
    engine.close().await.unwrap();
    clock.pass_millis(300_000);
    let (engine, entry) = reopen(config).await;
    let (found, claim_by) = pass(&entry, 1).unwrap();
    assert_eq!(found, expires_at, "a pass ends when it ends");
    let claim_by = claim_by.unwrap();
    assert!(claim_by >= NOW.plus(Seconds::new(340)), "forty seconds were left: {claim_by}");
    assert!(is_active(&engine, &entry, Ticket(1)) && !is_active(&engine, &entry, Ticket(2)));
    clock.pass_millis(claim_by.millis_since(engine.now()) - 1);
    assert!(is_active(&engine, &entry, Ticket(1)));
    clock.pass_millis(1);
    assert!(!is_active(&engine, &entry, Ticket(1)));
    settle(&engine, &entry).await;
    assert!(is_active(&engine, &entry, Ticket(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_ended_during_an_outage_is_the_next_ones_room() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock, _, engine, entry) = with_two(dir.path()).await;
    show_life(&engine, &entry, Ticket(1)).await;
    engine.close().await.unwrap();
    clock.pass_millis(700_000);
    let (engine, entry) = reopen(config).await;
    assert!(!is_active(&engine, &entry, Ticket(1)), "at no instant");
    settle(&engine, &entry).await;
    assert!(is_active(&engine, &entry, Ticket(2)));
    assert_eq!(entry.room().read().ending(Ticket(1)), PlaceStatus::Expired);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_of_life_counts_from_the_moment_on_at_which_it_was_shown() {
    let dir = tempfile::tempdir().unwrap();
    let (_, clock, disk, engine, entry) = with_two(dir.path()).await;
    support::pass_millis(&clock, 59_999);
    disk.hold_syncs();
    engine.show_life(&entry, Ticket(1));
    tokio::task::block_in_place(|| disk.wait_for_held_sync());
    clock.pass_millis(1);
    assert!(is_active(&engine, &entry, Ticket(1)), "though the journal has not noted it yet");
    disk.release_syncs();
    settle(&engine, &entry).await;
    assert!(is_active(&engine, &entry, Ticket(1)) && !is_active(&engine, &entry, Ticket(2)));
    assert_eq!(pass(&entry, 1), Some((NOW.plus(Seconds::new(600)), None)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_mailbox_of_a_room_is_refused_at_once_and_gives_no_place() {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, disk) = on_memory(dir.path());
    config.mailbox_len_max = 4;
    config.journal.queue_len_max = 1;
    let (engine, entry) = open_with(config, Some(one_at_a_time())).await;
    disk.hold_syncs();
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..100 {
        let (engine, entry) = (engine.clone(), Arc::clone(&entry));
        waiting.spawn(async move { engine.join(&entry, &user(&format!("fan-{number}")), None).await });
    }
    // The first that ends is refused, since nothing can be durable.
    let first = waiting.join_next().await.unwrap().unwrap();
    assert_eq!(first, Err(EngineError::Overloaded));
    disk.release_syncs();
    let mut joined = 0;
    while let Some(outcome) = waiting.join_next().await {
        match outcome.unwrap() {
            Ok(_) => joined += 1,
            Err(error) => assert_eq!(error, EngineError::Overloaded),
        }
    }
    let room = entry.room().read();
    assert_eq!((room.joined_total(), room.waiting() + room.active()), (joined, joined));
    assert!(joined > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_one_event_names_are_let_in_before_the_answer_and_end_together() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = config_at_now(dir.path());
    let disk = MemoryDisk::new();
    let queue = QueuePolicy { claim: Seconds::new(60), ..one_at_a_time() };
    let (engine, entry) = open_with(on(&config, &disk), Some(queue)).await;
    for number in 0..700 {
        join(&engine, &entry, &format!("fan-{number}")).await;
    }
    let tuning = Tuning { active_max: Some(1_000), ..Tuning::default() };
    engine.tune(&entry, tuning, None).await.unwrap();
    assert_eq!((entry.room().read().waiting(), entry.room().read().active()), (0, 700));
    support::pass_millis(&clock, 60_000);
    assert_eq!(join(&engine, &entry, "late").await.status, PlaceStatus::Active);
    assert_eq!(entry.room().read().active(), 1, "nobody else has shown up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_who_come_and_go_at_once_stand_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let queue = QueuePolicy { active_max: 10, ..QueuePolicy::default() };
    let (engine, entry) = open_with(config(dir.path()), Some(queue)).await;
    let mut fans = tokio::task::JoinSet::new();
    for number in 0..400_u32 {
        let (engine, entry) = (engine.clone(), Arc::clone(&entry));
        fans.spawn(async move {
            let name = format!("fan-{number}");
            let ticket = join(&engine, &entry, &name).await.ticket;
            assert_eq!(join(&engine, &entry, &name).await.ticket, ticket, "one place a user");
            assert!(entry.room().read().active() <= 10, "Q1");
            if number % 4 == 0 {
                leave(&engine, &entry, &name, ticket).await;
            }
            (ticket.0, number % 4 != 0)
        });
    }
    let mut outcomes = fans.join_all().await;
    outcomes.sort_unstable();
    let tickets: Vec<u32> = outcomes.iter().map(|(ticket, _)| *ticket).collect();
    assert_eq!(tickets, (1..=400).collect::<Vec<u32>>(), "each ticket once, and none left out");
    let room = entry.room().read();
    assert_eq!((room.waiting(), room.active()), (290, 10));
    let stayed: Vec<Ticket> =
        outcomes.iter().filter(|(_, stays)| *stays).map(|(ticket, _)| Ticket(*ticket)).collect();
    let in_line: Vec<Ticket> = room.in_line().collect();
    assert_eq!(in_line[..], stayed[10..], "whoever is at the seats came first");
    for (ticket, position) in in_line.iter().zip(1..) {
        assert_eq!(room.position(*ticket), Some(position));
    }
    room.check_invariants();
    drop(room);
    assert_eq!(replayed(&engine, &entry), *entry.room().read());
}
