//! One exhaustive match from the engine's refusals to the API's problems.

use core::fmt::Display;

use serde_json::json;

use super::problem::{Code, FieldError, Problem};
use crate::domain::accounts;
use crate::domain::catalogue::CatalogueRefusal;
use crate::domain::money::Money;
use crate::domain::payments;
use crate::domain::schedule::Refusal;
use crate::domain::schedule::policy::ACTIVE_MAX;
use crate::domain::users;
use crate::domain::venue::{Area, Layout, Seat};
use crate::domain::waiting_room;
use crate::engine::{self, EngineError};

/// Turns an error into its problem. `layout` names the seats of a refusal.
pub fn problem(error: EngineError, layout: Option<&Layout>) -> Problem {
    match error {
        EngineError::Refused(refusal) => refused(refusal, layout),
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
            "The change may or may not have happened; repeat the request with the same Idempotency-Key to find out.",
        ),
        EngineError::JournalUnavailable => Problem::new(
            Code::JournalUnavailable,
            "The journal takes no more entries, so nothing can be changed just now.",
        ),
        EngineError::ArchiveUnavailable => {
            Problem::new(Code::NotReady, "The archive can't be read just now; try again in a moment.")
                .retry_after(1)
        }
        EngineError::NoGateway => {
            Problem::new(Code::GatewayUnavailable, "The payment gateway isn't set up; no money was taken.")
        }
    }
}

/// Makes a problem with the refusal's own message as its sentence.
fn because(code: Code, reason: impl Display) -> Problem {
    let reason = reason.to_string();
    let mut letters = reason.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    Problem::new(code, format!("{}{}.", first.collect::<String>(), letters.as_str()))
}

fn refused(refusal: engine::Refusal, layout: Option<&Layout>) -> Problem {
    match refusal {
        engine::Refusal::Schedule(refusal) => schedule_refused(refusal, layout),
        engine::Refusal::Catalogue(refusal) => catalogue_refused(refusal),
        engine::Refusal::Room(refusal) => room_refused(refusal),
        engine::Refusal::Account(refusal) => account_refused(refusal),
        engine::Refusal::Payment(refusal) => payment_refused(refusal),
        engine::Refusal::User(refusal) => user_refused(refusal),
    }
}

fn schedule_refused(refusal: Refusal, layout: Option<&Layout>) -> Problem {
    let names = |seats: &[Seat]| -> Vec<String> {
        let name = |layout: &Layout| seats.iter().map(|seat| layout.seat_id(*seat).to_owned()).collect();
        layout.map(name).unwrap_or_default()
    };
    let code = match &refusal {
        Refusal::NoSeats | Refusal::TooManySeats { .. } | Refusal::RepeatedSeats { .. } => {
            return Problem::invalid_field("seats", refusal.to_string());
        }
        Refusal::UnknownPriceType | Refusal::PriceTypeNotSold => {
            return Problem::invalid_field("priceType", refusal.to_string());
        }
        Refusal::NotEnoughPlaces { areas } => {
            let area = |(area, available): &(Area, u32)| {
                let id = layout.and_then(|layout| layout.areas().get(area.index())).map(|area| &*area.id);
                json!({"areaId": id, "available": available})
            };
            let detail = "An area has not as many places left; see `areas`.";
            return Problem::new(Code::NotEnoughSeats, detail)
                .with("areas", areas.iter().map(area).collect::<Vec<_>>());
        }
        Refusal::AccessibleSeats { seats } => {
            let detail = "Accessible seats are kept for those who ask for them; see `seats`.";
            return Problem::new(Code::AccessibleSeat, detail).with("seats", names(seats));
        }
        Refusal::UnknownArea => return Problem::invalid_field("areas", refusal.to_string()),
        Refusal::UnknownGrade => return Problem::invalid_field("bestAvailable.grade", refusal.to_string()),
        Refusal::NoSuchReservation | Refusal::NoSuchCode | Refusal::NoSuchAllotment => {
            return Problem::not_found();
        }
        Refusal::Unfit { field, why } => return Problem::invalid_field(*field, *why),
        Refusal::CodeInvalid => return code_invalid(),
        Refusal::SeatsUnavailable { seats } => {
            return Problem::new(Code::SeatUnavailable, "At least one of the seats is taken; see `seats`.")
                .with("seats", names(seats));
        }
        Refusal::OrphanSeats { seats } => {
            return Problem::new(
                Code::OrphanSeat,
                "This choice would leave a single seat alone; see `seats`.",
            )
            .with("seats", names(seats));
        }
        Refusal::TooManyUnpaid { wait } => {
            return because(Code::RateLimited, &refusal).retry_after(u64::from(wait.get()));
        }
        Refusal::UnknownSeats { .. } => Code::UnknownSeat,
        Refusal::NotOpen => Code::ScheduleNotOpen,
        Refusal::CodeRequired => Code::CodeRequired,
        Refusal::CodeExhausted => Code::CodeExhausted,
        Refusal::SeatLimitExceeded { .. } => Code::SeatLimitExceeded,
        Refusal::NotEnoughSeats => Code::NotEnoughSeats,
        Refusal::NotHeld => Code::ReservationNotHeld,
        Refusal::Expired => Code::ReservationExpired,
        Refusal::PaymentNotUnderWay | Refusal::OtherAmount => Code::PaymentNotReady,
        Refusal::CancellationClosed => Code::CancellationClosed,
        Refusal::InvalidTransition => Code::InvalidTransition,
        Refusal::InUse | Refusal::ConcertFixed | Refusal::PricesFixed => Code::InUse,
    };

    because(code, refusal)
}

/// Makes the one answer for a code that can't be used, whatever the reason.
pub fn code_invalid() -> Problem {
    because(Code::CodeInvalid, Refusal::CodeInvalid)
}

fn account_refused(refusal: accounts::Refusal) -> Problem {
    match refusal {
        accounts::Refusal::Insufficient { balance, required } => insufficient(balance, required),
        accounts::Refusal::OtherCurrency => other_currency(),
        accounts::Refusal::TooMuch => because(Code::AmountOutOfRange, refusal),
        accounts::Refusal::NothingTaken => because(Code::PaymentNotReady, refusal),
    }
}

/// Makes the problem of a balance that is too small.
pub fn insufficient(balance: Money, required: Money) -> Problem {
    because(Code::InsufficientBalance, accounts::Refusal::Insufficient { balance, required })
        .with("currentBalance", balance.minor())
        .with("requiredAmount", required.minor())
}

/// Makes the problem of an account in another currency.
pub fn other_currency() -> Problem {
    because(Code::CurrencyMismatch, accounts::Refusal::OtherCurrency)
}

fn payment_refused(refusal: payments::Refusal) -> Problem {
    match refusal {
        payments::Refusal::NoSuchPayment => Problem::not_found(),
        payments::Refusal::NotReady | payments::Refusal::NotOwed => because(Code::PaymentNotReady, refusal),
        payments::Refusal::TooManyReady => because(Code::RateLimited, refusal).retry_after(1),
        payments::Refusal::Contradicts
        | payments::Refusal::MoreThanTaken
        | payments::Refusal::LessThanOwed { .. } => Problem::invalid_field("amount", refusal.to_string()),
        payments::Refusal::OthersKey => Problem::invalid_field("paymentKey", refusal.to_string()),
    }
}

fn room_refused(refusal: waiting_room::Refusal) -> Problem {
    match refusal {
        waiting_room::Refusal::NoRoom => because(Code::NoWaitingRoom, refusal),
        waiting_room::Refusal::NotOnSale => because(Code::ScheduleNotOpen, refusal),
        waiting_room::Refusal::Full => because(Code::Overloaded, refusal).retry_after(60),
        waiting_room::Refusal::OutOfRange => Problem::invalid_field(
            "maxActive",
            format!("maxActive and admitPerMinute must be from 1 to {ACTIVE_MAX}"),
        ),
        waiting_room::Refusal::OrderFixed => because(Code::InUse, refusal),
    }
}

/// Makes the problem of a mail's token that is expired or used.
pub fn token_is_over() -> Problem {
    Problem::invalid_field("token", "must be the unused token of a mail of the last hour; sign up again")
}

fn user_refused(refusal: users::Refusal) -> Problem {
    match refusal {
        users::Refusal::EmailTaken => because(Code::EmailTaken, refusal),
        // The next try draws another one.
        users::Refusal::IdTaken => Problem::overloaded(),
        users::Refusal::NoSuchUser => Problem::not_found(),
        users::Refusal::IsDeleted => because(Code::InvalidTransition, refusal),
        users::Refusal::PasswordReplaced => token_is_over(),
    }
}

fn catalogue_refused(refusal: CatalogueRefusal) -> Problem {
    match refusal {
        CatalogueRefusal::Invalid(errors) => Problem::invalid(
            errors.into_iter().map(|error| FieldError { field: error.field, detail: error.detail }).collect(),
        ),
        // It may begin with the path of a document.
        CatalogueRefusal::InUse(why) => Problem::new(Code::InUse, format!("{why}.")),
        CatalogueRefusal::NotFound => Problem::not_found(),
    }
}
