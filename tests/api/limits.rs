//! How much is taken in: bodies, headers, time, connections, changes a second.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{Server, token};
use crate::{Api, DELETE, GET, POST, PUT, hold_of, put_concert, soon, text, venue};

/// A connection to a server, below HTTP clients and what they correct.
struct Line(TcpStream);

impl Line {
    async fn open(server: &Server) -> Self {
        let address = server.url.strip_prefix("http://").unwrap();
        Self(soon(TcpStream::connect(address)).await.unwrap())
    }

    async fn write(&mut self, text: &str) {
        soon(self.0.write_all(text.as_bytes())).await.unwrap();
    }

    /// Reads an answer with a length: its head, and its document.
    async fn answer(&mut self) -> (String, Value) {
        let mut bytes = Vec::new();
        loop {
            let mut more = [0; 4096];
            let count = soon(self.0.read(&mut more)).await.unwrap();
            assert!(count > 0, "an answer comes before the end: {:?}", String::from_utf8_lossy(&bytes));
            bytes.extend_from_slice(&more[..count]);
            let so_far = std::str::from_utf8(&bytes).unwrap();
            let Some((head, body)) = so_far.split_once("\r\n\r\n") else { continue };
            let head = head.to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                return (head, serde_json::from_str(body).unwrap());
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_a_408_and_had_no_effect() {
    let api = Api::start_with(&[("ONSALE_LIMITS_REQUEST_TIMEOUT_SECONDS", "1")]);
    api.server.prepare(4, json!({})).await;
    let body = hold_of(&[1]).to_string();
    let mut line = Line::open(&api.server).await;
    line.write(&format!(
        "POST /api/v1/reservations HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{}",
        token("kim"),
        body.len(),
        &body[..body.len() - 1]
    ))
    .await;
    let (head, problem) = line.answer().await;
    assert!(head.starts_with("http/1.1 408 "), "{head}");
    assert!(head.contains("content-type: application/problem+json"), "{head}");
    assert_eq!(problem["code"], "request_timeout");
    assert_eq!(api.statuses().await, ["available"; 4]);
}

#[tokio::test]
async fn one_connection_too_many_is_told_to_come_back_and_let_in_when_another_left() {
    let api = Api::start_with(&[("ONSALE_LIMITS_CONNECTIONS_MAX", "2")]);
    let mut inside = Vec::new();
    for _ in 0..2 {
        let mut line = Line::open(&api.server).await;
        line.write("GET /api/v1/venues HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(line.answer().await.0.starts_with("http/1.1 200 "));
        inside.push(line);
    }
    let (head, problem) = Line::open(&api.server).await.answer().await;
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    for part in ["retry-after: ", "content-type: application/problem+json", "x-content-type-options: nosniff"]
    {
        assert!(head.contains(part), "{head}");
    }
    assert_eq!(problem["code"], "overloaded");
    assert_eq!(problem["type"], "/problems/overloaded");
    drop(inside.pop());
    // The server learns of the end when it looks; a client that was told to come back does.
    soon(async {
        loop {
            let mut line = Line::open(&api.server).await;
            // Where there is no room the answer may be there before the question.
            drop(line.0.write_all(b"GET /api/v1/venues HTTP/1.1\r\nhost: x\r\n\r\n").await);
            let (head, _) = line.answer().await;
            if head.starts_with("http/1.1 200 ") {
                break;
            }
            assert!(head.starts_with("http/1.1 503 "), "{head}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_may_have_64_kib_and_not_a_byte_more() {
    let api = Api::with_hall(4, json!({})).await;
    let padded = |length: usize| {
        let body = hold_of(&[1]).to_string();
        format!("{}{body}", " ".repeat(length - body.len()))
    };
    let hold = |length| api.user("kim", POST, "/reservations").bytes("application/json", padded(length));
    hold(64 * 1024 + 1).await.refused(413, "body_too_large");
    assert_eq!(api.statuses().await, ["available"; 4]);
    hold(64 * 1024).await.ok(201);
    let concert = format!("{}{}", " ".repeat(64 * 1024), crate::concert());
    api.admin(PUT, "/concerts/d").bytes("application/json", concert).await.refused(413, "body_too_large");
    // In pieces, without a length that says it beforehand.
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> = (0..65).map(|_| Ok(vec![b' '; 1024])).collect();
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let chunked = api.user("kim", POST, "/reservations").bytes("application/json", body).await;
    chunked.refused(413, "body_too_large");
}

#[tokio::test]
async fn an_import_and_a_venue_may_have_16_mib_and_not_a_byte_more() {
    let api = Api::start();
    let padded = |document: Value, length: usize| {
        let document = document.to_string();
        format!("{}{document}", " ".repeat(length - document.len()))
    };
    let import = |length| padded(json!({"venues": [], "concerts": [], "schedules": []}), length);
    let max = 16 * 1024 * 1024;
    let send = |body: String| api.admin(POST, "/import").bytes("application/json", body);
    send(import(max + 1)).await.refused(413, "body_too_large");
    send(import(max)).await.ok(200);
    let put = |body: String| api.admin(PUT, "/venues/v").bytes("application/json", body);
    put(padded(venue(), max + 1)).await.refused(413, "body_too_large");
    put(padded(venue(), max)).await.ok(201);
}

#[tokio::test]
async fn headers_over_the_limit_are_a_431() {
    let api = Api::start();
    let with_header = |length| api.public(GET, "/venues").header("x-large", &"x".repeat(length));
    with_header(8 * 1024).await.ok(200);
    for length in [17 * 1024, 40 * 1024] {
        with_header(length).await.refused(431, "headers_too_large");
    }
    let long = format!("/venues/{}", "x".repeat(20 * 1024));
    api.public(GET, &long).await.refused(431, "headers_too_large");
}

#[tokio::test]
async fn a_user_who_changes_too_much_in_a_second_is_told_when_to_come_back_and_nobody_else_is() {
    let api = Api::start_with(&[("ONSALE_RATE_LIMIT", "1")]);
    put_concert(&api).await;
    let change = |user: &'static str| api.user(user, DELETE, "/reservations/none");
    // Two at once are the burst; one more within a second is too many.
    let mut passed = 0;
    let refused = loop {
        let answer = change("kim").await;
        if answer.status == 429 {
            break answer;
        }
        answer.refused(404, "not_found");
        passed += 1;
        assert!(passed < 100, "a hundred changes are more than one a second");
    };
    assert!(passed >= 2, "the burst is twice the rate");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    refused.refused(429, "rate_limited");
    change("lee").await.refused(404, "not_found");
    for _ in 0..10 {
        api.user("kim", GET, "/reservations").await.ok(200);
        api.admin(DELETE, "/reservations/none").await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn the_longest_idempotency_key_has_255_visible_characters() {
    let api = Api::with_hall(4, json!({})).await;
    let hold = |key: &str| api.user("kim", POST, "/reservations").key(key).json(&hold_of(&[1]));
    for wrong in ["", "two words", &"k".repeat(256)] {
        hold(wrong).await.refused(400, "malformed_request");
    }
    hold("one").header("idempotency-key", "two").await.refused(400, "malformed_request");
    let reservation = hold(&"~".repeat(255)).await.ok(201);
    assert_eq!(text(&reservation["status"]), "held");
    let path = crate::path_of(&reservation);
    api.user("kim", DELETE, &path).key("two words").await.refused(400, "malformed_request");
    api.admin(POST, "/schedules/s/close").key("").await.refused(400, "malformed_request");
    api.admin(POST, "/import").key("a b").json(&json!({})).await.refused(400, "malformed_request");
}
