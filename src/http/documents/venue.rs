//! A venue as its administrator writes it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::checks::{Checks, NAME_LEN_MAX};
use super::geometry::{Number, OutlineDocument, PointDocument, StageDocument};
use super::words::{CatalogueId, FloorText, GradeText, LineText, NameText, PlaceText, SeatName, ZoneText};
use crate::domain::ids::{GradeName, ID_LEN_MAX, SeatId, VenueId};
use crate::domain::venue::{
    AREA_CAPACITY_MAX, Line, ListedSeat, Point, Row, RowSeats, Section, VENUE_SEATS_MAX, Venue, VenueArea,
};
use crate::http::problem::FieldError;

/// The highest number that a seat can have in its row.
const SEAT_NUMBER_MAX: u32 = 1_000_000;

/// A place where concerts happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Venue, example = json!({
    "name": "샤롯데씨어터", "address": "서울 송파구 올림픽로 240", "type": "theater", "timeZone": "Asia/Seoul",
    "stage": {"outline": [[0, 0], [40, 0], [40, 6], [0, 6]]},
    "sections": [{"sectionId": "B", "floor": "1층", "rows": [
        {"rowId": "7", "grade": "VIP", "length": 24, "at": [3.5, 12], "step": [0.6, 0]},
        {"rowId": "8", "grade": "R", "seats": [
            {"seatId": "1층-B-8-1", "seatNumber": 1, "x": 3.5, "y": 13, "accessible": true},
            {"seatId": "1층-B-8-2", "seatNumber": 2, "companionOf": "1층-B-8-1", "restrictedView": true}]}]}],
    "areas": [{"areaId": "standing", "floor": "1층", "name": "스탠딩", "grade": "ST", "capacity": 800,
        "outline": [[0, 14], [40, 14], [40, 20], [0, 20]]}]
}))]
pub struct VenueDocument {
    /// Its id: 1–128 letters of any script, digits, `-_.:`. In a `PUT` it is the path's and may be left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CatalogueId>)]
    pub venue_id: Option<String>,
    /// Its name.
    #[schema(value_type = NameText)]
    pub name: String,
    /// Its postal address.
    #[serde(default)]
    #[schema(value_type = LineText)]
    pub address: String,
    /// What kind of place it is: `theater`, `hall`, …
    #[serde(default, rename = "type")]
    #[schema(value_type = LineText)]
    pub kind: String,
    /// The IANA name of its time zone.
    #[schema(value_type = ZoneText)]
    pub time_zone: String,
    /// Its stage on the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageDocument>,
    /// Its sections in the order of the plan, with up to 250,000 seats in all. A venue without areas has at least one seat.
    pub sections: Vec<SectionDocument>,
    /// Its areas without numbered seats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 1_000)]
    pub areas: Vec<AreaDocument>,
}

/// A part of a venue without numbered seats, such as standing room: so many places of one grade, which nothing tells apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Area)]
pub struct AreaDocument {
    /// Its id, unique in the venue.
    #[schema(value_type = PlaceText)]
    pub area_id: String,
    /// Its floor.
    #[schema(value_type = FloorText)]
    pub floor: String,
    /// Its name, for people.
    #[schema(value_type = NameText)]
    pub name: String,
    /// The grade of its places.
    #[schema(value_type = GradeText)]
    pub grade: String,
    /// How many places it has.
    #[schema(minimum = 1, maximum = 100_000)]
    pub capacity: u64,
    /// Its outline on the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outline: Option<OutlineDocument>,
}

/// A part of a venue. Its floor and its id together are unique.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Section)]
pub struct SectionDocument {
    /// Its id, unique on its floor.
    #[schema(value_type = PlaceText)]
    pub section_id: String,
    /// Its floor.
    #[schema(value_type = FloorText)]
    pub floor: String,
    /// Its outline on the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outline: Option<OutlineDocument>,
    /// Its rows, from the front to the back.
    pub rows: Vec<RowDocument>,
}

/// A row of a section, whose seats are either counted (`length`) or listed (`seats`).
///
/// On the plan its seats stand in a line (`at` and `step`), or each has a point of its own (`x` and `y`), which comes before the line.
/// Where only some have, the others stand evenly between them and go on at their pace. A row without any coordinates is laid out by
/// order: its seats beside each other, one unit apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Row)]
pub struct RowDocument {
    /// Its id, unique in its section.
    #[schema(value_type = PlaceText)]
    pub row_id: String,
    /// The grade of its seats.
    #[schema(value_type = GradeText)]
    pub grade: String,
    /// How many seats it has. They are numbered from 1, with ids `{floor}-{sectionId}-{rowId}-{seatNumber}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 250_000)]
    pub length: Option<u64>,
    /// Its seats with their own ids. Neighbours in the list are neighbours in the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1)]
    pub seats: Option<Vec<SeatDocument>>,
    /// Where its first seat is; `y` grows away from the stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<PointDocument>,
    /// The way from each seat to the next; with `at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<PointDocument>,
}

/// A seat with its own id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ListedSeat)]
pub struct SeatDocument {
    /// Its id, unique in the venue.
    #[schema(value_type = SeatName)]
    pub seat_id: String,
    /// Its number in the row.
    #[schema(maximum = 1_000_000)]
    pub seat_number: u64,
    /// Where it is; with `y`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<Number>,
    /// Where it is, away from the stage; with `x`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<Number>,
    /// Whether it is meant for a visitor with a disability.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accessible: bool,
    /// The accessible seat of the venue whose visitor's companion it is meant for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<SeatName>)]
    pub companion_of: Option<String>,
    /// Whether something stands between it and the stage.
    #[serde(default, skip_serializing_if = "is_false")]
    pub restricted_view: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl VenueDocument {
    /// Checks the document; `id` is the path's, or `None` where the document itself must have one.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn into_domain(self, id: Option<&str>) -> Result<Venue, Vec<FieldError>> {
        let mut checks = Checks::default();
        let venue = self.check(id, &mut checks);
        checks.finish(venue)
    }

    pub(super) fn check(self, id: Option<&str>, checks: &mut Checks) -> Option<Venue> {
        let id = checks.own_id("venueId", id, self.venue_id.as_deref(), VenueId::parse);
        checks.text(format_args!("name"), &self.name, 1..=NAME_LEN_MAX);
        checks.text(format_args!("address"), &self.address, 0..=NAME_LEN_MAX);
        checks.text(format_args!("type"), &self.kind, 0..=NAME_LEN_MAX);
        checks.text(format_args!("timeZone"), &self.time_zone, 1..=NAME_LEN_MAX);
        let section = |(index, section): (usize, SectionDocument)| {
            checks.within(format_args!("sections[{index}]"), |checks| section.check(checks))
        };
        let sections: Option<Vec<Section>> = all(self.sections.into_iter().enumerate().map(section));
        let area = |(index, area): (usize, AreaDocument)| {
            checks.within(format_args!("areas[{index}]"), |checks| area.check(checks))
        };
        let areas: Option<Vec<VenueArea>> = all(self.areas.into_iter().enumerate().map(area));
        let stage = self.stage.and_then(|stage| stage.outline.check(format_args!("stage.outline"), checks));
        Some(Venue {
            id: id?,
            name: self.name,
            address: self.address,
            kind: self.kind,
            time_zone: self.time_zone,
            stage,
            sections: sections?,
            areas: areas?,
        })
    }
}

/// Collects all items, or `None` if one is missing. It looks at every item, so that each can report its errors.
pub(super) fn all<T>(items: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let mut complete = true;
    let found: Vec<T> = items
        .filter_map(|item| {
            complete &= item.is_some();
            item
        })
        .collect();
    complete.then_some(found)
}

impl SectionDocument {
    fn check(self, checks: &mut Checks) -> Option<Section> {
        checks.text(format_args!("sectionId"), &self.section_id, 1..=ID_LEN_MAX);
        checks.text(format_args!("floor"), &self.floor, 0..=ID_LEN_MAX);
        let row = |(index, row): (usize, RowDocument)| {
            checks.within(format_args!("rows[{index}]"), |checks| row.check(checks))
        };
        let rows = all(self.rows.into_iter().enumerate().map(row));
        let outline = self.outline.and_then(|outline| outline.check(format_args!("outline"), checks));
        Some(Section { id: self.section_id, floor: self.floor, outline, rows: rows? })
    }
}

impl AreaDocument {
    fn check(self, checks: &mut Checks) -> Option<VenueArea> {
        checks.text(format_args!("areaId"), &self.area_id, 1..=ID_LEN_MAX);
        checks.text(format_args!("floor"), &self.floor, 0..=ID_LEN_MAX);
        checks.text(format_args!("name"), &self.name, 1..=NAME_LEN_MAX);
        let grade = checks.parsed(format_args!("grade"), &self.grade, GradeName::parse);
        let capacity = checks.number(format_args!("capacity"), self.capacity, 1..=AREA_CAPACITY_MAX);
        let outline = self.outline.and_then(|outline| outline.check(format_args!("outline"), checks));
        let Self { area_id: id, floor, name, .. } = self;
        Some(VenueArea { id, floor, name, grade: grade?, capacity, outline })
    }
}

impl RowDocument {
    fn check(self, checks: &mut Checks) -> Option<Row> {
        checks.text(format_args!("rowId"), &self.row_id, 1..=ID_LEN_MAX);
        let grade = checks.parsed(format_args!("grade"), &self.grade, GradeName::parse);
        let seats = match (self.length, self.seats) {
            (Some(length), None) => {
                Some(RowSeats::Length(checks.number(format_args!("length"), length, 1..=VENUE_SEATS_MAX)))
            }
            (None, Some(seats)) => {
                let seat = |(index, seat): (usize, SeatDocument)| {
                    checks.within(format_args!("seats[{index}]"), |checks| seat.check(checks))
                };
                all(seats.into_iter().enumerate().map(seat)).map(RowSeats::Listed)
            }
            (None, None) => {
                checks.wrong(format_args!("length"), "either length or seats is needed");
                None
            }
            (Some(_), Some(_)) => {
                checks.wrong(format_args!("seats"), "either length or seats, not both");
                None
            }
        };
        let line = checks.both(("at", self.at), ("step", self.step)).map(|(at, step)| Line {
            at: at.check(format_args!("at"), checks),
            step: step.check(format_args!("step"), checks),
        });
        Some(Row { id: self.row_id, grade: grade?, line, seats: seats? })
    }
}

impl SeatDocument {
    fn check(self, checks: &mut Checks) -> Option<ListedSeat> {
        let number = checks.number(format_args!("seatNumber"), self.seat_number, 0..=SEAT_NUMBER_MAX);
        let id = checks.parsed(format_args!("seatId"), &self.seat_id, SeatId::parse);
        let companion_of = self.companion_of.as_deref();
        let companion_of =
            companion_of.and_then(|of| checks.parsed(format_args!("companionOf"), of, SeatId::parse));
        let at = checks.both(("x", self.x), ("y", self.y)).map(|(x, y)| Point {
            x: x.check(format_args!("x"), checks),
            y: y.check(format_args!("y"), checks),
        });
        let Self { accessible, restricted_view, .. } = self;
        Some(ListedSeat { id: id?, number, at, accessible, companion_of, restricted_view })
    }
}

impl From<&Venue> for VenueDocument {
    fn from(venue: &Venue) -> Self {
        Self {
            venue_id: Some(venue.id.to_string()),
            name: venue.name.clone(),
            address: venue.address.clone(),
            kind: venue.kind.clone(),
            time_zone: venue.time_zone.clone(),
            stage: venue.stage.as_ref().map(|stage| StageDocument { outline: stage.into() }),
            sections: venue.sections.iter().map(SectionDocument::from).collect(),
            areas: venue.areas.iter().map(AreaDocument::from).collect(),
        }
    }
}

impl From<&VenueArea> for AreaDocument {
    fn from(area: &VenueArea) -> Self {
        Self {
            area_id: area.id.clone(),
            floor: area.floor.clone(),
            name: area.name.clone(),
            grade: area.grade.to_string(),
            capacity: u64::from(area.capacity),
            outline: area.outline.as_ref().map(OutlineDocument::from),
        }
    }
}

impl From<&Section> for SectionDocument {
    fn from(section: &Section) -> Self {
        Self {
            section_id: section.id.clone(),
            floor: section.floor.clone(),
            outline: section.outline.as_ref().map(OutlineDocument::from),
            rows: section.rows.iter().map(RowDocument::from).collect(),
        }
    }
}

impl From<&Row> for RowDocument {
    fn from(row: &Row) -> Self {
        let (length, seats) = match &row.seats {
            RowSeats::Length(length) => (Some(u64::from(*length)), None),
            RowSeats::Listed(seats) => (None, Some(seats.iter().map(SeatDocument::from).collect())),
        };
        let point = |of: fn(Line) -> Point| row.line.map(|line| of(line).into());
        Self {
            row_id: row.id.clone(),
            grade: row.grade.to_string(),
            length,
            seats,
            at: point(|line| line.at),
            step: point(|line| line.step),
        }
    }
}

impl From<&ListedSeat> for SeatDocument {
    fn from(seat: &ListedSeat) -> Self {
        Self {
            seat_id: seat.id.to_string(),
            seat_number: u64::from(seat.number),
            x: seat.at.map(|at| at.x.into()),
            y: seat.at.map(|at| at.y.into()),
            accessible: seat.accessible,
            companion_of: seat.companion_of.as_ref().map(SeatId::to_string),
            restricted_view: seat.restricted_view,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::json::parse;

    fn document() -> Value {
        json!({
            "name": "샤롯데씨어터", "address": "서울", "type": "theater", "timeZone": "Asia/Seoul",
            "sections": [{"sectionId": "B", "floor": "1층", "rows": [
                {"rowId": "7", "grade": "VIP", "length": 24},
                {"rowId": "8", "grade": "R", "seats": [{"seatId": "x-2", "seatNumber": 2}]},
            ]}],
        })
    }

    /// The same with a plan.
    fn planned() -> Value {
        let mut planned = document();
        planned["stage"] = json!({"outline": [[0, 0], [40.5, 0], [40, -0.000_001]]});
        let section = &mut planned["sections"][0];
        section["outline"] = json!([[0, 0], [1, 0], [1, 1_000_000]]);
        section["rows"][0]["at"] = json!([3.5, 12]);
        section["rows"][0]["step"] = json!([0.6, 0]);
        section["rows"][1]["seats"] = json!([
            {"seatId": "x-2", "seatNumber": 2, "x": 3.1, "y": -13, "accessible": true},
            {"seatId": "x-3", "seatNumber": 3, "companionOf": "x-2", "restrictedView": true},
        ]);
        planned["areas"] = json!([
            {"areaId": "standing", "floor": "1층", "name": "스탠딩", "grade": "ST", "capacity": 100_000,
                "outline": [[0, 0], [1, 0], [1, 0.5]]},
            {"areaId": "lawn", "floor": "", "name": "Lawn", "grade": "R", "capacity": 1},
        ]);
        planned
    }

    fn read(value: &Value) -> Result<Venue, Vec<(String, String)>> {
        let document: VenueDocument = parse(value.to_string().as_bytes()).unwrap();
        let pairs = |errors: Vec<FieldError>| errors.into_iter().map(|e| (e.field, e.detail)).collect();
        document.into_domain(Some("v")).map_err(pairs)
    }

    #[test]
    fn a_venue_is_given_back_as_it_was_written_with_its_id() {
        for document in [document(), planned()] {
            let mut expected = document.clone();
            let written = serde_json::to_value(VenueDocument::from(&read(&document).unwrap())).unwrap();
            expected["venueId"] = "v".into();
            assert_eq!(written, expected);
            assert_eq!(read(&written), read(&document), "what GET gives can be put");
        }
    }

    #[test]
    fn every_wrong_part_of_a_plan_is_named_at_once() {
        let mut wrong = planned();
        wrong["stage"]["outline"] = json!([[0, 0], [1, 0]]);
        let section = &mut wrong["sections"][0];
        section["outline"][1][1] = json!(1_000_000.000_001);
        section["rows"][0]["at"][0] = json!(-1e300);
        section["rows"][0]["step"] = Value::Null;
        let seats = &mut section["rows"][1]["seats"];
        seats[0]["x"] = Value::Null;
        seats[1]["x"] = json!(1);
        seats[1]["companionOf"] = json!("");
        let areas = &mut wrong["areas"];
        areas[0]["capacity"] = json!(100_001);
        areas[0]["outline"] = json!([[0, 0]]);
        areas[1] = json!({"areaId": "", "floor": "\n", "name": "", "grade": "", "capacity": 0});
        let errors = read(&wrong).unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "sections[0].rows[0].step",
                "sections[0].rows[1].seats[0].x",
                "sections[0].rows[1].seats[1].companionOf",
                "sections[0].rows[1].seats[1].y",
                "sections[0].outline[1][1]",
                "areas[0].capacity",
                "areas[0].outline",
                "areas[1].areaId",
                "areas[1].floor",
                "areas[1].name",
                "areas[1].grade",
                "areas[1].capacity",
                "stage.outline",
            ]
        );
        for shape in [json!([1]), json!([1, 2, 3]), json!("1,2"), json!({"x": 1, "y": 2})] {
            let mut wrong = planned();
            wrong["sections"][0]["rows"][0]["at"] = shape;
            assert!(parse::<VenueDocument>(wrong.to_string().as_bytes()).is_err());
        }
    }

    #[test]
    fn the_address_and_the_type_may_be_left_out() {
        let venue = json!({"name": "n", "timeZone": "UTC", "sections": []});
        let venue = read(&venue).unwrap();
        assert_eq!((venue.address.as_str(), venue.kind.as_str()), ("", ""));
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let mut wrong = document();
        wrong["venueId"] = "other".into();
        wrong["name"] = "".into();
        wrong["address"] = "a\u{7}".into();
        wrong["sections"][0]["rows"][0]["grade"] = "".into();
        wrong["sections"][0]["rows"][0]["length"] = 5_000_000_000_u64.into();
        wrong["sections"][0]["rows"][1]["seats"][0]["seatId"] = "\n".into();
        let rows = wrong["sections"][0]["rows"].as_array_mut().unwrap();
        rows.push(json!({"rowId": "9", "grade": "R"}));
        rows.push(json!({"rowId": "9", "grade": "R", "length": 1, "seats": []}));
        let errors = read(&wrong).unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "venueId",
                "name",
                "address",
                "sections[0].rows[0].grade",
                "sections[0].rows[0].length",
                "sections[0].rows[1].seats[0].seatId",
                "sections[0].rows[2].length",
                "sections[0].rows[3].seats",
            ]
        );
    }

    #[test]
    fn an_unknown_field_is_refused_at_every_depth() {
        let check = |path: &str| {
            let mut value = planned();
            *value
                .pointer_mut(path)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .entry("colour")
                .or_insert(Value::Null) = json!("red");
            assert!(parse::<VenueDocument>(value.to_string().as_bytes()).is_err(), "{path}");
        };
        check("");
        check("/sections/0");
        check("/sections/0/rows/0");
        check("/sections/0/rows/1/seats/0");
        check("/areas/1");
    }
}
