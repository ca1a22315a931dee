//! `serve --demo --crowd N`: fans who join a waiting room, choose seats, and pay or give up.
//!
//! ```text
//! pace    the crowd's size and speed: the room's policy, and when each fan comes
//! dice    what a fan is like
//! fan     what a fan does: the same calls of the engine as the HTTP layer's
//! tally   what the fans saw, and how it is printed
//! screen  bars on a terminal, else lines of the log
//! ```
//!
//! Absent on purpose: rules. A fan asks the engine and believes the answer, so the figures at the end check the
//! engine's.
//!
//! Invariant: once [`Crowd::run`] has returned, no fan is left. It returns soon after the shutdown.

mod dice;
mod fan;
mod pace;
mod screen;
mod tally;

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use onsale::config::LogConfig;
use onsale::domain::ids::{PhaseId, ScheduleId};
use onsale::domain::schedule::codes::{AccessCode, CodeTerms};
use onsale::domain::schedule::policy::Phase;
use onsale::domain::schedule::{Command, Plan, SaleStatus};
use onsale::domain::time::Seconds;
use onsale::domain::venue::Seat;
use onsale::engine::{CatalogueChange, Engine, ScheduleEntry};
use onsale::telemetry::TelemetryError;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use self::fan::{Fan, World};
use self::pace::Pace;
use self::screen::{Board, Screen};
use self::tally::{Figures, grouped, spoken};
use super::output::{Failure, print};

/// The largest crowd. Each fan is a task.
const FANS_MAX: i64 = 100_000;
/// How often the figures are looked up.
const SHOW_EVERY: Duration = Duration::from_millis(250);
/// The time over which admissions per minute are measured.
const PACE_OVER: Duration = Duration::from_secs(10);

/// What the crowd at the standing show brings, in the phase that is made for it.
const PHASE: &str = "crowd";
const CODE: &str = "CROWD-2026";
/// How long that phase lasts: longer than any crowd.
const PHASE_SECONDS: Seconds = Seconds::new(3_600);

/// The flag that sends the crowd to a standing show.
pub(super) fn standing_flag() -> Arg {
    Arg::new("standing").long("standing").action(ArgAction::SetTrue).requires("crowd").help(
        "With --crowd: the fans come to the presale of a standing show, bring its code, and take places of its areas as well as seats",
    )
}

/// The flag that asks for a crowd.
pub(super) fn flag() -> Arg {
    Arg::new("crowd")
        .long("crowd")
        .value_name("FANS")
        .requires("demo")
        .value_parser(value_parser!(u32).range(0..=FANS_MAX))
        .help("With --demo: send so many fans to one sale, where they wait, choose seats, and pay or give up. Watch them here and over HTTP")
}

/// A crowd that the flag asks for, and its screen.
pub(super) struct CrowdRequest {
    pace: Pace,
    screen: Screen,
    is_standing: bool,
}

impl CrowdRequest {
    /// Reads the flag. Zero fans are no crowd.
    pub(super) fn read(matches: &ArgMatches) -> Option<Self> {
        let fans = matches.get_one::<u32>("crowd").copied().filter(|fans| *fans > 0)?;
        Some(Self { pace: Pace::of(fans), screen: Screen::new(), is_standing: matches.get_flag("standing") })
    }

    /// Sets up the logs so that log lines and the crowd's bars don't overwrite each other.
    pub(super) fn init_logs(&self, log: &LogConfig) -> Result<(), TelemetryError> {
        self.screen.init_logs(log)
    }

    /// Makes the sale that the crowd comes to: a copy of the open sale with the most seats left, with a waiting room of
    /// the crowd's size; of a standing show, in a phase with a code. No existing sale is changed. Returns `None` if no such sale is open.
    pub(super) async fn prepare(self, engine: &Engine) -> Result<Option<Crowd>, Failure> {
        let Self { pace, screen, is_standing } = self;
        let now = engine.now();
        let schedules = engine.schedules().into_iter().filter(|entry| {
            let schedule = entry.read();
            let has_areas = !schedule.layout().areas().is_empty();
            let is_open = schedule.sale_at(now) == SaleStatus::Open && schedule.phase_at(now).is_none();
            is_open && schedule.counts().available > 0 && has_areas == is_standing
        });
        let entry = schedules.max_by_key(|entry| {
            let schedule = entry.read();
            let plan = schedule.plan();
            (schedule.counts().available, plan.starts_at)
        });
        let Some(like) = entry else {
            tracing::warn!(
                "no crowd comes: no open sale has seats left. Empty the data directory to begin anew"
            );
            return Ok(None);
        };

        let plan = {
            let plan = Arc::clone(like.read().plan());
            let mut plan = Plan { policy: pace.policy(&plan.policy), ..Plan::clone(&plan) };
            if is_standing {
                let closes_at = now.plus(PHASE_SECONDS);
                plan.sales_open_at = Some(closes_at);
                plan.policy.phases = vec![Phase {
                    id: PhaseId::parse(PHASE).map_err(Failure::failed)?,
                    name: "The crowd's presale".to_owned(),
                    opens_at: now,
                    closes_at,
                    grades: None,
                    seats_per_user_max: None,
                }];
            }
            plan
        };

        // A data directory may hold the sales of earlier crowds.
        let ids = (1_u32..).map(|number| format!("crowd-{number}"));
        let mut free = ids.map(|id| ScheduleId::parse(&id).expect("letters and digits are an id"));
        let id = free.find(|id| engine.schedule(id).is_none()).expect("numbers don't end");

        let change = CatalogueChange::PutSchedule(id.clone(), like.concert().clone(), plan);
        engine.change(change, None).await.map_err(Failure::failed)?;
        if !is_standing {
            let open = CatalogueChange::OpenSchedule(id.clone());
            engine.change(open, None).await.map_err(Failure::failed)?;
        }

        let entry = engine.schedule(&id).ok_or_else(|| Failure::Failed(format!("the sale {id} is gone")))?;
        let code = if is_standing { Some(put_code(engine, &entry).await?) } else { None };
        Ok(Some(Crowd { pace, screen, entry, code }))
    }
}

/// Makes the code of the crowd's phase.
async fn put_code(engine: &Engine, entry: &ScheduleEntry) -> Result<AccessCode, Failure> {
    let code = AccessCode::parse(CODE).map_err(Failure::failed)?;
    let phases = Box::new([PhaseId::parse(PHASE).map_err(Failure::failed)?]);
    let terms = Arc::new(CodeTerms { phases, ..CodeTerms::default() });
    let command = Command::PutCode { code: code.clone(), terms };
    engine.act(entry, command, None).await.map_err(Failure::failed)?;
    Ok(code)
}

/// A crowd that is about to come.
pub(super) struct Crowd {
    pace: Pace,
    screen: Screen,
    entry: Arc<ScheduleEntry>,
    /// What they bring, where the sale asks for it.
    code: Option<AccessCode>,
}

impl Crowd {
    /// Returns where the crowd comes, and commands that join it. They use the variables of the demonstration's greeting.
    pub(super) fn greeting(&self, base: &str) -> String {
        let id = self.entry.id();
        let seats = self.entry.read().counts().available;
        let code = self.code.as_ref().map(|code| format!(",\\\"code\\\":\\\"{}\\\"", code.as_str()));
        let code = code.unwrap_or_default();
        let told = if code.is_empty() { String::new() } else { format!("\n  code          {CODE}") };
        format!(
            r#"The crowd: {fans} fans come in {lead} and want the {seats} seats of {id}; at most {active} choose at a time
  in the shop   {base}/schedules/{id}
  waiting room  {base}/api/v1/schedules/{id}/queue
  seat map      {base}/api/v1/schedules/{id}/seats
  every route   {base}/docs{told}

Be one of them, as {demo_user} (paste one after the other; the earlier, the better)

  SHOW='{id}'

  # take a place, and keep its pass
  PASS=$(curl -s -X POST "$API/queue/tokens" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -d "{{\"scheduleId\":\"$SHOW\"{code}}}" | cut -d'"' -f4)

  # see the line move until you are let in; leave it with Ctrl-C
  curl -N "$API/queue/tokens/current/events?scheduleId=$SHOW" -H "Authorization: Bearer $TOKEN" -H "Queue-Token: $PASS"

  # once it says "active": hold the two best seats that are left
  curl -sw '\n' -X POST "$API/reservations" -H "Authorization: Bearer $TOKEN" -H "Queue-Token: $PASS" \
    -H 'Content-Type: application/json' -d "{{\"scheduleId\":\"$SHOW\"{code},\"bestAvailable\":{{\"count\":2}}}}"

Or watch, and let more in

  curl -N "$API/schedules/$SHOW/seats/events"
  curl -sw '\n' "$API/schedules/$SHOW/queue"
  curl -sw '\n' "$API/admin/overview" -H "Authorization: Bearer $ADMIN"
  curl -sw '\n' -X PATCH "$API/schedules/$SHOW/queue" -H "Authorization: Bearer $ADMIN" \
    -H 'Content-Type: application/json' -d '{{"maxActive":300}}'

"#,
            fans = grouped(self.pace.fans()),
            lead = spoken(self.pace.lead()),
            seats = grouped(seats),
            active = self.pace.active_max(),
            demo_user = super::token::DEMO_USER,
        )
    }

    /// Lets the fans come, shows the figures, and prints a summary at the end. A shutdown sends the fans home.
    pub(super) async fn run(self, engine: Engine, shutdown: CancellationToken) {
        let Self { pace, screen, entry, code } = self;
        let world = Arc::new(World::new(engine, entry, pace, code));
        let mut board = Board::on(&screen);
        let mut watcher = Watcher::new(Arc::clone(&world));

        // Fans of an earlier run keep their names, so this run's numbers begin behind theirs.
        let before = world.entry.room().read().joined_total();
        let mut fans = JoinSet::new();
        let mut ticks = tokio::time::interval(SHOW_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut came = 0;

        loop {
            let next = (came < pace.fans()).then(|| watcher.started + pace.arrival(came));
            if next.is_none() && fans.is_empty() {
                break;
            }

            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep_until(next.unwrap_or(watcher.started)), if next.is_some() => {
                    came += 1;
                    fans.spawn(Fan::new(&world, before.saturating_add(came)).live());
                }
                Some(ended) = fans.join_next() => complain_of_panic(ended),
                now = ticks.tick() => board.show(&watcher.look(pace.fans() - came, now), now),
            }
        }

        fans.shutdown().await;
        let now = Instant::now();
        let figures = watcher.look(pace.fans() - came, now);
        board.end();

        let owner =
            |seat: Seat| world.entry.read().owner(seat).and_then(|reservation| reservation.user.clone());
        let took = now.saturating_duration_since(watcher.started + pace.lead());
        let areas = world.entry.read().area_counts().iter().map(|counts| counts.reserved).sum();
        let mut summary = tally::summary(&world.tally(), &figures, took, owner, areas);
        if !shutdown.is_cancelled() {
            summary.push_str("\nThe server runs on; stop it with Ctrl-C.\n");
        }

        if let Err(failure) = print(&summary) {
            tracing::warn!(%failure, "the crowd's summary is lost");
        }
    }
}

fn complain_of_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "one of the crowd is missing");
    }
}

/// Collects the figures that are shown.
struct Watcher {
    world: Arc<World>,
    started: Instant,
    /// How many had been let in, at the instants of the last ten seconds.
    admitted: VecDeque<(Instant, u64)>,
}

impl Watcher {
    fn new(world: Arc<World>) -> Self {
        Self { world, started: Instant::now(), admitted: VecDeque::new() }
    }

    fn look(&mut self, to_come: u32, now: Instant) -> Figures {
        let World { entry, pace, .. } = &*self.world;
        let counts = entry.read().counts();
        let overview = entry.room().read().overview();
        self.admitted.push_back((now, overview.admitted_total));
        while self.admitted.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > PACE_OVER) {
            self.admitted.pop_front();
        }
        let begins = self.started + pace.lead();
        Figures {
            to_come,
            begins_in: (now < begins).then(|| begins - now),
            waiting: overview.waiting,
            active: overview.active,
            active_max: overview.active_max,
            per_minute: per_minute(&self.admitted),
            ..Figures::of(&self.world.tally(), pace.fans(), counts)
        }
    }
}

/// Returns the admissions per minute from the first to the last of these counts.
fn per_minute(seen: &VecDeque<(Instant, u64)>) -> u32 {
    let (Some((from, before)), Some((to, after))) = (seen.front(), seen.back()) else { return 0 };
    let millis = (*to - *from).as_millis();
    let admitted = u128::from(after.saturating_sub(*before));
    (admitted * 60_000).checked_div(millis).and_then(|rate| u32::try_from(rate).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_pace_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let seen = |points: &[(u64, u64)]| {
            points.iter().map(|(at, count)| (start + Duration::from_secs(*at), *count)).collect()
        };
        assert_eq!(per_minute(&seen(&[])), 0);
        assert_eq!(per_minute(&seen(&[(0, 5)])), 0);
        assert_eq!(per_minute(&seen(&[(0, 5), (3, 9), (10, 25)])), 120);
    }

    #[test]
    fn no_fans_are_no_crowd_and_a_crowd_needs_the_demonstration() {
        let read = |arguments: &[&str]| {
            let serve = super::super::serve::command();
            let all = ["serve"].iter().chain(arguments);
            serve
                .try_get_matches_from(all)
                .map(|matches| CrowdRequest::read(&matches).map(|request| request.pace.fans()))
        };
        assert_eq!(read(&["--demo"]).unwrap(), None);
        assert_eq!(read(&["--demo", "--crowd", "0"]).unwrap(), None);
        assert_eq!(read(&["--demo", "--crowd", "100000"]).unwrap(), Some(100_000));
        for wrong in [
            &["--crowd", "5"][..],
            &["--demo", "--standing"],
            &["--demo", "--crowd", "100001"],
            &["--demo", "--crowd", "many"],
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
