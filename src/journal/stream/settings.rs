//! Where a replicated log is.

use core::fmt;
use std::path::PathBuf;

/// Says where a replicated log is, and who this node is.
#[derive(Clone)]
pub struct StreamConfig {
    /// The servers' URLs, such as `nats://10.0.0.1:4222`. One that answers is enough.
    pub servers: Vec<String>,
    /// The cluster's name: part of the streams' names.
    pub cluster: String,
    /// How many servers hold each message, of a log that is made now.
    pub replicas: u8,
    /// This node's name: other nodes are told it when it takes the log over.
    pub node: String,
    /// What all nodes of the cluster know, and nobody else. The log's own secret is made of it.
    pub secret: Box<[u8]>,
    /// How it signs in to the account that has the log.
    pub login: Option<StreamLogin>,
    /// How it signs in to the servers' system account, which tells how they are set up.
    pub system: Option<StreamLogin>,
    /// The certificates that a server's is checked with, besides the system's.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for StreamConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest holds secrets.
        formatter
            .debug_struct("StreamConfig")
            .field("cluster", &self.cluster)
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

/// Signs in to a server.
#[derive(Clone)]
pub enum StreamLogin {
    /// With a password.
    Password {
        /// The user.
        user: String,
        /// Its password.
        password: String,
    },
    /// With a file of credentials, which holds a token and a key.
    Credentials(PathBuf),
}
