//! The present in one page.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::GradeName;
use crate::domain::payments::Counts;
use crate::domain::schedule::{SaleStatus, Schedule};
use crate::domain::time::Timestamp;
use crate::domain::waiting_room;
use crate::engine::ScheduleEntry;
use crate::http::app::App;
use crate::http::auth::Watcher;
use crate::http::documents::{At, GateWord, GradeText, SaleWord, SeatCounts};
use crate::http::json::Json;
use crate::http::problem;
use crate::http::samples::{Sample, Throughput};

/// How many schedules the overview lists: those on sale first, then by their start.
const SCHEDULES_SHOWN_MAX: usize = 200;
/// The data of the operations page.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Overview {
    /// The engine's present instant.
    at: At,
    /// Whether the engine takes changes.
    ready: bool,
    venues: usize,
    concerts: usize,
    /// How many schedules have each status of a sale.
    sales: SaleCounts,
    /// How many seats of all schedules have each status.
    seats: SeatCounts,
    /// How many reservations of all schedules are held or being paid.
    live_holds: usize,
    /// How many answers had each problem's code since the process began; of those that there were.
    refusals: BTreeMap<&'static str, u64>,
    /// At most 200 schedules: those on sale first, then by start.
    schedules: Vec<ScheduleOverview>,
    queue: QueueOverview,
    /// How many payments of all schedules are under way.
    payments: PaymentsUnderWay,
    journal: JournalOverview,
    throughput: Throughput,
}

/// Payments that aren't settled yet.
#[derive(Debug, Serialize, ToSchema)]
struct PaymentsUnderWay {
    /// How many are being captured. One that stays so waits for the gateway to say whether it was captured.
    pending: u64,
    /// How many are being refunded.
    refunding: u64,
}

/// A schedule's payments under way, and its refunds.
#[derive(Debug, Serialize, ToSchema)]
struct PaymentsOverview {
    pending: u64,
    /// How many refunds aren't done yet.
    refunding: u64,
    /// How many refunds are done.
    refunded: u64,
}

/// How many schedules have each status of a sale.
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

/// The overview of a schedule.
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
    /// Its grades, in the order of the venue's plan. `GET /schedules/{scheduleId}/seats?shape=vector` with the plan has the rest.
    grades: Vec<GradeOverview>,
    /// How many reservations are held or being paid.
    live_holds: usize,
    /// How many messages wait for its actor.
    mailbox_depth: usize,
    /// How many clients follow its seat map.
    followers: usize,
    /// The version of its seat map.
    version: u64,
    /// The instant of its last event.
    last_event_at: At,
    /// Its waiting room, if it has one.
    #[schema(required)]
    queue: Option<RoomOverview>,
    payments: PaymentsOverview,
}

/// How many seats, and places of areas, of a grade there are.
#[derive(Debug, Serialize, ToSchema)]
struct GradeOverview {
    #[schema(value_type = GradeText)]
    grade: String,
    /// Seats that can be held.
    available: u32,
    /// All seats.
    total: u32,
}

impl GradeOverview {
    fn all(schedule: &Schedule) -> Vec<Self> {
        let layout = schedule.layout();
        let mut totals = vec![0; layout.grades().len()];
        for row in layout.rows() {
            totals[row.grade.index()] += row.len;
        }
        for area in layout.areas() {
            totals[area.grade.index()] += area.capacity;
        }
        let counted = layout.grades().iter().zip(schedule.free_by_grade()).zip(totals);
        let grade = |((grade, available), total): ((&GradeName, u32), u32)| Self {
            grade: grade.to_string(),
            available,
            total,
        };
        counted.map(grade).collect()
    }
}

/// All waiting rooms together.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct QueueOverview {
    waiting: u64,
    active: u64,
    /// How many people were ever admitted.
    admitted_total: u64,
}

impl QueueOverview {
    fn add(&mut self, room: &waiting_room::Overview) {
        self.waiting += u64::from(room.waiting);
        self.active += u64::from(room.active);
        self.admitted_total += room.admitted_total;
    }
}

/// The overview of a schedule's waiting room.
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
    /// How long a newcomer would wait, from the measured rate of admission.
    #[schema(required)]
    estimated_wait_seconds: Option<u64>,
    gate: GateWord,
    /// How many clients follow their places.
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
    /// The last durable position.
    position: u64,
    /// The oldest position that the journal keeps.
    oldest_position: u64,
    /// Why the journal takes no more entries, if it has failed.
    #[schema(required)]
    failure: Option<String>,
}

/// Read the operations page's data
#[utoipa::path(get, path = "/api/v1/admin/overview", operation_id = "readOverview", tag = "Operations", security(("bearer" = [])),
    responses((status = 200, description = "Schedules, seats by status, waiting rooms, journal and throughput", body = Overview)))]
pub(super) async fn overview(State(app): State<App>, _: Watcher) -> Json<Overview> {
    let now = app.engine.now();
    let catalogue = app.engine.catalogue();
    let journal = app.engine.journal();
    let failure = journal.failure().map(|failure| failure.to_string());
    let mut entries = app.engine.schedules();
    let (mut sales, mut seats) = (SaleCounts::default(), SeatCounts::default());
    let (mut queue, mut live_holds) = (QueueOverview::default(), 0);
    let Counts { pending, refunding, .. } = app.engine.payments_under_way();

    for entry in &entries {
        queue.add(&entry.room().read().overview());
        let schedule = entry.read();
        sales.add(schedule.sale_at(now));
        seats.add(schedule.counts());
        live_holds += schedule.deadline_count();
    }

    // Cached, since each key takes the schedule's lock.
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
            ready: app.readiness().is_ok(),
            venues: catalogue.venues().count(),
            concerts: catalogue.concerts().count(),
            sales,
            seats,
            live_holds,
            refusals: problem::answered().map(|(code, count)| (code.as_str(), count)).collect(),
            schedules: entries.iter().map(|entry| of_schedule(&app, entry, title(entry), now)).collect(),
            queue,
            payments: PaymentsUnderWay { pending, refunding },
            journal: JournalOverview {
                position: journal.durable().get(),
                oldest_position: journal.oldest().get(),
                failure,
            },
            throughput: app.samples.throughput(now, Sample::of(journal)),
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
        grades: GradeOverview::all(&schedule),
        live_holds: schedule.deadline_count(),
        mailbox_depth,
        followers,
        version: schedule.seats_version(),
        last_event_at: At(schedule.last_instant()),
        queue: RoomOverview::of(entry, now),
        payments: PaymentsOverview { pending, refunding, refunded },
    }
}
