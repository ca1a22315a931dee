//! Orders of the box office: what a clerk sells at once, for money that nobody here takes.
//!
//! An order is a reservation that begins confirmed: one decision, one event. Who sold it, by what means it was paid and why are parts of
//! its terms. So its payment is what the reservation says, and stands nowhere else (`payments::orders`).
//!
//! A clerk sells while the sale is upcoming or closed, too, and as many places as one reservation can have, whatever the policy gives
//! users. Places that somebody has, that are blocked or set aside can't be sold; an order for an allotment takes from that alone. Who
//! names seats has seen them: accessible ones are sold, and those that leave one alone. The best that are left are as for everyone.
//!
//! Absent on purpose: who is a clerk, whether the user exists, and whether the money came.
//!
//! Invariants: an order has lines, which add up to what was taken; an order is never forgotten, since it is its payment, too.

use std::sync::Arc;

use super::access::Access;
use super::command::{Event, Refusal, SaleStatus};
use super::decide::Decision;
use super::find::Places;
use super::policy::RESERVATION_SEATS_MAX;
pub use super::terms::{Order, OrderMethod, OrderWish};
use super::terms::{Pick, Wish};
use super::{Reservation, ReservationStatus, Schedule, pricing};
use crate::domain::ids::{AllotmentId, PaymentId, PaymentNumber};
use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::domain::venue::Seating;

/// The longest name, reference or reason, in characters.
pub const ORDER_TEXT_LEN_MAX: usize = 200;
/// How many orders of a schedule can have been cancelled, at the least: they are kept, some kilobyte each.
const CANCELLED_ORDERS_MAX: u64 = 10_000;
/// The name of the line that takes everything off, where no reason is given.
const COMPLIMENTARY: &str = "complimentary";

impl Schedule {
    /// Returns every order, in order of their numbers.
    pub fn orders(&self) -> impl DoubleEndedIterator<Item = &Reservation> {
        self.orders.iter().map(|number| self.reservations.get(*number).expect("an order is kept"))
    }

    /// Returns the first of the orders, the newest of them first: those of which `is_before` is true, as it must be of none behind one
    /// of which it isn't.
    pub fn orders_before<F: Fn(&Reservation) -> bool>(
        &self,
        is_before: F,
    ) -> impl Iterator<Item = &Reservation> + use<'_, F> {
        let kept = move |number: u32| self.reservations.get(number).expect("an order is kept");
        let end = self.orders.partition_point(|number| is_before(kept(*number)));
        self.orders[..end].iter().rev().map(move |number| kept(*number))
    }

    pub(super) fn order(&self, asked: &OrderWish, now: Timestamp, seating: Option<&Seating>) -> Decision {
        // Nobody can come to a performance that is cancelled, or over. A journal of before may have no prices.
        let may_be = self.sale != SaleStatus::Cancelled && self.plan.ends_at > now && self.prices.is_some();
        if !may_be {
            return Err(Refusal::NotOpen);
        }

        self.check_room_for_order()?;
        let places = asked.wish.places();
        if places == 0 {
            return Err(Refusal::NoSeats);
        }
        if places > RESERVATION_SEATS_MAX {
            return Err(Refusal::TooManySeats { max: RESERVATION_SEATS_MAX });
        }
        let taken = asked.taken()?;
        self.check_types(asked)?;

        // Whoever names seats has seen which they are.
        let named = matches!(asked.wish.pick, Pick::Seats(_));
        let wish = Wish { accessible: asked.wish.accessible || named, code: None, ..asked.wish.clone() };
        let access = self.order_access(asked.allotment.as_ref())?;
        self.check_price_types(&wish, &access)?;
        let kept = self.kept_from(&wish, now, seating);
        let Places { seats, areas } = self.find(&wish, None, &access, kept)?;

        let mut terms = self.full_terms(&wish, &seats, areas, &access)?;
        if let Some((amount, why)) = &taken {
            terms.lines = pricing::overridden(&terms.lines, *amount, why);
        }
        terms.order = Some(Box::new(asked.order.clone()));

        let number = self.next_reservation();
        let payment = PaymentId {
            schedule: self.number,
            number: PaymentNumber::of_order(number),
            nonce: asked.payment_nonce,
        };
        Ok(Some(Event::Ordered {
            number,
            nonce: asked.nonce,
            payment,
            user: asked.user.clone(),
            seats,
            terms: Arc::new(terms),
        }))
    }

    pub(super) fn apply_order(&mut self, event: &Event, at: Timestamp) {
        let Event::Ordered { number, nonce, payment, user, seats, terms } = event else {
            unreachable!("another event makes no order")
        };
        assert!(terms.order.is_some(), "an order says how it was paid");

        self.reserve(Reservation {
            number: *number,
            nonce: *nonce,
            user: user.clone(),
            seats: Arc::clone(seats),
            terms: Some(Arc::clone(terms)),
            status: ReservationStatus::Confirmed,
            created_at: at,
            // It never was a hold.
            expires_at: at,
            confirmed_at: Some(at),
            cancelled_at: None,
            ended_at: None,
            payment: Some(*payment),
            deadline_moved: false,
            recovered: false,
        });
        self.orders.push(number.0);
        self.ever_confirmed = true;
    }

    /// Refuses price types that were read as places in a list which has changed since.
    fn check_types(&self, asked: &OrderWish) -> Result<(), Refusal> {
        let types = self.prices().map_or(&[][..], |prices| prices.types());
        let stand = types.iter().map(|known| &known.id);
        let have_changed = asked.types.as_ref().is_some_and(|read| !read.iter().eq(stand));
        let why = "the concert's price types have changed this moment: ask again";
        if have_changed { Err(Refusal::Unfit { field: "scheduleId", why }) } else { Ok(()) }
    }

    /// Refuses more orders than the performance could sell, and as many as may be cancelled besides: all of them are kept.
    fn check_room_for_order(&self) -> Result<(), Refusal> {
        let of_areas: u64 = self.layout.areas().iter().map(|area| u64::from(area.capacity)).sum();
        let max = u64::from(self.layout.seat_count()) + of_areas + CANCELLED_ORDERS_MAX;
        let why = "more of its orders were cancelled than can be kept";
        if u64::try_from(self.orders.len()).is_ok_and(|orders| orders < max) {
            Ok(())
        } else {
            Err(Refusal::Unfit { field: "scheduleId", why })
        }
    }

    /// Finds what an order may take: everyone's places, or those that are left of an allotment.
    fn order_access(&self, allotment: Option<&AllotmentId>) -> Result<Access<'_>, Refusal> {
        let Some(id) = allotment else { return Ok(Access::default()) };
        let found = self.allotments.as_ref().and_then(|allotments| allotments.find(id));
        let unknown = Refusal::Unfit { field: "allotmentId", why: "the schedule has no such allotment" };
        Ok(Access { allotment: Some(found.ok_or(unknown)?), ..Access::default() })
    }
}

impl OrderWish {
    /// Returns what is taken and why, where that isn't the sum of the prices.
    fn taken(&self) -> Result<Option<(Money, Arc<str>)>, Refusal> {
        let unfit = |field, why| Err(Refusal::Unfit { field, why });
        let reason = self.order.reason.as_deref().map(Arc::from);
        let is_free = self.order.method == OrderMethod::Complimentary;
        match (self.amount, reason) {
            (Some(amount), _) if is_free && amount > Money::ZERO => {
                unfit("amount", "a complimentary order costs nothing")
            }
            (_, reason) if is_free => Ok(Some((Money::ZERO, reason.unwrap_or_else(|| COMPLIMENTARY.into())))),
            (Some(_), None) => unfit("reason", "is needed with amount"),
            (Some(amount), Some(reason)) => Ok(Some((amount, reason))),
            (None, _) => Ok(None),
        }
    }
}
