//! Names for the numbers in events. They come from the live or archived schedule, from the events that were read just
//! before, or from the journal's records of the removed schedules. Those are all looked for in one reading of the journal, since records
//! aren't found by their stream: a reader makes one when it meets the first removed schedule, and another only when it meets one that was
//! removed since.
//!
//! Not async: a look-up may read the journal and the archive.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::domain::catalogue::CatalogueEvent;
use crate::domain::concert::Prices;
use crate::domain::ids::{PaymentNumber, ReservationNumber, ScheduleId, ScheduleNumber, VenueId};
use crate::domain::money::{Currency, Money};
use crate::domain::payments::Payment;
use crate::domain::schedule::Event;
use crate::domain::venue::{Layout, Seat, Venue};
use crate::engine::{Engine, HistoryError, ScheduleEntry};
use crate::http::documents::event::{NameSource, Names, ReservationNames};
use crate::journal::ReadError;
use crate::record::Fact;
use crate::recovery;

/// How many reservations of the events read just before are remembered: a reader of the journal may be a moment ahead
/// of the published state.
const RECENT_MAX: usize = 10_000;

/// The names that one reader of the journal has found.
pub(super) struct EventNames {
    engine: Engine,
    /// Whether the reader has gone, so that nobody waits for a name any more.
    cancelled: CancellationToken,
    recent: HashMap<(ScheduleNumber, ReservationNumber), ReservationNames>,
    /// Every schedule that was removed before the last look back.
    gone: HashMap<ScheduleNumber, Arc<Gone>>,
}

/// A removed schedule, as far as the journal still has it.
#[derive(Default)]
struct Gone {
    id: Option<ScheduleId>,
    /// Its venue's id, and the venue as it was when the schedule was made, where the journal still has that.
    venue: Option<(VenueId, Option<Arc<Venue>>)>,
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
struct NamesOf<'a> {
    number: ScheduleNumber,
    recent: &'a HashMap<(ScheduleNumber, ReservationNumber), ReservationNames>,
    source: Source,
}

impl EventNames {
    /// Begins with no names; a reading of the journal ends with an error once the reader has gone.
    pub(super) fn new(engine: Engine, cancelled: CancellationToken) -> Self {
        Self { engine, cancelled, recent: HashMap::new(), gone: HashMap::new() }
    }

    /// Finds a schedule that lives or is in the archive; where that can't be read, the journal tells what it has.
    fn find(&self, number: ScheduleNumber) -> Option<Arc<ScheduleEntry>> {
        self.engine.find_schedule_blocking(number).ok().flatten()
    }

    fn gone(&mut self, number: ScheduleNumber) -> Result<Arc<Gone>, HistoryError> {
        if !self.gone.contains_key(&number) {
            self.gone = self.look_back()?;
        }
        // Where the journal has nothing of it any more, that is remembered, too.
        Ok(Arc::clone(self.gone.entry(number).or_default()))
    }

    /// Reads the journal's records of all removed schedules. If some are damaged, the events behind go without names: they themselves
    /// are sound, so the stream doesn't end.
    fn look_back(&self) -> Result<HashMap<ScheduleNumber, Arc<Gone>>, HistoryError> {
        let mut schedules: HashMap<ScheduleNumber, Option<Gone>> = HashMap::new();
        let mut venues: HashMap<VenueId, Arc<Venue>> = HashMap::new();
        let journal = self.engine.journal();

        let read = journal.for_each(journal.retained_after(), |position, bytes| {
            if self.cancelled.is_cancelled() {
                return Err(HistoryError::Read(ReadError::Closed));
            }
            let fact = recovery::decode(position, bytes)?.fact;
            if let Fact::Catalogue(CatalogueEvent::VenuePut(venue)) = fact {
                venues.insert(venue.id.clone(), venue);
            } else if let Fact::Schedule(number, event) = fact {
                let is_gone = || self.find(number).is_none().then(Gone::default);
                if let Some(gone) = schedules.entry(number).or_insert_with(is_gone) {
                    gone.learn(event, &venues);
                }
            }
            Ok::<(), HistoryError>(())
        });

        match read {
            Ok(()) => {}
            Err(
                error @ (HistoryError::Read(ReadError::Damaged { .. } | ReadError::Log { .. })
                | HistoryError::Rebuild(_)),
            ) => {
                tracing::error!(%error, "the records of removed schedules are damaged, so some of their events have no names");
                metrics::counter!("onsale_journal_read_failures_total").increment(1);
            }
            Err(error) => return Err(error),
        }

        // Schedules of one venue share its layout.
        let mut layouts: HashMap<*const Venue, Option<Arc<Layout>>> = HashMap::new();
        let mut layout_of = |venue: &Arc<Venue>| {
            let made = || Layout::with_areas(&venue.sections, &venue.areas).ok().map(Arc::new);
            layouts.entry(Arc::as_ptr(venue)).or_insert_with(made).clone()
        };
        let gone = schedules.into_iter().filter_map(|(number, gone)| Some((number, gone?)));
        let gone = gone.map(|(number, mut gone)| {
            gone.layout = match gone.venue.take() {
                Some((_, Some(venue))) => layout_of(&venue),
                // The venue was put before the oldest record and not since, so the catalogue's is still the same.
                Some((id, None)) if !venues.contains_key(&id) => {
                    self.engine.catalogue().venue(&id).map(|built| Arc::clone(&built.layout))
                }
                Some((_, None)) | None => None,
            };
            (number, Arc::new(gone))
        });
        Ok(gone.collect())
    }
}

impl Gone {
    /// Learns from an event; `venues` are as they were when it happened.
    fn learn(&mut self, event: Event, venues: &HashMap<VenueId, Arc<Venue>>) {
        if let Event::Created(creation) = event {
            self.id = Some(creation.id.clone());
            self.currency = Some(creation.currency);
            self.prices.clone_from(&creation.prices);
            self.venue = Some((creation.venue.clone(), venues.get(&creation.venue).cloned()));
        } else if let Event::SalesOpened { prices: Some(prices) }
        | Event::PhaseOpened { prices: Some(prices), .. }
        | Event::PricesSet { prices } = event
        {
            self.prices = Some(prices);
        } else if let Event::SeatsHeld { number, nonce, user, seats, terms, .. } = event {
            let user = Some(user);
            self.reservations.insert(number, ReservationNames { nonce, user, seats, terms });
        } else if let Event::Ordered { number, nonce, user, seats, terms, .. } = event {
            let terms = Some(terms);
            self.reservations.insert(number, ReservationNames { nonce, user, seats, terms });
        } else if let Event::SeatsExchanged { number, seats, terms } = event
            && let Some(reserved) = self.reservations.get_mut(&number)
        {
            (reserved.seats, reserved.terms) = (seats, terms);
        }
    }
}

impl NameSource for EventNames {
    type Error = HistoryError;

    fn of_schedule(&mut self, number: ScheduleNumber, event: &Event) -> Result<impl Names, HistoryError> {
        let begun = if let Event::SeatsHeld { number, nonce, user, seats, terms, .. } = event {
            Some((*number, *nonce, Some(user), seats, terms.as_ref()))
        } else if let Event::Ordered { number, nonce, user, seats, terms, .. } = event {
            Some((*number, *nonce, user.as_ref(), seats, Some(terms)))
        } else {
            None
        };
        if let Some((reservation, nonce, user, seats, terms)) = begun {
            if self.recent.len() >= RECENT_MAX {
                self.recent.clear();
            }
            let (user, terms) = (user.cloned(), terms.cloned());
            let reserved = ReservationNames { nonce, user, seats: Arc::clone(seats), terms };
            self.recent.insert((number, reservation), reserved);
        }
        if let Event::SeatsExchanged { number: reservation, seats, terms } = event
            && let Some(reserved) = self.recent.get_mut(&(number, *reservation))
        {
            (reserved.seats, reserved.terms) = (Arc::clone(seats), terms.clone());
        }

        let source = match self.find(number) {
            Some(entry) => Source::Live(entry),
            None => Source::Gone(self.gone(number)?),
        };
        Ok(NamesOf { number, recent: &self.recent, source })
    }

    fn schedule_id(&mut self, number: ScheduleNumber) -> Result<Option<ScheduleId>, HistoryError> {
        match self.find(number) {
            Some(entry) => Ok(Some(entry.id().clone())),
            None => Ok(self.gone(number)?.id.clone()),
        }
    }

    fn payment(&mut self, schedule: ScheduleNumber, number: PaymentNumber) -> Option<Payment> {
        self.engine.payment_numbered(schedule, number)
    }
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
                let terms = reservation.terms.clone();
                Some(ReservationNames { nonce: reservation.nonce, user, seats, terms })
            }
            Source::Gone(gone) => gone.reservations.get(&number).cloned(),
        })
    }

    fn currency(&self) -> Option<Currency> {
        match &self.source {
            Source::Live(entry) => Some(entry.read().currency()),
            Source::Gone(gone) => gone.currency,
        }
    }

    fn prices(&self) -> Option<Arc<Prices>> {
        match &self.source {
            Source::Live(entry) => entry.read().prices().cloned(),
            Source::Gone(gone) => gone.prices.clone(),
        }
    }

    fn amount(&self, reserved: &ReservationNames) -> Option<(Money, Currency)> {
        let ReservationNames { seats, terms, .. } = reserved;
        match &self.source {
            Source::Live(entry) => {
                let schedule = entry.read();
                let of_seats = || schedule.prices().map(|_| schedule.amount(seats));
                let amount = terms.as_ref().map(|terms| terms.amount()).or_else(of_seats);
                Some((amount?, schedule.currency()))
            }
            Source::Gone(gone) if terms.is_some() => {
                Some((terms.as_ref().map(|terms| terms.amount())?, gone.currency?))
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
