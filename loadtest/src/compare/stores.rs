//! Redis and Postgres from Debian's packages: each a process of this run, with a port and a directory of its own. The system's services are never
//! touched.
//!
//! Invariant: a store doesn't outlive its owner: dropped, it is told to stop, and killed if it doesn't.

use std::{
    net::SocketAddr,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::{
    child::{free_address, spawn_logged},
    peers::POSTGRES_USER,
};

/// How long a store may take until it is ready, and to stop.
const READY_SECONDS: u64 = 60;
const STOP_PAUSES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);
/// Where Debian has Postgres' programs, a directory a version.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";
/// While this file says so, Debian's packages start no service when they are installed.
const SERVICE_POLICY: &str = "/usr/sbin/policy-rc.d";

/// A store that this run started.
pub(crate) struct Store {
    pub(crate) address: SocketAddr,
    child: Child,
    stop: Signal,
    dir: TempDir,
}

/// When Redis syncs its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fsync {
    /// Before each reply.
    Always,
    /// Once a second: what was acknowledged meanwhile is lost on a power cut.
    EverySecond,
}

impl Store {
    /// Starts Redis with an append-only file and no snapshots. Its log isn't rewritten during the run, which spares it that work.
    pub(crate) async fn redis(scratch: &Path, fsync: Fsync) -> Result<Self> {
        let dir = directory(scratch, "redis")?;
        let address = free_address()?;
        let fsync = match fsync {
            Fsync::Always => "always",
            Fsync::EverySecond => "everysec",
        };
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"])
            .args(["--dir".as_ref(), dir.path().as_os_str()])
            .args(["--appendonly", "yes", "--appendfsync", fsync, "--save", ""])
            .args(["--auto-aof-rewrite-percentage", "0"]);
        let mut store = Self::spawn(command, address, Signal::TERM, dir)?;
        store
            .wait(async || TcpStream::connect(address).await.is_ok())
            .await
            .context("starting redis-server")?;
        Ok(store)
    }

    /// Makes a cluster and starts Postgres with it. Every commit is synced; checkpoints are as rare as can be, and nothing runs beside.
    pub(crate) async fn postgres(scratch: &Path, connections: usize) -> Result<Self> {
        let programs = postgres_programs().context("Postgres isn't installed")?;
        let dir = directory(scratch, "postgres")?;
        let owner = postgres_owner()?;
        if let Some((user, group)) = owner {
            chown(dir.path(), Some(user), Some(group))?;
        }
        let cluster = dir.path().join("cluster");
        let mut initdb = as_owner(&programs.join("initdb"), owner);
        initdb.arg("-D").arg(&cluster).args([
            "-U",
            POSTGRES_USER,
            "--auth=trust",
            "--no-locale",
            "-E",
            "UTF8",
            "--no-sync",
        ]);
        let made =
            initdb.current_dir(dir.path()).stdin(Stdio::null()).output().await.context("starting initdb")?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));

        let address = free_address()?;
        let mut command = as_owner(&programs.join("postgres"), owner);
        command.arg("-D").arg(&cluster);
        for setting in [
            "listen_addresses=127.0.0.1",
            &format!("port={}", address.port()),
            "unix_socket_directories=",
            &format!("max_connections={}", connections + 16),
            "shared_buffers=1GB",
            "max_wal_size=16GB",
            "min_wal_size=2GB",
            "checkpoint_timeout=1h",
            "wal_buffers=64MB",
            "jit=off",
        ] {
            command.args(["-c", setting]);
        }
        let mut store = Self::spawn(command, address, Signal::INT, dir)?;
        let port = address.port().to_string();
        let ready = async || {
            let mut asking = Command::new(programs.join("pg_isready"));
            asking.args(["-q", "-h", "127.0.0.1", "-p", &port]).stdin(Stdio::null());
            asking.status().await.is_ok_and(|status| status.success())
        };
        store.wait(ready).await.context("starting postgres")?;
        Ok(store)
    }

    fn spawn(mut command: Command, address: SocketAddr, stop: Signal, dir: TempDir) -> Result<Self> {
        let log = std::fs::File::create(dir.path().join("log"))?;
        command.current_dir(dir.path());
        let child = spawn_logged(command, log)?;
        Ok(Self { address, child, stop, dir })
    }

    async fn wait(&mut self, ready: impl AsyncFn() -> bool) -> Result<()> {
        let waiting = async {
            while !ready().await {
                if let Some(status) = self.child.try_wait()? {
                    let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
                    bail!("it ended at once: {status}\n{log}");
                }
                sleep(PAUSE).await;
            }
            Ok(())
        };
        timeout(Duration::from_secs(READY_SECONDS), waiting).await.context("not ready in time")?
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }
}

impl Drop for Store {
    /// Killed at once, Postgres would leave its shared memory behind.
    fn drop(&mut self) {
        let Some(pid) = self.child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?)) else { return };
        let _ = kill_process(pid, self.stop);
        for _ in 0..STOP_PAUSES {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

fn directory(scratch: &Path, what: &str) -> Result<TempDir> {
    let dir = tempfile::Builder::new().prefix(&format!("onsale-loadtest-{what}-")).tempdir_in(scratch);
    dir.with_context(|| format!("making a directory in {}", scratch.display()))
}

/// Postgres refuses to run as root: then it runs as the user of Debian's package. Returns that user's number and group's.
fn postgres_owner() -> Result<Option<(u32, u32)>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
    user_of(&users, "postgres").map(Some).context("there is no user postgres")
}

fn user_of(users: &str, name: &str) -> Option<(u32, u32)> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn as_owner(program: &Path, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

/// Finds the programs of the newest version.
fn postgres_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(POSTGRES_VERSIONS).ok()?.flatten();
    let versions = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let programs = |version: u32| Path::new(POSTGRES_VERSIONS).join(version.to_string()).join("bin");
    versions.filter(|version| programs(*version).join("postgres").is_file()).max().map(programs)
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Installs what is missing from Debian's packages, and says so. No service is started.
#[expect(clippy::print_stdout, reason = "the person who runs it should know")]
pub(crate) async fn install(redis: bool, postgres: bool) -> Result<()> {
    let mut packages = Vec::new();
    if redis && !is_on_path("redis-server") {
        packages.push("redis-server");
    }
    if postgres && postgres_programs().is_none() {
        packages.push("postgresql");
    }
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    ensure!(
        geteuid().is_root() && is_on_path("apt-get"),
        "missing: {names}; install them, or leave their systems out by --systems"
    );

    println!("installing {names} from this Debian's packages (no service is started)");
    let policy = Policy::forbid_services()?;
    let options = ["install", "-y", "-qq", "--no-install-recommends"];
    for arguments in [&["update", "-qq"][..], &[&options[..], &packages[..]].concat()] {
        let run = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .output()
            .await
            .context("starting apt-get")?;
        ensure!(run.status.success(), "apt-get {}: {}", arguments[0], String::from_utf8_lossy(&run.stderr));
    }
    drop(policy);
    Ok(())
}

/// Keeps packages from starting services while it lives. One that stood there before stays as it is.
struct Policy(bool);

impl Policy {
    fn forbid_services() -> Result<Self> {
        use std::{io::Write, os::unix::fs::OpenOptionsExt};

        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(SERVICE_POLICY);
        match made {
            Ok(mut file) => {
                file.write_all(b"#!/bin/sh\nexit 101\n").map(|()| Self(true)).context(SERVICE_POLICY)
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(Self(false)),
            Err(error) => Err(error).context(SERVICE_POLICY),
        }
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if self.0 {
            let _ = std::fs::remove_file(SERVICE_POLICY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let users = "root:x:0:0::/root:/bin/sh\npostgresql:x:7:8::/:\npostgres:x:101:104:a:/b:/c\n";
        assert_eq!(user_of(users, "postgres"), Some((101, 104)));
        assert_eq!(user_of(users, "redis"), None);
    }

    #[tokio::test]
    async fn a_store_that_ends_at_once_says_why_and_one_that_is_dropped_is_stopped() {
        let scratch = tempfile::tempdir().unwrap();
        let spawn = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            let dir = directory(scratch.path(), "test").unwrap();
            Store::spawn(command, free_address().unwrap(), Signal::TERM, dir).unwrap()
        };
        let error = spawn("echo no room; exit 3").wait(async || false).await.unwrap_err().to_string();
        assert!(error.contains("no room") && error.contains('3'), "{error}");

        let mark = scratch.path().join("stopped");
        let store = spawn(&format!(
            "trap 'touch {}; kill $!; exit' TERM; sleep 60 & echo ready; wait",
            mark.display()
        ));
        let log = store.dir.path().join("log");
        while std::fs::read_to_string(&log).unwrap() != "ready\n" {
            tokio::task::yield_now().await;
        }
        drop(store);
        assert!(mark.exists());
    }
}
