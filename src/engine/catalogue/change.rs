//! What may be asked of the catalogue, and what came of it.

use crate::domain::catalogue::{ImportCounts, Put};
use crate::domain::concert::Concert;
use crate::domain::ids::{ConcertId, ScheduleId, VenueId};
use crate::domain::schedule::{Answer, Plan};
use crate::domain::venue::Venue;
use crate::engine::live::Done;

/// Whole documents, all or none.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// Venues to put.
    pub venues: Vec<Venue>,
    /// Concerts to put.
    pub concerts: Vec<Concert>,
    /// Schedules to put.
    pub schedules: Vec<(ScheduleId, ConcertId, Plan)>,
}

impl Import {
    /// Counts the items that it names.
    pub fn counts(&self) -> ImportCounts {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        ImportCounts {
            venues: count(self.venues.len()),
            concerts: count(self.concerts.len()),
            schedules: count(self.schedules.len()),
        }
    }
}

/// A change of the catalogue.
#[derive(Debug, Clone)]
pub enum CatalogueChange {
    /// Create or replace a venue.
    PutVenue(Venue),
    /// Create or replace a concert.
    PutConcert(Concert),
    /// Create a schedule, or give it another plan.
    PutSchedule(ScheduleId, ConcertId, Plan),
    /// Many of these at once.
    Import(Import),
    /// Remove a venue.
    RemoveVenue(VenueId),
    /// Remove a concert.
    RemoveConcert(ConcertId),
    /// Remove a schedule.
    RemoveSchedule(ScheduleId),
    /// Open a schedule's sale.
    OpenSchedule(ScheduleId),
}

/// What a change of the catalogue did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// An item was put.
    Put(Put),
    /// Many were.
    Imported {
        /// How many the document named.
        counts: ImportCounts,
        /// Whether an earlier request with the same key did it.
        replayed: bool,
    },
    /// An item was removed.
    Removed {
        /// Whether an earlier request with the same key did it.
        replayed: bool,
    },
    /// A schedule did what was asked.
    Acted(Done<Answer>),
}
