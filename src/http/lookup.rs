//! Look-ups that several routes share, with the problem for a name that doesn't exist.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::ClientAddress;
use super::app::App;
use super::auth::{Caller, Right};
use super::documents::{ScheduleDocument, ScheduleState, ScheduleView};
use super::problem::{Code, Problem};
use super::refusal::problem;
use crate::domain::ids::UserId;
use crate::domain::users::UserStatus;
use crate::domain::venue::{Area, Layout, PlanId, Seat};
use crate::engine::ScheduleEntry;

/// Finds a schedule, live or archived.
pub(super) async fn find(app: &App, id: &str) -> Result<Arc<ScheduleEntry>, Problem> {
    let found = app.engine.find_schedule(id).await.map_err(|error| problem(error, None))?;
    found.ok_or_else(Problem::not_found)
}

/// Returns the present states of the schedules whose documents repeat them, by their ids.
pub(super) async fn standing<'a>(
    app: &App,
    documents: impl Iterator<Item = (&'a str, &'a ScheduleDocument)>,
) -> Result<HashMap<String, ScheduleState>, Problem> {
    let mut standing = HashMap::new();
    for (id, _) in documents.filter(|(_, document)| document.has_read_only()) {
        let found = app.engine.find_schedule(id).await.map_err(|error| problem(error, None))?;
        if let Some(entry) = found {
            standing.insert(
                id.to_owned(),
                ScheduleView::now(&entry, &app.engine.catalogue(), app.engine.now()).into_state(),
            );
        }
    }
    Ok(standing)
}

/// Returns the plan that a schedule's venue has now; nothing where both were removed at this moment.
pub(super) fn plan_of(app: &App, entry: &ScheduleEntry) -> Option<PlanId> {
    let catalogue = app.engine.catalogue();
    let built = catalogue.venue(entry.read().venue())?;
    Some(built.seating.id())
}

/// How many seats of a map or a plan count as one more read.
const SEATS_PER_READ: u32 = 2_000;

/// Counts the additional reads of a whole map or plan.
pub(super) fn count_seats(
    app: &App,
    ClientAddress(address): ClientAddress,
    layout: &Layout,
) -> Result<(), Problem> {
    match layout.seat_count() / SEATS_PER_READ {
        0 => Ok(()),
        reads => app.parts.read_limit.check(&address, reads, app.engine.now()),
    }
}

/// So many names are compared one by one.
const FEW: usize = 10;

/// Finds the seats that a body names. Each must exist, none may come twice.
pub(super) fn known_seats(layout: &Layout, names: &[impl AsRef<str>]) -> Result<Arc<[Seat]>, Problem> {
    let mut seats = Vec::with_capacity(names.len());
    let mut unknown = Vec::new();
    // A set costs more than to compare the few that most name.
    let mut seen = (names.len() > FEW).then(|| HashSet::with_capacity(names.len()));
    for (index, name) in names.iter().map(AsRef::as_ref).enumerate() {
        match layout.seat(name) {
            Some(seat) => seats.push(seat),
            None => unknown.push(name),
        }
        let is_new = match &mut seen {
            Some(seen) => seen.insert(name),
            None => names[..index].iter().all(|other| other.as_ref() != name),
        };
        if !is_new {
            return Err(Problem::invalid_field(format!("seats[{index}]"), "the seat is named twice"));
        }
    }
    if !unknown.is_empty() {
        return Err(Problem::new(Code::UnknownSeat, "The venue has no such seats; see `seats`.")
            .with("seats", unknown));
    }
    Ok(seats.into())
}

/// Tells whether the engine has a record of a user: they signed up and weren't deleted, have bought or hold seats, or put money in. Where
/// an outside provider signs users up, nothing may be kept of one here, and yet they are someone.
pub(super) fn has_record(app: &App, user: &UserId) -> bool {
    match app.engine.user(user) {
        Some(known) => known.status != UserStatus::Deleted,
        None => acts(app, user),
    }
}

/// Tells whether a user of whom nothing is kept has bought or holds seats, or put money in.
pub(super) fn acts(app: &App, user: &UserId) -> bool {
    app.engine.balance(user).is_some() || !app.engine.schedules_of_user(user).is_empty()
}

/// Finds an area of which a body names places, as the one of so many in its list.
pub(super) fn known_area(layout: &Layout, index: usize, id: &str, count: u32) -> Result<Area, Problem> {
    let wrong = |field: &str, detail: &'static str| {
        Err(Problem::invalid_field(format!("areas[{index}].{field}"), detail))
    };
    let Some(area) = layout.area(id) else {
        return wrong("areaId", "the venue has no such area");
    };
    if count == 0 { wrong("count", "at least one place is needed") } else { Ok(area) }
}

/// Refuses an area that a body names twice.
pub(super) fn named_twice(index: usize) -> Problem {
    Problem::invalid_field(format!("areas[{index}].areaId"), "the area is named twice")
}

/// Returns the user whose items a list shows: callers who may read everything see everyone's or one user's, others
/// their own.
///
/// # Errors
/// 403 `forbidden` if another user's are asked for.
pub(super) fn narrowed<'a>(caller: &'a Caller, user: Option<&'a UserId>) -> Result<Option<&'a str>, Problem> {
    match user {
        _ if caller.role.may(Right::ReadAll) => Ok(user.map(UserId::as_str)),
        None => Ok(Some(&caller.user_id)),
        Some(user) if caller.user_id == *user => Ok(Some(user)),
        Some(_) => Err(Problem::forbidden()),
    }
}
