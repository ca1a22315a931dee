//! The headers that a ticket stands for: how a request gives them, and how a stream gets them back.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;

use super::HttpParts;
use super::pass::QUEUE_TOKEN;
use super::problem::{Code, Problem};
use super::stream_tickets::Shown;

/// Copies the headers that a ticket stands for; nothing without a token. What a request keeps of them shares its whole buffer.
pub(super) fn shown(headers: &HeaderMap) -> Option<Shown> {
    let copy = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
    let authorization = headers.get(header::AUTHORIZATION).and_then(copy)?;
    Some(Shown { authorization, pass: headers.get(QUEUE_TOKEN).and_then(copy) })
}

/// Puts the headers that a ticket stands for in their places, where the address has one. It comes before the extractors of the caller.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByTicket;

#[derive(Deserialize)]
struct TicketQuery {
    ticket: Option<String>,
}

impl<S: AsRef<HttpParts> + Send + Sync> FromRequestParts<S> for ByTicket {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Query::<TicketQuery>::try_from_uri(&parts.uri);
        let Some(ticket) = read.ok().and_then(|Query(query)| query.ticket) else { return Ok(Self) };
        let http = state.as_ref();
        let shown = http.stream_tickets.take(&ticket, http.clock.now()).ok_or_else(|| {
            let detail = "The ticket was used already, or is over: take another one.";
            Problem::new(Code::Unauthenticated, detail)
        })?;

        parts.headers.insert(header::AUTHORIZATION, shown.authorization);
        match shown.pass {
            Some(pass) => drop(parts.headers.insert(QUEUE_TOKEN, pass)),
            None => drop(parts.headers.remove(QUEUE_TOKEN)),
        }
        Ok(Self)
    }
}
