use super::*;

#[test]
fn every_promise_holds_in_every_state_and_everything_happens_somewhere() {
    let mut never: Vec<&str> = SOMETIMES.iter().map(|(name, _)| *name).collect();
    for Walk { name, bounds, steps_max } in WALKS {
        let found = walk(Rules::RIGHT, bounds, steps_max);
        println!("{name}: {} states, {} steps deep", found.states, found.depth);
        assert!(found.broken.is_empty(), "{name}: {:#?}", found.broken);
        assert_eq!(found.is_whole, steps_max == STEPS_MAX, "{name}");
        never.retain(|what| found.never.contains(what));
    }
    assert!(never.is_empty(), "{never:?}");
}

#[test]
fn each_rule_that_is_broken_breaks_a_promise() {
    for control in &CONTROLS {
        let found = walk(control.rules, control.bounds, STEPS_MAX);
        let broken: Vec<_> = found.broken.iter().map(|(promise, _)| *promise).collect();
        println!("{}: {} states, {broken:?}", control.name, found.states);
        assert!(broken.contains(&control.breaks), "{}: {broken:?}", control.name);
    }
}
