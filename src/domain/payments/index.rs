//! Indexes of the payments: each user's payments, what a payment service named, and how many are of a kind; and
//! the bounds of what one user can have kept.
//!
//! A payment that took money, or may have, is never forgotten here. One that came to nothing is kept for its user to see, and a
//! user who makes such ones in a loop has only the newest.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;

use super::{Counts, Payment, State};
use crate::domain::ids::{PaymentNumber, UserId};
use crate::domain::schedule::ReservationRef;
use crate::domain::time::Timestamp;

/// How many payments of one reservation are ready for the checkout at once: tabs, methods, and tries that were given up. One more
/// ends the oldest of them.
pub const READY_PER_RESERVATION_MAX: usize = 32;
/// The same of one user, over all reservations.
pub const READY_PER_USER_MAX: usize = 256;
/// How many failed payments of one user are kept.
pub const FAILED_PER_USER_MAX: usize = 100;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    by_user: HashMap<UserId, OfUser>,
    /// The numbers of the payments that the team's own payment service took the money of, by its payment key. An earlier version took
    /// one key for several reservations.
    by_payment_key: BTreeSet<(Arc<str>, u32)>,
    pub(super) counts: Counts,
}

/// The numbers of one user's payments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct OfUser {
    kept: BTreeSet<u32>,
    ready: BTreeSet<u32>,
    /// By when they failed.
    failed: BTreeSet<(Timestamp, u32)>,
}

impl Index {
    /// Takes a payment in.
    pub(super) fn add(&mut self, payment: &Payment) {
        self.counts.add(payment.state);
        // Most users are known: an entry would copy the id first.
        if !self.by_user.contains_key(&payment.user) {
            self.by_user.insert(payment.user.clone(), OfUser::default());
        }
        let of_user = self.by_user.get_mut(&payment.user).expect("it was added if it wasn't there");
        of_user.kept.insert(payment.id.number.0);
        of_user.sort_in(payment);
        self.name(payment);
    }

    /// Takes in what a payment service named, once it has.
    pub(super) fn name(&mut self, payment: &Payment) {
        self.by_payment_key.extend(named(payment));
    }

    /// Lets a payment go, as it was taken in.
    pub(super) fn remove(&mut self, payment: &Payment) {
        self.counts.remove(payment.state);
        if let Some(named) = named(payment) {
            self.by_payment_key.remove(&named);
        }
        let Some(of_user) = self.by_user.get_mut(&payment.user) else { return };
        of_user.kept.remove(&payment.id.number.0);
        of_user.sort_out(payment);
        if of_user.kept.is_empty() {
            self.by_user.remove(&payment.user);
        }
    }

    /// Returns the numbers of a user's payments, in order.
    pub(super) fn of_user<'a>(&'a self, user: &str) -> impl DoubleEndedIterator<Item = u32> + use<'a> {
        self.by_user.get(user).into_iter().flat_map(|of_user| of_user.kept.iter().copied())
    }

    /// Returns the numbers of the payments that a payment service's key stands for: one, but in a journal of before.
    pub(super) fn named<'a>(&'a self, payment_key: &str) -> impl Iterator<Item = u32> + use<'a> {
        let key: Arc<str> = payment_key.into();
        let of_key = (Arc::clone(&key), 0)..=(key, u32::MAX);
        self.by_payment_key.range(of_key).map(|(_, number)| *number)
    }

    /// Returns the payment that ends before another is made ready, where as many are ready as may be. `is_of` tells whether a
    /// number's payment is of the reservation.
    pub(super) fn surplus_ready(&self, user: &str, is_of: impl Fn(u32) -> bool) -> Option<u32> {
        let ready = &self.by_user.get(user)?.ready;
        let mut of_reservation = ready.iter().copied().filter(|number| is_of(*number));
        let oldest = of_reservation.next();
        if of_reservation.count() + 1 >= READY_PER_RESERVATION_MAX {
            return oldest;
        }
        ready.first().copied().filter(|_| ready.len() >= READY_PER_USER_MAX)
    }

    /// Returns the failed payment that a user has one too many, if there is one: the oldest.
    pub(super) fn surplus_failed(&self, user: &str) -> Option<u32> {
        let failed = &self.by_user.get(user)?.failed;
        failed.first().map(|(_, number)| *number).filter(|_| failed.len() > FAILED_PER_USER_MAX)
    }

    /// Checks that it is the index of these payments.
    pub(super) fn check<'a>(&self, payments: impl Iterator<Item = &'a Payment>) {
        let mut anew = Self::default();
        payments.for_each(|payment| anew.add(payment));
        assert!(anew.by_user == self.by_user, "each payment is its user's");
        assert_eq!(anew.by_payment_key, self.by_payment_key, "each payment has its service's key");
        assert_eq!(anew.counts, self.counts, "the counts are those of the payments");
        for of_user in self.by_user.values() {
            assert!(of_user.failed.len() <= FAILED_PER_USER_MAX, "B1: a user has so many failed payments");
        }
    }
}

#[cfg(test)]
impl Index {
    /// Says what is inside: each user's numbers in order of the users, and the counts.
    pub(super) fn inside(&self) -> String {
        let Self { by_user, by_payment_key, counts } = self;
        let by_user: std::collections::BTreeMap<_, _> = by_user.iter().collect();
        format!("{by_user:?} {by_payment_key:?} {counts:?}")
    }
}

/// Returns what the payment service named a payment's money, with the payment's number.
fn named(payment: &Payment) -> Option<(Arc<str>, u32)> {
    let payment_key = payment.payment_key.as_ref().filter(|_| payment.is_reported())?;
    Some((Arc::clone(payment_key), payment.id.number.0))
}

impl OfUser {
    fn sort_in(&mut self, payment: &Payment) {
        let number = payment.id.number.0;
        if payment.state == State::Ready {
            self.ready.insert(number);
        }
        if payment.state == State::Failed {
            self.failed.insert((payment.updated_at, number));
        }
    }

    fn sort_out(&mut self, payment: &Payment) {
        let number = payment.id.number.0;
        self.ready.remove(&number);
        self.failed.remove(&(payment.updated_at, number));
    }
}

impl super::Payments {
    /// Returns a user's payments, in order of their numbers.
    pub fn of_user<'a>(&'a self, user: &str) -> impl DoubleEndedIterator<Item = &'a Payment> + use<'a> {
        self.index.of_user(user).filter_map(|number| self.by_number.get(number))
    }

    /// Returns the payments behind a number, in order.
    pub fn behind(&self, number: PaymentNumber) -> impl Iterator<Item = &Payment> {
        self.by_number.after(number.0)
    }

    /// Returns how many there are of some kinds.
    pub fn counts(&self) -> Counts {
        self.index.counts
    }

    /// Returns the number of the payment that ends before a user has another made ready for a reservation, where there are as many
    /// as may be.
    pub fn surplus_ready(&self, reservation: ReservationRef, user: &str) -> Option<u32> {
        let is_of =
            |number: u32| self.by_number.get(number).is_some_and(|kept| kept.reservation == reservation);
        self.index.surplus_ready(user, is_of)
    }
}
