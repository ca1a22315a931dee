//! `holds`: holds and releases from many connections, in turns at `onsale` and at the bare echo.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use crate::{
    bench::{BOOK_LEN_MAX, Bench, Options, side, write_json},
    child::Small,
    lane::Lane,
    report::{self, Series, ratio},
    round::{Pace, Side, Timing, round},
};

/// Driven before each round's measurement: connections and caches get warm.
const WARM_UP: Duration = Duration::from_millis(300);

/// Holds and releases in a closed loop, in turns at `onsale` and at a bare axum JSON echo.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Holds {
    #[command(flatten)]
    pub(crate) options: Options,
    /// Numbers of connections, each measured in every round.
    #[arg(long, value_delimiter = ',', default_values_t = [64, 256], value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) connections: Vec<u16>,
    /// How often each is measured.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rounds: u16,
    /// Leave the echo out.
    #[arg(long)]
    pub(crate) no_echo: bool,
    /// Kill the started server (SIGKILL) in the middle of one more round, start it again on the same
    /// data, and check the book then.
    #[arg(long, conflicts_with = "url")]
    pub(crate) kill: bool,
}

/// Runs the command; returns whether the check passed.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn run(holds: Holds) -> Result<bool> {
    let Holds { options, connections, rounds, no_echo, kill } = holds;
    let division = options.division(&connections)?;
    let runs = u64::from(rounds) * u64::try_from(connections.len())? * 2 + u64::from(kill);
    options.check_total(runs)?;
    let timing = options.timing(WARM_UP);

    let mut bench = Bench::start(&options, division).await?;
    let echo = if no_echo { None } else { Some(Small::echo(options.server.server_workers.into()).await?) };
    let mut echo_side = echo.as_ref().map(|echo| side(echo.target, echo.pid(), &bench.plan, division));
    println!(
        "{rounds} rounds of {} s each, onsale and echo in turns; {} seats, {} users, {} live holds a connection, {} ‰ of the holds contended",
        options.seconds, options.seats, options.users, options.live, division.contended_permille
    );

    let series = |name: &'static str| {
        let series =
            |&connections: &u16| Series { connections: connections.into(), name, rounds: Vec::new() };
        connections.iter().map(series).collect::<Vec<_>>()
    };
    let (mut ours, mut theirs) = (series("onsale"), series("echo"));
    for number in 1..=rounds {
        if !bench.has_room() {
            println!("fewer rounds: the book has {BOOK_LEN_MAX} acknowledged holds");
            break;
        }
        for (ours, theirs) in ours.iter_mut().zip(&mut theirs) {
            let driven = drive_both(&mut bench, &mut echo_side, ours, theirs, timing).await;
            driven.map_err(|error| bench.explain(error))?;
            let rates: Vec<_> = [&*ours, &*theirs].into_iter().filter_map(Series::last_rate).collect();
            println!("round {number}, {} connections: {}", ours.connections, rates.join(", "));
        }
    }
    drop(echo);

    let mut table = report::head();
    let mut figures = Vec::new();
    let mut ratios = Vec::new();
    for (ours, theirs) in ours.iter().zip(&theirs) {
        ours.line(&mut table);
        figures.push(ours.json());
        if let Some(ratio) = ratio(ours, theirs) {
            theirs.line(&mut table);
            figures.push(theirs.json());
            report::ratio_line(ours.connections, ratio, &mut table);
            ratios.push(report::ratio_json(ours.connections, ratio));
        }
    }
    print!("{table}");

    if kill {
        let killed = kill_midway(&mut bench, division.lanes, &options).await;
        let killed = killed.map_err(|error| bench.explain(error))?;
        println!("killed after {killed} more requests, and started again on the same data");
    }
    let findings = bench.finish(options.check_released).await?;
    print!("{}", report::findings(&findings));
    if let Some(path) = &options.json {
        let run = json!({
            "command": "holds", "seconds": options.seconds, "rounds": rounds, "seats": options.seats,
            "users": options.users, "live": options.live, "contendedPermille": division.contended_permille,
            "killed": kill, "series": figures, "ratios": ratios, "check": findings,
        });
        write_json(path, &run)?;
    }
    Ok(findings.faults.count == 0)
}

/// Drives `onsale`, then the echo, once.
async fn drive_both(
    bench: &mut Bench,
    echo: &mut Option<Side>,
    ours: &mut Series,
    theirs: &mut Series,
    timing: Timing,
) -> Result<()> {
    let seen = round(&mut bench.onsale, ours.connections, &Pace::Closed, timing, bench.clock).await;
    ours.rounds.push(seen.context("driving onsale")?);
    if let Some(echo) = echo {
        let seen = round(echo, theirs.connections, &Pace::Closed, timing, bench.clock).await;
        theirs.rounds.push(seen.context("driving the echo")?);
        echo.lanes.iter_mut().for_each(Lane::forget);
    }
    Ok(())
}

/// Kills the server in the middle of a round and starts it again; returns the requests that were
/// answered in that round.
async fn kill_midway(bench: &mut Bench, lanes: u32, options: &Options) -> Result<u64> {
    let server = bench.server.as_mut().context("only a server that was started here is killed")?;
    let timing = options.timing(WARM_UP);
    let midway = async {
        tokio::time::sleep(timing.warm_up + timing.measured / 2).await;
        server.kill().await
    };
    let driven = round(&mut bench.onsale, usize::try_from(lanes)?, &Pace::Closed, timing, bench.clock);
    let (seen, killed) = tokio::join!(driven, midway);
    killed?;
    server.restart().await.context("after SIGKILL")?;
    bench.onsale.pid = server.pid();
    Ok(seen.context("driving onsale until it is killed")?.completed)
}
