//! Any node takes any request: clients who talk to nodes that stand by, while the one that has the log is killed, or hands over.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::nodes::Node;
use crate::server::{ADMIN, Server, token};
use crate::servers::Servers;
use crate::{ACKNOWLEDGED, prepare};

const CLIENTS: u64 = 12;

async fn cluster(node: &Server) -> Value {
    loop {
        let (status, shown) = node.admin(Method::GET, "/api/v1/admin/cluster", None).await;
        // It is asked as fast as it answers, which is more than an address may read.
        if status != 429 {
            assert_eq!(status, 200, "{shown}");
            return shown;
        }
        tokio::task::yield_now().await;
    }
}

/// Waits until a node sees that another, or itself, has the log.
async fn until_owner(node: &Server, owner: impl Fn(&str) -> bool) -> String {
    loop {
        if let Some(name) = cluster(node).await["owner"].as_str().filter(|name| owner(name)) {
            return name.to_owned();
        }
        tokio::task::yield_now().await;
    }
}

/// Waits until requests get answers at a node.
async fn until_ready(node: &Server) {
    while node.get("/readyz").await.0 != 200 {
        tokio::task::yield_now().await;
    }
}

/// Three nodes, of which the first has the log.
async fn three(servers: &Servers) -> (Node, [Node; 2]) {
    let first = Node::start(servers, "1", "node-a");
    until_owner(&first.server, |name| name == "node-a").await;
    let others = ["node-b", "node-c"].map(|name| Node::start(servers, "1", name));
    for node in &others {
        until_owner(&node.server, |name| name == "node-a").await;
        until_ready(&node.server).await;
    }
    prepare(&others[0].server).await;
    (first, others)
}

/// What one client was told.
#[derive(Default)]
struct Told {
    /// The reservations that were acknowledged, by key where there was one.
    held: Vec<(Option<String>, String)>,
    unknown: usize,
    longest: Duration,
}

/// Clients who each hold the best seat that is left, again and again, half of them with keys.
struct Buyers {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    clients: JoinSet<(String, Told)>,
}

impl Buyers {
    fn come(nodes: &[Node]) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let url = nodes[usize::try_from(number).unwrap() % nodes.len()].server.url.clone();
            let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
            clients.spawn(async move {
                let user = format!("buyer-{number}");
                let has_keys = number % 4 < 2;
                let told = buy(&url, &user, has_keys, &stop, &acknowledged).await;
                (user, told)
            });
        }
        Self { stop, acknowledged, clients }
    }

    async fn acknowledged(&self, more: u64) {
        let until = self.acknowledged.load(Ordering::Relaxed) + more;
        while self.acknowledged.load(Ordering::Relaxed) < until {
            tokio::task::yield_now().await;
        }
    }

    async fn go(mut self) -> BTreeMap<String, Told> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = BTreeMap::new();
        while let Some(told) = self.clients.join_next().await {
            let (user, told) = told.unwrap();
            all.insert(user, told);
        }
        all
    }
}

async fn buy(url: &str, user: &str, has_keys: bool, stop: &AtomicBool, acknowledged: &AtomicU64) -> Told {
    let (client, mut told, bearer) = (Client::new(), Told::default(), token(user));
    for turn in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = has_keys.then(|| format!("{user}-{turn}"));
        let begun = Instant::now();
        let body = json!({"scheduleId": "s", "bestAvailable": {"count": 1}});
        let mut request = client.post(format!("{url}/api/v1/reservations")).bearer_auth(&bearer).json(&body);
        if let Some(key) = &key {
            request = request.header("idempotency-key", key);
        }
        // A node that stands by always answers.
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let document: Value = answer.json().await.unwrap();
        told.longest = told.longest.max(begun.elapsed());
        match status {
            201 => {
                acknowledged.fetch_add(1, Ordering::Relaxed);
                told.held.push((key, document["reservationId"].as_str().unwrap().to_owned()));
            }
            503 if key.is_none() && document["code"] == "outcome_unknown" => told.unknown += 1,
            _ => panic!("{status} {document}"),
        }
    }
    told
}

/// Compares what the clients were told with what there is: each request had one effect, or none where its outcome is unknown.
async fn check(node: &Server, all: &BTreeMap<String, Told>) {
    for (user, told) in all {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/api/v1/reservations?limit=1000{cursor}");
            let (status, list) = node.user(user, Method::GET, &path, None).await;
            assert_eq!(status, 200, "{list}");
            found.extend(
                list["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|one| one["reservationId"].as_str().unwrap().to_owned()),
            );
            match list["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let held = &told.held;
        assert!(held.iter().all(|(_, id)| found.contains(id)), "{user}: an acknowledged hold is missing");
        let most = held.len() + told.unknown;
        assert!(
            (held.len()..=most).contains(&found.len()),
            "{user}: {} of {}..={most}",
            found.len(),
            held.len()
        );

        for (key, id) in held.iter().rev().take(20) {
            let Some(key) = key else { continue };
            let request = node.request(Method::POST, "/api/v1/reservations").bearer_auth(token(user));
            let body = json!({"scheduleId": "s", "bestAvailable": {"count": 1}});
            let again = request.header("idempotency-key", key).json(&body).send().await.unwrap();
            let again: Value = again.json().await.unwrap();
            assert_eq!(again["reservationId"], **id, "{key} has had another effect");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_nodes_that_stand_by_wait_while_the_owner_is_killed_and_nothing_is_done_twice() {
    let Some(servers) = Servers::start(1) else { return };
    let (first, others) = three(&servers).await;
    let buyers = Buyers::come(&others);
    buyers.acknowledged(ACKNOWLEDGED).await;
    first.server.kill();
    let owner = until_owner(&others[0].server, |name| name != "node-a").await;
    buyers.acknowledged(ACKNOWLEDGED).await;

    let all = buyers.go().await;
    let longest = all.values().map(|told| told.longest).max().unwrap();
    let unknown: usize = all.values().map(|told| told.unknown).sum();
    println!("{owner} took over; the longest answer took {longest:?}; {unknown} outcomes are unknown");
    for node in &others {
        check(&node.server, &all).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_asked_hands_over_and_ends_and_its_clients_only_wait() {
    let Some(servers) = Servers::start(1) else { return };
    let (first, others) = three(&servers).await;
    let run = |arguments: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_onsale"))
            .args(arguments)
            .args(["--admin-token", ADMIN])
            .env_clear()
            .output()
            .unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    let (code, shown) = run(&["cluster", "status", "--url", &others[1].server.url]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("node-c (asked)") && shown.contains("owner"), "{shown}");

    let buyers = Buyers::come(&others);
    buyers.acknowledged(ACKNOWLEDGED).await;
    let (code, told) = run(&["cluster", "drain", "--url", &first.server.url]);
    assert_eq!((code, told.as_str()), (Some(0), "node-a hands over and ends\n"));
    assert!(first.server.wait().success());
    buyers.acknowledged(ACKNOWLEDGED).await;
    let all = buyers.go().await;
    let longest = all.values().map(|told| told.longest).max().unwrap();
    println!("handed over; the longest answer took {longest:?}");
    check(&others[0].server, &all).await;
}
