//! Who may buy what, and when: phases, codes and what they open, accessible seats, releases, each at its exact instant.
//!
//! A hold tells the instant at which it was decided: it is held to the rules of that instant. A refusal was decided between the moment
//! at which it was first asked for and the moment at which it was learned: it is a lie if no instant between them allows it.

use std::sync::Arc;

use onsale::domain::ids::{AllotmentId, ScheduleId, UserId};
use onsale::domain::schedule::allotments::AllotmentTerms;
use onsale::domain::schedule::codes::CodeTerms;
use onsale::domain::schedule::policy::Phase;
use onsale::domain::schedule::terms::PriceType;
use onsale::domain::schedule::{
    Pick, Plan, Refusal, Reservation, ReservationStatus, Schedule, SeatStatus, Wish,
};
use onsale::domain::time::Timestamp;
use onsale::domain::venue::Seat;
use onsale::engine::Engine;

use crate::book::{Book, Op};
use crate::calls::{Call, YOUTH};
use crate::plan::{Moment, PLAY};
use crate::prepared::{is_of, share_of};
use crate::selling::{has_grades, may_be_blocked, places_in, places_wished};
use crate::{documents, words};

/// What a schedule sells, to whom, over the whole of a time.
#[derive(Debug, Clone, Copy)]
enum Regime<'a> {
    Shut,
    Phase(&'a Phase),
    General,
}

/// The time in which a refusal was decided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) since: u64,
    pub(crate) now: u64,
}

/// What a request takes from.
#[derive(Debug)]
pub(crate) enum Source {
    Everyones,
    /// An allotment alone; none, where it isn't known that it stood all the time.
    Allotment(Option<Arc<AllotmentTerms>>),
}

/// Which promise a refusal breaks, and why.
pub(crate) type Lie = (&'static str, &'static str);

impl Book {
    /// Tells whether a schedule's id may be another schedule's by now.
    pub(crate) fn is_remade(&self, id: &ScheduleId) -> bool {
        self.ever_asked(|call| matches!(call, Call::Remove { schedule } if schedule == id))
    }

    /// Returns all plans that a schedule may ever have had.
    pub(crate) fn plans_ever(&self, id: &ScheduleId) -> impl Iterator<Item = &Plan> {
        let asked = self.sent().flat_map(|op| op.call.plans());
        let asked = asked.filter(move |(of, _)| *of == id).filter_map(|(_, plan)| plan);
        self.first_plans.get(id).into_iter().chain(asked)
    }

    /// Returns the plan that stands, where it was known before an instant.
    pub(crate) fn plan_known(&self, id: &ScheduleId, before: u64) -> Option<&Plan> {
        let wanted = self.wanted.get(id)?;
        wanted.plan.as_ref().filter(|_| wanted.since < before)
    }

    /// Returns the plan that stood at an instant; where it isn't known, all that may have.
    pub(crate) fn plans_at(&self, id: &ScheduleId, at: u64) -> Vec<&Plan> {
        self.plan_known(id, at).map_or_else(|| self.plans_ever(id).collect(), |plan| vec![plan])
    }

    /// Returns the next of a schedule's moments, after an instant.
    pub(crate) fn next_moment(&self, id: &ScheduleId, number: u32, moment: Moment, now: u64) -> Option<u64> {
        let plan = self.wanted.get(id).and_then(|wanted| wanted.plan.as_ref());
        let instants: Vec<u64> = match moment {
            Moment::Release => self
                .allotments_known(id)
                .filter_map(|terms| terms.release_at)
                .map(Timestamp::as_millis)
                .collect(),
            Moment::Phase => {
                let phases = plan.into_iter().flat_map(|plan| &plan.policy.phases);
                let phases = phases.flat_map(|phase| [phase.opens_at, phase.closes_at]);
                phases.chain(plan.and_then(|plan| plan.sales_open_at)).map(Timestamp::as_millis).collect()
            }
            Moment::Accessible => plan
                .and_then(|plan| plan.policy.accessible_release_at)
                .map(Timestamp::as_millis)
                .into_iter()
                .collect(),
            Moment::HoldEnd => {
                let seen =
                    self.schedules.get(&number).into_iter().flat_map(|seen| seen.reservations.values());
                let held = seen.filter(|seen| !seen.gone && seen.kept.status == ReservationStatus::Held);
                held.map(|seen| seen.kept.expires_at.as_millis()).collect()
            }
        };
        instants.into_iter().filter(|at| *at > now).min()
    }

    /// A hold that was made could be, at its instant. It is looked at when it is first seen.
    pub(crate) fn check_when(&mut self, schedule: &Schedule, kept: &Reservation) {
        let id = schedule.id();
        let Some(wish) = self.wish_of(kept).cloned() else { return };
        if self.is_remade(id) {
            return;
        }
        if kept.order().is_some() {
            return self.check_sold(schedule, kept);
        }
        let at = kept.created_at;
        let exchanged = self.exchanges_of(kept).next().is_some();
        let plans = self.plans_at(id, at.as_millis());

        let codes: Option<Vec<Arc<CodeTerms>>> =
            wish.code.as_deref().map(|code| match self.code_known(id, code) {
                Some((stands, since)) if since < at.as_millis() => stands.into_iter().collect(),
                Some(_) | None => self.code_ever(id, code),
            });
        let is_valid = |terms: &CodeTerms| {
            terms.valid_from.is_none_or(|from| from <= at) && terms.valid_until.is_none_or(|until| at < until)
        };
        let some_code = |fits: &dyn Fn(&CodeTerms) -> bool| {
            codes.iter().flatten().any(|terms| is_valid(terms) && fits(terms))
        };

        // Once opened, it stays so, whatever the plan says then.
        let opens = |plan: &Plan| plan.sales_open_at.is_some_and(|opens| opens <= at);
        let may_be_open = self.was_opened(id) || self.plans_ever(id).any(opens);
        let general = may_be_open && (codes.is_none() || some_code(&|terms| terms.phases.is_empty()));

        let grades = self.grades_of(kept);
        let sells = |phase: &Phase| {
            let open = phase.opens_at <= at && at < phase.closes_at;
            open && (exchanged || has_grades(phase.grades.as_deref(), grades.iter().copied()))
        };
        let had = self.least_had(schedule, kept) + places_wished(&wish);
        let may_be = |fits: &dyn Fn(u32) -> bool| {
            plans.iter().filter(|plan| at < plan.closes_at()).any(|plan| {
                let max = plan.policy.seats_per_user_max;
                let mut open = plan.policy.phases.iter().filter(|phase| sells(phase));
                let in_phase = open.any(|phase| {
                    fits(phase.seats_per_user_max.unwrap_or(max))
                        && some_code(&|terms| terms.phases.contains(&phase.id))
                });
                general && fits(max) || in_phase
            })
        };

        let (for_sale, within) = (may_be(&|_| true), may_be(&|max| had <= max));
        let text = format!(
            "by the plans {:?}, with the code {codes:?}; its user has {had} places then",
            plans.iter().map(|plan| words::phases(plan)).collect::<Vec<_>>()
        );
        let text = || format!("{kept:?} of {id} was made at {at}, {text}");
        self.check("A1 not-for-sale", for_sale, text);
        self.check("A1 over-limit", within, text);
    }

    /// Returns how many places a reservation's user had when it was made, at the least.
    fn least_had(&self, schedule: &Schedule, kept: &Reservation) -> u32 {
        let at = kept.created_at;
        let lived = |other: &&Reservation| match other.status {
            ReservationStatus::Held | ReservationStatus::Paying => true,
            // It may have expired before, and been confirmed then.
            ReservationStatus::Confirmed | ReservationStatus::Cancelled => {
                other.confirmed_at.is_some_and(|confirmed| confirmed <= at)
                    && other.ended_at.is_none_or(|ended| ended > at)
            }
            ReservationStatus::Released | ReservationStatus::Expired => {
                other.ended_at.is_some_and(|ended| ended > at)
            }
        };
        let others = schedule.reservations().filter(|other| other.number.0 < kept.number.0);
        let others = others.filter(|other| other.user == kept.user).filter(lived);
        others.filter_map(|other| self.places_ever(other).min()).sum()
    }

    /// Returns how many places a user may have had at an instant of a time, at the most.
    fn most_had(&self, schedule: &Schedule, user: &UserId, span: Span) -> u32 {
        let kept = schedule.reservations().filter(|kept| may_have_lived(kept, span));
        let its = self.gone(schedule).chain(kept).filter(|kept| kept.user.as_ref() == Some(user));
        its.filter_map(|kept| self.places_ever(kept).max()).sum()
    }

    /// Returns what was forgotten, as it was last seen.
    fn gone(&self, schedule: &Schedule) -> impl Iterator<Item = &Reservation> {
        let seen = self.schedules.get(&schedule.number().0);
        let gone = seen.into_iter().flat_map(|seen| seen.reservations.values()).filter(|seen| seen.gone);
        gone.map(|seen| &seen.kept)
    }

    /// Tells whether an administrator may have opened a sale.
    fn was_opened(&self, id: &ScheduleId) -> bool {
        *id != documents::schedule_id(PLAY)
            || self.ever_asked(|call| matches!(call, Call::Open { schedule } if schedule == id))
    }

    /// Returns what a schedule sells over the whole of a time; nothing where that isn't known, or changes.
    fn regime(&self, id: &ScheduleId, span: Span) -> Option<Regime<'_>> {
        let Span { since, now } = span;
        let is_moved = self.ever_asked(|call| {
            matches!(call, Call::Close { schedule } | Call::Cancel { schedule } | Call::Remove { schedule } if schedule == id)
        });
        let plan = self.plan_known(id, since)?;
        if is_moved || plan.closes_at().as_millis() <= now {
            return None;
        }
        if *id != documents::schedule_id(PLAY) {
            return Some(Regime::General);
        }

        let opens_at = |plan: &Plan| plan.sales_open_at.map_or(u64::MAX, Timestamp::as_millis);
        if self.was_opened(id) || self.plans_ever(id).any(|other| other != plan && opens_at(other) <= now) {
            return None;
        }
        if opens_at(plan) <= since {
            return Some(Regime::General);
        }
        let within =
            |phase: &&Phase| phase.opens_at.as_millis() <= now && since < phase.closes_at.as_millis();
        match plan.policy.phases.iter().find(within) {
            None if now < opens_at(plan) => Some(Regime::Shut),
            Some(open) if open.opens_at.as_millis() <= since && now < open.closes_at.as_millis() => {
                Some(Regime::Phase(open))
            }
            Some(_) | None => None,
        }
    }

    /// A hold or an order that was refused could not be made, at some instant between the request and the refusal.
    pub(crate) fn check_refusal(&mut self, engine: &Engine, asked: &Op, refusal: &Refusal, now: u64) {
        let (Call::Hold { schedule: id, wish, .. } | Call::Order { schedule: id, wish, .. }) = &asked.call
        else {
            return;
        };
        let Some(entry) = engine.schedule(id) else { return };
        if self.is_remade(id) {
            return;
        }
        // Which attempt is answered isn't known: at the earliest, the first.
        let span = Span { since: asked.nonces.iter().map(|(_, at)| *at).min().unwrap_or(now), now };
        let lie = if let Call::Order { sale, .. } = &asked.call {
            self.lie_of_office(&entry.read(), (wish, sale), refusal, span)
        } else {
            self.lie_of(&entry.read(), asked.call.user(), wish, refusal, span)
        };
        if let Some((promise, why)) = lie {
            let codes = wish.code.as_deref().and_then(|code| self.code_known(id, code));
            let plan = self.plan_known(id, span.since).map(words::phases);
            self.broken(
                promise,
                format!("{id} refused {wish:?} ({refusal:?}) between {} and {now}, and {why}; code {codes:?}, plan {plan:?}", span.since),
            );
        }
    }

    /// Returns what is wrong with a refusal, if anything is.
    fn lie_of(
        &self,
        schedule: &Schedule,
        user: Option<&UserId>,
        wish: &Wish,
        refusal: &Refusal,
        span: Span,
    ) -> Option<Lie> {
        let id = schedule.id();
        if *refusal == Refusal::NotOpen && self.is_on_sale(id, span) {
            return Some(("A1 refused-open", "it is on sale"));
        }
        if *refusal == Refusal::CodeRequired && !self.may_need_code(id, wish, span) {
            return Some(("A1 refused-code", "no code is needed, or one was brought"));
        }
        if *refusal == Refusal::CodeInvalid && self.is_code_right(id, wish, span) {
            return Some(("A1 refused-code", "the code is for this, and for now"));
        }
        if *refusal == Refusal::CodeExhausted && self.has_uses(schedule, wish, span) {
            return Some(("A1 refused-use", "the code has a use left, one that was given back perhaps"));
        }

        if let Refusal::AccessibleSeats { seats } = refusal
            && self.is_everyones(id, wish, seats, span)
        {
            return Some(("A1 accessible-late", "they are everyone's, or such seats were asked for"));
        }
        if let (Refusal::SeatLimitExceeded { max }, Some(user)) = (refusal, user)
            && self.may_have_more(schedule, user, wish, *max, span)
        {
            return Some(("A1 refused-limit", "its user may have as many"));
        }
        self.lie_about_places(schedule, wish, &self.source_of(id, wish, span), refusal, span)
    }

    /// Returns what is wrong with what a refusal says of places, if anything is.
    pub(crate) fn lie_about_places(
        &self,
        schedule: &Schedule,
        wish: &Wish,
        source: &Source,
        refusal: &Refusal,
        span: Span,
    ) -> Option<Lie> {
        if let Refusal::SeatsUnavailable { seats } = refusal {
            if seats.iter().any(|seat| self.was_nobodys(schedule, source, *seat)) {
                return Some(("V1 refusal-untrue", "nobody had one of them"));
            }
            if seats.iter().any(|seat| self.is_given_out(schedule, source, *seat, span)) {
                return Some((
                    "A1 release-late",
                    "an allotment was released by then, or is what it takes from",
                ));
            }
        }
        // What is left for the best places is told without those that are named.
        if let Refusal::NotEnoughPlaces { areas } = refusal
            && !matches!(wish.pick, Pick::Best(_))
            && areas
                .iter()
                .any(|(area, left)| self.is_miscounted(schedule, source, area.index(), *left, span))
        {
            return Some(("V1 area-untrue", "that isn't what everyone saw an area to have left"));
        }
        None
    }

    /// Returns what a hold takes from.
    fn source_of(&self, id: &ScheduleId, wish: &Wish, span: Span) -> Source {
        if !self.may_open_allotment(id, wish) {
            return Source::Everyones;
        }
        let known = wish.code.as_deref().and_then(|code| self.code_known(id, code));
        let terms = known.filter(|(_, since)| *since < span.since).and_then(|(terms, _)| terms);
        Source::Allotment(terms.and_then(|terms| self.standing(id, terms.allotment.as_ref()?, span)))
    }

    /// Returns an allotment that stood over the whole of a time.
    pub(crate) fn standing(
        &self,
        id: &ScheduleId,
        allotment: &AllotmentId,
        span: Span,
    ) -> Option<Arc<AllotmentTerms>> {
        let (terms, since) = self.allotment_known(id, allotment)?;
        let stands = |terms: &Arc<AllotmentTerms>| {
            since < span.since && terms.release_at.is_none_or(|at| span.now < at.as_millis())
        };
        terms.filter(stands)
    }

    /// Tells whether a limit is another than the one that a user has over the whole of a time, or leaves room for what is wished.
    fn may_have_more(&self, schedule: &Schedule, user: &UserId, wish: &Wish, max: u32, span: Span) -> bool {
        let id = schedule.id();
        let general = self.plan_known(id, span.since).map(|plan| plan.policy.seats_per_user_max);
        let limit = match self.regime(id, span) {
            Some(Regime::Phase(phase)) => phase.seats_per_user_max.or(general),
            Some(Regime::General) => general,
            Some(Regime::Shut) | None => None,
        };
        limit.is_some_and(|limit| limit != max)
            || self.most_had(schedule, user, span) + places_wished(wish) <= max
    }

    /// Tells whether a seat that was refused as taken was nobody's, now or ever (V1).
    fn was_nobodys(&self, schedule: &Schedule, source: &Source, seat: Seat) -> bool {
        let had = schedule.statuses()[seat.index()] != SeatStatus::Available
            || schedule.reservations().any(|kept| kept.seats.contains(&seat));
        // A block leaves no trace once it is lifted, nor does an exchange, nor an allotment; and from one no other seats are taken.
        let lifted = |call: &Call| matches!(call, Call::Block { free: true, .. } | Call::Exchange { .. });
        let may_be = matches!(source, Source::Allotment(_))
            || self.ever_asked(lifted)
            || self.allotments_ever(schedule.id()).any(|terms| terms.seats.contains(&seat));
        !had && !may_be
    }

    /// Tells whether a wish may take from an allotment, and from nothing else.
    pub(crate) fn may_open_allotment(&self, id: &ScheduleId, wish: &Wish) -> bool {
        let opens = |terms: &Arc<CodeTerms>| terms.allotment.is_some();
        wish.code.as_deref().is_some_and(|code| self.code_ever(id, code).iter().any(opens))
    }

    fn may_need_code(&self, id: &ScheduleId, wish: &Wish, span: Span) -> bool {
        wish.code.is_none() && !matches!(self.regime(id, span), Some(Regime::General | Regime::Shut))
    }

    fn is_on_sale(&self, id: &ScheduleId, span: Span) -> bool {
        matches!(self.regime(id, span), Some(Regime::Phase(_) | Regime::General))
    }

    /// Tells whether a wish's code is for it, over the whole of a time.
    fn is_code_right(&self, id: &ScheduleId, wish: &Wish, span: Span) -> bool {
        let Span { since, now } = span;
        let Some((Some(terms), known)) = wish.code.as_deref().and_then(|code| self.code_known(id, code))
        else {
            return false;
        };
        let of_phase = match self.regime(id, span) {
            Some(Regime::Phase(phase)) if terms.phases.contains(&phase.id) => phase.grades.as_deref(),
            Some(Regime::General) if terms.phases.is_empty() => None,
            Some(_) | None => return false,
        };
        let valid = terms.valid_from.is_none_or(|from| from.as_millis() <= since)
            && terms.valid_until.is_none_or(|until| now < until.as_millis());
        let grades = self.grades_wished(wish);
        let for_grades = has_grades(terms.grades.as_deref(), grades.iter().copied())
            && has_grades(of_phase, grades.iter().copied());
        let opens =
            terms.allotment.as_ref().is_none_or(|allotment| self.standing(id, allotment, span).is_some());
        let named = |of: &PriceType| {
            let name = documents::type_name(*of == YOUTH);
            terms.price_types.as_ref().is_none_or(|named| named.iter().any(|named| **named == *name))
        };
        let of_areas = wish.areas.iter().map(|places| places.price_type);
        // Where none are named, all are adults.
        let unnamed = wish.price_types.is_empty().then_some(PriceType::DEFAULT);
        let for_types = wish.price_types.iter().copied().chain(of_areas).chain(unnamed).all(|of| named(&of));
        known < since && valid && for_grades && for_types && opens
    }

    /// Returns the grades that a wish names by its seats and areas.
    fn grades_wished(&self, wish: &Wish) -> Vec<&'static str> {
        let areas = wish.areas.iter().map(|wish| documents::AREA_GRADES[wish.area.index()]);
        let seats = if let Pick::Seats(seats) = &wish.pick { &**seats } else { &[] };
        areas.chain(seats.iter().map(|seat| documents::grade_of(&self.setup, *seat))).collect()
    }

    /// Tells whether a code could be used once more, over the whole of a time.
    fn has_uses(&self, schedule: &Schedule, wish: &Wish, span: Span) -> bool {
        let (id, Some(code)) = (schedule.id(), wish.code.as_deref()) else { return true };
        let Some((Some(terms), known)) = self.code_known(id, code) else { return false };
        if self.exchanged_in(id, span) || known >= span.since || terms.max_seats.is_some() {
            return false;
        }

        let gone = self.gone(schedule).filter(|kept| kept.status != ReservationStatus::Released);
        // What was paid for has used it for good.
        let kept = schedule
            .reservations()
            .filter(|kept| kept.status == ReservationStatus::Cancelled || may_have_lived(kept, span));
        let uses = gone.chain(kept).filter(|kept| kept.code() == Some(code)).count();
        let uses = u32::try_from(uses).expect("few");
        terms.max_uses.is_none_or(|max| uses < max)
    }

    /// Tells whether accessible seats were refused that anyone could have.
    fn is_everyones(&self, id: &ScheduleId, wish: &Wish, seats: &[Seat], span: Span) -> bool {
        let special = documents::special(&self.setup);
        let plan = self.plan_known(id, span.since);
        let released = plan.and_then(|plan| plan.policy.accessible_release_at);
        let is_over = released.is_some_and(|at| at.as_millis() <= span.since);
        wish.accessible || is_over || seats.iter().any(|seat| !special.contains(seat))
    }

    /// Tells whether a seat was refused as taken that nobody had, as far as allotments go.
    fn is_given_out(&self, schedule: &Schedule, source: &Source, seat: Seat, span: Span) -> bool {
        let id = schedule.id();
        let set_aside =
            schedule.statuses()[seat.index()] == SeatStatus::Blocked && !may_be_blocked(self, id, seat);
        let had = |kept: &Reservation| kept.seats.contains(&seat) && may_have_lived(kept, span);
        if !set_aside || schedule.reservations().any(had) || self.exchanged_in(id, span) {
            return false;
        }

        match source {
            Source::Everyones => {
                let mut others = self.allotments_ever(id).filter(|terms| terms.seats.contains(&seat));
                !others.any(|terms| terms.release_at.is_none_or(|at| span.since < at.as_millis()))
            }
            Source::Allotment(standing) => standing.as_ref().is_some_and(|terms| terms.seats.contains(&seat)),
        }
    }

    /// Tells whether an area was told to have so many places left, and had others over the whole of a time.
    fn is_miscounted(
        &self,
        schedule: &Schedule,
        source: &Source,
        area: usize,
        left: u32,
        span: Span,
    ) -> bool {
        let id = schedule.id();
        let of = match source {
            Source::Everyones => None,
            Source::Allotment(Some(terms)) => Some(terms),
            Source::Allotment(None) => return false,
        };
        if self.exchanged_in(id, span) {
            return false;
        }

        let its = |kept: &&Reservation| of.is_none_or(|terms| is_of(schedule, kept, terms));
        let kept = schedule.reservations().filter(its).filter(|kept| may_have_lived(kept, span));
        let most: u32 = kept.map(|kept| places_in(kept, area)).sum();
        let lived = |kept: &&Reservation| kept.status.is_live() && kept.created_at.as_millis() < span.since;
        // What is confirmed may have expired before.
        let surely =
            |kept: &&Reservation| kept.status != ReservationStatus::Confirmed || kept.order().is_some();
        let lived = schedule.reservations().filter(its).filter(lived).filter(surely);
        let least: u32 = lived.map(|kept| places_in(kept, area)).sum();

        // What is set aside is nobody's to have, as far as it is left.
        let aside = |terms: &Arc<AllotmentTerms>| {
            share_of(terms, area) > 0 && terms.release_at.is_none_or(|at| span.since < at.as_millis())
        };
        let may_be_fewer = of.is_none() && self.allotments_ever(id).any(aside);
        let capacity = of.map_or(self.setup.areas[area], |terms| share_of(terms, area));
        !may_be_fewer && left + most < capacity || left + least > capacity
    }

    /// Tells whether anything of a schedule may have been exchanged in a time: that leaves no trace of what a hold had before. Whatever was
    /// asked for earlier was done before what is asked for then.
    fn exchanged_in(&self, id: &ScheduleId, span: Span) -> bool {
        let mut exchanges = self
            .ops
            .iter()
            .filter(|op| matches!(&op.call, Call::Exchange { schedule, .. } if schedule == id));
        exchanges.any(|op| op.nonces.iter().any(|(_, at)| *at >= span.since))
    }
}

/// Tells whether a reservation may have had its places at an instant of a time.
fn may_have_lived(kept: &Reservation, span: Span) -> bool {
    match kept.status {
        ReservationStatus::Held | ReservationStatus::Paying | ReservationStatus::Confirmed => true,
        // Whatever is decided from its deadline on, it had ended before. A payment may have moved that.
        ReservationStatus::Expired => kept.expires_at.as_millis() > span.since || kept.deadline_moved,
        ReservationStatus::Released | ReservationStatus::Cancelled => {
            kept.ended_at.is_none_or(|at| at.as_millis() >= span.since)
        }
    }
}
