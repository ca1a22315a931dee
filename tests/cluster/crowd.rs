//! Clients who hold seats, and what they were told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::SEATS;
use crate::server::{Server, token};

const CLIENTS: u64 = 12;

/// What was acknowledged: the seat of each reservation, and whose it is.
pub(crate) type Book = BTreeMap<String, (String, String)>;

/// Clients that hold seats, one after the other, of whoever answers.
pub(crate) struct Crowd {
    url: Arc<Mutex<String>>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    clients: JoinSet<(Book, Duration)>,
}

impl Crowd {
    pub(crate) fn come(server: &Server, wave: u64) -> Self {
        let url = Arc::new(Mutex::new(server.url.clone()));
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let (url, stop, acknowledged) = (Arc::clone(&url), Arc::clone(&stop), Arc::clone(&acknowledged));
            clients.spawn(async move { hold_all(&url, &stop, &acknowledged, number, wave).await });
        }
        Self { url, stop, acknowledged, clients }
    }

    /// Waits until so many more were acknowledged.
    pub(crate) async fn acknowledged(&self, more: u64) {
        let until = self.acknowledged.load(Ordering::Relaxed) + more;
        while self.acknowledged.load(Ordering::Relaxed) < until {
            tokio::task::yield_now().await;
        }
    }

    /// Sends the clients to another process.
    pub(crate) fn turn_to(&self, server: &Server) {
        self.url.lock().unwrap().clone_from(&server.url);
    }

    /// Ends it; returns what was acknowledged, and the longest time in which nobody was.
    pub(crate) async fn go(mut self) -> (Book, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let (mut book, mut longest) = (Book::new(), Duration::ZERO);
        while let Some(one) = self.clients.join_next().await {
            let (held, gap) = one.unwrap();
            for (id, place) in held {
                assert_eq!(book.insert(id, place), None, "an id is given once");
            }
            longest = longest.max(gap);
        }
        (book, longest)
    }
}

async fn hold_all(
    url: &Mutex<String>,
    stop: &AtomicBool,
    acknowledged: &AtomicU64,
    number: u64,
    wave: u64,
) -> (Book, Duration) {
    let client = Client::new();
    let user = format!("fan-{wave}-{number}");
    let (mut book, mut gap, mut last) = (Book::new(), Duration::ZERO, Instant::now());
    let mut turn = wave * 104_729 + number * 7_919 + 1;
    while !stop.load(Ordering::Relaxed) {
        turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let seat = format!("1-A-1-{}", (turn >> 33) % u64::from(SEATS) + 1);
        let url = format!("{}/api/v1/reservations", url.lock().unwrap());
        let body = json!({"scheduleId": "s", "seats": [seat]});
        let response = client.post(url).bearer_auth(token(&user)).json(&body).send().await;
        // A process that is gone, or that no longer has the log, says so or says nothing.
        let Ok(answer) = response else { continue };
        let status = answer.status().as_u16();
        if status != 201 {
            assert!([409, 429, 503].contains(&status), "{status}");
            continue;
        }
        let Ok(held) = answer.json::<Value>().await else { continue };
        acknowledged.fetch_add(1, Ordering::Relaxed);
        gap = gap.max(last.elapsed());
        last = Instant::now();
        book.insert(held["reservationId"].as_str().unwrap().to_owned(), (user.clone(), seat));
    }
    (book, gap)
}

/// Asks for everything in the book, and compares.
pub(crate) async fn check(server: &Server, book: &Book) {
    let mut owners = BTreeMap::new();
    for (id, (user, seat)) in book {
        let path = format!("/api/v1/reservations/{id}");
        let (status, found) = server.user(user, Method::GET, &path, None).await;
        assert_eq!(status, 200, "an acknowledged reservation is missing");
        assert_eq!(found["status"], "held", "an acknowledged hold is gone: {found}");
        assert_eq!(found["seats"][0]["seatId"], **seat);
        assert_eq!(owners.insert(seat, id), None, "{seat} has two owners");
    }
    let (_, map) = server.get("/api/v1/schedules/s/seats").await;
    let held = map["seats"].as_array().unwrap().iter().filter(|seat| seat["status"] == "held").count();
    assert!(held >= book.len(), "{held} of {}", book.len());
}
