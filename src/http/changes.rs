//! Changes of the catalogue and of schedules, and how they are answered.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::app::App;
use super::auth::{Admin, Caller};
use super::documents::Surroundings;
use super::extract::IdempotencyKey;
use super::idempotency::{asked, marked};
use super::json::Json;
use super::problem::Problem;
use super::refusal::problem;
use crate::domain::catalogue::Put;
use crate::domain::cause::Cause;
use crate::domain::schedule::{Answer, Command};
use crate::engine::{CatalogueChange, Changed, Done, ScheduleEntry};

fn put_status(put: Put) -> StatusCode {
    match put {
        Put::Created => StatusCode::CREATED,
        Put::Replaced => StatusCode::OK,
    }
}

/// Puts an item.
pub(super) async fn put(app: &App, admin: &Admin, change: CatalogueChange) -> Result<StatusCode, Problem> {
    let cause = asked(app, admin, "", None, &[]);
    match app.engine.change(change, cause).await.map_err(|error| problem(error, None))? {
        Changed::Put(put) => Ok(put_status(put)),
        other @ (Changed::Imported { .. } | Changed::Removed { .. } | Changed::Acted(_)) => {
            unreachable!("a put answers with what it found, not {other:?}")
        }
    }
}

/// Answers with a reservation; a new one with where it is.
pub(super) fn reserved(
    app: &App,
    entry: &ScheduleEntry,
    acted: &Done<Answer>,
    status: StatusCode,
) -> Result<Response, Problem> {
    let Answer::Reservation(reservation) = &acted.answer else {
        unreachable!("a command about a reservation answers with one");
    };
    let surroundings = Surroundings::of(&app.engine, entry).map_err(|error| problem(error, None))?;
    let mut response = marked(Json(status, surroundings.show(reservation)), acted.replayed);

    if status == StatusCode::CREATED {
        let id = reservation.full_id(entry.number()).to_text();
        let location = [&b"/api/v1/reservations/"[..], &id].concat();
        let location = HeaderValue::try_from(location).expect("base 32 is visible ASCII");
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Has a schedule carry a command out.
pub(super) async fn act(
    app: &App,
    entry: &ScheduleEntry,
    command: Command,
    cause: Cause,
) -> Result<Done<Answer>, Problem> {
    let acted = app.engine.act_by(entry, command, cause).await;
    acted.map_err(|error| problem(error, Some(entry.layout())))
}

/// Puts a part of a schedule: a code, or an allotment.
pub(super) async fn put_in(
    app: &App,
    caller: &Caller,
    entry: &ScheduleEntry,
    command: Command,
) -> Result<StatusCode, Problem> {
    let cause = asked(app, caller, "", None, &[]);
    match act(app, entry, command, cause).await?.answer {
        Answer::Put { created: true } => Ok(StatusCode::CREATED),
        // The schedule is the answer where nothing changed.
        Answer::Put { created: false } | Answer::Schedule(_) => Ok(StatusCode::OK),
        other @ (Answer::Reservation(_) | Answer::Batch(_)) => {
            unreachable!("a part that is put answers so, not with {other:?}")
        }
    }
}

/// Removes an item: 204, also if an earlier request with the same key did.
pub(super) async fn remove(
    app: &App,
    caller: &Admin,
    route: &str,
    key: Option<IdempotencyKey>,
    change: CatalogueChange,
) -> Result<Response, Problem> {
    let cause = asked(app, caller, route, key, &[]);
    match app.engine.change(change, cause).await.map_err(|error| problem(error, None))? {
        Changed::Removed { replayed } => Ok(marked(StatusCode::NO_CONTENT, replayed)),
        other @ (Changed::Put(_) | Changed::Imported { .. } | Changed::Acted(_)) => {
            unreachable!("a removal answers that it is done, not {other:?}")
        }
    }
}
