//! The bare echo: what axum and serde cost for a request of this size, with nothing behind them.
//!
//! It takes the same requests byte for byte, so that the generator costs the same at both: it reads
//! the body of a hold as JSON and answers a reservation's JSON; a release has no body and gets the
//! same answer; a poll gets a place's JSON; a seat map is the bytes that it was given before (`PUT`),
//! or 304 for who has their tag. Absent on purpose: tokens, state of its own, a journal.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, OnceLock},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
    serve::ListenerExt,
};
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncReadExt, net::TcpListener};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Hold {
    schedule_id: String,
    seats: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reservation {
    #[serde(rename = "reservationId")]
    id: String,
    schedule_id: String,
    concert_id: &'static str,
    concert_title: &'static str,
    venue: &'static str,
    starts_at: &'static str,
    user_id: &'static str,
    status: &'static str,
    seats: Vec<Seat>,
    amount: u64,
    currency: &'static str,
    created_at: &'static str,
    expires_at: &'static str,
    confirmed_at: Option<&'static str>,
    cancelled_at: Option<&'static str>,
    payment_id: Option<&'static str>,
    recovered: bool,
}

#[derive(Serialize)]
struct Seat {
    #[serde(rename = "seatId")]
    id: String,
    grade: &'static str,
    price: u64,
}

fn reservation(
    id: String,
    schedule_id: String,
    seat_id: Option<String>,
    status: &'static str,
) -> Json<Reservation> {
    Json(Reservation {
        id,
        schedule_id,
        concert_id: "load-17636841061234",
        concert_title: "Load test",
        venue: "Load test",
        starts_at: "2099-01-01T10:00:00.000Z",
        user_id: "load-17636841061234-1999",
        status,
        seats: seat_id.into_iter().map(|id| Seat { id, grade: "R", price: 50_000 }).collect(),
        amount: 50_000,
        currency: "KRW",
        created_at: "2026-11-20T12:00:00.000Z",
        expires_at: "2026-11-20T13:00:00.000Z",
        confirmed_at: None,
        cancelled_at: None,
        payment_id: None,
        recovered: false,
    })
}

async fn hold(Json(hold): Json<Hold>) -> (StatusCode, Json<Reservation>) {
    let seat = hold.seats.into_iter().next();
    let id = "abcdefghijklmnopqrstuvwxyz".to_owned();
    (StatusCode::CREATED, reservation(id, hold.schedule_id, seat, "held"))
}

async fn release(Path(id): Path<String>) -> Json<Reservation> {
    let (schedule, seat) = ("load-17636841061234".to_owned(), Some("1F-A-100-50".to_owned()));
    reservation(id, schedule, seat, "released")
}

/// A place in a waiting room, as the server tells it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    token: &'static str,
    schedule_id: String,
    status: &'static str,
    position: u32,
    people_ahead: u32,
    estimated_wait_seconds: Option<u32>,
    issued_at: &'static str,
    activated_at: Option<&'static str>,
    expires_at: &'static str,
    sold_out: bool,
    seats_left: BTreeMap<&'static str, u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Of {
    schedule_id: String,
}

async fn place(Query(of): Query<Of>) -> Json<Place> {
    Json(Place {
        token: "AQAAUP8AAAABAAGGoAAAAaF5xk2AZm9yLXRoZS1lY2hvLW5vdGhpbmctaXMtc2lnbmVkLWhlcmU",
        schedule_id: of.schedule_id,
        status: "waiting",
        position: 54_321,
        people_ahead: 54_320,
        estimated_wait_seconds: None,
        issued_at: "2026-11-20T12:00:00.000Z",
        activated_at: None,
        expires_at: "2026-11-21T12:00:00.000Z",
        sold_out: false,
        seats_left: BTreeMap::from([("R", 1_936)]),
    })
}

/// The bytes of a seat map, once they are known.
type Map = Arc<OnceLock<Bytes>>;
/// Their tag.
const MAP_TAG: &str = "\"1-1-0a1b2c3d-gzip\"";

async fn keep_map(State(map): State<Map>, body: Bytes) -> StatusCode {
    if map.set(body).is_ok() { StatusCode::NO_CONTENT } else { StatusCode::CONFLICT }
}

async fn map(State(map): State<Map>, Path(_): Path<String>, headers: HeaderMap) -> Response {
    if headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag == MAP_TAG) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, MAP_TAG)]).into_response();
    }
    let Some(body) = map.get() else { return StatusCode::NOT_FOUND.into_response() };
    let coded = [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, "gzip")];
    (coded, [(header::ETAG, MAP_TAG)], body.clone()).into_response()
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Serves until the input closes: until whoever started it ends, however that ends.
#[expect(clippy::print_stdout, reason = "the parent reads where the echo listens")]
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    let app = Router::new()
        .route("/healthz", get(health))
        .route("/api/v1/reservations", post(hold))
        .route("/api/v1/reservations/{id}", delete(release))
        .route("/api/v1/queue/tokens/current", get(place))
        .route("/api/v1/schedules/{id}/seats", get(map).put(keep_map))
        .with_state(Map::default());
    // As the server does.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    tokio::select! {
        served = async { axum::serve(listener, app).await } => served?,
        () = parent_ended() => {}
    }
    Ok(())
}

/// Waits until the input closes.
pub(crate) async fn parent_ended() {
    let mut stdin = tokio::io::stdin();
    let mut thrown_away = [0; 64];
    while stdin.read(&mut thrown_away).await.is_ok_and(|read| read > 0) {}
}
