//! The description of the API (`OpenAPI` 3.1), and a page to read and try it that needs no internet.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use serde::Serialize;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi as _, ToSchema};
use utoipa_swagger_ui::Config;

use crate::http::app::App;
use crate::http::extract::Path;
use crate::http::problem::{Code, MEDIA_TYPE, Problem};

/// What a page may load: from here, and nothing else. The page sets styles of its own, and draws its icons
/// from `data:`.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// The page: its parts stand under `docs/`, beside it.
const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>onsale: the API</title>
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>The description is at <a href="openapi.json">openapi.json</a>.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/swagger-ui-standalone-preset.js"></script>
<script src="docs/swagger-initializer.js"></script>
</body>
</html>
"#;

/// An error (RFC 9457), as every route gives it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "/problems/seat-unavailable", "title": "Seat unavailable", "status": 409,
    "detail": "At least one of the seats is taken; see `seats`.", "code": "seat_unavailable", "seats": ["1층-B-7-14"]
}))]
struct ProblemDocument {
    /// A stable relative URI: `/problems/<code with dashes>`.
    #[serde(rename = "type")]
    kind: String,
    /// A few words for the kind of problem.
    title: String,
    /// The status of the answer.
    status: u16,
    /// A sentence for a person.
    detail: String,
    /// The code, for programs: stable, `snake_case`.
    code: String,
    /// With `invalid_request`: every wrong field.
    errors: Option<Vec<FieldDocument>>,
    /// With `seat_unavailable`, `orphan_seat` and `unknown_seat`: which seats.
    seats: Option<Vec<String>>,
    /// With `not_retained`: the oldest position that is kept.
    #[serde(rename = "oldestPosition")]
    oldest_position: Option<u64>,
    /// With `internal`: the request's id.
    #[serde(rename = "requestId")]
    request_id: Option<String>,
}

/// A wrong field.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FieldError)]
struct FieldDocument {
    /// Its path, as in `policy.holdSeconds`; empty for the whole.
    field: String,
    /// What is allowed there.
    detail: String,
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "onsale", license(name = "Apache-2.0", identifier = "Apache-2.0"),
        description = "Sells the seats of shows that sell out in a minute.\n\nBodies are JSON in camelCase; a field \
            that a route does not know is refused. Instants are RFC 3339 in UTC and end in `At`, durations whole \
            seconds and end in `Seconds`, money an integer in the currency's minor unit. Errors are \
            `application/problem+json` (RFC 9457) with a stable `code`. A success answer to a change means that the \
            change is on stable storage; after a 5xx, a timeout or a broken connection a retry with the same \
            `Idempotency-Key` finds out what happened."),
    servers((url = "/", description = "This server")),
    tags((name = "Catalogue", description = "Venues and concerts"),
        (name = "Schedules", description = "Performances and their sales"),
        (name = "Seats", description = "Seat maps, whole and as streams of changes"),
        (name = "Reservations", description = "Holding seats and giving them back"),
        (name = "Users", description = "Signing up, signing in, and who may no longer act"),
        (name = "Operations", description = "For administrators: the present, the past, and the journal as a feed"),
        (name = "Running it", description = "For probes and scrapers")),
    components(schemas(ProblemDocument)),
    modifiers(&Security)
)]
struct Description;

/// How callers say who they are.
struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(
            "A token with `sub`, `exp` and `role` (`user` if absent, or `admin`), or the administrator's token.",
        ));
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
        let pass =
            ApiKeyValue::with_description("Queue-Token", "The waiting room's pass, where there is one.");
        components.add_security_scheme("queueToken", SecurityScheme::ApiKey(ApiKey::Header(pass)));
    }
}

/// Describes what the routes have in common.
pub fn description() -> OpenApi {
    Description::openapi()
}

/// Adds to the description of every route what every route may answer.
#[must_use]
pub fn completed(mut openapi: OpenApi) -> OpenApi {
    for item in openapi.paths.paths.values_mut() {
        operations(item).for_each(add_problem);
    }
    openapi
}

/// Makes the routes of the description and its page.
///
/// # Panics
/// When the description can't be written as JSON, which the tests would show.
pub fn pages(openapi: OpenApi) -> Router<App> {
    let json =
        serde_json::to_vec(&completed(openapi)).expect("a description has text keys and total serialisers");
    let json = Bytes::from(json);
    let config =
        Config::new(["openapi.json"]).validator_url("none").use_base_layout().try_it_out_enabled(true);
    let config = Arc::new(config);
    let description = move || core::future::ready(shown("application/json", json.clone()));
    let page = || core::future::ready(shown("text/html; charset=utf-8", Bytes::from_static(PAGE.as_bytes())));
    let part = move |State(_): State<App>, Path(name): Path<String>| {
        core::future::ready(part_named(&name, Arc::clone(&config)))
    };
    Router::new()
        .route("/openapi.json", get(description))
        .route("/docs", get(page))
        // Relative, since a proxy may put a prefix before it; and its parts are named from `/docs`.
        .route("/docs/", get(async || Redirect::permanent("../docs")))
        .route("/docs/{part}", get(part))
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// Adds what every operation may answer.
fn add_problem(operation: &mut Operation) {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let problem = ResponseBuilder::new()
        .description(format!("An error. Its `code` is one of `{}`.", codes.join("`, `")))
        .content(MEDIA_TYPE, content)
        .build();
    operation.responses.responses.entry("default".to_owned()).or_insert(RefOr::T(problem));
}

/// Finds a part of the page in what was built in.
fn part_named(name: &str, config: Arc<Config<'static>>) -> Result<Response, Problem> {
    let file = utoipa_swagger_ui::serve(name, config).ok().flatten().ok_or_else(Problem::not_found)?;
    // What was built in is sent from where it lies, and changes with the program only.
    let (body, cached) = match file.bytes {
        Cow::Borrowed(bytes) => (Bytes::from_static(bytes), "max-age=86400"),
        Cow::Owned(bytes) => (Bytes::from(bytes), "no-cache"),
    };
    let mut response = shown(&file.content_type, body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(cached));
    if file.gzpipped {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

fn shown(kind: &str, body: Bytes) -> Response {
    let kind = HeaderValue::from_str(kind).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, body).into_response()
}
