//! Who may do what, route by route, and that nothing but the scripts' token is beyond a suspension.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use crate::events::Stream;
use crate::server::signed;
use crate::{Api, Call, DELETE, GET, PATCH, POST, PUT, path_of, soon};

const FAR: u64 = 4_102_444_800;
const ROLES: [&str; 6] = ["user", "admin", "operator", "auditor", "feed", "box_office"];

const BUY: &[&str] = &["user", "admin"];
const SELL: &[&str] = &["admin", "box_office"];
const GIVE_BACK: &[&str] = &["user", "admin", "box_office"];
const READ_ONE: &[&str] = &["user", "admin", "auditor", "box_office"];
const READ: &[&str] = &["user", "admin", "auditor"];
const READ_ALL: &[&str] = &["admin", "auditor"];
const WATCH: &[&str] = &["admin", "operator", "auditor"];
const RUN: &[&str] = &["admin", "operator"];
const FOLLOW: &[&str] = &["admin", "auditor", "feed"];
const ADMINISTER: &[&str] = &["admin"];
/// Whoever has a stream to follow.
const FOLLOW_ANY: &[&str] = &["user", "admin", "operator", "auditor", "feed"];
/// Routes that nobody needs a token for.
const PUBLIC: &[&str] = &["user", "admin", "operator", "auditor", "feed", "box_office", "nobody"];

/// Every route of the API, with the roles that may call it.
fn routes() -> Vec<(Method, &'static str, &'static [&'static str])> {
    vec![
        (GET, "/venues", PUBLIC),
        (GET, "/venues/{venueId}", PUBLIC),
        (PUT, "/venues/{venueId}", ADMINISTER),
        (DELETE, "/venues/{venueId}", ADMINISTER),
        (GET, "/concerts", PUBLIC),
        (GET, "/concerts/available-dates", PUBLIC),
        (GET, "/concerts/{concertId}", PUBLIC),
        (GET, "/concerts/{concertId}/schedules", PUBLIC),
        (PUT, "/concerts/{concertId}", ADMINISTER),
        (DELETE, "/concerts/{concertId}", ADMINISTER),
        (POST, "/import", ADMINISTER),
        (GET, "/schedules/{scheduleId}", PUBLIC),
        (GET, "/schedules/{scheduleId}/seats", PUBLIC),
        (GET, "/schedules/{scheduleId}/seats/events", PUBLIC),
        (GET, "/plans/{planId}", PUBLIC),
        (GET, "/schedules/{scheduleId}/queue", PUBLIC),
        (PUT, "/schedules/{scheduleId}", ADMINISTER),
        (DELETE, "/schedules/{scheduleId}", ADMINISTER),
        (POST, "/schedules/{scheduleId}/open", RUN),
        (POST, "/schedules/{scheduleId}/close", RUN),
        (POST, "/schedules/{scheduleId}/cancel", RUN),
        (POST, "/schedules/{scheduleId}/block", RUN),
        (POST, "/schedules/{scheduleId}/unblock", RUN),
        (GET, "/schedules/{scheduleId}/codes", ADMINISTER),
        (POST, "/schedules/{scheduleId}/codes", ADMINISTER),
        (PUT, "/schedules/{scheduleId}/codes/{code}", ADMINISTER),
        (GET, "/schedules/{scheduleId}/codes/{code}", ADMINISTER),
        (DELETE, "/schedules/{scheduleId}/codes/{code}", ADMINISTER),
        (GET, "/schedules/{scheduleId}/offer", BUY),
        (GET, "/schedules/{scheduleId}/allotments", WATCH),
        (PUT, "/schedules/{scheduleId}/allotments/{allotmentId}", RUN),
        (GET, "/schedules/{scheduleId}/allotments/{allotmentId}", WATCH),
        (DELETE, "/schedules/{scheduleId}/allotments/{allotmentId}", RUN),
        (PATCH, "/schedules/{scheduleId}/queue", RUN),
        (POST, "/reservations", BUY),
        (GET, "/reservations", READ),
        (GET, "/reservations/{reservationId}", READ_ONE),
        (PATCH, "/reservations/{reservationId}", BUY),
        (DELETE, "/reservations/{reservationId}", GIVE_BACK),
        (POST, "/schedules/{scheduleId}/orders", SELL),
        (GET, "/schedules/{scheduleId}/reservations", READ_ALL),
        (POST, "/queue/tokens", BUY),
        (GET, "/queue/tokens/current", BUY),
        (DELETE, "/queue/tokens/current", BUY),
        (GET, "/queue/tokens/current/events", BUY),
        (POST, "/streams/tickets", FOLLOW_ANY),
        (POST, "/payments", BUY),
        (GET, "/payments", READ),
        (GET, "/payments/{paymentId}", READ_ONE),
        (POST, "/payments/{paymentId}/confirm", BUY),
        (POST, "/webhooks/payments/{gateway}", PUBLIC),
        (POST, "/webhooks/payments/external", PUBLIC),
        (GET, "/users/{userId}/balance", READ),
        (POST, "/users/{userId}/balance", BUY),
        (GET, "/users/{userId}/balance/transactions", READ),
        (POST, "/users", PUBLIC),
        (GET, "/users", READ_ALL),
        (POST, "/verifications", PUBLIC),
        (POST, "/sessions", PUBLIC),
        (GET, "/users/{userId}", READ),
        (PATCH, "/users/{userId}", ADMINISTER),
        (GET, "/admin/overview", WATCH),
        (GET, "/admin/schedules/{scheduleId}/history", WATCH),
        (GET, "/admin/schedules/{scheduleId}/seats", WATCH),
        (GET, "/events", FOLLOW),
        (POST, "/admin/snapshots", ADMINISTER),
        (GET, "/admin/export", READ_ALL),
        (GET, "/admin/backup", ADMINISTER),
        (GET, "/admin/cluster", ADMINISTER),
        (POST, "/admin/cluster/drain", ADMINISTER),
    ]
}

fn of_role(role: &str) -> String {
    signed(&json!({"sub": format!("a-{role}"), "exp": FAR, "role": role}))
}

/// Makes a call of a route that, where it is let in, changes nothing that another needs.
fn call(api: &Api, method: Method, route: &str, role: &str) -> Call {
    let path = route
        .replace("{userId}", &format!("a-{role}"))
        .replace("{reservationId}", "r")
        .replace("{paymentId}", "p")
        .replace("{code}", "code")
        .replace("{allotmentId}", "none")
        .replace("{gateway}", "toss");
    // What isn't there is 404 only behind the door.
    let path =
        path.replace("{scheduleId}", "none").replace("{venueId}", "none").replace("{concertId}", "none");
    let query = match route {
        "/admin/schedules/{scheduleId}/seats" => "?at=2026-01-01T00:00:00.000Z",
        "/schedules/{scheduleId}/offer" => "?code=NONE",
        "/queue/tokens/current" | "/queue/tokens/current/events" => "?scheduleId=none",
        _ => "",
    };
    let takes_body = ![GET, DELETE].contains(&method);
    let call = api.public(method, &format!("{path}{query}"));
    if takes_body { call.json(&json!({})) } else { call }
}

#[tokio::test]
async fn each_role_is_let_in_where_it_may_and_nowhere_else() {
    let api = Api::with_hall(4, json!({})).await;
    for (method, route, allowed) in routes() {
        for role in ROLES {
            let answer = call(&api, method.clone(), route, role).bearer(&of_role(role)).open().await;
            let status = answer.status().as_u16();
            // A stream has no end to wait for.
            let let_in = if status == 403 {
                let problem: serde_json::Value = soon(answer.json()).await.unwrap();
                problem["code"] != "forbidden"
            } else {
                status != 401
            };
            assert_eq!(let_in, allowed.contains(&role), "{method} {route} as {role}: {status}");
        }
        if allowed != PUBLIC {
            call(&api, method, route, "user").await.refused(401, "unauthenticated");
        }
    }
}

#[tokio::test]
async fn the_table_of_roles_has_every_route_of_the_description() {
    let api = Api::start();
    let description = api.root(GET, "/openapi.json").await.ok(200);
    let mut described = BTreeSet::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        let Some(path) = path.strip_prefix("/api/v1") else { continue };
        for method in operations.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            described.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let tested: BTreeSet<String> =
        routes().iter().map(|(method, route, _)| format!("{method} {route}")).collect();
    assert_eq!(tested, described);
}

#[tokio::test]
async fn a_role_that_is_none_is_no_token() {
    let api = Api::start();
    for role in ["root", "Admin", "administrator", ""] {
        let token = signed(&json!({"sub": "kim", "exp": FAR, "role": role}));
        api.public(GET, "/reservations").bearer(&token).await.refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn an_auditor_reads_what_is_anyones_and_changes_nothing() {
    let api = Api::with_hall(4, json!({})).await;
    let held = api.hold("kim", &[1]).await.ok(201);
    let auditor = of_role("auditor");
    let read = |path: &str| api.public(GET, path).bearer(&auditor);
    assert_eq!(read(&path_of(&held)).await.ok(200)["userId"], "kim");
    read("/users/kim/balance").await.ok(200);
    read("/users/kim").await.ok(200);
    api.public(DELETE, &path_of(&held)).bearer(&auditor).await.refused(403, "forbidden");
}

#[tokio::test]
async fn an_operator_runs_the_sale_and_stands_in_its_history() {
    let api = Api::with_hall(4, json!({})).await;
    let operator = of_role("operator");
    api.public(POST, "/schedules/s/close").bearer(&operator).await.ok(200);
    let history = api.public(GET, "/admin/schedules/s/history").bearer(&operator).await.ok(200);
    assert_eq!(history["items"][0]["type"], "SalesClosed");
    assert_eq!(history["items"][0]["data"]["adminId"], "a-operator");
}

#[tokio::test]
async fn whoever_is_suspended_is_refused_whatever_the_role_and_cannot_take_it_back() {
    let api = Api::with_hall(4, json!({})).await;
    for role in ROLES {
        let user = format!("a-{role}");
        let set = |status: &str| api.admin(PATCH, &format!("/users/{user}")).json(&json!({"status": status}));
        set("suspended").await.ok(200);
        for (method, route, allowed) in routes() {
            if allowed != PUBLIC {
                let refused = call(&api, method, route, role).bearer(&of_role(role)).await;
                refused.refused(403, "user_suspended");
            }
        }
        let token = of_role(role);
        let oneself = api.public(PATCH, &format!("/users/{user}")).bearer(&token);
        oneself.json(&json!({"status": "active"})).await.refused(403, "user_suspended");
        set("deleted").await.ok(200);
        api.public(POST, "/schedules/s/close").bearer(&token).await.refused(403, "user_suspended");
    }
    // Another administrator goes on, and so do scripts, who are no user.
    let other = signed(&json!({"sub": "boss", "exp": FAR, "role": "admin"}));
    api.public(POST, "/schedules/s/close").bearer(&other).await.ok(200);
    for status in ["suspended", "deleted", "active"] {
        let scripts = api.admin(PATCH, "/users/onsale:scripts").json(&json!({"status": status}));
        scripts.await.refused(404, "not_found");
    }
    api.admin(POST, "/schedules/s/open").await.ok(200);
}

#[tokio::test]
async fn the_scripts_token_is_no_user_that_a_provider_can_name() {
    let api = Api::with_hall(4, json!({})).await;
    let held = api.admin(POST, "/reservations").json(&crate::hold_of(&[1])).await.ok(201);
    // A user of that name is someone else.
    api.user("admin", GET, &path_of(&held)).await.refused(404, "not_found");
    let items = api.user("admin", GET, "/reservations").await.ok(200);
    assert_eq!(items["items"], json!([]));
    let scripts = held["userId"].as_str().unwrap();
    for role in ROLES {
        let token = signed(&json!({"sub": scripts, "exp": FAR, "role": role}));
        api.public(GET, "/reservations").bearer(&token).await.refused(401, "unauthenticated");
    }
}

/// Reads a stream to its end.
async fn rest(mut stream: Stream) -> String {
    let mut all = String::new();
    while let Some(block) = stream.block().await {
        all += &block;
    }
    all
}

#[tokio::test]
async fn the_feed_ends_when_its_reader_is_suspended() {
    let api = Api::with_hall(4, json!({})).await;
    let mut after = 0;
    for role in ["admin", "auditor", "feed"] {
        let feed = api.public(GET, &format!("/events?after={after}")).bearer(&of_role(role)).open().await;
        let mut feed = Stream::new(feed);
        feed.must().await;
        let suspended = json!({"status": "suspended"});
        api.admin(PATCH, &format!("/users/a-{role}")).json(&suspended).await.ok(200);
        // What happens from here on isn't told.
        api.admin(POST, "/schedules/s/close").await.ok(200);
        api.admin(POST, "/schedules/s/open").await.ok(200);
        assert!(!rest(feed).await.contains("SalesClosed"), "{role}");
        // For the next, this is long over.
        after = api.admin(GET, "/admin/overview").await.ok(200)["journal"]["position"].as_u64().unwrap() - 1;
    }
}

#[tokio::test]
async fn the_feed_and_a_places_stream_end_when_the_token_does() {
    let api = Api::with_hall(4, json!({"queue": {"maxActive": 1}})).await;
    let soon_over = || u64::try_from(jiff::Timestamp::now().as_second()).unwrap() + 2;
    let claims = json!({"sub": "reader", "exp": soon_over(), "role": "feed"});
    let feed = api.public(GET, "/events").bearer(&signed(&claims)).open().await;
    assert_eq!(feed.status(), 200);
    assert!(rest(Stream::new(feed)).await.contains("SalesOpened"));

    let place = api.user("kim", POST, "/queue/tokens").json(&json!({"scheduleId": "s"})).await.ok(201);
    let brief = signed(&json!({"sub": "kim", "exp": soon_over()}));
    let stream = api.public(GET, "/queue/tokens/current/events?scheduleId=s").bearer(&brief);
    let stream = stream.header("queue-token", place["token"].as_str().unwrap()).open().await;
    assert_eq!(stream.status(), 200);
    assert!(rest(Stream::new(stream)).await.contains("event: active"));
}
