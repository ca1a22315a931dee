//! The events of the catalogue and of schedules, and their parts.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::domain::catalogue::CatalogueEvent;
use crate::domain::concert::{Concert, PricedGrade, Prices};
use crate::domain::ids::{PaymentId, ReservationNumber, ScheduleNumber, SeatId};
use crate::domain::schedule::policy::{Casting, Plan, Policy, QueueOrder, QueuePolicy};
use crate::domain::schedule::{Archived, Creation, Event, Limits};
use crate::domain::time::{Seconds, Timestamp};
use crate::domain::venue::{ListedSeat, Row, RowSeats, Section, Venue};
use crate::record::DecodeError;
use crate::record::fields::{
    Read, concert_id, currency, grade_name, instant_in, key_in, money, schedule_id, seats_in, user_id,
    venue_id,
};

#[derive(Deserialize)]
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
#[derive(Deserialize)]
pub(super) struct ArchivedWire(u64, u64, bool);

impl ArchivedWire {
    pub(super) fn into_domain(self) -> Archived {
        Archived { version: self.0, payments: self.1, opened: self.2 }
    }
}

#[derive(Deserialize)]
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

#[derive(Deserialize)]
pub(super) struct VenueWire {
    id: String,
    name: String,
    address: String,
    kind: String,
    time_zone: String,
    sections: Vec<SectionWire>,
}

#[derive(Deserialize)]
struct SectionWire {
    id: String,
    floor: String,
    rows: Vec<RowWire>,
}

#[derive(Deserialize)]
struct RowWire {
    id: String,
    grade: String,
    seats: RowSeatsWire,
}

#[derive(Deserialize)]
enum RowSeatsWire {
    Length(u32),
    Listed(Vec<(String, u32)>),
}

#[derive(Deserialize)]
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

#[derive(Deserialize)]
struct GradeWire {
    name: String,
    price: u64,
    color: String,
    description: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct CreationWire {
    pub(super) number: u32,
    pub(super) id: String,
    pub(super) concert: String,
    pub(super) venue: String,
    pub(super) currency: String,
    pub(super) plan: PlanWire,
    pub(super) limits: LimitsWire,
}

#[derive(Deserialize)]
pub(super) struct PlanWire {
    starts_at: u64,
    ends_at: u64,
    sales_open_at: Option<u64>,
    sales_close_at: Option<u64>,
    casting: Vec<(String, CastingWire)>,
    policy: PolicyWire,
}

#[derive(Deserialize)]
enum CastingWire {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
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

#[derive(Deserialize)]
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

#[derive(Deserialize)]
pub(super) struct LimitsWire {
    ended_retention: u32,
    keys_max: u32,
}

#[derive(Deserialize)]
pub(super) struct PricesWire {
    by_grade: Vec<u64>,
    best_first: Vec<u16>,
}

impl CatalogueEventWire {
    pub(super) fn into_domain(self) -> Read<CatalogueEvent> {
        Ok(match self {
            Self::VenuePut(venue) => CatalogueEvent::VenuePut(Arc::new(venue.into_domain()?)),
            Self::ConcertPut(concert) => CatalogueEvent::ConcertPut(Arc::new(concert.into_domain()?)),
            Self::ScheduleListed { id, number, concert } => CatalogueEvent::ScheduleListed {
                id: schedule_id(&id)?,
                number: ScheduleNumber(number),
                concert: concert_id(&concert)?,
                creation: None,
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

impl ScheduleEventWire<'_> {
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
                terms: None,
            },
            Self::SeatsExchanged { number, seats } => Event::SeatsExchanged {
                number: ReservationNumber(number),
                seats: seats_in(seats),
                terms: None,
            },
            Self::HoldReleased(number) => Event::HoldReleased { number: ReservationNumber(number) },
            Self::HoldExpired(number) => Event::HoldExpired { number: ReservationNumber(number) },

            // A field that came later is an event of its own here: with it, or without.
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
                let down_since = Timestamp::from_millis(down_since);
                Event::OutageBridged { began: down_since, down_since }
            }
            Self::OutageContinued { began, down_since } => Event::OutageBridged {
                began: Timestamp::from_millis(began),
                down_since: Timestamp::from_millis(down_since),
            },
            Self::KeyKept(number) => Event::KeyKept { number: number.map(ReservationNumber) },
        })
    }
}

impl VenueWire {
    pub(super) fn into_domain(self) -> Read<Venue> {
        let seat = |(id, number): (String, u32)| {
            let id = SeatId::parse(&id).map_err(|_| DecodeError::Value("a seat id"))?;
            Ok(ListedSeat::new(id, number))
        };
        let row = |row: RowWire| -> Read<Row> {
            let seats = match row.seats {
                RowSeatsWire::Length(length) => RowSeats::Length(length),
                RowSeatsWire::Listed(seats) => {
                    RowSeats::Listed(seats.into_iter().map(seat).collect::<Read<_>>()?)
                }
            };
            Ok(Row { id: row.id, grade: grade_name(&row.grade)?, line: None, seats })
        };
        let section = |section: SectionWire| -> Read<Section> {
            let rows = section.rows.into_iter().map(row).collect::<Read<_>>()?;
            Ok(Section { id: section.id, floor: section.floor, outline: None, rows })
        };

        Ok(Venue {
            id: venue_id(&self.id)?,
            name: self.name,
            address: self.address,
            kind: self.kind,
            time_zone: self.time_zone,
            stage: None,
            sections: self.sections.into_iter().map(section).collect::<Read<_>>()?,
            areas: Vec::new(),
        })
    }
}

impl ConcertWire {
    pub(super) fn into_domain(self) -> Read<Concert> {
        let grade = |grade: GradeWire| -> Read<PricedGrade> {
            Ok(PricedGrade {
                name: grade_name(&grade.name)?,
                price: money(grade.price)?,
                color: grade.color,
                description: grade.description,
                prices: BTreeMap::new(),
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
            price_types: Vec::new(),
            fees: Vec::new(),
        })
    }
}

impl CreationWire {
    pub(super) fn into_domain(self) -> Read<Creation> {
        Ok(Creation {
            number: ScheduleNumber(self.number),
            id: schedule_id(&self.id)?,
            concert: concert_id(&self.concert)?,
            venue: venue_id(&self.venue)?,
            currency: currency(&self.currency)?,
            plan: Arc::new(self.plan.into_domain()),
            limits: self.limits.into_domain(),
            prices: None,
        })
    }
}

impl PlanWire {
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
                accessible_release_at: None,
                phases: Vec::new(),
            },
        }
    }
}

impl QueueWire {
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
    pub(super) fn into_domain(self) -> Limits {
        Limits { ended_retention: Seconds::new(self.ended_retention), keys_max: self.keys_max }
    }
}

impl PricesWire {
    pub(super) fn into_domain(self) -> Read<Prices> {
        let by_grade = self.by_grade.into_iter().map(money).collect::<Read<_>>()?;
        Ok(Prices { by_grade, best_first: self.best_first.into(), tariff: None })
    }
}
