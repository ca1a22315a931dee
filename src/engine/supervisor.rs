//! Starts actors again after a panic, and maps the ways in which a message can fail to reach one.

use core::convert::Infallible;
use core::time::Duration;

use kameo::actor::{Actor, ActorId, ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, SendError};

use super::error::EngineError;

/// How often an actor may panic within [`RESTART_WINDOW`] before it is left stopped.
pub(super) const RESTARTS_MAX: u32 = 5;
pub(super) const RESTART_WINDOW: Duration = Duration::from_mins(1);

/// The supervisor of all actors.
pub(super) struct Supervisor;

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
    ) -> Result<core::ops::ControlFlow<ActorStopReason>, Infallible> {
        // One actor that can't go on doesn't take the others with it.
        if !reason.is_normal() {
            tracing::error!("an actor's restarts are spent: it answers 503 until the process starts again");
            metrics::counter!("onsale_actors_given_up_total").increment(1);
        }
        Ok(core::ops::ControlFlow::Continue(()))
    }
}

/// Maps the ways in which a message can fail.
pub(super) fn from_send_error<M>(error: SendError<M, EngineError>) -> EngineError {
    match error {
        SendError::HandlerError(error) => error,
        SendError::MailboxFull(_) => EngineError::Overloaded,
        SendError::ActorNotRunning(_) | SendError::ActorRestarting(_) => EngineError::NotReady,
        SendError::ActorStopped | SendError::Timeout(_) => EngineError::OutcomeUnknown,
    }
}
