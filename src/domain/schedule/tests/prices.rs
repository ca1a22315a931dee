//! Price types, fees and lines: each rule by a test whose name is the rule, and what reservations cost against a model of its own, at
//! random. The model knows places one by one, and shares no code with the lines.

use proptest::prelude::*;
use proptest::sample::Index;

use super::areas::{LAWN, PIT, creation_with_areas, layout_with_areas};
use super::journal::Journal;
use super::selling::code;
use super::*;
use crate::domain::concert::{Fee, FeePer, PricedType, Tariff};
use crate::domain::ids::{FeeId, PriceTypeId};
use crate::domain::schedule::codes::{CodeTerms, Discount};
use crate::domain::schedule::terms::{AreaPlaces, AreaWish, Best, LineKind, PriceType};
use crate::domain::venue::Area;

const ADULT: PriceType = PriceType::DEFAULT;
const YOUTH: PriceType = PriceType(1);
const NOBODY: PriceType = PriceType(2);

fn won(minor: u64) -> Money {
    Money::new(minor).unwrap()
}

/// VIP costs 100 and 63 for the young, R 70 and isn't sold to them, ST 40 and 25. A place costs 3 more, a reservation 5 and 2 more; of these
/// only the 5 go back.
fn tariff() -> Tariff {
    let priced = |id: &str, by_grade: [Option<u64>; 3]| PricedType {
        id: PriceTypeId::parse(id).unwrap(),
        name: id.into(),
        by_grade: by_grade.map(|price| price.map(won)).into(),
    };
    let types =
        [priced("adult", [Some(100), Some(70), Some(40)]), priced("youth", [Some(63), None, Some(25)])];

    let fee = |id: &str, amount, per, refundable| Fee {
        id: FeeId::parse(id).unwrap(),
        name: id.into(),
        amount: won(amount),
        per,
        refundable,
    };
    let fees = [
        fee("booking", 3, FeePer::Seat, false),
        fee("post", 5, FeePer::Reservation, true),
        fee("order", 2, FeePer::Reservation, false),
    ];
    Tariff { types: types.into(), fees: fees.into() }
}

fn priced_with(tariff: Option<Tariff>) -> Creation {
    let creation = creation_with_areas();
    let bare = creation.prices.as_deref().unwrap().clone();
    let prices = Some(Arc::new(Prices { tariff: tariff.map(Box::new), ..bare }));
    Creation { prices, ..creation }
}

fn sale_with(tariff: Option<Tariff>) -> Sale {
    let schedule = Schedule::create(priced_with(tariff), layout_with_areas(), START);
    let mut sale = Sale { schedule, now: START, nonce: 100 };
    sale.does(&AnyCommand::Open);
    sale
}

fn sale() -> Sale {
    sale_with(Some(tariff()))
}

fn fees_alone() -> Tariff {
    Tariff { types: Box::default(), ..tariff() }
}

fn in_area(area: Area, count: u32, price_type: PriceType) -> AreaWish {
    AreaWish { area, count, price_type }
}

impl Sale {
    fn typed(&self, seats: &str, price_types: &[PriceType], areas: &[AreaWish]) -> Wish {
        let seats = self.seats(seats);
        let wish = if seats.is_empty() { Wish::default() } else { Wish::seats(seats) };
        Wish { price_types: price_types.into(), areas: areas.into(), ..wish }
    }

    fn try_typed(
        &mut self,
        who: &str,
        seats: &str,
        price_types: &[PriceType],
    ) -> Result<ReservationRef, Refusal> {
        let wish = self.typed(seats, price_types, &[]);
        self.try_wish(who, wish)
    }

    fn exchange_typed(&mut self, who: &str, of: ReservationRef, wish: Wish) -> Outcome {
        self.ask(&Command::Exchange { reservation: of, caller: by(who), wish })
    }

    fn try_best_typed(
        &mut self,
        who: &str,
        best: Best,
        price_types: &[PriceType],
    ) -> Result<ReservationRef, Refusal> {
        let wish = Wish { pick: Pick::Best(best), price_types: price_types.into(), ..Wish::default() };
        self.try_wish(who, wish)
    }

    fn pay(&mut self, who: &str, reservation: ReservationRef) {
        self.begin_at_once(who, reservation, 900).unwrap();
        self.confirm(reservation, 900).unwrap();
    }

    fn amount(&self, reservation: ReservationRef) -> u64 {
        self.schedule.amount_of(self.get(reservation)).minor()
    }

    fn refund(&self, reservation: ReservationRef) -> u64 {
        self.schedule.refund_of(self.get(reservation)).minor()
    }

    /// The lines: kind, name, count, amount.
    fn lines(&self, reservation: ReservationRef) -> Vec<(&'static str, String, u32, i64)> {
        let lines = self.schedule.lines_of(self.get(reservation)).into_owned();
        lines
            .into_iter()
            .map(|line| (line.kind.as_str(), line.name.to_string(), line.count, line.amount))
            .collect()
    }
}

fn line(kind: &'static str, name: &str, count: u32, amount: i64) -> (&'static str, String, u32, i64) {
    (kind, name.to_owned(), count, amount)
}

fn best(count: u32) -> Best {
    Best { count, ..Best::default() }
}

#[test]
fn each_place_costs_the_price_of_its_type_and_fees_come_on_top() {
    let mut sale = sale();
    let wish =
        sale.typed("A1 B1 A2", &[YOUTH, ADULT, YOUTH], &[in_area(PIT, 2, YOUTH), in_area(LAWN, 1, ADULT)]);
    let held = sale.try_wish("ann", wish).unwrap();
    assert_eq!(
        sale.lines(held),
        [
            line("seat", "VIP youth", 2, 126),
            line("seat", "R adult", 1, 70),
            line("area", "ST youth", 2, 50),
            line("area", "R adult", 1, 70),
            line("fee", "booking", 6, 18),
            line("fee", "post", 1, 5),
            line("fee", "order", 1, 2),
        ]
    );
    assert_eq!(sale.amount(held), 126 + 70 + 50 + 70 + 18 + 7);
    assert_eq!(*sale.get(held).terms.as_ref().unwrap().price_types, [YOUTH, ADULT, YOUTH]);
}

#[test]
fn without_types_fees_areas_and_a_code_a_reservation_has_no_terms() {
    let mut plain = sale_with(None);
    let held = plain.hold("ann", "A1 B1");
    assert_eq!(plain.get(held).terms, None);
    assert_eq!(plain.lines(held), [line("seat", "VIP", 1, 100), line("seat", "R", 1, 70)]);
    assert_eq!((plain.amount(held), plain.refund(held)), (170, 170));

    // Fees alone are lines, with no price type anywhere.
    let mut with_fees = sale_with(Some(fees_alone()));
    let held = with_fees.hold("ann", "A1 B1");
    assert_eq!(with_fees.lines(held)[0], line("seat", "VIP", 1, 100));
    assert_eq!((with_fees.amount(held), with_fees.refund(held)), (183, 175));
    assert_eq!(with_fees.try_typed("ann", "A2", &[YOUTH]), Err(Refusal::UnknownPriceType));

    // Whoever names no type has the default one.
    let mut typed = sale();
    let (unnamed, named) = (typed.hold("ann", "A1"), typed.try_typed("bob", "A2", &[ADULT]).unwrap());
    assert_eq!(typed.lines(unnamed), typed.lines(named));
    assert_eq!(typed.get(named).terms, typed.get(unnamed).terms);
}

#[test]
fn a_type_that_is_not_sold_in_a_grade_or_that_nobody_knows_is_refused() {
    let mut sale = sale();
    assert_eq!(sale.try_typed("ann", "A1 B1", &[YOUTH, YOUTH]), Err(Refusal::PriceTypeNotSold));
    assert_eq!(sale.try_typed("ann", "A1 B1", &[YOUTH, NOBODY]), Err(Refusal::UnknownPriceType));
    assert_eq!(sale.try_typed("ann", "A1 B1", &[YOUTH]), Err(Refusal::UnknownPriceType), "one each");
    let wish = sale.typed("", &[], &[in_area(LAWN, 1, YOUTH)]);
    assert_eq!(sale.try_wish("ann", wish), Err(Refusal::PriceTypeNotSold));
    let wish = sale.typed("", &[], &[in_area(PIT, 1, NOBODY)]);
    assert_eq!(sale.try_wish("ann", wish), Err(Refusal::UnknownPriceType));
    assert_eq!(sale.that_are(SeatStatus::Held), "", "nothing came of it");

    // An exchange is refused as a hold is, and the hold keeps what it has.
    let held = sale.hold("ann", "A1");
    let wish = sale.typed("B1", &[YOUTH], &[]);
    assert_eq!(sale.exchange_typed("ann", held, wish), Err(Refusal::PriceTypeNotSold));
    assert_eq!((sale.seats_of(held), sale.amount(held)), ("A1".into(), 100 + 3 + 7));
}

#[test]
fn an_exchange_has_all_its_lines_anew_and_no_fee_twice() {
    let mut sale = sale();
    let held = sale.hold("ann", "A1 A2 A3");
    assert_eq!(sale.amount(held), 300 + 9 + 7);
    let wish = sale.typed("A1 B1", &[YOUTH, ADULT], &[]);
    sale.exchange_typed("ann", held, wish).unwrap();
    assert_eq!(sale.amount(held), 63 + 70 + 6 + 7);
    // The same seats of another type are an exchange, too; of the same type nothing happens.
    let wish = sale.typed("A1 B1", &[], &[]);
    assert!(matches!(sale.exchange_typed("ann", held, wish.clone()), Ok(Some(_))));
    assert_eq!(sale.amount(held), 170 + 6 + 7);
    assert_eq!(sale.exchange_typed("ann", held, wish), Ok(None));
}

#[test]
fn the_best_places_are_of_grades_in_which_all_the_types_are_sold() {
    let mut sale = sale();
    let held = sale.try_best_typed("ann", best(3), &[ADULT, YOUTH, YOUTH]).unwrap();
    assert_eq!(sale.seats_of(held).split_whitespace().count(), 3);
    assert_eq!(*sale.get(held).terms.as_ref().unwrap().price_types, [ADULT, YOUTH, YOUTH]);
    assert_eq!(sale.amount(held), 100 + 2 * 63 + 9 + 7);

    // The grade R comes next, and isn't sold to the young: they stand, each of their type.
    let held = sale.try_best_typed("bob", best(5), &[ADULT, ADULT, YOUTH, YOUTH, YOUTH]).unwrap();
    let areas = &sale.get(held).terms.as_ref().unwrap().areas;
    let places = |count, price_type| AreaPlaces { area: PIT, price_type, count };
    assert_eq!(**areas, [places(2, ADULT), places(3, YOUTH)]);
    assert_eq!(sale.amount(held), 2 * 40 + 3 * 25 + 15 + 7);

    let of_r = Best { grade: sale.schedule.layout().grade("R"), ..best(1) };
    assert_eq!(sale.try_best_typed("cat", of_r.clone(), &[YOUTH]), Err(Refusal::PriceTypeNotSold));
    assert_eq!(sale.try_best_typed("cat", best(2), &[YOUTH]), Err(Refusal::UnknownPriceType));
    sale.try_best_typed("cat", of_r, &[ADULT]).unwrap();
}

#[test]
fn a_party_that_is_split_over_seats_and_an_area_keeps_its_types() {
    let mut sale = sale();
    sale.try_typed("ann", "A1 A2 A3 A4", &[]).unwrap();
    let wish = sale.typed("", &[], &[in_area(PIT, 5, ADULT)]);
    sale.try_wish("bob", wish).unwrap();
    let types = [ADULT, ADULT, ADULT, YOUTH];
    let held = sale.try_best_typed("cat", best(4), &types).unwrap();
    let terms = sale.get(held).terms.clone().unwrap();
    assert_eq!((sale.seats_of(held), &*terms.price_types), ("A5 A6".into(), &[][..]));
    let places = |price_type| AreaPlaces { area: PIT, price_type, count: 1 };
    assert_eq!(*terms.areas, [places(ADULT), places(YOUTH)]);
    assert_eq!(sale.amount(held), 2 * 100 + 40 + 25 + 12 + 7);
}

#[test]
fn a_code_for_some_price_types_is_for_no_others() {
    let mut sale = sale();
    let only = |types: &[&str], discount| CodeTerms {
        price_types: Some(types.iter().map(|id| Arc::from(*id)).collect()),
        discount,
        ..CodeTerms::default()
    };
    let unknown = sale.put_code("NONE", only(&["nobody"], None));
    assert!(matches!(unknown, Err(Refusal::Unfit { field: "priceTypes", .. })), "{unknown:?}");
    sale.put_code("YOUNG", only(&["youth"], Some(Discount::Percent(50)))).unwrap();

    let coded = |wish: Wish| Wish { code: Some("YOUNG".into()), ..wish };
    let wish = coded(sale.typed("A1 A2", &[YOUTH, ADULT], &[]));
    assert_eq!(sale.try_wish("ann", wish), Err(Refusal::CodeInvalid));
    let wish = coded(sale.typed("A1", &[], &[]));
    assert_eq!(sale.try_wish("ann", wish), Err(Refusal::CodeInvalid), "the default is another");
    let wish = coded(sale.typed("A1", &[YOUTH], &[in_area(PIT, 1, ADULT)]));
    assert_eq!(sale.try_wish("ann", wish), Err(Refusal::CodeInvalid));
    let wish = coded(sale.typed("A1", &[YOUTH], &[in_area(PIT, 1, YOUTH)]));
    let held = sale.try_wish("ann", wish).unwrap();
    // 31.5 and 12.5 are rounded half up; fees stay as they are.
    assert_eq!(sale.amount(held), (63 - 32) + (25 - 13) + 6 + 7);
    // The hold keeps its code, and so its types.
    let wish = sale.typed("A2", &[ADULT], &[]);
    assert_eq!(sale.exchange_typed("ann", held, wish), Err(Refusal::CodeInvalid));
}

#[test]
fn who_gives_a_reservation_back_has_all_but_the_fees_that_stay() {
    let mut sale = sale();
    let held = sale.hold("ann", "A1 A2");
    sale.pay("ann", held);
    sale.release("ann", held).unwrap();
    assert_eq!((sale.amount(held), sale.refund(held)), (213, 205));

    // Whoever was cancelled before keeps that answer when the performance is cancelled; the others lose nothing.
    let other = sale.hold("bob", "A3");
    sale.pay("bob", other);
    assert_eq!((sale.amount(other), sale.refund(other)), (110, 105));
    sale.does(&Command::Cancel);
    assert_eq!(
        (sale.status(other), sale.amount(other), sale.refund(other)),
        (ReservationStatus::Cancelled, 110, 110)
    );
    assert_eq!(sale.refund(held), 205);
    // A payment that hears of its confirmation only now has bought it all the same: what goes back is the lines' to say.
    assert_eq!(sale.confirm(held, 900), Ok(None));
    assert_eq!(sale.confirm(held, 901), Err(Refusal::PaymentNotUnderWay));
}

#[test]
fn what_goes_back_for_a_reservation_is_known_when_it_is_forgotten() {
    let mut sale = sale();
    let back = |sale: &Sale, of| sale.schedule.refund_owed(of).map(Money::minor);
    let [first, second] = ["A1 A2", "A3"].map(|seats| {
        let held = sale.hold("ann", seats);
        sale.pay("ann", held);
        sale.release("ann", held).unwrap();
        held
    });
    assert_eq!((back(&sale, first), back(&sale, second)), (Some(205), Some(105)));

    // One more than are kept of a user, and then their time is over.
    for _ in 1..ENDED_PER_USER_MAX {
        let held = sale.hold("ann", "A4");
        sale.release("ann", held).unwrap();
    }
    assert_eq!((sale.schedule.reservation(first), back(&sale, first)), (None, Some(205)));
    sale.wait(40 * DAY).put_code("LATE", CodeTerms::default()).unwrap();
    assert_eq!((sale.schedule.reservation(second), back(&sale, second)), (None, Some(105)));

    let again = Image::of(&sale.schedule).restore(layout_with_areas());
    assert!(again == sale.schedule, "R1");
    assert_eq!(again.refund_owed(second).map(Money::minor), Some(105));
}

#[test]
fn a_discount_may_leave_less_to_give_back_than_the_places_cost() {
    let mut sale = sale();
    let discount = Some(Discount::AmountPerSeat(won(1_000)));
    sale.put_code("FREE", CodeTerms { discount, ..CodeTerms::default() }).unwrap();
    let wish = Wish { code: Some("FREE".into()), ..sale.typed("A1", &[], &[]) };
    let held = sale.try_wish("ann", wish).unwrap();
    assert_eq!((sale.amount(held), sale.refund(held)), (10, 5), "nothing is under 0");
}

#[test]
fn prices_change_until_the_sale_opens_and_never_after() {
    let schedule = Schedule::create(priced_with(None), layout_with_areas(), START);
    let mut sale = Sale { schedule, now: START, nonce: 100 };
    let prices = priced_with(Some(tariff())).prices.unwrap();
    sale.does(&AnyCommand::Reprice { prices: Arc::clone(&prices) });
    sale.does(&AnyCommand::Open);
    let held = sale.try_typed("ann", "A1", &[YOUTH]).unwrap();
    let dearer = priced_with(Some(fees_alone())).prices.unwrap();
    assert_eq!(sale.ask(&AnyCommand::Reprice { prices: dearer }), Err(Refusal::PricesFixed));
    let wish = sale.typed("A2", &[YOUTH], &[]);
    sale.exchange_typed("ann", held, wish).unwrap();
    assert_eq!(sale.amount(held), 63 + 3 + 7, "an exchange has the prices of the hold");
}

/// A place of the model: its grade's index, and its type.
type Place = (usize, u8);

const CODES: [&str; 4] = ["", "PART", "LESS", "YOUNG"];

/// What a booking of the model has, and what it was told.
#[derive(Debug, Clone)]
struct Booking {
    reference: ReservationRef,
    places: Vec<Place>,
    code: &'static str,
    /// Whether its performance was cancelled when it was bought.
    all_back: bool,
}

impl Booking {
    /// What a place costs by itself, less its discount.
    fn place(&self, (grade, price_type): Place) -> u64 {
        let price: u64 = match (grade, price_type) {
            (0, 0) => 100,
            (0, 1) => 63,
            (1, 0) => 70,
            (2, 0) => 40,
            (2, 1) => 25,
            other => panic!("{other:?} isn't sold"),
        };
        // The first whole number that the exact discount is less than a half above: a half goes up.
        let of_percent =
            |percent: u64| (0..=price).find(|off| 200 * off + 100 > 2 * price * percent).unwrap();
        let off = match self.code {
            "PART" => of_percent(15),
            "LESS" => 30,
            "YOUNG" => of_percent(50),
            _ => 0,
        };
        price.saturating_sub(off)
    }

    fn fees(&self) -> (u64, u64) {
        (3 * u64::try_from(self.places.len()).unwrap() + 2, 5)
    }

    fn amount(&self) -> u64 {
        let (kept, back) = self.fees();
        self.places.iter().map(|place| self.place(*place)).sum::<u64>() + kept + back
    }

    fn refund(&self) -> u64 {
        if self.all_back { self.amount() } else { self.amount() - self.fees().0 }
    }
}

#[derive(Debug, Clone)]
struct Asked {
    seats: Vec<(u32, u8)>,
    areas: Vec<(u16, u8, u32)>,
    code: &'static str,
}

impl Asked {
    fn wish(&self) -> Wish {
        let seats: Vec<Seat> = self.seats.iter().map(|(seat, _)| Seat(*seat)).collect();
        let pick = if seats.is_empty() { Pick::None } else { Pick::Seats(seats.into()) };
        Wish {
            pick,
            price_types: self.seats.iter().map(|(_, price_type)| PriceType(*price_type)).collect(),
            areas: self
                .areas
                .iter()
                .map(|(area, price_type, count)| in_area(Area(*area), *count, PriceType(*price_type)))
                .collect(),
            code: (!self.code.is_empty()).then(|| self.code.into()),
            ..Wish::default()
        }
    }

    /// VIP is 0 to 5, R is 6 to 11; the pit is ST, the lawn R.
    fn places(&self) -> Vec<Place> {
        let seats = self.seats.iter().map(|(seat, price_type)| (usize::from(*seat > 5), *price_type));
        let areas = self.areas.iter().flat_map(|(area, price_type, count)| {
            (0..*count).map(move |_| (if *area == 0 { 2 } else { 1 }, *price_type))
        });
        seats.chain(areas).collect()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Hold(usize, Asked),
    Exchange(Index, Asked),
    Release(Index),
    Pay(Index),
    Cancel,
}

fn asked() -> impl Strategy<Value = Asked> {
    let price_type = || prop_oneof![6 => Just(0_u8), 3 => Just(1), 1 => Just(2)];
    let seats = prop::collection::btree_map(0..12_u32, price_type(), 0..4);
    let areas = prop::collection::vec((0..2_u16, price_type(), 1..3_u32), 0..2);
    (seats, areas, prop::sample::select(CODES.to_vec())).prop_map(|(seats, areas, code)| Asked {
        seats: seats.into_iter().collect(),
        areas,
        code,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..3_usize, asked()).prop_map(|(user, asked)| Step::Hold(user, asked)),
        6 => (any::<Index>(), asked()).prop_map(|(of, asked)| Step::Exchange(of, asked)),
        2 => any::<Index>().prop_map(Step::Release),
        3 => any::<Index>().prop_map(Step::Pay),
        1 => Just(Step::Cancel),
    ];
    prop::collection::vec(step, 1..30)
}

/// A schedule beside the model's bookings, and its journal.
struct Both {
    sale: Sale,
    bookings: Vec<Booking>,
    journal: Journal,
}

const USERS: [&str; 3] = ["ann", "bob", "cat"];

impl Both {
    fn new() -> Self {
        let schedule = Schedule::create(priced_with(Some(tariff())), layout_with_areas(), START);
        let mut both = Self {
            sale: Sale { schedule, now: START, nonce: 100 },
            bookings: Vec::new(),
            journal: Journal::default(),
        };
        both.ask(AnyCommand::Open).unwrap();
        for (text, discount, price_types) in [
            ("PART", Discount::Percent(15), None),
            ("LESS", Discount::AmountPerSeat(won(30)), None),
            ("YOUNG", Discount::Percent(50), Some([Arc::from("youth")].into())),
        ] {
            let terms = CodeTerms { discount: Some(discount), price_types, ..CodeTerms::default() };
            let code = code(text);
            both.ask(Command::PutCode { code, terms: Arc::new(terms) }).unwrap();
        }
        both
    }

    fn ask(&mut self, command: impl Into<AnyCommand>) -> Outcome {
        let outcome = self.sale.ask(&command.into());
        if let Ok(Some(event)) = &outcome {
            self.journal.push(&self.sale.schedule, event, self.sale.now);
        }
        outcome
    }

    fn step(&mut self, step: &Step) {
        let pick = |of: &Index| (!self.bookings.is_empty()).then(|| of.index(self.bookings.len()));
        match step {
            Step::Hold(user, asked) => {
                let command = self.sale.wish(USERS[*user], asked.wish());
                let outcome = self.ask(command);
                check_refusal(&outcome, &asked.places(), asked.code);
                let Ok(Some(Event::SeatsHeld { number, nonce, .. })) = outcome else { return };
                let reference = ReservationRef { number, nonce };
                let (places, code) = (asked.places(), asked.code);
                self.bookings.push(Booking { reference, places, code, all_back: false });
            }
            Step::Exchange(of, asked) => {
                let Some(of) = pick(of) else { return };
                let (reservation, caller) = (self.bookings[of].reference, Caller::User(self.owner(of)));
                // A hold keeps the code that it has.
                let code = if asked.code.is_empty() { self.bookings[of].code } else { asked.code };
                let outcome = self.ask(Command::Exchange { reservation, caller, wish: asked.wish() });
                check_refusal(&outcome, &asked.places(), code);
                if let Ok(Some(_)) = outcome {
                    (self.bookings[of].places, self.bookings[of].code) = (asked.places(), code);
                }
            }
            Step::Release(of) => {
                let Some(of) = pick(of) else { return };
                let (reservation, caller) = (self.bookings[of].reference, Caller::Admin);
                drop(self.ask(Command::Release { reservation, caller }));
            }
            Step::Pay(of) => {
                let Some(of) = pick(of) else { return };
                let reservation = self.bookings[of].reference;
                let (caller, payment) = (Caller::User(self.owner(of)), PaymentId::from_bits(7));
                let begin = AnyCommand::BeginPayment { reservation, caller, payment, takes_time: false };
                if self.ask(begin).is_ok() {
                    drop(self.ask(AnyCommand::Confirm { reservation, payment }));
                }
            }
            Step::Cancel => {
                for of in 0..self.bookings.len() {
                    let status = self.sale.status(self.bookings[of].reference);
                    self.bookings[of].all_back |= status == ReservationStatus::Confirmed;
                }
                drop(self.ask(Command::Cancel));
            }
        }
    }

    fn owner(&self, of: usize) -> UserId {
        self.sale.get(self.bookings[of].reference).user.clone().unwrap()
    }

    fn compare(&self) {
        for booking in &self.bookings {
            let kept = self.sale.get(booking.reference);
            let (amount, refund) = (self.sale.amount(booking.reference), self.sale.refund(booking.reference));
            assert_eq!((amount, refund), (booking.amount(), booking.refund()), "{booking:?}");
            let lines = self.sale.schedule.lines_of(kept);
            let sum: i64 = lines.iter().map(|line| line.amount).sum();
            assert_eq!(u64::try_from(sum).unwrap(), amount);
            let fees = lines.iter().filter(|line| line.kind == LineKind::Fee).count();
            assert_eq!(fees, 3, "each fee once");
        }
    }
}

/// What the model knows of a refusal: whether it is for the price types, and which of their refusals it is.
fn check_refusal(outcome: &Outcome, places: &[Place], code: &str) {
    let known = places.iter().all(|(_, price_type)| *price_type < 2);
    let for_code = code != "YOUNG" || places.iter().all(|(_, price_type)| *price_type == 1);
    let sold = !places.contains(&(1, 1));
    match outcome {
        Ok(_) => assert!(known && for_code && sold, "{places:?} with {code:?}"),
        Err(Refusal::UnknownPriceType) => assert!(!known, "{places:?}"),
        Err(Refusal::CodeInvalid) => assert!(known && !for_code, "{places:?} with {code:?}"),
        Err(Refusal::PriceTypeNotSold) => assert!(known && for_code && !sold, "{places:?}"),
        Err(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn reservations_cost_and_give_back_what_a_model_says(steps in steps()) {
        let mut both = Both::new();
        for step in &steps {
            both.step(step);
            both.compare();
        }
        both.journal.check(&both.sale.schedule, priced_with(Some(tariff())), &layout_with_areas());
    }
}
