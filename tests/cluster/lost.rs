//! Servers that forget what they acknowledged: the process that runs says so, and no start goes on from there.

use std::path::Path;
use std::process::{Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};

use crate::directory::copy;
use crate::faults::{becomes, hold, metric};
use crate::server::{ADMIN, SECRET, Server};
use crate::servers::Servers;
use crate::{ask, environment, prepare, serve};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_forgot_is_told_of_and_no_start_goes_on_with_it_until_it_is_whole_again() {
    let Some(mut servers) = Servers::start(1) else { return };
    let dir = tempfile::tempdir().unwrap();
    let environment = environment(&servers, "1", "node-a");
    let server = serve(dir.path(), &environment);
    prepare(&server).await;
    assert_eq!(hold(&server, 1, "one").await.0, 201);

    // The servers' disk is put back to what it was one hold ago.
    let (store, before, newest) =
        (servers.store(0), servers.dir().join("before"), servers.dir().join("newest"));
    servers.kill(0);
    copy(&store, &before);
    servers.run(0);
    assert_eq!(hold(&server, 2, "two").await.0, 201);
    servers.kill(0);
    copy(&store, &newest);
    let put_back = |from: &Path| {
        std::fs::remove_dir_all(&store).unwrap();
        copy(from, &store);
    };
    put_back(&before);
    servers.run(0);

    // Nothing is appended, and it finds out by itself; reads go on.
    let told = becomes(&server, 503).await;
    assert_eq!(told["code"], "log_lost_data", "{told}");
    assert!(told["detail"].as_str().unwrap().contains("had been acknowledged"), "{told}");
    let (_, overview) = server.admin(Method::GET, "/api/v1/admin/overview", None).await;
    assert_eq!(overview["ready"], false);
    server.kill();

    // The next start would sell seat 2 again.
    let start = || {
        let ended = Command::new(env!("CARGO_BIN_EXE_onsale"))
            .arg("serve")
            .env("ONSALE_LISTEN", "127.0.0.1:0")
            .env("ONSALE_DATA_DIR", dir.path())
            .env("ONSALE_JWT_SECRET", SECRET)
            .env("ONSALE_ADMIN_TOKEN", ADMIN)
            .envs(environment.iter().map(|(name, value)| (*name, value.as_str())))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    let (code, said) = start();
    assert!(code == Some(1) && said.contains("is not what this node has seen"), "{code:?} {said}");

    servers.kill(0);
    put_back(&newest);
    servers.run(0);
    let server = serve(dir.path(), &environment);
    let (_, map) = server.get("/api/v1/schedules/s/seats").await;
    assert_eq!((&map["seats"][0]["status"], &map["seats"][1]["status"]), (&json!("held"), &json!("held")));
    assert!(server.terminate().success());
}

/// The sequence of the log's last message.
async fn last(servers: &Servers) -> u64 {
    ask(servers, "STREAM.INFO.ONSALE_onsale", Value::Null).await["state"]["last_seq"].as_u64().unwrap()
}

/// Waits until a process has asked again what became of its append, twice: once for all that came before.
async fn asks_again(server: &Server) {
    let before = metric(server, "onsale_log_unknown_answers").await;
    while metric(server, "onsale_log_unknown_answers").await < before + 2.0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_servers_forgot_deposes_nobody_however_far_another_one_writes() {
    let Some(mut servers) = Servers::start(1) else { return };
    let (one, other, third) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut environment_of_a = environment(&servers, "1", "node-a");
    environment_of_a.push(("ONSALE_LIMITS_REQUEST_TIMEOUT_SECONDS", "1".to_owned()));
    let first = serve(one.path(), &environment_of_a);
    prepare(&first).await;
    assert_eq!(hold(&first, 1, "1").await.0, 201);
    servers.kill(0);
    let (store, before) = (servers.store(0), servers.dir().join("before"));
    copy(&store, &before);
    servers.run(0);
    for seat in 2..=9 {
        while hold(&first, seat, &seat.to_string()).await.0 != 201 {}
    }
    let end = last(&servers).await;
    servers.kill(0);
    std::fs::remove_dir_all(&store).unwrap();
    copy(&before, &store);
    servers.run(0);

    // It goes on sending this one, while another process counts up to the message behind which it is to stand, and past it.
    assert_eq!(hold(&first, 10, "10").await.1["code"], "outcome_unknown");
    let second = serve(other.path(), &environment(&servers, "1", "node-b"));
    let mut seat = 2;
    let mut met = false;
    loop {
        let now = last(&servers).await;
        met |= now == end;
        if now > end + 2 {
            break;
        }
        asks_again(&first).await;
        let (status, told) = hold(&second, seat, &format!("b{seat}")).await;
        assert_eq!(status, 201, "the one that is well: {told}");
        seat += 1;
    }
    assert!(met, "the log had exactly as many messages");

    let (status, told) = hold(&first, 10, "10").await;
    assert!([409, 503].contains(&status), "nobody is acknowledged what isn't there: {status} {told}");
    assert_eq!(becomes(&first, 503).await["code"], "log_lost_data");
    assert_eq!(second.get("/readyz").await.0, 200);
    first.kill();
    second.kill();
    let third = serve(third.path(), &environment(&servers, "1", "node-c"));
    let (_, map) = third.get("/api/v1/schedules/s/seats").await;
    let statuses = map["seats"].as_array().unwrap().iter().map(|seat| seat["status"] == "held");
    let held: Vec<u32> = (1..).zip(statuses).filter_map(|(seat, is_held)| is_held.then_some(seat)).collect();
    assert_eq!(held, (1..seat).collect::<Vec<_>>());
    assert!(third.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_whose_end_is_purged_while_a_process_runs_is_told_of() {
    let Some(servers) = Servers::start(1) else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), &environment(&servers, "1", "node-a"));
    prepare(&server).await;
    ask(&servers, "STREAM.PURGE.ONSALE_onsale", json!({})).await;
    let told = becomes(&server, 503).await;
    assert_eq!(told["code"], "log_lost_data", "{told}");
    server.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_whose_beginning_is_purged_sells_on_and_a_new_snapshot_stands_for_it() {
    let Some(servers) = Servers::start(1) else { return };
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = serve(dir.path(), &environment(&servers, "1", "node-a"));
    prepare(&server).await;
    for seat in 1..=3 {
        assert_eq!(hold(&server, seat, &seat.to_string()).await.0, 201);
    }
    ask(&servers, "STREAM.PURGE.ONSALE_onsale", json!({"keep": 1})).await;
    while metric(&server, "onsale_snapshot_position").await == 0.0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(hold(&server, 4, "4").await.0, 201, "the sale goes on");
    assert_eq!(server.get("/readyz").await.0, 200);
    server.kill();

    let server = serve(elsewhere.path(), &environment(&servers, "1", "node-b"));
    let (_, map) = server.get("/api/v1/schedules/s/seats").await;
    assert!((0..4).all(|seat| map["seats"][seat]["status"] == "held"), "{}", map["seats"][3]);
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_snapshots_that_is_deleted_is_made_anew_with_a_snapshot_in_it() {
    let Some(servers) = Servers::start(1) else { return };
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut environment = environment(&servers, "1", "node-a");
    environment.push(("ONSALE_JOURNAL_RETAIN", "snapshot".to_owned()));
    let server = serve(dir.path(), &environment);
    prepare(&server).await;
    // What stands before the second one is deleted: without a snapshot the log can't be read from its beginning.
    for seat in 1..=3 {
        assert_eq!(hold(&server, seat, &seat.to_string()).await.0, 201);
        let (status, taken) = server.admin(Method::POST, "/api/v1/admin/snapshots", None).await;
        assert!(status < 300, "{status} {taken}");
    }
    let state = ask(&servers, "STREAM.INFO.ONSALE_onsale", Value::Null).await["state"].clone();
    assert!(state["first_seq"].as_u64().unwrap() > 1, "{state}");

    let deleted = ask(&servers, "STREAM.DELETE.ONSALE_onsale_SNAP", Value::Null).await;
    assert_eq!(deleted["success"], true);
    let manifests = json!({"subjects_filter": "onsale.onsale.1.snap.all.*.manifest"});
    while ask(&servers, "STREAM.INFO.ONSALE_onsale_SNAP", manifests.clone()).await["state"]["num_subjects"]
        .as_u64()
        .is_none_or(|subjects| subjects < 2)
    {
        tokio::task::yield_now().await;
    }
    while metric(&server, "onsale_log_without_snapshots").await > 0.0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(hold(&server, 4, "4").await.0, 201, "the sale goes on");
    server.kill();

    let server = serve(elsewhere.path(), &environment);
    let (_, map) = server.get("/api/v1/schedules/s/seats").await;
    assert!((0..4).all(|seat| map["seats"][seat]["status"] == "held"), "{}", map["seats"][3]);
    assert!(server.terminate().success());
}
