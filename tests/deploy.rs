//! What `deploy/` promises about the program is so: the dashboard shows metrics that exist, the unit knows when the engine is ready,
//! the proxies' files are right and serve a stream, and every file that one of them names is there.
//!
//! systemd, nginx, `HAProxy`, promtool and openssl judge their own files where they are installed; `./test` installs them. Containers
//! aren't built here: their files are checked as text.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_onsale");

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns a program's command, or says that a check is left out.
fn tool(name: &str) -> Option<Command> {
    let places = std::env::var_os("PATH").unwrap();
    let places = std::env::split_paths(&places).chain([PathBuf::from("/usr/sbin")]);
    let found = places.map(|place| place.join(name)).find(|path| path.is_file());
    if found.is_none() {
        let told = format!("{name} isn't installed: what it would check isn't checked\n");
        io::stderr().write_all(told.as_bytes()).unwrap();
    }
    found.map(Command::new)
}

/// Runs a command to its end and returns what it printed.
#[track_caller]
fn run(command: &mut Command) -> String {
    let done = command.output().unwrap();
    let printed = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success(), "{command:?}: {}\n{printed}", done.status);
    printed
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A demonstration, with what it tells a reader to paste.
struct Demo {
    _running: Running,
    printed: Vec<String>,
}

impl Demo {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["serve", "--demo", "--listen", "127.0.0.1:0", "--journal-reserve-bytes", "0"])
            .current_dir(dir)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(dir.join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let printed = lines.take_while(|line| !line.starts_with("Stop it with")).collect();
        Self { _running: Running(child), printed }
    }

    /// What can be pasted, from the variables on.
    fn script(&self) -> String {
        let lines = self.printed.iter().skip_while(|line| !line.starts_with("  API="));
        lines.filter(|line| line.starts_with("  ")).fold(String::new(), |text, line| text + line + "\n")
    }

    /// The text behind a variable's name, up to the quote that ends it.
    fn variable(&self, name: &str) -> String {
        let text = self.script();
        text.split(&format!("{name}='")).nth(1).unwrap().split('\'').next().unwrap().to_owned()
    }
}

/// The metrics that are served, each with its labels and their values. A histogram's parts count as metrics.
fn served(text: &str) -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let mut metrics: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("onsale_")) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let known = metrics.entry(name.to_owned()).or_default();
        for (label, value) in pairs(labels.trim_end_matches('}')) {
            known.entry(label).or_default().insert(value);
        }
    }
    metrics
}

/// The labels in braces, each with what stands in its quotes.
fn pairs(labels: &str) -> Vec<(String, String)> {
    let mut quoted = labels.split('"');
    let mut found = Vec::new();
    while let (Some(name), Some(value)) = (quoted.next(), quoted.next()) {
        let name = name.trim_matches([',', ' ', '=', '~', '!']);
        found.push((name.to_owned(), value.to_owned()));
    }
    found
}

/// The series that an expression chooses: a metric's name, and the labels in its braces.
fn chosen(expression: &str) -> Vec<(String, Vec<(String, String)>)> {
    let starts = expression.match_indices("onsale_").map(|(at, _)| &expression[at..]);
    let series = starts.map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let labels =
            rest[end..].strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
        (rest[..end].to_owned(), pairs(labels))
    });
    series.collect()
}

/// The dashboard's panels that ask for something, and what they ask.
fn questions() -> Vec<(String, String, String)> {
    let dashboard: Value = serde_json::from_str(&file("deploy/grafana/dashboards/onsale.json")).unwrap();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |member: &str| target[member].as_str().unwrap().to_owned();
            found.push((panel["title"].as_str().unwrap().to_owned(), text("expr"), text("legendFormat")));
        }
    }
    assert!(found.len() > 40, "the dashboard was read: {}", found.len());
    found
}

#[test]
fn the_dashboard_asks_for_metrics_and_labels_that_the_program_serves() {
    let dir = TempDir::new().unwrap();
    let demo = Demo::start(dir.path());
    // A sale with a payment through the gateway, so that its series are there, too.
    let script = dir.path().join("sale.sh");
    fs::write(&script, demo.script() + "curl -s \"${API%/api/v1}/metrics\"").unwrap();
    let served = served(&run(Command::new("bash").arg(&script).stderr(Stdio::null())));

    for (panel, expression, legend) in questions() {
        let series = chosen(&expression);
        assert!(!series.is_empty(), "{panel}: {expression}");
        let mut labels = BTreeSet::from(["instance".to_owned()]);
        for (metric, wanted) in series {
            let known = served.get(&metric).unwrap_or_else(|| panic!("{panel}: no metric {metric}"));
            labels.extend(known.keys().cloned());
            for (label, value) in wanted.iter().filter(|(label, _)| label != "instance") {
                let values = known.get(label).unwrap_or_else(|| panic!("{panel}: {metric} has no {label}"));
                // A status appears with its first answer, and a choice of the page is no value.
                let is_free = value.starts_with('$') || label == "status";
                let there = value.split('|').all(|value| values.contains(value));
                assert!(is_free || there, "{panel}: {metric} has no {label} {value}");
            }
        }

        // What a line is called, and what is summed by, are labels that the metric has.
        let grouped =
            expression.split("by (").skip(1).flat_map(|rest| rest.split(')').next().unwrap().split(", "));
        let named = legend.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap());
        for label in grouped.chain(named).filter(|label| *label != "le") {
            assert!(labels.contains(label), "{panel}: {expression} has no label {label}");
        }
    }
}

#[test]
fn a_manager_hears_that_it_recovers_then_that_it_is_ready_and_at_the_end_that_it_stops() {
    let dir = TempDir::new().unwrap();
    let manager = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir", "data", "--journal-reserve-bytes", "0"])
        .current_dir(dir.path())
        .env_clear()
        .env("ONSALE_JWT_SECRET", "0123456789abcdef0123456789abcdef")
        .env("NOTIFY_SOCKET", dir.path().join("notify"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(dir.path().join("stderr")).unwrap())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut running = Running(child);
    let heard = || {
        let mut text = [0; 256];
        let length = manager.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };

    assert_eq!(heard(), "STATUS=recovering what is durable");
    let mut told = heard();
    while told.starts_with("STATUS=recovering") {
        told = heard();
    }
    assert_eq!(told, "READY=1\nSTATUS=ready");
    let ready = lines.find_map(|line| line.trim().strip_prefix("ready").map(|url| url.trim().to_owned()));
    assert!(run(Command::new("curl").args(["-sf", &ready.unwrap()])).contains("ready"));

    let pid = running.0.id().to_string();
    run(Command::new("kill").args(["-TERM", &pid]));
    assert_eq!(heard(), "STOPPING=1\nSTATUS=stopping");
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
}

#[test]
fn the_servers_of_a_log_on_nats_are_set_up_rightly() {
    let Some(program) = std::env::var_os("NATS_SERVER_PROGRAM") else {
        eprintln!("NATS_SERVER_PROGRAM names no nats-server: deploy/nats-server.conf isn't checked");
        return;
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/nats-server.conf");
    let route = |number: u32| (format!("ROUTE_{number}"), format!("nats://10.0.0.{number}:6222"));
    let named = ["SERVER_NAME", "ONSALE_SYSTEM_PASSWORD", "ONSALE_LOG_PASSWORD"];
    let said = run(Command::new(program)
        .args(["-t", "--config"])
        .arg(path)
        .envs(named.map(|name| (name, "some-text")))
        .envs((1..=3).map(route)));
    assert!(said.contains("is valid"), "{said}");
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit_and_little_that_it_could_do_to_the_machine() {
    let unit = file("deploy/onsale.service");
    let dir = TempDir::new().unwrap();
    // The program isn't installed on every machine that runs this.
    let path = dir.path().join("onsale.service");
    fs::write(&path, unit.replace("/usr/local/bin/onsale", PROGRAM)).unwrap();
    for line in ["Type=notify", "TimeoutStartSec=infinity", "RestartPreventExitStatus=2 3", "KillSignal"] {
        assert_eq!(unit.contains(line), line != "KillSignal", "{line}");
    }

    let Some(mut verify) = tool("systemd-analyze") else { return };
    let said = run(verify.arg("verify").arg(&path));
    assert!(!said.contains("onsale.service"), "{said}");
    // The exposure is at most 2.0 of 10.
    let mut security = tool("systemd-analyze").unwrap();
    run(security.args(["security", "--offline=true", "--threshold=20"]).arg(&path));
}

#[test]
fn the_settings_of_the_package_are_refused_until_their_secrets_are_put_in() {
    let dir = TempDir::new().unwrap();
    let settings = file("deploy/onsale.toml");
    let print = |settings: &str| {
        let path = dir.path().join("onsale.toml");
        fs::write(&path, settings).unwrap();
        let print = ["serve", "--print-config", "--config"];
        Command::new(PROGRAM).args(print).arg(path).env_clear().output().unwrap()
    };
    let refused = print(&settings);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("jwt_secret"));
    let secret = "0123456789abcdef0123456789abcdef";
    let taken = print(&settings.replace("@JWT_SECRET@", secret).replace("@ADMIN_TOKEN@", secret));
    assert_eq!(taken.status.code(), Some(0), "{}", String::from_utf8_lossy(&taken.stderr));
}

#[test]
fn prometheus_takes_its_settings() {
    let Some(mut promtool) = tool("promtool") else { return };
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus.yml");
    run(promtool.args(["check", "config"]).arg(settings));
}

/// A proxy before a demonstration, with a certificate of its own.
struct Proxied {
    demo: Demo,
    dir: TempDir,
    /// Where the proxy listens.
    address: String,
}

impl Proxied {
    /// Makes what a proxy needs; nothing where it isn't installed.
    fn prepare(name: &str) -> Option<(Self, Command)> {
        let proxy = tool(name)?;
        let mut openssl = tool("openssl")?;
        let dir = TempDir::new().unwrap();
        let make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"];
        let names = ["-keyout", "onsale.key", "-out", "onsale.crt"];
        run(openssl.args(make).args(names).current_dir(dir.path()));
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        fs::write(dir.path().join("onsale.pem"), read("onsale.crt") + &read("onsale.key")).unwrap();

        // A port that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Some((Self { demo: Demo::start(dir.path()), dir, address: free.to_string() }, proxy))
    }

    /// Writes a proxy's file as this machine needs it.
    fn write(&self, name: &str, text: &str, listens: &str) -> PathBuf {
        let engine = self.demo.variable("API");
        let engine = engine.trim_start_matches("http://").trim_end_matches("/api/v1");
        let tls = self.dir.path().to_str().unwrap();
        for there in [listens, "127.0.0.1:8080"] {
            assert!(text.contains(there), "{there}");
        }
        let here = format!("{} {}", listens.split(' ').next().unwrap(), self.address);
        let text = text.replace("127.0.0.1:8080", engine).replace(listens, &here);
        let text = text.replace("/etc/nginx/tls", tls).replace("/etc/haproxy/tls", tls);
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Fetches a path through the proxy; `until` ends what goes on.
    fn fetch(&self, path: &str, more: &[&str]) -> String {
        let url = format!("https://{}{path}", self.address);
        let wait =
            ["-sk", "--retry", "50", "--retry-connrefused", "--retry-delay", "0", "--retry-max-time", "30"];
        let done = Command::new("curl").args(wait).args(more).arg(url).output().unwrap();
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// What any proxy has to do.
    fn check(&self) {
        let head = self.fetch("/readyz", &["-i"]);
        assert!(head.starts_with("HTTP/2 200") && head.contains("{\"status\":\"ready\"}"), "{head}");
        let status = ["-o", "/dev/null", "-w", "%{http_code}"];
        assert_eq!(self.fetch("/metrics", &status), "404", "who isn't inside sees no metrics");

        // The first event is there though the answer goes on: nothing holds it back.
        let show = self.demo.variable("SHOW");
        let url = format!("https://{}/api/v1/schedules/{show}/seats/events", self.address);
        let curl = Command::new("curl").args(["-skN", "-i", &url]).stdout(Stdio::piped()).spawn().unwrap();
        let mut curl = Running(curl);
        let mut lines = BufReader::new(curl.0.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.next().unwrap().starts_with("HTTP/2 200"));
        assert!(lines.any(|line| line.starts_with("event: ")), "a stream begins");
    }
}

#[test]
fn nginx_takes_its_file_and_serves_the_api_and_its_streams_over_tls() {
    let Some((proxied, mut nginx)) = Proxied::prepare("nginx") else { return };
    let text = file("deploy/nginx.conf").replace("    listen [::]:443 ssl http2;\n", "");
    let site = proxied.write("site.conf", &text, "listen 443").display().to_string();
    let dir = proxied.dir.path().display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {dir}/{name};"))
        .concat();
    let whole = format!(
        "daemon off; master_process off; pid {dir}/pid; error_log {dir}/errors; events {{}}\nhttp {{ access_log off; {temporary} include {site}; }}\n"
    );
    let path = proxied.dir.path().join("nginx.conf");
    fs::write(&path, whole).unwrap();
    nginx.arg("-p").arg(proxied.dir.path()).arg("-c").arg(path);
    nginx.arg("-t");
    run(&mut nginx);
    let mut serve = Command::new(nginx.get_program());
    let arguments: Vec<_> = nginx.get_args().filter(|argument| *argument != "-t").collect();
    let _running =
        Running(serve.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    proxied.check();
}

#[test]
fn haproxy_takes_its_file_and_serves_the_api_and_its_streams_over_tls() {
    let Some((proxied, mut haproxy)) = Proxied::prepare("haproxy") else { return };
    // Each connection is two files, and tests may have few.
    let text = file("deploy/haproxy.cfg").replace("maxconn 20000", "maxconn 100");
    let path = proxied.write("haproxy.cfg", &text, "bind :443");
    run(haproxy.arg("-c").arg("-f").arg(&path));
    let mut serve = Command::new(haproxy.get_program());
    serve.arg("-f").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
    let _running = Running(serve.spawn().unwrap());
    proxied.check();
}

#[test]
fn the_containers_files_name_files_that_are_there_and_versions_that_stay() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let compose = file("deploy/compose.yml");
    // Made when it is installed: a certificate, and secrets.
    let made = ["./tls"];
    let mounted = compose.lines().filter_map(|line| line.trim().strip_prefix("- ./"));
    for path in mounted.map(|mount| format!("./{}", mount.split(':').next().unwrap())) {
        assert!(made.contains(&&*path) || root.join("deploy").join(&path).exists(), "{path}");
    }
    let images = compose.lines().filter_map(|line| line.trim().strip_prefix("image: "));
    let dockerfile = file("deploy/Dockerfile");
    let images = images.chain(dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")));
    for image in images.filter(|image| *image != "scratch") {
        let version = image.split(' ').next().unwrap().split_once(':').map_or("", |(_, version)| version);
        assert!(version.starts_with(|c: char| c.is_ascii_digit() || c == 'v'), "{image}");
    }
    let version = format!("image: onsale:{}\n", env!("CARGO_PKG_VERSION"));
    assert!(compose.contains(&version), "{version}");

    // The image has the program where the build leaves it, of the profile that is there, on the compiler that is asked for.
    let cargo = file("Cargo.toml");
    assert!(dockerfile.contains("--profile dist ") && cargo.contains("[profile.dist]"));
    assert!(dockerfile.contains("/target/x86_64-unknown-linux-musl/dist/onsale"));
    let compiler = cargo.lines().find_map(|line| line.strip_prefix("rust-version = \"")).unwrap();
    assert!(dockerfile.contains(&format!("FROM rust:{}-", compiler.trim_end_matches('"'))));

    // Grafana finds its data where the other files say that it is.
    let provider = file("deploy/grafana/provisioning/dashboards/onsale.yml");
    let place = provider.split("path: ").nth(1).unwrap().trim_end_matches(['}', '\n']);
    assert!(compose.contains(&format!("./grafana/dashboards:{place}:ro")), "{place}");
    let source = file("deploy/grafana/provisioning/datasources/prometheus.yml");
    assert!(source.contains("url: http://prometheus:9090") && compose.contains("\n  prometheus:\n"));
    assert!(file("deploy/prometheus.yml").contains("[\"onsale:9100\"]"));
    assert!(compose.contains("ONSALE_METRICS_LISTEN: \"0.0.0.0:9100\""));
}

#[test]
fn the_containers_of_a_cluster_have_the_settings_that_its_nodes_and_servers_need() {
    let compose = file("deploy/cluster/compose.yml");
    let each = |text: &str| compose.matches(text).count();
    let version = format!("image: onsale:{}\n", env!("CARGO_PKG_VERSION"));
    assert!(compose.contains(&version) && compose.contains("image: nats:2.15.1\n"), "{version}");
    assert_eq!(each("../nats-server.conf:/etc/nats/nats-server.conf:ro"), 3);
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/cluster/../nats-server.conf").exists());
    for number in 1..=3 {
        let node = format!(
            "ONSALE_CLUSTER_NODE: node-{number}, ONSALE_CLUSTER_ADDRESS: \"http://node-{number}:8080\""
        );
        assert_eq!(each(&node), 1, "{node}");
        assert_eq!(each(&format!("SERVER_NAME: log-{number},")), 1);
        assert_eq!(each(&format!("ROUTE_{number}: \"nats://log-{number}:6222\"")), 3);
    }
    // Each setting is one.
    let known = run(Command::new(PROGRAM).args(["serve", "--print-config"]).env_clear()).to_lowercase();
    let named = compose
        .split(|c: char| !(c.is_ascii_uppercase() || c == '_'))
        .filter(|word| word.starts_with("ONSALE_"));
    for name in named.filter(|name| !["ONSALE_LOG_PASSWORD", "ONSALE_SYSTEM_PASSWORD"].contains(name)) {
        let name = name.trim_start_matches("ONSALE_").trim_start_matches("CLUSTER_").to_lowercase();
        assert!(known.contains(&name), "{name}");
    }
}
