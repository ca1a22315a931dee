//! The real binary, started for a test, on a free port of loopback, and stopped or killed by its pid.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::zombie_processes,
    reason = "shared by test crates, each of which uses what it needs"
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use onsale::journal::{StreamConfig, StreamLogin};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

pub const SECRET: &str = "a-secret-for-the-tests-of-32-bytes-or-more";
pub const ADMIN: &str = "an-administrators-token-for-the-tests";

/// A started `onsale serve`. Dropping it kills it.
pub struct Server {
    child: Child,
    pub url: String,
    /// Where its metrics are: the same, unless it was told another address.
    pub metrics: String,
    pub client: Client,
}

impl Server {
    /// Starts a server on a data directory and waits until it says that it is ready.
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// The same with more of the environment.
    pub fn start_with(data: &Path, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_onsale"))
            .arg("serve")
            .env("ONSALE_LISTEN", "127.0.0.1:0")
            .env("ONSALE_DATA_DIR", data)
            .env("ONSALE_JWT_SECRET", SECRET)
            .env("ONSALE_ADMIN_TOKEN", ADMIN)
            .env("ONSALE_RATE_LIMIT", "off")
            .env("ONSALE_JOURNAL_RESERVE_BYTES", "0")
            .envs(log_of(data))
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next_url = || loop {
            let line = lines.next().expect("it says its URLs before it ends").unwrap();
            if let Some(start) = line.find("http://127.0.0.1:") {
                let url = line[start..].split_whitespace().next().unwrap();
                let end = url["http://".len()..].find('/').map_or(url.len(), |end| end + "http://".len());
                break (line.contains("metrics"), url[..end].to_owned());
            }
        };
        let (_, url) = next_url();
        let metrics = loop {
            if let (true, metrics) = next_url() {
                break metrics;
            }
        };
        // What else it says is read, so that its pipe never fills.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url, metrics, client: Client::new() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it where it stands, as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, as an init system does, and waits.
    pub fn terminate(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap()
    }

    /// Waits until it ends by itself.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Does something while the process stands still.
    pub fn pause(&self, what: impl FnOnce()) {
        self.signal("-STOP");
        what();
        self.signal("-CONT");
    }

    /// Stops the process where it stands, or has it go on.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// Sends a request as an administrator and returns the status and the document.
    pub async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = self.request(method, path).bearer_auth(ADMIN);
        answer(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    /// Sends a request as a user and returns the status and the document.
    pub async fn user(&self, user: &str, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = self.request(method, path).bearer_auth(token(user));
        answer(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path)).await
    }

    /// Makes a hall of one row of `seats` seats, and an open schedule `s` in it.
    pub async fn prepare(&self, seats: u32, policy: Value) {
        let rows = json!([{"rowId": "1", "grade": "R", "length": seats}]);
        let venue = json!({"name": "Hall", "address": "", "type": "hall", "timeZone": "UTC",
            "sections": [{"sectionId": "A", "floor": "1", "rows": rows}]});
        assert_eq!(self.admin(Method::PUT, "/api/v1/venues/v", Some(venue)).await.0, 201);
        let concert = json!({"title": "Show", "artist": "Someone", "venueId": "v", "currency": "KRW",
            "grades": [{"grade": "R", "price": 50_000, "color": "#888888"}]});
        assert_eq!(self.admin(Method::PUT, "/api/v1/concerts/c", Some(concert)).await.0, 201);
        let schedule = json!({"concertId": "c", "startsAt": "2037-01-01T10:00:00.000Z",
            "endsAt": "2037-01-01T12:00:00.000Z", "policy": policy});
        assert_eq!(self.admin(Method::PUT, "/api/v1/schedules/s", Some(schedule)).await.0, 201);
        assert_eq!(self.admin(Method::POST, "/api/v1/schedules/s/open", None).await.0, 200);
    }
}

/// Says which servers of NATS have the logs of the tests, if any has: `tests/nats/run` sets it.
fn log() -> Option<String> {
    std::env::var("TESTS_LOG").ok()
}

/// Tells whether the log is in the data directory, which a test needs; says aloud where it isn't.
pub fn is_log_local(needs: &str) -> bool {
    if log().is_some() {
        eprintln!("not tested with the log on NATS: it needs {needs}");
    }
    log().is_none()
}

fn log_name(data: &Path) -> String {
    data.file_name().unwrap().to_string_lossy().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// Returns the log of a directory's server, if it is on NATS.
pub fn stream_of(data: &Path) -> Option<StreamConfig> {
    let login = |user: &str, password: &str| {
        Some(StreamLogin::Password { user: user.to_owned(), password: password.to_owned() })
    };
    Some(StreamConfig {
        servers: vec![log()?],
        cluster: log_name(data),
        replicas: 1,
        node: "test".to_owned(),
        secret: Box::from(SECRET.as_bytes()),
        login: login("onsale", "log-password"),
        system: login("system", "system-password"),
        ca_file: None,
    })
}

/// Puts the log on NATS where there are servers for it, each directory's in streams of its own: so every suite that starts the program
/// runs on them. The users are those of `tests/nats/servers.rs`.
fn log_of(data: &Path) -> Vec<(&'static str, String)> {
    let Some(servers) = log() else { return Vec::new() };
    vec![
        ("ONSALE_CLUSTER_LOG", servers),
        ("ONSALE_CLUSTER_NAME", log_name(data)),
        ("ONSALE_CLUSTER_REPLICAS", "1".to_owned()),
        ("ONSALE_CLUSTER_SECRET", SECRET.to_owned()),
        ("ONSALE_CLUSTER_LOGIN", "onsale:log-password".to_owned()),
        ("ONSALE_CLUSTER_SYSTEM_LOGIN", "system:system-password".to_owned()),
    ]
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

/// Returns a user's token, valid until 2100.
pub fn token(user: &str) -> String {
    signed(&json!({"sub": user, "exp": 4_102_444_800_u64}))
}

/// Returns a token with any claims.
pub fn signed(claims: &Value) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
}
