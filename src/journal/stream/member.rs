//! What a process says of itself in its cluster, and how it stands there.

use core::time::Duration;

use super::super::config::Clock;

/// What a process says of itself.
#[derive(Clone)]
pub struct NodeConfig {
    /// Where the other nodes reach its API, such as `http://10.0.0.1:8080`, without a slash at its end.
    pub address: String,
    /// The version of its program.
    pub version: String,
    /// Those settings that become events, in words: nodes that differ in them don't take over from each other while others can.
    pub settings: String,
    /// Reads the engine's clock, in milliseconds since 1970: it is held against the servers'.
    pub clock: Clock,
}

/// How a process stands in its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it has the log and serves.
    pub serves: bool,
    /// The log's life that the owner began.
    pub epoch: u64,
    /// How long ago its last renewal was sent; nothing before the first.
    pub lease_age: Option<Duration>,
    /// How far its clock is from the servers'.
    pub clock_apart: Duration,
    /// How many nodes renew their leases, this one among them.
    pub alive: usize,
    /// How many nodes are known.
    pub known: usize,
    /// Whether anyone has the log, and serves.
    pub has_owner: bool,
}
