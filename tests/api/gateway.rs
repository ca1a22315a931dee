//! Payments through the gateway over HTTP: the codes, the notices, and that a crash changes nothing of it.

use onsale::mock_gateway::{DEMO_SECRET, MockConfig, MockGateway, RunningGateway};
use serde_json::{Value, json};

use crate::keys::is_replay;
use crate::{Answer, Api, DELETE, GET, POST, text};

/// A server and the mock gateway that it captures at.
struct Desk {
    api: Api,
    gateway: RunningGateway,
    client: reqwest::Client,
}

impl Desk {
    async fn open(policy: Value) -> Self {
        Self::open_with(policy, &[("ONSALE_TOSS_TIMEOUT_SECONDS", "1")]).await
    }

    async fn open_with(policy: Value, environment: &[(&str, &str)]) -> Self {
        let gateway = MockGateway::start(MockConfig::default()).await.unwrap();
        let own = [("ONSALE_TOSS_URL", gateway.url()), ("ONSALE_TOSS_SECRET", DEMO_SECRET)];
        let api = Api::start_with(&[&own, environment].concat());
        api.server.prepare(8, policy).await;
        Self { api, gateway, client: reqwest::Client::new() }
    }

    async fn at_gateway(&self, path: &str, body: &Value) -> Value {
        let answer =
            self.client.post(format!("{}{path}", self.gateway.url())).json(body).send().await.unwrap();
        assert!(answer.status().is_success());
        answer.json().await.unwrap()
    }

    async fn fault(&self, fault: &str, times: u32) {
        self.at_gateway("/mock/faults", &json!({"fault": fault, "times": times})).await;
    }

    async fn mend(&self) {
        self.client.delete(format!("{}/mock/faults", self.gateway.url())).send().await.unwrap();
    }

    async fn totals(&self) -> Value {
        let ledger = self.client.get(format!("{}/mock/ledger", self.gateway.url())).send().await.unwrap();
        ledger.json::<Value>().await.unwrap()["totals"].clone()
    }

    /// Holds a seat and makes a payment of it ready; returns both.
    async fn ready(&self, user: &str, seat: u32) -> (Value, Value) {
        let held = self.api.hold(user, &[seat]).await.ok(201);
        let body = json!({"reservationId": held["reservationId"], "method": "card"});
        let key = format!("pay-{seat}");
        let ready = self.api.user(user, POST, "/payments").key(&key).json(&body).await.ok(201);
        (held, ready)
    }

    async fn agree(&self, ready: &Value) -> Value {
        let body = json!({"orderId": ready["orderId"], "amount": ready["amount"]});
        self.at_gateway("/checkout", &body).await["paymentKey"].clone()
    }

    async fn confirm(&self, user: &str, ready: &Value, payment_key: &Value) -> Answer {
        let path = format!("/payments/{}/confirm", text(&ready["paymentId"]));
        self.api.user(user, POST, &path).json(&json!({"paymentKey": payment_key})).await
    }

    async fn buy(&self, user: &str, seat: u32) -> (Value, Answer) {
        let (_, ready) = self.ready(user, seat).await;
        let payment_key = self.agree(&ready).await;
        let answer = self.confirm(user, &ready, &payment_key).await;
        (ready, answer)
    }

    async fn notify(&self, order: &Value) -> Answer {
        let body = json!({"eventType": "PAYMENT_STATUS_CHANGED", "createdAt": "2026-11-20T21:00:00.000000",
            "data": {"orderId": order, "status": "DONE", "paymentKey": "made-up"}});
        self.api.public(POST, "/webhooks/payments/toss").json(&body).await
    }

    async fn payment(&self, user: &str, ready: &Value) -> Value {
        self.api.user(user, GET, &format!("/payments/{}", text(&ready["paymentId"]))).await.ok(200)
    }

    /// Asks how a payment stands until it is no longer pending.
    async fn settled(&self, user: &str, ready: &Value) -> Value {
        loop {
            let payment = self.payment(user, ready).await;
            if !["pending", "refunding"].contains(&text(&payment["status"]).as_str()) {
                return payment;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn reservation(&self, user: &str, held: &Value) -> Value {
        let path = format!("/reservations/{}", text(&held["reservationId"]));
        self.api.user(user, GET, &path).await.ok(200)
    }
}

#[tokio::test]
async fn payments_that_fail_leave_the_hold_its_deadline_however_many_there_are() {
    // A payment has more time than a hold, so each of them moves the deadline while it lasts.
    let desk = Desk::open(json!({"holdSeconds": 100, "paymentSeconds": 600})).await;
    let (held, ready) = desk.ready("ann", 1).await;
    desk.confirm("ann", &ready, &json!("made-up-1")).await.refused(402, "payment_declined");
    for number in 2..5 {
        let body = json!({"reservationId": held["reservationId"], "method": "card"});
        let key = format!("again-{number}");
        let ready = desk.api.user("ann", POST, "/payments").key(&key).json(&body).await.ok(201);
        let payment_key = json!(format!("made-up-{number}"));
        desk.confirm("ann", &ready, &payment_key).await.refused(402, "payment_declined");
    }
    let body = json!({"reservationId": held["reservationId"], "method": "balance"});
    let empty = desk.api.user("ann", POST, "/payments").key("empty").json(&body).await;
    empty.refused(402, "insufficient_balance");
    let still = desk.reservation("ann", &held).await;
    assert_eq!((&still["status"], &still["expiresAt"]), (&json!("held"), &held["expiresAt"]));
}

#[tokio::test]
async fn a_card_is_taken_to_the_checkout_and_captured_when_the_client_comes_back() {
    let desk = Desk::open(json!({"cancelUntilSecondsBeforeStart": 0})).await;
    let (held, ready) = desk.ready("ann", 1).await;
    assert_eq!(
        (&ready["status"], &ready["amount"], &ready["method"]),
        (&json!("ready"), &held["amount"], &json!("card"))
    );
    assert!(ready["orderId"].is_string());
    let still = desk.reservation("ann", &held).await;
    assert_eq!(
        (&still["status"], &still["expiresAt"]),
        (&json!("held"), &held["expiresAt"]),
        "nothing has moved"
    );
    let payment_key = desk.agree(&ready).await;
    desk.confirm("bob", &ready, &payment_key).await.refused(404, "not_found");
    let done = desk.confirm("ann", &ready, &payment_key).await.ok(200);
    assert_eq!(done["status"], "completed");
    assert_eq!(desk.confirm("ann", &ready, &payment_key).await.ok(200), done, "the same again");
    desk.confirm("ann", &ready, &json!("another-checkout")).await.refused(409, "payment_not_ready");
    let confirmed = desk.reservation("ann", &held).await;
    assert_eq!((&confirmed["status"], &confirmed["paymentId"]), (&json!("confirmed"), &ready["paymentId"]));
    // Given back: the answer doesn't wait for the gateway.
    let path = format!("/reservations/{}", text(&held["reservationId"]));
    assert_eq!(desk.api.user("ann", DELETE, &path).await.ok(200)["status"], "cancelled");
    assert_ne!(desk.payment("ann", &ready).await["status"], "completed", "it is on its way back");
    assert_eq!(desk.settled("ann", &ready).await["status"], "refunded");
    let totals = desk.totals().await;
    assert_eq!((&totals["captured"], &totals["cancelled"]), (&held["amount"], &held["amount"]));
}

#[tokio::test]
async fn the_keys_of_a_card_payment_give_their_answers_also_after_the_money_went_back() {
    let desk = Desk::open(json!({"cancelUntilSecondsBeforeStart": 0})).await;
    let (held, ready) = desk.ready("ann", 1).await;
    let payment_key = desk.agree(&ready).await;
    let path = format!("/payments/{}/confirm", text(&ready["paymentId"]));
    let confirm = || desk.api.user("ann", POST, &path).key("c").json(&json!({"paymentKey": payment_key}));
    let done = confirm().await;
    assert_eq!(done.status, 200);
    desk.api.user("ann", DELETE, &format!("/reservations/{}", text(&held["reservationId"]))).await.ok(200);
    assert_eq!(desk.settled("ann", &ready).await["status"], "refunded");

    is_replay(&confirm().await, &done);
    let body = json!({"reservationId": held["reservationId"], "method": "card"});
    let again = desk.api.user("ann", POST, "/payments").key("pay-1").json(&body).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.ok(201), done.body, "what it came to");
}

#[tokio::test]
async fn the_refunds_of_a_cancelled_schedule_can_be_watched_until_they_are_done() {
    let desk = Desk::open(json!({"maxSeatsPerUser": 8})).await;
    for seat in 1..=6 {
        desk.buy("ann", seat).await.1.ok(200);
    }
    desk.fault("cancel/fail-before", 1_000).await;
    desk.api.admin(POST, "/schedules/s/cancel").await.ok(200);
    // One of the six is tried at the gateway at least; none comes back.
    let overview = loop {
        let overview = desk.api.admin(GET, "/admin/overview").await.ok(200);
        if overview["payments"]["refunding"] == 6 {
            break overview;
        }
    };
    assert_eq!(overview["schedules"][0]["payments"], json!({"pending": 0, "refunding": 6, "refunded": 0}));
    let metrics = String::from_utf8(desk.api.root(GET, "/metrics").await.bytes).unwrap();
    assert!(metrics.contains("onsale_payments_under_way{status=\"refunding\"} 6"), "{metrics}");
    desk.mend().await;
    let payments = desk.api.user("ann", GET, "/payments").await.ok(200);
    for payment in payments["items"].as_array().unwrap() {
        desk.notify(&payment["orderId"]).await.ok(200);
        assert_eq!(desk.settled("ann", payment).await["status"], "refunded");
    }
    let overview = desk.api.admin(GET, "/admin/overview").await.ok(200);
    assert_eq!(overview["schedules"][0]["payments"], json!({"pending": 0, "refunding": 0, "refunded": 6}));
    assert_eq!(desk.totals().await["cancelled"], 300_000);
}

#[tokio::test]
async fn a_declined_card_leaves_the_hold_as_it_was_and_another_payment_may_follow() {
    let desk = Desk::open(json!({})).await;
    let (held, ready) = desk.ready("ann", 1).await;
    desk.fault("decline:REJECT_CARD_COMPANY", 1).await;
    let payment_key = desk.agree(&ready).await;
    let declined = desk.confirm("ann", &ready, &payment_key).await.refused(402, "payment_declined");
    assert_eq!(declined["gatewayCode"], "REJECT_CARD_COMPANY");
    assert!(declined["reason"].is_string());
    let again = desk.confirm("ann", &ready, &payment_key).await.refused(402, "payment_declined");
    assert_eq!(again["gatewayCode"], declined["gatewayCode"], "the same again");
    assert_eq!(desk.payment("ann", &ready).await["status"], "failed");
    assert_eq!(desk.reservation("ann", &held).await["status"], "held");
    // The key of a refused attempt is free again.
    let body = json!({"reservationId": held["reservationId"], "method": "kakao_pay"});
    let ready = desk.api.user("ann", POST, "/payments").key("again").json(&body).await.ok(201);
    let payment_key = desk.agree(&ready).await;
    desk.confirm("ann", &ready, &payment_key).await.ok(200);
    assert_eq!(desk.totals().await["captures"], 1);
}

#[tokio::test]
async fn an_outcome_that_is_not_known_is_202_and_found_out_also_after_a_crash() {
    let mut desk = Desk::open(json!({})).await;
    desk.fault("drop-after", 1).await;
    desk.fault("find/fail-before", 1_000).await;
    let (ready, answer) = desk.buy("ann", 1).await;
    assert_eq!(answer.ok(202)["status"], "pending");
    desk.api = desk.api.kill_and_restart();
    assert_eq!(desk.payment("ann", &ready).await["status"], "pending");
    desk.mend().await;
    desk.notify(&ready["orderId"]).await.ok(200);
    assert_eq!(desk.settled("ann", &ready).await["status"], "completed");
    assert_eq!(desk.totals().await["captures"], 1);
    // And one that the gateway keeps waiting for: the answer doesn't take longer than the client's patience.
    desk.fault("delay-after:60000", 1).await;
    let (ready, answer) = desk.buy("ann", 2).await;
    assert_eq!(answer.ok(202)["status"], "pending");
    assert_eq!(desk.settled("ann", &ready).await["status"], "completed");
    assert_eq!(desk.totals().await["captures"], 2);
}

#[tokio::test]
async fn a_gateway_that_takes_longer_than_a_request_may_is_not_waited_for() {
    let environment = [("ONSALE_TOSS_TIMEOUT_SECONDS", "60"), ("ONSALE_LIMITS_REQUEST_TIMEOUT_SECONDS", "1")];
    let desk = Desk::open_with(json!({}), &environment).await;
    desk.fault("delay-after:1500", 1).await;
    let (ready, answer) = desk.buy("ann", 1).await;
    assert_eq!(answer.ok(202)["status"], "pending");
    assert_eq!(desk.settled("ann", &ready).await["status"], "completed");
    assert_eq!(desk.totals().await["captures"], 1);
}

#[tokio::test]
async fn a_notice_is_a_hint_and_changes_nothing_by_itself() {
    let desk = Desk::open(json!({})).await;
    let (held, ready) = desk.ready("ann", 1).await;
    // Forged, of an order that nobody captured: nothing in it is believed, however often it comes.
    for _ in 0..20 {
        desk.notify(&ready["orderId"]).await.ok(200);
    }
    assert_eq!(desk.payment("ann", &ready).await["status"], "ready");
    assert_eq!(desk.reservation("ann", &held).await["status"], "held");
    desk.notify(&json!("no-such-order-anywhere")).await.ok(200);
    desk.api.public(POST, "/webhooks/payments/toss").json(&json!({"eventType": "x"})).await.ok(200);
    desk.api.public(POST, "/webhooks/payments/paypal").json(&json!({})).await.refused(404, "not_found");
    let payment_key = desk.agree(&ready).await;
    desk.confirm("ann", &ready, &payment_key).await.ok(200);
    for _ in 0..5 {
        desk.notify(&ready["orderId"]).await.ok(200);
    }
    assert_eq!(desk.payment("ann", &ready).await["status"], "completed");
    let totals = desk.totals().await;
    assert_eq!((&totals["captures"], &totals["cancellations"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn what_is_no_confirmation_is_refused_clearly() {
    let desk = Desk::open(json!({"holdSeconds": 30})).await;
    let (held, ready) = desk.ready("ann", 1).await;
    let path = format!("/payments/{}/confirm", text(&ready["paymentId"]));
    for wrong in [
        json!({"paymentKey": ""}),
        json!({"paymentKey": "a/b"}),
        json!({}),
        json!({"paymentKey": "k", "x": 1}),
    ] {
        desk.api.user("ann", POST, &path).json(&wrong).await.refused(422, "invalid_request");
    }
    desk.api.public(POST, &path).json(&json!({"paymentKey": "k"})).await.refused(401, "unauthenticated");
    desk.api
        .user("ann", POST, "/payments/nonsense/confirm")
        .json(&json!({"paymentKey": "k"}))
        .await
        .refused(404, "not_found");
    // A key that the gateway never gave.
    desk.confirm("ann", &ready, &json!("never-given")).await.refused(402, "payment_declined");
    // A released hold captures nothing.
    let body = json!({"reservationId": held["reservationId"], "method": "card"});
    let ready = desk.api.user("ann", POST, "/payments").key("again").json(&body).await.ok(201);
    let payment_key = desk.agree(&ready).await;
    let reservation = format!("/reservations/{}", text(&held["reservationId"]));
    desk.api.user("ann", DELETE, &reservation).await.ok(200);
    desk.confirm("ann", &ready, &payment_key).await.refused(409, "reservation_not_held");
    assert_eq!(desk.totals().await["captures"], 0);
}

#[tokio::test]
async fn without_a_gateway_its_methods_are_422() {
    let api = Api::with_hall(2, json!({})).await;
    let held = api.hold("ann", &[1]).await.ok(201);
    for method in ["card", "kakao_pay", "naver_pay", "toss"] {
        let body = json!({"reservationId": held["reservationId"], "method": method});
        api.user("ann", POST, "/payments").key(method).json(&body).await.names("method");
    }
    api.public(POST, "/webhooks/payments/toss").json(&json!({})).await.refused(404, "not_found");
}

#[tokio::test]
async fn an_older_checkout_of_a_reservation_is_refused_with_nothing_captured_once_many_newer_ones_are_ready()
{
    let desk = Desk::open(json!({})).await;
    let (held, oldest) = desk.ready("ann", 1).await;
    let paid_at_gateway = desk.agree(&oldest).await;
    let body = json!({"reservationId": held["reservationId"], "method": "card"});
    let more =
        |number: u32| desk.api.user("ann", POST, "/payments").key(&format!("more-{number}")).json(&body);
    let mut newest = Value::Null;
    for number in 0..40 {
        newest = more(number).await.ok(201);
        assert_eq!(newest["status"], "ready");
    }
    desk.confirm("ann", &oldest, &paid_at_gateway).await.refused(409, "payment_not_ready");
    let over = desk.payment("ann", &oldest).await;
    assert_eq!((&over["status"], &over["failure"]["code"]), (&json!("failed"), &json!("superseded")));
    assert_eq!(desk.totals().await["captured"], json!(0), "{}", desk.totals().await);
    let list = desk.api.user("ann", GET, "/payments?limit=1000").await.ok(200);
    let ready =
        list["items"].as_array().unwrap().iter().filter(|payment| payment["status"] == "ready").count();
    assert_eq!(ready, 32);

    let payment_key = desk.agree(&newest).await;
    assert_eq!(desk.confirm("ann", &newest, &payment_key).await.ok(200)["status"], "completed");
    assert_eq!(desk.reservation("ann", &held).await["status"], "confirmed");
    // The key of one that ended had no effect: used again, it is a new attempt.
    more(0).await.refused(409, "reservation_not_held");
}
