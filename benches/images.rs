//! How long an aggregate is held still for a snapshot: the image that is taken under the lock which the journal's writer needs, too.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark fails loudly; criterion's macros make what isn't documented"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use onsale::domain::accounts::{self, Accounts, Shard};
use onsale::domain::ids::{
    ConcertId, GatewayName, PaymentNumber, ReservationNumber, ScheduleId, ScheduleNumber, UserId, VenueId,
};
use onsale::domain::keys::KeyUse;
use onsale::domain::money::{Currency, Money};
use onsale::domain::payments::{self, Method, Payments, PaymentsImage};
use onsale::domain::schedule::policy::Policy;
use onsale::domain::schedule::{Creation, Event, Image, Limits, ReservationRef, Schedule};
use onsale::domain::time::Seconds;
use onsale::domain::venue::{Layout, Seat};
use support::{NOW, concert, plan, user, venue};

const SEATS: u32 = 50_000;
const KEYS: u32 = 1_000_000;

/// A schedule with a million keys that is sold out to fifty thousand users, who gave every seat back once before.
fn schedule() -> Schedule {
    let layout = Arc::new(Layout::new(&venue(1_000, 50).sections).unwrap());
    let prices = Arc::new(concert().prices(&layout).unwrap());
    let creation = Creation {
        number: ScheduleNumber(1),
        id: ScheduleId::parse("s").unwrap(),
        concert: ConcertId::parse("show").unwrap(),
        venue: VenueId::parse("hall").unwrap(),
        currency: Currency::parse("KRW").unwrap(),
        plan: Arc::new(plan(NOW, Policy::default())),
        limits: Limits { ended_retention: Seconds::DAY, keys_max: KEYS },
        prices: Some(Arc::clone(&prices)),
    };
    let mut schedule = Schedule::create(creation, layout, NOW);
    schedule.apply(&Event::SalesOpened { prices: Some(prices) }, NOW, None);
    for number in 1..=2 * SEATS {
        let held = Event::SeatsHeld {
            number: ReservationNumber(number),
            nonce: 7,
            user: user(&format!("user-{}", number % SEATS)),
            seats: [Seat(number % SEATS)].into(),
            expires_at: NOW.plus(Seconds::new(300)),
            terms: None,
        };
        schedule.apply(&held, NOW, Some(key(number)));
        if number <= SEATS {
            schedule.apply(&Event::HoldReleased { number: ReservationNumber(number) }, NOW, None);
        }
    }
    let last = Some(ReservationNumber(2 * SEATS));
    for number in 2 * SEATS + 1..=KEYS {
        schedule.apply(&Event::KeyKept { number: last }, NOW, Some(key(number)));
    }
    schedule
}

fn key(number: u32) -> KeyUse {
    KeyUse { digest: u128::from(number), fingerprint: 1 }
}

/// The payments of fifty thousand users of one schedule, each with a key.
fn payments() -> Payments {
    let mut payments = Payments::new(ScheduleNumber(1), KEYS);
    for number in 1..=SEATS {
        let started = payments::Event::Started {
            number: PaymentNumber(number),
            nonce: 7,
            reservation: ReservationRef { number: ReservationNumber(number), nonce: 7 },
            user: user(&format!("user-{number}")),
            method: Method::Card,
            amount: Money::new(100_000).unwrap(),
            currency: Currency::parse("KRW").unwrap(),
            gateway: GatewayName::parse("toss").ok(),
        };
        payments.apply(&started, NOW, Some(key(number)));
    }
    payments
}

/// A shard of the accounts of a million users: a top-up each, with a key.
fn accounts() -> Accounts {
    let mut accounts = Accounts::new(Shard(0), KEYS);
    let users = (0..1_000_000).map(|number| user(&format!("user-{number}")));
    let of_shard = users.filter(|user: &UserId| Shard::of(user) == Shard(0));
    for (number, user) in (1..).zip(of_shard) {
        let charge = accounts::Command::Charge {
            user,
            amount: Money::new(100_000).unwrap(),
            currency: Currency::parse("KRW").unwrap(),
            nonce: 7,
        };
        let event = accounts.decide(&charge).unwrap().unwrap();
        accounts.apply(&event, NOW, Some(key(number)));
    }
    accounts
}

fn images(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("image");
    group.sample_size(20);
    let schedule = schedule();
    group.bench_function("schedule: 50,000 seats, 100,000 reservations, a million keys", |bencher| {
        bencher.iter_with_large_drop(|| Image::of(&schedule));
    });
    drop(schedule);
    let payments = payments();
    group.bench_function("payments: 50,000", |bencher| {
        bencher.iter_with_large_drop(|| PaymentsImage::of(&payments));
    });
    drop(payments);
    let accounts = accounts();
    group.bench_function("accounts: a shard of a million users", |bencher| {
        bencher.iter_with_large_drop(|| accounts.clone());
    });
    group.finish();
}

criterion_group!(benches, images);
criterion_main!(benches);
