//! The directory: every schedule, room, account and payment that lives, found by id, by number and by user.
//!
//! It stands above the actors, which don't know it: they have work done elsewhere by an [`super::core::Effect`].

use core::sync::atomic::AtomicU64;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::hmac;
use dashmap::DashMap;

use super::archive::ArchiveAccess;
use super::core::Core;
use super::error::EngineError;
use super::live::{Done, Live};
use super::payments::Ledgers;
use super::room::Passes;
use super::schedule::ScheduleEntry;
use super::users::live_users;
use crate::domain::accounts::AccountsImage;
use crate::domain::cause::Cause;
use crate::domain::ids::{ConcertId, ScheduleId, ScheduleNumber, UserId};
use crate::domain::payments::PaymentsImage;
use crate::domain::schedule::{self, AnyCommand, Ended, Image, Schedule};
use crate::domain::time::{Seconds, Timestamp};
use crate::domain::users::{Users, UsersImage};
use crate::domain::waiting_room::{self, RoomImage, WaitingRoom};
use crate::gateway::Gateways;
use crate::record::Section;
use crate::recovery::World;

/// In how many tables the users stand who have a reservation somewhere. A look through all of them keeps one at a time from
/// the journal: with a million users, 250 of them.
const USER_SHARDS: usize = 4_096;

/// Makes the log's secret for one purpose.
pub(super) fn secret_for(log: &hmac::Key, purpose: &str) -> [u8; 32] {
    let tag = hmac::sign(log, purpose.as_bytes());
    *tag.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
}

/// Everything that lives.
pub(super) struct Directory {
    pub(super) core: Arc<Core>,
    pub(super) fingerprint_key: hmac::Key,
    pub(super) passes: Passes,
    pub(super) ledgers: Ledgers,
    pub(super) data_dir: PathBuf,
    /// The position of the newest snapshot; before the first, one that no log reaches.
    pub(super) last_snapshot: AtomicU64,
    /// How many records this life had written at the newest snapshot; below zero, and wrapped, for what it didn't write itself.
    pub(super) snapshot_records: AtomicU64,
    pub(super) users: Arc<Live<Users>>,
    pub(super) archive: ArchiveAccess,
    pub(super) archive_after: Option<Seconds>,
    pub(super) schedules: Schedules,
}

/// Where the schedules are found.
pub(super) struct Schedules {
    ids: DashMap<ScheduleId, Arc<ScheduleEntry>>,
    numbers: DashMap<ScheduleNumber, Arc<ScheduleEntry>>,
    /// Those whose streams have ended, while the catalogue doesn't say so yet.
    ended: DashMap<ScheduleNumber, Arc<ScheduleEntry>>,
    /// The schedules in which a user has had a reservation since start; some may have forgotten them.
    users: DashMap<UserId, Vec<ScheduleNumber>>,
}

impl Default for Schedules {
    fn default() -> Self {
        let users = DashMap::with_shard_amount(USER_SHARDS);
        Self { ids: DashMap::new(), numbers: DashMap::new(), ended: DashMap::new(), users }
    }
}

/// The parts of a directory that aren't recovered.
pub(super) struct Setup {
    pub(super) core: Arc<Core>,
    pub(super) passes: Passes,
    pub(super) fingerprint_key: hmac::Key,
    pub(super) gateways: Gateways,
    pub(super) data_dir: PathBuf,
    pub(super) last_snapshot: AtomicU64,
    /// How many records this life had written at the newest snapshot; below zero, and wrapped, for what it didn't write itself.
    pub(super) snapshot_records: AtomicU64,
    pub(super) archive: ArchiveAccess,
    pub(super) archive_after: Option<Seconds>,
}

impl Directory {
    /// Makes the directory of a world, but for its catalogue, which is the core's. No actor runs yet.
    pub(super) fn new(setup: Setup, world: World) -> Self {
        let World { catalogue: _, schedules, ended, mut rooms, accounts, payments, users } = world;
        assert!(ended.is_empty(), "a start has the catalogue say what has ended, before anything lives");
        let Setup {
            core,
            passes,
            fingerprint_key,
            gateways,
            data_dir,
            last_snapshot,
            snapshot_records,
            archive,
            archive_after,
        } = setup;
        let directory = Self {
            core,
            fingerprint_key,
            passes,
            ledgers: Ledgers::new(accounts, payments, gateways),
            data_dir,
            last_snapshot,
            snapshot_records,
            users: live_users(users),
            archive,
            archive_after,
            schedules: Schedules::default(),
        };

        for (number, schedule) in schedules {
            let room = rooms.remove(&number).unwrap_or_else(|| WaitingRoom::new(number));
            directory.insert(schedule, room);
        }
        directory
    }

    /// Starts the actors that stand alone: those of schedules and their rooms are the catalogue's to start.
    pub(super) async fn start(&self) {
        self.ledgers.start(&self.core).await;
        self.users.start(&self.core).await;
    }

    /// Shows everything durable as the sections of a snapshot, each as it is when its turn comes. A lock is held for a copy that
    /// shares almost all, never while that is encoded and written.
    ///
    /// # Errors
    /// What `show` returns.
    pub(super) fn show_sections<E>(&self, mut show: impl FnMut(Section) -> Result<(), E>) -> Result<(), E> {
        show(Section::Catalogue(self.core.catalogue()))?;

        let ended: BTreeMap<_, _> =
            self.ended().into_iter().map(|(_, ended)| (ended.number, ended)).collect();
        ended.values().try_for_each(|ended| show(Section::Ended(*ended)))?;
        for entry in self.schedules().into_iter().filter(|entry| !ended.contains_key(&entry.number())) {
            let image = Image::of(&entry.read());
            show(Section::Schedule(Box::new(image)))?;
            let room = RoomImage::of(&entry.room().read());
            if room.version > 0 {
                show(Section::WaitingRoom(Box::new(room)))?;
            }
        }

        for shard in self.ledgers.all_accounts() {
            let accounts = shard.read().clone();
            if accounts.version() > 0 {
                show(Section::Accounts(Box::new(AccountsImage::of(&accounts))))?;
            }
        }
        for payments in self.ledgers.all_payments() {
            let image = PaymentsImage::of(&payments.read());
            // Those of a schedule that was removed stay; those of one that moved to the archive have moved with it.
            let moved = ended.get(&image.schedule).is_some_and(Ended::is_archived);
            if image.version > 0 && !moved {
                show(Section::Payments(Box::new(image)))?;
            }
        }

        // The guard is gone with this line: a clone shares the users, and the image is taken of it.
        let users = self.users.read().clone();
        if users.version() > 0 {
            show(Section::Users(Box::new(UsersImage::of(&users))))?;
        }
        Ok(())
    }

    /// Lists a schedule with its waiting room, whose whole state is durable.
    pub(super) fn insert(&self, schedule: Schedule, room: WaitingRoom) -> Arc<ScheduleEntry> {
        for user in schedule.users() {
            self.note_user(user.clone(), schedule.number());
        }

        let entry = Arc::new(ScheduleEntry::new(schedule, room));
        self.schedules.numbers.insert(entry.number(), Arc::clone(&entry));
        self.schedules.ids.insert(entry.id().clone(), Arc::clone(&entry));
        entry
    }

    /// Takes a schedule that the catalogue says is in the archive off the directory, with its payments.
    pub(super) fn let_go(&self, id: &ScheduleId) {
        if let Some(entry) = self.schedule(id) {
            self.remove(entry.id());
            self.ledgers.forget(entry.number());
            entry.let_go();
        }
    }

    /// Notes that a schedule's stream has ended. One that was removed is found no more; one that moves to the archive is read here until
    /// the catalogue says that it is there.
    pub(super) fn end(&self, number: ScheduleNumber) {
        let Some(entry) = self.schedule_by_number(number) else { return };
        self.schedules.ended.insert(number, Arc::clone(&entry));
        if entry.read().is_deleted() {
            self.remove(entry.id());
            entry.room().wake_followers();
        }
    }

    /// Returns the schedules whose streams have ended, while the catalogue doesn't say so yet.
    pub(super) fn ended(&self) -> Vec<(Arc<ScheduleEntry>, Ended)> {
        let of = |entry: &Arc<ScheduleEntry>| (Arc::clone(entry), entry.read().ended());
        let all = self.schedules.ended.iter().map(|entry| of(&entry));
        all.filter_map(|(entry, ended)| Some((entry, ended?))).collect()
    }

    /// Forgets a schedule whose stream has ended, now that the catalogue says so.
    pub(super) fn forget_ended(&self, id: &ScheduleId) {
        self.schedules.ended.retain(|_, entry| entry.id() != id);
    }

    fn remove(&self, id: &ScheduleId) {
        if let Some((_, entry)) = self.schedules.ids.remove(id) {
            self.schedules.numbers.remove(&entry.number());
        }
    }

    pub(super) fn schedule(&self, id: &str) -> Option<Arc<ScheduleEntry>> {
        self.schedules.ids.get(id).map(|entry| Arc::clone(&entry))
    }

    pub(super) fn schedule_by_number(&self, number: ScheduleNumber) -> Option<Arc<ScheduleEntry>> {
        self.schedules.numbers.get(&number).map(|entry| Arc::clone(&entry))
    }

    /// Returns every schedule, in order of their numbers.
    pub(super) fn schedules(&self) -> Vec<Arc<ScheduleEntry>> {
        let mut entries: Vec<_> = self.schedules.numbers.iter().map(|entry| Arc::clone(&entry)).collect();
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
        self.schedules.users.get(user).map(|numbers| numbers.clone()).unwrap_or_default()
    }

    pub(super) fn note_user(&self, user: UserId, number: ScheduleNumber) {
        let mut numbers = self.schedules.users.entry(user).or_default();
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }

    /// Forgets which users were where, as far as the schedules have forgotten them.
    pub(super) fn forget_users(&self) {
        self.schedules.users.retain(|user, numbers| {
            numbers.retain(|number| {
                self.schedule_by_number(*number).is_some_and(|entry| entry.read().knows(user))
                    || self.has_payments(user, *number)
            });
            !numbers.is_empty()
        });
    }

    fn has_payments(&self, user: &str, number: ScheduleNumber) -> bool {
        self.ledgers.payments(number).is_some_and(|payments| payments.read().of_user(user).next().is_some())
    }

    /// Asks a schedule; the answer is durable when it comes, and its effects have begun.
    pub(super) async fn ask_schedule(
        &self,
        entry: &ScheduleEntry,
        command: AnyCommand,
        cause: Cause,
    ) -> Result<Done<schedule::Answer>, EngineError> {
        if entry.is_archived() {
            return self.decide_archived(entry, &command);
        }
        entry.live().ask(command, cause, self.core.reply_timeout).await
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
        room.ask(command, cause, self.core.reply_timeout).await
    }

    /// Decides a command to a schedule that is in the archive: one that changes nothing is answered, and all others are refused.
    fn decide_archived(
        &self,
        entry: &ScheduleEntry,
        command: &AnyCommand,
    ) -> Result<Done<schedule::Answer>, EngineError> {
        let schedule = entry.read();
        schedule.decide_archived(command, self.core.clock.now())?;
        let named = command.reservation().map(|reservation| reservation.number);
        Ok(Done { answer: schedule.answer(named), replayed: false })
    }

    /// Returns the schedules of a concert, in order of their numbers.
    pub(super) fn schedules_of_concert(&self, concert: &ConcertId) -> Vec<Arc<ScheduleEntry>> {
        self.schedules().into_iter().filter(|entry| entry.concert() == concert).collect()
    }

    /// Tells whether a concert's prices stand at `now`, since a sale of it has opened or opens in a moment.
    pub(super) fn prices_are_fixed(&self, concert: &ConcertId, now: Timestamp) -> bool {
        let is_fixed = |entry: &Arc<ScheduleEntry>| entry.read().check_reprice(now).is_err();
        // The list first: no shard of the directory is kept while a schedule is waited for.
        self.schedules_of_concert(concert).iter().any(is_fixed)
            || self.core.catalogue().has_archived_sale(concert)
    }
}
