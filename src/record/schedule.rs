//! The wire format of schedules: their plans, their events, and their section of a snapshot.

mod prices;
mod selling;
mod terms;

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(super) use self::prices::FeeWire;
use self::prices::PricesWire;
use self::selling::{
    AllotmentWire, CodeTermsWire, CodesWire, PhaseWire, allotment_id, aside_in, aside_out, code_in, phase_id,
    prefix_in,
};
use self::terms::{HeldMore, order_in, terms_in, terms_out};
use super::DecodeError;
use super::fields::{
    KeyUseWire, KeyWire, More, Read, concert_id, currency_in, currency_out, instant_in, instant_out, key_in,
    key_out, keys_in, keys_out, money, pages, schedule_id, seats_in, seats_out, user_id, venue_id,
};
use crate::domain::ids::{PaymentId, ReservationNumber, ScheduleNumber, UserId};
use crate::domain::schedule::policy::{Casting, Plan, Policy, QueueOrder, QueuePolicy};
use crate::domain::schedule::{
    Answer, Archived, Counts, Creation, End, Ended, Event, Image, Limits, Reservation, ReservationStatus,
    SaleStatus, Summary,
};
use crate::domain::time::{Seconds, Timestamp};

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
        more: More<HeldMore>,
    },
    SeatsExchanged {
        number: u32,
        seats: Vec<u32>,
        more: More<HeldMore>,
    },
    HoldReleased(u32),
    HoldExpired(u32),
    PaymentBegun {
        number: u32,
        payment: u128,
        expires_at: u64,
        /// The deadline before it, which is back if the payment fails; absent where it stays.
        held_until: Option<u64>,
        more: More,
    },
    PaymentFailed {
        number: u32,
        /// The deadline that is back; absent where it has stayed.
        expires_at: Option<u64>,
        more: More,
    },
    ReservationConfirmed {
        number: u32,
        payment: u128,
        more: More,
    },
    ReservationCancelled(u32),
    OutageBridged {
        began: u64,
        down_since: u64,
    },
    KeyKept(Option<u32>),
    PricesSet(PricesWire),
    Archived {
        payments: u64,
        more: More,
    },
    PhaseOpened {
        phase: String,
        prices: Option<PricesWire>,
        more: More,
    },
    PhaseClosed(String),
    CodePut {
        code: String,
        terms: Box<CodeTermsWire>,
        created: bool,
        more: More,
    },
    CodesMade {
        prefix: String,
        terms: Box<CodeTermsWire>,
        drawn: Vec<u64>,
        more: More,
    },
    CodeEnded(String),
    AllotmentSet {
        terms: AllotmentWire,
        created: bool,
        more: More,
    },
    AllotmentReleased {
        id: String,
        seats: Vec<u32>,
        more: More<ReleasedMore>,
    },
    Ordered {
        number: u32,
        nonce: u64,
        payment: u128,
        /// Empty where it is nobody's.
        #[serde(borrow)]
        user: Cow<'a, str>,
        seats: Vec<u32>,
        more: More<HeldMore>,
    },
}

#[derive(Serialize, Deserialize)]
pub(super) enum ReleasedMore {
    /// The area, the count.
    Areas(Vec<(u16, u32)>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct CreationWire {
    number: u32,
    id: String,
    concert: String,
    venue: String,
    currency: [u8; 3],
    plan: PlanWire,
    limits: LimitsWire,
    more: More<CreationMore>,
}

#[derive(Serialize, Deserialize)]
enum CreationMore {
    /// Those that are set; in an image, while they aren't bound.
    Prices(PricesWire),
}

#[derive(Serialize, Deserialize)]
pub(super) struct PlanWire {
    starts_at: u64,
    ends_at: u64,
    sales_open_at: Option<u64>,
    sales_close_at: Option<u64>,
    casting: Vec<(String, CastingWire)>,
    policy: PolicyWire,
    more: More,
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
    more: More<PolicyMore>,
}

#[derive(Serialize, Deserialize)]
enum PolicyMore {
    AccessibleReleaseAt(u64),
    Phases(Vec<PhaseWire>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct QueueWire {
    active_max: u32,
    admit_per_minute: Option<u32>,
    active: u32,
    claim: u32,
    waiting: u32,
    idle: Option<u32>,
    order: u8,
    opens_at: Option<u64>,
    more: More,
}

#[derive(Serialize, Deserialize)]
pub(super) struct LimitsWire {
    ended_retention: u32,
    keys_max: u32,
    more: More,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ScheduleImageWire {
    creation: CreationWire,
    sale: u8,
    /// Those that are bound.
    prices: Option<PricesWire>,
    ever_confirmed: bool,
    blocked: Vec<u32>,
    reservations: Vec<ReservationWire>,
    last_reservation: u32,
    ended: Vec<(u64, u32)>,
    other_deadlines: Vec<(u32, u64)>,
    keys: Vec<KeyWire<AnswerWire>>,
    version: u64,
    seats_version: u64,
    last_instant: u64,
    more: More<ScheduleImageMore>,
}

#[derive(Serialize, Deserialize)]
enum ScheduleImageMore {
    /// The one that is open.
    Phase(String),
    Codes(CodesWire),
    Allotments(Vec<AllotmentWire>),
    /// Of cancelled reservations that are forgotten, by number.
    PartRefunds(Vec<(u32, u64)>),
}

/// What a snapshot keeps of a schedule whose stream has ended, while the catalogue doesn't say so yet.
#[derive(Serialize, Deserialize)]
pub(super) struct EndedWire {
    number: u32,
    version: u64,
    last_instant: u64,
    end: EndWire,
    more: More,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ArchivedWire {
    version: u64,
    payments: u64,
    opened: bool,
    more: More,
}

impl ArchivedWire {
    pub(super) fn from_domain(archived: Archived) -> Self {
        let Archived { version, payments, opened } = archived;
        Self { version, payments, opened, more: More::default() }
    }

    pub(super) fn into_domain(self) -> Archived {
        Archived { version: self.version, payments: self.payments, opened: self.opened }
    }
}

#[derive(Serialize, Deserialize)]
enum EndWire {
    Removed(Option<KeyUseWire>),
    Archived(ArchivedWire),
}

#[derive(Serialize, Deserialize)]
struct ReservationWire {
    number: u32,
    nonce: u64,
    user: String,
    seats: Vec<u32>,
    status: u8,
    created_at: u64,
    expires_at: u64,
    confirmed_at: Option<u64>,
    cancelled_at: Option<u64>,
    ended_at: Option<u64>,
    payment: Option<u128>,
    deadline_moved: bool,
    recovered: bool,
    more: More<HeldMore>,
}

#[derive(Serialize, Deserialize)]
enum AnswerWire {
    Reservation(ReservationWire),
    Schedule { sale: u8, counts: [u32; 4], plan: Box<PlanWire>, seats_version: u64, more: More<SummaryMore> },
    Put { created: bool },
    Batch(u32),
}

#[derive(Serialize, Deserialize)]
enum SummaryMore {
    Phase(String),
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
            Event::Archived { payments } => Self::Archived { payments: *payments, more: More::default() },

            Event::SeatsBlocked { seats } => Self::SeatsBlocked(seats_out(seats)),
            Event::SeatsUnblocked { seats } => Self::SeatsUnblocked(seats_out(seats)),
            Event::SeatsHeld { number, nonce, user, seats, expires_at, terms } => Self::SeatsHeld {
                number: number.0,
                nonce: *nonce,
                user: Cow::Borrowed(user.as_str()),
                seats: seats_out(seats),
                expires_at: expires_at.as_millis(),
                more: terms_out(terms.as_deref()),
            },
            Event::SeatsExchanged { number, seats, terms } => Self::SeatsExchanged {
                number: number.0,
                seats: seats_out(seats),
                more: terms_out(terms.as_deref()),
            },
            Event::HoldReleased { number } => Self::HoldReleased(number.0),
            Event::HoldExpired { number } => Self::HoldExpired(number.0),

            Event::PaymentBegun { number, payment, expires_at, held_until } => Self::PaymentBegun {
                number: number.0,
                payment: payment.bits(),
                expires_at: expires_at.as_millis(),
                held_until: instant_out(*held_until),
                more: More::default(),
            },
            Event::PaymentFailed { number, expires_at } => Self::PaymentFailed {
                number: number.0,
                expires_at: instant_out(*expires_at),
                more: More::default(),
            },
            Event::ReservationConfirmed { number, payment } => Self::ReservationConfirmed {
                number: number.0,
                payment: payment.bits(),
                more: More::default(),
            },
            Event::ReservationCancelled { number } => Self::ReservationCancelled(number.0),

            Event::OutageBridged { began, down_since } => {
                Self::OutageBridged { began: began.as_millis(), down_since: down_since.as_millis() }
            }
            Event::KeyKept { number } => Self::KeyKept(number.map(|number| number.0)),
            Event::PricesSet { prices } => Self::PricesSet(PricesWire::from_domain(prices)),

            Event::PhaseOpened { phase, prices } => Self::PhaseOpened {
                phase: phase.to_string(),
                prices: prices.as_deref().map(PricesWire::from_domain),
                more: More::default(),
            },
            Event::PhaseClosed { phase } => Self::PhaseClosed(phase.to_string()),
            Event::CodePut { code, terms, created } => Self::CodePut {
                code: code.to_string(),
                terms: Box::new(CodeTermsWire::from_domain(terms)),
                created: *created,
                more: More::default(),
            },
            Event::CodesMade { prefix, terms, drawn } => Self::CodesMade {
                prefix: prefix.as_str().to_owned(),
                terms: Box::new(CodeTermsWire::from_domain(terms)),
                drawn: drawn.to_vec(),
                more: More::default(),
            },
            Event::CodeEnded { code } => Self::CodeEnded(code.to_string()),
            Event::AllotmentSet { terms, created } => Self::AllotmentSet {
                terms: AllotmentWire::from_domain(terms),
                created: *created,
                more: More::default(),
            },
            Event::AllotmentReleased { id, seats, areas } => {
                let areas = (!areas.is_empty()).then(|| ReleasedMore::Areas(aside_out(areas)));
                let more = areas.into_iter().collect();
                Self::AllotmentReleased { id: id.to_string(), seats: seats_out(seats), more }
            }
            Event::Ordered { number, nonce, payment, user, seats, terms } => Self::Ordered {
                number: number.0,
                nonce: *nonce,
                payment: payment.bits(),
                user: Cow::Borrowed(user.as_deref().unwrap_or_default()),
                seats: seats_out(seats),
                more: terms_out(Some(terms)),
            },
        }
    }

    pub(super) fn into_domain(self) -> Read<Event> {
        Ok(match self {
            Self::Created(creation) => Event::Created(Box::new(creation.into_domain()?)),
            Self::Replanned(plan) => Event::Replanned { plan: Arc::new(plan.into_domain()?) },
            Self::LimitsSet(limits) => Event::LimitsSet { limits: limits.into_domain() },
            Self::SalesOpened(None) => Event::SalesOpened { prices: None },
            Self::SalesOpened(Some(prices)) => {
                Event::SalesOpened { prices: Some(Arc::new(prices.into_domain()?)) }
            }
            Self::SalesClosed => Event::SalesClosed,
            Self::ScheduleCancelled => Event::ScheduleCancelled,
            Self::Deleted => Event::Deleted,
            Self::Archived { payments, more: _ } => Event::Archived { payments },

            Self::SeatsBlocked(seats) => Event::SeatsBlocked { seats: seats_in(seats) },
            Self::SeatsUnblocked(seats) => Event::SeatsUnblocked { seats: seats_in(seats) },
            Self::SeatsHeld { number, nonce, user, seats, expires_at, more } => Event::SeatsHeld {
                number: ReservationNumber(number),
                nonce,
                user: user_id(&user)?,
                seats: seats_in(seats),
                expires_at: Timestamp::from_millis(expires_at),
                terms: terms_in(more)?,
            },
            Self::SeatsExchanged { number, seats, more } => Event::SeatsExchanged {
                number: ReservationNumber(number),
                seats: seats_in(seats),
                terms: terms_in(more)?,
            },
            Self::HoldReleased(number) => Event::HoldReleased { number: ReservationNumber(number) },
            Self::HoldExpired(number) => Event::HoldExpired { number: ReservationNumber(number) },

            Self::PaymentBegun { number, payment, expires_at, held_until, more: _ } => Event::PaymentBegun {
                number: ReservationNumber(number),
                payment: PaymentId::from_bits(payment),
                expires_at: Timestamp::from_millis(expires_at),
                held_until: instant_in(held_until),
            },
            Self::PaymentFailed { number, expires_at, more: _ } => {
                Event::PaymentFailed { number: ReservationNumber(number), expires_at: instant_in(expires_at) }
            }
            Self::ReservationConfirmed { number, payment, more: _ } => Event::ReservationConfirmed {
                number: ReservationNumber(number),
                payment: PaymentId::from_bits(payment),
            },
            Self::ReservationCancelled(number) => {
                Event::ReservationCancelled { number: ReservationNumber(number) }
            }

            Self::OutageBridged { began, down_since } => Event::OutageBridged {
                began: Timestamp::from_millis(began),
                down_since: Timestamp::from_millis(down_since),
            },
            Self::KeyKept(number) => Event::KeyKept { number: number.map(ReservationNumber) },
            Self::PricesSet(prices) => Event::PricesSet { prices: Arc::new(prices.into_domain()?) },

            Self::PhaseOpened { phase, prices, more: _ } => Event::PhaseOpened {
                phase: phase_id(&phase)?,
                prices: prices.map(PricesWire::into_domain).transpose()?.map(Arc::new),
            },
            Self::PhaseClosed(phase) => Event::PhaseClosed { phase: phase_id(&phase)? },
            Self::CodePut { code, terms, created, more: _ } => {
                Event::CodePut { code: code_in(&code)?, terms: Arc::new(terms.into_domain()?), created }
            }
            Self::CodesMade { prefix, terms, drawn, more: _ } => Event::CodesMade {
                prefix: prefix_in(&prefix)?,
                terms: Arc::new(terms.into_domain()?),
                drawn: drawn.into(),
            },
            Self::CodeEnded(code) => Event::CodeEnded { code: code_in(&code)? },
            Self::AllotmentSet { terms, created, more: _ } => {
                Event::AllotmentSet { terms: Arc::new(terms.into_domain()?), created }
            }
            Self::AllotmentReleased { id, seats, more } => {
                let mut areas = Arc::default();
                for field in more {
                    match field {
                        ReleasedMore::Areas(left) => areas = aside_in(left)?,
                    }
                }
                Event::AllotmentReleased { id: allotment_id(&id)?, seats: seats_in(seats), areas }
            }
            Self::Ordered { number, nonce, payment, user, seats, more } => Event::Ordered {
                number: ReservationNumber(number),
                nonce,
                payment: PaymentId::from_bits(payment),
                user: user_or_nobody(&user)?,
                seats: seats_in(seats),
                terms: order_in(more)?,
            },
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
            currency: currency_out(creation.currency),
            plan: PlanWire::from_domain(&creation.plan),
            limits: LimitsWire::from_domain(creation.limits),
            more: creation
                .prices
                .iter()
                .map(|prices| CreationMore::Prices(PricesWire::from_domain(prices)))
                .collect(),
        }
    }

    pub(super) fn into_domain(self) -> Read<Creation> {
        let mut prices = None;
        for field in self.more {
            match field {
                CreationMore::Prices(set) => prices = Some(Arc::new(set.into_domain()?)),
            }
        }

        Ok(Creation {
            number: ScheduleNumber(self.number),
            id: schedule_id(&self.id)?,
            concert: concert_id(&self.concert)?,
            venue: venue_id(&self.venue)?,
            currency: currency_in(self.currency)?,
            plan: Arc::new(self.plan.into_domain()?),
            limits: self.limits.into_domain(),
            prices,
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

        Self {
            starts_at: plan.starts_at.as_millis(),
            ends_at: plan.ends_at.as_millis(),
            sales_open_at: instant_out(plan.sales_open_at),
            sales_close_at: instant_out(plan.sales_close_at),
            casting: plan.casting.iter().map(casting).collect(),
            policy: PolicyWire::from_domain(&plan.policy),
            more: More::default(),
        }
    }

    pub(super) fn into_domain(self) -> Read<Plan> {
        let casting = |(role, casting): (String, CastingWire)| {
            let casting = match casting {
                CastingWire::One(name) => Casting::One(name),
                CastingWire::Many(names) => Casting::Many(names),
            };
            (role, casting)
        };

        Ok(Plan {
            starts_at: Timestamp::from_millis(self.starts_at),
            ends_at: Timestamp::from_millis(self.ends_at),
            sales_open_at: instant_in(self.sales_open_at),
            sales_close_at: instant_in(self.sales_close_at),
            casting: self.casting.into_iter().map(casting).collect(),
            policy: self.policy.into_domain()?,
        })
    }
}

impl PolicyWire {
    fn from_domain(policy: &Policy) -> Self {
        let phases = (!policy.phases.is_empty())
            .then(|| PolicyMore::Phases(policy.phases.iter().map(PhaseWire::from_domain).collect()));
        Self {
            hold: policy.hold.get(),
            seats_per_reservation_max: policy.seats_per_reservation_max,
            seats_per_user_max: policy.seats_per_user_max,
            payment: policy.payment.get(),
            cancel_until_before_start: policy.cancel_until_before_start.get(),
            prevent_orphan_seats: policy.prevent_orphan_seats,
            recovery_grace: policy.recovery_grace.get(),
            queue: policy.queue.as_ref().map(QueueWire::from_domain),
            more: instant_out(policy.accessible_release_at)
                .map(PolicyMore::AccessibleReleaseAt)
                .into_iter()
                .chain(phases)
                .collect(),
        }
    }

    fn into_domain(self) -> Read<Policy> {
        let (mut accessible_release_at, mut phases) = (None, Vec::new());
        for field in self.more {
            match field {
                PolicyMore::AccessibleReleaseAt(at) => {
                    accessible_release_at = Some(Timestamp::from_millis(at));
                }
                PolicyMore::Phases(set) => {
                    phases = set.into_iter().map(PhaseWire::into_domain).collect::<Read<_>>()?;
                }
            }
        }

        Ok(Policy {
            hold: Seconds::new(self.hold),
            seats_per_reservation_max: self.seats_per_reservation_max,
            seats_per_user_max: self.seats_per_user_max,
            payment: Seconds::new(self.payment),
            cancel_until_before_start: Seconds::new(self.cancel_until_before_start),
            prevent_orphan_seats: self.prevent_orphan_seats,
            recovery_grace: Seconds::new(self.recovery_grace),
            queue: self.queue.map(QueueWire::into_domain).transpose()?,
            accessible_release_at,
            phases,
        })
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
            idle: queue.idle.map(Seconds::get),
            order: match queue.order {
                QueueOrder::Fifo => 0,
                QueueOrder::Shuffle => 1,
            },
            opens_at: instant_out(queue.opens_at),
            more: More::default(),
        }
    }

    pub(super) fn into_domain(self) -> Read<QueuePolicy> {
        Ok(QueuePolicy {
            active_max: self.active_max,
            admit_per_minute: self.admit_per_minute,
            active: Seconds::new(self.active),
            claim: Seconds::new(self.claim),
            waiting: Seconds::new(self.waiting),
            idle: self.idle.map(Seconds::new),
            order: match self.order {
                0 => QueueOrder::Fifo,
                1 => QueueOrder::Shuffle,
                _ => return Err(DecodeError::Value("a waiting room's order")),
            },
            opens_at: instant_in(self.opens_at),
        })
    }
}

impl LimitsWire {
    pub(super) fn from_domain(limits: Limits) -> Self {
        Self {
            ended_retention: limits.ended_retention.get(),
            keys_max: limits.keys_max,
            more: More::default(),
        }
    }

    pub(super) fn into_domain(self) -> Limits {
        Limits { ended_retention: Seconds::new(self.ended_retention), keys_max: self.keys_max }
    }
}

impl ScheduleImageWire {
    pub(super) fn from_domain(image: &Image) -> Self {
        // Prices that can still change stand with the creation. Bound ones have a field of their own, which
        // says by being there that the sale was opened.
        let creation = Creation {
            number: image.number,
            id: image.id.clone(),
            concert: image.concert.clone(),
            venue: image.venue.clone(),
            currency: image.currency,
            plan: Arc::clone(&image.plan),
            limits: image.limits,
            prices: image.prices.clone().filter(|_| !image.opened),
        };
        let bound = image.prices.as_deref().filter(|_| image.opened);

        let deadlines = image.other_deadlines.iter().map(|(number, at)| (*number, at.as_millis()));

        let phase = image.phase.as_ref().map(|phase| ScheduleImageMore::Phase(phase.to_string()));
        let codes =
            image.codes.as_deref().map(|codes| ScheduleImageMore::Codes(CodesWire::from_domain(codes)));
        let allotments = image.allotments.iter().map(|terms| AllotmentWire::from_domain(terms));
        let allotments =
            (!image.allotments.is_empty()).then(|| ScheduleImageMore::Allotments(allotments.collect()));
        let refunds = image.part_refunds.iter().map(|(number, back)| (*number, back.minor()));
        let refunds =
            (!image.part_refunds.is_empty()).then(|| ScheduleImageMore::PartRefunds(refunds.collect()));
        let more = [phase, codes, allotments, refunds];

        Self {
            creation: CreationWire::from_domain(&creation),
            sale: sale_out(image.sale),
            prices: bound.map(PricesWire::from_domain),
            ever_confirmed: image.ever_confirmed,
            blocked: seats_out(&image.blocked),
            reservations: image.reservations.iter().map(ReservationWire::from_domain).collect(),
            last_reservation: image.last_reservation,
            ended: image.ended.iter().map(|(at, number)| (at.as_millis(), *number)).collect(),
            other_deadlines: deadlines.collect(),
            keys: keys_out(&image.keys, AnswerWire::from_domain),
            version: image.version,
            seats_version: image.seats_version,
            last_instant: image.last_instant.as_millis(),
            more: more.into_iter().flatten().collect(),
        }
    }

    pub(super) fn into_domain(self) -> Read<Image> {
        let creation = self.creation.into_domain()?;
        let bound = self.prices.map(PricesWire::into_domain).transpose()?;
        let opened = bound.is_some();

        let reservations = self.reservations.into_iter().map(|kept| Ok((kept.number, kept.into_domain()?)));
        let ended = self.ended.into_iter().map(|(at, number)| (Timestamp::from_millis(at), number));
        let deadlines =
            self.other_deadlines.into_iter().map(|(number, at)| (number, Timestamp::from_millis(at)));

        let (mut phase, mut codes, mut allotments, mut part_refunds) = (None, None, Vec::new(), Vec::new());
        for field in self.more {
            match field {
                ScheduleImageMore::Phase(open) => phase = Some(phase_id(&open)?),
                ScheduleImageMore::Codes(kept) => codes = Some(Box::new(kept.into_domain()?)),
                ScheduleImageMore::Allotments(kept) => {
                    let kept = kept.into_iter().map(|terms| Ok(Arc::new(terms.into_domain()?)));
                    allotments = kept.collect::<Read<_>>()?;
                }
                ScheduleImageMore::PartRefunds(kept) => {
                    let kept = kept.into_iter().map(|(number, back)| Ok((number, money(back)?)));
                    part_refunds = kept.collect::<Read<_>>()?;
                }
            }
        }

        Ok(Image {
            phase,
            codes,
            allotments,
            part_refunds,
            number: creation.number,
            id: creation.id,
            concert: creation.concert,
            venue: creation.venue,
            currency: creation.currency,
            plan: creation.plan,
            limits: creation.limits,
            sale: sale_in(self.sale)?,
            prices: bound.map(Arc::new).or(creation.prices),
            opened,
            ever_confirmed: self.ever_confirmed,
            blocked: seats_in(self.blocked).to_vec(),
            reservations: pages(reservations)?,
            last_reservation: self.last_reservation,
            ended: ended.collect(),
            other_deadlines: deadlines.collect(),
            keys: keys_in(self.keys, AnswerWire::into_domain)?,
            version: self.version,
            seats_version: self.seats_version,
            last_instant: Timestamp::from_millis(self.last_instant),
        })
    }
}

impl EndedWire {
    pub(super) fn from_domain(ended: &Ended) -> Self {
        let end = match ended.end {
            End::Removed(key) => EndWire::Removed(key.map(key_out)),
            End::Archived(archived) => EndWire::Archived(ArchivedWire::from_domain(archived)),
        };
        let (version, last_instant) = (ended.version, ended.last_instant.as_millis());
        Self { number: ended.number.0, version, last_instant, end, more: More::default() }
    }

    pub(super) fn into_domain(self) -> Ended {
        let end = match self.end {
            EndWire::Removed(key) => End::Removed(key.map(key_in)),
            EndWire::Archived(archived) => End::Archived(archived.into_domain()),
        };
        let (version, last_instant) = (self.version, Timestamp::from_millis(self.last_instant));
        Ended { number: ScheduleNumber(self.number), version, last_instant, end }
    }
}

impl ReservationWire {
    fn from_domain(reservation: &Reservation) -> Self {
        Self {
            number: reservation.number.0,
            nonce: reservation.nonce,
            user: reservation.user.as_deref().unwrap_or_default().to_owned(),
            seats: seats_out(&reservation.seats),
            status: status_out(reservation.status),
            created_at: reservation.created_at.as_millis(),
            expires_at: reservation.expires_at.as_millis(),
            confirmed_at: instant_out(reservation.confirmed_at),
            cancelled_at: instant_out(reservation.cancelled_at),
            ended_at: instant_out(reservation.ended_at),
            payment: reservation.payment.map(PaymentId::bits),
            deadline_moved: reservation.deadline_moved,
            recovered: reservation.recovered,
            more: terms_out(reservation.terms.as_deref()),
        }
    }

    fn into_domain(self) -> Read<Reservation> {
        Ok(Reservation {
            number: ReservationNumber(self.number),
            nonce: self.nonce,
            user: user_or_nobody(&self.user)?,
            seats: seats_in(self.seats),
            terms: terms_in(self.more)?,
            status: status_in(self.status)?,
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: Timestamp::from_millis(self.expires_at),
            confirmed_at: instant_in(self.confirmed_at),
            cancelled_at: instant_in(self.cancelled_at),
            ended_at: instant_in(self.ended_at),
            payment: self.payment.map(PaymentId::from_bits),
            deadline_moved: self.deadline_moved,
            recovered: self.recovered,
        })
    }
}

/// Reads a user's id; nobody's is empty, which no user's is.
fn user_or_nobody(text: &str) -> Read<Option<UserId>> {
    (!text.is_empty()).then(|| user_id(text)).transpose()
}

/// Reads the terms of an order, which has them all.
impl AnswerWire {
    fn from_domain(answer: &Answer) -> Self {
        match answer {
            Answer::Reservation(reservation) => Self::Reservation(ReservationWire::from_domain(reservation)),
            Answer::Schedule(summary) => {
                let counts = summary.counts;
                Self::Schedule {
                    sale: sale_out(summary.status),
                    counts: [counts.available, counts.held, counts.reserved, counts.blocked],
                    plan: Box::new(PlanWire::from_domain(&summary.plan)),
                    seats_version: summary.seats_version,
                    more: summary.phase.iter().map(|phase| SummaryMore::Phase(phase.to_string())).collect(),
                }
            }
            Answer::Put { created } => Self::Put { created: *created },
            Answer::Batch(batch) => Self::Batch(*batch),
        }
    }

    fn into_domain(self) -> Read<Answer> {
        Ok(match self {
            Self::Reservation(reservation) => Answer::Reservation(reservation.into_domain()?),
            Self::Schedule {
                sale,
                counts: [available, held, reserved, blocked],
                plan,
                seats_version,
                more,
            } => {
                let mut phase = None;
                for field in more {
                    match field {
                        SummaryMore::Phase(open) => phase = Some(phase_id(&open)?),
                    }
                }
                Answer::Schedule(Summary {
                    status: sale_in(sale)?,
                    phase,
                    counts: Counts { available, held, reserved, blocked },
                    plan: Arc::new(plan.into_domain()?),
                    seats_version,
                })
            }
            Self::Put { created } => Answer::Put { created },
            Self::Batch(batch) => Answer::Batch(batch),
        })
    }
}

fn sale_out(sale: SaleStatus) -> u8 {
    match sale {
        SaleStatus::Upcoming => 0,
        SaleStatus::Open => 1,
        SaleStatus::Closed => 2,
        SaleStatus::Cancelled => 3,
    }
}

pub(super) fn sale_in(sale: u8) -> Read<SaleStatus> {
    match sale {
        0 => Ok(SaleStatus::Upcoming),
        1 => Ok(SaleStatus::Open),
        2 => Ok(SaleStatus::Closed),
        3 => Ok(SaleStatus::Cancelled),
        _ => Err(DecodeError::Value("a sale's status")),
    }
}

fn status_out(status: ReservationStatus) -> u8 {
    match status {
        ReservationStatus::Held => 0,
        ReservationStatus::Paying => 1,
        ReservationStatus::Confirmed => 2,
        ReservationStatus::Cancelled => 3,
        ReservationStatus::Released => 4,
        ReservationStatus::Expired => 5,
    }
}

pub(super) fn status_in(status: u8) -> Read<ReservationStatus> {
    match status {
        0 => Ok(ReservationStatus::Held),
        1 => Ok(ReservationStatus::Paying),
        2 => Ok(ReservationStatus::Confirmed),
        3 => Ok(ReservationStatus::Cancelled),
        4 => Ok(ReservationStatus::Released),
        5 => Ok(ReservationStatus::Expired),
        _ => Err(DecodeError::Value("a reservation's status")),
    }
}
