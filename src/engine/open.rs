//! Opening the engine: snapshot → replay → aggregates → bridge the outage → actors.

use std::sync::Arc;

use kameo::actor::Spawn;
use kameo::mailbox;

use super::catalogue_actor::{CatalogueActor, Supervisor};
use super::numbers;
use super::shared::{Shared, SharedParts, prices_of};
use super::{Engine, EngineConfig};
use crate::clock::{Clock, Stopwatch};
use crate::domain::concert::Prices;
use crate::domain::schedule::{Command, Event, Limits, Schedule};
use crate::domain::time::Timestamp;
use crate::journal::snapshot::{self, SnapshotError};
use crate::journal::{
    CommitError, CommitStats, Entry, EntryTooLarge, Hooks, Journal, OpenError, Position, ReadError, Records,
    Recovering,
};
use crate::record::{self, DecodeError};
use crate::recovery::{ReplayError, World};

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
    /// A record can't be decoded: it was written by a newer version, or damaged before its checksum was made.
    #[error(
        "the record at position {position} can't be read: {source}; run `onsale verify` on the data directory"
    )]
    Decode {
        /// Where it is.
        position: Position,
        /// What is wrong.
        source: DecodeError,
    },
    /// A record doesn't follow what came before it.
    #[error(
        "the journal doesn't continue at position {position}: {source}; run `onsale verify` on the data directory"
    )]
    Replay {
        /// Where.
        position: Position,
        /// What is wrong.
        source: ReplayError,
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
}

pub(super) async fn open(config: EngineConfig) -> Result<Engine, EngineOpenError> {
    let watch = Stopwatch::start();
    let (journal, medium) = (config.journal.clone(), config.medium.clone());
    let recovered = tokio::task::spawn_blocking(move || {
        let opened = match medium {
            Some(medium) => Journal::open_in(journal.clone(), medium)?,
            None => Journal::open(journal.clone())?,
        };
        recover(&journal.dir, opened)
    });
    let Recovered { mut world, snapshot, journal: recovering } =
        recovered.await.map_err(|_| EngineOpenError::Panicked)??;
    let alive = Timestamp::from_millis(recovering.last_alive_instant().unwrap_or_default());
    let down_since = alive.max(world.last_instant());
    config.clock.advance_to(down_since);

    let (last, key) = (recovering.last(), recovering.fingerprint_key());
    let journal = recovering.start(hooks(&config.clock))?;
    let bridged = Bridge { journal: &journal, limits: config.limits(), down_since };
    bridged.cross(&mut world, config.clock.as_ref()).await?;

    let World { catalogue, schedules } = world;
    let shared = Arc::new(Shared::new(SharedParts {
        journal,
        clock: Arc::clone(&config.clock),
        limits: config.limits(),
        mailbox_len_max: config.mailbox_len_max,
        reply_timeout: config.reply_timeout,
        fingerprint_key: key,
        catalogue,
        data_dir: config.journal.dir.clone(),
        last_snapshot: snapshot.map_or(u64::MAX, Position::get),
    }));
    let count = schedules.len();
    for (_, schedule) in schedules {
        shared.insert(schedule);
    }
    let engine = start(&config, shared).await;
    metrics::gauge!("onsale_recovery_seconds").set(watch.elapsed().as_secs_f64());
    tracing::info!(position = %last, schedules = count, elapsed = ?watch.elapsed(), "recovered");
    Ok(engine)
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
    let engine =
        Engine { shared, supervisor, catalogue, snapshots: Arc::new(tokio::spawn(std::future::ready(()))) };
    let snapshots = tokio::spawn(snapshot_now_and_then(engine.clone(), config.clone()));
    Engine { snapshots: Arc::new(snapshots), ..engine }
}

/// Takes a snapshot whenever enough has happened since the last, by count or by time.
async fn snapshot_now_and_then(engine: Engine, config: EngineConfig) {
    let mut durable = engine.journal().watch();
    let mut last = *durable.borrow_and_update();
    loop {
        let enough = |position: &Position| position.get() - last.get() >= config.snapshot_every_events;
        let counted = async { durable.wait_for(enough).await.is_ok() };
        match tokio::time::timeout(config.snapshot_every, counted).await {
            Ok(false) => return,
            Err(_) if engine.journal().durable() == last => continue,
            Ok(true) | Err(_) => {}
        }
        match engine.snapshot().await {
            Ok(position) => last = position,
            Err(error) => {
                tracing::warn!(%error, "no snapshot was taken");
                metrics::counter!("onsale_snapshots_failed_total").increment(1);
                if engine.journal().failure().is_some() {
                    return;
                }
                tokio::time::sleep(config.snapshot_every.min(std::time::Duration::from_secs(10))).await;
            }
        }
    }
}

fn recover(dir: &std::path::Path, journal: Recovering) -> Result<Recovered, EngineOpenError> {
    let mut world = World::default();
    let mut from = Position::default();
    let mut newest = None;
    if let Some(loaded) = snapshot::load_newest(dir, journal.log_id())?.snapshot {
        from = loaded.header.position;
        newest = Some(from);
        for section in &loaded.sections {
            let section = record::decode_section(section)
                .map_err(|source| EngineOpenError::Decode { position: from, source })?;
            world.restore(section).map_err(|source| EngineOpenError::Replay { position: from, source })?;
        }
    }
    journal.for_each(from, |position, bytes| {
        let record = record::decode(bytes).map_err(|source| EngineOpenError::Decode { position, source })?;
        world.apply(&record).map_err(|source| EngineOpenError::Replay { position, source })?;
        Ok::<(), EngineOpenError>(())
    })?;
    let position = journal.last();
    world.check().map_err(|source| EngineOpenError::Replay { position, source })?;
    Ok(Recovered { world, snapshot: newest, journal })
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
struct Bridge<'a> {
    journal: &'a Journal,
    limits: Limits,
    down_since: Timestamp,
}

impl Bridge<'_> {
    async fn cross(&self, world: &mut World, clock: &dyn Clock) -> Result<(), EngineOpenError> {
        let World { catalogue, schedules } = world;
        for schedule in schedules.values_mut() {
            let prices = || {
                prices_of(catalogue, schedule.concert(), schedule.layout())
                    .expect("a listed schedule's concert has a price for each of its grades")
            };
            let prices: Arc<Prices> = schedule.prices().cloned().unwrap_or_else(prices);
            let mut entries = vec![Records::new()];
            due(schedule, self.down_since, &prices, &mut entries);
            let ready = clock.now().max(self.down_since);
            for command in [
                Command::BridgeOutage { down_since: self.down_since },
                Command::SetLimits { limits: self.limits },
            ] {
                // What time has brought meanwhile (a sale that opens) isn't due before the bridge.
                if let Some(event) = schedule.decide_at_start(&command) {
                    happen(schedule, &event, ready, &mut entries);
                }
            }
            due(schedule, ready, &prices, &mut entries);
            for records in entries.into_iter().filter(|records| !records.is_empty()) {
                let done = Box::new(|_| {});
                self.journal.reserve().await?.send(Entry { records, done });
            }
        }
        self.journal.barrier().await?;
        Ok(())
    }
}

fn due(schedule: &mut Schedule, at: Timestamp, prices: &Arc<Prices>, entries: &mut Vec<Records>) {
    let at = at.max(schedule.last_instant());
    while let Some(event) = schedule.due(at, || Arc::clone(prices)) {
        happen(schedule, &event, at, entries);
    }
}

/// Applies an event and adds it to the last entry, or to a new one where that is large enough.
fn happen(schedule: &mut Schedule, event: &Event, at: Timestamp, entries: &mut Vec<Records>) {
    const ENTRY_BYTES: usize = 1 << 20;
    let at = at.max(schedule.last_instant());
    schedule.apply(event, at, None);
    if entries.last().is_none_or(|records| records.bytes().len() > ENTRY_BYTES) {
        entries.push(Records::new());
    }
    let records = entries.last_mut().expect("one was added if there was none");
    let (number, version) = (schedule.number(), schedule.version());
    records
        .push_with(|bytes| {
            record::encode_schedule_event(bytes, number, version, at, None, event);
            Ok::<(), EntryTooLarge>(())
        })
        .expect("an event fits in what an entry of 32 MiB has left above 1 MiB");
}
