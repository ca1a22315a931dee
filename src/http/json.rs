//! Strict JSON: 400 for a body that isn't JSON, 422 for JSON of the wrong shape, and the writing of answers.
//!
//! Absent on purpose: the echo of a client's text. A detail says what is allowed, and a field's name is cut to plain
//! characters.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::answer::{answer, written};
use super::problem::{Code, FieldError, Problem};

/// The longest path of a field that an error shows, in characters.
const FIELD_LEN_MAX: usize = 100;
/// The detail for an unknown field or parameter.
pub(super) const UNKNOWN: &str = "is not known here";

/// Reads a value from JSON text; borrows from it where the type does.
///
/// # Errors
/// 400 `malformed_request` when the bytes aren't one JSON text in UTF-8; 422 `invalid_request`
/// with the field when they are, but a field is missing, unknown, given twice, or of another type.
pub fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    let Ok(text) = core::str::from_utf8(bytes) else {
        return Err(malformed());
    };
    match serde_json::from_str(text) {
        // serde reads a struct from an array of its fields, too; a body is an object.
        Ok(_) if text.trim_ascii_start().starts_with('[') => {
            Err(Problem::invalid_field("", "must be an object"))
        }
        Ok(value) => Ok(value),
        // A wrong field may come before a syntax error, which is the worse of the two; and what serde calls one need not be it: a
        // struct without fields that is read from `[1]`.
        Err(_) if serde_json::from_str::<IgnoredAny>(text).is_err() => Err(malformed()),
        Err(error) if !error.is_data() => Err(Problem::invalid_field("", "must be an object")),
        Err(_) => Err(Problem::invalid(vec![explain::<T>(text)])),
    }
}

fn malformed() -> Problem {
    Problem::new(Code::MalformedRequest, "The body isn't a JSON text in UTF-8.")
}

/// Reads the text again and follows its path. This would cost too much for valid requests.
fn explain<'a, T: Deserialize<'a>>(text: &'a str) -> FieldError {
    let mut reader = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Ok(_) => FieldError { field: String::new(), detail: "isn't valid".to_owned() },
        Err(error) => {
            let path = error.path().to_string();
            let path = if path == "." { String::new() } else { path };
            describe(&path, &error.into_inner().to_string())
        }
    }
}

/// Turns serde's message into one that doesn't repeat the input.
fn describe(path: &str, message: &str) -> FieldError {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    if let Some(name) = quoted_after(message, "missing field `") {
        let field = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        return FieldError { field: plain(&field), detail: "is required".to_owned() };
    }

    if let Some(name) = quoted_after(message, "duplicate field `") {
        let field = if path.is_empty() { name } else { path };
        return FieldError { field: plain(field), detail: "is given twice".to_owned() };
    }

    let detail = if message.starts_with("unknown field `") {
        UNKNOWN.to_owned()
    } else if message.starts_with("data did not match any variant") {
        "has none of the shapes that are known here".to_owned()
    } else if message.starts_with("unknown variant `") || message.starts_with("invalid ") {
        // The last ", expected " is serde's own: what stands before it may be the client's.
        match message.rsplit_once(", expected ") {
            Some((_, expected)) => format!("must be {}", words(expected)),
            None => "has a value that is not allowed".to_owned(),
        }
    } else {
        // A message of one of our own types, which never quotes its input.
        message.to_owned()
    };

    FieldError { field: plain(path), detail }
}

fn quoted_after<'m>(message: &'m str, start: &str) -> Option<&'m str> {
    message.strip_prefix(start)?.strip_suffix('`')
}

/// Translates serde's expectation into JSON's words.
fn words(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number, not negative".into(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "an array".into(),
        "a map" => "an object".into(),
        other if other.starts_with("struct ") => "an object".into(),
        other if other.starts_with('`') => format!("one of {other}").replace(" or ", ", "),
        other => other.to_owned(),
    }
}

/// Keeps only plain characters of a field's path: a client can put anything into a key.
pub(super) fn plain(path: &str) -> String {
    path.chars()
        .take(FIELD_LEN_MAX)
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']') { c } else { '?' })
        .collect()
}

/// An answer of JSON with a status; headers are added with axum's tuples, as to any response.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub StatusCode, pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        json_bytes(self.0, written(&self.1))
    }
}

/// Makes an answer of bytes that are JSON already.
pub fn json_bytes(status: StatusCode, bytes: impl Into<Body>) -> Response {
    let mut response = answer(status, "application/json", bytes);
    let headers = response.headers_mut();
    // What can be kept says so itself; this is the state of a moment, and often one person's.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Hold<'a> {
        #[serde(borrow)]
        schedule_id: &'a str,
        seats: Vec<u32>,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Fifo,
        Shuffle,
    }

    fn refused(text: &[u8]) -> (Code, String, String) {
        let problem = parse::<Hold<'_>>(text).unwrap_err();
        let json: serde_json::Value = serde_json::from_slice(&problem.to_json()).unwrap();
        let first = &json["errors"][0];
        let text = |name: &str| first[name].as_str().unwrap_or_default().to_owned();
        (problem.code(), text("field"), text("detail"))
    }

    #[test]
    fn what_is_not_json_is_malformed_even_after_a_wrong_field() {
        let texts: [&[u8]; 7] = [
            b"",
            b"{",
            b"{\"scheduleId\": \"a\", \"seats\": []} x",
            b"{\"scheduleId\": \"\xff\", \"seats\": []}",
            b"{\"seats\": \"x\", ]",
            b"{\"scheduleId\": 'a'}",
            b"\xef\xbb\xbf{\"scheduleId\": \"a\", \"seats\": []}",
        ];
        for text in texts {
            assert_eq!(refused(text).0, Code::MalformedRequest, "{text:?}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(refused(deep.as_bytes()).0, Code::MalformedRequest);
    }

    #[test]
    fn json_of_the_wrong_shape_names_its_field_and_never_the_value() {
        let check = |text: &str, field: &str, detail: &str| {
            let expected = (Code::InvalidRequest, field.to_owned(), detail.to_owned());
            assert_eq!(refused(text.as_bytes()), expected, "{text}");
        };
        check(r#"{"seats": []}"#, "scheduleId", "is required");
        check(
            r#"{"scheduleId": "a", "seats": [1, "<b>"]}"#,
            "seats[1]",
            "must be a whole number, not negative",
        );
        check(r#"{"scheduleId": "a", "seats": [-1]}"#, "seats[0]", "must be a whole number, not negative");
        check(r#"{"scheduleId": "a", "seats": [], "seatz": 1}"#, "seatz", "is not known here");
        check(r#"{"scheduleId": "a", "seats": [], "<b>": 1}"#, "?b?", "is not known here");
        check(r#"{"scheduleId": "a", "seats": [], "seats": []}"#, "seats", "is given twice");
        check(
            r#"{"scheduleId": "a", "seats": [], "kind": "x, expected y"}"#,
            "kind",
            "must be one of `fifo`, `shuffle`",
        );
        check("[]", "", "must be an object");
        check("null", "", "must be an object");
        check(r#" ["a", [1], null]"#, "", "must be an object");
    }

    #[test]
    fn a_right_body_is_read_without_copying() {
        let hold: Hold<'_> = parse(br#"{"scheduleId": "a", "seats": [1], "kind": "fifo"}"#).unwrap();
        assert_eq!(hold, Hold { schedule_id: "a", seats: vec![1], kind: Some(Kind::Fifo) });
        assert_ne!(hold.kind, Some(Kind::Shuffle));
    }
}
