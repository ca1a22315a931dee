//! What the lane asks of the servers, as requests of a session.

use std::sync::Arc;

use bytes::Bytes;

use super::super::lane::{Pen, Published};
use super::names::Names;
use super::session::{NO_STREAM, NoAnswer, Session};

/// See the module.
#[derive(Clone)]
pub(in crate::journal) struct SessionPen {
    pub(super) session: Arc<Session>,
    pub(super) names: Names,
    /// When the log's stream was made.
    pub(super) created: u64,
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

    async fn lost_of(&mut self, last: u64) -> Result<Option<String>, String> {
        let info = match self.session.info(&self.names.log, None).await {
            Ok(info) => info,
            Err(NoAnswer { code: Some(NO_STREAM), .. }) => return Ok(Some("its stream is gone".to_owned())),
            Err(error) => return Err(why(error)),
        };
        if info.made_at() != self.created {
            return Ok(Some(format!("its stream was made anew at {}", info.created)));
        }
        let end = info.state.last_seq;
        Ok((end < last)
            .then(|| format!("it ends at message {end}, and message {last} had been acknowledged")))
    }

    async fn marked(&mut self) -> Result<Option<(u64, Bytes)>, String> {
        self.session.last(&self.names.rest, &self.names.mark).await.map_err(why)
    }
}
