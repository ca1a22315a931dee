//! A model of how nodes append to a replicated log, take it over from one another, and answer reads by leases, walked through state by
//! state: whatever is lost, late or doubled, whoever dies, and whichever clock is slow.
//!
//! ```text
//! cargo run --release -p onsale-model              what is right, and then each rule broken: it has to be seen
//! cargo run --release -p onsale-model -- silence   only rules whose names have this word, broken
//! cargo run --release -p onsale-model -- far       what is right alone, farther: minutes, and gigabytes
//! ```
//!
//! The log's part is in the code (`src/journal/{lane/nats.rs, stream/claim.rs}`); leases are `stream/live/rules.rs`, whose own tests have three nodes, a bucket that forgets, and hand-overs. [`takeover`] says which line stands for what.
//!
//! Absent on purpose: what the servers do among themselves (a lane's log and the bucket of leases are each one order, and forget nothing),
//! what an entry means, snapshots, and handing over by those who live.

#![expect(
    clippy::similar_names,
    clippy::wildcard_enum_match_arm,
    reason = "a state has stages, as the code names them; a stage that isn't named in a match has nothing to do there"
)]

mod controls;
mod promises;
mod rules;
mod takeover;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use stateright::{Checker, HasDiscoveries, Model};

use self::controls::CONTROLS;
use self::promises::{ALWAYS, SOMETIMES};
use self::rules::{Bounds, Rules};
use self::takeover::{Action, Takeover};

const NEAR: Bounds =
    Bounds { lanes: 1, lives: 2, changes: 2, crashes: 0, lost_ticks: 0, ttl: 1, begun: false };

/// A walk goes from the beginning in breadth, and ends at the latest once it made so many steps.
struct Walk {
    name: &'static str,
    bounds: Bounds,
    steps_max: usize,
}

/// What `./test` walks through: the first two to their ends. Together they see everything happen that should.
const WALKS: [Walk; 4] = [
    Walk { name: "two owners", bounds: NEAR, steps_max: STEPS_MAX },
    Walk { name: "a slow clock", bounds: Bounds { changes: 1, lost_ticks: 1, ..NEAR }, steps_max: STEPS_MAX },
    Walk {
        name: "three owners, one of whom dies",
        bounds: Bounds { lives: 3, changes: 1, crashes: 1, begun: true, ..NEAR },
        steps_max: 8_000_000,
    },
    Walk { name: "two lanes", bounds: Bounds { lanes: 2, ..NEAR }, steps_max: 4_000_000 },
];

/// What takes minutes.
const FAR: [Walk; 4] = [
    Walk { name: "two owners, longer leases", bounds: Bounds { ttl: 2, ..NEAR }, steps_max: FAR_MAX },
    Walk {
        name: "two owners, a death and a slow clock",
        bounds: Bounds { crashes: 1, lost_ticks: 1, ..NEAR },
        steps_max: FAR_MAX,
    },
    Walk {
        name: "three owners, one of whom dies",
        bounds: Bounds { lives: 3, changes: 1, crashes: 1, begun: true, ..NEAR },
        steps_max: FAR_MAX,
    },
    Walk { name: "two lanes, two owners", bounds: Bounds { lanes: 2, ..NEAR }, steps_max: FAR_MAX },
];

/// More than any walk makes that is to come to its end.
const STEPS_MAX: usize = 60_000_000;
/// Some gigabytes of states.
const FAR_MAX: usize = 100_000_000;

/// What came of a walk.
struct Found {
    /// What doesn't hold, with the steps that lead there.
    broken: Vec<(&'static str, Vec<Action>)>,
    /// What was never seen to happen.
    never: Vec<&'static str>,
    /// Different states that were seen.
    states: usize,
    depth: usize,
    /// Whether every state was seen, and not only those that so many steps lead to.
    is_whole: bool,
}

/// Walks through all states, or to the first that breaks a promise.
fn walk(rules: Rules, bounds: Bounds, steps_max: usize) -> Found {
    let checker = Takeover { rules, bounds }
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .target_state_count(steps_max)
        .threads(2)
        .spawn_bfs()
        .join();
    let mut found = checker.discoveries();
    let never = SOMETIMES.iter().map(|(name, _)| *name).filter(|name| !found.contains_key(name)).collect();
    let broken = ALWAYS.iter().filter_map(|(name, _)| Some((*name, found.remove(name)?.into_actions())));
    Found {
        broken: broken.collect(),
        never,
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        is_whole: checker.state_count() < steps_max,
    }
}

#[expect(clippy::print_stdout, reason = "a command tells what it found")]
fn main() -> ExitCode {
    let asked = std::env::args().nth(1);
    let (walks, controls): (&[Walk], _) = match asked.as_deref() {
        None => (&WALKS, ""),
        Some("far") => (&FAR, "far"),
        Some(words) => (&[], words),
    };
    let mut is_right = true;

    for Walk { name, bounds, steps_max } in walks {
        let found = walk(Rules::RIGHT, *bounds, *steps_max);
        let all = if found.is_whole { "all" } else { "the first" };
        println!("{name}: {all} {} states, {} steps deep, {bounds:?}", found.states, found.depth);
        for what in &found.never {
            println!("  doesn't happen here: {what}");
        }
        is_right &= found.broken.is_empty();
        tell(&found);
    }

    for control in CONTROLS.iter().filter(|control| control.name.contains(controls)) {
        let found = walk(control.rules, control.bounds, STEPS_MAX);
        println!("broken on purpose: {}: {} states", control.name, found.states);
        is_right &= found.broken.iter().any(|(promise, _)| *promise == control.breaks);
        tell(&found);
    }
    if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "a command tells what it found")]
fn tell(found: &Found) {
    for (promise, steps) in &found.broken {
        println!("  breaks \"{promise}\", by {} steps:", steps.len());
        for step in steps {
            println!("    {step:?}");
        }
    }
}
