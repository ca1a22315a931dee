//! The runs behind the points.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Axis, Growth, Point, followers::Followers};
use crate::{
    bench::{Bench, Options, run_name},
    child::{Server, resident_bytes},
    clock::Clock,
    drive::{Asked, Caller, Until, drive},
    lane::shown,
    queue,
    report::{Spread, float, percentiles},
    round::{Measured, Pace, Timing, round},
    script::Plan,
    setup::{Client, HOLD_SECONDS, put_hall},
    start::{Ready, ServerOptions, token_exp},
    wire::Answer,
};

/// How often a server is started on the same events.
const STARTS: usize = 5;
/// Driven before the measurement.
const WARM_UP: Duration = Duration::from_millis(300);
/// The connections of an axis that isn't theirs.
const CONNECTIONS: u16 = 64;
/// Few enough that the smallest hall has three seats for each.
const CONNECTIONS_OF_SEATS: u16 = 16;
/// The seats of a schedule where they aren't the axis.
const SEATS: u32 = 50_000;
/// The most that a venue may have.
const SEATS_MAX: u32 = 250_000;
/// Seats for what is held while a point is measured, beside those that are filled before.
const ROOM: u32 = 300_000;
/// As many events and seconds until a snapshot as a setting may say.
const NO_SNAPSHOTS: [(&str, &str); 2] =
    [("ONSALE_SNAPSHOTS_EVENTS_BETWEEN", "1000000000"), ("ONSALE_SNAPSHOTS_SECONDS_BETWEEN", "604800")];
/// Who holds on schedules; each may have as many seats as these runs need.
const HOLDERS: u32 = 4_096;

/// Measures one point.
pub(super) async fn measure(growth: &Growth, axis: Axis, x: u32) -> Result<Point> {
    match axis {
        Axis::Connections => lanes(growth, axis, x, u16::try_from(x)?, SEATS, 0).await,
        Axis::Seats => lanes(growth, axis, x, CONNECTIONS_OF_SEATS, x, 0).await,
        Axis::Streams => lanes(growth, axis, x, CONNECTIONS, SEATS, x).await,
        Axis::LiveHolds => {
            let schedules = (x + ROOM).div_ceil(SEATS_MAX);
            fresh(growth, axis, x, schedules, SEATS_MAX, x).await
        }
        Axis::Schedules => fresh(growth, axis, x, x, (ROOM / x).clamp(100, SEATS_MAX), 0).await,
        Axis::Waiting => waiting(growth, axis, x).await,
        Axis::History => history(growth, axis, x).await,
    }
}

fn point(axis: Axis, x: u32, seen: &Measured, pid: Option<u32>) -> Point {
    let [(_, p50), _, (_, p99), ..] = percentiles(&seen.latency);
    Point {
        axis,
        x,
        rate: float(seen.completed) / seen.seconds,
        p50: Some(p50),
        p99: Some(p99),
        mebibytes: pid.and_then(resident_bytes).map(|bytes| bytes >> 20),
        ready_seconds: None,
    }
}

fn options(growth: &Growth, connections: u16, seats: u32) -> Options {
    Options {
        server: growth.server.clone(),
        seconds: growth.seconds,
        seats,
        users: u32::from(connections).max(2_000),
        live: 1,
        contended: 0.0,
        contended_seats: 1,
        check_released: 1_000,
        json: None,
    }
}

/// Holds and releases, each connection on seats of its own, beside so many followers of the map.
async fn lanes(
    growth: &Growth,
    axis: Axis,
    x: u32,
    connections: u16,
    seats: u32,
    followers: u32,
) -> Result<Point> {
    let options = options(growth, connections, seats);
    let mut bench = Bench::start(&options, options.division(&[connections])?).await?;
    let schedule = bench.plan.schedule.clone();
    let mut following = Followers::connect(bench.onsale.target, &schedule, followers).await?;
    let timing = options.timing(WARM_UP);
    let seen = round(&mut bench.onsale, connections.into(), &Pace::Closed, timing, bench.clock).await;
    let seen = seen.map_err(|error| bench.explain(error))?;
    let point = point(axis, x, &seen, bench.onsale.pid);

    ensure!(following.open() == usize::try_from(followers)?, "streams were lost");
    drop(following);
    let findings = bench.finish(options.check_released).await?;
    ensure!(findings.faults.count == 0, "{:?}", findings.faults.first);
    Ok(point)
}

/// Fresh holds on schedules in turn, after so many that stay.
async fn fresh(
    growth: &Growth,
    axis: Axis,
    x: u32,
    schedules: u32,
    seats: u32,
    before: u32,
) -> Result<Point> {
    let Sale { asked, holders, server } = Sale::open(&growth.server, schedules, seats).await?;
    let (holders, filled) = holders.drive(asked, Until::Done, usize::try_from(before)?).await?;
    ensure!(filled.completed == u64::from(before), "{} of {before} holds", filled.completed);
    let measured = Duration::from_secs(growth.seconds.into());
    let (holders, seen) = holders.drive(asked, Until::Over(measured), usize::MAX).await?;
    ensure!(!holders.ran_out(), "the seats ran out: measure for fewer --seconds");
    let point = point(axis, x, &seen, asked.pid);
    server.context("growth starts its servers")?.stop().await?;
    Ok(point)
}

/// A server with schedules that are open.
struct Sale {
    asked: Asked,
    holders: Holders,
    server: Option<Server>,
}

impl Sale {
    async fn open(options: &ServerOptions, schedules: u32, seats: u32) -> Result<Self> {
        let ready = options.ready().await?;
        let plan = Plan::new(&run_name(), seats, HOLDERS, &ready.signer(), token_exp());
        let Ready { target, admin_token, server, .. } = ready;
        let mut admin = Client::connect(target, Some(&admin_token)).await?;
        put_hall(&mut admin, &plan.schedule, &plan).await?;
        let ids: Vec<String> = (0..schedules).map(|number| format!("{}-{number}", plan.schedule)).collect();
        let schedule = |id: &String| schedule(id, &plan.schedule);
        for part in ids.chunks(1_000) {
            let document = json!({ "venues": [], "concerts": [], "schedules": part.iter().map(schedule).collect::<Vec<_>>() });
            admin.must("POST", "/api/v1/import", &document).await?;
        }
        for id in &ids {
            admin.must("POST", &format!("/api/v1/schedules/{id}/open"), &json!({})).await?;
        }

        let asked =
            Asked { target, pid: server.as_ref().and_then(Server::pid), store: None, clock: Clock::start() };
        let holders = Holders {
            host: target.host().into(),
            plan: Arc::new(plan),
            schedules: ids.into(),
            next: Arc::new(AtomicUsize::new(0)),
        };
        Ok(Self { asked, holders, server })
    }
}

fn schedule(id: &str, concert: &str) -> Value {
    json!({
        "scheduleId": id, "concertId": concert, "startsAt": "2099-01-01T10:00:00.000Z", "endsAt": "2099-01-01T12:00:00.000Z",
        "policy": { "holdSeconds": HOLD_SECONDS, "maxSeatsPerReservation": 4, "maxSeatsPerUser": 10_000 },
    })
}

/// Who holds seat after seat.
#[derive(Clone)]
struct Holders {
    host: Arc<str>,
    plan: Arc<Plan>,
    schedules: Arc<[String]>,
    /// Of all holds so far.
    next: Arc<AtomicUsize>,
}

impl Holders {
    /// Drives [`CONNECTIONS`] connections until so many holds were asked for, or the time is over.
    async fn drive(self, asked: Asked, until: Until, most: usize) -> Result<(Self, Measured)> {
        let end = self.next.load(Ordering::Relaxed).saturating_add(most);
        let holder = |_| Holder { common: self.clone(), end, wrong: None };
        let holders = (0..CONNECTIONS).map(holder).collect();
        let (holders, seen) = drive(asked, holders, until).await?;
        if let Some(wrong) = holders.into_iter().find_map(|holder| holder.wrong) {
            anyhow::bail!("a hold: {wrong}");
        }
        // Each connection took a number that it didn't use.
        if end != usize::MAX {
            self.next.store(end, Ordering::Relaxed);
        }
        Ok((self, seen))
    }

    fn ran_out(&self) -> bool {
        self.next.load(Ordering::Relaxed) > self.plan.seats.len() * self.schedules.len()
    }
}

struct Holder {
    common: Holders,
    end: usize,
    wrong: Option<String>,
}

impl Caller for Holder {
    fn ask(&mut self, request: &mut Vec<u8>, _: u64) -> bool {
        let Holders { host, plan, schedules, next } = &self.common;
        let number = next.fetch_add(1, Ordering::Relaxed);
        // One schedule after the other, so that all of them are hot.
        let (schedule, seat) = (&schedules[number % schedules.len()], number / schedules.len());
        let Some(seat) = plan.seats.get(seat).filter(|_| number < self.end) else { return false };
        let body = format!(r#"{{"scheduleId":"{schedule}","seats":["{seat}"]}}"#);
        let (token, len) = (&plan.users[number % plan.users.len()].token, body.len());
        let text = format!(
            "POST /api/v1/reservations HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {len}\r\n\r\n{body}"
        );
        request.clear();
        request.extend_from_slice(text.as_bytes());
        true
    }

    fn told(&mut self, answer: &Answer<'_>, _: u64) {
        if answer.status != 201 {
            self.wrong.get_or_insert_with(|| format!("{} {}", answer.status, shown(answer.body)));
        }
    }
}

/// People wait, and look where they stand at full speed.
async fn waiting(growth: &Growth, axis: Axis, x: u32) -> Result<Point> {
    let measured = Duration::from_secs(growth.seconds.into());
    let (seen, pid, server) = queue::growth::polls(&growth.server, x, CONNECTIONS.into(), measured).await?;
    let point = point(axis, x, &seen, pid);
    server.context("growth starts its servers")?.stop().await?;
    Ok(point)
}

/// So many events, and then starts after SIGKILL, each of which replays them.
async fn history(growth: &Growth, axis: Axis, x: u32) -> Result<Point> {
    let mut growth = growth.clone();
    // No snapshot: all is replayed.
    growth.server.server_env.extend(NO_SNAPSHOTS.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let options = options(&growth, CONNECTIONS, SEATS);
    let mut bench = Bench::start(&options, options.division(&[CONNECTIONS])?).await?;

    // Each hold and each release is an event.
    let mut events = 0;
    while events < u64::from(x) {
        let left = Duration::from_millis(u64::from(x).saturating_sub(events).div_ceil(20).clamp(20, 1_000));
        let timing = Timing { warm_up: Duration::from_millis(1), measured: left };
        let seen = round(&mut bench.onsale, CONNECTIONS.into(), &Pace::Closed, timing, bench.clock).await;
        events += seen.map_err(|error| bench.explain(error))?.completed;
    }
    let server = bench.server.as_mut().context("growth starts its servers")?;
    let mut ready = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let killed = bench.clock.nanos();
        server.restart().await?;
        ready.push(float(bench.clock.nanos() - killed) / 1e9);
    }
    let ready = Spread::of(ready).context("no start")?;
    bench.onsale.pid = server.pid();

    let mebibytes = bench.onsale.pid.and_then(resident_bytes).map(|bytes| bytes >> 20);
    let findings = bench.finish(options.check_released).await?;
    ensure!(findings.faults.count == 0, "{:?}", findings.faults.first);
    let (rate, ready_seconds) = (float(events) / ready.median, Some(ready));
    Ok(Point { axis, x, rate, p50: None, p99: None, mebibytes, ready_seconds })
}
