//! Offers: what a code gives whoever brings it, before anything is held.
//!
//! Absent on purpose: how often others have used a code. That is the administrator's to know.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::ids::UserId;
use crate::domain::schedule::allotments::{AllotmentCounts, AllotmentTerms};
use crate::domain::schedule::codes::AccessCode;
use crate::domain::schedule::{Refusal, Schedule};
use crate::domain::time::Timestamp;
use crate::domain::venue::Layout;
use crate::http::ClientAddress;
use crate::http::app::App;
use crate::http::auth::User;
use crate::http::codes::{self, BroughtTo};
use crate::http::documents::{CodeBody, CodeText, DiscountDocument, SeatName};
use crate::http::extract::{Path, Query};
use crate::http::json::Json;
use crate::http::lookup::find;
use crate::http::problem::Problem;
use crate::http::refusal::{code_invalid, problem};
use crate::http::table::{Routes, routes};

/// Makes the routes of offers.
pub fn routes() -> Routes<App> {
    routes![read]
}

/// The code that is asked about.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct OfferQuery {
    /// The code; capital and small letters are the same.
    #[param(value_type = CodeText)]
    code: String,
}

/// What a hold with a code may have at this instant, and what it costs less.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Offer)]
struct OfferDocument {
    /// The code, in capital letters.
    #[schema(value_type = CodeText)]
    code: String,
    /// What it takes off each seat and place.
    #[serde(skip_serializing_if = "Option::is_none")]
    discount: Option<DiscountDocument>,
    /// The grades that the code is for; all if absent. An open phase may sell fewer, which the schedule names.
    #[serde(skip_serializing_if = "Option::is_none")]
    grades: Option<Vec<String>>,
    /// The price types that it is for; all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_types: Option<Vec<String>>,
    /// How many seats and places can still be had with it; any number if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    seats_left: Option<u32>,
    /// What is set aside for it: a hold with it takes from this, and from nothing else. Absent if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    allotment: Option<OfferedPlaces>,
}

/// Places that are set aside for who brings a code.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OfferedPlaces {
    /// The ids of its seats. One that the map shows `blocked` is free for a hold with the code.
    #[schema(value_type = Vec<SeatName>)]
    seats: Vec<String>,
    /// Its places of areas; absent if it has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    areas: Vec<OfferedArea>,
}

/// Places of an area that are set aside for who brings a code.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OfferedArea {
    area_id: String,
    /// How many of them are left.
    available: u32,
}

/// Read what a code gives
///
/// What a hold with it could have at this instant: the seats that are set aside for it, which the map shows everyone else as `blocked`,
/// and what it takes off. It uses nothing. A code that a live hold of the caller has is told, too, when it is used up.
#[utoipa::path(get, path = "/api/v1/schedules/{scheduleId}/offer", operation_id = "readOffer", tag = "Codes",
    params(("scheduleId" = String, Path), OfferQuery), security(("bearer" = [])),
    responses((status = 200, description = "What the code gives", body = OfferDocument),
        (status = 403, description = "`code_invalid`: one answer for every reason"),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`schedule_not_open`, `code_exhausted`"),
        (status = 429, description = "`rate_limited`: among others, too many wrong codes of this user or from this address")))]
async fn read(
    State(app): State<App>,
    User(caller): User,
    address: ClientAddress,
    Path(id): Path<String>,
    Query(OfferQuery { code }): Query<OfferQuery>,
) -> Result<Json<OfferDocument>, Problem> {
    let entry = find(&app, &id).await?;
    let user = &caller.user_id;
    let brought = codes::brought(&app, &entry, user, address, Some(&code), BroughtTo::Offer)?;
    let code = brought.code.as_ref().ok_or_else(code_invalid)?;

    let now = app.engine.now();
    let schedule = entry.read();
    check(&schedule, code, user, now).map_err(|refusal| problem(refusal.into(), None))?;
    let offer = OfferDocument::of(&schedule, code, entry.layout(), now).ok_or_else(code_invalid)?;
    Ok(Json(StatusCode::OK, offer))
}

/// Asks whether a hold could use the code. One that a hold of the user has already needs no use more.
fn check(schedule: &Schedule, code: &AccessCode, user: &UserId, now: Timestamp) -> Result<(), Refusal> {
    match schedule.check_code(code, now) {
        Err(Refusal::CodeExhausted) if codes::has_hold(schedule, user, code, now) => Ok(()),
        checked => checked,
    }
}

impl OfferDocument {
    /// Shows what a code gives; nothing where there is no such code.
    fn of(schedule: &Schedule, code: &AccessCode, layout: &Layout, now: Timestamp) -> Option<Self> {
        let standing = schedule.codes()?.find(code.as_str())?;
        let CodeBody { discount, grades, price_types, .. } = CodeBody::from(&**standing.terms);
        let due = schedule.uses_due(now);
        let used = due.get(code.as_str()).map_or(standing.uses, |due| standing.uses.without(*due));
        let allotment = standing.terms.allotment.as_deref().and_then(|id| schedule.allotment_at(id, now));
        Some(Self {
            code: code.as_str().to_owned(),
            discount,
            grades,
            price_types,
            seats_left: standing.terms.max_seats.map(|max| max.saturating_sub(used.seats)),
            allotment: allotment
                .map(|terms| OfferedPlaces::of(&terms, schedule.allotment_areas(&terms.id), layout)),
        })
    }
}

impl OfferedPlaces {
    fn of(terms: &AllotmentTerms, counts: &[AllotmentCounts], layout: &Layout) -> Self {
        let areas = terms.areas.iter().zip(counts);
        Self {
            seats: terms.seats.iter().map(|seat| layout.seat_id(*seat).to_owned()).collect(),
            areas: areas
                .map(|(places, counts)| OfferedArea {
                    area_id: layout.areas()[places.area.index()].id.to_string(),
                    available: counts.left,
                })
                .collect(),
        }
    }
}
