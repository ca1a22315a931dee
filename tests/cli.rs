//! The `onsale` program as an operator meets it: started, asked, stopped, killed, and shown damaged files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/directory.rs"]
mod directory;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use directory::copy;
use serde_json::{Value, json};
use tempfile::TempDir;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const ADMIN: &str = "administrator-administrator-administrator";

/// The program with these arguments and no settings of whoever runs the test.
fn onsale(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// What a run printed, and how it ended.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }
}

fn run(arguments: &[&str]) -> Ran {
    Ran::of(onsale(arguments).output().unwrap())
}

/// A started server, which is killed when the test lets it go.
struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    err: PathBuf,
    address: String,
    metrics: String,
}

/// The host and port of the URL in a line.
fn host_of(line: &str) -> String {
    line.split("//").nth(1).unwrap().split('/').next().unwrap().to_owned()
}

impl Server {
    /// Starts on a free port, and waits for the line that says it is ready.
    fn start(data_dir: &Path, arguments: &[&str]) -> Self {
        let data_dir = data_dir.to_str().unwrap();
        let mut all =
            vec!["serve", "--listen", "127.0.0.1:0", "--data-dir", data_dir, "--journal-reserve-bytes", "0"];
        all.extend(arguments);
        let err = PathBuf::from(format!("{data_dir}.stderr"));
        let mut command = onsale(&all);
        let settings = arguments.iter().find_map(|argument| fs::read_to_string(argument).ok());
        let has_secret = settings.is_some_and(|settings| settings.contains("jwt_secret"));
        if !arguments.contains(&"--demo") && !has_secret {
            command.env("ONSALE_JWT_SECRET", SECRET).env("ONSALE_ADMIN_TOKEN", ADMIN);
        }
        let log = fs::File::create(&err).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, out, err, address: String::new(), metrics: String::new() };
        let api = server.line_with("  API ");
        server.address = host_of(&api);
        server.metrics = host_of(&server.line_with("  metrics "));
        server
    }

    /// Reads standard output up to the line that has `text`.
    fn line_with(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.out.read_line(&mut line).unwrap();
            assert!(read > 0, "no line with {text:?}; stderr:\n{}", self.log());
            if line.contains(text) {
                return line;
            }
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Sends a signal, and returns the exit code and the log.
    fn stop(mut self, name: &str) -> (Option<i32>, String) {
        self.signal(name);
        let code = self.child.wait().unwrap().code();
        (code, self.log())
    }

    fn get(&self, path: &str) -> (u16, String) {
        request(
            &self.address,
            &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn request(address: &str, text: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// A small house with two shows, as `import` takes it.
fn season() -> Value {
    let rows =
        json!([{"rowId": "1", "grade": "VIP", "length": 4}, {"rowId": "2", "grade": "R", "length": 6}]);
    let schedule = |id: &str, day: &str| {
        json!({"scheduleId": id, "concertId": "hamlet", "startsAt": format!("2099-05-{day}T19:00:00.000Z"),
               "endsAt": format!("2099-05-{day}T22:00:00.000Z"), "salesOpenAt": "2026-01-01T00:00:00.000Z"})
    };
    json!({
        "venues": [{"venueId": "house", "name": "House", "address": "1 Street", "type": "theater",
                    "timeZone": "Europe/London", "sections": [{"sectionId": "A", "floor": "1", "rows": rows}]}],
        "concerts": [{"concertId": "hamlet", "title": "Hamlet", "artist": "Company", "venueId": "house",
                      "currency": "KRW", "grades": [{"grade": "VIP", "price": 50000, "color": "#ff0000"},
                                                    {"grade": "R", "price": 30000, "color": "#00ff00"}]}],
        "schedules": [schedule("evening-1", "01"), schedule("evening-2", "02")],
    })
}

/// A directory for data, and the season's file beside it.
struct Stage {
    temporary: TempDir,
}

impl Stage {
    fn new() -> Self {
        let stage = Self { temporary: TempDir::new().unwrap() };
        fs::write(stage.file(), season().to_string()).unwrap();
        stage
    }

    fn data(&self) -> PathBuf {
        self.temporary.path().join("data")
    }

    fn data_text(&self) -> String {
        self.data().to_str().unwrap().to_owned()
    }

    fn file(&self) -> PathBuf {
        self.temporary.path().join("season.json")
    }

    fn file_text(&self) -> String {
        self.file().to_str().unwrap().to_owned()
    }

    fn start(&self) -> Server {
        Server::start(&self.data(), &[])
    }

    /// A stopped engine's directory with a season in it.
    fn imported() -> Self {
        let stage = Self::new();
        let ran = stage.on_data("import", &[&stage.file_text()]).ended(0);
        assert_eq!(ran.out, "imported 1 venue, 1 concert, 2 schedules\n");
        stage
    }

    /// The same, with two seats held in the first show, by a server that was then stopped by a signal.
    fn sold(signal: &str) -> Self {
        let stage = Self::imported();
        let server = stage.start();
        assert_eq!(hold(&server, "alice", 2).0, 201);
        let (code, log) = server.stop(signal);
        assert_eq!(code, if signal == "KILL" { None } else { Some(0) }, "{log}");
        stage
    }

    fn on_data(&self, command: &str, arguments: &[&str]) -> Ran {
        let data = self.data_text();
        let mut all = vec![command];
        all.extend(arguments);
        all.extend(["--data-dir", &data]);
        let mut command = onsale(&all);
        command.env("ONSALE_JOURNAL_RESERVE_BYTES", "0");
        Ran::of(command.output().unwrap())
    }

    fn replay(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.on_data("replay", arguments).ended(0).out).unwrap()
    }
}

fn token(user: &str) -> String {
    let ran = onsale(&["token", "--user", user]).env("ONSALE_JWT_SECRET", SECRET).output().unwrap();
    Ran::of(ran).ended(0).out.trim().to_owned()
}

fn hold(server: &Server, user: &str, count: u32) -> (u16, String) {
    let body = json!({"scheduleId": "evening-1", "bestAvailable": {"count": count}}).to_string();
    request(
        &server.address,
        &format!(
            "POST /api/v1/reservations HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            token(user),
            body.len()
        ),
    )
}

/// Every file below a directory with its content.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

#[test]
fn every_help_shows_an_example_what_is_printed_and_the_exit_codes() {
    let top = run(&["--help"]).ended(0).out;
    for command in
        ["serve", "import", "replay", "verify", "snapshot", "migrate", "export", "openapi", "token"]
    {
        assert!(top.contains(&format!("\n  {command} ")), "{top}");
        for flag in ["-h", "--help"] {
            let help = run(&[command, flag]).ended(0).out;
            for part in ["EXAMPLE", "PRINTS", "EXIT CODES", &format!("onsale {command}")] {
                assert!(help.contains(part), "{command} {flag}: {part}\n{help}");
            }
        }
    }
    assert_eq!(run(&["--version"]).ended(0).out, format!("onsale {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_told_with_exit_code_2() {
    run(&[]).ended(2);
    run(&["sell"]).ended(2);
    run(&["replay", "--at", "tomorrow"]).ended(2);
    run(&["replay", "--at", "2026-11-20T12:00:00Z", "--position", "7"]).ended(2);
    run(&["import", "x.json", "--url", "https://example.com"]).ended(2);
    let told = run(&["serve", "--crowd", "5000"]).ended(2).err;
    assert!(told.contains("--demo"), "{told}");
    run(&["serve", "--demo", "--crowd", "100001"]).ended(2);
    let told = run(&["verify", "--data-dir", "/nonexistent"]).ended(2).err;
    assert!(told.contains("/nonexistent holds no journal"), "{told}");
}

#[test]
fn a_server_without_a_way_to_check_tokens_does_not_start_and_says_what_to_set() {
    let told = run(&["serve"]).ended(2).err;
    assert!(told.contains("ONSALE_JWT_SECRET") && told.contains("--demo"), "{told}");
}

#[test]
fn everything_that_is_wrong_with_the_settings_is_told_at_once() {
    let ran =
        onsale(&["serve", "--listen", "here", "--drain-seconds", "long"]).env("ONSALE_LISTNE", "x").output();
    let told = Ran::of(ran.unwrap()).ended(2).err;
    for part in ["listen (flag --listen)", "drain_seconds", "ONSALE_LISTNE", "did you mean ONSALE_LISTEN"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn the_settings_are_printed_without_secrets_and_nothing_is_started_or_made() {
    let stage = Stage::new();
    for demo in [&["--demo"][..], &[]] {
        let data = stage.data_text();
        let mut command = onsale(&["serve", "--print-config", "--data-dir", &data]);
        command.args(demo).env("ONSALE_JWT_SECRET", SECRET);
        let printed = Ran::of(command.output().unwrap()).ended(0).out;
        assert!(printed.contains("data_dir") && !printed.contains(SECRET), "{printed}");
        assert!(!stage.data().exists());
    }
}

#[test]
fn a_token_is_issued_with_the_secret_and_refused_without() {
    assert_eq!(token("alice").split('.').count(), 3);
    let told = run(&["token", "--user", "alice"]).ended(2).err;
    assert!(told.contains("ONSALE_JWT_SECRET"), "{told}");
}

#[test]
fn a_token_has_the_role_that_is_asked_for() {
    use base64::Engine as _;
    let role = |arguments: &[&str]| {
        let mut command = onsale(&[&["token", "--user", "alice"], arguments].concat());
        let token = Ran::of(command.env("ONSALE_JWT_SECRET", SECRET).output().unwrap()).ended(0).out;
        let claims = token.split('.').nth(1).unwrap();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
        serde_json::from_slice::<Value>(&claims).unwrap()["role"].as_str().unwrap().to_owned()
    };
    assert_eq!((role(&[]), role(&["--admin"])), ("user".to_owned(), "admin".to_owned()));
    for name in ["user", "admin", "operator", "auditor", "feed"] {
        assert_eq!(role(&["--role", name]), name);
    }
    run(&["token", "--user", "alice", "--role", "root"]).ended(2);
    run(&["token", "--user", "alice", "--role", "feed", "--admin"]).ended(2);
}

#[test]
fn a_hangup_has_secrets_read_again_and_stops_nothing() {
    const NEXT: &str = "the-next-token-of-the-administrator-of-the-tests";
    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("onsale.toml");
    let write = |admin_token: &str| {
        fs::write(&settings, format!("jwt_secret = \"{SECRET}\"\nadmin_token = \"{admin_token}\"\n"))
            .unwrap();
    };
    write(ADMIN);
    let data = dir.path().join("data");
    let server = Server::start(&data, &["--config", settings.to_str().unwrap()]);
    let snapshot = |token: &str| {
        Ran::of(onsale(&["snapshot", "--url", &server.url(), "--admin-token", token]).output().unwrap()).code
    };
    assert_eq!((snapshot(ADMIN), snapshot(NEXT)), (Some(0), Some(1)));

    let mut feed = TcpStream::connect(&server.address).unwrap();
    feed.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    write!(
        feed,
        "GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut feed = BufReader::new(feed);
    let mut told = String::new();
    while !told.contains(": connected") {
        assert_ne!(feed.read_line(&mut told).unwrap(), 0, "{told}");
    }

    write(NEXT);
    server.signal("HUP");
    let taken = (0..1_000).any(|_| snapshot(NEXT) == Some(0));
    assert!(taken && snapshot(ADMIN) == Some(1), "{}", server.log());

    // Who follows by a token that is no longer trusted is told nothing more: what happens next ends the stream.
    let import = onsale(&["import", "demo/charlotte.json", "--url", &server.url(), "--admin-token", NEXT]);
    Ran::of({ import }.output().unwrap()).ended(0);
    feed.read_to_string(&mut told).unwrap();
    assert!(!told.contains("VenuePut"), "{told}");

    // What it can't do is told, and what it does to tokens from before.
    fs::write(
        &settings,
        format!("jwt_secret = \"{SECRET}\"\nadmin_token = \"{NEXT}\"\ndrain_seconds = 7\njwt_audience = \"onsale\"\n"),
    )
    .unwrap();
    server.signal("HUP");
    let told =
        (0..1_000).any(|_| snapshot(NEXT) == Some(0) && server.log().contains("settings=\"jwt_audience\""));
    assert!(told && server.log().contains("settings=\"drain_seconds\""), "{}", server.log());

    // Settings that can't be used change nothing, and are told: those that the next start would refuse, too.
    let half = format!(
        "jwt_secret = \"{SECRET}\"\nadmin_token = \"{ADMIN}\"\n[mail]\nhook_url = \"http://127.0.0.1:1/\"\n"
    );
    for (unusable, times) in [("jwt_secret = \"short\"\n", 1), (&half, 2)] {
        fs::write(&settings, unusable).unwrap();
        server.signal("HUP");
        let is_told = || server.log().matches("nothing changed").count() == times;
        assert!((0..1_000).any(|_| snapshot(NEXT) == Some(0) && is_told()), "{}", server.log());
    }
    assert!(!server.log().contains(NEXT) && !server.log().contains(SECRET), "no secret is logged");
    let (code, log) = server.stop("TERM");
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_start_with_a_providers_keys_and_no_audience_says_whose_tokens_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys.json");
    // The public key of RFC 8037, appendix A.2.
    let key = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    fs::write(&keys, json!({"keys": [key]}).to_string()).unwrap();
    let log =
        |name: &str, arguments: &[&str]| Server::start(&dir.path().join(name), arguments).stop("TERM").1;
    let file = keys.to_str().unwrap();
    assert!(log("a", &["--jwks-file", file]).contains("jwt_audience isn't set"));
    assert!(!log("b", &["--jwks-file", file, "--jwt-audience", "onsale"]).contains("jwt_audience isn't set"));
    assert!(!log("c", &[]).contains("jwt_audience isn't set"), "a secret is the operator's own");
}

#[test]
fn the_description_of_the_api_needs_no_engine() {
    let out = run(&["openapi"]).ended(0).out;
    assert!(!out.contains(r"\\p{"), "a class of characters that Python and others don't have");
    let description: Value = serde_json::from_str(&out).unwrap();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(description["paths"]["/api/v1/reservations"]["post"].is_object());
}

#[test]
fn a_server_is_ready_when_it_says_so_and_a_signal_stops_it_cleanly() {
    for signal in ["TERM", "INT"] {
        let stage = Stage::new();
        let server = stage.start();
        assert_eq!(server.get("/healthz").0, 200);
        assert_eq!(server.get("/readyz").0, 200);
        let (code, log) = server.stop(signal);
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("a snapshot was taken") && log.contains("stopped"), "{log}");
        let report = stage.on_data("verify", &[]).ended(0).out;
        assert!(report.contains("stopped cleanly"), "{report}");
    }
}

#[test]
fn metrics_can_have_an_address_of_their_own() {
    let stage = Stage::new();
    let server = Server::start(&stage.data(), &["--metrics-listen", "127.0.0.1:0"]);
    assert_ne!(server.metrics, server.address);
    let (status, text) =
        request(&server.metrics, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(status == 200 && text.contains("\nonsale_"), "{status} {text}");
    assert_eq!(server.get("/metrics").0, 404);
    assert_eq!(server.stop("TERM").0, Some(0));
}

#[test]
fn an_engine_whose_data_is_damaged_does_not_start_and_says_what_to_do() {
    let stage = Stage::imported();
    fs::remove_file(stage.data().join("mark")).unwrap();
    let data = stage.data_text();
    let mut command = onsale(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &data]);
    let ran = Ran::of(command.env("ONSALE_JWT_SECRET", SECRET).output().unwrap()).ended(1);
    assert_eq!(ran.out, "");
    let told = ran.err.lines().last().unwrap();
    for part in ["can't start", &data, "`mark`", "onsale verify"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn what_is_no_longer_kept_is_told_with_what_is() {
    let stage = Stage::imported();
    for user in ["alice", "bob", "carol"] {
        let server = Server::start(&stage.data(), &["--journal-retain", "snapshot"]);
        assert_eq!(hold(&server, user, 1).0, 201);
        assert_eq!(server.stop("TERM").0, Some(0));
    }
    let told = stage.on_data("replay", &["--position", "1"]).ended(1).err;
    assert!(told.contains("no longer kept") && told.contains("retained from position"), "{told}");
    let told = stage.on_data("replay", &["--at", "2020-01-01T00:00:00Z"]).ended(1).err;
    assert!(told.contains("oldest snapshot to begin from"), "{told}");
    assert_eq!(stage.replay(&["--schedule", "evening-1"])["schedules"][0]["seats"]["held"], 3);
    let report = stage.on_data("verify", &[]).ended(0).out;
    assert!(report.contains("the beginning is no longer retained"), "{report}");
}

/// Sends a hold up to the beginning of its body, which the server has begun to wait for when this returns.
fn begin_hold(server: &Server) -> (TcpStream, String) {
    let body = json!({"scheduleId": "evening-1", "bestAvailable": {"count": 1}}).to_string();
    let mut stream = TcpStream::connect(&server.address).unwrap();
    write!(
        stream,
        "POST /api/v1/reservations HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        token("alice"),
        body.len()
    )
    .unwrap();
    let mut going_on = [0; 12];
    stream.read_exact(&mut going_on).unwrap();
    assert_eq!(&going_on, b"HTTP/1.1 100");
    (stream, body)
}

/// Waits until nobody listens any more: the first signal has come.
fn wait_until_refused(server: &Server) {
    while TcpStream::connect(&server.address).is_ok() {
        std::thread::yield_now();
    }
}

#[test]
fn a_request_under_way_is_answered_before_a_stop() {
    let stage = Stage::imported();
    let mut server = stage.start();
    let (mut stream, body) = begin_hold(&server);
    server.signal("TERM");
    wait_until_refused(&server);
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("HTTP/1.1 201"), "{answer}");
    assert_eq!(server.child.wait().unwrap().code(), Some(0), "{}", server.log());
    assert_eq!(stage.replay(&["--schedule", "evening-1"])["schedules"][0]["seats"]["held"], 1);
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let stage = Stage::imported();
        let mut server = stage.start();
        let under_way = begin_hold(&server);
        server.signal("TERM");
        wait_until_refused(&server);
        server.signal(signal);
        assert_eq!(server.child.wait().unwrap().code(), Some(code), "{}", server.log());
        drop(under_way);
        assert!(stage.on_data("verify", &[]).ended(0).out.ends_with("sound\n"));
    }
}

#[test]
fn a_second_process_on_the_same_data_is_refused_and_the_first_goes_on() {
    let stage = Stage::new();
    let server = stage.start();
    let data = stage.data_text();
    let mut second = onsale(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &data]);
    let told = Ran::of(second.env("ONSALE_JWT_SECRET", SECRET).output().unwrap()).ended(1).err;
    assert!(told.contains("in use by another onsale process") && told.contains(&data), "{told}");
    for command in ["verify", "replay"] {
        let told = stage.on_data(command, &[]).ended(2).err;
        assert!(told.contains("in use by a running engine"), "{told}");
    }
    assert!(stage.on_data("snapshot", &[]).ended(1).err.contains("in use"));
    assert_eq!(server.get("/readyz").0, 200);
}

#[test]
fn a_taken_address_is_told() {
    let stage = Stage::new();
    let server = stage.start();
    let data = stage.temporary.path().join("other");
    let mut second = onsale(&["serve", "--listen", &server.address, "--data-dir", data.to_str().unwrap()]);
    let told = Ran::of(second.env("ONSALE_JWT_SECRET", SECRET).output().unwrap()).ended(1).err;
    assert!(told.contains(&server.address) && told.contains("--listen"), "{told}");
}

#[test]
fn a_season_is_imported_into_a_running_engine_and_its_errors_are_told_field_by_field() {
    let stage = Stage::new();
    let server = stage.start();
    let file = stage.file_text();
    let import = || {
        Ran::of(onsale(&["import", &file, "--url", &server.url(), "--admin-token", ADMIN]).output().unwrap())
    };
    assert_eq!(import().ended(0).out, "imported 1 venue, 1 concert, 2 schedules\n");
    assert_eq!(import().ended(0).out, "imported 1 venue, 1 concert, 2 schedules\n");

    let mut wrong = season();
    wrong["venues"][0]["timeZone"] = json!("Europe/Nowhere");
    fs::write(&file, wrong.to_string()).unwrap();
    let told = import().ended(1).err;
    assert!(told.contains("422") && told.contains("venues[0].timeZone: "), "{told}");

    fs::write(&file, "{\"venues\": [").unwrap();
    assert!(import().ended(1).err.contains("isn't JSON"));
    fs::write(&file, season().to_string()).unwrap();
    let stranger = onsale(&["import", &stage.file_text(), "--url", &server.url()]).output().unwrap();
    assert!(Ran::of(stranger).ended(2).err.contains("ONSALE_ADMIN_TOKEN"));
}

#[test]
fn a_season_is_imported_into_a_stopped_engine_in_the_same_way() {
    let stage = Stage::imported();
    let shown = stage.replay(&[]);
    assert_eq!(
        shown["catalogue"],
        json!({"venues": 1, "concerts": 1, "schedules": 2, "archivedSchedules": 0})
    );
    let mut wrong = season();
    wrong["schedules"][1]["endsAt"] = wrong["schedules"][1]["startsAt"].clone();
    fs::write(stage.file(), wrong.to_string()).unwrap();
    let told = stage.on_data("import", &[&stage.file_text()]).ended(1).err;
    assert!(told.contains("schedules[1].endsAt: "), "{told}");
}

#[test]
fn a_snapshot_is_taken_in_a_running_engine_and_in_a_stopped_one() {
    let stage = Stage::imported();
    let server = stage.start();
    let running = onsale(&["snapshot", "--url", &server.url(), "--admin-token", ADMIN]).output().unwrap();
    assert!(Ran::of(running).ended(0).out.starts_with("a snapshot was taken at position "));
    let (code, log) = server.stop("TERM");
    assert_eq!(code, Some(0), "{log}");
    assert!(stage.on_data("snapshot", &[]).ended(0).out.starts_with("a snapshot was taken at position "));
    assert!(stage.on_data("verify", &[]).ended(0).out.ends_with("sound\n"));
}

#[test]
fn a_directory_in_which_no_engine_ran_is_refused_by_all_but_serve_and_import() {
    let stage = Stage::new();
    let mistyped = stage.temporary.path().join("dta");
    let empty = stage.temporary.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let books = stage.temporary.path().join("books");
    for dir in [&mistyped, &empty] {
        let dir = dir.to_str().unwrap();
        for command in [
            &["export", "--to", books.to_str().unwrap()][..],
            &["snapshot"],
            &["verify"],
            &["replay"],
            &["export", "--to", books.to_str().unwrap(), "--demo"],
            &["snapshot", "--demo"],
            &["import", "demo/charlotte.json", "--demo"],
            &["token", "--demo", "--user", "alice"],
        ] {
            let told = run(&[command, &["--data-dir", dir]].concat()).ended(2);
            assert!(told.out.is_empty() && told.err.contains(dir), "{command:?}: {}", told.err);
        }
    }
    assert!(!mistyped.exists() && !books.exists(), "nothing is made");
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
}

/// Everything below a directory, with its rights.
fn modes(dir: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        found.push((entry.path(), metadata.permissions().mode() & 0o777));
        if metadata.is_dir() {
            found.extend(modes(&entry.path()));
        }
    }
    found
}

#[test]
fn all_that_is_made_is_its_owners_alone_whatever_the_umask_and_the_directory() {
    let stage = Stage::new();
    let (shared, new) = (stage.temporary.path().join("shared"), stage.temporary.path().join("new"));
    let books = stage.temporary.path().join("books");
    for standing in [&shared, &books] {
        fs::create_dir(standing).unwrap();
        fs::set_permissions(standing, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let lax = |arguments: &[&str]| {
        let mut command = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_onsale");
        command.args(["-c", "umask 0; exec \"$0\" \"$@\"", program]).args(arguments).env_clear();
        command.env("ONSALE_JWT_SECRET", SECRET).env("ONSALE_ADMIN_TOKEN", ADMIN);
        command.env("ONSALE_JOURNAL_RESERVE_BYTES", "4096");
        command
    };
    for dir in [&shared, &new] {
        let data = dir.to_str().unwrap();
        let arguments = ["serve", "--demo", "--listen", "127.0.0.1:0", "--data-dir", data];
        let mut child = lax(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(out.any(|line| line.unwrap().starts_with("Stop it with")));
        assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let export = ["export", "--overwrite", "--to", books.to_str().unwrap(), "--data-dir", data];
        Ran::of(lax(&export).output().unwrap()).ended(0);
    }
    assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o700);
    for dir in [&shared, &new, &books] {
        let found = modes(dir);
        assert!(found.len() > 5);
        for (path, mode) in found {
            assert_eq!(mode & 0o077, 0, "{} is {mode:o}", path.display());
        }
    }
}

#[test]
fn a_file_with_secrets_that_everyone_can_read_is_warned_of() {
    let stage = Stage::new();
    let settings = stage.temporary.path().join("onsale.toml");
    let warned = |text: &str, mode: u32| {
        fs::write(&settings, text).unwrap();
        fs::set_permissions(&settings, fs::Permissions::from_mode(mode)).unwrap();
        let server = Server::start(&stage.data(), &["--config", settings.to_str().unwrap()]);
        let (_, log) = server.stop("TERM");
        log.contains("a file that holds secrets") && log.contains("onsale.toml")
    };
    let secret = format!("jwt_secret = \"{SECRET}\"\n");
    assert!(warned(&format!("{secret}drain_seconds = 5\n"), 0o644));
    assert!(!warned(&secret, 0o640));
    assert!(!warned("drain_seconds = 5\n", 0o644), "there is no secret in it");
}

#[test]
fn a_password_in_a_url_is_refused_and_never_shown() {
    for url in
        ["https://user:hunter2@api.example.com", "http://:hunter2@127.0.0.1:1", "https://a/?key=hunter2"]
    {
        let ran = run(&["serve", "--print-config", "--toss-url", url]).ended(2);
        assert!(ran.err.contains("toss.url") && !format!("{}{}", ran.out, ran.err).contains("hunter2"));
    }
}

#[test]
fn an_engine_that_is_not_there_is_told() {
    let stage = Stage::new();
    let server = stage.start();
    let url = server.url();
    assert_eq!(server.stop("TERM").0, Some(0));
    let told = run(&["snapshot", "--url", &url, "--admin-token", ADMIN]).ended(1).err;
    assert!(told.contains("can't be reached") && !told.contains(ADMIN), "{told}");
}

#[test]
fn the_state_is_shown_as_it_was_at_each_position_without_changing_anything() {
    let stage = Stage::sold("TERM");
    let before = contents(&stage.data());
    let now = stage.replay(&["--schedule", "evening-1"]);
    let schedule = &now["schedules"][0];
    assert_eq!(schedule["seats"], json!({"available": 8, "held": 2, "reserved": 0, "blocked": 0}));
    assert_eq!(schedule["reservations"][0]["userId"], "alice");
    assert_eq!(schedule["reservations"][0]["amount"], 100_000);

    let last = now["position"].as_u64().unwrap();
    let mut held = Vec::new();
    for position in 0..=last {
        let shown = stage.replay(&["--position", &position.to_string()]);
        assert_eq!(shown["position"], position);
        let schedules = shown["schedules"].as_array().unwrap();
        held.push(schedules.iter().filter_map(|schedule| schedule["seats"]["held"].as_u64()).sum::<u64>());
    }
    assert!(held.is_sorted() && held.first() == Some(&0) && held.last() == Some(&2), "{held:?}");

    let told = stage.on_data("replay", &["--position", &(last + 1).to_string()]).ended(1).err;
    assert!(told.contains(&format!("ends at position {last}")), "{told}");
    let created = schedule["reservations"][0]["createdAt"].as_str().unwrap();
    let at = stage.replay(&["--at", created, "--schedule", "evening-1"]);
    assert_eq!(at["schedules"][0]["seats"]["held"], 2);
    let long_ago = stage.replay(&["--at", "2020-01-01T00:00:00Z"]);
    assert_eq!((&long_ago["position"], &long_ago["schedules"]), (&json!(0), &json!([])));
    assert_eq!(contents(&stage.data()), before);
}

#[test]
fn a_map_shows_one_character_a_seat_and_no_colour_in_a_pipe() {
    let stage = Stage::sold("TERM");
    let map = stage.on_data("replay", &["--schedule", "evening-1", "--format", "map"]).ended(0).out;
    assert!(!map.contains('\u{1b}'), "{map}");
    assert!(
        map.contains("\n1 A\n")
            && map.contains("  1  .hh.  VIP 1-4\n")
            && map.contains("  2  ......  R 1-6\n"),
        "{map}"
    );
    assert!(map.contains(". available 8\nh held 2\n"), "{map}");
    let told = stage.on_data("replay", &["--format", "map"]).ended(2).err;
    assert!(told.contains("--schedule") && told.contains("evening-2"), "{told}");
}

#[test]
fn what_a_killed_engine_left_is_sound_and_goes_on() {
    let stage = Stage::sold("KILL");
    let report = stage.on_data("verify", &[]).ended(0).out;
    assert!(report.contains("not stopped cleanly") && report.ends_with("sound\n"), "{report}");
    assert_eq!(stage.replay(&["--schedule", "evening-1"])["schedules"][0]["seats"]["held"], 2);
    let server = stage.start();
    assert_eq!(hold(&server, "bob", 2).0, 201);
    assert_eq!(server.stop("TERM").0, Some(0));
    let report = stage.on_data("verify", &[]).ended(0).out;
    assert!(report.contains("replay from the beginning"), "{report}");
}

#[test]
fn what_only_root_can_open_is_sound_and_said_aloud() {
    let stage = Stage::sold("TERM");
    let identity = stage.data().join("identity");
    // Where anybody but root runs this, his own files are closed to him.
    if fs::metadata(&identity).unwrap().uid() == 0 {
        chown(&identity, Some(12_345), None).unwrap();
    } else {
        fs::set_permissions(stage.data().join("mark"), fs::Permissions::from_mode(0o400)).unwrap();
    }
    let report = stage.on_data("verify", &[]).ended(0).out;
    assert!(report.contains("\nnote ") && report.contains("can't open it"), "{report}");
    assert!(report.ends_with("sound\n"), "{report}");
}

/// Copies a directory, damages one file of the copy, and verifies it.
#[track_caller]
fn verify_damaged(stage: &Stage, damage: impl FnOnce(&Path)) -> String {
    let copy = TempDir::new().unwrap();
    for (path, bytes) in contents(&stage.data()) {
        let to = copy.path().join(path.strip_prefix(stage.data()).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
    damage(copy.path());
    let before = contents(copy.path());
    let ran = run(&["verify", "--data-dir", copy.path().to_str().unwrap()]).ended(1);
    assert!(ran.out.ends_with("damaged\n") && ran.err.contains("is damaged"), "{}{}", ran.out, ran.err);
    assert_eq!(contents(copy.path()), before, "looking changes nothing");
    run(&["replay", "--data-dir", copy.path().to_str().unwrap(), "--position", "1"]).code.unwrap();
    ran.out
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0xff;
    fs::write(path, bytes).unwrap();
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn first_in(dir: &Path) -> PathBuf {
    entries(dir).swap_remove(0)
}

#[test]
fn damage_is_found_wherever_it_is_and_nothing_panics() {
    let stage = Stage::sold("TERM");
    let told = verify_damaged(&stage, |data| fs::remove_file(data.join("mark")).unwrap());
    assert!(told.contains("`mark`"), "{told}");
    let told = verify_damaged(&stage, |data| flip(&data.join("identity"), 20));
    assert!(told.contains("`identity`"), "{told}");
    verify_damaged(&stage, |data| flip(&first_in(&data.join("journal")).join("generation"), 30));
    let told = verify_damaged(&stage, |data| {
        let generations = entries(&data.join("journal"));
        fs::rename(generations.last().unwrap(), data.join("journal/gen-0000000009")).unwrap();
    });
    assert!(told.contains("the generation before it is missing"), "{told}");
    let told = verify_damaged(&stage, |data| flip(&first_in(&data.join("snapshots")), 60));
    assert!(told.contains("checksum"), "{told}");
}

#[test]
fn damage_in_the_stores_own_file_is_found_at_every_place_that_matters() {
    let stage = Stage::sold("TERM");
    let file = first_in(&stage.data().join("journal")).join("db");
    let bytes = fs::read(&file).unwrap();
    // The frames begin with this magic; what lies in between is the store's own.
    let frames: Vec<usize> = (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(b"OSJF")).collect();
    assert!(!frames.is_empty());
    for at in frames.into_iter().take(3) {
        for offset in [4, 60] {
            verify_damaged(&stage, |data| flip(&first_in(&data.join("journal")).join("db"), at + offset));
        }
    }
}

/// Starts a demonstration with a crowd; returns it with the path of the schedule that the crowd comes to.
fn crowd(data: &Path, fans: &str, more: &[&str]) -> (Server, String) {
    let mut server = Server::start(data, &[&["--demo", "--crowd", fans], more].concat());
    let room = server.line_with("  waiting room ");
    let schedule =
        room.trim().strip_suffix("/queue").unwrap().split_once(&server.address).unwrap().1.to_owned();
    (server, schedule)
}

#[test]
fn a_crowd_goes_through_the_waiting_room_and_no_seat_is_sold_twice() {
    let temporary = TempDir::new().unwrap();
    let (mut server, schedule) = crowd(&temporary.path().join("data"), "200", &[]);
    server.line_with("The crowd has gone home: 200 fans in ");
    // `paid  145  for 334 seats`
    let paid: Vec<String> = server.line_with("  paid ").split_whitespace().map(str::to_owned).collect();
    assert_eq!(server.line_with("  oversold ").split_whitespace().nth(1), Some("0"));
    let (status, room) = server.get(&format!("{schedule}/queue"));
    let room: Value = serde_json::from_str(&room).unwrap();
    assert_eq!((status, &room["admittedTotal"]), (200, &json!(200)), "{room}");
    assert_eq!((&room["waiting"], &room["active"]), (&json!(0), &json!(0)));
    let (status, map) = server.get(&format!("{schedule}/seats"));
    let map: Value = serde_json::from_str(&map).unwrap();
    let seats = map["seats"].as_array().unwrap();
    let with = |status: &str| seats.iter().filter(|seat| seat["status"] == status).count();
    let [available, held, reserved] = ["available", "held", "reserved"].map(with);
    assert_eq!((status, available + held + reserved), (200, seats.len()));
    assert_eq!(reserved.to_string(), paid[3], "{paid:?}");
    assert!(reserved > 0, "{paid:?}");
    let (code, log) = server.stop("TERM");
    assert_eq!(code, Some(0), "{log}");
    // Where nobody watches, the figures are lines of the log.
    assert!(log.contains("gone_home=") && !log.contains('\u{1b}'), "{log}");
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
}

#[test]
fn a_crowd_at_a_standing_show_brings_the_code_of_its_presale_and_fills_the_area() {
    let temporary = TempDir::new().unwrap();
    let (mut server, schedule) = crowd(&temporary.path().join("data"), "400", &["--standing"]);
    assert_eq!(server.line_with("  code ").split_whitespace().last(), Some("CROWD-2026"));
    server.line_with("The crowd has gone home: 400 fans in ");
    // `paid  245  for 46 seats and 400 places of areas`
    let paid: Vec<String> = server.line_with("  paid ").split_whitespace().map(str::to_owned).collect();
    assert_eq!(server.line_with("  oversold ").split_whitespace().nth(1), Some("0"));

    let (_, answer) = server.get(&schedule);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((&answer["status"], &answer["phase"]), (&json!("open"), &json!("crowd")), "{answer}");
    let (_, map) = server.get(&format!("{schedule}/seats"));
    let map: Value = serde_json::from_str(&map).unwrap();
    let seats = map["seats"].as_array().unwrap();
    let sold = seats.iter().filter(|seat| seat["status"] == "reserved").count();
    let places = map["areas"][0]["reserved"].as_u64().unwrap();
    assert_eq!((sold.to_string(), places.to_string()), (paid[3].clone(), paid[6].clone()), "{paid:?}");
    assert!(sold > 0 && places > 0, "{paid:?}");
    let (code, log) = server.stop("TERM");
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
}

#[test]
fn a_signal_sends_the_crowd_home_and_nothing_is_left_of_it() {
    let temporary = TempDir::new().unwrap();
    let data = temporary.path().join("data");
    let (mut server, schedule) = crowd(&data, "1000", &[]);
    let mut changes = TcpStream::connect(&server.address).unwrap();
    write!(changes, "GET {schedule}/seats/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(BufReader::new(changes).lines().any(|line| line.unwrap() == "event: delta"));
    server.signal("INT");
    server.line_with("The crowd was sent home after ");
    let (code, log) = (server.child.wait().unwrap().code(), server.log());
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("a snapshot was taken") && !log.contains("panicked"), "{log}");
    let data = data.to_str().unwrap();
    assert!(run(&["verify", "--data-dir", data]).ended(0).out.contains("stopped cleanly"));
}

/// Buys a seat by card at a mock gateway, and returns the order.
fn buy(server: &Server, gateway: &str, user: &str, seat: &str) -> String {
    let call = |address: &str, path: &str, key: &str, body: &Value| -> Value {
        let (token, body) = (token(user), body.to_string());
        let length = body.len();
        let (status, answer) = request(
            address,
            &format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
                 Idempotency-Key: {key}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            ),
        );
        assert!(status < 300, "{path}: {answer}");
        serde_json::from_str(&answer).unwrap()
    };
    let api = &server.address;
    let held = call(api, "/api/v1/reservations", "h", &json!({"scheduleId": "evening-1", "seats": [seat]}));
    let pay = json!({"reservationId": held["reservationId"], "method": "card"});
    let ready = call(api, "/api/v1/payments", &format!("p-{seat}"), &pay);
    let agreed = json!({"orderId": ready["orderId"], "amount": ready["amount"]});
    let agreed = call(gateway, "/checkout", "c", &agreed);
    let order = ready["orderId"].as_str().unwrap().to_owned();
    let confirm = json!({"paymentKey": agreed["paymentKey"]});
    let done = call(api, &format!("/api/v1/payments/{order}/confirm"), "k", &confirm);
    assert_eq!(done["status"], "completed");
    order
}

#[test]
fn after_a_restored_backup_the_gateways_money_is_told_and_what_to_give_back() {
    let stage = Stage::imported();
    let mut gateway = onsale(&["mock-gateway", "--listen", "127.0.0.1:0"]);
    let mut gateway = gateway.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(gateway.stdout.take().unwrap()).lines();
    let at =
        lines.find_map(|line| Some(line.unwrap().split_once("http://127.0.0.1:")?.1.to_owned())).unwrap();
    let address = format!("127.0.0.1:{}", at.split(|c: char| !c.is_ascii_digit()).next().unwrap());
    let url = format!("http://{address}");
    let toss = ["--toss-url", &url, "--toss-secret", onsale::mock_gateway::DEMO_SECRET];
    let reconcile = |server: &Server| {
        let own = ["reconcile", "--url", &server.url(), "--admin-token", ADMIN].map(str::to_owned);
        let arguments: Vec<&str> = own.iter().map(String::as_str).chain(toss).collect();
        run(&arguments)
    };

    let server = Server::start(&stage.data(), &toss);
    buy(&server, &address, "ann", "1-A-1-1");
    let ran = reconcile(&server).ended(0);
    assert!(ran.out.ends_with("moved money of 1 order\nthe journal agrees\n"), "{}", ran.out);
    assert_eq!(server.stop("TERM").0, Some(0));
    let backup = stage.temporary.path().join("backup");
    copy(&stage.data(), &backup);
    let server = Server::start(&stage.data(), &toss);
    let lost = buy(&server, &address, "bob", "1-A-1-2");
    assert_eq!(server.stop("TERM").0, Some(0));

    let server = Server::start(&backup, &toss);
    let ran = reconcile(&server).ended(1);
    let told = format!("give back  {lost}  50000 KRW  the journal doesn't know it\n");
    assert!(ran.out.contains(&told) && ran.out.contains("to give back: 1 order, 50000 KRW"), "{}", ran.out);
    // A notice of it is a warning with the order, once: the second is too soon, and another's changes nothing.
    let notice = json!({"eventType": "PAYMENT_STATUS_CHANGED", "data": {"orderId": lost, "status": "DONE"}})
        .to_string();
    for _ in 0..2 {
        let (status, _) = request(
            &server.address,
            &format!(
                "POST /api/v1/webhooks/payments/toss HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{notice}",
                notice.len()
            ),
        );
        assert_eq!(status, 200);
    }
    loop {
        let (_, metrics) =
            request(&server.metrics, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        if !metrics.contains("onsale_gateway_surprises_total 0\n") {
            break;
        }
    }
    let log = server.log();
    assert!(log.contains("an order that the journal doesn't know") && log.contains(&lost), "{log}");
    assert_eq!(server.stop("TERM").0, Some(0));
    let stopped = ["reconcile", "--data-dir", backup.to_str().unwrap()];
    assert!(run(&[&stopped[..], &toss].concat()).ended(1).out.contains(&lost));
    gateway.kill().unwrap();
    gateway.wait().unwrap();
}

#[test]
fn a_demonstration_makes_fans_and_operators_only_with_secrets_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let statuses = |name: &str, arguments: &[&str], header: &str| {
        let server = Server::start(&directory.path().join(name), arguments);
        let port = server.address.rsplit(':').next().unwrap();
        ["user", "admin"].map(|role| {
            let body = json!({"role": role}).to_string();
            let head = "POST /demo/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close";
            let text = format!("{head}\r\n{header}Content-Length: {}\r\n\r\n{body}", body.len());
            request(&format!("127.0.0.1:{port}"), &text).0
        })
    };
    assert_eq!(statuses("here", &["--demo"], ""), [201, 201]);
    // Behind a proxy anyone may be who asks.
    assert_eq!(statuses("told", &["--demo"], "X-Forwarded-For: 192.0.2.7\r\n"), [201, 403]);
    assert_eq!(statuses("behind", &["--demo", "--trusted-proxies", "127.0.0.1"], ""), [201, 403]);
    // A token that these secrets sign could be good elsewhere.
    assert_eq!(statuses("own", &["--demo", "--jwt-secret", SECRET], ""), [404, 404]);
}

#[test]
fn what_trusts_too_much_is_said_aloud_once() {
    let directory = tempfile::tempdir().unwrap();
    let own = [
        "--demo",
        "--jwt-secret",
        SECRET,
        "--toss-url",
        "http://127.0.0.1:9",
        "--toss-secret",
        "live_sk_of_mine",
    ];
    let server = Server::start(&directory.path().join("demo"), &own);
    // A page that gave its own name this machine's address is no caller of a demonstration.
    let ask = |host: &str| {
        request(
            &server.address,
            &format!("GET /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        )
        .0
    };
    assert_eq!((ask("localhost"), ask("[::1]:80"), ask("evil.example")), (200, 200, 403));
    let (code, log) = server.stop("TERM");
    assert_eq!(code, Some(0));
    assert_eq!(log.matches("--demo runs with secrets of your own").count(), 1, "{log}");
    assert!(
        log.contains("jwt_secret, toss.secret") && !log.contains(SECRET) && !log.contains("live_sk"),
        "{log}"
    );

    let server =
        Server::start(&directory.path().join("real"), &["--trusted-proxies", "10.0.0.0/8, 0.0.0.0/1"]);
    let forwarded = |server: &Server| {
        let text = "GET /api/v1/venues HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 192.0.2.7\r\nConnection: close\r\n\r\n";
        assert_eq!(request(&server.address, text).0, 200);
    };
    forwarded(&server);
    let (_, log) = server.stop("TERM");
    assert_eq!(log.matches("trusted_proxies names more than any private network").count(), 1, "{log}");
    assert!(!log.contains("--demo") && !log.contains("X-Forwarded-For came from"), "{log}");

    let server = Server::start(&directory.path().join("stranger"), &["--trusted-proxies", "10.0.0.0/8"]);
    (0..3).for_each(|_| forwarded(&server));
    let (_, log) = server.stop("TERM");
    assert_eq!(
        log.matches("X-Forwarded-For came from an address that isn't in trusted_proxies").count(),
        1,
        "{log}"
    );
    assert!(
        log.contains("from=127.0.0.1") && !log.contains("192.0.2.7") && !log.contains("names more than"),
        "{log}"
    );
}
