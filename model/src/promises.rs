//! What has to hold in every state, and what has to happen in some, so that the rest says something.

use stateright::Property;

use crate::takeover::{Frame, Lane, NODES, Stage, State, Takeover, Told};

type Always = fn(&Takeover, &State) -> bool;

/// What holds in every state.
pub(crate) const ALWAYS: [(&str, Always); 4] = [
    ("one history", one_history),
    ("nothing acknowledged is lost", nothing_lost),
    ("what was said of an unknown outcome is true", outcomes_are_true),
    ("no read is older than an acknowledged change", no_stale_read),
];

/// What happens somewhere.
pub(crate) const SOMETIMES: [(&str, Always); 7] = [
    ("another node takes over and serves", taken_over),
    ("an owner is fenced off in the middle of an append", |_, state| {
        state.told.iter().any(|told| matches!(told, Told::NotDone { .. }))
    }),
    ("a frame whose answer was lost is found in the log", |_, state| {
        state.told.iter().any(|told| matches!(told, Told::Adopted { .. }))
    }),
    ("an old owner answers reads while its successor waits", answers_meanwhile),
    ("a change is acknowledged after another life has begun", acknowledged_late),
    ("who died between its life and serving is followed by one that serves", follows_a_dead_one),
    ("two owners in turn have a change acknowledged, and the second answers with both", both_are_read),
];

pub(crate) fn all() -> Vec<Property<Takeover>> {
    let always = ALWAYS.iter().map(|(name, holds)| Property::always(name, *holds));
    let sometimes = SOMETIMES.iter().map(|(name, happens)| Property::sometimes(name, *happens));
    always.chain(sometimes).collect()
}

fn each_lane(state: &State) -> impl Iterator<Item = (u8, &Lane)> {
    (0..).zip(&state.lanes)
}

/// Between the beginning of a life and the next one stands what that life wrote, each change once; and nobody's world has what
/// isn't there.
fn one_history(_: &Takeover, state: &State) -> bool {
    each_lane(state).all(|(lane, Lane { log, .. })| {
        let (mut epoch, mut seen) = (0, 0);
        let in_order = log.iter().all(|frame| match frame {
            Frame::Life { epoch: of, .. } => {
                epoch += 1;
                *of == epoch
            }
            Frame::Write { epoch: of, change } => {
                let is_new = seen & 1 << change == 0;
                seen |= 1 << change;
                *of == epoch && is_new
            }
        });
        let worlds = state.nodes.iter().filter_map(|node| match node.stages[usize::from(lane)] {
            Stage::Serving { world, .. } | Stage::Recovering { world: Some(world), .. } => Some(world),
            _ => None,
        });
        in_order && worlds.into_iter().all(|world| world & !seen == 0)
    })
}

fn in_log(lane: &Lane) -> u8 {
    lane.changes(u8::try_from(lane.log.len()).expect("bounded"))
}

/// It is in the log, and in the world of whoever would be the next to write.
fn nothing_lost(_: &Takeover, state: &State) -> bool {
    each_lane(state).all(|(lane, of)| {
        let acknowledged = state.acknowledged(lane);
        let owner = of.log.iter().rev().find_map(|frame| match frame {
            Frame::Life { epoch, node, .. } => Some((*epoch, *node)),
            Frame::Write { .. } => None,
        });
        let known = owner.is_none_or(|(epoch, node)| {
            match state.nodes[usize::from(node)].stages[usize::from(lane)] {
                Stage::Serving { world, epoch: of, .. } if of == epoch => acknowledged & !world == 0,
                _ => true,
            }
        });
        acknowledged & !in_log(of) == 0 && known
    })
}

fn outcomes_are_true(_: &Takeover, state: &State) -> bool {
    each_lane(state).all(|(lane, of)| state.denied(lane) & in_log(of) == 0)
}

fn no_stale_read(model: &Takeover, state: &State) -> bool {
    each_lane(state).all(|(lane, _)| {
        let acknowledged = state.acknowledged(lane);
        (0..NODES)
            .filter_map(|node| state.answers(model.rules, node, lane))
            .all(|world| acknowledged & !world == 0)
    })
}

/// Returns the lives of a lane, the last one first, and whether something was written in each.
fn lives(lane: &Lane) -> Vec<(u8, u8, bool)> {
    let mut lives = Vec::new();
    let mut was_written = false;
    for frame in lane.log.iter().rev() {
        match frame {
            Frame::Write { .. } => was_written = true,
            Frame::Life { epoch, node, .. } => {
                lives.push((*epoch, *node, was_written));
                was_written = false;
            }
        }
    }
    lives
}

fn serves(state: &State, lane: u8, (epoch, node, _): (u8, u8, bool)) -> bool {
    let stage = state.nodes[usize::from(node)].stages[usize::from(lane)];
    matches!(stage, Stage::Serving { epoch: of, .. } if of == epoch)
}

fn taken_over(_: &Takeover, state: &State) -> bool {
    each_lane(state).any(|(lane, of)| match lives(of)[..] {
        [last, before, ..] => last.1 != before.1 && serves(state, lane, last),
        _ => false,
    })
}

fn answers_meanwhile(model: &Takeover, state: &State) -> bool {
    each_lane(state).any(|(lane, of)| match lives(of)[..] {
        [(_, claimer, _), (_, owner, _), ..] if claimer != owner => {
            let waits = |stage| matches!(stage, Stage::Recovering { world: Some(_), wait: Some(1..), .. });
            let claims = waits(state.nodes[usize::from(claimer)].stages[usize::from(lane)]);
            claims && state.answers(model.rules, owner, lane).is_some()
        }
        _ => false,
    })
}

fn acknowledged_late(_: &Takeover, state: &State) -> bool {
    each_lane(state).any(|(lane, of)| match lives(of)[..] {
        // The owner before still serves, has its change acknowledged, and knows nothing of the next life.
        [_, before @ (_, _, true), ..] => serves(state, lane, before) && state.acknowledged(lane) != 0,
        _ => false,
    })
}

fn follows_a_dead_one(_: &Takeover, state: &State) -> bool {
    state.crashes > 0
        && each_lane(state).any(|(lane, of)| match lives(of)[..] {
            [last, (_, node, false), _, ..] => {
                let dead = state.nodes[usize::from(node)].boot > 0;
                dead && serves(state, lane, last)
            }
            _ => false,
        })
}

fn both_are_read(model: &Takeover, state: &State) -> bool {
    each_lane(state).any(|(lane, of)| match lives(of)[..] {
        [last @ (_, node, true), (_, before, true), ..] if node != before && serves(state, lane, last) => {
            state.acknowledged(lane).count_ones() == 2 && state.answers(model.rules, node, lane).is_some()
        }
        _ => false,
    })
}
