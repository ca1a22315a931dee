//! Whether everything is here that the journal moved here: at start in short, for `onsale verify` in full.

use rusqlite::{OptionalExtension, Row, params};

use super::{Archive, ArchiveError, uint};
use crate::books::Owed;
use crate::domain::accounts::{Accounts, Carried, Kind};
use crate::domain::ids::{ScheduleNumber, UserId};
use crate::domain::money::Money;
use crate::recovery::{InArchive, World};

/// How many things that are missing an error names.
const NAMED_MAX: usize = 3;

/// The counts of a full check that found everything whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each field counts what its name says")]
pub struct Checked {
    pub schedules: u64,
    pub reservations: u64,
    pub payments: u64,
    pub transactions: u64,
    /// Payments that were moved here though their money is owed: nobody would give it back.
    pub owed: Owed,
}

impl Archive {
    /// Checks that every schedule that the world says is here is, as it was moved, and the last movement of every account. Batches
    /// are written in order and never removed, so that where the last is, all are.
    ///
    /// # Errors
    /// [`ArchiveError::Missing`] where something isn't.
    pub fn check(&self, world: &World) -> Result<(), ArchiveError> {
        let mut missing = Missing::default();
        for InArchive { number, id, archived, .. } in world.archived() {
            let versions = (archived.version, archived.payments);
            if self.versions_of(number)? != Some(versions) {
                missing.note(|| format!("schedule {id}"));
            }
        }

        for (user, carried) in carried(world) {
            if self.stand_of(user, carried.through)? != Some((carried.count, carried.balance.minor())) {
                missing.note(|| format!("transactions of user {user}"));
            }
        }
        missing.none().map_err(|what| self.missing(what))
    }

    /// Checks everything: the file itself, every schedule with its payments and where they are found, every movement.
    ///
    /// # Errors
    /// The first thing that is wrong.
    ///
    /// # Panics
    /// When a state whose checksum is right contradicts itself.
    pub fn verify(&self, world: &World) -> Result<Checked, ArchiveError> {
        self.check(world)?;
        let found = self.read(|connection| {
            connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))
        })?;
        if let Some(wrong) = found.filter(|found| found != "ok") {
            return Err(self.damaged(wrong));
        }

        let mut checked = Checked::default();
        self.for_each_schedule(world, |restored| {
            let number = restored.schedule.number();
            restored.schedule.check_invariants();
            restored.payments.check_invariants();

            let reservations = count(restored.schedule.reservations());
            let payments = count(restored.payments.iter()) + count(restored.schedule.orders());
            if self.indexed(number)? != Some((reservations, payments)) {
                let id = restored.schedule.id();
                return Err(self.damaged(format!("what schedule {id} has isn't what its users would find")));
            }

            checked.schedules += 1;
            checked.reservations += reservations;
            checked.payments += payments;
            checked.owed.count(&restored.payments, &restored.schedule);
            Ok(())
        })?;

        for (user, carried) in carried(world) {
            self.verify_transactions(user, carried)?;
            checked.transactions += carried.count;
        }

        Ok(checked)
    }

    /// Checks M1 over the movements of an account that are here.
    fn verify_transactions(&self, user: &UserId, carried: Carried) -> Result<(), ArchiveError> {
        let mut balance = Some(Money::ZERO);
        let (mut seen, mut in_order) = (0, true);

        self.for_each_transaction(user, carried, |ordinal, moved| {
            seen += 1;
            in_order &= ordinal == seen;
            let after = balance.and_then(|balance| match moved.kind {
                Kind::Charge | Kind::Refund(_) => balance.plus(moved.amount),
                Kind::Payment(_) => balance.minus(moved.amount),
            });
            balance = after.filter(|after| *after == moved.balance_after);
        })?;

        if !in_order || (seen, balance) != (carried.count, Some(carried.balance)) {
            return Err(self.damaged(format!("the transactions of user {user} don't add up")));
        }
        Ok(())
    }

    fn versions_of(&self, number: ScheduleNumber) -> Result<Option<(u64, u64)>, ArchiveError> {
        let found = self.read(|connection| {
            let row = |row: &Row<'_>| Ok((uint(row.get(0)?)?, uint(row.get(1)?)?));
            let select = "SELECT version, payments_version FROM schedules WHERE number = ?1";
            connection.query_row(select, [number.0], row).optional()
        })?;
        Ok(found.flatten())
    }

    /// Returns the ordinal of a movement, and the balance with it.
    fn stand_of(&self, user: &UserId, number: u32) -> Result<Option<(u64, u64)>, ArchiveError> {
        let found = self.read(|connection| {
            let row = |row: &Row<'_>| Ok((uint(row.get(0)?)?, uint(row.get(1)?)?));
            let select = "SELECT ordinal, balance_after FROM transactions WHERE user = ?1 AND number = ?2";
            connection.query_row(select, params![user.as_str(), number], row).optional()
        })?;
        Ok(found.flatten())
    }

    /// Counts the index rows of a schedule's reservations and payments.
    fn indexed(&self, number: ScheduleNumber) -> Result<Option<(u64, u64)>, ArchiveError> {
        self.read(|connection| {
            let select = "SELECT (SELECT count(*) FROM reservations WHERE schedule = ?1), \
                          (SELECT count(*) FROM payments WHERE schedule = ?1)";
            connection.query_row(select, [number.0], |row| Ok((uint(row.get(0)?)?, uint(row.get(1)?)?)))
        })
    }
}

/// Returns every account of which something is in the archive.
fn carried(world: &World) -> impl Iterator<Item = (&UserId, Carried)> {
    let accounts = world.accounts.values().flat_map(Accounts::iter);
    accounts.filter_map(|(user, account)| Some((user, account.carried()?)))
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}

/// The first things that are missing, and how many.
#[derive(Default)]
struct Missing {
    named: Vec<String>,
    count: usize,
}

impl Missing {
    fn note(&mut self, name: impl FnOnce() -> String) {
        if self.named.len() < NAMED_MAX {
            self.named.push(name());
        }
        self.count += 1;
    }

    fn none(self) -> Result<(), String> {
        assert!(self.named.len() <= self.count, "what is named is counted");
        let rest = self.count - self.named.len();
        let named = self.named.join(", ");
        match (self.count, rest) {
            (0, _) => Ok(()),
            (_, 0) => Err(named),
            _ => Err(format!("{named} and {rest} more")),
        }
    }
}
