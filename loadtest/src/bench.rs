//! What both commands share: the server under load, its schedule, the lanes, and the end of a run.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{
    audit::{Findings, audit},
    book::Book,
    child::{Launch, Server},
    clock::{Clock, unix_seconds},
    lane::Division,
    round::{Side, Timing},
    script::{Plan, Script},
    setup::{HOLD_SECONDS, USER_SEATS_MAX, open_schedule},
    target::Target,
    token::Signer,
};

/// How long a run may drive: well below the life of a hold, so that none expires.
const TOTAL_SECONDS_MAX: u64 = HOLD_SECONDS - 600;
/// The most acknowledged holds in the book; about 100 bytes each.
pub(crate) const BOOK_LEN_MAX: usize = 10_000_000;

/// Where the load goes and how it is made.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Drive a server that runs already on this machine, with its `ONSALE_JWT_SECRET` and
    /// `ONSALE_ADMIN_TOKEN` in this environment and its rate limit off.
    #[arg(long, conflicts_with = "start")]
    pub(crate) url: Option<String>,
    /// Start this server on a free port with an empty data directory, and stop it at the end.
    #[arg(long, value_name = "PATH", default_value = "target/release/onsale")]
    pub(crate) start: PathBuf,
    /// Another setting for the started server; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) server_env: Vec<(String, String)>,
    /// The started server's threads, and the echo's.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) server_workers: u16,
    /// Where the temporary data directory is made; the disk under it is part of the measurement.
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    pub(crate) scratch: PathBuf,
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

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
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
        let (server, target, jwt_secret, admin_token) = if let Some(url) = &options.url {
            let variable =
                |name| std::env::var(name).with_context(|| format!("with --url, {name} must be set"));
            let target = Target::parse(url).map_err(anyhow::Error::msg).context("--url")?;
            (None, target, variable("ONSALE_JWT_SECRET")?, variable("ONSALE_ADMIN_TOKEN")?)
        } else {
            let launch = launch(options)?;
            let (jwt_secret, admin_token) = (launch.jwt_secret.clone(), launch.admin_token.clone());
            let server = Server::start(launch).await?;
            let target = server.target;
            (Some(server), target, jwt_secret, admin_token)
        };
        let now = unix_seconds();
        let run = format!("{now}-{}", std::process::id());
        let signer = Signer::new(jwt_secret.as_bytes());
        let plan = Arc::new(Plan::new(&run, division.seats, division.users, &signer, now + 86_400));
        open_schedule(target, &admin_token, &plan).await?;
        let pid = server.as_ref().and_then(Server::pid);
        let onsale = side(target, pid, &plan, division);
        Ok(Self { clock: Clock::start(), plan, onsale, server })
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
    pub(crate) async fn finish(mut self, options: &Options) -> Result<Findings> {
        let mut book = Book::default();
        for lane in &mut self.onsale.lanes {
            book.merge(std::mem::take(&mut lane.book));
        }
        let released_max = usize::try_from(options.check_released)?;
        let checked = audit(self.onsale.target, &self.plan, book, released_max).await;
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

fn launch(options: &Options) -> Result<Launch> {
    let program = std::path::absolute(&options.start)?;
    if !program.is_file() {
        bail!("{} isn't there: build it with `cargo build --release`, or say --start", program.display());
    }
    // Known secrets: the server is this machine's alone and lives as long as the run.
    let secret = |name: &str| format!("onsale-loadtest-{name}-of-no-value-{}", std::process::id());
    Ok(Launch {
        program,
        workers: options.server_workers.into(),
        jwt_secret: secret("jwt-secret"),
        admin_token: secret("admin-token"),
        settings: options.server_env.clone(),
        scratch: options.scratch.clone(),
    })
}

/// Writes the figures.
pub(crate) fn write_json(path: &Path, figures: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(figures)?;
    std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
}
