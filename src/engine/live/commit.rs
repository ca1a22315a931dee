//! Hands the events of a decision over to the journal, encoded, with the reply parked until they are durable.
//!
//! A reply that rests on nothing that could be lost is given at once; a refusal waits too while the state is
//! ahead of what is durable, since "taken" must stay true after a crash (V1).

use crate::engine::error::EngineError;
use crate::journal::{Entry, Journal, Records};

/// One entry of the journal, with the reply that rests on it.
pub(in crate::engine) struct Parked<T, P, R> {
    /// The encoded events: none, where nothing happened.
    pub(in crate::engine) records: Records,
    /// Whether the state that was decided on is ahead of the durable one.
    pub(in crate::engine) ahead: bool,
    /// Shows the events to everyone. Runs on the journal's writer, in order, once they are durable.
    pub(in crate::engine) publish: P,
    /// The outcome to reply, once all that it rests on is durable.
    pub(in crate::engine) outcome: Result<T, EngineError>,
    /// Gives the reply.
    pub(in crate::engine) reply: R,
}

impl<T, P, R> Parked<T, P, R>
where
    T: Send + 'static,
    P: FnOnce() + Send + 'static,
    R: FnOnce(Result<T, EngineError>) + Send + 'static,
{
    /// Makes the entry of it; where there is nothing to wait for, the reply is given at once.
    pub(in crate::engine) fn entry(self) -> Option<Entry> {
        let Self { records, ahead, publish, outcome, reply } = self;
        assert!(ahead || records.is_empty(), "events that aren't durable put their state ahead");

        let settled = matches!(outcome, Err(EngineError::InProgress | EngineError::JournalUnavailable));
        if records.is_empty() && (settled || !ahead) {
            reply(outcome);
            return None;
        }

        let done = Box::new(move |committed: Result<_, _>| match committed {
            // The reply comes last: its caller finds everything shown.
            Ok(_) => {
                publish();
                reply(outcome);
            }
            Err(error) => reply(Err(EngineError::from(error))),
        });
        Some(Entry { records, done })
    }
}

/// Appends an entry. Waits for room in the journal alone, never for the disk.
pub(in crate::engine) async fn append(entry: Entry, journal: &Journal) {
    match journal.reserve().await {
        Ok(permit) => permit.send(entry),
        Err(error) => (entry.done)(Err(error)),
    }
}
