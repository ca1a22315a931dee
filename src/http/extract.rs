//! The extractors that turn a request into checked values, and their refusals.
//!
//! Absent on purpose: axum's own `Json`, `Query` and `Path`, whose rejections are plain text.
//!
//! Invariants: every rejection is a [`Problem`]; no body is read beyond its limit; nothing that the
//! client sent is repeated to it.

use core::future::poll_fn;
use core::pin::Pin;

use axum::body::{Body as WireBody, HttpBody};
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Uri, header};
use bytes::{Bytes, BytesMut};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::context::{Phase, RequestContext};
use super::problem::{Code, Problem};
use super::{HttpParts, json};

/// The longest idempotency key, in characters.
pub const IDEMPOTENCY_KEY_LEN_MAX: usize = 255;

/// A body of `application/json`, read within its limit but not parsed: for routes that borrow from it.
#[derive(Debug, Clone)]
pub struct RawBody(pub Bytes);

impl RawBody {
    /// Parses the body; a type with references borrows from it.
    ///
    /// # Errors
    /// 400 `malformed_request`, or 422 `invalid_request` with the field.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        json::parse(&self.0)
    }
}

impl<S: AsRef<HttpParts> + Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let limit = state.as_ref().limits.body_bytes_max;
        read_json(request, limit, Phase::Body).await.map(Self)
    }
}

/// A body that the platform's own payment service has signed: no route that takes it answers anyone else.
#[derive(Debug, Clone)]
pub struct SignedBody(pub RawBody);

impl<S: AsRef<HttpParts> + Send + Sync> FromRequest<S> for SignedBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let http = state.as_ref();
        let verifier = http.external.as_ref().ok_or_else(Problem::not_found)?;
        let headers = request.headers().clone();
        let body = RawBody::from_request(request, state).await?;
        let checked = verifier.check(&headers, &body.0, http.clock.now());
        if checked.is_err() {
            metrics::counter!("onsale_notices_total", "outcome" => "bad_signature").increment(1);
        }
        checked.map(|()| Self(body))
    }
}

/// A JSON body of a known type, with the bytes that an idempotency key's fingerprint is made of.
#[derive(Debug, Clone)]
pub struct Body<T> {
    /// What the body says.
    pub value: T,
    /// The body as it came.
    pub raw: Bytes,
}

impl<T: DeserializeOwned, S: AsRef<HttpParts> + Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let RawBody(raw) = RawBody::from_request(request, state).await?;
        Ok(Self { value: json::parse(&raw)?, raw })
    }
}

/// The body of an import or a venue: like [`Body`], with the larger limits of size and time.
#[derive(Debug, Clone)]
pub struct LargeBody<T> {
    /// What the body says.
    pub value: T,
    /// The body as it came.
    pub raw: Bytes,
}

impl<T: DeserializeOwned, S: AsRef<HttpParts> + Send + Sync> FromRequest<S> for LargeBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let limit = state.as_ref().limits.large_body_bytes_max;
        let raw = read_json(request, limit, Phase::LargeBody).await?;
        Ok(Self { value: json::parse(&raw)?, raw })
    }
}

async fn read_json(request: Request, limit: usize, phase: Phase) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        return Err(Problem::new(
            Code::UnsupportedMediaType,
            "The body must come with Content-Type: application/json.",
        ));
    }
    let (parts, body) = request.into_parts();
    read(&parts, body, limit, phase).await
}

/// Tells whether the body is announced as JSON, with no other charset than UTF-8.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return false;
    };
    if value == "application/json" {
        return true;
    }
    let Ok(value) = value.to_str() else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
                value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            Some(_) | None => true,
        })
}

/// Reads a body within its limit. The server reads on what is left of a body that is too large. The request's layer
/// watches the time, and learns of the phase here.
pub(super) async fn read(
    parts: &Parts,
    mut body: WireBody,
    limit: usize,
    phase: Phase,
) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Code::BodyTooLarge, format!("The body may have {limit} bytes at most."));
    let context = parts.extensions.get::<RequestContext>();
    if let Some(context) = context {
        context.enter(phase);
    }

    // A body whose announced length is too large is refused before it is read.
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(too_large());
    }

    // Most bodies are one chunk, which needs no copy.
    let mut whole = next_chunk(&mut body).await?.unwrap_or_default();
    if whole.len() > limit {
        return Err(too_large());
    }

    if let Some(second) = next_chunk(&mut body).await? {
        let mut joined = BytesMut::from(whole);
        let mut next = Some(second);
        while let Some(chunk) = next {
            if joined.len() + chunk.len() > limit {
                return Err(too_large());
            }
            joined.extend_from_slice(&chunk);
            next = next_chunk(&mut body).await?;
        }
        whole = joined.freeze();
    }

    if let Some(context) = context {
        context.enter(if phase == Phase::LargeBody { Phase::LargeHandling } else { Phase::Handling });
    }
    Ok(whole)
}

/// Reads a body's next bytes; nothing at its end. One whose length is known isn't asked again behind it.
async fn next_chunk(body: &mut WireBody) -> Result<Option<Bytes>, Problem> {
    let broken = |_| Problem::new(Code::MalformedRequest, "The body ended early or is broken.");
    while !body.is_end_stream() {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        let Some(frame) = frame.transpose().map_err(broken)? else { break };
        if let Ok(chunk) = frame.into_data() {
            return Ok(Some(chunk));
        }
    }
    Ok(None)
}

/// The query of a URL as a type. Parameters that it doesn't know belong to other extractors: those that the route
/// doesn't know were refused before (`shape.rs`).
///
/// A value that can't be read is 400 `malformed_request` for a field named `cursor`, else 422 `invalid_request`.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.uri)
    }
}

impl<T: DeserializeOwned> Query<T> {
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::try_from_uri(uri) {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(bad_query(&rejection)),
        }
    }
}

/// Names the field that is wrong. serde says the name, a colon and why; a name is one
/// of our own type, while the reason may hold the value.
fn bad_query(rejection: &QueryRejection) -> Problem {
    let text = rejection.body_text();
    let text = text.split_once(": ").map_or(text.as_str(), |(_, rest)| rest);
    let is_name = |name: &&str| {
        !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let quoted = |start| text.strip_prefix(start)?.strip_suffix('`').filter(is_name);
    if let Some(name) = quoted("missing field `") {
        return Problem::invalid_field(name, "is required");
    }
    if let Some(name) = quoted("duplicate field `") {
        return Problem::invalid_field(name, "is given twice");
    }
    match text.split_once(": ").map(|(name, _)| name).filter(is_name) {
        Some("cursor") => Problem::bad_cursor(),
        Some(name) => Problem::invalid_field(name, "has a value that is not allowed"),
        None => Problem::invalid_field("", "the query has a value that is not allowed"),
    }
}

/// The parameter in the path, or both, decoded; 400 where the percent-encoding isn't UTF-8.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<S: Send + Sync> FromRequestParts<S> for Path<String> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        decoded(parameter_of(parts)?).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Path<(String, String)> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let (first, second) = parameter_of(parts)?.split_once('/').ok_or_else(Problem::not_found)?;
        Ok(Self((decoded(first)?, decoded(second)?)))
    }
}

fn parameter_of(parts: &Parts) -> Result<&str, Problem> {
    let context = parts.extensions.get::<RequestContext>();
    context.and_then(RequestContext::parameter).ok_or_else(Problem::not_found)
}

fn decoded(parameter: &str) -> Result<String, Problem> {
    let decoded = percent_decode_str(parameter).decode_utf8();
    let wrong = || Problem::new(Code::MalformedRequest, "The path isn't percent-encoded UTF-8.");
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| wrong())
}

/// The header `Idempotency-Key`: 1–255 visible ASCII characters. As `Option<IdempotencyKey>` where
/// it may be absent; otherwise its absence is 400.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(Box<str>);

impl IdempotencyKey {
    /// The header's name.
    pub const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

    /// Returns the key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(Self::HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        value
            .to_str()
            .ok()
            .filter(|key| (1..=IDEMPOTENCY_KEY_LEN_MAX).contains(&key.len()))
            .filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()))
            .filter(|_| values.next().is_none())
            .map(|key| Some(Self(key.into())))
            .ok_or_else(|| {
                Problem::new(
                    Code::MalformedRequest,
                    "Idempotency-Key must be one header of 1 to 255 visible ASCII characters.",
                )
            })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.headers)?
            .ok_or_else(|| Problem::new(Code::MalformedRequest, "This needs the header Idempotency-Key."))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        Self::of(&parts.headers)
    }
}

#[cfg(test)]
mod tests;
