//! Tickets to event streams: a browser's `EventSource` sends no headers, so whoever may send them gets a word for the address instead.
//!
//! A ticket stands for the token, and for the waiting room's pass, that its caller showed. Both are checked when the stream is opened, as
//! they would be without it: a ticket gives no right. It opens one stream, soon or never, and is kept in memory only: a restart ends it.
//!
//! Invariant: the number of tickets is bounded; a ticket is never logged or shown but to its caller.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderValue;

use crate::domain::time::{Seconds, Timestamp};
use crate::random;

/// How long a ticket opens a stream.
pub(super) const VALID: Seconds = Seconds::new(30);
/// The most tickets of half a minute, used ones among them: two thousand a second. The oldest go first.
const TICKETS_MAX: usize = 65_536;
/// The most bytes of headers that tickets keep: of the longest that a request may have, so many as fit. The oldest go first.
const BYTES_MAX: usize = 64 << 20;

/// The headers that a ticket stands for.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) authorization: HeaderValue,
    /// The waiting room's pass, if it showed one.
    pub(super) pass: Option<HeaderValue>,
}

impl Shown {
    fn len(&self) -> usize {
        self.authorization.len() + self.pass.as_ref().map_or(0, HeaderValue::len)
    }
}

/// A ticket's text: as many random bits as no one guesses.
type Ticket = String;

#[derive(Default)]
struct Tickets {
    open: HashMap<Ticket, Shown>,
    /// The bytes that they keep.
    bytes: usize,
    /// When each ends, the oldest first; one that was used is still here.
    ends: VecDeque<(Timestamp, Ticket)>,
}

/// The tickets that nobody has used yet.
#[derive(Default)]
pub struct StreamTickets(Mutex<Tickets>);

impl core::fmt::Debug for StreamTickets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("StreamTickets(..)")
    }
}

impl StreamTickets {
    /// Makes a ticket of a request's headers, whose token was checked. Returns it, and when it ends.
    pub(super) fn issue(&self, shown: Shown, now: Timestamp) -> (Ticket, Timestamp) {
        let (ticket, ends_at) = (random::token(), now.plus(VALID));

        let mut tickets = self.tickets();
        tickets.forget(now);
        tickets.make_room();
        tickets.bytes += shown.len();
        tickets.open.insert(ticket.clone(), shown);
        tickets.ends.push_back((ends_at, ticket.clone()));
        (ticket, ends_at)
    }

    /// Takes the headers of a ticket, which is used up by that.
    pub(super) fn take(&self, ticket: &str, now: Timestamp) -> Option<Shown> {
        let mut tickets = self.tickets();
        tickets.forget(now);
        tickets.remove(ticket)
    }

    fn tickets(&self) -> std::sync::MutexGuard<'_, Tickets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tickets {
    /// Forgets what is over.
    fn forget(&mut self, now: Timestamp) {
        while let Some((_, ticket)) = self.ends.pop_front_if(|(ends_at, _)| *ends_at <= now) {
            self.remove(&ticket);
        }
    }

    /// Forgets the oldest where there is no room for another.
    fn make_room(&mut self) {
        while self.ends.len() >= TICKETS_MAX || self.bytes >= BYTES_MAX {
            let Some((_, ticket)) = self.ends.pop_front() else { return };
            self.remove(&ticket);
        }
    }

    fn remove(&mut self, ticket: &str) -> Option<Shown> {
        let shown = self.open.remove(ticket)?;
        self.bytes -= shown.len();
        Some(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn shown(token: &str) -> Shown {
        Shown { authorization: HeaderValue::from_str(token).unwrap(), pass: None }
    }

    #[test]
    fn a_ticket_is_used_once_and_ends_after_half_a_minute_to_the_millisecond() {
        let tickets = StreamTickets::default();
        let (first, ends_at) = tickets.issue(shown("Bearer a"), NOW);
        let (second, _) = tickets.issue(shown("Bearer b"), NOW);
        assert_eq!(ends_at, NOW.plus_millis(30_000));
        assert_eq!(tickets.take(&first, NOW.plus_millis(29_999)).unwrap().authorization, "Bearer a");
        assert!(tickets.take(&first, NOW.plus_millis(29_999)).is_none(), "it was used");
        assert!(tickets.take(&second, NOW.plus_millis(30_000)).is_none(), "it is over");
        assert_eq!(tickets.tickets().bytes, 0);
    }

    #[test]
    fn the_oldest_tickets_give_way_where_there_are_too_many() {
        let tickets = StreamTickets::default();
        let issue = || tickets.issue(shown("Bearer a"), NOW).0;
        let oldest = issue();
        let kept = issue();
        (2..=TICKETS_MAX).for_each(|_| drop(issue()));
        assert!(tickets.take(&oldest, NOW).is_none());
        assert!(tickets.take(&kept, NOW).is_some());

        let long = format!("Bearer {}", "x".repeat(BYTES_MAX / 2));
        let first = tickets.issue(shown(&long), NOW).0;
        let second = tickets.issue(shown(&long), NOW).0;
        tickets.issue(shown("Bearer b"), NOW);
        assert!(tickets.take(&first, NOW).is_none(), "they keep too much");
        assert!(tickets.take(&second, NOW).is_some());
    }
}
