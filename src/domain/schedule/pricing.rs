//! What places cost: from seats and places of areas, with their price types, to the lines of a reservation.
//!
//! Whole minor units throughout: the only rounding is that of a discount by percent, of one place, half up. Lines are made when a hold is
//! made or exchanged, and never again.
//!
//! Absent on purpose: whether places are free, who may have a discount, and every bound but that of the sum.

use std::sync::Arc;

use super::Refusal;
use super::terms::{Line, LineKind, PriceType, money};
use crate::domain::concert::{FeePer, Prices};
use crate::domain::ids::GradeName;
use crate::domain::money::Money;
use crate::domain::venue::Grade;

/// Places of one grade and price type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places<'a> {
    /// The area's name; none for numbered seats.
    pub area: Option<&'a str>,
    /// Their grade.
    pub grade: Grade,
    /// Their price type.
    pub price_type: PriceType,
    /// How many.
    pub count: u32,
}

/// What is taken off the price of each place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discount {
    /// What its lines are called.
    pub name: Arc<str>,
    /// How much it is.
    pub off: Off,
}

/// How much a discount takes off a place: never more than the place costs, so that nothing is under 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Off {
    /// So many hundredths of the price, 0 to 100, rounded half up to the minor unit.
    Percent(u8),
    /// An amount.
    PerPlace(Money),
}

impl Off {
    /// Returns what is taken off one place at a price.
    pub fn of(self, price: Money) -> Money {
        let off = match self {
            Self::Percent(percent) => (price.minor() * u64::from(percent) * 2 + 100) / 200,
            Self::PerPlace(amount) => amount.minor(),
        };
        Money::new(off).map_or(price, |off| off.min(price))
    }
}

/// Makes the lines of places: seats, areas, fees, discounts, in this order. Places of one grade and price type are one line, in the order
/// in which the first of them comes. A discount has a line for each of these that it takes something off; fees it leaves as they are.
///
/// `grades` are the layout's.
///
/// # Errors
/// [`Refusal::PriceTypeNotSold`].
pub fn lines<'a>(
    prices: &Prices,
    grades: &[GradeName],
    places: impl IntoIterator<Item = Places<'a>>,
    discount: Option<&Discount>,
) -> Result<Box<[Line]>, Refusal> {
    let mut groups: Vec<Places<'a>> = Vec::new();
    for more in places {
        let is_same = |group: &&mut Places<'_>| Places { count: more.count, ..**group } == more;
        match groups.iter_mut().find(is_same) {
            Some(group) => group.count += more.count,
            None => groups.push(more),
        }
    }
    // Numbered seats first; otherwise as they came.
    groups.sort_by_key(|group| group.area.is_some());

    let mut lines = Vec::new();
    let mut discounts = Vec::new();
    for group in &groups {
        let price = prices.of(group.grade, group.price_type).ok_or(Refusal::PriceTypeNotSold)?;
        let kind = if group.area.is_some() { LineKind::Area } else { LineKind::Seat };
        let place = group.area.unwrap_or(&grades[group.grade.index()]);
        let name = match prices.type_name(group.price_type) {
            Some(price_type) => format!("{place} {price_type}").into(),
            None => Arc::from(place),
        };
        lines.push(line(kind, name, group.count, minor(price), true));

        if let Some(Discount { name, off }) = discount
            && off.of(price) > Money::ZERO
        {
            let off = -minor(off.of(price));
            discounts.push(line(LineKind::Discount, Arc::clone(name), group.count, off, true));
        }
    }

    let count = groups.iter().map(|group| group.count).sum();
    for fee in prices.fees() {
        let count = match fee.per {
            FeePer::Seat => count,
            FeePer::Reservation => 1,
        };
        lines.push(line(LineKind::Fee, Arc::clone(&fee.name), count, minor(fee.amount), fee.refundable));
    }

    lines.append(&mut discounts);
    Ok(lines.into())
}

/// Makes lines add up to an amount that somebody set, by one more that says why: a discount, or a fee.
pub fn overridden(lines: &[Line], amount: Money, why: &Arc<str>) -> Box<[Line]> {
    let sum: i64 = lines.iter().map(|line| line.amount).sum();
    let rest = minor(amount) - sum;
    let kind = if rest < 0 { LineKind::Discount } else { LineKind::Fee };

    let more = (rest != 0).then(|| line(kind, Arc::clone(why), 1, rest, true));
    let lines: Box<[Line]> = lines.iter().cloned().chain(more).collect();
    debug_assert_eq!(money(lines.iter().map(|line| line.amount).sum()), Some(amount));
    lines
}

fn line(kind: LineKind, name: Arc<str>, count: u32, unit_amount: i64, refundable: bool) -> Line {
    Line { kind, name, count, unit_amount, amount: i64::from(count) * unit_amount, refundable }
}

fn minor(amount: Money) -> i64 {
    i64::try_from(amount.minor()).expect("an amount is below 2^53")
}

#[cfg(test)]
mod tests;
