//! One round: a number of connections drive one server for some seconds.
//!
//! Closed loop: each connection sends its next request when it has its answer; latencies are then
//! those of a server that is kept busy by that many clients. Open loop: requests have instants of
//! their own, and a latency counts from the intended instant, whether or not a connection was free
//! by then, so that a stall is seen by all who would have come meanwhile (no coordinated omission).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    arrivals::{Arrivals, Pattern},
    child::cpu_micros,
    clock::Clock,
    lane::{Lane, Settled},
    script::Script,
    target::Target,
    timeline::{Slice, Timeline},
    wire::Connection,
};

/// How long a round waits for answers after its end; then their outcome is unknown.
const GRACE: Duration = Duration::from_secs(15);

/// One of the two servers of a run, with the lanes that drive it.
pub(crate) struct Side {
    pub(crate) target: Target,
    /// The process, where it is known.
    pub(crate) pid: Option<u32>,
    pub(crate) script: Arc<Script>,
    pub(crate) lanes: Vec<Lane>,
}

/// How long a round takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Driven, and booked, but not measured.
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// When requests are sent.
#[derive(Debug, Clone)]
pub(crate) enum Pace {
    Closed,
    /// So many a second on the whole; there is no warm-up.
    Open(Pattern, u64),
}

/// What a round saw.
pub(crate) struct Measured {
    /// Microseconds of each request that began in the measured time.
    pub(crate) latency: Histogram<u64>,
    /// In the open loop: microseconds from sending, so without the wait for a free connection.
    pub(crate) service: Histogram<u64>,
    /// In the open loop: how it went over time.
    pub(crate) timeline: Vec<Slice>,
    /// Requests that ended in the measured time.
    pub(crate) completed: u64,
    /// The bodies of their answers, so that a reader sees how alike the two servers answer.
    pub(crate) body_bytes: u64,
    pub(crate) seconds: f64,
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Contended seats that were taken: the 409s that are right.
    pub(crate) taken: u64,
    /// Why connections broke, each.
    pub(crate) lost: Vec<String>,
    /// Connections that ran out of seats (put aside after unknown outcomes).
    pub(crate) out_of_seats: u64,
    /// Arrivals of the open loop that no connection was free for until the end.
    pub(crate) unsent: u64,
    pub(crate) server_cpu_micros: Option<u64>,
    pub(crate) own_cpu_micros: Option<u64>,
    /// What the server's processes gave to the disk, and what all of the machine used, where that was looked at.
    pub(crate) written_bytes: Option<u64>,
    pub(crate) machine_cpu_micros: Option<u64>,
}

impl Measured {
    pub(crate) fn new() -> Self {
        Self {
            latency: histogram(),
            service: histogram(),
            timeline: Vec::new(),
            completed: 0,
            body_bytes: 0,
            seconds: 0.0,
            statuses: BTreeMap::new(),
            taken: 0,
            lost: Vec::new(),
            out_of_seats: 0,
            unsent: 0,
            server_cpu_micros: Some(0),
            own_cpu_micros: Some(0),
            written_bytes: None,
            machine_cpu_micros: None,
        }
    }

    /// Adds what another round, or a connection of this one, saw.
    pub(crate) fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency).expect("histograms that grow");
        self.service.add(&other.service).expect("histograms that grow");
        self.completed += other.completed;
        self.body_bytes += other.body_bytes;
        self.seconds += other.seconds;
        for (&status, count) in &other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.taken += other.taken;
        self.lost.extend_from_slice(&other.lost);
        self.out_of_seats += other.out_of_seats;
        self.unsent += other.unsent;
        self.server_cpu_micros = sum(self.server_cpu_micros, other.server_cpu_micros);
        self.own_cpu_micros = sum(self.own_cpu_micros, other.own_cpu_micros);
    }
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    Some(a? + b?)
}

pub(crate) fn difference(from: Option<u64>, until: Option<u64>) -> Option<u64> {
    until?.checked_sub(from?)
}

/// Three digits, and as much memory as the values need.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are allowed")
}

/// The measured span of a round.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: u64,
    until: u64,
    clock: Clock,
}

/// What an open loop has beside its connections.
struct Open {
    arrivals: Arrivals,
    timeline: Timeline,
}

/// Drives a server with the first lanes of a side.
pub(crate) async fn round(
    side: &mut Side,
    connections: usize,
    pace: &Pace,
    timing: Timing,
    clock: Clock,
) -> Result<Measured> {
    let mut connected = Vec::with_capacity(connections);
    for _ in 0..connections {
        connected.push(Connection::open(side.target.address()).await.context("connecting")?);
    }
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let from = clock.nanos() + nanos(timing.warm_up);
    let span = Span { from, until: from + nanos(timing.measured), clock };
    let open = match *pace {
        Pace::Closed => None,
        Pace::Open(pattern, rate) => {
            let total = (rate * nanos(timing.measured) / 1_000_000_000).max(1);
            // By the clock, so that each round has instants of its own.
            let arrivals = Arrivals::new(from, pattern.offsets(total, timing.measured, from));
            let open = Arc::new(Open { arrivals, timeline: Timeline::new(from, span.until) });
            let scheduler = Arc::clone(&open);
            std::thread::spawn(move || scheduler.arrivals.run(clock));
            Some(open)
        }
    };

    let mut tasks = JoinSet::new();
    let lanes: Vec<Lane> = side.lanes.drain(..connections).collect();
    for ((number, lane), connection) in lanes.into_iter().enumerate().zip(connected) {
        let (script, open) = (Arc::clone(&side.script), open.clone());
        tasks.spawn(async move {
            let (lane, seen) = drive(lane, connection, &script, open.as_deref(), span).await;
            (number, lane, seen)
        });
    }

    let cpu = || (side.pid.and_then(cpu_micros), cpu_micros(std::process::id()));
    sleep(clock.until(span.from)).await;
    let (server_before, own_before) = cpu();
    sleep(clock.until(span.until)).await;
    let (server_after, own_after) = cpu();

    let mut measured = Measured::new();
    let mut back = Vec::with_capacity(connections);
    while let Some(task) = tasks.join_next().await {
        let (number, lane, seen) = task.context("a connection's task")?;
        back.push((number, lane));
        measured.add(&seen);
    }
    back.sort_unstable_by_key(|(number, _)| *number);
    side.lanes.splice(..0, back.into_iter().map(|(_, lane)| lane));
    if let Some(open) = open {
        let end = clock.nanos();
        for intended in open.arrivals.end() {
            measured.unsent += 1;
            record(&mut measured.latency, end.saturating_sub(intended));
        }
        measured.timeline = open.timeline.slices();
    }
    measured.seconds = timing.measured.as_secs_f64();
    measured.server_cpu_micros = difference(server_before, server_after);
    measured.own_cpu_micros = difference(own_before, own_after);
    Ok(measured)
}

/// Drives one connection. One timer guards the whole of it: one for each request would cost the
/// generator more than the request.
async fn drive(
    mut lane: Lane,
    mut connection: Connection,
    script: &Script,
    open: Option<&Open>,
    span: Span,
) -> (Lane, Measured) {
    let mut seen = Measured::new();
    let limit = span.clock.until(span.until) + GRACE;
    let driven = timeout(limit, exchanges(&mut lane, &mut connection, script, open, span, &mut seen)).await;
    if driven.is_err() {
        seen.lost.push(format!("no answer within {} s after the end", GRACE.as_secs()));
    }
    lane.lost();
    (lane, seen)
}

async fn exchanges(
    lane: &mut Lane,
    connection: &mut Connection,
    script: &Script,
    open: Option<&Open>,
    span: Span,
    seen: &mut Measured,
) {
    let mut now = span.clock.nanos();
    loop {
        let (intended, sent) = match open {
            // The end of one request is the beginning of the next: one look at the clock for both.
            None if now >= span.until => return,
            None => (now, now),
            Some(open) => match open.arrivals.take().await {
                Some(intended) => (intended, span.clock.nanos()),
                None => return,
            },
        };
        let Some(request) = lane.begin(script, sent) else {
            seen.out_of_seats += 1;
            return;
        };
        let answer = match connection.exchange(request).await {
            Ok(answer) => answer,
            Err(error) => {
                seen.lost.push(error.to_string());
                return;
            }
        };
        now = span.clock.nanos();
        let settled = lane.settle(&answer, now);
        let measured = span.from..span.until;
        if measured.contains(&now) {
            seen.completed += 1;
            seen.body_bytes += u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
        }
        if measured.contains(&intended) {
            record(&mut seen.latency, now - intended);
            if let Some(open) = open {
                record(&mut seen.service, now - sent);
                open.timeline.note(intended, now);
            }
            *seen.statuses.entry(answer.status).or_default() += 1;
            seen.taken += u64::from(settled == Settled::Taken);
        }
        if answer.close {
            seen.lost.push("the server asked to close".to_owned());
            return;
        }
    }
}

pub(crate) fn record(histogram: &mut Histogram<u64>, nanos: u64) {
    // A histogram that grows takes every value that memory has room for; a round is minutes.
    histogram.record((nanos / 1000).max(1)).expect("a histogram that grows");
}
