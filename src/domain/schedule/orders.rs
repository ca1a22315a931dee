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
use super::terms::{Pick, Terms, Wish};
use super::{Reservation, Schedule, pricing};
use crate::domain::ids::{AllotmentId, PaymentId, PaymentNumber, UserId};
use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::domain::venue::Seating;

/// The longest name, reference or reason, in characters.
pub const ORDER_TEXT_LEN_MAX: usize = 200;
/// The name of the line that takes everything off, where no reason is given.
const COMPLIMENTARY: &str = "complimentary";

/// How an order is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderMethod {
    /// In cash.
    Cash,
    /// By a terminal for cards.
    CardTerminal,
    /// By an invoice.
    Invoice,
    /// Not at all: it costs nothing.
    Complimentary,
}

impl OrderMethod {
    /// Every method.
    pub const ALL: [Self; 4] = [Self::Cash, Self::CardTerminal, Self::Invoice, Self::Complimentary];

    /// Returns the word that clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cash => "cash",
            Self::CardTerminal => "card_terminal",
            Self::Invoice => "invoice",
            Self::Complimentary => "complimentary",
        }
    }
}

/// What makes a reservation an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Who sold it.
    pub clerk: UserId,
    /// How it was paid.
    pub method: OrderMethod,
    /// The till's name for the payment: a slip of the terminal, the number of an invoice.
    pub reference: Option<Box<str>>,
    /// Who comes with it, for people.
    pub name: Option<Box<str>>,
    /// Why it costs what it does, for people.
    pub reason: Option<Box<str>>,
}

/// An order to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderWish {
    /// Whose it is; nobody's, where none is named.
    pub user: Option<UserId>,
    /// What it asks for. It brings no code.
    pub wish: Wish,
    /// The allotment that it takes from, and from nothing else.
    pub allotment: Option<AllotmentId>,
    /// How it is paid, and by whom it is sold.
    pub order: Order,
    /// What is taken, where that isn't the sum of its prices.
    pub amount: Option<Money>,
    /// The random part of the reservation's id.
    pub nonce: u64,
    /// The random part of its payment's id.
    pub payment_nonce: u64,
}

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

        let places = asked.wish.places();
        if places == 0 {
            return Err(Refusal::NoSeats);
        }
        if places > RESERVATION_SEATS_MAX {
            return Err(Refusal::TooManySeats { max: RESERVATION_SEATS_MAX });
        }
        let taken = asked.taken()?;

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

impl Terms {
    /// Returns what makes it an order, where it is one.
    pub fn order(&self) -> Option<&Order> {
        self.order.as_deref()
    }
}
