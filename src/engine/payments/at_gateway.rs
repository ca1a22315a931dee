//! The two steps that a gateway takes: capture, and give back.
//!
//! A capture is sent at once where surely none was sent before. Else the gateway is asked first what became of the payment, and a
//! capture is sent again only while the reservation is `paying`: from its deadline on, the gateway is only asked. A refusal counts
//! for good where no earlier capture is without an answer, or where the gateway says so when it is asked once more.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::driver::{Drive, NotYet};
use super::drives::Calls;
use crate::domain::money::Money;
use crate::domain::payments::{Failure, Outcome, Payment};
use crate::domain::schedule::ReservationStatus;
use crate::engine::error::EngineError;
use crate::gateway::{
    Cancel, CancelOutcome, Capture, CaptureOutcome, Find, Found, Gateway, IdempotencyKey, NotCaptured,
    OrderId, PaymentKey, Said, Terms, Why,
};
use crate::random;

impl Drive<'_> {
    /// Tells whether money may still be taken for the reservation: it is `paying` by this payment, and its deadline is ahead.
    fn may_capture(&self, payment: &Payment) -> bool {
        let Some(entry) = self.directory.schedule_by_number(payment.id.schedule) else { return false };
        let (now, schedule) = (self.directory.core.clock.now(), entry.read());
        schedule.reservation(payment.reservation).is_some_and(|reservation| {
            reservation.status_at(now) == ReservationStatus::Paying && reservation.payment == Some(payment.id)
        })
    }

    pub(super) async fn capture_at_gateway(&mut self, payment: &Payment) -> Result<Outcome, NotYet> {
        let gateway = self.gateway(payment)?;
        let terms = gateway.terms();
        // A key that doesn't parse can't come from a gateway, so nothing was sent.
        let Some((order_id, payment_key)) = names(payment) else {
            return Ok(Outcome::Declined(Failure::declined(
                terms.codes.invalid_key,
                "No gateway gave this key.",
            )));
        };

        if !self.unanswered && !self.may_capture(payment) {
            return Ok(Outcome::Declined(Failure::TooLate));
        }

        if self.unanswered {
            let find = Find { order_id: order_id.clone(), payment_key: Some(payment_key.clone()) };
            match self.found(payment, terms, self.call(&self.calls().looks, gateway.find(find)).await) {
                Finding::Final(outcome) => return Ok(outcome),
                Finding::Open(_) if self.may_capture(payment) => {}
                Finding::Open(why) | Finding::Unknown(why) => return Err(NotYet::Gateway(why)),
            }
        }

        // From here on a capture may be on its way.
        let was_unanswered = self.unanswered;
        self.unanswered = true;
        let capture = Capture {
            payment_key: payment_key.clone(),
            order_id: order_id.clone(),
            amount: payment.amount,
            currency: payment.currency,
            idempotency_key: self.attempt("confirm"),
        };
        match self.call(&self.calls().captures, gateway.confirm(capture)).await {
            CaptureOutcome::Captured { transaction, approved_at, .. } => {
                let transaction = transaction.map(|transaction| transaction.as_str().into());
                Ok(Outcome::CapturedAtGateway { transaction, approved_at })
            }

            CaptureOutcome::Declined { code, reason } => {
                let declined = Outcome::Declined(Failure::declined(code.as_str(), reason.as_str()));
                if !was_unanswered {
                    return Ok(declined);
                }
                // An earlier one may be on its way yet: the gateway has the last word.
                let find = Find { order_id, payment_key: Some(payment_key) };
                let found = self.call(&self.calls().looks, gateway.find(find)).await;
                if found == Found::NoSuchOrder {
                    return Ok(declined);
                }
                match self.found(payment, terms, found) {
                    Finding::Final(outcome) => Ok(outcome),
                    Finding::Open(why) | Finding::Unknown(why) => Err(NotYet::Gateway(why)),
                }
            }

            CaptureOutcome::Unknown { why } => {
                self.unanswered = was_unanswered || !why.is_not_sent();
                Err(NotYet::Gateway(why))
            }
        }
    }

    /// Reads the gateway's answer to a look-up.
    fn found(&self, payment: &Payment, terms: &Terms, found: Found) -> Finding {
        let declined =
            |code: &str, reason: &str| Finding::Final(Outcome::Declined(Failure::declined(code, reason)));
        match found {
            Found::Captured { amount, cancelled_amount, .. } if amount == cancelled_amount => {
                declined(terms.codes.given_back, "The money was given back at the gateway.")
            }
            // It was taken, whatever part of it somebody gave back since: a refund gives back the rest.
            Found::Captured { amount, cancelled_amount, approved_at, .. } if amount == payment.amount => {
                if cancelled_amount > Money::ZERO {
                    self.tell_surprise(
                        cancelled_amount,
                        "a part of a payment was given back at the gateway, not by this engine",
                    );
                }
                Finding::Final(Outcome::CapturedAtGateway { transaction: None, approved_at })
            }

            Found::Captured { amount, cancelled_amount, .. } => {
                tracing::error!(
                    payment = %self.id, amount = amount.minor(), cancelled = cancelled_amount.minor(),
                    asked = payment.amount.minor(),
                    "the gateway has another amount than the payment's: a person has to look at it there"
                );
                Finding::Unknown(Why::NotUnderstood)
            }

            Found::NotCaptured(NotCaptured::Declined { code, reason }) => {
                declined(code.as_str(), reason.as_str())
            }
            Found::NotCaptured(NotCaptured::Expired) => {
                declined(terms.codes.expired, "The payment was not confirmed in time.")
            }

            // A client may be at the checkout yet: only a checkout that is over surely took nothing.
            Found::NoSuchOrder
                if payment.updated_at.plus(terms.checkout_life) <= self.directory.core.clock.now() =>
            {
                declined(terms.codes.no_such_payment, "The gateway knows of no such payment.")
            }
            Found::NotCaptured(NotCaptured::Open) | Found::NoSuchOrder => Finding::Open(Why::UnderWay),
            // It can't tell; but it takes the money of a payment key once at most.
            Found::Unknown { why: why @ (Why::Misconfigured | Why::NotUnderstood) } => Finding::Open(why),
            Found::Unknown { why } => Finding::Unknown(why),
        }
    }

    pub(super) async fn give_back_at_gateway(&self, payment: &Payment) -> Result<Outcome, NotYet> {
        let gateway = self.gateway(payment)?;
        // It was captured under these names.
        let Some((_, payment_key)) = names(payment) else { return Ok(Outcome::GivenBack) };

        let reason = match payment.failure {
            Some(Failure::SeatsLost) => "The seats were gone when the payment arrived.",
            _ => "The reservation was cancelled.",
        };

        let owed = payment.refund_amount();
        let named = |transaction: Option<Said>| transaction.map(|transaction| transaction.as_str().into());
        let mut back = Money::ZERO;
        // Once more where the gateway has less than it would have, but for somebody at its own page: then only the rest is asked for.
        for _ in 0..2 {
            let cancel = Cancel {
                payment_key: payment_key.clone(),
                amount: owed,
                captured: payment.amount,
                back,
                reason: reason.to_owned(),
                idempotency_key: self.attempt("cancel"),
            };
            match self.call(&self.calls().refunds, gateway.cancel(cancel)).await {
                CancelOutcome::Cancelled { transaction } => {
                    return Ok(Outcome::GivenBackAtGateway { transaction: named(transaction), amount: None });
                }
                CancelOutcome::Differs { back: more, transaction } if more > owed => {
                    self.tell_surprise(
                        more,
                        "more was given back at the gateway than was owed, and not by this engine",
                    );
                    let amount = Some(more.min(payment.amount));
                    return Ok(Outcome::GivenBackAtGateway { transaction: named(transaction), amount });
                }
                CancelOutcome::Differs { back: part, .. } => {
                    tracing::warn!(
                        payment = %self.id, cancelled = part.minor(),
                        "a part of the money was given back at the gateway, not by this engine: only the rest of it goes back now"
                    );
                    back = part;
                }
                CancelOutcome::Refused { code, reason } => {
                    return Err(NotYet::RefundRefused { code, reason });
                }
                CancelOutcome::Unknown { why } => return Err(NotYet::Gateway(why)),
            }
        }
        Err(NotYet::Gateway(Why::UnderWay))
    }

    /// Tells an operator that money moved at the gateway which nobody here has moved.
    fn tell_surprise(&self, cancelled: Money, what: &'static str) {
        metrics::counter!("onsale_gateway_surprises_total").increment(1);
        tracing::error!(payment = %self.id, cancelled = cancelled.minor(), what, "the gateway's own ledger differs: look at it there");
    }

    fn gateway(&self, payment: &Payment) -> Result<Arc<dyn Gateway>, EngineError> {
        let named = payment.gateway.as_ref().and_then(|name| self.directory.ledgers.gateways.named(name));
        named.cloned().ok_or(EngineError::NoGateway)
    }

    fn calls(&self) -> &Calls {
        &self.directory.ledgers.drives.calls
    }

    /// Waits for an answer of the gateway's, with a bounded number of others of its kind.
    async fn call<T>(&self, room: &Semaphore, answer: impl Future<Output = T>) -> T {
        // It is never closed.
        let _permit = room.acquire().await.ok();
        answer.await
    }

    /// Makes the key of one attempt: gateways repeat the first answer to a key that they know, errors included.
    fn attempt(&self, call: &str) -> IdempotencyKey {
        let text = format!("{}-{call}-{:016x}", self.id, random::number());
        IdempotencyKey::parse(&text).expect("some fifty letters, digits and hyphens")
    }
}

/// The state of a payment at the gateway, as far as it is known.
enum Finding {
    /// How it went, for good.
    Final(Outcome),
    /// Nothing was taken yet, as far as the gateway knows: it may be asked to.
    Open(Why),
    /// Nothing is known.
    Unknown(Why),
}

/// Returns the names under which the gateway knows a payment.
pub(super) fn names(payment: &Payment) -> Option<(OrderId, PaymentKey)> {
    let order_id = OrderId::parse(&payment.id.to_string()).ok()?;
    let payment_key = PaymentKey::parse(payment.payment_key.as_deref()?).ok()?;
    Some((order_id, payment_key))
}
