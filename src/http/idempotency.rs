//! Idempotency keys of callers, and the mark of repeated answers.

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::app::App;
use super::auth::{Caller, Role};
use super::extract::IdempotencyKey;
use super::problem::Problem;
use super::refusal::problem;
use crate::domain::cause::{By, Cause};
use crate::domain::keys::{KeyFound, KeyUse};
use crate::engine::{EngineError, ScheduleEntry};

/// Makes a caller's idempotency key. The keys of a user have a bound of their own; those of other roles don't.
pub(super) fn key_of(app: &App, caller: &Caller, route: &str, key: &str, body: &[u8]) -> KeyUse {
    let made = app.engine.key(&caller.user_id, route, key, body);
    if caller.role == Role::User { made } else { made.owned_by(0) }
}

/// Tells whether a schedule has an answer for a key already: then nothing else of the request is looked at. A key that had its effect for
/// another body is refused before anything of this one is.
///
/// # Errors
/// 422 `idempotency_key_reused`.
pub(super) fn is_answered(app: &App, entry: &ScheduleEntry, key: Option<KeyUse>) -> Result<bool, Problem> {
    let Some(key) = key else { return Ok(false) };
    match entry.read().find_key(key, app.engine.now()) {
        Some(KeyFound::Reused) => Err(problem(EngineError::KeyReused, None)),
        found => Ok(found.is_some()),
    }
}

/// Refuses a key that had its effect for another body.
///
/// # Errors
/// 422 `idempotency_key_reused`.
pub(super) fn check_body(app: &App, entry: &ScheduleEntry, key: Option<KeyUse>) -> Result<(), Problem> {
    is_answered(app, entry, key).map(drop)
}

/// The header that marks a repeated answer.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Marks an answer as repeated.
pub(super) fn marked(answer: impl IntoResponse, replayed: bool) -> Response {
    let mut response = answer.into_response();
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// Returns the cause of a request: the caller and the key.
pub(super) fn asked(
    app: &App,
    caller: &Caller,
    route: &str,
    key: Option<IdempotencyKey>,
    body: &[u8],
) -> Cause {
    let key = key.map(|key| key_of(app, caller, route, key.as_str(), body));
    Cause { by: By::Admin(caller.user_id.clone()), key }
}
