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

/// Calls `check` for every described operation, and for the pages, with a path that leads to it.
async fn on_every_route(api: &Api, check: impl AsyncFn(reqwest::Method, &str, &serde_json::Value)) {
    let openapi = api.root(GET, "/openapi.json").await.ok(200);
    let mut count = 0;
    for (path, item) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            check(method.to_uppercase().parse().unwrap(), &path.replace(['{', '}'], ""), operation).await;
            count += 1;
        }
    }
    for page in ["/openapi.json", "/docs", "/docs/swagger-ui.css"] {
        check(GET, page, &json!({})).await;
    }
    assert!(count > 50, "{count}");
}

#[tokio::test]
async fn a_query_parameter_that_a_route_does_not_know_is_refused_and_named_on_every_route() {
    let api = Api::start();
    let call = |method, path: &str| api.root(method, path).bearer(crate::server::ADMIN);
    on_every_route(&api, async |method, path, _| {
        for query in ["colour=1", "Limit=1", "scheduleId%5B%5D=s", "colour"] {
            let name = query.split('=').next().unwrap().replace("%5B%5D", "[]");
            call(method.clone(), &format!("{path}?{query}")).await.names(&name);
        }
    })
    .await;
    let both = call(GET, "/api/v1/venues?limit=1&color=1&colour=2").await;
    assert_eq!(both.body["errors"].as_array().unwrap().len(), 2, "all of them are named");
    both.names("color");
    call(GET, "/api/v1/venues?%3Cb%3E=1").await.names("?b?");
    call(GET, "/api/v1/venues?").await.ok(200);
    call(GET, "/api/v1/nothing?colour=1").await.refused(404, "not_found");
    call(POST, "/api/v1/venues?colour=1").await.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn a_body_with_members_is_refused_on_every_route_that_takes_none() {
    let api = Api::start();
    let call = |method, path: &str| api.root(method, path).bearer(crate::server::ADMIN);
    on_every_route(&api, async |method, path, operation| {
        if operation["requestBody"].is_null() {
            call(method.clone(), path).json(&json!({"colour": 1})).await.names("colour");
            for odd in [json!([]), json!([1]), json!([{}]), json!(1), json!("x")] {
                call(method.clone(), path).json(&odd).await.refused(422, "invalid_request");
            }
            call(method.clone(), path).bytes("text/plain", "{\"colour\": 1}").await.names("colour");
            call(method.clone(), path).bytes("text/plain", "colour").await.refused(400, "malformed_request");
            let large = " ".repeat((64 << 10) + 1);
            call(method, path).bytes("text/plain", large).await.refused(413, "body_too_large");
        }
    })
    .await;
    call(POST, "/api/v1/venues").json(&json!({"colour": 1})).await.refused(405, "method_not_allowed");
    for empty in ["", " ", "{}", " {\n} "] {
        call(GET, "/api/v1/venues").bytes("application/json", empty).await.ok(200);
    }
}

#[tokio::test]
async fn a_reservation_is_not_given_back_by_a_request_that_names_some_of_its_seats() {
    let api = Api::with_hall(4, json!({})).await;
    let hold = api.hold("kim", &[1, 2]).await.ok(201);
    let path = crate::path_of(&hold);
    api.user("kim", DELETE, &path).json(&json!({"seats": ["1-A-1-1"]})).await.names("seats");
    assert_eq!(api.user("kim", GET, &path).await.ok(200), hold);
    api.user("kim", DELETE, &path).json(&json!({})).await.ok(200);
    assert_eq!(api.statuses().await, ["available"; 4]);
}

#[tokio::test]
async fn who_needs_a_token_and_has_none_is_told_that_first() {
    let api = Api::start();
    let body = json!({"colour": 1});
    for (method, path) in [(DELETE, "/reservations/r"), (POST, "/schedules/s/open"), (GET, "/admin/overview")]
    {
        api.public(method.clone(), path).json(&body).await.refused(401, "unauthenticated");
        let query = format!("{path}?colour=1");
        api.public(method.clone(), &query).await.refused(401, "unauthenticated");
        api.public(method, &query).bearer("x").await.refused(401, "unauthenticated");
    }
}
