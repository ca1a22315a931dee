//! A shard's state without what follows from it: what a snapshot keeps.

use super::{Account, Accounts, Answer, Shard, Transaction};
use crate::domain::ids::UserId;
use crate::domain::keys::{KeyUse, Keys};
use crate::domain::money::Currency;
use crate::domain::time::Timestamp;

/// One account: the balance and what was paid follow from its movements.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `Account` and its getters")]
pub struct AccountImage {
    pub user: UserId,
    pub currency: Currency,
    /// The oldest first.
    pub transactions: Vec<Transaction>,
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
    /// Keys in the order in which they came.
    pub keys: Vec<(KeyUse, u64, Timestamp, Answer)>,
    pub version: u64,
    pub last_instant: Timestamp,
}

impl AccountsImage {
    /// Takes the image of a shard.
    pub fn of(accounts: &Accounts) -> Self {
        let account = |(user, account): (&UserId, &Account)| AccountImage {
            user: user.clone(),
            currency: account.currency,
            transactions: account.transactions.iter().copied().collect(),
        };
        let mut images: Vec<_> = accounts.by_user.iter().map(account).collect();
        images.sort_unstable_by(|one, other| one.user.cmp(&other.user));
        let keys = accounts.keys.iter().map(|(key, version, at, answer)| (key, version, at, *answer));
        Self {
            shard: accounts.shard,
            accounts: images,
            last_transaction: accounts.last_transaction,
            keys_max: accounts.keys.max(),
            keys: keys.collect(),
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
        for AccountImage { user, currency, transactions } in self.accounts {
            let mut account = Account::new(currency);
            for transaction in transactions {
                account.move_money(transaction);
            }
            accounts.by_user.insert(user, account);
        }
        accounts.last_transaction = self.last_transaction;
        accounts.keys = Keys::new(self.keys_max);
        for (key, version, at, answer) in self.keys {
            accounts.keys.keep(key, version, at, answer);
        }
        accounts.version = self.version;
        accounts.last_instant = self.last_instant;
        accounts
    }
}
