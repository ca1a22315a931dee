//! What the extractors refuse, through a site, as a client meets them.

use axum::http::{Request as HttpRequest, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::http::auth::{Admin, Role, User};
use crate::http::json::Json;
use crate::http::page::Page;
use crate::http::request::Site;
use crate::http::table::{Routes, get, post};
use crate::http::tests_support::{self, AnyBody};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    count: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    at_most: Option<u32>,
    cursor: Option<u32>,
}

fn site() -> Site {
    let http = tests_support::parts(&[("ONSALE_RATE_LIMIT", "1")]);
    let routes = Routes::new()
        .route("/orders", post(async |body: Body<Order>| Json(StatusCode::OK, body.value.count)))
        .route("/import", post(async |body: LargeBody<Value>| body.raw.len().to_string()))
        .route("/notice", post(async |AnyBody(bytes): AnyBody| bytes))
        .route("/list", get(async |page: Page| format!("{} {:?}", page.limit, page.cursor)))
        .route(
            "/filter",
            get(async |Query(filter): Query<Filter>| format!("{:?} {:?}", filter.at_most, filter.cursor)),
        )
        .route("/item/{id}", get(async |Path(id): Path<String>| id))
        .route("/keyed", post(async |key: IdempotencyKey| key.as_str().to_owned()))
        .route("/maybe", post(async |key: Option<IdempotencyKey>| format!("{}", key.is_some())))
        .route("/me", get(async |User(caller): User| caller.user_id.to_string()))
        .route("/me", post(async |User(caller): User| caller.user_id.to_string()))
        .route("/admin", post(async |Admin(_): Admin| "welcome"));
    http.dress(routes, &http)
}

async fn ask(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<axum::body::Body>,
) -> Response {
    let mut request = HttpRequest::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    site().oneshot(request.body(body.into()).unwrap()).await.unwrap().into_response()
}

async fn text_of(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Checks that the answer is this problem, as a problem document.
async fn refused(response: Response, code: Code) -> Value {
    let status = response.status();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert!(response.headers().contains_key("x-request-id"));
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let json: Value = serde_json::from_str(&text_of(response).await).unwrap();
    assert_eq!(json["code"], code.as_str());
    assert_eq!(status, code.status());
    json
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_right_body_is_read_whatever_the_case_and_charset_of_its_type() {
    for kind in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""]
    {
        let response = ask("POST", "/orders", &[("content-type", kind)], r#"{"count": 3}"#).await;
        assert_eq!(response.status(), 200, "{kind}");
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(text_of(response).await, "3");
    }
}

#[tokio::test]
async fn another_media_type_or_none_is_415() {
    for headers in [
        &[][..],
        &[("content-type", "text/plain")],
        &[("content-type", "application/json; charset=utf-16")],
        &[("content-type", "application/jsonx")],
    ] {
        refused(ask("POST", "/orders", headers, r#"{"count": 3}"#).await, Code::UnsupportedMediaType).await;
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_400_and_json_of_the_wrong_shape_422() {
    for body in ["", "{", "count=3", "{\"count\": 3}}"] {
        refused(ask("POST", "/orders", &[JSON], body).await, Code::MalformedRequest).await;
    }
    for (body, field) in [("{}", "count"), (r#"{"count": "3"}"#, "count"), (r#"{"count": 3, "b": 1}"#, "b")] {
        let json = refused(ask("POST", "/orders", &[JSON], body).await, Code::InvalidRequest).await;
        assert_eq!(json["errors"][0]["field"], field);
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_whether_or_not_its_length_is_said() {
    let over = " ".repeat((64 << 10) + 1);
    refused(ask("POST", "/orders", &[JSON], over.clone()).await, Code::BodyTooLarge).await;
    let chunks =
        over.as_bytes().chunks(1000).map(|chunk| Ok::<_, std::io::Error>(Bytes::copy_from_slice(chunk)));
    let stream = axum::body::Body::from_stream(futures_util::stream::iter(chunks.collect::<Vec<_>>()));
    refused(ask("POST", "/orders", &[JSON], stream).await, Code::BodyTooLarge).await;
    let exactly = format!("{}{{\"count\": 3}}", " ".repeat((64 << 10) - 12));
    assert_eq!(ask("POST", "/orders", &[JSON], exactly).await.status(), 200);
    let import = format!("{}{{}}", " ".repeat(1 << 20));
    assert_eq!(text_of(ask("POST", "/import", &[JSON], import).await).await, ((1 << 20) + 2).to_string());
    let chunks =
        ["{\"co", "unt\"", ": 3}"].map(|chunk| Ok::<_, std::io::Error>(Bytes::from_static(chunk.as_bytes())));
    let stream = axum::body::Body::from_stream(futures_util::stream::iter(chunks));
    assert_eq!(text_of(ask("POST", "/orders", &[JSON], stream).await).await, "3");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_400() {
    let chunks = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))];
    let stream = axum::body::Body::from_stream(futures_util::stream::iter(chunks));
    refused(ask("POST", "/orders", &[JSON], stream).await, Code::MalformedRequest).await;
}

#[tokio::test]
async fn a_page_has_bounds_and_unknown_parameters_are_ignored() {
    let page = async |query: &str| text_of(ask("GET", &format!("/list{query}"), &[], "").await).await;
    assert_eq!(page("").await, "100 None");
    assert_eq!(page("?limit=1000&cursor=a%20b&more=1").await, "1000 Some(\"a b\")");
    for wrong in ["0", "1001", "-1", "ten", ""] {
        let response = ask("GET", &format!("/list?limit={wrong}"), &[], "").await;
        let json = refused(response, Code::InvalidRequest).await;
        assert_eq!(json["errors"][0]["field"], "limit");
    }
    let json = refused(ask("GET", "/filter?atMost=%3Cb%3E", &[], "").await, Code::InvalidRequest).await;
    assert_eq!(json["errors"][0]["field"], "atMost");
    assert!(!json.to_string().contains("<b>"));
    refused(ask("GET", "/filter?cursor=x", &[], "").await, Code::MalformedRequest).await;
    let twice = ask("GET", "/filter?atMost=1&atMost=2", &[], "").await;
    assert_eq!(refused(twice, Code::InvalidRequest).await["errors"][0]["field"], "atMost");
}

#[tokio::test]
async fn a_path_is_decoded_or_refused() {
    assert_eq!(text_of(ask("GET", "/item/1%EC%B8%B5-B", &[], "").await).await, "1층-B");
    refused(ask("GET", "/item/%ff", &[], "").await, Code::MalformedRequest).await;
}

#[tokio::test]
async fn an_idempotency_key_is_one_header_of_visible_ascii() {
    let name = "idempotency-key";
    let longest = "~".repeat(255);
    assert_eq!(text_of(ask("POST", "/keyed", &[(name, &longest)], "").await).await, longest);
    assert_eq!(text_of(ask("POST", "/maybe", &[], "").await).await, "false");
    let too_long = "~".repeat(256);
    for headers in [
        &[][..],
        &[(name, "")],
        &[(name, &too_long)],
        &[(name, "a b")],
        &[(name, "é")],
        &[(name, "a"), (name, "b")],
    ] {
        refused(ask("POST", "/keyed", headers, "").await, Code::MalformedRequest).await;
        if !headers.is_empty() {
            refused(ask("POST", "/maybe", headers, "").await, Code::MalformedRequest).await;
        }
    }
}

#[tokio::test]
async fn an_unknown_route_is_404_and_an_unknown_method_405_with_allow() {
    refused(ask("GET", "/nowhere", &[], "").await, Code::NotFound).await;
    let response = ask("DELETE", "/me", &[], "").await;
    assert_eq!(response.headers()["allow"], "GET,HEAD,POST");
    refused(response, Code::MethodNotAllowed).await;
}

#[tokio::test]
async fn callers_are_let_in_by_their_role() {
    let http = tests_support::parts(&[]);
    let token = |role| {
        let user = crate::domain::ids::UserId::parse("u").unwrap();
        let token = http.authenticator.issue(&user, role, http.clock.now(), 60).unwrap();
        format!("Bearer {token}")
    };
    let (user, admin) = (token(Role::User), token(Role::Admin));
    assert_eq!(text_of(ask("GET", "/me", &[("authorization", &user)], "").await).await, "u");
    assert_eq!(ask("POST", "/admin", &[("authorization", &admin)], "").await.status(), 200);
    refused(ask("POST", "/admin", &[("authorization", &user)], "").await, Code::Forbidden).await;
    let response = ask("POST", "/admin", &[], "").await;
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    refused(response, Code::Unauthenticated).await;
    refused(ask("GET", "/me", &[("authorization", "Bearer x")], "").await, Code::Unauthenticated).await;
}

#[tokio::test]
async fn a_users_changes_are_limited_and_neither_reads_nor_administrators_are() {
    let http = tests_support::parts(&[("ONSALE_RATE_LIMIT", "1")]);
    let site = site();
    let send = async |method: &str, role| {
        let user = crate::domain::ids::UserId::parse("u").unwrap();
        let token = http.authenticator.issue(&user, role, http.clock.now(), 60).unwrap();
        let request = HttpRequest::builder()
            .method(method)
            .uri("/me")
            .header("authorization", format!("Bearer {token}"))
            .body(axum::body::Body::empty())
            .unwrap();
        site.clone().oneshot(request).await.unwrap()
    };
    for _ in 0..10 {
        assert_eq!(send("GET", Role::User).await.status(), 200);
        assert_eq!(send("POST", Role::Admin).await.status(), 200);
    }
    assert_eq!(send("POST", Role::User).await.status(), 200);
    assert_eq!(send("POST", Role::User).await.status(), 200);
    let response = send("POST", Role::User).await;
    assert_eq!(response.headers()["retry-after"], "1");
    refused(response, Code::RateLimited).await;
}
