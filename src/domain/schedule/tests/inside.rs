//! What is inside of a schedule.

use super::*;
use crate::domain::inside::{Inside, said};

/// Says what is in each field of a schedule.
pub(super) fn inside(schedule: &Schedule) -> Inside {
    let Schedule {
        number,
        id,
        concert,
        venue,
        currency,
        plan,
        limits,
        layout: _,
        sale,
        phase,
        prices,
        opened,
        end,
        ever_confirmed,
        owners,
        statuses,
        counts,
        free_in_row,
        areas,
        codes,
        allotments,
        reservations,
        last_reservation,
        users,
        deadlines,
        other_deadlines,
        ended,
        orders,
        part_refunds,
        keys,
        version,
        seats_version,
        seats_sum,
        last_instant,
        // What the last event changed is told once.
        changed: _,
    } = schedule;
    let areas = areas.as_ref().map(|areas| areas.counts());
    let users: BTreeMap<_, _> = users.iter().collect();
    let (reservations, keys) = (reservations.inside(), keys.inside());
    said![
        number,
        id,
        concert,
        venue,
        currency,
        plan,
        limits,
        sale,
        phase,
        prices,
        opened,
        end,
        ever_confirmed,
        owners,
        statuses,
        counts,
        free_in_row,
        areas,
        codes,
        allotments,
        reservations,
        last_reservation,
        users,
        deadlines,
        other_deadlines,
        ended,
        orders,
        part_refunds,
        keys,
        version,
        seats_version,
        seats_sum,
        last_instant,
    ]
}
