//! `open`: holds and releases at a fixed rate, whatever the server does (an open loop).

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::{
    bench::{Bench, Options, write_json},
    flood::{self, Answered, Flood},
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
    /// How often it is measured.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rounds: u16,
    /// Measure each round once more while so many connections sign in, with addresses that nobody has.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub(crate) sign_ins: u16,
}

/// Runs the command; returns whether the check passed.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn run(open: Open) -> Result<bool> {
    let Open { options, rate, connections, rounds, sign_ins } = open;
    let division = options.division(&[connections])?;
    options.check_total(u64::from(rounds) * if sign_ins > 0 { 2 } else { 1 })?;
    let mut bench = Bench::start(&options, division).await?;
    println!(
        "{rate} requests/s for {} s on {connections} connections; latencies from the intended instants",
        options.seconds
    );

    let pace = Pace::Open(rate.into());
    // A start in the past would make the first arrivals late.
    let timing = options.timing(Duration::from_millis(50));
    let series = |name| Series { connections: connections.into(), name, rounds: Vec::new() };
    let mut all = vec![series("onsale")];
    if sign_ins > 0 {
        all.push(series("+ sign-ins"));
    }

    let mut answered = Answered::new();
    for number in 1..=rounds {
        for series in &mut all {
            let flood =
                (series.name != "onsale").then(|| Flood::start(bench.onsale.target, sign_ins, number));
            let seen = round(&mut bench.onsale, connections.into(), &pace, timing, bench.clock).await;
            series.rounds.push(seen.map_err(|error| bench.explain(error))?);
            if let Some(flood) = flood {
                flood.end(&mut answered).await.map_err(|error| bench.explain(error))?;
            }
        }
    }

    let mut table = report::head();
    for series in &all {
        series.line(&mut table);
    }

    if sign_ins > 0 {
        table.push_str(&flood::line(sign_ins, &answered, u64::from(rounds) * u64::from(options.seconds)));
    }
    print!("{table}");
    let findings = bench.finish(options.check_released).await?;
    print!("{}", report::findings(&findings));

    if let Some(path) = &options.json {
        let run = json!({
            "command": "open", "rate": rate, "seconds": options.seconds, "seats": options.seats,
            "users": options.users, "live": options.live, "contendedPermille": division.contended_permille,
            "rounds": rounds, "series": all.iter().map(Series::json).collect::<Vec<_>>(),
            "signIns": (sign_ins > 0).then(|| flood::json(sign_ins, &answered)), "check": findings,
        });
        write_json(path, &run)?;
    }

    Ok(findings.faults.count == 0)
}
