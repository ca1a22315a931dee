//! What the server told everyone that it did, and what must therefore be true.
//!
//! Rules, beside those of [`crate::book`], whose first one (no seat has two owners at once) is checked there:
//!
//! 1. A hold certainly lives from its acknowledgement until it is asked to end or exchange its seats, or until its `expiresAt`. (An outage
//!    moves that later, never earlier.) A paid one has no end.
//! 2. A seat is `reserved` in the map exactly where a paid reservation has it.
//! 3. A paid reservation is `confirmed`, a cancelled one `cancelled`, a released one `released`; one that is neither is `held` or `expired`.
//!
//! A step whose outcome is unknown at the end of the run allows both; everyone repeats such steps with their keys, so there are few.

use std::collections::HashMap;

use crate::book::{self, Faults, NEVER, SeatMap, Told, index};

/// What is known of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Held,
    Paid,
    Released,
    Cancelled,
    /// This was asked for, and no answer came.
    Unsure(Asked),
}

/// What may have become of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Exchange,
    Pay,
    Release,
    Cancel,
}

/// A reservation as it was acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) reservation: Box<str>,
    pub(super) person: u32,
    pub(super) seats: Box<[u32]>,
    pub(super) state: State,
    /// When the seats were acknowledged, and until when they are certainly its own: nanoseconds of the clock.
    from: u64,
    until: u64,
    /// What `until` was before something was asked that would end it.
    expires: u64,
}

/// Seats that a reservation had before it exchanged them.
#[derive(Debug, Clone)]
struct Past {
    entry: usize,
    seats: Box<[u32]>,
    from: u64,
    until: u64,
}

/// All that was acknowledged.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) entries: Vec<Entry>,
    past: Vec<Past>,
    /// The seats of reservations that are paid and not cancelled.
    pub(super) sold: u64,
    pub(super) faults: Faults,
}

impl Ledger {
    /// Books a hold; returns where. `expires` is its `expiresAt` by the clock.
    pub(super) fn held(
        &mut self,
        person: u32,
        reservation: &str,
        seats: Box<[u32]>,
        now: u64,
        expires: u64,
    ) -> usize {
        let (reservation, state) = (reservation.into(), State::Held);
        self.entries.push(Entry { reservation, person, seats, state, from: now, until: expires, expires });
        self.entries.len() - 1
    }

    /// Notes, before the first byte is sent, that something is asked that may end the hold of these seats.
    pub(super) fn doubt(&mut self, entry: usize, asked: Asked, now: u64) {
        let entry = &mut self.entries[entry];
        // Whoever pays keeps the seats, whatever the answer.
        if asked != Asked::Pay {
            entry.until = entry.until.min(now);
        }
        entry.state = State::Unsure(asked);
    }

    /// Books that what was asked was refused, so that all is as before.
    pub(super) fn refused(&mut self, entry: usize) {
        let entry = &mut self.entries[entry];
        entry.state = if entry.state == State::Unsure(Asked::Cancel) { State::Paid } else { State::Held };
        entry.until = if entry.state == State::Paid { NEVER } else { entry.expires };
    }

    /// Books that a hold has other seats now.
    pub(super) fn exchanged(&mut self, entry: usize, seats: Box<[u32]>, now: u64, expires: u64) {
        let number = entry;
        let entry = &mut self.entries[entry];
        let old = std::mem::replace(&mut entry.seats, seats);
        self.past.push(Past { entry: number, seats: old, from: entry.from, until: entry.until });
        (entry.from, entry.until, entry.expires, entry.state) = (now, expires, expires, State::Held);
    }

    /// Books an end that was acknowledged, or a payment.
    pub(super) fn became(&mut self, entry: usize, state: State) {
        let entry = &mut self.entries[entry];
        let seats = u64::try_from(entry.seats.len()).expect("a few");
        entry.state = state;
        match state {
            State::Paid => {
                entry.until = NEVER;
                self.sold += seats;
            }
            State::Cancelled => self.sold -= seats,
            State::Held | State::Released | State::Unsure(_) => {}
        }
    }

    pub(super) fn count(&self, state: State) -> usize {
        self.entries.iter().filter(|entry| entry.state == state).count()
    }

    /// Looks for seats with two owners at once.
    pub(super) fn check_owners(&self, faults: &mut Faults) {
        let now = self.entries.iter().map(|entry| (entry, &entry.seats, entry.from, entry.until));
        let before =
            self.past.iter().map(|past| (&self.entries[past.entry], &past.seats, past.from, past.until));
        let entries = now.chain(before).flat_map(|(entry, seats, from, until)| {
            seats.iter().map(move |&seat| book::Entry {
                reservation: entry.reservation.clone(),
                seat,
                user: entry.person,
                acknowledged: from,
                release_sent: until,
                state: book::State::Held,
            })
        });
        book::Book { entries: entries.collect(), ..book::Book::default() }.check_owners(faults);
    }

    /// Compares the seat map with what was paid.
    pub(super) fn check_map(&self, seats: &[Box<str>], map: &SeatMap, faults: &mut Faults) {
        let mut paid: HashMap<u32, u32> = HashMap::new();
        let mut unsure: HashMap<u32, Asked> = HashMap::new();
        for entry in &self.entries {
            for &seat in &entry.seats {
                match entry.state {
                    State::Paid => *paid.entry(seat).or_default() += 1,
                    State::Unsure(asked @ (Asked::Pay | Asked::Cancel)) => {
                        unsure.insert(seat, asked);
                    }
                    State::Held | State::Released | State::Cancelled | State::Unsure(_) => {}
                }
            }
        }

        for (number, id) in (0_u32..).zip(seats) {
            let status = map.statuses.get(&**id).map_or("not in the map", String::as_str);
            let owners = paid.get(&number).copied().unwrap_or_default();
            let known = matches!(status, "available" | "held" | "reserved");
            let may_be = owners > 0 || unsure.contains_key(&number);
            if !known
                || (owners > 0 && status != "reserved")
                || (status == "reserved" && !may_be)
                || owners > 1
            {
                faults.add(format!("seat map: {id} is {status}, and {owners} paid reservation(s) have it"));
            }
        }
        map.check_counts(seats.len(), faults);
    }
}

/// Compares an entry with what the server says of it, or its status code where it has nothing. `seats` and `user` are the entry's, in words.
pub(super) fn check_entry(
    entry: &Entry,
    (user, seats): (&str, &[&str]),
    told: Result<&Told, u16>,
    faults: &mut Faults,
) {
    let (id, state) = (&entry.reservation, entry.state);
    let told = match told {
        Ok(told) => told,
        Err(code) => return faults.add(format!("missing: {id} ({state:?} in the book): {code}")),
    };
    let allowed: &[&str] = match state {
        State::Held | State::Unsure(Asked::Exchange) => &["held", "expired"],
        State::Paid => &["confirmed"],
        State::Released => &["released"],
        State::Cancelled => &["cancelled"],
        State::Unsure(Asked::Pay) => &["held", "paying", "confirmed", "expired"],
        State::Unsure(Asked::Release) => &["held", "released", "expired"],
        State::Unsure(Asked::Cancel) => &["confirmed", "cancelled"],
    };

    if !allowed.contains(&&*told.status) {
        faults.add(format!("status: {id} is {state:?} in the book, and the server says {}", told.status));
    }
    let mut has: Vec<&str> = told.seats.iter().map(String::as_str).collect();
    let mut should: Vec<&str> = seats.to_vec();
    has.sort_unstable();
    should.sort_unstable();
    let same_seats = has == should || state == State::Unsure(Asked::Exchange);
    if !same_seats || told.user != user || *told.reservation != **id {
        faults
            .add(format!("contents: {id} is {seats:?} of {user} in the book, and the server says {told:?}"));
    }
}

/// The names of an entry's seats.
pub(super) fn words<'a>(entry: &Entry, seats: &'a [Box<str>]) -> Vec<&'a str> {
    entry.seats.iter().map(|&seat| &*seats[index(seat)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(numbers: &[u32]) -> Box<[u32]> {
        numbers.into()
    }

    fn owners(ledger: &Ledger) -> u64 {
        let mut faults = Faults::default();
        ledger.check_owners(&mut faults);
        faults.count
    }

    #[test]
    fn a_seat_may_be_had_by_another_once_its_hold_is_over_and_not_before() {
        let mut ledger = Ledger::default();
        ledger.held(1, "a", seats(&[7, 8]), 10, 100);
        ledger.held(2, "b", seats(&[8]), 100, 200);
        assert_eq!(owners(&ledger), 0);
        ledger.held(3, "c", seats(&[7]), 99, 200);
        assert_eq!(owners(&ledger), 1);
    }

    #[test]
    fn a_paid_seat_has_no_other_owner_for_ever() {
        let mut ledger = Ledger::default();
        let paid = ledger.held(1, "a", seats(&[7]), 10, 100);
        ledger.doubt(paid, Asked::Pay, 50);
        ledger.became(paid, State::Paid);
        ledger.held(2, "b", seats(&[7]), 5_000, 6_000);
        assert_eq!(owners(&ledger), 1);
    }

    #[test]
    fn an_exchange_that_was_refused_keeps_the_seats_and_one_that_was_not_gives_them_up_when_it_was_sent() {
        let mut ledger = Ledger::default();
        let held = ledger.held(1, "a", seats(&[7]), 10, 100);
        ledger.doubt(held, Asked::Exchange, 20);
        ledger.held(2, "b", seats(&[7]), 30, 40);
        assert_eq!(owners(&ledger), 0, "it may have been exchanged");
        ledger.refused(held);
        assert_eq!(owners(&ledger), 1);
        ledger.doubt(held, Asked::Exchange, 20);
        ledger.exchanged(held, seats(&[9]), 25, 100);
        assert_eq!(owners(&ledger), 0);
        ledger.held(3, "c", seats(&[9]), 60, 70);
        assert_eq!(owners(&ledger), 1);
    }

    fn mapped(state: State, status: &str) -> u64 {
        let mut ledger = Ledger::default();
        let entry = ledger.held(1, "a", seats(&[0]), 10, 100);
        ledger.became(entry, State::Paid);
        ledger.became(entry, state);
        let map = SeatMap {
            statuses: [("A-0".to_owned(), status.to_owned())].into(),
            counts: [(status.to_owned(), 1)].into(),
        };
        let mut faults = Faults::default();
        ledger.check_map(&["A-0".into()], &map, &mut faults);
        faults.count
    }

    #[test]
    fn what_is_sold_twice_unpaid_or_lost_is_found_in_the_map() {
        assert_eq!((mapped(State::Paid, "reserved"), mapped(State::Paid, "available")), (0, 1));
        assert_eq!((mapped(State::Held, "held"), mapped(State::Held, "reserved")), (0, 1));
        assert_eq!((mapped(State::Cancelled, "available"), mapped(State::Cancelled, "reserved")), (0, 1));
        for status in ["held", "reserved", "available"] {
            assert_eq!(mapped(State::Unsure(Asked::Pay), status), 0);
        }
        assert_eq!(mapped(State::Held, "blocked"), 1);
    }

    #[test]
    fn a_reservation_that_is_missing_of_another_or_stands_otherwise_is_found() {
        let mut ledger = Ledger::default();
        let number = ledger.held(1, "a", seats(&[0]), 10, 100);
        ledger.became(number, State::Paid);
        let entry = &ledger.entries[number];
        let told = |status: &str, user: &str, seat: &str| Told {
            reservation: "a".into(),
            schedule: "s".into(),
            user: user.into(),
            status: status.into(),
            seats: vec![seat.into()],
        };
        let compared = |told: Result<&Told, u16>| {
            let mut faults = Faults::default();
            check_entry(entry, ("u", &["A-0"]), told, &mut faults);
            faults.count
        };
        assert_eq!(compared(Ok(&told("confirmed", "u", "A-0"))), 0);
        assert_eq!(compared(Err(404)), 1);
        for wrong in [told("held", "u", "A-0"), told("confirmed", "v", "A-0"), told("confirmed", "u", "A-1")]
        {
            assert_eq!(compared(Ok(&wrong)), 1, "{wrong:?}");
        }
    }
}
