//! `compare`: `onsale`, the bare echo, and what a user would write instead, under the same load in turns.
//!
//! `load` is what is asked, `system` who is asked, `stores` starts Redis and Postgres, `table` is what is printed, `check` asks whether every
//! system does what the comparison takes for granted.

mod check;
mod load;
mod stores;
mod system;
mod table;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use self::{
    load::Kind,
    system::{Connected, Name, System},
    table::{Row, Table},
};
use crate::{
    bench::{run_name, write_json},
    child::Launch,
    clock::Clock,
    drive::Until,
    script::Plan,
    start::{ServerOptions, token_exp},
    token::Signer,
};

/// Beside the measured seconds of a round: it is driven, too, while it gets warm.
const WARM_UP_SECONDS: f64 = 0.5;

/// Drives `onsale`, a bare echo, and the same API over Redis and Postgres in turns, and prints one table.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Compare {
    #[command(flatten)]
    server: ServerOptions,
    /// The systems, in the order of the table.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["onsale", "redis-always", "redis-everysec", "postgres", "echo"])]
    systems: Vec<Name>,
    /// What is asked.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["holds", "journeys", "401", "healthz"])]
    loads: Vec<Kind>,
    /// Numbers of connections, each with every load.
    #[arg(long, value_delimiter = ',', default_values_t = [64, 256], value_parser = clap::value_parser!(u16).range(1..=2000))]
    connections: Vec<u16>,
    /// How often each is measured, all systems in turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// The measured seconds of a round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=60))]
    seconds: u16,
    /// The seats of a schedule; as many schedules are made as are needed.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    seats: u32,
    /// The users; each connection has its own.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    users: u32,
    /// The connections of the service to Redis, each of them pipelined.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    redis_connections: u16,
    /// The connections of the service to Postgres, each of them pipelined.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=512))]
    postgres_connections: u16,
    /// Measure nothing: check that each system holds, refuses, releases and takes payments as the comparison takes for granted.
    #[arg(long)]
    check: bool,
    /// Write the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the command; returns whether everything was as expected.
pub(crate) async fn run(compare: Compare) -> Result<bool> {
    ensure!(compare.server.url.is_none(), "compare starts its servers; it takes no --url");
    let most = compare.connections.iter().max().context("no number of connections")?;
    ensure!(compare.users >= u32::from(*most), "--users must be at least the {most} connections");
    let (redis, postgres) = system::needs(&compare.systems);
    stores::install(redis, postgres).await?;

    let mut launch = compare.server.launch()?;
    // Enough for all of a user's journeys at once.
    launch.settings.push(("ONSALE_BALANCE_CHARGE_MAX".to_owned(), "1000000000000".to_owned()));
    let signer = Signer::new(launch.jwt_secret.as_bytes());
    let plan = Plan::new(&run_name(), compare.seats, compare.users, &signer, token_exp());
    if compare.check {
        check_all(&compare, &launch, &plan).await
    } else {
        measure(&compare, &launch, &plan).await
    }
}

impl Compare {
    async fn start(&self, name: Name, launch: &Launch, plan: &Plan, clock: Clock) -> Result<System> {
        let connected =
            Connected { redis: self.redis_connections.into(), postgres: self.postgres_connections.into() };
        System::start(name, launch, connected, plan, clock).await
    }
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn check_all(compare: &Compare, launch: &Launch, plan: &Plan) -> Result<bool> {
    let mut right = true;
    for &name in compare.systems.iter().filter(|name| name.keeps()) {
        let mut system = compare.start(name, launch, plan, Clock::start()).await?;
        let checked = check::check(&mut system, plan).await;
        system.stop().await?;
        match checked {
            Ok(()) => println!("{}: right", name.text()),
            Err(error) => {
                println!("{}: WRONG: {error:#}", name.text());
                right = false;
            }
        }
    }
    Ok(right)
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn measure(compare: &Compare, launch: &Launch, plan: &Plan) -> Result<bool> {
    let clock = Clock::start();
    let mut systems = Vec::new();
    let mut weights = Vec::new();
    for &name in &compare.systems {
        let mut system = compare.start(name, launch, plan, clock).await?;
        if name.keeps() {
            weights.push((name, system.weigh(plan).await?));
            if compare.loads.contains(&Kind::Journeys) {
                system.charge(plan, plan.users.len()).await?;
            }
        }
        println!("{} runs", name.text());
        systems.push(system);
    }

    if compare.loads.iter().any(|kind| kind.reads_map()) {
        share_map(&mut systems).await?;
    }
    let mut rows = rows(compare);
    for number in 1..=usize::from(compare.rounds) {
        drive_all(compare, plan, &mut systems, &mut rows, number).await?;
    }
    for system in systems {
        let name = system.name.text();
        system.stop().await.with_context(|| format!("stopping {name}"))?;
    }

    let cores = std::thread::available_parallelism()?.get();
    let table = Table { rows, weights, cores };
    println!("{}", table.markdown());
    if let Some(path) = &compare.json {
        let mut figures = table.json();
        figures["command"] = "compare".into();
        figures["run"] = json!({
            "rounds": compare.rounds, "seconds": compare.seconds, "seatsOfASchedule": compare.seats, "users": compare.users,
            "serverWorkers": launch.workers, "redisConnections": compare.redis_connections,
            "postgresConnections": compare.postgres_connections,
        });
        write_json(path, &figures)?;
    }
    Ok(table.is_clean())
}

/// Has the echo answer with the bytes of a map of `onsale`'s.
#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn share_map(systems: &mut [System]) -> Result<()> {
    let onsale = systems.iter_mut().find(|system| system.name == Name::Onsale);
    let onsale = onsale.context("seat maps are onsale's: add it to --systems")?;
    let schedule = onsale.open_schedule().await?;
    let map = onsale.map(&schedule).await?;
    println!("a seat map has {} bytes, compressed", map.body.len());

    if let Some(echo) = systems.iter().find(|system| system.name == Name::Echo) {
        echo.teach_map(&map).await?;
    }
    Ok(())
}

/// Makes the rows of the table, in its order: load by load, all systems.
fn rows(compare: &Compare) -> Vec<Row> {
    let mut rows = Vec::new();
    for &kind in &compare.loads {
        for &connections in &compare.connections {
            rows.extend(compare.systems.iter().map(|&name| Row {
                name,
                kind,
                connections: connections.into(),
                rounds: Vec::new(),
                notes: Vec::new(),
            }));
        }
    }
    rows.retain(|row| row.kind.is_for(row.name));
    rows
}

/// One round: each load in turn, and under it each system. Each round begins with another system, so that what one leaves behind on the disk is
/// not always the same one's trouble.
#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn drive_all(
    compare: &Compare,
    plan: &Plan,
    systems: &mut [System],
    rows: &mut [Row],
    number: usize,
) -> Result<()> {
    let until = Until::Over(Duration::from_secs(compare.seconds.into()));
    let seconds = f64::from(compare.seconds) + WARM_UP_SECONDS;
    for rows in rows.chunk_by_mut(|a, b| (a.kind, a.connections) == (b.kind, b.connections)) {
        let turn = number % rows.len();
        let mut said = Vec::new();
        for at in (turn..rows.len()).chain(0..turn) {
            let row = &mut rows[at];
            let Some(system) = systems.iter_mut().find(|system| system.name == row.name) else {
                bail!("{} doesn't run", row.name.text());
            };
            let driven = system.drive(row.kind, row.connections, plan, until, seconds).await?;
            row.notes.extend(driven.wrong.map(|wrong| format!("round {number}: {wrong}")));
            if driven.ran_out {
                row.notes.push(format!("round {number}: the seats ran out"));
            }
            said.push(format!("{} {}", row.name.text(), driven.measured.completed));
            row.rounds.push(driven.measured);
        }
        let (kind, connections) = (rows[0].kind.name(), rows[0].connections);
        println!("round {number}, {kind}, {connections} connections, requests: {}", said.join(", "));
    }
    Ok(())
}
