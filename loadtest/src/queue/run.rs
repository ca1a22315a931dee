//! The run itself, step by step: holds alone, the rush, the polls, the streams.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{
    Queue,
    crowd::{Crowd, Told},
    joins::{Joined, join},
    order,
    polls::poll,
    room::{self, Room},
    stage::{Stage, stage},
    streams::{Counts, Followed, Streams},
};
use crate::{
    arrivals::Pattern,
    audit::Findings,
    bench::{Bench, run_name},
    book::{Faults, index},
    child::Small,
    clock::Wall,
    drive::{Asked, Until},
    lane::Division,
    report::{Series, Spread, ratio},
    round::{Pace, Timing, histogram, record, round},
    script::Plan,
    setup::open_schedule,
    start::{Ready, token_exp},
    wire::Connection,
};

/// Who holds seats: they are inside before the crowd comes.
const HOLDERS: u32 = 64;
const HOLD_CONNECTIONS: u16 = 16;
const SEATS: u32 = 2_000;
/// The connections of polls at a pace.
const PACED_CONNECTIONS: usize = 128;
/// How long streams are measured while nothing happens, and while others join.
const STILL: Duration = Duration::from_secs(5);
/// How long the last admissions may take beyond their time.
const ADMIT_GRACE: Duration = Duration::from_secs(30);
/// How many of those who still wait are asked at the end.
const ASKED_AT_END: usize = 5_000;

/// What a run measured.
pub(super) struct Figures {
    pub(super) series: Vec<Series>,
    pub(super) ratios: Vec<(usize, Spread)>,
    pub(super) stages: Vec<Stage>,
    /// Microseconds from the instant of an admission to the event that says it.
    pub(super) lateness: Histogram<u64>,
    pub(super) clock_ahead: (i64, i64),
    /// What was found right, unless there are faults.
    pub(super) checked: Vec<String>,
    pub(super) faults: Faults,
}

/// A server with a room, those inside, and the crowd before it.
pub(super) struct Run {
    bench: Bench,
    room: Room,
    crowd: Arc<Crowd>,
    /// Those who come later.
    newcomers: Arc<Crowd>,
}

impl Run {
    /// Starts the server, makes the schedule with its room, and lets those in who hold seats.
    pub(super) async fn start(queue: &Queue) -> Result<Self> {
        const CONNECTIONS_MAX: &str = "ONSALE_LIMITS_CONNECTIONS_MAX";
        let mut options = queue.server.clone();
        if options.server_env.iter().all(|(name, _)| name != CONNECTIONS_MAX) {
            let most = queue.streams + 2 * u32::from(queue.most_connections()) + 100;
            options.server_env.push((CONNECTIONS_MAX.to_owned(), most.to_string()));
        }

        let ready = options.ready().await?;
        let signer = ready.signer();
        let mut plan = Plan::new(&run_name(), SEATS, HOLDERS, &signer, token_exp());
        let Ready { target, admin_token, server, .. } = ready;
        open_schedule(target, &admin_token, &plan, &room::policy(HOLDERS)).await?;
        let room = Room::of(target, &admin_token, &plan.schedule);
        let crowd = |name, people| Arc::new(Crowd::new(&plan.schedule, name, people, &signer, token_exp()));
        let seconds = STILL.as_secs() + u64::from(queue.admit_seconds) + ADMIT_GRACE.as_secs();
        let late = u32::try_from(seconds)? * u32::from(queue.newcomers);
        let (newcomers, everyone) = (crowd("late", late), crowd("crowd", queue.users));
        let mut request = Vec::new();
        let mut connection = Connection::open(target.address()).await?;

        for holder in &mut plan.users {
            let inside = Crowd::one(&plan.schedule, &holder.token);
            inside.write_join(&mut request, &target.host(), 0);
            let told = Told::read(&connection.exchange(&request).await?)?;
            anyhow::ensure!(&*told.status == "active", "there is room for those who hold seats: {told:?}");
            holder.pass = Some(told.pass.into());
        }

        let division = Division {
            lanes: HOLD_CONNECTIONS.into(),
            seats: SEATS,
            users: HOLDERS,
            live: 4,
            contended_seats: 0,
            contended_permille: 0,
        };

        Ok(Self { bench: Bench::of(target, server, plan, division), room, crowd: everyone, newcomers })
    }

    pub(super) fn explain(&mut self, error: anyhow::Error) -> anyhow::Error {
        self.bench.explain(error)
    }

    /// Checks the holds and stops the server.
    pub(super) async fn finish(self, released_max: u32) -> Result<Findings> {
        self.bench.finish(released_max).await
    }

    pub(super) async fn measure(&mut self, queue: &Queue) -> Result<Figures> {
        let mut figures = Figures {
            series: Vec::new(),
            ratios: Vec::new(),
            stages: Vec::new(),
            lateness: histogram(),
            clock_ahead: (0, 0),
            checked: Vec::new(),
            faults: Faults::default(),
        };
        let seconds = Duration::from_secs(queue.seconds.into());
        let alone = holds(&mut self.bench, queue, "holds alone", seconds).await?;
        figures.series.push(alone);
        self.rush(queue, &mut figures).await?;
        self.polls(queue, &mut figures).await?;
        if queue.streams > 0 {
            self.streams(queue, &mut figures).await?;
        }
        Ok(figures)
    }

    fn asked(&self) -> Asked {
        Asked {
            target: self.bench.onsale.target,
            pid: self.bench.onsale.pid,
            store: None,
            clock: self.bench.clock,
        }
    }

    /// Everyone joins, while those inside hold seats.
    async fn rush(&mut self, queue: &Queue, figures: &mut Figures) -> Result<()> {
        let connections = usize::from(queue.most_connections());
        let (asked, second) = (self.asked(), Duration::from_secs(1));
        let joining = join(&mut self.crowd, asked, connections, "waiting");
        let (joined, held) = tokio::join!(joining, holds(&mut self.bench, queue, "… joins", second));
        let Joined { seen, faults, ahead } = joined?;
        figures.faults.merge(faults);
        figures.clock_ahead = ahead;
        let line = self.crowd.line();
        figures.faults.merge(order::check_joins(&line));
        figures.checked.push(format!("{} joins stand in the order in which they came", line.len()));
        figures.series.push(Series { connections, name: "joins", rounds: vec![seen] });
        figures.series.push(held?);
        Ok(())
    }

    /// The crowd polls at full speed, in turns at the server and at the echo, while those inside hold seats.
    async fn polls(&mut self, queue: &Queue, figures: &mut Figures) -> Result<()> {
        let workers = queue.server.server_workers.into();
        let echo = if queue.no_echo { None } else { Some(Small::echo(workers).await?) };
        let asked = self.asked();
        let echo = echo.as_ref().map(|echo| Asked { target: echo.target, pid: echo.pid(), ..asked });
        let people: Vec<usize> = self.crowd.line().into_iter().map(|(person, _)| person).collect();
        let measured = Duration::from_secs(queue.seconds.into());
        let until = Until::Over(measured);

        for connections in queue.connections.iter().copied().map(usize::from) {
            let series = |name| Series { connections, name, rounds: Vec::new() };
            let (mut ours, mut ours_held) = (series("polls"), holds_of("… polls"));
            let (mut echos, mut echos_held) = (series("echo's polls"), holds_of("… echo's"));
            for _ in 0..queue.rounds {
                let polling = poll(&self.crowd, &people, asked, connections, Some(0), until);
                let held = holds(&mut self.bench, queue, "", measured);
                let (polled, held) = tokio::join!(polling, held);
                let (seen, faults) = polled.context("polling onsale")?;
                figures.faults.merge(faults);
                ours.rounds.push(seen);
                ours_held.rounds.extend(held?.rounds);
                if let Some(echo) = echo {
                    let polling = poll(&self.crowd, &people, echo, connections, None, until);
                    let held = holds(&mut self.bench, queue, "", measured);
                    let (polled, held) = tokio::join!(polling, held);
                    echos.rounds.push(polled.context("polling the echo")?.0);
                    echos_held.rounds.extend(held?.rounds);
                }
            }
            figures.ratios.extend(ratio(&ours, &echos).map(|ratio| (connections, ratio)));
            let all = [ours, ours_held, echos, echos_held];
            figures.series.extend(all.into_iter().filter(|series| !series.rounds.is_empty()));
        }

        let connections = people.len().min(PACED_CONNECTIONS);
        let paced = Until::Paced(queue.poll_rate, measured);
        let polling = poll(&self.crowd, &people, asked, connections, Some(0), paced);
        let (polled, held) = tokio::join!(polling, holds(&mut self.bench, queue, "… paced", measured));
        let (seen, faults) = polled.context("polling onsale at a pace")?;
        figures.faults.merge(faults);
        figures.series.push(Series { connections, name: "paced polls", rounds: vec![seen] });
        figures.series.push(held?);
        Ok(())
    }

    /// The first in line follow their places; nothing happens, others join, and then they are admitted.
    async fn streams(&mut self, queue: &Queue, figures: &mut Figures) -> Result<()> {
        let (asked, wall) = (self.asked(), Wall::of(self.bench.clock));
        let line: Vec<usize> = self.crowd.line().into_iter().map(|(person, _)| person).collect();
        let (first, rest) = line.split_at(index(queue.streams).min(line.len()));
        let counts = Arc::new(Counts::default());
        let connecting = Streams::connect(&self.crowd, first, asked.target, asked.clock, Arc::clone(&counts));
        let (connected, streams) = stage("all connect", &counts, asked, connecting).await;
        let streams = streams?;
        let (still, ()) = stage("nothing happens", &counts, asked, sleep(STILL)).await;

        let newcomers = Newcomers { crowd: Arc::clone(&self.newcomers), asked, rate: queue.newcomers };
        let (joining, faults) = stage("others join", &counts, asked, newcomers.join_for(0, STILL)).await;
        let (mut come, faults) = faults?;
        figures.faults.merge(faults);

        let rate = (60 * queue.streams).div_ceil(queue.admit_seconds.into());
        let tuning = json!({ "maxActive": HOLDERS + queue.streams, "admitPerMinute": rate });
        let (room, most) = (&self.room, Duration::from_secs(queue.admit_seconds.into()));
        let bench = &mut self.bench;
        let admitting = async {
            room.tune(&tuning).await?;
            let (all, held, late) = tokio::join!(
                streams.wait_until_active(most + ADMIT_GRACE),
                holds(bench, queue, "… streams", most),
                newcomers.join_for(come, most),
            );
            anyhow::Ok((all, held?, late?))
        };
        let (admitting, done) = stage("others join, all get in", &counts, asked, admitting).await;
        let (all, held, (later, faults)) = done?;
        come += later;
        figures.faults.merge(faults);
        if !all {
            figures
                .faults
                .add(format!("not all were admitted within {} s of their time", ADMIT_GRACE.as_secs()));
        }
        figures.series.push(held);
        figures.stages = vec![connected, still, joining, admitting];
        let followed = streams.end().await?;
        check_followed(followed, wall, figures);
        self.check_rest(rest, come, queue, figures).await
    }

    /// Whoever isn't inside still waits, and moved up by as many as went in.
    async fn check_rest(
        &self,
        rest: &[usize],
        come: usize,
        queue: &Queue,
        figures: &mut Figures,
    ) -> Result<()> {
        let step = rest.len().div_ceil(ASKED_AT_END).max(1);
        let some: Vec<usize> = rest.iter().copied().step_by(step).collect();
        let (asked, second) = (self.asked(), Until::Over(Duration::from_secs(1)));
        let connections = usize::from(HOLD_CONNECTIONS);
        let (_, faults) = poll(&self.crowd, &some, asked, connections, Some(queue.streams), second).await?;
        figures.faults.merge(faults);
        let expected = (u64::from(HOLDERS + queue.streams), u64::try_from(rest.len() + come)?);
        let found = self.room.look().await?;
        if found != expected {
            figures.faults.add(format!("active and waiting are {found:?}, and should be {expected:?}"));
        }
        figures.checked.push(format!("{} of those behind still wait", some.len()));
        Ok(())
    }
}

fn holds_of(name: &'static str) -> Series {
    Series { connections: HOLD_CONNECTIONS.into(), name, rounds: Vec::new() }
}

/// Those inside hold and release seats, each at its instant.
async fn holds(bench: &mut Bench, queue: &Queue, name: &'static str, measured: Duration) -> Result<Series> {
    let timing = Timing { warm_up: Duration::from_millis(50), measured };
    let pace = Pace::Open(Pattern::Constant, queue.hold_rate.into());
    let seen = round(&mut bench.onsale, HOLD_CONNECTIONS.into(), &pace, timing, bench.clock).await;
    let mut seen = seen.context("holding seats")?;
    // The server's and our own time were spent on more than holds.
    (seen.server_cpu_micros, seen.own_cpu_micros) = (None, None);
    Ok(Series { rounds: vec![seen], ..holds_of(name) })
}

/// Those who join while others wait already, evenly spaced.
struct Newcomers {
    crowd: Arc<Crowd>,
    asked: Asked,
    rate: u16,
}

impl Newcomers {
    /// Lets people join for so long, beginning with this one; returns how many did.
    async fn join_for(&self, first: usize, most: Duration) -> Result<(usize, Faults)> {
        let (mut faults, mut request) = (Faults::default(), Vec::new());
        let host = self.asked.target.host();
        let mut connection = Connection::open(self.asked.target.address()).await?;
        let mut turns = interval(Duration::from_secs(1) / u32::from(self.rate));
        turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let until = self.asked.clock.nanos() + u64::try_from(most.as_nanos())?;
        let mut came = 0;
        while self.asked.clock.nanos() < until && first + came < self.crowd.people.len() {
            turns.tick().await;
            self.crowd.write_join(&mut request, &host, first + came);
            let told = Told::read(&connection.exchange(&request).await?)?;
            if &*told.status != "waiting" {
                faults.add(format!("a newcomer should wait: {told:?}"));
            }
            came += 1;
        }
        Ok((came, faults))
    }
}

/// Looks at what those with streams were told: everyone got in, in order; and how late they were told.
fn check_followed(followed: Vec<Followed>, wall: Wall, figures: &mut Figures) {
    let mut admitted = Vec::with_capacity(followed.len());
    for Followed { position, admitted: told, faults, .. } in followed {
        figures.faults.merge(faults);
        let Some((at, came)) = told else {
            figures.faults.add(format!("position {position} was never told that it got in"));
            continue;
        };
        admitted.push((position, at));
        let late = wall.millis(came).saturating_sub_unsigned(at);
        record(&mut figures.lateness, u64::try_from(late).unwrap_or_default() * 1_000_000);
    }
    let number = admitted.len();
    figures.faults.merge(order::check_admissions(admitted));
    figures.checked.push(format!("{number} were admitted in that order and no position grew"));
}
