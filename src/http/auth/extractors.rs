//! The extractors that name, in a route's signature, the right that its caller must have.
//!
//! Invariant: a suspended user is refused and a change by a user passes the rate limit here, so that no route can forget it.

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::request::Parts;

use super::{Caller, FollowersToken, Right, Role, no_token, token_expired};
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::http::HttpParts;
use crate::http::problem::Problem;

/// Tells which users are refused although their tokens are valid. The application asks the engine; this layer's tests
/// refuse nobody.
pub trait Standing {
    /// Tells whether a user is suspended or deleted.
    fn is_barred(&self, user: &UserId) -> bool;

    /// Refuses a caller whose token is over or who is suspended by `now`, whatever the role. Each request asks it once.
    ///
    /// # Errors
    /// 401 `token_expired`, 403 `user_suspended`. The scripts' token has no end, and is nobody who could be suspended.
    fn still_stands(&self, caller: &Caller, now: Timestamp) -> Result<(), Problem> {
        let Some(expires_at) = caller.expires_at else { return Ok(()) };
        if expires_at <= now {
            return Err(token_expired());
        }
        if self.is_barred(&caller.user_id) { Err(Problem::user_suspended()) } else { Ok(()) }
    }
}

/// Returns a caller who has a right. Without a valid token it is 401; for a suspended user or a role without the right
/// 403; for too many changes of a user 429.
fn let_in<S: AsRef<HttpParts> + Standing>(parts: &Parts, state: &S, right: Right) -> Result<Caller, Problem> {
    let http = state.as_ref();
    let now = http.clock.now();
    let caller = http.authenticator.caller(&parts.headers, now)?;
    let caller = caller.ok_or_else(no_token)?;
    state.still_stands(&caller, now)?;
    if caller.role == Role::User && changes(&parts.method) {
        http.rate_limit.check(&caller.user_id, now)?;
    }
    if caller.role.may(right) { Ok(caller) } else { Err(Problem::forbidden()) }
}

/// Tells whether a method makes changes.
pub(crate) fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

impl<S: Sync> FromRequestParts<S> for FollowersToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.headers)
    }
}

macro_rules! extractors {
    ($($(#[$doc:meta])+ $name:ident: $right:ident;)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone)]
        pub struct $name(pub Caller);

        impl core::ops::Deref for $name {
            type Target = Caller;

            fn deref(&self) -> &Caller {
                &self.0
            }
        }

        impl<S: AsRef<HttpParts> + Standing + Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
                let_in(parts, state, Right::$right).map(Self)
            }
        }
    )+};
}

extractors! {
    /// Someone who buys.
    User: Buy;
    /// Someone who sells at the box office.
    Clerk: Sell;
    /// Someone who gives back what they may touch: their own, an order, or anyone's.
    Returner: GiveBack;
    /// Someone who reads one thing that they may see: [`Caller::may_see_of`].
    Viewer: ReadOne;
    /// Someone who reads what is theirs, or anyone's: [`Caller::may_see`].
    Reader: ReadOwn;
    /// Someone who reads everything.
    Auditor: ReadAll;
    /// Someone who sees how sales and rooms go.
    Watcher: WatchSales;
    /// Someone who runs sales and rooms.
    Operator: RunSales;
    /// Someone who opens event streams.
    StreamOpener: OpenStreams;
    /// Someone who follows the journal.
    Follower: FollowEvents;
    /// Someone who does everything else.
    Admin: Administer;
}
