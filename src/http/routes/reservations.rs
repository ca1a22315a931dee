//! Reservations: hold, exchange, give back, look up.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::queue::{check_active, shown_pass};
use super::{key_of, marked};
use crate::archive::ReservationPlace;
use crate::domain::catalogue::Catalogue;
use crate::domain::cause::{By, Cause};
use crate::domain::concert::Prices;
use crate::domain::ids::{ReservationId, ReservationNumber, ScheduleNumber, UserId};
use crate::domain::keys::KeyUse;
use crate::domain::money::Money;
use crate::domain::schedule::{
    Answer, Caller, Command, Refusal, Reservation, ReservationRef, ReservationStatus, Wish,
};
use crate::domain::time::Timestamp;
use crate::domain::venue::{Layout, Seat};
use crate::engine::{Acted, EngineError, ScheduleEntry};
use crate::http::app::App;
use crate::http::auth::{Reader, User};
use crate::http::extract::{IdempotencyKey, Page, Path, Query, RawBody, bad_cursor};
use crate::http::json::json_bytes;
use crate::http::problem::{Code, Problem};
use crate::http::refusal::problem;
use crate::http::write::JsonWriter;

/// Makes the routes of reservations.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(hold, list)).routes(routes!(read, exchange, release))
}

/// A hold to make: seats by their ids, or the best that are left.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"scheduleId": "perf-kinky-1-2027-02-09-19:30", "seats": ["1층-B-7-14"]}))]
struct HoldBody {
    schedule_id: String,
    /// The seats, 1 to `maxSeatsPerReservation`.
    seats: Option<Vec<String>>,
    /// Instead of seats: the best that are left.
    best_available: Option<BestAvailable>,
}

/// The best seats that are left.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BestAvailable {
    /// Of this grade only.
    grade: Option<String>,
    /// How many, side by side in one row where a row has room.
    #[schema(minimum = 1)]
    count: u32,
}

/// The seats that a hold shall have instead.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"seats": ["1층-B-7-15"]}))]
struct ExchangeBody {
    seats: Vec<String>,
}

/// A reservation: seats of one schedule for one user.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `write_reservation` writes")]
struct ReservationDocument {
    reservation_id: String,
    schedule_id: String,
    concert_id: String,
    concert_title: String,
    /// The venue's name.
    venue: String,
    starts_at: String,
    user_id: String,
    /// `held`, `paying`, `confirmed`, `cancelled`, `released` or `expired`.
    status: String,
    seats: Vec<ReservedSeat>,
    amount: u64,
    currency: String,
    created_at: String,
    /// From this instant on a hold is over.
    expires_at: String,
    confirmed_at: Option<String>,
    cancelled_at: Option<String>,
    payment_id: Option<String>,
    /// Whether the deadline was moved because the engine was down.
    recovered: bool,
}

/// A seat of a reservation.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `write_reservation` writes")]
struct ReservedSeat {
    seat_id: String,
    grade: String,
    price: u64,
}

/// A page of reservations.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `list` writes")]
struct ReservationList {
    items: Vec<ReservationDocument>,
    next_cursor: Option<String>,
}

/// Hold seats
///
/// One to `maxSeatsPerReservation` seats of one schedule, all or none, until `expiresAt`.
#[utoipa::path(post, path = "/api/v1/reservations", tag = "Reservations", request_body = HoldBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters"),
           ("Queue-Token" = Option<String>, Header, description = "The waiting room's pass, where there is one")),
    security(("bearer" = [])),
    responses((status = 201, description = "The seats are held", body = ReservationDocument),
        (status = 409, description = "`seat_unavailable` (with `seats`), `not_enough_seats`, `schedule_not_open`, `seat_limit_exceeded`, `orphan_seat`, `request_in_progress`"),
        (status = 422, description = "`invalid_request`, `unknown_seat` (with `seats`), `idempotency_key_reused`")))]
async fn hold(
    State(app): State<App>,
    User(caller): User,
    key: Option<IdempotencyKey>,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Response, Problem> {
    let wanted: HoldBody = body.parse()?;
    let entry = super::schedules::find(&app, &wanted.schedule_id).await?;
    let key = key.map(|key| key_of(&app, &caller, "POST /reservations", key.as_str(), &body.0));
    check_pass(&app, &entry, &caller.user_id, &headers, key)?;
    let wish = match (&wanted.seats, &wanted.best_available) {
        (Some(seats), None) => Wish::Seats(known_seats(entry.layout(), seats)?),
        (None, Some(best)) => best_wish(entry.layout(), best)?,
        (None, None) => return Err(Problem::invalid_field("seats", "seats or bestAvailable is needed")),
        (Some(_), Some(_)) => {
            return Err(Problem::invalid_field("bestAvailable", "either seats or bestAvailable, not both"));
        }
    };
    let command = Command::Hold { user: caller.user_id.clone(), wish, nonce: random() };
    let acted = app.engine.act(&entry, command, key).await.map_err(|error| {
        if let EngineError::Refused(Refusal::TooManySeats { max }) = error
            && wanted.best_available.is_some()
        {
            let detail = format!("a reservation of this schedule has at most {max} seats");
            return Problem::invalid_field("bestAvailable.count", detail);
        }
        problem(error, Some(entry.layout()))
    })?;
    let mut response = changed(&app, &entry, &acted, StatusCode::CREATED)?;
    if let Answer::Reservation(reservation) = &acted.answer {
        let location = format!("/api/v1/reservations/{}", full_id(&entry, reservation));
        let location = HeaderValue::try_from(location).expect("base 32 is visible ASCII");
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Exchange the seats of a hold
///
/// The old seats are kept when any new one is taken. The deadline stays.
#[utoipa::path(patch, path = "/api/v1/reservations/{reservationId}", tag = "Reservations", request_body = ExchangeBody,
    params(("reservationId" = String, Path), ("Idempotency-Key" = Option<String>, Header),
           ("Queue-Token" = Option<String>, Header)),
    security(("bearer" = [])),
    responses((status = 200, description = "The hold with its new seats", body = ReservationDocument),
        (status = 404, description = "`not_found`: none, or another's"),
        (status = 409, description = "`seat_unavailable`, `reservation_not_held`, `reservation_expired`, `schedule_not_open`, `seat_limit_exceeded`, `orphan_seat`"),
        (status = 422, description = "`invalid_request`, `unknown_seat`")))]
async fn exchange(
    State(app): State<App>,
    User(caller): User,
    Path(id): Path<String>,
    key: Option<IdempotencyKey>,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Response, Problem> {
    let wanted: ExchangeBody = body.parse()?;
    let (entry, reservation) = find(&app, &id).await?;
    let route = format!("PATCH /reservations/{id}");
    let key = key.map(|key| key_of(&app, &caller, &route, key.as_str(), &body.0));
    check_pass(&app, &entry, &caller.user_id, &headers, key)?;
    let seats = known_seats(entry.layout(), &wanted.seats)?;
    let caller = Caller::User(caller.user_id);
    let acted = act(&app, &entry, Command::Exchange { reservation, caller, seats }, key).await?;
    changed(&app, &entry, &acted, StatusCode::OK)
}

/// Give a reservation back
///
/// A hold is released; a confirmed reservation is cancelled, until `cancelUntilSecondsBeforeStart`.
#[utoipa::path(delete, path = "/api/v1/reservations/{reservationId}", tag = "Reservations",
    params(("reservationId" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    security(("bearer" = [])),
    responses((status = 200, description = "The reservation, released or cancelled; also when it was so before", body = ReservationDocument),
        (status = 404, description = "`not_found`: none, or another's"),
        (status = 409, description = "`reservation_not_held` (paying or expired), `cancellation_closed`")))]
async fn release(
    State(app): State<App>,
    User(caller): User,
    Path(id): Path<String>,
    key: Option<IdempotencyKey>,
) -> Result<Response, Problem> {
    let (entry, reservation) = find(&app, &id).await?;
    let route = format!("DELETE /reservations/{id}");
    let key = key.map(|key| key_of(&app, &caller, &route, key.as_str(), &[]));
    let (by, caller) = if caller.is_admin() {
        (By::Admin(caller.user_id), Caller::Admin)
    } else {
        (By::User, Caller::User(caller.user_id))
    };
    let command = Command::Release { reservation, caller };
    let acted = app.engine.act_by(&entry, command, Cause { by, key }).await;
    let acted = acted.map_err(|error| problem(error, Some(entry.layout())))?;
    changed(&app, &entry, &acted, StatusCode::OK)
}

/// Read a reservation
#[utoipa::path(get, path = "/api/v1/reservations/{reservationId}", tag = "Reservations",
    params(("reservationId" = String, Path)), security(("bearer" = [])),
    responses((status = 200, description = "The owner's (or an administrator's) view", body = ReservationDocument),
        (status = 404, description = "`not_found`: none, or another's")))]
async fn read(
    State(app): State<App>,
    Reader(caller): Reader,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let (entry, reference) = find(&app, &id).await?;
    let reservation = app.engine.read_reservation(&entry, reference).await;
    let reservation = reservation.filter(|reservation| caller.may_see(&reservation.user));
    let reservation = reservation.ok_or_else(Problem::not_found)?;
    let shown = Shown::new(&app, &entry)?;
    let mut json = JsonWriter::with_capacity(640);
    shown.write(&mut json, &reservation);
    Ok(json_bytes(StatusCode::OK, json.into_bytes()))
}

/// What a list of reservations is narrowed by.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Narrow {
    status: Option<String>,
    schedule_id: Option<String>,
}

/// List the caller's reservations, newest first
///
/// Of those that ended (released, expired, cancelled), the newest 1,000 of a schedule, for 7 days as a rule.
#[utoipa::path(get, path = "/api/v1/reservations", tag = "Reservations",
    params(("status" = Option<String>, Query), ("scheduleId" = Option<String>, Query),
           ("limit" = Option<u32>, Query, description = "1–1000, default 100"), ("cursor" = Option<String>, Query)),
    security(("bearer" = [])),
    responses((status = 200, description = "A page of them", body = ReservationList)))]
async fn list(
    State(app): State<App>,
    Reader(caller): Reader,
    Query(narrow): Query<Narrow>,
    page: Page,
) -> Result<Response, Problem> {
    let status = narrow.status.as_deref().map(status_named).transpose()?;
    let before = page.cursor.as_deref().map(|cursor| read_cursor(&app, cursor)).transpose()?;
    let (user, schedule, most) = (&caller.user_id, narrow.schedule_id.as_deref(), page.limit + 1);
    let found = app.engine.reservations_of(user, schedule, status, before, most).await;
    let mut found = found.map_err(|error| problem(error, None))?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().filter(|_| more).map(|(place, ..)| write_cursor(&app, *place));
    let mut json = JsonWriter::with_capacity(640 * found.len() + 64);
    json.raw("{\"items\":[");
    for (index, (_, entry, reservation)) in found.into_iter().enumerate() {
        if index > 0 {
            json.raw(",");
        }
        Shown::new(&app, &entry)?.write(&mut json, &reservation);
    }
    json.raw("],\"nextCursor\":");
    match next {
        Some(next) => json.string(&next),
        None => json.raw("null"),
    };
    json.raw("}");
    Ok(json_bytes(StatusCode::OK, json.into_bytes()))
}

fn write_cursor(app: &App, (at, schedule, number): ReservationPlace) -> String {
    write_place(at, schedule, app.engine.close_cursor(schedule, number.0))
}

fn read_cursor(app: &App, text: &str) -> Result<ReservationPlace, Problem> {
    let (at, schedule, number) = read_place(text)?;
    Ok((at, schedule, ReservationNumber(app.engine.open_cursor(schedule, number))))
}

/// Writes a place in a list that goes by instant, schedule and number; the number is hidden already.
pub(super) fn write_place(at: Timestamp, schedule: ScheduleNumber, number: u32) -> String {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&at.as_millis().to_be_bytes());
    bytes[8..12].copy_from_slice(&schedule.0.to_be_bytes());
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a place in such a list.
///
/// # Errors
/// 400 `malformed_request` for a cursor that no list gave.
pub(super) fn read_place(text: &str) -> Result<(Timestamp, ScheduleNumber, u32), Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    let bits = u128::from_be_bytes(bytes.ok_or_else(bad_cursor)?);
    let part = |shift: u32| u32::try_from((bits >> shift) & u128::from(u32::MAX)).expect("masked");
    let at = u64::try_from(bits >> 64).expect("shifted");
    Ok((Timestamp::from_millis(at), ScheduleNumber(part(32)), part(0)))
}

fn status_named(name: &str) -> Result<ReservationStatus, Problem> {
    use ReservationStatus::{Cancelled, Confirmed, Expired, Held, Paying, Released};
    [Held, Paying, Confirmed, Cancelled, Released, Expired]
        .into_iter()
        .find(|status| status.as_str() == name)
        .ok_or_else(|| Problem::invalid_field("status", "not a status of a reservation"))
}

/// Finds the seats that a body names: each known, none twice.
pub(super) fn known_seats(layout: &Layout, names: &[String]) -> Result<Arc<[Seat]>, Problem> {
    let mut seats = Vec::with_capacity(names.len());
    let mut unknown = Vec::new();
    let mut seen = HashSet::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        match layout.seat(name) {
            Some(seat) => seats.push(seat),
            None => unknown.push(name.as_str()),
        }
        if !seen.insert(name) {
            return Err(Problem::invalid_field(format!("seats[{index}]"), "the seat is named twice"));
        }
    }
    if !unknown.is_empty() {
        return Err(Problem::new(Code::UnknownSeat, "The venue has no such seats; see `seats`.")
            .with("seats", unknown));
    }
    Ok(seats.into())
}

fn best_wish(layout: &Layout, best: &BestAvailable) -> Result<Wish, Problem> {
    if best.count == 0 {
        return Err(Problem::invalid_field("bestAvailable.count", "at least one seat is needed"));
    }
    let grade = |name: &String| {
        let unknown =
            || Problem::invalid_field("bestAvailable.grade", "the venue has no seats of this grade");
        layout.grade(name).ok_or_else(unknown)
    };
    let grade = best.grade.as_ref().map(grade).transpose()?;
    Ok(Wish::Best { grade, count: best.count })
}

/// Checks the pass where the schedule has a waiting room. What was answered before needs none any more: its key
/// finds the answer.
fn check_pass(
    app: &App,
    entry: &ScheduleEntry,
    user: &UserId,
    headers: &HeaderMap,
    key: Option<KeyUse>,
) -> Result<(), Problem> {
    if entry.is_archived() {
        // There is nothing to queue for: the schedule says so itself.
        return Ok(());
    }
    {
        let schedule = entry.read();
        let answered = |key| schedule.find_key(key, app.engine.now()).is_some();
        if schedule.plan().policy.queue.is_none() || key.is_some_and(answered) {
            return Ok(());
        }
    }
    check_active(app, entry, shown_pass(app, entry, user, headers)?)
}

/// Finds the schedule that a reservation's id names; the actor checks whose the reservation is.
async fn find(app: &App, id: &str) -> Result<(Arc<ScheduleEntry>, ReservationRef), Problem> {
    let id = app.engine.reservation_id(id).ok_or_else(Problem::not_found)?;
    let found = app.engine.find_schedule_numbered(id.schedule).await;
    let entry = found.map_err(|error| problem(error, None))?.ok_or_else(Problem::not_found)?;
    Ok((entry, ReservationRef { number: id.number, nonce: id.nonce }))
}

async fn act(
    app: &App,
    entry: &ScheduleEntry,
    command: Command,
    key: Option<KeyUse>,
) -> Result<Acted, Problem> {
    app.engine.act(entry, command, key).await.map_err(|error| problem(error, Some(entry.layout())))
}

fn changed(app: &App, entry: &ScheduleEntry, acted: &Acted, status: StatusCode) -> Result<Response, Problem> {
    let Answer::Reservation(reservation) = &acted.answer else {
        unreachable!("a command about a reservation answers with one");
    };
    let mut json = JsonWriter::with_capacity(640);
    Shown::new(app, entry)?.write(&mut json, reservation);
    Ok(marked(json_bytes(status, json.into_bytes()), acted.replayed))
}

fn full_id(entry: &ScheduleEntry, reservation: &Reservation) -> ReservationId {
    ReservationId { schedule: entry.number(), number: reservation.number, nonce: reservation.nonce }
}

/// What a reservation's document says beside the reservation: the show, the place, the prices.
struct Shown<'a> {
    entry: &'a ScheduleEntry,
    catalogue: Arc<Catalogue>,
    prices: Arc<Prices>,
    starts_at: Timestamp,
}

impl<'a> Shown<'a> {
    fn new(app: &App, entry: &'a ScheduleEntry) -> Result<Self, Problem> {
        let (prices, starts_at) = {
            let schedule = entry.read();
            (schedule.prices().cloned(), schedule.plan().starts_at)
        };
        // A reservation exists only once prices are bound.
        let prices = prices.ok_or_else(|| problem(EngineError::NoSuchSchedule, None))?;
        Ok(Self { entry, catalogue: app.engine.catalogue(), prices, starts_at })
    }

    fn write(&self, json: &mut JsonWriter, reservation: &Reservation) {
        let concert = self.catalogue.concert(self.entry.concert());
        let venue = concert.and_then(|concert| self.catalogue.venue(&concert.venue));
        let layout = self.entry.layout();
        json.raw("{\"reservationId\":\"").display(full_id(self.entry, reservation));
        json.raw("\",\"scheduleId\":").string(self.entry.id());
        json.raw(",\"concertId\":").string(self.entry.concert());
        json.raw(",\"concertTitle\":").string(concert.map_or("", |concert| &concert.title));
        json.raw(",\"venue\":").string(venue.map_or("", |built| &built.venue.name));
        json.raw(",\"startsAt\":").instant(self.starts_at);
        json.raw(",\"userId\":").string(&reservation.user);
        json.raw(",\"status\":\"").raw(reservation.status.as_str());
        json.raw("\",\"seats\":[");
        let mut amount = Money::ZERO;
        for (index, seat) in reservation.seats.iter().enumerate() {
            let grade = layout.grade_of(*seat);
            let price = self.prices.by_grade[grade.index()];
            amount = amount.plus(price).expect("the seats of one reservation cost less than 2^53");
            json.raw(if index == 0 { "{\"seatId\":" } else { ",{\"seatId\":" }).string(layout.seat_id(*seat));
            json.raw(",\"grade\":").string(&layout.grades()[grade.index()]);
            json.raw(",\"price\":").display(price.minor()).raw("}");
        }
        json.raw("],\"amount\":").display(amount.minor());
        json.raw(",\"currency\":").string(concert.map_or("", |concert| concert.currency.as_str()));
        json.raw(",\"createdAt\":").instant(reservation.created_at);
        json.raw(",\"expiresAt\":").instant(reservation.expires_at);
        json.raw(",\"confirmedAt\":").instant_or_null(reservation.confirmed_at);
        json.raw(",\"cancelledAt\":").instant_or_null(reservation.cancelled_at);
        json.raw(",\"paymentId\":");
        match reservation.payment {
            Some(payment) => json.raw("\"").display(payment).raw("\""),
            None => json.raw("null"),
        };
        json.raw(",\"recovered\":").display(reservation.recovered).raw("}");
    }
}

/// Returns 64 random bits for an id that can't be guessed, from the operating system's generator; asked for 64 of them
/// at a time, since the call costs more than the number.
pub(super) fn random() -> u64 {
    const POOL: usize = 512;
    thread_local! {
        static UNUSED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    UNUSED.with_borrow_mut(|unused| {
        if unused.is_empty() {
            unused.resize(POOL, 0);
            getrandom::fill(unused).expect("the operating system has random numbers");
        }
        let (rest, bytes) = unused.split_last_chunk().expect("a whole number of eight bytes is left");
        let (number, rest) = (u64::from_le_bytes(*bytes), rest.len());
        unused.truncate(rest);
        number
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_anything_else_is_malformed() {
        let (at, schedule, number) = (Timestamp::from_millis(1_700_000_000_123), ScheduleNumber(7), 9);
        assert_eq!(read_place(&write_place(at, schedule, number)), Ok((at, schedule, number)));
        for wrong in ["", "x", "AAAA", "****"] {
            assert_eq!(read_place(wrong).unwrap_err().code(), Code::MalformedRequest, "{wrong}");
        }
    }
}
