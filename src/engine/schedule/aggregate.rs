//! A schedule as an aggregate: what time brings it, and what follows from its events.

use std::sync::{Arc, PoisonError};

use kameo::message::{Context, Message};
use kameo::reply::DelegatedReply;

use super::entry::{Changes, Delta, SeatMap};
use crate::domain::catalogue::CatalogueEvent;
use crate::domain::cause::Cause;
use crate::domain::keys::KeyUse;
use crate::domain::schedule::{Answer, AnyCommand, Command, Event, Schedule};
use crate::domain::time::Timestamp;
use crate::engine::driving::Pace;
use crate::engine::error::EngineError;
use crate::engine::live::{Aggregate, Draft, Happened, KeyLookup, Live, LiveActor};
use crate::engine::seal::Seal;
use crate::engine::shared::{CatalogueHappened, Shared};
use crate::journal::EntryTooLarge;
use crate::record;

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
        shared: &Shared,
    ) -> Result<Option<Event>, EngineError> {
        if let (AnyCommand::Callers(Command::Hold { user, .. }), Some(max)) =
            (command, shared.unpaid_holds_max)
        {
            self.check_unpaid(user, max.get(), now)?;
        }
        Ok(self.decide(command, now)?)
    }

    fn apply(&mut self, event: &Event, at: Timestamp, key: Option<KeyUse>) {
        self.apply(event, at, key);
    }

    fn kept(&self, command: &AnyCommand) -> Event {
        Event::KeyKept { number: command.reservation().map(|reservation| reservation.number) }
    }

    fn answer(&self, command: &AnyCommand, event: &Event) -> Answer {
        let touched = if let Event::SeatsHeld { number, .. } = event {
            Some(*number)
        } else {
            command.reservation().map(|reservation| reservation.number)
        };
        self.answer(touched)
    }

    fn encode(&self, bytes: &mut Vec<u8>, version: u64, at: Timestamp, cause: Cause, event: &Event) {
        record::encode_schedule_event(bytes, self.number(), version, at, cause, event);
    }

    fn own(&self, _: &Live<Self>) {}

    fn seal(&self, event: &mut Event, seal: &Seal) {
        if let Event::SeatsHeld { number, nonce, .. } = event {
            seal.reservation(self.number(), number, nonce);
        }
    }

    fn stays_so(command: &AnyCommand) -> bool {
        command.stays_so()
    }

    fn check_open(&self) -> Result<(), EngineError> {
        if self.is_deleted() { Err(EngineError::NoSuchSchedule) } else { Ok(()) }
    }

    fn due(&self, now: Timestamp, _: &Live<Self>, shared: &Shared) -> Option<Event> {
        let event = self.due(now, || shared.prices(self.concert(), self.layout()))?;
        if matches!(event, Event::HoldExpired { .. }) {
            let labels = [("command", "expire"), ("outcome", "done")];
            metrics::counter!("onsale_decisions_total", &labels).increment(1);
        }
        Some(event)
    }

    fn next_due(&self, _: Timestamp, _: &Live<Self>) -> Option<Timestamp> {
        self.next_due()
    }

    fn show(live: &Live<Self>, happened: &[Happened<Self>], shared: &Shared) -> Option<u64> {
        let (mut newcomers, mut deltas) = (Vec::new(), Vec::new());
        let (number, changes) = {
            let mut schedule = live.durable.write().unwrap_or_else(PoisonError::into_inner);
            for Happened { event, at, cause } in happened {
                if let Event::SeatsHeld { user, .. } = event
                    && !schedule.knows(user)
                {
                    newcomers.push(user.clone());
                }
                schedule.apply(event, *at, cause.key);
                deltas.extend(Delta::of(&schedule).map(Arc::new));
            }
            (schedule.number(), Changes::of(&schedule, deltas))
        };

        // Behind the lock: whoever forgets users looks at schedules.
        for user in newcomers {
            shared.note_user(user, number);
        }
        live.view.show(changes)
    }

    fn follow(live: &Live<Self>, event: &Event, shared: &Arc<Shared>) {
        if let Event::ReservationCancelled { number } = event {
            let payment =
                live.read().reservation_numbered(*number).and_then(|reservation| reservation.payment);
            if let Some(payment) = payment {
                shared.drive(payment, Pace::AtOnce);
            }
        } else if matches!(event, Event::ScheduleCancelled) {
            let number = live.read().number();
            shared.settle(number);
        } else if matches!(event, Event::Deleted) {
            // Whoever follows a place in the room learns that there is no more to follow.
            let number = live.read().number();
            if let Some(entry) = shared.schedule_by_number(number) {
                entry.room().wake_followers();
            }
        }
    }
}

/// Removes the schedule: its stream ends, and the catalogue unlists it, in one entry.
pub(in crate::engine) struct Remove {
    /// The catalogue's version before. Its actor waits for this one, so that it can't move.
    pub(in crate::engine) catalogue_version: u64,
    /// Who asks, and with which key. The key is kept by the catalogue, which outlives the schedule.
    pub(in crate::engine) cause: Cause,
}

impl Message<Remove> for LiveActor<Schedule> {
    type Reply = DelegatedReply<Result<(), EngineError>>;

    async fn handle(&mut self, remove: Remove, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let (delegated, reply) = ctx.reply_sender();
        let Remove { catalogue_version, cause } = remove;
        let (now, mut draft) = (self.now(), Draft::default());
        self.bring(now, &mut draft).await;

        let id = self.state().id().clone();
        let decided = self.state().decide(&AnyCommand::Delete, now).map_err(EngineError::from);
        let mut unlisted = None;
        let outcome = decided.map(|event| {
            if let Some(event) = event {
                self.happen(event, now, Cause { by: cause.by.clone(), key: None }, &mut draft);
                unlisted = Some(CatalogueHappened {
                    event: CatalogueEvent::ScheduleUnlisted(id.clone()),
                    at: now,
                    cause,
                });
            }
        });

        let mut records = self.encode(&draft);
        if let Some(CatalogueHappened { event, at, cause }) = &unlisted {
            let encoded = records.push_with(|bytes| {
                record::encode_catalogue_event(bytes, catalogue_version + 1, *at, cause.clone(), event);
                Ok::<(), EntryTooLarge>(())
            });
            encoded.expect("an id more fits in an entry");
        }
        let shared = Arc::clone(self.shared());
        let also = move || {
            if let Some(unlisted) = unlisted {
                shared.remove(&id);
                shared.publish_catalogue(&[unlisted]);
            }
        };
        self.park(records, draft, also, reply, outcome).await;
        delegated
    }
}
