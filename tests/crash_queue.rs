//! `kill -9` while people queue up, many times, on one data directory (S3, Q1): every place that was acknowledged is
//! there, in the order in which it was taken, and whoever was let in stays in.
#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    reason = "a test fails loudly, and its numbers are small"
)]

#[path = "support/server.rs"]
mod server;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::StreamExt;
use onsale::domain::waiting_room::Event;
use onsale::journal::{InspectError, Inspection, Journal, JournalConfig, Position, ReadError};
use onsale::record::{self, Fact};
use onsale::recovery::World;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use server::{Server, token};

const LIVES: u64 = 6;
const CLIENTS: usize = 16;
/// How many may be active.
const MOST: u64 = 5;
const CURRENT: &str = "/api/v1/queue/tokens/current?scheduleId=s";

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Whether a place was given up, as far as its holder was told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Given {
    No,
    Maybe,
    Up,
}

/// A place as its holder knows it.
#[derive(Clone, Debug)]
struct Place {
    user: String,
    pass: String,
    issued_at: String,
    /// When it was asked for and when it was acknowledged, on the clock that all clients share.
    asked: u64,
    told: u64,
    /// The last position that was told; 0 is at the seats.
    position: u64,
    given: Given,
}

impl Place {
    /// Takes in what is told of a place that nobody gave up: who is in stays in, and no position grows (Q1).
    fn hear(&mut self, found: &Value) {
        assert_eq!((&found["token"], &found["issuedAt"]), (&json!(self.pass), &json!(self.issued_at)));
        let active = found["status"] == "active";
        let position = found["position"].as_u64().unwrap_or_default();
        assert!(active || found["status"] == "waiting", "S3: {self:?} is {found}");
        assert!(active == (position == 0) && position <= self.position, "Q1: {self:?} is {found}");
        self.position = position;
    }
}

/// What all clients of a life share.
#[derive(Default)]
struct Life {
    stop: AtomicBool,
    joined: AtomicU64,
}

struct Fan {
    name: String,
    url: String,
    client: Client,
    dice: Dice,
    clock: Arc<AtomicU64>,
}

impl Fan {
    /// Queues up under one name after another, looks at the places that it has and gives them up, until the server
    /// is gone.
    async fn hammer(mut self, mut places: Vec<Place>, life: &Life) -> Vec<Place> {
        let mut turn = 0;
        while !life.stop.load(Ordering::Relaxed) {
            turn += 1;
            let step = self.dice.below(4);
            let chosen = usize::try_from(self.dice.below(4)).unwrap();
            let mut standing = places.iter_mut().filter(|place| place.given == Given::No);
            let at_hand = match step {
                0 => standing.nth(chosen),
                1 => standing.find(|place| place.position == 0),
                _ => None,
            };
            let went_on = match at_hand {
                Some(place) if step == 0 => self.look(place).await,
                Some(place) => self.leave(place).await,
                None => self.join(format!("{}-{turn}", self.name)).await.map(|place| {
                    life.joined.fetch_add(1, Ordering::Relaxed);
                    places.push(place);
                }),
            };
            if went_on.is_none() {
                break;
            }
        }
        places
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    async fn join(&self, user: String) -> Option<Place> {
        let asked = self.tick();
        let body = json!({"scheduleId": "s"});
        let (status, place) =
            send(&self.client, &self.url, &user, Method::POST, "/api/v1/queue/tokens", None, Some(&body))
                .await?;
        assert_eq!(status, 201, "{place}");
        let text = |name: &str| place[name].as_str().unwrap().to_owned();
        Some(Place {
            user,
            pass: text("token"),
            issued_at: text("issuedAt"),
            asked,
            told: self.tick(),
            position: place["position"].as_u64().unwrap_or_default(),
            given: Given::No,
        })
    }

    async fn look(&self, place: &mut Place) -> Option<()> {
        let (status, found) = self.of(place, Method::GET).await?;
        assert_eq!(status, 200, "{found}");
        place.hear(&found);
        Some(())
    }

    async fn leave(&self, place: &mut Place) -> Option<()> {
        place.given = Given::Maybe;
        let (status, found) = self.of(place, Method::DELETE).await?;
        assert_eq!(status, 204, "{found}");
        place.given = Given::Up;
        Some(())
    }

    async fn of(&self, place: &Place, method: Method) -> Option<(u16, Value)> {
        send(&self.client, &self.url, &place.user, method, CURRENT, Some(&place.pass), None).await
    }
}

/// Sends a request; nothing when the connection broke, so that the outcome is unknown.
async fn send(
    client: &Client,
    url: &str,
    user: &str,
    method: Method,
    path: &str,
    pass: Option<&str>,
    body: Option<&Value>,
) -> Option<(u16, Value)> {
    let mut request = client.request(method, format!("{url}{path}")).bearer_auth(token(user));
    if let Some(pass) = pass {
        request = request.header("queue-token", pass);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    let bytes = response.bytes().await.ok()?;
    Some((status, serde_json::from_slice(&bytes).unwrap_or_default()))
}

fn start(data: &Path) -> Server {
    Server::start_with(data, &[("ONSALE_LOG_FILTER", "error")])
}

/// One life: everyone hammers until enough places were taken, and then it is killed.
async fn live_and_die(
    server: Server,
    number: u64,
    dice: &mut Dice,
    clock: &Arc<AtomicU64>,
    mut places: Vec<Place>,
) -> Vec<Place> {
    // The places that were taken first are the first to be let in: each client has some of them at hand.
    places.sort_unstable_by_key(|place| place.asked);
    let life = Arc::new(Life::default());
    let mut fans = tokio::task::JoinSet::new();
    let mut shares = vec![Vec::new(); CLIENTS];
    for (place, client) in places.into_iter().zip((0..CLIENTS).cycle()) {
        shares[client].push(place);
    }
    for (client, share) in shares.into_iter().enumerate() {
        let fan = Fan {
            name: format!("fan-{number}-{client}"),
            url: server.url.clone(),
            client: server.client.clone(),
            dice: Dice(dice.below(u64::from(u32::MAX))),
            clock: Arc::clone(clock),
        };
        let life = Arc::clone(&life);
        fans.spawn(async move { fan.hammer(share, &life).await });
    }
    let enough = 20 + dice.below(100);
    while life.joined.load(Ordering::Relaxed) < enough {
        tokio::task::yield_now().await;
    }
    server.kill();
    life.stop.store(true, Ordering::Relaxed);
    fans.join_all().await.concat()
}

/// Asks for every place in the books, and returns each one's position: 0 is at the seats, and nothing is over.
async fn look_again(server: &Server, places: &mut [Place]) -> Vec<Option<u64>> {
    let looks = places.iter_mut().map(|place| async move {
        let ask = async |method: Method, path: &str, body: Option<Value>| {
            let pass = Some(place.pass.as_str());
            send(&server.client, &server.url, &place.user, method, path, pass, body.as_ref()).await.unwrap()
        };
        let (status, found) = ask(Method::GET, CURRENT, None).await;
        assert_eq!(status, 200, "S3: a place is missing: {place:?}");
        let over = found["status"] == "done";
        let wrong = if over { Given::No } else { Given::Up };
        assert_ne!(place.given, wrong, "S3: {place:?} is {found}");
        if over {
            place.given = Given::Up;
            return None;
        }
        let body = json!({"scheduleId": "s"});
        let (status, standing) = ask(Method::POST, "/api/v1/queue/tokens", Some(body)).await;
        assert_eq!((status, &standing["token"]), (200, &json!(place.pass)), "Q1: one place a user");
        place.hear(&found);
        place.given = Given::No;
        Some(place.position)
    });
    futures_util::stream::iter(looks).buffered(CLIENTS).collect().await
}

/// Compares the line with the order in which the places were asked for and given.
fn check_order(places: &[Place], positions: &[Option<u64>]) {
    let mut standing: Vec<(&Place, u64)> =
        places.iter().zip(positions).filter_map(|(place, position)| Some((place, (*position)?))).collect();
    let mut waiting: Vec<u64> = standing.iter().map(|(_, position)| *position).filter(|at| *at > 0).collect();
    waiting.sort_unstable();
    assert!(waiting.is_sorted_by(|one, next| one < next), "nobody shares a position");
    let mut given = standing.clone();
    given.sort_unstable_by_key(|(place, _)| place.told);
    standing.sort_unstable_by_key(|(place, _)| place.asked);
    let (mut given, mut last) = (given.into_iter().peekable(), None::<(&Place, u64)>);
    for (place, position) in standing {
        while let Some(earlier) = given.next_if(|(earlier, _)| earlier.told < place.asked) {
            if last.is_none_or(|(_, behind)| earlier.1 > behind) {
                last = Some(earlier);
            }
        }
        if let Some((earlier, behind)) = last {
            let ahead = behind == 0 || behind < position;
            assert!(ahead, "Q1: {place:?} at {position} passed {earlier:?} at {behind}");
        }
    }
}

async fn check(server: &Server, places: &mut [Place]) {
    let positions = look_again(server, places).await;
    check_order(places, &positions);
    let (_, room) = server.get("/api/v1/schedules/s/queue").await;
    let count = |name: &str| room[name].as_u64().unwrap();
    let known = |active: bool| positions.iter().flatten().filter(|at| (**at == 0) == active).count() as u64;
    assert!(count("active") <= MOST && known(true) <= count("active"), "Q1: {room}");
    assert!(known(false) <= count("waiting"), "{room}");
    assert!(count("waiting") == 0 || count("active") == MOST, "nobody waits before an empty seat: {room}");
}

/// Replays the whole journal, which checks each admission (Q1), and compares it with what the clients were told.
fn replay(data: &Path, places: &[Place]) {
    let (mut world, mut tickets) = (World::default(), HashMap::new());
    let mut visit = |bytes: &[u8]| {
        let read = record::decode(bytes).unwrap();
        if let Fact::WaitingRoom(_, Event::Joined { ticket, user, .. }) = &read.fact {
            assert_eq!(tickets.insert(user.to_string(), ticket.0), None, "S3: {user} joined twice");
        }
        world.apply(&read).unwrap();
    };
    if let Some(stream) = server::stream_of(data) {
        let config = JournalConfig { stream: Some(stream), ..JournalConfig::new(data) };
        let journal = Journal::open(config).unwrap();
        let each = |_, bytes: &[u8]| {
            visit(bytes);
            Ok::<(), ReadError>(())
        };
        journal.for_each(Position::START, each).unwrap();
    } else {
        let inspection = Inspection::open(data, None).unwrap();
        let each = |_, bytes: &[u8]| {
            visit(bytes);
            Ok::<(), InspectError>(())
        };
        inspection.for_each(Position::START, Position::END, each).unwrap();
    }
    world.check().unwrap();
    let mut given: Vec<&Place> = places.iter().collect();
    let mut asked = given.clone();
    given.sort_unstable_by_key(|place| place.told);
    asked.sort_unstable_by_key(|place| place.asked);
    let (mut given, mut last) = (given.into_iter().peekable(), 0);
    for place in asked {
        while let Some(earlier) = given.next_if(|earlier| earlier.told < place.asked) {
            last = last.max(tickets[&earlier.user]);
        }
        assert!(last < tickets[&place.user], "{place:?} has a ticket from before it was asked for");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_survives_being_killed_again_and_again() {
    let chosen = std::env::var("ONSALE_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed: u64 = chosen.unwrap_or_else(|| jiff::Timestamp::now().as_millisecond().unsigned_abs());
    eprintln!("ONSALE_TEST_SEED={seed}");
    let mut dice = Dice(seed);
    let clock = Arc::new(AtomicU64::new(0));
    let dir = tempfile::tempdir().unwrap();
    let mut server = start(dir.path());
    let queue = json!({"maxActive": MOST, "claimSeconds": 86_400, "idleSeconds": 86_400, "activeSeconds": 86_400, "waitingSeconds": 604_800});
    server.prepare(4, json!({"queue": queue})).await;
    let mut places = Vec::new();
    for life in 0..LIVES {
        if dice.below(2) == 0 {
            assert_eq!(server.admin(Method::POST, "/api/v1/admin/snapshots", None).await.0, 200);
        }
        places = live_and_die(server, life, &mut dice, &clock, places).await;
        server = start(dir.path());
        check(&server, &mut places).await;
    }
    assert!(places.len() as u64 > LIVES * 20, "there was a load: {}", places.len());
    let given_up = places.iter().filter(|place| place.given == Given::Up).count();
    eprintln!("{} places, {given_up} of them given up", places.len());
    assert!(given_up as u64 > MOST, "the line moved");
    assert!(server.terminate().success());
    replay(dir.path(), &places);
}
