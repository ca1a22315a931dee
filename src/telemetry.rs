//! Logs and metrics, which are set up once at the start.
//!
//! Absent on purpose: a server for `/metrics` (the router has the route), and log files (the process's supervisor keeps
//! standard error).
//!
//! Invariant: every histogram has buckets: a `*_seconds` has those below, and the others are named when the recorder is
//! made.

mod listed;
mod process;

use core::time::Duration;
use std::io;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

pub use self::listed::register as register_metrics;
pub use self::process::Process;
use crate::config::{LogConfig, LogFormat};

/// The buckets of latencies: 50 µs to 10 s, in steps of about 2.
pub const SECONDS_BUCKETS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// How often histograms are emptied into their buckets. Otherwise they would grow between two scrapes.
const UPKEEP_SECONDS: u64 = 5;

/// Telemetry that can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter can't be read.
    #[error("log.filter isn't a filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The logs are set up already.
    #[error("the logs are set up already: {0}")]
    Logs(#[from] tracing_subscriber::util::TryInitError),
    /// The metrics are set up already, or a histogram's buckets are empty.
    #[error("the metrics can't be set up: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

/// Sends the process's logs to standard error as the configuration says, panics included.
///
/// # Errors
/// When the filter can't be read, or logs are set up already.
pub fn init_logs(config: &LogConfig) -> Result<(), TelemetryError> {
    init_logs_to(config, io::stderr)
}

/// Sends the process's logs to `writer`, panics included, where something else writes to standard error too.
///
/// # Errors
/// As [`init_logs`].
pub fn init_logs_to<W>(config: &LogConfig, writer: W) -> Result<(), TelemetryError>
where
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.filter)?;
    let registry = tracing_subscriber::registry().with(filter);
    match config.format {
        LogFormat::Human => registry
            .with(fmt::layer().with_writer(writer).with_ansi(io::IsTerminal::is_terminal(&io::stderr())))
            .try_init()?,
        LogFormat::Json => {
            registry.with(fmt::layer().json().with_writer(writer)).try_init()?;
        }
    }

    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let message = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or_default();
        // `Debug` escapes what may have come from a client, and the length is bounded.
        let message: String = message.chars().take(500).collect();
        tracing::error!(location, ?message, "a bug: panicked");
    }));
    Ok(())
}

/// Makes the recorder of the process's metrics, with every series that can be named beforehand, and keeps it up
/// until `shutdown`. `buckets` names the histograms that aren't `*_seconds`. Call it inside a
/// tokio runtime, before anything takes a metric's handle.
///
/// # Errors
/// When a recorder is installed already, or buckets are empty.
pub fn init_metrics(
    buckets: &[(&str, &[f64])],
    shutdown: CancellationToken,
) -> Result<PrometheusHandle, TelemetryError> {
    let mut builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS_BUCKETS)?;
    for (name, buckets) in buckets {
        builder = builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), buckets)?;
    }
    let handle = builder.install_recorder()?;
    register_metrics();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut rounds = tokio::time::interval(Duration::from_secs(UPKEEP_SECONDS));
        while shutdown.run_until_cancelled(rounds.tick()).await.is_some() {
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}
