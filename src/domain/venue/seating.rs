//! The plan of a venue: where its seats and areas are, what areas are called, and what is special about some seats.
//!
//! What stands here may change while schedules use the venue: no decision of before rests on it. The seats themselves, their rows and
//! their grades stand in a [`Layout`], and can't change then.
//!
//! A seat is placed by the first of these that there is: its own point; its row's line; the seats of its row that have points; the
//! order of the document. The last gives every seat a square of one unit: the seats of a row beside each other, its middle at the
//! middle of its section; rows behind each other; the sections of a floor beside each other; floors behind each other. Where other
//! rows have coordinates, this block stands behind them all.

use core::fmt;
use core::ops::Range;
use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};

use super::geometry::{Coordinate, Outline, Point};
use super::{InvalidVenue, Layout, LayoutRow, ListedSeat, Row, RowSeats, Seat, Section, Venue, VenueArea};

/// The plan's document in its present form, for [`PlanId`]: one more whenever the same plan is placed or written in another way, since
/// clients keep what an id named.
const PLAN_FORM: u8 = 1;
/// The space between sections that are laid out by order, and between floors, in units.
const AISLE: i64 = 2;

/// Names a plan by its content: equal plans have equal ids, on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlanId(u128);

impl PlanId {
    /// The length of its text.
    pub const TEXT_LEN: usize = 32;

    /// Reads an id's text, or `None` if it can't be one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_id = text.len() == Self::TEXT_LEN && text.bytes().all(is_digit);
        is_id.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(Self)
    }

    /// Returns its two halves.
    pub fn halves(self) -> [u64; 2] {
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).expect("64 bits");
        [half(self.0 >> u64::BITS), half(self.0)]
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$x}", self.0, width = Self::TEXT_LEN)
    }
}

/// What is special about a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    /// It is meant for a visitor with a disability, such as a place for a wheelchair.
    pub accessible: bool,
    /// It is meant for who comes along with the visitor of that accessible seat.
    pub companion_of: Option<Seat>,
    /// Something stands between it and the stage.
    pub restricted_view: bool,
}

/// The plan of a venue, beside its [`Layout`].
#[derive(Debug)]
pub struct Seating {
    id: PlanId,
    /// The seats that have any mark, in order.
    marked: Box<[(Seat, Marks)]>,
    /// Those of them that are accessible or a companion's, in order.
    special: Box<[Seat]>,
    /// The accessible seats with the seats of their companions, in order.
    companions: Box<[(Seat, Seat)]>,
    /// The names of the areas, in their order.
    area_names: Box<[Arc<str>]>,
}

impl Seating {
    /// Reads a venue's plan; `layout` is of the same venue.
    ///
    /// # Errors
    /// When a row leads off the plan, or a companion's seat doesn't name an accessible one.
    pub fn new(venue: &Venue, layout: &Layout) -> Result<Self, InvalidVenue> {
        let marked = marks(&venue.sections, layout)?;
        let places = places(&venue.sections, layout)?;
        let id = identify(venue, layout, &places, &marked);
        let area_names = venue.areas.iter().map(|area| area.name.as_str().into()).collect();
        let is_special = |marks: &Marks| marks.accessible || marks.companion_of.is_some();
        let special = marked.iter().filter(|(_, marks)| is_special(marks)).map(|(seat, _)| *seat).collect();
        let companions = marked.iter().filter_map(|(seat, marks)| Some((marks.companion_of?, *seat)));
        let mut companions: Vec<(Seat, Seat)> = companions.collect();
        companions.sort_unstable();
        Ok(Self { id, marked: marked.into(), special, companions: companions.into(), area_names })
    }

    /// Returns its name.
    pub fn id(&self) -> PlanId {
        self.id
    }

    /// Returns the names of the areas, in their order.
    pub fn area_names(&self) -> &[Arc<str>] {
        &self.area_names
    }

    /// Returns the accessible seats and those of companions, in order.
    pub fn special(&self) -> &[Seat] {
        &self.special
    }

    /// Returns those of [`Seating::special`] that lie within a range of indices.
    pub fn special_in(&self, range: &Range<usize>) -> &[Seat] {
        let place = |index: usize| self.special.partition_point(|seat| seat.index() < index);
        &self.special[place(range.start)..place(range.end)]
    }

    /// Tells whether a seat is accessible or a companion's.
    pub fn is_special(&self, seat: Seat) -> bool {
        self.special.binary_search(&seat).is_ok()
    }

    /// Returns the seats of an accessible seat's companions, in order.
    pub fn companions_of(&self, accessible: Seat) -> impl Iterator<Item = Seat> + use<'_> {
        let first = self.companions.partition_point(|(of, _)| *of < accessible);
        let own = self.companions[first..].iter().take_while(move |(of, _)| *of == accessible);
        own.map(|(_, seat)| *seat)
    }

    /// Returns what is special about a seat.
    pub fn marks(&self, seat: Seat) -> Marks {
        let found = self.marked.binary_search_by_key(&seat, |(seat, _)| *seat);
        found.map_or_else(|_| Marks::default(), |index| self.marked[index].1)
    }
}

/// Returns where each seat is, in order. They aren't kept: a plan is written once, and its text is kept.
///
/// # Errors
/// When a row leads off the plan.
pub fn places(sections: &[Section], layout: &Layout) -> Result<Vec<Point>, InvalidVenue> {
    let mut places = vec![None; layout.seats().len()];
    let mut rows = layout.rows().iter();
    for (index, section) in sections.iter().enumerate() {
        for (depth, row) in section.rows.iter().enumerate() {
            let range = rows.next().expect("a layout has its venue's rows").range();
            place_row(row, &mut places[range])
                .map_err(|what| InvalidVenue { path: format!("sections[{index}].rows[{depth}]"), what })?;
        }
    }

    place_by_order(layout, &mut places);
    Ok(places.into_iter().map(|place| place.expect("each seat was placed")).collect())
}

/// Places the seats of a row by its own coordinates, all or none.
fn place_row(row: &Row, places: &mut [Option<Point>]) -> Result<(), &'static str> {
    if let RowSeats::Listed(seats) = &row.seats {
        for (place, seat) in places.iter_mut().zip(seats) {
            *place = seat.at;
        }
    }

    if let Some(line) = row.line {
        for (index, place) in (0..).zip(places.iter_mut()) {
            place.get_or_insert(line.at.after(index, line.step));
        }
    } else {
        fill_gaps(places);
    }

    let on_plan = places.iter().flatten().all(|place| place.is_on_plan());
    if on_plan { Ok(()) } else { Err("a seat of the row would be more than 1000000 away from the origin") }
}

/// Places the other seats of a row where some have points: evenly between two, and on at the same pace at the ends. One alone goes on
/// by a unit to the right.
fn fill_gaps(places: &mut [Option<Point>]) {
    let count = |len: usize| i64::try_from(len).expect("bounded by VENUE_SEATS_MAX");
    let known: Vec<(usize, Point)> =
        places.iter().enumerate().filter_map(|(index, place)| Some((index, (*place)?))).collect();
    let (Some(&(first, first_at)), Some(&(last, last_at))) = (known.first(), known.last()) else { return };

    let len = places.len();
    let unit = Point { x: Coordinate::units(1), y: Coordinate::default() };
    let pace = |pair: Option<&[(usize, Point)]>| match pair {
        Some(&[(from, start), (to, end)]) => start.step_to(end, count(to - from)),
        Some(_) | None => unit,
    };
    let (at_start, at_end) = (pace(known.windows(2).next()), pace(known.windows(2).next_back()));

    let mut fill = |range: Range<usize>, (from, at): (usize, Point), step| {
        for (index, place) in range.clone().zip(&mut places[range]) {
            *place = Some(at.after(count(index) - count(from), step));
        }
    };
    fill(0..first, (first, first_at), at_start);
    for pair in known.windows(2) {
        fill(pair[0].0 + 1..pair[1].0, pair[0], pace(Some(pair)));
    }
    fill(last + 1..len, (last, last_at), at_end);
}

/// A section of the block that is laid out by order, in halves of the unit from the middle of its front.
#[derive(Clone, Copy, Default)]
struct Part {
    /// How many seats its longest row has.
    width: i64,
    /// How many rows it has.
    depth: i64,
    left: i64,
    front: i64,
}

/// Lays out the rows without coordinates by their order.
fn place_by_order(layout: &Layout, places: &mut [Option<Point>]) {
    let is_open = |row: &&LayoutRow| places[row.first.index()].is_none();
    let open: Vec<&LayoutRow> = layout.rows().iter().filter(is_open).collect();
    if open.is_empty() {
        return;
    }

    let (mut parts, width) = parts(layout, &open);
    let origin = origin(places, width);

    for part in &mut parts {
        part.depth = 0;
    }
    for row in open {
        let part = &mut parts[usize::from(row.section)];
        // The middle of the row's first square.
        let left = part.left + part.width - i64::from(row.len) + 1;
        let y = Coordinate::halves(part.front + 2 * part.depth + 1);
        part.depth += 1;

        let first = origin.plus(Point { x: Coordinate::halves(left), y });
        let step = Point { x: Coordinate::units(1), ..Point::default() };
        for (index, place) in (0..).zip(&mut places[row.range()]) {
            *place = Some(first.after(index, step));
        }
    }
}

/// Returns each section's part of the block, and how wide the block is, in units.
fn parts(layout: &Layout, open: &[&LayoutRow]) -> (Vec<Part>, i64) {
    let sections = layout.sections();
    let mut parts = vec![Part::default(); sections.len()];
    for row in open {
        let part = &mut parts[usize::from(row.section)];
        part.width = part.width.max(i64::from(row.len));
        part.depth += 1;
    }

    let mut floors: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for (index, section) in sections.iter().enumerate().filter(|(index, _)| parts[*index].depth > 0) {
        floors.entry(section.floor_order).or_default().push(index);
    }

    let (mut front, mut widest) = (0, 0);
    for floor in floors.values() {
        let aisles = AISLE * (i64::try_from(floor.len()).expect("bounded by the sections") - 1);
        let width = aisles + floor.iter().map(|&part| parts[part].width).sum::<i64>();
        let depth = floor.iter().map(|&part| parts[part].depth).max().unwrap_or(0);

        let mut left = -width;
        for &part in floor {
            let part = &mut parts[part];
            (part.left, part.front) = (left, front);
            left += 2 * (part.width + AISLE);
        }
        front += 2 * (depth + AISLE);
        widest = widest.max(width);
    }
    (parts, widest)
}

/// Returns where the middle of the block's front is: behind everything that has coordinates and at its middle, or so that nothing
/// lies left of 0.
fn origin(places: &[Option<Point>], width: i64) -> Point {
    let known = || places.iter().flatten();
    let bounds = known().map(|place| place.x).min().zip(known().map(|place| place.x).max());
    match (bounds, known().map(|place| place.y).max()) {
        (Some((left, right)), Some(back)) => {
            let aisle = Point { x: Coordinate::default(), y: Coordinate::units(AISLE) };
            Point { x: left.middle_to(right), y: back }.plus(aisle)
        }
        _ => Point { x: Coordinate::halves(width), y: Coordinate::default() },
    }
}

/// Reads the marks of seats: those that have any, in order.
fn marks(sections: &[Section], layout: &Layout) -> Result<Vec<(Seat, Marks)>, InvalidVenue> {
    let mut marked = Vec::new();
    let mut companions = Vec::new();
    let mut rows = layout.rows().iter();
    for (index, section) in sections.iter().enumerate() {
        for (depth, row) in section.rows.iter().enumerate() {
            let built = rows.next().expect("a layout has its venue's rows");
            let RowSeats::Listed(seats) = &row.seats else { continue };
            for (place, (seat, listed)) in built.seats().zip(seats).enumerate() {
                let ListedSeat { accessible, companion_of, restricted_view, .. } = listed;
                let (accessible, restricted_view) = (*accessible, *restricted_view);
                if let Some(of) = companion_of {
                    companions.push((marked.len(), of, [index, depth, place]));
                }
                if accessible || restricted_view || companion_of.is_some() {
                    marked.push((seat, Marks { accessible, companion_of: None, restricted_view }));
                }
            }
        }
    }

    // A companion's seat may stand before the one that it belongs to.
    for (companion, of, [section, row, seat]) in companions {
        let named = layout.seat(of).filter(|named| {
            let found = marked.binary_search_by_key(named, |(seat, _)| *seat);
            found.is_ok_and(|found| found != companion && marked[found].1.accessible)
        });
        if named.is_none() {
            let path = format!("sections[{section}].rows[{row}].seats[{seat}].companionOf");
            return Err(InvalidVenue {
                path,
                what: "must name another seat of the venue that is accessible",
            });
        }
        marked[companion].1.companion_of = named;
    }
    Ok(marked)
}

/// Names a plan by all that its document says.
fn identify(venue: &Venue, layout: &Layout, places: &[Point], marked: &[(Seat, Marks)]) -> PlanId {
    let mut content = Content(Context::new(&SHA256));
    content.number(PLAN_FORM);
    content.outline(venue.stage.as_ref());

    content.number(venue.sections.len());
    for section in &venue.sections {
        content.text(&section.floor);
        content.text(&section.id);
        content.outline(section.outline.as_ref());
    }

    content.number(layout.rows().len());
    for row in layout.rows() {
        content.number(row.section);
        content.text(&row.id);
        content.text(&layout.grades()[row.grade.index()]);
        content.number(row.len);
        for seat in row.seats() {
            content.text(layout.seat_id(seat));
            content.number(layout.seat_number(seat));
            content.point(places[seat.index()]);
        }
    }

    content.number(marked.len());
    for (seat, Marks { accessible, companion_of, restricted_view }) in marked {
        content.number(seat.0);
        content.number(u8::from(*accessible));
        content.number(u8::from(*restricted_view));
        // No seat has this number.
        content.number(companion_of.map_or(u32::MAX, |of| of.0));
    }

    // A plan without areas is what it was before there were any.
    for VenueArea { id, floor, name, grade, capacity, outline } in &venue.areas {
        content.text(id);
        content.text(floor);
        content.text(name);
        content.text(grade);
        content.number(*capacity);
        content.outline(outline.as_ref());
    }
    content.finish()
}

/// What is hashed: each part says how long it is, so that no two plans are the same bytes.
struct Content(Context);

impl Content {
    fn number(&mut self, number: impl TryInto<u64>) {
        let number: u64 = number.try_into().ok().expect("a count fits");
        self.0.update(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.update(text.as_bytes());
    }

    fn point(&mut self, Point { x, y }: Point) {
        self.0.update(&x.millionths().to_le_bytes());
        self.0.update(&y.millionths().to_le_bytes());
    }

    fn outline(&mut self, outline: Option<&Outline>) {
        let points = outline.map_or(&[][..], Outline::points);
        self.number(points.len());
        for point in points {
            self.point(*point);
        }
    }

    fn finish(self) -> PlanId {
        let digest = self.0.finish();
        let half = digest.as_ref().first_chunk().expect("SHA-256 has 32 bytes");
        PlanId(u128::from_be_bytes(*half))
    }
}
