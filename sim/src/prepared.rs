//! What administrators prepare for a sale, as the model knows it: codes and allotments. They are known from what was asked and answered;
//! where a request is under way, or came to an unknown end, nothing is known until somebody is answered again.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most calls have nothing to do with codes and allotments"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use onsale::domain::ids::{AllotmentId, ScheduleId};
use onsale::domain::schedule::allotments::AllotmentTerms;
use onsale::domain::schedule::codes::{AccessCode, CodeTerms};
use onsale::domain::schedule::{Reservation, ReservationStatus, Schedule};
use onsale::engine::Engine;

use crate::book::{Book, Latest};
use crate::calls::Call;
use crate::selling::places_in;

/// What an administrator prepared, as far as it is known; nothing where requests are under way, or came to an unknown end.
#[derive(Debug, Clone)]
pub(crate) struct Prepared<T> {
    asking: Latest,
    /// What stands, if anything does, and since when that is known.
    known: Option<(Option<T>, u64)>,
}

impl<T> Default for Prepared<T> {
    fn default() -> Self {
        // Before anyone asked, there is nothing.
        Self { asking: Latest::default(), known: Some((None, 0)) }
    }
}

impl<T> Prepared<T> {
    fn send(&mut self, op: usize, first: bool) {
        self.asking.send(op, first);
        self.known = None;
    }

    fn settle(&mut self, op: usize, stands: Option<T>, now: u64) {
        if self.asking.is(op) {
            self.known = Some((stands, now));
        }
    }
}

/// A code that was generated, as its administrator was told.
#[derive(Debug, Clone)]
struct Told {
    code: String,
    terms: Arc<CodeTerms>,
    since: u64,
}

/// What administrators prepared.
#[derive(Debug, Default)]
pub(crate) struct Theatre {
    codes: BTreeMap<(ScheduleId, String), Prepared<Arc<CodeTerms>>>,
    allotments: BTreeMap<(ScheduleId, AllotmentId), Prepared<Arc<AllotmentTerms>>>,
    generated: BTreeMap<ScheduleId, Vec<Told>>,
}

impl Book {
    /// Notes that a request is being sent that prepares something.
    pub(crate) fn send_prepared(&mut self, op: usize, first: bool, call: &Call) {
        let theatre = &mut self.theatre;
        if let Call::PutCode { schedule, code, .. } | Call::EndCode { schedule, code } = call {
            let key = (schedule.clone(), code.clone());
            theatre.codes.entry(key).or_default().send(op, first);
        }
        if let Call::SetAside { schedule, terms } = call {
            let key = (schedule.clone(), terms.id.clone());
            theatre.allotments.entry(key).or_default().send(op, first);
        }
        if let Call::GiveBack { schedule, id } = call {
            theatre.allotments.entry((schedule.clone(), id.clone())).or_default().send(op, first);
        }
    }

    /// What was acknowledged last stands.
    pub(crate) fn settle_prepared(&mut self, op: usize, call: &Call, now: u64) {
        let theatre = &mut self.theatre;
        if let Call::PutCode { schedule, code, terms } = call
            && let Some(kept) = theatre.codes.get_mut(&(schedule.clone(), code.clone()))
        {
            kept.settle(op, Some(Arc::clone(terms)), now);
        }
        if let Call::EndCode { schedule, code } = call
            && let Some(kept) = theatre.codes.get_mut(&(schedule.clone(), code.clone()))
        {
            kept.settle(op, None, now);
        }
        if let Call::SetAside { schedule, terms } = call
            && let Some(kept) = theatre.allotments.get_mut(&(schedule.clone(), terms.id.clone()))
        {
            kept.settle(op, Some(Arc::clone(terms)), now);
        }
        if let Call::GiveBack { schedule, id } = call
            && let Some(kept) = theatre.allotments.get_mut(&(schedule.clone(), id.clone()))
        {
            kept.settle(op, None, now);
        }
    }

    /// Codes that were told are there, all of them, and new.
    pub(crate) fn see_codes(&mut self, engine: &Engine, call: &Call, codes: &[AccessCode], now: u64) {
        let Call::MakeCodes { schedule, prefix, count, terms } = call else { return };
        let texts: BTreeSet<&str> = codes.iter().map(AccessCode::as_str).collect();
        let begins = format!("{prefix}-");
        let right = texts.len() == *count && texts.iter().all(|text| text.starts_with(&begins));
        self.check("A1 codes-told", right, || {
            format!("{count} codes of {prefix} were asked for, and told: {texts:?}")
        });

        let Some(entry) = engine.schedule(schedule) else { return };
        let unseen = {
            let kept = entry.read();
            let all: BTreeSet<String> = kept
                .codes()
                .into_iter()
                .flat_map(onsale::domain::schedule::codes::Codes::all)
                .map(|(code, ..)| code.to_string())
                .collect();
            texts.iter().find(|text| !all.contains(**text)).map(ToString::to_string)
        };
        self.check("V1 codes-unseen", unseen.is_none() || self.is_remade(schedule), || {
            format!("code {unseen:?} of {schedule} was told, and nobody sees it")
        });

        let generated = self.theatre.generated.entry(schedule.clone()).or_default();
        for text in texts {
            if !generated.iter().any(|told| told.code == text) {
                generated.push(Told { code: text.to_owned(), terms: Arc::clone(terms), since: now });
            }
        }
    }

    /// Returns the codes that were generated and told.
    pub(crate) fn told_codes(&self, id: &ScheduleId) -> Vec<String> {
        self.theatre.generated.get(id).into_iter().flatten().map(|told| told.code.clone()).collect()
    }

    /// Returns what a code is, if it is one, and since when that is known.
    pub(crate) fn code_known(&self, id: &ScheduleId, code: &str) -> Option<(Option<Arc<CodeTerms>>, u64)> {
        if let Some(kept) = self.theatre.codes.get(&(id.clone(), code.to_owned())) {
            return kept.known.clone();
        }
        let told = self.theatre.generated.get(id).into_iter().flatten().find(|told| told.code == code);
        Some(told.map_or((None, 0), |told| (Some(Arc::clone(&told.terms)), told.since)))
    }

    /// Returns all that a code may ever have been.
    pub(crate) fn code_ever(&self, id: &ScheduleId, code: &str) -> Vec<Arc<CodeTerms>> {
        let put = self.sent().filter_map(|op| match &op.call {
            Call::PutCode { schedule, code: of, terms } if schedule == id && of == code => {
                Some(Arc::clone(terms))
            }
            _ => None,
        });
        let told = self.theatre.generated.get(id).into_iter().flatten().filter(|told| told.code == code);
        put.chain(told.map(|told| Arc::clone(&told.terms))).collect()
    }

    /// Returns how many places of an area are set aside and left, at the least and at the most.
    pub(crate) fn places_aside(&self, schedule: &Schedule, area: usize, now: u64) -> (u32, u32) {
        let (id, capacity) = (schedule.id(), self.setup.areas[area]);
        if self.is_remade(id) {
            return (0, capacity);
        }
        let (mut least, mut most) = (0, 0);
        for kept in self.theatre.allotments.iter().filter(|((of, _), _)| of == id).map(|(_, kept)| kept) {
            let Some((stands, _)) = &kept.known else {
                most = capacity;
                continue;
            };
            let Some(terms) = stands else { continue };
            let [held, sold] = taken_from(schedule, terms, area);
            let left = share_of(terms, area).saturating_sub(held + sold);
            // By then it may have been released by time.
            let is_due = terms.release_at.is_some_and(|at| at.as_millis() <= now);
            (least, most) = (least + if is_due { 0 } else { left }, most + left);
        }
        (least, most.min(capacity))
    }

    /// Returns what an allotment is, if it stands, and since when that is known.
    pub(crate) fn allotment_known(
        &self,
        id: &ScheduleId,
        allotment: &AllotmentId,
    ) -> Option<(Option<Arc<AllotmentTerms>>, u64)> {
        let kept = self.theatre.allotments.get(&(id.clone(), allotment.clone()));
        kept.map_or(Some((None, 0)), |kept| kept.known.clone())
    }

    /// Returns the allotments that are known to stand, whether or not they have been released by time.
    pub(crate) fn allotments_known(&self, id: &ScheduleId) -> impl Iterator<Item = &Arc<AllotmentTerms>> {
        let all = self.theatre.allotments.iter().filter(move |((of, _), _)| of == id);
        all.filter_map(|(_, kept)| kept.known.as_ref()?.0.as_ref())
    }

    /// Returns the allotments of which something is known: what they are, if they stand.
    pub(crate) fn allotments_told(&self, id: &ScheduleId) -> Vec<(AllotmentId, Option<Arc<AllotmentTerms>>)> {
        let all = self.theatre.allotments.iter().filter(|((of, _), _)| of == id);
        all.filter_map(|((_, allotment), kept)| Some((allotment.clone(), kept.known.clone()?.0))).collect()
    }

    /// Returns all that allotments may ever have been.
    pub(crate) fn allotments_ever(&self, id: &ScheduleId) -> impl Iterator<Item = &Arc<AllotmentTerms>> {
        self.sent().filter_map(move |op| match &op.call {
            Call::SetAside { schedule, terms } if schedule == id => Some(terms),
            _ => None,
        })
    }
}

/// Returns how many places of an area belong to an allotment.
pub(crate) fn share_of(terms: &AllotmentTerms, area: usize) -> u32 {
    terms.areas.iter().filter(|places| places.area.index() == area).map(|places| places.count).sum()
}

/// Returns how many places of an area are held and sold that were taken from an allotment.
pub(crate) fn taken_from(schedule: &Schedule, terms: &AllotmentTerms, area: usize) -> [u32; 2] {
    let mut taken = [0, 0];
    let live = schedule.reservations().filter(|kept| kept.status.is_live());
    for kept in live.filter(|kept| is_of(schedule, kept, terms)) {
        taken[usize::from(kept.status == ReservationStatus::Confirmed)] += places_in(kept, area);
    }
    taken
}

/// Tells whether a reservation was taken from the allotment that stands, and not from one that had its id before.
pub(crate) fn is_of(schedule: &Schedule, kept: &Reservation, terms: &AllotmentTerms) -> bool {
    let life = schedule.allotment(&terms.id).map(|told| told.life);
    kept.taken_from().is_some_and(|from| *from.id == *terms.id.as_str() && Some(from.life) == life)
}
