//! Payments of one schedule's reservations: each a saga, as data.
//!
//! ```text
//! balance   Started ─▶ hold ─▶ take ─▶ confirm ─▶ end the pass ─▶ Completed
//! gateway   Started = ready … Accepted ─▶ hold ─▶ capture ─▶ confirm ─▶ end the pass ─▶ Completed
//! external  Started = ready … CapturedOutside ─▶ confirm ─▶ end the pass ─▶ Completed
//! of nothing  as from the balance, by whatever method: there is nothing that a gateway could take
//! declined  … ─▶ let the hold go on ─▶ Failed
//! too late  captured, and the confirmation is refused ─▶ refund ─▶ Refunded
//! given back  Completed ─▶ refund ─▶ Refunded
//! unmatched  money that came and can't be for its order: a payment of its own, Unmatched ─▶ refund ─▶ Refunded; or Refunded at once
//! ```
//!
//! [`Payment::next`] says which step outside of this aggregate comes next. Each was announced by an event before it is
//! taken, can be repeated, and its result is told as an [`Outcome`]. So recovery is: ask every payment for its next
//! step. The pivot is the confirmation: before it a payment can fail, after it it completes.
//!
//! **A payment service of the team's own** takes the money of `external` payments, and says so ([`Report`]). Nobody here can ask it, so
//! such a payment has no step of capturing, and its refund is no step either: the feed asks for it, and it is owed until the service says
//! that it is done. What the service says is known by its payment key, which stands for one payment of the schedule: the same again, or
//! in another order, changes nothing twice, and the money of one reservation pays for no other.
//!
//! The payment of an order of the box office is no saga, and isn't kept here: see [`OrderPayment`].
//!
//! Absent on purpose: gateways, accounts and seats themselves, retries and their waiting times, clocks.
//!
//! Invariants, checked by [`Payments::check_invariants`]: a payment's amount never changes; what was captured and not
//! confirmed is on its way back (M3); a reservation has at most one payment that stands for it (M2).
//!
//! **What is forgotten.** An attempt that came to nothing is kept for a week, and for as long as a payment before it is kept that
//! isn't settled, or came to nothing later. That follows from the payments alone, so that replay forgets the same whenever the
//! process was restarted (R1). An event doesn't forget the payment that it is about.

mod image;
mod index;
mod orders;
mod reports;
mod saga;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use image::PaymentsImage;
pub use index::{FAILED_PER_USER_MAX, READY_PER_RESERVATION_MAX, READY_PER_USER_MAX};
pub use orders::{AnyPayment, OrderPayment};
pub use reports::{Back, Report, Taken};
pub use saga::{Command, Event, Failure, GatewayAnswer, Outcome, Refusal, State, Step};

use index::Index;

use super::ids::{GatewayName, PaymentId, PaymentNumber, ScheduleNumber, UserId};
use super::keys::{KeyFound, KeyUse, Keys};
use super::money::{Currency, Money};
use super::pages::Pages;
use super::schedule::ReservationRef;
use super::time::{Seconds, Timestamp};

/// How a payment is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// From the user's balance.
    Balance,
    /// Through the gateway: a card.
    Card,
    /// Through the gateway.
    KakaoPay,
    /// Through the gateway.
    NaverPay,
    /// Through the gateway.
    Toss,
    /// Through a payment service of the team's own, which tells what it took.
    External,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 6] =
        [Self::Balance, Self::Card, Self::KakaoPay, Self::NaverPay, Self::Toss, Self::External];

    /// Returns the word that clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Balance => "balance",
            Self::Card => "card",
            Self::KakaoPay => "kakao_pay",
            Self::NaverPay => "naver_pay",
            Self::Toss => "toss",
            Self::External => "external",
        }
    }

    /// Tells whether a gateway takes the money, where there is any.
    pub const fn needs_gateway(self) -> bool {
        match self {
            Self::Balance => false,
            Self::Card | Self::KakaoPay | Self::NaverPay | Self::Toss | Self::External => true,
        }
    }

    /// Tells whether who takes the money reports it, and can't be asked.
    pub const fn is_reported(self) -> bool {
        matches!(self, Self::External)
    }
}

/// One payment of one reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub struct Payment {
    pub id: PaymentId,
    /// The reservation that it pays for.
    pub reservation: ReservationRef,
    pub user: UserId,
    pub method: Method,
    pub amount: Money,
    pub currency: Currency,
    /// How far it is.
    pub state: State,
    /// The gateway that takes the money, where one does: of nothing there is none to take.
    pub gateway: Option<GatewayName>,
    /// The gateway's key of the checkout, once the client has brought it.
    pub payment_key: Option<Arc<str>>,
    /// The gateway's answer, once it took the money.
    pub answer: Option<Arc<GatewayAnswer>>,
    /// Why it failed, or is refunded.
    pub failure: Option<Failure>,
    /// When it was started.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
    /// When it completed.
    pub completed_at: Option<Timestamp>,
    /// When the money was back.
    pub refunded_at: Option<Timestamp>,
    /// How much of it is to go back, where that isn't all: some of a reservation's lines are not refundable.
    pub refund: Option<Money>,
    /// How much went back, where that is more than was to: whoever has the money gave more back.
    pub went_back: Option<Money>,
    /// The idempotency key that it was started with: a failed attempt lets it go.
    pub(crate) key: Option<u128>,
}

impl Payment {
    /// Tells whether a gateway takes the money.
    pub fn needs_gateway(&self) -> bool {
        self.gateway.is_some()
    }

    /// Returns how much a refund of it is to give back.
    pub fn refund_amount(&self) -> Money {
        self.refund.unwrap_or(self.amount)
    }

    /// Returns how much its refund has given back, or is to.
    pub fn back(&self) -> Money {
        self.went_back.unwrap_or(self.refund_amount())
    }

    /// Returns it as it was when it completed, if it ever did: what has become of the money since is left out.
    #[must_use]
    pub fn as_completed(self) -> Self {
        let Some(completed_at) = self.completed_at else { return self };
        let answer = self.answer.map(|answer| Arc::new(GatewayAnswer { refund: None, ..(*answer).clone() }));
        Self {
            state: State::Completed,
            answer,
            failure: None,
            updated_at: completed_at,
            refunded_at: None,
            refund: None,
            went_back: None,
            ..self
        }
    }

    /// Tells whether who takes the money reports it, and can't be asked.
    pub fn is_reported(&self) -> bool {
        self.needs_gateway() && self.method.is_reported()
    }
}

/// Tells whether a gateway takes an amount.
pub fn needs_gateway(method: Method, amount: Money) -> bool {
    method.needs_gateway() && amount > Money::ZERO
}

/// How many payments there are of some kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Those that are being made.
    pub pending: u64,
    /// Those whose money is on its way back.
    pub refunding: u64,
    /// Those whose money is back.
    pub refunded: u64,
}

impl Counts {
    /// Counts one more.
    pub const fn add(&mut self, state: State) {
        match state {
            State::Begun | State::Capturing | State::Declined | State::Captured | State::Confirmed => {
                self.pending += 1;
            }
            State::Refunding => self.refunding += 1,
            State::Refunded => self.refunded += 1,
            State::Ready | State::Completed | State::Failed => {}
        }
    }

    /// Counts one less.
    const fn remove(&mut self, state: State) {
        match state {
            State::Begun | State::Capturing | State::Declined | State::Captured | State::Confirmed => {
                self.pending -= 1;
            }
            State::Refunding => self.refunding -= 1,
            State::Refunded => self.refunded -= 1,
            State::Ready | State::Completed | State::Failed => {}
        }
    }

    /// Adds another's counts.
    pub const fn merge(&mut self, other: Self) {
        self.pending += other.pending;
        self.refunding += other.refunding;
        self.refunded += other.refunded;
    }
}

/// The payments of one schedule.
#[derive(Debug, Clone)]
pub struct Payments {
    schedule: ScheduleNumber,
    /// By number.
    by_number: Pages<Payment>,
    last: u32,
    /// Those that nothing has come of: one day they are forgotten.
    idle: BTreeSet<u32>,
    /// Those that aren't settled.
    under_way: BTreeSet<u32>,
    index: Index,
    keys: Keys<PaymentNumber>,
    version: u64,
    last_instant: Timestamp,
}

impl Payments {
    /// Makes the payments of a schedule before the first.
    pub fn new(schedule: ScheduleNumber, keys_max: u32) -> Self {
        Self {
            schedule,
            by_number: Pages::default(),
            last: 0,
            idle: BTreeSet::new(),
            under_way: BTreeSet::new(),
            index: Index::default(),
            keys: Keys::new(keys_max),
            version: 0,
            last_instant: Timestamp::ZERO,
        }
    }

    /// Returns the schedule's number.
    pub fn schedule(&self) -> ScheduleNumber {
        self.schedule
    }

    /// Finds a payment by its id; a wrong nonce is no payment.
    pub fn payment(&self, id: PaymentId) -> Option<&Payment> {
        self.numbered(id.number).filter(|payment| payment.id == id)
    }

    /// Finds a payment by its number alone: for what is told of events, never for a caller's wish.
    pub fn numbered(&self, number: PaymentNumber) -> Option<&Payment> {
        self.by_number.get(number.0)
    }

    /// Returns every payment that is kept, in order of their numbers.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Payment> {
        self.by_number.iter()
    }

    /// Returns the first of the payments that are kept, the newest of them first: those of which `is_before` is true, as it must be
    /// of none behind one of which it isn't.
    pub fn before<F: Fn(&Payment) -> bool>(
        &self,
        is_before: F,
    ) -> impl Iterator<Item = &Payment> + use<'_, F> {
        self.by_number.before(is_before)
    }

    /// Returns the payments that aren't settled, in order of their numbers.
    pub fn under_way(&self) -> impl Iterator<Item = &Payment> {
        self.under_way.iter().filter_map(|number| self.by_number.get(*number))
    }

    /// Returns the number of events so far.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the instant of the last event.
    pub fn last_instant(&self) -> Timestamp {
        self.last_instant
    }

    /// Looks an idempotency key up.
    pub fn find_key(&self, key: KeyUse, now: Timestamp) -> Option<KeyFound<'_, PaymentNumber>> {
        self.keys.find(key, now)
    }

    /// Returns the idempotency keys that it has seen.
    pub fn keys(&self) -> &Keys<PaymentNumber> {
        &self.keys
    }

    /// Changes how many idempotency keys are kept.
    pub fn set_keys_max(&mut self, keys_max: u32) {
        self.keys.set_max(keys_max);
    }

    /// Checks every invariant of the module's documentation.
    ///
    /// # Panics
    /// When one doesn't hold.
    pub fn check_invariants(&self) {
        let mut standing = hashbrown::HashSet::new();
        for payment in self.iter() {
            assert_eq!(payment.id.schedule, self.schedule, "a payment's id leads to it");
            if payment.state.stands() {
                let new = standing.insert(payment.reservation.number);
                assert!(new, "M2: one payment stands for a reservation");
            }
            let needed = needs_gateway(payment.method, payment.amount);
            assert_eq!(payment.needs_gateway(), needed, "a payment names the gateway that takes its money");
            let keyed = payment.needs_gateway() && payment.state.is_begun();
            assert!(!keyed || payment.payment_key.is_some(), "what a gateway is asked for has its key");
            let under_way = self.under_way.contains(&payment.id.number.0);
            assert_eq!(under_way, !payment.state.is_settled(), "what isn't settled is under way");
            let idle = self.idle.contains(&payment.id.number.0);
            assert_eq!(idle, !payment.state.is_begun(), "what nothing has come of is idle");
        }
        let kept = |number: &u32| self.by_number.get(*number).is_some();
        assert!(self.idle.iter().all(kept), "what is idle is kept");
        assert_eq!(self.under_way().count(), self.under_way.len(), "what is under way is kept");
        self.index.check(self.iter());
    }

    /// Puts a payment among those that are kept.
    fn insert(&mut self, payment: Payment) {
        let (number, user) = (payment.id.number.0, payment.user.clone());
        self.file(number, payment.state);
        self.index.add(&payment);
        self.by_number.insert(number, payment);
        self.forget_surplus(&user);
    }

    /// Notes in the indexes which state a payment has.
    fn file(&mut self, number: u32, state: State) {
        let put = |index: &mut BTreeSet<u32>, belongs| {
            if belongs {
                index.insert(number)
            } else {
                index.remove(&number)
            };
        };
        put(&mut self.under_way, !state.is_settled());
        put(&mut self.idle, !state.is_begun());
    }

    /// Forgets the failed payments that a user has too many. No event names a failed one any more, so a journal of before this bound
    /// is replayed all the same.
    fn forget_surplus(&mut self, user: &str) {
        while let Some(number) = self.index.surplus_failed(user) {
            self.forget(number);
        }
    }

    fn forget(&mut self, number: u32) {
        self.idle.remove(&number);
        if let Some(payment) = self.by_number.remove(number) {
            self.index.remove(&payment);
        }
    }

    /// Forgets attempts that came to nothing once they are older than `retention`, in order of their numbers, up to one that
    /// stays; `named` is the payment that the present event is about.
    fn forget_old(&mut self, now: Timestamp, retention: Seconds, named: PaymentNumber) {
        while let Some(first) = self.idle.first().copied() {
            let is_behind = self.under_way.first().is_some_and(|number| *number < first);
            let kept = self.by_number.get(first).expect("what is idle is kept");
            if is_behind || kept.updated_at.plus(retention) > now || first == named.0 {
                return;
            }
            self.forget(first);
        }
    }
}

impl PartialEq for Payments {
    /// Compares all that replay must bring back (R1).
    fn eq(&self, other: &Self) -> bool {
        PaymentsImage::of(self) == PaymentsImage::of(other)
    }
}

#[cfg(test)]
mod tests;
