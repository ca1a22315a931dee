//! The documents of a simulated world: a hall, a concert in won, a free one in dollars, and the plans of their schedules.

use std::collections::BTreeMap;

use onsale::domain::concert::{Concert, Fee, FeePer, NamedPriceType, PricedGrade};
use onsale::domain::ids::{
    AllotmentId, ConcertId, FeeId, GradeName, PhaseId, PriceTypeId, ScheduleId, SeatId, UserId, VenueId,
};
use onsale::domain::money::{Currency, Money};
use onsale::domain::schedule::Plan;
use onsale::domain::schedule::allotments::{AllotmentTerms, AsidePlaces};
use onsale::domain::schedule::codes::{CodeTerms, Discount};
use onsale::domain::schedule::orders::{Order, OrderMethod};
use onsale::domain::schedule::policy::{Casting, Phase, Policy, QueueOrder, QueuePolicy};
use onsale::domain::time::{Seconds, Timestamp};
use onsale::domain::venue::{Area, ListedSeat, Row, RowSeats, Seat, Section, Venue, VenueArea};

use crate::clock::BEGIN;
use crate::plan::{
    ALLOTMENTS, CLAIM_SECONDS, CodePlan, DocChange, HOLD_SECONDS, PHASES, PLAY, SCHEDULES, Setup,
};

const DAY: u64 = 86_400_000;

/// The price list of a show in won: some prices of which most hundredths aren't whole.
const PRICES: [(&str, u64); 3] = [("R", 50_000), ("S", 30_001), ("F", 22_225)];
/// What a youth pays; the others aren't sold to one.
const YOUTH_PRICES: [(&str, u64); 2] = [("R", 35_000), ("F", 15_555)];
/// A price type that comes and goes, of a concert that hasn't sold anything; nobody asks for it.
const CHILD_PRICE: u64 = 10_001;
/// What is added for each place, and stays with the house; and for a reservation.
const PLACE_FEE: u64 = 2_000;
const RESERVATION_FEE: u64 = 1_500;
/// The grades of the areas.
pub(crate) const AREA_GRADES: [&str; 2] = ["F", "S"];

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
    let id = match index {
        0 => "show",
        PLAY => "play",
        1 => "plain",
        _ => "gift",
    };
    ConcertId::parse(id).expect("an id")
}

fn hall() -> VenueId {
    VenueId::parse("hall").expect("an id")
}

/// Tells whether a schedule's concert has price types and fees.
pub(crate) fn has_tariff(id: &ScheduleId) -> bool {
    [0, PLAY].iter().any(|index| *id == schedule_id(*index))
}

/// Returns the price type of whoever isn't a youth, or is.
pub(crate) const fn type_name(youth: bool) -> &'static str {
    if youth { "youth" } else { "adult" }
}

/// Returns the price of a place of a schedule by its price type, where it is sold to one.
pub(crate) fn price(id: &ScheduleId, grade: &str, price_type: &str) -> Option<u64> {
    if *id == schedule_id(SCHEDULES.len() - 1) {
        return Some(0);
    }
    let list = match price_type {
        "adult" => &PRICES[..],
        "youth" => &YOUTH_PRICES,
        _ => &[],
    };
    list.iter().find(|(of, _)| *of == grade).map(|(_, price)| *price)
}

/// Returns the fees for so many places: those that stay with the house, and the others.
pub(crate) fn fees(id: &ScheduleId, places: u64) -> (u64, u64) {
    if has_tariff(id) { (PLACE_FEE * places, RESERVATION_FEE) } else { (0, 0) }
}

/// Returns the grade of a seat: the first row is better than the others.
pub(crate) fn grade_of(setup: &Setup, seat: Seat) -> &'static str {
    if seat.0 < setup.row { "R" } else { "S" }
}

/// Returns the accessible seat and its companion's: the first two of the last row, where the venue has such.
pub(crate) fn special(setup: &Setup) -> Vec<Seat> {
    let first = setup.row * setup.rows.saturating_sub(1);
    if setup.special { vec![Seat(first), Seat(first + 1)] } else { Vec::new() }
}

fn grade(name: &str) -> GradeName {
    GradeName::parse(name).expect("a name")
}

pub(crate) fn venue(setup: &Setup) -> Venue {
    let seat_id = |row: u32, number: u32| SeatId::parse(&format!("1-A-{row}-{number}")).expect("an id");
    let listed = |row: u32, number: u32| ListedSeat {
        accessible: number == 1,
        companion_of: (number == 2).then(|| seat_id(row, 1)),
        ..ListedSeat::new(seat_id(row, number), number)
    };
    let row = |row: u32| Row {
        id: row.to_string(),
        grade: grade(if row == 1 { "R" } else { "S" }),
        line: None,
        seats: if setup.special && row == setup.rows {
            RowSeats::Listed((1..=setup.row).map(|number| listed(row, number)).collect())
        } else {
            RowSeats::Length(setup.row)
        },
    };
    let area = |(number, capacity): (usize, u32)| VenueArea {
        id: format!("area-{number}"),
        floor: "1".into(),
        name: String::new(),
        grade: grade(AREA_GRADES[number]),
        capacity,
        outline: None,
    };
    Venue {
        id: hall(),
        name: "Hall".into(),
        address: String::new(),
        kind: "hall".into(),
        time_zone: "Asia/Seoul".into(),
        stage: None,
        areas: setup.areas.into_iter().enumerate().map(area).collect(),
        sections: vec![Section {
            id: "A".into(),
            floor: "1".into(),
            outline: None,
            rows: (1..=setup.rows).map(row).collect(),
        }],
    }
}

fn money(minor: u64) -> Money {
    Money::new(minor).expect("small")
}

fn concert(index: usize, currency: Currency, is_free: bool, children: bool) -> Concert {
    let id = concert_of(index);
    let has_tariff = has_tariff(&schedule_id(index));
    let type_id = |id: &str| PriceTypeId::parse(id).expect("an id");
    let types = [type_name(false), "child", type_name(true)];
    let types = types.into_iter().filter(|of| has_tariff && (children || *of != "child"));
    let priced = |(name, price): (&str, u64)| PricedGrade {
        name: grade(name),
        price: money(if is_free { 0 } else { price }),
        color: "#888888".into(),
        description: None,
        prices: YOUTH_PRICES
            .iter()
            .filter(|(of, _)| has_tariff && *of == name)
            .map(|(_, price)| (type_id(type_name(true)), money(*price)))
            .chain(children.then(|| (type_id("child"), money(CHILD_PRICE))))
            .collect(),
    };
    let price_type = |id: &str| NamedPriceType { id: type_id(id), name: id.into(), note: None };
    let fee = |(id, amount, per, refundable): (&str, u64, FeePer, bool)| Fee {
        id: FeeId::parse(id).expect("an id"),
        name: id.into(),
        amount: money(amount),
        per,
        refundable,
    };
    let fees = [
        ("booking", PLACE_FEE, FeePer::Seat, false),
        ("service", RESERVATION_FEE, FeePer::Reservation, true),
    ];
    Concert {
        id,
        title: "Show".into(),
        artist: "Someone".into(),
        description: None,
        venue: hall(),
        poster_url: None,
        currency,
        grades: PRICES.into_iter().map(priced).collect(),
        price_types: types.map(price_type).collect(),
        fees: fees.into_iter().filter(|_| has_tariff).map(fee).collect(),
        cast: BTreeMap::new(),
    }
}

pub(crate) fn concerts() -> [Concert; SCHEDULES.len()] {
    let gift = SCHEDULES.len() - 1;
    [
        concert(0, won(), false, false),
        concert(1, won(), false, false),
        play(false),
        concert(gift, dollars(), true, false),
    ]
}

/// Makes the concert of [`PLAY`], with a price type for children or without.
pub(crate) fn play(children: bool) -> Concert {
    concert(PLAY, won(), false, children)
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
        DocChange::Accessible(seconds) => plan.policy.accessible_release_at = seconds.map(at),
        DocChange::Phases { opens, lasts, general, narrow, limit } => {
            // The second follows at the instant at which the first closes.
            let mut opens_at = at(opens);
            let phase = |(number, id): (usize, &&str)| {
                let closes_at = opens_at.plus(Seconds::new(lasts));
                let (id, grades) =
                    (phase_id(id), (narrow && number == 0).then(|| vec![grade("R"), grade("F")]));
                let phase =
                    Phase { id, name: String::new(), opens_at, closes_at, grades, seats_per_user_max: limit };
                opens_at = closes_at;
                phase
            };
            plan.policy.phases = PHASES.iter().enumerate().map(phase).collect();
            plan.sales_open_at = general.map(|later| opens_at.plus(Seconds::new(later)));
        }
    }
    plan
}

fn phase_id(id: &str) -> PhaseId {
    PhaseId::parse(id).expect("an id")
}

pub(crate) fn allotment_id(number: usize) -> AllotmentId {
    AllotmentId::parse(&format!("allotment-{}", number % ALLOTMENTS)).expect("an id")
}

/// Sets these seats aside, and so many places of an area.
pub(crate) fn allotment(
    number: usize,
    mut seats: Vec<Seat>,
    (area, places): (Area, u32),
    release_at: Option<Timestamp>,
) -> AllotmentTerms {
    seats.sort_unstable();
    AllotmentTerms {
        id: allotment_id(number),
        name: "Sponsor".into(),
        reason: None,
        seats: seats.into(),
        areas: (places > 0).then_some(AsidePlaces { area, count: places }).into_iter().collect(),
        release_at,
        life: 0,
    }
}

/// Returns the text of a code that is defined by name.
pub(crate) fn code_text(number: usize) -> String {
    format!("CODE-{number}")
}

/// Says what a code is, at an instant.
pub(crate) fn code_terms(plan: CodePlan, now: Timestamp) -> CodeTerms {
    let phases = plan.phase.map_or(&PHASES[..0], |phase| PHASES.get(phase..=phase).unwrap_or(&PHASES));
    let percent = plan.percent.map(Discount::Percent);
    let off = (plan.off > 0).then(|| Discount::AmountPerSeat(money(plan.off)));
    CodeTerms {
        phases: phases.iter().map(|id| phase_id(id)).collect(),
        allotment: plan.allotment.map(allotment_id),
        discount: percent.or(off),
        grades: plan.grade.map(|number| [grade(PRICES[number % PRICES.len()].0)].into()),
        price_types: plan.youths.map(|youth| [type_name(youth).into()].into()),
        max_uses: plan.max_uses,
        max_seats: plan.max_seats,
        valid_from: plan.from.map(|seconds| now.plus(Seconds::new(seconds))),
        valid_until: plan.until.map(|seconds| now.plus(Seconds::new(seconds))),
    }
}

/// Says how an order is paid, and why it costs what it does.
pub(crate) fn order(method: usize, has_reason: bool) -> Order {
    Order {
        clerk: UserId::parse("clerk").expect("an id"),
        method: OrderMethod::ALL[method % OrderMethod::ALL.len()],
        reference: None,
        name: Some("A guest".into()),
        reason: has_reason.then(|| "a favour".into()),
    }
}
