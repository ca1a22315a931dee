//! The mock on a real socket: the protocol here, the rest in its files.

mod checkout;
mod client;
mod faults;
mod notices;

use reqwest::{Client, Method, redirect};
use serde_json::{Value, json};

use super::*;
use crate::clock::ManualClock;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const WRONG_SECRET: &str = "test_sk_of_somebody_else";

/// A gateway and whoever calls it.
struct Shop {
    gateway: RunningGateway,
    client: Client,
    clock: ManualClock,
}

impl Shop {
    async fn open() -> Self {
        Self::open_with(MockConfig::default()).await
    }

    async fn open_with(config: MockConfig) -> Self {
        let clock = ManualClock::at(START);
        let gateway = MockGateway::start_with(config, Arc::new(clock.clone())).await.unwrap();
        let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        Self { gateway, client, clock }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.url())
    }

    /// Sends a request with the secret; nothing where the connection broke.
    async fn call(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<Value>,
    ) -> Option<(u16, Value)> {
        let mut request = self.client.request(method, self.url(path)).basic_auth(DEMO_SECRET, Some(""));
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let body = response.bytes().await.ok()?;
        Some((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    async fn check_out(&self, order_id: &str, amount: u64) -> String {
        self.check_out_with(json!({"orderId": order_id, "amount": amount})).await
    }

    async fn check_out_with(&self, body: Value) -> String {
        let (status, body) = self.call(Method::POST, "/checkout", None, Some(body)).await.unwrap();
        assert_eq!(status, 200, "{body}");
        body["paymentKey"].as_str().unwrap().to_owned()
    }

    async fn confirm(
        &self,
        key: &str,
        order_id: &str,
        amount: u64,
        idempotency_key: &str,
    ) -> Option<(u16, Value)> {
        let body = json!({"paymentKey": key, "orderId": order_id, "amount": amount});
        self.call(Method::POST, "/v1/payments/confirm", Some(idempotency_key), Some(body)).await
    }

    async fn cancel(&self, key: &str, body: Value, idempotency_key: &str) -> Option<(u16, Value)> {
        let path = format!("/v1/payments/{key}/cancel");
        self.call(Method::POST, &path, Some(idempotency_key), Some(body)).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, None, None).await.unwrap()
    }

    async fn fault(&self, fault: &str, order_id: Option<&str>, times: Option<u32>) {
        let body = json!({"fault": fault, "orderId": order_id, "times": times});
        let (status, body) = self.call(Method::POST, "/mock/faults", None, Some(body)).await.unwrap();
        assert_eq!(status, 200, "{body}");
    }

    async fn ledger(&self, order_id: &str) -> Value {
        self.get(&format!("/mock/ledger?orderId={order_id}")).await.1["orders"][0].clone()
    }
}

/// The status and the code of an answer.
fn code(answer: Option<(u16, Value)>) -> (u16, String) {
    let (status, body) = answer.expect("an answer");
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_payment_goes_from_the_checkout_to_its_capture_and_back() {
    let shop = Shop::open().await;
    let key = shop.check_out("order-1", 50_000).await;
    let (status, payment) = shop.get("/v1/payments/orders/order-1").await;
    assert_eq!(
        (status, &payment["status"], &payment["approvedAt"]),
        (200, &json!("IN_PROGRESS"), &Value::Null)
    );
    shop.clock.pass_millis(5_000);
    let (status, payment) = shop.confirm(&key, "order-1", 50_000, "c-1").await.unwrap();
    assert_eq!((status, &payment["status"]), (200, &json!("DONE")));
    assert_eq!((&payment["totalAmount"], &payment["balanceAmount"]), (&json!(50_000), &json!(50_000)));
    assert_eq!(payment["approvedAt"], "2027-01-15T17:00:05+09:00");
    assert_eq!(shop.get(&format!("/v1/payments/{key}")).await, (200, payment));
    let back = json!({"cancelReason": "gone", "cancelAmount": 20_000});
    let (_, payment) = shop.cancel(&key, back, "r-1").await.unwrap();
    assert_eq!((&payment["status"], &payment["balanceAmount"]), (&json!("PARTIAL_CANCELED"), &json!(30_000)));
    let (_, payment) = shop.cancel(&key, json!({"cancelReason": "gone"}), "r-2").await.unwrap();
    assert_eq!(
        (&payment["status"], &payment["cancels"][1]["cancelAmount"]),
        (&json!("CANCELED"), &json!(30_000))
    );
    let ledger = shop.ledger("order-1").await;
    assert_eq!(
        ledger,
        json!({
            "orderId": "order-1", "amount": 50_000, "status": "CANCELED", "captured": 50_000, "cancelled": 50_000,
            "captures": 1, "captureRequests": 1,
            "payments": [{"paymentKey": key, "amount": 50_000, "status": "CANCELED", "cancelled": 50_000}],
        })
    );
    let (_, all) = shop.get("/mock/ledger").await;
    let totals = json!({
        "orders": 1, "captured": 50_000, "cancelled": 50_000, "captures": 1, "cancellations": 2,
        "capturesOfOneOrderMax": 1, "forgottenOrders": 0,
    });
    assert_eq!(all["totals"], totals);
}

#[tokio::test]
async fn a_capture_is_refused_where_anything_is_wrong() {
    let shop = Shop::open().await;
    let key = shop.check_out("order-1", 50_000).await;
    shop.check_out("order-2", 50_000).await;
    let confirm =
        async |key: &str, order: &str, amount, id: &str| code(shop.confirm(key, order, amount, id).await);
    assert_eq!(confirm(&key, "order-1", 49_999, "1").await, refused(400, "INVALID_REQUEST"));
    assert_eq!(confirm(&key, "order-2", 50_000, "2").await, refused(403, "FORBIDDEN_REQUEST"));
    assert_eq!(confirm("unknown", "order-1", 50_000, "3").await, refused(404, "NOT_FOUND_PAYMENT"));
    assert_eq!(confirm(&key, "order-1", 50_000, "4").await, refused(200, ""));
    assert_eq!(confirm(&key, "order-1", 50_000, "5").await, refused(400, "ALREADY_PROCESSED_PAYMENT"));
    assert_eq!(
        confirm(&key, "order-1", 50_000, &"k".repeat(301)).await,
        refused(400, "INVALID_IDEMPOTENCY_KEY")
    );
    let late = shop.check_out("order-3", 1).await;
    shop.clock.pass_millis(600_000);
    assert_eq!(confirm(&late, "order-3", 1, "6").await, refused(404, "NOT_FOUND_PAYMENT_SESSION"));
    let (_, payment) = shop.get("/v1/payments/orders/order-3").await;
    assert_eq!(payment["status"], "EXPIRED");
    for body in [json!({}), json!([]), json!({"paymentKey": key, "orderId": "order-1", "amount": -1})] {
        let answer = shop.call(Method::POST, "/v1/payments/confirm", None, Some(body)).await;
        assert_eq!(code(answer), refused(400, "INVALID_REQUEST"));
    }
    let ledger = shop.ledger("order-1").await;
    assert_eq!((&ledger["captures"], &ledger["captureRequests"]), (&json!(1), &json!(5)));
}

#[tokio::test]
async fn a_cancellation_is_refused_where_anything_is_wrong() {
    let shop = Shop::open().await;
    let key = shop.check_out("order-1", 100).await;
    let whole = || json!({"cancelReason": "gone"});
    assert_eq!(code(shop.cancel(&key, whole(), "1").await), refused(403, "NOT_CANCELABLE_PAYMENT"));
    shop.confirm(&key, "order-1", 100, "c").await;
    for (body, expected) in [
        (json!({}), refused(400, "INVALID_REQUEST")),
        (json!({"cancelReason": ""}), refused(400, "INVALID_REQUEST")),
        (json!({"cancelReason": "x".repeat(201)}), refused(400, "INVALID_REQUEST")),
        (json!({"cancelReason": "x", "cancelAmount": 101}), refused(403, "NOT_CANCELABLE_AMOUNT")),
        (json!({"cancelReason": "x", "refundableAmount": 1}), refused(400, "NOT_MATCHES_REFUNDABLE_AMOUNT")),
    ] {
        let answer = shop.call(Method::POST, &format!("/v1/payments/{key}/cancel"), None, Some(body)).await;
        assert_eq!(code(answer), expected);
    }
    assert_eq!(code(shop.cancel(&key, whole(), "2").await), refused(200, ""));
    assert_eq!(code(shop.cancel(&key, whole(), "3").await), refused(400, "ALREADY_CANCELED_PAYMENT"));
    assert_eq!(code(shop.cancel("unknown", whole(), "4").await), refused(404, "NOT_FOUND_PAYMENT"));
}

#[tokio::test]
async fn who_does_not_know_the_secret_learns_and_moves_nothing() {
    let shop = Shop::open().await;
    let key = shop.check_out("order-1", 100).await;
    let body = json!({"paymentKey": key, "orderId": "order-1", "amount": 100, "cancelReason": "x"});
    for secret in [Some(WRONG_SECRET), None] {
        for (method, path) in [
            (Method::POST, "/v1/payments/confirm".to_owned()),
            (Method::POST, format!("/v1/payments/{key}/cancel")),
            (Method::GET, format!("/v1/payments/{key}")),
            (Method::GET, "/v1/payments/orders/order-1".to_owned()),
        ] {
            let request = shop.client.request(method, shop.url(&path)).json(&body);
            let request = match secret {
                Some(secret) => request.basic_auth(secret, Some("")),
                None => request,
            };
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 401, "{path}");
            assert_eq!(response.json::<Value>().await.unwrap()["code"], "UNAUTHORIZED_KEY");
        }
    }
    assert_eq!(shop.ledger("order-1").await["captures"], 0);
}

#[tokio::test]
async fn the_first_answer_is_played_again_whatever_the_body_says() {
    let shop = Shop::open().await;
    let (first, second) = (shop.check_out("order-1", 100).await, shop.check_out("order-2", 100).await);
    let answer = shop.confirm(&first, "order-1", 100, "key").await;
    assert_eq!(shop.confirm(&first, "order-1", 100, "key").await, answer);
    // Another payment under the same key is not captured: the key's answer is that of the first.
    assert_eq!(shop.confirm(&second, "order-2", 100, "key").await, answer);
    assert_eq!(shop.ledger("order-2").await["captures"], 0);
    // An error, too, and even after what was wrong is right.
    assert_eq!(code(shop.confirm(&second, "order-2", 99, "bad").await), refused(400, "INVALID_REQUEST"));
    assert_eq!(code(shop.confirm(&second, "order-2", 100, "bad").await), refused(400, "INVALID_REQUEST"));
    // The key belongs to its path.
    assert_eq!(code(shop.cancel(&first, json!({"cancelReason": "x"}), "key").await), refused(200, ""));
}

#[tokio::test]
async fn while_the_first_request_runs_the_same_key_is_refused() {
    let shop = Arc::new(Shop::open().await);
    let key = shop.check_out("order-1", 100).await;
    shop.fault("delay-before:600000", None, Some(1)).await;
    let (first, of) = (shop.clone(), key.clone());
    let first = tokio::spawn(async move { first.confirm(&of, "order-1", 100, "key").await });
    while shop.ledger("order-1").await["captureRequests"] == 0 {}
    assert_eq!(
        code(shop.confirm(&key, "order-1", 100, "key").await),
        refused(409, "IDEMPOTENT_REQUEST_PROCESSING")
    );
    first.abort();
}

#[tokio::test]
async fn what_is_no_route_or_too_large_is_refused_in_the_protocols_words() {
    let shop = Shop::open().await;
    assert_eq!(code(Some(shop.get("/v2/payments").await)), refused(404, "NOT_FOUND"));
    let large = json!({"paymentKey": "x".repeat(BODY_BYTES_MAX)});
    let answer = shop.call(Method::POST, "/v1/payments/confirm", None, Some(large)).await;
    assert_eq!(code(answer), refused(400, "INVALID_REQUEST"));
}

#[tokio::test]
async fn a_stop_frees_the_port() {
    let shop = Shop::open().await;
    let address = shop.gateway.url().strip_prefix("http://").unwrap().to_owned();
    shop.gateway.stop().await;
    assert!(TcpListener::bind(address).await.is_ok());
}
