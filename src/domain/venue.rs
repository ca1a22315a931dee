//! A venue: its sections, rows and seats, and the layout that the seat map works on.
//!
//! A [`Venue`] is as an administrator wrote it. A [`Layout`] is the same made fast: every seat has an
//! index (0, 1, 2, … in the order of the document), a row is a range of indices, and order in a row is
//! adjacency. Layouts are immutable and shared by all schedules of a venue. Where the seats are, and what is special about some, is a
//! venue's [`Seating`], which may change while schedules use the venue.

mod geometry;
mod seating;

pub use geometry::{COORDINATE_MAX, Coordinate, OUTLINE_LEN_MAX, OUTLINE_LEN_MIN, Outline, Point};
pub use seating::{Marks, PlanId, Seating, places};

use core::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashSet, HashTable};

use super::ids::{GradeName, SeatId, VenueId};

/// The most seats of a venue.
pub const VENUE_SEATS_MAX: u32 = 250_000;

/// A place where concerts happen, as its administrator described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Venue {
    /// Its id.
    pub id: VenueId,
    /// Its name, for people.
    pub name: String,
    /// Where it stands, for people.
    pub address: String,
    /// What it is, for people: `theater`, `hall`, …
    pub kind: String,
    /// The IANA name of its time zone, in which its days begin and end.
    pub time_zone: String,
    /// The outline of its stage.
    pub stage: Option<Outline>,
    /// Its sections, in the order of the plan.
    pub sections: Vec<Section>,
}

/// A part of a venue, known by its floor and id together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its id, unique on its floor.
    pub id: String,
    /// The floor that it is on.
    pub floor: String,
    /// Its outline on the plan.
    pub outline: Option<Outline>,
    /// Its rows, from the front to the back.
    pub rows: Vec<Row>,
}

/// A row of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its id, unique in its section.
    pub id: String,
    /// The grade of all its seats.
    pub grade: GradeName,
    /// Where its seats are, but those that have points of their own.
    pub line: Option<Line>,
    /// Its seats; order is adjacency.
    pub seats: RowSeats,
}

/// The straight line of a row's seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Where its first seat is.
    pub at: Point,
    /// The way from each seat to the next.
    pub step: Point,
}

/// The seats of a row: counted, or listed with ids of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowSeats {
    /// Seats numbered from 1 to the length, with ids `{floor}-{section}-{row}-{number}`.
    Length(u32),
    /// Seats with their own ids and numbers.
    Listed(Vec<ListedSeat>),
}

/// A seat with an id of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSeat {
    /// Its id, unique in the venue.
    pub id: SeatId,
    /// Its number in the row.
    pub number: u32,
    /// Where it is, before what its row's line says.
    pub at: Option<Point>,
    /// Whether it is meant for a visitor with a disability.
    pub accessible: bool,
    /// The accessible seat whose visitor's companion it is meant for.
    pub companion_of: Option<SeatId>,
    /// Whether something stands between it and the stage.
    pub restricted_view: bool,
}

impl ListedSeat {
    /// Makes a seat without a point or a mark.
    pub fn new(id: SeatId, number: u32) -> Self {
        Self { id, number, at: None, accessible: false, companion_of: None, restricted_view: false }
    }
}

impl RowSeats {
    /// Returns how many seats these are.
    pub fn count(&self) -> usize {
        match self {
            Self::Length(length) => usize::try_from(*length).expect("a u32 fits"),
            Self::Listed(seats) => seats.len(),
        }
    }
}

/// A mistake in a venue, and its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct InvalidVenue {
    /// The path of the field, as in `sections[2].rows[0].length`.
    pub path: String,
    /// What is wrong, as a sentence without the value.
    pub what: &'static str,
}

/// A seat by its index in the venue's [`Layout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat(pub u32);

impl Seat {
    /// Returns the index as a place in a slice.
    pub fn index(self) -> usize {
        usize::try_from(self.0).expect("a u32 fits")
    }
}

/// A grade by its index in [`Layout::grades`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grade(pub u16);

impl Grade {
    /// Returns the index as a place in a slice.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// An area by its index in the venue's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Area(pub u16);

impl Area {
    /// Returns the index as a place in a slice.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A row of the layout: a range of seats of one grade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutRow {
    /// The section's place in [`Layout::sections`].
    pub section: u16,
    /// Its id, as the administrator wrote it.
    pub id: Box<str>,
    /// The grade of its seats.
    pub grade: Grade,
    /// Its first seat; the others follow it.
    pub first: Seat,
    /// How many seats it has.
    pub len: u32,
    /// Its place in its section, from the front.
    pub depth: u32,
}

impl LayoutRow {
    /// Returns the indices of the row's seats.
    pub fn range(&self) -> core::ops::Range<usize> {
        let first = self.first.index();
        first..first + usize::try_from(self.len).expect("a u32 fits")
    }

    /// Returns the row's seats in order.
    pub fn seats(&self) -> impl Iterator<Item = Seat> + use<> {
        (self.first.0..self.first.0 + self.len).map(Seat)
    }
}

/// A section of the layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutSection {
    /// Its id, unique on its floor.
    pub id: Box<str>,
    /// The floor that it is on.
    pub floor: Box<str>,
    /// The floor's place among the floors, in the order in which the document names them.
    pub floor_order: u16,
    /// How far it stands from the middle of its floor's sections: 0 is the middle one.
    pub from_middle: u16,
}

/// A venue's seats, indexed. Immutable; shared by the schedules of a venue.
///
/// 50,000 seats with ids of 12 bytes take about 1.6 MB.
pub struct Layout {
    sections: Box<[LayoutSection]>,
    rows: Box<[LayoutRow]>,
    grades: Box<[GradeName]>,
    /// Rows from best to least within a grade; see [`Layout::rows_of`].
    rows_by_grade: Box<[Box<[u32]>]>,
    /// All ids, one after another; `id_ends[i]` is where the id of seat `i` ends.
    ids: Box<str>,
    id_ends: Box<[u32]>,
    numbers: Box<[u32]>,
    by_id: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Layout {
    /// Indexes a venue's seats.
    ///
    /// # Errors
    /// When a section, row or seat id comes twice, a row is empty, or there are no seats, or more
    /// than [`VENUE_SEATS_MAX`].
    pub fn new(sections: &[Section]) -> Result<Self, InvalidVenue> {
        let mut builder = Builder::default();
        for (index, section) in sections.iter().enumerate() {
            builder.section(index, section)?;
        }
        builder.finish()
    }

    /// Tells whether these are the same seats, in the same rows, of the same grades.
    pub fn has_same_seats(&self, other: &Self) -> bool {
        self.sections == other.sections
            && self.rows == other.rows
            && self.grades == other.grades
            && self.ids == other.ids
            && self.id_ends == other.id_ends
            && self.numbers == other.numbers
    }

    /// Returns how many seats there are.
    pub fn seat_count(&self) -> u32 {
        u32::try_from(self.numbers.len()).expect("bounded by VENUE_SEATS_MAX")
    }

    /// Returns every seat in order.
    pub fn seats(&self) -> impl ExactSizeIterator<Item = Seat> + use<> {
        (0..self.seat_count()).map(Seat)
    }

    /// Returns the sections in the order of the document.
    pub fn sections(&self) -> &[LayoutSection] {
        &self.sections
    }

    /// Returns the rows in the order of the document, which is the order of their seats.
    pub fn rows(&self) -> &[LayoutRow] {
        &self.rows
    }

    /// Returns the grades that the rows use, in the order of their first use.
    pub fn grades(&self) -> &[GradeName] {
        &self.grades
    }

    /// Returns the places (in [`Layout::rows`]) of a grade's rows, the best first: by floor, then from
    /// the front, then from the middle of the floor to its sides.
    pub fn rows_of(&self, grade: Grade) -> &[u32] {
        &self.rows_by_grade[grade.index()]
    }

    /// Finds a grade by its name.
    pub fn grade(&self, name: &str) -> Option<Grade> {
        let index = self.grades.iter().position(|grade| grade.as_str() == name)?;
        Some(Grade(u16::try_from(index).expect("checked by the builder")))
    }

    /// Finds a seat by its id.
    pub fn seat(&self, id: &str) -> Option<Seat> {
        let hash = self.hasher.hash_one(id);
        self.by_id.find(hash, |&seat| self.seat_id(Seat(seat)) == id).map(|&seat| Seat(seat))
    }

    /// Returns a seat's id.
    pub fn seat_id(&self, seat: Seat) -> &str {
        id_at(&self.ids, &self.id_ends, seat)
    }

    /// Returns a seat's number in its row.
    pub fn seat_number(&self, seat: Seat) -> u32 {
        self.numbers[seat.index()]
    }

    /// Returns the place (in [`Layout::rows`]) of a seat's row.
    pub fn row_index(&self, seat: Seat) -> usize {
        self.rows.partition_point(|row| row.first <= seat) - 1
    }

    /// Returns a seat's row.
    pub fn row(&self, seat: Seat) -> &LayoutRow {
        &self.rows[self.row_index(seat)]
    }

    /// Returns a seat's grade.
    pub fn grade_of(&self, seat: Seat) -> Grade {
        self.row(seat).grade
    }
}

impl core::fmt::Debug for Layout {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Layout({} seats in {} rows)", self.numbers.len(), self.rows.len())
    }
}

fn id_at<'a>(ids: &'a str, ends: &[u32], seat: Seat) -> &'a str {
    let place = |end: u32| usize::try_from(end).expect("a u32 fits");
    let start = seat.index().checked_sub(1).map_or(0, |before| place(ends[before]));
    &ids[start..place(ends[seat.index()])]
}

#[derive(Default)]
struct Builder<'a> {
    sections: Vec<LayoutSection>,
    section_keys: HashSet<(&'a str, &'a str)>,
    floors: Vec<&'a str>,
    rows: Vec<LayoutRow>,
    grades: Vec<GradeName>,
    ids: String,
    id_ends: Vec<u32>,
    numbers: Vec<u32>,
    by_id: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl<'a> Builder<'a> {
    fn section(&mut self, index: usize, section: &'a Section) -> Result<(), InvalidVenue> {
        let at = |what| InvalidVenue { path: format!("sections[{index}]"), what };
        if !self.section_keys.insert((&section.floor, &section.id)) {
            return Err(at("this floor has a section of the same id"));
        }

        let section_number =
            u16::try_from(self.sections.len()).map_err(|_| at("there are too many sections"))?;

        // Floors are in the order in which the venue first names them.
        let floor_order = self.floors.iter().position(|floor| *floor == section.floor);
        let floor_order = floor_order.unwrap_or_else(|| {
            self.floors.push(&section.floor);
            self.floors.len() - 1
        });

        self.sections.push(LayoutSection {
            id: section.id.as_str().into(),
            floor: section.floor.as_str().into(),
            floor_order: u16::try_from(floor_order).expect("no more floors than sections"),
            from_middle: 0,
        });

        let mut row_ids = HashSet::new();
        for (depth, row) in section.rows.iter().enumerate() {
            let path = || format!("sections[{index}].rows[{depth}]");
            if !row_ids.insert(row.id.as_str()) {
                return Err(InvalidVenue { path: path(), what: "this section has a row of the same id" });
            }
            let depth = u32::try_from(depth).expect("bounded by the body");
            self.row(section_number, section, depth, row)
                .map_err(|what| InvalidVenue { path: path(), what })?;
        }
        Ok(())
    }

    fn row(
        &mut self,
        section_number: u16,
        section: &Section,
        depth: u32,
        row: &Row,
    ) -> Result<(), &'static str> {
        let count = u32::try_from(row.seats.count()).unwrap_or(u32::MAX);
        let before = u32::try_from(self.numbers.len()).expect("bounded by VENUE_SEATS_MAX");

        if count == 0 {
            return Err("a row has at least one seat");
        }
        if count > VENUE_SEATS_MAX - before {
            return Err("a venue has at most 250,000 seats");
        }

        let grade = self.grades.iter().position(|grade| *grade == row.grade).unwrap_or_else(|| {
            self.grades.push(row.grade.clone());
            self.grades.len() - 1
        });
        let grade = Grade(u16::try_from(grade).map_err(|_| "there are too many grades")?);

        self.rows.push(LayoutRow {
            section: section_number,
            id: row.id.as_str().into(),
            grade,
            first: Seat(before),
            len: count,
            depth,
        });

        match &row.seats {
            RowSeats::Length(length) => {
                // Seats without ids of their own are called after their place.
                let prefix = format!("{}-{}-{}-", section.floor, section.id, row.id);
                for number in 1..=*length {
                    self.seat(&format!("{prefix}{number}"), number)?;
                }
            }
            RowSeats::Listed(seats) => {
                for ListedSeat { id, number, .. } in seats {
                    self.seat(id, *number)?;
                }
            }
        }
        Ok(())
    }

    fn seat(&mut self, id: &str, number: u32) -> Result<(), &'static str> {
        if SeatId::parse(id).is_err() {
            return Err("a seat id has 1 to 128 printable characters");
        }
        let Self { ids, id_ends, numbers, by_id, hasher, .. } = self;
        let seat = u32::try_from(numbers.len()).expect("bounded by VENUE_SEATS_MAX");
        ids.push_str(id);
        // At most 250,000 ids of 128 characters of 4 bytes: 128 MB.
        id_ends.push(u32::try_from(ids.len()).expect("ids fit in 4 GiB"));
        numbers.push(number);
        let hash_of = |seat: u32| hasher.hash_one(id_at(ids, id_ends, Seat(seat)));
        let hash = hash_of(seat);
        if by_id.find(hash, |&other| id_at(ids, id_ends, Seat(other)) == id).is_some() {
            return Err("the venue has a seat of the same id");
        }
        by_id.insert_unique(hash, seat, |&other| hash_of(other));
        Ok(())
    }

    fn finish(mut self) -> Result<Layout, InvalidVenue> {
        if self.numbers.is_empty() {
            return Err(InvalidVenue { path: "sections".into(), what: "a venue has at least one seat" });
        }
        self.measure_from_middle();
        let rows_by_grade = (0..self.grades.len()).map(|grade| self.rows_of(grade)).collect::<Vec<_>>();
        Ok(Layout {
            sections: self.sections.into(),
            rows: self.rows.into(),
            grades: self.grades.into(),
            rows_by_grade: rows_by_grade.into(),
            ids: self.ids.into(),
            id_ends: self.id_ends.into(),
            numbers: self.numbers.into(),
            by_id: self.by_id,
            hasher: self.hasher,
        })
    }

    fn measure_from_middle(&mut self) {
        for floor in 0..self.floors.len() {
            let on_floor: Vec<usize> = (0..self.sections.len())
                .filter(|&section| usize::from(self.sections[section].floor_order) == floor)
                .collect();
            for (place, &section) in on_floor.iter().enumerate() {
                // Twice the distance from the middle, so that an even number has a middle too.
                let distance = (2 * place).abs_diff(on_floor.len() - 1);
                self.sections[section].from_middle =
                    u16::try_from(distance).expect("no more than twice the sections of a floor");
            }
        }
    }

    fn rows_of(&self, grade: usize) -> Box<[u32]> {
        let mut rows: Vec<u32> = (0..self.rows.len())
            .filter(|&row| self.rows[row].grade.index() == grade)
            .map(|row| u32::try_from(row).expect("no more rows than seats"))
            .collect();
        rows.sort_by_key(|&row| {
            let row = &self.rows[usize::try_from(row).expect("a u32 fits")];
            let section = &self.sections[usize::from(row.section)];
            (section.floor_order, row.depth, section.from_middle)
        });
        rows.into()
    }
}

/// A venue with its layout.
#[derive(Debug, Clone)]
pub struct BuiltVenue {
    /// The venue as the administrator wrote it.
    pub venue: Arc<Venue>,
    /// Its seats, indexed.
    pub layout: Arc<Layout>,
    /// Where they are, and what is special about some.
    pub seating: Arc<Seating>,
}

#[cfg(test)]
mod tests;
