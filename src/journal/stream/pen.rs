//! What the lane asks of the servers, as requests of a session.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::super::lane::{End, LogState, Message, Pen, Published};
use super::names::Names;
use super::session::{Expected, NO_STREAM, NoAnswer, STREAM_NAME_IN_USE, Session};

/// See the module.
#[derive(Clone)]
pub(in crate::journal) struct SessionPen {
    pub(super) session: Arc<Session>,
    pub(super) names: Names,
    /// Tells this life from every other.
    pub(super) boot: u128,
    /// When the log's stream was made.
    pub(super) created: u64,
    /// How the stream of snapshots and marks is set up.
    pub(super) rest: Arc<Value>,
}

fn why(error: NoAnswer) -> String {
    error.what
}

impl Pen for SessionPen {
    fn subject(&self) -> String {
        self.names.frames(self.boot)
    }

    async fn publish(&mut self, end: &End, frames: &[Bytes]) -> Published {
        let last_of = (!end.subject.is_empty()).then_some(end.subject.as_str());
        let expected = Expected { in_stream: Some(end.sequence), last: end.sequence, last_of };
        self.session.publish(&self.subject(), expected, frames).await
    }

    async fn from(&mut self, sequence: u64) -> Result<Option<Message>, String> {
        let Names { log, lane, .. } = &self.names;
        self.session.first_from(log, lane, sequence).await.map_err(why)
    }

    async fn state(&mut self) -> Result<Option<LogState>, String> {
        // One that is cut off from the others may still take itself for the leader, and tells of the log as it was.
        self.session.leave_a_server_that_takes_nothing().await;
        let info = match self.session.info(&self.names.log, None).await {
            Ok(info) => info,
            Err(NoAnswer { code: Some(NO_STREAM), .. }) => return Ok(None),
            Err(error) => return Err(why(error)),
        };
        let made_anew = (info.made_at() != self.created).then_some(info.created);
        Ok(Some(LogState { made_anew, first: info.state.first_seq, last: info.state.last_seq }))
    }

    async fn mark(&mut self, last: u64, mark: Bytes) -> Published {
        self.session.publish(&self.names.mark(self.boot), last, &[mark]).await
    }

    async fn marked(&mut self) -> Result<u64, String> {
        let found = self.session.last(&self.names.rest, &self.names.mark(self.boot)).await.map_err(why)?;
        Ok(found.map_or(0, |found| found.sequence))
    }

    async fn has_rest(&mut self) -> Result<bool, String> {
        match self.session.info(&self.names.rest, None).await {
            Ok(_) => Ok(true),
            Err(NoAnswer { code: Some(NO_STREAM), .. }) => Ok(false),
            Err(error) => Err(why(error)),
        }
    }

    async fn make_rest(&mut self) -> Result<(), String> {
        let api = format!("STREAM.CREATE.{}", self.names.rest);
        match self.session.call::<Value>(&api, &self.rest).await {
            Ok(_) | Err(NoAnswer { code: Some(STREAM_NAME_IN_USE), .. }) => Ok(()),
            Err(error) => Err(why(error)),
        }
    }
}
