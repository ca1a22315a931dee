//! Payments that the platform's own payment service takes and reports, over HTTP: what is signed is believed, once, and money is never
//! kept without a seat, nor a seat without its money.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{
    Answer, Api, Call, DELETE, GET, POST, PUT, concert, described, feed, path_of, schedule, text, venue, with,
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const REPORTS: &str = "/webhooks/payments/external";
const DESCRIBED: &str = "/api/v1/webhooks/payments/external";
const SEAT: u64 = 50_000;

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn signature(secret: &str, id: &str, at: i64, body: &str) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), format!("{id}.{at}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

/// A report, as it would be sent at an instant under a secret.
fn signed(api: &Api, secret: &str, at: i64, report: &Value) -> Call {
    let body = report.to_string();
    let signature = signature(secret, "msg_1", at, &body);
    let headers =
        [("webhook-id", "msg_1"), ("webhook-timestamp", &at.to_string()), ("webhook-signature", &signature)];
    let call = api.public(POST, REPORTS).bytes("application/json", body);
    headers.into_iter().fold(call, |call, (name, value)| call.header(name, value))
}

fn captured(order: &Value, payment_key: &str, amount: u64) -> Value {
    json!({"type": "payment.captured", "orderId": order["orderId"], "paymentKey": payment_key, "amount": amount, "currency": "KRW"})
}

fn refunded(order: &Value, payment_key: &str, amount: u64) -> Value {
    json!({"type": "refund.completed", "orderId": order["orderId"], "paymentKey": payment_key, "amount": amount,
        "currency": "KRW", "refundId": format!("re-{payment_key}")})
}

fn declined(order: &Value) -> Value {
    json!({"type": "payment.declined", "orderId": order["orderId"], "code": "card_declined", "reason": "No."})
}

/// A server whose platform has a payment service.
struct Shop(Api);

impl Shop {
    async fn open(policy: Value) -> Self {
        let api = Api::start_with(&[("ONSALE_EXTERNAL_SECRET", SECRET)]);
        api.server.prepare(8, policy).await;
        Self(api)
    }

    async fn tell(&self, report: &Value) -> Answer {
        signed(&self.0, SECRET, now(), report).await
    }

    /// Makes a payment of a hold ready.
    async fn order(&self, user: &str, held: &Value) -> Value {
        let body = json!({"reservationId": held["reservationId"], "method": "external"});
        let key = format!("pay-{}", text(&held["reservationId"]));
        self.0.user(user, POST, "/payments").key(&key).json(&body).await.ok(201)
    }

    /// Holds a seat and makes a payment of it ready; returns both.
    async fn ready(&self, user: &str, seat: u32) -> (Value, Value) {
        let held = self.0.hold(user, &[seat]).await.ok(201);
        let order = self.order(user, &held).await;
        (held, order)
    }

    /// Looks at a payment until it has a status.
    async fn until(&self, order: &Value, status: &str) -> Value {
        loop {
            let payment = self.payment(&order["paymentId"]).await;
            if payment["status"] == status {
                return payment;
            }
            assert!(payment["status"] == "pending" || payment["status"] == "completed", "{payment}");
            tokio::task::yield_now().await;
        }
    }

    async fn payment(&self, id: &Value) -> Value {
        self.0.admin(GET, &format!("/payments/{}", text(id))).await.ok(200)
    }

    async fn reservation(&self, held: &Value) -> Value {
        self.0.admin(GET, &path_of(held)).await.ok(200)
    }

    /// The refunds that the feed has asked for.
    async fn asked_for(&self) -> Vec<Value> {
        let events = feed::read(&self.0, 0).await;
        events
            .iter()
            .filter(|event| event.kind == "RefundBegun")
            .map(|event| event.data["data"].clone())
            .collect()
    }

    async fn owed(&self) -> Vec<Value> {
        let listed = self.0.admin(GET, "/payments?status=refunding").await.ok(200);
        listed["items"].as_array().unwrap().clone()
    }

    async fn metric(&self, name: &str) -> String {
        let metrics = String::from_utf8(self.0.root(GET, "/metrics").await.bytes).unwrap();
        let line =
            metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}"));
        line.trim().to_owned()
    }
}

#[tokio::test]
async fn what_the_service_took_is_confirmed_and_its_refund_is_asked_for_by_the_feed() {
    let shop = Shop::open(json!({"cancelUntilSecondsBeforeStart": 0})).await;
    let (held, order) = shop.ready("ann", 1).await;
    let expected = json!({"status": "ready", "method": "external", "amount": SEAT, "currency": "KRW"});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&order[name], value);
    }
    assert_eq!(order["orderId"], order["paymentId"]);
    let still = shop.reservation(&held).await;
    assert_eq!((&still["status"], &still["expiresAt"]), (&json!("held"), &held["expiresAt"]));

    let report = captured(&order, "pi_1", SEAT);
    for _ in 0..3 {
        assert_eq!(shop.tell(&report).await.ok(200), json!({}));
    }
    let paid = shop.until(&order, "completed").await;
    assert_eq!(paid["gateway"]["paymentKey"], "pi_1");
    let confirmed = shop.reservation(&held).await;
    assert_eq!((&confirmed["status"], &confirmed["paymentId"]), (&json!("confirmed"), &order["paymentId"]));

    assert_eq!(shop.0.user("ann", DELETE, &path_of(&held)).await.ok(200)["status"], "cancelled");
    // It is begun before the answer, and owed until the service says that it is done.
    assert_eq!(shop.payment(&order["paymentId"]).await["status"], "refunding");
    let [asked] = &shop.asked_for().await[..] else { panic!("one refund") };
    let expected = json!({"paymentId": order["paymentId"], "reservationId": held["reservationId"], "userId": "ann",
        "method": "external", "amount": SEAT, "currency": "KRW", "paymentKey": "pi_1",
        "failure": {"code": "reservation_cancelled"}});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&asked[name], value, "{name}");
    }
    assert_eq!(shop.metric("onsale_payments_under_way{status=\"refunding\"}").await, "1");
    assert_eq!(shop.owed().await.len(), 1);
    let overview = shop.0.admin(GET, "/admin/overview").await.ok(200);
    assert_eq!(overview["payments"]["refunding"], 1);

    // Words of before change nothing.
    shop.tell(&report).await.ok(200);
    let failed = json!({"type": "refund.failed", "orderId": asked["paymentId"], "paymentKey": "pi_1", "reason": "closed"});
    shop.tell(&failed).await.ok(200);
    assert_eq!(shop.metric("onsale_refunds_refused_total").await, "1");
    assert_eq!(shop.owed().await.len(), 1, "it stays owed");
    for _ in 0..2 {
        shop.tell(&refunded(&order, "pi_1", SEAT)).await.ok(200);
    }
    let back = shop.payment(&order["paymentId"]).await;
    assert_eq!((&back["status"], &back["gateway"]["refundId"]), (&json!("refunded"), &json!("re-pi_1")));
    shop.tell(&failed).await.ok(200);
    shop.tell(&report).await.ok(200);
    assert_eq!(shop.payment(&order["paymentId"]).await, back);
    assert_eq!(shop.metric("onsale_refunds_refused_total").await, "1");
}

#[tokio::test]
async fn what_is_not_signed_by_the_service_now_is_401_and_changes_nothing() {
    let shop = Shop::open(json!({})).await;
    let (held, order) = shop.ready("ann", 1).await;
    let report = captured(&order, "pi_1", SEAT);
    let api = &shop.0;
    let forged = [
        api.public(POST, REPORTS).json(&report),
        api.admin(POST, REPORTS).json(&report),
        signed(api, OTHER, now(), &report),
        signed(api, SECRET, now() - 310, &report),
        signed(api, SECRET, now() + 310, &report),
        // Signed for another body.
        api.public(POST, REPORTS)
            .bytes("application/json", report.to_string())
            .header("webhook-id", "msg_1")
            .header("webhook-timestamp", &now().to_string())
            .header(
                "webhook-signature",
                &signature(SECRET, "msg_1", now(), &captured(&order, "pi_1", 1).to_string()),
            ),
    ];
    for forged in forged {
        forged.await.refused(401, "bad_signature");
    }
    assert_eq!(shop.payment(&order["paymentId"]).await["status"], "ready");
    assert_eq!(shop.reservation(&held).await["status"], "held");
    assert_eq!(shop.metric("onsale_notices_total{outcome=\"bad_signature\"}").await, "6");
    assert!(shop.asked_for().await.is_empty());

    // Another gateway's route doesn't believe it, either, and its client can't say so itself.
    api.public(POST, "/webhooks/payments/toss").json(&report).await.refused(404, "not_found");
    let confirm = format!("/payments/{}/confirm", text(&order["paymentId"]));
    api.user("ann", POST, &confirm)
        .json(&json!({"paymentKey": "pi_1"}))
        .await
        .refused(409, "payment_not_ready");
    assert_eq!(shop.payment(&order["paymentId"]).await["status"], "ready");
}

#[tokio::test]
async fn while_a_secret_is_replaced_both_are_good() {
    let api =
        Api::start_with(&[("ONSALE_EXTERNAL_SECRET", OTHER), ("ONSALE_EXTERNAL_SECRET_BEFORE", SECRET)]);
    api.server.prepare(8, json!({})).await;
    let shop = Shop(api);
    for (seat, secret) in [(1, SECRET), (2, OTHER)] {
        let (_, order) = shop.ready("ann", seat).await;
        signed(&shop.0, secret, now(), &captured(&order, &format!("pi_{seat}"), SEAT)).await.ok(200);
        shop.until(&order, "completed").await;
    }
}

#[tokio::test]
async fn without_a_secret_the_method_is_422_and_the_route_404() {
    let api = Api::with_hall(2, json!({})).await;
    let held = api.hold("ann", &[1]).await.ok(201);
    let body = json!({"reservationId": held["reservationId"], "method": "external"});
    api.user("ann", POST, "/payments").key("k").json(&body).await.names("method");
    let report = json!({"type": "payment.captured"});
    signed(&api, SECRET, now(), &report).await.refused(404, "not_found");
}

#[tokio::test]
async fn another_amount_is_owed_back_and_the_seats_can_still_be_paid_for() {
    let shop = Shop::open(json!({})).await;
    let (held, order) = shop.ready("ann", 1).await;
    for _ in 0..2 {
        shop.tell(&captured(&order, "less", SEAT - 1)).await.ok(200);
    }
    shop.tell(&captured(&order, "less", SEAT)).await.names("amount");
    let mut dollars = captured(&order, "dollars", SEAT);
    dollars["currency"] = json!("USD");
    shop.tell(&dollars).await.ok(200);
    assert_eq!(shop.reservation(&held).await["status"], "held");
    assert_eq!(shop.payment(&order["paymentId"]).await["status"], "ready");

    let asked = shop.asked_for().await;
    let told: Vec<_> = asked
        .iter()
        .map(|one| (&one["paymentKey"], &one["amount"], &one["currency"], &one["failure"]["code"]))
        .collect();
    let code = json!("amount_changed");
    let expected =
        [(json!("less"), json!(SEAT - 1), json!("KRW")), (json!("dollars"), json!(SEAT), json!("USD"))];
    for ((key, amount, currency), told) in expected.iter().zip(&told) {
        assert_eq!(told, &(key, amount, currency, &code));
    }
    assert_eq!(told.len(), 2);
    assert_eq!(shop.owed().await.len(), 2);
    // The user sees where the money is.
    let own = shop.0.user("ann", GET, "/payments?status=refunding").await.ok(200);
    assert_eq!(own["items"].as_array().unwrap().len(), 2);

    shop.tell(&captured(&order, "right", SEAT)).await.ok(200);
    shop.until(&order, "completed").await;
    // By the id that the feed has told, or by the order's.
    shop.tell(&refunded(&json!({"orderId": asked[0]["paymentId"]}), "less", SEAT - 1)).await.ok(200);
    let mut back = refunded(&order, "dollars", SEAT);
    back["currency"] = json!("USD");
    shop.tell(&back).await.ok(200);
    assert!(shop.owed().await.is_empty());
    assert_eq!(shop.payment(&order["paymentId"]).await["status"], "completed");
}

#[tokio::test]
async fn money_that_comes_late_has_its_seats_if_they_are_free_and_else_is_owed() {
    let shop = Shop::open(json!({"holdSeconds": 1})).await;
    let (free, in_time) = shop.ready("ann", 1).await;
    let (taken, too_late) = shop.ready("ann", 2).await;
    // From the deadline on the seats are anyone's.
    let others = loop {
        let held = shop.0.hold("bob", &[2]).await;
        if held.status == 201 {
            break held.body;
        }
        tokio::task::yield_now().await;
    };
    let others = shop.order("bob", &others).await;
    shop.tell(&captured(&others, "bobs", SEAT)).await.ok(200);
    shop.until(&others, "completed").await;

    shop.tell(&captured(&in_time, "free", SEAT)).await.ok(200);
    shop.tell(&captured(&too_late, "gone", SEAT)).await.ok(200);
    shop.until(&in_time, "completed").await;
    assert_eq!(shop.reservation(&free).await["status"], "confirmed");
    let owed = shop.until(&too_late, "refunding").await;
    assert_eq!(owed["failure"]["code"], "seats_lost");
    assert_eq!(shop.reservation(&taken).await["status"], "expired");
    let [asked] = &shop.asked_for().await[..] else { panic!("one refund") };
    assert_eq!((&asked["paymentKey"], &asked["failure"]["code"]), (&json!("gone"), &json!("seats_lost")));
}

#[tokio::test]
async fn money_that_comes_twice_for_one_order_is_owed_back() {
    let shop = Shop::open(json!({})).await;
    let (held, order) = shop.ready("ann", 1).await;
    shop.tell(&captured(&order, "first", SEAT)).await.ok(200);
    shop.until(&order, "completed").await;
    for _ in 0..2 {
        shop.tell(&captured(&order, "second", SEAT)).await.ok(200);
    }
    let [owed] = &shop.owed().await[..] else { panic!("one refund") };
    assert_eq!(owed["failure"]["code"], "already_paid");
    assert_eq!(
        (&owed["reservationId"], &owed["gateway"]["paymentKey"]),
        (&held["reservationId"], &json!("second"))
    );
    assert_eq!(shop.payment(&order["paymentId"]).await["status"], "completed");
}

#[tokio::test]
async fn money_that_was_named_for_one_reservation_pays_for_no_other() {
    let shop = Shop::open(json!({})).await;
    let (paid, first) = shop.ready("ann", 1).await;
    let (unpaid, second) = shop.ready("bob", 2).await;
    shop.tell(&captured(&first, "pi_1", SEAT)).await.ok(200);
    shop.tell(&captured(&second, "pi_1", SEAT)).await.names("paymentKey");
    shop.tell(&refunded(&second, "pi_1", SEAT)).await.names("paymentKey");
    assert_eq!(shop.metric("onsale_gateway_surprises_total").await, "2");

    let shop = Shop(shop.0.kill_and_restart());
    shop.tell(&captured(&second, "pi_1", SEAT)).await.names("paymentKey");
    shop.tell(&captured(&first, "pi_1", SEAT)).await.ok(200);
    shop.until(&first, "completed").await;
    assert_eq!(shop.reservation(&paid).await["status"], "confirmed");
    assert_eq!(shop.reservation(&unpaid).await["status"], "held");
    assert!(shop.asked_for().await.is_empty(), "nothing is owed: the money came once");
}

#[tokio::test]
async fn a_refund_that_is_heard_of_first_pays_for_nothing_when_its_capture_is_heard_of() {
    let shop = Shop::open(json!({})).await;
    let (held, order) = shop.ready("ann", 1).await;
    shop.tell(&refunded(&order, "pi_1", SEAT)).await.ok(200);
    shop.tell(&captured(&order, "pi_1", SEAT)).await.ok(200);
    assert_eq!(shop.payment(&order["paymentId"]).await["status"], "ready");
    assert_eq!(shop.reservation(&held).await["status"], "held");
    let listed = shop.0.admin(GET, "/payments?status=refunded").await.ok(200);
    assert_eq!(listed["items"][0]["gateway"]["paymentKey"], "pi_1");
}

#[tokio::test]
async fn a_declined_payment_leaves_the_hold_and_money_that_comes_all_the_same_is_taken() {
    let shop = Shop::open(json!({})).await;
    let (held, order) = shop.ready("ann", 1).await;
    let declined = declined(&order);
    for _ in 0..2 {
        shop.tell(&declined).await.ok(200);
    }
    let failed = shop.payment(&order["paymentId"]).await;
    assert_eq!(failed["status"], "failed");
    assert_eq!(
        failed["failure"],
        json!({"code": "payment_declined", "gatewayCode": "card_declined", "reason": "No."})
    );
    let still = shop.reservation(&held).await;
    assert_eq!((&still["status"], &still["expiresAt"]), (&json!("held"), &held["expiresAt"]));
    shop.tell(&captured(&order, "pi_2", SEAT)).await.ok(200);
    assert_eq!(shop.until(&order, "completed").await["failure"], Value::Null);
    shop.tell(&declined).await.ok(200);
    assert_eq!(shop.payment(&order["paymentId"]).await["status"], "completed");
}

#[tokio::test]
async fn what_is_no_report_is_refused_clearly() {
    let shop = Shop::open(json!({})).await;
    let (_, order) = shop.ready("ann", 1).await;
    let right = captured(&order, "pi_1", SEAT);
    let with = |name: &str, value: Value| with(right.clone(), name, value);
    for (report, field) in [
        (with("type", json!("payment.unheard")), "type"),
        (with("type", Value::Null), "type"),
        (with("amount", json!(0)), "amount"),
        (with("amount", json!(-1)), "amount"),
        (with("amount", json!(9_007_199_254_740_992_u64)), "amount"),
        (with("amount", Value::Null), "amount"),
        (with("currency", json!("krw")), "currency"),
        (with("paymentKey", json!("a/b")), "paymentKey"),
        (with("paymentKey", json!("")), "paymentKey"),
        (with("refundId", json!("re")), "refundId"),
    ] {
        shop.tell(&report).await.names(field);
        assert!(!described::is_taken("post", DESCRIBED, &report), "{report}");
    }
    let failed = json!({"type": "refund.failed", "orderId": order["orderId"], "paymentKey": "pi_1", "reason": "closed"});
    for right in [&right, &refunded(&order, "pi_1", SEAT), &declined(&order), &failed] {
        assert!(described::is_taken("post", DESCRIBED, right), "{right}");
    }
    shop.tell(&with("orderId", json!("gnodh3azvbdamtxgaqhrlv3bny"))).await.refused(404, "not_found");
    shop.tell(&with("orderId", json!("invoice-17"))).await.refused(404, "not_found");
    assert_eq!(
        shop.metric("onsale_gateway_surprises_total").await,
        "1",
        "of this engine's form: someone has to look"
    );
    assert_eq!(shop.payment(&order["paymentId"]).await["status"], "ready");
}

#[tokio::test]
async fn money_of_a_confirmed_reservation_that_the_service_gave_back_by_itself_is_said_aloud() {
    let shop = Shop::open(json!({})).await;
    let (held, order) = shop.ready("ann", 1).await;
    shop.tell(&captured(&order, "pi_1", SEAT)).await.ok(200);
    shop.until(&order, "completed").await;
    // 200 would say that it is kept, and a later cancellation would ask for the money once more.
    shop.tell(&refunded(&order, "pi_1", SEAT)).await.refused(409, "payment_not_ready");
    assert_eq!(shop.metric("onsale_gateway_surprises_total").await, "1");
    assert_eq!(shop.reservation(&held).await["status"], "confirmed", "a person decides");

    shop.0.user("ann", DELETE, &path_of(&held)).await.ok(200);
    shop.tell(&refunded(&order, "pi_1", SEAT)).await.ok(200);
    assert_eq!(shop.payment(&order["paymentId"]).await["status"], "refunded");
}

#[tokio::test]
async fn what_the_service_gave_back_early_is_taken_down_also_where_a_fee_is_not_refundable() {
    let api = Api::start_with(&[("ONSALE_EXTERNAL_SECRET", SECRET)]);
    api.admin(PUT, "/venues/v").json(&venue()).await.ok(201);
    let fee =
        json!([{"feeId": "booking", "name": "Booking", "amount": 2_000, "per": "seat", "refundable": false}]);
    api.admin(PUT, "/concerts/c").json(&with(concert(), "fees", fee)).await.ok(201);
    let policy = json!({"cancelUntilSecondsBeforeStart": 0});
    api.admin(PUT, "/schedules/s").json(&with(schedule(), "policy", policy)).await.ok(201);
    api.admin(POST, "/schedules/s/open").await.ok(200);
    let shop = Shop(api);
    let paid = async |user: &str, seat: u32, key: &str| {
        let (held, order) = shop.ready(user, seat).await;
        let amount = order["amount"].as_u64().unwrap();
        shop.tell(&captured(&order, key, amount)).await.ok(200);
        shop.until(&order, "completed").await;
        (held, order, amount)
    };
    let (held, order, amount) = paid("ann", 1, "pi_1").await;
    shop.tell(&refunded(&order, "pi_1", amount)).await.refused(409, "payment_not_ready");
    shop.0.user("ann", DELETE, &path_of(&held)).await.ok(200);
    let owed = shop.payment(&order["paymentId"]).await;
    assert_eq!((&owed["status"], &owed["refundAmount"]), (&json!("refunding"), &json!(amount - 2_000)));
    shop.tell(&refunded(&order, "pi_1", amount - 2_001)).await.names("amount");
    shop.tell(&refunded(&order, "pi_1", amount + 1)).await.names("amount");
    for _ in 0..2 {
        shop.tell(&refunded(&order, "pi_1", amount)).await.ok(200);
    }
    let back = shop.payment(&order["paymentId"]).await;
    assert_eq!((&back["status"], back.get("refundAmount")), (&json!("refunded"), None), "all of it is back");

    // A part of the fee follows later.
    let (held, order, amount) = paid("bob", 2, "pi_2").await;
    shop.0.user("bob", DELETE, &path_of(&held)).await.ok(200);
    shop.tell(&refunded(&order, "pi_2", amount - 2_000)).await.ok(200);
    shop.tell(&refunded(&order, "pi_2", amount - 500)).await.ok(200);
    let shop = Shop(shop.0.kill_and_restart());
    shop.tell(&refunded(&order, "pi_2", amount - 2_000)).await.ok(200);
    let back = shop.payment(&order["paymentId"]).await;
    assert_eq!((&back["status"], &back["refundAmount"]), (&json!("refunded"), &json!(amount - 500)));
    let events = feed::read(&shop.0, 0).await;
    let told = events.iter().filter(|event| event.kind == "PaymentRefunded");
    let told: Vec<_> = told.map(|event| event.data["data"]["amount"].clone()).collect();
    assert_eq!(told, [json!(amount), Value::Null, json!(amount - 500)]);
}

#[tokio::test]
async fn what_was_reported_survives_a_kill_and_the_same_report_again_changes_nothing() {
    let mut shop = Shop::open(json!({"maxSeatsPerUser": 8})).await;
    let mut orders = Vec::new();
    for seat in 1..=6 {
        let (_, order) = shop.ready("ann", seat).await;
        orders.push(captured(&order, &format!("pi_{seat}"), SEAT));
    }
    for kill in 0..orders.len() {
        // Killed with the answer, and perhaps before the seat is confirmed.
        shop.tell(&orders[kill]).await.ok(200);
        shop = Shop(shop.0.kill_and_restart());
        for report in &orders[..=kill] {
            shop.tell(report).await.ok(200);
            let order = json!({"paymentId": report["orderId"]});
            shop.until(&order, "completed").await;
        }
    }
    let statuses = shop.0.statuses().await;
    assert_eq!(statuses.iter().filter(|status| *status == "reserved").count(), 6);
    shop.0.admin(POST, "/schedules/s/cancel").await.ok(200);
    for report in &orders {
        shop.until(&json!({"paymentId": report["orderId"]}), "refunding").await;
    }
    let mut shop = Shop(shop.0.kill_and_restart());
    assert_eq!(shop.asked_for().await.len(), 6);
    assert_eq!(shop.owed().await.len(), 6, "a restart loses nothing that is owed");
    for report in &orders {
        shop.tell(&refunded(report, report["paymentKey"].as_str().unwrap(), SEAT)).await.ok(200);
    }
    shop = Shop(shop.0.kill_and_restart());
    assert!(shop.owed().await.is_empty());
}
