//! Decides commands: the event, or the refusal. Nothing changes here.

use std::sync::Arc;

use super::command::{
    AnyCommand, Archived, Caller, Command, Event, Limits, Refusal, ReservationRef, SaleStatus,
};
use super::policy::Plan;
use super::search::FreeSeats;
use super::pricing::{self, Discount, Places};
use super::terms::{Best, Pick, PriceType, Terms, Wish};
use super::{BLOCKED, FREE, Reservation, ReservationStatus, Schedule};
use crate::domain::concert::Prices;
use crate::domain::ids::{ConcertId, PaymentId, ReservationNumber, UserId, count_of};
use crate::domain::money::Money;
use crate::domain::time::{Seconds, Timestamp};
use crate::domain::venue::{Grade, Seat};

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
        match self.sale {
            SaleStatus::Upcoming => Some(self.sales_opened()),
            SaleStatus::Open => Some(Event::SalesClosed),
            SaleStatus::Closed | SaleStatus::Cancelled => {
                unreachable!("only a sale that can open or close by itself is due")
            }
        }
    }

    /// Decides a command at `now`, after everything due by then was applied.
    ///
    /// # Errors
    /// A [`Refusal`], which changes nothing.
    pub fn decide(&self, command: &AnyCommand, now: Timestamp) -> Decision {
        // An outage is bridged before anything that came due meanwhile, since it moves just those deadlines.
        debug_assert!(
            matches!(command, AnyCommand::BridgeOutage { .. }) || self.next_due().is_none_or(|due| due > now),
            "what is due comes first"
        );
        if self.end.is_some() {
            return Err(Refusal::NoSuchReservation);
        }

        match command {
            AnyCommand::Callers(command) => self.decide_callers(command, now),
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

    fn decide_callers(&self, command: &Command, now: Timestamp) -> Decision {
        match command {
            Command::Hold { user, wish, nonce } => self.hold(user, wish, *nonce, now),
            Command::Exchange { reservation, caller, wish } => self.exchange(*reservation, caller, wish),
            Command::Release { reservation, caller } => self.release(*reservation, caller, now),
            Command::Close => self.close(),
            Command::Cancel => Ok((self.sale != SaleStatus::Cancelled).then_some(Event::ScheduleCancelled)),
            Command::Block { seats } => self.block(seats),
            Command::Unblock { seats } => self.unblock(seats),
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
            AnyCommand::Callers(Command::Hold { .. }) => Refusal::NotOpen,
            AnyCommand::Callers(Command::Exchange { .. })
            | AnyCommand::BeginPayment { .. }
            | AnyCommand::FailPayment { .. }
            | AnyCommand::Confirm { .. }
            | AnyCommand::ConfirmTaken { .. } => Refusal::NotHeld,
            AnyCommand::Callers(Command::Release { .. }) => Refusal::CancellationClosed,
            AnyCommand::Callers(
                Command::Close | Command::Cancel | Command::Block { .. } | Command::Unblock { .. },
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

    fn hold(&self, user: &UserId, wish: &Wish, nonce: u64, now: Timestamp) -> Decision {
        let places = wish.places();
        self.check_size(places)?;
        self.check_open()?;

        let live = self.users.get(user.as_str()).map_or(0, |user| user.live);
        self.check_user_limit(live, places)?;

        // The refusals come from the cheapest: a seat map is only looked through for a hold that may be.
        let seats = match &wish.pick {
            Pick::None => Arc::default(),
            Pick::Seats(seats) => {
                self.check_named(seats)?;
                self.check_free(seats, FREE)?;
                self.check_orphans(&self.owners, seats)?;
                Arc::clone(seats)
            }
            Pick::Best(best) => self.best(best, &wish.price_types, self.free_seats(&self.owners))?,
        };
        let terms = self.terms_of(wish, &seats, None)?;

        // From here up, an owner's number would be read as a mark of the seat map.
        assert!(self.last_reservation < count_of(BLOCKED) - 1, "a schedule's reservation numbers suffice");
        Ok(Some(Event::SeatsHeld {
            number: ReservationNumber(self.last_reservation + 1),
            nonce,
            user: user.clone(),
            seats,
            expires_at: now.plus(self.plan.policy.hold),
            terms,
        }))
    }

    /// Decides the terms of a reservation that gets what is wished; one of seats alone, at their grades' prices, has none.
    fn terms_of(
        &self,
        wish: &Wish,
        seats: &[Seat],
        discount: Option<&Discount>,
    ) -> Result<Option<Arc<Terms>>, Refusal> {
        let prices = self.prices.as_ref().expect("an open sale has its prices");
        if prices.tariff.is_none() && wish.is_plain() {
            return Ok(None);
        }

        if !wish.areas.is_empty() {
            return Err(Refusal::UnknownArea);
        }
        let mut terms = Terms {
            price_types: self.price_types_of(wish, prices)?,
            code: wish.code.clone(),
            ..Terms::default()
        };

        let places = seats.iter().enumerate().map(|(place, seat)| Places {
            area: None,
            grade: self.layout.grade_of(*seat),
            price_type: terms.price_type(place),
            count: 1,
        });
        let lines = pricing::lines(prices, self.layout.grades(), places, discount)?;
        terms.lines = lines;
        Ok(Some(Arc::new(terms)))
    }

    /// Returns the price types of the picked seats; nothing where all are the default.
    #[expect(clippy::unused_self, reason = "it is one of a schedule's checks")]
    fn price_types_of(&self, wish: &Wish, prices: &Prices) -> Result<Box<[PriceType]>, Refusal> {
        let types = &wish.price_types;
        if types.is_empty() {
            return Ok(Box::default());
        }
        let known = types.iter().all(|price_type| price_type.index() < prices.types().len());
        if !known || u32::try_from(types.len()).ok() != Some(wish.pick.count()) {
            return Err(Refusal::UnknownPriceType);
        }

        let all_default = types.iter().all(|price_type| *price_type == PriceType::DEFAULT);
        Ok(if all_default { Box::default() } else { types.clone() })
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
        let recent = user.ended.iter().rev().take_while(|(at, _)| *at > since);
        let mut recent = recent.filter(|(_, number)| unpaid(*number));

        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let Some((oldest, _)) = recent.nth(max.saturating_sub(1)) else { return Ok(()) };

        let wait = oldest.plus(UNPAID_WINDOW).millis_since(now).div_ceil(1_000);
        Err(Refusal::TooManyUnpaid { wait: Seconds::new(u32::try_from(wait).unwrap_or(u32::MAX)) })
    }

    /// Finds the best seats, in grades in which all these price types are sold.
    fn best(
        &self,
        best: &Best,
        price_types: &[PriceType],
        free: FreeSeats<'_>,
    ) -> Result<Arc<[Seat]>, Refusal> {
        let prices = self.prices.as_ref().expect("an open sale has its prices");
        let mut ranked: Vec<Grade> = match best.grade {
            Some(grade) if grade.index() >= self.layout.grades().len() => return Err(Refusal::UnknownGrade),
            Some(grade) => vec![grade],
            None => prices.best_first.iter().map(|grade| Grade(*grade)).collect(),
        };
        let is_sold = |grade: Grade, price_type: &PriceType| prices.of(grade, *price_type).is_some();
        ranked.retain(|grade| price_types.iter().all(|price_type| is_sold(*grade, price_type)));
        if ranked.is_empty() {
            return Err(Refusal::PriceTypeNotSold);
        }

        free.best_available(&ranked, best.count, self.plan.policy.prevent_orphan_seats)
            .map(Into::into)
            .ok_or(Refusal::NotEnoughSeats)
    }

    fn free_seats<'a>(&'a self, owners: &'a [u32]) -> FreeSeats<'a> {
        FreeSeats { layout: &self.layout, owners, free_in_row: &self.free_in_row }
    }

    fn exchange(&self, id: ReservationRef, caller: &Caller, wish: &Wish) -> Decision {
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
        self.check_open()?;
        let live = self.users.get(reservation.user.as_str()).map_or(0, |user| user.live);
        // The old places are given back in the same step, so that only the difference counts.
        self.check_user_limit(live.saturating_sub(reservation.places()), places)?;

        let seats = match &wish.pick {
            Pick::None => Arc::default(),
            Pick::Seats(seats) => {
                self.check_named(seats)?;
                self.check_free(seats, id.number.0)?;
                Arc::clone(seats)
            }
            Pick::Best(best) => {
                let (owners, free_in_row) = self.without(reservation);
                let free = FreeSeats { layout: &self.layout, owners: &owners, free_in_row: &free_in_row };
                self.best(best, &wish.price_types, free)?
            }
        };

        let terms = self.terms_of(wish, &seats, None)?;
        if seats == reservation.seats && terms == reservation.terms {
            return Ok(None);
        }

        // The best seats leave nobody alone.
        if self.plan.policy.prevent_orphan_seats && matches!(wish.pick, Pick::Seats(_)) {
            let (owners, _) = self.without(reservation);
            self.check_orphans(&owners, &seats)?;
        }

        Ok(Some(Event::SeatsExchanged { number: id.number, seats, terms }))
    }

    /// Returns the seats' owners and the rows' counts without a reservation: its seats are free for the decision about what it gets
    /// instead, since they are given back in the same step.
    fn without(&self, reservation: &Reservation) -> (Vec<u32>, Vec<u32>) {
        let (mut owners, mut free_in_row) = (self.owners.clone(), self.free_in_row.clone());
        for seat in &*reservation.seats {
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
                let admin = matches!(caller, Caller::Admin);
                if !admin && now > last {
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
            ReservationStatus::Confirmed => return Ok(None),
            ReservationStatus::Expired => self.check_rescue(&reservation.seats, now)?,
            ReservationStatus::Held | ReservationStatus::Cancelled | ReservationStatus::Released => {
                return Err(Refusal::NotHeld);
            }
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
            ReservationStatus::Confirmed => return Ok(None),
            ReservationStatus::Expired => self.check_rescue(&reservation.seats, now)?,
            ReservationStatus::Paying | ReservationStatus::Cancelled | ReservationStatus::Released => {
                return Err(Refusal::NotHeld);
            }
        }
        // It may have been exchanged while the customer paid.
        if self.amount_of(reservation) != amount {
            return Err(Refusal::OtherAmount);
        }

        Ok(Some(Event::ReservationConfirmed { number: id.number, payment }))
    }

    /// Refuses money that came too late, unless the same seats are still free and there is a show to see.
    fn check_rescue(&self, seats: &[Seat], now: Timestamp) -> Result<(), Refusal> {
        if self.sale == SaleStatus::Cancelled || self.plan.starts_at <= now {
            return Err(Refusal::Expired);
        }
        self.check_free(seats, FREE)
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
        let bound = || Arc::clone(self.prices.as_ref().expect("prices are set before a sale opens"));
        Event::SalesOpened { prices: (!self.opened).then(bound) }
    }

    /// Refuses other prices to a sale that has opened, or opens in a moment.
    ///
    /// # Errors
    /// [`Refusal::PricesFixed`].
    pub fn check_reprice(&self, now: Timestamp) -> Result<(), Refusal> {
        if self.has_opened_by(now.plus(REPRICE_MARGIN)) { Err(Refusal::PricesFixed) } else { Ok(()) }
    }

    fn set_prices(&self, prices: &Arc<Prices>) -> Option<Event> {
        let changes = !self.opened && self.prices.as_ref() != Some(prices);
        changes.then(|| Event::PricesSet { prices: Arc::clone(prices) })
    }

    fn close(&self) -> Decision {
        match self.sale {
            SaleStatus::Open => Ok(Some(Event::SalesClosed)),
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

    fn check_open(&self) -> Result<(), Refusal> {
        if self.sale == SaleStatus::Open { Ok(()) } else { Err(Refusal::NotOpen) }
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

    fn check_user_limit(&self, live: u32, more: u32) -> Result<(), Refusal> {
        let max = self.plan.policy.seats_per_user_max;
        if live.saturating_add(more) > max { Err(Refusal::SeatLimitExceeded { max }) } else { Ok(()) }
    }

    /// Refuses seats that the venue doesn't have, and seats that are named twice: they are indexes that a caller chose.
    fn check_named(&self, seats: &[Seat]) -> Result<(), Refusal> {
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

    /// Refuses seats that are neither free nor `own`.
    fn check_free(&self, seats: &[Seat], own: u32) -> Result<(), Refusal> {
        let taken = |seat: &&Seat| ![FREE, own].contains(&self.owners[seat.index()]);
        let taken: Vec<Seat> = seats.iter().filter(taken).copied().collect();
        if taken.is_empty() { Ok(()) } else { Err(Refusal::SeatsUnavailable { seats: taken }) }
    }

    fn check_orphans(&self, owners: &[u32], seats: &[Seat]) -> Result<(), Refusal> {
        if !self.plan.policy.prevent_orphan_seats {
            return Ok(());
        }
        let orphans = self.free_seats(owners).avoidable_orphans(seats);
        if orphans.is_empty() { Ok(()) } else { Err(Refusal::OrphanSeats { seats: orphans }) }
    }

    /// Finds a reservation that the caller may touch; another's is no reservation at all.
    fn owned(&self, id: ReservationRef, caller: &Caller) -> Result<&Reservation, Refusal> {
        let reservation = self.reservation(id).ok_or(Refusal::NoSuchReservation)?;
        match caller {
            Caller::User(user) if *user != reservation.user => Err(Refusal::NoSuchReservation),
            Caller::User(_) | Caller::Admin => Ok(reservation),
        }
    }
}
