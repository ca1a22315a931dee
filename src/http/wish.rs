//! What a hold, an exchange or an order asks for: numbered seats and places of areas, or the best that are left, each with its price
//! type.
//!
//! Absent on purpose: codes (`codes` counts the wrong ones), and whether a place is free.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::domain::concert::Prices;
use crate::domain::schedule::policy::RESERVATION_SEATS_MAX;
use crate::domain::schedule::terms::{AreaWish, Best, Part, PriceType};
use crate::domain::schedule::{Pick, Refusal, Wish};
use crate::domain::venue::{Grade, Layout};
use crate::engine::{self, EngineError, ScheduleEntry};
use crate::http::documents::{CatalogueId, FloorText, GradeText, PlaceText, SeatName, either, numbers_by_id};
use crate::http::lookup::{known_area, known_seats, named_twice};
use crate::http::problem::Problem;
use crate::http::refusal::problem;

/// A seat that is asked for: its id, or an object with its id and its price type.
#[derive(Debug)]
pub(super) struct SeatWish {
    seat_id: String,
    price_type: Option<String>,
}

/// A seat with its price type.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TypedSeat {
    #[schema(value_type = SeatName)]
    seat_id: String,
    /// The concert's default if absent.
    #[schema(value_type = Option<CatalogueId>)]
    price_type: Option<String>,
}

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
    /// Their price type; the concert's default if absent.
    #[schema(value_type = Option<CatalogueId>)]
    price_type: Option<String>,
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
    /// How many of them have each price type: together `count`. Only grades in which all of these are sold. All have the default if absent.
    #[serde(default)]
    #[schema(schema_with = by_type)]
    price_types: Option<BTreeMap<String, u32>>,
    /// Whether one of them is to be an accessible seat; the others are its companions' and those beside it.
    #[serde(default)]
    accessible: bool,
}

/// What is asked for.
pub(super) struct Asked<'a> {
    /// The seats that are named.
    pub(super) seats: Option<&'a [SeatWish]>,
    /// The places of areas that are named.
    pub(super) areas: Option<&'a [AreaPlacesBody]>,
    /// The best that are left, in their place.
    pub(super) best: Option<&'a BestAvailable>,
    /// Whether it may have accessible seats.
    pub(super) accessible: bool,
}

impl AsRef<str> for SeatWish {
    fn as_ref(&self) -> &str {
        &self.seat_id
    }
}

// By hand: what serde derives for one form or another copies every seat of every hold first.
impl<'de> Deserialize<'de> for SeatWish {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Forms;

        impl<'de> Visitor<'de> for Forms {
            type Value = SeatWish;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a seat's id, or an object with seatId")
            }

            fn visit_str<E: Error>(self, id: &str) -> Result<SeatWish, E> {
                self.visit_string(id.to_owned())
            }

            fn visit_string<E: Error>(self, seat_id: String) -> Result<SeatWish, E> {
                Ok(SeatWish { seat_id, price_type: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SeatWish, A::Error> {
                let TypedSeat { seat_id, price_type } =
                    TypedSeat::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SeatWish { seat_id, price_type })
            }
        }

        from.deserialize_any(Forms)
    }
}

// No part of utoipa is in scope by a short name: what is derived above names it in full, and would be told that it needn't.
impl utoipa::PartialSchema for SeatWish {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        either::<SeatName, TypedSeat>()
    }
}

impl ToSchema for SeatWish {}

/// Describes how many places have each price type.
fn by_type() -> utoipa::openapi::Object {
    numbers_by_id(u64::from(RESERVATION_SEATS_MAX))
}

impl Asked<'_> {
    /// Finds what the body names.
    ///
    /// # Errors
    /// 422 `invalid_request` or `unknown_seat`.
    pub(super) fn wish(&self, entry: &ScheduleEntry) -> Result<Wish, Problem> {
        let layout = entry.layout();
        let named = self.seats.is_some() || self.areas.is_some();
        let wish = match (named, self.best) {
            (true, None) => self.named(entry)?,
            (false, Some(best)) => Wish {
                pick: Pick::Best(best.pick(layout)?),
                price_types: best.price_types(entry)?,
                ..Wish::default()
            },
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

    fn named(&self, entry: &ScheduleEntry) -> Result<Wish, Problem> {
        let mut wish = Wish::default();
        if let Some(seats) = self.seats {
            wish.pick = Pick::Seats(known_seats(entry.layout(), seats)?);
            if seats.iter().any(|seat| seat.price_type.is_some()) {
                let prices = prices(entry);
                let known = |(index, seat): (usize, &SeatWish)| {
                    known_type(seat.price_type.as_deref(), prices.as_deref(), || format!("seats[{index}]"))
                };
                wish.price_types = seats.iter().enumerate().map(known).collect::<Result<_, _>>()?;
            }
        }
        if let Some(areas) = self.areas {
            wish.areas = known_areas(entry, areas)?;
        }
        Ok(wish)
    }

    /// Makes the problem of a refusal; one about the size, or a price type, names the field that says it.
    pub(super) fn refused(&self, error: EngineError, entry: &ScheduleEntry) -> Problem {
        if let EngineError::Refused(engine::Refusal::Schedule(Refusal::TooManySeats { max })) = error {
            let field = match (self.best, self.seats) {
                (Some(_), _) => "bestAvailable.count",
                (None, Some(_)) => "seats",
                (None, None) => "areas",
            };
            let detail = format!("a reservation of this schedule has at most {max} seats");
            return Problem::invalid_field(field, detail);
        }
        if let EngineError::Refused(engine::Refusal::Schedule(Refusal::PriceTypeNotSold)) = error {
            let field = self.not_sold(entry).unwrap_or_else(|| "bestAvailable.priceTypes".to_owned());
            return Problem::invalid_field(field, Refusal::PriceTypeNotSold.to_string());
        }
        problem(error, Some(entry.layout()))
    }

    /// Names the first price type that isn't sold in the grade of its place.
    fn not_sold(&self, entry: &ScheduleEntry) -> Option<String> {
        let (layout, prices) = (entry.layout(), prices(entry)?);
        let is_sold = |grade: Grade, id: Option<&str>| {
            let price_type = id.map_or(Some(PriceType::DEFAULT), |id| prices.price_type(id));
            price_type.is_some_and(|price_type| prices.of(grade, price_type).is_some())
        };

        let seat_sold = |seat: &SeatWish| {
            layout
                .seat(&seat.seat_id)
                .is_none_or(|found| is_sold(layout.grade_of(found), seat.price_type.as_deref()))
        };
        if let Some(index) = self.seats.unwrap_or_default().iter().position(|seat| !seat_sold(seat)) {
            return Some(format!("seats[{index}].priceType"));
        }
        let area_sold = |area: &AreaPlacesBody| {
            let found = layout.area(&area.area_id);
            let grade = found.map(|found| layout.areas()[found.index()].grade);
            grade.is_none_or(|grade| is_sold(grade, area.price_type.as_deref()))
        };
        let index = self.areas.unwrap_or_default().iter().position(|area| !area_sold(area))?;
        Some(format!("areas[{index}].priceType"))
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

    /// Finds the price types of its places, in the concert's order: an object has none.
    fn price_types(&self, entry: &ScheduleEntry) -> Result<Box<[PriceType]>, Problem> {
        let Some(counts) = &self.price_types else { return Ok(Box::default()) };
        let wrong = |detail: &'static str| Problem::invalid_field("bestAvailable.priceTypes", detail);
        let sum = counts.values().fold(0_u32, |sum, count| sum.saturating_add(*count));
        if sum != self.count {
            return Err(wrong("must add up to count"));
        }
        if sum > RESERVATION_SEATS_MAX {
            // No schedule sells so many at once: that is refused without a list of them.
            return Ok(Box::default());
        }

        let prices = prices(entry);
        let mut types = Vec::new();
        for (id, count) in counts {
            let known = prices.as_ref().and_then(|prices| prices.price_type(id));
            let known = known.ok_or_else(|| wrong("the concert has no such price type"))?;
            types.extend((0..*count).map(|_| known));
        }
        types.sort_unstable();
        Ok(types.into())
    }
}

/// Finds the areas that a body names. Each must exist, none may come twice with one price type.
fn known_areas(entry: &ScheduleEntry, named: &[AreaPlacesBody]) -> Result<Box<[AreaWish]>, Problem> {
    let prices = if named.iter().any(|area| area.price_type.is_some()) { prices(entry) } else { None };
    let mut areas: Vec<AreaWish> = Vec::with_capacity(named.len());
    for (index, AreaPlacesBody { area_id, count, price_type }) in named.iter().enumerate() {
        let area = known_area(entry.layout(), index, area_id, *count)?;
        let price_type = known_type(price_type.as_deref(), prices.as_deref(), || format!("areas[{index}]"))?;
        if areas.iter().any(|other| (other.area, other.price_type) == (area, price_type)) {
            return Err(named_twice(index));
        }
        areas.push(AreaWish { area, count: *count, price_type });
    }
    Ok(areas.into())
}

/// Finds a price type; the default, where none is named.
fn known_type(
    id: Option<&str>,
    prices: Option<&Prices>,
    place: impl FnOnce() -> String,
) -> Result<PriceType, Problem> {
    let Some(id) = id else { return Ok(PriceType::DEFAULT) };
    let known = prices.and_then(|prices| prices.price_type(id));
    known.ok_or_else(|| {
        Problem::invalid_field(format!("{}.priceType", place()), "the concert has no such price type")
    })
}

fn prices(entry: &ScheduleEntry) -> Option<Arc<Prices>> {
    entry.read().prices().cloned()
}
