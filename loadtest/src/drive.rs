//! Many connections, each asking its next question when it has its answer, or at a pace.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    child::cpu_micros,
    clock::Clock,
    round::{Measured, difference, record},
    target::Target,
    usage::{Usage, machine_micros},
    wire::{Answer, Connection},
};

/// How long answers may take after the end, and how long a drive without an end may take in all.
const GRACE: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_mins(5);
/// Driven before a measurement that has an end: connections and caches get warm.
const WARM_UP: Duration = Duration::from_millis(300);
const SECOND: Duration = Duration::from_secs(1);

/// What one connection asks, and what it makes of the answers.
pub(crate) trait Caller: Send + 'static {
    /// Writes the next request; returns false when nothing is left to ask. `now` is before any byte is sent.
    fn ask(&mut self, request: &mut Vec<u8>, now: u64) -> bool;
    /// Takes its answer, which had been read whole at `now`.
    fn told(&mut self, answer: &Answer<'_>, now: u64);
}

/// The server that is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) target: Target,
    /// Its process, where that is known.
    pub(crate) pid: Option<u32>,
    /// The process of its store, where that is another one.
    pub(crate) store: Option<u32>,
    pub(crate) clock: Clock,
}

/// What was used until an instant.
struct Reading {
    server: Option<Usage>,
    own: Option<u64>,
    machine: Option<u64>,
}

impl Asked {
    fn read(&self) -> Reading {
        let roots: Vec<u32> = [self.pid, self.store].into_iter().flatten().collect();
        Reading {
            server: self.pid.and_then(|_| Usage::of(&roots)),
            own: cpu_micros(std::process::id()),
            machine: machine_micros(),
        }
    }
}

impl Measured {
    /// Notes what was used between two readings.
    fn spend(&mut self, before: &Reading, after: &Reading) {
        let server = before.server.as_ref().zip(after.server.as_ref());
        self.server_cpu_micros = server.and_then(|(before, after)| after.cpu_micros_since(before));
        self.written_bytes = server.map(|(before, after)| after.written_since(before));
        self.own_cpu_micros = difference(before.own, after.own);
        self.machine_cpu_micros = difference(before.machine, after.machine);
    }
}

/// When callers ask, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// At once when they have their answers, until none has anything left to ask.
    Done,
    /// At once when they have their answers, for so long.
    Over(Duration),
    /// So many a second together, for so long.
    Paced(u32, Duration),
}

impl Until {
    fn measured(self) -> Option<Duration> {
        match self {
            Self::Done => None,
            Self::Over(measured) | Self::Paced(_, measured) => Some(measured),
        }
    }
}

/// When the measured time begins and ends, in nanoseconds of the clock.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: u64,
    until: u64,
}

/// Drives callers, each on a connection of its own.
pub(crate) async fn drive<C: Caller>(
    asked: Asked,
    callers: Vec<C>,
    until: Until,
) -> Result<(Vec<C>, Measured)> {
    let Asked { target, clock, .. } = asked;
    let measured = until.measured();
    let pause = match until {
        Until::Paced(rate, _) => u32::try_from(callers.len()).ok().map(|count| SECOND * count / rate),
        Until::Done | Until::Over(_) => None,
    };
    let mut open = Vec::with_capacity(callers.len());
    for caller in callers {
        open.push((caller, Connection::open(target.address()).await.context("connecting")?));
    }

    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let from = clock.nanos() + measured.map_or(0, |_| nanos(WARM_UP));
    let span = Span { from, until: from + nanos(measured.unwrap_or(LONGEST)) };
    let mut tasks = JoinSet::new();

    for (mut caller, connection) in open {
        tasks.spawn(async move {
            let mut seen = Measured::new();
            let limit = clock.until(span.until) + GRACE;
            let asking = ask(&mut caller, connection, clock, span, pause, &mut seen);
            if timeout(limit, asking).await.is_err() {
                seen.lost.push(format!("no answer within {} s after the end", GRACE.as_secs()));
            }
            (caller, seen)
        });
    }

    sleep(clock.until(span.from)).await;
    let before = asked.read();
    let mut after = None;
    if measured.is_some() {
        sleep(clock.until(span.until)).await;
        after = Some(asked.read());
    }

    let (mut callers, mut total) = (Vec::with_capacity(tasks.len()), Measured::new());
    while let Some(task) = tasks.join_next().await {
        let (caller, seen) = task.context("a connection's task")?;
        callers.push(caller);
        total.add(&seen);
    }

    let after = after.unwrap_or_else(|| asked.read());
    let took = Duration::from_nanos(clock.nanos() - span.from);
    total.seconds = measured.unwrap_or(took).as_secs_f64();
    total.spend(&before, &after);
    Ok((callers, total))
}

async fn ask<C: Caller>(
    caller: &mut C,
    mut connection: Connection,
    clock: Clock,
    span: Span,
    pause: Option<Duration>,
    seen: &mut Measured,
) {
    let mut request = Vec::with_capacity(1024);
    let mut turns = pause.map(interval);
    if let Some(turns) = &mut turns {
        turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
    }

    let mut now = clock.nanos();
    while now < span.until {
        if let Some(turns) = &mut turns {
            turns.tick().await;
            now = clock.nanos();
        }
        if !caller.ask(&mut request, now) {
            return;
        }
        let sent = now;
        let answer = match connection.exchange(&request).await {
            Ok(answer) => answer,
            Err(error) => {
                seen.lost.push(error.to_string());
                return;
            }
        };
        now = clock.nanos();
        caller.told(&answer, now);
        if (span.from..span.until).contains(&now) {
            seen.completed += 1;
            seen.body_bytes += u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
        }
        if (span.from..span.until).contains(&sent) {
            record(&mut seen.latency, now - sent);
            *seen.statuses.entry(answer.status).or_default() += 1;
        }
        if answer.close {
            seen.lost.push("the server asked to close".to_owned());
            return;
        }
    }
}
