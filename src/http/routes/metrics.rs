//! The metrics of the process.
//!
//! The recorder has the counters. Gauges of the engine's state are written from the state at each scrape, so that a
//! schedule whose sale has ended leaves no stale series behind.

use core::fmt::{self, Display, Write};

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::domain::payments::Counts;
use crate::domain::schedule::{SaleStatus, Schedule, SeatStatus};
use crate::domain::users::{UserCounts, UserStatus};
use crate::engine::ScheduleEntry;
use crate::http::app::App;
use crate::http::documents::SeatCounts;
use crate::http::problem::Problem;
use crate::http::table::{Routes, routes};
use crate::journal::LogHealth;
use crate::telemetry::Process;

/// How many schedules on sale have series of their own; the others are summed as [`OTHER`].
const LABELLED_MAX: usize = 100;
const OTHER: &str = "other";
const SALE_STATUSES: [SaleStatus; 4] =
    [SaleStatus::Upcoming, SaleStatus::Open, SaleStatus::Closed, SaleStatus::Cancelled];

/// Makes the scrapers' route.
pub fn routes() -> Routes<App> {
    routes![metrics]
}

/// Read the metrics
///
/// Prometheus text. If the setting `metrics_listen` names an address for them, they are only there.
#[utoipa::path(get, path = "/metrics", operation_id = "readMetrics", tag = "Running it",
    responses((status = 200, description = "Prometheus text", content_type = "text/plain", body = String),
        (status = 404, description = "`not_found`: the metrics have an address of their own")))]
async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let recorder = app.metrics.as_ref().ok_or_else(Problem::not_found)?;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], exposition(&app, recorder)).into_response())
}

/// Writes the text of a scrape: the recorder's metrics and the engine's state.
pub fn exposition(app: &App, recorder: &PrometheusHandle) -> String {
    let mut text = recorder.render();
    Gauges::gather(app).write(&mut text).expect("writing to memory doesn't fail");
    text
}

/// The engine's state in numbers.
struct Gauges {
    ready: bool,
    journal_failed: bool,
    journal_position: u64,
    journal_oldest_position: u64,
    events_since_snapshot: u64,
    log: LogHealth,
    keys_dropped: u64,
    schedules: [(SaleStatus, usize); SALE_STATUSES.len()],
    users: UserCounts,
    payments: Counts,
    archived_schedules: usize,
    archived_transactions: u64,
    process: Process,
    /// Those that are on sale, by their ids; the last is [`OTHER`].
    series: Vec<Series>,
}

/// The numbers of a schedule, or of several together.
#[derive(Default)]
struct Series {
    schedule: String,
    seats: SeatCounts,
    live_holds: usize,
    mailbox_depth: usize,
    followers: usize,
    /// Those that have a waiting room show it.
    has_room: bool,
    waiting: usize,
    active: usize,
    admitted: u64,
    room_followers: usize,
}

impl Series {
    fn named(schedule: &str) -> Self {
        Self { schedule: schedule.to_owned(), ..Self::default() }
    }

    fn add(&mut self, entry: &ScheduleEntry, schedule: &Schedule) {
        self.seats.add(schedule.counts());
        self.live_holds += schedule.deadline_count();
        self.mailbox_depth += entry.mailbox_depth();
        self.followers += entry.followers();
        let room = entry.room().read();
        self.has_room |= room.settings().is_some();
        let count = |people: u32| usize::try_from(people).expect("a u32 fits");
        self.waiting += count(room.waiting());
        self.active += count(room.active());
        self.admitted += room.overview().admitted_total;
        self.room_followers += entry.room().followers();
    }
}

impl Gauges {
    fn gather(app: &App) -> Self {
        let now = app.engine.now();
        let journal = app.engine.journal();
        let mut schedules = SALE_STATUSES.map(|status| (status, 0));
        let mut series: Vec<Series> = Vec::new();
        let mut other = Series::named(OTHER);
        let mut keys_dropped = app.engine.catalogue().keys().dropped();

        for entry in app.engine.schedules() {
            let schedule = entry.read();
            let status = schedule.sale_at(now);
            keys_dropped += schedule.keys().dropped() + entry.room().read().keys().dropped();
            for (of, count) in &mut schedules {
                *count += usize::from(*of == status);
            }

            // Labels are bounded: beyond the limit, open schedules are summed, and so are all others.
            let labelled = status == SaleStatus::Open && series.len() < LABELLED_MAX;
            if labelled && entry.id().as_str() != OTHER {
                let mut own = Series::named(entry.id());
                own.add(&entry, &schedule);
                series.push(own);
            } else {
                other.add(&entry, &schedule);
            }
        }

        series.push(other);
        Self {
            ready: app.readiness().is_ok(),
            journal_failed: journal.failure().is_some(),
            journal_position: journal.durable().get(),
            journal_oldest_position: journal.oldest().get(),
            events_since_snapshot: app.engine.events_since_snapshot(),
            log: journal.health(),
            keys_dropped,
            schedules,
            users: app.engine.user_counts(),
            payments: app.engine.payments_under_way(),
            archived_schedules: app.engine.catalogue().archived_count(),
            archived_transactions: app.engine.archived_transactions(),
            process: Process::now(),
            series,
        }
    }

    fn write_log(&self, out: &mut String) -> fmt::Result {
        let LogHealth { is_connected, unknown_answers, unknown_for, silent_for, is_seen_kept, .. } =
            &self.log;
        let one = |value: u64| [("", "", value)];
        let connected = one((*is_connected).into());
        gauge(out, "onsale_log_connected", "Whether what keeps the log can be reached", connected)?;
        let what = "Answers to appends that said nothing, so that the log was asked again, since start";
        gauge(out, "onsale_log_unknown_answers", what, one(*unknown_answers))?;
        let what = "How long it hasn't been known what becomes of the append that is under way";
        gauge(out, "onsale_log_unknown_seconds", what, [("", "", unknown_for.as_secs_f64())])?;
        let what = "Whether it can be noted how far the log was seen";
        gauge(out, "onsale_log_seen_kept", what, one((*is_seen_kept).into()))?;
        let what = "How long the log's servers haven't answered, or taken what isn't a change";
        gauge(out, "onsale_log_silent_seconds", what, [("", "", silent_for.as_secs_f64())])?;
        let what = "Whether the log's snapshots were lost, and there is no new one yet";
        gauge(out, "onsale_log_without_snapshots", what, one(self.log.is_without_snapshots.into()))?;
        let what = "Whether the log's servers have lost what was acknowledged";
        gauge(out, "onsale_log_lost_data", what, one(self.log.lost.is_some().into()))
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let one = |value: u64| [("", "", value)];
        gauge(out, "onsale_ready", "Whether the process takes work", one(self.ready.into()))?;
        let failed = one(self.journal_failed.into());
        gauge(out, "onsale_journal_failed", "Whether the journal takes no more entries", failed)?;
        let position = one(self.journal_position);
        gauge(out, "onsale_journal_position", "The last durable position", position)?;

        let oldest = one(self.journal_oldest_position);
        gauge(out, "onsale_journal_oldest_position", "The oldest position that is kept", oldest)?;
        let (what, since) = ("Events behind the newest snapshot", one(self.events_since_snapshot));
        gauge(out, "onsale_events_since_snapshot", what, since)?;
        self.write_log(out)?;
        let dropped = one(self.keys_dropped);
        let what = "Idempotency keys that left before their day was over, for want of room, since start";
        gauge(out, "onsale_idempotency_keys_dropped", what, dropped)?;
        let schedules = self.schedules.iter().map(|(status, count)| ("status", status.as_str(), *count));
        gauge(out, "onsale_schedules", "Schedules by how far their sale is", schedules)?;

        let users = UserStatus::ALL.map(|status| ("status", status.as_str(), self.users.of(status)));
        gauge(out, "onsale_users", "Users who signed up here or were suspended once, by status", users)?;
        let under_way = [("pending", self.payments.pending), ("refunding", self.payments.refunding)];
        let under_way = under_way.map(|(status, count)| ("status", status, count));
        gauge(
            out,
            "onsale_payments_under_way",
            "Payments that aren't settled, by what they wait for",
            under_way,
        )?;

        let (what, archived) = ("Schedules in the archive", [("", "", self.archived_schedules)]);
        gauge(out, "onsale_archived_schedules", what, archived)?;
        let (what, archived) = ("Movements of accounts in the archive", one(self.archived_transactions));
        gauge(out, "onsale_archived_transactions", what, archived)?;
        self.write_process(out)?;
        self.write_seats(out)?;

        let of = |value: fn(&Series) -> usize| {
            self.series.iter().map(move |series| ("schedule", series.schedule.as_str(), value(series)))
        };
        gauge(out, "onsale_live_holds", "Holds with a deadline", of(|series| series.live_holds))?;
        let depth = of(|series| series.mailbox_depth);
        gauge(out, "onsale_mailbox_depth", "Messages that wait for a schedule's actor", depth)?;

        let followers = of(|series| series.followers);
        gauge(out, "onsale_seat_map_followers", "Clients that follow a seat map", followers)?;
        let rooms = |value: fn(&Series) -> usize| {
            let rooms = self.series.iter().filter(|series| series.has_room);
            rooms.map(move |series| ("schedule", series.schedule.as_str(), value(series)))
        };
        gauge(out, "onsale_queue_waiting", "Users who wait for a schedule", rooms(|series| series.waiting))?;
        gauge(out, "onsale_queue_active", "Users who were admitted", rooms(|series| series.active))?;

        let followers = rooms(|series| series.room_followers);
        gauge(out, "onsale_queue_followers", "Clients that follow their places", followers)?;
        let rooms = self.series.iter().filter(|series| series.has_room);
        let admitted = rooms.map(|series| ("schedule", series.schedule.as_str(), series.admitted));
        gauge(out, "onsale_queue_admitted", "Users who were ever admitted, by schedule", admitted)
    }

    fn write_process(&self, out: &mut String) -> fmt::Result {
        let Process { resident_bytes, open_files, open_files_max } = self.process;
        for (name, help, value) in [
            (
                "onsale_process_resident_memory_bytes",
                "The memory of the process that is resident",
                resident_bytes,
            ),
            ("onsale_process_open_files", "The open files of the process, connections included", open_files),
            ("onsale_process_open_files_max", "How many files the process may have open", open_files_max),
        ] {
            if let Some(value) = value {
                gauge(out, name, help, [("", "", value)])?;
            }
        }
        Ok(())
    }

    fn write_seats(&self, out: &mut String) -> fmt::Result {
        head(out, "onsale_seats", "Seats by status")?;
        for Series { schedule, seats, .. } in &self.series {
            for status in SeatStatus::ALL {
                let count = match status {
                    SeatStatus::Available => seats.available,
                    SeatStatus::Held => seats.held,
                    SeatStatus::Reserved => seats.reserved,
                    SeatStatus::Blocked => seats.blocked,
                };
                let status = status.as_str();
                writeln!(out, "onsale_seats{{schedule=\"{schedule}\",status=\"{status}\"}} {count}")?;
            }
        }
        Ok(())
    }
}

fn head(out: &mut String, name: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}")?;
    writeln!(out, "# TYPE {name} gauge")
}

/// Writes a gauge with at most one label. A label's value is an id or a fixed word, so it needs no escapes.
fn gauge<'a, V: Display>(
    out: &mut String,
    name: &str,
    help: &str,
    series: impl IntoIterator<Item = (&'a str, &'a str, V)>,
) -> fmt::Result {
    head(out, name, help)?;
    for (label, value, number) in series {
        if label.is_empty() {
            writeln!(out, "{name} {number}")?;
        } else {
            writeln!(out, "{name}{{{label}=\"{value}\"}} {number}")?;
        }
    }
    Ok(())
}
