//! Decides commands: the event, or the refusal. Nothing changes here.

use std::sync::Arc;

use super::access::Access;
use super::allotments::MARKS_FROM;
use super::codes::Standing;
use super::command::{
    AnyCommand, Archived, Caller, Command, Event, Limits, Refusal, ReservationRef, SaleStatus,
};
use super::find::{Kept, Places};
use super::policy::Plan;
use super::search::FreeSeats;
use super::terms::{Pick, Wish};
use super::{BLOCKED, FREE, Owner, Reservation, ReservationStatus, Schedule, phases};
use crate::domain::concert::Prices;
use crate::domain::ids::{ConcertId, PaymentId, ReservationNumber, UserId, count_of};
use crate::domain::money::Money;
use crate::domain::time::{Seconds, Timestamp};
use crate::domain::venue::{Seat, Seating};

/// The time over which holds that end unpaid are counted.
const UNPAID_WINDOW: Seconds = Seconds::new(3_600);
/// A sale that opens within this time counts as open where prices would change: the concert's change must be durable before the first
/// seat is sold.
const REPRICE_MARGIN: Seconds = Seconds::new(5);

/// One event, nothing to do (it is so already), or a refusal.
pub(super) type Decision = Result<Option<Event>, Refusal>;

impl Schedule {
    /// Returns the next event that time alone has brought by `now`, if there is one.
    ///
    /// Call it and apply what it returns until it returns nothing; only then decide.
    pub fn due(&self, now: Timestamp) -> Option<Event> {
        let due = self.next_due()?;
        if due > now {
            return None;
        }
        if let Some((at, number)) = self.deadlines.first()
            && *at == due
        {
            return Some(Event::HoldExpired { number: ReservationNumber(*number) });
        }
        if let Some(released) = self.allotments.as_ref().and_then(|allotments| allotments.due(due)) {
            return Some(self.released(released));
        }
        match self.sale {
            SaleStatus::Upcoming if self.phase_due() == Some(due) => Some(self.phase_moved()),
            SaleStatus::Upcoming => Some(self.sales_opened()),
            SaleStatus::Open => Some(Event::SalesClosed),
            SaleStatus::Closed | SaleStatus::Cancelled => {
                unreachable!("only a sale that can open or close by itself is due")
            }
        }
    }

    /// Decides a command at `now`, after everything due by then was applied, in a venue without accessible seats.
    ///
    /// # Errors
    /// A [`Refusal`], which changes nothing.
    pub fn decide(&self, command: &AnyCommand, now: Timestamp) -> Decision {
        self.decide_seated(command, now, None)
    }

    /// The same in a venue of which some seats are accessible or a companion's, as its plan says now. That may change while seats are
    /// sold, and no event rests on it: so it is given, as the instant is.
    ///
    /// # Errors
    /// A [`Refusal`], which changes nothing.
    pub fn decide_seated(&self, command: &AnyCommand, now: Timestamp, seating: Option<&Seating>) -> Decision {
        // An outage is bridged before anything that came due meanwhile, since it moves just those deadlines.
        debug_assert!(
            matches!(command, AnyCommand::BridgeOutage { .. }) || self.next_due().is_none_or(|due| due > now),
            "what is due comes first"
        );
        if self.end.is_some() {
            return Err(Refusal::NoSuchReservation);
        }

        match command {
            AnyCommand::Callers(command) => self.decide_callers(command, now, seating),
            AnyCommand::BeginPayment { reservation, caller, payment, takes_time } => {
                self.begin_payment(*reservation, caller, *payment, takes_time.then_some(now))
            }
            AnyCommand::FailPayment { reservation, payment } => self.fail_payment(*reservation, *payment),
            AnyCommand::Confirm { reservation, payment } => self.confirm(*reservation, *payment, now),
            AnyCommand::ConfirmTaken { reservation, payment, amount } => {
                self.confirm_taken(*reservation, *payment, *amount, now)
            }
            AnyCommand::Open => self.open(now),
            AnyCommand::Reprice { prices } => {
                self.check_reprice(now)?;
                Ok(self.set_prices(prices))
            }
            AnyCommand::SetPrices { prices } => Ok(self.set_prices(prices)),
            AnyCommand::Replan { concert, plan } => self.replan(concert, plan),
            AnyCommand::SetLimits { limits } => Ok(self.set_limits(*limits)),
            AnyCommand::BridgeOutage { began, down_since } => Ok(self.bridge_outage(*began, *down_since)),
            AnyCommand::Delete => self.delete(),
            AnyCommand::Archive { archived } => self.archive(*archived),
        }
    }

    fn decide_callers(&self, command: &Command, now: Timestamp, seating: Option<&Seating>) -> Decision {
        match command {
            Command::Hold { user, wish, nonce } => self.hold(user, wish, *nonce, now, seating),
            Command::Order(asked) => self.order(asked, now, seating),
            Command::Exchange { reservation, caller, wish } => {
                self.exchange(*reservation, caller, wish, now, seating)
            }
            Command::Release { reservation, caller } => self.release(*reservation, caller, now),
            Command::Close => self.close(),
            Command::Cancel => Ok((self.sale != SaleStatus::Cancelled).then_some(Event::ScheduleCancelled)),
            Command::Block { seats } => self.block(seats),
            Command::Unblock { seats } => self.unblock(seats),
            Command::PutCode { code, terms } => self.put_code(code, terms),
            Command::MakeCodes { prefix, terms, drawn } => self.make_codes(prefix, terms, drawn),
            Command::EndCode { code } => self.end_code(code),
            Command::SetAllotment { terms } => self.set_allotment(terms, now),
            Command::ReleaseAllotment { id } => self.release_allotment(id),
        }
    }

    /// Decides the engine's own commands at start, before anything that came due meanwhile: an outage is
    /// bridged before any hold that it outlived could expire.
    pub fn decide_at_start(&self, command: &AnyCommand) -> Option<Event> {
        match command {
            AnyCommand::SetLimits { limits } => self.set_limits(*limits),
            AnyCommand::BridgeOutage { began, down_since } => self.bridge_outage(*began, *down_since),
            AnyCommand::SetPrices { prices } => self.set_prices(prices),
            AnyCommand::Callers(_)
            | AnyCommand::BeginPayment { .. }
            | AnyCommand::FailPayment { .. }
            | AnyCommand::Confirm { .. }
            | AnyCommand::ConfirmTaken { .. }
            | AnyCommand::Open
            | AnyCommand::Reprice { .. }
            | AnyCommand::Replan { .. }
            | AnyCommand::Delete
            | AnyCommand::Archive { .. } => None,
        }
    }

    /// Decides a command to a schedule that is in the archive, where nothing happens any more.
    ///
    /// # Errors
    /// The schedule's own refusal, or else that it is over; a command that changes nothing is no refusal.
    pub fn decide_archived(&self, command: &AnyCommand, now: Timestamp) -> Result<(), Refusal> {
        let Some(_) = self.decide(command, now)? else { return Ok(()) };
        Err(match command {
            AnyCommand::Callers(Command::Hold { .. } | Command::Order(_)) => Refusal::NotOpen,
            AnyCommand::Callers(Command::Exchange { .. })
            | AnyCommand::BeginPayment { .. }
            | AnyCommand::FailPayment { .. }
            | AnyCommand::Confirm { .. }
            | AnyCommand::ConfirmTaken { .. } => Refusal::NotHeld,
            AnyCommand::Callers(Command::Release { .. }) => Refusal::CancellationClosed,
            AnyCommand::Callers(
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
            | AnyCommand::Open
            | AnyCommand::Reprice { .. }
            | AnyCommand::SetPrices { .. }
            | AnyCommand::Replan { .. }
            | AnyCommand::SetLimits { .. }
            | AnyCommand::BridgeOutage { .. }
            | AnyCommand::Archive { .. } => Refusal::InvalidTransition,
            AnyCommand::Delete => Refusal::InUse,
        })
    }

    fn hold(
        &self,
        user: &UserId,
        wish: &Wish,
        nonce: u64,
        now: Timestamp,
        seating: Option<&Seating>,
    ) -> Decision {
        let places = wish.places();
        self.check_size(places)?;
        let access = self.access(wish.code.as_ref(), places, now)?;

        let live = self.users.get(user.as_str()).map_or(0, |user| user.live);
        self.check_user_limit(live, places, &access)?;
        self.check_price_types(wish, &access)?;

        // The refusals come from the cheapest: a seat map is only looked through for a hold that may be.
        let kept = self.kept_from(wish, now, seating);
        let Places { seats, areas } = self.find(wish, None, &access, kept)?;
        // The best seats leave nobody alone.
        if matches!(wish.pick, Pick::Seats(_)) {
            self.check_orphans(&seats, None, &access, kept)?;
        }
        let terms = self.terms_of(wish, &seats, areas, &access)?;

        Ok(Some(Event::SeatsHeld {
            number: self.next_reservation(),
            nonce,
            user: user.clone(),
            seats,
            expires_at: now.plus(self.plan.policy.hold),
            terms,
        }))
    }

    /// Returns the number of the reservation that comes next.
    pub(super) fn next_reservation(&self) -> ReservationNumber {
        // From here up, an owner's number would be read as a mark of the seat map.
        assert!(self.last_reservation < count_of(MARKS_FROM) - 1, "a schedule's reservation numbers suffice");
        ReservationNumber(self.last_reservation + 1)
    }

    /// Refuses another hold to a user of whose holds `max` have ended unpaid within an hour: a user who holds again at
    /// each deadline would keep the seats from others for as long as they like. Released holds count like expired ones, since one
    /// would go around the bound by them.
    ///
    /// # Errors
    /// [`Refusal::TooManyUnpaid`].
    pub fn check_unpaid(&self, user: &UserId, max: u32, now: Timestamp) -> Result<(), Refusal> {
        let since = now.minus(UNPAID_WINDOW);
        let Some(user) = self.users.get(user.as_str()) else { return Ok(()) };

        let unpaid = |number: u32| {
            let status = self.reservations.get(number).map(|reservation| reservation.status);
            matches!(status, Some(ReservationStatus::Expired | ReservationStatus::Released))
        };

        // One that ended just when the window begins no longer counts.
        let recent = user.ended().rev().take_while(|(at, _)| *at > since);
        let mut recent = recent.filter(|(_, number)| unpaid(*number));

        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let Some((oldest, _)) = recent.nth(max.saturating_sub(1)) else { return Ok(()) };

        let wait = oldest.plus(UNPAID_WINDOW).millis_since(now).div_ceil(1_000);
        Err(Refusal::TooManyUnpaid { wait: Seconds::new(u32::try_from(wait).unwrap_or(u32::MAX)) })
    }

    pub(super) fn free_seats<'a>(&'a self, owners: &'a [u32]) -> FreeSeats<'a> {
        FreeSeats { layout: &self.layout, owners, free_in_row: &self.free_in_row, kept: &[], sections: &[] }
    }

    fn exchange(
        &self,
        id: ReservationRef,
        caller: &Caller,
        wish: &Wish,
        now: Timestamp,
        seating: Option<&Seating>,
    ) -> Decision {
        let reservation = self.owned(id, caller)?;
        match reservation.status {
            ReservationStatus::Held => {}
            ReservationStatus::Expired => return Err(Refusal::Expired),
            ReservationStatus::Paying
            | ReservationStatus::Confirmed
            | ReservationStatus::Cancelled
            | ReservationStatus::Released => return Err(Refusal::NotHeld),
        }

        let places = wish.places();
        self.check_size(places)?;
        let access = self.access_again(reservation, wish, now)?;
        let kept = self.kept_from(wish, now, seating);
        let Places { seats, areas } = if access.kept.is_some() {
            self.find_own(wish)?
        } else {
            let user = reservation.user.as_deref().and_then(|user| self.users.get(user));
            let live = user.map_or(0, |user| user.live);
            // The old places are given back in the same step, so that only the difference counts.
            // Who asks for no more may have more than the limit, by the box office or by an older policy.
            if places > reservation.places() {
                self.check_user_limit(live.saturating_sub(reservation.places()), places, &access)?;
            }
            self.check_price_types(wish, &access)?;
            self.find(wish, Some(reservation), &access, kept)?
        };
        let terms = self.terms_of(wish, &seats, areas, &access)?;
        if seats == reservation.seats && terms == reservation.terms {
            return Ok(None);
        }

        // The best seats leave nobody alone. A seat that its allotment has no more stands alone where it is.
        let is_home = |seat: &Seat| self.home_of(*seat, reservation.taken_from()) == access.source();
        if matches!(wish.pick, Pick::Seats(_)) && (access.kept.is_none() || seats.iter().all(is_home)) {
            self.check_orphans(&seats, Some(reservation), &access, kept)?;
        }

        Ok(Some(Event::SeatsExchanged { number: id.number, seats, terms }))
    }

    /// Returns the seats' owners and the rows' counts as a wish sees them that takes from a source, everyone's seats or an allotment's:
    /// free is what is left of it, and what a reservation gives back to it in the same step.
    pub(super) fn seen_from(&self, source: Owner, without: Option<&Reservation>) -> (Vec<Owner>, Vec<u32>) {
        let (mut owners, mut free_in_row) = if source == FREE {
            (self.owners.clone(), self.free_in_row.clone())
        } else {
            let mut free_in_row = vec![0; self.free_in_row.len()];
            let mut seen = vec![BLOCKED; self.owners.len()];
            for seat in self.layout.seats().filter(|seat| self.owners[seat.index()] == source) {
                seen[seat.index()] = FREE;
                free_in_row[self.layout.row_index(seat)] += 1;
            }
            (seen, free_in_row)
        };

        let given_back = without.into_iter().flat_map(|kept| {
            kept.seats.iter().filter(move |seat| self.home_of(**seat, kept.taken_from()) == source)
        });
        for seat in given_back {
            owners[seat.index()] = FREE;
            free_in_row[self.layout.row_index(*seat)] += 1;
        }
        (owners, free_in_row)
    }

    fn release(&self, id: ReservationRef, caller: &Caller, now: Timestamp) -> Decision {
        let reservation = self.owned(id, caller)?;
        match reservation.status {
            ReservationStatus::Held => Ok(Some(Event::HoldReleased { number: id.number })),
            ReservationStatus::Confirmed => {
                let last = self.plan.starts_at.minus(self.plan.policy.cancel_until_before_start);
                if matches!(caller, Caller::User(_)) && now > last {
                    return Err(Refusal::CancellationClosed);
                }
                Ok(Some(Event::ReservationCancelled { number: id.number }))
            }
            ReservationStatus::Released | ReservationStatus::Cancelled => Ok(None),
            ReservationStatus::Paying | ReservationStatus::Expired => Err(Refusal::NotHeld),
        }
    }

    fn begin_payment(
        &self,
        id: ReservationRef,
        caller: &Caller,
        payment: PaymentId,
        takes_time_from: Option<Timestamp>,
    ) -> Decision {
        let reservation = self.owned(id, caller)?;
        match reservation.status {
            ReservationStatus::Held => {}
            ReservationStatus::Paying if reservation.payment == Some(payment) => return Ok(None),
            ReservationStatus::Expired => return Err(Refusal::Expired),
            ReservationStatus::Paying
            | ReservationStatus::Confirmed
            | ReservationStatus::Cancelled
            | ReservationStatus::Released => return Err(Refusal::NotHeld),
        }

        let held_until = reservation.expires_at;
        let moved_before = self.other_deadlines.get(&id.number.0).copied();
        let limit = match takes_time_from {
            // An earlier version let no deadline come back: it is moved for good.
            Some(_) if reservation.deadline_moved => moved_before.unwrap_or(held_until),
            Some(now) => now.plus(self.plan.policy.payment),
            None => held_until,
        };

        // A payment never makes a hold shorter.
        let expires_at = held_until.max(limit);
        let held_until = (expires_at > held_until).then_some(held_until);
        Ok(Some(Event::PaymentBegun { number: id.number, payment, expires_at, held_until }))
    }

    fn fail_payment(&self, id: ReservationRef, payment: PaymentId) -> Decision {
        let reservation = self.reservation(id).ok_or(Refusal::NoSuchReservation)?;
        let under_way =
            reservation.status == ReservationStatus::Paying && reservation.payment == Some(payment);
        // A payment that moved the deadline stands at the later of the two.
        let other = self.other_deadlines.get(&id.number.0).copied();
        let expires_at = other.filter(|other| *other < reservation.expires_at);
        Ok(under_way.then_some(Event::PaymentFailed { number: id.number, expires_at }))
    }

    fn confirm(&self, id: ReservationRef, payment: PaymentId, now: Timestamp) -> Decision {
        let reservation = self.reservation(id).ok_or(Refusal::NoSuchReservation)?;
        if reservation.payment != Some(payment) {
            return Err(Refusal::PaymentNotUnderWay);
        }

        match reservation.status {
            ReservationStatus::Paying => {}
            // Only what was confirmed is cancelled: it was bought, and what goes back for it is its lines' to say.
            ReservationStatus::Confirmed | ReservationStatus::Cancelled => return Ok(None),
            ReservationStatus::Expired => self.check_rescue(reservation, now)?,
            ReservationStatus::Held | ReservationStatus::Released => return Err(Refusal::NotHeld),
        }

        Ok(Some(Event::ReservationConfirmed { number: id.number, payment }))
    }

    fn confirm_taken(
        &self,
        id: ReservationRef,
        payment: PaymentId,
        amount: Money,
        now: Timestamp,
    ) -> Decision {
        let reservation = self.reservation(id).ok_or(Refusal::NoSuchReservation)?;
        if reservation.payment.is_some_and(|other| other != payment) {
            return Err(Refusal::PaymentNotUnderWay);
        }

        match reservation.status {
            ReservationStatus::Held => {}
            // As in `confirm`.
            ReservationStatus::Confirmed | ReservationStatus::Cancelled => return Ok(None),
            ReservationStatus::Expired => self.check_rescue(reservation, now)?,
            ReservationStatus::Paying | ReservationStatus::Released => return Err(Refusal::NotHeld),
        }
        // It may have been exchanged while the customer paid.
        if self.amount_of(reservation) != amount {
            return Err(Refusal::OtherAmount);
        }

        Ok(Some(Event::ReservationConfirmed { number: id.number, payment }))
    }

    /// Refuses money that came too late, unless the same places are still free and there is a show to see.
    fn check_rescue(&self, expired: &Reservation, now: Timestamp) -> Result<(), Refusal> {
        if self.sale == SaleStatus::Cancelled || self.plan.starts_at <= now {
            return Err(Refusal::Expired);
        }

        // Its code's use was given back when it expired: somebody else may have it now.
        if let Some(code) = expired.code() {
            let standing = self.codes().and_then(|codes| codes.find_used(code));
            let has_room =
                |standing: Standing<'_>| standing.terms.has_room(standing.uses, 1, expired.places());
            if !standing.is_some_and(has_room) {
                return Err(Refusal::CodeExhausted);
            }
        }

        let home = |seat: &Seat| self.home_of(*seat, expired.taken_from());
        let taken = expired.seats.iter().filter(|seat| self.owners[seat.index()] != home(seat));
        let taken: Vec<Seat> = taken.copied().collect();
        if !taken.is_empty() {
            return Err(Refusal::SeatsUnavailable { seats: taken });
        }
        let areas = expired.terms.as_deref().map_or(&[][..], |terms| &terms.areas);
        self.check_areas(areas, None, |area| self.area_home(area, expired.taken_from()))
    }

    fn open(&self, now: Timestamp) -> Decision {
        match self.sale {
            SaleStatus::Open => return Ok(None),
            SaleStatus::Cancelled => return Err(Refusal::InvalidTransition),
            SaleStatus::Upcoming | SaleStatus::Closed => {}
        }
        if self.plan.closes_at() <= now {
            return Err(Refusal::InvalidTransition);
        }
        Ok(Some(self.sales_opened()))
    }

    /// Makes the event that opens the sale; the first one binds the prices that are set.
    fn sales_opened(&self) -> Event {
        Event::SalesOpened { prices: self.prices_to_bind() }
    }

    fn prices_to_bind(&self) -> Option<Arc<Prices>> {
        let bound = || Arc::clone(self.prices.as_ref().expect("prices are set before a sale opens"));
        (!self.opened).then(bound)
    }

    /// Makes the event of the phase that is due: it opens, or the open one closes.
    fn phase_moved(&self) -> Event {
        if let Some(phase) = &self.phase {
            return Event::PhaseClosed { phase: phase.clone() };
        }
        let next = phases::next_after(&self.plan.policy.phases, self.last_instant);
        let phase = next.expect("a phase is due").id.clone();
        Event::PhaseOpened { phase, prices: self.prices_to_bind() }
    }

    /// Refuses other prices to a sale that has opened, or opens in a moment, and to one of which the box office has sold: its price types
    /// are those of the prices that it was sold at.
    ///
    /// # Errors
    /// [`Refusal::PricesFixed`].
    pub fn check_reprice(&self, now: Timestamp) -> Result<(), Refusal> {
        if self.has_sold() || self.has_opened_by(now.plus(REPRICE_MARGIN)) {
            Err(Refusal::PricesFixed)
        } else {
            Ok(())
        }
    }

    /// Tells whether the box office has sold anything, maybe before the sale opens.
    fn has_sold(&self) -> bool {
        !self.orders.is_empty()
    }

    /// Sets the prices that the concert has. Those that something was sold at stand: an order may have come while the concert's change was
    /// under way, and that may have come to nothing since.
    fn set_prices(&self, prices: &Arc<Prices>) -> Option<Event> {
        let stand = self.opened || self.has_sold();
        let changes = !stand && self.prices.as_ref() != Some(prices);
        changes.then(|| Event::PricesSet { prices: Arc::clone(prices) })
    }

    fn close(&self) -> Decision {
        match self.sale {
            SaleStatus::Open => Ok(Some(Event::SalesClosed)),
            // Those who bring a code of the phase buy.
            SaleStatus::Upcoming if self.phase.is_some() => Ok(Some(Event::SalesClosed)),
            SaleStatus::Closed => Ok(None),
            SaleStatus::Upcoming | SaleStatus::Cancelled => Err(Refusal::InvalidTransition),
        }
    }

    fn block(&self, seats: &[Seat]) -> Decision {
        self.blocking(seats, FREE, BLOCKED, |seats| Event::SeatsBlocked { seats })
    }

    fn unblock(&self, seats: &[Seat]) -> Decision {
        self.blocking(seats, BLOCKED, FREE, |seats| Event::SeatsUnblocked { seats })
    }

    /// Moves seats from one owner to another; those that are there already stay there.
    fn blocking(
        &self,
        seats: &[Seat],
        from: u32,
        to: u32,
        event: impl FnOnce(Arc<[Seat]>) -> Event,
    ) -> Decision {
        if seats.is_empty() {
            return Err(Refusal::NoSeats);
        }
        if self.sale == SaleStatus::Cancelled {
            return Err(Refusal::InvalidTransition);
        }
        self.check_named(seats)?;
        let owner = |seat: &Seat| self.owners[seat.index()];
        let others = |seat: &&Seat| ![from, to].contains(&owner(seat));
        let taken: Vec<Seat> = seats.iter().filter(others).copied().collect();
        if !taken.is_empty() {
            return Err(Refusal::SeatsUnavailable { seats: taken });
        }
        let moved: Arc<[Seat]> = seats.iter().filter(|seat| owner(seat) == from).copied().collect();
        Ok((!moved.is_empty()).then(|| event(moved)))
    }

    fn replan(&self, concert: &ConcertId, plan: &Arc<Plan>) -> Decision {
        if *concert != self.concert {
            return Err(Refusal::ConcertFixed);
        }
        Ok((*plan != self.plan).then(|| Event::Replanned { plan: Arc::clone(plan) }))
    }

    fn set_limits(&self, limits: Limits) -> Option<Event> {
        (limits != self.limits).then_some(Event::LimitsSet { limits })
    }

    fn bridge_outage(&self, began: Timestamp, down_since: Timestamp) -> Option<Event> {
        // A hold that was over before the engine went down lost no time to it (S4).
        let lived = self.deadlines.last().is_some_and(|(deadline, _)| *deadline > down_since);
        lived.then_some(Event::OutageBridged { began: began.min(down_since), down_since })
    }

    fn delete(&self) -> Decision {
        let live = self.reservations.iter().any(|reservation| reservation.status.is_live());
        if self.ever_confirmed || live {
            return Err(Refusal::InUse);
        }
        Ok(Some(Event::Deleted))
    }

    /// Whether it belongs there is `archive`'s to say; what has happened since that was asked is not in the archive.
    fn archive(&self, archived: Archived) -> Decision {
        if archived.version != self.version {
            return Err(Refusal::InUse);
        }
        Ok(Some(Event::Archived { payments: archived.payments }))
    }

    fn check_size(&self, count: u32) -> Result<(), Refusal> {
        let max = self.plan.policy.seats_per_reservation_max;
        if count == 0 {
            Err(Refusal::NoSeats)
        } else if count > max {
            Err(Refusal::TooManySeats { max })
        } else {
            Ok(())
        }
    }

    fn check_user_limit(&self, live: u32, more: u32, access: &Access<'_>) -> Result<(), Refusal> {
        let of_phase = access.phase.and_then(|phase| phase.seats_per_user_max);
        let max = of_phase.unwrap_or(self.plan.policy.seats_per_user_max);
        if live.saturating_add(more) > max { Err(Refusal::SeatLimitExceeded { max }) } else { Ok(()) }
    }

    /// Refuses seats that the venue doesn't have, and seats that are named twice: they are indexes that a caller chose.
    pub(super) fn check_named(&self, seats: &[Seat]) -> Result<(), Refusal> {
        let unknown = |seat: &&Seat| seat.index() >= self.owners.len();
        let unknown: Vec<Seat> = seats.iter().filter(unknown).copied().collect();
        if !unknown.is_empty() {
            return Err(Refusal::UnknownSeats { seats: unknown });
        }

        // As clients send them as a rule.
        if seats.is_sorted_by(|one, next| one < next) {
            return Ok(());
        }
        let mut sorted = seats.to_vec();
        sorted.sort_unstable();
        let twice = sorted.windows(2).filter(|pair| pair[0] == pair[1]);
        let mut repeated: Vec<Seat> = twice.map(|pair| pair[0]).collect();
        repeated.dedup();
        if repeated.is_empty() { Ok(()) } else { Err(Refusal::RepeatedSeats { seats: repeated }) }
    }

    /// Refuses seats of grades that aren't sold in this phase, or to this code.
    pub(super) fn check_grades(&self, seats: &[Seat], access: &Access<'_>) -> Result<(), Refusal> {
        let sold = |seat: &Seat| access.has_grade(&self.layout.grades()[self.layout.grade_of(*seat).index()]);
        if !access.is_narrow() || seats.iter().all(sold) { Ok(()) } else { Err(Refusal::CodeInvalid) }
    }

    /// Refuses seats that aren't the source's, unless an exchange gives them back to it.
    pub(super) fn check_free(
        &self,
        seats: &[Seat],
        source: Owner,
        own: Option<&Reservation>,
    ) -> Result<(), Refusal> {
        let is_own = |seat: Seat| {
            own.is_some_and(|own| {
                self.owners[seat.index()] == own.number.0 && self.home_of(seat, own.taken_from()) == source
            })
        };
        let taken = |seat: &&Seat| self.owners[seat.index()] != source && !is_own(**seat);
        let taken: Vec<Seat> = seats.iter().filter(taken).copied().collect();
        if taken.is_empty() { Ok(()) } else { Err(Refusal::SeatsUnavailable { seats: taken }) }
    }

    fn check_orphans(
        &self,
        seats: &[Seat],
        own: Option<&Reservation>,
        access: &Access<'_>,
        kept: Kept<'_>,
    ) -> Result<(), Refusal> {
        if !self.plan.policy.prevent_orphan_seats {
            return Ok(());
        }

        let seen;
        let owners = if access.source() == FREE && own.is_none() {
            &self.owners
        } else {
            (seen, _) = self.seen_from(access.source(), own);
            &seen
        };

        // Those that the wish has already are its own, whoever they are kept from.
        let others: Vec<Seat>;
        let kept = if seats.iter().any(|seat| kept.seats.binary_search(seat).is_ok()) {
            others = kept.seats.iter().filter(|seat| !seats.contains(seat)).copied().collect();
            &others
        } else {
            kept.seats
        };

        let orphans = FreeSeats { kept, ..self.free_seats(owners) }.avoidable_orphans(seats);
        if orphans.is_empty() { Ok(()) } else { Err(Refusal::OrphanSeats { seats: orphans }) }
    }

    /// Finds a reservation that the caller may touch; another's is no reservation at all.
    fn owned(&self, id: ReservationRef, caller: &Caller) -> Result<&Reservation, Refusal> {
        let reservation = self.reservation(id).ok_or(Refusal::NoSuchReservation)?;
        match caller {
            Caller::User(user) if reservation.user.as_ref() != Some(user) => Err(Refusal::NoSuchReservation),
            Caller::Clerk if reservation.order().is_none() => Err(Refusal::NoSuchReservation),
            Caller::User(_) | Caller::Clerk | Caller::Admin => Ok(reservation),
        }
    }
}
