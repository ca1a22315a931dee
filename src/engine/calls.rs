//! The first calls of every user of an engine: open, act, close. They stand first so that the page of [`Engine`]
//! begins with it.

use super::catalogue::Change;
use super::supervisor::from_send_error;
use super::{
    CatalogueChange, Changed, Done, Engine, EngineConfig, EngineError, EngineOpenError, ScheduleEntry, start,
};
use crate::domain::cause::{By, Cause};
use crate::domain::keys::KeyUse;
use crate::domain::schedule::{Answer, Command};

impl Engine {
    /// Opens the engine on its data directory: recovers the durable state, and starts the actors.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the directory is another process's, or its content can't be trusted.
    pub async fn open(config: EngineConfig) -> Result<Self, EngineOpenError> {
        start::open(config).await
    }

    /// Asks a schedule; the answer is durable when it comes. Whatever is asked, nothing but a refusal comes of what can't be: what rests
    /// on other state (payments, prices, plans) can only be asked by the methods for it.
    ///
    /// # Errors
    /// A refusal changed nothing. `Overloaded`, `NotReady` and `JournalUnavailable` neither.
    /// After `OutcomeUnknown` it may have happened: the same key finds out.
    pub async fn act(
        &self,
        entry: &ScheduleEntry,
        command: Command,
        key: Option<KeyUse>,
    ) -> Result<Done<Answer>, EngineError> {
        let by = if command.is_a_users() { By::User } else { By::Engine };
        self.act_by(entry, command, Cause { by, key }).await
    }

    /// The same, with who asks: the journal keeps it.
    ///
    /// # Errors
    /// As [`Engine::act`].
    pub async fn act_by(
        &self,
        entry: &ScheduleEntry,
        command: Command,
        cause: Cause,
    ) -> Result<Done<Answer>, EngineError> {
        let (moves_sale, released) = (command.moves_sale(), command.released());
        let acted = self.directory.ask_schedule(entry, command.into(), cause).await?;

        // Its effects have begun by now, and go on without a caller.
        if moves_sale {
            self.follow(entry).await;
        }
        if let Some(released) = released {
            self.refunded(entry, released).await;
        }
        Ok(acted)
    }

    /// Changes the catalogue; durable when it returns.
    ///
    /// # Errors
    /// As [`Engine::act`].
    pub async fn change(
        &self,
        change: CatalogueChange,
        cause: impl Into<Cause>,
    ) -> Result<Changed, EngineError> {
        let cause = cause.into();
        let opened = match &change {
            CatalogueChange::OpenSchedule(id) => self.schedule(id),
            CatalogueChange::PutVenue(_)
            | CatalogueChange::PutConcert(_)
            | CatalogueChange::PutSchedule(..)
            | CatalogueChange::Import(_)
            | CatalogueChange::RemoveVenue(_)
            | CatalogueChange::RemoveConcert(_)
            | CatalogueChange::RemoveSchedule(_) => None,
        };
        let changed =
            self.catalogue.ask(Change { change, cause }).try_send().await.map_err(from_send_error)?;
        if let Some(entry) = opened {
            self.follow(&entry).await;
        }
        Ok(changed)
    }

    /// Stops: accepted commands are answered, a snapshot is taken, the directory is let go.
    ///
    /// # Errors
    /// When the journal had failed; the next start finds the durable state.
    pub async fn close(self) -> Result<(), EngineError> {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        self.directory.ledgers.drives.close();
        if let Err(error) = self.snapshot().await {
            tracing::warn!(%error, "no snapshot was taken at the end; the next start replays more");
        }
        let _ = self.catalogue.stop_gracefully().await;
        self.catalogue.wait_for_shutdown().await;
        let _ = self.directory.core.supervisor.stop_gracefully().await;
        self.directory.core.supervisor.wait_for_shutdown().await;
        self.directory.core.journal.clone().close().await.map(drop).map_err(EngineError::from)
    }

    /// Has the waiting room see what its schedule has become, before whoever changed it is told. It would
    /// see it a moment later anyway.
    async fn follow(&self, entry: &ScheduleEntry) {
        let room = entry.room().live();
        if room.actor().is_some() && room.flush().await.is_ok() {
            let _ = self.directory.core.journal.barrier().await;
        }
    }
}
