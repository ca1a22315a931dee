//! How an answer is made of a value: its JSON text, and the response around it.
//!
//! The text is `sonic-rs`'s, which writes what `serde_json` would (a test compares them) at half the cost.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;

/// Room for most answers, in bytes: a reservation has some 600.
const TEXT_BYTES: usize = 1024;
/// Room for the headers of most answers, those that the request's layer adds among them: so their table grows once.
const HEADERS: usize = 12;

/// Writes a value as JSON text, on one line.
pub fn written(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(TEXT_BYTES);
    sonic_rs::to_writer(&mut bytes, value).expect("an answer's type has text keys and total serialisers");
    bytes
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_is_written_as_serde_json_writes_it(
            map in proptest::collection::btree_map(any::<String>(), any::<(Option<String>, i64, u64, bool, f64)>(), 0..4),
        ) {
            let map: BTreeMap<_, _> = map;
            prop_assert_eq!(written(&map), serde_json::to_vec(&map).unwrap());
        }
    }

    #[test]
    fn what_has_to_be_escaped_is() {
        let all: String = (0..=0x2ff).filter_map(char::from_u32).collect();
        assert_eq!(written(&all), serde_json::to_vec(&all).unwrap());
    }
}
