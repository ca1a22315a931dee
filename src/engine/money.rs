//! Accounts and payments as the engine keeps them, and what is asked of them. What then happens by itself is driven: see `driving`.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use kameo::actor::ActorRef;

use super::driving::{Drives, Pace, Until};
use super::error::EngineError;
use super::live::{Aggregate, Done, KeyLookup, Live, Supervisor};
use super::seal::Seal;
use super::shared::Shared;
use super::{Engine, ScheduleEntry};
use crate::domain::accounts::{self, Accounts, Shard};
use crate::domain::cause::{By, Cause};
use crate::domain::ids::{PaymentId, PaymentNumber, ScheduleNumber, UserId};
use crate::domain::keys::KeyUse;
use crate::domain::money::{Currency, Money};
use crate::domain::payments::{self, Method, Payment, Payments};
use crate::domain::schedule::{Refusal, ReservationRef, ReservationStatus};
use crate::domain::time::Timestamp;
use crate::gateway::{Gateways, PaymentKey};
use crate::record;
use crate::recovery::KEYS_MAX;

impl Aggregate for Accounts {
    type Command = accounts::Command;
    type Event = accounts::Event;
    type Answer = accounts::Answer;
    type View = ();
    type Own = ();

    fn title(&self) -> String {
        format!("accounts {}", self.shard().0)
    }

    fn version(&self) -> u64 {
        self.version()
    }

    fn last_instant(&self) -> Timestamp {
        self.last_instant()
    }

    fn name(command: &Self::Command) -> &'static str {
        command.name()
    }

    fn find(&self, key: KeyUse, now: Timestamp) -> Option<KeyLookup<Self::Answer>> {
        self.find_key(key, now).map(|found| KeyLookup::of(&found, |answer| *answer))
    }

    fn decide(
        &self,
        command: &Self::Command,
        _: Timestamp,
        _: &Shared,
    ) -> Result<Option<Self::Event>, EngineError> {
        Ok(self.decide(command)?)
    }

    fn apply(&mut self, event: &Self::Event, at: Timestamp, key: Option<KeyUse>) {
        self.apply(event, at, key);
    }

    fn seal(&self, event: &mut Self::Event, seal: &Seal) {
        if let accounts::Event::Moved { number, nonce, .. } = event {
            seal.transaction(self.shard().0, number, nonce);
        }
    }

    fn kept(&self, command: &Self::Command) -> Self::Event {
        accounts::Event::KeyKept { user: command.user().clone() }
    }

    fn answer(&self, _: &Self::Command, event: &Self::Event) -> Self::Answer {
        self.answer(event)
    }

    fn encode(&self, bytes: &mut Vec<u8>, version: u64, at: Timestamp, cause: Cause, event: &Self::Event) {
        record::encode_accounts_event(bytes, self.shard(), version, at, cause, event);
    }

    fn own(&self, _: &Live<Self>) {}
}

impl Aggregate for Payments {
    type Command = payments::Command;
    type Event = payments::Event;
    /// The payment as it stands; none where it was forgotten.
    type Answer = Option<Payment>;
    type View = ();
    type Own = ();

    fn title(&self) -> String {
        format!("payments of schedule {}", self.schedule().0)
    }

    fn version(&self) -> u64 {
        self.version()
    }

    fn last_instant(&self) -> Timestamp {
        self.last_instant()
    }

    fn name(command: &Self::Command) -> &'static str {
        command.name()
    }

    fn find(&self, key: KeyUse, now: Timestamp) -> Option<KeyLookup<Self::Answer>> {
        self.find_key(key, now).map(|found| KeyLookup::of(&found, |number| self.numbered(*number).cloned()))
    }

    fn decide(
        &self,
        command: &Self::Command,
        _: Timestamp,
        _: &Shared,
    ) -> Result<Option<Self::Event>, EngineError> {
        Ok(self.decide(command)?)
    }

    fn apply(&mut self, event: &Self::Event, at: Timestamp, key: Option<KeyUse>) {
        self.apply(event, at, key);
    }

    fn seal(&self, event: &mut Self::Event, seal: &Seal) {
        if let payments::Event::Started { number, nonce, .. } = event {
            seal.payment(self.schedule(), number, nonce);
        }
    }

    fn kept(&self, command: &Self::Command) -> Self::Event {
        payments::Event::KeyKept { number: command.number() }
    }

    fn answer(&self, _: &Self::Command, event: &Self::Event) -> Self::Answer {
        self.numbered(event.number()).cloned()
    }

    fn encode(&self, bytes: &mut Vec<u8>, version: u64, at: Timestamp, cause: Cause, event: &Self::Event) {
        record::encode_payments_event(bytes, self.schedule(), version, at, cause, event);
    }

    fn own(&self, _: &Live<Self>) {}

    /// A payment that has a next step now is driven from now on.
    fn follow(live: &Live<Self>, event: &Self::Event, shared: &Arc<Shared>) {
        count(event);
        let due = {
            let payments = live.read();
            let payment = payments.numbered(event.number());
            payment.filter(|payment| payment.next().is_some()).map(|payment| payment.id)
        };
        if let Some(id) = due {
            shared.drive(id, Pace::AtOnce);
        }
    }
}

/// The accounts, the payments, and those that are being driven.
pub(super) struct Till {
    accounts: Vec<Arc<Live<Accounts>>>,
    payments: DashMap<ScheduleNumber, Arc<Live<Payments>>>,
    pub(super) gateways: Gateways,
    pub(super) drives: Drives,
}

impl Till {
    pub(super) fn new(
        mut accounts: hashbrown::HashMap<Shard, Accounts>,
        payments: hashbrown::HashMap<ScheduleNumber, Payments>,
        gateways: Gateways,
    ) -> Self {
        let shard = |shard| accounts.remove(&shard).unwrap_or_else(|| Accounts::new(shard, KEYS_MAX));
        let accounts = Shard::all().map(shard).map(|shard| Arc::new(Live::of(shard))).collect();
        let payments = payments.into_iter().map(|(number, payments)| (number, kept(payments)));
        Self { accounts, payments: payments.collect(), gateways, drives: Drives::default() }
    }

    /// Starts the actors of what is there.
    pub(super) async fn start(&self, supervisor: &ActorRef<Supervisor>, shared: &Arc<Shared>) {
        for shard in &self.accounts {
            shard.start(supervisor, shared).await;
        }
        let payments: Vec<_> = self.payments.iter().map(|entry| Arc::clone(&entry)).collect();
        for entry in payments {
            entry.start(supervisor, shared).await;
        }
    }

    pub(super) fn accounts(&self, user: &str) -> &Arc<Live<Accounts>> {
        &self.accounts[usize::from(Shard::of(user).0)]
    }

    pub(super) fn all_accounts(&self) -> &[Arc<Live<Accounts>>] {
        &self.accounts
    }

    pub(super) fn payments(&self, number: ScheduleNumber) -> Option<Arc<Live<Payments>>> {
        self.payments.get(&number).map(|entry| Arc::clone(&entry))
    }

    /// Returns the payments of every schedule that has any, in order of the schedules' numbers.
    pub(super) fn all_payments(&self) -> Vec<Arc<Live<Payments>>> {
        let mut all: Vec<_> = self.payments.iter().map(|entry| Arc::clone(&entry)).collect();
        all.sort_unstable_by_key(|entry| entry.read().schedule());
        all
    }

    /// Tells whether a payment needs no gateway, or the one that it names is set up.
    pub(super) fn has_gateway_of(&self, payment: &Payment) -> bool {
        payment.gateway.as_ref().is_none_or(|name| self.gateways.named(name).is_some())
    }

    /// Forgets the payments of a schedule that is in the archive.
    pub(super) fn forget(&self, number: ScheduleNumber) {
        self.payments.remove(&number);
    }

    fn payments_of_new(&self, number: ScheduleNumber) -> Arc<Live<Payments>> {
        let fresh = || kept(Payments::new(number, KEYS_MAX));
        Arc::clone(&self.payments.entry(number).or_insert_with(fresh))
    }
}

fn kept(payments: Payments) -> Arc<Live<Payments>> {
    Arc::new(Live::of(payments))
}

/// Counts what has just become durable.
fn count(event: &payments::Event) {
    use payments::Event;
    let outcome = match event {
        Event::Started { .. } => "started",
        Event::Completed { .. } => "completed",
        Event::Failed { .. } => "failed",
        Event::Refunded { .. } => "refunded",
        Event::Accepted { .. }
        | Event::CaptureBegun { .. }
        | Event::Declined { .. }
        | Event::Captured { .. }
        | Event::Confirmed { .. }
        | Event::RefundBegun { .. }
        | Event::KeyKept { .. } => return,
    };
    metrics::counter!("onsale_payments_total", "outcome" => outcome).increment(1);
}

/// A payment to make.
#[derive(Debug, Clone)]
pub struct Purchase {
    /// Who pays.
    pub user: UserId,
    /// For which reservation of the schedule.
    pub reservation: ReservationRef,
    /// How.
    pub method: Method,
    /// The random part of the payment's id.
    pub nonce: u64,
    /// The idempotency key.
    pub key: Option<KeyUse>,
}

impl Engine {
    /// Returns what a user has: nothing where nothing was ever put in.
    pub fn balance(&self, user: &str) -> Option<(Money, Currency, Option<Timestamp>)> {
        let shard = self.shared.till.accounts(user).read();
        let account = shard.account(user)?;
        Some((account.balance(), account.currency(), account.updated_at()))
    }

    /// Puts money in an account; the answer is durable when it comes.
    ///
    /// # Errors
    /// As [`Engine::act`]; [`Refusal::Account`](super::Refusal).
    pub async fn charge(
        &self,
        user: &UserId,
        amount: Money,
        currency: Currency,
        nonce: u64,
        cause: Cause,
    ) -> Result<Done<accounts::Answer>, EngineError> {
        let charge = accounts::Command::Charge { user: user.clone(), amount, currency, nonce };
        self.shared.till.accounts(user).ask(charge, cause, None).await
    }

    /// Finds a payment as it is durable, unless it is in the archive: there nothing is under way.
    pub fn payment(&self, id: PaymentId) -> Option<Payment> {
        self.shared.payment(id)
    }

    /// Finds a payment by its number alone: for what is told of events, never for a caller's wish.
    pub fn payment_numbered(&self, schedule: ScheduleNumber, number: PaymentNumber) -> Option<Payment> {
        self.shared.till.payments(schedule)?.read().numbered(number).cloned()
    }

    /// Counts the payments of all schedules that are under way, or were given back.
    pub fn payments_under_way(&self) -> payments::Counts {
        let mut counts = payments::Counts::default();
        for entry in self.shared.till.all_payments() {
            counts.merge(entry.read().counts());
        }
        counts
    }

    /// Counts the payments of a schedule.
    pub fn payments_of_schedule(&self, number: ScheduleNumber) -> payments::Counts {
        self.shared.till.payments(number).map(|payments| payments.read().counts()).unwrap_or_default()
    }

    /// Makes a payment of a hold. From the balance, or of nothing, it is driven until it is settled; through a gateway it is ready for
    /// the checkout.
    ///
    /// # Errors
    /// As [`Engine::act`]; the refusals of the reservation where it is no live hold of the user; `NoGateway`.
    pub async fn pay(&self, entry: &ScheduleEntry, purchase: Purchase) -> Result<Done<Payment>, EngineError> {
        let Purchase { user, reservation, method, nonce, key } = purchase;
        let gateway = self.shared.till.gateways.of(method).map(|(name, _)| name.clone());
        if method.needs_gateway() && gateway.is_none() {
            return Err(EngineError::NoGateway);
        }
        if entry.is_archived() {
            // Nothing there is a live hold; payments of it would be a second truth.
            self.price_of_hold(entry, reservation, &user).await?;
            return Err(Refusal::NotHeld.into());
        }
        if entry.has_moved() {
            return Err(EngineError::NotReady);
        }
        let payments = self.shared.till.payments_of_new(entry.number());
        payments.start(&self.supervisor, &self.shared).await;
        if let Some(done) = self.paid_before(&payments, key)? {
            return Ok(done);
        }
        let (amount, currency) = self.price_of_hold(entry, reservation, &user).await?;
        let at_checkout = payments::needs_gateway(method, amount);
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

        // Its event has started it: it goes on without whoever asked.
        self.driven(started.id, Until::Settled).await;
        let settled = self.payment(started.id).ok_or(EngineError::OutcomeUnknown)?;
        Ok(Done { answer: settled, replayed: false })
    }

    /// Goes on with a payment for which the gateway's checkout gave a key: captures it and confirms the reservation. It
    /// returns once the payment is settled, as soon as the gateway gave no answer that says how it went, or after `patience`: the
    /// payment goes on without whoever asked.
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
        if own.is_some_and(|payment| !self.shared.till.has_gateway_of(&payment)) {
            return Err(EngineError::NoGateway);
        }
        let Some(payments) = self.shared.till.payments(id.schedule) else {
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
        let found = self.find_payment(id).await?.filter(|payment| payment.user == *user);
        let payment = found.ok_or(payments::Refusal::NoSuchPayment)?;
        if payment.payment_key.as_deref() != Some(payment_key.as_str()) {
            return Err(payments::Refusal::NotReady.into());
        }
        Ok(Done { answer: payment, replayed: false })
    }

    /// Returns the gateways that are set up.
    pub fn gateways(&self) -> &Gateways {
        &self.shared.till.gateways
    }

    /// Answers a key that has had its effect, before it is asked whether the hold still lives.
    fn paid_before(
        &self,
        payments: &Live<Payments>,
        key: Option<KeyUse>,
    ) -> Result<Option<Done<Payment>>, EngineError> {
        let Some(key) = key else { return Ok(None) };
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
        if self.shared.journal.failure().is_some() {
            return Err(EngineError::JournalUnavailable);
        }
        Err(EngineError::InProgress)
    }

    /// Has a payment that somebody found driven, should something be left to do.
    pub(super) fn go_on(&self, payment: &Payment) {
        if payment.next().is_some() {
            self.shared.drive(payment.id, Pace::AtOnce);
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
        let reservation = reservation.filter(|reservation| reservation.user == *user);
        let reservation = reservation.ok_or(Refusal::NoSuchReservation)?;
        match reservation.status {
            ReservationStatus::Held => {
                let schedule = entry.read();
                Ok((schedule.amount(&reservation.seats), schedule.currency()))
            }
            ReservationStatus::Expired => Err(Refusal::Expired.into()),
            ReservationStatus::Paying
            | ReservationStatus::Confirmed
            | ReservationStatus::Cancelled
            | ReservationStatus::Released => Err(Refusal::NotHeld.into()),
        }
    }
}
