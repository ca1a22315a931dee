//! The payments of orders of the box office: what an order's reservation says of its money.
//!
//! Nobody here takes that money or gives it back, so there is no saga and no stream: an order's payment is read from the reservation,
//! and is durable with it. Its id leads to it ([`PaymentNumber::order`]).
//!
//! Absent on purpose: whether the money of a cancelled order was given back. That happens by hand, and is told nobody.

use std::sync::Arc;

use super::{Payment, State};
use crate::domain::ids::{PaymentId, UserId};
use crate::domain::money::{Currency, Money};
use crate::domain::schedule::orders::Order;
use crate::domain::schedule::{Reservation, ReservationRef, Schedule, Terms};
use crate::domain::time::Timestamp;

/// The payment of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderPayment {
    /// Its id.
    pub id: PaymentId,
    /// The order.
    pub reservation: ReservationRef,
    /// Whose order it is; nobody's, where none was named.
    pub user: Option<UserId>,
    /// In which currency.
    pub currency: Currency,
    /// When it was sold, and paid.
    pub created_at: Timestamp,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// What it cost.
    terms: Arc<Terms>,
}

impl OrderPayment {
    /// Returns the payment of a reservation, where that is an order.
    pub fn of(schedule: &Schedule, reservation: &Reservation) -> Option<Self> {
        reservation.order()?;
        Some(Self {
            id: reservation.payment?,
            reservation: ReservationRef { number: reservation.number, nonce: reservation.nonce },
            user: reservation.user.clone(),
            currency: schedule.currency(),
            created_at: reservation.created_at,
            cancelled_at: reservation.cancelled_at,
            terms: Arc::clone(reservation.terms.as_ref()?),
        })
    }

    /// Finds a payment among a schedule's orders; a wrong nonce is no payment.
    pub fn find(schedule: &Schedule, id: PaymentId) -> Option<Self> {
        let reservation = schedule.reservation_numbered(id.number.order()?)?;
        Self::of(schedule, reservation).filter(|payment| payment.id == id)
    }

    /// Returns what makes the reservation an order.
    pub fn order(&self) -> &Order {
        self.terms.order().expect("it is an order's payment")
    }

    /// Returns what was taken.
    pub fn amount(&self) -> Money {
        self.terms.amount()
    }

    /// Returns what is to be given back by hand, once it is cancelled.
    pub fn refund(&self) -> Money {
        self.terms.refund()
    }

    /// Returns how far it is. That money went back is told nobody, so a cancelled order's is on its way back for good, unless there is
    /// none.
    pub fn state(&self) -> State {
        match self.cancelled_at {
            None => State::Completed,
            Some(_) if self.refund() == Money::ZERO => State::Refunded,
            Some(_) => State::Refunding,
        }
    }

    /// Returns when nothing was left to give back.
    pub fn refunded_at(&self) -> Option<Timestamp> {
        self.cancelled_at.filter(|_| self.state() == State::Refunded)
    }
}

/// A payment, wherever it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyPayment {
    /// A saga of the schedule's payments.
    Saga(Payment),
    /// What an order's reservation says.
    OfOrder(OrderPayment),
}

impl AnyPayment {
    /// Returns its id.
    pub const fn id(&self) -> PaymentId {
        match self {
            Self::Saga(payment) => payment.id,
            Self::OfOrder(payment) => payment.id,
        }
    }

    /// Returns whose it is; nobody's, where an order is.
    pub const fn user(&self) -> Option<&UserId> {
        match self {
            Self::Saga(payment) => Some(&payment.user),
            Self::OfOrder(payment) => payment.user.as_ref(),
        }
    }

    /// Returns how far it is.
    pub fn state(&self) -> State {
        match self {
            Self::Saga(payment) => payment.state,
            Self::OfOrder(payment) => payment.state(),
        }
    }

    /// Returns when it was started.
    pub const fn created_at(&self) -> Timestamp {
        match self {
            Self::Saga(payment) => payment.created_at,
            Self::OfOrder(payment) => payment.created_at,
        }
    }

    /// Returns the saga, where it is one.
    pub fn into_saga(self) -> Option<Payment> {
        match self {
            Self::Saga(payment) => Some(payment),
            Self::OfOrder(_) => None,
        }
    }
}
