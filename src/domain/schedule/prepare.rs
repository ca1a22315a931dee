//! Decides and applies what administrators prepare for a sale: its codes and its allotments.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use super::allotments::{
    ALLOTMENTS_MAX, AllotmentCounts, AllotmentTerms, Allotments, AsidePlaces, Fate, is_mark,
};
use super::codes::{
    AccessCode, BATCH_CODES_MAX, BATCHES_MAX, CodePrefix, CodeTerms, Codes, GENERATED_CODES_MAX, Uses,
};
use super::command::{Counts, Event, Refusal, SaleStatus, SeatStatus};
use super::decide::Decision;
use super::terms::TakenFrom;
use super::{FREE, Owner, Reservation, Schedule, Terms};
use crate::domain::ids::AllotmentId;
use crate::domain::time::Timestamp;
use crate::domain::venue::{Area, Seat};

impl Schedule {
    /// Returns its codes, if it ever had one.
    pub fn codes(&self) -> Option<&Codes> {
        self.codes.as_deref()
    }

    /// Returns the uses that holds give back whose deadlines have come by `now`, by their codes, as far as no event says so yet.
    pub fn uses_due(&self, now: Timestamp) -> HashMap<&str, Uses> {
        let mut due: HashMap<&str, Uses> = HashMap::new();
        for reservation in self.ended_by(now) {
            let Some(code) = reservation.code() else { continue };
            let uses = due.entry(code).or_default();
            uses.used += 1;
            uses.seats += reservation.places();
        }
        due
    }

    /// Returns the reservations whose deadlines have come by `now`, as far as no event says so yet.
    fn ended_by(&self, now: Timestamp) -> impl Iterator<Item = &Reservation> {
        let due = self.deadlines.range(..=(now, u32::MAX));
        due.map(|(_, number)| self.reservations.get(*number).expect("what has a deadline is kept"))
    }

    /// Finds an allotment as it is at `now`, whether or not the event of its release has come.
    pub fn allotment_at(&self, id: &str, now: Timestamp) -> Option<Arc<AllotmentTerms>> {
        self.allotment(id).filter(|terms| !terms.is_released_by(now))
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

    /// Counts the places of an allotment at `now`, whether or not the events of the holds that end by then have come.
    pub fn allotment_counts(&self, terms: &AllotmentTerms, now: Timestamp) -> AllotmentCounts {
        let mut counts = AllotmentCounts::default();
        for seat in &*terms.seats {
            counts.total += 1;
            match self.statuses[seat.index()] {
                SeatStatus::Held => counts.held += 1,
                SeatStatus::Reserved => counts.sold += 1,
                SeatStatus::Available | SeatStatus::Blocked => counts.left += 1,
            }
        }

        for areas in self.allotment_areas(&terms.id) {
            counts.add(*areas);
        }

        let due = self.ended_by(now).filter(|due| terms.is_source_of(due.taken_from()));
        for reservation in due {
            let seats = reservation.seats.iter().filter(|seat| terms.has(**seat)).map(|_| 1);
            let areas = reservation.terms.iter().flat_map(|terms| &*terms.areas);
            let areas = areas.filter(|places| terms.has_area(places.area)).map(|places| places.count);
            counts.give_back(seats.chain(areas).sum());
        }
        counts
    }

    /// Returns the counts of an allotment's places of areas as its events say, as its terms list the areas.
    pub fn allotment_areas(&self, id: &AllotmentId) -> &[AllotmentCounts] {
        let all = self.allotments.as_ref();
        all.and_then(|all| Some(all.areas_of(all.find(id)?.0))).unwrap_or_default()
    }

    /// Counts the places of areas that an allotment with these terms would have: those that reservations have of it, and what is left.
    /// Of a share that has no room for them there are none.
    fn shares(&self, terms: &AllotmentTerms) -> Vec<Option<AllotmentCounts>> {
        let mut taken = vec![[0_u32; 2]; terms.areas.len()];
        if !terms.areas.is_empty() {
            let live = self.reservations.iter().filter(|kept| kept.status.is_live());
            let own = live.filter(|kept| terms.is_source_of(kept.taken_from()));
            for reservation in own {
                let is_sold = usize::from(!reservation.status.has_deadline());
                for places in reservation.terms.iter().flat_map(|terms| &*terms.areas) {
                    if let Some(place) = terms.place_of(places.area) {
                        taken[place][is_sold] += places.count;
                    }
                }
            }
        }

        let share = |(places, [held, sold]): (&AsidePlaces, [u32; 2])| {
            (held + sold <= places.count).then(|| AllotmentCounts::of_area(places.count, held, sold))
        };
        terms.areas.iter().zip(taken).map(share).collect()
    }

    /// Returns how many seats, and places of areas, have each status, with what is left in allotments among the available ones: somebody can still buy it.
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
        if self.codes().is_some_and(|codes| !codes.has_room_for(code)) {
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
        if terms.seats.is_empty() && terms.areas.is_empty() {
            return Err(Refusal::NoSeats);
        }
        self.check_named(&terms.seats)?;
        self.check_named_areas(&terms.areas)?;
        let standing = self.allotments.as_ref().and_then(|allotments| allotments.find(&terms.id));
        // What was taken from one that is released by now is nothing of a new one.
        let life = standing.map_or(self.version + 1, |(_, standing)| standing.life);
        let terms = &Arc::new(AllotmentTerms { life, ..AllotmentTerms::clone(terms) });
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
        self.check_shares(terms)?;
        Ok(Some(Event::AllotmentSet { terms: Arc::clone(terms), created: standing.is_none() }))
    }

    /// Refuses areas that the venue doesn't have or that are named twice, and shares of no place.
    fn check_named_areas(&self, areas: &[AsidePlaces]) -> Result<(), Refusal> {
        if areas.iter().any(|places| places.area.index() >= self.area_counts().len()) {
            return Err(Refusal::UnknownArea);
        }
        if areas.iter().any(|places| places.count == 0) {
            return Err(Refusal::NoSeats);
        }
        let in_order = areas.is_sorted_by(|one, next| one.area < next.area);
        let why = "must be in order, and each named once";
        if in_order { Ok(()) } else { Err(Refusal::Unfit { field: "areas", why }) }
    }

    /// Refuses shares of areas that are less than what is held and sold of them, or more than there is.
    fn check_shares(&self, terms: &AllotmentTerms) -> Result<(), Refusal> {
        let standing = self.allotments.as_ref().and_then(|all| Some((all, all.find(&terms.id)?.0)));
        let mut lacking = Vec::new();
        for (places, share) in terms.areas.iter().zip(self.shares(terms)) {
            let Some(share) = share else {
                let why = "must have at least as many places as are held and sold of it";
                return Err(Refusal::Unfit { field: "areas", why });
            };
            let own = standing.map_or(0, |(all, mark)| all.left_in(mark, places.area));
            let left = self.area_counts()[places.area.index()].available + own;
            if share.left > left {
                lacking.push((places.area, share.held + share.sold + left));
            }
        }
        if lacking.is_empty() { Ok(()) } else { Err(Refusal::NotEnoughPlaces { areas: lacking }) }
    }

    pub(super) fn release_allotment(&self, id: &AllotmentId) -> Decision {
        let terms = self.allotment(id).ok_or(Refusal::NoSuchAllotment)?;
        Ok(Some(self.released(&terms)))
    }

    /// Makes the event that releases an allotment: it names what is left.
    pub(super) fn released(&self, terms: &AllotmentTerms) -> Event {
        let all = self.allotments.as_ref().expect("only what stands is released");
        let (mark, _) = all.find(&terms.id).expect("only what stands is released");
        let seats = terms.seats.iter().filter(|seat| self.owners[seat.index()] == mark).copied().collect();

        let left = |places: &AsidePlaces| AsidePlaces { count: all.left_in(mark, places.area), ..*places };
        let areas = terms.areas.iter().map(left).filter(|places| places.count > 0).collect();
        Event::AllotmentReleased { id: terms.id.clone(), seats, areas }
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
        let mark = self.set_shares(terms);

        // A seat of it that is held or sold is nobody's to move; it comes back to where it belongs by then.
        let had = |seat: Seat| old.as_ref().is_some_and(|old| old.has(seat));
        let come: Vec<Seat> = terms.seats.iter().filter(|seat| !had(**seat)).copied().collect();
        let gone = old.iter().flat_map(|old| old.seats.iter()).filter(|seat| !terms.has(**seat));
        let gone: Vec<Seat> = gone.filter(|seat| self.owners[seat.index()] == mark).copied().collect();
        self.give(&gone, mark, FREE, SeatStatus::Available);
        self.give(&come, FREE, mark, SeatStatus::Blocked);
    }

    pub(super) fn apply_release(&mut self, id: &AllotmentId, seats: &[Seat], areas: &[AsidePlaces]) {
        let found = self.allotments.as_ref().and_then(|allotments| allotments.find(id));
        let (mark, _) = found.expect("only what stands is released");
        self.give(seats, mark, FREE, SeatStatus::Available);
        for places in areas {
            self.pass_places(mark, *places, SeatStatus::Blocked, SeatStatus::Available);
        }

        let allotments = self.allotments.as_mut().expect("found just now");
        allotments.remove(mark);
        if allotments.is_empty() {
            self.allotments = None;
        }
    }

    /// Returns the owner to whom a seat of a reservation goes back: the allotment that it was taken from, if it still has it.
    pub(super) fn home_of(&self, seat: Seat, allotment: Option<&TakenFrom>) -> Owner {
        let found = allotment.and_then(|from| self.allotments.as_ref()?.source(from));
        found.filter(|(_, terms)| terms.has(seat)).map_or(FREE, |(mark, _)| mark)
    }

    /// Returns the allotment that places of an area go back to: the one that they were taken from, if it still has the area.
    pub(super) fn area_home(&self, area: Area, allotment: Option<&TakenFrom>) -> Owner {
        let found = allotment.and_then(|from| self.allotments.as_ref()?.source(from));
        found.filter(|(_, terms)| terms.has_area(area)).map_or(FREE, |(mark, _)| mark)
    }

    /// Sets an allotment, new or standing, with its shares of areas, and returns its mark: places that nobody has come and go. Of its seats
    /// none is handed over.
    pub(super) fn set_shares(&mut self, terms: &Arc<AllotmentTerms>) -> Owner {
        // What nobody has of the old shares comes back first.
        if let Some(all) = &self.allotments
            && let Some((mark, old)) = all.find(&terms.id)
        {
            let left =
                |places: &AsidePlaces| AsidePlaces { count: all.left_in(mark, places.area), ..*places };
            let left: Vec<AsidePlaces> = old.areas.iter().map(left).collect();
            for places in left {
                self.pass_places(mark, places, SeatStatus::Blocked, SeatStatus::Available);
            }
        }

        let shares = self.shares(terms).into_iter();
        let shares: Box<[_]> = shares.map(|share| share.expect("A1: a share was decided")).collect();
        for (places, share) in terms.areas.iter().zip(&shares) {
            self.give_places(places.area, share.left, SeatStatus::Available, SeatStatus::Blocked);
        }
        self.allotments.get_or_insert_default().set(terms, shares)
    }

    /// Hands places of an area from one status to another, and tells the allotment whose they are.
    fn pass_places(&mut self, mark: Owner, places: AsidePlaces, from: SeatStatus, to: SeatStatus) {
        self.give_places(places.area, places.count, from, to);
        if mark != FREE {
            let allotments = self.allotments.as_mut().expect("a mark is a standing allotment's");
            allotments.pass_places(mark, places, fate_of(from), fate_of(to));
        }
    }

    /// Hands the places of a reservation's areas from one status to another. Where none is named they come from where they belong, or go
    /// back there: to its allotment, or to everyone.
    pub(super) fn give_areas(
        &mut self,
        terms: Option<&Terms>,
        from: Option<SeatStatus>,
        to: Option<SeatStatus>,
    ) {
        let Some(terms) = terms else { return };
        for places in &*terms.areas {
            let mark = self.area_home(places.area, terms.allotment.as_ref());
            let home = if mark == FREE { SeatStatus::Available } else { SeatStatus::Blocked };
            let moved = AsidePlaces { area: places.area, count: places.count };
            self.pass_places(mark, moved, from.unwrap_or(home), to.unwrap_or(home));
        }
    }

    /// Takes what a reservation has from where it belongs, and counts the use of its code.
    pub(super) fn take(&mut self, reservation: &Reservation, status: SeatStatus) {
        self.take_home(&reservation.seats, reservation.number.0, reservation.taken_from(), status);
        self.give_areas(reservation.terms.as_deref(), None, Some(status));
        if let Some(code) = reservation.code() {
            self.codes_mut().use_once(code, reservation.places());
        }
    }

    /// Takes seats for a reservation from where they belong.
    pub(super) fn take_home(
        &mut self,
        seats: &[Seat],
        number: Owner,
        allotment: Option<&TakenFrom>,
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
    pub(super) fn give_home(&mut self, seats: &[Seat], number: Owner, allotment: Option<&TakenFrom>) {
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
                let taken = || self.reservations.get(owner).and_then(Reservation::taken_from);
                assert!(
                    owner == mark || terms.is_source_of(taken()),
                    "a seat of it is left, or was taken from it"
                );
                left += u32::from(owner == mark);
            }
            assert_eq!(left, allotments.left_of(mark), "what is left is counted");
            left_in_all += left;
        }
        let marked = self.owners.iter().filter(|owner| is_mark(**owner)).count();
        assert_eq!(
            u32::try_from(marked),
            Ok(left_in_all),
            "a mark is a standing allotment's, and of its own seats"
        );

        let mut blocked = vec![0; self.area_counts().len()];
        for (mark, terms) in allotments.iter() {
            let counts = allotments.areas_of(mark);
            assert!(counts.iter().copied().map(Some).eq(self.shares(terms)), "A1: a share's counts add up");
            for (places, counts) in terms.areas.iter().zip(counts) {
                blocked[places.area.index()] += counts.left;
                left_in_all += counts.left;
            }
        }
        let of_map = self.area_counts().iter().map(|counts| counts.blocked);
        assert!(of_map.eq(blocked), "A1: blocked places are those that are left in allotments");
        assert_eq!(left_in_all, allotments.left(), "what is left in all is counted");

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

/// Returns what is with a place of an allotment by its status on the map: an available one is everyone's.
const fn fate_of(status: SeatStatus) -> Option<Fate> {
    match status {
        SeatStatus::Available => None,
        SeatStatus::Held => Some(Fate::Held),
        SeatStatus::Reserved => Some(Fate::Sold),
        SeatStatus::Blocked => Some(Fate::Left),
    }
}
