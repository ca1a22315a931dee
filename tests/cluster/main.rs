//! The real binary with its log on NATS: `kill -9` with clients, another process that takes over, servers of the log that die, stand still,
//! fill up and forget. What was acknowledged is found by asking, and no seat has two owners.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails loudly, and says what it measured"
)]

#[path = "../support/directory.rs"]
mod directory;
#[path = "../support/server.rs"]
mod server;
#[path = "../nats/servers.rs"]
#[allow(unreachable_pub, dead_code, reason = "other tests share it")]
mod servers;

mod crowd;
mod faults;
mod hops;
mod lost;
mod nodes;
mod relay;
mod start;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use crowd::{Book, Crowd, check};
use reqwest::Method;
use serde_json::{Value, json};
use server::{ADMIN, SECRET, Server};
use servers::{LOGIN, SYSTEM, Servers};

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

/// Asks the log's servers something, as whoever has the log's account can.
async fn ask(servers: &Servers, api: &str, body: Value) -> Value {
    let (user, password) = LOGIN;
    let options = async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    let client = options.connect(servers.urls()).await.unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let told = client.request(format!("$JS.API.{api}"), body.into()).await.unwrap();
    serde_json::from_slice(&told.payload).unwrap()
}

fn serve(data: &Path, environment: &[(&'static str, String)]) -> Server {
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Server::start_with(data, &environment)
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

/// A process that sells to a crowd.
async fn begun(servers: &Servers, data: &Path) -> (Server, Crowd) {
    let first = serve(data, &environment(servers, "1", "node-a"));
    prepare(&first).await;
    let crowd = Crowd::come(&first, 1);
    crowd.acknowledged(ACKNOWLEDGED).await;
    (first, crowd)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_takes_over_and_the_first_stops_and_nothing_is_lost() {
    let Some(servers) = Servers::start(1) else { return };
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, crowd) = begun(&servers, one.path()).await;
    let second = serve(other.path(), &environment(&servers, "1", "node-b"));
    assert_eq!(first.wait().code(), Some(3), "it ends by itself");
    crowd.turn_to(&second);
    crowd.acknowledged(ACKNOWLEDGED).await;
    let (book, _) = crowd.go().await;
    check(&second, &book).await;

    // The feed is whole, over both lives, and has one position.
    let told = feed(&second).await;
    assert!(told.is_sorted_by(|(one, _), (next, _)| one < next));
    let held: BTreeSet<_> =
        told.iter().filter_map(|(_, data)| data["data"]["reservationId"].as_str()).collect();
    assert!(book.keys().all(|id| held.contains(id.as_str())), "the feed tells of every acknowledged hold");

    let (status, refused) = second.admin(Method::GET, "/api/v1/admin/backup", None).await;
    assert_eq!((status, &refused["code"]), (404, &json!("not_found")));
    assert!(second.terminate().success());
}

/// Reads the feed up to what is durable now: each event's position, and what it says.
async fn feed(server: &Server) -> Vec<(u64, Value)> {
    let (_, overview) = server.admin(Method::GET, "/api/v1/admin/overview", None).await;
    let last = overview["journal"]["position"].as_u64().unwrap();
    let request = server.request(Method::GET, "/api/v1/events?after=0").bearer_auth(ADMIN);
    let mut response = request.send().await.unwrap();
    let (mut read, mut told): (Vec<u8>, Vec<(u64, Value)>) = (Vec::new(), Vec::new());
    while told.last().is_none_or(|(position, _)| *position < last) {
        read.extend_from_slice(&response.chunk().await.unwrap().unwrap());
        while let Some(end) = read.windows(2).position(|pair| pair == b"\n\n") {
            let block = String::from_utf8(read.drain(..end + 2).collect()).unwrap();
            let Some(data) = block.lines().find_map(|line| line.strip_prefix("data: ")) else { continue };
            let data: Value = serde_json::from_str(data).unwrap();
            told.push((data["position"].as_u64().unwrap(), data));
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_stood_still_while_another_took_over_acknowledges_nothing_more() {
    let Some(servers) = Servers::start(1) else { return };
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, crowd) = begun(&servers, one.path()).await;
    let mut second = None;
    // Its clients wait meanwhile, and what they sent is carried out when it goes on: or rather, refused.
    first.pause(|| second = Some(serve(other.path(), &environment(&servers, "1", "node-b"))));
    let second = second.unwrap();
    assert_eq!(first.wait().code(), Some(3), "it ends by itself");
    crowd.turn_to(&second);
    crowd.acknowledged(ACKNOWLEDGED).await;
    let (book, _) = crowd.go().await;
    check(&second, &book).await;
    assert!(second.terminate().success());
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
