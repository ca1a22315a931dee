//! The service: the routes that a comparison uses, over any store.

use std::{net::Ipv4Addr, sync::Arc};

use anyhow::{Context, Result};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
    serve::ListenerExt,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{
    answers,
    hall::{Concert, Halls, Layout, Nonces, SEATS_MAX, SeatId},
    store::{Hold, Payment, Store},
    tokens::{Tokens, bearer},
};
use crate::{clock::unix_millis, echo::parent_ended};

struct App<S> {
    store: S,
    tokens: Tokens,
    admin_token: String,
    halls: Halls,
    nonces: Nonces,
}

type Shared<S> = Arc<App<S>>;

/// The user that calls.
struct User(Arc<str>);

impl<S: Store> FromRequestParts<Shared<S>> for User {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Shared<S>) -> Result<Self, Response> {
        app.tokens.user(&parts.headers, unix_millis() / 1000).map(Self).ok_or_else(unauthenticated)
    }
}

/// Whoever sets up what is sold.
struct Admin;

impl<S: Store> FromRequestParts<Shared<S>> for Admin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Shared<S>) -> Result<Self, Response> {
        if bearer(&parts.headers) == Some(&app.admin_token) { Ok(Self) } else { Err(unauthenticated()) }
    }
}

fn unauthenticated() -> Response {
    let detail = "This needs a bearer token in the Authorization header.";
    answers::problem(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
}

fn not_found() -> Response {
    answers::problem(StatusCode::NOT_FOUND, "not_found", "There is no such thing, or it is another's.")
}

fn invalid(detail: &str) -> Response {
    answers::problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail)
}

/// The store failed; whether the change was made isn't known.
#[expect(clippy::print_stderr, reason = "the log of a peer")]
fn failed(error: &anyhow::Error) -> Response {
    eprintln!("the store failed: {error:#}");
    answers::problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "outcome_unknown",
        "The change may or may not have been made.",
    )
}

fn now() -> i64 {
    i64::try_from(unix_millis()).expect("not for 292 million years")
}

/// The one seat that is wanted. Borrowed: ids have no escapes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HoldBody<'a> {
    #[serde(borrow)]
    schedule_id: &'a str,
    #[serde(borrow)]
    seats: [&'a str; 1],
}

async fn hold<S: Store>(State(app): State<Shared<S>>, User(user): User, body: Bytes) -> Response {
    let Ok(HoldBody { schedule_id, seats: [seat] }) = serde_json::from_slice(&body) else {
        return invalid("A hold is of one seat of a schedule.");
    };
    let Some(schedule) = app.halls.schedule(schedule_id) else { return not_found() };
    let Some(seat) = schedule.layout.number(seat) else {
        return answers::problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "unknown_seat",
            "The schedule has no such seat.",
        );
    };

    let id = SeatId { schedule: schedule.number, seat, nonce: app.nonces.next() };
    let now = now();
    let expires_at = now + schedule.hold_millis;
    match app.store.hold(&Hold { id, user: &user, now, expires_at }).await {
        Ok(true) => answers::reservation(StatusCode::CREATED, &schedule, id, &user, "held", expires_at),
        Ok(false) => answers::problem(StatusCode::CONFLICT, "seat_unavailable", "The seat is held or sold."),
        Err(error) => failed(&error),
    }
}

async fn release<S: Store>(
    State(app): State<Shared<S>>,
    User(user): User,
    Path(id): Path<String>,
) -> Response {
    let Ok(id) = id.parse() else { return not_found() };
    let Some(schedule) = app.halls.of(id) else { return not_found() };
    match app.store.release(id, &user).await {
        Ok(Some(expires_at)) => {
            answers::reservation(StatusCode::OK, &schedule, id, &user, "released", expires_at)
        }
        Ok(None) => not_found(),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PayBody<'a> {
    #[serde(borrow)]
    reservation_id: &'a str,
    #[serde(borrow)]
    method: &'a str,
}

/// The header that makes a payment repeatable.
struct Key(Box<str>);

impl<S: Store> FromRequestParts<Shared<S>> for Key {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &Shared<S>) -> Result<Self, Response> {
        let key = parts.headers.get("idempotency-key").and_then(|key| key.to_str().ok());
        key.filter(|key| (1..=255).contains(&key.len())).map(|key| Self(key.into())).ok_or_else(|| {
            answers::problem(StatusCode::BAD_REQUEST, "malformed_request", "There is no Idempotency-Key.")
        })
    }
}

async fn pay<S: Store>(
    State(app): State<Shared<S>>,
    User(user): User,
    Key(key): Key,
    body: Bytes,
) -> Response {
    let Ok(PayBody { reservation_id, method: "balance" }) = serde_json::from_slice(&body) else {
        return invalid("A payment is of a reservation, from the balance.");
    };
    let Ok(hold) = reservation_id.parse::<SeatId>() else { return not_found() };
    let Some(schedule) = app.halls.of(hold) else { return not_found() };

    let id = SeatId { nonce: app.nonces.next(), ..hold };
    let amount = i64::try_from(schedule.concert.price).expect("checked when it was set up");
    let payment = Payment { hold, id, user: &user, key: &key, amount, now: now() };
    match app.store.pay(&payment).await {
        Ok(paid) => answers::payment(&schedule, &user, hold, paid),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "rowId")]
    id: String,
    length: usize,
}

#[derive(Deserialize)]
struct Section {
    #[serde(rename = "sectionId")]
    id: String,
    floor: String,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct VenueBody {
    name: String,
    sections: Vec<Section>,
}

async fn put_venue<S: Store>(
    State(app): State<Shared<S>>,
    _: Admin,
    Path(id): Path<String>,
    Json(venue): Json<VenueBody>,
) -> Response {
    let mut seats: Vec<Box<str>> = Vec::new();
    for section in &venue.sections {
        for row in &section.rows {
            if seats.len() + row.length > SEATS_MAX {
                return invalid("The venue has too many seats.");
            }
            let seat = |n| format!("{}-{}-{}-{n}", section.floor, section.id, row.id).into();
            seats.extend((1..=row.length).map(seat));
        }
    }
    app.halls.put_venue(id, Layout::new(venue.name, seats));
    StatusCode::CREATED.into_response()
}

#[derive(Deserialize)]
struct Grade {
    grade: String,
    price: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConcertBody {
    title: String,
    venue_id: String,
    currency: String,
    grades: [Grade; 1],
}

async fn put_concert<S: Store>(
    State(app): State<Shared<S>>,
    _: Admin,
    Path(id): Path<String>,
    Json(body): Json<ConcertBody>,
) -> StatusCode {
    let ConcertBody { title, venue_id, currency, grades: [Grade { grade, price }] } = body;
    app.halls.put_concert(Concert { id, title, venue: venue_id, grade, price: price.into(), currency });
    StatusCode::CREATED
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    hold_seconds: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScheduleBody {
    concert_id: String,
    starts_at: String,
    policy: Policy,
}

async fn put_schedule<S: Store>(
    State(app): State<Shared<S>>,
    _: Admin,
    Path(id): Path<String>,
    Json(body): Json<ScheduleBody>,
) -> Response {
    let hold_millis = i64::from(body.policy.hold_seconds) * 1000;
    let Some(schedule) = app.halls.put_schedule(&id, &body.concert_id, body.starts_at, hold_millis) else {
        return not_found();
    };
    let seats = u32::try_from(schedule.layout.seats.len()).expect("checked when the venue was set up");
    match app.store.open(schedule.number, seats).await {
        Ok(()) => StatusCode::CREATED.into_response(),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
struct ChargeBody {
    amount: i64,
}

async fn charge<S: Store>(
    State(app): State<Shared<S>>,
    _: Admin,
    Path(user): Path<String>,
    Json(ChargeBody { amount }): Json<ChargeBody>,
) -> Response {
    match app.store.charge(&user, amount).await {
        Ok(balance) => {
            answers::json(StatusCode::CREATED, &json!({ "currentBalance": balance, "chargedAmount": amount }))
        }
        Err(error) => failed(&error),
    }
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Serves a store on a free port until the input closes.
#[expect(clippy::print_stdout, reason = "the parent reads where the peer listens")]
pub(super) async fn serve<S: Store>(store: S) -> Result<()> {
    let variable = |name| std::env::var(name).with_context(|| format!("{name} must be set"));
    let app = App {
        store,
        tokens: Tokens::new(variable("ONSALE_JWT_SECRET")?.as_bytes()),
        admin_token: variable("ONSALE_ADMIN_TOKEN")?,
        halls: Halls::default(),
        nonces: Nonces::default(),
    };
    let routes = Router::new()
        .route("/healthz", get(health))
        .route("/api/v1/venues/{id}", put(put_venue::<S>))
        .route("/api/v1/concerts/{id}", put(put_concert::<S>))
        .route("/api/v1/schedules/{id}", put(put_schedule::<S>))
        .route("/api/v1/schedules/{id}/open", post(StatusCode::OK))
        .route("/api/v1/users/{id}/balance", post(charge::<S>))
        .route("/api/v1/reservations", post(hold::<S>))
        .route("/api/v1/reservations/{id}", delete(release::<S>))
        .route("/api/v1/payments", post(pay::<S>))
        .with_state(Arc::new(app));

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    // As the server does.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    tokio::select! {
        served = async { axum::serve(listener, routes).await } => served?,
        () = parent_ended() => {}
    }
    Ok(())
}
