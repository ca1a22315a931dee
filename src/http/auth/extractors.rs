//! The extractors that say in a route's signature who may call it.
//!
//! Invariant: a suspended user is refused and a change by a user passes the rate limit here, so that no route can forget it.

use axum::{
    extract::FromRequestParts,
    http::{Method, request::Parts},
};

use super::{Caller, unauthenticated};
use crate::{
    domain::ids::UserId,
    http::{HttpParts, problem::Problem},
};

/// Says which users aren't let in, though their tokens are right: the application asks the engine, and the tests of this
/// layer let everyone in.
pub trait Standing {
    /// Tells whether a user is suspended or deleted.
    fn is_barred(&self, user: &UserId) -> bool;
}

/// A signed-in caller of any role; 401 otherwise, 403 for a suspended user, 429 for too many changes.
#[derive(Debug, Clone)]
pub struct User(pub Caller);

/// An administrator; 401 without a valid token, 403 for anyone else.
#[derive(Debug, Clone)]
pub struct Admin(pub Caller);

/// The caller if there is a token; a token that isn't valid is 401 all the same.
#[derive(Debug, Clone)]
pub struct MaybeUser(pub Option<Caller>);

fn authenticate<S: AsRef<HttpParts> + Standing>(parts: &Parts, state: &S) -> Result<Option<Caller>, Problem> {
    let http = state.as_ref();
    let now = http.clock.now();
    let Some(caller) = http.authenticator.caller(&parts.headers, now)? else {
        return Ok(None);
    };
    // Administrators are no users: neither a limit nor a suspension is theirs.
    if caller.is_admin() {
        return Ok(Some(caller));
    }
    if state.is_barred(&caller.user_id) {
        return Err(Problem::user_suspended());
    }
    if changes(&parts.method) {
        http.rate_limit.check(&caller.user_id, now)?;
    }
    Ok(Some(caller))
}

/// Says whether a method changes anything.
pub(crate) fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

impl<S: AsRef<HttpParts> + Standing + Send + Sync> FromRequestParts<S> for User {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        authenticate(parts, state)?.map(Self).ok_or_else(|| unauthenticated("This needs a bearer token."))
    }
}

impl<S: AsRef<HttpParts> + Standing + Send + Sync> FromRequestParts<S> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let User(caller) = User::from_request_parts(parts, state).await?;
        if caller.is_admin() { Ok(Self(caller)) } else { Err(Problem::forbidden()) }
    }
}

impl<S: AsRef<HttpParts> + Standing + Send + Sync> FromRequestParts<S> for MaybeUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        authenticate(parts, state).map(Self)
    }
}
