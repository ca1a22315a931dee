//! What one change does to the catalogue and to schedules, each in a stream of its own: killed between any two entries of the
//! journal, it has happened wholly or not at all once the next start is done, and its idempotency key says which.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use onsale::clock::{Clock, ManualClock, SystemClock};
use onsale::domain::catalogue::{CatalogueEvent, CatalogueRefusal, Put};
use onsale::domain::cause::{By, Cause};
use onsale::domain::concert::Concert;
use onsale::domain::ids::{GradeName, ScheduleId, ScheduleNumber};
use onsale::domain::money::Money;
use onsale::domain::payments::Method;
use onsale::domain::schedule::policy::{Policy, QueuePolicy};
use onsale::domain::schedule::{Command, Creation, Event, Limits, Plan, ReservationRef, SaleStatus};
use onsale::domain::time::{Seconds, Timestamp};
use onsale::domain::venue::Layout;
use onsale::engine::{
    CatalogueChange, Changed, Engine, EngineConfig, EngineError, Import, Purchase, Refusal,
};
use onsale::journal::{
    Entry, EntryTooLarge, FrameReport, Hooks, InspectError, Inspection, Journal, MemoryDisk, Position,
    Records,
};
use onsale::record::{self, Stream};
use support::{
    NOW, concert, config, config_at_now, cut_off, hold, key, one_entry_a_sync, open_with, plan, user, venue,
};

const SCHEDULES: u32 = 3;
const PRICE: u64 = 50_000;
const DEARER: u64 = 60_000;

/// An engine's settings on a disk.
fn on(disk: &MemoryDisk, dir: &Path) -> EngineConfig {
    one_entry_a_sync(EngineConfig { medium: Some(Arc::new(disk.clone())), ..config(dir) })
}

fn id(index: u32) -> ScheduleId {
    ScheduleId::parse(&format!("s{index}")).unwrap()
}

fn put(index: u32, plan: Plan) -> CatalogueChange {
    CatalogueChange::PutSchedule(id(index), concert().id, plan)
}

fn priced(price: u64) -> Concert {
    let mut concert = concert();
    concert.grades[0].price = Money::new(price).unwrap();
    concert
}

/// Lists schedules whose sales never opened.
async fn listed(config: EngineConfig) -> Engine {
    let engine = Engine::open(config).await.unwrap();
    engine.change(CatalogueChange::PutVenue(venue(1, 4)), None).await.unwrap();
    engine.change(CatalogueChange::PutConcert(concert()), None).await.unwrap();
    for index in 0..SCHEDULES {
        engine.change(put(index, plan(engine.now(), Policy::default())), None).await.unwrap();
    }
    engine
}

/// What is left of a disk when an engine has done something on it.
async fn left(dir: &Path, prepare: impl AsyncFnOnce(EngineConfig) -> Engine) -> MemoryDisk {
    let disk = MemoryDisk::new();
    drop(prepare(on(&disk, dir)).await);
    disk.crashed()
}

/// Makes a change with a key, kills it at every sync of its own, and shows each next start with the number of the point. Asked again
/// with the key, the change is done: returns what that was answered at each point.
async fn killed_anywhere(
    dir: &Path,
    start: &MemoryDisk,
    change: &CatalogueChange,
    mut shown: impl FnMut(&Engine, &str),
    done: impl Fn(&Engine),
) -> Vec<Changed> {
    let ask = async |engine: &Engine| {
        engine.change(change.clone(), Cause { by: By::Engine, key: key(7, 7) }).await.unwrap()
    };

    let mut answers = Vec::new();
    for point in 0.. {
        let disk = start.crashed();
        let engine = Engine::open(on(&disk, dir)).await.unwrap();
        let first = async { drop(ask(&engine).await) };
        let killed = cut_off(&disk, point, first).await;
        done(&engine);
        drop(engine);

        let engine = Engine::open(on(&disk.crashed(), dir)).await.unwrap();
        shown(&engine, &format!("killed after {point} syncs"));
        answers.push(ask(&engine).await);
        done(&engine);
        if !killed {
            break;
        }
    }
    answers
}

/// The journal of a disk, to write what an engine would.
fn journal(disk: &MemoryDisk, dir: &Path) -> Journal {
    let journal = Journal::open_in(on(disk, dir).journal, Arc::new(disk.clone())).unwrap();
    journal.start(Hooks::with_clock(Arc::new(|| NOW.as_millis()))).unwrap()
}

/// Writes a record's bytes.
type Write<'w> = &'w dyn Fn(&mut Vec<u8>);

/// Appends records in one entry.
async fn append(journal: &Journal, writes: &[Write<'_>]) {
    let mut records = Records::new();
    for write in writes {
        let pushed = records.push_with(|bytes| {
            write(bytes);
            Ok::<(), EntryTooLarge>(())
        });
        pushed.unwrap();
    }
    journal.reserve().await.unwrap().send(Entry { records, done: Box::new(|_| {}) });
}

/// The price that every schedule opens with, which is the concert's.
fn price(engine: &Engine) -> u64 {
    let of_concert = engine.catalogue().concert("show").unwrap().grades[0].price.minor();
    for entry in engine.schedules() {
        assert_eq!(entry.read().prices().unwrap().by_grade[0].minor(), of_concert, "{}", entry.id());
    }
    of_concert
}

#[tokio::test]
async fn a_change_of_prices_that_is_killed_anywhere_is_every_schedules_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let start = left(dir.path(), listed).await;
    let change = CatalogueChange::PutConcert(priced(DEARER));
    let mut ends = Vec::new();
    let shown = |engine: &Engine, _: &str| ends.push(price(engine));
    killed_anywhere(dir.path(), &start, &change, shown, |engine| assert_eq!(price(engine), DEARER)).await;
    assert!(ends.is_sorted() && ends.starts_with(&[PRICE]) && ends.ends_with(&[DEARER]), "{ends:?}");
    let undone = ends.iter().filter(|price| **price == PRICE).count();
    assert!(undone > 1, "the concert's entry comes behind the schedules': {ends:?}");
}

#[tokio::test]
async fn a_change_of_prices_that_reached_some_schedules_is_undone_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let disk = left(dir.path(), listed).await;
    let at = SystemClock::new().now();
    let journal = journal(&disk, dir.path());
    let prices = Arc::new(priced(DEARER).prices(&Layout::new(&venue(1, 4).sections).unwrap()).unwrap());
    for number in 1..SCHEDULES {
        let set = Event::PricesSet { prices: Arc::clone(&prices) };
        append(
            &journal,
            &[&|bytes| {
                record::encode_fact(
                    bytes,
                    2,
                    at,
                    None,
                    record::FactRef::Schedule(ScheduleNumber(number), &set),
                );
            }],
        )
        .await;
    }
    journal.close().await.unwrap();
    let engine = Engine::open(on(&disk.crashed(), dir.path())).await.unwrap();
    assert_eq!(price(&engine), PRICE);
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_schedule_that_cannot_take_other_prices_keeps_the_others_from_them() {
    let dir = tempfile::tempdir().unwrap();
    let engine = listed(config(dir.path())).await;
    let last = engine.schedule("s2").unwrap();
    while last.is_running() {
        engine.fail_actor(&last).await;
        tokio::task::yield_now().await;
    }
    let dearer = CatalogueChange::PutConcert(priced(DEARER));
    assert_eq!(engine.change(dearer.clone(), key(7, 7)).await, Err(EngineError::NotReady));
    assert_eq!(price(&engine), PRICE);
    // What it had begun is undone, and doesn't come back.
    engine.close().await.unwrap();
    let engine = Engine::open(config(dir.path())).await.unwrap();
    assert_eq!(price(&engine), PRICE);
    assert_eq!(engine.change(dearer, key(7, 7)).await, Ok(Changed::Put(Put::Replaced)));
    assert_eq!(price(&engine), DEARER);
    engine.close().await.unwrap();
}

#[tokio::test]
async fn prices_stand_from_five_seconds_before_the_first_sale_of_the_concert() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = config_at_now(dir.path());
    let engine = listed(config).await;
    let opens = Plan { sales_open_at: Some(NOW.plus(Seconds::new(60))), ..plan(NOW, Policy::default()) };
    engine.change(put(1, opens), None).await.unwrap();

    clock.pass_millis(54_999);
    engine.change(CatalogueChange::PutConcert(priced(DEARER)), None).await.unwrap();
    assert_eq!(price(&engine), DEARER);
    clock.pass_millis(1);
    let refused = engine.change(CatalogueChange::PutConcert(priced(PRICE)), None).await;
    let is_in_use = |error: &EngineError| {
        matches!(error, EngineError::Refused(Refusal::Catalogue(CatalogueRefusal::InUse(_))))
    };
    assert!(is_in_use(&refused.unwrap_err()));
    assert_eq!(price(&engine), DEARER);

    // Another order of the grades, or a new one, is no other price.
    let mut more = priced(DEARER);
    more.grades.insert(
        0,
        onsale::domain::concert::PricedGrade {
            name: GradeName::parse("VIP").unwrap(),
            ..more.grades[0].clone()
        },
    );
    clock.pass_millis(5_000);
    engine.change(CatalogueChange::PutConcert(more), None).await.unwrap();
    let entry = engine.schedule("s1").unwrap();
    let held = hold(&engine, &entry, "u", &[1]).await.unwrap();
    assert_eq!(entry.read().amount(&held.seats).minor(), DEARER);
    engine.close().await.unwrap();
}

/// Writes what the version before wrote for a schedule: its listing and its stream in one entry, and no prices but the concert's.
async fn as_the_version_before(disk: &MemoryDisk, dir: &Path, plan: Plan) {
    let journal = journal(disk, dir);
    let creation = Creation {
        number: ScheduleNumber(1),
        id: id(0),
        concert: concert().id,
        venue: venue(1, 4).id,
        currency: concert().currency,
        plan: Arc::new(plan),
        limits: Limits { ended_retention: Seconds::DAY, keys_max: 9 },
        prices: None,
    };
    let listed = CatalogueEvent::ScheduleListed {
        id: id(0),
        number: creation.number,
        concert: concert().id,
        creation: None,
    };
    let events = [
        CatalogueEvent::VenuePut(Arc::new(venue(1, 4))),
        CatalogueEvent::ConcertPut(Arc::new(concert())),
        listed,
    ];
    let [venue, concert, listed] = [1, 2, 3].map(|version| {
        let event = &events[usize::try_from(version - 1).unwrap()];
        move |bytes: &mut Vec<u8>| {
            record::encode_fact(bytes, version, NOW, None, record::FactRef::Catalogue(event));
        }
    });
    let created = Event::Created(Box::new(creation));
    let created = |bytes: &mut Vec<u8>| {
        record::encode_fact(bytes, 1, NOW, None, record::FactRef::Schedule(ScheduleNumber(1), &created));
    };
    append(&journal, &[&venue, &concert, &listed, &created]).await;
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_schedule_of_the_version_before_has_its_concerts_prices_from_the_next_start_on() {
    let dir = tempfile::tempdir().unwrap();
    for opens_in in [None, Some(60), Some(600)] {
        let disk = MemoryDisk::new();
        let sales_open_at = opens_in.map(|seconds| NOW.plus(Seconds::new(seconds)));
        let plan = Plan { sales_open_at, ..plan(NOW, Policy::default()) };
        as_the_version_before(&disk, dir.path(), plan).await;

        let clock = ManualClock::at(NOW.plus(Seconds::new(120)));
        let config = EngineConfig { clock: Arc::new(clock), ..on(&disk.crashed(), dir.path()) };
        let engine = Engine::open(config).await.unwrap();
        assert_eq!(price(&engine), PRICE);
        let entry = engine.schedule("s0").unwrap();
        let opened = opens_in == Some(60);
        assert_eq!(
            entry.read().sale_status() == SaleStatus::Open,
            opened,
            "in its time, also while nothing ran"
        );
        let dearer = engine.change(CatalogueChange::PutConcert(priced(DEARER)), None).await;
        assert_eq!(dearer.is_ok(), !opened);
        if !opened {
            engine.change(CatalogueChange::OpenSchedule(id(0)), None).await.unwrap();
        }
        let held = hold(&engine, &entry, "u", &[1]).await.unwrap();
        assert_eq!(entry.read().amount(&held.seats).minor(), if opened { PRICE } else { DEARER });
        engine.close().await.unwrap();
    }
}

/// A plan whose schedule has a waiting room.
fn with_a_room(now: Timestamp) -> Plan {
    plan(now, Policy { queue: Some(QueuePolicy::default()), ..Policy::default() })
}

/// Says whether a schedule is there; wholly, if it is: listed, with its actor and its room, and ready to be sold.
fn is_there(engine: &Engine, index: u32) -> bool {
    assert_eq!(engine.catalogue().creations(), [], "what was begun is done");
    let listed = engine.catalogue().schedule(&id(index)).map(|listing| listing.number);
    let Some(entry) = engine.schedule(&id(index)) else {
        assert_eq!(listed, None, "what is listed is there");
        return false;
    };
    assert_eq!(listed, Some(entry.number()));
    assert!(entry.is_running() && entry.room().read().configured().is_some());
    assert!(entry.read().prices().is_some());
    true
}

#[tokio::test]
async fn a_schedule_whose_creation_is_killed_anywhere_is_wholly_there_or_not_listed() {
    let dir = tempfile::tempdir().unwrap();
    let start = left(dir.path(), listed).await;
    let change = put(SCHEDULES, with_a_room(SystemClock::new().now()));
    let mut ends = Vec::new();
    let shown = |engine: &Engine, point: &str| {
        ends.push(is_there(engine, SCHEDULES));
        let count = if is_there(engine, SCHEDULES) { 4 } else { 3 };
        assert_eq!(engine.schedules().len(), count, "{point}");
    };
    let done = |engine: &Engine| assert!(is_there(engine, SCHEDULES));
    let answers = killed_anywhere(dir.path(), &start, &change, shown, done).await;

    assert!(ends.is_sorted() && ends.starts_with(&[false]), "{ends:?}");
    let there = ends.iter().filter(|there| **there).count();
    assert!(there > 2, "what is listed alone is created by the next start: {ends:?}");
    let put = |there: &bool| Changed::Put(if *there { Put::Replaced } else { Put::Created });
    assert_eq!(answers, ends.iter().map(put).collect::<Vec<_>>(), "the key is kept with the listing");
}

#[tokio::test]
async fn an_import_that_is_killed_anywhere_creates_all_of_its_schedules_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let start = left(dir.path(), listed).await;
    let now = SystemClock::new().now();
    // The last of them is there already, and gets another plan.
    let new = [SCHEDULES, SCHEDULES + 1, SCHEDULES + 2];
    let schedules = new.into_iter().chain([0]).map(|index| (id(index), concert().id, with_a_room(now)));
    let import = Import { schedules: schedules.collect(), ..Import::default() };
    let counts = import.counts();
    let all = |engine: &Engine| {
        let there = new.map(|index| is_there(engine, index));
        let has_room = engine.schedule(&id(0)).unwrap().room().read().configured().is_some();
        assert!(there.iter().all(|there| *there == has_room), "{there:?}, {has_room}");
        has_room
    };
    let mut ends = Vec::new();
    let shown = |engine: &Engine, _: &str| ends.push(all(engine));
    let done = |engine: &Engine| assert!(all(engine));
    let change = CatalogueChange::Import(import);
    let answers = killed_anywhere(dir.path(), &start, &change, shown, done).await;

    assert!(ends.is_sorted() && ends.starts_with(&[false]), "{ends:?}");
    let there = ends.iter().filter(|there| **there).count();
    assert!(there > new.len(), "what is listed alone is created by the next start: {ends:?}");
    let imported = |there: &bool| Changed::Imported { counts, replayed: *there };
    assert_eq!(answers, ends.iter().map(imported).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_schedule_whose_removal_is_killed_anywhere_is_there_or_listed_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let start = left(dir.path(), async |config| {
        let engine = listed(config).await;
        let change = put(SCHEDULES, with_a_room(engine.now()));
        engine.change(change, None).await.unwrap();
        engine
    });
    let start = start.await;
    let change = CatalogueChange::RemoveSchedule(id(SCHEDULES));
    let mut ends = Vec::new();
    let shown = |engine: &Engine, _: &str| ends.push(!is_there(engine, SCHEDULES));
    let done = |engine: &Engine| assert!(!is_there(engine, SCHEDULES));
    let answers = killed_anywhere(dir.path(), &start, &change, shown, done).await;

    assert!(ends.is_sorted() && ends.starts_with(&[false]), "{ends:?}");
    let gone = ends.iter().filter(|gone| **gone).count();
    assert!(gone > 1, "whose stream ended is unlisted by the next start: {ends:?}");
    let removed = |gone: &bool| Changed::Removed { replayed: *gone };
    assert_eq!(answers, ends.iter().map(removed).collect::<Vec<_>>(), "its key comes to the catalogue");
}

/// An engine with a schedule that is long over, which had a waiting room, and whose seat was paid for.
async fn over(config: EngineConfig, clock: &ManualClock) -> Engine {
    let (engine, entries) = open_with(config, 1, 1).await;
    engine.change(put(0, with_a_room(NOW)), None).await.unwrap();
    let kim = user("kim");
    let (amount, currency) = (Money::new(PRICE).unwrap(), concert().currency);
    engine.charge(&kim, amount, currency, 1, Cause::default()).await.unwrap();
    engine.join(&entries[0], &kim, None).await.unwrap();
    let held = hold(&engine, &entries[0], "kim", &[1]).await.unwrap();
    let reservation = ReservationRef { number: held.number, nonce: held.nonce };
    let method = Method::Balance;
    engine.pay(&entries[0], Purchase { user: kim, reservation, method, nonce: 7, key: None }).await.unwrap();
    clock.pass_millis(40 * 86_400_000);
    engine.act(&entries[0], Command::Close, None).await.unwrap();
    clock.pass_millis(2 * 86_400_000);
    engine
}

#[tokio::test]
async fn a_schedule_whose_move_to_the_archive_is_killed_anywhere_is_found_once_with_its_payment() {
    let clock = ManualClock::at(NOW);
    let settings =
        |disk: &MemoryDisk, dir: &Path| EngineConfig { clock: Arc::new(clock.clone()), ..on(disk, dir) };
    let (dir, disk) = (tempfile::tempdir().unwrap(), MemoryDisk::new());
    drop(over(settings(&disk, dir.path()), &clock).await);
    let start = disk.crashed();

    let mut ends = Vec::new();
    for point in 0.. {
        let (dir, disk) = (tempfile::tempdir().unwrap(), start.crashed());
        let engine = Engine::open(settings(&disk, dir.path())).await.unwrap();
        let archive = async {
            engine.archive_old().await.unwrap();
        };
        let killed = cut_off(&disk, point, archive).await;
        drop(engine);

        let disk = disk.crashed();
        for archived in [None, Some(true)] {
            let engine = Engine::open(settings(&disk, dir.path())).await.unwrap();
            let entry = engine.find_schedule("s0").await.unwrap().unwrap();
            let is_listed = engine.catalogue().is_archived(entry.number());
            assert_eq!(
                (entry.is_archived(), engine.schedules().is_empty()),
                (is_listed, is_listed),
                "{point}"
            );
            assert!(archived.is_none_or(|archived| archived == is_listed), "{point}");
            assert_eq!(entry.read().counts().reserved, 1, "{point}");
            let paid = support::payments_of(&engine, "kim").await;
            assert_eq!(paid.len(), 1, "{point}");
            if archived.is_none() {
                ends.push(is_listed);
            }
            engine.snapshot().await.unwrap();
            engine.archive_old().await.unwrap();
        }
        if !killed {
            break;
        }
    }
    assert!(ends.is_sorted() && ends.starts_with(&[false]), "{ends:?}");
    let moved = ends.iter().filter(|moved| **moved).count();
    assert!(moved > 1, "what has ended is listed so by the next start: {ends:?}");
}

#[tokio::test]
async fn no_entry_has_records_of_the_catalogue_and_of_another_stream() {
    let clock = ManualClock::at(NOW);
    let dir = tempfile::tempdir().unwrap();
    let config = EngineConfig { clock: Arc::new(clock.clone()), ..one_entry_a_sync(config(dir.path())) };
    let engine = over(config, &clock).await;
    engine.archive_old().await.unwrap();
    let schedules = [1, 2].map(|index| (id(index), concert().id, with_a_room(clock.now()))).into();
    let import = Import { schedules, ..Import::default() };
    engine.change(CatalogueChange::Import(import), None).await.unwrap();
    engine.change(CatalogueChange::RemoveSchedule(id(1)), None).await.unwrap();
    engine.close().await.unwrap();

    let inspection = Inspection::open(dir.path(), None).unwrap();
    let mut streams = BTreeMap::new();
    let note = |position: Position, bytes: &[u8]| {
        streams.insert(position.get(), record::decode(bytes).unwrap().stream());
        Ok::<_, InspectError>(())
    };
    inspection.for_each(Position::START, Position::END, note).unwrap();
    // A frame may have several entries, but the catalogue waits for each of its own.
    let mut of_catalogue = 0;
    for generation in inspection.generations() {
        let check = |frame: FrameReport| {
            let first = frame.first.position().get();
            let of_frame = streams.range(first..first + u64::from(frame.count)).map(|(_, stream)| *stream);
            let of_frame = of_frame.collect::<BTreeSet<_>>();
            if of_frame.contains(&Stream::Catalogue) {
                assert_eq!(of_frame.len(), 1, "at {first}: {of_frame:?}");
                of_catalogue += 1;
            }
        };
        inspection.frames(*generation, check).unwrap();
    }
    assert!(of_catalogue > 8, "{streams:?}");
}
