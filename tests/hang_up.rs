//! Clients of the real program that close their sockets as soon as their request is sent: what became durable goes its whole way (E1).
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

#[path = "support/server.rs"]
mod server;

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use server::{ADMIN, Server, token};

const BUYERS: u32 = 20;
/// How long a test waits before it says that something didn't come; what comes takes milliseconds.
const GUARD: Duration = Duration::from_secs(30);

fn buyer(index: u32) -> String {
    format!("buyer{index}")
}

/// Sends a request and closes the socket at once, whatever is answered.
fn send_and_hang_up(server: &Server, method: &str, path: &str, bearer: &str, key: &str, body: &str) {
    let host = server.url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(host).unwrap();
    let json = if body.is_empty() { String::new() } else { "Content-Type: application/json\r\n".to_owned() };
    let head = format!(
        "{method} /api/v1{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {bearer}\r\nIdempotency-Key: {key}\r\n\
         {json}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).unwrap();
    drop(socket);
}

/// Holds a seat for a buyer who has the money for it; returns the reservation's id.
async fn hold(server: &Server, index: u32) -> String {
    let path = format!("/api/v1/users/{}/balance", buyer(index));
    let charged = server.admin(Method::POST, &path, Some(json!({"amount": 50_000}))).await;
    assert_eq!(charged.0, 201, "{}", charged.1);
    let wish = json!({"scheduleId": "s", "seats": [format!("1-A-1-{}", index + 1)]});
    let (status, held) = server.user(&buyer(index), Method::POST, "/api/v1/reservations", Some(wish)).await;
    assert_eq!(status, 201, "{held}");
    held["reservationId"].as_str().unwrap().to_owned()
}

async fn pay(server: &Server, index: u32, reservation: &str) -> (u16, Value) {
    let body = json!({"reservationId": reservation, "method": "balance"});
    let request = server.request(Method::POST, "/api/v1/payments").bearer_auth(token(&buyer(index)));
    let answer = request.header("idempotency-key", "pay").json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Asks until it is so for every buyer.
async fn comes<T>(what: &str, mut is_so: impl AsyncFnMut(u32) -> Option<T>) {
    let all = async {
        for index in 0..BUYERS {
            while is_so(index).await.is_none() {
                tokio::task::yield_now().await;
            }
        }
    };
    assert!(tokio::time::timeout(GUARD, all).await.is_ok(), "it never came: {what}");
}

async fn balance(server: &Server, index: u32) -> Value {
    let path = format!("/api/v1/users/{}/balance", buyer(index));
    server.user(&buyer(index), Method::GET, &path, None).await.1["balance"].clone()
}

async fn reservation_status(server: &Server, index: u32, id: &str) -> Value {
    let path = format!("/api/v1/reservations/{id}");
    server.user(&buyer(index), Method::GET, &path, None).await.1["status"].clone()
}

async fn sale(dir: &std::path::Path) -> Server {
    let server = Server::start_with(dir, &[("ONSALE_LOG_FILTER", "off")]);
    server.prepare(BUYERS, json!({"holdSeconds": 3600})).await;
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_gives_back_and_hangs_up_has_the_money_back() {
    let dir = tempfile::tempdir().unwrap();
    let server = sale(dir.path()).await;
    let mut reservations = Vec::new();
    for index in 0..BUYERS {
        let reservation = hold(&server, index).await;
        assert_eq!(pay(&server, index, &reservation).await.0, 201);
        reservations.push(reservation);
    }
    for (index, reservation) in (0..).zip(&reservations) {
        let path = format!("/reservations/{reservation}");
        send_and_hang_up(&server, "DELETE", &path, &token(&buyer(index)), "back", "");
    }
    // A request that was never read had no effect: what was cancelled is refunded, and nothing is in between.
    comes("every cancelled reservation's refund", async |index| {
        let id = &reservations[usize::try_from(index).unwrap()];
        let cancelled = reservation_status(&server, index, id).await == "cancelled";
        let refunded = balance(&server, index).await == 50_000;
        (cancelled == refunded).then_some(())
    })
    .await;
    let mut cancelled = 0;
    for (index, id) in (0..).zip(&reservations) {
        cancelled += u32::from(reservation_status(&server, index, id).await == "cancelled");
    }
    assert!(cancelled > 0, "some of the requests were read");
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_pays_and_hangs_up_has_paid_and_the_same_key_finds_out() {
    let dir = tempfile::tempdir().unwrap();
    let server = sale(dir.path()).await;
    let mut reservations = Vec::new();
    for index in 0..BUYERS {
        let reservation = hold(&server, index).await;
        let body = json!({"reservationId": reservation, "method": "balance"}).to_string();
        send_and_hang_up(&server, "POST", "/payments", &token(&buyer(index)), "pay", &body);
        reservations.push(reservation);
    }
    comes("an end of every payment", async |index| {
        let id = &reservations[usize::try_from(index).unwrap()];
        let (status, payment) = pay(&server, index, id).await;
        if status == 409 && payment["code"] == "request_in_progress" {
            return None;
        }
        assert_eq!((status, &payment["status"]), (201, &json!("completed")), "{payment}");
        assert_eq!(reservation_status(&server, index, id).await, "confirmed");
        Some(())
    })
    .await;
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_cancels_a_show_and_hangs_up_has_everyone_refunded() {
    let dir = tempfile::tempdir().unwrap();
    let server = sale(dir.path()).await;
    for index in 0..BUYERS {
        let reservation = hold(&server, index).await;
        assert_eq!(pay(&server, index, &reservation).await.0, 201);
    }
    send_and_hang_up(&server, "POST", "/schedules/s/cancel", ADMIN, "cancel", "");
    // The request may never be read; this one is, and then nobody asks again.
    let (status, _) = server.admin(Method::POST, "/api/v1/schedules/s/cancel", None).await;
    assert_eq!(status, 200);
    comes("everyone's refund", async |index| (balance(&server, index).await == 50_000).then_some(())).await;
    assert!(server.terminate().success());
}
