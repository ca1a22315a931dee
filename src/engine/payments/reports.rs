//! The word of the team's own payment service: what it took, and what it gave back.
//!
//! Whoever calls has made sure that it is the service's word. The answer is durable when it comes, and what follows from it is started
//! by its event, as with every payment. The same word again changes nothing.
//!
//! Absent on purpose: signatures, and belief in an amount: what was asked for is compared in the domain.

use core::fmt::Display;
use core::time::Duration;

use super::drives::Until;
use crate::domain::cause::Cause;
use crate::domain::ids::PaymentId;
use crate::domain::payments::{Command, Event, Payment, Refusal, Report, State};
use crate::engine::Engine;
use crate::engine::error::{self, EngineError};
use crate::random;

impl Engine {
    /// Takes the word of the team's own payment service about an order. It returns once that is durable, and once its reservation is
    /// confirmed, or what came is owed; after `patience` without that: the payment goes on without its caller.
    ///
    /// # Errors
    /// As [`Engine::act`]; [`Refusal::NoSuchPayment`] where no such order is known, [`Refusal::NotReady`] where its schedule is in the
    /// archive: money that was taken for it has to be given back by who took it. [`Refusal::Contradicts`] where an earlier word said
    /// another amount, [`Refusal::OthersKey`] where it said another reservation. [`Refusal::NotOwed`] where money went back whose
    /// reservation stands.
    pub async fn report_payment(
        &self,
        id: PaymentId,
        report: Report,
        patience: Duration,
    ) -> Result<(), EngineError> {
        let is_captured = matches!(report, Report::Captured(_));
        let command = Command::Report { payment: id, report, nonce: random::number() };

        let told = match self.directory.ledgers.payments(id.schedule) {
            Some(payments) => payments.ask(command, Cause::default(), None).await.map(drop),
            None => self.reported_long_ago(id, &command).await,
        };

        match &told {
            Err(EngineError::Refused(error::Refusal::Payment(Refusal::NotOwed))) => {
                metrics::counter!("onsale_gateway_surprises_total").increment(1);
                tracing::error!(
                    order = %id,
                    "money of a confirmed reservation was given back by the payment service, not for this engine: cancel the \
                     reservation, or have it paid again"
                );
            }
            // Whose money it is nobody here can tell: giving it back would leave one of the two reservations without any.
            Err(EngineError::Refused(error::Refusal::Payment(Refusal::OthersKey))) => {
                metrics::counter!("onsale_gateway_surprises_total").increment(1);
                tracing::error!(
                    order = %id,
                    "the payment service named the same money for two reservations: it counts for the first, and a person has to look"
                );
            }
            Err(EngineError::Refused(_)) if is_captured => {
                metrics::counter!("onsale_gateway_surprises_total").increment(1);
                tracing::error!(
                    order = %id,
                    "money was taken for an order that isn't known here, or in another amount than before: it has to be given back \
                     by who took it"
                );
            }
            Ok(()) | Err(_) => {}
        }

        if told.is_ok() && is_captured {
            drop(tokio::time::timeout(patience, self.driven(id, Until::Settled)).await);
        }
        told
    }

    /// Notes that the team's own payment service can't give money back. It stays owed.
    ///
    /// # Errors
    /// [`Refusal::NoSuchPayment`].
    pub fn report_refund_failed(
        &self,
        id: PaymentId,
        payment_key: &str,
        reason: &impl Display,
    ) -> Result<(), EngineError> {
        let payment = self.with_payment_key(id, payment_key).ok_or(Refusal::NoSuchPayment)?;
        if payment.state == State::Refunding {
            metrics::counter!("onsale_refunds_refused_total").increment(1);
            tracing::error!(
                payment = %payment.id, %reason,
                "money can't be given back: it stays owed until the payment service reports that it went back, and a person has to look"
            );
        }
        Ok(())
    }

    fn with_payment_key(&self, order: PaymentId, payment_key: &str) -> Option<Payment> {
        let payments = self.directory.ledgers.payments(order.schedule)?;
        let payments = payments.read();
        payments.with_payment_key(payments.payment(order)?, payment_key).cloned()
    }

    /// Answers a word about a payment that is in the archive: nothing is under way there, and nothing can begin.
    async fn reported_long_ago(&self, id: PaymentId, command: &Command) -> Result<(), EngineError> {
        let archived = self.directory.archived(id.schedule).await?.ok_or(Refusal::NoSuchPayment)?;
        match archived.payments.decide(command)? {
            // It was known before, or no money is in it.
            None | Some(Event::Failed { .. }) => Ok(()),
            Some(_) => Err(Refusal::NotReady.into()),
        }
    }
}
