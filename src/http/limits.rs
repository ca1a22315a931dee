//! The bounds of one connection and one request, from the settings.

use core::time::Duration;

use super::hosts::Hosts;
use crate::config::{LimitsConfig, ServerConfig};

/// How much longer a request with a large body (an import, a venue) may take.
pub const LARGE_TIMEOUT_FACTOR: u32 = 6;

/// The part of a request's time in which to wait for a payment.
const PATIENCE: f32 = 0.8;
/// A refused body is read on up to so many times the largest body, so that its client gets the answer.
const REST_FACTOR: usize = 2;
/// A refused body is read on for at most so long.
const REST_TIMEOUT: Duration = Duration::from_secs(30);

/// The bounds of one request.
#[derive(Debug, Clone, Copy)]
pub struct RequestLimits {
    /// The largest body in bytes.
    pub body_bytes_max: usize,
    /// The largest body of an import or a venue in bytes.
    pub large_body_bytes_max: usize,
    /// The largest request line and headers together, in bytes.
    pub header_bytes_max: usize,
    /// How long a request may take until its answer's headers, its body included.
    pub request_timeout: Duration,
}

impl RequestLimits {
    /// Returns how long a request waits for a payment: an answer that says what is known is better than none in time.
    pub fn patience(&self) -> Duration {
        self.request_timeout.mul_f32(PATIENCE)
    }
}

impl From<&LimitsConfig> for RequestLimits {
    fn from(config: &LimitsConfig) -> Self {
        Self {
            body_bytes_max: config.body_bytes_max,
            large_body_bytes_max: config.large_body_bytes_max,
            header_bytes_max: config.header_bytes_max,
            request_timeout: Duration::from_secs(config.request_timeout_seconds),
        }
    }
}

/// The bounds of the connections.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// The open connections; one more is answered 503.
    pub connections_max: usize,
    /// The largest request line and headers together, in bytes; up to four times as much is read
    /// so that it can be answered with the request's id.
    pub header_bytes_max: usize,
    /// How long a request's headers may take, from their first byte on.
    pub header_read_timeout: Duration,
    /// How long a connection may wait for its next request.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of its answer.
    pub write_timeout: Duration,
    /// The bytes of a body that are still read after its request was answered.
    pub rest_bytes_max: u64,
    /// How long that goes on.
    pub rest_timeout: Duration,
    /// How long a stop waits for requests under way.
    pub drain: Duration,
    /// The names by which the server may be called.
    pub hosts: Hosts,
}

impl ServerLimits {
    /// Takes the bounds from the configuration; the server may be called by any name.
    pub fn new(server: &ServerConfig, limits: &LimitsConfig) -> Self {
        let rest_bytes_max = limits.large_body_bytes_max.saturating_mul(REST_FACTOR);
        Self {
            connections_max: limits.connections_max,
            header_bytes_max: limits.header_bytes_max,
            header_read_timeout: Duration::from_secs(limits.header_read_timeout_seconds),
            idle_timeout: Duration::from_secs(limits.idle_timeout_seconds),
            write_timeout: Duration::from_secs(limits.write_timeout_seconds),
            rest_bytes_max: u64::try_from(rest_bytes_max).unwrap_or(u64::MAX),
            rest_timeout: REST_TIMEOUT,
            drain: Duration::from_secs(server.drain_seconds),
            hosts: Hosts::Any,
        }
    }
}
