//! The checkout: a page for a person, and one route for programs.
//!
//! Invariant: the values of a link are checked before they stand on a page or in a redirect.

use axum::Router;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State as AxumState};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;

use super::codes::Refusal;
use super::faults::Fault;
use super::page::{self, OrderPage};
use super::{MockGateway, State};
use crate::domain::money::Money;
use crate::gateway::OrderId;
use crate::http::extract::is_json;

/// The longest name of an order, in characters (Toss's own limit).
const ORDER_NAME_LEN_MAX: usize = 100;
const URL_LEN_MAX: usize = 2000;

pub(super) fn routes() -> Router<MockGateway> {
    Router::new().route("/checkout", get(show).post(decide)).route("/checkout/style.css", get(page::style))
}

/// The values of a link or a form.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are those of the page's fields")]
struct Form {
    order_id: String,
    amount: u64,
    order_name: Option<String>,
    success_url: Option<String>,
    fail_url: Option<String>,
    fault: Option<String>,
    decision: Option<Decision>,
    form: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Pay,
    Decline,
}

/// The values of a program's request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    order_id: String,
    amount: u64,
    order_name: Option<String>,
    fault: Option<String>,
}

/// A checkout whose values are all checked.
struct Checkout {
    order_id: OrderId,
    amount: u64,
    order_name: String,
    success_url: Option<Url>,
    fail_url: Option<Url>,
    faults: Vec<Fault>,
}

impl Form {
    /// Checks all values. The error says what is wrong.
    fn check(&self) -> Result<Checkout, &'static str> {
        let order_id = OrderId::parse(&self.order_id)
            .map_err(|_| "orderId must have 6 to 64 letters, digits, - and _.")?;
        let amount = Money::new(self.amount).filter(|amount| *amount > Money::ZERO);
        let amount = amount.ok_or("amount must be a whole number of won above zero.")?.minor();
        let order_name = self.order_name.clone().unwrap_or_default();
        if order_name.chars().count() > ORDER_NAME_LEN_MAX || order_name.chars().any(char::is_control) {
            return Err("orderName must have at most 100 characters.");
        }
        let faults = self.fault.as_deref().unwrap_or_default().split(',').filter(|fault| !fault.is_empty());
        let faults = faults.map(str::parse).collect::<Result<Vec<Fault>, _>>();
        Ok(Checkout {
            order_id,
            amount,
            order_name,
            success_url: url(self.success_url.as_deref())?,
            fail_url: url(self.fail_url.as_deref())?,
            faults: faults
                .map_err(|_| "fault must be faults between commas, such as drop-after,webhook-copies:2.")?,
        })
    }
}

/// Reads the URL to which the customer is sent; none if the text is empty.
fn url(text: Option<&str>) -> Result<Option<Url>, &'static str> {
    const WRONG: &str = "successUrl and failUrl must begin with http:// or https://.";
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    match url {
        Some(url) if url.as_str().len() <= URL_LEN_MAX => Ok(Some(url)),
        Some(_) | None => Err(WRONG),
    }
}

impl Checkout {
    /// Makes the payment of a customer who agrees, and sets its faults.
    fn agree(&self, gateway: &MockGateway) -> Result<String, Refusal> {
        let at = gateway.now();
        let state: &mut State = &mut gateway.state();
        let State { book, faults, random, .. } = state;
        let order_id = self.order_id.as_str();
        let key = book.check_out(order_id, &self.order_name, self.amount, at, random)?;
        for fault in &self.faults {
            faults.set(fault.clone(), Some(order_id.to_owned()), Some(1));
        }
        Ok(key)
    }

    fn shown(&self) -> OrderPage<'_> {
        OrderPage { order_id: self.order_id.as_str(), order_name: &self.order_name, amount: self.amount }
    }
}

/// Tells whether a request is the page's form. The form's one-time name proves that, not the content type.
pub(super) fn is_form<B>(request: &Request<B>) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    request.uri().path() == "/checkout"
        && kind.is_some_and(|kind| kind.as_bytes().eq_ignore_ascii_case(b"application/x-www-form-urlencoded"))
}

async fn show(
    AxumState(gateway): AxumState<MockGateway>,
    form: Result<Query<Form>, QueryRejection>,
) -> Response {
    let Ok(Query(form)) = form else {
        return wrong("A link to the checkout names orderId and amount.");
    };
    let checkout = match form.check() {
        Ok(checkout) => checkout,
        Err(what) => return wrong(what),
    };
    let hidden = [
        ("orderId", form.order_id.as_str()),
        ("amount", &checkout.amount.to_string()),
        ("orderName", &checkout.order_name),
        ("successUrl", checkout.success_url.as_ref().map_or("", Url::as_str)),
        ("failUrl", checkout.fail_url.as_ref().map_or("", Url::as_str)),
        ("fault", form.fault.as_deref().unwrap_or_default()),
        ("form", &gateway.state().forms.issue()),
    ]
    .map(|(name, value)| page::hidden(name, value))
    .concat();

    // Browsers apply the policy to a form's redirects too.
    let origin = |url: &Option<Url>| url.as_ref().map(|url| url.origin().ascii_serialization());
    let targets: Vec<String> =
        [origin(&checkout.success_url), origin(&checkout.fail_url)].into_iter().flatten().collect();
    page::answer(StatusCode::OK, &page::ask(&checkout.shown(), &hidden), &targets)
}

async fn decide(
    AxumState(gateway): AxumState<MockGateway>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = body.unwrap_or_default();
    if is_json(&headers) {
        return decide_for_program(&gateway, &body);
    }

    // A form's body has the format of a query.
    let query = [b"/?", body.as_ref()].concat();
    let form = Uri::try_from(query).ok().and_then(|uri| Query::<Form>::try_from_uri(&uri).ok());
    let Some(Query(form)) = form else { return wrong("A form names orderId, amount and decision.") };
    let (checkout, decision) = match (form.check(), form.decision) {
        (Err(what), _) => return wrong(what),
        (Ok(_), None) => return wrong("decision must be pay or decline."),
        (Ok(checkout), Some(decision)) => (checkout, decision),
    };

    if !gateway.state().forms.take(form.form.as_deref().unwrap_or_default()) {
        return wrong("This form was sent before, or isn't from here: open the link to the checkout again.");
    }
    match decision {
        Decision::Decline => declined(&gateway, &checkout),
        Decision::Pay => paid(&gateway, &checkout),
    }
}

fn decide_for_program(gateway: &MockGateway, body: &[u8]) -> Response {
    let json = |status, body: serde_json::Value| (status, axum::Json(body)).into_response();
    let invalid =
        |what: &str| json(StatusCode::BAD_REQUEST, json!({"code": "INVALID_REQUEST", "message": what}));
    let document: Document = match serde_json::from_slice(body) {
        Ok(document) => document,
        Err(_) => return invalid("The body must be {\"orderId\", \"amount\", \"orderName\"?, \"fault\"?}."),
    };
    let Document { order_id, amount, order_name, fault } = document;
    let form = Form {
        order_id,
        amount,
        order_name,
        fault,
        success_url: None,
        fail_url: None,
        decision: None,
        form: None,
    };
    let checkout = match form.check() {
        Ok(checkout) => checkout,
        Err(what) => return invalid(what),
    };

    match checkout.agree(gateway) {
        Ok(key) => json(
            StatusCode::OK,
            json!({"paymentKey": key, "orderId": checkout.order_id.as_str(), "amount": checkout.amount}),
        ),
        Err(refusal) => {
            let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
            json(status, refusal.to_json())
        }
    }
}

fn paid(gateway: &MockGateway, checkout: &Checkout) -> Response {
    let key = match checkout.agree(gateway) {
        Ok(key) => key,
        Err(refusal) => return wrong(refusal.message()),
    };
    match checkout.success_url.clone() {
        Some(mut url) => {
            url.query_pairs_mut()
                .append_pair("paymentKey", &key)
                .append_pair("orderId", checkout.order_id.as_str())
                .append_pair("amount", &checkout.amount.to_string());
            see_other(&url)
        }
        None => page::answer(StatusCode::OK, &page::paid(&checkout.shown(), &key), &[]),
    }
}

fn declined(gateway: &MockGateway, checkout: &Checkout) -> Response {
    let failure = Refusal::new("PAY_PROCESS_CANCELED");
    // The payment is recorded as aborted, so that a client that asks sees it. A paid order gets no further payment.
    if let Ok(key) = checkout.agree(gateway) {
        gateway.state().book.abort(&key, failure.clone());
    }
    match checkout.fail_url.clone() {
        Some(mut url) => {
            url.query_pairs_mut()
                .append_pair("code", failure.code())
                .append_pair("message", failure.message())
                .append_pair("orderId", checkout.order_id.as_str());
            see_other(&url)
        }
        None => page::answer(StatusCode::OK, &page::declined(&checkout.shown()), &[]),
    }
}

fn see_other(url: &Url) -> Response {
    let location = HeaderValue::from_str(url.as_str());
    match location {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => wrong("The URL can't stand in a header."),
    }
}

fn wrong(what: &str) -> Response {
    page::answer(StatusCode::BAD_REQUEST, &page::wrong(what), &[])
}
