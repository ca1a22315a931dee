//! What `SIGHUP` does to a running engine: secrets, tokens and keys are read again, so that they can be replaced without a stop.

use std::sync::Arc;

use clap::ArgMatches;
use onsale::config::{Config, demo_secrets};
use onsale::http::auth::Authenticator;
use onsale::http::mail_hook::MailHook;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::output::Failure;
use super::{gateways, load};

/// Takes the hangups from now on, so that none of them ends the process.
pub(super) fn hangups() -> Result<Signal, Failure> {
    signal(SignalKind::hangup()).map_err(Failure::failed)
}

/// Reads them again at each `SIGHUP` until `shutdown`. What else has changed since the start counts at the next one, and is named.
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
                    tracing::error!(error, "nothing changed: the settings can't be used");
                }
                Err(error) => tracing::error!(%error, "the reading of the settings ended early"),
            }
        }
    });
}

/// Warns of what a reload doesn't do, and of what it does beside what was meant.
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
            "what a token must say has changed: those that were given out before and don't say it are refused from now on, the \
             sign-in's own, too"
        );
    }
}

/// Says whether a reload takes a setting.
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
    // What the next start would refuse is no setting to go on with.
    MailHook::of(&config.mail).map_err(Failure::settings)?;
    gateways::of(&config)?;
    Ok(config)
}
