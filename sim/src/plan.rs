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
/// The schedules that may be there. All but [`PLAY`] are opened at once; the last one performs the free concert, in another currency.
pub(crate) const SCHEDULES: [&str; 4] = ["s0", "s1", "play", "gift"];
/// The schedule that sells in phases, and opens by itself if at all.
pub(crate) const PLAY: usize = 2;
/// The phases that a plan may have, in their order.
pub(crate) const PHASES: [&str; 2] = ["fans", "card"];
/// How many codes administrators define by name, and how many allotments, in each schedule.
pub(crate) const NAMED_CODES: usize = 5;
pub(crate) const ALLOTMENTS: usize = 3;

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
    /// Phases of so many seconds each, the first so many seconds from now or ago; then, so much later, the general sale, or never.
    Phases {
        opens: i64,
        lasts: u32,
        general: Option<u32>,
        narrow: bool,
        /// How many seats a user may have in one of them; as in the general sale, where it doesn't say.
        limit: Option<u32>,
    },
    /// Accessible seats are everyone's so many seconds from now; never, where there are none.
    Accessible(Option<i64>),
}

/// The code that a hold brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum CodePick {
    #[default]
    None,
    Named(usize),
    /// One of those that were generated, and told.
    Generated(usize),
}

/// What a hold shall have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Basket {
    /// So many seats, from this one on; or the best.
    pub(crate) seats: u64,
    pub(crate) first: usize,
    pub(crate) best: bool,
    /// So many places of an area.
    pub(crate) places: u32,
    pub(crate) area: usize,
    pub(crate) code: CodePick,
    pub(crate) accessible: bool,
    /// Which of the seats are a youth's, bit by bit; the highest bit says so of the places.
    pub(crate) youths: u8,
    /// Whether an exchange lets go of the code that its hold has.
    pub(crate) drops: bool,
}

/// What a code is to be, by small numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CodePlan {
    /// Which phase it opens; both, where the number is theirs.
    pub(crate) phase: Option<usize>,
    pub(crate) allotment: Option<usize>,
    /// So many percent.
    pub(crate) percent: Option<u8>,
    /// Else so much a seat.
    pub(crate) off: u64,
    pub(crate) grade: Option<usize>,
    /// For youths alone, or for adults alone.
    pub(crate) youths: Option<bool>,
    pub(crate) max_uses: Option<u32>,
    pub(crate) max_seats: Option<u32>,
    /// From so many seconds from now on, and until then.
    pub(crate) from: Option<u32>,
    pub(crate) until: Option<u32>,
}

/// How an order of the box office is paid, and what it takes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SalePlan {
    pub(crate) method: usize,
    pub(crate) allotment: Option<usize>,
    /// Instead of the sum of its prices.
    pub(crate) amount: Option<u64>,
    /// Whether it says why.
    pub(crate) reason: bool,
}

/// Who cancels an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Canceller {
    Clerk,
    Admin,
    /// Its user, if it has one.
    Owner,
}

/// An instant at which time alone changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// An allotment is released.
    Release,
    /// A phase opens or closes, or the general sale opens.
    Phase,
    /// Accessible seats become everyone's.
    Accessible,
    /// A hold ends.
    HoldEnd,
}

/// What a client or an administrator asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Hold {
        user: usize,
        schedule: usize,
        basket: Basket,
    },
    Exchange {
        user: usize,
        pick: usize,
        basket: Basket,
    },
    /// Of a hold or of what was paid, as `paid` says.
    Release {
        user: usize,
        pick: usize,
        paid: bool,
        admin: bool,
    },
    /// At the box office, for a user or for nobody.
    Order {
        user: Option<usize>,
        schedule: usize,
        basket: Basket,
        sale: SalePlan,
    },
    /// Of an order, or (as a clerk may not) of anything that was sold.
    CancelOrder {
        pick: usize,
        by: Canceller,
        any: bool,
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
    /// Gives the concert of [`PLAY`] a price type more, in the middle of the list, or takes it away.
    Reprice {
        children: bool,
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
    PutCode {
        schedule: usize,
        code: usize,
        terms: CodePlan,
    },
    /// Generates so many.
    MakeCodes {
        schedule: usize,
        count: usize,
        terms: CodePlan,
    },
    EndCode {
        schedule: usize,
        code: CodePick,
    },
    /// Sets an allotment of seats, from this one on, and of places of an area, which is released so many milliseconds from now, or never.
    SetAside {
        schedule: usize,
        number: usize,
        first: usize,
        seats: u64,
        places: u32,
        release: Option<u64>,
    },
    /// Releases an allotment.
    GiveBack {
        schedule: usize,
        number: usize,
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
    /// Time passes up to an instant of a schedule at which something changes, or so many milliseconds before; or the engine's clock
    /// steps there, so that no timer fires.
    PassTo {
        schedule: usize,
        moment: Moment,
        early: u64,
        steps: bool,
    },
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
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Setup {
    pub(crate) users: usize,
    /// Seats a row, and rows.
    pub(crate) row: u32,
    pub(crate) rows: u32,
    /// How many places each area has.
    pub(crate) areas: [u32; 2],
    /// Whether the last row begins with an accessible seat and its companion's.
    pub(crate) special: bool,
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
    pub(crate) starts_in: [u64; SCHEDULES.len()],
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
            areas: [dice.between(2, 6), dice.between(3, 9)]
                .map(|places| u32::try_from(places).expect("small")),
            special: dice.percent(50),
            room: dice.percent(40),
            retain: *dice.one(&[None, None, None, Some(7), Some(0)]),
            mark: *dice.one(&[100, 1_000, 30_000]),
            snapshot_every: *dice.one(&[10_000, 40, 120]),
            per_user: *dice.one(&[4, 6, 8]),
            starts_in: *dice.one(&[[2, 20, 20, 20], [4, 20, 3, 30], [20, 40, 40, 40], [40, 20, 20, 20]]),
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
