//! The bounds of what one connection and one request may take, from the configuration.

use core::time::Duration;

use crate::config::{LimitsConfig, ServerConfig};

/// How much longer a request with a large body (an import, a venue) may take.
pub const LARGE_TIMEOUT_FACTOR: u32 = 6;

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
    /// so that it can be answered with a problem document.
    pub header_bytes_max: usize,
    /// How long a connection may take to send the next request's headers.
    pub header_read_timeout: Duration,
    /// How long a stop waits for requests under way.
    pub drain: Duration,
}

impl ServerLimits {
    /// Takes the bounds from the configuration.
    pub fn new(server: &ServerConfig, limits: &LimitsConfig) -> Self {
        Self {
            connections_max: limits.connections_max,
            header_bytes_max: limits.header_bytes_max,
            header_read_timeout: Duration::from_secs(limits.header_read_timeout_seconds),
            drain: Duration::from_secs(server.drain_seconds),
        }
    }
}
