//! Who may buy what, and when: the phase that is open, the code that a hold brings, and the allotment that it takes from.
//!
//! A plain hold in the general sale looks at none of it. Absent on purpose: what a code takes off, which is a matter of prices.

use std::sync::Arc;

use super::allotments::AllotmentTerms;
use super::codes::{AccessCode, CodeTerms, Standing};
use super::command::{Refusal, SaleStatus};
use super::policy::Phase;
use super::terms::Line;
use super::{FREE, Owner, Reservation, Schedule, Wish, phases};
use crate::domain::ids::{GradeName, PriceTypeId};
use crate::domain::time::Timestamp;

/// What a hold may take.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Access<'a> {
    /// The phase that is open; in the general sale none is.
    pub(super) phase: Option<&'a Phase>,
    /// The code that is used, and what it means.
    pub(super) code: Option<(&'a Arc<str>, &'a Arc<CodeTerms>)>,
    /// The allotment that it opens, with its mark.
    pub(super) allotment: Option<(Owner, &'a Arc<AllotmentTerms>)>,
    /// What the hold costs, where it is for places that it has already, and for nothing else: its code takes off what it took off.
    pub(super) kept: Option<&'a [Line]>,
}

impl Access<'_> {
    /// Returns the owner that seats are taken from.
    pub(super) fn source(&self) -> Owner {
        self.allotment.map_or(FREE, |(mark, _)| mark)
    }

    /// Tells whether it is for some grades alone.
    pub(super) fn is_narrow(&self) -> bool {
        self.phase.is_some_and(|phase| phase.grades.is_some())
            || self.code.is_some_and(|(_, terms)| terms.grades.is_some())
    }

    /// Tells whether it is for a grade.
    pub(super) fn has_grade(&self, grade: &GradeName) -> bool {
        let of_phase = self.phase.and_then(|phase| phase.grades.as_ref());
        of_phase.is_none_or(|grades| grades.contains(grade))
            && self.code.is_none_or(|(_, terms)| terms.has_grade(grade))
    }

    /// Tells whether it is for a price type; a concert without any has none to name.
    pub(super) fn has_price_type(&self, id: Option<&PriceTypeId>) -> bool {
        self.code.is_none_or(|(_, terms)| terms.has_price_type(id))
    }
}

impl Schedule {
    /// Returns the phase that is open at `now`, whether or not the event that says so has come.
    pub fn phase_at(&self, now: Timestamp) -> Option<&Phase> {
        let general = self.plan.sales_open_at.is_some_and(|at| at <= now);
        let may_be = self.end.is_none() && self.sale == SaleStatus::Upcoming && !general;
        phases::open_at(&self.plan.policy.phases, now).filter(|_| may_be)
    }

    /// Asks whether a new hold could use a code at `now`, as far as that doesn't depend on its seats.
    ///
    /// # Errors
    /// [`Refusal::NotOpen`], [`Refusal::CodeInvalid`], [`Refusal::CodeExhausted`].
    pub fn check_code(&self, code: &AccessCode, now: Timestamp) -> Result<(), Refusal> {
        if self.sale_at(now) != SaleStatus::Open {
            return Err(Refusal::NotOpen);
        }
        self.usable(code.as_str(), self.phase_at(now), now, 1, 1).map(drop)
    }

    /// Asks whether someone may wait for the sale at `now`. As long as a phase is open or to come they bring a code of it, so that nobody
    /// waits in vain; for the general sale they need none.
    ///
    /// # Errors
    /// [`Refusal::CodeRequired`], [`Refusal::CodeInvalid`], [`Refusal::CodeExhausted`].
    pub fn check_door(&self, code: Option<&AccessCode>, now: Timestamp) -> Result<(), Refusal> {
        let general = self.plan.sales_open_at.is_some_and(|at| at <= now);
        let may_be = self.sale == SaleStatus::Upcoming && !general;
        let phase = phases::next_after(&self.plan.policy.phases, now).filter(|_| may_be);

        match (code, phase) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(Refusal::CodeRequired),
            // One who comes early has a code that is valid once the phase is open.
            (Some(code), phase) => {
                let at = phase.map_or(now, |phase| phase.opens_at.max(now));
                self.usable(code.as_str(), phase, at, 1, 1).map(drop)
            }
        }
    }

    /// Finds what a hold may take that brings a code, or none.
    pub(super) fn access<'a>(
        &'a self,
        code: Option<&'a Arc<str>>,
        places: u32,
        now: Timestamp,
    ) -> Result<Access<'a>, Refusal> {
        let phase = self.open_phase()?;
        match (code, phase) {
            (None, None) => Ok(Access::default()),
            (None, Some(_)) => Err(Refusal::CodeRequired),
            (Some(code), phase) => {
                let terms = self.usable(code, phase, now, 1, places)?;
                self.opened_by(phase, code, terms)
            }
        }
    }

    /// Finds what an exchange may take. A hold keeps its code, unless the exchange brings another or lets go of it.
    ///
    /// A code that is kept is for what a new hold could use it for at this instant, and for what the hold has already. So what has ended
    /// (the code, its time, its phase, its allotment) makes nothing cheaper that the hold hasn't got, and takes nothing from it.
    pub(super) fn access_again<'a>(
        &'a self,
        of: &'a Reservation,
        wish: &'a Wish,
        now: Timestamp,
    ) -> Result<Access<'a>, Refusal> {
        let (code, places) = (wish.code.as_ref(), wish.places());
        let own = of.terms.as_ref().and_then(|terms| terms.code.as_ref());
        let kept = own.filter(|own| code.map_or(!wish.drops_code, |code| code == *own));
        let Some(own) = kept else { return self.access(code, places, now) };

        let phase = self.open_phase()?;
        if of.has_all_of(wish) {
            let standing = self.codes.as_ref().and_then(|codes| codes.find_used(own));
            let Standing { terms, .. } = standing.expect("a code is kept as long as a hold uses it");
            let allotment = of.taken_from().and_then(|from| self.allotments.as_ref()?.source(from));
            let lines = of.terms.as_deref().map_or(&[][..], |terms| &terms.lines);
            return Ok(Access { phase, code: Some((own, terms)), allotment, kept: Some(lines) });
        }

        let terms = self.usable(own, phase, now, 0, places.saturating_sub(of.places()))?;
        self.opened_by(phase, own, terms)
    }

    /// Returns the phase that is open, if the sale isn't general.
    fn open_phase(&self) -> Result<Option<&Phase>, Refusal> {
        match (self.sale, &self.phase) {
            (SaleStatus::Open, _) => Ok(None),
            (SaleStatus::Upcoming, Some(open)) => {
                let phase = self.plan.policy.phases.iter().find(|phase| phase.id == *open);
                Ok(Some(phase.expect("a phase that a new plan hasn't got is closed before any decision")))
            }
            (SaleStatus::Upcoming | SaleStatus::Closed | SaleStatus::Cancelled, _) => Err(Refusal::NotOpen),
        }
    }

    /// Finds a code that can be used so many times more, for so many more places.
    fn usable(
        &self,
        code: &str,
        phase: Option<&Phase>,
        at: Timestamp,
        more_uses: u32,
        more_places: u32,
    ) -> Result<&Arc<CodeTerms>, Refusal> {
        let standing = self.codes.as_ref().and_then(|codes| codes.find(code));
        let Standing { terms, uses } = standing.ok_or(Refusal::CodeInvalid)?;
        if !terms.is_for(phase.map(|phase| &phase.id), at) {
            return Err(Refusal::CodeInvalid);
        }
        let closed = |id: &_| self.allotment_at(id, at).is_none();
        if terms.allotment.as_deref().is_some_and(closed) {
            return Err(Refusal::CodeInvalid);
        }
        if terms.has_room(uses, more_uses, more_places) { Ok(terms) } else { Err(Refusal::CodeExhausted) }
    }

    fn opened_by<'a>(
        &'a self,
        phase: Option<&'a Phase>,
        code: &'a Arc<str>,
        terms: &'a Arc<CodeTerms>,
    ) -> Result<Access<'a>, Refusal> {
        let allotment = match &terms.allotment {
            None => None,
            Some(id) => {
                let found = self.allotments.as_ref().and_then(|allotments| allotments.find(id));
                Some(found.ok_or(Refusal::CodeInvalid)?)
            }
        };
        Ok(Access { phase, code: Some((code, terms)), allotment, kept: None })
    }
}
