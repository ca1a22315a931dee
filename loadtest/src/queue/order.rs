//! Who must stand before whom: first come, first served.
//!
//! 1. Positions are 1, 2, 3, …: nobody shares one, and nobody is missing.
//! 2. Whose join was acknowledged before another's was sent stands before that other. (Of two that overlapped, either may.)
//! 3. Nobody is admitted before someone who stood before them.

use super::crowd::Place;
use crate::book::Faults;

/// Checks rules 1 and 2 of places in the order of their positions.
pub(super) fn check_joins(line: &[(usize, &Place)]) -> Faults {
    let mut faults = Faults::default();
    for ((person, place), expected) in line.iter().zip(1_u32..) {
        if place.position != expected {
            faults.add(format!(
                "user #{person} joined at position {}, and {expected} is nobody's",
                place.position
            ));
            break;
        }
    }

    // From the last backwards: of all behind, the one who was acknowledged first.
    let mut first_behind: Option<&(usize, &Place)> = None;
    for joined in line.iter().rev() {
        let (person, place) = joined;
        if let Some((behind, other)) = first_behind
            && other.acknowledged < place.sent
        {
            faults.add(format!(
                "user #{behind} was acknowledged at position {} before user #{person} asked, who got position {}",
                other.position, place.position
            ));
        }
        if first_behind.is_none_or(|(_, other)| place.acknowledged < other.acknowledged) {
            first_behind = Some(joined);
        }
    }

    faults
}

/// Checks rule 3: positions at joining, each with the instant of admission.
pub(super) fn check_admissions(mut admitted: Vec<(u32, u64)>) -> Faults {
    let mut faults = Faults::default();
    admitted.sort_unstable();
    let mut last = (0, 0);
    for (position, at) in admitted {
        if at < last.1 {
            faults.add(format!(
                "position {position} was admitted {} ms before position {}",
                last.1 - at,
                last.0
            ));
        }
        last = (position, at.max(last.1));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(places: &[(u32, u64, u64)]) -> Vec<String> {
        let place = |(position, sent, acknowledged): &(u32, u64, u64)| Place {
            pass: "p".into(),
            position: *position,
            issued_at: 0,
            sent: *sent,
            acknowledged: *acknowledged,
        };
        let places: Vec<Place> = places.iter().map(place).collect();
        check_joins(&places.iter().enumerate().collect::<Vec<_>>()).first
    }

    #[test]
    fn joins_that_overlap_may_have_any_order_and_others_one() {
        assert_eq!(joined(&[]), [""; 0]);
        assert_eq!(joined(&[(1, 0, 10), (2, 11, 20), (3, 12, 13)]), [""; 0]);
        assert_eq!(joined(&[(1, 9, 20), (2, 0, 10)]), [""; 0]);
        let jumped = joined(&[(1, 11, 20), (2, 0, 10)]);
        assert_eq!(jumped.len(), 1);
        assert!(
            jumped[0].starts_with("user #1 was acknowledged at position 2 before user #0 asked"),
            "{jumped:?}"
        );
        // Not only neighbours are compared.
        assert_eq!(joined(&[(1, 50, 60), (2, 30, 70), (3, 0, 10)]).len(), 2);
    }

    #[test]
    fn a_position_is_one_persons() {
        assert_eq!(
            joined(&[(1, 0, 9), (1, 0, 9), (2, 0, 9)])[0],
            "user #1 joined at position 1, and 2 is nobody's"
        );
        assert_eq!(joined(&[(1, 0, 9), (3, 0, 9)])[0], "user #1 joined at position 3, and 2 is nobody's");
    }

    #[test]
    fn whoever_is_admitted_before_someone_ahead_is_found() {
        assert_eq!(check_admissions(vec![(2, 5), (1, 5), (3, 9)]).count, 0);
        let faults = check_admissions(vec![(1, 5), (2, 9), (3, 7), (4, 8), (5, 9)]);
        assert_eq!(faults.first[0], "position 3 was admitted 2 ms before position 2");
        assert_eq!(faults.count, 2);
    }
}
