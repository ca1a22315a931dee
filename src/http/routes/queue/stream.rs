//! A place, followed: each client looks its own rank up, at most once a second.

use core::time::Duration;
use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::documents::{EndDocument, PlaceParts, PlaceState};
use crate::domain::waiting_room::{Gate, PlaceStatus};
use crate::engine::{Pass, ScheduleEntry};
use crate::http::app::App;
use crate::http::auth::{Caller, FollowersToken};
use crate::http::stream::{self, Follow, KEEP_ALIVE, STILL_HERE};

/// A stream tells a position at most so often.
const POSITION_EVERY: Duration = Duration::from_secs(1);

/// Answers with what becomes of a place.
pub(super) fn follow(
    app: App,
    entry: Arc<ScheduleEntry>,
    caller: Caller,
    token: FollowersToken,
    pass: Pass,
) -> Response {
    let follower = Follower {
        versions: entry.room().watch(),
        app,
        entry,
        caller,
        token,
        pass,
        told: LastSent::Nothing,
        quiet_until: Instant::now(),
    };
    stream::follow(follower)
}

/// The last event that a stream has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastSent {
    Nothing,
    /// The position, and whether it is sold out.
    Waiting(Option<u32>, bool),
    Active,
    Ended,
}

/// One client that follows its place.
struct Follower {
    app: App,
    entry: Arc<ScheduleEntry>,
    caller: Caller,
    token: FollowersToken,
    pass: Pass,
    versions: watch::Receiver<u64>,
    told: LastSent,
    /// Until when nothing is looked up again.
    quiet_until: Instant,
}

impl Follow for Follower {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.told == LastSent::Ended {
                return None;
            }
            let shutdown = self.app.parts.shutdown.clone();
            tokio::select! {
                () = tokio::time::sleep_until(self.quiet_until) => {}
                () = shutdown.cancelled() => return None,
            }

            // Asked right before anything is told: a suspension may have come while it waited.
            if shutdown.is_cancelled() || !self.app.may_follow(&self.token) {
                return None;
            }
            self.versions.borrow_and_update();
            self.quiet_until = Instant::now() + POSITION_EVERY;
            if let Some(chunk) = self.tell() {
                return Some(chunk);
            }
            let keep_alive = self.keep_alive();
            tokio::select! {
                changed = self.versions.changed() => if changed.is_err() { return None },
                () = tokio::time::sleep(keep_alive) => return Some(STILL_HERE),
                () = self.app.token_over(&self.caller) => {}
                () = shutdown.cancelled() => return None,
            }
        }
    }
}

impl Follower {
    /// Returns when the stream is looked at again, though nothing has changed: in time to be a sign of life.
    fn keep_alive(&self) -> Duration {
        let room = self.entry.room().read();
        let idle = room.settings().and_then(|settings| settings.policy.idle);
        idle.map_or(KEEP_ALIVE, |idle| KEEP_ALIVE.min(Duration::from_millis(idle.as_millis() / 2)))
    }

    /// Says what is new.
    fn tell(&mut self) -> Option<Bytes> {
        let engine = &self.app.engine;
        let now = engine.now();
        let mut stand = PlaceState::now(&self.entry, self.pass, now);
        if self.entry.is_gone() {
            stand.status = PlaceStatus::Expired;
        }

        let told = match stand.status {
            PlaceStatus::Waiting => {
                LastSent::Waiting(stand.position, self.entry.room().read().gate() == Gate::SoldOut)
            }
            PlaceStatus::Active => LastSent::Active,
            PlaceStatus::Expired | PlaceStatus::Done => LastSent::Ended,
        };

        if told == LastSent::Active {
            engine.show_life(&self.entry, self.pass.ticket);
        }
        if told == self.told {
            return None;
        }

        let shown = PlaceParts { engine, entry: &self.entry, user: &self.caller.user_id, now };
        let (name, data) = match told {
            LastSent::Waiting(..) | LastSent::Nothing => {
                ("position", written(&shown.waiting(stand.position)))
            }
            LastSent::Active => ("active", written(&shown.document(stand, true))),
            LastSent::Ended => ("ended", written(&EndDocument { status: stand.status.into() })),
        };
        let first = self.told == LastSent::Nothing;
        self.told = told;
        metrics::counter!("onsale_queue_stream_events_total", "event" => name).increment(1);

        let event = format!("event: {name}\ndata: {data}\n\n");
        if !first {
            return Some(event.into());
        }

        // Those who come again after a restart are spread over some seconds.
        let wait = 1_000 + self.pass.ticket.0.wrapping_mul(2_654_435_769) % 4_000;
        Some(format!("retry: {wait}\n{event}").into())
    }
}

/// Writes what an event of a stream says, on one line.
fn written(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("an event's type has text keys and total serialisers")
}
