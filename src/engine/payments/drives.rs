//! The payments that are being driven, and how many at once.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::domain::ids::PaymentId;

/// How many refunds of a cancelled schedule, or payments that recovery goes on with, take a step at once.
const AT_ONCE_MAX: usize = 32;
/// How many captures are under way at the gateway at once. Nothing else takes their room: a customer waits for each.
const CAPTURES_MAX: usize = 1_024;
/// How many refunds are.
const REFUNDS_MAX: usize = 256;
/// How often at once the gateway is asked what became of a payment.
const LOOKS_MAX: usize = 256;
/// How often at once it is asked about a payment that is done, since a notice hinted at it. Anyone can send those.
const HINTED_MAX: usize = 64;

/// How long a caller waits for a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Until {
    /// Until nothing more happens by itself.
    Settled,
    /// Until then, or until a gateway gave no answer that says how it went.
    InDoubt,
}

/// Whether a payment is one of many that are driven together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Pace {
    /// Somebody waits for it.
    AtOnce,
    /// It takes its steps in turn with others, [`AT_ONCE_MAX`] at once.
    InTurn,
}

/// The payments that are being driven.
pub(in crate::engine) struct Drives {
    pub(super) driven: DashMap<PaymentId, Driven>,
    pub(super) at_once: Arc<Semaphore>,
    pub(super) calls: Calls,
    pub(super) closing: CancellationToken,
}

/// The room for calls of the gateway, for each kind its own: however long those of one kind hang, the others go on.
pub(in crate::engine) struct Calls {
    pub(super) captures: Semaphore,
    pub(super) refunds: Semaphore,
    pub(super) looks: Semaphore,
    pub(super) hinted: Semaphore,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            captures: Semaphore::new(CAPTURES_MAX),
            refunds: Semaphore::new(REFUNDS_MAX),
            looks: Semaphore::new(LOOKS_MAX),
            hinted: Semaphore::new(HINTED_MAX),
        }
    }
}

/// A payment that a task drives. The task ends its side of the watch when it ends.
#[derive(Clone)]
pub(super) struct Driven {
    pub(super) in_doubt: watch::Receiver<bool>,
    pub(super) hint: Arc<Notify>,
}

impl Default for Drives {
    fn default() -> Self {
        Self {
            driven: DashMap::new(),
            at_once: Arc::new(Semaphore::new(AT_ONCE_MAX)),
            calls: Calls::default(),
            closing: CancellationToken::new(),
        }
    }
}

impl Drives {
    pub(super) fn find(&self, id: PaymentId) -> Option<Driven> {
        self.driven.get(&id).map(|driven| driven.clone())
    }

    /// Lets every drive end where it stands, and no other begin: the next start goes on from there.
    pub(in crate::engine) fn close(&self) {
        self.closing.cancel();
    }
}
