//! Allotments: seats and places of areas set aside, and released.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::domain::ids::AllotmentId;
use crate::domain::schedule::Command;
use crate::domain::schedule::allotments::{AllotmentTerms, AsidePlaces};
use crate::domain::venue::Layout;
use crate::engine::ScheduleEntry;
use crate::http::app::App;
use crate::http::auth::{Operator, Watcher};
use crate::http::changes;
use crate::http::documents::{AllotmentBody, AllotmentDocument, AsidePlacesDocument};
use crate::http::extract::{Body, IdempotencyKey, Path};
use crate::http::idempotency::{asked, marked};
use crate::http::json::Json;
use crate::http::lookup::{find, known_area, known_seats, named_twice};
use crate::http::page::{List, Page};
use crate::http::problem::Problem;
use crate::http::table::{Routes, routes};

/// Makes the routes of allotments.
pub fn routes() -> Routes<App> {
    routes![put, read, delete, list]
}

/// Set seats aside
///
/// All or none: each seat must be available, or belong to the allotment already, and each area must have as many places left. Others see
/// them `blocked`. What the body leaves out, and nobody has, becomes available. An area's `count` has the places that are held and sold by
/// the allotment's codes among it, and can't be less than these.
#[utoipa::path(put, path = "/api/v1/schedules/{scheduleId}/allotments/{allotmentId}", operation_id = "putAllotment", tag = "Allotments",
    request_body = AllotmentBody,
    params(("scheduleId" = String, Path), ("allotmentId" = String, Path)), security(("bearer" = [])),
    responses((status = 200, description = "It existed, and is now as in the body", body = AllotmentDocument),
        (status = 201, description = "It was created", body = AllotmentDocument),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`seat_unavailable` with `seats`, `not_enough_seats` with `areas`: how many places each could have, `invalid_transition`: the performance is cancelled, or long over"),
        (status = 422, description = "`invalid_request` with `errors`, `unknown_seat` with `seats`")))]
async fn put(
    State(app): State<App>,
    operator: Operator,
    Path((id, allotment)): Path<(String, String)>,
    body: Body<AllotmentBody>,
) -> Result<Json<AllotmentDocument>, Problem> {
    let entry = find(&app, &id).await?;
    let allotment = AllotmentId::parse(&allotment)
        .map_err(|invalid| Problem::invalid_field("allotmentId", invalid.to_string()))?;
    let release_at = body.value.check().map_err(Problem::invalid)?;
    let seats = known_seats(entry.layout(), body.value.seats.as_deref().unwrap_or_default())?;
    let mut seats = seats.to_vec();
    seats.sort_unstable();
    let areas = known_shares(entry.layout(), body.value.areas.as_deref().unwrap_or_default())?;

    let AllotmentBody { name, reason, .. } = body.value;
    let terms =
        AllotmentTerms { id: allotment, name, reason, seats: seats.into(), areas, release_at, life: 0 };
    let command = Command::SetAllotment { terms: Arc::new(terms.clone()) };
    let status = changes::put_in(&app, &operator, &entry, command).await?;
    // It may have been released since.
    let life = entry.read().allotment(&terms.id).map_or(0, |standing| standing.life);
    Ok(Json(status, shown(&app, &entry, &AllotmentTerms { life, ..terms })))
}

/// Finds the areas of which a body names places, in their order. Each must exist, none may come twice.
fn known_shares(layout: &Layout, named: &[AsidePlacesDocument]) -> Result<Arc<[AsidePlaces]>, Problem> {
    let mut shares: Vec<AsidePlaces> = Vec::with_capacity(named.len());
    for (index, AsidePlacesDocument { area_id, count }) in named.iter().enumerate() {
        let area = known_area(layout, index, area_id, *count)?;
        if shares.iter().any(|other| other.area == area) {
            return Err(named_twice(index));
        }
        shares.push(AsidePlaces { area, count: *count });
    }
    shares.sort_unstable_by_key(|places| places.area);
    Ok(shares.into())
}

/// Read an allotment
#[utoipa::path(get, path = "/api/v1/schedules/{scheduleId}/allotments/{allotmentId}", operation_id = "readAllotment", tag = "Allotments",
    params(("scheduleId" = String, Path), ("allotmentId" = String, Path)), security(("bearer" = [])),
    responses((status = 200, description = "The allotment with its counts", body = AllotmentDocument),
        (status = 404, description = "`not_found`: there is none, or it was released")))]
async fn read(
    State(app): State<App>,
    _: Watcher,
    Path((id, allotment)): Path<(String, String)>,
) -> Result<Json<AllotmentDocument>, Problem> {
    let entry = find(&app, &id).await?;
    let terms = entry.read().allotment_at(&allotment, app.engine.now()).ok_or_else(Problem::not_found)?;
    Ok(Json(StatusCode::OK, shown(&app, &entry, &terms)))
}

/// Release an allotment
///
/// What is left becomes available to everyone. What is held or sold stays so.
#[utoipa::path(delete, path = "/api/v1/schedules/{scheduleId}/allotments/{allotmentId}", operation_id = "releaseAllotment", tag = "Allotments",
    params(("scheduleId" = String, Path), ("allotmentId" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    security(("bearer" = [])),
    responses((status = 204, description = "It was released"), (status = 404, description = "`not_found`"),
        (status = 409, description = "`invalid_transition`: the performance is long over")))]
async fn delete(
    State(app): State<App>,
    operator: Operator,
    Path((id, allotment)): Path<(String, String)>,
    key: Option<IdempotencyKey>,
) -> Result<Response, Problem> {
    let entry = find(&app, &id).await?;
    let allotment = AllotmentId::parse(&allotment).map_err(|_| Problem::not_found())?;
    let cause = asked(&app, &operator, &format!("DELETE /schedules/{id}/allotments/{allotment}"), key, &[]);
    let acted = changes::act(&app, &entry, Command::ReleaseAllotment { id: allotment }, cause).await?;
    Ok(marked(StatusCode::NO_CONTENT, acted.replayed))
}

/// List allotments
///
/// In order of their ids.
#[utoipa::path(get, path = "/api/v1/schedules/{scheduleId}/allotments", operation_id = "listAllotments", tag = "Allotments",
    params(("scheduleId" = String, Path), Page), security(("bearer" = [])),
    responses((status = 200, description = "A page of the list", body = List<AllotmentDocument>),
        (status = 404, description = "`not_found`")))]
async fn list(
    State(app): State<App>,
    _: Watcher,
    Path(id): Path<String>,
    page: Page,
) -> Result<Json<List<AllotmentDocument>>, Problem> {
    let entry = find(&app, &id).await?;
    let behind: Option<String> = page.behind()?;
    let schedule = entry.read();
    let now = app.engine.now();
    let all = schedule.allotments().into_iter().filter(|terms| !terms.is_released_by(now));
    let listed = all.filter(|terms| behind.as_deref().is_none_or(|behind| &*terms.id > behind));
    let listed = listed.map(|terms| {
        let counts = schedule.allotment_counts(&terms, now);
        let of_areas = schedule.allotment_areas(&terms.id);
        (terms.id.to_string(), AllotmentDocument::of(&terms, counts, of_areas, entry.layout()))
    });
    Ok(Json(StatusCode::OK, List::of(&page, listed)))
}

fn shown(app: &App, entry: &ScheduleEntry, terms: &AllotmentTerms) -> AllotmentDocument {
    let schedule = entry.read();
    let counts = schedule.allotment_counts(terms, app.engine.now());
    AllotmentDocument::of(terms, counts, schedule.allotment_areas(&terms.id), entry.layout())
}
