//! Moves what is long over to the archive, now and then.

use std::time::Duration;

use crate::archive::Archive;
use crate::domain::accounts::{Account, Command as AccountCommand, Transaction};
use crate::domain::archive;
use crate::domain::cause::Cause;
use crate::domain::ids::{PaymentId, UserId};
use crate::domain::time::{Seconds, Timestamp};
use crate::engine::Engine;
use crate::engine::catalogue::MoveToArchive;
use crate::engine::error::EngineError;
use crate::engine::supervisor::from_send_error;

/// How many schedules one round moves, and how many batches of movements.
const SCHEDULES_A_ROUND: usize = 1_000;
const BATCHES_A_ROUND: usize = 4_096;
/// How many movements of one account move at once.
const BATCH_MAX: usize = 256;
/// After how long the first round begins, and how often one does.
const FIRST_AFTER: Duration = Duration::from_mins(1);
const EVERY: Duration = Duration::from_hours(1);

/// What a round moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    /// Schedules.
    pub schedules: usize,
    /// Movements of accounts.
    pub transactions: usize,
}

impl Engine {
    /// Moves what is long over to the archive, a bounded number at once; returns what moved.
    ///
    /// # Errors
    /// The first error ends the round. What had moved by then stays moved.
    pub async fn archive_old(&self) -> Result<Moved, EngineError> {
        let Some(after) = self.directory.archive_after else { return Ok(Moved::default()) };
        let schedules = self.archive_schedules(after).await?;
        let transactions = self.archive_transactions(after).await?;
        Ok(Moved { schedules, transactions })
    }

    async fn archive_schedules(&self, after: Seconds) -> Result<usize, EngineError> {
        let now = self.now();
        let mut moved = 0;

        for entry in self.schedules() {
            let number = entry.number();
            let belongs = {
                let payments = self.directory.ledgers.payments(number);
                let payments = payments.as_ref().map(|payments| payments.read());
                archive::belongs(&entry.read(), &entry.room().read(), payments.as_deref(), now, after)
            };
            if belongs.is_err() {
                continue;
            }

            // The catalogue's actor looks again: it moves the schedule only if that still belongs there.
            drop(entry);
            let move_it = MoveToArchive { number, after };
            match self.catalogue.ask(move_it).send().await.map_err(from_send_error) {
                Ok(did) => moved += usize::from(did),
                // Its actor is recovering, or isn't restarted any more. The other schedules move all the same.
                Err(EngineError::NotReady) => {
                    tracing::warn!(
                        schedule = number.0,
                        "a schedule can't be archived: its actor isn't running"
                    );
                }
                Err(error) => return Err(error),
            }

            // One round has an end, and the next goes on: snapshots and changes come in between.
            if moved == SCHEDULES_A_ROUND {
                break;
            }
        }
        Ok(moved)
    }

    async fn archive_transactions(&self, after: Seconds) -> Result<usize, EngineError> {
        let before = self.now().minus(after);
        let (mut moved, mut batches) = (0, 0);
        for shard in self.directory.ledgers.all_accounts() {
            let users: Vec<UserId> = {
                let shard = shard.read();
                let wanted = shard.iter().filter(|(_, account)| self.has_old(account, before));
                wanted.take(BATCHES_A_ROUND).map(|(user, _)| user.clone()).collect()
            };

            for user in users {
                while batches < BATCHES_A_ROUND {
                    let Some(batch) = self.archive_batch(&user, before).await? else { break };
                    moved += batch;
                    batches += 1;
                }
            }
        }
        Ok(moved)
    }

    fn has_old(&self, account: &Account, before: Timestamp) -> bool {
        account.old(before, 1).next().is_some()
            || (account.carried().is_some() && self.payments_settled(account).next().is_some())
    }

    /// Returns payments that an account remembers and nobody asks for again.
    fn payments_settled<'a>(&self, account: &'a Account) -> impl Iterator<Item = PaymentId> + use<'a> {
        let catalogue = self.catalogue();
        account.payments().filter(move |payment| catalogue.is_archived(payment.schedule)).take(BATCH_MAX)
    }

    /// Moves the oldest movements of an account. Returns how many, or nothing where no old ones are left.
    async fn archive_batch(&self, user: &UserId, before: Timestamp) -> Result<Option<usize>, EngineError> {
        let accounts = self.directory.ledgers.accounts(user);
        let (moved, carried, settled) = {
            let shard = accounts.read();
            let Some(account) = shard.account(user) else { return Ok(None) };
            let moved: Vec<Transaction> = account.old(before, BATCH_MAX).copied().collect();
            (moved, account.carried(), self.payments_settled(account).collect::<Vec<PaymentId>>())
        };
        assert!(moved.iter().all(|moved| moved.at < before), "only what is old moves");

        let (after, count) = carried.map_or((0, 0), |carried| (carried.through, carried.count));
        let through = moved.last().map_or(after, |last| last.id.number);
        if moved.is_empty() && (carried.is_none() || settled.is_empty()) {
            return Ok(None);
        }

        // The rows are durable before the event that makes them count.
        let len = moved.len();
        if len > 0 {
            let user = user.clone();
            let write = move |archive: &Archive| archive.put_transactions(&user, after, count, &moved);
            self.directory.archive.write(write).await?;
        }

        let archive = AccountCommand::Archive { user: user.clone(), through, settled };
        accounts.ask(archive, Cause::default(), None).await?;
        Ok(Some(len))
    }
}

/// Moves what is long over, now and then.
pub(in crate::engine) async fn archive_now_and_then(engine: Engine) {
    let mut wait = FIRST_AFTER;
    loop {
        tokio::time::sleep(wait).await;
        wait = EVERY;
        match engine.archive_old().await {
            Ok(Moved { schedules: 0, transactions: 0 }) => {}
            Ok(Moved { schedules, transactions }) => {
                tracing::info!(schedules, transactions, "what is long over moved to the archive");
            }
            Err(error) => {
                tracing::warn!(%error, "not everything that is over could be moved to the archive");
                if engine.journal().failure().is_some() {
                    return;
                }
            }
        }
    }
}
