//! Orders beside holds, exchanges, payments, cancellations, blocked seats, allotments and areas, against a model of their own, at random:
//! each decision agrees, and so does every seat, area, reservation and payment; no order is ever forgotten; and replay through the record
//! codec, from the beginning or from an image, ends in the same state.
//!
//! The model shares the schedule's words and none of its code. It keeps lists, and counts by scanning them. Which of the free places are
//! the best is the search's own tests' to say.

use proptest::prelude::*;

use super::areas::{LAWN, PIT, layout_with_areas, places, plan_with_areas, prices_with_areas};
use super::journal::Journal;
use super::orders::order_of;
use super::*;
use crate::domain::ids::AllotmentId;
use crate::domain::payments::{OrderPayment, State};
use crate::domain::schedule::allotments::AllotmentTerms;
use crate::domain::schedule::orders::{OrderMethod, OrderWish};
use crate::domain::schedule::terms::{LineKind, Terms};
use crate::domain::venue::Area;

const HOLD: u64 = 300_000;
const RETENTION: u64 = 3_600_000;
const USERS: [&str; 2] = ["ann", "bob"];
const CALLERS: [&str; 4] = ["ann", "bob", "clerk", "admin"];
const ALLOTMENTS: [&str; 2] = ["sponsor", "press"];
/// VIP is 0 to 5 and costs 100, R is 6 to 11 and costs 70.
const SEATS: u32 = 12;
const AREAS: [Area; 2] = [PIT, LAWN];
const CAPACITY: [u32; 2] = [7, 3];
const AREA_PRICE: [u64; 2] = [40, 70];
const USER_MAX: u32 = 8;
/// When the performance is over.
const ENDS: u64 = 10 * DAY + 7_200_000;

fn price(seat: u32) -> u64 {
    if seat < 6 { 100 } else { 70 }
}

#[derive(Debug, Clone)]
struct Sold {
    method: OrderMethod,
    amount: u64,
    payment: PaymentId,
}

#[derive(Debug, Clone)]
struct Booking {
    reference: ReservationRef,
    user: Option<&'static str>,
    seats: Vec<u32>,
    areas: [u32; 2],
    allotment: Option<&'static str>,
    status: ReservationStatus,
    deadline: u64,
    ended: Option<u64>,
    order: Option<Sold>,
}

impl Booking {
    fn lives(&self) -> bool {
        use ReservationStatus::{Confirmed, Held, Paying};
        [Held, Paying, Confirmed].contains(&self.status)
    }

    fn places(&self) -> u32 {
        count_of(&self.seats) + self.areas[0] + self.areas[1]
    }

    fn sum(&self) -> u64 {
        let seats: u64 = self.seats.iter().map(|seat| price(*seat)).sum();
        seats + (0..2).map(|area| u64::from(self.areas[area]) * AREA_PRICE[area]).sum::<u64>()
    }
}

fn count_of(seats: &[u32]) -> u32 {
    u32::try_from(seats.len()).unwrap()
}

#[derive(Debug, Clone)]
struct Model {
    now: u64,
    sale: SaleStatus,
    bookings: Vec<Booking>,
    blocked: Vec<u32>,
    asides: Vec<(&'static str, Vec<u32>)>,
}

/// Where a seat is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Free,
    Blocked,
    Aside(&'static str),
    Taken(usize),
}

impl Model {
    fn at(&self, seat: u32) -> At {
        let owner = |booking: &Booking| booking.lives() && booking.seats.contains(&seat);
        if let Some(index) = self.bookings.iter().position(owner) {
            return At::Taken(index);
        }
        if self.blocked.contains(&seat) {
            return At::Blocked;
        }
        let aside = self.asides.iter().find(|(_, seats)| seats.contains(&seat));
        aside.map_or(At::Free, |(id, _)| At::Aside(id))
    }

    fn left_in(&self, area: usize, but: Option<usize>) -> u32 {
        let of = self.bookings.iter().enumerate().filter(|(index, kept)| kept.lives() && Some(*index) != but);
        CAPACITY[area] - of.map(|(_, kept)| kept.areas[area]).sum::<u32>()
    }

    fn live(&self, user: &str) -> u32 {
        let of = self.bookings.iter().filter(|kept| kept.lives() && kept.user == Some(user));
        of.map(Booking::places).sum()
    }

    fn tick(&mut self) {
        if self.sale == SaleStatus::Open && self.now >= 10 * DAY {
            self.sale = SaleStatus::Closed;
        }
        for booking in &mut self.bookings {
            let waits = [ReservationStatus::Held, ReservationStatus::Paying].contains(&booking.status);
            if waits && booking.deadline <= self.now {
                (booking.status, booking.ended) = (ReservationStatus::Expired, Some(booking.deadline));
            }
        }
    }

    /// Whether a source has these seats and places; `own` gives its own back first.
    fn check(
        &self,
        source: Option<&'static str>,
        seats: &[u32],
        areas: [u32; 2],
        own: Option<usize>,
    ) -> Result<(), Refusal> {
        let wanted = source.map_or(At::Free, At::Aside);
        let is_own = |seat: u32| own.is_some_and(|own| self.at(seat) == At::Taken(own));
        let taken = seats.iter().filter(|seat| self.at(**seat) != wanted && !is_own(**seat));
        let taken: Vec<Seat> = taken.map(|seat| Seat(*seat)).collect();
        if !taken.is_empty() {
            return Err(Refusal::SeatsUnavailable { seats: taken });
        }
        let left = |area: usize| if source.is_some() { 0 } else { self.left_in(area, own) };
        let lacking = (0..2).filter(|area| areas[*area] > left(*area));
        let lacking: Vec<_> = lacking.map(|area| (AREAS[area], left(area))).collect();
        if lacking.is_empty() { Ok(()) } else { Err(Refusal::NotEnoughPlaces { areas: lacking }) }
    }

    fn hold(&self, user: &str, seats: &[u32], areas: [u32; 2], own: Option<usize>) -> Result<(), Refusal> {
        if self.sale != SaleStatus::Open {
            return Err(Refusal::NotOpen);
        }
        let places = count_of(seats) + areas[0] + areas[1];
        let live = self.live(user) - own.map_or(0, |own| self.bookings[own].places());
        // Who asks for no more than they have may have more, from the box office.
        let asks_more = own.is_none_or(|own| places > self.bookings[own].places());
        if asks_more && live + places > USER_MAX {
            return Err(Refusal::SeatLimitExceeded { max: USER_MAX });
        }
        self.check(None, seats, areas, own)
    }

    fn may_touch(&self, index: usize, caller: &str) -> bool {
        let booking = &self.bookings[index];
        match caller {
            "admin" => true,
            "clerk" => booking.order.is_some(),
            user => booking.user == Some(user),
        }
    }
}

#[derive(Debug, Clone)]
struct Ordering {
    user: Option<usize>,
    seats: Vec<u32>,
    /// Instead of the seats: so many of the best.
    best: Option<u32>,
    areas: [u32; 2],
    allotment: Option<usize>,
    method: OrderMethod,
    amount: Option<u64>,
    reason: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Hold { user: usize, seats: Vec<u32>, areas: [u32; 2] },
    Exchange { which: usize, caller: usize, seats: Vec<u32>, areas: [u32; 2] },
    Buy(usize),
    Order(Box<Ordering>),
    Release { which: usize, caller: usize },
    Block(Vec<u32>),
    Unblock(Vec<u32>),
    Aside { which: usize, seats: Vec<u32> },
    LetGo(usize),
    Open,
    Close,
    Cancel,
    Image,
}

fn seats(max: u32) -> impl Strategy<Value = Vec<u32>> {
    (0..SEATS, 1..=max).prop_map(|(first, count)| (first..first + count).map(|seat| seat % SEATS).collect())
}

fn some_places() -> impl Strategy<Value = [u32; 2]> {
    prop_oneof![3 => Just([0, 0]), 1 => (0..5_u32, 0..3_u32).prop_map(|(pit, lawn)| [pit, lawn])]
}

fn ordering() -> impl Strategy<Value = Step> {
    let wanted = (seats(5), prop::option::weighted(0.3, 1..5_u32), some_places());
    let method = prop::sample::select(OrderMethod::ALL.to_vec());
    let amount = prop::option::weighted(0.3, prop_oneof![1 => Just(0_u64), 3 => 0..900_u64]);
    let sold = (method, amount, any::<bool>());
    (prop::option::of(0..2_usize), wanted, prop::option::weighted(0.3, 0..2_usize), sold).prop_map(
        |(user, (seats, best, areas), allotment, (method, amount, reason))| {
            Step::Order(Box::new(Ordering { user, seats, best, areas, allotment, method, amount, reason }))
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..200_000_u64).prop_map(Step::Wait),
        1 => (0..3 * DAY).prop_map(Step::Wait),
        8 => (0..2_usize, seats(4), some_places()).prop_map(|(user, seats, areas)| Step::Hold { user, seats, areas }),
        4 => (0..30_usize, 0..4_usize, seats(4), some_places())
            .prop_map(|(which, caller, seats, areas)| Step::Exchange { which, caller, seats, areas }),
        5 => (0..30_usize).prop_map(Step::Buy),
        12 => ordering(),
        6 => (0..30_usize, 0..4_usize).prop_map(|(which, caller)| Step::Release { which, caller }),
        2 => seats(2).prop_map(Step::Block),
        2 => seats(2).prop_map(Step::Unblock),
        3 => (0..2_usize, seats(4)).prop_map(|(which, seats)| Step::Aside { which, seats }),
        1 => (0..2_usize).prop_map(Step::LetGo),
        3 => Just(Step::Open),
        1 => Just(Step::Close),
        1 => prop::bool::weighted(0.2).prop_map(|cancel| if cancel { Step::Cancel } else { Step::Image }),
    ]
}

fn seats_of(seats: &[u32]) -> Arc<[Seat]> {
    seats.iter().map(|seat| Seat(*seat)).collect()
}

fn indexes(seats: &[Seat]) -> Vec<u32> {
    seats.iter().map(|seat| seat.0).collect()
}

fn wish(seats: &[u32], areas: [u32; 2]) -> Wish {
    let areas: Vec<(Area, u32)> = AREAS.into_iter().zip(areas).filter(|(_, count)| *count > 0).collect();
    Wish { areas: places(&areas), ..Wish::seats(seats_of(seats)) }
}

fn areas_of(terms: Option<&Terms>) -> [u32; 2] {
    let of = |area: Area| {
        let places = terms.into_iter().flat_map(|terms| &*terms.areas);
        places.filter(|places| places.area == area).map(|places| places.count).sum()
    };
    AREAS.map(of)
}

struct World {
    sale: Sale,
    model: Model,
    journal: Journal,
}

impl World {
    fn new() -> Self {
        let schedule = Schedule::create(Self::creation(), layout_with_areas(), START);
        let model = Model {
            now: 0,
            sale: SaleStatus::Upcoming,
            bookings: Vec::new(),
            blocked: Vec::new(),
            asides: Vec::new(),
        };
        let sale = Sale { schedule, now: START, nonce: 100 };
        Self { sale, model, journal: Journal::default() }
    }

    fn creation() -> Creation {
        Creation { prices: Some(prices_with_areas()), ..creation(plan_with_areas()) }
    }

    fn tick(&mut self) {
        self.journal.tick(&mut self.sale);
        self.model.tick();
    }

    /// Asks, and keeps what happened.
    fn ask(&mut self, command: impl Into<AnyCommand>) -> Outcome {
        self.tick();
        let outcome = self.sale.ask(&command.into());
        if let Ok(Some(event)) = &outcome {
            self.journal.push(&self.sale.schedule, event, self.sale.now);
        }
        outcome
    }

    fn chosen(&self, which: usize) -> Option<usize> {
        let count = self.model.bookings.len();
        (count > 0).then(|| count - 1 - which % count)
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Wait(millis) => {
                self.model.now += millis;
                self.sale.wait(*millis);
                self.tick();
            }
            Step::Hold { user, seats, areas } => self.hold(USERS[*user], seats, *areas),
            Step::Exchange { which, caller, seats, areas } => {
                self.exchange(*which, CALLERS[*caller], seats, *areas);
            }
            Step::Buy(which) => self.buy(*which),
            Step::Order(asked) => self.order(asked),
            Step::Release { which, caller } => self.release(*which, CALLERS[*caller]),
            Step::Block(seats) => self.block(seats, At::Free, At::Blocked),
            Step::Unblock(seats) => self.block(seats, At::Blocked, At::Free),
            Step::Aside { which, seats } => self.set_aside(ALLOTMENTS[*which], seats),
            Step::LetGo(which) => self.let_go(ALLOTMENTS[*which]),
            Step::Open => {
                let outcome = self.ask(AnyCommand::Open);
                if outcome.is_ok() {
                    self.model.sale = SaleStatus::Open;
                }
            }
            Step::Close => {
                if self.ask(Command::Close).is_ok() {
                    self.model.sale = SaleStatus::Closed;
                }
            }
            Step::Cancel => {
                self.ask(Command::Cancel).unwrap();
                self.model.sale = SaleStatus::Cancelled;
                let now = self.model.now;
                for booking in self.model.bookings.iter_mut().filter(|booking| booking.lives()) {
                    let was_sold = booking.status == ReservationStatus::Confirmed;
                    booking.status =
                        if was_sold { ReservationStatus::Cancelled } else { ReservationStatus::Released };
                    booking.ended = Some(now);
                }
            }
            Step::Image => self.journal.take_image(&self.sale.schedule),
        }
        self.check();
    }

    fn hold(&mut self, user: &'static str, seats: &[u32], areas: [u32; 2]) {
        self.sale.nonce += 1;
        let command = Command::hold(super::user(user), wish(seats, areas), self.sale.nonce);
        let outcome = self.ask(command);
        let verdict = if count_of(seats) + areas[0] + areas[1] > 6 {
            Err(Refusal::TooManySeats { max: 6 })
        } else {
            self.model.hold(user, seats, areas, None)
        };
        match outcome {
            Err(refusal) => assert_eq!(Err(refusal), verdict),
            Ok(Some(Event::SeatsHeld { number, nonce, .. })) => {
                assert_eq!(verdict, Ok(()));
                self.model.bookings.push(Booking {
                    reference: ReservationRef { number, nonce },
                    user: Some(user),
                    seats: seats.to_vec(),
                    areas,
                    allotment: None,
                    status: ReservationStatus::Held,
                    deadline: self.model.now + HOLD,
                    ended: None,
                    order: None,
                });
            }
            other => panic!("{other:?}"),
        }
    }

    /// Whether the schedule still has one: what ended a while ago may be forgotten, and no order is.
    fn is_kept(&self, index: usize) -> bool {
        let booking = &self.model.bookings[index];
        let kept = self.sale.schedule.reservation(booking.reference).is_some();
        let is_old = booking.ended.is_some_and(|ended| ended + RETENTION <= self.model.now);
        assert!(kept || (is_old && booking.order.is_none()), "{booking:?} is forgotten too early");
        kept
    }

    fn exchange(&mut self, which: usize, caller: &str, seats: &[u32], areas: [u32; 2]) {
        let Some(index) = self.chosen(which) else { return };
        let reservation = self.model.bookings[index].reference;
        let outcome =
            self.ask(Command::Exchange { reservation, caller: by(caller), wish: wish(seats, areas) });
        let (model, kept) = (&self.model, self.is_kept(index));
        let own = &model.bookings[index];
        let verdict = if !kept || !model.may_touch(index, caller) {
            Err(Refusal::NoSuchReservation)
        } else if own.status != ReservationStatus::Held {
            let expired = own.status == ReservationStatus::Expired;
            Err(if expired { Refusal::Expired } else { Refusal::NotHeld })
        } else if count_of(seats) + areas[0] + areas[1] > 6 {
            Err(Refusal::TooManySeats { max: 6 })
        } else {
            model.hold(own.user.unwrap(), seats, areas, Some(index))
        };
        if let Err(refusal) = outcome {
            assert_eq!(Err(refusal), verdict);
            return;
        }
        assert_eq!(verdict, Ok(()));
        let own = &mut self.model.bookings[index];
        (own.seats, own.areas) = (seats.to_vec(), areas);
    }

    /// Pays for a hold; of anything else nothing is asked.
    fn buy(&mut self, which: usize) {
        self.tick();
        let Some(index) = self.chosen(which) else { return };
        let booking = &self.model.bookings[index];
        if booking.status != ReservationStatus::Held {
            return;
        }
        let (reservation, payment) = (booking.reference, PaymentId::from_bits(900));
        let begin =
            AnyCommand::BeginPayment { reservation, caller: Caller::Admin, payment, takes_time: false };
        self.ask(begin).unwrap();
        self.ask(AnyCommand::Confirm { reservation, payment }).unwrap();
        self.model.bookings[index].status = ReservationStatus::Confirmed;
    }

    fn order(&mut self, asked: &Ordering) {
        let named = match asked.best {
            None => wish(&asked.seats, asked.areas),
            Some(count) => Wish::best(count),
        };
        self.sale.nonce += 1;
        let mut order = OrderWish {
            user: asked.user.map(|index| user(USERS[index])),
            allotment: asked.allotment.map(|index| AllotmentId::parse(ALLOTMENTS[index]).unwrap()),
            amount: asked.amount.map(|amount| Money::new(amount).unwrap()),
            nonce: self.sale.nonce,
            payment_nonce: !self.sale.nonce,
            ..order_of(named)
        };
        order.order.method = asked.method;
        order.order.reason = asked.reason.then(|| "why".into());

        let outcome = self.ask(Command::Order(Box::new(order)));
        let verdict = self.may_order(asked);
        match outcome {
            Err(Refusal::NotEnoughSeats) => {
                assert_eq!(verdict, Ok(()));
                let (free, wanted) = (self.free_for(asked), asked.best.expect("the best were asked for"));
                assert!(free < wanted, "{free} are free, and {wanted} were asked for");
            }
            Err(refusal) => assert_eq!(Err(refusal), verdict),
            Ok(Some(Event::Ordered { number, nonce, payment, user, seats, terms })) => {
                assert_eq!(verdict, Ok(()));
                let found = (indexes(&seats), areas_of(Some(&terms)));
                if let Some(count) = asked.best {
                    assert_eq!(count_of(&found.0) + found.1[0] + found.1[1], count);
                    let source = asked.allotment.map(|index| ALLOTMENTS[index]);
                    assert_eq!(self.model.check(source, &found.0, found.1, None), Ok(()), "S1");
                } else {
                    assert_eq!(found, (asked.seats.clone(), asked.areas));
                }
                assert_eq!(user.as_deref(), asked.user.map(|index| USERS[index]));
                self.ordered(asked, ReservationRef { number, nonce }, payment, found);
            }
            other => panic!("{other:?}"),
        }
    }

    fn may_order(&self, asked: &Ordering) -> Result<(), Refusal> {
        let model = &self.model;
        let is_free = asked.method == OrderMethod::Complimentary;
        let unfit = |field, why| Err(Refusal::Unfit { field, why });
        let source = asked.allotment.map(|index| ALLOTMENTS[index]);
        if model.sale == SaleStatus::Cancelled || model.now >= ENDS {
            Err(Refusal::NotOpen)
        } else if is_free && asked.amount.is_some_and(|amount| amount > 0) {
            unfit("amount", "a complimentary order costs nothing")
        } else if !is_free && asked.amount.is_some() && !asked.reason {
            unfit("reason", "is needed with amount")
        } else if source.is_some_and(|id| !model.asides.iter().any(|(other, _)| *other == id)) {
            unfit("allotmentId", "the schedule has no such allotment")
        } else if asked.best.is_some() {
            Ok(())
        } else {
            model.check(source, &asked.seats, asked.areas, None)
        }
    }

    /// How many places the best of an order are looked for among.
    fn free_for(&self, asked: &Ordering) -> u32 {
        let wanted = asked.allotment.map_or(At::Free, |index| At::Aside(ALLOTMENTS[index]));
        let seats = (0..SEATS).filter(|seat| self.model.at(*seat) == wanted).count();
        let of_areas = if asked.allotment.is_some() {
            0
        } else {
            (0..2).map(|area| self.model.left_in(area, None)).sum()
        };
        u32::try_from(seats).unwrap() + of_areas
    }

    fn ordered(
        &mut self,
        asked: &Ordering,
        reference: ReservationRef,
        payment: PaymentId,
        (seats, areas): (Vec<u32>, [u32; 2]),
    ) {
        let mut booking = Booking {
            reference,
            user: asked.user.map(|index| USERS[index]),
            seats,
            areas,
            allotment: asked.allotment.map(|index| ALLOTMENTS[index]),
            status: ReservationStatus::Confirmed,
            deadline: u64::MAX,
            ended: None,
            order: None,
        };
        let is_free = asked.method == OrderMethod::Complimentary;
        let amount = if is_free { 0 } else { asked.amount.unwrap_or(booking.sum()) };
        booking.order = Some(Sold { method: asked.method, amount, payment });

        // The lines say the sum of the prices, and why it isn't that.
        let lines = &self.sale.get(reference).terms.as_ref().unwrap().lines;
        let (own, more): (Vec<_>, Vec<_>) =
            lines.iter().partition(|line| [LineKind::Seat, LineKind::Area].contains(&line.kind));
        let sum: i64 = own.iter().map(|line| line.amount).sum();
        assert_eq!(u64::try_from(sum), Ok(booking.sum()));
        let rest = i64::try_from(amount).unwrap() - sum;
        let told: Vec<_> = more.iter().map(|line| (line.kind, &*line.name, line.amount)).collect();
        let why = if asked.reason { "why" } else { "complimentary" };
        let kind = if rest < 0 { LineKind::Discount } else { LineKind::Fee };
        assert_eq!(told, if rest == 0 { vec![] } else { vec![(kind, why, rest)] });
        self.model.bookings.push(booking);
    }

    fn release(&mut self, which: usize, caller: &str) {
        let Some(index) = self.chosen(which) else { return };
        let reservation = self.model.bookings[index].reference;
        let outcome = self.ask(Command::Release { reservation, caller: by(caller) });
        let (kept, now) = (self.is_kept(index), self.model.now);
        let may = kept && self.model.may_touch(index, caller);
        let too_late = USERS.contains(&caller) && now > 9 * DAY;
        let own = &mut self.model.bookings[index];
        let (verdict, becomes) = match own.status {
            _ if !may => (Err(Refusal::NoSuchReservation), None),
            ReservationStatus::Held => (Ok(true), Some(ReservationStatus::Released)),
            ReservationStatus::Confirmed if too_late => (Err(Refusal::CancellationClosed), None),
            ReservationStatus::Confirmed => (Ok(true), Some(ReservationStatus::Cancelled)),
            ReservationStatus::Released | ReservationStatus::Cancelled => (Ok(false), None),
            ReservationStatus::Paying | ReservationStatus::Expired => (Err(Refusal::NotHeld), None),
        };
        assert_eq!(outcome.map(|event| event.is_some()), verdict);
        if let Some(status) = becomes {
            (own.status, own.ended) = (status, Some(now));
        }
    }

    fn block(&mut self, seats: &[u32], from: At, to: At) {
        let seats_named = seats_of(seats);
        let blocks = to == At::Blocked;
        let outcome = if blocks {
            self.ask(Command::Block { seats: seats_named })
        } else {
            self.ask(Command::Unblock { seats: seats_named })
        };
        let model = &self.model;
        let taken = seats.iter().filter(|seat| ![from, to].contains(&model.at(**seat)));
        let taken: Vec<Seat> = taken.map(|seat| Seat(*seat)).collect();
        if model.sale == SaleStatus::Cancelled {
            return assert_eq!(outcome, Err(Refusal::InvalidTransition));
        }
        if !taken.is_empty() {
            return assert_eq!(outcome, Err(Refusal::SeatsUnavailable { seats: taken }));
        }
        outcome.unwrap();
        self.model.blocked.retain(|seat| !seats.contains(seat));
        if blocks {
            self.model.blocked.extend(seats);
        }
    }

    /// Sets seats aside; an allotment that stands stays as it is.
    fn set_aside(&mut self, id: &'static str, seats: &[u32]) {
        self.tick();
        if self.model.asides.iter().any(|(other, _)| *other == id) {
            return;
        }
        let mut sorted = seats.to_vec();
        sorted.sort_unstable();
        let terms = AllotmentTerms {
            id: AllotmentId::parse(id).unwrap(),
            name: id.to_owned(),
            reason: None,
            seats: seats_of(&sorted),
            areas: [].into(),
            release_at: None,
            life: 0,
        };
        let outcome = self.ask(Command::SetAllotment { terms: Arc::new(terms) });
        let taken = sorted.iter().filter(|seat| self.model.at(**seat) != At::Free);
        let taken: Vec<Seat> = taken.map(|seat| Seat(*seat)).collect();
        if self.model.sale == SaleStatus::Cancelled {
            assert_eq!(outcome, Err(Refusal::InvalidTransition));
        } else if taken.is_empty() {
            outcome.unwrap();
            self.model.asides.push((id, sorted));
        } else {
            assert_eq!(outcome, Err(Refusal::SeatsUnavailable { seats: taken }));
        }
    }

    fn let_go(&mut self, id: &'static str) {
        let outcome = self.ask(Command::ReleaseAllotment { id: AllotmentId::parse(id).unwrap() });
        let stands = self.model.asides.iter().any(|(other, _)| *other == id);
        assert_eq!(outcome.is_ok(), stands);
        self.model.asides.retain(|(other, _)| *other != id);
    }

    fn check(&self) {
        let (schedule, model) = (&self.sale.schedule, &self.model);
        for seat in 0..SEATS {
            let expected = match model.at(seat) {
                At::Free => SeatStatus::Available,
                At::Blocked | At::Aside(_) => SeatStatus::Blocked,
                At::Taken(index) if model.bookings[index].status == ReservationStatus::Confirmed => {
                    SeatStatus::Reserved
                }
                At::Taken(_) => SeatStatus::Held,
            };
            assert_eq!(schedule.statuses()[usize::try_from(seat).unwrap()], expected, "seat {seat}");
        }
        for area in 0..2 {
            let of = |status| {
                let in_it = model.bookings.iter().filter(|kept| kept.status == status);
                in_it.map(|kept| kept.areas[area]).sum::<u32>()
            };
            let held = of(ReservationStatus::Held) + of(ReservationStatus::Paying);
            let expected = [model.left_in(area, None), held, of(ReservationStatus::Confirmed), 0];
            let counts = schedule.area_counts()[area];
            assert_eq!(SeatStatus::ALL.map(|status| counts.of(status)), expected, "A1");
        }

        let kept = (0..model.bookings.len()).filter(|index| self.is_kept(*index));
        for booking in kept.map(|index| &model.bookings[index]) {
            let own = schedule.reservation(booking.reference).unwrap();
            assert_eq!((own.user.as_deref(), own.status), (booking.user, booking.status));
            assert_eq!(
                (indexes(&own.seats), areas_of(own.terms.as_deref())),
                (booking.seats.clone(), booking.areas)
            );
            assert_eq!(own.allotment(), booking.allotment);
            let amount = booking.order.as_ref().map_or(booking.sum(), |sold| sold.amount);
            assert_eq!(schedule.amount_of(own).minor(), amount);
            Self::check_payment(schedule, booking, own);
        }
        let orders = model.bookings.iter().filter(|booking| booking.order.is_some());
        let orders: Vec<ReservationNumber> = orders.map(|order| order.reference.number).collect();
        assert!(schedule.orders().map(|order| order.number).eq(orders.iter().copied()));
        for bound in 0..=model.bookings.len() {
            let bound = u32::try_from(bound).unwrap();
            let before = schedule.orders_before(|order| order.number.count() < bound);
            let expected = orders.iter().rev().filter(|number| number.count() < bound).copied();
            assert!(before.map(|order| order.number).eq(expected));
        }
    }

    fn check_payment(schedule: &Schedule, booking: &Booking, own: &Reservation) {
        let payment = OrderPayment::of(schedule, own);
        let Some(sold) = &booking.order else { return assert_eq!(payment, None) };

        let payment = payment.expect("an order is its payment");
        assert_eq!((payment.id, payment.order().method), (sold.payment, sold.method));
        assert_eq!((payment.amount().minor(), payment.refund().minor()), (sold.amount, sold.amount));
        let state = match (booking.status, sold.amount) {
            (ReservationStatus::Confirmed, _) => State::Completed,
            (_, 0) => State::Refunded,
            _ => State::Refunding,
        };
        assert_eq!(payment.state(), state);
        assert_eq!(OrderPayment::find(schedule, payment.id), Some(payment));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn orders_beside_everything_else_do_what_their_model_does(steps in prop::collection::vec(step(), 1..70)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.journal.check(&world.sale.schedule, World::creation(), &layout_with_areas());
    }
}
