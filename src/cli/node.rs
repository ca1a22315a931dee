//! A process among several that share a log: it stands by, opens the engine when it is its turn, and lets go when it ends.

use core::num::NonZero;
use core::time::Duration;
use std::sync::Arc;

use onsale::clock::Clock;
use onsale::cluster::{Drain, Reads};
use onsale::config::Config;
use onsale::domain::time::Seconds;
use onsale::engine::{Engine, EngineConfig, EngineOpenError};
use onsale::http::cluster::ClusterNode;
use onsale::journal::{LogRefused, Lost, Membership, NodeConfig, OpenError, Standing};
use tokio_util::sync::CancellationToken;

use super::offline;
use super::output::Failure;

/// How often the metrics are written though nothing changed.
const METRICS_EVERY: Duration = Duration::from_secs(1);
/// How long it may take to hear of a later life that has refused an append.
const LEARNT_WITHIN: Duration = Duration::from_secs(1);

/// Joins the cluster, where `cluster.address` says that this process is in one. Returns nothing if it isn't, or is stopped meanwhile.
pub(super) async fn join(
    config: &Config,
    clock: &Arc<dyn Clock>,
    shutdown: &CancellationToken,
) -> Result<Option<Membership>, Failure> {
    let Some(address) = config.cluster.address.clone() else { return Ok(None) };
    let engine = offline::engine_config(config, Arc::clone(clock));
    let stream = engine.journal.stream.clone().expect("the settings were checked");
    let now = Arc::clone(clock);
    let node = NodeConfig {
        address,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        settings: settings(&engine),
        clock: Arc::new(move || now.now().as_millis()),
    };
    tracing::info!(node = stream.node, address = node.address, "joins the cluster");

    let dir = engine.journal.dir;
    let joining = tokio::task::spawn_blocking(move || Membership::begin(&dir, &stream, node));
    let joined = tokio::select! {
        joined = joining => joined.map_err(Failure::failed)?,
        () = shutdown.cancelled() => return Ok(None),
    };
    let node = joined.map_err(|error| Failure::Failed(format!("this node can't start: {error}")))?;

    let (draining, stop) = (node.clone(), shutdown.clone());
    tokio::spawn(async move {
        stop.cancelled().await;
        draining.drain();
    });
    tokio::spawn(measure(node.clone()));
    Ok(Some(node))
}

/// Makes what this node's API is told: the cluster, until when it may answer, and how to have it hand over.
pub(super) fn of_api(node: &Membership, shutdown: &CancellationToken) -> ClusterNode {
    ClusterNode { view: node.view(), reads: node.reads(), drain: Drain::by(shutdown.clone()) }
}

/// Puts those settings in words that become events, whoever has the log.
fn settings(engine: &EngineConfig) -> String {
    let EngineConfig { ended_retention, keys_max, unpaid_holds_max, archive_after, .. } = engine;
    let archive_after = archive_after.map_or(0, Seconds::get);
    let unpaid = unpaid_holds_max.map_or(0, NonZero::get);
    format!("{} {keys_max} {unpaid} {archive_after}", ended_retention.get())
}

/// Opens the engine when it is this process's turn, and waits until nobody else answers. Returns nothing if it is stopped meanwhile.
pub(super) async fn open_in_turn(
    node: &Membership,
    config: &Config,
    shutdown: &CancellationToken,
    open: impl AsyncFn() -> Option<Result<Engine, EngineOpenError>>,
) -> Option<Result<Engine, Failure>> {
    loop {
        tokio::select! {
            turn = node.turn() => {
                if let Err(lost) = turn {
                    return Some(Err(taken_over(&lost)));
                }
            }
            () = shutdown.cancelled() => return None,
        }

        let engine = match open().await? {
            Err(EngineOpenError::Journal(OpenError::Refused(LogRefused::Late(_)))) => continue,
            Err(error) => {
                // An append that was refused is how it may learn first that another one has the log.
                let lost = tokio::time::timeout(LEARNT_WITHIN, node.lost()).await;
                return Some(Err(
                    lost.map_or_else(|_| offline::not_opened(&error, config), |lost| taken_over(&lost))
                ));
            }
            Ok(engine) => engine,
        };
        let waited = tokio::select! {
            waited = node.waited() => Some(waited),
            () = shutdown.cancelled() => None,
        };
        if let Some(Ok(())) = waited {
            return Some(Ok(engine));
        }
        if let Err(error) = engine.close().await {
            tracing::warn!(%error, "the engine that hadn't served yet isn't closed as it should be");
        }
        return waited?.err().map(|lost| Err(taken_over(&lost)));
    }
}

/// Ends the process once it has lost what it had, or can't go on: another one takes over then, and a service manager starts this one
/// again, to stand by.
pub(super) fn stop_when_lost(node: &Membership, engine: &Engine, shutdown: CancellationToken) {
    let (node, journal, reads) = (node.clone(), engine.journal().clone(), node.reads());
    tokio::spawn(async move {
        tokio::select! {
            lost = node.lost() => tracing::error!(%lost, "this process stops"),
            () = journal.deposed() => tracing::error!("another process has taken the log over: this one stops"),
            () = journal.closed() => {
                if !shutdown.is_cancelled() {
                    tracing::error!("the journal has failed: this process stops, so that another one takes over");
                }
            }
            () = shutdown.cancelled() => return,
        }
        end(&reads, &shutdown);
    });
}

/// Answers nothing more, and stops.
fn end(reads: &Reads, shutdown: &CancellationToken) {
    reads.end();
    shutdown.cancel();
}

/// Makes the failure of a process that lost what it had.
pub(super) fn taken_over(lost: &Lost) -> Failure {
    Failure::TakenOver(lost.to_string())
}

/// Writes the metrics of the cluster, as this node sees it.
async fn measure(node: Membership) {
    let mut view = node.view();
    let mut served = false;
    loop {
        let Standing { serves, epoch, lease_age, clock_apart, alive, known, has_owner } = node.standing();
        let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        metrics::gauge!("onsale_cluster_serves").set(number(serves.into()));
        metrics::gauge!("onsale_cluster_has_owner").set(number(has_owner.into()));
        metrics::gauge!("onsale_cluster_nodes_alive").set(number(alive));
        metrics::gauge!("onsale_cluster_nodes").set(number(known));
        metrics::gauge!("onsale_cluster_epoch").set(f64::from(u32::try_from(epoch).unwrap_or(u32::MAX)));
        metrics::gauge!("onsale_cluster_clock_apart_seconds").set(clock_apart.as_secs_f64());
        if let Some(age) = lease_age {
            metrics::gauge!("onsale_cluster_lease_age_seconds").set(age.as_secs_f64());
        }
        metrics::counter!("onsale_cluster_takeovers_total").increment(u64::from(serves && !served));
        served |= serves;

        // Whichever comes first; nobody but the process's end ends it.
        let _ = tokio::time::timeout(METRICS_EVERY, view.changed()).await;
    }
}
