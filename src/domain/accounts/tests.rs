//! The rules of accounts, and a model: a list of movements that is summed up each time.

use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn won(minor: u64) -> Money {
    Money::new(minor).unwrap()
}

fn krw() -> Currency {
    Currency::parse("KRW").unwrap()
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn shard() -> Accounts {
    Accounts::new(Shard::of("kim"), 100)
}

fn charge(amount: u64) -> Command {
    Command::Charge { user: user("kim"), amount: won(amount), currency: krw(), nonce: 7 }
}

fn pay(payment: u128, amount: u64) -> Command {
    let payment = PaymentId::from_bits(payment);
    Command::Pay { user: user("kim"), payment, amount: won(amount), currency: krw(), nonce: 8 }
}

fn refund(payment: u128, amount: u64) -> Command {
    Command::Refund {
        user: user("kim"),
        payment: PaymentId::from_bits(payment),
        amount: won(amount),
        nonce: 9,
    }
}

/// Decides and applies; says whether anything happened.
fn act(accounts: &mut Accounts, command: &Command) -> Result<bool, Refusal> {
    let event = accounts.decide(command)?;
    if let Some(event) = &event {
        accounts.apply(event, START, None);
    }
    accounts.check_invariants();
    Ok(event.is_some())
}

fn balance(accounts: &Accounts) -> u64 {
    accounts.account("kim").map_or(0, |account| account.balance().minor())
}

#[test]
fn money_is_put_in_spent_and_given_back_once_for_each_payment() {
    let mut accounts = shard();
    assert_eq!(act(&mut accounts, &charge(100)), Ok(true));
    assert_eq!(act(&mut accounts, &pay(1, 60)), Ok(true));
    assert_eq!(act(&mut accounts, &pay(1, 60)), Ok(false), "the saga asks again");
    assert_eq!(balance(&accounts), 40);
    assert_eq!(act(&mut accounts, &refund(1, 60)), Ok(true));
    assert_eq!(act(&mut accounts, &refund(1, 60)), Ok(false));
    assert_eq!(act(&mut accounts, &pay(1, 60)), Ok(false), "what was given back isn't taken again");
    assert_eq!(balance(&accounts), 100);
    let kinds: Vec<_> = accounts.account("kim").unwrap().transactions().map(|t| t.kind.as_str()).collect();
    assert_eq!(kinds, ["refund", "payment", "charge"]);
}

#[test]
fn what_is_not_there_is_not_spent() {
    let mut accounts = shard();
    let short = Refusal::Insufficient { balance: Money::ZERO, required: won(1) };
    assert_eq!(act(&mut accounts, &pay(1, 1)), Err(short));
    act(&mut accounts, &charge(100)).unwrap();
    let short = Refusal::Insufficient { balance: won(100), required: won(101) };
    assert_eq!(act(&mut accounts, &pay(1, 101)), Err(short));
    assert_eq!(act(&mut accounts, &refund(1, 1)), Err(Refusal::NothingTaken));
    assert_eq!(balance(&accounts), 100);
}

#[test]
fn an_account_keeps_its_currency_and_holds_no_more_than_a_number_can_say() {
    let mut accounts = shard();
    act(&mut accounts, &charge(1)).unwrap();
    let usd = Currency::parse("USD").unwrap();
    let other = Command::Charge { user: user("kim"), amount: won(1), currency: usd, nonce: 1 };
    assert_eq!(act(&mut accounts, &other), Err(Refusal::OtherCurrency));
    assert_eq!(act(&mut accounts, &charge(Money::MAX.minor())), Err(Refusal::TooMuch));
    assert_eq!(balance(&accounts), 1);
}

#[test]
fn a_user_stays_in_the_shard_that_a_former_version_found() {
    let shards = ["kim", "lee", "u-1", "관객", ""].map(|user| Shard::of(user).0);
    assert_eq!(shards, [12, 13, 2, 10, 5]);
}

fn commands() -> impl Strategy<Value = Command> {
    prop_oneof![
        (0u64..1_000).prop_map(charge),
        ((0u128..4), 0u64..1_000).prop_map(|(payment, amount)| pay(payment, amount)),
        ((0u128..4), 0u64..1_000).prop_map(|(payment, amount)| refund(payment, amount)),
    ]
}

proptest! {
    #[test]
    fn a_balance_is_the_sum_of_its_movements_and_replay_brings_it_back(
        commands in prop::collection::vec(commands(), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut accounts = shard();
        let mut events = Vec::new();
        let mut moved: Vec<(&str, u128, i64)> = Vec::new();
        for command in &commands {
            let standing: i64 = moved.iter().map(|(.., amount)| amount).sum();
            let has = |kind: &str, payment: u128| moved.iter().any(|(of, id, _)| *of == kind && *id == payment);
            let signed = |amount: Money| i64::try_from(amount.minor()).unwrap();
            let expected = match command {
                Command::Charge { amount, .. } => Some(("charge", 0, signed(*amount))),
                Command::Pay { payment, amount, .. } => (!has("payment", payment.bits())
                    && signed(*amount) <= standing)
                    .then(|| ("payment", payment.bits(), -signed(*amount))),
                // A refund of another amount than was taken is the saga's mistake; the account gives what it is told.
                Command::Refund { payment, amount, .. } => (has("payment", payment.bits())
                    && !has("refund", payment.bits()))
                .then(|| ("refund", payment.bits(), signed(*amount))),
            };
            let event = accounts.decide(command).ok().flatten();
            prop_assert_eq!(event.is_some(), expected.is_some());
            moved.extend(expected);
            if let Some(event) = event {
                accounts.apply(&event, START, None);
                events.push(event);
            }
            accounts.check_invariants();
        }
        let sum: i64 = moved.iter().map(|(.., amount)| amount).sum();
        prop_assert_eq!(i64::try_from(balance(&accounts)).unwrap(), sum);
        let cut = if events.is_empty() { 0 } else { cut.index(events.len()) };
        let mut again = shard();
        for (index, event) in events.iter().enumerate() {
            if index == cut {
                again = AccountsImage::of(&again).restore();
            }
            again.apply(event, START, None);
        }
        prop_assert!(again == accounts);
    }
}
