//! The saga: whatever comes of its steps, in whatever order and however often, the money adds up.

mod reports;

use proptest::prelude::*;

use super::*;
use crate::domain::ids::ReservationNumber;
use crate::domain::inside::{Inside, reread, said};
use crate::record::{self, Section};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const SCHEDULE: ScheduleNumber = ScheduleNumber(3);

fn payments() -> Payments {
    Payments::new(SCHEDULE, 100)
}

fn start(method: Method) -> Command {
    Command::Start {
        reservation: ReservationRef { number: ReservationNumber(1), nonce: 2 },
        user: UserId::parse("kim").unwrap(),
        method,
        amount: Money::new(100).unwrap(),
        currency: Currency::parse("KRW").unwrap(),
        gateway: method.needs_gateway().then(|| GatewayName::parse("toss").unwrap()),
        nonce: 9,
    }
}

fn act(payments: &mut Payments, command: &Command, key: Option<KeyUse>) -> Result<bool, Refusal> {
    let event = payments.decide(command)?;
    if let Some(event) = &event {
        payments.apply(event, START, key);
    }
    payments.check_invariants();
    Ok(event.is_some())
}

fn only(payments: &Payments) -> Payment {
    payments.iter().next_back().unwrap().clone()
}

fn note(payments: &mut Payments, outcome: Outcome) -> bool {
    let payment = only(payments).id;
    act(payments, &Command::Note { payment, outcome }, None).unwrap()
}

#[test]
fn a_payment_from_the_balance_goes_step_by_step_to_its_end() {
    let mut payments = payments();
    act(&mut payments, &start(Method::Balance), None).unwrap();
    let steps = [
        (Step::Hold, Outcome::Held),
        (Step::Capture, Outcome::Captured),
        (Step::Confirm, Outcome::Confirmed),
        (Step::EndPass, Outcome::PassEnded),
    ];
    for (step, outcome) in steps {
        assert_eq!((only(&payments).next(), only(&payments).state.as_str()), (Some(step), "pending"));
        assert!(note(&mut payments, outcome.clone()));
        assert!(!note(&mut payments, outcome), "told again, it is known");
    }
    assert_eq!((only(&payments).next(), only(&payments).state.as_str()), (None, "completed"));
    let refund = Command::Refund { payment: only(&payments).id, amount: None };
    assert_eq!(act(&mut payments, &refund, None), Ok(true));
    assert_eq!(act(&mut payments, &refund, None), Ok(false));
    assert_eq!(only(&payments).next(), Some(Step::GiveBack));
    assert!(note(&mut payments, Outcome::GivenBack));
    assert_eq!(only(&payments).state.as_str(), "refunded");
}

#[test]
fn a_refund_is_of_a_part_or_of_everything_or_of_nothing() {
    let won = |minor| Some(Money::new(minor).unwrap());
    for (asked, part, back) in [
        (None, None, 100),
        (won(100), None, 100),
        (won(101), None, 100),
        (won(92), won(92), 92),
        (won(0), won(0), 0),
    ] {
        let mut payments = payments();
        act(&mut payments, &start(Method::Balance), None).unwrap();
        for outcome in [Outcome::Held, Outcome::Captured, Outcome::Confirmed, Outcome::PassEnded] {
            assert!(note(&mut payments, outcome));
        }
        let refund = Command::Refund { payment: only(&payments).id, amount: asked };
        act(&mut payments, &refund, None).unwrap();
        let owed = only(&payments);
        assert_eq!((owed.refund, owed.refund_amount().minor(), owed.amount.minor()), (part, back, 100));
        assert_eq!((owed.next(), owed.gives_nothing_back()), (Some(Step::GiveBack), back == 0));
        let other = Command::Refund { payment: owed.id, amount: won(1) };
        assert_eq!(act(&mut payments, &other, None), Ok(false), "it was decided before");
        assert!(note(&mut payments, Outcome::GivenBack));
        assert_eq!(only(&payments).refund, part);
    }
}

#[test]
fn a_payment_through_the_gateway_waits_for_what_its_checkout_gives() {
    let mut payments = payments();
    act(&mut payments, &start(Method::Card), None).unwrap();
    assert_eq!((only(&payments).next(), only(&payments).state.as_str()), (None, "ready"));
    let accept = |user: &str, key: &str| Command::Accept {
        payment: PaymentId { schedule: SCHEDULE, number: PaymentNumber(1), nonce: 9 },
        user: UserId::parse(user).unwrap(),
        payment_key: key.into(),
    };
    assert_eq!(act(&mut payments, &accept("lee", "k"), None), Err(Refusal::NoSuchPayment));
    assert_eq!(act(&mut payments, &accept("kim", "k"), None), Ok(true));
    assert_eq!(act(&mut payments, &accept("kim", "k"), None), Ok(false), "the same again is known");
    assert_eq!(act(&mut payments, &accept("kim", "other"), None), Err(Refusal::NotReady));
    assert_eq!(only(&payments).next(), Some(Step::Hold));
}

#[test]
fn what_was_taken_for_seats_that_are_gone_goes_back() {
    let mut payments = payments();
    act(&mut payments, &start(Method::Balance), None).unwrap();
    for outcome in [Outcome::Held, Outcome::Captured, Outcome::Lost(Failure::SeatsLost)] {
        assert!(note(&mut payments, outcome));
    }
    assert_eq!((only(&payments).next(), only(&payments).state.as_str()), (Some(Step::GiveBack), "refunding"));
    assert_eq!(only(&payments).failure, Some(Failure::SeatsLost));
    assert_eq!(only(&payments).refund, None, "all of it");
}

#[test]
fn a_refused_attempt_lets_its_key_go_and_keeps_its_reason() {
    let mut payments = payments();
    let key = KeyUse { digest: 1, fingerprint: 2 };
    act(&mut payments, &start(Method::Balance), Some(key)).unwrap();
    assert!(payments.find_key(key, START).is_some());
    note(&mut payments, Outcome::Held);
    let short = Failure::Insufficient { balance: Money::ZERO };
    note(&mut payments, Outcome::Declined(short.clone()));
    assert_eq!(only(&payments).next(), Some(Step::LetGo));
    note(&mut payments, Outcome::LetGo);
    assert_eq!((only(&payments).failure, only(&payments).state.as_str()), (Some(short), "failed"));
    assert_eq!(payments.find_key(key, START), None);
    // The second attempt may have the same key.
    act(&mut payments, &start(Method::Balance), Some(key)).unwrap();
    assert_eq!(only(&payments).id.number, PaymentNumber(2));
}

#[test]
fn attempts_that_came_to_nothing_are_forgotten_after_a_week_and_paid_ones_never() {
    let mut payments = payments();
    act(&mut payments, &start(Method::Card), None).unwrap();
    act(&mut payments, &start(Method::Balance), None).unwrap();
    for outcome in [Outcome::Held, Outcome::Captured, Outcome::Confirmed, Outcome::PassEnded] {
        note(&mut payments, outcome);
    }
    act(&mut payments, &start(Method::Balance), None).unwrap();
    note(&mut payments, Outcome::NotHeld(Failure::NotHeld));
    let later = START.plus(Seconds::new(7 * 86_400));
    let event = payments.decide(&start(Method::Card)).unwrap().unwrap();
    payments.apply(&event, later, None);
    let kept: Vec<u32> = payments.iter().map(|payment| payment.id.number.0).collect();
    assert_eq!(kept, [2, 4]);
}

/// A day, and the week for which attempts that came to nothing are kept.
const DAY: u64 = 86_400_000;
const WEEK: u64 = 7 * DAY;

fn act_at(payments: &mut Payments, command: &Command, after: u64, key: Option<KeyUse>) {
    let event = payments.decide(command).unwrap().expect("something happens");
    payments.apply(&event, START.plus_millis(after), key);
    payments.check_invariants();
}

fn accept(payment: PaymentId) -> Command {
    Command::Accept { payment, user: UserId::parse("kim").unwrap(), payment_key: "k".into() }
}

#[test]
fn an_attempt_behind_a_refund_that_is_refused_for_a_week_is_kept_whether_or_not_the_process_was_restarted() {
    let mut payments = payments();
    act(&mut payments, &start(Method::Balance), None).unwrap();
    for outcome in [Outcome::Held, Outcome::Captured, Outcome::Confirmed, Outcome::PassEnded] {
        note(&mut payments, outcome);
    }
    let first = only(&payments).id;
    act(&mut payments, &start(Method::Card), None).unwrap();
    let attempt = only(&payments).id;
    act(&mut payments, &Command::Refund { payment: first, amount: None }, None).unwrap();
    let mut restarted = PaymentsImage::of(&payments).restore();
    for payments in [&mut payments, &mut restarted] {
        act_at(payments, &start(Method::Card), WEEK + 1, None);
        act_at(payments, &accept(attempt), WEEK + 2, None);
    }
    assert!(restarted == payments);
    assert_eq!(restarted.payment(attempt).unwrap().state, State::Begun);
}

#[test]
fn an_attempt_that_is_confirmed_after_more_than_a_quiet_week_goes_on() {
    let mut payments = payments();
    act(&mut payments, &start(Method::Card), None).unwrap();
    let attempt = only(&payments).id;
    act_at(&mut payments, &accept(attempt), WEEK + 1, None);
    assert_eq!(payments.payment(attempt).unwrap().state, State::Begun);
}

#[test]
fn a_payment_that_fails_leaves_a_key_alone_that_leads_to_another_by_now() {
    let mut payments = payments();
    let key = KeyUse { digest: 1, fingerprint: 2 };
    act(&mut payments, &start(Method::Balance), Some(key)).unwrap();
    let slow = only(&payments).id;
    note(&mut payments, Outcome::Held);
    // The key's day is over, and the same key begins another payment.
    act_at(&mut payments, &start(Method::Card), DAY, Some(key));
    let second = only(&payments).id.number;
    for outcome in [Outcome::Declined(Failure::OtherCurrency), Outcome::LetGo] {
        act_at(&mut payments, &Command::Note { payment: slow, outcome }, DAY + 1, None);
    }
    let found = payments.find_key(key, START.plus_millis(DAY + 2));
    assert!(matches!(found, Some(KeyFound::Answered { answer, .. }) if *answer == second), "I1: {found:?}");
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Held),
        Just(Outcome::NotHeld(Failure::TooLate)),
        Just(Outcome::NotHeld(Failure::OtherAmount)),
        Just(Outcome::Captured),
        Just(Outcome::Declined(Failure::declined("NO", "no"))),
        Just(Outcome::LetGo),
        Just(Outcome::Confirmed),
        Just(Outcome::Lost(Failure::SeatsLost)),
        Just(Outcome::PassEnded),
        Just(Outcome::GivenBack),
        Just(Outcome::CapturedAtGateway { transaction: Some("t".into()), approved_at: None }),
        Just(Outcome::GivenBackAtGateway { transaction: Some("r".into()), amount: None }),
    ]
}

proptest! {
    #[test]
    fn whatever_is_told_money_is_taken_once_and_never_kept_without_a_seat(
        told in prop::collection::vec((outcomes(), any::<bool>()), 0..60),
        gateway: bool,
        cut in 0usize..60,
    ) {
        let mut payments = payments();
        let method = if gateway { Method::Toss } else { Method::Balance };
        let mut events = Vec::new();
        let mut happen = |payments: &mut Payments, command: &Command| {
            if let Ok(Some(event)) = payments.decide(command) {
                payments.apply(&event, START, None);
                payments.check_invariants();
                events.push(event);
            }
        };
        happen(&mut payments, &start(method));
        let payment = only(&payments).id;
        let user = UserId::parse("kim").unwrap();
        happen(&mut payments, &Command::Accept { payment, user, payment_key: "k".into() });
        for (outcome, refund) in told {
            happen(&mut payments, &Command::Note { payment, outcome });
            if refund {
                happen(&mut payments, &Command::Refund { payment, amount: None });
            }
        }
        let count = |wanted: fn(&Event) -> bool| events.iter().filter(|event| wanted(event)).count();
        let captured = count(|event| matches!(event, Event::Captured { .. }));
        let confirmed = count(|event| matches!(event, Event::Confirmed { .. }));
        let refunded = count(|event| matches!(event, Event::Refunded { .. }));
        prop_assert!(captured <= 1 && confirmed <= captured && refunded <= captured);
        let end = only(&payments);
        if end.state.is_settled() {
            // M2, M3: what was taken stands for a reservation, or is back.
            let stands = usize::from(end.state == State::Completed);
            prop_assert_eq!(captured, stands + refunded);
        } else {
            prop_assert!(end.next().is_some(), "what isn't settled has a next step");
        }
        let mut again = Payments::new(SCHEDULE, 100);
        for (index, event) in events.iter().enumerate() {
            if index == cut {
                again = PaymentsImage::of(&again).restore();
            }
            again.apply(event, START, None);
        }
        prop_assert!(again == payments);
    }
}

/// Makes a payment through the gateway ready, for a reservation of kim's; ends the oldest first where that is needed.
fn make_ready(payments: &mut Payments, reservation: u32) -> PaymentId {
    let reservation = ReservationRef { number: ReservationNumber(reservation), nonce: 2 };
    let user = UserId::parse("kim").unwrap();
    let supersede = Command::Supersede { reservation, user };
    while act(payments, &supersede, None).unwrap() {}
    let mut start = start(Method::Card);
    if let Command::Start { reservation: paid_for, .. } = &mut start {
        *paid_for = reservation;
    }
    act(payments, &start, None).unwrap();
    only(payments).id
}

#[test]
fn of_a_reservations_payments_so_many_are_ready_and_one_more_ends_the_oldest() {
    let mut payments = payments();
    let other = make_ready(&mut payments, 2);
    let ready: Vec<PaymentId> =
        (0..READY_PER_RESERVATION_MAX).map(|_| make_ready(&mut payments, 1)).collect();
    assert_eq!(
        act(&mut payments, &start(Method::Card), None),
        Err(Refusal::TooManyReady),
        "the oldest ends first"
    );
    assert_eq!(act(&mut payments, &start(Method::Balance), None), Ok(true), "a balance has no checkout");

    let last = make_ready(&mut payments, 1);
    let state = |payments: &Payments, id| payments.payment(id).map(|payment| payment.state);
    assert_eq!(state(&payments, ready[0]), Some(State::Failed));
    assert_eq!(payments.payment(ready[0]).unwrap().failure, Some(Failure::Superseded));
    for id in ready[1..].iter().chain([&last, &other]) {
        assert_eq!(state(&payments, *id), Some(State::Ready));
    }
    let accept = Command::Accept {
        payment: ready[0],
        user: UserId::parse("kim").unwrap(),
        payment_key: Arc::from("checkout"),
    };
    assert_eq!(act(&mut payments, &accept, None), Err(Refusal::NotReady), "nothing is captured for it");
}

#[test]
fn what_a_user_tries_in_vain_is_bounded() {
    let mut payments = payments();
    for reservation in 0..400 {
        for _ in 0..3 {
            make_ready(&mut payments, reservation);
        }
    }
    for _ in 0..300 {
        act(&mut payments, &start(Method::Balance), None).unwrap();
        note(&mut payments, Outcome::NotHeld(Failure::NotHeld));
    }
    let of = |state| payments.iter().filter(|payment| payment.state == state).count();
    assert_eq!((of(State::Ready), of(State::Failed)), (READY_PER_USER_MAX, FAILED_PER_USER_MAX));
    assert_eq!(only(&payments).state, State::Failed, "the newest is kept");
    assert!(payments.of_user("kim").count() == payments.iter().count());
    assert!(PaymentsImage::of(&payments).restore() == payments);
}

/// Says what is in each field of the payments.
fn inside(payments: &Payments) -> Inside {
    let Payments { schedule, by_number, last, idle, under_way, index, keys, version, last_instant } =
        payments;
    let keys = keys.inside();
    let index = index.inside();
    let by_number = by_number.inside();
    said![schedule, by_number, last, idle, under_way, index, keys, version, last_instant]
}

/// Brings an event as the journal's bytes.
fn follow(payments: &mut Payments, event: &Event, at: Timestamp, key: Option<KeyUse>) {
    let mut bytes = Vec::new();
    record::encode_fact(
        &mut bytes,
        payments.version() + 1,
        at,
        key,
        record::FactRef::Payments(SCHEDULE, event),
    );
    let record = record::decode(&bytes).unwrap();
    let record::Fact::Payments(SCHEDULE, event) = record.fact else { panic!("another stream's") };
    payments.apply(&event, record.at, record.key);
    payments.check_invariants();
}

fn restarted(payments: &Payments) -> Payments {
    let section = Section::Payments(Box::new(PaymentsImage::of(payments)));
    let mut world = reread(&section);
    world.payments.remove(&SCHEDULE).unwrap()
}

/// What is asked, before it is known which payments there are.
#[derive(Debug, Clone)]
enum Ask {
    Start(Method),
    Accept(prop::sample::Index),
    Note(prop::sample::Index, Outcome),
    Refund(prop::sample::Index),
    Captured(prop::sample::Index, u8),
    Refunded(prop::sample::Index, u8),
}

fn asks() -> impl Strategy<Value = Ask> {
    let which = any::<prop::sample::Index>;
    prop_oneof![
        4 => prop::sample::select(vec![Method::Balance, Method::Card, Method::External]).prop_map(Ask::Start),
        2 => which().prop_map(Ask::Accept),
        12 => (which(), outcomes()).prop_map(|(which, outcome)| Ask::Note(which, outcome)),
        1 => which().prop_map(Ask::Refund),
        3 => (which(), 0..3_u8).prop_map(|(which, key)| Ask::Captured(which, key)),
        1 => (which(), 0..3_u8).prop_map(|(which, key)| Ask::Refunded(which, key)),
    ]
}

/// Money under one of a few keys, each of an amount of its own: one of them is what everything costs.
fn taken(key: u8) -> Taken {
    let amount = Money::new(100 + u64::from(key)).unwrap();
    Taken { payment_key: format!("k{key}").into(), amount, currency: Currency::parse("KRW").unwrap() }
}

fn command(payments: &Payments, ask: &Ask) -> Command {
    let which = |which: &prop::sample::Index| {
        let ids: Vec<PaymentId> = payments.iter().map(|payment| payment.id).collect();
        if ids.is_empty() { PaymentId::from_bits(1) } else { *which.get(&ids) }
    };
    match ask {
        Ask::Start(method) => {
            let mut start = start(*method);
            if let Command::Start { reservation, .. } = &mut start {
                reservation.number = ReservationNumber(payments.last + 1);
            }
            start
        }
        Ask::Accept(payment) => accept(which(payment)),
        Ask::Note(payment, outcome) => Command::Note { payment: which(payment), outcome: outcome.clone() },
        Ask::Refund(payment) => Command::Refund { payment: which(payment), amount: None },
        Ask::Captured(payment, key) => {
            Command::Report { payment: which(payment), report: Report::Captured(taken(*key)), nonce: 11 }
        }
        Ask::Refunded(payment, key) => {
            let report = Report::Refunded { taken: taken(*key), transaction: None };
            Command::Report { payment: which(payment), report, nonce: 11 }
        }
    }
}

proptest! {
    // Weeks go by, so that what is kept for a week, and for a day, is forgotten.
    #[test]
    fn whenever_the_process_was_restarted_what_comes_is_as_if_it_never_was(
        steps in prop::collection::vec(
            (asks(), 0..WEEK / 3, prop::option::weighted(0.3, 0..4_u128), prop::bool::weighted(0.3)),
            1..100,
        ),
    ) {
        let mut payments = Payments::new(SCHEDULE, 6);
        let mut follower = payments.clone();
        let mut now = START;
        for (ask, pause, digest, restart) in steps {
            now = now.plus_millis(pause);
            let command = command(&payments, &ask);
            let key = digest.map(|digest| KeyUse { digest, fingerprint: 7 });
            let key = key.filter(|key| payments.find_key(*key, now).is_none());
            let decided = payments.decide(&command);
            prop_assert_eq!(&follower.decide(&command), &decided);
            let number = command.number();
            let kept = key.filter(|_| number.0 > 0).map(|_| Event::KeyKept { number });
            if let Some(event) = decided.ok().and_then(|decided| decided.or(kept)) {
                follow(&mut payments, &event, now, key);
                follow(&mut follower, &event, now, key);
            }
            prop_assert_eq!(inside(&follower), inside(&payments), "R1");
            if restart {
                follower = restarted(&follower);
                prop_assert_eq!(inside(&follower), inside(&payments), "R1: an image is the state");
            }
        }
    }
}
