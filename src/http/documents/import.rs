//! Many documents in one, as `onsale import` and `data/charlotte.json` have them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::Deserialize;
use utoipa::ToSchema;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{AllOfBuilder, Array, ArrayBuilder, ObjectBuilder};

use super::checks::Checks;
use super::venue::all;
use super::{CatalogueId, ConcertDocument, ScheduleDocument, ScheduleState, VenueDocument};
use crate::engine::Import;
use crate::http::problem::FieldError;

/// Venues, concerts and schedules, each the body of its `PUT` with its id.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Import, example = json!({
    "venues": [{"venueId": "hall", "name": "Hall", "timeZone": "Asia/Seoul",
        "sections": [{"sectionId": "A", "floor": "1", "rows": [{"rowId": "1", "grade": "R", "length": 10}]}]}],
    "concerts": [{"concertId": "show", "title": "Show", "artist": "Someone", "venueId": "hall", "currency": "KRW",
        "grades": [{"grade": "R", "price": 50_000, "color": "#1E90FF"}]}],
    "schedules": [{"scheduleId": "show-1", "concertId": "show", "startsAt": "2027-02-09T10:30:00.000Z",
        "endsAt": "2027-02-09T13:10:00.000Z"}]
}))]
pub struct ImportDocument {
    /// Venues, with `venueId`.
    #[serde(default)]
    #[schema(schema_with = venues)]
    pub venues: Vec<VenueDocument>,
    /// Concerts, with `concertId`.
    #[serde(default)]
    #[schema(schema_with = concerts)]
    pub concerts: Vec<ConcertDocument>,
    /// Schedules, with `scheduleId`.
    #[serde(default)]
    #[schema(schema_with = schedules)]
    pub schedules: Vec<ScheduleDocument>,
}

fn venues() -> Array {
    with_ids::<VenueDocument>("venueId", "Venues, with `venueId`.")
}

fn concerts() -> Array {
    with_ids::<ConcertDocument>("concertId", "Concerts, with `concertId`.")
}

fn schedules() -> Array {
    with_ids::<ScheduleDocument>("scheduleId", "Schedules, with `scheduleId`.")
}

/// Describes documents with their ids, since an import has no paths.
fn with_ids<T: ToSchema>(id: &str, description: &str) -> Array {
    let named = ObjectBuilder::new().property(id, Ref::from_schema_name(CatalogueId::name())).required(id);
    let item = AllOfBuilder::new().item(Ref::from_schema_name(T::name())).item(named);
    ArrayBuilder::new().items(item).description(Some(description)).build()
}

impl ImportDocument {
    /// Checks the document; `standing` is what is true of schedules that are there, by their ids.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn into_domain(self, standing: &HashMap<String, ScheduleState>) -> Result<Import, Vec<FieldError>> {
        let mut checks = Checks::default();
        named_once(&mut checks, "venues", "venueId", self.venues.iter().map(|item| item.venue_id.as_deref()));
        named_once(
            &mut checks,
            "concerts",
            "concertId",
            self.concerts.iter().map(|item| item.concert_id.as_deref()),
        );
        named_once(
            &mut checks,
            "schedules",
            "scheduleId",
            self.schedules.iter().map(|item| item.schedule_id.as_deref()),
        );

        let venue = |(index, venue): (usize, VenueDocument)| {
            checks.within(format_args!("venues[{index}]"), |checks| venue.check(None, checks))
        };
        let venues = all(self.venues.into_iter().enumerate().map(venue));
        let concert = |(index, concert): (usize, ConcertDocument)| {
            checks.within(format_args!("concerts[{index}]"), |checks| concert.check(None, checks))
        };
        let concerts = all(self.concerts.into_iter().enumerate().map(concert));
        let schedule = |(index, schedule): (usize, ScheduleDocument)| {
            let standing = schedule.schedule_id.as_ref().and_then(|id| standing.get(id));
            checks.within(format_args!("schedules[{index}]"), |checks| schedule.check(None, standing, checks))
        };
        let schedules = all(self.schedules.into_iter().enumerate().map(schedule));

        let import = match (venues, concerts, schedules) {
            (Some(venues), Some(concerts), Some(schedules)) => Some(Import { venues, concerts, schedules }),
            _ => None,
        };
        checks.finish(import)
    }
}

/// Refuses an id that two items of a list have: only one of them could stand, and nobody said which.
fn named_once<'a>(checks: &mut Checks, list: &str, field: &str, ids: impl Iterator<Item = Option<&'a str>>) {
    let mut first_at: HashMap<&str, usize> = HashMap::new();
    for (index, id) in ids.enumerate() {
        let Some(id) = id else { continue };
        match first_at.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(index);
            }
            Entry::Occupied(entry) => {
                let first = entry.get();
                checks.wrong(
                    format_args!("{list}[{index}].{field}"),
                    format!("is the id of {list}[{first}], too"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json::parse;

    #[test]
    fn the_demonstration_file_is_read_whole() {
        let file = include_bytes!("../../../demo/charlotte.json");
        let document: ImportDocument = parse(file).unwrap();
        let import = document.into_domain(&HashMap::new()).unwrap();
        assert_eq!((import.venues.len(), import.concerts.len(), import.schedules.len()), (1, 2, 44));
    }

    #[test]
    fn an_id_that_stands_twice_in_a_list_is_named_with_both_places() {
        let schedule = |id: &str| {
            format!(
                r#"{{"scheduleId": "{id}", "concertId": "c", "startsAt": "2027-02-09T10:30:00Z", "endsAt": "2027-02-09T13:10:00Z"}}"#
            )
        };
        let text = format!(r#"{{"schedules": [{}, {}, {}]}}"#, schedule("a"), schedule("b"), schedule("a"));
        let document: ImportDocument = parse(text.as_bytes()).unwrap();
        let errors = document.into_domain(&HashMap::new()).unwrap_err();
        let errors: Vec<(&str, &str)> =
            errors.iter().map(|error| (error.field.as_str(), error.detail.as_str())).collect();
        assert_eq!(errors, [("schedules[2].scheduleId", "is the id of schedules[0], too")]);
    }

    #[test]
    fn an_item_without_its_id_or_with_a_wrong_field_is_named() {
        let text = r#"{"venues": [{"name": "", "timeZone": "UTC", "sections": []}],
            "schedules": [{"scheduleId": "a b", "concertId": "c", "startsAt": "x", "endsAt": "2027-02-09T13:10:00Z"}]}"#;
        let document: ImportDocument = parse(text.as_bytes()).unwrap();
        let errors = document.into_domain(&HashMap::new()).unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        let expected =
            ["venues[0].venueId", "venues[0].name", "schedules[0].scheduleId", "schedules[0].startsAt"];
        assert_eq!(fields, expected);
        let empty: ImportDocument = parse(b"{}").unwrap();
        assert!(empty.into_domain(&HashMap::new()).is_ok());
        assert!(parse::<ImportDocument>(br#"{"shows": []}"#).is_err());
    }
}
