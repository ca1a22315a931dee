//! Looks back: at past events, and at a schedule as it was at an instant, as far as the journal is retained.
//!
//! All of it reads the journal's durable records; nothing here touches an actor. The calls block while they
//! read: call them off the async threads.

use crate::domain::catalogue::Catalogue;
use crate::domain::ids::ReservationNumber;
use crate::domain::schedule::{Ended, Event, Schedule};
use crate::domain::time::Timestamp;
use crate::domain::venue::Seat;
use crate::engine::{Engine, ScheduleEntry};
use crate::journal::snapshot::SnapshotError;
use crate::journal::{Position, ReadError};
use crate::record::{Fact, Record, Stream};
use crate::recovery::{self, RebuildError, Start, Until, Visit, World, rebuild};

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
    /// The records can't be replayed.
    #[error("{0}; a log in a data directory can be looked at with `onsale verify`")]
    Rebuild(#[from] RebuildError),
    /// The snapshots can't be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

impl HistoryError {
    /// Tells whether it is for want of room on the disk.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Read(error) => error.is_full(),
            Self::Snapshot(error) => error.is_full(),
            Self::NotRetained { .. } | Self::Rebuild(_) => false,
        }
    }
}

impl From<ReadError> for HistoryError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Gone { oldest } => Self::NotRetained { oldest },
            ReadError::Damaged { .. }
            | ReadError::Store { .. }
            | ReadError::Closed
            | ReadError::Log { .. } => Self::Read(error),
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
        let after = self.journal().retained_after();

        // The whole journal is read, since records aren't found by their stream. Only
        // the last `limit` are kept.
        self.journal().for_each(after, |position, bytes| {
            let record = recovery::decode(position, bytes)?;
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
        let has_ended = entry.is_archived() || entry.read().ended().is_some();
        if has_ended && entry.read().last_instant() <= at {
            // Nothing has happened since.
            return Ok(Some(entry.read().clone()));
        }

        let (number, retained_after) = (entry.number(), self.journal().retained_after());
        // What ends a schedule says which payments end with it.
        let streams = [Stream::Schedule(number), Stream::Payments(number)];
        let wanted = &|stream| Ok::<_, HistoryError>(streams.contains(&stream));
        // A schedule needs its venue, whose seats stay as long as it is listed.
        let world = || World::with(Catalogue::clone(&self.catalogue()));

        let starts = self
            .journal()
            .snapshots()?
            .into_iter()
            .take_while(|position| *position >= retained_after)
            .filter_map(|position| self.journal().snapshot_at(position).ok())
            .filter(|snapshot| snapshot.header.instant <= at.as_millis())
            .map(|snapshot| Start::of(&snapshot, world(), wanted));

        let beginning =
            (retained_after == Position::START).then(|| Ok(Start { world: world(), ..Start::default() }));
        let records = |after, visit: &mut Visit<'_, _>| self.journal().for_each(after, visit);

        match rebuild(starts.chain(beginning), records, Until::Instant(at), wanted) {
            // It may have moved to the archive meanwhile.
            Ok(rebuilt) if rebuilt.world.ended.get(&number).is_some_and(Ended::is_archived) => {
                Ok(Some(entry.read().clone()))
            }
            Ok(mut rebuilt) => Ok(rebuilt.world.schedules.remove(&number)),
            Err(HistoryError::Rebuild(RebuildError::TooLate { .. })) => {
                Err(HistoryError::NotRetained { oldest: self.journal().oldest() })
            }
            Err(error) => Err(error),
        }
    }
}

/// Which reservations have had a seat: their later events concern it too.
#[derive(Default)]
struct Owners(Vec<ReservationNumber>);

impl Owners {
    fn concerns(&mut self, event: &Event, seat: Seat) -> bool {
        match event {
            Event::SeatsHeld { number, seats, .. }
            | Event::SeatsExchanged { number, seats, .. }
            | Event::Ordered { number, seats, .. } => {
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

            Event::SeatsBlocked { seats }
            | Event::SeatsUnblocked { seats }
            | Event::AllotmentReleased { seats, .. } => seats.contains(&seat),
            Event::AllotmentSet { terms, .. } => terms.has(seat),

            Event::Created(_)
            | Event::Replanned { .. }
            | Event::LimitsSet { .. }
            | Event::SalesOpened { .. }
            | Event::PricesSet { .. }
            | Event::SalesClosed
            | Event::ScheduleCancelled
            | Event::Deleted
            | Event::Archived { .. }
            | Event::OutageBridged { .. }
            | Event::PhaseOpened { .. }
            | Event::PhaseClosed { .. }
            | Event::CodePut { .. }
            | Event::CodesMade { .. }
            | Event::CodeEnded { .. }
            | Event::KeyKept { .. } => false,
        }
    }
}
