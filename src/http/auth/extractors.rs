//! The extractors that say in a route's signature who may call it.
//!
//! Invariant: a change by a user passes the rate limit here, so that no route can forget it.

use axum::{
    extract::FromRequestParts,
    http::{Method, request::Parts},
};

use super::{Caller, unauthenticated};
use crate::http::{HttpParts, problem::Problem};

/// A signed-in caller of any role; 401 otherwise, 429 for too many changes.
#[derive(Debug, Clone)]
pub struct User(pub Caller);

/// An administrator; 401 without a valid token, 403 for anyone else.
#[derive(Debug, Clone)]
pub struct Admin(pub Caller);

/// The caller if there is a token; a token that isn't valid is 401 all the same.
#[derive(Debug, Clone)]
pub struct MaybeUser(pub Option<Caller>);

fn authenticate(parts: &Parts, http: &HttpParts) -> Result<Option<Caller>, Problem> {
    let now = http.clock.now();
    let Some(caller) = http.authenticator.caller(&parts.headers, now)? else {
        return Ok(None);
    };
    if changes(&parts.method) && !caller.is_admin() {
        http.rate_limit.check(&caller.user_id, now)?;
    }
    Ok(Some(caller))
}

/// Says whether a method changes anything.
pub(crate) fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

impl<S: AsRef<HttpParts> + Send + Sync> FromRequestParts<S> for User {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        authenticate(parts, state.as_ref())?
            .map(Self)
            .ok_or_else(|| unauthenticated("This needs a bearer token."))
    }
}

impl<S: AsRef<HttpParts> + Send + Sync> FromRequestParts<S> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let User(caller) = User::from_request_parts(parts, state).await?;
        if caller.is_admin() { Ok(Self(caller)) } else { Err(Problem::forbidden()) }
    }
}

impl<S: AsRef<HttpParts> + Send + Sync> FromRequestParts<S> for MaybeUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        authenticate(parts, state.as_ref()).map(Self)
    }
}
