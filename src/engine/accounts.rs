//! Accounts as aggregates, 16 shards of them, and the calls about them.

use super::Engine;
use super::core::Core;
use super::error::EngineError;
use super::live::{Aggregate, Done, KeyLookup, Live};
use super::seal::Seal;
use crate::domain::accounts::{self, Accounts};
use crate::domain::cause::Cause;
use crate::domain::ids::UserId;
use crate::domain::keys::KeyUse;
use crate::domain::money::{Currency, Money};
use crate::domain::time::Timestamp;
use crate::record::FactRef;

impl Aggregate for Accounts {
    type Command = accounts::Command;
    type Event = accounts::Event;
    type Answer = accounts::Answer;
    type View = ();
    type Own = ();

    fn title(&self) -> String {
        format!("accounts {}", self.shard().0)
    }

    fn version(&self) -> u64 {
        self.version()
    }

    fn last_instant(&self) -> Timestamp {
        self.last_instant()
    }

    fn name(command: &Self::Command) -> &'static str {
        command.name()
    }

    fn find(&self, key: KeyUse, now: Timestamp) -> Option<KeyLookup<Self::Answer>> {
        self.find_key(key, now).map(|found| KeyLookup::of(&found, |answer| *answer))
    }

    fn decide(
        &self,
        command: &Self::Command,
        _: Timestamp,
        _: &Core,
    ) -> Result<Option<Self::Event>, EngineError> {
        Ok(self.decide(command)?)
    }

    fn apply(&mut self, event: &Self::Event, at: Timestamp, key: Option<KeyUse>) {
        self.apply(event, at, key);
    }

    fn seal(&self, event: &mut Self::Event, seal: &Seal) {
        if let accounts::Event::Moved { number, nonce, .. } = event {
            seal.transaction(self.shard().0, number, nonce);
        }
    }

    fn kept(&self, command: &Self::Command) -> Self::Event {
        accounts::Event::KeyKept { user: command.user().clone() }
    }

    fn answer(&self, _: &Self::Command, event: &Self::Event) -> Self::Answer {
        self.answer(event)
    }

    fn fact<'a>(&self, event: &'a Self::Event) -> FactRef<'a> {
        FactRef::Accounts(self.shard(), event)
    }

    fn own(&self, _: &Live<Self>) {}
}

impl Engine {
    /// Returns a user's account: nothing where nothing was ever put in.
    pub fn balance(&self, user: &str) -> Option<(Money, Currency, Option<Timestamp>)> {
        let shard = self.directory.ledgers.accounts(user).read();
        let account = shard.account(user)?;
        Some((account.balance(), account.currency(), account.updated_at()))
    }

    /// Puts money in an account; the answer is durable when it comes.
    ///
    /// # Errors
    /// As [`Engine::act`]; [`Refusal::Account`](super::Refusal).
    pub async fn charge(
        &self,
        user: &UserId,
        amount: Money,
        currency: Currency,
        nonce: u64,
        cause: Cause,
    ) -> Result<Done<accounts::Answer>, EngineError> {
        let charge = accounts::Command::Charge { user: user.clone(), amount, currency, nonce };
        self.directory.ledgers.accounts(user).ask(charge, cause, None).await
    }
}
