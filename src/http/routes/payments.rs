//! Payments: start one, confirm it after the gateway's checkout, read it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::ids::{PaymentId, PaymentNumber, ScheduleId, ScheduleNumber, UserId};
use crate::domain::payments::{AnyPayment, Failure, Method, Payment, State as PaymentState};
use crate::domain::schedule::{Refusal, ReservationRef};
use crate::engine::{Done, Narrow, Purchase};
use crate::gateway::PaymentKey;
use crate::http::app::App;
use crate::http::auth::{Reader, User, Viewer};
use crate::http::documents::money::PaymentDocument;
use crate::http::documents::{self, CatalogueId, MethodWord, OpaqueId, PaymentWord, UserText};
use crate::http::extract::{IdempotencyKey, Path, Query, RawBody};
use crate::http::idempotency::{key_of, marked};
use crate::http::json::Json;
use crate::http::lookup::narrowed;
use crate::http::page::{List, Page};
use crate::http::problem::{Code, Problem};
use crate::http::refusal::{insufficient, other_currency, problem};
use crate::http::table::{Routes, routes};
use crate::random;

/// The key of all unknown payments in the limit of notices: no schedule has the number 0.
const STRANGERS: PaymentId = PaymentId { schedule: ScheduleNumber(0), number: PaymentNumber(0), nonce: 0 };

/// Makes the routes of payments.
pub fn routes() -> Routes<App> {
    routes![pay, list, read, confirm, notice]
}

/// The reservation to pay for, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"reservationId": "gnodh3azvbdamtxgaqhrlv3bny", "method": "balance"}))]
struct PayBody {
    #[schema(value_type = OpaqueId)]
    reservation_id: String,
    method: MethodWord,
}

/// Pay for a hold
///
/// A payment from the balance is 201 `completed` once the confirmation and the end of the pass are durable; if it
/// is refused, the reservation is `held` again. A reservation that costs nothing completes in the same way by any
/// method. A payment through the gateway is 201 `ready`, with the `orderId` for its checkout. So is one by `external`:
/// the platform's own payment service takes the money, and reports it. The same key leads to
/// the same payment, even after a crash, and is answered as the first time also when the money went back since; after a refusal it starts
/// a new attempt. A reservation may have 32 ready
/// payments: one more ends the oldest, whose confirmation is then refused without a capture.
#[utoipa::path(post, path = "/api/v1/payments", operation_id = "startPayment", tag = "Payments", request_body = PayBody,
    params(("Idempotency-Key" = String, Header, description = "Required: 1–255 visible ASCII characters")),
    security(("bearer" = [])),
    responses((status = 201, description = "Paid, or ready for the checkout", body = PaymentDocument<'static>),
        (status = 400, description = "`malformed_request`: no Idempotency-Key"),
        (status = 402, description = "`insufficient_balance` (with `currentBalance`, `requiredAmount`), `payment_declined`"),
        (status = 404, description = "`not_found`: the reservation doesn't exist, or belongs to another user"),
        (status = 409, description = "`reservation_not_held`, `reservation_expired`, `payment_not_ready`, `request_in_progress`"),
        (status = 422, description = "`invalid_request`, `currency_mismatch`, `idempotency_key_reused`")))]
async fn pay(
    State(app): State<App>,
    User(caller): User,
    key: IdempotencyKey,
    body: RawBody,
) -> Result<Response, Problem> {
    let wanted: PayBody = body.parse()?;
    let id = app.engine.reservation_id(&wanted.reservation_id).ok_or_else(Problem::not_found)?;
    let found = app.engine.find_schedule_numbered(id.schedule).await;
    let entry = found.map_err(|error| problem(error, None))?.ok_or_else(Problem::not_found)?;
    let key = key_of(&app, &caller, "POST /payments", key.as_str(), &body.0);
    let for_staff = caller.is_staff();
    let refused = |error| problem(error, Some(entry.layout()));
    // What became of a key's payment is asked of nothing that may have changed since.
    if let Some(done) = app.engine.paid_before(&entry, Some(key)).map_err(refused)? {
        return answered(done, StatusCode::CREATED, for_staff);
    }

    let method = Method::from(wanted.method);
    let gateways = app.engine.gateways();
    if method.needs_gateway() && gateways.name_of(method).is_none() {
        return Err(Problem::invalid_field("method", "no gateway is set up for this method"));
    }
    let currency = entry.read().currency();
    if method.needs_gateway() && !gateways.takes(method, currency) {
        return Err(Problem::new(
            Code::CurrencyMismatch,
            format!("The gateway of this method does not take {}.", currency.as_str()),
        ));
    }

    let purchase = Purchase {
        user: caller.user_id,
        reservation: ReservationRef { number: id.number, nonce: id.nonce },
        method,
        nonce: random::number(),
        key: Some(key),
    };
    let paid = app.engine.pay(&entry, purchase).await.map_err(refused)?;
    answered(paid, StatusCode::CREATED, for_staff)
}

/// The result of the gateway's checkout.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"paymentKey": "tviva20261120210000abcd1"}))]
struct ConfirmBody {
    /// The key that the gateway's checkout gave the client, unchanged.
    #[schema(min_length = 1, max_length = 200, pattern = r"^\.*[A-Za-z0-9_~-][A-Za-z0-9._~-]*$")]
    payment_key: String,
}

/// Confirm a payment after the gateway's checkout
///
/// The reservation becomes `paying`, the gateway captures the amount, and the reservation is confirmed. 202 means
/// that the gateway's outcome isn't known yet: the engine asks until it is, and `GET` shows it. The same
/// `paymentKey` again is answered with the payment's present status. A payment by `external` is confirmed by its
/// service's report, and not by this.
#[utoipa::path(post, path = "/api/v1/payments/{paymentId}/confirm", operation_id = "confirmPayment", tag = "Payments", request_body = ConfirmBody,
    params(("paymentId" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, description = "`completed`", body = PaymentDocument<'static>),
        (status = 202, description = "`pending`: the gateway hasn't answered yet whether it captured the money", body = PaymentDocument<'static>),
        (status = 402, description = "`payment_declined`, with the gateway's `gatewayCode` and `reason`; the hold goes on until its deadline"),
        (status = 404, description = "`not_found`: the payment doesn't exist, or belongs to another user"),
        (status = 409, description = "`reservation_expired`, `reservation_not_held`, `payment_not_ready`: nothing was captured, or the money is being refunded"),
        (status = 422, description = "`invalid_request`, `idempotency_key_reused`"),
        (status = 503, description = "`gateway_unavailable`: the payment's gateway is no longer set up")))]
async fn confirm(
    State(app): State<App>,
    User(caller): User,
    Path(id): Path<String>,
    key: Option<IdempotencyKey>,
    body: RawBody,
) -> Result<Response, Problem> {
    let payment_key = PaymentKey::parse(&body.parse::<ConfirmBody>()?.payment_key);
    let payment_key =
        payment_key.map_err(|invalid| Problem::invalid_field("paymentKey", invalid.to_string()))?;
    let parsed = app.engine.payment_id(&id).ok_or_else(Problem::not_found)?;
    let route = format!("POST /payments/{id}/confirm");
    let key = key.map(|key| key_of(&app, &caller, &route, key.as_str(), &body.0));
    let patience = app.parts.limits.patience();
    let for_staff = caller.is_staff();
    let confirmed = app.engine.confirm_payment(parsed, caller.user_id, &payment_key, key, patience).await;
    answered(confirmed.map_err(|error| problem(error, None))?, StatusCode::OK, for_staff)
}

/// Answers with a payment, or with the problem of its failure. A key that led to a payment is answered as it was then, also if the
/// money went back since; one that made it ready for the checkout, with what it came to.
fn answered(done: Done<Payment>, success: StatusCode, for_staff: bool) -> Result<Response, Problem> {
    let Done { answer, replayed } = done;
    let payment = if replayed { answer.as_completed() } else { answer };
    if replayed && success == StatusCode::CREATED && payment.needs_gateway() {
        return Ok(marked(Json(success, PaymentDocument::of(&payment, for_staff)), replayed));
    }
    Ok(marked(shown(&payment, success, for_staff)?, replayed))
}

/// The acknowledgement of a notice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NoticeTaken)]
struct NoticeAcknowledgement {}

/// Receive a notice of the gateway
///
/// The engine believes nothing in a notice: it only asks the gateway at once about a payment that it knows. Anyone
/// may send one, and repeated or reordered ones change nothing. The engine asks about a payment at most once a
/// second.
#[utoipa::path(post, path = "/api/v1/webhooks/payments/{gateway}", operation_id = "takeNotice", tag = "Payments",
    params(("gateway" = String, Path, max_length = 32, pattern = "^[a-z]+$", description = "`toss`")), request_body = Object,
    responses((status = 200, description = "The notice was read", body = NoticeAcknowledgement),
        (status = 400, description = "`malformed_request`: not JSON"),
        (status = 404, description = "`not_found`: no such gateway is set up")))]
async fn notice(
    State(app): State<App>,
    Path(name): Path<String>,
    body: RawBody,
) -> Result<Json<NoticeAcknowledgement>, Problem> {
    let gateway = app.engine.gateways().named(&name).ok_or_else(Problem::not_found)?;
    let _: serde::de::IgnoredAny = serde_json::from_slice(&body.0)
        .map_err(|_| Problem::new(Code::MalformedRequest, "A notice is a JSON object."))?;
    let order = gateway.read_notice(&body.0);
    let id = order.and_then(|order| app.engine.payment_id(order.as_str()));
    let payment = id.and_then(|id| app.engine.payment(id));
    let limit = |id| app.parts.notice_limit.check(&id, app.parts.clock.now()).is_ok();
    let compare = |id| {
        let (engine, name) = (app.engine.clone(), name.clone());
        tokio::spawn(async move { engine.compare_with_gateway(&name, id).await });
    };
    let outcome = match payment {
        None => {
            // Anyone can make an id up: all of them share what one payment has.
            if let Some(id) = id
                && limit(STRANGERS)
            {
                compare(id);
            }
            "unknown"
        }
        Some(payment) if !limit(payment.id) => "limited",
        Some(payment) => {
            if !app.engine.hint(payment.id) && payment.state == PaymentState::Completed {
                compare(payment.id);
            }
            "taken"
        }
    };

    metrics::counter!("onsale_notices_total", "outcome" => outcome).increment(1);
    Ok(Json(StatusCode::OK, NoticeAcknowledgement {}))
}

/// Returns a payment's document, or the problem of its failure.
fn shown(
    payment: &Payment,
    success: StatusCode,
    for_staff: bool,
) -> Result<Json<PaymentDocument<'_>>, Problem> {
    let document = PaymentDocument::of(payment, for_staff);
    match payment.state {
        PaymentState::Ready | PaymentState::Completed => Ok(Json(success, document)),
        PaymentState::Failed | PaymentState::Refunding | PaymentState::Refunded => Err(refused(payment)),
        PaymentState::Begun
        | PaymentState::Capturing
        | PaymentState::Declined
        | PaymentState::Captured
        | PaymentState::Confirmed => Ok(Json(StatusCode::ACCEPTED, document)),
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
        Some(Failure::Superseded) => Problem::new(
            Code::PaymentNotReady,
            "Newer payments of this reservation took its place: go on with one of them.",
        ),
        Some(Failure::AlreadyPaid) => Problem::new(
            Code::PaymentNotReady,
            "Another payment pays for the reservation: the money of this one goes back.",
        ),
        Some(Failure::NotHeld) => problem(Refusal::NotHeld.into(), None),
        Some(Failure::TooLate | Failure::SeatsLost) => problem(Refusal::Expired.into(), None),
        Some(Failure::Cancelled) | None => Problem::new(Code::PaymentNotReady, "The payment was given back."),
    }
}

/// Read a payment
///
/// That of an order of the box office, too: it is `completed` with the order.
#[utoipa::path(get, path = "/api/v1/payments/{paymentId}", operation_id = "readPayment", tag = "Payments",
    params(("paymentId" = String, Path)), security(("bearer" = [])),
    responses((status = 200, description = "The payment, for its payer and administrators; an order's, for the box office, too", body = PaymentDocument<'static>),
        (status = 404, description = "`not_found`: it doesn't exist, or belongs to another user")))]
async fn read(
    State(app): State<App>,
    Viewer(caller): Viewer,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = app.engine.payment_id(&id).ok_or_else(Problem::not_found)?;
    let found = app.engine.find_payment(id).await.map_err(|error| problem(error, None))?;
    let visible =
        |payment: &AnyPayment| caller.may_see_of(payment.user(), matches!(payment, AnyPayment::OfOrder(_)));
    let payment = found.filter(visible).ok_or_else(Problem::not_found)?;
    Ok(Json(StatusCode::OK, PaymentDocument::of_any(&payment, caller.is_staff())).into_response())
}

/// The filter of a list of payments.
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
    status: Option<PaymentWord>,
}

/// List payments, newest first
///
/// Users see their own; administrators see everyone's, or those of one user. Of a schedule that is cancelled, those `refunding` with
/// `refund` `by_hand` are the orders whose money is to be given back by hand.
#[utoipa::path(get, path = "/api/v1/payments", operation_id = "listPayments", tag = "Payments",
    params(Narrowing, Page), security(("bearer" = [])),
    responses((status = 200, description = "A page of the list", body = List<PaymentDocument<'static>>),
        (status = 403, description = "`forbidden`: it belongs to another user")))]
async fn list(
    State(app): State<App>,
    Reader(caller): Reader,
    Query(narrowing): Query<Narrowing>,
    page: Page,
) -> Result<Response, Problem> {
    let user = narrowed(&caller, narrowing.user_id.as_ref())?;
    let (schedule, status) = (narrowing.schedule_id.as_deref(), narrowing.status.map(PaymentWord::as_str));
    let listed =
        app.engine.list_payments(Narrow { user, schedule, status }, page.behind()?, page.limit).await;
    let listed = listed.map_err(|error| problem(error, None))?;
    let for_staff = caller.is_staff();
    let items = listed.items.iter().map(|payment| PaymentDocument::of_any(payment, for_staff)).collect();
    Ok(Json(StatusCode::OK, List::new(items, listed.next.as_ref())).into_response())
}
