//! The engine's client of Toss against the mock: what a saga sees of each fault, and what is true.

use super::*;
use crate::config::Secret;
use crate::domain::money::{Currency, Money};
use crate::gateway::toss::{TIMEOUT, Toss, TossConfig};
use crate::gateway::{
    Cancel, CancelOutcome, Capture, CaptureOutcome, Find, Found, Gateway, IdempotencyKey, NotCaptured,
    OrderId, PaymentKey, Why,
};

const ORDER: &str = "order-1";

struct Saga {
    shop: Shop,
    toss: Toss,
    key: PaymentKey,
}

impl Saga {
    /// A customer agreed to pay a hundred won.
    async fn begin() -> Self {
        Self::begin_with(DEMO_SECRET, TIMEOUT).await
    }

    async fn begin_with(secret: &str, timeout: Duration) -> Self {
        let shop = Shop::open().await;
        let config = TossConfig { timeout, ..TossConfig::new(shop.gateway.url(), Secret::new(secret)) };
        let key = PaymentKey::parse(&shop.check_out(ORDER, 100).await).unwrap();
        Self { toss: Toss::new(&config).unwrap(), shop, key }
    }

    async fn confirm(&self, attempt: &str) -> CaptureOutcome {
        let capture = Capture {
            payment_key: self.key.clone(),
            order_id: OrderId::parse(ORDER).unwrap(),
            amount: Money::new(100).unwrap(),
            currency: Currency::parse("KRW").unwrap(),
            idempotency_key: IdempotencyKey::parse(attempt).unwrap(),
        };
        self.toss.confirm(capture).await
    }

    async fn find(&self) -> Found {
        let order_id = OrderId::parse(ORDER).unwrap();
        let by_key =
            self.toss.find(Find { order_id: order_id.clone(), payment_key: Some(self.key.clone()) }).await;
        let by_order = self.toss.find(Find { order_id, payment_key: None }).await;
        assert_eq!(by_key, by_order);
        by_key
    }

    async fn cancel(&self, attempt: &str) -> CancelOutcome {
        let cancel = Cancel {
            payment_key: self.key.clone(),
            amount: Money::new(100).unwrap(),
            captured: Money::new(100).unwrap(),
            back: Money::ZERO,
            reason: "The seats were gone.".to_owned(),
            idempotency_key: IdempotencyKey::parse(attempt).unwrap(),
        };
        self.toss.cancel(cancel).await
    }

    async fn is_captured(&self) -> bool {
        matches!(self.find().await, Found::Captured { cancelled_amount: Money::ZERO, .. })
    }
}

#[tokio::test]
async fn money_comes_and_goes_back_once() {
    let saga = Saga::begin().await;
    assert_eq!(saga.find().await, Found::NotCaptured(NotCaptured::Open));
    let outcome = saga.confirm("c-1").await;
    let CaptureOutcome::Captured { approved_at, .. } = &outcome else { panic!("{outcome:?}") };
    assert_eq!(*approved_at, Some(START));
    assert!(saga.is_captured().await);
    let outcome = saga.confirm("c-2").await;
    assert!(matches!(outcome, CaptureOutcome::Captured { .. }), "looked at: {outcome:?}");
    for attempt in ["r-1", "r-2"] {
        let outcome = saga.cancel(attempt).await;
        assert!(matches!(&outcome, CancelOutcome::Cancelled { transaction: Some(_) }), "{outcome:?}");
    }
    let ledger = saga.shop.ledger(ORDER).await;
    assert_eq!((&ledger["captures"], &ledger["cancelled"]), (&json!(1), &json!(100)));
    assert_eq!(saga.confirm("c-3").await, CaptureOutcome::Unknown { why: Why::AlreadyProcessed });
    let Found::Captured { amount, cancelled_amount, .. } = saga.find().await else { panic!() };
    assert_eq!(amount, cancelled_amount);
}

#[tokio::test]
async fn a_decline_is_a_decline_however_it_is_learnt() {
    let saga = Saga::begin().await;
    saga.shop.fault("decline", None, Some(1)).await;
    let first = saga.confirm("c-1").await;
    assert!(
        matches!(&first, CaptureOutcome::Declined { code, .. } if code.as_str() == "REJECT_CARD_COMPANY"),
        "{first:?}"
    );
    // The gateway says that it was dealt with; the client looks.
    assert_eq!(saga.confirm("c-2").await, first);
    let Found::NotCaptured(why) = saga.find().await else { panic!() };
    assert!(why.is_final());
}

#[tokio::test]
async fn where_the_answer_is_lost_a_question_finds_what_is_true() {
    for (fault, why, captured) in [
        ("drop-before", Why::Broken, false),
        ("drop-after", Why::Broken, true),
        ("cut", Why::Broken, true),
        ("fail-before", Why::Failed, false),
        ("fail-after", Why::Failed, true),
        ("error:PROVIDER_ERROR", Why::Failed, false),
        ("error:ALREADY_PROCESSING_REQUEST", Why::UnderWay, false),
        ("error:UNAUTHORIZED_KEY", Why::Misconfigured, false),
    ] {
        let saga = Saga::begin().await;
        saga.shop.fault(fault, None, Some(1)).await;
        assert_eq!(saga.confirm("c-1").await, CaptureOutcome::Unknown { why }, "{fault}");
        assert_eq!(saga.is_captured().await, captured, "{fault}");
        // Another attempt captures what isn't yet, and nothing twice.
        let again = saga.confirm("c-2").await;
        assert!(matches!(again, CaptureOutcome::Captured { .. }), "{fault}: {again:?}");
        assert_eq!(saga.shop.ledger(ORDER).await["captures"], 1, "{fault}");
    }
}

#[tokio::test]
async fn an_attempt_that_met_a_passing_error_meets_it_again_under_its_key() {
    let saga = Saga::begin().await;
    saga.shop.fault("error:PROVIDER_ERROR", None, Some(1)).await;
    for _ in 0..2 {
        assert_eq!(saga.confirm("c-1").await, CaptureOutcome::Unknown { why: Why::Failed });
    }
    assert!(matches!(saga.confirm("c-2").await, CaptureOutcome::Captured { .. }));
}

#[tokio::test]
async fn a_capture_that_takes_too_long_goes_on_and_is_found() {
    let saga = Saga::begin_with(DEMO_SECRET, Duration::from_secs(1)).await;
    saga.shop.fault("delay-after:600000", None, Some(1)).await;
    assert_eq!(saga.confirm("c-1").await, CaptureOutcome::Unknown { why: Why::TimedOut });
    assert!(saga.is_captured().await);
    assert_eq!(saga.confirm("c-1").await, CaptureOutcome::Unknown { why: Why::UnderWay });
}

#[tokio::test]
async fn a_request_that_is_doubled_on_its_way_is_captured_once() {
    let saga = Saga::begin().await;
    saga.shop.fault("duplicate", None, Some(1)).await;
    let outcome = saga.confirm("c-1").await;
    assert!(matches!(outcome, CaptureOutcome::Captured { .. }), "{outcome:?}");
    assert_eq!(saga.shop.ledger(ORDER).await["captures"], 1);
}

#[tokio::test]
async fn an_agreement_that_ended_is_declined_and_final() {
    let saga = Saga::begin().await;
    saga.shop.clock.pass_millis(600_000);
    let outcome = saga.confirm("c-1").await;
    assert!(matches!(outcome, CaptureOutcome::Declined { .. }), "{outcome:?}");
    assert_eq!(saga.find().await, Found::NotCaptured(NotCaptured::Expired));
}

#[tokio::test]
async fn a_payment_key_of_another_order_is_declined() {
    let saga = Saga::begin().await;
    let other = PaymentKey::parse(&saga.shop.check_out("order-2", 100).await).unwrap();
    let saga = Saga { key: other, ..saga };
    let outcome = saga.confirm("c-1").await;
    assert!(matches!(outcome, CaptureOutcome::Declined { .. }), "{outcome:?}");
    // Even one that was captured for its own order says nothing about this one.
    assert_eq!(saga.shop.confirm(saga.key.as_str(), "order-2", 100, "x").await.unwrap().0, 200);
    let find = Find { order_id: OrderId::parse(ORDER).unwrap(), payment_key: Some(saga.key.clone()) };
    let Found::NotCaptured(why) = saga.toss.find(find).await else { panic!() };
    assert!(why.is_final());
}

#[tokio::test]
async fn a_wrong_secret_settles_nothing() {
    let saga = Saga::begin_with(WRONG_SECRET, TIMEOUT).await;
    let why = Why::Misconfigured;
    assert_eq!(saga.confirm("c-1").await, CaptureOutcome::Unknown { why });
    assert_eq!(saga.find().await, Found::Unknown { why });
    assert_eq!(saga.cancel("r-1").await, CancelOutcome::Unknown { why });
}

#[tokio::test]
async fn an_order_that_the_gateway_never_heard_of_is_not_there() {
    let saga = Saga::begin().await;
    let find = Find { order_id: OrderId::parse("order-2").unwrap(), payment_key: None };
    assert_eq!(saga.toss.find(find).await, Found::NoSuchOrder);
}

#[tokio::test]
async fn a_refund_whose_answer_is_lost_is_made_once() {
    for (fault, why) in [
        ("cancel/drop-before", Why::Broken),
        ("cancel/drop-after", Why::Broken),
        ("cancel/fail-after", Why::Failed),
        ("cancel/error:PROVIDER_ERROR", Why::Failed),
        ("cancel/error:FORBIDDEN_CONSECUTIVE_REQUEST", Why::UnderWay),
    ] {
        let saga = Saga::begin().await;
        assert!(matches!(saga.confirm("c-1").await, CaptureOutcome::Captured { .. }));
        saga.shop.fault(fault, None, Some(1)).await;
        assert_eq!(saga.cancel("r-1").await, CancelOutcome::Unknown { why }, "{fault}");
        let again = saga.cancel("r-2").await;
        assert!(matches!(again, CancelOutcome::Cancelled { .. }), "{fault}: {again:?}");
        assert_eq!(saga.shop.ledger(ORDER).await["cancelled"], 100, "{fault}");
    }
    let saga = Saga::begin().await;
    assert!(matches!(saga.confirm("c-1").await, CaptureOutcome::Captured { .. }));
    saga.shop.fault("cancel/decline:EXCEED_MAX_REFUND_DUE", None, Some(1)).await;
    let outcome = saga.cancel("r-1").await;
    assert!(
        matches!(&outcome, CancelOutcome::Refused { code, .. } if code.as_str() == "EXCEED_MAX_REFUND_DUE")
    );
}

#[tokio::test]
async fn a_gateway_that_is_gone_is_known_not_to_have_been_asked() {
    let Saga { shop, toss, key } = Saga::begin().await;
    let order_id = OrderId::parse(ORDER).unwrap();
    shop.gateway.stop().await;
    let Found::Unknown { why } = toss.find(Find { order_id, payment_key: Some(key) }).await else { panic!() };
    assert!(why.is_not_sent());
}
