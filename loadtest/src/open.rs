//! `open`: holds and releases at a fixed rate, whatever the server does (an open loop).

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::{
    bench::{Bench, Options, write_json},
    report::{self, Series},
    round::{Pace, round},
};

/// Holds and releases at a fixed rate, each with its latency from its intended instant.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Open {
    #[command(flatten)]
    pub(crate) options: Options,
    /// Requests a second.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
    /// The connections that arrivals are sent on, each by the first that is free.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) connections: u16,
}

/// Runs the command; returns whether the check passed.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn run(open: Open) -> Result<bool> {
    let Open { options, rate, connections } = open;
    let division = options.division(&[connections])?;
    options.check_total(1)?;
    let mut bench = Bench::start(&options, division).await?;
    println!(
        "{rate} requests/s for {} s on {connections} connections; latencies from the intended instants",
        options.seconds
    );
    let pace = Pace::Open(rate.into());
    // A start in the past would make the first arrivals late.
    let timing = options.timing(Duration::from_millis(50));
    let seen = round(&mut bench.onsale, connections.into(), &pace, timing, bench.clock).await;
    let seen = seen.map_err(|error| bench.explain(error))?;
    let series = Series { connections: connections.into(), name: "onsale", rounds: vec![seen] };
    let mut table = report::head();
    series.line(&mut table);
    print!("{table}");
    let findings = bench.finish(options.check_released).await?;
    print!("{}", report::findings(&findings));
    if let Some(path) = &options.json {
        let run = json!({
            "command": "open", "rate": rate, "seconds": options.seconds, "seats": options.seats,
            "users": options.users, "live": options.live, "contendedPermille": division.contended_permille,
            "series": [series.json()], "check": findings,
        });
        write_json(path, &run)?;
    }
    Ok(findings.faults.count == 0)
}
