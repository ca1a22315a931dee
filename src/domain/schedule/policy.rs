//! An administrator's decisions about a schedule: its times, its policy, who plays that day.

use std::collections::BTreeMap;

use crate::domain::ids::{GradeName, PhaseId};
use crate::domain::time::{Seconds, Timestamp};

/// The most seats that a policy can allow in one reservation.
pub const RESERVATION_SEATS_MAX: u32 = 100;
/// The most seats that a policy can allow a user in a schedule.
pub const USER_SEATS_MAX: u32 = 10_000;
/// The longest payment: an hour.
pub const PAYMENT_SECONDS_MAX: u32 = 3_600;
/// How long before the start cancelling can end: a year.
pub const CANCEL_SECONDS_MAX: u32 = 366 * Seconds::DAY.get();
/// The longest wait in a waiting room: a week.
pub const WAITING_SECONDS_MAX: u32 = 7 * Seconds::DAY.get();
/// The longest casting, in bytes of its roles and names: a plan is told in one entry of the journal.
pub const CASTING_BYTES_MAX: usize = 1 << 20;
/// The most users that a policy can have active, or admit a minute.
pub const ACTIVE_MAX: u32 = 1_000_000;

/// The most phases that a sale has before it is general.
pub const PHASES_MAX: usize = 32;

/// The times, policy and casting of a schedule, which `PUT` sets and may set again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// When the performance begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// When an upcoming sale opens by itself.
    pub sales_open_at: Option<Timestamp>,
    /// When an open sale closes by itself; at [`Plan::starts_at`] if absent.
    pub sales_close_at: Option<Timestamp>,
    /// Who plays what in this performance.
    pub casting: BTreeMap<String, Casting>,
    /// The rules of the sale.
    pub policy: Policy,
}

impl Plan {
    /// Returns the instant from which nothing more is sold.
    pub fn closes_at(&self) -> Timestamp {
        self.sales_close_at.unwrap_or(self.starts_at)
    }
}

impl Casting {
    /// Returns the names.
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => core::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

/// Who plays a role: one name or several, as the administrator wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Casting {
    /// One name.
    One(String),
    /// Several names.
    Many(Vec<String>),
}

/// The rules of a sale. The catalogue lets none in that is out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How long a hold lives.
    pub hold: Seconds,
    /// How many seats one reservation may have, 1 to [`RESERVATION_SEATS_MAX`].
    pub seats_per_reservation_max: u32,
    /// How many seats a user's live reservations of the schedule may have together.
    pub seats_per_user_max: u32,
    /// How long a payment may take once it is confirmed by the client.
    pub payment: Seconds,
    /// Until how long before the start a user may cancel.
    pub cancel_until_before_start: Seconds,
    /// Whether a hold is refused that leaves a single free seat where it could be avoided.
    pub prevent_orphan_seats: bool,
    /// How long, after an outage, a hold lives that would have ended meanwhile.
    pub recovery_grace: Seconds,
    /// The waiting room, where there is one.
    pub queue: Option<QueuePolicy>,
    /// The phases before the general sale, at most [`PHASES_MAX`]: no two at one instant, and all over before the sale opens.
    pub phases: Vec<Phase>,
    /// From when on accessible seats and those of companions are sold like all others; never if absent.
    pub accessible_release_at: Option<Timestamp>,
}

impl Policy {
    /// Tells whether accessible seats and those of companions are kept at `now` for those who ask for them.
    pub fn keeps_accessible(&self, now: Timestamp) -> bool {
        self.accessible_release_at.is_none_or(|released| now < released)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            hold: Seconds::new(300),
            seats_per_reservation_max: 4,
            seats_per_user_max: 4,
            payment: Seconds::new(60),
            cancel_until_before_start: Seconds::DAY,
            prevent_orphan_seats: false,
            recovery_grace: Seconds::new(900),
            queue: None,
            accessible_release_at: None,
            phases: Vec::new(),
        }
    }
}

/// A part of a sale before it is general, for those who bring a code of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// Its id, unique in the sale.
    pub id: PhaseId,
    /// Its name, for people.
    pub name: String,
    /// From when on it sells.
    pub opens_at: Timestamp,
    /// From when on it no longer does.
    pub closes_at: Timestamp,
    /// The grades that it sells; all, where none are named.
    pub grades: Option<Vec<GradeName>>,
    /// How many seats a user's live reservations of the schedule may have together in it; as many as in the general sale, where it says
    /// nothing.
    pub seats_per_user_max: Option<u32>,
}

/// The rules of a waiting room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePolicy {
    /// How many users may be active at once.
    pub active_max: u32,
    /// How many users are admitted a minute at most, where that is limited.
    pub admit_per_minute: Option<u32>,
    /// How long a pass is active.
    pub active: Seconds,
    /// How soon after its admission a pass must show a sign of life.
    pub claim: Seconds,
    /// How long a pass stays without another sign of life; as long as it is active, where there is no such limit.
    pub idle: Option<Seconds>,
    /// How long a place waits.
    pub waiting: Seconds,
    /// In which order people are admitted.
    pub order: QueueOrder,
    /// When the first is admitted; when the sale opens if absent.
    pub opens_at: Option<Timestamp>,
}

impl Default for QueuePolicy {
    fn default() -> Self {
        Self {
            active_max: 100,
            admit_per_minute: None,
            active: Seconds::new(1_800),
            claim: Seconds::new(120),
            idle: Some(Seconds::new(120)),
            waiting: Seconds::new(3_600),
            order: QueueOrder::Fifo,
            opens_at: None,
        }
    }
}

/// The order of a waiting room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueOrder {
    /// First come, first served.
    Fifo,
    /// A draw among all who joined before the room opened; first come, first served after them.
    Shuffle,
}
