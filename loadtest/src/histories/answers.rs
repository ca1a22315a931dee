//! What the server's answers mean.

use serde_json::Value;

use super::{
    customer::Sale,
    history::{Answered, Asked, Stands, Told},
    seat::Status,
};
use crate::instant;

/// What an answer means.
pub(super) enum Read {
    Answered(Answered),
    /// This sending had no effect and never will; an earlier one may be under way.
    Later,
    /// The server itself doesn't know.
    Unknown,
    /// Not an answer to this question.
    Wrong,
}

/// Reads an answer.
pub(super) fn read(sale: &Sale, asked: &Asked, status: u16, body: &[u8]) -> Read {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return Read::Wrong };
    match (asked, status, body["code"].as_str()) {
        (Asked::Map, 200, _) => map(sale, &body).map_or(Read::Wrong, Read::Answered),
        (Asked::Hold { .. }, 201, _)
        | (Asked::Exchange { .. } | Asked::Release { .. } | Asked::Look { .. }, 200, _) => {
            told(sale, &body).map_or(Read::Wrong, |told| Read::Answered(Answered::Done(Some(told))))
        }
        (Asked::Pay { .. }, 201, _) if body["status"] == "completed" => Read::Answered(Answered::Done(None)),
        (Asked::Hold { .. } | Asked::Exchange { .. }, 409, Some("seat_unavailable")) => {
            taken(sale, &body).map_or(Read::Wrong, |seats| Read::Answered(Answered::Taken(seats)))
        }
        // A payment may be repeated after its reservation was cancelled.
        (Asked::Pay { .. }, 201, _)
        | (
            Asked::Exchange { .. } | Asked::Release { .. } | Asked::Pay { .. },
            409,
            Some("reservation_not_held" | "reservation_expired" | "payment_not_ready"),
        ) => Read::Answered(Answered::Refused),

        (_, 409, Some("request_in_progress")) | (_, 503, Some("overloaded" | "not_ready")) => Read::Later,
        (Asked::Pay { .. }, 202, _) | (_, 503, _) => Read::Unknown,
        (_, _, _) => Read::Wrong,
    }
}

/// Reads a reservation.
pub(super) fn told(sale: &Sale, body: &Value) -> Option<Told> {
    let instant = |name: &str| Some(sale.wall.nanos(instant::millis(body[name].as_str()?)?));
    let place = |seat: &Value| sale.places.get(seat["seatId"].as_str()?).copied();
    let mut seats = body["seats"].as_array()?.iter().map(place).collect::<Option<Vec<_>>>()?;
    seats.sort_unstable();
    Some(Told {
        id: body["reservationId"].as_str()?.into(),
        stands: Stands::of(body["status"].as_str()?)?,
        seats,
        created: instant("createdAt")?,
        expires: instant("expiresAt")?,
    })
}

/// Which seats others have; at least one, or the refusal has no reason.
fn taken(sale: &Sale, body: &Value) -> Option<Vec<usize>> {
    let place = |seat: &Value| sale.places.get(seat.as_str()?).copied();
    let seats = body["seats"].as_array()?.iter().map(place).collect::<Option<Vec<_>>>()?;
    (!seats.is_empty()).then_some(seats)
}

/// Reads a map, which has each seat once.
pub(super) fn map(sale: &Sale, body: &Value) -> Option<Answered> {
    let mut map = vec![None; sale.seats.len()];
    for seat in body["seats"].as_array()? {
        let status = match seat["status"].as_str()? {
            "available" => Status::Available,
            "held" => Status::Held,
            "reserved" => Status::Reserved,
            _ => return None,
        };
        let place = *sale.places.get(seat["seatId"].as_str()?)?;
        if map[place].replace(status).is_some() {
            return None;
        }
    }
    Some(Answered::Map(map.into_iter().collect::<Option<_>>()?))
}
