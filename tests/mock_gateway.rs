//! `onsale mock-gateway` as a person meets it: started, asked, stopped.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

/// The program with these arguments and no settings of whoever runs the test.
fn onsale(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
    command.arg("mock-gateway").args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// A started gateway, which is killed when the test lets it go.
struct Started {
    child: Child,
    greeting: String,
    address: String,
}

impl Started {
    fn new(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        while !greeting.contains("Stop it with") {
            assert!(out.read_line(&mut greeting).unwrap() > 0, "it ended after {greeting:?}");
        }
        let (_, rest) = greeting.split_once("http://").unwrap();
        let address = rest.split('/').next().unwrap().to_owned();
        Self { child, greeting, address }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ended(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn it_tells_how_to_use_it_answers_and_stops_cleanly() {
    let mut started =
        Started::new(&mut onsale(&["--listen", "127.0.0.1:0", "--fault", "decline@10", "--seed", "7"]));
    assert!(
        started.greeting.contains("ONSALE_TOSS_SECRET=test_sk_onsale_mock_gateway"),
        "{}",
        started.greeting
    );
    let ledger = started.get("/mock/ledger");
    assert!(ledger.starts_with("HTTP/1.1 200 ") && ledger.contains("\"captures\":0"), "{ledger}");
    assert!(started.get("/mock/faults").contains("decline@10"));
    assert!(started.get("/checkout?orderId=order-1&amount=50000").contains("₩50,000"));
    // A connection that stays open holds up nothing.
    let _idle = TcpStream::connect(&started.address).unwrap();
    let pid = started.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(started.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_secret_that_was_given_is_not_printed() {
    let started =
        Started::new(onsale(&["--listen", "127.0.0.1:0"]).env("ONSALE_TOSS_SECRET", "live_sk_secret"));
    assert!(!started.greeting.contains("live_sk_secret"), "{}", started.greeting);
    let help = ended(onsale(&["--help"]).env("ONSALE_TOSS_SECRET", "live_sk_secret").output().unwrap());
    assert!(
        help.0 == Some(0) && help.1.contains("FAULTS") && !help.1.contains("live_sk_secret"),
        "{}",
        help.1
    );
}

#[test]
fn wrong_usage_is_2_and_a_taken_port_is_1() {
    for wrong in [
        ["--fault", "nonsense"],
        ["--listen", "nowhere"],
        ["--webhook-url", "ftp://host"],
        ["--session-seconds", "0"],
        ["--secret", ""],
    ] {
        let (code, out, err) = ended(onsale(&wrong).output().unwrap());
        assert_eq!((code, out.as_str()), (Some(2), ""), "{wrong:?}: {err}");
    }
    let started = Started::new(&mut onsale(&["--listen", "127.0.0.1:0"]));
    let (code, _, err) = ended(onsale(&["--listen", &started.address]).output().unwrap());
    assert!(code == Some(1) && err.contains("can't be listened on"), "{err}");
}
