//! Applies events. The same code runs live and in recovery; it can't fail, reads no clock and sends
//! nothing. An event that contradicts the state is a bug or damage: the assertions stop it.

use std::sync::Arc;

use super::allotments::is_mark;
use super::codes::Codes;
use super::command::{Answer, Archived, End, Event, SaleStatus, SeatStatus};
use super::{
    BLOCKED, ENDED_PER_USER_MAX, FREE, Owner, Reservation, ReservationStatus, Schedule, Terms, mark_of,
    seat_status_of,
};
use crate::domain::concert::Prices;
use crate::domain::ids::{PaymentId, ReservationNumber, UserId};
use crate::domain::keys::KeyUse;
use crate::domain::time::{Seconds, Timestamp};
use crate::domain::venue::{Area, Seat};

impl Schedule {
    /// Applies an event that happened at `at`; `key` is the idempotency key whose effect it is.
    ///
    /// # Panics
    /// When the event contradicts the state, which no decided event does.
    pub fn apply(&mut self, event: &Event, at: Timestamp, key: Option<KeyUse>) {
        assert!(at >= self.last_instant, "S4: time never runs backwards for a schedule");
        assert_eq!(self.end, None, "a stream that ended has no more events");

        self.version += 1;
        self.last_instant = at;
        self.changed.clear();
        if let Some(areas) = &mut self.areas {
            areas.begin();
        }

        let touched = self.change(event, at, key);
        // One version an event, however many seats it changes: a follower takes them all at once.
        if self.has_changed() {
            self.seats_version += 1;
        }
        // A journal of before `ENDED_PER_USER_MAX` may name one that is forgotten by now: there is no answer to keep.
        let is_kept = touched.is_none_or(|number| self.reservations.get(number.0).is_some());
        if let Some(key) = key.filter(|_| is_kept) {
            let answer = self.answer_to(event, touched);
            self.keys.keep(key, self.version, at, answer);
        } else {
            self.keys.forget_old(at);
        }
        // Last: the answer that a key keeps is of the state before anything is forgotten.
        self.forget_ended(at);
    }

    /// Returns the answer to a change by its event, right after it.
    ///
    /// # Panics
    /// As [`Schedule::answer`].
    pub fn answer_to(&self, event: &Event, touched: Option<ReservationNumber>) -> Answer {
        if let Event::CodePut { created, .. } | Event::AllotmentSet { created, .. } = event {
            Answer::Put { created: *created }
        } else if let Event::CodesMade { .. } = event {
            Answer::Batch(self.codes().map_or(0, Codes::batch_count) - 1)
        } else {
            self.answer(touched)
        }
    }

    /// Returns the answer to a change: the reservation that it touched, or the schedule.
    ///
    /// # Panics
    /// When the schedule has no such reservation.
    pub fn answer(&self, touched: Option<ReservationNumber>) -> Answer {
        match touched {
            Some(number) => {
                let kept =
                    self.reservations.get(number.0).expect("a change names a reservation that is kept");
                Answer::Reservation(kept.clone())
            }
            None => Answer::Schedule(self.summary()),
        }
    }

    /// Does the event and returns the reservation that it is about.
    fn change(&mut self, event: &Event, at: Timestamp, key: Option<KeyUse>) -> Option<ReservationNumber> {
        match event {
            Event::Created(_) => unreachable!("a schedule is created once"),
            Event::Replanned { plan } => self.plan = Arc::clone(plan),
            Event::LimitsSet { limits } => {
                self.limits = *limits;
                self.keys.set_max(limits.keys_max);
            }

            Event::SalesOpened { prices } => {
                self.sale = SaleStatus::Open;
                self.phase = None;
                self.bind(prices.as_ref());
            }
            Event::PhaseOpened { phase, prices } => {
                assert_eq!((self.sale, &self.phase), (SaleStatus::Upcoming, &None), "one phase at a time");
                self.phase = Some(phase.clone());
                self.bind(prices.as_ref());
            }
            Event::PhaseClosed { phase } => {
                let open = self.phase.take();
                assert_eq!(open.as_ref(), Some(phase), "only what is open closes");
            }
            Event::PricesSet { prices } => {
                assert!(!self.opened, "the prices of a sale that opened stand");
                self.prices = Some(Arc::clone(prices));
            }

            Event::SalesClosed => {
                self.sale = SaleStatus::Closed;
                self.phase = None;
            }
            Event::ScheduleCancelled => self.cancel_schedule(at),
            Event::Deleted => self.end = Some(End::Removed(key)),
            Event::Archived { payments } => {
                let (version, payments, opened) = (self.version - 1, *payments, self.opened);
                self.end = Some(End::Archived(Archived { version, payments, opened }));
            }
            Event::SeatsBlocked { seats } => self.give(seats, FREE, BLOCKED, SeatStatus::Blocked),
            Event::SeatsUnblocked { seats } => self.give(seats, BLOCKED, FREE, SeatStatus::Available),

            Event::CodePut { code, terms, created: _ } => self.codes_mut().put(code, terms),
            Event::CodesMade { prefix, terms, drawn } => self.codes_mut().add(prefix, terms, drawn),
            Event::CodeEnded { code } => self.codes_mut().end(code),
            Event::AllotmentSet { terms, created: _ } => self.apply_allotment(terms),
            Event::AllotmentReleased { id, seats, areas } => self.apply_release(id, seats, areas),

            Event::SeatsHeld { number, nonce, user, seats, expires_at, terms } => {
                self.reserve(Reservation {
                    number: *number,
                    nonce: *nonce,
                    user: Some(user.clone()),
                    seats: Arc::clone(seats),
                    terms: terms.clone(),
                    status: ReservationStatus::Held,
                    created_at: at,
                    expires_at: *expires_at,
                    confirmed_at: None,
                    cancelled_at: None,
                    ended_at: None,
                    payment: None,
                    deadline_moved: false,
                    recovered: false,
                });
                return Some(*number);
            }
            Event::Ordered { number, .. } => {
                self.apply_order(event, at);
                return Some(*number);
            }
            Event::SeatsExchanged { number, seats, terms } => {
                self.exchange_seats(*number, seats, terms.as_ref());
                return Some(*number);
            }
            Event::HoldReleased { number } => {
                self.end(*number, ReservationStatus::Released, at);
                return Some(*number);
            }
            Event::HoldExpired { number } => {
                self.end(*number, ReservationStatus::Expired, at);
                return Some(*number);
            }

            Event::PaymentBegun { number, payment, expires_at, held_until } => {
                self.begin_payment_of(*number, *payment, *expires_at, *held_until);
                return Some(*number);
            }
            Event::PaymentFailed { number, expires_at } => {
                self.fail_payment_of(*number, *expires_at);
                return Some(*number);
            }

            Event::ReservationConfirmed { number, payment } => {
                self.confirm_reservation(*number, *payment, at);
                return Some(*number);
            }
            Event::ReservationCancelled { number } => {
                self.end(*number, ReservationStatus::Cancelled, at);
                return Some(*number);
            }

            Event::OutageBridged { began, down_since } => self.move_deadlines(*began, *down_since, at),
            Event::KeyKept { number } => return *number,
        }

        None
    }

    /// Begins a reservation: its places become its own.
    pub(super) fn reserve(&mut self, reservation: Reservation) {
        let number = reservation.number;
        assert_eq!(number.count(), self.last_reservation + 1, "reservations are numbered in order");
        self.last_reservation = number.count();

        let status = seat_status_of(reservation.status);
        self.take(&reservation, status);

        if let Some(user) = &reservation.user {
            let entry = self.users.entry(user.clone()).or_default();
            entry.live += reservation.places();
            entry.reservations.push(number.0);
        }
        if reservation.status.has_deadline() {
            self.deadlines.insert((reservation.expires_at, number.0));
        }

        self.reservations.insert(number.0, reservation);
    }

    fn exchange_seats(&mut self, number: ReservationNumber, seats: &Arc<[Seat]>, terms: Option<&Arc<Terms>>) {
        let reservation = self.get_mut(number);
        assert_eq!(reservation.status, ReservationStatus::Held);
        let user = reservation.user.clone();
        let had = reservation.places();
        let old = core::mem::replace(&mut reservation.seats, Arc::clone(seats));
        let old_terms = core::mem::replace(&mut reservation.terms, terms.cloned());
        let has = reservation.places();

        // A seat that stays changes nothing that anyone sees: only the others are passed on.
        let gone: Vec<Seat> = old.iter().filter(|seat| !seats.contains(seat)).copied().collect();
        let come: Vec<Seat> = seats.iter().filter(|seat| !old.contains(seat)).copied().collect();
        let (old_terms, terms) = (old_terms.as_deref(), terms.map(|terms| &**terms));
        self.give_home(&gone, number.0, old_terms.and_then(|terms| terms.allotment.as_ref()));
        let allotment = terms.and_then(|terms| terms.allotment.as_ref());
        self.take_home(&come, number.0, allotment, SeatStatus::Held);
        self.give_areas(old_terms, Some(SeatStatus::Held), None);
        self.give_areas(terms, None, Some(SeatStatus::Held));

        // The same code is used as often as before, perhaps for another number of places.
        if let Some(code) = old_terms.and_then(|terms| terms.code.as_deref()) {
            self.codes_mut().give_back(code, had);
        }
        if let Some(code) = terms.and_then(|terms| terms.code.as_deref()) {
            self.codes_mut().use_once(code, has);
        }

        if let Some(entry) = self.user_mut(user.as_ref()) {
            entry.live = entry.live - had + has;
        }
    }

    fn begin_payment_of(
        &mut self,
        number: ReservationNumber,
        payment: PaymentId,
        expires_at: Timestamp,
        held_until: Option<Timestamp>,
    ) {
        let reservation = self.get_mut(number);
        assert_eq!(reservation.status, ReservationStatus::Held);
        reservation.status = ReservationStatus::Paying;
        reservation.payment = Some(payment);
        reservation.deadline_moved |= expires_at > reservation.expires_at;

        let old = self.set_deadline(number, expires_at);
        if let Some(held_until) = held_until {
            assert_eq!(held_until, old, "S4: what is back is what there was");
            self.other_deadlines.insert(number.0, held_until);
        }
    }

    fn fail_payment_of(&mut self, number: ReservationNumber, expires_at: Option<Timestamp>) {
        let reservation = self.get_mut(number);
        assert_eq!(reservation.status, ReservationStatus::Paying);
        reservation.status = ReservationStatus::Held;
        reservation.payment = None;

        let Some(expires_at) = expires_at else { return };
        let paid_until = self.set_deadline(number, expires_at);
        let own = self.other_deadlines.insert(number.0, paid_until);
        assert_eq!(own, Some(expires_at), "S4: the hold's own deadline is back");
    }

    fn confirm_reservation(&mut self, number: ReservationNumber, payment: PaymentId, at: Timestamp) {
        let reservation = self.get_mut(number);
        let (seats, terms) = (Arc::clone(&reservation.seats), reservation.terms.clone());
        let (user, places) = (reservation.user.clone(), reservation.places());
        let (was, expires_at) = (reservation.status, reservation.expires_at);
        let own = reservation.payment.replace(payment);
        assert!(own.is_none_or(|own| own == payment), "M2: its own payment");
        reservation.status = ReservationStatus::Confirmed;
        reservation.confirmed_at = Some(at);
        let ended_at = reservation.ended_at.take();
        self.ever_confirmed = true;

        match was {
            ReservationStatus::Held | ReservationStatus::Paying => {
                self.deadlines.remove(&(expires_at, number.0));
                self.other_deadlines.remove(&number.0);
                self.give(&seats, number.0, number.0, SeatStatus::Reserved);
                self.give_areas(terms.as_deref(), Some(SeatStatus::Held), Some(SeatStatus::Reserved));
            }

            // Money that came after the deadline: its seats went back on sale, and are taken once more.
            ReservationStatus::Expired => {
                let ended_at = ended_at.expect("what expired has ended");
                self.ended.remove(&(ended_at, number.0));
                let reservation = self.get_mut(number).clone();
                self.take(&reservation, SeatStatus::Reserved);
                if let Some(entry) = self.user_mut(user.as_ref()) {
                    entry.live += places;
                    // It is there where no payment was under way.
                    entry.remove_ended(ended_at, number.0);
                }
            }
            ReservationStatus::Confirmed | ReservationStatus::Cancelled | ReservationStatus::Released => {
                unreachable!("only what lives unpaid or has expired is confirmed")
            }
        }
    }

    /// Ends a live reservation: its seats go back on sale.
    fn end(&mut self, number: ReservationNumber, ending: ReservationStatus, at: Timestamp) {
        let reservation = self.get_mut(number);
        assert!(reservation.status.is_live(), "only what lives can end");

        let had_deadline = reservation.status.has_deadline();
        let was = seat_status_of(reservation.status);
        reservation.status = ending;
        reservation.ended_at = Some(at);
        if ending == ReservationStatus::Cancelled {
            reservation.cancelled_at = Some(at);
        }

        let (seats, terms) = (Arc::clone(&reservation.seats), reservation.terms.clone());
        let (user, places) = (reservation.user.clone(), reservation.places());
        let (may_be_forgotten, leaves_since) = (reservation.may_be_forgotten(), reservation.leaves_since());
        let deadline = (reservation.expires_at, number.0);
        if had_deadline {
            self.deadlines.remove(&deadline);
            self.other_deadlines.remove(&number.0);
        }

        assert_eq!(seat_status_of(ending), SeatStatus::Available, "what ended has no seats");
        match &terms {
            None => self.give(&seats, number.0, FREE, SeatStatus::Available),
            Some(terms) => {
                self.give_home(&seats, number.0, terms.allotment.as_ref());
                // What was paid for has used its code for good.
                if let Some(code) = terms.code.as_deref().filter(|_| had_deadline) {
                    self.codes_mut().give_back(code, places);
                }
            }
        }
        self.give_areas(terms.as_deref(), Some(was), None);

        self.ended.extend(leaves_since.map(|at| (at, number.0)));
        if let Some(entry) = self.user_mut(user.as_ref()) {
            entry.live -= places;
            if may_be_forgotten {
                entry.add_ended(at, number.0);
            }
        }
        if let Some(user) = &user {
            self.forget_surplus(user, Some(number));
        }
    }

    /// Forgets the ended reservations that a user has too many, those that ended first; never `but`, which ended just now.
    pub(super) fn forget_surplus(&mut self, user: &str, but: Option<ReservationNumber>) {
        while let Some(kept) = self.users.get(user)
            && kept.ended_count() > ENDED_PER_USER_MAX
        {
            let is_other = |number: &u32| but.is_none_or(|but| but.0 != *number);
            let Some(first) = kept.ended().map(|(_, number)| number).find(is_other) else { break };

            self.forget(first);
        }
    }

    fn forget(&mut self, number: u32) {
        let reservation = self.reservations.remove(number).expect("what is forgotten was kept");
        assert!(reservation.order().is_none(), "an order is never forgotten");
        let back = self.refund_of(&reservation);
        if reservation.status == ReservationStatus::Cancelled && back < self.amount_of(&reservation) {
            self.part_refunds.insert(number, back);
        }

        let user = reservation.user.as_ref().expect("what isn't an order has a user");
        let entry = self.users.get_mut(user.as_str()).expect("a user with a reservation is known");
        entry.reservations.remove(number);
        if let Some(at) = reservation.ended_at {
            entry.remove_ended(at, number);
            self.ended.remove(&(at, number));
        }

        if entry.reservations.is_empty() {
            self.users.remove(user.as_str());
        }
    }

    /// Binds the prices at which a sale opens, where it never has.
    fn bind(&mut self, prices: Option<&Arc<Prices>>) {
        if let Some(prices) = prices {
            assert!(!self.opened, "prices are bound once");
            // A journal of before has them here alone.
            let bound = self.prices.get_or_insert_with(|| Arc::clone(prices));
            assert_eq!(bound, prices, "a sale opens at the prices that are set");
            self.opened = true;
        }
        assert!(self.opened, "an open sale has its prices");
    }

    fn cancel_schedule(&mut self, at: Timestamp) {
        self.sale = SaleStatus::Cancelled;
        self.phase = None;
        let live = |reservation: &&Reservation| reservation.status.is_live();
        let numbers: Vec<ReservationNumber> =
            self.reservations.iter().filter(live).map(|reservation| reservation.number).collect();
        for number in numbers {
            let reservation = self.get_mut(number);
            let ending = match reservation.status {
                ReservationStatus::Confirmed => {
                    // Nobody chose to give it back: fees go back, too.
                    if let Some(terms) = &mut reservation.terms {
                        Terms::refund_all(terms);
                    }
                    ReservationStatus::Cancelled
                }
                ReservationStatus::Held
                | ReservationStatus::Paying
                | ReservationStatus::Cancelled
                | ReservationStatus::Released
                | ReservationStatus::Expired => ReservationStatus::Released,
            };
            self.end(number, ending, at);
        }
    }

    /// Gives every hold that lived when the engine went down its time back: a deadline moves by the
    /// downtime, and at least to the grace after readiness where it would have come meanwhile.
    fn move_deadlines(&mut self, began: Timestamp, down_since: Timestamp, ready: Timestamp) {
        let downtime = ready.millis_since(down_since);
        let grace = ready.plus(self.plan.policy.recovery_grace);
        // By how much a start that died has moved them: without that, they would have come by then.
        let come_by = ready.plus_millis(down_since.millis_since(began));
        let moved_from = |deadline: Timestamp| {
            let moved = deadline.plus_millis(downtime);
            if deadline <= come_by { moved.max(grace) } else { moved }
        };

        let lived = self.deadlines.split_off(&(down_since.plus_millis(1), 0));
        for (deadline, number) in lived {
            let moved = moved_from(deadline);
            // A hold's own deadline that a payment outlived before the engine went down has passed for good.
            let other = self.other_deadlines.get_mut(&number).filter(|other| **other > down_since);
            if let Some(other) = other {
                *other = moved_from(*other);
            }
            let reservation = self.get_mut(ReservationNumber(number));
            reservation.expires_at = moved;
            reservation.recovered = true;
            self.deadlines.insert((moved, number));
        }
    }

    /// Sets a reservation's deadline; returns the old one.
    fn set_deadline(&mut self, number: ReservationNumber, deadline: Timestamp) -> Timestamp {
        let old = core::mem::replace(&mut self.get_mut(number).expires_at, deadline);
        self.deadlines.remove(&(old, number.0));
        self.deadlines.insert((deadline, number.0));
        old
    }

    /// Hands seats from one owner to another (S1: each seat must be found with `from`).
    pub(super) fn give(&mut self, seats: &[Seat], from: Owner, to: Owner, status: SeatStatus) {
        for seat in seats {
            let index = seat.index();
            let owner = core::mem::replace(&mut self.owners[index], to);
            assert_eq!(owner, from, "S1: a seat passes only from its owner");
            if (is_mark(from) || is_mark(to))
                && let Some(allotments) = &mut self.allotments
            {
                allotments.pass(from, to);
            }
            if (from == FREE) != (to == FREE) {
                let free = &mut self.free_in_row[self.layout.row_index(*seat)];
                *free = if to == FREE { *free + 1 } else { *free - 1 };
            }
            let old = core::mem::replace(&mut self.statuses[index], status);
            if old != status {
                *self.counts.of_mut(old) -= 1;
                *self.counts.of_mut(status) += 1;
                self.seats_sum ^= mark_of(*seat, old) ^ mark_of(*seat, status);
                self.changed.push(*seat);
            }
        }
    }

    /// Hands places of an area from one status to another (A1: there must be as many of the first).
    pub(super) fn give_places(&mut self, area: Area, count: u32, from: SeatStatus, to: SeatStatus) {
        let areas = self.areas.as_mut().expect("an event names an area that the venue has");
        self.seats_sum ^= areas.give(area, count, from, to);
        *self.counts.of_mut(from) -= count;
        *self.counts.of_mut(to) += count;
    }

    fn get_mut(&mut self, number: ReservationNumber) -> &mut Reservation {
        self.reservations.get_mut(number.0).expect("an event names a reservation that is kept")
    }

    /// Returns what is known of a reservation's user, where it has one.
    fn user_mut(&mut self, user: Option<&UserId>) -> Option<&mut super::UserSeats> {
        let user = user?;
        Some(self.users.get_mut(user.as_str()).expect("a user with a reservation is known"))
    }

    /// Forgets ended reservations whose retention is over at `now`.
    fn forget_ended(&mut self, now: Timestamp) {
        let retention: Seconds = self.limits.ended_retention;
        while let Some((at, number)) = self.ended.first().copied()
            && at.plus(retention) <= now
        {
            self.forget(number);
        }
    }
}
