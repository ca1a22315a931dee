//! The phases of a sale: which is open, which comes next, and whether a plan's phases can be.
//!
//! A phase is open from the instant at which it opens up to the one at which it closes, which isn't part of it. Both are told by events
//! ([`super::Event::PhaseOpened`], [`super::Event::PhaseClosed`]) that are due at these instants, as the opening of the general sale
//! is. A reader who can't wait for the event asks the plan.
//!
//! Absent on purpose: codes. A phase says when and what is sold; who may buy is the codes' to say.

use super::policy::{PHASES_MAX, Phase, Plan, USER_SEATS_MAX};
use crate::domain::time::Timestamp;

/// What is wrong with a plan's phases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The field, as the policy's document names it.
    pub field: String,
    /// Why, as the end of a sentence about the field.
    pub why: String,
}

impl Flaw {
    fn of(index: usize, field: &str, why: impl Into<String>) -> Self {
        Self { field: format!("phases[{index}].{field}"), why: why.into() }
    }
}

/// Checks the phases of a plan: each has a time, no two overlap, and all are over before the general sale opens, and before it closes.
///
/// # Errors
/// The first flaw.
pub fn check(plan: &Plan) -> Result<(), Flaw> {
    let phases = &plan.policy.phases;
    if phases.len() > PHASES_MAX {
        return Err(Flaw { field: "phases".into(), why: format!("must be at most {PHASES_MAX}") });
    }

    for (index, phase) in phases.iter().enumerate() {
        if phase.closes_at <= phase.opens_at {
            return Err(Flaw::of(index, "closesAt", "must be later than opensAt"));
        }
        if plan.sales_open_at.is_some_and(|opens| phase.closes_at > opens) {
            return Err(Flaw::of(index, "closesAt", "must not be later than salesOpenAt"));
        }
        if phase.closes_at > plan.closes_at() {
            return Err(Flaw::of(
                index,
                "closesAt",
                "must not be later than salesCloseAt (startsAt if absent)",
            ));
        }
        if phase.seats_per_user_max.is_some_and(|max| !(1..=USER_SEATS_MAX).contains(&max)) {
            let why = format!("must be from 1 to {USER_SEATS_MAX}");
            return Err(Flaw::of(index, "maxSeatsPerUser", why));
        }
        if phase.grades.as_ref().is_some_and(Vec::is_empty) {
            return Err(Flaw::of(index, "grades", "must name a grade, or be left out"));
        }

        for other in &phases[..index] {
            if other.id == phase.id {
                return Err(Flaw::of(index, "phaseId", "comes twice"));
            }
            if phase.opens_at < other.closes_at && other.opens_at < phase.closes_at {
                let why = format!("must not overlap the phase {}", other.id);
                return Err(Flaw::of(index, "opensAt", why));
            }
        }
    }

    Ok(())
}

/// Returns the phase that is open at an instant, if one is.
pub(super) fn open_at(phases: &[Phase], at: Timestamp) -> Option<&Phase> {
    phases.iter().find(|phase| phase.opens_at <= at && at < phase.closes_at)
}

/// Returns the first phase that isn't over at an instant: it is open, or the next to open.
pub(super) fn next_after(phases: &[Phase], at: Timestamp) -> Option<&Phase> {
    phases.iter().filter(|phase| at < phase.closes_at).min_by_key(|phase| phase.opens_at)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::ids::PhaseId;
    use crate::domain::schedule::policy::Policy;

    fn phase(id: &str, opens: u64, closes: u64) -> Phase {
        Phase {
            id: PhaseId::parse(id).unwrap(),
            name: id.to_owned(),
            opens_at: Timestamp::from_millis(opens),
            closes_at: Timestamp::from_millis(closes),
            grades: None,
            seats_per_user_max: None,
        }
    }

    fn plan(sales_open_at: Option<u64>, phases: Vec<Phase>) -> Plan {
        Plan {
            starts_at: Timestamp::from_millis(1_000),
            ends_at: Timestamp::from_millis(2_000),
            sales_open_at: sales_open_at.map(Timestamp::from_millis),
            sales_close_at: None,
            casting: BTreeMap::new(),
            policy: Policy { phases, ..Policy::default() },
        }
    }

    fn flaw(plan: &Plan) -> Option<String> {
        check(plan).err().map(|flaw| flaw.field)
    }

    #[test]
    fn phases_may_touch_each_other_and_the_general_sale_and_stand_in_any_order() {
        let phases = vec![phase("fans", 100, 200), phase("card", 50, 100), phase("last", 200, 500)];
        assert_eq!(flaw(&plan(Some(500), phases.clone())), None);
        assert_eq!(flaw(&plan(None, phases)), None);
        assert_eq!(flaw(&plan(None, Vec::new())), None);
    }

    #[test]
    fn phases_that_cannot_be_are_refused_by_the_field_that_is_wrong() {
        let cases = [
            (vec![phase("a", 100, 100)], "phases[0].closesAt"),
            (vec![phase("a", 100, 501)], "phases[0].closesAt"),
            (vec![phase("a", 100, 200), phase("a", 300, 400)], "phases[1].phaseId"),
            (vec![phase("a", 100, 200), phase("b", 199, 400)], "phases[1].opensAt"),
            (vec![phase("a", 100, 400), phase("b", 200, 300)], "phases[1].opensAt"),
            (vec![phase("a", 200, 300), phase("b", 100, 400)], "phases[1].opensAt"),
        ];
        for (phases, field) in cases {
            assert_eq!(flaw(&plan(Some(500), phases)).as_deref(), Some(field));
        }
        // Where an administrator opens the sale, it must still be over when the sale closes.
        assert_eq!(flaw(&plan(None, vec![phase("a", 100, 1_001)])).as_deref(), Some("phases[0].closesAt"));

        let nothing = Phase { grades: Some(Vec::new()), ..phase("a", 1, 2) };
        assert_eq!(flaw(&plan(None, vec![nothing])).as_deref(), Some("phases[0].grades"));
        let nobody = Phase { seats_per_user_max: Some(0), ..phase("a", 1, 2) };
        assert_eq!(flaw(&plan(None, vec![nobody])).as_deref(), Some("phases[0].maxSeatsPerUser"));
        let many = (0..33).map(|n| phase(&format!("p{n}"), 10 * n + 1, 10 * n + 2)).collect();
        assert_eq!(flaw(&plan(None, many)).as_deref(), Some("phases"));
    }

    #[test]
    fn a_phase_is_open_from_its_first_instant_up_to_the_one_at_which_it_closes() {
        let phases = [phase("b", 300, 400), phase("a", 100, 200)];
        let open = |at| open_at(&phases, Timestamp::from_millis(at)).map(|phase| phase.id.as_str());
        let next = |at| next_after(&phases, Timestamp::from_millis(at)).map(|phase| phase.id.as_str());
        assert_eq!([open(99), open(100), open(199), open(200)], [None, Some("a"), Some("a"), None]);
        assert_eq!([next(99), next(199), next(200), next(399)], [Some("a"), Some("a"), Some("b"), Some("b")]);
        assert_eq!((open(399), next(400)), (Some("b"), None));
    }
}
