//! What holds for every route: problems, methods, request ids, bodies, other origins.

use serde_json::json;

use crate::{Api, DELETE, GET, PATCH, POST, PUT, concert, hold_of, put_concert, venue, with};

#[tokio::test]
async fn what_is_not_there_is_a_404_and_what_a_route_cannot_do_a_405_that_says_what_it_can() {
    let api = Api::start();
    api.public(GET, "/nothing").await.refused(404, "not_found");
    api.root(GET, "/nothing").await.refused(404, "not_found");
    for path in ["/venues/x", "/concerts/x", "/concerts/x/schedules", "/schedules/x", "/schedules/x/seats"] {
        api.public(GET, path).await.refused(404, "not_found");
    }
    api.public(GET, "/schedules/x/seats/events").await.refused(404, "not_found");
    for (method, path, allowed) in [
        (DELETE, "/venues", vec!["GET"]),
        (POST, "/venues/v", vec!["GET", "PUT", "DELETE"]),
        (PATCH, "/schedules/s", vec!["GET", "PUT", "DELETE"]),
        (GET, "/schedules/s/open", vec!["POST"]),
        (PUT, "/reservations", vec!["GET", "POST"]),
        (POST, "/reservations/r", vec!["GET", "PATCH", "DELETE"]),
        (GET, "/import", vec!["POST"]),
    ] {
        let answer = api.admin(method, path).await;
        let allow = answer.header("allow").to_owned();
        answer.refused(405, "method_not_allowed");
        let mut listed: Vec<&str> =
            allow.split(',').map(str::trim).filter(|method| *method != "HEAD").collect();
        listed.sort_unstable();
        let mut allowed = allowed;
        allowed.sort_unstable();
        assert_eq!(listed, allowed, "{path}");
    }
}

#[tokio::test]
async fn a_request_id_is_taken_and_returned_or_made() {
    let api = Api::start();
    let sent = |id: &str| api.public(GET, "/venues").header("x-request-id", id);
    let longest = "~".repeat(128);
    for id in ["a-request-of-mine", longest.as_str()] {
        assert_eq!(sent(id).await.header("x-request-id"), id);
        let refused = api.public(GET, "/nothing").header("x-request-id", id).await;
        assert_eq!(refused.header("x-request-id"), id, "a refusal has it, too");
    }
    let too_long = "x".repeat(129);
    for id in [too_long.as_str(), "two words", ""] {
        let made = sent(id).await;
        assert_ne!(made.header("x-request-id"), id);
    }
    let made = (api.public(GET, "/venues").await, api.public(GET, "/venues").await);
    assert_ne!(made.0.header("x-request-id"), made.1.header("x-request-id"));
}

#[tokio::test]
async fn a_body_that_is_not_json_is_malformed_and_one_of_another_type_unsupported() {
    let api = Api::start();
    let reservations = || api.user("kim", POST, "/reservations");
    for body in ["", "{", "{} {}", "{'scheduleId': 's'}", "\u{feff}{}"] {
        reservations().bytes("application/json", body).await.refused(400, "malformed_request");
    }
    reservations()
        .bytes("application/json", b"{\"scheduleId\": \"\xff\"}".to_vec())
        .await
        .refused(400, "malformed_request");
    let right = hold_of(&[1]).to_string();
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=euc-kr", "nonsense"]
    {
        reservations().bytes(kind, right.clone()).await.refused(415, "unsupported_media_type");
    }
    api.user("kim", POST, "/reservations").await.refused(415, "unsupported_media_type");
    for kind in ["application/json", "Application/JSON; charset=UTF-8"] {
        reservations().bytes(kind, right.clone()).await.refused(404, "not_found");
    }
    api.admin(PUT, "/venues/v")
        .bytes("text/plain", venue().to_string())
        .await
        .refused(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_body_field_that_a_route_does_not_know_is_refused_and_named() {
    let api = Api::with_hall(4, json!({})).await;
    let extra = |document| with(document, "colour", json!(1));
    api.user("kim", POST, "/reservations").json(&extra(hold_of(&[1]))).await.names("colour");
    let hold = api.hold("kim", &[1]).await.ok(201);
    let exchange = json!({"seats": ["1-A-1-2"], "colour": 1});
    api.user("kim", PATCH, &crate::path_of(&hold)).json(&exchange).await.names("colour");
    api.admin(PUT, "/venues/w").json(&extra(venue())).await.names("colour");
    api.admin(PUT, "/concerts/d").json(&extra(concert())).await.names("colour");
    api.admin(PUT, "/schedules/t").json(&extra(crate::schedule())).await.names("colour");
    let policy = with(crate::schedule(), "policy", json!({"colour": 1}));
    api.admin(PUT, "/schedules/t").json(&policy).await.names("policy.colour");
    let queue = with(crate::schedule(), "policy", json!({"queue": {"colour": 1}}));
    api.admin(PUT, "/schedules/t").json(&queue).await.names("policy.queue.colour");
    api.admin(POST, "/import")
        .json(&json!({"venues": [], "concerts": [], "schedules": [], "colour": 1}))
        .await
        .names("colour");
    for route in ["block", "unblock"] {
        let body = json!({"seats": ["1-A-1-4"], "colour": 1});
        api.admin(POST, &format!("/schedules/s/{route}")).json(&body).await.names("colour");
    }
    for route in ["open", "close", "cancel"] {
        api.admin(POST, &format!("/schedules/s/{route}")).json(&json!({"colour": 1})).await.names("colour");
    }
    let best = json!({"scheduleId": "s", "bestAvailable": {"count": 1, "colour": 1}});
    api.user("kim", POST, "/reservations").json(&best).await.names("bestAvailable.colour");
    assert_eq!(api.statuses().await, ["held", "available", "available", "available"]);
}

#[tokio::test]
async fn a_path_is_percent_encoded_utf_8_and_ids_may_be_of_any_script() {
    let api = Api::start();
    api.public(GET, "/venues/%FF").await.refused(400, "malformed_request");
    let path = "/venues/%EC%83%A4%EB%A1%AF%EB%8D%B0_1.a:b-c";
    let put = api.admin(PUT, path).json(&venue()).await.ok(201);
    assert_eq!(put["venueId"], "샤롯데_1.a:b-c");
    assert_eq!(api.public(GET, path).await.ok(200)["venueId"], "샤롯데_1.a:b-c");
    let longest = "나".repeat(128);
    api.admin(PUT, &format!("/venues/{longest}")).json(&venue()).await.ok(201);
    for wrong in ["a%20b", "a%2Fb", "a%00b", "%F0%9F%8E%AB", &format!("{longest}a")] {
        let refused = api.admin(PUT, &format!("/venues/{wrong}")).json(&venue()).await;
        refused.names("venueId");
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_let_in_as_configured_and_of_no_others() {
    let api = Api::start_with(&[("ONSALE_CORS_ORIGINS", "https://shop.example")]);
    put_concert(&api).await;
    let from = |origin: &str| api.public(GET, "/venues/v").header("origin", origin);
    let allowed = from("https://shop.example").await;
    assert_eq!(allowed.header("access-control-allow-origin"), "https://shop.example");
    let exposed = allowed.header("access-control-expose-headers").to_ascii_lowercase();
    for name in ["x-request-id", "location", "etag", "retry-after", "idempotent-replayed"] {
        assert!(exposed.contains(name), "{name}: {exposed}");
    }
    assert_eq!(from("https://other.example").await.header("access-control-allow-origin"), "");
    let preflight = api
        .public(reqwest::Method::OPTIONS, "/reservations")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,idempotency-key,queue-token,content-type")
        .await;
    assert_eq!(preflight.header("access-control-allow-origin"), "https://shop.example");
    let headers = preflight.header("access-control-allow-headers").to_ascii_lowercase();
    assert!(
        ["authorization", "idempotency-key", "queue-token", "content-type"]
            .iter()
            .all(|name| headers.contains(name))
    );
    let methods = preflight.header("access-control-allow-methods");
    assert!(["GET", "POST", "PUT", "PATCH", "DELETE"].iter().all(|method| methods.contains(method)));
    preflight.ok(200);
}

#[tokio::test]
async fn without_configured_origins_no_page_is_let_in() {
    let api = Api::start();
    let answer = api.public(GET, "/venues").header("origin", "https://shop.example").await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    answer.ok(200);
}
