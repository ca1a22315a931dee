//! The past of a schedule: its events, and its seat map as it was.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::event_names::Known;
use super::past::off_thread;
use crate::domain::schedule::{Event, Schedule};
use crate::domain::time::Timestamp;
use crate::engine::ScheduleEntry;
use crate::http::app::App;
use crate::http::auth::Watcher;
use crate::http::documents::{At, InstantText, SeatName, event, instant};
use crate::http::extract::{Path, Query};
use crate::http::json::{Json, json_bytes};
use crate::http::json_writer::JsonWriter;
use crate::http::lookup::find;
use crate::http::page::Limit;
use crate::http::problem::{Code, Problem};
use crate::http::request::RequestContext;
use crate::http::seat_map::{MapAtDocument, Seats};
use crate::record::{Fact, Record};

/// What a history is narrowed by.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct OfSeat {
    /// Only what concerns this seat.
    #[param(value_type = Option<SeatName>)]
    seat_id: Option<String>,
}

/// A schedule's history, the newest event first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct History {
    items: Vec<HistoryItem>,
    /// Always null: a history isn't paged.
    #[schema(required)]
    next_cursor: Option<String>,
    /// The oldest position that the journal keeps: what happened before it isn't shown.
    oldest_position: u64,
}

/// An event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct HistoryItem {
    /// Its place in the journal.
    position: u64,
    /// When it happened.
    at: At,
    /// What happened: `SeatsHeld`, `SalesOpened`, …
    #[serde(rename = "type")]
    kind: &'static str,
    schedule_id: String,
    /// What belongs to the event: `seats`, `reservationId`, `userId`, `expiresAt`, …; and `by`: `engine`, `user`
    /// or `admin` with its `adminId`.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
}

/// What happened to a schedule, or to one seat
///
/// Who, what, when and where in the journal; the newest first.
#[utoipa::path(get, path = "/api/v1/admin/schedules/{scheduleId}/history", operation_id = "readHistory", tag = "Operations",
    params(("scheduleId" = String, Path), OfSeat, Limit),
    security(("bearer" = [])),
    responses((status = 200, description = "The last events", body = History),
        (status = 404, description = "`not_found`"),
        (status = 410, description = "`not_retained` with `oldestPosition`"),
        (status = 422, description = "`unknown_seat` with `seats`"),
        (status = 503, description = "`journal_unavailable`: what is kept is damaged")))]
pub(super) async fn history(
    State(app): State<App>,
    _: Watcher,
    Path(id): Path<String>,
    Query(narrow): Query<OfSeat>,
    Limit { limit }: Limit,
    context: RequestContext,
) -> Result<Json<History>, Problem> {
    let entry = find(&app, &id).await?;
    let unknown = |name: &String| {
        Problem::new(Code::UnknownSeat, "The venue has no such seat; see `seats`.")
            .with("seats", vec![name.as_str()])
    };
    let seat = |name: &String| entry.layout().seat(name).ok_or_else(|| unknown(name));
    let seat = narrow.seat_id.as_ref().map(seat).transpose()?;
    let engine = app.engine.clone();
    let oldest_position = engine.journal().oldest().get();
    let items = off_thread(&context, move || {
        let mut known = Known::new(engine.clone());
        let mut items = Vec::new();
        for moment in engine.history(&entry, seat, limit)?.into_iter().rev() {
            let Record { at, by, fact: Fact::Schedule(number, event), .. } = &moment.record else { continue };
            let document = event::of_schedule(event, &known.names(*number, event)?);
            let (position, at) = (moment.position.get(), At(*at));
            let (kind, mut data) = (document.kind.name, document.data);
            data.remove("scheduleId");
            event::add_by(&mut data, by);
            items.push(HistoryItem { position, at, kind, schedule_id: entry.id().to_string(), data });
        }
        items.reverse();
        Ok(items)
    });

    Ok(Json(StatusCode::OK, History { items: items.await?, next_cursor: None, oldest_position }))
}

/// At which instant the seat map is wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AsAt {
    /// RFC 3339, from 1970 on.
    #[param(value_type = InstantText)]
    at: String,
}

/// The seat map as it was
///
/// At an instant; one that is yet to come counts as the present, and `at` in the answer says which it is.
#[utoipa::path(get, path = "/api/v1/admin/schedules/{scheduleId}/seats", operation_id = "readSeatMapAt", tag = "Operations",
    params(("scheduleId" = String, Path), AsAt),
    security(("bearer" = [])),
    responses((status = 200, description = "As `GET /schedules/{scheduleId}/seats`, and `at`", body = MapAtDocument),
        (status = 404, description = "`not_found`: no such schedule, or not yet at that instant"),
        (status = 410, description = "`not_retained` with `oldestPosition`"),
        (status = 503, description = "`journal_unavailable`: what is kept is damaged")))]
pub(super) async fn seats_at(
    State(app): State<App>,
    _: Watcher,
    Path(id): Path<String>,
    Query(AsAt { at }): Query<AsAt>,
    context: RequestContext,
) -> Result<Response, Problem> {
    let at = instant(&at)
        .ok_or_else(|| Problem::invalid_field("at", "must be an RFC 3339 instant from 1970 on"))?
        .min(app.engine.now());
    let entry = find(&app, &id).await?;
    let (engine, of) = (app.engine.clone(), Arc::clone(&entry));
    let schedule = off_thread(&context, move || {
        let mut schedule = engine.schedule_at(&of, at)?;
        if let Some(schedule) = &mut schedule {
            if schedule.prices().is_none() {
                // A journal of before has them in its catalogue alone.
                let set = Event::PricesSet { prices: engine.prices(&of) };
                schedule.apply(&set, at.max(schedule.last_instant()), None);
            }
            // What time had brought by then counts, whenever the event that says so was written.
            while let Some(event) = schedule.due(at) {
                schedule.apply(&event, at.max(schedule.last_instant()), None);
            }
        }
        Ok(schedule)
    });
    let schedule = schedule.await?.ok_or_else(Problem::not_found)?;
    Ok(json_bytes(StatusCode::OK, seat_map(&entry, &schedule, at)))
}

fn seat_map(entry: &ScheduleEntry, schedule: &Schedule, at: Timestamp) -> Vec<u8> {
    let prices = schedule.prices().expect("they were set, if they weren't");
    let (version, statuses) = (schedule.seats_version(), schedule.statuses());
    let mut json = JsonWriter::with_capacity(statuses.len() * 160 + 128);
    json.raw("{\"scheduleId\":").string(entry.id()).raw(",\"at\":").instant(at);
    json.raw(",\"version\":").display(version).raw(",\"seats\":[");
    Seats { layout: entry.layout(), prices, statuses }.write_all(&mut json);
    json.raw("]}");
    json.into_bytes()
}
