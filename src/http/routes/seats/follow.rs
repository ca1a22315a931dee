//! The stream of a seat map: a snapshot, then every change.
//!
//! A stream costs one number for each client: its version. The next changes are read from those that the schedule
//! keeps, so a slow client delays nobody and takes no memory.
//!
//! Each version is sent, in order. The more clients follow, the less often each is written to: the changes meanwhile go
//! in one write. Ten thousand followers cost the same whether one seat changes in a second or a thousand.

use core::time::Duration;
use std::sync::Arc;

use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::{Delta, ScheduleEntry};
use crate::http::app::App;
use crate::http::json_writer::JsonWriter;
use crate::http::map_areas::write_changes;
use crate::http::seat_map::{Snapshot, id_of};
use crate::http::stream::{self, Follow, KEEP_ALIVE, STILL_HERE};

/// The most changes of one write to a client. The rest follows once it was taken.
const DELTAS_PER_WRITE: usize = 256;
/// The least and the longest time between two writes of changes to one client.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// The time that each follower adds: all of them together are written to 20,000 times per second.
const PAUSE_EACH: Duration = Duration::from_micros(50);

/// Follows the map of a schedule, from behind `version` if the client has one.
pub(super) fn follow(app: App, entry: Arc<ScheduleEntry>, version: Option<u64>) -> Response {
    let follower = Follower {
        versions: entry.watch_seats(),
        version,
        greeted: false,
        telling: None,
        quiet_until: Instant::now(),
        app,
        entry,
    };
    stream::follow(follower)
}

/// Follows the map of an archived schedule, which no longer changes.
pub(super) fn stand_still(app: &App, entry: &ScheduleEntry) -> Response {
    let snapshot = Snapshot::new(app.seat_bodies.get(&app.engine, entry));
    let silence = stream::chunks(Silence(app.parts.shutdown.clone()));
    stream::of_events(futures_util::stream::iter(snapshot).chain(silence))
}

/// A client that only gets signs of life.
struct Silence(CancellationToken);

impl Follow for Silence {
    async fn next(&mut self) -> Option<Bytes> {
        tokio::select! {
            () = tokio::time::sleep(KEEP_ALIVE) => Some(STILL_HERE),
            () = self.0.cancelled() => None,
        }
    }
}

/// Returns the time between two writes to a client, by the number of followers.
fn pause(followers: usize) -> Duration {
    let followers = u32::try_from(followers).unwrap_or(u32::MAX);
    PAUSE_EACH.saturating_mul(followers).clamp(PAUSE_MIN, PAUSE_MAX)
}

/// One client that follows a map.
struct Follower {
    app: App,
    entry: Arc<ScheduleEntry>,
    versions: watch::Receiver<u64>,
    /// The version that the client has, or will have once it was told all of `telling`.
    version: Option<u64>,
    greeted: bool,
    /// The snapshot that the client is being told.
    telling: Option<Snapshot>,
    /// Until when it isn't told of changes.
    quiet_until: Instant,
}

impl Follow for Follower {
    async fn next(&mut self) -> Option<Bytes> {
        let shutdown = self.app.parts.shutdown.clone();
        loop {
            if shutdown.is_cancelled() || self.entry.is_gone() {
                return None;
            }
            if let Some(piece) = self.telling.as_mut().and_then(Iterator::next) {
                return Some(piece);
            }
            self.telling = None;
            let newest = *self.versions.borrow_and_update();
            let is_behind = self.version.is_some_and(|version| version < newest);
            if is_behind && Instant::now() < self.quiet_until {
                tokio::select! {
                    () = tokio::time::sleep_until(self.quiet_until) => continue,
                    () = shutdown.cancelled() => return None,
                }
            }
            let deltas = self.version.and_then(|version| self.entry.deltas_after(version, DELTAS_PER_WRITE));
            let Some(deltas) = deltas else {
                self.begin_anew();
                continue;
            };
            if let Some(chunk) = self.deltas(&deltas) {
                return Some(chunk);
            }
            if !self.greeted {
                // A resumed stream with nothing new says so, so that the client knows it is connected.
                self.greeted = true;
                return Some(Bytes::from_static(b": resumed\n\n"));
            }
            tokio::select! {
                changed = self.versions.changed() => if changed.is_err() { return None },
                () = tokio::time::sleep(KEEP_ALIVE) => return Some(STILL_HERE),
                () = shutdown.cancelled() => return None,
            }
        }
    }
}

impl Follower {
    fn begin_anew(&mut self) {
        let body = self.app.seat_bodies.get(&self.app.engine, &self.entry);
        self.version = Some(body.version);
        self.greeted = true;
        self.telling = Some(Snapshot::new(body));
    }

    fn deltas(&mut self, deltas: &[Arc<Delta>]) -> Option<Bytes> {
        self.version = Some(deltas.last()?.mark.version);
        self.greeted = true;
        self.quiet_until = Instant::now() + pause(self.entry.followers());
        let encode = |delta: &Arc<Delta>| delta.frame(|delta| write_delta(&self.entry, delta));
        if let [delta] = deltas {
            return Some(encode(delta));
        }
        let mut chunk = BytesMut::new();
        for delta in deltas {
            chunk.extend_from_slice(&encode(delta));
        }
        Some(chunk.freeze())
    }
}

fn write_delta(entry: &ScheduleEntry, delta: &Delta) -> Bytes {
    let mut json = JsonWriter::with_capacity(128);
    json.raw("id: ").raw(&id_of(entry, delta.mark)).raw("\nevent: delta\ndata: {\"version\":");
    json.display(delta.mark.version).raw(",\"seats\":{");
    for (index, (seat, status)) in delta.seats.iter().enumerate() {
        json.raw(if index == 0 { "" } else { "," });
        json.string(entry.layout().seat_id(*seat)).raw(":\"").raw(status.as_str()).raw("\"");
    }
    json.raw("}");
    write_changes(&mut json, entry.layout(), &delta.areas);
    json.raw("}\n\n");
    json.into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_follow_the_longer_is_the_pause_and_never_longer_than_a_second() {
        assert_eq!([0, 1, 2_000].map(pause), [PAUSE_MIN; 3]);
        assert_eq!(pause(10_000), Duration::from_millis(500));
        assert_eq!([20_000, usize::MAX].map(pause), [PAUSE_MAX; 2]);
    }
}
