//! The waiting room: join it, read the place, follow it, leave; and change a running room.
//!
//! Reads are answered from the published room and reach no actor. A stream costs the room nothing: the room bumps one
//! number, and each stream looks up its own rank, at most once a second.

mod documents;
mod stream;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use self::documents::{
    DrawDocument, EndDocument, PlaceDocument, PlaceParts, PlaceState, PositionDocument, RoomDocument,
    SeatsLeft,
};
use crate::domain::ids::UserId;
use crate::domain::keys::KeyUse;
use crate::domain::schedule::policy::ACTIVE_MAX;
use crate::domain::waiting_room::draw::hex;
use crate::domain::waiting_room::{Answer, Tuning};
use crate::engine::{Done, EngineError, Pass, ScheduleEntry};
use crate::http::ClientAddress;
use crate::http::app::App;
use crate::http::auth::{FollowersToken, Operator, User};
use crate::http::by_ticket::ByTicket;
use crate::http::codes::{self, BroughtTo};
use crate::http::description::add_schema;
use crate::http::documents::{At, CatalogueId, CodeText};
use crate::http::extract::{Body, IdempotencyKey, Path, Query, RawBody};
use crate::http::idempotency::{asked, key_of, marked};
use crate::http::json::Json;
use crate::http::lookup::find;
use crate::http::pass::{ShownPass, token_required};
use crate::http::problem::{Code, FieldError, Problem};
use crate::http::refusal::problem;
use crate::http::table::{Routes, routes};

/// Makes the routes of the waiting room.
pub fn routes() -> Routes<App> {
    let mut routes = routes![join, current, leave, events, room, tune];
    add_schema::<PositionDocument<'static>>(&mut routes.openapi);
    add_schema::<EndDocument>(&mut routes.openapi);
    routes
}

/// The schedule to wait for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"scheduleId": "perf-kinky-1-2027-02-09-19:30"}))]
struct JoinBody {
    #[schema(value_type = CatalogueId)]
    schedule_id: String,
    /// A code of the phase that is open, or of the next one. As long as there is such a phase, it is needed.
    #[schema(value_type = Option<CodeText>)]
    code: Option<String>,
}

/// The schedule that a place is of.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct RoomQuery {
    /// The schedule of the waiting room.
    #[param(value_type = CatalogueId)]
    schedule_id: String,
}

/// Join a waiting room
///
/// 201 has a new place, 200 the place that the caller has already. If there is room at the seats, the place is
/// active at once.
#[utoipa::path(post, path = "/api/v1/queue/tokens", operation_id = "takePlace", tag = "Waiting room", request_body = JoinBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters")),
    security(("bearer" = [])),
    responses((status = 201, description = "A place in the queue", body = PlaceDocument<'static>),
        (status = 200, description = "The place that the caller has", body = PlaceDocument<'static>),
        (status = 403, description = "`user_suspended`, `code_required`, `code_invalid` (one answer for every reason)"),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`no_waiting_room`, `schedule_not_open` (the sale is over), `code_exhausted`, `request_in_progress`"),
        (status = 422, description = "`invalid_request`, `idempotency_key_reused`"),
        (status = 429, description = "`rate_limited`: among others, too many wrong codes of this user or from this address")))]
async fn join(
    State(app): State<App>,
    User(caller): User,
    address: ClientAddress,
    key: Option<IdempotencyKey>,
    body: RawBody,
) -> Result<Response, Problem> {
    let wanted: JoinBody = body.parse()?;
    let entry = find(&app, &wanted.schedule_id).await?;
    let key = key.map(|key| key_of(&app, &caller, "POST /queue/tokens", key.as_str(), &body.0));
    check_door(&app, &entry, &caller.user_id, address, wanted.code.as_deref(), key)?;
    let acted = app.engine.join(&entry, &caller.user_id, key).await;
    let Done { answer, replayed } = acted.map_err(|error| problem(error, None))?;
    let (place, status) = match answer {
        Answer::Place(place) => (place, StatusCode::CREATED),
        Answer::Standing(place) => (place, StatusCode::OK),
        Answer::Room(_) => return Err(problem(EngineError::OutcomeUnknown, None)),
    };
    let now = app.engine.now();
    let shown = PlaceParts { engine: &app.engine, entry: &entry, user: &caller.user_id, now };
    // What changes by itself would make the repeat of a keyed answer another.
    Ok(marked(shown.answer(status, PlaceState::of(place), key.is_none()), replayed))
}

/// Checks the code at the door. Who has a place already, or an answer by the same key, brings none.
fn check_door(
    app: &App,
    entry: &ScheduleEntry,
    user: &UserId,
    address: ClientAddress,
    code: Option<&str>,
    key: Option<KeyUse>,
) -> Result<(), Problem> {
    let now = app.engine.now();
    {
        let room = entry.room().read();
        let answered = |key| room.find_key(key, now).is_some();
        if room.settings().is_none() || room.standing(user).is_some() || key.is_some_and(answered) {
            return Ok(());
        }
    }

    let brought = codes::brought(app, entry, user, address, code, BroughtTo::Door)?;
    let checked = entry.read().check_door(brought.code.as_ref(), now);
    checked.map_err(|refusal| problem(refusal.into(), None))
}

/// Read the caller's place
///
/// `Retry-After` says when to ask again.
#[utoipa::path(get, path = "/api/v1/queue/tokens/current", operation_id = "readPlace", tag = "Waiting room",
    params(RoomQuery, ("Queue-Token" = String, Header, description = "The pass")),
    security(("bearer" = [])),
    responses((status = 200, description = "The place", body = PlaceDocument<'static>),
        (status = 401, description = "`queue_token_invalid`: the pass is forged, or belongs to another user or schedule"),
        (status = 403, description = "`queue_token_required`"),
        (status = 404, description = "`not_found`")))]
async fn current(
    State(app): State<App>,
    User(caller): User,
    Query(of): Query<RoomQuery>,
    pass: ShownPass,
) -> Result<Response, Problem> {
    let (entry, pass) = place(&app, &of, &caller.user_id, &pass).await?;
    let now = app.engine.now();
    let stand = PlaceState::now(&entry, pass, now);
    let shown = PlaceParts { engine: &app.engine, entry: &entry, user: &caller.user_id, now };
    Ok(shown.answer(StatusCode::OK, stand, true))
}

/// Leave a waiting room
///
/// The next in line moves up at once. A repeat is 204.
#[utoipa::path(delete, path = "/api/v1/queue/tokens/current", operation_id = "leavePlace", tag = "Waiting room",
    params(RoomQuery, ("Queue-Token" = String, Header, description = "The pass"),
           ("Idempotency-Key" = Option<String>, Header)),
    security(("bearer" = [])),
    responses((status = 204, description = "The place was given up"),
        (status = 401, description = "`queue_token_invalid`"), (status = 403, description = "`queue_token_required`"),
        (status = 404, description = "`not_found`")))]
async fn leave(
    State(app): State<App>,
    User(caller): User,
    Query(of): Query<RoomQuery>,
    key: Option<IdempotencyKey>,
    pass: ShownPass,
) -> Result<Response, Problem> {
    let (entry, pass) = place(&app, &of, &caller.user_id, &pass).await?;
    let route = format!("DELETE /queue/tokens/current {}", pass.ticket.0);
    let key = key.map(|key| key_of(&app, &caller, &route, key.as_str(), &[]));
    let acted = app.engine.leave(&entry, &caller.user_id, pass.ticket, key).await;
    let acted = acted.map_err(|error| problem(error, None))?;
    Ok(marked(StatusCode::NO_CONTENT, acted.replayed))
}

/// Follow the caller's place
///
/// Server-sent events: `position` when it changes (at most once a second), `active` with the place once it is
/// admitted, and last `ended` with its `status`. An open stream is a sign of life.
#[utoipa::path(get, path = "/api/v1/queue/tokens/current/events", operation_id = "followPlace", tag = "Waiting room",
    params(RoomQuery, ("Queue-Token" = Option<String>, Header, description = "The pass; needed without a ticket"),
        ("ticket" = Option<String>, Query, description = "In place of the headers: from `POST /streams/tickets`", pattern = "^[A-Za-z0-9_-]{43}$")),
    security(("bearer" = []), ("streamTicket" = [])),
    responses((status = 200, content_type = "text/event-stream", body = String,
        description = "The `data` of `position` is a `QueuePosition`, of `active` a `QueuePlace`, of `ended` a `QueueEnd`"),
        (status = 401, description = "`queue_token_invalid`"), (status = 403, description = "`queue_token_required`"),
        (status = 404, description = "`not_found`")))]
async fn events(
    State(app): State<App>,
    _: ByTicket,
    User(caller): User,
    token: FollowersToken,
    Query(of): Query<RoomQuery>,
    pass: ShownPass,
) -> Result<Response, Problem> {
    let (entry, pass) = place(&app, &of, &caller.user_id, &pass).await?;
    Ok(stream::follow(app, entry, caller, token, pass))
}

/// Read the waiting room of a schedule
#[utoipa::path(get, path = "/api/v1/schedules/{scheduleId}/queue", operation_id = "readWaitingRoom", tag = "Waiting room",
    params(("scheduleId" = String, Path)),
    responses((status = 200, description = "How many wait, and how fast they are admitted", body = RoomDocument<'static>),
        (status = 404, description = "`not_found`"), (status = 409, description = "`no_waiting_room`")))]
async fn room(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    let entry = find(&app, &id).await?;
    shown_room(&app, &entry)
}

/// Changes of a running room. An absent field stays as it is.
#[expect(clippy::option_option, reason = "null takes the limit away, and an absent field leaves it")]
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"maxActive": 200, "paused": false}))]
struct TuneBody {
    /// How many users may be active at once. Lowering it ends no pass.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000_000)]
    max_active: Option<u64>,
    /// How many users may be admitted per minute; null removes the limit.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 1_000_000)]
    admit_per_minute: Option<Option<u64>>,
    /// Whether nobody is admitted.
    #[serde(default)]
    paused: Option<bool>,
}

/// Reads a field so that null differs from an absent field.
#[expect(clippy::option_option, reason = "an absent field isn't read at all")]
fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Change a running waiting room
#[utoipa::path(patch, path = "/api/v1/schedules/{scheduleId}/queue", operation_id = "tuneWaitingRoom", tag = "Waiting room", request_body = TuneBody,
    params(("scheduleId" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, description = "The room as it is now", body = RoomDocument<'static>),
        (status = 404, description = "`not_found`"), (status = 409, description = "`no_waiting_room`"),
        (status = 422, description = "`invalid_request`")))]
async fn tune(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
    key: Option<IdempotencyKey>,
    body: Body<TuneBody>,
) -> Result<Response, Problem> {
    let entry = find(&app, &id).await?;
    let tuning = body.value.check()?;
    let keyed = key.is_some();
    let cause = asked(&app, &operator, &format!("PATCH /schedules/{id}/queue"), key, &body.raw);
    let acted = app.engine.tune(&entry, tuning, cause).await;
    let Done { answer, replayed } = acted.map_err(|error| problem(error, None))?;
    if !keyed {
        return shown_room(&app, &entry);
    }
    // What changes by itself would make the repeat of a keyed answer another.
    let Answer::Room(overview) = answer else { return Err(problem(EngineError::OutcomeUnknown, None)) };
    let room = RoomDocument::of(&entry, &overview);
    Ok(marked(Json(StatusCode::OK, room), replayed))
}

impl TuneBody {
    fn check(self) -> Result<Tuning, Problem> {
        let mut errors = Vec::new();
        let mut number = |field: &str, number: u64| {
            let right = u32::try_from(number).ok().filter(|number| (1..=ACTIVE_MAX).contains(number));
            if right.is_none() {
                let detail = format!("must be from 1 to {ACTIVE_MAX}");
                errors.push(FieldError { field: field.to_owned(), detail });
            }
            right.unwrap_or_default()
        };
        let tuning = Tuning {
            active_max: self.max_active.map(|count| number("maxActive", count)),
            admit_per_minute: self
                .admit_per_minute
                .map(|rate| rate.map(|count| number("admitPerMinute", count))),
            paused: self.paused,
        };
        if errors.is_empty() { Ok(tuning) } else { Err(Problem::invalid(errors)) }
    }
}

/// Finds the schedule of a caller's place, and reads the pass. A missing pass is reported before a missing schedule.
async fn place(
    app: &App,
    of: &RoomQuery,
    user: &UserId,
    pass: &ShownPass,
) -> Result<(Arc<ScheduleEntry>, Pass), Problem> {
    if !pass.is_there() {
        return Err(token_required("The header Queue-Token is needed."));
    }
    let entry = find(app, &of.schedule_id).await?;
    let pass = pass.read(app, &entry, user)?;
    Ok((entry, pass))
}

fn shown_room(app: &App, entry: &ScheduleEntry) -> Result<Response, Problem> {
    let (overview, opens_at, commitment, drawing) = {
        let room = entry.room().read();
        let settings = room.settings().ok_or_else(no_waiting_room)?;
        (room.overview(), settings.opens_at, room.commitment(), room.drawing())
    };
    let newcomer = overview.waiting.saturating_add(1);
    let wait = entry.room().estimated_wait_seconds(newcomer, app.engine.now());
    let draw = commitment.map(|hash| {
        let (seed, drawn) = drawing.map(|(seed, count)| (hex(&seed.0), count)).unzip();
        DrawDocument { seed_sha256: hex(&hash), seed, drawn }
    });
    let (sold_out, seats_left) = SeatsLeft::of(entry);
    let room = RoomDocument {
        estimated_wait_seconds: wait,
        sold_out: Some(sold_out),
        seats_left: Some(seats_left),
        opens_at: Some(opens_at.map(At)),
        draw: Some(draw),
        ..RoomDocument::of(entry, &overview)
    };
    let mut response = Json(StatusCode::OK, room).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=1"));
    Ok(response)
}

fn no_waiting_room() -> Problem {
    Problem::new(Code::NoWaitingRoom, "This schedule has no waiting room.")
}
