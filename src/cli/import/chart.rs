//! A venue that was read from another system's plan, and what its reader is told beside it.

use std::collections::HashSet;

use super::document::{Concert, Documents, Grade, NO_LABEL, Point, Terms, Venue, color, is_color, is_label};
use super::json::Node;
use super::wrong::Wrong;

/// The most seats of a venue.
const SEATS_MAX: usize = 250_000;

/// Who the venue is, where the plan doesn't say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct House {
    pub(super) venue_id: String,
    pub(super) time_zone: String,
    /// Its name, instead of the plan's.
    pub(super) name: Option<String>,
}

/// A plan that was read.
#[derive(Debug, PartialEq)]
pub(super) struct Chart {
    /// What it was read from: `a seats.io chart, version 19`.
    pub(super) kind: String,
    pub(super) venue: Venue,
    /// The plan's categories in its order, each with its colour.
    pub(super) categories: Vec<(String, Option<String>)>,
    /// What isn't as it was there, a sentence each.
    pub(super) notes: Vec<String>,
}

impl Chart {
    /// Makes the documents: the venue, and with terms a concert at it.
    ///
    /// # Errors
    /// Grades without a price, and prices without a grade.
    pub(super) fn documents(self, terms: Option<&Terms>) -> Result<Documents, String> {
        let concert = terms.map(|terms| self.concert(terms)).transpose()?;
        Ok(Documents {
            venues: vec![self.venue],
            concerts: concert.into_iter().collect(),
            schedules: Vec::new(),
        })
    }

    /// Makes a concert of the grades that have seats or places, in the order of the plan's categories.
    fn concert(&self, terms: &Terms) -> Result<Concert, String> {
        let used: Vec<&str> = self.venue.grades().into_iter().map(|(grade, _, _)| grade).collect();
        let categories = self.categories.iter().filter(|(name, _)| used.contains(&name.as_str()));
        let mut missing = Vec::new();
        let mut grades = Vec::new();
        for (place, (name, own_color)) in categories.enumerate() {
            match terms.prices.get(name) {
                Some(price) => grades.push(Grade {
                    grade: name.clone(),
                    price: *price,
                    color: own_color.clone().filter(|own| is_color(own)).unwrap_or_else(|| color(place)),
                }),
                None => missing.push(format!("--price \"{name}=…\"")),
            }
        }
        if !missing.is_empty() {
            return Err(format!(
                "each grade of a concert has a price, in minor units: add {}",
                missing.join(" ")
            ));
        }

        let unknown = terms.prices.keys().find(|name| !used.contains(&name.as_str()));
        if let Some(unknown) = unknown {
            let used = used.join(", ");
            return Err(format!("--price {unknown}: the plan has no seats of that grade; it has {used}"));
        }
        let Terms { concert_id, title, artist, currency, .. } = terms.clone();
        Ok(Concert {
            concert_id,
            title,
            artist,
            description: None,
            poster_url: None,
            venue_id: self.venue.venue_id.clone(),
            currency,
            grades,
        })
    }
}

/// The ids of a plan's seats and areas, each used once.
#[derive(Default)]
pub(super) struct Ids {
    seats: HashSet<String>,
    areas: HashSet<String>,
}

impl Ids {
    /// Takes the id of a seat that stands at this place of the file.
    pub(super) fn seat(&mut self, id: &str, at: usize, wrong: &mut Wrong<usize>) -> Option<String> {
        if self.seats.len() >= SEATS_MAX {
            wrong.note(at, format!("is one seat too many: a venue has at most {SEATS_MAX}"));
            return None;
        }
        take(&mut self.seats, "seat", id, at, wrong)
    }

    /// Takes the id of an area that stands at this place of the file.
    pub(super) fn area(&mut self, id: &str, at: usize, wrong: &mut Wrong<usize>) -> Option<String> {
        take(&mut self.areas, "area", id, at, wrong)
    }
}

fn take(
    used: &mut HashSet<String>,
    what: &str,
    id: &str,
    at: usize,
    wrong: &mut Wrong<usize>,
) -> Option<String> {
    if !is_label(id) {
        wrong.note(at, format!("the id of this {what} would be {id:?}, but it {NO_LABEL}"));
        None
    } else if used.insert(id.to_owned()) {
        Some(id.to_owned())
    } else {
        wrong.note(at, format!("is the second {what} with the id {id:?}"));
        None
    }
}

/// Reads a point that is counted from a corner.
pub(super) fn point_of(node: &Node<'_>, corner: Point, wrong: &mut Wrong<usize>) -> Option<Point> {
    let mut number = |name| node.needed(name, wrong).and_then(|number| number.number(wrong));
    let (x, y) = (number("x"), number("y"));
    let point = Point::new(corner.x + x?, corner.y + y?);
    if point.is_none() {
        wrong.note(node.at(), "lies off the plan, which goes from -1000000 to 1000000");
    }
    point
}

/// Reads a name that a plan shows.
pub(super) fn label_of<'n>(node: &'n Node<'_>, wrong: &mut Wrong<usize>) -> Option<&'n str> {
    let label = node.label(wrong)?;
    if !is_label(label) {
        wrong.note(node.at(), NO_LABEL);
        return None;
    }
    Some(label)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::document::{DrawnRow, DrawnSeat, Names, Section, rows_of};
    use super::*;

    fn chart() -> Chart {
        let seat = |grade: &str| DrawnSeat::new(grade.to_owned(), "1".into(), grade.to_owned(), None);
        let row = DrawnRow { label: "1".into(), seats: vec![seat("R"), seat("VIP")] };
        let rows = rows_of(row, &mut Names::default());
        let section = Section { section_id: "A".into(), floor: String::new(), outline: None, rows };
        let venue = Venue {
            venue_id: "hall".into(),
            name: "Hall".into(),
            time_zone: "UTC".into(),
            stage: None,
            sections: vec![section],
            areas: Vec::new(),
        };
        let category = |name: &str, color: &str| (name.to_owned(), Some(color.to_owned()));
        let categories =
            vec![category("VIP", "#12abEF"), category("Unused", "red"), category("R", "rgb(1, 2, 3)")];
        Chart { kind: String::new(), venue, categories, notes: Vec::new() }
    }

    fn terms(prices: &[(&str, u64)]) -> Terms {
        let prices: BTreeMap<String, u64> =
            prices.iter().map(|(grade, price)| ((*grade).to_owned(), *price)).collect();
        let text = str::to_owned;
        Terms { concert_id: text("c"), title: text("t"), artist: text("a"), currency: text("EUR"), prices }
    }

    #[test]
    fn a_concert_has_the_grades_that_are_used_in_the_order_of_the_categories() {
        let documents = chart().documents(Some(&terms(&[("R", 1), ("VIP", 2)]))).unwrap();
        let grades: Vec<(&str, u64, String)> = documents.concerts[0]
            .grades
            .iter()
            .map(|grade| (grade.grade.as_str(), grade.price, grade.color.clone()))
            .collect();
        assert_eq!(
            grades,
            [("VIP", 2, "#12abEF".to_owned()), ("R", 1, color(1))],
            "what is no colour gets one"
        );
    }

    #[test]
    fn every_grade_has_a_price_and_no_price_is_of_another() {
        let told = |prices: &[(&str, u64)]| chart().documents(Some(&terms(prices))).unwrap_err();
        assert!(told(&[("VIP", 2)]).ends_with("add --price \"R=…\""));
        assert!(
            told(&[("VIP", 2), ("R", 1), ("Unused", 3)]).contains("--price Unused: the plan has no seats")
        );
        assert!(chart().documents(None).unwrap().concerts.is_empty());
    }

    #[test]
    fn an_id_is_taken_once_and_must_be_one() {
        let (mut ids, mut wrong) = (Ids::default(), Wrong::default());
        assert_eq!(ids.seat("A-1", 3, &mut wrong).as_deref(), Some("A-1"));
        assert_eq!(ids.area("A-1", 4, &mut wrong).as_deref(), Some("A-1"), "an area is no seat");
        assert!(wrong.is_empty());
        for (id, told) in
            [("A-1", "is the second seat with the id"), ("", "must have 1 to 128"), ("\n", "control")]
        {
            let mut wrong = Wrong::default();
            assert_eq!(ids.seat(id, 7, &mut wrong), None);
            assert!(wrong.tell(ToString::to_string).contains(told), "{id:?}");
        }
    }
}
