//! Allotments: seats set aside, and released.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::domain::ids::AllotmentId;
use crate::domain::schedule::Command;
use crate::domain::schedule::allotments::AllotmentTerms;
use crate::engine::ScheduleEntry;
use crate::http::app::App;
use crate::http::auth::{Operator, Watcher};
use crate::http::changes;
use crate::http::documents::{AllotmentBody, AllotmentDocument};
use crate::http::extract::{Body, IdempotencyKey, Path};
use crate::http::idempotency::{asked, marked};
use crate::http::json::Json;
use crate::http::lookup::{find, known_seats};
use crate::http::page::{List, Page};
use crate::http::problem::Problem;
use crate::http::table::{Routes, routes};

/// Makes the routes of allotments.
pub fn routes() -> Routes<App> {
    routes![put, read, delete, list]
}

/// Set seats aside
///
/// All or none: each seat must be available, or belong to the allotment already. Others see them `blocked`. Seats that the body
/// leaves out, and nobody has, become available.
#[utoipa::path(put, path = "/api/v1/schedules/{scheduleId}/allotments/{allotmentId}", operation_id = "putAllotment", tag = "Allotments",
    request_body = AllotmentBody,
    params(("scheduleId" = String, Path), ("allotmentId" = String, Path)), security(("bearer" = [])),
    responses((status = 200, description = "It existed, and is now as in the body", body = AllotmentDocument),
        (status = 201, description = "It was created", body = AllotmentDocument),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`seat_unavailable` with `seats`, `invalid_transition`: the performance is cancelled, or long over"),
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

    let AllotmentBody { name, reason, .. } = body.value;
    let terms = AllotmentTerms { id: allotment.clone(), name, reason, seats: seats.into(), release_at };
    let command = Command::SetAllotment { terms: Arc::new(terms) };
    let status = changes::put_in(&app, &operator, &entry, command).await?;
    Ok(Json(status, shown(&entry, &allotment)?))
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
    Ok(Json(StatusCode::OK, shown(&entry, &allotment)?))
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
    let all = schedule.allotments();
    let listed = all.into_iter().filter(|terms| behind.as_deref().is_none_or(|behind| &*terms.id > behind));
    let listed = listed.map(|terms| {
        let counts = schedule.allotment_counts(&terms);
        (terms.id.to_string(), AllotmentDocument::of(&terms, counts, entry.layout()))
    });
    Ok(Json(StatusCode::OK, List::of(&page, listed)))
}

fn shown(entry: &ScheduleEntry, id: &str) -> Result<AllotmentDocument, Problem> {
    let schedule = entry.read();
    let terms = schedule.allotment(id).ok_or_else(Problem::not_found)?;
    Ok(AllotmentDocument::of(&terms, schedule.allotment_counts(&terms), entry.layout()))
}
