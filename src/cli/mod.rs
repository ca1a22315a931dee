//! The command line: one file for each command, which parses, works and prints.
//!
//! A command's result goes to standard output; logs, progress and errors go to standard error. The exit codes are 0 done,
//! 1 not done, 2 wrong usage or settings, and of `serve` 3 taken over by another process. For `verify`, 1 means damaged; a second signal ends `serve` with 130 or 143.
//!
//! Absent on purpose: rules of the domain and formats on disk. `import` and `export` use the same routes as a client, in
//! this process or in a running one; `replay` and `verify` use the code of recovery.
//!
//! Invariants: no control character that a user typed reaches a terminal; no secret is printed, except the
//! demonstration's, and a token by `onsale token`.

mod answer;
mod backup;
mod client;
mod cluster;
mod crowd;
mod demo;
mod draw;
mod engine_at;
mod export;
mod gateways;
mod import;
mod map;
mod migrate;
mod mock_gateway;
mod node;
mod not_ready_server;
mod offline;
mod openapi;
mod output;
mod rebuild;
mod reconcile;
mod reload;
mod replay;
mod serve;
mod service_manager;
mod snapshot;
mod standby_server;
mod token;
mod urls;
mod verify;

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use onsale::config::{Config, LogConfig, Source};
use onsale::telemetry;

use self::output::Failure;

/// Runs the command that the command line names, and returns the exit code.
pub(crate) fn main() -> ExitCode {
    // clap prints help (exit code 0) and wrong usage (2) and exits.
    let matches = command().get_matches();
    let done = match matches.subcommand() {
        Some(("serve", matches)) => serve::run(matches),
        Some(("import", matches)) => import::run(matches),
        Some(("replay", matches)) => replay::run(matches),
        Some(("verify", matches)) => verify::run(matches),
        Some(("snapshot", matches)) => snapshot::run(matches),
        Some(("migrate", matches)) => migrate::run(matches),
        Some(("export", matches)) => export::run(matches),
        Some(("backup", matches)) => backup::run(matches),
        Some(("cluster", matches)) => cluster::run(matches),
        Some(("reconcile", matches)) => reconcile::run(matches),
        Some(("openapi", _)) => openapi::run(),
        Some(("token", matches)) => token::run(matches),
        Some(("mock-gateway", matches)) => mock_gateway::run(matches),
        Some((_, _)) | None => Err(Failure::Usage("there is no such command".to_owned())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn command() -> Command {
    Command::new("onsale")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Sells the seats of shows that sell out in a minute")
        .after_help(
            "EXAMPLE\n  onsale serve --demo\n\n\
             EXIT CODES\n  0  done\n  1  not done: the reason is on standard error\n  2  wrong usage or settings",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(serve::command())
        .subcommand(import::command())
        .subcommand(replay::command())
        .subcommand(verify::command())
        .subcommand(snapshot::command())
        .subcommand(migrate::command())
        .subcommand(export::command())
        .subcommand(backup::command())
        .subcommand(cluster::command())
        .subcommand(reconcile::command())
        .subcommand(openapi::command())
        .subcommand(token::command())
        .subcommand(mock_gateway::command())
}

/// Returns the flags of these settings, and `--config`.
fn settings(keys: &[&str]) -> impl Iterator<Item = clap::Arg> {
    Config::flags().into_iter().filter(move |flag| {
        let key = flag.get_id().as_str();
        key == "config" || keys.contains(&key)
    })
}

/// Reads the settings of a command.
fn load(matches: &ArgMatches) -> Result<Config, Failure> {
    // Every setting is UTF-8, so other variables are left out.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Config::load(matches, environment).map_err(Failure::settings)
}

/// Sends the logs of a command that isn't a server to standard error: only warnings, unless `log.filter` is set.
fn quiet_logs(config: &Config) -> Result<(), Failure> {
    let mut log: LogConfig = config.log.clone();
    if *config.source("log.filter") == Source::Default {
        "warn".clone_into(&mut log.filter);
    }
    telemetry::init_logs(&log).map_err(Failure::settings)
}
