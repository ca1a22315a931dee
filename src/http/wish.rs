//! What a hold, an exchange or an order asks for, as clients write it.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::concert::Prices;
use crate::domain::schedule::Wish;
use crate::domain::schedule::policy::RESERVATION_SEATS_MAX;
use crate::domain::schedule::terms::PriceType;
use crate::domain::venue::Layout;
use crate::http::documents::{CatalogueId, GradeText, SeatName};
use crate::http::lookup::known_seats;
use crate::http::problem::Problem;

/// A seat to hold: its id, or an object with its id and its price type.
#[derive(Debug)]
pub struct SeatWish {
    seat_id: String,
    price_type: Option<String>,
}

/// A seat with its price type.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = TypedSeat)]
struct TypedSeat {
    #[schema(value_type = SeatName)]
    seat_id: String,
    /// The concert's default if absent.
    #[schema(value_type = Option<CatalogueId>)]
    price_type: Option<String>,
}

// By hand, since what serde derives for one form or another copies every seat of every hold first.
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

impl PartialSchema for SeatWish {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new().item(SeatName::schema()).item(TypedSeat::schema()).into()
    }
}

impl ToSchema for SeatWish {}

/// The best seats that are left.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BestAvailable {
    /// Only seats of this grade.
    #[schema(value_type = Option<GradeText>)]
    grade: Option<String>,
    /// How many seats, at most `maxSeatsPerReservation`; side by side in one row if a row has room.
    #[schema(minimum = 1, maximum = 100)]
    count: u32,
    /// How many of each price type, which add up to `count`; all are the default if absent. Only grades in which all of them are sold.
    #[schema(schema_with = by_type)]
    price_types: Option<BTreeMap<String, u32>>,
}

/// Describes counts by the ids of price types.
fn by_type() -> Object {
    let id = match CatalogueId::schema() {
        RefOr::T(id) => Some(id),
        RefOr::Ref(_) => None,
    };
    let count = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(100));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(id)
        .additional_properties(Some(count.build()))
        .build()
}

/// Reads which seats are asked for: by their ids, or the best that are left. `prices` are asked for only where a price type is named.
///
/// # Errors
/// 422 `invalid_request` or `unknown_seat`.
pub fn wish(
    layout: &Layout,
    seats: Option<&[SeatWish]>,
    best: Option<&BestAvailable>,
    prices: impl Fn() -> Option<Arc<Prices>>,
) -> Result<Wish, Problem> {
    match (seats, best) {
        (Some(seats), None) => of_seats(layout, seats, prices),
        (None, Some(best)) => of_best(layout, best, prices),
        (None, None) => Err(Problem::invalid_field("seats", "seats or bestAvailable is needed")),
        (Some(_), Some(_)) => {
            Err(Problem::invalid_field("bestAvailable", "either seats or bestAvailable, not both"))
        }
    }
}

fn of_seats(
    layout: &Layout,
    seats: &[SeatWish],
    prices: impl Fn() -> Option<Arc<Prices>>,
) -> Result<Wish, Problem> {
    let mut wish = Wish::seats(known_seats(layout, seats.iter().map(|seat| &*seat.seat_id))?);
    if seats.iter().all(|seat| seat.price_type.is_none()) {
        return Ok(wish);
    }

    let prices = prices();
    let known = |(index, seat): (usize, &SeatWish)| {
        let Some(id) = &seat.price_type else { return Ok(PriceType::DEFAULT) };
        let known = prices.as_ref().and_then(|prices| prices.price_type(id));
        known.ok_or_else(|| {
            Problem::invalid_field(format!("seats[{index}].priceType"), "the concert has no such price type")
        })
    };
    wish.price_types = seats.iter().enumerate().map(known).collect::<Result<_, _>>()?;
    Ok(wish)
}

fn of_best(
    layout: &Layout,
    best: &BestAvailable,
    prices: impl Fn() -> Option<Arc<Prices>>,
) -> Result<Wish, Problem> {
    if best.count == 0 {
        return Err(Problem::invalid_field("bestAvailable.count", "at least one seat is needed"));
    }
    let grade = |name: &String| {
        let unknown =
            || Problem::invalid_field("bestAvailable.grade", "the venue has no seats of this grade");
        layout.grade(name).ok_or_else(unknown)
    };
    let grade = best.grade.as_ref().map(grade).transpose()?;
    let mut wish = Wish::best_of(grade, best.count);

    let Some(counts) = &best.price_types else { return Ok(wish) };
    let wrong = |detail: &str| Problem::invalid_field("bestAvailable.priceTypes", detail);
    let sum = counts.values().fold(0_u32, |sum, count| sum.saturating_add(*count));
    if sum != best.count {
        return Err(wrong("must add up to count"));
    }
    if sum > RESERVATION_SEATS_MAX {
        // The schedule says how many it sells at once; nothing is written out for so many.
        return Ok(wish);
    }

    let prices = prices();
    let mut types = Vec::new();
    for (id, count) in counts {
        let known = prices.as_ref().and_then(|prices| prices.price_type(id));
        let known = known.ok_or_else(|| wrong("the concert has no such price type"))?;
        types.extend((0..*count).map(|_| known));
    }
    // The concert's order: an object has none.
    types.sort_unstable();
    wish.price_types = types.into();
    Ok(wish)
}
