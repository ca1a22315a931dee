//! The lane on a replicated log: frames are messages of one subject, and each append names the message that it stands behind.
//!
//! ```text
//! Idle(L) ── publish, expecting L ──▶ Sent ── stored as n ──▶ Idle(n)
//! Sent ── no answer, or one that says nothing ──▶ Unknown ── the same bytes again, expecting the same L ──▶ Sent
//! Sent, Unknown ── "L isn't the last" ──▶ look at the message right behind L, at the leader
//!     it is ours, and the last ──▶ Idle(m)        it is ours, others behind it ──▶ acknowledged, then Deposed
//!     it is another's ──▶ not there, Deposed      there is none: a leader that is behind said so ──▶ Unknown
//! ```
//!
//! The servers take one message behind L and refuse every other one. So a frame that was sent twice is there once, one that lands late is
//! refused, and whoever appends the beginning of a life ([`Life`]) behind L has deposed everyone who still expects L.
//!
//! Absent on purpose: giving up. While no server answers, an append waits, and with it everything behind it; then permits run out.
//!
//! Invariants: an append returns only when its outcome is known; nobody is told "deposed" by what isn't in the log; one append is
//! under way at a time.

use bytes::Bytes;
use core::time::Duration;
use tokio::time::Instant;

use super::super::config::{CODEC, Clock};
use super::super::frame::{self, CRC_AT, u32_at};
use super::super::mark::Mark;
use super::super::position::{Ordinal, Position};
use super::super::store::StoreError;
use super::super::stream::{Life, Seen, Sight, Vitals};
use super::{Appended, Lane, Rotated, Sealed};

/// The pause before an append is sent again, at first.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// And at last.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// How long an outcome may be unknown before the operator hears of it.
const WARN_AFTER: Duration = Duration::from_secs(3);
/// How long an outcome is unknown before the servers are asked whether they have lost the log: longer than an election.
const DOUBT_AFTER: Duration = Duration::from_secs(10);
/// At each how many-eth mark they are asked though nothing seems to be wrong.
const CHECK_MARKS: u32 = 5;
/// How many answers in a row have to say that they have. One may come from a leader that is behind.
const DOUBTS: u32 = 2;

/// What the servers say of messages that were to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::journal) enum Published {
    /// They are there; the last one's sequence.
    At(u64),
    /// The message that they were to stand behind isn't the last.
    Behind,
    /// Nothing that can be built on.
    Unknown(String),
    /// No message is ever taken any more.
    Refused(String),
}

/// What the lane asks of the servers. Each method waits a bounded time; its error says that nothing was learnt.
pub(in crate::journal) trait Pen: Send + 'static {
    /// Appends frames, all or none, behind the message with the sequence `last`.
    fn publish(&mut self, last: u64, frames: &[Bytes]) -> impl Future<Output = Published> + Send;
    /// Reads the first frame behind a sequence, from the leader.
    fn behind(&mut self, sequence: u64) -> impl Future<Output = Result<Option<(u64, Bytes)>, String>> + Send;
    /// Writes the mark in the place of the one with the sequence `last`.
    fn mark(&mut self, last: u64, mark: Bytes) -> impl Future<Output = Published> + Send;
    /// Asks what is lost of a log that had a message with the sequence `last`; nothing where nothing is.
    fn lost_of(&mut self, last: u64) -> impl Future<Output = Result<Option<String>, String>> + Send;
    /// Reads the mark.
    fn marked(&mut self) -> impl Future<Output = Result<Option<(u64, Bytes)>, String>> + Send;
}

/// Appends to the log, and knows its last message.
pub(in crate::journal) struct Appender<P> {
    pub(in crate::journal) pen: P,
    /// The sequence of the last message, behind which the next one goes.
    pub(in crate::journal) last: u64,
    /// Set once another life has begun.
    deposed: Option<(u64, String)>,
    pub(in crate::journal) vitals: Vitals,
    /// How many answers in a row said that the servers have lost the log.
    doubts: u32,
}

impl<P: Pen> Appender<P> {
    pub(in crate::journal) fn new(pen: P, last: u64) -> Self {
        Self { pen, last, deposed: None, vitals: Vitals::default(), doubts: 0 }
    }

    /// Appends frames, all or none, and returns the first one's sequence.
    pub(in crate::journal) async fn append(&mut self, frames: &[Bytes]) -> Result<u64, StoreError> {
        if let Some((epoch, by)) = &self.deposed {
            return Err(StoreError::Deposed { epoch: *epoch, by: by.clone() });
        }

        let behind_first = u64::try_from(frames.len()).expect("a usize fits in a u64") - 1;
        let (started, mut pause, mut is_warned) = (Instant::now(), PAUSE_MIN, false);
        let known = loop {
            let why = match self.pen.publish(self.last, frames).await {
                Published::At(last) => {
                    assert!(last > self.last + behind_first, "messages stand behind those before them");
                    self.last = last;
                    break Ok(last - behind_first);
                }
                Published::Refused(what) => break Err(StoreError::Log(what)),
                Published::Unknown(why) => why,
                Published::Behind => match self.look(&frames[0]).await {
                    Looked::Ours(first) => {
                        self.last = first + behind_first;
                        self.look_for_others().await;
                        break Ok(first);
                    }
                    Looked::Anothers(epoch, by) => {
                        self.deposed = Some((epoch, by.clone()));
                        break Err(StoreError::Deposed { epoch, by });
                    }
                    Looked::Nothing(why) => why,
                },
            };

            self.vitals.unknown(started);
            let unknown_for = started.elapsed();
            if !is_warned && unknown_for >= WARN_AFTER {
                is_warned = true;
                tracing::warn!(%why, "the log's servers don't say whether an append is there; asking again until they do");
            }
            if unknown_for >= DOUBT_AFTER {
                self.check().await;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        };
        // Most of them are known at once, and nothing was noted.
        if pause > PAUSE_MIN {
            self.vitals.known();
        }
        known
    }

    /// Asks whether the servers still have the log. Whatever they say, no append is given up for it.
    async fn check(&mut self) {
        match self.pen.lost_of(self.last).await {
            Err(_) => {}
            Ok(None) => {
                self.doubts = 0;
                self.vitals.lost(None);
            }
            Ok(lost) => {
                self.doubts += 1;
                if self.doubts >= DOUBTS {
                    self.vitals.lost(lost);
                }
            }
        }
    }

    /// Looks at what stands right behind the last message.
    async fn look(&mut self, ours: &Bytes) -> Looked {
        match self.pen.behind(self.last).await {
            Err(why) => Looked::Nothing(why),
            Ok(None) => Looked::Nothing("a leader that is behind answered".to_owned()),
            // Life, ordinal and checksum are in the bytes: nobody else makes the same.
            Ok(Some((sequence, bytes))) if bytes == *ours => Looked::Ours(sequence),
            Ok(Some((_, bytes))) => {
                let (epoch, by) = author(&bytes);
                Looked::Anothers(epoch, by)
            }
        }
    }

    /// Notes whether anyone stands behind the last message. What isn't learnt here, the next append learns.
    async fn look_for_others(&mut self) {
        if let Ok(Some((_, bytes))) = self.pen.behind(self.last).await {
            self.deposed = Some(author(&bytes));
        }
    }
}

enum Looked {
    /// It is what was to be appended; its sequence.
    Ours(u64),
    /// It is of another life.
    Anothers(u64, String),
    /// Nothing was learnt.
    Nothing(String),
}

/// Returns whose frame it is: a life, and the node's name. The first frame behind another's last says it.
fn author(bytes: &[u8]) -> (u64, String) {
    match Life::read(bytes) {
        Some(life) => (life.epoch, life.node),
        None => (frame::open(bytes, CODEC).map_or(0, |header| header.epoch), "another node".to_owned()),
    }
}

/// See the module.
pub(in crate::journal) struct NatsLane<P> {
    appender: Appender<P>,
    /// The frames of a large entry whose last one has not come yet.
    chain: Vec<Bytes>,
    mark: Mark,
    /// The sequence of the mark's message.
    mark_last: u64,
    marked_at: Instant,
    idle_mark_interval: Duration,
    clock: Clock,
    /// What is seen, to be written at the next tick.
    sight: Sight,
    seen: Seen,
    /// When the servers were last asked whether they have the log.
    checked_at: Instant,
}

/// The parts of a [`NatsLane`].
pub(in crate::journal) struct NatsParts<P> {
    pub(in crate::journal) appender: Appender<P>,
    pub(in crate::journal) mark: Mark,
    pub(in crate::journal) mark_last: u64,
    pub(in crate::journal) idle_mark_interval: Duration,
    pub(in crate::journal) clock: Clock,
    pub(in crate::journal) sight: Sight,
    pub(in crate::journal) seen: Seen,
}

impl<P: Pen> NatsLane<P> {
    /// Makes the lane of a log whose life has begun.
    pub(in crate::journal) fn new(parts: NatsParts<P>) -> Self {
        let NatsParts { appender, mark, mark_last, idle_mark_interval, clock, sight, seen } = parts;
        let now = Instant::now();
        Self {
            appender,
            chain: Vec::new(),
            mark,
            mark_last,
            marked_at: now,
            idle_mark_interval,
            clock,
            sight,
            seen,
            checked_at: now,
        }
    }

    /// Writes the mark; tells whether it is there.
    async fn try_mark(&mut self, durable: Ordinal) -> Result<bool, StoreError> {
        assert!(durable >= self.mark.durable, "a mark never goes back");
        self.mark.durable = durable;
        // Before the outage is crossed, the engine isn't alive: the mark still says since when it was down.
        if !self.mark.bridging {
            self.mark.instant = (self.clock)();
        }
        self.mark.sequence += 1;
        self.marked_at = Instant::now();

        match self.appender.pen.mark(self.mark_last, Bytes::copy_from_slice(&self.mark.encode())).await {
            Published::At(sequence) => {
                self.mark_last = sequence;
                return Ok(true);
            }
            Published::Refused(what) => return Err(StoreError::Log(what)),
            Published::Unknown(_) => return Ok(false),
            Published::Behind => {}
        }

        // It is an own one that landed late, or that of a life which has begun since.
        let Ok(found) = self.appender.pen.marked().await else { return Ok(false) };
        let Some((sequence, bytes)) = found else { return Ok(false) };
        if let Some(mark) = Mark::decode(&bytes)
            && mark.epoch > self.mark.epoch
        {
            let life = self.appender.pen.behind(self.appender.last).await.ok().flatten();
            let (epoch, by) =
                life.map_or((mark.epoch, "another node".to_owned()), |(_, bytes)| author(&bytes));
            return Err(StoreError::Deposed { epoch, by });
        }
        self.mark_last = sequence;
        Ok(false)
    }

    /// Writes the mark, however long it takes.
    pub(in crate::journal) async fn mark_surely(&mut self, durable: Ordinal) -> Result<Mark, StoreError> {
        let mut pause = PAUSE_MIN;
        while !self.try_mark(durable).await? {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(self.mark)
    }

    /// Writes how far the log was seen. A disk that fails costs no sale: it weakens what the next start can find out.
    fn write_seen(&mut self) {
        let written = self.seen.write(self.sight);
        let is_news = self.appender.vitals.blind(written.is_err());
        if let (Err(error), true) = (written, is_news) {
            let path = self.seen.path();
            tracing::error!(
                path = %path.display(), %error,
                "how far the log was seen can't be kept: a loss at the servers would not be noticed at the next start"
            );
        }
    }
}

impl<P: Pen> Lane for NatsLane<P> {
    async fn append(&mut self, frame: Sealed<'_>) -> Result<Appended, StoreError> {
        assert!(frame.header.epoch == self.mark.epoch, "a frame is of this life of the log");
        assert!(frame.header.first > self.mark.durable, "a frame stands behind what the mark names");

        self.chain.push(Bytes::copy_from_slice(frame.bytes));
        if frame.header.more {
            // They go together with the last one, all or none.
            let position = Position::in_stream(self.appender.last);
            return Ok(Appended { position, wrote: Duration::ZERO, synced: Duration::ZERO });
        }

        let started = Instant::now();
        let first = self.appender.append(&self.chain).await?;
        let frames = self.chain.len();
        self.chain.clear();

        self.sight.sequence = first + u64::try_from(frames).expect("a usize fits in a u64") - 1;
        self.sight.ordinal = frame.header.first.advance(frame.header.count).previous();
        self.sight.crc = u32_at(frame.bytes, CRC_AT).expect("a frame has a header");
        let synced = started.elapsed();
        Ok(Appended { position: Position::in_stream(first), wrote: Duration::ZERO, synced })
    }

    async fn tick(&mut self, durable: Ordinal) -> Result<(), StoreError> {
        self.write_seen();
        if self.checked_at.elapsed() >= self.idle_mark_interval * CHECK_MARKS {
            self.appender.check().await;
            self.checked_at = Instant::now();
        }
        if self.marked_at.elapsed() >= self.idle_mark_interval {
            // One that isn't there is written at the next tick.
            let _ = self.try_mark(durable).await?;
        }
        Ok(())
    }

    async fn bridged(&mut self, durable: Ordinal) -> Result<(), StoreError> {
        self.mark.bridging = false;
        self.mark_surely(durable).await.map(drop)
    }

    async fn rotate(&mut self, _: Ordinal) -> Result<Rotated, StoreError> {
        // The log has no parts: what isn't retained goes message by message.
        Ok(Rotated { generation: 1, first: Position::in_stream(self.appender.last + 1) })
    }

    async fn close(mut self, durable: Ordinal) -> Result<(), StoreError> {
        self.write_seen();
        // Nothing rests on it but how long the next start takes the outage for.
        self.try_mark(durable).await.map(drop)
    }

    fn abandon(self) {}
}

#[cfg(test)]
mod tests;
