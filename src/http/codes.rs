//! Codes that requests bring: how they are read, and how often a wrong one may be brought.
//!
//! Absent on purpose: whether a code is right, which the schedule says.
//!
//! Invariants: one answer for every code that can't be used, whatever the reason; whoever has brought too many of them is told
//! to wait before the next is looked at, a right one, too, so that the limit can't be guessed around. A hold's own code is no guess.

use super::ClientAddress;
use super::app::App;
use super::problem::Problem;
use super::refusal::code_invalid;
use crate::domain::ids::UserId;
use crate::domain::schedule::codes::AccessCode;
use crate::domain::schedule::{Refusal, ReservationRef, Schedule};
use crate::domain::time::Timestamp;
use crate::engine::{self, EngineError, ScheduleEntry};

/// A code that a request brings, if it brings one.
pub(super) struct Brought<'a> {
    app: &'a App,
    user: &'a UserId,
    address: ClientAddress,
    /// The code.
    pub(super) code: Option<AccessCode>,
    /// Whether it was a guess that nothing has called wrong yet.
    may_be_wrong: bool,
}

/// What a code is brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BroughtTo {
    /// A hold.
    Hold,
    /// The exchange of a hold.
    Exchange(ReservationRef),
    /// The door of the waiting room.
    Door,
    /// The question what it gives.
    Offer,
}

impl BroughtTo {
    fn calls_wrong(self, schedule: &Schedule, code: &AccessCode, now: Timestamp) -> bool {
        let checked = match self {
            Self::Hold | Self::Exchange(_) | Self::Offer => schedule.check_code(code, now),
            Self::Door => schedule.check_door(Some(code), now),
        };
        checked == Err(Refusal::CodeInvalid)
    }

    /// Tells whether it is a hold of this user's that has the code already.
    fn has(self, schedule: &Schedule, user: &UserId, code: &AccessCode, now: Timestamp) -> bool {
        let id = match self {
            Self::Hold | Self::Door => return false,
            Self::Offer => return has_hold(schedule, user, code, now),
            Self::Exchange(id) => id,
        };
        let own = schedule.reservation(id).filter(|own| own.user.as_ref() == Some(user));
        own.and_then(|own| own.code()) == Some(code.as_str())
    }
}

/// Tells whether a user has a hold with a code that isn't over.
pub(super) fn has_hold(schedule: &Schedule, user: &UserId, code: &AccessCode, now: Timestamp) -> bool {
    let own = schedule.reservations_of(user.as_str());
    let mut holds = own.filter(|own| own.status_at(now).has_deadline());
    holds.any(|own| own.code() == Some(code.as_str()))
}

/// Reads the code of a request that wasn't answered before.
///
/// # Errors
/// 403 `code_invalid` where the text can't be a code; 429 `rate_limited` where the user, or their address, has brought too many wrong
/// ones.
pub(super) fn brought<'a>(
    app: &'a App,
    entry: &ScheduleEntry,
    user: &'a UserId,
    address: ClientAddress,
    text: Option<&str>,
    to: BroughtTo,
) -> Result<Brought<'a>, Problem> {
    let mut brought = Brought { app, user, address, code: None, may_be_wrong: false };
    let Some(text) = text else { return Ok(brought) };
    let now = app.engine.now();
    let code = AccessCode::parse(text).ok();

    // Nothing is learnt by bringing it again, also once it is over.
    if code.as_ref().is_some_and(|code| to.has(&entry.read(), user, code, now)) {
        brought.code = code;
        return Ok(brought);
    }
    app.parts.code_limit.check(user, &address.0, now)?;

    // What is wrong as far as is durable counts before it is asked for: many at once can't evade the limit. The schedule decides all
    // the same, since it may know better.
    let is_wrong = code.as_ref().is_none_or(|code| to.calls_wrong(&entry.read(), code, now));
    if is_wrong {
        app.parts.code_limit.count(user, &address.0, now)?;
    }
    brought.may_be_wrong = !is_wrong;
    brought.code = Some(code.ok_or_else(code_invalid)?);
    Ok(brought)
}

impl Brought<'_> {
    /// Notes why a request was refused: a code that the schedule called wrong counts.
    pub(super) fn note(&self, error: &EngineError) {
        let wrong = EngineError::Refused(engine::Refusal::Schedule(Refusal::CodeInvalid));
        if *error == wrong && self.may_be_wrong {
            // This one was looked at already; the next is told to wait.
            let _ = self.app.parts.code_limit.count(self.user, &self.address.0, self.app.engine.now());
        }
    }
}
