//! Bridges an outage: nothing that lived through it loses time, and what a change had begun is finished.

use std::sync::Arc;

use crate::clock::Clock;
use crate::domain::catalogue::{Catalogue, CatalogueEvent, Listing, Replans};
use crate::domain::ids::ScheduleId;
use crate::domain::keys::KeyUse;
use crate::domain::schedule::{AnyCommand, Creation, Ended, Event, Limits, Schedule};
use crate::domain::time::Timestamp;
use crate::domain::waiting_room::{self, Settings, WaitingRoom};
use crate::engine::room::random_seed;
use crate::journal::{CommitError, Entry, EntryTooLarge, Journal, Records};
use crate::record::{self, FactRef};
use crate::recovery::World;

/// Crosses the time in which the engine was down. Holds and passes that were over before it end; those that lived through it get
/// their time back; and everyone gets new limits. All of it is durable before the first request.
///
/// A start may die anywhere in it. The mark keeps `down_since` until all of it is durable, so the next start crosses the same
/// outage. A schedule or a room that has an event behind that instant was crossed by the start that died, and has lost
/// only the time since. So nothing else may happen to them before they are crossed.
pub(super) struct Bridge<'a> {
    pub(super) journal: &'a Journal,
    pub(super) limits: Limits,
    pub(super) down_since: Timestamp,
    /// An outage of fewer milliseconds gives nobody time back.
    pub(super) hand_over: u64,
}

impl Bridge<'_> {
    pub(super) async fn cross(&self, world: &mut World, clock: &dyn Clock) -> Result<(), CommitError> {
        self.say_ended(world, clock).await?;
        self.create_listed(world, clock).await?;

        let World { catalogue, schedules, rooms, .. } = world;
        let replans = catalogue.replans().clone();
        for schedule in schedules.values_mut() {
            let ready = clock.now().max(self.down_since).max(schedule.last_instant());
            let mut entries = self.cross_schedule(schedule, catalogue, &replans, ready);

            let (number, settings) = (schedule.number(), Settings::of(schedule.plan(), self.limits.keys_max));
            if settings.is_some() || rooms.contains_key(&number) {
                let room = rooms.entry(number).or_insert_with(|| WaitingRoom::new(number));
                entries.extend(self.cross_room(room, settings, ready));
            }
            self.send(entries).await?;
        }

        if !replans.is_empty() {
            self.note(catalogue, &CatalogueEvent::ReplansDone, replans.key, clock).await?;
        }
        self.journal.bridged().await
    }

    /// Ends what ended before the outage, gives what lived through it its time back, and finishes what was begun.
    fn cross_schedule(
        &self,
        schedule: &mut Schedule,
        catalogue: &Catalogue,
        replans: &Replans,
        ready: Timestamp,
    ) -> Vec<Records> {
        let mut entries = vec![Records::new()];
        let down_since = self.down_since.max(schedule.last_instant());

        // A change of prices that stopped halfway has not happened; a journal of before has them in the catalogue alone. Those of a
        // sale that opened are bound.
        if !schedule.has_opened() {
            let prices = catalogue.prices(schedule.concert(), schedule.layout());
            let prices = prices.expect("a listed schedule's concert has a price for each of its grades");
            at_start(schedule, &AnyCommand::SetPrices { prices: Arc::new(prices) }, down_since, &mut entries);
        }
        due(schedule, down_since, &mut entries);

        // What time has brought meanwhile (a sale that opens) isn't due before the bridge.
        if self.is_outage(ready) {
            let bridge = AnyCommand::BridgeOutage { began: self.down_since, down_since };
            at_start(schedule, &bridge, ready, &mut entries);
        }
        at_start(schedule, &AnyCommand::SetLimits { limits: self.limits }, ready, &mut entries);
        due(schedule, ready, &mut entries);

        // An import that was begun is finished before anyone asks.
        if let Some(plan) = replans.plan(schedule.id()) {
            let replan = AnyCommand::Replan { concert: schedule.concert().clone(), plan: Arc::clone(plan) };
            if let Ok(Some(event)) = schedule.decide(&replan, ready.max(schedule.last_instant())) {
                happen(schedule, &event, ready, &mut entries);
            }
            due(schedule, ready, &mut entries);
        }
        entries
    }

    fn is_outage(&self, ready: Timestamp) -> bool {
        ready.millis_since(self.down_since) >= self.hand_over
    }

    /// Gives who was just admitted the time back to show up, and has the room follow what its schedule's plan has become, where the
    /// engine went down between the two.
    fn cross_room(
        &self,
        room: &mut WaitingRoom,
        settings: Option<Settings>,
        ready: Timestamp,
    ) -> Vec<Records> {
        let at = ready.max(room.last_instant());
        let down_since = self.down_since.max(room.last_instant());

        let mut commands = Vec::new();
        if self.is_outage(ready) {
            commands.push(waiting_room::Command::BridgeOutage { down_since });
        }
        if room.configured() != settings.as_ref() {
            let kept = settings.as_ref().and_then(|settings| room.kept_tuning(settings));
            let settings = settings.map(Box::new);
            commands.push(waiting_room::Command::Configure { settings, seed: random_seed() });
            commands.extend(kept.map(waiting_room::Command::Tune));
        }

        let mut entries = Vec::new();
        for command in commands {
            // None of these is refused.
            if let Ok(Some(event)) = room.decide(&command, at) {
                room.apply(&event, at, None);
                push(&mut entries, room.version(), at, None, FactRef::WaitingRoom(room.number(), &event));
            }
        }
        entries
    }

    /// Has the catalogue say of the schedules whose streams have ended that they have.
    async fn say_ended(&self, world: &mut World, clock: &dyn Clock) -> Result<(), CommitError> {
        let listed =
            |(id, listing): (&ScheduleId, &Listing)| Some((id.clone(), *world.ended.get(&listing.number)?));
        let ended: Vec<_> = world.catalogue.schedules().filter_map(listed).collect();
        for (id, Ended { number, end, .. }) in ended {
            let (event, key) = CatalogueEvent::of_end(id, end);
            self.note(&mut world.catalogue, &event, key, clock).await?;
            world.ended.remove(&number);
        }
        Ok(())
    }

    /// Creates the schedules that are listed and don't exist yet, and says so.
    async fn create_listed(&self, world: &mut World, clock: &dyn Clock) -> Result<(), CommitError> {
        if world.catalogue.creations().is_empty() {
            return Ok(());
        }
        let to_be_created: Vec<_> = world.to_be_created().cloned().collect();
        for creation in to_be_created {
            let at = clock.now().max(self.down_since).max(world.catalogue.last_instant());
            world.create(&creation, at).expect("a listed schedule has its venue");
            let event = Event::Created(Box::new(Creation::clone(&creation)));
            self.append(1, at, None, FactRef::Schedule(creation.number, &event)).await?;
        }
        self.note(&mut world.catalogue, &CatalogueEvent::SchedulesCreated, None, clock).await
    }

    /// Has an event happen to the catalogue.
    async fn note(
        &self,
        catalogue: &mut Catalogue,
        event: &CatalogueEvent,
        key: Option<KeyUse>,
        clock: &dyn Clock,
    ) -> Result<(), CommitError> {
        let at = clock.now().max(catalogue.last_instant());
        catalogue.apply(event, at, key);
        self.append(catalogue.version(), at, key, FactRef::Catalogue(event)).await
    }

    /// Appends one record.
    async fn append(
        &self,
        version: u64,
        at: Timestamp,
        key: Option<KeyUse>,
        fact: FactRef<'_>,
    ) -> Result<(), CommitError> {
        let mut entries = Vec::new();
        push(&mut entries, version, at, key, fact);
        self.send(entries).await
    }

    /// Appends those entries that have records.
    async fn send(&self, entries: Vec<Records>) -> Result<(), CommitError> {
        for records in entries.into_iter().filter(|records| !records.is_empty()) {
            self.journal.reserve().await?.send(Entry { records, done: Box::new(|_| {}) });
        }
        Ok(())
    }
}

fn due(schedule: &mut Schedule, at: Timestamp, entries: &mut Vec<Records>) {
    let at = at.max(schedule.last_instant());
    while let Some(event) = schedule.due(at) {
        happen(schedule, &event, at, entries);
    }
}

/// Has a command happen that rests on no instant, if it changes anything.
fn at_start(schedule: &mut Schedule, command: &AnyCommand, at: Timestamp, entries: &mut Vec<Records>) {
    if let Some(event) = schedule.decide_at_start(command) {
        happen(schedule, &event, at, entries);
    }
}

fn happen(schedule: &mut Schedule, event: &Event, at: Timestamp, entries: &mut Vec<Records>) {
    let at = at.max(schedule.last_instant());
    let before = schedule.version();
    schedule.apply(event, at, None);
    assert_eq!(schedule.version(), before + 1, "an event is one version of its stream");
    push(entries, schedule.version(), at, None, FactRef::Schedule(schedule.number(), event));
}

/// Adds a record to the last entry, or to a new one where that is large enough. An entry has records of one stream.
fn push(entries: &mut Vec<Records>, version: u64, at: Timestamp, key: Option<KeyUse>, fact: FactRef<'_>) {
    const ENTRY_BYTES: usize = 1 << 20;
    if entries.last().is_none_or(|records| records.bytes().len() > ENTRY_BYTES) {
        entries.push(Records::new());
    }

    let records = entries.last_mut().expect("one was added if there was none");
    let encoded = records.push_with(|bytes| {
        record::encode_fact(bytes, version, at, key, fact);
        Ok::<(), EntryTooLarge>(())
    });
    encoded.expect("an event fits in what an entry of 32 MiB has left above 1 MiB");
}
