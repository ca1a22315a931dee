//! The rules of accounts, and a model: a list of movements that is summed up each time.

use proptest::prelude::*;

use super::*;
use crate::domain::inside::{Inside, reread, said};
use crate::record::{self, Section};

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
fn a_payment_of_nothing_moves_nothing_and_begins_no_account() {
    let mut accounts = shard();
    let usd = Currency::parse("USD").unwrap();
    let free = |id: u128| Command::Pay {
        user: user("kim"),
        payment: PaymentId::from_bits(id),
        amount: Money::ZERO,
        currency: usd,
        nonce: 8,
    };
    assert_eq!(act(&mut accounts, &free(1)), Ok(false));
    assert_eq!(act(&mut accounts, &refund(1, 0)), Ok(false), "and gives nothing back");
    assert_eq!(accounts.account("kim"), None);
    act(&mut accounts, &charge(50_000)).unwrap();
    assert_eq!(accounts.account("kim").unwrap().currency(), krw(), "it begins with its first charge");
    assert_eq!(act(&mut accounts, &free(2)), Ok(false), "nothing of any currency is on every account");
    assert_eq!(accounts.account("kim").unwrap().transactions().count(), 1);
}

#[test]
fn a_journal_in_which_nothing_was_moved_is_replayed() {
    let mut accounts = shard();
    let moved = |number, kind| Event::Moved {
        user: user("kim"),
        currency: krw(),
        number,
        nonce: 1,
        kind,
        amount: Money::ZERO,
        balance_after: Money::ZERO,
    };
    accounts.apply(&moved(1, Kind::Payment(PaymentId::from_bits(1))), START, None);
    accounts.apply(&moved(2, Kind::Refund(PaymentId::from_bits(1))), START, None);
    accounts.check_invariants();
    assert!(AccountsImage::of(&accounts).restore() == accounts);
    assert_eq!(act(&mut accounts, &refund(1, 0)), Ok(false));
    // Nothing of one currency is no account of that currency.
    assert_eq!(accounts.account("kim"), None);
    let usd = Currency::parse("USD").unwrap();
    let first = Command::Charge { user: user("kim"), amount: won(500), currency: usd, nonce: 1 };
    assert_eq!(act(&mut accounts, &first), Ok(true));
    assert_eq!(accounts.account("kim").unwrap().currency(), usd);
    assert_eq!(act(&mut accounts, &charge(50_000)), Err(Refusal::OtherCurrency));
    assert!(AccountsImage::of(&accounts).restore() == accounts);
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
                Command::Archive { .. } => unreachable!("not of these"),
            };
            // Nothing moves nothing.
            let expected = expected.filter(|(.., amount)| *amount != 0);
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

/// An account of `count` charges, one a second from [`START`] on.
fn long_account(count: u64) -> Accounts {
    let mut accounts = shard();
    for second in 0..count {
        let event = accounts.decide(&charge(10)).unwrap().unwrap();
        accounts.apply(&event, START.plus_millis(1_000 * second), None);
    }
    accounts
}

fn archive(through: u32, settled: &[PaymentId]) -> Command {
    Command::Archive { user: user("kim"), through, settled: settled.to_vec() }
}

fn old(accounts: &Accounts, before: Timestamp, max: usize) -> Vec<u32> {
    accounts.account("kim").unwrap().old(before, max).map(|moved| moved.id.number).collect()
}

#[test]
fn what_is_old_is_what_is_not_among_the_newest_hundred_nor_young() {
    let accounts = long_account(103);
    let ever = Timestamp::MAX;
    assert_eq!(old(&accounts, ever, 99), [1, 2, 3]);
    assert_eq!(old(&accounts, ever, 2), [1, 2]);
    assert_eq!(old(&accounts, START.plus_millis(1_001), 99), [1, 2]);
    assert!(old(&accounts, START, 99).is_empty());
    assert!(old(&long_account(100), ever, 99).is_empty());
}

#[test]
fn what_moves_to_the_archive_is_carried_forward() {
    let mut accounts = long_account(105);
    assert_eq!(act(&mut accounts, &archive(3, &[])), Ok(true));
    let account = accounts.account("kim").unwrap();
    assert_eq!(account.carried(), Some(Carried { through: 3, count: 3, balance: won(30) }));
    assert_eq!((account.transactions().count(), balance(&accounts), accounts.archived()), (102, 1_050, 3));
    assert_eq!(act(&mut accounts, &archive(3, &[])), Ok(false), "asked again, it is so");
    assert_eq!(act(&mut accounts, &archive(2, &[])), Ok(false));
    assert_eq!(act(&mut accounts, &archive(6, &[])), Ok(false), "the newest hundred stay");
    assert_eq!(act(&mut accounts, &archive(5, &[])), Ok(true));
    let carried = Carried { through: 5, count: 5, balance: won(50) };
    assert_eq!(accounts.account("kim").unwrap().carried(), Some(carried));
    assert_eq!(act(&mut shard(), &archive(1, &[])), Ok(false), "nobody's");
}

#[test]
fn only_a_movement_of_the_account_can_be_the_last_that_moves() {
    let mut accounts = long_account(1);
    // Another user of the same shard has the number 2.
    let other =
        ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s"]
            .into_iter()
            .find(|name| Shard::of(name) == accounts.shard())
            .unwrap();
    let theirs = Command::Charge { user: user(other), amount: won(1), currency: krw(), nonce: 1 };
    act(&mut accounts, &theirs).unwrap();
    for _ in 0..110 {
        act(&mut accounts, &charge(10)).unwrap();
    }
    assert_eq!(act(&mut accounts, &archive(2, &[])), Ok(false));
    assert_eq!(act(&mut accounts, &archive(3, &[])), Ok(true));
    assert_eq!(accounts.account("kim").unwrap().carried().unwrap().count, 2);
}

#[test]
fn a_payment_is_remembered_in_the_archive_until_nobody_asks_for_it_again() {
    let mut accounts = shard();
    act(&mut accounts, &charge(1_000)).unwrap();
    act(&mut accounts, &pay(1, 60)).unwrap();
    act(&mut accounts, &pay(2, 60)).unwrap();
    for _ in 0..110 {
        act(&mut accounts, &charge(1)).unwrap();
    }
    let [first, second] = [1, 2].map(PaymentId::from_bits);
    assert_eq!(act(&mut accounts, &archive(3, &[])), Ok(true));
    assert_eq!(act(&mut accounts, &pay(1, 60)), Ok(false), "taken once");
    assert_eq!(act(&mut accounts, &refund(1, 60)), Ok(true), "a refund may come late");
    assert_eq!(act(&mut accounts, &refund(1, 60)), Ok(false));
    let again = AccountsImage::of(&accounts).restore();
    assert!(again == accounts);
    assert_eq!(again.account("kim").unwrap().payments().count(), 2);
    assert_eq!(act(&mut accounts, &archive(3, &[first])), Ok(true));
    assert_eq!(act(&mut accounts, &archive(3, &[first])), Ok(false));
    let kept: Vec<_> = accounts.account("kim").unwrap().payments().collect();
    assert_eq!(kept, [second]);
    // What still stands here would bring it back.
    let mut short = shard();
    act(&mut short, &charge(100)).unwrap();
    act(&mut short, &pay(1, 60)).unwrap();
    assert_eq!(act(&mut short, &archive(0, &[first])), Ok(false));
}

/// A step of the model: a command, or all that is old moves but this many movements at a time.
#[derive(Debug, Clone)]
enum Turn {
    Ask(Command),
    Archive(usize),
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let many = prop::collection::vec((1u64..9).prop_map(charge), 40..80);
    let some = prop::collection::vec(commands(), 0..20);
    let asked =
        (many, some).prop_map(|(many, some)| many.into_iter().chain(some).map(Turn::Ask).collect::<Vec<_>>());
    let archived = (1usize..50).prop_map(|max| vec![Turn::Archive(max)]);
    prop::collection::vec(prop_oneof![asked, archived], 1..8).prop_map(|turns| turns.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_archive_and_the_memory_are_together_the_naive_list(
        turns in turns(),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut accounts, mut naive) = (shard(), shard());
        let (mut archived, mut events) = (Vec::<Transaction>::new(), Vec::new());
        for turn in &turns {
            match turn {
                Turn::Ask(command) => {
                    let decided = accounts.decide(command);
                    prop_assert_eq!(&decided, &naive.decide(command), "what moved changes no decision");
                    let Ok(Some(event)) = decided else { continue };
                    accounts.apply(&event, START, None);
                    naive.apply(&event, START, None);
                    events.push(event);
                }
                Turn::Archive(max) => {
                    let Some(account) = accounts.account("kim") else { continue };
                    let moved: Vec<_> = account.old(Timestamp::MAX, *max).copied().collect();
                    let Some(last) = moved.last() else { continue };
                    let event = accounts.decide(&archive(last.id.number, &[])).unwrap().unwrap();
                    archived.extend(&moved);
                    accounts.apply(&event, START, None);
                    events.push(event);
                }
            }
            accounts.check_invariants();
        }
        let list = |accounts: &Accounts| -> Vec<Transaction> {
            accounts.account("kim").map(|account| account.transactions().copied().collect()).unwrap_or_default()
        };
        let whole: Vec<_> = list(&accounts).into_iter().chain(archived.iter().rev().copied()).collect();
        prop_assert_eq!(whole, list(&naive));
        prop_assert_eq!(balance(&accounts), balance(&naive));
        prop_assert_eq!(accounts.archived(), u64::try_from(archived.len()).unwrap());
        let cut = if events.is_empty() { 0 } else { cut.index(events.len()) };
        let mut again = shard();
        for (index, event) in events.iter().enumerate() {
            if index == cut {
                again = AccountsImage::of(&again).restore();
            }
            again.apply(event, START, None);
        }
        prop_assert!(again == accounts);
        prop_assert_eq!(again.archived(), accounts.archived());
    }
}

/// Says what is in each field of a shard.
fn inside(accounts: &Accounts) -> Inside {
    let Accounts { shard, by_user, last_transaction, archived, keys, version, last_instant } = accounts;
    let fields = |account: &Account| {
        let Account { currency, balance, carried, transactions, paid } = account;
        let paid: std::collections::BTreeMap<_, _> = paid.iter().collect();
        said![currency, balance, carried, transactions, paid]
    };
    let by_user: std::collections::BTreeMap<_, _> =
        by_user.iter().map(|(user, account)| (user, fields(account))).collect();
    let keys = keys.inside();
    said![shard, by_user, last_transaction, archived, keys, version, last_instant]
}

/// Brings an event as the journal's bytes.
fn follow(accounts: &mut Accounts, event: &Event, at: Timestamp, key: Option<KeyUse>) {
    let mut bytes = Vec::new();
    let (shard, version) = (accounts.shard(), accounts.version() + 1);
    record::encode_fact(&mut bytes, version, at, key, record::FactRef::Accounts(shard, event));
    let record = record::decode(&bytes).unwrap();
    let record::Fact::Accounts(_, event) = record.fact else { panic!("another stream's") };
    accounts.apply(&event, record.at, record.key);
    accounts.check_invariants();
}

fn restarted(accounts: &Accounts) -> Accounts {
    let image = AccountsImage::of(accounts);
    let mut world = reread(&Section::Accounts(Box::new(image)));
    world.accounts.remove(&accounts.shard()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    // Days go by, so that keys are forgotten.
    #[test]
    fn whenever_the_process_was_restarted_what_comes_is_as_if_it_never_was(
        turns in turns(),
        beside in prop::collection::vec(
            (0..40_000_000_u64, prop::option::weighted(0.3, 0..4_u128), prop::bool::weighted(0.1), any::<bool>()),
            50,
        ),
    ) {
        let mut accounts = Accounts::new(Shard::of("kim"), 3);
        let mut follower = accounts.clone();
        let mut now = START;
        for (turn, (pause, digest, restart, settles)) in turns.iter().zip(beside.iter().cycle()) {
            now = now.plus_millis(*pause);
            let command = match turn {
                Turn::Ask(command) => command.clone(),
                Turn::Archive(max) => {
                    let Some(account) = accounts.account("kim") else { continue };
                    let last = account.old(Timestamp::MAX, *max).last();
                    let carried = account.carried().map_or(0, |carried| carried.through);
                    let settled: Vec<_> = account.payments().filter(|_| *settles).take(2).collect();
                    archive(last.map_or(carried, |last| last.id.number), &settled)
                }
            };
            let key = digest.map(|digest| KeyUse { digest, fingerprint: 7 });
            let key = key.filter(|key| accounts.find_key(*key, now).is_none());
            let decided = accounts.decide(&command);
            prop_assert_eq!(&follower.decide(&command), &decided);
            let kept = key.map(|_| Event::KeyKept { user: command.user().clone() });
            if let Some(event) = decided.ok().and_then(|decided| decided.or(kept)) {
                follow(&mut accounts, &event, now, key);
                follow(&mut follower, &event, now, key);
            }
            if *restart && accounts.version() > 0 {
                prop_assert_eq!(inside(&follower), inside(&accounts), "R1");
                follower = restarted(&follower);
                prop_assert_eq!(inside(&follower), inside(&accounts), "R1: an image is the state");
            }
        }
        prop_assert_eq!(inside(&follower), inside(&accounts), "R1");
    }
}
