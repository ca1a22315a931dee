//! `onsale snapshot`: takes a snapshot now.

use clap::{ArgMatches, Command};
use serde_json::Value;

use super::engine_at;
use super::offline::IfMissing;
use super::output::{Failure, print};

pub(super) fn command() -> Command {
    Command::new("snapshot")
        .about("Take a snapshot now, in a running engine or in a stopped one's data directory")
        .args(engine_at::flags())
        .after_help(
            "EXAMPLES\n  onsale snapshot --url http://127.0.0.1:8080 \\\n    \
             --admin-token \"$ONSALE_ADMIN_TOKEN\"\n  \
             onsale snapshot --data-dir ./data\n\n\
             PRINTS\n  the position of the journal at which the snapshot was taken\n\n\
             EXIT CODES\n  0  taken\n  1  not taken: the reason is on standard error\n  2  wrong usage or settings",
        )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let taken = engine_at::post(matches, "/api/v1/admin/snapshots", Vec::new(), IfMissing::Refuse)?;
    // A position is opaque, and printed as the engine writes it.
    let position = match taken.get("position") {
        Some(Value::String(text)) => super::output::plain(text),
        Some(other) => other.to_string(),
        None => return Err(Failure::Failed("the engine's answer names no position".to_owned())),
    };
    print(&format!("a snapshot was taken at position {position}\n"))
}
