//! What belongs in the archive, condition by condition: one schedule that does, and what keeps each other one.

use super::*;
use crate::domain::concert::Prices;
use crate::domain::ids::{
    ConcertId, GradeName, PaymentId, PaymentNumber, ReservationNumber, ScheduleId, ScheduleNumber, UserId,
    VenueId,
};
use crate::domain::money::{Currency, Money};
use crate::domain::payments::{self, Method, Outcome};
use crate::domain::schedule::policy::{Policy, QueuePolicy};
use crate::domain::schedule::{AnyCommand, Caller, Command, Creation, Limits, Refusal, ReservationRef, Wish};
use crate::domain::venue::{Layout, Row, RowSeats, Seat, Section};
use crate::domain::waiting_room::draw::Seed;
use crate::domain::waiting_room::{self, Settings, Tuning};
use std::collections::BTreeMap;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const AFTER: Seconds = Seconds::new(30 * Seconds::DAY.get());
/// The instant at which a show that began a day after [`START`] and ended an hour later is over for long enough.
const OVER: Timestamp = START.plus(Seconds::new(31 * Seconds::DAY.get() + 3_600));

fn user() -> UserId {
    UserId::parse("kim").unwrap()
}

fn plan() -> Plan {
    let starts_at = START.plus(Seconds::DAY);
    Plan {
        starts_at,
        ends_at: starts_at.plus(Seconds::new(3_600)),
        sales_open_at: None,
        sales_close_at: None,
        casting: BTreeMap::new(),
        policy: Policy { queue: Some(QueuePolicy::default()), ..Policy::default() },
    }
}

/// A schedule with its room and its payments.
struct Show {
    schedule: Schedule,
    room: WaitingRoom,
    payments: Option<Payments>,
}

impl Show {
    /// Given a show whose sale has opened.
    fn open() -> Self {
        let rows = vec![Row {
            id: "1".into(),
            grade: GradeName::parse("R").unwrap(),
            line: None,
            seats: RowSeats::Length(4),
        }];
        let section = Section { id: "A".into(), floor: "1".into(), outline: None, rows };
        let by_grade = [Money::new(100).unwrap()].into();
        let creation = Creation {
            number: ScheduleNumber(1),
            id: ScheduleId::parse("s").unwrap(),
            concert: ConcertId::parse("c").unwrap(),
            venue: VenueId::parse("v").unwrap(),
            currency: Currency::parse("KRW").unwrap(),
            plan: Arc::new(plan()),
            limits: Limits { ended_retention: Seconds::DAY, keys_max: 9 },
            prices: Some(Arc::new(Prices { by_grade, best_first: [0].into(), tariff: None })),
        };
        let layout = Arc::new(Layout::new(&[section]).unwrap());
        let mut room = WaitingRoom::new(creation.number);
        let settings = Settings::of(&plan(), 9).map(Box::new);
        let configure = waiting_room::Command::Configure { settings, seed: Seed([1; 32]) };
        let configured = room.decide(&configure, START).unwrap().unwrap();
        room.apply(&configured, START, None);
        let mut show = Self { schedule: Schedule::create(creation, layout, START), room, payments: None };
        show.does(&AnyCommand::Open, START);
        show
    }

    /// Given the same, whose sale has closed by itself.
    fn closed() -> Self {
        let mut show = Self::open();
        show.comes(plan().closes_at());
        show
    }

    fn does(&mut self, command: &(impl Clone + Into<AnyCommand>), at: Timestamp) {
        let event = self.schedule.decide(&command.clone().into(), at).unwrap().unwrap();
        self.schedule.apply(&event, at, None);
    }

    fn comes(&mut self, at: Timestamp) {
        while let Some(event) = self.schedule.due(at) {
            self.schedule.apply(&event, at, None);
        }
    }

    fn holds(&mut self, at: Timestamp) -> ReservationRef {
        let wish = Wish::seats([Seat(0)]);
        self.does(&Command::hold(user(), wish, 7), at);
        ReservationRef { number: ReservationNumber(1), nonce: 7 }
    }

    /// A payment of the hold, as far as these outcomes lead.
    fn pays(&mut self, reservation: ReservationRef, outcomes: &[Outcome]) -> PaymentId {
        let mut payments = Payments::new(ScheduleNumber(1), 9);
        let start = payments::Command::Start {
            reservation,
            user: user(),
            method: Method::Balance,
            amount: Money::new(100).unwrap(),
            currency: Currency::parse("KRW").unwrap(),
            gateway: None,
            nonce: 5,
        };
        let payment = PaymentId { schedule: ScheduleNumber(1), number: PaymentNumber(1), nonce: 5 };
        let notes =
            outcomes.iter().map(|outcome| payments::Command::Note { payment, outcome: outcome.clone() });
        for command in core::iter::once(start).chain(notes) {
            let event = payments.decide(&command).unwrap().unwrap();
            payments.apply(&event, START, None);
        }
        self.payments = Some(payments);
        payment
    }

    fn belongs(&self, now: Timestamp) -> Result<Archived, Stays> {
        belongs(&self.schedule, &self.room, self.payments.as_ref(), now, AFTER)
    }
}

const PAID: [Outcome; 4] = [Outcome::Held, Outcome::Captured, Outcome::Confirmed, Outcome::PassEnded];

#[test]
fn a_show_belongs_there_once_its_time_has_passed_and_not_a_moment_before() {
    let show = Show::closed();
    assert_eq!(show.belongs(Timestamp::from_millis(OVER.as_millis() - 1)), Err(Stays::NotOver));
    let archived = Archived { version: show.schedule.version(), payments: 0, opened: true };
    assert_eq!(show.belongs(OVER), Ok(archived));
}

#[test]
fn what_happened_within_a_day_keeps_it() {
    let mut show = Show::closed();
    show.does(&Command::Block { seats: [Seat(3)].into() }, OVER);
    assert_eq!(show.belongs(OVER.plus(Seconds::new(86_399))), Err(Stays::NotQuiet));
    assert!(show.belongs(OVER.plus(Seconds::DAY)).is_ok());
}

#[test]
fn what_happened_to_its_room_within_a_day_keeps_it() {
    let mut show = Show::closed();
    let tuning = Tuning { active_max: Some(7), admit_per_minute: None, paused: None };
    let tuned = show.room.decide(&waiting_room::Command::Tune(tuning), OVER).unwrap().unwrap();
    show.room.apply(&tuned, OVER, None);
    assert_eq!(show.belongs(OVER.plus(Seconds::new(86_399))), Err(Stays::NotQuiet));
    assert!(show.belongs(OVER.plus(Seconds::DAY)).is_ok());
}

#[test]
fn what_time_brings_yet_keeps_it() {
    assert_eq!(Show::open().belongs(OVER), Err(Stays::Live), "its sale hasn't closed by itself");
    let mut show = Show::open();
    show.holds(START);
    show.does(&Command::Close, START);
    assert_eq!(show.belongs(OVER), Err(Stays::Live));
    show.comes(START.plus(Seconds::DAY));
    assert!(show.belongs(OVER).is_ok(), "an expired hold is history");
}

#[test]
fn who_waits_in_its_room_keeps_it() {
    let mut show = Show::closed();
    let join = waiting_room::Command::Join { user: user() };
    let joined = show.room.decide(&join, START).unwrap().unwrap();
    show.room.apply(&joined, START, None);
    assert_eq!(show.belongs(OVER), Err(Stays::RoomInUse));
}

#[test]
fn money_that_is_under_way_or_owed_keeps_it() {
    for reached in 0..PAID.len() {
        let mut show = Show::open();
        let hold = show.holds(START);
        show.pays(hold, &PAID[..reached]);
        show.comes(plan().closes_at());
        assert_eq!(show.belongs(OVER), Err(Stays::Unsettled), "{reached}");
    }
    let mut show = Show::open();
    let hold = show.holds(START);
    let payment = show.pays(hold, &PAID);
    let begin = AnyCommand::BeginPayment {
        reservation: hold,
        caller: Caller::User(user()),
        payment,
        takes_time: false,
    };
    show.does(&begin, START);
    show.does(&AnyCommand::Confirm { reservation: hold, payment }, START);
    show.comes(plan().closes_at());
    let archived = show.belongs(OVER).unwrap();
    assert_eq!(archived.payments, show.payments.as_ref().unwrap().version());
    show.does(&Command::Release { reservation: hold, caller: Caller::Admin }, plan().closes_at());
    assert_eq!(show.belongs(OVER), Err(Stays::Unsettled), "its money isn't back");
    let payments = show.payments.as_mut().unwrap();
    let given_back = payments::Command::Note { payment, outcome: Outcome::GivenBack };
    for command in [payments::Command::Refund { payment, amount: None }, given_back] {
        let event = payments.decide(&command).unwrap().unwrap();
        payments.apply(&event, START, None);
    }
    assert!(show.belongs(OVER).is_ok());
}

#[test]
fn money_that_is_owed_for_a_reservation_that_is_forgotten_keeps_it() {
    let mut show = Show::open();
    let hold = show.holds(START);
    let payment = show.pays(hold, &PAID);
    let begin = AnyCommand::BeginPayment {
        reservation: hold,
        caller: Caller::User(user()),
        payment,
        takes_time: false,
    };
    show.does(&begin, START);
    show.does(&AnyCommand::Confirm { reservation: hold, payment }, START);
    show.does(&Command::Release { reservation: hold, caller: Caller::Admin }, START);
    show.comes(plan().closes_at());
    // Whatever happens next forgets what ended a day ago.
    show.does(&Command::Block { seats: [Seat(3)].into() }, START.plus(Seconds::new(2 * 86_400)));
    assert_eq!(show.schedule.reservation(hold), None);
    assert_eq!(show.belongs(OVER), Err(Stays::Unsettled), "no such reservation is no refund");
}

#[test]
fn the_image_has_no_keys_and_the_rooms_settings_as_they_were_last() {
    let mut show = Show::closed();
    let tuning = Tuning { active_max: Some(7), admit_per_minute: Some(Some(8)), paused: None };
    let tuned = show.room.decide(&waiting_room::Command::Tune(tuning), START).unwrap().unwrap();
    show.room.apply(&tuned, START, None);
    let image = image_of(&show.schedule, &show.room);
    let queue = image.plan.policy.queue.as_ref().unwrap();
    assert_eq!((queue.active_max, queue.admit_per_minute), (7, Some(8)));
    let others = QueuePolicy { active_max: 7, admit_per_minute: Some(8), ..QueuePolicy::default() };
    assert_eq!(*queue, others);
    let restored = image.restore(Arc::clone(show.schedule.layout()));
    assert_eq!((restored.counts(), restored.version()), (show.schedule.counts(), show.schedule.version()));
}

#[test]
fn a_schedule_in_the_archive_answers_what_is_so_and_refuses_the_rest() {
    let mut show = Show::open();
    let hold = show.holds(START);
    let payment = PaymentId::from_bits(9);
    let caller = Caller::User(user());
    let begin = |caller: &Caller| AnyCommand::BeginPayment {
        reservation: hold,
        caller: caller.clone(),
        payment,
        takes_time: true,
    };
    show.does(&begin(&caller), START);
    show.does(&AnyCommand::Confirm { reservation: hold, payment }, START);
    show.comes(plan().closes_at());
    let wish = Wish::seats([Seat(1)]);
    let release = |caller: &Caller| Command::Release { reservation: hold, caller: caller.clone() };
    let other = Caller::User(UserId::parse("lee").unwrap());
    let replanned = Arc::new(Plan { sales_open_at: Some(START), ..plan() });
    let exchange = Command::Exchange { reservation: hold, caller: caller.clone(), wish: wish.clone() };
    let asked = [
        (Command::hold(user(), wish, 1).into(), Err(Refusal::NotOpen)),
        (exchange.into(), Err(Refusal::NotHeld)),
        (release(&caller).into(), Err(Refusal::CancellationClosed)),
        (release(&Caller::Admin).into(), Err(Refusal::CancellationClosed)),
        (release(&other).into(), Err(Refusal::NoSuchReservation)),
        (begin(&caller), Err(Refusal::NotHeld)),
        (AnyCommand::Confirm { reservation: hold, payment }, Ok(())),
        (Command::Close.into(), Ok(())),
        (Command::Cancel.into(), Err(Refusal::InvalidTransition)),
        (Command::Block { seats: [Seat(1)].into() }.into(), Err(Refusal::InvalidTransition)),
        (
            Command::Block { seats: [Seat(0)].into() }.into(),
            Err(Refusal::SeatsUnavailable { seats: vec![Seat(0)] }),
        ),
        (
            AnyCommand::Replan { concert: show.schedule.concert().clone(), plan: replanned },
            Err(Refusal::InvalidTransition),
        ),
        (AnyCommand::Replan { concert: show.schedule.concert().clone(), plan: Arc::new(plan()) }, Ok(())),
        (AnyCommand::Delete, Err(Refusal::InUse)),
    ];
    for (command, expected) in asked {
        assert_eq!(show.schedule.decide_archived(&command, OVER), expected, "{command:?}");
    }
}
