//! Orders of the box office through the engine: wherever it is killed, an order is there with its payment, or it isn't there at all.

use std::collections::BTreeSet;

use onsale::domain::payments::{AnyPayment, State};
use onsale::domain::schedule::{Answer, Reservation};
use onsale::engine::{Done, Engine, Narrow};
use onsale::journal::MemoryDisk;

use super::support::{cancel_order, cut_off, key, open_with, order_command, reservation};
use super::{SEAT, on};

/// Sells two seats with a key.
async fn sell(engine: &Engine) -> Done<Answer> {
    let entry = engine.schedule("s0").unwrap();
    engine.act(&entry, order_command(Some("kim"), &[1, 2], Some(SEAT)), key(1, 1)).await.unwrap()
}

/// Sells, and gives the order back.
async fn go(engine: &Engine) {
    let order = reservation(sell(engine).await);
    engine.act(&engine.schedule("s0").unwrap(), cancel_order(&order), None).await.unwrap();
}

/// Checks that an order and its payment tell the same, wherever one looks.
async fn check(engine: &Engine, order: &Reservation) {
    let found = engine.find_payment(order.payment.unwrap()).await.unwrap();
    let Some(AnyPayment::OfOrder(payment)) = found else { panic!("an order's payment: {found:?}") };
    assert_eq!((payment.amount().minor(), payment.user.as_ref()), (SEAT, order.user.as_ref()));
    let is_cancelled = order.cancelled_at.is_some();
    assert_eq!(payment.state(), if is_cancelled { State::Refunding } else { State::Completed });
    for narrow in [Narrow::default(), Narrow::of("kim")] {
        let listed = engine.list_payments(narrow, None, 9).await.unwrap().items;
        assert_eq!(listed, [AnyPayment::OfOrder(payment.clone())]);
    }
    assert_eq!(engine.balance("kim"), None, "no balance is touched");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_whole_or_not_there_wherever_it_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = MemoryDisk::new();
    let (engine, _) = open_with(on(&prepared, dir.path()), 2, 1).await;
    drop(engine);
    let start = prepared.crashed();

    let mut ends = BTreeSet::new();
    for point in 0.. {
        let disk = start.crashed();
        let engine = Engine::open(on(&disk, dir.path())).await.unwrap();
        let killed = cut_off(&disk, point, go(&engine)).await;
        drop(engine);

        let engine = Engine::open(on(&disk.crashed(), dir.path())).await.unwrap();
        let entry = engine.schedule("s0").unwrap();
        let orders: Vec<Reservation> = entry.read().orders().cloned().collect();
        for order in &orders {
            check(&engine, order).await;
        }
        let statuses: Vec<&str> = orders.iter().map(|order| order.status.as_str()).collect();
        ends.insert(statuses.join(" "));

        // The till that got no answer asks again: there is one order, whatever it finds.
        let again = sell(&engine).await;
        assert_eq!(again.replayed, !orders.is_empty());
        let again = reservation(again);
        assert!(orders.is_empty() || orders[0].number == again.number);
        assert_eq!(entry.read().orders().count(), 1);
        if !killed {
            break;
        }
    }
    assert!(ends.iter().map(String::as_str).eq(["", "cancelled", "confirmed"]), "{ends:?}");
}
