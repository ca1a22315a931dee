//! Snapshot → replay → aggregates: the state of everything, made again from what is durable.
//!
//! A [`World`] is all aggregates at one position. Recovery, `onsale replay`, `onsale verify`, an export and the
//! seat map of an earlier instant all do the same: they begin with an empty world, or one that is restored from a snapshot's
//! sections, and apply records in order. [`rebuild`] does it for all of them. Damage that the journal's checksums can't see, such
//! as a stream with a gap, is an error here, never a panic.

mod rebuild;

use std::sync::Arc;

use hashbrown::HashMap;

use crate::domain::accounts::{Accounts, AccountsImage, Shard};
use crate::domain::catalogue::{Catalogue, CatalogueEvent, Listing};
use crate::domain::ids::{ScheduleId, ScheduleNumber};
use crate::domain::payments::{Payments, PaymentsImage};
use crate::domain::schedule::{Archived, Creation, End, Ended, Event, Image, Schedule};
use crate::domain::time::Timestamp;
use crate::domain::users::{Users, UsersImage};
use crate::domain::venue::Layout;
use crate::domain::waiting_room::{Event as RoomEvent, RoomImage, WaitingRoom};
use crate::record::{Fact, Record, Section, Stream};

pub use rebuild::{RebuildError, Rebuilt, Start, Until, Visit, decode, rebuild};

/// How many idempotency keys a shard of accounts, or a schedule's payments, keep: no setting of the past changes what
/// replay finds.
pub const KEYS_MAX: u32 = 1_000_000;

/// Every aggregate, as it is after some position of the journal.
#[derive(Debug, Default, PartialEq)]
pub struct World {
    /// Venues, concerts and the list of schedules.
    pub catalogue: Catalogue,
    /// The schedules by number.
    pub schedules: HashMap<ScheduleNumber, Schedule>,
    /// What is left of the schedules whose streams have ended, by number. The catalogue's event about their end removes them here.
    pub ended: HashMap<ScheduleNumber, Ended>,
    /// The waiting rooms that have events, by their schedules' numbers.
    pub rooms: HashMap<ScheduleNumber, WaitingRoom>,
    /// The shards of accounts that have events.
    pub accounts: HashMap<Shard, Accounts>,
    /// The payments of schedules that have any, by the schedules' numbers. They outlive a schedule that was removed.
    pub payments: HashMap<ScheduleNumber, Payments>,
    /// Who signed up here, and who may no longer act.
    pub users: Users,
}

/// A schedule that is in the archive.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "a field that its name doesn't explain is documented")]
pub struct InArchive<'w> {
    pub number: ScheduleNumber,
    pub id: &'w ScheduleId,
    pub archived: Archived,
    /// Its venue's layout; nothing where the catalogue lacks it.
    pub layout: Option<&'w Arc<Layout>>,
}

/// A journal that doesn't continue what came before it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field that its name doesn't explain is documented")]
pub enum ReplayError {
    /// A stream's next event isn't the one that follows.
    #[error("{stream:?} is at version {standing}, and its next event has version {found}")]
    Gap { stream: Stream, standing: u64, found: u64 },
    /// An event belongs to a schedule that was never created.
    #[error("schedule number {0} has an event but was never created")]
    NoSchedule(u32),
    /// A schedule's concert or venue isn't in the catalogue.
    #[error("schedule number {0} has no venue in the catalogue")]
    NoVenue(u32),
    /// The catalogue lists other schedules than there are.
    #[error(
        "the catalogue lists {listed} schedules that must exist, and {found} of them do, of {existing} in all"
    )]
    Listing {
        /// How many it lists that are created and aren't in the archive.
        listed: usize,
        /// How many of these exist.
        found: usize,
        /// How many exist.
        existing: usize,
    },
    /// A schedule or its payments are moved to the archive at another version than they have.
    #[error("schedule number {0} is moved to the archive as it never was")]
    Archived(u32),
    /// A schedule is moved to the archive that the catalogue doesn't list.
    #[error("a schedule is moved to the archive that isn't listed")]
    Unlisted,
    /// A stream's instant is before the one that it followed.
    #[error("{stream:?} goes back in time at version {version}")]
    TimeRunsBackwards { stream: Stream, version: u64 },
}

impl World {
    /// Makes a world with nothing but a catalogue, which schedules need for their venues.
    pub fn with(catalogue: Catalogue) -> Self {
        Self { catalogue, ..Self::default() }
    }

    /// Restores an aggregate from its section of a snapshot; the catalogue comes first.
    ///
    /// # Errors
    /// When a schedule's venue isn't in the catalogue.
    pub fn restore(&mut self, section: Section) -> Result<(), ReplayError> {
        match section {
            Section::Catalogue(catalogue) => self.catalogue = Arc::unwrap_or_clone(catalogue),
            Section::Schedule(image) => {
                let layout = self.layout(&image.venue).ok_or(ReplayError::NoVenue(image.number.0))?;
                self.schedules.insert(image.number, image.restore(layout));
            }
            Section::WaitingRoom(image) => {
                self.rooms.insert(image.number, image.restore());
            }
            Section::Accounts(image) => {
                self.accounts.insert(image.shard, image.restore());
            }
            Section::Payments(image) => {
                self.payments.insert(image.schedule, image.restore());
            }
            Section::Users(image) => self.users = image.restore(),
            Section::Ended(ended) => {
                self.ended.insert(ended.number, ended);
            }
        }
        Ok(())
    }

    /// Returns the sections of a snapshot of this world, one after the other.
    pub fn sections(&self) -> impl Iterator<Item = Section> {
        let mut numbers: Vec<_> = self.schedules.keys().copied().collect();
        numbers.sort_unstable();
        let schedule = |number: ScheduleNumber| {
            let schedule = Section::Schedule(Box::new(Image::of(&self.schedules[&number])));
            let room = self.rooms.get(&number).map(RoomImage::of);
            let payments = self.payments.get(&number).map(PaymentsImage::of);
            [schedule]
                .into_iter()
                .chain(room.map(|room| Section::WaitingRoom(Box::new(room))))
                .chain(payments.map(|payments| Section::Payments(Box::new(payments))))
        };

        let mut ended: Vec<_> = self.ended.values().copied().collect();
        ended.sort_unstable_by_key(|ended| ended.number);
        let accounts = Shard::all().filter_map(|shard| self.accounts.get(&shard)).map(AccountsImage::of);
        let users = (self.users.version() > 0).then(|| UsersImage::of(&self.users));

        [Section::Catalogue(Arc::new(self.catalogue.clone()))]
            .into_iter()
            .chain(numbers.into_iter().flat_map(schedule))
            .chain(ended.into_iter().map(Section::Ended))
            .chain(accounts.map(|accounts| Section::Accounts(Box::new(accounts))))
            .chain(users.map(|users| Section::Users(Box::new(users))))
    }

    /// Applies a record, unless the aggregate has it already (its image was taken later).
    ///
    /// Returns whether it was applied.
    ///
    /// # Errors
    /// When the record doesn't follow what came before it.
    pub fn apply(&mut self, record: &Record) -> Result<bool, ReplayError> {
        let is_new = self.apply_new(record)?;
        debug_assert!(
            !is_new || self.has_reached(record.stream(), record.version),
            "a record brings its stream to its version"
        );
        Ok(is_new)
    }

    fn apply_new(&mut self, record: &Record) -> Result<bool, ReplayError> {
        match &record.fact {
            Fact::Catalogue(event) => {
                let (version, instant) = (self.catalogue.version(), self.catalogue.last_instant());
                if !follows(record, version, instant)? {
                    return Ok(false);
                }

                // Its streams have ended before: the catalogue alone knows of the schedule from here on.
                if let CatalogueEvent::ScheduleArchived { id, archived } = event {
                    self.end_listing(id, *archived)?;
                }
                if let CatalogueEvent::ScheduleUnlisted(id) = event
                    && let Some(listing) = self.catalogue.schedule(id)
                {
                    self.ended.remove(&listing.number);
                }

                self.catalogue.apply(event, record.at, record.key);
                Ok(true)
            }

            Fact::Schedule(number, event) => self.apply_to_schedule(*number, event, record),
            Fact::WaitingRoom(number, event) => self.apply_to_room(*number, event, record),

            Fact::Accounts(shard, event) => {
                let fresh = || Accounts::new(*shard, KEYS_MAX);
                let accounts = self.accounts.entry(*shard).or_insert_with(fresh);
                if !follows(record, accounts.version(), accounts.last_instant())? {
                    return Ok(false);
                }
                accounts.apply(event, record.at, record.key);
                Ok(true)
            }
            Fact::Payments(number, event) => {
                let fresh = || Payments::new(*number, KEYS_MAX);
                let payments = self.payments.entry(*number).or_insert_with(fresh);
                if !follows(record, payments.version(), payments.last_instant())? {
                    return Ok(false);
                }
                payments.apply(event, record.at, record.key);
                Ok(true)
            }
            Fact::User(event) => {
                if !follows(record, self.users.version(), self.users.last_instant())? {
                    return Ok(false);
                }
                self.users.apply(event, record.at, record.key);
                Ok(true)
            }
        }
    }

    /// Forgets what is left of a schedule that the catalogue says is in the archive. In an older journal the schedule's stream ends here.
    fn end_listing(&mut self, id: &ScheduleId, archived: Archived) -> Result<(), ReplayError> {
        let number =
            self.catalogue.schedule(id).map(|listing| listing.number).ok_or(ReplayError::Unlisted)?;
        if let Some(ended) = self.ended.remove(&number) {
            let same = ended.end == End::Archived(archived);
            return if same { Ok(()) } else { Err(ReplayError::Archived(number.0)) };
        }

        let version = self.schedules.get(&number).map(Schedule::version);
        if version != Some(archived.version) {
            return Err(ReplayError::Archived(number.0));
        }
        self.let_go(number, archived)
    }

    /// Drops a schedule that was moved to the archive, with its room and its payments.
    fn let_go(&mut self, number: ScheduleNumber, archived: Archived) -> Result<(), ReplayError> {
        self.schedules.remove(&number);
        self.rooms.remove(&number);
        let payments = self.payments.remove(&number).map_or(0, |payments| payments.version());
        if payments == archived.payments { Ok(()) } else { Err(ReplayError::Archived(number.0)) }
    }

    fn apply_to_room(
        &mut self,
        number: ScheduleNumber,
        event: &RoomEvent,
        record: &Record,
    ) -> Result<bool, ReplayError> {
        if !self.schedules.contains_key(&number) {
            // The schedule's end is the end of its room: what the room's actor had on its way then counts for nothing.
            let removed = number.0 <= self.catalogue.last_schedule();
            return if removed { Ok(false) } else { Err(ReplayError::NoSchedule(number.0)) };
        }
        let room = self.rooms.entry(number).or_insert_with(|| WaitingRoom::new(number));
        if !follows(record, room.version(), room.last_instant())? {
            return Ok(false);
        }
        room.apply(event, record.at, record.key);
        Ok(true)
    }

    fn apply_to_schedule(
        &mut self,
        number: ScheduleNumber,
        event: &Event,
        record: &Record,
    ) -> Result<bool, ReplayError> {
        if let Some(schedule) = self.schedules.get_mut(&number) {
            if !follows(record, schedule.version(), schedule.last_instant())? {
                return Ok(false);
            }

            schedule.apply(event, record.at, record.key);
            if let Some(ended) = schedule.ended() {
                match ended.end {
                    // Its payments stay: their money may be under way, and users find them.
                    End::Removed(_) => {
                        self.schedules.remove(&number);
                        self.rooms.remove(&number);
                    }
                    End::Archived(archived) => self.let_go(number, archived)?,
                }
                self.ended.insert(number, ended);
            }
            return Ok(true);
        }

        // A snapshot's section of its end may be later than the snapshot's position.
        if self.ended.get(&number).is_some_and(|ended| record.version <= ended.version) {
            return Ok(false);
        }
        let Event::Created(creation) = event else {
            return Err(ReplayError::NoSchedule(number.0));
        };
        self.create(creation, record.at)?;
        Ok(true)
    }

    /// Begins a schedule.
    ///
    /// # Errors
    /// When its venue isn't in the catalogue.
    pub fn create(&mut self, creation: &Creation, at: Timestamp) -> Result<(), ReplayError> {
        let number = creation.number;
        let layout = self.layout(&creation.venue).ok_or(ReplayError::NoVenue(number.0))?;
        self.schedules.insert(number, Schedule::create(creation.clone(), layout, at));
        Ok(())
    }

    /// Checks that the catalogue lists exactly the schedules that exist, are to be created, or are in the archive. Checks the invariants
    /// of every aggregate, too.
    ///
    /// # Errors
    /// When the listing differs.
    ///
    /// # Panics
    /// When an invariant doesn't hold.
    pub fn check(&self) -> Result<(), ReplayError> {
        let exists = |number: &ScheduleNumber| self.schedules.contains_key(number);
        let ended = |number: &ScheduleNumber| self.ended.contains_key(number);
        let count = |is: &dyn Fn(&ScheduleNumber) -> bool| {
            self.catalogue.schedules().filter(|(_, listing)| is(&listing.number)).count()
        };

        let all = self.catalogue.schedules().count() - self.catalogue.archived_count();
        let listed = all.saturating_sub(self.to_be_created().count() + count(&ended));
        let (found, existing) = (count(&exists), self.schedules.len());
        if listed != found || found != existing || count(&ended) != self.ended.len() {
            return Err(ReplayError::Listing { listed, found, existing });
        }

        self.schedules.values().for_each(Schedule::check_invariants);
        self.rooms.values().for_each(WaitingRoom::check_invariants);
        self.accounts.values().for_each(Accounts::check_invariants);
        self.payments.values().for_each(Payments::check_invariants);
        self.users.check_invariants();
        Ok(())
    }

    /// Tells whether a stream has come to a version here. The streams of a schedule that was removed, or moved to the archive, have come
    /// to their ends.
    pub fn has_reached(&self, stream: Stream, version: u64) -> bool {
        let has = |standing: u64| standing >= version;
        match stream {
            Stream::Catalogue => has(self.catalogue.version()),
            Stream::Schedule(number) => match self.schedules.get(&number) {
                Some(schedule) => has(schedule.version()),
                None => self.is_over(number) || has(0),
            },
            Stream::WaitingRoom(number) => match self.rooms.get(&number) {
                Some(room) => has(room.version()),
                None => self.is_over(number) || has(0),
            },
            Stream::Accounts(shard) => has(self.accounts.get(&shard).map_or(0, Accounts::version)),
            Stream::Payments(number) => {
                self.is_archived(number) || has(self.payments.get(&number).map_or(0, Payments::version))
            }
            Stream::Users => has(self.users.version()),
        }
    }

    /// Tells whether a schedule existed, and was removed or moved to the archive since.
    fn is_over(&self, number: ScheduleNumber) -> bool {
        let was_created = || !self.to_be_created().any(|creation| creation.number == number);
        let is_known = number.0 <= self.catalogue.last_schedule() && !self.schedules.contains_key(&number);
        self.ended.contains_key(&number) || (is_known && was_created())
    }

    /// Returns the schedules that are in the archive, in order of their numbers, whether or not their listings say so yet.
    pub fn archived(&self) -> Vec<InArchive<'_>> {
        let mut found: Vec<_> =
            self.catalogue.schedules().filter_map(|listed| self.in_archive(listed)).collect();
        found.sort_unstable_by_key(|found| found.number);
        found
    }

    /// Tells whether the schedule of a number is in the archive, whether or not its listing says so yet.
    pub fn is_archived(&self, number: ScheduleNumber) -> bool {
        self.catalogue.is_archived(number) || self.ended.get(&number).is_some_and(Ended::is_archived)
    }

    fn in_archive<'w>(&'w self, (id, listing): (&'w ScheduleId, &'w Listing)) -> Option<InArchive<'w>> {
        let ended = || match self.ended.get(&listing.number)?.end {
            End::Archived(archived) => Some(archived),
            End::Removed(_) => None,
        };
        let archived = listing.archived.or_else(ended)?;
        Some(InArchive { number: listing.number, id, archived, layout: self.catalogue.layout(listing) })
    }

    /// Returns what is still to be created: schedules that are listed and never existed, in order of their numbers.
    pub fn to_be_created(&self) -> impl Iterator<Item = &Arc<Creation>> {
        let creations = self.catalogue.creations().iter();
        creations.filter(|creation| {
            !self.schedules.contains_key(&creation.number) && !self.ended.contains_key(&creation.number)
        })
    }

    /// Returns the instant of the last event of any aggregate.
    pub fn last_instant(&self) -> Timestamp {
        let schedules = self.schedules.values().map(Schedule::last_instant);
        let rooms = self.rooms.values().map(WaitingRoom::last_instant);
        let accounts = self.accounts.values().map(Accounts::last_instant);
        let payments = self.payments.values().map(Payments::last_instant);
        let ended = self.ended.values().map(|ended| ended.last_instant);

        schedules
            .chain(ended)
            .chain(rooms)
            .chain(accounts)
            .chain(payments)
            .chain([self.users.last_instant()])
            .fold(self.catalogue.last_instant(), Timestamp::max)
    }

    fn layout(&self, venue: &str) -> Option<Arc<Layout>> {
        self.catalogue.venue(venue).map(|built| Arc::clone(&built.layout))
    }
}

/// Tells whether a record is its stream's next (true), or one that the stream has already (false): a section may be later than its
/// snapshot's position.
fn follows(record: &Record, standing: u64, last_instant: Timestamp) -> Result<bool, ReplayError> {
    if record.version <= standing {
        return Ok(false);
    }
    if record.version > standing + 1 {
        return Err(ReplayError::Gap { stream: record.stream(), standing, found: record.version });
    }
    if record.at < last_instant {
        let (stream, version) = (record.stream(), record.version);
        return Err(ReplayError::TimeRunsBackwards { stream, version });
    }
    Ok(true)
}
