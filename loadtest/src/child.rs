//! The processes that a run starts: `onsale`, the echo, and the peers. (Redis and Postgres are `compare`'s.)
//!
//! Invariant: a child doesn't outlive its owner: dropped, it is killed. (If the load test itself is
//! killed with SIGKILL, the echo ends by itself, since its input closes; `onsale` has to be stopped by hand.)

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::{lane::shown, setup::Client, target::Target};

/// How long a server may take until it is ready; recovery included.
const READY_SECONDS: u64 = 60;
/// How long it may take to stop.
const STOP_SECONDS: u64 = 60;
/// How often a starting server is asked.
const READY_PAUSE: Duration = Duration::from_millis(50);

/// What a server is started with.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) workers: usize,
    pub(crate) jwt_secret: String,
    pub(crate) admin_token: String,
    /// Settings of the server that the run wants otherwise: `ONSALE_…=…`.
    pub(crate) settings: Vec<(String, String)>,
    /// Where its temporary directory is made.
    pub(crate) scratch: PathBuf,
}

/// A server that this run started.
pub(crate) struct Server {
    pub(crate) target: Target,
    launch: Launch,
    child: Child,
    dir: TempDir,
}

impl Server {
    /// Starts it on a free port with an empty data directory and waits until it is ready.
    pub(crate) async fn start(launch: Launch) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("onsale-loadtest-")
            .tempdir_in(&launch.scratch)
            .with_context(|| format!("making a directory in {}", launch.scratch.display()))?;
        let target = Target::new(free_address()?).map_err(anyhow::Error::msg)?;
        let child = spawn(&launch, target, dir.path())?;
        let mut server = Self { target, launch, child, dir };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// Kills it with SIGKILL, starts it again on the same data and port, and waits until it is ready.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.kill().await?;
        self.child = spawn(&self.launch, self.target, self.dir.path())?;
        self.wait_until_ready().await
    }

    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("killing the server")
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let mut last = "nothing".to_owned();
        let ready = async {
            loop {
                match ask_ready(self.target).await {
                    Ok((200, _)) => return Ok(()),
                    Ok((status, body)) => last = format!("{status} {}", shown(&body)),
                    Err(error) => last = format!("{error:#}"),
                }
                if let Some(status) = self.child.try_wait()? {
                    bail!("{} ended at once: {status}", self.launch.program.display());
                }
                sleep(READY_PAUSE).await;
            }
        };
        let ready = timeout(Duration::from_secs(READY_SECONDS), ready).await;
        let ready =
            ready.with_context(|| format!("not ready in {READY_SECONDS} s; /readyz said last: {last}"));
        ready.flatten().map_err(|error| self.with_log(&error))
    }

    /// Stops it with SIGTERM; it must end with code 0.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = self.pid().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        kill_process(pid.context("the server has ended before it was stopped")?, Signal::TERM)?;
        let status = timeout(Duration::from_secs(STOP_SECONDS), self.child.wait())
            .await
            .map_err(|_| self.with_log(&anyhow::anyhow!("the server didn't stop on SIGTERM in time")))??;
        ensure!(
            status.success(),
            self.with_log(&anyhow::anyhow!("the server stopped on SIGTERM with {status}, not with code 0"))
        );
        Ok(())
    }

    /// Keeps what the server left, for a person to look at.
    pub(crate) fn keep(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }

    /// Adds the end of the server's log to an error.
    pub(crate) fn with_log(&self, error: &anyhow::Error) -> anyhow::Error {
        let log = std::fs::read_to_string(log_path(self.dir.path())).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        anyhow::anyhow!("{error:#}\nthe last lines of the server's log:\n{tail}")
    }
}

/// Returns an address of this machine that nobody listens on. Between this and the server's own bind another process could take the port;
/// then the server doesn't start, and says so.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

async fn ask_ready(target: Target) -> Result<(u16, Vec<u8>)> {
    Client::connect(target, None).await?.get("/readyz").await
}

fn log_path(dir: &Path) -> PathBuf {
    dir.join("server.log")
}

fn spawn(launch: &Launch, target: Target, dir: &Path) -> Result<Child> {
    let log = File::options().create(true).append(true).open(log_path(dir))?;
    let mut command = Command::new(&launch.program);
    command
        .arg("serve")
        // Nothing of the caller's environment is part of the measurement, or refused as unknown.
        .env_clear()
        .env("ONSALE_LISTEN", target.host())
        .env("ONSALE_DATA_DIR", dir.join("data"))
        .env("ONSALE_JWT_SECRET", &launch.jwt_secret)
        .env("ONSALE_ADMIN_TOKEN", &launch.admin_token)
        .env("ONSALE_RATE_LIMIT", "off")
        .env("ONSALE_LIMITS_SIGN_INS_PER_MINUTE", "1000000")
        // Everyone's reads come from one address here, those of the check, too.
        .env("ONSALE_LIMITS_READS_PER_SECOND", "off")
        .env("ONSALE_WORKER_THREADS", launch.workers.to_string())
        .envs(launch.settings.iter().map(|(name, value)| (name, value)))
        .current_dir(dir);
    spawn_logged(command, log)
}

/// Starts a program whose output goes to a file.
pub(crate) fn spawn_logged(mut command: Command, log: File) -> Result<Child> {
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C is for us: we stop the program when we are done with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {}", command.as_std().get_program().display()))
}

/// A small server that is a child of this same program: the bare echo, or a peer.
pub(crate) struct Small {
    pub(crate) target: Target,
    child: Child,
}

impl Small {
    pub(crate) async fn echo(workers: usize) -> Result<Self> {
        Self::start(workers, &["echo"], &[]).await
    }

    /// Starts the command, which says where it listens, and ends when its input closes.
    pub(crate) async fn start(workers: usize, command: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        let name = command.first().context("no command")?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--workers", &workers.to_string()])
            .args(command)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting the {name}"))?;
        let stdout = child.stdout.take().with_context(|| format!("the {name} has no output"))?;
        let mut line = String::new();
        let mut stdout = BufReader::new(stdout);
        timeout(Duration::from_secs(READY_SECONDS), stdout.read_line(&mut line))
            .await
            .with_context(|| format!("the {name} doesn't start"))??;
        let address: SocketAddr =
            line.trim().parse().with_context(|| format!("the {name} should say where it listens"))?;
        Ok(Self { target: Target::new(address).map_err(anyhow::Error::msg)?, child })
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }
}

/// Reads the CPU time that a process has used, in microseconds; nothing if it is gone.
/// Source: proc(5), fields 14 and 15 of `/proc/<pid>/stat`, in clock ticks.
pub(crate) fn cpu_micros(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let ticks = ticks(&stat)?;
    Some(ticks * 1_000_000 / rustix::param::clock_ticks_per_second())
}

/// Reads the memory of a process that is resident, in bytes; nothing if it is gone.
/// Source: proc(5), field 2 of `/proc/<pid>/statm`, in pages.
pub(crate) fn resident_bytes(pid: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}

fn ticks(stat: &str) -> Option<u64> {
    // The name, field 2, may hold spaces and parentheses; nothing after it does.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11).map(str::parse::<u64>);
    Some(fields.next()?.ok()? + fields.next()?.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_the_strangest_name() {
        let stat = "7 (a) b 1 2) S 1 7 7 0 -1 4194304 1 2 3 4 150 25 0 0 20 0 5 0 100 200";
        assert_eq!(ticks(stat), Some(175));
        assert_eq!(ticks("7 (a) S 1"), None);
        assert!(cpu_micros(std::process::id()).is_some());
        assert!(resident_bytes(std::process::id()).is_some_and(|bytes| bytes > 1 << 16));
    }
}
