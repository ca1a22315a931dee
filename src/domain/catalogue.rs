//! The catalogue: venues, concerts, and the list of schedules. One aggregate, changed by
//! administrators only, whole documents at a time.
//!
//! Changes are tried on a copy, a [`CatalogueDraft`]: one change, or all of an import. The events that it collects are
//! appended to the journal in one entry, and then applied to the catalogue itself. Absent on purpose: the state of a
//! schedule. The one fact that a decision needs of it (has a sale of this concert ever opened?) is given.
//!
//! Invariants: a concert's venue exists; a listed schedule's concert exists; numbers are never reused.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::concert::{
    Concert, FEE_MAX, FEES_MAX, GRADES_MAX, LINE_NAME_LEN_MAX, PRICE_MAX, PRICE_TYPES_MAX, Prices,
};
use super::ids::{ConcertId, ScheduleId, ScheduleNumber, VenueId};
use super::keys::{KeyUse, Keys};
use super::schedule::policy::{
    ACTIVE_MAX, CANCEL_SECONDS_MAX, CASTING_BYTES_MAX, Casting, PAYMENT_SECONDS_MAX, Policy,
    RESERVATION_SEATS_MAX, USER_SEATS_MAX, WAITING_SECONDS_MAX,
};
use super::schedule::{Archived, Creation, End, Limits, Plan, phases};
use super::time::{Seconds, Timestamp};
use super::venue::{BuiltVenue, InvalidVenue, Layout, PlanId, Seating, Venue};

/// The most idempotency keys that the catalogue keeps.
pub const CATALOGUE_KEYS_MAX: u32 = 100_000;

/// A fact about the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field that its name doesn't explain is documented")]
pub enum CatalogueEvent {
    /// A venue was created or replaced.
    VenuePut(Arc<Venue>),
    /// A concert was created or replaced.
    ConcertPut(Arc<Concert>),
    /// A schedule was listed: its own stream begins behind this event.
    ScheduleListed {
        id: ScheduleId,
        number: ScheduleNumber,
        concert: ConcertId,
        /// What it is to be created with. An older journal has none: there its stream begins in the same entry.
        creation: Option<Arc<Creation>>,
    },
    /// A venue was removed.
    VenueRemoved(VenueId),
    /// A concert was removed.
    ConcertRemoved(ConcertId),
    /// A schedule was removed: its own stream has ended before this event.
    ScheduleUnlisted(ScheduleId),
    /// A change with an idempotency key asked for what was so already: only its key is new.
    KeyKept,
    /// A schedule that is long over was moved to the archive, with its payments: its own stream has ended before this event, and its
    /// listing stays. In an older journal its stream ends with this event.
    ScheduleArchived { id: ScheduleId, archived: Archived },
    /// A schedule is to have another plan. It is announced, so that a start finds what was begun. The announcements of an import stand
    /// in one entry of the journal.
    ReplanBegun {
        id: ScheduleId,
        plan: Arc<Plan>,
        /// The idempotency key that is kept once all schedules have their plans; the last announcement has it.
        key: Option<KeyUse>,
    },
    /// Every schedule has the plan that it was to have.
    ReplansDone,
    /// Every schedule that was listed is created.
    SchedulesCreated,
}

impl CatalogueEvent {
    /// Returns what the catalogue says once a schedule's stream has ended, with the idempotency key that it keeps then.
    pub fn of_end(id: ScheduleId, end: End) -> (Self, Option<KeyUse>) {
        match end {
            End::Removed(key) => (Self::ScheduleUnlisted(id), key),
            End::Archived(archived) => (Self::ScheduleArchived { id, archived }, None),
        }
    }
}

/// A schedule as the catalogue lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "as the events' fields")]
pub struct Listing {
    pub number: ScheduleNumber,
    pub concert: ConcertId,
    /// What the archive has of it, once it was moved there.
    pub archived: Option<Archived>,
}

/// How many items an import named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "as the events' fields")]
pub struct ImportCounts {
    pub venues: u32,
    pub concerts: u32,
    pub schedules: u32,
}

/// Venues, concerts and the list of schedules. Cloning it is cheap: items are shared.
#[derive(Debug, Clone)]
pub struct Catalogue {
    venues: BTreeMap<VenueId, BuiltVenue>,
    concerts: BTreeMap<ConcertId, Arc<Concert>>,
    schedules: BTreeMap<ScheduleId, Listing>,
    /// Those of the schedules that are in the archive, by number.
    archived: BTreeMap<ScheduleNumber, ScheduleId>,
    last_schedule: u32,
    creations: Vec<Arc<Creation>>,
    replans: Replans,
    keys: Keys<()>,
    version: u64,
    last_instant: Timestamp,
}

/// The plans that schedules are to have. Some may have theirs already: the announcement stands until all of them do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replans {
    /// In the order in which they were announced.
    pub plans: Vec<(ScheduleId, Arc<Plan>)>,
    /// The idempotency key whose effect they are.
    pub key: Option<KeyUse>,
}

impl Replans {
    /// Tells whether no schedule is to have another plan.
    pub fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }

    /// Returns the plan that a schedule is to have.
    pub fn plan(&self, id: &str) -> Option<&Arc<Plan>> {
        self.plans.iter().rev().find(|(of, _)| **of == *id).map(|(_, plan)| plan)
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            venues: BTreeMap::new(),
            concerts: BTreeMap::new(),
            schedules: BTreeMap::new(),
            archived: BTreeMap::new(),
            last_schedule: 0,
            creations: Vec::new(),
            replans: Replans::default(),
            keys: Keys::new(CATALOGUE_KEYS_MAX),
            version: 0,
            last_instant: Timestamp::ZERO,
        }
    }
}

impl Catalogue {
    /// Finds a venue.
    pub fn venue(&self, id: &str) -> Option<&BuiltVenue> {
        self.venues.get(id)
    }

    /// Finds a venue that has this plan now.
    pub fn venue_with_plan(&self, plan: PlanId) -> Option<&BuiltVenue> {
        self.venues.values().find(|built| built.seating.id() == plan)
    }

    /// Finds a concert.
    pub fn concert(&self, id: &str) -> Option<&Arc<Concert>> {
        self.concerts.get(id)
    }

    /// Finds a schedule.
    pub fn schedule(&self, id: &str) -> Option<&Listing> {
        self.schedules.get(id)
    }

    /// Returns the prices that a concert has for a layout's grades: those at which its schedules open.
    pub fn prices(&self, concert: &str, layout: &Layout) -> Option<Prices> {
        self.concert(concert)?.prices(layout).ok()
    }

    /// Returns the venues in order of their ids.
    pub fn venues(&self) -> impl Iterator<Item = &BuiltVenue> {
        self.venues.values()
    }

    /// Returns the concerts in order of their ids.
    pub fn concerts(&self) -> impl Iterator<Item = &Arc<Concert>> {
        self.concerts.values()
    }

    /// Returns the schedules in order of their ids.
    pub fn schedules(&self) -> impl Iterator<Item = (&ScheduleId, &Listing)> {
        self.schedules.iter()
    }

    /// Returns the schedules that are in the archive, in order of their numbers.
    pub fn archived(&self) -> impl Iterator<Item = (ScheduleNumber, &ScheduleId, Archived)> {
        let of = |id| self.schedules.get(id).and_then(|listing| listing.archived);
        self.archived.iter().filter_map(move |(number, id)| Some((*number, id, of(id)?)))
    }

    /// Finds what the archive has of a schedule, and its venue's layout.
    pub fn find_archived(&self, number: ScheduleNumber) -> Option<(Archived, &Arc<Layout>)> {
        let listing = self.schedules.get(self.archived.get(&number)?)?;
        Some((listing.archived?, self.layout(listing)?))
    }

    /// Returns the layout of a listed schedule's venue.
    pub fn layout(&self, listing: &Listing) -> Option<&Arc<Layout>> {
        let concert = self.concerts.get(&listing.concert)?;
        Some(&self.venues.get(&concert.venue)?.layout)
    }

    /// Returns how many schedules are in the archive.
    pub fn archived_count(&self) -> usize {
        self.archived.len()
    }

    /// Tells whether the schedule of a number is in the archive.
    pub fn is_archived(&self, number: ScheduleNumber) -> bool {
        self.archived.contains_key(&number)
    }

    /// Tells whether a sale of a concert opened whose schedule is in the archive by now.
    pub fn has_archived_sale(&self, concert: &ConcertId) -> bool {
        self.schedules_of(concert).any(|listing| listing.archived.is_some_and(|archived| archived.opened))
    }

    /// Returns the number of events so far.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the instant of the last event.
    pub fn last_instant(&self) -> Timestamp {
        self.last_instant
    }

    /// Returns the idempotency keys that it has seen.
    pub fn keys(&self) -> &Keys<()> {
        &self.keys
    }

    /// Returns the highest number that a schedule ever had.
    pub fn last_schedule(&self) -> u32 {
        self.last_schedule
    }

    /// Applies an event that happened at `at`; `key` is the idempotency key whose effect it is.
    ///
    /// # Panics
    /// When the event contradicts the state, which no decided event does.
    pub fn apply(&mut self, event: &CatalogueEvent, at: Timestamp, key: Option<KeyUse>) {
        assert!(at >= self.last_instant, "time never runs backwards for the catalogue");
        self.version += 1;
        self.last_instant = at;

        match event {
            CatalogueEvent::VenuePut(venue) => self.put_venue(venue),
            CatalogueEvent::ConcertPut(concert) => {
                self.concerts.insert(concert.id.clone(), Arc::clone(concert));
            }
            CatalogueEvent::ScheduleListed { id, number, concert, creation } => {
                assert!(number.0 > self.last_schedule, "numbers are never reused");
                self.last_schedule = number.0;
                let listing = Listing { number: *number, concert: concert.clone(), archived: None };
                self.schedules.insert(id.clone(), listing);
                self.creations.extend(creation.clone());
            }
            CatalogueEvent::VenueRemoved(id) => drop(self.venues.remove(id)),
            CatalogueEvent::ConcertRemoved(id) => drop(self.concerts.remove(id)),
            CatalogueEvent::ScheduleUnlisted(id) => drop(self.schedules.remove(id)),
            CatalogueEvent::KeyKept => {}
            CatalogueEvent::ScheduleArchived { id, archived } => {
                let listing = self.schedules.get_mut(id).expect("a schedule in the archive is listed");
                assert_eq!(listing.archived, None, "a schedule is moved to the archive once");
                listing.archived = Some(*archived);
                self.archived.insert(listing.number, id.clone());
            }
            CatalogueEvent::ReplanBegun { id, plan, key } => {
                self.replans.plans.push((id.clone(), Arc::clone(plan)));
                self.replans.key = *key;
            }
            CatalogueEvent::ReplansDone => self.replans = Replans::default(),
            CatalogueEvent::SchedulesCreated => self.creations.clear(),
        }

        match key {
            Some(key) => self.keys.keep(key, self.version, at, ()),
            None => self.keys.forget_old(at),
        }
    }

    fn put_venue(&mut self, venue: &Arc<Venue>) {
        let built = built(venue, self.venues.get(&venue.id)).expect("a venue was checked when it was put");
        self.venues.insert(venue.id.clone(), built);
    }

    /// Restores the counters, which the events that a snapshot is restored by don't bring back.
    pub fn restore_counters(&mut self, version: u64, last_schedule: u32, last_instant: Timestamp) {
        self.version = version;
        self.last_schedule = last_schedule;
        self.last_instant = last_instant;
    }

    /// Restores a key from a snapshot.
    pub fn restore_key(&mut self, key: KeyUse, version: u64, at: Timestamp) {
        self.keys.keep(key, version, at, ());
    }

    /// Returns what is to be created: schedules that are listed, in order of their numbers. Some may be created already.
    pub fn creations(&self) -> &[Arc<Creation>] {
        &self.creations
    }

    /// Restores what is to be created from a snapshot.
    pub fn restore_creations(&mut self, creations: Vec<Arc<Creation>>) {
        self.creations = creations;
    }

    /// Returns the plans that schedules are to have.
    pub fn replans(&self) -> &Replans {
        &self.replans
    }

    /// Restores the plans that schedules are to have from a snapshot.
    pub fn restore_replans(&mut self, replans: Replans) {
        self.replans = replans;
    }

    fn schedules_of<'a>(&'a self, concert: &'a ConcertId) -> impl Iterator<Item = &'a Listing> {
        self.schedules.values().filter(move |listing| listing.concert == *concert)
    }

    fn venue_has_schedules(&self, venue: &VenueId) -> bool {
        self.schedules
            .values()
            .any(|listing| self.concerts.get(&listing.concert).is_some_and(|concert| concert.venue == *venue))
    }
}

impl PartialEq for Catalogue {
    fn eq(&self, other: &Self) -> bool {
        let venues = |catalogue: &Self| -> Vec<Arc<Venue>> {
            catalogue.venues.values().map(|built| Arc::clone(&built.venue)).collect()
        };

        // A layout follows from its venue, and the table of archived schedules from the listings.
        venues(self) == venues(other)
            && self.concerts == other.concerts
            && self.schedules == other.schedules
            && self.last_schedule == other.last_schedule
            && self.creations == other.creations
            && self.replans == other.replans
            && self.keys == other.keys
            && self.version == other.version
            && self.last_instant == other.last_instant
    }
}

/// Why the catalogue refuses a change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueRefusal {
    /// What the document says can't be, and where.
    #[error("{}", all(.0))]
    Invalid(Vec<FieldError>),
    /// Something uses what would change.
    #[error("{0}")]
    InUse(String),
    /// There is no such item.
    #[error("there is nothing by that name")]
    NotFound,
}

/// What is wrong with a field of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The path of the field, as in `grades[0].price`.
    pub field: String,
    /// A sentence for a person, without the value.
    pub detail: String,
}

impl FieldError {
    /// Makes a field error.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), detail: detail.into() }
    }
}

/// Says what is wrong with each field.
fn all(errors: &[FieldError]) -> String {
    let said = errors.iter().map(|error| format!("{}: {}", error.field, error.detail));
    said.collect::<Vec<_>>().join("; ")
}

fn invalid<T>(field: impl Into<String>, detail: impl Into<String>) -> Result<T, CatalogueRefusal> {
    Err(CatalogueRefusal::Invalid(vec![FieldError::new(field, detail)]))
}

fn in_use<T>(why: &str) -> Result<T, CatalogueRefusal> {
    Err(CatalogueRefusal::InUse(why.to_owned()))
}

/// What a `PUT` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The item is new.
    Created,
    /// The item was there, and has changed or is the same.
    Replaced,
}

/// Changes that are tried on a copy of the catalogue: all are decided before any is appended.
#[derive(Debug)]
pub struct CatalogueDraft {
    catalogue: Catalogue,
    now: Timestamp,
    /// The events for the catalogue's stream, in order.
    pub events: Vec<CatalogueEvent>,
    /// The schedules that existed before, with their new plans.
    pub replanned: Vec<(ScheduleId, ConcertId, Arc<Plan>)>,
    /// The concerts whose grades change, each with whether a price does. Their schedules get these prices.
    pub repriced: Vec<(Arc<Concert>, bool)>,
    /// The schedules that are in the archive, with the plans that they must have already: nothing of them changes any more.
    pub archived: Vec<(ScheduleNumber, Arc<Plan>)>,
}

impl CatalogueDraft {
    /// Begins a draft of changes at `now`.
    pub fn new(catalogue: &Catalogue, now: Timestamp) -> Self {
        Self {
            catalogue: catalogue.clone(),
            now,
            events: Vec::new(),
            replanned: Vec::new(),
            repriced: Vec::new(),
            archived: Vec::new(),
        }
    }

    /// Creates or replaces a venue.
    ///
    /// # Errors
    /// When it isn't one, or a schedule uses it and more than its name, its address or its plan would change.
    pub fn put_venue(&mut self, venue: Venue) -> Result<Put, CatalogueRefusal> {
        check_time_zone(&venue)?;
        let venue = Arc::new(venue);
        let standing = self.catalogue.venues.get(&venue.id);
        let built = built(&venue, standing);
        let built = built.or_else(|InvalidVenue { path, what }| invalid(path, what))?;
        let Some(standing) = standing else {
            self.push(CatalogueEvent::VenuePut(venue));
            return Ok(Put::Created);
        };

        if standing.venue == venue {
            return Ok(Put::Replaced);
        }

        // The seats that people hold, and the instants that they were told, rest on these.
        let same_place = Arc::ptr_eq(&standing.layout, &built.layout)
            && standing.venue.time_zone == venue.time_zone
            && standing.venue.kind == venue.kind;
        if !same_place && self.catalogue.venue_has_schedules(&venue.id) {
            return in_use(
                "a schedule uses this venue: only its name, its address and its plan can change, not its seats, rows, grades and areas",
            );
        }

        self.push(CatalogueEvent::VenuePut(venue));
        Ok(Put::Replaced)
    }

    /// Creates or replaces a concert; `fixed` tells whether its prices stand, since a sale of it has opened.
    ///
    /// # Errors
    /// When it isn't one, or what stands by now would change.
    pub fn put_concert(&mut self, concert: Concert, fixed: bool) -> Result<Put, CatalogueRefusal> {
        check_grades(&concert)?;
        check_price_types(&concert)?;
        check_fees(&concert)?;
        let Some(venue) = self.catalogue.venues.get(&concert.venue) else {
            return invalid("venueId", "there is no such venue");
        };
        if let Err(grade) = concert.prices(&venue.layout) {
            return invalid(
                "grades",
                format!("the venue has rows or areas of a grade without a price here: {grade}"),
            );
        }

        let Some(standing) = self.catalogue.concerts.get(&concert.id) else {
            self.push(CatalogueEvent::ConcertPut(Arc::new(concert)));
            return Ok(Put::Created);
        };
        if **standing == concert {
            return Ok(Put::Replaced);
        }

        let moved = standing.venue != concert.venue || standing.currency != concert.currency;
        if moved && self.catalogue.schedules_of(&concert.id).next().is_some() {
            return in_use("the concert has a schedule: its venue and currency stand");
        }

        let repriced = !standing.has_same_prices(&concert);
        if repriced && fixed {
            return Err(prices_fixed());
        }

        // Another order of the grades is no other price, but schedules that never opened follow it.
        let concert = Arc::new(concert);
        if repriced || standing.grades != concert.grades {
            self.repriced.push((Arc::clone(&concert), repriced));
        }
        self.push(CatalogueEvent::ConcertPut(concert));
        Ok(Put::Replaced)
    }

    /// Creates a schedule, or gives a standing one a new plan.
    ///
    /// # Errors
    /// When its plan can't be, its concert doesn't exist, or it performs another concert already.
    pub fn put_schedule(
        &mut self,
        id: ScheduleId,
        concert: ConcertId,
        plan: Plan,
        limits: Limits,
    ) -> Result<Put, CatalogueRefusal> {
        check_plan(&plan)?;
        self.check_phases(&concert, &plan)?;

        if let Some(listing) = self.catalogue.schedules.get(&id) {
            if listing.concert != concert {
                return in_use("a schedule stays with its concert");
            }
            if listing.archived.is_some() {
                self.archived.push((listing.number, Arc::new(plan)));
                return Ok(Put::Replaced);
            }
            self.replanned.push((id, concert, Arc::new(plan)));
            return Ok(Put::Replaced);
        }

        let Some(performed) = self.catalogue.concerts.get(&concert) else {
            return invalid("concertId", "there is no such concert");
        };
        let (venue, currency) = (performed.venue.clone(), performed.currency);

        // The venue may have been replaced since the concert was checked against it.
        let layout = self.catalogue.venues.get(&venue).map(|built| &built.layout);
        let Some(prices) = layout.and_then(|layout| performed.prices(layout).ok()) else {
            return invalid("concertId", "the concert has no price for a grade of its venue");
        };
        let Some(number) = self.catalogue.last_schedule.checked_add(1).map(ScheduleNumber) else {
            return in_use("the log has no more schedule numbers");
        };

        let (plan, prices) = (Arc::new(plan), Some(Arc::new(prices)));
        let (listed, performs) = (id.clone(), concert.clone());
        let creation = Creation { number, id, concert, venue, currency, plan, limits, prices };
        let creation = Some(Arc::new(creation));
        self.push(CatalogueEvent::ScheduleListed { id: listed, number, concert: performs, creation });
        Ok(Put::Created)
    }

    /// Refuses a phase that names a grade that the venue hasn't got.
    fn check_phases(&self, concert: &ConcertId, plan: &Plan) -> Result<(), CatalogueRefusal> {
        let performed = self.catalogue.concerts.get(concert);
        let built = performed.and_then(|performed| self.catalogue.venues.get(&performed.venue));
        let Some(built) = built else { return Ok(()) };
        for (index, phase) in plan.policy.phases.iter().enumerate() {
            let unknown = |grade| !built.layout.grades().contains(grade);
            if phase.grades.iter().flatten().any(unknown) {
                return invalid(format!("policy.phases[{index}].grades"), "the venue has no such grade");
            }
        }
        Ok(())
    }

    /// Removes a venue.
    ///
    /// # Errors
    /// When it isn't there, or a concert happens in it.
    pub fn remove_venue(&mut self, id: &VenueId) -> Result<(), CatalogueRefusal> {
        if !self.catalogue.venues.contains_key(id) {
            return Err(CatalogueRefusal::NotFound);
        }
        if self.catalogue.concerts.values().any(|concert| concert.venue == *id) {
            return in_use("a concert happens in this venue");
        }
        self.push(CatalogueEvent::VenueRemoved(id.clone()));
        Ok(())
    }

    /// Removes a concert.
    ///
    /// # Errors
    /// When it isn't there, or has a schedule.
    pub fn remove_concert(&mut self, id: &ConcertId) -> Result<(), CatalogueRefusal> {
        if !self.catalogue.concerts.contains_key(id) {
            return Err(CatalogueRefusal::NotFound);
        }
        if self.catalogue.schedules_of(id).next().is_some() {
            return in_use("the concert has a schedule");
        }
        self.push(CatalogueEvent::ConcertRemoved(id.clone()));
        Ok(())
    }

    fn push(&mut self, event: CatalogueEvent) {
        self.catalogue.apply(&event, self.now, None);
        self.events.push(event);
    }
}

/// Refuses other prices for a concert, of which a sale has opened or opens in a moment.
pub fn prices_fixed() -> CatalogueRefusal {
    CatalogueRefusal::InUse("a sale of this concert has opened: its prices stand".to_owned())
}

/// Builds a venue, with what stands of the one that it replaces: schedules that share a layout find that it is still the same.
fn built(venue: &Arc<Venue>, standing: Option<&BuiltVenue>) -> Result<BuiltVenue, InvalidVenue> {
    let has_same_parts = |standing: &&BuiltVenue| {
        standing.venue.sections == venue.sections && standing.venue.areas == venue.areas
    };
    let unchanged = standing.filter(has_same_parts);

    let layout = if let Some(standing) = unchanged {
        Arc::clone(&standing.layout)
    } else {
        let layout = Layout::with_areas(&venue.sections, &venue.areas)?;
        let same = standing.filter(|standing| standing.layout.has_same_seats(&layout));
        same.map_or_else(|| Arc::new(layout), |standing| Arc::clone(&standing.layout))
    };
    let seating = match unchanged.filter(|standing| standing.venue.stage == venue.stage) {
        Some(standing) => Arc::clone(&standing.seating),
        None => Arc::new(Seating::new(venue, &layout)?),
    };
    Ok(BuiltVenue { venue: Arc::clone(venue), layout, seating })
}

fn check_time_zone(venue: &Venue) -> Result<(), CatalogueRefusal> {
    if jiff::tz::TimeZone::get(&venue.time_zone).is_err() {
        return invalid("timeZone", "not the name of an IANA time zone");
    }
    Ok(())
}

fn check_grades(concert: &Concert) -> Result<(), CatalogueRefusal> {
    if concert.grades.is_empty() || concert.grades.len() > GRADES_MAX {
        return invalid("grades", "a concert has 1 to 64 grades");
    }
    for (index, grade) in concert.grades.iter().enumerate() {
        if concert.grades[..index].iter().any(|other| other.name == grade.name) {
            return invalid(format!("grades[{index}].grade"), "the grade comes twice");
        }
        if grade.price > PRICE_MAX {
            return invalid(format!("grades[{index}].price"), "must be at most 10000000000000");
        }
    }
    Ok(())
}

fn check_price_types(concert: &Concert) -> Result<(), CatalogueRefusal> {
    let types = &concert.price_types;
    if types.len() > PRICE_TYPES_MAX {
        return invalid("priceTypes", format!("a concert has at most {PRICE_TYPES_MAX} price types"));
    }
    for (index, priced) in types.iter().enumerate() {
        if types[..index].iter().any(|other| other.id == priced.id) {
            return invalid(format!("priceTypes[{index}].priceType"), "the price type comes twice");
        }
        check_line_name(format!("priceTypes[{index}].name"), &priced.name)?;
    }

    for (index, grade) in concert.grades.iter().enumerate() {
        let field = || format!("grades[{index}].prices");
        for (id, price) in &grade.prices {
            match types.iter().position(|priced| priced.id == *id) {
                None => return invalid(field(), "names a price type that the concert doesn't have"),
                Some(0) => {
                    return invalid(
                        field(),
                        "the first price type is the default: it costs the grade's price",
                    );
                }
                Some(_) if *price > PRICE_MAX => {
                    return invalid(field(), "must be at most 10000000000000 each");
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

fn check_fees(concert: &Concert) -> Result<(), CatalogueRefusal> {
    if concert.fees.len() > FEES_MAX {
        return invalid("fees", format!("a concert has at most {FEES_MAX} fees"));
    }
    for (index, fee) in concert.fees.iter().enumerate() {
        if concert.fees[..index].iter().any(|other| other.id == fee.id) {
            return invalid(format!("fees[{index}].feeId"), "the fee comes twice");
        }
        check_line_name(format!("fees[{index}].name"), &fee.name)?;
        if fee.amount > FEE_MAX {
            return invalid(format!("fees[{index}].amount"), "must be at most 1000000000000");
        }
    }
    Ok(())
}

fn check_line_name(field: String, name: &str) -> Result<(), CatalogueRefusal> {
    let count = name.chars().take(LINE_NAME_LEN_MAX + 1).count();
    if (1..=LINE_NAME_LEN_MAX).contains(&count) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    invalid(field, format!("must have 1 to {LINE_NAME_LEN_MAX} characters, and no control characters"))
}

fn check_plan(plan: &Plan) -> Result<(), CatalogueRefusal> {
    if plan.ends_at <= plan.starts_at {
        return invalid("endsAt", "must be later than startsAt");
    }
    if plan.sales_close_at.is_some_and(|close| close > plan.ends_at) {
        return invalid("salesCloseAt", "must not be later than endsAt");
    }
    if plan.sales_open_at.is_some_and(|open| open >= plan.closes_at()) {
        return invalid("salesOpenAt", "must be earlier than salesCloseAt (startsAt if absent)");
    }
    let names = plan.casting.values().flat_map(Casting::names);
    if plan.casting.keys().chain(names).map(String::len).sum::<usize>() > CASTING_BYTES_MAX {
        return invalid("casting", "must have at most 1 MiB of text");
    }
    check_policy(&plan.policy)?;
    phases::check(plan).or_else(|flaw| invalid(format!("policy.{}", flaw.field), flaw.why))
}

/// Refuses a policy that is out of its bounds. The size of an entry and the sum of an amount follow from these.
fn check_policy(policy: &Policy) -> Result<(), CatalogueRefusal> {
    let day = Seconds::DAY.get();
    let within = |field: &str, number: u32, range: RangeInclusive<u32>| {
        if range.contains(&number) {
            return Ok(());
        }
        invalid(format!("policy.{field}"), format!("must be from {} to {}", range.start(), range.end()))
    };
    within("holdSeconds", policy.hold.get(), 1..=day)?;
    within("maxSeatsPerReservation", policy.seats_per_reservation_max, 1..=RESERVATION_SEATS_MAX)?;
    within("maxSeatsPerUser", policy.seats_per_user_max, 1..=USER_SEATS_MAX)?;
    within("paymentSeconds", policy.payment.get(), 1..=PAYMENT_SECONDS_MAX)?;
    within("cancelUntilSecondsBeforeStart", policy.cancel_until_before_start.get(), 0..=CANCEL_SECONDS_MAX)?;
    within("recoveryGraceSeconds", policy.recovery_grace.get(), 0..=day)?;

    let Some(queue) = &policy.queue else { return Ok(()) };
    within("queue.maxActive", queue.active_max, 1..=ACTIVE_MAX)?;
    within("queue.admitPerMinute", queue.admit_per_minute.unwrap_or(1), 1..=ACTIVE_MAX)?;
    within("queue.activeSeconds", queue.active.get(), 1..=day)?;
    within("queue.claimSeconds", queue.claim.get(), 1..=day)?;
    within("queue.waitingSeconds", queue.waiting.get(), 1..=WAITING_SECONDS_MAX)
}

#[cfg(test)]
mod tests;
