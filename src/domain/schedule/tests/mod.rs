//! The rules of a schedule, each pinned by a test whose name is the rule.
//!
//! One helper, [`Sale`], stands for the given, the when and the then: it brings what is due, decides,
//! applies, and checks every invariant after each event. [`model`] holds the same rules against an
//! independent model, at random, and replays everything through the record codec.

mod accessible;
mod areas;
mod aside;
mod hold;
mod inside;
mod journal;
mod keys;
mod model;
mod orders;
mod orders_model;
mod pay;
mod prices;
mod sale;
mod search;
mod selling;
mod selling_model;
mod time;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::policy::Policy;
use super::*;
use crate::domain::ids::{GradeName, PaymentId, ReservationNumber, SeatId};
use crate::domain::time::Seconds;
use crate::domain::venue::{ListedSeat, Row, RowSeats, Section};

/// The instant at which every test begins.
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const DAY: u64 = 86_400_000;
/// The performance begins ten days later.
const SHOW: Timestamp = Timestamp::from_millis(1_800_000_000_000 + 10 * DAY);
const LIMITS: Limits = Limits { ended_retention: Seconds::new(3_600), keys_max: 8 };

type Outcome = Result<Option<Event>, Refusal>;

/// Row A has six seats of the grade VIP, row B six of the grade R: `A1` to `A6`, `B1` to `B6`.
fn rows() -> [Section; 1] {
    let row = |id: &str, grade: &str| Row {
        id: id.into(),
        grade: GradeName::parse(grade).unwrap(),
        line: None,
        seats: RowSeats::Listed(
            (1..=6)
                .map(|number| ListedSeat::new(SeatId::parse(&format!("{id}{number}")).unwrap(), number))
                .collect(),
        ),
    };
    let rows = vec![row("A", "VIP"), row("B", "R")];
    [Section { id: "1".into(), floor: "1".into(), outline: None, rows }]
}

/// Those rows alone.
fn layout() -> Arc<Layout> {
    Arc::new(Layout::new(&rows()).unwrap())
}

fn prices(vip: u64) -> Arc<Prices> {
    let by_grade = [vip, 70].map(|price| Money::new(price).unwrap());
    Arc::new(Prices { by_grade: by_grade.into(), best_first: [0, 1].into(), tariff: None })
}

fn plan() -> Plan {
    Plan {
        starts_at: SHOW,
        ends_at: SHOW.plus(Seconds::new(7_200)),
        sales_open_at: None,
        sales_close_at: None,
        casting: BTreeMap::new(),
        policy: Policy { seats_per_user_max: 6, ..Policy::default() },
    }
}

fn creation(plan: Plan) -> Creation {
    Creation {
        number: ScheduleNumber(7),
        id: ScheduleId::parse("perf-1").unwrap(),
        concert: ConcertId::parse("kinky").unwrap(),
        venue: VenueId::parse("charlotte").unwrap(),
        currency: Currency::parse("KRW").unwrap(),
        plan: Arc::new(plan),
        limits: LIMITS,
        prices: Some(prices(100)),
    }
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn by(name: &str) -> Caller {
    match name {
        "admin" => Caller::Admin,
        "clerk" => Caller::Clerk,
        name => Caller::User(user(name)),
    }
}

fn after(at: Timestamp, millis: u64) -> Timestamp {
    Timestamp::from_millis(at.as_millis() + millis)
}

fn before(at: Timestamp, millis: u64) -> Timestamp {
    Timestamp::from_millis(at.as_millis() - millis)
}

/// A schedule at an instant, asked in the words of the tests.
struct Sale {
    schedule: Schedule,
    now: Timestamp,
    nonce: u64,
}

impl Sale {
    /// Given an upcoming schedule with a plan.
    fn planned(plan: Plan) -> Self {
        let schedule = Schedule::create(creation(plan), layout(), START);
        Self { schedule, now: START, nonce: 100 }
    }

    /// Given an open sale whose plan and policy differ from the usual ones as `change` says.
    fn open_with(change: impl FnOnce(&mut Plan)) -> Self {
        let mut plan = plan();
        change(&mut plan);
        let mut sale = Self::planned(plan);
        sale.does(&AnyCommand::Open);
        sale
    }

    /// Given an open sale.
    fn open() -> Self {
        Self::open_with(|_| ())
    }

    /// When it is this instant. Nothing is brought yet: no timer has fired.
    fn at(&mut self, now: Timestamp) -> &mut Self {
        assert!(now >= self.now, "the test's clock goes forward");
        self.now = now;
        self
    }

    /// When so many milliseconds have gone by.
    fn wait(&mut self, millis: u64) -> &mut Self {
        self.at(after(self.now, millis))
    }

    fn apply(&mut self, event: &Event, key: Option<KeyUse>) {
        let version = self.schedule.version();
        self.schedule.apply(event, self.now, key);
        assert_eq!(self.schedule.version(), version + 1);
        self.schedule.check_invariants();
    }

    /// Brings what time alone has brought by now, in order.
    fn tick(&mut self) -> Vec<Event> {
        let mut came = Vec::new();
        while let Some(event) = self.schedule.due(self.now) {
            self.apply(&event, None);
            came.push(event);
        }
        came
    }

    /// When it is asked this, after what was due.
    fn ask(&mut self, command: &(impl Clone + Into<AnyCommand>)) -> Outcome {
        self.ask_with(command, None)
    }

    fn ask_with(&mut self, command: &(impl Clone + Into<AnyCommand>), key: Option<KeyUse>) -> Outcome {
        self.tick();
        let outcome = self.schedule.decide(&command.clone().into(), self.now);
        if let Ok(Some(event)) = &outcome {
            self.apply(event, key);
        }
        outcome
    }

    /// Then it happens.
    fn does(&mut self, command: &(impl Clone + Into<AnyCommand>)) -> Event {
        self.ask(command).expect("it is granted").expect("it changes something")
    }

    fn seats(&self, names: &str) -> Arc<[Seat]> {
        names.split_whitespace().map(|name| self.schedule.layout().seat(name).unwrap()).collect()
    }

    fn names(&self, seats: &[Seat]) -> String {
        let names: Vec<&str> = seats.iter().map(|seat| self.schedule.layout().seat_id(*seat)).collect();
        names.join(" ")
    }

    fn wish(&mut self, who: &str, wish: Wish) -> Command {
        self.nonce += 1;
        Command::hold(user(who), wish, self.nonce)
    }

    fn try_hold(&mut self, who: &str, seats: &str) -> Result<ReservationRef, Refusal> {
        let wish = Wish::seats(self.seats(seats));
        self.try_wish(who, wish)
    }

    fn try_best(&mut self, who: &str, grade: Option<&str>, count: u32) -> Result<ReservationRef, Refusal> {
        let grade = grade.map(|grade| self.schedule.layout().grade(grade).unwrap());
        self.try_wish(who, Wish::best_of(grade, count))
    }

    fn try_wish(&mut self, who: &str, wish: Wish) -> Result<ReservationRef, Refusal> {
        let command = self.wish(who, wish);
        match self.ask(&command)? {
            Some(Event::SeatsHeld { number, nonce, .. }) => Ok(ReservationRef { number, nonce }),
            other => panic!("a hold makes a reservation, not {other:?}"),
        }
    }

    fn hold(&mut self, who: &str, seats: &str) -> ReservationRef {
        self.try_hold(who, seats).expect("the seats are free")
    }

    fn exchange(&mut self, who: &str, reservation: ReservationRef, seats: &str) -> Outcome {
        let wish = Wish::seats(self.seats(seats));
        self.ask(&Command::Exchange { reservation, caller: by(who), wish })
    }

    fn release(&mut self, who: &str, reservation: ReservationRef) -> Outcome {
        self.ask(&Command::Release { reservation, caller: by(who) })
    }

    fn begin(&mut self, who: &str, reservation: ReservationRef, payment: u128) -> Outcome {
        let payment = PaymentId::from_bits(payment);
        self.ask(&AnyCommand::BeginPayment { reservation, caller: by(who), payment, takes_time: true })
    }

    /// When a payment begins that needs no gateway.
    fn begin_at_once(&mut self, who: &str, reservation: ReservationRef, payment: u128) -> Outcome {
        let payment = PaymentId::from_bits(payment);
        self.ask(&AnyCommand::BeginPayment { reservation, caller: by(who), payment, takes_time: false })
    }

    fn fail(&mut self, reservation: ReservationRef, payment: u128) -> Outcome {
        self.ask(&AnyCommand::FailPayment { reservation, payment: PaymentId::from_bits(payment) })
    }

    fn confirm(&mut self, reservation: ReservationRef, payment: u128) -> Outcome {
        self.ask(&AnyCommand::Confirm { reservation, payment: PaymentId::from_bits(payment) })
    }

    /// When money is there of which nobody knew before.
    fn confirm_taken(&mut self, reservation: ReservationRef, payment: u128, amount: u64) -> Outcome {
        let (payment, amount) = (PaymentId::from_bits(payment), Money::new(amount).unwrap());
        self.ask(&AnyCommand::ConfirmTaken { reservation, payment, amount })
    }

    /// Given a reservation that was held and paid.
    fn sell(&mut self, who: &str, seats: &str) -> ReservationRef {
        let reservation = self.hold(who, seats);
        self.begin(who, reservation, 900).unwrap();
        self.confirm(reservation, 900).unwrap();
        reservation
    }

    fn block(&mut self, seats: &str) -> Outcome {
        let seats = self.seats(seats);
        self.ask(&Command::Block { seats })
    }

    fn unblock(&mut self, seats: &str) -> Outcome {
        let seats = self.seats(seats);
        self.ask(&Command::Unblock { seats })
    }

    fn replan(&mut self, change: impl FnOnce(&mut Plan)) -> Outcome {
        let mut plan = Plan::clone(self.schedule.plan());
        change(&mut plan);
        let concert = self.schedule.concert().clone();
        self.ask(&AnyCommand::Replan { concert, plan: Arc::new(plan) })
    }

    /// When the engine was down from `down_since` until now.
    fn bridge(&mut self, down_since: Timestamp) -> Outcome {
        self.bridge_on(down_since, down_since)
    }

    /// When it was down from `began` until now, and a start that died had bridged that up to `down_since`.
    fn bridge_on(&mut self, began: Timestamp, down_since: Timestamp) -> Outcome {
        let outcome = self.schedule.decide(&AnyCommand::BridgeOutage { began, down_since }, self.now);
        if let Ok(Some(event)) = &outcome {
            self.apply(event, None);
        }
        outcome
    }

    fn get(&self, reservation: ReservationRef) -> &Reservation {
        self.schedule.reservation(reservation).expect("the reservation is kept")
    }

    fn status(&self, reservation: ReservationRef) -> ReservationStatus {
        self.get(reservation).status
    }

    fn seats_of(&self, reservation: ReservationRef) -> String {
        self.names(&self.get(reservation).seats)
    }

    fn deadline(&self, reservation: ReservationRef) -> Timestamp {
        self.get(reservation).expires_at
    }

    /// The seats that have this status.
    fn that_are(&self, status: SeatStatus) -> String {
        let statuses = self.schedule.statuses();
        let seats: Vec<Seat> =
            self.schedule.layout().seats().filter(|seat| statuses[seat.index()] == status).collect();
        self.names(&seats)
    }

    fn unavailable<T>(&self, seats: &str) -> Result<T, Refusal> {
        Err(Refusal::SeatsUnavailable { seats: self.seats(seats).to_vec() })
    }
}
