//! The saga's state machine: its commands, its events, and which step comes next.

use std::sync::Arc;

use super::reports::{Back, Report, Taken};
use super::{Method, Payment, Payments, needs_gateway};
use crate::domain::ids::{GatewayName, PaymentId, PaymentNumber, UserId};
use crate::domain::keys::KeyUse;
use crate::domain::money::{Currency, Money};
use crate::domain::schedule::ReservationRef;
use crate::domain::time::{Seconds, Timestamp};

/// How long an attempt that came to nothing is kept for its user to see.
const RETENTION: Seconds = Seconds::new(7 * Seconds::DAY.get());
/// The longest reason that is kept, in bytes.
const REASON_LEN_MAX: usize = 300;

/// How far a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// The client is at the gateway's checkout; nothing was asked of anyone.
    Ready,
    /// It is to be made: the reservation is to become `paying`.
    Begun,
    /// The reservation is `paying`: the money is to be taken, and perhaps was.
    Capturing,
    /// The money was surely not taken: the reservation is to be a hold again.
    Declined,
    /// The money was taken: the reservation is to be confirmed.
    Captured,
    /// The reservation is confirmed: the pass is to end.
    Confirmed,
    /// All is done.
    Completed,
    /// It came to nothing, and took nothing.
    Failed,
    /// The money is to be given back.
    Refunding,
    /// The money was given back.
    Refunded,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Ready,
        Self::Begun,
        Self::Capturing,
        Self::Declined,
        Self::Captured,
        Self::Confirmed,
        Self::Completed,
        Self::Failed,
        Self::Refunding,
        Self::Refunded,
    ];

    /// Returns the word that clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Begun | Self::Capturing | Self::Declined | Self::Captured | Self::Confirmed => "pending",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
        }
    }

    /// Tells whether the reservation was confirmed by it and not given back.
    pub const fn stands(self) -> bool {
        matches!(self, Self::Confirmed | Self::Completed)
    }

    /// Tells whether anything may have been asked of a gateway.
    pub const fn is_begun(self) -> bool {
        !matches!(self, Self::Ready | Self::Failed)
    }

    /// Tells whether nothing more happens by itself.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Ready | Self::Completed | Self::Failed | Self::Refunded)
    }
}

/// Why a payment failed, or why its money is given back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub enum Failure {
    /// The reservation was no hold any more when the payment began: nothing was taken.
    NotHeld,
    /// The deadline had passed when the payment began: nothing was taken.
    TooLate,
    /// The reservation's seats, and so its price, had changed since the payment was made ready.
    OtherAmount,
    /// The account hadn't enough.
    Insufficient { balance: Money },
    /// The account has another currency.
    OtherCurrency,
    /// The gateway declined.
    Declined { code: Arc<str>, reason: Arc<str> },
    /// The money came too late: the seats were gone, or the performance was.
    SeatsLost,
    /// The reservation was given back after it was confirmed.
    Cancelled,
    /// Newer payments of its reservation took its place at the checkout: nothing was asked of anyone.
    Superseded,
    /// The money came for an order that was paid before, or for a reservation that another payment pays for.
    AlreadyPaid,
}

impl Failure {
    /// Returns a gateway's refusal, its texts cut to the lengths that are kept.
    pub fn declined(code: &str, reason: &str) -> Self {
        let cut = |text: &str| {
            let end =
                text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= REASON_LEN_MAX);
            Arc::from(&text[..end.last().unwrap_or_default()])
        };
        Self::Declined { code: cut(code), reason: cut(reason) }
    }

    /// Returns the word that clients see.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NotHeld => "reservation_not_held",
            Self::TooLate => "reservation_expired",
            Self::OtherAmount => "amount_changed",
            Self::Insufficient { .. } => "insufficient_balance",
            Self::OtherCurrency => "currency_mismatch",
            Self::Declined { .. } => "payment_declined",
            Self::SeatsLost => "seats_lost",
            Self::Cancelled => "reservation_cancelled",
            Self::Superseded => "superseded",
            Self::AlreadyPaid => "already_paid",
        }
    }
}

/// A command to the payments.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub enum Command {
    /// Make a payment of a hold: from the balance at once, through a gateway ready for its checkout.
    Start {
        reservation: ReservationRef,
        user: UserId,
        method: Method,
        amount: Money,
        currency: Currency,
        /// The gateway that the method leads to.
        gateway: Option<GatewayName>,
        /// The random part of the payment's id.
        nonce: u64,
    },
    /// End the oldest payment that is ready, where one more for this reservation would be too many.
    Supersede { reservation: ReservationRef, user: UserId },
    /// Go on with the key that the gateway's checkout gave.
    Accept {
        payment: PaymentId,
        /// Whose it must be.
        user: UserId,
        /// The gateway's key.
        payment_key: Arc<str>,
    },
    /// Note the outcome of a step.
    Note { payment: PaymentId, outcome: Outcome },
    /// Give the money of a completed payment back, because its reservation was cancelled.
    Refund {
        payment: PaymentId,
        /// How much, where that isn't all.
        amount: Option<Money>,
    },
    /// Take the word of the team's own payment service about an order.
    Report {
        /// The payment whose order it is.
        payment: PaymentId,
        report: Report,
        /// The random part of a payment's id, for money that matches no order.
        nonce: u64,
    },
}

impl Command {
    /// Returns the number of the payment that it is about; of one that is to be made, none.
    pub const fn number(&self) -> PaymentNumber {
        match self {
            Self::Start { .. } | Self::Supersede { .. } => PaymentNumber(0),
            Self::Accept { payment, .. }
            | Self::Note { payment, .. }
            | Self::Refund { payment, .. }
            | Self::Report { payment, .. } => payment.number,
        }
    }

    /// Returns what it is called in metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start_payment",
            Self::Supersede { .. } => "supersede_payment",
            Self::Accept { .. } => "accept_payment",
            Self::Note { .. } => "note_payment",
            Self::Refund { .. } => "refund_payment",
            Self::Report { .. } => "report_payment",
        }
    }
}

/// A step outside of this aggregate. Each can be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Make the reservation `paying`.
    Hold,
    /// Take the money: from the account, or through the gateway.
    Capture,
    /// Make the reservation a hold again.
    LetGo,
    /// Confirm the reservation.
    Confirm,
    /// End the user's pass.
    EndPass,
    /// Give the money back.
    GiveBack,
}

/// A gateway's answer about a payment that it took: its own names for the capture and the refund, to look them up there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GatewayAnswer {
    /// Its name for the capture, where it told one.
    pub transaction: Option<Arc<str>>,
    /// When it captured, by its own clock.
    pub approved_at: Option<Timestamp>,
    /// Its name for the refund, where it told one.
    pub refund: Option<Arc<str>>,
}

/// The outcome of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The reservation is `paying`, at the price that the payment has.
    Held,
    /// It isn't: nothing was taken.
    NotHeld(Failure),
    /// The money was taken.
    Captured,
    /// The money was surely not taken.
    Declined(Failure),
    /// The reservation is a hold again, or has ended.
    LetGo,
    /// The reservation is confirmed.
    Confirmed,
    /// It can't be: the money goes back.
    Lost(Failure),
    /// The user has no pass any more.
    PassEnded,
    /// The money is back.
    GivenBack,
    /// A gateway took the money.
    CapturedAtGateway {
        /// Its name for that.
        transaction: Option<Arc<str>>,
        /// When, by its clock.
        approved_at: Option<Timestamp>,
    },
    /// A gateway gave the money back.
    GivenBackAtGateway {
        /// Its name for that.
        transaction: Option<Arc<str>>,
        /// How much went back, where that is more than was to.
        amount: Option<Money>,
    },
}

/// A fact about a payment. It already happened: applying it can't fail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub enum Event {
    /// A payment was made; through a gateway it is ready for the checkout.
    Started {
        /// Its number, one more than the last.
        number: PaymentNumber,
        /// The random part of its id.
        nonce: u64,
        reservation: ReservationRef,
        user: UserId,
        method: Method,
        amount: Money,
        currency: Currency,
        /// The gateway at whose checkout the client is first.
        gateway: Option<GatewayName>,
    },
    /// The client brought the checkout's key.
    Accepted {
        number: PaymentNumber,
        /// The gateway's key.
        payment_key: Arc<str>,
    },
    /// The reservation is `paying`: the money is taken next.
    CaptureBegun { number: PaymentNumber },
    /// The money was surely not taken.
    Declined { number: PaymentNumber, failure: Failure },
    /// The money was taken.
    Captured {
        number: PaymentNumber,
        /// The gateway's name for that, where it gave one.
        transaction: Option<Arc<str>>,
        /// When, by the gateway's clock.
        approved_at: Option<Timestamp>,
    },
    /// The reservation was confirmed by it.
    Confirmed { number: PaymentNumber },
    /// All is done.
    Completed { number: PaymentNumber },
    /// It came to nothing.
    Failed {
        number: PaymentNumber,
        /// Why; as it was declined, if absent.
        failure: Option<Failure>,
    },
    /// The money is to be given back.
    RefundBegun {
        number: PaymentNumber,
        failure: Failure,
        /// How much, where that isn't all: less than the payment's amount.
        amount: Option<Money>,
    },
    /// The money is back; or more of it, where an amount says so of one that is refunded already.
    Refunded {
        number: PaymentNumber,
        /// The gateway's name for that, where it gave one.
        transaction: Option<Arc<str>>,
        /// How much, where that is more than was to go back.
        amount: Option<Money>,
    },
    /// A command with an idempotency key changed nothing: only its key is new.
    KeyKept { number: PaymentNumber },
    /// The team's own payment service took the money: nothing was asked of the schedule before.
    CapturedOutside {
        number: PaymentNumber,
        /// The service's name for it.
        payment_key: Arc<str>,
    },
    /// The team's own payment service took money that can't be for its order. It is a payment of its own, which only goes back, or is back
    /// already.
    Unmatched {
        /// Its number, one more than the last.
        number: PaymentNumber,
        /// The random part of its id.
        nonce: u64,
        /// That of the order.
        reservation: ReservationRef,
        user: UserId,
        method: Method,
        gateway: GatewayName,
        taken: Taken,
        failure: Failure,
        /// Nothing where it is owed.
        back: Option<Back>,
    },
}

impl Event {
    /// Returns the number of the payment that it is about.
    pub const fn number(&self) -> PaymentNumber {
        match self {
            Self::Started { number, .. }
            | Self::Accepted { number, .. }
            | Self::CaptureBegun { number }
            | Self::Declined { number, .. }
            | Self::Captured { number, .. }
            | Self::Confirmed { number }
            | Self::Completed { number }
            | Self::Failed { number, .. }
            | Self::RefundBegun { number, .. }
            | Self::Refunded { number, .. }
            | Self::KeyKept { number }
            | Self::CapturedOutside { number, .. }
            | Self::Unmatched { number, .. } => *number,
        }
    }
}

/// Why a payment refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such payment, or it is another's.
    #[error("there is no such payment, or it is somebody else's")]
    NoSuchPayment,
    /// The payment isn't one that can go on that way.
    #[error("the payment is not in a state that allows this")]
    NotReady,
    /// As many are ready as may be: the oldest ends first.
    #[error("too many payments of this reservation are being made ready at once; wait a moment")]
    TooManyReady,
    /// The same payment key was reported with another amount, or there is no amount.
    #[error("this payment key was reported with another amount or currency before")]
    Contradicts,
    /// More went back than was taken.
    #[error("more went back than was taken under this payment key")]
    MoreThanTaken,
    /// Less went back than is owed.
    #[error(
        "{} of this money is owed, and {} went back: report it once all that is owed is back, with what went back in all",
        .owed.minor(),
        .back.minor()
    )]
    LessThanOwed {
        /// What went back.
        back: Money,
        /// What is owed.
        owed: Money,
    },
    /// The same payment key was reported for another reservation.
    #[error(
        "this payment key was reported for another reservation: each time that money is taken has a key of its own"
    )]
    OthersKey,
    /// The money was given back while its reservation stands. Nothing keeps that word here, so it is to be said again once the reservation
    /// is cancelled.
    #[error(
        "this money pays for a reservation that stands: cancel the reservation, and report the refund again"
    )]
    NotOwed,
}

impl Payment {
    /// Returns the step that comes next, if one comes by itself.
    pub fn next(&self) -> Option<Step> {
        match self.state {
            State::Begun => Some(Step::Hold),
            State::Capturing => Some(Step::Capture),
            State::Declined => Some(Step::LetGo),
            State::Captured => Some(Step::Confirm),
            State::Confirmed => Some(Step::EndPass),
            // The feed has asked for it: the service's word is waited for, however long that takes.
            State::Refunding if self.method.is_reported() && !self.gives_nothing_back() => None,
            State::Refunding => Some(Step::GiveBack),
            State::Ready | State::Completed | State::Failed | State::Refunded => None,
        }
    }

    /// Tells whether its refund is of nothing, so that nobody has to be asked for it.
    pub fn gives_nothing_back(&self) -> bool {
        self.refund_amount() == Money::ZERO
    }

    /// Returns the event that an outcome means in the present state; none where it means nothing any more.
    fn note(&self, outcome: &Outcome) -> Option<Event> {
        let number = self.id.number;
        match (self.state, outcome) {
            (State::Begun, Outcome::Held) => Some(Event::CaptureBegun { number }),
            (State::Begun, Outcome::NotHeld(Failure::OtherAmount)) => {
                // The reservation is `paying` by this payment, and must become a hold again.
                Some(Event::Declined { number, failure: Failure::OtherAmount })
            }
            (State::Begun, Outcome::NotHeld(failure)) => {
                Some(Event::Failed { number, failure: Some(failure.clone()) })
            }

            (State::Capturing, Outcome::Captured) => {
                Some(Event::Captured { number, transaction: None, approved_at: None })
            }
            (State::Capturing, Outcome::CapturedAtGateway { transaction, approved_at }) => {
                let (transaction, approved_at) = (transaction.clone(), *approved_at);
                Some(Event::Captured { number, transaction, approved_at })
            }
            (State::Capturing, Outcome::Declined(failure)) => {
                Some(Event::Declined { number, failure: failure.clone() })
            }
            (State::Declined, Outcome::LetGo) => Some(Event::Failed { number, failure: None }),

            (State::Captured, Outcome::Confirmed) => Some(Event::Confirmed { number }),
            (State::Captured, Outcome::Lost(failure)) => {
                Some(Event::RefundBegun { number, failure: failure.clone(), amount: None })
            }
            (State::Confirmed, Outcome::PassEnded) => Some(Event::Completed { number }),

            (State::Refunding, Outcome::GivenBack) => {
                Some(Event::Refunded { number, transaction: None, amount: None })
            }

            // An outcome that was noted before, or that comes from a drive that another one has overtaken.
            (State::Refunding, Outcome::GivenBackAtGateway { transaction, amount }) => {
                Some(Event::Refunded { number, transaction: transaction.clone(), amount: *amount })
            }
            (
                State::Ready
                | State::Begun
                | State::Capturing
                | State::Declined
                | State::Captured
                | State::Confirmed
                | State::Completed
                | State::Failed
                | State::Refunding
                | State::Refunded,
                _,
            ) => None,
        }
    }
}

impl Payments {
    /// Decides a command.
    ///
    /// # Errors
    /// A [`Refusal`], which changes nothing.
    pub fn decide(&self, command: &Command) -> Result<Option<Event>, Refusal> {
        match command {
            Command::Start { reservation, user, method, amount, currency, gateway, nonce } => {
                let gateway = gateway.clone().filter(|_| needs_gateway(*method, *amount));
                if gateway.is_some() && self.surplus_ready(*reservation, user).is_some() {
                    return Err(Refusal::TooManyReady);
                }
                Ok(Some(Event::Started {
                    number: PaymentNumber(self.last + 1),
                    nonce: *nonce,
                    reservation: *reservation,
                    user: user.clone(),
                    method: *method,
                    amount: *amount,
                    currency: *currency,
                    gateway,
                }))
            }

            Command::Supersede { reservation, user } => {
                let surplus = self.surplus_ready(*reservation, user).map(PaymentNumber);
                let failure = Some(Failure::Superseded);
                Ok(surplus.map(|number| Event::Failed { number, failure }))
            }

            Command::Accept { payment, user, payment_key } => {
                let found = self.payment(*payment).filter(|found| found.user == *user);
                let found = found.ok_or(Refusal::NoSuchPayment)?;
                // Who took the money says so; its client's word for it is worth nothing.
                if found.method.is_reported() {
                    return Err(Refusal::NotReady);
                }
                if found.state == State::Ready {
                    let payment_key = Arc::clone(payment_key);
                    return Ok(Some(Event::Accepted { number: payment.number, payment_key }));
                }
                // The same again is answered by how it stands; another key is another checkout.
                let same = found.payment_key.as_ref() == Some(payment_key);
                if same { Ok(None) } else { Err(Refusal::NotReady) }
            }

            Command::Note { payment, outcome } => {
                let found = self.payment(*payment).ok_or(Refusal::NoSuchPayment)?;
                Ok(found.note(outcome))
            }

            Command::Refund { payment, amount } => {
                let found = self.payment(*payment).ok_or(Refusal::NoSuchPayment)?;
                let begun = Event::RefundBegun {
                    number: payment.number,
                    failure: Failure::Cancelled,
                    amount: amount.filter(|amount| *amount < found.amount),
                };
                Ok((found.state == State::Completed).then_some(begun))
            }

            Command::Report { payment, report, nonce } => {
                let order = self.payment(*payment).filter(|found| found.is_reported());
                self.decide_report(order.ok_or(Refusal::NoSuchPayment)?, report, *nonce)
            }
        }
    }

    /// Applies an event; `key` is the idempotency key whose effect it is.
    ///
    /// # Panics
    /// When the event doesn't follow from the state.
    pub fn apply(&mut self, event: &Event, at: Timestamp, key: Option<KeyUse>) {
        self.version += 1;
        self.last_instant = self.last_instant.max(at);
        // By the event's instant, so that replay forgets the same.
        self.keys.forget_old(at);
        self.forget_old(at, RETENTION, event.number());

        match event {
            Event::Started { number, nonce, reservation, user, method, amount, currency, gateway } => {
                self.begin(Payment {
                    id: PaymentId { schedule: self.schedule, number: *number, nonce: *nonce },
                    reservation: *reservation,
                    user: user.clone(),
                    method: *method,
                    amount: *amount,
                    currency: *currency,
                    state: if gateway.is_some() { State::Ready } else { State::Begun },
                    // An earlier version had a checkout for nothing, too.
                    gateway: gateway.clone().filter(|_| needs_gateway(*method, *amount)),
                    payment_key: None,
                    answer: None,
                    failure: None,
                    created_at: at,
                    updated_at: at,
                    completed_at: None,
                    refunded_at: None,
                    refund: None,
                    went_back: None,
                    key: key.map(|key| key.digest),
                });
            }

            Event::Accepted { number, payment_key } => {
                let payment = self.go(*number, State::Ready, State::Begun, at);
                payment.payment_key = Some(Arc::clone(payment_key));
            }

            Event::CaptureBegun { number } => {
                self.go(*number, State::Begun, State::Capturing, at);
            }
            Event::Declined { number, failure } => {
                // The reservation costs another amount and nothing was sent, or the capture was refused.
                let before = self.numbered(*number).map_or(State::Capturing, |payment| payment.state);
                assert!(matches!(before, State::Begun | State::Capturing), "M3: nothing was taken");
                self.go(*number, before, State::Declined, at).failure = Some(failure.clone());
            }

            Event::Captured { number, transaction, approved_at } => {
                let payment = self.go(*number, State::Capturing, State::Captured, at);
                // Only a gateway has names of its own for a capture.
                if transaction.is_some() || approved_at.is_some() {
                    let (transaction, approved_at) = (transaction.clone(), *approved_at);
                    payment.answer = Some(Arc::new(GatewayAnswer { transaction, approved_at, refund: None }));
                }
            }

            Event::Confirmed { number } => {
                self.go(*number, State::Captured, State::Confirmed, at);
            }
            Event::Completed { number } => {
                self.go(*number, State::Confirmed, State::Completed, at).completed_at = Some(at);
            }

            Event::Failed { number, failure } => {
                // A declined payment has its failure already. Otherwise the failure tells the state before.
                let before = match failure {
                    Some(Failure::Superseded | Failure::Declined { .. }) => State::Ready,
                    Some(_) => State::Begun,
                    None => State::Declined,
                };
                let payment = self.go(*number, before, State::Failed, at);
                let user = payment.user.clone();
                payment.failure = failure.clone().or_else(|| payment.failure.take());
                // A refused attempt has no effect: its key may be used again.
                let digest = payment.key.take();
                if let Some(digest) = digest {
                    self.keys.forget(digest, |answer| answer == number);
                }
                self.forget_surplus(&user);
            }

            Event::RefundBegun { number, failure, amount } => {
                // A completed payment is refunded when its reservation is cancelled; a captured one
                // when the seats are lost.
                let before = match failure {
                    Failure::Cancelled => State::Completed,
                    Failure::NotHeld
                    | Failure::TooLate
                    | Failure::OtherAmount
                    | Failure::Insufficient { .. }
                    | Failure::OtherCurrency
                    | Failure::Declined { .. }
                    | Failure::Superseded
                    | Failure::AlreadyPaid
                    | Failure::SeatsLost => State::Captured,
                };
                let payment = self.go(*number, before, State::Refunding, at);
                payment.failure = Some(failure.clone());
                assert!(amount.is_none_or(|amount| amount < payment.amount), "M3: a part is less than all");
                payment.refund = *amount;
            }

            Event::Refunded { number, transaction, amount } => {
                self.apply_refund(*number, transaction.as_ref(), *amount, at);
            }

            Event::KeyKept { .. } => {}

            Event::CapturedOutside { .. } | Event::Unmatched { .. } => self.apply_report(event, at),
        }

        if let Some(key) = key {
            // An earlier version let keys of other payments go, too: in its journals a key may come again within its day.
            self.keys.forget(key.digest, |_| true);
            self.keys.keep(key, self.version, at, event.number());
        }
    }

    /// Notes that money is back, or that more of it is.
    fn apply_refund(
        &mut self,
        number: PaymentNumber,
        transaction: Option<&Arc<str>>,
        amount: Option<Money>,
        at: Timestamp,
    ) {
        let before = self.numbered(number).map_or(State::Refunding, |payment| payment.state);
        let is_more = before == State::Refunded && amount.is_some();
        assert!(is_more || before == State::Refunding, "M3: money is owed until it is back");

        let payment = self.go(number, before, State::Refunded, at);
        payment.refunded_at = payment.refunded_at.or(Some(at));
        if let Some(amount) = amount {
            assert!((payment.back()..=payment.amount).contains(&amount), "M3: no more than was taken");
            payment.went_back = Some(amount);
        }
        if let Some(transaction) = transaction {
            let answer = payment.answer.get_or_insert_default();
            Arc::make_mut(answer).refund = Some(Arc::clone(transaction));
        }
    }

    /// Takes the next payment in.
    pub(super) fn begin(&mut self, payment: Payment) {
        assert_eq!(payment.id.number.count(), self.last + 1, "payments are numbered in order");
        assert_eq!(payment.id.number.order(), None, "a saga's number is no order's");
        self.last = payment.id.number.count();
        self.insert(payment);
    }

    /// Moves a payment from one state to another.
    pub(super) fn go(
        &mut self,
        number: PaymentNumber,
        from: State,
        to: State,
        at: Timestamp,
    ) -> &mut Payment {
        let payment = self.by_number.get_mut(number.0).expect("an event names a payment that is kept");
        assert_eq!(payment.state, from, "a payment goes one step at a time");
        self.index.remove(payment);
        payment.state = to;
        payment.updated_at = at;
        self.index.add(payment);
        self.file(number.0, to);
        self.by_number.get_mut(number.0).expect("it was found")
    }
}
