//! What `SIGHUP` does to a running engine: secrets, tokens and keys are read again, so that they can be replaced without a stop.

use std::sync::Arc;

use clap::ArgMatches;
use onsale::config::{AuthConfig, demo_secrets};
use onsale::http::auth::Authenticator;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::load;
use super::output::Failure;

/// Reads them again at each `SIGHUP` until `shutdown`. What else changed in the settings counts at the next start.
pub(super) fn on_hangup(
    matches: ArgMatches,
    authenticator: Arc<Authenticator>,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let mut hangups = signal(SignalKind::hangup()).map_err(Failure::failed)?;
    tokio::spawn(async move {
        while let Some(Some(())) = shutdown.run_until_cancelled(hangups.recv()).await {
            let (matches, authenticator) = (matches.clone(), Arc::clone(&authenticator));
            let read = move || {
                let auth = settings(&matches).map_err(|failure| failure.to_string())?;
                authenticator.replace(&auth).map_err(|error| error.to_string())
            };
            match tokio::task::spawn_blocking(read).await {
                Ok(Ok(())) => tracing::info!(
                    "secrets, administrators' tokens and keys were read again; all other settings count at the next start"
                ),
                Ok(Err(error)) => tracing::error!(error, "nothing changed: the settings can't be used"),
                Err(error) => tracing::error!(%error, "the reading of the settings ended early"),
            }
        }
    });
    Ok(())
}

/// Reads what tokens are checked with, as a start does.
fn settings(matches: &ArgMatches) -> Result<AuthConfig, Failure> {
    let mut config = load(matches)?;
    if matches.get_flag("demo") {
        config.apply_demo(&demo_secrets(&config.server.data_dir).map_err(Failure::failed)?);
    }
    config.require_tokens().map_err(Failure::settings)?;
    Ok(config.auth)
}
