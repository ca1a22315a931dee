//! What a waiting person weighs beyond the bytes of the own id: one copy of a room, and both as the engine keeps
//! them (the actor's, which shares the people's blocks with the published one).
//!
//! Each case runs in a process of its own, with the server's allocator. `counted` is what the room says of itself,
//! `resident` the growth of the process, free room of the allocator included.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a benchmark fails loudly; a benchmark is a program"
)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod crowd;
#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crowd::{SIZES, empty_room, opens_at, user};
use onsale::domain::keys::KeyUse;
use onsale::domain::schedule::policy::QueueOrder;
use onsale::domain::waiting_room::{Event, RoomImage, Ticket, WaitingRoom};
use support::NOW;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// After how many joins an actor takes the blocks of the published room, once it has a moment.
const SHARE_EVERY: u32 = 65_536;

/// What is measured, beside the number of people and the length of their ids.
const CASES: [&str; 4] = ["one", "both", "shuffled", "keyed"];

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    if let Some(case) = arguments.next() {
        let numbers: Vec<u32> = arguments.map(|number| number.parse().unwrap()).collect();
        return measure(&case, numbers[0], numbers[1]);
    }
    for (people, name) in SIZES {
        for id_len in [24, 36] {
            println!("{name} people, ids of {id_len} bytes; bytes a person beyond the id:");
            // A room keeps a million keys by default.
            for case in CASES.iter().filter(|case| **case != "keyed" || people <= 1_000_000) {
                let arguments = [(*case).to_owned(), people.to_string(), id_len.to_string()];
                let program = std::env::current_exe().unwrap();
                assert!(Command::new(program).args(arguments).status().unwrap().success());
            }
        }
    }
}

fn measure(case: &str, people: u32, id_len: u32) {
    let before = resident();
    let report = |what: &str, counted: usize| {
        let ids = u64::from(people) * u64::from(id_len);
        let each = |bytes: u64| (bytes - ids) as f64 / f64::from(people);
        let (counted, resident) = (each(counted as u64), each(resident() - before));
        println!("  {what:<58} counted {counted:>6.1}  resident {resident:>6.1}");
    };
    let mut crowd = Copies::new(case, people);
    crowd.fill(people, id_len as usize, case == "keyed");
    let Copies { actor, mut published } = crowd;
    match case {
        "one" => {
            drop(published);
            report("one copy", actor.heap_bytes());
        }
        "shuffled" => {
            let mut actor = actor;
            let drawn = actor.due(opens_at(), |_| None).unwrap();
            actor.apply(&drawn, opens_at(), None);
            published.apply(&drawn, opens_at(), None);
            report("both copies, drawn", heap_of_both(&actor, &published));
            actor.share_with(&published);
            report("both copies, drawn, the tables shared too", heap_of_both(&actor, &published));
        }
        "keyed" => {
            report("both copies, each join with a key (keys not counted)", heap_of_both(&actor, &published));
        }
        _ => report("both copies", heap_of_both(&actor, &published)),
    }
}

/// A room as an engine keeps it; or only one of it, and an empty other.
struct Copies {
    actor: WaitingRoom,
    published: WaitingRoom,
}

impl Copies {
    fn new(case: &str, people: u32) -> Self {
        let order = if case == "shuffled" { QueueOrder::Shuffle } else { QueueOrder::Fifo };
        let actor = empty_room(order, if case == "keyed" { people } else { 0 });
        let published = if case == "one" { WaitingRoom::new(actor.number()) } else { actor.clone() };
        Self { actor, published }
    }

    fn fill(&mut self, people: u32, id_len: usize, keyed: bool) {
        let both = self.published.settings().is_some();
        for ticket in 1..=people {
            let key = keyed.then(|| KeyUse { digest: u128::from(ticket) << 64, fingerprint: 0 });
            let event = Event::Joined { ticket: Ticket(ticket), user: user(ticket, id_len), admitted: false };
            self.actor.apply(&event, NOW, key);
            if both {
                self.published.apply(&event, NOW, key);
                if ticket % SHARE_EVERY == 0 {
                    self.actor.share_with(&self.published);
                }
            }
        }
    }
}

/// Returns what both copies take on the heap, with what they share counted once.
fn heap_of_both(one: &WaitingRoom, other: &WaitingRoom) -> usize {
    let (mine, others) = (RoomImage::of(one), RoomImage::of(other));
    let blocks = mine.people.iter().flatten().zip(others.people.iter().flatten());
    let block_bytes = |block: &onsale::domain::waiting_room::Block| {
        let (joined, ends, ids) = block.parts();
        size_of_val(joined) + size_of_val(ends) + ids.len() + 88
    };
    let shared: usize =
        blocks.filter(|(mine, other)| Arc::ptr_eq(mine, other)).map(|(block, _)| block_bytes(block)).sum();
    let tables = match (&mine.drawn, &others.drawn) {
        (Some(mine), Some(other)) if Arc::ptr_eq(&mine.ticket_of, &other.ticket_of) => {
            2 * size_of_val(&*mine.ticket_of)
        }
        _ => 0,
    };
    one.heap_bytes() + other.heap_bytes() - shared - tables
}

/// Returns the resident memory of this process in bytes, once the allocator had time to give back what it
/// doesn't need; pages are 4 KiB on what this runs on.
fn resident() -> u64 {
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(20));
        drop(black_box(vec![0_u8; 1 << 20]));
    }
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}
