//! What a run will do: a list of steps, made from the seed alone, before anything runs.
//!
//! A step names things by small numbers that are resolved when it is taken ("the third of kim's holds"), so that a plan without
//! some of its steps still means something: that is how a failing run is made short.

use crate::dice::Dice;
use crate::disk::{Death, Trouble};
use crate::gateway::{Lie, Weather};
use crate::motifs;

/// Who takes part.
pub(crate) const USERS: [&str; 6] = ["kim", "lee", "park", "choi", "jung", "han"];
/// The schedules that may be there; the last one performs the free concert, in another currency.
pub(crate) const SCHEDULES: [&str; 3] = ["s0", "s1", "gift"];

/// How long a hold lives, in every plan.
pub(crate) const HOLD_SECONDS: u32 = 300;
/// How soon whoever enters from a waiting room must show a sign of life, in every plan.
pub(crate) const CLAIM_SECONDS: u32 = 120;

/// How a caller leaves a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It waits for the answer.
    Waits,
    /// It goes on with other things, and takes the answer when it comes.
    Beside,
    /// It is gone after so many polls.
    Polls(u64),
    /// It is gone after so many milliseconds.
    Deadline(u64),
    /// The answer never reaches it.
    ReplyLost,
}

/// Which key a call carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyUse {
    None,
    New,
    /// That of an earlier call of the same route.
    Again(usize),
}

/// What changes in a schedule's document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DocChange {
    Same,
    /// Who plays.
    Casting(u32),
    /// A waiting room for so many; a draw or not; it opens so many seconds from now, or ago, or with the sale.
    Room {
        active: u32,
        shuffle: bool,
        opens: Option<i64>,
    },
    /// The room opens at another time.
    Opens(i64),
    NoRoom,
}

/// What a client or an administrator asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Hold {
        user: usize,
        schedule: usize,
        seats: u64,
        first: usize,
        best: bool,
    },
    Exchange {
        user: usize,
        pick: usize,
        first: usize,
        seats: u64,
    },
    /// Of a hold or of what was paid, as `paid` says.
    Release {
        user: usize,
        pick: usize,
        paid: bool,
        admin: bool,
    },
    Pay {
        user: usize,
        pick: usize,
        card: bool,
    },
    /// Goes through the checkout of a payment that is ready; the newest, or a picked one.
    Confirm {
        user: usize,
        pick: usize,
        made_up: bool,
    },
    Charge {
        user: usize,
        thousands: u64,
        dollars: bool,
    },
    Join {
        user: usize,
        schedule: usize,
    },
    Leave {
        user: usize,
        schedule: usize,
    },
    ShowLife {
        user: usize,
        schedule: usize,
    },
    Tune {
        schedule: usize,
        active: u32,
        per_minute: Option<u32>,
        paused: bool,
    },
    Put {
        schedule: usize,
        change: DocChange,
    },
    Import {
        change: DocChange,
    },
    Open {
        schedule: usize,
    },
    Close {
        schedule: usize,
    },
    Cancel {
        schedule: usize,
    },
    Remove {
        schedule: usize,
    },
    Block {
        schedule: usize,
        first: usize,
        free: bool,
    },
    SignUp {
        number: u64,
    },
    Suspend {
        user: usize,
        back: bool,
    },
    Snapshot,
    Archive,
    Hint {
        pick: usize,
    },
    /// The same request as an earlier one with a key, again: the newest, or a picked one.
    Repeat {
        pick: usize,
    },
}

/// What goes wrong with a start, or around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Restart {
    /// How much of what wasn't synced is there: of a hundred.
    pub(crate) unsynced: u64,
    pub(crate) down: u64,
    /// How far the wall clock is off, in milliseconds.
    pub(crate) skew: i64,
    /// The start itself is killed at this point; then it is started once more, after `down` again.
    pub(crate) dies_at: Option<(u64, Death)>,
    /// The disk fails during the start, which may be refused then; and it is started once more.
    pub(crate) trouble: Option<Trouble>,
}

/// One step of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Ask {
        ask: Ask,
        key: KeyUse,
        fate: Fate,
    },
    /// Time passes, and everything runs.
    Pass(u64),
    /// The process isn't scheduled for so long.
    Jump(u64),
    /// The process dies now.
    Crash(Restart),
    /// It will die at an operation of the disk to come.
    CrashAt {
        points: u64,
        how: Death,
        then: Restart,
    },
    /// The same, at an operation on another file (a snapshot, the archive).
    CrashAtFile {
        points: u64,
        then: Restart,
    },
    /// It is stopped, and started again.
    Stop(Restart),
    Disk(Trouble),
    /// A schedule's actor panics.
    FailActor(usize),
    /// The next snapshot finds room for so many bytes.
    SnapshotRoom(u64),
    Lie(Lie),
    Weather(Weather, u64),
    /// The engine's clock steps forward.
    ClockJumps(u64),
    /// It stands still for so long, while everything else goes on.
    ClockStands(u64),
}

/// What a world is made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) users: usize,
    /// Seats a row, and rows.
    pub(crate) row: u32,
    pub(crate) rows: u32,
    /// Whether a schedule has a waiting room from the beginning.
    pub(crate) room: bool,
    /// How long everything is kept: forever, so many days, or as long as two snapshots need.
    pub(crate) retain: Option<u64>,
    /// How often the mark is written while nothing happens, in milliseconds.
    pub(crate) mark: u64,
    pub(crate) snapshot_every: u64,
    /// How many seats a user may have.
    pub(crate) per_user: u32,
    /// In how many days the shows begin.
    pub(crate) starts_in: [u64; 3],
    pub(crate) ended_retention_days: u32,
}

/// A run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) setup: Setup,
    /// With the numbers that they had in the whole plan.
    pub(crate) steps: Vec<(usize, Step)>,
}

impl Plan {
    /// Makes the plan of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed, 0);
        let setup = Setup {
            users: 3 + usize::try_from(dice.below(4)).expect("small"),
            row: u32::try_from(dice.between(2, 4)).expect("small"),
            rows: u32::try_from(dice.between(2, 3)).expect("small"),
            room: dice.percent(40),
            retain: *dice.one(&[None, None, None, Some(7), Some(0)]),
            mark: *dice.one(&[100, 1_000, 30_000]),
            snapshot_every: *dice.one(&[10_000, 40, 120]),
            per_user: *dice.one(&[4, 6, 8]),
            starts_in: *dice.one(&[[2, 20, 20], [4, 20, 30], [20, 40, 40], [40, 20, 20]]),
            ended_retention_days: *dice.one(&[1, 7]),
        };
        let steps = motifs::steps(&mut dice, &setup);
        Self { seed, setup, steps: steps.into_iter().enumerate().collect() }
    }

    /// Leaves out all steps but these.
    pub(crate) fn keep(&mut self, kept: &[usize]) {
        self.steps.retain(|(number, _)| kept.contains(number));
    }
}
