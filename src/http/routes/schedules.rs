//! Schedules: their times, policy and sales.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::cause::Cause;
use crate::domain::ids::ScheduleId;
use crate::domain::schedule::{Answer, Command};
use crate::engine::{CatalogueChange, Changed, Done, ScheduleEntry};
use crate::http::app::App;
use crate::http::auth::{Admin, Operator};
use crate::http::changes;
use crate::http::documents::{ScheduleDocument, ScheduleView, SeatName};
use crate::http::extract::{Body, IdempotencyKey, Path};
use crate::http::idempotency::{asked, check_body, marked};
use crate::http::json::Json;
use crate::http::lookup::{find, known_seats, standing};
use crate::http::problem::Problem;
use crate::http::refusal::problem;
use crate::http::table::{Routes, routes};

/// Makes the routes of schedules.
pub fn routes() -> Routes<App> {
    routes![put, read, delete, open, close, cancel, block, unblock]
}

/// Create a schedule, or change its times, casting and policy
///
/// An upcoming schedule opens by itself at `salesOpenAt`, and an open one closes by itself at `salesCloseAt`
/// (`startsAt` if absent). An absent rule of the policy has its default. The answer of `GET` can be sent back with
/// changes: its read-only fields are accepted if they are still so.
#[utoipa::path(put, path = "/api/v1/schedules/{scheduleId}", operation_id = "putSchedule", tag = "Schedules",
    params(("scheduleId" = String, Path)),
    request_body = ScheduleDocument, security(("bearer" = [])),
    responses((status = 200, description = "It existed, and is now as in the body", body = ScheduleView),
        (status = 201, description = "It was created", body = ScheduleView),
        (status = 409, description = "`in_use`: its concert can't change"),
        (status = 422, description = "`invalid_request` with `errors`")))]
async fn put(
    State(app): State<App>,
    admin: Admin,
    Path(id): Path<String>,
    body: Body<ScheduleDocument>,
) -> Result<Json<ScheduleView>, Problem> {
    let standing = standing(&app, core::iter::once((id.as_str(), &body.value))).await?;
    let checked = body.value.into_domain(Some(&id), standing.get(&id));
    let (schedule, concert, plan) = checked.map_err(Problem::invalid)?;
    let change = CatalogueChange::PutSchedule(schedule, concert, plan);
    let status = changes::put(&app, &admin, change).await?;
    // Another administrator may have removed it at once.
    let entry = find(&app, &id).await?;
    Ok(Json(status, ScheduleView::now(&entry, &app.engine.catalogue(), app.engine.now())))
}

/// Read a schedule
#[utoipa::path(get, path = "/api/v1/schedules/{scheduleId}", operation_id = "readSchedule", tag = "Schedules", params(("scheduleId" = String, Path)),
    responses((status = 200, description = "The schedule with its policy and the counts of seats by status", body = ScheduleView),
        (status = 404, description = "`not_found`")))]
async fn read(State(app): State<App>, Path(id): Path<String>) -> Result<Json<ScheduleView>, Problem> {
    let entry = find(&app, &id).await?;
    Ok(Json(StatusCode::OK, ScheduleView::now(&entry, &app.engine.catalogue(), app.engine.now())))
}

/// Remove a schedule
#[utoipa::path(delete, path = "/api/v1/schedules/{scheduleId}", operation_id = "removeSchedule", tag = "Schedules",
    params(("scheduleId" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 204, description = "It was removed"), (status = 404, description = "`not_found`"),
        (status = 409, description = "`in_use`: it has live reservations, or once had a confirmed one")))]
async fn delete(
    State(app): State<App>,
    admin: Admin,
    Path(id): Path<String>,
    key: Option<IdempotencyKey>,
) -> Result<Response, Problem> {
    let schedule = ScheduleId::parse(&id).map_err(|_| Problem::not_found())?;
    let change = CatalogueChange::RemoveSchedule(schedule);
    changes::remove(&app, &admin, &format!("DELETE /schedules/{id}"), key, change).await
}

/// Open a sale
///
/// Opens an `upcoming` or `closed` sale. Opening an open one is 200.
#[utoipa::path(post, path = "/api/v1/schedules/{scheduleId}/open", operation_id = "openSale", tag = "Schedules",
    params(("scheduleId" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, description = "The schedule, open", body = ScheduleView),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`invalid_transition`: it is cancelled, or `salesCloseAt` has passed")))]
async fn open(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
    key: Option<IdempotencyKey>,
) -> Result<Response, Problem> {
    let entry = find(&app, &id).await?;
    let cause = asked(&app, &operator, &format!("POST /schedules/{id}/open"), key, &[]);
    let change = CatalogueChange::OpenSchedule(entry.id().clone());
    match app.engine.change(change, cause).await.map_err(|error| problem(error, Some(entry.layout())))? {
        Changed::Acted(acted) => Ok(shown(&app, &entry, &acted)),
        other @ (Changed::Put(_) | Changed::Imported { .. } | Changed::Removed { .. }) => {
            unreachable!("an opening answers with the schedule, not {other:?}")
        }
    }
}

/// Close a sale
///
/// Refuses new holds and exchanges. Live holds may still be paid, and the sale can be opened again.
#[utoipa::path(post, path = "/api/v1/schedules/{scheduleId}/close", operation_id = "closeSale", tag = "Schedules",
    params(("scheduleId" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, description = "The schedule, closed", body = ScheduleView),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`invalid_transition`: it isn't open")))]
async fn close(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
    key: Option<IdempotencyKey>,
) -> Result<Response, Problem> {
    let entry = find(&app, &id).await?;
    let cause = asked(&app, &operator, &format!("POST /schedules/{id}/close"), key, &[]);
    act(&app, &entry, Command::Close, cause).await
}

/// Cancel a performance
///
/// Releases all holds at once, and cancels and refunds all confirmed reservations. It can't be undone.
#[utoipa::path(post, path = "/api/v1/schedules/{scheduleId}/cancel", operation_id = "cancelSchedule", tag = "Schedules",
    params(("scheduleId" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, description = "The schedule, cancelled", body = ScheduleView),
        (status = 404, description = "`not_found`")))]
async fn cancel(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
    key: Option<IdempotencyKey>,
) -> Result<Response, Problem> {
    let entry = find(&app, &id).await?;
    let cause = asked(&app, &operator, &format!("POST /schedules/{id}/cancel"), key, &[]);
    act(&app, &entry, Command::Cancel, cause).await
}

/// Seats to take off sale, or to put back on sale.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"seats": ["1층-B-7-14", "1층-B-7-15"]}))]
struct SeatsBody {
    /// The ids of the seats: at least one, none twice.
    #[schema(value_type = HashSet<SeatName>, min_items = 1)]
    seats: Vec<String>,
}

/// Take seats off sale
///
/// All or none: each seat must be available, or blocked already.
#[utoipa::path(post, path = "/api/v1/schedules/{scheduleId}/block", operation_id = "blockSeats", tag = "Schedules", request_body = SeatsBody,
    params(("scheduleId" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, description = "The schedule; the seats are `blocked`", body = ScheduleView),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`seat_unavailable` with `seats`, `invalid_transition`: it is cancelled"),
        (status = 422, description = "`invalid_request`, `unknown_seat` with `seats`")))]
async fn block(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
    key: Option<IdempotencyKey>,
    body: Body<SeatsBody>,
) -> Result<Response, Problem> {
    let entry = find(&app, &id).await?;
    let cause = asked(&app, &operator, &format!("POST /schedules/{id}/block"), key, &body.raw);
    check_body(&app, &entry, cause.key)?;
    let seats = known_seats(entry.layout(), &body.value.seats)?;
    act(&app, &entry, Command::Block { seats }, cause).await
}

/// Put blocked seats back on sale
///
/// All or none: each seat must be blocked, or available already.
#[utoipa::path(post, path = "/api/v1/schedules/{scheduleId}/unblock", operation_id = "unblockSeats", tag = "Schedules", request_body = SeatsBody,
    params(("scheduleId" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, description = "The schedule; the seats are `available`", body = ScheduleView),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`seat_unavailable` with `seats`, `invalid_transition`: it is cancelled"),
        (status = 422, description = "`invalid_request`, `unknown_seat` with `seats`")))]
async fn unblock(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
    key: Option<IdempotencyKey>,
    body: Body<SeatsBody>,
) -> Result<Response, Problem> {
    let entry = find(&app, &id).await?;
    let cause = asked(&app, &operator, &format!("POST /schedules/{id}/unblock"), key, &body.raw);
    check_body(&app, &entry, cause.key)?;
    let seats = known_seats(entry.layout(), &body.value.seats)?;
    act(&app, &entry, Command::Unblock { seats }, cause).await
}

async fn act(app: &App, entry: &ScheduleEntry, command: Command, cause: Cause) -> Result<Response, Problem> {
    let acted = changes::act(app, entry, command, cause).await?;
    Ok(shown(app, entry, &acted))
}

fn shown(app: &App, entry: &ScheduleEntry, acted: &Done<Answer>) -> Response {
    let Answer::Schedule(summary) = &acted.answer else {
        unreachable!("a command about a schedule answers with it");
    };
    marked(Json(StatusCode::OK, ScheduleView::of(entry, &app.engine.catalogue(), summary)), acted.replayed)
}
