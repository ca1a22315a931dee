//! The end of a run: what has to follow has followed, and everything adds up.

use std::collections::BTreeMap;
use std::time::Duration;

use onsale::domain::payments::{Payment, State};
use onsale::domain::schedule::ReservationStatus;
use onsale::engine::Engine;

use crate::selling;
use crate::world::{Living, World};

/// How long a world runs on, undisturbed, until everything is at rest: a gateway's checkout must be over for good, and a payment that
/// the gateway never heard of is known to be none after an hour.
const RUNS: u64 = 10 * 60_000;
const JUMPS: usize = 14;

/// Lets the world run on.
pub(crate) async fn wait(world: &World, living: &Living) {
    world.pass(living, RUNS).await;
    for _ in 0..JUMPS {
        // Time alone wakes nobody who isn't waiting for it: a wake-up that was lost stays lost.
        tokio::time::advance(Duration::from_mins(10)).await;
        world.pass(living, 70_000).await;
    }
}

/// Checks what holds when nothing is under way.
pub(crate) fn check(world: &World, living: &Living) {
    let engine = &living.engine;
    let now = engine.now();
    let mut payments: Vec<Payment> = Vec::new();
    {
        let mut book = world.book();
        for entry in engine.schedules() {
            let seen = book.schedules.get(&entry.number().0).cloned().unwrap_or_default();
            let schedule = entry.read();
            for payment in seen.payments.values().filter(|seen| !seen.gone).map(|seen| &seen.kept) {
                book.check("E1 payment-stuck", payment.state.is_settled(), || {
                    format!("hours later nobody has gone on with {payment:?}")
                });
                let reservation = schedule.reservation(payment.reservation);
                let stands = reservation.is_some_and(|reservation| {
                    reservation.status == ReservationStatus::Confirmed
                        && reservation.payment == Some(payment.id)
                });
                if payment.state == State::Completed {
                    book.check("M3 refund-stuck", stands, || {
                        format!("hours later the money of {payment:?} isn't given back: its reservation is {reservation:?}")
                    });
                }
                payments.push(payment.clone());
            }
            for reservation in schedule.reservations() {
                let finds = reservation.user.as_deref().map(|user| engine.schedules_of_user(user));
                let found = finds.is_none_or(|all| all.iter().any(|found| found.number() == entry.number()));
                book.check("R1 user-index", found, || format!("its user doesn't find {reservation:?}"));
                let over = reservation.status.has_deadline() && reservation.expires_at <= now;
                book.check("S4 hold-stuck", !over, || {
                    format!("{reservation:?} is over at {now}, and nobody has noticed")
                });
            }
            selling::check_rest(&schedule, &mut book, now);
            let room = entry.room().read();
            let overview = room.overview();
            let stuck = room.is_moving(now)
                && overview.active < overview.active_max
                && overview.admit_per_minute.is_none();
            book.check("E1 room-stuck", !stuck, || {
                format!("there is room at the seats of {}, and people wait: {overview:?}", entry.id())
            });
        }
    }
    check_ledger(world, engine, &payments);

    let mut book = world.book();
    world.shadow.verify(&mut book);
    world.shadow.compare_snapshots(&world.dir, engine.journal().log_id(), &mut book);
}

/// What the gateway has taken and not given back stands for completed payments (M2, M3), each once.
fn check_ledger(world: &World, engine: &Engine, payments: &[Payment]) {
    let ledger = world.desk.ledger();
    let mut standing: BTreeMap<String, u64> = BTreeMap::new();
    for payment in payments {
        if payment.needs_gateway() && payment.state == State::Completed {
            standing.insert(payment.id.to_string(), payment.amount.minor());
        }
        // What wasn't refundable stays.
        let stays = payment.amount.minor() - payment.refund_amount().minor();
        if payment.needs_gateway() && payment.state == State::Refunded && stays > 0 {
            standing.insert(payment.id.to_string(), stays);
        }
    }
    let catalogue = engine.catalogue();
    let mut book = world.book();
    for (order, (captured, cancelled)) in &ledger {
        let stands = standing.remove(order).unwrap_or_default();
        let number = onsale::domain::ids::PaymentId::parse(order).expect("an order is a payment");
        // What is in the archive stands there; a move is refused while anything is owed.
        let moved =
            !book.schedules.contains_key(&number.schedule.0) || catalogue.is_archived(number.schedule);
        book.check("M3 ledger", moved || captured - cancelled == stands, || {
            format!("the gateway took {captured} for {order} and gave {cancelled} back, and {stands} stands for it")
        });
    }
    book.check("M2 ledger-unknown", standing.is_empty(), || {
        format!("payments that the gateway knows nothing of: {standing:?}")
    });
}
