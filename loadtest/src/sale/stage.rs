//! What a sale needs before anybody comes: a server, a hall, a schedule, and money on balances.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    person::{Mix, Person, World},
    show::Show,
};
use crate::{
    bench::run_name,
    child::Server,
    clock::{Clock, Wall},
    drive::{Asked, Caller, Until, drive},
    lane::shown,
    round::Measured,
    script::Plan,
    setup::{Client, put_hall, put_schedule_closed},
    start::{Ready, ServerOptions, token_exp},
    wire::Answer,
};

/// What somebody who is going to pay has: enough for four seats.
const BALANCE: u64 = 1_000_000;
/// The connections that charge balances.
const CHARGING: usize = 64;

/// Who comes, and to what.
pub(super) struct Cast {
    pub(super) seats: u32,
    pub(super) people: u32,
    pub(super) mix: Mix,
    pub(super) think: Duration,
    pub(super) policy: Value,
    pub(super) seed: u64,
}

/// A sale that hasn't opened.
pub(super) struct Stage {
    pub(super) show: Arc<Show>,
    /// Unless it ran already.
    pub(super) server: Option<Server>,
    admin_token: String,
}

impl Stage {
    pub(super) async fn set(options: &ServerOptions, cast: &Cast) -> Result<Self> {
        let ready = options.ready().await?;
        let signer = ready.signer();
        let Ready { target, admin_token, server, .. } = ready;
        let (run, exp) = (run_name(), token_exp());
        let plan = Plan::new(&run, cast.seats, 1, &signer, exp);
        let mut admin = Client::connect(target, Some(&admin_token)).await?;
        put_hall(&mut admin, &plan.schedule, &plan).await?;
        put_schedule_closed(&mut admin, &plan.schedule, &plan.schedule, &cast.policy).await?;

        let clock = Clock::start();
        let has_room = !cast.policy["queue"].is_null();
        let schedule = plan.schedule.clone();
        let world =
            World::new(&run, &schedule, &target.host(), plan.seats, has_room, cast.think, Wall::of(clock));
        let person = |number| Person::new(number, &world, cast.mix, cast.seed, &signer, exp);
        let people = (0..cast.people).map(person).collect();
        let show = Arc::new(Show::new(target, clock, world, people));
        Ok(Self { show, server, admin_token })
    }

    pub(super) fn asked(&self) -> Asked {
        let pid = self.server.as_ref().and_then(Server::pid);
        Asked { target: self.show.target, pid, store: None, clock: self.show.clock }
    }

    /// Opens the sale.
    pub(super) async fn open(&self) -> Result<()> {
        let mut admin = Client::connect(self.show.target, Some(&self.admin_token)).await?;
        let path = format!("/api/v1/schedules/{}/open", self.show.world.schedule);
        admin.must("POST", &path, &json!({})).await
    }

    /// Charges the balances of those of these people who are going to pay.
    pub(super) async fn charge(&self, people: impl Iterator<Item = u32>) -> Result<Measured> {
        let users = people.filter(|&number| self.show.person(number).pays());
        let users: Arc<[String]> = users.map(|number| self.show.world.user(number)).collect();
        let next = Arc::new(AtomicUsize::new(0));
        let charger = |_| Charger {
            users: Arc::clone(&users),
            next: Arc::clone(&next),
            head: format!(
                "HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n",
                self.show.target.host(),
                self.admin_token
            ),
            wrong: None,
        };
        let (chargers, seen) = drive(self.asked(), (0..CHARGING).map(charger).collect(), Until::Done).await?;
        if let Some(wrong) = chargers.into_iter().find_map(|charger| charger.wrong) {
            anyhow::bail!("charging a balance: {wrong}");
        }
        ensure!(seen.lost.is_empty(), "charging balances: {:?}", seen.lost.first());
        Ok(seen)
    }

    /// Adds to an error what the server said last, and keeps what it leaves.
    pub(super) fn explain(&mut self, error: anyhow::Error) -> anyhow::Error {
        let Some(server) = &mut self.server else { return error };
        let kept = server.keep();
        server.with_log(&error).context(format!("what the server left is kept in {}", kept.display()))
    }

    /// Stops the server; where something was wrong, what it leaves is kept.
    pub(super) async fn strike(mut self, wrong: bool) -> Result<Option<String>> {
        let Some(mut server) = self.server.take() else { return Ok(None) };
        let kept = wrong.then(|| format!("what the server left is kept in {}", server.keep().display()));
        server.stop().await.context("stopping the server")?;
        Ok(kept)
    }
}

/// A connection through which an administrator charges one balance after the other.
struct Charger {
    users: Arc<[String]>,
    next: Arc<AtomicUsize>,
    head: String,
    wrong: Option<String>,
}

impl Caller for Charger {
    fn ask(&mut self, request: &mut Vec<u8>, _: u64) -> bool {
        let Some(user) = self.users.get(self.next.fetch_add(1, Ordering::Relaxed)) else { return false };
        let body = format!(r#"{{"amount":{BALANCE}}}"#);
        let (head, len) = (&self.head, body.len());
        let text = format!("POST /api/v1/users/{user}/balance {head}content-length: {len}\r\n\r\n{body}");
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
