//! Accounts and payments as the engine keeps them, and the saga that runs between them.
//!
//! ```text
//! pay → Started ─▶ drive: next step → take it outside → note what came of it ─▶ … ─▶ settled
//! ```
//!
//! A payment is driven by one task at a time, whoever asks for it: the request that began it, a later one, a
//! notice of the gateway, or recovery. Each step was announced by a durable event before it is taken (V1), and can be taken again.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use kameo::actor::ActorRef;
use tokio::sync::{Semaphore, watch};

use super::catalogue_actor::Supervisor;
use super::error::EngineError;
use super::keeper::{self, Aggregate, Done, Found, Kept};
use super::shared::Shared;
use super::{Engine, ScheduleEntry};
use crate::domain::accounts::{self, Accounts, Shard};
use crate::domain::cause::{By, Cause};
use crate::domain::ids::{PaymentId, PaymentNumber, ScheduleNumber, UserId};
use crate::domain::keys::KeyUse;
use crate::domain::money::{Currency, Money};
use crate::domain::payments::{self, Failure, Method, Outcome, Payment, Payments, State, Step};
use crate::domain::schedule::{self, Caller, Refusal, ReservationRef, ReservationStatus};
use crate::domain::time::Timestamp;
use crate::domain::waiting_room;
use crate::record;
use crate::recovery::KEYS_MAX;

/// How many refunds of a cancelled schedule, or payments that recovery goes on with, are under way at once.
const AT_ONCE_MAX: usize = 32;
/// The first and the longest wait before a step that couldn't be taken is tried again.
const AGAIN_FIRST: Duration = Duration::from_millis(50);
const AGAIN_LONGEST: Duration = Duration::from_mins(1);

impl Aggregate for Accounts {
    type Command = accounts::Command;
    type Event = accounts::Event;
    type Answer = accounts::Answer;

    fn version(&self) -> u64 {
        self.version()
    }

    fn last_instant(&self) -> Timestamp {
        self.last_instant()
    }

    fn name(command: &Self::Command) -> &'static str {
        command.name()
    }

    fn find(&self, key: KeyUse, now: Timestamp) -> Option<Found<Self::Answer>> {
        self.find_key(key, now).map(|found| Found::of(&found, |answer| *answer))
    }

    fn decide(&self, command: &Self::Command) -> Result<Option<Self::Event>, EngineError> {
        Ok(self.decide(command)?)
    }

    fn apply(&mut self, event: &Self::Event, at: Timestamp, key: Option<KeyUse>) {
        self.apply(event, at, key);
    }

    fn kept(&self, command: &Self::Command) -> Self::Event {
        accounts::Event::KeyKept { user: command.user().clone() }
    }

    fn answer(&self, event: &Self::Event) -> Self::Answer {
        self.answer(event)
    }

    fn encode(&self, bytes: &mut Vec<u8>, version: u64, at: Timestamp, cause: Cause, event: &Self::Event) {
        record::encode_accounts_event(bytes, self.shard(), version, at, cause, event);
    }
}

impl Aggregate for Payments {
    type Command = payments::Command;
    type Event = payments::Event;
    /// The payment as it stands; none where it was forgotten.
    type Answer = Option<Payment>;

    fn version(&self) -> u64 {
        self.version()
    }

    fn last_instant(&self) -> Timestamp {
        self.last_instant()
    }

    fn name(command: &Self::Command) -> &'static str {
        command.name()
    }

    fn find(&self, key: KeyUse, now: Timestamp) -> Option<Found<Self::Answer>> {
        self.find_key(key, now).map(|found| Found::of(&found, |number| self.numbered(*number).cloned()))
    }

    fn decide(&self, command: &Self::Command) -> Result<Option<Self::Event>, EngineError> {
        Ok(self.decide(command)?)
    }

    fn apply(&mut self, event: &Self::Event, at: Timestamp, key: Option<KeyUse>) {
        self.apply(event, at, key);
    }

    fn kept(&self, command: &Self::Command) -> Self::Event {
        payments::Event::KeyKept { number: command.number() }
    }

    fn answer(&self, event: &Self::Event) -> Self::Answer {
        self.numbered(event.number()).cloned()
    }

    fn encode(&self, bytes: &mut Vec<u8>, version: u64, at: Timestamp, cause: Cause, event: &Self::Event) {
        record::encode_payments_event(bytes, self.schedule(), version, at, cause, event);
    }
}

/// The accounts, the payments, and those that are being driven.
pub(super) struct Till {
    accounts: Vec<Arc<Kept<Accounts>>>,
    payments: DashMap<ScheduleNumber, Arc<Kept<Payments>>>,
    /// Whoever waits for a payment follows the task that drives it.
    driven: DashMap<PaymentId, watch::Receiver<()>>,
    at_once: Arc<Semaphore>,
}

impl Till {
    pub(super) fn new(
        mut accounts: hashbrown::HashMap<Shard, Accounts>,
        payments: hashbrown::HashMap<ScheduleNumber, Payments>,
    ) -> Self {
        let shard = |shard| accounts.remove(&shard).unwrap_or_else(|| Accounts::new(shard, KEYS_MAX));
        let accounts = Shard::all().map(shard).map(|shard| Arc::new(Kept::new(shard))).collect();
        let payments = payments.into_iter().map(|(number, payments)| (number, Arc::new(Kept::new(payments))));
        Self {
            accounts,
            payments: payments.collect(),
            driven: DashMap::new(),
            at_once: Arc::new(Semaphore::new(AT_ONCE_MAX)),
        }
    }

    /// Starts the actors of what is there.
    pub(super) async fn start(&self, supervisor: &ActorRef<Supervisor>, shared: &Arc<Shared>) {
        for shard in &self.accounts {
            keeper::start(supervisor, shared, shard).await;
        }
        let payments: Vec<_> = self.payments.iter().map(|entry| Arc::clone(&entry)).collect();
        for entry in payments {
            keeper::start(supervisor, shared, &entry).await;
        }
    }

    pub(super) fn accounts(&self, user: &str) -> &Arc<Kept<Accounts>> {
        &self.accounts[usize::from(Shard::of(user).0)]
    }

    pub(super) fn all_accounts(&self) -> &[Arc<Kept<Accounts>>] {
        &self.accounts
    }

    pub(super) fn payments(&self, number: ScheduleNumber) -> Option<Arc<Kept<Payments>>> {
        self.payments.get(&number).map(|entry| Arc::clone(&entry))
    }

    /// Returns the payments of every schedule that has any, in order of the schedules' numbers.
    pub(super) fn all_payments(&self) -> Vec<Arc<Kept<Payments>>> {
        let mut all: Vec<_> = self.payments.iter().map(|entry| Arc::clone(&entry)).collect();
        all.sort_unstable_by_key(|entry| entry.read().schedule());
        all
    }

    fn payments_of_new(&self, number: ScheduleNumber) -> Arc<Kept<Payments>> {
        let fresh = || Arc::new(Kept::new(Payments::new(number, KEYS_MAX)));
        Arc::clone(&self.payments.entry(number).or_insert_with(fresh))
    }
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

    /// Returns a user's movements, the newest first, those before a number of the shard if one is given; at most `limit`.
    pub fn transactions(&self, user: &str, before: Option<u32>, limit: usize) -> Vec<accounts::Transaction> {
        let shard = self.shared.till.accounts(user).read();
        let Some(account) = shard.account(user) else { return Vec::new() };
        let earlier = |moved: &&accounts::Transaction| before.is_none_or(|before| moved.id.number < before);
        account.transactions().filter(earlier).take(limit).copied().collect()
    }

    /// Puts money in an account; the answer is durable when it comes.
    ///
    /// # Errors
    /// As [`Engine::act`]; `AccountRefused`.
    pub async fn charge(
        &self,
        user: &UserId,
        amount: Money,
        currency: Currency,
        nonce: u64,
        cause: Cause,
    ) -> Result<Done<accounts::Answer>, EngineError> {
        let charge = accounts::Command::Charge { user: user.clone(), amount, currency, nonce };
        self.shared.till.accounts(user).ask(charge, cause).await
    }

    /// Finds a payment as it is durable.
    pub fn payment(&self, id: PaymentId) -> Option<Payment> {
        self.shared.till.payments(id.schedule)?.read().payment(id).cloned()
    }

    /// Returns a user's payments, the newest first, those before one if it is given; at most `limit`.
    pub fn payments_of(&self, user: &str, before: Option<PaymentId>, limit: usize) -> Vec<Payment> {
        let place = |payment: &Payment| (payment.created_at, payment.id.schedule, payment.id.number);
        // One that was forgotten meanwhile ends the list.
        let before = match before.map(|id| self.payment(id)) {
            Some(Some(payment)) => Some(place(&payment)),
            Some(None) => return Vec::new(),
            None => None,
        };
        let mut found = Vec::new();
        for entry in self.schedules_of_user(user) {
            let Some(payments) = self.shared.till.payments(entry.number()) else { continue };
            let payments = payments.read();
            let shown = |payment: &&Payment| {
                *payment.user == *user && before.is_none_or(|before| place(payment) < before)
            };
            found.extend(payments.iter().rev().filter(shown).take(limit).cloned());
        }
        found.sort_unstable_by_key(|payment| core::cmp::Reverse(place(payment)));
        found.truncate(limit);
        found
    }

    /// Finds a payment by its number alone: for what is told of events, never for a caller's wish.
    pub fn payment_numbered(&self, schedule: ScheduleNumber, number: PaymentNumber) -> Option<Payment> {
        self.shared.till.payments(schedule)?.read().numbered(number).cloned()
    }

    /// Makes a payment of a hold. From the balance it is driven until it is settled; through a gateway it is ready for
    /// the checkout.
    ///
    /// # Errors
    /// As [`Engine::act`]; the refusals of the reservation where it is no live hold of the user.
    pub async fn pay(&self, entry: &ScheduleEntry, purchase: Purchase) -> Result<Done<Payment>, EngineError> {
        let Purchase { user, reservation, method, nonce, key } = purchase;
        let payments = self.shared.till.payments_of_new(entry.number());
        keeper::start(&self.supervisor, &self.shared, &payments).await;
        if let Some(done) = self.paid_before(&payments, key)? {
            return Ok(done);
        }
        let (amount, currency) = self.price_of_hold(entry, reservation, &user)?;
        let start = payments::Command::Start { reservation, user, method, amount, currency, nonce };
        let Done { answer, replayed } = payments.ask(start, Cause { by: By::User, key }).await?;
        let started = answer.ok_or(EngineError::OutcomeUnknown)?;
        if replayed || method.needs_gateway() {
            return Ok(Done { answer: started, replayed });
        }
        self.drive(started.id).await;
        let settled = self.payment(started.id).ok_or(EngineError::OutcomeUnknown)?;
        Ok(Done { answer: settled, replayed: false })
    }

    /// Answers a key that has had its effect, before it is asked whether the hold still lives.
    fn paid_before(
        &self,
        payments: &Kept<Payments>,
        key: Option<KeyUse>,
    ) -> Result<Option<Done<Payment>>, EngineError> {
        let Some(key) = key else { return Ok(None) };
        let found = Aggregate::find(&*payments.read(), key, self.now());
        match found {
            None | Some(Found::Answered(_, None)) => Ok(None),
            Some(Found::Reused) => Err(EngineError::KeyReused),
            Some(Found::Answered(_, Some(payment))) => {
                let running = !payment.state.is_settled() && !payment.method.needs_gateway();
                if running && self.shared.till.driven.contains_key(&payment.id) {
                    return Err(EngineError::InProgress);
                }
                Ok(Some(Done { answer: payment, replayed: true }))
            }
        }
    }

    /// Returns the price of a live hold of a user's.
    fn price_of_hold(
        &self,
        entry: &ScheduleEntry,
        id: ReservationRef,
        user: &UserId,
    ) -> Result<(Money, Currency), EngineError> {
        let now = self.now();
        let schedule = entry.read();
        let reservation = schedule.reservation(id).filter(|reservation| reservation.user == *user);
        let reservation = reservation.ok_or(Refusal::NoSuchReservation)?;
        match reservation.status_at(now) {
            ReservationStatus::Held => Ok((schedule.amount(&reservation.seats), schedule.currency())),
            ReservationStatus::Expired => Err(Refusal::Expired.into()),
            ReservationStatus::Paying
            | ReservationStatus::Confirmed
            | ReservationStatus::Cancelled
            | ReservationStatus::Released => Err(Refusal::NotHeld.into()),
        }
    }

    /// Gives the money of a cancelled reservation back, if a payment stood for it; from a balance before this
    /// returns.
    pub(super) async fn refund(&self, entry: &ScheduleEntry, id: ReservationRef) {
        let payment = {
            let schedule = entry.read();
            let reservation = schedule.reservation(id);
            reservation
                .filter(|reservation| reservation.status == ReservationStatus::Cancelled)
                .and_then(|reservation| reservation.payment)
        };
        let Some(payment) = payment else { return };
        let through_gateway = self.payment(payment).is_some_and(|payment| payment.method.needs_gateway());
        if through_gateway {
            // It follows when the gateway has done it; nobody waits for that.
            let engine = self.clone();
            tokio::spawn(async move { engine.drive(payment).await });
        } else {
            self.drive(payment).await;
        }
    }

    /// Waits until no payment is under way and nothing is owed: what a gateway doesn't answer, it waits for.
    pub async fn settled(&self) {
        for payments in self.shared.till.all_payments() {
            let number = payments.read().schedule();
            for payment in self.unsettled(number) {
                self.drive(payment).await;
            }
        }
    }

    /// Returns the payments of a schedule that are under way, and those whose money is to be given back.
    fn unsettled(&self, number: ScheduleNumber) -> Vec<PaymentId> {
        let Some(payments) = self.shared.till.payments(number) else { return Vec::new() };
        let entry = self.schedule_by_number(number);
        let payments = payments.read();
        let due = payments.iter().filter(|payment| {
            let owed = payment.state == State::Completed && is_cancelled(entry.as_deref(), payment);
            !payment.state.is_settled() || owed
        });
        due.map(|payment| payment.id).collect()
    }

    /// Gives the money of all cancelled reservations of a schedule back, and goes on with whatever isn't settled; a
    /// bounded number at once, beside everything else.
    pub(super) fn settle(&self, number: ScheduleNumber) {
        for payment in self.unsettled(number) {
            let (engine, at_once) = (self.clone(), Arc::clone(&self.shared.till.at_once));
            tokio::spawn(async move {
                let Ok(_permit) = at_once.acquire_owned().await else { return };
                engine.drive(payment).await;
            });
        }
    }

    /// Drives a payment until it is settled, or follows whoever does. A caller that goes away ends nothing.
    async fn drive(&self, id: PaymentId) {
        let mut follow = match self.shared.till.driven.entry(id) {
            dashmap::Entry::Occupied(driven) => driven.get().clone(),
            dashmap::Entry::Vacant(vacant) => {
                let (done, follow) = watch::channel(());
                vacant.insert(follow.clone());
                let engine = self.clone();
                tokio::spawn(async move {
                    engine.drive_on(id).await;
                    engine.shared.till.driven.remove(&id);
                    drop(done);
                });
                follow
            }
        };
        // It ends when the sender goes, at the latest when the task panics.
        while follow.changed().await.is_ok() {}
    }

    async fn drive_on(&self, id: PaymentId) {
        let Some(payments) = self.shared.till.payments(id.schedule) else { return };
        let mut again = AGAIN_FIRST;
        loop {
            let Some(payment) = self.payment(id) else { return };
            let command = match payment.next() {
                Some(step) => match self.take(&payment, step).await {
                    Ok(outcome) => payments::Command::Note { payment: id, outcome },
                    Err(error) => {
                        if !self.wait_again(&error, &mut again).await {
                            return;
                        }
                        continue;
                    }
                },
                // Given back after it was confirmed, and not refunded yet.
                None if payment.state == State::Completed && self.is_cancelled(&payment) => {
                    payments::Command::Refund { payment: id }
                }
                None => return,
            };
            match payments.ask(command, Cause::default()).await {
                Ok(_) => again = AGAIN_FIRST,
                Err(error) => {
                    if !self.wait_again(&error, &mut again).await {
                        return;
                    }
                }
            }
        }
    }

    /// Waits before a step is tried again; says no when nothing can change any more.
    async fn wait_again(&self, error: &EngineError, again: &mut Duration) -> bool {
        if self.shared.journal.failure().is_some() {
            return false;
        }
        tracing::debug!(%error, "a payment's step is tried again");
        tokio::time::sleep(*again).await;
        *again = (*again * 2).min(AGAIN_LONGEST);
        true
    }

    /// Takes a step outside of the payment.
    async fn take(&self, payment: &Payment, step: Step) -> Result<Outcome, EngineError> {
        match step {
            Step::Hold => self.hold_for(payment).await,
            Step::Capture => self.capture(payment).await,
            Step::LetGo => {
                let (reservation, payment_id) = (payment.reservation, payment.id);
                let command = schedule::Command::FailPayment { reservation, payment: payment_id };
                match self.ask_for(payment, command).await {
                    Ok(()) | Err(EngineError::Refused(_) | EngineError::NoSuchSchedule) => Ok(Outcome::LetGo),
                    Err(error) => Err(error),
                }
            }
            Step::Confirm => {
                let (reservation, payment_id) = (payment.reservation, payment.id);
                let command = schedule::Command::Confirm { reservation, payment: payment_id };
                match self.ask_for(payment, command).await {
                    Ok(()) => Ok(Outcome::Confirmed),
                    Err(EngineError::Refused(_) | EngineError::NoSuchSchedule) => Ok(Outcome::Lost),
                    Err(error) => Err(error),
                }
            }
            Step::EndPass => self.end_pass(payment).await,
            Step::GiveBack => self.give_back(payment).await,
        }
    }

    async fn hold_for(&self, payment: &Payment) -> Result<Outcome, EngineError> {
        let caller = Caller::User(payment.user.clone());
        let (reservation, payment_id) = (payment.reservation, payment.id);
        let command = schedule::Command::BeginPayment { reservation, caller, payment: payment_id };
        match self.ask_for(payment, command).await {
            Ok(()) => {}
            Err(EngineError::Refused(Refusal::Expired)) => return Ok(Outcome::NotHeld(Failure::TooLate)),
            Err(EngineError::Refused(_) | EngineError::NoSuchSchedule) => {
                return Ok(Outcome::NotHeld(Failure::NotHeld));
            }
            Err(error) => return Err(error),
        }
        // Its seats can't change any more: do they still cost what is paid?
        let entry = self.schedule_by_number(payment.id.schedule).ok_or(EngineError::NoSuchSchedule)?;
        let schedule = entry.read();
        let amount = schedule.reservation(reservation).map(|reservation| schedule.amount(&reservation.seats));
        Ok(match amount {
            Some(amount) if amount == payment.amount => Outcome::Held,
            Some(_) | None => Outcome::NotHeld(Failure::OtherAmount),
        })
    }

    async fn capture(&self, payment: &Payment) -> Result<Outcome, EngineError> {
        let command = accounts::Command::Pay {
            user: payment.user.clone(),
            payment: payment.id,
            amount: payment.amount,
            currency: payment.currency,
            nonce: self.random(),
        };
        match self.shared.till.accounts(&payment.user).ask(command, Cause::default()).await {
            Ok(_) => Ok(Outcome::Captured),
            Err(EngineError::AccountRefused(refusal)) => Ok(Outcome::Declined(match refusal {
                accounts::Refusal::Insufficient { balance, .. } => Failure::Insufficient { balance },
                accounts::Refusal::OtherCurrency => Failure::OtherCurrency,
                accounts::Refusal::TooMuch | accounts::Refusal::NothingTaken => Failure::NotHeld,
            })),
            Err(error) => Err(error),
        }
    }

    async fn end_pass(&self, payment: &Payment) -> Result<Outcome, EngineError> {
        let Some(entry) = self.schedule_by_number(payment.id.schedule) else { return Ok(Outcome::PassEnded) };
        let finish = waiting_room::Command::Finish { user: payment.user.clone() };
        match self.act_in_room(&entry, finish, Cause::default()).await {
            Ok(_) | Err(EngineError::RoomRefused(_) | EngineError::NoSuchSchedule) => Ok(Outcome::PassEnded),
            Err(error) => Err(error),
        }
    }

    async fn give_back(&self, payment: &Payment) -> Result<Outcome, EngineError> {
        let command = accounts::Command::Refund {
            user: payment.user.clone(),
            payment: payment.id,
            amount: payment.amount,
            nonce: self.random(),
        };
        self.shared.till.accounts(&payment.user).ask(command, Cause::default()).await?;
        Ok(Outcome::GivenBack)
    }

    async fn ask_for(&self, payment: &Payment, command: schedule::Command) -> Result<(), EngineError> {
        let entry = self.schedule_by_number(payment.id.schedule).ok_or(EngineError::NoSuchSchedule)?;
        self.ask_schedule(&entry, command, Cause::default()).await.map(drop)
    }

    fn is_cancelled(&self, payment: &Payment) -> bool {
        is_cancelled(self.schedule_by_number(payment.id.schedule).as_deref(), payment)
    }

    /// Returns 64 random bits for an id that can't be guessed.
    #[expect(clippy::unused_self, reason = "the engine is where randomness comes from")]
    fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the operating system has random numbers");
        u64::from_le_bytes(bytes)
    }
}

fn is_cancelled(entry: Option<&ScheduleEntry>, payment: &Payment) -> bool {
    entry.is_some_and(|entry| {
        let schedule = entry.read();
        let reservation = schedule.reservation(payment.reservation);
        reservation.is_some_and(|reservation| {
            reservation.status == ReservationStatus::Cancelled && reservation.payment == Some(payment.id)
        })
    })
}
