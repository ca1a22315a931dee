//! `onsale migrate`: brings a data directory of format 1 to format 2.

use std::sync::Arc;

use clap::{ArgMatches, Command};
use onsale::clock::{Clock, SystemClock};
use onsale::journal::{InspectError, StoreError};
use onsale::migrate::{MigrateError, migrate};

use super::output::{Failure, plain, print};
use super::{load, quiet_logs, rebuild, settings};

pub(super) fn command() -> Command {
    Command::new("migrate")
        .about("Bring a stopped engine's data directory from format 1 to format 2, and keep the old one beside it")
        .args(settings(&["data_dir"]))
        .after_help(
            "EXAMPLE\n  onsale migrate --data-dir ./data\n\n\
             KEEPS\n  every seat, payment, balance and user, ids, passes and idempotency keys, and payments that are under way. \
             History and the event feed begin anew: their past is only in the old directory, DIR.v1-<date>\n\n\
             PRINTS\n  the position behind which the journal goes on, and the path of the old directory\n\n\
             EXIT CODES\n  0  migrated\n  1  not migrated: the directory is as it was, and the reason is on standard error\n  \
             2  wrong usage, or an engine runs on the directory",
        )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let config = load(matches)?;
    quiet_logs(&config)?;
    rebuild::catch_panics();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let migrated = rebuild::guarded(|| migrate(&config.server.data_dir, clock.now()))
        .map_err(|contradiction| {
            Failure::Failed(format!("its records contradict each other: {contradiction}"))
        })?
        .map_err(
            |error| if is_usage(&error) { Failure::Usage(error.to_string()) } else { Failure::failed(error) },
        )?;
    let (position, old) = (migrated.position, migrated.old.display().to_string());
    print(&format!(
        "migrated: the journal goes on behind position {position}\nthe old directory is {}\n",
        plain(&old)
    ))
}

/// Tells whether the directory isn't one of a stopped engine of format 1.
fn is_usage(error: &MigrateError) -> bool {
    let MigrateError::Inspect(error) = error else { return false };
    let (other, in_use) = (
        matches!(
            error,
            InspectError::Nothing(_)
                | InspectError::Elsewhere(_)
                | InspectError::Migrated(_)
                | InspectError::Format(_)
        ),
        matches!(error, InspectError::Store(StoreError::Locked(_))),
    );
    other || in_use
}
