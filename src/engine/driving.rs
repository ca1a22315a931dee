//! Driving payments: whatever a payment's next step is, it is taken, until nothing is left to do.
//!
//! ```text
//! drive: next step → take it outside → note what came of it ─▶ … ─▶ settled
//!                      └─ not known, not possible now → wait (backoff, jitter; a notice ends it) → again
//! ```
//!
//! A payment is driven by one task at a time, whoever asks for it: the request that began it, a later one, a
//! cancelled reservation, or recovery. Each step was announced by a durable event before it is taken (V1), and can be
//! taken again. There is no limit to how often: money whose fate isn't known is asked about until it is.
//!
//! Absent on purpose: which step comes next (`domain::payments`), what a gateway's answer means (`gateway`).

mod at_gateway;

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use self::at_gateway::names;
use super::error::EngineError;
use super::{Engine, ScheduleEntry};
use crate::domain::accounts;
use crate::domain::cause::Cause;
use crate::domain::ids::{PaymentId, ScheduleNumber};
use crate::domain::money::Money;
use crate::domain::payments::{self, Failure, Outcome, Payment, State, Step};
use crate::domain::schedule::{self, Caller, Refusal, ReservationRef, ReservationStatus};
use crate::domain::waiting_room;
use crate::gateway::{Find, Found, Said, Why};

/// How many refunds of a cancelled schedule, or payments that recovery goes on with, take a step at once.
const AT_ONCE_MAX: usize = 32;
/// How many calls of the gateway are under way at once, all in all.
const CALLS_MAX: usize = 1_024;
/// The first and the longest wait before a step that couldn't be taken is tried again; each is twice the last, less up to a quarter.
const AGAIN_FIRST: Duration = Duration::from_millis(100);
const AGAIN_LONGEST: Duration = Duration::from_mins(1);

/// How far whoever waits for a payment waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Until nothing more happens by itself.
    Settled,
    /// Until then, or until a gateway gave no answer that says how it went.
    InDoubt,
}

/// The payments that are being driven.
pub(super) struct Drives {
    driven: DashMap<PaymentId, Driven>,
    at_once: Arc<Semaphore>,
    calls: Semaphore,
    closing: CancellationToken,
}

/// A payment that a task drives. The task ends its side of the watch when it ends.
#[derive(Clone)]
struct Driven {
    in_doubt: watch::Receiver<bool>,
    hint: Arc<Notify>,
}

impl Default for Drives {
    fn default() -> Self {
        Self {
            driven: DashMap::new(),
            at_once: Arc::new(Semaphore::new(AT_ONCE_MAX)),
            calls: Semaphore::new(CALLS_MAX),
            closing: CancellationToken::new(),
        }
    }
}

impl Drives {
    pub(super) fn has(&self, id: PaymentId) -> bool {
        self.driven.contains_key(&id)
    }

    /// Lets every drive end where it stands: the next start goes on from there.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }
}

/// Why a step isn't taken yet.
#[derive(Debug, thiserror::Error)]
enum NotYet {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the gateway gave no answer that says how it went: {}", .0.as_str())]
    Gateway(Why),
    #[error("the gateway refuses to give the money back ({code}: {reason})")]
    RefundRefused { code: Said, reason: Said },
}

impl Engine {
    /// Gives the money of a cancelled reservation back, if a payment stood for it. When this returns, a balance has it back, and
    /// a gateway's refund is durably begun.
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
        if through_gateway && let Some(payments) = self.shared.till.payments(payment.schedule) {
            // Where this doesn't go, the drive does it.
            drop(payments.ask(payments::Command::Refund { payment }, Cause::default()).await);
            // It follows when the gateway has done it; nobody waits for that.
            self.begin(payment, false);
        } else {
            self.drive(payment, Until::Settled).await;
        }
    }

    /// Waits until no payment is under way and nothing is owed: what a gateway doesn't answer, it waits for.
    pub async fn settled(&self) {
        for payments in self.shared.till.all_payments() {
            let number = payments.read().schedule();
            for payment in self.unsettled(number) {
                self.drive(payment, Until::Settled).await;
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
            self.begin(payment, true);
        }
    }

    /// Has a payment's drive look again now, where it waits: the gateway says that something has changed.
    ///
    /// Returns whether it is being driven.
    pub fn hint(&self, id: PaymentId) -> bool {
        let driven = self.shared.till.drives.driven.get(&id).map(|driven| Arc::clone(&driven.hint));
        if let Some(hint) = &driven {
            hint.notify_one();
        }
        driven.is_some()
    }

    /// Asks the gateway whether it still has the money of a completed payment, and says loudly where it hasn't: nothing else gives
    /// it back but this engine, so a person has to decide what becomes of the seats.
    pub async fn compare_with_gateway(&self, id: PaymentId) {
        let (Some(gateway), Some(payment)) = (self.shared.till.gateway.clone(), self.payment(id)) else {
            return;
        };
        let Some((order_id, payment_key)) = names(&payment) else { return };
        if payment.state != State::Completed {
            return;
        }
        let Ok(_permit) = self.shared.till.drives.calls.acquire().await else { return };
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

    /// Drives a payment, or follows whoever does. A caller that goes away ends nothing.
    pub(super) async fn drive(&self, id: PaymentId, until: Until) {
        let Driven { mut in_doubt, .. } = self.begin(id, false);
        loop {
            if until == Until::InDoubt && *in_doubt.borrow_and_update() {
                return;
            }
            // It ends when the sender goes, at the latest when the task panics.
            if in_doubt.changed().await.is_err() {
                return;
            }
        }
    }

    /// Has a payment driven, if nobody does; `behind` others, where it is one of many.
    fn begin(&self, id: PaymentId, behind: bool) -> Driven {
        match self.shared.till.drives.driven.entry(id) {
            dashmap::Entry::Occupied(driven) => driven.get().clone(),
            dashmap::Entry::Vacant(vacant) => {
                let (tell, in_doubt) = watch::channel(false);
                let driven = Driven { in_doubt, hint: Arc::new(Notify::new()) };
                vacant.insert(driven.clone());
                let (engine, hint) = (self.clone(), Arc::clone(&driven.hint));
                tokio::spawn(async move {
                    let all = &engine.shared.till.drives;
                    let drive = Drive { engine: &engine, id, tell, hint, behind, unanswered: true };
                    let tell = tokio::select! {
                        tell = drive.run() => Some(tell),
                        () = all.closing.cancelled() => None,
                    };
                    all.driven.remove(&id);
                    drop(tell);
                });
                driven
            }
        }
    }

    /// Returns 64 random bits for an id that can't be guessed.
    #[expect(clippy::unused_self, reason = "the engine is where randomness comes from")]
    fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the operating system has random numbers");
        u64::from_le_bytes(bytes)
    }
}

/// The task that drives one payment.
struct Drive<'a> {
    engine: &'a Engine,
    id: PaymentId,
    tell: watch::Sender<bool>,
    hint: Arc<Notify>,
    behind: bool,
    /// Whether a capture may have been sent whose answer isn't known: so it is at first, as far as a new life knows.
    unanswered: bool,
}

impl Drive<'_> {
    /// Drives until nothing more happens by itself, and returns what those who wait are told with.
    async fn run(mut self) -> watch::Sender<bool> {
        let Some(payments) = self.engine.shared.till.payments(self.id.schedule) else { return self.tell };
        let mut again = AGAIN_FIRST;
        while let Some(payment) = self.engine.payment(self.id) {
            let command = match payment.next() {
                Some(step) => match self.take(&payment, step).await {
                    Ok(outcome) => payments::Command::Note { payment: self.id, outcome },
                    Err(reason) => {
                        if !self.wait(&reason, &mut again).await {
                            break;
                        }
                        continue;
                    }
                },
                // Given back after it was confirmed, and not refunded yet.
                None if payment.state == State::Completed && self.is_cancelled(&payment) => {
                    payments::Command::Refund { payment: self.id }
                }
                None => break,
            };
            let capture_is_next = matches!(command, payments::Command::Note { outcome: Outcome::Held, .. });
            match payments.ask(command, Cause::default()).await {
                Ok(_) => {
                    again = AGAIN_FIRST;
                    // Announced just now, and by nobody else: nothing was sent before.
                    if capture_is_next {
                        self.unanswered = false;
                    }
                }
                Err(error) => {
                    if !self.wait(&error.into(), &mut again).await {
                        break;
                    }
                }
            }
        }
        self.tell
    }

    /// Waits before a step is tried again; says no when nothing can change any more.
    async fn wait(&self, reason: &NotYet, again: &mut Duration) -> bool {
        if self.engine.shared.journal.failure().is_some() {
            return false;
        }
        match reason {
            NotYet::Engine(EngineError::NoGateway) => {
                tracing::warn!(
                    payment = %self.id,
                    "a payment waits for its gateway, and none is set up: start with toss.url and toss.secret"
                );
                return false;
            }
            NotYet::Engine(error) => tracing::debug!(%error, "a payment's step is tried again"),
            NotYet::Gateway(_) => {
                tracing::info!(payment = %self.id, %reason, next = ?again, "a payment's outcome isn't known yet");
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
        let sixteenths = 12 + u32::try_from(self.engine.random() % 5).unwrap_or_default();
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
        let at_once =
            if self.behind { Some(Arc::clone(&self.engine.shared.till.drives.at_once)) } else { None };
        // It is never closed.
        let _permit = match &at_once {
            Some(at_once) => at_once.acquire().await.ok(),
            None => None,
        };
        let through_gateway = payment.method.needs_gateway();
        match step {
            Step::Hold => Ok(self.hold(payment).await?),
            Step::Capture if through_gateway => self.capture_at_gateway(payment).await,
            Step::Capture => Ok(self.capture(payment).await?),
            Step::LetGo => {
                let (reservation, payment_id) = (payment.reservation, payment.id);
                let command = schedule::Command::FailPayment { reservation, payment: payment_id };
                match self.ask_for(payment, command).await {
                    Ok(()) | Err(EngineError::Refused(_) | EngineError::NoSuchSchedule) => Ok(Outcome::LetGo),
                    Err(error) => Err(error.into()),
                }
            }
            Step::Confirm => {
                let (reservation, payment_id) = (payment.reservation, payment.id);
                let command = schedule::Command::Confirm { reservation, payment: payment_id };
                match self.ask_for(payment, command).await {
                    Ok(()) => Ok(Outcome::Confirmed),
                    Err(EngineError::Refused(_) | EngineError::NoSuchSchedule) => Ok(Outcome::Lost),
                    Err(error) => Err(error.into()),
                }
            }
            Step::EndPass => Ok(self.end_pass(payment).await?),
            Step::GiveBack if through_gateway => self.give_back_at_gateway(payment).await,
            Step::GiveBack => Ok(self.give_back(payment).await?),
        }
    }

    async fn hold(&self, payment: &Payment) -> Result<Outcome, EngineError> {
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
        let entry = self.engine.schedule_by_number(payment.id.schedule).ok_or(EngineError::NoSuchSchedule)?;
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
            nonce: self.engine.random(),
        };
        match self.engine.shared.till.accounts(&payment.user).ask(command, Cause::default()).await {
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
        let entry = self.engine.schedule_by_number(payment.id.schedule);
        let Some(entry) = entry else { return Ok(Outcome::PassEnded) };
        let finish = waiting_room::Command::Finish { user: payment.user.clone() };
        match self.engine.act_in_room(&entry, finish, Cause::default()).await {
            Ok(_) | Err(EngineError::RoomRefused(_) | EngineError::NoSuchSchedule) => Ok(Outcome::PassEnded),
            Err(error) => Err(error),
        }
    }

    async fn give_back(&self, payment: &Payment) -> Result<Outcome, EngineError> {
        let command = accounts::Command::Refund {
            user: payment.user.clone(),
            payment: payment.id,
            amount: payment.amount,
            nonce: self.engine.random(),
        };
        self.engine.shared.till.accounts(&payment.user).ask(command, Cause::default()).await?;
        Ok(Outcome::GivenBack)
    }

    async fn ask_for(&self, payment: &Payment, command: schedule::Command) -> Result<(), EngineError> {
        let entry = self.engine.schedule_by_number(payment.id.schedule).ok_or(EngineError::NoSuchSchedule)?;
        self.engine.ask_schedule(&entry, command, Cause::default()).await.map(drop)
    }

    fn is_cancelled(&self, payment: &Payment) -> bool {
        is_cancelled(self.engine.schedule_by_number(payment.id.schedule).as_deref(), payment)
    }
}

/// Tells whether a completed payment's reservation was given back. One that is confirmed is never forgotten, so one that is no longer
/// there was.
fn is_cancelled(entry: Option<&ScheduleEntry>, payment: &Payment) -> bool {
    entry.is_some_and(|entry| {
        let schedule = entry.read();
        schedule.reservation(payment.reservation).is_none_or(|reservation| {
            reservation.status == ReservationStatus::Cancelled && reservation.payment == Some(payment.id)
        })
    })
}
