//! The needs of every actor: the journal, the clock, limits, the published catalogue, and a way to have effects done elsewhere.
//!
//! Absent on purpose: the directory of all aggregates. An actor knows itself.

use core::num::NonZeroU32;
use core::time::Duration;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use kameo::actor::ActorRef;

use super::seal::Seal;
use super::supervisor::Supervisor;
use crate::clock::Clock;
use crate::domain::catalogue::{Catalogue, CatalogueEvent};
use crate::domain::cause::Cause;
use crate::domain::ids::{PaymentId, ScheduleNumber, UserId};
use crate::domain::schedule::Limits;
use crate::domain::time::Timestamp;
use crate::domain::venue::Seating;
use crate::journal::Journal;

/// The needs of every actor.
pub(super) struct Core {
    pub(super) journal: Journal,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
    pub(super) unpaid_holds_max: Option<NonZeroU32>,
    pub(super) mailbox_len_max: usize,
    pub(super) reply_timeout: Option<Duration>,
    pub(super) seal: Seal,
    pub(super) supervisor: ActorRef<Supervisor>,
    pub(super) catalogue: Published,
    pub(super) effects: Effects,
}

/// The catalogue as it is durable.
pub(super) struct Published(RwLock<Arc<Catalogue>>);

impl Published {
    pub(super) fn new(catalogue: Catalogue) -> Self {
        Self(RwLock::new(Arc::new(catalogue)))
    }
}

/// The effect elsewhere of an event that has just become durable (E1).
pub(super) enum Effect {
    /// A user has a reservation in a schedule that didn't know them.
    NoteUser(UserId, ScheduleNumber),
    /// A payment has a step to take, or is owed one.
    Drive(PaymentId),
    /// Any payment of a schedule may be owed a step.
    Settle(ScheduleNumber),
    /// A schedule's stream has ended: the catalogue has to say so, too.
    End(ScheduleNumber),
}

/// The one who does the effects: set once, before the first actor starts.
#[derive(Default)]
pub(super) struct Effects(OnceLock<Box<dyn Fn(Effect) + Send + Sync>>);

impl Effects {
    /// Says who does it. It must not wait: the journal's writer calls it.
    pub(super) fn are_done_by(&self, done_by: impl Fn(Effect) + Send + Sync + 'static) {
        assert!(self.0.set(Box::new(done_by)).is_ok(), "effects are done by one");
    }
}

/// An event of the catalogue with its instant and the idempotency key whose effect it is.
pub(super) struct CatalogueHappened {
    pub(super) event: CatalogueEvent,
    pub(super) at: Timestamp,
    pub(super) cause: Cause,
}

impl Core {
    /// Has something done elsewhere that follows from an event. Never waits.
    pub(super) fn have(&self, effect: Effect) {
        let done_by = self.effects.0.get().expect("it was said before the first actor started");
        done_by(effect);
    }

    /// Returns the catalogue as it is durable.
    pub(super) fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.catalogue.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns a venue's plan, where some of its seats are accessible or a companion's.
    pub(super) fn special_seats(&self, venue: &str) -> Option<Arc<Seating>> {
        let catalogue = self.catalogue.0.read().unwrap_or_else(PoisonError::into_inner);
        let seating = &catalogue.venue(venue)?.seating;
        // Most venues have none: nothing is counted up for them.
        (!seating.special().is_empty()).then(|| Arc::clone(seating))
    }

    /// Applies events of the catalogue that have just become durable. Called by the journal, in order.
    pub(super) fn publish_catalogue(&self, happened: &[CatalogueHappened]) {
        let mut catalogue = self.catalogue.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = Arc::make_mut(&mut catalogue);
        for CatalogueHappened { event, at, cause } in happened {
            changed.apply(event, *at, cause.key);
        }
    }
}
