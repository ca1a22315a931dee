//! What a schedule of 50,000 seats and its holds weigh, both copies of its state and its venue's layout: the growth of
//! the process's resident memory over many of them, with the server's allocator, whose counters would need unsafe code.
//!
//! `cargo bench --bench memory -- 4` takes so many schedules.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a benchmark fails loudly; a benchmark is a program"
)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod rounds;
#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;

use onsale::domain::ids::{ConcertId, ScheduleId, ScheduleNumber, VenueId};
use onsale::domain::money::Currency;
use onsale::domain::schedule::policy::Policy;
use onsale::domain::schedule::{Command, Creation, Event, Limits, Schedule, Wish};
use onsale::domain::time::Seconds;
use onsale::domain::venue::{Layout, Seat};
use rounds::size_or;
use support::{NOW, concert, plan, user, venue};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MANY: u32 = 40;
const ROWS: u32 = 1_000;
const SEATS: u32 = ROWS * 50;
/// How many holds a schedule has: every seat is held where they are of four.
const HOLDS: u32 = SEATS / 4;

/// Returns the resident memory of this process in bytes; pages are 4 KiB on what this runs on.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

fn schedule(number: u32, layout: &Arc<Layout>) -> Schedule {
    let prices = Arc::new(concert().prices(layout).unwrap());
    let creation = Creation {
        number: ScheduleNumber(number),
        id: ScheduleId::parse("s").unwrap(),
        concert: ConcertId::parse("show").unwrap(),
        venue: VenueId::parse("hall").unwrap(),
        currency: Currency::parse("KRW").unwrap(),
        plan: Arc::new(plan(NOW, Policy::default())),
        limits: Limits { ended_retention: Seconds::DAY, keys_max: 1_000 },
        prices: Some(Arc::clone(&prices)),
    };
    let mut schedule = Schedule::create(creation, Arc::clone(layout), NOW);
    schedule.apply(&Event::SalesOpened { prices: Some(prices) }, NOW, None);
    schedule
}

/// Makes so many holds of `seats` seats each, one to a user: one copy decides, and both apply the event, as in the engine.
fn hold(actor: &mut Schedule, published: &mut Schedule, holds: u32, seats: u32) {
    for first in (0..holds).map(|number| number * seats) {
        let wish = Wish::seats((first..first + seats).map(Seat).collect::<Vec<_>>());
        let hold = Command::hold(user(&format!("user-{first}")), wish, 1);
        let event = actor.decide(&hold.into(), NOW).unwrap().unwrap();
        actor.apply(&event, NOW, None);
        published.apply(&event, NOW, None);
    }
}

fn main() {
    let many = size_or(MANY);
    let report = |what: &str, before: u64| {
        let each = (resident() - before) / u64::from(many);
        println!("{what}: {each} bytes, {} a seat", each / u64::from(SEATS));
    };
    let before = resident();
    let layouts: Vec<_> =
        (0..many).map(|_| Arc::new(Layout::new(&venue(ROWS, 50).sections).unwrap())).collect();
    report("a layout of 50,000 seats", before);
    let only = resident();
    let mut of_four: Vec<_> = both_copies(&layouts);
    report("both copies of an empty schedule on it", only);
    report("all of that together", before);
    let of_four_before = resident();
    hold_in_all(&mut of_four, 4);
    report("the same with every seat held, four a reservation", before);
    report_holds("four seats", of_four_before, many);

    // On schedules of their own, beside the others: what is given back isn't taken again.
    let mut of_one = both_copies(&layouts);
    let of_one_before = resident();
    hold_in_all(&mut of_one, 1);
    report_holds("one seat", of_one_before, many);
    drop((layouts, of_four, of_one));
}

fn both_copies(layouts: &[Arc<Layout>]) -> Vec<(Schedule, Schedule)> {
    let actors = layouts.iter().map(|layout| schedule(1, layout));
    actors.map(|actor| (actor.clone(), actor)).collect()
}

fn hold_in_all(schedules: &mut [(Schedule, Schedule)], seats: u32) {
    for (actor, published) in schedules {
        hold(actor, published, HOLDS, seats);
    }
}

fn report_holds(of: &str, before: u64, schedules: u32) {
    let each = (resident() - before) / u64::from(schedules * HOLDS);
    println!("a live hold of {of}, both copies, with its user: {each} bytes");
}
