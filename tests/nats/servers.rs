//! NATS servers for a test: on loopback, with ports and directories of their own, and stopped with it.
//!
//! The program is the one that `NATS_SERVER_PROGRAM` names, as `./test` sets it up. Without it the tests that need one say so and check
//! nothing.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails loudly, and says what it leaves out"
)]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// The user and password of the account that has the log.
pub const LOGIN: (&str, &str) = ("onsale", "log-password");
/// The user and password of the servers' system account.
pub const SYSTEM: (&str, &str) = ("system", "system-password");

/// Returns the program; says aloud where there is none.
pub fn program() -> Option<PathBuf> {
    let program = std::env::var_os("NATS_SERVER_PROGRAM").map(PathBuf::from);
    if program.is_none() {
        eprintln!("not tested: NATS_SERVER_PROGRAM names no nats-server (./test installs one)");
    }
    program
}

/// Servers that know one another.
pub struct Servers {
    program: PathBuf,
    dir: PathBuf,
    /// Goes with them, unless the directory is somebody else's.
    own: Option<tempfile::TempDir>,
    all: Vec<Server>,
}

struct Server {
    port: u16,
    child: Option<Child>,
}

impl Servers {
    /// Starts so many, with `more` in each one's configuration; nothing where there is no program.
    pub fn start_with(count: usize, jetstream: &str, more: &str) -> Option<Self> {
        let own = tempfile::tempdir().unwrap();
        let dir = own.path().to_owned();
        let mut servers = Self::start_in(&dir, count, jetstream, more)?;
        servers.own = Some(own);
        Some(servers)
    }

    /// The same in a directory that is there, and may have what servers kept in it before.
    pub fn start_in(dir: &Path, count: usize, jetstream: &str, more: &str) -> Option<Self> {
        let program = program()?;
        // All are held until all are known, so that they differ.
        let held: Vec<TcpListener> =
            (0..count * 2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = held.iter().map(|held| held.local_addr().unwrap().port()).collect();
        drop(held);
        let (ports, routes) = ports.split_at(count);

        for (index, (port, route)) in ports.iter().zip(routes).enumerate() {
            let others: Vec<String> =
                routes.iter().map(|route| format!("nats://127.0.0.1:{route}")).collect();
            let cluster = if count == 1 {
                String::new()
            } else {
                format!("cluster {{ name: test, listen: \"127.0.0.1:{route}\", routes: {others:?} }}\n")
            };
            let store = dir.join(format!("store-{index}"));
            let store = store.display();
            let ((user, password), (system, its_password)) = (LOGIN, SYSTEM);
            let config = format!(
                "listen: \"127.0.0.1:{port}\"\nserver_name: \"server-{index}\"\n{cluster}{more}\n\
                 jetstream {{ store_dir: \"{store}\", {jetstream} }}\n\
                 accounts {{\n  SYS {{ users: [{{ user: {system}, password: \"{its_password}\" }}] }}\n  \
                 ONSALE {{ jetstream: enabled, users: [{{ user: {user}, password: \"{password}\" }}] }}\n}}\n\
                 system_account: SYS\n"
            );
            fs::write(dir.join(format!("{index}.conf")), config).unwrap();
        }

        let all = ports.iter().map(|port| Server { port: *port, child: None }).collect();
        let mut servers = Self { program, dir: dir.to_owned(), own: None, all };
        for index in 0..count {
            servers.run(index);
        }
        Some(servers)
    }

    /// Starts so many that sync each message.
    pub fn start(count: usize) -> Option<Self> {
        Self::start_with(count, "sync_interval: always", "")
    }

    /// Starts one again that was killed.
    pub fn run(&mut self, index: usize) {
        let config = self.dir.join(format!("{index}.conf"));
        let log = fs::File::options().create(true).append(true).open(config.with_extension("log")).unwrap();
        let started = Command::new(&self.program)
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        let server = &mut self.all[index];
        server.child = Some(started.unwrap());
        // It answers within a second; who waits for it needn't know how.
        let answers = (0..500).any(|_| {
            let answers = TcpStream::connect(("127.0.0.1", server.port)).is_ok();
            if !answers {
                thread::sleep(Duration::from_millis(20));
            }
            answers
        });
        assert!(answers, "the server answers: {}", fs::read_to_string(config.with_extension("log")).unwrap());
    }

    /// Ends one with SIGKILL.
    pub fn kill(&mut self, index: usize) {
        let mut child = self.all[index].child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Returns the URLs of all.
    pub fn urls(&self) -> Vec<String> {
        self.all.iter().map(|server| format!("nats://127.0.0.1:{}", server.port)).collect()
    }

    /// Returns the directory in which one keeps its messages.
    pub fn store(&self, index: usize) -> PathBuf {
        self.dir.join(format!("store-{index}"))
    }

    /// Returns the directory of all.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Stops one where it stands, or has it go on.
    pub fn signal(&self, index: usize, signal: &str) {
        signal_to(signal, &[self.pid(index)]);
    }

    /// Returns what stops all of them at once where they stand, for whoever doesn't have them.
    pub fn stopper(&self) -> impl FnOnce() + Send + use<> {
        let pids: Vec<_> = (0..self.all.len()).map(|index| self.pid(index)).collect();
        move || signal_to("-STOP", &pids)
    }

    fn pid(&self, index: usize) -> String {
        self.all[index].child.as_ref().unwrap().id().to_string()
    }
}

fn signal_to(signal: &str, pids: &[String]) {
    assert!(Command::new("kill").arg(signal).args(pids).status().unwrap().success());
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in self.all.iter_mut().filter_map(|server| server.child.take()) {
            let mut child = child;
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
