//! Waiting rooms full of people, alone and in an engine: what the benchmarks of the room share.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared by benchmarks, each of which uses what it needs"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use onsale::domain::ids::{ScheduleNumber, UserId};
use onsale::domain::schedule::Plan;
use onsale::domain::schedule::policy::{ACTIVE_MAX, Policy, QueueOrder, QueuePolicy};
use onsale::domain::time::{Seconds, Timestamp};
use onsale::domain::waiting_room::draw::Seed;
use onsale::domain::waiting_room::{Command, Event, Gate, Settings, Ticket, WaitingRoom};
use onsale::engine::{CatalogueChange, Engine, EngineConfig, ScheduleEntry};

use super::support::{NOW, concert, config, open_schedule, venue};

/// How long an id is unless it is said: `user-` and a number of nineteen digits.
pub const ID_LEN: usize = 24;
/// How many waiting rooms are measured with, and how that is written.
pub const SIZES: [(u32, &str); 2] = [(1_000_000, "1 million"), (10_000_000, "10 million")];

/// Returns an id of so many bytes that nobody else has.
pub fn user(number: u32, len: usize) -> UserId {
    let digits = len - "user-".len();
    UserId::parse(&format!("user-{number:0digits$}")).unwrap()
}

/// When the rooms open: half a day after the people come.
pub fn opens_at() -> Timestamp {
    NOW.plus(Seconds::new(43_200))
}

fn policy(order: QueueOrder) -> QueuePolicy {
    QueuePolicy {
        active_max: ACTIVE_MAX,
        // One a millisecond: so an instant later, the next may enter.
        admit_per_minute: Some(60_000),
        active: Seconds::DAY,
        claim: Seconds::DAY,
        idle: None,
        waiting: Seconds::DAY,
        order,
        opens_at: Some(opens_at()),
    }
}

/// A room before it opens, of a sale that is open.
pub fn empty_room(order: QueueOrder, keys_max: u32) -> WaitingRoom {
    let mut room = WaitingRoom::new(ScheduleNumber(1));
    let policy = policy(order);
    let settings = Settings {
        opens_at: policy.opens_at,
        policy,
        closes_at: NOW.plus(Seconds::new(30 * 86_400)),
        keys_max,
    };
    let command = Command::Configure { settings: Some(Box::new(settings)), seed: Seed([7; 32]) };
    act(&mut room, &command, NOW);
    act(&mut room, &Command::Follow(Gate::Open), NOW);
    room
}

/// What the actor does with a command: what is due, the decision, its event, and what is due then.
pub fn act(room: &mut WaitingRoom, command: &Command, now: Timestamp) -> Event {
    apply_due(room, now);
    let event = room.decide(command, now).unwrap().unwrap();
    room.apply(&event, now, None);
    apply_due(room, now);
    event
}

/// Applies what time and free places have brought; returns how many events that were.
pub fn apply_due(room: &mut WaitingRoom, now: Timestamp) -> u32 {
    let mut events = 0;
    while let Some(event) = room.due(now, |_| None) {
        room.apply(&event, now, None);
        events += 1;
    }
    events
}

/// Lets so many people join, as the events say it that a decision made.
pub fn fill(room: &mut WaitingRoom, people: u32, id_len: usize) {
    for _ in 0..people {
        let ticket = Ticket(room.joined_total() + 1);
        let event = Event::Joined { ticket, user: user(ticket.0, id_len), admitted: false };
        room.apply(&event, NOW, None);
    }
}

/// A fixed sequence of numbers that look random (`SplitMix64`; Steele, Lea and Flood, 2014).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }
}

/// The settings of an engine that takes no snapshot by itself.
pub fn quiet_config(dir: &Path) -> EngineConfig {
    let mut config = config(dir);
    config.snapshot_every_events = u64::MAX;
    config.snapshot_every = Duration::from_hours(24);
    config
}

/// Opens an engine with one schedule whose waiting room isn't open yet.
pub async fn open_engine(config: EngineConfig) -> (Engine, Arc<ScheduleEntry>) {
    let engine = Engine::open(config).await.unwrap();
    engine.change(CatalogueChange::PutVenue(venue(1, 50)), None).await.unwrap();
    engine.change(CatalogueChange::PutConcert(concert()), None).await.unwrap();
    let now = engine.now();
    let queue = QueuePolicy { opens_at: Some(now.plus(Seconds::DAY)), ..policy(QueueOrder::Fifo) };
    let plan = Plan {
        starts_at: now.plus(Seconds::new(30 * 86_400)),
        ..super::support::plan(now, Policy { queue: Some(queue), ..Policy::default() })
    };
    let plan = Plan { ends_at: plan.starts_at.plus(Seconds::new(7_200)), ..plan };
    let entry = open_schedule(&engine, "s", plan).await;
    (engine, entry)
}

/// Lets people join from so many callers at once, each as another user from `first` on; returns how many did.
pub async fn join_all(
    engine: &Engine,
    entry: &Arc<ScheduleEntry>,
    callers: u32,
    first: u32,
    joins: u32,
) -> u32 {
    let each = joins.div_ceil(callers);
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let (engine, entry) = (engine.clone(), Arc::clone(entry));
        tasks.spawn(async move {
            for number in 0..each {
                let user = user(first + caller * each + number, ID_LEN);
                engine.join(&entry, &user, None).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    each * callers
}
