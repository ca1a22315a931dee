//! What a theatre sells besides plain seats, as the model counts it: places of areas, uses of codes, seats of allotments, amounts.
//!
//! Each count here is made anew from the reservations that are seen. What codes and allotments are is [`crate::prepared`]'s to know; who may
//! buy, and when, is [`crate::door`]'s, and what the box office sells [`crate::office`]'s.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most calls have nothing to do with codes and allotments"
)]

use core::iter;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use onsale::domain::ids::{AllotmentId, GradeName, ScheduleId};
use onsale::domain::schedule::allotments::AllotmentTerms;
use onsale::domain::schedule::codes::{CodeTerms, Discount};
use onsale::domain::schedule::terms::{LineKind, PriceType};
use onsale::domain::schedule::{Pick, Reservation, ReservationStatus, Schedule, SeatStatus, Wish};
use onsale::domain::time::Timestamp;
use onsale::domain::venue::Seat;

use crate::book::{Book, KEY_LIFE, Op, SeenSchedule, asked_for};
use crate::calls::{Call, YOUTH};
use crate::documents;
use crate::office;
use crate::prepared::{share_of, taken_from};

impl Book {
    /// Returns the requests that were sent.
    pub(crate) fn sent(&self) -> impl Iterator<Item = &Op> {
        self.ops.iter().filter(|op| !op.nonces.is_empty())
    }

    /// Returns what the hold or the order asked for that made a reservation.
    pub(crate) fn wish_of(&self, kept: &Reservation) -> Option<&Wish> {
        let nonce = asked_for(kept.nonce);
        self.sent().find_map(|op| match &op.call {
            Call::Hold { wish, .. } | Call::Order { wish, .. }
                if op.nonces.iter().any(|(of, _)| *of == nonce) =>
            {
                Some(wish)
            }
            _ => None,
        })
    }

    /// Returns what exchanges of a reservation asked for.
    pub(crate) fn exchanges_of(&self, kept: &Reservation) -> impl Iterator<Item = &Wish> {
        let nonce = kept.nonce;
        self.sent().filter_map(move |op| match &op.call {
            Call::Exchange { reservation, wish, .. } if reservation.nonce == nonce => Some(wish),
            _ => None,
        })
    }

    /// Returns what a reservation can cost: it has one price, but a code may have been defined in several ways.
    pub(crate) fn amounts(&self, schedule: &Schedule, kept: &Reservation) -> Vec<u64> {
        let cost = |discount| self.cost(schedule, kept, discount);
        match (kept.order(), kept.code()) {
            (Some(_), _) => {
                self.order_of(kept).and_then(|sale| office::taken(sale, cost(None)?)).into_iter().collect()
            }
            (None, None) => cost(None).into_iter().collect(),
            (None, Some(code)) => {
                let ever = self.code_ever(schedule.id(), code);
                ever.iter().filter_map(|terms| cost(terms.discount)).collect()
            }
        }
    }

    /// Returns how many places a reservation has, had or was to have.
    pub(crate) fn places_ever(&self, kept: &Reservation) -> impl Iterator<Item = u32> {
        let wished = self.wish_of(kept).into_iter().chain(self.exchanges_of(kept));
        iter::once(places(kept)).chain(wished.map(places_wished))
    }

    /// Tells whether so much of what was paid may go back for a reservation that is cancelled: all but what stays with the house, or all of
    /// it, where nobody chose to give it back.
    pub(crate) fn may_go_back(&self, id: &ScheduleId, kept: &Reservation, amount: u64, back: u64) -> bool {
        let (stays, _) = documents::fees(id, u64::from(places(kept)));
        let cancelled =
            || self.ever_asked(|call| matches!(call, Call::Cancel { schedule } if schedule == id));
        back == amount.saturating_sub(stays) || back == amount && cancelled()
    }

    /// Returns what a reservation costs by the price list; nothing where it has what isn't sold.
    pub(crate) fn cost(
        &self,
        schedule: &Schedule,
        kept: &Reservation,
        discount: Option<Discount>,
    ) -> Option<u64> {
        let id = schedule.id();
        let off = |price: u64| match discount {
            None => 0,
            // Half up: 22 225 won less a tenth is less 2 223.
            Some(Discount::Percent(percent)) => (price * u64::from(percent) + 50) / 100,
            Some(Discount::AmountPerSeat(amount)) => amount.minor(),
        };
        let each = |grade: &str, price_type: &str| {
            let price = documents::price(id, grade, price_type)?;
            Some(price.saturating_sub(off(price)))
        };

        let seats = kept.seats.iter().zip(types_of(schedule, kept));
        let seats = seats.map(|(seat, of)| each(documents::grade_of(&self.setup, *seat), of));
        let areas = kept.terms.iter().flat_map(|terms| &*terms.areas).map(|places| {
            let grade = documents::AREA_GRADES[places.area.index()];
            let price = each(grade, type_of(schedule, places.price_type))?;
            Some(u64::from(places.count) * price)
        });
        let sum = seats.chain(areas).sum::<Option<u64>>()?;
        let (stays, others) = documents::fees(id, u64::from(places(kept)));
        Some(sum + stays + others)
    }

    /// Returns the grades of all that a reservation has.
    pub(crate) fn grades_of(&self, kept: &Reservation) -> BTreeSet<&'static str> {
        let seats = kept.seats.iter().map(|seat| documents::grade_of(&self.setup, *seat));
        seats.chain(area_places(kept).map(|(area, _)| documents::AREA_GRADES[area])).collect()
    }
}

/// Returns the places of areas that a reservation has: which area, and how many.
fn area_places(kept: &Reservation) -> impl Iterator<Item = (usize, u32)> {
    kept.terms.iter().flat_map(|terms| &*terms.areas).map(|places| (places.area.index(), places.count))
}

/// Returns how many places of an area a reservation has.
pub(crate) fn places_in(kept: &Reservation, area: usize) -> u32 {
    area_places(kept).filter(|(of, _)| *of == area).map(|(_, count)| count).sum()
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("few")
}

fn places(kept: &Reservation) -> u32 {
    count(kept.seats.len()) + area_places(kept).map(|(_, count)| count).sum::<u32>()
}

/// Returns how many places a wish asks for.
pub(crate) fn places_wished(wish: &Wish) -> u32 {
    let picked = match &wish.pick {
        Pick::None => 0,
        Pick::Seats(seats) => count(seats.len()),
        Pick::Best(best) => best.count,
    };
    picked + wish.areas.iter().map(|places| places.count).sum::<u32>()
}

/// Returns the name of a price type, as the schedule's list has it now. Where nobody has one, all are adults.
fn type_of(schedule: &Schedule, of: PriceType) -> &str {
    match schedule.prices().map(|prices| (prices.types().is_empty(), prices.type_id(of))) {
        Some((false, id)) => id.map_or("none", |id| id.as_str()),
        Some((true, _)) | None => documents::type_name(false),
    }
}

/// Returns the names of the price types of a reservation's seats.
fn types_of<'a>(schedule: &'a Schedule, kept: &'a Reservation) -> impl Iterator<Item = &'a str> {
    let types = kept.terms.as_ref().map_or(&[][..], |terms| &terms.price_types);
    (0..kept.seats.len()).map(move |place| type_of(schedule, types.get(place).copied().unwrap_or_default()))
}

/// Returns the names of the price types that a reservation has.
fn all_types_of<'a>(schedule: &'a Schedule, kept: &'a Reservation) -> impl Iterator<Item = &'a str> {
    let areas = kept.terms.iter().flat_map(|terms| &*terms.areas);
    types_of(schedule, kept).chain(areas.map(|places| type_of(schedule, places.price_type)))
}

/// Tells whether a reservation has what was wished for.
pub(crate) fn is_as_wished(schedule: &Schedule, kept: &Reservation, wish: &Wish) -> bool {
    let named = |of: PriceType| documents::type_name(of == YOUTH);
    let has = || kept.terms.iter().flat_map(|terms| &*terms.areas);
    let has = || has().map(|places| (places.area, type_of(schedule, places.price_type), places.count));
    let wished = || wish.areas.iter().map(|wish| (wish.area, named(wish.price_type), wish.count));
    let seats =
        (0..wish.pick.count()).zip(wish.price_types.iter().copied().chain(iter::repeat(PriceType::DEFAULT)));
    let seats = seats.map(|(_, of)| named(of));

    match &wish.pick {
        // Which they are, the engine says; they may be places of areas.
        Pick::Best(_) => {
            let mut left: BTreeMap<&str, i64> = BTreeMap::new();
            for (of, count) in
                types_of(schedule, kept).map(|of| (of, 1)).chain(has().map(|(_, of, n)| (of, n)))
            {
                *left.entry(of).or_default() += i64::from(count);
            }
            for (of, count) in seats.map(|of| (of, 1)).chain(wished().map(|(_, of, n)| (of, n))) {
                *left.entry(of).or_default() -= i64::from(count);
            }
            left.values().all(|left| *left == 0)
        }
        Pick::Seats(wanted) => {
            kept.seats == *wanted && types_of(schedule, kept).eq(seats) && has().eq(wished())
        }
        Pick::None => kept.seats.is_empty() && has().eq(wished()),
    }
}

/// Looks at all that a schedule sells (A1).
pub(crate) fn check(schedule: &Schedule, seen: &SeenSchedule, book: &mut Book, now: u64) {
    check_areas(schedule, book, now);
    check_codes(schedule, seen, book);
    check_batches(schedule, book);
    check_allotments(schedule, book, now);
    for kept in schedule.reservations().filter(|kept| kept.status.is_live()) {
        check_terms(schedule, kept, book);
        check_lines(schedule, kept, book);
        check_accessible(schedule, kept, book);
    }
}

/// What is available, held, reserved and blocked is what an area has, and never more than that; blocked is what is left in allotments.
pub(crate) fn check_areas(schedule: &Schedule, book: &mut Book, now: u64) {
    let now = now.max(schedule.last_instant().as_millis());
    let capacities = book.setup.areas;
    for (area, capacity) in capacities.into_iter().enumerate() {
        let (mut held, mut reserved) = (0, 0);
        for kept in schedule.reservations() {
            match kept.status {
                ReservationStatus::Held | ReservationStatus::Paying => held += places_in(kept, area),
                ReservationStatus::Confirmed => reserved += places_in(kept, area),
                ReservationStatus::Cancelled | ReservationStatus::Released | ReservationStatus::Expired => {}
            }
        }

        let id = schedule.id();
        book.check("A1 area-oversold", held + reserved <= capacity, || {
            format!("area {area} of {id} has {capacity} places, {held} are held and {reserved} reserved")
        });
        let told = schedule.area_counts().get(area).copied().unwrap_or_default();
        let (least, most) = book.places_aside(schedule, area, now);
        let right = (told.held, told.reserved) == (held, reserved)
            && told.available + told.held + told.reserved + told.blocked == capacity
            && (least..=most).contains(&told.blocked);
        book.check("A1 area-counts", right, || {
            let aside = format!("{least} to {most} are left in allotments");
            format!("area {area} of {id} has {capacity} places, {held} are held, {reserved} reserved, {aside}; it is told as {told:?}")
        });
    }
}

/// A code is used by the holds that live with it, and by what was paid for with it, for good.
fn check_codes(schedule: &Schedule, seen: &SeenSchedule, book: &mut Book) {
    let mut own: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    // What was forgotten before anyone saw how it ended: it may have been paid for, with any code.
    let mut unknown = 0;
    for seen in seen.reservations.values() {
        let kept = &seen.kept;
        let may_differ =
            kept.status.has_deadline() || kept.status == ReservationStatus::Expired && kept.payment.is_some();
        if seen.gone && may_differ {
            unknown += 1;
            continue;
        }
        if !kept.status.is_live() && kept.status != ReservationStatus::Cancelled {
            continue;
        }
        let Some(code) = kept.code() else { continue };
        let counted = own.entry(code).or_default();
        counted.0 += 1;
        counted.1 += places(kept);
    }

    let id = schedule.id();
    let mut known = BTreeSet::new();
    for (code, standing, _) in
        schedule.codes().into_iter().flat_map(onsale::domain::schedule::codes::Codes::all)
    {
        let (uses, seats) = own.get(code.as_str()).copied().unwrap_or_default();
        let told = standing.uses;
        let right = if unknown == 0 {
            (told.used, told.seats) == (uses, seats)
        } else {
            told.used >= uses && told.used <= uses + unknown && told.seats >= seats
        };
        book.check("A1 code-uses", right, || {
            format!("code {code} of {id} is told as used {told:?}, and it is {uses} times with {seats} seats: {own:?}")
        });

        let ever = book.code_ever(id, code.as_str());
        let within = |used: u32, max: fn(&CodeTerms) -> Option<u32>| {
            let most = ever.iter().map(|terms| max(terms)).collect::<Option<Vec<u32>>>();
            most.is_none_or(|most| most.into_iter().max().is_none_or(|most| used <= most))
        };
        let right = within(uses, |terms| terms.max_uses) && within(seats, |terms| terms.max_seats);
        book.check("A1 code-overused", right, || {
            format!("code {code} of {id} is used {uses} times with {seats} seats, and is {ever:?}")
        });
        known.insert(code.to_string());
    }

    let unheard = own.keys().find(|code| !known.contains(**code)).map(ToString::to_string);
    book.check("A1 code-unknown", unheard.is_none(), || {
        format!("a hold used {unheard:?}, which {id} doesn't know")
    });
}

/// Codes are generated all or none, and by a key once.
fn check_batches(schedule: &Schedule, book: &mut Book) {
    let id = schedule.id();
    let last = schedule.last_instant().as_millis();
    let made: Vec<(String, usize, usize)> = book
        .sent()
        .filter_map(|op| match &op.call {
            Call::MakeCodes { schedule, prefix, count, .. } if schedule == id => {
                let first = op.nonces.iter().map(|(_, at)| *at).min().unwrap_or_default();
                // A message can wait for as long as the process isn't scheduled, and come when its key is forgotten.
                let once = op.key.is_some() && last < first + KEY_LIFE;
                Some((format!("{prefix}-"), *count, if once { 1 } else { op.nonces.len() }))
            }
            _ => None,
        })
        .collect();
    if made.is_empty() {
        return;
    }

    let all: Vec<String> = schedule
        .codes()
        .into_iter()
        .flat_map(onsale::domain::schedule::codes::Codes::all)
        .map(|(code, ..)| code.to_string())
        .collect();
    for (prefix, count, effects) in made {
        let has = all.iter().filter(|code| code.starts_with(&prefix)).count();
        book.check("I1 codes-twice", has.is_multiple_of(count) && has <= count * effects, || {
            format!("{count} codes {prefix} of {id} were asked for, with {effects} effects at most, and there are {has}")
        });
    }
}

/// The seats of an allotment that stands are left in it, or were taken by its codes; until its release, and no longer than asked for.
fn check_allotments(schedule: &Schedule, book: &mut Book, now: u64) {
    let id = schedule.id();
    if book.is_remade(id) {
        return;
    }
    let now = now.max(schedule.last_instant().as_millis());
    for (allotment, stands) in book.allotments_told(id) {
        // Which of those with its id it is, the engine says.
        let told = schedule.allotment(&allotment).map(|told| AllotmentTerms { life: 0, ..(*told).clone() });
        let Some(terms) = stands else {
            book.check("S3 allotment-back", told.is_none(), || {
                format!("{allotment} of {id} was released, and stands")
            });
            continue;
        };
        // By then it may have been released by time.
        if terms.release_at.is_some_and(|at| at.as_millis() <= now) {
            continue;
        }
        book.check("S3 allotment-gone", told.as_ref() == Some(&*terms), || {
            format!("{allotment} of {id} was set to {terms:?}, and is told as {told:?} at {now}")
        });

        let (mut left, mut held, mut sold) = (0, 0, 0);
        for seat in &*terms.seats {
            let owner =
                schedule.reservations().find(|kept| kept.status.is_live() && kept.seats.contains(seat));
            match owner.map(|owner| owner.status) {
                None => left += 1,
                Some(ReservationStatus::Confirmed) => sold += 1,
                Some(_) => held += 1,
            }
            let right = match owner {
                None => schedule.statuses()[seat.index()] == SeatStatus::Blocked,
                Some(owner) => opens(book, id, owner, &allotment),
            };
            book.check("A1 allotment-seat", right, || {
                format!(
                    "seat {} of {id} is set aside ({terms:?}), is {}, and has {owner:?}",
                    seat.0,
                    schedule.statuses()[seat.index()].as_str()
                )
            });
        }

        for area in 0..book.setup.areas.len() {
            let [of_held, of_sold] = taken_from(schedule, &terms, area);
            let share = share_of(&terms, area);
            if share > 0 {
                (held, sold) = (held + of_held, sold + of_sold);
                left += share.saturating_sub(of_held + of_sold);
            }
        }
        let counts = schedule.allotment_counts(&terms, schedule.last_instant());
        let own = (left + held + sold, held, sold, left);
        book.check(
            "A1 allotment-counts",
            (counts.total, counts.held, counts.sold, counts.left) == own,
            || format!("{allotment} of {id} is told as {counts:?}, and is {own:?}"),
        );
    }
}

/// Tells whether a reservation used a code of an allotment, or was sold from it.
fn opens(book: &Book, id: &ScheduleId, kept: &Reservation, allotment: &AllotmentId) -> bool {
    let of = |terms: &Arc<CodeTerms>| terms.allotment.as_ref() == Some(allotment);
    kept.code().is_some_and(|code| book.code_ever(id, code).iter().any(of))
        || book.order_of(kept).is_some_and(|sale| sale.allotment.as_ref() == Some(allotment))
}

/// A reservation has what was asked for, for what it costs by the price list and its code.
fn check_terms(schedule: &Schedule, kept: &Reservation, book: &mut Book) {
    let id = schedule.id();
    let wishes: Vec<&Wish> = book.wish_of(kept).into_iter().chain(book.exchanges_of(kept)).collect();
    let asked = wishes.iter().any(|wish| is_as_wished(schedule, kept, wish));
    let codes: Vec<Option<&str>> = wishes.iter().map(|wish| wish.code.as_deref()).collect();
    // A hold keeps its code in an exchange that brings none.
    let right = codes.contains(&kept.code());
    let text = format!("{wishes:?}");
    book.check("S5 other-places", asked, || format!("{kept:?} of {id} was asked for as {text}"));
    book.check("A1 code-unasked", right, || {
        format!("{kept:?} of {id} has another code than was brought: {text}")
    });

    let told = schedule.amount_of(kept).minor();
    let own = book.amounts(schedule, kept);
    let right = match (book.order_of(kept), kept.code()) {
        (Some(sale), _) => {
            let from = sale.allotment.as_ref().map(AllotmentId::as_str);
            kept.allotment() == from && kept.order() == Some(&sale.order) && own == [told]
        }
        (None, None) => kept.allotment().is_none() && own == [told],
        (None, Some(code)) => {
            let grades = book.grades_of(kept);
            book.code_ever(id, code).iter().any(|terms| {
                let named = |of: &str| terms.price_types.iter().flatten().any(|named| **named == *of);
                let fits = has_grades(terms.grades.as_deref(), grades.iter().copied())
                    && (terms.price_types.is_none() || all_types_of(schedule, kept).all(named));
                let taken_from = kept.allotment().is_none_or(|from| terms.allotment.as_deref() == Some(from));
                fits && taken_from && book.cost(schedule, kept, terms.discount) == Some(told)
            })
        }
    };
    book.check("M2 other-amount", right, || {
        format!("{kept:?} of {id} costs {told}; by the price list and its code it may be {own:?}")
    });
}

/// The lines of a reservation say what it has, and add up to what it costs.
fn check_lines(schedule: &Schedule, kept: &Reservation, book: &mut Book) {
    let has_tariff = documents::has_tariff(schedule.id());
    let Some(terms) = &kept.terms else {
        return book.check("M2 lines", kept.code().is_none() && !has_tariff, || {
            format!("{kept:?} has a code, or costs fees, and has no lines")
        });
    };
    let of = |kind: LineKind| -> u32 {
        terms.lines.iter().filter(|line| line.kind == kind).map(|line| line.count).sum()
    };
    let (seats, fees) = (count(kept.seats.len()), if has_tariff { places(kept) + 1 } else { 0 });
    // What a clerk takes beyond the prices is a fee more.
    let told = schedule.amount_of(kept).minor();
    let more = kept.order().is_some() && book.cost(schedule, kept, None).is_some_and(|cost| cost < told);
    let each = terms.lines.iter().all(|line| {
        let taken_off = line.kind == LineKind::Discount;
        line.amount == i64::from(line.count) * line.unit_amount && (line.amount < 0) == taken_off
    });
    let sum: i64 = terms.lines.iter().map(|line| line.amount).sum();
    let right = each
        && of(LineKind::Seat) == seats
        && of(LineKind::Seat) + of(LineKind::Area) == places(kept)
        && of(LineKind::Fee) == fees + u32::from(more)
        && u64::try_from(sum) == Ok(told);
    book.check("M2 lines", right, || format!("the lines of {kept:?} don't say what it has and costs"));
}

/// Accessible and companion seats are for those who ask for such, until they are everyone's.
fn check_accessible(schedule: &Schedule, kept: &Reservation, book: &mut Book) {
    let special = documents::special(&book.setup);
    let Some(seat) = kept.seats.iter().find(|seat| special.contains(seat)) else { return };
    let exchanged = book.exchanges_of(kept).next().is_some();
    // Who names seats at the box office has seen them.
    let seen = kept.order().is_some();
    let asked = |wish: &Wish| wish.accessible || seen && matches!(wish.pick, Pick::Seats(_));
    if book.wish_of(kept).is_some_and(asked) || book.exchanges_of(kept).any(asked) {
        return;
    }
    let taken_by = if exchanged { schedule.last_instant() } else { kept.created_at };
    let released = book
        .plans_ever(schedule.id())
        .any(|plan| plan.policy.accessible_release_at.is_some_and(|at| at <= taken_by));
    book.check("A1 accessible-early", released, || {
        format!("seat {} of {} is kept for those who ask for it, and {kept:?} has it", seat.0, schedule.id())
    });
}

/// At rest, nothing that time has brought is still to come.
pub(crate) fn check_rest(schedule: &Schedule, book: &mut Book, now: Timestamp) {
    let id = schedule.id();
    let late = schedule.allotments().into_iter().find(|terms| terms.release_at.is_some_and(|at| at <= now));
    book.check("A1 release-stuck", late.is_none(), || {
        format!("hours later, {late:?} of {id} isn't released at {now}")
    });

    let (open, plan) = (schedule.summary().phase, schedule.plan());
    let by_plan = plan.policy.phases.iter().find(|phase| phase.opens_at <= now && now < phase.closes_at);
    let right = open.as_ref().is_none_or(|open| by_plan.is_some_and(|phase| phase.id == *open));
    book.check("A1 phase-stuck", right, || {
        format!("phase {open:?} of {id} is open at {now}, and isn't by its plan")
    });
}

/// Tells whether a seat is among those that an administrator asked to block.
pub(crate) fn may_be_blocked(book: &Book, id: &ScheduleId, seat: Seat) -> bool {
    book.ever_asked(|call| {
        matches!(call, Call::Block { schedule, seats, free: false } if schedule == id && seats.contains(&seat))
    })
}

/// Tells whether some grades are among those that are named; where none are named, all are.
pub(crate) fn has_grades<'a>(named: Option<&[GradeName]>, mut grades: impl Iterator<Item = &'a str>) -> bool {
    named.is_none_or(|named| grades.all(|grade| named.iter().any(|of| of.as_str() == grade)))
}
