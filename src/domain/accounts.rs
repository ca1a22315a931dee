//! Accounts: the users' balances, and every movement of money on them.
//!
//! [`Accounts`] is one shard of them, one aggregate with one stream; a user's shard follows from the user's id. An account
//! begins with its first charge, which says its currency. Payments and refunds are keyed by the payment, so that the saga
//! may ask again. An amount of nothing is taken from any account and given back to any, in any currency: a free ticket leaves no
//! trace here.
//!
//! The old transactions of a long account move to the archive: an event says up to which one, and their sum is carried forward
//! ([`Carried`]).
//!
//! Absent on purpose: limits of a charge (a setting of the front), gateways, reservations, the archive itself.
//!
//! Invariants, checked by [`Accounts::check_invariants`] (M1): a balance is the sum of the account's transactions, those carried
//! forward included, and the last one's `balance_after`; it is never negative and never above [`Money::MAX`].

mod image;

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

pub use image::{AccountImage, AccountsImage, CarriedImage};

use super::ids::{PaymentId, TransactionId, UserId, count_of};
use super::keys::{KeyFound, KeyUse, Keys};
use super::money::{Currency, Money};
use super::time::Timestamp;

/// How many shards there are: the number of actors that share the accounts of a log. It is part of the format.
pub const SHARDS: u16 = 16;

/// How many movements of an account stay in memory, however old.
pub const NEWEST_KEPT: usize = 100;

/// The number of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(pub u16);

impl Shard {
    /// Every shard.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SHARDS).map(Self)
    }

    /// Returns the shard of a user: FNV-1a over the id's bytes (Fowler, Noll, Vo), which no version may change.
    pub fn of(user: &str) -> Self {
        let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        let hash = user.bytes().fold(0x811c_9dc5, step);
        Self(u16::try_from(hash % u32::from(SHARDS)).expect("below the number of shards"))
    }
}

/// Why money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It was put in.
    Charge,
    /// It paid for a reservation.
    Payment(PaymentId),
    /// It came back from a payment.
    Refund(PaymentId),
}

impl Kind {
    /// Returns the word that clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Payment(_) => "payment",
            Self::Refund(_) => "refund",
        }
    }
}

/// One movement of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub struct Transaction {
    pub id: TransactionId,
    pub kind: Kind,
    /// How much, in the direction that the kind says.
    pub amount: Money,
    /// The balance with it.
    pub balance_after: Money,
    pub at: Timestamp,
}

/// The sum of an account's transactions that are in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried {
    /// The number of the last of them.
    pub through: u32,
    /// How many they are.
    pub count: u64,
    /// The balance with the last of them.
    pub balance: Money,
}

/// One user's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    currency: Currency,
    balance: Money,
    carried: Option<Carried>,
    /// Those that aren't in the archive, the oldest first.
    transactions: VecDeque<Transaction>,
    paid: HashMap<PaymentId, Paid>,
}

/// Whether a payment that took money gave it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Paid {
    Taken,
    GivenBack,
}

impl Account {
    /// Returns its currency.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Returns its balance.
    pub fn balance(&self) -> Money {
        self.balance
    }

    /// Returns when it was last moved.
    pub fn updated_at(&self) -> Option<Timestamp> {
        self.transactions.back().map(|transaction| transaction.at)
    }

    /// Returns its movements that aren't in the archive, the newest first.
    pub fn transactions(&self) -> impl Iterator<Item = &Transaction> {
        self.transactions.iter().rev()
    }

    /// Returns its movements that aren't in the archive and come before a number of the shard, the newest first.
    pub fn transactions_before(&self, number: u32) -> impl Iterator<Item = &Transaction> {
        let end = self.transactions.partition_point(|transaction| transaction.id.number < number);
        self.transactions.range(..end).rev()
    }

    /// Returns the sum of its movements in the archive, if any are there.
    pub fn carried(&self) -> Option<Carried> {
        self.carried
    }

    /// Returns the movements that belong in the archive, the oldest first, at most `max`: those from before `before` that aren't
    /// among the newest [`NEWEST_KEPT`].
    pub fn old(&self, before: Timestamp, max: usize) -> impl Iterator<Item = &Transaction> {
        let surplus = self.transactions.len().saturating_sub(NEWEST_KEPT);
        self.transactions.iter().take(surplus.min(max)).take_while(move |transaction| transaction.at < before)
    }

    /// Tells whether money was ever on it, so that its currency stands. In journals of an earlier version free tickets moved
    /// nothing on accounts that had none.
    pub fn has_begun(&self) -> bool {
        self.carried.is_some() || self.transactions.iter().any(|moved| moved.amount > Money::ZERO)
    }

    /// Returns the payments that it remembers, so that each takes money once and gives it back once.
    pub fn payments(&self) -> impl Iterator<Item = PaymentId> {
        self.paid.keys().copied()
    }
}

/// A command to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub enum Command {
    /// Put money in.
    Charge {
        user: UserId,
        amount: Money,
        /// In which currency, where the account has none yet.
        currency: Currency,
        /// The random part of the transaction's id.
        nonce: u64,
    },
    /// Take the amount of a payment. Asked again, it is done already.
    Pay {
        user: UserId,
        payment: PaymentId,
        amount: Money,
        currency: Currency,
        /// The random part of the transaction's id.
        nonce: u64,
    },
    /// Give the amount of a payment back. Asked again, it is done already.
    Refund {
        user: UserId,
        payment: PaymentId,
        amount: Money,
        /// The random part of the transaction's id.
        nonce: u64,
    },
    /// Drop old movements, which the archive has by now.
    Archive {
        user: UserId,
        /// The number of the last of them: one of those that [`Account::old`] returned.
        through: u32,
        /// Payments whose schedules are in the archive, so that nobody asks for them again.
        settled: Vec<PaymentId>,
    },
}

impl Command {
    /// Returns whose account it is about.
    pub fn user(&self) -> &UserId {
        match self {
            Self::Charge { user, .. }
            | Self::Pay { user, .. }
            | Self::Refund { user, .. }
            | Self::Archive { user, .. } => user,
        }
    }

    /// Returns how much money it would move; of one that moves none, nothing.
    const fn amount(&self) -> Option<Money> {
        match self {
            Self::Charge { amount, .. } | Self::Pay { amount, .. } | Self::Refund { amount, .. } => {
                Some(*amount)
            }
            Self::Archive { .. } => None,
        }
    }

    /// Returns what it is called in metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Charge { .. } => "charge",
            Self::Pay { .. } => "pay",
            Self::Refund { .. } => "refund",
            Self::Archive { .. } => "archive",
        }
    }
}

/// A fact about an account: money moved, or old movements did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub enum Event {
    /// Money moved.
    Moved {
        user: UserId,
        currency: Currency,
        /// The number of the transaction in the shard, one more than the last.
        number: u32,
        /// The random part of its id.
        nonce: u64,
        kind: Kind,
        amount: Money,
        balance_after: Money,
    },
    /// A command with an idempotency key changed nothing: only its key is new.
    KeyKept { user: UserId },
    /// Old movements are in the archive, and no longer here.
    Archived {
        user: UserId,
        /// The number of the last of them.
        through: u32,
        /// Payments that need no longer be remembered.
        settled: Vec<PaymentId>,
    },
}

/// Why an account refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub enum Refusal {
    /// There isn't as much.
    #[error("the balance is too small for this")]
    Insufficient { balance: Money, required: Money },
    /// The account has another currency.
    #[error("the account has another currency than the reservation")]
    OtherCurrency,
    /// More than an account holds.
    #[error("that is more than an account holds")]
    TooMuch,
    /// The payment took nothing that could be given back.
    #[error("nothing was taken that could be given back")]
    NothingTaken,
}

/// The answer to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Money moved.
    Moved(Transaction),
    /// It was so already.
    Unchanged,
}

/// One shard of the accounts.
#[derive(Debug, Clone)]
pub struct Accounts {
    shard: Shard,
    /// A copy shares them, until one of the two changes one.
    by_user: HashMap<UserId, Arc<Account>>,
    last_transaction: u32,
    /// How many transactions are in the archive.
    archived: u64,
    keys: Keys<Answer>,
    version: u64,
    last_instant: Timestamp,
}

impl Accounts {
    /// Makes a shard before its first event.
    pub fn new(shard: Shard, keys_max: u32) -> Self {
        Self {
            shard,
            by_user: HashMap::new(),
            last_transaction: 0,
            archived: 0,
            keys: Keys::new(keys_max),
            version: 0,
            last_instant: Timestamp::ZERO,
        }
    }

    /// Returns which shard it is.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// Finds a user's account, once anything was ever put in.
    pub fn account(&self, user: &str) -> Option<&Account> {
        self.by_user.get(user).map(|account| &**account).filter(|account| account.has_begun())
    }

    /// Returns every account with its user, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&UserId, &Account)> {
        self.by_user.iter().map(|(user, account)| (user, &**account))
    }

    /// Returns how many transactions are in the archive.
    pub fn archived(&self) -> u64 {
        self.archived
    }

    /// Returns the number of events so far.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the instant of the last event.
    pub fn last_instant(&self) -> Timestamp {
        self.last_instant
    }

    /// Looks an idempotency key up.
    pub fn find_key(&self, key: KeyUse, now: Timestamp) -> Option<KeyFound<'_, Answer>> {
        self.keys.find(key, now)
    }

    /// Returns the idempotency keys that it has seen.
    pub fn keys(&self) -> &Keys<Answer> {
        &self.keys
    }

    /// Decides a command.
    ///
    /// # Errors
    /// A [`Refusal`], which changes nothing.
    pub fn decide(&self, command: &Command) -> Result<Option<Event>, Refusal> {
        // Nothing moves, in no currency: no account begins by it.
        if command.amount() == Some(Money::ZERO) {
            return Ok(None);
        }

        let account = self.by_user.get(command.user());
        let balance = account.map_or(Money::ZERO, |account| account.balance);
        let paid = |payment: &PaymentId| account.and_then(|account| account.paid.get(payment).copied());

        let (currency, nonce, kind, amount, after) = match command {
            Command::Charge { amount, currency, nonce, .. } => {
                let after = balance.plus(*amount).ok_or(Refusal::TooMuch)?;
                (*currency, *nonce, Kind::Charge, *amount, after)
            }
            Command::Pay { payment, amount, currency, nonce, .. } => {
                // Taken, or given back since: either way it isn't taken again.
                if paid(payment).is_some() {
                    return Ok(None);
                }
                let short = Refusal::Insufficient { balance, required: *amount };
                let after = balance.minus(*amount).ok_or(short)?;
                (*currency, *nonce, Kind::Payment(*payment), *amount, after)
            }
            Command::Refund { payment, amount, nonce, .. } => {
                match paid(payment) {
                    Some(Paid::Taken) => {}
                    Some(Paid::GivenBack) => return Ok(None),
                    None => return Err(Refusal::NothingTaken),
                }
                let after = balance.plus(*amount).ok_or(Refusal::TooMuch)?;
                let currency = account.ok_or(Refusal::NothingTaken)?.currency;
                (currency, *nonce, Kind::Refund(*payment), *amount, after)
            }
            Command::Archive { user, through, settled } => {
                return Ok(account.and_then(|account| account.archive(user, *through, settled)));
            }
        };

        // The first money says the currency, which stands from then on.
        if account.is_some_and(|account| account.has_begun() && account.currency != currency) {
            return Err(Refusal::OtherCurrency);
        }

        let (user, number) = (command.user().clone(), self.last_transaction + 1);
        Ok(Some(Event::Moved { user, currency, number, nonce, kind, amount, balance_after: after }))
    }

    /// Applies an event; `key` is the idempotency key whose effect it is.
    ///
    /// # Panics
    /// When the event doesn't follow from the state.
    pub fn apply(&mut self, event: &Event, at: Timestamp, key: Option<KeyUse>) {
        self.version += 1;
        self.last_instant = self.last_instant.max(at);
        // By the event's instant, so that replay forgets the same keys.
        self.keys.forget_old(at);

        match event {
            Event::Moved { user, currency, number, nonce, kind, amount, balance_after } => {
                assert_eq!(
                    count_of(*number),
                    self.last_transaction + 1,
                    "transactions are numbered in order"
                );
                self.last_transaction = count_of(*number);
                let id = TransactionId { shard: self.shard.0, number: *number, nonce: *nonce };
                let account = self.by_user.entry(user.clone());
                let account = Arc::make_mut(account.or_insert_with(|| Arc::new(Account::new(*currency))));

                // Free tickets of an earlier version made accounts without money: the first money says the currency.
                if !account.has_begun() {
                    account.currency = *currency;
                }
                assert_eq!(account.currency, *currency, "M1: one currency an account");

                let transaction =
                    Transaction { id, kind: *kind, amount: *amount, balance_after: *balance_after, at };
                account.move_money(transaction);
            }
            Event::KeyKept { .. } => {}
            Event::Archived { user, through, settled } => {
                let account = self.by_user.get_mut(user).expect("what is in the archive was an account's");
                self.archived += Arc::make_mut(account).carry(*through, settled);
            }
        }

        if let Some(key) = key {
            self.keys.keep(key, self.version, at, self.answer(event));
        }
    }

    /// Returns the answer to the command that led to the last event, `event`.
    pub fn answer(&self, event: &Event) -> Answer {
        let Event::Moved { user, .. } = event else { return Answer::Unchanged };
        let last = self.by_user.get(user).and_then(|account| account.transactions.back());
        last.map_or(Answer::Unchanged, |last| Answer::Moved(*last))
    }

    /// Changes how many idempotency keys are kept.
    pub fn set_keys_max(&mut self, keys_max: u32) {
        self.keys.set_max(keys_max);
    }

    /// Checks M1.
    ///
    /// # Panics
    /// When it doesn't hold.
    pub fn check_invariants(&self) {
        let mut archived = 0;
        for (user, account) in &self.by_user {
            assert_eq!(Shard::of(user), self.shard, "an account is in its user's shard");
            let mut balance = account.carried.map_or(Money::ZERO, |carried| carried.balance);
            let mut last = account.carried.map_or(0, |carried| carried.through);
            for transaction in &account.transactions {
                balance = with(balance, transaction).expect("M1: never negative, never too much");
                assert_eq!(balance, transaction.balance_after, "M1: the sum of the transactions");
                assert!(last < transaction.id.number, "the archive has what is older than what is here");
                last = transaction.id.number;
            }
            assert_eq!(balance, account.balance, "M1: the last balance");
            archived += account.carried.map_or(0, |carried| carried.count);
        }
        assert_eq!(archived, self.archived, "what is in the archive adds up");
    }
}

impl Account {
    fn new(currency: Currency) -> Self {
        let (transactions, paid) = (VecDeque::new(), HashMap::new());
        Self { currency, balance: Money::ZERO, carried: None, transactions, paid }
    }

    /// Returns the event that drops movements up to `through`; none where there is nothing to drop, or where one
    /// that is to stay would go.
    fn archive(&self, user: &UserId, through: u32, settled: &[PaymentId]) -> Option<Event> {
        let dropped = self.transactions.partition_point(|moved| moved.id.number <= through);
        let settled = settled.iter().filter(|payment| self.paid.contains_key(*payment));
        let settled: Vec<PaymentId> = settled.copied().collect();

        let is_whole = match dropped.checked_sub(1) {
            Some(last) => {
                let stays = self.transactions.len() - dropped;
                stays >= NEWEST_KEPT && self.transactions[last].id.number == through
            }
            // Nothing moves this time, but more of the payments that moved before are settled.
            None => !settled.is_empty() && self.carried.is_some_and(|carried| carried.through == through),
        };

        is_whole.then(|| Event::Archived { user: user.clone(), through, settled })
    }

    /// Carries movements up to `through` forward; returns how many.
    fn carry(&mut self, through: u32, settled: &[PaymentId]) -> u64 {
        let mut count = 0;
        let mut carried = self.carried.unwrap_or(Carried { through: 0, count: 0, balance: Money::ZERO });
        while let Some(moved) = self.transactions.pop_front_if(|moved| moved.id.number <= through) {
            count += 1;
            carried.balance = moved.balance_after;
        }

        (carried.through, carried.count) = (through, carried.count + count);
        self.carried = Some(carried);

        for payment in settled {
            self.paid.remove(payment);
        }
        count
    }

    fn move_money(&mut self, transaction: Transaction) {
        let after = with(self.balance, &transaction).expect("M1: never negative, never too much");
        assert_eq!(after, transaction.balance_after, "M1: the balance is the sum");

        match transaction.kind {
            Kind::Charge => {}
            Kind::Payment(payment) => {
                assert_eq!(self.paid.insert(payment, Paid::Taken), None, "M2: a payment is taken once");
            }
            Kind::Refund(payment) => {
                let before = self.paid.insert(payment, Paid::GivenBack);
                assert_eq!(before, Some(Paid::Taken), "M3: a payment is given back once");
            }
        }

        self.balance = after;
        self.transactions.push_back(transaction);
    }
}

/// Returns a balance with a movement.
fn with(balance: Money, transaction: &Transaction) -> Option<Money> {
    match transaction.kind {
        Kind::Charge | Kind::Refund(_) => balance.plus(transaction.amount),
        Kind::Payment(_) => balance.minus(transaction.amount),
    }
}

impl PartialEq for Accounts {
    /// Compares all that replay must bring back (R1).
    fn eq(&self, other: &Self) -> bool {
        AccountsImage::of(self) == AccountsImage::of(other)
    }
}

#[cfg(test)]
mod tests;
