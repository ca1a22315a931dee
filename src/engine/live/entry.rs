//! An aggregate as everyone but its actor sees it: the durable state, and the view beside it.
//!
//! The only writer is the journal, which applies each event once it is durable and before the reply to it is given; so a
//! reader never sees a change that could be lost, and always sees every change that was acknowledged (V1). The actor runs ahead of it, and
//! recovers from it. Readers hold its lock for a look-up or a copy, never over an await.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use kameo::actor::{ActorRef, Spawn};
use kameo::mailbox;
use kameo::supervision::RestartPolicy;
use tokio::sync::watch;

use super::actor::{Act, EntryDraft, Fail, Flush, LiveActor};
use super::aggregate::{Aggregate, Done};
use crate::domain::cause::Cause;
use crate::engine::core::Core;
use crate::engine::error::EngineError;
use crate::engine::supervisor::{RESTART_WINDOW, RESTARTS_MAX, from_send_error};

/// An aggregate's durable state, and its actor. One that is read from the archive has none, and never changes.
pub(in crate::engine) struct Live<A: Aggregate> {
    pub(in crate::engine) durable: RwLock<A>,
    durable_version: AtomicU64,
    /// The version that its followers were told last.
    news: watch::Sender<u64>,
    actor: OnceLock<ActorRef<LiveActor<A>>>,
    /// Whether it takes no changes, since it is being moved to the archive.
    closed: AtomicBool,
    pub(in crate::engine) view: A::View,
}

impl<A: Aggregate> Live<A> {
    /// Makes the entry of an aggregate whose whole state is durable; its followers are told `news` as the first.
    pub(in crate::engine) fn new(aggregate: A, view: A::View, news: u64) -> Self {
        Self {
            durable_version: AtomicU64::new(aggregate.version()),
            durable: RwLock::new(aggregate),
            news: watch::Sender::new(news),
            actor: OnceLock::new(),
            closed: AtomicBool::new(false),
            view,
        }
    }

    /// Makes the entry of one beside which nothing stands, and whose followers are told of each version.
    pub(in crate::engine) fn of(aggregate: A) -> Self
    where
        A: Aggregate<View = ()>,
    {
        let version = aggregate.version();
        Self::new(aggregate, (), version)
    }

    /// Starts the actor, where it doesn't run.
    pub(in crate::engine) async fn start(self: &Arc<Self>, core: &Arc<Core>) {
        if self.actor().is_some() {
            return;
        }
        // The supervisor keeps start arguments for as long as it lives, and the entry must be free to go to the archive.
        let (args, space) = ((Arc::downgrade(self), Arc::clone(core)), core.mailbox_len_max);
        let actor = LiveActor::supervise_with(&core.supervisor, move || args.clone())
            .restart_policy(RestartPolicy::Transient)
            .restart_limit(RESTARTS_MAX, RESTART_WINDOW)
            .spawn_with_mailbox(mailbox::bounded(space))
            .await;
        self.set_actor(actor);
    }

    /// Looks at the durable state. Don't keep the guard over an await: the journal waits for it.
    pub(in crate::engine) fn read(&self) -> RwLockReadGuard<'_, A> {
        self.durable.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the version of the durable state.
    pub(in crate::engine) fn durable_version(&self) -> u64 {
        self.durable_version.load(Ordering::Acquire)
    }

    /// Returns a receiver of the versions that followers are told.
    pub(in crate::engine) fn watch(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Returns how many follow it.
    pub(in crate::engine) fn followers(&self) -> usize {
        self.news.receiver_count()
    }

    /// Has everyone who follows it look again.
    pub(in crate::engine) fn wake_followers(&self) {
        self.news.send_modify(|_| ());
    }

    /// Waits until its durable state is so. Its followers must be told of each change.
    pub(in crate::engine) async fn until(&self, is_so: impl Fn(&A) -> bool) {
        let mut news = self.watch();
        while !is_so(&self.read()) {
            // The sender lives as long as this.
            let _ = news.changed().await;
        }
    }

    /// Asks the actor; the answer is durable when it comes. A full mailbox refuses at once; after `patience` the outcome is unknown.
    ///
    /// Not by kameo's `try_enqueue`, which has a future hold less: of a mailbox that is full or closed it makes a panic (0.22).
    pub(in crate::engine) async fn ask(
        &self,
        command: A::Command,
        cause: Cause,
        patience: Option<Duration>,
    ) -> Result<Done<A::Answer>, EngineError> {
        let actor = self.actor().ok_or(EngineError::NotReady)?;
        let asked = actor.ask(Act::new(command, cause));
        let answered = match patience {
            Some(patience) => asked.reply_timeout(patience).try_send().await,
            None => asked.try_send().await,
        };
        answered.map_err(from_send_error)
    }

    /// Asks the actor, and waits for however long it takes: for room in the mailbox as well.
    pub(in crate::engine) async fn insist(
        &self,
        command: A::Command,
        cause: Cause,
    ) -> Result<Done<A::Answer>, EngineError> {
        let actor = self.actor().ok_or(EngineError::NotReady)?;
        actor.ask(Act::new(command, cause)).send().await.map_err(from_send_error)
    }

    /// Has the actor apply everything due by now, and waits until all earlier commands are on their way to the journal.
    pub(in crate::engine) async fn flush(&self) -> Result<(), EngineError> {
        let Some(actor) = self.actor() else { return Ok(()) };
        actor.ask(Flush).send().await.map_err(|_| EngineError::NotReady)
    }

    /// Has the actor panic, as a bug would: for the tests of supervision.
    pub(in crate::engine) async fn fail(&self) {
        if let Some(actor) = self.actor() {
            drop(actor.tell(Fail).send().await);
        }
    }

    /// Stops the actor, for good.
    pub(in crate::engine) async fn stop(&self) {
        if let Some(actor) = self.actor() {
            let _ = actor.stop_gracefully().await;
        }
    }

    /// Tells whether it takes changes; while it doesn't, they are refused as not ready.
    pub(in crate::engine) fn set_closed(&self, closed: bool) {
        self.closed.store(closed, Ordering::Release);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Returns the actor, once it was started.
    pub(in crate::engine) fn actor(&self) -> Option<&ActorRef<LiveActor<A>>> {
        self.actor.get()
    }

    pub(super) fn set_actor(&self, actor: ActorRef<LiveActor<A>>) {
        // Two that start at once: the second is let go, and stops with its last reference.
        drop(self.actor.set(actor));
    }

    /// Returns how many messages wait for the actor: none where it doesn't run.
    pub(in crate::engine) fn mailbox_depth(&self) -> usize {
        let depth = |actor: &ActorRef<LiveActor<A>>| {
            let mailbox = actor.mailbox_sender();
            Some(mailbox.max_capacity()?.saturating_sub(mailbox.capacity()?))
        };
        self.actor().and_then(depth).unwrap_or_default()
    }

    /// Shows everyone the events that have just become durable, and starts their effects. Runs on the journal's writer, in order.
    pub(super) fn publish(&self, draft: &EntryDraft<A>, core: &Core) {
        let Some(version) = draft.last_version() else { return };
        assert_eq!(self.durable_version() + 1, draft.first_version(), "entries follow without a gap");

        debug_assert_eq!(
            self.read().version() + 1,
            draft.first_version(),
            "nobody else changes what is shown"
        );

        let news = A::show(self, draft.happened(), core);
        debug_assert_eq!(self.read().version(), version, "what is shown is what was decided");
        for happened in draft.happened() {
            A::follow(self, &happened.event, core);
        }

        // Now a repeated key is answered: its caller finds everything shown.
        let before = self.durable_version.swap(version, Ordering::Release);
        assert!(before < version, "what is durable only grows");
        if let Some(news) = news {
            // To wake nobody costs as much as to wake someone. Who begins to follow looks first, and finds it.
            self.news.send_if_modified(|told| {
                *told = news;
                self.followers() > 0
            });
        }
    }
}
