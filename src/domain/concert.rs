//! A concert: the show, its grades with their prices, and its cast.

use std::collections::BTreeMap;

use super::ids::{ConcertId, GradeName, VenueId};
use super::money::{Currency, Money};
use super::schedule::policy::RESERVATION_SEATS_MAX;
use super::venue::Layout;

/// The most grades of a concert.
pub const GRADES_MAX: usize = 64;
/// The highest price of a seat: the amount of the largest reservation stays one that can be written.
pub const PRICE_MAX: Money = match Money::new(10_000_000_000_000) {
    Some(price) => price,
    None => unreachable!(),
};

// A reservation's amount is added up where it can't be refused any more.
#[expect(clippy::as_conversions, reason = "widening, in a const")]
const _: () = assert!(PRICE_MAX.minor() * RESERVATION_SEATS_MAX as u64 <= Money::MAX.minor());

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
        Ok(Prices { by_grade, best_first: best_first.into() })
    }
}

/// The prices at which a schedule sells: set with its concert's, bound when its sale first opens, never changed after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prices {
    /// The price of a seat of each grade of the layout, by the grade's index.
    pub by_grade: Box<[Money]>,
    /// The layout's grades (by index) from best to least, as the concert ranks them.
    pub best_first: Box<[u16]>,
}
