//! A waiting room's commands, events and refusals.

use super::draw::Seed;
use crate::domain::ids::UserId;
use crate::domain::schedule::policy::{ACTIVE_MAX, Plan, QueuePolicy};
use crate::domain::schedule::{Counts, SaleStatus};
use crate::domain::time::Timestamp;

/// A place in the queue: its number in its room, from 1 in the order of joining, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u32);

/// How a room is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The schedule's policy for it.
    pub policy: QueuePolicy,
    /// When the first is admitted; once the sale is open, if absent.
    pub opens_at: Option<Timestamp>,
    /// When the last may be admitted: the sale closes.
    pub closes_at: Timestamp,
    /// How many idempotency keys are kept at most.
    pub keys_max: u32,
}

impl Settings {
    /// Returns the settings that a schedule's plan gives its waiting room, if it has one.
    pub fn of(plan: &Plan, keys_max: u32) -> Option<Self> {
        let policy = plan.policy.queue.clone()?;
        // With phases the sale begins with the first of them.
        let first = plan.policy.phases.iter().map(|phase| phase.opens_at).min();
        let opens_at = policy.opens_at.or(first).or(plan.sales_open_at);
        Some(Self { policy, opens_at, closes_at: plan.closes_at(), keys_max })
    }
}

/// The room's knowledge of its schedule: whether anyone should be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gate {
    /// The sale isn't open.
    #[default]
    NotOnSale,
    /// Seats are left.
    Open,
    /// All that is left is held: it is worth waiting, not entering.
    AllHeld,
    /// Nothing is left.
    SoldOut,
    /// The performance won't happen.
    Cancelled,
}

impl Gate {
    /// Returns the gate that a schedule's state means.
    pub const fn of(sale: SaleStatus, counts: Counts) -> Self {
        match sale {
            SaleStatus::Upcoming | SaleStatus::Closed => Self::NotOnSale,
            SaleStatus::Cancelled => Self::Cancelled,
            SaleStatus::Open if counts.available > 0 => Self::Open,
            SaleStatus::Open if counts.held > 0 => Self::AllHeld,
            SaleStatus::Open => Self::SoldOut,
        }
    }

    /// Returns the word that clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotOnSale => "not_on_sale",
            Self::Open => "open",
            Self::AllHeld => "all_held",
            Self::SoldOut => "sold_out",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The settings that an administrator changes while a room runs; an absent one stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tuning {
    /// How many may be active.
    pub active_max: Option<u32>,
    /// How many are admitted a minute at most; `Some(None)` takes the limit away.
    pub admit_per_minute: Option<Option<u32>>,
    /// Whether nobody is admitted.
    pub paused: Option<bool>,
}

impl Tuning {
    /// Tells whether a policy could say the same: nobody lets none in, or more than a million.
    pub fn is_in_range(&self) -> bool {
        let in_range = |count: u32| (1..=ACTIVE_MAX).contains(&count);
        self.active_max.is_none_or(in_range) && self.admit_per_minute.flatten().is_none_or(in_range)
    }
}

/// A command to a waiting room.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub enum Command {
    /// Run the room by these settings, or shut it: everyone's place ends. It isn't refused, since it follows a plan that stands: where
    /// people wait in another order, they keep it, and all else is followed ([`super::WaitingRoom::check_order`]).
    Configure {
        /// The settings, if there shall be a room.
        settings: Option<Box<Settings>>,
        /// Random bytes, for a draw that is to come.
        seed: Seed,
    },
    /// Change the settings that may change while it runs.
    Tune(Tuning),
    /// Follow the schedule's state.
    Follow(Gate),
    /// Take a place at the end.
    Join { user: UserId },
    /// Give a place up, waiting or active.
    Leave { user: UserId, ticket: Ticket },
    /// Note that an admitted user showed a sign of life.
    Claim { ticket: Ticket },
    /// End a user's pass, because a payment completed.
    Finish { user: UserId },
    /// Give everyone who was just admitted the time back that the engine was down.
    BridgeOutage {
        /// The last instant at which the engine is known to have run.
        down_since: Timestamp,
    },
}

impl Command {
    /// Returns what it is called in metrics; what administrators and the engine ask is one.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Join { .. } => "join",
            Self::Leave { .. } => "leave",
            Self::Claim { .. } => "claim",
            Self::Finish { .. } => "finish",
            Self::Configure { .. } | Self::Tune(_) | Self::Follow(_) | Self::BridgeOutage { .. } => {
                "administer_room"
            }
        }
    }

    /// Tells whether what it asks for, where it is so already, stays so for good: a ticket is never used twice. Such a repeat is answered
    /// from what is, and no key has to be remembered for it.
    pub const fn stays_so(&self) -> bool {
        matches!(self, Self::Leave { .. })
    }

    /// Tells whether a user asks it, for a place of their own.
    pub const fn is_a_users(&self) -> bool {
        matches!(self, Self::Join { .. } | Self::Leave { .. } | Self::Claim { .. })
    }
}

/// A fact about a waiting room. It already happened: applying it can't fail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub enum Event {
    /// The room runs by these settings from now on; without any, it was shut and everyone's place ended.
    Configured {
        settings: Option<Box<Settings>>,
        /// The seed of a draw that is to come, a secret until then: its hash is published now. After a draw, the opening was moved:
        /// those who join from now on have no position until the next.
        seed: Option<Seed>,
    },
    /// An administrator changed the settings that may change while it runs.
    Tuned { active_max: u32, admit_per_minute: Option<u32>, paused: bool },
    /// The schedule became something else. Cancelled, it ended everyone's place.
    GateMoved { gate: Gate },
    /// A user took a place.
    Joined {
        /// The place: one more than the last.
        ticket: Ticket,
        user: UserId,
        /// Whether there was room, so that they entered at once.
        admitted: bool,
    },
    /// Everyone who waited without a position was put in the order that the seed gives.
    Drawn {
        /// The seed, no longer a secret.
        seed: Seed,
    },
    /// The first in line were admitted.
    Admitted {
        /// Who, in order.
        tickets: Box<[Ticket]>,
    },
    /// Admitted users showed a sign of life.
    Claimed {
        /// Whose place.
        tickets: Box<[Ticket]>,
    },
    /// A user gave the place up.
    Left { ticket: Ticket },
    /// A completed payment ended a pass.
    Finished { ticket: Ticket },
    /// Passes ended: their time was over, or no sign of life came any more.
    PassesExpired { tickets: Box<[Ticket]> },
    /// Everyone who still waited with a ticket up to this one had waited too long.
    PlacesExpired {
        /// The last of them.
        last: Ticket,
    },
    /// The engine had been down: who was just admitted got the time back to show up.
    OutageBridged {
        /// The last instant at which the engine is known to have run.
        down_since: Timestamp,
    },
    /// A command with an idempotency key changed nothing: only its key is new.
    KeyKept {
        /// The place that it was about, if it was about one.
        ticket: Option<Ticket>,
    },
    /// Admitted users had gone on showing signs of life: each stays so long without another.
    Stayed {
        /// Whose place, and until when.
        until: Box<[(Ticket, Timestamp)]>,
    },
}

/// Why a waiting room refuses. Each is one problem code of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no waiting room.
    #[error("this schedule has no waiting room")]
    NoRoom,
    /// The sale is over or cancelled: there is nothing to wait for.
    #[error("the sale is over: there is nothing to wait for")]
    NotOnSale,
    /// More wait than the room holds.
    #[error("the waiting room is full; try again later")]
    Full,
    /// The order can't change once someone waits in it.
    #[error("people wait in the order that they were promised: it can change once nobody waits")]
    OrderFixed,
    /// More users than a room may have active, or admit a minute; or none.
    #[error("from 1 to {} people may be at the seats, and as many be let in a minute", ACTIVE_MAX)]
    OutOfRange,
}

/// How a place stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceStatus {
    /// In line.
    Waiting,
    /// At the seats.
    Active,
    /// It ended by time.
    Expired,
    /// It ended by a completed payment, or was given up.
    Done,
}

impl PlaceStatus {
    /// Returns the word that clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Done => "done",
        }
    }
}

/// A place as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which.
    pub ticket: Ticket,
    /// How it stands.
    pub status: PlaceStatus,
    /// How many are admitted before it and with it: 1 is the next. None before a draw, and once admitted.
    pub position: Option<u32>,
    /// When it was taken.
    pub issued_at: Timestamp,
    /// When it was admitted.
    pub activated_at: Option<Timestamp>,
    /// When it ends by time.
    pub expires_at: Timestamp,
}

/// A room in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overview {
    /// How many wait.
    pub waiting: u32,
    /// How many are at the seats.
    pub active: u32,
    /// How many may be.
    pub active_max: u32,
    /// How many are admitted a minute at most.
    pub admit_per_minute: Option<u32>,
    /// Whether an administrator stopped admission.
    pub paused: bool,
    /// How many were ever admitted.
    pub admitted_total: u64,
    /// What the schedule lets in.
    pub gate: Gate,
}

/// The answer to a change: the place or the room as the change left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A place that was taken, or given up.
    Place(Place),
    /// The place that the user had already.
    Standing(Place),
    /// The room.
    Room(Overview),
}
