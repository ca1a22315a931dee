//! Payments that the team's own payment service takes and reports, with an engine that is killed wherever something became durable: what
//! the service has is in the sum.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};

use onsale::clock::ManualClock;
use onsale::domain::ids::PaymentId;
use onsale::domain::payments::{Failure, Method, Payment, Report, State, Taken};
use onsale::domain::schedule::{Caller, Command, Reservation, ReservationRef, ReservationStatus, Wish};
use onsale::engine::{Engine, EngineConfig, EngineError, Purchase, ScheduleEntry};
use onsale::gateway::Gateways;
use onsale::journal::MemoryDisk;
use tracing::instrument::WithSubscriber;

use super::gateway::PATIENCE;
use super::support::{NOW, config, config_at_now, hold, open_with, payments_of, user};
use super::{SEAT, balance, charge, check_money_with, krw, on, pay, status, won};

fn with_service(config: EngineConfig) -> EngineConfig {
    EngineConfig { gateways: Gateways::default().with_external(), ..config }
}

/// A payment service: what it took, and what it gave back.
#[derive(Default)]
struct Service {
    took: Mutex<BTreeMap<String, (PaymentId, u64)>>,
    gave_back: Mutex<BTreeSet<String>>,
}

impl Service {
    fn takes(&self, order: &Payment, payment_key: &str, amount: u64) {
        self.took.lock().unwrap().insert(payment_key.to_owned(), (order.id, amount));
    }

    fn has(&self) -> u64 {
        let gave_back = self.gave_back.lock().unwrap();
        let took = self.took.lock().unwrap();
        took.iter().filter(|(key, _)| !gave_back.contains(*key)).map(|(_, (_, amount))| amount).sum()
    }

    fn taken(&self, payment_key: &str) -> (PaymentId, Taken) {
        let (order, amount) = self.took.lock().unwrap()[payment_key];
        (order, Taken { payment_key: payment_key.into(), amount: won(amount), currency: krw() })
    }

    /// Says again what it took, the newest first.
    async fn tells(&self, engine: &Engine) -> Result<(), EngineError> {
        let keys: Vec<String> = self.took.lock().unwrap().keys().rev().cloned().collect();
        for payment_key in keys {
            let (order, taken) = self.taken(&payment_key);
            engine.report_payment(order, Report::Captured(taken), PATIENCE).await?;
        }
        Ok(())
    }

    /// Gives back what the engine owes, and says so; and says again what it gave back before.
    async fn gives_back(&self, engine: &Engine) -> Result<(), EngineError> {
        let owed = |payment: &Payment| payment.state == State::Refunding;
        for payment in of_kim(engine).await.into_iter().filter(owed) {
            self.gave_back.lock().unwrap().insert(payment.payment_key.unwrap().to_string());
        }
        let keys: Vec<String> = self.gave_back.lock().unwrap().iter().cloned().collect();
        for payment_key in keys {
            let (order, taken) = self.taken(&payment_key);
            let transaction = Some(format!("back-{payment_key}").into());
            engine.report_payment(order, Report::Refunded { taken, transaction }, PATIENCE).await?;
        }
        Ok(())
    }

    async fn check(&self, engine: &Engine) {
        check_money_with(engine, &["kim", "lee"], self.has()).await;
    }
}

/// Opens an engine; returns it with what it logged meanwhile.
async fn open_logged(config: EngineConfig) -> (Engine, String) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let own = Arc::clone(&log);
    // With one subscriber alone, tracing asks that of the thread that comes to a line first, which may be another test's without any.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || Log(Arc::clone(&own))).finish();
    let engine = Engine::open(config).with_subscriber(subscriber).await.unwrap();
    let text = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    (engine, text)
}

/// Where lines of a log are written to.
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn of_kim(engine: &Engine) -> Vec<Payment> {
    payments_of(engine, "kim").await
}

fn reference(held: &Reservation) -> ReservationRef {
    ReservationRef { number: held.number, nonce: held.nonce }
}

async fn start(engine: &Engine, entry: &ScheduleEntry, held: &Reservation) -> Result<Payment, EngineError> {
    let purchase = Purchase {
        user: user("kim"),
        reservation: reference(held),
        method: Method::External,
        nonce: 7,
        key: None,
    };
    engine.pay(entry, purchase).await.map(|done| done.answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_payment_service_there_is_no_such_payment() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(config(dir.path()), 2, 1).await;
    let held = hold(&engine, &entries[0], "kim", &[1]).await.unwrap();
    assert_eq!(start(&engine, &entries[0], &held).await, Err(EngineError::NoGateway));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_owed_across_a_restart_also_without_the_service_and_nobody_drives_it() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(with_service(config(dir.path())), 2, 1).await;
    let (entry, service) = (&entries[0], Service::default());
    let held = hold(&engine, entry, "kim", &[1]).await.unwrap();
    let order = start(&engine, entry, &held).await.unwrap();
    service.takes(&order, "k", SEAT);
    service.tells(&engine).await.unwrap();
    engine.settled().await;
    assert_eq!(status(entry, &held), ReservationStatus::Confirmed);
    let release = Command::Release { reservation: reference(&held), caller: Caller::Admin };
    engine.act(entry, release, None).await.unwrap();
    engine.settled().await;
    assert_eq!(engine.payment(order.id).unwrap().state, State::Refunding);
    // The drive that began the refund may still be ending. One that asked somebody would go on.
    let undriven = async {
        while engine.hint(order.id) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, undriven).await.expect("nothing is asked of anyone");
    engine.close().await.unwrap();

    let (engine, log) = open_logged(config(dir.path())).await;
    engine.settled().await;
    assert_eq!(engine.payments_under_way().refunding, 1);
    assert_eq!(log.matches("WARN").count(), 1, "{log}");
    assert!(log.contains("start with external.secret") && log.contains("refunds=1"), "{log}");
    engine.close().await.unwrap();

    let (engine, log) = open_logged(with_service(config(dir.path()))).await;
    assert!(!log.contains("WARN"), "{log}");
    service.gives_back(&engine).await.unwrap();
    assert_eq!(engine.payment(order.id).unwrap().state, State::Refunded);
    service.check(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_reports_at_once_each_has_its_effect_once() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(with_service(config(dir.path())), 2, 1).await;
    let (entry, service) = (&entries[0], Arc::new(Service::default()));
    let held = hold(&engine, entry, "kim", &[1]).await.unwrap();
    let order = start(&engine, entry, &held).await.unwrap();
    for payment_key in ["k1", "k2", "k3"] {
        service.takes(&order, payment_key, SEAT);
    }
    let tell = |_| {
        let (engine, service) = (engine.clone(), Arc::clone(&service));
        tokio::spawn(async move { service.tells(&engine).await })
    };
    for told in (0..16).map(tell).collect::<Vec<_>>() {
        told.await.unwrap().unwrap();
    }
    engine.settled().await;
    let payments = of_kim(&engine).await;
    assert_eq!(payments.len(), 3, "each time that money was taken has one payment");
    let owed: Vec<_> = payments.iter().filter(|payment| payment.state == State::Refunding).collect();
    assert!(owed.iter().all(|payment| payment.failure == Some(Failure::AlreadyPaid)) && owed.len() == 2);
    service.gives_back(&engine).await.unwrap();
    assert_eq!(service.has(), SEAT);
    service.check(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_orders_of_one_hold_that_are_both_paid_one_is_owed() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(with_service(config(dir.path())), 2, 1).await;
    let (entry, service) = (&entries[0], Service::default());
    let held = hold(&engine, entry, "kim", &[1]).await.unwrap();
    for payment_key in ["k1", "k2"] {
        let order = start(&engine, entry, &held).await.unwrap();
        service.takes(&order, payment_key, SEAT);
    }
    service.tells(&engine).await.unwrap();
    engine.settled().await;
    let failures: Vec<_> = of_kim(&engine).await.into_iter().map(|payment| payment.failure).collect();
    assert!(failures.contains(&None) && failures.contains(&Some(Failure::AlreadyPaid)), "{failures:?}");
    service.gives_back(&engine).await.unwrap();
    service.check(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_for_a_hold_that_was_exchanged_for_dearer_seats_is_owed() {
    let dir = tempfile::tempdir().unwrap();
    let (settings, _) = config_at_now(dir.path());
    let (engine, entries) = open_with(with_service(settings), 2, 1).await;
    let (entry, service) = (&entries[0], Service::default());
    let held = hold(&engine, entry, "kim", &[1]).await.unwrap();
    let order = start(&engine, entry, &held).await.unwrap();
    let wish = Wish::seats([1, 2].map(onsale::domain::venue::Seat));
    let exchange =
        Command::Exchange { reservation: reference(&held), caller: Caller::User(user("kim")), wish };
    engine.act(entry, exchange, None).await.unwrap();
    service.takes(&order, "k", SEAT);
    service.tells(&engine).await.unwrap();
    engine.settled().await;
    let owed = engine.payment(order.id).unwrap();
    assert_eq!((owed.state, owed.failure), (State::Refunding, Some(Failure::OtherAmount)));
    assert_eq!(status(entry, &held), ReservationStatus::Held);
    engine.close().await.unwrap();
}

/// A way in which a payment by the service can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Paid,
    Twice,
    OtherAmount,
    GivenBack,
    ScheduleCancelled,
    /// Reported after the deadline, and the seats are free yet.
    Late,
    /// The same, and the seats are another's.
    TooLate,
}

/// Goes a path as far as the journal lets it.
async fn go(service: &Service, engine: &Engine, clock: &ManualClock, path: Path) -> Result<(), EngineError> {
    let entry = engine.schedule("s0").unwrap();
    charge(engine, "lee", 2 * SEAT).await?;
    let held = hold(engine, &entry, "kim", &[1, 2]).await?;
    let order = start(engine, &entry, &held).await?;
    match path {
        Path::Paid | Path::GivenBack | Path::ScheduleCancelled => {}
        Path::Twice => service.takes(&order, "again", 2 * SEAT),
        Path::OtherAmount => service.takes(&order, "less", SEAT),
        Path::Late => clock.pass_millis(400_000),
        Path::TooLate => {
            clock.pass_millis(400_000);
            let others = hold(engine, &entry, "lee", &[1]).await?;
            pay(engine, &entry, "lee", &others, None).await?;
        }
    }
    service.takes(&order, "k", 2 * SEAT);
    service.tells(engine).await?;
    engine.settled().await;
    match path {
        Path::GivenBack => {
            let release = Command::Release { reservation: reference(&held), caller: Caller::Admin };
            engine.act(&entry, release, None).await?;
        }
        Path::ScheduleCancelled => drop(engine.act(&entry, Command::Cancel, None).await?),
        Path::Paid | Path::Twice | Path::OtherAmount | Path::Late | Path::TooLate => {}
    }
    engine.settled().await;
    service.gives_back(engine).await
}

/// Kills a path before each of its syncs, and each time sees the money add up after the restart, once the service has said everything
/// again.
async fn kill_everywhere(path: Path) {
    let dir = tempfile::tempdir().unwrap();
    let at = |clock: &ManualClock, config: EngineConfig| {
        with_service(EngineConfig { clock: Arc::new(clock.clone()), ..config })
    };
    let prepared = MemoryDisk::new();
    let (engine, _) = open_with(at(&ManualClock::at(NOW), on(&prepared, dir.path())), 2, 1).await;
    drop(engine);
    let start = prepared.crashed();
    let mut ends = BTreeSet::new();
    let mut point = 1;
    loop {
        let (clock, service, medium) = (ManualClock::at(NOW), Service::default(), start.crashed());
        // Snapshots are files.
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(at(&clock, on(&medium, dir.path()))).await.unwrap();
        medium.fail_sync(point);
        let went = go(&service, &engine, &clock, path).await;
        let whole = went.is_ok() && engine.journal().failure().is_none();
        let left = medium.crashed();
        let _ = engine.close().await;

        for _ in 0..2 {
            let engine = Engine::open(at(&clock, on(&left, dir.path()))).await.unwrap();
            engine.settled().await;
            for _ in 0..2 {
                service.tells(&engine).await.unwrap();
                engine.settled().await;
                service.gives_back(&engine).await.unwrap();
            }
            service.check(&engine).await;
            let payments = of_kim(&engine).await;
            assert!(payments.iter().all(|payment| payment.state.is_settled()), "{path:?}: {payments:?}");
            let states: Vec<_> = payments.iter().map(|payment| payment.state.as_str()).collect();
            ends.insert(format!("{states:?} {}", balance(&engine, "lee")));
            engine.close().await.unwrap();
        }

        if whole {
            break;
        }
        point += 1;
    }
    assert!(point > 6 && ends.len() > 1, "{path:?}: {point} points: {ends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_the_service_took_has_a_seat_or_goes_back_wherever_it_is_killed() {
    for path in [Path::Paid, Path::Twice, Path::OtherAmount, Path::Late, Path::TooLate] {
        kill_everywhere(path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_by_the_service_that_is_killed_anywhere_is_asked_for_until_it_is_done() {
    for path in [Path::GivenBack, Path::ScheduleCancelled] {
        kill_everywhere(path).await;
    }
}
