//! A recorded history: what was asked, what was answered, and when.
//!
//! Instants are nanoseconds of the process's clock. An operation took effect, if it did, between the two of its interval.

use super::seat::{Owner, Status};

/// Everything that happened in one history.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// The seats' ids, in the plan's order; elsewhere a seat is its place in it.
    pub(super) seats: Vec<Box<str>>,
    /// The life of a hold.
    pub(super) hold_nanos: u64,
    pub(super) operations: Vec<Operation>,
    /// From one start of the server to its death.
    pub(super) lives: Vec<Life>,
    /// What was wrong at once, whatever the seats say.
    pub(super) faults: Vec<String>,
    /// How often a client hung up before its answer.
    pub(super) hang_ups: u64,
}

/// Something that a client asked for, with all its repeats that had one key.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) user: usize,
    pub(super) asked: Asked,
    /// Before the first byte was sent for the first time.
    pub(super) invoked: u64,
    /// When its answer had been read; [`u64::MAX`] where none came.
    pub(super) returned: u64,
    /// The life of the server in which it was sent last.
    pub(super) life: usize,
    pub(super) answered: Answered,
}

/// What was asked for. Seats are in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    Hold { owner: Owner, seats: Vec<usize> },
    Exchange { owner: Owner, seats: Vec<usize> },
    Release { owner: Owner },
    Pay { owner: Owner },
    Map,
    Look { owner: Owner },
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answered {
    /// Nothing: it may have happened or not.
    Unknown,
    /// It was done; where the answer is a reservation, this is it.
    Done(Option<Told>),
    /// Refused: others have these of the seats.
    Taken(Vec<usize>),
    /// Refused for a reason that says nothing of seats, such as a hold's end.
    Refused,
    Map(Box<[Status]>),
}

/// A reservation, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) id: Box<str>,
    pub(super) stands: Stands,
    pub(super) seats: Vec<usize>,
    /// Both by our clock.
    pub(super) created: u64,
    pub(super) expires: u64,
}

/// How a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    Held,
    Paying,
    Confirmed,
    /// Released, cancelled or expired.
    Ended,
}

impl Stands {
    pub(super) fn of(status: &str) -> Option<Self> {
        Some(match status {
            "held" => Self::Held,
            "paying" => Self::Paying,
            "confirmed" => Self::Confirmed,
            "released" | "cancelled" | "expired" => Self::Ended,
            _ => return None,
        })
    }
}

/// One life of the server.
#[derive(Debug, Clone, Default)]
pub(super) struct Life {
    /// When it was ready; nobody asks anything before it but whoever makes the list.
    pub(super) ready: u64,
    /// By user: all reservations that the server has, before clients come; when the list was asked for and read.
    pub(super) list: Vec<Vec<Told>>,
    pub(super) listed: (u64, u64),
    /// When it was dead.
    pub(super) killed: u64,
}
