//! The documents of a simulated world: a hall, a concert in won, a free one in dollars, and the plans of their schedules.

use std::collections::BTreeMap;

use onsale::domain::concert::{Concert, PricedGrade};
use onsale::domain::ids::{ConcertId, GradeName, ScheduleId, VenueId};
use onsale::domain::money::{Currency, Money};
use onsale::domain::schedule::Plan;
use onsale::domain::schedule::policy::{Casting, Policy, QueueOrder, QueuePolicy};
use onsale::domain::time::{Seconds, Timestamp};
use onsale::domain::venue::{Row, RowSeats, Section, Venue};

use crate::clock::BEGIN;
use crate::plan::{CLAIM_SECONDS, DocChange, HOLD_SECONDS, SCHEDULES, Setup};

const DAY: u64 = 86_400_000;

pub(crate) fn won() -> Currency {
    Currency::parse("KRW").expect("a currency")
}

pub(crate) fn dollars() -> Currency {
    Currency::parse("USD").expect("a currency")
}

pub(crate) fn schedule_id(index: usize) -> ScheduleId {
    ScheduleId::parse(SCHEDULES[index]).expect("an id")
}

pub(crate) fn concert_of(index: usize) -> ConcertId {
    let id = if index == SCHEDULES.len() - 1 { "gift" } else { "show" };
    ConcertId::parse(id).expect("an id")
}

fn hall() -> VenueId {
    VenueId::parse("hall").expect("an id")
}

pub(crate) fn venue(setup: &Setup) -> Venue {
    let row = |row: u32| Row {
        id: row.to_string(),
        grade: GradeName::parse(if row == 1 { "R" } else { "S" }).expect("a name"),
        line: None,
        seats: RowSeats::Length(setup.row),
    };
    Venue {
        id: hall(),
        name: "Hall".into(),
        address: String::new(),
        kind: "hall".into(),
        time_zone: "Asia/Seoul".into(),
        stage: None,
        areas: vec![],
        sections: vec![Section {
            id: "A".into(),
            floor: "1".into(),
            outline: None,
            rows: (1..=setup.rows).map(row).collect(),
        }],
    }
}

fn concert(id: &str, currency: Currency, prices: [u64; 2]) -> Concert {
    let grade = |(name, price): (&str, u64)| PricedGrade {
        name: GradeName::parse(name).expect("a name"),
        price: Money::new(price).expect("small"),
        color: "#888888".into(),
        description: None,
        prices: BTreeMap::new(),
    };
    Concert {
        id: ConcertId::parse(id).expect("an id"),
        title: "Show".into(),
        artist: "Someone".into(),
        description: None,
        venue: hall(),
        poster_url: None,
        currency,
        grades: ["R", "S"].into_iter().zip(prices).map(grade).collect(),
        cast: BTreeMap::new(),
        price_types: vec![],
        fees: vec![],
    }
}

pub(crate) fn concerts() -> [Concert; 2] {
    [concert("show", won(), [50_000, 30_000]), concert("gift", dollars(), [0, 0])]
}

/// Makes the first plan of a schedule.
pub(crate) fn first_plan(setup: &Setup, index: usize) -> Plan {
    let starts_at = Timestamp::from_millis(BEGIN + setup.starts_in[index] * DAY);
    let queue = (setup.room && index == 0).then(|| queue(2, false, None));
    Plan {
        starts_at,
        ends_at: starts_at.plus(Seconds::new(7_200)),
        sales_open_at: None,
        sales_close_at: None,
        casting: BTreeMap::new(),
        policy: Policy {
            hold: Seconds::new(HOLD_SECONDS),
            seats_per_user_max: setup.per_user,
            cancel_until_before_start: Seconds::new(3_600),
            queue,
            ..Policy::default()
        },
    }
}

fn queue(active: u32, shuffle: bool, opens_at: Option<Timestamp>) -> QueuePolicy {
    QueuePolicy {
        active_max: active,
        admit_per_minute: None,
        active: Seconds::new(600),
        claim: Seconds::new(CLAIM_SECONDS),
        idle: None,
        waiting: Seconds::new(3_600),
        order: if shuffle { QueueOrder::Shuffle } else { QueueOrder::Fifo },
        opens_at,
    }
}

/// Changes a plan, at an instant.
pub(crate) fn changed(mut plan: Plan, change: DocChange, now: Timestamp) -> Plan {
    let at = |seconds: i64| {
        let shift = Seconds::new(u32::try_from(seconds.unsigned_abs()).expect("small"));
        if seconds < 0 { now.minus(shift) } else { now.plus(shift) }
    };
    match change {
        DocChange::Same => {}
        DocChange::Casting(number) => {
            plan.casting.insert("lead".into(), Casting::One(number.to_string()));
        }
        DocChange::Room { active, shuffle, opens } => {
            plan.policy.queue = Some(queue(active, shuffle, opens.map(at)));
        }
        DocChange::Opens(seconds) => {
            if let Some(queue) = &mut plan.policy.queue {
                queue.opens_at = Some(at(seconds));
            }
        }
        DocChange::NoRoom => plan.policy.queue = None,
    }
    plan
}
