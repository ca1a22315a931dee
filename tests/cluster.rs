//! The real binary with its log on NATS: `kill -9` with clients, another process that takes over, a server of the log that is killed. What
//! was acknowledged is found by asking, and no seat has two owners.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

#[path = "support/server.rs"]
mod server;
#[path = "nats/servers.rs"]
#[allow(unreachable_pub, dead_code, reason = "other tests share it")]
mod servers;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use server::{ADMIN, SECRET, Server, token};
use servers::{LOGIN, SYSTEM, Servers};
use tokio::task::JoinSet;

const CLIENTS: u64 = 12;
const SEATS: u32 = 3_000;
/// After how many acknowledgements something happens.
const ACKNOWLEDGED: u64 = 150;

/// What a process needs to have its log on these servers.
fn environment(servers: &Servers, replicas: &str, node: &str) -> Vec<(&'static str, String)> {
    let login = |(user, password): (&str, &str)| format!("{user}:{password}");
    vec![
        ("ONSALE_CLUSTER_LOG", servers.urls().join(",")),
        ("ONSALE_CLUSTER_REPLICAS", replicas.to_owned()),
        ("ONSALE_CLUSTER_NODE", node.to_owned()),
        ("ONSALE_CLUSTER_SECRET", "what all processes of the tests know, and nobody else".replace(' ', "-")),
        ("ONSALE_CLUSTER_LOGIN", login(LOGIN)),
        ("ONSALE_CLUSTER_SYSTEM_LOGIN", login(SYSTEM)),
    ]
}

fn serve(data: &Path, environment: &[(&'static str, String)]) -> Server {
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Server::start_with(data, &environment)
}

/// What was acknowledged: the seat of each reservation, and whose it is.
type Book = BTreeMap<String, (String, String)>;

/// Clients that hold seats, one after the other, of whoever answers.
struct Crowd {
    url: Arc<Mutex<String>>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    clients: JoinSet<(Book, Duration)>,
}

impl Crowd {
    fn come(server: &Server, wave: u64) -> Self {
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
    async fn acknowledged(&self, more: u64) {
        let until = self.acknowledged.load(Ordering::Relaxed) + more;
        while self.acknowledged.load(Ordering::Relaxed) < until {
            tokio::task::yield_now().await;
        }
    }

    /// Sends the clients to another process.
    fn turn_to(&self, server: &Server) {
        self.url.lock().unwrap().clone_from(&server.url);
    }

    /// Ends it; returns what was acknowledged, and the longest time in which nobody was.
    async fn go(mut self) -> (Book, Duration) {
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
        let sent = client.post(url).bearer_auth(token(&user)).json(&body).send().await;
        // A process that is gone, or that no longer has the log, says so or says nothing.
        let Ok(answer) = sent else { continue };
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
async fn check(server: &Server, book: &Book) {
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

async fn prepare(server: &Server) {
    server.prepare(SEATS, json!({"holdSeconds": 86_400, "maxSeatsPerUser": 1_000})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_is_followed_by_one_without_its_disk() {
    let Some(servers) = Servers::start(1) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut server = serve(dir.path(), &environment(&servers, "1", "node-0"));
    prepare(&server).await;
    let mut book = Book::new();
    for life in 1..=4_u64 {
        let crowd = Crowd::come(&server, life);
        crowd.acknowledged(ACKNOWLEDGED).await;
        if life == 2 {
            // It may die after a snapshot as well.
            let (status, taken) = server.admin(Method::POST, "/api/v1/admin/snapshots", None).await;
            assert!(status < 300, "{status} {taken}");
            crowd.acknowledged(ACKNOWLEDGED / 2).await;
        }
        server.kill();
        book.extend(crowd.go().await.0);

        // Where it starts, nothing is of before.
        let elsewhere = dir.path().join(format!("node-{life}"));
        server = serve(&elsewhere, &environment(&servers, "1", &format!("node-{life}")));
        check(&server, &book).await;
        assert!(!elsewhere.join("journal").exists() && elsewhere.join("seen").is_file());
    }
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_takes_over_and_the_first_stops_and_nothing_is_lost() {
    let Some(servers) = Servers::start(1) else { return };
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = serve(one.path(), &environment(&servers, "1", "node-a"));
    prepare(&first).await;
    let crowd = Crowd::come(&first, 1);
    crowd.acknowledged(ACKNOWLEDGED).await;
    let second = serve(other.path(), &environment(&servers, "1", "node-b"));
    assert_eq!(first.wait().code(), Some(1), "it ends by itself");
    crowd.turn_to(&second);
    crowd.acknowledged(ACKNOWLEDGED).await;
    let (book, _) = crowd.go().await;
    check(&second, &book).await;

    // History, the feed and the export are whole, over both lives.
    let (status, export) = second.admin(Method::GET, "/api/v1/admin/overview", None).await;
    assert_eq!(status, 200, "{export}");
    let (status, refused) = second.admin(Method::GET, "/api/v1/admin/backup", None).await;
    assert_eq!((status, &refused["code"]), (404, &json!("not_found")));
    assert!(second.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sale_goes_on_when_the_logs_leader_is_killed() {
    let Some(mut servers) = Servers::start(3) else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), &environment(&servers, "3", "node-a"));
    prepare(&server).await;
    let mut book = Book::new();
    for wave in 1..=2 {
        let crowd = Crowd::come(&server, wave);
        crowd.acknowledged(ACKNOWLEDGED).await;
        let leader = leader(&servers).await;
        servers.kill(leader);
        crowd.acknowledged(ACKNOWLEDGED).await;
        let (held, gap) = crowd.go().await;
        println!("the log's leader was killed: nobody was acknowledged for {:.1} s", gap.as_secs_f64());
        book.extend(held);
        check(&server, &book).await;
        servers.run(leader);
    }
    drop(server);
    let elsewhere = tempfile::tempdir().unwrap();
    let server = serve(elsewhere.path(), &environment(&servers, "3", "node-b"));
    check(&server, &book).await;
}

/// Returns which server leads the log's stream.
async fn leader(servers: &Servers) -> usize {
    let (user, password) = LOGIN;
    let options = async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    let client = options.connect(servers.urls()).await.unwrap();
    let told = client.request("$JS.API.STREAM.INFO.ONSALE_onsale", "".into()).await.unwrap();
    let info: Value = serde_json::from_slice(&told.payload).unwrap();
    info["cluster"]["leader"].as_str().unwrap().strip_prefix("server-").unwrap().parse().unwrap()
}

#[test]
fn settings_that_do_not_go_together_are_refused_before_anything_is_done() {
    let serve = |more: &[(&str, &str)]| {
        let dir = tempfile::tempdir().unwrap();
        let ended = Command::new(env!("CARGO_BIN_EXE_onsale"))
            .args(["serve", "--log", "nats://127.0.0.1:1"])
            .env("ONSALE_LISTEN", "127.0.0.1:0")
            .env("ONSALE_DATA_DIR", dir.path())
            .env("ONSALE_JWT_SECRET", SECRET)
            .env("ONSALE_ADMIN_TOKEN", ADMIN)
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    let (code, said) = serve(&[]);
    assert!(code == Some(2) && said.contains("cluster.secret isn't"), "{said}");
    let secret = ("ONSALE_CLUSTER_SECRET", "0123456789012345678901234567890123456789");
    let (code, said) = serve(&[secret, ("ONSALE_ARCHIVE_AFTER", "30d")]);
    assert!(code == Some(2) && said.contains("archive.after isn't possible yet with cluster.log"), "{said}");
    let (code, said) = serve(&[secret]);
    assert!(code == Some(1) && said.contains("none of the log's servers (nats://127.0.0.1:1)"), "{said}");

    // A command for a stopped engine would take the log over from one that runs.
    let dir = tempfile::tempdir().unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_onsale"))
        .args(["export", "--to"])
        .arg(dir.path().join("out"))
        .arg("--data-dir")
        .arg(dir.path())
        .envs([("ONSALE_CLUSTER_LOG", "nats://127.0.0.1:1"), secret])
        .output()
        .unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.code() == Some(2) && said.contains("would take the log over"), "{said}");
}
