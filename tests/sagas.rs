//! What one change does to the catalogue and to schedules, each in a stream of its own: killed between any two entries of the
//! journal, it has happened wholly or not at all once the next start is done, and its idempotency key says which.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod support;

use std::path::Path;
use std::sync::Arc;

use onsale::clock::{Clock, ManualClock, SystemClock};
use onsale::domain::catalogue::{CatalogueEvent, CatalogueRefusal, Put};
use onsale::domain::cause::{By, Cause};
use onsale::domain::concert::Concert;
use onsale::domain::ids::{GradeName, ScheduleId, ScheduleNumber};
use onsale::domain::money::Money;
use onsale::domain::schedule::policy::Policy;
use onsale::domain::schedule::{Creation, Event, Limits, Plan, SaleStatus};
use onsale::domain::time::Seconds;
use onsale::domain::venue::Layout;
use onsale::engine::{CatalogueChange, Changed, Engine, EngineConfig, EngineError, Refusal};
use onsale::journal::{Entry, EntryTooLarge, Hooks, Journal, MemoryDisk, Records};
use onsale::record;
use support::{NOW, concert, config, config_at_now, cut_off, hold, key, one_entry_a_sync, plan, venue};

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
/// with the key, the change is done.
async fn killed_anywhere(
    dir: &Path,
    start: &MemoryDisk,
    change: &CatalogueChange,
    mut shown: impl FnMut(&Engine, &str),
    done: impl Fn(&Engine),
) {
    let ask = async |engine: &Engine| {
        engine.change(change.clone(), Cause { by: By::Engine, key: key(7, 7) }).await.unwrap();
    };

    for point in 0.. {
        let disk = start.crashed();
        let engine = Engine::open(on(&disk, dir)).await.unwrap();
        let killed = cut_off(&disk, point, ask(&engine)).await;
        done(&engine);
        drop(engine);

        let engine = Engine::open(on(&disk.crashed(), dir)).await.unwrap();
        shown(&engine, &format!("killed after {point} syncs"));
        ask(&engine).await;
        done(&engine);
        if !killed {
            break;
        }
    }
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
                record::encode_schedule_event(bytes, ScheduleNumber(number), 2, at, None, &set);
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
    let listed = CatalogueEvent::ScheduleListed { id: id(0), number: creation.number, concert: concert().id };
    let events = [
        CatalogueEvent::VenuePut(Arc::new(venue(1, 4))),
        CatalogueEvent::ConcertPut(Arc::new(concert())),
        listed,
    ];
    let [venue, concert, listed] = [1, 2, 3].map(|version| {
        let event = &events[usize::try_from(version - 1).unwrap()];
        move |bytes: &mut Vec<u8>| record::encode_catalogue_event(bytes, version, NOW, None, event)
    });
    let created = Event::Created(Box::new(creation));
    let created = |bytes: &mut Vec<u8>| {
        record::encode_schedule_event(bytes, ScheduleNumber(1), 1, NOW, None, &created);
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
