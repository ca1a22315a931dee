//! The routes for testers: faults and the ledger. They need no secret, so the gateway must listen where only its tester
//! can reach it.

use axum::Router;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State as AxumState};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::book::Order;
use super::faults::Fault;
use super::{FAULTS_MAX, MockGateway};

pub(super) fn routes() -> Router<MockGateway> {
    Router::new()
        .route("/mock/faults", get(show_faults).post(set_fault).delete(clear_faults))
        .route("/mock/ledger", get(ledger))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FaultBody {
    fault: String,
    order_id: Option<String>,
    times: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LedgerQuery {
    order_id: Option<String>,
}

async fn show_faults(AxumState(gateway): AxumState<MockGateway>) -> axum::Json<Value> {
    axum::Json(gateway.state().faults.to_json())
}

async fn clear_faults(AxumState(gateway): AxumState<MockGateway>) -> StatusCode {
    gateway.state().faults.clear();
    StatusCode::NO_CONTENT
}

async fn set_fault(
    AxumState(gateway): AxumState<MockGateway>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body: Option<FaultBody> = body.ok().and_then(|body| serde_json::from_slice(&body).ok());
    let Some(FaultBody { fault, order_id, times }) = body.filter(|body| body.times != Some(0)) else {
        return wrong("The body must be {\"fault\", \"orderId\"?, \"times\"?}, and times at least 1.");
    };
    let fault: Fault = match fault.parse() {
        Ok(fault) => fault,
        Err(error) => return wrong(&format!("fault {error}.")),
    };
    let faults = &mut gateway.state().faults;
    if faults.set(fault, order_id, times) {
        axum::Json(faults.to_json()).into_response()
    } else {
        wrong(&format!("{FAULTS_MAX} faults are set already: DELETE /mock/faults."))
    }
}

fn wrong(what: &str) -> Response {
    let body = json!({"code": "INVALID_REQUEST", "message": what});
    (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
}

async fn ledger(
    AxumState(gateway): AxumState<MockGateway>,
    query: Result<Query<LedgerQuery>, QueryRejection>,
) -> Response {
    let Ok(Query(LedgerQuery { order_id })) = query else {
        return wrong("?orderId= is all that can be asked for.");
    };
    let at = gateway.now();
    let book = &mut gateway.state().book;
    let orders: Vec<Value> = match order_id {
        Some(order_id) => book.order(&order_id, at).map(order).into_iter().collect(),
        None => book.orders(at).map(order).collect(),
    };
    let totals = book.totals();
    let body = json!({
        "orders": orders,
        "totals": {
            "orders": totals.orders,
            "captured": totals.captured,
            "cancelled": totals.cancelled,
            "captures": totals.captures,
            "cancellations": totals.cancellations,
            "capturesOfOneOrderMax": totals.captures_of_one_order_max,
            "forgottenOrders": totals.forgotten,
        },
        "notices": gateway.0.notices.to_json(),
    });

    axum::Json(body).into_response()
}

fn order(order: &Order) -> Value {
    let payments: Vec<Value> = order
        .payments
        .iter()
        .map(|payment| {
            json!({
                "paymentKey": payment.key, "amount": payment.amount, "status": payment.status.as_str(),
                "cancelled": payment.cancelled(),
            })
        })
        .collect();
    let present = order.present();
    json!({
        "orderId": order.id,
        "amount": present.map(|payment| payment.amount),
        "status": present.map(|payment| payment.status.as_str()),
        "captured": order.captured(),
        "cancelled": order.cancelled(),
        "captures": order.captures,
        "captureRequests": order.capture_requests,
        "payments": payments,
    })
}
