//! A failing run made short: steps are left out while the same promise still breaks (delta debugging; Andreas Zeller and Ralf
//! Hildebrandt, "Simplifying and isolating failure-inducing input", 2002).

use anyhow::Result;

use crate::child::{self, Job, Told};
use crate::plan::Plan;

/// How many runs it may take.
const RUNS_MAX: u32 = 2_000;

/// Leaves out whatever the broken promise doesn't need; returns the steps that are left, and what they tell.
pub(crate) fn shrink(job: &Job, promise: &str) -> Result<(Vec<usize>, Told)> {
    let all: Vec<usize> = Plan::of(job.seed).steps.iter().map(|(number, _)| *number).collect();
    let mut kept = job.steps.clone().unwrap_or(all);
    let mut told = child::run(&Job { steps: Some(kept.clone()), ..job.clone() })?;
    let mut part = kept.len().div_ceil(2).max(1);
    let mut runs = 0;

    loop {
        let mut at = 0;
        let before = kept.len();
        while at < kept.len() && runs < RUNS_MAX {
            let end = (at + part).min(kept.len());
            let fewer: Vec<usize> = kept[..at].iter().chain(&kept[end..]).copied().collect();
            let tried = child::run(&Job { steps: Some(fewer.clone()), ..job.clone() })?;
            runs += 1;
            if tried.violation.as_ref().is_some_and(|(broken, _)| broken == promise) {
                (kept, told) = (fewer, tried);
            } else {
                at = end;
            }
        }
        if runs >= RUNS_MAX || (part == 1 && kept.len() == before) {
            return Ok((kept, told));
        }
        part = if part == 1 { 1 } else { part.div_ceil(2) };
    }
}
