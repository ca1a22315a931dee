//! Reads: one schedule whole, many in short, and where a user's reservations and payments are.
//!
//! Rows whose event isn't durable may be there: the caller says which schedules are archived, and other rows are passed over.

use std::sync::Arc;

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, params};

use super::write::checksum;
use super::{Archive, ArchiveError, int, uint};
use crate::domain::accounts::{Carried, Kind, Shard, Transaction};
use crate::domain::ids::{
    PaymentId, PaymentNumber, ReservationNumber, ScheduleNumber, TransactionId, UserId,
};
use crate::domain::money::Money;
use crate::domain::payments::{Payments, PaymentsImage};
use crate::domain::schedule::{Archived, Counts, Image, Schedule, Summary};
use crate::domain::time::Timestamp;
use crate::domain::venue::Layout;
use crate::record;
use crate::recovery::{InArchive, KEYS_MAX, World};

/// A schedule as it was moved to the archive, with its payments.
#[derive(Debug)]
pub struct Restored {
    /// The schedule.
    pub schedule: Schedule,
    /// Its payments: none where there never was one.
    pub payments: Payments,
}

/// A schedule in short: no seats, no reservations.
#[derive(Debug, Clone)]
pub struct Head {
    /// The schedule, without its reservations.
    pub image: Image,
    /// How its sale stood, and its seats by status.
    pub summary: Summary,
}

/// Where a reservation is: the greatest is the newest.
pub type ReservationPlace = (Timestamp, ScheduleNumber, ReservationNumber);
/// Where a row is among those of all schedules in a table.
type Place = (Timestamp, ScheduleNumber, u32);
/// Where a payment is: the greatest is the newest.
pub type PaymentPlace = (Timestamp, ScheduleNumber, PaymentNumber);

/// Where things are, the newest first.
#[derive(Debug, Clone)]
pub struct Places<P> {
    /// The places.
    pub found: Vec<P>,
    /// The last row that was looked at, where there may be more behind it.
    pub reached: Option<P>,
}

struct Stored {
    archived: (u64, u64),
    image: Vec<u8>,
    payments: Option<Vec<u8>>,
    checksum: u32,
}

impl Archive {
    /// Reads a schedule that the catalogue says is here; `layout` is its venue's.
    ///
    /// # Errors
    /// When it isn't there, or not as it was written.
    pub fn schedule(
        &self,
        number: ScheduleNumber,
        archived: Archived,
        layout: Arc<Layout>,
    ) -> Result<Restored, ArchiveError> {
        let stored = self.read(|connection| {
            let row = |row: &Row<'_>| {
                Ok(Stored {
                    archived: (uint(row.get(0)?)?, uint(row.get(1)?)?),
                    image: row.get(2)?,
                    payments: row.get(3)?,
                    checksum: row.get(4)?,
                })
            };
            let select =
                "SELECT version, payments_version, image, payments, checksum FROM schedules WHERE number = ?1";
            connection.query_row(select, [number.0], row).optional()
        })?;

        let name = || format!("schedule number {}", number.0);
        let stored = stored.flatten().ok_or_else(|| self.missing(name()))?;
        if stored.archived != (archived.version, archived.payments) {
            return Err(self.missing(format!("{} as it was when it was moved", name())));
        }

        if checksum(&stored.image, stored.payments.as_deref()) != stored.checksum {
            return Err(self.damaged(format!("{}: its checksum is another", name())));
        }

        let image = self.image(number, &stored.image)?;
        // A schedule that nobody ever paid for has no payments of its own, and no row of them.
        let payments = match &stored.payments {
            Some(bytes) => self.payments_image(number, bytes)?.restore(),
            None => Payments::new(number, KEYS_MAX),
        };

        Ok(Restored { schedule: image.restore(layout), payments })
    }

    /// Visits every schedule that the world says is here, in order of their numbers.
    ///
    /// # Errors
    /// When one can't be read, and the errors of `visit`.
    pub fn for_each_schedule<E: From<ArchiveError>>(
        &self,
        world: &World,
        mut visit: impl FnMut(Restored) -> Result<(), E>,
    ) -> Result<(), E> {
        for InArchive { number, id, archived, layout } in world.archived() {
            let layout = layout.ok_or_else(|| self.damaged(format!("schedule {id} has no venue")))?;
            visit(self.schedule(number, archived, Arc::clone(layout))?)?;
        }
        Ok(())
    }

    /// Reads the schedules of a concert in short, in order of their starts, that `is_wanted` by their numbers: behind a start and
    /// id if these are given, at most `limit`.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn heads(
        &self,
        concert: &str,
        behind: Option<&(Timestamp, String)>,
        limit: usize,
        is_wanted: impl Fn(ScheduleNumber) -> bool,
    ) -> Result<Vec<Head>, ArchiveError> {
        let found = self.read(|connection| {
            let mut select = connection.prepare(
                "SELECT number, head, available, held, reserved, blocked FROM schedules \
                 WHERE concert = ?1 AND (starts_at, id) > (?2, ?3) ORDER BY starts_at, id",
            )?;

            let (start, id) = behind.map_or((-1, ""), |(start, id)| (int(start.as_millis()), id.as_str()));
            let mut rows = select.query(params![concert, start, id])?;
            let mut found = Vec::new();

            while found.len() < limit
                && let Some(row) = rows.next()?
            {
                let number = ScheduleNumber(row.get(0)?);
                if is_wanted(number) {
                    let counts = Counts {
                        available: row.get(2)?,
                        held: row.get(3)?,
                        reserved: row.get(4)?,
                        blocked: row.get(5)?,
                    };
                    found.push((number, row.get::<_, Vec<u8>>(1)?, counts));
                }
            }
            Ok(found)
        })?;

        let head = |(number, bytes, counts): (_, Vec<u8>, _)| {
            let image = self.image(number, &bytes)?;
            let (status, seats_version) = (image.sale, image.seats_version);
            // What is over has no phase that is open.
            let (phase, plan) = (None, Arc::clone(&image.plan));
            let summary = Summary { status, phase, counts, plan, seats_version };
            Ok(Head { image, summary })
        };

        found.unwrap_or_default().into_iter().map(head).collect()
    }

    /// Finds a user's or everyone's reservations, the newest first, in the schedules that `is_wanted` by their numbers: before a place
    /// and of a status if these are given, at most `limit`, and at most `rows_max` rows are looked at.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn reservations_before(
        &self,
        user: Option<&str>,
        before: Option<ReservationPlace>,
        status: Option<&str>,
        limit: usize,
        rows_max: usize,
        is_wanted: impl Fn(ScheduleNumber) -> bool,
    ) -> Result<Places<ReservationPlace>, ArchiveError> {
        let wanted = |schedule, row: &Row<'_>| Ok(is_wanted(schedule) && has_status(row, status)?);
        let before = before.map(|(at, schedule, number)| (at, schedule, number.0));
        let places = self.places("reservations", "status", user, before, (limit, rows_max), wanted)?;
        Ok(places.map(|(at, schedule, number)| (at, schedule, ReservationNumber(number))))
    }

    /// Finds a user's or everyone's payments likewise.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn payments_before(
        &self,
        user: Option<&str>,
        before: Option<PaymentPlace>,
        limit: usize,
        rows_max: usize,
        is_wanted: impl Fn(ScheduleNumber) -> bool,
    ) -> Result<Places<PaymentPlace>, ArchiveError> {
        let wanted = |schedule, _: &Row<'_>| Ok(is_wanted(schedule));
        let before = before.map(|(at, schedule, number)| (at, schedule, number.0));
        let places = self.places("payments", "NULL", user, before, (limit, rows_max), wanted)?;
        Ok(places.map(|(at, schedule, number)| (at, schedule, PaymentNumber(number))))
    }

    /// Finds the places of a table's rows; `is_wanted` sees of each its schedule, and `more` as the fourth column.
    fn places(
        &self,
        table: &str,
        more: &str,
        user: Option<&str>,
        before: Option<Place>,
        (limit, rows_max): (usize, usize),
        is_wanted: impl Fn(ScheduleNumber, &Row<'_>) -> rusqlite::Result<bool>,
    ) -> Result<Places<Place>, ArchiveError> {
        let (at, schedule, number) = before.unwrap_or((Timestamp::MAX, ScheduleNumber(u32::MAX), u32::MAX));
        let whose = if user.is_some() { "AND user = ?4" } else { "" };
        let select = format!(
            "SELECT created_at, schedule, number, {more} FROM {table} \
             WHERE (created_at, schedule, number) < (?1, ?2, ?3) {whose} \
             ORDER BY created_at DESC, schedule DESC, number DESC"
        );

        let places = self.read(|connection| {
            let mut select = connection.prepare(&select)?;
            let at = int(at.as_millis());
            let mut rows = match user {
                Some(user) => select.query(params![at, schedule.0, number, user])?,
                None => select.query(params![at, schedule.0, number])?,
            };

            let (mut found, mut looked) = (Vec::new(), 0);

            // Two bounds: rows that aren't wanted cost a look each, and there may be any number of them.
            while found.len() < limit
                && let Some(row) = rows.next()?
            {
                let place =
                    (Timestamp::from_millis(uint(row.get(0)?)?), ScheduleNumber(row.get(1)?), row.get(2)?);
                if is_wanted(place.1, row)? {
                    found.push(place);
                }
                looked += 1;
                if looked == rows_max {
                    return Ok(Places { found, reached: Some(place) });
                }
            }
            Ok(Places { found, reached: None })
        })?;

        Ok(places.unwrap_or(Places { found: Vec::new(), reached: None }))
    }

    /// Reads movements of an account, the newest first, of those that it says are here: before a number if one is given, at most
    /// `limit`.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn transactions(
        &self,
        user: &str,
        carried: Carried,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Vec<Transaction>, ArchiveError> {
        let last = before.map_or(carried.through, |before| carried.through.min(before.saturating_sub(1)));
        let found = self.read(|connection| {
            let mut select = connection.prepare(
                "SELECT number, nonce, kind, payment, amount, balance_after, at FROM transactions \
                 WHERE user = ?1 AND number <= ?2 ORDER BY number DESC LIMIT ?3",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = select.query_map(params![user, last, limit], |row| transaction(user, row))?;
            rows.collect()
        })?;
        let found: Vec<Transaction> = found.unwrap_or_default();
        assert!(found.len() <= limit, "a page keeps within its limit");
        Ok(found)
    }

    /// Visits every movement of an account that is here, the oldest first.
    ///
    /// # Errors
    /// When one can't be read.
    pub fn for_each_transaction(
        &self,
        user: &UserId,
        carried: Carried,
        mut visit: impl FnMut(u64, &Transaction),
    ) -> Result<(), ArchiveError> {
        let visited = self.read(|connection| {
            let mut select = connection.prepare(
                "SELECT number, nonce, kind, payment, amount, balance_after, at, ordinal FROM transactions \
                 WHERE user = ?1 AND number <= ?2 ORDER BY number",
            )?;
            let mut rows = select.query(params![user.as_str(), carried.through])?;
            while let Some(row) = rows.next()? {
                visit(uint(row.get(7)?)?, &transaction(user, row)?);
            }
            Ok(())
        })?;
        visited.ok_or_else(|| self.missing("the file"))
    }

    fn image(&self, number: ScheduleNumber, bytes: &[u8]) -> Result<Image, ArchiveError> {
        let image = record::decode_schedule(bytes).map_err(|source| self.decode_error(number, source))?;
        if image.number == number {
            return Ok(image);
        }
        Err(self.damaged(format!("schedule number {} is something else", number.0)))
    }

    fn payments_image(&self, number: ScheduleNumber, bytes: &[u8]) -> Result<PaymentsImage, ArchiveError> {
        let image = record::decode_payments(bytes).map_err(|source| self.decode_error(number, source))?;
        if image.schedule == number {
            return Ok(image);
        }
        Err(self.damaged(format!("the payments of schedule number {} are something else", number.0)))
    }
}

impl<P> Places<P> {
    fn map<Q>(self, mut map: impl FnMut(P) -> Q) -> Places<Q> {
        Places { reached: self.reached.map(&mut map), found: self.found.into_iter().map(map).collect() }
    }
}

fn has_status(row: &Row<'_>, status: Option<&str>) -> rusqlite::Result<bool> {
    Ok(match status {
        Some(status) => row.get_ref(3)?.as_str()? == status,
        None => true,
    })
}

fn transaction(user: &str, row: &Row<'_>) -> rusqlite::Result<Transaction> {
    let payment = || row.get(3).map(|bits| PaymentId::from_bits(u128::from_be_bytes(bits)));
    let kind = match row.get_ref(2)?.as_str()? {
        "charge" => Kind::Charge,
        "payment" => Kind::Payment(payment()?),
        "refund" => Kind::Refund(payment()?),
        _ => return Err(rusqlite::Error::InvalidColumnType(2, "kind".to_owned(), Type::Text)),
    };
    let money = |column| {
        let minor: i64 = row.get(column)?;
        Money::new(uint(minor)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, minor))
    };
    let nonce: i64 = row.get(1)?;
    Ok(Transaction {
        id: TransactionId { shard: Shard::of(user).0, number: row.get(0)?, nonce: nonce.cast_unsigned() },
        kind,
        amount: money(4)?,
        balance_after: money(5)?,
        at: Timestamp::from_millis(uint(row.get(6)?)?),
    })
}
