//! The archive as the engine uses it: what lives and what is archived, found in one place; and the task that moves what is
//! long over.
//!
//! A schedule that is read from the archive is an entry without an actor, so that readers see no difference. Reads run on
//! blocking threads, a few at once; the schedules that were read last are kept. What the catalogue and the accounts say is
//! archived is looked for there and nowhere else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::catalogue_actor::MoveToArchive;
use super::error::EngineError;
use super::live::{Done, from_send_error};
use super::shared::Shared;
use super::{Engine, ScheduleEntry};
use crate::archive::{Archive, ArchiveError, Head, PaymentPlace, ReservationPlace};
use crate::domain::accounts::{Account, Carried, Command as AccountCommand, Transaction};
use crate::domain::archive;
use crate::domain::catalogue::Catalogue;
use crate::domain::cause::Cause;
use crate::domain::ids::{PaymentId, ScheduleNumber, UserId};
use crate::domain::payments::{Payment, Payments};
use crate::domain::schedule::{Answer, AnyCommand, Reservation, ReservationStatus};
use crate::domain::time::{Seconds, Timestamp};
use crate::journal::Driver;

/// How many schedules that were read from the archive are kept.
const RECENT_MAX: usize = 8;
/// How many reads run at once, each on a thread: `SQLite` works for one of them, the other decodes.
const READS_AT_ONCE: usize = 2;
/// How many schedules one round moves, and how many batches of movements.
const SCHEDULES_A_ROUND: usize = 1_000;
const BATCHES_A_ROUND: usize = 4_096;
/// How many movements of one account move at once.
const BATCH_MAX: usize = 256;
/// After how long the first round begins, and how often one does.
const FIRST_AFTER: Duration = Duration::from_mins(1);
const EVERY: Duration = Duration::from_hours(1);

/// A schedule that was read from the archive, with its payments.
pub(super) struct Kept {
    pub(super) entry: Arc<ScheduleEntry>,
    pub(super) payments: Payments,
}

/// The archive, and what was read from it last.
pub(super) struct Shelf {
    archive: Arc<Archive>,
    driver: Driver,
    reads: Semaphore,
    /// The last used comes first.
    recent: Mutex<VecDeque<Arc<Kept>>>,
}

impl Shelf {
    pub(super) fn new(archive: Archive, driver: Driver) -> Self {
        let (reads, recent) = (Semaphore::new(READS_AT_ONCE), Mutex::new(VecDeque::new()));
        Self { archive: Arc::new(archive), driver, reads, recent }
    }

    /// Reads on a blocking thread, as soon as it is this caller's turn.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Archive) -> Result<T, ArchiveError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let _turn = self.reads.acquire().await.map_err(|_| EngineError::ArchiveUnavailable)?;
        self.run("read", read).await
    }

    /// Writes on a blocking thread; durable when it returns.
    pub(super) async fn write(
        &self,
        write: impl FnOnce(&Archive) -> Result<(), ArchiveError> + Send + 'static,
    ) -> Result<(), EngineError> {
        self.run("write", write).await
    }

    async fn run<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Archive) -> Result<T, ArchiveError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let archive = Arc::clone(&self.archive);
        let done = self.driver.run_blocking(move || work(&archive)).await;
        done.map_err(|_| failed(what, &"it panicked"))?.map_err(|error| failed(what, &error))
    }

    fn recent(&self, number: ScheduleNumber) -> Option<Arc<Kept>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recent.iter().position(|kept| kept.entry.number() == number)?;
        let kept = recent.remove(at)?;
        recent.push_front(Arc::clone(&kept));
        Some(kept)
    }

    fn keep(&self, kept: &Arc<Kept>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|other| other.entry.number() != kept.entry.number());
        recent.push_front(Arc::clone(kept));
        recent.truncate(RECENT_MAX);
    }
}

fn failed(what: &'static str, error: &dyn core::fmt::Display) -> EngineError {
    tracing::error!(%error, what, "the archive can't be used");
    metrics::counter!("onsale_archive_failures_total", "what" => what).increment(1);
    EngineError::ArchiveUnavailable
}

impl Shared {
    /// Reads a schedule that the catalogue says is in the archive; nothing where it says no such thing.
    pub(super) async fn archived(&self, number: ScheduleNumber) -> Result<Option<Arc<Kept>>, EngineError> {
        if let Some(kept) = self.shelf.recent(number) {
            return Ok(Some(kept));
        }
        let catalogue = self.catalogue();
        if !catalogue.is_archived(number) {
            return Ok(None);
        }
        let read = self.shelf.read(move |archive| read_schedule(archive, &catalogue, number)).await?;
        if let Some(kept) = &read {
            self.shelf.keep(kept);
        }
        Ok(read)
    }

    /// Decides a command to a schedule that is in the archive: what is so already is answered, nothing else happens.
    pub(super) fn decide_archived(
        &self,
        entry: &ScheduleEntry,
        command: &AnyCommand,
    ) -> Result<Done<Answer>, EngineError> {
        let schedule = entry.read();
        schedule.decide_archived(command, self.clock.now())?;
        let named = command.reservation().map(|reservation| reservation.number);
        Ok(Done { answer: schedule.answer(named), replayed: false })
    }
}

fn read_schedule(
    archive: &Archive,
    catalogue: &Catalogue,
    number: ScheduleNumber,
) -> Result<Option<Arc<Kept>>, ArchiveError> {
    let Some((archived, layout)) = catalogue.find_archived(number) else { return Ok(None) };
    let restored = archive.schedule(number, archived, Arc::clone(layout))?;
    let entry = Arc::new(ScheduleEntry::from_archive(restored.schedule));
    Ok(Some(Arc::new(Kept { entry, payments: restored.payments })))
}

/// A reservation with its schedule, live or archived.
pub type Found = (ReservationPlace, Arc<ScheduleEntry>, Reservation);

/// What a round moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    /// Schedules.
    pub schedules: usize,
    /// Movements of accounts.
    pub transactions: usize,
}

impl Engine {
    /// Returns the archive, for whoever may block.
    pub fn archive(&self) -> &Archive {
        &self.shared.shelf.archive
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
        let kept = self.shared.archived(number).await?;
        Ok(kept.map(|kept| Arc::clone(&kept.entry)))
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
        let kept = match self.shared.shelf.recent(number) {
            Some(kept) => Some(kept),
            None => read_schedule(&self.shared.shelf.archive, &self.catalogue(), number)
                .map_err(|error| failed("read", &error))?,
        };
        Ok(kept.map(|kept| {
            self.shared.shelf.keep(&kept);
            Arc::clone(&kept.entry)
        }))
    }

    /// Returns the schedules of a concert that are in the archive in short, in order of their starts: behind a start and id if these
    /// are given, at most `limit`; without those that were found `live` just before.
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
        self.shared.shelf.read(read).await
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
    ) -> Result<Vec<Found>, EngineError> {
        // What lives is looked at first: what moves meanwhile is found there, and passed over behind it.
        let looked_at = match schedule {
            Some(id) => self.find_schedule(id).await?.into_iter().collect(),
            None => self.schedules_of_user(user),
        };
        let now = self.now();
        let is_behind = |kept: &Reservation| kept.status_at(now) != kept.status;
        self.end_holds(&looked_at, |schedule| schedule.reservations_of(user).any(is_behind)).await;
        let mut found = Self::reservations_in(&looked_at, user, status, before, limit);
        if let Some(archived) = self.archived_outside(&looked_at)
            && schedule.is_none()
        {
            let (user, word) = (user.to_owned(), status.map(ReservationStatus::as_str));
            let read = move |archive: &Archive| {
                archive.reservations_before(Some(&user), before, word, limit, usize::MAX, &archived)
            };
            let places = self.shared.shelf.read(read).await?;
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
    ) -> Vec<Found> {
        let mut found = Vec::new();
        for entry in entries {
            let place =
                |reservation: &Reservation| (reservation.created_at, entry.number(), reservation.number);
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
    pub(super) fn archived_outside(
        &self,
        live: &[Arc<ScheduleEntry>],
    ) -> Option<impl Fn(ScheduleNumber) -> bool + use<>> {
        let catalogue = self.catalogue();
        let live: Vec<ScheduleNumber> = live.iter().map(|entry| entry.number()).collect();
        let is_archived = move |number| catalogue.is_archived(number) && !live.contains(&number);
        (self.catalogue().archived_count() > 0).then_some(is_archived)
    }

    /// Finds a payment, live or archived. One that isn't settled goes on, should nobody drive it.
    ///
    /// # Errors
    /// `ArchiveUnavailable`.
    pub async fn find_payment(&self, id: PaymentId) -> Result<Option<Payment>, EngineError> {
        if let Some(payment) = self.payment(id) {
            self.go_on(&payment);
            return Ok(Some(payment));
        }
        let kept = self.shared.archived(id.schedule).await?;
        Ok(kept.and_then(|kept| kept.payments.payment(id).cloned()))
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
            let shard = self.shared.till.accounts(user).read();
            let Some(account) = shard.account(user) else { return Ok(Vec::new()) };
            let earlier = account.transactions_before(before.unwrap_or(u32::MAX));
            (earlier.take(limit).copied().collect(), account.carried())
        };
        let rest = limit - found.len();
        if let Some(carried) = carried.filter(|_| rest > 0) {
            let user = user.to_owned();
            let read = move |archive: &Archive| archive.transactions(&user, carried, before, rest);
            found.extend(self.shared.shelf.read(read).await?);
        }
        Ok(found)
    }

    /// Returns how many movements of accounts are in the archive.
    pub fn archived_transactions(&self) -> u64 {
        self.shared.till.all_accounts().iter().map(|shard| shard.read().archived()).sum()
    }

    /// Moves what is long over to the archive, a bounded number at once; returns what moved.
    ///
    /// # Errors
    /// The first that came in the way; what had moved before has.
    pub async fn archive_old(&self) -> Result<Moved, EngineError> {
        let Some(after) = self.shared.archive_after else { return Ok(Moved::default()) };
        let schedules = self.archive_schedules(after).await?;
        let transactions = self.archive_transactions(after).await?;
        Ok(Moved { schedules, transactions })
    }

    async fn archive_schedules(&self, after: Seconds) -> Result<usize, EngineError> {
        let now = self.now();
        let mut moved = 0;
        for entry in self.schedules() {
            let number = entry.number();
            let belongs = {
                let payments = self.shared.till.payments(number);
                let payments = payments.as_ref().map(|payments| payments.read());
                archive::belongs(&entry.read(), &entry.room().read(), payments.as_deref(), now, after)
            };
            if belongs.is_err() {
                continue;
            }
            drop(entry);
            let move_it = MoveToArchive { number, after };
            match self.catalogue.ask(move_it).send().await.map_err(from_send_error) {
                Ok(did) => moved += usize::from(did),
                // Its actor is recovering, or its restarts are spent: that keeps no other one here.
                Err(EngineError::NotReady) => {
                    tracing::warn!(
                        schedule = number.0,
                        "a schedule can't be archived: its actor isn't running"
                    );
                }
                Err(error) => return Err(error),
            }
            if moved == SCHEDULES_A_ROUND {
                break;
            }
        }
        Ok(moved)
    }

    async fn archive_transactions(&self, after: Seconds) -> Result<usize, EngineError> {
        let before = self.now().minus(after);
        let (mut moved, mut batches) = (0, 0);
        for shard in self.shared.till.all_accounts() {
            let users: Vec<UserId> = {
                let shard = shard.read();
                let wanted = shard.iter().filter(|(_, account)| self.has_old(account, before));
                wanted.take(BATCHES_A_ROUND).map(|(user, _)| user.clone()).collect()
            };
            for user in users {
                while batches < BATCHES_A_ROUND {
                    let Some(batch) = self.archive_batch(&user, before).await? else { break };
                    moved += batch;
                    batches += 1;
                }
            }
        }
        Ok(moved)
    }

    fn has_old(&self, account: &Account, before: Timestamp) -> bool {
        account.old(before, 1).next().is_some()
            || (account.carried().is_some() && self.payments_settled(account).next().is_some())
    }

    /// Returns payments that an account remembers and nobody asks for again.
    fn payments_settled<'a>(&self, account: &'a Account) -> impl Iterator<Item = PaymentId> + use<'a> {
        let catalogue = self.catalogue();
        account.payments().filter(move |payment| catalogue.is_archived(payment.schedule)).take(BATCH_MAX)
    }

    /// Moves the oldest movements of an account; returns how many, and nothing where all that is old has moved.
    async fn archive_batch(&self, user: &UserId, before: Timestamp) -> Result<Option<usize>, EngineError> {
        let accounts = self.shared.till.accounts(user);
        let (moved, carried, settled) = {
            let shard = accounts.read();
            let Some(account) = shard.account(user) else { return Ok(None) };
            let moved: Vec<Transaction> = account.old(before, BATCH_MAX).copied().collect();
            (moved, account.carried(), self.payments_settled(account).collect::<Vec<PaymentId>>())
        };
        let (after, count) = carried.map_or((0, 0), |carried| (carried.through, carried.count));
        let through = moved.last().map_or(after, |last| last.id.number);
        if moved.is_empty() && (carried.is_none() || settled.is_empty()) {
            return Ok(None);
        }
        let len = moved.len();
        if len > 0 {
            let user = user.clone();
            let write = move |archive: &Archive| archive.put_transactions(&user, after, count, &moved);
            self.shared.shelf.write(write).await?;
        }
        let archive = AccountCommand::Archive { user: user.clone(), through, settled };
        accounts.ask(archive, Cause::default(), None).await?;
        Ok(Some(len))
    }
}

pub(super) fn place_of(payment: &Payment) -> PaymentPlace {
    (payment.created_at, payment.id.schedule, payment.id.number)
}

/// Moves what is long over, now and then.
pub(super) async fn archive_now_and_then(engine: Engine) {
    let mut wait = FIRST_AFTER;
    loop {
        tokio::time::sleep(wait).await;
        wait = EVERY;
        match engine.archive_old().await {
            Ok(Moved { schedules: 0, transactions: 0 }) => {}
            Ok(Moved { schedules, transactions }) => {
                tracing::info!(schedules, transactions, "what is long over moved to the archive");
            }
            Err(error) => {
                tracing::warn!(%error, "not everything that is over could be moved to the archive");
                if engine.journal().failure().is_some() {
                    return;
                }
            }
        }
    }
}
