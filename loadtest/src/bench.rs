//! What both commands share: the server under load, its schedule, the lanes, and the end of a run.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    audit::{Findings, audit},
    book::Book,
    child::Server,
    clock::{Clock, unix_seconds},
    lane::Division,
    round::{Side, Timing},
    script::{Plan, Script},
    setup::{HOLD_SECONDS, USER_SEATS_MAX, open_schedule},
    start::{ServerOptions, token_exp},
    target::Target,
};

/// How long a run may drive: well below the life of a hold, so that none expires.
const TOTAL_SECONDS_MAX: u64 = HOLD_SECONDS - 600;
/// The most acknowledged holds in the book; about 100 bytes each.
pub(crate) const BOOK_LEN_MAX: usize = 10_000_000;

/// Where the load goes and how it is made.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) server: ServerOptions,
    /// The measured seconds of a round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=300))]
    pub(crate) seconds: u16,
    /// The seats of the schedule.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(2..=250_000))]
    pub(crate) seats: u32,
    /// The users; each connection has its own.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) users: u32,
    /// The live holds that each connection keeps standing.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) live: u16,
    /// The part of the holds, 0 to 1, that goes for seats which all connections fight for.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) contended: f64,
    /// How many seats they fight for.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) contended_seats: u32,
    /// How many released reservations the check asks for (all of the live ones always).
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(0..=10_000_000))]
    pub(crate) check_released: u32,
    /// Write the figures as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    pub(crate) fn timing(&self, warm_up: Duration) -> Timing {
        Timing { warm_up, measured: Duration::from_secs(self.seconds.into()) }
    }

    /// Divides seats and users among so many lanes, and refuses what can't work.
    pub(crate) fn division(&self, connections: &[u16]) -> Result<Division> {
        let lanes = connections.iter().copied().max().context("no number of connections")?;
        ensure!((0.0..=1.0).contains(&self.contended), "--contended is between 0 and 1");
        let contended_permille = permille(self.contended);
        let contended_seats = if contended_permille > 0 { self.contended_seats } else { 0 };
        let own = self.seats.saturating_sub(contended_seats) / u32::from(lanes);
        let users = self.users / u32::from(lanes);
        ensure!(lanes > 0, "--connections is 1 or more");
        ensure!(users > 0, "--users must be at least the {lanes} connections");
        ensure!(
            own > u32::from(self.live),
            "--seats: {own} seats a connection are too few to keep {} holds standing",
            self.live
        );

        // Holds go round the users, but a release may be refused; half of the room is left for that.
        let most = usize::try_from(users)?.saturating_mul(USER_SEATS_MAX / 2);
        ensure!(usize::from(self.live) <= most, "--live: more than {most} holds of {users} users");
        Ok(Division {
            lanes: lanes.into(),
            seats: self.seats,
            users: self.users,
            live: self.live.into(),
            contended_seats,
            contended_permille,
        })
    }

    /// Refuses a run in which holds would expire.
    pub(crate) fn check_total(&self, rounds: u64) -> Result<()> {
        let total = rounds * (u64::from(self.seconds) + 1);
        ensure!(total <= TOTAL_SECONDS_MAX, "{total} seconds in all; at most {TOTAL_SECONDS_MAX}");
        Ok(())
    }
}

fn permille(part: f64) -> u32 {
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1,000"
    )]
    let permille = (part * 1000.0).round() as u32;
    permille
}

/// A server with its schedule and lanes, ready to be driven.
pub(crate) struct Bench {
    pub(crate) clock: Clock,
    pub(crate) plan: Arc<Plan>,
    pub(crate) onsale: Side,
    /// Unless it ran already.
    pub(crate) server: Option<Server>,
}

impl Bench {
    pub(crate) async fn start(options: &Options, division: Division) -> Result<Self> {
        let ready = options.server.ready().await?;
        let plan = Plan::new(&run_name(), division.seats, division.users, &ready.signer(), token_exp());
        open_schedule(ready.target, &ready.admin_token, &plan, &Value::Null).await?;
        Ok(Self::of(ready.target, ready.server, plan, division))
    }

    /// Makes it of a schedule that is open.
    pub(crate) fn of(target: Target, server: Option<Server>, plan: Plan, division: Division) -> Self {
        let plan = Arc::new(plan);
        let onsale = side(target, server.as_ref().and_then(Server::pid), &plan, division);
        Self { clock: Clock::start(), plan, onsale, server }
    }

    /// Says whether the book has room for another round.
    pub(crate) fn has_room(&self) -> bool {
        self.onsale.lanes.iter().map(|lane| lane.book.entries.len()).sum::<usize>() < BOOK_LEN_MAX
    }

    /// Adds to an error that ends the run what the server said last, and keeps what it leaves.
    pub(crate) fn explain(&mut self, error: anyhow::Error) -> anyhow::Error {
        let Some(server) = &mut self.server else {
            return error;
        };
        let kept = server.keep();
        server.with_log(&error).context(format!("what the server left is kept in {}", kept.display()))
    }

    /// Checks the book and stops the server.
    ///
    /// `released_max` bounds how many released reservations are asked for.
    pub(crate) async fn finish(mut self, released_max: u32) -> Result<Findings> {
        let mut book = Book::default();
        for lane in &mut self.onsale.lanes {
            book.merge(std::mem::take(&mut lane.book));
        }

        let checked = audit(self.onsale.target, &self.plan, book, usize::try_from(released_max)?).await;
        let Some(mut server) = self.server else {
            return checked;
        };
        let failed = checked.as_ref().map_or(true, |findings| findings.faults.count > 0);
        let kept = failed.then(|| server.keep());
        let stopped = server.stop().await;
        let mut findings = match (checked, &kept) {
            (Err(error), Some(kept)) => {
                return Err(error.context(format!("what the server left is kept in {}", kept.display())));
            }
            (checked, _) => checked?,
        };

        if let Err(error) = stopped {
            findings.faults.add(format!("{error:#}"));
        }
        if let Some(kept) = kept {
            findings.faults.add(format!("what the server left is kept in {}", kept.display()));
        }

        Ok(findings)
    }
}

/// Makes the side of a run that drives a server.
pub(crate) fn side(target: Target, pid: Option<u32>, plan: &Plan, division: Division) -> Side {
    let script = Arc::new(Script::new(plan, &target.host()));
    Side { target, pid, script, lanes: division.make() }
}

/// Names a run, apart from earlier ones on the same server.
pub(crate) fn run_name() -> String {
    format!("{}-{}", unix_seconds(), std::process::id())
}

/// Writes the figures.
pub(crate) fn write_json(path: &Path, figures: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(figures)?;
    std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
}
