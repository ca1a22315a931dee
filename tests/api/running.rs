//! Running it: probes, metrics, the description and its page, the end.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::token;
use crate::{Answer, Api, GET, POST, hold_of, path_of, soon};

/// The routes of the contract that exist by now.
const ROUTES: [(&str, &[&str]); 37] = [
    ("/api/v1/venues", &["get"]),
    ("/api/v1/venues/{venueId}", &["put", "get", "delete"]),
    ("/api/v1/concerts", &["get"]),
    ("/api/v1/concerts/{concertId}", &["put", "get", "delete"]),
    ("/api/v1/concerts/{concertId}/schedules", &["get"]),
    ("/api/v1/concerts/available-dates", &["get"]),
    ("/api/v1/schedules/{scheduleId}", &["put", "get", "delete"]),
    ("/api/v1/schedules/{scheduleId}/open", &["post"]),
    ("/api/v1/schedules/{scheduleId}/close", &["post"]),
    ("/api/v1/schedules/{scheduleId}/cancel", &["post"]),
    ("/api/v1/schedules/{scheduleId}/block", &["post"]),
    ("/api/v1/schedules/{scheduleId}/unblock", &["post"]),
    ("/api/v1/import", &["post"]),
    ("/api/v1/schedules/{scheduleId}/seats", &["get"]),
    ("/api/v1/schedules/{scheduleId}/seats/events", &["get"]),
    ("/api/v1/plans/{planId}", &["get"]),
    ("/api/v1/streams/tickets", &["post"]),
    ("/api/v1/reservations", &["post", "get"]),
    ("/api/v1/reservations/{reservationId}", &["get", "patch", "delete"]),
    ("/api/v1/queue/tokens", &["post"]),
    ("/api/v1/queue/tokens/current", &["get", "delete"]),
    ("/api/v1/queue/tokens/current/events", &["get"]),
    ("/api/v1/schedules/{scheduleId}/queue", &["get", "patch"]),
    ("/api/v1/admin/overview", &["get"]),
    ("/api/v1/admin/schedules/{scheduleId}/history", &["get"]),
    ("/api/v1/admin/schedules/{scheduleId}/seats", &["get"]),
    ("/api/v1/admin/snapshots", &["post"]),
    ("/api/v1/admin/export", &["get"]),
    ("/api/v1/admin/backup", &["get"]),
    ("/api/v1/admin/cluster", &["get"]),
    ("/api/v1/admin/cluster/drain", &["post"]),
    ("/api/v1/events", &["get"]),
    ("/healthz", &["get"]),
    ("/readyz", &["get"]),
    ("/metrics", &["get"]),
    ("/openapi.json", &["get"]),
    ("/docs", &["get"]),
];

#[tokio::test]
async fn a_process_that_is_ready_says_so() {
    let api = Api::start();
    api.root(GET, "/healthz").await.ok(200);
    api.root(GET, "/readyz").await.ok(200);
}

/// Reads the lines of Prometheus text that aren't comments.
fn series(answer: Answer) -> Vec<(String, f64)> {
    assert!(answer.header("content-type").starts_with("text/plain"));
    let text = String::from_utf8(answer.bytes.clone()).unwrap();
    answer.ok(200);
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn metrics_have_our_names_and_latencies_as_histograms() {
    let api = Api::with_hall(4, json!({})).await;
    let held = api.hold("somebody-else", &[1]).await.ok(201);
    api.hold("lee", &[1]).await.refused(409, "seat_unavailable");
    let answer = api.root(GET, "/metrics").await;
    let all = String::from_utf8(answer.bytes.clone()).unwrap();
    assert!(!all.contains("somebody-else") && !all.contains(held["reservationId"].as_str().unwrap()));
    let series = series(answer);
    for (name, value) in &series {
        assert!(name.starts_with("onsale_") && value.is_finite(), "{name}");
    }
    let latency = |(name, value): &(String, f64)| {
        name.contains("_seconds_bucket{")
            && name.contains("/reservations")
            && name.contains("le=")
            && *value >= 1.0
    };
    assert!(series.iter().any(latency), "{all}");
    let held = |(name, value): &(String, f64)| {
        name.starts_with("onsale_seats{") && name.contains("status=\"held\"") && *value > 0.5
    };
    assert!(series.iter().any(held), "{all}");
}

#[tokio::test]
async fn metrics_with_an_address_of_their_own_are_there_and_nowhere_else() {
    let api = Api::start_with(&[("ONSALE_METRICS_LISTEN", "127.0.0.1:0")]);
    assert_ne!(api.server.metrics, api.server.url);
    api.root(GET, "/metrics").await.refused(404, "not_found");
    let there = |path: &str| api.server.client.get(format!("{}{path}", api.server.metrics)).send();
    let shown = Answer::read(there("/metrics").await.unwrap()).await;
    assert!(series(shown).iter().all(|(name, _)| name.starts_with("onsale_")));
    Answer::read(there("/api/v1/venues").await.unwrap()).await.refused(404, "not_found");
}

#[tokio::test]
async fn the_description_is_openapi_3_1_and_lists_every_route() {
    let api = Api::start();
    let openapi = api.root(GET, "/openapi.json").await.ok(200);
    assert!(openapi["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_eq!(openapi["info"]["title"], "onsale");
    // The description and its page aren't described by themselves.
    let described = |path: &&(&str, &[&str])| !["/openapi.json", "/docs"].contains(&path.0);
    for (path, methods) in ROUTES.iter().filter(described) {
        let listed: BTreeSet<&str> = openapi["paths"][path]
            .as_object()
            .unwrap_or_else(|| panic!("{path}"))
            .keys()
            .map(String::as_str)
            .collect();
        assert!(methods.iter().all(|method| listed.contains(method)), "{path}: {listed:?}");
    }
    for (path, item) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            check_operation(&openapi, path, operation);
            let called = path.replace(['{', '}'], "");
            let method = method.to_ascii_uppercase().parse().unwrap();
            let answer = api.root(method, &called).await;
            assert_ne!(answer.status, 405, "{path} is described and isn't there");
            assert_ne!(
                answer.body["detail"], "There is no such route.",
                "{path} is described and isn't there"
            );
        }
    }
}

/// Checks that an operation says what it is for and what it answers, and refers to nothing that isn't there.
fn check_operation(openapi: &Value, path: &str, operation: &Value) {
    let summary = operation["summary"].as_str().unwrap_or_default();
    let is_title = summary.lines().count() == 1 && !summary.ends_with('.');
    assert!(is_title, "{path}: {summary:?} isn't what it does, in a few words");
    let responses = operation["responses"].as_object().unwrap();
    assert!(responses.keys().any(|status| status.starts_with('2')), "{path}");
    let parameters: Vec<&str> = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|parameter| parameter["in"] == "path")
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect();
    let in_path: Vec<&str> = path.split('{').skip(1).map(|part| part.split('}').next().unwrap()).collect();
    assert_eq!(parameters, in_path, "{path}");
    for reference in references(operation) {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(openapi.pointer(pointer).is_some(), "{path}: {reference}");
    }
}

fn references(value: &Value) -> Vec<&str> {
    let inside = |values: &mut dyn Iterator<Item = _>| values.flat_map(references).collect::<Vec<_>>();
    let mut found = inside(&mut value.as_array().into_iter().flatten());
    found.extend(inside(&mut value.as_object().into_iter().flat_map(|object| object.values())));
    found.extend(value.get("$ref").and_then(Value::as_str));
    found
}

#[tokio::test]
async fn the_page_needs_no_internet_and_lets_nothing_in_from_there() {
    let api = Api::start();
    let page = api.root(GET, "/docs").await;
    assert!(page.header("content-type").starts_with("text/html"));
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.contains("default-src") && !policy.contains("//") && !policy.contains('*'), "{policy}");
    for scheme in ["http:", "https:", "ws:", "wss:"] {
        assert!(!policy.contains(scheme), "{policy}");
    }
    let html = String::from_utf8(page.bytes).unwrap();
    assert!(!html.contains("//"), "no address of another host: {html}");
    let parts: Vec<&str> = ["src=\"", "href=\""]
        .iter()
        .flat_map(|start| html.split(start).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(parts.len() >= 3, "{parts:?}");
    for part in parts {
        let part = api.root(GET, &format!("/{}", part.trim_start_matches('/'))).await;
        assert!(!part.bytes.is_empty());
        assert_eq!(part.status, 200);
    }
    api.root(GET, "/docs/..%2F..%2Fetc%2Fpasswd").await.refused(404, "not_found");
    api.root(GET, "/docs/none.js").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_takes_nothing_new_and_ends_with_0() {
    let api = Api::with_hall(4, json!({})).await;
    let address = api.server.url.strip_prefix("http://").unwrap().to_owned();
    let body = hold_of(&[1]).to_string();
    let (begin, rest) = body.split_at(5);
    let mut line = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /api/v1/reservations HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nidempotency-key: k\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        token("kim"),
        body.len()
    );
    line.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: from here on the request is under way.
    let mut asked = [0; 25];
    soon(line.read_exact(&mut asked)).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    line.write_all(begin.as_bytes()).await.unwrap();
    let Api { server, data, environment } = api;
    let stopped = tokio::task::spawn_blocking(move || server.terminate());
    // A listener that is gone says that the stop has begun.
    soon(async { while TcpStream::connect(&address).await.is_ok() {} }).await;
    line.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(line.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(soon(stopped).await.unwrap().code(), Some(0));
    let server = crate::server::Server::start_with(data.path(), &crate::quiet(&[]));
    let api = Api { server, data, environment };
    let again = api.user("kim", POST, "/reservations").key("k").json(&hold_of(&[1])).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, "true"));
    assert_eq!(api.user("kim", GET, &path_of(&again.body)).await.ok(200)["status"], "held");
}

#[tokio::test]
async fn the_overview_shows_schedules_seats_queue_journal_and_throughput() {
    let api = Api::with_hall(4, json!({})).await;
    api.hold("kim", &[1]).await.ok(201);
    api.hold("lee", &[1]).await.refused(409, "seat_unavailable");
    api.hold("lee", &[1]).await.refused(409, "seat_unavailable");
    api.admin(GET, "/admin/overview").await.ok(200);
    api.admin(POST, "/schedules/s/close").await.ok(200);
    api.admin(POST, "/schedules/s/open").await.ok(200);
    let overview = api.admin(GET, "/admin/overview").await.ok(200);
    assert_eq!(overview["liveHolds"], 1);
    assert_eq!(overview["refusals"], json!({"seat_unavailable": 2}));
    assert_eq!(overview["schedules"][0]["grades"], json!([{"grade": "R", "available": 3, "total": 4}]));
    assert!(overview["throughput"]["commitMillis"].as_f64().unwrap() > 0.0, "{overview}");
    for part in ["schedules", "seats", "queue", "journal", "throughput"] {
        assert!(!overview[part].is_null(), "{part}: {overview}");
    }
    assert_eq!((&overview["seats"]["held"], &overview["seats"]["available"]), (&json!(1), &json!(3)));
    assert_eq!(overview["schedules"][0]["scheduleId"], "s");
    assert_eq!(overview["schedules"][0]["status"], "open");
    let position = api.admin(POST, "/admin/snapshots").await.ok(200)["position"].clone();
    assert_eq!(overview["journal"]["position"], position);
}
