//! Reads a replicated log, frame by frame.
//!
//! Frames come from any server that has the stream. One that is behind gives fewer, never others: every frame is checked against the one
//! before it, and reading goes on until the message that was known to be there has come. What no server gives is asked of the leader.
//!
//! Invariants: as of every reader, a gap or damage is an error, never skipped; what ends early is an error, too.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::super::config::CODEC;
use super::super::frame::{self, Defect, Header};
use super::super::position::{Ordinal, Position};
use super::super::read_error::ReadError;
use super::super::scan::{Frame, Run, Sequence};
use super::names::Names;
use super::session::{NoAnswer, Session};

/// How many messages are asked for at once: with fewer than 256, a long log takes much longer.
const BATCH: u32 = 512;
/// How often it is asked before what isn't there is believed to be lost; with the pauses, some 15 seconds: longer than an election.
const TRIES_MAX: u32 = 40;
/// After how many answers without the message the leader is asked.
const TRIES_ANYWHERE: u32 = 3;
/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_millis(400);

/// The first frame that is retained.
#[derive(Clone, Copy, Debug)]
pub(super) struct Oldest {
    pub(super) sequence: u64,
    pub(super) ordinal: Ordinal,
}

/// Where frames come from. Each method waits a bounded time.
pub(super) trait Source: Send + Sync {
    /// Reads frames from a sequence on, from any server: one that is behind gives fewer, or none.
    fn anywhere(&self, from: u64) -> Result<Vec<(u64, Bytes)>, NoAnswer>;
    /// Reads the first frame from a sequence on, from the leader.
    fn at_leader(&self, from: u64) -> Result<Option<(u64, Bytes)>, NoAnswer>;
}

/// The log's servers.
pub(super) struct Servers {
    pub(super) session: Arc<Session>,
    pub(super) names: Names,
}

impl Source for Servers {
    fn anywhere(&self, from: u64) -> Result<Vec<(u64, Bytes)>, NoAnswer> {
        let (session, Names { log, lane, .. }) = (Arc::clone(&self.session), self.names.clone());
        self.session.block(async move { session.many_from(&log, &lane, from, BATCH).await })
    }

    fn at_leader(&self, from: u64) -> Result<Option<(u64, Bytes)>, NoAnswer> {
        let (session, Names { log, lane, .. }) = (Arc::clone(&self.session), self.names.clone());
        let found = self.session.block(async move { session.first_from(&log, &lane, from).await })?;
        Ok(found.map(|found| (found.sequence, found.bytes)))
    }
}

/// What every reader of a log shares.
pub(super) struct StreamReader {
    pub(super) source: Box<dyn Source>,
    pub(super) log_id: u128,
    pub(super) oldest: Mutex<Oldest>,
}

impl StreamReader {
    pub(super) fn oldest(&self) -> Oldest {
        *self.oldest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the position behind which everything is retained.
    pub(super) fn retained_after(&self) -> Position {
        let Oldest { sequence, ordinal } = self.oldest();
        let first = Position::in_stream(sequence);
        if ordinal == Ordinal::START.next() { Position::START } else { first.before() }
    }

    /// Reads the frames from a sequence on, of which there has to be one.
    fn frames(&self, from: u64) -> Result<VecDeque<(u64, Bytes)>, ReadError> {
        let (mut pause, mut last) = (Duration::from_millis(10), None);
        for turn in 0..TRIES_MAX {
            let found = if turn < TRIES_ANYWHERE {
                self.source.anywhere(from)
            } else {
                self.source.at_leader(from).map(|found| found.into_iter().collect())
            };
            match found {
                Ok(found) if !found.is_empty() => return Ok(found.into()),
                Ok(_) => last = None,
                Err(error) => last = Some(error.what),
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
        let what = last.unwrap_or_else(|| "the servers have neither this message nor a later one".to_owned());
        Err(ReadError::Log { position: Position::in_stream(from), what })
    }

    /// Finds the first message of the entry that a message belongs to, with its header.
    pub(super) fn entry_of(&self, sequence: u64) -> Result<(u64, Header), ReadError> {
        let mut at = sequence;
        loop {
            let frames = self.frames(at)?;
            let (found, bytes) = frames.front().expect("there is one");
            let header = self.header(*found, bytes)?;
            // A large entry's messages follow one another.
            if header.chunk == 0 || *found != at {
                return Ok((*found, header));
            }
            at -= 1;
        }
    }

    fn header(&self, sequence: u64, bytes: &[u8]) -> Result<Header, ReadError> {
        frame::open(bytes, CODEC).map_err(|defect| self.damaged(sequence, defect))
    }

    /// Says what is wrong at a message: it is damage, unless it has been deleted meanwhile.
    fn damaged(&self, sequence: u64, defect: Defect) -> ReadError {
        if sequence < self.oldest().sequence {
            return ReadError::Gone { oldest: Position::in_stream(self.oldest().sequence) };
        }
        ReadError::Log {
            position: Position::in_stream(sequence),
            what: format!("message {sequence} is damaged: {defect}"),
        }
    }
}

/// Walks the runs of a replicated log.
pub(in crate::journal) struct StreamRuns {
    reader: Arc<StreamReader>,
    after: Position,
    /// The last message to read.
    until: u64,
    /// The next message to read.
    next: u64,
    /// Set with the first frame.
    sequence: Option<Sequence>,
    ahead: VecDeque<(u64, Bytes)>,
    /// Where an entry began whose last frame hasn't come.
    chain: Option<u64>,
}

impl StreamRuns {
    pub(super) fn new(reader: Arc<StreamReader>, after: Position, until: Position) -> Self {
        let next = after.sequence();
        let until = if after < until { until.sequence() } else { 0 };
        Self { reader, after, until, next, sequence: None, ahead: VecDeque::new(), chain: None }
    }

    /// Finds the first frame to read, and what it has to follow.
    fn begin(&mut self) -> Result<Sequence, ReadError> {
        let oldest = self.reader.oldest();
        let gone = ReadError::Gone { oldest: Position::in_stream(oldest.sequence) };
        if self.after < self.reader.retained_after() {
            return Err(gone);
        }
        if self.next <= oldest.sequence {
            self.next = oldest.sequence;
            return Ok(Sequence::new(self.reader.log_id, oldest.ordinal, 0));
        }

        // The record may stand anywhere in its entry.
        let (found, header) = self.reader.entry_of(self.next)?;
        if found > self.next {
            return Err(self.reader.damaged(self.next, Defect::Gap(header.first)));
        }
        self.next = found;
        Ok(Sequence::new(self.reader.log_id, header.first, header.epoch))
    }

    pub(in crate::journal) fn step(&mut self) -> Result<Option<Run>, ReadError> {
        if self.until == 0 {
            return Ok(None);
        }
        let mut sequence = match self.sequence.take() {
            Some(sequence) => sequence,
            None => self.begin()?,
        };

        // The last entry may go on behind the message that its position names.
        while self.next <= self.until || self.chain.is_some() {
            if self.ahead.is_empty() {
                self.ahead = self.reader.frames(self.next)?;
            }
            let Some((at, bytes)) = self.ahead.pop_front() else { continue };
            if at > self.until && self.chain.is_none() {
                let missing = Defect::Gap(sequence.next());
                return Err(self.reader.damaged(self.next, missing));
            }

            let header = self.reader.header(at, &bytes)?;
            let first = *self.chain.get_or_insert(at);
            let found = sequence.accept(Frame { header, bytes: bytes.into() });
            let found = found.map_err(|defect| self.reader.damaged(self.next, defect))?;
            self.next = at + 1;
            if !header.more {
                self.chain = None;
            }
            if let Some(run) = found {
                let run = run.at(Position::in_stream(first));
                if run.last() > self.after {
                    self.sequence = Some(sequence);
                    return Ok(Some(run));
                }
            }
        }
        self.sequence = Some(sequence);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::super::read::Runs;
    use super::super::super::records::Records;
    use super::super::life::Life;
    use super::*;

    const LOG_ID: u128 = 7;

    /// A log of two lives, of which one server has less at first.
    struct Behind {
        frames: Vec<(u64, Bytes)>,
        /// How many frames the server that is behind has.
        has: usize,
        /// How often that one answers before the others do.
        answers: AtomicU32,
    }

    impl Source for Behind {
        fn anywhere(&self, from: u64) -> Result<Vec<(u64, Bytes)>, NoAnswer> {
            let turn = self.answers.fetch_sub(1, Ordering::Relaxed);
            if turn == 0 {
                self.answers.store(0, Ordering::Relaxed);
            }
            let has = if turn > 0 { self.has } else { self.frames.len() };
            Ok(self.frames[..has].iter().filter(|(at, _)| *at >= from).cloned().collect())
        }

        fn at_leader(&self, from: u64) -> Result<Option<(u64, Bytes)>, NoAnswer> {
            Ok(self.frames.iter().find(|(at, _)| *at >= from).cloned())
        }
    }

    fn frame(ordinal: u64, epoch: u64) -> Bytes {
        let mut records = Records::new();
        records.push(&ordinal.to_le_bytes()).unwrap();
        let mut bytes = Vec::new();
        frame::begin(&mut bytes);
        bytes.extend_from_slice(records.bytes());
        let first = Ordinal::new(ordinal);
        let header = Header { more: false, log_id: LOG_ID, epoch, first, chunk: 0, count: 1, life: false };
        frame::seal(&mut bytes, &header);
        bytes.into()
    }

    fn life(epoch: u64, first: u64) -> Bytes {
        Life { epoch, instant: 1, boot: 2, last: Position::START, node: "node".to_owned() }
            .frame(LOG_ID, Ordinal::new(first))
    }

    /// A log that ends with the own life, read from a server that is behind.
    fn reader(has: usize, answers: u32) -> Arc<StreamReader> {
        let frames = vec![(1, life(1, 1)), (2, frame(2, 1)), (3, frame(3, 1)), (5, life(2, 4))];
        let source = Box::new(Behind { frames, has, answers: AtomicU32::new(answers) });
        let oldest = Mutex::new(Oldest { sequence: 1, ordinal: Ordinal::new(1) });
        Arc::new(StreamReader { source, log_id: LOG_ID, oldest })
    }

    fn read(reader: &Arc<StreamReader>, until: Position) -> Vec<Vec<u8>> {
        let runs = Runs::from(StreamRuns::new(Arc::clone(reader), Position::START, until));
        let records =
            |run: Run| run.records(Position::START).map(|(_, record)| record.to_vec()).collect::<Vec<_>>();
        runs.flat_map(|run| records(run.unwrap())).collect()
    }

    #[test]
    fn it_is_read_until_the_own_life_is_seen_whatever_the_servers_have() {
        let all: Vec<_> = [2_u64, 3].iter().map(|ordinal| ordinal.to_le_bytes().to_vec()).collect();
        for has in 0..=4 {
            for answers in [0, 1, 2, 9] {
                assert_eq!(read(&reader(has, answers), Position::in_stream(5)), all, "{has} {answers}");
            }
        }
    }

    #[test]
    fn the_control_is_red() {
        // Who takes the end of what a server gives for the end of the log loses what was acknowledged.
        let reader = reader(2, 9);
        let given = reader.source.anywhere(1).unwrap().last().unwrap().0;
        assert_eq!(read(&reader, Position::in_stream(given)).len(), 1, "one of two");
    }

    #[test]
    fn what_was_there_and_is_not_is_an_error() {
        let short = reader(4, 0);
        let runs = Runs::from(StreamRuns::new(short, Position::START, Position::in_stream(4)));
        assert!(matches!(runs.last(), Some(Err(ReadError::Log { .. }))), "message 4 is another's");
    }
}
