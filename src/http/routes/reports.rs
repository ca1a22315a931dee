//! Reports of the platform's own payment service, by which `external` payments are paid and refunded.

use std::borrow::Cow;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{OneOfBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};

use crate::domain::ids::PaymentId;
use crate::domain::money::{Currency, Money};
use crate::domain::payments::{Report, Taken};
use crate::engine::EngineError;
use crate::gateway::{PaymentKey, Said};
use crate::http::app::App;
use crate::http::documents::{CurrencyText, OpaqueId};
use crate::http::extract::SignedBody;
use crate::http::json::Json;
use crate::http::problem::Problem;
use crate::http::refusal::problem;
use crate::http::table::{Routes, routes};

/// Makes the route of reports.
pub fn routes() -> Routes<App> {
    routes![report]
}

/// Describes a report: one of four, by its `type`.
#[derive(Debug)]
struct ReportBody;

impl utoipa::PartialSchema for ReportBody {
    fn schema() -> RefOr<Schema> {
        let names = reports().map(|(name, _)| Ref::from_schema_name(name));
        names.into_iter().fold(OneOfBuilder::new(), OneOfBuilder::item).into()
    }
}

impl ToSchema for ReportBody {
    fn name() -> Cow<'static, str> {
        "PaymentReport".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.extend(reports());
    }
}

/// Returns the schemas of all reports, by their names.
fn reports() -> [(String, RefOr<Schema>); 4] {
    fn one<T: ToSchema>() -> (String, RefOr<Schema>) {
        (T::name().into_owned(), T::schema())
    }
    [one::<CapturedReport>(), one::<DeclinedReport>(), one::<RefundedReport>(), one::<RefundFailedReport>()]
}

/// The type of a report.
#[derive(Debug, Clone, Copy, Deserialize)]
enum ReportWord {
    #[serde(rename = "payment.captured")]
    Captured,
    #[serde(rename = "payment.declined")]
    Declined,
    #[serde(rename = "refund.completed")]
    Refunded,
    #[serde(rename = "refund.failed")]
    RefundFailed,
}

/// What every report says: the rest is read by it.
#[derive(Debug, Deserialize)]
struct AnyReport {
    #[serde(rename = "type")]
    kind: ReportWord,
}

// The words of `type`, each of a report of its own. The description doesn't see a name that a macro fills in.

#[derive(Debug, Deserialize, ToSchema)]
enum CapturedWord {
    #[serde(rename = "payment.captured")]
    Captured,
}

#[derive(Debug, Deserialize, ToSchema)]
enum DeclinedWord {
    #[serde(rename = "payment.declined")]
    Declined,
}

#[derive(Debug, Deserialize, ToSchema)]
enum RefundedWord {
    #[serde(rename = "refund.completed")]
    Refunded,
}

#[derive(Debug, Deserialize, ToSchema)]
enum RefundFailedWord {
    #[serde(rename = "refund.failed")]
    RefundFailed,
}

/// The service took money.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"type": "payment.captured", "orderId": "gnodh3azvbdamtxgaqhrlv3bny", "paymentKey": "pi_1", "amount": 170_000,
    "currency": "KRW"}))]
struct CapturedReport {
    #[serde(rename = "type")]
    #[schema(inline)]
    _kind: CapturedWord,
    /// The payment's `orderId`.
    #[schema(value_type = OpaqueId)]
    order_id: String,
    /// The service's name for what it took: one for each time that it takes money.
    #[schema(min_length = 1, max_length = 200, pattern = r"^\.*[A-Za-z0-9_~-][A-Za-z0-9._~-]*$")]
    payment_key: String,
    /// What was taken, in the currency's minor unit. Another amount than the payment's isn't for its seats: it is owed back.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    amount: u64,
    #[schema(value_type = CurrencyText)]
    currency: String,
}

/// The checkout is over, and the service took nothing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"type": "payment.declined", "orderId": "gnodh3azvbdamtxgaqhrlv3bny", "code": "card_declined",
    "reason": "The card was declined."}))]
struct DeclinedReport {
    #[serde(rename = "type")]
    #[schema(inline)]
    _kind: DeclinedWord,
    /// The payment's `orderId`.
    #[schema(value_type = OpaqueId)]
    order_id: String,
    /// The service's code, of which 200 characters are kept.
    code: String,
    /// A sentence for the customer, of which 200 characters are kept.
    reason: String,
}

/// The service gave back what it was asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"type": "refund.completed", "orderId": "gnodh3azvbdamtxgaqhrlv3bny", "paymentKey": "pi_1", "amount": 170_000,
    "currency": "KRW", "refundId": "re_1"}))]
struct RefundedReport {
    #[serde(rename = "type")]
    #[schema(inline)]
    _kind: RefundedWord,
    /// The payment's `orderId`, or the `paymentId` of the event that asked for the refund.
    #[schema(value_type = OpaqueId)]
    order_id: String,
    /// The service's name for what it had taken.
    #[schema(min_length = 1, max_length = 200, pattern = r"^\.*[A-Za-z0-9_~-][A-Za-z0-9._~-]*$")]
    payment_key: String,
    /// What went back of this money in all, in the currency's minor unit: as much as `RefundBegun` asked for (all, unless a fee isn't
    /// refundable), or more of what was taken.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    amount: u64,
    #[schema(value_type = CurrencyText)]
    currency: String,
    /// The service's name for the refund, of which 200 characters are kept.
    refund_id: Option<String>,
}

/// The service can't give the money back. It stays owed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"type": "refund.failed", "orderId": "gnodh3azvbdamtxgaqhrlv3bny", "paymentKey": "pi_1",
    "reason": "The card was closed."}))]
struct RefundFailedReport {
    #[serde(rename = "type")]
    #[schema(inline)]
    _kind: RefundFailedWord,
    /// The payment's `orderId`, or the `paymentId` of the event that asked for the refund.
    #[schema(value_type = OpaqueId)]
    order_id: String,
    /// The service's name for what it had taken.
    #[schema(min_length = 1, max_length = 200, pattern = r"^\.*[A-Za-z0-9_~-][A-Za-z0-9._~-]*$")]
    payment_key: String,
    /// Why, for the log, of which 200 characters are kept.
    reason: String,
}

/// The acknowledgement of a report: what it says is on stable storage.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportTaken)]
struct ReportAcknowledgement {}

/// Report what the platform's own payment service did
///
/// By this, payments by `external` are paid and refunded. The call is signed as [Standard
/// Webhooks](https://www.standardwebhooks.com) has it, under the setting `external.secret`. Repeated and reordered
/// reports are 200 and change nothing twice.
///
/// Money is never refused, since it was taken: whatever comes too late, twice for one order, or in another amount than the
/// payment's is owed back, and the feed's `RefundBegun` says so.
#[utoipa::path(post, path = "/api/v1/webhooks/payments/external", operation_id = "reportPayment", tag = "Payments",
    request_body = ReportBody,
    params(("webhook-id" = String, Header, min_length = 1, max_length = 255, pattern = r"^[\x21-\x7e]+$",
            description = "The report's own name; a repeat has the same"),
        ("webhook-timestamp" = String, Header, max_length = 20, pattern = "^[0-9]+$",
            description = "When it was sent, in seconds since 1970: at most five minutes away from the server's clock"),
        ("webhook-signature" = String, Header, min_length = 1, max_length = 1000, pattern = r"^[\x21-\x7e]+( [\x21-\x7e]+)*$",
            description = "`v1,` and the base64 of the HMAC-SHA-256 of `<id>.<timestamp>.<body>`; several are separated by a space, and one must be right")),
    responses((status = 200, description = "What it says is on stable storage", body = ReportAcknowledgement),
        (status = 401, description = "`bad_signature`: no signature is right, or the report is too old"),
        (status = 404, description = "`not_found`: there is no such order, or `external.secret` isn't set. Money that was taken has to be given back by the service"),
        (status = 409, description = "`payment_not_ready`: the schedule is in the archive, and money that was taken has to be given back by the service; or money went back whose reservation stands: send the report again once it is cancelled"),
        (status = 422, description = "`invalid_request`: among others, the same `paymentKey` with another amount than before, or for another reservation; less went back than is owed, or more than was taken")))]
async fn report(
    State(app): State<App>,
    SignedBody(body): SignedBody,
) -> Result<Json<ReportAcknowledgement>, Problem> {
    let patience = app.parts.limits.patience();
    let told = match body.parse::<AnyReport>()?.kind {
        ReportWord::Captured => {
            let CapturedReport { order_id, payment_key, amount, currency, .. } = body.parse()?;
            let taken = taken(&payment_key, amount, &currency)?;
            app.engine.report_payment(order(&app, &order_id)?, Report::Captured(taken), patience).await
        }
        ReportWord::Declined => {
            let DeclinedReport { order_id, code, reason, .. } = body.parse()?;
            let (code, reason) = (Said::new(&code).as_str().into(), Said::new(&reason).as_str().into());
            app.engine
                .report_payment(order(&app, &order_id)?, Report::Declined { code, reason }, patience)
                .await
        }
        ReportWord::Refunded => {
            let RefundedReport { order_id, payment_key, amount, currency, refund_id, .. } = body.parse()?;
            let taken = taken(&payment_key, amount, &currency)?;
            let transaction = refund_id.map(|refund| Said::new(&refund).as_str().into());
            app.engine
                .report_payment(order(&app, &order_id)?, Report::Refunded { taken, transaction }, patience)
                .await
        }
        ReportWord::RefundFailed => {
            let RefundFailedReport { order_id, payment_key, reason, .. } = body.parse()?;
            let payment_key = key(&payment_key)?;
            app.engine.report_refund_failed(
                order(&app, &order_id)?,
                payment_key.as_str(),
                &Said::new(&reason),
            )
        }
    };

    let outcome = if matches!(told, Err(EngineError::Refused(_))) { "unknown" } else { "taken" };
    metrics::counter!("onsale_notices_total", "outcome" => outcome).increment(1);
    told.map_err(|error| problem(error, None))?;
    Ok(Json(StatusCode::OK, ReportAcknowledgement {}))
}

fn order(app: &App, text: &str) -> Result<PaymentId, Problem> {
    app.engine.payment_id(text).ok_or_else(Problem::not_found)
}

fn key(text: &str) -> Result<PaymentKey, Problem> {
    PaymentKey::parse(text).map_err(|invalid| Problem::invalid_field("paymentKey", invalid.to_string()))
}

fn taken(payment_key: &str, amount: u64, currency: &str) -> Result<Taken, Problem> {
    let payment_key = key(payment_key)?.as_str().into();
    let amount = Money::new(amount).filter(|amount| *amount > Money::ZERO);
    let amount =
        amount.ok_or_else(|| Problem::invalid_field("amount", "must be from 1 to 9007199254740991"))?;
    let currency = Currency::parse(currency);
    let currency = currency
        .map_err(|_| Problem::invalid_field("currency", "must be three capital letters, as in KRW"))?;
    Ok(Taken { payment_key, amount, currency })
}
