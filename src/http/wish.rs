//! What a hold, an exchange or an order asks for, as clients write it.

use std::sync::Arc;

use serde::Deserialize;
use utoipa::ToSchema;

use super::documents::{FloorText, GradeText, PlaceText};
use super::lookup::known_seats;
use super::problem::Problem;
use super::refusal::problem;
use crate::domain::schedule::terms::{AreaWish, Best, Part, PriceType};
use crate::domain::schedule::{Pick, Refusal, Wish};
use crate::domain::venue::Layout;
use crate::engine::{self, EngineError, ScheduleEntry};

/// Places of an area.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = AreaPlaces)]
pub(super) struct AreaPlacesBody {
    #[schema(value_type = PlaceText)]
    area_id: String,
    /// How many places.
    #[schema(minimum = 1, maximum = 100)]
    count: u32,
}

/// The best seats that are left.
///
/// A party sits side by side in one row if a row of its grade has room; else it gets places of an area of that grade that has room for all.
/// So in a grade that only areas have, it gets places of them. A party for which nobody has room is split.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BestAvailable {
    /// Only seats of this grade.
    #[schema(value_type = Option<GradeText>)]
    grade: Option<String>,
    /// Only seats of sections of this id, on `floor` if that is named too. Areas stand in no section.
    #[schema(value_type = Option<PlaceText>)]
    section_id: Option<String>,
    /// Only seats on this floor, and areas.
    #[schema(value_type = Option<FloorText>)]
    floor: Option<String>,
    /// How many seats, at most `maxSeatsPerReservation`.
    #[schema(minimum = 1, maximum = 100)]
    count: u32,
    /// Whether one of them is to be an accessible seat; the others are its companions' and those beside it.
    #[serde(default)]
    accessible: bool,
}

/// What a hold, an exchange or an order asks for.
pub(super) struct Asked<'a> {
    pub(super) seats: Option<&'a [String]>,
    pub(super) areas: Option<&'a [AreaPlacesBody]>,
    pub(super) best: Option<&'a BestAvailable>,
    pub(super) accessible: bool,
}

impl Asked<'_> {
    /// Finds what the body names.
    pub(super) fn wish(&self, layout: &Layout) -> Result<Wish, Problem> {
        let named = self.seats.is_some() || self.areas.is_some();
        let wish = match (named, self.best) {
            (true, None) => Wish {
                pick: self
                    .seats
                    .map_or(Ok(Pick::None), |seats| known_seats(layout, seats).map(Pick::Seats))?,
                areas: self.areas.map_or_else(|| Ok(Box::default()), |areas| known_areas(layout, areas))?,
                ..Wish::default()
            },
            (false, Some(best)) => Wish { pick: Pick::Best(best.pick(layout)?), ..Wish::default() },
            (false, None) => {
                let detail = "seats, areas or bestAvailable is needed";
                return Err(Problem::invalid_field("seats", detail));
            }
            (true, Some(_)) => {
                let detail = "either bestAvailable or seats and areas, not both";
                return Err(Problem::invalid_field("bestAvailable", detail));
            }
        };
        let accessible = self.accessible || self.best.is_some_and(|best| best.accessible);
        Ok(Wish { accessible, ..wish })
    }

    /// Makes the problem of a refusal; one about the size names the field that says it.
    pub(super) fn refused(&self, error: EngineError, entry: &ScheduleEntry) -> Problem {
        let EngineError::Refused(engine::Refusal::Schedule(Refusal::TooManySeats { max })) = error else {
            return problem(error, Some(entry.layout()));
        };
        let field = match (self.best, self.seats) {
            (Some(_), _) => "bestAvailable.count",
            (None, Some(_)) => "seats",
            (None, None) => "areas",
        };
        Problem::invalid_field(field, format!("a reservation of this schedule has at most {max} seats"))
    }
}

impl BestAvailable {
    fn pick(&self, layout: &Layout) -> Result<Best, Problem> {
        let wrong = |field: &str, detail: &'static str| {
            Err(Problem::invalid_field(format!("bestAvailable.{field}"), detail))
        };
        if self.count == 0 {
            return wrong("count", "at least one seat is needed");
        }
        let grade = self.grade.as_ref().map(|name| layout.grade(name));
        if grade == Some(None) {
            return wrong("grade", "the venue has no seats of this grade");
        }

        let (section, floor) = (self.section_id.as_deref(), self.floor.as_deref());
        let on_floor = |of: &str| floor.is_none_or(|floor| floor == of);
        let sections = layout.sections().iter();
        let mut sections = sections.filter(|known| section.is_none_or(|id| *id == *known.id));
        if section.is_some() && sections.clone().next().is_none() {
            return wrong("sectionId", "the venue has no such section");
        }
        let has_area = section.is_none() && layout.areas().iter().any(|area| on_floor(&area.floor));
        if floor.is_some() && !has_area && !sections.any(|section| on_floor(&section.floor)) {
            return wrong("floor", "the venue has no such floor, or the section is on another");
        }

        let part = || Part { section: section.map(Into::into), floor: floor.map(Into::into) };
        let part = (section.is_some() || floor.is_some()).then(|| Arc::new(part()));
        Ok(Best { count: self.count, grade: grade.flatten(), part })
    }
}

/// Finds the areas that a body names. Each must exist, none may come twice.
fn known_areas(layout: &Layout, named: &[AreaPlacesBody]) -> Result<Box<[AreaWish]>, Problem> {
    let mut areas: Vec<AreaWish> = Vec::with_capacity(named.len());
    for (index, AreaPlacesBody { area_id, count }) in named.iter().enumerate() {
        let wrong = |field: &str, detail: &'static str| {
            Err(Problem::invalid_field(format!("areas[{index}].{field}"), detail))
        };
        let Some(area) = layout.area(area_id) else {
            return wrong("areaId", "the venue has no such area");
        };
        if areas.iter().any(|other| other.area == area) {
            return wrong("areaId", "the area is named twice");
        }
        if *count == 0 {
            return wrong("count", "at least one place is needed");
        }
        areas.push(AreaWish { area, count: *count, price_type: PriceType::DEFAULT });
    }
    Ok(areas.into())
}
