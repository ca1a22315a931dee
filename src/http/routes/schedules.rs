//! Schedules: their times and policy, and how far their sale is.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::catalogue::{put_status, remove};
use super::reservations::known_seats;
use super::{key_of, marked};
use crate::archive::Head;
use crate::domain::cause::{By, Cause};
use crate::domain::ids::{ConcertId, ScheduleId, VenueId};
use crate::domain::money::Currency;
use crate::domain::schedule::{Answer, Command, Summary};
use crate::domain::time::Timestamp;
use crate::engine::{CatalogueChange, Changed, Done, ScheduleEntry};
use crate::http::app::App;
use crate::http::auth::{Admin, Caller, Operator};
use crate::http::documents::{PlanDocument, ScheduleDocument, ScheduleState, SeatCounts, SeatName};
use crate::http::extract::{Body, IdempotencyKey, Path};
use crate::http::json::Json;
use crate::http::problem::Problem;
use crate::http::refusal::problem;

/// Makes the routes of schedules.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(put, read, delete))
        .routes(routes!(open))
        .routes(routes!(close))
        .routes(routes!(cancel))
        .routes(routes!(block))
        .routes(routes!(unblock))
}

/// A schedule with the counts of its seats by status.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Schedule)]
pub struct ScheduleView {
    schedule_id: String,
    concert_id: String,
    #[serde(flatten)]
    state: ScheduleState,
    #[serde(flatten)]
    plan: PlanDocument,
}

impl ScheduleView {
    /// Shows a schedule as it is durable, with its sale as it is at `now`.
    pub fn now(entry: &ScheduleEntry, now: Timestamp) -> Self {
        let (summary, status) = {
            let schedule = entry.read();
            (schedule.summary(), schedule.sale_at(now))
        };
        let mut view = Self::of(entry, &Summary { status, ..summary });
        // What an administrator changed since, while the room runs.
        if let (Some(queue), Some(room)) = (&mut view.plan.policy.queue, entry.room().read().settings()) {
            queue.max_active = u64::from(room.policy.active_max);
            queue.admit_per_minute = room.policy.admit_per_minute.map(u64::from);
        }
        view
    }

    /// Shows a schedule as a change left it.
    fn of(entry: &ScheduleEntry, summary: &Summary) -> Self {
        let schedule = entry.read();
        Self::with(entry.id(), entry.concert(), schedule.venue(), schedule.currency(), summary)
    }

    /// Shows a schedule that is in the archive.
    pub fn archived(Head { image, summary }: &Head) -> Self {
        Self::with(&image.id, &image.concert, &image.venue, image.currency, summary)
    }

    fn with(
        id: &ScheduleId,
        concert: &ConcertId,
        venue: &VenueId,
        currency: Currency,
        summary: &Summary,
    ) -> Self {
        let Summary { status, counts, plan, seats_version } = summary;
        Self {
            schedule_id: id.to_string(),
            concert_id: concert.to_string(),
            state: ScheduleState {
                venue_id: venue.to_string(),
                status: (*status).into(),
                currency: currency.as_str().to_owned(),
                seats: SeatCounts::from(*counts),
                version: *seats_version,
            },
            plan: PlanDocument::from(&**plan),
        }
    }
}

/// Create a schedule, or change its times, casting and policy
///
/// An upcoming schedule with `salesOpenAt` opens by itself at that instant, and an open one closes by itself at
/// `salesCloseAt` (`startsAt` if absent). What the policy leaves out has its default. What `GET` gives can be sent back, with changes:
/// what is read only in it is taken where it is still so.
#[utoipa::path(put, path = "/api/v1/schedules/{scheduleId}", operation_id = "putSchedule", tag = "Schedules",
    params(("scheduleId" = String, Path)),
    request_body = ScheduleDocument, security(("bearer" = [])),
    responses((status = 200, description = "It was there, and is as the body says", body = ScheduleView),
        (status = 201, description = "It is new", body = ScheduleView),
        (status = 409, description = "`in_use`: it stays with its concert"),
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
    let cause = asked(&app, &admin, "", None, &[]);
    let status = match app.engine.change(change, cause).await.map_err(|error| problem(error, None))? {
        Changed::Put(put) => put_status(put),
        other @ (Changed::Imported { .. } | Changed::Removed { .. } | Changed::Acted(_)) => {
            unreachable!("a put answers with what it found, not {other:?}")
        }
    };
    // Another administrator may have removed it at once.
    let entry = find(&app, &id).await?;
    Ok(Json(status, ScheduleView::now(&entry, app.engine.now())))
}

/// Read a schedule
#[utoipa::path(get, path = "/api/v1/schedules/{scheduleId}", operation_id = "readSchedule", tag = "Schedules", params(("scheduleId" = String, Path)),
    responses((status = 200, description = "With the counts of seats by status and the policy", body = ScheduleView),
        (status = 404, description = "`not_found`")))]
async fn read(State(app): State<App>, Path(id): Path<String>) -> Result<Json<ScheduleView>, Problem> {
    let entry = find(&app, &id).await?;
    Ok(Json(StatusCode::OK, ScheduleView::now(&entry, app.engine.now())))
}

/// Remove a schedule
#[utoipa::path(delete, path = "/api/v1/schedules/{scheduleId}", operation_id = "removeSchedule", tag = "Schedules",
    params(("scheduleId" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 204, description = "It is gone"), (status = 404, description = "`not_found`"),
        (status = 409, description = "`in_use`: a reservation was confirmed once, or one is live")))]
async fn delete(
    State(app): State<App>,
    admin: Admin,
    Path(id): Path<String>,
    key: Option<IdempotencyKey>,
) -> Result<Response, Problem> {
    let schedule = ScheduleId::parse(&id).map_err(|_| Problem::not_found())?;
    let change = CatalogueChange::RemoveSchedule(schedule);
    remove(&app, &admin, &format!("DELETE /schedules/{id}"), key, change).await
}

/// Open a sale
///
/// From `upcoming` or `closed`; doing it again is 200.
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
        Changed::Acted(acted) => Ok(shown(&entry, &acted)),
        other @ (Changed::Put(_) | Changed::Imported { .. } | Changed::Removed { .. }) => {
            unreachable!("an opening answers with the schedule, not {other:?}")
        }
    }
}

/// Close a sale
///
/// No new holds or exchanges; live holds may still be paid. It can be opened again.
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
/// Holds are released at once, confirmed reservations are cancelled and refunded. It can't be undone.
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

/// Seats to take off sale or to put back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"seats": ["1층-B-7-14", "1층-B-7-15"]}))]
struct SeatsBody {
    /// Each known, none twice, at least one.
    #[schema(value_type = HashSet<SeatName>, min_items = 1)]
    seats: Vec<String>,
}

/// Take seats off sale
///
/// All or none: each must be available, or blocked already.
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
    let seats = known_seats(entry.layout(), &body.value.seats)?;
    let cause = asked(&app, &operator, &format!("POST /schedules/{id}/block"), key, &body.raw);
    act(&app, &entry, Command::Block { seats }, cause).await
}

/// Put blocked seats back on sale
///
/// All or none: each must be blocked, or available already.
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
    let seats = known_seats(entry.layout(), &body.value.seats)?;
    let cause = asked(&app, &operator, &format!("POST /schedules/{id}/unblock"), key, &body.raw);
    act(&app, &entry, Command::Unblock { seats }, cause).await
}

/// Finds a schedule, live or archived.
pub(super) async fn find(app: &App, id: &str) -> Result<Arc<ScheduleEntry>, Problem> {
    let found = app.engine.find_schedule(id).await.map_err(|error| problem(error, None))?;
    found.ok_or_else(Problem::not_found)
}

/// Returns what is true of the schedules of those documents that say it, too, by their ids.
pub(super) async fn standing<'a>(
    app: &App,
    documents: impl Iterator<Item = (&'a str, &'a ScheduleDocument)>,
) -> Result<HashMap<String, ScheduleState>, Problem> {
    let mut standing = HashMap::new();
    for (id, _) in documents.filter(|(_, document)| document.has_read_only()) {
        let found = app.engine.find_schedule(id).await.map_err(|error| problem(error, None))?;
        if let Some(entry) = found {
            standing.insert(id.to_owned(), ScheduleView::now(&entry, app.engine.now()).state);
        }
    }
    Ok(standing)
}

/// Who asks, and with which key.
pub(super) fn asked(
    app: &App,
    caller: &Caller,
    route: &str,
    key: Option<IdempotencyKey>,
    body: &[u8],
) -> Cause {
    let key = key.map(|key| key_of(app, caller, route, key.as_str(), body));
    Cause { by: By::Admin(caller.user_id.clone()), key }
}

async fn act(app: &App, entry: &ScheduleEntry, command: Command, cause: Cause) -> Result<Response, Problem> {
    let acted = app.engine.act_by(entry, command, cause).await;
    acted.map(|acted| shown(entry, &acted)).map_err(|error| problem(error, Some(entry.layout())))
}

fn shown(entry: &ScheduleEntry, acted: &Done<Answer>) -> Response {
    let Answer::Schedule(summary) = &acted.answer else {
        unreachable!("a command about a schedule answers with it");
    };
    marked(Json(StatusCode::OK, ScheduleView::of(entry, summary)), acted.replayed)
}
