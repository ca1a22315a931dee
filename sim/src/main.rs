//! A deterministic simulator of the whole engine: real actors, journal, snapshots, waiting rooms, accounts, payments and archive, in
//! a world where everything that can go wrong does, from seeds.
//!
//! ```text
//! cargo run --release -p onsale-sim -- --seeds 100000 --jobs 2   many seeds; a failing one is told in short; exit code 1
//! cargo run --release -p onsale-sim -- --seed 17                 one seed, with its story
//! cargo run --release -p onsale-sim -- --seeds 500 --all         counts what breaks, and goes on
//! sim/planted/run                                                does it find the faults that it should?
//! ```
//!
//! # What a run is
//!
//! A seed gives a plan: some hundred steps, made before anything runs ([`plan`], [`motifs`], [`theatre`]). A step asks something of the engine
//! ([`calls`]), lets time pass, or has something go wrong. Each life of the engine has a runtime of one thread, whose time
//! passes only when everyone waits ([`world`]); to kill the process is to drop that runtime. The disk ([`disk`]), the
//! gateway ([`gateway`]), the true time ([`clock`]) and the model's book ([`book`]) outlive it. After each step what is published is looked at
//! ([`checks`]), and compared with a replay that never restarts ([`shadow`]). In the end all faults stop, hours pass, and
//! everything must have come to rest without a restart; then it is started once more, and must be so again ([`settle`]).
//!
//! # What goes wrong
//!
//! - *Callers* are gone after some polls of their call, or after some milliseconds; replies are lost; requests are repeated with
//!   their key, in any order.
//! - *The disk* fails a write or a sync, runs full, and dies before, in the middle of, or right after any operation, in a start
//!   too. A restart finds what was synced, and as much of the rest as the dice say. A snapshot finds no room; the process dies at
//!   an operation on a snapshot's or the archive's file.
//! - *The clock* steps forward, stands still, and is wrong at a start, by a second or a year; the process isn't scheduled for
//!   minutes or a day; outages last from milliseconds to days.
//! - *The gateway* is slow, doesn't answer, does what it didn't answer to (also minutes later), declines, forgets, answers a repeated
//!   request otherwise than the first, refuses refunds for days, and once in a while its client panics.
//!
//! # What is checked
//!
//! The model shares no code with the engine. It rests on two rules: what is acknowledged is visible at that moment, and what was
//! ever visible never unhappens, in this life or a later one. Each attempt of a request carries a random part of its own, so that
//! the model knows which attempts had an effect. The promises have the numbers of the design: S1–S5, M1–M3, Q1, Q2, I1, R1, V1,
//! E1, A1, B1; [`checks`], [`book`], [`selling`], [`door`], [`office`], [`shadow`] and [`settle`] name each check (`M3 refund-stuck`).
//!
//! What a theatre sells ([`theatre`] asks for it) is counted anew from the reservations that are seen ([`selling`]). Who may buy, and when,
//! is asked of the instant at which a hold was decided, or of the time in which a refusal was ([`door`]); what a clerk sells, of the order
//! ([`office`]). Codes, allotments and plans are known from requests and answers; where one came to an unknown end, nothing is known until
//! somebody is answered again ([`prepared`]). Clients name price types, as at the routes: which place these have in a concert's list may
//! change up to the first sale.
//!
//! # Why a seed is the same run each time
//!
//! One thread, paused time, and a process of its own for each seed, before which `shim.c` is loaded: it gives the randomness of
//! the operating system from the seed, takes address space randomisation away (hash tables are keyed by addresses), and has the
//! wall clock stand. `Driver::Alone` has the engine do on its one thread what it would hand to others. A test runs seeds twice.
//!
//! # What it can't see
//!
//! - Two threads at once: what two tasks do between two awaits never overlaps. A wake-up that is lost only there (a drive that ends
//!   on one core while a refund begins on another) doesn't happen here.
//! - HTTP, tokens, streams and their resumption, passwords; the real client of a gateway; sled and the real disk (`tests/power_cut.rs`,
//!   `tests/crash.rs` and `loadtest` look there).
//! - An unclean file in the middle of `SQLite`'s own write is one of the process, not of the power: what was written is kept.
//! - Load: mailboxes never fill, and no one waits for room in the journal's queue.

mod book;
mod calls;
mod checks;
mod child;
mod cli;
mod clock;
mod dice;
mod disk;
mod documents;
mod door;
mod gateway;
mod motifs;
mod office;
mod panics;
mod plan;
mod prepared;
mod resolve;
mod runner;
mod selling;
mod settle;
mod shadow;
mod shim;
mod shrink;
mod theatre;
mod words;
mod world;

use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "a command says why it failed")]
fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("onsale-sim: {error:#}");
            ExitCode::from(2)
        }
    }
}
