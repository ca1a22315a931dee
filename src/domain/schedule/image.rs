//! A schedule's state without what follows from it: what a snapshot keeps, and what two states are
//! compared by.
//!
//! It shares the reservations and the keys with the schedule, so that taking it holds a schedule still for a moment only.

use std::sync::Arc;

use super::allotments::AllotmentTerms;
use super::codes::Codes;
use super::command::{Answer, Creation, Limits, SaleStatus, SeatStatus};
use super::{BLOCKED, ENDED_PER_USER_MAX, FREE, Plan, Reservation, Schedule, mark_of, seat_status_of};
use crate::domain::concert::Prices;
use crate::domain::ids::{ConcertId, PhaseId, ScheduleId, ScheduleNumber, UserId, VenueId};
use crate::domain::keys::{KeyList, Keys};
use crate::domain::money::{Currency, Money};
use crate::domain::pages::Pages;
use crate::domain::time::Timestamp;
use crate::domain::venue::{Layout, Seat};

/// Everything of a schedule that doesn't follow from the rest, in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `Schedule` and its getters")]
pub struct Image {
    pub number: ScheduleNumber,
    pub id: ScheduleId,
    pub concert: ConcertId,
    pub venue: VenueId,
    pub currency: Currency,
    pub plan: Arc<Plan>,
    pub limits: Limits,
    pub sale: SaleStatus,
    pub prices: Option<Arc<Prices>>,
    pub opened: bool,
    pub ever_confirmed: bool,
    /// The phase that is open.
    pub phase: Option<PhaseId>,
    pub blocked: Vec<Seat>,
    pub codes: Option<Box<Codes>>,
    /// In order of their ids.
    pub allotments: Vec<Arc<AllotmentTerms>>,
    /// By number.
    pub reservations: Pages<Reservation>,
    pub last_reservation: u32,
    /// The reservations that ended, by when they did.
    pub ended: Vec<(Timestamp, u32)>,
    /// The deadlines that don't count at present of holds of which a payment has moved it, by number.
    pub other_deadlines: Vec<(u32, Timestamp)>,
    /// What goes back for cancelled reservations that are forgotten, where that isn't all, by number.
    pub part_refunds: Vec<(u32, Money)>,
    pub keys: KeyList<Answer>,
    pub version: u64,
    pub seats_version: u64,
    pub last_instant: Timestamp,
}

impl Image {
    /// Takes the image of a schedule.
    pub fn of(schedule: &Schedule) -> Self {
        Self {
            number: schedule.number,
            id: schedule.id.clone(),
            concert: schedule.concert.clone(),
            venue: schedule.venue.clone(),
            currency: schedule.currency,
            plan: Arc::clone(&schedule.plan),
            limits: schedule.limits,
            sale: schedule.sale,
            prices: schedule.prices.clone(),
            opened: schedule.opened,
            ever_confirmed: schedule.ever_confirmed,
            phase: schedule.phase.clone(),
            codes: schedule.codes.clone(),
            allotments: schedule.allotments(),
            blocked: schedule
                .layout
                .seats()
                .filter(|seat| schedule.owners[seat.index()] == BLOCKED)
                .collect(),
            reservations: schedule.reservations.clone(),
            last_reservation: schedule.last_reservation,
            ended: schedule.ended.iter().copied().collect(),
            other_deadlines: schedule.other_deadlines.iter().map(|(number, at)| (*number, *at)).collect(),
            part_refunds: schedule.part_refunds.iter().map(|(number, back)| (*number, *back)).collect(),
            keys: schedule.keys.list(),
            version: schedule.version,
            seats_version: schedule.seats_version,
            last_instant: schedule.last_instant,
        }
    }

    /// Makes the schedule again.
    ///
    /// # Panics
    /// When the image contradicts itself or the layout, which a checked snapshot doesn't.
    pub fn restore(self, layout: Arc<Layout>) -> Schedule {
        let creation = Creation {
            number: self.number,
            id: self.id,
            concert: self.concert,
            venue: self.venue,
            currency: self.currency,
            plan: self.plan,
            limits: self.limits,
            prices: self.prices,
        };

        let mut schedule = Schedule::create(creation, layout, self.last_instant);
        schedule.sale = self.sale;
        schedule.opened = self.opened;
        schedule.ever_confirmed = self.ever_confirmed;
        schedule.phase = self.phase;
        schedule.codes = self.codes;

        for seat in self.blocked {
            schedule.place(seat, BLOCKED, SeatStatus::Blocked);
        }

        // Users, deadlines and counts aren't in an image: they follow from its reservations.
        schedule.last_reservation = self.last_reservation;
        for reservation in self.reservations.iter() {
            schedule.restore_reservation(reservation);
        }

        schedule.reservations = self.reservations;
        for terms in &self.allotments {
            schedule.restore_allotment(terms);
        }
        schedule.other_deadlines = self.other_deadlines.into_iter().collect();
        schedule.part_refunds = self.part_refunds.into_iter().collect();
        schedule.keys = Keys::restore(self.limits.keys_max, self.keys);

        // An image of before this bound may have more.
        let many = |user: &&UserId| schedule.users[*user].ended_count() > ENDED_PER_USER_MAX;
        let users: Vec<UserId> = schedule.users.keys().filter(many).cloned().collect();
        for user in &users {
            schedule.forget_surplus(user, None);
        }

        if let Some(areas) = &mut schedule.areas {
            areas.begin();
        }

        schedule.version = self.version;
        schedule.seats_version = self.seats_version;
        schedule
    }
}

impl Schedule {
    /// Adds a reservation to the indexes and to the seat map.
    fn restore_reservation(&mut self, reservation: &Reservation) {
        let number = reservation.number.0;
        // By the reservations themselves: an early image lists some that were confirmed after all.
        self.ended.extend(reservation.leaves_since().map(|at| (at, number)));
        if reservation.order().is_some() {
            self.orders.push(number);
        }
        if let Some(user) = &reservation.user {
            let user = self.users.entry(user.clone()).or_default();
            user.reservations.push(number);
            if let Some(ended_at) = reservation.ended_at.filter(|_| reservation.may_be_forgotten()) {
                user.add_ended(ended_at, number);
            }
            if reservation.status.is_live() {
                user.live += reservation.places();
            }
        }
        if reservation.status.is_live() {
            for seat in &*reservation.seats {
                self.place(*seat, number, seat_status_of(reservation.status));
            }
            let status = seat_status_of(reservation.status);
            // Allotments come later, and have what is left.
            self.give_areas(reservation.terms.as_deref(), None, Some(status));
        }
        if reservation.status.has_deadline() {
            self.deadlines.insert((reservation.expires_at, number));
        }
    }

    /// Gives an allotment those of its seats, and of its shares of areas, that no reservation has.
    fn restore_allotment(&mut self, terms: &Arc<AllotmentTerms>) {
        let mark = self.set_shares(terms);
        for seat in &*terms.seats {
            if self.owners[seat.index()] == FREE {
                self.place(*seat, mark, SeatStatus::Blocked);
                self.allotments.as_mut().expect("set just now").pass(FREE, mark);
            }
        }
    }

    /// Gives a free seat to an owner, without telling anyone.
    fn place(&mut self, seat: Seat, owner: u32, status: SeatStatus) {
        let index = seat.index();
        assert_eq!(self.statuses[index], SeatStatus::Available, "S1: a seat has one owner");
        self.owners[index] = owner;
        self.statuses[index] = status;
        self.seats_sum ^= mark_of(seat, status);
        self.counts.available -= 1;
        *self.counts.of_mut(status) += 1;
        self.free_in_row[self.layout.row_index(seat)] -= 1;
    }
}
