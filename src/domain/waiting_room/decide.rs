//! Decides commands, and the events that time has brought. Nothing changes here.

use super::command::{Command, Event, Gate, Refusal, Settings, Ticket, Tuning};
use super::draw::Seed;
use super::{BATCH_MAX, WAITING_MAX, WaitingRoom};
use crate::domain::ids::UserId;
use crate::domain::schedule::policy::{QueueOrder, QueuePolicy};
use crate::domain::time::{Seconds, Timestamp};

/// One event, nothing to do (it is so already), or a refusal.
type Decision = Result<Option<Event>, Refusal>;

impl WaitingRoom {
    /// Returns the next event that time and free places have brought by `now`, if there is one.
    ///
    /// Call it and apply what it returns until it returns nothing, before a decision and after it. `last_seen` tells
    /// when an admitted user has shown a sign of life that the room wasn't told of, the last one.
    pub fn due(&self, now: Timestamp, last_seen: impl Fn(Ticket) -> Option<Timestamp>) -> Option<Event> {
        let settings = self.settings.as_ref()?;
        if let Some(event) = self.passes_due(settings.policy.idle, now, last_seen) {
            return Some(event);
        }
        if let Some((_, until)) = self.oldest_waiting()
            && until <= now
        {
            return Some(Event::PlacesExpired { last: self.last_expired(now) });
        }
        if self.draw_at().is_some_and(|at| at <= now) {
            let seed = self.seed.expect("a draw that is to come has its seed");
            return Some(Event::Drawn { seed });
        }
        if self.waiting() == 0 || !self.may_enter(now) {
            return None;
        }
        let room = settings.policy.active_max - self.active();
        let count = room.min(self.pace.allowance(now));
        let count = usize::try_from(count).unwrap_or(BATCH_MAX).min(BATCH_MAX);
        Some(Event::Admitted { tickets: self.in_line().take(count).collect() })
    }

    /// Decides a command at `now`, after everything due by then was applied.
    ///
    /// # Errors
    /// A [`Refusal`], which changes nothing.
    pub fn decide(&self, command: &Command, now: Timestamp) -> Decision {
        match command {
            Command::Configure { settings, seed } => Ok(self.configure(settings.as_deref(), *seed, now)),
            Command::Tune(tuning) => self.tune(*tuning),
            Command::Follow(gate) => Ok(self.follow(*gate)),
            Command::Join { user } => self.join(user, now),
            Command::Leave { user, ticket } => Ok(self.leave(user, *ticket)),
            Command::Claim { ticket } => Ok(self.claim(*ticket)),
            Command::Finish { user } => Ok(self.finish(user)),
            Command::BridgeOutage { down_since } => Ok(self.bridge_outage(*down_since)),
        }
    }

    fn passes_due(
        &self,
        idle: Option<Seconds>,
        now: Timestamp,
        last_seen: impl Fn(Ticket) -> Option<Timestamp>,
    ) -> Option<Event> {
        let due = self.ends.iter().take_while(|(at, _)| *at <= now).take(BATCH_MAX);
        let (mut claimed, mut stayed, mut over) = (Vec::new(), Vec::new(), Vec::new());

        // A sign of life counts only where one is awaited, and can't make a pass longer than it is.
        for ticket in due.map(|(_, ticket)| Ticket(*ticket)) {
            let active = &self.active[&ticket.0];
            let awaited = active.claim_by.is_some() && active.expires_at > now;
            match (last_seen(ticket).filter(|_| awaited), idle) {
                (Some(_), None) => claimed.push(ticket),
                (Some(at), Some(idle)) if at.plus(idle) > now => stayed.push((ticket, at.plus(idle))),
                (Some(_), Some(_)) | (None, _) => over.push(ticket),
            }
        }

        // One event a turn: the caller asks again until nothing is due. Those that stay
        // come before those that end.
        if !claimed.is_empty() {
            return Some(Event::Claimed { tickets: claimed.into() });
        }
        if !stayed.is_empty() {
            return Some(Event::Stayed { until: stayed.into() });
        }
        (!over.is_empty()).then(|| Event::PassesExpired { tickets: over.into() })
    }

    /// Returns the last of those who have waited too long by `now`: those who joined earlier have, too.
    fn last_expired(&self, now: Timestamp) -> Ticket {
        let waiting =
            (self.oldest..=self.joined_total()).map(Ticket).filter(|ticket| self.is_waiting(*ticket));
        let over = |ticket: &Ticket| {
            let joined_at = self.joined_at(*ticket).expect("who waits is kept");
            self.waiting_until(joined_at) <= now
        };
        waiting.take_while(over).last().expect("the oldest has waited too long")
    }

    /// Tells whether new settings can be followed in all: their order can't, while someone waits in another one.
    ///
    /// # Errors
    /// [`Refusal::OrderFixed`].
    pub fn check_order(&self, settings: &Settings) -> Result<(), Refusal> {
        let drawn = self.drawn.is_some() && !self.draw_pending();
        let reordered = self.order().is_some_and(|standing| standing != settings.policy.order);
        if reordered && !drawn && self.waiting() > 0 { Err(Refusal::OrderFixed) } else { Ok(()) }
    }

    fn order(&self) -> Option<QueueOrder> {
        self.settings.as_ref().map(|standing| standing.policy.order)
    }

    /// Follows a plan that is decided already: where someone has come in meanwhile, in all but the order.
    fn configure(&self, settings: Option<&Settings>, seed: Seed, now: Timestamp) -> Option<Event> {
        let Some(settings) = settings else {
            let shut = self.settings.is_none();
            return (!shut).then_some(Event::Configured { settings: None, seed: None });
        };
        let mut settings = settings.clone();
        if let (Err(_), Some(standing)) = (self.check_order(&settings), self.order()) {
            settings.policy.order = standing;
        }
        // The same again says nothing new: what was tuned since stands.
        if self.configured() == Some(&settings) {
            return None;
        }

        let drawn = self.drawn.is_some() && !self.draw_pending();
        let wants_draw = !drawn || self.opens_again(&settings, now);
        let to_draw = settings.policy.order == QueueOrder::Shuffle && !self.draw_pending() && wants_draw;
        Some(Event::Configured { settings: Some(Box::new(settings)), seed: to_draw.then_some(seed) })
    }

    /// Returns what an administrator has tuned, where new settings run the room by the same policy: it is tuned again, right behind
    /// them. Another policy is followed as it is; its order alone makes it none, since that may be followed later than the rest.
    pub fn kept_tuning(&self, settings: &Settings) -> Option<Tuning> {
        let (tuned, before) = (&self.settings.as_ref()?.policy, &self.configured()?.policy);
        let was_tuned =
            tuned.active_max != before.active_max || tuned.admit_per_minute != before.admit_per_minute;
        let in_order = QueuePolicy { order: before.order, ..settings.policy.clone() };
        (in_order == *before && was_tuned).then_some(Tuning {
            active_max: Some(tuned.active_max),
            admit_per_minute: Some(tuned.admit_per_minute),
            paused: None,
        })
    }

    /// Tells whether other settings move the opening ahead of `now`.
    fn opens_again(&self, settings: &Settings, now: Timestamp) -> bool {
        let moved = self.settings.as_ref().is_some_and(|standing| standing.opens_at != settings.opens_at);
        moved && settings.opens_at.map_or(!self.on_sale(), |at| at > now)
    }

    fn tune(&self, tuning: Tuning) -> Decision {
        let policy = &self.settings.as_ref().ok_or(Refusal::NoRoom)?.policy;
        let active_max = tuning.active_max.unwrap_or(policy.active_max);
        let admit_per_minute = tuning.admit_per_minute.unwrap_or(policy.admit_per_minute);
        let paused = tuning.paused.unwrap_or(self.paused);
        let standing = (policy.active_max, policy.admit_per_minute, self.paused);
        let changed = (active_max, admit_per_minute, paused) != standing;
        Ok(changed.then_some(Event::Tuned { active_max, admit_per_minute, paused }))
    }

    fn follow(&self, gate: Gate) -> Option<Event> {
        (gate != self.gate).then_some(Event::GateMoved { gate })
    }

    fn join(&self, user: &UserId, now: Timestamp) -> Decision {
        let settings = self.settings.as_ref().ok_or(Refusal::NoRoom)?;
        if self.standing(user).is_some() {
            return Ok(None);
        }
        if self.gate == Gate::Cancelled || settings.closes_at <= now {
            return Err(Refusal::NotOnSale);
        }
        if self.waiting() >= WAITING_MAX || self.joined_total() >= u32::MAX - 1 {
            return Err(Refusal::Full);
        }
        let ticket = Ticket(self.joined_total() + 1);
        // Who was due was admitted before: if anyone still waits, there is no room.
        let admitted = self.waiting() == 0 && self.may_enter(now);
        Ok(Some(Event::Joined { ticket, user: user.clone(), admitted }))
    }

    fn leave(&self, user: &UserId, ticket: Ticket) -> Option<Event> {
        (self.standing(user) == Some(ticket)).then_some(Event::Left { ticket })
    }

    fn claim(&self, ticket: Ticket) -> Option<Event> {
        let unclaimed = self.active.get(&ticket.0).is_some_and(|active| active.claim_by.is_some());
        unclaimed.then(|| Event::Claimed { tickets: [ticket].into() })
    }

    fn finish(&self, user: &UserId) -> Option<Event> {
        let ticket = self.standing(user).filter(|ticket| self.active.contains_key(&ticket.0))?;
        Some(Event::Finished { ticket })
    }

    fn bridge_outage(&self, down_since: Timestamp) -> Option<Event> {
        // Who had not shown up in time when the engine went down lost nothing to the outage.
        let lived = |claim_by: Timestamp| claim_by > down_since;
        let unclaimed = self.active.values().any(|active| active.claim_by.is_some_and(lived));
        unclaimed.then_some(Event::OutageBridged { down_since })
    }
}
