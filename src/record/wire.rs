//! The types whose serialised form is the format. Order of fields and variants is the format: new
//! variants go last, and a changed field is a new variant.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::DecodeError;
use super::money::{AccountsEventWire, PaymentsEventWire};
use super::room::RoomEventWire;
use super::users::UserEventWire;
use crate::domain::catalogue::{Archived, CatalogueEvent};
use crate::domain::cause::By;
use crate::domain::concert::{Concert, PricedGrade, Prices};
use crate::domain::ids::{
    ConcertId, GradeName, PaymentId, ReservationNumber, ScheduleId, ScheduleNumber, SeatId, UserId, VenueId,
};
use crate::domain::keys::KeyUse;
use crate::domain::money::{Currency, Money};
use crate::domain::pages::Pages;
use crate::domain::schedule::policy::{Casting, Plan, Policy, QueueOrder, QueuePolicy};
use crate::domain::schedule::{Creation, Event, Limits};
use crate::domain::time::{Seconds, Timestamp};
use crate::domain::venue::{Row, RowSeats, Seat, Section, Venue};

type Read<T> = Result<T, DecodeError>;

#[derive(Serialize, Deserialize)]
pub(super) struct RecordWire<'a> {
    pub(super) version: u64,
    pub(super) at: u64,
    #[serde(borrow)]
    pub(super) by: ByWire<'a>,
    pub(super) key: Option<(u128, u128)>,
    #[serde(borrow)]
    pub(super) fact: FactWire<'a>,
}

#[derive(Serialize, Deserialize)]
pub(super) enum ByWire<'a> {
    Engine,
    User,
    #[serde(borrow)]
    Admin(Cow<'a, str>),
}

impl<'a> ByWire<'a> {
    pub(super) fn from_domain(by: &'a By) -> Self {
        match by {
            By::Engine => Self::Engine,
            By::User => Self::User,
            By::Admin(id) => Self::Admin(Cow::Borrowed(id.as_str())),
        }
    }

    pub(super) fn into_domain(self) -> Read<By> {
        Ok(match self {
            Self::Engine => By::Engine,
            Self::User => By::User,
            Self::Admin(id) => By::Admin(user_id(&id)?),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) enum FactWire<'a> {
    Catalogue(CatalogueEventWire),
    Schedule(u32, #[serde(borrow)] ScheduleEventWire<'a>),
    WaitingRoom(u32, #[serde(borrow)] RoomEventWire<'a>),
    Accounts(u16, #[serde(borrow)] AccountsEventWire<'a>),
    Payments(u32, #[serde(borrow)] PaymentsEventWire<'a>),
    User(#[serde(borrow)] UserEventWire<'a>),
}

#[derive(Serialize, Deserialize)]
pub(super) enum CatalogueEventWire {
    VenuePut(Box<VenueWire>),
    ConcertPut(Box<ConcertWire>),
    ScheduleListed { id: String, number: u32, concert: String },
    VenueRemoved(String),
    ConcertRemoved(String),
    ScheduleUnlisted(String),
    KeyKept,
    ScheduleArchived { id: String, archived: ArchivedWire },
    ReplanBegun { id: String, plan: Box<PlanWire>, key: Option<(u128, u128)> },
    ReplansDone,
}

/// The versions of the schedule and of its payments, and whether its sale ever opened.
#[derive(Serialize, Deserialize)]
pub(super) struct ArchivedWire(u64, u64, bool);

impl ArchivedWire {
    pub(super) fn from_domain(archived: Archived) -> Self {
        Self(archived.version, archived.payments, archived.opened)
    }

    pub(super) fn into_domain(self) -> Archived {
        Archived { version: self.0, payments: self.1, opened: self.2 }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) enum ScheduleEventWire<'a> {
    Created(Box<CreationWire>),
    Replanned(Box<PlanWire>),
    LimitsSet(LimitsWire),
    SalesOpened(Option<PricesWire>),
    SalesClosed,
    ScheduleCancelled,
    Deleted,
    SeatsBlocked(Vec<u32>),
    SeatsUnblocked(Vec<u32>),
    SeatsHeld {
        number: u32,
        nonce: u64,
        #[serde(borrow)]
        user: Cow<'a, str>,
        seats: Vec<u32>,
        expires_at: u64,
    },
    SeatsExchanged {
        number: u32,
        seats: Vec<u32>,
    },
    HoldReleased(u32),
    HoldExpired(u32),
    PaymentBegun {
        number: u32,
        payment: u128,
        expires_at: u64,
    },
    PaymentFailed(u32),
    ReservationConfirmed {
        number: u32,
        payment: u128,
    },
    ReservationCancelled(u32),
    OutageBridged {
        down_since: u64,
    },
    KeyKept(Option<u32>),
    /// A payment began and moved the deadline, and the old one is back if it fails.
    DeadlineMoved {
        number: u32,
        payment: u128,
        expires_at: u64,
        held_until: u64,
    },
    /// A payment failed, and the deadline from before it is back.
    DeadlineBack {
        number: u32,
        expires_at: u64,
    },
    /// A start died that had bridged an outage.
    OutageContinued {
        began: u64,
        down_since: u64,
    },
}

#[derive(Serialize, Deserialize)]
pub(super) struct VenueWire {
    id: String,
    name: String,
    address: String,
    kind: String,
    time_zone: String,
    sections: Vec<SectionWire>,
}

#[derive(Serialize, Deserialize)]
struct SectionWire {
    id: String,
    floor: String,
    rows: Vec<RowWire>,
}

#[derive(Serialize, Deserialize)]
struct RowWire {
    id: String,
    grade: String,
    seats: RowSeatsWire,
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
    currency: String,
    grades: Vec<GradeWire>,
    cast: BTreeMap<String, Vec<String>>,
}

#[derive(Serialize, Deserialize)]
struct GradeWire {
    name: String,
    price: u64,
    color: String,
    description: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct CreationWire {
    pub(super) number: u32,
    pub(super) id: String,
    pub(super) concert: String,
    pub(super) venue: String,
    pub(super) currency: String,
    pub(super) plan: PlanWire,
    pub(super) limits: LimitsWire,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PlanWire {
    starts_at: u64,
    ends_at: u64,
    sales_open_at: Option<u64>,
    sales_close_at: Option<u64>,
    casting: Vec<(String, CastingWire)>,
    policy: PolicyWire,
}

#[derive(Serialize, Deserialize)]
enum CastingWire {
    One(String),
    Many(Vec<String>),
}

#[derive(Serialize, Deserialize)]
struct PolicyWire {
    hold: u32,
    seats_per_reservation_max: u32,
    seats_per_user_max: u32,
    payment: u32,
    cancel_until_before_start: u32,
    prevent_orphan_seats: bool,
    recovery_grace: u32,
    queue: Option<QueueWire>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct QueueWire {
    active_max: u32,
    admit_per_minute: Option<u32>,
    active: u32,
    claim: u32,
    waiting: u32,
    shuffle: bool,
    end: QueueEndWire,
}

/// The end of a waiting room's rules: a byte says which of them follow. Its bits were an option's tag before there was more than one, so
/// that what was written then is read as it was.
struct QueueEndWire {
    opens_at: Option<u64>,
    idle: Option<u32>,
}

impl QueueEndWire {
    const OPENS_AT: u8 = 1;
    const IDLE: u8 = 2;

    fn which(&self) -> u8 {
        let bit = |there: bool, bit: u8| if there { bit } else { 0 };
        bit(self.opens_at.is_some(), Self::OPENS_AT) | bit(self.idle.is_some(), Self::IDLE)
    }
}

impl Serialize for QueueEndWire {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut parts = to.serialize_tuple(3)?;
        parts.serialize_element(&self.which())?;
        if let Some(opens_at) = &self.opens_at {
            parts.serialize_element(opens_at)?;
        }
        if let Some(idle) = &self.idle {
            parts.serialize_element(idle)?;
        }
        parts.end()
    }
}

impl<'de> Deserialize<'de> for QueueEndWire {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Parts;

        impl<'de> Visitor<'de> for Parts {
            type Value = QueueEndWire;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("a byte, and what it says")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<QueueEndWire, A::Error> {
                let missing = || A::Error::custom("the end of a waiting room's rules is missing");
                let which: u8 = parts.next_element()?.ok_or_else(missing)?;
                if which > QueueEndWire::OPENS_AT | QueueEndWire::IDLE {
                    return Err(A::Error::custom("a waiting room has rules that aren't known"));
                }
                let mut end = QueueEndWire { opens_at: None, idle: None };
                if which & QueueEndWire::OPENS_AT != 0 {
                    end.opens_at = Some(parts.next_element()?.ok_or_else(missing)?);
                }
                if which & QueueEndWire::IDLE != 0 {
                    end.idle = Some(parts.next_element()?.ok_or_else(missing)?);
                }
                Ok(end)
            }
        }

        from.deserialize_tuple(3, Parts)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct LimitsWire {
    ended_retention: u32,
    keys_max: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PricesWire {
    by_grade: Vec<u64>,
    best_first: Vec<u16>,
}

pub(super) fn seats_out(seats: &[Seat]) -> Vec<u32> {
    seats.iter().map(|seat| seat.0).collect()
}

pub(super) fn seats_in(seats: Vec<u32>) -> Arc<[Seat]> {
    seats.into_iter().map(Seat).collect()
}

pub(super) fn instant_out(at: Option<Timestamp>) -> Option<u64> {
    at.map(Timestamp::as_millis)
}

pub(super) fn instant_in(at: Option<u64>) -> Option<Timestamp> {
    at.map(Timestamp::from_millis)
}

fn venue_id(text: &str) -> Read<VenueId> {
    VenueId::parse(text).map_err(|_| DecodeError::Value("a venue id"))
}

fn concert_id(text: &str) -> Read<ConcertId> {
    ConcertId::parse(text).map_err(|_| DecodeError::Value("a concert id"))
}

fn schedule_id(text: &str) -> Read<ScheduleId> {
    ScheduleId::parse(text).map_err(|_| DecodeError::Value("a schedule id"))
}

pub(super) fn user_id(text: &str) -> Read<UserId> {
    UserId::parse(text).map_err(|_| DecodeError::Value("a user id"))
}

fn grade_name(text: &str) -> Read<GradeName> {
    GradeName::parse(text).map_err(|_| DecodeError::Value("a grade"))
}

fn currency(text: &str) -> Read<Currency> {
    Currency::parse(text).map_err(|_| DecodeError::Value("a currency"))
}

pub(super) fn money(minor: u64) -> Read<Money> {
    Money::new(minor).ok_or(DecodeError::Value("an amount"))
}

pub(super) fn key_out(key: KeyUse) -> (u128, u128) {
    (key.digest, key.fingerprint)
}

pub(super) fn key_in((digest, fingerprint): (u128, u128)) -> KeyUse {
    KeyUse { digest, fingerprint }
}

impl CatalogueEventWire {
    pub(super) fn from_domain(event: &CatalogueEvent) -> Self {
        match event {
            CatalogueEvent::VenuePut(venue) => Self::VenuePut(Box::new(VenueWire::from_domain(venue))),
            CatalogueEvent::ConcertPut(concert) => {
                Self::ConcertPut(Box::new(ConcertWire::from_domain(concert)))
            }
            CatalogueEvent::ScheduleListed { id, number, concert } => {
                Self::ScheduleListed { id: id.to_string(), number: number.0, concert: concert.to_string() }
            }
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
            },
            CatalogueEvent::ReplansDone => Self::ReplansDone,
        }
    }

    pub(super) fn into_domain(self) -> Read<CatalogueEvent> {
        Ok(match self {
            Self::VenuePut(venue) => CatalogueEvent::VenuePut(Arc::new(venue.into_domain()?)),
            Self::ConcertPut(concert) => CatalogueEvent::ConcertPut(Arc::new(concert.into_domain()?)),
            Self::ScheduleListed { id, number, concert } => CatalogueEvent::ScheduleListed {
                id: schedule_id(&id)?,
                number: ScheduleNumber(number),
                concert: concert_id(&concert)?,
            },
            Self::VenueRemoved(id) => CatalogueEvent::VenueRemoved(venue_id(&id)?),
            Self::ConcertRemoved(id) => CatalogueEvent::ConcertRemoved(concert_id(&id)?),
            Self::ScheduleUnlisted(id) => CatalogueEvent::ScheduleUnlisted(schedule_id(&id)?),
            Self::KeyKept => CatalogueEvent::KeyKept,
            Self::ScheduleArchived { id, archived } => {
                CatalogueEvent::ScheduleArchived { id: schedule_id(&id)?, archived: archived.into_domain() }
            }
            Self::ReplanBegun { id, plan, key } => CatalogueEvent::ReplanBegun {
                id: schedule_id(&id)?,
                plan: Arc::new(plan.into_domain()),
                key: key.map(key_in),
            },
            Self::ReplansDone => CatalogueEvent::ReplansDone,
        })
    }
}

impl<'a> ScheduleEventWire<'a> {
    pub(super) fn from_domain(event: &'a Event) -> Self {
        match event {
            Event::Created(creation) => Self::Created(Box::new(CreationWire::from_domain(creation))),
            Event::Replanned { plan } => Self::Replanned(Box::new(PlanWire::from_domain(plan))),
            Event::LimitsSet { limits } => Self::LimitsSet(LimitsWire::from_domain(*limits)),
            Event::SalesOpened { prices } => {
                Self::SalesOpened(prices.as_deref().map(PricesWire::from_domain))
            }
            Event::SalesClosed => Self::SalesClosed,
            Event::ScheduleCancelled => Self::ScheduleCancelled,
            Event::Deleted => Self::Deleted,
            Event::SeatsBlocked { seats } => Self::SeatsBlocked(seats_out(seats)),
            Event::SeatsUnblocked { seats } => Self::SeatsUnblocked(seats_out(seats)),
            Event::SeatsHeld { number, nonce, user, seats, expires_at } => Self::SeatsHeld {
                number: number.0,
                nonce: *nonce,
                user: Cow::Borrowed(user.as_str()),
                seats: seats_out(seats),
                expires_at: expires_at.as_millis(),
            },
            Event::SeatsExchanged { number, seats } => {
                Self::SeatsExchanged { number: number.0, seats: seats_out(seats) }
            }
            Event::HoldReleased { number } => Self::HoldReleased(number.0),
            Event::HoldExpired { number } => Self::HoldExpired(number.0),
            Event::PaymentBegun { number, payment, expires_at, held_until } => {
                let (number, payment, expires_at) = (number.0, payment.bits(), expires_at.as_millis());
                match held_until.map(Timestamp::as_millis) {
                    None => Self::PaymentBegun { number, payment, expires_at },
                    Some(held_until) => Self::DeadlineMoved { number, payment, expires_at, held_until },
                }
            }
            Event::PaymentFailed { number, expires_at: None } => Self::PaymentFailed(number.0),
            Event::PaymentFailed { number, expires_at: Some(expires_at) } => {
                Self::DeadlineBack { number: number.0, expires_at: expires_at.as_millis() }
            }
            Event::ReservationConfirmed { number, payment } => {
                Self::ReservationConfirmed { number: number.0, payment: payment.bits() }
            }
            Event::ReservationCancelled { number } => Self::ReservationCancelled(number.0),
            Event::OutageBridged { down_since } => Self::OutageBridged { down_since: down_since.as_millis() },
            Event::OutageContinued { began, down_since } => {
                Self::OutageContinued { began: began.as_millis(), down_since: down_since.as_millis() }
            }
            Event::KeyKept { number } => Self::KeyKept(number.map(|number| number.0)),
        }
    }

    pub(super) fn into_domain(self) -> Read<Event> {
        Ok(match self {
            Self::Created(creation) => Event::Created(Box::new(creation.into_domain()?)),
            Self::Replanned(plan) => Event::Replanned { plan: Arc::new(plan.into_domain()) },
            Self::LimitsSet(limits) => Event::LimitsSet { limits: limits.into_domain() },
            Self::SalesOpened(None) => Event::SalesOpened { prices: None },
            Self::SalesOpened(Some(prices)) => {
                Event::SalesOpened { prices: Some(Arc::new(prices.into_domain()?)) }
            }
            Self::SalesClosed => Event::SalesClosed,
            Self::ScheduleCancelled => Event::ScheduleCancelled,
            Self::Deleted => Event::Deleted,
            Self::SeatsBlocked(seats) => Event::SeatsBlocked { seats: seats_in(seats) },
            Self::SeatsUnblocked(seats) => Event::SeatsUnblocked { seats: seats_in(seats) },
            Self::SeatsHeld { number, nonce, user, seats, expires_at } => Event::SeatsHeld {
                number: ReservationNumber(number),
                nonce,
                user: user_id(&user)?,
                seats: seats_in(seats),
                expires_at: Timestamp::from_millis(expires_at),
            },
            Self::SeatsExchanged { number, seats } => {
                Event::SeatsExchanged { number: ReservationNumber(number), seats: seats_in(seats) }
            }
            Self::HoldReleased(number) => Event::HoldReleased { number: ReservationNumber(number) },
            Self::HoldExpired(number) => Event::HoldExpired { number: ReservationNumber(number) },
            Self::PaymentBegun { number, payment, expires_at } => Event::PaymentBegun {
                number: ReservationNumber(number),
                payment: PaymentId::from_bits(payment),
                expires_at: Timestamp::from_millis(expires_at),
                held_until: None,
            },
            Self::DeadlineMoved { number, payment, expires_at, held_until } => Event::PaymentBegun {
                number: ReservationNumber(number),
                payment: PaymentId::from_bits(payment),
                expires_at: Timestamp::from_millis(expires_at),
                held_until: Some(Timestamp::from_millis(held_until)),
            },
            Self::PaymentFailed(number) => {
                Event::PaymentFailed { number: ReservationNumber(number), expires_at: None }
            }
            Self::DeadlineBack { number, expires_at } => Event::PaymentFailed {
                number: ReservationNumber(number),
                expires_at: Some(Timestamp::from_millis(expires_at)),
            },
            Self::ReservationConfirmed { number, payment } => Event::ReservationConfirmed {
                number: ReservationNumber(number),
                payment: PaymentId::from_bits(payment),
            },
            Self::ReservationCancelled(number) => {
                Event::ReservationCancelled { number: ReservationNumber(number) }
            }
            Self::OutageBridged { down_since } => {
                Event::OutageBridged { down_since: Timestamp::from_millis(down_since) }
            }
            Self::OutageContinued { began, down_since } => Event::OutageContinued {
                began: Timestamp::from_millis(began),
                down_since: Timestamp::from_millis(down_since),
            },
            Self::KeyKept(number) => Event::KeyKept { number: number.map(ReservationNumber) },
        })
    }
}

impl VenueWire {
    pub(super) fn from_domain(venue: &Venue) -> Self {
        let seats = |seats: &RowSeats| match seats {
            RowSeats::Length(length) => RowSeatsWire::Length(*length),
            RowSeats::Listed(seats) => {
                RowSeatsWire::Listed(seats.iter().map(|(id, number)| (id.to_string(), *number)).collect())
            }
        };
        let row = |row: &Row| RowWire {
            id: row.id.clone(),
            grade: row.grade.to_string(),
            seats: seats(&row.seats),
        };
        let section = |section: &Section| SectionWire {
            id: section.id.clone(),
            floor: section.floor.clone(),
            rows: section.rows.iter().map(row).collect(),
        };
        Self {
            id: venue.id.to_string(),
            name: venue.name.clone(),
            address: venue.address.clone(),
            kind: venue.kind.clone(),
            time_zone: venue.time_zone.clone(),
            sections: venue.sections.iter().map(section).collect(),
        }
    }

    pub(super) fn into_domain(self) -> Read<Venue> {
        let seat = |(id, number): (String, u32)| {
            Ok((SeatId::parse(&id).map_err(|_| DecodeError::Value("a seat id"))?, number))
        };
        let row = |row: RowWire| -> Read<Row> {
            let seats = match row.seats {
                RowSeatsWire::Length(length) => RowSeats::Length(length),
                RowSeatsWire::Listed(seats) => {
                    RowSeats::Listed(seats.into_iter().map(seat).collect::<Read<_>>()?)
                }
            };
            Ok(Row { id: row.id, grade: grade_name(&row.grade)?, seats })
        };
        let section = |section: SectionWire| -> Read<Section> {
            let rows = section.rows.into_iter().map(row).collect::<Read<_>>()?;
            Ok(Section { id: section.id, floor: section.floor, rows })
        };
        Ok(Venue {
            id: venue_id(&self.id)?,
            name: self.name,
            address: self.address,
            kind: self.kind,
            time_zone: self.time_zone,
            sections: self.sections.into_iter().map(section).collect::<Read<_>>()?,
        })
    }
}

impl ConcertWire {
    pub(super) fn from_domain(concert: &Concert) -> Self {
        let grade = |grade: &PricedGrade| GradeWire {
            name: grade.name.to_string(),
            price: grade.price.minor(),
            color: grade.color.clone(),
            description: grade.description.clone(),
        };
        Self {
            id: concert.id.to_string(),
            title: concert.title.clone(),
            artist: concert.artist.clone(),
            description: concert.description.clone(),
            venue: concert.venue.to_string(),
            poster_url: concert.poster_url.clone(),
            currency: concert.currency.as_str().to_owned(),
            grades: concert.grades.iter().map(grade).collect(),
            cast: concert.cast.clone(),
        }
    }

    pub(super) fn into_domain(self) -> Read<Concert> {
        let grade = |grade: GradeWire| -> Read<PricedGrade> {
            Ok(PricedGrade {
                name: grade_name(&grade.name)?,
                price: money(grade.price)?,
                color: grade.color,
                description: grade.description,
            })
        };
        Ok(Concert {
            id: concert_id(&self.id)?,
            title: self.title,
            artist: self.artist,
            description: self.description,
            venue: venue_id(&self.venue)?,
            poster_url: self.poster_url,
            currency: currency(&self.currency)?,
            grades: self.grades.into_iter().map(grade).collect::<Read<_>>()?,
            cast: self.cast,
        })
    }
}

impl CreationWire {
    pub(super) fn from_domain(creation: &Creation) -> Self {
        Self {
            number: creation.number.0,
            id: creation.id.to_string(),
            concert: creation.concert.to_string(),
            venue: creation.venue.to_string(),
            currency: creation.currency.as_str().to_owned(),
            plan: PlanWire::from_domain(&creation.plan),
            limits: LimitsWire::from_domain(creation.limits),
        }
    }

    pub(super) fn into_domain(self) -> Read<Creation> {
        Ok(Creation {
            number: ScheduleNumber(self.number),
            id: schedule_id(&self.id)?,
            concert: concert_id(&self.concert)?,
            venue: venue_id(&self.venue)?,
            currency: currency(&self.currency)?,
            plan: Arc::new(self.plan.into_domain()),
            limits: self.limits.into_domain(),
        })
    }
}

impl PlanWire {
    pub(super) fn from_domain(plan: &Plan) -> Self {
        let casting = |(role, casting): (&String, &Casting)| {
            let casting = match casting {
                Casting::One(name) => CastingWire::One(name.clone()),
                Casting::Many(names) => CastingWire::Many(names.clone()),
            };
            (role.clone(), casting)
        };
        let policy = &plan.policy;
        Self {
            starts_at: plan.starts_at.as_millis(),
            ends_at: plan.ends_at.as_millis(),
            sales_open_at: instant_out(plan.sales_open_at),
            sales_close_at: instant_out(plan.sales_close_at),
            casting: plan.casting.iter().map(casting).collect(),
            policy: PolicyWire {
                hold: policy.hold.get(),
                seats_per_reservation_max: policy.seats_per_reservation_max,
                seats_per_user_max: policy.seats_per_user_max,
                payment: policy.payment.get(),
                cancel_until_before_start: policy.cancel_until_before_start.get(),
                prevent_orphan_seats: policy.prevent_orphan_seats,
                recovery_grace: policy.recovery_grace.get(),
                queue: policy.queue.as_ref().map(QueueWire::from_domain),
            },
        }
    }

    pub(super) fn into_domain(self) -> Plan {
        let casting = |(role, casting): (String, CastingWire)| {
            let casting = match casting {
                CastingWire::One(name) => Casting::One(name),
                CastingWire::Many(names) => Casting::Many(names),
            };
            (role, casting)
        };
        let policy = self.policy;
        Plan {
            starts_at: Timestamp::from_millis(self.starts_at),
            ends_at: Timestamp::from_millis(self.ends_at),
            sales_open_at: instant_in(self.sales_open_at),
            sales_close_at: instant_in(self.sales_close_at),
            casting: self.casting.into_iter().map(casting).collect(),
            policy: Policy {
                hold: Seconds::new(policy.hold),
                seats_per_reservation_max: policy.seats_per_reservation_max,
                seats_per_user_max: policy.seats_per_user_max,
                payment: Seconds::new(policy.payment),
                cancel_until_before_start: Seconds::new(policy.cancel_until_before_start),
                prevent_orphan_seats: policy.prevent_orphan_seats,
                recovery_grace: Seconds::new(policy.recovery_grace),
                queue: policy.queue.map(QueueWire::into_domain),
            },
        }
    }
}

impl QueueWire {
    pub(super) fn from_domain(queue: &QueuePolicy) -> Self {
        Self {
            active_max: queue.active_max,
            admit_per_minute: queue.admit_per_minute,
            active: queue.active.get(),
            claim: queue.claim.get(),
            waiting: queue.waiting.get(),
            shuffle: queue.order == QueueOrder::Shuffle,
            end: QueueEndWire { opens_at: instant_out(queue.opens_at), idle: queue.idle.map(Seconds::get) },
        }
    }

    pub(super) fn into_domain(self) -> QueuePolicy {
        QueuePolicy {
            active_max: self.active_max,
            admit_per_minute: self.admit_per_minute,
            active: Seconds::new(self.active),
            claim: Seconds::new(self.claim),
            waiting: Seconds::new(self.waiting),
            idle: self.end.idle.map(Seconds::new),
            order: if self.shuffle { QueueOrder::Shuffle } else { QueueOrder::Fifo },
            opens_at: instant_in(self.end.opens_at),
        }
    }
}

impl LimitsWire {
    pub(super) fn from_domain(limits: Limits) -> Self {
        Self { ended_retention: limits.ended_retention.get(), keys_max: limits.keys_max }
    }

    pub(super) fn into_domain(self) -> Limits {
        Limits { ended_retention: Seconds::new(self.ended_retention), keys_max: self.keys_max }
    }
}

impl PricesWire {
    pub(super) fn from_domain(prices: &Prices) -> Self {
        Self {
            by_grade: prices.by_grade.iter().map(|price| price.minor()).collect(),
            best_first: prices.best_first.to_vec(),
        }
    }

    pub(super) fn into_domain(self) -> Read<Prices> {
        let by_grade = self.by_grade.into_iter().map(money).collect::<Read<_>>()?;
        Ok(Prices { by_grade, best_first: self.best_first.into() })
    }
}

/// Reads what is numbered, in order of the numbers.
pub(super) fn pages<T: Clone>(all: impl Iterator<Item = Read<(u32, T)>>) -> Read<Pages<T>> {
    let mut pages = Pages::default();
    let mut next = 0;
    for one in all {
        let (number, value) = one?;
        if u64::from(number) < next {
            return Err(DecodeError::Value("the order of numbers"));
        }
        next = u64::from(number) + 1;
        pages.insert(number, value);
    }
    Ok(pages)
}
