//! The waiting room's pass of a request.

use core::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};

use super::app::App;
use super::problem::{Code, Problem};
use crate::domain::ids::UserId;
use crate::engine::{Pass, ScheduleEntry};

/// The header of the waiting room's pass.
pub(super) const QUEUE_TOKEN: HeaderName = HeaderName::from_static("queue-token");

/// The longest text that could be a pass, in bytes.
pub(super) const QUEUE_TOKEN_LEN_MAX: usize = 1_000;

/// Makes the 403 for a request without a pass.
pub(super) fn token_required(detail: &'static str) -> Problem {
    Problem::new(Code::QueueTokenRequired, detail)
}

/// The pass that a request shows, not yet read.
pub(super) struct ShownPass {
    token: Option<HeaderValue>,
    twice: bool,
}

impl<S: Sync> FromRequestParts<S> for ShownPass {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let mut shown = parts.headers.get_all(QUEUE_TOKEN).iter();
        Ok(Self { token: shown.next().cloned(), twice: shown.next().is_some() })
    }
}

impl ShownPass {
    /// Tells whether there is one.
    pub(super) fn is_there(&self) -> bool {
        self.token.is_some()
    }

    /// Reads the pass.
    ///
    /// # Errors
    /// 403 `queue_token_required` without a pass, 401 `queue_token_invalid` if it isn't this user's for this schedule.
    pub(super) fn read(&self, app: &App, entry: &ScheduleEntry, user: &UserId) -> Result<Pass, Problem> {
        let missing = || token_required("This schedule has a waiting room: a queue token is needed.");
        let token = self.token.as_ref().ok_or_else(missing)?;
        let token = token.to_str().ok().filter(|_| !self.twice);
        token.and_then(|token| app.engine.read_pass(entry, user, token)).ok_or_else(no_token_of_ours)
    }

    /// Refuses what can't be anybody's pass; it is read later.
    ///
    /// # Errors
    /// 401 `queue_token_invalid`.
    pub(super) fn check_form(&self) -> Result<(), Problem> {
        let is_like_one = |token: &HeaderValue| {
            (1..=QUEUE_TOKEN_LEN_MAX).contains(&token.len())
                && token.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        let right = !self.twice && self.token.as_ref().is_none_or(is_like_one);
        if right { Ok(()) } else { Err(no_token_of_ours()) }
    }
}

fn no_token_of_ours() -> Problem {
    Problem::new(Code::QueueTokenInvalid, "The queue token is not one of yours for this schedule.")
}

/// Refuses a pass that isn't active.
///
/// # Errors
/// 403 `queue_not_active`, with the position of a user who still waits.
pub(super) fn check_active(app: &App, entry: &ScheduleEntry, pass: Pass) -> Result<(), Problem> {
    if entry.room().admits(pass, app.engine.now()) {
        return Ok(());
    }
    let position = {
        let room = entry.room().read();
        room.position(pass.ticket).filter(|_| room.joined_at(pass.ticket) == Some(pass.issued_at))
    };
    let detail = match position {
        Some(_) => "It is not your turn yet; see `position`.",
        None => "This queue token is not active.",
    };
    Err(Problem::new(Code::QueueNotActive, detail).with("position", position))
}
