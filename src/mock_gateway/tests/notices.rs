//! Notices, as the shop's webhook gets them.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::*;

/// A webhook that hands over each notice, and answers the statuses it was given, then 200.
async fn webhook(statuses: impl IntoIterator<Item = u16>) -> (String, mpsc::Receiver<Value>) {
    let (sender, notices) = mpsc::channel(100);
    let statuses = Arc::new(Mutex::new(statuses.into_iter().collect::<VecDeque<u16>>()));
    let take = async move |axum::Json(notice): axum::Json<Value>| {
        sender.send(notice).await.unwrap();
        let status = statuses.lock().unwrap().pop_front().unwrap_or(200);
        axum::http::StatusCode::from_u16(status).unwrap()
    };
    let router = Router::new().route("/notices", axum::routing::post(take));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/notices", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, notices)
}

async fn shop_with(statuses: impl IntoIterator<Item = u16>) -> (Shop, mpsc::Receiver<Value>) {
    let (url, notices) = webhook(statuses).await;
    let config =
        MockConfig { webhook_url: Some(url), webhook_retry: Duration::ZERO, ..MockConfig::default() };
    (Shop::open_with(config).await, notices)
}

/// The order and the status that the next notice tells.
async fn next(notices: &mut mpsc::Receiver<Value>) -> (String, String) {
    let notice = notices.recv().await.unwrap();
    let text = |name: &str| notice["data"][name].as_str().unwrap().to_owned();
    (text("orderId"), text("status"))
}

fn told(order_id: &str, status: &str) -> (String, String) {
    (order_id.to_owned(), status.to_owned())
}

async fn capture(shop: &Shop, order_id: &str) -> String {
    let key = shop.check_out(order_id, 100).await;
    shop.confirm(&key, order_id, 100, &format!("c-{order_id}")).await;
    key
}

#[tokio::test]
async fn every_change_is_told_as_toss_tells_it() {
    let (shop, mut notices) = shop_with([]).await;
    let key = capture(&shop, "order-1").await;
    let notice = notices.recv().await.unwrap();
    assert_eq!(notice["eventType"], "PAYMENT_STATUS_CHANGED");
    assert_eq!(notice["createdAt"], "2027-01-15T17:00:00.000");
    assert_eq!(notice["data"], shop.get(&format!("/v1/payments/{key}")).await.1);
    shop.cancel(&key, json!({"cancelReason": "gone"}), "r-1").await;
    assert_eq!(next(&mut notices).await, told("order-1", "CANCELED"));
    shop.fault("decline", None, Some(1)).await;
    capture(&shop, "order-2").await;
    assert_eq!(next(&mut notices).await, told("order-2", "ABORTED"));
}

#[tokio::test]
async fn a_notice_is_repeated_until_the_shop_takes_it() {
    let (shop, mut notices) = shop_with([500, 404, 201]).await;
    capture(&shop, "order-1").await;
    for _ in 0..4 {
        assert_eq!(next(&mut notices).await, told("order-1", "DONE"));
    }
    while shop.get("/mock/ledger").await.1["notices"]["delivered"] == 0 {}
    let counts = shop.get("/mock/ledger").await.1["notices"].clone();
    assert_eq!(counts, json!({"attempts": 4, "delivered": 1, "givenUp": 0, "dropped": 0}));
}

#[tokio::test]
async fn a_notice_that_nobody_takes_is_given_up() {
    let (shop, mut notices) = shop_with([500; 8]).await;
    capture(&shop, "order-1").await;
    for _ in 0..8 {
        assert_eq!(next(&mut notices).await, told("order-1", "DONE"));
    }
    while shop.get("/mock/ledger").await.1["notices"]["givenUp"] == 0 {}
    let counts = shop.get("/mock/ledger").await.1["notices"].clone();
    assert_eq!(counts, json!({"attempts": 8, "delivered": 0, "givenUp": 1, "dropped": 0}));
}

#[tokio::test]
async fn notices_come_twice_late_in_the_wrong_order_for_strangers_or_not_at_all() {
    let (shop, mut notices) = shop_with([]).await;
    for fault in ["webhook-copies:2", "webhook-stale", "webhook-stray", "webhook-delay:1"] {
        shop.fault(fault, Some("order-1"), Some(1)).await;
    }
    capture(&shop, "order-1").await;
    let (stranger, _) = next(&mut notices).await;
    assert!(stranger.starts_with("stray-"), "{stranger}");
    assert_eq!(next(&mut notices).await, told("order-1", "DONE"));
    assert_eq!(next(&mut notices).await, told("order-1", "DONE"));
    assert_eq!(next(&mut notices).await, told("order-1", "IN_PROGRESS"), "the state before comes last");
    shop.fault("webhook-lost", Some("order-2"), Some(1)).await;
    capture(&shop, "order-2").await;
    capture(&shop, "order-3").await;
    assert_eq!(next(&mut notices).await, told("order-3", "DONE"), "nothing was told of the second order");
}

#[tokio::test]
async fn a_webhook_that_leads_nowhere_is_refused_at_the_start() {
    for wrong in ["ftp://host/", "not a URL"] {
        let config = MockConfig { webhook_url: Some(wrong.to_owned()), ..MockConfig::default() };
        assert!(matches!(
            MockGateway::start(config).await,
            Err(MockError::Notices(NoticesError::WebhookUrl))
        ));
    }
}
