//! The book of acknowledgements: what the server said it did, and what must therefore be true.
//!
//! Owns the entries and the rules. Absent on purpose: HTTP; the audit asks the server and hands in
//! what it said. Rules:
//!
//! 1. Between the acknowledgement of a hold and the sending of its release, the hold certainly
//!    lives. Two such spans of one seat never overlap, or the seat had two owners. (If both holds
//!    were acknowledged and neither release was sent before the other's acknowledgement, then
//!    whichever took effect second found the seat taken.)
//! 2. A hold that is acknowledged and not released is found, with the same seat and owner; one
//!    whose release is acknowledged is `released`.
//! 3. A seat of a live entry is `held`; a seat that no entry and no unknown outcome can hold is
//!    `available`; the counts are those of the map.
//!
//! Of the reservations of a user that ended, the server keeps the newest thousand, so rule 2 asks for no older one.
//!
//! After a 5xx, a timeout or a broken connection the outcome is unknown, as the API says: rules 2
//! and 3 then allow both. The one exception is 503 `overloaded`: it is said before anything is done.

use core::cmp::Reverse;
use std::collections::BTreeMap;

/// The instant of a release that was never sent.
pub(crate) const NEVER: u64 = u64::MAX;

/// How many of a user's ended reservations are surely kept: the server keeps a thousand, and some of them may be holds whose outcome
/// isn't in the book.
const ENDED_PER_USER: usize = 900;

/// What the book knows of an acknowledged hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Held,
    Released,
    /// A release was sent, and its outcome is unknown.
    Unsure,
}

/// An acknowledged hold of one seat.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) reservation: Box<str>,
    pub(crate) seat: u32,
    pub(crate) user: u32,
    /// When the acknowledgement had been read; nanoseconds of the process's clock, as all instants here.
    pub(crate) acknowledged: u64,
    /// Before the first byte of its first release was sent; [`NEVER`] if none was.
    pub(crate) release_sent: u64,
    pub(crate) state: State,
}

/// The entries of one connection, or of all.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) entries: Vec<Entry>,
    /// The seats of holds whose outcome is unknown.
    pub(crate) unsure_seats: Vec<u32>,
    /// What was wrong the moment it was said.
    pub(crate) faults: Faults,
}

impl Book {
    pub(crate) fn merge(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.unsure_seats.extend(other.unsure_seats);
        self.faults.merge(other.faults);
    }

    pub(crate) fn count(&self, state: State) -> usize {
        self.entries.iter().filter(|entry| entry.state == state).count()
    }

    /// Drops the entries that the server may have forgotten: those of a user that were released before many others.
    pub(crate) fn forget_old(&mut self) {
        self.entries.sort_unstable_by_key(|entry| (entry.user, Reverse(entry.release_sent)));

        let (mut user, mut ended) = (None, 0);
        self.entries.retain(|entry| {
            if user != Some(entry.user) {
                (user, ended) = (Some(entry.user), 0);
            }
            if entry.state == State::Held {
                return true;
            }
            ended += 1;
            ended <= ENDED_PER_USER
        });
    }

    /// Looks for seats with two owners at once (rule 1).
    pub(crate) fn check_owners(&self, faults: &mut Faults) {
        let mut order: Vec<&Entry> = self.entries.iter().collect();
        order.sort_unstable_by_key(|entry| (entry.seat, entry.acknowledged));
        let mut last: Option<&Entry> = None;
        for entry in order {
            // Of the earlier entries of the seat, the one whose certain span ends last.
            let earlier = last.filter(|last| last.seat == entry.seat);
            if let Some(earlier) = earlier
                && entry.acknowledged < earlier.release_sent
            {
                faults.add(format!(
                    "two owners: seat #{} was acknowledged as {} (user #{}) and, before the release of that was sent, as {} (user #{})",
                    entry.seat, earlier.reservation, earlier.user, entry.reservation, entry.user
                ));
            }
            if earlier.is_none_or(|earlier| earlier.release_sent < entry.release_sent) {
                last = Some(entry);
            }
        }
    }

    /// Compares a seat map with the book (rule 3).
    pub(crate) fn check_map(&self, seats: &[Box<str>], map: &SeatMap, faults: &mut Faults) {
        let mut held = vec![0_u32; seats.len()];
        let mut unsure = vec![false; seats.len()];
        for entry in &self.entries {
            match entry.state {
                State::Held => held[index(entry.seat)] += 1,
                State::Unsure => unsure[index(entry.seat)] = true,
                State::Released => {}
            }
        }

        for &seat in &self.unsure_seats {
            unsure[index(seat)] = true;
        }
        for (index, id) in seats.iter().enumerate() {
            let status = map.statuses.get(&**id).map_or("not in the map", String::as_str);
            let right = match (held[index], unsure[index]) {
                (0, false) => status == "available",
                (0, true) => matches!(status, "available" | "held"),
                (_, _) => status == "held",
            };
            if !right {
                let (live, unsure) = (held[index], if unsure[index] { ", an unknown outcome" } else { "" });
                faults.add(format!(
                    "seat map: {id} is {status}, and the book has {live} live hold(s) of it{unsure}"
                ));
            }
        }

        map.check_counts(seats.len(), faults);
    }
}

/// The seat map and the counts as the server told them, nothing else running.
#[derive(Debug, Default)]
pub(crate) struct SeatMap {
    pub(crate) statuses: BTreeMap<String, String>,
    /// How many seats the server counts by status.
    pub(crate) counts: BTreeMap<String, u64>,
}

impl SeatMap {
    pub(crate) fn check_counts(&self, seats: usize, faults: &mut Faults) {
        if self.statuses.len() != seats {
            faults.add(format!("seat map: {} seats of {seats}", self.statuses.len()));
        }
        let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
        for status in self.statuses.values() {
            *counted.entry(status).or_default() += 1;
        }
        for status in ["available", "held", "reserved", "blocked"] {
            let in_map = counted.get(status).copied().unwrap_or_default();
            let told = self.counts.get(status).copied().unwrap_or_default();
            if in_map != told {
                faults.add(format!("counts: the schedule says {told} seats {status}, its map has {in_map}"));
            }
        }
    }
}

/// What the server said about one reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) reservation: String,
    pub(crate) schedule: String,
    pub(crate) user: String,
    pub(crate) status: String,
    pub(crate) seats: Vec<String>,
}

/// Compares one entry with what the server says of it, or its status code where it has nothing
/// (rule 2). `seat` and `user` are the entry's, in words.
pub(crate) fn check_entry(
    entry: &Entry,
    (schedule, seat, user): (&str, &str, &str),
    told: Result<&Told, u16>,
    faults: &mut Faults,
) {
    let id = &entry.reservation;
    let told = match told {
        Ok(told) => told,
        Err(code) => {
            let state = entry.state;
            return faults.add(format!(
                "missing: {id} ({seat}) was acknowledged ({state:?} in the book), and asking for it gives {code}"
            ));
        }
    };
    let right = match entry.state {
        State::Held => told.status == "held",
        State::Released => told.status == "released",
        State::Unsure => matches!(told.status.as_str(), "held" | "released"),
    };

    if !right {
        faults.add(format!(
            "status: {id} ({seat}) is {:?} in the book, and the server says {}",
            entry.state, told.status
        ));
    }

    let same = *told.reservation == **id && told.schedule == schedule && told.user == user;
    if !same || told.seats != [seat] {
        faults.add(format!("contents: {id} is {seat} of {user} in the book, and the server says {told:?}"));
    }
}

/// What differs: all counted, the first ones kept.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub(crate) struct Faults {
    pub(crate) count: u64,
    pub(crate) first: Vec<String>,
}

impl Faults {
    /// How many are kept in words.
    const KEPT_MAX: usize = 20;

    pub(crate) fn add(&mut self, fault: String) {
        self.count += 1;
        if self.first.len() < Self::KEPT_MAX {
            self.first.push(fault);
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.count += other.count;
        let room = Self::KEPT_MAX.saturating_sub(self.first.len());
        self.first.extend(other.first.into_iter().take(room));
    }
}

/// A seat's place in the plan.
pub(crate) fn index(number: u32) -> usize {
    usize::try_from(number).expect("usize is 32 bits or more")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, seat: u32, acknowledged: u64, release_sent: u64) -> Entry {
        let state = if release_sent == NEVER { State::Held } else { State::Released };
        Entry { reservation: id.into(), seat, user: 0, acknowledged, release_sent, state }
    }

    fn owners(entries: Vec<Entry>) -> Vec<String> {
        let mut faults = Faults::default();
        Book { entries, ..Book::default() }.check_owners(&mut faults);
        faults.first
    }

    #[test]
    fn one_owner_after_another_is_right() {
        let right = vec![
            entry("c", 1, 50, NEVER),
            entry("a", 1, 10, 20),
            entry("b", 1, 20, 40),
            entry("x", 2, 15, 60),
        ];
        assert_eq!(owners(right), [""; 0]);
    }

    #[test]
    fn a_seat_with_two_live_owners_is_found() {
        let faults = owners(vec![entry("a", 1, 10, NEVER), entry("b", 1, 20, NEVER)]);
        assert!(faults.len() == 1 && faults[0].starts_with("two owners: seat #1"), "{faults:?}");
    }

    #[test]
    fn a_second_owner_is_found_though_both_released_and_others_came_between() {
        // `a` spans `b`, which is over, and `c`.
        let faults = owners(vec![entry("a", 1, 10, 100), entry("b", 1, 20, 30), entry("c", 1, 40, 110)]);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[1].contains(" a ") && faults[1].contains(" c "), "{faults:?}");
    }

    #[test]
    fn what_a_user_gave_back_before_many_others_is_not_asked_for() {
        let ended = (0_u64..1_000).map(|at| entry(&at.to_string(), 1, at * 2, at * 2 + 1));
        let live = entry("live", 2, 1, NEVER);
        let anothers = Entry { user: 1, ..entry("anothers", 3, 1, 2) };
        let mut book = Book { entries: ended.chain([live, anothers]).collect(), ..Book::default() };

        book.forget_old();
        let has = |id: &str| book.entries.iter().any(|entry| *entry.reservation == *id);
        assert_eq!(book.entries.len(), ENDED_PER_USER + 2);
        assert!(has("live") && has("anothers") && has("999") && has("100") && !has("99") && !has("0"));
    }

    fn told() -> Told {
        Told {
            reservation: "a".into(),
            schedule: "s".into(),
            user: "u".into(),
            status: "held".into(),
            seats: vec!["A-1".into()],
        }
    }

    fn compared(state: State, told: Result<&Told, u16>) -> Vec<String> {
        let mut faults = Faults::default();
        let entry = Entry { state, ..entry("a", 0, 1, NEVER) };
        check_entry(&entry, ("s", "A-1", "u"), told, &mut faults);
        faults.first
    }

    #[test]
    fn an_acknowledged_hold_that_is_not_there_is_found() {
        assert_eq!(compared(State::Held, Ok(&told())), [""; 0]);
        for state in [State::Held, State::Released, State::Unsure] {
            let faults = compared(state, Err(404));
            assert!(faults.len() == 1 && faults[0].starts_with("missing: a (A-1)"), "{faults:?}");
        }
    }

    #[test]
    fn another_status_is_found_and_an_unknown_outcome_allows_both() {
        let with = |status: &str| Told { status: status.into(), ..told() };
        for (state, status, faults) in [
            (State::Held, "released", 1),
            (State::Held, "expired", 1),
            (State::Released, "held", 1),
            (State::Released, "released", 0),
            (State::Unsure, "held", 0),
            (State::Unsure, "released", 0),
            (State::Unsure, "confirmed", 1),
        ] {
            assert_eq!(compared(state, Ok(&with(status))).len(), faults, "{state:?} {status}");
        }
    }

    #[test]
    fn another_seat_owner_schedule_or_id_is_found() {
        for wrong in [
            Told { seats: vec!["A-2".into()], ..told() },
            Told { seats: vec!["A-1".into(), "A-2".into()], ..told() },
            Told { seats: vec![], ..told() },
            Told { user: "v".into(), ..told() },
            Told { schedule: "t".into(), ..told() },
            Told { reservation: "b".into(), ..told() },
        ] {
            assert_eq!(compared(State::Held, Ok(&wrong)).len(), 1, "{wrong:?}");
        }
    }

    fn mapped(book: &Book, statuses: [&str; 3], counts: [(&str, u64); 2]) -> Vec<String> {
        let seats: Vec<Box<str>> = vec!["A-0".into(), "A-1".into(), "A-2".into()];
        let map = SeatMap {
            statuses: seats.iter().zip(statuses).map(|(id, s)| (id.to_string(), s.to_owned())).collect(),
            counts: counts.map(|(status, count)| (status.to_owned(), count)).into(),
        };
        let mut faults = Faults::default();
        book.check_map(&seats, &map, &mut faults);
        faults.first
    }

    #[test]
    fn a_map_that_differs_from_the_book_is_found() {
        let book = Book { entries: vec![entry("a", 1, 1, NEVER), entry("b", 2, 1, 2)], ..Book::default() };
        let counts = [("available", 2), ("held", 1)];
        assert_eq!(mapped(&book, ["available", "held", "available"], counts), [""; 0]);
        assert_eq!(mapped(&book, ["held", "available", "available"], counts).len(), 2);
        assert_eq!(
            mapped(&book, ["available", "held", "available"], [("available", 1), ("held", 2)]).len(),
            2
        );
        assert_eq!(mapped(&book, ["available", "reserved", "available"], counts).len(), 3);
    }

    #[test]
    fn a_seat_of_an_unknown_outcome_may_be_held_or_available_and_nothing_else() {
        let book = Book { unsure_seats: vec![0], ..Book::default() };
        let one = [("available", 2), ("held", 1)];
        assert_eq!(mapped(&book, ["held", "available", "available"], one), [""; 0]);
        assert_eq!(mapped(&book, ["available", "held", "available"], one).len(), 1);
        let blocked = [("available", 2), ("blocked", 1)];
        assert_eq!(mapped(&book, ["blocked", "available", "available"], blocked).len(), 1);
    }
}
