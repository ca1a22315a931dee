//! `open`: holds and releases at a fixed rate, whatever the server does (an open loop).

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use serde_json::json;

use crate::{
    arrivals::Pattern,
    bench::{Bench, Options, write_json},
    flood::{self, Answered, Flood},
    html,
    report::{self, Series},
    round::{Pace, round},
};

/// The generator bounds a run where it uses more than this part of the machine's cores; the server needs the others.
const BUSY: f64 = 0.45;

/// Holds and releases at a fixed rate, each with its latency from its intended instant.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Open {
    #[command(flatten)]
    pub(crate) options: Options,
    /// Requests a second.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
    /// How they come: evenly, as independent strangers, or as when a sale opens (half of all in the first tenth of the time).
    #[arg(long, value_enum, default_value_t)]
    pub(crate) arrivals: Pattern,
    /// The connections that arrivals are sent on, each by the first that is free.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) connections: u16,
    /// How often it is measured.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rounds: u16,
    /// Measure each round once more while so many connections sign in, with addresses that nobody has.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub(crate) sign_ins: u16,
    /// Write a page with the figures and plots of latency and throughput.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// Runs the command; returns whether the check passed.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn run(open: Open) -> Result<bool> {
    let Open { options, rate, arrivals, connections, rounds, sign_ins, html } = open;
    let division = options.division(&[connections])?;
    options.check_total(u64::from(rounds) * if sign_ins > 0 { 2 } else { 1 })?;
    let mut bench = Bench::start(&options, division).await?;
    println!(
        "{rate} requests/s ({}) for {} s on {connections} connections; latencies from the intended instants",
        arrivals.name(),
        options.seconds
    );

    let pace = Pace::Open(arrivals, rate.into());
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
    let bound = generator_bound(&all);
    if let Some(bound) = &bound {
        table.push_str(bound);
        table.push('\n');
    }
    print!("{table}");
    if let Some(path) = &html {
        let mut words = vec![format!(
            "{rate} requests a second ({}) for {} s on {connections} connections, holds and releases; {rounds} rounds, of which the last is plotted over time.",
            arrivals.name(),
            options.seconds
        )];
        words.extend(bound);
        let document = html::page("onsale-loadtest open", &words, &all, options.seconds);
        std::fs::write(path, document).with_context(|| format!("writing {}", path.display()))?;
    }

    let findings = bench.finish(options.check_released).await?;
    print!("{}", report::findings(&findings));

    if let Some(path) = &options.json {
        let run = json!({
            "command": "open", "rate": rate, "arrivals": arrivals.name(), "seconds": options.seconds, "seats": options.seats,
            "users": options.users, "live": options.live, "contendedPermille": division.contended_permille,
            "rounds": rounds, "series": all.iter().map(Series::json).collect::<Vec<_>>(),
            "signIns": (sign_ins > 0).then(|| flood::json(sign_ins, &answered)), "check": findings,
        });
        write_json(path, &run)?;
    }

    Ok(findings.faults.count == 0)
}

/// Says whether the generator may have been what bounded a series.
fn generator_bound(all: &[Series]) -> Option<String> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cores = u64::try_from(cores).ok()?;
    let busy = |series: &&Series| {
        let total = series.total();
        let used = total.own_cpu_micros.unwrap_or_default();
        report::float(used) > BUSY * report::float(cores) * 1e6 * total.seconds
    };
    let series = all.iter().find(busy)?;
    Some(format!(
        "{}: the generator used over {:.0} % of the machine's cores, so it may be what bounds these figures",
        series.name,
        BUSY * 100.0
    ))
}
