//! Asks the server about everything that the book says, when nothing else runs, and compares.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    book::{self, Book, Entry, Faults, SeatMap, State, Told, index},
    script::{Plan, Script},
    setup::{Client, in_time},
    target::Target,
    wire::{Answer, Connection},
};

/// How many connections ask.
const CONNECTIONS: usize = 16;

/// What was compared, and what differs.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Findings {
    /// Acknowledged holds in the book.
    pub(crate) acknowledged: usize,
    /// Those neither released nor unsure; each was asked for.
    pub(crate) live: usize,
    pub(crate) released: usize,
    /// How many of the released were asked for.
    pub(crate) released_asked: usize,
    /// Reservations whose release has an unknown outcome; each was asked for.
    pub(crate) unsure_releases: usize,
    /// Holds of which nobody knows whether they took place.
    pub(crate) unsure_holds: usize,
    pub(crate) seats: usize,
    pub(crate) faults: Faults,
}

/// Checks the book. `released_max` bounds how many released reservations are asked for: every
/// one up to it, evenly chosen ones beyond it.
pub(crate) async fn audit(
    target: Target,
    plan: &Arc<Plan>,
    mut book: Book,
    released_max: usize,
) -> Result<Findings> {
    let released = book.count(State::Released);
    let mut findings = Findings {
        acknowledged: book.entries.len(),
        live: book.count(State::Held),
        released,
        released_asked: 0,
        unsure_releases: book.count(State::Unsure),
        unsure_holds: book.unsure_seats.len(),
        seats: plan.seats.len(),
        faults: std::mem::take(&mut book.faults),
    };
    book.check_owners(&mut findings.faults);
    book.check_map(&plan.seats, &seat_map(target, &plan.schedule).await?, &mut findings.faults);

    book.forget_old();
    let kept = book.count(State::Released);
    let stride = kept.div_ceil(released_max.max(1)).max(1);
    let mut nth_released = 0;
    let mut asked: Vec<Entry> = book.entries;
    asked.retain(|entry| {
        if entry.state != State::Released {
            return true;
        }
        nth_released += 1;
        released_max > 0 && nth_released % stride == 0
    });
    findings.released_asked = asked.iter().filter(|entry| entry.state == State::Released).count();

    let script = Arc::new(Script::new(plan, &target.host()));
    let mut askers = JoinSet::new();
    for part in asked.chunks(asked.len().div_ceil(CONNECTIONS).max(1)) {
        askers.spawn(ask(target, Arc::clone(plan), Arc::clone(&script), part.to_vec()));
    }
    while let Some(part) = askers.join_next().await {
        findings.faults.merge(part.context("an auditor")??);
    }
    Ok(findings)
}

async fn ask(target: Target, plan: Arc<Plan>, script: Arc<Script>, entries: Vec<Entry>) -> Result<Faults> {
    let mut connection = in_time(Connection::open(target.address())).await?;
    let mut request = Vec::new();
    let mut faults = Faults::default();
    for entry in &entries {
        script.write_get(&mut request, index(entry.user), &entry.reservation);
        let answer = in_time(connection.exchange(&request)).await.context("asking for a reservation")?;
        let told = told(&answer)?;
        let words = (&*plan.schedule, &*plan.seats[index(entry.seat)], &*plan.users[index(entry.user)].id);
        book::check_entry(entry, words, told.as_ref().map_err(|status| *status), &mut faults);
    }
    Ok(faults)
}

/// Reads what the server says of a reservation, or the status code where it has none.
pub(crate) fn told(answer: &Answer<'_>) -> Result<std::result::Result<Told, u16>> {
    if answer.status != 200 {
        return Ok(Err(answer.status));
    }
    let told = serde_json::from_slice::<Reservation>(answer.body);
    Ok(Ok(told.context("a reservation isn't as the API says")?.into()))
}

/// Of a reservation, what the book knows.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reservation {
    #[serde(rename = "reservationId")]
    id: String,
    schedule_id: String,
    user_id: String,
    status: String,
    seats: Vec<Seat>,
}

#[derive(Deserialize)]
struct Seat {
    #[serde(rename = "seatId")]
    id: String,
}

impl From<Reservation> for Told {
    fn from(told: Reservation) -> Self {
        Self {
            reservation: told.id,
            schedule: told.schedule_id,
            user: told.user_id,
            status: told.status,
            seats: told.seats.into_iter().map(|seat| seat.id).collect(),
        }
    }
}

/// Asks for the seat map and the counts of a schedule.
pub(crate) async fn seat_map(target: Target, schedule: &str) -> Result<SeatMap> {
    let mut client = Client::connect(target, None).await?;
    let path = format!("/api/v1/schedules/{schedule}");
    let schedule = client.json(&path).await?;
    let counts = counts(&schedule).context("the schedule has no counts of seats by status")?;
    let map = client.json(&format!("{path}/seats")).await?;
    let seats = map["seats"].as_array().context("the seat map has no seats")?;
    let status =
        |seat: &Value| Some((seat["seatId"].as_str()?.to_owned(), seat["status"].as_str()?.to_owned()));
    let statuses = seats.iter().map(status).collect::<Option<_>>().context("a seat without id or status")?;
    Ok(SeatMap { statuses, counts })
}

/// Finds the counts by status: the API says that a schedule has them, not under which name.
fn counts(value: &Value) -> Option<BTreeMap<String, u64>> {
    let fields = value.as_object()?;
    if fields.get("available").is_some_and(Value::is_u64) && fields.get("held").is_some_and(Value::is_u64) {
        let count = |(name, count): (&String, &Value)| Some((name.clone(), count.as_u64()?));
        return Some(fields.iter().filter_map(count).collect());
    }
    fields.values().find_map(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_a_schedule_are_found_under_any_name() {
        let schedule = serde_json::json!({
            "scheduleId": "s", "policy": { "holdSeconds": 300 },
            "seats": { "available": 3, "held": 1, "reserved": 0, "blocked": 0, "total": 4 },
        });
        assert_eq!(counts(&schedule).unwrap()["held"], 1);
        assert!(counts(&serde_json::json!({ "policy": { "held": "x" } })).is_none());
    }
}
