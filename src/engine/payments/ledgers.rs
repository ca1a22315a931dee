//! Where accounts and payments are found, and the gateways.

use std::sync::Arc;

use dashmap::DashMap;

use super::drives::Drives;
use crate::domain::accounts::{Accounts, Shard};
use crate::domain::ids::ScheduleNumber;
use crate::domain::payments::{Method, Payment, Payments, State};
use crate::engine::core::Core;
use crate::engine::live::Live;
use crate::gateway::Gateways;
use crate::recovery::KEYS_MAX;

/// The accounts, the payments, and those that are being driven.
pub(in crate::engine) struct Ledgers {
    accounts: Vec<Arc<Live<Accounts>>>,
    payments: DashMap<ScheduleNumber, Arc<Live<Payments>>>,
    pub(in crate::engine) gateways: Gateways,
    pub(in crate::engine) drives: Drives,
}

impl Ledgers {
    pub(in crate::engine) fn new(
        mut accounts: hashbrown::HashMap<Shard, Accounts>,
        payments: hashbrown::HashMap<ScheduleNumber, Payments>,
        gateways: Gateways,
    ) -> Self {
        let shard = |shard| accounts.remove(&shard).unwrap_or_else(|| Accounts::new(shard, KEYS_MAX));
        let accounts = Shard::all().map(shard).map(|shard| Arc::new(Live::of(shard))).collect();
        let payments = payments.into_iter().map(|(number, payments)| (number, kept(payments)));
        Self { accounts, payments: payments.collect(), gateways, drives: Drives::default() }
    }

    /// Starts the actors of all accounts and payments.
    pub(in crate::engine) async fn start(&self, core: &Arc<Core>) {
        for shard in &self.accounts {
            shard.start(core).await;
        }
        let payments: Vec<_> = self.payments.iter().map(|entry| Arc::clone(&entry)).collect();
        for entry in payments {
            entry.start(core).await;
        }
    }

    pub(in crate::engine) fn accounts(&self, user: &str) -> &Arc<Live<Accounts>> {
        &self.accounts[usize::from(Shard::of(user).0)]
    }

    pub(in crate::engine) fn all_accounts(&self) -> &[Arc<Live<Accounts>>] {
        &self.accounts
    }

    pub(in crate::engine) fn payments(&self, number: ScheduleNumber) -> Option<Arc<Live<Payments>>> {
        self.payments.get(&number).map(|entry| Arc::clone(&entry))
    }

    /// Returns the payments of every schedule that has any, in order of the schedules' numbers.
    pub(in crate::engine) fn all_payments(&self) -> Vec<Arc<Live<Payments>>> {
        let mut all: Vec<_> = self.payments.iter().map(|entry| Arc::clone(&entry)).collect();
        all.sort_unstable_by_key(|entry| entry.read().schedule());
        all
    }

    /// Tells whether a payment needs no gateway, or the one that it names is set up.
    pub(in crate::engine) fn has_gateway_of(&self, payment: &Payment) -> bool {
        payment.gateway.as_ref().is_none_or(|name| self.gateways.has(name))
    }

    /// Counts the refunds that a payment service of the team's own owes, where none is set up: its report of one is refused.
    pub(in crate::engine) fn refunds_without_service(&self) -> usize {
        if self.gateways.name_of(Method::External).is_some() {
            return 0;
        }
        let is_owed = |payment: &&Payment| payment.is_reported() && payment.state == State::Refunding;
        self.all_payments().iter().map(|payments| payments.read().under_way().filter(is_owed).count()).sum()
    }

    /// Forgets the payments of a schedule that is in the archive.
    pub(in crate::engine) fn forget(&self, number: ScheduleNumber) {
        self.payments.remove(&number);
    }

    pub(in crate::engine) fn payments_of_new(&self, number: ScheduleNumber) -> Arc<Live<Payments>> {
        let fresh = || kept(Payments::new(number, KEYS_MAX));
        Arc::clone(&self.payments.entry(number).or_insert_with(fresh))
    }
}

fn kept(payments: Payments) -> Arc<Live<Payments>> {
    Arc::new(Live::of(payments))
}
