//! `open`: holds and releases at a fixed rate, whatever the server does (an open loop).

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::{
    arrivals::Pattern,
    bench::{Bench, Options, side, write_json},
    child::Small,
    flood::{self, Answered, Flood},
    html,
    lane::Lane,
    report::{self, Series},
    round::{Pace, round},
};

/// The generator bounds a run where it uses more than this part of the machine's cores; the server needs the others.
const BUSY: f64 = 0.45;
/// What the echo is called among the series.
const ECHO: &str = "echo";
/// The rounds in a closed loop that find the greatest rate: their median counts.
const MOST_ROUNDS: usize = 3;
/// Driven before each of them.
const WARM_UP: Duration = Duration::from_millis(300);

/// Holds and releases at a fixed rate, each with its latency from its intended instant.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Open {
    #[command(flatten)]
    pub(crate) options: Options,
    /// Requests a second. If absent, half of what `onsale` answers in a closed loop on as many connections, which is measured first.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: Option<u32>,
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
    /// Measure each round at a bare axum JSON echo, too, in turns.
    #[arg(long)]
    pub(crate) echo: bool,
    /// Write a page with the figures and plots of latency and throughput.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// Runs the command; returns whether the check passed.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn run(open: Open) -> Result<bool> {
    let Open { options, rate, arrivals, connections, rounds, sign_ins, echo, html } = open;
    let division = options.division(&[connections])?;
    let closed = if rate.is_none() { u64::try_from(MOST_ROUNDS)? } else { 0 };
    options.check_total(closed + u64::from(rounds) * (1 + u64::from(sign_ins > 0) + u64::from(echo)))?;
    let mut bench = Bench::start(&options, division).await?;
    let echo = if echo { Some(Small::echo(options.server.server_workers.into()).await?) } else { None };
    let mut echo_side = echo.as_ref().map(|echo| side(echo.target, echo.pid(), &bench.plan, division));
    let rate = match rate {
        Some(rate) => rate,
        None => half_of_most(&mut bench, connections, &options).await?,
    };
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
    if echo_side.is_some() {
        all.push(series(ECHO));
    }

    let mut answered = Answered::new();
    for number in 1..=rounds {
        for series in &mut all {
            if let (ECHO, Some(echo)) = (series.name, &mut echo_side) {
                let seen = round(echo, connections.into(), &pace, timing, bench.clock).await;
                series.rounds.push(seen.context("driving the echo")?);
                echo.lanes.iter_mut().for_each(Lane::forget);
                continue;
            }
            let flood =
                (series.name != "onsale").then(|| Flood::start(bench.onsale.target, sign_ins, number));
            let seen = round(&mut bench.onsale, connections.into(), &pace, timing, bench.clock).await;
            series.rounds.push(seen.map_err(|error| bench.explain(error))?);
            if let Some(flood) = flood {
                flood.end(&mut answered).await.map_err(|error| bench.explain(error))?;
            }
        }
    }
    drop(echo);

    let mut table = report::head();
    for series in &all {
        series.line(&mut table);
    }

    if sign_ins > 0 {
        table.push_str(&flood::line(sign_ins, &answered, u64::from(rounds) * u64::from(options.seconds)));
    }
    let to_echo = all.iter().find(|series| series.name == ECHO).and_then(|echo| report::p99s(&all[0], echo));
    if let Some(to_echo) = &to_echo {
        table.push_str(&to_echo.line());
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
            "p99ToEcho": to_echo.map(|to_echo| to_echo.ratio.json()), "signIns": (sign_ins > 0).then(|| flood::json(sign_ins, &answered)), "check": findings,
        });
        write_json(path, &run)?;
    }

    Ok(findings.faults.count == 0)
}

/// Measures what `onsale` answers in a closed loop, and returns half of it, a second.
#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn half_of_most(bench: &mut Bench, connections: u16, options: &Options) -> Result<u32> {
    let mut completed = Vec::with_capacity(MOST_ROUNDS);
    for _ in 0..MOST_ROUNDS {
        let timing = options.timing(WARM_UP);
        let seen = round(&mut bench.onsale, connections.into(), &Pace::Closed, timing, bench.clock).await;
        completed.push(seen.map_err(|error| bench.explain(error))?.completed);
    }

    completed.sort_unstable();
    let most = completed[MOST_ROUNDS / 2] / u64::from(options.seconds);
    println!("in a closed loop onsale answers {most} requests/s (median of {MOST_ROUNDS} rounds)");
    ensure!(most >= 2, "too few to send half of them");
    Ok(u32::try_from(most / 2)?)
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
