//! The word of the team's own payment service: whatever it says, in whatever order and however often, each time that it took money has one
//! payment, which stands for a reservation or goes back.

use std::collections::BTreeMap;

use super::*;

fn krw() -> Currency {
    Currency::parse("KRW").unwrap()
}

/// Money of the order's amount and currency.
fn taken(payment_key: &str) -> Taken {
    Taken { payment_key: payment_key.into(), amount: Money::new(100).unwrap(), currency: krw() }
}

fn told(payments: &mut Payments, payment: PaymentId, report: Report) -> Result<bool, Refusal> {
    act(payments, &Command::Report { payment, report, nonce: 11 }, None)
}

fn captured(payments: &mut Payments, order: PaymentId, payment_key: &str) -> Result<bool, Refusal> {
    told(payments, order, Report::Captured(taken(payment_key)))
}

fn refunded(payments: &mut Payments, order: PaymentId, payment_key: &str) -> Result<bool, Refusal> {
    let report = Report::Refunded { taken: taken(payment_key), transaction: Some("re_1".into()) };
    told(payments, order, report)
}

fn declined(payments: &mut Payments, order: PaymentId) -> Result<bool, Refusal> {
    told(payments, order, Report::Declined { code: "NO".into(), reason: "no".into() })
}

/// Given a payment that is ready to be taken by the service.
fn ready() -> (Payments, PaymentId) {
    let mut payments = payments();
    act(&mut payments, &start(Method::External), None).unwrap();
    let order = only(&payments).id;
    (payments, order)
}

/// Given one that is paid.
fn paid() -> (Payments, PaymentId) {
    let (mut payments, order) = ready();
    captured(&mut payments, order, "k").unwrap();
    for outcome in [Outcome::Confirmed, Outcome::PassEnded] {
        note(&mut payments, outcome);
    }
    (payments, order)
}

fn state(payments: &Payments, id: PaymentId) -> State {
    payments.payment(id).unwrap().state
}

#[test]
fn what_was_captured_outside_is_confirmed_next_and_the_same_word_again_changes_nothing() {
    let (mut payments, order) = ready();
    assert_eq!((state(&payments, order), only(&payments).next()), (State::Ready, None));
    assert_eq!(captured(&mut payments, order, "k"), Ok(true));
    assert_eq!(only(&payments).next(), Some(Step::Confirm), "nothing is asked of anyone before");
    for outcome in [Outcome::Confirmed, Outcome::PassEnded] {
        assert_eq!(captured(&mut payments, order, "k"), Ok(false));
        assert!(note(&mut payments, outcome));
    }
    assert_eq!(state(&payments, order), State::Completed);
    assert_eq!(captured(&mut payments, order, "k"), Ok(false));
    assert_eq!(declined(&mut payments, order), Ok(false), "another try of the same customer");
    assert_eq!(payments.iter().count(), 1);
}

#[test]
fn a_refund_is_owed_until_the_service_says_that_it_is_done() {
    let (mut payments, order) = paid();
    act(&mut payments, &Command::Refund { payment: order, amount: None }, None).unwrap();
    let owed = only(&payments);
    assert_eq!((owed.state, owed.next()), (State::Refunding, None), "nobody can be asked");
    assert!(!owed.state.is_settled() && payments.counts().refunding == 1);
    assert_eq!(captured(&mut payments, order, "k"), Ok(false));
    assert_eq!(refunded(&mut payments, order, "k"), Ok(true));
    assert_eq!(refunded(&mut payments, order, "k"), Ok(false));
    let back = only(&payments);
    assert_eq!((back.state, back.answer.unwrap().refund.as_deref()), (State::Refunded, Some("re_1")));
}

#[test]
fn the_service_reports_as_much_as_it_was_asked_to_give_back() {
    let back = |amount: u64| Taken { amount: Money::new(amount).unwrap(), ..taken("k") };
    let report = |amount| Report::Refunded { taken: back(amount), transaction: None };
    let (mut payments, order) = paid();
    let refund = Command::Refund { payment: order, amount: Some(Money::new(92).unwrap()) };
    act(&mut payments, &refund, None).unwrap();
    assert_eq!(only(&payments).next(), None, "nobody can be asked");
    let [less, owed] = [91, 92].map(|minor| Money::new(minor).unwrap());
    let refused = Err(Refusal::LessThanOwed { back: less, owed });
    assert_eq!(told(&mut payments, order, report(91)), refused);
    assert_eq!(told(&mut payments, order, report(101)), Err(Refusal::MoreThanTaken));
    assert_eq!(captured(&mut payments, order, "k"), Ok(false), "what it took stays what it was");
    assert_eq!(told(&mut payments, order, report(92)), Ok(true));
    // The same again, and what comes late.
    for before in [92, 91] {
        assert_eq!(told(&mut payments, order, report(before)), Ok(false));
    }
    let back = only(&payments);
    assert_eq!((back.state, back.back(), back.went_back), (State::Refunded, owed, None));

    // Of nothing it isn't asked, and no word of it is waited for.
    let (mut payments, order) = paid();
    act(&mut payments, &Command::Refund { payment: order, amount: Some(Money::ZERO) }, None).unwrap();
    assert_eq!(only(&payments).next(), Some(Step::GiveBack));
    assert!(note(&mut payments, Outcome::GivenBack));
}

#[test]
fn what_the_service_really_gave_back_is_taken_down() {
    let back = |amount: u64| Taken { amount: Money::new(amount).unwrap(), ..taken("k") };
    let report = |amount| Report::Refunded { taken: back(amount), transaction: Some("re_1".into()) };
    let (mut payments, order) = paid();
    // It gave back all by itself, when nobody here owed anything.
    assert_eq!(told(&mut payments, order, report(100)), Err(Refusal::NotOwed));
    let refund = Command::Refund { payment: order, amount: Some(Money::new(92).unwrap()) };
    act(&mut payments, &refund, None).unwrap();
    assert_eq!(told(&mut payments, order, report(100)), Ok(true));
    assert_eq!(told(&mut payments, order, report(100)), Ok(false));
    let known = only(&payments);
    assert_eq!(
        (known.state, known.refund_amount().minor(), known.back().minor()),
        (State::Refunded, 92, 100)
    );

    // A part when it was asked for, and more of it later.
    let (mut payments, order) = paid();
    act(&mut payments, &refund_of(order, 92), None).unwrap();
    for (amount, changes) in [(92, true), (95, true), (92, false), (95, false), (100, true)] {
        assert_eq!(told(&mut payments, order, report(amount)), Ok(changes), "{amount}");
    }
    let restored = PaymentsImage::of(&payments).restore();
    assert_eq!((only(&restored).back().minor(), only(&restored).state), (100, State::Refunded));
    assert_eq!(told(&mut payments, order, report(101)), Err(Refusal::MoreThanTaken));
    assert_eq!(payments.counts().refunded, 1);

    // Of nothing nobody was asked, and yet something may go back.
    let (mut payments, order) = paid();
    act(&mut payments, &refund_of(order, 0), None).unwrap();
    assert!(note(&mut payments, Outcome::GivenBack));
    assert_eq!(told(&mut payments, order, report(8)), Ok(true));
    assert_eq!(only(&payments).back().minor(), 8);
}

fn refund_of(payment: PaymentId, minor: u64) -> Command {
    Command::Refund { payment, amount: Money::new(minor) }
}

#[test]
fn another_amount_or_currency_is_owed_and_pays_for_nothing() {
    let (mut payments, order) = ready();
    let amount = Money::new(99).unwrap();
    let usd = Currency::parse("USD").unwrap();
    let wrong = [Taken { amount, ..taken("less") }, Taken { currency: usd, ..taken("dollars") }];
    for taken in wrong {
        assert_eq!(told(&mut payments, order, Report::Captured(taken.clone())), Ok(true));
        let owed = only(&payments);
        assert_eq!((owed.state, owed.failure), (State::Refunding, Some(Failure::OtherAmount)));
        assert_eq!((owed.amount, owed.currency), (taken.amount, taken.currency));
        assert_eq!(told(&mut payments, order, Report::Captured(taken)), Ok(false));
    }
    // The customer can still pay what it costs.
    assert_eq!(state(&payments, order), State::Ready);
    assert_eq!(captured(&mut payments, order, "k"), Ok(true));
    assert_eq!(payments.payment(order).unwrap().next(), Some(Step::Confirm));
}

#[test]
fn money_that_comes_again_for_an_order_that_is_paid_is_owed() {
    let (mut payments, order) = paid();
    assert_eq!(captured(&mut payments, order, "again"), Ok(true));
    let owed = only(&payments);
    assert_eq!((owed.state, &owed.failure), (State::Refunding, &Some(Failure::AlreadyPaid)));
    assert_eq!(
        (owed.reservation, owed.payment_key.as_deref()),
        (payments.payment(order).unwrap().reservation, Some("again"))
    );
    assert_eq!(state(&payments, order), State::Completed);
    // The service may name the order, or the payment that the feed has told it of.
    assert_eq!(refunded(&mut payments, owed.id, "again"), Ok(true));
    assert_eq!(refunded(&mut payments, order, "again"), Ok(false));
    assert_eq!(state(&payments, owed.id), State::Refunded);
}

#[test]
fn money_that_comes_for_an_order_that_had_come_to_nothing_is_for_it_all_the_same() {
    let (mut payments, order) = ready();
    assert_eq!(declined(&mut payments, order), Ok(true));
    let failed = only(&payments);
    assert_eq!((failed.state, failed.failure), (State::Failed, Some(Failure::declined("NO", "no"))));
    assert_eq!(declined(&mut payments, order), Ok(false));
    assert_eq!(captured(&mut payments, order, "k"), Ok(true));
    assert_eq!((only(&payments).next(), only(&payments).failure), (Some(Step::Confirm), None));
    note(&mut payments, Outcome::Lost(Failure::SeatsLost));
    assert_eq!(
        (state(&payments, order), only(&payments).failure),
        (State::Refunding, Some(Failure::SeatsLost))
    );
}

#[test]
fn what_went_back_before_its_coming_was_heard_of_pays_for_nothing() {
    let (mut payments, order) = ready();
    // In one event: whoever follows the feed between two would give it back again.
    assert_eq!(refunded(&mut payments, order, "k"), Ok(true));
    let back = only(&payments);
    assert_eq!(
        (back.state, back.answer.as_ref().unwrap().refund.as_deref()),
        (State::Refunded, Some("re_1"))
    );
    assert_eq!(refunded(&mut payments, order, "k"), Ok(false));
    assert_eq!(captured(&mut payments, order, "k"), Ok(false));
    assert_eq!((only(&payments).state, state(&payments, order)), (State::Refunded, State::Ready));
}

#[test]
fn a_word_that_contradicts_an_earlier_one_is_refused() {
    let (mut payments, order) = paid();
    for (amount, currency) in [(99, "KRW"), (100, "USD"), (0, "KRW")] {
        let taken = Taken {
            amount: Money::new(amount).unwrap(),
            currency: Currency::parse(currency).unwrap(),
            ..taken("k")
        };
        // Whatever part of it went back, its reservation stands.
        let is_part = amount > 0 && currency == "KRW";
        let refused = if is_part { Refusal::NotOwed } else { Refusal::Contradicts };
        let refund = Report::Refunded { taken: taken.clone(), transaction: None };
        assert_eq!(told(&mut payments, order, Report::Captured(taken)), Err(Refusal::Contradicts));
        assert_eq!(told(&mut payments, order, refund), Err(refused));
    }
    let nothing = Taken { amount: Money::ZERO, ..taken("new") };
    assert_eq!(told(&mut payments, order, Report::Captured(nothing)), Err(Refusal::Contradicts));
}

#[test]
fn one_taking_of_money_pays_for_one_reservation() {
    let (mut payments, order) = ready();
    let mut others = start(Method::External);
    if let Command::Start { reservation, user, .. } = &mut others {
        reservation.number = ReservationNumber(2);
        *user = UserId::parse("lee").unwrap();
    }
    act(&mut payments, &others, None).unwrap();
    let other = only(&payments).id;

    assert_eq!(captured(&mut payments, order, "k"), Ok(true));
    assert_eq!(captured(&mut payments, other, "k"), Err(Refusal::OthersKey));
    assert_eq!(refunded(&mut payments, other, "k"), Err(Refusal::OthersKey));
    assert_eq!(state(&payments, other), State::Ready);
    // Also once it is back, and after a restart.
    note(&mut payments, Outcome::Lost(Failure::SeatsLost));
    let mut payments = PaymentsImage::of(&payments).restore();
    assert_eq!(captured(&mut payments, other, "k"), Err(Refusal::OthersKey));
    assert_eq!(captured(&mut payments, order, "k"), Ok(false));
    assert_eq!(captured(&mut payments, other, "own"), Ok(true));
}

#[test]
fn a_journal_in_which_one_key_stands_for_two_reservations_is_still_replayed() {
    let (mut payments, order) = ready();
    let mut others = start(Method::External);
    if let Command::Start { reservation, .. } = &mut others {
        reservation.number = ReservationNumber(2);
    }
    act(&mut payments, &others, None).unwrap();
    let other = only(&payments).id;

    for number in [order, other].map(|id| id.number) {
        payments.apply(&Event::CapturedOutside { number, payment_key: "k".into() }, START, None);
        payments.check_invariants();
    }
    for id in [order, other] {
        assert_eq!(captured(&mut payments, id, "k"), Ok(false), "each knows its own");
    }
}

#[test]
fn only_the_service_has_a_say_and_only_about_its_own_orders() {
    let (mut payments, order) = ready();
    assert_eq!(act(&mut payments, &accept(order), None), Err(Refusal::NotReady), "not the customer");
    act(&mut payments, &start(Method::Card), None).unwrap();
    let card = only(&payments).id;
    assert_eq!(captured(&mut payments, card, "k"), Err(Refusal::NoSuchPayment));
    let guessed = PaymentId { nonce: 10, ..order };
    assert_eq!(captured(&mut payments, guessed, "k"), Err(Refusal::NoSuchPayment));
}

#[test]
fn money_that_is_owed_is_never_forgotten() {
    let (mut payments, order) = ready();
    let less = Taken { amount: Money::new(1).unwrap(), ..taken("less") };
    told(&mut payments, order, Report::Captured(less)).unwrap();
    let owed = only(&payments).id;
    for weeks in 1..4 {
        act_at(&mut payments, &start(Method::Card), weeks * (WEEK + 1), None);
    }
    assert_eq!(payments.payment(owed).map(|payment| payment.state), Some(State::Refunding));
}

/// What the service says of one of two orders for the same reservation.
#[derive(Debug, Clone)]
struct Word {
    order: usize,
    key: usize,
    wrong: bool,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Captured,
    Declined,
    Refunded,
    /// The reservation is given back.
    Cancelled,
}

fn words() -> impl Strategy<Value = Word> {
    let what = prop_oneof![
        6 => Just(What::Captured),
        1 => Just(What::Declined),
        3 => Just(What::Refunded),
        1 => Just(What::Cancelled),
    ];
    (0..2usize, 0..4usize, prop::bool::weighted(0.2), what).prop_map(|(order, key, wrong, what)| Word {
        order,
        key,
        wrong,
        what,
    })
}

proptest! {
    #[test]
    fn whatever_the_service_says_each_time_that_it_took_money_has_one_payment_which_stands_or_goes_back(
        words in prop::collection::vec(words(), 0..40),
        cut in 0usize..40,
    ) {
        let mut payments = payments();
        let mut events = Vec::new();
        let mut orders = Vec::new();
        let happen = |payments: &mut Payments, events: &mut Vec<Event>, command: &Command| {
            let decided = payments.decide(command);
            if let Ok(Some(event)) = &decided {
                payments.apply(event, START, None);
                payments.check_invariants();
                events.push(event.clone());
            }
            decided.map(|_| ())
        };
        for _ in 0..2 {
            happen(&mut payments, &mut events, &start(Method::External)).unwrap();
            orders.push(only(&payments).id);
        }

        let mut known: BTreeMap<String, (Money, bool)> = BTreeMap::new();
        for Word { order, key, wrong, what } in words {
            let payment = orders[order];
            let amount = Money::new(if wrong { 99 } else { 100 }).unwrap();
            let key = format!("k{key}");
            let taken = Taken { payment_key: key.as_str().into(), amount, currency: krw() };
            let report = match what {
                What::Captured => Report::Captured(taken),
                What::Declined => Report::Declined { code: "NO".into(), reason: "no".into() },
                What::Refunded => Report::Refunded { taken, transaction: None },
                What::Cancelled => {
                    happen(&mut payments, &mut events, &Command::Refund { payment, amount: None }).unwrap();
                    continue;
                }
            };
            let stands = payments.iter().any(|payment| {
                payment.payment_key.as_deref() == Some(&key) && payment.state == State::Completed
            });
            let command = Command::Report { payment, report, nonce: 11 };
            for _ in 0..2 {
                let told = happen(&mut payments, &mut events, &command);
                let refused = match (what, known.get(&key)) {
                    (What::Declined | What::Cancelled, _) | (_, None) => false,
                    (What::Captured, Some((first, _))) => *first != amount,
                    // All of it is owed, and less may have been told before.
                    (What::Refunded, Some((first, back))) => {
                        stands || amount > *first || (amount < *first && !back)
                    }
                };
                prop_assert_eq!(told.is_err(), refused, "the first word counts");
            }
            if what != What::Declined {
                let (first, back) = known.entry(key).or_insert((amount, false));
                *back |= what == What::Refunded && amount <= *first && !stands && (*back || *first == amount);
            }

            // The schedule confirms one of them.
            let next = |payments: &Payments| {
                let found = payments.iter().find(|payment| payment.next().is_some());
                found.map(|payment| (payment.id, payment.next()))
            };
            while let Some((payment, step)) = next(&payments) {
                let stands = payments.iter().any(|payment| payment.state.stands());
                let outcome = match step {
                    Some(Step::Confirm) if stands => Outcome::Lost(Failure::AlreadyPaid),
                    Some(Step::Confirm) => Outcome::Confirmed,
                    step => { prop_assert_eq!(step, Some(Step::EndPass)); Outcome::PassEnded }
                };
                happen(&mut payments, &mut events, &Command::Note { payment, outcome }).unwrap();
            }
        }

        for (key, (amount, back)) in &known {
            let of_key: Vec<&Payment> =
                payments.iter().filter(|payment| payment.payment_key.as_deref() == Some(key)).collect();
            prop_assert_eq!(of_key.len(), 1, "each time has one payment");
            prop_assert_eq!(of_key[0].amount, *amount);
            let fates = [State::Completed, State::Refunding, State::Refunded];
            prop_assert!(fates.contains(&of_key[0].state), "M3: it stands, or goes back");
            prop_assert!(of_key[0].state != State::Refunded || *back, "it is back when the service has said so");
        }
        let came = payments.iter().filter(|payment| payment.payment_key.is_some()).count();
        prop_assert_eq!(came, known.len(), "nothing is owed that never came");

        let mut again = Payments::new(SCHEDULE, 100);
        for (index, event) in events.iter().enumerate() {
            if index == cut {
                again = PaymentsImage::of(&again).restore();
            }
            again.apply(event, START, None);
        }
        prop_assert!(again == payments, "R1");
    }
}
