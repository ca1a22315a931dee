//! Looking back: what happened, and how it was at an instant, as far as the journal is retained.
//!
//! All of it reads the journal's durable records; nothing here touches an actor. The calls block while they
//! read: call them off the async threads.

use super::{Engine, ScheduleEntry};
use crate::domain::ids::ReservationNumber;
use crate::domain::schedule::{Event, Schedule};
use crate::domain::time::Timestamp;
use crate::domain::venue::Seat;
use crate::journal::snapshot::{self, SnapshotError};
use crate::journal::{Position, ReadError};
use crate::record::{self, DecodeError, Fact, Record, Section, Stream};

/// Why the past can't be shown.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// It is no longer kept.
    #[error("the journal is retained from position {oldest} on")]
    NotRetained {
        /// The oldest position that is kept.
        oldest: Position,
    },
    /// The journal can't be read.
    #[error(transparent)]
    Read(ReadError),
    /// A record can't be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The snapshots can't be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

impl HistoryError {
    /// Says whether it is for want of room on the disk.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Read(error) => error.is_full(),
            Self::Snapshot(error) => error.is_full(),
            Self::NotRetained { .. } | Self::Decode(_) => false,
        }
    }
}

impl From<ReadError> for HistoryError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Gone { oldest } => Self::NotRetained { oldest },
            ReadError::Damaged { .. } | ReadError::Store { .. } | ReadError::Closed => Self::Read(error),
        }
    }
}

/// A fact with its place in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Where it stands.
    pub position: Position,
    /// What happened.
    pub record: Record,
}

impl Engine {
    /// Returns the last `limit` events of a schedule (or of one of its seats), the newest first.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn history(
        &self,
        entry: &ScheduleEntry,
        seat: Option<Seat>,
        limit: usize,
    ) -> Result<Vec<Moment>, HistoryError> {
        let stream = Stream::Schedule(entry.number());
        let mut owners = Owners::default();
        let mut found = std::collections::VecDeque::new();
        let after = self.journal().oldest().previous();
        self.journal().for_each(after, |position, bytes| {
            let record = record::decode(bytes)?;
            if record.stream() == stream
                && let Fact::Schedule(_, event) = &record.fact
                && seat.is_none_or(|seat| owners.concerns(event, seat))
            {
                if found.len() == limit {
                    found.pop_front();
                }
                found.push_back(Moment { position, record });
            }
            Ok::<(), HistoryError>(())
        })?;
        Ok(found.into_iter().rev().collect())
    }

    /// Returns a schedule as it was at an instant; `None` when it wasn't there yet.
    ///
    /// # Errors
    /// [`HistoryError::NotRetained`] when neither a snapshot nor the journal reaches back to it.
    pub fn schedule_at(
        &self,
        entry: &ScheduleEntry,
        at: Timestamp,
    ) -> Result<Option<Schedule>, HistoryError> {
        if entry.is_archived() && entry.read().last_instant() <= at {
            // Nothing has happened since.
            return Ok(Some(entry.read().clone()));
        }
        let (mut schedule, after) = self.restore_before(entry, at)?;
        let stream = Stream::Schedule(entry.number());
        self.journal().for_each(after, |_, bytes| {
            let record = record::decode(bytes)?;
            if record.stream() != stream || record.at > at {
                return Ok(());
            }
            let Fact::Schedule(_, event) = &record.fact else { return Ok(()) };
            match (&mut schedule, event) {
                (Some(schedule), event) => {
                    if record.version > schedule.version() {
                        schedule.apply(event, record.at, record.key);
                    }
                }
                (None, Event::Created(creation)) => {
                    let layout = std::sync::Arc::clone(entry.layout());
                    schedule = Some(Schedule::create((**creation).clone(), layout, record.at));
                }
                (None, _) => {}
            }
            Ok::<(), HistoryError>(())
        })?;
        Ok(schedule)
    }

    /// Finds the newest snapshot that isn't later than `at`, and the position to replay from.
    fn restore_before(
        &self,
        entry: &ScheduleEntry,
        at: Timestamp,
    ) -> Result<(Option<Schedule>, Position), HistoryError> {
        let beginning = self.journal().oldest().previous();
        for (position, path) in snapshot::list(self.data_dir())? {
            if position < beginning {
                break;
            }
            let Ok(snapshot) = snapshot::read(&path) else { continue };
            if snapshot.header.instant > at.as_millis() {
                continue;
            }
            let mut found = None;
            for section in &snapshot.sections {
                if let Section::Schedule(image) = record::decode_section(section)?
                    && image.number == entry.number()
                {
                    found = Some(image);
                }
            }
            match found {
                // Its section may have been written later than `at`: an older snapshot, then.
                Some(image) if image.last_instant > at => {}
                Some(image) => {
                    let layout = std::sync::Arc::clone(entry.layout());
                    return Ok((Some(image.restore(layout)), position));
                }
                // The snapshot is older than the schedule, which begins behind it.
                None => return Ok((None, position)),
            }
        }
        if beginning > Position::default() {
            return Err(HistoryError::NotRetained { oldest: self.journal().oldest() });
        }
        Ok((None, beginning))
    }
}

/// Which reservations have had a seat: their later events concern it too.
#[derive(Default)]
struct Owners(Vec<ReservationNumber>);

impl Owners {
    fn concerns(&mut self, event: &Event, seat: Seat) -> bool {
        match event {
            Event::SeatsHeld { number, seats, .. } | Event::SeatsExchanged { number, seats } => {
                let has = seats.contains(&seat);
                let had = self.0.contains(number);
                if has && !had {
                    self.0.push(*number);
                }
                if !has {
                    self.0.retain(|other| other != number);
                }
                has || had
            }
            Event::HoldReleased { number }
            | Event::HoldExpired { number }
            | Event::PaymentBegun { number, .. }
            | Event::PaymentFailed { number, .. }
            | Event::ReservationConfirmed { number, .. }
            | Event::ReservationCancelled { number } => self.0.contains(number),
            Event::SeatsBlocked { seats } | Event::SeatsUnblocked { seats } => seats.contains(&seat),
            Event::Created(_)
            | Event::Replanned { .. }
            | Event::LimitsSet { .. }
            | Event::SalesOpened { .. }
            | Event::SalesClosed
            | Event::ScheduleCancelled
            | Event::Deleted
            | Event::OutageBridged { .. }
            | Event::OutageContinued { .. }
            | Event::KeyKept { .. } => false,
        }
    }
}
