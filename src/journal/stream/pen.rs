//! What the lane asks of the servers, as requests of a session.

use std::sync::Arc;

use bytes::Bytes;

use super::super::lane::{Pen, Published};
use super::names::Names;
use super::session::{NoAnswer, Session};

/// See the module.
#[derive(Clone)]
pub(in crate::journal) struct SessionPen {
    pub(super) session: Arc<Session>,
    pub(super) names: Names,
}

fn why(error: NoAnswer) -> String {
    error.what
}

impl Pen for SessionPen {
    async fn publish(&mut self, last: u64, frames: &[Bytes]) -> Published {
        self.session.publish(&self.names.lane, last, frames).await
    }

    async fn behind(&mut self, sequence: u64) -> Result<Option<(u64, Bytes)>, String> {
        let Names { log, lane, .. } = &self.names;
        self.session.first_from(log, lane, sequence + 1).await.map_err(why)
    }

    async fn mark(&mut self, last: u64, mark: Bytes) -> Published {
        self.session.publish(&self.names.mark, last, &[mark]).await
    }

    async fn marked(&mut self) -> Result<Option<(u64, Bytes)>, String> {
        self.session.last(&self.names.rest, &self.names.mark).await.map_err(why)
    }
}
