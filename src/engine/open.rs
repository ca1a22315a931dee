//! Opening the engine: snapshot → replay → aggregates → bridge the outage → actors.

use std::sync::Arc;

use kameo::actor::Spawn;
use kameo::mailbox;

use super::archived::archive_now_and_then;
use super::catalogue_actor::CatalogueActor;
use super::driving::sweep;
use super::live::Supervisor;
use super::money::Till;
use super::numbers;
use super::shared::{Shared, SharedParts, prices_of};
use super::{Engine, EngineConfig};
use crate::archive::{Archive, ArchiveError};
use crate::clock::{Clock, Stopwatch};
use crate::domain::catalogue::CatalogueEvent;
use crate::domain::cause::{By, Cause};
use crate::domain::concert::Prices;
use crate::domain::schedule::{AnyCommand, Event, Limits, Schedule};
use crate::domain::time::Timestamp;
use crate::domain::waiting_room::draw::Seed;
use crate::domain::waiting_room::{self, Settings, WaitingRoom};
use crate::journal::snapshot::{self, SnapshotError};
use crate::journal::{
    CommitError, CommitStats, Entry, EntryTooLarge, Hooks, Journal, OpenError, Position, ReadError, Records,
    Recovering,
};
use crate::record;
use crate::recovery::{RebuildError, Rebuilt, Start, Until, Visit, World, rebuild};

/// How many messages may wait for the catalogue's actor.
const CATALOGUE_MAILBOX_LEN: usize = 256;

/// Why an engine can't be opened. Nothing was changed that an operator would want to look at.
#[derive(Debug, thiserror::Error)]
pub enum EngineOpenError {
    /// The journal can't be opened.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The journal can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The snapshots can't be listed.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A snapshot stands for more than the journal has: it would bring back what the journal doesn't know, and what is appended next
    /// would stand where other records did.
    #[error(
        "the snapshot at position {snapshot} stands for more than the journal, which ends at {journal}: either the journal has lost \
         its end, or files of two copies of the directory were mixed. Nothing was changed. Restore one copy whole, into an empty \
         directory"
    )]
    SnapshotAhead {
        /// The snapshot's position.
        snapshot: Position,
        /// The journal's last.
        journal: Position,
    },
    /// What is read can't be replayed.
    #[error("{0}; run `onsale verify` on the data directory")]
    Rebuild(#[from] RebuildError),
    /// The archive can't be used, or lacks what the journal moved there.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The clock is implausibly far ahead of the log.
    #[error(
        "the clock says {now}, and the engine last ran at {known}: a wrong clock would close sales and end holds and tokens for \
         good. Nothing was changed. Look at the date from another source; if the clock is wrong, set it; if it is right, start \
         once with --clock-accept and today's date, such as --clock-accept 2027-01-31"
    )]
    Clock {
        /// What the clock says.
        now: Timestamp,
        /// The last instant that the log knows.
        known: Timestamp,
    },
    /// The journal failed while the outage was bridged.
    #[error("the journal failed at start: {0}")]
    Commit(#[from] CommitError),
    /// Recovery panicked.
    #[error("recovery panicked: this is a bug; run `onsale verify` on the data directory")]
    Panicked,
}

struct Recovered {
    world: World,
    /// The position of the snapshot that recovery began with.
    snapshot: Option<Position>,
    journal: Recovering,
    archive: Archive,
}

pub(super) async fn open(config: EngineConfig) -> Result<Engine, EngineOpenError> {
    let watch = Stopwatch::start();
    let (journal, medium) = (config.journal.clone(), config.medium.clone());
    let recovered = config.journal.driver.run_blocking(move || {
        let opened = match medium {
            Some(medium) => Journal::open_in(journal.clone(), medium)?,
            None => Journal::open(journal.clone())?,
        };
        recover(&journal.dir, opened)
    });
    let Recovered { mut world, snapshot, journal: recovering, archive } =
        recovered.await.map_err(|_| EngineOpenError::Panicked)??;
    let down_since = down_since(&recovering, &world);
    let known = down_since.max(world.last_instant());
    config.clock_limit.check(config.clock.now(), known, &world)?;
    config.clock.advance_to(known);

    let (last, key) = (recovering.last(), recovering.fingerprint_key());
    let journal = recovering.start_down_since(hooks(&config.clock), down_since.as_millis())?;
    let bridged = Bridge { journal: &journal, limits: config.limits(), down_since };
    bridged.cross(&mut world, config.clock.as_ref()).await?;

    let World { catalogue, schedules, mut rooms, accounts, payments, users, .. } = world;
    let shared = Arc::new(Shared::new(SharedParts {
        journal,
        clock: Arc::clone(&config.clock),
        limits: config.limits(),
        unpaid_holds_max: config.unpaid_holds_max,
        mailbox_len_max: config.mailbox_len_max,
        reply_timeout: config.reply_timeout,
        fingerprint_key: key,
        catalogue,
        data_dir: config.journal.dir.clone(),
        last_snapshot: snapshot.map_or(u64::MAX, Position::get),
        till: Till::new(accounts, payments, config.gateways.clone()),
        users,
        archive,
        archive_after: config.archive_after,
    }));
    let count = schedules.len();
    for (number, schedule) in schedules {
        let room = rooms.remove(&number).unwrap_or_else(|| WaitingRoom::new(number));
        shared.insert(schedule, room);
    }
    let engine = start(&config, shared).await;
    // What a former life left unfinished goes on beside the first requests.
    for payments in engine.shared.till.all_payments() {
        let number = payments.read().schedule();
        if engine.shared.schedule_by_number(number).is_none() {
            // Of a schedule that was deleted: its users find their payments all the same.
            let users: Vec<_> = payments.read().iter().map(|payment| payment.user.clone()).collect();
            for user in users {
                engine.shared.note_user(user, number);
            }
        }
        engine.shared.settle(number);
    }
    let newest = snapshot.unwrap_or(Position::START);
    let bytes = snapshot::len(&config.journal.dir, newest);
    metrics::gauge!("onsale_snapshot_position").set(numbers::value(newest.get()));
    metrics::gauge!("onsale_snapshot_bytes").set(numbers::value(bytes));
    metrics::gauge!("onsale_recovery_seconds").set(watch.elapsed().as_secs_f64());
    let seconds = watch.elapsed().as_secs_f64();
    tracing::info!(position = last.get(), schedules = count, seconds, "recovered");
    Ok(engine)
}

/// Returns the last instant at which the engine is known to have run.
fn down_since(journal: &Recovering, world: &World) -> Timestamp {
    // What a start that died had begun to write says nothing of when the engine ran.
    if let Some(instant) = journal.unbridged_since() {
        return Timestamp::from_millis(instant);
    }
    let alive = journal.last_alive_instant().unwrap_or_default();
    Timestamp::from_millis(alive).max(world.last_instant())
}

async fn start(config: &EngineConfig, shared: Arc<Shared>) -> Engine {
    let supervisor = Supervisor::spawn(());
    let (parent, state) = (supervisor.clone(), Arc::clone(&shared));
    let catalogue = CatalogueActor::supervise_with(&supervisor, move || (parent.clone(), Arc::clone(&state)))
        .restart_policy(kameo::supervision::RestartPolicy::Transient)
        .spawn_with_mailbox(mailbox::bounded(CATALOGUE_MAILBOX_LEN))
        .await;
    // Its start has started every schedule's actor.
    catalogue.wait_for_startup().await;
    shared.till.start(&supervisor, &shared).await;
    shared.users.start(&supervisor, &shared).await;
    let engine = Engine { shared, supervisor, catalogue, tasks: Arc::new([]) };
    let snapshots = tokio::spawn(snapshot_now_and_then(engine.clone(), config.clone()));
    let archivist = tokio::spawn(archive_now_and_then(engine.clone()));
    let sweeper = tokio::spawn(sweep(Arc::clone(&engine.shared)));
    Engine { tasks: Arc::new([snapshots, archivist, sweeper]), ..engine }
}

/// Takes a snapshot whenever enough has happened since the last, by count or by time.
async fn snapshot_now_and_then(engine: Engine, config: EngineConfig) {
    let journal = engine.journal();
    let mut durable = journal.watch();
    let (mut last, mut counted_from) = (*durable.borrow_and_update(), journal.records());
    loop {
        let enough = |_: &Position| journal.records() - counted_from >= config.snapshot_every_events;
        let counted = async { durable.wait_for(enough).await.is_ok() };
        match tokio::time::timeout(config.snapshot_every, counted).await {
            Ok(false) => return,
            Err(_) if engine.journal().durable() == last => continue,
            Ok(true) | Err(_) => {}
        }
        match engine.snapshot().await {
            Ok(position) => (last, counted_from) = (position, journal.records()),
            Err(error) => {
                tracing::warn!(%error, "no snapshot was taken");
                if engine.journal().failure().is_some() {
                    return;
                }
                tokio::time::sleep(config.snapshot_every.min(std::time::Duration::from_secs(10))).await;
            }
        }
    }
}

fn recover(dir: &std::path::Path, journal: Recovering) -> Result<Recovered, EngineOpenError> {
    let all = &|_| Ok::<_, EngineOpenError>(true);
    let mut start = Start::default();
    if let Some(newest) = snapshot::load_newest(dir, journal.log_id())?.snapshot {
        let position = newest.header.position;
        if position > journal.last() {
            return Err(EngineOpenError::SnapshotAhead { snapshot: position, journal: journal.last() });
        }
        start = Start::of(&newest, World::default(), all)?;
    }
    let records = |after, visit: &mut Visit<'_, _>| journal.for_each(after, visit);
    let Rebuilt { world, snapshot, .. } = rebuild([Ok(start)], records, Until::End, all)?;
    world.check_at(journal.last())?;
    let archive = Archive::open(dir, journal.log_id())?;
    archive.check(&world)?;
    Ok(Recovered { world, snapshot, journal, archive })
}

fn hooks(clock: &Arc<dyn Clock>) -> Hooks {
    let clock = Arc::clone(clock);
    let observer = |stats: &CommitStats| {
        metrics::counter!("onsale_journal_events_total").increment(stats.records);
        metrics::counter!("onsale_journal_bytes_total").increment(stats.bytes);
        metrics::counter!("onsale_journal_syncs_total").increment(u64::from(stats.frames));
        metrics::histogram!("onsale_journal_batch_entries").record(numbers::len(stats.entries));
        metrics::histogram!("onsale_journal_write_seconds").record(numbers::seconds(stats.write_us));
        metrics::histogram!("onsale_journal_sync_seconds").record(numbers::seconds(stats.sync_us));
    };
    Hooks { clock: Arc::new(move || clock.now().as_millis()), observer: Arc::new(observer) }
}

/// Crosses the time in which the engine was down: what ended before it ends, what lived through it gets
/// its time back, and new limits are told to everyone. All of it is durable before the first request.
///
/// A start may die anywhere in it. The mark keeps `down_since` until all of it is durable, so the next start crosses the same
/// outage; a schedule or a room that has an event behind that instant was crossed by the one that died, and lost
/// only the time since. So nothing else may happen to them before they are crossed.
struct Bridge<'a> {
    journal: &'a Journal,
    limits: Limits,
    down_since: Timestamp,
}

impl Bridge<'_> {
    async fn cross(&self, world: &mut World, clock: &dyn Clock) -> Result<(), EngineOpenError> {
        let World { catalogue, schedules, rooms, .. } = world;
        let replans = catalogue.replans().clone();
        for schedule in schedules.values_mut() {
            let prices = || {
                prices_of(catalogue, schedule.concert(), schedule.layout())
                    .expect("a listed schedule's concert has a price for each of its grades")
            };
            let prices: Arc<Prices> = schedule.prices().cloned().unwrap_or_else(prices);
            let mut entries = vec![Records::new()];
            let down_since = self.down_since.max(schedule.last_instant());
            due(schedule, down_since, &prices, &mut entries);
            let ready = clock.now().max(down_since);
            let bridge = AnyCommand::BridgeOutage { began: self.down_since, down_since };
            for command in [bridge, AnyCommand::SetLimits { limits: self.limits }] {
                // What time has brought meanwhile (a sale that opens) isn't due before the bridge.
                if let Some(event) = schedule.decide_at_start(&command) {
                    happen(schedule, &event, ready, &mut entries);
                }
            }
            due(schedule, ready, &prices, &mut entries);
            // An import that was begun is finished before anyone asks.
            if let Some(plan) = replans.plan(schedule.id()) {
                let replan =
                    AnyCommand::Replan { concert: schedule.concert().clone(), plan: Arc::clone(plan) };
                if let Ok(Some(event)) = schedule.decide(&replan, ready.max(schedule.last_instant())) {
                    happen(schedule, &event, ready, &mut entries);
                }
                due(schedule, ready, &prices, &mut entries);
            }
            let settings = Settings::of(schedule.plan(), self.limits.keys_max);
            if settings.is_some() || rooms.contains_key(&schedule.number()) {
                let number = schedule.number();
                let room = rooms.entry(number).or_insert_with(|| WaitingRoom::new(number));
                self.cross_room(room, settings, ready, &mut entries);
            }
            for records in entries.into_iter().filter(|records| !records.is_empty()) {
                let done = Box::new(|_| {});
                self.journal.reserve().await?.send(Entry { records, done });
            }
        }
        if !replans.is_empty() {
            let (at, cause) =
                (clock.now().max(catalogue.last_instant()), Cause { by: By::Engine, key: replans.key });
            catalogue.apply(&CatalogueEvent::ReplansDone, at, replans.key);
            let mut entries = Vec::new();
            push(&mut entries, |bytes| {
                let done = &CatalogueEvent::ReplansDone;
                record::encode_catalogue_event(bytes, catalogue.version(), at, cause, done);
            });
            for records in entries {
                self.journal.reserve().await?.send(Entry { records, done: Box::new(|_| {}) });
            }
        }
        self.journal.bridged().await?;
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

fn due(schedule: &mut Schedule, at: Timestamp, prices: &Arc<Prices>, entries: &mut Vec<Records>) {
    let at = at.max(schedule.last_instant());
    while let Some(event) = schedule.due(at, || Arc::clone(prices)) {
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

/// Draws the seed of a draw that is to come.
pub(super) fn random_seed() -> Seed {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).expect("the system has randomness");
    Seed(seed)
}
