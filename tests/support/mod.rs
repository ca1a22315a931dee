//! A small theatre, and an engine that sells it: what the integration tests and the benchmarks share.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::unnecessary_wraps,
    reason = "shared by test crates, each of which uses what it needs"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use onsale::clock::{Clock, ManualClock};
use onsale::domain::concert::{Concert, PricedGrade};
use onsale::domain::ids::{ConcertId, GradeName, ReservationNumber, ScheduleId, UserId, VenueId};
use onsale::domain::keys::KeyUse;
use onsale::domain::money::{Currency, Money};
use onsale::domain::payments::{AnyPayment, Payment};
use onsale::domain::schedule::orders::{Order, OrderMethod, OrderWish};
use onsale::domain::schedule::policy::Policy;
use onsale::domain::schedule::terms::{AreaWish, PriceType};
use onsale::domain::schedule::{Answer, Caller, Command, Pick, Plan, Reservation, ReservationRef, Wish};
use onsale::domain::time::{Seconds, Timestamp};
use onsale::domain::venue::{Area, Row, RowSeats, Seat, Section, Venue, VenueArea};
use onsale::engine::{CatalogueChange, Done, Engine, EngineConfig, EngineError, Narrow, ScheduleEntry};
use onsale::journal::{Driver, MemoryDisk};

pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

/// A venue of `rows` rows of `len` seats, all of one grade.
pub fn venue(rows: u32, len: u32) -> Venue {
    let row = |row: u32| Row {
        id: row.to_string(),
        grade: GradeName::parse("R").unwrap(),
        line: None,
        seats: RowSeats::Length(len),
    };
    Venue {
        id: VenueId::parse("hall").unwrap(),
        name: "Hall".into(),
        address: String::new(),
        kind: "hall".into(),
        time_zone: "Asia/Seoul".into(),
        stage: None,
        areas: vec![],
        sections: vec![Section {
            id: "A".into(),
            floor: "1".into(),
            outline: None,
            rows: (1..=rows).map(row).collect(),
        }],
    }
}

/// An area of the grade that [`concert`] prices.
pub fn area(id: &str, capacity: u32) -> VenueArea {
    VenueArea {
        id: id.into(),
        floor: "1".into(),
        name: id.to_uppercase(),
        grade: GradeName::parse("R").unwrap(),
        capacity,
        outline: None,
    }
}

/// Asks for places of areas, beside seats.
pub fn wish(seats: &[u32], areas: &[(u16, u32)]) -> Wish {
    let seats: Arc<[Seat]> = seats.iter().copied().map(Seat).collect();
    let pick = if seats.is_empty() { Pick::None } else { Pick::Seats(seats) };
    let place =
        |&(area, count): &(u16, u32)| AreaWish { area: Area(area), count, price_type: PriceType::DEFAULT };
    Wish { pick, areas: areas.iter().map(place).collect(), ..Wish::default() }
}

pub fn concert() -> Concert {
    Concert {
        id: ConcertId::parse("show").unwrap(),
        title: "Show".into(),
        artist: "Someone".into(),
        description: None,
        venue: VenueId::parse("hall").unwrap(),
        poster_url: None,
        currency: Currency::parse("KRW").unwrap(),
        grades: vec![PricedGrade {
            name: GradeName::parse("R").unwrap(),
            price: Money::new(50_000).unwrap(),
            color: "#888888".into(),
            description: None,
            prices: BTreeMap::new(),
        }],
        cast: BTreeMap::new(),
        price_types: vec![],
        fees: vec![],
    }
}

/// A plan whose show begins a day after `now`.
pub fn plan(now: Timestamp, policy: Policy) -> Plan {
    Plan {
        starts_at: now.plus(Seconds::DAY),
        ends_at: now.plus(Seconds::new(2 * 86_400)),
        sales_open_at: None,
        sales_close_at: None,
        casting: BTreeMap::new(),
        policy,
    }
}

/// The settings of an engine for a test: no reserve file.
pub fn config(dir: &std::path::Path) -> EngineConfig {
    let mut config = EngineConfig::new(dir);
    config.journal.reserve_bytes = 0;
    config
}

/// The same with a clock that stands at [`NOW`] until it is moved.
pub fn config_at_now(dir: &std::path::Path) -> (EngineConfig, ManualClock) {
    let clock = ManualClock::at(NOW);
    (EngineConfig { clock: Arc::new(clock.clone()), ..config(dir) }, clock)
}

/// Settings under which no two entries of the journal share a sync, so that a test can kill between any two. It needs a runtime of
/// one thread: there, whoever waits to send has its turn only once the writer waits, too.
pub fn one_entry_a_sync(mut config: EngineConfig) -> EngineConfig {
    config.journal.queue_len_max = 1;
    config.journal.driver = Driver::Alone;
    config
}

/// Runs with a disk on which only so many more syncs take effect; returns whether that cut the run off.
pub async fn cut_off(disk: &MemoryDisk, syncs: u64, run: impl Future<Output = ()>) -> bool {
    let before = disk.syncs();
    disk.freeze_after_syncs(syncs);
    run.await;
    disk.syncs() - before > syncs
}

/// Opens an engine with one open schedule, `s0`, or more of them.
pub async fn open_with(config: EngineConfig, rows: u32, schedules: u32) -> (Engine, Vec<Arc<ScheduleEntry>>) {
    let engine = Engine::open(config).await.unwrap();
    engine.change(CatalogueChange::PutVenue(venue(rows, 50)), None).await.unwrap();
    engine.change(CatalogueChange::PutConcert(concert()), None).await.unwrap();
    let plan = plan(engine.now(), Policy { seats_per_user_max: 1_000, ..Policy::default() });
    let mut entries = Vec::new();
    for index in 0..schedules {
        entries.push(open_schedule(&engine, &format!("s{index}"), plan.clone()).await);
    }
    (engine, entries)
}

/// Makes a schedule of the concert, and opens its sale.
pub async fn open_schedule(engine: &Engine, id: &str, plan: Plan) -> Arc<ScheduleEntry> {
    let id = ScheduleId::parse(id).unwrap();
    let put = CatalogueChange::PutSchedule(id.clone(), concert().id, plan);
    engine.change(put, None).await.unwrap();
    engine.change(CatalogueChange::OpenSchedule(id.clone()), None).await.unwrap();
    engine.schedule(&id).unwrap()
}

pub fn hold_command(name: &str, seats: &[u32]) -> Command {
    let wish = Wish::seats(seats.iter().copied().map(Seat).collect::<Vec<_>>());
    Command::hold(user(name), wish, u64::from(seats[0]) + 7)
}

pub fn reservation(acted: Done<Answer>) -> Reservation {
    match acted.answer {
        Answer::Reservation(reservation) => reservation,
        Answer::Schedule(_) | Answer::Put { .. } | Answer::Batch(_) => panic!("a reservation was expected"),
    }
}

pub async fn hold(
    engine: &Engine,
    entry: &ScheduleEntry,
    name: &str,
    seats: &[u32],
) -> Result<Reservation, EngineError> {
    engine.act(entry, hold_command(name, seats), None).await.map(reservation)
}

/// A user's payments, but those of orders: the newest first.
pub async fn payments_of(engine: &Engine, name: &str) -> Vec<Payment> {
    let listed = engine.list_payments(Narrow::of(name), None, 1_000).await.unwrap();
    listed.items.into_iter().filter_map(AnyPayment::into_saga).collect()
}

/// The command of [`order`].
pub fn order_command(name: Option<&str>, seats: &[u32], amount: Option<u64>) -> Command {
    let text = || Some("for \"reasons\"".into());
    let order = Order {
        clerk: user("clerk"),
        method: OrderMethod::Cash,
        reference: text(),
        name: text(),
        reason: text(),
    };
    let wanted = OrderWish {
        user: name.map(user),
        wish: wish(seats, &[]),
        types: None,
        allotment: None,
        order,
        amount: amount.map(|amount| Money::new(amount).unwrap()),
        nonce: u64::from(seats[0]) + 7,
        payment_nonce: u64::from(seats[0]) + 8,
    };
    Command::Order(Box::new(wanted))
}

/// Sells seats at the box office, for cash; nobody's where no user is named.
pub async fn order(
    engine: &Engine,
    entry: &ScheduleEntry,
    name: Option<&str>,
    seats: &[u32],
    amount: Option<u64>,
) -> Result<Reservation, EngineError> {
    engine.act(entry, order_command(name, seats, amount), None).await.map(reservation)
}

/// Gives an order back at the box office.
pub fn cancel_order(order: &Reservation) -> Command {
    let reservation = ReservationRef { number: order.number, nonce: order.nonce };
    Command::Release { reservation, caller: Caller::Clerk }
}

pub fn release_command(name: &str, held: &Reservation) -> Command {
    let reservation = ReservationRef { number: held.number, nonce: held.nonce };
    Command::Release { reservation, caller: Caller::User(user(name)) }
}

pub fn key(digest: u128, fingerprint: u128) -> Option<KeyUse> {
    Some(KeyUse { digest, fingerprint })
}

pub fn number(reservation: &Reservation) -> ReservationNumber {
    reservation.number
}

pub fn pass_millis(clock: &ManualClock, millis: u64) {
    clock.pass_millis(millis);
    assert!(clock.now() > NOW);
}
