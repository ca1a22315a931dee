//! A test double of the server: the routes that a run uses, in memory, with faults on request.
//!
//! The tests drive it, and so can a person (`--start target/release/onsale-loadtest`): the negative
//! control, which shows that the check goes red (`--server-env ONSALE_STUB_FAULT=missing`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    routing::{get, post, put},
    serve::ListenerExt,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// What the stub does wrong, to one hold or release in fifty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Gives a held seat to a second user.
    DoubleOwner,
    /// Acknowledges a hold and forgets it.
    Missing,
    /// Acknowledges a release and does nothing.
    Unreleased,
    /// Gives a user in the waiting room the position of the one before.
    SharedPlace,
}

impl Fault {
    fn from_name(name: &str) -> anyhow::Result<Self> {
        Ok(match name {
            "" => Self::None,
            "double-owner" => Self::DoubleOwner,
            "missing" => Self::Missing,
            "unreleased" => Self::Unreleased,
            "shared-place" => Self::SharedPlace,
            _ => anyhow::bail!("ONSALE_STUB_FAULT: double-owner, missing, unreleased or shared-place"),
        })
    }
}

#[derive(Default)]
struct Stub {
    fault: Fault,
    schedule: String,
    /// Seat → how many hold it.
    seats: HashMap<String, u32>,
    reservations: HashMap<String, Reservation>,
    made: u64,
    releases: u64,
    /// How many may be at the seats; the waiting room has no other rule.
    active_max: u64,
    joins: u64,
    /// User → the position in the waiting room; 0 is at the seats.
    places: HashMap<String, u64>,
}

#[derive(Clone)]
struct Reservation {
    user: String,
    seat: String,
    status: &'static str,
}

type Shared = Arc<Mutex<Stub>>;
type Reply = (StatusCode, Json<Value>);

fn lock(stub: &Shared) -> MutexGuard<'_, Stub> {
    stub.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refusal(status: StatusCode, code: &str) -> Reply {
    (status, Json(json!({ "code": code })))
}

fn user(headers: &HeaderMap) -> Option<String> {
    let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    Some(claims["sub"].as_str()?.to_owned())
}

impl Stub {
    fn told(&self, id: &str) -> Reply {
        let Some(Reservation { user, seat, status }) = self.reservations.get(id) else {
            return refusal(StatusCode::NOT_FOUND, "not_found");
        };
        let told = json!({
            "reservationId": id, "scheduleId": self.schedule, "userId": user, "status": status,
            "seats": [{ "seatId": seat, "grade": "R", "price": 50_000 }], "amount": 50_000,
        });
        (StatusCode::OK, Json(told))
    }

    /// Says whether the hold or release of this number goes wrong.
    fn goes_wrong(&self, fault: Fault, number: u64) -> bool {
        self.fault == fault && number % 50 == 49
    }

    fn hold(&mut self, user: String, seat: &str) -> Reply {
        let wrong_owner = self.goes_wrong(Fault::DoubleOwner, self.made);
        match self.seats.get_mut(seat) {
            None => return refusal(StatusCode::UNPROCESSABLE_ENTITY, "unknown_seat"),
            Some(1..) if !wrong_owner => return refusal(StatusCode::CONFLICT, "seat_unavailable"),
            Some(holders) => *holders += 1,
        }
        let id = format!("r{}", self.made);
        self.reservations.insert(id.clone(), Reservation { user, seat: seat.to_owned(), status: "held" });
        let (_, told) = self.told(&id);
        if self.goes_wrong(Fault::Missing, self.made) {
            self.reservations.remove(&id);
        }
        self.made += 1;
        (StatusCode::CREATED, told)
    }

    fn release(&mut self, id: &str) -> Reply {
        let skipped = self.goes_wrong(Fault::Unreleased, self.releases);
        self.releases += 1;
        if let Some(reservation) = self.reservations.get_mut(id)
            && reservation.status == "held"
            && !skipped
        {
            reservation.status = "released";
            if let Some(holders) = self.seats.get_mut(&reservation.seat) {
                *holders -= 1;
            }
        }
        self.told(id)
    }
}

impl Stub {
    fn join(&mut self, user: &str) -> Reply {
        self.joins += 1;
        let mut position = self.joins.saturating_sub(self.active_max);
        if position > 1 && self.goes_wrong(Fault::SharedPlace, position) {
            position -= 1;
        }
        self.places.insert(user.to_owned(), position);
        let (_, told) = self.place(user);
        (StatusCode::CREATED, told)
    }

    fn place(&self, user: &str) -> Reply {
        let Some(&position) = self.places.get(user) else {
            return refusal(StatusCode::FORBIDDEN, "queue_token_required");
        };
        let status = if position == 0 { "active" } else { "waiting" };
        let told = json!({
            "token": "a-pass", "scheduleId": self.schedule, "status": status,
            "position": (position > 0).then_some(position), "issuedAt": "2026-11-20T12:00:00.000Z",
        });
        (StatusCode::OK, Json(told))
    }
}

async fn put_venue(State(stub): State<Shared>, Json(venue): Json<Value>) -> StatusCode {
    let mut stub = lock(&stub);
    for row in venue["sections"][0]["rows"].as_array().into_iter().flatten() {
        for number in 1..=row["length"].as_u64().unwrap_or_default() {
            let id = format!("1F-A-{}-{number}", row["rowId"].as_str().unwrap_or_default());
            stub.seats.insert(id, 0);
        }
    }
    StatusCode::CREATED
}

async fn put_schedule(
    State(stub): State<Shared>,
    Path(id): Path<String>,
    Json(plan): Json<Value>,
) -> StatusCode {
    let mut stub = lock(&stub);
    stub.schedule = id;
    stub.active_max = plan["policy"]["queue"]["maxActive"].as_u64().unwrap_or_default();
    StatusCode::CREATED
}

async fn get_schedule(State(stub): State<Shared>) -> Json<Value> {
    let stub = lock(&stub);
    let held = stub.seats.values().filter(|holders| **holders > 0).count();
    let available = stub.seats.len() - held;
    Json(json!({ "seats": { "available": available, "held": held, "reserved": 0, "blocked": 0 } }))
}

async fn get_seats(State(stub): State<Shared>) -> Json<Value> {
    let stub = lock(&stub);
    let status = |holders: &u32| if *holders > 0 { "held" } else { "available" };
    let seats = stub.seats.iter().map(|(id, holders)| json!({ "seatId": id, "status": status(holders) }));
    Json(json!({ "seats": seats.collect::<Vec<_>>() }))
}

async fn hold(State(stub): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Reply {
    let Some(user) = user(&headers) else {
        return refusal(StatusCode::UNAUTHORIZED, "unauthenticated");
    };
    lock(&stub).hold(user, body["seats"][0].as_str().unwrap_or_default())
}

async fn release(State(stub): State<Shared>, Path(id): Path<String>) -> Reply {
    lock(&stub).release(&id)
}

async fn get_reservation(State(stub): State<Shared>, Path(id): Path<String>) -> Reply {
    lock(&stub).told(&id)
}

async fn join(State(stub): State<Shared>, headers: HeaderMap) -> Reply {
    match user(&headers) {
        Some(user) => lock(&stub).join(&user),
        None => refusal(StatusCode::UNAUTHORIZED, "unauthenticated"),
    }
}

async fn get_place(State(stub): State<Shared>, headers: HeaderMap) -> Reply {
    lock(&stub).place(&user(&headers).unwrap_or_default())
}

/// The routes, with an empty state.
pub(crate) fn app(fault: Fault) -> Router {
    Router::new()
        .route("/readyz", get(StatusCode::OK))
        .route("/api/v1/venues/{id}", put(put_venue))
        .route("/api/v1/concerts/{id}", put(StatusCode::CREATED))
        .route("/api/v1/schedules/{id}", put(put_schedule).get(get_schedule))
        .route("/api/v1/schedules/{id}/open", post(StatusCode::OK))
        .route("/api/v1/schedules/{id}/seats", get(get_seats))
        .route("/api/v1/reservations", post(hold))
        .route("/api/v1/reservations/{id}", get(get_reservation).delete(release))
        .route("/api/v1/queue/tokens", post(join))
        .route("/api/v1/queue/tokens/current", get(get_place))
        .with_state(Arc::new(Mutex::new(Stub { fault, ..Stub::default() })))
}

/// Serves as `onsale serve` would, until SIGTERM.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let address = std::env::var("ONSALE_LISTEN")?;
    let fault = Fault::from_name(&std::env::var("ONSALE_STUB_FAULT").unwrap_or_default())?;
    let target = crate::target::Target::new(address.parse()?).map_err(anyhow::Error::msg)?;
    let listener = TcpListener::bind(target.address()).await?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        served = async { axum::serve(listener, app(fault)).await } => served?,
        _ = terminated.recv() => {}
    }
    Ok(())
}
