//! `box`: an on-sale in a box. One show, a crowd in its waiting room that polls as it is told, payments from balances, most of the holds
//! abandoned, and the server killed in the middle; until the last seat is paid for.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    CrowdOptions,
    bottleneck::Watch,
    check::{Findings, check},
    journeys::write_page,
    person::{Mix, Step},
    show::{Running, Show},
    stage::{Cast, Stage},
};
use crate::{
    arrivals::next,
    bench::write_json,
    child::resident_bytes,
    files,
    report::{float, percentiles, percentiles_json},
    start::ServerOptions,
};

/// How long a pass stays after its holder went away without a word.
const IDLE_SECONDS: u32 = 5;
/// Of 1,000 people, how many release what they hold.
const RELEASE: u32 = 200;
/// How many seats people want on average, in tenths, as `Person` draws them.
const SEATS_TENTHS: u64 = 20;
/// The fewest people who have money.
const WITH_MONEY_MIN: u32 = 20_000;
/// How often the sale is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long the last one may take to join beyond the planned time.
const JOIN_GRACE: Duration = Duration::from_mins(5);

/// An on-sale in a box: one show, a crowd in its waiting room, most holds abandoned, the server killed in the middle, until it is sold out.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct InABox {
    #[command(flatten)]
    pub(crate) server: ServerOptions,
    /// How many come.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    pub(crate) people: u32,
    /// The seats of the show.
    #[arg(long, default_value_t = 150_000, value_parser = clap::value_parser!(u32).range(10..=250_000))]
    pub(crate) places: u32,
    /// How many people join a second, before the sale opens.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) join_rate: u32,
    /// How many may be at the seats at once; a thirtieth of the places if absent.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) active: Option<u32>,
    /// Of 1,000 people who hold seats, how many don't pay. A third of these releases; the others go away, and the hold ends by itself.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(0..=900))]
    pub(crate) abandon: u32,
    /// How long a hold lives.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..=86_400))]
    pub(crate) hold_seconds: u32,
    /// How long people think before each step at the seats, on average.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    pub(crate) think_millis: u16,
    /// Leave the kill out.
    #[arg(long)]
    pub(crate) no_kill: bool,
    /// How long the sale may take.
    #[arg(long, default_value_t = 900, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub(crate) seconds_max: u32,
    #[command(flatten)]
    pub(crate) crowd: CrowdOptions,
}

/// What the sale was.
#[derive(Default)]
struct Sold {
    /// Until the last seat was paid for, or until it was given up.
    seconds: f64,
    is_out: bool,
    joined_seconds: f64,
    /// The server, in seconds.
    away: Option<f64>,
    polls: u64,
    /// Bytes, before anybody came, once everyone waited, and at the most.
    memory: [Option<u64>; 3],
    own_memory: Option<u64>,
    /// The tickets of the best second.
    best: u64,
    seats: u64,
    generator: String,
}

/// Runs the command; returns whether the show sold out and the check passed.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn run(options: InABox) -> Result<bool> {
    let release = RELEASE.min(options.abandon);
    let mix = Mix { map: 0, pick: 0, exchange: 0, pay: 1000 - options.abandon, release, cancel: 0 };
    files::allow(2 * u64::from(options.crowd.connections))?;
    ensure!(
        options.server.url.is_none() || options.no_kill,
        "a server that runs already isn't killed: --no-kill"
    );
    let cast = Cast {
        seats: options.places,
        people: options.people,
        mix,
        think: Duration::from_millis(options.think_millis.into()),
        policy: policy(&options),
        seed: options.crowd.seed,
    };
    let words = format!(
        "{} places, {} people, {} ‰ of the holds abandoned, holds of {} s, {} at the seats at once",
        options.places,
        options.people,
        options.abandon,
        options.hold_seconds,
        active(&options)
    );
    println!("{words}");

    let mut stage = Stage::set(&options.server, &cast).await?;
    let driven = drive(&mut stage, &options).await;
    let sold = driven.map_err(|error| stage.explain(error))?;
    let checked = check(&stage.show).await;
    let mut findings = checked.map_err(|error| stage.explain(error))?;
    let (show, wrong) = (Arc::clone(&stage.show), findings.faults.count > 0);
    if let Some(kept) = stage.strike(wrong).await? {
        findings.faults.add(kept);
    }

    let lines = sold.lines(&show, &options);
    let mut table = String::new();
    show.figures.table(&mut table);
    println!("{}", lines.join("\n"));
    print!("{table}{}", findings.text());
    if let Some(path) = &options.crowd.html {
        let mut all = vec![words];
        all.extend(lines);
        all.push(findings.text());
        write_page(path, "An on-sale in a box", &all, &show.figures)?;
    }
    if let Some(path) = &options.crowd.json {
        write_json(path, &sold.json(&show, &options, &findings))?;
    }
    Ok(sold.is_out && !wrong)
}

fn active(options: &InABox) -> u32 {
    options.active.unwrap_or((options.places / 30).max(50))
}

fn policy(options: &InABox) -> Value {
    json!({
        "holdSeconds": options.hold_seconds, "maxSeatsPerReservation": 4, "maxSeatsPerUser": 4,
        // A hold that the outage would have ended lives no longer after it than a new one; the default is a quarter of an hour.
        "recoveryGraceSeconds": options.hold_seconds,
        "queue": {
            // A poll comes every 30 s at least, and later where the machine is too small for the crowd.
            "maxActive": active(options), "activeSeconds": 3600, "claimSeconds": 120, "idleSeconds": IDLE_SECONDS,
            "waitingSeconds": 86_400, "order": "fifo",
        },
    })
}

/// Lets everyone join, opens the sale, and waits until it is sold out.
#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn drive(stage: &mut Stage, options: &InABox) -> Result<Sold> {
    let show = Arc::clone(&stage.show);
    let mut sold = Sold::default();
    sold.memory[0] = memory(stage);
    // Twice as many as will get to the seats, so that nobody who wants to pay lacks the money; of a small crowd everyone, since many
    // come to a small hall while others hold all of it.
    let acting = u64::from(options.places) * 10 * 1000 / SEATS_TENTHS / u64::from(1000 - options.abandon);
    let with_money = u32::try_from(2 * acting).unwrap_or(u32::MAX).max(WITH_MONEY_MIN).min(options.people);
    stage.charge(0..with_money).await?;

    show.begin_parking();
    let running = show.start(options.crowd.connections, options.crowd.connections);
    join(&show, &running, options, &mut sold).await?;
    sold.memory[1] = memory(stage);
    println!(
        "{} people wait after {:.1} s, {:.0} joins a second; the sale opens",
        show.parked(),
        sold.joined_seconds,
        float(show.parked()) / sold.joined_seconds
    );

    let (watch, polled) = (Watch::start(&show), show.figures.kind(Step::Poll).latency.len());
    let opened = show.clock.nanos();
    stage.open().await?;
    show.unpark(options.crowd.seed);
    sell(stage, options, &mut sold, opened).await?;
    sold.polls = show.figures.kind(Step::Poll).latency.len() - polled;
    sold.generator = watch.verdict(&show);
    sold.own_memory = resident_bytes(std::process::id());
    running.end().await;
    sold.seats = show.sold();
    Ok(sold)
}

/// Everyone takes a place, evenly spaced. Nobody polls before the sale opens: how that would be is the crowd of the first minute after it.
async fn join(show: &Show, running: &Running, options: &InABox, sold: &mut Sold) -> Result<()> {
    let from = show.clock.nanos() + 50_000_000;
    let gap = 1_000_000_000 / u64::from(options.join_rate);
    for number in 0..options.people {
        show.meet(number, from + u64::from(number) * gap);
    }
    let planned = Duration::from_nanos(u64::from(options.people) * gap);
    let everyone = u64::from(options.people);
    let all = running.until(planned + JOIN_GRACE, |show| show.parked() + show.gone() >= everyone).await;
    ensure!(all, "{} of {everyone} people joined in time", show.parked());
    sold.joined_seconds = float(show.clock.nanos() - from) / 1e9;
    Ok(())
}

/// Waits until all is sold; kills the server when half of it is.
async fn sell(stage: &mut Stage, options: &InABox, sold: &mut Sold, opened: u64) -> Result<()> {
    let show = Arc::clone(&stage.show);
    let (all, everyone) = (u64::from(options.places), u64::from(options.people));
    let end = opened + u64::from(options.seconds_max) * 1_000_000_000;
    let (mut second, mut before) = (opened, 0);
    loop {
        tokio::time::sleep(LOOK).await;
        let (now, tickets) = (show.clock.nanos(), show.sold());
        sold.seconds = float(now - opened) / 1e9;
        sold.memory[2] = sold.memory[2].max(memory(stage));
        if now >= second + 1_000_000_000 {
            let rate = float(tickets - before) * 1e9 / float(now - second);
            sold.best = sold.best.max(rounded(rate));
            (second, before) = (now, tickets);
        }
        if !options.no_kill && sold.away.is_none() && tickets * 2 >= all {
            sold.away = Some(kill(stage).await?);
            (second, before) = (show.clock.nanos(), show.sold());
            continue;
        }
        sold.is_out = tickets >= all;
        if sold.is_out || now > end || show.gone() >= everyone {
            return Ok(());
        }
    }
}

/// Kills the server with SIGKILL and starts it again on the same data; returns for how many seconds it was away.
async fn kill(stage: &mut Stage) -> Result<f64> {
    let show = Arc::clone(&stage.show);
    let server = stage.server.as_mut().context("only a server that was started here is killed")?;
    let killed = show.clock.nanos();
    show.figures.away(killed);
    server.restart().await.context("after SIGKILL")?;
    show.figures.back(show.clock.nanos());
    Ok(float(show.clock.nanos() - killed) / 1e9)
}

fn memory(stage: &Stage) -> Option<u64> {
    stage.asked().pid.and_then(resident_bytes)
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is a small number that isn't negative"
)]
fn rounded(rate: f64) -> u64 {
    rate.round() as u64
}

impl Sold {
    fn lines(&self, show: &Show, options: &InABox) -> Vec<String> {
        let rate = |count: u64| float(count) / self.seconds.max(0.001);
        let mib =
            |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), |bytes| (bytes >> 20).to_string());
        let out = if self.is_out { "sold out" } else { "not sold out" };
        let mut lines = vec![
            format!(
                "{out} after {:.1} s: {} of {} places, {:.0} tickets a second, {} in the best second",
                self.seconds,
                self.seats,
                options.places,
                rate(self.seats),
                self.best
            ),
            format!(
                "polls: {:.0} a second; joins before: {:.0} a second",
                rate(self.polls),
                float(show.parked()) / self.joined_seconds
            ),
        ];
        for step in [Step::Hold, Step::Pay] {
            let kind = show.figures.kind(step);
            let words = |histogram| {
                let [(_, p50), _, (_, p99), (_, p999), ..] = percentiles(histogram);
                format!("p50 {p50:.1}, p99 {p99:.1}, p99.9 {p999:.1} ms")
            };
            lines.push(format!(
                "{}: {}; with the outage: {}",
                step.name(),
                words(&kind.calm),
                words(&kind.latency)
            ));
        }
        if let Some(away) = self.away {
            lines.push(format!("killed with half of the places sold, and ready again after {away:.1} s"));
        }
        let [before, waiting, most] = self.memory.map(mib);
        lines.push(format!(
            "memory of the server: {before} MiB before, {waiting} with everyone waiting, {most} at the most; of the generator: {}",
            mib(self.own_memory)
        ));
        lines.push(self.generator.clone());
        lines
    }

    fn json(&self, show: &Show, options: &InABox, findings: &Findings) -> Value {
        let calm = |step| percentiles_json(&show.figures.kind(step).calm);
        json!({
            "command": "box", "people": options.people, "places": options.places, "abandonPermille": options.abandon,
            "soldOut": self.is_out, "secondsToSoldOut": self.seconds, "tickets": self.seats,
            "ticketsPerSecond": float(self.seats) / self.seconds, "ticketsInTheBestSecond": self.best,
            "polls": self.polls, "joinSeconds": self.joined_seconds, "awaySeconds": self.away,
            "hold": calm(Step::Hold), "pay": calm(Step::Pay), "residentBytes": self.memory, "generatorBytes": self.own_memory,
            "generator": self.generator, "steps": show.figures.json(), "check": findings,
        })
    }
}

impl Show {
    /// Lets everyone who waits since the joins look where they stand, within the time that they were told.
    fn unpark(&self, seed: u64) {
        let (now, mut random) = (self.clock.nanos(), seed);
        for (number, wait) in self.end_parking() {
            let wait = u64::try_from(wait.as_nanos()).unwrap_or_default();
            self.meet(number, now + next(&mut random) % (wait + 1));
        }
    }
}
