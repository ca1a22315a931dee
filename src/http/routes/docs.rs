//! The API's description as it is served, and a page to read and try it that needs no internet.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use crate::http::app::App;
use crate::http::description::completed;
use crate::http::extract::Path;
use crate::http::problem::Problem;
use crate::http::table::{Routes, get};

/// The page may only load files of this server. It sets its own styles, and draws its icons from `data:`.
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

/// Makes the routes of the description and its page.
///
/// # Panics
/// When the description can't be written as JSON, which the tests would show.
pub fn pages(openapi: OpenApi) -> Routes<App> {
    let json =
        serde_json::to_vec(&completed(openapi)).expect("a description has text keys and total serialisers");
    let json = Bytes::from(json);
    let config =
        Config::new(["openapi.json"]).validator_url("none").use_base_layout().try_it_out_enabled(true);
    let config = Arc::new(config);
    let description = move || core::future::ready(shown("application/json", json.clone()));
    let page = || core::future::ready(shown("text/html; charset=utf-8", Bytes::from_static(PAGE.as_bytes())));
    let part = move |Path(name): Path<String>| core::future::ready(part_named(&name, Arc::clone(&config)));
    Routes::new()
        .route("/openapi.json", get(description))
        .route("/docs", get(page))
        // Relative, since a proxy may put a prefix before it; and its parts are named from `/docs`.
        .route("/docs/", get(async || Redirect::permanent("../docs")))
        .route("/docs/{part}", get(part))
}

/// Finds a file of the page among the built-in ones.
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
