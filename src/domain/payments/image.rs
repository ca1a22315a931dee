//! The payments' state without what follows from it: what a snapshot keeps.

use super::{Payment, Payments};
use crate::domain::ids::{PaymentNumber, ScheduleNumber};
use crate::domain::keys::{KeyUse, Keys};
use crate::domain::time::Timestamp;

/// Everything of a schedule's payments that doesn't follow from the rest, in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `Payments` and its getters")]
pub struct PaymentsImage {
    pub schedule: ScheduleNumber,
    /// The number of the last that was made.
    pub last: u32,
    /// By number; each with the digest of the idempotency key that it holds.
    pub payments: Vec<(Payment, Option<u128>)>,
    pub keys_max: u32,
    /// Keys in the order in which they came.
    pub keys: Vec<(KeyUse, u64, Timestamp, PaymentNumber)>,
    pub version: u64,
    pub last_instant: Timestamp,
}

impl PaymentsImage {
    /// Takes the image of a schedule's payments.
    pub fn of(payments: &Payments) -> Self {
        let keys = payments.keys.iter().map(|(key, version, at, number)| (key, version, at, *number));
        Self {
            schedule: payments.schedule,
            last: payments.last,
            payments: payments.iter().map(|payment| (payment.clone(), payment.key)).collect(),
            keys_max: payments.keys.max(),
            keys: keys.collect(),
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
        for (mut payment, key) in self.payments {
            payment.key = key;
            payments.insert(payment);
        }
        payments.keys = Keys::new(self.keys_max);
        for (key, version, at, number) in self.keys {
            payments.keys.keep(key, version, at, number);
        }
        payments.version = self.version;
        payments.last_instant = self.last_instant;
        payments
    }
}
