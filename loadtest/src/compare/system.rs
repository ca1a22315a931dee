//! One of the systems that are compared: its processes, and the seats that it still has.

use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    load::{Common, Kind, Supply, Words, Wrong},
    stores::{Fsync, Store},
};
use crate::{
    child::{Launch, Server, Small},
    clock::Clock,
    drive::{Asked, Until, drive},
    report::float,
    round::Measured,
    script::Plan,
    setup::{Client, in_time, policy, put_hall, put_schedule},
    target::Target,
    usage::memory_bytes,
    wire::Connection,
};

/// More seats than the fastest round so far would have taken.
const ROOM: f64 = 1.5;
/// What a system is taken to do in its first round of a kind, a second.
const FIRST_RATE: f64 = 20_000.0;
/// How many digits the number of a schedule has.
const NUMBER_LEN: usize = 4;
/// What each user has, so that no journey ends for want of money.
const BALANCE: u64 = 1_000_000_000_000;
/// What asks for a compressed answer, as a browser does.
const GZIP: &str = "accept-encoding: gzip\r\n";
/// The connections that fill the schedule that is weighed.
const WEIGHING_CONNECTIONS: usize = 64;

/// The systems, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Name {
    Onsale,
    RedisAlways,
    RedisEverysec,
    Postgres,
    Echo,
}

impl Name {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Onsale => "onsale",
            Self::RedisAlways => "Redis, AOF always",
            Self::RedisEverysec => "Redis, AOF everysec",
            Self::Postgres => "Postgres",
            Self::Echo => "echo",
        }
    }

    /// Whether it keeps what it is told.
    pub(crate) fn keeps(self) -> bool {
        self != Self::Echo
    }
}

/// The processes; a front stops before its store.
enum Processes {
    Onsale(Box<Server>),
    Echo(Small),
    Peer { front: Small, store: Box<Store> },
}

/// How the peers are connected to their stores.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connected {
    pub(crate) redis: usize,
    pub(crate) postgres: usize,
}

/// A system that runs, with what is driven at it.
pub(crate) struct System {
    pub(crate) name: Name,
    processes: Processes,
    asked: Asked,
    words: Arc<Words>,
    admin_token: String,
    /// The id of its venue and its concert, and the beginning of its schedules'.
    hall: String,
    schedules: usize,
    /// The greatest rates that were seen, by kind.
    rates: Vec<(Kind, f64)>,
    drives: u64,
}

/// What a seat weighs in memory, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weight {
    pub(crate) free: Option<f64>,
    pub(crate) held: Option<f64>,
}

/// A seat map as it was answered, compressed.
pub(crate) struct Map {
    pub(crate) body: Vec<u8>,
    tag: String,
}

/// One drive of a system.
pub(crate) struct Driven {
    pub(crate) measured: Measured,
    /// The first answer that isn't what was asked for.
    pub(crate) wrong: Option<String>,
    pub(crate) ran_out: bool,
}

impl System {
    pub(crate) async fn start(
        name: Name,
        launch: &Launch,
        connected: Connected,
        plan: &Plan,
        clock: Clock,
    ) -> Result<Self> {
        let processes = Processes::start(name, launch, connected).await;
        let processes = processes.with_context(|| format!("starting {}", name.text()))?;
        let target = processes.target();
        let (pid, store) = processes.pids();
        let hall = plan.schedule.clone();
        let words = Words::new(plan, &target.host(), hall.len() + 1 + NUMBER_LEN);
        let system = Self {
            name,
            processes,
            asked: Asked { target, pid, store, clock },
            words: Arc::new(words),
            admin_token: launch.admin_token.clone(),
            hall,
            schedules: 0,
            rates: Vec::new(),
            drives: 0,
        };
        if name.keeps() {
            put_hall(&mut system.admin().await?, &system.hall, plan).await?;
        }
        Ok(system)
    }

    pub(crate) async fn admin(&self) -> Result<Client> {
        Client::connect(self.asked.target, Some(&self.admin_token)).await
    }

    pub(crate) async fn client(&self, token: &str) -> Result<Client> {
        Client::connect(self.asked.target, Some(token)).await
    }

    /// Gives each of the first users money for journeys.
    pub(crate) async fn charge(&self, plan: &Plan, users: usize) -> Result<()> {
        let mut admin = self.admin().await?;
        for user in &plan.users[..users] {
            let path = format!("/api/v1/users/{}/balance", user.id);
            admin.must("POST", &path, &json!({ "amount": BALANCE })).await?;
        }
        Ok(())
    }

    /// Makes one more schedule and returns its id.
    pub(crate) async fn open_schedule(&mut self) -> Result<Box<str>> {
        let id = format!("{}-{:0NUMBER_LEN$}", self.hall, self.schedules);
        self.schedules += 1;
        if self.name.keeps() {
            let policy = policy(&Value::Null);
            put_schedule(&mut self.admin().await?, &id, &self.hall, &policy).await?;
        }
        Ok(id.into())
    }

    /// Fills one schedule and weighs what its seats take. What it took is the first rate of holds.
    pub(crate) async fn weigh(&mut self, plan: &Plan) -> Result<Weight> {
        let memory = |system: &Self| memory_bytes(&system.processes.roots());
        let seats = float(u64::try_from(plan.seats.len())?);
        let each =
            |before: Option<u64>, after: Option<u64>| Some(float(after?.saturating_sub(before?)) / seats);
        let empty = memory(self);
        let schedule = self.open_schedule().await?;
        let free = memory(self);
        let supply = Supply::new(vec![schedule], plan.seats.len(), false);
        let driven = self
            .drive_on(Kind::Holds, supply, WEIGHING_CONNECTIONS, plan.users.len(), Until::Done)
            .await
            .context("filling a schedule")?;
        if let Some(wrong) = driven.wrong {
            anyhow::bail!("{}: filling a schedule: {wrong}", self.name.text());
        }
        Ok(Weight { free: each(empty, free), held: each(empty, memory(self)) })
    }

    /// Reads a schedule's seat map, compressed.
    pub(crate) async fn map(&self, schedule: &str) -> Result<Map> {
        let path = map_path(schedule);
        let request = self.words.get(&path, GZIP);
        let mut connection = Connection::open(self.asked.target.address()).await?;
        let answer = in_time(connection.exchange(&request)).await?;
        anyhow::ensure!(answer.status == 200, "GET {path}: {}", answer.status);
        let body = answer.body.to_vec();
        let tag = connection.field("etag").with_context(|| format!("GET {path}: no ETag"))?.to_owned();
        Ok(Map { body, tag })
    }

    /// Tells the echo what to answer as a seat map, since it has no seats.
    pub(crate) async fn teach_map(&self, map: &Map) -> Result<()> {
        let mut connection = Connection::open(self.asked.target.address()).await?;
        let (host, len) = (self.asked.target.host(), map.body.len());
        let path = map_path(&self.hall);
        let head = format!("PUT {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len}\r\n\r\n");
        let answer = in_time(connection.exchange(&[head.as_bytes(), &map.body].concat())).await?;
        anyhow::ensure!(answer.status == 204, "PUT {path}: {}", answer.status);
        Ok(())
    }

    /// Writes the request of a load that has only one.
    async fn only(&self, kind: Kind, schedule: &str) -> Result<Option<Arc<[u8]>>> {
        let fields = match kind {
            Kind::Holds | Kind::Journeys | Kind::Unauthenticated => return Ok(None),
            Kind::Healthz => return Ok(Some(self.words.get("/healthz", ""))),
            Kind::MapGzip => GZIP.to_owned(),
            Kind::MapUnchanged => format!("{GZIP}if-none-match: {}\r\n", self.map(schedule).await?.tag),
        };
        Ok(Some(self.words.get(&map_path(schedule), &fields)))
    }

    /// Drives it for so long, with fresh seats.
    pub(crate) async fn drive(
        &mut self,
        kind: Kind,
        connections: usize,
        plan: &Plan,
        until: Until,
        seconds: f64,
    ) -> Result<Driven> {
        let rate = self.rates.iter().find(|(of, _)| *of == kind).map_or(FIRST_RATE, |(_, rate)| *rate);
        let wanted = if self.name.keeps() && kind.changes() { rate * seconds * ROOM } else { 0.0 };
        let mut schedules = vec![self.open_schedule().await?];
        let seats = float(u64::try_from(plan.seats.len())?);
        let mut room = seats;
        while room < wanted {
            schedules.push(self.open_schedule().await?);
            room += seats;
        }
        let endless = !(self.name.keeps() && kind.changes());
        let supply = Supply::new(schedules, plan.seats.len(), endless);
        self.drive_on(kind, supply, connections, plan.users.len(), until).await
    }

    async fn drive_on(
        &mut self,
        kind: Kind,
        supply: Supply,
        connections: usize,
        users: usize,
        until: Until,
    ) -> Result<Driven> {
        let common = Common {
            kind,
            only: self.only(kind, supply.first()).await?,
            words: Arc::clone(&self.words),
            supply: Arc::new(supply),
            wrong: Arc::new(Wrong::default()),
            drive: self.drives,
        };
        self.drives += 1;
        let driven = drive(self.asked, common.askers(connections, users), until).await;
        let (_, measured) = driven.with_context(|| format!("driving {}", self.name.text()))?;

        let rate = float(measured.completed / kind.requests()) / measured.seconds;
        match self.rates.iter_mut().find(|(of, _)| *of == kind) {
            Some((_, known)) => *known = known.max(rate),
            None => self.rates.push((kind, rate)),
        }
        let ran_out = common.supply.ran_out() && !matches!(until, Until::Done);
        Ok(Driven { measured, wrong: common.wrong.first(), ran_out })
    }

    /// Stops it; `onsale` must end well.
    pub(crate) async fn stop(self) -> Result<()> {
        match self.processes {
            Processes::Onsale(server) => server.stop().await,
            Processes::Echo(_) => Ok(()),
            Processes::Peer { front, store } => {
                drop(front);
                drop(store);
                Ok(())
            }
        }
    }
}

impl Processes {
    async fn start(name: Name, launch: &Launch, connected: Connected) -> Result<Self> {
        Ok(match name {
            Name::Onsale => Self::Onsale(Box::new(Server::start(launch.clone()).await?)),
            Name::Echo => Self::Echo(Small::echo(launch.workers).await?),
            Name::RedisAlways => Self::redis(launch, connected, Fsync::Always).await?,
            Name::RedisEverysec => Self::redis(launch, connected, Fsync::EverySecond).await?,
            Name::Postgres => {
                let store = Store::postgres(&launch.scratch, connected.postgres).await?;
                Self::peer(launch, "postgres", connected.postgres, store).await?
            }
        })
    }

    async fn redis(launch: &Launch, connected: Connected, fsync: Fsync) -> Result<Self> {
        let store = Store::redis(&launch.scratch, fsync).await?;
        Self::peer(launch, "redis", connected.redis, store).await
    }

    async fn peer(launch: &Launch, kind: &str, connections: usize, store: Store) -> Result<Self> {
        let (address, connections) = (store.address.to_string(), connections.to_string());
        let command = ["peer", "--store", kind, "--address", &address, "--connections", &connections];
        let variables =
            [("ONSALE_JWT_SECRET", &*launch.jwt_secret), ("ONSALE_ADMIN_TOKEN", &*launch.admin_token)];
        let front = Small::start(launch.workers, &command, &variables).await?;
        Ok(Self::Peer { front, store: Box::new(store) })
    }

    fn target(&self) -> Target {
        match self {
            Self::Onsale(server) => server.target,
            Self::Echo(front) | Self::Peer { front, .. } => front.target,
        }
    }

    fn pids(&self) -> (Option<u32>, Option<u32>) {
        match self {
            Self::Onsale(server) => (server.pid(), None),
            Self::Echo(echo) => (echo.pid(), None),
            Self::Peer { front, store } => (front.pid(), store.pid()),
        }
    }

    fn roots(&self) -> Vec<u32> {
        let (pid, store) = self.pids();
        [pid, store].into_iter().flatten().collect()
    }
}

fn map_path(schedule: &str) -> String {
    format!("/api/v1/schedules/{schedule}/seats")
}

/// Says which stores the systems need: Redis, Postgres.
pub(crate) fn needs(names: &[Name]) -> (bool, bool) {
    let redis = names.iter().any(|name| matches!(name, Name::RedisAlways | Name::RedisEverysec));
    (redis, names.contains(&Name::Postgres))
}
