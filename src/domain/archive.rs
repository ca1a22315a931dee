//! Decides which schedules belong in the archive: those that are long over, with their payments.
//!
//! A schedule moves as it is, once nothing but an administrator's wish could still change it; from then on it never changes. Its waiting room, in which nobody is by then, is forgotten. Which movements of accounts are old is
//! `accounts`' to say.
//!
//! Absent on purpose: the archive itself, clocks.

use super::keys::{KEY_RETENTION, KeyList};
use super::payments::{Payments, PaymentsImage};
use super::schedule::{Archived, Image, Plan, ReservationStatus, Schedule};
use super::settlement;
use super::time::{Seconds, Timestamp};
use super::waiting_room::WaitingRoom;
use std::sync::Arc;

/// Why a schedule stays in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stays {
    /// The show isn't over, or not for long enough.
    NotOver,
    /// Something happened to it, its room or its payments within a day: an idempotency key may still ask for it.
    NotQuiet,
    /// A hold or a payment is under way, or time will change something yet.
    Live,
    /// Someone waits in its room, or is let in.
    RoomInUse,
    /// A payment is under way, or money is to be given back.
    Unsettled,
}

/// Decides whether a schedule moves to the archive at `now`, `after` its show has ended.
///
/// # Errors
/// Why it stays.
pub fn belongs(
    schedule: &Schedule,
    room: &WaitingRoom,
    payments: Option<&Payments>,
    now: Timestamp,
    after: Seconds,
) -> Result<Archived, Stays> {
    if schedule.plan().ends_at.plus(after) > now {
        return Err(Stays::NotOver);
    }

    let paid = payments.map_or(Timestamp::ZERO, Payments::last_instant);
    let last = schedule.last_instant().max(room.last_instant()).max(paid);
    // The archive has no keys, and within its day a key may still ask for its answer.
    if last.plus(KEY_RETENTION) > now {
        return Err(Stays::NotQuiet);
    }

    // Time will still change it: a deadline comes, or its sale opens or closes.
    let moving = |status: ReservationStatus| status.has_deadline();
    if schedule.next_due().is_some() || schedule.reservations().any(|kept| moving(kept.status)) {
        return Err(Stays::Live);
    }

    // The room doesn't go to the archive: those in it would be forgotten.
    if room.waiting() > 0 || room.active() > 0 {
        return Err(Stays::RoomInUse);
    }

    // An archived payment takes no more steps, so none may be left to take.
    if payments
        .is_some_and(|payments| payments.iter().any(|payment| !settlement::is_settled(payment, schedule)))
    {
        return Err(Stays::Unsettled);
    }

    Ok(Archived {
        version: schedule.version(),
        payments: payments.map_or(0, Payments::version),
        opened: schedule.has_opened(),
    })
}

/// Takes the image of a schedule as the archive keeps it: without its idempotency keys, whose day is over, and with the
/// room's settings as an administrator last tuned them.
pub fn image_of(schedule: &Schedule, room: &WaitingRoom) -> Image {
    let mut image = Image { keys: KeyList::default(), ..Image::of(schedule) };
    if let (Some(queue), Some(tuned)) = (&image.plan.policy.queue, room.settings()) {
        let mut queue = queue.clone();
        queue.active_max = tuned.policy.active_max;
        queue.admit_per_minute = tuned.policy.admit_per_minute;
        let mut plan = Plan::clone(&image.plan);
        plan.policy.queue = Some(queue);
        image.plan = Arc::new(plan);
    }
    image
}

/// Takes the image of a schedule's payments as the archive keeps them: without their idempotency keys.
pub fn image_of_payments(payments: &Payments) -> PaymentsImage {
    PaymentsImage { keys: KeyList::default(), ..PaymentsImage::of(payments) }
}

#[cfg(test)]
mod tests;
