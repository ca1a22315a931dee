//! Drives a started `onsale` over HTTP from many connections, compares it with a bare echo, and
//! checks it against a book of everything that it acknowledged. Loopback only.
//!
//! `bench` makes a run, `round` drives one server for some seconds, a `lane` is one connection's
//! part of it, `book` keeps what was acknowledged and knows what must follow, `audit` asks the
//! server about it. `holds` and `open` are the commands that do that; a `flood` of sign-ins runs beside the latter, and
//! `queue` adds a crowd before it. `sale` has people go the whole way (`journeys`, `box`). `compare` drives `onsale` and its `peers`, the same API over Redis and Postgres, in turns. `histories` is of another kind: it measures nothing, kills the server again and again, and has
//! what everyone was told checked for linearizability.

mod arrivals;
mod audit;
mod bench;
mod book;
mod child;
mod clock;
mod compare;
mod drive;
mod echo;
mod files;
mod flood;
mod growth;
mod histories;
mod holds;
mod html;
mod instant;
mod lane;
mod open;
mod peers;
mod queue;
mod report;
mod round;
mod sale;
mod script;
mod setup;
mod start;
mod stub;
mod target;
#[cfg(test)]
mod tests;
mod timeline;
mod token;
mod usage;
mod wire;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Drives a started onsale over HTTP and checks it against its own book.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// The generator's threads.
    #[arg(long, global = true, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Holds(Box<holds::Holds>),
    Compare(Box<compare::Compare>),
    Open(Box<open::Open>),
    Queue(Box<queue::Queue>),
    Growth(Box<growth::Growth>),
    Journeys(Box<sale::journeys::Journeys>),
    #[command(name = "box")]
    InABox(Box<sale::in_a_box::InABox>),
    Histories(Box<histories::Histories>),
    /// The bare echo; started by `holds`.
    #[command(hide = true)]
    Echo,
    /// A service over Redis or Postgres; started by `compare`.
    #[command(hide = true)]
    Peer(peers::Peer),
    /// The test double of the server, for the negative control of the check.
    #[command(hide = true)]
    Serve,
}

#[expect(clippy::print_stderr, reason = "a command says why it failed")]
fn main() -> ExitCode {
    match try_main() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("onsale-loadtest: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn try_main() -> Result<bool> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cli.workers.into())
        .enable_all()
        .build()
        .context("starting threads")?;
    let done = runtime.block_on(async {
        match cli.command {
            Command::Echo => echo::serve().await.map(|()| true),
            Command::Peer(peer) => peers::serve(peer).await.map(|()| true),
            Command::Serve => stub::serve().await.map(|()| true),
            Command::Holds(holds) => or_interrupted(holds::run(*holds)).await,
            Command::Compare(compare) => or_interrupted(compare::run(*compare)).await,
            Command::Open(open) => or_interrupted(open::run(*open)).await,
            Command::Queue(queue) => or_interrupted(queue::run(*queue)).await,
            Command::Growth(growth) => or_interrupted(growth::run(*growth)).await,
            Command::Journeys(journeys) => or_interrupted(sale::journeys::run(*journeys)).await,
            Command::InABox(sale) => or_interrupted(sale::in_a_box::run(*sale)).await,
            Command::Histories(histories) => or_interrupted(histories::run(*histories)).await,
        }
    });
    // The echo's thread that reads its input may still wait; it needs no ending.
    runtime.shutdown_background();
    done
}

/// Runs a command until it ends, or until Ctrl-C or SIGTERM end it without its figures and its
/// check: dropped, its connections close and its children are killed.
async fn or_interrupted(run: impl Future<Output = Result<bool>>) -> Result<bool> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        done = run => return done,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    anyhow::bail!("stopped by a signal; nothing was checked")
}
