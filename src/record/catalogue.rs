//! The wire format of the catalogue: venues, concerts, the list of schedules, their events, and their section of a snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::fields::{
    KeyUseWire, KeyWire, More, Read, concert_id, currency_in, currency_out, grade_name, key_in, key_out,
    keys_in, keys_out, money, price_type_id, schedule_id, venue_id,
};
use super::schedule::{ArchivedWire, CreationWire, FeeWire, PlanWire};
use crate::domain::catalogue::{Catalogue, CatalogueEvent, Listing, Replans};
use crate::domain::concert::{Concert, NamedPriceType, PricedGrade};
use crate::domain::ids::{ScheduleId, ScheduleNumber, SeatId};
use crate::domain::keys::KeyList;
use crate::domain::schedule::Creation;
use crate::domain::time::Timestamp;
use crate::domain::venue::{
    Coordinate, Layout, Line, ListedSeat, Outline, Point, Row, RowSeats, Seating, Section, Venue, VenueArea,
};

#[derive(Serialize, Deserialize)]
pub(super) enum CatalogueEventWire {
    VenuePut(Box<VenueWire>),
    ConcertPut(Box<ConcertWire>),
    ScheduleListed { id: String, number: u32, concert: String, more: More<ListedMore> },
    VenueRemoved(String),
    ConcertRemoved(String),
    ScheduleUnlisted(String),
    KeyKept,
    ScheduleArchived { id: String, archived: ArchivedWire },
    ReplanBegun { id: String, plan: Box<PlanWire>, key: Option<KeyUseWire>, more: More },
    ReplansDone,
    SchedulesCreated,
}

#[derive(Serialize, Deserialize)]
pub(super) enum ListedMore {
    /// What its own stream begins with, behind this event.
    Creation(Box<CreationWire>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct VenueWire {
    id: String,
    name: String,
    address: String,
    kind: String,
    time_zone: String,
    sections: Vec<VenueSectionWire>,
    more: More<VenueMore>,
}

#[derive(Serialize, Deserialize)]
enum VenueMore {
    /// The outline of its stage.
    Stage(Vec<PointWire>),
    /// Its areas; a venue without any has no such field.
    Areas(Vec<AreaWire>),
}

#[derive(Serialize, Deserialize)]
struct AreaWire {
    id: String,
    floor: String,
    name: String,
    grade: String,
    capacity: u32,
    outline: Option<Vec<PointWire>>,
    more: More,
}

/// A point's coordinates, in millionths of the unit.
type PointWire = (i64, i64);

#[derive(Serialize, Deserialize)]
struct VenueSectionWire {
    id: String,
    floor: String,
    rows: Vec<RowWire>,
    more: More<SectionMore>,
}

#[derive(Serialize, Deserialize)]
enum SectionMore {
    Outline(Vec<PointWire>),
}

#[derive(Serialize, Deserialize)]
struct RowWire {
    id: String,
    grade: String,
    seats: RowSeatsWire,
    more: More<RowMore>,
}

/// What is known of a row's seats beside their ids. Seats that are listed are named by their places in the list.
#[derive(Serialize, Deserialize)]
enum RowMore {
    Line { at: PointWire, step: PointWire },
    Points(Vec<(u32, PointWire)>),
    Accessible(Vec<u32>),
    Companions(Vec<(u32, String)>),
    RestrictedView(Vec<u32>),
}

#[derive(Serialize, Deserialize)]
enum RowSeatsWire {
    Length(u32),
    Listed(Vec<(String, u32)>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct ConcertWire {
    id: String,
    title: String,
    artist: String,
    description: Option<String>,
    venue: String,
    poster_url: Option<String>,
    currency: [u8; 3],
    grades: Vec<GradeWire>,
    cast: BTreeMap<String, Vec<String>>,
    more: More<ConcertMore>,
}

#[derive(Serialize, Deserialize)]
enum ConcertMore {
    PriceTypes(Vec<PriceTypeWire>),
    Fees(Vec<FeeWire>),
}

#[derive(Serialize, Deserialize)]
struct PriceTypeWire {
    id: String,
    name: String,
    note: Option<String>,
    more: More,
}

#[derive(Serialize, Deserialize)]
struct GradeWire {
    name: String,
    price: u64,
    color: String,
    description: Option<String>,
    more: More<GradeMore>,
}

#[derive(Serialize, Deserialize)]
enum GradeMore {
    /// Those of other price types than the default.
    Prices(Vec<(String, u64)>),
}

#[derive(Serialize, Deserialize)]
struct ListingWire {
    id: String,
    number: u32,
    concert: String,
    archived: Option<ArchivedWire>,
    more: More,
}

#[derive(Serialize, Deserialize)]
pub(super) struct CatalogueImageWire {
    venues: Vec<VenueWire>,
    concerts: Vec<ConcertWire>,
    /// In order of their numbers.
    schedules: Vec<ListingWire>,
    last_schedule: u32,
    replans: Vec<(String, PlanWire)>,
    replans_key: Option<KeyUseWire>,
    keys: Vec<KeyWire<()>>,
    version: u64,
    last_instant: u64,
    more: More<CatalogueMore>,
}

#[derive(Serialize, Deserialize)]
enum CatalogueMore {
    /// Of the schedules that are listed and perhaps not created yet.
    Creations(Vec<CreationWire>),
}

impl CatalogueEventWire {
    pub(super) fn from_domain(event: &CatalogueEvent) -> Self {
        match event {
            CatalogueEvent::VenuePut(venue) => Self::VenuePut(Box::new(VenueWire::from_domain(venue))),
            CatalogueEvent::ConcertPut(concert) => {
                Self::ConcertPut(Box::new(ConcertWire::from_domain(concert)))
            }
            CatalogueEvent::ScheduleListed { id, number, concert, creation } => Self::ScheduleListed {
                id: id.to_string(),
                number: number.0,
                concert: concert.to_string(),
                more: creation
                    .iter()
                    .map(|creation| ListedMore::Creation(Box::new(CreationWire::from_domain(creation))))
                    .collect(),
            },
            CatalogueEvent::VenueRemoved(id) => Self::VenueRemoved(id.to_string()),
            CatalogueEvent::ConcertRemoved(id) => Self::ConcertRemoved(id.to_string()),
            CatalogueEvent::ScheduleUnlisted(id) => Self::ScheduleUnlisted(id.to_string()),
            CatalogueEvent::KeyKept => Self::KeyKept,
            CatalogueEvent::ScheduleArchived { id, archived } => {
                Self::ScheduleArchived { id: id.to_string(), archived: ArchivedWire::from_domain(*archived) }
            }
            CatalogueEvent::ReplanBegun { id, plan, key } => Self::ReplanBegun {
                id: id.to_string(),
                plan: Box::new(PlanWire::from_domain(plan)),
                key: key.map(key_out),
                more: More::default(),
            },
            CatalogueEvent::ReplansDone => Self::ReplansDone,
            CatalogueEvent::SchedulesCreated => Self::SchedulesCreated,
        }
    }

    pub(super) fn into_domain(self) -> Read<CatalogueEvent> {
        Ok(match self {
            Self::VenuePut(venue) => CatalogueEvent::VenuePut(Arc::new(venue.into_domain()?)),
            Self::ConcertPut(concert) => CatalogueEvent::ConcertPut(Arc::new(concert.into_domain()?)),
            Self::ScheduleListed { id, number, concert, more } => {
                // Bytes of before have no such field.
                let mut creation = None;
                for field in more {
                    match field {
                        ListedMore::Creation(wire) => creation = Some(Arc::new(wire.into_domain()?)),
                    }
                }

                let (id, concert) = (schedule_id(&id)?, concert_id(&concert)?);
                CatalogueEvent::ScheduleListed { id, number: ScheduleNumber(number), concert, creation }
            }
            Self::VenueRemoved(id) => CatalogueEvent::VenueRemoved(venue_id(&id)?),
            Self::ConcertRemoved(id) => CatalogueEvent::ConcertRemoved(concert_id(&id)?),
            Self::ScheduleUnlisted(id) => CatalogueEvent::ScheduleUnlisted(schedule_id(&id)?),
            Self::KeyKept => CatalogueEvent::KeyKept,
            Self::ScheduleArchived { id, archived } => {
                CatalogueEvent::ScheduleArchived { id: schedule_id(&id)?, archived: archived.into_domain() }
            }
            Self::ReplanBegun { id, plan, key, more: _ } => CatalogueEvent::ReplanBegun {
                id: schedule_id(&id)?,
                plan: Arc::new(plan.into_domain()?),
                key: key.map(key_in),
            },
            Self::ReplansDone => CatalogueEvent::ReplansDone,
            Self::SchedulesCreated => CatalogueEvent::SchedulesCreated,
        })
    }
}

impl VenueWire {
    fn from_domain(venue: &Venue) -> Self {
        let stage = venue.stage.as_ref().map(|stage| VenueMore::Stage(outline_out(stage)));
        let areas = (!venue.areas.is_empty())
            .then(|| VenueMore::Areas(venue.areas.iter().map(AreaWire::from_domain).collect()));
        Self {
            id: venue.id.to_string(),
            name: venue.name.clone(),
            address: venue.address.clone(),
            kind: venue.kind.clone(),
            time_zone: venue.time_zone.clone(),
            sections: venue.sections.iter().map(VenueSectionWire::from_domain).collect(),
            more: stage.into_iter().chain(areas).collect(),
        }
    }

    fn into_domain(self) -> Read<Venue> {
        let (mut stage, mut areas) = (None, Vec::new());
        for field in self.more {
            match field {
                VenueMore::Stage(points) => stage = Some(outline_in(points)?),
                VenueMore::Areas(wires) => {
                    areas = wires.into_iter().map(AreaWire::into_domain).collect::<Read<_>>()?;
                }
            }
        }
        Ok(Venue {
            id: venue_id(&self.id)?,
            name: self.name,
            address: self.address,
            kind: self.kind,
            time_zone: self.time_zone,
            stage,
            sections: self.sections.into_iter().map(VenueSectionWire::into_domain).collect::<Read<_>>()?,
            areas,
        })
    }
}

impl AreaWire {
    fn from_domain(area: &VenueArea) -> Self {
        Self {
            id: area.id.clone(),
            floor: area.floor.clone(),
            name: area.name.clone(),
            grade: area.grade.to_string(),
            capacity: area.capacity,
            outline: area.outline.as_ref().map(outline_out),
            more: More::default(),
        }
    }

    fn into_domain(self) -> Read<VenueArea> {
        Ok(VenueArea {
            id: self.id,
            floor: self.floor,
            name: self.name,
            grade: grade_name(&self.grade)?,
            capacity: self.capacity,
            outline: self.outline.map(outline_in).transpose()?,
        })
    }
}

impl VenueSectionWire {
    fn from_domain(section: &Section) -> Self {
        let outline = section.outline.as_ref().map(|outline| SectionMore::Outline(outline_out(outline)));
        Self {
            id: section.id.clone(),
            floor: section.floor.clone(),
            rows: section.rows.iter().map(RowWire::from_domain).collect(),
            more: outline.into_iter().collect(),
        }
    }

    fn into_domain(self) -> Read<Section> {
        let mut outline = None;
        for field in self.more {
            match field {
                SectionMore::Outline(points) => outline = Some(outline_in(points)?),
            }
        }
        let rows = self.rows.into_iter().map(RowWire::into_domain).collect::<Read<_>>()?;
        Ok(Section { id: self.id, floor: self.floor, outline, rows })
    }
}

impl RowWire {
    fn from_domain(row: &Row) -> Self {
        let line =
            row.line.map(|Line { at, step }| RowMore::Line { at: point_out(at), step: point_out(step) });
        let (seats, listed) = match &row.seats {
            RowSeats::Length(length) => (RowSeatsWire::Length(*length), &[][..]),
            RowSeats::Listed(seats) => {
                let names = seats.iter().map(|seat| (seat.id.to_string(), seat.number)).collect();
                (RowSeatsWire::Listed(names), &seats[..])
            }
        };
        Self {
            id: row.id.clone(),
            grade: row.grade.to_string(),
            seats,
            more: line.into_iter().chain(RowMore::of_seats(listed)).collect(),
        }
    }

    fn into_domain(self) -> Read<Row> {
        let seat = |(id, number): (String, u32)| Ok(ListedSeat::new(seat_id(&id)?, number));
        let mut seats = match self.seats {
            RowSeatsWire::Length(length) => RowSeats::Length(length),
            RowSeatsWire::Listed(seats) => {
                RowSeats::Listed(seats.into_iter().map(seat).collect::<Read<_>>()?)
            }
        };

        let mut line = None;
        for field in self.more {
            match (field, &mut seats) {
                (RowMore::Line { at, step }, _) => {
                    line = Some(Line { at: point_in(at)?, step: point_in(step)? });
                }
                (field, RowSeats::Listed(seats)) => field.tell(seats)?,
                (_, RowSeats::Length(_)) => return Err(DecodeError::Value("a seat of a row")),
            }
        }
        Ok(Row { id: self.id, grade: grade_name(&self.grade)?, line, seats })
    }
}

impl RowMore {
    /// Writes what seats have beside their ids: a field for each kind that any of them has.
    fn of_seats(seats: &[ListedSeat]) -> impl Iterator<Item = Self> {
        let points = each(seats, |seat| seat.at.map(point_out));
        let accessible = places(seats, |seat| seat.accessible);
        let companions = each(seats, |seat| seat.companion_of.as_ref().map(SeatId::to_string));
        let restricted = places(seats, |seat| seat.restricted_view);

        let fields = [
            (points.is_empty(), Self::Points(points)),
            (accessible.is_empty(), Self::Accessible(accessible)),
            (companions.is_empty(), Self::Companions(companions)),
            (restricted.is_empty(), Self::RestrictedView(restricted)),
        ];
        fields.into_iter().filter_map(|(is_empty, field)| if is_empty { None } else { Some(field) })
    }

    /// Tells a row's seats what it says of them.
    fn tell(self, seats: &mut [ListedSeat]) -> Read<()> {
        let mut tell = |place: u32, tell: &dyn Fn(&mut ListedSeat)| {
            let place = usize::try_from(place).expect("a u32 fits");
            seats.get_mut(place).map(tell).ok_or(DecodeError::Value("a seat of a row"))
        };
        match self {
            Self::Line { .. } => unreachable!("a line is the row's"),
            Self::Points(points) => points.into_iter().try_for_each(|(place, at)| {
                let at = point_in(at)?;
                tell(place, &|seat| seat.at = Some(at))
            }),
            Self::Accessible(places) => {
                places.into_iter().try_for_each(|place| tell(place, &|seat| seat.accessible = true))
            }
            Self::Companions(companions) => companions.into_iter().try_for_each(|(place, of)| {
                let of = seat_id(&of)?;
                tell(place, &|seat| seat.companion_of = Some(of.clone()))
            }),
            Self::RestrictedView(places) => {
                places.into_iter().try_for_each(|place| tell(place, &|seat| seat.restricted_view = true))
            }
        }
    }
}

/// Returns what some of a row's seats have, with their places.
fn each<T>(seats: &[ListedSeat], has: impl Fn(&ListedSeat) -> Option<T>) -> Vec<(u32, T)> {
    (0..).zip(seats).filter_map(|(place, seat)| Some((place, has(seat)?))).collect()
}

/// Returns the places of those of a row's seats of which something is true.
fn places(seats: &[ListedSeat], is: impl Fn(&ListedSeat) -> bool) -> Vec<u32> {
    (0..).zip(seats).filter_map(|(place, seat)| is(seat).then_some(place)).collect()
}

fn seat_id(text: &str) -> Read<SeatId> {
    SeatId::parse(text).map_err(|_| DecodeError::Value("a seat id"))
}

fn point_out(point: Point) -> PointWire {
    (point.x.millionths(), point.y.millionths())
}

fn point_in((x, y): PointWire) -> Read<Point> {
    let read = |millionths| Coordinate::from_millionths(millionths).ok_or(DecodeError::Value("a coordinate"));
    Ok(Point { x: read(x)?, y: read(y)? })
}

fn outline_out(outline: &Outline) -> Vec<PointWire> {
    outline.points().iter().map(|point| point_out(*point)).collect()
}

fn outline_in(points: Vec<PointWire>) -> Read<Outline> {
    let points = points.into_iter().map(point_in).collect::<Read<_>>()?;
    Outline::new(points).ok_or(DecodeError::Value("an outline"))
}

impl ConcertWire {
    fn from_domain(concert: &Concert) -> Self {
        let grade = |grade: &PricedGrade| GradeWire {
            name: grade.name.to_string(),
            price: grade.price.minor(),
            color: grade.color.clone(),
            description: grade.description.clone(),
            more: non_empty(grade.prices.iter().map(|(id, price)| (id.to_string(), price.minor())))
                .map(GradeMore::Prices)
                .into_iter()
                .collect(),
        };
        let priced = |priced: &NamedPriceType| PriceTypeWire {
            id: priced.id.to_string(),
            name: priced.name.to_string(),
            note: priced.note.clone(),
            more: More::default(),
        };
        let types = non_empty(concert.price_types.iter().map(priced)).map(ConcertMore::PriceTypes);
        let fees = non_empty(concert.fees.iter().map(FeeWire::from_domain)).map(ConcertMore::Fees);

        Self {
            id: concert.id.to_string(),
            title: concert.title.clone(),
            artist: concert.artist.clone(),
            description: concert.description.clone(),
            venue: concert.venue.to_string(),
            poster_url: concert.poster_url.clone(),
            currency: currency_out(concert.currency),
            grades: concert.grades.iter().map(grade).collect(),
            cast: concert.cast.clone(),
            more: types.into_iter().chain(fees).collect(),
        }
    }

    fn into_domain(self) -> Read<Concert> {
        let grade = |grade: GradeWire| -> Read<PricedGrade> {
            let mut prices = BTreeMap::new();
            for field in grade.more {
                match field {
                    GradeMore::Prices(listed) => {
                        let price = |(id, price): (String, u64)| Ok((price_type_id(&id)?, money(price)?));
                        prices = listed.into_iter().map(price).collect::<Read<_>>()?;
                    }
                }
            }
            Ok(PricedGrade {
                name: grade_name(&grade.name)?,
                price: money(grade.price)?,
                color: grade.color,
                description: grade.description,
                prices,
            })
        };

        let (mut price_types, mut fees) = (Vec::new(), Vec::new());
        for field in self.more {
            match field {
                ConcertMore::PriceTypes(listed) => {
                    let priced = |PriceTypeWire { id, name, note, more: _ }| {
                        Ok(NamedPriceType { id: price_type_id(&id)?, name: name.into(), note })
                    };
                    price_types = listed.into_iter().map(priced).collect::<Read<_>>()?;
                }
                ConcertMore::Fees(listed) => {
                    fees = listed.into_iter().map(FeeWire::into_domain).collect::<Read<_>>()?;
                }
            }
        }

        Ok(Concert {
            id: concert_id(&self.id)?,
            title: self.title,
            artist: self.artist,
            description: self.description,
            venue: venue_id(&self.venue)?,
            poster_url: self.poster_url,
            currency: currency_in(self.currency)?,
            grades: self.grades.into_iter().map(grade).collect::<Read<_>>()?,
            cast: self.cast,
            price_types,
            fees,
        })
    }
}

/// Returns a list, unless it is empty: what isn't there is not written.
fn non_empty<T>(items: impl Iterator<Item = T>) -> Option<Vec<T>> {
    let items: Vec<T> = items.collect();
    (!items.is_empty()).then_some(items)
}

impl CatalogueImageWire {
    pub(super) fn from_domain(catalogue: &Catalogue) -> Self {
        let listing = |(id, listing): (&ScheduleId, &Listing)| ListingWire {
            id: id.to_string(),
            number: listing.number.0,
            concert: listing.concert.to_string(),
            archived: listing.archived.map(ArchivedWire::from_domain),
            more: More::default(),
        };
        // The catalogue has them by id, and the format by number.
        let mut schedules: Vec<_> = catalogue.schedules().map(listing).collect();
        schedules.sort_unstable_by_key(|listing| listing.number);
        let replans = catalogue.replans();
        let plans = replans.plans.iter().map(|(id, plan)| (id.to_string(), PlanWire::from_domain(plan)));

        Self {
            venues: catalogue.venues().map(|built| VenueWire::from_domain(&built.venue)).collect(),
            concerts: catalogue.concerts().map(|concert| ConcertWire::from_domain(concert)).collect(),
            schedules,
            last_schedule: catalogue.last_schedule(),
            replans: plans.collect(),
            replans_key: replans.key.map(key_out),
            keys: keys_out(&catalogue.keys().list(), |()| ()),
            version: catalogue.version(),
            last_instant: catalogue.last_instant().as_millis(),
            more: creations(catalogue).map(CatalogueMore::Creations).into_iter().collect(),
        }
    }

    pub(super) fn into_domain(self) -> Read<Catalogue> {
        let listing = |listing: ListingWire| {
            let (number, concert) = (ScheduleNumber(listing.number), concert_id(&listing.concert)?);
            let archived = listing.archived.map(ArchivedWire::into_domain);
            Ok((schedule_id(&listing.id)?, Listing { number, concert, archived }))
        };
        let plan = |(id, plan): (String, PlanWire)| Ok((schedule_id(&id)?, Arc::new(plan.into_domain()?)));

        // A section of before has no such field.
        let mut creations = Vec::new();
        for field in self.more {
            match field {
                CatalogueMore::Creations(wires) => {
                    let read = |wire: CreationWire| Ok(Arc::new(wire.into_domain()?));
                    creations = wires.into_iter().map(read).collect::<Read<_>>()?;
                }
            }
        }

        let parts = CatalogueParts {
            venues: self.venues.into_iter().map(VenueWire::into_domain).collect::<Read<_>>()?,
            concerts: self.concerts.into_iter().map(ConcertWire::into_domain).collect::<Read<_>>()?,
            listings: self.schedules.into_iter().map(listing).collect::<Read<_>>()?,
            last_schedule: self.last_schedule,
            creations,
            replans: Replans {
                plans: self.replans.into_iter().map(plan).collect::<Read<_>>()?,
                key: self.replans_key.map(key_in),
            },
            keys: keys_in(self.keys, Ok)?,
            version: self.version,
            last_instant: Timestamp::from_millis(self.last_instant),
        };
        parts.build()
    }
}

/// Writes what is to be created; nothing where no schedule is.
fn creations(catalogue: &Catalogue) -> Option<Vec<CreationWire>> {
    let creations = catalogue.creations();
    let written = || creations.iter().map(|creation| CreationWire::from_domain(creation)).collect();
    (!creations.is_empty()).then(written)
}

/// The parts that a catalogue is made of.
pub(super) struct CatalogueParts {
    pub(super) venues: Vec<Venue>,
    pub(super) concerts: Vec<Concert>,
    /// In order of their numbers.
    pub(super) listings: Vec<(ScheduleId, Listing)>,
    pub(super) last_schedule: u32,
    pub(super) creations: Vec<Arc<Creation>>,
    pub(super) replans: Replans,
    pub(super) keys: KeyList<()>,
    pub(super) version: u64,
    pub(super) last_instant: Timestamp,
}

impl CatalogueParts {
    /// Makes the catalogue by applying events, so that what they assert is checked here.
    pub(super) fn build(self) -> Read<Catalogue> {
        let mut catalogue = Catalogue::default();
        let mut put = |event: CatalogueEvent| catalogue.apply(&event, Timestamp::ZERO, None);

        for venue in self.venues {
            let layout = Layout::with_areas(&venue.sections, &venue.areas);
            let seats = layout.and_then(|layout| Seating::new(&venue, &layout));
            seats.map_err(|_| DecodeError::Value("the seats of a venue"))?;
            put(CatalogueEvent::VenuePut(Arc::new(venue)));
        }
        for concert in self.concerts {
            put(CatalogueEvent::ConcertPut(Arc::new(concert)));
        }

        // Numbers only grow, which the event asserts: damaged bytes are refused before that.
        let mut last = 0;
        for (id, Listing { number, concert, archived }) in self.listings {
            if number.0 <= last || number.0 > self.last_schedule {
                return Err(DecodeError::Value("a schedule's number"));
            }
            last = number.0;
            put(CatalogueEvent::ScheduleListed { id: id.clone(), number, concert, creation: None });
            if let Some(archived) = archived {
                put(CatalogueEvent::ScheduleArchived { id, archived });
            }
        }

        catalogue.restore_creations(self.creations);
        catalogue.restore_replans(self.replans);
        for (key, version, at, ()) in self.keys.iter() {
            catalogue.restore_key(key, version, at);
        }
        catalogue.restore_counters(self.version, self.last_schedule, self.last_instant);
        Ok(catalogue)
    }
}
