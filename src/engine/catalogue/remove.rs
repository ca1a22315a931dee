//! How a schedule is removed: its stream ends, and the catalogue unlists it, in one entry.

use std::sync::Arc;

use kameo::message::{Context, Message};
use kameo::reply::DelegatedReply;

use crate::domain::catalogue::CatalogueEvent;
use crate::domain::cause::Cause;
use crate::domain::schedule::{AnyCommand, Schedule};
use crate::engine::core::CatalogueHappened;
use crate::engine::directory::Directory;
use crate::engine::error::EngineError;
use crate::engine::live::{EntryDraft, LiveActor};
use crate::journal::EntryTooLarge;
use crate::record;

/// Removes the schedule: its stream ends, and the catalogue unlists it, in one entry.
pub(super) struct Remove {
    /// Where the schedule is listed, and the catalogue stands still: its actor waits for this one.
    pub(super) directory: Arc<Directory>,
    /// Who asks, and with which key. The key is kept by the catalogue, which outlives the schedule.
    pub(super) cause: Cause,
}

impl Message<Remove> for LiveActor<Schedule> {
    type Reply = DelegatedReply<Result<(), EngineError>>;

    async fn handle(&mut self, remove: Remove, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let (delegated, reply) = ctx.reply_sender();
        let Remove { directory, cause } = remove;
        let (now, mut draft) = (self.now(), EntryDraft::default());
        self.bring(now, &mut draft).await;

        let id = self.state().id().clone();
        let decided = self.state().decide(&AnyCommand::Delete, now).map_err(EngineError::from);
        let mut unlisted = None;
        let outcome = decided.map(|event| {
            if let Some(event) = event {
                self.happen(event, now, Cause { by: cause.by.clone(), key: None }, &mut draft);
                unlisted = Some(CatalogueHappened {
                    event: CatalogueEvent::ScheduleUnlisted(id.clone()),
                    at: now,
                    cause,
                });
            }
        });

        let mut records = self.encode(&draft);
        if let Some(CatalogueHappened { event, at, cause }) = &unlisted {
            let encoded = records.push_with(|bytes| {
                record::encode_catalogue_event(
                    bytes,
                    directory.core.catalogue().version() + 1,
                    *at,
                    cause.clone(),
                    event,
                );
                Ok::<(), EntryTooLarge>(())
            });
            encoded.expect("an id more fits in an entry");
        }
        let also = move || {
            if let Some(unlisted) = unlisted {
                directory.remove(&id);
                directory.core.publish_catalogue(&[unlisted]);
            }
        };
        self.park(records, draft, also, reply, outcome).await;
        delegated
    }
}
