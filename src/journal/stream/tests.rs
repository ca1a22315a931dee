//! A replicated log with a real server: who writes, what is refused, what is retained.

use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use super::super::config::{Hooks, JournalConfig, Retain};
use super::super::frame::{self, Header};
use super::super::handle::Journal;
use super::super::open::OpenError;
use super::super::position::{Ordinal, Position};
use super::super::read_error::ReadError;
use super::super::records::Records;
use super::super::writer::{CommitError, Committed, Entry};
use super::servers::{LOGIN, SYSTEM, Servers};
use super::*;

mod controls;
mod nodes;
mod power;
mod races;

fn login((user, password): (&str, &str)) -> StreamLogin {
    StreamLogin::Password { user: user.to_owned(), password: password.to_owned() }
}

fn stream(servers: Vec<String>) -> StreamConfig {
    StreamConfig {
        servers,
        cluster: "test".to_owned(),
        replicas: 1,
        node: "node-a".to_owned(),
        secret: Box::from(&b"what all nodes know"[..]),
        login: Some(login(LOGIN)),
        system: Some(login(SYSTEM)),
        ca_file: None,
    }
}

/// A server, and a node's directory.
struct Bench {
    servers: Servers,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Option<Self> {
        Some(Self { servers: Servers::start(1)?, dir: tempfile::tempdir().unwrap() })
    }

    fn config(&self) -> JournalConfig {
        let stream = Some(stream(self.servers.urls()));
        JournalConfig { stream, retain: Retain::Snapshot, ..JournalConfig::new(self.dir.path()) }
    }

    /// Opens the log as another node, with a directory of its own.
    fn elsewhere(&self, dir: &tempfile::TempDir) -> JournalConfig {
        let stream = StreamConfig { node: "node-b".to_owned(), ..stream(self.servers.urls()) };
        JournalConfig { dir: dir.path().to_owned(), stream: Some(stream), ..self.config() }
    }

    fn refused(&self, change: impl FnOnce(&mut StreamConfig)) -> LogRefused {
        let mut config = self.config();
        change(config.stream.as_mut().unwrap());
        refused(config)
    }
}

fn refused(config: JournalConfig) -> LogRefused {
    match Journal::open(config).map(drop) {
        Err(OpenError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

fn hooks() -> Hooks {
    Hooks::with_clock(Arc::new(|| 1))
}

fn start(config: JournalConfig) -> Journal {
    Journal::open(config).unwrap().start(hooks()).unwrap()
}

async fn append(journal: &Journal, records: &[&[u8]]) -> Result<Committed, CommitError> {
    let mut encoded = Records::new();
    for record in records {
        encoded.push(record).unwrap();
    }
    let (told, fate) = tokio::sync::oneshot::channel();
    let done = Box::new(move |fate| told.send(fate).unwrap());
    journal.reserve().await?.send(Entry { records: encoded, done });
    fate.await.unwrap()
}

/// Seals a frame with one record.
fn sealed(log_id: u128, epoch: u64, first: Ordinal, record: &[u8]) -> (Header, Vec<u8>) {
    let mut records = Records::new();
    records.push(record).unwrap();
    let mut bytes = Vec::new();
    frame::begin(&mut bytes);
    bytes.extend_from_slice(records.bytes());
    let header = Header { more: false, log_id, epoch, first, chunk: 0, count: 1, life: false };
    frame::seal(&mut bytes, &header);
    (header, bytes)
}

fn all(journal: &Journal, after: Position) -> Vec<Vec<u8>> {
    journal.read(after).map(|read| read.unwrap().1.to_vec()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_starts_later_takes_the_log_over_and_nothing_of_the_first_comes_later() {
    let Some(bench) = Bench::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let first = start(bench.config());
    let one = append(&first, &[b"0001"]).await.unwrap();

    let second = start(bench.elsewhere(&dir));
    append(&second, &[b"0002"]).await.unwrap();
    assert_eq!(append(&first, &[b"lost"]).await, Err(CommitError::Unavailable), "it is surely not there");
    first.deposed().await;
    let failure = first.failure().unwrap();
    assert!(failure.contains("node-b has taken the log over, as its life 2"), "{failure}");

    append(&second, &[b"0003"]).await.unwrap();
    assert_eq!(all(&second, Position::START), [b"0001", b"0002", b"0003"]);
    assert_eq!(all(&second, one.last), [b"0002", b"0003"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_durable_is_a_reader_s_last_record_however_many_lives_begin_behind_it() {
    let Some(bench) = Bench::new() else { return };
    let mut last = Position::START;
    for entry in 0..3 {
        for _ in 0..2 {
            let journal = start(bench.config());
            assert_eq!(journal.durable(), last);
            journal.close().await.unwrap();
        }
        let journal = start(bench.config());
        // The second one takes more than one message.
        let records: Vec<_> = (0..=entry).map(|_| vec![7; 70_000]).collect();
        let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        last = append(&journal, &records).await.unwrap().last;
        journal.close().await.unwrap();
    }
    assert_eq!(all(&start(bench.config()), Position::START).len(), 1 + 2 + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_nothing_to_append_learns_that_it_was_deposed() {
    let Some(bench) = Bench::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig { idle_mark_interval: Duration::from_millis(10), ..bench.config() };
    let first = start(config);
    let _second = start(bench.elsewhere(&dir));
    first.deposed().await;
    assert!(first.failure().unwrap().contains("node-b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_comes_back_loses_nothing_and_the_writer_goes_on() {
    let Some(mut bench) = Bench::new() else { return };
    let journal = start(bench.config());
    append(&journal, &[b"0001"]).await.unwrap();
    bench.servers.kill(0);
    let waiting = {
        let journal = journal.clone();
        tokio::spawn(async move { append(&journal, &[b"0002"]).await })
    };
    bench.servers.run(0);
    waiting.await.unwrap().unwrap();
    append(&journal, &[b"0003"]).await.unwrap();
    assert_eq!(all(&journal, Position::START), [b"0001", b"0002", b"0003"]);
    journal.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_forgot_or_was_made_anew_is_refused() {
    let Some(mut bench) = Bench::new() else { return };
    let journal = start(bench.config());
    append(&journal, &[b"0001"]).await.unwrap();
    journal.close().await.unwrap();

    // The servers' disk as it was then, and goes on from there.
    bench.servers.kill(0);
    let (store, before) = (bench.servers.store(0), bench.servers.dir().join("before"));
    copy(&store, &before);
    bench.servers.run(0);
    let journal = start(bench.config());
    append(&journal, &[b"0002"]).await.unwrap();
    journal.close().await.unwrap();
    bench.servers.kill(0);
    std::fs::remove_dir_all(&store).unwrap();
    copy(&before, &store);
    bench.servers.run(0);
    let lost = refused(bench.config()).to_string();
    assert!(lost.contains("had been there") && lost.contains("seen"), "{lost}");

    // Another node doesn't know, and goes on; this one finds another message than the one that it has seen.
    let dir = tempfile::tempdir().unwrap();
    let other = start(bench.elsewhere(&dir));
    for _ in 0..4 {
        append(&other, &[b"else"]).await.unwrap();
    }
    other.close().await.unwrap();
    let lost = refused(bench.config()).to_string();
    assert!(lost.contains("is another than the one that was there"), "{lost}");

    // All of it is gone, and then made anew by another node.
    bench.servers.kill(0);
    std::fs::remove_dir_all(&store).unwrap();
    bench.servers.run(0);
    let lost = refused(bench.config()).to_string();
    assert!(lost.contains("it isn't there"), "{lost}");
    let dir = tempfile::tempdir().unwrap();
    start(bench.elsewhere(&dir)).close().await.unwrap();
    let lost = refused(bench.config()).to_string();
    assert!(lost.contains("made anew"), "{lost}");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    super::super::store::copy_dir(from, to, false).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_up_wrongly_is_refused_with_what_to_do() {
    let Some(bench) = Bench::new() else { return };
    start(bench.config()).close().await.unwrap();

    let says = |refused: LogRefused, words: &str| {
        let text = refused.to_string();
        assert!(text.contains(words), "{text}");
    };
    says(bench.refused(|stream| stream.secret = Box::from(&b"another"[..])), "another cluster.secret");
    says(bench.refused(|stream| stream.replicas = 3), "it has 1 replicas, and cluster.replicas says 3");
    says(bench.refused(|stream| stream.system = None), "cluster.system_login isn't set");
    says(bench.refused(|stream| stream.system = Some(login(LOGIN))), "has to be a user of the account");
    says(bench.refused(|stream| stream.login = Some(login(("onsale", "wrong")))), "cluster.login");
    says(bench.refused(|stream| stream.servers = vec!["nats://127.0.0.1:1".to_owned()]), "127.0.0.1:1");

    // Directories aren't mixed up.
    let mut here = bench.config();
    here.stream = None;
    says(refused(here), "belongs to a node whose log is on NATS");
    let dir = tempfile::tempdir().unwrap();
    let on_disk = JournalConfig { reserve_bytes: 0, ..JournalConfig::new(dir.path()) };
    drop(Journal::open(on_disk).unwrap());
    says(refused(bench.elsewhere(&dir)), "has a log of its own");

    // Someone changes the stream.
    let session =
        session::Session::connect(&bench.servers.urls(), Some(&login(LOGIN)), None, "test").unwrap();
    let names = names::Names::of("test");
    let changing = Arc::clone(&session);
    session.block(async move {
        let mut settings = changing.info(&names.log, None).await.unwrap().config;
        settings["max_age"] = serde_json::json!(3_600_000_000_000_u64);
        let api = format!("STREAM.UPDATE.{}", names.log);
        drop(changing.call::<serde_json::Value>(&api, &settings).await.unwrap());
    });
    says(bench.refused(|_| {}), "`max_age` is 3600000000000, and has to be 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_would_lose_messages_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let told_of = |servers: Vec<String>| {
        let stream = Some(stream(servers));
        refused(JournalConfig { stream, ..JournalConfig::new(dir.path()) })
    };

    // What Debian has: it takes appends that come too late.
    let old = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", old.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in old.incoming() {
            let mut connection = connection.unwrap();
            let info = br#"INFO {"server_id":"x","server_name":"old","version":"2.9.10","proto":1,"go":"","host":"127.0.0.1","port":1,"headers":true,"max_payload":1048576,"client_id":1}"#;
            connection.write_all(&[&info[..], b"\r\n"].concat()).unwrap();
            // It is asked whether it is there, and says so.
            let mut asked = [0; 4096];
            while let Ok(length) = connection.read(&mut asked)
                && length > 0
            {
                if connection.write_all(b"PONG\r\n").is_err() {
                    break;
                }
            }
        }
    });
    let refused = told_of(vec![url]);
    assert!(matches!(&refused, LogRefused::Version { version, .. } if version == "2.9.10"), "{refused}");

    let Some(lazy) = Servers::start_with(1, "sync_interval: 2m", "") else { return };
    let refused = told_of(lazy.urls());
    assert!(matches!(&refused, LogRefused::NotSynced(server) if server == "server-0"), "{refused}");
    let small = Servers::start_with(1, "sync_interval: always", "max_payload: 64KB").unwrap();
    let refused = told_of(small.urls());
    assert!(matches!(&refused, LogRefused::Payload { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_retained_goes_up_to_a_snapshot_and_the_last_frame_stays() {
    let Some(bench) = Bench::new() else { return };
    let journal = start(bench.config());
    let snapshot = |position, text: &[u8]| {
        let mut writer = journal.begin_snapshot(position, 0).unwrap();
        writer.section(text).unwrap();
        // More than one part.
        writer.section(&vec![7; 1_300_000]).unwrap();
        writer.finish().unwrap()
    };

    append(&journal, &[b"0001"]).await.unwrap();
    let one = append(&journal, &[b"0002", b"0003"]).await.unwrap();
    assert!(snapshot(one.last, b"one") > 1_300_000);
    journal.follow_snapshot().await.unwrap();
    assert_eq!(journal.retained_after(), Position::START, "one snapshot is none to rest on");

    let two = append(&journal, &[b"0004"]).await.unwrap();
    snapshot(two.last, b"two");
    // One that isn't finished isn't one.
    let mut given_up = journal.begin_snapshot(two.last, 0).unwrap();
    given_up.section(&vec![1; 600_000]).unwrap();
    drop(given_up);
    journal.follow_snapshot().await.unwrap();
    assert_eq!(journal.snapshots().unwrap(), [two.last, one.last]);
    assert_eq!(journal.newest_snapshot().unwrap().unwrap().sections[0], b"two");
    assert_eq!(journal.oldest(), one.first);
    assert!(matches!(journal.read(Position::START).next(), Some(Err(ReadError::Gone { .. }))));
    assert_eq!(all(&journal, journal.retained_after()), [b"0002", b"0003", b"0004"]);
    assert_eq!(all(&journal, one.last), [b"0004"]);

    // Both snapshots stand at the end: all goes but the last frame.
    snapshot(two.last, b"again");
    let three = append(&journal, &[b"0005"]).await.unwrap();
    snapshot(three.last, b"three");
    journal.follow_snapshot().await.unwrap();
    let four = append(&journal, &[b"0006"]).await.unwrap();
    snapshot(four.last, b"four");
    journal.follow_snapshot().await.unwrap();
    journal.close().await.unwrap();

    let recovering = Journal::open(bench.config()).unwrap();
    let newest = recovering.newest_snapshot().unwrap().unwrap();
    assert_eq!((newest.header.position, &newest.sections[0][..]), (four.last, &b"four"[..]));
    assert_eq!(recovering.read(newest.header.position).count(), 0);
    let journal = recovering.start(hooks()).unwrap();
    assert_eq!(all(&journal, three.last), [b"0006"]);
}
