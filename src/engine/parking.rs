//! How an actor hands over what it decided: encoded, and with its reply parked until it is durable.
//!
//! A reply that rests on nothing that could be lost is given at once; a refusal waits too while the state is
//! ahead of what is durable, since "taken" must stay true after a crash (V1).

use kameo::reply::ReplySender;

use super::error::EngineError;
use crate::journal::{Entry, Journal, Records};

/// What an actor was started for is gone, to the archive: it doesn't start again. A supervisor keeps what it starts its children
/// with for as long as it lives, so that these are references that keep nothing alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

/// Where a reply goes, where one is awaited.
pub(super) type Reply<T> = Option<ReplySender<Result<T, EngineError>>>;

/// What an actor appends to the journal in one entry.
pub(super) struct Parked<T: Send + 'static, P: FnOnce() + Send + 'static> {
    /// The encoded events: none, where nothing happened.
    pub(super) records: Records,
    /// Whether the actor's state is ahead of what is durable.
    pub(super) ahead: bool,
    /// Shows the events to everyone. Runs on the journal's writer, in order, once they are durable.
    pub(super) publish: P,
    /// Where the reply goes.
    pub(super) reply: Reply<T>,
    /// The reply, once all that it rests on is durable.
    pub(super) outcome: Result<T, EngineError>,
}

impl<T: Send + 'static, P: FnOnce() + Send + 'static> Parked<T, P> {
    /// Appends it. Waits for room in the journal alone, never for the disk.
    pub(super) async fn append_to(self, journal: &Journal) {
        let Self { records, ahead, publish, reply, outcome } = self;
        let settled = matches!(outcome, Err(EngineError::InProgress | EngineError::JournalUnavailable));
        if records.is_empty() && (settled || !ahead) {
            return answer(reply, outcome);
        }
        let permit = match journal.reserve().await {
            Ok(permit) => permit,
            Err(error) => return answer(reply, Err(error.into())),
        };
        let done = Box::new(move |committed: Result<_, _>| match committed {
            Ok(_) => {
                publish();
                answer(reply, outcome);
            }
            Err(error) => answer(reply, Err(EngineError::from(error))),
        });
        permit.send(Entry { records, done });
    }
}

fn answer<T: Send + 'static>(reply: Reply<T>, outcome: Result<T, EngineError>) {
    if let Some(reply) = reply {
        reply.send(outcome);
    }
}
