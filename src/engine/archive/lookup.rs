//! What lives and what is archived, found in one place.
//!
//! A schedule that is read from the archive is an entry without an actor, so that readers see no difference. What the catalogue and
//! the accounts say is archived is looked for there and nowhere else.

use std::sync::Arc;

use super::access::{ArchivedSchedule, failed, read_schedule};
use crate::archive::{Archive, Head, PaymentPlace, ReservationPlace};
use crate::domain::accounts::{Carried, Transaction};
use crate::domain::ids::{PaymentId, PaymentNumber, ScheduleNumber};
use crate::domain::payments::{AnyPayment, OrderPayment, Payment};
use crate::domain::schedule::{Reservation, ReservationStatus};
use crate::domain::time::Timestamp;
use crate::engine::directory::Directory;
use crate::engine::error::EngineError;
use crate::engine::{Engine, ScheduleEntry};

impl Directory {
    /// Reads a schedule that the catalogue says is in the archive; nothing where it says no such thing.
    pub(in crate::engine) async fn archived(
        &self,
        number: ScheduleNumber,
    ) -> Result<Option<Arc<ArchivedSchedule>>, EngineError> {
        if let Some(archived) = self.archive.recent(number) {
            return Ok(Some(archived));
        }

        let catalogue = self.core.catalogue();
        if !catalogue.is_archived(number) {
            return Ok(None);
        }
        let read = self.archive.read(move |archive| read_schedule(archive, &catalogue, number)).await?;
        if let Some(archived) = &read {
            self.archive.keep(archived);
        }
        Ok(read)
    }
}

/// A reservation with its schedule, live or archived.
pub type FoundReservation = (ReservationPlace, Arc<ScheduleEntry>, Reservation);

impl Engine {
    /// Returns the archive, for callers that may block.
    pub fn archive(&self) -> &Archive {
        self.directory.archive.archive()
    }

    /// Finds a schedule by its id, live or archived.
    ///
    /// # Errors
    /// `ArchiveUnavailable`.
    pub async fn find_schedule(&self, id: &str) -> Result<Option<Arc<ScheduleEntry>>, EngineError> {
        if let Some(entry) = self.schedule(id) {
            return Ok(Some(entry));
        }
        let Some(number) = self.catalogue().schedule(id).map(|listing| listing.number) else {
            return Ok(None);
        };
        self.find_schedule_numbered(number).await
    }

    /// Finds a schedule by its number, live or archived.
    ///
    /// # Errors
    /// `ArchiveUnavailable`.
    pub async fn find_schedule_numbered(
        &self,
        number: ScheduleNumber,
    ) -> Result<Option<Arc<ScheduleEntry>>, EngineError> {
        if let Some(entry) = self.schedule_by_number(number) {
            return Ok(Some(entry));
        }
        let archived = self.directory.archived(number).await?;
        Ok(archived.map(|archived| Arc::clone(&archived.entry)))
    }

    /// The same for a caller that may block.
    ///
    /// # Errors
    /// `ArchiveUnavailable`.
    pub fn find_schedule_blocking(
        &self,
        number: ScheduleNumber,
    ) -> Result<Option<Arc<ScheduleEntry>>, EngineError> {
        if let Some(entry) = self.schedule_by_number(number) {
            return Ok(Some(entry));
        }

        let access = &self.directory.archive;
        let archived = match access.recent(number) {
            Some(archived) => Some(archived),
            None => read_schedule(access.archive(), &self.catalogue(), number)
                .map_err(|error| failed("read", &error))?,
        };
        Ok(archived.map(|archived| {
            access.keep(&archived);
            Arc::clone(&archived.entry)
        }))
    }

    /// Returns the archived schedules of a concert, in short and in order of their starts: at most `limit`, and only those behind a
    /// start and id if these are given. Those that were found `live` just before are left out.
    ///
    /// # Errors
    /// `ArchiveUnavailable`.
    pub async fn archived_schedules(
        &self,
        concert: &str,
        live: &[Arc<ScheduleEntry>],
        behind: Option<(Timestamp, String)>,
        limit: usize,
    ) -> Result<Vec<Head>, EngineError> {
        let Some(archived) = self.archived_outside(live) else { return Ok(Vec::new()) };
        let concert = concert.to_owned();
        let read = move |archive: &Archive| archive.heads(&concert, behind.as_ref(), limit, &archived);
        self.directory.archive.read(read).await
    }

    /// Returns a user's reservations, live and archived, the newest first: of a schedule, of a status, and before a place, if these
    /// are given; at most `limit`.
    ///
    /// # Errors
    /// `ArchiveUnavailable`.
    pub async fn reservations_of(
        &self,
        user: &str,
        schedule: Option<&str>,
        status: Option<ReservationStatus>,
        before: Option<ReservationPlace>,
        limit: usize,
    ) -> Result<Vec<FoundReservation>, EngineError> {
        // What lives is looked at first: what moves meanwhile is found there, and passed over behind it.
        let looked_at = match schedule {
            Some(id) => self.find_schedule(id).await?.into_iter().collect(),
            None => self.schedules_of_user(user),
        };

        let now = self.now();
        let is_behind = |reservation: &Reservation| reservation.status_at(now) != reservation.status;
        self.end_holds(&looked_at, |schedule| schedule.reservations_of(user).any(is_behind)).await;

        let mut found = Self::reservations_in(&looked_at, user, status, before, limit);
        if let Some(archived) = self.archived_outside(&looked_at)
            && schedule.is_none()
        {
            let (user, word) = (user.to_owned(), status.map(ReservationStatus::as_str));
            let read = move |archive: &Archive| {
                archive.reservations_before(Some(&user), before, word, limit, usize::MAX, &archived)
            };
            let places = self.directory.archive.read(read).await?;
            found.extend(self.reservations_at(&places.found).await?);
        }

        found.sort_unstable_by_key(|(place, ..)| core::cmp::Reverse(*place));
        found.truncate(limit);
        Ok(found)
    }

    /// Returns a user's reservations in some schedules, in no order: of each schedule the newest that are asked for.
    fn reservations_in(
        entries: &[Arc<ScheduleEntry>],
        user: &str,
        status: Option<ReservationStatus>,
        before: Option<ReservationPlace>,
        limit: usize,
    ) -> Vec<FoundReservation> {
        let mut found = Vec::new();
        for entry in entries {
            let place = |reservation: &Reservation| reservation_place(entry.number(), reservation);
            let shown = |reservation: &&Reservation| {
                status.is_none_or(|status| reservation.status == status)
                    && before.is_none_or(|before| place(reservation) < before)
            };

            // A user has few in one schedule (`ENDED_PER_USER_MAX`), and no more of them are copied than are shown.
            let schedule = entry.read();
            let of_user = schedule.reservations_of(user).rev().filter(shown).take(limit);
            found.extend(
                of_user.map(|reservation| (place(reservation), Arc::clone(entry), reservation.clone())),
            );
        }
        found
    }

    /// Tells which schedules are in the archive and aren't among these; nothing where none is there.
    pub(in crate::engine) fn archived_outside(
        &self,
        live: &[Arc<ScheduleEntry>],
    ) -> Option<impl Fn(ScheduleNumber) -> bool + use<>> {
        let catalogue = self.catalogue();
        let live: Vec<ScheduleNumber> = live.iter().map(|entry| entry.number()).collect();
        let is_archived = move |number| catalogue.is_archived(number) && !live.contains(&number);
        (self.catalogue().archived_count() > 0).then_some(is_archived)
    }

    /// Finds a payment, live or archived, an order's, too. One that isn't settled goes on, should nobody drive it.
    ///
    /// # Errors
    /// `ArchiveUnavailable`.
    pub async fn find_payment(&self, id: PaymentId) -> Result<Option<AnyPayment>, EngineError> {
        if id.number.order().is_some() {
            let entry = self.find_schedule_numbered(id.schedule).await?;
            let found = entry.and_then(|entry| OrderPayment::find(&entry.read(), id));
            return Ok(found.map(AnyPayment::OfOrder));
        }

        if let Some(payment) = self.payment(id) {
            self.go_on(&payment);
            return Ok(Some(AnyPayment::Saga(payment)));
        }
        let archived = self.directory.archived(id.schedule).await?;
        let found = archived.and_then(|archived| archived.payments.payment(id).cloned());
        Ok(found.map(AnyPayment::Saga))
    }

    /// The same for a payment that is a saga: an order's is none.
    ///
    /// # Errors
    /// `ArchiveUnavailable`.
    pub(in crate::engine) async fn find_saga(&self, id: PaymentId) -> Result<Option<Payment>, EngineError> {
        Ok(self.find_payment(id).await?.and_then(AnyPayment::into_saga))
    }

    /// Returns a user's movements, in memory and in the archive, the newest first, those before a number of the shard if one is
    /// given; at most `limit`.
    ///
    /// # Errors
    /// `ArchiveUnavailable`.
    pub async fn transactions(
        &self,
        user: &str,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Vec<Transaction>, EngineError> {
        let (mut found, carried): (Vec<Transaction>, Option<Carried>) = {
            let shard = self.directory.ledgers.accounts(user).read();
            let Some(account) = shard.account(user) else { return Ok(Vec::new()) };
            let earlier = account.transactions_before(before.unwrap_or(u32::MAX));
            (earlier.take(limit).copied().collect(), account.carried())
        };

        // The archive has the oldest: it is asked only where memory has too few.
        let rest = limit - found.len();
        if let Some(carried) = carried.filter(|_| rest > 0) {
            let user = user.to_owned();
            let read = move |archive: &Archive| archive.transactions(&user, carried, before, rest);
            found.extend(self.directory.archive.read(read).await?);
        }
        Ok(found)
    }

    /// Returns how many movements of accounts are in the archive.
    pub fn archived_transactions(&self) -> u64 {
        self.directory.ledgers.all_accounts().iter().map(|shard| shard.read().archived()).sum()
    }
}

/// Returns a reservation's place in a list of all.
pub(super) fn reservation_place(schedule: ScheduleNumber, reservation: &Reservation) -> ReservationPlace {
    (reservation.created_at, schedule, reservation.number)
}

/// Returns the place of an order's payment in a list of all.
pub(super) fn order_place(schedule: ScheduleNumber, order: &Reservation) -> PaymentPlace {
    (order.created_at, schedule, PaymentNumber::of_order(order.number))
}

/// Returns a payment's place in a list of all.
pub(super) fn payment_place(payment: &Payment) -> PaymentPlace {
    (payment.created_at, payment.id.schedule, payment.id.number)
}
