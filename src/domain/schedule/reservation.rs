//! A reservation: seats of one schedule for one user, from hold to confirmation or end.

use std::sync::Arc;

use super::Pick;
use super::terms::{Order, PriceType, TakenFrom, Terms, Wish};
use crate::domain::ids::{PaymentId, ReservationId, ReservationNumber, ScheduleNumber, UserId};
use crate::domain::time::Timestamp;
use crate::domain::venue::{Area, Seat};

/// A reservation's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReservationStatus {
    /// The seats are the user's until the deadline.
    Held,
    /// A payment is under way; the seats are the user's until the deadline.
    Paying,
    /// Paid: the seats are the user's.
    Confirmed,
    /// It was confirmed, and was given back.
    Cancelled,
    /// The hold was given back before its deadline.
    Released,
    /// The hold ended at its deadline.
    Expired,
}

impl ReservationStatus {
    /// Tells whether the reservation owns its seats.
    pub const fn is_live(self) -> bool {
        match self {
            Self::Held | Self::Paying | Self::Confirmed => true,
            Self::Cancelled | Self::Released | Self::Expired => false,
        }
    }

    /// Tells whether the reservation ends by itself at its deadline.
    pub const fn has_deadline(self) -> bool {
        match self {
            Self::Held | Self::Paying => true,
            Self::Confirmed | Self::Cancelled | Self::Released | Self::Expired => false,
        }
    }

    /// Returns the word that clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Paying => "paying",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

/// Seats of one schedule for one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Its number in the schedule.
    pub number: ReservationNumber,
    /// The random part of its id.
    pub nonce: u64,
    /// Whose it is; nobody's, where a clerk sold it without saying.
    pub user: Option<UserId>,
    /// Its seats, in the order asked for.
    pub seats: Arc<[Seat]>,
    /// What of it isn't numbered seats at their grades' prices, where there is any.
    pub terms: Option<Arc<Terms>>,
    /// Its status.
    pub status: ReservationStatus,
    /// When it began.
    pub created_at: Timestamp,
    /// Its deadline: from this instant on a hold is over.
    pub expires_at: Timestamp,
    /// When it was confirmed.
    pub confirmed_at: Option<Timestamp>,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// When it ended (released, expired or cancelled), from which its retention counts.
    pub ended_at: Option<Timestamp>,
    /// The payment that is under way, or that stands for it.
    pub payment: Option<PaymentId>,
    /// Whether a payment has moved the deadline, which one may do once.
    pub deadline_moved: bool,
    /// Whether its deadline was moved because the engine was down.
    pub recovered: bool,
}

impl Reservation {
    /// Returns its full id, in its schedule.
    pub const fn full_id(&self, schedule: ScheduleNumber) -> ReservationId {
        ReservationId { schedule, number: self.number, nonce: self.nonce }
    }

    /// Returns how many places it has: seats, and places of areas.
    pub fn places(&self) -> u32 {
        places(&self.seats, self.terms.as_deref())
    }

    /// Returns the code that it used.
    pub fn code(&self) -> Option<&str> {
        self.terms.as_ref()?.code.as_deref()
    }

    /// Returns the id of the allotment that it was taken from.
    pub fn allotment(&self) -> Option<&str> {
        self.taken_from().map(|from| &*from.id)
    }

    /// Returns the allotment that it was taken from, of those that had its id.
    pub fn taken_from(&self) -> Option<&TakenFrom> {
        self.terms.as_ref()?.allotment.as_ref()
    }

    /// Returns what makes it an order of the box office, where it is one.
    pub fn order(&self) -> Option<&Order> {
        self.terms.as_ref()?.order()
    }

    /// Returns when it ended, where it is forgotten a while later. An order isn't, since it is its payment, too.
    pub fn leaves_since(&self) -> Option<Timestamp> {
        self.ended_at.filter(|_| self.order().is_none())
    }

    /// Tells whether it has all that a wish names, at the same price types: an exchange for that only gives places back. The best seats
    /// may be any.
    pub fn has_all_of(&self, wish: &Wish) -> bool {
        let seats: &[Seat] = match &wish.pick {
            Pick::None => &[],
            Pick::Seats(seats) => seats,
            Pick::Best(_) => return false,
        };
        let terms = self.terms.as_deref();
        let has_seat = |(place, seat): (usize, &Seat)| {
            let own = self.seats.iter().position(|own| own == seat);
            let own = own.map(|own| terms.map_or(PriceType::DEFAULT, |terms| terms.price_type(own)));
            own == Some(wish.price_types.get(place).copied().unwrap_or_default())
        };

        let own = |area: Area, price_type: PriceType| -> u32 {
            let own = terms.into_iter().flat_map(|terms| &*terms.areas);
            let own = own.filter(|own| (own.area, own.price_type) == (area, price_type));
            own.map(|own| own.count).sum()
        };
        let has_places = |area: Area, price_type: PriceType| {
            let wished =
                wish.areas.iter().filter(|other| (other.area, other.price_type) == (area, price_type));
            wished.fold(0_u32, |sum, other| sum.saturating_add(other.count)) <= own(area, price_type)
        };

        seats.iter().enumerate().all(has_seat)
            && wish.areas.iter().all(|wished| has_places(wished.area, wished.price_type))
    }

    /// Tells whether it has ended, stays so, and may be forgotten: one that expired while its payment's fate isn't known may be
    /// confirmed yet.
    pub fn may_be_forgotten(&self) -> bool {
        let is_pursued = matches!(self.status, ReservationStatus::Expired) && self.payment.is_some();
        !self.status.is_live() && !is_pursued && self.order().is_none()
    }

    /// Returns the status at `now`: a hold whose deadline has come is expired, even before the event
    /// that says so.
    pub fn status_at(&self, now: Timestamp) -> ReservationStatus {
        if self.status.has_deadline() && self.expires_at <= now {
            ReservationStatus::Expired
        } else {
            self.status
        }
    }
}

/// Returns how many places a reservation of these seats and terms has.
pub(super) fn places(seats: &[Seat], terms: Option<&Terms>) -> u32 {
    let seats = u32::try_from(seats.len()).expect("bounded by the policy");
    seats + terms.map_or(0, Terms::area_places)
}
