//! The past of a schedule: its events, and its seat map at an earlier instant.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::event_names::EventNames;
use super::past::off_thread;
use crate::domain::schedule::{Event, Schedule};
use crate::domain::time::Timestamp;
use crate::engine::ScheduleEntry;
use crate::http::app::App;
use crate::http::auth::Watcher;
use crate::http::context::RequestContext;
use crate::http::documents::event::{self, NameSource};
use crate::http::documents::{At, InstantText, SeatName, ShapeWord, instant};
use crate::http::extract::{Path, Query};
use crate::http::json::{Json, json_bytes};
use crate::http::json_writer::JsonWriter;
use crate::http::lookup::{find, plan_of};
use crate::http::map_areas::{MapAreas, SeatFilter, seating_of};
use crate::http::page::Limit;
use crate::http::problem::{Code, Problem};
use crate::http::seat_map::{MapAtDocument, Seats};
use crate::http::seat_vector::{VectorAtDocument, VectorDocument};
use crate::record::{Fact, Record};

/// The filter of a history.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct OfSeat {
    /// Only events of this seat.
    #[param(value_type = Option<SeatName>)]
    seat_id: Option<String>,
}

/// A schedule's history, the newest event first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct History {
    items: Vec<HistoryItem>,
    /// Always null: a history has one page.
    #[schema(required)]
    next_cursor: Option<String>,
    /// The oldest position that the journal keeps. Earlier events aren't shown.
    oldest_position: u64,
}

/// An event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct HistoryItem {
    /// Its position in the journal.
    position: u64,
    /// When it happened.
    at: At,
    /// The type of the event: `SeatsHeld`, `SalesOpened`, …
    #[serde(rename = "type")]
    kind: &'static str,
    schedule_id: String,
    /// The event's fields: `seats`, `reservationId`, `userId`, `expiresAt`, …; and `by`: `engine`, `user`, or
    /// `admin` with its `adminId`.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
}

/// Read the history of a schedule, or of one seat
///
/// Each event with its time, its position in the journal and who asked for it, the newest first.
#[utoipa::path(get, path = "/api/v1/admin/schedules/{scheduleId}/history", operation_id = "readHistory", tag = "Operations",
    params(("scheduleId" = String, Path), OfSeat, Limit),
    security(("bearer" = [])),
    responses((status = 200, description = "The last events", body = History),
        (status = 404, description = "`not_found`"),
        (status = 410, description = "`not_retained` with `oldestPosition`"),
        (status = 422, description = "`unknown_seat` with `seats`"),
        (status = 503, description = "`journal_unavailable`: the kept records are damaged")))]
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
        let mut event_names = EventNames::new(engine.clone(), CancellationToken::new());
        let mut items = Vec::new();

        // From the oldest on, so that names are learnt from earlier events; the answer begins with the newest.
        for moment in engine.history(&entry, seat, limit)?.into_iter().rev() {
            let Record { at, by, fact: Fact::Schedule(number, event), .. } = &moment.record else { continue };
            let document = event::of_schedule(event, &event_names.of_schedule(*number, event)?);
            let (position, at) = (moment.position.get(), At(*at));
            let (kind, mut data) = (document.kind.name, document.data);

            // The item has it as a member of its own.
            data.remove("scheduleId");
            event::add_by(&mut data, by);
            items.push(HistoryItem { position, at, kind, schedule_id: entry.id().to_string(), data });
        }
        items.reverse();
        Ok(items)
    });

    Ok(Json(StatusCode::OK, History { items: items.await?, next_cursor: None, oldest_position }))
}

/// The instant of the seat map.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AsAt {
    /// RFC 3339, from 1970 on.
    #[param(value_type = InstantText)]
    at: String,
    /// How the map is written.
    #[serde(default)]
    #[param(inline)]
    shape: ShapeWord,
}

/// A seat map as it was, in one of its shapes.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[schema(as = SeatMapAtOfAShape)]
#[expect(dead_code, reason = "describes what is written")]
pub(super) enum MapAtAnswer {
    List(MapAtDocument),
    Vector(VectorAtDocument<'static>),
}

/// Read the seat map of an earlier instant
///
/// A later instant than the present counts as the present. `at` in the answer is the instant of the map. With `shape=vector` the
/// answer follows the order of the venue's plan as it is now: its seats stand while schedules use it.
#[utoipa::path(get, path = "/api/v1/admin/schedules/{scheduleId}/seats", operation_id = "readSeatMapAt", tag = "Operations",
    params(("scheduleId" = String, Path), AsAt),
    security(("bearer" = [])),
    responses((status = 200, description = "As `GET /schedules/{scheduleId}/seats`, with `at`", body = MapAtAnswer),
        (status = 404, description = "`not_found`: the schedule didn't exist at that instant"),
        (status = 410, description = "`not_retained` with `oldestPosition`"),
        (status = 503, description = "`journal_unavailable`: the kept records are damaged")))]
pub(super) async fn seats_at(
    State(app): State<App>,
    _: Watcher,
    Path(id): Path<String>,
    Query(AsAt { at, shape }): Query<AsAt>,
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
                // An older journal has the prices only in its catalogue.
                let set = Event::PricesSet { prices: engine.prices(&of) };
                schedule.apply(&set, at.max(schedule.last_instant()), None);
            }
            // A hold past its deadline counts as ended, although its event may have been written later.
            while let Some(event) = schedule.due(at) {
                schedule.apply(&event, at.max(schedule.last_instant()), None);
            }
        }
        Ok(schedule)
    });

    let schedule = schedule.await?.ok_or_else(Problem::not_found)?;
    let prices = schedule.prices().expect("they were set, if they weren't");
    let (layout, seating) = (entry.layout(), seating_of(&app.engine, &entry));
    let areas = MapAreas { layout, seating: seating.as_deref(), prices, counts: schedule.area_counts() };
    match shape {
        ShapeWord::List => Ok(json_bytes(StatusCode::OK, seat_map(&entry, &schedule, at, &areas))),
        ShapeWord::Vector => {
            let plan = plan_of(&app, &entry).ok_or_else(Problem::not_found)?;
            let vector = VectorDocument::of(&entry, &schedule, plan, &areas);
            Ok(Json(StatusCode::OK, VectorAtDocument { at: At(at), vector }).into_response())
        }
    }
}

fn seat_map(entry: &ScheduleEntry, schedule: &Schedule, at: Timestamp, areas: &MapAreas<'_>) -> Vec<u8> {
    let prices = areas.prices;
    let (version, statuses) = (schedule.seats_version(), schedule.statuses());
    let mut json = JsonWriter::with_capacity(statuses.len() * 160 + 128);
    json.raw("{\"scheduleId\":").string(entry.id()).raw(",\"at\":").instant(at);
    json.raw(",\"version\":").display(version).raw(",\"seats\":[");
    Seats { layout: entry.layout(), prices, statuses }.write_all(&mut json);
    json.raw("]").raw(&areas.member(SeatFilter::default())).raw("}");
    json.into_bytes()
}
