//! A concert: the show, its grades with their prices, its price types and fees, and its cast.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ids::{ConcertId, FeeId, GradeName, PriceTypeId, VenueId};
use super::money::{Currency, Money};
use super::schedule::policy::RESERVATION_SEATS_MAX;
use super::schedule::terms::PriceType;
use super::venue::{Grade, Layout};

/// The most grades of a concert.
pub const GRADES_MAX: usize = 64;
/// The highest price of a seat: the amount of the largest reservation stays one that can be written.
pub const PRICE_MAX: Money = match Money::new(10_000_000_000_000) {
    Some(price) => price,
    None => unreachable!(),
};

/// The most price types of a concert.
pub const PRICE_TYPES_MAX: usize = 16;
/// The most fees of a concert.
pub const FEES_MAX: usize = 16;
/// The highest fee, of a place or of a reservation.
pub const FEE_MAX: Money = match Money::new(1_000_000_000_000) {
    Some(fee) => fee,
    None => unreachable!(),
};
/// The longest name of a price type or a fee, in characters: reservations keep it in their lines.
pub const LINE_NAME_LEN_MAX: usize = 100;

// A reservation's amount is added up where it can't be refused any more.
#[expect(clippy::as_conversions, reason = "widening, in a const")]
const _: () = assert!(
    (PRICE_MAX.minor() + FEES_MAX as u64 * FEE_MAX.minor()) * RESERVATION_SEATS_MAX as u64
        <= Money::MAX.minor()
);

/// A show at a venue, of which schedules are the performances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concert {
    /// Its id.
    pub id: ConcertId,
    /// Its title, for people.
    pub title: String,
    /// Who performs, for people.
    pub artist: String,
    /// More about it, for people.
    pub description: Option<String>,
    /// Where it happens.
    pub venue: VenueId,
    /// A picture of it.
    pub poster_url: Option<String>,
    /// The currency of all its prices.
    pub currency: Currency,
    /// Its grades, from best to least.
    pub grades: Vec<PricedGrade>,
    /// Who plays what.
    pub cast: BTreeMap<String, Vec<String>>,
    /// Its price types, where it has any; the first is the default, and costs a grade's [`PricedGrade::price`].
    pub price_types: Vec<NamedPriceType>,
    /// What is added to the price of places.
    pub fees: Vec<Fee>,
}

/// A price type: whom a price is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPriceType {
    /// Its id.
    pub id: PriceTypeId,
    /// Its name, for people.
    pub name: Arc<str>,
    /// What it takes to have this price, for people.
    pub note: Option<String>,
}

/// An amount that is added to the price of places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fee {
    /// Its id.
    pub id: FeeId,
    /// Its name, for people.
    pub name: Arc<str>,
    /// How much it is.
    pub amount: Money,
    /// How often it counts.
    pub per: FeePer,
    /// Whether a cancellation gives it back.
    pub refundable: bool,
}

/// How often a fee counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FeePer {
    /// Once for each place.
    Seat,
    /// Once for a reservation.
    Reservation,
}

impl FeePer {
    /// Returns the word that clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seat => "seat",
            Self::Reservation => "reservation",
        }
    }
}

/// A grade with its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedGrade {
    /// The name by which the venue's rows know it.
    pub name: GradeName,
    /// The price of one seat.
    pub price: Money,
    /// The colour in which seat maps draw it.
    pub color: String,
    /// What it offers, for people.
    pub description: Option<String>,
    /// The prices of other price types than the default. One that isn't here isn't sold in this grade.
    pub prices: BTreeMap<PriceTypeId, Money>,
}

impl Concert {
    /// Finds a grade by its name.
    pub fn grade(&self, name: &str) -> Option<&PricedGrade> {
        self.grades.iter().find(|grade| grade.name.as_str() == name)
    }

    /// Returns the prices of a layout's grades, or the first grade that has none here.
    pub fn prices(&self, layout: &Layout) -> Result<Prices, GradeName> {
        let price = |name: &GradeName| match self.grade(name) {
            Some(grade) => Ok(grade.price),
            None => Err(name.clone()),
        };
        let by_grade = layout.grades().iter().map(price).collect::<Result<_, _>>()?;
        let rank = |name: &GradeName| self.grades.iter().position(|grade| grade.name == *name);
        let mut best_first: Vec<u16> = (0..).take(layout.grades().len()).collect();
        best_first.sort_by_key(|&grade| rank(&layout.grades()[usize::from(grade)]));
        let tariff = self.tariff(layout).map(Box::new);
        Ok(Prices { by_grade, best_first: best_first.into(), tariff })
    }

    /// Returns the price types and fees with the prices of a layout's grades, where there are any.
    fn tariff(&self, layout: &Layout) -> Option<Tariff> {
        if self.price_types.is_empty() && self.fees.is_empty() {
            return None;
        }

        let priced = |(index, priced): (usize, &NamedPriceType)| {
            let price = |name: &GradeName| {
                let grade = self.grade(name)?;
                if index == 0 { Some(grade.price) } else { grade.prices.get(&priced.id).copied() }
            };
            let by_grade = layout.grades().iter().map(price).collect();
            PricedType { id: priced.id.clone(), name: Arc::clone(&priced.name), by_grade }
        };
        let types = self.price_types.iter().enumerate().map(priced).collect();
        Some(Tariff { types, fees: self.fees.clone().into() })
    }

    /// Tells whether another version of it sells the same at the same prices: what a line of a reservation says.
    pub fn has_same_prices(&self, other: &Self) -> bool {
        let price =
            |concert: &Self, name: &str| concert.grade(name).map(|grade| (grade.price, grade.prices.clone()));
        let stands =
            |grade: &PricedGrade| price(other, &grade.name) == Some((grade.price, grade.prices.clone()));
        let is_same_type =
            |(one, other): (&NamedPriceType, &NamedPriceType)| one.id == other.id && one.name == other.name;

        self.grades.iter().all(stands)
            && self.price_types.len() == other.price_types.len()
            && self.price_types.iter().zip(&other.price_types).all(is_same_type)
            && self.fees == other.fees
    }
}

/// The prices at which a schedule sells: set with its concert's, bound when its sale first opens, never changed after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prices {
    /// The price of a seat of each grade of the layout, by the grade's index.
    pub by_grade: Box<[Money]>,
    /// The layout's grades (by index) from best to least, as the concert ranks them.
    pub best_first: Box<[u16]>,
    /// The price types and fees, where there are any.
    pub tariff: Option<Box<Tariff>>,
}

/// The price types and fees of a schedule: where it has none, a reservation costs its seats' prices and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff {
    /// The price types, the default first; none where there are only fees.
    pub types: Box<[PricedType]>,
    /// The fees.
    pub fees: Box<[Fee]>,
}

/// A price type with its prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedType {
    /// Its id.
    pub id: PriceTypeId,
    /// Its name, for people.
    pub name: Arc<str>,
    /// The price of a place of each grade of the layout, by the grade's index; none where it isn't sold.
    pub by_grade: Box<[Option<Money>]>,
}

impl Prices {
    /// Returns the price types, the default first.
    pub fn types(&self) -> &[PricedType] {
        match &self.tariff {
            Some(tariff) => &tariff.types,
            None => &[],
        }
    }

    /// Returns the fees.
    pub fn fees(&self) -> &[Fee] {
        match &self.tariff {
            Some(tariff) => &tariff.fees,
            None => &[],
        }
    }

    /// Returns the price of a place, where its type is sold in its grade.
    pub fn of(&self, grade: Grade, price_type: PriceType) -> Option<Money> {
        if price_type == PriceType::DEFAULT {
            return self.by_grade.get(grade.index()).copied();
        }
        *self.types().get(price_type.index())?.by_grade.get(grade.index())?
    }

    /// Returns the price of a place that somebody has, for people. What the box office sold before the prices were bound may have a type
    /// that isn't there any more: then its grade's price stands in for it. Its lines say what it cost.
    pub fn shown(&self, grade: Grade, price_type: PriceType) -> Money {
        self.of(grade, price_type).unwrap_or(self.by_grade[grade.index()])
    }

    /// Finds a price type by its id.
    pub fn price_type(&self, id: &str) -> Option<PriceType> {
        let index = self.types().iter().position(|known| known.id.as_str() == id)?;
        u8::try_from(index).ok().map(PriceType)
    }

    /// Returns the id of a price type, where there are any.
    pub fn type_id(&self, price_type: PriceType) -> Option<&PriceTypeId> {
        self.types().get(price_type.index()).map(|priced| &priced.id)
    }

    /// Returns the name of a price type, where there are any.
    pub fn type_name(&self, price_type: PriceType) -> Option<&str> {
        self.types().get(price_type.index()).map(|priced| &*priced.name)
    }
}
