//! `SIGHUP`: a running engine reads secrets, tokens and keys again, so that they can be replaced without a stop.

use core::time::Duration;
use std::sync::Arc;

use clap::ArgMatches;
use onsale::config::{Config, demo_secrets};
use onsale::http::auth::Authenticator;
use onsale::http::mail_hook::MailHook;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::output::Failure;
use super::{gateways, load};

/// Receives hangups from now on, so that none of them ends the process.
pub(super) fn hangups() -> Result<Signal, Failure> {
    signal(SignalKind::hangup()).map_err(Failure::failed)
}

/// Reads the settings at each `SIGHUP` until `shutdown`, and applies the secrets, tokens and keys. Other settings that
/// have changed since the start are named in the log: they count at the next start.
pub(super) fn on_hangup(
    mut hangups: Signal,
    matches: ArgMatches,
    started: Config,
    authenticator: Arc<Authenticator>,
    shutdown: CancellationToken,
) {
    tokio::spawn(async move {
        let mut before = started.clone();
        while let Some(Some(())) = shutdown.run_until_cancelled(hangups.recv()).await {
            let (matches, authenticator) = (matches.clone(), Arc::clone(&authenticator));

            // Files are read on a blocking thread, so that no request waits for a disk.
            let read = move || {
                let config = settings(&matches).map_err(|failure| failure.to_string())?;
                authenticator.replace(&config.auth).map_err(|error| error.to_string())?;
                Ok(config)
            };

            match tokio::task::spawn_blocking(read).await {
                Ok(Ok(config)) => {
                    tracing::info!("secrets, administrators' tokens and keys were read again");
                    tell(&config, &before, &started);
                    before = config;
                }
                Ok(Err::<_, String>(error)) => {
                    tracing::error!(error, "the settings can't be used, so nothing changed");
                }
                Err(error) => tracing::error!(%error, "reading the settings failed"),
            }
        }
    });
}

/// Warns of changed settings that a reload doesn't apply, and of claims that refuse tokens issued before.
fn tell(config: &Config, before: &Config, started: &Config) {
    let mut waiting = config.changed_since(started);
    waiting.retain(|key| !is_reloaded(key));
    if !waiting.is_empty() {
        tracing::warn!(
            settings = waiting.join(", "),
            "these settings have changed and count at the next start"
        );
    }

    let mut claims = config.changed_since(before);
    claims.retain(|key| ["jwt_audience", "jwt_issuer", "jwt_person_claim"].contains(key));
    if !claims.is_empty() {
        tracing::warn!(
            settings = claims.join(", "),
            "the claims that a token must have have changed: tokens that were issued without them are refused from now on, those of \
             the built-in sign-in too"
        );
    }
}

/// Tells whether a reload applies a setting.
fn is_reloaded(key: &str) -> bool {
    key.starts_with("jwt_") || key.starts_with("admin_token") || key == "jwks_file"
}

/// Reads all settings as a start does.
fn settings(matches: &ArgMatches) -> Result<Config, Failure> {
    let mut config = load(matches)?;
    if matches.get_flag("demo") {
        config.apply_demo(&demo_secrets(&config.server.data_dir).map_err(Failure::failed)?);
    }
    config.require_tokens().map_err(Failure::settings)?;
    // A setting that the next start would refuse is an error now, although a reload doesn't apply it.
    MailHook::of(&config.mail, Duration::from_secs(config.limits.request_timeout_seconds))
        .map_err(Failure::settings)?;
    gateways::of(&config)?;
    Ok(config)
}
