//! What places cost, against a model that knows places one by one and shares no code with the lines.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::concert::{Fee, PRICE_MAX, PricedType, Tariff};
use crate::domain::ids::{FeeId, PriceTypeId};

fn won(minor: u64) -> Money {
    Money::new(minor).unwrap()
}

fn grades() -> Vec<GradeName> {
    ["VIP", "R", "ST"].map(|grade| GradeName::parse(grade).unwrap()).into()
}

/// Two price types, of which the second isn't sold in the grade R.
fn prices(fees: &[Fee]) -> Prices {
    let by_grade = [170_000, 140_000, 99_000].map(won);
    let priced = |id: &str, name: &str, by_grade: [Option<u64>; 3]| PricedType {
        id: PriceTypeId::parse(id).unwrap(),
        name: name.into(),
        by_grade: by_grade.map(|price| price.map(won)).into(),
    };
    let types = [
        priced("adult", "일반", [Some(170_000), Some(140_000), Some(99_000)]),
        priced("youth", "청소년", [Some(120_000), None, Some(55_555)]),
    ];
    Prices {
        by_grade: by_grade.into(),
        best_first: [0, 1, 2].into(),
        tariff: Some(Box::new(Tariff { types: types.into(), fees: fees.into() })),
    }
}

fn fee(name: &str, amount: u64, per: FeePer, refundable: bool) -> Fee {
    Fee { id: FeeId::parse("f").unwrap(), name: name.into(), amount: won(amount), per, refundable }
}

fn seat(grade: u16, price_type: u8) -> Priced {
    Priced { area: None, grade: Grade(grade), price_type: PriceType(price_type), count: 1 }
}

fn code() -> Arc<str> {
    "FAN".into()
}

fn told(lines: &[Line]) -> Vec<(&'static str, &str, u32, i64, i64)> {
    let mut told = Vec::new();
    for line in lines {
        told.push((line.kind.as_str(), &*line.name, line.count, line.unit_amount, line.amount));
    }
    told
}

#[test]
fn a_reservation_has_a_line_for_each_price_then_its_fees_then_what_is_taken_off() {
    let fees =
        [fee("예매 수수료", 2_000, FeePer::Seat, false), fee("배송", 3_000, FeePer::Reservation, true)];
    let standing = Priced { area: Some(Area(0)), count: 3, ..seat(2, 0) };
    let places = [seat(0, 0), standing, seat(0, 1), seat(0, 0)];
    let (code, discount) = (code(), Discount::Percent(10));
    let lines = lines(&prices(&fees), &grades(), places, &Off::Of(&code, discount)).unwrap();
    assert_eq!(
        told(&lines),
        [
            ("seat", "VIP 일반", 2, 170_000, 340_000),
            ("seat", "VIP 청소년", 1, 120_000, 120_000),
            ("area", "ST 일반", 3, 99_000, 297_000),
            ("fee", "예매 수수료", 6, 2_000, 12_000),
            ("fee", "배송", 1, 3_000, 3_000),
            ("discount", "FAN", 2, -17_000, -34_000),
            ("discount", "FAN", 1, -12_000, -12_000),
            ("discount", "FAN", 3, -9_900, -29_700),
        ]
    );
    let is_refundable: Vec<bool> = lines.iter().map(|line| line.refundable).collect();
    assert_eq!(is_refundable, [true, true, true, false, true, true, true, true]);
}

#[test]
fn a_type_without_a_price_in_a_grade_is_not_sold_there() {
    let sold = |places| lines(&prices(&[]), &grades(), places, &Off::Nothing).map(|lines| lines.len());
    assert_eq!(sold([seat(1, 0), seat(0, 1)]), Ok(2));
    assert_eq!(sold([seat(1, 0), seat(1, 1)]), Err(Refusal::PriceTypeNotSold));
    assert_eq!(sold([seat(0, 0), seat(0, 2)]), Err(Refusal::PriceTypeNotSold), "there is no such type");
    let plain = Prices { tariff: None, ..prices(&[]) };
    assert_eq!(lines(&plain, &grades(), [seat(0, 1)], &Off::Nothing), Err(Refusal::PriceTypeNotSold));
    let one = lines(&plain, &grades(), [seat(1, 0)], &Off::Nothing).unwrap();
    assert_eq!(told(&one), [("seat", "R", 1, 140_000, 140_000)], "without types, grades are all there is");
}

#[test]
fn a_discount_is_rounded_half_up_and_leaves_nothing_under_0() {
    for (off, price, expected) in [
        (Discount::Percent(10), 55_555, 5_556),
        (Discount::Percent(10), 55_554, 5_555),
        (Discount::Percent(50), 1, 1),
        (Discount::Percent(49), 1, 0),
        (Discount::Percent(0), 170_000, 0),
        (Discount::Percent(100), 170_001, 170_001),
        (Discount::Percent(255), 100, 100),
        (Discount::Percent(33), 0, 0),
        (Discount::AmountPerSeat(won(10_000)), 170_000, 10_000),
        (Discount::AmountPerSeat(won(10_000)), 9_999, 9_999),
        (Discount::AmountPerSeat(Money::MAX), 5, 5),
        (Discount::Percent(99), PRICE_MAX.minor(), 9_900_000_000_000),
    ] {
        assert_eq!(off.of(won(price)), won(expected), "{off:?} of {price}");
    }
}

#[test]
fn what_somebody_set_is_what_the_lines_add_up_to() {
    let why: Arc<str> = "단체".into();
    let plain = lines(&prices(&[]), &grades(), [seat(0, 0)], &Off::Nothing).unwrap();
    assert_eq!(overridden(&plain, won(170_000), &why), plain, "nothing to say");
    let cheaper = overridden(&plain, won(100_000), &why);
    assert_eq!(told(&cheaper)[1], ("discount", "단체", 1, -70_000, -70_000));
    let dearer = overridden(&plain, won(171_000), &why);
    assert_eq!(told(&dearer)[1], ("fee", "단체", 1, 1_000, 1_000));
    let free = overridden(&plain, Money::ZERO, &why);
    assert_eq!(free.iter().map(|line| line.amount).sum::<i64>(), 0);
}

/// A place by itself: an area or none, its grade, its price type.
type Place = (Option<u16>, u16, u8);

/// The model: each place costs its price less its discount, whatever it is grouped with.
fn cost(
    places: &[Place],
    table: &BTreeMap<(u16, u8), u64>,
    fees: &[Fee],
    off: Option<Discount>,
) -> Option<i128> {
    let mut sum = 0_i128;
    for (_, grade, price_type) in places {
        let price = i128::from(*table.get(&(*grade, *price_type))?);
        sum += price;
        sum -= match off {
            None => 0,
            Some(Discount::AmountPerSeat(amount)) => i128::from(amount.minor()).min(price),
            Some(Discount::Percent(percent)) => {
                // The nearest whole number, and of two the greater: found among all near it.
                let exact = price * i128::from(percent);
                let floor = exact / 100;
                [floor, floor + 1].into_iter().min_by_key(|off| ((off * 100 - exact).abs(), -off)).unwrap()
            }
        };
    }
    for fee in fees {
        let times = if fee.per == FeePer::Seat { places.len() } else { 1 };
        sum += i128::from(fee.amount.minor()) * i128::try_from(times).unwrap();
    }
    Some(sum)
}

fn place() -> impl Strategy<Value = Place> {
    let area = prop_oneof![2 => Just(None), 1 => Just(Some(0)), 1 => Just(Some(1))];
    (area, 0..3_u16, prop_oneof![5 => 0..2_u8, 1 => 0..4_u8])
}

fn any_off() -> impl Strategy<Value = Option<Discount>> {
    prop_oneof![
        Just(None),
        (0..=100_u8).prop_map(|percent| Some(Discount::Percent(percent))),
        (0..200_000_u64).prop_map(|amount| Some(Discount::AmountPerSeat(won(amount)))),
    ]
}

fn any_fees() -> impl Strategy<Value = Vec<Fee>> {
    let per = prop_oneof![Just(FeePer::Seat), Just(FeePer::Reservation)];
    let one = (0..10_000_u64, per, any::<bool>())
        .prop_map(|(amount, per, refundable)| fee("수수료", amount, per, refundable));
    prop::collection::vec(one, 0..4)
}

proptest! {
    #[test]
    fn lines_add_up_to_what_each_place_costs_by_itself(
        places in prop::collection::vec(place(), 1..12),
        off in any_off(),
        fees in any_fees(),
        odd in 0..100_u64,
    ) {
        // Prices that percents don't divide.
        let mut prices = prices(&fees);
        let mut table = BTreeMap::new();
        prices.by_grade.iter_mut().for_each(|price| *price = won(price.minor() + odd));
        let tariff = prices.tariff.as_mut().unwrap();
        for (price_type, priced) in (0..).zip(tariff.types.iter_mut()) {
            for (grade, price) in (0..).zip(priced.by_grade.iter_mut()) {
                if let Some(price) = price {
                    *price = won(price.minor() + odd);
                    table.insert((grade, price_type), price.minor());
                }
            }
        }

        let code = code();
        let given = places.iter().map(|(area, grade, price_type)| {
            Priced { area: area.map(Area), ..seat(*grade, *price_type) }
        });
        let made = lines(&prices, &grades(), given, &off.map_or(Off::Nothing, |off| Off::Of(&code, off)));
        let Some(expected) = cost(&places, &table, &fees, off) else {
            prop_assert_eq!(made, Err(Refusal::PriceTypeNotSold));
            return Ok(());
        };

        let made = made.unwrap();
        prop_assert_eq!(made.iter().map(|line| i128::from(line.amount)).sum::<i128>(), expected);
        let counted = |kind| made.iter().filter(|line| line.kind == kind).map(|line| line.count).sum::<u32>();
        let areas = places.iter().filter(|(area, ..)| area.is_some()).count();
        prop_assert_eq!(counted(LineKind::Area), u32::try_from(areas).unwrap());
        prop_assert_eq!(counted(LineKind::Seat), u32::try_from(places.len() - areas).unwrap());
        prop_assert!(counted(LineKind::Discount) <= u32::try_from(places.len()).unwrap());
        let order = |line: &Line| LineKind::ALL.iter().position(|kind| *kind == line.kind);
        prop_assert!(made.is_sorted_by_key(order));
        for line in &made {
            prop_assert_eq!(line.amount, i64::from(line.count) * line.unit_amount);
            prop_assert_eq!(line.unit_amount < 0, line.kind == LineKind::Discount);
            prop_assert!(line.refundable || line.kind == LineKind::Fee);
        }

        // What goes back is all but the fees that stay.
        let stays: i128 = fees.iter().filter(|fee| !fee.refundable).map(|fee| {
            let times = if fee.per == FeePer::Seat { places.len() } else { 1 };
            i128::from(fee.amount.minor()) * i128::try_from(times).unwrap()
        }).sum();
        let terms = Terms { lines: made, ..Default::default() };
        prop_assert_eq!(i128::from(terms.refund().minor()), expected - stays);
    }

    #[test]
    fn an_amount_that_was_set_is_kept_whatever_the_lines_were(
        places in prop::collection::vec((0..3_u16, 0..1_u8), 1..9),
        amount in 0..2_000_000_u64,
        fees in any_fees(),
    ) {
        let given = places.iter().map(|(grade, price_type)| seat(*grade, *price_type));
        let before = lines(&prices(&fees), &grades(), given, &Off::Nothing).unwrap();
        let after = overridden(&before, won(amount), &"이유".into());
        prop_assert_eq!(after.iter().map(|line| line.amount).sum::<i64>(), i64::try_from(amount).unwrap());
        prop_assert!(before.iter().all(|line| after.contains(line)));
        prop_assert!(after.is_sorted_by_key(|line| line.kind), "in the order of kinds");
        let terms = Terms { lines: after, ..Default::default() };
        prop_assert!(terms.refund() <= won(amount), "no more goes back than was paid");
    }
}

#[test]
fn what_a_code_took_off_stays_with_the_places_that_it_was_taken_off() {
    let cheap = |by_grade: [u64; 3]| Prices {
        by_grade: by_grade.map(won).into(),
        best_first: [0, 1, 2].into(),
        tariff: None,
    };
    let code = code();
    // One hundredth of 40 is nothing, and so is a tenth of 4.
    for (by_grade, percent, of_each) in
        [([40, 3_000, 300_000], 1, [40, 2_970, 297_000]), ([4, 7, 99], 10, [4, 6, 89])]
    {
        let prices = cheap(by_grade);
        let all = [seat(0, 0), seat(1, 0), Priced { area: Some(Area(0)), ..seat(2, 0) }];
        let discount = Off::Of(&code, Discount::Percent(percent));
        let had = lines(&prices, &grades(), all, &discount).unwrap();
        for (place, amount) in all.into_iter().zip(of_each) {
            let kept = lines(&prices, &grades(), [place], &Off::Kept(&code, kept_off(&had))).unwrap();
            assert_eq!(kept.iter().map(|line| line.amount).sum::<i64>(), amount, "{place:?} of {by_grade:?}");
        }
        let both = lines(&prices, &grades(), all[..2].to_vec(), &Off::Kept(&code, kept_off(&had))).unwrap();
        let again = lines(&prices, &grades(), [all[0]], &Off::Kept(&code, kept_off(&both))).unwrap();
        assert_eq!(again.iter().map(|line| line.amount).sum::<i64>(), of_each[0], "given back one by one");
    }
}
