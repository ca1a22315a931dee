//! The mock gateway's book: orders, their payments, and the money that moved.
//!
//! It is pure and synchronous, and gets the time. Invariants: at most one of an order's payments is ever captured; no
//! more is refunded than was captured; at most `orders_max` orders are kept (the oldest finished ones go first), and
//! the totals keep their movements.

use core::ops::RangeInclusive;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::codes::Refusal;
use super::random::Random;
use crate::domain::time::Timestamp;

/// The most payments of an order that are kept: a customer may go through its checkout again.
const PAYMENTS_PER_ORDER_MAX: usize = 20;
/// The most partial refunds of one payment.
const CANCELS_MAX: usize = 100;

/// The status of a payment, in Toss's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    InProgress,
    Done,
    PartiallyCancelled,
    Cancelled,
    Aborted,
    Expired,
}

impl Status {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Done => "DONE",
            Self::PartiallyCancelled => "PARTIAL_CANCELED",
            Self::Cancelled => "CANCELED",
            Self::Aborted => "ABORTED",
            Self::Expired => "EXPIRED",
        }
    }

    const fn is_captured(self) -> bool {
        match self {
            Self::Done | Self::PartiallyCancelled | Self::Cancelled => true,
            Self::InProgress | Self::Aborted | Self::Expired => false,
        }
    }
}

/// A refund.
#[derive(Debug, Clone)]
pub(super) struct Cancellation {
    pub(super) transaction: String,
    pub(super) amount: u64,
    pub(super) reason: String,
    pub(super) at: Timestamp,
    /// The amount that can still be refunded after it.
    pub(super) left: u64,
}

/// One passage through the checkout.
#[derive(Debug, Clone)]
pub(super) struct Payment {
    pub(super) key: String,
    pub(super) order_id: String,
    pub(super) order_name: String,
    pub(super) amount: u64,
    pub(super) status: Status,
    pub(super) requested_at: Timestamp,
    pub(super) approved_at: Option<Timestamp>,
    /// The name of the last movement of money.
    pub(super) transaction: Option<String>,
    pub(super) cancellations: Vec<Cancellation>,
    pub(super) failure: Option<Refusal>,
}

impl Payment {
    /// Returns the amount that can still be refunded, or is still to be captured.
    pub(super) fn balance(&self) -> u64 {
        self.amount - self.cancelled()
    }

    pub(super) fn cancelled(&self) -> u64 {
        self.cancellations.iter().map(|cancellation| cancellation.amount).sum()
    }

    fn captured(&self) -> u64 {
        if self.status.is_captured() { self.amount } else { 0 }
    }
}

/// A movement of money, as the list of movements has it.
#[derive(Debug, Clone)]
pub(super) struct Movement {
    pub(super) transaction: String,
    pub(super) key: String,
    pub(super) order_id: String,
    pub(super) amount: u64,
    pub(super) status: Status,
    pub(super) at: Timestamp,
}

impl Payment {
    /// Returns the movements: the capture, if there was one, and the refunds.
    fn movements(&self) -> impl Iterator<Item = Movement> {
        let movement = |transaction: String, amount, status, at| Movement {
            transaction,
            key: self.key.clone(),
            order_id: self.order_id.clone(),
            amount,
            status,
            at,
        };
        let captured = self.approved_at.filter(|_| self.status.is_captured()).map(|at| {
            // The payment only keeps the name of its last movement.
            movement(format!("captured-{}", self.key), self.amount, Status::Done, at)
        });
        let back = self
            .cancellations
            .iter()
            .map(move |back| movement(back.transaction.clone(), back.amount, Status::Cancelled, back.at));
        captured.into_iter().chain(back)
    }
}

/// A payment before and after a change, for the notice.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) before: Payment,
    pub(super) after: Payment,
}

/// An order and its payments.
#[derive(Debug, Default)]
pub(super) struct Order {
    pub(super) id: String,
    /// The oldest first.
    pub(super) payments: Vec<Payment>,
    /// How often a capture was asked for, repeats and failures included.
    pub(super) capture_requests: u64,
    /// How often money was captured.
    pub(super) captures: u64,
}

impl Order {
    pub(super) fn captured(&self) -> u64 {
        self.payments.iter().map(Payment::captured).sum()
    }

    pub(super) fn cancelled(&self) -> u64 {
        self.payments.iter().map(Payment::cancelled).sum()
    }

    /// Returns the captured payment, or else the last one.
    pub(super) fn present(&self) -> Option<&Payment> {
        self.payments.iter().find(|payment| payment.status.is_captured()).or(self.payments.last())
    }

    fn is_finished(&self) -> bool {
        self.payments.iter().all(|payment| payment.status != Status::InProgress)
    }
}

/// The totals of all orders, forgotten ones included.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) orders: u64,
    pub(super) captured: u64,
    pub(super) cancelled: u64,
    pub(super) captures: u64,
    pub(super) cancellations: u64,
    /// The most captures that an order ever had: more than one is a bug of the mock.
    pub(super) captures_of_one_order_max: u64,
    /// Orders that were forgotten to make room.
    pub(super) forgotten: u64,
}

/// Orders by their number, which counts up.
#[derive(Debug)]
pub(super) struct Book {
    orders: BTreeMap<u64, Order>,
    by_id: HashMap<String, u64>,
    by_key: HashMap<String, u64>,
    finished: BTreeSet<u64>,
    totals: Totals,
    session_millis: u64,
    orders_max: usize,
}

impl Book {
    pub(super) fn new(orders_max: usize, session_millis: u64) -> Self {
        Self {
            orders: BTreeMap::new(),
            by_id: HashMap::new(),
            by_key: HashMap::new(),
            finished: BTreeSet::new(),
            totals: Totals::default(),
            session_millis,
            orders_max: orders_max.max(1),
        }
    }

    /// Records that the customer agreed. Returns the new payment's key.
    pub(super) fn check_out(
        &mut self,
        order_id: &str,
        order_name: &str,
        amount: u64,
        at: Timestamp,
        random: &mut Random,
    ) -> Result<String, Refusal> {
        let number = self.number_of(order_id);
        let order = self.order_mut(number);
        if order.captures > 0 {
            return Err(Refusal::new("DUPLICATED_ORDER_ID"));
        }

        // The oldest checkout of an order is forgotten, so that its payments are bounded.
        let mut forgotten = None;
        if order.payments.len() >= PAYMENTS_PER_ORDER_MAX {
            forgotten = Some(order.payments.remove(0).key);
        }

        let key = format!("mock{}", random.word(24));
        order.payments.push(Payment {
            key: key.clone(),
            order_id: order_id.to_owned(),
            order_name: order_name.to_owned(),
            amount,
            status: Status::InProgress,
            requested_at: at,
            approved_at: None,
            transaction: None,
            cancellations: Vec::new(),
            failure: None,
        });

        if let Some(forgotten) = forgotten {
            self.by_key.remove(&forgotten);
        }

        self.by_key.insert(key.clone(), number);
        self.finished.remove(&number);
        Ok(key)
    }

    /// Records that the customer gave up at the checkout, or the card company declined.
    pub(super) fn abort(&mut self, key: &str, failure: Refusal) -> Option<Change> {
        let number = *self.by_key.get(key)?;
        let payment = self.payment_mut(number, key);
        if payment.status != Status::InProgress {
            return None;
        }
        let before = payment.clone();
        payment.status = Status::Aborted;
        payment.failure = Some(failure);
        let after = payment.clone();
        self.settle(number);
        Some(Change { before, after })
    }

    /// Counts a request to capture, whatever its outcome.
    pub(super) fn asked_to_capture(&mut self, order_id: &str) {
        if let Some(number) = self.by_id.get(order_id).copied() {
            self.order_mut(number).capture_requests += 1;
        }
    }

    /// Captures the amount of a payment.
    pub(super) fn capture(
        &mut self,
        key: &str,
        order_id: &str,
        amount: u64,
        at: Timestamp,
        random: &mut Random,
    ) -> Result<Change, Refusal> {
        let Some(&number) = self.by_key.get(key) else { return Err(Refusal::new("NOT_FOUND_PAYMENT")) };
        self.expire(number, at);
        let order = self.order_mut(number);
        let captured_before = order.captures > 0;
        if order.id != order_id {
            return Err(Refusal::new("FORBIDDEN_REQUEST"));
        }

        let payment = self.payment_mut(number, key);
        match payment.status {
            Status::InProgress => {}
            Status::Expired => return Err(Refusal::new("NOT_FOUND_PAYMENT_SESSION")),
            Status::Done | Status::PartiallyCancelled | Status::Cancelled | Status::Aborted => {
                return Err(Refusal::new("ALREADY_PROCESSED_PAYMENT"));
            }
        }

        if captured_before {
            return Err(Refusal::new("DUPLICATED_ORDER_ID"));
        }
        if payment.amount != amount {
            return Err(Refusal::new("INVALID_REQUEST"));
        }

        let before = payment.clone();
        payment.status = Status::Done;
        payment.approved_at = Some(at);
        payment.transaction = Some(random.transaction());
        let after = payment.clone();

        // The ledger shows captures by order, so that a test sees if money was ever taken twice.
        let order = self.order_mut(number);
        order.captures += 1;

        let captures = order.captures;
        self.totals.captured = self.totals.captured.saturating_add(amount);
        self.totals.captures += 1;
        self.totals.captures_of_one_order_max = self.totals.captures_of_one_order_max.max(captures);
        self.settle(number);
        Ok(Change { before, after })
    }

    /// Gives back `amount`, or all that is left. Refuses if the rest isn't `expected`.
    pub(super) fn cancel(
        &mut self,
        key: &str,
        amount: Option<u64>,
        expected: Option<u64>,
        reason: &str,
        at: Timestamp,
        random: &mut Random,
    ) -> Result<Change, Refusal> {
        let Some(&number) = self.by_key.get(key) else { return Err(Refusal::new("NOT_FOUND_PAYMENT")) };
        let payment = self.payment_mut(number, key);
        match payment.status {
            Status::Done | Status::PartiallyCancelled => {}
            Status::Cancelled if payment.cancellations.len() == 1 => {
                return Err(Refusal::new("ALREADY_CANCELED_PAYMENT"));
            }
            Status::Cancelled => return Err(Refusal::new("NOT_CANCELABLE_AMOUNT")),
            Status::InProgress | Status::Aborted | Status::Expired => {
                return Err(Refusal::new("NOT_CANCELABLE_PAYMENT"));
            }
        }

        let balance = payment.balance();
        let amount = amount.unwrap_or(balance);
        if expected.is_some_and(|expected| expected != balance) {
            return Err(Refusal::new("NOT_MATCHES_REFUNDABLE_AMOUNT"));
        }

        if amount == 0 {
            return Err(Refusal::new("INVALID_REQUEST"));
        }
        if amount > balance || payment.cancellations.len() >= CANCELS_MAX {
            return Err(Refusal::new("NOT_CANCELABLE_AMOUNT"));
        }

        let before = payment.clone();
        let (transaction, left) = (random.transaction(), balance - amount);
        payment.transaction = Some(transaction.clone());
        payment.cancellations.push(Cancellation { transaction, amount, reason: reason.to_owned(), at, left });
        payment.status = if left == 0 { Status::Cancelled } else { Status::PartiallyCancelled };
        let after = payment.clone();

        self.totals.cancelled = self.totals.cancelled.saturating_add(amount);
        self.totals.cancellations += 1;
        Ok(Change { before, after })
    }

    /// Returns a payment as it is at `at`.
    pub(super) fn payment(&mut self, key: &str, at: Timestamp) -> Option<&Payment> {
        let number = *self.by_key.get(key)?;
        self.expire(number, at);
        self.orders.get(&number)?.payments.iter().find(|payment| payment.key == key)
    }

    /// Returns an order as it is at `at`.
    pub(super) fn order(&mut self, order_id: &str, at: Timestamp) -> Option<&Order> {
        let number = *self.by_id.get(order_id)?;
        self.expire(number, at);
        self.orders.get(&number)
    }

    /// Returns the orders that are kept, the oldest first.
    pub(super) fn orders(&mut self, at: Timestamp) -> impl Iterator<Item = &Order> {
        let open: Vec<u64> =
            self.orders.keys().copied().filter(|number| !self.finished.contains(number)).collect();
        for number in open {
            self.expire(number, at);
        }
        self.orders.values()
    }

    /// Returns the movements in a time, the oldest first.
    pub(super) fn movements(&self, times: &RangeInclusive<Timestamp>) -> Vec<Movement> {
        let payments = self.orders.values().flat_map(|order| &order.payments);
        let mut moved: Vec<Movement> =
            payments.flat_map(Payment::movements).filter(|movement| times.contains(&movement.at)).collect();
        moved.sort_by_key(|movement| movement.at);
        moved
    }

    pub(super) const fn totals(&self) -> Totals {
        self.totals
    }

    /// Ends the payments that weren't captured in time.
    fn expire(&mut self, number: u64, at: Timestamp) {
        let session_millis = self.session_millis;
        for payment in &mut self.order_mut(number).payments {
            let late = at >= payment.requested_at.plus_millis(session_millis);
            if late && payment.status == Status::InProgress {
                payment.status = Status::Expired;
                payment.failure = Some(Refusal::new("EXPIRED_PAYMENT"));
            }
        }
        self.settle(number);
    }

    /// Records whether the order is finished.
    fn settle(&mut self, number: u64) {
        if self.orders.get(&number).is_some_and(Order::is_finished) {
            self.finished.insert(number);
        }
    }

    /// Returns the number of an order. A new order is made, and an old one forgotten if there is no room.
    fn number_of(&mut self, order_id: &str) -> u64 {
        if let Some(number) = self.by_id.get(order_id) {
            return *number;
        }
        if self.orders.len() >= self.orders_max {
            self.forget_one();
        }
        let number = self.totals.orders;
        self.totals.orders += 1;
        self.orders.insert(number, Order { id: order_id.to_owned(), ..Order::default() });
        self.by_id.insert(order_id.to_owned(), number);
        number
    }

    /// Forgets the oldest finished order, or the oldest of all.
    fn forget_one(&mut self) {
        let number = self.finished.pop_first().or_else(|| self.orders.keys().next().copied());
        let Some(order) = number.and_then(|number| self.orders.remove(&number)) else { return };
        self.by_id.remove(&order.id);
        for payment in &order.payments {
            self.by_key.remove(&payment.key);
        }
        self.totals.forgotten += 1;
    }

    fn order_mut(&mut self, number: u64) -> &mut Order {
        self.orders.get_mut(&number).expect("an index leads to an order that is kept")
    }

    fn payment_mut(&mut self, number: u64, key: &str) -> &mut Payment {
        let payments = &mut self.order_mut(number).payments;
        payments
            .iter_mut()
            .find(|payment| payment.key == key)
            .expect("an index leads to a payment that is kept")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const SESSION: u64 = 600_000;

    fn book(orders_max: usize) -> (Book, Random) {
        (Book::new(orders_max, SESSION), Random::seeded(1))
    }

    #[test]
    fn of_two_ways_through_the_checkout_of_one_order_one_is_captured() {
        let (mut book, mut random) = book(10);
        let first = book.check_out("order-1", "", 100, START, &mut random).unwrap();
        let second = book.check_out("order-1", "", 100, START, &mut random).unwrap();
        book.capture(&second, "order-1", 100, START, &mut random).unwrap();
        let refused = book.capture(&first, "order-1", 100, START, &mut random).unwrap_err();
        assert_eq!(refused.code(), "DUPLICATED_ORDER_ID");
        book.asked_to_capture("order-1");
        let order = book.order("order-1", START).unwrap();
        assert_eq!((order.captures, order.capture_requests, order.captured()), (1, 1, 100));
        assert_eq!(order.present().unwrap().key, second);
        let again = book.check_out("order-1", "", 100, START, &mut random).unwrap_err();
        assert_eq!(again.code(), "DUPLICATED_ORDER_ID");
    }

    #[test]
    fn what_is_given_back_is_never_more_than_was_captured() {
        let (mut book, mut random) = book(10);
        let key = book.check_out("order-1", "", 100, START, &mut random).unwrap();
        let cancel = |book: &mut Book, amount, expected| {
            book.cancel(&key, amount, expected, "", START, &mut Random::seeded(2))
                .map_err(|refusal| refusal.code().to_owned())
        };
        assert_eq!(cancel(&mut book, None, None).unwrap_err(), "NOT_CANCELABLE_PAYMENT");
        book.capture(&key, "order-1", 100, START, &mut random).unwrap();
        assert_eq!(cancel(&mut book, Some(101), None).unwrap_err(), "NOT_CANCELABLE_AMOUNT");
        assert_eq!(cancel(&mut book, Some(0), None).unwrap_err(), "INVALID_REQUEST");
        assert_eq!(cancel(&mut book, Some(40), Some(99)).unwrap_err(), "NOT_MATCHES_REFUNDABLE_AMOUNT");
        assert_eq!(cancel(&mut book, Some(40), Some(100)).unwrap().after.balance(), 60);
        assert_eq!(cancel(&mut book, None, None).unwrap().after.status, Status::Cancelled);
        assert_eq!(cancel(&mut book, None, None).unwrap_err(), "NOT_CANCELABLE_AMOUNT");
        assert_eq!(book.totals().cancelled, 100);
    }

    #[test]
    fn a_payment_expires_when_its_session_is_over_and_not_before() {
        let (mut book, mut random) = book(10);
        let key = book.check_out("order-1", "", 100, START, &mut random).unwrap();
        let end = START.plus_millis(SESSION);
        assert_eq!(book.payment(&key, START.plus_millis(SESSION - 1)).unwrap().status, Status::InProgress);
        let refused = book.capture(&key, "order-1", 100, end, &mut random).unwrap_err();
        assert_eq!(refused.code(), "NOT_FOUND_PAYMENT_SESSION");
        assert_eq!(book.payment(&key, end).unwrap().status, Status::Expired);
    }

    #[test]
    fn the_oldest_finished_order_is_forgotten_first_and_stays_in_the_totals() {
        let (mut book, mut random) = book(2);
        book.check_out("order-1", "", 1, START, &mut random).unwrap();
        let second = book.check_out("order-2", "", 10, START, &mut random).unwrap();
        book.capture(&second, "order-2", 10, START, &mut random).unwrap();
        book.check_out("order-3", "", 100, START, &mut random).unwrap();
        assert!(book.order("order-2", START).is_none() && book.payment(&second, START).is_none());
        // Nothing is finished now: the oldest of all goes.
        book.check_out("order-4", "", 1000, START, &mut random).unwrap();
        assert_eq!(
            book.orders(START).map(|order| order.id.as_str()).collect::<Vec<_>>(),
            ["order-3", "order-4"]
        );
        let totals = book.totals();
        assert_eq!((totals.orders, totals.forgotten, totals.captured), (4, 2, 10));
    }

    #[test]
    fn an_order_keeps_a_bounded_number_of_ways_through_its_checkout() {
        let (mut book, mut random) = book(2);
        let keys: Vec<String> = (0..PAYMENTS_PER_ORDER_MAX + 5)
            .map(|_| book.check_out("order-1", "", 1, START, &mut random).unwrap())
            .collect();
        assert_eq!(book.order("order-1", START).unwrap().payments.len(), PAYMENTS_PER_ORDER_MAX);
        assert!(book.payment(&keys[0], START).is_none() && book.payment(&keys[5], START).is_some());
    }
}
