//! From chunks to frames to runs of records: the one reading path of recovery, reading and inspection.
//!
//! [`Walk`] groups chunks into frames and checks each by itself; it goes on after damage, so that an inspection sees
//! everything. [`Sequence`] checks each frame against the one before it and puts large entries together.
//!
//! Absent on purpose: the answer to a defect, which is the caller's.
//!
//! Invariants: a [`Run`] holds whole entries only, its records parse, and its first position is the one that was expected.

use bytes::Bytes;

use super::config::CODEC;
use super::frame::{self, CHUNK_LEN, Defect, HEADER_LEN, Header};
use super::position::{Ordinal, Position};
use super::records::{RecordSlices, holds_exactly};
use super::store::{ChunkIter, Key, StoreError};

/// One frame that is right by itself.
pub(super) struct Frame {
    pub(super) header: Header,
    pub(super) bytes: Vec<u8>,
}

impl Frame {
    /// Returns how many chunks the frame stands in.
    pub(super) fn chunks(&self) -> u16 {
        u16::try_from(self.bytes.len().div_ceil(CHUNK_LEN)).expect("FRAME_LEN_MAX bounds a frame's chunks")
    }
}

/// Bytes that are not a whole frame.
pub(super) struct Bad {
    pub(super) key: Key,
    pub(super) bytes: usize,
    pub(super) defect: Defect,
}

/// What [`Walk`] finds next.
pub(super) enum Walked {
    Frame(Frame),
    Bad(Bad),
}

/// Groups chunks into frames, in the order of their keys.
pub(super) struct Walk {
    chunks: ChunkIter,
    /// Of the records in the frames.
    codec: u8,
    ahead: Option<(Key, Bytes)>,
}

impl Walk {
    pub(super) fn new(chunks: ChunkIter) -> Self {
        Self::of_codec(chunks, CODEC)
    }

    /// Walks frames whose records are of another codec than today's.
    pub(super) fn of_codec(chunks: ChunkIter, codec: u8) -> Self {
        Self { chunks, codec, ahead: None }
    }

    fn take(&mut self) -> Result<Option<(Key, Bytes)>, StoreError> {
        match self.ahead.take() {
            Some(ahead) => Ok(Some(ahead)),
            None => self.chunks.next().transpose(),
        }
    }

    fn step(&mut self) -> Result<Option<Walked>, StoreError> {
        let Some((key, chunk)) = self.take()? else { return Ok(None) };
        let length = match frame::frame_len(&chunk) {
            Ok(length) => length,
            Err(defect) => return Ok(Some(Walked::Bad(Bad { key, bytes: chunk.len(), defect }))),
        };
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&chunk);

        let mut next = key.chunk;
        while bytes.len() < length && bytes.len().is_multiple_of(CHUNK_LEN) {
            let Some((found, chunk)) = self.take()? else { break };
            next = next.wrapping_add(1);
            let follows = found.ordinal == key.ordinal && found.chunk == next;

            // A torn frame is shorter than its header says. A chunk that begins a frame of its own and
            // doesn't fit is the next frame's.
            if !follows || frame::frame_len(&chunk).is_ok() && bytes.len() + chunk.len() > length {
                self.ahead = Some((found, chunk));
                break;
            }
            bytes.extend_from_slice(&chunk);
        }

        let opened = frame::open(&bytes, self.codec).and_then(|header| {
            let in_place = header.first == key.ordinal && header.chunk == key.chunk;
            if in_place { Ok(header) } else { Err(Defect::Misplaced) }
        });
        Ok(Some(match opened {
            Ok(header) => Walked::Frame(Frame { header, bytes }),
            Err(defect) => Walked::Bad(Bad { key, bytes: bytes.len(), defect }),
        }))
    }
}

impl Iterator for Walk {
    type Item = Result<Walked, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

/// Consecutive records, each of whole entries.
#[derive(Clone, Debug)]
pub struct Run {
    /// The first record's position; the others' follow it without a gap.
    pub first: Position,
    /// How many records there are; at least one.
    pub count: u32,
    encoded: Bytes,
}

impl Run {
    /// Returns the last record's position.
    pub fn last(&self) -> Position {
        self.first.plus(self.count - 1)
    }

    /// Puts it where it stands in a log that isn't on this machine's disk.
    #[cfg(feature = "cluster")]
    pub(super) fn at(self, first: Position) -> Self {
        Self { first, ..self }
    }

    /// Walks the records behind `after` with their positions, without copying them.
    pub fn records(&self, after: Position) -> impl Iterator<Item = (Position, &[u8])> {
        let positions = (0..self.count).map(|index| self.first.plus(index));
        positions.zip(RecordSlices::new(&self.encoded)).skip_while(move |(position, _)| *position <= after)
    }

    /// Takes the record that begins at byte `at` as a share of the run, and says where the next one begins.
    pub(super) fn record_at(&self, at: usize) -> Option<(Bytes, usize)> {
        let record = RecordSlices::new(self.encoded.get(at..)?).next()?;
        let end = at + super::records::PREFIX_LEN + record.len();
        Some((self.encoded.slice(at + super::records::PREFIX_LEN..end), end))
    }
}

struct Chain {
    encoded: Vec<u8>,
    next_chunk: u16,
    bytes: usize,
}

/// Checks that each frame follows the one before it.
pub(super) struct Sequence {
    log_id: u128,
    next: Ordinal,
    epoch: u64,
    chain: Option<Chain>,
}

impl Sequence {
    pub(super) const fn new(log_id: u128, next: Ordinal, epoch: u64) -> Self {
        Self { log_id, next, epoch, chain: None }
    }

    /// Returns the position that the next record has.
    pub(super) const fn next(&self) -> Ordinal {
        self.next
    }

    /// Returns the highest epoch so far.
    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the bytes of a large entry whose last frame has not come yet.
    pub(super) fn unfinished(&self) -> Option<usize> {
        self.chain.as_ref().map(|chain| chain.bytes)
    }

    /// Goes on behind a frame that was not accepted, for an inspection that reports all there is.
    pub(super) fn resume_behind(&mut self, header: &Header) {
        self.next = header.first.advance(header.count);
        self.chain = None;
    }

    /// Takes the next frame; returns a run when it completes one. The beginning of a life is none.
    pub(super) fn accept(&mut self, frame: Frame) -> Result<Option<Run>, Defect> {
        let header = frame.header;
        if header.log_id != self.log_id {
            return Err(Defect::ForeignLog);
        }

        if header.first != self.next {
            return Err(Defect::Gap(self.next));
        }

        if header.epoch < self.epoch {
            return Err(Defect::Epoch);
        }

        let next_chunk = self.chain.as_ref().map_or(0, |chain| chain.next_chunk);
        // A large entry comes from one life; the next life cuts the unfinished entry of the former.
        let torn_chain = self.chain.is_some() && header.epoch != self.epoch;
        if header.chunk != next_chunk || torn_chain {
            return Err(Defect::Unfinished);
        }

        // The frame is accepted from here on, but for a chain whose records don't add up.
        self.epoch = header.epoch;
        let chunks = frame.chunks();
        if header.more {
            let chain =
                self.chain.get_or_insert_with(|| Chain { encoded: Vec::new(), next_chunk: 0, bytes: 0 });
            chain.encoded.extend_from_slice(&frame.bytes[HEADER_LEN..]);
            chain.bytes += frame.bytes.len();
            chain.next_chunk = chain.next_chunk.checked_add(chunks).ok_or(Defect::Unfinished)?;
            return Ok(None);
        }

        let encoded = match self.chain.take() {
            None => Bytes::from(frame.bytes).slice(HEADER_LEN..),
            Some(mut chain) => {
                chain.encoded.extend_from_slice(&frame.bytes[HEADER_LEN..]);
                if !holds_exactly(&chain.encoded, header.count) {
                    return Err(Defect::Records);
                }
                Bytes::from(chain.encoded)
            }
        };

        assert!(header.count > 0, "only a frame that is followed by another of its entry counts no records");
        self.next = self.next.advance(header.count);
        if header.life {
            return Ok(None);
        }
        Ok(Some(Run { first: header.first.position(), count: header.count, encoded }))
    }
}
