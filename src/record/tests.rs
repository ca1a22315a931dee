//! The format: whatever is written is read again, and whatever is damaged is refused or is another
//! record, but never a panic. Golden bytes of every version are read in `tests/`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::catalogue::Catalogue;
use crate::domain::concert::{Concert, Fee, FeePer, NamedPriceType, PricedGrade, PricedType, Prices, Tariff};
use crate::domain::ids::{
    AllotmentId, ConcertId, FeeId, GradeName, PaymentId, PhaseId, PriceTypeId, ReservationNumber, ScheduleId,
    SeatId, UserId, VenueId,
};
use crate::domain::keys::KeyList;
use crate::domain::money::{Currency, Money};
use crate::domain::schedule::allotments::{AllotmentTerms, AsidePlaces};
use crate::domain::schedule::codes::{
    AccessCode, BatchImage, CodePrefix, CodeTerms, Codes, Discount, NamedImage, Uses,
};
use crate::domain::schedule::orders::{Order, OrderMethod};
use crate::domain::schedule::policy::{Casting, Phase, Policy, QueueOrder, QueuePolicy};
use crate::domain::schedule::terms::{AreaPlaces, Line as PriceLine, LineKind, PriceType, TakenFrom, Terms};
use crate::domain::schedule::{
    Answer, Archived, Counts, Creation, End, Ended, Event, Image, Limits, Plan, Reservation,
    ReservationStatus, SaleStatus, Summary,
};
use crate::domain::time::Seconds;
use crate::domain::venue::{
    Area, Coordinate, Line, ListedSeat, Outline, Point, Row, RowSeats, Seat, Section as VenueSection, Venue,
    VenueArea,
};
use crate::domain::waiting_room::RoomImage;

mod money;
mod room;
mod users;

const AT: Timestamp = Timestamp::from_millis(1_800_000_000_123);
const KEY: KeyUse = KeyUse { digest: u128::MAX - 1, fingerprint: 7 };
const NUMBER: ScheduleNumber = ScheduleNumber(7);
const ARCHIVED: Archived = Archived { version: u64::MAX, payments: 8, opened: true };

fn venue() -> Venue {
    let seat = |id: &str| SeatId::parse(id).unwrap();
    let point = |x: &str, y: &str| {
        let coordinate = |text: &str| Coordinate::parse(text).unwrap();
        Point { x: coordinate(x), y: coordinate(y) }
    };
    let square = || {
        let corners = [("0", "0"), ("1", "0"), ("1", "-0.5")].map(|(x, y)| point(x, y));
        Outline::new(corners.into()).unwrap()
    };

    let row =
        |id: &str, line, seats| Row { id: id.into(), grade: GradeName::parse("VIP").unwrap(), line, seats };
    let line = Line { at: point("-3.5", "1000000"), step: point("0.000001", "0") };
    let listed = vec![
        ListedSeat { at: Some(point("9", "-9")), ..ListedSeat::new(seat("1층-B-8-24"), 24) },
        ListedSeat { accessible: true, ..ListedSeat::new(seat("x"), 1) },
        ListedSeat { companion_of: Some(seat("x")), restricted_view: true, ..ListedSeat::new(seat("y"), 2) },
    ];
    let rows = vec![
        row("7", Some(line), RowSeats::Length(3)),
        row("8", None, RowSeats::Listed(listed)),
        row("9", None, RowSeats::Length(1)),
    ];

    let section =
        |floor: &str, outline, rows| VenueSection { id: "B".into(), floor: floor.into(), outline, rows };
    let sections = vec![section("1층", Some(square()), rows), section("2층", None, vec![])];
    let area = |id: &str, name: &str, capacity, outline| VenueArea {
        id: id.into(),
        floor: "1층".into(),
        name: name.into(),
        grade: GradeName::parse("R").unwrap(),
        capacity,
        outline,
    };
    Venue {
        id: VenueId::parse("샤롯데").unwrap(),
        name: "샤롯데씨어터".into(),
        address: String::new(),
        kind: "theater".into(),
        time_zone: "Asia/Seoul".into(),
        stage: Some(square()),
        sections,
        areas: vec![area("standing", "스탠딩", 100_000, Some(square())), area("lawn", "", 1, None)],
    }
}

/// A venue as before there were plans.
fn bare_venue() -> Venue {
    let row = |seats| Row { id: "7".into(), grade: GradeName::parse("VIP").unwrap(), line: None, seats };
    let rows = vec![row(RowSeats::Length(3))];
    let section = VenueSection { id: "B".into(), floor: "1층".into(), outline: None, rows };
    Venue { stage: None, sections: vec![section], areas: vec![], ..venue() }
}

fn concert() -> Concert {
    let grade = PricedGrade {
        name: GradeName::parse("VIP").unwrap(),
        price: Money::new(170_000).unwrap(),
        color: "#FF0000".into(),
        description: Some("front".into()),
        prices: [(PriceTypeId::parse("청소년").unwrap(), Money::new(120_000).unwrap())].into(),
    };
    let unused = PricedGrade {
        name: GradeName::parse("R").unwrap(),
        description: None,
        prices: BTreeMap::new(),
        ..grade.clone()
    };
    Concert {
        id: ConcertId::parse("kinky").unwrap(),
        title: "킹키부츠".into(),
        artist: "CJ".into(),
        description: Some("a show".into()),
        venue: VenueId::parse("샤롯데").unwrap(),
        poster_url: None,
        currency: Currency::parse("KRW").unwrap(),
        grades: vec![grade, unused],
        cast: BTreeMap::from([
            ("charlie".into(), vec!["김호영".into(), "이석훈".into()]),
            ("lola".into(), vec![]),
        ]),
        price_types: vec![
            NamedPriceType { id: PriceTypeId::parse("adult").unwrap(), name: "일반".into(), note: None },
            NamedPriceType {
                id: PriceTypeId::parse("청소년").unwrap(),
                name: "청소년".into(),
                note: Some("신분증".into()),
            },
        ],
        fees: fees(),
    }
}

fn fees() -> Vec<Fee> {
    let fee = |id: &str, per, refundable| Fee {
        id: FeeId::parse(id).unwrap(),
        name: "예매 수수료".into(),
        amount: Money::new(2_000).unwrap(),
        per,
        refundable,
    };
    vec![fee("booking", FeePer::Seat, false), fee("post", FeePer::Reservation, true)]
}

/// A concert as before there were price types and fees.
fn bare_concert() -> Concert {
    let mut concert = Concert { price_types: vec![], fees: vec![], ..concert() };
    concert.grades.iter_mut().for_each(|grade| grade.prices.clear());
    concert
}

fn plan() -> Plan {
    Plan {
        starts_at: AT,
        ends_at: AT.plus(Seconds::DAY),
        sales_open_at: Some(Timestamp::ZERO),
        sales_close_at: None,
        casting: BTreeMap::from([
            ("charlie".into(), Casting::One("김호영".into())),
            ("lola".into(), Casting::Many(vec!["강홍석".into(), "최재림".into()])),
        ]),
        policy: Policy {
            prevent_orphan_seats: true,
            hold: Seconds::new(11),
            seats_per_reservation_max: 12,
            seats_per_user_max: 13,
            payment: Seconds::new(14),
            cancel_until_before_start: Seconds::new(15),
            recovery_grace: Seconds::new(16),
            queue: Some(QueuePolicy {
                active_max: 17,
                admit_per_minute: Some(18),
                active: Seconds::new(19),
                claim: Seconds::new(20),
                idle: Some(Seconds::new(22)),
                waiting: Seconds::new(21),
                order: QueueOrder::Shuffle,
                opens_at: Some(AT),
            }),
            accessible_release_at: Some(AT),
            phases: vec![
                Phase {
                    id: PhaseId::parse("팬클럽").unwrap(),
                    name: "팬클럽 선예매".into(),
                    opens_at: Timestamp::ZERO,
                    closes_at: AT,
                    grades: Some(vec![GradeName::parse("VIP").unwrap(), GradeName::parse("R").unwrap()]),
                    seats_per_user_max: Some(2),
                },
                Phase {
                    id: PhaseId::parse("card").unwrap(),
                    name: "Card".into(),
                    opens_at: AT,
                    closes_at: AT.plus(Seconds::DAY),
                    grades: None,
                    seats_per_user_max: None,
                },
            ],
        },
    }
}

fn code(text: &str) -> AccessCode {
    AccessCode::parse(text).unwrap()
}

fn code_terms() -> Arc<CodeTerms> {
    Arc::new(CodeTerms {
        phases: [PhaseId::parse("팬클럽").unwrap()].into(),
        allotment: Some(AllotmentId::parse("sponsor").unwrap()),
        discount: Some(Discount::AmountPerSeat(Money::MAX)),
        grades: Some([GradeName::parse("R").unwrap()].into()),
        price_types: Some(["adult".into(), "청소년".into()].into()),
        max_uses: Some(u32::MAX),
        max_seats: Some(7),
        valid_from: Some(Timestamp::ZERO),
        valid_until: Some(AT),
    })
}

fn allotment() -> Arc<AllotmentTerms> {
    Arc::new(AllotmentTerms {
        id: AllotmentId::parse("sponsor").unwrap(),
        name: "후원사".into(),
        reason: Some("계약 12조\n2항".into()),
        seats: [Seat(0), Seat(3), Seat(250_000)].into(),
        areas: aside(),
        release_at: Some(AT),
        life: u64::MAX,
    })
}

fn aside() -> Arc<[AsidePlaces]> {
    [(0, 1), (u16::MAX, u32::MAX)].map(|(area, count)| AsidePlaces { area: Area(area), count }).into()
}

/// Codes of every kind: with and without uses, over, defined anew.
fn codes() -> Codes {
    let uses = |used, seats| Uses { used, seats };
    let bare = Arc::new(CodeTerms { discount: Some(Discount::Percent(100)), ..CodeTerms::default() });
    let named = [("ABCD", uses(0, 0), false), ("팬클럽-7", uses(u32::MAX, 9), true)];
    let named =
        named.map(|(text, uses, ended)| NamedImage { code: code(text), terms: code_terms(), uses, ended });
    let prefixes = ["", "FAN", "X-"].map(|prefix| CodePrefix::parse(prefix).unwrap());
    let batches = prefixes.map(|prefix| BatchImage {
        prefix,
        terms: Arc::clone(&bare),
        drawn: [1, 2, (1 << 60) - 1].into(),
        uses: vec![(1, uses(1, 4))],
        gone: vec![0],
    });
    Codes::restore(named.into(), batches.into()).unwrap()
}

/// A plan with everything left out that may be.
fn bare_plan() -> Plan {
    Plan {
        sales_open_at: None,
        sales_close_at: Some(AT),
        casting: BTreeMap::new(),
        policy: Policy { queue: Some(QueuePolicy::default()), ..Policy::default() },
        ..plan()
    }
}

fn creation() -> Creation {
    Creation {
        number: NUMBER,
        id: ScheduleId::parse("perf-kinky-1-2027-02-09-19:30").unwrap(),
        concert: concert().id,
        venue: venue().id,
        currency: concert().currency,
        plan: Arc::new(plan()),
        limits: Limits { ended_retention: Seconds::new(31), keys_max: 32 },
        prices: Some(Arc::new(prices())),
    }
}

fn prices() -> Prices {
    let priced = |id: &str, by_grade: [Option<Money>; 2]| PricedType {
        id: PriceTypeId::parse(id).unwrap(),
        name: "일반".into(),
        by_grade: by_grade.into(),
    };
    let types = [priced("a", [Some(Money::MAX), Some(Money::ZERO)]), priced("b", [None, Some(Money::MAX)])];
    let tariff = Tariff { types: types.into(), fees: fees().into() };
    Prices { tariff: Some(Box::new(tariff)), ..bare_prices() }
}

fn bare_prices() -> Prices {
    Prices { by_grade: [Money::MAX, Money::ZERO].into(), best_first: [1, 0].into(), tariff: None }
}

fn terms() -> Terms {
    let line = |kind, count: u32, unit_amount: i64| PriceLine {
        kind,
        name: "VIP 청소년".into(),
        count,
        unit_amount,
        amount: i64::from(count) * unit_amount,
        refundable: kind != LineKind::Fee,
    };
    Terms {
        areas: [AreaPlaces { area: Area(u16::MAX), price_type: PriceType(u8::MAX), count: u32::MAX }].into(),
        price_types: [PriceType(0), PriceType(2)].into(),
        lines: [
            line(LineKind::Seat, 2, 120_000),
            line(LineKind::Area, 3, 55_000),
            line(LineKind::Fee, 1, 2_000),
            line(LineKind::Discount, 2, -10_000),
        ]
        .into(),
        code: Some("FAN-7".into()),
        allotment: Some(TakenFrom { id: "협찬".into(), life: u64::MAX }),
        order: None,
    }
}

fn order_terms(method: OrderMethod, text: Option<&str>) -> Arc<Terms> {
    let clerk = UserId::parse("매표소 1").unwrap();
    let text = || text.map(Into::into);
    let order = Order { clerk, method, reference: text(), name: text(), reason: text() };
    Arc::new(Terms { order: Some(Box::new(order)), ..terms() })
}

/// An event of every kind. A new variant is missing here until [`kind`] and this list know it.
fn events() -> Vec<Event> {
    let number = ReservationNumber(u32::MAX);
    let payment = PaymentId::from_bits(u128::MAX);
    let seats: Arc<[Seat]> = [Seat(3), Seat(0), Seat(250_000)].into();
    vec![
        Event::Created(Box::new(creation())),
        Event::Replanned { plan: Arc::new(bare_plan()) },
        Event::LimitsSet { limits: creation().limits },
        Event::SalesOpened { prices: Some(Arc::new(prices())) },
        Event::SalesOpened { prices: None },
        Event::SalesClosed,
        Event::ScheduleCancelled,
        Event::Deleted,
        Event::SeatsBlocked { seats: Arc::clone(&seats) },
        Event::SeatsUnblocked { seats: [].into() },
        Event::SeatsHeld {
            number,
            nonce: 5,
            user: UserId::parse("앤 <ann@example.org>").unwrap(),
            seats: Arc::clone(&seats),
            expires_at: AT,
            terms: None,
        },
        Event::SeatsHeld {
            number,
            nonce: 5,
            user: UserId::parse("ann").unwrap(),
            seats: Arc::clone(&seats),
            expires_at: AT,
            terms: Some(Arc::new(terms())),
        },
        Event::SeatsExchanged { number, seats: Arc::clone(&seats), terms: Some(Arc::default()) },
        Event::SeatsExchanged { number, seats: Arc::clone(&seats), terms: None },
        Event::HoldReleased { number },
        Event::HoldExpired { number },
        Event::PaymentBegun { number, payment, expires_at: AT, held_until: None },
        Event::PaymentBegun { number, payment, expires_at: AT, held_until: Some(Timestamp::ZERO) },
        Event::PaymentFailed { number, expires_at: None },
        Event::PaymentFailed { number, expires_at: Some(AT) },
        Event::ReservationConfirmed { number, payment },
        Event::ReservationCancelled { number },
        Event::OutageBridged { began: Timestamp::ZERO, down_since: AT },
        Event::KeyKept { number: None },
        Event::KeyKept { number: Some(ReservationNumber(7)) },
        Event::Created(Box::new(Creation { prices: None, ..creation() })),
        Event::PricesSet { prices: Arc::new(prices()) },
        Event::PricesSet { prices: Arc::new(bare_prices()) },
        Event::Archived { payments: 7 },
        Event::PhaseOpened { phase: PhaseId::parse("팬클럽").unwrap(), prices: Some(Arc::new(prices())) },
        Event::PhaseOpened { phase: PhaseId::parse("card").unwrap(), prices: None },
        Event::PhaseClosed { phase: PhaseId::parse("card").unwrap() },
        Event::CodePut { code: code("fan-2026"), terms: code_terms(), created: true },
        Event::CodePut { code: code("abcd"), terms: Arc::default(), created: false },
        Event::CodesMade {
            prefix: CodePrefix::parse("FAN").unwrap(),
            terms: Arc::new(CodeTerms { discount: Some(Discount::Percent(1)), ..CodeTerms::default() }),
            drawn: [0, (1 << 60) - 1].into(),
        },
        Event::CodeEnded { code: code("팬클럽-7") },
        Event::AllotmentSet { terms: allotment(), created: true },
        Event::AllotmentSet {
            terms: Arc::new(AllotmentTerms {
                reason: None,
                areas: [].into(),
                release_at: None,
                life: 0,
                ..(*allotment()).clone()
            }),
            created: false,
        },
        Event::AllotmentReleased { id: allotment().id.clone(), seats: [Seat(3)].into(), areas: [].into() },
        Event::AllotmentReleased { id: allotment().id.clone(), seats: [].into(), areas: aside() },
        Event::Ordered {
            number,
            nonce: 5,
            payment,
            user: UserId::parse("ann").ok(),
            seats,
            terms: order_terms(OrderMethod::CardTerminal, Some("영수증 7 <a>")),
        },
        Event::Ordered {
            number,
            nonce: 5,
            payment,
            user: None,
            seats: [].into(),
            terms: order_terms(OrderMethod::Complimentary, None),
        },
    ]
}

fn kind(event: &Event) -> usize {
    match event {
        Event::Created(_) => 0,
        Event::Replanned { .. } => 1,
        Event::LimitsSet { .. } => 2,
        Event::SalesOpened { .. } => 3,
        Event::SalesClosed => 4,
        Event::ScheduleCancelled => 5,
        Event::Deleted => 6,
        Event::SeatsBlocked { .. } => 7,
        Event::SeatsUnblocked { .. } => 8,
        Event::SeatsHeld { .. } => 9,
        Event::SeatsExchanged { .. } => 10,
        Event::HoldReleased { .. } => 11,
        Event::HoldExpired { .. } => 12,
        Event::PaymentBegun { .. } => 13,
        Event::PaymentFailed { .. } => 14,
        Event::ReservationConfirmed { .. } => 15,
        Event::ReservationCancelled { .. } => 16,
        Event::OutageBridged { .. } => 17,
        Event::KeyKept { .. } => 18,
        Event::PricesSet { .. } => 19,
        Event::Archived { .. } => 20,
        Event::PhaseOpened { .. } => 21,
        Event::PhaseClosed { .. } => 22,
        Event::CodePut { .. } => 23,
        Event::CodesMade { .. } => 24,
        Event::CodeEnded { .. } => 25,
        Event::AllotmentSet { .. } => 26,
        Event::AllotmentReleased { .. } => 27,
        Event::Ordered { .. } => 28,
    }
}

fn catalogue_events() -> Vec<CatalogueEvent> {
    vec![
        CatalogueEvent::VenuePut(Arc::new(venue())),
        CatalogueEvent::VenuePut(Arc::new(bare_venue())),
        CatalogueEvent::ConcertPut(Arc::new(concert())),
        CatalogueEvent::ConcertPut(Arc::new(bare_concert())),
        CatalogueEvent::ScheduleListed {
            id: creation().id,
            number: NUMBER,
            concert: concert().id,
            creation: None,
        },
        CatalogueEvent::ScheduleListed {
            id: creation().id,
            number: NUMBER,
            concert: concert().id,
            creation: Some(Arc::new(creation())),
        },
        CatalogueEvent::ScheduleArchived { id: creation().id, archived: ARCHIVED },
        CatalogueEvent::VenueRemoved(venue().id),
        CatalogueEvent::ConcertRemoved(concert().id),
        CatalogueEvent::ScheduleUnlisted(creation().id),
        CatalogueEvent::KeyKept,
        CatalogueEvent::ReplanBegun { id: creation().id, plan: creation().plan, key: None },
        CatalogueEvent::ReplanBegun { id: creation().id, plan: creation().plan, key: Some(KEY) },
        CatalogueEvent::ReplansDone,
        CatalogueEvent::SchedulesCreated,
    ]
}

fn catalogue_kind(event: &CatalogueEvent) -> usize {
    match event {
        CatalogueEvent::VenuePut(_) => 0,
        CatalogueEvent::ConcertPut(_) => 1,
        CatalogueEvent::ScheduleListed { .. } => 2,
        CatalogueEvent::VenueRemoved(_) => 3,
        CatalogueEvent::ConcertRemoved(_) => 4,
        CatalogueEvent::ScheduleUnlisted(_) => 5,
        CatalogueEvent::KeyKept => 6,
        CatalogueEvent::ScheduleArchived { .. } => 7,
        CatalogueEvent::ReplanBegun { .. } => 8,
        CatalogueEvent::ReplansDone => 9,
        CatalogueEvent::SchedulesCreated => 10,
    }
}

fn encode(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Record { version, at, by, key, fact } = record;
    let cause = Cause { by: by.clone(), key: *key };
    encode_fact(&mut bytes, *version, *at, cause, fact.as_ref());
    bytes
}

/// A fact of every kind.
pub(crate) fn facts() -> impl Iterator<Item = Fact> {
    let facts = events().into_iter().map(|event| Fact::Schedule(NUMBER, event));
    let facts = facts.chain(room::events().into_iter().map(|event| Fact::WaitingRoom(NUMBER, event)));
    let facts = facts.chain(money::facts());
    let facts = facts.chain(users::events().into_iter().map(Fact::User));
    facts.chain(catalogue_events().into_iter().map(Fact::Catalogue))
}

/// A record of every kind of fact, with and without a key.
fn records() -> Vec<Record> {
    let keys = [Some(KEY), None].into_iter().cycle();
    (1..)
        .zip(facts())
        .zip(keys)
        .map(|((version, fact), key)| Record { version, at: AT, by: by(version), key, fact })
        .collect()
}

fn reservation(number: u32, status: ReservationStatus) -> Reservation {
    let some = number.is_multiple_of(2).then_some(AT);
    Reservation {
        number: ReservationNumber(number),
        nonce: u64::MAX - u64::from(number),
        user: UserId::parse("ann").ok(),
        seats: [Seat(number), Seat(0)].into(),
        terms: number.is_multiple_of(3).then(|| Arc::new(terms())),
        status,
        created_at: AT,
        expires_at: AT.plus(Seconds::new(1)),
        confirmed_at: some,
        cancelled_at: some.xor(Some(AT)),
        ended_at: some,
        payment: some.map(|_| PaymentId::from_bits(u128::from(number))),
        deadline_moved: number.is_multiple_of(3),
        recovered: number.is_multiple_of(2),
    }
}

fn image() -> Image {
    let statuses = [
        ReservationStatus::Held,
        ReservationStatus::Paying,
        ReservationStatus::Confirmed,
        ReservationStatus::Cancelled,
        ReservationStatus::Released,
        ReservationStatus::Expired,
    ];
    let summary = Summary {
        status: SaleStatus::Closed,
        phase: Some(PhaseId::parse("card").unwrap()),
        counts: Counts { available: 1, held: 2, reserved: 3, blocked: 4 },
        plan: Arc::new(bare_plan()),
        seats_version: 9,
    };
    let answered = Answer::Reservation(reservation(6, ReservationStatus::Held));
    let key = |digest| KeyUse { digest, fingerprint: 2 };
    let keys = [
        (KEY, 12, AT, answered),
        (key(1), 13, AT, Answer::Schedule(summary)),
        (key(2), 14, AT, Answer::Put { created: true }),
        (key(3), 14, AT, Answer::Batch(2)),
    ];
    let Creation { number, id, concert, venue, currency, plan, limits, prices } = creation();
    Image {
        number,
        id,
        concert,
        venue,
        currency,
        plan,
        limits,
        sale: SaleStatus::Open,
        prices,
        opened: true,
        ever_confirmed: true,
        phase: Some(PhaseId::parse("팬클럽").unwrap()),
        codes: Some(Box::new(codes())),
        allotments: vec![allotment()],
        blocked: vec![Seat(8), Seat(9)],
        reservations: (1..)
            .zip(statuses)
            .map(|(number, status)| (number, reservation(number, status)))
            .collect(),
        last_reservation: 11,
        ended: vec![(AT, 4), (AT.plus(Seconds::new(1)), 5)],
        other_deadlines: vec![(1, AT), (2, AT.plus(Seconds::new(2)))],
        part_refunds: vec![(7, Money::ZERO), (9, Money::MAX)],
        keys: keys.into_iter().collect(),
        version: 14,
        seats_version: 15,
        last_instant: AT,
    }
}

fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::default();
    let listed = |id: &str, number| CatalogueEvent::ScheduleListed {
        id: ScheduleId::parse(id).unwrap(),
        number: ScheduleNumber(number),
        concert: concert().id,
        creation: None,
    };
    catalogue.apply(&CatalogueEvent::VenuePut(Arc::new(venue())), AT, Some(KEY));
    catalogue.apply(&CatalogueEvent::ConcertPut(Arc::new(concert())), AT, None);
    // The order of ids isn't that of numbers, and the highest number is no longer listed.
    for (id, number) in [("b", 1), ("a", 2), ("c", 3)] {
        catalogue.apply(&listed(id, number), AT, None);
    }
    let removed = CatalogueEvent::ScheduleUnlisted(ScheduleId::parse("c").unwrap());
    let key = KeyUse { digest: 3, fingerprint: 4 };
    catalogue.apply(&removed, AT.plus(Seconds::new(1)), Some(key));
    catalogue
}

/// The listing of a schedule that isn't created yet.
fn listed_to_be_created() -> CatalogueEvent {
    let number = ScheduleNumber(4);
    let id = ScheduleId::parse("d").unwrap();
    let creation = Some(Arc::new(Creation { number, id: id.clone(), ..creation() }));
    CatalogueEvent::ScheduleListed { id, number, concert: concert().id, creation }
}

/// The same, and the archive has the schedule `a`.
fn catalogue_with_archive() -> Catalogue {
    let mut catalogue = catalogue();
    let id = ScheduleId::parse("a").unwrap();
    let at = catalogue.last_instant();
    catalogue.apply(&CatalogueEvent::ScheduleArchived { id, archived: ARCHIVED }, at, None);
    catalogue
}

/// What is left of a schedule, however it ended.
fn ended() -> Vec<Ended> {
    let of = |end| Ended { number: NUMBER, version: 8, last_instant: AT, end };
    [End::Removed(None), End::Removed(Some(KEY)), End::Archived(ARCHIVED)].map(of).into()
}

/// Some ways in which a byte is read wrong.
fn damaged(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let flips = [0x01, 0x02, 0x10, 0x80, 0xff];
    (0..bytes.len()).flat_map(move |index| {
        flips.map(|flip| {
            let mut bytes = bytes.to_vec();
            bytes[index] ^= flip;
            bytes
        })
    })
}

/// Each way in which something can come about, in turn.
fn by(version: u64) -> By {
    match version % 3 {
        0 => By::Engine,
        1 => By::User,
        _ => By::Admin(UserId::parse("operator").unwrap()),
    }
}

#[test]
fn every_kind_of_fact_is_among_the_samples() {
    let mut kinds: Vec<usize> = events().iter().map(kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, (0..=28).collect::<Vec<_>>());
    let mut kinds: Vec<usize> = catalogue_events().iter().map(catalogue_kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, (0..=10).collect::<Vec<_>>());
    let kinds: Vec<usize> = room::events().iter().map(room::kind).collect();
    assert_eq!(kinds, (0..=13).collect::<Vec<_>>());
    money::check_that_every_kind_is_there();
    let kinds: Vec<usize> = users::events().iter().map(users::kind).collect();
    assert_eq!(kinds, (0..=5).collect::<Vec<_>>());
}

#[test]
fn every_record_is_read_as_it_was_written() {
    for record in records() {
        assert_eq!(decode(&encode(&record)).unwrap(), record);
    }
}

#[test]
fn a_record_knows_its_stream() {
    for record in records() {
        let expected = match record.fact {
            Fact::Catalogue(_) => Stream::Catalogue,
            Fact::Schedule(..) => Stream::Schedule(NUMBER),
            Fact::WaitingRoom(..) => Stream::WaitingRoom(NUMBER),
            Fact::Accounts(..) => Stream::Accounts(money::SHARD),
            Fact::Payments(..) => Stream::Payments(NUMBER),
            Fact::User(_) => Stream::Users,
        };
        assert_eq!(record.stream(), expected);
    }
}

#[test]
fn writing_a_record_leaves_what_stands_before_it() {
    let mut bytes = vec![1, 2, 3];
    encode_fact(&mut bytes, 1, AT, None, FactRef::Schedule(NUMBER, &Event::SalesClosed));
    assert_eq!(bytes[..3], [1, 2, 3]);
    assert!(decode(&bytes[3..]).is_ok());
}

#[test]
fn a_record_that_is_cut_short_or_followed_by_anything_is_refused() {
    for record in records() {
        let bytes = encode(&record);
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{record:?} cut at {length}");
        }
        assert!(decode(&[&bytes[..], &[0]].concat()).is_err(), "{record:?} with a byte too many");
        assert!(decode(&[&bytes[..], &bytes[..]].concat()).is_err(), "{record:?} twice");
    }
}

#[test]
fn a_damaged_byte_is_refused_or_makes_another_record_and_never_a_panic() {
    for record in records() {
        for bytes in damaged(&encode(&record)) {
            if let Ok(read) = decode(&bytes) {
                assert_ne!(read, record);
            }
        }
    }
}

#[test]
fn a_value_that_cannot_be_is_refused() {
    let refuse = |record: &Record, from: &[u8], to: &[u8]| {
        let mut bytes = encode(record);
        let at = bytes.windows(from.len()).position(|window| window == from).expect("it is in there");
        bytes[at..at + from.len()].copy_from_slice(to);
        assert!(matches!(decode(&bytes), Err(DecodeError::Value(_))), "{record:?}");
    };
    let sample = |is: fn(&Fact) -> bool| records().into_iter().find(|record| is(&record.fact)).unwrap();
    let created = sample(|fact| matches!(fact, Fact::Schedule(_, Event::Created(_))));
    refuse(&created, b"KRW", b"krw");
    refuse(&created, b"perf-", b"perf/");
    refuse(&created, b"kinky", b"k/nky");
    let removed = sample(|fact| matches!(fact, Fact::Catalogue(CatalogueEvent::ScheduleUnlisted(_))));
    refuse(&removed, b"perf-", b"perf ");
    let opened = sample(|fact| matches!(fact, Fact::Schedule(_, Event::SalesOpened { prices: Some(_) })));
    let max = Money::MAX.minor();
    refuse(&opened, &max.to_le_bytes(), &(max + 1).to_le_bytes());
}

#[test]
fn a_schedules_section_is_read_as_it_was_written() {
    let closed = Image { sale: SaleStatus::Closed, keys: KeyList::default(), ..image() };
    let cancelled = Image { sale: SaleStatus::Cancelled, ever_confirmed: false, ..image() };
    let upcoming =
        Image { sale: SaleStatus::Upcoming, opened: false, ended: vec![], blocked: vec![], ..image() };
    let of_before = Image { prices: None, ..upcoming.clone() };
    let unmoved = Image { other_deadlines: vec![], ..image() };
    let plain = Image { phase: None, codes: None, allotments: vec![], part_refunds: vec![], ..image() };
    for image in [image(), closed, cancelled, upcoming, of_before, unmoved, plain] {
        assert_eq!(decode_schedule(&encode_schedule(&image)).unwrap(), image);
    }
}

/// Reads sections that are whole.
fn read(sections: impl IntoIterator<Item = Vec<u8>>) -> Vec<Section> {
    decode_sections(sections).map(Result::unwrap).collect()
}

/// Writes a section, in its parts.
fn written(section: &Section) -> Vec<Vec<u8>> {
    section.encode().collect()
}

/// Reads a section that stands alone.
fn decode_section(bytes: &[u8]) -> Result<Section, DecodeError> {
    decode_sections([bytes]).next().expect("a section, or what is wrong with it")
}

#[test]
fn the_catalogues_section_is_read_as_it_was_written() {
    let mut begun = catalogue_with_archive();
    let (id, plan, key) = (creation().id, creation().plan, Some(KeyUse { digest: 77, fingerprint: 78 }));
    begun.apply(&CatalogueEvent::ReplanBegun { id, plan, key }, begun.last_instant(), None);
    begun.apply(&listed_to_be_created(), begun.last_instant(), None);
    for catalogue in [catalogue(), catalogue_with_archive(), begun, Catalogue::default()] {
        let sections = read(Section::Catalogue(Arc::new(catalogue.clone())).encode());
        let [Section::Catalogue(read)] = &sections[..] else { panic!("another section") };
        assert!(**read == catalogue);
        assert_eq!(read.last_instant(), catalogue.last_instant());
        assert_eq!(read.last_schedule(), catalogue.last_schedule(), "also when it isn't listed");
        assert_eq!(read.archived().collect::<Vec<_>>(), catalogue.archived().collect::<Vec<_>>());
        assert_eq!(read.replans(), catalogue.replans());
        assert_eq!(read.creations(), catalogue.creations());
        let seats = |catalogue: &Catalogue| catalogue.venues().map(|v| v.layout.seat_count()).sum::<u32>();
        assert_eq!(seats(read), seats(&catalogue));
    }
}

#[test]
fn a_section_that_is_cut_short_or_followed_by_anything_is_refused() {
    let (_, sections) = samples();
    for bytes in sections {
        for length in 0..bytes.len() {
            assert!(decode_section(&bytes[..length]).is_err(), "cut at {length}");
        }
        assert!(matches!(decode_section(&[&bytes[..], &[0]].concat()), Err(DecodeError::Codec(_))));
    }
}

#[test]
fn a_damaged_section_is_refused_or_is_another_one_and_never_a_panic() {
    for bytes in damaged(&encode_schedule(&image())) {
        if let Ok(Section::Schedule(read)) = decode_section(&bytes) {
            assert_ne!(*read, image());
        }
    }
    let standing = written(&Section::Catalogue(Arc::new(catalogue_with_archive()))).remove(0);
    let whole = decode_section(&standing).unwrap();
    for bytes in damaged(&standing) {
        if let Ok(read) = decode_section(&bytes) {
            assert!(read != whole);
        }
    }
}

#[test]
fn a_part_of_what_does_not_follow_is_refused() {
    let is_refused = |sections: Vec<Vec<u8>>| decode_sections(sections).any(|section| section.is_err());
    let room = room::written(room::image());
    let other = room::written(RoomImage { number: ScheduleNumber(8), ..room::image() });
    let users = users::written(users::image());
    let [people, room] = &room[..] else { panic!("people, and a room") };
    let [others, other] = &other[..] else { panic!("people, and a room") };
    let [part, rest] = &users[..] else { panic!("users, and the rest") };
    let is = |sections: &[&Vec<u8>]| is_refused(sections.iter().copied().cloned().collect());
    assert!(!is(&[people, room, others, other, part, rest]));
    assert!(is(&[people]) && is(&[part]) && is(&[people, part, rest]), "nothing follows");
    assert!(is(&[people, other]) && is(&[people, others, other]), "another room follows");
}

#[test]
fn a_section_may_be_larger_than_any_record() {
    // As much as a million keys with short answers: 100 answers that hold a megabyte each.
    let name = Casting::One("x".repeat(1 << 20));
    let plan = Plan { casting: BTreeMap::from([("charlie".into(), name)]), ..plan() };
    let summary = Summary {
        status: SaleStatus::Open,
        phase: None,
        counts: Counts::default(),
        plan: Arc::new(plan),
        seats_version: 1,
    };
    let key = |digest| (KeyUse { digest, fingerprint: 1 }, 1, AT, Answer::Schedule(summary.clone()));
    let image = Image { keys: (0..100).map(key).collect(), ..image() };
    let bytes = encode_schedule(&image);
    assert!(bytes.len() > 100 << 20);
    assert!(decode_schedule(&bytes).unwrap() == image);
}

/// A sample of every record and of every section, as bytes.
fn samples() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut catalogue = catalogue_with_archive();
    let begun = CatalogueEvent::ReplanBegun { id: creation().id, plan: creation().plan, key: Some(KEY) };
    catalogue.apply(&begun, catalogue.last_instant(), None);
    catalogue.apply(&listed_to_be_created(), catalogue.last_instant(), None);
    let unmoved = Image { other_deadlines: vec![], ..image() };
    let mut sections = vec![encode_schedule(&image()), encode_schedule(&unmoved)];
    sections.extend(written(&Section::Catalogue(Arc::new(catalogue))));
    sections.extend(ended().into_iter().flat_map(|ended| written(&Section::Ended(ended))));
    sections.extend(room::written(room::image()));
    sections.extend(money::sections());
    sections.extend(users::written(users::image()));
    (records().iter().map(encode).collect(), sections)
}

/// Reads bytes as a record and as a section, and holds that what is read is read again as it is written; tells whether it is one.
fn is_read_as_it_is_written(bytes: &[u8], is_record: bool) -> bool {
    if is_record {
        let Ok(read) = decode(bytes) else { return false };
        assert_eq!(decode(&encode(&read)).unwrap(), read);
    } else {
        let Ok(one) = decode_section(bytes) else { return false };
        assert_eq!(read(one.encode()), [one]);
    }
    true
}

#[test]
fn lines_that_add_up_to_no_amount_are_refused() {
    let line = |amount| PriceLine { amount, ..terms().lines[0].clone() };
    let marks = [0x0011_2233_4455, 0x0011_2233_4466];
    let terms = Terms { lines: marks.map(line).into(), ..terms() };
    let event = Event::SeatsExchanged {
        number: ReservationNumber(1),
        seats: [].into(),
        terms: Some(Arc::new(terms)),
    };
    let fact = Fact::Schedule(NUMBER, event);
    let written = encode(&Record { version: 2, at: AT, by: by(2), key: None, fact });

    // As damage, or another program, would have written them.
    let with = |amounts: [i64; 2]| {
        let mut bytes = written.clone();
        for (mark, amount) in marks.iter().zip(amounts) {
            let at = bytes.windows(8).position(|window| window == i64::to_le_bytes(*mark)).unwrap();
            bytes[at..at + 8].copy_from_slice(&amount.to_le_bytes());
        }
        decode(&bytes).is_ok()
    };
    let max = i64::try_from(Money::MAX.minor()).unwrap();
    for right in [[0, 0], [max, 0], [max, -max], [5, -5]] {
        assert!(with(right), "{right:?}");
    }
    for wrong in [[-1, 0], [max, 1], [max + 1, -1], [5, -6], [i64::MAX, i64::MAX], [i64::MIN, 0]] {
        assert!(!with(wrong), "{wrong:?}");
    }
}

#[test]
fn every_kind_of_section_is_among_the_samples() {
    let (_, sections) = samples();
    let kind = |section: Section| match section {
        Section::Catalogue(_) => 0,
        Section::Schedule(_) => 1,
        Section::WaitingRoom(_) => 2,
        Section::Accounts(_) => 3,
        Section::Payments(_) => 4,
        Section::Users(_) => 5,
        Section::Ended(_) => 6,
    };
    let kinds: BTreeSet<_> = read(sections).into_iter().map(kind).collect();
    assert_eq!(kinds, (0..=6).collect());
}

#[test]
fn a_sample_with_another_byte_is_read_as_it_is_written() {
    let (records, sections) = samples();
    for (samples, is_record) in [(records, true), (sections, false)] {
        for sample in samples {
            // A part is none without what it is of.
            if !is_read_as_it_is_written(&sample, is_record) {
                continue;
            }
            // Each byte in one of the ways.
            let others =
                damaged(&sample).step_by(6).filter(|bytes| is_read_as_it_is_written(bytes, is_record));
            assert!(others.count() > 5, "it varies");
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_read_is_read_as_it_is_written(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..=3_u32, any::<[u8; 8]>()), 1..12),
    ) {
        let (records, sections) = samples();
        for (samples, is_record) in [(records, true), (sections, false)] {
            for mut sample in samples {
                for (at, width, value) in &changes {
                    // Numbers have one, two, four or eight bytes.
                    let at = at.index(sample.len());
                    let end = sample.len().min(at + 2_usize.pow(*width));
                    sample[at..end].copy_from_slice(&value[..end - at]);
                    is_read_as_it_is_written(&sample, is_record);
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let _ = decode_section(&bytes);
        let _ = v1::decode(&bytes);
        let _ = v1::decode_sections([&bytes]);
    }

    #[test]
    fn no_bytes_after_a_right_beginning_make_the_reader_panic(
        which in any::<prop::sample::Index>(),
        keep in any::<prop::sample::Index>(),
        tail in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let (records, sections) = samples();
        let samples = [records, sections].concat();
        let bytes = which.get(&samples);
        let damaged = [&bytes[..keep.index(bytes.len())], &tail].concat();
        let _ = decode(&damaged);
        let _ = decode_section(&damaged);
    }

    #[test]
    fn any_terms_are_read_as_they_were_written(
        areas in prop::collection::vec((any::<u16>(), any::<u8>(), any::<u32>()), 0..4),
        types in prop::collection::vec(any::<u8>(), 0..=100),
        lines in prop::collection::vec((0..4_usize, "\\PC{0,9}", any::<u32>(), any::<i64>(), any::<bool>()), 0..9),
        amounts in prop::collection::vec(0..1_i64 << 49, 8),
        texts in (prop::option::of("\\PC{1,64}"), prop::option::of(("\\PC{1,64}", any::<u64>()))),
    ) {
        let area = |(area, price_type, count)| AreaPlaces {
            area: Area(area),
            price_type: PriceType(price_type),
            count,
        };
        let line = |((kind, name, count, unit_amount, refundable), amount): ((usize, String, _, _, _), _)| {
            let (kind, name) = (LineKind::ALL[kind], name.into());
            PriceLine { kind, name, count, unit_amount, amount, refundable }
        };
        let terms = Terms {
            areas: areas.into_iter().map(area).collect(),
            price_types: types.into_iter().map(PriceType).collect(),
            lines: lines.into_iter().zip(amounts).map(line).collect(),
            code: texts.0.map(Into::into),
            allotment: texts.1.map(|(id, life)| TakenFrom { id: id.into(), life }),
            order: None,
        };
        let event = Event::SeatsExchanged {
            number: ReservationNumber(1),
            seats: [].into(),
            terms: Some(Arc::new(terms)),
        };
        let fact = Fact::Schedule(NUMBER, event);
        let record = Record { version: 2, at: AT, by: by(2), key: None, fact };
        prop_assert_eq!(decode(&encode(&record)).unwrap(), record);
    }

    #[test]
    fn a_hold_of_anyone_with_any_seats_is_read_as_it_was_written(
        numbers in (any::<u32>(), any::<u32>(), any::<u64>(), any::<u64>()),
        key in any::<Option<(u128, u128)>>(),
        user in "\\PC{1,128}",
        seats in prop::collection::vec(any::<u32>(), 0..=100),
        millis in 0..=Timestamp::MAX.as_millis(),
    ) {
        let (schedule, number, nonce, version) = numbers;
        let event = Event::SeatsHeld {
            number: ReservationNumber(number),
            nonce,
            user: UserId::parse(&user).unwrap(),
            seats: seats.into_iter().map(Seat).collect(),
            expires_at: Timestamp::from_millis(millis),
            terms: None,
        };
        let key = key.map(|(digest, fingerprint)| KeyUse { digest, fingerprint });
        let fact = Fact::Schedule(ScheduleNumber(schedule), event);
        let record = Record { version, at: Timestamp::from_millis(millis / 2), by: by(version), key, fact };
        prop_assert_eq!(decode(&encode(&record)).unwrap(), record);
    }
}
