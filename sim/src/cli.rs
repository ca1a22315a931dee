//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::child::{self, Job};
use crate::runner::{self, Range, Sum};
use crate::shrink;

/// Runs the whole engine in a simulated world where everything that can go wrong does, from seeds.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// How many seeds to run.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// No seed is begun after so many minutes.
    #[arg(long)]
    minutes: Option<u64>,
    /// Runs this seed alone, and tells its story; where it fails, a short one.
    #[arg(long)]
    seed: Option<u64>,
    /// Tells the whole story of a failing seed, too.
    #[arg(long)]
    whole: bool,
    /// Goes on behind a seed that fails, and counts.
    #[arg(long)]
    all: bool,
    /// Names of what isn't checked, as a violation has them ("partial-left").
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// One run in this process; started by the others.
    #[command(hide = true)]
    Run { seed: u64, steps: String, unchecked: String, dir: PathBuf },
}

/// Runs what is asked for.
pub(crate) fn run() -> Result<ExitCode> {
    let cli = Cli::parse();
    if let Some(Command::Run { seed, steps, unchecked, dir }) = cli.command {
        let steps = (steps != "all").then(|| steps.split(',').filter_map(|step| step.parse().ok()).collect());
        child::run_here(Job { seed, steps, unchecked: names(&unchecked) }, dir)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(seed) = cli.seed {
        return one(&Job { seed, steps: None, unchecked: cli.without }, cli.whole);
    }
    many(&cli)
}

fn names(list: &str) -> Vec<String> {
    list.split(',').filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect()
}

/// Runs one seed and tells its story.
#[expect(clippy::print_stdout, reason = "a command tells what it found")]
fn one(job: &Job, whole: bool) -> Result<ExitCode> {
    let told = child::run(job)?;
    let Some((promise, what)) = told.violation.clone() else {
        told.story.iter().for_each(|line| println!("{line}"));
        println!("\nseed {}: every promise was kept (trace {:016x})", job.seed, told.number("trace"));
        return Ok(ExitCode::SUCCESS);
    };
    if whole {
        told.story.iter().for_each(|line| println!("{line}"));
        println!("\n{promise}: {what}\n");
    }
    let (kept, short) = shrink::shrink(job, &promise)?;
    println!("seed {}, in {} of its {} steps:\n", job.seed, kept.len(), told.story.len());
    short.story.iter().for_each(|line| println!("  {line}"));
    let (promise, what) = short.violation.unwrap_or((promise, what));
    println!("\n{promise}: {what}");
    Ok(ExitCode::FAILURE)
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command tells what it found")]
fn many(cli: &Cli) -> Result<ExitCode> {
    let range = Range {
        from: cli.from,
        seeds: cli.seeds,
        jobs: cli.jobs,
        limit: cli.minutes.map(|minutes| Duration::from_secs(60 * minutes)),
        unchecked: cli.without.clone(),
        all: cli.all,
    };
    let sum = runner::run(&range, |sum| {
        if sum.runs.is_multiple_of(1_000) {
            let failed: u64 = sum.failures.values().map(|(count, ..)| *count).sum();
            eprintln!("{} seeds in {:.0} s, {failed} failed", sum.runs, sum.elapsed.as_secs_f64());
        }
    });

    print_sum(&sum);
    for error in &sum.errors {
        println!("{error}");
    }

    if !cli.all
        && let Some((promise, (_, seed, what))) = sum.failures.iter().next()
    {
        println!("\nseed {seed} fails: {promise}: {what}\n");
        return one(&Job { seed: *seed, steps: None, unchecked: cli.without.clone() }, cli.whole);
    }

    let failed = !sum.failures.is_empty() || !sum.errors.is_empty();
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[expect(clippy::print_stdout, reason = "a command tells what it found")]
fn print_sum(sum: &Sum) {
    println!("{:>12}  seeds in {:.1} s", sum.runs, sum.elapsed.as_secs_f64());
    for (name, number) in &sum.numbers {
        match name.as_str() {
            "simulated milliseconds" => println!("{:>12}  simulated days", number / 86_400_000),
            name => println!("{number:>12}  {name}"),
        }
    }
    println!("trace {:016x}", sum.trace);
    for (promise, (count, seed, what)) in &sum.failures {
        let cut: String = what.chars().take(240).collect();
        println!("{count:>12}  seeds broke {promise}, the first is {seed}: {cut}");
    }
}
