//! A schedule's commands, events and refusals.

use core::fmt;
use std::sync::Arc;

use super::allotments::{AllotmentTerms, AsidePlaces};
use super::codes::{AccessCode, CodePrefix, CodeTerms};
use super::policy::Plan;
use super::terms::OrderWish;
use super::{Reservation, Terms, Wish};
use crate::domain::concert::Prices;
use crate::domain::ids::{
    AllotmentId, ConcertId, PaymentId, PhaseId, ReservationNumber, ScheduleId, ScheduleNumber, UserId,
    VenueId,
};
use crate::domain::keys::KeyUse;
use crate::domain::money::{Currency, Money};
use crate::domain::time::{Seconds, Timestamp};
use crate::domain::venue::{Area, Layout, Seat};

/// A command that callers may send to a schedule: an embedder of the engine, or the HTTP layer for a user or an administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub enum Command {
    /// Hold seats for a user.
    Hold {
        user: UserId,
        wish: Wish,
        /// The random part of the reservation's id.
        nonce: u64,
    },
    /// Exchange what a hold has for something else.
    Exchange { reservation: ReservationRef, caller: Caller, wish: Wish },
    /// Sell places at the box office.
    Order(Box<OrderWish>),
    /// Give a hold or a confirmed reservation back.
    Release { reservation: ReservationRef, caller: Caller },
    /// Close the sale: no new holds or exchanges.
    Close,
    /// Cancel the performance: everyone's seats go back.
    Cancel,
    /// Take available seats off sale.
    Block { seats: Arc<[Seat]> },
    /// Put blocked seats back on sale.
    Unblock { seats: Arc<[Seat]> },
    /// Define a code.
    PutCode { code: AccessCode, terms: Arc<CodeTerms> },
    /// Generate codes.
    MakeCodes {
        /// How each begins.
        prefix: CodePrefix,
        terms: Arc<CodeTerms>,
        /// Random numbers, one a code.
        drawn: Arc<[u64]>,
    },
    /// End a code for new holds.
    EndCode { code: AccessCode },
    /// Set available seats aside.
    SetAllotment { terms: Arc<AllotmentTerms> },
    /// Make available to everyone what is left of an allotment.
    ReleaseAllotment { id: AllotmentId },
}

impl Command {
    /// Makes the command that holds seats for a user; `nonce` is the random part of the reservation's id.
    pub fn hold(user: UserId, wish: Wish, nonce: u64) -> Self {
        Self::Hold { user, wish, nonce }
    }

    /// Returns the reservation that it gives back.
    pub const fn released(&self) -> Option<ReservationRef> {
        if let Self::Release { reservation, .. } = self { Some(*reservation) } else { None }
    }

    /// Tells whether it may end the sale.
    pub const fn moves_sale(&self) -> bool {
        matches!(self, Self::Close | Self::Cancel)
    }

    /// Tells whether a user asks it, for a reservation of their own.
    pub const fn is_a_users(&self) -> bool {
        matches!(self, Self::Hold { .. } | Self::Exchange { .. } | Self::Release { .. })
    }
}

/// All that a schedule decides: the callers' commands, and those of the engine alone, which rest on facts that stand elsewhere. Money was
/// captured, the catalogue lists the schedule, a concert has these prices, the engine was down.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub enum AnyCommand {
    /// A caller's command.
    Callers(Command),
    /// Begin to pay for a hold.
    BeginPayment {
        reservation: ReservationRef,
        caller: Caller,
        payment: PaymentId,
        /// Whether it takes its time, so that it may move the deadline: a gateway is asked.
        takes_time: bool,
    },
    /// Note that the payment failed: the hold lives on until its own deadline.
    FailPayment { reservation: ReservationRef, payment: PaymentId },
    /// Confirm a reservation whose money was captured.
    Confirm {
        reservation: ReservationRef,
        /// The payment that stands for it.
        payment: PaymentId,
    },
    /// Confirm a reservation whose money was taken before anything was asked here: a hold, or one that has expired.
    ConfirmTaken {
        reservation: ReservationRef,
        /// The payment that stands for it.
        payment: PaymentId,
        /// What was taken.
        amount: Money,
    },
    /// Open the sale, at the prices that are set.
    Open,
    /// Set other prices, as the concert is to have them: refused by a sale that has opened, or opens in a moment.
    Reprice { prices: Arc<Prices> },
    /// Set the prices that the concert has; where the sale has opened, or the box office has sold, its own stand.
    SetPrices { prices: Arc<Prices> },
    /// Change times, policy or casting.
    Replan {
        /// The concert that the plan names, which can't change.
        concert: ConcertId,
        plan: Arc<Plan>,
    },
    /// Change how long ended reservations and keys are kept.
    SetLimits { limits: Limits },
    /// Give every live hold the time back that the engine was down.
    BridgeOutage {
        /// The last instant at which the engine is known to have run.
        began: Timestamp,
        /// Up to when holds have their time back: the same, unless a start died that had given it to this schedule.
        down_since: Timestamp,
    },
    /// Remove the schedule.
    Delete,
    /// Let the archive have the schedule, which has it as it was at this version.
    Archive {
        /// What the archive has.
        archived: Archived,
    },
}

impl From<Command> for AnyCommand {
    fn from(command: Command) -> Self {
        Self::Callers(command)
    }
}

impl AnyCommand {
    /// Returns the reservation that it names, if it names one.
    pub fn reservation(&self) -> Option<ReservationRef> {
        match self {
            Self::Callers(Command::Exchange { reservation, .. } | Command::Release { reservation, .. })
            | Self::BeginPayment { reservation, .. }
            | Self::FailPayment { reservation, .. }
            | Self::Confirm { reservation, .. }
            | Self::ConfirmTaken { reservation, .. } => Some(*reservation),
            Self::Callers(
                Command::Hold { .. }
                | Command::Order(_)
                | Command::Close
                | Command::Cancel
                | Command::Block { .. }
                | Command::Unblock { .. }
                | Command::PutCode { .. }
                | Command::MakeCodes { .. }
                | Command::EndCode { .. }
                | Command::SetAllotment { .. }
                | Command::ReleaseAllotment { .. },
            )
            | Self::Open
            | Self::Reprice { .. }
            | Self::SetPrices { .. }
            | Self::Replan { .. }
            | Self::SetLimits { .. }
            | Self::BridgeOutage { .. }
            | Self::Delete
            | Self::Archive { .. } => None,
        }
    }

    /// Tells whether what it asks for, where it is so already, stays so for good. Such a repeat is answered from what is, and no key has to
    /// be remembered for it.
    pub const fn stays_so(&self) -> bool {
        matches!(self, Self::Callers(Command::Release { .. }))
    }

    /// Returns what it is called in metrics; what administrators ask is one.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Callers(Command::Hold { .. }) => "hold",
            Self::Callers(Command::Order(_)) => "order",
            Self::Callers(Command::Exchange { .. }) => "exchange",
            Self::Callers(Command::Release { .. }) => "release",
            Self::BeginPayment { .. } => "begin_payment",
            Self::FailPayment { .. } => "fail_payment",
            Self::Confirm { .. } | Self::ConfirmTaken { .. } => "confirm",
            Self::Callers(
                Command::Close
                | Command::Cancel
                | Command::Block { .. }
                | Command::Unblock { .. }
                | Command::PutCode { .. }
                | Command::MakeCodes { .. }
                | Command::EndCode { .. }
                | Command::SetAllotment { .. }
                | Command::ReleaseAllotment { .. },
            )
            | Self::Open
            | Self::Reprice { .. }
            | Self::SetPrices { .. }
            | Self::Replan { .. }
            | Self::SetLimits { .. }
            | Self::BridgeOutage { .. }
            | Self::Delete
            | Self::Archive { .. } => "administer",
        }
    }
}

/// A reservation as a caller names it: its number, and the nonce that proves the id is a real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReservationRef {
    /// Its number in the schedule.
    pub number: ReservationNumber,
    /// The random part of its id.
    pub nonce: u64,
}

/// Who asks: a user for their own reservations, a clerk for orders, or an administrator for anyone's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A user.
    User(UserId),
    /// A clerk of the box office.
    Clerk,
    /// An administrator.
    Admin,
}

/// How much of the past a schedule keeps in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long an ended reservation is kept.
    pub ended_retention: Seconds,
    /// How many idempotency keys are kept at most.
    pub keys_max: u32,
}

/// What the archive has of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Archived {
    /// The version of the schedule's stream, as it was moved.
    pub version: u64,
    /// The version of its payments' stream: zero where there never was one.
    pub payments: u64,
    /// Whether its sale ever opened, so that its concert's prices stand.
    pub opened: bool,
}

/// How a schedule's stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The schedule was moved to the archive.
    Archived(Archived),
    /// The schedule was removed, perhaps with an idempotency key: the catalogue keeps that once it says so, too.
    Removed(Option<KeyUse>),
}

/// What is left of a schedule whose stream has ended, until the catalogue says so, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its number.
    pub number: ScheduleNumber,
    /// The version of its stream with its last event.
    pub version: u64,
    /// The instant of its last event.
    pub last_instant: Timestamp,
    /// How it ended.
    pub end: End,
}

impl Ended {
    /// Tells whether it moved to the archive.
    pub const fn is_archived(&self) -> bool {
        matches!(self.end, End::Archived(_))
    }
}

/// A fact about a schedule. It already happened: applying it can't fail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub enum Event {
    /// The schedule was created: the first event of its stream.
    Created(Box<Creation>),
    /// Times, policy or casting changed.
    Replanned { plan: Arc<Plan> },
    /// The limits changed.
    LimitsSet { limits: Limits },
    /// The sale opened.
    SalesOpened {
        /// The prices that were bound, at the first opening: those that were set.
        prices: Option<Arc<Prices>>,
    },
    /// The sale closed.
    SalesClosed,
    /// The performance was cancelled: holds were released, confirmed reservations cancelled.
    ScheduleCancelled,
    /// The schedule was removed: the last event of its stream.
    Deleted,
    /// The schedule was moved to the archive, which has it as it was before this event: the last of its stream. Its room and its payments
    /// end with it.
    Archived {
        /// The version of its payments' stream, as they were moved: zero where there never was one.
        payments: u64,
    },
    /// Seats were taken off sale.
    SeatsBlocked { seats: Arc<[Seat]> },
    /// Blocked seats were put back on sale.
    SeatsUnblocked { seats: Arc<[Seat]> },
    /// Seats were held: a reservation began.
    SeatsHeld {
        /// The reservation's number, one more than the last.
        number: ReservationNumber,
        /// The random part of its id.
        nonce: u64,
        user: UserId,
        seats: Arc<[Seat]>,
        expires_at: Timestamp,
        /// What of it isn't numbered seats at their grades' prices.
        terms: Option<Arc<Terms>>,
    },
    /// A hold's seats were exchanged for others; it has these terms now.
    SeatsExchanged { number: ReservationNumber, seats: Arc<[Seat]>, terms: Option<Arc<Terms>> },
    /// A hold was given back.
    HoldReleased { number: ReservationNumber },
    /// A hold (or a payment that took too long) ended at its deadline.
    HoldExpired { number: ReservationNumber },
    /// A payment began.
    PaymentBegun {
        number: ReservationNumber,
        payment: PaymentId,
        expires_at: Timestamp,
        /// The deadline that is back if it fails, where it moved that. Of an earlier version none was back.
        held_until: Option<Timestamp>,
    },
    /// A payment failed: the reservation is a hold again.
    PaymentFailed {
        number: ReservationNumber,
        /// The deadline that is back, where the payment had moved it. It may have passed.
        expires_at: Option<Timestamp>,
    },
    /// A reservation was confirmed. From `expired` it took its seats again.
    ReservationConfirmed {
        number: ReservationNumber,
        /// The payment that stands for it.
        payment: PaymentId,
    },
    /// A confirmed reservation was given back.
    ReservationCancelled { number: ReservationNumber },
    /// The engine had been down: every live hold got its time back. Where a start died that had given it back already, the next
    /// one gives the time since.
    OutageBridged {
        /// The last instant at which the engine is known to have run.
        began: Timestamp,
        /// From when on holds get their time back: the same instant, or when a start that died had bridged it.
        down_since: Timestamp,
    },
    /// A command with an idempotency key changed nothing: only its key is new.
    KeyKept {
        /// The reservation that it named, if it named one.
        number: Option<ReservationNumber>,
    },
    /// Prices were set, before the sale ever opened: it opens with these, unless others are set by then.
    PricesSet { prices: Arc<Prices> },
    /// A phase opened.
    PhaseOpened {
        phase: PhaseId,
        /// The prices that were bound, if the sale had never opened: those that were set.
        prices: Option<Arc<Prices>>,
    },
    /// The phase that was open closed.
    PhaseClosed { phase: PhaseId },
    /// A code was defined.
    CodePut {
        code: AccessCode,
        terms: Arc<CodeTerms>,
        /// Whether there was none.
        created: bool,
    },
    /// Codes were generated.
    CodesMade {
        /// How each begins.
        prefix: CodePrefix,
        terms: Arc<CodeTerms>,
        /// What was drawn for each, in order.
        drawn: Arc<[u64]>,
    },
    /// A code ended for new holds.
    CodeEnded { code: AccessCode },
    /// Seats were set aside.
    AllotmentSet {
        terms: Arc<AllotmentTerms>,
        /// Whether there was no such allotment.
        created: bool,
    },
    /// What was left of an allotment became available to everyone.
    AllotmentReleased {
        id: AllotmentId,
        /// The seats that were left.
        seats: Arc<[Seat]>,
        /// The places of areas that were left.
        areas: Arc<[AsidePlaces]>,
    },
    /// The box office sold places: a reservation began, and is confirmed.
    Ordered {
        /// The reservation's number, one more than the last.
        number: ReservationNumber,
        /// The random part of its id.
        nonce: u64,
        /// Its payment, which is what the reservation says.
        payment: PaymentId,
        /// Whose it is; nobody's, where none was named.
        user: Option<UserId>,
        seats: Arc<[Seat]>,
        /// With what makes it an order.
        terms: Arc<Terms>,
    },
}

/// The first state of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// Its number in the log.
    pub number: ScheduleNumber,
    /// Its id.
    pub id: ScheduleId,
    /// The concert that it performs.
    pub concert: ConcertId,
    /// Where.
    pub venue: VenueId,
    /// The currency of its prices.
    pub currency: Currency,
    /// Its times, policy and casting.
    pub plan: Arc<Plan>,
    /// How much of the past it keeps.
    pub limits: Limits,
    /// The prices that it opens with, unless others are set by then. A journal of before has them in its catalogue alone.
    pub prices: Option<Arc<Prices>>,
}

/// Why a schedule refuses. Each is one problem code of the API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub enum Refusal {
    /// A reservation has at least one seat.
    #[error("at least one seat is needed")]
    NoSeats,
    /// More seats than a reservation of this schedule may have.
    #[error("a reservation of this schedule has at most {max} seats")]
    TooManySeats {
        /// How many it may have.
        max: u32,
    },
    /// The sale isn't open.
    #[error("this schedule is not on sale now")]
    NotOpen,
    /// The user's live reservations would have more seats than allowed.
    #[error("you may have at most {max} seats of this schedule")]
    SeatLimitExceeded {
        /// How many seats a user may have.
        max: u32,
    },
    /// The venue has no such seats.
    #[error("the venue has no such seats")]
    UnknownSeats { seats: Vec<Seat> },
    /// Seats are named more than once.
    #[error("a seat is named twice")]
    RepeatedSeats {
        /// Each of them, once.
        seats: Vec<Seat>,
    },
    /// The venue has no such grade.
    #[error("the venue has no such grade")]
    UnknownGrade,
    /// The concert has no such price type, or as many types are named as there are seats.
    #[error("the concert has no such price types for these seats")]
    UnknownPriceType,
    /// A price type isn't sold in the grade of its place.
    #[error("a price type is not sold in the grade of its place")]
    PriceTypeNotSold,
    /// The venue has no such area.
    #[error("the venue has no such area")]
    UnknownArea,
    /// Areas have fewer places left than asked for.
    #[error("an area has not as many places left")]
    NotEnoughPlaces {
        /// Each of them, with how many are left.
        areas: Vec<(Area, u32)>,
    },
    /// Seats are kept for visitors with a disability and their companions, and the wish doesn't ask for such seats.
    #[error("accessible seats and those of companions are kept for those who ask for them")]
    AccessibleSeats { seats: Vec<Seat> },
    /// Seats are taken or blocked.
    #[error("at least one of the seats is taken")]
    SeatsUnavailable { seats: Vec<Seat> },
    /// Fewer seats are left than asked for.
    #[error("there are not as many seats left")]
    NotEnoughSeats,
    /// Seats would be left alone between taken ones.
    #[error("this choice would leave a single seat alone")]
    OrphanSeats { seats: Vec<Seat> },
    /// There is no such reservation, or it is another's.
    #[error("there is no such reservation, or it is somebody else's")]
    NoSuchReservation,
    /// The reservation isn't a hold.
    #[error("the reservation is not in a state that allows this")]
    NotHeld,
    /// The deadline has passed.
    #[error("the hold has ended")]
    Expired,
    /// The payment isn't the one that is under way.
    #[error("this payment is not the one that is under way")]
    PaymentNotUnderWay,
    /// The seats cost another amount than was taken.
    #[error("the seats cost another amount than was paid")]
    OtherAmount,
    /// The start is too near to cancel.
    #[error("the performance is too near, or over: it can no longer be cancelled")]
    CancellationClosed,
    /// The sale can't change that way.
    #[error("the sale cannot change that way from where it is")]
    InvalidTransition,
    /// The schedule has or had reservations that forbid it.
    #[error("the schedule has reservations")]
    InUse,
    /// The plan names another concert.
    #[error("a schedule stays with its concert")]
    ConcertFixed,
    /// The sale has opened, or opens in a moment.
    #[error("its sale has opened, or opens in a moment: its prices stand")]
    PricesFixed,
    /// The phase that is open is for those who bring a code of it.
    #[error("this part of the sale is for those who bring a code of it")]
    CodeRequired,
    /// The code is unknown, not for this, or not for now.
    #[error("this code can't be used here now")]
    CodeInvalid,
    /// The code was used as often as it can be.
    #[error("this code was used as often as it can be")]
    CodeExhausted,
    /// There is no such code.
    #[error("there is no such code")]
    NoSuchCode,
    /// There is no such allotment.
    #[error("there is no such allotment")]
    NoSuchAllotment,
    /// What an administrator prepares for the sale can't be so.
    #[error("{field}: {why}")]
    Unfit {
        /// The field of what was asked for.
        field: &'static str,
        why: &'static str,
    },
    /// The user has let too many holds end unpaid in a short time.
    #[error("too many of your holds of this schedule ended unpaid; wait a while")]
    TooManyUnpaid {
        /// How long it is until the first of them no longer counts.
        wait: Seconds,
    },
}

impl Refusal {
    /// Says the same with the ids of the seats that it is about, where the schedule's layout has them.
    pub fn named(&self, layout: &Layout) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            write!(f, "{self}")?;
            for (index, seat) in self.seats().iter().enumerate() {
                f.write_str(if index == 0 { ": " } else { ", " })?;
                // A seat that the venue doesn't have has no id.
                if seat.0 < layout.seat_count() {
                    f.write_str(layout.seat_id(*seat))?;
                } else {
                    write!(f, "#{}", seat.0)?;
                }
            }
            Ok(())
        })
    }

    fn seats(&self) -> &[Seat] {
        match self {
            Self::UnknownSeats { seats }
            | Self::RepeatedSeats { seats }
            | Self::SeatsUnavailable { seats }
            | Self::OrphanSeats { seats }
            | Self::AccessibleSeats { seats } => seats,
            Self::NoSeats
            | Self::TooManySeats { .. }
            | Self::NotOpen
            | Self::SeatLimitExceeded { .. }
            | Self::UnknownGrade
            | Self::UnknownPriceType
            | Self::PriceTypeNotSold
            | Self::UnknownArea
            | Self::NotEnoughPlaces { .. }
            | Self::NotEnoughSeats
            | Self::NoSuchReservation
            | Self::NotHeld
            | Self::Expired
            | Self::PaymentNotUnderWay
            | Self::OtherAmount
            | Self::CancellationClosed
            | Self::InvalidTransition
            | Self::InUse
            | Self::ConcertFixed
            | Self::PricesFixed
            | Self::CodeRequired
            | Self::CodeInvalid
            | Self::CodeExhausted
            | Self::NoSuchCode
            | Self::NoSuchAllotment
            | Self::Unfit { .. }
            | Self::TooManyUnpaid { .. } => &[],
        }
    }
}

/// The answer to a change: the reservation or the schedule as the change left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A reservation.
    Reservation(Reservation),
    /// The schedule.
    Schedule(Summary),
    /// Something of it was put.
    Put {
        /// Whether there was none.
        created: bool,
    },
    /// Codes were generated: those of a batch, by its place.
    Batch(u32),
}

/// A schedule in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// How far the sale is.
    pub status: SaleStatus,
    /// The phase that is open.
    pub phase: Option<PhaseId>,
    /// Its seats by status.
    pub counts: Counts,
    /// Its times, policy and casting.
    pub plan: Arc<Plan>,
    /// The version of its seat map.
    pub seats_version: u64,
}

/// How far a sale is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaleStatus {
    /// Not open yet.
    Upcoming,
    /// Seats can be held.
    Open,
    /// No new holds.
    Closed,
    /// The performance won't happen.
    Cancelled,
}

impl SaleStatus {
    /// Returns the word that clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upcoming => "upcoming",
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A seat's status: exactly one of these (S2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SeatStatus {
    /// Free to be held.
    Available,
    /// Held, or being paid.
    Held,
    /// Sold.
    Reserved,
    /// Off sale.
    Blocked,
}

impl SeatStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Available, Self::Held, Self::Reserved, Self::Blocked];

    /// Returns the word that clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Held => "held",
            Self::Reserved => "reserved",
            Self::Blocked => "blocked",
        }
    }
}

/// How many seats have each status; they add up to the schedule's seats (S2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Free to be held.
    pub available: u32,
    /// Held, or being paid.
    pub held: u32,
    /// Sold.
    pub reserved: u32,
    /// Off sale.
    pub blocked: u32,
}

impl Counts {
    /// Returns the count of a status.
    pub const fn of(&self, status: SeatStatus) -> u32 {
        match status {
            SeatStatus::Available => self.available,
            SeatStatus::Held => self.held,
            SeatStatus::Reserved => self.reserved,
            SeatStatus::Blocked => self.blocked,
        }
    }

    pub(super) const fn of_mut(&mut self, status: SeatStatus) -> &mut u32 {
        match status {
            SeatStatus::Available => &mut self.available,
            SeatStatus::Held => &mut self.held,
            SeatStatus::Reserved => &mut self.reserved,
            SeatStatus::Blocked => &mut self.blocked,
        }
    }

    /// Returns the number of all seats.
    pub const fn total(&self) -> u32 {
        self.available + self.held + self.reserved + self.blocked
    }
}
