//! The journal: an ordered log of opaque records, one writer, and nothing told before it is durable.
//!
//! ```text
//! append   reserve → Permit::send(Entry) ⟶ writer: frame → store → flush → sync ⟶ completions, in order
//! read     Journal::read / runs / for_each: durable records, across generations
//! open     Journal::open → Recovering (read it, rebuild the state) → start → Journal
//! ```
//!
//! Owns the data directory: `identity`, `lock`, `mark`, `clean`, `reserve`, `journal/`, `snapshots/`.
//!
//! Absent on purpose: the domain (records are bytes), time (the engine's clock is handed in), metrics (an observer is).
//!
//! Invariants:
//!
//! - Nothing is acknowledged before the sync of the frame that ends its entry; replies come in the order of the entries.
//! - An entry is there after a restart wholly or not at all; an acknowledged one is there, or opening is refused.
//! - After one error of the disk nothing is written any more; reads go on.

mod backup;
mod config;
mod frame;
mod generations;
mod handle;
mod identity;
mod inspect;
mod keeper;
mod lane;
mod mark;
mod open;
mod position;
mod read;
mod read_error;
mod records;
mod reserve;
mod retention;
pub mod room;
mod scan;
pub mod snapshot;
mod store;
mod stream;
mod successor;
mod writer;

#[cfg(test)]
mod tests;

pub use self::backup::{BackupError, LogBackup, LogCopy, LogPart};
pub use self::config::{CODEC, CODEC_V1, Clock, CommitStats, Driver, Hooks, JournalConfig, Observer, Retain};
pub use self::frame::Defect;
pub use self::generations::Generation;
pub use self::handle::{Journal, Log, Permit};
pub use self::identity::OtherFormat;
pub use self::inspect::{FrameReport, InspectError, Inspection, is_data_dir};
pub use self::lane::Rotated;
pub use self::open::{OpenError, Recovering};
pub use self::position::{Ordinal, Position};
pub use self::read::{Reader, Runs};
pub use self::read_error::ReadError;
pub use self::records::{EntryTooLarge, Records};
pub use self::scan::Run;
pub use self::store::{ChunkIter, DataDir, Key, Medium, MemoryDisk, Store, StoreError};
pub use self::stream::{
    LogHealth, LogRefused, Lost, Membership, NodeConfig, Standing, StreamConfig, StreamLogin, is_of_a_stream,
};
pub use self::successor::create_successor;
pub use self::writer::{CommitError, Committed, Completion, Entry};
