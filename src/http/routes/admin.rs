//! What operators see: the present in one page, the past of a schedule, and the journal as a feed.
//!
//! Absent on purpose: anything secret (events carry no key, and there is no password in the journal's
//! documents). What reads the journal or the snapshots runs off the async threads.

mod export;
mod feed;
mod names;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::export::Exports;
use self::names::Known;
use super::schedules::find;
use super::seats::{MapAtDocument, Seats};
use crate::domain::payments::Counts;
use crate::domain::schedule::{SaleStatus, Schedule};
use crate::domain::time::Timestamp;
use crate::domain::waiting_room;
use crate::engine::{HistoryError, ScheduleEntry, SnapshotFailed};
use crate::http::app::App;
use crate::http::auth::{Admin, Follower, Watcher};
use crate::http::documents::{At, GateWord, InstantText, SaleWord, SeatCounts, SeatName, event, instant};
use crate::http::extract::{Path, Query};
use crate::http::json::{Json, json_bytes};
use crate::http::page::Limit;
use crate::http::problem::{Code, Problem};
use crate::http::request::RequestContext;
use crate::http::write::JsonWriter;
use crate::journal::{Position, ReadError};
use crate::record::{Fact, Record};

/// How many schedules the overview lists: those on sale first, then by their start.
const SCHEDULES_SHOWN_MAX: usize = 200;
/// How far back throughput looks.
const WINDOW_MILLIS: u64 = 60_000;
/// How far apart the samples of throughput are at least, which bounds how many there are.
const SAMPLE_MILLIS: u64 = 500;

/// Makes the administrators' routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(overview))
        .routes(routes!(history))
        .routes(routes!(seats_at))
        .routes(routes!(events))
        .routes(routes!(take_snapshot))
        .routes(routes!(export::export))
}

/// What the operations page shows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Overview {
    /// The engine's present instant.
    at: At,
    /// Whether changes are taken.
    ready: bool,
    venues: usize,
    concerts: usize,
    /// Schedules by how far their sale is.
    sales: SaleCounts,
    /// The seats of all schedules by status.
    seats: SeatCounts,
    /// Schedules: those on sale first, then by their start; 200 at most.
    schedules: Vec<ScheduleOverview>,
    queue: QueueOverview,
    /// The payments of all schedules that are under way.
    payments: PaymentsUnderWay,
    journal: JournalOverview,
    throughput: Throughput,
}

/// Payments that aren't settled.
#[derive(Debug, Serialize, ToSchema)]
struct PaymentsUnderWay {
    /// Being made; one that stays so waits for the gateway to tell how it went.
    pending: u64,
    /// Whose money is on its way back.
    refunding: u64,
}

/// The payments of a schedule that are under way, and those that were given back.
#[derive(Debug, Serialize, ToSchema)]
struct PaymentsOverview {
    pending: u64,
    /// How many refunds are left.
    refunding: u64,
    /// How many are done.
    refunded: u64,
}

/// Schedules by how far their sale is.
#[derive(Debug, Default, Serialize, ToSchema)]
struct SaleCounts {
    upcoming: usize,
    open: usize,
    closed: usize,
    cancelled: usize,
    total: usize,
}

impl SaleCounts {
    fn add(&mut self, status: SaleStatus) {
        let count = match status {
            SaleStatus::Upcoming => &mut self.upcoming,
            SaleStatus::Open => &mut self.open,
            SaleStatus::Closed => &mut self.closed,
            SaleStatus::Cancelled => &mut self.cancelled,
        };
        *count += 1;
        self.total += 1;
    }
}

/// A schedule in the overview.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ScheduleOverview {
    schedule_id: String,
    concert_id: String,
    concert_title: String,
    status: SaleWord,
    starts_at: At,
    #[schema(required)]
    sales_open_at: Option<At>,
    seats: SeatCounts,
    /// Reservations that are held or being paid.
    live_holds: usize,
    /// Messages that wait for its actor.
    mailbox_depth: usize,
    /// Clients that follow its seat map.
    followers: usize,
    /// The version of its seat map.
    version: u64,
    /// The instant of its last event.
    last_event_at: At,
    /// Its waiting room, where it has one.
    #[schema(required)]
    queue: Option<RoomOverview>,
    payments: PaymentsOverview,
}

/// The waiting rooms together.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct QueueOverview {
    waiting: u64,
    active: u64,
    /// How many were ever admitted.
    admitted_total: u64,
}

impl QueueOverview {
    fn add(&mut self, room: &waiting_room::Overview) {
        self.waiting += u64::from(room.waiting);
        self.active += u64::from(room.active);
        self.admitted_total += room.admitted_total;
    }
}

/// A schedule's waiting room in the overview.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RoomOverview {
    waiting: u32,
    active: u32,
    max_active: u32,
    #[schema(required)]
    admit_per_minute: Option<u32>,
    paused: bool,
    admitted_total: u64,
    /// How long a newcomer would wait, from the measured rate.
    #[schema(required)]
    estimated_wait_seconds: Option<u64>,
    gate: GateWord,
    /// Clients that follow their places.
    followers: usize,
}

impl RoomOverview {
    fn of(entry: &ScheduleEntry, now: Timestamp) -> Option<Self> {
        let room = entry.room();
        let overview = {
            let room = room.read();
            room.settings()?;
            room.overview()
        };
        Some(Self {
            waiting: overview.waiting,
            active: overview.active,
            max_active: overview.active_max,
            admit_per_minute: overview.admit_per_minute,
            paused: overview.paused,
            admitted_total: overview.admitted_total,
            estimated_wait_seconds: room.estimated_wait_seconds(overview.waiting.saturating_add(1), now),
            gate: overview.gate.into(),
            followers: room.followers(),
        })
    }
}

/// The journal.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct JournalOverview {
    /// The last position that is durable.
    position: u64,
    /// The oldest position that is kept.
    oldest_position: u64,
    /// Why it takes no more entries, if it has failed.
    #[schema(required)]
    failure: Option<String>,
}

/// How much happens.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Throughput {
    /// Events a second, over the time that was looked at.
    events_per_second: f64,
    /// The time that was looked at, a minute at most: since an earlier look at this page.
    window_millis: u64,
}

/// How many records the journal had taken when someone looked, to tell how fast it grows.
#[derive(Debug, Default)]
pub struct Samples(Mutex<VecDeque<(Timestamp, u64)>>);

impl Samples {
    fn throughput(&self, now: Timestamp, records: u64) -> Throughput {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while samples.front().is_some_and(|(at, _)| now.millis_since(*at) > WINDOW_MILLIS) {
            samples.pop_front();
        }
        let (window_millis, events) =
            samples.front().map_or((0, 0), |(at, before)| (now.millis_since(*at), records - before));
        if samples.back().is_none_or(|(at, _)| now.millis_since(*at) >= SAMPLE_MILLIS) {
            samples.push_back((now, records));
        }
        let count = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        let events_per_second =
            if window_millis == 0 { 0.0 } else { count(events) * 1_000.0 / count(window_millis) };
        Throughput { events_per_second, window_millis }
    }
}

/// The operations page's data
#[utoipa::path(get, path = "/api/v1/admin/overview", operation_id = "readOverview", tag = "Operations", security(("bearer" = [])),
    responses((status = 200, description = "Schedules, seats by status, queue, journal, throughput", body = Overview)))]
async fn overview(State(app): State<App>, _: Watcher) -> Json<Overview> {
    let now = app.engine.now();
    let catalogue = app.engine.catalogue();
    let journal = app.engine.journal();
    let failure = journal.failure().map(|failure| failure.to_string());
    let mut entries = app.engine.schedules();
    let (mut sales, mut seats) = (SaleCounts::default(), SeatCounts::default());
    let mut queue = QueueOverview::default();
    let Counts { pending, refunding, .. } = app.engine.payments_under_way();
    for entry in &entries {
        queue.add(&entry.room().read().overview());
        let schedule = entry.read();
        sales.add(schedule.sale_at(now));
        seats.add(schedule.counts());
    }
    entries.sort_by_cached_key(|entry| {
        let schedule = entry.read();
        (schedule.sale_at(now) != SaleStatus::Open, schedule.plan().starts_at, entry.number())
    });
    entries.truncate(SCHEDULES_SHOWN_MAX);
    let title = |entry: &ScheduleEntry| {
        catalogue.concert(entry.concert()).map(|concert| concert.title.clone()).unwrap_or_default()
    };
    Json(
        StatusCode::OK,
        Overview {
            at: At(now),
            ready: failure.is_none() && !app.parts.shutdown.is_cancelled(),
            venues: catalogue.venues().count(),
            concerts: catalogue.concerts().count(),
            sales,
            seats,
            schedules: entries.iter().map(|entry| of_schedule(&app, entry, title(entry), now)).collect(),
            queue,
            payments: PaymentsUnderWay { pending, refunding },
            journal: JournalOverview {
                position: journal.durable().get(),
                oldest_position: journal.oldest().get(),
                failure,
            },
            throughput: app.samples.throughput(now, journal.records()),
        },
    )
}

fn of_schedule(app: &App, entry: &ScheduleEntry, concert_title: String, now: Timestamp) -> ScheduleOverview {
    let Counts { pending, refunding, refunded } = app.engine.payments_of_schedule(entry.number());
    let (mailbox_depth, followers) = (entry.mailbox_depth(), entry.followers());
    let schedule = entry.read();
    ScheduleOverview {
        schedule_id: entry.id().to_string(),
        concert_id: entry.concert().to_string(),
        concert_title,
        status: schedule.sale_at(now).into(),
        starts_at: At(schedule.plan().starts_at),
        sales_open_at: schedule.plan().sales_open_at.map(At),
        seats: SeatCounts::from(schedule.counts()),
        live_holds: schedule.deadline_count(),
        mailbox_depth,
        followers,
        version: schedule.seats_version(),
        last_event_at: At(schedule.last_instant()),
        queue: RoomOverview::of(entry, now),
        payments: PaymentsOverview { pending, refunding, refunded },
    }
}

/// What a history is narrowed by.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct OfSeat {
    /// Only what concerns this seat.
    #[param(value_type = Option<SeatName>)]
    seat_id: Option<String>,
}

/// A schedule's history, the newest event first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct History {
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
struct HistoryItem {
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
async fn history(
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
struct AsAt {
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
async fn seats_at(
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
            // What time had brought by then counts, whenever the event that says so was written.
            while let Some(event) = schedule.due(at, || engine.prices(&of)) {
                schedule.apply(&event, at.max(schedule.last_instant()), None);
            }
        }
        Ok(schedule)
    });
    let schedule = schedule.await?.ok_or_else(Problem::not_found)?;
    Ok(json_bytes(StatusCode::OK, seat_map(&app, &entry, &schedule, at)))
}

fn seat_map(app: &App, entry: &ScheduleEntry, schedule: &Schedule, at: Timestamp) -> Vec<u8> {
    let prices = schedule.prices().cloned().unwrap_or_else(|| app.engine.prices(entry));
    let (version, statuses) = (schedule.seats_version(), schedule.statuses());
    let mut json = JsonWriter::with_capacity(statuses.len() * 160 + 128);
    json.raw("{\"scheduleId\":").string(entry.id()).raw(",\"at\":").instant(at);
    json.raw(",\"version\":").display(version).raw(",\"seats\":[");
    Seats { layout: entry.layout(), prices: &prices, statuses }.write_all(&mut json);
    json.raw("]}");
    json.into_bytes()
}

/// Runs what reads the journal or the snapshots where it may block.
async fn off_thread<T: Send + 'static>(
    context: &RequestContext,
    work: impl FnOnce() -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(unreadable(&error, context.id())),
        Err(_) => Err(Problem::internal(context.id())),
    }
}

/// Says why the past can't be shown. What an operator has to look at is logged and counted: a start checks what it needs, and not the
/// generations before.
fn unreadable(error: &HistoryError, request_id: &str) -> Problem {
    if error.is_full() {
        tracing::warn!(%error, request_id, "the past can't be read");
        return no_room();
    }
    let place = match error {
        HistoryError::NotRetained { oldest } => return not_retained(*oldest),
        HistoryError::Read(ReadError::Closed) => {
            return Problem::new(Code::NotReady, "The engine is stopping.").retry_after(1);
        }
        HistoryError::Read(ReadError::Damaged { .. } | ReadError::Gone { .. }) | HistoryError::Rebuild(_) => {
            error.to_string()
        }
        // What the disk says has paths in it, which the log may have.
        HistoryError::Read(ReadError::Store { generation, .. }) => {
            format!("generation {generation} can't be opened; run `onsale verify` on the data directory")
        }
        HistoryError::Snapshot(_) => {
            "the snapshots can't be listed; run `onsale verify` on the data directory".to_owned()
        }
    };
    metrics::counter!("onsale_journal_read_failures_total").increment(1);
    tracing::error!(%error, request_id, "the past can't be read");
    Problem::new(Code::JournalUnavailable, format!("What is kept of that time can't be read: {place}."))
}

/// Says that the disk is full, which is an operator's to mend and nobody's bug.
fn no_room() -> Problem {
    let detail = "There is no room for it on the engine's disk: free space there. The log has the figures.";
    Problem::new(Code::NotReady, detail).retry_after(60)
}

fn not_retained(oldest: Position) -> Problem {
    Problem::new(Code::NotRetained, "This is no longer kept; see `oldestPosition`.")
        .with("oldestPosition", oldest.get())
}

/// Where the feed begins.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Resume {
    /// The position of the last event that the consumer has.
    #[param(maximum = 9_007_199_254_740_991_u64)]
    after: Option<u64>,
}

/// Follow the journal
///
/// Server-sent `CloudEvents` 1.0 in JSON, one for every event, in order, none left out. `id` is the position: a
/// consumer resumes with `after` or (which wins) `Last-Event-ID`. Without either, from the oldest that is kept.
#[utoipa::path(get, path = "/api/v1/events", operation_id = "followJournal", tag = "Operations",
    params(Resume, ("Last-Event-ID" = Option<String>, Header, pattern = "^[0-9]{1,15}$", description = "As `after`")),
    security(("bearer" = [])),
    responses((status = 200, content_type = "text/event-stream",
        description = "`id`: the position; `event`: the type; `data`: `{\"specversion\": \"1.0\", \"id\", \"source\", \"type\", \"subject\", \"time\", \"datacontenttype\", \"position\", \"data\": {…}}`"),
        (status = 410, description = "`not_retained` with `oldestPosition`"),
        (status = 422, description = "`invalid_request`: a position that the journal hasn't reached"),
        (status = 503, description = "`journal_unavailable`: what is kept is damaged")))]
async fn events(
    State(app): State<App>,
    Follower(caller): Follower,
    Query(Resume { after }): Query<Resume>,
    headers: HeaderMap,
    context: RequestContext,
) -> Result<Response, Problem> {
    let journal = app.engine.journal();
    let oldest = journal.oldest();
    let after = match feed::last_event_id(&headers)?.or(after.map(Position::new)) {
        None => journal.retained_after(),
        Some(after) if after < journal.retained_after() => return Err(not_retained(oldest)),
        Some(after) if after > journal.durable() => {
            return Err(Problem::invalid_field("after", "the journal hasn't reached this position"));
        }
        Some(after) => after,
    };
    feed::follow(&app, caller, after, context.id()).await.map_err(|error| unreadable(&error, context.id()))
}

/// A snapshot that was taken.
#[derive(Debug, Serialize, ToSchema)]
struct SnapshotTaken {
    /// The position that it stands for.
    position: u64,
}

/// Take a snapshot now
#[utoipa::path(post, path = "/api/v1/admin/snapshots", operation_id = "takeSnapshot", tag = "Operations", security(("bearer" = [])),
    responses((status = 200, description = "It was taken", body = SnapshotTaken),
        (status = 503, description = "`journal_unavailable`; `not_ready`: the engine stops, or its disk is full")))]
async fn take_snapshot(
    State(app): State<App>,
    _: Admin,
    context: RequestContext,
) -> Result<Json<SnapshotTaken>, Problem> {
    match app.engine.snapshot().await {
        Ok(position) => Ok(Json(StatusCode::OK, SnapshotTaken { position: position.get() })),
        Err(SnapshotFailed::JournalUnavailable) => {
            Err(Problem::new(Code::JournalUnavailable, "No snapshot is taken: the journal has failed."))
        }
        Err(SnapshotFailed::Stopping) => {
            Err(Problem::new(Code::NotReady, "No snapshot is taken: the engine is stopping."))
        }
        Err(error) if error.is_full() => {
            tracing::warn!(%error, request_id = context.id(), "no snapshot was taken");
            Err(no_room())
        }
        Err(error @ (SnapshotFailed::Io(_) | SnapshotFailed::Panicked)) => {
            tracing::error!(%error, request_id = context.id(), "no snapshot was taken");
            Err(Problem::internal(context.id()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_is_what_happened_since_the_oldest_look_within_a_minute() {
        let samples = Samples::default();
        let look = |millis, records| {
            let throughput = samples.throughput(Timestamp::from_millis(millis), records);
            (throughput.events_per_second, throughput.window_millis)
        };
        assert_eq!(look(1_000_000, 100), (0.0, 0));
        assert_eq!(look(1_002_000, 300), (100.0, 2_000));
        assert_eq!(look(1_061_000, 300), (0.0, 59_000));
        assert_eq!(look(2_000_000, 400), (0.0, 0));
    }
}
