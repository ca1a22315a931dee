//! A log that isn't on this machine's disk: one stream of NATS JetStream, and a second one for what is not the log.
//!
//! ```text
//! ONSALE_<cluster>        onsale.<cluster>.1.log.all.<boot>                             frames, one a message; never trimmed but by us
//! ONSALE_<cluster>_SNAP   onsale.<cluster>.1.snap.all.<position>.<attempt>.<part>       a snapshot's bytes
//!                         onsale.<cluster>.1.snap.all.<position>.manifest               says that it is whole
//!                         onsale.<cluster>.1.mark.all.<boot>                            when the engine was last alive
//! ONSALE_<cluster>_LIVE   onsale.<cluster>.1.live.node.<node>                           a node's lease, in the servers' memory
//!                         onsale.<cluster>.1.live.lane.all                              who has the log
//! ```
//!
//! The `1` counts the log's regions, of which there is one so far. Each life of the log has a subject of its own, named by 128 random bits:
//! it says whose a message is, and is a part of the fence (`lane/nats.rs`). A record's position is made of its message's sequence, so
//! positions have gaps.
//!
//! | file | what it does |
//! | --- | --- |
//! | `session.rs` | the connection, and every request to the servers; the only place that names the client |
//! | `pen.rs` | what the lane (`lane/nats.rs`) asks of the servers |
//! | `life.rs` | the record with which a life of the log begins |
//! | `health.rs` | how the log is doing, for probes and metrics |
//! | `seen.rs` | how far this node has seen the log, in its data directory |
//! | `claim.rs` | checks how all is set up, and begins a life of the log |
//! | `live/` | several processes that share the log: leases, and whose turn it is; `member.rs` and `lost.rs` are its words |
//! | `keeper.rs`, `runs.rs` | reads the log, and deletes what is no longer retained |
//! | `snapshots.rs` | writes and reads snapshots |
//!
//! Invariants: whoever has appended the last [`life`] writes, and nobody else; a log that has less than this node has seen is
//! refused; the lane's last frame is never purged.

#[cfg(not(feature = "cluster"))]
mod absent;
#[cfg(feature = "cluster")]
mod claim;
mod health;
#[cfg(feature = "cluster")]
mod keeper;
#[cfg(feature = "cluster")]
mod life;
#[cfg(feature = "cluster")]
mod live;
mod lost;
mod member;
#[cfg(feature = "cluster")]
mod names;
#[cfg(feature = "cluster")]
mod pen;
mod refused;
#[cfg(feature = "cluster")]
mod runs;
mod seen;
#[cfg(all(test, feature = "cluster"))]
#[path = "../../../tests/nats/servers.rs"]
#[allow(unreachable_pub, dead_code, reason = "other tests share it")]
pub(super) mod servers;
#[cfg(feature = "cluster")]
mod session;
mod settings;
#[cfg(feature = "cluster")]
mod snapshots;
#[cfg(feature = "cluster")]
#[cfg(test)]
mod tests;

#[cfg(not(feature = "cluster"))]
pub use self::absent::Membership;
#[cfg(all(test, feature = "cluster"))]
pub(super) use self::claim::claim_unchecked;
#[cfg(feature = "cluster")]
pub(super) use self::claim::{Claimed, StreamPen, claim};
pub use self::health::LogHealth;
#[cfg(feature = "cluster")]
pub(super) use self::health::Vitals;
#[cfg(feature = "cluster")]
pub(super) use self::life::Life;
#[cfg(feature = "cluster")]
pub use self::live::Membership;
pub use self::lost::Lost;
pub use self::member::{NodeConfig, Standing};
#[cfg(all(test, feature = "cluster"))]
pub(super) use self::pen::SessionPen;
pub use self::refused::LogRefused;
#[cfg(feature = "cluster")]
pub(super) use self::runs::StreamRuns;
pub use self::seen::is_of_a_stream;
#[cfg(feature = "cluster")]
pub(super) use self::seen::{Seen, Sight};
pub use self::settings::{StreamConfig, StreamLogin};
