//! One fan: joins, waits, chooses, and pays or doesn't, as a client of the HTTP API does, but in this process.

use core::future::Future;
use core::ops::RangeInclusive;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use onsale::domain::cause::{By, Cause};
use onsale::domain::ids::UserId;
use onsale::domain::payments::{Method, State};
use onsale::domain::schedule::codes::AccessCode;
use onsale::domain::schedule::terms::{AreaWish, PriceType};
use onsale::domain::schedule::{
    Answer, Caller, Command, Refusal, Reservation, ReservationRef, SeatStatus, Wish,
};
use onsale::domain::venue::Grade;
use onsale::domain::waiting_room::{self, Gate, PlaceStatus, Ticket};
use onsale::engine::{self, Engine, EngineError, Purchase, RoomEntry, ScheduleEntry};

use super::dice::{Character, Dice, Fate, pick, pick_area};
use super::pace::Pace;
use super::tally::{Outcome, Tally};

/// How long a fan looks at the map before choosing.
const LOOKS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(4);
/// From the choice to the click: the time in which another may be faster.
const CLICKS: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(2);
/// How long a fan thinks about it, or looks for the card.
const THINKS: RangeInclusive<Duration> = Duration::from_secs(3)..=Duration::from_secs(10);
/// How long the bank takes.
const PAYS: RangeInclusive<Duration> = Duration::from_millis(300)..=Duration::from_millis(1_500);
/// How often a fan chooses before it goes home without seats.
const CHOICES: u32 = 6;
/// How often a fan comes again when the engine is too busy, waiting longer each time.
const TRIES: u32 = 8;
const BACKOFF: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// The sale and the figures that all fans share.
pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) entry: Arc<ScheduleEntry>,
    pub(super) pace: Pace,
    code: Option<AccessCode>,
    tally: Mutex<Tally>,
}

impl World {
    pub(super) fn new(
        engine: Engine,
        entry: Arc<ScheduleEntry>,
        pace: Pace,
        code: Option<AccessCode>,
    ) -> Self {
        Self { engine, entry, pace, code, tally: Mutex::default() }
    }

    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn room(&self) -> &RoomEntry {
        self.entry.room()
    }

    fn is_active(&self, ticket: Ticket) -> bool {
        self.room().is_active(ticket, self.engine.now())
    }
}

/// One of the crowd.
pub(super) struct Fan {
    world: Arc<World>,
    user: UserId,
    character: Character,
    dice: Dice,
}

impl Fan {
    /// Makes the fan of a number. No two fans of a data directory have the same one.
    pub(super) fn new(world: &Arc<World>, number: u32) -> Self {
        let mut dice = Dice::of(number);
        let seats_max = {
            let schedule = world.entry.read();
            let policy = &schedule.plan().policy;
            policy.seats_per_reservation_max.min(policy.seats_per_user_max)
        };
        let character = Character::of(&mut dice, world.entry.layout(), seats_max);
        let user = UserId::parse(&format!("fan-{number}")).expect("letters and digits");
        Self { world: Arc::clone(world), user, character, dice }
    }

    /// Makes the whole visit, and counts its outcome.
    pub(super) async fn live(mut self) {
        let (Ok(outcome) | Err(outcome)) = self.visit().await;
        self.world.tally().go_home(outcome);
    }

    async fn visit(&mut self) -> Result<Outcome, Outcome> {
        // Most fans wait most of the time. Boxed, the other futures take no memory while they wait.
        let ticket = Box::pin(self.join()).await?;
        self.wait(ticket).await?;
        if self.character.fate == Fate::NeverComes {
            self.let_time_end(ticket).await;
            return Ok(Outcome::NeverCame);
        }
        Box::pin(self.shop(ticket)).await
    }

    async fn join(&mut self) -> Result<Ticket, Outcome> {
        let world = Arc::clone(&self.world);
        let user = self.user.clone();
        // The HTTP layer asks for the code at the door, and so does a fan.
        let at_door = world.entry.read().check_door(world.code.as_ref(), world.engine.now());
        at_door.map_err(|refusal| from_error(&refusal.into()))?;
        let joined = self.insist(|| world.engine.join(&world.entry, &user, None)).await;
        match joined.map_err(|error| from_error(&error))?.answer {
            waiting_room::Answer::Place(place) | waiting_room::Answer::Standing(place) => Ok(place.ticket),
            waiting_room::Answer::Room(_) => Err(Outcome::TurnedAway),
        }
    }

    /// Looks again and again until the fan is let in.
    async fn wait(&mut self, ticket: Ticket) -> Result<(), Outcome> {
        loop {
            if self.world.is_active(ticket) {
                return Ok(());
            }

            // The lock is let go before anything is awaited.
            let (place, gate) = {
                let room = self.world.room().read();
                (room.place(ticket, self.world.engine.now()), room.gate())
            };
            let place = place.ok_or(Outcome::TooLate)?;
            match (place.status, gate) {
                (PlaceStatus::Waiting, Gate::SoldOut | Gate::Cancelled | Gate::NotOnSale) => {
                    Box::pin(self.leave(ticket)).await;
                    return Err(Outcome::SoldOut);
                }
                (PlaceStatus::Waiting | PlaceStatus::Active, _) => {}
                (PlaceStatus::Expired | PlaceStatus::Done, _) => return Err(Outcome::TooLate),
            }

            let again = self.world.pace.look_again(place.position, self.dice.below(1_001));
            tokio::time::sleep(again).await;
        }
    }

    /// Chooses seats, and does what its fate is.
    async fn shop(&mut self, ticket: Ticket) -> Result<Outcome, Outcome> {
        // Without a sign of life the pass would go to the next in line.
        self.world.engine.show_life(&self.world.entry, ticket);

        let place = self.world.room().read().place(ticket, self.world.engine.now());
        if let Some(place) = place
            && let Some(at) = place.activated_at
        {
            self.world.tally().wait(Duration::from_millis(at.millis_since(place.issued_at)));
        }

        let held = match self.choose(ticket).await {
            Ok(held) => held,
            Err(outcome) => {
                self.leave(ticket).await;
                return Err(outcome);
            }
        };

        self.pause(&THINKS).await;
        match self.character.fate {
            Fate::Pays => match self.pay(&held).await {
                Ok(()) => {
                    let areas = held.terms.iter().flat_map(|terms| &*terms.areas);
                    let places = areas.map(|places| places.count).sum();
                    self.world.tally().pay(&self.user, &held.seats, places);
                    Ok(Outcome::Paid)
                }
                Err(error) => {
                    self.leave(ticket).await;
                    Err(from_error(&error))
                }
            },
            Fate::GivesUp => {
                let caller = Caller::User(self.user.clone());
                let release = Command::Release { reservation: reference(&held), caller };
                // A refusal says that the hold has ended already.
                let _ = self.ask(release).await;
                self.leave(ticket).await;
                Ok(Outcome::GaveUp)
            }
            Fate::Vanishes | Fate::NeverComes => {
                self.let_time_end(ticket).await;
                Ok(Outcome::Vanished)
            }
        }
    }

    /// Holds seats, and chooses again when another fan was faster.
    async fn choose(&mut self, ticket: Ticket) -> Result<Reservation, Outcome> {
        let Character { mut count, mut grade, .. } = self.character;
        for _ in 0..CHOICES {
            self.pause(&LOOKS).await;
            let wish = self.wish(grade, count);
            self.pause(&CLICKS).await;

            // The HTTP layer checks the pass before it asks the schedule, and so does a fan.
            if !self.world.is_active(ticket) {
                return Err(Outcome::TooLate);
            }
            let hold = Command::hold(self.user.clone(), wish, self.dice.bits());
            match self.ask(hold).await {
                Ok(Answer::Reservation(reservation)) => return Ok(reservation),
                Ok(Answer::Schedule(_) | Answer::Put { .. } | Answer::Batch(_)) => {
                    return Err(Outcome::TurnedAway);
                }
                Err(EngineError::Refused(engine::Refusal::Schedule(
                    Refusal::SeatsUnavailable { .. } | Refusal::OrphanSeats { .. },
                ))) => {
                    self.world.tally().beaten();
                }
                Err(EngineError::Refused(engine::Refusal::Schedule(
                    Refusal::NotEnoughSeats | Refusal::NotEnoughPlaces { .. },
                ))) => {
                    // First any grade, then fewer seats.
                    if grade.take().is_none() {
                        count = (count - 1).max(1);
                    }
                }
                Err(error) => return Err(from_error(&error)),
            }

            if self.world.room().read().gate() == Gate::SoldOut {
                break;
            }
        }

        Err(Outcome::EmptyHanded)
    }

    fn wish(&mut self, grade: Option<Grade>, count: u32) -> Wish {
        let code = self.world.code.as_ref().map(|code| Arc::clone(code.text()));
        Wish { code, ..self.places(grade, count) }
    }

    fn places(&mut self, grade: Option<Grade>, count: u32) -> Wish {
        if let Some(area) = pick_area(&mut self.dice, self.world.entry.layout(), grade) {
            let wish = AreaWish { area, count, price_type: PriceType::default() };
            return Wish { areas: Box::new([wish]), ..Wish::default() };
        }
        if self.character.picks {
            let (_, statuses): (u64, Box<[SeatStatus]>) = self.world.entry.seats();
            let picked = pick(&mut self.dice, self.world.entry.layout(), &statuses, grade, count);
            if let Some(seats) = picked {
                return Wish::seats(seats);
            }
        }
        Wish::best_of(grade, count)
    }

    /// Charges the balance with the price of a hold, and pays from it. A completed payment ends the pass.
    async fn pay(&mut self, held: &Reservation) -> Result<(), EngineError> {
        self.pause(&PAYS).await;
        let world = Arc::clone(&self.world);
        let (amount, currency) = {
            let schedule = world.entry.read();
            (schedule.amount_of(held), schedule.currency())
        };

        let (charge, nonce) = (self.dice.bits(), self.dice.bits());
        let (user, by_user) = (self.user.clone(), || Cause { by: By::User, key: None });
        self.insist(|| world.engine.charge(&user, amount, currency, charge, by_user())).await?;

        let purchase = Purchase {
            user: user.clone(),
            reservation: reference(held),
            method: Method::Balance,
            nonce,
            key: None,
        };
        let paid = self.insist(|| world.engine.pay(&world.entry, purchase.clone())).await?;

        match paid.answer.state {
            State::Completed => Ok(()),
            State::Ready
            | State::Begun
            | State::Capturing
            | State::Declined
            | State::Captured
            | State::Confirmed
            | State::Failed
            | State::Refunding
            | State::Refunded => Err(Refusal::Expired.into()),
        }
    }

    async fn leave(&mut self, ticket: Ticket) {
        let world = Arc::clone(&self.world);
        let user = self.user.clone();
        let _ = self.insist(|| world.engine.leave(&world.entry, &user, ticket, None)).await;
    }

    /// Waits until the place has ended by time.
    async fn let_time_end(&mut self, ticket: Ticket) {
        while self.world.room().read().has(ticket) {
            tokio::time::sleep(self.world.pace.time(Duration::from_secs(2))).await;
        }
    }

    async fn pause(&mut self, range: &RangeInclusive<Duration>) {
        tokio::time::sleep(self.world.pace.time(self.dice.within(range))).await;
    }

    async fn ask(&mut self, command: Command) -> Result<Answer, EngineError> {
        let world = Arc::clone(&self.world);
        let acted = self.insist(|| world.engine.act(&world.entry, command.clone(), None)).await;
        acted.map(|acted| acted.answer)
    }

    /// Asks, and again later if the engine is too busy, as a client does after a 503.
    async fn insist<T, F>(&mut self, ask: impl Fn() -> F) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, EngineError>>,
    {
        let mut wait = BACKOFF;
        for _ in 0..TRIES {
            match ask().await {
                Err(EngineError::Overloaded | EngineError::NotReady) => self.world.tally().busy(),
                answered => return answered,
            }
            let spread = self.dice.within(&(wait / 2..=wait));
            tokio::time::sleep(spread).await;
            wait = (wait * 2).min(BACKOFF_MAX);
        }
        ask().await
    }
}

fn reference(held: &Reservation) -> ReservationRef {
    ReservationRef { number: held.number, nonce: held.nonce }
}

/// Returns how a visit ends after this refusal.
fn from_error(error: &EngineError) -> Outcome {
    if let EngineError::Refused(engine::Refusal::Room(waiting_room::Refusal::NotOnSale)) = error {
        return Outcome::SoldOut;
    }
    let EngineError::Refused(engine::Refusal::Schedule(refusal)) = error else { return Outcome::TurnedAway };

    match refusal {
        Refusal::NotOpen => Outcome::SoldOut,
        Refusal::Expired | Refusal::NotHeld | Refusal::NoSuchReservation | Refusal::PaymentNotUnderWay => {
            Outcome::TooLate
        }
        Refusal::SeatsUnavailable { .. }
        | Refusal::NotEnoughSeats
        | Refusal::NotEnoughPlaces { .. }
        | Refusal::OrphanSeats { .. }
        | Refusal::AccessibleSeats { .. } => Outcome::EmptyHanded,
        Refusal::NoSeats
        | Refusal::UnknownSeats { .. }
        | Refusal::RepeatedSeats { .. }
        | Refusal::UnknownGrade
        | Refusal::UnknownPriceType
        | Refusal::PriceTypeNotSold
        | Refusal::UnknownArea
        | Refusal::TooManySeats { .. }
        | Refusal::SeatLimitExceeded { .. }
        | Refusal::CancellationClosed
        | Refusal::InvalidTransition
        | Refusal::InUse
        | Refusal::ConcertFixed
        | Refusal::OtherAmount
        | Refusal::PricesFixed
        | Refusal::CodeRequired
        | Refusal::CodeInvalid
        | Refusal::CodeExhausted
        | Refusal::NoSuchCode
        | Refusal::NoSuchAllotment
        | Refusal::Unfit { .. }
        | Refusal::TooManyUnpaid { .. } => Outcome::TurnedAway,
    }
}
