//! The rules of a waiting room, each pinned by a test whose name is the rule.
//!
//! One helper, [`Foyer`], stands for the given, the when and the then: it brings what is due before a decision and
//! after it, keeps what happened as the journal would, and checks the invariants. [`model`] holds the same rules
//! against an independent model ([`naive`]), at random, and replays everything; [`blocks`] does it with a crowd.

mod blocks;
mod inside;
mod model;
mod naive;
mod rules;

use std::collections::BTreeMap;

use super::*;
use crate::domain::ids::UserId;
use crate::domain::schedule::policy::QueuePolicy;
use crate::domain::time::Seconds;

/// The instant at which every test begins.
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
/// The instant from which nobody is admitted any more.
const CLOSE: Timestamp = Timestamp::from_millis(1_800_000_000_000 + 10 * HOUR);

type Outcome = Result<Option<Event>, Refusal>;

/// Two may be active, half an hour each; one sign of life must come, within two minutes; a place waits for an hour.
fn settings() -> Settings {
    let policy = QueuePolicy { active_max: 2, idle: None, ..QueuePolicy::default() };
    Settings { policy, opens_at: None, closes_at: CLOSE, keys_max: 8 }
}

fn seed(byte: u8) -> Seed {
    Seed([byte; 32])
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn after(at: Timestamp, millis: u64) -> Timestamp {
    Timestamp::from_millis(at.as_millis() + millis)
}

fn before(at: Timestamp, millis: u64) -> Timestamp {
    Timestamp::from_millis(at.as_millis() - millis)
}

fn restored(room: &WaitingRoom) -> WaitingRoom {
    RoomImage::of(room).restore()
}

/// What the journal keeps of an event.
#[derive(Debug, Clone)]
struct Entry {
    event: Event,
    at: Timestamp,
    key: Option<KeyUse>,
}

/// A waiting room at an instant, asked in the words of the tests.
struct Foyer {
    room: WaitingRoom,
    now: Timestamp,
    /// Whose sign of life the room isn't told of until it asks, and when the last one came.
    seen: BTreeMap<Ticket, Timestamp>,
    journal: Vec<Entry>,
}

impl Foyer {
    /// Given a room that was never configured.
    fn new() -> Self {
        let room = WaitingRoom::new(ScheduleNumber(7));
        Self { room, now: START, seen: BTreeMap::new(), journal: Vec::new() }
    }

    /// Given a room whose settings differ from the usual ones as `change` says, before the sale.
    fn shut_with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let mut foyer = Self::new();
        foyer.configure(Some(settings)).unwrap();
        foyer
    }

    /// The same, on sale.
    fn open_with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut foyer = Self::shut_with(change);
        foyer.follow(Gate::Open);
        foyer
    }

    /// Given a room on sale.
    fn open() -> Self {
        Self::open_with(|_| ())
    }

    /// Given that the room is on sale, and these people came one after the other.
    fn open_to(names: &str) -> Self {
        let mut foyer = Self::open();
        foyer.join_all(names);
        foyer
    }

    /// When it is this instant. Nothing is brought yet: no timer has fired.
    fn at(&mut self, now: Timestamp) -> &mut Self {
        assert!(now >= self.now, "the test's clock goes forward");
        self.now = now;
        self
    }

    /// When so many milliseconds have gone by.
    fn wait(&mut self, millis: u64) -> &mut Self {
        self.at(after(self.now, millis))
    }

    fn apply(&mut self, event: &Event, key: Option<KeyUse>) {
        let version = self.room.version();
        self.room.apply(event, self.now, key);
        assert_eq!(self.room.version(), version + 1);
        // Everyone is looked at, so in a crowd it is done now and then.
        if self.room.waiting() + self.room.active() < 50 || version.is_multiple_of(256) {
            self.room.check_invariants();
        }
        self.journal.push(Entry { event: event.clone(), at: self.now, key });
    }

    /// Brings what time and free places have brought by now, in order.
    fn tick(&mut self) -> Vec<Event> {
        let mut came = Vec::new();
        while let Some(event) = self.room.due(self.now, |ticket| self.seen.get(&ticket).copied()) {
            assert!(came.len() < 1_000, "what is due ends");
            self.apply(&event, None);
            came.push(event);
        }
        came
    }

    /// When it is asked this, after what was due; what follows from it comes in the same step.
    fn ask(&mut self, command: &Command) -> Outcome {
        self.ask_with(command, None)
    }

    fn ask_with(&mut self, command: &Command, key: Option<KeyUse>) -> Outcome {
        self.tick();
        let outcome = self.room.decide(command, self.now);
        if let Ok(Some(event)) = &outcome {
            self.apply(event, key);
        }
        self.tick();
        outcome
    }

    fn configure(&mut self, settings: Option<Settings>) -> Outcome {
        self.ask(&Command::Configure { settings: settings.map(Box::new), seed: seed(7) })
    }

    /// When its settings are changed, and nothing else.
    fn reconfigure(&mut self, change: impl FnOnce(&mut Settings)) -> Outcome {
        let mut settings = self.room.configured().unwrap().clone();
        change(&mut settings);
        self.configure(Some(settings))
    }

    fn tune(&mut self, tuning: Tuning) -> Outcome {
        self.ask(&Command::Tune(tuning))
    }

    fn follow(&mut self, gate: Gate) {
        self.ask(&Command::Follow(gate)).unwrap();
    }

    fn try_join(&mut self, who: &str) -> Outcome {
        self.ask(&Command::Join { user: user(who) })
    }

    /// When someone joins, who has a place then.
    fn join(&mut self, who: &str) -> Ticket {
        self.try_join(who).expect("whoever asks may join");
        self.ticket(who)
    }

    fn join_all(&mut self, names: &str) {
        for who in names.split_whitespace() {
            self.join(who);
        }
    }

    fn leave(&mut self, who: &str) -> Outcome {
        let ticket = self.ticket(who);
        self.ask(&Command::Leave { user: user(who), ticket })
    }

    fn claim(&mut self, who: &str) -> Outcome {
        let ticket = self.ticket(who);
        self.ask(&Command::Claim { ticket })
    }

    /// When someone at the seats does something that the room isn't told of.
    fn show(&mut self, who: &str) {
        let ticket = self.ticket(who);
        self.seen.insert(ticket, self.now);
    }

    fn finish(&mut self, who: &str) -> Outcome {
        self.ask(&Command::Finish { user: user(who) })
    }

    /// When the engine was down from `down_since` until now: nothing came meanwhile.
    fn bridge(&mut self, down_since: Timestamp) -> Outcome {
        let outcome = self.room.decide(&Command::BridgeOutage { down_since }, self.now);
        if let Ok(Some(event)) = &outcome {
            self.apply(event, None);
        }
        self.tick();
        outcome
    }

    fn ticket(&self, who: &str) -> Ticket {
        self.room.standing(who).expect("who is asked about has a place")
    }

    fn place(&self, who: &str) -> Place {
        self.room.place(self.ticket(who), self.now).expect("who has a ticket has a place")
    }

    fn position(&self, who: &str) -> Option<u32> {
        self.place(who).position
    }

    fn names(&self, tickets: impl Iterator<Item = Ticket>) -> String {
        let names: Vec<&str> = tickets.map(|ticket| self.room.user(ticket).unwrap()).collect();
        names.join(" ")
    }

    /// Who waits, in order.
    fn line(&self) -> String {
        self.names(self.room.in_line())
    }

    /// Who is at the seats, in the order of joining.
    fn inside(&self) -> String {
        let tickets: BTreeSet<Ticket> = self.room.actives().map(|(ticket, ..)| ticket).collect();
        self.names(tickets.into_iter())
    }

    /// What the journal makes of a room that stood where the journal had `from` events.
    fn replay(&self, mut room: WaitingRoom, from: usize) -> WaitingRoom {
        for Entry { event, at, key } in &self.journal[from..] {
            room.apply(event, *at, *key);
        }
        room.check_invariants();
        room
    }
}
