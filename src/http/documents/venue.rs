//! A venue as its administrator writes it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::checks::{Checks, NAME_LEN_MAX};
use super::words::{CatalogueId, FloorText, GradeText, LineText, NameText, PlaceText, SeatName, ZoneText};
use crate::domain::ids::{GradeName, ID_LEN_MAX, SeatId, VenueId};
use crate::domain::venue::{Row, RowSeats, Section, VENUE_SEATS_MAX, Venue};
use crate::http::problem::FieldError;

/// The highest number that a seat can have in its row.
const SEAT_NUMBER_MAX: u32 = 1_000_000;

/// A place where concerts happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Venue, example = json!({
    "name": "샤롯데씨어터", "address": "서울 송파구 올림픽로 240", "type": "theater", "timeZone": "Asia/Seoul",
    "sections": [{"sectionId": "B", "floor": "1층", "rows": [{"rowId": "7", "grade": "VIP", "length": 24}]}]
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
    /// Its sections in the order of the plan, with 1 to 250,000 seats in all.
    #[schema(min_items = 1)]
    pub sections: Vec<SectionDocument>,
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
    /// Its rows, from the front to the back.
    pub rows: Vec<RowDocument>,
}

/// A row of a section, whose seats are either counted (`length`) or listed (`seats`).
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
        Some(Venue {
            id: id?,
            name: self.name,
            address: self.address,
            kind: self.kind,
            time_zone: self.time_zone,
            sections: sections?,
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
        Some(Section { id: self.section_id, floor: self.floor, rows: rows? })
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
                let seat = |(index, seat): (usize, SeatDocument)| seat.check(index, checks);
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
        Some(Row { id: self.row_id, grade: grade?, seats: seats? })
    }
}

impl SeatDocument {
    fn check(self, index: usize, checks: &mut Checks) -> Option<(SeatId, u32)> {
        let number =
            checks.number(format_args!("seats[{index}].seatNumber"), self.seat_number, 0..=SEAT_NUMBER_MAX);
        let id = checks.parsed(format_args!("seats[{index}].seatId"), &self.seat_id, SeatId::parse);
        Some((id?, number))
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
            sections: venue.sections.iter().map(SectionDocument::from).collect(),
        }
    }
}

impl From<&Section> for SectionDocument {
    fn from(section: &Section) -> Self {
        Self {
            section_id: section.id.clone(),
            floor: section.floor.clone(),
            rows: section.rows.iter().map(RowDocument::from).collect(),
        }
    }
}

impl From<&Row> for RowDocument {
    fn from(row: &Row) -> Self {
        let seat = |(id, number): &(SeatId, u32)| SeatDocument {
            seat_id: id.to_string(),
            seat_number: u64::from(*number),
        };
        let (length, seats) = match &row.seats {
            RowSeats::Length(length) => (Some(u64::from(*length)), None),
            RowSeats::Listed(seats) => (None, Some(seats.iter().map(seat).collect())),
        };
        Self { row_id: row.id.clone(), grade: row.grade.to_string(), length, seats }
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

    fn read(value: &Value) -> Result<Venue, Vec<(String, String)>> {
        let document: VenueDocument = parse(value.to_string().as_bytes()).unwrap();
        let pairs = |errors: Vec<FieldError>| errors.into_iter().map(|e| (e.field, e.detail)).collect();
        document.into_domain(Some("v")).map_err(pairs)
    }

    #[test]
    fn a_venue_is_given_back_as_it_was_written_with_its_id() {
        let mut expected = document();
        let written = serde_json::to_value(VenueDocument::from(&read(&document()).unwrap())).unwrap();
        expected["venueId"] = "v".into();
        assert_eq!(written, expected);
        assert_eq!(read(&written), read(&document()), "what GET gives can be put");
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
            let mut value = document();
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
    }
}
