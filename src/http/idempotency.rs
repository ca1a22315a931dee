//! Who asks, with which key, and whether the answer was given before.

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::app::App;
use super::auth::{Caller, Role};
use super::extract::IdempotencyKey;
use crate::domain::cause::{By, Cause};
use crate::domain::keys::KeyUse;

/// Makes a caller's idempotency key. A user has room for some of their own; who runs the sale has everyone's.
pub(super) fn key_of(app: &App, caller: &Caller, route: &str, key: &str, body: &[u8]) -> KeyUse {
    let made = app.engine.key(&caller.user_id, route, key, body);
    if caller.role == Role::User { made } else { made.owned_by(0) }
}

/// The header that says that an answer is an earlier one, given again.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Marks an answer that was given before.
pub(super) fn marked(answer: impl IntoResponse, replayed: bool) -> Response {
    let mut response = answer.into_response();
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// Who asks, and with which key.
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
