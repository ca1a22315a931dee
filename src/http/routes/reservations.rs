//! Reservations: hold, exchange, give back, look up.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::archive::ReservationPlace;
use crate::domain::cause::{By, Cause};
use crate::domain::ids::{ScheduleId, UserId};
use crate::domain::schedule::{Caller, Command, Reservation, ReservationRef, ReservationStatus};
use crate::engine::{FoundReservation, Listed, Narrow, ScheduleEntry};
use crate::http::ClientAddress;
use crate::http::app::App;
use crate::http::auth::{Auditor, Reader, Returner, Right, User, Viewer};
use crate::http::changes;
use crate::http::codes::{self, BroughtTo};
use crate::http::documents::{
    self, CatalogueId, CodeText, GuestDocument, ReservationDocument, ReservationWord, Surroundings, UserText,
};
use crate::http::extract::{IdempotencyKey, Path, Query, RawBody};
use crate::http::idempotency::{is_answered, key_of};
use crate::http::json::Json;
use crate::http::lookup::{self, narrowed};
use crate::http::page::{List, Page};
use crate::http::pass::{ShownPass, check_active};
use crate::http::problem::Problem;
use crate::http::refusal::problem;
use crate::http::table::{Routes, routes};
use crate::http::wish::{AreaPlacesBody, Asked, BestAvailable, SeatWish};
use crate::random;

/// Makes the routes of reservations.
pub fn routes() -> Routes<App> {
    routes![hold, list, read, exchange, release, of_schedule]
}

/// The hold to make: seats by their ids, places of areas, or both; or the best seats that are left.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"scheduleId": "perf-kinky-1-2027-02-09-19:30", "seats": ["1층-B-7-14"]}))]
struct HoldBody {
    #[schema(value_type = CatalogueId)]
    schedule_id: String,
    /// The seats, each once: by its id, or with its price type. With the places of areas there are 1 to `maxSeatsPerReservation`.
    #[schema(value_type = Option<HashSet<SeatWish>>, min_items = 1, max_items = 100)]
    seats: Option<Vec<SeatWish>>,
    /// Places of areas, each area once for a price type.
    #[schema(min_items = 1, max_items = 100)]
    areas: Option<Vec<AreaPlacesBody>>,
    /// Instead of `seats` and `areas`: the best seats that are left.
    best_available: Option<BestAvailable>,
    /// Whether it may have accessible seats and those of companions, which are else refused until `policy.accessibleReleaseAt`.
    #[serde(default)]
    accessible: bool,
    /// A code: it opens a phase or an allotment, or takes something off.
    #[schema(value_type = Option<CodeText>)]
    code: Option<String>,
}

/// What replaces what a hold has: as in a new hold. All of its lines are anew, at the prices that the sale has had since it opened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"seats": ["1층-B-7-15"]}))]
#[expect(clippy::option_option, reason = "null lets go of the code, and an absent field keeps it")]
struct ExchangeBody {
    /// The new seats, each once: by its id, or with its price type. With the places of areas there are 1 to `maxSeatsPerReservation`.
    #[schema(value_type = Option<HashSet<SeatWish>>, min_items = 1, max_items = 100)]
    seats: Option<Vec<SeatWish>>,
    /// Places of areas, each area once for a price type.
    #[schema(min_items = 1, max_items = 100)]
    areas: Option<Vec<AreaPlacesBody>>,
    /// Instead of `seats` and `areas`: the best seats that are left, or the hold's own.
    best_available: Option<BestAvailable>,
    /// Whether it may have accessible seats and those of companions beside those that it has.
    #[serde(default)]
    accessible: bool,
    /// Another code; if absent, the hold keeps the one that it has, and with null it lets go of it.
    #[serde(default, deserialize_with = "documents::given")]
    #[schema(value_type = Option<CodeText>)]
    code: Option<Option<String>>,
}

/// Hold seats
///
/// Holds 1 to `maxSeatsPerReservation` seats, and places of areas, of one schedule until `expiresAt`, all or none. What they cost is decided
/// now: each place at the price of its price type, less what a code takes off, and the concert's fees.
#[utoipa::path(post, path = "/api/v1/reservations", operation_id = "holdSeats", tag = "Reservations", request_body = HoldBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters"),
           ("Queue-Token" = Option<String>, Header, description = "The waiting room's pass, if the schedule has a room")),
    security(("bearer" = [])),
    responses((status = 201, description = "The seats are held", body = ReservationDocument<'static>),
        (status = 401, description = "`queue_token_invalid`"),
        (status = 403, description = "`user_suspended`, `queue_token_required`, `queue_not_active` (with `position`), `code_required`, `code_invalid` (one answer for every reason)"),
        (status = 409, description = "`seat_unavailable` (with `seats`), `not_enough_seats` (with `areas` where those were named), `accessible_seat` (with `seats`), `schedule_not_open`, `seat_limit_exceeded`, `orphan_seat`, `code_exhausted`, `request_in_progress`"),
        (status = 422, description = "`invalid_request`, `unknown_seat` (with `seats`), `idempotency_key_reused`"),
        (status = 429, description = "`rate_limited`: among others, too many wrong codes of this user or from this address")))]
async fn hold(
    State(app): State<App>,
    User(caller): User,
    address: ClientAddress,
    key: Option<IdempotencyKey>,
    pass: ShownPass,
    body: RawBody,
) -> Result<Response, Problem> {
    let wanted: HoldBody = body.parse()?;
    let entry = lookup::find(&app, &wanted.schedule_id).await?;
    let key = key.map(|key| key_of(&app, &caller, "POST /reservations", key.as_str(), &body.0));
    let answered = is_answered(&app, &entry, key)?;
    check_pass(&app, &entry, &caller.user_id, &pass, answered)?;
    let asked = wanted.asked();
    let mut wish = asked.wish(&entry)?;
    let text = wanted.code.as_deref().filter(|_| !answered);
    let brought = codes::brought(&app, &entry, &caller.user_id, address, text, BroughtTo::Hold)?;
    wish.code = brought.code.as_ref().map(|code| Arc::clone(code.text()));
    let command = Command::hold(caller.user_id.clone(), wish, random::number());
    let acted = app.engine.act(&entry, command, key).await.map_err(|error| {
        brought.note(&error);
        asked.refused(error, &entry)
    })?;
    changes::reserved(&app, &entry, &acted, StatusCode::CREATED)
}

/// Exchange what a hold has
///
/// Seats and places of areas for others, in one step: if any new one is taken, the hold keeps what it has. The deadline doesn't change. A
/// place for which no price type is named has the default one; fees count once for what the hold then has.
///
/// A hold with a code keeps it, unless the exchange brings another or lets go of it (`"code": null`); what it has then costs what it would
/// without. What the hold hasn't got yet, it gets by its code only where a new hold could use the code at this instant. Once the code, its
/// phase or its allotment is over, an exchange for anything else is `code_invalid`, and one that only gives some of its places back stays
/// possible, and the code takes off what it took off, however it was defined anew.
#[utoipa::path(patch, path = "/api/v1/reservations/{reservationId}", operation_id = "exchangeSeats", tag = "Reservations", request_body = ExchangeBody,
    params(("reservationId" = String, Path), ("Idempotency-Key" = Option<String>, Header),
           ("Queue-Token" = Option<String>, Header)),
    security(("bearer" = [])),
    responses((status = 200, description = "The hold with its new seats", body = ReservationDocument<'static>),
        (status = 401, description = "`queue_token_invalid`"),
        (status = 403, description = "`user_suspended`, `queue_token_required`, `queue_not_active` (with `position`), `code_required`, `code_invalid`"),
        (status = 404, description = "`not_found`: it doesn't exist, or belongs to another user"),
        (status = 409, description = "`seat_unavailable`, `not_enough_seats`, `accessible_seat`, `reservation_not_held`, `reservation_expired`, `schedule_not_open`, `seat_limit_exceeded`, `orphan_seat`, `code_exhausted`"),
        (status = 422, description = "`invalid_request`, `unknown_seat`"),
        (status = 429, description = "`rate_limited`: among others, too many wrong codes of this user or from this address")))]
async fn exchange(
    State(app): State<App>,
    User(caller): User,
    address: ClientAddress,
    Path(id): Path<String>,
    key: Option<IdempotencyKey>,
    pass: ShownPass,
    body: RawBody,
) -> Result<Response, Problem> {
    let wanted: ExchangeBody = body.parse()?;
    let (entry, reservation) = find(&app, &id).await?;
    let route = format!("PATCH /reservations/{id}");
    let key = key.map(|key| key_of(&app, &caller, &route, key.as_str(), &body.0));
    let answered = is_answered(&app, &entry, key)?;
    check_pass(&app, &entry, &caller.user_id, &pass, answered)?;
    let asked = wanted.asked();
    let mut wish = asked.wish(&entry)?;
    let text = wanted.code.as_ref().and_then(|code| code.as_deref()).filter(|_| !answered);
    let to = BroughtTo::Exchange(reservation);
    let brought = codes::brought(&app, &entry, &caller.user_id, address, text, to)?;
    wish.code = brought.code.as_ref().map(|code| Arc::clone(code.text()));
    wish.drops_code = wanted.code == Some(None);
    let command = Command::Exchange { reservation, caller: Caller::User(caller.user_id.clone()), wish };
    let acted = app.engine.act(&entry, command, key).await.map_err(|error| {
        brought.note(&error);
        asked.refused(error, &entry)
    })?;
    changes::reserved(&app, &entry, &acted, StatusCode::OK)
}

/// Give a reservation back
///
/// Releases a hold, or cancels a confirmed reservation until `cancelUntilSecondsBeforeStart` before the start, administrators always:
/// `refundAmount` goes back, if the reservation has it, and else all. The box office cancels orders likewise, and nothing else; an order
/// says `refund` `by_hand`, since whoever took its money gives it back.
#[utoipa::path(delete, path = "/api/v1/reservations/{reservationId}", operation_id = "giveReservationBack", tag = "Reservations",
    params(("reservationId" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    security(("bearer" = [])),
    responses((status = 200, description = "The reservation, now or already released or cancelled", body = ReservationDocument<'static>),
        (status = 404, description = "`not_found`: it doesn't exist, or belongs to another user"),
        (status = 409, description = "`reservation_not_held` (paying or expired), `cancellation_closed`")))]
async fn release(
    State(app): State<App>,
    Returner(caller): Returner,
    Path(id): Path<String>,
    key: Option<IdempotencyKey>,
) -> Result<Response, Problem> {
    let (entry, reservation) = find(&app, &id).await?;
    let route = format!("DELETE /reservations/{id}");
    let key = key.map(|key| key_of(&app, &caller, &route, key.as_str(), &[]));
    let (by, caller) = if caller.is_admin() {
        (By::Admin(caller.user_id), Caller::Admin)
    } else if caller.role.may(Right::Sell) {
        (By::Admin(caller.user_id), Caller::Clerk)
    } else {
        (By::User, Caller::User(caller.user_id))
    };
    let command = Command::Release { reservation, caller };
    let acted = changes::act(&app, &entry, command, Cause { by, key }).await?;
    changes::reserved(&app, &entry, &acted, StatusCode::OK)
}

/// Read a reservation
#[utoipa::path(get, path = "/api/v1/reservations/{reservationId}", operation_id = "readReservation", tag = "Reservations",
    params(("reservationId" = String, Path)), security(("bearer" = [])),
    responses((status = 200, description = "The reservation, for its owner and administrators; an order, for the box office, too", body = ReservationDocument<'static>),
        (status = 404, description = "`not_found`: it doesn't exist, or belongs to another user")))]
async fn read(
    State(app): State<App>,
    Viewer(caller): Viewer,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let (entry, reference) = find(&app, &id).await?;
    let reservation = app.engine.read_reservation(&entry, reference).await;
    let visible = |kept: &Reservation| caller.may_see_of(kept.user.as_ref(), kept.order().is_some());
    let reservation = reservation.filter(visible).ok_or_else(Problem::not_found)?;
    let surroundings = Surroundings::of(&app.engine, &entry).map_err(|error| problem(error, None))?;
    Ok(Json(StatusCode::OK, surroundings.show(&reservation)).into_response())
}

/// The filter of a list of reservations.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct Narrowing {
    /// Only those of this user. Others than administrators may only name themselves.
    #[serde(default, deserialize_with = "documents::narrowing_id")]
    #[param(value_type = Option<UserText>)]
    user_id: Option<UserId>,
    /// Only those of this schedule.
    #[serde(default, deserialize_with = "documents::narrowing_id")]
    #[param(value_type = Option<CatalogueId>)]
    schedule_id: Option<ScheduleId>,
    /// Only those with this status.
    status: Option<ReservationWord>,
}

/// List reservations, newest first
///
/// Users see their own; administrators see everyone's, or those of one user. Ended ones (released, expired,
/// cancelled) are kept for 7 days by default, and at most the newest 1,000 of a user in a schedule.
#[utoipa::path(get, path = "/api/v1/reservations", operation_id = "listReservations", tag = "Reservations",
    params(Narrowing, Page), security(("bearer" = [])),
    responses((status = 200, description = "A page of the list", body = List<ReservationDocument<'static>>),
        (status = 403, description = "`forbidden`: it belongs to another user")))]
async fn list(
    State(app): State<App>,
    Reader(caller): Reader,
    Query(narrowing): Query<Narrowing>,
    page: Page,
) -> Result<Response, Problem> {
    let user = narrowed(&caller, narrowing.user_id.as_ref())?;
    let (schedule, status) = (narrowing.schedule_id.as_deref(), narrowing.status.map(Into::into));
    let listed = listed(&app, Narrow { user, schedule, status }, &page).await?;
    let shown = shown(&app, &listed.items)?;
    let items = shown.iter().map(|(surroundings, reservation)| surroundings.show(reservation)).collect();
    Ok(Json(StatusCode::OK, List::new(items, listed.next.as_ref())).into_response())
}

/// The filter of a schedule's list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct InState {
    /// Only those with this status.
    status: Option<ReservationWord>,
}

/// List a schedule's reservations, newest first
///
/// With `status=confirmed` this is the door list. Ended reservations are kept for 7 days by default, and at most
/// the newest 1,000 of a user in a schedule.
#[utoipa::path(get, path = "/api/v1/schedules/{scheduleId}/reservations", operation_id = "listReservationsOfSchedule",
    tag = "Reservations", params(("scheduleId" = String, Path), InState, Page), security(("bearer" = [])),
    responses((status = 200, description = "A page of the list", body = List<GuestDocument<'static>>),
        (status = 404, description = "`not_found`")))]
async fn of_schedule(
    State(app): State<App>,
    _: Auditor,
    Path(id): Path<String>,
    Query(narrowing): Query<InState>,
    page: Page,
) -> Result<Response, Problem> {
    lookup::find(&app, &id).await?;
    let narrow = Narrow { user: None, schedule: Some(&*id), status: narrowing.status.map(Into::into) };
    let listed = listed(&app, narrow, &page).await?;
    let shown = shown(&app, &listed.items)?;
    let name = |user: &UserId| {
        let profile = app.engine.user(user)?.profile?;
        Some(profile.name.as_str().to_owned())
    };
    let guests = shown.iter().map(|(surroundings, reservation)| GuestDocument {
        user_name: reservation.user.as_ref().and_then(name),
        reservation: surroundings.show(reservation),
    });
    Ok(Json(StatusCode::OK, List::new(guests.collect(), listed.next.as_ref())).into_response())
}

/// Finds a page of reservations.
async fn listed(
    app: &App,
    narrow: Narrow<'_, ReservationStatus>,
    page: &Page,
) -> Result<Listed<FoundReservation, ReservationPlace>, Problem> {
    let listed = app.engine.list_reservations(narrow, page.behind()?, page.limit).await;
    listed.map_err(|error| problem(error, None))
}

/// Makes the documents of reservations.
fn shown<'a>(
    app: &App,
    found: &'a [FoundReservation],
) -> Result<Vec<(Surroundings<'a>, &'a Reservation)>, Problem> {
    let one = |(_, entry, reservation): &'a FoundReservation| {
        Ok((Surroundings::of(&app.engine, entry)?, reservation))
    };
    found.iter().map(one).collect::<Result<_, _>>().map_err(|error| problem(error, None))
}

impl HoldBody {
    fn asked(&self) -> Asked<'_> {
        let Self { seats, areas, best_available, accessible, .. } = self;
        Asked {
            seats: seats.as_deref(),
            areas: areas.as_deref(),
            best: best_available.as_ref(),
            accessible: *accessible,
        }
    }
}

impl ExchangeBody {
    fn asked(&self) -> Asked<'_> {
        let Self { seats, areas, best_available, accessible, .. } = self;
        Asked {
            seats: seats.as_deref(),
            areas: areas.as_deref(),
            best: best_available.as_ref(),
            accessible: *accessible,
        }
    }
}

/// Checks the pass if the schedule has a waiting room. A request whose key has an answer already needs none.
fn check_pass(
    app: &App,
    entry: &ScheduleEntry,
    user: &UserId,
    pass: &ShownPass,
    answered: bool,
) -> Result<(), Problem> {
    // Of an archived schedule there is nothing to queue for: it says so itself.
    if answered || entry.is_archived() || entry.read().plan().policy.queue.is_none() {
        return Ok(());
    }
    check_active(app, entry, pass.read(app, entry, user)?)
}

/// Finds the schedule of a reservation's id. Its actor checks whose the reservation is.
async fn find(app: &App, id: &str) -> Result<(Arc<ScheduleEntry>, ReservationRef), Problem> {
    let id = app.engine.reservation_id(id).ok_or_else(Problem::not_found)?;
    let found = app.engine.find_schedule_numbered(id.schedule).await;
    let entry = found.map_err(|error| problem(error, None))?.ok_or_else(Problem::not_found)?;
    Ok((entry, ReservationRef { number: id.number, nonce: id.nonce }))
}
