//! The waiting room: places, passes, admission, the draw, the stream of positions, and how it is run.
//!
//! Most tests talk to a server inside of this process, whose clock is theirs: an hour passes at once, and what
//! happens at an instant is asked for at that very instant. What must be a process of its own is one.

mod admission;
mod draw;
mod keys;
mod passes;
mod phases;
mod places;
mod run;
mod seats;
mod stream;

use std::sync::Arc;

use onsale::clock::ManualClock;
use onsale::config::Config;
use onsale::domain::cause::Cause;
use onsale::domain::money::Money;
use onsale::domain::payments::{self, State};
use onsale::domain::schedule::{Command, ReservationRef};
use onsale::domain::time::Timestamp;
use onsale::domain::waiting_room::Tuning;
use onsale::engine::{Engine, EngineConfig, Purchase, ScheduleEntry};
use onsale::http::HttpParts;
use onsale::http::app::App;
use onsale::http::limits::ServerLimits;
use onsale::http::server;
use onsale::journal::MemoryDisk;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::events::Stream;
use crate::server::{ADMIN, SECRET, token};
use crate::{Api, Call, DELETE, GET, PATCH, POST, PUT, concert, hold_of, schedule, text, venue, with};

/// The instant at which a hall's clock stands at first.
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A server as the people in the waiting room of its schedule `s` see it.
pub(crate) trait Front {
    /// Calls a route under `/api/v1` without a token.
    fn call(&self, method: Method, path: &str) -> Call;

    fn as_user(&self, user: &str, method: Method, path: &str) -> Call {
        self.call(method, path).bearer(&token(user))
    }

    fn as_admin(&self, method: Method, path: &str) -> Call {
        self.call(method, path).bearer(ADMIN)
    }

    fn join(&self, user: &str) -> Call {
        self.as_user(user, POST, "/queue/tokens").json(&json!({"scheduleId": "s"}))
    }

    /// Looks where a place stands.
    fn place(&self, user: &str, pass: &str) -> Call {
        self.as_user(user, GET, CURRENT).header("queue-token", pass)
    }

    fn leave(&self, user: &str, pass: &str) -> Call {
        self.as_user(user, DELETE, CURRENT).header("queue-token", pass)
    }

    fn follow(&self, user: &str, pass: &str) -> Call {
        self.as_user(user, GET, EVENTS).header("queue-token", pass)
    }

    /// Holds seats `1-A-1-<number>`.
    fn hold_with(&self, user: &str, pass: &str, seats: &[u32]) -> Call {
        self.as_user(user, POST, "/reservations").header("queue-token", pass).json(&hold_of(seats))
    }

    fn room(&self) -> Call {
        self.call(GET, ROOM)
    }

    fn tune(&self, change: &Value) -> Call {
        self.as_admin(PATCH, ROOM).json(change)
    }

    /// Opens, closes or cancels the sale.
    fn sale(&self, step: &str) -> Call {
        self.as_admin(POST, &format!("/schedules/s/{step}"))
    }
}

const CURRENT: &str = "/queue/tokens/current?scheduleId=s";
const EVENTS: &str = "/queue/tokens/current/events?scheduleId=s";
const ROOM: &str = "/schedules/s/queue";

impl Front for Api {
    fn call(&self, method: Method, path: &str) -> Call {
        self.public(method, path)
    }
}

/// A server in this process with a schedule `s` in [`venue`], a clock that stands until a test moves it, and a disk
/// that can be made to wait.
pub(crate) struct Hall {
    url: String,
    client: Client,
    clock: ManualClock,
    disk: MemoryDisk,
    engine: Engine,
    _data: TempDir,
}

impl Front for Hall {
    fn call(&self, method: Method, path: &str) -> Call {
        Call(self.client.request(method, format!("{}/api/v1{path}", self.url)))
    }
}

impl Hall {
    async fn serve() -> Self {
        let data = tempfile::tempdir().unwrap();
        let (clock, disk) = (ManualClock::at(START), MemoryDisk::new());
        let mut config = EngineConfig::new(data.path());
        config.journal.reserve_bytes = 0;
        config.clock = Arc::new(clock.clone());
        config.medium = Some(Arc::new(disk.clone()));
        let engine = Engine::open(config).await.unwrap();
        let matches = clap::Command::new("test").args(Config::flags()).get_matches_from(["test"]);
        let variables =
            [("ONSALE_JWT_SECRET", SECRET), ("ONSALE_ADMIN_TOKEN", ADMIN), ("ONSALE_RATE_LIMIT", "off")];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::load(&matches, variables).unwrap();
        let shutdown = CancellationToken::new();
        let parts = HttpParts::new(&config, Arc::new(clock.clone()), shutdown.clone()).unwrap();
        let listener = server::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let site = App::new(engine.clone(), parts, None).site();
        let limits = ServerLimits::new(&config.server, &config.limits);
        tokio::spawn(server::serve(listener, site, limits, shutdown));
        Self { url, client: Client::new(), clock, disk, engine, _data: data }
    }

    /// Starts with a venue and a concert, and no schedule yet.
    async fn unplanned() -> Self {
        let hall = Self::serve().await;
        hall.as_admin(PUT, "/venues/v").json(&venue()).await.ok(201);
        hall.as_admin(PUT, "/concerts/c").json(&concert()).await.ok(201);
        hall
    }

    /// Starts with a schedule whose sale is yet to open.
    async fn upcoming(queue: Value) -> Self {
        let hall = Self::unplanned().await;
        hall.put(&planned(queue)).await.ok(201);
        hall
    }

    /// Starts with a schedule whose sale is open.
    async fn open(queue: Value) -> Self {
        let hall = Self::upcoming(queue).await;
        hall.sale("open").await.ok(200);
        hall
    }

    /// Puts the schedule.
    fn put(&self, document: &Value) -> Call {
        self.as_admin(PUT, "/schedules/s").json(document)
    }

    fn entry(&self) -> Arc<ScheduleEntry> {
        self.engine.schedule("s").unwrap()
    }

    /// Moves the clock. Nobody is woken: what is asked next is asked at that instant.
    fn advance(&self, millis: u64) {
        self.clock.pass_millis(millis);
    }

    /// Moves the clock, and waits until all that it brings has happened.
    async fn pass(&self, millis: u64) {
        self.advance(millis);
        self.settle().await;
    }

    /// Waits until the schedule and then its room have looked at the clock and at each other, as their timers would
    /// have them do a moment later.
    async fn settle(&self) {
        let entry = self.entry();
        drop(self.engine.act(&entry, Command::Unblock { seats: Arc::new([]) }, None).await);
        drop(self.engine.tune(&entry, Tuning::default(), None).await);
    }

    /// Pays for a hold.
    async fn confirm(&self, user: &str, held: &Value) {
        let id = self.engine.reservation_id(&text(&held["reservationId"])).unwrap();
        let reservation = ReservationRef { number: id.number, nonce: id.nonce };
        let user = onsale::domain::ids::UserId::parse(user).unwrap();
        let entry = self.entry();
        let amount = Money::new(held["amount"].as_u64().unwrap()).unwrap();
        let currency = entry.read().currency();
        self.engine.charge(&user, amount, currency, id.nonce, Cause::default()).await.unwrap();
        let method = payments::Method::Balance;
        let purchase = Purchase { user, reservation, method, nonce: id.nonce, key: None };
        let paid = self.engine.pay(&entry, purchase).await.unwrap().answer;
        assert_eq!(paid.state, State::Completed);
    }

    /// How many wait, and how many are active.
    async fn crowd(&self) -> (u64, u64) {
        crowd(self).await
    }
}

async fn crowd(front: &impl Front) -> (u64, u64) {
    let room = front.room().await.ok(200);
    (room["waiting"].as_u64().unwrap(), room["active"].as_u64().unwrap())
}

/// A schedule's document with a waiting room, or with none where it is null.
fn planned(queue: Value) -> Value {
    let mut policy = json!({});
    policy["queue"] = queue;
    with(schedule(), "policy", policy)
}

/// The same with more of its members.
fn planned_with(queue: Value, members: &[(&str, String)]) -> Value {
    let set = |document, (name, value): &(&str, String)| with(document, name, json!(value));
    members.iter().fold(planned(queue), set)
}

/// An instant so many milliseconds after [`START`], as the API writes it.
fn at(millis: u64) -> String {
    START.plus_millis(millis).to_string()
}

fn pass_of(place: &Value) -> String {
    text(&place["token"])
}

/// Joins where there is room, and returns the pass.
async fn enter(front: &impl Front, user: &str) -> String {
    let place = front.join(user).await.ok(201);
    assert_eq!(place["status"], "active", "{place}");
    pass_of(&place)
}

/// Joins where there is none, and returns the pass.
async fn queue_up(front: &impl Front, user: &str) -> String {
    let place = front.join(user).await.ok(201);
    assert_eq!(place["status"], "waiting", "{place}");
    pass_of(&place)
}

/// How a place stands, and at which position.
async fn stand(front: &impl Front, user: &str, pass: &str) -> (String, Option<u64>) {
    let place = front.place(user, pass).await.ok(200);
    (text(&place["status"]), place["position"].as_u64())
}

fn waits_at(position: u64) -> (String, Option<u64>) {
    ("waiting".to_owned(), Some(position))
}

/// A status in which a place has no position.
fn is(status: &str) -> (String, Option<u64>) {
    (status.to_owned(), None)
}

/// Reads an instant of a document.
fn millis(at: &Value) -> u64 {
    let at: jiff::Timestamp = text(at).parse().unwrap();
    at.as_millisecond().try_into().unwrap()
}

/// What the stream of a place tells.
struct Told(Stream);

impl Told {
    /// Follows a place.
    async fn of(front: &impl Front, user: &str, pass: &str) -> Self {
        Self(Stream::new(front.follow(user, pass).open().await))
    }

    /// Returns the name and the document of the next event; nothing where the stream has ended in order.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            let block = self.0.block().await?;
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
            if let Some(data) = field("data: ") {
                let name = field("event: ").expect("an event has a name").to_owned();
                return Some((name, serde_json::from_str(data).unwrap()));
            }
        }
    }

    /// Returns the document of the next event, which has this name.
    async fn must(&mut self, name: &str) -> Value {
        let (told, data) = self.next().await.expect("the stream goes on");
        assert_eq!(told, name, "{data}");
        data
    }

    /// Returns the document of the next event with this name, behind any number of positions.
    async fn reach(&mut self, name: &str) -> Value {
        loop {
            let (told, data) = self.next().await.expect("the stream goes on");
            if told == name {
                return data;
            }
            assert_eq!(told, "position", "{data}");
        }
    }
}
