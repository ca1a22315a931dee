//! Why a replicated log isn't opened. Each says what to do.

use thiserror::Error;

use super::super::store::StoreError;
use super::lost::Lost;

/// Why a log that isn't on this machine's disk, or its directory, is refused. Nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the message says what each field is")]
pub enum LogRefused {
    /// The program can't.
    #[error(
        "this program was built without the feature `cluster`: leave cluster.log out, or take a program that has it"
    )]
    NotBuiltIn,
    /// An engine with a log of its own is to start in a directory of a node.
    #[error(
        "{0} belongs to a node whose log is on NATS (it has the file `seen`): say where with --log nats://…, or name another \
         --data-dir"
    )]
    DirectoryOfAStream(String),
    /// A node is to start in a directory that has a log.
    #[error(
        "{0} has a log of its own, which can't be moved to NATS yet: name another --data-dir, or leave --log out and go on here"
    )]
    DirectoryOfADisk(String),
    /// The directory can't be used.
    #[error("{dir} can't be used: {source}")]
    Directory { dir: String, source: StoreError },
    /// No server answers, or none lets this node in.
    #[error(
        "none of the log's servers ({servers}) can be used: {what}. Look whether they run, and at cluster.log and cluster.login"
    )]
    Unreachable { servers: String, what: String },
    /// A server is too old.
    #[error(
        "the server {server} is of version {version}; a log is safe from {wanted} on, since earlier ones accept appends that come \
         too late: put nats-server {wanted} there"
    )]
    Version { server: String, version: String, wanted: &'static str },
    /// Messages can't be large enough.
    #[error(
        "the servers take messages of at most {max} bytes: set max_payload to 1MB or more in their configuration"
    )]
    Payload { max: usize },
    /// Nobody can tell whether the servers sync.
    #[error(
        "cluster.system_login isn't set, so nobody can tell whether the servers sync each message: name a user of their system \
         account"
    )]
    NoSystemLogin,
    /// The system account doesn't answer.
    #[error(
        "the servers' system account doesn't tell how they are set up: {0}. Look at cluster.system_login: it has to be a user of the \
         account that system_account names in their configuration"
    )]
    System(String),
    /// A server would lose messages in a power cut.
    #[error(
        "the server {0} doesn't sync each message before it acknowledges it, so a power cut would lose what was acknowledged: set \
         `sync_interval: always` in the jetstream block of its configuration"
    )]
    NotSynced(String),
    /// JetStream refuses.
    #[error("the stream {stream} can't be used: {what}")]
    Stream { stream: String, what: String },
    /// It isn't a log.
    #[error("the stream {0} wasn't made by onsale: choose another cluster.name")]
    Foreign(String),
    /// It is of another version.
    #[error(
        "the log {stream} is of format {found}, and this program writes format {own}: start the version that made it"
    )]
    Format { stream: String, found: String, own: String },
    /// It belongs to nodes with another secret.
    #[error("the log {0} was made with another cluster.secret: all nodes of a cluster have the same one")]
    Secret(String),
    /// Its settings were changed.
    #[error("the stream {stream} is set up so that the log isn't safe in it: {what}")]
    Settings { stream: String, what: String },
    /// It has less than this node has seen.
    #[error(
        "the log {stream} is not what this node has seen: {what}. The servers have lost what was acknowledged, or were put back to an \
         earlier state. Do not go on with it: look for the servers' newest data. If what is lost is given up for good, move the file \
         {seen} away and start again"
    )]
    Lost { stream: String, seen: String, what: String },
    /// It contradicts itself.
    #[error("the log {stream} is damaged: {what}. Nothing was changed on purpose; do not delete anything")]
    Damaged { stream: String, what: String },
    /// Another process has this node's name.
    #[error(
        "another process is alive as the node {node}, at {address}: give each a cluster.node of its own, or stop that one"
    )]
    NameTaken { node: String, address: String },
    /// It isn't this node's turn any more.
    #[error("another node takes the log {0} over")]
    Late(String),
    /// The lease was lost while the log was taken over.
    #[error("the log {stream} was taken over, and lost at once: {lost}")]
    LostAtOnce { stream: String, lost: Lost },
    /// Others take it over at the same time.
    #[error("other nodes take the log {0} over again and again: start one node at a time")]
    Contended(String),
}
