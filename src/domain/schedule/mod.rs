//! A schedule: one performance of a concert, the unit of sale, and the state machine of its seats.
//!
//! [`Schedule::decide`] says what a command would do, or why not; [`Schedule::apply`] does what
//! happened. Both are pure: the instant and the random part of an id are given.
//! [`Schedule::due`] says what time alone has brought; every decision is preceded by it, so that a
//! deadline is exact whether or not a timer has fired (S4).
//!
//! Absent on purpose: clocks, randomness, I/O, the wire, other aggregates.
//!
//! Invariants, checked by [`Schedule::check_invariants`]:
//! - a seat has at most one owner, which is a live reservation that lists it (S1);
//! - the counts are those of the seats (S2), in total, by row and by user;
//! - the counts of an area add up to its capacity, and are those of the live reservations that have places of it (A1);
//! - the deadlines are exactly those of held and paying reservations.
//!
//! **The deadline of a payment.** Money through a gateway takes its time, so a payment may move a hold's deadline to its own, once.
//! If it fails, the hold's own deadline is back, also where it has passed meanwhile: then the hold expires. A later payment has the
//! deadline that the first one had. So however often a payment fails, seats are held until the hold's deadline, and paid for
//! by the first payment's at the latest.

mod access;
pub mod allotments;
mod apply;
mod areas;
pub mod codes;
mod command;
mod decide;
mod find;
mod image;
pub mod orders;
mod owner;
pub mod phases;
pub mod policy;
mod prepare;
pub mod pricing;
mod reservation;
pub mod search;
mod sum;
pub mod terms;
mod user_seats;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use areas::Areas;
use hashbrown::HashMap;
use sum::mark_of;

pub use areas::AreaChange;
pub use command::{
    Answer, AnyCommand, Archived, Caller, Command, Counts, Creation, End, Ended, Event, Limits, Refusal,
    ReservationRef, SaleStatus, SeatStatus, Summary,
};
pub use image::Image;
pub use policy::Plan;
pub use reservation::{Reservation, ReservationStatus};
pub use terms::{Pick, Terms, Wish};
use user_seats::UserSeats;

use allotments::Allotments;
use codes::Codes;
use owner::{BLOCKED, FREE, Owner};

use super::concert::Prices;
use super::ids::{
    ConcertId, PaymentNumber, PhaseId, ReservationId, ReservationNumber, ScheduleId, ScheduleNumber, UserId,
    VenueId,
};
use super::keys::{KeyFound, KeyUse, Keys};
use super::money::{Currency, Money};
use super::pages::Pages;
use super::time::Timestamp;
use super::venue::{Layout, Seat};

/// How many ended reservations of one user are kept: a user who holds and gives back in a loop makes the schedule grow no
/// further. Some 300 bytes each, in both copies; one with price types, fees or a code has its lines besides, some 100 bytes each.
pub const ENDED_PER_USER_MAX: usize = 1_000;

/// One performance of a concert, with its seats and reservations.
#[derive(Debug, Clone)]
pub struct Schedule {
    number: ScheduleNumber,
    id: ScheduleId,
    concert: ConcertId,
    venue: VenueId,
    currency: Currency,
    plan: Arc<Plan>,
    limits: Limits,
    layout: Arc<Layout>,

    sale: SaleStatus,
    /// The phase that is open, before the sale is general.
    phase: Option<PhaseId>,
    /// Those that are set, and bound once the sale has opened.
    prices: Option<Arc<Prices>>,
    /// Whether the sale ever opened.
    opened: bool,
    /// How its stream ended, once it has.
    end: Option<End>,
    ever_confirmed: bool,

    owners: Vec<Owner>,
    statuses: Vec<SeatStatus>,
    counts: Counts,
    free_in_row: Vec<u32>,
    /// The places of its areas, where its venue has any.
    areas: Option<Box<Areas>>,
    /// As few schedules have any.
    codes: Option<Box<Codes>>,
    allotments: Option<Box<Allotments>>,

    reservations: Pages<Reservation>,
    last_reservation: u32,
    users: HashMap<UserId, UserSeats>,
    deadlines: BTreeSet<(Timestamp, u32)>,
    /// The holds of which a payment has moved the deadline, by number, with the deadline that doesn't count at present: while such a
    /// payment is under way the hold's own, which is back if it fails, and else the payment's, which the next one has again.
    other_deadlines: BTreeMap<u32, Timestamp>,
    /// The reservations that ended and are forgotten a while later, by when they did.
    ended: BTreeSet<(Timestamp, u32)>,
    /// The reservations that are orders, the oldest first.
    orders: Vec<u32>,
    /// What goes back for reservations that were cancelled and are forgotten, by number, where that isn't all that was paid: the refund
    /// may begin later than they are forgotten.
    part_refunds: BTreeMap<u32, Money>,
    keys: Keys<Answer>,

    version: u64,
    seats_version: u64,
    /// The checksum of the seat map: see [`Schedule::seats_sum`].
    seats_sum: u64,
    last_instant: Timestamp,
    /// The seats whose visible status the last event changed.
    changed: Vec<Seat>,
}

impl Schedule {
    /// Makes the schedule that its first event describes.
    pub fn create(creation: Creation, layout: Arc<Layout>, at: Timestamp) -> Self {
        let seats = usize::try_from(layout.seat_count()).expect("a u32 fits");

        Self {
            number: creation.number,
            id: creation.id,
            concert: creation.concert,
            venue: creation.venue,
            currency: creation.currency,
            plan: creation.plan,
            keys: Keys::new(creation.limits.keys_max),
            limits: creation.limits,
            sale: SaleStatus::Upcoming,
            phase: None,
            prices: creation.prices,
            opened: false,
            end: None,
            ever_confirmed: false,
            owners: vec![FREE; seats],
            statuses: vec![SeatStatus::Available; seats],
            counts: Counts { available: layout.seat_count() + layout.place_count(), ..Counts::default() },
            free_in_row: layout.rows().iter().map(|row| row.len).collect(),
            areas: Areas::of(&layout),
            layout,
            codes: None,
            allotments: None,
            reservations: Pages::default(),
            last_reservation: 0,
            users: HashMap::new(),
            deadlines: BTreeSet::new(),
            other_deadlines: BTreeMap::new(),
            ended: BTreeSet::new(),
            orders: Vec::new(),
            part_refunds: BTreeMap::new(),
            // The event that creates it is its first.
            version: 1,
            seats_version: 0,
            seats_sum: 0,
            last_instant: at,
            changed: Vec::new(),
        }
    }

    /// Returns its number in the log.
    pub fn number(&self) -> ScheduleNumber {
        self.number
    }

    /// Returns its id.
    pub fn id(&self) -> &ScheduleId {
        &self.id
    }

    /// Returns the concert that it performs.
    pub fn concert(&self) -> &ConcertId {
        &self.concert
    }

    /// Returns its venue.
    pub fn venue(&self) -> &VenueId {
        &self.venue
    }

    /// Returns the currency of its prices.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Returns its times, policy and casting.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Returns how much of the past it keeps.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns its seats' layout.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Returns the prices at which it sells, or would if its sale opened now. Of a journal of before, some that never opened have
    /// none.
    pub fn prices(&self) -> Option<&Arc<Prices>> {
        self.prices.as_ref()
    }

    /// Tells whether the sale has ever opened: from then on its prices are bound.
    pub fn has_opened(&self) -> bool {
        self.opened
    }

    /// Tells whether it was removed.
    pub fn is_deleted(&self) -> bool {
        matches!(self.end, Some(End::Removed(_)))
    }

    /// Returns what is left of it, once its stream has ended.
    pub fn ended(&self) -> Option<Ended> {
        let (number, version, last_instant) = (self.number, self.version, self.last_instant);
        Some(Ended { number, version, last_instant, end: self.end? })
    }

    /// Returns the number of events so far.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the version of the seat map: how many events have changed a seat's visible status.
    pub fn seats_version(&self) -> u64 {
        self.seats_version
    }

    /// Returns a sum of every seat's status: two maps of one layout that say the same have the same, and two that don't hardly
    /// ever do. It follows from the statuses, and isn't part of the state.
    pub fn seats_sum(&self) -> u64 {
        self.seats_sum
    }

    /// Returns the instant of the last event.
    pub fn last_instant(&self) -> Timestamp {
        self.last_instant
    }

    /// Returns every seat's status, by the seat's index.
    pub fn statuses(&self) -> &[SeatStatus] {
        &self.statuses
    }

    /// Returns the seats whose visible status the last event changed.
    pub fn changed(&self) -> &[Seat] {
        &self.changed
    }

    /// Returns how many seats, and places of areas, have each status.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns how far the sale is, as its events say: in a phase it is open.
    pub fn sale_status(&self) -> SaleStatus {
        if self.phase.is_some() { SaleStatus::Open } else { self.sale }
    }

    /// Returns how many places of each area have each status, by the area's index.
    pub fn area_counts(&self) -> &[Counts] {
        self.areas.as_deref().map_or(&[], Areas::counts)
    }

    /// Returns the areas whose counts the last event changed.
    pub fn changed_areas(&self) -> impl Iterator<Item = AreaChange> {
        self.areas.iter().flat_map(|areas| areas.changed())
    }

    /// Tells whether the last event changed anything that the seat map shows.
    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty() || self.changed_areas().next().is_some()
    }

    /// Returns how many seats, and places of areas, of each grade are free, by the grade's index.
    pub fn free_by_grade(&self) -> Vec<u32> {
        let mut free = vec![0; self.layout.grades().len()];
        for (row, count) in self.layout.rows().iter().zip(&self.free_in_row) {
            free[row.grade.index()] += count;
        }
        for (area, counts) in self.layout.areas().iter().zip(self.area_counts()) {
            free[area.grade.index()] += counts.available;
        }
        free
    }

    /// Returns the idempotency keys that it has seen.
    pub fn keys(&self) -> &Keys<Answer> {
        &self.keys
    }

    /// Returns how far the sale is at `now`, whether or not the event that says so has come.
    pub fn sale_at(&self, now: Timestamp) -> SaleStatus {
        let opened = match self.sale {
            SaleStatus::Upcoming => self.plan.sales_open_at.is_some_and(|at| at <= now),
            SaleStatus::Open => true,
            SaleStatus::Closed | SaleStatus::Cancelled => false,
        };
        if !opened {
            if self.phase_at(now).is_some() { SaleStatus::Open } else { self.sale }
        } else if self.plan.closes_at() <= now {
            SaleStatus::Closed
        } else {
            SaleStatus::Open
        }
    }

    /// Tells whether the sale has ever opened by `now`: from then on its prices stand.
    pub fn has_opened_by(&self, now: Timestamp) -> bool {
        // A phase may be over by then, so it is no matter of how the sale stands at that instant.
        let opens = earlier(self.plan.sales_open_at, self.phase_due());
        let may_open = self.end.is_none() && self.sale == SaleStatus::Upcoming;
        self.opened || may_open && opens.is_some_and(|at| at <= now)
    }

    /// Returns when the phase that is open closes, or the next one opens; one that was over when the last event happened doesn't.
    fn phase_due(&self) -> Option<Timestamp> {
        let phases = &self.plan.policy.phases;
        match &self.phase {
            None => phases::next_after(phases, self.last_instant).map(|phase| phase.opens_at),
            // A plan that has no such phase now, or a later one, closes it at once.
            Some(open) => {
                let phase = phases.iter().find(|phase| phase.id == *open);
                let phase = phase.filter(|phase| phase.opens_at <= self.last_instant);
                Some(phase.map_or(self.last_instant, |phase| phase.closes_at))
            }
        }
    }

    /// Returns the first instant at which time alone changes something, if there is one.
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.end.is_some() {
            return None;
        }
        let sale = match self.sale {
            SaleStatus::Upcoming => earlier(self.plan.sales_open_at, self.phase_due()),
            SaleStatus::Open => Some(self.plan.closes_at()),
            SaleStatus::Closed | SaleStatus::Cancelled => None,
        };
        let release = self.allotments.as_ref().and_then(|allotments| allotments.next_release());
        let hold = self.deadlines.first().map(|(at, _)| *at);
        earlier(earlier(sale, hold), release)
    }

    /// Finds a reservation by its id; a wrong nonce is no reservation.
    pub fn reservation(&self, id: ReservationRef) -> Option<&Reservation> {
        let found = self.reservations.get(id.number.0);
        found.filter(|reservation| reservation.nonce == id.nonce && reservation.number == id.number)
    }

    /// Finds a reservation by its number alone: for what is told of events, never for a caller's wish.
    pub fn reservation_numbered(&self, number: ReservationNumber) -> Option<&Reservation> {
        self.reservations.get(number.0)
    }

    /// Returns a user's reservations that are kept, in order of their numbers; from either end, one step each.
    pub fn reservations_of<'a>(
        &'a self,
        user: &str,
    ) -> impl DoubleEndedIterator<Item = &'a Reservation> + use<'a> {
        self.reservations_of_before(user, |_| true)
    }

    /// Returns the first of a user's reservations, in order of their numbers: those of which `is_before` is true, as it must be of
    /// none behind one of which it isn't. The place is found in O(log n).
    pub fn reservations_of_before<'a, F: Fn(&Reservation) -> bool>(
        &'a self,
        user: &str,
        is_before: F,
    ) -> impl DoubleEndedIterator<Item = &'a Reservation> + use<'a, F> {
        let kept = move |number: u32| self.reservations.get(number).expect("a user's reservations are kept");
        let numbers = self.users.get(user).map(|user| &user.reservations);
        let first = numbers.map(|numbers| numbers.before(|number| is_before(kept(number))));
        first.into_iter().flatten().map(move |number| kept(*number))
    }

    /// Returns every reservation that is kept, in order of their numbers.
    pub fn reservations(&self) -> impl Iterator<Item = &Reservation> {
        self.reservations.iter()
    }

    /// Returns the first of the reservations that are kept, the newest of them first: those of which `is_before` is true, as it must
    /// be of none behind one of which it isn't.
    pub fn reservations_before<F: Fn(&Reservation) -> bool>(
        &self,
        is_before: F,
    ) -> impl Iterator<Item = &Reservation> + use<'_, F> {
        self.reservations.before(is_before)
    }

    /// Returns every user who has a reservation here that is kept.
    pub fn users(&self) -> impl Iterator<Item = &UserId> {
        self.users.keys()
    }

    /// Tells whether a user has a reservation here that is kept.
    pub fn knows(&self, user: &UserId) -> bool {
        self.users.contains_key(user.as_str())
    }

    /// Returns the reservation that has a seat, if one has.
    pub fn owner(&self, seat: Seat) -> Option<&Reservation> {
        self.reservations.get(*self.owners.get(seat.index())?)
    }

    /// Returns how many live (held or paying) reservations have a deadline.
    pub fn deadline_count(&self) -> usize {
        self.deadlines.len()
    }

    /// Returns the full id of a reservation of this schedule.
    pub fn full_id(&self, reservation: &Reservation) -> ReservationId {
        reservation.full_id(self.number)
    }

    /// Returns the price of a seat, which is bound before the first seat is held.
    pub fn price(&self, seat: Seat) -> Money {
        let prices = self.prices.as_ref().expect("prices are set before a sale opens");
        prices.by_grade[self.layout.grade_of(seat).index()]
    }

    /// Returns the price of several seats together.
    pub fn amount(&self, seats: &[Seat]) -> Money {
        seats.iter().fold(Money::ZERO, |sum, seat| {
            sum.plus(self.price(*seat)).expect("100 seats at the highest price that is let in fit")
        })
    }

    /// Returns what a reservation costs: the sum of its lines, or of its seats' prices where it has no more than seats.
    pub fn amount_of(&self, reservation: &Reservation) -> Money {
        reservation.terms.as_ref().map_or_else(|| self.amount(&reservation.seats), |terms| terms.amount())
    }

    /// Returns the schedule in short.
    pub fn summary(&self) -> Summary {
        Summary {
            status: self.sale_status(),
            phase: self.phase.clone(),
            counts: self.counts,
            plan: Arc::clone(&self.plan),
            seats_version: self.seats_version,
        }
    }

    /// Looks an idempotency key up.
    pub fn find_key(&self, key: KeyUse, now: Timestamp) -> Option<KeyFound<'_, Answer>> {
        self.keys.find(key, now)
    }

    /// Checks every invariant of the module's documentation.
    ///
    /// # Panics
    /// When one doesn't hold.
    pub fn check_invariants(&self) {
        self.check_seats();
        self.check_reservations();
        self.check_prepared();
    }

    fn check_seats(&self) {
        let mut counts = Counts::default();
        let mut sum = 0;
        let mut free_in_row = vec![0; self.layout.rows().len()];

        for seat in self.layout.seats() {
            let (owner, status) = (self.owners[seat.index()], self.statuses[seat.index()]);
            let expected = match owner {
                FREE => SeatStatus::Available,
                BLOCKED => SeatStatus::Blocked,
                mark if allotments::is_mark(mark) => SeatStatus::Blocked,
                number => {
                    let reservation = self.reservations.get(number).expect("S1: the owner of a seat is kept");
                    assert!(reservation.status.is_live(), "S1: an ended reservation owns a seat");
                    assert!(reservation.seats.contains(&seat), "S1: the owner doesn't list the seat");
                    seat_status_of(reservation.status)
                }
            };

            assert_eq!(status, expected, "S2: a seat's status is its owner's");
            *counts.of_mut(status) += 1;
            sum ^= mark_of(seat, status);
            if owner == FREE {
                free_in_row[self.layout.row_index(seat)] += 1;
            }
        }

        if let Some(areas) = &self.areas {
            areas.check(&self.layout);
            sum ^= areas.sum();
            for (area, status) in areas.counts().iter().flat_map(|area| SeatStatus::ALL.map(|of| (area, of)))
            {
                *counts.of_mut(status) += area.of(status);
            }
        }

        assert_eq!(counts, self.counts, "S2: the counts add up");
        assert_eq!(sum, self.seats_sum, "the sum is that of the statuses");
        let total = self.layout.seat_count() + self.layout.place_count();
        assert_eq!(counts.total(), total, "S2: no seat is lost");
        assert_eq!(free_in_row, self.free_in_row, "S2: the rows' counts add up");
        assert!(self.prices.is_some() || !self.opened, "a sale that opened has its prices");
    }

    fn check_reservations(&self) {
        let mut live: HashMap<&UserId, u32> = HashMap::new();
        let mut deadlines = BTreeSet::new();
        let mut kept = 0;
        let mut places = vec![Counts::default(); self.layout.areas().len()];

        for reservation in self.reservations.iter() {
            let number = &reservation.number.0;
            assert_eq!(self.reservations.get(*number), Some(reservation));
            assert!(reservation.number.count() <= self.last_reservation);
            if reservation.status.is_live() {
                for seat in &*reservation.seats {
                    assert_eq!(self.owners[seat.index()], *number, "S1: a live reservation owns its seats");
                }
                if let Some(user) = &reservation.user {
                    *live.entry(user).or_default() += reservation.places();
                }
                for area in reservation.terms.iter().flat_map(|terms| &*terms.areas) {
                    *places[area.area.index()].of_mut(seat_status_of(reservation.status)) += area.count;
                }
            }

            if reservation.status.has_deadline() {
                deadlines.insert((reservation.expires_at, *number));
            }

            if reservation.user.is_none() {
                assert!(reservation.order().is_some(), "only an order is nobody's");
                kept += 1;
            }
        }

        let orders = self.reservations.iter().filter(|kept| kept.order().is_some());
        assert!(
            orders.map(|order| order.number.0).eq(self.orders.iter().copied()),
            "orders are known as such"
        );
        for order in self.orders() {
            let number = order.payment.map(|payment| payment.number);
            assert_eq!(
                number.and_then(PaymentNumber::order),
                Some(order.number),
                "M2: an order is its payment"
            );
        }

        for (counts, places) in self.area_counts().iter().zip(&places) {
            let own = [SeatStatus::Held, SeatStatus::Reserved];
            assert_eq!(own.map(|status| counts.of(status)), own.map(|status| places.of(status)), "A1");
        }

        assert_eq!(deadlines, self.deadlines, "S4: every hold has its deadline");
        for number in self.other_deadlines.keys() {
            let reservation = self.reservations.get(*number).expect("what has another deadline is kept");
            assert!(reservation.status.has_deadline() && reservation.deadline_moved, "S4: it was moved");
        }

        let ended = self.reservations.iter().filter_map(|kept| Some((kept.leaves_since()?, kept.number.0)));
        assert!(ended.collect::<BTreeSet<_>>() == self.ended, "what ended is known by when it did");

        for (user, seats) in &self.users {
            let own = seats.reservations.iter().filter_map(|number| self.reservations.get(*number));
            let ended = own.filter(|own| own.may_be_forgotten());
            let ended: BTreeSet<_> =
                ended.map(|own| (own.ended_at.expect("it ended"), own.number.0)).collect();
            assert!(seats.ended().eq(ended.iter().copied()), "those that ended are known by when they did");
            assert!(ended.len() <= ENDED_PER_USER_MAX, "B1: a user has so many ended reservations");
            assert_eq!(live.get(user).copied().unwrap_or_default(), seats.live, "a user's live seats");
            assert!(seats.reservations.iter().is_sorted(), "a user's reservations are in order");
            assert!(!seats.reservations.is_empty(), "a user without reservations is forgotten");
            kept += seats.reservations.len();
        }

        assert_eq!(kept, self.reservations.len(), "every reservation is its user's");
    }
}

impl PartialEq for Schedule {
    /// Compares all that replay must bring back (R1).
    fn eq(&self, other: &Self) -> bool {
        Image::of(self) == Image::of(other)
            && self.statuses == other.statuses
            && self.counts == other.counts
            && self.area_counts() == other.area_counts()
            && self.users == other.users
            && self.deadlines == other.deadlines
    }
}

/// Returns the earlier of two instants that there may be.
fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Returns the status that a live reservation gives its seats.
fn seat_status_of(status: ReservationStatus) -> SeatStatus {
    match status {
        ReservationStatus::Confirmed => SeatStatus::Reserved,
        ReservationStatus::Held | ReservationStatus::Paying => SeatStatus::Held,
        ReservationStatus::Cancelled | ReservationStatus::Released | ReservationStatus::Expired => {
            SeatStatus::Available
        }
    }
}

#[cfg(test)]
mod tests;
