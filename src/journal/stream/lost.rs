//! Why a process is no longer who it was in its cluster.

use thiserror::Error;

/// Why a process no longer is who it was in the cluster: it ends, and is started again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the message says what each field is")]
pub enum Lost {
    /// Another node has claimed what this one had.
    #[error("the node {node} has taken the log over (life {epoch})")]
    TakenOver { node: String, epoch: u64 },
    /// Another process has its name.
    #[error(
        "another process is the node of this name now, at {address}: give each a cluster.node of its own"
    )]
    NameTaken { address: String },
    /// The servers have forgotten the leases.
    #[error("the log's servers have lost the leases, this one's among them: whoever stands by takes over")]
    Forgotten,
}
