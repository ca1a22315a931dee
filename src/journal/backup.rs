//! A copy of the log, made while it is written: its identity, its generations and their frames, up to one position.
//!
//! [`LogBackup`] reads, [`LogCopy`] writes. Frames are carried as they stand, so that each one's checksum holds from the disk of the
//! one log to the disk of the other. The copy is a log that stopped cleanly at that position: same id, same secret, same epochs.
//!
//! Files of the store are never copied: it writes to them when it pleases.
//!
//! Invariants: the copy ends exactly at the position, without a gap; a generation that is being read isn't deleted; a copy that
//! wasn't finished has no mark, so that it can't be opened once a generation is in it.

use std::path::Path;
use std::sync::Arc;

use thiserror::Error;

use super::config::CODEC;
use super::frame::{self, CHUNK_LEN, Defect, FRAME_CHUNKS_MAX, Header};
use super::generations::{Generation, Generations, Missing};
use super::handle::Log;
use super::identity::{self, Identity};
use super::lane::CLEAN;
use super::mark::Mark;
use super::position::{Ordinal, Position};
use super::read_error::ReadError;
use super::scan::{Frame, Sequence, Walk, Walked};
use super::store::{DataDir, Key, Medium, Store, StoreError, caught};

/// The length of [`LogBackup::head`]: the identity, then the position and the instant of the copy's end.
const HEAD_LEN: usize = 80;
const IDENTITY_LEN: usize = 64;
const _: () = assert!(IDENTITY_LEN + 16 == HEAD_LEN);

/// A part of a log, in the order in which a copy wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPart<'p> {
    /// A generation begins; its header.
    Generation(&'p [u8]),
    /// A frame of the generation that began last.
    Frame(&'p [u8]),
}

/// Reads everything that is retained of a log, up to what was durable when it was begun.
pub struct LogBackup {
    generations: Arc<Generations>,
    list: Vec<Generation>,
    /// Keeps the oldest generation, and with it all that follow, from being deleted.
    oldest: Arc<dyn Store>,
    until: Ordinal,
    instant: u64,
}

impl Log {
    /// Begins a copy of everything that is durable now.
    ///
    /// # Errors
    /// When the oldest generation can't be opened, or the journal is closed.
    pub fn back_up(&self) -> Result<LogBackup, ReadError> {
        // The clock is read behind the position: no record of the copy is later than its last instant.
        let until = self.durable().ordinal();
        let instant = self.instant();
        let generations = self.generations().ok_or_else(|| ReadError::Log {
            position: until.position(),
            what: "a log that isn't on this machine's disk can't be backed up from here: copy its streams"
                .to_owned(),
        })?;
        let generations = Arc::clone(generations);
        let mut list = generations.list();
        list.retain(|generation| generation.first <= until.next());
        let number = list.first().map_or(0, |generation| generation.number);
        let oldest = generations.numbered(number).map_err(|missing| unread(number, missing))?.store;
        Ok(LogBackup { generations, list, oldest, until, instant })
    }
}

fn unread(number: u64, missing: Missing) -> ReadError {
    match missing {
        Missing::Gone(oldest) => ReadError::Gone { oldest: oldest.position() },
        Missing::Closed => ReadError::Closed,
        Missing::Store(generation, source) => {
            assert!(generation == number, "the generation that was asked for");
            ReadError::Store { generation, source }
        }
    }
}

impl LogBackup {
    /// Returns the position at which the copy ends.
    pub const fn position(&self) -> Position {
        self.until.position()
    }

    /// Returns the position behind which everything is retained.
    pub fn retained_after(&self) -> Position {
        self.list.first().map_or(Position::START, |oldest| oldest.first.previous().position())
    }

    /// Returns what a copy begins with. It holds the log's secret.
    ///
    /// # Errors
    /// When the identity can't be read.
    pub fn head(&self) -> Result<Vec<u8>, StoreError> {
        let identity = self.generations.medium().read(identity::FILE)?;
        let whole = identity.filter(|identity| Identity::parse(identity).is_some());
        let mut head = whole
            .ok_or_else(|| StoreError::Damaged("the file `identity` is missing or damaged".to_owned()))?;
        head.extend_from_slice(&self.until.get().to_le_bytes());
        head.extend_from_slice(&self.instant.to_le_bytes());
        assert!(head.len() == HEAD_LEN, "an identity has a fixed length");
        Ok(head)
    }

    /// Shows all parts of the log, in order. Blocks.
    ///
    /// # Errors
    /// Where the log is damaged or can't be read, or `visit` fails.
    pub fn for_each<E: From<ReadError>>(
        self,
        mut visit: impl FnMut(LogPart<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { generations, list, oldest, until, .. } = self;
        let mut held = Some(oldest);
        for generation in list {
            let number = generation.number;
            let found = generations.numbered(number).map_err(|missing| E::from(unread(number, missing)))?;
            let store = found.store;
            // What was read may be deleted from here on: this one is held before the last is let go.
            drop(held.replace(Arc::clone(&store)));
            visit(LogPart::Generation(&generation.encode()))?;

            let to = Key { ordinal: until.next(), chunk: 0 };
            for walked in Walk::new(store.scan(Key::FIRST, to)) {
                match walked.map_err(|source| ReadError::Store { generation: number, source })? {
                    Walked::Frame(frame) => visit(LogPart::Frame(&frame.bytes))?,
                    Walked::Bad(bad) => {
                        let position = bad.key.ordinal.position();
                        return Err(
                            ReadError::Damaged { generation: number, position, defect: bad.defect }.into()
                        );
                    }
                }
            }
        }
        Ok(())
    }
}

/// Says why a copy of a log can't be made.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the message says what each field is")]
pub enum BackupError {
    /// The directory can't be written.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// What came isn't the beginning of a log.
    #[error("what came isn't the beginning of a log of this version")]
    Head,
    /// A frame came that doesn't follow, or no whole one.
    #[error("position {position}: {defect}")]
    Frame { position: Position, defect: Defect },
    /// The frames end before the position that was promised.
    #[error("the journal was to end at position {promised}, and ends at {last}")]
    Short { promised: Position, last: Position },
    /// The disk gives back other frames than it was given.
    #[error("what was written of generation {0} reads back differently: the disk is failing")]
    ReadBack(u64),
}

/// Writes a copy of a log to a directory of its own.
pub struct LogCopy {
    medium: DataDir,
    identity: Identity,
    until: Ordinal,
    instant: u64,
    writing: Option<Writing>,
    /// The position behind which the copy begins, once its first generation came.
    after: Option<Position>,
    last: Ordinal,
    epoch: u64,
}

/// The generation that is being written.
struct Writing {
    generation: Generation,
    store: Arc<dyn Store>,
    sequence: Sequence,
    /// Chunks since the last flush.
    unflushed: usize,
    /// Of all frames, to compare with what is read back.
    written: crc32fast::Hasher,
}

impl LogCopy {
    /// Makes the directory, and begins a copy in it with a log's [`LogBackup::head`].
    ///
    /// # Errors
    /// When the head isn't one, or the directory can't be made.
    pub fn create(dir: &Path, head: &[u8]) -> Result<Self, BackupError> {
        let (identity, rest) = head.split_at_checked(IDENTITY_LEN).ok_or(BackupError::Head)?;
        let identity = Identity::parse(identity).filter(|identity| identity.codec == CODEC);
        let identity = identity.ok_or(BackupError::Head)?;
        let (until, instant) = rest.split_first_chunk::<8>().ok_or(BackupError::Head)?;
        let instant = <[u8; 8]>::try_from(instant).map_err(|_| BackupError::Head)?;

        let medium = DataDir::open(dir)?;
        medium.replace(identity::FILE, &identity.encode())?;
        Ok(Self {
            medium,
            identity,
            until: Ordinal::new(u64::from_le_bytes(*until)),
            instant: u64::from_le_bytes(instant),
            writing: None,
            after: None,
            last: Ordinal::START,
            epoch: 0,
        })
    }

    /// Returns the position behind which what came begins.
    pub fn begins_after(&self) -> Position {
        self.after.unwrap_or_default()
    }

    /// Returns the engine's instant at the copy's end, in milliseconds.
    pub const fn instant(&self) -> u64 {
        self.instant
    }

    /// Returns the log's random id.
    pub const fn log_id(&self) -> u128 {
        self.identity.log_id
    }

    /// Writes the next part.
    ///
    /// # Errors
    /// When it doesn't follow, or can't be written.
    pub fn put(&mut self, part: LogPart<'_>) -> Result<(), BackupError> {
        match part {
            LogPart::Generation(header) => self.begin(header),
            LogPart::Frame(bytes) => self.frame(bytes),
        }
    }

    fn begin(&mut self, header: &[u8]) -> Result<(), BackupError> {
        let former = self.end_generation()?;
        let own = |generation: &Generation| generation.log_id == self.identity.log_id;
        let generation = Generation::decode(header).filter(own).ok_or(BackupError::Head)?;

        // The first begins where the log does; each other one where the one before it ended.
        let follows = former.is_none_or(|former| {
            generation.number == former.number + 1 && generation.first == self.last.next()
        });
        if !follows {
            let defect = Defect::Gap(self.last.next());
            return Err(BackupError::Frame { position: generation.first.position(), defect });
        }

        let store = caught(|| generation.create(&self.medium))?;
        let sequence = Sequence::new(generation.log_id, generation.first, generation.epoch);
        self.last = generation.first.previous();
        self.after.get_or_insert(self.last.position());
        self.epoch = self.epoch.max(generation.epoch);
        self.writing =
            Some(Writing { generation, store, sequence, unflushed: 0, written: crc32fast::Hasher::new() });
        Ok(())
    }

    fn frame(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        let writing = self.writing.as_mut().ok_or(BackupError::Head)?;
        let position = self.last.next().position();
        let failed = |defect| BackupError::Frame { position, defect };
        let header: Header = frame::open(bytes, CODEC).map_err(failed)?;
        let checked = Frame { header, bytes: bytes.to_vec() };
        if let Some(run) = writing.sequence.accept(checked).map_err(failed)? {
            self.last = run.last().ordinal();
        }
        if self.last > self.until {
            return Err(failed(Defect::Misplaced));
        }

        let keys = (header.chunk..).map(|chunk| Key { ordinal: header.first, chunk });
        caught(|| {
            for (key, chunk) in keys.zip(bytes.chunks(CHUNK_LEN)) {
                writing.store.put(key, chunk)?;
                writing.unflushed += 1;
            }
            // As little waits in the store's memory as in the log that was copied.
            if writing.unflushed >= FRAME_CHUNKS_MAX {
                writing.store.flush()?;
                writing.unflushed = 0;
            }
            Ok(())
        })?;
        writing.written.update(bytes);
        Ok(())
    }

    /// Makes the generation durable that is being written, and reads it back.
    fn end_generation(&mut self) -> Result<Option<Generation>, BackupError> {
        let Some(Writing { generation, store, sequence, written, .. }) = self.writing.take() else {
            return Ok(None);
        };
        let position = self.last.next().position();
        if sequence.unfinished().is_some() {
            return Err(BackupError::Frame { position, defect: Defect::Unfinished });
        }
        self.epoch = self.epoch.max(sequence.epoch());
        caught(|| store.flush().and_then(|()| store.sync()).and_then(|()| store.finish()))?;

        let mut read = crc32fast::Hasher::new();
        for walked in Walk::new(store.scan(Key::FIRST, Key::META)) {
            match walked? {
                Walked::Frame(frame) => read.update(&frame.bytes),
                Walked::Bad(_) => return Err(BackupError::ReadBack(generation.number)),
            }
        }
        if read.finalize() != written.finalize() {
            return Err(BackupError::ReadBack(generation.number));
        }

        // What a store writes when it is closed is made durable, too.
        drop(store);
        self.medium.settle(generation.number)?;
        Ok(Some(generation))
    }

    /// Ends the copy: from now on it is a log that stopped cleanly.
    ///
    /// # Errors
    /// When a part is missing, or it can't be made durable.
    pub fn finish(mut self) -> Result<Position, BackupError> {
        self.end_generation()?.ok_or(BackupError::Head)?;
        if self.last != self.until {
            let (promised, last) = (self.until.position(), self.last.position());
            return Err(BackupError::Short { promised, last });
        }

        // The mark is what makes the directory one that can be opened.
        let mut mark = Mark::create(&self.medium, self.identity.log_id)?;
        mark = Mark { epoch: self.epoch, durable: self.until, instant: self.instant, ..mark };
        mark.write(&self.medium)?;
        self.medium.replace(CLEAN, &self.until.get().to_le_bytes())?;
        self.medium.release();
        Ok(self.until.position())
    }
}

#[cfg(test)]
mod tests;
