//! Answers that clients keep: with a tag, compressed for who reads that, and 304 for who has them already.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// How long an answer may be used without asking again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kept {
    /// It changes: it is asked for each time.
    Checked,
    /// It never changes at its address.
    ForGood,
}

impl Kept {
    fn control(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Checked => "no-cache",
            Self::ForGood => "public, max-age=31536000, immutable",
        })
    }
}

/// Makes an answer of JSON with its tag.
pub(super) fn sent(tag: &str, body: Body, gzip: bool, kept: Kept) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    mark(headers, tag, gzip, kept);
    response
}

/// Answers 304 with the headers that the 200 would have (RFC 9110, section 15.4.5).
pub(super) fn unchanged(tag: &str, gzip: bool, kept: Kept) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    mark(response.headers_mut(), tag, gzip, kept);
    response
}

fn mark(headers: &mut HeaderMap, tag: &str, gzip: bool, kept: Kept) {
    // A strong tag names bytes: the compressed ones are others.
    let tag = format!("\"{tag}{}\"", if gzip { "-gzip" } else { "" });
    headers.insert(header::ETAG, HeaderValue::try_from(tag).expect("digits and dashes"));
    headers.insert(header::CACHE_CONTROL, kept.control());
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
}

/// The names of gzip.
pub(super) const GZIP: &[&str] = &["gzip", "x-gzip"];

/// Tells whether a caller accepts gzip.
pub(super) fn reads_gzip(headers: &HeaderMap) -> bool {
    accepts(headers, GZIP)
}

/// Tells whether a caller accepts a coding, by any of its names (RFC 9110, section 12.5.3): its own weight counts, and that of `*` only
/// if it has none.
pub(super) fn accepts(headers: &HeaderMap, names: &[&str]) -> bool {
    let said_of = |names: &[&str]| {
        let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        lines.flat_map(|line| line.split(',')).find_map(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next()?;
            // A weight is a decimal number from 0 to 1, and nothing but zeros says no.
            let is_zero = |weight: &str| weight.bytes().all(|byte| matches!(byte, b'0' | b'.'));
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let is_meant = names.iter().any(|of| name.eq_ignore_ascii_case(of));
            is_meant.then(|| !weight.is_some_and(is_zero))
        })
    };
    said_of(names).or_else(|| said_of(&["*"])).unwrap_or(false)
}

/// Tells whether the caller has this content, in any coding.
pub(super) fn has(headers: &HeaderMap, tag: &str) -> bool {
    let same = |candidate: &str| {
        let candidate = candidate.trim().trim_start_matches("W/").trim_matches('"');
        candidate == "*" || candidate == tag || candidate.strip_suffix("-gzip") == Some(tag)
    };
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(same))
}
