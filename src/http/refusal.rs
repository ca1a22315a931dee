//! One exhaustive match from what the engine refuses to the problems of the API.

use super::problem::{Code, FieldError, Problem};
use crate::domain::accounts;
use crate::domain::catalogue::CatalogueRefusal;
use crate::domain::money::Money;
use crate::domain::payments;
use crate::domain::schedule::Refusal;
use crate::domain::schedule::policy::ACTIVE_MAX;
use crate::domain::users;
use crate::domain::venue::{Layout, Seat};
use crate::domain::waiting_room;
use crate::engine::EngineError;

/// Turns an error into its problem; `layout` names the seats of a refusal.
pub fn problem(error: EngineError, layout: Option<&Layout>) -> Problem {
    match error {
        EngineError::Refused(refusal) => refused(refusal, layout),
        EngineError::CatalogueRefused(refusal) => catalogue_refused(refusal),
        EngineError::RoomRefused(refusal) => room_refused(refusal),
        EngineError::AccountRefused(refusal) => account_refused(refusal),
        EngineError::PaymentRefused(refusal) => payment_refused(refusal),
        EngineError::NoSuchSchedule => Problem::not_found(),
        EngineError::KeyReused => Problem::new(
            Code::IdempotencyKeyReused,
            "This idempotency key was used for a request with another body.",
        ),
        EngineError::InProgress => Problem::new(
            Code::RequestInProgress,
            "The first request with this idempotency key is still running.",
        ),
        EngineError::Overloaded => Problem::overloaded(),
        EngineError::NotReady => {
            Problem::new(Code::NotReady, "This part of the engine is recovering; try again in a moment.")
                .retry_after(1)
        }
        EngineError::OutcomeUnknown => Problem::new(
            Code::OutcomeUnknown,
            "It may or may not have happened; a retry with the same idempotency key finds it out.",
        ),
        EngineError::JournalUnavailable => Problem::new(
            Code::JournalUnavailable,
            "Nothing can be changed just now: the journal takes no more entries.",
        ),
        EngineError::ArchiveUnavailable => {
            Problem::new(Code::NotReady, "The archive can't be read just now; try again in a moment.")
                .retry_after(1)
        }
        EngineError::UsersRefused(refusal) => users_refused(refusal),
        EngineError::NoGateway => Problem::new(
            Code::GatewayUnavailable,
            "The payment gateway is not set up just now; nothing was taken.",
        ),
    }
}

fn refused(refusal: Refusal, layout: Option<&Layout>) -> Problem {
    let names = |seats: &[Seat]| -> Vec<String> {
        let name = |layout: &Layout| seats.iter().map(|seat| layout.seat_id(*seat).to_owned()).collect();
        layout.map(name).unwrap_or_default()
    };
    match refusal {
        Refusal::NoSeats => Problem::invalid_field("seats", "at least one seat is needed"),
        Refusal::TooManySeats { max } => {
            Problem::invalid_field("seats", format!("a reservation of this schedule has at most {max} seats"))
        }
        Refusal::UnknownSeats { .. } => Problem::new(Code::UnknownSeat, "The venue has no such seats."),
        Refusal::RepeatedSeats { .. } => Problem::invalid_field("seats", "a seat is named twice"),
        Refusal::UnknownGrade => Problem::invalid_field("bestAvailable.grade", "the venue has no such grade"),
        Refusal::NotOpen => Problem::new(Code::ScheduleNotOpen, "This schedule is not on sale now."),
        Refusal::SeatLimitExceeded { max } => Problem::new(
            Code::SeatLimitExceeded,
            format!("You may have at most {max} seats of this schedule."),
        ),
        Refusal::SeatsUnavailable { seats } => {
            Problem::new(Code::SeatUnavailable, "At least one of the seats is taken; see `seats`.")
                .with("seats", names(&seats))
        }
        Refusal::NotEnoughSeats => Problem::new(Code::NotEnoughSeats, "There are not as many seats left."),
        Refusal::OrphanSeats { seats } => {
            Problem::new(Code::OrphanSeat, "This choice would leave a single seat alone; see `seats`.")
                .with("seats", names(&seats))
        }
        Refusal::NoSuchReservation => Problem::not_found(),
        Refusal::NotHeld => {
            Problem::new(Code::ReservationNotHeld, "The reservation is not in a state that allows this.")
        }
        Refusal::Expired => Problem::new(Code::ReservationExpired, "The hold has ended."),
        Refusal::PaymentNotUnderWay => {
            Problem::new(Code::PaymentNotReady, "This payment is not the one that is under way.")
        }
        Refusal::CancellationClosed => {
            Problem::new(Code::CancellationClosed, "The performance is too near to cancel.")
        }
        Refusal::InvalidTransition => {
            Problem::new(Code::InvalidTransition, "The sale cannot change that way from where it is.")
        }
        Refusal::InUse => Problem::new(Code::InUse, "The schedule has reservations."),
        Refusal::ConcertFixed => Problem::new(Code::InUse, "A schedule stays with its concert."),
        Refusal::TooManyUnpaid { wait } => Problem::new(
            Code::RateLimited,
            "Too many of your holds of this schedule ended unpaid; wait a while.",
        )
        .retry_after(u64::from(wait.get())),
    }
}

fn account_refused(refusal: accounts::Refusal) -> Problem {
    match refusal {
        accounts::Refusal::Insufficient { balance, required } => insufficient(balance, required),
        accounts::Refusal::OtherCurrency => other_currency(),
        accounts::Refusal::TooMuch => {
            Problem::new(Code::AmountOutOfRange, "That is more than an account holds.")
        }
        accounts::Refusal::NothingTaken => {
            Problem::new(Code::PaymentNotReady, "Nothing was taken that could be given back.")
        }
    }
}

/// Says that a balance is too small.
pub fn insufficient(balance: Money, required: Money) -> Problem {
    Problem::new(Code::InsufficientBalance, "The balance is too small for this.")
        .with("currentBalance", balance.minor())
        .with("requiredAmount", required.minor())
}

/// Says that an account has another currency.
pub fn other_currency() -> Problem {
    Problem::new(Code::CurrencyMismatch, "The account has another currency than the reservation.")
}

fn payment_refused(refusal: payments::Refusal) -> Problem {
    match refusal {
        payments::Refusal::NoSuchPayment => Problem::not_found(),
        payments::Refusal::NotReady => {
            Problem::new(Code::PaymentNotReady, "The payment is not in a state that allows this.")
        }
        payments::Refusal::TooManyReady => Problem::new(
            Code::RateLimited,
            "Too many payments of this reservation are being made ready at once; wait a moment.",
        )
        .retry_after(1),
    }
}

fn room_refused(refusal: waiting_room::Refusal) -> Problem {
    match refusal {
        waiting_room::Refusal::NoRoom => {
            Problem::new(Code::NoWaitingRoom, "This schedule has no waiting room.")
        }
        waiting_room::Refusal::NotOnSale => {
            Problem::new(Code::ScheduleNotOpen, "The sale is over: there is nothing to wait for.")
        }
        waiting_room::Refusal::Full => {
            Problem::new(Code::Overloaded, "The waiting room is full; try again later.").retry_after(60)
        }
        waiting_room::Refusal::OutOfRange => Problem::invalid_field(
            "maxActive",
            format!("maxActive and admitPerMinute must be from 1 to {ACTIVE_MAX}"),
        ),
        waiting_room::Refusal::OrderFixed => Problem::new(
            Code::InUse,
            "People wait in the order that they were promised: it can change once nobody waits.",
        ),
    }
}

fn users_refused(refusal: users::Refusal) -> Problem {
    match refusal {
        users::Refusal::EmailTaken => Problem::new(Code::EmailTaken, "Another user has this address."),
        // The next try draws another one.
        users::Refusal::IdTaken => Problem::overloaded(),
        users::Refusal::NoSuchUser => Problem::not_found(),
        users::Refusal::IsDeleted => Problem::new(Code::InvalidTransition, "A deleted user stays deleted."),
    }
}

fn catalogue_refused(refusal: CatalogueRefusal) -> Problem {
    match refusal {
        CatalogueRefusal::Invalid(errors) => Problem::invalid(
            errors.into_iter().map(|error| FieldError { field: error.field, detail: error.detail }).collect(),
        ),
        CatalogueRefusal::InUse(why) => Problem::new(Code::InUse, format!("{why}.")),
        CatalogueRefusal::NotFound => Problem::not_found(),
    }
}
