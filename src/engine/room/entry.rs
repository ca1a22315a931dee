//! A waiting room as everyone but its actor sees it: the durable state, the active passes, and the measured pace.
//!
//! As with a schedule, the journal is the only writer: it applies each event once it is durable. Polls, ranks and
//! streams read here and never reach the actor's mailbox. Whether a pass is active is in a concurrent table, which the
//! journal changes in the same step; the routes of the seats look there and ask nobody.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLockReadGuard};

use dashmap::DashMap;
use kameo::actor::ActorRef;
use tokio::sync::watch;

use super::passes::Pass;
use super::rate::Rate;
use crate::domain::time::{Seconds, Timestamp};
use crate::domain::waiting_room::{Event, Gate, Ticket, WaitingRoom};
use crate::engine::live::Live;

/// A room has few active users; more shards would only cost memory.
const SHARDS: usize = 4;

/// A pass that is active, as the hot path sees it.
#[derive(Debug)]
struct ActivePass {
    /// When the place was taken, as the pass says: a ticket's number alone may be another's after a backup was restored.
    issued_at: Timestamp,
    expires_at: Timestamp,
    /// Until when a sign of life must come, or the next one; nothing where none is awaited any more.
    claim_by: Option<Timestamp>,
    /// How long it stays from each sign on; where one is enough, nothing.
    idle: Option<Seconds>,
    /// When the last one came in this process's life, in milliseconds since 1970; 0 as long as none has.
    seen_ms: AtomicU64,
}

/// A waiting room's durable state, and its actor.
pub struct RoomEntry {
    live: Arc<Live<WaitingRoom>>,
}

/// The data that everyone sees beside a room's state.
pub(in crate::engine) struct Entrance {
    passes: DashMap<Ticket, ActivePass>,
    rate: Mutex<Rate>,
    /// The gate of the schedule's durable state.
    gate: watch::Receiver<Gate>,
}

impl RoomEntry {
    /// Makes the entry of a room whose whole state is durable, and which follows its schedule's gate.
    pub(in crate::engine) fn new(room: WaitingRoom, gate: watch::Receiver<Gate>) -> Self {
        let entrance =
            Entrance { passes: DashMap::with_shard_amount(SHARDS), rate: Mutex::new(Rate::default()), gate };
        entrance.admit(&room, room.actives());
        let version = room.version();
        Self { live: Arc::new(Live::new(room, entrance, version)) }
    }

    /// Returns the durable state and the actor.
    pub(in crate::engine) fn live(&self) -> &Arc<Live<WaitingRoom>> {
        &self.live
    }

    /// Looks at the durable state. Don't keep the guard over an await: the journal waits for it.
    pub fn read(&self) -> RwLockReadGuard<'_, WaitingRoom> {
        self.live.read()
    }

    /// Tells whether there is a waiting room.
    pub fn is_open(&self) -> bool {
        self.read().settings().is_some()
    }

    /// Follows the version of the room, as far as it concerns those who have a place.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.live.watch()
    }

    /// Has everyone who follows the room look again.
    pub(in crate::engine) fn wake_followers(&self) {
        self.live.wake_followers();
    }

    /// Returns how many follow the room.
    pub fn followers(&self) -> usize {
        self.live.followers()
    }

    /// Returns how long the holder of a position will wait, in seconds, as measured; nothing while it isn't known.
    pub fn estimated_wait_seconds(&self, position: u32, now: Timestamp) -> Option<u64> {
        self.live.view.rate().wait_for(position, now)
    }

    /// Tells whether a place is at the seats at `now`.
    pub fn is_active(&self, ticket: Ticket, now: Timestamp) -> bool {
        self.live.view.passes.get(&ticket).is_some_and(|pass| pass.is_active(now))
    }

    /// Tells whether a pass lets its holder to the seats at `now`.
    pub fn admits(&self, pass: Pass, now: Timestamp) -> bool {
        let active = self.live.view.passes.get(&pass.ticket);
        active.is_some_and(|active| active.issued_at == pass.issued_at && active.is_active(now))
    }

    /// Notes a sign of life of an active place; returns whether it is the first, which the actor is to be told. It asks for later
    /// ones itself, once another is due.
    pub(in crate::engine) fn show_life(&self, ticket: Ticket, now: Timestamp) -> bool {
        let Some(pass) = self.live.view.passes.get(&ticket) else { return false };
        if pass.claim_by.is_none() || !pass.is_active(now) {
            return false;
        }
        pass.seen_ms.fetch_max(now.as_millis(), Ordering::Relaxed) == 0
    }

    /// Tells whether its actor runs or is being started again, where there is one to run.
    pub fn is_running(&self) -> bool {
        self.live.actor().is_none_or(ActorRef::is_alive)
    }
}

impl Entrance {
    fn rate(&self) -> std::sync::MutexGuard<'_, Rate> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the gate of the schedule's durable state.
    pub(super) fn gate(&self) -> Gate {
        *self.gate.borrow()
    }

    /// Follows that gate.
    pub(super) fn watch_gate(&self) -> watch::Receiver<Gate> {
        self.gate.clone()
    }

    /// Returns when a place has shown its last sign of life, as far as one was awaited.
    pub(super) fn last_seen(&self, ticket: Ticket) -> Option<Timestamp> {
        self.passes.get(&ticket)?.last_seen()
    }

    /// Ends and counts the passes that an event ends. Call it before the event is applied.
    pub(super) fn end(&self, room: &WaitingRoom, event: &Event) {
        match event {
            Event::Left { ticket } => self.close(room, &[*ticket], |_| "left"),
            Event::Finished { ticket } => self.close(room, &[*ticket], |_| "finished"),
            Event::PassesExpired { tickets } => self.close(room, tickets, |pass| match pass.claim_by {
                Some(by) if by < pass.expires_at && pass.last_seen().is_none() => "unclaimed",
                Some(by) if by < pass.expires_at => "idle",
                Some(_) | None => "pass_expired",
            }),

            Event::Configured { settings: None, .. } | Event::GateMoved { gate: Gate::Cancelled } => {
                self.passes.clear();
                count_ends("shut", usize::try_from(room.waiting() + room.active()).unwrap_or_default());
            }

            Event::Configured { .. }
            | Event::Tuned { .. }
            | Event::GateMoved { .. }
            | Event::Joined { .. }
            | Event::Drawn { .. }
            | Event::Admitted { .. }
            | Event::Claimed { .. }
            | Event::Stayed { .. }
            | Event::PlacesExpired { .. }
            | Event::OutageBridged { .. }
            | Event::KeyKept { .. } => {}
        }
    }

    fn close(&self, room: &WaitingRoom, tickets: &[Ticket], why: impl Fn(&ActivePass) -> &'static str) {
        for ticket in tickets {
            let reason = match self.passes.remove(ticket) {
                Some((_, pass)) => why(&pass),
                None => "left",
            };
            debug_assert!(room.has(*ticket), "an event ends a place that is there");
            count_ends(reason, 1);
        }
    }

    /// Begins the passes that an event begins, and measures the pace. Call it after the event was applied.
    pub(super) fn begin(&self, room: &WaitingRoom, event: &Event, at: Timestamp) {
        let admitted = match event {
            Event::Joined { ticket, admitted, .. } => {
                metrics::counter!("onsale_queue_joins_total").increment(1);
                if *admitted { core::slice::from_ref(ticket) } else { &[] }
            }

            Event::Admitted { tickets } => tickets,
            Event::Claimed { tickets } => {
                tickets.iter().for_each(|ticket| self.await_sign(room, *ticket));
                &[]
            }
            Event::Stayed { until } => {
                until.iter().for_each(|(ticket, _)| self.await_sign(room, *ticket));
                &[]
            }

            Event::OutageBridged { .. } => {
                self.admit(room, room.actives());
                &[]
            }

            Event::Configured { .. }
            | Event::Tuned { .. }
            | Event::GateMoved { .. }
            | Event::Drawn { .. }
            | Event::Left { .. }
            | Event::Finished { .. }
            | Event::PassesExpired { .. }
            | Event::PlacesExpired { .. }
            | Event::KeyKept { .. } => &[],
        };

        let passes = admitted.iter().filter_map(|ticket| {
            let (expires_at, claim_by) = room.pass(*ticket)?;
            Some((*ticket, expires_at, claim_by))
        });
        self.admit(room, passes);

        for ticket in admitted {
            let joined_at = room.joined_at(*ticket).expect("who was just admitted has a place");
            let waited = core::time::Duration::from_millis(at.millis_since(joined_at));
            metrics::histogram!("onsale_queue_wait_seconds").record(waited);
        }

        let count = u32::try_from(admitted.len()).expect("few at once");
        metrics::counter!("onsale_queue_admissions_total").increment(u64::from(count));
        let mut rate = self.rate();
        let paced = room.overview().admit_per_minute.is_some();

        // Time first: the decay until now isn't that of these admissions.
        rate.advance(at, room.is_moving(at), matches!(room.gate(), Gate::SoldOut | Gate::Cancelled));
        rate.admit(count, room.active(), paced);
    }

    fn admit(
        &self,
        room: &WaitingRoom,
        passes: impl Iterator<Item = (Ticket, Timestamp, Option<Timestamp>)>,
    ) {
        for (ticket, expires_at, claim_by) in passes {
            let issued_at = room.joined_at(ticket).expect("who is active has a place");
            let seen_ms = AtomicU64::new(self.last_seen(ticket).map_or(0, Timestamp::as_millis));
            let idle = idle_of(room);
            self.passes.insert(ticket, ActivePass { issued_at, expires_at, claim_by, idle, seen_ms });
        }
    }

    /// Takes over until when the next sign of life of a place must come.
    fn await_sign(&self, room: &WaitingRoom, ticket: Ticket) {
        if let Some(mut pass) = self.passes.get_mut(&ticket) {
            pass.claim_by = room.pass(ticket).and_then(|(_, claim_by)| claim_by);
            pass.idle = idle_of(room);
        }
    }
}

fn idle_of(room: &WaitingRoom) -> Option<Seconds> {
    room.settings().and_then(|settings| settings.policy.idle)
}

impl ActivePass {
    fn is_active(&self, now: Timestamp) -> bool {
        // A sign after the one that the room knows of counts, though it is yet to be written.
        let stays = || {
            let seen = self.last_seen();
            seen.is_some_and(|seen| self.idle.is_none_or(|idle| now < seen.plus(idle)))
        };
        now < self.expires_at && self.claim_by.is_none_or(|claim_by| now < claim_by || stays())
    }

    fn last_seen(&self) -> Option<Timestamp> {
        let seen_ms = self.seen_ms.load(Ordering::Relaxed);
        (seen_ms > 0).then(|| Timestamp::from_millis(seen_ms))
    }
}

/// Tells whether an event can change the place that a follower sees. Most events of a rush are joins, behind everyone who follows.
pub(super) fn moves_someone(event: &Event) -> bool {
    match event {
        Event::Joined { admitted, .. } => *admitted,
        Event::Claimed { .. }
        | Event::Stayed { .. }
        | Event::OutageBridged { .. }
        | Event::KeyKept { .. } => false,
        Event::Configured { .. }
        | Event::Tuned { .. }
        | Event::GateMoved { .. }
        | Event::Drawn { .. }
        | Event::Admitted { .. }
        | Event::Left { .. }
        | Event::Finished { .. }
        | Event::PassesExpired { .. }
        | Event::PlacesExpired { .. } => true,
    }
}

pub(super) fn count_ends(reason: &'static str, count: usize) {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    metrics::counter!("onsale_queue_ends_total", "reason" => reason).increment(count);
}
