//! The waiting room: take a place, see where it stands, follow it, leave; and how the room is run.
//!
//! Reads are answered from the published room and reach no actor. A stream costs the room nothing: it bumps one
//! number, and each client looks its own rank up, at most once a second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};
use tokio::sync::watch;
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::docs::add_schema;
use super::schedules::{asked, find};
use super::{key_of, marked};
use crate::domain::ids::{GradeName, UserId};
use crate::domain::schedule::policy::ACTIVE_MAX;
use crate::domain::time::Timestamp;
use crate::domain::waiting_room::draw::hex;
use crate::domain::waiting_room::{Answer, Gate, Overview, Place, PlaceStatus, Ticket, Tuning};
use crate::engine::{Done, Engine, EngineError, Pass, ScheduleEntry};
use crate::http::app::App;
use crate::http::auth::{Caller, Operator, Standing, User};
use crate::http::documents::{At, CatalogueId, GateWord, PlaceWord};
use crate::http::extract::{Body, IdempotencyKey, Path, Query, RawBody};
use crate::http::json::Json;
use crate::http::problem::{Code, FieldError, Problem};
use crate::http::refusal::problem;
use crate::http::stream::{self, KEEP_ALIVE, STILL_HERE};

/// The header of the waiting room's pass.
pub(super) const QUEUE_TOKEN: HeaderName = HeaderName::from_static("queue-token");
/// A stream tells a position at most so often.
const POSITION_EVERY: Duration = Duration::from_secs(1);
/// The bounds of the time after which a waiting client is asked to look again.
const POLL_SECONDS_MIN: u64 = 2;
const POLL_SECONDS_MAX: u64 = 30;

/// Makes the routes of the waiting room.
pub fn routes() -> OpenApiRouter<App> {
    let mut router = OpenApiRouter::new()
        .routes(routes!(join))
        .routes(routes!(current, leave))
        .routes(routes!(events))
        .routes(routes!(room, tune));
    add_schema::<PositionDocument<'static>>(router.get_openapi_mut());
    add_schema::<EndDocument>(router.get_openapi_mut());
    router
}

/// A schedule to wait for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"scheduleId": "perf-kinky-1-2027-02-09-19:30"}))]
struct JoinBody {
    #[schema(value_type = CatalogueId)]
    schedule_id: String,
}

/// The schedule that a place is of.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct Of {
    /// The schedule whose waiting room it is.
    #[param(value_type = CatalogueId)]
    schedule_id: String,
}

/// A place in a waiting room.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QueuePlace)]
struct PlaceDocument<'a> {
    /// The pass: it goes in the header `Queue-Token`, beside the bearer token of the same user.
    token: String,
    schedule_id: &'a str,
    status: PlaceWord,
    /// 1 is the next to be admitted; it never grows. Null before a draw, and once admitted.
    #[schema(required, minimum = 1)]
    position: Option<u32>,
    /// Null before a draw, and once admitted.
    #[schema(required)]
    people_ahead: Option<u32>,
    /// From the measured rate of admission; null while that isn't known.
    #[schema(required)]
    estimated_wait_seconds: Option<u64>,
    issued_at: At,
    /// When it was admitted; null before, and once the place is over.
    #[schema(required)]
    activated_at: Option<At>,
    /// When the place ends by time; null once it is over.
    #[schema(required)]
    expires_at: Option<At>,
    /// Whether nothing is left to wait for. Not in the answer to a request with an `Idempotency-Key`, as what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sold_out: Option<bool>,
    /// How many seats of each grade can be held now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    seats_left: Option<SeatsLeft<'a>>,
}

/// What a stream tells of a place that waits.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QueuePosition)]
struct PositionDocument<'a> {
    /// Always `waiting`.
    status: PlaceWord,
    /// 1 is the next to be admitted; it never grows. Null before a draw.
    #[schema(required, minimum = 1)]
    position: Option<u32>,
    /// Null before a draw.
    #[schema(required)]
    people_ahead: Option<u32>,
    /// From the measured rate of admission; null while that isn't known.
    #[schema(required)]
    estimated_wait_seconds: Option<u64>,
    /// Whether nothing is left to wait for.
    sold_out: bool,
    seats_left: SeatsLeft<'a>,
}

/// The last that a stream tells of a place.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueueEnd)]
struct EndDocument {
    status: PlaceWord,
}

/// How many seats of each grade can be held now.
#[derive(Debug)]
struct SeatsLeft<'a> {
    grades: &'a [GradeName],
    free: Vec<u32>,
}

impl SeatsLeft<'_> {
    /// Counts them; tells also whether nothing is left to wait for.
    fn of(entry: &ScheduleEntry) -> (bool, SeatsLeft<'_>) {
        let (free, gate) = {
            let schedule = entry.read();
            (schedule.free_by_grade(), Gate::of(schedule.sale_status(), schedule.counts()))
        };
        (gate == Gate::SoldOut, SeatsLeft { grades: entry.layout().grades(), free })
    }
}

impl Serialize for SeatsLeft<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.grades.iter().map(GradeName::as_str).zip(&self.free))
    }
}

impl utoipa::PartialSchema for SeatsLeft<'_> {
    fn schema() -> RefOr<Schema> {
        BTreeMap::<String, u32>::schema()
    }
}

impl ToSchema for SeatsLeft<'_> {}

/// A waiting room.
#[expect(clippy::option_option, reason = "null says that there is none, and an absent field nothing")]
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WaitingRoom)]
struct RoomDocument<'a> {
    schedule_id: &'a str,
    waiting: u32,
    active: u32,
    max_active: u32,
    /// Null where that isn't limited.
    #[schema(required)]
    admit_per_minute: Option<u32>,
    paused: bool,
    admitted_total: u64,
    /// How long a newcomer would wait, from the measured rate; null while that isn't known.
    #[schema(required)]
    estimated_wait_seconds: Option<u64>,
    gate: GateWord,
    /// Not in the answer to a request with an `Idempotency-Key`, as what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sold_out: Option<bool>,
    /// How many seats of each grade can be held now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    seats_left: Option<SeatsLeft<'a>>,
    /// When the first is admitted, where the policy or the sale says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<At>)]
    opens_at: Option<Option<At>>,
    /// The draw of a room whose order is `shuffle`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DrawDocument>)]
    draw: Option<Option<DrawDocument>>,
}

/// A draw: the hash of its seed is there before it, the seed after it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Draw)]
struct DrawDocument {
    /// SHA-256 of the seed, in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    seed_sha256: String,
    /// The seed, once the draw was made.
    #[schema(required)]
    seed: Option<String>,
    /// How many were drawn.
    #[schema(required)]
    drawn: Option<u32>,
}

/// Take a place
///
/// 201 with a new place, 200 with the one that the caller has. Where there is room, it is active at once.
#[utoipa::path(post, path = "/api/v1/queue/tokens", operation_id = "takePlace", tag = "Waiting room", request_body = JoinBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters")),
    security(("bearer" = [])),
    responses((status = 201, description = "A place in the queue", body = PlaceDocument<'static>),
        (status = 200, description = "The place that the caller has", body = PlaceDocument<'static>),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`no_waiting_room`, `schedule_not_open` (the sale is over), `request_in_progress`"),
        (status = 422, description = "`invalid_request`, `idempotency_key_reused`")))]
async fn join(
    State(app): State<App>,
    User(caller): User,
    key: Option<IdempotencyKey>,
    body: RawBody,
) -> Result<Response, Problem> {
    let wanted: JoinBody = body.parse()?;
    let entry = find(&app, &wanted.schedule_id).await?;
    let key = key.map(|key| key_of(&app, &caller, "POST /queue/tokens", key.as_str(), &body.0));
    let acted = app.engine.join(&entry, &caller.user_id, key).await;
    let Done { answer, replayed } = acted.map_err(|error| problem(error, None))?;
    let (place, status) = match answer {
        Answer::Place(place) => (place, StatusCode::CREATED),
        Answer::Standing(place) => (place, StatusCode::OK),
        Answer::Room(_) => return Err(problem(EngineError::OutcomeUnknown, None)),
    };
    let now = app.engine.now();
    let shown = Shown { engine: &app.engine, entry: &entry, user: &caller.user_id, now };
    // What changes by itself would make the repeat of a keyed answer another.
    Ok(marked(shown.answer(status, Stand::of(place), key.is_none()), replayed))
}

/// See where the caller's place stands
///
/// `Retry-After` says when it is worth looking again.
#[utoipa::path(get, path = "/api/v1/queue/tokens/current", operation_id = "readPlace", tag = "Waiting room",
    params(Of, ("Queue-Token" = String, Header, description = "The pass")),
    security(("bearer" = [])),
    responses((status = 200, description = "The place as it stands", body = PlaceDocument<'static>),
        (status = 401, description = "`queue_token_invalid`: forged, another's, or another schedule's"),
        (status = 403, description = "`queue_token_required`"),
        (status = 404, description = "`not_found`")))]
async fn current(
    State(app): State<App>,
    User(caller): User,
    Query(of): Query<Of>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (entry, pass) = place(&app, &of, &caller.user_id, &headers).await?;
    let now = app.engine.now();
    let stand = Stand::now(&entry, pass, now);
    let shown = Shown { engine: &app.engine, entry: &entry, user: &caller.user_id, now };
    Ok(shown.answer(StatusCode::OK, stand, true))
}

/// Leave
///
/// The next in line moves up at once. Doing it again is 204.
#[utoipa::path(delete, path = "/api/v1/queue/tokens/current", operation_id = "leavePlace", tag = "Waiting room",
    params(Of, ("Queue-Token" = String, Header, description = "The pass"),
           ("Idempotency-Key" = Option<String>, Header)),
    security(("bearer" = [])),
    responses((status = 204, description = "The place is given up"),
        (status = 401, description = "`queue_token_invalid`"), (status = 403, description = "`queue_token_required`"),
        (status = 404, description = "`not_found`")))]
async fn leave(
    State(app): State<App>,
    User(caller): User,
    Query(of): Query<Of>,
    key: Option<IdempotencyKey>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (entry, pass) = place(&app, &of, &caller.user_id, &headers).await?;
    let route = format!("DELETE /queue/tokens/current {}", pass.ticket.0);
    let key = key.map(|key| key_of(&app, &caller, &route, key.as_str(), &[]));
    let acted = app.engine.leave(&entry, &caller.user_id, pass.ticket, key).await;
    let acted = acted.map_err(|error| problem(error, None))?;
    Ok(marked(StatusCode::NO_CONTENT, acted.replayed))
}

/// Follow the caller's place
///
/// Server-sent events: `position` as it changes (at most one a second), `active` with the place once it is admitted,
/// `ended` with its `status`, which is the last. An open stream is a sign of life.
#[utoipa::path(get, path = "/api/v1/queue/tokens/current/events", operation_id = "followPlace", tag = "Waiting room",
    params(Of, ("Queue-Token" = String, Header, description = "The pass")),
    security(("bearer" = [])),
    responses((status = 200, content_type = "text/event-stream", body = String,
        description = "The `data` of `position` is a `QueuePosition`, of `active` a `QueuePlace`, of `ended` a `QueueEnd`"),
        (status = 401, description = "`queue_token_invalid`"), (status = 403, description = "`queue_token_required`"),
        (status = 404, description = "`not_found`")))]
async fn events(
    State(app): State<App>,
    User(caller): User,
    Query(of): Query<Of>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (entry, pass) = place(&app, &of, &caller.user_id, &headers).await?;
    let follower = Follower {
        versions: entry.room().watch(),
        app,
        entry,
        caller,
        pass,
        told: Told::Nothing,
        quiet_until: Instant::now(),
    };
    Ok(stream::of_events(futures_util::stream::unfold(follower, |mut follower| async move {
        follower.next().await.map(|chunk| (chunk, follower))
    })))
}

/// The waiting room of a schedule
#[utoipa::path(get, path = "/api/v1/schedules/{scheduleId}/queue", operation_id = "readWaitingRoom", tag = "Waiting room",
    params(("scheduleId" = String, Path)),
    responses((status = 200, description = "How many wait, and how fast it goes", body = RoomDocument<'static>),
        (status = 404, description = "`not_found`"), (status = 409, description = "`no_waiting_room`")))]
async fn room(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    let entry = find(&app, &id).await?;
    shown_room(&app, &entry)
}

/// What may be changed while a room runs; what is absent stays.
#[expect(clippy::option_option, reason = "null takes the limit away, and an absent field leaves it")]
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"maxActive": 200, "paused": false}))]
struct TuneBody {
    /// How many may be active. Lowered, it ends nobody's pass.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000_000)]
    max_active: Option<u64>,
    /// How many are admitted a minute at most; null takes the limit away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 1_000_000)]
    admit_per_minute: Option<Option<u64>>,
    /// Whether nobody is admitted.
    #[serde(default)]
    paused: Option<bool>,
}

/// Tells a field that is null from one that is absent.
#[expect(clippy::option_option, reason = "an absent field isn't read at all")]
fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Run a waiting room
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

/// Finds the schedule that a caller waits for, and reads their pass. What a request lacks is said before what isn't there.
async fn place(
    app: &App,
    of: &Of,
    user: &UserId,
    headers: &HeaderMap,
) -> Result<(Arc<ScheduleEntry>, Pass), Problem> {
    if !headers.contains_key(QUEUE_TOKEN) {
        return Err(token_required("The header Queue-Token is needed."));
    }
    let entry = find(app, &of.schedule_id).await?;
    let pass = shown_pass(app, &entry, user, headers)?;
    Ok((entry, pass))
}

fn token_required(detail: &'static str) -> Problem {
    Problem::new(Code::QueueTokenRequired, detail)
}

/// Reads the pass that a request shows.
///
/// # Errors
/// 403 `queue_token_required` where it shows none, 401 `queue_token_invalid` where it isn't this user's for this
/// schedule.
pub(super) fn shown_pass(
    app: &App,
    entry: &ScheduleEntry,
    user: &UserId,
    headers: &HeaderMap,
) -> Result<Pass, Problem> {
    let mut shown = headers.get_all(QUEUE_TOKEN).iter();
    let token = shown
        .next()
        .ok_or_else(|| token_required("This schedule has a waiting room: a queue token is needed."))?;
    let token = token.to_str().ok().filter(|_| shown.next().is_none());
    token.and_then(|token| app.engine.read_pass(entry, user, token)).ok_or_else(|| {
        Problem::new(Code::QueueTokenInvalid, "The queue token is not one of yours for this schedule.")
    })
}

/// Refuses a pass that isn't active.
///
/// # Errors
/// 403 `queue_not_active`, with the position of who still waits.
pub(super) fn check_active(app: &App, entry: &ScheduleEntry, pass: Pass) -> Result<(), Problem> {
    if entry.room().admits(pass, app.engine.now()) {
        return Ok(());
    }
    let position = {
        let room = entry.room().read();
        room.position(pass.ticket).filter(|_| room.joined_at(pass.ticket) == Some(pass.issued_at))
    };
    let detail = match position {
        Some(_) => "It is not your turn yet; see `position`.",
        None => "This queue token is not active.",
    };
    Err(Problem::new(Code::QueueNotActive, detail).with("position", position))
}

/// How a place stands, whether or not anyone has it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stand {
    ticket: Ticket,
    status: PlaceStatus,
    position: Option<u32>,
    issued_at: Timestamp,
    activated_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

impl Stand {
    fn of(place: Place) -> Self {
        let live = matches!(place.status, PlaceStatus::Waiting | PlaceStatus::Active);
        Self {
            ticket: place.ticket,
            status: place.status,
            position: place.position,
            issued_at: place.issued_at,
            activated_at: place.activated_at,
            expires_at: Some(place.expires_at).filter(|_| live),
        }
    }

    fn now(entry: &ScheduleEntry, pass: Pass, now: Timestamp) -> Self {
        let room = entry.room().read();
        let ended = || Self {
            ticket: pass.ticket,
            status: room.ending(pass.ticket),
            position: None,
            issued_at: pass.issued_at,
            activated_at: None,
            expires_at: None,
        };
        // After a backup was restored the ticket may be another's, who came later.
        let place = room.place(pass.ticket, now).filter(|place| place.issued_at == pass.issued_at);
        let Some(mut place) = place else { return ended() };
        // The sign of life that keeps it may be yet to be written.
        if place.status == PlaceStatus::Expired && entry.room().admits(pass, now) {
            place.status = PlaceStatus::Active;
        }
        Self::of(place)
    }
}

/// A place as its user is shown it.
struct Shown<'a> {
    engine: &'a Engine,
    entry: &'a ScheduleEntry,
    user: &'a str,
    now: Timestamp,
}

impl Shown<'_> {
    fn answer(&self, status: StatusCode, stand: Stand, live: bool) -> Response {
        let mut response = Json(status, self.document(stand, live)).into_response();
        let headers = response.headers_mut();
        let vary = HeaderValue::from_static("authorization, queue-token");
        headers.insert(header::VARY, vary);
        let seconds = self.poll_seconds(stand);
        let caching = match seconds {
            Some(seconds) => format!("private, max-age={seconds}"),
            None => "no-store".to_owned(),
        };
        headers.insert(header::CACHE_CONTROL, HeaderValue::try_from(caching).expect("plain characters"));
        if let Some(seconds) = seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// Says when it is worth looking again: the sooner, the nearer the turn, and spread so that those who came together
    /// don't come again together.
    fn poll_seconds(&self, stand: Stand) -> Option<u64> {
        if stand.status != PlaceStatus::Waiting {
            return None;
        }
        let room = self.entry.room();
        let wait = stand.position.and_then(|position| room.estimated_wait_seconds(position, self.now));
        let near = stand.position.is_some_and(|position| position <= room.read().overview().active_max);
        let claim =
            room.read().settings().map_or(u64::MAX, |settings| u64::from(settings.policy.claim.get()));
        let base = match wait {
            Some(wait) => (wait / 10).clamp(POLL_SECONDS_MIN, POLL_SECONDS_MAX),
            None if near => POLL_SECONDS_MIN,
            None => POLL_SECONDS_MAX / 3,
        };
        // Whoever is admitted meanwhile shows up in time.
        let base = base.min((claim / 2).max(1));
        // Half the time, and up to as much again by a number that is the ticket's own (Knuth's multiplicative hash).
        let own = u64::from(stand.ticket.0.wrapping_mul(2_654_435_769) >> 16);
        Some((base / 2).max(1) + own % base)
    }

    fn document(&self, stand: Stand, live: bool) -> PlaceDocument<'_> {
        let pass = Pass { ticket: stand.ticket, issued_at: stand.issued_at };
        let left = live.then(|| SeatsLeft::of(self.entry));
        let (sold_out, seats_left) = left.unzip();
        PlaceDocument {
            token: self.engine.sign_pass(self.entry, self.user, pass),
            schedule_id: self.entry.id(),
            status: stand.status.into(),
            position: stand.position,
            people_ahead: stand.position.map(|position| position - 1),
            estimated_wait_seconds: stand.position.filter(|_| live).and_then(|position| self.wait(position)),
            issued_at: At(stand.issued_at),
            activated_at: stand.activated_at.map(At),
            expires_at: stand.expires_at.map(At),
            sold_out,
            seats_left,
        }
    }

    fn waiting(&self, position: Option<u32>) -> PositionDocument<'_> {
        let (sold_out, seats_left) = SeatsLeft::of(self.entry);
        PositionDocument {
            status: PlaceWord::Waiting,
            position,
            people_ahead: position.map(|position| position - 1),
            estimated_wait_seconds: position.and_then(|position| self.wait(position)),
            sold_out,
            seats_left,
        }
    }

    fn wait(&self, position: u32) -> Option<u64> {
        self.entry.room().estimated_wait_seconds(position, self.now)
    }
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

impl<'a> RoomDocument<'a> {
    /// Says what doesn't change by itself.
    fn of(entry: &'a ScheduleEntry, overview: &Overview) -> Self {
        Self {
            schedule_id: entry.id(),
            waiting: overview.waiting,
            active: overview.active,
            max_active: overview.active_max,
            admit_per_minute: overview.admit_per_minute,
            paused: overview.paused,
            admitted_total: overview.admitted_total,
            estimated_wait_seconds: None,
            gate: overview.gate.into(),
            sold_out: None,
            seats_left: None,
            opens_at: None,
            draw: None,
        }
    }
}

pub(super) fn no_waiting_room() -> Problem {
    Problem::new(Code::NoWaitingRoom, "This schedule has no waiting room.")
}

/// What a stream has told its client last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    /// The position, and whether it is sold out.
    Waiting(Option<u32>, bool),
    Active,
    Ended,
}

/// One client that follows its place.
struct Follower {
    app: App,
    entry: Arc<ScheduleEntry>,
    caller: Caller,
    pass: Pass,
    versions: watch::Receiver<u64>,
    told: Told,
    /// Until when nothing is looked up again.
    quiet_until: Instant,
}

impl Follower {
    /// Returns what is sent next; `None` ends the stream. Asked only when the client took the last.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.told == Told::Ended {
                return None;
            }
            let shutdown = self.app.parts.shutdown.clone();
            tokio::select! {
                () = tokio::time::sleep_until(self.quiet_until) => {}
                () = shutdown.cancelled() => return None,
            }

            // Asked right before anything is told: a suspension may have come while it waited.
            let over = self.app.still_stands(&self.caller, self.app.engine.now()).is_err();
            if over || shutdown.is_cancelled() {
                return None;
            }
            self.versions.borrow_and_update();
            self.quiet_until = Instant::now() + POSITION_EVERY;
            if let Some(chunk) = self.tell() {
                return Some(chunk);
            }
            let keep_alive = self.keep_alive();
            tokio::select! {
                changed = self.versions.changed() => if changed.is_err() { return None },
                () = tokio::time::sleep(keep_alive) => return Some(STILL_HERE),
                () = self.app.token_over(&self.caller) => {}
                () = shutdown.cancelled() => return None,
            }
        }
    }

    /// Returns when the stream is looked at again, though nothing has changed: in time to be a sign of life.
    fn keep_alive(&self) -> Duration {
        let room = self.entry.room().read();
        let idle = room.settings().and_then(|settings| settings.policy.idle);
        idle.map_or(KEEP_ALIVE, |idle| KEEP_ALIVE.min(Duration::from_millis(idle.as_millis() / 2)))
    }

    /// Says what is new.
    fn tell(&mut self) -> Option<Bytes> {
        let engine = &self.app.engine;
        let now = engine.now();
        let mut stand = Stand::now(&self.entry, self.pass, now);
        if self.entry.is_gone() {
            stand.status = PlaceStatus::Expired;
        }
        let told = match stand.status {
            PlaceStatus::Waiting => {
                Told::Waiting(stand.position, self.entry.room().read().gate() == Gate::SoldOut)
            }
            PlaceStatus::Active => Told::Active,
            PlaceStatus::Expired | PlaceStatus::Done => Told::Ended,
        };
        if told == Told::Active {
            engine.show_life(&self.entry, self.pass.ticket);
        }
        if told == self.told {
            return None;
        }
        let shown = Shown { engine, entry: &self.entry, user: &self.caller.user_id, now };
        let (name, data) = match told {
            Told::Waiting(..) | Told::Nothing => ("position", written(&shown.waiting(stand.position))),
            Told::Active => ("active", written(&shown.document(stand, true))),
            Told::Ended => ("ended", written(&EndDocument { status: stand.status.into() })),
        };
        let first = self.told == Told::Nothing;
        self.told = told;
        metrics::counter!("onsale_queue_stream_events_total", "event" => name).increment(1);
        let event = format!("event: {name}\ndata: {data}\n\n");
        if !first {
            return Some(event.into());
        }
        // Those who come again after a restart are spread over some seconds.
        let wait = 1_000 + self.pass.ticket.0.wrapping_mul(2_654_435_769) % 4_000;
        Some(format!("retry: {wait}\n{event}").into())
    }
}

/// Writes what an event of a stream says, on one line.
fn written(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("an event's type has text keys and total serialisers")
}
