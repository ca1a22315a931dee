//! From a history to what happened to each seat.
//!
//! A seat sees a hold of several seats as a hold of itself. That a reservation has all of its seats or none is checked here, where the
//! reservation is still seen as a whole.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    check::Step,
    history::{Answered, Asked, History, Life, Operation, Stands, Told},
    seat::{Op, Owner, Ret},
};

/// How far the server's clock may be from ours. Both read the wall once and go on from there; a busy machine may stop either in between.
pub(super) const CLOCKS_APART: u64 = 50_000_000;

/// What happened to each seat, and what was wrong with reservations as a whole.
#[derive(Debug, Default)]
pub(super) struct Projected {
    pub(super) seats: Vec<Vec<Step>>,
    pub(super) faults: Vec<String>,
}

/// A reservation, as far as the history knows it.
#[derive(Debug, Default)]
struct Reservation {
    user: usize,
    id: Option<Box<str>>,
    created: Option<u64>,
    /// All that was ever asked for as a whole.
    wanted: BTreeSet<Vec<usize>>,
    /// Before when a release or a payment of it had certainly been done.
    settled: Option<u64>,
    /// When payments were first asked for.
    paying: Vec<u64>,
    /// When releases and exchanges that were done were asked for, and acknowledged.
    uses: Vec<(u64, u64)>,
}

impl Reservation {
    /// Returns all seats that it can ever have had.
    fn seats(&self) -> BTreeSet<usize> {
        self.wanted.iter().flatten().copied().collect()
    }

    /// Returns what its deadline is, where it comes by `end`: one that a payment was begun before isn't the last word.
    fn deadline(&self, owner: Owner, end: u64) -> Op {
        let is_paying = self.paying.iter().any(|&paying| paying < end);
        if is_paying { Op::DeadlinePaying(owner) } else { Op::Deadline(owner) }
    }
}

/// Takes a history apart by seats.
pub(super) fn project(history: &History) -> Projected {
    let mut projection = Projection {
        history,
        reservations: BTreeMap::new(),
        owners: HashMap::new(),
        projected: Projected { seats: vec![Vec::new(); history.seats.len()], faults: history.faults.clone() },
    };
    projection.find_reservations();
    projection.match_lists();

    for operation in &history.operations {
        projection.operation(operation);
    }
    projection.lists();
    projection.deadlines();
    projection.restarts();
    projection.projected
}

struct Projection<'a> {
    history: &'a History,
    reservations: BTreeMap<Owner, Reservation>,
    owners: HashMap<&'a str, Owner>,
    projected: Projected,
}

impl<'a> Projection<'a> {
    fn fault(&mut self, fault: String) {
        self.projected.faults.push(fault);
    }

    fn find_reservations(&mut self) {
        for operation in &self.history.operations {
            if let Asked::Exchange { owner, .. } | Asked::Release { owner } = &operation.asked
                && matches!(operation.answered, Answered::Done(_))
            {
                let uses = &mut self.reservations.entry(*owner).or_default().uses;
                uses.push((operation.invoked, operation.returned));
            }
            match &operation.asked {
                Asked::Hold { owner, seats } | Asked::Exchange { owner, seats } => {
                    if matches!(operation.answered, Answered::Done(_) | Answered::Unknown) {
                        let reservation = self.reservations.entry(*owner).or_default();
                        reservation.user = operation.user;
                        reservation.wanted.insert(seats.clone());
                    }
                }
                Asked::Release { owner } | Asked::Pay { owner } => self.settling(*owner, operation),
                Asked::Map | Asked::Look { .. } => {}
            }
            if let (Asked::Hold { owner, .. }, Answered::Done(Some(told))) =
                (&operation.asked, &operation.answered)
            {
                self.name(*owner, told);
            }
        }
    }

    fn settling(&mut self, owner: Owner, operation: &Operation) {
        let reservation = self.reservations.entry(owner).or_default();
        if matches!(operation.answered, Answered::Done(_)) {
            let settled = reservation.settled.get_or_insert(operation.returned);
            *settled = operation.returned.min(*settled);
        }
        if matches!(operation.asked, Asked::Pay { .. }) {
            reservation.paying.push(operation.invoked);
        }
    }

    fn name(&mut self, owner: Owner, told: &'a Told) {
        if let Some(other) = self.owners.insert(&told.id, owner) {
            self.fault(format!("I1: two holds, #{other} and #{owner}, were answered with {}", told.id));
        }
        let reservation = self.reservations.entry(owner).or_default();
        reservation.id = Some(told.id.clone());
        reservation.created = Some(told.created);
    }

    /// Finds out whose the listed reservations are that nobody was told of: holds of unknown outcome.
    fn match_lists(&mut self) {
        let history = self.history;
        for life in &history.lives {
            for (user, list) in life.list.iter().enumerate() {
                for told in list {
                    if self.owners.contains_key(&*told.id) {
                        continue;
                    }
                    if let Some(owner) = self.lost_hold(user, told) {
                        self.name(owner, told);
                    } else {
                        self.fault(format!("reservation {} is there, and nobody asked for it", told.id));
                    }
                }
            }
        }
    }

    fn lost_hold(&self, user: usize, told: &Told) -> Option<Owner> {
        self.history.operations.iter().find_map(|operation| {
            let Asked::Hold { owner, seats } = &operation.asked else { return None };
            let until = self.history.lives[operation.life].killed + CLOCKS_APART;
            let in_time = (operation.invoked.saturating_sub(CLOCKS_APART)..=until).contains(&told.created);
            let lost = operation.answered == Answered::Unknown && operation.user == user;
            let nobodys = self.reservations.get(owner).is_some_and(|reservation| reservation.id.is_none());
            (lost && nobodys && in_time && *seats == told.seats).then_some(*owner)
        })
    }

    fn push(&mut self, seat: usize, op: Op, ret: Ret, (begin, end): (u64, u64)) {
        self.projected.seats[seat].push(Step { op, ret, begin, end });
    }

    fn push_all(&mut self, owner: Owner, op: Op, ret: Ret, within: (u64, u64)) {
        for seat in self.seats_of(owner) {
            self.push(seat, op, ret, within);
        }
    }

    fn seats_of(&self, owner: Owner) -> BTreeSet<usize> {
        self.reservations.get(&owner).map(Reservation::seats).unwrap_or_default()
    }

    fn operation(&mut self, operation: &Operation) {
        // A dead server does nothing more.
        let killed = self.history.lives[operation.life].killed;
        let unknown = operation.answered == Answered::Unknown;
        let within = (operation.invoked, if unknown { killed } else { operation.returned });
        let ret = if unknown { Ret::Unknown } else { Ret::Done };

        match (&operation.asked, &operation.answered) {
            (Asked::Hold { owner, seats } | Asked::Exchange { owner, seats }, Answered::Taken(taken)) => {
                let exchange = matches!(operation.asked, Asked::Exchange { .. });
                let op = if exchange { Op::Exchange(*owner) } else { Op::Hold(*owner) };
                for &seat in seats {
                    let ret = if taken.contains(&seat) { Ret::Taken } else { Ret::Free };
                    self.push(seat, op, ret, within);
                }
            }
            (Asked::Hold { owner, seats }, Answered::Unknown) => {
                if let Some(within) = self.made(*owner, within) {
                    for &seat in seats {
                        self.push(seat, Op::Hold(*owner), Ret::Done, within);
                    }
                }
            }
            (Asked::Hold { owner, seats }, Answered::Done(_)) => {
                self.check_told(operation, seats);
                for &seat in seats {
                    self.push(seat, Op::Hold(*owner), Ret::Done, within);
                }
            }
            (Asked::Exchange { owner, seats }, Answered::Unknown | Answered::Done(_)) => {
                self.check_told(operation, seats);
                for seat in self.seats_of(*owner) {
                    let op = if seats.contains(&seat) { Op::Exchange(*owner) } else { Op::Leave(*owner) };
                    self.push(seat, op, ret, within);
                }
            }
            (Asked::Release { owner }, Answered::Unknown | Answered::Done(_)) => {
                self.push_all(*owner, Op::Leave(*owner), ret, within);
            }
            (Asked::Pay { owner }, answered) => self.pay(*owner, operation.life, answered, within),
            (Asked::Map, Answered::Map(map)) => {
                for (seat, status) in map.iter().enumerate() {
                    self.push(seat, Op::Map, Ret::Shown(*status), within);
                }
            }
            (Asked::Look { owner }, Answered::Done(Some(told))) => self.look(*owner, told, within),
            // A refusal for another reason says nothing of seats; a read without an answer, nothing at all.
            (_, _) => {}
        }
    }

    /// When a hold was made that had no answer: the lists tell. They have all reservations, over or not, so what is in none of them never was; had
    /// it been there all the same, then its seats would have been taken by nobody. It is seen once it is durable, which nobody was told either:
    /// at the latest when the life ends.
    fn made(&self, owner: Owner, (invoked, killed): (u64, u64)) -> Option<(u64, u64)> {
        let created = self.reservations.get(&owner)?.created?;
        Some((invoked.max(created.saturating_sub(CLOCKS_APART)), killed))
    }

    /// S5: what is acknowledged is what was asked for, all of it.
    fn check_told(&mut self, operation: &Operation, seats: &[usize]) {
        let Answered::Done(Some(told)) = &operation.answered else { return };
        if told.seats != seats {
            self.fault(format!(
                "S5: {} was acknowledged with other seats than those asked for: {:?}",
                told.id, operation
            ));
        }
        let is_hold = matches!(operation.asked, Asked::Hold { .. });
        if is_hold && told.expires != told.created + self.history.hold_nanos {
            self.fault(format!("S4: the hold {} has another deadline than the policy says", told.id));
        }
    }

    /// A payment goes on when the server is killed: its seats are confirmed then, or in the next life, until a list shows them confirmed or
    /// the reservation over. One that was refused may have been cancelled by another client before its answer.
    fn pay(&mut self, owner: Owner, life: usize, answered: &Answered, (begin, end): (u64, u64)) {
        match answered {
            Answered::Done(_) => self.push_all(owner, Op::Pay(owner), Ret::Done, (begin, end)),
            Answered::Unknown => {
                let history = self.history;
                let mut later = (life + 1..history.lives.len()).filter(|&life| {
                    let stands = self.in_list(owner, life).map(|told| told.stands);
                    matches!(stands, Some(Stands::Confirmed | Stands::Ended))
                });
                let known = later.next().map(|life| history.lives[life].listed.1);
                let over = history.lives.last().map_or(end, |life| life.killed);
                self.push_all(owner, Op::Pay(owner), Ret::Unknown, (begin, known.unwrap_or(over)));
            }
            Answered::Refused | Answered::Taken(_) | Answered::Map(_) => {
                self.push_all(owner, Op::Pay(owner), Ret::Unknown, (begin, end));
            }
        }
    }

    /// Returns what the list at the beginning of a life says of a reservation.
    fn in_list(&self, owner: Owner, life: usize) -> Option<&'a Told> {
        let reservation = self.reservations.get(&owner)?;
        let list = self.history.lives[life].list.get(reservation.user)?;
        list.iter().find(|told| reservation.id.as_ref() == Some(&told.id))
    }

    fn look(&mut self, owner: Owner, told: &Told, within: (u64, u64)) {
        let Some(reservation) = self.reservations.get(&owner) else { return };
        if !reservation.wanted.contains(&told.seats) {
            let seats = &told.seats;
            self.fault(format!("S5: {} has seats that nobody asked for as a whole: {seats:?}", told.id));
        }
        for seat in self.seats_of(owner) {
            let ret = match told.stands {
                Stands::Held | Stands::Paying if told.seats.contains(&seat) => Ret::Holds,
                Stands::Confirmed if told.seats.contains(&seat) => Ret::Owns,
                Stands::Held | Stands::Paying | Stands::Confirmed | Stands::Ended => Ret::Gone,
            };
            self.push(seat, Op::Look(owner), ret, within);
        }
    }

    /// What the lists after each restart say of reservations that weren't over in the list before.
    fn lists(&mut self) {
        let history = self.history;
        let mut ended = BTreeSet::new();
        for (number, life) in history.lives.iter().enumerate().skip(1) {
            let mut listed = BTreeSet::new();
            for told in life.list.iter().flatten() {
                let Some(&owner) = self.owners.get(&*told.id) else { continue };
                listed.insert(owner);
                if !ended.contains(&owner) {
                    self.look(owner, told, life.listed);
                }
                if told.stands == Stands::Ended {
                    ended.insert(owner);
                }
            }
            self.missing(number, &listed);
        }
    }

    /// An acknowledged hold that isn't in a list is missing (S3).
    fn missing(&mut self, life: usize, listed: &BTreeSet<Owner>) {
        let history = self.history;
        let killed = history.lives[life - 1].killed;
        for operation in &history.operations {
            if let Asked::Hold { owner, .. } = &operation.asked
                && let Answered::Done(Some(told)) = &operation.answered
                && operation.returned < killed
                && !listed.contains(owner)
            {
                self.fault(format!("S3: {} was acknowledged and is missing after a crash", told.id));
            }
        }
    }

    fn deadlines(&mut self) {
        let history = self.history;
        let owners: Vec<Owner> = self.reservations.keys().copied().collect();
        for owner in owners {
            let Some(created) = self.reservations[&owner].created else { continue };
            let lives = history.lives.iter().zip(history.lives.iter().skip(1));
            let before = |(life, next): &(&Life, &Life)| u64::midpoint(life.killed, next.listed.0) < created;
            let first = lives.take_while(before).count();
            let mut deadline = created + history.hold_nanos;
            self.deadline(owner, first, deadline);
            for life in first + 1..history.lives.len() {
                deadline = self.deadline_after_restart(owner, life, deadline);
            }
        }
    }

    /// The end of a hold in one life; unless it is over before, or the life is.
    fn deadline(&mut self, owner: Owner, life: usize, deadline: u64) {
        let reservation = &self.reservations[&owner];
        let (begin, end) = (deadline.saturating_sub(CLOCKS_APART), deadline + CLOCKS_APART);
        let killed = self.history.lives[life].killed;
        let next = self.history.lives.get(life + 1).map_or(killed, |next| next.ready);
        if begin > killed || reservation.settled.is_some_and(|settled| settled < begin) {
            return;
        }

        // A payment moves the deadline, and a crash may.
        let op = reservation.deadline(owner, end);
        if op != Op::Deadline(owner) || end >= killed {
            self.push_all(owner, op, Ret::Unknown, (begin, next.max(begin)));
            return;
        }

        // What was decided before the deadline is seen when it is durable, which may be later: the deadline then finds it done.
        let uses = reservation.uses.iter().filter(|(invoked, _)| *invoked < end);
        let end = uses.map(|&(_, returned)| returned).fold(end, u64::max);
        self.push_all(owner, Op::Deadline(owner), Ret::Done, (begin, end));
    }

    /// An outage moves deadlines, and only on: the list after it tells, or that the hold has ended by then.
    fn deadline_after_restart(&mut self, owner: Owner, life: usize, before: u64) -> u64 {
        let history = self.history;
        match self.in_list(owner, life) {
            Some(told) if matches!(told.stands, Stands::Held | Stands::Paying) => {
                self.deadline(owner, life, told.expires);
                told.expires
            }
            Some(told) if told.stands == Stands::Ended => {
                let (begin, end) = (before.saturating_sub(CLOCKS_APART), history.lives[life].listed.1);
                if history.lives[life - 1].killed < begin && begin <= end {
                    let op = self.reservations[&owner].deadline(owner, end);
                    self.push_all(owner, op, Ret::Unknown, (begin, end));
                }
                before
            }
            Some(_) | None => before,
        }
    }

    fn restarts(&mut self) {
        let history = self.history;
        for (life, next) in history.lives.iter().zip(history.lives.iter().skip(1)) {
            for seat in 0..history.seats.len() {
                self.push(seat, Op::Restart, Ret::Done, (life.killed, next.ready));
            }
        }
    }
}
