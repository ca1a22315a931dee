//! Drives payments: takes a payment's next step, until nothing is left to do.
//!
//! ```text
//! drive: next step → take it outside → note its outcome ─▶ … ─▶ settled
//!                      └─ not known, not possible now → wait (backoff, jitter; a notice ends it) → again
//! ```
//!
//! **An event starts a drive** (E1): the journal's writer starts it as soon as the event is durable, before the reply is given,
//! and recovery starts it again. No caller's future does; a caller only waits for the drive, and may go away. A look-up
//! that finds an unsettled payment has it driven, too, and [`sweep`] looks for payments that nobody drives: a second net, which
//! says so loudly.
//!
//! A payment is driven by one task at a time. Each step was announced by a durable event before it is taken (V1), and can be
//! taken again. There is no limit to how often: money whose fate isn't known is asked about until it is.
//!
//! Absent on purpose: which step comes next (`domain::payments`), what is owed (`domain::settlement`), what a gateway's answer means
//! (`gateway`).

use core::time::Duration;
use std::sync::Arc;

use tokio::sync::{Notify, watch};

use super::at_gateway::names;
use super::drives::{Driven, Drives, Pace, Until};
use crate::domain::cause::Cause;
use crate::domain::ids::{PaymentId, PaymentNumber, ScheduleNumber};
use crate::domain::money::Money;
use crate::domain::payments::{self, Failure, Outcome, Payment, State, Step};
use crate::domain::schedule::{self, Caller, Refusal, ReservationRef, ReservationStatus};
use crate::domain::{accounts, settlement, waiting_room};
use crate::engine::directory::Directory;
use crate::engine::error::{self, EngineError};
use crate::engine::{Engine, ScheduleEntry};
use crate::gateway::{Find, Found, Gateway, OrderId, Said, Why};
use crate::random;

/// The first and the longest wait before a step that couldn't be taken is tried again; each is twice the last, less up to a quarter.
const AGAIN_FIRST: Duration = Duration::from_millis(100);
const AGAIN_LONGEST: Duration = Duration::from_mins(1);
/// How many payments are looked at before the journal's writer may have the lock.
const PAGE: usize = 256;
/// How often payments that nobody drives are looked for.
const SWEEP_EVERY: Duration = Duration::from_mins(5);

/// Why a step isn't taken yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotYet {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the gateway gave no answer that says how it went: {}", .0.as_str())]
    Gateway(Why),
    #[error("the gateway refuses to give the money back ({code}: {reason})")]
    RefundRefused { code: Said, reason: Said },
}

impl Directory {
    /// Has a payment driven, if it isn't. Never waits, so that the journal's writer can ask for it; needs a tokio runtime.
    pub(in crate::engine) fn drive(self: &Arc<Self>, id: PaymentId, pace: Pace) {
        let Drives { driven: all, closing, .. } = &self.ledgers.drives;
        if closing.is_cancelled() {
            return;
        }

        if let dashmap::Entry::Vacant(vacant) = all.entry(id) {
            let (tell, in_doubt) = watch::channel(false);
            let driven = Driven { in_doubt, hint: Arc::new(Notify::new()) };
            vacant.insert(driven.clone());
            let driving = Driving { directory: Arc::clone(self), id, tell, end: End::Broken };
            tokio::spawn(driving.run(driven.hint, pace));
        }
    }

    /// Goes on with all payments of a schedule that aren't settled, and gives the money of its cancelled reservations back; a
    /// bounded number at once, beside everything else.
    pub(in crate::engine) fn settle(self: &Arc<Self>, number: ScheduleNumber) {
        let directory = Arc::clone(self);
        tokio::spawn(async move { directory.drive_unsettled(number).await });
    }

    /// Has every payment of a schedule that isn't settled driven; returns those that nobody drove.
    async fn drive_unsettled(self: &Arc<Self>, number: ScheduleNumber) -> Vec<PaymentId> {
        let mut found = Vec::new();
        let mut after = Some(PaymentNumber(0));
        while let Some(behind) = after {
            let (page, next) = self.unsettled(number, behind);
            for id in page {
                if self.ledgers.drives.find(id).is_none() {
                    self.drive(id, Pace::InTurn);
                    found.push(id);
                }
            }
            after = next;
            tokio::task::yield_now().await;
        }
        found
    }

    /// Looks through a page of a schedule's payments behind one: returns those with something left to do, and where the next page begins.
    fn unsettled(
        &self,
        number: ScheduleNumber,
        behind: PaymentNumber,
    ) -> (Vec<PaymentId>, Option<PaymentNumber>) {
        let Some(payments) = self.ledgers.payments(number) else { return (Vec::new(), None) };
        let page: Vec<Payment> = payments.read().behind(behind).take(PAGE).cloned().collect();
        let next = page.last().filter(|_| page.len() == PAGE).map(|payment| payment.id.number);
        let entry = self.schedule_by_number(number);
        let left = page.iter().filter(|payment| has_work(entry.as_deref(), payment));
        (left.map(|payment| payment.id).collect(), next)
    }

    /// Finds a payment as it is durable, if there is something left to do.
    fn with_work(&self, id: PaymentId) -> Option<Payment> {
        let payment = self.payment(id)?;
        has_work(self.schedule_by_number(id.schedule).as_deref(), &payment).then_some(payment)
    }

    pub(in crate::engine) fn payment(&self, id: PaymentId) -> Option<Payment> {
        self.ledgers.payments(id.schedule)?.read().payment(id).cloned()
    }
}

/// Tells whether a payment has a next step, or was completed for a reservation that isn't confirmed any more.
fn has_work(entry: Option<&ScheduleEntry>, payment: &Payment) -> bool {
    payment.next().is_some() || entry.is_some_and(|entry| settlement::is_owed(payment, &entry.read()))
}

/// Looks now and then for payments that nobody drives, though something is left to do: there are none, unless a drive panicked.
pub(in crate::engine) async fn sweep(directory: Arc<Directory>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        if directory.core.journal.failure().is_some() {
            return;
        }
        for payments in directory.ledgers.all_payments() {
            let number = payments.read().schedule();
            for id in directory.drive_unsettled(number).await {
                // Without its gateway its drives end at once, and say so.
                if directory.payment(id).is_some_and(|payment| directory.ledgers.has_gateway_of(&payment)) {
                    metrics::counter!("onsale_drives_found_total").increment(1);
                    tracing::error!(payment = %id, "a payment was driven by nobody: this is a bug; it goes on now");
                }
            }
        }
    }
}

impl Engine {
    /// Waits until a balance has the money of a cancelled reservation back, or until a gateway's refund is durably begun: the event
    /// that cancelled it has started that, and nobody needs to wait.
    pub(in crate::engine) async fn refunded(&self, entry: &ScheduleEntry, id: ReservationRef) {
        let payment = {
            let schedule = entry.read();
            let reservation = schedule.reservation(id);
            reservation
                .filter(|reservation| reservation.status == ReservationStatus::Cancelled)
                .and_then(|reservation| reservation.payment)
        };
        let Some(payment) = payment.and_then(|id| self.payment(id)) else { return };

        let settled = self.driven(payment.id, Until::Settled);
        let Some(payments) = self.directory.ledgers.payments(payment.id.schedule) else { return };

        if payment.needs_gateway() {
            let stands = |payment: &Payment| payment.state == State::Completed;
            let begun = payments.until(|all| !all.payment(payment.id).is_some_and(stands));
            tokio::select! {
                () = begun => {}
                () = settled => {}
            }
        } else {
            settled.await;
        }
    }

    /// Waits until no payment is under way and nothing is owed, and so for every answer that a gateway still owes; not for the reports
    /// of a payment service that can't be asked.
    pub async fn settled(&self) {
        for payments in self.directory.ledgers.all_payments() {
            let number = payments.read().schedule();
            let mut after = Some(PaymentNumber(0));
            while let Some(behind) = after {
                let (page, next) = self.directory.unsettled(number, behind);
                for payment in page {
                    self.directory.drive(payment, Pace::AtOnce);
                    self.driven(payment, Until::Settled).await;
                }
                after = next;
            }
        }
    }

    /// Has a payment driven if something is left to do, and its drive look again now, where it waits: somebody asks for it, or the
    /// gateway says that something has changed.
    ///
    /// Tells whether it is being driven.
    pub fn hint(&self, id: PaymentId) -> bool {
        if self.directory.with_work(id).is_some() {
            self.directory.drive(id, Pace::AtOnce);
        }
        let driven = self.directory.ledgers.drives.find(id);
        if let Some(driven) = &driven {
            driven.hint.notify_one();
        }
        driven.is_some()
    }

    /// Asks a gateway, which gave notice of a payment, whether it has the money that this engine thinks it has, and says loudly where it hasn't. Of a completed payment
    /// nothing else gives it back but this engine, so a person has to decide what becomes of the seats. Of a payment that isn't known
    /// here, as after a backup was restored, nobody else would ever give it back.
    pub async fn compare_with_gateway(&self, gateway: &str, id: PaymentId) {
        let Some(gateway) = self.directory.ledgers.gateways.named(gateway) else { return };
        let Ok(known) = self.find_saga(id).await else { return };
        let Some(payment) = known else { return self.look_for_a_stranger(id, &**gateway).await };

        let Some((order_id, payment_key)) = names(&payment) else { return };
        // Another gateway's notice says nothing about this payment's money.
        let is_its_own = payment.gateway.as_deref() == Some(gateway.terms().name);
        if !is_its_own || payment.state != State::Completed {
            return;
        }

        // A notice is a hint: where too many come, another one will.
        let Ok(_permit) = self.directory.ledgers.drives.calls.hinted.try_acquire() else { return };
        let found = gateway.find(Find { order_id, payment_key: Some(payment_key) }).await;

        if let Found::Captured { cancelled_amount, .. } = found
            && cancelled_amount > Money::ZERO
            && self.payment(id).is_some_and(|payment| payment.state == State::Completed)
        {
            metrics::counter!("onsale_gateway_surprises_total").increment(1);
            tracing::error!(
                payment = %id,
                cancelled = cancelled_amount.minor(),
                "money of a confirmed reservation was given back at the gateway, not by this engine: cancel the reservation, or \
                 have it paid again"
            );
        }
    }

    /// Asks the gateway for money of an order that nothing is known of here.
    async fn look_for_a_stranger(&self, id: PaymentId, gateway: &dyn Gateway) {
        let Ok(order_id) = OrderId::parse(&id.to_string()) else { return };
        let Ok(_permit) = self.directory.ledgers.drives.calls.hinted.try_acquire() else { return };
        let found = gateway.find(Find { order_id, payment_key: None }).await;
        if let Found::Captured { amount, cancelled_amount, .. } = found
            && amount > cancelled_amount
        {
            metrics::counter!("onsale_gateway_surprises_total").increment(1);
            tracing::error!(
                order = %id, captured = amount.minor(), cancelled = cancelled_amount.minor(),
                "the gateway has money of an order that the journal doesn't know, as after a backup was restored: `onsale reconcile` \
                 lists all such orders; give it back at the gateway"
            );
        }
    }

    /// Waits for the drive of a payment. Dropping this doesn't stop the drive.
    pub(in crate::engine) async fn driven(&self, id: PaymentId, until: Until) {
        while let Some(Driven { mut in_doubt, .. }) = self.directory.ledgers.drives.find(id) {
            loop {
                if until == Until::InDoubt && *in_doubt.borrow_and_update() {
                    return;
                }
                // It ends when the sender goes, at the latest when the task panics.
                if in_doubt.changed().await.is_err() {
                    break;
                }
            }
        }
    }
}

/// A payment's entry among those that are driven. When it is dropped, however the task ended, the payment can be driven again.
struct Driving {
    directory: Arc<Directory>,
    id: PaymentId,
    tell: watch::Sender<bool>,
    end: End,
}

/// How a drive ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing was left to do.
    Settled,
    /// Nothing can be done before the next start.
    Stopped,
    /// It panicked.
    Broken,
}

impl Driving {
    async fn run(mut self, hint: Arc<Notify>, pace: Pace) {
        let directory = Arc::clone(&self.directory);
        let drive = Drive {
            directory: &directory,
            id: self.id,
            tell: &self.tell,
            hint: &hint,
            in_turn: pace == Pace::InTurn,
            unanswered: true,
        };
        let end = tokio::select! {
            biased;
            () = directory.ledgers.drives.closing.cancelled() => End::Stopped,
            end = drive.run() => end,
        };
        self.end = end;
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        self.directory.ledgers.drives.driven.remove(&self.id);
        match self.end {
            // An event that became durable after the last look found this drive in its place, and began none: so it looks again.
            End::Settled => {
                if self.directory.with_work(self.id).is_some() {
                    self.directory.drive(self.id, Pace::AtOnce);
                }
            }
            End::Stopped => {}
            End::Broken => {
                metrics::counter!("onsale_drives_broken_total").increment(1);
                tracing::error!(payment = %self.id, "a payment's drive panicked: this is a bug; it goes on when it is next asked for");
            }
        }
    }
}

/// The drive of one payment.
pub(super) struct Drive<'a> {
    pub(super) directory: &'a Arc<Directory>,
    pub(super) id: PaymentId,
    tell: &'a watch::Sender<bool>,
    hint: &'a Notify,
    in_turn: bool,
    /// Whether a capture may have been sent whose answer isn't known: so it is at first, as far as a new life knows.
    pub(super) unanswered: bool,
}

impl Drive<'_> {
    /// Drives until nothing more happens by itself.
    async fn run(mut self) -> End {
        let Some(payments) = self.directory.ledgers.payments(self.id.schedule) else { return End::Settled };

        let mut again = AGAIN_FIRST;
        while let Some(payment) = self.directory.with_work(self.id) {
            let command = match payment.next() {
                Some(step) => match self.take(&payment, step).await {
                    Ok(outcome) => payments::Command::Note { payment: self.id, outcome },
                    Err(reason) => {
                        if !self.wait(&reason, &mut again).await {
                            return End::Stopped;
                        }
                        continue;
                    }
                },
                // Completed, and owed since.
                None => payments::Command::Refund { payment: self.id, amount: self.refundable(&payment) },
            };

            let capture_is_next = matches!(command, payments::Command::Note { outcome: Outcome::Held, .. });

            // Without patience: a step that was taken is noted however long the journal takes.
            match payments.ask(command, Cause::default(), None).await {
                Ok(_) => {
                    again = AGAIN_FIRST;
                    // Announced just now, and by nobody else: nothing was sent before.
                    if capture_is_next {
                        self.unanswered = false;
                    }
                }
                Err(error) => {
                    if !self.wait(&error.into(), &mut again).await {
                        return End::Stopped;
                    }
                }
            }
        }
        End::Settled
    }

    /// Returns how much of a cancelled reservation's money goes back, where that isn't all.
    fn refundable(&self, payment: &Payment) -> Option<Money> {
        let entry = self.directory.schedule_by_number(payment.id.schedule)?;
        entry.read().refund_owed(payment.reservation)
    }

    /// Waits before a step is tried again; says no when nothing can change any more.
    async fn wait(&self, reason: &NotYet, again: &mut Duration) -> bool {
        if self.directory.core.journal.failure().is_some() {
            return false;
        }

        match reason {
            NotYet::Engine(EngineError::NoGateway) => {
                let gateway = self.directory.payment(self.id).and_then(|payment| payment.gateway);
                tracing::warn!(
                    payment = %self.id, gateway = gateway.as_deref(),
                    "a payment waits for its gateway, which isn't set up: start with its settings"
                );
                return false;
            }
            NotYet::Engine(error) => tracing::debug!(%error, "a payment's step is tried again"),
            NotYet::Gateway(_) => {
                let again_seconds = again.as_secs_f64();
                tracing::info!(payment = %self.id, %reason, again_seconds, "a payment's outcome isn't known yet");
                self.tell.send_replace(true);
            }
            NotYet::RefundRefused { .. } => {
                metrics::counter!("onsale_refunds_refused_total").increment(1);
                tracing::error!(
                    payment = %self.id, %reason,
                    "money can't be given back: it is tried again, but a person has to look at the gateway"
                );
                *again = AGAIN_LONGEST;
            }
        }
        // Many that failed together don't come back together.
        let sixteenths = 12 + u32::try_from(random::number() % 5).unwrap_or_default();
        let wait = *again / 16 * sixteenths;
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.hint.notified() => {}
        }

        *again = (*again * 2).min(AGAIN_LONGEST);
        true
    }

    /// Takes a step outside of the payment.
    async fn take(&mut self, payment: &Payment, step: Step) -> Result<Outcome, NotYet> {
        // It is never closed.
        let _turn =
            if self.in_turn { self.directory.ledgers.drives.at_once.acquire().await.ok() } else { None };
        let through_gateway = payment.needs_gateway();

        match step {
            Step::Hold => Ok(self.hold(payment).await?),
            Step::Capture if through_gateway => self.capture_at_gateway(payment).await,
            Step::Capture => Ok(self.capture(payment).await?),
            Step::LetGo => {
                let (reservation, payment_id) = (payment.reservation, payment.id);
                let command = schedule::AnyCommand::FailPayment { reservation, payment: payment_id };
                match self.ask_for(payment, command).await {
                    Ok(()) | Err(EngineError::Refused(_) | EngineError::NoSuchSchedule) => Ok(Outcome::LetGo),
                    Err(error) => Err(error.into()),
                }
            }

            Step::Confirm => Ok(self.confirm(payment).await?),

            Step::EndPass => Ok(self.end_pass(payment).await?),
            Step::GiveBack if payment.gives_nothing_back() => Ok(Outcome::GivenBack),
            Step::GiveBack if through_gateway => self.give_back_at_gateway(payment).await,
            Step::GiveBack => Ok(self.give_back(payment).await?),
        }
    }

    async fn hold(&self, payment: &Payment) -> Result<Outcome, EngineError> {
        let caller = Caller::User(payment.user.clone());
        let (reservation, payment_id) = (payment.reservation, payment.id);
        let takes_time = payment.needs_gateway();
        let command =
            schedule::AnyCommand::BeginPayment { reservation, caller, payment: payment_id, takes_time };

        match self.ask_for(payment, command).await {
            Ok(()) => {}
            Err(EngineError::Refused(error::Refusal::Schedule(Refusal::Expired))) => {
                return Ok(Outcome::NotHeld(Failure::TooLate));
            }
            Err(EngineError::Refused(_) | EngineError::NoSuchSchedule) => {
                return Ok(Outcome::NotHeld(Failure::NotHeld));
            }
            Err(error) => return Err(error),
        }
        // Its seats can't change any more: do they still cost what is paid?
        let entry =
            self.directory.schedule_by_number(payment.id.schedule).ok_or(EngineError::NoSuchSchedule)?;
        let schedule = entry.read();
        let amount = schedule.reservation(reservation).map(|reservation| schedule.amount_of(reservation));

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
            nonce: random::number(),
        };
        match self.directory.ledgers.accounts(&payment.user).ask(command, Cause::default(), None).await {
            Ok(_) => Ok(Outcome::Captured),
            Err(EngineError::Refused(error::Refusal::Account(refusal))) => {
                Ok(Outcome::Declined(match refusal {
                    accounts::Refusal::Insufficient { balance, .. } => Failure::Insufficient { balance },
                    accounts::Refusal::OtherCurrency => Failure::OtherCurrency,
                    accounts::Refusal::TooMuch | accounts::Refusal::NothingTaken => Failure::NotHeld,
                }))
            }
            Err(error) => Err(error),
        }
    }

    async fn confirm(&self, payment: &Payment) -> Result<Outcome, EngineError> {
        let (reservation, payment_id, amount) = (payment.reservation, payment.id, payment.amount);
        let command = if payment.is_reported() {
            schedule::AnyCommand::ConfirmTaken { reservation, payment: payment_id, amount }
        } else {
            schedule::AnyCommand::Confirm { reservation, payment: payment_id }
        };
        Ok(match self.ask_for(payment, command).await {
            Ok(()) => Outcome::Confirmed,
            Err(EngineError::Refused(error::Refusal::Schedule(Refusal::PaymentNotUnderWay))) => {
                Outcome::Lost(Failure::AlreadyPaid)
            }
            Err(EngineError::Refused(error::Refusal::Schedule(Refusal::OtherAmount))) => {
                Outcome::Lost(Failure::OtherAmount)
            }
            Err(EngineError::Refused(_) | EngineError::NoSuchSchedule) => Outcome::Lost(Failure::SeatsLost),
            Err(error) => return Err(error),
        })
    }

    async fn end_pass(&self, payment: &Payment) -> Result<Outcome, EngineError> {
        let entry = self.directory.schedule_by_number(payment.id.schedule);
        let Some(entry) = entry else { return Ok(Outcome::PassEnded) };
        let finish = waiting_room::Command::Finish { user: payment.user.clone() };
        match self.directory.act_in_room(&entry, finish, Cause::default()).await {
            Ok(_) | Err(EngineError::Refused(_) | EngineError::NoSuchSchedule) => Ok(Outcome::PassEnded),
            Err(error) => Err(error),
        }
    }

    async fn give_back(&self, payment: &Payment) -> Result<Outcome, EngineError> {
        let command = accounts::Command::Refund {
            user: payment.user.clone(),
            payment: payment.id,
            amount: payment.refund_amount(),
            nonce: random::number(),
        };
        self.directory.ledgers.accounts(&payment.user).ask(command, Cause::default(), None).await?;
        Ok(Outcome::GivenBack)
    }

    async fn ask_for(&self, payment: &Payment, command: schedule::AnyCommand) -> Result<(), EngineError> {
        let entry =
            self.directory.schedule_by_number(payment.id.schedule).ok_or(EngineError::NoSuchSchedule)?;
        self.directory.ask_schedule(&entry, command, Cause::default()).await.map(drop)
    }
}
