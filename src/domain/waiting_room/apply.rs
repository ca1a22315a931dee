//! Applies events. They have happened already: nothing is refused here.

use std::sync::Arc;

use super::command::{Answer, Event, Gate, Place, PlaceStatus, Settings, Ticket};
use super::draw::{self, Seed};
use super::{Active, Drawn, WaitingRoom};
use crate::domain::keys::KeyUse;
use crate::domain::schedule::policy::QueueOrder;
use crate::domain::time::Timestamp;

impl WaitingRoom {
    /// Applies an event; `key` is the idempotency key whose effect it is.
    ///
    /// # Panics
    /// When the event doesn't follow from the state: it is another room's, or the journal was tampered with.
    pub fn apply(&mut self, event: &Event, at: Timestamp, key: Option<KeyUse>) {
        self.version += 1;
        self.last_instant = self.last_instant.max(at);
        self.people.sweep();
        self.keys.forget_old(at);
        self.happen(event, at);
        if let Some(key) = key {
            self.keys.keep(key, self.version, at, self.answer(event));
        }
    }

    /// Returns the answer to the command that led to the last event, `event`.
    pub fn answer(&self, event: &Event) -> Answer {
        let place = |ticket: &Ticket| self.place(*ticket, self.last_instant);
        let answer = match event {
            Event::Joined { ticket, .. } => place(ticket).map(Answer::Place),
            Event::KeyKept { ticket } => ticket.as_ref().and_then(place).map(Answer::Standing),
            Event::Left { ticket } | Event::Finished { ticket } => Some(Answer::Place(self.ended(*ticket))),
            Event::Configured { .. }
            | Event::Tuned { .. }
            | Event::GateMoved { .. }
            | Event::Drawn { .. }
            | Event::Admitted { .. }
            | Event::Claimed { .. }
            | Event::Stayed { .. }
            | Event::PassesExpired { .. }
            | Event::PlacesExpired { .. }
            | Event::OutageBridged { .. } => None,
        };
        answer.unwrap_or_else(|| Answer::Room(self.overview()))
    }

    /// Returns a place that the last event ended, which is known until the next one.
    fn ended(&self, ticket: Ticket) -> Place {
        Place {
            ticket,
            status: PlaceStatus::Done,
            position: None,
            issued_at: self.joined_at(ticket).expect("kept until the next event"),
            activated_at: None,
            expires_at: self.last_instant,
        }
    }

    fn happen(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::Configured { settings, seed } => self.configured_with(settings.as_deref(), *seed, at),
            Event::Tuned { active_max, admit_per_minute, paused } => {
                let settings = self.settings.as_mut().expect("a room that is tuned has settings");
                settings.policy.active_max = *active_max;
                settings.policy.admit_per_minute = *admit_per_minute;
                self.paused = *paused;
                self.pace.set(*admit_per_minute, at);
            }

            Event::GateMoved { gate } => {
                self.gate = *gate;
                if *gate == Gate::Cancelled {
                    self.end_all();
                }
            }

            Event::Joined { ticket, user, admitted } => {
                let given = self.people.join(user, at);
                assert_eq!(given, *ticket, "tickets are given in order");
                if *admitted {
                    assert_eq!(self.line.len(), 0, "Q1: nobody passes those who wait");
                    self.oldest = ticket.0 + 1;
                    self.pace.spend(1, at);
                    self.activate(*ticket, at);
                } else {
                    if self.line.len() == 0 {
                        self.oldest = ticket.0;
                    }
                    self.line.take(ticket.0);
                }
            }

            Event::Drawn { seed } => self.draw(*seed),
            Event::Admitted { tickets } => {
                assert!(
                    self.in_line().take(tickets.len()).eq(tickets.iter().copied()),
                    "Q1: the first in line"
                );
                self.pace.spend(u32::try_from(tickets.len()).expect("few at once"), at);
                for ticket in tickets {
                    self.stop_waiting(*ticket);
                    self.activate(*ticket, at);
                }
            }

            Event::Claimed { tickets } => {
                // Where one sign is enough, none is awaited any more.
                let idle = self.settings.as_ref().and_then(|settings| settings.policy.idle);
                for ticket in tickets {
                    self.set_claim(*ticket, |_| idle.map(|idle| at.plus(idle)));
                }
            }
            Event::Stayed { until } => {
                for (ticket, until) in until {
                    self.set_claim(*ticket, |_| Some(*until));
                }
            }

            Event::Left { ticket } | Event::Finished { ticket } => {
                self.end(*ticket);
                self.done.add(*ticket);
            }
            Event::PassesExpired { tickets } => {
                for ticket in tickets {
                    self.end(*ticket);
                }
            }
            Event::PlacesExpired { last } => {
                // Tickets are given in the order of joining: none before the last one's is younger.
                for ticket in self.oldest..=last.0 {
                    if self.is_waiting(Ticket(ticket)) {
                        self.end(Ticket(ticket));
                    }
                }
            }

            Event::OutageBridged { down_since } => self.bridge(*down_since, at),
            Event::KeyKept { .. } => {}
        }
    }

    fn configured_with(&mut self, settings: Option<&Settings>, seed: Option<Seed>, at: Timestamp) {
        self.settings = settings.cloned();
        let Some(settings) = settings else {
            self.end_all();
            (self.seed, self.drawn, self.paused) = (None, None, false);
            return;
        };

        self.configured = Some(settings.clone());
        if seed.is_some() {
            self.keep_positions();
        }
        self.seed = match settings.policy.order {
            QueueOrder::Shuffle => seed.or(self.seed),
            QueueOrder::Fifo => {
                // The order changes only where nobody waits for the draw.
                if self.draw_pending() {
                    self.drawn = None;
                }
                None
            }
        };

        self.pace.set(settings.policy.admit_per_minute, at);
        self.keys.set_max(settings.keys_max);
    }

    /// Before another draw is to come: who waits with a position keeps it.
    fn keep_positions(&mut self) {
        if self.line.len() == 0 {
            self.drawn = None;
        }
        let joined = self.joined_total();
        if let Some(drawn) = &mut self.drawn {
            // Who came after the draw stands behind it, each in the own slot.
            let behind = drawn.end()..=joined;
            drawn.ticket_of = drawn.ticket_of.iter().copied().chain(behind.clone()).collect();
            drawn.slot_of = drawn.slot_of.iter().copied().chain(behind).collect();
        }
    }

    fn draw(&mut self, seed: Seed) {
        assert_eq!(self.seed, Some(seed), "Q1: the draw is made with the seed whose hash was published");
        let slots: Vec<u32> = self.undrawn().map(|ticket| ticket.0).collect();
        let mut order = slots.clone();
        draw::shuffle(&seed, &mut order);

        // Who has a position already is led through the same tables; where nobody has, they begin with the first who is drawn.
        let standing = self.drawn.take().filter(|drawn| self.line.slots().any(|slot| slot < drawn.end()));
        let first = slots.first().copied().unwrap_or(self.joined_total() + 1);
        let first = standing.as_ref().map_or(first, |drawn| drawn.first);
        let known = standing.map(|drawn| (drawn.ticket_of, drawn.slot_of)).unwrap_or_default();
        let behind = first + u32::try_from(known.0.len()).expect("there are fewer than tickets");
        let drawn = || behind..=slots.last().copied().unwrap_or(behind - 1);
        let mut ticket_of: Vec<u32> = known.0.iter().copied().chain(drawn()).collect();
        let mut slot_of: Vec<u32> = known.1.iter().copied().chain(drawn()).collect();

        let at = |number: u32| usize::try_from(number - first).expect("a u32 fits");
        for (slot, ticket) in slots.iter().zip(&order) {
            ticket_of[at(*slot)] = *ticket;
            slot_of[at(*ticket)] = *slot;
        }

        let count = u32::try_from(slots.len()).expect("bounded by the tickets");
        let (ticket_of, slot_of): (Arc<[u32]>, Arc<[u32]>) = (ticket_of.into(), slot_of.into());
        self.drawn = Some(Drawn { seed, count, first, ticket_of, slot_of });
        self.seed = None;
    }

    fn activate(&mut self, ticket: Ticket, at: Timestamp) {
        let policy = &self.settings.as_ref().expect("a room that admits has settings").policy;
        let (claim_by, expires_at) = (at.plus(policy.claim), at.plus(policy.active));
        let active = Active { activated_at: at, expires_at, claim_by: Some(claim_by) };
        self.ends.insert((active.ends_at(), ticket.0));
        self.active.insert(ticket.0, active);
        self.admitted_total += 1;
        assert!(self.active() <= self.overview().active_max, "Q1: no more than may be active");
    }

    fn set_claim(&mut self, ticket: Ticket, claim: impl FnOnce(&Active) -> Option<Timestamp>) {
        let active = self.active.get_mut(&ticket.0).expect("only who is active shows up");
        let before = active.ends_at();
        active.claim_by = claim(active);
        let after = active.ends_at();
        self.ends.remove(&(before, ticket.0));
        self.ends.insert((after, ticket.0));
    }

    fn bridge(&mut self, down_since: Timestamp, ready: Timestamp) {
        let downtime = ready.millis_since(down_since);
        let unclaimed = |active: &Active| active.claim_by.is_some_and(|claim_by| claim_by > down_since);
        let tickets: Vec<u32> =
            self.active.iter().filter(|(_, active)| unclaimed(active)).map(|(ticket, _)| *ticket).collect();
        for ticket in tickets {
            self.set_claim(Ticket(ticket), |active| active.claim_by.map(|by| by.plus_millis(downtime)));
        }
    }

    fn stop_waiting(&mut self, ticket: Ticket) {
        self.line.free(self.slot_of(ticket.0));
        if self.line.len() == 0 {
            self.oldest = self.joined_total() + 1;
            return;
        }
        while !self.is_waiting(Ticket(self.oldest)) {
            self.oldest += 1;
        }
    }

    fn end(&mut self, ticket: Ticket) {
        match self.active.remove(&ticket.0) {
            Some(active) => {
                self.ends.remove(&(active.ends_at(), ticket.0));
            }
            None => self.stop_waiting(ticket),
        }
        self.people.leave(ticket);
    }

    fn end_all(&mut self) {
        let live: Vec<Ticket> =
            self.in_line().chain(self.active.keys().map(|ticket| Ticket(*ticket))).collect();

        self.line.clear();
        self.active.clear();
        self.ends.clear();
        for ticket in live {
            self.people.leave(ticket);
        }

        self.oldest = self.joined_total() + 1;
    }
}
