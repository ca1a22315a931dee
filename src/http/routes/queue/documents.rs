//! The documents of a place and of a waiting room.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::domain::ids::GradeName;
use crate::domain::time::Timestamp;
use crate::domain::waiting_room::{Gate, Overview, Place, PlaceStatus, Ticket};
use crate::engine::{Engine, Pass, ScheduleEntry};
use crate::http::documents::{At, GateWord, PlaceWord};
use crate::http::json::Json;

/// The bounds of the time after which a waiting client is asked to look again.
const POLL_SECONDS_MIN: u64 = 2;
const POLL_SECONDS_MAX: u64 = 30;

/// A place in a waiting room.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QueuePlace)]
pub(super) struct PlaceDocument<'a> {
    /// The pass. Send it in the header `Queue-Token`, beside the bearer token of the same user.
    pub(super) token: String,
    pub(super) schedule_id: &'a str,
    pub(super) status: PlaceWord,
    /// The place in the line: 1 is admitted next. It never grows. Null before a draw, and once admitted.
    #[schema(required, minimum = 1)]
    pub(super) position: Option<u32>,
    /// How many people are ahead; null before a draw, and once admitted.
    #[schema(required)]
    pub(super) people_ahead: Option<u32>,
    /// The expected wait, from the measured rate of admission; null while that isn't known.
    #[schema(required)]
    pub(super) estimated_wait_seconds: Option<u64>,
    pub(super) issued_at: At,
    /// When the place was admitted; null before, and once it has ended.
    #[schema(required)]
    pub(super) activated_at: Option<At>,
    /// When the place ends by time; null once it has ended.
    #[schema(required)]
    pub(super) expires_at: Option<At>,
    /// Whether no seat is free or held any more. An answer to a request with an `Idempotency-Key` has neither this nor
    /// `seatsLeft`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) sold_out: Option<bool>,
    /// How many seats of each grade can be held now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) seats_left: Option<SeatsLeft<'a>>,
}

/// An event of a waiting place's stream.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QueuePosition)]
pub(super) struct PositionDocument<'a> {
    /// Always `waiting`.
    pub(super) status: PlaceWord,
    /// The place in the line: 1 is admitted next. It never grows. Null before a draw.
    #[schema(required, minimum = 1)]
    pub(super) position: Option<u32>,
    /// How many people are ahead; null before a draw.
    #[schema(required)]
    pub(super) people_ahead: Option<u32>,
    /// The expected wait, from the measured rate of admission; null while that isn't known.
    #[schema(required)]
    pub(super) estimated_wait_seconds: Option<u64>,
    /// Whether no seat is free or held any more.
    pub(super) sold_out: bool,
    pub(super) seats_left: SeatsLeft<'a>,
}

/// The last event of a place's stream.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueueEnd)]
pub(super) struct EndDocument {
    pub(super) status: PlaceWord,
}

/// How many seats of each grade can be held now.
#[derive(Debug)]
pub(super) struct SeatsLeft<'a> {
    pub(super) grades: &'a [GradeName],
    pub(super) free: Vec<u32>,
}

impl SeatsLeft<'_> {
    /// Counts them; tells also whether nothing is left to wait for.
    pub(super) fn of(entry: &ScheduleEntry) -> (bool, SeatsLeft<'_>) {
        let (free, gate) = {
            let schedule = entry.read();
            (schedule.free_by_grade(), Gate::of(schedule.sale_status(), schedule.sellable()))
        };
        (gate == Gate::SoldOut, SeatsLeft { grades: entry.layout().grades(), free })
    }
}

impl Serialize for SeatsLeft<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.grades.iter().map(GradeName::as_str).zip(&self.free))
    }
}

impl utoipa::PartialSchema for SeatsLeft<'_> {
    fn schema() -> RefOr<Schema> {
        BTreeMap::<String, u32>::schema()
    }
}

impl ToSchema for SeatsLeft<'_> {}

/// A waiting room.
#[expect(clippy::option_option, reason = "null says that there is none, and an absent field nothing")]
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WaitingRoom)]
pub(super) struct RoomDocument<'a> {
    pub(super) schedule_id: &'a str,
    pub(super) waiting: u32,
    pub(super) active: u32,
    pub(super) max_active: u32,
    /// How many users may be admitted per minute; null for no limit.
    #[schema(required)]
    pub(super) admit_per_minute: Option<u32>,
    pub(super) paused: bool,
    pub(super) admitted_total: u64,
    /// How long a newcomer would wait, from the measured rate of admission; null while that isn't known.
    #[schema(required)]
    pub(super) estimated_wait_seconds: Option<u64>,
    pub(super) gate: GateWord,
    /// Whether no seat is free or held any more. An answer to a request with an `Idempotency-Key` has neither this nor
    /// `seatsLeft`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) sold_out: Option<bool>,
    /// How many seats of each grade can be held now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) seats_left: Option<SeatsLeft<'a>>,
    /// When the first people are admitted, if the policy or the sale says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<At>)]
    pub(super) opens_at: Option<Option<At>>,
    /// The draw, if the room's order is `shuffle`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DrawDocument>)]
    pub(super) draw: Option<Option<DrawDocument>>,
}

/// A draw. The hash of its seed is published before it, the seed after it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Draw)]
pub(super) struct DrawDocument {
    /// SHA-256 of the seed, in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub(super) seed_sha256: String,
    /// The seed, after the draw.
    #[schema(required)]
    pub(super) seed: Option<String>,
    /// How many people were drawn.
    #[schema(required)]
    pub(super) drawn: Option<u32>,
}

/// The state of a place, which may have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlaceState {
    pub(super) ticket: Ticket,
    pub(super) status: PlaceStatus,
    pub(super) position: Option<u32>,
    pub(super) issued_at: Timestamp,
    pub(super) activated_at: Option<Timestamp>,
    pub(super) expires_at: Option<Timestamp>,
}

impl PlaceState {
    pub(super) fn of(place: Place) -> Self {
        let live = matches!(place.status, PlaceStatus::Waiting | PlaceStatus::Active);
        Self {
            ticket: place.ticket,
            status: place.status,
            position: place.position,
            issued_at: place.issued_at,
            activated_at: place.activated_at,
            expires_at: Some(place.expires_at).filter(|_| live),
        }
    }

    pub(super) fn now(entry: &ScheduleEntry, pass: Pass, now: Timestamp) -> Self {
        let room = entry.room().read();
        let ended = || Self {
            ticket: pass.ticket,
            status: room.ending(pass.ticket),
            position: None,
            issued_at: pass.issued_at,
            activated_at: None,
            expires_at: None,
        };
        // After a backup was restored the ticket may be another's, who came later.
        let place = room.place(pass.ticket, now).filter(|place| place.issued_at == pass.issued_at);
        let Some(mut place) = place else { return ended() };
        // The sign of life that keeps it may be yet to be written.
        if place.status == PlaceStatus::Expired && entry.room().admits(pass, now) {
            place.status = PlaceStatus::Active;
        }
        Self::of(place)
    }
}

/// The parts of a place's document.
pub(super) struct PlaceParts<'a> {
    pub(super) engine: &'a Engine,
    pub(super) entry: &'a ScheduleEntry,
    pub(super) user: &'a str,
    pub(super) now: Timestamp,
}

impl PlaceParts<'_> {
    pub(super) fn answer(&self, status: StatusCode, stand: PlaceState, live: bool) -> Response {
        let mut response = Json(status, self.document(stand, live)).into_response();
        let headers = response.headers_mut();
        let vary = HeaderValue::from_static("authorization, queue-token");
        headers.insert(header::VARY, vary);
        let seconds = self.poll_seconds(stand);
        let caching = match seconds {
            Some(seconds) => format!("private, max-age={seconds}"),
            None => "no-store".to_owned(),
        };
        headers.insert(header::CACHE_CONTROL, HeaderValue::try_from(caching).expect("plain characters"));
        if let Some(seconds) = seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// Says when it is worth looking again: the sooner, the nearer the turn, and spread so that those who came together
    /// don't come again together.
    fn poll_seconds(&self, stand: PlaceState) -> Option<u64> {
        if stand.status != PlaceStatus::Waiting {
            return None;
        }
        let room = self.entry.room();
        let wait = stand.position.and_then(|position| room.estimated_wait_seconds(position, self.now));
        let near = stand.position.is_some_and(|position| position <= room.read().overview().active_max);
        let claim =
            room.read().settings().map_or(u64::MAX, |settings| u64::from(settings.policy.claim.get()));
        let base = match wait {
            Some(wait) => (wait / 10).clamp(POLL_SECONDS_MIN, POLL_SECONDS_MAX),
            None if near => POLL_SECONDS_MIN,
            None => POLL_SECONDS_MAX / 3,
        };
        // Whoever is admitted meanwhile shows up in time.
        let base = base.min((claim / 2).max(1));
        // Half the time, and up to as much again by a number that is the ticket's own (Knuth's multiplicative hash).
        let own = u64::from(stand.ticket.0.wrapping_mul(2_654_435_769) >> 16);
        Some((base / 2).max(1) + own % base)
    }

    pub(super) fn document(&self, stand: PlaceState, live: bool) -> PlaceDocument<'_> {
        let pass = Pass { ticket: stand.ticket, issued_at: stand.issued_at };
        let left = live.then(|| SeatsLeft::of(self.entry));
        let (sold_out, seats_left) = left.unzip();
        PlaceDocument {
            token: self.engine.sign_pass(self.entry, self.user, pass),
            schedule_id: self.entry.id(),
            status: stand.status.into(),
            position: stand.position,
            people_ahead: stand.position.map(|position| position - 1),
            estimated_wait_seconds: stand.position.filter(|_| live).and_then(|position| self.wait(position)),
            issued_at: At(stand.issued_at),
            activated_at: stand.activated_at.map(At),
            expires_at: stand.expires_at.map(At),
            sold_out,
            seats_left,
        }
    }

    pub(super) fn waiting(&self, position: Option<u32>) -> PositionDocument<'_> {
        let (sold_out, seats_left) = SeatsLeft::of(self.entry);
        PositionDocument {
            status: PlaceWord::Waiting,
            position,
            people_ahead: position.map(|position| position - 1),
            estimated_wait_seconds: position.and_then(|position| self.wait(position)),
            sold_out,
            seats_left,
        }
    }

    fn wait(&self, position: u32) -> Option<u64> {
        self.entry.room().estimated_wait_seconds(position, self.now)
    }
}

impl<'a> RoomDocument<'a> {
    /// Says what doesn't change by itself.
    pub(super) fn of(entry: &'a ScheduleEntry, overview: &Overview) -> Self {
        Self {
            schedule_id: entry.id(),
            waiting: overview.waiting,
            active: overview.active,
            max_active: overview.active_max,
            admit_per_minute: overview.admit_per_minute,
            paused: overview.paused,
            admitted_total: overview.admitted_total,
            estimated_wait_seconds: None,
            gate: overview.gate.into(),
            sold_out: None,
            seats_left: None,
            opens_at: None,
            draw: None,
        }
    }
}
