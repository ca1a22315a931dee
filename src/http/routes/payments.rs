//! Payments: start one, bring what the gateway's checkout gave, see how it stands.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::marked;
use super::reservations::random;
use crate::domain::ids::{PaymentId, ReservationId};
use crate::domain::payments::{Failure, Method, Payment, State as PaymentState};
use crate::domain::schedule::{Refusal, ReservationRef};
use crate::engine::{Done, EngineError, Purchase};
use crate::http::app::App;
use crate::http::auth::User;
use crate::http::documents::money::of_payment;
use crate::http::extract::{IdempotencyKey, Page, Path, RawBody, bad_cursor};
use crate::http::json::Json;
use crate::http::problem::{Code, Problem};
use crate::http::refusal::{insufficient, other_currency, problem};

/// Makes the routes of payments.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(pay, list)).routes(routes!(read))
}

/// A reservation to pay for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"reservationId": "gnodh3azvbdamtxgaqhrlv3bny", "method": "balance"}))]
struct PayBody {
    reservation_id: String,
    /// `balance`, or through the gateway: `card`, `kakao_pay`, `naver_pay`, `toss`.
    method: String,
}

/// A payment.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `of_payment` writes")]
pub(super) struct PaymentDocument {
    payment_id: String,
    reservation_id: String,
    user_id: String,
    method: String,
    /// `ready`, `pending`, `completed`, `failed`, `refunding` or `refunded`.
    status: String,
    amount: u64,
    currency: String,
    /// The gateway's number of the order, where there is a gateway.
    order_id: Option<String>,
    created_at: String,
    updated_at: String,
    completed_at: Option<String>,
    refunded_at: Option<String>,
    /// Why it failed or was given back: a `code`, and what belongs to it.
    #[schema(value_type = Option<Object>)]
    failure: Option<Value>,
}

/// A page of payments.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `list` writes")]
struct PaymentList {
    items: Vec<PaymentDocument>,
    next_cursor: Option<String>,
}

/// Pay for a hold
///
/// From the balance: 201 `completed`, once the confirmation and the end of the pass are durable; or refused, and the
/// reservation is `held` again. Through the gateway: 201 `ready`, with the `orderId` for its checkout. The same key leads to the same
/// payment, also after a crash; after a refusal it is a new attempt.
#[utoipa::path(post, path = "/api/v1/payments", tag = "Payments", request_body = PayBody,
    params(("Idempotency-Key" = String, Header, description = "Required: 1–255 visible ASCII characters")),
    security(("bearer" = [])),
    responses((status = 201, description = "Paid, or ready for the checkout", body = PaymentDocument),
        (status = 400, description = "`malformed_request`: no Idempotency-Key"),
        (status = 402, description = "`insufficient_balance` (with `currentBalance`, `requiredAmount`), `payment_declined`"),
        (status = 404, description = "`not_found`: no such reservation, or another's"),
        (status = 409, description = "`reservation_not_held`, `reservation_expired`, `payment_not_ready`, `request_in_progress`"),
        (status = 422, description = "`invalid_request`, `currency_mismatch`, `idempotency_key_reused`")))]
async fn pay(
    State(app): State<App>,
    User(caller): User,
    key: IdempotencyKey,
    body: RawBody,
) -> Result<Response, Problem> {
    let wanted: PayBody = body.parse()?;
    let method = Method::ALL.into_iter().find(|method| method.as_str() == wanted.method);
    let method = method.ok_or_else(|| Problem::invalid_field("method", "not a method of payment"))?;
    if method.needs_gateway() {
        return Err(Problem::invalid_field("method", "no gateway is set up for this method"));
    }
    let id = ReservationId::parse(&wanted.reservation_id).map_err(|_| Problem::not_found())?;
    let entry = app.engine.schedule_by_number(id.schedule).ok_or_else(Problem::not_found)?;
    let key = app.engine.key(&caller.user_id, "POST /payments", key.as_str(), &body.0);
    let purchase = Purchase {
        user: caller.user_id,
        reservation: ReservationRef { number: id.number, nonce: id.nonce },
        method,
        nonce: random(),
        key: Some(key),
    };
    let paid = app.engine.pay(&entry, purchase).await;
    let Done { answer, replayed } = paid.map_err(|error| problem(error, Some(entry.layout())))?;
    Ok(marked(shown(&answer, StatusCode::CREATED)?, replayed))
}

/// Shows a payment, or why it came to nothing.
fn shown(payment: &Payment, success: StatusCode) -> Result<Json<Value>, Problem> {
    match payment.state {
        PaymentState::Ready | PaymentState::Completed => Ok(Json(success, of_payment(payment))),
        PaymentState::Failed | PaymentState::Refunding | PaymentState::Refunded => Err(refused(payment)),
        PaymentState::Begun
        | PaymentState::Capturing
        | PaymentState::Declined
        | PaymentState::Captured
        | PaymentState::Confirmed => Ok(Json(StatusCode::ACCEPTED, of_payment(payment))),
    }
}

fn refused(payment: &Payment) -> Problem {
    match &payment.failure {
        Some(Failure::Insufficient { balance }) => insufficient(*balance, payment.amount),
        Some(Failure::OtherCurrency) => other_currency(),
        Some(Failure::Declined { code, reason }) => {
            Problem::new(Code::PaymentDeclined, "The gateway declined the payment; see `reason`.")
                .with("gatewayCode", &**code)
                .with("reason", &**reason)
        }
        Some(Failure::OtherAmount) => Problem::new(
            Code::PaymentNotReady,
            "The price of the reservation has changed: start a new payment.",
        ),
        Some(Failure::NotHeld) => problem(EngineError::Refused(Refusal::NotHeld), None),
        Some(Failure::TooLate | Failure::SeatsLost) => problem(EngineError::Refused(Refusal::Expired), None),
        Some(Failure::Cancelled) | None => Problem::new(Code::PaymentNotReady, "The payment was given back."),
    }
}

/// Read a payment
#[utoipa::path(get, path = "/api/v1/payments/{paymentId}", tag = "Payments",
    params(("paymentId" = String, Path)), security(("bearer" = [])),
    responses((status = 200, description = "The payer's (or an administrator's) view", body = PaymentDocument),
        (status = 404, description = "`not_found`: none, or another's")))]
async fn read(
    State(app): State<App>,
    User(caller): User,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id = PaymentId::parse(&id).map_err(|_| Problem::not_found())?;
    let payment = app.engine.payment(id).filter(|payment| caller.may_see(&payment.user));
    let payment = payment.ok_or_else(Problem::not_found)?;
    Ok(Json(StatusCode::OK, of_payment(&payment)))
}

/// List the caller's payments, newest first
#[utoipa::path(get, path = "/api/v1/payments", tag = "Payments",
    params(("limit" = Option<u32>, Query, description = "1–1000, default 100"), ("cursor" = Option<String>, Query)),
    security(("bearer" = [])),
    responses((status = 200, description = "A page of them", body = PaymentList)))]
async fn list(State(app): State<App>, User(caller): User, page: Page) -> Result<Json<Value>, Problem> {
    let read = |cursor: &str| PaymentId::parse(cursor).map_err(|_| bad_cursor());
    let before = page.cursor.as_deref().map(read).transpose()?;
    let mut found = app.engine.payments_of(&caller.user_id, before, page.limit + 1);
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().filter(|_| more).map(|payment| payment.id.to_string());
    let items: Vec<Value> = found.iter().map(of_payment).collect();
    Ok(Json(StatusCode::OK, json!({"items": items, "nextCursor": next})))
}
