//! The document that `POST /import` takes, as far as other systems' files fill it, and what makes its parts.
//!
//! Absent on purpose: the engine's rules. What is written here is checked where every import is.

#![expect(clippy::struct_field_names, reason = "the fields are named as the API names them")]

use std::collections::{BTreeMap, HashMap, HashSet};

use onsale::domain::ids::ID_LEN_MAX;
use onsale::domain::venue::COORDINATE_MAX;
use serde::Serialize;

/// The section of seats that stand in none, and the row of seats without one.
pub(super) const MAIN: &str = "Main";
/// The highest number that a seat can have; a larger one is its label alone.
const SEAT_NUMBER_MAX: u32 = 1_000_000;
/// The colours of grades that have none, from the best grade on.
const COLORS: [&str; 8] =
    ["#d62728", "#ff7f0e", "#2ca02c", "#1f77b4", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f"];
/// How many points an ellipse is drawn with.
const ELLIPSE_POINTS: u16 = 32;

/// Venues, concerts and schedules.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Documents {
    pub(super) venues: Vec<Venue>,
    pub(super) concerts: Vec<Concert>,
    pub(super) schedules: Vec<Schedule>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Venue {
    pub(super) venue_id: String,
    pub(super) name: String,
    pub(super) time_zone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stage: Option<Stage>,
    pub(super) sections: Vec<Section>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) areas: Vec<Area>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Stage {
    pub(super) outline: Outline,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Section {
    pub(super) section_id: String,
    pub(super) floor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outline: Option<Outline>,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) row_id: String,
    pub(super) grade: String,
    pub(super) seats: Vec<Seat>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Seat {
    pub(super) seat_id: String,
    pub(super) seat_number: u32,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<Point>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) accessible: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) companion_of: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) restricted_view: bool,
}

/// Places without numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Area {
    pub(super) area_id: String,
    pub(super) floor: String,
    pub(super) name: String,
    pub(super) grade: String,
    pub(super) capacity: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outline: Option<Outline>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Concert {
    pub(super) concert_id: String,
    pub(super) title: String,
    pub(super) artist: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) poster_url: Option<String>,
    pub(super) venue_id: String,
    pub(super) currency: String,
    pub(super) grades: Vec<Grade>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Grade {
    pub(super) grade: String,
    pub(super) price: u64,
    pub(super) color: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Schedule {
    pub(super) schedule_id: String,
    pub(super) concert_id: String,
    pub(super) starts_at: String,
    pub(super) ends_at: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A point of the plan; `y` grows away from the stage.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

impl Point {
    /// Makes a point, or `None` where the plan has no room for it. It is kept to a thousandth.
    pub(super) fn new(x: f64, y: f64) -> Option<Self> {
        #[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "a million is exact")]
        let most = COORDINATE_MAX as f64;
        // Sums of decimals have a tail; and there is no zero below zero.
        let kept = |number: f64| (number * 1000.0).round() / 1000.0 + 0.0;
        (x.abs() <= most && y.abs() <= most).then(|| Self { x: kept(x), y: kept(y) })
    }

    /// Returns the square of the distance to another point.
    pub(super) fn distance(self, other: Self) -> f64 {
        (self.x - other.x).powi(2) + (self.y - other.y).powi(2)
    }

    fn turned(self) -> Self {
        Self { y: 0.0 - self.y, ..self }
    }
}

/// A polygon.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Outline(Vec<[f64; 2]>);

impl Outline {
    /// Joins points to a polygon. Points that follow each other in one place are one.
    pub(super) fn new(points: &[Point]) -> Self {
        let mut points: Vec<[f64; 2]> = points.iter().map(|point| [point.x, point.y]).collect();
        points.dedup();
        Self(points)
    }

    /// Returns how many points there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Draws a rectangle, turned about its middle by so many degrees.
    pub(super) fn rectangle(middle: Point, width: f64, height: f64, degrees: f64) -> Option<Self> {
        let corners = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)];
        Self::about(middle, degrees, corners.iter().map(|(x, y)| (x * width / 2.0, y * height / 2.0)))
    }

    /// Draws an ellipse, turned about its middle by so many degrees.
    pub(super) fn ellipse(middle: Point, width: f64, height: f64, degrees: f64) -> Option<Self> {
        let turn = core::f64::consts::TAU / f64::from(ELLIPSE_POINTS);
        let points = (0..ELLIPSE_POINTS).map(|step| {
            let (sin, cos) = (turn * f64::from(step)).sin_cos();
            (cos * width / 2.0, sin * height / 2.0)
        });
        Self::about(middle, degrees, points)
    }

    fn about(middle: Point, degrees: f64, points: impl Iterator<Item = (f64, f64)>) -> Option<Self> {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let turned =
            |(x, y): (f64, f64)| Point::new(middle.x + x * cos - y * sin, middle.y + x * sin + y * cos);
        points.map(turned).collect::<Option<Vec<Point>>>().map(|points| Self::new(&points))
    }

    fn turned(mut self) -> Self {
        for [_, y] in &mut self.0 {
            *y = 0.0 - *y;
        }
        self
    }
}

impl Venue {
    /// Turns the plan upside down: its stage was below its seats.
    pub(super) fn turn(&mut self) {
        let outlines = self.sections.iter_mut().map(|section| &mut section.outline);
        let outlines = outlines.chain(self.areas.iter_mut().map(|area| &mut area.outline));
        for outline in outlines {
            *outline = outline.take().map(Outline::turned);
        }
        self.stage = self.stage.take().map(|stage| Stage { outline: stage.outline.turned() });
        let rows = self.sections.iter_mut().flat_map(|section| &mut section.rows);
        for seat in rows.flat_map(|row| &mut row.seats) {
            seat.at = seat.at.map(Point::turned);
        }
    }

    /// Returns every seat with its grade.
    pub(super) fn seats(&self) -> impl Iterator<Item = (&str, &Seat)> {
        let rows = self.sections.iter().flat_map(|section| &section.rows);
        rows.flat_map(|row| row.seats.iter().map(|seat| (row.grade.as_str(), seat)))
    }

    /// Returns the grades that are used, in the order of their first use, each with its seats and its areas' places.
    pub(super) fn grades(&self) -> Vec<(&str, u64, u64)> {
        let mut counts: Vec<(&str, u64, u64)> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        let used = self.seats().map(|(grade, _)| (grade, 1, 0));
        let used =
            used.chain(self.areas.iter().map(|area| (area.grade.as_str(), 0, u64::from(area.capacity))));
        for (grade, seats, in_areas) in used {
            let place = *places.entry(grade).or_insert(counts.len());
            if place == counts.len() {
                counts.push((grade, 0, 0));
            }
            counts[place].1 += seats;
            counts[place].2 += in_areas;
        }
        counts
    }
}

/// Returns the colour of the grade that stands at this place.
pub(super) fn color(place: usize) -> String {
    COLORS[place % COLORS.len()].to_owned()
}

/// Tells whether a text is a colour as the engine takes them: `#` and hexadecimal digits, or a word.
pub(super) fn is_color(text: &str) -> bool {
    match text.strip_prefix('#') {
        Some(digits) => {
            matches!(digits.len(), 3 | 4 | 6 | 8) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
        None => (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphabetic()),
    }
}

/// Tells whether a text can be the id of a place: 1 to 128 characters that can be printed.
pub(super) fn is_label(text: &str) -> bool {
    (1..=ID_LEN_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// What is wrong with a text that can't be one.
pub(super) const NO_LABEL: &str = "must have 1 to 128 characters, none of them a control character";

/// Names that are used already. A name that comes again gets a number.
#[derive(Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// Returns the name, or the name with the first number from 2 on that makes it new.
    pub(super) fn new_name(&mut self, name: &str) -> String {
        let numbered = (2_u32..).map(|number| format!("{name} {number}"));
        let mut names = core::iter::once(name.to_owned()).chain(numbered);
        let free = names.find(|name| !self.0.contains(name)).expect("numbers don't end");
        self.0.insert(free.clone());
        free
    }
}

/// A row as another system has it: its seats may be of several grades, and have labels instead of numbers.
pub(super) struct DrawnRow {
    pub(super) label: String,
    pub(super) seats: Vec<DrawnSeat>,
}

/// A seat as another system has it.
pub(super) struct DrawnSeat {
    pub(super) label: String,
    pub(super) grade: String,
    pub(super) seat: Seat,
    /// Whether it is a companion's, of a seat that isn't known yet.
    pub(super) is_companion: bool,
}

impl DrawnSeat {
    /// Makes a seat without marks. Its number comes later, when its row is complete.
    pub(super) fn new(id: String, label: String, grade: String, at: Option<Point>) -> Self {
        let seat = Seat {
            seat_id: id,
            seat_number: 0,
            at,
            accessible: false,
            companion_of: None,
            restricted_view: false,
        };
        Self { label, grade, seat, is_companion: false }
    }
}

/// Numbers a row's seats by their labels, or by their places where one of the labels isn't a number. Returns whether the labels did.
pub(super) fn number(row: &mut DrawnRow) -> bool {
    let is_number = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit());
    let by_label = |seat: &DrawnSeat| {
        let number = is_number(&seat.label).then(|| seat.label.parse().ok()).flatten();
        number.filter(|number| *number <= SEAT_NUMBER_MAX)
    };
    let labels: Option<Vec<u32>> = row.seats.iter().map(by_label).collect();
    let did = labels.is_some();
    let numbers = labels.into_iter().flatten().chain(1..);
    for (seat, number) in row.seats.iter_mut().zip(numbers) {
        seat.seat.seat_number = number;
    }
    did
}

/// Makes rows of one grade each: a row goes on as long as its seats' grade does.
pub(super) fn rows_of(drawn: DrawnRow, names: &mut Names) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for DrawnSeat { grade, seat, .. } in drawn.seats {
        match rows.last_mut() {
            Some(row) if row.grade == grade => row.seats.push(seat),
            Some(_) | None => rows.push(Row { row_id: String::new(), grade, seats: vec![seat] }),
        }
    }
    let of_one_grade = rows.len() == 1;
    for row in &mut rows {
        let name = if of_one_grade { drawn.label.clone() } else { format!("{} {}", drawn.label, row.grade) };
        row.row_id = names.new_name(&name);
    }
    rows
}

/// What is sold at which price, where the file of another system doesn't say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) concert_id: String,
    pub(super) title: String,
    pub(super) artist: String,
    pub(super) currency: String,
    pub(super) prices: BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drawn(grades: &[&str], labels: &[&str]) -> DrawnRow {
        let seat = |(index, (grade, label)): (usize, (&&str, &&str))| {
            DrawnSeat::new(format!("s{index}"), (*label).to_owned(), (*grade).to_owned(), None)
        };
        DrawnRow { label: "7".into(), seats: grades.iter().zip(labels).enumerate().map(seat).collect() }
    }

    #[test]
    fn a_row_of_several_grades_becomes_rows_of_one_each_in_the_same_order() {
        let mut names = Names::default();
        let labels = ["1", "2", "3", "4", "5"];
        let rows = rows_of(drawn(&["R", "VIP", "VIP", "R", "S"], &labels), &mut names);
        let told: Vec<(&str, &str, usize)> =
            rows.iter().map(|row| (row.row_id.as_str(), row.grade.as_str(), row.seats.len())).collect();
        assert_eq!(told, [("7 R", "R", 1), ("7 VIP", "VIP", 2), ("7 R 2", "R", 1), ("7 S", "S", 1)]);
        assert_eq!(rows_of(drawn(&["R", "R"], &labels), &mut names)[0].row_id, "7");
        assert_eq!(rows_of(drawn(&["R"], &labels), &mut names)[0].row_id, "7 2", "a name is used once");
        assert!(rows_of(drawn(&[], &labels), &mut names).is_empty());
    }

    #[test]
    fn seats_are_numbered_by_their_labels_or_else_by_their_places() {
        let numbers = |labels: &[&str]| {
            let mut row = drawn(&["R"; 3], labels);
            let by_label = number(&mut row);
            (by_label, row.seats.iter().map(|seat| seat.seat.seat_number).collect::<Vec<_>>())
        };
        assert_eq!(numbers(&["12", "14", "010"]), (true, vec![12, 14, 10]));
        for labels in [["12", "12a", "13"], ["1", "", "2"], ["1", "2", "1000001"], ["1", "+2", "3"]] {
            assert_eq!(numbers(&labels), (false, vec![1, 2, 3]), "{labels:?}");
        }
    }

    #[test]
    fn a_point_is_kept_to_a_thousandth_and_within_the_plan() {
        let point = |x, y| Point::new(x, y).map(|point| (point.x, point.y));
        assert_eq!(point(12810.93 + 448.0, -0.000_01), Some((13258.93, 0.0)));
        assert!(!Point::new(0.0, -0.0).unwrap().y.is_sign_negative());
        assert!(!Point::new(0.0, 0.0).unwrap().turned().y.is_sign_negative());
        for (x, y) in [(1_000_000.5, 0.0), (0.0, -1e300), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert_eq!(point(x, y), None);
        }
    }

    proptest! {
        #[test]
        fn an_outline_is_turned_about_its_middle(width in 1.0..100.0, height in 1.0..100.0, degrees in -360.0..360.0) {
            let middle = Point::new(10.0, 20.0).unwrap();
            for outline in [Outline::rectangle(middle, width, height, degrees), Outline::ellipse(middle, width, height, degrees)] {
                let outline = outline.unwrap();
                let count = f64::from(u32::try_from(outline.0.len()).unwrap());
                let mean = |axis: usize| outline.0.iter().map(|point| point[axis]).sum::<f64>() / count;
                prop_assert!((mean(0) - 10.0).abs() < 0.01 && (mean(1) - 20.0).abs() < 0.01);
                let half = f64::hypot(width, height) / 2.0 + 0.01;
                prop_assert!(outline.0.iter().all(|[x, y]| f64::hypot(x - 10.0, y - 20.0) <= half));
            }
        }
    }

    #[test]
    fn a_quarter_turn_swaps_width_and_height() {
        let middle = Point::new(0.0, 0.0).unwrap();
        let turned = Outline::rectangle(middle, 4.0, 2.0, 90.0).unwrap();
        assert_eq!(turned.0, [[1.0, -2.0], [1.0, 2.0], [-1.0, 2.0], [-1.0, -2.0]]);
    }
}
