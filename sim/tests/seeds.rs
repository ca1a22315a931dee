//! A fixed set of seeds keeps every promise, and a seed is the same run each time.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::process::{Command, Output};

fn simulate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_onsale-sim")).args(arguments).output().unwrap()
}

/// Returns what the runs came to, without how long they took.
fn told(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().filter(|line| !line.contains(" seeds in ")).map(ToOwned::to_owned).collect()
}

#[test]
fn a_fixed_set_of_seeds_keeps_every_promise() {
    let output = simulate(&["--seeds", "150"]);
    assert!(output.status.success(), "{}", told(&output).join("\n"));
}

#[test]
fn a_seed_that_runs_twice_gives_the_same_trace() {
    let run = || told(&simulate(&["--seeds", "25", "--from", "1000", "--all"]));
    let first = run();
    assert!(first.iter().any(|line| line.starts_with("trace ")), "{first:?}");
    assert_eq!(first, run());
}
