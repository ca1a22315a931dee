//! Which places a wish gets: all that it asks for, or none. Seats by their ids, the best seats that are left, places of areas.
//!
//! Owns which seats are kept for visitors with a disability and their companions, and how areas stand beside rows where the best are
//! looked for. Absent on purpose: limits, prices, whether the sale is open; and where the best seats are, which is `search`'s.
//!
//! # The best places
//!
//! Grades go from best to least. A party sits together in the first grade that has room for it: in a row as `search` finds it, else in
//! the first area of the grade. Where no row and no area has room for all, the party is split: in the best grade that alone has enough
//! places, else in all at once. There numbered seats come first where they are enough for all, else areas, the fullest last; both only
//! where neither are.

use core::cmp::Reverse;
use std::sync::Arc;

use super::access::Access;
use super::command::Refusal;
use super::search::FreeSeats;
use super::terms::{AreaPlaces, Best, Pick, PriceType, Wish};
use super::{FREE, Owner, Reservation, Schedule};
use crate::domain::time::Timestamp;
use crate::domain::venue::{Area, Grade, Seat, Seating};

/// The places that a wish gets.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) seats: Arc<[Seat]>,
    pub(super) areas: Vec<AreaPlaces>,
}

/// The accessible seats of a venue and those of companions, as a wish may have them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept<'a> {
    /// Those that it can't have, in order.
    pub(super) seats: &'a [Seat],
    /// Whether it asks for one.
    is_asked_for: bool,
    /// The venue's plan, where it has such seats.
    seating: Option<&'a Seating>,
}

/// Where free places are looked for.
struct Search<'a> {
    free: FreeSeats<'a>,
    /// The areas with the places that they have left, in the venue's order.
    areas: Vec<(Area, u32)>,
    avoid_orphans: bool,
}

impl Schedule {
    /// Says which seats are kept from a wish at `now`.
    pub(super) fn kept_from<'a>(
        &self,
        wish: &Wish,
        now: Timestamp,
        seating: Option<&'a Seating>,
    ) -> Kept<'a> {
        let is_kept = !wish.accessible && self.plan.policy.keeps_accessible(now);
        let seats = seating.filter(|_| is_kept).map_or(&[][..], Seating::special);
        Kept { seats, is_asked_for: wish.accessible, seating }
    }

    /// Finds the places that a wish gets. It may have those of `own`, which are given back in the same step.
    pub(super) fn find(
        &self,
        wish: &Wish,
        own: Option<&Reservation>,
        access: &Access<'_>,
        kept: Kept<'_>,
    ) -> Result<Places, Refusal> {
        match &wish.pick {
            Pick::None => {
                let areas = self.find_in_areas(wish, own, access)?;
                Ok(Places { areas, ..Places::default() })
            }
            Pick::Seats(seats) => {
                self.check_named(seats)?;
                self.check_grades(seats, access)?;
                self.check_free(seats, access.source(), own)?;
                check_kept(seats, own, kept.seats)?;
                Ok(Places { seats: Arc::clone(seats), areas: self.find_in_areas(wish, own, access)? })
            }
            Pick::Best(best) => {
                let areas = self.find_in_areas(wish, own, access)?;
                let mut found = if own.is_none() && access.source() == FREE {
                    self.find_best(best, wish, own, self.free_seats(&self.owners), access, kept)?
                } else {
                    let (owners, free_in_row) = self.seen_from(access.source(), own);
                    let free = FreeSeats { free_in_row: &free_in_row, ..self.free_seats(&owners) };
                    self.find_best(best, wish, own, free, access, kept)?
                };
                found.areas = typed(found.areas, wish.price_types.get(found.seats.len()..));
                found.areas.extend(areas);
                Ok(found)
            }
        }
    }

    /// Finds the places of a wish that its hold has already, so that nothing but their names is looked at.
    pub(super) fn find_own(&self, wish: &Wish) -> Result<Places, Refusal> {
        let seats = match &wish.pick {
            Pick::Seats(seats) => Arc::clone(seats),
            Pick::None | Pick::Best(_) => Arc::default(),
        };
        self.check_named(&seats)?;
        Ok(Places { seats, areas: self.named_areas(wish)? })
    }

    /// Finds the places of areas that a wish names.
    fn find_in_areas(
        &self,
        wish: &Wish,
        own: Option<&Reservation>,
        access: &Access<'_>,
    ) -> Result<Vec<AreaPlaces>, Refusal> {
        let places = self.named_areas(wish)?;
        let grade = |area: Area| &self.layout.grades()[self.layout.areas()[area.index()].grade.index()];
        if !wish.areas.iter().all(|wish| access.has_grade(grade(wish.area))) {
            return Err(Refusal::CodeInvalid);
        }
        self.check_areas(&places, own, |_| access.source())?;
        Ok(places)
    }

    /// Reads the places of areas that a wish names.
    fn named_areas(&self, wish: &Wish) -> Result<Vec<AreaPlaces>, Refusal> {
        let areas = self.area_counts().len();
        if wish.areas.iter().any(|wish| wish.area.index() >= areas) {
            return Err(Refusal::UnknownArea);
        }
        if wish.areas.iter().any(|wish| wish.count == 0) {
            return Err(Refusal::NoSeats);
        }
        let places = wish.areas.iter().map(|wish| AreaPlaces {
            area: wish.area,
            price_type: wish.price_type,
            count: wish.count,
        });
        Ok(places.collect())
    }

    /// Refuses places of areas of which their source has too few left, those of `own` among them.
    pub(super) fn check_areas(
        &self,
        places: &[AreaPlaces],
        own: Option<&Reservation>,
        source: impl Fn(Area) -> Owner,
    ) -> Result<(), Refusal> {
        let mut lacking: Vec<(Area, u32)> = Vec::new();
        for AreaPlaces { area, .. } in places {
            let left = self.left_in(*area, own, source(*area));
            if in_area(places, *area) > left && !lacking.contains(&(*area, left)) {
                lacking.push((*area, left));
            }
        }
        if lacking.is_empty() { Ok(()) } else { Err(Refusal::NotEnoughPlaces { areas: lacking }) }
    }

    /// Returns how many places of an area a source, everyone's places or an allotment's, has left for whoever gives those of `own` back.
    fn left_in(&self, area: Area, own: Option<&Reservation>, source: Owner) -> u32 {
        let left = match &self.allotments {
            Some(allotments) if source != FREE => allotments.left_in(source, area),
            _ => self.area_counts()[area.index()].available,
        };
        let own = own.filter(|own| self.area_home(area, own.taken_from()) == source);
        let own = own.and_then(|own| own.terms.as_deref()).map_or(0, |terms| in_area(&terms.areas, area));
        left + own
    }

    fn find_best(
        &self,
        best: &Best,
        wish: &Wish,
        own: Option<&Reservation>,
        free: FreeSeats<'_>,
        access: &Access<'_>,
        kept: Kept<'_>,
    ) -> Result<Places, Refusal> {
        let ranked = self.ranked(best.grade, &wish.price_types, access)?;
        let part = best.part.as_deref();
        let sections: Vec<bool> = part.map_or_else(Vec::new, |part| {
            self.layout.sections().iter().map(|section| part.has_section(section)).collect()
        });
        let free = FreeSeats { kept: kept.seats, sections: &sections, ..free };

        if kept.is_asked_for {
            let found = kept.seating.and_then(|seating| free.best_accessible(&ranked, best.count, seating));
            let seats = found.ok_or(Refusal::NotEnoughSeats)?.into();
            return Ok(Places { seats, areas: Vec::new() });
        }

        let wished = |area: Area| -> u32 {
            wish.areas.iter().filter(|wish| wish.area == area).map(|wish| wish.count).sum()
        };
        let areas = (0..).map(Area).zip(self.layout.areas());
        let areas = areas.filter(|(_, known)| part.is_none_or(|part| part.has_area(known)));
        let areas =
            areas.map(|(area, _)| (area, self.left_in(area, own, access.source()) - wished(area))).collect();

        let avoid_orphans = self.plan.policy.prevent_orphan_seats;
        let search = Search { free, areas, avoid_orphans };
        search.best(&ranked, best.count).ok_or_else(|| search.refusal(&ranked))
    }

    /// Returns the grades among which the best places are looked for, the best first: those in which all these price types are sold.
    fn ranked(
        &self,
        grade: Option<Grade>,
        price_types: &[PriceType],
        access: &Access<'_>,
    ) -> Result<Vec<Grade>, Refusal> {
        let prices = self.prices.as_ref().expect("an open sale has its prices");
        let open = |grade: &Grade| access.has_grade(&self.layout.grades()[grade.index()]);
        let mut ranked: Vec<Grade> = match grade {
            Some(grade) if grade.index() >= self.layout.grades().len() => return Err(Refusal::UnknownGrade),
            Some(grade) if !open(&grade) => return Err(Refusal::CodeInvalid),
            Some(grade) => vec![grade],
            None => prices.best_first.iter().map(|grade| Grade(*grade)).filter(open).collect(),
        };
        if price_types.is_empty() || ranked.is_empty() {
            return Ok(ranked);
        }

        ranked.retain(|grade| price_types.iter().all(|price_type| prices.of(*grade, *price_type).is_some()));
        if ranked.is_empty() { Err(Refusal::PriceTypeNotSold) } else { Ok(ranked) }
    }
}

impl Search<'_> {
    /// Finds the best places for a party, in the order of the module's documentation; none where too few are left.
    fn best(&self, grades: &[Grade], count: u32) -> Option<Places> {
        if self.areas.is_empty() {
            return self.seats(grades, count);
        }
        self.together(grades, count).or_else(|| self.apart(grades, count))
    }

    /// Says that too few are left: of which areas, where these grades have nothing else there.
    fn refusal(&self, grades: &[Grade]) -> Refusal {
        let areas: Vec<(Area, u32)> = self.areas_of(grades).collect();
        let has_rows = grades.iter().any(|grade| self.free.has_rows_of(*grade));
        if has_rows || areas.is_empty() {
            Refusal::NotEnoughSeats
        } else {
            Refusal::NotEnoughPlaces { areas }
        }
    }

    fn seats(&self, grades: &[Grade], count: u32) -> Option<Places> {
        let seats = self.free.best_available(grades, count, self.avoid_orphans)?;
        Some(Places { seats: seats.into(), areas: Vec::new() })
    }

    fn together(&self, grades: &[Grade], count: u32) -> Option<Places> {
        grades.iter().find_map(|grade| {
            let grade = core::slice::from_ref(grade);
            if let Some(seats) = self.free.best_together(grade, count, self.avoid_orphans) {
                return Some(Places { seats: seats.into(), areas: Vec::new() });
            }
            let (area, _) = self.areas_of(grade).find(|(_, left)| *left >= count)?;
            Some(Places { areas: vec![places_in(area, count)], ..Places::default() })
        })
    }

    fn apart(&self, grades: &[Grade], count: u32) -> Option<Places> {
        grades.chunks(1).chain([grades]).find_map(|grades| {
            let seats = self.free.free_of(grades);
            let seats = u32::try_from(seats).expect("bounded by VENUE_SEATS_MAX");
            let places: u32 = self.areas_of(grades).map(|(_, left)| left).sum();

            if seats >= count {
                return self.seats(grades, count);
            }
            // All seats that are left, where areas alone aren't enough either.
            let seats = if places >= count { 0 } else { seats };
            if seats + places < count {
                return None;
            }
            let found = if seats == 0 { Places::default() } else { self.seats(grades, seats)? };
            Some(Places { areas: self.split(grades, count - seats), ..found })
        })
    }

    /// Splits a party over areas that have enough places together, as few as will do.
    fn split(&self, grades: &[Grade], count: u32) -> Vec<AreaPlaces> {
        let mut areas: Vec<(Area, u32)> = self.areas_of(grades).filter(|(_, left)| *left > 0).collect();
        areas.sort_by_key(|(_, left)| Reverse(*left));

        let mut wanted = count;
        let mut split = Vec::new();
        for (area, left) in areas {
            let taken = left.min(wanted);
            wanted -= taken;
            if taken > 0 {
                split.push(places_in(area, taken));
            }
        }
        assert_eq!(wanted, 0, "the areas have enough places together");
        split
    }

    fn areas_of(&self, grades: &[Grade]) -> impl Iterator<Item = (Area, u32)> {
        let known = self.free.layout.areas();
        self.areas.iter().copied().filter(|(area, _)| grades.contains(&known[area.index()].grade))
    }
}

fn places_in(area: Area, count: u32) -> AreaPlaces {
    AreaPlaces { area, price_type: PriceType::DEFAULT, count }
}

/// Gives places of areas their price types, in the order of both. Places of one area with several types are told apart.
fn typed(areas: Vec<AreaPlaces>, types: Option<&[PriceType]>) -> Vec<AreaPlaces> {
    let Some(mut types) = types.filter(|types| !types.is_empty()) else { return areas };
    let mut told: Vec<AreaPlaces> = Vec::with_capacity(areas.len());
    for AreaPlaces { area, mut count, .. } in areas {
        while let Some(price_type) = types.first().copied().filter(|_| count > 0) {
            let same = types.iter().take_while(|other| **other == price_type).count();
            let same = u32::try_from(same).unwrap_or(u32::MAX).min(count);
            told.push(AreaPlaces { area, price_type, count: same });
            count -= same;
            types = &types[usize::try_from(same).expect("bounded by the slice")..];
        }
        debug_assert_eq!(count, 0, "every place has its type");
    }
    told
}

/// Returns how many of some places are in an area.
fn in_area(places: &[AreaPlaces], area: Area) -> u32 {
    places.iter().filter(|places| places.area == area).map(|places| places.count).sum()
}

/// Refuses seats that are kept for others, but those that are the wish's own already.
fn check_kept(seats: &[Seat], own: Option<&Reservation>, kept: &[Seat]) -> Result<(), Refusal> {
    if kept.is_empty() {
        return Ok(());
    }
    let is_own = |seat: &Seat| own.is_some_and(|own| own.seats.contains(seat));
    let refused = |seat: &&Seat| kept.binary_search(seat).is_ok() && !is_own(seat);
    let refused: Vec<Seat> = seats.iter().filter(refused).copied().collect();
    if refused.is_empty() { Ok(()) } else { Err(Refusal::AccessibleSeats { seats: refused }) }
}
