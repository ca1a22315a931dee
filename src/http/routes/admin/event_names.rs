//! Names for the numbers in events. They come from the live or archived schedule, from the events that were read just
//! before, or from the journal's records of a removed schedule.
//!
//! Not async: a look-up may read the journal and the archive.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::catalogue::CatalogueEvent;
use crate::domain::concert::Prices;
use crate::domain::ids::{ReservationNumber, ScheduleId, ScheduleNumber, VenueId};
use crate::domain::money::{Currency, Money};
use crate::domain::schedule::Event;
use crate::domain::venue::{Layout, Seat, Venue};
use crate::engine::{Engine, HistoryError, ScheduleEntry};
use crate::http::documents::event::{Names, ReservationNames};
use crate::journal::ReadError;
use crate::record::Fact;
use crate::recovery;

/// How many reservations of the events read just before are remembered: a reader of the journal may be a moment ahead
/// of the published state.
const RECENT_MAX: usize = 10_000;
/// How many removed schedules are remembered.
const GONE_MAX: usize = 16;

/// The names that one reader of the journal has found.
pub(super) struct EventNames {
    engine: Engine,
    recent: HashMap<(ScheduleNumber, ReservationNumber), ReservationNames>,
    gone: HashMap<ScheduleNumber, Arc<Gone>>,
}

/// A removed schedule, as far as the journal still has it.
#[derive(Default)]
struct Gone {
    id: Option<ScheduleId>,
    layout: Option<Arc<Layout>>,
    currency: Option<Currency>,
    prices: Option<Arc<Prices>>,
    reservations: HashMap<ReservationNumber, ReservationNames>,
}

enum Source {
    /// Or archived.
    Live(Arc<ScheduleEntry>),
    Gone(Arc<Gone>),
}

/// The names of one event's schedule.
pub(super) struct NamesOf<'a> {
    number: ScheduleNumber,
    recent: &'a HashMap<(ScheduleNumber, ReservationNumber), ReservationNames>,
    source: Source,
}

impl EventNames {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine, recent: HashMap::new(), gone: HashMap::new() }
    }

    /// Returns the engine.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns the names for an event, and notes what it says itself. Call it for the events in order.
    pub(super) fn names(
        &mut self,
        number: ScheduleNumber,
        event: &Event,
    ) -> Result<NamesOf<'_>, HistoryError> {
        if let Event::SeatsHeld { number: reservation, nonce, user, seats, .. } = event {
            if self.recent.len() >= RECENT_MAX {
                self.recent.clear();
            }
            let reserved = ReservationNames { nonce: *nonce, user: user.clone(), seats: Arc::clone(seats) };
            self.recent.insert((number, *reservation), reserved);
        }
        if let Event::SeatsExchanged { number: reservation, seats } = event
            && let Some(reserved) = self.recent.get_mut(&(number, *reservation))
        {
            reserved.seats = Arc::clone(seats);
        }
        let source = match self.find(number) {
            Some(entry) => Source::Live(entry),
            None => Source::Gone(self.gone(number)?),
        };
        Ok(NamesOf { number, recent: &self.recent, source })
    }

    /// Returns the id of a schedule, which may be gone.
    pub(super) fn id(&mut self, number: ScheduleNumber) -> Result<Option<ScheduleId>, HistoryError> {
        match self.find(number) {
            Some(entry) => Ok(Some(entry.id().clone())),
            None => Ok(self.gone(number)?.id.clone()),
        }
    }

    /// Finds a schedule that lives or is in the archive; where that can't be read, the journal tells what it has.
    fn find(&self, number: ScheduleNumber) -> Option<Arc<ScheduleEntry>> {
        self.engine.find_schedule_blocking(number).ok().flatten()
    }

    fn gone(&mut self, number: ScheduleNumber) -> Result<Arc<Gone>, HistoryError> {
        if let Some(gone) = self.gone.get(&number) {
            return Ok(Arc::clone(gone));
        }
        let gone = Arc::new(look_back(&self.engine, number)?);
        if self.gone.len() >= GONE_MAX {
            self.gone.clear();
        }
        self.gone.insert(number, Arc::clone(&gone));
        Ok(gone)
    }
}

/// Reads the journal's records of a removed schedule. If they are damaged, its events go without names: they themselves
/// are sound, so the stream doesn't end.
fn look_back(engine: &Engine, number: ScheduleNumber) -> Result<Gone, HistoryError> {
    let mut gone = Gone::default();
    let mut venues: HashMap<VenueId, Arc<Venue>> = HashMap::new();
    let mut at_creation: Option<(VenueId, Option<Arc<Venue>>)> = None;
    let journal = engine.journal();

    let read = journal.for_each(journal.retained_after(), |position, bytes| {
        match recovery::decode(position, bytes)?.fact {
            Fact::Catalogue(CatalogueEvent::VenuePut(venue)) => {
                venues.insert(venue.id.clone(), venue);
            }
            Fact::Schedule(of, Event::Created(creation)) if of == number => {
                gone.id = Some(creation.id.clone());
                gone.currency = Some(creation.currency);
                gone.prices.clone_from(&creation.prices);
                at_creation = Some((creation.venue.clone(), venues.get(&creation.venue).cloned()));
            }
            Fact::Schedule(of, Event::SalesOpened { prices: Some(prices) } | Event::PricesSet { prices })
                if of == number =>
            {
                gone.prices = Some(prices);
            }
            Fact::Schedule(of, Event::SeatsHeld { number: reservation, nonce, user, seats, .. })
                if of == number =>
            {
                gone.reservations.insert(reservation, ReservationNames { nonce, user, seats });
            }
            Fact::Schedule(of, Event::SeatsExchanged { number: reservation, seats }) if of == number => {
                if let Some(reserved) = gone.reservations.get_mut(&reservation) {
                    reserved.seats = seats;
                }
            }
            Fact::Catalogue(_)
            | Fact::Schedule(..)
            | Fact::WaitingRoom(..)
            | Fact::Accounts(..)
            | Fact::Payments(..)
            | Fact::User(_) => {}
        }
        Ok::<(), HistoryError>(())
    });

    match read {
        Ok(()) => {}
        Err(error @ (HistoryError::Read(ReadError::Damaged { .. }) | HistoryError::Rebuild(_))) => {
            tracing::error!(%error, schedule = number.0, "the records of a removed schedule are damaged, so its events have no names");
            metrics::counter!("onsale_journal_read_failures_total").increment(1);
        }
        Err(error) => return Err(error),
    }

    gone.layout = match at_creation {
        Some((_, Some(venue))) => Layout::new(&venue.sections).ok().map(Arc::new),
        // The venue was put before the oldest record and not since, so the catalogue's is still the same.
        Some((id, None)) if !venues.contains_key(&id) => {
            engine.catalogue().venue(&id).map(|built| Arc::clone(&built.layout))
        }
        Some((_, None)) | None => None,
    };
    Ok(gone)
}

impl Names for NamesOf<'_> {
    fn number(&self) -> ScheduleNumber {
        self.number
    }

    fn id(&self) -> Option<&ScheduleId> {
        match &self.source {
            Source::Live(entry) => Some(entry.id()),
            Source::Gone(gone) => gone.id.as_ref(),
        }
    }

    fn layout(&self) -> Option<&Layout> {
        match &self.source {
            Source::Live(entry) => Some(entry.layout()),
            Source::Gone(gone) => gone.layout.as_deref(),
        }
    }

    fn reservation(&self, number: ReservationNumber) -> Option<ReservationNames> {
        let recent = self.recent.get(&(self.number, number)).cloned();
        recent.or_else(|| match &self.source {
            Source::Live(entry) => {
                let schedule = entry.read();
                let reservation = schedule.reservation_numbered(number)?;
                let (user, seats) = (reservation.user.clone(), Arc::clone(&reservation.seats));
                Some(ReservationNames { nonce: reservation.nonce, user, seats })
            }
            Source::Gone(gone) => gone.reservations.get(&number).cloned(),
        })
    }

    fn amount(&self, seats: &[Seat]) -> Option<(Money, Currency)> {
        match &self.source {
            Source::Live(entry) => {
                let schedule = entry.read();
                schedule.prices()?;
                Some((schedule.amount(seats), schedule.currency()))
            }
            Source::Gone(gone) => {
                let (layout, prices) = (gone.layout.as_deref()?, gone.prices.as_deref()?);
                let price = |seat: &Seat| prices.by_grade.get(layout.grade_of(*seat).index());
                let add = |sum: Money, seat: &Seat| sum.plus(*price(seat)?);
                Some((seats.iter().try_fold(Money::ZERO, add)?, gone.currency?))
            }
        }
    }
}
