//! The catalogue's, schedules' and operators' routes, from request to answer, over an engine on a
//! directory of its own.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::clock::ManualClock;
use crate::cluster::{Drain, Moment, Owner, Reads, View};
use crate::domain::time::Timestamp;
use crate::engine::{Engine, EngineConfig};
use crate::gateway::EXTERNAL;
use crate::http::app::App;
use crate::http::cluster::ClusterNode;
use crate::http::documents::is_reachable;
use crate::http::request::Site;
use crate::http::tests_support::{CLUSTER, parts};

const ADMIN: &str = "an-administrator-token-of-32-bytes";
const NOW: u64 = 1_800_000_000_000;

struct Served {
    site: Site,
    app: App,
    clock: ManualClock,
    _dir: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    fn replayed(&self) -> bool {
        self.headers.contains_key("idempotent-replayed")
    }
}

impl Served {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_millis(NOW));
        let mut config = EngineConfig::new(dir.path());
        config.journal.reserve_bytes = 0;
        config.clock = Arc::new(clock.clone());
        let engine = Engine::open(config).await.unwrap();
        let app = App::new(engine, parts(&[("ONSALE_ADMIN_TOKEN", ADMIN)]), None);
        Self { site: app.clone().site(), app, clock, _dir: dir }
    }

    async fn filled() -> Self {
        let served = Self::new().await;
        assert_eq!(served.send("POST", "/api/v1/import", import()).await.status, StatusCode::OK);
        served
    }

    async fn request(&self, request: Request<Body>) -> Answer {
        let response = self.site.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec();
        Answer { status, headers, body }
    }

    /// Sends as the administrator; `null` is no body.
    async fn send(&self, method: &str, path: &str, body: Value) -> Answer {
        self.keyed(method, path, None, body).await
    }

    async fn keyed(&self, method: &str, path: &str, key: Option<&str>, body: Value) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header(header::AUTHORIZATION, format!("Bearer {ADMIN}"));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        };
        self.request(request.body(body).unwrap()).await
    }

    /// Sends as the administrator without a body, and reads the first part of what comes.
    async fn request_head(&self, method: &str, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::AUTHORIZATION, format!("Bearer {ADMIN}"));
        let response = self.site.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.into_body().into_data_stream().next().await;
        Answer { status, headers, body: body.transpose().unwrap().unwrap_or_default().to_vec() }
    }

    /// Gets as nobody.
    async fn get(&self, path: &str) -> Answer {
        self.request(Request::builder().uri(path).body(Body::empty()).unwrap()).await
    }
}

fn venue() -> Value {
    json!({"name": "Hall", "timeZone": "Asia/Seoul", "sections": [
        {"sectionId": "B", "floor": "1층", "rows": [{"rowId": "7", "grade": "VIP", "length": 4}]}]})
}

fn concert() -> Value {
    json!({"title": "Show", "artist": "Someone", "venueId": "hall", "currency": "KRW",
        "grades": [{"grade": "VIP", "price": 170_000, "color": "#FF0000"}]})
}

fn schedule() -> Value {
    json!({"concertId": "show", "startsAt": "2027-02-09T15:30:00Z", "endsAt": "2027-02-09T18:00:00Z",
        "casting": {"lola": "강홍석"}})
}

fn import() -> Value {
    let with = |mut item: Value, name: &str, id: &str| {
        item[name] = id.into();
        item
    };
    json!({"venues": [with(venue(), "venueId", "hall")], "concerts": [with(concert(), "concertId", "show")],
        "schedules": [with(schedule(), "scheduleId", "show-1")]})
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.json()["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn what_is_put_is_given_back_and_removed_only_once_nothing_uses_it() {
    let served = Served::new().await;
    for (path, document) in [("venues/hall", venue()), ("concerts/show", concert())] {
        let path = format!("/api/v1/{path}");
        let created = served.send("PUT", &path, document.clone()).await;
        assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
        assert_eq!(served.send("PUT", &path, document).await.status, StatusCode::OK);
        let read = served.get(&path).await.json();
        assert_eq!(read, created.json());
        assert_eq!(served.send("PUT", &path, read).await.status, StatusCode::OK, "what GET gives can be put");
    }
    let created = served.send("PUT", "/api/v1/schedules/show-1", schedule()).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
    let read = served.get("/api/v1/schedules/show-1").await.json();
    assert_eq!(read, created.json());
    let seats = json!({"available": 4, "held": 0, "reserved": 0, "blocked": 0, "total": 4});
    assert_eq!(
        (&read["seats"], &read["status"], &read["currency"]),
        (&seats, &json!("upcoming"), &json!("KRW"))
    );
    assert_eq!((&read["casting"], &read["policy"]["holdSeconds"]), (&json!({"lola": "강홍석"}), &json!(300)));

    for (path, after) in [("venues/hall", 409), ("concerts/show", 409), ("schedules/show-1", 204)] {
        let answer = served.send("DELETE", &format!("/api/v1/{path}"), Value::Null).await;
        assert_eq!(answer.status.as_u16(), after, "{path}");
    }
    let gone = served.keyed("DELETE", "/api/v1/concerts/show", Some("k"), Value::Null).await;
    assert_eq!((gone.status, gone.replayed()), (StatusCode::NO_CONTENT, false));
    let again = served.keyed("DELETE", "/api/v1/concerts/show", Some("k"), Value::Null).await;
    assert_eq!((again.status, again.replayed()), (StatusCode::NO_CONTENT, true));
    let other = served.keyed("DELETE", "/api/v1/concerts/show", Some("l"), Value::Null).await;
    assert_eq!(code(&other), (404, "not_found".into()));
    assert_eq!(
        served.send("PUT", "/api/v1/venues/a%20b", venue()).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
}

#[tokio::test]
async fn changes_are_for_administrators_and_reading_for_everyone() {
    let served = Served::filled().await;
    for path in [
        "venues",
        "venues/hall",
        "concerts",
        "concerts/show",
        "concerts/show/schedules",
        "concerts/available-dates",
        "schedules/show-1",
    ] {
        assert_eq!(served.get(&format!("/api/v1/{path}")).await.status, StatusCode::OK, "{path}");
    }
    for path in [
        "admin/overview",
        "events",
        "admin/schedules/show-1/history",
        "admin/schedules/show-1/seats?at=2027-01-01T00:00:00Z",
    ] {
        assert_eq!(served.get(&format!("/api/v1/{path}")).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let request = Request::builder().method("POST").uri("/api/v1/schedules/show-1/open").body(Body::empty());
    assert_eq!(served.request(request.unwrap()).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_import_is_all_or_nothing_and_repeated_by_its_key() {
    let served = Served::new().await;
    let mut wrong = import();
    wrong["schedules"][0]["endsAt"] = "2027-02-09T15:30:00Z".into();
    let refused = served.send("POST", "/api/v1/import", wrong).await;
    assert_eq!(code(&refused), (422, "invalid_request".into()));
    assert_eq!(refused.json()["errors"][0]["field"], "schedules[0].endsAt");
    assert_eq!(served.get("/api/v1/venues").await.json()["items"], json!([]));
    for replayed in [false, true] {
        let answer = served.keyed("POST", "/api/v1/import", Some("k"), import()).await;
        assert_eq!((answer.status, answer.replayed()), (StatusCode::OK, replayed));
        assert_eq!(answer.json(), json!({"venues": 1, "concerts": 1, "schedules": 1}));
    }
    let other = served.keyed("POST", "/api/v1/import", Some("k"), json!({})).await;
    assert_eq!(code(&other), (422, "idempotency_key_reused".into()));
}

#[tokio::test]
async fn lists_are_paged_and_schedules_stand_in_order_of_their_start() {
    let served = Served::filled().await;
    for (id, day) in [("a", "2027-02-11"), ("b", "2027-02-10"), ("c", "2027-02-10")] {
        let mut item = schedule();
        item["startsAt"] = format!("{day}T15:30:00Z").into();
        item["endsAt"] = format!("{day}T18:00:00Z").into();
        let put = served.send("PUT", &format!("/api/v1/schedules/{id}"), item).await;
        assert_eq!(put.status, StatusCode::CREATED);
    }
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = served.get(&format!("/api/v1/concerts/show/schedules?limit=1{cursor}")).await.json();
        ids.push(page["items"][0]["scheduleId"].as_str().unwrap().to_owned());
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(ids, ["show-1", "b", "c", "a"]);
    assert_eq!(code(&served.get("/api/v1/concerts/show/schedules?cursor=!").await).0, 400);
    assert_eq!(served.get("/api/v1/concerts/none/schedules").await.status, StatusCode::NOT_FOUND);
    assert_eq!(served.get("/api/v1/venues").await.json()["items"][0]["seats"], 4);

    assert_eq!(served.get("/api/v1/concerts/available-dates").await.json(), json!({"dates": []}));
    for id in ["show-1", "b"] {
        served.send("POST", &format!("/api/v1/schedules/{id}/open"), Value::Null).await;
    }
    // Half past midnight in Seoul is the next day.
    let dates = json!({"dates": ["2027-02-10", "2027-02-11"]});
    assert_eq!(served.get("/api/v1/concerts/available-dates").await.json(), dates);
    assert_eq!(served.get("/api/v1/concerts/available-dates?concertId=x").await.json(), json!({"dates": []}));
}

#[tokio::test]
async fn a_sale_opens_closes_and_is_cancelled_and_a_key_gives_the_first_answer_again() {
    let served = Served::filled().await;
    let act = async |what: &str, key| {
        served.keyed("POST", &format!("/api/v1/schedules/show-1/{what}"), key, Value::Null).await
    };
    assert_eq!(code(&act("close", None).await), (409, "invalid_transition".into()));
    let first = act("open", Some("k")).await;
    assert_eq!(
        (first.status, first.json()["status"].clone()),
        (StatusCode::OK, json!("open")),
        "{}",
        first.text()
    );
    assert_eq!(act("close", None).await.json()["status"], "closed");
    let again = act("open", Some("k")).await;
    assert_eq!((again.replayed(), again.body), (true, first.body));
    assert_eq!(served.get("/api/v1/schedules/show-1").await.json()["status"], "closed");
    assert_eq!(act("open", None).await.json()["status"], "open");
    assert_eq!(act("cancel", None).await.json()["status"], "cancelled");
    assert_eq!(act("cancel", None).await.status, StatusCode::OK);
    assert_eq!(code(&act("open", None).await), (409, "invalid_transition".into()));
    let extra = served.send("POST", "/api/v1/schedules/show-1/cancel", json!({"why": 1})).await;
    assert_eq!(code(&extra), (422, "invalid_request".into()));
    assert_eq!(
        served.send("POST", "/api/v1/schedules/none/open", Value::Null).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn seats_are_blocked_all_or_none() {
    let served = Served::filled().await;
    let block = async |what: &str, seats: Value| {
        served.send("POST", &format!("/api/v1/schedules/show-1/{what}"), json!({"seats": seats})).await
    };
    assert_eq!(code(&block("block", json!([])).await), (422, "invalid_request".into()));
    let twice = block("block", json!(["1층-B-7-1", "1층-B-7-1"])).await;
    assert_eq!(twice.json()["errors"][0]["field"], "seats[1]");
    let unknown = block("block", json!(["1층-B-7-1", "x"])).await;
    assert_eq!(
        (code(&unknown), unknown.json()["seats"].clone()),
        ((422, "unknown_seat".into()), json!(["x"]))
    );
    let blocked = block("block", json!(["1층-B-7-1", "1층-B-7-2"])).await.json();
    assert_eq!((&blocked["seats"]["blocked"], &blocked["version"]), (&json!(2), &json!(1)));
    assert_eq!(block("block", json!(["1층-B-7-2"])).await.status, StatusCode::OK, "it is so already");
    served.send("POST", "/api/v1/schedules/show-1/open", Value::Null).await;
    let hold = json!({"scheduleId": "show-1", "seats": ["1층-B-7-3"]});
    assert_eq!(served.send("POST", "/api/v1/reservations", hold).await.status, StatusCode::CREATED);
    let taken = block("block", json!(["1층-B-7-3", "1층-B-7-4"])).await;
    assert_eq!(code(&taken), (409, "seat_unavailable".into()));
    assert_eq!(taken.json()["seats"], json!(["1층-B-7-3"]));
    assert_eq!(block("unblock", json!(["1층-B-7-1"])).await.json()["seats"]["blocked"], 1);
}

#[tokio::test]
async fn the_past_is_shown_by_event_and_by_instant() {
    let served = Served::filled().await;
    let path = "/api/v1/admin/schedules/show-1";
    served.clock.pass_millis(1_000);
    served.send("POST", "/api/v1/schedules/show-1/block", json!({"seats": ["1층-B-7-1"]})).await;
    served.clock.pass_millis(1_000);
    served.send("POST", "/api/v1/schedules/show-1/unblock", json!({"seats": ["1층-B-7-1"]})).await;
    served.send("POST", "/api/v1/schedules/show-1/block", json!({"seats": ["1층-B-7-4"]})).await;
    let history =
        served.send("GET", &format!("{path}/history?seatId=1%EC%B8%B5-B-7-1"), Value::Null).await.json();
    let kinds: Vec<&str> =
        history["items"].as_array().unwrap().iter().map(|i| i["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["SeatsUnblocked", "SeatsBlocked"]);
    let data = json!({"seats": ["1층-B-7-1"], "by": "admin", "adminId": "onsale:scripts"});
    assert_eq!(history["items"][1]["data"], data);
    assert_eq!(history["items"][1]["scheduleId"], "show-1");
    let last = served.send("GET", &format!("{path}/history?limit=1"), Value::Null).await.json();
    assert_eq!(last["items"].as_array().unwrap().len(), 1);
    let none = served.send("GET", &format!("{path}/history?seatId=x"), Value::Null).await;
    assert_eq!(code(&none), (422, "unknown_seat".into()));

    let at = async |millis: u64| {
        let at = Timestamp::from_millis(NOW + millis);
        served.send("GET", &format!("{path}/seats?at={at}"), Value::Null).await
    };
    assert_eq!(at(1_500).await.json()["seats"][0]["status"], "blocked");
    assert_eq!(at(1_500).await.json()["at"], Timestamp::from_millis(NOW + 1_500).to_string());
    let now = at(99_000).await.json();
    assert_eq!(
        (&now["seats"][0]["status"], &now["seats"][3]["status"]),
        (&json!("available"), &json!("blocked"))
    );
    assert_eq!(now["at"], Timestamp::from_millis(NOW + 2_000).to_string());
    let before = served.send("GET", &format!("{path}/seats?at=2026-01-01T00:00:00Z"), Value::Null).await;
    assert_eq!(code(&before), (404, "not_found".into()));
    assert_eq!(served.send("GET", &format!("{path}/seats"), Value::Null).await.status.as_u16(), 422);
}

#[tokio::test]
async fn the_feed_tells_every_event_in_order_goes_on_live_and_ends_with_the_server() {
    let served = Served::filled().await;
    let request =
        Request::builder().uri("/api/v1/events?after=0").header("authorization", format!("Bearer {ADMIN}"));
    let response = served.site.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    let mut text = String::new();
    let mut opened = false;
    let events = loop {
        text.push_str(core::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
        let events: Vec<Value> = text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        if events.len() >= 6 {
            break events;
        }
        if !opened {
            opened = true;
            served.send("POST", "/api/v1/schedules/show-1/open", Value::Null).await;
        }
    };
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["VenuePut", "ConcertPut", "ScheduleListed", "Created", "SchedulesCreated", "SalesOpened"]
    );
    let positions: Vec<u64> = events.iter().map(|event| event["position"].as_u64().unwrap()).collect();
    assert_eq!(positions, [1, 2, 3, 4, 5, 6]);
    let last = &events[5];
    assert_eq!(
        (&last["specversion"], &last["id"], &last["subject"]),
        (&json!("1.0"), &json!("6"), &json!("schedules/show-1"))
    );
    let by = json!({"scheduleId": "show-1", "prices": {"VIP": 170_000}, "by": "admin", "adminId": "onsale:scripts"});
    assert_eq!(last["data"], by);
    assert!(text.contains("id: 6\nevent: SalesOpened\ndata: {"), "{text}");

    let ahead = served.send("GET", "/api/v1/events?after=7", Value::Null).await;
    assert_eq!(code(&ahead), (422, "invalid_request".into()));
    served.app.parts.shutdown.cancel();
    while stream.next().await.is_some() {}
}

#[tokio::test]
async fn a_schedule_that_is_gone_is_still_told_by_its_names() {
    let served = Served::filled().await;
    served.send("POST", "/api/v1/schedules/show-1/block", json!({"seats": ["1층-B-7-2"]})).await;
    for path in ["schedules/show-1", "concerts/show", "venues/hall"] {
        let gone = served.send("DELETE", &format!("/api/v1/{path}"), Value::Null).await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT, "{path}");
    }
    // The end of the server ends the stream, so that it can be read whole.
    let request =
        Request::builder().uri("/api/v1/events?after=5").header("authorization", format!("Bearer {ADMIN}"));
    let response = served.site.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let mut stream = response.into_body().into_data_stream();
    let first = String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(first.contains(r#""subject":"schedules/show-1""#), "{first}");
    assert!(first.contains(r#""seats":["1층-B-7-2"]"#), "{first}");
    assert!(
        first.contains("event: ScheduleUnlisted\n") && first.contains("event: VenueRemoved\n"),
        "{first}"
    );
}

#[tokio::test]
async fn operators_see_the_present_and_take_snapshots() {
    let served = Served::filled().await;
    served.send("POST", "/api/v1/schedules/show-1/open", Value::Null).await;
    let overview = served.send("GET", "/api/v1/admin/overview", Value::Null).await.json();
    assert_eq!(overview["sales"]["open"], 1);
    assert_eq!(overview["seats"]["available"], 4);
    assert_eq!(overview["schedules"][0]["scheduleId"], "show-1");
    assert_eq!((&overview["journal"]["position"], &overview["ready"]), (&json!(6), &json!(true)));
    let snapshot = served.send("POST", "/api/v1/admin/snapshots", Value::Null).await;
    assert_eq!((snapshot.status, snapshot.json()), (StatusCode::OK, json!({"position": 6})));

    assert_eq!(served.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(served.get("/readyz").await.status, StatusCode::OK);
    assert_eq!(served.get("/metrics").await.status, StatusCode::NOT_FOUND, "nobody records");
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let text = super::metrics::exposition(&served.app, &recorder.handle());
    assert!(text.contains("onsale_seats{schedule=\"show-1\",status=\"available\"} 4\n"), "{text}");
    assert!(text.contains("onsale_seats{schedule=\"other\",status=\"held\"} 0\n"), "{text}");
    assert!(
        text.contains("onsale_schedules{status=\"open\"} 1\n") && text.contains("onsale_ready 1\n"),
        "{text}"
    );
    served.app.parts.shutdown.cancel();
    assert_eq!(code(&served.get("/readyz").await), (503, "not_ready".into()));
    assert_eq!(served.get("/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_description_covers_every_route_and_the_page_needs_nothing_from_elsewhere() {
    let served = Served::new().await;
    let description = served.get("/openapi.json").await.json();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = description["paths"].as_object().unwrap();
    for path in [
        "/api/v1/venues/{venueId}",
        "/api/v1/concerts/available-dates",
        "/api/v1/schedules/{scheduleId}/open",
        "/api/v1/schedules/{scheduleId}/seats",
        "/api/v1/reservations",
        "/api/v1/import",
        "/api/v1/events",
        "/readyz",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path}");
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
            assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem", "{method} {path}");
        }
    }
    // Every schema that is named is there.
    let text = description.to_string();
    for name in text.split("\"#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(description["components"]["schemas"][name].is_object(), "{name}");
    }

    let page = served.get("/docs").await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("http"), "{policy}");
    let links = page.text();
    for link in links.split(['"']).filter(|link| link.starts_with("docs/")) {
        let part = served.get(&format!("/{link}")).await;
        assert_eq!(part.status, StatusCode::OK, "{link}");
        assert!(part.body.len() > 100 && !part.headers["content-type"].is_empty(), "{link}");
    }
    let initializer = served.get("/docs/swagger-initializer.js").await.text();
    assert!(initializer.contains("\"openapi.json\"") && initializer.contains("\"none\""), "{initializer}");
    assert!(!initializer.contains("http"), "{initializer}");
    assert_eq!(served.get("/docs/none").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_page_is_found_with_a_slash_at_its_end_behind_any_prefix() {
    let served = Served::new().await;
    let answer = served.get("/docs/").await;
    assert_eq!((answer.status.as_u16(), &answer.headers["location"]), (308, &"../docs".parse().unwrap()));
}

impl Served {
    /// Makes a hall of so many seats in rows of 50, all VIP but for every tenth row, and a schedule `show-1` on sale.
    async fn with_seats(rows: usize) -> Self {
        let served = Self::new().await;
        let row = |row: usize| {
            let grade = if row % 10 == 9 { "R" } else { "VIP" };
            json!({"rowId": row.to_string(), "grade": grade, "length": 50})
        };
        let rows: Vec<Value> = (0..rows).map(row).collect();
        let mut import = import();
        import["venues"][0]["sections"][0]["rows"] = rows.into();
        import["concerts"][0]["grades"] = json!([
            {"grade": "VIP", "price": 170_000, "color": "#FF0000"}, {"grade": "R", "price": 9, "color": "#FF0000"}]);
        assert_eq!(served.send("POST", "/api/v1/import", import).await.status, StatusCode::OK);
        served.send("POST", "/api/v1/schedules/show-1/open", Value::Null).await;
        served
    }

    /// Opens a body that is read piece by piece.
    async fn open(&self, path: &str, resume: Option<&str>) -> axum::body::BodyDataStream {
        let request = Request::builder().uri(path);
        let request = resume.into_iter().fold(request, |request, id| request.header("last-event-id", id));
        let response = self.site.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().into_data_stream()
    }

    async fn block(&self, seats: &[&str], what: &str) {
        let path = format!("/api/v1/schedules/show-1/{what}");
        assert_eq!(self.send("POST", &path, json!({"seats": seats})).await.status, StatusCode::OK);
    }
}

const MAP: &str = "/api/v1/schedules/show-1/seats";

#[tokio::test]
async fn a_large_map_comes_in_pieces_of_one_version_and_says_its_length() {
    let served = Served::with_seats(40).await;
    served.block(&["1층-B-0-1", "1층-B-9-2", "1층-B-39-50"], "block").await;
    let whole = served.get(MAP).await;
    let head = served.send("HEAD", MAP, Value::Null).await;
    assert_eq!((&head.headers["content-length"], &*head.body), (&whole.body.len().into(), &b""[..]));
    let seats = whole.json()["seats"].as_array().unwrap().clone();
    let ids: Vec<&str> = seats.iter().map(|seat| seat["seatId"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), ids[0], ids[1999]), (2_000, "1층-B-0-1", "1층-B-39-50"));

    // A reader who is slow, and a version that is over, change nothing of what is read.
    let mut slow = served.open(MAP, None).await;
    let mut read = slow.next().await.unwrap().unwrap().to_vec();
    assert!(read.len() < whole.body.len() / 4, "a piece is no map");
    served.block(&["1층-B-39-49"], "block").await;
    assert_ne!(served.get(MAP).await.body, whole.body);
    while let Some(piece) = slow.next().await {
        read.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(read, whole.body);

    let map = served.get(MAP).await.json()["seats"].as_array().unwrap().clone();
    for (query, status, grade) in [
        ("status=blocked", Some("blocked"), None),
        ("grade=R", None, Some("R")),
        ("status=available&grade=VIP", Some("available"), Some("VIP")),
        ("status=held", Some("held"), None),
    ] {
        let is = |seat: &&Value| {
            status.is_none_or(|status| seat["status"] == status)
                && grade.is_none_or(|grade| seat["grade"] == grade)
        };
        let expected: Vec<&Value> = map.iter().filter(is).collect();
        let narrowed = served.get(&format!("{MAP}?{query}")).await.json();
        assert_eq!(narrowed["seats"].as_array().unwrap().iter().collect::<Vec<_>>(), expected, "{query}");
    }
    let mut events = served.open(&format!("{MAP}/events"), None).await;
    let mut text = String::new();
    while !text.ends_with("}}\n\n") {
        text.push_str(core::str::from_utf8(&events.next().await.unwrap().unwrap()).unwrap());
    }
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let blocked = ["1층-B-0-1", "1층-B-9-2", "1층-B-39-49", "1층-B-39-50"];
    let blocked: serde_json::Map<_, _> =
        blocked.map(|id| (id.to_owned(), json!("blocked"))).into_iter().collect();
    assert_eq!(serde_json::from_str::<Value>(data).unwrap(), json!({"version": 2, "seats": blocked}));
}

#[tokio::test]
async fn readers_of_one_version_share_what_was_written_of_it_and_of_an_older_one_nothing_is_kept() {
    let served = Served::with_seats(40).await;
    let piece = async |body: &mut axum::body::BodyDataStream| body.next().await.unwrap().unwrap();
    let (mut one, mut other) = (served.open(MAP, None).await, served.open(MAP, None).await);
    let first = piece(&mut one).await;
    assert_eq!(first.as_ptr(), piece(&mut other).await.as_ptr(), "it is one copy");
    served.block(&["1층-B-0-1"], "block").await;
    served.get(MAP).await;
    assert!(first.is_unique(), "who still has it has it alone");
    let (one, other) = (piece(&mut one).await, piece(&mut other).await);
    assert!(one == other && one.is_unique() && other.is_unique());
}

#[tokio::test]
async fn a_map_counts_for_as_many_reads_as_it_is_large() {
    let served = Served::with_seats(1_000).await;
    let settings = [("ONSALE_ADMIN_TOKEN", ADMIN), ("ONSALE_LIMITS_READS_PER_SECOND", "10")];
    let app = App::new(served.app.engine.clone(), parts(&settings), None);
    let site = app.site();
    let ask = async |path: &str, tag: Option<&str>| {
        let request = Request::builder().uri(path);
        let request = tag.into_iter().fold(request, |request, tag| request.header("if-none-match", tag));
        site.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    };
    // A hundred at once; a map of 50,000 seats is 26 of them, and what the caller has already is one.
    let first = ask(MAP, None).await;
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(ask(&format!("{MAP}?status=held"), None).await.status(), 200);
    assert_eq!(ask(&format!("{MAP}/events"), None).await.status(), 200);
    for _ in 0..10 {
        assert_eq!(ask(MAP, Some(&tag)).await.status(), 304);
    }
    for path in [MAP, &format!("{MAP}?grade=R"), &format!("{MAP}/events")] {
        assert_eq!(ask(path, None).await.status(), 429, "{path}");
    }
    assert_eq!(ask("/api/v1/schedules/show-1", None).await.status(), 200);
}

#[tokio::test]
async fn changes_of_a_map_are_told_without_a_gap_in_few_writes() {
    const CHANGES: u64 = 300;
    let served = Served::with_seats(1).await;
    let events = format!("{MAP}/events");
    let first = served.open(&events, None).await.next().await.unwrap().unwrap();
    let id = core::str::from_utf8(&first)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .strip_prefix("id: ")
        .unwrap()
        .to_owned();
    for number in 0..CHANGES {
        served.block(&["1층-B-0-1"], if number % 2 == 0 { "block" } else { "unblock" }).await;
    }
    tokio::time::pause();
    let mut stream = served.open(&events, Some(&id)).await;
    let mut versions = Vec::new();
    let mut take = |bytes: bytes::Bytes| {
        let text = core::str::from_utf8(&bytes).unwrap().to_owned();
        for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
            versions.push(serde_json::from_str::<Value>(data).unwrap()["version"].as_u64().unwrap());
        }
    };
    let core::task::Poll::Ready(Some(Ok(bytes))) = futures_util::poll!(stream.next()) else {
        panic!("the first write doesn't wait")
    };
    take(bytes);
    let mut polled = core::pin::pin!(stream.next());
    assert!(futures_util::poll!(polled.as_mut()).is_pending(), "the next one does");
    tokio::time::advance(core::time::Duration::from_millis(101)).await;
    let core::task::Poll::Ready(Some(Ok(bytes))) = futures_util::poll!(polled.as_mut()) else {
        panic!("the pause is over")
    };
    take(bytes);
    assert_eq!(versions, (1..=CHANGES).collect::<Vec<_>>());
}

#[test]
fn an_id_that_the_word_of_another_route_hides_is_refused() {
    let openapi = App::openapi();
    let paths: Vec<Vec<&str>> = openapi.paths.paths.keys().map(|path| path.split('/').collect()).collect();
    let mut hidden = Vec::new();
    for (path, other) in paths.iter().flat_map(|path| paths.iter().map(move |other| (path, other))) {
        // The first part in which the two differ: there one has an id, and the other a word.
        let Some((part, word)) = path.iter().zip(other).find(|(part, word)| part != word) else { continue };
        if let Some(name) = part.strip_prefix('{')
            && !word.starts_with('{')
        {
            hidden.push((name.trim_end_matches('}'), *word));
        }
    }
    assert!(hidden.contains(&("concertId", "available-dates")), "{hidden:?}");
    // Nobody chooses a gateway's name: none of the set is called as the service of the platform's own.
    hidden.retain(|hidden| *hidden != ("gateway", EXTERNAL));
    for (name, word) in hidden {
        assert!(!is_reachable(name, word), "{name}: {word}");
    }
    assert!(is_reachable("concertId", "available-date") && !is_reachable("venueId", ".."));
}

/// A node of a cluster, with a schedule, whose reads are as given.
async fn node_whose(reads: Reads) -> (Served, watch::Sender<View>, CancellationToken) {
    let mut served = Served::filled().await;
    let view = View { me: "a".to_owned(), owner: Owner::Me, epoch: 1, members: Vec::new() };
    let (sender, view) = watch::channel(view);
    let http = parts(&[&CLUSTER[..], &[("ONSALE_ADMIN_TOKEN", ADMIN)]].concat());
    let shutdown = http.shutdown.clone();
    let node = ClusterNode { view, reads, drain: Drain::by(shutdown.clone()) };
    served.app = App::in_cluster(served.app.engine.clone(), http, None, node);
    served.site = served.app.clone().site();
    (served, sender, shutdown)
}

/// Returns every route that is described, with what is there in the place of its parameters.
fn described() -> Vec<(String, String, String)> {
    let document: Value = serde_json::from_str(&App::openapi().to_json().unwrap()).unwrap();
    let mut routes = Vec::new();
    for (template, item) in document["paths"].as_object().unwrap() {
        let path =
            ["venueId", "concertId", "scheduleId", "seatId"].into_iter().zip(["hall", "show", "show-1", "x"]);
        let path = path.fold(template.clone(), |path, (name, id)| path.replace(&format!("{{{name}}}"), id));
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            routes.push((method.to_uppercase(), template.clone(), path.clone()));
        }
    }
    assert!(routes.len() > 50, "{}", routes.len());
    // What is only read comes first: a change is carried out, though its answer isn't given.
    routes.sort_by_key(|(method, ..)| method != "GET");
    routes
}

#[tokio::test]
async fn behind_a_closed_gate_no_route_shows_what_may_no_longer_be_so() {
    let reads = Reads::none();
    reads.extend(Moment::now());
    let (served, _view, _) = node_whose(reads.clone()).await;
    let mut shown = Vec::new();
    let refused = |method: &str| match method {
        "GET" => (503, "not_ready".to_owned()),
        _ => (503, "outcome_unknown".to_owned()),
    };
    for round in ["grace", "over"] {
        for (method, template, path) in described() {
            let of_process =
                !template.starts_with("/api/v1/") || template.starts_with("/api/v1/admin/cluster");
            if of_process {
                continue;
            }
            let answer = served.request_head(&method, &path).await;
            if answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED {
                assert_eq!((round, method.as_str()), ("grace", "GET"), "{path}");
                shown.push(template);
            } else {
                assert!(
                    answer.status.is_server_error() || round == "grace",
                    "{method} {path}: {}",
                    answer.status
                );
                // One export runs at a time, and the one before goes on for a moment.
                if answer.status.is_server_error() && code(&answer).1 != "overloaded" {
                    assert_eq!(code(&answer), refused(&method), "{method} {path}");
                }
                assert!(
                    method != "GET" || answer.headers.contains_key("retry-after") || round == "grace",
                    "{path}"
                );
            }
        }
        reads.end();
    }
    let may_be_shown =
        ["/api/v1/schedules/{scheduleId}/seats", "/api/v1/schedules/{scheduleId}/seats/events"];
    assert_eq!(shown, may_be_shown);
    for path in ["/healthz", "/readyz", "/openapi.json", "/api/v1/admin/cluster"] {
        assert_eq!(served.request_head("GET", path).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_stream_of_events_ends_once_the_grace_is_over() {
    let reads = Reads::none();
    reads.extend(Moment::now() + core::time::Duration::from_hours(1));
    let (served, _view, _) = node_whose(reads.clone()).await;
    let request = Request::get("/api/v1/schedules/show-1/seats/events").body(Body::empty()).unwrap();
    let response = served.site.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut chunks = response.into_body().into_data_stream();
    assert!(chunks.next().await.is_some());
    reads.end();
    while chunks.next().await.is_some() {}
}

#[tokio::test]
async fn a_node_that_hands_over_takes_nothing_new() {
    let (served, _view, shutdown) = node_whose(Reads::for_good()).await;
    assert_eq!(served.get("/api/v1/concerts").await.status, StatusCode::OK);
    assert_eq!(served.get("/readyz").await.json(), json!({"status": "ready", "role": "owner"}));
    let asked = served.send("POST", "/api/v1/admin/cluster/drain", Value::Null).await;
    assert_eq!(
        (asked.status, asked.json()),
        (StatusCode::ACCEPTED, json!({"node": "a", "isDraining": true}))
    );
    assert!(shutdown.is_cancelled());
    // The task that closes the door runs next.
    tokio::task::yield_now().await;
    for (method, path) in [("GET", "/api/v1/concerts"), ("PUT", "/api/v1/venues/other"), ("GET", "/readyz")] {
        assert_eq!(
            code(&served.send(method, path, Value::Null).await),
            (503, "not_ready".to_owned()),
            "{path}"
        );
    }
    let again = served.send("POST", "/api/v1/admin/cluster/drain", Value::Null).await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_process_alone_says_that_it_is_and_hands_over_to_nobody() {
    let served = Served::new().await;
    let shown = served.send("GET", "/api/v1/admin/cluster", Value::Null).await;
    assert_eq!(shown.json(), json!({"mode": "single", "me": null, "owner": null, "epoch": 0, "members": []}));
    let refused = served.send("POST", "/api/v1/admin/cluster/drain", Value::Null).await;
    assert_eq!(code(&refused), (409, "invalid_transition".to_owned()));
    assert_eq!(served.get("/api/v1/admin/cluster").await.status, StatusCode::UNAUTHORIZED);
}
