//! A user's balance: read it, charge it, list its movements.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::accounts::Answer;
use crate::domain::cause::{By, Cause};
use crate::domain::ids::UserId;
use crate::domain::money::Money;
use crate::engine::Done;
use crate::http::app::App;
use crate::http::auth::{Caller, Reader, User};
use crate::http::documents::money::{BalanceDocument, TransactionDocument};
use crate::http::documents::{At, OpaqueId};
use crate::http::extract::{Body, IdempotencyKey, Path};
use crate::http::idempotency::{key_of, marked};
use crate::http::json::Json;
use crate::http::page::{List, Page};
use crate::http::problem::{Code, Problem};
use crate::http::refusal::problem;
use crate::http::table::{Routes, routes};
use crate::random;

/// Makes the routes of balances.
pub fn routes() -> Routes<App> {
    routes![read, charge, transactions]
}

/// An amount to add to a balance.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"amount": 100_000}))]
struct ChargeBody {
    /// In minor units of the account's currency.
    amount: u64,
}

/// The result of a charge.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Charged)]
struct ChargedDocument {
    current_balance: u64,
    charged_amount: u64,
    transaction_id: OpaqueId,
}

/// Read a balance
///
/// The caller's own balance; administrators may read anyone's. An account that was never charged has the balance 0.
#[utoipa::path(get, path = "/api/v1/users/{userId}/balance", operation_id = "readBalance", tag = "Balance",
    params(("userId" = String, Path)), security(("bearer" = [])),
    responses((status = 200, description = "The balance", body = BalanceDocument<'static>),
        (status = 403, description = "`forbidden`: it belongs to another user")))]
async fn read(
    State(app): State<App>,
    Reader(caller): Reader,
    Path(user): Path<String>,
) -> Result<Response, Problem> {
    let user = own(&caller, &user)?;
    let currency = app.parts.payments.currency;
    let (balance, currency, at) = app.engine.balance(&user).unwrap_or((Money::ZERO, currency, None));
    let (balance, currency, updated_at) = (balance.minor(), currency.as_str(), at.map(At));
    let document = BalanceDocument { user_id: &user, balance, currency, updated_at };
    Ok(Json(StatusCode::OK, document).into_response())
}

/// Charge a balance
///
/// Administrators may charge anyone's balance. Users may charge their own if the server allows it (setting
/// `self_charge`).
#[utoipa::path(post, path = "/api/v1/users/{userId}/balance", operation_id = "chargeBalance", tag = "Balance", request_body = ChargeBody,
    params(("userId" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 201, description = "The balance was charged", body = ChargedDocument),
        (status = 403, description = "`forbidden`: it belongs to another user, or the server doesn't let users charge their balance"),
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
        let detail = "This server doesn't let users charge their own balance; an administrator can.";
        return Err(Problem::new(Code::Forbidden, detail));
    }

    let (min, max) = (settings.charge_min, settings.charge_max);
    let amount = Money::new(body.value.amount).filter(|amount| (min..=max).contains(amount));
    let amount = amount.ok_or_else(|| {
        let detail = format!("The amount must be from {} to {}.", min.minor(), max.minor());
        Problem::new(Code::AmountOutOfRange, detail)
    })?;

    let route = format!("POST /users/{user}/balance");
    let key = key.map(|key| key_of(&app, &caller, &route, key.as_str(), &body.raw));
    let by = if caller.is_admin() { By::Admin(caller.user_id) } else { By::User };

    // An account keeps the currency of its first charge.
    let currency = app.engine.balance(&user).map_or(settings.currency, |(_, currency, _)| currency);
    let charged = app.engine.charge(&user, amount, currency, random::number(), Cause { by, key }).await;
    let Done { answer, replayed } = charged.map_err(|error| problem(error, None))?;
    let Answer::Moved(transaction) = answer else {
        unreachable!("a charge always moves money");
    };

    let document = ChargedDocument {
        current_balance: transaction.balance_after.minor(),
        charged_amount: transaction.amount.minor(),
        transaction_id: transaction.id.into(),
    };

    Ok(marked(Json(StatusCode::CREATED, document), replayed))
}

/// List an account's movements, newest first
#[utoipa::path(get, path = "/api/v1/users/{userId}/balance/transactions", operation_id = "listTransactions", tag = "Balance",
    params(("userId" = String, Path), Page),
    security(("bearer" = [])),
    responses((status = 200, description = "A page of the list", body = List<TransactionDocument>),
        (status = 403, description = "`forbidden`: it belongs to another user")))]
async fn transactions(
    State(app): State<App>,
    Reader(caller): Reader,
    Path(user): Path<String>,
    page: Page,
) -> Result<Json<List<TransactionDocument>>, Problem> {
    let user = own(&caller, &user)?;
    let read = |cursor: String| app.engine.transaction_id(&cursor).ok_or_else(Problem::bad_cursor);
    let before = page.behind()?.map(read).transpose()?;
    let found = app.engine.transactions(&user, before.map(|id| id.number), page.limit + 1).await;
    let found = found.map_err(|error| problem(error, None))?;
    let items = found.iter().map(|transaction| (transaction.id.to_string(), transaction.into()));
    Ok(Json(StatusCode::OK, List::of(&page, items)))
}

/// Refuses everyone but the user and administrators.
fn own(caller: &Caller, user: &str) -> Result<UserId, Problem> {
    let user = UserId::parse(user).map_err(|_| Problem::not_found())?;
    if caller.may_see(&user) { Ok(user) } else { Err(Problem::forbidden()) }
}
