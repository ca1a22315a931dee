//! A schedule as an aggregate: its due events, and the effects of its events.

use std::sync::{Arc, PoisonError};

use super::entry::{Changes, Delta, SeatMap};
use crate::domain::keys::KeyUse;
use crate::domain::schedule::{Answer, AnyCommand, Command, End, Event, Schedule};
use crate::domain::time::Timestamp;
use crate::engine::core::{Core, Effect};
use crate::engine::error::EngineError;
use crate::engine::live::{Aggregate, Happened, KeyLookup, Live};
use crate::engine::seal::Seal;
use crate::record::FactRef;

impl Aggregate for Schedule {
    type Command = AnyCommand;
    type Event = Event;
    type Answer = Answer;
    type View = SeatMap;
    type Own = ();

    fn title(&self) -> String {
        format!("schedule {}", self.number().0)
    }

    fn version(&self) -> u64 {
        self.version()
    }

    fn last_instant(&self) -> Timestamp {
        self.last_instant()
    }

    fn name(command: &AnyCommand) -> &'static str {
        command.name()
    }

    fn find(&self, key: KeyUse, now: Timestamp) -> Option<KeyLookup<Answer>> {
        self.find_key(key, now).map(|found| KeyLookup::of(&found, Answer::clone))
    }

    fn decide(
        &self,
        command: &AnyCommand,
        now: Timestamp,
        core: &Core,
    ) -> Result<Option<Event>, EngineError> {
        if let (AnyCommand::Callers(Command::Hold { user, .. }), Some(max)) = (command, core.unpaid_holds_max)
        {
            self.check_unpaid(user, max.get(), now)?;
        }
        // Only who asks for seats may ask for accessible ones.
        let wish = matches!(
            command,
            AnyCommand::Callers(Command::Hold { .. } | Command::Exchange { .. } | Command::Order(_))
        );
        let seating = if wish { core.special_seats(self.venue()) } else { None };
        Ok(self.decide_seated(command, now, seating.as_deref())?)
    }

    fn apply(&mut self, event: &Event, at: Timestamp, key: Option<KeyUse>) {
        self.apply(event, at, key);
    }

    fn kept(&self, command: &AnyCommand) -> Event {
        Event::KeyKept { number: command.reservation().map(|reservation| reservation.number) }
    }

    fn answer(&self, command: &AnyCommand, event: &Event) -> Answer {
        let touched = if let Event::SeatsHeld { number, .. } | Event::Ordered { number, .. } = event {
            Some(*number)
        } else {
            command.reservation().map(|reservation| reservation.number)
        };
        self.answer_to(event, touched)
    }

    fn fact<'a>(&self, event: &'a Self::Event) -> FactRef<'a> {
        FactRef::Schedule(self.number(), event)
    }

    fn own(&self, _: &Live<Self>) {}

    fn seal(&self, event: &mut Event, seal: &Seal) {
        if let Event::SeatsHeld { number, nonce, .. } = event {
            seal.reservation(self.number(), number, nonce);
        }
        if let Event::Ordered { number, nonce, payment, .. } = event {
            seal.reservation(self.number(), number, nonce);
            seal.payment(self.number(), &mut payment.number, &mut payment.nonce);
        }
    }

    fn stays_so(command: &AnyCommand) -> bool {
        command.stays_so()
    }

    fn ends(command: &AnyCommand) -> bool {
        matches!(command, AnyCommand::Archive { .. })
    }

    fn check_open(&self) -> Result<(), EngineError> {
        match self.ended().map(|ended| ended.end) {
            None => Ok(()),
            Some(End::Removed(_)) => Err(EngineError::NoSuchSchedule),
            // Asked again in a moment, it is found in the archive.
            Some(End::Archived(_)) => Err(EngineError::NotReady),
        }
    }

    fn due(&self, now: Timestamp, _: &Live<Self>, _: &Core) -> Option<Event> {
        let event = self.due(now)?;
        if matches!(event, Event::HoldExpired { .. }) {
            let labels = [("command", "expire"), ("outcome", "done")];
            metrics::counter!("onsale_decisions_total", &labels).increment(1);
        }
        Some(event)
    }

    fn next_due(&self, _: Timestamp, _: &Live<Self>) -> Option<Timestamp> {
        self.next_due()
    }

    fn show(live: &Live<Self>, happened: &[Happened<Self>], core: &Core) -> Option<u64> {
        let (mut newcomers, mut deltas) = (Vec::new(), Vec::new());
        let (number, changes) = {
            let mut schedule = live.durable.write().unwrap_or_else(PoisonError::into_inner);
            for Happened { event, at, cause } in happened {
                if let Event::SeatsHeld { user, .. } | Event::Ordered { user: Some(user), .. } = event
                    && !schedule.knows(user)
                {
                    newcomers.push(user.clone());
                }
                schedule.apply(event, *at, cause.key);
                deltas.extend(Delta::of(&schedule).map(Arc::new));
            }
            (schedule.number(), Changes::of(&schedule, deltas))
        };

        // After the lock is let go: forgetting users looks at schedules.
        for user in newcomers {
            core.have(Effect::NoteUser(user, number));
        }
        live.view.show(changes)
    }

    fn follow(live: &Live<Self>, event: &Event, core: &Core) {
        let effect = if let Event::ReservationCancelled { number } = event {
            let schedule = live.read();
            schedule
                .reservation_numbered(*number)
                .and_then(|reservation| reservation.payment)
                // An order's money is given back by hand.
                .filter(|payment| payment.number.order().is_none())
                .map(Effect::Drive)
        } else if matches!(event, Event::ScheduleCancelled) {
            Some(Effect::Settle(live.read().number()))
        } else if matches!(event, Event::Deleted | Event::Archived { .. }) {
            Some(Effect::End(live.read().number()))
        } else {
            None
        };
        if let Some(effect) = effect {
            core.have(effect);
        }
    }
}
