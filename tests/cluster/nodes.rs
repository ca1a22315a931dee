//! Several processes at once: one has the log, and another one takes it over when that one dies, stands still, is cut off, or ends.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Method};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::crowd::{Book, Crowd, check};
use crate::relay::Relay;
use crate::server::{ADMIN, SECRET, Server, token};
use crate::servers::{LOGIN, Servers};
use crate::{ACKNOWLEDGED, environment, feed, prepare, serve};

/// How long a takeover may take: silence of 1.65 s, and what else there is to do, on a machine with other work.
const TAKEOVER_MAX: Duration = Duration::from_secs(6);

/// Returns a port that nobody has.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Returns what a process needs to be a node, with the servers at `urls`.
fn node_environment(
    servers: &Servers,
    replicas: &str,
    name: &str,
    urls: &[String],
) -> Vec<(&'static str, String)> {
    let mut environment = environment(servers, replicas, name);
    let port = free_port();
    environment.retain(|(name, _)| *name != "ONSALE_CLUSTER_LOG");
    environment.extend([
        ("ONSALE_CLUSTER_LOG", urls.join(",")),
        ("ONSALE_LISTEN", format!("127.0.0.1:{port}")),
        ("ONSALE_METRICS_LISTEN", "127.0.0.1:0".to_owned()),
        ("ONSALE_CLUSTER_ADDRESS", format!("http://127.0.0.1:{port}")),
        ("ONSALE_DRAIN_SECONDS", "2".to_owned()),
    ]);
    environment
}

/// A process of a cluster, and its directory.
pub(crate) struct Node {
    name: String,
    pub(crate) server: Server,
    _dir: TempDir,
}

impl Node {
    pub(crate) fn start(servers: &Servers, replicas: &str, name: &str) -> Self {
        Self::start_by(servers, replicas, name, &servers.urls())
    }

    fn start_by(servers: &Servers, replicas: &str, name: &str, urls: &[String]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = serve(dir.path(), &node_environment(servers, replicas, name, urls));
        Self { name: name.to_owned(), server, _dir: dir }
    }

    /// Tells whether it has the log and serves, as its metrics say.
    async fn serves(&self, client: &Client) -> bool {
        self.metric(client, "onsale_cluster_serves").await == Some(1.0)
    }

    async fn metric(&self, client: &Client, name: &str) -> Option<f64> {
        let metrics = client.get(format!("{}/metrics", self.server.metrics)).timeout(Duration::from_secs(1));
        let metrics = metrics.send().await.ok()?.text().await.ok()?;
        metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }
}

/// Waits until one of the nodes serves, and takes it out.
async fn owner(nodes: &mut Vec<Node>) -> Node {
    let client = Client::new();
    let since = Instant::now();
    loop {
        for index in 0..nodes.len() {
            if nodes[index].serves(&client).await {
                return nodes.remove(index);
            }
        }
        assert!(since.elapsed() < Duration::from_secs(30), "nobody serves");
    }
}

/// Waits until one of the nodes serves; says how long that took, and takes it out.
async fn takeover(what: &str, nodes: &mut Vec<Node>) -> Node {
    let since = Instant::now();
    let owner = owner(nodes).await;
    let took = since.elapsed();
    println!("{what}: {} serves after {:.2} s", owner.name, took.as_secs_f64());
    assert!(took < TAKEOVER_MAX, "{took:?}");
    owner
}

fn start_three(servers: &Servers, replicas: &str) -> Vec<Node> {
    ["node-a", "node-b", "node-c"].map(|name| Node::start(servers, replicas, name)).into()
}

/// Sends its clients away, and returns what they were told.
async fn sold(owner: &Node, wave: u64) -> Crowd {
    let crowd = Crowd::come(&owner.server, wave);
    crowd.acknowledged(ACKNOWLEDGED).await;
    crowd
}

async fn killed_again_and_again(servers: &Servers, replicas: &str, rounds: u64) {
    let mut standing_by = start_three(servers, replicas);
    let mut owner = owner(&mut standing_by).await;
    prepare(&owner.server).await;
    let mut book = Book::new();
    for round in 1..=rounds {
        let crowd = sold(&owner, round).await;
        let Node { name, server, .. } = owner;
        server.kill();
        let since = Instant::now();
        book.extend(crowd.go().await.0);
        let gone = since.elapsed();
        owner =
            takeover(&format!("kill -9 (and {:.2} s before)", gone.as_secs_f64()), &mut standing_by).await;
        check(&owner.server, &book).await;
        standing_by.push(Node::start(servers, replicas, &name));
    }

    let told = feed(&owner.server).await;
    assert!(told.is_sorted_by(|(one, _), (next, _)| one < next));
    let held: std::collections::BTreeSet<_> =
        told.iter().filter_map(|(_, data)| data["data"]["reservationId"].as_str()).collect();
    assert!(book.keys().all(|id| held.contains(id.as_str())), "the feed tells of every acknowledged hold");
    for node in standing_by {
        assert!(node.server.terminate().success(), "who stands by ends as asked");
    }
    assert!(owner.server.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_owner_is_killed_another_node_takes_over_by_itself_and_nothing_is_lost() {
    let Some(servers) = Servers::start(1) else { return };
    killed_again_and_again(&servers, "1", 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_with_three_servers() {
    let Some(servers) = Servers::start(3) else { return };
    killed_again_and_again(&servers, "3", 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_ends_hands_over_at_once() {
    let Some(servers) = Servers::start(1) else { return };
    let mut standing_by = start_three(&servers, "1");
    let mut owner = owner(&mut standing_by).await;
    prepare(&owner.server).await;
    let mut book = Book::new();
    for round in 1..=3 {
        let (held, _) = sold(&owner, round).await.go().await;
        book.extend(held);
        let Node { name, server, .. } = owner;
        let since = Instant::now();
        assert!(server.terminate().success());
        println!("the owner ended in {:.2} s", since.elapsed().as_secs_f64());
        owner = takeover("after its end", &mut standing_by).await;
        check(&owner.server, &book).await;
        standing_by.push(Node::start(&servers, "1", &name));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_stood_still_answers_nothing_that_is_no_longer_so_and_ends() {
    let Some(servers) = Servers::start(1) else { return };
    let mut standing_by = start_three(&servers, "1");
    let first = owner(&mut standing_by).await;
    prepare(&first.server).await;
    let (mut book, _) = sold(&first, 1).await.go().await;

    first.server.signal("-STOP");
    let second = takeover("the owner stands still", &mut standing_by).await;
    let (held, _) = sold(&second, 2).await.go().await;

    // It is asked the moment it goes on, for what it hasn't.
    let asked: Vec<_> = held.iter().take(16).map(|held| tokio::spawn(ask(&first.server, held))).collect();
    first.server.signal("-CONT");
    for answer in asked {
        assert_ne!(answer.await.unwrap(), Some(404), "it denies what was acknowledged");
    }
    book.extend(held);
    assert_eq!(first.server.wait().code(), Some(3), "it ends by itself");
    check(&second.server, &book).await;
}

/// Asks for a reservation; returns the answer's status, if there is an answer.
fn ask(
    server: &Server,
    (id, (user, _)): (&String, &(String, String)),
) -> impl Future<Output = Option<u16>> + use<> {
    let request = server.request(Method::GET, &format!("/api/v1/reservations/{id}")).bearer_auth(token(user));
    async { request.send().await.ok().map(|answer| answer.status().as_u16()) }
}

/// Cuts an owner off from the log's servers, but not from its clients.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_is_cut_off_from_the_servers_answers_no_longer_than_its_lease() {
    let Some(servers) = Servers::start(1) else { return };
    let relay = Relay::to(&servers.urls()[0]);
    let first = Node::start_by(&servers, "1", "node-a", &[relay.url()]);
    let mut nodes = vec![first];
    let first = owner(&mut nodes).await;
    prepare(&first.server).await;
    nodes.push(Node::start(&servers, "1", "node-b"));
    let (mut book, _) = sold(&first, 1).await.go().await;

    relay.cut();
    let second = takeover("the owner is cut off", &mut nodes).await;
    let (held, _) = sold(&second, 2).await.go().await;
    for held in held.iter().take(4) {
        assert_eq!(ask(&first.server, held).await, Some(503), "it answers though its lease is over");
    }
    book.extend(held);
    relay.mend();
    assert_eq!(first.server.wait().code(), Some(3), "it ends by itself");
    check(&second.server, &book).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_servers_stand_still_for_all_nobody_takes_over() {
    let Some(servers) = Servers::start(1) else { return };
    let mut standing_by = start_three(&servers, "1");
    let first = owner(&mut standing_by).await;
    prepare(&first.server).await;
    let (book, _) = sold(&first, 1).await.go().await;
    let client = Client::new();
    let epoch = first.metric(&client, "onsale_cluster_epoch").await;
    servers.signal(0, "-STOP");
    while first.metric(&client, "onsale_cluster_lease_age_seconds").await.unwrap() < 4.0 {}
    servers.signal(0, "-CONT");
    while first.metric(&client, "onsale_cluster_lease_age_seconds").await.unwrap() > 1.0 {}
    // For longer than it would take.
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(4) {
        assert!(first.serves(&client).await);
    }
    assert_eq!(first.metric(&client, "onsale_cluster_epoch").await, epoch);
    check(&first.server, &book).await;
}

/// Deletes the stream of leases.
async fn forget_leases(servers: &Servers) {
    let (user, password) = LOGIN;
    let options = async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    let client = options.connect(servers.urls()).await.unwrap();
    let told = client.request("$JS.API.STREAM.DELETE.ONSALE_onsale_LIVE", "".into()).await.unwrap();
    let told: serde_json::Value = serde_json::from_slice(&told.payload).unwrap();
    assert_eq!(told["success"], true, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_leases_are_lost_the_owner_ends_and_another_one_begins_anew() {
    let Some(servers) = Servers::start(1) else { return };
    let mut standing_by = start_three(&servers, "1");
    let first = owner(&mut standing_by).await;
    prepare(&first.server).await;
    let crowd = sold(&first, 1).await;
    forget_leases(&servers).await;
    assert_eq!(first.server.wait().code(), Some(3), "it ends by itself");
    let (book, _) = crowd.go().await;
    let second = takeover("the leases were lost", &mut standing_by).await;
    check(&second.server, &book).await;
}

/// Starts a process that is to be refused; returns its exit code, and what it said.
fn refused(data: &Path, environment: &[(&'static str, String)]) -> (Option<i32>, String) {
    let ended = Command::new(env!("CARGO_BIN_EXE_onsale"))
        .arg("serve")
        .env("ONSALE_DATA_DIR", data)
        .env("ONSALE_JWT_SECRET", SECRET)
        .env("ONSALE_ADMIN_TOKEN", ADMIN)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_set_up_wrongly_is_refused_or_takes_nothing() {
    let Some(servers) = Servers::start(1) else { return };
    let mut nodes = vec![Node::start(&servers, "1", "node-a")];
    let first = owner(&mut nodes).await;
    let elsewhere = tempfile::tempdir().unwrap();

    let same_name = node_environment(&servers, "1", "node-a", &servers.urls());
    let (code, said) = refused(elsewhere.path(), &same_name);
    assert!(
        code == Some(1) && said.contains("another process is alive as the node node-a"),
        "{code:?} {said}"
    );

    let mut other_secret = node_environment(&servers, "1", "node-b", &servers.urls());
    other_secret.retain(|(name, _)| *name != "ONSALE_CLUSTER_SECRET");
    other_secret
        .push(("ONSALE_CLUSTER_SECRET", "one that nobody else of the cluster knows".replace(' ', "-")));
    let (code, said) = refused(elsewhere.path(), &other_secret);
    assert!(code == Some(1) && said.contains("another cluster.secret"), "{code:?} {said}");

    // One that would keep ended reservations for another time comes after one that wouldn't, whoever is first in line.
    let mut differs = node_environment(&servers, "1", "node-d", &servers.urls());
    differs.push(("ONSALE_LIMITS_ENDED_RETENTION_DAYS", "9".to_owned()));
    let dir = tempfile::tempdir().unwrap();
    let differs = Node { name: "node-d".to_owned(), server: serve(dir.path(), &differs), _dir: dir };
    nodes = vec![Node::start(&servers, "1", "node-c"), differs];
    first.server.kill();
    let second = takeover("the owner died", &mut nodes).await;
    assert_eq!(second.name, "node-c");
    second.server.kill();
    assert_eq!(takeover("nobody like the owner is left", &mut nodes).await.name, "node-d");

    // Without an address it would take the log from a living owner, and with one it needs a log.
    let (code, said) =
        refused(elsewhere.path(), &[("ONSALE_CLUSTER_ADDRESS", "http://127.0.0.1:1".to_owned())]);
    assert!(code == Some(2) && said.contains("cluster.log isn't"), "{code:?} {said}");
}
