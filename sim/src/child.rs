//! One run in a process of its own, and how its report comes back.
//!
//! ```text
//! | a line of the story
//! = name number
//! ! promise<TAB>what broke it
//! ```

use std::fmt::Write;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};

use crate::book::Violation;
use crate::plan::Plan;
use crate::world::{Report, World};
use crate::{panics, shim};

/// How long a run may compute, in seconds of processor time: a hundred times what one takes. Simulated time stands still while somebody
/// is busy, so that nobody inside would notice one who is busy for ever.
const COMPUTES_MAX: u64 = 30;

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

/// Runs a seed in this process, in a directory that isn't there yet, and writes its report.
#[expect(clippy::print_stdout, reason = "the report goes to the process that asked for it")]
pub(crate) fn run_here(job: Job, dir: PathBuf) -> Result<()> {
    panics::note();
    let limit = Rlimit { current: Some(COMPUTES_MAX), maximum: Some(COMPUTES_MAX + 1) };
    setrlimit(Resource::Cpu, limit).context("the limit of processor time")?;

    let mut plan = Plan::of(job.seed);
    if let Some(steps) = &job.steps {
        plan.keep(steps);
    }
    let report = World::new(plan, dir, job.unchecked).run();
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
    Ok(())
}

/// Names the directory of a run, which no other run of a living process has.
fn fresh_place() -> Result<PathBuf> {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    // The same length in each run, so that every address is the same.
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let dir = PathBuf::from(format!("{}{:010}{run:010}", shim::PLACE, std::process::id()));
    // A process that was killed had the same number, maybe.
    clear(&dir)?;
    Ok(dir)
}

fn clear(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} can't be removed", dir.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Runs a seed in a fresh process.
pub(crate) fn run(job: &Job) -> Result<Told> {
    let dir = fresh_place()?;
    let output = run_in(job, &dir);
    // Whatever ended it: not the process itself, which a run that is killed couldn't.
    clear(&dir)?;
    told(job, &output?)
}

fn run_in(job: &Job, dir: &Path) -> Result<Output> {
    let program = std::env::current_exe().context("this program's own path")?;
    let mut command = Command::new(program);
    // Nothing of the environment reaches it: what it says shifts the stack.
    command.env_clear().env("ONSALE_SIM_SEED", format!("{:020}", job.seed));
    if let Some(library) = shim::library() {
        command.env("LD_PRELOAD", library);
    }
    command.arg("run").arg(format!("{:020}", job.seed));
    let steps = job.steps.as_ref().map_or_else(
        || "all".to_owned(),
        |steps| steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    );
    command.arg(steps).arg(job.unchecked.join(",")).arg(dir);
    command.stdin(Stdio::null()).output().context("a run can't be started")
}

/// Reads what a run wrote.
fn told(job: &Job, output: &Output) -> Result<Told> {
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

    if output.status.signal() == Some(Signal::XCPU.as_raw()) {
        let what = format!("somebody computes for {COMPUTES_MAX} seconds, and no time passes");
        told.violation = Some(("E1 never-rests".to_owned(), what));
        return Ok(told);
    }

    if !output.status.success() || told.numbers.is_empty() {
        let told_last = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
        bail!("seed {}: a run ended with {}: {told_last}", job.seed, output.status);
    }

    Ok(told)
}
