//! Where `import`, `snapshot` and `export` do their work: in a running engine, or in the data directory of a stopped one.
//!
//! Both ways end at the same route, so that a document is checked and answered in the same way.
//!
//! Invariant: only an import makes a data directory, so that a mistyped one in a nightly backup is an error.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches};
use onsale::config::{Config, DemoError, Secret, existing_demo_secrets};
use serde_json::Value;

use super::answer::{Taker, success};
use super::client::Url;
use super::offline::{self, IfMissing};
use super::output::Failure;
use super::{load, settings};

/// The settings that these commands take as flags.
const SETTINGS: &[&str] = &["data_dir", "admin_token"];

/// Returns the flags that choose the engine.
pub(super) fn flags() -> Vec<Arg> {
    flags_and(&[])
}

/// Returns the flags that choose the engine, and those of more settings.
pub(super) fn flags_and(more: &[&str]) -> Vec<Arg> {
    let url = Arg::new("url")
        .long("url")
        .value_name("URL")
        .env("ONSALE_URL")
        .value_parser(Url::parse)
        .help("A running engine, such as http://127.0.0.1:8080 (http only). Without it, the data directory of a stopped engine is used");
    let mut flags = vec![url, demo_flag()];
    flags.extend(settings(&[SETTINGS, more].concat()));
    flags
}

/// Returns the flag `--demo` of commands that use the demonstration's secrets.
pub(super) fn demo_flag() -> Arg {
    Arg::new("demo")
        .long("demo")
        .action(ArgAction::SetTrue)
        .help("Use the secrets that `serve --demo` keeps in the data directory")
}

/// Reads the settings, and with `--demo` the secrets that a demonstration has made.
pub(super) fn load_with_secrets(matches: &ArgMatches) -> Result<Config, Failure> {
    let mut config = load(matches)?;
    if matches.get_flag("demo") {
        let secrets = existing_demo_secrets(&config.server.data_dir).map_err(|error| match error {
            DemoError::Missing { .. } => Failure::Usage(error.to_string()),
            DemoError::Io { .. } | DemoError::Damaged { .. } => Failure::failed(error),
        })?;
        config.apply_demo(&secrets);
    }
    Ok(config)
}

/// Sends a body to a route of the running or the stopped engine. An answer that isn't a success is a failure with its
/// reasons.
pub(super) fn post(
    matches: &ArgMatches,
    path: &str,
    body: Vec<u8>,
    if_missing: IfMissing,
) -> Result<Value, Failure> {
    let config = load_with_secrets(matches)?;
    let answer = match running(matches)? {
        Some(url) => url.post(path, bearer(&config)?.expose(), &body)?,
        None => offline::post(config, path, body, if_missing)?,
    };
    success(&answer)
}

/// Fetches a route's answer of any length from the running or the stopped engine, and hands over its bytes as they
/// come. An answer that isn't a success is a failure with its reasons.
pub(super) fn download(matches: &ArgMatches, path: &str, take: &mut Taker<'_>) -> Result<(), Failure> {
    let config = load_with_secrets(matches)?;
    let refused = match running(matches)? {
        Some(url) => url.download(path, bearer(&config)?.expose(), take)?,
        None => offline::download(config, path, take)?,
    };
    match refused {
        None => Ok(()),
        Some(answer) => success(&answer).map(drop),
    }
}

/// Returns the running engine's address, unless the data directory is meant: `--data-dir` goes before `ONSALE_URL`,
/// except with `--demo`, where the directory only says where the secrets are.
fn running(matches: &ArgMatches) -> Result<Option<&Url>, Failure> {
    let is_flag = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
    let names_directory = is_flag("data_dir") && !matches.get_flag("demo");
    if names_directory && is_flag("url") {
        return Err(Failure::Usage("--url and --data-dir name two engines: use only one of them".to_owned()));
    }
    Ok(matches.get_one::<Url>("url").filter(|_| !names_directory))
}

/// Returns the administrator's token: `ONSALE_TOKEN` if set, else the setting `admin_token`.
fn bearer(config: &Config) -> Result<Secret, Failure> {
    let token = std::env::var("ONSALE_TOKEN").ok().filter(|token| !token.is_empty()).map(Secret::new);
    let token = token.or_else(|| config.auth.admin_token.clone()).ok_or_else(|| {
        Failure::Usage(
            "a running engine asks for an administrator's token: set ONSALE_ADMIN_TOKEN (or --admin-token) to its \
             admin_token, set ONSALE_TOKEN to a token with the role admin, or use --demo"
                .to_owned(),
        )
    })?;
    if token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(token)
    } else {
        Err(Failure::Usage("ONSALE_TOKEN must be visible ASCII characters".to_owned()))
    }
}
