//! The waiting room's pass of a request.

use axum::http::{HeaderMap, HeaderName};

use super::app::App;
use super::problem::{Code, Problem};
use crate::domain::ids::UserId;
use crate::engine::{Pass, ScheduleEntry};

/// The header of the waiting room's pass.
pub(super) const QUEUE_TOKEN: HeaderName = HeaderName::from_static("queue-token");
/// Makes the 403 for a request without a pass.
pub(super) fn token_required(detail: &'static str) -> Problem {
    Problem::new(Code::QueueTokenRequired, detail)
}

/// Reads the pass of a request.
///
/// # Errors
/// 403 `queue_token_required` without a pass, 401 `queue_token_invalid` if it isn't this user's for this schedule.
pub(super) fn shown_pass(
    app: &App,
    entry: &ScheduleEntry,
    user: &UserId,
    headers: &HeaderMap,
) -> Result<Pass, Problem> {
    let mut shown = headers.get_all(QUEUE_TOKEN).iter();
    let token = shown
        .next()
        .ok_or_else(|| token_required("This schedule has a waiting room: a queue token is needed."))?;
    let token = token.to_str().ok().filter(|_| shown.next().is_none());
    token.and_then(|token| app.engine.read_pass(entry, user, token)).ok_or_else(|| {
        Problem::new(Code::QueueTokenInvalid, "The queue token is not one of yours for this schedule.")
    })
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
