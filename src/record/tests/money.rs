//! The part of the format that accounts and payments have.

use std::sync::Arc;

use super::*;
use crate::domain::accounts::{
    self, AccountImage, AccountsImage, Carried, CarriedImage, Kind, SHARDS, Shard, Transaction,
};
use crate::domain::ids::{GatewayName, PaymentNumber, TransactionId};
use crate::domain::payments::{
    self, Back, Failure, GatewayAnswer, Method, Payment, PaymentsImage, State, Taken,
};
use crate::domain::schedule::ReservationRef;

pub(super) const SHARD: Shard = Shard(3);
const PAYMENT: PaymentId = PaymentId { schedule: NUMBER, number: PaymentNumber(5), nonce: u64::MAX };

fn won(minor: u64) -> Money {
    Money::new(minor).unwrap()
}

fn user() -> UserId {
    UserId::parse("앤 <ann@example.org>").unwrap()
}

fn krw() -> Currency {
    Currency::parse("KRW").unwrap()
}

fn accounts_events() -> Vec<accounts::Event> {
    let moved = |kind| accounts::Event::Moved {
        user: user(),
        currency: krw(),
        number: 4,
        nonce: 5,
        kind,
        amount: won(6),
        balance_after: Money::MAX,
    };
    vec![
        moved(Kind::Charge),
        moved(Kind::Payment(PAYMENT)),
        moved(Kind::Refund(PAYMENT)),
        accounts::Event::KeyKept { user: user() },
        accounts::Event::Archived { user: user(), through: u32::MAX, settled: vec![PAYMENT, PAYMENT] },
        accounts::Event::Archived { user: user(), through: 1, settled: vec![] },
    ]
}

fn failures() -> Vec<Failure> {
    vec![
        Failure::NotHeld,
        Failure::TooLate,
        Failure::OtherAmount,
        Failure::Insufficient { balance: won(7) },
        Failure::OtherCurrency,
        Failure::declined("REJECT_CARD_COMPANY", "카드사 거절"),
        Failure::SeatsLost,
        Failure::Cancelled,
        Failure::Superseded,
        Failure::AlreadyPaid,
    ]
}

fn reservation() -> ReservationRef {
    ReservationRef { number: ReservationNumber(8), nonce: 9 }
}

fn gateway(name: &str) -> GatewayName {
    GatewayName::parse(name).unwrap()
}

fn payments_events() -> Vec<payments::Event> {
    use payments::Event;
    let number = PaymentNumber(5);
    let started = |method| Event::Started {
        number,
        nonce: 3,
        reservation: reservation(),
        user: user(),
        method,
        amount: won(170_000),
        currency: krw(),
        gateway: (method != Method::Balance).then(|| gateway("other")),
    };
    let mut events: Vec<_> = Method::ALL.into_iter().map(started).collect();
    events.extend([
        Event::Started {
            number,
            nonce: 3,
            reservation: reservation(),
            user: user(),
            method: Method::Card,
            amount: won(0),
            currency: krw(),
            gateway: None,
        },
        Event::Accepted { number, payment_key: "tgen_20261121".into() },
        Event::CaptureBegun { number },
        Event::Captured { number, transaction: None, approved_at: None },
        Event::Confirmed { number },
        Event::Completed { number },
        Event::Failed { number, failure: None },
        Event::Refunded { number, transaction: None, amount: None },
        Event::Refunded { number, transaction: None, amount: Some(Money::MAX) },
        Event::KeyKept { number },
        Event::Captured { number, transaction: Some("txn".into()), approved_at: Some(AT) },
        Event::Captured { number, transaction: None, approved_at: Some(AT) },
        Event::Refunded { number, transaction: Some("refund".into()), amount: None },
        Event::CapturedOutside { number, payment_key: "pi_1".into() },
    ]);
    for failure in failures() {
        events.push(Event::Declined { number, failure: failure.clone() });
        events.push(Event::Failed { number, failure: Some(failure.clone()) });
        events.push(Event::RefundBegun { number, failure: failure.clone(), amount: None });
        events.push(Event::RefundBegun { number, failure: failure.clone(), amount: Some(won(13)) });
        let back = [None, Some(Back { transaction: None }), Some(Back { transaction: Some("re_2".into()) })];
        events.extend(back.map(|back| Event::Unmatched {
            number,
            nonce: 3,
            reservation: reservation(),
            user: user(),
            method: Method::External,
            gateway: gateway("external"),
            taken: Taken { payment_key: "pi_2".into(), amount: won(170_000), currency: krw() },
            failure: failure.clone(),
            back,
        }));
    }
    events
}

/// A fact of every kind.
pub(super) fn facts() -> Vec<Fact> {
    let accounts = accounts_events().into_iter().map(|event| Fact::Accounts(SHARD, event));
    let payments = payments_events().into_iter().map(|event| Fact::Payments(NUMBER, event));
    accounts.chain(payments).collect()
}

pub(super) fn check_that_every_kind_is_there() {
    let kind = |event: &accounts::Event| match event {
        accounts::Event::Moved { .. } => 0,
        accounts::Event::KeyKept { .. } => 1,
        accounts::Event::Archived { .. } => 2,
    };
    let kinds: BTreeSet<_> = accounts_events().iter().map(kind).collect();
    assert_eq!(kinds, (0..=2).collect());
    let kind = |event: &payments::Event| match event {
        payments::Event::Started { .. } => 0,
        payments::Event::Accepted { .. } => 1,
        payments::Event::CaptureBegun { .. } => 2,
        payments::Event::Declined { .. } => 3,
        payments::Event::Captured { .. } => 4,
        payments::Event::Confirmed { .. } => 5,
        payments::Event::Completed { .. } => 6,
        payments::Event::Failed { .. } => 7,
        payments::Event::RefundBegun { .. } => 8,
        payments::Event::Refunded { .. } => 9,
        payments::Event::KeyKept { .. } => 10,
        payments::Event::CapturedOutside { .. } => 11,
        payments::Event::Unmatched { .. } => 12,
    };
    let kinds: BTreeSet<_> = payments_events().iter().map(kind).collect();
    assert_eq!(kinds, (0..=12).collect());
}

fn accounts_image() -> AccountsImage {
    let transaction = |number, kind| Transaction {
        id: TransactionId { shard: SHARD.0, number, nonce: 11 },
        kind,
        amount: won(12),
        balance_after: won(13),
        at: AT,
    };
    let transactions = vec![
        transaction(1, Kind::Charge),
        transaction(2, Kind::Payment(PAYMENT)),
        transaction(3, Kind::Refund(PAYMENT)),
    ];
    let answers = [accounts::Answer::Moved(transactions[1]), accounts::Answer::Unchanged];
    AccountsImage {
        shard: SHARD,
        accounts: vec![AccountImage { user: user(), currency: krw(), transactions, carried: None }],
        last_transaction: 3,
        keys_max: 4,
        keys: (1..).zip(answers).map(|(version, answer)| (KEY, version, AT, answer)).collect(),
        version: 5,
        last_instant: AT,
    }
}

fn payments_image() -> PaymentsImage {
    payments_image_of(&["toss", "other"])
}

/// The payments of a schedule that go through these gateways in turn.
fn payments_image_of(gateways: &[&str]) -> PaymentsImage {
    let payment = |number: u32, state, failure: Option<Failure>| {
        let some = number.is_multiple_of(2).then_some(AT);
        let name = gateways[usize::try_from(number).unwrap() % gateways.len()];
        let method = Method::ALL[usize::try_from(number).unwrap() % Method::ALL.len()];
        let payment = Payment {
            id: PaymentId { number: PaymentNumber(number), ..PAYMENT },
            reservation: reservation(),
            user: user(),
            method,
            amount: won(14),
            currency: krw(),
            state,
            gateway: method.needs_gateway().then(|| gateway(name)),
            payment_key: some.map(|_| Arc::from("key")),
            answer: None,
            failure,
            created_at: AT,
            updated_at: AT,
            completed_at: some,
            refunded_at: some,
            refund: some.map(|_| won(13)),
            went_back: some.map(|_| won(14)),
            key: some.map(|_| u128::from(number)),
        };
        (number, payment)
    };
    let failures = failures().into_iter().map(Some).chain(core::iter::repeat(None));
    let states = (1..).zip(State::ALL).zip(failures);
    PaymentsImage {
        schedule: NUMBER,
        last: 20,
        payments: states.map(|((number, state), failure)| payment(number, state, failure)).collect(),
        keys_max: 6,
        keys: [(KEY, 7, AT, PaymentNumber(8))].into_iter().collect(),
        version: 9,
        last_instant: AT,
    }
}

/// The same where gateways have said something of some payments.
fn answered_image() -> PaymentsImage {
    let mut image = payments_image();
    let answers =
        [(1_u32, Some("txn"), None, None), (4, None, Some(AT), None), (6, Some("a"), Some(AT), Some("b"))];
    for (number, transaction, approved_at, refund) in answers {
        let (transaction, refund) = (transaction.map(Arc::from), refund.map(Arc::from));
        let payment = image.payments.get_mut(number).unwrap();
        payment.answer = Some(Arc::new(GatewayAnswer { transaction, approved_at, refund }));
    }
    image
}

/// The same where older movements are in the archive.
fn carried_image() -> AccountsImage {
    let carried = Carried { through: 7, count: 8, balance: won(9) };
    let paid = vec![(PAYMENT, true), (PaymentId { nonce: 1, ..PAYMENT }, false)];
    let mut image = accounts_image();
    image.accounts[0].carried = Some(CarriedImage { carried, paid });
    image
}

pub(super) fn sections() -> Vec<Vec<u8>> {
    let accounts = Section::Accounts(Box::new(carried_image()));
    [accounts, Section::Payments(Box::new(answered_image()))].iter().flat_map(written).collect()
}

#[test]
fn the_sections_of_money_are_read_as_they_were_written() {
    let payments = [answered_image(), payments_image(), payments_image_of(&["toss"])];
    let accounts = [carried_image(), accounts_image()];
    let sections = payments.map(|image| Section::Payments(Box::new(image))).into_iter();
    for section in sections.chain(accounts.map(|image| Section::Accounts(Box::new(image)))) {
        assert_eq!(read(section.encode()), [section]);
    }
}

#[test]
fn a_gateway_of_a_payment_that_needs_none_is_refused() {
    let mut image = payments_image_of(&["toss"]);
    let number = image.payments.iter().find(|payment| payment.method == Method::Balance).unwrap().id.number.0;
    image.payments.get_mut(number).unwrap().gateway = Some(gateway("toss"));
    let refused = decode_payments(&encode_payments(&image));
    assert!(matches!(refused, Err(DecodeError::Value("a payment's gateway"))));
}

#[test]
fn a_damaged_section_of_money_is_refused_or_is_another_one_and_never_a_panic() {
    for section in sections() {
        let whole = decode_section(&section).unwrap();
        for damaged in damaged(&section) {
            if let Ok(read) = decode_section(&damaged) {
                assert!(read != whole);
            }
        }
    }
}

#[test]
fn a_shard_that_no_version_has_is_refused() {
    let mut bytes = Vec::new();
    let event = accounts::Event::KeyKept { user: user() };
    encode_fact(&mut bytes, 1, AT, None, FactRef::Accounts(Shard(SHARDS - 1), &event));
    // The fact: its variant, and the shard.
    let at = bytes.windows(6).position(|part| part == [3, 0, 0, 0, 15, 0]).unwrap() + 4;
    bytes[at] += 1;
    assert!(matches!(decode(&bytes), Err(DecodeError::Value("a shard of accounts"))));
}
