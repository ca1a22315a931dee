//! Each fault, as its caller meets it, and what is true afterwards.

use super::*;

/// Sets a fault for one order, captures it, and returns the answer and the ledger.
async fn capture_with(fault: &str) -> (Option<(u16, Value)>, Value) {
    let shop = Shop::open().await;
    let key = shop.check_out("order-1", 100).await;
    shop.fault(fault, Some("order-1"), Some(1)).await;
    let answer = shop.confirm(&key, "order-1", 100, "first").await;
    (answer, shop.ledger("order-1").await)
}

#[tokio::test]
async fn a_declined_capture_takes_nothing_and_ends_the_payment() {
    let (answer, ledger) = capture_with("decline").await;
    assert_eq!(code(answer), refused(403, "REJECT_CARD_COMPANY"));
    assert_eq!((&ledger["captures"], &ledger["status"]), (&json!(0), &json!("ABORTED")));
    let (answer, _) = capture_with("decline:INVALID_STOPPED_CARD").await;
    assert_eq!(code(answer), refused(400, "INVALID_STOPPED_CARD"));
}

#[tokio::test]
async fn a_passing_error_takes_nothing_and_leaves_the_payment_open() {
    for (fault, expected) in [
        ("error:PROVIDER_ERROR", refused(400, "PROVIDER_ERROR")),
        ("error:ALREADY_PROCESSING_REQUEST", refused(400, "ALREADY_PROCESSING_REQUEST")),
        ("error:UNAUTHORIZED_KEY", refused(401, "UNAUTHORIZED_KEY")),
        ("fail-before", refused(500, "FAILED_INTERNAL_SYSTEM_PROCESSING")),
    ] {
        let (answer, ledger) = capture_with(fault).await;
        assert_eq!(code(answer), expected);
        assert_eq!((&ledger["captures"], &ledger["status"]), (&json!(0), &json!("IN_PROGRESS")), "{fault}");
    }
}

#[tokio::test]
async fn a_failure_after_the_capture_has_taken_the_money() {
    let (answer, ledger) = capture_with("fail-after").await;
    assert_eq!(code(answer), refused(500, "FAILED_INTERNAL_SYSTEM_PROCESSING"));
    assert_eq!((&ledger["captures"], &ledger["captured"]), (&json!(1), &json!(100)));
}

#[tokio::test]
async fn a_dropped_connection_has_taken_the_money_only_afterwards() {
    let (answer, ledger) = capture_with("drop-before").await;
    assert_eq!((answer, &ledger["captures"]), (None, &json!(0)));
    let (answer, ledger) = capture_with("drop-after").await;
    assert_eq!((answer, &ledger["captures"]), (None, &json!(1)));
    let (answer, ledger) = capture_with("cut").await;
    assert_eq!((answer, &ledger["captures"]), (None, &json!(1)));
}

#[tokio::test]
async fn an_answer_that_was_lost_is_given_to_the_same_key() {
    let shop = Shop::open().await;
    let key = shop.check_out("order-1", 100).await;
    shop.fault("drop-after", None, Some(1)).await;
    assert_eq!(shop.confirm(&key, "order-1", 100, "key").await, None);
    assert_eq!(shop.confirm(&key, "order-1", 100, "key").await.unwrap().0, 200);
    // A request that never got there is forgotten.
    let key = shop.check_out("order-2", 100).await;
    shop.fault("drop-before", None, Some(1)).await;
    assert_eq!(shop.confirm(&key, "order-2", 100, "key-2").await, None);
    assert_eq!(shop.confirm(&key, "order-2", 100, "key-2").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_request_that_comes_twice_is_captured_once() {
    let (answer, ledger) = capture_with("duplicate").await;
    assert_eq!(code(answer), refused(400, "ALREADY_PROCESSED_PAYMENT"));
    assert_eq!((&ledger["captures"], &ledger["captured"]), (&json!(1), &json!(100)));
}

#[tokio::test]
async fn a_gateway_goes_on_when_its_client_hangs_up() {
    let shop = Arc::new(Shop::open().await);
    let key = shop.check_out("order-1", 100).await;
    shop.fault("delay-before:100", None, Some(1)).await;
    let (first, of) = (shop.clone(), key.clone());
    let first = tokio::spawn(async move { first.confirm(&of, "order-1", 100, "key").await });
    while shop.ledger("order-1").await["captureRequests"] == 0 {}
    first.abort();
    while shop.ledger("order-1").await["captures"] == 0 {}
}

#[tokio::test]
async fn refunds_and_questions_fail_on_demand_too() {
    let shop = Shop::open().await;
    let key = shop.check_out("order-1", 100).await;
    shop.confirm(&key, "order-1", 100, "c").await;
    let back = || json!({"cancelReason": "gone"});
    shop.fault("cancel/decline", None, Some(1)).await;
    assert_eq!(code(shop.cancel(&key, back(), "1").await), refused(403, "NOT_CANCELABLE_PAYMENT"));
    shop.fault("cancel/fail-before", None, Some(1)).await;
    assert_eq!(shop.cancel(&key, back(), "2").await.unwrap().0, 500);
    assert_eq!(shop.ledger("order-1").await["cancelled"], 0);
    shop.fault("cancel/drop-after", Some("order-1"), Some(1)).await;
    assert_eq!(shop.cancel(&key, back(), "3").await, None);
    assert_eq!(shop.ledger("order-1").await["cancelled"], 100);
    for (fault, expected) in [("find/drop-after", None), ("find/fail-before", Some(500)), ("find/cut", None)]
    {
        shop.fault(fault, Some("order-1"), Some(1)).await;
        let answer = shop.call(Method::GET, &format!("/v1/payments/{key}"), None, None).await;
        assert_eq!(answer.map(|(status, _)| status), expected, "{fault}");
    }
    assert_eq!(shop.get("/v1/payments/orders/order-1").await.0, 200);
}

#[tokio::test]
async fn faults_are_shown_cleared_and_checked() {
    let shop =
        Shop::open_with(MockConfig { faults: vec!["cut@50".parse().unwrap()], ..MockConfig::default() })
            .await;
    shop.fault("drop-after", Some("order-1"), Some(2)).await;
    let (_, shown) = shop.get("/mock/faults").await;
    assert_eq!(
        shown,
        json!({"faults": [
            {"fault": "cut@50", "orderId": null, "times": null},
            {"fault": "drop-after", "orderId": "order-1", "times": 2},
        ]})
    );
    for body in [
        json!({"fault": "nonsense"}),
        json!({"fault": "cut", "more": 1}),
        json!({"fault": "cut", "times": 0}),
    ] {
        let answer = shop.call(Method::POST, "/mock/faults", None, Some(body)).await;
        assert_eq!(code(answer), refused(400, "INVALID_REQUEST"));
    }
    assert_eq!(shop.call(Method::DELETE, "/mock/faults", None, None).await.unwrap().0, 204);
    assert_eq!(shop.get("/mock/faults").await.1, json!({"faults": []}));
}
