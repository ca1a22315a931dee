//! A waiting room as an aggregate: it follows its schedule, and time, by events of its own.
//!
//! It reads its schedule's gate from the durable state, and never asks the schedule's actor: the gate moves when the sale
//! opens or closes, and when the last seat goes or comes back.

use std::sync::PoisonError;

use tokio::sync::watch;

use super::entry::{Entrance, count_ends, moves_someone};
use crate::domain::keys::KeyUse;
use crate::domain::time::Timestamp;
use crate::domain::waiting_room::draw::Seed;
use crate::domain::waiting_room::{Answer, Command, Event, Gate, Place, PlaceStatus, WaitingRoom};
use crate::engine::core::Core;
use crate::engine::error::EngineError;
use crate::engine::live::{Aggregate, Happened, KeyLookup, Live};
use crate::random;
use crate::record::FactRef;

/// After how many joins the actor takes the blocks of people from the durable state, so that both have one copy.
const SHARE_EVERY: u32 = 65_536;

/// The data that a room's actor keeps beside its state.
pub(in crate::engine) struct Own {
    gate: watch::Receiver<Gate>,
    /// How many had joined when the blocks of people were taken from the durable state.
    shared_at: u32,
    /// The draw whose tables are those of the durable state.
    draw_shared: Option<(Seed, u32)>,
}

impl Aggregate for WaitingRoom {
    type Command = Command;
    type Event = Event;
    type Answer = Answer;
    type View = Entrance;
    type Own = Own;

    const DUE_BATCH_MAX: usize = 64;

    fn title(&self) -> String {
        format!("waiting room of schedule {}", self.number().0)
    }

    fn version(&self) -> u64 {
        self.version()
    }

    fn last_instant(&self) -> Timestamp {
        self.last_instant()
    }

    fn name(command: &Command) -> &'static str {
        command.name()
    }

    fn find(&self, key: KeyUse, now: Timestamp) -> Option<KeyLookup<Answer>> {
        self.find_key(key, now).map(|found| KeyLookup::of(&found, |answer| *answer))
    }

    fn decide(&self, command: &Command, now: Timestamp, _: &Core) -> Result<Option<Event>, EngineError> {
        Ok(self.decide(command, now)?)
    }

    fn apply(&mut self, event: &Event, at: Timestamp, key: Option<KeyUse>) {
        self.apply(event, at, key);
    }

    fn kept(&self, command: &Command) -> Event {
        let ticket = match command {
            Command::Join { user } | Command::Finish { user } => self.standing(user),
            Command::Leave { ticket, .. } | Command::Claim { ticket } => Some(*ticket),
            Command::Configure { .. }
            | Command::Tune(_)
            | Command::Follow(_)
            | Command::BridgeOutage { .. } => None,
        };
        Event::KeyKept { ticket }
    }

    fn answer(&self, _: &Command, event: &Event) -> Answer {
        self.answer(event)
    }

    fn fact<'a>(&self, event: &'a Self::Event) -> FactRef<'a> {
        FactRef::WaitingRoom(self.number(), event)
    }

    fn own(&self, live: &Live<Self>) -> Own {
        let (gate, shared_at) = (live.view.watch_gate(), self.joined_total());
        Own { gate, shared_at, draw_shared: self.drawing() }
    }

    fn stays_so(command: &Command) -> bool {
        command.stays_so()
    }

    /// An operator's tuning stays, before anyone is let in by settings that nobody wanted.
    fn then(&self, command: &Command) -> Option<Command> {
        match command {
            Command::Configure { settings: Some(settings), .. } => {
                self.kept_tuning(settings).map(Command::Tune)
            }
            Command::Configure { settings: None, .. }
            | Command::Tune(_)
            | Command::Follow(_)
            | Command::Join { .. }
            | Command::Leave { .. }
            | Command::Claim { .. }
            | Command::Finish { .. }
            | Command::BridgeOutage { .. } => None,
        }
    }

    fn due(&self, now: Timestamp, live: &Live<Self>, _: &Core) -> Option<Event> {
        match gate_to_follow(self, live) {
            Some(gate) => Some(Event::GateMoved { gate }),
            None => self.due(now, |ticket| live.view.last_seen(ticket)),
        }
    }

    fn next_due(&self, now: Timestamp, live: &Live<Self>) -> Option<Timestamp> {
        if gate_to_follow(self, live).is_some() {
            return Some(now);
        }
        self.next_due(now)
    }

    async fn woken(own: &mut Own) {
        // The room's entry is kept by the schedule's, which has the sender. Without it nothing moves any more.
        if own.gate.changed().await.is_err() {
            core::future::pending::<()>().await;
        }
    }

    /// Takes the blocks of people from the durable state now and then, and the tables of a draw once it is durable.
    fn rest(&mut self, own: &mut Own, live: &Live<Self>) -> bool {
        let (joined, drawing) = (self.joined_total(), self.drawing());
        let drawn = drawing.is_some() && drawing != own.draw_shared;
        if joined - own.shared_at < SHARE_EVERY && !drawn {
            return false;
        }

        let durable = live.read();
        own.shared_at = joined;
        own.draw_shared = durable.drawing();
        self.share_with(&durable);
        drawing != own.draw_shared
    }

    fn show(live: &Live<Self>, happened: &[Happened<Self>], _: &Core) -> Option<u64> {
        let version = {
            let mut room = live.durable.write().unwrap_or_else(PoisonError::into_inner);
            for Happened { event, at, cause } in happened {
                let waiting = room.waiting();
                live.view.end(&room, event);
                room.apply(event, *at, cause.key);
                if let Event::PlacesExpired { .. } = event {
                    let over = usize::try_from(waiting - room.waiting()).expect("a u32 fits");
                    count_ends("place_expired", over);
                }
                live.view.begin(&room, event, *at);
            }
            room.version()
        };
        happened.iter().any(|happened| moves_someone(&happened.event)).then_some(version)
    }
}

/// Returns the schedule's gate, where the room is to follow it and doesn't know it yet.
fn gate_to_follow(room: &WaitingRoom, live: &Live<WaitingRoom>) -> Option<Gate> {
    let gate = live.view.gate();
    (room.settings().is_some() && gate != room.gate()).then_some(gate)
}

/// Returns a user's place, as long as it stands: this needs no actor.
pub(in crate::engine) fn standing(room: &WaitingRoom, user: &str, now: Timestamp) -> Option<Place> {
    let place = room.place(room.standing(user)?, now)?;
    matches!(place.status, PlaceStatus::Waiting | PlaceStatus::Active).then_some(place)
}

/// Draws the seed of a draw that is to come.
pub(in crate::engine) fn random_seed() -> Seed {
    Seed(random::bytes())
}
