//! Servers that forget what they acknowledged: the process that runs says so, and no start goes on from there.

use std::path::Path;
use std::process::{Command, Stdio};

use reqwest::Method;
use serde_json::json;

use crate::directory::copy;
use crate::server::{ADMIN, SECRET};
use crate::servers::Servers;
use crate::{environment, prepare, serve};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_forgot_is_told_of_and_no_start_goes_on_with_it_until_it_is_whole_again() {
    let Some(mut servers) = Servers::start(1) else { return };
    let dir = tempfile::tempdir().unwrap();
    let environment = environment(&servers, "1", "node-a");
    let server = serve(dir.path(), &environment);
    prepare(&server).await;
    let hold = |seat: u32| {
        let body = json!({"scheduleId": "s", "seats": [format!("1-A-1-{seat}")]});
        server.user("kim", Method::POST, "/api/v1/reservations", Some(body))
    };
    assert_eq!(hold(1).await.0, 201);

    // The servers' disk is put back to what it was one hold ago.
    let (store, before, newest) =
        (servers.store(0), servers.dir().join("before"), servers.dir().join("newest"));
    servers.kill(0);
    copy(&store, &before);
    servers.run(0);
    assert_eq!(hold(2).await.0, 201);
    servers.kill(0);
    copy(&store, &newest);
    let put_back = |from: &Path| {
        std::fs::remove_dir_all(&store).unwrap();
        copy(from, &store);
    };
    put_back(&before);
    servers.run(0);

    // Nothing is appended, and it finds out by itself; reads go on.
    let told = loop {
        let (status, told) = server.get("/readyz").await;
        if status == 503 {
            break told;
        }
        tokio::task::yield_now().await;
    };
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
