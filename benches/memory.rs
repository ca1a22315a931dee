//! What a schedule of 50,000 seats weighs, both copies of its state and its venue's layout: the growth of
//! the process's resident memory over many of them, since an allocator's counters would need unsafe code.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a benchmark fails loudly; a benchmark is a program"
)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;

use onsale::domain::ids::{ConcertId, ScheduleId, ScheduleNumber, VenueId};
use onsale::domain::money::Currency;
use onsale::domain::schedule::policy::Policy;
use onsale::domain::schedule::{Command, Creation, Event, Limits, Schedule, Wish};
use onsale::domain::time::Seconds;
use onsale::domain::venue::{Layout, Seat};
use support::{NOW, concert, plan, user, venue};

const MANY: u32 = 40;
const ROWS: u32 = 1_000;
const SEATS: u32 = ROWS * 50;

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

/// Holds every seat, four to a user: one copy decides, and both apply the event, as in the engine.
fn hold_all(actor: &mut Schedule, published: &mut Schedule) {
    for first in (0..SEATS).step_by(4) {
        let seats = (first..first + 4).map(Seat).collect();
        let hold = Command::hold(user(&format!("user-{first}")), Wish::Seats(seats), 1);
        let event = actor.decide(&hold.into(), NOW).unwrap().unwrap();
        actor.apply(&event, NOW, None);
        published.apply(&event, NOW, None);
    }
}

fn main() {
    let report = |what: &str, before: u64| {
        let each = (resident() - before) / u64::from(MANY);
        println!("{what}: {each} bytes, {} a seat", each / u64::from(SEATS));
    };
    let before = resident();
    let layouts: Vec<_> =
        (0..MANY).map(|_| Arc::new(Layout::new(&venue(ROWS, 50).sections).unwrap())).collect();
    report("a layout of 50,000 seats", before);
    let only = resident();
    let mut actors: Vec<_> = layouts.iter().map(|layout| schedule(1, layout)).collect();
    let mut published = actors.clone();
    report("both copies of an empty schedule on it", only);
    report("all of that together", before);
    for (actor, published) in actors.iter_mut().zip(&mut published) {
        hold_all(actor, published);
    }
    report("the same with every seat held, four a reservation", before);
    drop((layouts, actors, published));
}
