//! Bridges an outage: nothing that lived through it loses time, and what a change had begun is finished.

use std::sync::Arc;

use crate::clock::Clock;
use crate::domain::catalogue::{Catalogue, CatalogueEvent, Listing};
use crate::domain::ids::ScheduleId;
use crate::domain::keys::KeyUse;
use crate::domain::schedule::{AnyCommand, Creation, Ended, Event, Limits, Schedule};
use crate::domain::time::Timestamp;
use crate::domain::waiting_room::{self, Settings, WaitingRoom};
use crate::engine::room::random_seed;
use crate::journal::{CommitError, Entry, EntryTooLarge, Journal, Records};
use crate::record;
use crate::recovery::World;

/// Crosses the time in which the engine was down: what ended before it ends, what lived through it gets
/// its time back, and new limits are told to everyone. All of it is durable before the first request.
///
/// A start may die anywhere in it. The mark keeps `down_since` until all of it is durable, so the next start crosses the same
/// outage; a schedule or a room that has an event behind that instant was crossed by the one that died, and lost
/// only the time since. So nothing else may happen to them before they are crossed.
pub(super) struct Bridge<'a> {
    pub(super) journal: &'a Journal,
    pub(super) limits: Limits,
    pub(super) down_since: Timestamp,
}

impl Bridge<'_> {
    pub(super) async fn cross(&self, world: &mut World, clock: &dyn Clock) -> Result<(), CommitError> {
        self.say_ended(world, clock).await?;
        self.create_listed(world, clock).await?;

        let World { catalogue, schedules, rooms, .. } = world;
        let replans = catalogue.replans().clone();
        for schedule in schedules.values_mut() {
            let mut entries = vec![Records::new()];
            let down_since = self.down_since.max(schedule.last_instant());
            // A change of prices that stopped halfway has not happened; a journal of before has them in the catalogue alone.
            let prices = catalogue.prices(schedule.concert(), schedule.layout());
            let prices = prices.expect("a listed schedule's concert has a price for each of its grades");
            if let Some(event) = schedule.decide_at_start(&AnyCommand::SetPrices { prices: Arc::new(prices) })
            {
                happen(schedule, &event, down_since, &mut entries);
            }
            due(schedule, down_since, &mut entries);
            let ready = clock.now().max(down_since);
            let bridge = AnyCommand::BridgeOutage { began: self.down_since, down_since };
            for command in [bridge, AnyCommand::SetLimits { limits: self.limits }] {
                // What time has brought meanwhile (a sale that opens) isn't due before the bridge.
                if let Some(event) = schedule.decide_at_start(&command) {
                    happen(schedule, &event, ready, &mut entries);
                }
            }
            due(schedule, ready, &mut entries);
            // An import that was begun is finished before anyone asks.
            if let Some(plan) = replans.plan(schedule.id()) {
                let replan =
                    AnyCommand::Replan { concert: schedule.concert().clone(), plan: Arc::clone(plan) };
                if let Ok(Some(event)) = schedule.decide(&replan, ready.max(schedule.last_instant())) {
                    happen(schedule, &event, ready, &mut entries);
                }
                due(schedule, ready, &mut entries);
            }
            let settings = Settings::of(schedule.plan(), self.limits.keys_max);
            if settings.is_some() || rooms.contains_key(&schedule.number()) {
                let number = schedule.number();
                let room = rooms.entry(number).or_insert_with(|| WaitingRoom::new(number));
                let mut of_room = Vec::new();
                self.cross_room(room, settings, ready, &mut of_room);
                entries.extend(of_room);
            }
            self.send(entries).await?;
        }
        if !replans.is_empty() {
            self.note(catalogue, &CatalogueEvent::ReplansDone, replans.key, clock).await?;
        }
        self.journal.bridged().await?;
        Ok(())
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
            let write = |bytes: &mut Vec<u8>| {
                record::encode_schedule_event(bytes, creation.number, 1, at, None, &event);
            };
            self.append(write).await?;
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
        let version = catalogue.version();
        self.append(|bytes| record::encode_catalogue_event(bytes, version, at, key, event)).await
    }

    /// Appends one record.
    async fn append(&self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), CommitError> {
        let mut entries = Vec::new();
        push(&mut entries, encode);
        self.send(entries).await
    }

    /// Appends entries, of which some may be empty.
    async fn send(&self, entries: Vec<Records>) -> Result<(), CommitError> {
        for records in entries.into_iter().filter(|records| !records.is_empty()) {
            self.journal.reserve().await?.send(Entry { records, done: Box::new(|_| {}) });
        }
        Ok(())
    }

    /// Who was just admitted gets the time back to show up, and the room follows what its schedule's plan has
    /// become, where the engine went down between the two.
    fn cross_room(
        &self,
        room: &mut WaitingRoom,
        settings: Option<Settings>,
        ready: Timestamp,
        entries: &mut Vec<Records>,
    ) {
        let at = ready.max(room.last_instant());
        let down_since = self.down_since.max(room.last_instant());
        let mut commands = vec![waiting_room::Command::BridgeOutage { down_since }];
        if room.configured() != settings.as_ref() {
            let kept = settings.as_ref().and_then(|settings| room.kept_tuning(settings));
            let settings = settings.map(Box::new);
            commands.push(waiting_room::Command::Configure { settings, seed: random_seed() });
            commands.extend(kept.map(waiting_room::Command::Tune));
        }
        for command in commands {
            // None of these is refused.
            if let Ok(Some(event)) = room.decide(&command, at) {
                room.apply(&event, at, None);
                let (number, version) = (room.number(), room.version());
                push(entries, |bytes| {
                    record::encode_room_event(bytes, number, version, at, None, &event);
                });
            }
        }
    }
}

fn due(schedule: &mut Schedule, at: Timestamp, entries: &mut Vec<Records>) {
    let at = at.max(schedule.last_instant());
    while let Some(event) = schedule.due(at) {
        happen(schedule, &event, at, entries);
    }
}

fn happen(schedule: &mut Schedule, event: &Event, at: Timestamp, entries: &mut Vec<Records>) {
    let at = at.max(schedule.last_instant());
    schedule.apply(event, at, None);
    let (number, version) = (schedule.number(), schedule.version());
    push(entries, |bytes| record::encode_schedule_event(bytes, number, version, at, None, event));
}

/// Adds an event to the last entry, or to a new one where that is large enough.
fn push(entries: &mut Vec<Records>, encode: impl FnOnce(&mut Vec<u8>)) {
    const ENTRY_BYTES: usize = 1 << 20;
    if entries.last().is_none_or(|records| records.bytes().len() > ENTRY_BYTES) {
        entries.push(Records::new());
    }
    let records = entries.last_mut().expect("one was added if there was none");
    records
        .push_with(|bytes| {
            encode(bytes);
            Ok::<(), EntryTooLarge>(())
        })
        .expect("an event fits in what an entry of 32 MiB has left above 1 MiB");
}
