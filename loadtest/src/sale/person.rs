//! One person's way through a sale: what to send next, and what follows from the answer.
//!
//! Absent on purpose: connections and time. A person is data, so that a million of them fit: some 500 bytes each, with token and pass.

use std::{collections::HashMap, time::Duration};

use serde::Deserialize;
use serde_json::json;

use super::{
    agenda::Line,
    ledger::{Asked, Ledger, State},
};
use crate::{
    arrivals::next,
    clock::Wall,
    instant,
    script::{ROW_LEN, is_plain},
    token::Signer,
    wire::{Answer, text_field},
};

/// How often somebody tries other seats before settling for what the server chooses.
const PICKS_MAX: u8 = 2;
/// How often somebody tries at all to get seats.
const HOLDS_MAX: u8 = 6;
/// When somebody comes back who wasn't told when.
const AGAIN: Duration = Duration::from_secs(1);
/// A deadline counts as over a little earlier in the book, since it is told in whole milliseconds.
const EARLIER_NANOS: u64 = 5_000_000;

/// What a person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Join,
    Poll,
    Map,
    Hold,
    Exchange,
    Pay,
    Release,
    Cancel,
    Leave,
}

impl Step {
    pub(super) const ALL: [Self; 9] = [
        Self::Join,
        Self::Poll,
        Self::Map,
        Self::Hold,
        Self::Exchange,
        Self::Pay,
        Self::Release,
        Self::Cancel,
        Self::Leave,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Poll => "poll",
            Self::Map => "map",
            Self::Hold => "hold",
            Self::Exchange => "exchange",
            Self::Pay => "pay",
            Self::Release => "release",
            Self::Cancel => "cancel",
            Self::Leave => "leave",
        }
    }

    pub(super) fn line(self) -> Line {
        match self {
            Self::Join | Self::Poll => Line::Room,
            Self::Map
            | Self::Hold
            | Self::Exchange
            | Self::Pay
            | Self::Release
            | Self::Cancel
            | Self::Leave => Line::Seats,
        }
    }

    /// What it may do to a reservation that there is.
    fn asked(self) -> Option<Asked> {
        match self {
            Self::Exchange => Some(Asked::Exchange),
            Self::Pay => Some(Asked::Pay),
            Self::Release => Some(Asked::Release),
            Self::Cancel => Some(Asked::Cancel),
            Self::Join | Self::Poll | Self::Map | Self::Hold | Self::Leave => None,
        }
    }
}

/// How many of 1,000 people do what. Whoever neither pays nor releases goes away, and the hold ends by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mix {
    /// Look at the seat map first.
    pub(super) map: u32,
    /// Choose their seats; the others take the best that there are.
    pub(super) pick: u32,
    /// Exchange the seats that they hold.
    pub(super) exchange: u32,
    pub(super) pay: u32,
    pub(super) release: u32,
    /// Cancel, of those who paid.
    pub(super) cancel: u32,
}

/// What a person is going to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fate {
    map: bool,
    pick: bool,
    exchange: bool,
    end: Fated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fated {
    Pays,
    PaysAndCancels,
    Releases,
    GoesAway,
}

/// What all people share.
pub(super) struct World {
    pub(super) run: String,
    pub(super) schedule: String,
    pub(super) host: String,
    pub(super) seats: Vec<Box<str>>,
    places: HashMap<Box<str>, u32>,
    pub(super) has_room: bool,
    pub(super) wall: Wall,
    /// How long people think before a step at the seats, on average.
    pub(super) think: Duration,
}

impl World {
    pub(super) fn new(
        run: &str,
        schedule: &str,
        host: &str,
        seats: Vec<Box<str>>,
        has_room: bool,
        think: Duration,
        wall: Wall,
    ) -> Self {
        let places = (0..).zip(&seats).map(|(number, seat)| (seat.clone(), number)).collect();
        let (run, schedule, host) = (run.to_owned(), schedule.to_owned(), host.to_owned());
        Self { run, schedule, host, seats, places, has_room, wall, think }
    }

    /// The id of a person.
    pub(super) fn user(&self, person: u32) -> String {
        format!("sale-{}-{person}", self.run)
    }
}

/// One person.
pub(super) struct Person {
    number: u32,
    pub(super) step: Step,
    /// When the step was first meant to be sent.
    pub(super) meant: u64,
    /// Whether it was sent already, and had no answer that says what became of it.
    pub(super) repeated: bool,
    fate: Fate,
    seats: u8,
    holds: u8,
    /// Sets the keys of this person's changes apart.
    changes: u8,
    random: u64,
    pub(super) token: Box<str>,
    pass: Option<Box<str>>,
    reservation: Option<Box<str>>,
    /// Of the book.
    entry: Option<usize>,
}

/// What follows from an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The next step, after so long.
    After(Duration),
    /// The same once more, after so long: it had no effect that is known of.
    Again(Duration),
    Gone,
}

impl Person {
    pub(super) fn new(
        number: u32,
        world: &World,
        mix: Mix,
        seed: u64,
        signer: &Signer,
        token_exp: u64,
    ) -> Self {
        let mut random = seed ^ (u64::from(number) << 32);
        let mut lot = |permille: u32| next(&mut random) % 1000 < u64::from(permille);
        let (map, pick, exchange, cancel) = (lot(mix.map), lot(mix.pick), lot(mix.exchange), lot(mix.cancel));
        let end = next(&mut random) % 1000;
        let end = match end {
            end if end < u64::from(mix.pay) && cancel => Fated::PaysAndCancels,
            end if end < u64::from(mix.pay) => Fated::Pays,
            end if end < u64::from(mix.pay + mix.release) => Fated::Releases,
            _ => Fated::GoesAway,
        };
        // Most come in pairs.
        let seats = [1, 1, 1, 2, 2, 2, 2, 2, 3, 4][usize::try_from(next(&mut random) % 10).expect("small")];
        let step = if world.has_room { Step::Join } else { first_at_the_seats(map) };
        Self {
            number,
            step,
            meant: 0,
            repeated: false,
            fate: Fate { map, pick, exchange, end },
            seats,
            holds: 0,
            changes: 0,
            random,
            token: signer.user(&world.user(number), token_exp).into(),
            pass: None,
            reservation: None,
            entry: None,
        }
    }

    pub(super) fn pays(&self) -> bool {
        matches!(self.fate.end, Fated::Pays | Fated::PaysAndCancels)
    }

    pub(super) fn is_in_line(&self) -> bool {
        self.step == Step::Poll
    }

    /// Writes the request of the next step, and notes in the book what it puts in doubt. `now` is before any byte is sent.
    pub(super) fn write(&mut self, request: &mut Vec<u8>, world: &World, book: &mut Ledger, now: u64) {
        if let (Some(asked), Some(entry)) = (self.step.asked(), self.entry) {
            book.doubt(entry, asked, now);
        }
        self.repeated = true;
        let schedule = &world.schedule;
        let reservation = self.reservation.as_deref().unwrap_or_default();

        let (method, path, body) = match self.step {
            Step::Join => ("POST", "queue/tokens".to_owned(), json!({ "scheduleId": schedule }).to_string()),
            Step::Poll => ("GET", format!("queue/tokens/current?scheduleId={schedule}"), String::new()),
            Step::Leave => ("DELETE", format!("queue/tokens/current?scheduleId={schedule}"), String::new()),
            Step::Map => ("GET", format!("schedules/{schedule}/seats"), String::new()),
            Step::Hold if self.fate.pick && self.holds < PICKS_MAX => {
                let seats = self.pick(world);
                let body = json!({ "scheduleId": schedule, "seats": seats });
                ("POST", "reservations".to_owned(), body.to_string())
            }
            Step::Hold => {
                let body = json!({ "scheduleId": schedule, "bestAvailable": { "count": self.seats } });
                ("POST", "reservations".to_owned(), body.to_string())
            }
            Step::Exchange => {
                let body = json!({ "seats": self.pick(world) }).to_string();
                ("PATCH", format!("reservations/{reservation}"), body)
            }
            Step::Pay => {
                let body = json!({ "reservationId": reservation, "method": "balance" }).to_string();
                ("POST", "payments".to_owned(), body)
            }
            Step::Release | Step::Cancel => ("DELETE", format!("reservations/{reservation}"), String::new()),
        };

        self.write_request(request, world, method, &path, &body);
    }

    fn write_request(&self, request: &mut Vec<u8>, world: &World, method: &str, path: &str, body: &str) {
        request.clear();
        let mut put = |parts: &[&str]| {
            for part in parts {
                request.extend_from_slice(part.as_bytes());
            }
        };
        put(&[method, " /api/v1/", path, " HTTP/1.1\r\nhost: ", &world.host]);
        if self.step != Step::Map {
            put(&["\r\nauthorization: Bearer ", &self.token]);
        }
        if let Some(pass) = &self.pass
            && self.step != Step::Map
        {
            put(&["\r\nqueue-token: ", pass]);
        }

        if matches!(self.step, Step::Hold | Step::Exchange | Step::Pay | Step::Release | Step::Cancel) {
            let key = format!("{}-{}-{}", world.run, self.number, self.changes);
            put(&["\r\nidempotency-key: ", &key]);
        }
        if !body.is_empty() {
            let len = body.len().to_string();
            put(&["\r\ncontent-type: application/json\r\ncontent-length: ", &len]);
        }
        put(&["\r\n\r\n", body]);
    }

    /// Chooses seats beside one another. The same ones while the step is repeated: the key stands for the body, too.
    fn pick(&self, world: &World) -> Vec<Box<str>> {
        let rows = u64::from(ROW_LEN);
        let all = u64::try_from(world.seats.len()).expect("fits");
        let mut random = self.random ^ (u64::from(self.changes) << 40);
        let count = u64::from(self.seats).min(all);
        let row = next(&mut random) % all.div_ceil(rows) * rows;
        let len = (all - row).min(rows).max(count);
        let first = (row + next(&mut random) % (len - count + 1)).min(all - count);
        let seats = usize::try_from(first).expect("fits")..usize::try_from(first + count).expect("fits");
        world.seats[seats].to_vec()
    }

    /// Takes the answer to the step, read whole at `now`, and says what follows.
    pub(super) fn told(&mut self, answer: &Answer<'_>, world: &World, book: &mut Ledger, now: u64) -> Next {
        if let Some(again) = again(answer) {
            return Next::Again(again);
        }
        self.repeated = false;
        let done = (200..300).contains(&answer.status);
        match self.step {
            Step::Join | Step::Poll => self.told_place(answer),
            Step::Map => self.go(Step::Hold, world),
            Step::Hold if done => self.told_hold(answer, world, book, now),
            Step::Hold => self.told_no_hold(answer, world),
            Step::Leave => Next::Gone,
            Step::Exchange | Step::Pay | Step::Release | Step::Cancel => {
                self.changes = self.changes.wrapping_add(1);
                self.told_change(answer, world, book, now)
            }
        }
    }

    fn told_place(&mut self, answer: &Answer<'_>) -> Next {
        let status = text_field(answer.body, "\"status\"").unwrap_or_default();
        if !(200..300).contains(&answer.status) || !matches!(status, "waiting" | "active") {
            return Next::Gone;
        }
        if self.step == Step::Join {
            let pass = text_field(answer.body, "\"token\"");
            self.pass = pass.filter(|pass| pass.bytes().all(|byte| byte.is_ascii_graphic())).map(Into::into);
        }
        if status == "waiting" {
            self.step = Step::Poll;
            return Next::After(
                answer.retry_after.map_or(AGAIN * 10, |seconds| Duration::from_secs(seconds.into())),
            );
        }
        self.step = first_at_the_seats(self.fate.map);
        Next::After(Duration::ZERO)
    }

    fn told_hold(&mut self, answer: &Answer<'_>, world: &World, book: &mut Ledger, now: u64) -> Next {
        self.changes = self.changes.wrapping_add(1);
        let Some(held) = Held::read(answer.body, world) else {
            book.faults.add(format!("a hold that can't be read: {}", String::from_utf8_lossy(answer.body)));
            return Next::Gone;
        };
        if held.seats.len() != usize::from(self.seats) {
            book.faults.add(format!("{} seats were asked for: {held:?}", self.seats));
        }
        self.entry = Some(book.held(self.number, &held.id, held.seats, now, held.expires));
        self.reservation = Some(held.id);
        if self.fate.exchange {
            return self.go(Step::Exchange, world);
        }
        self.end(world)
    }

    /// Nothing is held. Somebody who wanted certain seats tries others, and whoever wants too many takes fewer.
    fn told_no_hold(&mut self, answer: &Answer<'_>, world: &World) -> Next {
        self.changes = self.changes.wrapping_add(1);
        self.holds += 1;
        let code = text_field(answer.body, "\"code\"").unwrap_or_default();
        let taken = matches!(code, "seat_unavailable" | "not_enough_seats");
        if !taken || self.holds >= HOLDS_MAX {
            return self.leave(world);
        }
        if code == "not_enough_seats" {
            if self.seats == 1 {
                return self.leave(world);
            }
            self.seats = 1;
        }
        self.go(Step::Hold, world)
    }

    fn told_change(&mut self, answer: &Answer<'_>, world: &World, book: &mut Ledger, now: u64) -> Next {
        let entry = self.entry.expect("there is a reservation");
        let done = (200..300).contains(&answer.status);
        if !done {
            book.refused(entry);
        }
        match (self.step, done) {
            (Step::Exchange, true) => {
                match Held::read(answer.body, world) {
                    Some(held) => book.exchanged(entry, held.seats, now, held.expires),
                    None => book.faults.add("an exchange that can't be read".to_owned()),
                }
                self.end(world)
            }
            (Step::Exchange, false) => self.end(world),
            (Step::Pay, true) => {
                book.became(entry, State::Paid);
                if self.fate.end == Fated::PaysAndCancels { self.go(Step::Cancel, world) } else { Next::Gone }
            }
            (Step::Release, true) => {
                book.became(entry, State::Released);
                self.leave(world)
            }
            (Step::Cancel, true) => {
                book.became(entry, State::Cancelled);
                Next::Gone
            }
            _ => self.leave(world),
        }
    }

    /// Says that no answer came; the step is repeated with its key.
    pub(super) fn lost() -> Next {
        Next::Again(AGAIN)
    }

    /// What comes after the hold.
    fn end(&mut self, world: &World) -> Next {
        match self.fate.end {
            Fated::Pays | Fated::PaysAndCancels => self.go(Step::Pay, world),
            Fated::Releases => self.go(Step::Release, world),
            Fated::GoesAway => Next::Gone,
        }
    }

    fn leave(&mut self, world: &World) -> Next {
        if world.has_room && self.pass.is_some() { self.go(Step::Leave, world) } else { Next::Gone }
    }

    /// The next step, after some thought: up to twice the average.
    fn go(&mut self, step: Step, world: &World) -> Next {
        self.step = step;
        let most = u64::try_from(world.think.as_micros()).unwrap_or_default() * 2;
        Next::After(Duration::from_micros(next(&mut self.random) % (most + 1)))
    }
}

fn first_at_the_seats(map: bool) -> Step {
    if map { Step::Map } else { Step::Hold }
}

/// Says when to repeat what this answers: it had no effect, or none that the server knows of.
fn again(answer: &Answer<'_>) -> Option<Duration> {
    let in_progress =
        || answer.status == 409 && text_field(answer.body, "\"code\"") == Some("request_in_progress");
    let later = matches!(answer.status, 202 | 408 | 429 | 500..) || in_progress();
    later.then(|| answer.retry_after.map_or(AGAIN, |seconds| Duration::from_secs(seconds.into())))
}

/// Of a reservation, what a person needs.
#[derive(Debug)]
struct Held {
    id: Box<str>,
    seats: Box<[u32]>,
    expires: u64,
}

impl Held {
    fn read(body: &[u8], world: &World) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Document<'a> {
            reservation_id: &'a str,
            expires_at: &'a str,
            #[serde(borrow)]
            seats: Vec<Seat<'a>>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Seat<'a> {
            seat_id: &'a str,
        }
        let Document { reservation_id, expires_at, seats } = serde_json::from_slice(body).ok()?;
        let place = |seat: Seat<'_>| world.places.get(seat.seat_id).copied();
        let expires = world.wall.nanos(instant::millis(expires_at)?);
        Some(Self {
            id: Some(reservation_id).filter(|id| is_plain(id))?.into(),
            seats: seats.into_iter().map(place).collect::<Option<_>>()?,
            expires: expires.saturating_sub(EARLIER_NANOS),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const ALL: Mix = Mix { map: 1000, pick: 1000, exchange: 1000, pay: 1000, release: 0, cancel: 1000 };

    struct Way {
        world: World,
        person: Person,
        book: Ledger,
        request: String,
    }

    impl Way {
        fn new(has_room: bool, mix: Mix) -> Self {
            let seats = (0..90).map(|n| format!("1F-A-1-{}", n + 1).into()).collect();
            let wall = Wall::of(Clock::start());
            let world = World::new("r", "s", "h:1", seats, has_room, Duration::ZERO, wall);
            let mut person = Person::new(3, &world, mix, 1, &Signer::new(&[1; 32]), 5);
            person.seats = 1;
            Self { world, person, book: Ledger::default(), request: String::new() }
        }

        /// Sends the next step and answers it; returns what was sent and what follows.
        fn step(&mut self, status: u16, body: &str) -> (String, Next) {
            let mut request = Vec::new();
            self.person.write(&mut request, &self.world, &mut self.book, 10);
            self.request = String::from_utf8(request).unwrap();
            let answer = Answer { status, body: body.as_bytes(), close: false, retry_after: Some(7) };
            let next = self.person.told(&answer, &self.world, &mut self.book, 20);
            (self.request.split(" HTTP").next().unwrap().to_owned(), next)
        }
    }

    fn held(seat: u32) -> String {
        format!(
            r#"{{"reservationId":"r1","status":"held","expiresAt":"2099-01-01T00:00:00.000Z","seats":[{{"seatId":"1F-A-1-{seat}"}}]}}"#
        )
    }

    const NOW: Next = Next::After(Duration::ZERO);

    #[test]
    fn a_person_goes_the_whole_way() {
        let mut way = Way::new(true, ALL);
        let (asked, next) = way.step(201, r#"{"token":"p","status":"waiting","position":2}"#);
        assert_eq!((&*asked, next), ("POST /api/v1/queue/tokens", Next::After(Duration::from_secs(7))));
        let (asked, next) = way.step(200, r#"{"token":"p","status":"active","position":null}"#);
        assert_eq!((&*asked, next), ("GET /api/v1/queue/tokens/current?scheduleId=s", NOW));
        assert!(way.request.contains("queue-token: p\r\n"));
        for (expected, status, body) in [
            ("GET /api/v1/schedules/s/seats", 200, "{}".to_owned()),
            ("POST /api/v1/reservations", 201, held(1)),
            ("PATCH /api/v1/reservations/r1", 200, held(2)),
            ("POST /api/v1/payments", 201, "{}".to_owned()),
        ] {
            assert_eq!(way.step(status, &body), (expected.to_owned(), NOW));
        }
        assert_eq!((way.book.count(State::Paid), way.book.sold), (1, 1));
        assert_eq!(way.step(200, "{}"), ("DELETE /api/v1/reservations/r1".to_owned(), Next::Gone));
        assert_eq!((way.book.count(State::Cancelled), way.book.sold, way.book.faults.count), (1, 0, 0));
        assert_eq!(&*way.book.entries[0].seats, [1]);
    }

    #[test]
    fn an_answer_that_leaves_the_outcome_open_has_the_same_bytes_sent_again() {
        let mut way = Way::new(false, Mix { map: 0, exchange: 0, ..ALL });
        let seconds = Duration::from_secs(7);
        let (_, next) = way.step(503, r#"{"code":"outcome_unknown"}"#);
        assert_eq!(next, Next::Again(seconds));
        let first = way.request.clone();
        way.step(201, &held(1));
        assert_eq!(way.request, first);
        assert_eq!(way.step(409, r#"{"code":"request_in_progress"}"#).1, Next::Again(seconds));
        assert_eq!(way.book.entries[0].state, State::Unsure(Asked::Pay));
        assert_eq!(way.step(402, r#"{"code":"insufficient_balance"}"#).1, Next::Gone);
        assert_eq!(way.book.entries[0].state, State::Held);
    }

    #[test]
    fn whoever_finds_the_seats_taken_tries_others_takes_the_best_and_leaves_when_there_are_none() {
        let mut way = Way::new(false, Mix { map: 0, ..ALL });
        let mut bodies = Vec::new();
        for _ in 0..3 {
            assert_eq!(way.step(409, r#"{"code":"seat_unavailable"}"#).1, NOW);
            bodies.push(way.request.split("\r\n\r\n").nth(1).unwrap().to_owned());
        }
        assert!(bodies[0].contains("1F-A-1-") && bodies[1].contains("1F-A-1-") && bodies[0] != bodies[1]);
        assert!(bodies[2].contains("bestAvailable"), "{bodies:?}");
        assert_eq!(way.step(409, r#"{"code":"not_enough_seats"}"#).1, Next::Gone);
    }

    #[test]
    fn a_mix_is_what_it_says() {
        let way = Way::new(true, ALL);
        let mix = Mix { map: 300, pick: 0, exchange: 1000, pay: 400, release: 300, cancel: 0 };
        let people: Vec<Person> = (0..2_000)
            .map(|number| Person::new(number, &way.world, mix, 7, &Signer::new(&[1; 32]), 5))
            .collect();
        let count = |is: &dyn Fn(&Person) -> bool| people.iter().filter(|person| is(person)).count();
        assert!((700..900).contains(&count(&Person::pays)));
        assert!((500..700).contains(&count(&|person| person.fate.end == Fated::Releases)));
        assert!((500..700).contains(&count(&|person| person.fate.map)));
        assert_eq!((count(&|person| person.fate.exchange), count(&|person| person.fate.pick)), (2_000, 0));
    }
}
