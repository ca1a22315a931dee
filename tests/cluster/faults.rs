//! Servers of the log that die, stand still, or have no room: changes wait, and nothing is lost.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::crowd::{Book, Crowd, check};
use crate::server::{Server, token};
use crate::servers::Servers;
use crate::{ACKNOWLEDGED, ask, environment, prepare, serve};

/// Returns which server leads the log's stream.
async fn leader(servers: &Servers) -> usize {
    let info = ask(servers, "STREAM.INFO.ONSALE_onsale", Value::Null).await;
    info["cluster"]["leader"].as_str().unwrap().strip_prefix("server-").unwrap().parse().unwrap()
}

fn tell(what: &str, gap: Duration) {
    println!("{what}: nobody was acknowledged for {:.1} s", gap.as_secs_f64());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sale_goes_on_when_the_logs_leader_is_killed_or_stands_still() {
    let Some(mut servers) = Servers::start(3) else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), &environment(&servers, "3", "node-a"));
    prepare(&server).await;
    let mut book = Book::new();
    for wave in 1..=4 {
        let is_killed = wave % 2 == 1;
        let crowd = Crowd::come(&server, wave);
        crowd.acknowledged(ACKNOWLEDGED).await;
        let leader = leader(&servers).await;
        if is_killed {
            servers.kill(leader);
        } else {
            servers.signal(leader, "-STOP");
        }
        crowd.acknowledged(ACKNOWLEDGED).await;
        let (held, gap) = crowd.go().await;
        tell(if is_killed { "the log's leader was killed" } else { "the log's leader stood still" }, gap);
        book.extend(held);
        check(&server, &book).await;
        if is_killed {
            servers.run(leader);
        } else {
            servers.signal(leader, "-CONT");
        }
    }
    drop(server);
    let elsewhere = tempfile::tempdir().unwrap();
    let server = serve(elsewhere.path(), &environment(&servers, "3", "node-b"));
    check(&server, &book).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sale_goes_on_when_the_only_server_was_killed_and_is_back() {
    let Some(mut servers) = Servers::start(1) else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), &environment(&servers, "1", "node-a"));
    prepare(&server).await;
    let mut book = Book::new();
    for wave in 1..=3 {
        let crowd = Crowd::come(&server, wave);
        crowd.acknowledged(ACKNOWLEDGED).await;
        servers.kill(0);
        servers.run(0);
        crowd.acknowledged(ACKNOWLEDGED).await;
        let (held, gap) = crowd.go().await;
        tell("the only server was killed and started again", gap);
        book.extend(held);
        check(&server, &book).await;
    }
    drop(server);
    let elsewhere = tempfile::tempdir().unwrap();
    check(&serve(elsewhere.path(), &environment(&servers, "1", "node-b")), &book).await;
}

/// Holds a seat with a key.
pub(crate) async fn hold(server: &Server, seat: u32, key: &str) -> (u16, Value) {
    let body = json!({"scheduleId": "s", "seats": [format!("1-A-1-{seat}")]});
    let request = server.request(Method::POST, "/api/v1/reservations").bearer_auth(token("kim"));
    let answer = request.header("idempotency-key", key).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Asks with the same key until it is known what became of it.
async fn find_out(server: &Server, seat: u32, key: &str) -> Value {
    loop {
        let (status, answer) = hold(server, seat, key).await;
        if status == 201 {
            return answer;
        }
        assert!([409, 503].contains(&status), "{status} {answer}");
    }
}

pub(crate) async fn metric(server: &Server, name: &str) -> f64 {
    let metrics = server.client.get(format!("{}/metrics", server.metrics)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{name}: {metrics}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_servers_say_nothing_an_outcome_is_unknown_and_its_key_finds_it_out() {
    let Some(servers) = Servers::start(1) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut environment = environment(&servers, "1", "node-a");
    environment.push(("ONSALE_LIMITS_REQUEST_TIMEOUT_SECONDS", "1".to_owned()));
    let server = serve(dir.path(), &environment);
    prepare(&server).await;
    assert_eq!(hold(&server, 1, "before").await.0, 201);

    servers.signal(0, "-STOP");
    let (status, told) = hold(&server, 2, "during").await;
    assert_eq!((status, &told["code"]), (503, &json!("outcome_unknown")), "{told}");
    let (status, map) = server.get("/api/v1/schedules/s/seats").await;
    assert_eq!(
        (status, &map["seats"][1]["status"]),
        (200, &json!("available")),
        "nothing is shown that isn't durable"
    );
    assert_eq!(server.get("/readyz").await.0, 200, "an election may take as long");
    // Once a second went by without an answer.
    while metric(&server, "onsale_log_unknown_seconds").await <= 0.0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(becomes(&server, 503).await["code"], "journal_unavailable");
    assert_eq!(server.get("/api/v1/schedules/s/seats").await.0, 200, "reads go on");
    servers.signal(0, "-CONT");
    becomes(&server, 200).await;

    let held = find_out(&server, 2, "during").await;
    let again = find_out(&server, 2, "during").await;
    assert_eq!(again["reservationId"], held["reservationId"], "it happened once");
    assert!(metric(&server, "onsale_log_unknown_answers").await >= 1.0);
    assert!(metric(&server, "onsale_log_unknown_seconds").await <= 0.0);
    let (_, map) = server.get("/api/v1/schedules/s/seats").await;
    let held = map["seats"].as_array().unwrap().iter().filter(|seat| seat["status"] == "held").count();
    assert_eq!(held, 2);
    assert!(server.terminate().success());
}

/// Waits until the readiness probe has a status, and returns what it says then.
pub(crate) async fn becomes(server: &Server, wanted: u16) -> Value {
    loop {
        let (status, told) = server.get("/readyz").await;
        if status == wanted {
            return told;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_while_the_servers_say_nothing_ends_and_nothing_that_was_acknowledged_is_lost() {
    let Some(servers) = Servers::start(1) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut environment = environment(&servers, "1", "node-a");
    environment.push(("ONSALE_LIMITS_REQUEST_TIMEOUT_SECONDS", "1".to_owned()));
    let server = serve(dir.path(), &environment);
    prepare(&server).await;
    assert_eq!(hold(&server, 1, "before").await.0, 201);

    servers.signal(0, "-STOP");
    // Nothing is appended, and it is noticed all the same.
    assert_eq!(becomes(&server, 503).await["code"], "journal_unavailable");
    assert_eq!(hold(&server, 2, "during").await.1["code"], "outcome_unknown");
    assert_eq!(server.terminate().code(), Some(1), "its last change is unknown");
    servers.signal(0, "-CONT");

    let server = serve(dir.path(), &environment);
    let (_, map) = server.get("/api/v1/schedules/s/seats").await;
    assert_eq!(map["seats"][0]["status"], "held");
    find_out(&server, 2, "during").await;
    assert!(server.terminate().success());
}

/// A file system in memory; unmounted when dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(at: &Path, size: &str) -> Option<Self> {
        let size = format!("size={size}");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output().ok()?;
        done.status.success().then(|| Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).output());
    }
}

/// Writes a file until nothing more goes in.
fn fill(at: &Path) -> PathBuf {
    let path = at.join("filler");
    let mut file = File::create(&path).unwrap();
    while file.write_all(&[7; 4 << 10]).is_ok() {}
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_servers_disk_is_full_changes_wait_and_nothing_is_lost() {
    let at = tempfile::tempdir().unwrap();
    let Some(mounted) = Mounted::new(at.path(), "64m") else {
        eprintln!("SKIPPED a server's full disk: nothing can be mounted here");
        return;
    };
    let Some(mut servers) = Servers::start_in(&mounted.0, 1, "sync_interval: always", "") else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut environment = environment(&servers, "1", "node-a");
    environment.push(("ONSALE_LIMITS_REQUEST_TIMEOUT_SECONDS", "1".to_owned()));
    let server = serve(dir.path(), &environment);
    prepare(&server).await;
    let filler = fill(&mounted.0);
    let mut held = Vec::new();
    let (full, told) = loop {
        let seat = u32::try_from(held.len()).unwrap() + 1;
        let (status, told) = hold(&server, seat, &format!("key-{seat}")).await;
        if status != 201 {
            break (seat, told);
        }
        held.push(told["reservationId"].clone());
    };
    assert_eq!(told["code"], "outcome_unknown", "{told}");
    assert_eq!(server.get("/api/v1/schedules/s/seats").await.0, 200, "reads go on");

    // A server that had no room once takes nothing more until it is started again.
    std::fs::remove_file(filler).unwrap();
    servers.kill(0);
    servers.run(0);
    let found = find_out(&server, full, &format!("key-{full}")).await;
    assert!(!held.contains(&found["reservationId"]));
    assert_eq!(hold(&server, full + 1, "next").await.0, 201);
    drop(server);
    let elsewhere = tempfile::tempdir().unwrap();
    let server = serve(elsewhere.path(), &environment);
    let (_, map) = server.get("/api/v1/schedules/s/seats").await;
    let count = map["seats"].as_array().unwrap().iter().filter(|seat| seat["status"] == "held").count();
    assert_eq!(count, held.len() + 2);
    drop((server, servers));
}
