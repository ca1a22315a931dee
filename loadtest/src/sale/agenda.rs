//! What people do next, and when: an open loop. Everyone's next step has an instant of its own, whatever the server does, and its latency counts from there.
//!
//! A thread moves what is due into two lines, one for those who wait in the room and one for those at the seats, since people have browsers of their
//! own: a crowd that asks where it stands doesn't keep a buyer from being sent. Each line has its connections.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;
use tokio::sync::Semaphore;

use crate::{
    clock::Clock,
    round::{histogram, record},
};

/// How often the thread looks for what is due. Its delay counts as latency, so it is short.
const PAUSE: Duration = Duration::from_micros(100);
/// How many steps are moved under one lock, so that connections that put steps in don't wait for long.
const MOVED_MAX: usize = 4_096;

/// Which connections a step is sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Line {
    /// Of those at the seats.
    Seats,
    /// Of those in the waiting room, and on their way into it.
    Room,
}

/// The next step of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    /// When it is meant to be sent, by the clock.
    pub(super) at: u64,
    pub(super) person: u32,
    pub(super) line: Line,
}

#[derive(Default)]
struct Ready(Mutex<VecDeque<Due>>);

impl Ready {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Due>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everyone's next steps.
pub(super) struct Agenda {
    later: Mutex<BinaryHeap<Reverse<Due>>>,
    ready: [Ready; 2],
    /// A permit for each step that is ready.
    permits: [Semaphore; 2],
    /// Microseconds by which the thread was late.
    lag: Mutex<Histogram<u64>>,
}

impl Agenda {
    pub(super) fn new() -> Self {
        Self {
            later: Mutex::default(),
            ready: Default::default(),
            permits: [Semaphore::new(0), Semaphore::new(0)],
            lag: Mutex::new(histogram()),
        }
    }

    /// Puts a step in.
    pub(super) fn put(&self, due: Due) {
        self.later.lock().unwrap_or_else(PoisonError::into_inner).push(Reverse(due));
    }

    /// Waits for a step of a line that is due; nothing once the agenda is closed.
    pub(super) async fn take(&self, line: Line) -> Option<Due> {
        self.permits[at(line)].acquire().await.ok()?.forget();
        self.ready[at(line)].lock().pop_front()
    }

    /// Moves what is due at `now` to its line; returns how many steps that were, at most [`MOVED_MAX`].
    fn move_due(&self, now: u64) -> usize {
        let mut moved = Vec::new();
        {
            let mut later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
            while moved.len() < MOVED_MAX
                && let Some(Reverse(due)) = later.peek().copied()
                && due.at <= now
            {
                later.pop();
                moved.push(due);
            }
        }

        if let Some(first) = moved.first() {
            record(&mut self.lag.lock().unwrap_or_else(PoisonError::into_inner), now - first.at);
        }
        for line in [Line::Seats, Line::Room] {
            let mut ready = self.ready[at(line)].lock();
            let before = ready.len();
            ready.extend(moved.iter().filter(|due| due.line == line));
            self.permits[at(line)].add_permits(ready.len() - before);
        }
        moved.len()
    }

    /// Makes steps due at their instants until the agenda is closed. A thread of its own, since tokio's timers are of whole milliseconds.
    pub(super) fn run(&self, clock: Clock) {
        while !self.permits[0].is_closed() {
            if self.move_due(clock.nanos()) < MOVED_MAX {
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Ends it: nobody takes a step any more.
    pub(super) fn close(&self) {
        self.permits.iter().for_each(Semaphore::close);
    }

    /// Counts the steps that were due by `now` and that nobody took.
    pub(super) fn late(&self, now: u64) -> usize {
        let later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        let due = later.iter().filter(|Reverse(due)| due.at <= now).count();
        due + self.ready.iter().map(|ready| ready.lock().len()).sum::<usize>()
    }

    /// Returns by how much the thread was late, in microseconds.
    pub(super) fn lag(&self) -> Histogram<u64> {
        self.lag.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn at(line: Line) -> usize {
    match line {
        Line::Seats => 0,
        Line::Room => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(at: u64, person: u32, line: Line) -> Due {
        Due { at, person, line }
    }

    #[tokio::test]
    async fn steps_come_at_their_instants_in_order_each_in_its_line() {
        let agenda = Agenda::new();
        for step in [due(30, 1, Line::Seats), due(10, 2, Line::Room), due(20, 3, Line::Seats)] {
            agenda.put(step);
        }
        assert_eq!((agenda.move_due(9), agenda.move_due(20), agenda.move_due(29)), (0, 2, 0));
        assert_eq!(agenda.take(Line::Seats).await, Some(due(20, 3, Line::Seats)));
        assert_eq!(agenda.take(Line::Room).await, Some(due(10, 2, Line::Room)));
        assert_eq!((agenda.late(29), agenda.late(30)), (0, 1));
    }

    #[tokio::test]
    async fn nobody_takes_a_step_of_a_closed_agenda() {
        let agenda = Agenda::new();
        agenda.put(due(1, 1, Line::Seats));
        agenda.move_due(1);
        agenda.close();
        assert_eq!(agenda.take(Line::Seats).await, None);
        assert_eq!(agenda.late(1), 1);
        agenda.run(Clock::start());
    }
}
