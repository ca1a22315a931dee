//! Whole sales: people who queue, look, hold, exchange, pay or go away, and cancel (`journeys`), and a show that sells out before a million of
//! them (`box`).
//!
//! A `person` is data and knows what comes next; the `agenda` says who is due; a `show` sends what they do on some connections and books it in the
//! `ledger`; `check` asks the server about all of that at the end. `figures` are what each kind of step took. `stage` is what has to be there first.

mod agenda;
mod bottleneck;
mod check;
mod figures;
pub(crate) mod in_a_box;
pub(crate) mod journeys;
mod ledger;
mod person;
mod show;
mod stage;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

/// What both commands are told of their crowd, and of what they leave.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CrowdOptions {
    /// The connections of those at the seats; as many more are for those in the waiting room.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) connections: u16,
    /// The same seed gives the same people.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Write the figures as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write a page with the figures and plots of latency and throughput.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}
