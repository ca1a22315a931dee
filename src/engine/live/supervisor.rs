//! Starts actors, and starts them again after a panic.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use kameo::actor::{Actor, ActorId, ActorRef, Spawn, WeakActorRef};
use kameo::error::{ActorStopReason, SendError};
use kameo::mailbox;
use kameo::supervision::RestartPolicy;

use super::actor::LiveActor;
use super::aggregate::Aggregate;
use super::entry::Live;
use crate::engine::error::EngineError;
use crate::engine::shared::Shared;

/// How often an actor may panic within [`RESTART_WINDOW`] before it is left stopped.
const RESTARTS_MAX: u32 = 5;
const RESTART_WINDOW: Duration = Duration::from_mins(1);

/// What all actors are started under.
pub(in crate::engine) struct Supervisor;

impl Actor for Supervisor {
    type Args = ();
    type Error = Infallible;

    async fn on_start((): (), _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Self)
    }

    async fn on_link_died(
        &mut self,
        _: WeakActorRef<Self>,
        _: ActorId,
        reason: ActorStopReason,
    ) -> Result<std::ops::ControlFlow<ActorStopReason>, Infallible> {
        // One actor that can't go on doesn't take the others with it.
        if !reason.is_normal() {
            tracing::error!("an actor's restarts are spent: it answers 503 until the process starts again");
            metrics::counter!("onsale_actors_given_up_total").increment(1);
        }
        Ok(std::ops::ControlFlow::Continue(()))
    }
}

impl<A: Aggregate> Live<A> {
    /// Starts the actor, where it doesn't run.
    pub(in crate::engine) async fn start(
        self: &Arc<Self>,
        supervisor: &ActorRef<Supervisor>,
        shared: &Arc<Shared>,
    ) {
        if self.actor().is_some() {
            return;
        }
        // The supervisor keeps these for as long as it lives: the entry must be free to go to the archive.
        let (args, space) = ((Arc::downgrade(self), Arc::clone(shared)), shared.mailbox_len_max);
        let actor = LiveActor::supervise_with(supervisor, move || args.clone())
            .restart_policy(RestartPolicy::Transient)
            .restart_limit(RESTARTS_MAX, RESTART_WINDOW)
            .spawn_with_mailbox(mailbox::bounded(space))
            .await;
        self.set_actor(actor);
    }
}

/// Maps what may happen to a message on its way.
pub(in crate::engine) fn from_send_error<M>(error: SendError<M, EngineError>) -> EngineError {
    match error {
        SendError::HandlerError(error) => error,
        SendError::MailboxFull(_) => EngineError::Overloaded,
        SendError::ActorNotRunning(_) | SendError::ActorRestarting(_) => EngineError::NotReady,
        SendError::ActorStopped | SendError::Timeout(_) => EngineError::OutcomeUnknown,
    }
}
