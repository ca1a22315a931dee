//! Balances and payments from them: the codes, the documents, and that money moves exactly once.

use serde_json::{Value, json};

use crate::keys::is_replay;
use crate::{Api, DELETE, GET, POST, text};

/// A server whose users charge their own balance, with `seats` seats at 1,000 each.
async fn hall(seats: u32) -> Api {
    let api = Api::start_with(&[("ONSALE_SELF_CHARGE", "on"), ("ONSALE_BALANCE_CHARGE_MIN", "100")]);
    api.server.prepare(seats, json!({"cancelUntilSecondsBeforeStart": 0})).await;
    api
}

async fn charge(api: &Api, user: &str, amount: u64) -> Value {
    let path = format!("/users/{user}/balance");
    api.user(user, POST, &path).json(&json!({"amount": amount})).await.ok(201)
}

async fn balance(api: &Api, user: &str) -> u64 {
    let shown = api.user(user, GET, &format!("/users/{user}/balance")).await.ok(200);
    shown["balance"].as_u64().unwrap()
}

async fn pay(api: &Api, user: &str, reservation: &Value, key: &str) -> crate::Answer {
    let body = json!({"reservationId": reservation["reservationId"], "method": "balance"});
    api.user(user, POST, "/payments").key(key).json(&body).await
}

async fn price_of_two(api: &Api) -> (Value, u64) {
    let held = api.hold("ann", &[1, 2]).await.ok(201);
    let amount = held["amount"].as_u64().unwrap();
    (held, amount)
}

#[tokio::test]
async fn a_charge_shows_in_the_balance_and_among_the_movements() {
    let api = hall(4).await;
    let nothing = api.user("ann", GET, "/users/ann/balance").await.ok(200);
    assert_eq!(nothing, json!({"userId": "ann", "balance": 0, "currency": "KRW", "updatedAt": null}));
    let first = charge(&api, "ann", 5_000).await;
    assert_eq!((&first["currentBalance"], &first["chargedAmount"]), (&json!(5_000), &json!(5_000)));
    charge(&api, "ann", 7_000).await;
    assert_eq!(balance(&api, "ann").await, 12_000);
    let path = "/users/ann/balance/transactions";
    let page = api.user("ann", GET, &format!("{path}?limit=1")).await.ok(200);
    let newest = &page["items"][0];
    assert_eq!(
        (&newest["type"], &newest["amount"], &newest["balanceAfter"]),
        (&json!("charge"), &json!(7_000), &json!(12_000))
    );
    let cursor = text(&page["nextCursor"]);
    let rest = api.user("ann", GET, &format!("{path}?cursor={cursor}")).await.ok(200);
    assert_eq!(rest["items"][0]["transactionId"], first["transactionId"]);
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["nextCursor"]), (1, &Value::Null));
    api.user("ann", GET, &format!("{path}?cursor=x")).await.refused(400, "malformed_request");
}

#[tokio::test]
async fn a_charge_has_its_bounds_and_its_one_effect() {
    let api = hall(4).await;
    let path = "/users/ann/balance";
    for amount in [0, 99, 1_000_001, u64::MAX] {
        let answer = api.user("ann", POST, path).json(&json!({"amount": amount})).await;
        answer.refused(422, "amount_out_of_range");
    }
    api.user("ann", POST, path).json(&json!({"amount": 1.5})).await.names("amount");
    api.user("ann", POST, path).json(&json!({"amount": -1})).await.names("amount");
    let body = json!({"amount": 1_000});
    let first = api.user("ann", POST, path).key("k").json(&body).await.ok(201);
    let again = api.user("ann", POST, path).key("k").json(&body).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.ok(201), first);
    let other = api.user("ann", POST, path).key("k").json(&json!({"amount": 2_000})).await;
    other.refused(422, "idempotency_key_reused");
    let api = api.kill_and_restart();
    assert_eq!(balance(&api, "ann").await, 1_000);
}

#[tokio::test]
async fn a_balance_is_ones_own_or_an_administrators_to_see_and_to_charge() {
    let api = Api::start();
    api.user("bob", GET, "/users/ann/balance").await.refused(403, "forbidden");
    api.user("bob", GET, "/users/ann/balance/transactions").await.refused(403, "forbidden");
    api.public(GET, "/users/ann/balance").await.refused(401, "unauthenticated");
    let body = json!({"amount": 10_000});
    // Without the setting, users don't charge themselves.
    api.user("ann", POST, "/users/ann/balance").json(&body).await.refused(403, "forbidden");
    api.admin(POST, "/users/ann/balance").json(&body).await.ok(201);
    let seen = api.admin(GET, "/users/ann/balance").await.ok(200);
    assert_eq!(seen["balance"], 10_000);
}

#[tokio::test]
async fn a_payment_confirms_the_hold_and_its_key_leads_to_it_also_after_a_crash() {
    let api = hall(4).await;
    let (held, amount) = price_of_two(&api).await;
    charge(&api, "ann", amount + 500).await;
    let paid = pay(&api, "ann", &held, "p1").await.ok(201);
    assert_eq!((&paid["status"], &paid["amount"]), (&json!("completed"), &json!(amount)));
    let path = format!("/reservations/{}", text(&held["reservationId"]));
    let confirmed = api.user("ann", GET, &path).await.ok(200);
    assert_eq!((&confirmed["status"], &confirmed["paymentId"]), (&json!("confirmed"), &paid["paymentId"]));
    assert_eq!(balance(&api, "ann").await, 500);
    assert_eq!(api.statuses().await, ["reserved", "reserved", "available", "available"]);
    let api = api.kill_and_restart();
    let again = pay(&api, "ann", &held, "p1").await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.ok(201), paid);
    assert_eq!(balance(&api, "ann").await, 500);
    pay(&api, "ann", &held, "p2").await.refused(409, "reservation_not_held");
    let one = api.user("ann", GET, &format!("/payments/{}", text(&paid["paymentId"]))).await.ok(200);
    assert_eq!(one, paid);
    api.user("bob", GET, &format!("/payments/{}", text(&paid["paymentId"]))).await.refused(404, "not_found");
    let list = api.user("ann", GET, "/payments").await.ok(200);
    assert_eq!(list["items"], json!([paid]));
}

#[tokio::test]
async fn what_is_not_there_is_told_with_both_amounts_and_the_hold_lives_on() {
    let api = hall(4).await;
    let (held, amount) = price_of_two(&api).await;
    let problem = pay(&api, "ann", &held, "p").await.refused(402, "insufficient_balance");
    assert_eq!((&problem["currentBalance"], &problem["requiredAmount"]), (&json!(0), &json!(amount)));
    let path = format!("/reservations/{}", text(&held["reservationId"]));
    let still = api.user("ann", GET, &path).await.ok(200);
    assert_eq!((&still["status"], &still["paymentId"]), (&json!("held"), &Value::Null));
    charge(&api, "ann", amount).await;
    // After a refusal the same key is a new attempt.
    let paid = pay(&api, "ann", &held, "p").await;
    assert_eq!(paid.header("idempotent-replayed"), "");
    paid.ok(201);
}

#[tokio::test]
async fn a_payment_needs_a_key_a_known_method_and_a_live_hold_of_ones_own() {
    let api = hall(4).await;
    let (held, amount) = price_of_two(&api).await;
    charge(&api, "ann", amount).await;
    charge(&api, "bob", amount).await;
    let body = json!({"reservationId": held["reservationId"], "method": "balance"});
    api.user("ann", POST, "/payments").json(&body).await.refused(400, "malformed_request");
    let odd = json!({"reservationId": held["reservationId"], "method": "cash"});
    api.user("ann", POST, "/payments").key("a").json(&odd).await.names("method");
    let card = json!({"reservationId": held["reservationId"], "method": "card"});
    // No gateway is set up here.
    api.user("ann", POST, "/payments").key("b").json(&card).await.names("method");
    pay(&api, "bob", &held, "c").await.refused(404, "not_found");
    pay(&api, "ann", &json!({"reservationId": "nothing"}), "d").await.refused(404, "not_found");
    let path = format!("/reservations/{}", text(&held["reservationId"]));
    api.user("ann", DELETE, &path).await.ok(200);
    pay(&api, "ann", &held, "e").await.refused(409, "reservation_not_held");
    assert_eq!(balance(&api, "ann").await, amount);
}

#[tokio::test]
async fn a_confirmed_reservation_that_is_given_back_is_refunded_before_the_answer() {
    let api = hall(4).await;
    let (held, amount) = price_of_two(&api).await;
    charge(&api, "ann", amount).await;
    let paid = pay(&api, "ann", &held, "p").await.ok(201);
    let path = format!("/reservations/{}", text(&held["reservationId"]));
    let cancelled = api.user("ann", DELETE, &path).await.ok(200);
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(balance(&api, "ann").await, amount);
    let refunded = api.user("ann", GET, &format!("/payments/{}", text(&paid["paymentId"]))).await.ok(200);
    assert_eq!(refunded["status"], "refunded");
    let repeated = api.user("ann", DELETE, &path).await.ok(200);
    assert_eq!(repeated["status"], "cancelled");
    assert_eq!(balance(&api, "ann").await, amount, "given back once");
    let moved = api.user("ann", GET, "/users/ann/balance/transactions").await.ok(200);
    let kinds: Vec<_> = moved["items"].as_array().unwrap().iter().map(|item| text(&item["type"])).collect();
    assert_eq!(kinds, ["refund", "payment", "charge"]);
}

#[tokio::test]
async fn the_key_of_a_payment_gives_its_first_answer_also_after_the_money_went_back() {
    let api = hall(4).await;
    let (held, amount) = price_of_two(&api).await;
    charge(&api, "ann", amount).await;
    let first = pay(&api, "ann", &held, "p").await;
    assert_eq!(first.status, 201);
    api.user("ann", DELETE, &format!("/reservations/{}", text(&held["reservationId"]))).await.ok(200);
    is_replay(&pay(&api, "ann", &held, "p").await, &first);
    let api = api.kill_and_restart();
    is_replay(&pay(&api, "ann", &held, "p").await, &first);
    assert_eq!(balance(&api, "ann").await, amount, "nothing is taken again");
    let now = api.user("ann", GET, &format!("/payments/{}", text(&first.body["paymentId"]))).await.ok(200);
    assert_eq!(now["status"], "refunded", "what became of it is told there");
}

#[tokio::test]
async fn a_payments_key_with_another_body_is_refused_whatever_the_other_body_says() {
    let api = hall(4).await;
    let (held, amount) = price_of_two(&api).await;
    let other = api.hold("ann", &[3]).await.ok(201);
    charge(&api, "ann", 2 * amount).await;
    pay(&api, "ann", &held, "p").await.ok(201);
    // Another hold, one that is another's, and a method that isn't set up.
    pay(&api, "ann", &other, "p").await.refused(422, "idempotency_key_reused");
    let card = json!({"reservationId": held["reservationId"], "method": "card"});
    api.user("ann", POST, "/payments").key("p").json(&card).await.refused(422, "idempotency_key_reused");
    let bobs = api.hold("bob", &[4]).await.ok(201);
    pay(&api, "ann", &bobs, "p").await.refused(422, "idempotency_key_reused");
    pay(&api, "ann", &other, "q").await.ok(201);
}

#[tokio::test]
async fn the_feed_tells_where_money_went() {
    let api = hall(4).await;
    let (held, amount) = price_of_two(&api).await;
    charge(&api, "ann", amount).await;
    let paid = pay(&api, "ann", &held, "p").await.ok(201);
    let told = crate::feed::read(&api, 0).await;
    for name in ["MoneyMoved", "PaymentStarted", "CaptureBegun", "PaymentCaptured", "PaymentConfirmed"] {
        assert!(told.iter().any(|event| event.kind == name), "{name}");
    }
    let done = told.iter().find(|event| event.kind == "PaymentCompleted").unwrap();
    assert_eq!(done.data["subject"], format!("payments/{}", text(&paid["paymentId"])));
}
