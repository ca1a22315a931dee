//! The record with which a life of a replicated log begins: who writes it from here on.
//!
//! ```text
//! version u8, epoch u64, instant u64, boot u128, last u64, node's name in UTF-8
//! ```
//!
//! It is the journal's own and shown to no reader. It stands in a frame of its own (`Header::life`).

use bytes::Bytes;

use super::super::config::CODEC;
use super::super::frame::{self, Header, u64_at, u128_at};
use super::super::position::{Ordinal, Position};
use super::super::records::{RecordSlices, Records};

const VERSION: u8 = 1;
const NODE_AT: usize = 41;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::journal) struct Life {
    /// Which life it is; the first is 1.
    pub(in crate::journal) epoch: u64,
    /// When it began, in milliseconds since 1970 by the node's clock.
    pub(in crate::journal) instant: u64,
    /// Tells two lives of one node apart.
    pub(in crate::journal) boot: u128,
    /// Where the last record before it stands that a reader is shown.
    pub(in crate::journal) last: Position,
    /// The node's name.
    pub(in crate::journal) node: String,
}

impl Life {
    /// Seals it in its frame.
    pub(in crate::journal) fn frame(&self, log_id: u128, first: Ordinal) -> Bytes {
        let mut record = vec![VERSION];
        record.extend_from_slice(&self.epoch.to_le_bytes());
        record.extend_from_slice(&self.instant.to_le_bytes());
        record.extend_from_slice(&self.boot.to_le_bytes());
        record.extend_from_slice(&self.last.get().to_le_bytes());
        record.extend_from_slice(self.node.as_bytes());
        let mut records = Records::new();
        records.push(&record).expect("a node's name is short");

        let mut frame = Vec::new();
        frame::begin(&mut frame);
        frame.extend_from_slice(records.bytes());
        let header = Header { more: false, log_id, epoch: self.epoch, first, chunk: 0, count: 1, life: true };
        frame::seal(&mut frame, &header);
        assert!(Self::read(&frame).as_ref() == Some(self), "a life reads back as it is written");
        frame.into()
    }

    /// Reads a frame; nothing where it isn't the beginning of a life.
    pub(in crate::journal) fn read(bytes: &[u8]) -> Option<Self> {
        let header = frame::open(bytes, CODEC).ok().filter(|header| header.life)?;
        let record = RecordSlices::new(bytes.get(frame::HEADER_LEN..)?).next()?;
        if *record.first()? != VERSION {
            return None;
        }
        let life = Self {
            epoch: u64_at(record, 1)?,
            instant: u64_at(record, 9)?,
            boot: u128_at(record, 17)?,
            last: Position::new(u64_at(record, 33)?),
            node: String::from_utf8(record.get(NODE_AT..)?.to_vec()).ok()?,
        };
        (life.epoch == header.epoch).then_some(life)
    }
}
