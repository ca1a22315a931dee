//! The routes, one file a resource. A handler checks who asks, turns the document into a command,
//! asks the engine, and writes the answer; no rule lives here.

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;

use super::app::App;
use super::auth::{Caller, Right, Role};
use super::problem::Problem;
use crate::domain::ids::UserId;
use crate::domain::keys::KeyUse;

pub mod admin;
pub mod balance;
pub mod catalogue;
pub mod docs;
pub mod payments;
pub mod queue;
pub mod reservations;
pub mod running;
pub mod schedules;
pub mod seats;
#[cfg(test)]
mod tests;
pub mod users;

pub use admin::{Exports, Samples};
pub use seats::SeatBodies;

/// Makes the routes under `/api/v1`.
pub fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(catalogue::routes())
        .merge(schedules::routes())
        .merge(seats::routes())
        .merge(reservations::routes())
        .merge(queue::routes())
        .merge(payments::routes())
        .merge(balance::routes())
        .merge(users::routes())
        .merge(admin::routes())
}

/// Makes a caller's idempotency key. A user has room for some of their own; who runs the sale has everyone's.
fn key_of(app: &App, caller: &Caller, route: &str, key: &str, body: &[u8]) -> KeyUse {
    let made = app.engine.key(&caller.user_id, route, key, body);
    if caller.role == Role::User { made } else { made.owned_by(0) }
}

/// The header that says that an answer is an earlier one, given again.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Marks an answer that was given before.
fn marked(answer: impl IntoResponse, replayed: bool) -> Response {
    let mut response = answer.into_response();
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// Says whose things a list shows: who reads everything sees everyone's, or whose were asked for; others see their own.
///
/// # Errors
/// 403 `forbidden` where another's are asked for.
fn narrowed<'a>(caller: &'a Caller, user: Option<&'a UserId>) -> Result<Option<&'a str>, Problem> {
    match user {
        _ if caller.role.may(Right::ReadAll) => Ok(user.map(UserId::as_str)),
        None => Ok(Some(&caller.user_id)),
        Some(user) if caller.user_id == *user => Ok(Some(user)),
        Some(_) => Err(Problem::forbidden()),
    }
}
