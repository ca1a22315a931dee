//! The format as it was when each version of it shipped: data directories that every later version must
//! read, and the state that they hold.
//!
//! `snapshots/v2/` was made by this test's own scenario, with `ONSALE_GOLDEN=write cargo test --test golden`.
//! It is never made again: a change of the format gets a folder of its own. What format 1 wrote is migrated.
#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    reason = "a test fails loudly, and its numbers are small"
)]

#[path = "support/directory.rs"]
mod directory;
mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use directory::copy;
use onsale::clock::{Clock, ManualClock};
use onsale::domain::accounts::{AccountsImage, Shard};
use onsale::domain::catalogue::CatalogueEvent;
use onsale::domain::cause::{By, Cause};
use onsale::domain::concert::{Concert, Fee, FeePer, NamedPriceType};
use onsale::domain::ids::{
    AllotmentId, FeeId, GradeName, PhaseId, PriceTypeId, SEALED, ScheduleId, ScheduleNumber, SeatId,
};
use onsale::domain::money::{Currency, Money};
use onsale::domain::payments::{Method, Payment, PaymentsImage, Report, Taken};
use onsale::domain::schedule::allotments::{AllotmentTerms, AsidePlaces};
use onsale::domain::schedule::codes::{AccessCode, CodePrefix, CodeTerms, Discount};
use onsale::domain::schedule::orders::{Order, OrderMethod, OrderWish};
use onsale::domain::schedule::policy::{Phase, Plan, Policy, QueueOrder, QueuePolicy};
use onsale::domain::schedule::terms::{AreaWish, PriceType};
use onsale::domain::schedule::{Caller, Command, Creation, Event, Pick, ReservationRef, Schedule, Wish};
use onsale::domain::time::Seconds;
use onsale::domain::users::{Email, PasswordHash, Profile, UserName, UserStatus, UsersImage};
use onsale::domain::venue::{
    Area, Coordinate, Line, ListedSeat, Outline, Point, Row, RowSeats, Seat, Section as VenueSection, Venue,
    VenueArea,
};
use onsale::domain::waiting_room::{RoomImage, Ticket, Tuning};
use onsale::engine::{
    CatalogueChange, Changed, Engine, EngineConfig, EngineOpenError, Import, Purchase, ScheduleEntry,
};
use onsale::gateway::{
    self, Cancel, CancelOutcome, Capture, CaptureOutcome, Find, Found, Gateway, Gateways, OrderId,
    PaymentKey, Said, Terms, Why,
};
use onsale::journal::{
    CODEC_V1, Entry, EntryTooLarge, Hooks, InspectError, Inspection, Journal, JournalConfig, Position,
    Records, Retain, snapshot,
};
use onsale::migrate::migrate;
use onsale::record::{self, DecodeError, FactRef, Record, Section, v1};
use onsale::recovery::World;
use tempfile::TempDir;

use support::{hold, hold_command, key, open_with, release_command, user};

fn golden(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots").join(version)
}

/// Everything that a state says, in a fixed order, as text that a person can read in a diff.
fn describe(world: &World) -> String {
    let mut text = String::new();
    for built in world.catalogue.venues() {
        writeln!(text, "venue {} {:?}", built.venue.id, built.layout).unwrap();
        if has_plan(&built.venue) {
            writeln!(text, "plan {} of {:#?}", built.seating.id(), built.venue).unwrap();
        }
    }
    for concert in world.catalogue.concerts() {
        writeln!(text, "concert {concert:?}").unwrap();
    }
    for (id, listing) in world.catalogue.schedules() {
        if let Some(archived) = listing.archived {
            writeln!(text, "schedule {id} number {} is archived: {archived:?}", listing.number.0).unwrap();
            continue;
        }
        if let Some(ended) = world.ended.get(&listing.number) {
            writeln!(text, "schedule {id} has ended: {ended:?}").unwrap();
            continue;
        }
        let mut creations = world.catalogue.creations().iter();
        if let Some(creation) = creations.find(|creation| creation.id == *id) {
            writeln!(text, "schedule {id} is created, or to be: {creation:#?}").unwrap();
        }
        let Some(schedule) = world.schedules.get(&listing.number) else { continue };
        writeln!(text, "schedule {id} {:#?}", onsale::domain::schedule::Image::of(schedule)).unwrap();
        if let Some(room) = world.rooms.get(&listing.number) {
            writeln!(text, "waiting room of {id} {:#?}", RoomImage::of(room)).unwrap();
        }
    }
    let mut payments: Vec<_> = world.payments.values().collect();
    payments.sort_unstable_by_key(|payments| payments.schedule());
    for payments in payments {
        writeln!(text, "payments {:#?}", PaymentsImage::of(payments)).unwrap();
    }
    for accounts in Shard::all().filter_map(|shard| world.accounts.get(&shard)) {
        writeln!(text, "accounts {:#?}", AccountsImage::of(accounts)).unwrap();
    }
    if world.users.version() > 0 {
        writeln!(text, "users {:#?}", UsersImage::of(&world.users)).unwrap();
    }
    text
}

/// Tells whether a venue says more than what its seats are.
fn has_plan(venue: &Venue) -> bool {
    let is_plain = |seat: &ListedSeat| *seat == ListedSeat::new(seat.id.clone(), seat.number);
    let says = |row: &Row| {
        row.line.is_some() || matches!(&row.seats, RowSeats::Listed(seats) if !seats.iter().all(is_plain))
    };
    let section = |section: &VenueSection| section.outline.is_some() || section.rows.iter().any(says);
    venue.stage.is_some() || !venue.areas.is_empty() || venue.sections.iter().any(section)
}

/// What the golden journal tells: something of every kind that the engine can do.
async fn scenario(config: EngineConfig, clock: &ManualClock) {
    let (engine, entries) = open_with(config, 2, 2).await;
    let [first, second] = &entries[..] else { panic!("two schedules") };
    let held = hold(&engine, first, "u1", &[1, 2]).await.unwrap();
    engine.act(first, hold_command("u2", &[5]), key(7, 8)).await.unwrap();
    let reservation = ReservationRef { number: held.number, nonce: held.nonce };
    let caller = Caller::User(user("u1"));
    let seats: Arc<[Seat]> = [Seat(2), Seat(3)].into();
    let exchange = Command::Exchange { reservation, caller, wish: Wish::seats(seats) };
    engine.act(first, exchange, None).await.unwrap();
    clock.pass_millis(1_000);
    engine.snapshot().await.unwrap();
    // One fails, for want of money, and the next succeeds.
    for nonce in [42, 43] {
        let purchase = Purchase { user: user("u1"), reservation, method: Method::Balance, nonce, key: None };
        engine.pay(first, purchase).await.unwrap();
        let (amount, krw) = (Money::new(500_000).unwrap(), Currency::parse("KRW").unwrap());
        engine.charge(&user("u1"), amount, krw, nonce, Cause::default()).await.unwrap();
    }
    let blocked: Arc<[Seat]> = [Seat(90), Seat(91)].into();
    engine.act(first, Command::Block { seats: Arc::clone(&blocked) }, None).await.unwrap();
    engine.act(first, Command::Unblock { seats: blocked[1..].into() }, None).await.unwrap();
    let wish = Wish::best(3);
    let best = Command::hold(user("u3"), wish, 99);
    engine.act(second, best, None).await.unwrap();
    let given_back = hold(&engine, second, "u4", &[60]).await.unwrap();
    engine.act(second, release_command("u4", &given_back), None).await.unwrap();
    clock.pass_millis(400_000);
    engine.act(second, Command::Close, None).await.unwrap();
    engine.act(second, Command::Cancel, None).await.unwrap();
    let mut plan = support::plan(support::NOW, Policy { hold: Seconds::new(60), ..Policy::default() });
    plan.sales_close_at = Some(support::NOW.plus(Seconds::new(50_000)));
    let change = CatalogueChange::PutSchedule(first.id().clone(), support::concert().id, plan);
    engine.change(change, None).await.unwrap();
    hold(&engine, first, "관객", &[44]).await.unwrap();
    engine.close().await.unwrap();
}

/// What the golden journal of waiting rooms tells: something of every kind that can happen in one.
async fn scenario_of_rooms(config: EngineConfig, clock: &ManualClock) {
    let (engine, entries) = open_with(config, 1, 2).await;
    let [fifo, shuffled] = &entries[..] else { panic!("two schedules") };
    let policy = |queue| Policy { queue: Some(queue), ..Policy::default() };
    let queue = QueuePolicy { active_max: 2, ..QueuePolicy::default() };
    put_policy(&engine, fifo, policy(queue.clone())).await;
    for name in ["u1", "u2", "u3", "관객", "u5", "u6"] {
        engine.join(fifo, &user(name), None).await.unwrap();
    }
    engine.join(fifo, &user("u7"), key(1, 2)).await.unwrap();
    engine.join(fifo, &user("u7"), key(3, 4)).await.unwrap();
    engine.show_life(fifo, Ticket(1));
    let tune = async |tuning| engine.tune(fifo, tuning, None).await.unwrap();
    tune(Tuning::default()).await;
    engine.snapshot().await.unwrap();
    engine.leave(fifo, &user("u5"), Ticket(5), None).await.unwrap();
    let (paid, currency) = (Money::new(50_000).unwrap(), support::concert().currency);
    engine.charge(&user("u1"), paid, currency, 1, Cause::default()).await.unwrap();
    let held = hold(&engine, fifo, "u1", &[9]).await.unwrap();
    let reservation = ReservationRef { number: held.number, nonce: held.nonce };
    let purchase = Purchase { user: user("u1"), reservation, method: Method::Balance, nonce: 1, key: None };
    engine.pay(fifo, purchase).await.unwrap();
    let tuning = Tuning { admit_per_minute: Some(Some(30)), paused: Some(true), active_max: Some(3) };
    tune(tuning).await;
    clock.pass_millis(130_000);
    tune(Tuning { paused: Some(false), ..Tuning::default() }).await;
    let opens_at = Some(clock.now().plus(Seconds::new(60)));
    let queue = QueuePolicy { order: QueueOrder::Shuffle, opens_at, active_max: 1, ..queue };
    put_policy(&engine, shuffled, policy(queue)).await;
    for name in ["a", "b", "c", "d", "e"] {
        engine.join(shuffled, &user(name), None).await.unwrap();
    }
    engine.snapshot().await.unwrap();
    clock.pass_millis(61_000);
    engine.join(shuffled, &user("late"), None).await.unwrap();
    hold(&engine, shuffled, "someone", &[0, 1, 2, 3]).await.unwrap();
    clock.pass_millis(3_500_000);
    tune(Tuning::default()).await;
    engine.act(fifo, Command::Cancel, None).await.unwrap();
    engine.close().await.unwrap();
}

/// A gateway that does what the payment key says.
struct Obedient;

impl Gateway for Obedient {
    fn terms(&self) -> &'static Terms {
        const TERMS: Terms = Terms::new("obedient");
        &TERMS
    }

    fn takes(&self, _: Currency) -> bool {
        true
    }

    fn confirm(&self, capture: Capture) -> gateway::Answer<'_, CaptureOutcome> {
        let payment_key = capture.payment_key;
        Box::pin(std::future::ready(match payment_key.as_str() {
            "declined" => CaptureOutcome::Declined { code: Said::new("REJECT"), reason: Said::new("No.") },
            "silent" => CaptureOutcome::Unknown { why: Why::TimedOut },
            "taken" => CaptureOutcome::Captured {
                payment_key,
                transaction: Some(Said::new("transaction-1")),
                approved_at: Some(support::NOW),
            },
            _ => CaptureOutcome::Captured { payment_key, transaction: None, approved_at: None },
        }))
    }

    fn find(&self, _: Find) -> gateway::Answer<'_, Found> {
        Box::pin(std::future::ready(Found::Unknown { why: Why::Failed }))
    }

    fn cancel(&self, _: Cancel) -> gateway::Answer<'_, CancelOutcome> {
        Box::pin(std::future::ready(CancelOutcome::Cancelled { transaction: Some(Said::new("refund-1")) }))
    }

    fn read_notice(&self, _: &[u8]) -> Option<OrderId> {
        None
    }
}

/// What the golden journal of money and users tells: a payment of every fate, movements of every kind, a user of every standing.
async fn scenario_of_money(config: EngineConfig, clock: &ManualClock) {
    let config = EngineConfig { gateways: Gateways::new([Arc::new(Obedient) as _]), ..config };
    let (engine, entries) = open_with(config, 1, 2).await;
    let [first, second] = &entries[..] else { panic!("two schedules") };
    let won = |minor| Money::new(minor).unwrap();
    let krw = Currency::parse("KRW").unwrap();
    let pay = async |entry: &ScheduleEntry, name: &str, seats: &[u32], method, key| {
        let held = hold(&engine, entry, name, seats).await.unwrap();
        let reservation = ReservationRef { number: held.number, nonce: held.nonce };
        let purchase = Purchase { user: user(name), reservation, method, nonce: u64::from(seats[0]), key };
        (reservation, engine.pay(entry, purchase).await.unwrap().answer)
    };
    let confirm = async |payment: &Payment, payment_key: &str| {
        let payment_key = PaymentKey::parse(payment_key).unwrap();
        let patience = std::time::Duration::from_mins(1);
        engine.confirm_payment(payment.id, payment.user.clone(), &payment_key, None, patience).await.unwrap()
    };
    for (name, amount, key) in [("u1", 500_000, key(1, 2)), ("관객", 60_000, None)] {
        let cause = Cause { by: By::Admin(user("admin")), key };
        engine.charge(&user(name), won(amount), krw, 5, cause).await.unwrap();
    }
    let (bought, _) = pay(first, "u1", &[1, 2], Method::Balance, key(3, 4)).await;
    pay(first, "관객", &[4, 5], Method::Balance, key(5, 6)).await;
    pay(first, "u1", &[9], Method::Card, key(7, 8)).await;
    let (_, declined) = pay(first, "u2", &[11], Method::KakaoPay, None).await;
    confirm(&declined, "declined").await;
    let (given_back, captured) = pay(first, "u2", &[13], Method::NaverPay, None).await;
    confirm(&captured, "taken").await;
    engine.snapshot().await.unwrap();
    for reservation in [bought, given_back] {
        let release = Command::Release { reservation, caller: Caller::Admin };
        engine.act(first, release, None).await.unwrap();
    }
    let (_, captured) = pay(second, "u3", &[20], Method::Toss, key(9, 9)).await;
    confirm(&captured, "taken").await;
    let (_, late) = pay(first, "u3", &[30], Method::Card, None).await;
    engine.settled().await;
    clock.pass_millis(400_000);
    confirm(&late, "too-late").await;
    engine.snapshot().await.unwrap();
    let profile = |email: &str| Profile {
        email: Email::parse(email).unwrap(),
        name: UserName::parse("Ann 앤").unwrap(),
        password: PasswordHash::parse("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA").unwrap(),
    };
    let ann = engine.sign_up(profile("ann@example.org")).await.unwrap().id;
    let bob = engine.sign_up(profile("bob@예시.kr")).await.unwrap().id;
    for (who, status, key) in [
        (&ann, UserStatus::Suspended, key(1, 1)),
        (&ann, UserStatus::Active, None),
        (&bob, UserStatus::Deleted, key(2, 2)),
        (&user("outsider"), UserStatus::Suspended, None),
        (&user("outsider"), UserStatus::Suspended, key(3, 3)),
    ] {
        let cause = Cause { by: By::Admin(user("admin")), key };
        engine.set_user_status(who.clone(), status, cause).await.unwrap();
    }
    // The last is left as a crash would: nobody knows whether the money was taken.
    let (_, silent) = pay(second, "u4", &[40], Method::Card, None).await;
    confirm(&silent, "silent").await;
    engine.close().await.unwrap();
}

/// What the golden journal of a payment service of the platform's own tells: a report of every kind, in every order.
async fn scenario_of_selling(config: EngineConfig, clock: &ManualClock) {
    let (engine, _) = open_with(config, 2, 1).await;
    let opens = |seconds| support::NOW.plus(Seconds::new(seconds));
    let phase = |id: &str, opens_at, closes_at| Phase {
        id: PhaseId::parse(id).unwrap(),
        name: id.to_owned(),
        opens_at,
        closes_at,
        grades: Some(vec![GradeName::parse("R").unwrap()]),
        seats_per_user_max: Some(2),
    };
    let phases = vec![phase("팬클럽", opens(60), opens(120)), phase("card", opens(180), opens(240))];
    let policy = Policy { phases, seats_per_user_max: 1_000, ..Policy::default() };
    let plan = Plan { sales_open_at: Some(opens(300)), ..support::plan(engine.now(), policy) };
    let id = ScheduleId::parse("presale").unwrap();
    engine.change(CatalogueChange::PutSchedule(id.clone(), support::concert().id, plan), None).await.unwrap();
    let entry = engine.schedule(&id).unwrap();
    let act = async |command: Command, key| engine.act(&entry, command, key).await.unwrap();
    let held = async |name: &str, seat: u32, code: &str| {
        let wish = Wish { code: Some(code.into()), ..Wish::seats([Seat(seat)]) };
        support::reservation(act(Command::hold(user(name), wish, u64::from(seat)), None).await)
    };

    let code = |text: &str| AccessCode::parse(text).unwrap();
    let terms = Arc::new(CodeTerms {
        phases: [PhaseId::parse("팬클럽").unwrap()].into(),
        discount: Some(Discount::Percent(10)),
        max_uses: Some(2),
        ..CodeTerms::default()
    });
    act(Command::PutCode { code: code("팬클럽-7"), terms: Arc::clone(&terms) }, None).await;
    let prefix = CodePrefix::parse("fan").unwrap();
    let drawn = [5, 7, 9].into();
    act(Command::MakeCodes { prefix, terms, drawn }, key(1, 2)).await;
    let allotment = |seats: &[Seat], release_at| AllotmentTerms {
        id: AllotmentId::parse("sponsor").unwrap(),
        name: "후원사".into(),
        reason: Some("계약 12조".into()),
        seats: seats.into(),
        areas: [].into(),
        release_at,
        life: 0,
    };
    let sponsors = allotment(&[Seat(10), Seat(11), Seat(12)], Some(opens(400)));
    act(Command::SetAllotment { terms: Arc::new(sponsors) }, None).await;
    let of_allotment =
        CodeTerms { allotment: Some(AllotmentId::parse("sponsor").unwrap()), ..CodeTerms::default() };
    act(Command::PutCode { code: code("SPON"), terms: Arc::new(of_allotment) }, None).await;
    clock.pass_millis(60_000);
    held("u1", 1, "팬클럽-7").await;
    held("관객", 2, "FAN-0000-0000-0007").await;
    engine.snapshot().await.unwrap();

    clock.pass_millis(240_000);
    let sponsored = held("u2", 10, "SPON").await;
    act(release_command("u2", &sponsored), None).await;
    held("u2", 11, "SPON").await;
    act(Command::EndCode { code: code("FAN-0000-0000-0009") }, None).await;
    act(Command::Block { seats: [Seat(90)].into() }, key(3, 4)).await;
    engine.snapshot().await.unwrap();
    clock.pass_millis(100_000);
    act(Command::Unblock { seats: [Seat(90)].into() }, None).await;
    act(Command::SetAllotment { terms: Arc::new(allotment(&[Seat(12)], None)) }, None).await;
    engine.close().await.unwrap();
}

async fn scenario_of_reports(config: EngineConfig, clock: &ManualClock) {
    let config = EngineConfig { gateways: Gateways::default().with_external(), ..config };
    let (engine, entries) = open_with(config, 1, 1).await;
    let entry = &entries[0];
    let taken = |payment_key: &str, amount| Taken {
        payment_key: payment_key.into(),
        amount: Money::new(amount).unwrap(),
        currency: support::concert().currency,
    };
    let order = async |name: &str, seat: u32| {
        let held = hold(&engine, entry, name, &[seat]).await.unwrap();
        let reservation = ReservationRef { number: held.number, nonce: held.nonce };
        let (method, nonce) = (Method::External, u64::from(seat));
        let purchase =
            Purchase { user: user(name), reservation, method, nonce, key: key(u128::from(seat), 1) };
        (reservation, engine.pay(entry, purchase).await.unwrap().answer.id)
    };
    let report = async |order, report| {
        engine.report_payment(order, report, std::time::Duration::from_mins(1)).await.unwrap();
    };
    let captured = |payment_key: &str| Report::Captured(taken(payment_key, 50_000));
    let refunded = |payment_key: &str, refund: Option<&str>| Report::Refunded {
        taken: taken(payment_key, 50_000),
        transaction: refund.map(Into::into),
    };

    let (_, paid) = order("u1", 1).await;
    report(paid, captured("paid")).await;
    report(paid, captured("again")).await;
    let (given_back, order_of_it) = order("관객", 3).await;
    report(order_of_it, captured("back")).await;
    let release = Command::Release { reservation: given_back, caller: Caller::Admin };
    engine.act(entry, release, None).await.unwrap();
    report(order_of_it, refunded("back", Some("refund-1"))).await;
    let (_, declined) = order("u2", 5).await;
    report(declined, Report::Declined { code: "card_declined".into(), reason: "No.".into() }).await;
    engine.snapshot().await.unwrap();
    report(declined, captured("after-all")).await;

    let (_, other) = order("u3", 7).await;
    report(other, Report::Captured(taken("less", 49_999))).await;
    let (_, early) = order("u3", 9).await;
    report(early, refunded("went-first", None)).await;
    report(early, captured("went-first")).await;
    let (_, late) = order("u4", 11).await;
    let (_, too_late) = order("u4", 13).await;
    clock.pass_millis(400_000);
    hold(&engine, entry, "u5", &[13]).await.unwrap();
    report(late, captured("late")).await;
    report(too_late, captured("too-late")).await;
    engine.snapshot().await.unwrap();
    report(paid, captured("once-more")).await;
    engine.close().await.unwrap();
}

/// What the golden journal of the archive tells: two schedules and old movements go there, one after the other.
async fn scenario_of_archive(config: EngineConfig, clock: &ManualClock) {
    let (engine, entries) = open_with(config, 1, 3).await;
    let (krw, amount) = (support::concert().currency, Money::new(100_000).unwrap());
    let put_in = async |name: &str| {
        engine.charge(&user(name), amount, krw, 5, Cause::default()).await.unwrap();
    };
    for (entry, name) in entries.iter().zip(["u1", "관객", "u1"]) {
        put_in(name).await;
        let held = hold(&engine, entry, name, &[3, 4]).await.unwrap();
        let reservation = ReservationRef { number: held.number, nonce: held.nonce };
        let method = Method::Balance;
        let purchase = Purchase { user: user(name), reservation, method, nonce: 6, key: key(1, 2) };
        engine.pay(entry, purchase).await.unwrap();
    }
    for _ in 0..105 {
        put_in("u1").await;
    }
    let mut later = support::plan(support::NOW, Policy::default());
    (later.starts_at, later.ends_at) =
        [300, 301].map(|days| clock.now().plus(Seconds::new(days * 86_400))).into();
    let change = CatalogueChange::PutSchedule(entries[2].id().clone(), support::concert().id, later);
    engine.change(change, None).await.unwrap();
    clock.pass_millis(40 * 86_400_000);
    engine.act(&entries[0], Command::Close, None).await.unwrap();
    clock.pass_millis(86_400_000);
    assert_eq!(engine.archive_old().await.unwrap().schedules, 1);
    engine.snapshot().await.unwrap();
    engine.act(&entries[1], Command::Close, None).await.unwrap();
    for _ in 0..3 {
        put_in("u1").await;
    }
    clock.pass_millis(31 * 86_400_000);
    assert_eq!(engine.archive_old().await.unwrap().schedules, 1);
    put_in("u1").await;
    engine.close().await.unwrap();
}

/// What the golden journal of sagas tells: schedules are created, removed and moved to the archive, each wholly; and then the engine is
/// killed in the middle of each.
async fn scenario_of_sagas(config: EngineConfig, clock: &ManualClock) {
    let (engine, entries) = open_with(config.clone(), 1, 5).await;
    engine.snapshot().await.unwrap();
    let id = |name: &str| ScheduleId::parse(name).unwrap();
    let cause = |key| Cause { by: By::Admin(user("admin")), key };
    let mut later = support::plan(clock.now(), Policy::default());
    (later.starts_at, later.ends_at) =
        [300, 301].map(|days| clock.now().plus(Seconds::new(days * 86_400))).into();
    let new = |name: &str| (id(name), support::concert().id, later.clone());
    let schedules = vec![new("imported-1"), new("imported-2")];
    let import = CatalogueChange::Import(Import { schedules, ..Import::default() });
    engine.change(import, cause(key(1, 2))).await.unwrap();
    engine.change(CatalogueChange::RemoveSchedule(id("s0")), cause(key(3, 4))).await.unwrap();
    engine.change(CatalogueChange::RemoveSchedule(id("imported-2")), cause(None)).await.unwrap();
    let krw = support::concert().currency;
    for entry in &entries[1..3] {
        engine.charge(&user("u1"), Money::new(50_000).unwrap(), krw, 5, Cause::default()).await.unwrap();
        let held = hold(&engine, entry, "u1", &[3]).await.unwrap();
        let reservation = ReservationRef { number: held.number, nonce: held.nonce };
        let purchase =
            Purchase { user: user("u1"), reservation, method: Method::Balance, nonce: 6, key: None };
        engine.pay(entry, purchase).await.unwrap();
    }
    for entry in &entries[3..] {
        let change = CatalogueChange::PutSchedule(entry.id().clone(), support::concert().id, later.clone());
        engine.change(change, None).await.unwrap();
    }
    clock.pass_millis(40 * 86_400_000);
    engine.act(&entries[1], Command::Close, None).await.unwrap();
    clock.pass_millis(86_400_000);
    assert_eq!(engine.archive_old().await.unwrap().schedules, 1);
    engine.act(&entries[2], Command::Close, None).await.unwrap();
    engine.snapshot().await.unwrap();
    clock.pass_millis(2 * 86_400_000);
    engine.close().await.unwrap();

    // The archive has the rows of the third: they are of a copy that went on.
    let data = config.journal.dir.clone();
    let copied = tempfile::tempdir().unwrap();
    copy(&data, copied.path());
    let mut ahead = config.clone();
    copied.path().clone_into(&mut ahead.journal.dir);
    let engine = Engine::open(ahead).await.unwrap();
    assert_eq!(engine.archive_old().await.unwrap().schedules, 1);
    engine.close().await.unwrap();
    fs::copy(copied.path().join("archive.sqlite"), data.join("archive.sqlite")).unwrap();

    let world = V2.replayed(&data);
    let (third, fourth) = (entries[2].number(), entries[3].number());
    let number = ScheduleNumber(world.catalogue.last_schedule() + 1);
    let creation = Creation { number, id: id("listed"), ..creation_of(&world.schedules[&fourth]) };
    let listed = CatalogueEvent::ScheduleListed {
        id: creation.id.clone(),
        number,
        concert: creation.concert.clone(),
        creation: Some(Arc::new(creation)),
    };
    let at = clock.now();
    let journal = Journal::open(config.journal.clone()).unwrap();
    let journal = journal.start(Hooks::with_clock(Arc::new(move || at.as_millis()))).unwrap();
    let archived = Event::Archived { payments: world.payments[&third].version() };
    let (of_third, of_fourth) =
        (world.schedules[&third].version() + 1, world.schedules[&fourth].version() + 1);
    let catalogue = world.catalogue.version() + 1;
    append(&journal, |bytes| {
        record::encode_fact(bytes, of_third, at, cause(None), FactRef::Schedule(third, &archived));
    })
    .await;
    append(&journal, |bytes| {
        record::encode_fact(
            bytes,
            of_fourth,
            at,
            cause(key(5, 6)),
            FactRef::Schedule(fourth, &Event::Deleted),
        );
    })
    .await;
    append(&journal, |bytes| {
        record::encode_fact(bytes, catalogue, at, cause(key(7, 8)), FactRef::Catalogue(&listed));
    })
    .await;
    journal.close().await.unwrap();
}

/// What the golden journal of plans tells: a venue gets one part of a plan after the other while its seats are sold.
async fn scenario_of_plans(config: EngineConfig, clock: &ManualClock) {
    let (engine, entries) = open_with(config, 1, 2).await;
    let [first, second] = &entries[..] else { panic!("two schedules") };
    let point = |x: &str, y: &str| {
        let coordinate = |text: &str| Coordinate::parse(text).unwrap();
        Point { x: coordinate(x), y: coordinate(y) }
    };
    let square = |left: &str, right: &str| {
        let corners = [(left, "0"), (right, "0"), (right, "6"), (left, "5.5")];
        Outline::new(corners.map(|(x, y)| point(x, y)).into())
    };

    let mut hall = support::venue(1, 50);
    let put = async |venue: &Venue| {
        engine.change(CatalogueChange::PutVenue(venue.clone()), None).await.unwrap();
        let catalogue = engine.catalogue();
        catalogue.venue(&venue.id).unwrap().seating.id()
    };
    let mut plans = vec![put(&hall).await];
    hall.stage = square("-10", "10");
    plans.push(put(&hall).await);
    hold(&engine, first, "u1", &[1, 2]).await.unwrap();
    hall.sections[0].outline = square("-20.25", "20.25");
    plans.push(put(&hall).await);
    engine.snapshot().await.unwrap();

    hall.sections[0].rows[0].line = Some(Line { at: point("-12.25", "8"), step: point("0.5", "0.000001") });
    plans.push(put(&hall).await);
    hold(&engine, second, "관객", &[7]).await.unwrap();
    let listed = |number: u32| ListedSeat::new(SeatId::parse(&format!("1-A-1-{number}")).unwrap(), number);
    let mut seats: Vec<ListedSeat> = (1..=50).map(listed).collect();
    seats[0].accessible = true;
    seats[1].companion_of = Some(seats[0].id.clone());
    seats[2].restricted_view = true;
    seats[48].at = Some(point("1000000", "-1000000"));
    hall.sections[0].rows[0].seats = RowSeats::Listed(seats);
    plans.push(put(&hall).await);
    engine.snapshot().await.unwrap();

    clock.pass_millis(400_000);
    hold(&engine, first, "u2", &[1, 3, 4]).await.unwrap();
    for nonce in 1..=5 {
        let (amount, krw) = (Money::new(500_000).unwrap(), support::concert().currency);
        engine.charge(&user("u1"), amount, krw, nonce, Cause::default()).await.unwrap();
    }
    plans.sort_unstable_by_key(|plan| plan.halves());
    plans.dedup();
    assert_eq!(plans.len(), 5, "each is another plan");
    engine.close().await.unwrap();
}

/// What the golden journal of areas tells: places of areas of every fate, beside seats, and a venue whose area gets another name.
async fn scenario_of_areas(config: EngineConfig, clock: &ManualClock) {
    let engine = Engine::open(config).await.unwrap();
    let corners = [("0", "0"), ("9", "0"), ("9", "3.5")];
    let point =
        |(x, y): (&str, &str)| Point { x: Coordinate::parse(x).unwrap(), y: Coordinate::parse(y).unwrap() };
    let pit = VenueArea { outline: Outline::new(corners.map(point).into()), ..support::area("pit", 100_000) };
    let mut hall = Venue { areas: vec![pit, support::area("잔디", 5)], ..support::venue(1, 50) };
    let put = async |venue: &Venue| {
        engine.change(CatalogueChange::PutVenue(venue.clone()), None).await.unwrap();
    };
    put(&hall).await;
    engine.change(CatalogueChange::PutConcert(support::concert()), None).await.unwrap();
    let released = support::NOW.plus(Seconds::new(7_000));
    let policy = Policy { accessible_release_at: Some(released), ..Policy::default() };
    let entry = support::open_schedule(&engine, "s0", support::plan(support::NOW, policy)).await;
    let hold = async |name: &str, seats: &[u32], areas: &[(u16, u32)], nonce: u64| {
        let command = Command::hold(user(name), support::wish(seats, areas), nonce);
        let key = key(u128::from(nonce), 1);
        let held = support::reservation(engine.act(&entry, command, key).await.unwrap());
        ReservationRef { number: held.number, nonce: held.nonce }
    };

    let bought = hold("u1", &[1, 2], &[(0, 2)], 11).await;
    for nonce in 1..=2 {
        let (amount, krw) = (Money::new(500_000).unwrap(), support::concert().currency);
        engine.charge(&user("u1"), amount, krw, nonce, Cause::default()).await.unwrap();
    }
    let purchase =
        Purchase { user: user("u1"), reservation: bought, method: Method::Balance, nonce: 5, key: None };
    engine.pay(&entry, purchase).await.unwrap();
    let exchanged = hold("관객", &[], &[(1, 3)], 12).await;
    let (caller, wish) = (Caller::User(user("관객")), support::wish(&[7], &[(1, 1), (0, 2)]));
    let exchange = Command::Exchange { reservation: exchanged, caller, wish };
    engine.act(&entry, exchange, None).await.unwrap();
    engine.snapshot().await.unwrap();

    let given_back = hold("u2", &[9], &[(0, 1)], 13).await;
    let caller = Caller::User(user("u2"));
    engine.act(&entry, Command::Release { reservation: given_back, caller }, None).await.unwrap();
    hold("u3", &[], &[(1, 4)], 14).await;
    hall.areas[0].name = "스탠딩".into();
    put(&hall).await;
    // The holds end by time, and their places are held again.
    clock.pass_millis(400_000);
    hold("u4", &[7], &[(1, 3)], 15).await;
    engine.snapshot().await.unwrap();
    engine.act(&entry, Command::hold(user("u5"), Wish::best(3), 16), None).await.unwrap();
    engine.close().await.unwrap();
}

/// What the golden journal of orders tells: somebody's and nobody's, of every method, for another amount, out of an allotment, cancelled.
async fn scenario_of_orders(config: EngineConfig, clock: &ManualClock) {
    let (engine, entries) = open_with(config, 2, 2).await;
    let [first, second] = &entries[..] else { panic!("two schedules") };
    let press = AllotmentTerms {
        id: AllotmentId::parse("기자석").unwrap(),
        name: "Press".into(),
        reason: None,
        seats: [Seat(40), Seat(41)].into(),
        areas: [].into(),
        release_at: None,
        life: 0,
    };
    let press_id = press.id.clone();
    engine.act(first, Command::SetAllotment { terms: Arc::new(press) }, None).await.unwrap();
    let sell =
        async |entry: &ScheduleEntry, seats: &[u32], nonce: u64, method, change: &dyn Fn(&mut OrderWish)| {
            let clerk = user("매표소 1");
            let mut wanted = OrderWish {
                user: None,
                wish: support::wish(seats, &[]),
                types: None,
                allotment: None,
                order: Order { clerk: clerk.clone(), method, reference: None, name: None, reason: None },
                amount: None,
                nonce,
                payment_nonce: nonce + 100,
            };
            change(&mut wanted);
            let cause = Cause { by: By::Admin(clerk), key: key(u128::from(nonce), 1) };
            let command = Command::Order(Box::new(wanted));
            support::reservation(engine.act_by(entry, command, cause).await.unwrap())
        };

    let plain = sell(first, &[1, 2], 1, OrderMethod::Cash, &|_| ()).await;
    clock.pass_millis(1_000);
    let of_user = |order: &mut OrderWish| {
        order.user = Some(user("관객"));
        order.order.name = Some("김관객".into());
        order.order.reference = Some("slip 7".into());
    };
    let of_user = sell(first, &[3], 2, OrderMethod::CardTerminal, &of_user).await;
    engine.snapshot().await.unwrap();
    let dearer = |order: &mut OrderWish| {
        order.amount = Money::new(70_000);
        order.order.reason = Some("programme".into());
    };
    sell(first, &[4], 3, OrderMethod::Invoice, &dearer).await;
    let of_press = |order: &mut OrderWish| order.allotment = Some(press_id.clone());
    let given = sell(first, &[40], 4, OrderMethod::Complimentary, &of_press).await;
    hold(&engine, first, "u1", &[9]).await.unwrap();

    // Closed, they are sold and given back all the same; one by its user, one by a clerk, one with its performance.
    engine.act(first, Command::Close, None).await.unwrap();
    for order in [&given, &plain] {
        engine.act(first, support::cancel_order(order), None).await.unwrap();
    }
    let back = Command::Release {
        reservation: ReservationRef { number: of_user.number, nonce: of_user.nonce },
        caller: Caller::Admin,
    };
    engine.act_by(first, back, Cause { by: By::Admin(user("boss")), key: None }).await.unwrap();
    sell(second, &[5], 5, OrderMethod::Cash, &|_| ()).await;
    engine.act(second, Command::Cancel, None).await.unwrap();
    engine.snapshot().await.unwrap();
    // What else has ended is forgotten; orders aren't.
    clock.pass_millis(8 * 86_400_000);
    engine.act(first, Command::Block { seats: [Seat(30)].into() }, None).await.unwrap();
    engine.close().await.unwrap();
}

/// What the golden journal of prices tells: price types, fees, lines of every kind, and refunds of a part and of everything.
async fn scenario_of_prices(config: EngineConfig, clock: &ManualClock) {
    let config = EngineConfig { gateways: Gateways::new([Arc::new(Obedient) as _]), ..config };
    let engine = Engine::open(config).await.unwrap();
    let hall = Venue { areas: vec![support::area("pit", 9)], ..support::venue(1, 50) };
    engine.change(CatalogueChange::PutVenue(hall), None).await.unwrap();
    let put = async |concert: Concert| {
        engine.change(CatalogueChange::PutConcert(concert), None).await.unwrap();
    };
    let won = |minor| Money::new(minor).unwrap();
    let mut concert = support::concert();
    let priced = |id: &str, name: &str, note: Option<&str>| NamedPriceType {
        id: PriceTypeId::parse(id).unwrap(),
        name: name.into(),
        note: note.map(Into::into),
    };
    concert.price_types =
        vec![priced("adult", "일반", None), priced("youth", "청소년", Some("만 18세 이하"))];
    concert.grades[0].prices = [(PriceTypeId::parse("youth").unwrap(), won(33_333))].into();
    let fee = |id: &str, amount, per, refundable| Fee {
        id: FeeId::parse(id).unwrap(),
        name: id.into(),
        amount: won(amount),
        per,
        refundable,
    };
    concert.fees = vec![fee("booking", 2_000, FeePer::Seat, false)];
    put(concert.clone()).await;
    let plan = support::plan(support::NOW, Policy::default());
    let id = ScheduleId::parse("s0").unwrap();
    let change = CatalogueChange::PutSchedule(id.clone(), concert.id.clone(), plan);
    engine.change(change, None).await.unwrap();
    // Its prices change before its sale opens.
    concert.fees.push(fee("배송", 3_000, FeePer::Reservation, true));
    put(concert).await;
    engine.change(CatalogueChange::OpenSchedule(id.clone()), None).await.unwrap();
    let entry = engine.schedule(&id).unwrap();

    let terms = CodeTerms {
        discount: Some(Discount::Percent(10)),
        price_types: Some([Arc::from("youth")].into()),
        ..CodeTerms::default()
    };
    let code = AccessCode::parse("YOUNG").unwrap();
    engine.act(&entry, Command::PutCode { code, terms: Arc::new(terms) }, None).await.unwrap();

    let youth = PriceType(1);
    let wish = |seat: u32, price_types: &[PriceType], places: &[(u32, PriceType)]| Wish {
        pick: Pick::Seats((seat..).take(price_types.len()).map(Seat).collect()),
        price_types: price_types.into(),
        areas: places
            .iter()
            .map(|&(count, price_type)| AreaWish { area: Area(0), count, price_type })
            .collect(),
        ..Wish::default()
    };
    let hold = async |name: &str, wish: Wish, nonce| {
        let command = Command::hold(user(name), wish, nonce);
        let held = support::reservation(engine.act(&entry, command, key(nonce.into(), 1)).await.unwrap());
        ReservationRef { number: held.number, nonce: held.nonce }
    };
    let pay = async |name: &str, reservation, method, nonce| {
        engine
            .charge(&user(name), won(500_000), support::concert().currency, nonce, Cause::default())
            .await
            .unwrap();
        let purchase = Purchase { user: user(name), reservation, method, nonce, key: None };
        engine.pay(&entry, purchase).await.unwrap().answer
    };
    let give_back = async |reservation| {
        engine.act(&entry, Command::Release { reservation, caller: Caller::Admin }, None).await.unwrap();
        engine.settled().await;
    };

    let bought =
        hold("u1", wish(0, &[PriceType::DEFAULT, youth], &[(1, youth), (1, PriceType::DEFAULT)]), 1).await;
    pay("u1", bought, Method::Balance, 2).await;
    let exchanged = hold("관객", wish(5, &[PriceType::DEFAULT], &[]), 3).await;
    let coded = Wish { code: Some("YOUNG".into()), ..wish(7, &[youth, youth], &[]) };
    let exchange =
        Command::Exchange { reservation: exchanged, caller: Caller::User(user("관객")), wish: coded };
    engine.act(&entry, exchange, None).await.unwrap();
    engine.snapshot().await.unwrap();

    give_back(bought).await;
    let card = hold("u2", wish(9, &[youth], &[]), 4).await;
    let ready = pay("u2", card, Method::Card, 5).await;
    let payment_key = PaymentKey::parse("taken").unwrap();
    let patience = std::time::Duration::from_mins(1);
    engine.confirm_payment(ready.id, user("u2"), &payment_key, None, patience).await.unwrap();
    give_back(card).await;
    let all_back = hold("u3", wish(11, &[PriceType::DEFAULT], &[]), 6).await;
    pay("u3", all_back, Method::Balance, 7).await;
    clock.pass_millis(1_000);
    engine.snapshot().await.unwrap();
    engine.act(&entry, Command::Cancel, None).await.unwrap();
    engine.settled().await;
    engine.close().await.unwrap();
}

/// What the golden journal of shares of areas tells: one that is set, set again, bought from, given back to, released by its instant and by
/// an administrator, beside seats and alone.
async fn scenario_of_shares(config: EngineConfig, clock: &ManualClock) {
    let engine = Engine::open(config).await.unwrap();
    let areas = vec![support::area("pit", 100), support::area("잔디", 9)];
    let hall = Venue { areas, ..support::venue(1, 50) };
    engine.change(CatalogueChange::PutVenue(hall), None).await.unwrap();
    engine.change(CatalogueChange::PutConcert(support::concert()), None).await.unwrap();
    let policy = Policy { seats_per_user_max: 50, ..Policy::default() };
    let entry = support::open_schedule(&engine, "s0", support::plan(support::NOW, policy)).await;
    let act = async |command: Command, key| engine.act(&entry, command, key).await.unwrap();
    let set = async |id: &str, seats: &[u32], areas: &[(u16, u32)], release_after: Option<u32>| {
        let areas = areas.iter().map(|&(area, count)| AsidePlaces { area: Area(area), count });
        let terms = AllotmentTerms {
            id: AllotmentId::parse(id).unwrap(),
            name: "후원사".into(),
            reason: None,
            seats: seats.iter().copied().map(Seat).collect(),
            areas: areas.collect(),
            release_at: release_after.map(|seconds| support::NOW.plus(Seconds::new(seconds))),
            life: 0,
        };
        act(Command::SetAllotment { terms: Arc::new(terms) }, None).await;
        let code = AccessCode::parse(&format!("CODE-{id}")).unwrap();
        let terms = CodeTerms { allotment: Some(AllotmentId::parse(id).unwrap()), ..CodeTerms::default() };
        act(Command::PutCode { code, terms: Arc::new(terms) }, None).await;
    };
    let hold = async |name: &str, code: &str, seats: &[u32], areas: &[(u16, u32)], nonce: u64| {
        let wish = Wish { code: Some(code.into()), ..support::wish(seats, areas) };
        let held = act(Command::hold(user(name), wish, nonce), key(u128::from(nonce), 1)).await;
        let held = support::reservation(held);
        ReservationRef { number: held.number, nonce: held.nonce }
    };

    set("sponsor", &[3, 4], &[(0, 20), (1, 4)], Some(400)).await;
    set("school", &[], &[(0, 30)], None).await;
    let bought = hold("u1", "CODE-SPONSOR", &[3], &[(0, 2)], 11).await;
    let (amount, krw) = (Money::new(500_000).unwrap(), support::concert().currency);
    engine.charge(&user("u1"), amount, krw, 1, Cause::default()).await.unwrap();
    let purchase =
        Purchase { user: user("u1"), reservation: bought, method: Method::Balance, nonce: 5, key: None };
    engine.pay(&entry, purchase).await.unwrap();
    let exchanged = hold("관객", "CODE-SCHOOL", &[], &[(0, 3)], 12).await;
    engine.snapshot().await.unwrap();

    let caller = || Caller::User(user("관객"));
    let wish = support::wish(&[], &[(0, 1)]);
    act(Command::Exchange { reservation: exchanged, caller: caller(), wish }, None).await;
    let wish = Wish { drops_code: true, ..support::wish(&[7], &[(0, 2)]) };
    act(Command::Exchange { reservation: exchanged, caller: caller(), wish }, None).await;
    let given_back = hold("u2", "CODE-SPONSOR", &[], &[(0, 1), (1, 2)], 13).await;
    let caller = Caller::User(user("u2"));
    act(Command::Release { reservation: given_back, caller }, None).await;
    set("sponsor", &[3], &[(0, 10)], Some(400)).await;
    hold("u3", "CODE-SCHOOL", &[], &[(0, 4)], 14).await;
    // The holds end, and then the first is released.
    clock.pass_millis(400_000);
    hold("u4", "CODE-SCHOOL", &[], &[(0, 2)], 15).await;
    engine.snapshot().await.unwrap();
    act(Command::ReleaseAllotment { id: AllotmentId::parse("school").unwrap() }, key(3, 4)).await;
    set("sponsor", &[], &[(0, 5)], None).await;
    engine.close().await.unwrap();
}

/// What the golden journal of lives tells: allotments that follow each other under one id; refunds of which more went back than was owed,
/// at once and later; and what goes back for a reservation that is forgotten.
async fn scenario_of_lives(config: EngineConfig, clock: &ManualClock) {
    let config = EngineConfig { gateways: Gateways::default().with_external(), ..config };
    let engine = Engine::open(config).await.unwrap();
    let hall = Venue { areas: vec![support::area("pit", 20)], ..support::venue(1, 50) };
    engine.change(CatalogueChange::PutVenue(hall), None).await.unwrap();
    let won = |minor| Money::new(minor).unwrap();
    let fee = Fee {
        id: FeeId::parse("booking").unwrap(),
        name: "예매".into(),
        amount: won(2_000),
        per: FeePer::Seat,
        refundable: false,
    };
    let concert = Concert { fees: vec![fee], ..support::concert() };
    engine.change(CatalogueChange::PutConcert(concert), None).await.unwrap();
    let entry = support::open_schedule(&engine, "s0", support::plan(support::NOW, Policy::default())).await;
    let act = async |command: Command| engine.act(&entry, command, None).await.unwrap();
    let press = || AllotmentId::parse("press").unwrap();
    let set = async |seats: &[u32], count: u32| {
        let terms = AllotmentTerms {
            id: press(),
            name: "Press".into(),
            reason: None,
            seats: seats.iter().copied().map(Seat).collect(),
            areas: [AsidePlaces { area: Area(0), count }].into(),
            release_at: None,
            life: 0,
        };
        act(Command::SetAllotment { terms: Arc::new(terms) }).await;
    };
    let hold = async |name: &str, wish: Wish, nonce: u64| {
        let held = support::reservation(act(Command::hold(user(name), wish, nonce)).await);
        ReservationRef { number: held.number, nonce: held.nonce }
    };
    let coded =
        |seats: &[u32], count| Wish { code: Some("PRESS".into()), ..support::wish(seats, &[(0, count)]) };

    set(&[3, 4], 6).await;
    let terms = CodeTerms { allotment: Some(press()), ..CodeTerms::default() };
    act(Command::PutCode { code: AccessCode::parse("PRESS").unwrap(), terms: Arc::new(terms) }).await;
    let first = hold("u1", coded(&[3], 2), 1).await;
    engine.snapshot().await.unwrap();
    act(Command::ReleaseAllotment { id: press() }).await;
    set(&[4, 5], 4).await;
    hold("관객", coded(&[5], 1), 2).await;
    act(Command::Release { reservation: first, caller: Caller::User(user("u1")) }).await;

    let report = async |order, report| {
        engine.report_payment(order, report, std::time::Duration::from_mins(1)).await.unwrap();
    };
    let taken = |payment_key: &str, amount| Taken {
        payment_key: payment_key.into(),
        amount: won(amount),
        currency: support::concert().currency,
    };
    let back = |payment_key: &str, amount| Report::Refunded {
        taken: taken(payment_key, amount),
        transaction: Some("refund".into()),
    };
    for (index, payment_key, went_back) in
        [(0, "as-owed", vec![50_000]), (1, "all", vec![52_000]), (2, "more", vec![50_000, 51_000])]
    {
        let reservation = hold("u2", support::wish(&[10 + index], &[]), 3 + u64::from(index)).await;
        let (method, nonce) = (Method::External, u64::from(index));
        let purchase = Purchase { user: user("u2"), reservation, method, nonce, key: None };
        let order = engine.pay(&entry, purchase).await.unwrap().answer.id;
        report(order, Report::Captured(taken(payment_key, 52_000))).await;
        act(Command::Release { reservation, caller: Caller::Admin }).await;
        for amount in went_back {
            report(order, back(payment_key, amount)).await;
        }
    }
    engine.snapshot().await.unwrap();

    // What ended is forgotten after a week.
    clock.pass_millis(8 * 86_400_000);
    let code = AccessCode::parse("LATE").unwrap();
    act(Command::PutCode { code, terms: Arc::new(CodeTerms::default()) }).await;
    engine.close().await.unwrap();
}

/// What a schedule could be created with, to be like another.
fn creation_of(schedule: &Schedule) -> Creation {
    Creation {
        number: schedule.number(),
        id: schedule.id().clone(),
        concert: schedule.concert().clone(),
        venue: schedule.venue().clone(),
        currency: schedule.currency(),
        plan: Arc::clone(schedule.plan()),
        limits: schedule.limits(),
        prices: schedule.prices().cloned(),
    }
}

/// Appends a record in an entry of its own.
async fn append(journal: &Journal, encode: impl FnOnce(&mut Vec<u8>)) {
    let mut records = Records::new();
    let pushed = records.push_with(|bytes| {
        encode(bytes);
        Ok::<(), EntryTooLarge>(())
    });
    pushed.unwrap();
    journal.reserve().await.unwrap().send(Entry { records, done: Box::new(|_| {}) });
}

async fn put_policy(engine: &Engine, entry: &ScheduleEntry, policy: Policy) {
    let plan = support::plan(support::NOW, policy);
    let change = CatalogueChange::PutSchedule(entry.id().clone(), support::concert().id, plan);
    engine.change(change, None).await.unwrap();
}

fn write(root: &Path, scenario: impl AsyncFnOnce(EngineConfig, &ManualClock)) {
    let data = root.join("data");
    let clock = ManualClock::at(support::NOW);
    let mut config = EngineConfig { clock: Arc::new(clock.clone()), ..support::config(&data) };
    // The journal is replayed from its beginning, however much time passes in it.
    config.journal.retain = Retain::Forever;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(scenario(config, &clock));
    fs::remove_file(data.join("lock")).unwrap();
    fs::write(root.join("state.txt"), describe(&V2.replayed(&data))).unwrap();
}

/// A format's readers.
struct Format {
    inspect: fn(&Path) -> Inspection,
    decode: fn(&[u8]) -> Result<Record, DecodeError>,
    restored: fn(&Path) -> World,
}

const V1: Format = Format {
    inspect: |dir| Inspection::open_v1(dir, None).unwrap(),
    decode: v1::decode,
    restored: |path| {
        let snapshot = snapshot::read_as(path, CODEC_V1).unwrap();
        restored(v1::decode_sections(snapshot.sections).unwrap())
    },
};

const V2: Format = Format {
    inspect: |dir| Inspection::open(dir, None).unwrap(),
    decode: record::decode,
    restored: |path| {
        let sections = snapshot::read(path).unwrap().sections;
        restored(record::decode_sections(sections).map(Result::unwrap))
    },
};

fn restored(sections: impl IntoIterator<Item = Section>) -> World {
    let mut world = World::default();
    sections.into_iter().for_each(|section| world.restore(section).unwrap());
    world
}

impl Format {
    /// Applies what follows a position.
    fn follow(&self, world: &mut World, data: &Path, from: Position) -> u64 {
        let mut count = 0;
        let visit = |_, bytes: &[u8]| {
            count += u64::from(world.apply(&(self.decode)(bytes).unwrap()).unwrap());
            Ok::<(), InspectError>(())
        };
        (self.inspect)(data).for_each(from, Position::new(u64::MAX), visit).unwrap();
        world.check().unwrap();
        count
    }

    /// The state from the journal alone, from its beginning.
    fn replayed(&self, data: &Path) -> World {
        let mut world = World::default();
        assert!(self.follow(&mut world, data, Position::START) > 20);
        world
    }

    /// Reads a copy of a folder's data by every way, and returns where it is.
    fn check(&self, root: &Path) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        copy(&root.join("data"), &data);
        if std::env::var("ONSALE_GOLDEN").as_deref() == Ok("describe") {
            fs::write(root.join("state.txt"), describe(&self.replayed(&data))).unwrap();
        }
        let expected = state(root);
        assert_eq!(describe(&self.replayed(&data)), expected, "the journal");

        let snapshots = snapshot::list(&data).unwrap();
        assert!(snapshots.len() >= 2);
        for (position, path) in snapshots {
            let mut world = (self.restored)(&path);
            self.follow(&mut world, &data, position);
            assert_eq!(describe(&world), expected, "the snapshot at {position} and what follows it");
        }
        let whole = self.replayed(&data);
        let written: Vec<_> =
            whole.sections().flat_map(|section| section.encode().collect::<Vec<_>>()).collect();
        let again = restored(record::decode_sections(written).map(Result::unwrap));
        assert!(again == whole, "a snapshot of what the journal comes to, also in the middle of a saga");
        (dir, data)
    }
}

/// The state that a folder's data holds.
fn state(root: &Path) -> String {
    fs::read_to_string(root.join("state.txt")).unwrap()
}

/// Checks that today's writer writes what a journal holds.
fn check_that_it_is_written_so(data: &Path) {
    let visit = |_, bytes: &[u8]| {
        let read = record::decode(bytes).unwrap();
        let mut again = Vec::new();
        let cause = Cause { by: read.by.clone(), key: read.key };
        record::encode_fact(&mut again, read.version, read.at, cause, read.fact.as_ref());
        assert_eq!(again, bytes, "today's writer writes what the golden journal holds");
        Ok::<(), InspectError>(())
    };
    (V2.inspect)(data).for_each(Position::START, Position::new(u64::MAX), visit).unwrap();
}

#[test]
fn the_golden_data_of_version_2_is_read_as_it_was_written() {
    check("v2", scenario);
}

#[test]
fn the_golden_data_of_waiting_rooms_is_read_as_it_was_written() {
    check("v2-rooms", scenario_of_rooms);
}

#[test]
fn the_golden_data_of_money_and_users_is_read_as_it_was_written() {
    check("v2-money", scenario_of_money);
}

#[test]
fn the_golden_data_of_reports_is_read_as_it_was_written() {
    check("v2-reports", scenario_of_reports);
}

#[test]
fn the_golden_data_of_the_archive_is_read_as_it_was_written() {
    check("v2-archive", scenario_of_archive);
}

#[test]
fn the_golden_data_of_sagas_is_read_as_it_was_written() {
    check("v2-sagas", scenario_of_sagas);
}

#[test]
fn the_golden_data_of_phases_codes_and_allotments_is_read_as_it_was_written() {
    check("v2-selling", scenario_of_selling);
}

#[test]
fn the_golden_data_of_plans_is_read_as_it_was_written() {
    check("v2-plans", scenario_of_plans);
}

#[test]
fn the_golden_data_of_orders_is_read_as_it_was_written() {
    check("v2-orders", scenario_of_orders);
}

#[test]
fn the_golden_data_of_areas_is_read_as_it_was_written() {
    check("v2-areas", scenario_of_areas);
}

#[test]
fn the_golden_data_of_prices_is_read_as_it_was_written() {
    check("v2-prices", scenario_of_prices);
}

#[test]
fn the_golden_data_of_shares_of_areas_is_read_as_it_was_written() {
    check("v2-shares", scenario_of_shares);
}

#[test]
fn the_golden_data_of_lives_is_read_as_it_was_written() {
    check("v2-lives", scenario_of_lives);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_finishes_what_was_begun_in_the_golden_data_of_sagas() {
    let dir = tempfile::tempdir().unwrap();
    copy(&golden("v2-sagas").join("data"), dir.path());
    let config = || {
        let clock = ManualClock::at(support::NOW.plus(Seconds::new(44 * 86_400)));
        EngineConfig { clock: Arc::new(clock), ..support::config(dir.path()) }
    };
    for _ in 0..2 {
        let engine = Engine::open(config()).await.unwrap();
        let schedules = engine.schedules();
        let ids: Vec<_> = schedules.iter().map(|entry| entry.id().as_str()).collect();
        assert_eq!(ids, ["s4", "imported-1", "listed"]);
        assert_eq!(engine.catalogue().archived_count(), 2);
        assert!(engine.find_schedule("s2").await.unwrap().unwrap().is_archived());
        assert!(engine.catalogue().schedule("s3").is_none() && engine.catalogue().creations().is_empty());
        let remove = CatalogueChange::RemoveSchedule(ScheduleId::parse("s3").unwrap());
        let removed = engine.change(remove, key(5, 6)).await;
        assert_eq!(removed, Ok(Changed::Removed { replayed: true }));
        engine.snapshot().await.unwrap();
        engine.close().await.unwrap();
    }
}

/// Reads the data of a folder as it was written; writes what isn't there, where that is asked for.
fn check(folder: &str, scenario: impl AsyncFnOnce(EngineConfig, &ManualClock)) {
    let root = golden(folder);
    if std::env::var("ONSALE_GOLDEN").as_deref() == Ok("write") && !root.exists() {
        write(&root, scenario);
    }
    let (_dir, data) = V2.check(&root);
    check_that_it_is_written_so(&data);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_version_1_wrote_is_migrated_with_everything_that_it_holds() {
    for folder in ["v1", "v1-rooms", "v1-money", "v1-archive"] {
        let root = golden(folder);
        let (_dir, data) = V1.check(&root);
        let log_id = (V1.inspect)(&data).log_id();
        let migrated = migrate(&data, support::NOW).unwrap();

        let inspection = (V2.inspect)(&data);
        assert_eq!(inspection.log_id(), log_id, "{folder}");
        assert_eq!(inspection.mark().unwrap().0, migrated.position, "{folder}");
        drop(inspection);
        let [(position, path)] = &snapshot::list(&data).unwrap()[..] else { panic!("one snapshot") };
        assert_eq!(*position, migrated.position);
        let mut world = (V2.restored)(path);
        assert_eq!(V2.follow(&mut world, &data, *position), 0);
        assert_eq!(describe(&world), state(&root), "{folder}");
        // The old directory is what it was.
        assert_eq!(describe(&V1.replayed(&migrated.old)), state(&root), "{folder}");

        let mut config = support::config(&data);
        config.clock = Arc::new(ManualClock::at(world.last_instant().plus_millis(1_000)));
        config.journal = JournalConfig { reserve_bytes: 0, ..config.journal };
        let engine = Engine::open(config).await.unwrap();
        engine.snapshot().await.unwrap();
        engine.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_goes_on_from_the_golden_data_of_version_1() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    copy(&golden("v1").join("data"), &data);
    migrate(&data, support::NOW).unwrap();
    let mut config = support::config(&data);
    config.clock = Arc::new(ManualClock::at(support::NOW.plus_millis(500_000)));
    config.journal = JournalConfig { reserve_bytes: 0, ..config.journal };
    let engine = Engine::open(config).await.unwrap();
    let entry = engine.schedule("s0").unwrap();
    assert_eq!(entry.read().counts().reserved, 2);
    assert_eq!(entry.read().reservations_of("관객").count(), 1);
    // An id that was given before there were sealed ones is what it was, and still leads there.
    let given = entry.read().reservations().map(|kept| entry.read().full_id(kept)).collect::<Vec<_>>();
    assert!(!given.is_empty() && given.iter().all(|id| id.number.0 & SEALED == 0));
    for id in given {
        assert_eq!(engine.reservation_id(&id.to_string()), Some(id));
        assert_eq!(engine.reservation(id).unwrap().1.number, id.number);
    }
    hold(&engine, &entry, "u9", &[70]).await.unwrap();
    let new = entry.read().reservations_of("u9").map(|kept| entry.read().full_id(kept)).next().unwrap();
    assert_eq!(engine.reservation_id(&new.to_string()), Some(new));
    assert!(new.number.0 & SEALED != 0);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_does_not_start_where_files_of_two_copies_were_mixed() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let open = async |dir: &Path| {
        copy(&golden("v2").join("data"), dir);
        let mut config = support::config(dir);
        config.journal = JournalConfig { reserve_bytes: 0, ..config.journal };
        Engine::open(config).await
    };
    let engine = open(dir.path()).await.unwrap();
    hold(&engine, &engine.schedule("s0").unwrap(), "u9", &[70]).await.unwrap();
    let ahead = engine.snapshot().await.unwrap();
    engine.close().await.unwrap();

    copy(&dir.path().join("snapshots"), &other.path().join("snapshots"));
    let refused = open(other.path()).await.map(drop).unwrap_err();
    assert!(
        matches!(refused, EngineOpenError::SnapshotAhead { snapshot, journal } if snapshot == ahead && journal < ahead),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_finds_what_is_in_the_golden_archive() {
    let dir = tempfile::tempdir().unwrap();
    copy(&golden("v2-archive").join("data"), dir.path());
    let engine = Engine::open(support::config(dir.path())).await.unwrap();
    assert_eq!(engine.schedules().len(), 1);
    for (id, name) in [("s0", "u1"), ("s1", "관객")] {
        let entry = engine.find_schedule(id).await.unwrap().unwrap();
        assert!(entry.is_archived());
        assert_eq!(entry.read().counts().reserved, 2);
        let found = engine.reservations_of(name, Some(id), None, None, 9).await.unwrap();
        assert_eq!(found.len(), 1);
        let paid = found[0].2.payment.unwrap();
        let payments = support::payments_of(&engine, name).await;
        assert!(payments.iter().any(|payment| payment.id == paid));
    }
    let moved = engine.transactions("u1", None, 1_000).await.unwrap();
    assert_eq!((moved.len(), engine.archived_transactions()), (113, 12));
    assert_eq!(moved.last().unwrap().kind.as_str(), "charge");
    engine.close().await.unwrap();
}
