//! The word of the team's own payment service: what it took and gave back, and what that means for an order.
//!
//! Absent on purpose: whether it is its word (signatures), and asking it anything.
//!
//! Invariants: each time that the service took money has one payment, known by the service's payment key; money that was taken is never
//! refused.

use std::sync::Arc;

use super::saga::{Event, Failure, GatewayAnswer, Refusal, State};
use super::{Payment, Payments};
use crate::domain::ids::{PaymentId, PaymentNumber};
use crate::domain::money::{Currency, Money};
use crate::domain::time::Timestamp;

/// Money that the team's own payment service took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The service's name for it: one for each time that it takes money.
    pub payment_key: Arc<str>,
    /// How much it was.
    pub amount: Money,
    /// In which currency.
    pub currency: Currency,
}

/// Money that the team's own payment service has given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Back {
    /// The service's name for the refund.
    pub transaction: Option<Arc<str>>,
}

/// The word of the team's own payment service about an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// It took money.
    Captured(Taken),
    /// It took none, and the checkout is over.
    Declined {
        /// Its code.
        code: Arc<str>,
        /// Its sentence for the customer.
        reason: Arc<str>,
    },
    /// It gave money back.
    Refunded {
        /// What it had taken, but for the amount: that is what went back of it in all.
        taken: Taken,
        /// Its name for the refund.
        transaction: Option<Arc<str>>,
    },
}

impl Payment {
    /// Decides what it means that so much of its money went back in all. What the service really gave back is taken down, also where that is
    /// more than it was asked for: it may have given back the whole before anyone here owed a part.
    fn went_back(&self, amount: Money, transaction: Option<Arc<str>>) -> Result<Option<Event>, Refusal> {
        if amount > self.amount {
            return Err(Refusal::MoreThanTaken);
        }

        let (number, owed) = (self.id.number, self.refund_amount());
        let more = Some(amount).filter(|amount| *amount > owed);
        match self.state {
            State::Refunding if amount < owed => Err(Refusal::LessThanOwed { back: amount, owed }),
            // A word that was heard before, or that comes late.
            State::Refunded if amount <= self.back() => Ok(None),
            State::Refunding | State::Refunded => {
                Ok(Some(Event::Refunded { number, transaction, amount: more }))
            }
            State::Ready
            | State::Begun
            | State::Capturing
            | State::Declined
            | State::Captured
            | State::Confirmed
            | State::Completed
            | State::Failed => Err(Refusal::NotOwed),
        }
    }
}

impl Payments {
    /// Decides what the word of the team's own payment service means for an order.
    ///
    /// Money that can't be for the order is never refused, since it was taken: a refusal would leave it where nobody here owes it. It is
    /// noted as owed, and the feed asks for it.
    pub(super) fn decide_report(
        &self,
        order: &Payment,
        report: &Report,
        nonce: u64,
    ) -> Result<Option<Event>, Refusal> {
        let number = order.id.number;
        match report {
            // Of an order that was paid, one try of several was declined.
            Report::Declined { code, reason } => {
                let failed = || Event::Failed { number, failure: Some(Failure::declined(code, reason)) };
                Ok((order.state == State::Ready).then(failed))
            }

            Report::Captured(taken) => {
                if let Some(known) = self.reported(order, taken)? {
                    return if known.amount == taken.amount { Ok(None) } else { Err(Refusal::Contradicts) };
                }
                let fits = (taken.amount, taken.currency) == (order.amount, order.currency);
                let failure = match (fits, order.state.is_begun()) {
                    (true, false) => {
                        let payment_key = Arc::clone(&taken.payment_key);
                        return Ok(Some(Event::CapturedOutside { number, payment_key }));
                    }
                    (true, true) => Failure::AlreadyPaid,
                    (false, _) => Failure::OtherAmount,
                };
                Ok(Some(self.unmatched(order, taken, failure, None, nonce)))
            }

            Report::Refunded { taken, transaction } => {
                let transaction = transaction.clone();
                if let Some(known) = self.reported(order, taken)? {
                    return known.went_back(taken.amount, transaction);
                }

                // It came and went, and word of its coming is late: noted now, that word will change nothing. It is one event, since
                // whoever follows the feed would take a refund that is only noted as owed for one that is to be made.
                let failure = Failure::declined("CANCELED", "The payment service gave the money back.");
                Ok(Some(self.unmatched(order, taken, failure, Some(Back { transaction }), nonce)))
            }
        }
    }

    /// Finds the payment of the order's reservation that a service's payment key stands for.
    ///
    /// # Errors
    /// [`Refusal::Contradicts`] where it has another currency; [`Refusal::OthersKey`], since one taking of money can't pay for two
    /// reservations.
    fn reported(&self, order: &Payment, taken: &Taken) -> Result<Option<&Payment>, Refusal> {
        let known = self.with_payment_key(order, &taken.payment_key);
        if known.is_none() && self.index.named(&taken.payment_key).next().is_some() {
            return Err(Refusal::OthersKey);
        }
        let agrees = known.is_none_or(|known| known.currency == taken.currency);
        if agrees && taken.amount > Money::ZERO { Ok(known) } else { Err(Refusal::Contradicts) }
    }

    /// Finds a payment by its service's payment key, among those of the order's reservation.
    pub fn with_payment_key(&self, order: &Payment, payment_key: &str) -> Option<&Payment> {
        let mut named = self.index.named(payment_key).filter_map(|number| self.by_number.get(number));
        named.find(|payment| payment.reservation == order.reservation)
    }

    fn unmatched(
        &self,
        order: &Payment,
        taken: &Taken,
        failure: Failure,
        back: Option<Back>,
        nonce: u64,
    ) -> Event {
        Event::Unmatched {
            number: PaymentNumber(self.last + 1),
            nonce,
            reservation: order.reservation,
            user: order.user.clone(),
            method: order.method,
            gateway: order.gateway.clone().expect("a service takes the money of a reported payment"),
            taken: taken.clone(),
            failure,
            back,
        }
    }

    /// Applies an event that a report of the team's own payment service has made.
    pub(super) fn apply_report(&mut self, event: &Event, at: Timestamp) {
        if let Event::CapturedOutside { number, payment_key } = event {
            // An attempt that had come to nothing has its money after all.
            let before = self.numbered(*number).map_or(State::Ready, |payment| payment.state);
            assert!(matches!(before, State::Ready | State::Failed), "M3: nothing was taken before");
            let payment = self.go(*number, before, State::Captured, at);
            payment.payment_key = Some(Arc::clone(payment_key));
            payment.failure = None;
            self.index.name(self.by_number.get(number.0).expect("it was found"));
        }

        if let Event::Unmatched { number, nonce, reservation, user, method, gateway, taken, failure, back } =
            event
        {
            let refund = back.as_ref().and_then(|back| back.transaction.clone());
            let answer =
                refund.map(|refund| GatewayAnswer { refund: Some(refund), ..GatewayAnswer::default() });
            self.begin(Payment {
                id: PaymentId { schedule: self.schedule, number: *number, nonce: *nonce },
                reservation: *reservation,
                user: user.clone(),
                method: *method,
                amount: taken.amount,
                currency: taken.currency,
                state: if back.is_some() { State::Refunded } else { State::Refunding },
                gateway: Some(gateway.clone()),
                payment_key: Some(Arc::clone(&taken.payment_key)),
                answer: answer.map(Arc::new),
                failure: Some(failure.clone()),
                created_at: at,
                updated_at: at,
                completed_at: None,
                refunded_at: back.is_some().then_some(at),
                refund: None,
                went_back: None,
                key: None,
            });
        }
    }
}
