//! The journal as server-sent `CloudEvents`: durable records only, in order, none left out.
//!
//! A client costs its position and one chunk: the next chunk is read, off the async threads, once the client
//! took the last. Nothing grows for a slow client.

use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::event_names::EventNames;
use super::past::unreadable;
use crate::engine::{Changes, HistoryError, Moment};
use crate::http::app::App;
use crate::http::auth::{Caller, FollowersToken};
use crate::http::documents::event;
use crate::http::documents::kinds::EventDocument;
use crate::http::problem::{Code, Problem};
use crate::http::stream::{self, Follow, KEEP_ALIVE, LAST_EVENT_ID, STILL_HERE};
use crate::journal::Position;

/// Reads the position that a client was at when its stream broke.
pub(super) fn last_event_id(headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let position = value.to_str().ok().and_then(|text| text.parse().ok()).map(Position::new);
    let wrong =
        || Problem::new(Code::MalformedRequest, "Last-Event-ID isn't a position that this feed gave.");
    position.map(Some).ok_or_else(wrong)
}

/// Answers with all events behind a position, and those that follow.
///
/// # Errors
/// If the first events can't be read. A client that comes again after a broken stream learns the reason here.
pub(super) async fn follow(
    app: &App,
    caller: Caller,
    token: FollowersToken,
    after: Position,
    request_id: &str,
) -> Result<Response, HistoryError> {
    let gone = CancellationToken::new();
    let mut feed = Feed {
        app: app.clone(),
        caller,
        token,
        request_id: request_id.to_owned(),
        source: format!("/logs/{:032x}", app.engine.journal().log_id()),
        changes: app.engine.changes(after),
        first: None,
        writing: None,
        event_names: Some(EventNames::new(app.engine.clone(), gone.clone())),
        greeted: false,
        _gone: gone.drop_guard(),
        _subscriber: Subscriber::new(),
    };
    if app.engine.journal().durable() > after {
        feed.first = feed.read().await?;
    }

    Ok(stream::follow(feed))
}

/// Counts a client for as long as it follows.
struct Subscriber(metrics::Gauge);

impl Subscriber {
    fn new() -> Self {
        let gauge = metrics::gauge!("onsale_event_subscribers", "stream" => "journal");
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// A chunk of events, and the names that were found for it.
type Written = (EventNames, Result<Vec<u8>, HistoryError>);

/// One client that follows the journal.
struct Feed {
    app: App,
    caller: Caller,
    token: FollowersToken,
    request_id: String,
    source: String,
    changes: Changes,
    /// The chunk that was made before the answer began.
    first: Option<Bytes>,
    /// The chunk that is being written.
    writing: Option<JoinHandle<Written>>,
    /// Away while a chunk is written.
    event_names: Option<EventNames>,
    greeted: bool,
    /// Ends a reading of the journal for names that nobody waits for.
    _gone: DropGuard,
    _subscriber: Subscriber,
}

impl Follow for Feed {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.may_go_on() {
                return None;
            }
            if let Some(chunk) = self.first.take() {
                return Some(chunk);
            }

            if let Some(writing) = &mut self.writing {
                tokio::select! {
                    written = writing => {
                        let chunk = self.written(written);
                        return self.told(chunk);
                    }
                    () = tokio::time::sleep(KEEP_ALIVE) => return Some(STILL_HERE),
                    () = self.app.token_over(&self.caller) => continue,
                    () = self.app.parts.shutdown.cancelled() => return None,
                }
            }

            let has_all = self.app.engine.journal().durable() <= self.changes.position();
            if has_all && !self.greeted {
                // A client that has everything learns that it is connected.
                self.greeted = true;
                return Some(Bytes::from_static(b": connected\n\n"));
            }
            tokio::select! {
                more = self.changes.ready() => {
                    if !more {
                        return None;
                    }
                    match self.begin().await {
                        Ok(true) => {}
                        Ok(false) => return None,
                        Err(error) => return self.told(Err(error)),
                    }
                }
                () = tokio::time::sleep(KEEP_ALIVE) => return Some(STILL_HERE),
                () = self.app.token_over(&self.caller) => {}
                () = self.app.parts.shutdown.cancelled() => return None,
            }
        }
    }
}

impl Feed {
    /// Says whether the engine runs on, and the reader may be told more.
    fn may_go_on(&self) -> bool {
        !self.app.parts.shutdown.is_cancelled() && self.app.may_follow(&self.token)
    }

    /// Reads and writes the next chunk; nothing where the feed is over.
    async fn read(&mut self) -> Result<Option<Bytes>, HistoryError> {
        if !self.begin().await? {
            return Ok(None);
        }
        let Some(writing) = &mut self.writing else { return Ok(None) };
        let written = writing.await;
        self.written(written)
    }

    /// Reads the next events and begins to write them; says no where the feed is over.
    async fn begin(&mut self) -> Result<bool, HistoryError> {
        let Some(moments) = self.changes.next().await? else { return Ok(false) };

        // What is durable is shown a moment later. Behind a barrier it is: so a reader's own suspension, if it is among what was
        // read, is known. Where the journal has failed, nothing more is on its way.
        let _ = self.app.engine.journal().barrier().await;
        if !self.may_go_on() {
            return Ok(false);
        }

        let Some(mut event_names) = self.event_names.take() else { return Ok(false) };
        let source = self.source.clone();
        // Names may be read from the journal and the archive, which may take longer than a reader waits for a sign of life.
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let written = write_all(&mut event_names, &source, &moments);
            (event_names, written)
        }));
        Ok(true)
    }

    /// Takes the chunk that was written.
    fn written(&mut self, written: Result<Written, JoinError>) -> Result<Option<Bytes>, HistoryError> {
        self.writing = None;
        let Ok((event_names, written)) = written else { return Ok(None) };
        self.event_names = Some(event_names);
        self.greeted = true;
        written.map(|chunk| Some(chunk.into()))
    }

    /// Returns the chunk to send; an error ends the stream, and its reason goes to the log.
    fn told(&self, chunk: Result<Option<Bytes>, HistoryError>) -> Option<Bytes> {
        chunk.unwrap_or_else(|error| {
            let (after, problem) = (self.changes.position().get(), unreadable(&error, &self.request_id));
            tracing::warn!(
                after,
                request_id = self.request_id,
                why = problem.detail(),
                "the journal's feed ends"
            );
            None
        })
    }
}

fn write_all(
    event_names: &mut EventNames,
    source: &str,
    moments: &[Moment],
) -> Result<Vec<u8>, HistoryError> {
    let mut bytes = Vec::new();
    for moment in moments {
        write(&mut bytes, event_names, source, moment)?;
    }
    Ok(bytes)
}

/// A `CloudEvent`, as <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>
/// has it; `position` is an extension.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    position: u64,
    data: &'a Map<String, Value>,
}

fn write(
    bytes: &mut Vec<u8>,
    event_names: &mut EventNames,
    source: &str,
    Moment { position, record }: &Moment,
) -> Result<(), HistoryError> {
    let EventDocument { kind, subject, mut data } = event::of_fact(&record.fact, event_names)?;
    event::add_by(&mut data, &record.by);
    let event = CloudEvent {
        specversion: "1.0",
        id: position.to_string(),
        source,
        kind: kind.name,
        subject: &subject,
        time: record.at.to_string(),
        datacontenttype: "application/json",
        position: position.get(),
        data: &data,
    };

    bytes.extend_from_slice(format!("id: {position}\nevent: {}\ndata: ", kind.name).as_bytes());
    // JSON without line breaks: serde escapes those in texts.
    serde_json::to_writer(&mut *bytes, &event).expect("writing to memory doesn't fail");
    bytes.extend_from_slice(b"\n\n");
    Ok(())
}
