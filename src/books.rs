//! The books of a whole log: whether its payments and its reservations tell the same story (M2, M3).
//!
//! Each aggregate checks itself; this looks across them, which no decision ever does. It holds at every position of a journal, also in the
//! middle of a payment: a payment is captured first, and its reservation confirmed then.
//!
//! Absent on purpose: a gateway's view (`onsale` asks it while it runs), repair.

use crate::domain::accounts::Accounts;
use crate::domain::ids::PaymentId;
use crate::domain::payments::{Failure, Payment, Payments, State};
use crate::domain::schedule::{Reservation, ReservationStatus, Schedule};
use crate::domain::settlement;
use crate::recovery::World;

/// The counts of the books.
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
    /// Orders of the box office, each of which is its own payment.
    pub orders: u64,
    /// Completed payments whose reservation was given back.
    pub owed: Owed,
}

/// Money that is owed, and not on its way back yet. A running engine gives it back by itself, and the next start does; in the archive
/// nobody would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owed {
    /// How many completed payments' reservations are cancelled or gone.
    pub payments: u64,
    /// The first of them.
    pub first: Option<PaymentId>,
}

impl Owed {
    /// Counts the payments of a schedule that are owed.
    pub fn count(&mut self, payments: &Payments, schedule: &Schedule) {
        for payment in payments.iter().filter(|payment| settlement::is_owed(payment, schedule)) {
            self.payments += 1;
            self.first = self.first.or(Some(payment.id));
        }
    }
}

impl core::fmt::Display for Owed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Some(first) = self.first else { return f.write_str("no payment is owed") };
        let payments =
            if self.payments == 1 { "payment's reservation is" } else { "payments' reservations are" };
        write!(
            f,
            "{} completed {payments} cancelled or gone, and the money is owed: the first is {first}",
            self.payments
        )
    }
}

/// Books that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message says what each field is")]
pub enum BooksError {
    /// Money was taken and kept for a reservation that isn't confirmed (M3).
    #[error("payment {0} was completed, and its reservation is not confirmed by it")]
    NothingBought(String),
    /// A reservation is confirmed by a payment that took nothing, or another amount (M2).
    #[error("reservation {reservation} is confirmed, and payment {payment} doesn't pay for it")]
    NotPaid { reservation: String, payment: String },
    /// A cancelled reservation's payment gives back another amount than its lines say.
    #[error(
        "reservation {reservation} is cancelled, and payment {payment} doesn't give back what is refundable"
    )]
    OtherRefund { reservation: String, payment: String },
}

/// Compares payments and reservations.
///
/// # Errors
/// The first contradiction.
pub fn check(world: &World) -> Result<Books, BooksError> {
    let orders = world.schedules.values().map(|schedule| schedule.orders().count()).sum::<usize>();
    let mut books = Books { orders: u64::try_from(orders).unwrap_or(u64::MAX), ..Books::default() };
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
        books.owed.count(payments, schedule);
        for reservation in schedule.reservations() {
            let Some(id) = reservation.payment else { continue };
            // An order is its payment.
            if reservation.order().is_some() {
                continue;
            }

            let paid = payments.payment(id);
            if reservation.status == ReservationStatus::Cancelled
                && paid.is_some_and(|payment| gives_back_other(payment, schedule, reservation))
            {
                let reservation = schedule.full_id(reservation).to_string();
                return Err(BooksError::OtherRefund { reservation, payment: id.to_string() });
            }
            // Of any other status, its payment may be under way, or have come to nothing.
            if reservation.status != ReservationStatus::Confirmed {
                continue;
            }

            let pays = |payment: &Payment| {
                let taken = payment.state == State::Captured || payment.state.stands();
                taken && payment.amount == schedule.amount_of(reservation)
            };
            if !paid.is_some_and(pays) {
                let reservation = schedule.full_id(reservation).to_string();
                return Err(BooksError::NotPaid { reservation, payment: id.to_string() });
            }
            books.paid_reservations += 1;
        }
    }

    Ok(books)
}

/// Tells whether a payment's refund, which its reservation's cancellation began, isn't what the reservation's lines say.
fn gives_back_other(payment: &Payment, schedule: &Schedule, reservation: &Reservation) -> bool {
    let is_refund = payment.failure == Some(Failure::Cancelled);
    is_refund && payment.refund_amount() != schedule.refund_of(reservation)
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
    use crate::domain::money::Money;
    use crate::domain::payments;
    use crate::domain::schedule::Event;
    use crate::journal::snapshot;
    use crate::record;

    /// The state of the golden data of money.
    fn golden() -> World {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots/v2-money/data");
        let (_, newest) =
            snapshot::list(&data).unwrap().into_iter().max_by_key(|(position, _)| *position).unwrap();
        let mut world = World::default();
        for section in record::decode_sections(snapshot::read(&newest).unwrap().sections) {
            world.restore(section.unwrap()).unwrap();
        }
        world
    }

    #[test]
    fn sound_books_are_counted() {
        let books = check(&golden()).unwrap();
        let told = Books {
            accounts: 2,
            movements: 4,
            payments: 8,
            under_way: 1,
            paid_reservations: 1,
            orders: 0,
            owed: Owed::default(),
        };
        assert_eq!(books, told);
        assert_eq!(check(&World::default()), Ok(Books::default()));
    }

    #[test]
    fn a_completed_payment_whose_reservation_was_given_back_is_named_as_owed() {
        let mut world = golden();
        let confirmed = |schedule: &Schedule| {
            let mut all = schedule.reservations();
            all.find(|reservation| reservation.status == ReservationStatus::Confirmed).cloned()
        };
        let (schedule, reservation) = world
            .schedules
            .values_mut()
            .find_map(|schedule| confirmed(schedule).map(|it| (schedule, it)))
            .unwrap();
        let cancelled = Event::ReservationCancelled { number: reservation.number };
        schedule.apply(&cancelled, schedule.last_instant(), None);
        let owed = Owed { payments: 1, first: reservation.payment };
        assert_eq!(check(&world).unwrap().owed, owed);
        assert!(owed.to_string().contains("1 completed payment's reservation is cancelled or gone"));
    }

    #[test]
    fn a_refund_of_another_amount_than_the_reservation_says_is_found() {
        for (amount, is_right) in [(None, true), (Money::new(1), false)] {
            let mut world = golden();
            let bought = |schedule: &Schedule| {
                let mut all = schedule.reservations();
                all.find(|reservation| reservation.status == ReservationStatus::Confirmed).cloned()
            };
            let schedules = &mut world.schedules;
            let (schedule, reservation) = schedules
                .values_mut()
                .find_map(|schedule| bought(schedule).map(|it| (schedule, it)))
                .unwrap();
            let cancelled = Event::ReservationCancelled { number: reservation.number };
            schedule.apply(&cancelled, schedule.last_instant(), None);

            let payment = reservation.payment.unwrap();
            let payments = world.payments.get_mut(&payment.schedule).unwrap();
            let (number, failure) = (payment.number, Failure::Cancelled);
            let begun = payments::Event::RefundBegun { number, failure, amount };
            payments.apply(&begun, schedule.last_instant(), None);
            assert_eq!(matches!(check(&world), Err(BooksError::OtherRefund { .. })), !is_right);
        }
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
            *payments = Payments::new(payments.schedule(), 10);
        }
        assert!(matches!(check(&world), Err(BooksError::NotPaid { .. })));
    }
}
