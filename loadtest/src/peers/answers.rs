//! The service's answers: the same members as `onsale`'s.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;

use super::{
    hall::{Schedule, SeatId},
    store::Paid,
};
use crate::instant;

/// Room for an answer, so that writing it allocates once.
const ANSWER_LEN: usize = 768;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reservation<'a> {
    #[serde(rename = "reservationId")]
    id: String,
    schedule_id: &'a str,
    concert_id: &'a str,
    concert_title: &'a str,
    venue: &'a str,
    starts_at: &'a str,
    user_id: &'a str,
    status: &'a str,
    seats: [Seat<'a>; 1],
    amount: u64,
    currency: &'a str,
    created_at: String,
    expires_at: String,
    confirmed_at: Option<&'a str>,
    cancelled_at: Option<&'a str>,
    payment_id: Option<&'a str>,
    recovered: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Seat<'a> {
    #[serde(rename = "seatId")]
    id: &'a str,
    grade: &'a str,
    price: u64,
}

/// Answers with a hold, or with what was one.
pub(super) fn reservation(
    status: StatusCode,
    schedule: &Schedule,
    id: SeatId,
    user: &str,
    word: &str,
    expires_at: i64,
) -> Response {
    let concert = &schedule.concert;
    let seat = &*schedule.layout.seats[usize::try_from(id.seat).expect("a seat of the venue")];
    let document = Reservation {
        id: id.to_string(),
        schedule_id: &schedule.id,
        concert_id: &concert.id,
        concert_title: &concert.title,
        venue: &schedule.layout.name,
        starts_at: &schedule.starts_at,
        user_id: user,
        status: word,
        seats: [Seat { id: seat, grade: &concert.grade, price: concert.price }],
        amount: concert.price,
        currency: &concert.currency,
        created_at: instant::text(expires_at - schedule.hold_millis),
        expires_at: instant::text(expires_at),
        confirmed_at: None,
        cancelled_at: None,
        payment_id: None,
        recovered: false,
    };
    json(status, &document)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payment<'a> {
    #[serde(rename = "paymentId")]
    id: String,
    reservation_id: String,
    user_id: &'a str,
    method: &'a str,
    status: &'a str,
    amount: u64,
    currency: &'a str,
    order_id: Option<&'a str>,
    created_at: &'a str,
    updated_at: &'a str,
    completed_at: Option<&'a str>,
    refunded_at: Option<&'a str>,
    failure: Option<&'a str>,
}

/// Answers with a payment, or with why there is none.
pub(super) fn payment(schedule: &Schedule, user: &str, wanted: SeatId, paid: Paid) -> Response {
    let (id, at) = match paid {
        Paid::Done { hold, id, at } if hold == wanted => (id, instant::text(at)),
        Paid::Done { .. } => {
            return problem(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "The key was used before.",
            );
        }
        Paid::NotHeld => {
            return problem(StatusCode::CONFLICT, "reservation_not_held", "The reservation isn't held.");
        }
        Paid::InsufficientBalance => {
            return problem(
                StatusCode::PAYMENT_REQUIRED,
                "insufficient_balance",
                "The balance is less than the price.",
            );
        }
    };
    let document = Payment {
        id: id.to_string(),
        reservation_id: wanted.to_string(),
        user_id: user,
        method: "balance",
        status: "completed",
        amount: schedule.concert.price,
        currency: &schedule.concert.currency,
        order_id: None,
        created_at: &at,
        updated_at: &at,
        completed_at: Some(&at),
        refunded_at: None,
        failure: None,
    };
    json(StatusCode::CREATED, &document)
}

/// Answers with JSON.
pub(super) fn json(status: StatusCode, document: &impl Serialize) -> Response {
    let mut body = Vec::with_capacity(ANSWER_LEN);
    serde_json::to_writer(&mut body, document).expect("strings and numbers are written");
    with_type(status, "application/json", body)
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

/// Answers with a problem (RFC 9457).
pub(super) fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let document = Problem {
        r#type: format!("/problems/{}", code.replace('_', "-")),
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        detail,
        code,
    };
    let body = serde_json::to_vec(&document).expect("strings and numbers are written");
    with_type(status, "application/problem+json", body)
}

fn with_type(status: StatusCode, media_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
