//! Allotments: seats set aside for those who bring a code of theirs.
//!
//! A seat of an allotment that nobody holds has the allotment's mark as its owner, so that for everyone else it is a seat that is taken,
//! and `blocked` on the map. A hold with a code of the allotment takes such seats, and only such. When that hold ends, they are the
//! allotment's again, if it still stands and has them; else they are free.
//!
//! A release gives what is left to everyone, at its instant: it is due as the end of a hold is.
//!
//! Absent on purpose: codes. An allotment doesn't know by which it can be opened.
//!
//! Invariants, checked by [`Schedule::check_invariants`](super::Schedule::check_invariants):
//! - a seat is in one allotment at most, and either left in it or a live reservation's that was made out of it;
//! - `left` counts those that are left.

use std::sync::Arc;

use super::owner::{BLOCKED, Owner};
use crate::domain::ids::AllotmentId;
use crate::domain::time::Timestamp;
use crate::domain::venue::Seat;

/// The most allotments that a schedule has at once.
pub const ALLOTMENTS_MAX: usize = 256;
/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 4_000;

/// The lowest mark: an owner from here on is no reservation.
pub(super) const MARKS_FROM: Owner = BLOCKED - 256;
#[expect(clippy::as_conversions, reason = "in a const")]
const _: () = assert!((BLOCKED - MARKS_FROM) as usize == ALLOTMENTS_MAX);

/// What an administrator says of an allotment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllotmentTerms {
    /// Its id.
    pub id: AllotmentId,
    /// Its name, for people.
    pub name: String,
    /// Why it is set aside, for people.
    pub reason: Option<String>,
    /// Its seats, in order of their indexes.
    pub seats: Arc<[Seat]>,
    /// When what is left of it becomes available to everyone.
    pub release_at: Option<Timestamp>,
}

impl AllotmentTerms {
    /// Tells whether a seat belongs to it.
    pub fn has(&self, seat: Seat) -> bool {
        self.seats.binary_search(&seat).is_ok()
    }
}

/// How many places of an allotment are where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AllotmentCounts {
    /// All of them.
    pub total: u32,
    /// Held, or being paid.
    pub held: u32,
    /// Sold.
    pub sold: u32,
    /// Left to those who bring a code.
    pub left: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Allotment {
    terms: Arc<AllotmentTerms>,
    /// How many of its seats have its mark.
    left: u32,
}

/// The allotments of a schedule. Each has a slot as long as it stands, from which its mark follows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Allotments {
    slots: Vec<Option<Allotment>>,
    /// The first release that is due.
    next_release: Option<Timestamp>,
    /// How many seats are left in all of them.
    left: u32,
}

/// Tells whether an owner is an allotment.
pub(super) const fn is_mark(owner: Owner) -> bool {
    owner >= MARKS_FROM && owner != BLOCKED
}

fn mark(slot: usize) -> Owner {
    let slot = u32::try_from(slot).expect("bounded by ALLOTMENTS_MAX");
    assert!(slot < BLOCKED - MARKS_FROM, "an allotment has a mark");
    BLOCKED - 1 - slot
}

fn slot_of(owner: Owner) -> usize {
    assert!(is_mark(owner), "only an allotment has a slot");
    usize::try_from(BLOCKED - 1 - owner).expect("a u32 fits")
}

impl Allotments {
    /// Tells whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.iter().all(Option::is_none)
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Returns how many seats are left in all of them.
    pub(super) fn left(&self) -> u32 {
        self.left
    }

    /// Returns when the next release is due.
    pub(super) fn next_release(&self) -> Option<Timestamp> {
        self.next_release
    }

    /// Returns the first that is to be released at an instant or before it; of two at one instant, the one whose id comes first.
    pub(super) fn due(&self, at: Timestamp) -> Option<&Arc<AllotmentTerms>> {
        let due = self.iter().map(|(_, terms)| terms);
        let due = due.filter(|terms| terms.release_at.is_some_and(|release| release <= at));
        due.min_by_key(|terms| (terms.release_at, &*terms.id))
    }

    /// Returns every allotment with its mark, in order of the slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Owner, &Arc<AllotmentTerms>)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(slot, kept)| kept.as_ref().map(|kept| (mark(slot), &kept.terms)))
    }

    /// Finds an allotment, and its mark.
    pub(super) fn find(&self, id: &str) -> Option<(Owner, &Arc<AllotmentTerms>)> {
        self.iter().find(|(_, terms)| terms.id.as_str() == id)
    }

    /// Returns how many seats of the allotment with a mark are left.
    pub(super) fn left_of(&self, owner: Owner) -> u32 {
        self.slots[slot_of(owner)].as_ref().map_or(0, |kept| kept.left)
    }

    /// Sets an allotment, new or standing, and returns its mark; its seats are handed over by the caller.
    pub(super) fn set(&mut self, terms: &Arc<AllotmentTerms>) -> Owner {
        let owner = if let Some((owner, _)) = self.find(&terms.id) {
            let kept = self.slots[slot_of(owner)].as_mut().expect("found just now");
            kept.terms = Arc::clone(terms);
            owner
        } else {
            let slot = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
            if slot == self.slots.len() {
                self.slots.push(None);
            }
            self.slots[slot] = Some(Allotment { terms: Arc::clone(terms), left: 0 });
            mark(slot)
        };
        self.note_releases();
        owner
    }

    /// Forgets an allotment of which nothing is left: the caller has given its seats to everyone.
    pub(super) fn remove(&mut self, owner: Owner) {
        let removed = self.slots[slot_of(owner)].take().expect("only what stands is released");
        assert_eq!(removed.left, 0, "nothing is left in what is released");
        while self.slots.last().is_some_and(Option::is_none) {
            self.slots.pop();
        }
        self.note_releases();
    }

    /// Notes that a seat goes from one owner to another.
    pub(super) fn pass(&mut self, from: Owner, to: Owner) {
        if is_mark(from) {
            self.slot_mut(from).left -= 1;
            self.left -= 1;
        }
        if is_mark(to) {
            self.slot_mut(to).left += 1;
            self.left += 1;
        }
    }

    fn slot_mut(&mut self, owner: Owner) -> &mut Allotment {
        self.slots[slot_of(owner)].as_mut().expect("a mark is a standing allotment's")
    }

    fn note_releases(&mut self) {
        self.next_release = self.iter().filter_map(|(_, terms)| terms.release_at).min();
    }
}
