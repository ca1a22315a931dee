//! Why a log can't be read.

use thiserror::Error;

use super::frame::Defect;
use super::position::Position;
use super::store::StoreError;

/// Says why the log cannot be read here.
#[derive(Debug, Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the message says what each field is")]
pub enum ReadError {
    /// The records that were asked for are no longer retained.
    #[error("records before position {oldest} are no longer retained")]
    Gone {
        /// The oldest position that is.
        oldest: Position,
    },
    /// The log is damaged.
    #[error(
        "generation {generation} is damaged at position {position}: {defect}; run `onsale verify` on the data directory"
    )]
    Damaged { generation: u64, position: Position, defect: Defect },
    /// A generation cannot be opened or read.
    #[error("generation {generation} cannot be read: {source}")]
    Store { generation: u64, source: StoreError },
    /// The journal has been closed.
    #[error("the journal is closed")]
    Closed,
    /// The log's servers don't give what they have to have.
    #[error("the log can't be read at position {position}: {what}")]
    Log { position: Position, what: String },
}

impl ReadError {
    /// Tells whether it is for want of room on the disk: a store must write in order to open.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Store { source, .. } => source.is_full(),
            Self::Gone { .. } | Self::Damaged { .. } | Self::Closed | Self::Log { .. } => false,
        }
    }
}
