//! What is inside of a waiting room.

use super::*;
use crate::domain::inside::{Inside, said};

/// Says what is in each field of a room.
pub(super) fn inside(room: &WaitingRoom) -> Inside {
    let WaitingRoom {
        number,
        settings,
        configured,
        paused,
        gate,
        pace,
        seed,
        drawn,
        people,
        line,
        oldest,
        active,
        ends,
        done,
        admitted_total,
        keys,
        version,
        last_instant,
    } = room;
    let seed = seed.map(|seed| seed.0);
    let drawn_with = drawn.as_ref().map(|drawn| drawn.seed.0);
    let active: BTreeMap<_, _> = active.iter().collect();
    let EndedPlaces { order, tickets } = done;
    let tickets: BTreeSet<_> = tickets.iter().collect();
    let (people, keys) = (people.inside(), keys.inside());
    said![
        number,
        settings,
        configured,
        paused,
        gate,
        pace,
        seed,
        drawn,
        drawn_with,
        people,
        line,
        oldest,
        active,
        ends,
        order,
        tickets,
        admitted_total,
        keys,
        version,
        last_instant,
    ]
}
