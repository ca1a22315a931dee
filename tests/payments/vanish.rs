//! Callers that go away: whatever they asked for and became durable goes its whole way without them (E1).
//!
//! HTTP drops a handler's future when its client hangs up, or at the request's deadline. Here the future of each call is dropped
//! after `n` polls, for every `n` at which it still runs.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use onsale::domain::money::Currency;
use onsale::domain::payments::{self, Method, Payment, State};
use onsale::domain::schedule::{Caller, Command, Reservation, ReservationStatus};
use onsale::engine::{Done, Engine, EngineConfig, EngineError, Purchase, ScheduleEntry};
use onsale::gateway::{
    Answer, Cancel, CancelOutcome, Capture, CaptureOutcome, Find, Found, Gateway, NotCaptured, OrderId,
    PaymentKey, Terms,
};

use super::gateway::{Desk, PATIENCE, confirm, reference, set, start};
use super::support::{config, hold, key, open_with, payments_of, user};
use super::{SEAT, balance, charge, check_money, pay, status};

/// The most polls that a call is given: no call of these tests wakes up more often.
const POLLS_MAX: usize = 40;
/// How long a test waits before it says that something didn't come; what comes takes milliseconds.
const GUARD: Duration = Duration::from_secs(20);

/// Polls a call `polls` times and drops it; says whether it had its answer by then.
async fn vanish<T>(polls: usize, call: impl Future<Output = T>) -> Option<T> {
    let (mut call, mut left) = (pin!(call), polls);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match call.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Waits until something durable is so. Nobody asks the engine for anything meanwhile (a barrier only says that what was durable is
/// shown), so that it must come by itself.
async fn comes(engine: &Engine, what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            engine.journal().barrier().await.unwrap();
        }
    };
    assert!(tokio::time::timeout(GUARD, wait).await.is_ok(), "it never came: {what}");
}

/// Returns the only payment of a reservation, if there is one.
async fn payment_of(engine: &Engine, held: &Reservation) -> Option<Payment> {
    let payments = payments_of(engine, held.user.as_deref().unwrap()).await;
    let mut of_it = payments.into_iter().filter(|payment| payment.reservation == reference(held));
    let payment = of_it.next();
    assert!(of_it.next().is_none(), "one payment of each reservation");
    payment
}

fn state_of(engine: &Engine, payment: &Payment) -> State {
    engine.payment(payment.id).unwrap().state
}

fn give_back(held: &Reservation) -> Command {
    Command::Release { reservation: reference(held), caller: Caller::Admin }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cancels_and_goes_away_leaves_a_refund_that_comes() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(config(dir.path()), 2, 1).await;
    let entry = &entries[0];
    charge(&engine, "kim", 100 * SEAT).await.unwrap();
    let mut answered = false;
    for polls in 1..POLLS_MAX {
        let seat = u32::try_from(polls).unwrap();
        let held = hold(&engine, entry, "kim", &[seat]).await.unwrap();
        let paid = pay(&engine, entry, "kim", &held, key(100 + u128::from(seat), 0)).await.unwrap().answer;
        answered |= vanish(polls, engine.act(entry, give_back(&held), None)).await.is_some();
        if answered {
            assert_eq!(state_of(&engine, &paid), State::Refunded, "a balance has it back before the answer");
            break;
        }
        comes(&engine, "the refund", || {
            status(entry, &held) == ReservationStatus::Cancelled
                && state_of(&engine, &paid) == State::Refunded
        })
        .await;
    }
    assert!(answered, "the last call was let to its end");
    assert_eq!(balance(&engine, "kim"), 100 * SEAT);
    check_money(&engine, &["kim"]).await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cancels_a_card_payment_and_goes_away_leaves_a_refund_that_comes() {
    let (dir, desk) = (tempfile::tempdir().unwrap(), Desk::open().await);
    let (engine, entries) = open_with(desk.with(config(dir.path()), PATIENCE), 2, 1).await;
    let entry = &entries[0];
    for polls in 1..POLLS_MAX {
        let held = hold(&engine, entry, "kim", &[u32::try_from(polls).unwrap()]).await.unwrap();
        let payment = start(&engine, entry, "kim", &held).await.unwrap();
        let paid = confirm(&engine, "kim", &payment, &desk.agree(&payment).await).await.unwrap();
        assert_eq!(paid.state, State::Completed);
        let answered = vanish(polls, engine.act(entry, give_back(&held), None)).await.is_some();
        if answered {
            assert_ne!(
                state_of(&engine, &paid),
                State::Completed,
                "its refund is durably begun before the answer"
            );
        }
        comes(&engine, "the refund", || state_of(&engine, &paid) == State::Refunded).await;
        if answered {
            break;
        }
    }
    desk.check(&engine, &["kim"]).await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cancels_a_schedule_and_goes_away_has_everyone_refunded() {
    for polls in 1..6 {
        let dir = tempfile::tempdir().unwrap();
        let (engine, entries) = open_with(config(dir.path()), 2, 1).await;
        let entry = &entries[0];
        let buyers: Vec<String> = (0..20).map(|index| format!("buyer{index}")).collect();
        for (seat, name) in (0..).zip(&buyers) {
            charge(&engine, name, SEAT).await.unwrap();
            let held = hold(&engine, entry, name, &[seat]).await.unwrap();
            pay(&engine, entry, name, &held, key(seat.into(), 0)).await.unwrap();
        }
        vanish(polls, engine.act(entry, Command::Cancel, None)).await;
        comes(&engine, "twenty refunds", || buyers.iter().all(|name| balance(&engine, name) == SEAT)).await;
        let names: Vec<&str> = buyers.iter().map(String::as_str).collect();
        // The last event of all is that the last payment knows it.
        let settled = || {
            let payments::Counts { pending, refunding, .. } = engine.payments_under_way();
            pending + refunding == 0
        };
        comes(&engine, "the ends of all payments", settled).await;
        check_money(&engine, &names).await;
        engine.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_pays_and_goes_away_has_paid_and_the_same_key_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, entries) = open_with(config(dir.path()), 2, 1).await;
    let entry = &entries[0];
    charge(&engine, "kim", 100 * SEAT).await.unwrap();
    let mut answered = false;
    for polls in 1..POLLS_MAX {
        let seat = u32::try_from(polls).unwrap();
        let (held, key) = (hold(&engine, entry, "kim", &[seat]).await.unwrap(), key(seat.into(), 0));
        answered = vanish(polls, pay(&engine, entry, "kim", &held, key)).await.is_some();
        // What the journal never heard of didn't happen: a barrier says which of the two it was.
        engine.journal().barrier().await.unwrap();
        if payment_of(&engine, &held).await.is_some() {
            comes(&engine, "the confirmation", || status(entry, &held) == ReservationStatus::Confirmed).await;
        }
        let paid = again(&engine, entry, &held, key).await;
        assert_eq!(paid.answer.state, State::Completed, "{polls} polls");
        if answered {
            break;
        }
    }
    assert!(answered, "the last call was let to its end");
    check_money(&engine, &["kim"]).await;
    engine.close().await.unwrap();
}

/// Asks again with the same key until the first request is through.
async fn again(
    engine: &Engine,
    entry: &Arc<ScheduleEntry>,
    held: &Reservation,
    key: Option<onsale::domain::keys::KeyUse>,
) -> Done<Payment> {
    let wait = async {
        loop {
            match pay(engine, entry, held.user.as_deref().unwrap(), held, key).await {
                Err(EngineError::InProgress) => drop(engine.journal().barrier().await.unwrap()),
                answered => break answered.unwrap(),
            }
        }
    };
    tokio::time::timeout(GUARD, wait).await.expect("the same key finds out how it went")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_confirms_a_card_payment_and_goes_away_has_paid() {
    let (dir, desk) = (tempfile::tempdir().unwrap(), Desk::open().await);
    let (engine, entries) = open_with(desk.with(config(dir.path()), PATIENCE), 2, 1).await;
    let entry = &entries[0];
    let mut answered = false;
    for polls in 1..POLLS_MAX {
        let held = hold(&engine, entry, "kim", &[u32::try_from(polls).unwrap()]).await.unwrap();
        let payment = start(&engine, entry, "kim", &held).await.unwrap();
        let payment_key = desk.agree(&payment).await;
        answered = vanish(polls, confirm(&engine, "kim", &payment, &payment_key)).await.is_some();
        engine.journal().barrier().await.unwrap();
        if state_of(&engine, &payment) != State::Ready {
            comes(&engine, "the confirmation", || state_of(&engine, &payment) == State::Completed).await;
            assert_eq!(status(entry, &held), ReservationStatus::Confirmed);
        }
        if answered {
            break;
        }
    }
    assert!(answered, "the last call was let to its end");
    desk.check(&engine, &["kim"]).await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_without_a_gateway_goes_on_when_somebody_finds_it_with_one() {
    let (dir, desk) = (tempfile::tempdir().unwrap(), Desk::open().await);
    let (engine, entries) = open_with(desk.with(config(dir.path()), PATIENCE), 2, 1).await;
    let held = hold(&engine, &entries[0], "kim", &[1]).await.unwrap();
    let purchase = Purchase {
        user: user("kim"),
        reservation: reference(&held),
        method: Method::Card,
        nonce: 9,
        key: key(5, 5),
    };
    let payment = engine.pay(&entries[0], purchase.clone()).await.unwrap().answer;
    let payment_key = desk.agree(&payment).await;
    desk.fault("drop-before", 1_000).await;
    let in_doubt = confirm(&engine, "kim", &payment, &payment_key).await.unwrap();
    assert_eq!(in_doubt.state, State::Capturing);
    engine.close().await.unwrap();

    // Without a gateway nothing can be done, and with the next start everything is.
    let engine = Engine::open(config(dir.path())).await.unwrap();
    assert_eq!(state_of(&engine, &payment), State::Capturing);
    engine.close().await.unwrap();
    desk.mend().await;
    let engine = Engine::open(desk.with(config(dir.path()), PATIENCE)).await.unwrap();
    comes(&engine, "the confirmation", || state_of(&engine, &payment) == State::Completed).await;
    desk.check(&engine, &["kim"]).await;
    engine.close().await.unwrap();
}

/// A gateway whose client panics at the first capture, before it has sent anything.
#[derive(Default)]
struct Broken {
    captures: AtomicU32,
}

impl Gateway for Broken {
    fn terms(&self) -> &'static Terms {
        const TERMS: Terms = Terms::new("broken");
        &TERMS
    }

    fn takes(&self, _: Currency) -> bool {
        true
    }

    fn confirm(&self, capture: Capture) -> Answer<'_, CaptureOutcome> {
        let first = self.captures.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            assert!(!first, "a bug in a gateway's client");
            CaptureOutcome::Captured {
                payment_key: capture.payment_key,
                transaction: None,
                approved_at: None,
            }
        })
    }

    fn find(&self, _: Find) -> Answer<'_, Found> {
        Box::pin(std::future::ready(Found::NotCaptured(NotCaptured::Open)))
    }

    fn cancel(&self, _: Cancel) -> Answer<'_, CancelOutcome> {
        Box::pin(std::future::ready(CancelOutcome::Cancelled { transaction: None }))
    }

    fn read_notice(&self, _: &[u8]) -> Option<OrderId> {
        None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_whose_drive_panicked_goes_on_when_somebody_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Arc::new(Broken::default());
    let settings = EngineConfig { gateways: set(gateway), ..config(dir.path()) };
    let (engine, entries) = open_with(settings, 2, 1).await;
    let held = hold(&engine, &entries[0], "kim", &[1]).await.unwrap();
    let payment = start(&engine, &entries[0], "kim", &held).await.unwrap();
    let payment_key = PaymentKey::parse("k").unwrap();
    let answered = confirm(&engine, "kim", &payment, &payment_key).await.unwrap();
    assert_eq!(answered.state, State::Capturing, "its drive is gone, and whoever waited for it was let go");
    let found = engine.find_payment(payment.id).await.unwrap().unwrap().into_saga().unwrap();
    assert_eq!(found.state, State::Capturing);
    comes(&engine, "the confirmation", || state_of(&engine, &payment) == State::Completed).await;
    engine.close().await.unwrap();
}
