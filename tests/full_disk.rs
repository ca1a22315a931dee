//! A disk that fills up (B1): the snapshot that doesn't fit is left out, and the sale goes on.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

#[path = "support/server.rs"]
mod server;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Method;
use serde_json::json;
use server::Server;

/// A file system of 32 MiB in memory; unmounted when dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(at: &Path) -> Option<Self> {
        let done =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=32m", "tmpfs"]).arg(at).output().ok()?;
        done.status.success().then(|| Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).output());
    }
}

fn free(at: &Path) -> u64 {
    onsale::journal::room::free(at).unwrap().unwrap()
}

/// Writes a file until only so many bytes are free.
fn fill(at: &Path, left: u64) -> PathBuf {
    let path = at.join("filler");
    let mut file = File::create(&path).unwrap();
    let bytes = vec![7; 64 << 10];
    while free(at) > left {
        file.write_all(&bytes).unwrap();
    }
    path
}

async fn hold(server: &Server, seat: u32) -> u16 {
    let body = json!({"scheduleId": "s", "seats": [format!("1-A-1-{seat}")]});
    server.user(&format!("u{seat}"), Method::POST, "/api/v1/reservations", Some(body)).await.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_does_not_fit_is_left_out_and_the_sale_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mounted) = Mounted::new(dir.path()) else {
        eprintln!("SKIPPED full disk: nothing can be mounted here");
        return;
    };
    let (at, data) = (mounted.0.as_path(), mounted.0.join("data"));
    let server = Server::start(&data);
    server.prepare(2_000, json!({})).await;
    assert_eq!(hold(&server, 1).await, 201);
    assert_eq!(server.admin(Method::POST, "/api/v1/admin/snapshots", None).await.0, 200);
    let snapshots = || std::fs::read_dir(data.join("snapshots")).unwrap().count();
    let had = snapshots();

    // Less than what is kept for the journal, and enough for many of its entries.
    let filler = fill(at, 1 << 20);
    for seat in 2..100 {
        assert_eq!(hold(&server, seat).await, 201);
    }
    let before = free(at);
    let (status, refused) = server.admin(Method::POST, "/api/v1/admin/snapshots", None).await;
    assert_eq!((status, &refused["code"]), (503, &json!("not_ready")), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("disk"), "the reason is told: {refused}");
    assert_eq!((snapshots(), free(at)), (had, before), "nothing of it is left");
    for seat in 100..200 {
        assert_eq!(hold(&server, seat).await, 201);
    }
    let metrics = server.client.get(format!("{}/metrics", server.metrics)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("onsale_snapshots_failed_total{reason=\"no_room\"} 1"), "{metrics}");

    std::fs::remove_file(filler).unwrap();
    assert_eq!(server.admin(Method::POST, "/api/v1/admin/snapshots", None).await.0, 200);
    assert!(snapshots() > had);
    assert!(server.terminate().success());
}
