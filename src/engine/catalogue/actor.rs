//! The actor of the catalogue.
//!
//! Administrators' changes are rare: the actor awaits each one's flush before it takes the next, so
//! that its state is always the durable one, and the set of schedules stands still while it works.
//! It asks schedules and rooms (to follow a plan, to be removed); none of them asks it, so no circle exists. A
//! snapshot is one of its messages: while it is taken, no schedule comes or goes.
//!
//! An entry has records of one stream. What takes more than one is a saga: the first entry says what is to happen, each step can be
//! repeated, and what was begun is finished before the next change, or by the next start.

use std::convert::Infallible;
use std::sync::Arc;

use kameo::actor::{Actor, ActorRef};
use kameo::message::{Context, Message};
use tokio::sync::oneshot;

use super::change::{CatalogueChange, Changed, Import};
use crate::archive::Archive;
use crate::domain::archive;
use crate::domain::catalogue::{
    self, Catalogue, CatalogueDraft, CatalogueEvent, CatalogueRefusal, FieldError, ImportCounts, Put,
};
use crate::domain::cause::{By, Cause};
use crate::domain::concert::Concert;
use crate::domain::ids::{ConcertId, ScheduleId, ScheduleNumber};
use crate::domain::keys::KeyFound;
use crate::domain::payments::Payments;
use crate::domain::schedule::{AnyCommand, Creation, Event, Plan, Refusal, Schedule};
use crate::domain::time::{Seconds, Timestamp};
use crate::domain::waiting_room::{self, Settings, WaitingRoom};
use crate::engine::archive::ArchivedSchedule;
use crate::engine::core::CatalogueHappened;
use crate::engine::directory::Directory;
use crate::engine::error::{self, EngineError};
use crate::engine::live::{Live, Parked, append};
use crate::engine::room::random_seed;
use crate::engine::schedule::ScheduleEntry;
use crate::engine::start::{SnapshotFailed, take_snapshot};
use crate::journal::{EntryTooLarge, Journal, Position, Records};
use crate::record::{self, FactRef};

/// The actor of the catalogue.
pub(in crate::engine) struct CatalogueActor {
    directory: Arc<Directory>,
    /// Whether a schedule that never opened may have other prices than its concert: a change of them has stopped halfway.
    prices_differ: bool,
}

impl Actor for CatalogueActor {
    type Args = Arc<Directory>;
    type Error = Infallible;

    async fn on_start(directory: Self::Args, _: ActorRef<Self>) -> Result<Self, Infallible> {
        // Everything that the former actor appended is published behind a barrier; on a failed journal nothing more will be.
        let _ = directory.core.journal.barrier().await;

        for entry in directory.schedules() {
            entry.live().start(&directory.core).await;
            // One that was shut still answers repeated keys.
            if entry.room().read().version() > 0 {
                entry.room().live().start(&directory.core).await;
            }
        }

        // The former actor may have stopped anywhere.
        Ok(Self { directory, prices_differ: true })
    }
}

/// A change, with who asks and the idempotency key whose effect it would be.
pub(in crate::engine) struct Change {
    pub(in crate::engine) change: CatalogueChange,
    pub(in crate::engine) cause: Cause,
}

/// Takes a snapshot of everything.
pub(in crate::engine) struct TakeSnapshot;

/// Moves a schedule to the archive, if it belongs there; answers whether it did.
pub(in crate::engine) struct MoveToArchive {
    /// Which one.
    pub(in crate::engine) number: ScheduleNumber,
    /// How long after its show's end it does.
    pub(in crate::engine) after: Seconds,
}

impl Message<Change> for CatalogueActor {
    type Reply = Result<Changed, EngineError>;

    async fn handle(
        &mut self,
        Change { change, cause }: Change,
        _: &mut Context<Self, Self::Reply>,
    ) -> Self::Reply {
        if self.directory.core.journal.failure().is_some() {
            return Err(EngineError::JournalUnavailable);
        }

        // What an earlier change had begun comes first: its key answers once it is done.
        self.list_right(&By::Engine).await?;
        if let Err(error) = self.finish(&By::Engine).await {
            tracing::warn!(%error, "schedules don't have the plans or the prices yet that they are to have");
        }

        let now = self.now();
        if let Some(key) = cause.key
            && let Some(found) = self.directory.core.catalogue().keys().find(key, now)
        {
            return match found {
                KeyFound::Reused => Err(EngineError::KeyReused),
                KeyFound::Answered { .. } => Ok(repeated(&change)),
            };
        }
        if cause.key.is_some() && cause.key == self.directory.core.catalogue().replans().key {
            return Err(EngineError::InProgress);
        }
        self.change(change, cause, now).await
    }
}

impl Message<TakeSnapshot> for CatalogueActor {
    type Reply = Result<Position, SnapshotFailed>;

    async fn handle(&mut self, _: TakeSnapshot, _: &mut Context<Self, Self::Reply>) -> Self::Reply {
        // What can't be finished now stands in the snapshot as far as it is.
        if let Err(error) = self.list_right(&By::Engine).await {
            tracing::warn!(%error, "the catalogue doesn't list yet what is there");
        }
        take_snapshot(&self.directory).await
    }
}

impl Message<MoveToArchive> for CatalogueActor {
    type Reply = Result<bool, EngineError>;

    async fn handle(
        &mut self,
        MoveToArchive { number, after }: MoveToArchive,
        _: &mut Context<Self, Self::Reply>,
    ) -> Self::Reply {
        self.list_right(&By::Engine).await?;
        let Some(entry) = self.directory.schedule_by_number(number) else { return Ok(false) };
        let payments = self.directory.ledgers.payments(number);
        let set_closed = |closed| {
            entry.live().set_closed(closed);
            if let Some(payments) = &payments {
                payments.set_closed(closed);
            }
        };

        // What is written must stay so: nobody changes the schedule meanwhile.
        set_closed(true);
        let moved = self.move_to_archive(&entry, payments.as_deref(), after).await;
        if moved != Ok(true) {
            // A schedule whose stream has ended, perhaps without an answer, takes no changes any more; nor do its payments.
            let _ = self.directory.core.journal.barrier().await;
            set_closed(entry.read().ended().is_some());
        }
        moved
    }
}

impl CatalogueActor {
    /// Does what is asked, once it is known that the key is new.
    async fn change(
        &mut self,
        change: CatalogueChange,
        cause: Cause,
        now: Timestamp,
    ) -> Result<Changed, EngineError> {
        match change {
            CatalogueChange::PutVenue(venue) => {
                self.put(now, cause, |draft, _| draft.put_venue(venue)).await.map(Changed::Put)
            }
            CatalogueChange::PutConcert(concert) => self
                .put(now, cause, |draft, directory| put_concert(draft, directory, concert, now))
                .await
                .map(Changed::Put),
            CatalogueChange::PutSchedule(id, concert, plan) => self
                .put(now, cause, |draft, directory| {
                    draft.put_schedule(id, concert, plan, directory.core.limits)
                })
                .await
                .map(Changed::Put),
            CatalogueChange::Import(import) => {
                let counts = self.import(import, cause, now).await?;
                Ok(Changed::Imported { counts, replayed: false })
            }
            CatalogueChange::RemoveVenue(id) => {
                self.remove(now, cause, |draft| draft.remove_venue(&id)).await
            }
            CatalogueChange::RemoveConcert(id) => {
                self.remove(now, cause, |draft| draft.remove_concert(&id)).await
            }
            CatalogueChange::RemoveSchedule(id) => self.remove_schedule(&id, cause).await,
            CatalogueChange::OpenSchedule(id) => {
                if self.is_archived(&id) {
                    return Err(Refusal::InvalidTransition.into());
                }
                let entry = self.directory.schedule(&id).ok_or(EngineError::NoSuchSchedule)?;
                entry.live().insist(AnyCommand::Open, cause).await.map(Changed::Acted)
            }
        }
    }

    /// Moves a schedule that is closed: once everything on its way is durable, its state stays as it is.
    async fn move_to_archive(
        &self,
        entry: &Arc<ScheduleEntry>,
        payments: Option<&Live<Payments>>,
        after: Seconds,
    ) -> Result<bool, EngineError> {
        if entry.live().actor().is_none() {
            return Err(EngineError::NotReady);
        }
        entry.live().flush().await?;
        if let Some(payments) = payments {
            payments.flush().await?;
        }
        self.directory.core.journal.barrier().await?;

        let now = self.now();
        let (archived, image, counts, paid) = {
            let (schedule, room) = (entry.read(), entry.room().read());
            let payments = payments.map(Live::read);
            let archived = match archive::belongs(&schedule, &room, payments.as_deref(), now, after) {
                Ok(archived) => archived,
                Err(stays) => {
                    tracing::debug!(schedule = entry.number().0, ?stays, "a schedule isn't archived yet");
                    return Ok(false);
                }
            };
            let paid = payments.as_deref().map(archive::image_of_payments);
            (archived, archive::image_of(&schedule, &room), schedule.counts(), paid)
        };
        assert_eq!(image.version, archived.version, "what is written is what the event says has moved");

        let write = move |archive: &Archive| archive.put_schedule(&image, counts, paid.as_ref());
        self.directory.archive.write(write).await?;

        // From this event on its rows are the truth, whatever the catalogue says yet.
        entry.live().insist(AnyCommand::Archive { archived }, Cause::default()).await?;
        self.say_ended(&By::Engine).await?;
        Ok(true)
    }

    fn now(&self) -> Timestamp {
        self.directory.core.clock.now().max(self.directory.core.catalogue().last_instant())
    }

    async fn put(
        &mut self,
        now: Timestamp,
        cause: Cause,
        decide: impl FnOnce(&mut CatalogueDraft, &Directory) -> Result<Put, CatalogueRefusal>,
    ) -> Result<Put, EngineError> {
        let mut draft = CatalogueDraft::new(&self.directory.core.catalogue(), now);
        let put = decide(&mut draft, &self.directory)?;
        self.commit(draft, now, cause).await?;
        Ok(put)
    }

    async fn import(
        &mut self,
        import: Import,
        cause: Cause,
        now: Timestamp,
    ) -> Result<ImportCounts, EngineError> {
        let mut draft = CatalogueDraft::new(&self.directory.core.catalogue(), now);
        let counts = import.counts();

        // In this order, since a concert names its venue, and a schedule its concert.
        for (index, venue) in import.venues.into_iter().enumerate() {
            let id = venue.id.clone();
            draft.put_venue(venue).map_err(|refusal| at_item(refusal, "venues", index, &id))?;
        }
        for (index, concert) in import.concerts.into_iter().enumerate() {
            let id = concert.id.clone();
            put_concert(&mut draft, &self.directory, concert, now)
                .map_err(|refusal| at_item(refusal, "concerts", index, &id))?;
        }
        for (index, (id, concert, plan)) in import.schedules.into_iter().enumerate() {
            draft
                .put_schedule(id.clone(), concert, plan, self.directory.core.limits)
                .map_err(|refusal| at_item(refusal, "schedules", index, &id))?;
        }

        self.commit(draft, now, cause).await?;
        Ok(counts)
    }

    async fn remove(
        &mut self,
        now: Timestamp,
        cause: Cause,
        decide: impl FnOnce(&mut CatalogueDraft) -> Result<(), CatalogueRefusal>,
    ) -> Result<Changed, EngineError> {
        let mut draft = CatalogueDraft::new(&self.directory.core.catalogue(), now);
        decide(&mut draft)?;
        self.commit(draft, now, cause).await?;
        Ok(Changed::Removed { replayed: false })
    }

    fn is_archived(&self, id: &str) -> bool {
        self.directory.core.catalogue().schedule(id).is_some_and(|listing| listing.archived.is_some())
    }

    /// Removes a schedule: its own stream ends, and then the catalogue lists it no more.
    async fn remove_schedule(&self, id: &ScheduleId, cause: Cause) -> Result<Changed, EngineError> {
        if self.is_archived(id) {
            return Err(CatalogueRefusal::InUse("the schedule is over and in the archive".to_owned()).into());
        }

        let entry = self.directory.schedule(id).ok_or(EngineError::NoSuchSchedule)?;
        let by = cause.by.clone();
        // The key stands in the schedule's last event. The catalogue's event takes it from there, and keeps it from then on.
        if entry.live().insist(AnyCommand::Delete, cause).await?.replayed {
            return Err(EngineError::KeyReused);
        }
        self.say_ended(&by).await?;
        Ok(Changed::Removed { replayed: false })
    }

    /// Says of the schedules whose streams have ended that they have: they are listed no more, or as in the archive.
    async fn say_ended(&self, by: &By) -> Result<(), EngineError> {
        for (entry, ended) in self.directory.ended() {
            let payments = self.directory.ledgers.payments(ended.number).filter(|_| ended.is_archived());
            let (event, key) = CatalogueEvent::of_end(entry.id().clone(), ended.end);
            self.append(vec![event], self.now(), Cause { by: by.clone(), key }).await?;

            entry.live().stop().await;
            entry.room().live().stop().await;
            if let Some(payments) = payments {
                payments.stop().await;
            }
        }
        Ok(())
    }

    /// Makes a draft's changes durable, shows them, and starts and tells the schedules.
    async fn commit(
        &mut self,
        draft: CatalogueDraft,
        now: Timestamp,
        cause: Cause,
    ) -> Result<(), EngineError> {
        let CatalogueDraft { mut events, replanned, repriced, archived, .. } = draft;
        self.check_archived(archived).await?;

        // A schedule that has the plan already is left alone: its room keeps what an operator has tuned.
        let replanned: Vec<_> =
            replanned.into_iter().filter(|(id, _, plan)| self.is_another_plan(id, plan)).collect();
        self.check_orders(&replanned)?;
        if !replanned.is_empty() && !self.directory.core.catalogue().replans().is_empty() {
            return Err(EngineError::NotReady);
        }

        // The key belongs to the last event: here to the announcement of what is done below, which keeps it when that is done.
        let announced = announce(replanned, &mut events, cause.clone());
        if events.is_empty() && announced.key.is_some() {
            events.push(CatalogueEvent::KeyKept);
        }

        // The schedules take their prices first, as they may refuse them; they get the old ones back where the entry fails.
        if !events.is_empty() {
            self.reprice(&repriced, &cause.by).await?;
            if let Err(error) = self.append(events, now, announced).await {
                self.restore_prices(&cause.by).await;
                return Err(error);
            }
        }

        self.follow_up(&cause.by).await.map_err(|error| {
            tracing::warn!(%error, "what was announced isn't done yet: the next change goes on with it, or the next start");
            EngineError::OutcomeUnknown
        })
    }

    /// Refuses another plan for a schedule that is in the archive.
    async fn check_archived(&self, plans: Vec<(ScheduleNumber, Arc<Plan>)>) -> Result<(), EngineError> {
        for (number, plan) in plans {
            let archived = self.directory.archived(number).await?;
            let ArchivedSchedule { entry, .. } = &*archived.ok_or(EngineError::NoSuchSchedule)?;
            if **entry.read().plan() != *plan {
                let id = entry.id();
                let why = format!("the schedule {id} is over and in the archive: it stands as it is");
                return Err(CatalogueRefusal::InUse(why).into());
            }
        }
        Ok(())
    }

    /// Refuses plans that a waiting room would refuse. All or none of an import happens, so this is found before anything is changed.
    fn check_orders(&self, replanned: &[(ScheduleId, ConcertId, Arc<Plan>)]) -> Result<(), CatalogueRefusal> {
        for (id, _, plan) in replanned {
            if let Some(entry) = self.directory.schedule(id)
                && let Some(settings) = Settings::of(plan, self.directory.core.limits.keys_max)
                && entry.room().read().check_order(&settings).is_err()
            {
                let why = "people wait in the order that they were promised: it can change once nobody waits";
                return Err(CatalogueRefusal::InUse(format!("the schedule {id}: {why}")));
            }
        }
        Ok(())
    }

    /// Does what the catalogue's entry has announced.
    async fn follow_up(&self, by: &By) -> Result<(), EngineError> {
        self.create_listed(by).await?;
        self.finish_replans(by).await
    }

    /// Brings the list of schedules in line with what exists: those whose streams have ended are taken off, and those that aren't
    /// created yet are created.
    async fn list_right(&self, by: &By) -> Result<(), EngineError> {
        self.say_ended(by).await?;
        self.create_listed(by).await
    }

    /// Creates every schedule that is listed and isn't created yet, each in an entry of its own stream, and says so.
    async fn create_listed(&self, by: &By) -> Result<(), EngineError> {
        let catalogue = self.directory.core.catalogue();
        if catalogue.creations().is_empty() {
            return Ok(());
        }

        // All are handed over before the first is waited for, so that one sync serves many.
        let is_new = |creation: &&Arc<Creation>| self.directory.schedule_by_number(creation.number).is_none();
        let mut appended = Vec::new();
        for creation in catalogue.creations().iter().filter(is_new) {
            appended.push(self.create(&catalogue, creation, by).await);
        }
        for durable in appended {
            durable.done().await?;
        }

        // A start may have created some of them already: their actors are started all the same.
        let mut created = Vec::new();
        for creation in catalogue.creations() {
            let entry = self.directory.schedule_by_number(creation.number);
            let entry = entry.expect("it was shown before the reply");
            entry.live().start(&self.directory.core).await;
            created.push(entry);
        }
        let cause = Cause { by: by.clone(), key: None };
        self.append(vec![CatalogueEvent::SchedulesCreated], self.now(), cause).await?;

        for entry in created {
            let plan = Arc::clone(entry.read().plan());
            self.configure_room(&entry, &plan, by).await?;
        }
        Ok(())
    }

    /// Begins a schedule's stream; it is found once that is durable.
    async fn create(&self, catalogue: &Catalogue, creation: &Arc<Creation>, by: &By) -> Appended {
        let now = self.now();
        let mut records = Records::new();
        let event = Event::Created(Box::new(Creation::clone(creation)));
        let encoded = records.push_with(|bytes| {
            let cause = Cause { by: by.clone(), key: None };
            record::encode_fact(bytes, 1, now, cause, FactRef::Schedule(creation.number, &event));
            Ok::<(), EntryTooLarge>(())
        });
        encoded.expect("what its listing had room for fits in an entry");

        let venue = catalogue.venue(&creation.venue).expect("a listed schedule has its venue");
        let schedule = Schedule::create(Creation::clone(creation), Arc::clone(&venue.layout), now);
        let directory = Arc::clone(&self.directory);
        let show = move || {
            let room = WaitingRoom::new(schedule.number());
            directory.insert(schedule, room);
        };
        Appended::to(&self.directory.core.journal, records, show).await
    }

    /// Has the schedules of these concerts open at their prices from now on. All or none: where one refuses, those that took them get
    /// the old ones back.
    async fn reprice(&mut self, repriced: &[(Arc<Concert>, bool)], by: &By) -> Result<(), EngineError> {
        let mut commands = Vec::new();
        for (concert, has_other_price) in repriced {
            for entry in self.directory.schedules_of_concert(&concert.id) {
                let prices = concert.prices(entry.layout()).expect("a concert was checked when it was put");
                let prices = Arc::new(prices);
                // Another order of the grades alone is no other price: a sale that opened stands as it is.
                let command = if *has_other_price {
                    AnyCommand::Reprice { prices }
                } else {
                    AnyCommand::SetPrices { prices }
                };
                commands.push((entry, command));
            }
        }

        let Err(error) = ask_all(commands, by).await else { return Ok(()) };
        self.restore_prices(by).await;
        let fixed = EngineError::Refused(error::Refusal::Schedule(Refusal::PricesFixed));
        Err(if error == fixed { catalogue::prices_fixed().into() } else { error })
    }

    /// Gives schedules back the prices that their concerts have, after a change of them that isn't to be.
    async fn restore_prices(&mut self, by: &By) {
        self.prices_differ = true;
        if let Err(error) = self.settle_prices(by).await {
            tracing::warn!(%error, "schedules keep prices that their concerts don't have, until the next change or the next start");
        }
    }

    /// Gives every schedule that never opened the prices that its concert has, where a change of them may have stopped halfway.
    async fn settle_prices(&mut self, by: &By) -> Result<(), EngineError> {
        if !self.prices_differ {
            return Ok(());
        }
        let catalogue = self.directory.core.catalogue();
        let set = |entry: Arc<ScheduleEntry>| {
            let prices = Arc::new(catalogue.prices(entry.concert(), entry.layout())?);
            let differs = !entry.read().has_opened() && entry.read().prices() != Some(&prices);
            differs.then_some((entry, AnyCommand::SetPrices { prices }))
        };

        ask_all(self.directory.schedules().into_iter().filter_map(set).collect(), by).await?;
        self.prices_differ = false;
        Ok(())
    }

    /// Does what an earlier change had begun.
    async fn finish(&mut self, by: &By) -> Result<(), EngineError> {
        self.settle_prices(by).await?;
        self.finish_replans(by).await
    }

    fn is_another_plan(&self, id: &ScheduleId, plan: &Plan) -> bool {
        self.directory.schedule(id).is_some_and(|entry| {
            let settings = Settings::of(plan, self.directory.core.limits.keys_max);
            **entry.read().plan() != *plan || entry.room().read().configured() != settings.as_ref()
        })
    }

    /// Gives every schedule the plan that it is to have, and says so. What is done already is done again and changes nothing; what can't
    /// be done now is left for the next change, or the next start.
    async fn finish_replans(&self, by: &By) -> Result<(), EngineError> {
        let catalogue = self.directory.core.catalogue();
        let replans = catalogue.replans();
        if replans.is_empty() {
            return Ok(());
        }

        for (id, plan) in &replans.plans {
            // One that was removed or archived meanwhile has no plan to follow.
            if let Some(entry) = self.directory.schedule(id) {
                self.replan(&entry, plan, by).await?;
            }
        }

        let done = vec![CatalogueEvent::ReplansDone];
        let cause = Cause { by: by.clone(), key: replans.key };
        self.append(done, self.now(), cause).await
    }

    async fn replan(&self, entry: &Arc<ScheduleEntry>, plan: &Arc<Plan>, by: &By) -> Result<(), EngineError> {
        let replan = AnyCommand::Replan { concert: entry.concert().clone(), plan: Arc::clone(plan) };
        let cause = Cause { by: by.clone(), key: None };
        // A crash between the two loses no place: a room is shut last, and set up first.
        if plan.policy.queue.is_none() {
            entry.live().insist(replan, cause).await?;
            self.configure_room(entry, plan, by).await
        } else {
            self.configure_room(entry, plan, by).await?;
            entry.live().insist(replan, cause).await.map(drop)
        }
    }

    fn configuration(&self, plan: &Plan) -> waiting_room::Command {
        let settings = Settings::of(plan, self.directory.core.limits.keys_max).map(Box::new);
        waiting_room::Command::Configure { settings, seed: random_seed() }
    }

    /// Has a schedule's waiting room run by the schedule's plan.
    async fn configure_room(
        &self,
        entry: &Arc<ScheduleEntry>,
        plan: &Plan,
        by: &By,
    ) -> Result<(), EngineError> {
        let room = entry.room().live();
        if plan.policy.queue.is_some() {
            room.start(&self.directory.core).await;
        }
        if room.actor().is_none() {
            return Ok(());
        }
        room.insist(self.configuration(plan), Cause { by: by.clone(), key: None }).await.map(drop)
    }

    /// Makes events of the catalogue durable, in one entry, and shows them.
    async fn append(
        &self,
        events: Vec<CatalogueEvent>,
        now: Timestamp,
        cause: Cause,
    ) -> Result<(), EngineError> {
        let happened = stamp(events, now, &cause);
        let version = self.directory.core.catalogue().version();
        let records = encode(version, &happened).map_err(|error| {
            let detail = error.to_string();
            EngineError::from(CatalogueRefusal::Invalid(vec![FieldError::new("", detail)]))
        })?;

        let directory = Arc::clone(&self.directory);
        let show = move || show(&directory, &happened);
        Appended::to(&self.directory.core.journal, records, show).await.done().await
    }
}

/// An entry that is on its way to the journal.
struct Appended(oneshot::Receiver<Result<(), EngineError>>);

impl Appended {
    /// Hands an entry over; `show` runs once it is durable.
    async fn to(journal: &Journal, records: Records, show: impl FnOnce() + Send + 'static) -> Self {
        let (sender, receiver) = oneshot::channel();
        let parked = Parked {
            records,
            ahead: true,
            publish: show,
            outcome: Ok(()),
            reply: |outcome| drop(sender.send(outcome)),
        };
        if let Some(entry) = parked.entry() {
            append(entry, journal).await;
        }
        Self(receiver)
    }

    /// Waits until it is durable and shown.
    async fn done(self) -> Result<(), EngineError> {
        // A writer that is gone without an answer leaves the outcome unknown.
        self.0.await.map_err(|_| EngineError::OutcomeUnknown)?
    }
}

/// Asks schedules, each for its own, all at once; returns when all have answered, durably.
async fn ask_all(commands: Vec<(Arc<ScheduleEntry>, AnyCommand)>, by: &By) -> Result<(), EngineError> {
    let ask = |(entry, command): (Arc<ScheduleEntry>, AnyCommand)| {
        let cause = Cause { by: by.clone(), key: None };
        tokio::spawn(async move { entry.live().insist(command, cause).await })
    };
    let asked: Vec<_> = commands.into_iter().map(ask).collect();
    let mut outcome = Ok(());
    for answer in asked {
        let answer = answer.await.map_err(|_| EngineError::OutcomeUnknown);
        outcome = outcome.and(answer.and_then(|answer| answer.map(drop)));
    }
    outcome
}

/// Adds the announcements of new plans to what a change brings, and returns the cause of its events: without the key, where that is to
/// be kept once the plans are followed.
fn announce(
    replanned: Vec<(ScheduleId, ConcertId, Arc<Plan>)>,
    events: &mut Vec<CatalogueEvent>,
    cause: Cause,
) -> Cause {
    if replanned.is_empty() {
        return cause;
    }
    let last = replanned.len() - 1;
    let begun = replanned.into_iter().enumerate().map(|(index, (id, _, plan))| {
        let key = cause.key.filter(|_| index == last);
        CatalogueEvent::ReplanBegun { id, plan, key }
    });
    events.extend(begun);
    Cause { by: cause.by, key: None }
}

/// Shows what has just become durable. Runs on the journal's writer, in order.
fn show(directory: &Directory, happened: &[CatalogueHappened]) {
    directory.core.publish_catalogue(happened);
    // The catalogue comes first: who looks finds a schedule here, or that it is in the archive.
    for CatalogueHappened { event, .. } in happened {
        if let CatalogueEvent::ScheduleArchived { id, .. } = event {
            directory.let_go(id);
            directory.forget_ended(id);
        } else if let CatalogueEvent::ScheduleUnlisted(id) = event {
            directory.forget_ended(id);
        }
    }
}

/// The key belongs to the last event: when that is there, all of them are.
fn stamp(events: Vec<CatalogueEvent>, at: Timestamp, cause: &Cause) -> Vec<CatalogueHappened> {
    let last = events.len().saturating_sub(1);
    let stamped = |(index, event)| {
        let key = cause.key.filter(|_| index == last);
        CatalogueHappened { event, at, cause: Cause { by: cause.by.clone(), key } }
    };
    events.into_iter().enumerate().map(stamped).collect()
}

fn encode(version: u64, happened: &[CatalogueHappened]) -> Result<Records, EntryTooLarge> {
    let mut records = Records::new();
    for (version, CatalogueHappened { event, at, cause }) in (version + 1..).zip(happened) {
        records.push_with(|bytes| {
            record::encode_fact(bytes, version, *at, cause.clone(), FactRef::Catalogue(event));
            Ok::<(), EntryTooLarge>(())
        })?;
    }
    Ok(records)
}

fn put_concert(
    draft: &mut CatalogueDraft,
    directory: &Directory,
    concert: Concert,
    now: Timestamp,
) -> Result<Put, CatalogueRefusal> {
    let fixed = directory.prices_are_fixed(&concert.id, now);
    draft.put_concert(concert, fixed)
}

/// Says which item of an import is refused.
fn at_item(refusal: CatalogueRefusal, list: &str, index: usize, id: &str) -> CatalogueRefusal {
    match refusal {
        CatalogueRefusal::Invalid(errors) => {
            let placed = |error: FieldError| FieldError {
                field: format!("{list}[{index}].{}", error.field),
                detail: error.detail,
            };
            CatalogueRefusal::Invalid(errors.into_iter().map(placed).collect())
        }
        CatalogueRefusal::InUse(why) => CatalogueRefusal::InUse(format!("{list}[{index}] ({id}): {why}")),
        CatalogueRefusal::NotFound => refusal,
    }
}

fn repeated(change: &CatalogueChange) -> Changed {
    match change {
        CatalogueChange::Import(import) => Changed::Imported { counts: import.counts(), replayed: true },
        CatalogueChange::PutVenue(_) | CatalogueChange::PutConcert(_) | CatalogueChange::PutSchedule(..) => {
            Changed::Put(Put::Replaced)
        }
        CatalogueChange::RemoveVenue(_)
        | CatalogueChange::RemoveConcert(_)
        | CatalogueChange::RemoveSchedule(_)
        | CatalogueChange::OpenSchedule(_) => Changed::Removed { replayed: true },
    }
}
