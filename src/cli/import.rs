//! `onsale import`: venues, concerts and schedules from one file, all or nothing.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, value_parser};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::output::{Failure, count, plain, print};
use super::target;

/// The largest setting of `limits.large_body_bytes_max`; the engine's own limit answers below it.
const FILE_LEN_MAX: u64 = 1 << 30;

pub(super) fn command() -> Command {
    let file = Arg::new("file").value_name("FILE").required(true).value_parser(value_parser!(PathBuf)).help(
        "The document: {\"venues\": [...], \"concerts\": [...], \"schedules\": [...]}; - for standard input",
    );
    Command::new("import")
        .about("Import venues, concerts and schedules, all or nothing")
        .arg(file)
        .args(target::flags())
        .after_help(
            "EXAMPLES\n  onsale import season.json --url http://127.0.0.1:8080 --admin-token \"$ONSALE_ADMIN_TOKEN\"\n  \
             onsale import season.json --data-dir ./data\n\n\
             PRINTS\n  how many of each the document names; what is there already and equal is left alone\n\n\
             EXIT CODES\n  0  imported\n  1  not imported: the reason is on standard error, field by field\n  \
             2  wrong usage or settings",
        )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let path =
        matches.get_one::<PathBuf>("file").ok_or_else(|| Failure::Usage("a file is needed".to_owned()))?;
    let document = read(path)?;
    let counts = target::post(matches, "/api/v1/import", document)?;
    let number = |name: &str| counts.get(name).and_then(Value::as_u64).unwrap_or_default();
    print(&format!(
        "imported {}, {}, {}\n",
        count(number("venues"), "venue"),
        count(number("concerts"), "concert"),
        count(number("schedules"), "schedule"),
    ))
}

/// Reads a file that is JSON; the engine wouldn't say where it isn't.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let name = plain(&path.display().to_string());
    let unreadable = |error: io::Error| Failure::Failed(format!("{name} can't be read: {error}"));
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(FILE_LEN_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        let file = File::open(path).map_err(unreadable)?;
        file.take(FILE_LEN_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    match serde_json::from_slice::<IgnoredAny>(&bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Failure::Failed(format!("{name} isn't JSON: {error}"))),
    }
}
