//! A sale that is driven: people, their agenda, and the connections that send what they do.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    agenda::{Agenda, Due, Line},
    figures::{Figures, Times},
    ledger::Ledger,
    person::{Next, Person, World},
};
use crate::{clock::Clock, target::Target, wire::Connection};

/// How often an end is looked for.
const LOOK: Duration = Duration::from_millis(20);
/// How long a connection waits that couldn't be opened.
const KNOCK: Duration = Duration::from_millis(50);
/// How long the last answers may take.
const GRACE: Duration = Duration::from_secs(15);

/// A sale with everyone who comes.
pub(super) struct Show {
    pub(super) target: Target,
    pub(super) clock: Clock,
    pub(super) world: World,
    pub(super) people: Vec<Mutex<Person>>,
    pub(super) agenda: Agenda,
    pub(super) figures: Figures,
    book: Mutex<Ledger>,
    /// How many have gone.
    gone: AtomicU64,
    /// Those who wait and don't look where they stand, with what they were told when to come back; while that is so.
    parked: Mutex<Option<Vec<(u32, Duration)>>>,
    /// How many these were.
    parked_count: AtomicU64,
}

impl Show {
    pub(super) fn new(target: Target, clock: Clock, world: World, people: Vec<Person>) -> Self {
        Self {
            target,
            clock,
            world,
            people: people.into_iter().map(Mutex::new).collect(),
            agenda: Agenda::new(),
            figures: Figures::new(clock.nanos()),
            book: Mutex::default(),
            gone: AtomicU64::new(0),
            parked: Mutex::new(None),
            parked_count: AtomicU64::new(0),
        }
    }

    pub(super) fn person(&self, number: u32) -> MutexGuard<'_, Person> {
        let at = usize::try_from(number).expect("usize is 32 bits or more");
        self.people[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Ledger> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn gone(&self) -> u64 {
        self.gone.load(Ordering::Relaxed)
    }

    /// Counts the seats whose payment was acknowledged, and no cancellation of it.
    pub(super) fn sold(&self) -> u64 {
        self.book().sold
    }

    /// From now on, whoever waits stays away until [`Self::end_parking`].
    pub(super) fn begin_parking(&self) {
        *self.parked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// Returns those who stayed away, each with how long they were told to.
    pub(super) fn end_parking(&self) -> Vec<(u32, Duration)> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }

    /// Counts those who stayed away.
    pub(super) fn parked(&self) -> u64 {
        self.parked_count.load(Ordering::Relaxed)
    }

    fn park(&self, number: u32, told: Duration) -> bool {
        let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(parked) = parked.as_mut() else { return false };
        parked.push((number, told));
        self.parked_count.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Has a person take the next step at an instant.
    pub(super) fn meet(&self, number: u32, at: u64) {
        let mut person = self.person(number);
        person.meant = at;
        self.agenda.put(Due { at, person: number, line: person.step.line() });
    }

    /// Opens connections and sends what is due, until [`Running::end`].
    pub(super) fn start(self: &Arc<Self>, seats: u16, room: u16) -> Running {
        let scheduler = Arc::clone(self);
        std::thread::spawn(move || scheduler.agenda.run(scheduler.clock));
        let mut connections = JoinSet::new();
        for (line, count) in [(Line::Seats, seats), (Line::Room, room)] {
            for _ in 0..count {
                connections.spawn(Arc::clone(self).send_all(line));
            }
        }
        Running { show: Arc::clone(self), connections }
    }

    async fn send_all(self: Arc<Self>, line: Line) {
        let mut connection = None;
        let mut request = Vec::with_capacity(1024);
        while let Some(due) = self.agenda.take(line).await {
            self.send(&mut connection, &mut request, due).await;
        }
    }

    /// Sends one step and books its answer.
    async fn send(&self, connection: &mut Option<Connection>, request: &mut Vec<u8>, due: Due) {
        let sent = self.clock.nanos();
        let step = {
            let mut person = self.person(due.person);
            let mut book = self.book();
            person.write(request, &self.world, &mut book, sent);
            person.step
        };

        let mut open = if let Some(open) = connection.take() {
            open
        } else {
            let Ok(open) = Connection::open(self.target.address()).await else {
                self.repeat(due.person, "not connected", Person::lost());
                // A server that is being started needs the cores more than those who knock.
                return sleep(KNOCK).await;
            };
            open
        };
        let Ok(answer) = open.exchange(request).await else {
            return self.repeat(due.person, "lost", Person::lost());
        };
        let ended = self.clock.nanos();

        self.figures.answered(step, &answer);
        let mut person = self.person(due.person);
        let times = Times { meant: person.meant, sent, ended };
        let next = person.told(&answer, &self.world, &mut self.book(), ended);
        if !matches!(next, Next::Again(_)) {
            self.figures.settled(step, times);
        }
        self.follow(&mut person, due.person, ended, next);
        drop(person);
        if !answer.close {
            *connection = Some(open);
        }
    }

    fn repeat(&self, number: u32, why: &str, next: Next) {
        let mut person = self.person(number);
        self.figures.count(person.step, why);
        self.follow(&mut person, number, self.clock.nanos(), next);
    }

    fn follow(&self, person: &mut Person, number: u32, now: u64, next: Next) {
        let later = |after: Duration| now + u64::try_from(after.as_nanos()).unwrap_or_default();
        let at = match next {
            Next::After(after) if person.is_in_line() && self.park(number, after) => return,
            Next::After(after) => {
                person.meant = later(after);
                person.meant
            }
            Next::Again(after) => later(after),
            Next::Gone => {
                self.gone.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        self.agenda.put(Due { at, person: number, line: person.step.line() });
    }
}

/// A sale with its connections.
pub(super) struct Running {
    show: Arc<Show>,
    connections: JoinSet<()>,
}

impl Running {
    /// Waits until this is so, but no longer than `most`; returns whether it is.
    pub(super) async fn until(&self, most: Duration, is: impl Fn(&Show) -> bool) -> bool {
        let looking = async {
            while !is(&self.show) {
                sleep(LOOK).await;
            }
        };
        timeout(most, looking).await.is_ok()
    }

    /// Sends nothing more, and waits for the answers that are on their way. Steps without one stay unknown in the book.
    pub(super) async fn end(mut self) {
        self.show.agenda.close();
        let answers = async { while self.connections.join_next().await.is_some() {} };
        // Whoever has no answer by then is dropped with the set.
        let _ = timeout(GRACE, answers).await;
    }
}
