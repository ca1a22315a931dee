//! Allotments: seats, and places of areas, set aside for those who bring a code of theirs.
//!
//! A seat of an allotment that nobody holds has the allotment's mark as its owner, so that for everyone else it is a seat that is taken,
//! and `blocked` on the map. A hold with a code of the allotment takes such seats, and only such. When that hold ends, they are the
//! allotment's again, if it still stands and has them; else they are free.
//!
//! Places of an area have no marks, so an allotment counts its own: how many are left, held and sold. Those that are left are `blocked`
//! on the map, too. It counts for its own what live reservations have that name it, so an area's share is never less than that.
//!
//! A release gives what is left to everyone, at its instant: it is due as the end of a hold is. What was held and sold stays so, and is
//! nothing of an allotment that has the same id later: each has a life of its own, which reservations name.
//!
//! Absent on purpose: codes. An allotment doesn't know by which it can be opened.
//!
//! Invariants, checked by [`Schedule::check_invariants`](super::Schedule::check_invariants):
//! - a seat is in one allotment at most, and either left in it or a live reservation's that was made out of it;
//! - `left` counts those that are left, places of areas among them;
//! - of an area, what is left, held and sold adds up to the allotment's share, and the blocked places are those that are left in all (A1).

use std::sync::Arc;

use super::owner::{BLOCKED, Owner};
use super::terms::TakenFrom;
use crate::domain::ids::AllotmentId;
use crate::domain::time::Timestamp;
use crate::domain::venue::{Area, Seat};

/// The most allotments that a schedule has at once.
pub const ALLOTMENTS_MAX: usize = 256;

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
    /// Its places of areas, in order of the areas' indexes.
    pub areas: Arc<[AsidePlaces]>,
    /// When what is left of it becomes available to everyone.
    pub release_at: Option<Timestamp>,
    /// Which of the allotments it is that have its id, one after the other: the schedule's version that set it first. It is decided, not
    /// asked for; zero where an earlier version set it.
    pub life: u64,
}

impl AllotmentTerms {
    /// Tells whether a seat belongs to it.
    pub fn has(&self, seat: Seat) -> bool {
        self.seats.binary_search(&seat).is_ok()
    }

    /// Returns what a reservation says that is taken from it.
    pub fn taken_from(&self) -> TakenFrom {
        TakenFrom { id: self.id.as_str().into(), life: self.life }
    }

    /// Tells whether a reservation was taken from it, and not from another of its id.
    pub fn is_source_of(&self, from: Option<&TakenFrom>) -> bool {
        from.is_some_and(|from| (&*from.id, from.life) == (self.id.as_str(), self.life))
    }

    /// Tells whether it is released by an instant, whether or not the event that says so has come.
    pub fn is_released_by(&self, at: Timestamp) -> bool {
        self.release_at.is_some_and(|release| release <= at)
    }

    /// Tells whether it has places of an area.
    pub fn has_area(&self, area: Area) -> bool {
        self.place_of(area).is_some()
    }

    pub(super) fn place_of(&self, area: Area) -> Option<usize> {
        self.areas.binary_search_by_key(&area, |places| places.area).ok()
    }
}

/// Places of an area that are set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsidePlaces {
    /// The area.
    pub area: Area,
    /// How many, those that are held or sold among them.
    pub count: u32,
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

impl AllotmentCounts {
    /// Counts places of an area: those that aren't held or sold are left.
    pub(super) fn of_area(total: u32, held: u32, sold: u32) -> Self {
        let left =
            total.checked_sub(held + sold).expect("A1: a share has room for what is held and sold of it");
        Self { total, held, sold, left }
    }

    /// Adds another's counts.
    pub(super) fn add(&mut self, other: Self) {
        self.total += other.total;
        self.held += other.held;
        self.sold += other.sold;
        self.left += other.left;
    }

    /// Moves places that are held to those that are left.
    pub(super) fn give_back(&mut self, count: u32) {
        // Its terms may be those of a moment ago, which had places that it has no more.
        let back = count.min(self.held);
        self.held -= back;
        self.left += back;
    }

    const fn of_mut(&mut self, fate: Fate) -> &mut u32 {
        match fate {
            Fate::Left => &mut self.left,
            Fate::Held => &mut self.held,
            Fate::Sold => &mut self.sold,
        }
    }
}

/// What is with a place of an allotment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is left to those who bring a code.
    Left,
    /// It is held, or being paid.
    Held,
    /// It is sold.
    Sold,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Allotment {
    terms: Arc<AllotmentTerms>,
    /// How many of its seats have its mark.
    left: u32,
    /// The counts of its places, as its terms list the areas.
    areas: Box<[AllotmentCounts]>,
}

impl Allotment {
    fn left_in_areas(&self) -> u32 {
        self.areas.iter().map(|counts| counts.left).sum()
    }
}

/// The allotments of a schedule. Each has a slot as long as it stands, from which its mark follows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Allotments {
    slots: Vec<Option<Allotment>>,
    /// The first release that is due.
    next_release: Option<Timestamp>,
    /// How many seats, and places of areas, are left in all of them.
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

    /// Returns how many seats, and places of areas, are left in all of them.
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
        let due = due.filter(|terms| terms.is_released_by(at));
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

    /// Finds the allotment that a reservation was taken from, and its mark, if it still stands.
    pub(super) fn source(&self, from: &TakenFrom) -> Option<(Owner, &Arc<AllotmentTerms>)> {
        self.find(&from.id).filter(|(_, terms)| terms.is_source_of(Some(from)))
    }

    /// Returns how many seats of the allotment with a mark are left.
    pub(super) fn left_of(&self, owner: Owner) -> u32 {
        self.slots[slot_of(owner)].as_ref().map_or(0, |kept| kept.left)
    }

    /// Returns the counts of an allotment's places of areas, as its terms list the areas.
    pub(super) fn areas_of(&self, owner: Owner) -> &[AllotmentCounts] {
        self.slots[slot_of(owner)].as_ref().map_or(&[], |kept| &kept.areas)
    }

    /// Returns how many places of an area are left in the allotment with a mark.
    pub(super) fn left_in(&self, owner: Owner, area: Area) -> u32 {
        let kept = self.slots[slot_of(owner)].as_ref();
        kept.and_then(|kept| Some(kept.areas[kept.terms.place_of(area)?].left)).unwrap_or_default()
    }

    /// Sets an allotment, new or standing, with the counts of its places of areas, and returns its mark; what it gets and lets go is handed
    /// over by the caller.
    pub(super) fn set(&mut self, terms: &Arc<AllotmentTerms>, areas: Box<[AllotmentCounts]>) -> Owner {
        assert_eq!(terms.areas.len(), areas.len(), "each area has its counts");
        let standing = self.find(&terms.id).map(|(owner, _)| owner);
        let slot = standing.map(slot_of).or_else(|| self.slots.iter().position(Option::is_none));
        let slot = slot.unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }

        let old = self.slots[slot].take();
        let left = old.as_ref().map_or(0, |old| old.left);
        let new = Allotment { terms: Arc::clone(terms), left, areas };
        self.left = self.left - old.map_or(0, |old| old.left_in_areas()) + new.left_in_areas();
        self.slots[slot] = Some(new);
        self.note_releases();
        mark(slot)
    }

    /// Forgets an allotment of which nothing is left: the caller has given its seats to everyone.
    pub(super) fn remove(&mut self, owner: Owner) {
        let removed = self.slots[slot_of(owner)].take().expect("only what stands is released");
        let left = removed.left + removed.left_in_areas();
        assert_eq!(left, 0, "nothing is left in what is released");
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

    /// Notes that places of an area come to the allotment with a mark, go from it, or have another fate in it.
    pub(super) fn pass_places(
        &mut self,
        owner: Owner,
        places: AsidePlaces,
        from: Option<Fate>,
        to: Option<Fate>,
    ) {
        let AsidePlaces { area, count } = places;
        let kept = self.slot_mut(owner);
        let place = kept.terms.place_of(area).expect("an area whose places are the allotment's");
        let counts = &mut kept.areas[place];
        let before = counts.left;
        if let Some(from) = from.map(|fate| counts.of_mut(fate)) {
            *from = from.checked_sub(count).expect("A1: places pass only from where they are");
        }
        if let Some(to) = to.map(|fate| counts.of_mut(fate)) {
            *to += count;
        }
        let after = counts.left;
        self.left = self.left - before + after;
    }

    fn slot_mut(&mut self, owner: Owner) -> &mut Allotment {
        self.slots[slot_of(owner)].as_mut().expect("a mark is a standing allotment's")
    }

    fn note_releases(&mut self) {
        self.next_release = self.iter().filter_map(|(_, terms)| terms.release_at).min();
    }
}
