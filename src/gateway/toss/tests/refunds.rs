//! Giving money back, row by row of the table.

use super::*;

#[tokio::test]
async fn money_is_given_back_with_its_amount_and_a_reason_that_fits() {
    let played = play([json(200, &cancelled())]).await;
    let long = Cancel { reason: "이유".repeat(200), ..cancel() };
    let outcome = played.toss.cancel(long).await;
    assert_eq!(outcome, CancelOutcome::Cancelled { transaction: Some(Said::new("C1")) });
    let requests = played.requests();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(&format!("POST /v1/payments/{KEY}/cancel HTTP/1.1")), "{head}");
    assert!(head.contains("idempotency-key: cancel-1"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["cancelAmount"], body.get("refundableAmount")), (&json!(340_000), None));
    assert_eq!(body["cancelReason"].as_str().unwrap().chars().count(), 200);
}

/// 300,000 of what was captured are to go back.
fn part() -> Cancel {
    Cancel { amount: Money::new(300_000).unwrap(), ..cancel() }
}

/// They went back.
fn partly() -> Value {
    payment(&json!({
        "status": "PARTIAL_CANCELED", "balanceAmount": 40_000,
        "cancels": [{"transactionKey": "C1", "cancelAmount": 300_000, "cancelStatus": "DONE"}],
    }))
}

#[tokio::test]
async fn a_part_is_given_back_only_while_the_gateway_has_the_whole() {
    let played = play([json(200, &partly())]).await;
    let back = CancelOutcome::Cancelled { transaction: Some(Said::new("C1")) };
    assert_eq!(played.toss.cancel(part()).await, back);
    let requests = played.requests();
    let body: Value = serde_json::from_str(requests[0].split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((&body["cancelAmount"], &body["refundableAmount"]), (&json!(300_000), &json!(340_000)));

    // It went back before, and the answer was lost: the gateway has less than it must.
    let less = || error(403, "NOT_MATCHES_REFUNDABLE_AMOUNT");
    assert_eq!(play([less(), json(200, &partly())]).await.toss.cancel(part()).await, back);
    let unseen = play([less(), error(500, "COMMON_ERROR")]).await.toss.cancel(part()).await;
    assert_eq!(unseen, CancelOutcome::Unknown { why: Why::Failed });
}

/// So much is left at the gateway.
fn left(balance: u64) -> Value {
    payment(&json!({"status": "PARTIAL_CANCELED", "balanceAmount": balance, "lastTransactionKey": "C2"}))
}

#[tokio::test]
async fn what_somebody_gave_back_at_the_gateway_is_told_and_the_rest_can_be_asked_for() {
    let money = |minor| Money::new(minor).unwrap();
    let differs = |minor| CancelOutcome::Differs { back: money(minor), transaction: Some(Said::new("C2")) };
    let refused = || error(403, "NOT_CANCELABLE_AMOUNT");
    let mismatch = || error(403, "NOT_MATCHES_REFUNDABLE_AMOUNT");
    // Less than is to go back, of all and of a part; and more than that part.
    assert_eq!(play([refused(), json(200, &left(339_999))]).await.toss.cancel(cancel()).await, differs(1));
    assert_eq!(play([mismatch(), json(200, &left(339_999))]).await.toss.cancel(part()).await, differs(1));
    assert_eq!(
        play([mismatch(), json(200, &left(39_999))]).await.toss.cancel(part()).await,
        differs(300_001)
    );
    let all = CancelOutcome::Differs { back: money(340_000), transaction: Some(Said::new("C1")) };
    for code in ["ALREADY_CANCELED_PAYMENT", "NOT_CANCELABLE_AMOUNT"] {
        assert_eq!(play([error(400, code), json(200, &cancelled())]).await.toss.cancel(part()).await, all);
    }

    // The rest, of which the gateway must have as much as is left.
    for (of, rest) in [(cancel(), 339_999), (part(), 299_999)] {
        let gone = match rest {
            339_999 => cancelled(),
            _ => left(40_000),
        };
        let played = play([json(200, &gone)]).await;
        let outcome = played.toss.cancel(Cancel { back: money(1), ..of }).await;
        assert!(matches!(outcome, CancelOutcome::Cancelled { .. }), "{outcome:?}");
        let requests = played.requests();
        let body: Value = serde_json::from_str(requests[0].split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!((&body["cancelAmount"], &body["refundableAmount"]), (&json!(rest), &json!(339_999)));
    }

    // Nothing new is back: that wasn't why.
    let known = Cancel { back: money(1), ..cancel() };
    let outcome = play([refused(), json(200, &left(339_999))]).await.toss.cancel(known).await;
    assert!(matches!(outcome, CancelOutcome::Refused { .. }), "{outcome:?}");
    // How much is back isn't known: it is asked again.
    let unseen = play([error(400, "ALREADY_CANCELED_PAYMENT"), error(500, "COMMON_ERROR")]).await;
    assert_eq!(unseen.toss.cancel(part()).await, CancelOutcome::Unknown { why: Why::Failed });
    // A refund of before is being carried out.
    let going = payment(&json!({
        "status": "PARTIAL_CANCELED", "balanceAmount": 1, "cancels": [{"cancelStatus": "IN_PROGRESS"}],
    }));
    let outcome = play([refused(), json(200, &going)]).await.toss.cancel(cancel()).await;
    assert_eq!(outcome, CancelOutcome::Unknown { why: Why::UnderWay });
}

#[tokio::test]
async fn what_was_cancelled_before_counts_as_cancelled() {
    let again = async |first: Play, looked: Play| play([first, looked]).await.toss.cancel(cancel()).await;
    let whole = CancelOutcome::Cancelled { transaction: Some(Said::new("C1")) };
    for code in ["ALREADY_CANCELED_PAYMENT", "ALREADY_REFUND_PAYMENT", "NOT_CANCELABLE_AMOUNT"] {
        assert_eq!(again(error(400, code), json(200, &cancelled())).await, whole);
    }
    let fails = || error(500, "COMMON_ERROR");
    let unseen = again(error(400, "ALREADY_CANCELED_PAYMENT"), fails()).await;
    assert_eq!(unseen, CancelOutcome::Cancelled { transaction: None });
    let unseen = again(error(403, "NOT_CANCELABLE_PAYMENT"), fails()).await;
    assert_eq!(unseen, CancelOutcome::Unknown { why: Why::Failed });
    let still_there = again(error(403, "NOT_CANCELABLE_PAYMENT"), json(200, &payment(&json!({})))).await;
    assert!(matches!(still_there, CancelOutcome::Refused { .. }), "{still_there:?}");
}

#[tokio::test]
async fn a_cancellation_is_refused_only_where_asking_again_would_not_help() {
    let answered = async |play: Play| self::play([play]).await.toss.cancel(cancel()).await;
    for (status, code) in [
        (403, "EXCEED_MAX_REFUND_DUE"),
        (400, "REFUND_REJECTED"),
        (404, "NOT_FOUND_PAYMENT"),
        (400, "INVALID_REQUEST"),
        (403, "NOT_ALLOWED_PARTIAL_REFUND"),
    ] {
        let outcome = answered(error(status, code)).await;
        let CancelOutcome::Refused { code: said, .. } = outcome else { panic!("{code}: {outcome:?}") };
        assert_eq!(said.as_str(), code);
    }
    let in_progress = payment(&json!({
        "status": "PARTIAL_CANCELED", "balanceAmount": 340_000, "cancels": [{"cancelStatus": "IN_PROGRESS"}],
    }));
    let partly = payment(&json!({"status": "PARTIAL_CANCELED", "balanceAmount": 1}));
    for (play, why) in [
        (error(500, "FAILED_REFUND_PROCESS"), Why::Failed),
        (error(400, "PROVIDER_ERROR"), Why::Failed),
        (error(403, "NOT_AVAILABLE_BANK"), Why::Failed),
        (error(403, "EXCEED_MAX_REFUND_AMOUNT"), Why::Failed),
        (error(403, "FORBIDDEN_CONSECUTIVE_REQUEST"), Why::UnderWay),
        (error(409, "IDEMPOTENT_REQUEST_PROCESSING"), Why::UnderWay),
        (json(200, &in_progress), Why::UnderWay),
        (error(401, "UNAUTHORIZED_KEY"), Why::Misconfigured),
        (error(403, "FORBIDDEN_REQUEST"), Why::Misconfigured),
        (json(200, &payment(&json!({}))), Why::NotUnderstood),
        (json(200, &partly), Why::NotUnderstood),
        (Play::Raw(Vec::new()), Why::Broken),
    ] {
        assert_eq!(answered(play).await, CancelOutcome::Unknown { why });
    }
}
