//! What places cost: from seats and places of areas, with their price types, to the lines of a reservation.
//!
//! Whole minor units throughout: the only rounding is that of a discount by percent, of one place, half up. Lines are made when a hold is
//! made or exchanged, at the prices that the schedule's first opening has bound, and never again: an exchange has all of its lines anew.
//! A reservation of seats alone, at their grades' prices, has no lines and nothing that would hold them.
//!
//! Absent on purpose: whether places are free, who may have a discount, and every bound but that of the sum.

use std::borrow::Cow;
use std::sync::Arc;

use super::access::Access;
use super::codes::Discount;
use super::terms::{AreaPlaces, Line, LineKind, PriceType, Terms, Wish};
use super::{Refusal, Reservation, ReservationRef, Schedule};
use crate::domain::concert::{FeePer, Prices};
use crate::domain::ids::GradeName;
use crate::domain::money::Money;
use crate::domain::venue::{Area, Grade, Seat};

/// Places of one grade and price type: numbered seats, or places of one area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priced {
    /// The area; none for numbered seats.
    pub area: Option<Area>,
    /// Their grade.
    pub grade: Grade,
    /// Their price type.
    pub price_type: PriceType,
    /// How many.
    pub count: u32,
}

impl Schedule {
    /// Decides the terms of a hold that gets what is wished; one of seats alone, at their grades' prices, has none.
    pub(super) fn terms_of(
        &self,
        wish: &Wish,
        seats: &[Seat],
        areas: Vec<AreaPlaces>,
        access: &Access<'_>,
    ) -> Result<Option<Arc<Terms>>, Refusal> {
        let prices = self.prices.as_ref().expect("an open sale has its prices");
        if prices.tariff.is_none() && areas.is_empty() && access.code.is_none() {
            return Ok(None);
        }
        self.full_terms(wish, seats, areas, access).map(|terms| Some(Arc::new(terms)))
    }

    /// Decides the terms of a reservation that gets what is wished, with lines for all that it costs.
    pub(super) fn full_terms(
        &self,
        wish: &Wish,
        seats: &[Seat],
        areas: Vec<AreaPlaces>,
        access: &Access<'_>,
    ) -> Result<Terms, Refusal> {
        let prices = self.prices.as_ref().expect("what is sold has its prices");
        // Of the best places, those of areas have the types behind those of the seats.
        let types = wish.price_types.get(..seats.len()).unwrap_or_default();
        let all_default = types.iter().all(|price_type| *price_type == PriceType::DEFAULT);
        let mut terms = Terms {
            areas: areas.into(),
            price_types: if all_default { Box::default() } else { types.into() },
            lines: Box::default(),
            code: access.code.map(|(text, _)| Arc::clone(text)),
            allotment: access.allotment.map(|(_, terms)| terms.taken_from()),
            order: None,
        };

        let off = match (access.code, access.kept) {
            (None, _) => Off::Nothing,
            (Some((text, _)), Some(own)) => Off::Kept(text, kept_off(own)),
            (Some((text, code)), None) => {
                code.discount.map_or(Off::Nothing, |discount| Off::Of(text, discount))
            }
        };
        let places = self.priced(seats, Some(&terms));
        terms.lines = lines(prices, self.layout.grades(), places, &off)?;
        Ok(terms)
    }

    /// Refuses price types that the concert doesn't have, and those that the code isn't for.
    pub(super) fn check_price_types(&self, wish: &Wish, access: &Access<'_>) -> Result<(), Refusal> {
        if wish.is_plain() && access.code.is_none() {
            return Ok(());
        }

        let prices = self.prices.as_ref().expect("an open sale has its prices");
        let (types, seats) = (&wish.price_types, wish.pick.count());
        if !types.is_empty() && u32::try_from(types.len()) != Ok(seats) {
            return Err(Refusal::UnknownPriceType);
        }

        let unnamed: &[PriceType] = if types.is_empty() && seats > 0 { &[PriceType::DEFAULT] } else { &[] };
        let of_areas = wish.areas.iter().map(|area| area.price_type);
        let mut asked = types.iter().chain(unnamed).copied().chain(of_areas);
        let is_known = |price_type: PriceType| {
            price_type == PriceType::DEFAULT || price_type.index() < prices.types().len()
        };
        if !asked.clone().all(is_known) {
            return Err(Refusal::UnknownPriceType);
        }

        let is_for_it = |price_type| access.has_price_type(prices.type_id(price_type));
        if asked.all(is_for_it) { Ok(()) } else { Err(Refusal::CodeInvalid) }
    }

    /// Returns what a reservation costs, line by line. One of seats alone has a line for each grade.
    pub fn lines_of<'a>(&self, reservation: &'a Reservation) -> Cow<'a, [Line]> {
        if let Some(terms) = &reservation.terms {
            return Cow::Borrowed(&terms.lines);
        }
        let prices = self.prices.as_ref().expect("prices are set before a seat is held");
        let places = self.priced(&reservation.seats, None);
        let lines = lines(prices, self.layout.grades(), places, &Off::Nothing);
        Cow::Owned(lines.expect("every grade has a price of the default type").into())
    }

    /// Returns what a cancellation of a reservation gives back, or has given back.
    pub fn refund_of(&self, reservation: &Reservation) -> Money {
        reservation.terms.as_ref().map_or_else(|| self.amount(&reservation.seats), |terms| terms.refund())
    }

    /// Returns what goes back for a reservation that was bought and isn't confirmed any more, also once it is forgotten: all that was
    /// paid for it, where this says nothing.
    pub fn refund_owed(&self, id: ReservationRef) -> Option<Money> {
        let kept = self.reservation(id).map(|reservation| self.refund_of(reservation));
        kept.or_else(|| self.part_refunds.get(&id.number.0).copied())
    }

    fn priced<'a>(
        &'a self,
        seats: &'a [Seat],
        terms: Option<&'a Terms>,
    ) -> impl Iterator<Item = Priced> + 'a {
        let of_seats = seats.iter().enumerate().map(move |(place, seat)| Priced {
            area: None,
            grade: self.layout.grade_of(*seat),
            price_type: terms.map_or(PriceType::DEFAULT, |terms| terms.price_type(place)),
            count: 1,
        });
        let areas = terms.map_or(&[][..], |terms| &terms.areas);
        let of_areas = areas.iter().map(move |places| Priced {
            area: Some(places.area),
            grade: self.layout.areas()[places.area.index()].grade,
            price_type: places.price_type,
            count: places.count,
        });
        of_seats.chain(of_areas)
    }
}

/// What a code takes off places.
#[derive(Debug)]
pub enum Off<'a> {
    /// There is none, or it takes nothing off.
    Nothing,
    /// The code, and what it takes off each place.
    Of(&'a Arc<str>, Discount),
    /// The code, and what it took off one place of each line, when the places were had.
    Kept(&'a Arc<str>, Vec<(&'a Line, i64)>),
}

impl<'a> Off<'a> {
    /// Returns the code and what it takes off one place of a line, if that is anything.
    fn of(&self, full: &Line, price: Money) -> Option<(&'a Arc<str>, i64)> {
        let (code, less) = match self {
            Self::Nothing => return None,
            Self::Of(code, discount) => (*code, minor(discount.of(price))),
            Self::Kept(code, own) => {
                let is_same = |own: &Line| {
                    (own.kind, &own.name, own.unit_amount) == (full.kind, &full.name, full.unit_amount)
                };
                let found = own.iter().find(|(own, _)| is_same(own));
                (*code, found.map_or(0, |(_, less)| *less))
            }
        };
        (less > 0).then_some((code, less))
    }
}

/// Finds what was taken off one place of each line. Discounts stand in the order of the lines that they are of. A code takes something off
/// all of them by one rule, and no less off a dearer place: so the lines that have none are the cheapest, of which it rounds to nothing.
fn kept_off(lines: &[Line]) -> Vec<(&Line, i64)> {
    let mut discounts = lines.iter().filter(|line| line.kind == LineKind::Discount);
    let places = || lines.iter().filter(|line| matches!(line.kind, LineKind::Seat | LineKind::Area));
    let mut dearest: Vec<i64> = places().map(|line| line.unit_amount).collect();
    dearest.sort_unstable_by(|one, other| other.cmp(one));
    let least = discounts.clone().count().checked_sub(1).and_then(|last| dearest.get(last).copied());

    let mut of_lines = Vec::new();
    for line in places() {
        let has_one = least.is_some_and(|least| line.unit_amount >= least);
        let off = if has_one { discounts.next() } else { None };
        of_lines.push((line, off.map_or(0, |off| -off.unit_amount)));
    }
    of_lines
}

/// Makes the lines of places: seats, areas, fees, discounts, in this order. Seats of one grade and price type are one line, and so are
/// places of one area and price type, in the order in which the first of them comes. A discount has a line for each of these that it takes
/// something off, by the code's name; fees it leaves as they are.
///
/// `grades` are the layout's.
///
/// # Errors
/// [`Refusal::PriceTypeNotSold`].
pub fn lines(
    prices: &Prices,
    grades: &[GradeName],
    places: impl IntoIterator<Item = Priced>,
    discount: &Off<'_>,
) -> Result<Box<[Line]>, Refusal> {
    let mut groups: Vec<Priced> = Vec::new();
    for more in places {
        let is_same = |group: &&mut Priced| Priced { count: more.count, ..**group } == more;
        match groups.iter_mut().find(is_same) {
            Some(group) => group.count += more.count,
            None => groups.push(more),
        }
    }
    // Numbered seats first; otherwise as they came.
    groups.sort_by_key(|group| group.area.is_some());

    let (mut lines, mut off) = (Vec::new(), Vec::new());
    for group in &groups {
        let price = prices.of(group.grade, group.price_type).ok_or(Refusal::PriceTypeNotSold)?;
        let kind = if group.area.is_some() { LineKind::Area } else { LineKind::Seat };
        let grade = &grades[group.grade.index()];
        let name: Arc<str> = match prices.type_name(group.price_type) {
            Some(price_type) => format!("{grade} {price_type}").into(),
            None => Arc::from(grade.as_str()),
        };
        let full = line(kind, name, group.count, minor(price), true);
        if let Some((code, less)) = discount.of(&full, price) {
            off.push(line(LineKind::Discount, Arc::clone(code), group.count, -less, true));
        }
        lines.push(full);
    }

    let count: u32 = groups.iter().map(|group| group.count).sum();
    for fee in prices.fees() {
        let count = match fee.per {
            FeePer::Seat => count,
            FeePer::Reservation => 1,
        };
        lines.push(line(LineKind::Fee, Arc::clone(&fee.name), count, minor(fee.amount), fee.refundable));
    }

    lines.append(&mut off);
    Ok(lines.into())
}

/// Makes lines add up to an amount that somebody set, by one more that says why: a discount, or a fee.
pub fn overridden(lines: &[Line], amount: Money, why: &Arc<str>) -> Box<[Line]> {
    let sum: i64 = lines.iter().map(|line| line.amount).sum();
    let rest = minor(amount) - sum;
    let kind = if rest < 0 { LineKind::Discount } else { LineKind::Fee };

    let more = (rest != 0).then(|| line(kind, Arc::clone(why), 1, rest, true));
    let mut lines: Vec<Line> = lines.iter().cloned().chain(more).collect();
    // A fee stands before what is taken off, as everywhere.
    lines.sort_by_key(|line| line.kind);
    lines.into()
}

fn line(kind: LineKind, name: Arc<str>, count: u32, unit_amount: i64, refundable: bool) -> Line {
    Line { kind, name, count, unit_amount, amount: i64::from(count) * unit_amount, refundable }
}

fn minor(amount: Money) -> i64 {
    i64::try_from(amount.minor()).expect("an amount is below 2^53")
}

#[cfg(test)]
mod tests;
