//! A user's balance: read it, put money in, see what moved.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::reservations::random;
use super::{key_of, marked};
use crate::domain::accounts::{Answer, Kind, Transaction};
use crate::domain::cause::{By, Cause};
use crate::domain::ids::UserId;
use crate::domain::money::Money;
use crate::engine::Done;
use crate::http::app::App;
use crate::http::auth::{Caller, Reader, User};
use crate::http::extract::{Body, IdempotencyKey, Page, Path, bad_cursor};
use crate::http::json::Json;
use crate::http::problem::{Code, Problem};
use crate::http::refusal::problem;

/// Makes the routes of balances.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read, charge)).routes(routes!(transactions))
}

/// A balance.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `read` writes")]
struct AccountView {
    user_id: String,
    balance: u64,
    currency: String,
    /// When money last moved; null where it never did.
    updated_at: Option<String>,
}

/// An amount to put in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"amount": 100_000}))]
struct ChargeBody {
    /// In minor units of the account's currency.
    amount: u64,
}

/// What a charge did.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `charge` writes")]
struct TopUp {
    current_balance: u64,
    charged_amount: u64,
    transaction_id: String,
}

/// One movement of an account.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `transactions` writes")]
struct TransactionDocument {
    transaction_id: String,
    /// `charge`, `payment` or `refund`.
    r#type: String,
    amount: u64,
    balance_after: u64,
    description: String,
    /// The payment that it belongs to, if it belongs to one.
    payment_id: Option<String>,
    created_at: String,
}

/// A page of movements.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `transactions` writes")]
struct TransactionList {
    items: Vec<TransactionDocument>,
    next_cursor: Option<String>,
}

/// Read a balance
///
/// The caller's own, or an administrator. A user whom nothing was ever put in for has nothing.
#[utoipa::path(get, path = "/api/v1/users/{userId}/balance", tag = "Balance",
    params(("userId" = String, Path)), security(("bearer" = [])),
    responses((status = 200, description = "What there is", body = AccountView),
        (status = 403, description = "`forbidden`: another's")))]
async fn read(
    State(app): State<App>,
    Reader(caller): Reader,
    Path(user): Path<String>,
) -> Result<Json<Value>, Problem> {
    let user = own(&caller, &user)?;
    let currency = app.parts.payments.currency;
    let (balance, currency, at) = app.engine.balance(&user).unwrap_or((Money::ZERO, currency, None));
    let document = json!({
        "userId": user.as_str(), "balance": balance.minor(), "currency": currency.as_str(),
        "updatedAt": at.map(|at| at.to_string()),
    });
    Ok(Json(StatusCode::OK, document))
}

/// Put money in
///
/// Administrators for anyone; users for themselves where the server lets them (`self_charge`).
#[utoipa::path(post, path = "/api/v1/users/{userId}/balance", tag = "Balance", request_body = ChargeBody,
    params(("userId" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 201, description = "It is there", body = TopUp),
        (status = 403, description = "`forbidden`: another's, or users don't charge their own balance here"),
        (status = 422, description = "`amount_out_of_range`, `invalid_request`, `idempotency_key_reused`")))]
async fn charge(
    State(app): State<App>,
    User(caller): User,
    Path(user): Path<String>,
    key: Option<IdempotencyKey>,
    body: Body<ChargeBody>,
) -> Result<Response, Problem> {
    let user = own(&caller, &user)?;
    let settings = &app.parts.payments;
    if !caller.is_admin() && !settings.self_charge {
        let detail = "Users don't charge their own balance here; an administrator does.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let (min, max) = (settings.charge_min, settings.charge_max);
    let amount = Money::new(body.value.amount).filter(|amount| (min..=max).contains(amount));
    let amount = amount.ok_or_else(|| {
        let detail = format!("An amount is from {} to {}.", min.minor(), max.minor());
        Problem::new(Code::AmountOutOfRange, detail)
    })?;
    let route = format!("POST /users/{user}/balance");
    let key = key.map(|key| key_of(&app, &caller, &route, key.as_str(), &body.raw));
    let by = if caller.is_admin() { By::Admin(caller.user_id) } else { By::User };
    let currency = app.engine.balance(&user).map_or(settings.currency, |(_, currency, _)| currency);
    let charged = app.engine.charge(&user, amount, currency, random(), Cause { by, key }).await;
    let Done { answer, replayed } = charged.map_err(|error| problem(error, None))?;
    let Answer::Moved(transaction) = answer else {
        unreachable!("a charge always moves money");
    };
    let document = json!({
        "currentBalance": transaction.balance_after.minor(),
        "chargedAmount": transaction.amount.minor(),
        "transactionId": transaction.id.to_string(),
    });
    Ok(marked(Json(StatusCode::CREATED, document), replayed))
}

/// List an account's movements, newest first
#[utoipa::path(get, path = "/api/v1/users/{userId}/balance/transactions", tag = "Balance",
    params(("userId" = String, Path), ("limit" = Option<u32>, Query, description = "1–1000, default 100"),
           ("cursor" = Option<String>, Query)),
    security(("bearer" = [])),
    responses((status = 200, description = "A page of them", body = TransactionList),
        (status = 403, description = "`forbidden`: another's")))]
async fn transactions(
    State(app): State<App>,
    Reader(caller): Reader,
    Path(user): Path<String>,
    page: Page,
) -> Result<Json<Value>, Problem> {
    let user = own(&caller, &user)?;
    let read = |cursor: &str| app.engine.transaction_id(cursor).map(|id| id.number).ok_or_else(bad_cursor);
    let before = page.cursor.as_deref().map(read).transpose()?;
    let found = app.engine.transactions(&user, before, page.limit + 1).await;
    let mut found = found.map_err(|error| problem(error, None))?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().filter(|_| more).map(|transaction| transaction.id.to_string());
    let items: Vec<Value> = found.iter().map(of_transaction).collect();
    Ok(Json(StatusCode::OK, json!({"items": items, "nextCursor": next})))
}

fn of_transaction(transaction: &Transaction) -> Value {
    let (description, payment) = match transaction.kind {
        Kind::Charge => ("Charged".to_owned(), None),
        Kind::Payment(payment) => (format!("Payment {payment}"), Some(payment.to_string())),
        Kind::Refund(payment) => (format!("Refund of payment {payment}"), Some(payment.to_string())),
    };
    json!({
        "transactionId": transaction.id.to_string(),
        "type": transaction.kind.as_str(),
        "amount": transaction.amount.minor(),
        "balanceAfter": transaction.balance_after.minor(),
        "description": description,
        "paymentId": payment,
        "createdAt": transaction.at.to_string(),
    })
}

/// Lets the user and administrators through.
fn own(caller: &Caller, user: &str) -> Result<UserId, Problem> {
    let user = UserId::parse(user).map_err(|_| Problem::not_found())?;
    if caller.may_see(&user) { Ok(user) } else { Err(Problem::forbidden()) }
}
