//! Payments through the engine: whatever happens, and wherever it is killed, the money adds up (M1–M3).
//!
//! The paths are killed at every point at which something had just become durable: the disk lets `n` syncs take effect, for
//! every `n`, and what a power cut would leave then is opened again.
#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    reason = "a test fails loudly, and its numbers are small"
)]

mod external;
mod gateway;
mod orders;
#[path = "../support/mod.rs"]
mod support;
mod vanish;

use std::sync::Arc;

use onsale::domain::accounts::Refusal as AccountRefusal;
use onsale::domain::cause::Cause;
use onsale::domain::keys::KeyUse;
use onsale::domain::money::{Currency, Money};
use onsale::domain::payments::{Failure, Method, Payment, State};
use onsale::domain::schedule::policy::{Policy, QueuePolicy};
use onsale::domain::schedule::{Caller, Command, Refusal, Reservation, ReservationRef, ReservationStatus};
use onsale::engine::{CatalogueChange, Done, Engine, EngineConfig, EngineError, Purchase, ScheduleEntry};
use onsale::journal::MemoryDisk;
use support::{concert, config, cut_off, hold, key, open_with, payments_of, plan, user};

const SEAT: u64 = 50_000;

fn won(minor: u64) -> Money {
    Money::new(minor).unwrap()
}

fn krw() -> Currency {
    Currency::parse("KRW").unwrap()
}

async fn charge(engine: &Engine, name: &str, amount: u64) -> Result<(), EngineError> {
    engine.charge(&user(name), won(amount), krw(), 1, Cause::default()).await.map(drop)
}

async fn pay(
    engine: &Engine,
    entry: &ScheduleEntry,
    name: &str,
    held: &Reservation,
    key: Option<KeyUse>,
) -> Result<Done<Payment>, EngineError> {
    let reservation = ReservationRef { number: held.number, nonce: held.nonce };
    let purchase = Purchase { user: user(name), reservation, method: Method::Balance, nonce: 7, key };
    engine.pay(entry, purchase).await
}

fn balance(engine: &Engine, name: &str) -> u64 {
    engine.balance(name).map_or(0, |(balance, ..)| balance.minor())
}

fn status(entry: &ScheduleEntry, held: &Reservation) -> ReservationStatus {
    let id = ReservationRef { number: held.number, nonce: held.nonce };
    entry.read().reservation(id).unwrap().status
}

/// Everything that was put in is on an account, or stands for a confirmed reservation that has exactly one completed
/// payment of its amount.
async fn check_money(engine: &Engine, users: &[&str]) {
    check_money_with(engine, users, 0).await;
}

/// The same, where a gateway has `at_gateway`: what it captured less what it gave back.
async fn check_money_with(engine: &Engine, users: &[&str], at_gateway: u64) {
    let mut charged = at_gateway;
    let mut on_accounts = 0;
    for name in users {
        let movements = engine.transactions(name, None, 1_000).await.unwrap();
        charged += movements
            .iter()
            .filter(|moved| moved.kind.as_str() == "charge")
            .map(|moved| moved.amount.minor())
            .sum::<u64>();
        on_accounts += balance(engine, name);
    }
    let mut confirmed = 0;
    for entry in engine.schedules() {
        let schedule = entry.read().clone();
        for reservation in schedule.reservations() {
            let payments = payments_of(engine, reservation.user.as_deref().unwrap()).await;
            let of_it = payments.iter().filter(|payment| {
                payment.reservation.number == reservation.number && payment.id.schedule == entry.number()
            });
            let standing: Vec<_> = of_it.filter(|payment| payment.state == State::Completed).collect();
            if reservation.status == ReservationStatus::Confirmed {
                assert_eq!(standing.len(), 1, "M2: one completed payment of {reservation:?}");
                assert_eq!(standing[0].amount, schedule.amount_of(reservation));
                confirmed += standing[0].amount.minor();
            } else {
                assert!(standing.is_empty(), "M3: money was kept for {reservation:?}");
                assert_ne!(reservation.status, ReservationStatus::Paying, "nothing is under way");
            }
        }
    }
    assert_eq!(charged, on_accounts + confirmed, "what was put in or captured is there, or stands for seats");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balance_pays_for_a_hold_once_and_the_same_key_leads_to_the_same_payment() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(config(dir.path()), 2, 1).await;
    let entry = &entries[0];
    charge(&engine, "kim", 3 * SEAT).await.unwrap();
    let held = hold(&engine, entry, "kim", &[1, 2]).await.unwrap();
    let paid = pay(&engine, entry, "kim", &held, key(1, 2)).await.unwrap();
    assert_eq!((paid.answer.state, paid.replayed), (State::Completed, false));
    assert_eq!(status(entry, &held), ReservationStatus::Confirmed);
    assert_eq!(balance(&engine, "kim"), SEAT);
    let again = pay(&engine, entry, "kim", &held, key(1, 2)).await.unwrap();
    assert_eq!((again.answer, again.replayed), (paid.answer, true));
    assert_eq!(pay(&engine, entry, "kim", &held, key(1, 3)).await, Err(EngineError::KeyReused));
    assert_eq!(
        pay(&engine, entry, "kim", &held, key(4, 4)).await,
        Err(Refusal::NotHeld.into()),
        "never paid twice"
    );
    check_money(&engine, &["kim"]).await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_dear_is_refused_and_the_hold_lives_on() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(config(dir.path()), 2, 1).await;
    let entry = &entries[0];
    let held = hold(&engine, entry, "kim", &[1]).await.unwrap();
    let refused = pay(&engine, entry, "kim", &held, key(1, 2)).await.unwrap().answer;
    assert_eq!(refused.failure, Some(Failure::Insufficient { balance: Money::ZERO }));
    assert_eq!((refused.state, status(entry, &held)), (State::Failed, ReservationStatus::Held));
    charge(&engine, "kim", SEAT).await.unwrap();
    let paid = pay(&engine, entry, "kim", &held, key(1, 2)).await.unwrap();
    assert_eq!((paid.answer.state, paid.replayed), (State::Completed, false), "a new attempt");
    check_money(&engine, &["kim"]).await;
    let too_much = engine.charge(&user("kim"), Money::MAX, krw(), 1, Cause::default()).await;
    assert!(too_much.is_ok(), "an empty account holds as much as a number can say");
    let more = charge(&engine, "kim", 1).await;
    assert_eq!(more, Err(AccountRefusal::TooMuch.into()));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixteen_payments_of_one_hold_at_once_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(config(dir.path()), 2, 1).await;
    charge(&engine, "kim", 100 * SEAT).await.unwrap();
    let held = hold(&engine, &entries[0], "kim", &[1]).await.unwrap();
    let attempts = (0..16).map(|index| {
        let (engine, entry, held) = (engine.clone(), Arc::clone(&entries[0]), held.clone());
        tokio::spawn(async move { pay(&engine, &entry, "kim", &held, key(index, 0)).await })
    });
    let mut completed = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Ok(Done { answer, .. }) if answer.state == State::Completed => completed += 1,
            Ok(Done { answer, .. }) => assert_eq!(answer.failure, Some(Failure::NotHeld)),
            Err(error) => assert_eq!(error, Refusal::NotHeld.into()),
        }
    }
    assert_eq!(completed, 1);
    assert_eq!(balance(&engine, "kim"), 99 * SEAT);
    check_money(&engine, &["kim"]).await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completed_payment_ends_the_pass_and_lets_the_next_in() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(config(dir.path()), 2, 1).await;
    let entry = &entries[0];
    let queue = Some(QueuePolicy { active_max: 1, ..QueuePolicy::default() });
    let plan = plan(engine.now(), Policy { queue, ..Policy::default() });
    let change = CatalogueChange::PutSchedule(entry.id().clone(), concert().id, plan);
    engine.change(change, None).await.unwrap();
    charge(&engine, "kim", SEAT).await.unwrap();
    for name in ["kim", "lee"] {
        engine.join(entry, &user(name), None).await.unwrap();
    }
    let held = hold(&engine, entry, "kim", &[1]).await.unwrap();
    pay(&engine, entry, "kim", &held, key(1, 1)).await.unwrap();
    let room = entry.room().read();
    assert_eq!((room.standing("kim"), room.waiting(), room.active()), (None, 0, 1));
}

/// One way in which a payment can go, from a charged account on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Paid,
    TooDear,
    GivenBack,
    ScheduleCancelled,
}

/// Goes a path as far as the journal lets it.
async fn go(engine: &Engine, path: Path) -> Result<(), EngineError> {
    let entry = engine.schedule("s0").unwrap();
    charge(engine, "kim", if path == Path::TooDear { SEAT } else { 5 * SEAT }).await?;
    charge(engine, "lee", 2 * SEAT).await?;
    let held = hold(engine, &entry, "kim", &[1, 2]).await?;
    let others = hold(engine, &entry, "lee", &[5]).await?;
    pay(engine, &entry, "kim", &held, key(1, 1)).await?;
    pay(engine, &entry, "lee", &others, key(2, 2)).await?;
    match path {
        Path::Paid | Path::TooDear => {}
        Path::GivenBack => {
            // An administrator may give it back at any time before the show.
            let reservation = ReservationRef { number: held.number, nonce: held.nonce };
            engine.act(&entry, Command::Release { reservation, caller: Caller::Admin }, None).await?;
        }
        Path::ScheduleCancelled => {
            engine.act(&entry, Command::Cancel, None).await?;
            engine.settled().await;
        }
    }
    Ok(())
}

fn on(disk: &MemoryDisk, dir: &std::path::Path) -> EngineConfig {
    EngineConfig { medium: Some(Arc::new(disk.clone())), ..config(dir) }
}

/// Kills a path after each of its syncs, and each time sees the money add up after the restart.
async fn kill_everywhere(path: Path) {
    let dir = tempfile::tempdir().unwrap();
    let prepared = MemoryDisk::new();
    let (engine, _) = open_with(on(&prepared, dir.path()), 2, 1).await;
    drop(engine);
    let start = prepared.crashed();
    let mut ends = std::collections::BTreeSet::new();
    for point in 0.. {
        let disk = start.crashed();
        let engine = Engine::open(on(&disk, dir.path())).await.unwrap();
        let killed = cut_off(&disk, point, async {
            go(&engine, path).await.unwrap();
            engine.settled().await;
        })
        .await;
        check_money(&engine, &["kim", "lee"]).await;
        drop(engine);
        let engine = Engine::open(on(&disk.crashed(), dir.path())).await.unwrap();
        engine.settled().await;
        check_money(&engine, &["kim", "lee"]).await;
        let entry = engine.schedule("s0").unwrap();
        let statuses: Vec<_> =
            entry.read().reservations().map(|reservation| reservation.status.as_str()).collect();
        ends.insert((balance(&engine, "kim"), balance(&engine, "lee"), statuses.join(" ")));
        // And once more: what recovery did is durable.
        let again = on(&disk.crashed(), dir.path());
        drop(engine);
        let engine = Engine::open(again).await.unwrap();
        engine.settled().await;
        check_money(&engine, &["kim", "lee"]).await;
        if !killed {
            assert!(point > 8, "{point} points to be killed at");
            break;
        }
    }
    assert!(ends.len() > 3, "the points differ in what had happened: {ends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_is_killed_anywhere_is_finished_or_never_was() {
    kill_everywhere(Path::Paid).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_payment_that_is_killed_anywhere_takes_nothing() {
    kill_everywhere(Path::TooDear).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_is_killed_anywhere_is_made_once() {
    kill_everywhere(Path::GivenBack).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_schedule_that_is_killed_anywhere_gives_everyone_the_money_back() {
    kill_everywhere(Path::ScheduleCancelled).await;
}
