//! A lane: one connection's users and seats, what it does next, and its pages of the book.
//!
//! A lane holds one seat after another until it has as many live holds as it keeps standing, then
//! releases its oldest before each next hold. It outlives its connections and rounds.
//!
//! Invariant: between [`Lane::begin`] and [`Lane::settle`] or [`Lane::lost`], `in_flight` says what
//! was asked; a lane whose connection is dropped in between never forgets that the outcome is unknown.

use std::{collections::VecDeque, ops::Range};

use crate::{
    arrivals::next,
    book::{Book, Entry, NEVER, State, index},
    script::{Script, is_plain},
    wire::{Answer, text_field},
};

/// How a run is divided among lanes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Division {
    pub(crate) lanes: u32,
    pub(crate) seats: u32,
    pub(crate) users: u32,
    /// How many live holds a lane keeps standing.
    pub(crate) live: usize,
    /// How many of the seats all lanes fight for.
    pub(crate) contended_seats: u32,
    /// How many of 1,000 holds go for those.
    pub(crate) contended_permille: u32,
}

impl Division {
    /// Makes the lanes.
    pub(crate) fn make(self) -> Vec<Lane> {
        (0..self.lanes).map(|number| Lane::new(number, self)).collect()
    }

    fn part(self, all: u32, number: u32) -> Range<u32> {
        let at = |number: u32| {
            let at = u64::from(all) * u64::from(number) / u64::from(self.lanes);
            u32::try_from(at).expect("at most `all`")
        };
        at(number)..at(number + 1)
    }
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Hold {
        user: u32,
        seat: u32,
    },
    /// Of an entry of the book.
    Release(usize),
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    Done,
    /// A contended seat was taken, as it may.
    Taken,
    /// Any other answer.
    Refused,
}

pub(crate) struct Lane {
    division: Division,
    users: Range<u32>,
    next_user: u32,
    /// Own seats, the one to hold next first.
    free: VecDeque<u32>,
    /// Entries to release, oldest first.
    live: VecDeque<usize>,
    in_flight: Option<(Action, u64)>,
    random: u64,
    request: Vec<u8>,
    pub(crate) book: Book,
}

impl Lane {
    fn new(number: u32, division: Division) -> Self {
        let users = division.part(division.users, number);
        assert!(!users.is_empty(), "a lane without a user");
        let own = division.part(division.seats - division.contended_seats, number);
        Self {
            division,
            next_user: users.start,
            users,
            free: own.collect(),
            live: VecDeque::new(),
            in_flight: None,
            random: u64::from(number),
            request: Vec::with_capacity(1024),
            book: Book::default(),
        }
    }

    /// Chooses what to do and writes its request; nothing when the lane's seats are used up.
    /// `now` is an instant before any byte is sent.
    pub(crate) fn begin(&mut self, script: &Script, now: u64) -> Option<&[u8]> {
        assert!(self.in_flight.is_none(), "a lane does one thing at a time");
        let action = self.choose()?;
        match action {
            Action::Hold { user, seat } => {
                script.write_hold(&mut self.request, index(user), index(seat));
            }
            Action::Release(at) => {
                let entry = &self.book.entries[at];
                script.write_release(&mut self.request, index(entry.user), &entry.reservation);
            }
        }
        self.in_flight = Some((action, now));
        Some(&self.request)
    }

    fn choose(&mut self) -> Option<Action> {
        if self.live.len() >= self.division.live {
            return self.live.pop_front().map(Action::Release);
        }
        let contended = self.division.contended_permille > 0
            && self.random() % 1000 < u64::from(self.division.contended_permille);
        let seat = if contended {
            let pool = u64::from(self.division.contended_seats);
            let number = u32::try_from(self.random() % pool).expect("below the pool's size");
            Some(self.division.seats - self.division.contended_seats + number)
        } else {
            self.free.pop_front()
        };
        let Some(seat) = seat else {
            return self.live.pop_front().map(Action::Release);
        };
        let user = self.next_user;
        self.next_user = if user + 1 < self.users.end { user + 1 } else { self.users.start };
        Some(Action::Hold { user, seat })
    }

    fn random(&mut self) -> u64 {
        next(&mut self.random)
    }

    /// Books an answer that had been read whole at `now`.
    pub(crate) fn settle(&mut self, answer: &Answer<'_>, now: u64) -> Settled {
        let (action, sent) = self.in_flight.take().expect("an answer to nothing");
        match action {
            Action::Hold { user, seat } => self.settle_hold(user, seat, answer, now),
            Action::Release(at) => self.settle_release(at, sent, answer),
        }
    }

    fn settle_hold(&mut self, user: u32, seat: u32, answer: &Answer<'_>, now: u64) -> Settled {
        if answer.status == 201 {
            let Some(id) = text_field(answer.body, "\"reservationId\"").filter(|id| is_plain(id)) else {
                self.book.unsure_seats.push(seat);
                self.book.faults.add(format!("a hold of seat #{seat} was acknowledged without a usable id"));
                return Settled::Refused;
            };
            self.live.push_back(self.book.entries.len());
            self.book.entries.push(Entry {
                reservation: id.into(),
                seat,
                user,
                acknowledged: now,
                release_sent: NEVER,
                state: State::Held,
            });
            return Settled::Done;
        }

        if is_unsure(answer) {
            self.book.unsure_seats.push(seat);
            return Settled::Refused;
        }

        if self.is_contended(seat) {
            return if answer.status == 409 { Settled::Taken } else { Settled::Refused };
        }
        if answer.status == 409 {
            let body = shown(answer.body);
            self.book.faults.add(format!("seat #{seat}, which nobody else asks for, was refused: {body}"));
        }

        self.free.push_back(seat);
        Settled::Refused
    }

    fn settle_release(&mut self, at: usize, sent: u64, answer: &Answer<'_>) -> Settled {
        let contended_from = self.contended_from();
        let entry = &mut self.book.entries[at];
        if answer.status == 200 {
            entry.state = State::Released;
            entry.release_sent = entry.release_sent.min(sent);
            if entry.seat < contended_from {
                self.free.push_back(entry.seat);
            }
            return Settled::Done;
        }
        if is_unsure(answer) {
            entry.state = State::Unsure;
            entry.release_sent = entry.release_sent.min(sent);
        } else if answer.status < 500 && answer.status != 429 {
            // Stays `Held` in the book and is not touched again; the audit asks what became of it.
            let body = shown(answer.body);
            self.book.faults.add(format!("the release of {} was refused: {body}", entry.reservation));
        } else {
            self.live.push_back(at);
        }
        Settled::Refused
    }

    /// Books that no answer came to what is in flight, if anything is.
    pub(crate) fn lost(&mut self) {
        match self.in_flight.take() {
            Some((Action::Hold { seat, .. }, _)) => self.book.unsure_seats.push(seat),
            Some((Action::Release(at), sent)) => {
                let entry = &mut self.book.entries[at];
                entry.state = State::Unsure;
                entry.release_sent = entry.release_sent.min(sent);
            }
            None => {}
        }
    }

    /// Throws the book away and makes all seats free, for a server that keeps nothing.
    pub(crate) fn forget(&mut self) {
        let contended_from = self.contended_from();
        let live = self.live.drain(..).map(|at| self.book.entries[at].seat);
        self.free.extend(live.filter(|&seat| seat < contended_from));
        self.book = Book::default();
    }

    fn contended_from(&self) -> u32 {
        self.division.seats - self.division.contended_seats
    }

    fn is_contended(&self, seat: u32) -> bool {
        seat >= self.contended_from()
    }
}

/// Says whether an answer leaves open what happened: every 5xx but `overloaded`.
fn is_unsure(answer: &Answer<'_>) -> bool {
    answer.status >= 500
        && !(answer.status == 503 && text_field(answer.body, "\"code\"") == Some("overloaded"))
}

/// An answer's beginning, for a person.
pub(crate) fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(300)]).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{script::Plan, token::Signer};

    const DIVISION: Division =
        Division { lanes: 2, seats: 8, users: 4, live: 1, contended_seats: 2, contended_permille: 0 };

    struct Driven(Lane, Script, u64);

    impl Driven {
        fn new(division: Division) -> Self {
            let plan = Plan::new("r", 8, 4, &Signer::new(&[1; 32]), 5);
            Self(division.make().pop().unwrap(), Script::new(&plan, "h:1"), 0)
        }

        /// Sends the next request and answers it; `None` is a broken connection.
        fn step(&mut self, answer: Option<(u16, &str)>) -> String {
            let Self(lane, script, now) = self;
            *now += 10;
            let request = String::from_utf8_lossy(lane.begin(script, *now).unwrap()).into_owned();
            match answer {
                Some((status, body)) => {
                    let answer = Answer { status, body: body.as_bytes(), close: false, retry_after: None };
                    lane.settle(&answer, *now + 5);
                }
                None => lane.lost(),
            }
            let seat = request.split_once("1F-A-1-").map_or("", |(_, rest)| rest.trim_end_matches("\"]}"));
            format!("{} {seat}", request.split(' ').next().unwrap())
        }
    }

    const HELD: Option<(u16, &str)> = Some((201, r#"{"reservationId":"r1"}"#));
    const RELEASED: Option<(u16, &str)> = Some((200, "{}"));

    #[test]
    fn a_lane_takes_its_own_seats_in_turn() {
        let mut lane = Driven::new(DIVISION);
        let steps: Vec<_> =
            [HELD, RELEASED, HELD, RELEASED, HELD, RELEASED, HELD].map(|a| lane.step(a)).into();
        assert_eq!(steps, ["POST 4", "DELETE ", "POST 5", "DELETE ", "POST 6", "DELETE ", "POST 4"]);
        let book = &lane.0.book;
        assert_eq!((book.count(State::Held), book.count(State::Released)), (1, 3));
        let first = &book.entries[0];
        assert_eq!((first.acknowledged, first.release_sent), (15, 20));
        assert_eq!(book.faults.count, 0);
    }

    #[test]
    fn a_hold_of_unknown_outcome_puts_its_seat_aside() {
        let mut lane = Driven::new(DIVISION);
        let outcomes = [None, Some((503, r#"{"code":"outcome_unknown"}"#)), Some((500, ""))];
        let steps: Vec<_> = outcomes.map(|a| lane.step(a)).into();
        assert_eq!(steps, ["POST 4", "POST 5", "POST 6"]);
        assert_eq!(lane.0.book.unsure_seats, [3, 4, 5]);
        assert!(lane.0.begin(&lane.1, 99).is_none(), "all seats are aside");
    }

    #[test]
    fn an_overloaded_server_did_nothing_and_is_asked_again() {
        let overloaded = Some((503, r#"{"code":"overloaded"}"#));
        let mut lane = Driven::new(Division { seats: 4, ..DIVISION });
        let steps: Vec<_> = [overloaded, HELD, overloaded, RELEASED].map(|a| lane.step(a)).into();
        assert_eq!(steps, ["POST 2", "POST 2", "DELETE ", "DELETE "]);
        assert_eq!(lane.0.book.unsure_seats, [0; 0]);
        assert_eq!(lane.0.book.entries[0].state, State::Released);
    }

    #[test]
    fn a_release_of_unknown_outcome_ends_the_certain_life_and_keeps_the_entry() {
        let mut lane = Driven::new(DIVISION);
        lane.step(HELD);
        lane.step(None);
        let entry = &lane.0.book.entries[0];
        assert_eq!((entry.state, entry.release_sent), (State::Unsure, 20));
    }

    #[test]
    fn refusals_that_nobody_can_explain_are_faults() {
        let mut lane = Driven::new(DIVISION);
        lane.step(Some((409, r#"{"code":"seat_unavailable"}"#)));
        lane.step(HELD);
        lane.step(Some((404, r#"{"code":"not_found"}"#)));
        lane.step(Some((201, r#"{"reservationId":"a/b"}"#)));
        let faults = &lane.0.book.faults;
        assert_eq!(faults.count, 3, "{faults:?}");
        assert_eq!(lane.0.book.entries[0].state, State::Held);
    }

    #[test]
    fn contended_seats_are_the_last_ones_and_may_be_taken() {
        let mut lane = Driven::new(Division { contended_permille: 1000, ..DIVISION });
        for _ in 0..20 {
            let step = lane.step(Some((409, "")));
            assert!(["POST 7", "POST 8"].contains(&step.as_str()), "{step}");
        }
        assert_eq!(lane.0.book.faults.count, 0);
    }
}
