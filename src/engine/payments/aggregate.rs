//! A schedule's payments as an aggregate: the effects of each event.

use crate::domain::keys::KeyUse;
use crate::domain::payments::{self, Payment, Payments};
use crate::domain::time::Timestamp;
use crate::engine::core::{Core, Effect};
use crate::engine::error::EngineError;
use crate::engine::live::{Aggregate, KeyLookup, Live};
use crate::engine::seal::Seal;
use crate::record::FactRef;

impl Aggregate for Payments {
    type Command = payments::Command;
    type Event = payments::Event;
    /// The payment as it stands; none where it was forgotten.
    type Answer = Option<Payment>;
    type View = ();
    type Own = ();

    fn title(&self) -> String {
        format!("payments of schedule {}", self.schedule().0)
    }

    fn version(&self) -> u64 {
        self.version()
    }

    fn last_instant(&self) -> Timestamp {
        self.last_instant()
    }

    fn name(command: &Self::Command) -> &'static str {
        command.name()
    }

    fn find(&self, key: KeyUse, now: Timestamp) -> Option<KeyLookup<Self::Answer>> {
        self.find_key(key, now).map(|found| KeyLookup::of(&found, |number| self.numbered(*number).cloned()))
    }

    fn decide(
        &self,
        command: &Self::Command,
        _: Timestamp,
        _: &Core,
    ) -> Result<Option<Self::Event>, EngineError> {
        Ok(self.decide(command)?)
    }

    fn apply(&mut self, event: &Self::Event, at: Timestamp, key: Option<KeyUse>) {
        self.apply(event, at, key);
    }

    fn seal(&self, event: &mut Self::Event, seal: &Seal) {
        if let payments::Event::Started { number, nonce, .. }
        | payments::Event::Unmatched { number, nonce, .. } = event
        {
            seal.payment(self.schedule(), number, nonce);
        }
    }

    fn kept(&self, command: &Self::Command) -> Self::Event {
        payments::Event::KeyKept { number: command.number() }
    }

    fn answer(&self, _: &Self::Command, event: &Self::Event) -> Self::Answer {
        self.numbered(event.number()).cloned()
    }

    fn fact<'a>(&self, event: &'a Self::Event) -> FactRef<'a> {
        FactRef::Payments(self.schedule(), event)
    }

    fn own(&self, _: &Live<Self>) {}

    /// A payment that has a next step now is driven from now on.
    fn follow(live: &Live<Self>, event: &Self::Event, core: &Core) {
        count(event);
        let due = {
            let payments = live.read();
            let payment = payments.numbered(event.number());
            payment.filter(|payment| payment.next().is_some()).map(|payment| payment.id)
        };
        if let Some(id) = due {
            core.have(Effect::Drive(id));
        }
    }
}

/// Counts an event that has just become durable.
fn count(event: &payments::Event) {
    use payments::Event;
    let outcome = match event {
        Event::Started { .. } => "started",
        Event::Completed { .. } => "completed",
        Event::Failed { .. } => "failed",
        Event::Refunded { .. } | Event::Unmatched { back: Some(_), .. } => "refunded",
        Event::Accepted { .. }
        | Event::CaptureBegun { .. }
        | Event::Declined { .. }
        | Event::Captured { .. }
        | Event::Confirmed { .. }
        | Event::RefundBegun { .. }
        | Event::KeyKept { .. }
        | Event::CapturedOutside { .. }
        | Event::Unmatched { back: None, .. } => return,
    };
    metrics::counter!("onsale_payments_total", "outcome" => outcome).increment(1);
}
