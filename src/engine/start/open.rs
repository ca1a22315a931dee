//! Opening the engine: snapshot → replay → aggregates → bridge the outage → actors.

use core::mem;
use core::sync::atomic::AtomicU64;
use std::sync::Arc;

use aws_lc_rs::hmac;
use kameo::actor::Spawn;
use kameo::mailbox;

use super::now_and_then::snapshot_now_and_then;
use super::outage::Bridge;
use crate::archive::{Archive, ArchiveError};
use crate::clock::{Clock, Stopwatch};
use crate::domain::time::Timestamp;
use crate::engine::archive::{ArchiveAccess, archive_now_and_then};
use crate::engine::catalogue::CatalogueActor;
use crate::engine::core::{Core, Effects, Published};
use crate::engine::directory::{Directory, Setup, secret_for};
use crate::engine::follow::follow;
use crate::engine::payments::sweep;
use crate::engine::room::Passes;
use crate::engine::seal::Seal;
use crate::engine::supervisor::Supervisor;
use crate::engine::{Engine, EngineConfig, numbers};
use crate::journal::snapshot::SnapshotError;
use crate::journal::{
    CommitError, CommitStats, Hooks, Journal, OpenError, Position, ReadError, Recovering, StoreError,
};
use crate::recovery::{RebuildError, Rebuilt, Start, Until, Visit, World, rebuild};

/// How many messages may wait for the catalogue's actor.
const CATALOGUE_MAILBOX_LEN: usize = 256;

/// How long the engine may be down while one process of several hands it to the next, and nobody has lost time by it.
const HAND_OVER_MAX_MILLIS: u64 = 500;

/// Why an engine can't be opened. What an operator would want to look at is as it was.
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
    /// A snapshot stands for more than the journal has. It would bring back events that the journal doesn't know, and new records
    /// would take the places of lost ones.
    #[error(
        "the snapshot at position {snapshot} stands for more than the journal, which ends at {journal}: either the journal has lost \
         its end, or files of two copies of the directory were mixed. Nothing was changed. Restore one copy whole, into an empty \
         directory"
    )]
    SnapshotAhead {
        /// The position that it stands for.
        snapshot: Position,
        /// The position of the journal's last record.
        journal: Position,
    },
    /// What is read can't be replayed.
    #[error("{0}")]
    Rebuild(#[from] RebuildError),
    /// The archive can't be used, or lacks something that the journal says was moved there.
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
    /// Another process took the log over meanwhile; says which one.
    #[error("{0}")]
    Deposed(Arc<str>),
    /// Recovery panicked.
    #[error("recovery panicked: this is a bug")]
    Panicked,
}

impl EngineOpenError {
    /// Tells whether another process took the log over meanwhile.
    pub const fn is_deposed(&self) -> bool {
        matches!(
            self,
            Self::Deposed(_) | Self::Journal(OpenError::Store { source: StoreError::Deposed { .. }, .. })
        )
    }

    /// Says why an entry of a start isn't in the log.
    fn of_commit(error: CommitError, journal: &Journal) -> Self {
        match journal.failure() {
            Some(failure) if journal.is_deposed() => Self::Deposed(failure),
            Some(_) | None => Self::Commit(error),
        }
    }
}

struct Recovered {
    world: World,
    /// The position of the snapshot that recovery began with.
    snapshot: Option<Position>,
    /// How many records it read behind that.
    replayed: u64,
    journal: Recovering,
    archive: Archive,
}

pub(in crate::engine) async fn open(config: EngineConfig) -> Result<Engine, EngineOpenError> {
    let watch = Stopwatch::start();
    let (journal, medium, node) = (config.journal.clone(), config.medium.clone(), config.node.clone());
    let recovered = config.journal.driver.run_blocking(move || {
        let opened = match (medium, node) {
            (Some(medium), _) => Journal::open_in(journal.clone(), medium)?,
            (None, Some(node)) => Journal::open_as(journal.clone(), &node)?,
            (None, None) => Journal::open(journal.clone())?,
        };
        recover(&journal.dir, opened)
    });
    let Recovered { mut world, snapshot, replayed, journal: recovering, archive } =
        recovered.await.map_err(|_| EngineOpenError::Panicked)??;

    // A clock that can't be right is refused before anything is written.
    let down_since = down_since(&recovering, &world);
    let known = down_since.max(world.last_instant());
    config.clock_limit.check(config.clock.now(), known, &world)?;
    config.clock.advance_to(known);

    let (last, key) = (recovering.last(), recovering.fingerprint_key());
    let newest = snapshot.unwrap_or(Position::START);
    let snapshot_bytes = recovering.snapshot_len(newest);
    // Whatever is written from here on can be repeated by a start that follows one that died.
    let journal = recovering.start_down_since(hooks(&config.clock), down_since.as_millis())?;
    // What is handed over in a moment extends nobody's hold.
    let hand_over = if config.node.is_some() { HAND_OVER_MAX_MILLIS } else { 0 };
    let bridge = Bridge { journal: &journal, limits: config.limits(), down_since, hand_over };
    let crossed = bridge.cross(&mut world, config.clock.as_ref()).await;
    crossed.map_err(|error| EngineOpenError::of_commit(error, &journal))?;

    let count = world.schedules.len();
    let directory = directory_of(&config, world, journal, &key, archive, (snapshot, replayed));
    let engine = start(&config, directory).await;

    // Payments that were under way go on beside the first requests.
    for payments in engine.directory.ledgers.all_payments() {
        let number = payments.read().schedule();
        if engine.directory.schedule_by_number(number).is_none() {
            // Of a schedule that was deleted: its users find their payments all the same.
            let users: Vec<_> = payments.read().iter().map(|payment| payment.user.clone()).collect();
            for user in users {
                engine.directory.note_user(user, number);
            }
        }
        engine.directory.settle(number);
    }

    // No drive says so: a refund of that service is nobody's step.
    let refunds = engine.directory.ledgers.refunds_without_service();
    if refunds > 0 {
        tracing::warn!(
            refunds,
            "refunds are owed by your own payment service, and its reports aren't taken: start with external.secret"
        );
    }

    metrics::gauge!("onsale_snapshot_position").set(numbers::value(newest.get()));
    metrics::gauge!("onsale_snapshot_bytes").set(numbers::value(snapshot_bytes));
    metrics::gauge!("onsale_recovery_seconds").set(watch.elapsed().as_secs_f64());

    let seconds = watch.elapsed().as_secs_f64();
    tracing::info!(position = last.get(), schedules = count, seconds, "recovered");
    Ok(engine)
}

/// Makes the directory of all that was recovered, whose actors don't run yet.
fn directory_of(
    config: &EngineConfig,
    mut world: World,
    journal: Journal,
    key: &[u8; 32],
    archive: Archive,
    (snapshot, replayed): (Option<Position>, u64),
) -> Arc<Directory> {
    let fingerprint_key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let archive = ArchiveAccess::new(archive, journal.driver());
    let core = Core {
        journal,
        clock: Arc::clone(&config.clock),
        limits: config.limits(),
        unpaid_holds_max: config.unpaid_holds_max,
        mailbox_len_max: config.mailbox_len_max,
        reply_timeout: config.reply_timeout,
        seal: Seal::new(&secret_for(&fingerprint_key, "onsale: numbers of ids")),
        supervisor: Supervisor::spawn(()),
        catalogue: Published::new(mem::take(&mut world.catalogue)),
        effects: Effects::default(),
    };
    let setup = Setup {
        core: Arc::new(core),
        passes: Passes::new(key),
        fingerprint_key,
        gateways: config.gateways.clone(),
        data_dir: config.journal.dir.clone(),
        last_snapshot: AtomicU64::new(snapshot.map_or(u64::MAX, Position::get)),
        snapshot_records: AtomicU64::new(replayed.wrapping_neg()),
        archive,
        archive_after: config.archive_after,
    };
    let directory = Arc::new(Directory::new(setup, world));

    // The directory owns the core: what the core has done elsewhere must not keep the directory.
    let above = Arc::downgrade(&directory);
    directory.core.effects.are_done_by(move |effect| {
        if let Some(directory) = above.upgrade() {
            follow(&directory, effect);
        }
    });
    directory
}

/// Returns the last instant at which the engine is known to have run.
fn down_since(journal: &Recovering, world: &World) -> Timestamp {
    // A start that died in its bridge has written events, although the engine didn't run: the mark still has the instant of before.
    if let Some(instant) = journal.unbridged_since() {
        return Timestamp::from_millis(instant);
    }
    let alive = journal.last_alive_instant().unwrap_or_default();
    Timestamp::from_millis(alive).max(world.last_instant())
}

async fn start(config: &EngineConfig, directory: Arc<Directory>) -> Engine {
    let (core, above) = (&directory.core, Arc::clone(&directory));
    let catalogue = CatalogueActor::supervise_with(&core.supervisor, move || Arc::clone(&above))
        .restart_policy(kameo::supervision::RestartPolicy::Transient)
        .spawn_with_mailbox(mailbox::bounded(CATALOGUE_MAILBOX_LEN))
        .await;
    // Its start has started every schedule's actor.
    catalogue.wait_for_startup().await;
    directory.start().await;

    let engine = Engine { directory, catalogue, tasks: Arc::new([]) };
    let snapshots = tokio::spawn(snapshot_now_and_then(engine.clone(), config.clone()));
    let archivist = tokio::spawn(archive_now_and_then(engine.clone()));
    let sweeper = tokio::spawn(sweep(Arc::clone(&engine.directory)));
    Engine { tasks: Arc::new([snapshots, archivist, sweeper]), ..engine }
}

fn recover(dir: &std::path::Path, journal: Recovering) -> Result<Recovered, EngineOpenError> {
    let all = &|_| Ok::<_, EngineOpenError>(true);

    let mut start = Start::default();
    if let Some(newest) = journal.newest_snapshot()? {
        let position = newest.header.position;
        if position > journal.last() {
            return Err(EngineOpenError::SnapshotAhead { snapshot: position, journal: journal.last() });
        }
        start = Start::of(&newest, World::default(), all)?;
    }

    let records = |after, visit: &mut Visit<'_, _>| journal.for_each(after, visit);
    let Rebuilt { world, snapshot, applied: replayed, .. } = rebuild([Ok(start)], records, Until::End, all)?;
    world.check_at(journal.last())?;

    let archive = Archive::open(dir, journal.log_id())?;
    archive.check(&world)?;
    Ok(Recovered { world, snapshot, replayed, journal, archive })
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
