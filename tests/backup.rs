//! `onsale backup`: a copy of the data directory of an engine that sells meanwhile. It has all that was acknowledged before it was
//! begun, it is sound, and an engine goes on with it. What isn't whole leaves nothing that looks like a copy.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

#[path = "support/server.rs"]
mod server;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use server::{ADMIN, Server, token};
use tempfile::TempDir;

const CLIENTS: u32 = 8;
const SEATS: u32 = 400;
/// The seat that is held before the load begins.
const KEPT: u32 = SEATS + 1;
/// How many acknowledgements come before a copy is begun.
const BETWEEN: usize = 150;

/// What clients were told that isn't to change any more: whose a reservation is, and how it stands.
type Book = Arc<Mutex<Vec<(String, String, &'static str)>>>;

/// Snapshots, new generations and deletions of old ones, all the time.
const RESTLESS: [(&str, &str); 3] = [
    ("ONSALE_SNAPSHOTS_EVENTS_BETWEEN", "100"),
    ("ONSALE_SNAPSHOTS_SECONDS_BETWEEN", "1"),
    ("ONSALE_JOURNAL_RETAIN", "snapshot"),
];

/// Holds a seat of its own and gives it back, again and again.
async fn sell(number: u32, url: String, book: Book, stop: Arc<AtomicBool>) {
    let client = Client::new();
    let name = format!("fan-{number}");
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        let seat = number * (SEATS / CLIENTS) + turn % (SEATS / CLIENTS) + 1;
        let wish = json!({"scheduleId": "s", "seats": [format!("1-A-1-{seat}")]});
        let asked = client.post(format!("{url}/api/v1/reservations")).bearer_auth(token(&name)).json(&wish);
        // The server may have been killed, which ends this client.
        let Ok(answer) = asked.send().await else { return };
        turn += 1;
        // A hold that wasn't answered before a kill may be there.
        if answer.status() == 409 {
            continue;
        }
        assert_eq!(answer.status(), 201);
        let Ok(held) = answer.json::<Value>().await else { return };
        let id = held["reservationId"].as_str().unwrap().to_owned();

        let path = format!("{url}/api/v1/reservations/{id}");
        let Ok(answer) = client.delete(path).bearer_auth(token(&name)).send().await else { return };
        assert_eq!(answer.status(), 200);
        book.lock().unwrap().push((name.clone(), id, "released"));
    }
}

fn backup(url: &str, to: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_onsale"))
        .args(["backup", "--url", url, "--admin-token", ADMIN, "--to"])
        .arg(to)
        .env_clear()
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

/// Asserts that nothing is at a place, nor beside it what might be taken for a copy.
fn assert_absent(to: &Path) {
    assert!(!to.exists());
    let partial = PathBuf::from(format!("{}.partial", to.display()));
    assert!(!partial.exists(), "{}", partial.display());
}

fn verify(dir: &Path) {
    let verify = Command::new(env!("CARGO_BIN_EXE_onsale"))
        .args(["verify", "--data-dir"])
        .arg(dir)
        .env_clear()
        .output()
        .unwrap();
    let said = said(&verify);
    assert!(verify.status.success() && said.contains("stopped cleanly"), "{said}");
}

/// Waits until so many more were told.
async fn told(book: &Book, more: usize) {
    let wanted = book.lock().unwrap().len() + more;
    while book.lock().unwrap().len() < wanted {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_copy_taken_under_load_has_all_that_was_acknowledged_before_and_an_engine_goes_on_with_it() {
    let dir = TempDir::new().unwrap();
    let server = Server::start_with(&dir.path().join("data"), &RESTLESS);
    server.prepare(SEATS + 1, json!({"maxSeatsPerUser": 1_000})).await;
    // One seat is kept; the others' clients leave it out.
    let kept = json!({"scheduleId": "s", "seats": [format!("1-A-1-{KEPT}")]});
    let kept = server.user("keeper", Method::POST, "/api/v1/reservations", Some(kept)).await.1;
    let kept = kept["reservationId"].as_str().unwrap().to_owned();

    let (book, stop) = (Book::default(), Arc::new(AtomicBool::new(false)));
    book.lock().unwrap().push(("keeper".to_owned(), kept, "held"));
    let clients = (0..CLIENTS).map(|number| sell(number, server.url.clone(), book.clone(), stop.clone()));
    let clients: Vec<_> = clients.map(tokio::spawn).collect();

    let mut copies = Vec::new();
    for name in ["first", "second", "third"] {
        told(&book, BETWEEN).await;
        let before = book.lock().unwrap().clone();
        let (url, to) = (server.url.clone(), dir.path().join(name));
        let place = to.clone();
        let done = tokio::task::spawn_blocking(move || backup(&url, &place)).await.unwrap();
        assert!(done.status.success(), "{}", said(&done));
        assert!(said(&done).starts_with("backed up to position "), "{}", said(&done));
        copies.push((to, before));
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    server.kill();

    for (copy, before) in copies {
        verify(&copy);
        let server = Server::start(&copy);
        for (user, id, status) in before {
            let (code, found) =
                server.user(&user, Method::GET, &format!("/api/v1/reservations/{id}"), None).await;
            assert_eq!((code, found["status"].as_str()), (200, Some(status)), "{user} {id}");
        }
        let hold = json!({"scheduleId": "s", "seats": [format!("1-A-1-{KEPT}")]});
        let (code, _) = server.user("other", Method::POST, "/api/v1/reservations", Some(hold)).await;
        assert_eq!(code, 409, "the keeper's seat stays the keeper's");
        let best = json!({"scheduleId": "s", "bestAvailable": {"count": 2}});
        assert_eq!(server.user("other", Method::POST, "/api/v1/reservations", Some(best)).await.0, 201);
        assert!(server.terminate().success());
        verify(&copy);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_engine_that_is_killed_under_a_backup_leaves_a_whole_copy_or_none() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::start_with(&data, &RESTLESS);
    server.prepare(SEATS + 1, json!({"maxSeatsPerUser": 1_000})).await;
    for round in 0..3 {
        let (book, stop) = (Book::default(), Arc::new(AtomicBool::new(false)));
        let clients = (0..CLIENTS).map(|number| sell(number, server.url.clone(), book.clone(), stop.clone()));
        let clients: Vec<_> = clients.map(tokio::spawn).collect();
        told(&book, BETWEEN).await;
        let (url, to) = (server.url.clone(), dir.path().join(format!("copy-{round}")));
        let place = to.clone();
        let backup = tokio::task::spawn_blocking(move || backup(&url, &place));
        // Some of the rounds end before the backup does, some after.
        told(&book, 1 + 20 * round).await;
        server.kill();
        let done = backup.await.unwrap();
        for client in clients {
            client.await.unwrap();
        }
        if done.status.success() {
            verify(&to);
        } else {
            assert_eq!(done.status.code(), Some(1), "{}", said(&done));
            assert_absent(&to);
        }
        server = Server::start_with(&data, &RESTLESS);
    }
    let to = dir.path().join("at last");
    assert!(backup(&server.url, &to).status.success());
    verify(&to);
}

/// Gives one answer to whoever calls, and hangs up.
fn answering(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\nconnection: close\r\n\r\n";
        // A client that has enough may hang up first.
        let _ = socket.write_all(&[head.as_bytes(), &answer].concat());
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_cut_changed_or_of_another_program_makes_no_copy_and_says_why() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(&dir.path().join("data"));
    server.prepare(10, json!({})).await;
    assert_eq!(server.admin(Method::POST, "/api/v1/admin/snapshots", None).await.0, 200);
    let request = server.request(Method::GET, "/api/v1/admin/backup").bearer_auth(ADMIN);
    let whole = request.send().await.unwrap().bytes().await.unwrap().to_vec();

    let to = dir.path().join("copy");
    let fails = |answer: &[u8], why: &str| {
        let done = backup(&answering(answer.to_vec()), &to);
        let said = said(&done);
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains(why), "{said}");
        assert_absent(&to);
    };
    let len = whole.len();
    for cut in [0, 1, 5, 80, 90, len / 4, len / 2, len * 3 / 4, len - 9, len - 1] {
        fails(&whole[..cut], "cut off");
    }
    for changed in [5 + 10, 5 + 70, len / 3, len / 2, len * 2 / 3, len - 20, len - 1] {
        let mut answer = whole.clone();
        answer[changed] ^= 1;
        fails(&answer, "");
    }
    fails(&[&whole[..], b"more"].concat(), "");
    fails(b"<html>not an engine</html>", "isn't a copy of this version");

    // The same bytes, whole, are a copy, and a second one in its place is refused.
    assert!(backup(&answering(whole), &to).status.success());
    verify(&to);
    let again = backup(&server.url, &to);
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));
    verify(&to);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_administrator_gets_a_copy() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(&dir.path().join("data"));
    server.prepare(10, json!({})).await;
    assert_eq!(server.user("kim", Method::GET, "/api/v1/admin/backup", None).await.0, 403);
    let wrong = Command::new(env!("CARGO_BIN_EXE_onsale"))
        .args([
            "backup",
            "--url",
            &server.url,
            "--admin-token",
            "another-token-of-32-characters-or-so",
            "--to",
        ])
        .arg(dir.path().join("copy"))
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(1), "{}", said(&wrong));
    assert!(said(&wrong).contains("401"), "{}", said(&wrong));
    assert_absent(&dir.path().join("copy"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_engines_directory_is_copied_too() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    server.prepare(10, json!({})).await;
    assert!(server.terminate().success());
    let done = Command::new(env!("CARGO_BIN_EXE_onsale"))
        .args(["backup", "--data-dir"])
        .arg(&data)
        .arg("--to")
        .arg(dir.path().join("copy"))
        .env_clear()
        .env("ONSALE_JOURNAL_RESERVE_BYTES", "0")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", said(&done));
    verify(&dir.path().join("copy"));
    verify(&data);
}

#[test]
fn a_copy_that_is_being_made_is_left_alone_by_a_second_run() {
    let dir = tempfile::tempdir().unwrap();
    let partial = dir.path().join("copy.partial");
    std::fs::create_dir(&partial).unwrap();
    std::fs::write(partial.join("mine"), b"").unwrap();
    let held = std::fs::File::open(&partial).unwrap();
    held.lock().unwrap();

    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
        command.arg("backup").arg("--to").arg(dir.path().join("copy"));
        command.args(["--url", "http://127.0.0.1:1", "--admin-token", "none"]).output().unwrap()
    };
    let second = run();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8(second.stderr).unwrap().contains("another backup is being made"));
    assert!(partial.join("mine").is_file());

    // What a killed run has left is nobody's.
    drop(held);
    assert_ne!(run().status.code(), Some(0), "there is no engine");
    assert!(!partial.exists());
}
