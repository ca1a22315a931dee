//! `queue`: a crowd before the seats. It joins, it polls, it follows; and those inside hold seats meanwhile.
//!
//! `crowd` is who wants a place, `drive` many connections in a closed loop, `joins` and `polls` what they ask;
//! `streams` are the clients that follow, `events` what they read, `stage` what that costs; `order` says who must
//! stand before whom.

mod crowd;
mod events;
pub(crate) mod growth;
mod joins;
mod order;
mod polls;
mod room;
mod run;
mod stage;
mod streams;
#[cfg(test)]
mod tests;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    bench::write_json,
    files,
    report::{self, Series},
    start::ServerOptions,
};
use run::Run;

/// The most acknowledged holds that the crowd's check asks for.
const CHECK_RELEASED: u32 = 20_000;

/// A crowd in a waiting room: joins, polls and streams, and what the seats feel of it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Queue {
    #[command(flatten)]
    pub(crate) server: ServerOptions,
    /// How many join and wait.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub(crate) users: u32,
    /// Numbers of connections that polls are measured with; joins come on the greatest.
    #[arg(long, value_delimiter = ',', default_values_t = [64, 256], value_parser = clap::value_parser!(u16).range(1..=2_000))]
    pub(crate) connections: Vec<u16>,
    /// How often polls are measured with each, in turns with the echo.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=100))]
    pub(crate) rounds: u16,
    /// The measured seconds of a round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=60))]
    pub(crate) seconds: u16,
    /// Polls a second when they come at a pace, as those of a crowd do.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) poll_rate: u32,
    /// How many of those who wait follow their place by a stream; each needs a file here and one at the server.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(0..=25_000))]
    pub(crate) streams: u32,
    /// In how many seconds all of these are admitted.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(5..=600))]
    pub(crate) admit_seconds: u16,
    /// How many more join each second while there are streams.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) newcomers: u16,
    /// Holds and releases a second, by users who were admitted, on a schedule of their own instants.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=5_000))]
    pub(crate) hold_rate: u16,
    /// Leave the echo out.
    #[arg(long)]
    pub(crate) no_echo: bool,
    /// Write the figures as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<std::path::PathBuf>,
}

/// Runs the command; returns whether the check passed.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn run(queue: Queue) -> Result<bool> {
    ensure!(queue.streams <= queue.users, "--streams: more than --users");
    files::allow(u64::from(queue.streams) + u64::from(queue.most_connections()))?;
    println!(
        "{} users, {} of them with a stream; {} holds and releases a second by those inside",
        queue.users, queue.streams, queue.hold_rate
    );
    let mut run = Run::start(&queue).await?;
    let measured = run.measure(&queue).await;
    let mut figures = measured.map_err(|error| run.explain(error))?;

    let mut table = report::head();
    for series in &figures.series {
        series.line(&mut table);
    }
    for (connections, ratio) in &figures.ratios {
        report::ratio_line(*connections, *ratio, &mut table);
    }
    print!("{table}");
    if !figures.stages.is_empty() {
        let mut table = stage::head();
        figures.stages.iter().for_each(|stage| stage.line(&mut table));
        print!("{table}");
    }
    print!("{}", report::percentile_line("active, after the admission", &figures.lateness));
    let (least, most) = figures.clock_ahead;
    if !figures.lateness.is_empty() {
        println!("  (our clock is {least} to {most} ms ahead of the server's, by the joins)");
    }

    let faults = std::mem::take(&mut figures.faults);
    let mut findings = run.finish(CHECK_RELEASED).await?;
    findings.faults.merge(faults);
    if findings.faults.count == 0 {
        println!("check: {}", figures.checked.join("; "));
    }
    print!("{}", report::findings(&findings));
    if let Some(path) = &queue.json {
        let run = json!({
            "command": "queue", "users": queue.users, "streams": queue.streams, "seconds": queue.seconds,
            "rounds": queue.rounds, "pollRate": queue.poll_rate, "holdRate": queue.hold_rate, "newcomers": queue.newcomers,
            "series": figures.series.iter().map(Series::json).collect::<Vec<_>>(),
            "ratios": figures.ratios.iter().map(|(connections, ratio)| report::ratio_json(*connections, *ratio)).collect::<Vec<_>>(),
            "stages": figures.stages.iter().map(stage::Stage::json).collect::<Vec<_>>(),
            "lateness": report::percentiles_json(&figures.lateness),
            "clockAheadMillis": [least, most], "check": findings,
        });
        write_json(path, &run)?;
    }
    Ok(findings.faults.count == 0)
}

impl Queue {
    fn most_connections(&self) -> u16 {
        self.connections.iter().copied().max().unwrap_or(1)
    }
}
