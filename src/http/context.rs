//! What the parts of HTTP know of one request beside what its client says: its id, who sent it, the route's parameter,
//! and how far it is.

use core::convert::Infallible;
use core::net::IpAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;

use super::rate_limit::UNKNOWN_PEER;

/// How far a request is, which decides the answer at its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its body is on its way.
    Body,
    /// Its body, an import or a venue, is on its way.
    LargeBody,
    /// The route works on it.
    Handling,
    /// The route works on an import or a venue.
    LargeHandling,
}

/// The state of a request that the layer around it and the extractors share.
#[derive(Debug, Clone)]
pub struct RequestContext(Arc<ContextState>);

#[derive(Debug)]
struct ContextState {
    id: HeaderValue,
    peer: IpAddr,
    parameter: Option<Box<str>>,
    reading: AtomicBool,
    large: AtomicBool,
}

impl RequestContext {
    pub(super) fn new(id: HeaderValue, peer: IpAddr, parameter: Option<Box<str>>) -> Self {
        let (reading, large) = (AtomicBool::new(false), AtomicBool::new(false));
        Self(Arc::new(ContextState { id, peer, parameter, reading, large }))
    }

    /// Says how far the request is.
    pub fn enter(&self, phase: Phase) {
        let (reading, large) = match phase {
            Phase::Body => (true, false),
            Phase::LargeBody => (true, true),
            Phase::Handling => (false, false),
            Phase::LargeHandling => (false, true),
        };
        self.0.reading.store(reading, Ordering::Relaxed);
        self.0.large.store(large, Ordering::Relaxed);
    }

    /// Tells whether its body is on its way.
    pub(super) fn is_reading(&self) -> bool {
        self.0.reading.load(Ordering::Relaxed)
    }

    /// Tells whether it is an import or a venue.
    pub(super) fn is_large(&self) -> bool {
        self.0.large.load(Ordering::Relaxed)
    }

    /// Returns the request's id: 1–128 visible ASCII characters.
    pub fn id(&self) -> &str {
        self.0.id.to_str().unwrap_or_default()
    }

    pub(super) fn id_header(&self) -> &HeaderValue {
        &self.0.id
    }

    /// Returns the address at the other end of the connection.
    pub(super) fn peer(&self) -> IpAddr {
        self.0.peer
    }

    /// Returns the parameter in the path, as it was sent; nothing where the route has none.
    pub(super) fn parameter(&self) -> Option<&str> {
        self.0.parameter.as_deref()
    }
}

/// Extracts the context, for the request's id in a problem of the server's own, and in the journal's feed.
impl<S: Send + Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let nobodys = || Self::new(HeaderValue::from_static("none"), UNKNOWN_PEER, None);
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(nobodys))
    }
}
