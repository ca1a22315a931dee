//! Payments through a gateway that fails in every way it can, and an engine that is killed wherever something became durable: the
//! gateway's own ledger is in the sum.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onsale::clock::ManualClock;
use onsale::config::Secret;
use onsale::domain::concert::{Concert, Fee, FeePer};
use onsale::domain::ids::FeeId;
use onsale::domain::money::{Currency, Money};
use onsale::domain::payments::{Failure, Method, Payment, State};
use onsale::domain::schedule::policy::Policy;
use onsale::domain::schedule::{Caller, Command, Reservation, ReservationRef, ReservationStatus};
use onsale::engine::{CatalogueChange, Engine, EngineConfig, EngineError, Purchase, ScheduleEntry};
use onsale::gateway::toss::{Toss, TossConfig};
use onsale::gateway::{
    Answer, Cancel, CancelOutcome, Capture, CaptureOutcome, Find, Found, Gateway, Gateways, NotCaptured,
    OrderId, PaymentKey, Said, Terms, Why,
};
use onsale::journal::MemoryDisk;
use onsale::mock_gateway::{DEMO_SECRET, MockConfig, MockGateway, RunningGateway};
use serde_json::{Value, json};

use super::support::{
    NOW, concert, config, config_at_now, hold, key, one_entry_a_sync, open_schedule, open_with, payments_of,
    plan, user,
};
use super::{SEAT, balance, charge, check_money_with, on, pay, status};

/// How long the client waits for an answer: longer than the mock ever takes by itself.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Makes a set of one gateway.
pub(super) fn set(gateway: Arc<dyn Gateway>) -> Gateways {
    Gateways::new([gateway])
}

/// A mock gateway, and what a customer and a test do there.
pub(super) struct Desk {
    gateway: RunningGateway,
    client: reqwest::Client,
}

impl Desk {
    pub(super) async fn open() -> Self {
        Self {
            gateway: MockGateway::start(MockConfig::default()).await.unwrap(),
            client: reqwest::Client::new(),
        }
    }

    /// Opens one whose time is the engine's.
    async fn open_at(clock: &ManualClock) -> Self {
        let gateway = MockGateway::start_with(MockConfig::default(), Arc::new(clock.clone())).await.unwrap();
        Self { gateway, client: reqwest::Client::new() }
    }

    /// Has the engine use it.
    pub(super) fn with(&self, config: EngineConfig, timeout: Duration) -> EngineConfig {
        let toss = TossConfig { timeout, ..TossConfig::new(self.gateway.url(), Secret::new(DEMO_SECRET)) };
        EngineConfig { gateways: set(Arc::new(Toss::new(&toss).unwrap())), ..config }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.gateway.url());
        let answer = self.client.post(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{body}");
        answer.json().await.unwrap()
    }

    /// Sets what goes wrong with the next calls.
    pub(super) async fn fault(&self, fault: &str, times: u32) {
        self.post("/mock/faults", json!({"fault": fault, "times": times})).await;
    }

    pub(super) async fn mend(&self) {
        self.client.delete(format!("{}/mock/faults", self.gateway.url())).send().await.unwrap();
    }

    /// Agrees to a payment, as its customer does.
    pub(super) async fn agree(&self, payment: &Payment) -> PaymentKey {
        let body = json!({"orderId": payment.id.to_string(), "amount": payment.amount.minor()});
        PaymentKey::parse(self.post("/checkout", body).await["paymentKey"].as_str().unwrap()).unwrap()
    }

    /// Has a payment asked about, and waits until its drive has taken the answer in: it asks again.
    async fn asked(&self, engine: &Engine, payment: &Payment) {
        for _ in 0..2 {
            self.fault("find/delay-before:1", 1).await;
            loop {
                assert!(engine.hint(payment.id), "it is being pursued");
                let faults =
                    self.client.get(format!("{}/mock/faults", self.gateway.url())).send().await.unwrap();
                if !faults.text().await.unwrap().contains("delay-before") {
                    break;
                }
            }
        }
    }

    /// Gives a part back at the gateway's own page, as a person does who isn't this engine.
    async fn give_back_there(&self, payment_key: &PaymentKey, amount: u64) {
        let url = format!("{}/v1/payments/{}/cancel", self.gateway.url(), payment_key.as_str());
        let body = json!({"cancelReason": "goodwill", "cancelAmount": amount});
        let request = self.client.post(url).basic_auth(DEMO_SECRET, Some("")).json(&body);
        assert!(request.send().await.unwrap().status().is_success(), "{amount}");
    }

    async fn totals(&self) -> Value {
        let ledger = self.client.get(format!("{}/mock/ledger", self.gateway.url())).send().await.unwrap();
        ledger.json::<Value>().await.unwrap()["totals"].clone()
    }

    /// Checks the whole sum, and that no order was ever captured twice.
    pub(super) async fn check(&self, engine: &Engine, users: &[&str]) {
        let totals = self.totals().await;
        let of = |name: &str| totals[name].as_u64().unwrap();
        assert!(of("capturesOfOneOrderMax") <= 1, "{totals}");
        check_money_with(engine, users, of("captured") - of("cancelled")).await;
    }
}

pub(super) fn reference(held: &Reservation) -> ReservationRef {
    ReservationRef { number: held.number, nonce: held.nonce }
}

/// Makes a payment ready for the checkout.
pub(super) async fn start(
    engine: &Engine,
    entry: &ScheduleEntry,
    name: &str,
    held: &Reservation,
) -> Result<Payment, EngineError> {
    let purchase = Purchase {
        user: user(name),
        reservation: reference(held),
        method: Method::Card,
        nonce: 7,
        key: None,
    };
    engine.pay(entry, purchase).await.map(|done| done.answer)
}

pub(super) async fn confirm(
    engine: &Engine,
    name: &str,
    payment: &Payment,
    payment_key: &PaymentKey,
) -> Result<Payment, EngineError> {
    engine.confirm_payment(payment.id, user(name), payment_key, None, PATIENCE).await.map(|done| done.answer)
}

/// Goes the whole way of a customer.
async fn buy(
    desk: &Desk,
    engine: &Engine,
    entry: &ScheduleEntry,
    name: &str,
    held: &Reservation,
) -> Result<Payment, EngineError> {
    let payment = start(engine, entry, name, held).await?;
    let payment_key = desk.agree(&payment).await;
    confirm(engine, name, &payment, &payment_key).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_pays_for_a_hold_and_giving_it_back_refunds_the_card() {
    let (dir, desk) = (tempfile::tempdir().unwrap(), Desk::open().await);
    let (engine, entries) = open_with(desk.with(config(dir.path()), PATIENCE), 2, 1).await;
    let entry = &entries[0];
    let held = hold(&engine, entry, "kim", &[1, 2]).await.unwrap();
    let payment = start(&engine, entry, "kim", &held).await.unwrap();
    assert_eq!((payment.state, status(entry, &held)), (State::Ready, ReservationStatus::Held));
    let payment_key = desk.agree(&payment).await;
    let other = PaymentKey::parse("another-checkout").unwrap();
    let done = confirm(&engine, "kim", &payment, &payment_key).await.unwrap();
    assert_eq!((done.state, status(entry, &held)), (State::Completed, ReservationStatus::Confirmed));
    assert_eq!(confirm(&engine, "kim", &payment, &payment_key).await.unwrap(), done, "the same again");
    assert!(confirm(&engine, "kim", &payment, &other).await.is_err(), "another checkout");
    assert!(confirm(&engine, "lee", &payment, &payment_key).await.is_err(), "another's payment");
    desk.check(&engine, &["kim"]).await;
    let release = Command::Release { reservation: reference(&held), caller: Caller::Admin };
    engine.act(entry, release, None).await.unwrap();
    engine.settled().await;
    assert_eq!(engine.payment(done.id).unwrap().state, State::Refunded);
    let totals = desk.totals().await;
    assert_eq!((&totals["captured"], &totals["cancelled"]), (&json!(2 * SEAT), &json!(2 * SEAT)));
    desk.check(&engine, &["kim"]).await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_gateway_does_the_money_is_taken_once_or_not_at_all() {
    let (dir, desk) = (tempfile::tempdir().unwrap(), Desk::open().await);
    let (engine, entries) = open_with(desk.with(config(dir.path()), PATIENCE), 2, 1).await;
    let entry = &entries[0];
    // What goes wrong; how often; whether the answer to the confirmation says how it went; whether it went well in the end.
    for (seat, (fault, times, known, paid)) in [
        ("delay-before:50", 1, true, true),
        ("delay-after:50", 1, true, true),
        ("duplicate", 1, true, true),
        ("decline", 1, true, false),
        ("decline:EXCEED_MAX_ONE_DAY_AMOUNT", 1, true, false),
        ("fail-before", 1, false, true),
        ("fail-after", 1, false, true),
        ("drop-before", 2, false, true),
        ("drop-after", 1, false, true),
        ("cut", 1, false, true),
        ("error:PROVIDER_ERROR", 2, false, true),
        ("error:IDEMPOTENT_REQUEST_PROCESSING", 1, false, true),
        ("error:ALREADY_PROCESSED_PAYMENT", 1, false, true),
    ]
    .into_iter()
    .enumerate()
    {
        let held = hold(&engine, entry, "kim", &[u32::try_from(seat).unwrap()]).await.unwrap();
        desk.fault(fault, times).await;
        let answered = buy(&desk, &engine, entry, "kim", &held).await.unwrap();
        assert_eq!(answered.state.as_str() != "pending", known, "{fault}: {answered:?}");
        engine.settled().await;
        let (payment, reservation) = (engine.payment(answered.id).unwrap(), status(entry, &held));
        if paid {
            assert_eq!(
                (payment.state, reservation),
                (State::Completed, ReservationStatus::Confirmed),
                "{fault}"
            );
        } else {
            assert_eq!((payment.state, reservation), (State::Failed, ReservationStatus::Held), "{fault}");
            assert!(matches!(payment.failure, Some(Failure::Declined { .. })), "{payment:?}");
        }
        desk.mend().await;
        desk.check(&engine, &["kim"]).await;
    }
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_whose_answer_comes_too_late_is_found() {
    let (dir, desk) = (tempfile::tempdir().unwrap(), Desk::open().await);
    let (engine, entries) = open_with(desk.with(config(dir.path()), Duration::from_millis(300)), 2, 1).await;
    let held = hold(&engine, &entries[0], "kim", &[1]).await.unwrap();
    desk.fault("delay-after:60000", 1).await;
    let answered = buy(&desk, &engine, &entries[0], "kim", &held).await.unwrap();
    assert_eq!((answered.state, status(&entries[0], &held)), (State::Capturing, ReservationStatus::Paying));
    engine.settled().await;
    assert_eq!(engine.payment(answered.id).unwrap().state, State::Completed);
    desk.check(&engine, &["kim"]).await;
    engine.close().await.unwrap();
}

/// An engine and a gateway on one clock, and a payment of seat 1 that was captured while its answers were lost, until after the
/// seats were free again.
async fn captured_too_late(
    dir: &std::path::Path,
) -> (Desk, Engine, Arc<ScheduleEntry>, ManualClock, Reservation, Payment) {
    let (settings, clock) = config_at_now(dir);
    let desk = Desk::open_at(&clock).await;
    let (engine, entries) = open_with(desk.with(settings, PATIENCE), 2, 1).await;
    let entry = Arc::clone(&entries[0]);
    let held = hold(&engine, &entry, "kim", &[1]).await.unwrap();
    desk.fault("fail-after", 1_000).await;
    desk.fault("find/fail-before", 1_000).await;
    let payment = buy(&desk, &engine, &entry, "kim", &held).await.unwrap();
    assert_eq!(payment.state, State::Capturing);
    clock.pass_millis(300_000);
    (desk, engine, entry, clock, held, payment)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_was_captured_too_late_takes_the_same_seats_again_where_they_are_free() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, engine, entry, _, held, payment) = captured_too_late(dir.path()).await;
    desk.mend().await;
    assert!(engine.hint(payment.id), "it is being pursued");
    engine.settled().await;
    assert_eq!(engine.payment(payment.id).unwrap().state, State::Completed);
    assert_eq!(status(&entry, &held), ReservationStatus::Confirmed);
    desk.check(&engine, &["kim"]).await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_was_captured_too_late_goes_back_where_the_seats_are_anothers() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, engine, entry, _, held, payment) = captured_too_late(dir.path()).await;
    // From the deadline on the seats are free, whatever is known.
    let others = hold(&engine, &entry, "lee", &[1]).await.unwrap();
    desk.mend().await;
    desk.fault("cancel/fail-after", 1).await;
    engine.hint(payment.id);
    engine.settled().await;
    let payment = engine.payment(payment.id).unwrap();
    assert_eq!((payment.state, payment.failure), (State::Refunded, Some(Failure::SeatsLost)));
    assert_eq!(status(&entry, &held), ReservationStatus::Expired);
    assert_eq!(status(&entry, &others), ReservationStatus::Held);
    desk.check(&engine, &["kim"]).await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_its_deadline_on_a_payment_captures_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (settings, clock) = config_at_now(dir.path());
    let desk = Desk::open_at(&clock).await;
    let (engine, entries) = open_with(desk.with(settings, PATIENCE), 2, 1).await;
    let entry = &entries[0];
    // One whose client comes too late.
    let late = hold(&engine, entry, "kim", &[1]).await.unwrap();
    let payment = start(&engine, entry, "kim", &late).await.unwrap();
    let payment_key = desk.agree(&payment).await;
    clock.pass_millis(300_000);
    let refused = confirm(&engine, "kim", &payment, &payment_key).await.unwrap();
    assert_eq!((refused.state, refused.failure), (State::Failed, Some(Failure::TooLate)));
    // One whose capture never arrived before the deadline: it is asked about, and not sent again.
    let held = hold(&engine, entry, "kim", &[2]).await.unwrap();
    desk.fault("fail-before", 1_000).await;
    desk.fault("find/fail-before", 1_000).await;
    let payment = buy(&desk, &engine, entry, "kim", &held).await.unwrap();
    clock.pass_millis(300_000);
    hold(&engine, entry, "lee", &[2]).await.unwrap();
    desk.mend().await;
    desk.asked(&engine, &payment).await;
    assert_eq!(engine.payment(payment.id).unwrap().state, State::Capturing);
    // Its checkout lives ten minutes, and then it is known for good.
    clock.pass_millis(600_000);
    engine.hint(payment.id);
    engine.settled().await;
    let ended = engine.payment(payment.id).unwrap();
    assert_eq!(ended.state, State::Failed, "{ended:?}");
    assert_eq!(desk.totals().await["captures"], json!(0));
    desk.check(&engine, &["kim", "lee"]).await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixteen_payments_of_one_hold_at_the_gateway_one_is_captured() {
    let (dir, desk) = (tempfile::tempdir().unwrap(), Arc::new(Desk::open().await));
    let (engine, entries) = open_with(desk.with(config(dir.path()), PATIENCE), 2, 1).await;
    let held = hold(&engine, &entries[0], "kim", &[1]).await.unwrap();
    let attempts = (0..16).map(|_| {
        let (desk, engine, entry, held) =
            (Arc::clone(&desk), engine.clone(), Arc::clone(&entries[0]), held.clone());
        tokio::spawn(async move { buy(&desk, &engine, &entry, "kim", &held).await })
    });
    let mut completed = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Ok(payment) if payment.state == State::Completed => completed += 1,
            Ok(payment) => assert_eq!(payment.failure, Some(Failure::NotHeld)),
            // One that began when another had won.
            Err(error) => assert!(matches!(error, EngineError::Refused(_)), "{error}"),
        }
    }
    assert_eq!((completed, &desk.totals().await["captures"]), (1, &json!(1)));
    desk.check(&engine, &["kim"]).await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_schedule_gives_everyone_the_money_back_whatever_the_gateway_does() {
    let (dir, desk) = (tempfile::tempdir().unwrap(), Desk::open().await);
    let (engine, entries) = open_with(desk.with(config(dir.path()), PATIENCE), 2, 1).await;
    let entry = &entries[0];
    charge(&engine, "lee", SEAT).await.unwrap();
    let by_balance = hold(&engine, entry, "lee", &[99]).await.unwrap();
    pay(&engine, entry, "lee", &by_balance, key(1, 1)).await.unwrap();
    for seat in 0..60 {
        let held = hold(&engine, entry, "kim", &[seat]).await.unwrap();
        assert_eq!(buy(&desk, &engine, entry, "kim", &held).await.unwrap().state, State::Completed);
    }
    for fault in [
        "cancel/fail-before",
        "cancel/fail-after",
        "cancel/drop-after",
        "cancel/duplicate",
        "cancel/error:PROVIDER_ERROR",
    ] {
        desk.fault(fault, 5).await;
    }
    engine.act(entry, Command::Cancel, None).await.unwrap();
    engine.settled().await;
    let totals = desk.totals().await;
    assert_eq!((&totals["captured"], &totals["cancelled"]), (&json!(60 * SEAT), &json!(60 * SEAT)));
    assert_eq!(balance(&engine, "lee"), SEAT);
    desk.check(&engine, &["kim", "lee"]).await;
    engine.close().await.unwrap();
}

/// A way in which a payment through the gateway can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Paid,
    Declined,
    GivenBack,
    ScheduleCancelled,
    /// Captured, known only after the deadline, and the seats are free yet.
    Late,
    /// The same, and the seats are another's.
    TooLate,
}

/// Goes a path as far as the journal lets it.
async fn go(desk: &Desk, engine: &Engine, clock: &ManualClock, path: Path) -> Result<(), EngineError> {
    let entry = engine.schedule("s0").unwrap();
    charge(engine, "lee", 2 * SEAT).await?;
    let held = hold(engine, &entry, "kim", &[1, 2]).await?;
    let others = hold(engine, &entry, "lee", &[5]).await?;
    pay(engine, &entry, "lee", &others, key(2, 2)).await?;
    let payment = buy(desk, engine, &entry, "kim", &held).await?;
    match path {
        Path::Paid | Path::Declined => {}
        Path::Late | Path::TooLate => {
            clock.pass_millis(300_000);
            if path == Path::TooLate {
                hold(engine, &entry, "lee", &[1]).await?;
            }
            desk.mend().await;
            engine.hint(payment.id);
        }
        Path::GivenBack => {
            let release = Command::Release { reservation: reference(&held), caller: Caller::Admin };
            engine.act(&entry, release, None).await?;
        }
        Path::ScheduleCancelled => drop(engine.act(&entry, Command::Cancel, None).await?),
    }
    Ok(())
}

/// Kills a path before each of its syncs, with a gateway at which this goes wrong, and each time sees the money add up after
/// the restart.
async fn kill_everywhere(path: Path, fault: Option<&str>) {
    let users = ["kim", "lee"];
    let dir = tempfile::tempdir().unwrap();
    let prepared = MemoryDisk::new();
    let at =
        |clock: &ManualClock, config: EngineConfig| EngineConfig { clock: Arc::new(clock.clone()), ..config };
    let (engine, _) = open_with(at(&ManualClock::at(NOW), on(&prepared, dir.path())), 2, 1).await;
    drop(engine);
    let start = prepared.crashed();
    let mut ends = std::collections::BTreeSet::new();
    let mut point = 1;
    loop {
        let clock = ManualClock::at(NOW);
        let (medium, desk) = (start.crashed(), Desk::open_at(&clock).await);
        // Snapshots are files.
        let dir = tempfile::tempdir().unwrap();
        if path == Path::Declined {
            desk.fault("decline", 1).await;
        }
        if matches!(path, Path::Late | Path::TooLate) {
            desk.fault("fail-after", 100).await;
            desk.fault("find/fail-before", 100).await;
        }
        if let Some(fault) = fault {
            desk.fault(fault, 1).await;
        }
        let engine = Engine::open(desk.with(at(&clock, on(&medium, dir.path())), PATIENCE)).await.unwrap();
        medium.fail_sync(point);
        let went = go(&desk, &engine, &clock, path).await;
        if went.is_ok() && engine.journal().failure().is_none() {
            // What it began by itself goes on until it is done, or until the journal fails.
            engine.settled().await;
        }
        let whole = engine.journal().failure().is_none();
        let left = medium.crashed();
        let _ = engine.close().await;
        if matches!(path, Path::Late | Path::TooLate) {
            desk.mend().await;
        }
        let engine = Engine::open(desk.with(at(&clock, on(&left, dir.path())), PATIENCE)).await.unwrap();
        engine.settled().await;
        desk.check(&engine, &users).await;
        let entry = engine.schedule("s0").unwrap();
        let statuses: Vec<_> =
            entry.read().reservations().map(|reservation| reservation.status.as_str()).collect();
        let payments: Vec<_> =
            payments_of(&engine, "kim").await.iter().map(|payment| payment.state.as_str()).collect();
        ends.insert(format!("{statuses:?} {payments:?}"));
        // And once more: what recovery did is durable.
        let again = left.crashed();
        engine.close().await.unwrap();
        let engine = Engine::open(desk.with(at(&clock, on(&again, dir.path())), PATIENCE)).await.unwrap();
        engine.settled().await;
        desk.check(&engine, &users).await;
        engine.close().await.unwrap();
        if whole {
            break;
        }
        point += 1;
    }
    assert!(point > 12 && ends.len() > 4, "{point} points: {ends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_is_killed_anywhere_is_finished_or_never_was() {
    for fault in [None, Some("fail-before"), Some("drop-after")] {
        kill_everywhere(Path::Paid, fault).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declined_payment_that_is_killed_anywhere_takes_nothing() {
    kill_everywhere(Path::Declined, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_is_killed_anywhere_is_made_once() {
    for fault in [None, Some("cancel/fail-before"), Some("cancel/drop-after")] {
        kill_everywhere(Path::GivenBack, fault).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_schedule_that_is_killed_anywhere_gives_everyone_the_money_back() {
    kill_everywhere(Path::ScheduleCancelled, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_is_captured_too_late_has_a_seat_or_goes_back_wherever_it_is_killed() {
    for path in [Path::Late, Path::TooLate] {
        kill_everywhere(path, None).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_the_gateway_refuses_is_owed_until_it_is_made() {
    let (dir, desk) = (tempfile::tempdir().unwrap(), Desk::open().await);
    let (engine, entries) = open_with(desk.with(config(dir.path()), PATIENCE), 2, 1).await;
    let held = hold(&engine, &entries[0], "kim", &[1]).await.unwrap();
    let payment = buy(&desk, &engine, &entries[0], "kim", &held).await.unwrap();
    desk.fault("cancel/decline", 1_000).await;
    let release = Command::Release { reservation: reference(&held), caller: Caller::Admin };
    engine.act(&entries[0], release, None).await.unwrap();
    // The restart goes on with it.
    engine.close().await.unwrap();
    let engine = Engine::open(desk.with(config(dir.path()), PATIENCE)).await.unwrap();
    assert_eq!(engine.payment(payment.id).unwrap().state, State::Refunding);
    assert_eq!(desk.totals().await["cancelled"], json!(0));
    desk.mend().await;
    assert!(engine.hint(payment.id), "it is being pursued");
    engine.settled().await;
    assert_eq!(engine.payment(payment.id).unwrap().state, State::Refunded);
    desk.check(&engine, &["kim"]).await;
    engine.close().await.unwrap();
}

/// Of a seat's price, a fee of 2,000 isn't given back.
const FEE: u64 = 2_000;

/// An engine that sells a show with a fee that isn't refundable.
async fn with_a_fee(desk: &Desk, dir: &std::path::Path) -> (Engine, Arc<ScheduleEntry>) {
    let (engine, _) = open_with(desk.with(config(dir), PATIENCE), 2, 0).await;
    let fee = Fee {
        id: FeeId::parse("booking").unwrap(),
        name: "Booking".into(),
        amount: super::won(FEE),
        per: FeePer::Reservation,
        refundable: false,
    };
    let concert = Concert { fees: vec![fee], ..concert() };
    engine.change(CatalogueChange::PutConcert(concert), None).await.unwrap();
    let plan = plan(engine.now(), Policy { seats_per_user_max: 100, ..Policy::default() });
    let entry = open_schedule(&engine, "s0", plan).await;
    (engine, entry)
}

/// Somebody gives money back at the gateway's own page, before the reservation is cancelled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_somebody_gave_back_at_the_gateway_a_refund_gives_back_the_rest_and_ends() {
    let (dir, desk) = (tempfile::tempdir().unwrap(), Desk::open().await);
    let (engine, entry) = with_a_fee(&desk, dir.path()).await;
    let mut left = 0;
    // What was given back there; and what went back in the end, of what was paid or owed.
    for (seat, there, went_back) in [
        (1, vec![], None),
        (2, vec![10_000], None),
        (3, vec![1, 2, 3], None),
        (4, vec![SEAT], None),
        (5, vec![SEAT + 1], Some(SEAT + 1)),
        (6, vec![SEAT + FEE], Some(SEAT + FEE)),
    ] {
        let held = hold(&engine, &entry, "kim", &[seat]).await.unwrap();
        let payment = start(&engine, &entry, "kim", &held).await.unwrap();
        assert_eq!(payment.amount, super::won(SEAT + FEE));
        let payment_key = desk.agree(&payment).await;
        confirm(&engine, "kim", &payment, &payment_key).await.unwrap();
        for amount in &there {
            desk.give_back_there(&payment_key, *amount).await;
        }
        let release = Command::Release { reservation: reference(&held), caller: Caller::Admin };
        engine.act(&entry, release, None).await.unwrap();
        engine.settled().await;

        let back = engine.payment(payment.id).unwrap();
        assert_eq!((back.state, back.refund), (State::Refunded, Some(super::won(SEAT))), "{there:?}");
        assert_eq!(back.went_back.map(Money::minor), went_back, "{there:?}");
        left += SEAT + FEE - back.back().minor();
        let totals = desk.totals().await;
        let of = |name: &str| totals[name].as_u64().unwrap();
        assert_eq!(of("captured") - of("cancelled"), left, "{there:?}");
    }
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_is_one_also_where_a_part_of_it_went_back_before_it_was_known() {
    let (dir, desk) = (tempfile::tempdir().unwrap(), Desk::open().await);
    let (engine, entries) = open_with(desk.with(config(dir.path()), PATIENCE), 2, 1).await;
    let entry = &entries[0];
    let held = hold(&engine, entry, "kim", &[1]).await.unwrap();
    let payment = start(&engine, entry, "kim", &held).await.unwrap();
    let payment_key = desk.agree(&payment).await;
    desk.fault("confirm/drop-after", 1).await;
    desk.fault("find/fail-before", 1_000).await;
    let pending = confirm(&engine, "kim", &payment, &payment_key).await.unwrap();
    assert_eq!(pending.state, State::Capturing);
    desk.give_back_there(&payment_key, 10_000).await;
    desk.mend().await;
    assert!(engine.hint(payment.id), "it is being pursued");
    engine.settled().await;
    assert_eq!(engine.payment(payment.id).unwrap().state, State::Completed);
    assert_eq!(status(entry, &held), ReservationStatus::Confirmed, "a person decides what becomes of it");

    let release = Command::Release { reservation: reference(&held), caller: Caller::Admin };
    engine.act(entry, release, None).await.unwrap();
    engine.settled().await;
    assert_eq!(engine.payment(payment.id).unwrap().state, State::Refunded);
    let totals = desk.totals().await;
    assert_eq!((&totals["captured"], &totals["cancelled"]), (&json!(SEAT), &json!(SEAT)));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_schedule_gives_back_what_the_gateways_own_page_left() {
    let (dir, desk) = (tempfile::tempdir().unwrap(), Desk::open().await);
    let (engine, entry) = with_a_fee(&desk, dir.path()).await;
    let mut payments = Vec::new();
    for seat in 0..4 {
        let held = hold(&engine, &entry, "kim", &[seat]).await.unwrap();
        let payment = start(&engine, &entry, "kim", &held).await.unwrap();
        let payment_key = desk.agree(&payment).await;
        payments.push(confirm(&engine, "kim", &payment, &payment_key).await.unwrap());
        if seat > 0 {
            desk.give_back_there(&payment_key, [1, SEAT, SEAT + FEE][usize::try_from(seat).unwrap() - 1])
                .await;
        }
    }
    engine.act(&entry, Command::Cancel, None).await.unwrap();
    engine.settled().await;
    for payment in payments {
        assert_eq!(engine.payment(payment.id).unwrap().state, State::Refunded);
    }
    let totals = desk.totals().await;
    assert_eq!(totals["captured"], totals["cancelled"], "fees, too: nobody chose to give it back");
    engine.close().await.unwrap();
}

/// A gateway that answers what it is told, and remembers what it was asked.
struct Scripted {
    terms: &'static Terms,
    confirms: Mutex<VecDeque<CaptureOutcome>>,
    finds: Mutex<VecDeque<Found>>,
    calls: Mutex<Vec<&'static str>>,
}

impl Scripted {
    fn new(
        confirms: impl IntoIterator<Item = CaptureOutcome>,
        finds: impl IntoIterator<Item = Found>,
    ) -> Arc<Self> {
        const TERMS: Terms = Terms::new("scripted");
        Self::at(&TERMS, confirms, finds)
    }

    fn at(
        terms: &'static Terms,
        confirms: impl IntoIterator<Item = CaptureOutcome>,
        finds: impl IntoIterator<Item = Found>,
    ) -> Arc<Self> {
        let confirms = Mutex::new(confirms.into_iter().collect());
        let finds = Mutex::new(finds.into_iter().collect());
        Arc::new(Self { terms, confirms, finds, calls: Mutex::default() })
    }

    fn calls(&self) -> Vec<&'static str> {
        self.calls.lock().unwrap().clone()
    }
}

impl Gateway for Scripted {
    fn terms(&self) -> &'static Terms {
        self.terms
    }

    fn takes(&self, _: Currency) -> bool {
        true
    }

    fn confirm(&self, _: Capture) -> Answer<'_, CaptureOutcome> {
        self.calls.lock().unwrap().push("confirm");
        let told = self.confirms.lock().unwrap().pop_front();
        Box::pin(std::future::ready(told.unwrap_or(CaptureOutcome::Unknown { why: Why::Failed })))
    }

    fn find(&self, _: Find) -> Answer<'_, Found> {
        self.calls.lock().unwrap().push("find");
        let told = self.finds.lock().unwrap().pop_front();
        Box::pin(std::future::ready(told.unwrap_or(Found::Unknown { why: Why::Failed })))
    }

    fn cancel(&self, _: Cancel) -> Answer<'_, CancelOutcome> {
        self.calls.lock().unwrap().push("cancel");
        Box::pin(std::future::ready(CancelOutcome::Cancelled { transaction: None }))
    }

    fn read_notice(&self, _: &[u8]) -> Option<OrderId> {
        None
    }
}

fn declined() -> CaptureOutcome {
    CaptureOutcome::Declined { code: Said::new("REJECT_CARD_COMPANY"), reason: Said::new("No.") }
}

fn unknown() -> CaptureOutcome {
    CaptureOutcome::Unknown { why: Why::TimedOut }
}

fn found(amount: u64) -> Found {
    Found::Captured {
        payment_key: PaymentKey::parse("k").unwrap(),
        amount: super::won(amount),
        cancelled_amount: super::won(0),
        approved_at: None,
    }
}

/// Buys seat 1 at such a gateway, and returns how it ended and what was asked.
async fn bought_at(gateway: &Arc<Scripted>) -> (Payment, Vec<&'static str>) {
    let dir = tempfile::tempdir().unwrap();
    let settings = EngineConfig { gateways: set(Arc::<Scripted>::clone(gateway)), ..config(dir.path()) };
    let (engine, entries) = open_with(settings, 2, 1).await;
    let held = hold(&engine, &entries[0], "kim", &[1]).await.unwrap();
    let payment = start(&engine, &entries[0], "kim", &held).await.unwrap();
    confirm(&engine, "kim", &payment, &PaymentKey::parse("k").unwrap()).await.unwrap();
    engine.settled().await;
    let ended = engine.payment(payment.id).unwrap();
    engine.close().await.unwrap();
    (ended, gateway.calls())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_has_the_last_word_only_where_nothing_else_is_on_its_way() {
    let open = || Found::NotCaptured(NotCaptured::Open);
    // The first request arrived after all, while the second was refused.
    let gateway = Scripted::new([unknown(), declined()], [open(), found(SEAT)]);
    let (payment, calls) = bought_at(&gateway).await;
    assert_eq!((payment.state, calls), (State::Completed, vec!["confirm", "find", "confirm", "find"]));
    // It never did.
    let gateway = Scripted::new([unknown(), declined()], [open(), Found::NoSuchOrder]);
    assert_eq!(bought_at(&gateway).await.0.state, State::Failed);
    // A refusal of the first is final at once.
    let gateway = Scripted::new([declined()], []);
    let (payment, calls) = bought_at(&gateway).await;
    assert_eq!((payment.state, calls), (State::Failed, vec!["confirm"]));
    // What surely wasn't sent is sent again without asking.
    let gateway = Scripted::new([CaptureOutcome::Unknown { why: Why::NotSent }, declined()], []);
    assert_eq!(bought_at(&gateway).await.1, ["confirm", "confirm"]);
    // While the gateway fails, it is asked, and nothing is sent again.
    let failed = || Found::Unknown { why: Why::Failed };
    let gateway = Scripted::new([unknown()], [failed(), failed(), found(SEAT)]);
    let (payment, calls) = bought_at(&gateway).await;
    assert_eq!((payment.state, calls), (State::Completed, vec!["confirm", "find", "find", "find"]));
    // Given back at the gateway, it is no payment; of another amount, it is nobody's guess.
    let other_amount = found(SEAT + 1);
    let given_back = Found::Captured {
        payment_key: PaymentKey::parse("k").unwrap(),
        amount: super::won(SEAT),
        cancelled_amount: super::won(SEAT),
        approved_at: None,
    };
    let gateway = Scripted::new([unknown()], [other_amount, given_back]);
    let (payment, calls) = bought_at(&gateway).await;
    assert_eq!((payment.state, calls), (State::Failed, vec!["confirm", "find", "find"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_life_asks_what_became_of_a_capture_before_it_sends_another() {
    let dir = tempfile::tempdir().unwrap();
    let at = |gateway: &Arc<Scripted>| EngineConfig {
        gateways: set(Arc::<Scripted>::clone(gateway)),
        ..config(dir.path())
    };
    let before = Scripted::new([unknown()], []);
    let (engine, entries) = open_with(at(&before), 2, 1).await;
    let held = hold(&engine, &entries[0], "kim", &[1]).await.unwrap();
    let payment = start(&engine, &entries[0], "kim", &held).await.unwrap();
    let pending = confirm(&engine, "kim", &payment, &PaymentKey::parse("k").unwrap()).await.unwrap();
    assert_eq!(pending.state, State::Capturing);
    engine.close().await.unwrap();
    let after = Scripted::new([], [found(SEAT)]);
    let engine = Engine::open(at(&after)).await.unwrap();
    engine.settled().await;
    assert_eq!(engine.payment(payment.id).unwrap().state, State::Completed);
    assert_eq!(after.calls(), ["find"]);
    engine.close().await.unwrap();
}

/// Starts again with a clock that is half a day ahead while a capture is on its way of which the gateway knows nothing yet, and has the
/// reservation's deadline pass half an hour later. What the gateway says when it is asked, `told` says.
async fn restarted_half_a_day_ahead(
    dir: &std::path::Path,
    told: impl IntoIterator<Item = Found>,
) -> (Engine, Arc<Scripted>, Arc<ScheduleEntry>, Reservation, Payment) {
    const HALF_A_DAY: u64 = 12 * 3_600_000;
    let disk = MemoryDisk::new();
    let at = |now: u64, disk: &MemoryDisk, gateway: &Arc<Scripted>| {
        let clock = ManualClock::at(NOW);
        clock.pass_millis(now);
        let gateways = set(Arc::<Scripted>::clone(gateway));
        let settings = EngineConfig { clock: Arc::new(clock.clone()), gateways, ..on(disk, dir) };
        (one_entry_a_sync(settings), clock)
    };

    let (engine, entries) = open_with(at(0, &disk, &Scripted::new([unknown()], [])).0, 2, 1).await;
    let held = hold(&engine, &entries[0], "kim", &[1]).await.unwrap();
    let payment = start(&engine, &entries[0], "kim", &held).await.unwrap();
    let pending = confirm(&engine, "kim", &payment, &PaymentKey::parse("k").unwrap()).await.unwrap();
    assert_eq!(pending.state, State::Capturing);
    let left = disk.crashed();
    engine.close().await.unwrap();

    let gateway = Scripted::new([], told);
    let (settings, clock) = at(HALF_A_DAY, &left, &gateway);
    let engine = Engine::open(settings).await.unwrap();
    let entry = engine.schedule("s0").unwrap();
    assert_eq!(status(&entry, &held), ReservationStatus::Paying, "it has the outage back");
    tokio::time::sleep(Duration::from_mins(30)).await;
    assert!(gateway.calls().contains(&"confirm"), "until then it is tried again");
    // With the grace of a start.
    clock.pass_millis(3_600_000);
    (engine, gateway, entry, held, payment)
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_knows_of_no_payment_is_believed_after_an_hour_that_has_really_passed() {
    let dir = tempfile::tempdir().unwrap();
    let nothing = std::iter::repeat_n(Found::NoSuchOrder, 1_000);
    let (engine, gateway, entry, held, payment) = restarted_half_a_day_ahead(dir.path(), nothing).await;
    let began = tokio::time::Instant::now();
    engine.settled().await;
    let ended = engine.payment(payment.id).unwrap();
    assert_eq!((ended.state, status(&entry, &held)), (State::Failed, ReservationStatus::Expired));
    assert!(matches!(ended.failure, Some(Failure::Declined { .. })), "{ended:?}");
    // The last capture was sent up to a minute before the deadline; then it was asked every minute.
    let minutes = began.elapsed().as_secs() / 60;
    assert!((58..=61).contains(&minutes), "{minutes} minutes");
    let calls = gateway.calls();
    let asked = calls.iter().rev().take_while(|call| **call == "find").count();
    assert!(asked > 50, "from the deadline on it is only asked: {calls:?}");
    engine.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn money_that_a_gateway_takes_long_after_a_start_whose_clock_jumped_has_its_seat() {
    let dir = tempfile::tempdir().unwrap();
    // It knows of nothing for more than forty minutes.
    let told = std::iter::repeat_n(Found::NoSuchOrder, 60).chain([found(SEAT)]);
    let (engine, _, entry, held, payment) = restarted_half_a_day_ahead(dir.path(), told).await;
    assert_eq!(engine.payment(payment.id).unwrap().state, State::Capturing);
    engine.settled().await;
    assert_eq!(engine.payment(payment.id).unwrap().state, State::Completed);
    assert_eq!(status(&entry, &held), ReservationStatus::Confirmed);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_goes_on_at_the_gateway_that_it_names_whatever_others_are_set_up() {
    const CARDS: Terms = Terms { methods: &[Method::Card], ..Terms::new("cards") };
    const WALLET: Terms = Terms { methods: &[Method::KakaoPay, Method::Card], ..Terms::new("wallet") };
    let dir = tempfile::tempdir().unwrap();
    let payment_key = PaymentKey::parse("k").unwrap();
    let captured = || CaptureOutcome::Captured {
        payment_key: payment_key.clone(),
        transaction: None,
        approved_at: None,
    };
    let cards = Scripted::at(&CARDS, [captured()], []);
    let wallet = Scripted::at(&WALLET, [captured()], []);
    let at = |gateways: &[&Arc<Scripted>]| {
        let gateways = gateways.iter().map(|gateway| -> Arc<dyn Gateway> { Arc::<Scripted>::clone(gateway) });
        EngineConfig { gateways: Gateways::new(gateways), ..config(dir.path()) }
    };
    let (engine, entries) = open_with(at(&[&cards, &wallet]), 2, 1).await;
    let first = hold(&engine, &entries[0], "kim", &[1]).await.unwrap();
    let second = hold(&engine, &entries[0], "lee", &[2]).await.unwrap();
    let paid = start(&engine, &entries[0], "kim", &first).await.unwrap();
    assert_eq!(paid.gateway.as_deref(), Some("cards"), "a method leads to the first gateway that has it");
    assert_eq!(confirm(&engine, "kim", &paid, &payment_key).await.unwrap().state, State::Completed);
    let ready = start(&engine, &entries[0], "lee", &second).await.unwrap();
    engine.close().await.unwrap();

    // The other one has cards, too. What began at the first doesn't go on there.
    let engine = Engine::open(at(&[&wallet])).await.unwrap();
    let entry = engine.schedule("s0").unwrap();
    assert_eq!(confirm(&engine, "lee", &ready, &payment_key).await, Err(EngineError::NoGateway));
    let paid_there = start(&engine, &entry, "lee", &second).await.unwrap();
    assert_eq!(paid_there.gateway.as_deref(), Some("wallet"));
    assert_eq!(confirm(&engine, "lee", &paid_there, &payment_key).await.unwrap().state, State::Completed);
    engine.snapshot().await.unwrap();
    engine.close().await.unwrap();

    let engine = Engine::open(at(&[&wallet, &cards])).await.unwrap();
    let entry = engine.schedule("s0").unwrap();
    for held in [&first, &second] {
        let release = Command::Release { reservation: reference(held), caller: Caller::Admin };
        engine.act(&entry, release, None).await.unwrap();
    }
    engine.settled().await;
    assert_eq!((cards.calls(), wallet.calls()), (vec!["confirm", "cancel"], vec!["confirm", "cancel"]));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_free_ticket_by_card_completes_at_once_and_the_gateway_hears_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, medium) = (Desk::open().await, MemoryDisk::new());
    let opened = async || Engine::open(desk.with(on(&medium, dir.path()), PATIENCE)).await.unwrap();
    let engine = opened().await;
    let mut free = concert();
    free.grades[0].price = Money::ZERO;
    let id = onsale::domain::ids::ScheduleId::parse("s0").unwrap();
    let plan = plan(engine.now(), Policy::default());
    for change in [
        CatalogueChange::PutVenue(super::support::venue(1, 50)),
        CatalogueChange::PutConcert(free.clone()),
        CatalogueChange::PutSchedule(id.clone(), free.id, plan),
        CatalogueChange::OpenSchedule(id),
    ] {
        engine.change(change, None).await.unwrap();
    }
    // Whatever is asked of it would fail.
    desk.fault("confirm/error:INVALID_REQUEST", 9).await;
    let entry = engine.schedule("s0").unwrap();
    let held = hold(&engine, &entry, "kim", &[1, 2]).await.unwrap();
    let paid = start(&engine, &entry, "kim", &held).await.unwrap();
    assert_eq!((paid.state, paid.method), (State::Completed, Method::Card));
    assert_eq!(status(&entry, &held), ReservationStatus::Confirmed);
    let given_back = hold(&engine, &entry, "lee", &[3]).await.unwrap();
    let back = start(&engine, &entry, "lee", &given_back).await.unwrap();
    let release = Command::Release { reservation: reference(&given_back), caller: Caller::Admin };
    engine.act(&entry, release, None).await.unwrap();
    engine.settled().await;
    assert_eq!(engine.payment(back.id).unwrap().state, State::Refunded);
    desk.check(&engine, &["kim", "lee"]).await;
    assert_eq!(desk.totals().await["captured"], 0);

    let (paid, refunded) = (engine.payment(paid.id), engine.payment(back.id));
    drop(engine);
    let engine = opened().await;
    assert_eq!((engine.payment(back.id), engine.payment(paid.clone().unwrap().id)), (refunded, paid));
    desk.check(&engine, &["kim", "lee"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_paid_for_a_schedule_that_was_deleted_finds_the_payment_in_the_list() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, medium) = (Desk::open().await, MemoryDisk::new());
    let settings = || desk.with(on(&medium, dir.path()), PATIENCE);
    let (engine, entries) = open_with(settings(), 60, 1).await;
    let held = hold(&engine, &entries[0], "kim", &[1]).await.unwrap();
    let payment = start(&engine, &entries[0], "kim", &held).await.unwrap();
    let release = Command::Release { reservation: reference(&held), caller: Caller::Admin };
    engine.act(&entries[0], release, None).await.unwrap();
    engine.change(CatalogueChange::RemoveSchedule(entries[0].id().clone()), None).await.unwrap();
    engine.snapshot().await.unwrap();
    let listed = async |engine: &Engine| payments_of(engine, "kim").await;
    assert_eq!(listed(&engine).await, std::slice::from_ref(&payment));
    drop(engine);
    let engine = Engine::open(settings()).await.unwrap();
    assert_eq!((engine.payment(payment.id), listed(&engine).await), (Some(payment.clone()), vec![payment]));
}

/// A gateway whose every answer but that to an honest capture never comes.
#[derive(Default)]
struct Hanging {
    looks: AtomicUsize,
    looks_most: AtomicUsize,
}

/// A look that is under way.
struct Looking<'a>(&'a AtomicUsize);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Gateway for Hanging {
    fn terms(&self) -> &'static Terms {
        const TERMS: Terms = Terms::new("hanging");
        &TERMS
    }

    fn takes(&self, _: Currency) -> bool {
        true
    }

    fn confirm(&self, capture: Capture) -> Answer<'_, CaptureOutcome> {
        let payment_key = capture.payment_key;
        Box::pin(std::future::ready(if payment_key.as_str() == "honest" {
            CaptureOutcome::Captured { payment_key, transaction: None, approved_at: None }
        } else {
            unknown()
        }))
    }

    fn find(&self, _: Find) -> Answer<'_, Found> {
        Box::pin(async {
            let under_way = 1 + self.looks.fetch_add(1, Ordering::SeqCst);
            self.looks_most.fetch_max(under_way, Ordering::SeqCst);
            let _until_it_is_given_up = Looking(&self.looks);
            std::future::pending().await
        })
    }

    fn cancel(&self, _: Cancel) -> Answer<'_, CancelOutcome> {
        Box::pin(std::future::pending())
    }

    fn read_notice(&self, _: &[u8]) -> Option<OrderId> {
        None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looks_and_refunds_that_hang_delay_no_capture() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), Arc::new(Hanging::default()));
    let settings = EngineConfig {
        gateways: set(Arc::<Hanging>::clone(&gateway)),
        medium: Some(Arc::new(MemoryDisk::new())),
        ..config(dir.path())
    };
    let (engine, entries) = open_with(settings, 60, 1).await;
    let entry = &entries[0];
    let buy = async |name: &str, seat: u32, payment_key: &str| {
        let held = hold(&engine, entry, name, &[seat]).await.unwrap();
        let payment = start(&engine, entry, name, &held).await.unwrap();
        let payment_key = PaymentKey::parse(payment_key).unwrap();
        (held, confirm(&engine, name, &payment, &payment_key).await.unwrap())
    };

    // More refunds than all calls together once were.
    for seat in 0..1_100 {
        let (held, payment) = buy("mal", seat, "honest").await;
        assert_eq!(payment.state, State::Completed);
        let release = Command::Release { reservation: reference(&held), caller: Caller::Admin };
        engine.act(entry, release, None).await.unwrap();
    }
    // Captures whose outcome isn't known, each asked about; and notices of payments that are done.
    for seat in 1_100..2_300 {
        // Each has so many seats at once.
        let name = format!("mal{}", seat % 4);
        assert_eq!(buy(&name, seat, "silent").await.1.state, State::Capturing);
    }
    let (_, done) = buy("mal", 2_300, "honest").await;
    for _ in 0..1_100 {
        let engine = engine.clone();
        tokio::spawn(async move { engine.compare_with_gateway("hanging", done.id).await });
    }
    let (_, honest) = buy("kim", 2_400, "honest").await;
    assert_eq!(honest.state, State::Completed, "it waits for none of them");
    assert!(gateway.looks_most.load(Ordering::SeqCst) <= 256 + 64, "looks are bounded");
}
