//! What is exported is one cut of everything, whatever goes on meanwhile, and its sums are those of the promises.
#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    reason = "a test fails loudly, and its numbers are small"
)]

mod support;
#[path = "support/tables.rs"]
mod tables;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use onsale::domain::cause::Cause;
use onsale::domain::ids::{AllotmentId, ScheduleId, ScheduleNumber};
use onsale::domain::money::{Currency, Money};
use onsale::domain::payments::{Method, Payment};
use onsale::domain::schedule::allotments::{AllotmentTerms, AsidePlaces};
use onsale::domain::schedule::codes::{AccessCode, CodeTerms};
use onsale::domain::schedule::policy::Policy;
use onsale::domain::schedule::{Command, Image, Reservation, ReservationRef, Wish};
use onsale::domain::users::{Email, PasswordHash, Profile, UserName, UserStatus};
use onsale::domain::venue::{Area, Seat, Venue};
use onsale::engine::{CatalogueChange, Done, Engine, EngineError, PointInTimeError, Purchase, ScheduleEntry};
use onsale::export::{Sale, Sources, Table, Taken};
use onsale::journal::Position;
use onsale::record;
use onsale::recovery::World;
use proptest::prelude::*;
use support::{
    area, cancel_order, concert, config, config_at_now, hold, open_schedule, open_with, order, plan,
    release_command, reservation, user, venue, wish,
};
use tables::{Row, Tables, number, text};

const SEAT: u64 = 50_000;

async fn charge(engine: &Engine, name: &str, amount: u64) -> Result<(), EngineError> {
    let (amount, currency) = (Money::new(amount).unwrap(), Currency::parse("KRW").unwrap());
    engine.charge(&user(name), amount, currency, 1, Cause::default()).await.map(drop)
}

async fn pay(
    engine: &Engine,
    entry: &ScheduleEntry,
    name: &str,
    held: &Reservation,
) -> Result<Done<Payment>, EngineError> {
    let reservation = ReservationRef { number: held.number, nonce: held.nonce };
    let purchase = Purchase { user: user(name), reservation, method: Method::Balance, nonce: 7, key: None };
    engine.pay(entry, purchase).await
}

/// The world at a position, from every record up to it and nothing else; without waiting rooms.
fn replayed(engine: &Engine, until: Position) -> World {
    let mut world = World::default();
    for item in engine.journal().read(Position::START) {
        let (position, bytes) = item.unwrap();
        if position > until {
            break;
        }
        world.apply(&record::decode(&bytes).unwrap()).unwrap();
    }
    world.rooms.clear();
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_export_under_load_is_one_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(config(dir.path()), 4, 3).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = tokio::task::JoinSet::new();
    for buyer in 0..8_u32 {
        let (engine, entries, stop) = (engine.clone(), entries.clone(), Arc::clone(&stop));
        load.spawn(async move {
            let name = format!("buyer-{buyer}");
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                let entry = &entries[round as usize % entries.len()];
                round += 1;
                // The balance is short now and then, so that attempts fail, too.
                if round % 3 != 0 {
                    charge(&engine, &name, 3 * SEAT / 2).await.unwrap();
                }
                let seats = [buyer * 20, buyer * 20 + 1 + round % 5];
                let Ok(held) = hold(&engine, entry, &name, &seats).await else { continue };
                let paid = pay(&engine, entry, &name, &held).await;
                let release = paid.is_err() || round % 4 != 0;
                if release {
                    // What isn't a hold and wasn't confirmed can't be given back.
                    drop(engine.act(entry, release_command(&name, &held), None).await);
                }
            }
        });
    }
    let snapshots = {
        let (engine, stop) = (engine.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                engine.snapshot().await.unwrap();
            }
        })
    };
    let (mut cuts, mut payments) = (0, 0);
    while cuts < 12 || payments < 20 {
        cuts += 1;
        let reader = engine.clone();
        let cut = tokio::task::spawn_blocking(move || reader.point_in_time(&|| true)).await.unwrap().unwrap();
        let checker = engine.clone();
        payments = tokio::task::spawn_blocking(move || {
            // R1, event for event: nothing is missing up to the position, and nothing behind it is in.
            assert!(cut.world == replayed(&checker, cut.position), "position {}", cut.position);
            let taken = Taken { position: cut.position, at: cut.at, log_id: 1 };
            let tables = Tables::of(&Sources::<Infallible>::of(&cut.world, taken));
            tables.check();
            tables.rows(Table::Payments).len()
        })
        .await
        .unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(done) = load.join_next().await {
        done.unwrap();
    }
    snapshots.await.unwrap();
    let reader = engine.clone();
    let tables = tokio::task::spawn_blocking(move || Tables::of_engine(&reader)).await.unwrap();
    tables.check();
    engine.close().await.unwrap();
}

/// What someone does.
#[derive(Debug, Clone)]
enum Step {
    Charge(u8, u64),
    Hold(u8, u8, Vec<u32>),
    Pay(usize),
    Order(Option<u8>, u8, Vec<u32>, Option<u64>),
    CancelOrder(usize),
    Release(usize),
    Block(u8, u32),
    Suspend(u8),
    Wait(u32),
    Cancel,
    Snapshot,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_u8, 1..6_u64).prop_map(|(who, seats)| Step::Charge(who, seats * SEAT)),
        6 => (0..4_u8, 0..2_u8, prop::collection::btree_set(0..30_u32, 1..4))
            .prop_map(|(who, show, seats)| Step::Hold(who, show, seats.into_iter().collect())),
        6 => (0..20_usize).prop_map(Step::Pay),
        3 => (prop::option::of(0..4_u8), 0..2_u8, prop::collection::btree_set(0..30_u32, 1..4), prop::option::of(0..9 * SEAT))
            .prop_map(|(who, show, seats, amount)| Step::Order(who, show, seats.into_iter().collect(), amount)),
        2 => (0..9_usize).prop_map(Step::CancelOrder),
        3 => (0..20_usize).prop_map(Step::Release),
        1 => (0..2_u8, 0..30_u32).prop_map(|(show, seat)| Step::Block(show, seat)),
        1 => (0..4_u8).prop_map(Step::Suspend),
        1 => (1..400_u32).prop_map(Step::Wait),
        1 => Just(Step::Cancel),
        1 => Just(Step::Snapshot),
    ]
}

fn name_of(who: u8) -> String {
    format!("user-{who}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_sums_of_the_tables_are_those_of_the_promises(
        steps in prop::collection::vec(step(), 1..60),
        cancel in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let (settings, clock) = config_at_now(dir.path());
            let (engine, entries) = open_with(settings, 1, 2).await;
            let mut held: Vec<(usize, String, Reservation)> = Vec::new();
            let mut sold: Vec<(usize, Reservation)> = Vec::new();
            for step in steps {
                match step {
                    Step::Charge(who, amount) => charge(&engine, &name_of(who), amount).await.unwrap(),
                    Step::Hold(who, show, seats) => {
                        let (name, show) = (name_of(who), usize::from(show));
                        if let Ok(reservation) = hold(&engine, &entries[show], &name, &seats).await {
                            held.push((show, name, reservation));
                        }
                    }
                    Step::Pay(which) => {
                        if let Some((show, name, reservation)) = held.get(which) {
                            drop(pay(&engine, &entries[*show], name, reservation).await);
                        }
                    }
                    Step::Order(who, show, seats, amount) => {
                        let (name, show) = (who.map(name_of), usize::from(show));
                        let made = order(&engine, &entries[show], name.as_deref(), &seats, amount).await;
                        sold.extend(made.ok().map(|order| (show, order)));
                    }
                    Step::CancelOrder(which) => {
                        if let Some((show, order)) = sold.get(which) {
                            engine.act(&entries[*show], cancel_order(order), None).await.unwrap();
                        }
                    }
                    Step::Release(which) => {
                        if let Some((show, name, reservation)) = held.get(which) {
                            drop(engine.act(&entries[*show], release_command(name, reservation), None).await);
                        }
                    }
                    Step::Block(show, seat) => {
                        let block = Command::Block { seats: [Seat(seat)].into() };
                        drop(engine.act(&entries[usize::from(show)], block, None).await);
                    }
                    Step::Suspend(who) => {
                        let who = user(&name_of(who));
                        let suspended = UserStatus::Suspended;
                        engine.set_user_status(who, suspended, Cause::default()).await.unwrap();
                    }
                    Step::Wait(seconds) => clock.pass_millis(u64::from(seconds) * 1_000),
                    Step::Cancel if cancel => {
                        drop(engine.act(&entries[0], Command::Cancel, None).await);
                    }
                    Step::Cancel => {}
                    Step::Snapshot => drop(engine.snapshot().await.unwrap()),
                }
            }
            // What a cancellation refunds beside the requests is over once the next start has nothing to do.
            engine.close().await.unwrap();
            let (settings, _) = config_at_now(dir.path());
            let engine = Engine::open(settings).await.unwrap();
            let tables = settled(&engine).await;
            tables.check();
            for reservation in tables.find(Table::Reservations, "status", "confirmed") {
                let payment = text(reservation, "payment_id").unwrap();
                let payments = tables.find(Table::Payments, "payment_id", payment);
                prop_assert_eq!(text(payments[0], "status"), Some("completed"), "M2, at rest");
            }
            engine.close().await.unwrap();
            Ok(())
        })?;
    }
}

/// The tables once no payment is under way.
async fn settled(engine: &Engine) -> Tables {
    loop {
        let reader = engine.clone();
        let tables = tokio::task::spawn_blocking(move || Tables::of_engine(&reader)).await.unwrap();
        // That an order's money was given back by hand is told nobody.
        let by_itself = |row: &&Row| !tables.is_order(text(row, "reservation_id").unwrap());
        let is_under_way =
            |status: &str| tables.find(Table::Payments, "status", status).iter().any(by_itself);
        if !["pending", "refunding"].into_iter().any(is_under_way) {
            return tables;
        }
        tokio::task::yield_now().await;
    }
}

/// An engine with a bit of everything; time is at the support's `NOW`.
async fn furnished(dir: &std::path::Path) -> (Engine, Vec<Arc<ScheduleEntry>>) {
    let (settings, _) = config_at_now(dir);
    let (engine, entries) = open_with(settings, 1, 2).await;
    let profile = Profile {
        email: Email::parse("kim@example.org").unwrap(),
        name: UserName::parse("Kim, \"the\" fan\u{1f3ad}").unwrap(),
        password: PasswordHash::parse("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA").unwrap(),
    };
    let kim = engine.sign_up(profile).await.unwrap().id;
    charge(&engine, &kim, 5 * SEAT).await.unwrap();
    for (entry, seats) in [(&entries[0], [0, 1]), (&entries[1], [3, 4])] {
        let held = hold(&engine, entry, &kim, &seats).await.unwrap();
        pay(&engine, entry, &kim, &held).await.unwrap();
    }
    hold(&engine, &entries[0], "stranger", &[7]).await.unwrap();
    let lee = hold(&engine, &entries[0], "lee", &[9]).await.unwrap();
    drop(pay(&engine, &entries[0], "lee", &lee).await);
    engine.act(&entries[0], release_command("lee", &lee), None).await.unwrap();
    // A schedule that has never been on sale shows the prices that it would open with.
    let id = ScheduleId::parse("later").unwrap();
    let put = CatalogueChange::PutSchedule(id, concert().id, plan(engine.now(), Policy::default()));
    engine.change(put, None).await.unwrap();
    (engine, entries)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_table_has_what_its_columns_say() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = furnished(dir.path()).await;
    let tables = settled(&engine).await;
    tables.check();
    let count = |table: Table| tables.rows(table).len();
    let counts = Table::ALL.map(|table| (table.name(), count(table)));
    assert_eq!(
        counts,
        [
            ("meta", 1),
            ("venues", 1),
            ("venue_sections", 1),
            ("venue_rows", 1),
            ("venue_areas", 0),
            ("concerts", 1),
            ("grades", 1),
            ("price_types", 0),
            ("grade_prices", 0),
            ("fees", 0),
            ("schedules", 3),
            ("seats", 150),
            ("areas", 0),
            ("codes", 0),
            ("allotments", 0),
            ("allotment_seats", 0),
            ("allotment_areas", 0),
            ("users", 3),
            ("payments", 3),
            ("reservations", 4),
            ("orders", 0),
            ("reservation_seats", 6),
            ("reservation_areas", 0),
            ("reservation_lines", 4),
            ("accounts", 1),
            ("transactions", 3),
        ]
    );
    let meta = &tables.rows(Table::Meta)[0];
    assert_eq!(number(meta, "position"), engine.journal().durable().get());
    let kim = tables.find(Table::Users, "email", "kim@example.org");
    assert_eq!(text(kim[0], "name"), Some("Kim, \"the\" fan\u{1f3ad}"));
    let stranger = tables.find(Table::Users, "user_id", "stranger");
    assert_eq!((text(stranger[0], "status"), text(stranger[0], "created_at")), (Some("active"), None));
    let failed = tables.find(Table::Payments, "status", "failed");
    assert_eq!(text(failed[0], "failure_code"), Some("insufficient_balance"));
    assert_eq!(number(&tables.rows(Table::Accounts)[0], "balance"), SEAT);
    let confirmed = tables.find(Table::Reservations, "status", "confirmed");
    assert_eq!(confirmed.iter().map(|row| number(row, "amount")).sum::<u64>(), 4 * SEAT);
    assert_eq!(text(confirmed[0], "created_at"), Some(support::NOW.to_string().as_str()));
    assert!(tables.rows(Table::Seats).iter().all(|seat| number(seat, "price") == SEAT));
    assert!(!format!("{tables:?}").contains("$argon2"), "no secret");
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn places_of_areas_are_exported_with_who_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let (settings, _) = config_at_now(dir.path());
    let engine = Engine::open(settings).await.unwrap();
    let hall = Venue { areas: vec![area("pit", 9), area("lawn", 2)], ..venue(1, 4) };
    engine.change(CatalogueChange::PutVenue(hall), None).await.unwrap();
    engine.change(CatalogueChange::PutConcert(concert()), None).await.unwrap();
    let entry = open_schedule(&engine, "s", plan(engine.now(), Policy::default())).await;
    let hold = async |name: &str, seats: &[u32], areas: &[(u16, u32)]| {
        let hold = Command::hold(user(name), wish(seats, areas), 7);
        reservation(engine.act(&entry, hold, None).await.unwrap())
    };

    let bought = hold("kim", &[0], &[(0, 2)]).await;
    charge(&engine, "kim", 3 * SEAT).await.unwrap();
    pay(&engine, &entry, "kim", &bought).await.unwrap();
    hold("lee", &[], &[(0, 1), (1, 2)]).await;
    let terms = AllotmentTerms {
        id: AllotmentId::parse("sponsor").unwrap(),
        name: "Sponsor".into(),
        reason: None,
        seats: [Seat(3)].into(),
        areas: [AsidePlaces { area: Area(0), count: 3 }].into(),
        release_at: None,
        life: 0,
    };
    engine.act(&entry, Command::SetAllotment { terms: Arc::new(terms) }, None).await.unwrap();
    let terms = CodeTerms { allotment: Some(AllotmentId::parse("sponsor").unwrap()), ..CodeTerms::default() };
    let code = AccessCode::parse("SPON").unwrap();
    engine.act(&entry, Command::PutCode { code, terms: Arc::new(terms) }, None).await.unwrap();
    let sponsored = Wish { code: Some("SPON".into()), ..wish(&[], &[(0, 1)]) };
    engine.act(&entry, Command::hold(user("choi"), sponsored, 7), None).await.unwrap();
    let given_back = hold("pak", &[1], &[(0, 3)]).await;
    engine.act(&entry, release_command("pak", &given_back), None).await.unwrap();

    let tables = settled(&engine).await;
    tables.check();
    assert_eq!((tables.rows(Table::VenueAreas).len(), tables.rows(Table::ReservationAreas).len()), (2, 5));
    let pit = tables.find(Table::Areas, "area_id", "pit");
    let counts = ["capacity", "available", "held", "reserved", "blocked"].map(|name| number(pit[0], name));
    assert_eq!(counts, [9, 3, 2, 2, 2]);
    for table in [Table::AllotmentAreas, Table::Allotments] {
        let [row] = tables.rows(table) else { panic!("one allotment") };
        let seats = u64::from(table == Table::Allotments);
        let counts = ["total", "held", "sold", "left"].map(|name| number(row, name));
        assert_eq!(counts, [3 + seats, 1, 0, 2 + seats], "{table:?}");
    }
    let confirmed = tables.find(Table::Reservations, "status", "confirmed");
    assert_eq!((number(confirmed[0], "seats"), number(confirmed[0], "amount")), (3, 3 * SEAT));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_exported_with_who_sold_them_and_what_is_to_be_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let (settings, clock) = config_at_now(dir.path());
    let (engine, entries) = open_with(settings, 1, 1).await;
    let entry = &entries[0];
    let kept = order(&engine, entry, None, &[1, 2], Some(3 * SEAT)).await.unwrap();
    let given_back = order(&engine, entry, Some("kim"), &[3], None).await.unwrap();
    engine.act(entry, cancel_order(&given_back), None).await.unwrap();
    // Whatever else ended is forgotten by then.
    clock.pass_millis(30 * 86_400_000);
    let tables = settled(&engine).await;
    tables.check();

    let id = |order: &Reservation| order.full_id(entry.number()).to_string();
    let [kept_id, back_id] = [&kept, &given_back].map(id);
    let row = |table, id: &str| tables.find(table, "reservation_id", id)[0].clone();
    let sold = row(Table::Orders, &kept_id);
    let told = ["clerk_id", "method", "reason", "name"].map(|column| text(&sold, column).unwrap().to_owned());
    assert_eq!(told, ["clerk", "cash", "for \"reasons\"", "for \"reasons\""]);
    let payment = row(Table::Payments, &kept_id);
    assert_eq!((text(&payment, "status"), number(&payment, "amount")), (Some("completed"), 3 * SEAT));
    assert_eq!(text(&row(Table::Reservations, &kept_id), "user_id"), None);
    let back = row(Table::Orders, &back_id);
    assert_eq!(
        (number(&row(Table::Payments, &back_id), "refund_amount"), text(&back, "payment_id")),
        (SEAT, text(&row(Table::Payments, &back_id), "payment_id"))
    );
    let cancelled = tables.find(Table::Payments, "status", "refunding");
    assert_eq!((cancelled.len(), text(cancelled[0], "user_id")), (1, Some("kim")));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_elsewhere_is_exported_as_if_it_were_here() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = furnished(dir.path()).await;
    let expected = settled(&engine).await;
    let reader = engine.clone();
    let mut cut = tokio::task::spawn_blocking(move || reader.point_in_time(&|| true)).await.unwrap().unwrap();
    let log_id = engine.journal().log_id();
    let number = ScheduleNumber(3);
    let (schedule, payments) =
        (cut.world.schedules.remove(&number).unwrap(), cut.world.payments.remove(&number));
    let (image, layout) = (Image::of(&schedule), Arc::clone(schedule.layout()));
    let taken = Taken { position: cut.position, at: cut.at, log_id };
    let mut sources = Sources::<Infallible>::of(&cut.world, taken);
    sources.sales.push(Box::new(move |visit| {
        let schedule = image.clone().restore(Arc::clone(&layout));
        visit(Sale { schedule: Some(&schedule), payments: payments.as_ref() })
    }));
    let mut found = Tables::of(&sources);
    found.check();
    let mut expected = expected;
    // When it was taken differs, and nothing else.
    expected.forget(Table::Meta);
    found.forget(Table::Meta);
    assert!(expected == found, "{expected:?}\n{found:?}");
    drop(sources);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_outlive_a_schedule_that_was_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (settings, _) = config_at_now(dir.path());
    let (engine, entries) = open_with(settings, 1, 2).await;
    let held = hold(&engine, &entries[0], "lee", &[9]).await.unwrap();
    drop(pay(&engine, &entries[0], "lee", &held).await);
    engine.act(&entries[0], release_command("lee", &held), None).await.unwrap();
    engine.change(CatalogueChange::RemoveSchedule(entries[0].id().clone()), None).await.unwrap();
    let tables = settled(&engine).await;
    tables.check();
    let payment = &tables.rows(Table::Payments)[0];
    assert_eq!((text(payment, "schedule_id"), text(payment, "status")), (None, Some("failed")));
    assert_eq!(tables.rows(Table::Schedules).len(), 1);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_that_nobody_wants_any_more_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = furnished(dir.path()).await;
    let reader = engine.clone();
    let cut = tokio::task::spawn_blocking(move || reader.point_in_time(&|| false)).await.unwrap();
    assert!(matches!(cut, Err(PointInTimeError::Unwanted)), "{cut:?}");
    engine.close().await.unwrap();
}
