//! A shard's state without its indexes: a snapshot keeps it.

use std::sync::Arc;

use super::{Account, Accounts, Answer, Carried, Paid, Shard, Transaction};
use crate::domain::ids::{PaymentId, UserId};
use crate::domain::keys::{KeyList, Keys};
use crate::domain::money::Currency;
use crate::domain::time::Timestamp;

/// One account: the balance follows from its movements and what they are carried on from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `Account` and its getters")]
pub struct AccountImage {
    pub user: UserId,
    pub currency: Currency,
    /// Those that aren't in the archive, the oldest first.
    pub transactions: Vec<Transaction>,
    pub carried: Option<CarriedImage>,
}

/// The facts of archived movements that an account can't tell from its other movements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedImage {
    /// The sum of the movements in the archive.
    pub carried: Carried,
    /// Every payment that is remembered, in order, and whether its money was given back.
    pub paid: Vec<(PaymentId, bool)>,
}

/// Everything of a shard that doesn't follow from the rest, in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `Accounts` and its getters")]
pub struct AccountsImage {
    pub shard: Shard,
    /// By user.
    pub accounts: Vec<AccountImage>,
    pub last_transaction: u32,
    pub keys_max: u32,
    pub keys: KeyList<Answer>,
    pub version: u64,
    pub last_instant: Timestamp,
}

impl AccountsImage {
    /// Takes the image of a shard. Many take a while: take it of a clone, which shares the accounts.
    pub fn of(accounts: &Accounts) -> Self {
        let mut images: Vec<_> =
            accounts.by_user.iter().map(|(user, account)| AccountImage::of(user, account)).collect();
        images.sort_unstable_by(|one, other| one.user.cmp(&other.user));
        Self {
            shard: accounts.shard,
            accounts: images,
            last_transaction: accounts.last_transaction,
            keys_max: accounts.keys.max(),
            keys: accounts.keys.list(),
            version: accounts.version,
            last_instant: accounts.last_instant,
        }
    }

    /// Makes the shard again.
    ///
    /// # Panics
    /// When the image contradicts itself, which a checked snapshot doesn't.
    pub fn restore(self) -> Accounts {
        let mut accounts = Accounts::new(self.shard, self.keys_max);
        for image in self.accounts {
            accounts.archived += image.carried.as_ref().map_or(0, |carried| carried.carried.count);
            let (user, account) = image.restore();
            accounts.by_user.insert(user, Arc::new(account));
        }
        accounts.last_transaction = self.last_transaction;
        accounts.keys = Keys::restore(self.keys_max, self.keys);
        accounts.version = self.version;
        accounts.last_instant = self.last_instant;
        accounts
    }
}

impl AccountImage {
    fn of(user: &UserId, account: &Account) -> Self {
        let carried = account.carried.map(|carried| {
            let mut paid: Vec<(PaymentId, bool)> =
                account.paid.iter().map(|(payment, paid)| (*payment, *paid == Paid::GivenBack)).collect();
            paid.sort_unstable();
            CarriedImage { carried, paid }
        });
        let transactions = account.transactions.iter().copied().collect();
        Self { user: user.clone(), currency: account.currency, transactions, carried }
    }

    fn restore(self) -> (UserId, Account) {
        let mut account = Account::new(self.currency);
        let Some(CarriedImage { carried, paid }) = self.carried else {
            for transaction in self.transactions {
                account.move_money(transaction);
            }
            return (self.user, account);
        };
        account.carried = Some(carried);
        account.balance = carried.balance;
        for transaction in self.transactions {
            account.balance = transaction.balance_after;
            account.transactions.push_back(transaction);
        }
        let state = |back| if back { Paid::GivenBack } else { Paid::Taken };
        account.paid = paid.into_iter().map(|(payment, back)| (payment, state(back))).collect();
        (self.user, account)
    }
}
