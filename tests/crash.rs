//! `kill -9` under load, many times, on one data directory (S3, S1): whatever was acknowledged is found
//! by asking, and no seat has two owners.
#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    reason = "a test fails loudly, and its numbers are small"
)]

#[path = "support/server.rs"]
mod server;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use server::{Server, token};

const LIVES: u32 = 12;
const CLIENTS: u32 = 24;
const SEATS: u32 = 400;
/// After how many acknowledgements a life is ended; with what is under way then.
const ACKNOWLEDGED_PER_LIFE: u64 = 400;

/// What a client was told about a reservation.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Held {
        user: String,
        seats: Vec<String>,
    },
    /// It asked to give it back; the server may or may not have done it.
    MaybeReleased {
        user: String,
        seats: Vec<String>,
    },
    Released {
        user: String,
    },
}

/// A client's own book, by reservation id.
type Book = HashMap<String, Told>;

struct Fan {
    name: String,
    number: u32,
    url: String,
    client: Client,
}

impl Fan {
    /// Holds and gives back until the server is gone.
    async fn hammer(&self, stop: &AtomicBool, acknowledged: &AtomicU64) -> Book {
        let mut book = Book::new();
        let mut turn = self.number;
        while !stop.load(Ordering::Relaxed) {
            turn = turn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let first = (turn >> 8) % (SEATS - 1) + 1;
            let seats = [format!("1-A-1-{first}"), format!("1-A-1-{}", first + 1)];
            let body = json!({"scheduleId": "s", "seats": seats});
            let Some((status, held)) = self.send(Method::POST, "/api/v1/reservations", Some(&body)).await
            else {
                break;
            };
            if status != 201 {
                assert!([409, 503].contains(&status), "{status} {held}");
                continue;
            }
            acknowledged.fetch_add(1, Ordering::Relaxed);
            let id = held["reservationId"].as_str().unwrap().to_owned();
            let (user, seats) = (self.name.clone(), seats.to_vec());
            book.insert(id.clone(), Told::Held { user: user.clone(), seats: seats.clone() });
            if turn.is_multiple_of(4) {
                continue;
            }
            book.insert(id.clone(), Told::MaybeReleased { user: user.clone(), seats });
            let path = format!("/api/v1/reservations/{id}");
            match self.send(Method::DELETE, &path, None).await {
                Some((200, _)) => book.insert(id, Told::Released { user }),
                Some((503, _)) => continue,
                Some((status, answer)) => panic!("{status} {answer}"),
                None => break,
            };
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        book
    }

    /// Sends a request; nothing when the connection broke, so that the outcome is unknown.
    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let request =
            self.client.request(method, format!("{}{path}", self.url)).bearer_auth(token(&self.name));
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.json().await.ok()?))
    }
}

/// One life: everyone hammers until enough was acknowledged, and then it is killed.
async fn live_and_die(server: Server, life: u32) -> Book {
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut fans = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let fan = Fan {
            name: format!("fan-{number}"),
            number: number * 7_919 + life * 104_729 + 1,
            url: server.url.clone(),
            client: server.client.clone(),
        };
        let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
        fans.spawn(async move { fan.hammer(&stop, &acknowledged).await });
    }
    while acknowledged.load(Ordering::Relaxed) < ACKNOWLEDGED_PER_LIFE {
        tokio::task::yield_now().await;
    }
    server.kill();
    stop.store(true, Ordering::Relaxed);
    let mut book = Book::new();
    while let Some(one) = fans.join_next().await {
        book.extend(one.unwrap());
    }
    book
}

/// Asks for everything in the book, and for the map, and compares.
async fn check(server: &Server, book: &Book) {
    let mut owners: HashMap<String, String> = HashMap::new();
    for (id, told) in book {
        let (Told::Held { user, .. } | Told::MaybeReleased { user, .. } | Told::Released { user }) = told;
        let path = format!("/api/v1/reservations/{id}");
        let (status, found) = server.user(user, Method::GET, &path, None).await;
        assert_eq!(status, 200, "S3: an acknowledged reservation is missing: {told:?}");
        let live = found["status"] == "held";
        match told {
            Told::Held { .. } => assert!(live, "S3: an acknowledged hold is gone: {found}"),
            Told::Released { .. } => {
                assert_eq!(found["status"], "released", "S3: an acknowledged release is undone");
            }
            Told::MaybeReleased { .. } => {}
        }
        if let Told::Held { seats, .. } | Told::MaybeReleased { seats, .. } = told {
            let seats_found =
                found["seats"].as_array().unwrap().iter().map(|seat| seat["seatId"].as_str().unwrap());
            assert!(seats_found.eq(seats.iter()), "{found}");
            for seat in seats.iter().filter(|_| live) {
                let other = owners.insert(seat.clone(), id.clone());
                assert_eq!(other, None, "S1: {seat} has two owners");
            }
        }
    }
    let (_, map) = server.get("/api/v1/schedules/s/seats").await;
    let seats = map["seats"].as_array().unwrap();
    assert_eq!(seats.len(), SEATS as usize, "S2");
    for (seat, owner) in &owners {
        let shown = seats.iter().find(|shown| shown["seatId"] == **seat).unwrap();
        assert_eq!(shown["status"], "held", "{seat} of {owner}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_being_killed_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let policy = json!({"holdSeconds": 86_400, "maxSeatsPerUser": 1_000});
    server.prepare(SEATS, policy).await;
    let mut server = Some(server);
    let mut book = Book::new();
    for life in 0..LIVES {
        book.extend(live_and_die(server.take().unwrap(), life).await);
        let again = Server::start(dir.path());
        check(&again, &book).await;
        // Room for the next life: what is still held is given back.
        for (id, told) in &mut book {
            let (Told::Held { user, .. } | Told::MaybeReleased { user, .. } | Told::Released { user }) =
                &*told;
            let path = format!("/api/v1/reservations/{id}");
            let (status, _) = again.user(user, Method::DELETE, &path, None).await;
            assert_eq!(status, 200);
            *told = Told::Released { user: user.clone() };
        }
        server = Some(again);
    }
    assert!(book.len() > LIVES as usize * 50, "there was a load: {}", book.len());
    assert!(server.take().unwrap().terminate().success());
}
