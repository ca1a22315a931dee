//! `histories`: what everyone was told, while the server is killed again and again, is it one story?
//!
//! A history is what many clients asked of one schedule, and what they were answered: holds of one and several seats, exchanges, releases, payments and
//! cancellations, reads of the map and of reservations. Clients hang up, and repeat with the same key or don't. The server is killed with SIGKILL at random
//! instants. Each history is then held against a specification of one seat (`seat`), seat by seat: is there an order of all operations, each
//! within its time, in which every answer is right? (`check`, by `stateright`.)
//!
//! `drive` makes a history with a server of its own, a `customer` is one of its clients, `answers` reads what it is told, `history` is what was
//! written down, `project` takes it apart by seats, and `words` tells what went wrong.

mod answers;
mod check;
mod customer;
mod drive;
mod history;
mod project;
mod seat;
#[cfg(test)]
mod tests;
mod words;

use std::fmt::Write as _;

use anyhow::{Context, Result};

use crate::{clock::Clock, report::float, start::ServerOptions};
use check::{Offence, check};
use drive::{Counts, Shape};
use history::History;

/// The stack of the thread that checks: the search goes one call deeper with each operation of a window.
const STACK_LEN: usize = 512 << 20;
/// How many faults that concern no seat are told.
const FAULTS_TOLD_MAX: usize = 20;

/// Kill the server again and again, and check for each seat that all answers are one story (linearizability).
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Histories {
    #[command(flatten)]
    server: ServerOptions,
    /// How many histories, each with a server and a data directory of its own.
    #[arg(long = "histories", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// The operations of a history.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(10..=100_000))]
    operations: u64,
    /// The clients; four of them share a user.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=512))]
    clients: u16,
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=1000))]
    seats: u32,
    /// How often the server is killed in a history, the last time at its end.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=100))]
    kills: u16,
    /// How long a hold lives: short, so that many end by themselves.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    hold_seconds: u64,
    /// The same seed makes the same choices, though not the same history.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What is wrong with a history.
#[derive(Debug, Default)]
struct Verdict {
    /// Operations on seats that were checked: what touches several seats counts for each.
    steps: u64,
    /// What concerns no seat alone.
    faults: Vec<String>,
    /// The seats whose history isn't linearizable.
    offences: Vec<(usize, Offence)>,
}

impl Verdict {
    fn is_right(&self) -> bool {
        self.faults.is_empty() && self.offences.is_empty()
    }

    /// In words: the shortest of the offences, since the others often follow from the same.
    fn tell(&self, history: &History) -> String {
        let mut words = String::new();
        for fault in self.faults.iter().take(FAULTS_TOLD_MAX) {
            words.push_str(fault);
            words.push('\n');
        }
        if let Some((seat, offence)) = self.offences.iter().min_by_key(|(_, offence)| offence.steps.len()) {
            let count = self.offences.len();
            let _ = writeln!(words, "{count} seats aren't linearizable; the shortest story of them:");
            words.push_str(&words::tell(history, *seat, offence));
        }
        words
    }
}

/// Checks a history, on a thread whose stack is deep enough.
fn judge(history: &History) -> Result<Verdict> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("check".to_owned()).stack_size(STACK_LEN);
        let judge = move || {
            let projected = project::project(history);
            let steps = projected.seats.iter().map(Vec::len).sum::<usize>();
            let offences = projected.seats.into_iter().enumerate();
            let offences = offences.filter_map(|(seat, steps)| Some((seat, check(steps)?))).collect();
            Verdict { steps: u64::try_from(steps).unwrap_or(u64::MAX), faults: projected.faults, offences }
        };
        let judging = thread.spawn_scoped(scope, judge).context("starting a thread")?;
        judging.join().map_err(|_| anyhow::anyhow!("the check ended with a panic"))
    })
}

/// Runs the command; returns whether every history is one story.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn run(histories: Histories) -> Result<bool> {
    let Histories { server, count: histories, operations, clients, seats, kills, hold_seconds, seed } =
        histories;
    let clock = Clock::start();
    let (mut counts, mut steps, mut hang_ups) = (Counts::default(), 0, 0);
    let (mut record_nanos, mut check_nanos) = (0, 0);
    for number in 0..histories {
        let seed = seed.wrapping_mul(1_000_003).wrapping_add(number.into());
        let shape =
            Shape { operations, clients: clients.into(), seats, kills: kills.into(), hold_seconds, seed };
        let began = clock.nanos();
        let history = drive::record(&server, shape).await?;
        let recorded = clock.nanos();
        let verdict = tokio::task::block_in_place(|| judge(&history))?;
        let checked = clock.nanos();

        let seconds = |nanos: u64| float(nanos / 1_000_000) / 1000.0;
        record_nanos += recorded - began;
        check_nanos += checked - recorded;
        counts.add(&history);
        steps += verdict.steps;
        hang_ups += history.hang_ups;
        println!(
            "history {} of {histories}: {} operations, recorded in {:.1} s, checked in {:.1} s",
            number + 1,
            history.operations.len(),
            seconds(recorded - began),
            seconds(checked - recorded)
        );
        if !verdict.is_right() {
            println!("seed {seed}: NOT linearizable\n{}", verdict.tell(&history));
            return Ok(false);
        }
    }

    let Counts { operations, unknown, holds, taken, exchanges, releases, payments, maps, looks, refused } =
        counts;
    println!(
        "{operations} operations in {histories} histories on {seats} seats: {holds} holds, {taken} refusals of taken seats, {exchanges} exchanges, {releases} releases and cancellations, {payments} payments, {refused} other refusals, {maps} maps, {looks} looks at a reservation"
    );
    println!(
        "{} kills, {hang_ups} hang-ups, {unknown} operations of unknown outcome; recorded in {} s, checked in {} s ({steps} operations on one seat each)",
        u32::from(kills) * histories,
        record_nanos / 1_000_000_000,
        check_nanos / 1_000_000_000
    );
    println!("linearizable: every seat of every history");
    Ok(true)
}
