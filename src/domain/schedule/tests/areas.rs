//! Places of areas beside numbered seats: each rule by a test whose name is the rule, and all of them against a model of their own, at
//! random. The model shares the schedule's words and none of its code: it knows bookings, and counts what they have.

use proptest::prelude::*;
use proptest::sample::Index;

use super::journal::Journal;
use super::*;
use crate::domain::schedule::terms::{AreaPlaces, AreaWish, PriceType};
use crate::domain::venue::{Area, VenueArea};

pub(super) const PIT: Area = Area(0);
pub(super) const LAWN: Area = Area(1);
const CAPACITIES: [u32; 2] = [7, 3];

/// The usual rows, the area `pit` of the grade ST with 7 places, and the area `lawn` of the grade R with 3.
pub(super) fn layout_with_areas() -> Arc<Layout> {
    let area = |id: &str, grade: &str, capacity| VenueArea {
        id: id.into(),
        floor: "1".into(),
        name: id.into(),
        grade: GradeName::parse(grade).unwrap(),
        capacity,
        outline: None,
    };
    let areas = [area("pit", "ST", CAPACITIES[0]), area("lawn", "R", CAPACITIES[1])];
    Arc::new(Layout::with_areas(&rows(), &areas).unwrap())
}

/// VIP costs 100, R 70, ST 40.
pub(super) fn prices_with_areas() -> Arc<Prices> {
    let mut known = Prices::clone(&prices(100));
    known.by_grade = [100, 70, 40].map(|price| Money::new(price).unwrap()).into();
    known.best_first = [0, 1, 2].into();
    Arc::new(known)
}

pub(super) fn plan_with_areas() -> Plan {
    let policy = Policy { seats_per_reservation_max: 6, seats_per_user_max: 8, ..Policy::default() };
    Plan { policy, ..plan() }
}

pub(super) fn creation_with_areas() -> Creation {
    let limits = Limits { ended_retention: Seconds::new(40 * 86_400), ..LIMITS };
    Creation { prices: Some(prices_with_areas()), limits, ..creation(plan_with_areas()) }
}

/// Given an open sale of seats and areas.
pub(super) fn sale() -> Sale {
    let schedule = Schedule::create(creation_with_areas(), layout_with_areas(), START);
    let mut sale = Sale { schedule, now: START, nonce: 100 };
    sale.does(&AnyCommand::Open);
    sale
}

pub(super) fn places(areas: &[(Area, u32)]) -> Box<[AreaWish]> {
    let wish = |&(area, count): &(Area, u32)| AreaWish { area, count, price_type: PriceType::DEFAULT };
    areas.iter().map(wish).collect()
}

pub(super) fn areas_of(reservation: &Reservation) -> Vec<(Area, u32)> {
    let areas = reservation.terms.iter().flat_map(|terms| &*terms.areas);
    areas.map(|AreaPlaces { area, count, .. }| (*area, *count)).collect()
}

impl Sale {
    pub(super) fn mixed(&self, seats: &str, areas: &[(Area, u32)]) -> Wish {
        let seats = self.seats(seats);
        let wish = if seats.is_empty() { Wish::default() } else { Wish::seats(seats) };
        Wish { areas: places(areas), ..wish }
    }

    pub(super) fn try_mixed(
        &mut self,
        who: &str,
        seats: &str,
        areas: &[(Area, u32)],
    ) -> Result<ReservationRef, Refusal> {
        let wish = self.mixed(seats, areas);
        self.try_wish(who, wish)
    }

    fn exchange_mixed(
        &mut self,
        who: &str,
        of: ReservationRef,
        seats: &str,
        areas: &[(Area, u32)],
    ) -> Outcome {
        let wish = self.mixed(seats, areas);
        self.ask(&Command::Exchange { reservation: of, caller: by(who), wish })
    }

    /// Available, held, reserved and blocked places of an area.
    pub(super) fn counts_of(&self, area: Area) -> [u32; 4] {
        let counts = self.schedule.area_counts()[area.index()];
        SeatStatus::ALL.map(|status| counts.of(status))
    }
}

pub(super) fn lacking<T>(areas: &[(Area, u32)]) -> Result<T, Refusal> {
    Err(Refusal::NotEnoughPlaces { areas: areas.to_vec() })
}

#[test]
fn seats_and_places_are_held_together_all_or_none() {
    let mut sale = sale();
    let held = sale.try_mixed("ann", "A1 A2", &[(PIT, 3)]).unwrap();
    assert_eq!((sale.seats_of(held), areas_of(sale.get(held))), ("A1 A2".into(), vec![(PIT, 3)]));
    assert_eq!(sale.counts_of(PIT), [4, 3, 0, 0]);
    assert_eq!(sale.schedule.amount_of(sale.get(held)).minor(), 2 * 100 + 3 * 40);

    // Neither the seat nor the places, where one of them isn't there.
    assert_eq!(sale.try_mixed("bob", "A3", &[(PIT, 5)]), lacking(&[(PIT, 4)]));
    assert_eq!(sale.try_mixed("bob", "A2", &[(PIT, 1)]), sale.unavailable("A2"));
    assert_eq!(sale.try_mixed("bob", "", &[(PIT, 5), (LAWN, 1)]), lacking(&[(PIT, 4)]));
    assert_eq!((sale.counts_of(PIT), sale.counts_of(LAWN)), ([4, 3, 0, 0], [3, 0, 0, 0]));
    // An area that is named twice needs both together.
    assert_eq!(sale.try_mixed("bob", "", &[(LAWN, 2), (LAWN, 2)]), lacking(&[(LAWN, 3)]));
}

#[test]
fn an_unknown_area_and_no_places_are_refused() {
    let mut sale = sale();
    assert_eq!(sale.try_mixed("ann", "A1", &[(Area(2), 1)]), Err(Refusal::UnknownArea));
    assert_eq!(sale.try_mixed("ann", "", &[]), Err(Refusal::NoSeats));
    assert_eq!(sale.try_mixed("ann", "", &[(PIT, 0)]), Err(Refusal::NoSeats));
    assert_eq!(sale.try_mixed("ann", "A1", &[(PIT, 0)]), Err(Refusal::NoSeats));
}

#[test]
fn limits_count_places_as_seats() {
    let mut sale = sale();
    assert_eq!(sale.try_mixed("ann", "A1 A2 A3", &[(PIT, 4)]), Err(Refusal::TooManySeats { max: 6 }));
    let huge = [(PIT, u32::MAX), (LAWN, u32::MAX)];
    assert_eq!(sale.try_mixed("ann", "A1", &huge), Err(Refusal::TooManySeats { max: 6 }));
    sale.try_mixed("ann", "A1 A2", &[(PIT, 3)]).unwrap();
    assert_eq!(sale.try_mixed("ann", "", &[(PIT, 4)]), Err(Refusal::SeatLimitExceeded { max: 8 }));
    let second = sale.try_mixed("ann", "A4", &[(PIT, 2)]).unwrap();
    assert_eq!(
        sale.exchange_mixed("ann", second, "A4", &[(PIT, 3)]),
        Err(Refusal::SeatLimitExceeded { max: 8 })
    );
    assert!(sale.exchange_mixed("ann", second, "", &[(PIT, 3)]).is_ok());
}

#[test]
fn places_go_the_way_of_their_reservation() {
    let mut sale = sale();
    let held = sale.try_mixed("ann", "A1", &[(PIT, 2), (LAWN, 1)]).unwrap();
    sale.release("ann", held).unwrap();
    assert_eq!((sale.counts_of(PIT), sale.counts_of(LAWN)), ([7, 0, 0, 0], [3, 0, 0, 0]));

    let bought = sale.try_mixed("ann", "", &[(PIT, 2)]).unwrap();
    sale.begin("ann", bought, 1).unwrap();
    assert_eq!(sale.counts_of(PIT), [5, 2, 0, 0]);
    sale.confirm(bought, 1).unwrap();
    assert_eq!(sale.counts_of(PIT), [5, 0, 2, 0]);
    sale.release("ann", bought).unwrap();
    assert_eq!(sale.counts_of(PIT), [7, 0, 0, 0]);

    let forgotten = sale.try_mixed("bob", "B1", &[(LAWN, 3)]).unwrap();
    let deadline = sale.deadline(forgotten);
    sale.at(before(deadline, 1));
    assert_eq!(sale.try_mixed("cat", "", &[(LAWN, 1)]), lacking(&[(LAWN, 0)]));
    // From its deadline on, whether or not a timer has fired.
    sale.at(deadline).try_mixed("cat", "", &[(LAWN, 3)]).unwrap();
    assert_eq!(sale.status(forgotten), ReservationStatus::Expired);

    sale.does(&Command::Cancel);
    assert_eq!((sale.counts_of(PIT), sale.counts_of(LAWN)), ([7, 0, 0, 0], [3, 0, 0, 0]));
}

#[test]
fn an_exchange_may_use_the_places_that_it_gives_back_and_keeps_them_where_it_fails() {
    let mut sale = sale();
    let mine = sale.try_mixed("ann", "A1", &[(LAWN, 2)]).unwrap();
    sale.exchange_mixed("ann", mine, "A2", &[(LAWN, 3)]).unwrap();
    assert_eq!(sale.counts_of(LAWN), [0, 3, 0, 0]);
    assert_eq!(sale.exchange_mixed("ann", mine, "", &[(LAWN, 4)]), lacking(&[(LAWN, 3)]));
    assert_eq!((sale.seats_of(mine), areas_of(sale.get(mine))), ("A2".into(), vec![(LAWN, 3)]));
    assert_eq!(sale.exchange_mixed("ann", mine, "A2", &[(LAWN, 3)]), Ok(None));

    let version = sale.schedule.seats_version();
    sale.exchange_mixed("ann", mine, "", &[(PIT, 1), (LAWN, 2)]).unwrap();
    assert_eq!(sale.schedule.seats_version(), version + 1, "a follower takes it all at once");
    let changed: Vec<(Area, u32)> =
        sale.schedule.changed_areas().map(|change| (change.area, change.after.available)).collect();
    assert_eq!(changed, [(LAWN, 1), (PIT, 6)]);
    sale.exchange_mixed("ann", mine, "A2 A3", &[]).unwrap();
    assert_eq!((sale.counts_of(PIT), sale.counts_of(LAWN)), ([7, 0, 0, 0], [3, 0, 0, 0]));
    assert_eq!(sale.get(mine).terms, None, "what has nothing but seats has no terms");
}

#[test]
fn late_money_takes_the_places_again_or_is_refused() {
    let mut sale = sale();
    let late = |sale: &mut Sale| {
        let mine = sale.try_mixed("ann", "A1", &[(PIT, 5)]).unwrap();
        sale.begin("ann", mine, 1).unwrap();
        let deadline = sale.deadline(mine);
        sale.at(deadline).tick();
        assert_eq!((sale.status(mine), sale.counts_of(PIT)), (ReservationStatus::Expired, [7, 0, 0, 0]));
        mine
    };
    let first = late(&mut sale);
    let other = sale.try_mixed("bob", "", &[(PIT, 3)]).unwrap();
    assert_eq!(sale.confirm(first, 1), lacking(&[(PIT, 4)]));
    sale.release("bob", other).unwrap();
    sale.confirm(first, 1).unwrap();
    assert_eq!(sale.counts_of(PIT), [2, 0, 5, 0]);
}

#[test]
fn places_leave_no_single_seat_alone_since_they_have_no_neighbours() {
    let mut sale = Sale {
        schedule: Schedule::create(
            Creation { plan: orphans_prevented(), ..creation_with_areas() },
            layout_with_areas(),
            START,
        ),
        now: START,
        nonce: 1,
    };
    sale.does(&AnyCommand::Open);
    sale.try_mixed("ann", "", &[(PIT, 6)]).unwrap();
    sale.try_mixed("bob", "", &[(LAWN, 2)]).unwrap();
    sale.try_mixed("cat", "A1", &[(LAWN, 1)]).unwrap();
    assert!(matches!(sale.try_mixed("dan", "A3", &[(PIT, 1)]), Err(Refusal::OrphanSeats { .. })));
}

fn orphans_prevented() -> Arc<Plan> {
    let mut plan = plan_with_areas();
    plan.policy.prevent_orphan_seats = true;
    Arc::new(plan)
}

#[test]
fn the_best_of_a_grade_that_only_an_area_has_are_its_places() {
    let mut sale = sale();
    let held = sale.try_best("ann", Some("ST"), 4).unwrap();
    assert_eq!((sale.seats_of(held), areas_of(sale.get(held))), (String::new(), vec![(PIT, 4)]));
    assert_eq!(sale.try_best("bob", Some("ST"), 4), lacking(&[(PIT, 3)]));
    assert_eq!(sale.try_best("bob", Some("ST"), 3).map(|held| areas_of(sale.get(held))), Ok(vec![(PIT, 3)]));
}

#[test]
fn the_best_together_is_a_row_before_an_area_and_an_area_before_pieces() {
    let mut sale = sale();
    let best = |sale: &mut Sale, who: &str, grade, count| {
        let held = sale.try_best(who, grade, count).unwrap();
        (sale.seats_of(held), areas_of(sale.get(held)))
    };
    assert_eq!(best(&mut sale, "ann", Some("R"), 6), ("B1 B2 B3 B4 B5 B6".into(), vec![]));
    assert_eq!(best(&mut sale, "bob", Some("R"), 2), (String::new(), vec![(LAWN, 2)]));
    // Grade by grade, from the best: the pit has room for all, the pieces of better grades haven't.
    sale.hold("cat", "A2 A4");
    assert_eq!(best(&mut sale, "cat", None, 4), (String::new(), vec![(PIT, 4)]));
    // Nobody has room for all: numbered seats come first where they are enough.
    assert_eq!(best(&mut sale, "dan", None, 4), ("A1 A3 A5 A6".into(), vec![]));
    assert_eq!(best(&mut sale, "eve", None, 4), (String::new(), vec![(PIT, 3), (LAWN, 1)]));
    assert_eq!(sale.try_best("fay", None, 1), Err(Refusal::NotEnoughSeats));
}

// The model.

const USERS: [&str; 3] = ["ann", "bob", "cat"];
const RESERVATION_MAX: u32 = 6;
const USER_MAX: u32 = 8;
const HOLD_MILLIS: u64 = 300_000;

/// A booking as the model sees it.
#[derive(Debug, Clone)]
struct Booking {
    reference: ReservationRef,
    user: usize,
    seats: Vec<u32>,
    areas: Vec<(u16, u32)>,
    status: ReservationStatus,
    deadline: u64,
    paid: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Hold { user: usize, seats: Vec<u32>, areas: Vec<(u16, u32)> },
    Exchange { of: Index, seats: Vec<u32>, areas: Vec<(u16, u32)> },
    Release(Index),
    Begin(Index),
    Fail(Index),
    Confirm(Index),
    Wait(u64),
    CancelSchedule,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let seats = || {
        prop::collection::btree_set(0..12_u32, 0..3).prop_map(|seats| seats.into_iter().collect::<Vec<_>>())
    };
    let areas = || prop::collection::vec((0..2_u16, 1..4_u32), 0..3);
    let step = prop_oneof![
        8 => (0..3_usize, seats(), areas()).prop_map(|(user, seats, areas)| Step::Hold { user, seats, areas }),
        4 => (any::<Index>(), seats(), areas()).prop_map(|(of, seats, areas)| Step::Exchange { of, seats, areas }),
        3 => any::<Index>().prop_map(Step::Release),
        5 => any::<Index>().prop_map(Step::Begin),
        1 => any::<Index>().prop_map(Step::Fail),
        6 => any::<Index>().prop_map(Step::Confirm),
        3 => (0..200_000_u64).prop_map(Step::Wait),
        1 => (0..30_u8).prop_map(|dice| if dice == 0 { Step::CancelSchedule } else { Step::Wait(HOLD_MILLIS) }),
    ];
    prop::collection::vec(step, 1..60)
}

#[derive(Debug, Default)]
struct Model {
    now: u64,
    bookings: Vec<Booking>,
    cancelled: bool,
}

type Verdict = Result<bool, Refusal>;

fn sum(seats: &[u32], areas: &[(u16, u32)]) -> u32 {
    u32::try_from(seats.len()).unwrap() + areas.iter().map(|(_, count)| count).sum::<u32>()
}

impl Model {
    fn lives(booking: &Booking) -> bool {
        use ReservationStatus::{Confirmed, Held, Paying};
        matches!(booking.status, Held | Paying | Confirmed)
    }

    /// How many places of an area have a status, counted over all bookings.
    fn count(&self, area: u16, status: SeatStatus) -> u32 {
        let of = |wanted: fn(ReservationStatus) -> bool| -> u32 {
            let bookings = self.bookings.iter().filter(|booking| wanted(booking.status));
            bookings
                .flat_map(|booking| &booking.areas)
                .filter(|(of, _)| *of == area)
                .map(|(_, count)| count)
                .sum()
        };
        let held = of(|status| matches!(status, ReservationStatus::Held | ReservationStatus::Paying));
        let reserved = of(|status| status == ReservationStatus::Confirmed);
        match status {
            SeatStatus::Available => CAPACITIES[usize::from(area)] - held - reserved,
            SeatStatus::Held => held,
            SeatStatus::Reserved => reserved,
            SeatStatus::Blocked => 0,
        }
    }

    fn live_of(&self, user: usize, but: Option<usize>) -> u32 {
        let own =
            self.bookings.iter().enumerate().filter(|(index, booking)| {
                booking.user == user && Self::lives(booking) && Some(*index) != but
            });
        own.map(|(_, booking)| sum(&booking.seats, &booking.areas)).sum()
    }

    /// Whether the seats and places are there, if the booking `own` gave back what it has.
    fn is_there(&self, own: Option<usize>, seats: &[u32], areas: &[(u16, u32)]) -> Result<(), Refusal> {
        let others = |index: &usize| Some(*index) != own && Self::lives(&self.bookings[*index]);
        let has = |seat: u32| {
            (0..self.bookings.len()).filter(others).any(|of| self.bookings[of].seats.contains(&seat))
        };
        let taken: Vec<Seat> = seats.iter().copied().filter(|seat| has(*seat)).map(Seat).collect();
        if !taken.is_empty() {
            return Err(Refusal::SeatsUnavailable { seats: taken });
        }

        let mut lacking = Vec::new();
        for (area, _) in areas {
            let wanted: u32 = areas.iter().filter(|(of, _)| of == area).map(|(_, count)| count).sum();
            let live = own.filter(|own| Self::lives(&self.bookings[*own]));
            let back: u32 = live.map_or(0, |own| {
                let own = self.bookings[own].areas.iter().filter(|(of, _)| of == area);
                own.map(|(_, count)| count).sum()
            });
            let there = self.count(*area, SeatStatus::Available) + back;
            let entry = (Area(*area), there);
            if wanted > there && !lacking.contains(&entry) {
                lacking.push(entry);
            }
        }
        if lacking.is_empty() { Ok(()) } else { Err(Refusal::NotEnoughPlaces { areas: lacking }) }
    }

    fn may_have(
        &self,
        user: usize,
        own: Option<usize>,
        seats: &[u32],
        areas: &[(u16, u32)],
    ) -> Result<(), Refusal> {
        let wanted = sum(seats, areas);
        if wanted == 0 {
            return Err(Refusal::NoSeats);
        }
        if wanted > RESERVATION_MAX {
            return Err(Refusal::TooManySeats { max: RESERVATION_MAX });
        }
        if self.cancelled {
            return Err(Refusal::NotOpen);
        }
        if self.live_of(user, own) + wanted > USER_MAX {
            return Err(Refusal::SeatLimitExceeded { max: USER_MAX });
        }
        self.is_there(own, seats, areas)
    }

    fn tick(&mut self) {
        let now = self.now;
        for booking in &mut self.bookings {
            let waits = matches!(booking.status, ReservationStatus::Held | ReservationStatus::Paying);
            if waits && booking.deadline <= now {
                booking.status = ReservationStatus::Expired;
            }
        }
    }

    fn exchange(&mut self, of: usize, seats: &[u32], areas: &[(u16, u32)]) -> Verdict {
        match self.bookings[of].status {
            ReservationStatus::Held => {}
            ReservationStatus::Expired => return Err(Refusal::Expired),
            ReservationStatus::Paying
            | ReservationStatus::Confirmed
            | ReservationStatus::Cancelled
            | ReservationStatus::Released => return Err(Refusal::NotHeld),
        }
        self.may_have(self.bookings[of].user, Some(of), seats, areas)?;
        let booking = &mut self.bookings[of];
        let same = booking.seats == seats && booking.areas == areas;
        (booking.seats, booking.areas) = (seats.to_vec(), areas.to_vec());
        Ok(!same)
    }

    fn release(&mut self, of: usize) -> Verdict {
        let booking = &mut self.bookings[of];
        booking.status = match booking.status {
            ReservationStatus::Held => ReservationStatus::Released,
            ReservationStatus::Confirmed => ReservationStatus::Cancelled,
            ReservationStatus::Released | ReservationStatus::Cancelled => return Ok(false),
            ReservationStatus::Paying | ReservationStatus::Expired => return Err(Refusal::NotHeld),
        };
        Ok(true)
    }

    fn begin(&mut self, of: usize) -> Verdict {
        let booking = &mut self.bookings[of];
        match booking.status {
            ReservationStatus::Held => (booking.status, booking.paid) = (ReservationStatus::Paying, true),
            ReservationStatus::Paying => return Ok(false),
            ReservationStatus::Expired => return Err(Refusal::Expired),
            ReservationStatus::Confirmed | ReservationStatus::Cancelled | ReservationStatus::Released => {
                return Err(Refusal::NotHeld);
            }
        }
        Ok(true)
    }

    fn fail(&mut self, of: usize) -> bool {
        let booking = &mut self.bookings[of];
        let under_way = booking.status == ReservationStatus::Paying;
        if under_way {
            (booking.status, booking.paid) = (ReservationStatus::Held, false);
        }
        under_way
    }

    fn confirm(&mut self, of: usize) -> Verdict {
        let Booking { seats, areas, status, paid, .. } = self.bookings[of].clone();
        if !paid {
            return Err(Refusal::PaymentNotUnderWay);
        }
        match status {
            ReservationStatus::Paying => {}
            ReservationStatus::Confirmed | ReservationStatus::Cancelled => return Ok(false),
            ReservationStatus::Expired if self.cancelled => return Err(Refusal::Expired),
            ReservationStatus::Expired => self.is_there(Some(of), &seats, &areas)?,
            ReservationStatus::Held | ReservationStatus::Released => return Err(Refusal::NotHeld),
        }
        self.bookings[of].status = ReservationStatus::Confirmed;
        Ok(true)
    }

    fn cancel(&mut self) -> bool {
        for booking in &mut self.bookings {
            booking.status = match booking.status {
                ReservationStatus::Held | ReservationStatus::Paying => ReservationStatus::Released,
                ReservationStatus::Confirmed => ReservationStatus::Cancelled,
                ended @ (ReservationStatus::Cancelled
                | ReservationStatus::Released
                | ReservationStatus::Expired) => ended,
            };
        }
        !core::mem::replace(&mut self.cancelled, true)
    }
}

fn payment_of(booking: &Booking) -> u128 {
    u128::from(booking.reference.number.0)
}

fn wish_of(seats: &[u32], areas: &[(u16, u32)]) -> Wish {
    let seats: Arc<[Seat]> = seats.iter().copied().map(Seat).collect();
    let wish = if seats.is_empty() { Wish::default() } else { Wish::seats(seats) };
    let areas: Vec<(Area, u32)> = areas.iter().map(|(area, count)| (Area(*area), *count)).collect();
    Wish { areas: places(&areas), ..wish }
}

/// A sale and its model, and everything that happened to the sale as the journal keeps it.
struct Both {
    sale: Sale,
    model: Model,
    journal: Journal,
}

impl Both {
    fn apply(&mut self, event: &Event) {
        let before = self.sale.schedule.clone();
        self.sale.apply(event, None);
        let after = &self.sale.schedule;

        // A follower that knew the map before knows it after.
        let mut told = before.area_counts().to_vec();
        for change in after.changed_areas() {
            assert_eq!(told[change.area.index()], change.before);
            assert_ne!(change.before, change.after, "what didn't change isn't told");
            told[change.area.index()] = change.after;
        }
        assert_eq!(told, after.area_counts());
        let is_seen = before.statuses() != after.statuses() || before.area_counts() != after.area_counts();
        assert_eq!(after.seats_version() - before.seats_version(), u64::from(is_seen));
        assert_eq!(before.seats_sum() == after.seats_sum(), !is_seen);

        self.journal.push(after, event, self.sale.now);
    }

    fn tick(&mut self) {
        while let Some(event) = self.sale.schedule.due(self.sale.now) {
            self.apply(&event);
        }
        self.model.tick();
    }

    /// Asks the sale, and compares with what the model says.
    fn ask(&mut self, command: impl Into<AnyCommand>, verdict: &Verdict) -> Option<Event> {
        let decided = self.sale.schedule.decide(&command.into(), self.sale.now);
        assert_eq!(decided.as_ref().map(Option::is_some), verdict.as_ref().copied());
        let event = decided.ok().flatten();
        if let Some(event) = &event {
            self.apply(event);
        }
        event
    }

    fn step(&mut self, step: Step) {
        if let Step::Wait(millis) = step {
            self.model.now += millis;
            self.sale.wait(millis);
        }
        self.tick();

        let pick = |of: Index| (!self.model.bookings.is_empty()).then(|| of.index(self.model.bookings.len()));
        match step {
            Step::Wait(_) => {}
            Step::Hold { user, seats, areas } => self.hold(user, seats, areas),
            Step::Exchange { of, seats, areas } => {
                let Some(of) = pick(of) else { return };
                let booking = self.model.bookings[of].clone();
                let verdict = self.model.exchange(of, &seats, &areas);
                let (reservation, caller) = (booking.reference, by(USERS[booking.user]));
                let wish = wish_of(&seats, &areas);
                self.ask(Command::Exchange { reservation, caller, wish }, &verdict);
            }
            Step::Release(of) => {
                let Some(of) = pick(of) else { return };
                let booking = self.model.bookings[of].clone();
                let verdict = self.model.release(of);
                let (reservation, caller) = (booking.reference, by(USERS[booking.user]));
                self.ask(Command::Release { reservation, caller }, &verdict);
            }
            Step::Begin(of) => {
                let Some(of) = pick(of) else { return };
                let booking = self.model.bookings[of].clone();
                let verdict = self.model.begin(of);
                let (reservation, caller) = (booking.reference, by(USERS[booking.user]));
                let payment = PaymentId::from_bits(payment_of(&booking));
                self.ask(
                    AnyCommand::BeginPayment { reservation, caller, payment, takes_time: false },
                    &verdict,
                );
            }
            Step::Fail(of) => {
                let Some(of) = pick(of) else { return };
                let booking = self.model.bookings[of].clone();
                let verdict = Ok(self.model.fail(of));
                let (reservation, payment) = (booking.reference, PaymentId::from_bits(payment_of(&booking)));
                self.ask(AnyCommand::FailPayment { reservation, payment }, &verdict);
            }
            Step::Confirm(of) => {
                let Some(of) = pick(of) else { return };
                let booking = self.model.bookings[of].clone();
                let verdict = self.model.confirm(of);
                let (reservation, payment) = (booking.reference, PaymentId::from_bits(payment_of(&booking)));
                self.ask(AnyCommand::Confirm { reservation, payment }, &verdict);
            }
            Step::CancelSchedule => {
                let verdict = Ok(self.model.cancel());
                self.ask(Command::Cancel, &verdict);
            }
        }
        self.compare();
    }

    fn hold(&mut self, user: usize, seats: Vec<u32>, areas: Vec<(u16, u32)>) {
        let verdict = self.model.may_have(user, None, &seats, &areas).map(|()| true);
        let command = self.sale.wish(USERS[user], wish_of(&seats, &areas));
        let Some(Event::SeatsHeld { number, nonce, .. }) = self.ask(command, &verdict) else { return };
        self.model.bookings.push(Booking {
            reference: ReservationRef { number, nonce },
            user,
            seats,
            areas,
            status: ReservationStatus::Held,
            deadline: self.model.now + HOLD_MILLIS,
            paid: false,
        });
    }

    fn compare(&self) {
        let schedule = &self.sale.schedule;
        for area in 0..2 {
            let counts = schedule.area_counts()[usize::from(area)];
            for status in SeatStatus::ALL {
                assert_eq!(counts.of(status), self.model.count(area, status), "A1: {status:?} of {area}");
            }
        }
        for booking in &self.model.bookings {
            let kept = schedule.reservation(booking.reference).unwrap();
            assert_eq!(kept.status, booking.status);
            let areas: Vec<(u16, u32)> =
                areas_of(kept).iter().map(|(area, count)| (area.0, *count)).collect();
            assert_eq!(areas, booking.areas);
            let price = |area: u16| if area == 0 { 40 } else { 70 };
            let seats: u64 = booking.seats.iter().map(|seat| if *seat < 6 { 100 } else { 70 }).sum();
            let places: u64 =
                booking.areas.iter().map(|(area, count)| price(*area) * u64::from(*count)).sum();
            assert_eq!(schedule.amount_of(kept).minor(), seats + places);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn seats_and_places_are_what_the_bookings_of_a_model_have(steps in steps()) {
        let schedule = Schedule::create(creation_with_areas(), layout_with_areas(), START);
        let sale = Sale { schedule, now: START, nonce: 100 };
        let mut both = Both { sale, model: Model::default(), journal: Journal::default() };
        both.ask(AnyCommand::Open, &Ok(true));
        for step in steps {
            both.step(step);
        }
        both.journal.check(&both.sale.schedule, creation_with_areas(), &layout_with_areas());
    }
}
