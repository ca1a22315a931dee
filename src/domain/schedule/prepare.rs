//! Decides and applies what administrators prepare for a sale: its codes and its allotments.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::allotments::{ALLOTMENTS_MAX, AllotmentCounts, AllotmentTerms, Allotments, is_mark};
use super::codes::{
    AccessCode, BATCH_CODES_MAX, BATCHES_MAX, CodePrefix, CodeTerms, Codes, GENERATED_CODES_MAX,
    NAMED_CODES_MAX, Uses,
};
use super::command::{Counts, Event, Refusal, SaleStatus, SeatStatus};
use super::decide::Decision;
use super::{FREE, Owner, Reservation, Schedule};
use crate::domain::ids::AllotmentId;
use crate::domain::time::Timestamp;
use crate::domain::venue::Seat;

impl Schedule {
    /// Returns its codes, if it ever had one.
    pub fn codes(&self) -> Option<&Codes> {
        self.codes.as_deref()
    }

    /// Finds an allotment.
    pub fn allotment(&self, id: &str) -> Option<Arc<AllotmentTerms>> {
        let (_, terms) = self.allotments.as_ref()?.find(id)?;
        Some(Arc::clone(terms))
    }

    /// Returns every allotment, in order of their ids.
    pub fn allotments(&self) -> Vec<Arc<AllotmentTerms>> {
        let all = self.allotments.iter().flat_map(|allotments| allotments.iter());
        let mut all: Vec<_> = all.map(|(_, terms)| Arc::clone(terms)).collect();
        all.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        all
    }

    /// Counts the places of an allotment.
    pub fn allotment_counts(&self, terms: &AllotmentTerms) -> AllotmentCounts {
        let mut counts = AllotmentCounts::default();
        for seat in &*terms.seats {
            counts.total += 1;
            match self.statuses[seat.index()] {
                SeatStatus::Held => counts.held += 1,
                SeatStatus::Reserved => counts.sold += 1,
                SeatStatus::Available | SeatStatus::Blocked => counts.left += 1,
            }
        }
        counts
    }

    /// Returns how many seats have each status, with what is left in allotments among the available ones: somebody can still buy it.
    pub fn sellable(&self) -> Counts {
        let left = self.allotments.as_ref().map_or(0, |allotments| allotments.left());
        let Counts { available, held, reserved, blocked } = self.counts;
        Counts { available: available + left, held, reserved, blocked: blocked - left }
    }

    pub(super) fn put_code(&self, code: &AccessCode, terms: &Arc<CodeTerms>) -> Decision {
        self.check_preparing()?;
        self.check_code_terms(terms)?;
        let standing = self.codes().and_then(|codes| codes.find(code.as_str()));
        if standing.is_some_and(|standing| *standing.terms == *terms) {
            return Ok(None);
        }
        if self.codes().is_some_and(|codes| codes.named() >= NAMED_CODES_MAX) && standing.is_none() {
            let why = "a schedule has at most 10000 codes that aren't generated";
            return Err(Refusal::Unfit { field: "code", why });
        }
        let created = standing.is_none();
        Ok(Some(Event::CodePut { code: code.clone(), terms: Arc::clone(terms), created }))
    }

    pub(super) fn make_codes(&self, prefix: &CodePrefix, terms: &Arc<CodeTerms>, drawn: &[u64]) -> Decision {
        self.check_preparing()?;
        self.check_code_terms(terms)?;
        if drawn.is_empty() || drawn.len() > BATCH_CODES_MAX {
            return Err(Refusal::Unfit { field: "count", why: "must be from 1 to 10000" });
        }
        let generated = self.codes().map_or(0, Codes::generated);
        let batches = self.codes().map_or(0, Codes::batch_count);
        let full = usize::try_from(batches).is_ok_and(|batches| batches >= BATCHES_MAX);
        if full || generated + drawn.len() > GENERATED_CODES_MAX {
            let why = "a schedule has at most 200000 generated codes, made at most 1000 times";
            return Err(Refusal::Unfit { field: "count", why });
        }

        let drawn = match self.codes() {
            Some(codes) => codes.fresh(prefix, drawn),
            None => Codes::default().fresh(prefix, drawn),
        };
        Ok(Some(Event::CodesMade { prefix: prefix.clone(), terms: Arc::clone(terms), drawn }))
    }

    pub(super) fn end_code(&self, code: &AccessCode) -> Decision {
        let standing = self.codes().and_then(|codes| codes.find(code.as_str()));
        standing.map(|_| Some(Event::CodeEnded { code: code.clone() })).ok_or(Refusal::NoSuchCode)
    }

    /// Refuses a definition that names what there isn't: nobody would see the mistake before the code is used.
    fn check_code_terms(&self, terms: &CodeTerms) -> Result<(), Refusal> {
        let unknown = |field, why| Err(Refusal::Unfit { field, why });
        let phases = &self.plan.policy.phases;
        if !terms.phases.iter().all(|id| phases.iter().any(|phase| phase.id == *id)) {
            return unknown("phases", "the schedule's policy has no such phase");
        }
        if terms.allotment.as_deref().is_some_and(|id| self.allotment(id).is_none()) {
            return unknown("allotmentId", "the schedule has no such allotment");
        }
        let known = |grade| self.layout.grades().contains(grade);
        if !terms.grades.iter().flatten().all(known) {
            return unknown("grades", "the venue has no such grade");
        }
        let sells = |id: &Arc<str>| self.prices().is_some_and(|prices| prices.price_type(id).is_some());
        if !terms.price_types.iter().flatten().all(sells) {
            return unknown("priceTypes", "the concert has no such price type");
        }
        Ok(())
    }

    pub(super) fn set_allotment(&self, terms: &Arc<AllotmentTerms>, now: Timestamp) -> Decision {
        self.check_preparing()?;
        if terms.seats.is_empty() {
            return Err(Refusal::NoSeats);
        }
        self.check_named(&terms.seats)?;
        let standing = self.allotments.as_ref().and_then(|allotments| allotments.find(&terms.id));
        if standing.is_some_and(|(_, standing)| standing == terms) {
            return Ok(None);
        }

        let (field, plan) = ("releaseAt", &self.plan);
        if terms.release_at.is_some_and(|at| at <= now) {
            return Err(Refusal::Unfit { field, why: "must be later than now" });
        }
        if terms.release_at.is_some_and(|at| at > plan.ends_at) {
            return Err(Refusal::Unfit { field, why: "must not be later than endsAt" });
        }
        let count = self.allotments.as_ref().map_or(0, |allotments| allotments.len());
        if standing.is_none() && count >= ALLOTMENTS_MAX {
            let why = "a schedule has at most 256 allotments at once";
            return Err(Refusal::Unfit { field: "allotmentId", why });
        }

        let own = |seat: Seat| standing.is_some_and(|(_, standing)| standing.has(seat));
        let taken = |seat: &&Seat| self.owners[seat.index()] != FREE && !own(**seat);
        let taken: Vec<Seat> = terms.seats.iter().filter(taken).copied().collect();
        if !taken.is_empty() {
            return Err(Refusal::SeatsUnavailable { seats: taken });
        }
        Ok(Some(Event::AllotmentSet { terms: Arc::clone(terms), created: standing.is_none() }))
    }

    pub(super) fn release_allotment(&self, id: &AllotmentId) -> Decision {
        let terms = self.allotment(id).ok_or(Refusal::NoSuchAllotment)?;
        Ok(Some(self.released(&terms)))
    }

    /// Makes the event that releases an allotment: it names the seats that are left.
    pub(super) fn released(&self, terms: &AllotmentTerms) -> Event {
        let mark = self.allotments.as_ref().and_then(|allotments| allotments.find(&terms.id));
        let (mark, _) = mark.expect("only what stands is released");
        let left = terms.seats.iter().filter(|seat| self.owners[seat.index()] == mark);
        Event::AllotmentReleased { id: terms.id.clone(), seats: left.copied().collect() }
    }

    fn check_preparing(&self) -> Result<(), Refusal> {
        if self.sale == SaleStatus::Cancelled { Err(Refusal::InvalidTransition) } else { Ok(()) }
    }

    pub(super) fn codes_mut(&mut self) -> &mut Codes {
        self.codes.get_or_insert_default()
    }

    pub(super) fn apply_allotment(&mut self, terms: &Arc<AllotmentTerms>) {
        let standing = self.allotments.as_ref().and_then(|allotments| allotments.find(&terms.id));
        let old = standing.map(|(_, standing)| Arc::clone(standing));
        let mark = self.allotments.get_or_insert_default().set(terms);

        // A seat of it that is held or sold is nobody's to move; it comes back to where it belongs by then.
        let had = |seat: Seat| old.as_ref().is_some_and(|old| old.has(seat));
        let come: Vec<Seat> = terms.seats.iter().filter(|seat| !had(**seat)).copied().collect();
        let gone = old.iter().flat_map(|old| old.seats.iter()).filter(|seat| !terms.has(**seat));
        let gone: Vec<Seat> = gone.filter(|seat| self.owners[seat.index()] == mark).copied().collect();
        self.give(&gone, mark, FREE, SeatStatus::Available);
        self.give(&come, FREE, mark, SeatStatus::Blocked);
    }

    pub(super) fn apply_release(&mut self, id: &AllotmentId, seats: &[Seat]) {
        let found = self.allotments.as_ref().and_then(|allotments| allotments.find(id));
        let (mark, _) = found.expect("only what stands is released");
        self.give(seats, mark, FREE, SeatStatus::Available);

        let allotments = self.allotments.as_mut().expect("found just now");
        allotments.remove(mark);
        if allotments.is_empty() {
            self.allotments = None;
        }
    }

    /// Returns the owner to whom a seat of a reservation goes back: the allotment that it was taken from, if it still has it.
    pub(super) fn home_of(&self, seat: Seat, allotment: Option<&str>) -> Owner {
        let found = allotment.and_then(|id| self.allotments.as_ref()?.find(id));
        found.filter(|(_, terms)| terms.has(seat)).map_or(FREE, |(mark, _)| mark)
    }

    /// Takes what a reservation has from where it belongs, and counts the use of its code.
    pub(super) fn take(&mut self, reservation: &Reservation, status: SeatStatus) {
        self.take_home(&reservation.seats, reservation.number.0, reservation.allotment(), status);
        self.give_areas(reservation.terms.as_deref(), SeatStatus::Available, status);
        if let Some(code) = reservation.code() {
            self.codes_mut().use_once(code, reservation.places());
        }
    }

    /// Takes seats for a reservation from where they belong.
    pub(super) fn take_home(
        &mut self,
        seats: &[Seat],
        number: Owner,
        allotment: Option<&str>,
        status: SeatStatus,
    ) {
        if allotment.is_none() {
            return self.give(seats, FREE, number, status);
        }
        for seat in seats {
            self.give(&[*seat], self.home_of(*seat, allotment), number, status);
        }
    }

    /// Gives seats of a reservation back to where they belong.
    pub(super) fn give_home(&mut self, seats: &[Seat], number: Owner, allotment: Option<&str>) {
        for seat in seats {
            let home = self.home_of(*seat, allotment);
            let status = if home == FREE { SeatStatus::Available } else { SeatStatus::Blocked };
            self.give(&[*seat], number, home, status);
        }
    }

    /// Checks that allotments have their seats, and that codes count every hold that uses them.
    ///
    /// # Panics
    /// When they don't.
    pub(super) fn check_prepared(&self) {
        let none = Allotments::default();
        let allotments = self.allotments.as_deref().unwrap_or(&none);
        let mut left_in_all = 0;
        for (mark, terms) in allotments.iter() {
            assert!(terms.seats.is_sorted_by(|one, next| one < next), "an allotment's seats are in order");
            let mut left = 0;
            for seat in &*terms.seats {
                let owner = self.owners[seat.index()];
                let taken = || self.reservations.get(owner).and_then(Reservation::allotment);
                assert!(
                    owner == mark || taken() == Some(&*terms.id),
                    "a seat of it is left, or was taken from it"
                );
                left += u32::from(owner == mark);
            }
            assert_eq!(left, allotments.left_of(mark), "what is left is counted");
            left_in_all += left;
        }
        assert_eq!(left_in_all, allotments.left(), "what is left in all is counted");
        let marked = self.owners.iter().filter(|owner| is_mark(**owner)).count();
        assert_eq!(
            u32::try_from(marked),
            Ok(left_in_all),
            "a mark is a standing allotment's, and of its own seats"
        );

        if let Some(codes) = self.codes() {
            codes.check_invariants();
        }
        let mut used: BTreeMap<&str, Uses> = BTreeMap::new();
        for reservation in self.reservations.iter().filter(|kept| kept.status.is_live()) {
            let Some(code) = reservation.code() else { continue };
            let counted = used.entry(code).or_default();
            counted.used += 1;
            counted.seats += reservation.places();
        }
        for (code, uses) in used {
            let Some(standing) = self.codes().and_then(|codes| codes.find_used(code)) else { continue };
            let counted = standing.uses;
            // More, where some that were paid for are cancelled by now, or forgotten.
            let enough = counted.used >= uses.used && counted.seats >= uses.seats;
            assert!(enough, "every live hold with a code has used it");
        }
    }
}
