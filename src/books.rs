//! The books of a whole log: whether its payments and its reservations tell the same story (M2, M3).
//!
//! Each aggregate checks itself; this looks across them, which no decision ever does. It holds at every position of a journal, also in the
//! middle of a payment: what is captured and what is confirmed come one after the other, in that order.
//!
//! Absent on purpose: what a gateway says (`onsale` asks it while it runs), repair.

use crate::domain::accounts::Accounts;
use crate::domain::payments::{Payment, State};
use crate::domain::schedule::{Reservation, ReservationStatus, Schedule};
use crate::recovery::World;

/// What the books count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Books {
    /// Accounts that were ever charged.
    pub accounts: u64,
    /// Movements of these that are in memory.
    pub movements: u64,
    /// Payments that are kept.
    pub payments: u64,
    /// Those of them that aren't settled.
    pub under_way: u64,
    /// Confirmed reservations that a payment stands for.
    pub paid_reservations: u64,
}

/// Books that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BooksError {
    /// Money was taken and kept for a reservation that isn't confirmed (M3).
    #[error("payment {0} was completed, and its reservation is not confirmed by it")]
    NothingBought(String),
    /// A reservation is confirmed by a payment that took nothing, or another amount (M2).
    #[error("reservation {reservation} is confirmed, and payment {payment} doesn't pay for it")]
    NotPaid {
        /// Which reservation.
        reservation: String,
        /// Which payment it names.
        payment: String,
    },
}

/// Compares payments and reservations.
///
/// # Errors
/// The first contradiction.
pub fn check(world: &World) -> Result<Books, BooksError> {
    let mut books = Books::default();
    for (_, account) in world.accounts.values().flat_map(Accounts::iter) {
        books.accounts += 1;
        books.movements += u64::try_from(account.transactions().count()).unwrap_or(u64::MAX);
    }
    for (number, payments) in &world.payments {
        let schedule = world.schedules.get(number);
        for payment in payments.iter() {
            books.payments += 1;
            books.under_way += u64::from(!payment.state.is_settled());
            if payment.state.stands() && !bought(schedule, payment) {
                return Err(BooksError::NothingBought(payment.id.to_string()));
            }
        }
        let Some(schedule) = schedule else { continue };
        for reservation in schedule.reservations() {
            let Some(id) = reservation.payment else { continue };
            if reservation.status != ReservationStatus::Confirmed {
                continue;
            }
            let pays = |payment: &Payment| {
                let taken = payment.state == State::Captured || payment.state.stands();
                taken && payment.amount == schedule.amount(&reservation.seats)
            };
            if !payments.payment(id).is_some_and(pays) {
                let reservation = schedule.full_id(reservation).to_string();
                return Err(BooksError::NotPaid { reservation, payment: id.to_string() });
            }
            books.paid_reservations += 1;
        }
    }
    Ok(books)
}

/// Tells whether a payment has its reservation, or had it until that was given back: such a one is forgotten after a while, and a
/// confirmed one never.
fn bought(schedule: Option<&Schedule>, payment: &Payment) -> bool {
    let by_it = |reservation: &Reservation| {
        let status =
            matches!(reservation.status, ReservationStatus::Confirmed | ReservationStatus::Cancelled);
        status && reservation.payment == Some(payment.id)
    };
    schedule.is_some_and(|schedule| schedule.reservation(payment.reservation).is_none_or(by_it))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::journal::snapshot;
    use crate::record;

    /// The state of the golden data of money.
    fn golden() -> World {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots/v1-money/data");
        let (_, newest) =
            snapshot::list(&data).unwrap().into_iter().max_by_key(|(position, _)| *position).unwrap();
        let mut world = World::default();
        for section in snapshot::read(&newest).unwrap().sections {
            world.restore(record::decode_section(&section).unwrap()).unwrap();
        }
        world
    }

    #[test]
    fn sound_books_are_counted() {
        let books = check(&golden()).unwrap();
        let told = Books { accounts: 2, movements: 4, payments: 8, under_way: 1, paid_reservations: 1 };
        assert_eq!(books, told);
        assert_eq!(check(&World::default()), Ok(Books::default()));
    }

    #[test]
    fn a_completed_payment_without_its_reservation_is_found() {
        let mut world = golden();
        world.schedules.clear();
        assert!(matches!(check(&world), Err(BooksError::NothingBought(_))));
    }

    #[test]
    fn a_confirmed_reservation_without_its_payment_is_found() {
        let mut world = golden();
        for payments in world.payments.values_mut() {
            *payments = crate::domain::payments::Payments::new(payments.schedule(), 10);
        }
        assert!(matches!(check(&world), Err(BooksError::NotPaid { .. })));
    }
}
