//! The lane on a replicated log: frames are messages, and each append names the log's last message: its sequence, and whose it is.
//!
//! ```text
//! Idle(L) ── publish, expecting L ──▶ Sent ── stored as n ──▶ Idle(n)
//! Sent ── no answer, or one that says nothing ──▶ Unknown ── the same bytes again, expecting the same L ──▶ Sent
//! Sent, Unknown ── "L isn't the last" ──▶ look at L and at the message right behind it, at the leader
//!     L is another's, or gone ──▶ the log has lost something: nothing is sent until L is there again
//!     behind it is ours, and the last ──▶ Idle(m)     ours, others behind it ──▶ acknowledged, then Deposed
//!     behind it is another's ──▶ not there, Deposed   there is none: a leader that is behind said so ──▶ Unknown
//! ```
//!
//! The servers take one message behind L and refuse every other one. So a frame that was sent twice is there once, one that lands late is
//! refused, and whoever appends the beginning of a life ([`Life`]) behind L has deposed everyone who still expects L.
//!
//! A sequence alone is no fence: servers that forgot, or a log that was made anew, count up to L again, by another's messages. So each life
//! writes under a subject of its own, which nobody else can guess or would choose, and an append expects two things of the servers at
//! once: L is the last message of the whole log, and L is the last one of the subject under which it was written. A log in which another
//! message has the number L refuses the append, however late it comes; no check before it could race. Within a life, one sequence has one
//! frame: what lands late on a log that was put back is what stood there.
//!
//! Absent on purpose: giving up. While no server answers, or the log has lost something, an append waits, and with it everything behind it;
//! then permits run out.
//!
//! Invariants: an append returns only when its outcome is known; nobody is told "deposed" by what isn't in the log; one append is
//! under way at a time; nothing is written to a log that is known to have lost something.

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

/// A message of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::journal) struct Message {
    pub(in crate::journal) sequence: u64,
    /// Under which subject it was written: it says by which life.
    pub(in crate::journal) subject: String,
    pub(in crate::journal) bytes: Bytes,
}

/// The log's last message, behind which the next one goes. Of an empty log both are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::journal) struct End {
    pub(in crate::journal) sequence: u64,
    pub(in crate::journal) subject: String,
}

/// The log's stream, as its leader describes it.
#[derive(Clone, Debug)]
pub(in crate::journal) struct LogState {
    /// When it was made, if that is another time than it was when this life began.
    pub(in crate::journal) made_anew: Option<String>,
    /// The sequences of the first message and of the last.
    pub(in crate::journal) first: u64,
    pub(in crate::journal) last: u64,
}

/// What the lane asks of the servers. Each method waits a bounded time; its error says that nothing was learnt.
pub(in crate::journal) trait Pen: Send + 'static {
    /// The subject of this life.
    fn subject(&self) -> String;
    /// Appends frames, all or none, if this is the log's end.
    fn publish(&mut self, end: &End, frames: &[Bytes]) -> impl Future<Output = Published> + Send;
    /// Reads the first message at a sequence or behind it, from the leader.
    fn from(&mut self, sequence: u64) -> impl Future<Output = Result<Option<Message>, String>> + Send;
    /// Describes the log's stream; nothing where it is gone.
    fn state(&mut self) -> impl Future<Output = Result<Option<LogState>, String>> + Send;
    /// Writes this life's mark in the place of the one with the sequence `last`.
    fn mark(&mut self, last: u64, mark: Bytes) -> impl Future<Output = Published> + Send;
    /// Returns the sequence of this life's mark; 0 where there is none.
    fn marked(&mut self) -> impl Future<Output = Result<u64, String>> + Send;
    /// Tells whether the stream of snapshots and marks is there.
    fn has_rest(&mut self) -> impl Future<Output = Result<bool, String>> + Send;
    /// Makes it anew.
    fn make_rest(&mut self) -> impl Future<Output = Result<(), String>> + Send;
}

/// Appends to the log, and knows its last message.
pub(in crate::journal) struct Appender<P> {
    pub(in crate::journal) pen: P,
    end: End,
    subject: String,
    /// Set once another life has begun.
    deposed: Option<(u64, String)>,
    pub(in crate::journal) vitals: Vitals,
    /// How many answers in a row said that the servers have lost the log.
    doubts: u32,
}

impl<P: Pen> Appender<P> {
    pub(in crate::journal) fn new(pen: P, end: End) -> Self {
        let subject = pen.subject();
        Self { pen, end, subject, deposed: None, vitals: Vitals::default(), doubts: 0 }
    }

    /// Returns the sequence of the last message.
    pub(in crate::journal) const fn last(&self) -> u64 {
        self.end.sequence
    }

    /// Tells whether a message of this life is there. Who has none of its own has lost nothing.
    fn has_begun(&self) -> bool {
        self.end.subject == self.subject
    }

    /// Refuses what a life that is over wants to write.
    fn still_writes(&self) -> Result<(), StoreError> {
        match &self.deposed {
            Some((epoch, by)) => Err(StoreError::Deposed { epoch: *epoch, by: by.clone() }),
            None => Ok(()),
        }
    }

    /// Appends frames, all or none, and returns the first one's sequence.
    pub(in crate::journal) async fn append(&mut self, frames: &[Bytes]) -> Result<u64, StoreError> {
        self.still_writes()?;

        let behind_first = u64::try_from(frames.len()).expect("a usize fits in a u64") - 1;
        let (started, mut pause, mut is_warned) = (Instant::now(), PAUSE_MIN, false);
        let first = loop {
            let why = match self.publish(frames).await {
                Sent::At(last) => {
                    assert!(
                        last > self.end.sequence + behind_first,
                        "messages stand behind those before them"
                    );
                    self.end = End { sequence: last, subject: self.subject.clone() };
                    break last - behind_first;
                }
                Sent::Found(first) => {
                    self.end = End { sequence: first + behind_first, subject: self.subject.clone() };
                    self.look_for_others().await;
                    break first;
                }
                Sent::Refused(what) => return Err(StoreError::Log(what)),
                Sent::Unknown(why) => why,
            };
            self.still_writes()?;

            self.vitals.unknown(started);
            let unknown_for = started.elapsed();
            if !is_warned && unknown_for >= WARN_AFTER {
                is_warned = true;
                tracing::warn!(%why, "the log's servers don't say whether an append is there; asking again until they do");
            }
            if unknown_for >= DOUBT_AFTER {
                self.check().await;
                self.still_writes()?;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        };
        self.vitals.known(self.end.sequence);
        Ok(first)
    }

    /// Sends frames once, and looks for them where they aren't taken. Nothing is sent to a log that has lost something.
    async fn publish(&mut self, frames: &[Bytes]) -> Sent {
        if self.vitals.is_lost() {
            self.check().await;
        }
        if self.vitals.is_lost() {
            return Sent::Unknown("the log has lost what was acknowledged".to_owned());
        }
        match self.pen.publish(&self.end, frames).await {
            Published::At(last) => Sent::At(last),
            Published::Refused(what) => Sent::Refused(what),
            Published::Unknown(why) => Sent::Unknown(why),
            Published::Behind => match self.look(&frames[0]).await {
                Ok(Looked::Ours(first)) => Sent::Found(first),
                Ok(Looked::Anothers(epoch, by)) => {
                    self.deposed = Some((epoch, by));
                    Sent::Unknown("another life has begun".to_owned())
                }
                Ok(Looked::Lost(what)) => {
                    self.vitals.lose(Some(what.clone()));
                    Sent::Unknown(what)
                }
                Ok(Looked::Nothing) => Sent::Unknown("a leader that is behind answered".to_owned()),
                Err(why) => Sent::Unknown(why),
            },
        }
    }

    /// Asks whether the servers still have the log, and whether another life has begun; tells whether they answered. Whatever they say of
    /// the log, no append is given up for it.
    async fn check(&mut self) -> bool {
        if !self.has_begun() {
            return true;
        }
        let Ok(lost) = self.examine().await else { return false };
        self.doubts = if lost.is_some() { self.doubts + 1 } else { 0 };
        match lost {
            None => self.vitals.lose(None),
            Some(Lost { what, is_sure }) if is_sure || self.doubts >= DOUBTS => self.vitals.lose(Some(what)),
            Some(_) => {}
        }
        true
    }

    /// Finds out what the log has lost, and notes whether anyone stands behind this life's last message.
    async fn examine(&mut self) -> Result<Option<Lost>, String> {
        let doubted = |what| Ok(Some(Lost { what, is_sure: false }));
        let Some(LogState { made_anew, first, last }) = self.pen.state().await? else {
            return doubted("its stream is gone".to_owned());
        };
        if let Some(made) = made_anew {
            return doubted(format!("its stream was made anew at {made}"));
        }

        let end = self.end.sequence;
        if last < end {
            return doubted(format!("it ends at message {last}, and message {end} had been acknowledged"));
        }
        let oldest = self.vitals.oldest();
        if oldest > 0 && first > oldest && first <= end {
            self.vitals.cut(first);
        }
        match self.pen.from(end).await? {
            None => return doubted(format!("message {end} is gone")),
            Some(found) => {
                if let Some(what) = self.missing(&found) {
                    return Ok(Some(Lost { what, is_sure: true }));
                }
            }
        }
        if last > end {
            self.look_for_others().await;
        }
        Ok(None)
    }

    /// Says what is wrong where the first message at this life's last one or behind it is another.
    fn missing(&self, found: &Message) -> Option<String> {
        let end = self.end.sequence;
        if found.sequence == end && found.subject == self.end.subject {
            return None;
        }
        let (_, by) = author(&found.bytes);
        Some(if found.sequence == end {
            format!(
                "message {end} is another than the one that had been acknowledged, and was written by {by}"
            )
        } else {
            format!("message {end}, which had been acknowledged, is gone")
        })
    }

    /// Looks at the last message, and at what stands right behind it.
    async fn look(&mut self, ours: &Bytes) -> Result<Looked, String> {
        if self.end.sequence > 0 {
            let Some(found) = self.pen.from(self.end.sequence).await? else { return Ok(Looked::Nothing) };
            if let Some(what) = self.missing(&found) {
                if self.has_begun() {
                    return Ok(Looked::Lost(what));
                }
                let (epoch, by) = author(&found.bytes);
                return Ok(Looked::Anothers(epoch, by));
            }
        }
        Ok(match self.pen.from(self.end.sequence + 1).await? {
            None => Looked::Nothing,
            // Nobody else writes under this subject, and one append is under way at a time.
            Some(found) if found.subject == self.subject && found.bytes == *ours => {
                Looked::Ours(found.sequence)
            }
            Some(found) => {
                let (epoch, by) = author(&found.bytes);
                Looked::Anothers(epoch, by)
            }
        })
    }

    /// Notes whether anyone stands behind the last message. What isn't learnt here, the next append learns.
    async fn look_for_others(&mut self) {
        if let Ok(Some(found)) = self.pen.from(self.end.sequence + 1).await
            // An own one is an append whose outcome isn't known.
            && found.subject != self.subject
        {
            self.deposed = Some(author(&found.bytes));
        }
    }
}

/// What became of an append that was sent once.
enum Sent {
    /// It is there; the last message's sequence.
    At(u64),
    /// It was there already; the first message's sequence.
    Found(u64),
    Unknown(String),
    Refused(String),
}

/// What stands at the log's end.
enum Looked {
    /// It is what was to be appended; its sequence.
    Ours(u64),
    /// It is of another life.
    Anothers(u64, String),
    /// The log has lost this life's last message.
    Lost(String),
    /// Nothing was learnt.
    Nothing,
}

/// What the log has lost.
struct Lost {
    what: String,
    /// Whether no leader that is behind could say the same.
    is_sure: bool,
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
    /// How many answers in a row said that the stream of snapshots and marks is gone.
    without_rest: u32,
}

/// The parts of a [`NatsLane`].
pub(in crate::journal) struct NatsParts<P> {
    pub(in crate::journal) appender: Appender<P>,
    pub(in crate::journal) mark: Mark,
    pub(in crate::journal) idle_mark_interval: Duration,
    pub(in crate::journal) clock: Clock,
    pub(in crate::journal) sight: Sight,
    pub(in crate::journal) seen: Seen,
}

impl<P: Pen> NatsLane<P> {
    /// Makes the lane of a log whose life has begun.
    pub(in crate::journal) fn new(parts: NatsParts<P>) -> Self {
        let NatsParts { appender, mark, idle_mark_interval, clock, sight, seen } = parts;
        Self {
            appender,
            chain: Vec::new(),
            mark,
            mark_last: 0,
            marked_at: Instant::now(),
            idle_mark_interval,
            clock,
            sight,
            seen,
            without_rest: 0,
        }
    }

    /// Writes the mark; tells whether it is there. A log that has lost something gets none.
    async fn try_mark(&mut self, durable: Ordinal) -> Result<bool, StoreError> {
        assert!(durable >= self.mark.durable, "a mark never goes back");
        self.marked_at = Instant::now();
        if self.appender.vitals.is_lost() {
            return Ok(false);
        }
        self.mark.durable = durable;
        // Before the outage is crossed, the engine isn't alive: the mark still says since when it was down.
        if !self.mark.bridging {
            self.mark.instant = (self.clock)();
        }
        self.mark.sequence += 1;

        match self.appender.pen.mark(self.mark_last, Bytes::copy_from_slice(&self.mark.encode())).await {
            Published::At(sequence) => {
                (self.mark_last, self.without_rest) = (sequence, 0);
                return Ok(true);
            }
            Published::Refused(what) => return Err(StoreError::Log(what)),
            Published::Unknown(_) => self.look_after_rest().await,
            Published::Behind => self.find_mark().await?,
        }
        Ok(false)
    }

    /// Finds this life's mark, of which nobody else writes any: an own one landed late, or the one that was there is gone.
    async fn find_mark(&mut self) -> Result<(), StoreError> {
        // Whoever has taken the log over has deleted it.
        if !self.appender.check().await {
            return Ok(());
        }
        self.appender.still_writes()?;
        if !self.appender.vitals.is_lost()
            && let Ok(sequence) = self.appender.pen.marked().await
        {
            if sequence < self.mark_last {
                self.appender.vitals.lose_snapshots(true);
            }
            self.mark_last = sequence;
        }
        Ok(())
    }

    /// Makes the stream of snapshots and marks anew where it is gone: this process has in memory all that was in it.
    async fn look_after_rest(&mut self) {
        match self.appender.pen.has_rest().await {
            Err(_) => return,
            Ok(true) => self.without_rest = 0,
            Ok(false) => self.without_rest += 1,
        }
        if self.without_rest >= DOUBTS {
            self.appender.vitals.lose_snapshots(true);
            match self.appender.pen.make_rest().await {
                Ok(()) => (self.mark_last, self.without_rest) = (0, 0),
                Err(why) => {
                    tracing::error!(%why, "the stream of the log's snapshots is gone and can't be made anew");
                }
            }
        }
    }

    /// Writes the mark, however long it takes.
    pub(in crate::journal) async fn mark_surely(&mut self, durable: Ordinal) -> Result<Mark, StoreError> {
        let mut pause = PAUSE_MIN;
        while !self.try_mark(durable).await? {
            self.appender.check().await;
            self.appender.still_writes()?;
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
            let position = Position::in_stream(self.appender.last());
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
        if self.marked_at.elapsed() >= self.idle_mark_interval {
            let is_heard = self.appender.check().await;
            self.appender.still_writes()?;
            // One that isn't there is written at the next tick.
            let is_marked = self.try_mark(durable).await?;
            self.appender.vitals.hear(is_heard && is_marked);
        }
        Ok(())
    }

    async fn bridged(&mut self, durable: Ordinal) -> Result<(), StoreError> {
        self.mark.bridging = false;
        self.mark_surely(durable).await.map(drop)
    }

    async fn rotate(&mut self, _: Ordinal) -> Result<Rotated, StoreError> {
        // The log has no parts: what isn't retained goes message by message.
        Ok(Rotated { generation: 1, first: Position::in_stream(self.appender.last() + 1) })
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
