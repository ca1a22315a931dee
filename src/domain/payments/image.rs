//! The payments' state without its indexes: a snapshot keeps it. It shares the payments and the keys themselves.

use super::{Payment, Payments};
use crate::domain::ids::{PaymentNumber, ScheduleNumber};
use crate::domain::keys::{KeyList, Keys};
use crate::domain::pages::Pages;
use crate::domain::time::Timestamp;

/// Everything of a schedule's payments that doesn't follow from the rest, in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `Payments` and its getters")]
pub struct PaymentsImage {
    pub schedule: ScheduleNumber,
    /// The number of the last that was made.
    pub last: u32,
    pub payments: Pages<Payment>,
    pub keys_max: u32,
    pub keys: KeyList<PaymentNumber>,
    pub version: u64,
    pub last_instant: Timestamp,
}

impl PaymentsImage {
    /// Takes the image of a schedule's payments.
    pub fn of(payments: &Payments) -> Self {
        Self {
            schedule: payments.schedule,
            last: payments.last,
            payments: payments.by_number.clone(),
            keys_max: payments.keys.max(),
            keys: payments.keys.list(),
            version: payments.version,
            last_instant: payments.last_instant,
        }
    }

    /// Makes the payments again.
    ///
    /// # Panics
    /// When the image contradicts itself, which a checked snapshot doesn't.
    pub fn restore(self) -> Payments {
        let mut payments = Payments::new(self.schedule, self.keys_max);
        payments.last = self.last;
        for payment in self.payments.iter() {
            payments.insert(payment.clone());
        }
        payments.keys = Keys::restore(self.keys_max, self.keys);
        payments.version = self.version;
        payments.last_instant = self.last_instant;
        payments
    }
}
