//! A lane in memory, as a replicated log would be one: its positions have gaps.

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::config::CODEC;
use super::super::frame;
use super::super::position::{Ordinal, Position};
use super::super::scan::{Frame, Sequence};
use super::super::store::StoreError;
use super::{Appended, Lane, Rotated, Sealed};

/// The bits of a position below its frame's number.
const INDEX_BITS: u32 = 14;

/// The log: its frames in order, and what was noted. Clones share one.
#[derive(Clone, Default)]
pub(super) struct MemoryLog(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    frames: Vec<Vec<u8>>,
    ticks: Vec<Ordinal>,
    closed_at: Option<Ordinal>,
}

impl MemoryLog {
    fn noted(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the log: a large entry whose last frame isn't there is no entry, and goes.
    pub(super) fn open(&self) -> MemoryLane {
        let mut noted = self.noted();
        let whole = noted.frames.iter().rposition(|bytes| !frame::open(bytes, CODEC).unwrap().more);
        noted.frames.truncate(whole.map_or(0, |at| at + 1));
        noted.closed_at = None;
        drop(noted);
        MemoryLane { log: self.clone(), chain: None }
    }

    /// Returns every record with its position, and the last one's ordinal and epoch.
    pub(super) fn read(&self, log_id: u128) -> (Vec<(Position, Vec<u8>)>, Ordinal, u64) {
        let (mut sequence, mut read, mut first) =
            (Sequence::new(log_id, Ordinal::START.next(), 0), Vec::new(), None);
        for (number, bytes) in self.noted().frames.iter().enumerate() {
            let header = frame::open(bytes, CODEC).unwrap();
            let base = *first.get_or_insert(position(number));
            if let Some(run) = sequence.accept(Frame { header, bytes: bytes.clone() }).unwrap() {
                let records = run.records(Position::START).map(|(_, record)| record.to_vec());
                read.extend((0..).map(|index| base.plus(index)).zip(records));
                first = None;
            }
        }
        (read, sequence.next().previous(), sequence.epoch())
    }

    /// Returns how far the log was last said to be durable.
    pub(super) fn last_tick(&self) -> Option<Ordinal> {
        self.noted().ticks.last().copied()
    }

    pub(super) fn closed_at(&self) -> Option<Ordinal> {
        self.noted().closed_at
    }
}

/// The position of the first record of a frame.
fn position(number: usize) -> Position {
    Position::new((u64::try_from(number).unwrap() + 1) << INDEX_BITS)
}

/// See the module.
pub(super) struct MemoryLane {
    log: MemoryLog,
    /// Where the first record of the entry stands that isn't whole yet.
    chain: Option<Position>,
}

impl Lane for MemoryLane {
    async fn append(&mut self, frame: Sealed<'_>) -> Result<Appended, StoreError> {
        let mut noted = self.log.noted();
        let position = self.chain.unwrap_or_else(|| position(noted.frames.len()));
        self.chain = frame.header.more.then_some(position);
        noted.frames.push(frame.bytes.to_vec());
        Ok(Appended { position, wrote: Duration::ZERO, synced: Duration::ZERO })
    }

    async fn tick(&mut self, durable: Ordinal) -> Result<(), StoreError> {
        self.log.noted().ticks.push(durable);
        Ok(())
    }

    async fn bridged(&mut self, durable: Ordinal) -> Result<(), StoreError> {
        self.tick(durable).await
    }

    async fn rotate(&mut self, _: Ordinal) -> Result<Rotated, StoreError> {
        Ok(Rotated { generation: 1, first: position(self.log.noted().frames.len()) })
    }

    async fn close(self, durable: Ordinal) -> Result<(), StoreError> {
        self.log.noted().closed_at = Some(durable);
        Ok(())
    }

    fn abandon(self) {}
}
