//! Payments: the calls about them, where they are found, the driver of their steps, and the word of a payment service that can't be
//! asked.

mod aggregate;
mod at_gateway;
mod driver;
mod drives;
mod ledgers;
mod reports;

use core::time::Duration;

pub(super) use driver::sweep;
pub(super) use drives::Pace;
pub(super) use ledgers::Ledgers;

use self::drives::Until;
use super::error::EngineError;
use super::live::{Aggregate, Done, KeyLookup};
use super::{Engine, ScheduleEntry};
use crate::domain::cause::{By, Cause};
use crate::domain::ids::{PaymentId, PaymentNumber, ScheduleNumber, UserId};
use crate::domain::keys::KeyUse;
use crate::domain::money::{Currency, Money};
use crate::domain::payments::{self, Method, Payment};
use crate::domain::schedule::{Refusal, ReservationRef, ReservationStatus};
use crate::gateway::{Gateways, PaymentKey};

/// A payment to make.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub struct Purchase {
    pub user: UserId,
    /// For which reservation of the schedule.
    pub reservation: ReservationRef,
    pub method: Method,
    /// The random part of the payment's id.
    pub nonce: u64,
    /// The idempotency key.
    pub key: Option<KeyUse>,
}

impl Engine {
    /// Finds a payment as it is durable, unless it is in the archive: there nothing is under way.
    pub fn payment(&self, id: PaymentId) -> Option<Payment> {
        self.directory.payment(id)
    }

    /// Finds a payment by its number alone: for what is told of events, never for a caller's wish.
    pub fn payment_numbered(&self, schedule: ScheduleNumber, number: PaymentNumber) -> Option<Payment> {
        self.directory.ledgers.payments(schedule)?.read().numbered(number).cloned()
    }

    /// Counts the payments of all schedules that are under way, or were given back.
    pub fn payments_under_way(&self) -> payments::Counts {
        let mut counts = payments::Counts::default();
        for entry in self.directory.ledgers.all_payments() {
            counts.merge(entry.read().counts());
        }
        counts
    }

    /// Counts the payments of a schedule.
    pub fn payments_of_schedule(&self, number: ScheduleNumber) -> payments::Counts {
        self.directory.ledgers.payments(number).map(|payments| payments.read().counts()).unwrap_or_default()
    }

    /// Makes a payment of a hold. From the balance, or of nothing, it is driven until it is settled; through a gateway it is ready for
    /// the checkout.
    ///
    /// # Errors
    /// As [`Engine::act`]; the refusals of the reservation where it is no live hold of the user; `NoGateway`.
    pub async fn pay(&self, entry: &ScheduleEntry, purchase: Purchase) -> Result<Done<Payment>, EngineError> {
        let Purchase { user, reservation, method, nonce, key } = purchase;
        let gateway = self.directory.ledgers.gateways.name_of(method).cloned();
        if method.needs_gateway() && gateway.is_none() {
            return Err(EngineError::NoGateway);
        }

        if entry.is_archived() {
            // Nothing there is a live hold; payments of it would be a second truth.
            self.price_of_hold(entry, reservation, &user).await?;
            return Err(Refusal::NotHeld.into());
        }

        // It is on its way out: the next look finds it in the archive.
        if entry.has_moved() {
            return Err(EngineError::NotReady);
        }

        let payments = self.directory.ledgers.payments_of_new(entry.number());
        payments.start(&self.directory.core).await;

        // A key that had its effect comes before the hold, which that effect has ended.
        if let Some(done) = self.paid_before(entry, key)? {
            return Ok(done);
        }

        let (amount, currency) = self.price_of_hold(entry, reservation, &user).await?;
        let at_checkout = payments::needs_gateway(method, amount);

        // A user at the bound loses the oldest checkout, not the newest.
        while at_checkout && payments.read().surplus_ready(reservation, &user).is_some() {
            let supersede = payments::Command::Supersede { reservation, user: user.clone() };
            payments.ask(supersede, Cause::default(), None).await?;
        }

        let start = payments::Command::Start { reservation, user, method, amount, currency, gateway, nonce };
        let Done { answer, replayed } = payments.ask(start, Cause { by: By::User, key }, None).await?;

        let started = answer.ok_or(EngineError::OutcomeUnknown)?;

        if replayed {
            return self.found_before(started);
        }
        if at_checkout {
            return Ok(Done { answer: started, replayed });
        }

        // Its event has started it: it goes on without its caller.
        self.driven(started.id, Until::Settled).await;
        let settled = self.payment(started.id).ok_or(EngineError::OutcomeUnknown)?;
        Ok(Done { answer: settled, replayed: false })
    }

    /// Goes on with a payment for which the gateway's checkout gave a key: captures it and confirms the reservation. It
    /// returns once the payment is settled, as soon as the gateway gave no answer that says how it went, or after `patience`: the
    /// payment goes on without its caller.
    ///
    /// # Errors
    /// As [`Engine::act`]; [`Refusal::Payment`](super::Refusal) where there is no such payment of the user's or it has another key; `NoGateway`.
    pub async fn confirm_payment(
        &self,
        id: PaymentId,
        user: UserId,
        payment_key: &PaymentKey,
        key: Option<KeyUse>,
        patience: Duration,
    ) -> Result<Done<Payment>, EngineError> {
        let own = self.payment(id).filter(|payment| payment.user == user);
        if own.is_some_and(|payment| !self.directory.ledgers.has_gateway_of(&payment)) {
            return Err(EngineError::NoGateway);
        }

        let Some(payments) = self.directory.ledgers.payments(id.schedule) else {
            return self.confirmed_long_ago(id, &user, payment_key).await;
        };
        let accept =
            payments::Command::Accept { payment: id, user, payment_key: payment_key.as_str().into() };
        let Done { replayed, .. } = payments.ask(accept, Cause { by: By::User, key }, None).await?;

        // Its event has started it. One that was accepted before goes on, too, should nobody drive it.
        self.hint(id);
        drop(tokio::time::timeout(patience, self.driven(id, Until::InDoubt)).await);
        let answer = self.payment(id).ok_or(EngineError::OutcomeUnknown)?;
        Ok(Done { answer, replayed })
    }

    /// Answers the confirmation of a payment that is in the archive: nothing goes on there.
    async fn confirmed_long_ago(
        &self,
        id: PaymentId,
        user: &UserId,
        payment_key: &PaymentKey,
    ) -> Result<Done<Payment>, EngineError> {
        let found = self.find_saga(id).await?.filter(|payment| payment.user == *user);
        let payment = found.ok_or(payments::Refusal::NoSuchPayment)?;
        if payment.payment_key.as_deref() != Some(payment_key.as_str()) {
            return Err(payments::Refusal::NotReady.into());
        }
        Ok(Done { answer: payment, replayed: false })
    }

    /// Returns the gateways that are set up.
    pub fn gateways(&self) -> &Gateways {
        &self.directory.ledgers.gateways
    }

    /// Answers a key of [`Engine::pay`] that has had its effect: nothing else about the payment is asked then, as whether the hold
    /// still lives.
    ///
    /// # Errors
    /// `KeyReused`; `InProgress` while the payment is being made; `JournalUnavailable`.
    pub fn paid_before(
        &self,
        entry: &ScheduleEntry,
        key: Option<KeyUse>,
    ) -> Result<Option<Done<Payment>>, EngineError> {
        let payments = self.directory.ledgers.payments(entry.number());
        let Some((key, payments)) = key.zip(payments) else { return Ok(None) };
        let found = Aggregate::find(&*payments.read(), key, self.now());
        match found {
            None | Some(KeyLookup::Answered(_, None)) => Ok(None),
            Some(KeyLookup::Reused) => Err(EngineError::KeyReused),
            Some(KeyLookup::Answered(_, Some(payment))) => self.found_before(payment).map(Some),
        }
    }

    /// Answers with a payment that a key led to. From the balance it takes no longer than its caller waits for it, so that one that is
    /// under way is still being made.
    fn found_before(&self, payment: Payment) -> Result<Done<Payment>, EngineError> {
        self.go_on(&payment);
        if payment.state.is_settled() || payment.needs_gateway() {
            return Ok(Done { answer: payment, replayed: true });
        }
        if self.directory.core.journal.failure().is_some() {
            return Err(EngineError::JournalUnavailable);
        }
        Err(EngineError::InProgress)
    }

    /// Has a payment that somebody found driven, should something be left to do.
    pub(in crate::engine) fn go_on(&self, payment: &Payment) {
        if payment.next().is_some() {
            self.directory.drive(payment.id, Pace::AtOnce);
        }
    }

    /// Returns the price of a live hold of a user's.
    async fn price_of_hold(
        &self,
        entry: &ScheduleEntry,
        id: ReservationRef,
        user: &UserId,
    ) -> Result<(Money, Currency), EngineError> {
        let reservation = self.read_reservation(entry, id).await;
        let reservation = reservation.filter(|reservation| reservation.user.as_ref() == Some(user));
        let reservation = reservation.ok_or(Refusal::NoSuchReservation)?;
        match reservation.status {
            ReservationStatus::Held => {
                let schedule = entry.read();
                Ok((schedule.amount_of(&reservation), schedule.currency()))
            }
            ReservationStatus::Expired => Err(Refusal::Expired.into()),
            ReservationStatus::Paying
            | ReservationStatus::Confirmed
            | ReservationStatus::Cancelled
            | ReservationStatus::Released => Err(Refusal::NotHeld.into()),
        }
    }
}
