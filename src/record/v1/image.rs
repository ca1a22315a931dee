//! The sections of a snapshot: one aggregate each, or a part of one.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::money::{AccountsImageWire, CarriedWire, GatewayAnswerWire, GatewayWire, PaymentsImageWire};
use super::room::{PeopleWire, RoomImageWire};
use super::users::{UsersImageWire, UsersPartWire};
use super::wire::{ArchivedWire, ConcertWire, CreationWire, PlanWire, PricesWire, VenueWire};
use crate::domain::catalogue::{Catalogue, Listing, Replans};
use crate::domain::ids::{PaymentId, ReservationNumber, ScheduleNumber};
use crate::domain::schedule::{Answer, Archived, Counts, Image, Reservation, Summary};
use crate::domain::time::Timestamp;
use crate::record::DecodeError;
use crate::record::catalogue::CatalogueParts;
use crate::record::fields::{
    KeyWire, Read, concert_id, instant_in, key_in, keys_in, pages, schedule_id, seats_in, user_id,
};
use crate::record::schedule::{sale_in, status_in};

#[derive(Deserialize)]
pub(super) enum SectionWire<'a> {
    Catalogue(CatalogueImageWire),
    Schedule(Box<ScheduleImageWire>),
    #[serde(borrow)]
    People(PeopleWire<'a>),
    WaitingRoom(Box<RoomImageWire>),
    Accounts(Box<AccountsImageWire>),
    Payments(Box<PaymentsImageWire>),
    #[serde(borrow)]
    UsersPart(UsersPartWire<'a>),
    Users(Box<UsersImageWire>),
    Archived(Vec<(u32, ArchivedWire)>),
    Carried(CarriedWire),
    Replans(ReplansWire),
    ScheduleWithDeadlines(Box<ScheduleImageWire>, Vec<(u32, u64)>),
    PaymentsWithAnswers(Box<PaymentsImageWire>, Vec<GatewayAnswerWire>),
    PaymentsThrough(Box<PaymentsImageWire>, Vec<GatewayAnswerWire>, Vec<GatewayWire>),
}

/// The plans that schedules are to have, by id, and the key whose effect they are.
#[derive(Deserialize)]
pub(super) struct ReplansWire(Vec<(String, PlanWire)>, Option<(u128, u128)>);

impl ReplansWire {
    pub(super) fn into_domain(self) -> Read<Replans> {
        let plan = |(id, plan): (String, PlanWire)| Ok((schedule_id(&id)?, Arc::new(plan.into_domain())));
        let plans = self.0.into_iter().map(plan).collect::<Read<Vec<_>>>()?;
        Ok(Replans { plans, key: self.1.map(key_in) })
    }
}

#[derive(Deserialize)]
pub(super) struct CatalogueImageWire {
    venues: Vec<VenueWire>,
    concerts: Vec<ConcertWire>,
    schedules: Vec<(String, u32, String)>,
    last_schedule: u32,
    keys: Vec<KeyWire<()>>,
    version: u64,
    last_instant: u64,
}

#[derive(Deserialize)]
pub(super) struct ScheduleImageWire {
    creation: CreationWire,
    sale: u8,
    prices: Option<PricesWire>,
    ever_confirmed: bool,
    blocked: Vec<u32>,
    reservations: Vec<ReservationWire>,
    last_reservation: u32,
    ended: Vec<(u64, u32)>,
    keys: Vec<KeyWire<AnswerWire>>,
    version: u64,
    seats_version: u64,
    last_instant: u64,
}

#[derive(Deserialize)]
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
}

#[derive(Deserialize)]
enum AnswerWire {
    Reservation(ReservationWire),
    Schedule { sale: u8, counts: [u32; 4], plan: Box<PlanWire>, seats_version: u64 },
}

impl CatalogueImageWire {
    pub(super) fn into_domain(
        self,
        mut archived: BTreeMap<ScheduleNumber, Archived>,
        replans: Replans,
    ) -> Read<Catalogue> {
        let mut listings = Vec::new();
        for (id, number, concert) in self.schedules {
            let number = ScheduleNumber(number);
            let listing =
                Listing { number, concert: concert_id(&concert)?, archived: archived.remove(&number) };
            listings.push((schedule_id(&id)?, listing));
        }
        // An archived schedule that the catalogue doesn't list would be lost.
        if !archived.is_empty() {
            return Err(DecodeError::Value("a schedule in the archive"));
        }

        listings.sort_unstable_by_key(|(_, listing)| listing.number);
        let parts = CatalogueParts {
            venues: self.venues.into_iter().map(VenueWire::into_domain).collect::<Read<_>>()?,
            concerts: self.concerts.into_iter().map(ConcertWire::into_domain).collect::<Read<_>>()?,
            listings,
            last_schedule: self.last_schedule,
            creations: Vec::new(),
            replans,
            keys: keys_in(self.keys, Ok)?,
            version: self.version,
            last_instant: Timestamp::from_millis(self.last_instant),
        };

        parts.build()
    }
}

impl ScheduleImageWire {
    pub(super) fn into_domain(self, deadlines: Vec<(u32, u64)>) -> Read<Image> {
        let creation = self.creation.into_domain()?;
        let prices = self.prices.map(PricesWire::into_domain).transpose()?;
        let reservations = self.reservations.into_iter().map(|kept| Ok((kept.number, kept.into_domain()?)));
        let deadlines = deadlines.into_iter().map(|(number, at)| (number, Timestamp::from_millis(at)));
        let ended = self.ended.into_iter().map(|(at, number)| (Timestamp::from_millis(at), number));

        Ok(Image {
            number: creation.number,
            id: creation.id,
            concert: creation.concert,
            venue: creation.venue,
            currency: creation.currency,
            plan: creation.plan,
            limits: creation.limits,
            sale: sale_in(self.sale)?,
            opened: prices.is_some(),
            prices: prices.map(Arc::new),
            ever_confirmed: self.ever_confirmed,
            phase: None,
            codes: None,
            allotments: Vec::new(),
            part_refunds: Vec::new(),
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

impl ReservationWire {
    fn into_domain(self) -> Read<Reservation> {
        Ok(Reservation {
            number: ReservationNumber(self.number),
            nonce: self.nonce,
            user: Some(user_id(&self.user)?),
            seats: seats_in(self.seats),
            terms: None,
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

impl AnswerWire {
    fn into_domain(self) -> Read<Answer> {
        Ok(match self {
            Self::Reservation(reservation) => Answer::Reservation(reservation.into_domain()?),
            Self::Schedule { sale, counts: [available, held, reserved, blocked], plan, seats_version } => {
                Answer::Schedule(Summary {
                    status: sale_in(sale)?,
                    phase: None,
                    counts: Counts { available, held, reserved, blocked },
                    plan: Arc::new(plan.into_domain()),
                    seats_version,
                })
            }
        })
    }
}
