//! How an answer is made of a value: its JSON text, and the response around it.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;

use super::json_writer::JsonWriter;

/// Room for most answers, in bytes: a reservation has some 600.
const TEXT_BYTES: usize = 1024;
/// Room for the headers of most answers, those that the request's layer adds among them: so their table grows once, and
/// has no more than what the next size holds.
const HEADERS: usize = 6;

/// Writes a value as JSON text, on one line.
pub fn written(value: &impl Serialize) -> Vec<u8> {
    let mut json = JsonWriter::with_capacity(TEXT_BYTES);
    json.document(value);
    json.into_bytes()
}

/// Makes a response of a text.
pub fn answer(status: StatusCode, content_type: &'static str, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(HEADERS);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
