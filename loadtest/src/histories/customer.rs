//! A client of a history: it asks for one thing after another, hangs up now and then, repeats with the same key or doesn't, and writes
//! down what it was told.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    answers,
    history::{Answered, Asked, Operation, Stands, Told},
    seat::Owner,
};
use crate::{
    clock::{Clock, Wall},
    lane::shown,
    target::Target,
    wire::Connection,
};

/// How long an answer may take; then it is as if the client had hung up.
const ANSWER_SECONDS: u64 = 20;
/// How many of 100 changes a client hangs up on.
const HANG_UPS_IN_100: u64 = 5;
/// How many of 100 unknown outcomes a client asks about, by a repeat with the same key.
const REPEATS_IN_100: u64 = 75;
/// After one operation in so many a client goes away for a while, so that its holds end by themselves.
const LEAVES_ONE_IN: u64 = 40;
const AWAY_MILLIS_MAX: u64 = 1800;

/// Who may ask, now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Everyone, in this life of the server.
    Open(usize),
    /// Nobody: it is dead, or not known well enough yet.
    Shut,
    /// Nobody any more.
    Over,
}

/// What all clients of a history share.
pub(super) struct Sale {
    pub(super) target: Target,
    pub(super) clock: Clock,
    pub(super) wall: Wall,
    pub(super) schedule: String,
    pub(super) seats: Vec<Box<str>>,
    pub(super) places: HashMap<Box<str>, usize>,
    /// The users' tokens.
    pub(super) tokens: Vec<String>,
    /// By user: reservations that may be live.
    pub(super) known: Vec<Mutex<Vec<Known>>>,
    /// By user: the seats of holds that are under way or whose outcome nobody knows. No second hold asks for the same ones, so that such a hold is known
    /// again by its seats.
    pub(super) wanted: Vec<Mutex<HashSet<Vec<usize>>>>,
    pub(super) owners: AtomicUsize,
    /// How many operations have begun, and how many may.
    pub(super) begun: AtomicU64,
    pub(super) operations_max: u64,
    pub(super) phase: watch::Sender<Phase>,
}

/// A reservation whose id somebody was told.
#[derive(Clone)]
pub(super) struct Known {
    owner: Owner,
    id: Box<str>,
}

/// Numbers that are the same for the same seed.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    pub(super) fn place(&mut self, n: usize) -> usize {
        let n = u64::try_from(n).expect("64 bits or fewer");
        usize::try_from(self.below(n)).expect("below a usize")
    }
}

/// What a client writes down.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) operations: Vec<Operation>,
    pub(super) faults: Vec<String>,
    pub(super) hang_ups: u64,
}

pub(super) struct Customer {
    pub(super) number: usize,
    pub(super) user: usize,
    pub(super) sale: Arc<Sale>,
    pub(super) dice: Dice,
    pub(super) notes: Notes,
    /// With the life of the server that it leads to.
    pub(super) connection: Option<(Connection, usize)>,
    pub(super) keys: u64,
}

/// What became of one sending.
enum Sent {
    Answered {
        status: u16,
        body: Vec<u8>,
    },
    /// It may have arrived or not.
    Lost,
}

/// A request, and what it asks for.
struct Request {
    asked: Asked,
    bytes: Vec<u8>,
}

impl Customer {
    /// Asks until there have been enough operations, or the sale is over.
    pub(super) async fn run(mut self) -> Result<Notes> {
        while self.sale.begun.fetch_add(1, Ordering::Relaxed) < self.sale.operations_max {
            let asked = self.choose();
            if !self.carry_out(asked).await? {
                break;
            }
            if self.dice.below(LEAVES_ONE_IN) == 0 {
                self.connection = None;
                sleep(Duration::from_millis(self.dice.below(AWAY_MILLIS_MAX))).await;
            }
        }
        Ok(self.notes)
    }

    /// Chooses what to ask for, and writes it.
    fn choose(&mut self) -> Request {
        let wish = self.dice.below(100);
        let known = self.some_known();
        let about = |of: &Known| format!("/api/v1/reservations/{}", of.id);
        match (wish, known) {
            (40..52, Some(of)) => {
                let seats = self.some_seats();
                let body = json!({ "seats": self.ids(&seats) }).to_string();
                self.change("PATCH", &about(&of), &body, Asked::Exchange { owner: of.owner, seats })
            }
            (52..68, Some(of)) => self.change("DELETE", &about(&of), "", Asked::Release { owner: of.owner }),
            (68..78, Some(of)) => {
                let body = json!({ "reservationId": of.id, "method": "balance" }).to_string();
                self.change("POST", "/api/v1/payments", &body, Asked::Pay { owner: of.owner })
            }
            (78..96, Some(of)) => self.request("GET", &about(&of), "", "", Asked::Look { owner: of.owner }),
            (96.., _) => {
                let path = format!("/api/v1/schedules/{}/seats", self.sale.schedule);
                self.request("GET", &path, "", "", Asked::Map)
            }
            (_, _) => {
                let seats = self.seats_to_hold();
                let owner = self.sale.owners.fetch_add(1, Ordering::Relaxed);
                let body = json!({ "scheduleId": self.sale.schedule, "seats": self.ids(&seats) }).to_string();
                self.change("POST", "/api/v1/reservations", &body, Asked::Hold { owner, seats })
            }
        }
    }

    fn change(&mut self, method: &str, path: &str, body: &str, asked: Asked) -> Request {
        self.keys += 1;
        let key = format!("idempotency-key: {}-{}\r\n", self.number, self.keys);
        self.request(method, path, &key, body, asked)
    }

    fn request(&self, method: &str, path: &str, key: &str, body: &str, asked: Asked) -> Request {
        let (host, token, len) = (self.sale.target.host(), &self.sale.tokens[self.user], body.len());
        let bytes = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n{key}content-type: application/json\r\ncontent-length: {len}\r\n\r\n{body}"
        );
        Request { asked, bytes: bytes.into_bytes() }
    }

    /// One to three seats, in order; half of the time such as many want.
    fn some_seats(&mut self) -> Vec<usize> {
        let all = self.sale.seats.len();
        let among = if self.dice.below(2) == 0 { all.div_ceil(8) } else { all };
        let count = [1, 1, 1, 2, 3][self.dice.place(5)].min(among);
        let mut seats: Vec<usize> = (0..count).map(|_| self.dice.place(among)).collect();
        seats.sort_unstable();
        seats.dedup();
        seats
    }

    fn seats_to_hold(&mut self) -> Vec<usize> {
        loop {
            let seats = self.some_seats();
            if self.wanted().insert(seats.clone()) {
                return seats;
            }
        }
    }

    fn wanted(&self) -> MutexGuard<'_, HashSet<Vec<usize>>> {
        self.sale.wanted[self.user].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ids(&self, seats: &[usize]) -> Vec<&str> {
        seats.iter().map(|&seat| &*self.sale.seats[seat]).collect()
    }

    fn some_known(&mut self) -> Option<Known> {
        let known = self.sale.known[self.user].lock().unwrap_or_else(PoisonError::into_inner);
        (!known.is_empty()).then(|| known[self.dice.place(known.len())].clone())
    }

    /// Sends a request until its outcome is known or nobody asks any more, and writes down which. Returns whether the sale goes on.
    async fn carry_out(&mut self, Request { asked, bytes }: Request) -> Result<bool> {
        let changes = !matches!(asked, Asked::Map | Asked::Look { .. });
        let mut first = None;
        // The life in which it was last sent without an answer.
        let mut lost = None;
        let goes_on = loop {
            let Some((connection, life)) = self.connect().await else { break false };
            let began = self.sale.clock.nanos();
            first.get_or_insert(began);
            let sent = self.send(connection, life, &bytes, changes).await;
            let returned = self.sale.clock.nanos();

            match sent {
                Sent::Answered { status, body } => {
                    match answers::read(&self.sale, &asked, status, &body) {
                        answers::Read::Answered(answered) => {
                            let done = matches!(answered, Answered::Done(_));
                            self.learn(&asked, &answered);
                            let invoked = if done { first.take().unwrap_or(began) } else { began };
                            self.note(&asked, (invoked, returned), life, answered);
                            break true;
                        }
                        // It hasn't happened by this sending.
                        answers::Read::Later => sleep(Duration::from_millis(3)).await,
                        answers::Read::Unknown => {
                            lost = Some(life);
                            sleep(Duration::from_millis(3)).await;
                        }
                        answers::Read::Wrong => {
                            self.notes
                                .faults
                                .push(format!("{asked:?} was answered {status} {}", shown(&body)));
                            break true;
                        }
                    }
                }
                Sent::Lost if !changes => return Ok(true),
                Sent::Lost => {
                    lost = Some(life);
                    if self.dice.below(100) >= REPEATS_IN_100 {
                        break true;
                    }
                    sleep(Duration::from_millis(self.dice.below(15))).await;
                }
            }
        };

        // A refusal of the repeat is no answer to what was sent before: that may still come.
        if let (Some(invoked), Some(life)) = (first, lost) {
            self.note(&asked, (invoked, u64::MAX), life, Answered::Unknown);
        } else if let Asked::Hold { seats, .. } = &asked {
            self.wanted().remove(seats);
        }
        Ok(goes_on)
    }

    fn note(&mut self, asked: &Asked, (invoked, returned): (u64, u64), life: usize, answered: Answered) {
        let (user, asked) = (self.user, asked.clone());
        self.notes.operations.push(Operation { user, asked, invoked, returned, life, answered });
    }

    /// Tells the other clients of this user of a reservation, or that it is over.
    fn learn(&self, asked: &Asked, answered: &Answered) {
        let mut known = self.sale.known[self.user].lock().unwrap_or_else(PoisonError::into_inner);
        match (asked, answered) {
            (Asked::Hold { owner, .. }, Answered::Done(Some(Told { id, .. }))) => {
                known.push(Known { owner: *owner, id: id.clone() });
            }
            (Asked::Look { owner } | Asked::Release { owner }, Answered::Done(Some(told)))
                if told.stands == Stands::Ended =>
            {
                known.retain(|of| of.owner != *owner);
            }
            (_, _) => {}
        }
    }

    /// Returns a connection to a server that lives, with its life; nothing once the sale is over.
    async fn connect(&mut self) -> Option<(Connection, usize)> {
        let mut phase = self.sale.phase.subscribe();
        loop {
            let now = *phase.wait_for(|phase| *phase != Phase::Shut).await.ok()?;
            let Phase::Open(life) = now else { return None };
            if let Some((connection, of)) = self.connection.take().filter(|(_, of)| *of == life) {
                return Some((connection, of));
            }
            let opened = Connection::open(self.sale.target.address()).await;
            // Connected while it is open: to the server of that life, since a phase ends before the next server starts.
            match opened {
                Ok(connection) if *phase.borrow() == now => return Some((connection, life)),
                Ok(_) | Err(_) => sleep(Duration::from_millis(2)).await,
            }
        }
    }

    /// Sends a request once, and waits for its answer or hangs up.
    async fn send(
        &mut self,
        mut connection: Connection,
        life: usize,
        bytes: &[u8],
        may_hang_up: bool,
    ) -> Sent {
        let mut patience = Duration::from_secs(ANSWER_SECONDS);
        if may_hang_up && self.dice.below(100) < HANG_UPS_IN_100 {
            self.notes.hang_ups += 1;
            if self.dice.below(2) == 0 {
                // Whether it arrived is unknown, either way.
                let _ = connection.send(bytes).await;
                return Sent::Lost;
            }
            patience = Duration::from_micros(self.dice.below(3000));
        }
        let Ok(Ok(answer)) = timeout(patience, connection.exchange(bytes)).await else { return Sent::Lost };
        let (status, body, close) = (answer.status, answer.body.to_vec(), answer.close);
        if !close {
            self.connection = Some((connection, life));
        }
        Sent::Answered { status, body }
    }
}

impl Sale {
    /// Lists all reservations of a user.
    pub(super) async fn list(&self, user: usize) -> Result<Vec<Told>> {
        let mut client = crate::setup::Client::connect(self.target, Some(&self.tokens[user])).await?;
        let mut told = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/api/v1/reservations?scheduleId={}&limit=1000{cursor}", self.schedule);
            let page = client.json(&path).await?;
            for item in page["items"].as_array().context("a list has items")? {
                told.push(answers::told(self, item).context("a reservation isn't as the API says")?);
            }
            let Some(next) = page["nextCursor"].as_str() else { return Ok(told) };
            cursor = format!("&cursor={next}");
        }
    }
}
