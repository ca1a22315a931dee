//! The client against a server on a real socket that plays what it is told, row by row of the table.

mod refunds;

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::*;
use crate::gateway::IdempotencyKey;

const SECRET: &str = "test_sk_of_the_tests";
const KEY: &str = "tviva20261120abcdef";
const ORDER: &str = "gnodh3azvbdamtxgaqhrlv3bny";

/// What the server does with one request.
enum Play {
    Answer(u16, String),
    /// These bytes, then the end of the connection.
    Raw(Vec<u8>),
    /// Nothing, for ever.
    Silence,
}

struct Played {
    toss: Toss,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Played {
    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn json(status: u16, body: &Value) -> Play {
    Play::Answer(status, body.to_string())
}

fn error(status: u16, code: &str) -> Play {
    json(status, &json!({"code": code, "message": "카드사에서 거절했습니다."}))
}

/// A payment as Toss writes it; what matters here can be set over.
fn payment(over: &Value) -> Value {
    let mut payment = json!({
        "mId": "tosspayments", "version": "2022-11-16", "paymentKey": KEY, "orderId": ORDER, "type": "NORMAL",
        "orderName": "오페라의 유령 외 1건", "currency": "KRW", "method": "카드", "status": "DONE",
        "totalAmount": 340_000, "balanceAmount": 340_000, "requestedAt": "2026-11-20T21:00:00+09:00",
        "approvedAt": "2026-11-20T21:00:05+09:00", "lastTransactionKey": "B7103F204998813B889C77C043D09502",
        "useEscrow": false, "card": {"number": "12345678****789*"}, "cancels": null, "failure": null,
    });
    for (name, value) in over.as_object().unwrap() {
        payment[name] = value.clone();
    }
    payment
}

/// Starts a server that plays this, and a client of it.
async fn play(plays: impl IntoIterator<Item = Play>) -> Played {
    play_with(plays, TIMEOUT).await
}

async fn play_with(plays: impl IntoIterator<Item = Play>, timeout: Duration) -> Played {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let plays = Arc::new(Mutex::new(plays.into_iter().collect::<VecDeque<Play>>()));
    let requests = Arc::new(Mutex::new(Vec::new()));
    let kept = requests.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, plays.clone(), kept.clone()));
        }
    });
    Played { toss: client(address, timeout), requests }
}

fn client(address: SocketAddr, timeout: Duration) -> Toss {
    let config = TossConfig { timeout, ..TossConfig::new(format!("http://{address}/"), Secret::new(SECRET)) };
    Toss::new(&config).unwrap()
}

async fn serve(mut stream: TcpStream, plays: Arc<Mutex<VecDeque<Play>>>, kept: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = read_request(&mut stream).await {
        kept.lock().unwrap().push(request);
        let play = plays.lock().unwrap().pop_front().expect("no request that wasn't foreseen");
        match play {
            Play::Answer(status, body) => {
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
                );
                stream.write_all((head + &body).as_bytes()).await.unwrap();
            }
            Play::Raw(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Play::Silence => core::future::pending::<()>().await,
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

fn capture() -> Capture {
    Capture {
        payment_key: PaymentKey::parse(KEY).unwrap(),
        order_id: OrderId::parse(ORDER).unwrap(),
        amount: Money::new(340_000).unwrap(),
        currency: Currency::parse("KRW").unwrap(),
        idempotency_key: IdempotencyKey::parse("capture-1").unwrap(),
    }
}

fn find(payment_key: Option<&str>) -> Find {
    Find {
        order_id: OrderId::parse(ORDER).unwrap(),
        payment_key: payment_key.map(|key| PaymentKey::parse(key).unwrap()),
    }
}

fn cancel() -> Cancel {
    Cancel {
        payment_key: PaymentKey::parse(KEY).unwrap(),
        amount: Money::new(340_000).unwrap(),
        captured: Money::new(340_000).unwrap(),
        back: Money::ZERO,
        reason: "The seats were gone.".to_owned(),
        idempotency_key: IdempotencyKey::parse("cancel-1").unwrap(),
    }
}

/// The whole of it went back.
fn cancelled() -> Value {
    payment(&json!({
        "status": "CANCELED", "balanceAmount": 0,
        "cancels": [{"transactionKey": "C1", "cancelAmount": 340_000, "cancelStatus": "DONE"}],
    }))
}

async fn confirmed(plays: impl IntoIterator<Item = Play>) -> CaptureOutcome {
    play(plays).await.toss.confirm(capture()).await
}

#[tokio::test]
async fn a_capture_is_sent_as_toss_wants_it_and_read_as_toss_answers_it() {
    let played = play([json(200, &payment(&json!({})))]).await;
    let outcome = played.toss.confirm(capture()).await;
    let CaptureOutcome::Captured { payment_key, transaction, approved_at } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(payment_key.as_str(), KEY);
    assert_eq!(transaction.unwrap().as_str(), "B7103F204998813B889C77C043D09502");
    assert_eq!(approved_at.unwrap().to_string(), "2026-11-20T12:00:05.000Z");
    let requests = played.requests();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1/payments/confirm HTTP/1.1\r\n"), "{head}");
    let credentials = STANDARD.encode(format!("{SECRET}:"));
    for header in [&format!("authorization: Basic {credentials}"), "idempotency-key: capture-1"] {
        assert!(head.contains(header), "{head}");
    }
    assert!(!head.contains("accept-encoding"), "a small body could unpack to a large one: {head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body, json!({"paymentKey": KEY, "orderId": ORDER, "amount": 340_000}));
}

#[tokio::test]
async fn a_capture_in_a_currency_that_it_does_not_take_is_declined_unsent() {
    let played = play([]).await;
    let dollars = Capture { currency: Currency::parse("USD").unwrap(), ..capture() };
    let outcome = played.toss.confirm(dollars).await;
    assert!(matches!(outcome, CaptureOutcome::Declined { .. }), "{outcome:?}");
    assert!(played.requests().is_empty());
}

#[tokio::test]
async fn a_definite_refusal_is_a_decline_with_its_code_and_reason() {
    for (status, code) in [
        (403, "REJECT_CARD_COMPANY"),
        (403, "REJECT_ACCOUNT_PAYMENT"),
        (403, "EXCEED_MAX_AUTH_COUNT"),
        (403, "INVALID_PASSWORD"),
        (403, "FORBIDDEN_REQUEST"),
        (400, "INVALID_REQUEST"),
        (400, "INVALID_STOPPED_CARD"),
        (400, "EXCEED_MAX_PAYMENT_AMOUNT"),
        (400, "BELOW_MINIMUM_AMOUNT"),
        (400, "NOT_SUPPORTED_METHOD"),
        (400, "PAY_PROCESS_CANCELED"),
        (404, "NOT_FOUND_PAYMENT"),
        (404, "NOT_FOUND_PAYMENT_SESSION"),
    ] {
        let outcome = confirmed([error(status, code)]).await;
        let CaptureOutcome::Declined { code: said, reason } = outcome else { panic!("{code}: {outcome:?}") };
        assert_eq!((said.as_str(), reason.as_str()), (code, "카드사에서 거절했습니다."));
    }
}

#[tokio::test]
async fn what_settles_nothing_is_unknown_and_says_why() {
    for (status, code, expected) in [
        (500, "FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING", Why::Failed),
        (500, "REJECT_CARD_COMPANY", Why::Failed),
        (400, "PROVIDER_ERROR", Why::Failed),
        (400, "CARD_PROCESSING_ERROR", Why::Failed),
        (429, "TOO_MANY_REQUESTS", Why::Failed),
        (409, "IDEMPOTENT_REQUEST_PROCESSING", Why::UnderWay),
        (400, "ALREADY_PROCESSING_REQUEST", Why::UnderWay),
        (401, "UNAUTHORIZED_KEY", Why::Misconfigured),
        (400, "INVALID_API_KEY", Why::Misconfigured),
        (403, "INCORRECT_BASIC_AUTH_FORMAT", Why::Misconfigured),
        (404, "NOT_FOUND_MERCHANT", Why::Misconfigured),
        (400, "INVALID_IDEMPOTENCY_KEY", Why::NotUnderstood),
        (400, "SOMETHING_NEW", Why::NotUnderstood),
        (418, "INVALID_REQUEST", Why::NotUnderstood),
    ] {
        let outcome = confirmed([error(status, code)]).await;
        assert_eq!(outcome, CaptureOutcome::Unknown { why: expected }, "{status} {code}");
        assert!(!expected.is_not_sent());
    }
    for (status, expected) in [
        (401, Why::Misconfigured),
        (403, Why::Misconfigured),
        (404, Why::Misconfigured),
        (409, Why::UnderWay),
        (400, Why::NotUnderstood),
        (502, Why::Failed),
    ] {
        let outcome = confirmed([Play::Answer(status, "<html>a proxy's page</html>".into())]).await;
        assert_eq!(outcome, CaptureOutcome::Unknown { why: expected }, "{status}");
    }
}

#[tokio::test]
async fn only_an_answer_that_names_what_was_asked_is_a_capture() {
    for over in [
        json!({"paymentKey": "another-key"}),
        json!({"orderId": "another-order"}),
        json!({"totalAmount": 339_999}),
        json!({"totalAmount": 340_000.5}),
        json!({"totalAmount": -340_000}),
        json!({"currency": "USD"}),
        json!({"status": "SOMETHING_NEW"}),
    ] {
        let outcome = confirmed([json(200, &payment(&over))]).await;
        assert_eq!(outcome, CaptureOutcome::Unknown { why: Why::NotUnderstood }, "{over}");
    }
    let outcome = confirmed([json(200, &payment(&json!({"totalAmount": 340_000.0})))]).await;
    assert!(matches!(outcome, CaptureOutcome::Captured { .. }), "{outcome:?}");
}

#[tokio::test]
async fn an_answer_of_a_payment_that_is_not_done_is_read_by_its_status() {
    let failure = json!({"code": "REJECT_CARD_COMPANY", "message": "no"});
    let aborted = payment(&json!({"status": "ABORTED", "approvedAt": null, "failure": failure}));
    let CaptureOutcome::Declined { code, .. } = confirmed([json(200, &aborted)]).await else { panic!() };
    assert_eq!(code.as_str(), "REJECT_CARD_COMPANY");
    for (status, expected) in [
        ("IN_PROGRESS", Why::UnderWay),
        ("WAITING_FOR_DEPOSIT", Why::UnderWay),
        ("CANCELED", Why::AlreadyProcessed),
    ] {
        let outcome = confirmed([json(200, &payment(&json!({"status": status})))]).await;
        assert_eq!(outcome, CaptureOutcome::Unknown { why: expected }, "{status}");
    }
}

#[tokio::test]
async fn a_payment_that_was_dealt_with_before_is_looked_at() {
    for code in ["ALREADY_PROCESSED_PAYMENT", "DUPLICATED_ORDER_ID"] {
        let played = play([error(400, code), json(200, &payment(&json!({})))]).await;
        let outcome = played.toss.confirm(capture()).await;
        assert!(matches!(outcome, CaptureOutcome::Captured { .. }), "{outcome:?}");
        assert!(played.requests()[1].starts_with(&format!("GET /v1/payments/{KEY} HTTP/1.1")));
    }
    let already = || error(400, "ALREADY_PROCESSED_PAYMENT");
    let of_another = json(200, &payment(&json!({"orderId": "another-order"})));
    let CaptureOutcome::Declined { code, .. } = confirmed([already(), of_another]).await else { panic!() };
    assert_eq!(code.as_str(), "PAYMENT_KEY_OF_ANOTHER_ORDER");
    for looked in [
        error(500, "FAILED_INTERNAL_SYSTEM_PROCESSING"),
        error(404, "NOT_FOUND_PAYMENT"),
        json(200, &payment(&json!({"totalAmount": 1}))),
        json(200, &payment(&json!({"status": "IN_PROGRESS"}))),
        json(200, &cancelled()),
    ] {
        let outcome = confirmed([already(), looked]).await;
        assert_eq!(outcome, CaptureOutcome::Unknown { why: Why::AlreadyProcessed });
    }
}

#[tokio::test]
async fn a_refused_connection_is_known_not_to_have_been_sent() {
    // Bound, so that nobody else takes the port, and not listening.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let toss = client(socket.local_addr().unwrap(), TIMEOUT);
    let outcome = toss.confirm(capture()).await;
    assert_eq!(outcome, CaptureOutcome::Unknown { why: Why::NotSent });
    assert!(Why::NotSent.is_not_sent());
    assert_eq!(toss.find(find(None)).await, Found::Unknown { why: Why::NotSent });
    assert_eq!(toss.cancel(cancel()).await, CancelOutcome::Unknown { why: Why::NotSent });
}

#[tokio::test]
async fn a_gateway_that_is_silent_times_out() {
    let played = play_with([Play::Silence], Duration::from_millis(100)).await;
    let outcome = played.toss.confirm(capture()).await;
    assert_eq!(outcome, CaptureOutcome::Unknown { why: Why::TimedOut });
}

#[tokio::test]
async fn an_answer_that_stops_in_the_middle_and_stays_open_times_out() {
    // The head promises more than comes; the second play keeps the connection.
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 4096\r\n\r\n{\"paymentKey\"".to_vec();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let toss = client(listener.local_addr().unwrap(), Duration::from_millis(100));
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        stream.write_all(&head).await.unwrap();
        core::future::pending::<()>().await;
    });
    let outcome = toss.confirm(capture()).await;
    assert_eq!(outcome, CaptureOutcome::Unknown { why: Why::TimedOut });
    server.abort();
}

#[tokio::test]
async fn a_connection_that_breaks_is_unknown() {
    let whole = payment(&json!({})).to_string();
    let half = &whole[..whole.len() / 2];
    for raw in [
        String::new(),
        "HTTP/1.1 20".to_owned(),
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{half}", whole.len()),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{half}\r\n", half.len()),
        "SSH-2.0-something else\r\n".to_owned(),
    ] {
        let outcome = confirmed([Play::Raw(raw.clone().into_bytes())]).await;
        assert_eq!(outcome, CaptureOutcome::Unknown { why: Why::Broken }, "{raw}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_for_certain_is_unknown() {
    let whole = payment(&json!({})).to_string();
    let twice = whole.replacen("{\"", "{\"status\":\"DONE\",\"", 1);
    let large = json!({"filler": "x".repeat(BODY_BYTES_MAX), "paymentKey": KEY}).to_string();
    let deep = "[".repeat(10_000);
    for body in [&whole[..whole.len() / 2], "", "null", "[]", "{}", "\"DONE\"", &twice, &large, &deep] {
        let outcome = confirmed([Play::Answer(200, body.to_owned())]).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!(outcome, CaptureOutcome::Unknown { why: Why::NotUnderstood }, "{shown}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = "HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:1/steal\r\ncontent-length: 0\r\n\r\n";
    let played = play([Play::Raw(elsewhere.into())]).await;
    let outcome = played.toss.confirm(capture()).await;
    assert_eq!(outcome, CaptureOutcome::Unknown { why: Why::Misconfigured });
    assert_eq!(played.requests().len(), 1);
}

#[tokio::test]
async fn the_answer_to_an_earlier_request_with_the_same_key_is_an_answer() {
    // Toss plays the first answer again, errors included; the client reads it as it reads the first.
    let done = || json(200, &payment(&json!({})));
    let played = play([done(), done(), error(400, "PROVIDER_ERROR"), error(400, "PROVIDER_ERROR")]).await;
    let (first, again) = (played.toss.confirm(capture()).await, played.toss.confirm(capture()).await);
    assert_eq!(first, again);
    for _ in 0..2 {
        let outcome = played.toss.confirm(capture()).await;
        assert_eq!(outcome, CaptureOutcome::Unknown { why: Why::Failed });
    }
}

#[tokio::test]
async fn a_payment_is_found_by_its_key_or_by_its_order() {
    let played = play([json(200, &payment(&json!({}))), json(200, &payment(&json!({})))]).await;
    for key in [Some(KEY), None] {
        let found = played.toss.find(find(key)).await;
        let Found::Captured { payment_key, amount, cancelled_amount, .. } = found else {
            panic!("{found:?}")
        };
        assert_eq!((payment_key.as_str(), amount.minor(), cancelled_amount.minor()), (KEY, 340_000, 0));
    }
    let requests = played.requests();
    assert!(requests[0].starts_with(&format!("GET /v1/payments/{KEY} HTTP/1.1")), "{}", requests[0]);
    assert!(requests[1].starts_with(&format!("GET /v1/payments/orders/{ORDER} HTTP/1.1")), "{}", requests[1]);
    assert!(!requests[0].contains("idempotency-key"));
}

#[tokio::test]
async fn where_the_key_tells_nothing_the_order_is_asked_for() {
    for nothing in [error(404, "NOT_FOUND_PAYMENT"), Play::Answer(404, String::new())] {
        let played = play([nothing, json(200, &payment(&json!({})))]).await;
        let found = played.toss.find(find(Some(KEY))).await;
        assert!(matches!(found, Found::Captured { .. }), "{found:?}");
        assert!(played.requests()[1].starts_with(&format!("GET /v1/payments/orders/{ORDER} HTTP/1.1")));
    }
}

#[tokio::test]
async fn what_was_found_is_read_by_its_status() {
    // What the payment key doesn't tell, the order may: here it doesn't either.
    let found = async |play: Play| {
        let nothing = error(404, "NOT_FOUND_PAYMENT");
        self::play([play, nothing]).await.toss.find(find(Some(KEY))).await
    };
    let status = |status: &str| json(200, &payment(&json!({"status": status, "balanceAmount": 100_000})));
    let went_back = |found: Found| {
        let Found::Captured { amount, cancelled_amount, .. } = found else { panic!("{found:?}") };
        (amount.minor(), cancelled_amount.minor())
    };
    assert_eq!(went_back(found(status("PARTIAL_CANCELED")).await), (340_000, 240_000));
    assert_eq!(went_back(found(status("CANCELED")).await), (340_000, 340_000));
    for open in ["READY", "IN_PROGRESS", "WAITING_FOR_DEPOSIT"] {
        assert_eq!(found(status(open)).await, Found::NotCaptured(NotCaptured::Open));
    }
    assert_eq!(found(status("EXPIRED")).await, Found::NotCaptured(NotCaptured::Expired));
    let never = payment(&json!({"status": "CANCELED", "approvedAt": null}));
    for play in [status("ABORTED"), json(200, &never)] {
        let Found::NotCaptured(why) = found(play).await else { panic!() };
        assert!(why.is_final() && matches!(why, NotCaptured::Declined { .. }), "{why:?}");
    }
    assert!(NotCaptured::Expired.is_final() && !NotCaptured::Open.is_final());
    assert_eq!(found(error(404, "NOT_FOUND_PAYMENT")).await, Found::NoSuchOrder);
    for (play, why) in [
        (error(404, "NOT_FOUND_MERCHANT"), Why::Misconfigured),
        (error(403, "FORBIDDEN_REQUEST"), Why::Misconfigured),
        (Play::Answer(404, "<html>".into()), Why::Misconfigured),
        (error(401, "UNAUTHORIZED_KEY"), Why::Misconfigured),
        (error(500, "NOT_FOUND_PAYMENT"), Why::Failed),
        (status("SOMETHING_NEW"), Why::NotUnderstood),
        (json(200, &payment(&json!({"paymentKey": "another-key"}))), Why::NotUnderstood),
        (
            json(200, &payment(&json!({"status": "PARTIAL_CANCELED", "balanceAmount": null}))),
            Why::NotUnderstood,
        ),
        (Play::Raw(Vec::new()), Why::Broken),
    ] {
        assert_eq!(found(play).await, Found::Unknown { why });
    }
}

#[tokio::test]
async fn a_payment_key_of_another_order_captures_nothing_for_this_one() {
    let other = payment(&json!({"orderId": "another-order"}));
    let played = play([json(200, &other), json(200, &other)]).await;
    let Found::NotCaptured(why) = played.toss.find(find(Some(KEY))).await else { panic!() };
    assert!(why.is_final());
    // Asked for the order itself, the gateway would never answer so.
    assert_eq!(played.toss.find(find(None)).await, Found::Unknown { why: Why::NotUnderstood });
}

#[test]
fn a_notice_tells_which_order_to_ask_about_and_nothing_else() {
    let toss = Toss::new(&TossConfig::new("http://127.0.0.1:9090", Secret::new(SECRET))).unwrap();
    let order = |body: Value| toss.read_notice(body.to_string().as_bytes()).map(|order| order.to_string());
    let changed = json!({"eventType": "PAYMENT_STATUS_CHANGED", "createdAt": "2026-11-20T12:00:00.000",
        "data": payment(&json!({}))});
    assert_eq!(order(changed).as_deref(), Some(ORDER));
    assert_eq!(order(json!({"orderId": ORDER, "secret": "s", "status": "DONE"})).as_deref(), Some(ORDER));
    assert_eq!(order(json!({"data": {"orderId": "../../etc"}})), None);
    assert_eq!(order(json!({"data": {}})), None);
    assert_eq!(toss.read_notice(b"not JSON"), None);
}

#[test]
fn settings_that_cannot_be_are_refused_and_nothing_shows_the_secret() {
    let make = |url: &str, secret: &str| Toss::new(&TossConfig::new(url, Secret::new(secret)));
    for wrong in
        ["", "api.tosspayments.com", "ftp://host", "http://user:pw@host", "http://host/?a", "http://host/#a"]
    {
        assert!(matches!(make(wrong, SECRET), Err(TossError::Url)), "{wrong}");
    }
    let toss = make("http://127.0.0.1:9090/", SECRET).unwrap();
    let credentials = STANDARD.encode(format!("{SECRET}:"));
    for shown in [format!("{toss:?}"), format!("{:?}", toss.authorization)] {
        assert!(!shown.contains(SECRET) && !shown.contains(&credentials), "{shown}");
    }
}
