//! One history: a server of its own, the clients, the kills at random instants, and the lists after each.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::{sync::watch, task::JoinSet, time::sleep};

use super::{
    customer::{Customer, Dice, Notes, Phase, Sale},
    history::{Answered, Asked, History, Life, Operation, Stands, Told},
};
use crate::{
    bench::run_name,
    child::Server,
    clock::{Clock, Wall},
    script::Plan,
    setup::{Client, open_schedule_of},
    start::{Ready, ServerOptions, token_exp},
};

/// What each user has at first: more than the seats cost, however often they are bought.
const BALANCE: u64 = 100_000_000_000;
/// How often it is looked whether it is time to kill.
const LOOK_PAUSE: Duration = Duration::from_millis(1);
/// How often lists are made until no payment is under way any more.
const LISTS_MAX: usize = 500;

/// What a history is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) operations: u64,
    pub(super) clients: usize,
    pub(super) seats: u32,
    pub(super) kills: usize,
    pub(super) hold_seconds: u64,
    pub(super) seed: u64,
}

/// Records a history with a server that is started for it. An error ends the run; what the server left is kept then.
pub(super) async fn record(options: &ServerOptions, shape: Shape) -> Result<History> {
    ensure!(options.url.is_none(), "a server that runs already isn't killed: say --start");
    let mut options = options.clone();
    let charge_max = ("ONSALE_BALANCE_CHARGE_MAX".to_owned(), BALANCE.to_string());
    options.server_env.push(charge_max);
    let ready = options.ready().await?;
    let (plan, sale) = sale(&ready, shape);
    let mut server = ready.server.context("a server that was started here")?;

    let history = async {
        prepare(&sale, &ready.admin_token, &plan, shape).await?;
        drive(&sale, &mut server, shape).await
    };
    match history.await {
        Ok(history) => {
            server.stop().await?;
            Ok(history)
        }
        Err(error) => {
            let kept = server.keep();
            Err(server.with_log(&error))
                .with_context(|| format!("the server's data are in {}", kept.display()))
        }
    }
}

fn sale(ready: &Ready, shape: Shape) -> (Plan, Arc<Sale>) {
    // Clients share users, so that several act on one reservation at once.
    let users = u32::try_from(shape.clients.div_ceil(4)).expect("a number of clients is small");
    let plan = Plan::new(&run_name(), shape.seats, users, &ready.signer(), token_exp());
    let clock = Clock::start();
    let places = plan.seats.iter().enumerate().map(|(place, seat)| (seat.clone(), place));
    let sale = Sale {
        target: ready.target,
        clock,
        wall: Wall::of(clock),
        schedule: plan.schedule.clone(),
        seats: plan.seats.clone(),
        places: places.collect::<HashMap<_, _>>(),
        tokens: plan.users.iter().map(|user| user.token.clone()).collect(),
        known: plan.users.iter().map(|_| Mutex::default()).collect(),
        wanted: plan.users.iter().map(|_| Mutex::default()).collect(),
        owners: AtomicUsize::new(0),
        begun: AtomicU64::new(0),
        operations_max: shape.operations,
        phase: watch::Sender::new(Phase::Shut),
    };
    (plan, Arc::new(sale))
}

/// Makes the schedule, and gives everyone money.
async fn prepare(sale: &Sale, admin_token: &str, plan: &Plan, shape: Shape) -> Result<()> {
    let policy = json!({ "holdSeconds": shape.hold_seconds, "maxSeatsPerReservation": 4, "maxSeatsPerUser": 10_000,
        "recoveryGraceSeconds": 1, "queue": null });
    open_schedule_of(sale.target, admin_token, plan, &policy).await?;
    let mut admin = Client::connect(sale.target, Some(admin_token)).await?;
    for user in &plan.users {
        let path = format!("/api/v1/users/{}/balance", user.id);
        admin.must("POST", &path, &json!({ "amount": BALANCE })).await?;
    }
    Ok(())
}

/// Lets the clients ask, and the server die, until the history is long enough.
async fn drive(sale: &Arc<Sale>, server: &mut Server, shape: Shape) -> Result<History> {
    let mut dice = Dice(shape.seed);
    let mut history = History {
        seats: sale.seats.clone(),
        hold_nanos: shape.hold_seconds * 1_000_000_000,
        ..History::default()
    };
    let mut customers = JoinSet::new();
    for number in 0..shape.clients {
        let customer = Customer {
            number,
            user: number % sale.tokens.len(),
            sale: Arc::clone(sale),
            dice: Dice(shape.seed.wrapping_mul(1009).wrapping_add(u64::try_from(number)?)),
            notes: Notes::default(),
            connection: None,
            keys: 0,
        };
        customers.spawn(customer.run());
    }

    let lives = u64::try_from(shape.kills)?;
    for number in 1..=lives {
        let life = begin(sale, &mut history).await?;
        sale.phase.send_replace(Phase::Open(history.lives.len()));
        history.lives.push(life);

        // The last life ends when all has been asked for; the others somewhere in their share.
        let in_a_life = shape.operations / lives;
        let until = in_a_life * number - if number < lives { dice.below(in_a_life.max(2) / 2) } else { 0 };
        while sale.begun.load(Ordering::Relaxed) < until && !customers.is_empty() {
            sleep(LOOK_PAUSE).await;
        }
        sleep(Duration::from_micros(dice.below(3000))).await;
        server.kill().await?;
        history.lives.last_mut().expect("one began").killed = sale.clock.nanos();
        sale.phase.send_replace(Phase::Shut);
        server.restart().await.context("after SIGKILL")?;
    }

    let mut life = begin(sale, &mut history).await?;
    life.killed = sale.clock.nanos();
    history.lives.push(life);
    sale.phase.send_replace(Phase::Over);
    while let Some(notes) = customers.join_next().await {
        let notes = notes.context("a client")??;
        history.operations.extend(notes.operations);
        history.faults.extend(notes.faults);
        history.hang_ups += notes.hang_ups;
    }
    Ok(history)
}

/// Finds out what a server that has just come up knows, while nobody else asks it anything: the map, and everyone's reservations once no payment is
/// under way.
async fn begin(sale: &Sale, history: &mut History) -> Result<Life> {
    let ready = sale.clock.nanos();
    let mut reason = anyhow::anyhow!("payments are under way");
    for _ in 0..LISTS_MAX {
        let began = sale.clock.nanos();
        let list = match lists(sale).await {
            Ok(list) if !list.iter().flatten().any(|told| told.stands == Stands::Paying) => list,
            listed => {
                // A connection may still be told that the server isn't ready, a moment after `/readyz` was 200 on another.
                reason = listed.err().unwrap_or(reason);
                sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let listed = (began, sale.clock.nanos());

        let mut client = Client::connect(sale.target, None).await?;
        let map = client.json(&format!("/api/v1/schedules/{}/seats", sale.schedule)).await?;
        let answered = super::answers::map(sale, &map).context("the map isn't as the API says")?;
        history.operations.push(Operation {
            user: 0,
            asked: Asked::Map,
            invoked: listed.1,
            returned: sale.clock.nanos(),
            life: history.lives.len(),
            answered,
        });
        return Ok(Life { ready, list, listed, killed: 0 });
    }
    Err(reason.context("the lists after a restart"))
}

async fn lists(sale: &Sale) -> Result<Vec<Vec<Told>>> {
    let mut lists = Vec::new();
    for user in 0..sale.tokens.len() {
        lists.push(sale.list(user).await?);
    }
    Ok(lists)
}

/// Counts what a history has of everything, for a person who wants to know what was tried.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) operations: u64,
    pub(super) unknown: u64,
    pub(super) holds: u64,
    pub(super) taken: u64,
    pub(super) exchanges: u64,
    pub(super) releases: u64,
    pub(super) payments: u64,
    pub(super) maps: u64,
    pub(super) looks: u64,
    pub(super) refused: u64,
}

impl Counts {
    pub(super) fn add(&mut self, history: &History) {
        for operation in &history.operations {
            self.operations += 1;
            let count = match (&operation.asked, &operation.answered) {
                (_, Answered::Unknown) => &mut self.unknown,
                (_, Answered::Taken(_)) => &mut self.taken,
                (_, Answered::Refused) => &mut self.refused,
                (Asked::Hold { .. }, _) => &mut self.holds,
                (Asked::Exchange { .. }, _) => &mut self.exchanges,
                (Asked::Release { .. }, _) => &mut self.releases,
                (Asked::Pay { .. }, _) => &mut self.payments,
                (Asked::Map, _) => &mut self.maps,
                (Asked::Look { .. }, _) => &mut self.looks,
            };
            *count += 1;
        }
    }
}
