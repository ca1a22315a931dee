//! `onsale replay --draw`: repeats the draw of a waiting room and compares it with the order that was used.
//!
//! ```text
//! Configured (the seed, whose hash was published) → Joined, Left, … → Drawn (the seed, published)
//! ```
//!
//! If the opening was moved after a draw, the room draws again among those who joined since: the last draw counts. The
//! input and the outcome come from the journal's records. The shuffle of `domain::waiting_room::draw` needs only the
//! tickets of those who waited, and nothing else of the room's state.

use std::path::Path;

use onsale::domain::ids::{ScheduleId, ScheduleNumber};
use onsale::domain::schedule::Schedule;
use onsale::domain::time::Timestamp;
use onsale::domain::waiting_room::draw::{Seed, hex, shuffle};
use onsale::domain::waiting_room::{Event, Ticket, WaitingRoom};
use onsale::journal::{Inspection, Position};
use onsale::record::Fact;
use onsale::recovery::{self, Rebuilt, World};
use serde_json::{Value, json};

use super::output::{Failure, print};
use super::rebuild::{self, WorldError};

/// One draw, as the journal has it.
struct Draw {
    position: Position,
    at: Timestamp,
    seed: Seed,
    /// The record that published the seed's hash, if the journal still has it.
    committed: Option<(Position, Timestamp, [u8; 32])>,
    /// Those who waited without a position, in the order of joining.
    input: Vec<(Ticket, String)>,
    /// Their order after the draw.
    outcome: Vec<Ticket>,
}

/// Prints the draw of a schedule's waiting room. Fails if the order isn't the one that the seed gives.
pub(super) fn run(
    inspection: &Inspection,
    dir: &Path,
    rebuilt: &Rebuilt,
    wanted: &ScheduleId,
) -> Result<(), Failure> {
    let schedule = rebuilt.world.schedules.values().find(|schedule| schedule.id() == wanted);
    let number = schedule.map(Schedule::number);
    let number = number.ok_or_else(|| Failure::Failed(format!("there was no schedule {wanted} then")))?;
    let draw = find(inspection, dir, number, rebuilt.position)?;
    let draw = draw.ok_or_else(|| {
        Failure::Failed(format!("the journal has no draw of {wanted}, as far back as it is retained"))
    })?;
    let (described, right) = judge(&draw);
    let text = serde_json::to_string_pretty(&described).map_err(Failure::failed)?;
    print(&format!("{text}\n"))?;
    if right { Ok(()) } else { Err(Failure::Failed("the order isn't the one that the seed gives".into())) }
}

/// Reads the journal from its beginning, or from the oldest snapshot, and returns the room's last draw.
fn find(
    inspection: &Inspection,
    dir: &Path,
    number: ScheduleNumber,
    until: Position,
) -> Result<Option<Draw>, WorldError> {
    let retained_after = inspection.retained_after()?;
    let mut world = match retained_after {
        Position::START => World::default(),
        position => rebuild::start_at(inspection, dir, position)?,
    };
    let (mut draw, mut committed) = (None, None);

    inspection.for_each(retained_after, until, |position, bytes| {
        let record = recovery::decode(position, bytes)?;
        let event = if let Fact::WaitingRoom(of, event) = &record.fact
            && *of == number
        {
            Some(event)
        } else {
            None
        };

        // The event gives positions, so those who had none are read from the state before it.
        let before = match event {
            Some(Event::Drawn { .. }) => world.rooms.get(&number).map(people),
            _ => None,
        };
        rebuild::apply(&mut world, position, &record)?;

        if let Some(Event::Configured { seed: Some(seed), .. }) = event {
            committed = Some((position, record.at, seed.commitment()));
        }
        if let (Some(Event::Drawn { seed }), Some(input)) = (event, before) {
            let drawn = |ticket: &Ticket| input.binary_search_by_key(ticket, |(ticket, _)| *ticket).is_ok();
            let room = world.rooms.get(&number);
            let outcome = room.map(|room| room.in_line().filter(drawn).collect()).unwrap_or_default();
            draw = Some(Draw { position, at: record.at, seed: *seed, committed, input, outcome });
        }
        Ok::<(), WorldError>(())
    })?;

    Ok(draw)
}

fn people(room: &WaitingRoom) -> Vec<(Ticket, String)> {
    room.undrawn().map(|ticket| (ticket, room.user(ticket).unwrap_or_default().to_owned())).collect()
}

fn judge(draw: &Draw) -> (Value, bool) {
    let mut order: Vec<&(Ticket, String)> = draw.input.iter().collect();
    shuffle(&draw.seed, &mut order);

    // Three promises: the seed is the one whose hash was published, the order follows from it, and the input stands in the
    // order of joining.
    let hash = draw.seed.commitment();
    let published = draw.committed.is_none_or(|(.., committed)| committed == hash);
    let same = order.iter().map(|(ticket, _)| ticket).eq(&draw.outcome);
    let joined = draw.input.is_sorted_by_key(|(ticket, _)| *ticket);

    let order: Vec<Value> = (1..)
        .zip(&order)
        .map(|(place, (ticket, user)): (u32, _)| json!({"place": place, "ticket": ticket.0, "userId": user}))
        .collect();
    let committed = draw.committed.map(|(position, at, hash)| {
        json!({"position": position.get(), "at": at.to_string(), "seedSha256": hex(&hash)})
    });
    let right = published && same && joined;
    let described = json!({
        "committed": committed,
        "drawn": {"position": draw.position.get(), "at": draw.at.to_string(), "people": draw.input.len()},
        "seed": hex(&draw.seed.0),
        "seedSha256": hex(&hash),
        "verified": right,
        "order": order,
    });

    (described, right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(outcome: &[u32]) -> Draw {
        let people = (1..=10).map(|ticket| (Ticket(ticket), format!("fan-{ticket}")));
        Draw {
            position: Position::new(9),
            at: Timestamp::ZERO,
            seed: Seed([7; 32]),
            committed: Some((Position::new(1), Timestamp::ZERO, Seed([7; 32]).commitment())),
            input: people.collect(),
            outcome: outcome.iter().copied().map(Ticket).collect(),
        }
    }

    /// The order that the seed of sevens gives ten people, as any implementation of the algorithm finds it.
    const RIGHT: [u32; 10] = [7, 9, 10, 1, 8, 5, 2, 4, 6, 3];

    #[test]
    fn a_draw_is_verified_when_it_is_the_one_that_the_published_seed_gives() {
        let (described, right) = judge(&draw(&RIGHT));
        assert!(right);
        assert_eq!(described["order"][0], json!({"place": 1, "ticket": 7, "userId": "fan-7"}));
    }

    #[test]
    fn another_order_or_another_seed_than_the_published_one_is_found_out() {
        let mut swapped = RIGHT;
        swapped.swap(3, 4);
        assert!(!judge(&draw(&swapped)).1);
        let mut other = draw(&RIGHT);
        other.committed = Some((Position::new(1), Timestamp::ZERO, Seed([8; 32]).commitment()));
        assert!(!judge(&other).1);
    }
}
