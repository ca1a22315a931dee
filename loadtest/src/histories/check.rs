//! Whether a seat's history is linearizable: `stateright` looks for an order of the operations, each within its interval, that the
//! specification allows.
//!
//! A seat's history is cut into windows, since the time that a search takes grows with what overlaps: after an operation that nothing overlaps
//! and that leaves the seat in one known state, a new window begins in that state. So each window is checked by itself, and nothing is lost.

use std::{cell::RefCell, collections::HashSet};

use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

use super::seat::{Is, Op, Ret, Seat, Status};

/// An operation on one seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) op: Op,
    pub(super) ret: Ret,
    /// It takes effect within these; of two whose intervals overlap, either may be first.
    pub(super) begin: u64,
    pub(super) end: u64,
}

/// A part of a seat's history that is no longer in order, as short as it can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offence {
    /// What the seat was at its beginning.
    pub(super) from: Is,
    pub(super) steps: Vec<Step>,
}

/// Looks for a window of a seat's history that isn't linearizable.
pub(super) fn check(mut steps: Vec<Step>) -> Option<Offence> {
    steps.sort_by_key(|step| (step.begin, step.end));
    let mut from = Is::Available;
    for (window, next) in windows(&steps) {
        if !is_linearizable(from, window) {
            return Some(shortest(from, window));
        }
        from = next;
    }
    None
}

/// Cuts a history, in order of its beginnings; each window with the state that it leaves.
fn windows(steps: &[Step]) -> Vec<(&[Step], Is)> {
    let mut windows = Vec::new();
    let (mut start, mut latest_end) = (0, 0);
    for (at, step) in steps.iter().enumerate() {
        let alone_behind = latest_end < step.begin;
        let alone_before = steps.get(at + 1).is_none_or(|next| step.end < next.begin);
        latest_end = latest_end.max(step.end);
        if alone_behind
            && alone_before
            && let Some(is) = leaves(step)
        {
            windows.push((&steps[start..=at], is));
            start = at + 1;
        }
    }
    if start < steps.len() {
        windows.push((&steps[start..], Is::Available));
    }
    windows
}

/// Returns what a seat surely is after a step, whatever it was.
fn leaves(step: &Step) -> Option<Is> {
    match (step.op, step.ret) {
        (Op::Hold(owner) | Op::Exchange(owner), Ret::Done) => Some(Is::Held(owner)),
        (Op::Look(owner), Ret::Owns) => Some(Is::Reserved(owner)),
        (Op::Map, Ret::Shown(Status::Available)) => Some(Is::Available),
        _ => None,
    }
}

/// Where a search has been: what was done, in whatever order, and what the seat may be after it.
type Places = HashSet<(Vec<u64>, Seat)>;

/// The most places of one search. A window that has more can't be decided; none is known.
const PLACES_MAX: usize = 2_000_000;

/// The specification, with what keeps the search small.
///
/// The search tries orders one after another and remembers nothing, so that a refusal takes time that grows with the factorial of what overlaps. Two rules
/// leave out what can't change the verdict. From a place where it has been it will fail as it did before. And what only looks, fits and teaches nothing
/// is done at once, before anything else: done later it would explain no more.
#[derive(Clone)]
struct Sparing<'a> {
    seat: Seat,
    done: Vec<u64>,
    window: &'a Window,
}

/// What all copies of a search's specification share.
struct Window {
    steps: Vec<Step>,
    /// By step: those that ended before it began.
    before: Vec<Vec<u64>>,
    places: RefCell<Places>,
}

impl Window {
    fn new(steps: &[Step]) -> Self {
        let before = |step: &Step| {
            let mut before = vec![0; steps.len().div_ceil(64)];
            steps
                .iter()
                .enumerate()
                .filter(|(_, earlier)| earlier.end < step.begin)
                .for_each(|(at, _)| add(&mut before, at));
            before
        };
        Self { steps: steps.to_vec(), before: steps.iter().map(before).collect(), places: RefCell::default() }
    }

    fn is_too_large(&self) -> bool {
        self.places.borrow().len() >= PLACES_MAX
    }
}

fn add(set: &mut [u64], at: usize) {
    set[at / 64] |= 1 << (at % 64);
}

fn has(set: &[u64], at: usize) -> bool {
    set[at / 64] >> (at % 64) & 1 == 1
}

impl Sparing<'_> {
    /// Returns the first step that can be taken now, only looks, and teaches nothing.
    fn idle(&self) -> Option<usize> {
        let Window { steps, before, .. } = self.window;
        let now = |at: &usize| {
            !has(&self.done, *at)
                && steps[*at].ret.only_looks()
                && before[*at].iter().zip(&self.done).all(|(before, done)| before & !done == 0)
        };
        let teaches_nothing = |at: &usize| {
            let mut seat = self.seat.clone();
            seat.is_valid_step(&steps[*at].op, &steps[*at].ret) && seat == self.seat
        };
        (0..steps.len()).filter(now).find(teaches_nothing)
    }
}

impl SequentialSpec for Sparing<'_> {
    /// With its place in the window.
    type Op = (usize, Op);
    type Ret = Ret;

    fn invoke(&mut self, op: &Self::Op) -> Ret {
        self.seat.invoke(&op.1)
    }

    fn is_valid_step(&mut self, (at, op): &Self::Op, ret: &Ret) -> bool {
        if self.idle().is_some_and(|idle| idle != *at) || !self.seat.is_valid_step(op, ret) {
            return false;
        }
        add(&mut self.done, *at);
        let is_new = self.window.places.borrow_mut().insert((self.done.clone(), self.seat.clone()));
        is_new && !self.window.is_too_large()
    }
}

/// Says whether there is an order that the specification allows.
fn is_linearizable(from: Is, steps: &[Step]) -> bool {
    let window = Window::new(steps);
    let done = vec![0; steps.len().div_ceil(64)];
    let mut tester = LinearizabilityTester::new(Sparing { seat: Seat::that_is(from), done, window: &window });

    // An operation that begins at the instant at which another ends may be the earlier one.
    let mut instants: Vec<(u64, bool, usize)> = steps
        .iter()
        .enumerate()
        .flat_map(|(at, step)| [(step.begin, false, at), (step.end, true, at)])
        .collect();
    instants.sort_unstable();

    let lanes = lanes(steps);
    for (_, ends, at) in instants {
        let (lane, step) = (lanes[at], &steps[at]);
        let told = if ends {
            tester.on_return(lane, step.ret).map(drop)
        } else {
            tester.on_invoke(lane, (at, step.op)).map(drop)
        };
        told.expect("a lane has one operation at a time");
    }
    let found = tester.is_consistent();
    assert!(found || !window.is_too_large(), "a window of {} operations can't be decided", steps.len());
    found
}

/// Gives each step a lane, in which steps follow one another: what the search takes for a thread.
///
/// Those of unknown outcome have the last ones, since the search tries the first ones first and such a step is best put off until it is needed.
fn lanes(steps: &[Step]) -> Vec<usize> {
    let mut ends: [Vec<u64>; 2] = [Vec::new(), Vec::new()];
    let mut place = |step: &Step| {
        let unknown = step.ret == Ret::Unknown;
        let ends = &mut ends[usize::from(unknown)];
        let lane = ends.iter().position(|&end| end < step.begin).unwrap_or(ends.len());
        ends.resize(ends.len().max(lane + 1), 0);
        ends[lane] = step.end;
        if unknown { steps.len() + lane } else { lane }
    };
    steps.iter().map(&mut place).collect()
}

/// Finds the shortest beginning of a window that isn't linearizable: what had been answered by some instant, with all that was
/// under way then of unknown outcome.
fn shortest(from: Is, steps: &[Step]) -> Offence {
    let mut ends: Vec<u64> = steps.iter().map(|step| step.end).collect();
    ends.sort_unstable();
    let until = |end: u64| -> Vec<Step> {
        let begun = steps.iter().filter(|step| step.begin <= end);
        let known = |step: &Step| if step.end <= end { *step } else { under_way(*step) };
        begun.map(known).filter(|step| step.ret != Ret::Unknown || !is_reading(step.op)).collect()
    };
    let wrong = ends.into_iter().map(until).find(|steps| !is_linearizable(from, steps));
    Offence { from, steps: wrong.unwrap_or_else(|| steps.to_vec()) }
}

/// A step whose end hasn't come.
fn under_way(step: Step) -> Step {
    let ret = if step.op == Op::Restart { step.ret } else { Ret::Unknown };
    Step { ret, end: u64::MAX, ..step }
}

fn is_reading(op: Op) -> bool {
    matches!(op, Op::Map | Op::Look(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(begin: u64, end: u64, op: Op, ret: Ret) -> Step {
        Step { op, ret, begin, end }
    }

    const AVAILABLE: Ret = Ret::Shown(Status::Available);
    const HELD: Ret = Ret::Shown(Status::Held);

    #[test]
    fn what_overlaps_may_be_in_either_order_and_what_does_not_may_not() {
        let hold = step(10, 20, Op::Hold(1), Ret::Done);
        for seen in [AVAILABLE, HELD] {
            assert_eq!(check(vec![hold, step(15, 25, Op::Map, seen)]), None, "{seen:?}");
        }
        assert_eq!(check(vec![hold, step(20, 25, Op::Map, AVAILABLE)]), None, "one instant is no order");
        assert!(check(vec![hold, step(21, 25, Op::Map, AVAILABLE)]).is_some(), "a stale read");
        assert!(check(vec![hold, step(1, 9, Op::Map, HELD)]).is_some(), "a read of the future");
    }

    #[test]
    fn readers_do_not_see_a_change_come_and_go() {
        let hold = step(10, 90, Op::Hold(1), Ret::Done);
        let read = |begin, ret| step(begin, begin + 5, Op::Map, ret);
        assert_eq!(check(vec![hold, read(20, AVAILABLE), read(40, HELD)]), None);
        assert!(check(vec![hold, read(20, HELD), read(40, AVAILABLE)]).is_some());
    }

    #[test]
    fn an_unknown_outcome_may_come_late_or_never() {
        let hold = step(10, 20, Op::Hold(1), Ret::Done);
        let lost = step(30, 500, Op::Leave(1), Ret::Unknown);
        let refused = step(100, 110, Op::Hold(2), Ret::Taken);
        let given = step(200, 210, Op::Hold(3), Ret::Done);
        assert_eq!(check(vec![hold, lost, refused]), None, "never");
        assert_eq!(check(vec![hold, lost, refused, given]), None, "late");
        let too_late = step(600, 610, Op::Hold(3), Ret::Taken);
        assert_eq!(check(vec![hold, lost, too_late]), None);
        let gone = Step { end: 80, ..lost };
        let twice = [hold, gone, refused, given];
        assert!(check(twice.to_vec()).is_some(), "not after the server that it was sent to is dead");
    }

    #[test]
    fn the_shortest_beginning_that_is_wrong_is_told() {
        let steps = vec![
            step(1, 2, Op::Map, AVAILABLE),
            step(3, 4, Op::Hold(1), Ret::Done),
            step(5, 9, Op::Hold(2), Ret::Taken),
            step(6, 7, Op::Hold(3), Ret::Done),
            step(20, 21, Op::Map, HELD),
        ];
        let offence = check(steps.clone()).unwrap();
        let under_way = Step { ret: Ret::Unknown, end: u64::MAX, ..steps[2] };
        assert_eq!(offence, Offence { from: Is::Held(1), steps: vec![under_way, steps[3]] });
    }

    #[test]
    fn a_refusal_among_many_that_overlap_is_found_soon() {
        // 42 that overlap have 10^51 orders.
        let mut steps: Vec<Step> = (0..40).map(|n| step(n, 1000, Op::Hold(0), Ret::Taken)).collect();
        steps.push(step(0, 1000, Op::Hold(1), Ret::Done));
        assert_eq!(check(steps.clone()), None);
        steps.push(step(0, 1000, Op::Hold(2), Ret::Done));
        assert!(check(steps).is_some());
    }

    /// By stateright alone, without windows.
    fn is_linearizable_plainly(steps: &[Step]) -> bool {
        let mut tester = LinearizabilityTester::new(Seat::that_is(Is::Available));
        let mut instants: Vec<_> = (0..steps.len())
            .flat_map(|at| [(steps[at].begin, false, at), (steps[at].end, true, at)])
            .collect();
        instants.sort_unstable();
        for (_, ends, at) in instants {
            if ends {
                tester.on_return(at, steps[at].ret).unwrap();
            } else {
                tester.on_invoke(at, steps[at].op).unwrap();
            }
        }
        tester.is_consistent()
    }

    #[test]
    fn windows_and_a_sparing_search_change_no_verdict() {
        let mut random = 7_u64;
        let mut below = |n: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % n
        };
        let mut verdicts = [0; 2];
        for _ in 0..1500 {
            let mut steps = Vec::new();
            let mut begin = 0;
            for _ in 0..6 {
                begin += below(4);
                let owner = usize::try_from(below(3)).unwrap();
                let (op, ret) = match below(16) {
                    0..4 => (Op::Hold(owner), Ret::Done),
                    4 => (Op::Hold(owner), Ret::Taken),
                    5 => (Op::Map, AVAILABLE),
                    6 => (Op::Map, HELD),
                    7..10 => (Op::Leave(owner), Ret::Done),
                    10 => (Op::Leave(owner), Ret::Unknown),
                    11 => (Op::Deadline(owner), Ret::Done),
                    12 => (Op::Look(owner), Ret::Holds),
                    13 => (Op::Look(owner), Ret::Gone),
                    14 => (Op::DeadlinePaying(owner), Ret::Unknown),
                    _ => (Op::Pay(owner), Ret::Done),
                };
                steps.push(step(begin, begin + below(4), op, ret));
            }
            let plainly = is_linearizable_plainly(&steps);
            verdicts[usize::from(plainly)] += 1;
            assert_eq!(check(steps.clone()).is_none(), plainly, "{steps:#?}");
        }
        assert!(verdicts.iter().all(|&count| count > 75), "both kinds are tried: {verdicts:?}");
    }
}
