//! Writes: each call is one transaction, durable when it returns, and the same when it is repeated.

use rusqlite::{Transaction as Rows, params};

use super::{Archive, ArchiveError, int};
use crate::domain::accounts::{Kind, Transaction};
use crate::domain::ids::{PaymentNumber, UserId};
use crate::domain::keys::KeyList;
use crate::domain::pages::Pages;
use crate::domain::payments::PaymentsImage;
use crate::domain::schedule::{Counts, Image, Reservation};
use crate::record;

const INSERT_PAYMENT: &str = "INSERT INTO payments VALUES (?1, ?2, ?3, ?4)";

impl Archive {
    /// Writes a schedule with its payments, over all rows that an earlier attempt has left.
    ///
    /// # Errors
    /// When it can't be made durable.
    pub fn put_schedule(
        &self,
        image: &Image,
        counts: Counts,
        payments: Option<&PaymentsImage>,
    ) -> Result<(), ArchiveError> {
        assert!(
            image.version > 0 && image.keys.is_empty(),
            "an archived schedule has events, and no keys any more"
        );
        let own = |payments: &PaymentsImage| payments.schedule == image.number && payments.keys.is_empty();
        assert!(payments.is_none_or(own), "a schedule is archived with its own payments");

        let bytes = record::encode_schedule(image);
        let payments_bytes = payments.map(record::encode_payments);
        let sum = checksum(&bytes, payments_bytes.as_deref());
        // A list reads many heads, and no image.
        let head = record::encode_schedule(&head_of(image));

        self.write(|rows| {
            let number = image.number.0;

            // An earlier attempt was of an earlier version: it may have left rows that this one hasn't.
            rows.execute("DELETE FROM schedules WHERE number = ?1", [number])?;
            rows.execute("DELETE FROM reservations WHERE schedule = ?1", [number])?;
            rows.execute("DELETE FROM payments WHERE schedule = ?1", [number])?;
            rows.execute(
                "INSERT INTO schedules VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
                params![
                    number,
                    image.id.as_str(),
                    image.concert.as_str(),
                    int(image.plan.starts_at.as_millis()),
                    int(image.plan.ends_at.as_millis()),
                    int(image.version),
                    int(payments.map_or(0, |payments| payments.version)),
                    counts.available,
                    counts.held,
                    counts.reserved,
                    counts.blocked,
                    head,
                    bytes,
                    payments_bytes,
                    sum,
                ],
            )?;

            index_reservations(rows, image)?;
            index_orders(rows, image)?;
            payments.map_or(Ok(()), |payments| index_payments(rows, payments))
        })
    }

    /// Writes old movements of an account, the oldest first: those behind `after`, of which the archive has `count`. Rows
    /// that an earlier attempt left, or a journal that was given up for a backup, are overwritten.
    ///
    /// # Errors
    /// When they can't be made durable.
    pub fn put_transactions(
        &self,
        user: &UserId,
        after: u32,
        count: u64,
        moved: &[Transaction],
    ) -> Result<(), ArchiveError> {
        let in_order = moved.is_sorted_by(|one, next| one.id.number < next.id.number);
        assert!(in_order, "movements are archived in the order of their numbers");
        assert!(moved.iter().all(|moved| moved.id.number > after), "what is archived is never written over");

        self.write(|rows| {
            rows.execute(
                "DELETE FROM transactions WHERE user = ?1 AND number > ?2",
                params![user.as_str(), after],
            )?;

            let mut insert =
                rows.prepare("INSERT INTO transactions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;

            for (ordinal, transaction) in (count + 1..).zip(moved) {
                let payment = match transaction.kind {
                    Kind::Charge => None,
                    Kind::Payment(payment) | Kind::Refund(payment) => Some(payment.bits().to_be_bytes()),
                };
                insert.execute(params![
                    user.as_str(),
                    transaction.id.number,
                    int(ordinal),
                    transaction.id.nonce.cast_signed(),
                    transaction.kind.as_str(),
                    payment,
                    int(transaction.amount.minor()),
                    int(transaction.balance_after.minor()),
                    int(transaction.at.as_millis()),
                ])?;
            }
            Ok(())
        })
    }
}

fn index_reservations(rows: &Rows<'_>, image: &Image) -> rusqlite::Result<()> {
    let mut insert = rows.prepare("INSERT INTO reservations VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for reservation in image.reservations.iter() {
        insert.execute(params![
            image.number.0,
            reservation.number.0,
            user_of(reservation),
            int(reservation.created_at.as_millis()),
            reservation.status.as_str(),
        ])?;
    }
    Ok(())
}

/// Writes where the payments of orders are: with their reservations.
fn index_orders(rows: &Rows<'_>, image: &Image) -> rusqlite::Result<()> {
    let mut insert = rows.prepare(INSERT_PAYMENT)?;
    for order in image.reservations.iter().filter(|reservation| reservation.order().is_some()) {
        let number = PaymentNumber::of_order(order.number).0;
        insert.execute(params![image.number.0, number, user_of(order), int(order.created_at.as_millis())])?;
    }
    Ok(())
}

/// Returns whose a reservation is; of nobody's order an empty text, which is no user's id.
fn user_of(reservation: &Reservation) -> &str {
    reservation.user.as_deref().unwrap_or_default()
}

fn index_payments(rows: &Rows<'_>, image: &PaymentsImage) -> rusqlite::Result<()> {
    let mut insert = rows.prepare(INSERT_PAYMENT)?;
    for payment in image.payments.iter() {
        insert.execute(params![
            image.schedule.0,
            payment.id.number.0,
            payment.user.as_str(),
            int(payment.created_at.as_millis()),
        ])?;
    }
    Ok(())
}

/// Returns the part of a schedule that a list shows: all but its seats and reservations, whose counts are columns.
fn head_of(image: &Image) -> Image {
    let (blocked, reservations, ended) = (Vec::new(), Pages::default(), Vec::new());
    Image { blocked, reservations, ended, keys: KeyList::default(), ..image.clone() }
}

/// Sums a schedule's bytes up.
pub(super) fn checksum(image: &[u8], payments: Option<&[u8]>) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(image);
    sum.update(payments.unwrap_or_default());
    sum.finalize()
}
