//! One run in a process of its own, and how its report comes back.
//!
//! ```text
//! | a line of the story
//! = name number
//! ! promise<TAB>what broke it
//! ```

use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::book::Violation;
use crate::plan::Plan;
use crate::world::{Report, World};
use crate::{panics, shim};

/// What to run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Job {
    pub(crate) seed: u64,
    /// The numbers of the steps to take; all, where there are none.
    pub(crate) steps: Option<Vec<usize>>,
    /// Names of what isn't checked.
    pub(crate) unchecked: Vec<String>,
}

/// What came of a run, as another process learns it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) numbers: Vec<(String, u64)>,
    pub(crate) story: Vec<String>,
    pub(crate) violation: Option<(String, String)>,
}

impl Told {
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.numbers.iter().find(|(of, _)| of == name).map_or(0, |(_, number)| *number)
    }
}

fn numbers(report: &Report) -> [(&'static str, u64); 20] {
    [
        ("trace", report.trace),
        ("steps", report.steps),
        ("calls", report.calls),
        ("vanished callers", report.vanished),
        ("lost replies", report.lost),
        ("lives", report.lives),
        ("crashes", report.deaths),
        ("crashes during a start", report.deaths_at_start),
        ("starts that a disk refused", report.refused_starts),
        ("crashes in a file", report.deaths_in_files),
        ("torn writes", report.torn),
        ("failed writes and syncs", report.failed),
        ("full disks", report.full),
        ("clock steps and stalls", report.clock_steps),
        ("gateway lies", report.lies),
        ("refused refunds", report.refused),
        ("panics of the gateway's client", report.panics),
        ("starts with a wrong clock", report.wrong_clocks),
        ("records", report.records),
        ("simulated milliseconds", report.simulated_millis),
    ]
}

/// Runs a seed in this process and writes its report.
#[expect(clippy::print_stdout, reason = "the report goes to the process that asked for it")]
pub(crate) fn run_here(job: Job) {
    panics::note();
    let mut plan = Plan::of(job.seed);
    if let Some(steps) = &job.steps {
        plan.keep(steps);
    }
    // The same length in each process, so that every address is the same.
    let dir = PathBuf::from(format!("{}{:020}", shim::PLACE, std::process::id()));
    let report = World::new(plan, dir.clone(), job.unchecked).run();
    shim::alive();
    drop(std::fs::remove_dir_all(&dir));
    let mut text = String::new();
    for line in &report.story {
        let _ = writeln!(text, "| {}", line.replace('\n', " "));
    }
    for (name, number) in numbers(&report) {
        let _ = writeln!(text, "= {name} {number}");
    }
    if let Some(Violation { promise, text: what }) = &report.violation {
        let _ = writeln!(text, "! {promise}\t{}", what.replace('\n', " "));
    }
    print!("{text}");
}

/// Runs a seed in a fresh process.
pub(crate) fn run(job: &Job) -> Result<Told> {
    let program = std::env::current_exe().context("this program's own path")?;
    let mut command = Command::new(program);
    // Nothing of the environment reaches it: what it says shifts the stack.
    command.env_clear().env("ONSALE_SIM_SEED", format!("{:020}", job.seed));
    if let Ok(library) = shim::library() {
        command.env("LD_PRELOAD", library);
    }
    command.arg("run").arg(format!("{:020}", job.seed));
    let steps = job.steps.as_ref().map_or_else(
        || "all".to_owned(),
        |steps| steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    );
    command.arg(steps).arg(job.unchecked.join(","));
    let output = command.stdin(Stdio::null()).output().context("a run can't be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut told = Told::default();
    for line in text.lines() {
        match line.split_at_checked(2) {
            Some(("| ", rest)) => told.story.push(rest.to_owned()),
            Some(("= ", rest)) => {
                let (name, number) = rest.rsplit_once(' ').context("a number")?;
                told.numbers.push((name.to_owned(), number.parse().context("a number")?));
            }
            Some(("! ", rest)) => {
                let (promise, what) = rest.split_once('\t').context("a violation")?;
                told.violation = Some((promise.to_owned(), what.to_owned()));
            }
            _ => bail!("seed {}: a run says {line:?}", job.seed),
        }
    }
    if !output.status.success() || told.numbers.is_empty() {
        let told_last = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
        bail!("seed {}: a run ended with {}: {told_last}", job.seed, output.status);
    }
    Ok(told)
}
