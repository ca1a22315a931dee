//! The debts between a payment and its reservation: one rule for the driver of payments, the archive, and the audit of the books.
//!
//! Absent on purpose: who acts on it. A reservation that is confirmed is never forgotten, so one that is no longer there was given
//! back.

use super::payments::{Payment, State};
use super::schedule::{ReservationStatus, Schedule};

/// Tells whether money is owed: it was taken for good, and the reservation isn't confirmed by it any more (M3).
///
/// The schedule must be at least as late as the payment: a payment completes after its reservation is confirmed.
pub fn is_owed(payment: &Payment, schedule: &Schedule) -> bool {
    let bought = schedule.reservation(payment.reservation).is_some_and(|reservation| {
        reservation.status == ReservationStatus::Confirmed && reservation.payment == Some(payment.id)
    });
    payment.state == State::Completed && !bought
}

/// Tells whether nothing of a payment is under way, and nothing owed.
pub fn is_settled(payment: &Payment, schedule: &Schedule) -> bool {
    payment.state.is_settled() && !is_owed(payment, schedule)
}
