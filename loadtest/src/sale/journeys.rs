//! `journeys`: people come at instants of their own and go the whole way: queue, map, hold, exchange, pay or go away, cancel.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    CrowdOptions,
    bottleneck::Watch,
    check::check,
    figures::Figures,
    person::Mix,
    stage::{Cast, Stage},
};
use crate::{arrivals::Pattern, bench::write_json, files, html, start::ServerOptions};

/// How long those who came may take beyond the last arrival.
const DRAIN: Duration = Duration::from_mins(1);
/// How long a pass stays after its holder went away without a word.
const IDLE_SECONDS: u32 = 5;

/// Whole journeys in an open loop: queue, map, hold, exchange, pay or go away, cancel, as a weighted mix.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Journeys {
    #[command(flatten)]
    pub(crate) server: ServerOptions,
    /// People a second.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// For how many seconds people come.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub(crate) seconds: u16,
    /// How they come: evenly, as independent strangers, or as when a sale opens (half of all in the first tenth of the time).
    #[arg(long, value_enum, default_value_t = Pattern::Poisson)]
    pub(crate) arrivals: Pattern,
    /// The seats of the schedule.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=250_000))]
    pub(crate) seats: u32,
    /// How many may be at the seats at once; 0 leaves the waiting room out.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) active: u32,
    /// How long a hold lives.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=86_400))]
    pub(crate) hold_seconds: u32,
    /// How long people think before each step at the seats, on average.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    pub(crate) think_millis: u16,
    #[command(flatten)]
    pub(crate) mix: MixOptions,
    #[command(flatten)]
    pub(crate) crowd: CrowdOptions,
}

/// The weights, in per mille of the people.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct MixOptions {
    /// Of 1,000 people, how many look at the seat map first.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) map: u32,
    /// How many choose their seats; the others take the best there are.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) pick: u32,
    /// How many exchange the seats that they hold.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) exchange: u32,
    /// How many pay, from their balance.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) pay: u32,
    /// How many release what they hold; those who neither pay nor release go away without a word.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) release: u32,
    /// How many of those who paid cancel.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) cancel: u32,
}

impl MixOptions {
    fn mix(self) -> Result<Mix> {
        let Self { map, pick, exchange, pay, release, cancel } = self;
        ensure!(pay + release <= 1000, "--pay and --release are more than everyone");
        Ok(Mix { map, pick, exchange, pay, release, cancel })
    }
}

/// Runs the command; returns whether the check passed.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn run(journeys: Journeys) -> Result<bool> {
    let mix = journeys.mix.mix()?;
    let people = journeys.rate * u32::from(journeys.seconds);
    ensure!(people <= 1_000_000, "{people} people; at most a million");
    files::allow(2 * u64::from(journeys.crowd.connections))?;
    let cast = Cast {
        seats: journeys.seats,
        people,
        mix,
        think: Duration::from_millis(journeys.think_millis.into()),
        policy: policy(&journeys),
        seed: journeys.crowd.seed,
    };
    let mut stage = Stage::set(&journeys.server, &cast).await?;
    let words = format!(
        "{people} people, {} a second ({}), for {} s, before {} seats; latencies from the intended instants",
        journeys.rate,
        journeys.arrivals.name(),
        journeys.seconds,
        journeys.seats
    );
    println!("{words}");

    let driven = drive(&stage, &journeys, people).await;
    let verdict = driven.map_err(|error| stage.explain(error))?;
    let mut table = String::new();
    stage.show.figures.table(&mut table);
    print!("{table}");
    println!("{verdict}");

    let checked = check(&stage.show).await;
    let mut findings = checked.map_err(|error| stage.explain(error))?;
    let (show, wrong) = (std::sync::Arc::clone(&stage.show), findings.faults.count > 0);
    if let Some(kept) = stage.strike(wrong).await? {
        findings.faults.add(kept);
    }
    print!("{}", findings.text());

    if let Some(path) = &journeys.crowd.html {
        write_page(
            path,
            "onsale-loadtest journeys",
            &[words, verdict.clone(), findings.text()],
            &show.figures,
        )?;
    }
    if let Some(path) = &journeys.crowd.json {
        let run = json!({
            "command": "journeys", "rate": journeys.rate, "seconds": journeys.seconds, "arrivals": journeys.arrivals.name(),
            "seats": journeys.seats, "people": people, "seed": journeys.crowd.seed, "steps": show.figures.json(), "generator": verdict,
            "check": findings,
        });
        write_json(path, &run)?;
    }
    Ok(!wrong)
}

/// Writes the page of a sale.
pub(super) fn write_page(path: &PathBuf, title: &str, words: &[String], figures: &Figures) -> Result<()> {
    let page = html::document(title, words, &figures.html_table(), &figures.plots());
    std::fs::write(path, page).with_context(|| format!("writing {}", path.display()))
}

fn policy(journeys: &Journeys) -> Value {
    // Long enough to be polled for; whoever goes away makes room after a few seconds.
    let queue = json!({
        "maxActive": journeys.active.max(1), "activeSeconds": 600, "claimSeconds": 60, "idleSeconds": IDLE_SECONDS,
        "waitingSeconds": 3600, "order": "fifo",
    });
    json!({
        "holdSeconds": journeys.hold_seconds, "maxSeatsPerReservation": 4, "maxSeatsPerUser": 4,
        "queue": if journeys.active > 0 { queue } else { Value::Null },
    })
}

/// Lets everyone come, and waits until they have gone; returns what is to be said of the generator.
async fn drive(stage: &Stage, journeys: &Journeys, people: u32) -> Result<String> {
    stage.charge(0..people).await?;
    stage.open().await?;
    let show = &stage.show;
    let (clock, time) = (show.clock, Duration::from_secs(journeys.seconds.into()));
    let (watch, from) = (Watch::start(show), clock.nanos() + 50_000_000);
    let running = show.start(journeys.crowd.connections, journeys.crowd.connections);
    let offsets = journeys.arrivals.offsets(people.into(), time, journeys.crowd.seed);
    for (number, offset) in (0..people).zip(offsets) {
        show.meet(number, from + offset);
    }

    tokio::time::sleep(clock.until(from) + time).await;
    let verdict = watch.verdict(show);
    let everyone = u64::from(people);
    let gone = running.until(DRAIN, |show| show.gone() >= everyone).await;
    running.end().await;
    // Who waits behind those that went away isn't wrong, and is said.
    let left = everyone - show.gone();
    Ok(if gone {
        verdict
    } else {
        format!("{verdict}; {left} people were still there {} s after the last came", DRAIN.as_secs())
    })
}
