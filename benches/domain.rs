//! The rules alone: deciding and applying on a seat map, and the search for the best seats.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a benchmark fails loudly; criterion's macros make what isn't documented"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use onsale::domain::ids::{
    ConcertId, ReservationNumber, ScheduleId, ScheduleNumber, SeatId, UserId, VenueId,
};
use onsale::domain::money::Currency;
use onsale::domain::schedule::codes::{CodePrefix, CodeTerms, Discount};
use onsale::domain::schedule::policy::Policy;
use onsale::domain::schedule::{
    AnyCommand, Caller, Command, Creation, Event, Limits, ReservationRef, Schedule, Wish,
};
use onsale::domain::time::{Seconds, Timestamp};
use onsale::domain::venue::{Layout, ListedSeat, RowSeats, Seat, Seating, Venue};
use support::{NOW, area, concert, plan, user, venue, wish};

/// An open schedule of `rows` rows of 50 seats.
fn schedule(rows: u32, seats_per_user_max: u32) -> Schedule {
    schedule_in(Arc::new(Layout::new(&venue(rows, 50).sections).unwrap()), seats_per_user_max)
}

/// An open schedule of a layout.
fn schedule_in(layout: Arc<Layout>, seats_per_user_max: u32) -> Schedule {
    let prices = Arc::new(concert().prices(&layout).unwrap());
    let policy = Policy { seats_per_user_max, seats_per_reservation_max: 100, ..Policy::default() };
    let creation = Creation {
        number: ScheduleNumber(1),
        id: ScheduleId::parse("s").unwrap(),
        concert: ConcertId::parse("show").unwrap(),
        venue: VenueId::parse("hall").unwrap(),
        currency: Currency::parse("KRW").unwrap(),
        plan: Arc::new(plan(NOW, policy)),
        limits: Limits { ended_retention: Seconds::new(1), keys_max: 1_000 },
        prices: Some(Arc::clone(&prices)),
    };
    let mut schedule = Schedule::create(creation, layout, NOW);
    schedule.apply(&Event::SalesOpened { prices: Some(prices) }, NOW, None);
    schedule
}

fn hold_and_give_back(schedule: &mut Schedule, fan: &UserId, wish: Wish, now: Timestamp) {
    let hold = Command::hold(fan.clone(), wish, 7);
    let event = schedule.decide(&hold.into(), now).unwrap().unwrap();
    schedule.apply(&event, now, None);
    let Event::SeatsHeld { number, nonce, .. } = event else { unreachable!() };
    let release =
        Command::Release { reservation: ReservationRef { number, nonce }, caller: Caller::User(fan.clone()) };
    let released = schedule.decide(&release.into(), now).unwrap().unwrap();
    schedule.apply(&released, now, None);
}

fn hold_and_release(bench: &mut Criterion) {
    let mut schedule = schedule(200, 100);
    let seats: Arc<[Seat]> = [Seat(77), Seat(78)].into();
    let fan = user("user-1234567");
    let mut now = NOW;
    bench.bench_function("decide and apply: hold two seats and release them", |bencher| {
        bencher.iter(|| {
            now = now.plus_millis(1);
            hold_and_give_back(&mut schedule, &fan, Wish::seats(Arc::clone(&seats)), now);
        });
    });
    let winner = Command::hold(user("winner"), Wish::seats(Arc::clone(&seats)), 1);
    schedule.apply(&schedule.decide(&winner.into(), now).unwrap().unwrap(), now, None);
    let late = AnyCommand::from(Command::hold(fan, Wish::seats(seats), 2));
    bench.bench_function("decide: refuse two taken seats", |bencher| {
        bencher.iter(|| schedule.decide(&late, now).unwrap_err());
    });
}

fn best_available(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("decide: best four");
    for (rows, name) in [(24, "1,200"), (1_000, "50,000")] {
        let empty = schedule(rows, u32::MAX);
        let wish = Wish::best(4);
        let four = AnyCommand::from(Command::hold(user("u"), wish, 1));
        group.bench_function(BenchmarkId::new("empty", name), |bencher| {
            bencher.iter(|| empty.decide(&four, NOW).unwrap());
        });
        let mut full = schedule(rows, u32::MAX);
        let total = rows * 50;
        for first in (0..total - 20).step_by(20) {
            let seats: Arc<[Seat]> = (first..first + 20).map(Seat).collect();
            let hold = Command::hold(user("u"), Wish::seats(seats), 1);
            full.apply(&full.decide(&hold.into(), NOW).unwrap().unwrap(), NOW, None);
        }
        group.bench_function(BenchmarkId::new("the last twenty left", name), |bencher| {
            bencher.iter(|| full.decide(&four, NOW).unwrap());
        });
    }
    group.finish();
}

/// One user who held and released a hundred thousand times: all of it falls out of retention at one event.
fn forget(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("apply: forget ended reservations");
    group.sample_size(10);
    for ended in [10_000_u32, 100_000] {
        let mut kept = schedule(24, 100);
        let fan = user("user-1234567");
        for number in 1..=ended {
            let held = Event::SeatsHeld {
                number: ReservationNumber(number),
                nonce: 7,
                user: fan.clone(),
                seats: [Seat(77)].into(),
                expires_at: NOW.plus(Seconds::new(300)),
                terms: None,
            };
            kept.apply(&held, NOW, None);
            kept.apply(&Event::HoldReleased { number: ReservationNumber(number) }, NOW, None);
        }
        let later = NOW.plus(Seconds::new(1));
        group.bench_function(BenchmarkId::new("all of one user", ended), |bencher| {
            let forget = |mut schedule: Schedule| {
                schedule.apply(&Event::KeyKept { number: None }, later, None);
                assert_eq!(schedule.reservations().count(), 0);
                schedule
            };
            bencher.iter_batched(|| kept.clone(), forget, BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// Three places of an area of 100,000 that 50,000 people hold already.
fn places_of_an_area(bench: &mut Criterion) {
    let hall = Venue { areas: vec![area("pit", 100_000)], ..venue(200, 50) };
    let layout = Arc::new(Layout::with_areas(&hall.sections, &hall.areas).unwrap());
    let mut schedule = schedule_in(layout, 100);
    for number in 0..50_000 {
        let hold = Command::hold(user(&format!("user-{number}")), wish(&[], &[(0, 1)]), number);
        schedule.apply(&schedule.decide(&hold.into(), NOW).unwrap().unwrap(), NOW, None);
    }
    assert_eq!(schedule.area_counts()[0].held, 50_000);

    let fan = user("user-1234567");
    bench.bench_function(
        "decide and apply: hold three places of 100,000 with 50,000 holders, release them",
        |bencher| {
            bencher.iter(|| {
                hold_and_give_back(&mut schedule, &fan, wish(&[], &[(0, 3)]), NOW);
            });
        },
    );
}

/// The best four seats of a hall in which every fiftieth seat is accessible: for a party that may not have those, and for one that asks
/// for one.
fn best_accessible(bench: &mut Criterion) {
    let mut hall = venue(1_000, 50);
    for row in &mut hall.sections[0].rows {
        let id = |number: u32| SeatId::parse(&format!("{}-{number}", row.id)).unwrap();
        let mut seats: Vec<ListedSeat> = (1..=50).map(|number| ListedSeat::new(id(number), number)).collect();
        seats[24].accessible = true;
        seats[25].companion_of = Some(id(25));
        row.seats = RowSeats::Listed(seats);
    }
    let layout = Arc::new(Layout::new(&hall.sections).unwrap());
    let seating = Seating::new(&hall, &layout).unwrap();
    let schedule = schedule_in(layout, u32::MAX);

    let mut group = bench.benchmark_group("decide: best four of 50,000 with 1,000 accessible");
    for (name, accessible) in [("without them", false), ("with one", true)] {
        let wish = Wish { accessible, ..Wish::best(4) };
        let four = AnyCommand::from(Command::hold(user("u"), wish, 1));
        group.bench_function(name, |bencher| {
            bencher.iter(|| schedule.decide_seated(&four, NOW, Some(&seating)).unwrap());
        });
    }
    group.finish();
}

/// A hold with a code of so many that were generated, and its end.
fn codes(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("decide and apply: hold a seat with a code, release it");
    // At once, and as many as there may be in as many batches.
    for (batches, each) in [(1_u64, 10_000_u64), (1_000, 200)] {
        let mut schedule = schedule(200, 100);
        for batch in 0..batches {
            let drawn = (0..each).map(|place| (batch * each + place) * 0x1_0000_0001).collect();
            let make = Command::MakeCodes {
                prefix: CodePrefix::parse("FAN").unwrap(),
                terms: Arc::new(CodeTerms {
                    discount: Some(Discount::Percent(10)),
                    max_uses: Some(1),
                    ..CodeTerms::default()
                }),
                drawn,
            };
            schedule.apply(&schedule.decide(&make.into(), NOW).unwrap().unwrap(), NOW, None);
        }

        let (last, fan) = (u32::try_from(batches - 1).unwrap(), user("user-1234567"));
        let code = schedule.codes().unwrap().batch(last).unwrap().pop().unwrap();
        let mut now = NOW;
        group.bench_function(
            BenchmarkId::from_parameter(format!("{} codes in {batches}", batches * each)),
            |bencher| {
                bencher.iter(|| {
                    now = now.plus_millis(1);
                    let wish = Wish { code: Some(Arc::clone(code.text())), ..Wish::seats([Seat(77)]) };
                    hold_and_give_back(&mut schedule, &fan, wish, now);
                });
            },
        );
    }
    group.finish();
}

criterion_group!(
    benches,
    codes,
    places_of_an_area,
    best_accessible,
    hold_and_release,
    best_available,
    forget
);
criterion_main!(benches);
