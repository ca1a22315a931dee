//! The rules against an independent model, at random: every decision agrees, every state agrees, and
//! replay (through the record codec, from the beginning or on top of any snapshot) agrees (R1).
//!
//! The model shares the schedule's words and none of its code: everything is a list that is scanned.

use proptest::prelude::*;
use proptest::sample::Index;

use super::inside::inside;
use super::*;
use crate::domain::venue::Grade;
use crate::record::{self, Fact};

const SEATS: u32 = 12;
const ROWS: [core::ops::Range<u32>; 2] = [0..6, 6..12];
const USERS: [&str; 3] = ["ann", "bob", "cat"];

/// A reservation as the model sees it.
#[derive(Debug, Clone)]
struct Booking {
    reference: ReservationRef,
    user: UserId,
    seats: Vec<Seat>,
    status: ReservationStatus,
    deadline: Timestamp,
    payment: Option<PaymentId>,
    moved: bool,
    /// Until when the seats are held without any payment, and until when they can be paid for by one that was given time.
    own: Timestamp,
    paid_by: Option<Timestamp>,
    recovered: bool,
    ended: Option<Timestamp>,
}

impl Booking {
    fn lives(&self) -> bool {
        matches!(
            self.status,
            ReservationStatus::Held | ReservationStatus::Paying | ReservationStatus::Confirmed
        )
    }

    fn waits(&self) -> bool {
        matches!(self.status, ReservationStatus::Held | ReservationStatus::Paying)
    }

    fn end(&mut self, status: ReservationStatus, now: Timestamp) {
        (self.status, self.ended) = (status, Some(now));
    }
}

/// A key as the model sees it.
#[derive(Debug, Clone)]
struct Kept {
    key: KeyUse,
    version: u64,
    at: Timestamp,
    answer: Answer,
}

/// What a schedule should be.
#[derive(Debug, Clone)]
struct Model {
    plan: Plan,
    limits: Limits,
    sale: SaleStatus,
    priced: bool,
    /// The first grade's price.
    price: u64,
    deleted: bool,
    ever_confirmed: bool,
    blocked: Vec<Seat>,
    bookings: Vec<Booking>,
    made: u32,
    keys: Vec<Kept>,
    events: u64,
}

/// Whether a command has an effect, or why not.
type Verdict = Result<bool, Refusal>;

impl Model {
    fn new(plan: Plan) -> Self {
        Self {
            plan,
            limits: LIMITS,
            sale: SaleStatus::Upcoming,
            priced: false,
            price: 100,
            deleted: false,
            ever_confirmed: false,
            blocked: Vec::new(),
            bookings: Vec::new(),
            made: 0,
            keys: Vec::new(),
            events: 1,
        }
    }

    fn closes(&self) -> Timestamp {
        self.plan.sales_close_at.unwrap_or(self.plan.starts_at)
    }

    /// The instants at which time alone changes something.
    fn due(&self) -> Vec<Timestamp> {
        let mut due: Vec<Timestamp> =
            self.bookings.iter().filter(|booking| booking.waits()).map(|booking| booking.deadline).collect();
        match self.sale {
            SaleStatus::Upcoming => due.extend(self.plan.sales_open_at),
            SaleStatus::Open => due.push(self.closes()),
            SaleStatus::Closed | SaleStatus::Cancelled => {}
        }
        if self.deleted { Vec::new() } else { due }
    }

    fn sale_at(&self, now: Timestamp) -> SaleStatus {
        let opens = self.sale == SaleStatus::Upcoming && self.plan.sales_open_at.is_some_and(|at| at <= now);
        match (opens || self.sale == SaleStatus::Open, self.closes() <= now) {
            (true, true) => SaleStatus::Closed,
            (true, false) => SaleStatus::Open,
            (false, _) => self.sale,
        }
    }

    /// Does what time alone brings; all of it happens at `now`.
    fn tick(&mut self, now: Timestamp) {
        if self.deleted {
            return;
        }
        let sale = self.sale_at(now);
        self.priced |= sale != self.sale;
        self.events += match (self.sale, sale) {
            (SaleStatus::Upcoming, SaleStatus::Closed) => 2,
            (old, new) => u64::from(old != new),
        };
        let mut happened = sale != self.sale;
        self.sale = sale;
        for booking in &mut self.bookings {
            if booking.waits() && booking.deadline <= now {
                booking.end(ReservationStatus::Expired, now);
                happened = true;
                self.events += 1;
            }
        }
        if happened {
            self.forget(now);
        }
    }

    /// What any event at `now` forgets.
    fn forget(&mut self, now: Timestamp) {
        let retention = self.limits.ended_retention;
        self.bookings.retain(|booking| booking.ended.is_none_or(|at| at.plus(retention) > now));
        self.keys.retain(|kept| kept.at.plus(Seconds::DAY) > now);
        let room = usize::try_from(self.limits.keys_max).unwrap();
        let surplus = self.keys.len().saturating_sub(room);
        self.keys.drain(..surplus);
    }

    fn owner(&self, seat: Seat) -> Option<&Booking> {
        self.bookings.iter().find(|booking| booking.lives() && booking.seats.contains(&seat))
    }

    fn status(&self, seat: Seat) -> SeatStatus {
        if self.blocked.contains(&seat) {
            return SeatStatus::Blocked;
        }
        match self.owner(seat) {
            None => SeatStatus::Available,
            Some(owner) if owner.status == ReservationStatus::Confirmed => SeatStatus::Reserved,
            Some(_) => SeatStatus::Held,
        }
    }

    fn is_free(&self, seat: Seat) -> bool {
        self.status(seat) == SeatStatus::Available
    }

    fn live_seats(&self, user: &UserId) -> usize {
        let own = self.bookings.iter().filter(|booking| booking.lives() && booking.user == *user);
        own.map(|booking| booking.seats.len()).sum()
    }

    fn find(&self, reference: ReservationRef) -> Result<usize, Refusal> {
        let found = self.bookings.iter().position(|booking| booking.reference == reference);
        found.ok_or(Refusal::NoSuchReservation)
    }

    fn find_for(&self, reference: ReservationRef, caller: &Caller) -> Result<usize, Refusal> {
        let index = self.find(reference)?;
        match caller {
            Caller::User(user) if self.bookings[index].user != *user => Err(Refusal::NoSuchReservation),
            Caller::Clerk => unreachable!("orders have a model of their own"),
            Caller::User(_) | Caller::Admin => Ok(index),
        }
    }

    /// The sizes and limits of a wish for `count` seats in the place of `had`, by a user who has `live` others. A plan of now may allow
    /// fewer than somebody has from before: they may have as many again.
    fn allow(&self, count: usize, had: usize, live: usize) -> Result<(), Refusal> {
        let policy = &self.plan.policy;
        let (most, most_of_user) = (policy.seats_per_reservation_max, policy.seats_per_user_max);
        if count == 0 {
            return Err(Refusal::NoSeats);
        }
        if count > usize::try_from(most).unwrap() {
            return Err(Refusal::TooManySeats { max: most });
        }
        if self.sale != SaleStatus::Open {
            return Err(Refusal::NotOpen);
        }
        if count > had && live + count > usize::try_from(most_of_user).unwrap() {
            return Err(Refusal::SeatLimitExceeded { max: most_of_user });
        }
        Ok(())
    }

    fn all_free(&self, seats: &[Seat], own: &[Seat]) -> Result<(), Refusal> {
        let taken = |seat: &&Seat| !self.is_free(**seat) && !own.contains(seat);
        let taken: Vec<Seat> = seats.iter().filter(taken).copied().collect();
        if taken.is_empty() { Ok(()) } else { Err(Refusal::SeatsUnavailable { seats: taken }) }
    }

    /// The rule of the single seat, by trying every other block of the same size in the same run.
    fn strands_nobody(&self, seats: &[Seat], own: &[Seat]) -> Result<(), Refusal> {
        if !self.plan.policy.prevent_orphan_seats {
            return Ok(());
        }
        let is_free = |seat: u32| self.is_free(Seat(seat)) || own.contains(&Seat(seat));
        let mut orphans = Vec::new();
        for row in ROWS {
            let alone = |seat: u32, taken: &dyn Fn(u32) -> bool| {
                row.contains(&seat)
                    && seat != row.start
                    && seat != row.end - 1
                    && !taken(seat)
                    && taken(seat - 1)
                    && taken(seat + 1)
            };
            let new_orphans = |taking: &dyn Fn(u32) -> bool| -> Vec<Seat> {
                let before = |seat: u32| !is_free(seat);
                let after = |seat: u32| !is_free(seat) || taking(seat);
                let is_new = |seat: &u32| alone(*seat, &after) && !alone(*seat, &before);
                row.clone().filter(is_new).map(Seat).collect()
            };
            let mut first = row.start;
            while first < row.end {
                let last = (first..row.end).find(|seat| !is_free(*seat)).unwrap_or(row.end);
                let here = |seat: u32| (first..last).contains(&seat) && seats.contains(&Seat(seat));
                let count = u32::try_from((first..last).filter(|seat| here(*seat)).count()).unwrap();
                let left = new_orphans(&here);
                let others = (first..last).filter(|start| start + count <= last);
                let fewest = others
                    .map(|start| new_orphans(&|seat| (start..start + count).contains(&seat)).len())
                    .min();
                if fewest.is_some_and(|fewest| fewest < left.len()) {
                    orphans.extend(left);
                }
                first = last + 1;
            }
        }
        if orphans.is_empty() { Ok(()) } else { Err(Refusal::OrphanSeats { seats: orphans }) }
    }

    /// Does a command and says what comes of it; `chosen` are the seats that the search found.
    fn run(&mut self, command: &AnyCommand, now: Timestamp, chosen: Option<&[Seat]>) -> Verdict {
        if self.deleted {
            return Err(Refusal::NoSuchReservation);
        }
        let verdict = self.decide(command, now, chosen);
        if verdict == Ok(true) {
            self.events += 1;
            self.forget(now);
        }
        verdict
    }

    fn decide(&mut self, command: &AnyCommand, now: Timestamp, chosen: Option<&[Seat]>) -> Verdict {
        match command {
            AnyCommand::Callers(Command::Hold { user, wish, nonce }) => {
                self.hold(user, wish, *nonce, now, chosen)
            }
            AnyCommand::Callers(Command::Exchange { reservation, caller, wish }) => match &wish.pick {
                Pick::Seats(seats) => self.exchange(*reservation, caller, seats),
                Pick::None | Pick::Best(_) => unreachable!("exchanges are for seats"),
            },
            AnyCommand::Callers(Command::Release { reservation, caller }) => {
                self.release(*reservation, caller, now)
            }
            AnyCommand::BeginPayment { reservation, caller, payment, takes_time } => {
                self.begin(*reservation, caller, *payment, *takes_time, now)
            }
            AnyCommand::FailPayment { reservation, payment } => {
                let index = self.find(*reservation)?;
                let booking = &mut self.bookings[index];
                if booking.status != ReservationStatus::Paying || booking.payment != Some(*payment) {
                    return Ok(false);
                }
                (booking.status, booking.payment) = (ReservationStatus::Held, None);
                booking.deadline = booking.own;
                Ok(true)
            }
            AnyCommand::Confirm { reservation, payment } => self.confirm(*reservation, *payment, now),
            AnyCommand::ConfirmTaken { reservation, payment, amount } => {
                self.confirm_taken(*reservation, *payment, amount.minor(), now)
            }
            AnyCommand::Open => {
                if self.sale == SaleStatus::Open {
                    return Ok(false);
                }
                if self.sale == SaleStatus::Cancelled || self.closes() <= now {
                    return Err(Refusal::InvalidTransition);
                }
                (self.sale, self.priced) = (SaleStatus::Open, true);
                Ok(true)
            }
            AnyCommand::Reprice { prices } => {
                let in_a_moment = after(now, 5_000);
                if self.priced || self.sale_at(in_a_moment) != self.sale {
                    return Err(Refusal::PricesFixed);
                }
                Ok(self.set_price(prices))
            }
            AnyCommand::SetPrices { prices } => Ok(self.set_price(prices)),
            AnyCommand::Callers(Command::Close) => match self.sale {
                SaleStatus::Upcoming | SaleStatus::Cancelled => Err(Refusal::InvalidTransition),
                SaleStatus::Closed => Ok(false),
                SaleStatus::Open => {
                    self.sale = SaleStatus::Closed;
                    Ok(true)
                }
            },
            AnyCommand::Callers(
                Command::Order(_)
                | Command::PutCode { .. }
                | Command::MakeCodes { .. }
                | Command::EndCode { .. }
                | Command::SetAllotment { .. }
                | Command::ReleaseAllotment { .. },
            ) => unreachable!("they have models of their own"),
            AnyCommand::Callers(Command::Cancel) => Ok(self.cancel(now)),
            AnyCommand::Callers(Command::Block { seats }) => self.block(seats, true),
            AnyCommand::Callers(Command::Unblock { seats }) => self.block(seats, false),
            AnyCommand::Replan { plan, .. } => {
                let changes = **plan != self.plan;
                self.plan = Plan::clone(plan);
                Ok(changes)
            }
            AnyCommand::SetLimits { limits } => Ok(core::mem::replace(&mut self.limits, *limits) != *limits),
            AnyCommand::BridgeOutage { down_since, .. } => Ok(self.bridge(*down_since, now)),
            AnyCommand::Delete => {
                if self.ever_confirmed || self.bookings.iter().any(Booking::lives) {
                    return Err(Refusal::InUse);
                }
                self.deleted = true;
                Ok(true)
            }
            AnyCommand::Archive { .. } => unreachable!("what moves to the archive is for its own tests"),
        }
    }

    fn set_price(&mut self, prices: &Prices) -> bool {
        let price = prices.by_grade[0].minor();
        !self.priced && core::mem::replace(&mut self.price, price) != price
    }

    fn hold(
        &mut self,
        user: &UserId,
        wish: &Wish,
        nonce: u64,
        now: Timestamp,
        chosen: Option<&[Seat]>,
    ) -> Verdict {
        let count = match &wish.pick {
            Pick::Seats(seats) => seats.len(),
            Pick::Best(best) => usize::try_from(best.count).unwrap(),
            Pick::None => 0,
        };
        self.allow(count, 0, self.live_seats(user))?;
        let seats = match &wish.pick {
            Pick::None => vec![],
            Pick::Seats(seats) => {
                self.all_free(seats, &[])?;
                self.strands_nobody(seats, &[])?;
                seats.to_vec()
            }
            Pick::Best(best) => self.best(best.grade, count, chosen)?,
        };
        self.made += 1;
        self.bookings.push(Booking {
            reference: ReservationRef { number: ReservationNumber(self.made), nonce },
            user: user.clone(),
            seats,
            status: ReservationStatus::Held,
            deadline: now.plus(self.plan.policy.hold),
            payment: None,
            moved: false,
            own: now.plus(self.plan.policy.hold),
            paid_by: None,
            recovered: false,
            ended: None,
        });
        Ok(true)
    }

    /// The search has tests of its own: here its answer only has to be one that may be given.
    fn best(
        &self,
        grade: Option<Grade>,
        count: usize,
        chosen: Option<&[Seat]>,
    ) -> Result<Vec<Seat>, Refusal> {
        let rows = ROWS.iter().enumerate();
        let mut rows = rows.filter(|(row, _)| grade.is_none_or(|grade| grade.index() == *row));
        let free = |row: &core::ops::Range<u32>| row.clone().filter(|seat| self.is_free(Seat(*seat))).count();
        let all: usize = rows.clone().map(|(_, row)| free(row)).sum();
        let Some(chosen) = chosen.filter(|_| all >= count) else {
            assert!(chosen.is_none() && all < count, "enough seats are found exactly when there are enough");
            return Err(Refusal::NotEnoughSeats);
        };
        assert_eq!(chosen.len(), count);
        assert!(chosen.is_sorted_by(|one, next| one < next), "seats are found once each");
        assert!(chosen.iter().all(|seat| self.is_free(*seat)));
        assert!(chosen.iter().all(|seat| rows.clone().any(|(_, row)| row.contains(&seat.0))));
        let size = u32::try_from(count).unwrap();
        let has_room = |row: &core::ops::Range<u32>| {
            let starts = row.clone().filter(|start| start + size <= row.end);
            starts.into_iter().any(|start| (start..start + size).all(|seat| self.is_free(Seat(seat))))
        };
        let together = chosen[count - 1].0 - chosen[0].0 + 1 == size;
        assert_eq!(
            together
                && ROWS.iter().any(|row| row.contains(&chosen[0].0) && row.contains(&chosen[count - 1].0)),
            rows.any(|(_, row)| has_room(row)),
            "a party sits together where a row has room"
        );
        self.strands_nobody(chosen, &[]).expect("what is offered strands nobody");
        Ok(chosen.to_vec())
    }

    fn exchange(&mut self, reference: ReservationRef, caller: &Caller, seats: &[Seat]) -> Verdict {
        let index = self.find_for(reference, caller)?;
        let booking = self.bookings[index].clone();
        if booking.status == ReservationStatus::Expired {
            return Err(Refusal::Expired);
        }
        if booking.status != ReservationStatus::Held {
            return Err(Refusal::NotHeld);
        }
        let had = booking.seats.len();
        self.allow(seats.len(), had, self.live_seats(&booking.user) - had)?;
        self.all_free(seats, &booking.seats)?;
        if booking.seats == seats {
            return Ok(false);
        }
        self.strands_nobody(seats, &booking.seats)?;
        self.bookings[index].seats = seats.to_vec();
        Ok(true)
    }

    fn release(&mut self, reference: ReservationRef, caller: &Caller, now: Timestamp) -> Verdict {
        let index = self.find_for(reference, caller)?;
        match self.bookings[index].status {
            ReservationStatus::Released | ReservationStatus::Cancelled => return Ok(false),
            ReservationStatus::Paying | ReservationStatus::Expired => return Err(Refusal::NotHeld),
            ReservationStatus::Held => self.bookings[index].end(ReservationStatus::Released, now),
            ReservationStatus::Confirmed => {
                let window = self.plan.policy.cancel_until_before_start;
                if *caller != Caller::Admin && now.plus(window) > self.plan.starts_at {
                    return Err(Refusal::CancellationClosed);
                }
                self.bookings[index].end(ReservationStatus::Cancelled, now);
            }
        }
        Ok(true)
    }

    fn begin(
        &mut self,
        reference: ReservationRef,
        caller: &Caller,
        id: PaymentId,
        takes_time: bool,
        now: Timestamp,
    ) -> Verdict {
        let index = self.find_for(reference, caller)?;
        let limit = now.plus(self.plan.policy.payment);
        let booking = &mut self.bookings[index];
        match booking.status {
            ReservationStatus::Paying if booking.payment == Some(id) => return Ok(false),
            ReservationStatus::Expired => return Err(Refusal::Expired),
            ReservationStatus::Held => {}
            ReservationStatus::Paying
            | ReservationStatus::Confirmed
            | ReservationStatus::Cancelled
            | ReservationStatus::Released => return Err(Refusal::NotHeld),
        }
        (booking.status, booking.payment) = (ReservationStatus::Paying, Some(id));
        if takes_time {
            // The first payment that needs more time sets the time of all.
            if booking.paid_by.is_none() && limit > booking.own {
                (booking.moved, booking.paid_by) = (true, Some(limit));
            }
            booking.deadline = booking.paid_by.unwrap_or(booking.own);
        }
        Ok(true)
    }

    fn confirm(&mut self, reference: ReservationRef, payment: PaymentId, now: Timestamp) -> Verdict {
        let index = self.find(reference)?;
        let booking = &self.bookings[index];
        if booking.payment != Some(payment) {
            return Err(Refusal::PaymentNotUnderWay);
        }
        match booking.status {
            ReservationStatus::Confirmed | ReservationStatus::Cancelled => return Ok(false),
            ReservationStatus::Paying => {}
            ReservationStatus::Expired => self.comes_back(booking, now)?,
            ReservationStatus::Held | ReservationStatus::Released => return Err(Refusal::NotHeld),
        }
        self.confirmed(index, payment);
        Ok(true)
    }

    fn confirm_taken(
        &mut self,
        reference: ReservationRef,
        payment: PaymentId,
        amount: u64,
        now: Timestamp,
    ) -> Verdict {
        let index = self.find(reference)?;
        let booking = &self.bookings[index];
        match (booking.payment, booking.status) {
            (Some(other), _) if other != payment => return Err(Refusal::PaymentNotUnderWay),
            (_, ReservationStatus::Confirmed | ReservationStatus::Cancelled) => return Ok(false),
            (_, ReservationStatus::Held) => {}
            (_, ReservationStatus::Expired) => self.comes_back(booking, now)?,
            (_, ReservationStatus::Paying | ReservationStatus::Released) => return Err(Refusal::NotHeld),
        }
        let price = |seat: &Seat| if ROWS[0].contains(&seat.0) { self.price } else { 70 };
        if booking.seats.iter().map(price).sum::<u64>() != amount {
            return Err(Refusal::OtherAmount);
        }
        self.confirmed(index, payment);
        Ok(true)
    }

    /// Whether seats that went back on sale can be had for money that came too late.
    fn comes_back(&self, booking: &Booking, now: Timestamp) -> Result<(), Refusal> {
        if self.sale == SaleStatus::Cancelled || now >= self.plan.starts_at {
            return Err(Refusal::Expired);
        }
        self.all_free(&booking.seats, &[])
    }

    fn confirmed(&mut self, index: usize, payment: PaymentId) {
        let booking = &mut self.bookings[index];
        (booking.status, booking.ended, booking.payment) =
            (ReservationStatus::Confirmed, None, Some(payment));
        self.ever_confirmed = true;
    }

    fn cancel(&mut self, now: Timestamp) -> bool {
        if self.sale == SaleStatus::Cancelled {
            return false;
        }
        self.sale = SaleStatus::Cancelled;
        for booking in self.bookings.iter_mut().filter(|booking| booking.lives()) {
            let confirmed = booking.status == ReservationStatus::Confirmed;
            let status = if confirmed { ReservationStatus::Cancelled } else { ReservationStatus::Released };
            booking.end(status, now);
        }
        true
    }

    fn block(&mut self, seats: &[Seat], block: bool) -> Verdict {
        if seats.is_empty() {
            return Err(Refusal::NoSeats);
        }
        if self.sale == SaleStatus::Cancelled {
            return Err(Refusal::InvalidTransition);
        }
        let taken: Vec<Seat> = seats.iter().filter(|seat| self.owner(**seat).is_some()).copied().collect();
        if !taken.is_empty() {
            return Err(Refusal::SeatsUnavailable { seats: taken });
        }
        let before = self.blocked.len();
        self.blocked.retain(|seat| !seats.contains(seat));
        if block {
            self.blocked.extend(seats);
        }
        Ok(self.blocked.len() != before)
    }

    fn bridge(&mut self, down_since: Timestamp, ready: Timestamp) -> bool {
        let down = ready.as_millis() - down_since.as_millis();
        let grace = ready.plus(self.plan.policy.recovery_grace);
        let mut any = false;
        for booking in self.bookings.iter_mut().filter(|booking| booking.waits()) {
            if booking.deadline <= down_since {
                continue;
            }
            any = true;
            booking.recovered = true;
            let paying = booking.paid_by == Some(booking.deadline);
            for deadline in core::iter::once(&mut booking.own).chain(booking.paid_by.as_mut()) {
                let (passed_before, ended_meanwhile) = (*deadline <= down_since, *deadline <= ready);
                if passed_before {
                    continue;
                }
                *deadline = after(*deadline, down);
                if ended_meanwhile && *deadline < grace {
                    *deadline = grace;
                }
            }
            booking.deadline = if paying { booking.paid_by.unwrap() } else { booking.own };
        }
        any
    }
}

/// How much time goes by before a step.
#[derive(Debug, Clone)]
enum Pause {
    None,
    Millis(u64),
    /// To one of the instants at which something changes, or a millisecond before or after it.
    Due(Index, i64),
}

/// Who asks about a reservation.
#[derive(Debug, Clone, Copy)]
enum Who {
    Owner,
    User(usize),
    Admin,
}

/// What is asked, before it is known which reservations there are.
#[derive(Debug, Clone)]
enum Ask {
    Hold {
        user: usize,
        seats: Vec<Seat>,
    },
    Best {
        user: usize,
        grade: Option<u16>,
        count: u32,
    },
    Exchange {
        which: Index,
        who: Who,
        seats: Vec<Seat>,
    },
    /// The seats that the reservation has, and some more.
    Grow {
        which: Index,
        seats: Vec<Seat>,
    },
    Release {
        which: Index,
        who: Who,
    },
    Begin {
        which: Index,
        who: Who,
        payment: u128,
        takes_time: bool,
    },
    Fail {
        which: Index,
        payment: u128,
    },
    Confirm {
        which: Index,
        payment: u128,
    },
    ConfirmTaken {
        which: Index,
        payment: u128,
        /// By how much the amount is above what the seats cost.
        more: u64,
    },
    Open,
    Reprice(u64),
    SetPrices(u64),
    Close,
    Cancel,
    Block(Vec<Seat>),
    Unblock(Vec<Seat>),
    Replan(Box<Change>),
    SetLimits(Limits),
    /// No timer fires for a while, then the engine is down.
    Outage {
        late: Pause,
        down: Pause,
    },
    Delete,
}

#[derive(Debug, Clone)]
struct Change {
    prevent_orphan_seats: bool,
    seats_per_reservation_max: u32,
    seats_per_user_max: u32,
    /// Minutes after the start of the test.
    closes: Option<u64>,
    starts: u64,
}

#[derive(Debug, Clone)]
struct Step {
    pause: Pause,
    ask: Ask,
    key: Option<KeyUse>,
    /// Whether the follower forgets all but a snapshot after this step.
    restart: bool,
}

fn seats(most: usize) -> impl Strategy<Value = Vec<Seat>> {
    let near = (0..SEATS, 1..=most).prop_map(|(first, count)| (first..SEATS).take(count).map(Seat).collect());
    let any = prop::sample::subsequence((0..SEATS).collect::<Vec<_>>(), 0..=most)
        .prop_shuffle()
        .prop_map(|seats| seats.into_iter().map(Seat).collect());
    prop_oneof![3 => near, 1 => any]
}

fn asks() -> impl Strategy<Value = Ask> {
    let who =
        prop_oneof![4 => Just(Who::Owner), 2 => (0..USERS.len()).prop_map(Who::User), 1 => Just(Who::Admin)];
    let (which, payment) = (any::<Index>(), prop_oneof![5 => Just(1_u128), 1 => Just(2)]);
    let closes = prop::option::weighted(0.5, 30..200_u64);
    let change = (any::<bool>(), 1..=4_u32, 2..=6_u32, closes, 90..200_u64).prop_map(
        |(prevent_orphan_seats, seats_per_reservation_max, seats_per_user_max, closes, starts)| {
            let limits = (seats_per_reservation_max, seats_per_user_max);
            let (seats_per_reservation_max, seats_per_user_max) = limits;
            Change { prevent_orphan_seats, seats_per_reservation_max, seats_per_user_max, closes, starts }
        },
    );
    let limits = (60..4_000_u32, 1..8_u32)
        .prop_map(|(retention, keys_max)| Limits { ended_retention: Seconds::new(retention), keys_max });
    prop_oneof![
        30 => (0..USERS.len(), seats(4)).prop_map(|(user, seats)| Ask::Hold { user, seats }),
        10 => (0..USERS.len(), prop::option::of(0..2_u16), 0..=4_u32)
            .prop_map(|(user, grade, count)| Ask::Best { user, grade, count }),
        12 => (which.clone(), who.clone(), seats(4))
            .prop_map(|(which, who, seats)| Ask::Exchange { which, who, seats }),
        6 => (which.clone(), seats(2)).prop_map(|(which, seats)| Ask::Grow { which, seats }),
        12 => (which.clone(), who.clone()).prop_map(|(which, who)| Ask::Release { which, who }),
        24 => (which.clone(), who, payment.clone(), prop::bool::weighted(0.7))
            .prop_map(|(which, who, payment, takes_time)| Ask::Begin { which, who, payment, takes_time }),
        6 => (which.clone(), payment.clone()).prop_map(|(which, payment)| Ask::Fail { which, payment }),
        20 => (which.clone(), payment.clone()).prop_map(|(which, payment)| Ask::Confirm { which, payment }),
        6 => (which, payment, prop_oneof![4 => Just(0), 1 => Just(1_u64)])
            .prop_map(|(which, payment, more)| Ask::ConfirmTaken { which, payment, more }),
        5 => Just(Ask::Open),
        2 => (100..104_u64).prop_map(Ask::Reprice),
        2 => (100..104_u64).prop_map(Ask::SetPrices),
        2 => Just(Ask::Close),
        1 => Just(Ask::Cancel),
        4 => seats(3).prop_map(Ask::Block),
        3 => seats(3).prop_map(Ask::Unblock),
        3 => change.prop_map(|change| Ask::Replan(Box::new(change))),
        2 => limits.prop_map(Ask::SetLimits),
        6 => (pauses(20_000), pauses(2_000_000)).prop_map(|(late, down)| Ask::Outage { late, down }),
        1 => Just(Ask::Delete),
    ]
}

fn pauses(longest: u64) -> impl Strategy<Value = Pause> {
    prop_oneof![
        8 => Just(Pause::None),
        8 => (0..longest).prop_map(Pause::Millis),
        6 => (any::<Index>(), -1..=1_i64).prop_map(|(which, off)| Pause::Due(which, off)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![
        22 => pauses(40_000),
        1 => (0..1_800_000_u64).prop_map(Pause::Millis),
        // Past the day for which keys are kept; rarely, since it ends the sale too.
        1 => prop_oneof![9 => Just(0_u64), 1 => DAY - 10..DAY + 10].prop_map(Pause::Millis),
    ];
    let key = (0..6_u128, prop_oneof![4 => Just(7_u128), 1 => Just(8_u128)])
        .prop_map(|(digest, fingerprint)| KeyUse { digest, fingerprint });
    let step = (pause, asks(), prop::option::weighted(0.3, key), any::<bool>())
        .prop_map(|(pause, ask, key, restart)| Step { pause, ask, key, restart });
    prop::collection::vec(step, 1..=60)
}

/// The schedule, its model, and who follow it by what the journal would hold.
struct World {
    sale: Sale,
    model: Model,
    /// Replays every record from the beginning.
    replayed: Schedule,
    /// Replays every record too, but often starts again from a snapshot.
    follower: Schedule,
    references: Vec<ReservationRef>,
}

impl World {
    fn new() -> Self {
        let mut plan = plan();
        plan.starts_at = after(START, 100 * 60_000);
        plan.ends_at = after(START, 1_000 * 60_000);
        plan.sales_open_at = Some(after(START, 10_000));
        plan.policy.seats_per_user_max = 5;
        plan.policy.cancel_until_before_start = Seconds::new(1_800);
        let sale = Sale::planned(plan.clone());
        let replayed = Schedule::create(decode_creation(&sale.schedule), layout(), START);
        let follower = replayed.clone();
        Self { sale, model: Model::new(plan), replayed, follower, references: Vec::new() }
    }

    /// One of the last few reservations, or (seldom) an id that was never given.
    fn which(&self, index: Index) -> ReservationRef {
        let unknown = ReservationRef { number: ReservationNumber(1), nonce: 1 };
        let index = index.index(9) / 2;
        self.references.iter().rev().chain([&unknown]).nth(index).copied().unwrap_or(unknown)
    }

    fn which_for(&self, index: Index, who: Who) -> (ReservationRef, Caller) {
        let reservation = self.which(index);
        let owner = || Some(Caller::User(self.sale.schedule.reservation(reservation)?.user.clone()?));
        let caller = match who {
            Who::Owner => owner().unwrap_or(Caller::Admin),
            Who::User(user) => by(USERS[user]),
            Who::Admin => Caller::Admin,
        };
        (reservation, caller)
    }

    /// Mostly what is being paid or was paid too late: the rest is refused all alike.
    fn which_paying(&self, index: Index, payment: u128) -> (ReservationRef, PaymentId) {
        let pays = |booking: &Booking| Some((booking.reference, booking.payment?));
        let paying: Vec<_> = self.model.bookings.iter().filter_map(pays).collect();
        if payment == 1 && !paying.is_empty() {
            return *index.get(&paying);
        }
        (self.which(index), PaymentId::from_bits(payment))
    }

    fn command(&mut self, ask: &Ask) -> AnyCommand {
        match ask.clone() {
            Ask::Hold { user, seats } => self.sale.wish(USERS[user], Wish::seats(seats)).into(),
            Ask::Best { user, grade, count } => {
                self.sale.wish(USERS[user], Wish::best_of(grade.map(Grade), count)).into()
            }
            Ask::Exchange { which, who, seats } => {
                let (reservation, caller) = self.which_for(which, who);
                Command::Exchange { reservation, caller, wish: Wish::seats(seats) }.into()
            }
            Ask::Grow { which, mut seats } => {
                let reservation = self.which(which);
                let own = self.sale.schedule.reservation(reservation).map(|own| own.seats.to_vec());
                let own = own.unwrap_or_default();
                seats.retain(|seat| !own.contains(seat));
                let seats: Vec<Seat> = own.into_iter().skip(seats.len() % 2).chain(seats).collect();
                let wish = Wish::seats(seats);
                Command::Exchange { reservation, caller: Caller::Admin, wish }.into()
            }
            Ask::Release { which, who } => {
                let (reservation, caller) = self.which_for(which, who);
                Command::Release { reservation, caller }.into()
            }
            Ask::Begin { which, who, payment, takes_time } => {
                let (reservation, caller) = self.which_for(which, who);
                let payment = PaymentId::from_bits(payment);
                AnyCommand::BeginPayment { reservation, caller, payment, takes_time }
            }
            Ask::Fail { which, payment } => {
                let (reservation, payment) = self.which_paying(which, payment);
                AnyCommand::FailPayment { reservation, payment }
            }
            Ask::Confirm { which, payment } => {
                let (reservation, payment) = self.which_paying(which, payment);
                AnyCommand::Confirm { reservation, payment }
            }
            Ask::ConfirmTaken { which, payment, more } => {
                let reservation = self.which(which);
                let own = self.sale.schedule.reservation(reservation);
                let cost = own.map_or(1, |own| self.sale.schedule.amount(&own.seats).minor());
                let amount = Money::new(cost + more).unwrap();
                AnyCommand::ConfirmTaken { reservation, payment: PaymentId::from_bits(payment), amount }
            }
            Ask::Open => AnyCommand::Open,
            Ask::Reprice(price) => AnyCommand::Reprice { prices: prices(price) },
            Ask::SetPrices(price) => AnyCommand::SetPrices { prices: prices(price) },
            Ask::Close => Command::Close.into(),
            Ask::Cancel => Command::Cancel.into(),
            Ask::Block(seats) => Command::Block { seats: seats.into() }.into(),
            Ask::Unblock(seats) => Command::Unblock { seats: seats.into() }.into(),
            Ask::Replan(change) => {
                let mut plan = self.model.plan.clone();
                plan.sales_close_at = change.closes.map(|minutes| after(START, minutes * 60_000));
                plan.starts_at = after(START, change.starts * 60_000);
                plan.policy.prevent_orphan_seats = change.prevent_orphan_seats;
                plan.policy.seats_per_reservation_max = change.seats_per_reservation_max;
                plan.policy.seats_per_user_max = change.seats_per_user_max;
                let concert = self.sale.schedule.concert().clone();
                AnyCommand::Replan { concert, plan: Arc::new(plan) }
            }
            Ask::SetLimits(limits) => AnyCommand::SetLimits { limits },
            Ask::Outage { late, .. } => {
                let down_since = self.end_of(&late, self.sale.now);
                AnyCommand::BridgeOutage { began: down_since, down_since }
            }
            Ask::Delete => AnyCommand::Delete,
        }
    }

    /// The instant at which a pause from `now` ends.
    fn end_of(&self, pause: &Pause, now: Timestamp) -> Timestamp {
        match pause {
            Pause::None => now,
            Pause::Millis(millis) => after(now, *millis),
            Pause::Due(which, off) => {
                let mut instants = self.model.due();
                instants.extend(self.model.bookings.iter().map(|booking| booking.own));
                let plan = &self.model.plan;
                instants
                    .extend([plan.starts_at, plan.starts_at.minus(plan.policy.cancel_until_before_start)]);
                let ended = self.model.bookings.iter().filter_map(|booking| booking.ended);
                instants.extend(ended.map(|at| at.plus(self.model.limits.ended_retention)));
                instants.retain(|at| *at >= now);
                let at = if instants.is_empty() { now } else { *which.get(&instants) };
                Timestamp::from_millis(at.as_millis().saturating_add_signed(*off)).max(now)
            }
        }
    }

    /// Brings an event to everyone who follows, as the journal's bytes.
    fn follow(&mut self, event: &Event, key: Option<KeyUse>) {
        let (version, at) = (self.sale.schedule.version(), self.sale.now);
        let mut bytes = Vec::new();
        record::encode_fact(
            &mut bytes,
            version,
            at,
            key,
            record::FactRef::Schedule(ScheduleNumber(7), event),
        );
        let record = record::decode(&bytes).unwrap();
        assert_eq!((record.version, record.at, record.key), (version, at, key));
        let Fact::Schedule(ScheduleNumber(7), event) = record.fact else { panic!("another stream's") };
        self.replayed.apply(&event, record.at, record.key);
        self.follower.apply(&event, record.at, record.key);
        assert!(self.replayed == self.sale.schedule, "R1: replay is what happened");
        assert!(self.follower == self.sale.schedule, "R1: a snapshot and replay are what happened");
        assert_eq!(self.follower.changed(), self.sale.schedule.changed());
    }

    fn tick(&mut self) {
        while let Some(event) = self.sale.schedule.due(self.sale.now) {
            self.sale.apply(&event, None);
            self.follow(&event, None);
        }
        self.model.tick(self.sale.now);
        self.check();
    }

    fn step(&mut self, step: &Step) {
        self.sale.at(self.end_of(&step.pause, self.sale.now));
        let command = self.command(&step.ask);
        if let (Ask::Outage { down, .. }, AnyCommand::BridgeOutage { down_since, .. }) = (&step.ask, &command)
        {
            // Nothing fires while the engine is down, nor did what was due shortly before.
            self.sale.at(self.end_of(down, *down_since));
        } else {
            self.tick();
        }
        // A removal's key is the catalogue's, and nobody asks for an outage.
        let internal = matches!(command, AnyCommand::Delete | AnyCommand::BridgeOutage { .. });
        let key = step.key.filter(|_| !internal);
        if !self.answered_before(key) {
            self.decide(&command, key);
        }
        self.tick();
        let inside_of = inside(&self.sale.schedule);
        assert_eq!(inside(&self.follower), inside_of, "R1: a snapshot and replay are what happened");
        if step.restart {
            self.restart();
        }
    }

    /// Tells whether the key has its effect already, after checking that the model thinks so too.
    fn answered_before(&self, key: Option<KeyUse>) -> bool {
        let Some(key) = key else { return false };
        let now = self.sale.now;
        let kept = self.model.keys.iter().filter(|kept| kept.at.plus(Seconds::DAY) > now);
        let expected = kept.clone().find(|kept| kept.key.digest == key.digest).map(|kept| {
            let Kept { answer, version, .. } = kept;
            let same = kept.key.fingerprint == key.fingerprint;
            if same { KeyFound::Answered { answer, version: *version } } else { KeyFound::Reused }
        });
        let found = self.sale.schedule.find_key(key, now);
        assert_eq!(found, expected, "I1: one key, one answer");
        found.is_some()
    }

    fn decide(&mut self, command: &AnyCommand, key: Option<KeyUse>) {
        let (schedule, now) = (&self.sale.schedule, self.sale.now);
        let decided = schedule.decide(command, now);
        assert_eq!(
            decided,
            schedule.decide(command, now),
            "a decision changes nothing and is always the same"
        );
        let chosen = match &decided {
            Ok(Some(Event::SeatsHeld { seats, .. })) => Some(&**seats),
            Ok(_) | Err(_) => None,
        };
        let verdict = self.model.run(command, now, chosen);
        let effect = decided.as_ref().map(Option::is_some).map_err(Clone::clone);
        assert_eq!(effect, verdict, "{command:?}");
        let Ok(Some(event)) = decided else { return };
        if let Event::SeatsHeld { number, nonce, .. } = event {
            self.references.push(ReservationRef { number, nonce });
        }
        let touched = touched(&event);
        self.sale.apply(&event, key);
        self.follow(&event, key);
        if let Some(key) = key {
            let answer = self.sale.schedule.answer(touched);
            let version = self.sale.schedule.version();
            self.model.keys.push(Kept { key, version, at: now, answer });
            self.model.forget(now);
        }
    }

    /// Forgets everything but what a snapshot keeps.
    fn restart(&mut self) {
        if self.model.deleted {
            return;
        }
        let image = Image::of(&self.follower);
        let bytes = record::encode_schedule(&image);
        let read = record::decode_schedule(&bytes).unwrap();
        assert_eq!(read, image);
        self.follower = read.restore(layout());
        self.follower.check_invariants();
        assert_eq!(inside(&self.follower), inside(&self.sale.schedule), "R1: a snapshot is the state");
    }

    fn check(&self) {
        let (schedule, model, now) = (&self.sale.schedule, &self.model, self.sale.now);
        schedule.check_invariants();
        let mut counts = [0; 4];
        for seat in (0..SEATS).map(Seat) {
            let status = schedule.statuses()[seat.index()];
            assert_eq!(status, model.status(seat), "S2: {seat:?}");
            counts[SeatStatus::ALL.iter().position(|one| *one == status).unwrap()] += 1;
            let lists = |own: &&Reservation| own.status.is_live() && own.seats.contains(&seat);
            let owners: Vec<_> = schedule.reservations().filter(lists).map(|own| own.number).collect();
            assert!(owners.len() <= 1, "S1: {seat:?} belongs to {owners:?}");
            assert_eq!(schedule.owner(seat).map(|own| own.number), owners.first().copied());
        }
        assert_eq!(SeatStatus::ALL.map(|status| schedule.counts().of(status)), counts, "S2");
        assert_eq!(schedule.reservations().count(), model.bookings.len(), "none is lost or kept too long");
        for booking in &model.bookings {
            let own = schedule.reservation(booking.reference).expect("it is kept");
            assert_eq!(own.user.as_ref(), Some(&booking.user));
            assert_eq!(*own.seats, *booking.seats, "S5");
            assert_eq!((own.status, own.expires_at), (booking.status, booking.deadline), "S4");
            assert!(
                !own.status.has_deadline() || own.expires_at > now,
                "S4: nothing lives past its deadline"
            );
            assert_eq!(own.payment, booking.payment);
            assert_eq!((own.recovered, own.deadline_moved), (booking.recovered, booking.moved));
            assert_eq!(own.ended_at, booking.ended);
        }
        let due = model.due();
        assert_eq!(schedule.next_due(), due.iter().min().copied());
        assert_eq!(schedule.version(), model.events);
        assert_eq!(schedule.keys().len(), model.keys.len(), "I1: as many keys as there is room and time for");
        assert_eq!(schedule.is_deleted(), model.deleted);
        assert_eq!(Image::of(schedule).ever_confirmed, model.ever_confirmed);
        if model.deleted {
            return;
        }
        for at in due.iter().flat_map(|at| [before(*at, 1), *at]).chain([now, after(now, DAY)]) {
            assert_eq!(schedule.sale_at(at.max(now)), model.sale_at(at.max(now)));
        }
        assert_eq!(schedule.sale_at(now), schedule.summary().status);
        assert_eq!(schedule.has_opened_by(now), model.priced);
        assert_eq!(schedule.prices(), Some(&prices(model.price)), "bound, once the sale opened");
    }
}

/// The reservation that an event is about, whose state is the answer.
fn touched(event: &Event) -> Option<ReservationNumber> {
    match event {
        Event::SeatsHeld { number, .. }
        | Event::Ordered { number, .. }
        | Event::SeatsExchanged { number, .. }
        | Event::HoldReleased { number }
        | Event::HoldExpired { number }
        | Event::PaymentBegun { number, .. }
        | Event::PaymentFailed { number, .. }
        | Event::ReservationConfirmed { number, .. }
        | Event::ReservationCancelled { number } => Some(*number),
        Event::Created(_)
        | Event::Replanned { .. }
        | Event::LimitsSet { .. }
        | Event::SalesOpened { .. }
        | Event::SalesClosed
        | Event::ScheduleCancelled
        | Event::Deleted
        | Event::Archived { .. }
        | Event::SeatsBlocked { .. }
        | Event::SeatsUnblocked { .. }
        | Event::OutageBridged { .. }
        | Event::PricesSet { .. }
        | Event::PhaseOpened { .. }
        | Event::PhaseClosed { .. }
        | Event::CodePut { .. }
        | Event::CodesMade { .. }
        | Event::CodeEnded { .. }
        | Event::AllotmentSet { .. }
        | Event::AllotmentReleased { .. }
        | Event::KeyKept { .. } => None,
    }
}

/// What a fresh schedule was created with, through the codec.
fn decode_creation(schedule: &Schedule) -> Creation {
    let event = Event::Created(Box::new(creation(Plan::clone(schedule.plan()))));
    let mut bytes = Vec::new();
    record::encode_fact(&mut bytes, 1, START, None, record::FactRef::Schedule(ScheduleNumber(7), &event));
    let Fact::Schedule(_, Event::Created(creation)) = record::decode(&bytes).unwrap().fact else {
        panic!("another event")
    };
    *creation
}

proptest! {
    // A few seconds where nothing is optimised.
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn a_schedule_does_what_its_model_does_and_replay_does_what_it_did(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
    }
}
