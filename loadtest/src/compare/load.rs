//! What is asked in a comparison: the same bytes of every system, from the same users, each hold of a seat of its own.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::system::Name;
use crate::{
    drive::Caller,
    lane::shown,
    script::{Plan, is_plain},
    wire::{Answer, text_field},
};

/// What connections do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Hold a seat.
    Holds,
    /// Hold a seat, then pay for it from the balance, which confirms it: two requests.
    Journeys,
    /// Ask for a hold with no token that anyone would take.
    #[value(name = "401")]
    Unauthenticated,
    /// Ask whether the server lives.
    Healthz,
    /// Ask for a seat map that the client has already.
    #[value(name = "map-304")]
    MapUnchanged,
    /// Ask for a seat map, compressed.
    MapGzip,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Journeys => "journeys: hold, pay from the balance, confirmed",
            Self::Unauthenticated => "401: a hold with a bad token",
            Self::Healthz => "GET /healthz",
            Self::MapUnchanged => "304: a seat map that didn't change",
            Self::MapGzip => "a seat map, compressed",
        }
    }

    /// How many requests are one unit of what is counted.
    pub(crate) fn requests(self) -> u64 {
        if self == Self::Journeys { 2 } else { 1 }
    }

    /// Whether it changes anything.
    pub(crate) fn changes(self) -> bool {
        matches!(self, Self::Holds | Self::Journeys)
    }

    /// Whether it reads a seat map.
    pub(crate) fn reads_map(self) -> bool {
        matches!(self, Self::MapUnchanged | Self::MapGzip)
    }

    /// Whether a system can be asked. Nobody pays at the echo, and the peers have no seat map.
    pub(crate) fn is_for(self, name: Name) -> bool {
        match self {
            Self::Holds | Self::Unauthenticated | Self::Healthz => true,
            Self::Journeys => name.keeps(),
            Self::MapUnchanged | Self::MapGzip => matches!(name, Name::Onsale | Name::Echo),
        }
    }

    fn expects(self, status: u16) -> bool {
        match self {
            Self::Holds | Self::Journeys => status == 201,
            // The echo doesn't look at tokens.
            Self::Unauthenticated => matches!(status, 401 | 201),
            Self::Healthz | Self::MapGzip => status == 200,
            Self::MapUnchanged => status == 304,
        }
    }
}

/// The seats that are free, and what has been taken of them. All connections take from one supply, so that none runs out before the others.
pub(crate) struct Supply {
    /// All have the seats of the plan.
    schedules: Vec<Box<str>>,
    seats: u64,
    next: AtomicU64,
    /// For a system that keeps nothing: begin again.
    endless: bool,
}

impl Supply {
    pub(crate) fn new(schedules: Vec<Box<str>>, seats: usize, endless: bool) -> Self {
        let seats = u64::try_from(seats).expect("fits");
        assert!(!schedules.is_empty() && seats > 0, "a supply of nothing");
        Self { schedules, seats, next: AtomicU64::new(0), endless }
    }

    /// The schedule that is filled first.
    pub(crate) fn first(&self) -> &str {
        &self.schedules[0]
    }

    /// Takes a seat, one schedule after the other; nothing when all are taken.
    fn take(&self) -> Option<(&str, usize)> {
        let all = self.seats * u64::try_from(self.schedules.len()).expect("fits");
        let mut number = self.next.fetch_add(1, Ordering::Relaxed);
        if self.endless {
            number %= all;
        }
        let schedule = self.schedules.get(usize::try_from(number / self.seats).ok()?)?;
        Some((schedule, usize::try_from(number % self.seats).expect("below the seats")))
    }

    pub(crate) fn ran_out(&self) -> bool {
        let all = self.seats * u64::try_from(self.schedules.len()).expect("fits");
        !self.endless && self.next.load(Ordering::Relaxed) > all
    }
}

/// The parts of requests, made before.
pub(crate) struct Words {
    /// By user: `POST` of a hold up to its length.
    holds: Vec<Box<[u8]>>,
    /// By user: `POST` of a payment up to its key.
    payments: Vec<Box<[u8]>>,
    /// By seat.
    seats: Vec<SeatWords>,
    forged: Box<[u8]>,
    host: Box<str>,
}

struct SeatWords {
    /// The length, and the body up to the schedule's id.
    before: Box<[u8]>,
    after: Box<[u8]>,
}

impl Words {
    /// Writes the parts; every schedule's id has so many bytes.
    pub(crate) fn new(plan: &Plan, host: &str, schedule_len: usize) -> Self {
        let bytes = |text: String| text.into_bytes().into_boxed_slice();
        let post = |what: &str, token: &str, more: &str| {
            bytes(format!(
                "POST /api/v1/{what} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n{more}"
            ))
        };
        let seat = |seat: &str| {
            let (start, end) = (r#"{"scheduleId":""#, format!(r#"","seats":["{seat}"]}}"#));
            let len = start.len() + schedule_len + end.len();
            SeatWords { before: bytes(format!("content-length: {len}\r\n\r\n{start}")), after: bytes(end) }
        };
        let token = &plan.users[0].token;
        // As long as a right one, and wrong in its last part.
        let forged = format!("{}{}", &token[..token.len() - 8], "AAAAAAAA");
        Self {
            holds: plan.users.iter().map(|user| post("reservations", &user.token, "")).collect(),
            payments: plan
                .users
                .iter()
                .map(|user| post("payments", &user.token, "idempotency-key: "))
                .collect(),
            seats: plan.seats.iter().map(|id| seat(id)).collect(),
            forged: post("reservations", &forged, ""),
            host: host.into(),
        }
    }

    /// Writes a request without a body; `fields` are more lines of its head.
    pub(crate) fn get(&self, path: &str, fields: &str) -> Arc<[u8]> {
        let host = &self.host;
        format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{fields}\r\n").into_bytes().into()
    }

    fn write_hold(&self, request: &mut Vec<u8>, head: &[u8], schedule: &str, seat: usize) {
        let SeatWords { before, after } = &self.seats[seat];
        for part in [head, before, schedule.as_bytes(), after] {
            request.extend_from_slice(part);
        }
    }

    fn write_payment(&self, request: &mut Vec<u8>, user: usize, key: &str, reservation: &str) {
        let (start, end) = (r#"{"reservationId":""#, r#"","method":"balance"}"#);
        let len = (start.len() + reservation.len() + end.len()).to_string();
        request.extend_from_slice(&self.payments[user]);
        for part in [key, "\r\ncontent-length: ", &len, "\r\n\r\n", start, reservation, end] {
            request.extend_from_slice(part.as_bytes());
        }
    }
}

/// What went wrong first, of all connections.
#[derive(Default)]
pub(crate) struct Wrong(Mutex<Option<String>>);

impl Wrong {
    fn note(&self, text: impl FnOnce() -> String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(text);
    }

    pub(crate) fn first(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What all connections of a drive share.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) kind: Kind,
    pub(crate) words: Arc<Words>,
    pub(crate) supply: Arc<Supply>,
    pub(crate) wrong: Arc<Wrong>,
    /// The one request, of a load that has only one.
    pub(crate) only: Option<Arc<[u8]>>,
    /// Sets the keys of payments apart from those of other drives.
    pub(crate) drive: u64,
}

/// One connection: its users, one after the other.
pub(crate) struct Asker {
    common: Common,
    number: usize,
    users: Range<usize>,
    user: usize,
    /// The hold to pay for next.
    held: Option<Box<str>>,
    paid: u64,
}

impl Common {
    /// Makes the connections' askers, who share the users out among them.
    pub(crate) fn askers(&self, connections: usize, users: usize) -> Vec<Asker> {
        let asker = |number: usize| {
            let users = number * users / connections..(number + 1) * users / connections;
            assert!(!users.is_empty(), "a connection without a user");
            Asker { common: self.clone(), number, user: users.start, users, held: None, paid: 0 }
        };
        (0..connections).map(asker).collect()
    }
}

impl Asker {
    fn pay(&mut self, request: &mut Vec<u8>, reservation: &str) {
        let key = format!("{}-{}-{}", self.common.drive, self.number, self.paid);
        self.paid += 1;
        self.common.words.write_payment(request, self.user, &key, reservation);
    }

    fn hold(&mut self, request: &mut Vec<u8>) -> bool {
        let Some((schedule, seat)) = self.common.supply.take() else { return false };
        self.user = if self.user + 1 < self.users.end { self.user + 1 } else { self.users.start };
        let words = &self.common.words;
        let head = match self.common.kind {
            Kind::Unauthenticated => &words.forged,
            Kind::Holds | Kind::Journeys | Kind::Healthz | Kind::MapUnchanged | Kind::MapGzip => {
                &words.holds[self.user]
            }
        };
        words.write_hold(request, head, schedule, seat);
        true
    }
}

impl Caller for Asker {
    fn ask(&mut self, request: &mut Vec<u8>, _: u64) -> bool {
        request.clear();
        if let Some(only) = &self.common.only {
            request.extend_from_slice(only);
            return true;
        }
        if let Some(reservation) = self.held.take() {
            self.pay(request, &reservation);
            return true;
        }
        self.hold(request)
    }

    fn told(&mut self, answer: &Answer<'_>, _: u64) {
        let Answer { status, body, .. } = *answer;
        if !self.common.kind.expects(status) {
            self.common.wrong.note(|| format!("{status} {}", shown(body)));
            return;
        }
        // Looked for in holds and journeys alike. A payment names its reservation, too, and is told by its own id.
        if self.common.kind.changes() {
            let id = text_field(body, "\"reservationId\"").filter(|id| is_plain(id));
            match id {
                None => self.common.wrong.note(|| format!("no usable id: {}", shown(body))),
                Some(id) if self.common.kind == Kind::Journeys && !is_payment(body) => {
                    self.held = Some(id.into());
                }
                Some(_) => {}
            }
        }
    }
}

fn is_payment(body: &[u8]) -> bool {
    body.starts_with(br#"{"paymentId""#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Signer;

    fn common(kind: Kind, schedules: &[&str], endless: bool) -> Common {
        let plan = Plan::new("r", 2, 4, &Signer::new(&[1; 32]), 5);
        let schedules = schedules.iter().map(|&id| id.into()).collect();
        Common {
            kind,
            words: Arc::new(Words::new(&plan, "h:1", 2)),
            supply: Arc::new(Supply::new(schedules, 2, endless)),
            wrong: Arc::default(),
            only: None,
            drive: 9,
        }
    }

    fn body(request: &[u8]) -> &str {
        let (head, body) = str::from_utf8(request).unwrap().split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        body
    }

    #[test]
    fn every_hold_is_of_a_seat_of_its_own_until_all_are_taken() {
        let common = common(Kind::Holds, &["s0", "s1"], false);
        let mut askers = common.askers(2, 4);
        let mut request = Vec::new();
        let mut bodies = Vec::new();
        for turn in 0..4 {
            assert!(askers[turn % 2].ask(&mut request, 0));
            bodies.push(body(&request).to_owned());
        }
        bodies.sort();
        let seat = |schedule, seat| format!(r#"{{"scheduleId":"{schedule}","seats":["1F-A-1-{seat}"]}}"#);
        assert_eq!(bodies, [seat("s0", 1), seat("s0", 2), seat("s1", 1), seat("s1", 2)]);
        assert!(!common.supply.ran_out());
        assert!(!askers[0].ask(&mut request, 0));
        assert!(common.supply.ran_out());
    }

    #[test]
    fn an_endless_supply_begins_again() {
        let common = common(Kind::Holds, &["s0"], true);
        let taken: Vec<_> = (0..3).map(|_| common.supply.take().unwrap().1).collect();
        assert_eq!(taken, [0, 1, 0]);
        assert!(!common.supply.ran_out());
    }

    #[test]
    fn a_load_with_one_request_asks_it_again_and_again() {
        let mut common = common(Kind::MapUnchanged, &["s0"], true);
        common.only = Some(common.words.get("/seats", "if-none-match: \"1\"\r\n"));
        let (mut asker, mut request) = (common.askers(1, 4).pop().unwrap(), Vec::new());
        for _ in 0..2 {
            assert!(asker.ask(&mut request, 0));
            let expected = "GET /seats HTTP/1.1\r\nhost: h:1\r\nif-none-match: \"1\"\r\n\r\n";
            assert_eq!(text_of(&request), expected);
        }
        let answer = |status| Answer { status, body: &[], close: false, retry_after: None };
        asker.told(&answer(304), 0);
        assert_eq!(common.wrong.first(), None);
        asker.told(&answer(200), 0);
        assert!(common.wrong.first().unwrap().starts_with("200"));
    }

    #[test]
    fn a_journey_pays_for_what_it_holds_as_the_same_user_and_then_holds_again() {
        let common = common(Kind::Journeys, &["s0"], false);
        let mut asker = common.askers(1, 4).pop().unwrap();
        let mut request = Vec::new();
        let told = |asker: &mut Asker, status, body: &str| {
            asker.told(&Answer { status, body: body.as_bytes(), close: false, retry_after: None }, 0);
        };
        let token = |request: &[u8]| text_of(request).split("Bearer ").nth(1).unwrap()[..60].to_owned();
        asker.ask(&mut request, 0);
        let holder = token(&request);
        told(&mut asker, 201, r#"{"reservationId":"r1"}"#);
        asker.ask(&mut request, 0);
        assert_eq!(token(&request), holder);
        assert!(text_of(&request).contains("idempotency-key: 9-0-0\r\n"));
        assert_eq!(body(&request), r#"{"reservationId":"r1","method":"balance"}"#);
        told(&mut asker, 201, r#"{"paymentId":"p1","reservationId":"r1"}"#);
        asker.ask(&mut request, 0);
        assert!(body(&request).contains("1F-A-1-2"));
        assert_eq!(common.wrong.first(), None);
        told(&mut asker, 409, r#"{"code":"seat_unavailable"}"#);
        assert!(common.wrong.first().unwrap().starts_with("409 "));
    }

    fn text_of(request: &[u8]) -> &str {
        str::from_utf8(request).unwrap()
    }
}
