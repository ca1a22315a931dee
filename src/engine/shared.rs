//! What every actor shares: the journal, the clock, the published catalogue, and the directory.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::hmac;
use dashmap::DashMap;

use super::archived::Shelf;
use super::error::EngineError;
use super::live::{Done, Live};
use super::money::Till;
use super::room::Passes;
use super::schedule::ScheduleEntry;
use super::seal::Seal;
use super::users;
use crate::archive::Archive;
use crate::clock::Clock;
use crate::domain::catalogue::{Catalogue, CatalogueEvent};
use crate::domain::cause::Cause;
use crate::domain::concert::Prices;
use crate::domain::ids::{ConcertId, ScheduleId, ScheduleNumber, UserId};
use crate::domain::schedule::{self, AnyCommand, Limits, Schedule};
use crate::domain::time::{Seconds, Timestamp};
use crate::domain::users::Users;
use crate::domain::venue::Layout;
use crate::domain::waiting_room::{self, WaitingRoom};
use crate::journal::Journal;

/// In how many tables the users stand who have a reservation somewhere. Whoever looks through all of them keeps one at a time from
/// the journal: with a million users, 250 of them.
const USER_SHARDS: usize = 4_096;

/// What every actor shares.
pub(super) struct Shared {
    pub(super) journal: Journal,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
    pub(super) unpaid_holds_max: Option<NonZeroU32>,
    pub(super) mailbox_len_max: usize,
    pub(super) reply_timeout: Option<Duration>,
    pub(super) fingerprint_key: hmac::Key,
    pub(super) passes: Passes,
    pub(super) seal: Seal,
    pub(super) till: Till,
    pub(super) data_dir: PathBuf,
    /// The position of the newest snapshot; before the first, one that no log reaches.
    pub(super) last_snapshot: AtomicU64,
    pub(super) users: Arc<Live<Users>>,
    pub(super) shelf: Shelf,
    pub(super) archive_after: Option<Seconds>,
    catalogue: RwLock<Arc<Catalogue>>,
    by_id: DashMap<ScheduleId, Arc<ScheduleEntry>>,
    by_number: DashMap<ScheduleNumber, Arc<ScheduleEntry>>,
    /// The schedules in which a user has had a reservation since start; some may have forgotten them.
    by_user: DashMap<UserId, Vec<ScheduleNumber>>,
}

/// What [`Shared`] is made with.
pub(super) struct SharedParts {
    pub(super) journal: Journal,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
    pub(super) unpaid_holds_max: Option<NonZeroU32>,
    pub(super) mailbox_len_max: usize,
    pub(super) reply_timeout: Option<Duration>,
    pub(super) fingerprint_key: [u8; 32],
    pub(super) catalogue: Catalogue,
    pub(super) data_dir: PathBuf,
    pub(super) last_snapshot: u64,
    pub(super) till: Till,
    pub(super) users: Users,
    pub(super) archive: Archive,
    pub(super) archive_after: Option<Seconds>,
}

/// Makes the log's secret for one purpose.
pub(super) fn secret_for(log: &hmac::Key, purpose: &str) -> [u8; 32] {
    let tag = hmac::sign(log, purpose.as_bytes());
    *tag.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
}

/// An event of the catalogue with its instant and the idempotency key whose effect it is.
pub(super) struct CatalogueHappened {
    pub(super) event: CatalogueEvent,
    pub(super) at: Timestamp,
    pub(super) cause: Cause,
}

impl Shared {
    pub(super) fn new(parts: SharedParts) -> Self {
        let fingerprint_key = hmac::Key::new(hmac::HMAC_SHA256, &parts.fingerprint_key);
        Self {
            // It asks the journal how it blocks, before that is moved.
            shelf: Shelf::new(parts.archive, parts.journal.driver()),
            journal: parts.journal,
            clock: parts.clock,
            limits: parts.limits,
            unpaid_holds_max: parts.unpaid_holds_max,
            mailbox_len_max: parts.mailbox_len_max,
            reply_timeout: parts.reply_timeout,
            passes: Passes::new(&parts.fingerprint_key),
            seal: Seal::new(&secret_for(&fingerprint_key, "onsale: numbers of ids")),
            till: parts.till,
            fingerprint_key,
            data_dir: parts.data_dir,
            last_snapshot: AtomicU64::new(parts.last_snapshot),
            users: users::live(parts.users),
            archive_after: parts.archive_after,
            catalogue: RwLock::new(Arc::new(parts.catalogue)),
            by_id: DashMap::new(),
            by_number: DashMap::new(),
            by_user: DashMap::with_shard_amount(USER_SHARDS),
        }
    }

    /// Returns the catalogue as it is durable.
    pub(super) fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.catalogue.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Applies events of the catalogue that have just become durable. Called by the journal, in order.
    pub(super) fn publish_catalogue(&self, happened: &[CatalogueHappened]) {
        let mut catalogue = self.catalogue.write().unwrap_or_else(PoisonError::into_inner);
        let changed = Arc::make_mut(&mut catalogue);
        for CatalogueHappened { event, at, cause } in happened {
            changed.apply(event, *at, cause.key);
        }
    }

    /// Lists a schedule with its waiting room, whose whole state is durable.
    pub(super) fn insert(&self, schedule: Schedule, room: WaitingRoom) -> Arc<ScheduleEntry> {
        for user in schedule.users() {
            self.note_user(user.clone(), schedule.number());
        }
        let entry = Arc::new(ScheduleEntry::new(schedule, room));
        self.by_number.insert(entry.number(), Arc::clone(&entry));
        self.by_id.insert(entry.id().clone(), Arc::clone(&entry));
        entry
    }

    /// Takes a schedule that the catalogue says is in the archive off the directory, with its payments.
    pub(super) fn let_go(&self, id: &ScheduleId) {
        if let Some(entry) = self.schedule(id) {
            self.remove(entry.id());
            self.till.forget(entry.number());
            entry.let_go();
        }
    }

    /// Takes a schedule off the directory.
    pub(super) fn remove(&self, id: &ScheduleId) {
        if let Some((_, entry)) = self.by_id.remove(id) {
            self.by_number.remove(&entry.number());
        }
    }

    pub(super) fn schedule(&self, id: &str) -> Option<Arc<ScheduleEntry>> {
        self.by_id.get(id).map(|entry| Arc::clone(&entry))
    }

    pub(super) fn schedule_by_number(&self, number: ScheduleNumber) -> Option<Arc<ScheduleEntry>> {
        self.by_number.get(&number).map(|entry| Arc::clone(&entry))
    }

    /// Returns every schedule, in order of their numbers.
    pub(super) fn schedules(&self) -> Vec<Arc<ScheduleEntry>> {
        let mut entries: Vec<_> = self.by_number.iter().map(|entry| Arc::clone(&entry)).collect();
        entries.sort_unstable_by_key(|entry| entry.number());
        entries
    }

    /// Returns the schedules in which a user may have a reservation.
    pub(super) fn schedules_of_user(&self, user: &str) -> Vec<Arc<ScheduleEntry>> {
        let numbers = self.numbers_of_user(user).into_iter();
        numbers.filter_map(|number| self.schedule_by_number(number)).collect()
    }

    /// Returns the numbers of the schedules in which a user may have a reservation, or had one that was paid: such a one may be gone.
    pub(super) fn numbers_of_user(&self, user: &str) -> Vec<ScheduleNumber> {
        self.by_user.get(user).map(|numbers| numbers.clone()).unwrap_or_default()
    }

    pub(super) fn note_user(&self, user: UserId, number: ScheduleNumber) {
        let mut numbers = self.by_user.entry(user).or_default();
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }

    /// Forgets which users were where, as far as the schedules have forgotten them.
    pub(super) fn forget_users(&self) {
        self.by_user.retain(|user, numbers| {
            numbers.retain(|number| {
                self.schedule_by_number(*number).is_some_and(|entry| entry.read().knows(user))
                    || self.has_payments(user, *number)
            });
            !numbers.is_empty()
        });
    }

    fn has_payments(&self, user: &str, number: ScheduleNumber) -> bool {
        self.till.payments(number).is_some_and(|payments| payments.read().of_user(user).next().is_some())
    }

    /// Asks a schedule; the answer is durable when it comes, and what follows from it has begun.
    pub(super) async fn ask_schedule(
        &self,
        entry: &ScheduleEntry,
        command: AnyCommand,
        cause: Cause,
    ) -> Result<Done<schedule::Answer>, EngineError> {
        if entry.is_archived() {
            return self.decide_archived(entry, &command);
        }
        entry.live().ask(command, cause, self.reply_timeout).await
    }

    /// Asks a schedule's waiting room; the answer is durable when it comes.
    pub(super) async fn act_in_room(
        &self,
        entry: &ScheduleEntry,
        command: waiting_room::Command,
        cause: Cause,
    ) -> Result<Done<waiting_room::Answer>, EngineError> {
        let room = entry.room().live();
        if room.actor().is_none() {
            return Err(waiting_room::Refusal::NoRoom.into());
        }
        room.ask(command, cause, self.reply_timeout).await
    }

    /// Returns the prices at which a schedule of a concert, with such seats, would open now.
    pub(super) fn prices(&self, concert: &ConcertId, layout: &Layout) -> Arc<Prices> {
        let prices = prices_of(&self.catalogue(), concert, layout);
        prices.expect("a listed schedule's concert has a price for each of its grades")
    }

    /// Tells whether a sale of a concert has ever opened by `at`.
    pub(super) fn has_opened(&self, concert: &ConcertId, at: Timestamp) -> bool {
        // The list first: no shard of the directory is kept while a schedule is waited for.
        self.schedules().iter().any(|entry| entry.concert() == concert && entry.read().has_opened_by(at))
            || self.catalogue().has_archived_sale(concert)
    }
}

/// Returns the prices of a layout's grades at a concert.
pub(super) fn prices_of(catalogue: &Catalogue, concert: &ConcertId, layout: &Layout) -> Option<Arc<Prices>> {
    catalogue.concert(concert)?.prices(layout).ok().map(Arc::new)
}
