//! The part of an aggregate that is its own, so that [`super::actor`] can keep it.

use std::sync::PoisonError;

use super::entry::Live;
use crate::domain::cause::Cause;
use crate::domain::keys::{KeyFound, KeyUse};
use crate::domain::time::Timestamp;
use crate::engine::core::Core;
use crate::engine::error::EngineError;
use crate::engine::seal::Seal;
use crate::record::FactRef;

/// An aggregate that lives: its rules are the domain's, its records `record`'s, and its effects are said here.
///
/// An aggregate that time never changes, and nothing outside wakes, leaves the second half as it is.
pub(in crate::engine) trait Aggregate: Clone + Send + Sync + Sized + 'static {
    /// A command to it.
    type Command: Send + Sync + 'static;
    /// A fact about it.
    type Event: Send + Sync + 'static;
    /// The answer to a command.
    type Answer: Send + 'static;
    /// The data that everyone sees beside the durable state; the journal changes it together with that.
    type View: Send + Sync + 'static;
    /// The data that the actor keeps beside its state.
    type Own: Send + Sync + 'static;

    /// The most events that time alone brings in one entry, so that a great expiry fits in.
    const DUE_BATCH_MAX: usize = 256;

    /// Says which one it is, for the log.
    fn title(&self) -> String;
    fn version(&self) -> u64;
    fn last_instant(&self) -> Timestamp;
    fn name(command: &Self::Command) -> &'static str;
    /// Looks a key up; the answer as it is given now.
    fn find(&self, key: KeyUse, now: Timestamp) -> Option<KeyLookup<Self::Answer>>;
    fn decide(
        &self,
        command: &Self::Command,
        now: Timestamp,
        core: &Core,
    ) -> Result<Option<Self::Event>, EngineError>;
    fn apply(&mut self, event: &Self::Event, at: Timestamp, key: Option<KeyUse>);
    /// Makes the event that keeps the key of a command that changes nothing.
    fn kept(&self, command: &Self::Command) -> Self::Event;
    /// Returns the answer to a command: right after its event, or where it changed nothing.
    fn answer(&self, command: &Self::Command, event: &Self::Event) -> Self::Answer;
    /// Returns an event of it as a fact, to be written.
    fn fact<'a>(&self, event: &'a Self::Event) -> FactRef<'a>;
    /// Makes the actor's own data; its state is the durable one at this moment.
    fn own(&self, live: &Live<Self>) -> Self::Own;

    /// Encrypts the number in the id of a thing that an event makes, if it makes one.
    fn seal(&self, _: &mut Self::Event, _: &Seal) {}

    /// Tells whether a command that changes nothing now never will again: no key has to be remembered for it.
    fn stays_so(_: &Self::Command) -> bool {
        false
    }

    /// Tells whether a command ends the stream of one that takes no changes any more.
    fn ends(_: &Self::Command) -> bool {
        false
    }

    /// Refuses all commands, where nothing can be asked of it any more.
    fn check_open(&self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Returns the command to decide right behind another's event, in the same entry. Asked before that event is applied.
    fn then(&self, _: &Self::Command) -> Option<Self::Command> {
        None
    }

    /// Returns the next event that time, or something that it watches, has brought by now.
    fn due(&self, _now: Timestamp, _: &Live<Self>, _: &Core) -> Option<Self::Event> {
        None
    }

    /// Returns when something is due next.
    fn next_due(&self, _now: Timestamp, _: &Live<Self>) -> Option<Timestamp> {
        None
    }

    /// Waits until something outside moves that may make something due.
    fn woken(_: &mut Self::Own) -> impl Future<Output = ()> + Send {
        core::future::pending()
    }

    /// Does the work that can wait until nothing else is to do; tells whether some of it is left, and has to be tried again.
    fn rest(&mut self, _: &mut Self::Own, _: &Live<Self>) -> bool {
        false
    }

    /// Applies events that have just become durable to the published state, and returns the version that followers are told, if any.
    /// Runs on the journal's writer, in order.
    fn show(live: &Live<Self>, happened: &[Happened<Self>], _: &Core) -> Option<u64> {
        let mut durable = live.durable.write().unwrap_or_else(PoisonError::into_inner);
        for Happened { event, at, cause } in happened {
            durable.apply(event, *at, cause.key);
        }
        Some(durable.version())
    }

    /// Starts the effect of an event that has just become durable (E1). Runs on the journal's writer, once the event is shown
    /// and before its reply is given: it may have something done elsewhere ([`Core::have`]), and waits for nothing.
    fn follow(_: &Live<Self>, _: &Self::Event, _: &Core) {}
}

/// An event with its instant, and who asked with which key.
pub(in crate::engine) struct Happened<A: Aggregate> {
    pub(in crate::engine) event: A::Event,
    pub(in crate::engine) at: Timestamp,
    pub(in crate::engine) cause: Cause,
}

/// The result of looking a key up.
pub(in crate::engine) enum KeyLookup<A> {
    /// The key's effect, with the stream's version at it, and the answer.
    Answered(u64, A),
    /// It had an effect with another body.
    Reused,
}

impl<A> KeyLookup<A> {
    pub(in crate::engine) fn of<K>(found: &KeyFound<'_, K>, answer: impl FnOnce(&K) -> A) -> Self {
        match found {
            KeyFound::Answered { answer: kept, version } => Self::Answered(*version, answer(kept)),
            KeyFound::Reused => Self::Reused,
        }
    }
}

/// The answer to a command, and whether the same key had its effect before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done<A> {
    /// The thing as the change left it.
    pub answer: A,
    /// Whether this is the answer of an earlier request with the same key.
    pub replayed: bool,
}
