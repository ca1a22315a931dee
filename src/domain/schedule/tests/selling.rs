//! Phases, codes and allotments: who may buy what, when, and how often.

use super::*;
use crate::domain::ids::{AllotmentId, PhaseId};
use crate::domain::schedule::allotments::{AllotmentCounts, AllotmentTerms};
use crate::domain::schedule::codes::{AccessCode, CodePrefix, CodeTerms, Discount, NAMED_CODES_MAX, Uses};
use crate::domain::schedule::policy::Phase;

pub(super) fn phase(id: &str, opens: u64, closes: u64) -> Phase {
    Phase {
        id: PhaseId::parse(id).unwrap(),
        name: id.to_owned(),
        opens_at: after(START, opens),
        closes_at: after(START, closes),
        grades: None,
        seats_per_user_max: None,
    }
}

pub(super) fn code(text: &str) -> AccessCode {
    AccessCode::parse(text).unwrap()
}

/// A code's terms: the phases that it opens.
pub(super) fn opens(phases: &[&str]) -> CodeTerms {
    CodeTerms {
        phases: phases.iter().map(|id| PhaseId::parse(id).unwrap()).collect(),
        ..CodeTerms::default()
    }
}

pub(super) fn once(terms: CodeTerms) -> CodeTerms {
    CodeTerms { max_uses: Some(1), ..terms }
}

/// A sale with the phases `fans`, of a minute after a minute, and `card`, of a minute after three; it is general after five.
fn phased() -> Sale {
    let phases = vec![phase("fans", 60_000, 120_000), phase("card", 180_000, 240_000)];
    let policy = Policy { phases, seats_per_user_max: 6, ..Policy::default() };
    Sale::planned(Plan { sales_open_at: Some(after(START, 300_000)), policy, ..plan() })
}

impl Sale {
    pub(super) fn put_code(&mut self, text: &str, terms: CodeTerms) -> Outcome {
        self.ask(&Command::PutCode { code: code(text), terms: Arc::new(terms) })
    }

    pub(super) fn coded(&mut self, who: &str, seats: &str, code: &str) -> Result<ReservationRef, Refusal> {
        let wish = Wish { code: Some(code.into()), ..Wish::seats(self.seats(seats)) };
        self.try_wish(who, wish)
    }

    fn best_coded(&mut self, who: &str, count: u32, code: &str) -> Result<ReservationRef, Refusal> {
        self.try_wish(who, Wish { code: Some(code.into()), ..Wish::best(count) })
    }

    fn exchange_coded(&mut self, who: &str, of: ReservationRef, seats: &str, code: &str) -> Outcome {
        let wish = Wish { code: Some(code.into()), ..Wish::seats(self.seats(seats)) };
        self.ask(&Command::Exchange { reservation: of, caller: by(who), wish })
    }

    /// When an exchange lets go of the code.
    fn exchange_plain(&mut self, who: &str, of: ReservationRef, seats: &str) -> Outcome {
        let wish = Wish { drops_code: true, ..Wish::seats(self.seats(seats)) };
        self.ask(&Command::Exchange { reservation: of, caller: by(who), wish })
    }

    fn costs(&self, of: ReservationRef) -> u64 {
        self.schedule.amount_of(self.get(of)).minor()
    }

    pub(super) fn uses(&self, code: &str) -> Uses {
        self.schedule.codes().unwrap().find_used(code).unwrap().uses
    }

    pub(super) fn set_aside(&mut self, id: &str, seats: &str, release_at: Option<Timestamp>) -> Outcome {
        let mut seats = self.seats(seats).to_vec();
        seats.sort_unstable();
        let terms = AllotmentTerms {
            id: AllotmentId::parse(id).unwrap(),
            name: id.to_owned(),
            reason: None,
            seats: seats.into(),
            areas: [].into(),
            release_at,
            life: 0,
        };
        self.ask(&Command::SetAllotment { terms: Arc::new(terms) })
    }

    pub(super) fn counts(&self, id: &str) -> [u32; 4] {
        let terms = self.schedule.allotment(id).expect("it stands");
        let AllotmentCounts { total, held, sold, left } = self.schedule.allotment_counts(&terms, self.now);
        [total, held, sold, left]
    }
}

pub(super) fn uses(used: u32, seats: u32) -> Uses {
    Uses { used, seats }
}

pub(super) fn of_allotment(id: &str) -> CodeTerms {
    CodeTerms { allotment: Some(AllotmentId::parse(id).unwrap()), ..CodeTerms::default() }
}

#[test]
fn a_phase_sells_to_those_who_bring_a_code_of_it_from_its_first_instant_to_its_last() {
    let mut sale = phased();
    sale.put_code("FANS", opens(&["fans"])).unwrap();
    sale.put_code("CARD", opens(&["card"])).unwrap();
    sale.put_code("OPEN", CodeTerms::default()).unwrap();

    assert_eq!(sale.wait(59_999).coded("ann", "A1", "FANS"), Err(Refusal::NotOpen));
    assert_eq!(sale.schedule.next_due(), Some(after(START, 60_000)));
    sale.wait(1).coded("ann", "A1", "FANS").unwrap();
    assert_eq!(sale.schedule.summary().status, SaleStatus::Open);
    assert_eq!(sale.schedule.summary().phase, Some(PhaseId::parse("fans").unwrap()));
    assert_eq!(sale.try_hold("bob", "A2"), Err(Refusal::CodeRequired));
    for other in ["CARD", "OPEN", "NONE-SUCH"] {
        assert_eq!(sale.coded("bob", "A2", other), Err(Refusal::CodeInvalid), "{other}");
    }

    sale.wait(59_999).coded("bob", "A2", "FANS").unwrap();
    assert_eq!(
        sale.wait(1).coded("cat", "A3", "FANS"),
        Err(Refusal::NotOpen),
        "between phases it is upcoming"
    );
    assert_eq!(sale.schedule.summary().status, SaleStatus::Upcoming);
    assert_eq!(sale.schedule.summary().phase, None);
    sale.wait(60_000).coded("cat", "A3", "CARD").unwrap();
    assert_eq!(sale.coded("cat", "A4", "FANS"), Err(Refusal::CodeInvalid), "its phase is over");

    sale.wait(120_000).try_hold("cat", "A5").unwrap();
    assert_eq!(sale.schedule.summary().phase, None);
    assert_eq!(sale.coded("cat", "A4", "FANS"), Err(Refusal::CodeInvalid), "it is for no general sale");
    sale.coded("cat", "A4", "OPEN").unwrap();
}

#[test]
fn the_phase_at_an_instant_is_known_before_the_event_that_says_so() {
    let sale = phased();
    let at = |millis| {
        let at = after(START, millis);
        (sale.schedule.sale_at(at), sale.schedule.phase_at(at).map(|phase| phase.id.as_str()))
    };
    assert_eq!(at(59_999), (SaleStatus::Upcoming, None));
    assert_eq!(
        (at(60_000), at(119_999)),
        ((SaleStatus::Open, Some("fans")), (SaleStatus::Open, Some("fans")))
    );
    assert_eq!(at(120_000), (SaleStatus::Upcoming, None));
    assert_eq!((at(180_000), at(300_000)), ((SaleStatus::Open, Some("card")), (SaleStatus::Open, None)));
}

#[test]
fn the_first_phase_binds_the_prices_and_the_general_sale_keeps_them() {
    let mut sale = phased();
    let fans = PhaseId::parse("fans").unwrap();
    let came = sale.wait(60_000).tick();
    assert_eq!(came, [Event::PhaseOpened { phase: fans.clone(), prices: Some(prices(100)) }]);
    assert_eq!(sale.schedule.check_reprice(sale.now), Err(Refusal::PricesFixed));
    assert_eq!(sale.wait(60_000).tick(), [Event::PhaseClosed { phase: fans }]);
    assert_eq!(sale.schedule.check_reprice(sale.now), Err(Refusal::PricesFixed));
    sale.wait(60_000).tick();
    let came = sale.wait(120_000).tick();
    let closed = Event::PhaseClosed { phase: PhaseId::parse("card").unwrap() };
    assert_eq!(came, [closed, Event::SalesOpened { prices: None }]);
}

#[test]
fn a_new_plan_moves_the_phase_that_is_open() {
    let mut sale = phased();
    sale.put_code("FANS", opens(&["fans"])).unwrap();
    sale.wait(60_000).coded("ann", "A1", "FANS").unwrap();

    sale.replan(|plan| plan.policy.phases[0].closes_at = after(START, 150_000)).unwrap();
    sale.wait(80_000).coded("ann", "A2", "FANS").unwrap();
    sale.replan(|plan| plan.policy.phases[0].opens_at = after(START, 145_000)).unwrap();
    assert_eq!(sale.coded("ann", "A3", "FANS"), Err(Refusal::NotOpen), "it opens later now");
    sale.wait(5_000).coded("ann", "A3", "FANS").unwrap();
    sale.replan(|plan| drop(plan.policy.phases.remove(0))).unwrap();
    assert_eq!(sale.coded("ann", "A4", "FANS"), Err(Refusal::NotOpen), "there is none");
    sale.replan(|plan| plan.policy.phases.push(phase("fans", 1_000, 150_000))).unwrap();
    sale.coded("ann", "A4", "FANS").unwrap();
}

#[test]
fn an_administrator_who_opens_or_closes_a_sale_in_a_phase_ends_the_phase() {
    let mut sale = phased();
    sale.put_code("FANS", opens(&["fans"])).unwrap();
    sale.wait(60_000).does(&AnyCommand::Open);
    sale.try_hold("ann", "A1").unwrap();
    assert_eq!(sale.coded("bob", "A2", "FANS"), Err(Refusal::CodeInvalid));

    let mut sale = phased();
    sale.put_code("FANS", opens(&["fans"])).unwrap();
    sale.wait(60_000).does(&Command::Close);
    assert_eq!(sale.coded("bob", "A2", "FANS"), Err(Refusal::NotOpen));
    assert_eq!(sale.wait(300_000).tick(), [], "a closed sale opens by no clock");
}

#[test]
fn a_phase_sells_its_grades_to_so_many_seats_a_user() {
    let mut sale = phased();
    sale.replan(|plan| {
        let grades = Some(vec![GradeName::parse("R").unwrap()]);
        plan.policy.phases[0] =
            Phase { grades, seats_per_user_max: Some(2), ..phase("fans", 60_000, 120_000) };
    })
    .unwrap();
    sale.put_code("FANS", opens(&["fans"])).unwrap();
    sale.wait(60_000);
    assert_eq!(sale.coded("ann", "A1", "FANS"), Err(Refusal::CodeInvalid), "another grade");
    let held = sale.best_coded("ann", 2, "FANS").unwrap();
    assert_eq!(sale.seats_of(held), "B3 B4", "the best of its grades");
    assert_eq!(sale.coded("ann", "B1", "FANS"), Err(Refusal::SeatLimitExceeded { max: 2 }));
    sale.wait(240_000);
    assert!(sale.try_hold("ann", "A1 A2 A3 A4").is_ok(), "in the general sale a user may have six");
}

#[test]
fn a_hold_uses_a_code_once_and_its_end_before_payment_gives_the_use_back() {
    let mut sale = Sale::open();
    sale.put_code("DUET", CodeTerms { max_uses: Some(2), ..CodeTerms::default() }).unwrap();
    let first = sale.coded("ann", "A1 A2", "DUET").unwrap();
    let second = sale.coded("bob", "A3", "DUET").unwrap();
    assert_eq!(sale.uses("DUET"), uses(2, 3));
    assert_eq!(sale.coded("cat", "A4", "DUET"), Err(Refusal::CodeExhausted));

    sale.release("ann", first).unwrap();
    assert_eq!(sale.uses("DUET"), uses(1, 1));
    let third = sale.coded("cat", "A4", "DUET").unwrap();
    // The deadline of the second: without a timer.
    sale.wait(299_999);
    assert_eq!(sale.coded("ann", "A5", "DUET"), Err(Refusal::CodeExhausted));
    sale.begin_at_once("cat", third, 7).unwrap();
    sale.confirm(third, 7).unwrap();
    sale.wait(1).coded("ann", "A5", "DUET").unwrap();
    assert_eq!(sale.status(second), ReservationStatus::Expired);
    assert_eq!(sale.uses("DUET"), uses(2, 2));

    // What was paid for has used it for good.
    sale.release("cat", third).unwrap();
    assert_eq!(sale.status(third), ReservationStatus::Cancelled);
    assert_eq!(sale.coded("cat", "A6", "DUET"), Err(Refusal::CodeExhausted));
}

#[test]
fn a_failed_payment_keeps_the_use_and_the_end_of_its_hold_gives_it_back() {
    let mut sale = Sale::open();
    sale.put_code("SOLO", once(CodeTerms::default())).unwrap();
    let hold = sale.coded("ann", "A1", "SOLO").unwrap();
    sale.begin_at_once("ann", hold, 7).unwrap();
    sale.fail(hold, 7).unwrap();
    assert_eq!(sale.uses("SOLO"), uses(1, 1));
    sale.wait(300_000).tick();
    assert_eq!(sale.uses("SOLO"), uses(0, 0));
}

#[test]
fn money_that_came_late_uses_the_code_again_unless_somebody_else_has() {
    for taken in [false, true] {
        let mut sale = Sale::open();
        sale.put_code("SOLO", once(CodeTerms::default())).unwrap();
        let hold = sale.coded("ann", "A1", "SOLO").unwrap();
        sale.begin_at_once("ann", hold, 7).unwrap();
        sale.wait(300_000).tick();
        if taken {
            sale.coded("bob", "A2", "SOLO").unwrap();
            assert_eq!(sale.confirm(hold, 7), Err(Refusal::CodeExhausted));
        } else {
            sale.confirm(hold, 7).unwrap();
        }
        assert_eq!(sale.uses("SOLO"), uses(1, 1));
    }
}

#[test]
fn a_code_counts_its_seats_and_an_exchange_counts_the_difference() {
    let mut sale = Sale::open();
    sale.put_code("TRIO", CodeTerms { max_seats: Some(3), ..CodeTerms::default() }).unwrap();
    let hold = sale.coded("ann", "A1", "TRIO").unwrap();
    assert_eq!(sale.coded("bob", "A2 A3 A4", "TRIO"), Err(Refusal::CodeExhausted));
    sale.coded("bob", "B1", "TRIO").unwrap();
    sale.exchange("ann", hold, "A1 A2").unwrap();
    assert_eq!(sale.uses("TRIO"), uses(2, 3));
    assert_eq!(sale.exchange("ann", hold, "A1 A2 A3"), Err(Refusal::CodeExhausted));
    sale.exchange("ann", hold, "A6").unwrap();
    assert_eq!(sale.uses("TRIO"), uses(2, 2));
    assert_eq!(sale.get(hold).code(), Some("TRIO"), "an exchange that names none keeps it");
}

#[test]
fn a_code_that_is_defined_anew_takes_no_more_off_what_a_hold_has_already() {
    let off = |percent, more: CodeTerms| CodeTerms { discount: Some(Discount::Percent(percent)), ..more };
    let later = CodeTerms { valid_from: Some(after(START, 60_000)), ..CodeTerms::default() };
    let over = CodeTerms { valid_until: Some(START), ..CodeTerms::default() };
    let elsewhere = CodeTerms { grades: Some([].into()), ..CodeTerms::default() };
    for anew in [CodeTerms::default(), later, over, elsewhere, once(CodeTerms::default())] {
        let mut sale = Sale::open();
        sale.put_code("TENTH", off(10, CodeTerms::default())).unwrap();
        let hold = sale.coded("ann", "A1 A2", "TENTH").unwrap();
        assert_eq!(sale.costs(hold), 180);
        sale.put_code("TENTH", off(100, anew)).unwrap();
        assert_eq!(sale.exchange("ann", hold, "A1 A2"), Ok(None));
        sale.exchange("ann", hold, "A2").unwrap();
        assert_eq!(sale.costs(hold), 90);
    }
}

#[test]
fn an_exchange_may_bring_another_code_and_gives_the_old_use_back() {
    let mut sale = Sale::open();
    sale.put_code("SOLO", once(CodeTerms::default())).unwrap();
    sale.put_code("ELSE", once(CodeTerms::default())).unwrap();
    let hold = sale.coded("ann", "A1", "SOLO").unwrap();
    sale.exchange_coded("ann", hold, "A2", "ELSE").unwrap();
    assert_eq!((sale.uses("SOLO"), sale.uses("ELSE")), (uses(0, 0), uses(1, 1)));
    sale.coded("bob", "A1", "SOLO").unwrap();
    assert_eq!(sale.exchange_coded("ann", hold, "A3", "SOLO"), Err(Refusal::CodeExhausted));
    assert_eq!(sale.seats_of(hold), "A2", "the old seats are kept");
    // The same one again changes nothing.
    assert_eq!(sale.exchange_coded("ann", hold, "A2", "ELSE"), Ok(None));
}

#[test]
fn a_code_that_ended_is_over_for_new_holds_and_stands_for_those_that_used_it() {
    let mut sale = Sale::open();
    sale.put_code("DUET", CodeTerms { max_uses: Some(2), ..CodeTerms::default() }).unwrap();
    let hold = sale.coded("ann", "A1", "DUET").unwrap();
    sale.does(&Command::EndCode { code: code("duet") });
    assert_eq!(sale.ask(&Command::EndCode { code: code("DUET") }), Err(Refusal::NoSuchCode));
    assert_eq!(sale.coded("bob", "A2", "DUET"), Err(Refusal::CodeInvalid));
    assert_eq!(sale.exchange("ann", hold, "A1 A2"), Err(Refusal::CodeInvalid), "not for more");

    // Defined anew, it still counts what used it.
    let again = sale.put_code("DUET", once(CodeTerms::default()));
    assert!(matches!(again, Ok(Some(Event::CodePut { created: true, .. }))));
    assert_eq!(sale.coded("bob", "A3", "DUET"), Err(Refusal::CodeExhausted));
    sale.release("ann", hold).unwrap();
    sale.coded("bob", "A3", "DUET").unwrap();
}

/// A code's end: it is ended, its time is over, its phase is, or its allotment.
const ENDS: [&str; 4] = ["code", "time", "phase", "allotment"];

/// Given a hold of A1 and A2 at half the price, whose code is over since.
fn held_with_a_code_that_is_over(end: &str) -> (Sale, ReservationRef) {
    let mut sale = phased();
    let half = CodeTerms { discount: Some(Discount::Percent(50)), ..CodeTerms::default() };
    let is_phase = end == "phase";
    sale.wait(if is_phase { 119_999 } else { 300_000 });
    let at = after(sale.now, 1);
    let terms = match end {
        "code" => half,
        "time" => CodeTerms { valid_until: Some(at), ..half },
        "phase" => CodeTerms { phases: opens(&["fans"]).phases, ..half },
        _ => {
            sale.set_aside("sponsor", "A1 A2 A3", Some(at)).unwrap();
            CodeTerms { allotment: of_allotment("sponsor").allotment, ..half }
        }
    };
    sale.put_code("HALF", once(terms)).unwrap();
    let held = sale.coded("ann", "A1 A2", "HALF").unwrap();
    assert_eq!(sale.costs(held), 100);
    sale.wait(1);
    if is_phase {
        // The general sale; the hold lives for five minutes.
        sale.wait(180_000);
    }
    if end == "code" {
        sale.does(&Command::EndCode { code: code("HALF") });
    }
    (sale, held)
}

#[test]
fn what_is_over_makes_nothing_cheaper_that_a_hold_has_not_got() {
    for end in ENDS {
        let (mut sale, held) = held_with_a_code_that_is_over(end);
        let invalid = Err(Refusal::CodeInvalid);
        for others in ["A1 A2 A3", "A1 A3", "A4", "A1 A4", "B1"] {
            assert_eq!(sale.exchange("ann", held, others), invalid, "{end}: {others}");
            assert_eq!(sale.exchange_coded("ann", held, others, "HALF"), invalid, "{end}: {others}");
        }
        let wish = Wish::best(1);
        let best = Command::Exchange { reservation: held, caller: by("ann"), wish };
        assert_eq!(sale.ask(&best), invalid, "{end}: the best may be any");
        assert_eq!((sale.seats_of(held).as_str(), sale.costs(held)), ("A1 A2", 100), "{end}");

        // What it lets go of the code for costs what it costs.
        sale.exchange_plain("ann", held, "A1 A4").unwrap_or_else(|refusal| panic!("{end}: {refusal}"));
        assert_eq!((sale.costs(held), sale.get(held).code()), (200, None), "{end}");
        assert_eq!(sale.uses("HALF"), uses(0, 0), "{end}");
    }
}

#[test]
fn what_is_over_takes_nothing_from_a_hold_and_some_of_it_may_go_back() {
    for end in ENDS {
        let (mut sale, held) = held_with_a_code_that_is_over(end);
        let twice = Refusal::RepeatedSeats { seats: sale.seats("A1").to_vec() };
        assert_eq!(sale.exchange("ann", held, "A1 A1"), Err(twice), "{end}");
        sale.exchange("ann", held, "A2").unwrap_or_else(|refusal| panic!("{end}: {refusal}"));
        assert_eq!((sale.seats_of(held).as_str(), sale.costs(held)), ("A2", 50), "{end}");
        assert_eq!((sale.get(held).code(), sale.uses("HALF")), (Some("HALF"), uses(1, 1)), "{end}");
        assert_eq!(sale.exchange("ann", held, "A1 A2"), Err(Refusal::CodeInvalid), "{end}: nor back again");
        assert_eq!(sale.exchange("ann", held, "A2"), Ok(None), "{end}");
        sale.begin_at_once("ann", held, 7).unwrap();
        sale.confirm(held, 7).unwrap();
        assert_eq!(sale.costs(held), 50, "{end}");
    }
}

#[test]
fn a_hold_that_lets_go_of_its_code_has_no_right_to_what_the_code_opened() {
    let mut sale = phased();
    sale.put_code("FANS", opens(&["fans"])).unwrap();
    sale.wait(60_000);
    let held = sale.coded("ann", "A1", "FANS").unwrap();
    assert_eq!(sale.exchange_plain("ann", held, "A2"), Err(Refusal::CodeRequired));

    let mut sale = Sale::open();
    sale.set_aside("sponsor", "A1 A2", None).unwrap();
    sale.put_code("SPON", of_allotment("sponsor")).unwrap();
    let held = sale.coded("ann", "A1 A2", "SPON").unwrap();
    assert_eq!(sale.exchange_plain("ann", held, "A1"), sale.unavailable("A1"), "it is the allotment's");
    sale.exchange_plain("ann", held, "A3").unwrap();
    assert_eq!(sale.that_are(SeatStatus::Blocked), "A1 A2");
}

#[test]
fn seats_may_go_back_that_an_allotment_or_a_smaller_limit_has_no_room_for_any_more() {
    let mut sale = Sale::open_with(|plan| plan.policy.prevent_orphan_seats = true);
    sale.set_aside("sponsor", "A1 A2 A3", None).unwrap();
    sale.put_code("SPON", of_allotment("sponsor")).unwrap();
    let held = sale.coded("ann", "A1 A2 A3", "SPON").unwrap();
    sale.set_aside("sponsor", "A1", None).unwrap();
    sale.replan(|plan| plan.policy.seats_per_user_max = 1).unwrap();
    sale.exchange("ann", held, "A1 A2").unwrap();
    assert_eq!(sale.that_are(SeatStatus::Blocked), "");
    assert_eq!(sale.that_are(SeatStatus::Available), "A3 A4 A5 A6 B1 B2 B3 B4 B5 B6");
}

#[test]
fn a_read_is_exact_at_its_instant_before_the_event_that_says_so() {
    let mut sale = Sale::open();
    sale.put_code("SPON", of_allotment("sponsor")).unwrap_err();
    let release = after(START, 400_000);
    sale.set_aside("sponsor", "A1 A2 A3", Some(release)).unwrap();
    sale.put_code("SPON", of_allotment("sponsor")).unwrap();
    sale.coded("ann", "A1 A2", "SPON").unwrap();
    let due = |sale: &Sale| sale.schedule.uses_due(sale.now).get("SPON").copied().unwrap_or_default();

    sale.wait(299_999);
    assert_eq!((due(&sale), sale.counts("sponsor")), (uses(0, 0), [3, 2, 0, 1]));
    // No timer has fired.
    sale.wait(1);
    assert_eq!((due(&sale), sale.counts("sponsor")), (uses(1, 2), [3, 0, 0, 3]));
    assert_eq!(sale.uses("SPON").without(due(&sale)), uses(0, 0));
    sale.tick();
    assert_eq!((due(&sale), sale.counts("sponsor")), (uses(0, 0), [3, 0, 0, 3]));

    assert!(sale.schedule.allotment_at("sponsor", before(release, 1)).is_some());
    assert!(sale.schedule.allotment_at("sponsor", release).is_none());
    assert_eq!(sale.schedule.check_code(&code("SPON"), before(release, 1)), Ok(()));
    assert_eq!(sale.schedule.check_code(&code("SPON"), release), Err(Refusal::CodeInvalid));
}

#[test]
fn as_many_codes_are_defined_one_by_one_as_there_may_be_and_each_of_them_again() {
    let mut sale = Sale::open();
    let prefix = CodePrefix::parse("fan").unwrap();
    sale.does(&Command::MakeCodes { prefix, terms: Arc::default(), drawn: [7].into() });
    let made = sale.schedule.codes().unwrap().batch(0).unwrap().remove(0);
    for number in 0..NAMED_CODES_MAX {
        let text = format!("CODE-{number}");
        sale.schedule.codes_mut().put(&code(&text), &Arc::default());
    }

    let full = |outcome: Outcome| matches!(outcome, Err(Refusal::Unfit { field: "code", .. }));
    assert!(full(sale.put_code("ONE-MORE", CodeTerms::default())));
    assert!(full(sale.put_code(made.as_str(), once(CodeTerms::default()))), "it would be one by itself");
    sale.does(&Command::EndCode { code: code("CODE-7") });
    assert!(matches!(sale.put_code("CODE-7", CodeTerms::default()), Ok(Some(_))), "it is kept all the same");
    assert!(matches!(sale.put_code("CODE-8", once(CodeTerms::default())), Ok(Some(_))));
}

#[test]
fn prices_stand_from_five_seconds_before_a_phase_however_short_it_is() {
    for length in [1, 1_000, 4_999, 60_000] {
        let phases = vec![phase("fans", 60_000, 60_000 + length)];
        let policy = Policy { phases, ..Policy::default() };
        let sale = Sale::planned(Plan { policy, ..plan() });
        let reprice = |millis| sale.schedule.check_reprice(after(START, millis));
        assert_eq!(reprice(54_999), Ok(()), "{length}");
        for millis in [55_000, 57_500, 60_000, 60_000 + length, 90_000] {
            assert_eq!(reprice(millis), Err(Refusal::PricesFixed), "{length} {millis}");
        }
    }
}

#[test]
fn a_code_is_valid_between_its_instants() {
    let mut sale = Sale::open();
    let (from, until) = (Some(after(START, 1_000)), Some(after(START, 2_000)));
    sale.put_code("HOUR", CodeTerms { valid_from: from, valid_until: until, ..CodeTerms::default() })
        .unwrap();
    assert_eq!(sale.wait(999).coded("ann", "A1", "HOUR"), Err(Refusal::CodeInvalid));
    sale.wait(1).coded("ann", "A1", "HOUR").unwrap();
    sale.wait(999).coded("ann", "A2", "HOUR").unwrap();
    assert_eq!(sale.wait(1).coded("ann", "A3", "HOUR"), Err(Refusal::CodeInvalid));
}

#[test]
fn a_code_of_some_grades_is_for_these_alone() {
    let mut sale = Sale::open();
    let grades = Some([GradeName::parse("R").unwrap()].into());
    sale.put_code("RONLY", CodeTerms { grades, ..CodeTerms::default() }).unwrap();
    assert_eq!(sale.coded("ann", "A1", "RONLY"), Err(Refusal::CodeInvalid));
    let held = sale.best_coded("ann", 1, "RONLY").unwrap();
    assert_eq!(sale.seats_of(held), "B3");
    let vip = sale.schedule.layout().grade("VIP");
    let wish = Wish { code: Some("RONLY".into()), ..Wish::best_of(vip, 1) };
    assert_eq!(sale.try_wish("ann", wish), Err(Refusal::CodeInvalid));
    assert_eq!(sale.exchange("ann", held, "A1"), Err(Refusal::CodeInvalid));
}

#[test]
fn a_discount_is_taken_off_each_seat_and_the_lines_add_up() {
    let mut sale = Sale::open();
    let discount = |discount| CodeTerms { discount: Some(discount), ..CodeTerms::default() };
    sale.put_code("HALF", discount(Discount::Percent(50))).unwrap();
    sale.put_code("LESS", discount(Discount::AmountPerSeat(Money::new(80).unwrap()))).unwrap();
    // VIP is 100, R is 70.
    let half = sale.coded("ann", "A1 A2 B1", "HALF").unwrap();
    assert_eq!(sale.schedule.amount_of(sale.get(half)).minor(), 2 * 50 + 35);
    let less = sale.coded("bob", "A3 B2", "LESS").unwrap();
    assert_eq!(sale.schedule.amount_of(sale.get(less)).minor(), 20, "never under 0");
    sale.exchange("bob", less, "A3 A4").unwrap();
    assert_eq!(sale.schedule.amount_of(sale.get(less)).minor(), 40);
}

#[test]
fn what_a_code_names_must_be_there() {
    let mut sale = phased();
    let field = |outcome: Outcome| match outcome {
        Err(Refusal::Unfit { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(sale.put_code("FANS", opens(&["fanz"]))), "phases");
    assert_eq!(field(sale.put_code("FANS", of_allotment("none"))), "allotmentId");
    let grades = Some([GradeName::parse("S").unwrap()].into());
    assert_eq!(field(sale.put_code("FANS", CodeTerms { grades, ..CodeTerms::default() })), "grades");
    let price_types = Some(["nobody".into()].into());
    assert_eq!(field(sale.put_code("FANS", CodeTerms { price_types, ..CodeTerms::default() })), "priceTypes");
    assert!(matches!(
        sale.put_code("FANS", opens(&["fans"])),
        Ok(Some(Event::CodePut { created: true, .. }))
    ));
    assert_eq!(sale.put_code("FANS", opens(&["fans"])), Ok(None), "it is so already");
    sale.does(&Command::Cancel);
    assert_eq!(sale.put_code("FANS", CodeTerms::default()), Err(Refusal::InvalidTransition));
}

#[test]
fn generated_codes_are_each_used_once() {
    let mut sale = Sale::open();
    let prefix = CodePrefix::parse("fan").unwrap();
    let make = |drawn: Vec<u64>| Command::MakeCodes {
        prefix: prefix.clone(),
        terms: Arc::new(once(CodeTerms::default())),
        drawn: drawn.into(),
    };
    let none = Refusal::Unfit { field: "count", why: "must be from 1 to 10000" };
    assert_eq!(sale.ask(&make(vec![])), Err(none.clone()));
    assert_eq!(sale.ask(&make((0..10_001).collect())), Err(none));
    sale.does(&make(vec![9, 7]));
    let told = sale.schedule.codes().unwrap().batch(0).unwrap();
    let [one, other] = &told[..] else { panic!("two codes") };
    sale.coded("ann", "A1", one.as_str()).unwrap();
    assert_eq!(sale.coded("bob", "A2", one.as_str()), Err(Refusal::CodeExhausted));
    sale.does(&Command::EndCode { code: other.clone() });
    assert_eq!(sale.coded("bob", "A2", other.as_str()), Err(Refusal::CodeInvalid));
    assert_eq!(sale.uses(one.as_str()), uses(1, 1));
    assert_eq!(sale.schedule.codes().unwrap().batch(0).unwrap(), told, "a repeat tells the same");
}

#[test]
fn seats_that_are_set_aside_are_blocked_for_all_but_those_who_bring_a_code_of_them() {
    let mut sale = Sale::open();
    sale.set_aside("sponsor", "A2 A1 B6", None).unwrap();
    sale.put_code("SPON", of_allotment("sponsor")).unwrap();
    assert_eq!(sale.that_are(SeatStatus::Blocked), "A1 A2 B6");
    assert_eq!(sale.try_hold("ann", "A1 A3"), sale.unavailable("A1"));
    assert_eq!(sale.unblock("A1"), sale.unavailable("A1"), "that is the allotment's to release");
    assert_eq!(sale.block("A1"), sale.unavailable("A1"));
    assert_eq!(sale.coded("ann", "A1 A3", "SPON"), sale.unavailable("A3"), "it takes from it alone");

    let hold = sale.coded("ann", "A1", "SPON").unwrap();
    assert_eq!(sale.counts("sponsor"), [3, 1, 0, 2]);
    let best = sale.best_coded("bob", 2, "SPON").unwrap();
    assert_eq!(sale.seats_of(best), "A2 B6");
    assert_eq!(sale.best_coded("cat", 1, "SPON"), Err(Refusal::NotEnoughSeats));
    sale.release("bob", best).unwrap();
    assert_eq!(sale.that_are(SeatStatus::Blocked), "A2 B6", "they are the allotment's again");
    sale.begin_at_once("ann", hold, 7).unwrap();
    sale.confirm(hold, 7).unwrap();
    assert_eq!(sale.counts("sponsor"), [3, 0, 1, 2]);
    sale.release("ann", hold).unwrap();
    assert_eq!(sale.counts("sponsor"), [3, 0, 0, 3]);
}

#[test]
fn an_allotment_is_released_at_its_instant_whether_or_not_a_timer_fires() {
    let mut sale = Sale::open();
    let at = after(START, 60_000);
    sale.set_aside("sponsor", "A1 A2 A3", Some(at)).unwrap();
    sale.put_code("SPON", of_allotment("sponsor")).unwrap();
    let held = sale.coded("ann", "A1", "SPON").unwrap();
    assert_eq!(sale.schedule.next_due(), Some(at));
    assert_eq!(sale.wait(59_999).try_hold("bob", "A2"), sale.unavailable("A2"));
    assert_eq!(sale.schedule.allotments().len(), 1);
    sale.wait(1).try_hold("bob", "A2").unwrap();
    assert_eq!(sale.schedule.allotments().len(), 0);
    assert_eq!(sale.coded("cat", "A3", "SPON"), Err(Refusal::CodeInvalid));
    assert_eq!(sale.exchange("ann", held, "A1 A3"), Err(Refusal::CodeInvalid), "no more by that code");
    sale.exchange_plain("ann", held, "A1 A3").expect("what was left is everyone's");
    sale.release("ann", held).unwrap();
    assert_eq!(sale.that_are(SeatStatus::Available), "A1 A3 A4 A5 A6 B1 B2 B3 B4 B5 B6");
}

#[test]
fn an_allotment_is_set_all_or_none_and_set_again() {
    let mut sale = Sale::open();
    sale.hold("ann", "A3");
    sale.block("A4").unwrap();
    assert_eq!(sale.set_aside("one", "A1 A3 A4", None), sale.unavailable("A3 A4"));
    assert_eq!(sale.set_aside("one", "", None), Err(Refusal::NoSeats));
    let created = |outcome: Outcome| match outcome {
        Ok(Some(Event::AllotmentSet { created, .. })) => created,
        other => panic!("{other:?}"),
    };
    assert!(created(sale.set_aside("one", "A1 A2", None)));
    assert_eq!(sale.set_aside("one", "A1 A2", None), Ok(None));
    assert_eq!(sale.set_aside("two", "A2", None), sale.unavailable("A2"), "it is another's");
    sale.put_code("UNO1", of_allotment("one")).unwrap();
    let held = sale.coded("bob", "A1", "UNO1").unwrap();

    // What somebody holds leaves it, and is everyone's once the hold ends.
    assert!(!created(sale.set_aside("one", "A2 A5", None)));
    assert_eq!(sale.counts("one"), [2, 0, 0, 2]);
    sale.release("bob", held).unwrap();
    assert_eq!(sale.that_are(SeatStatus::Blocked), "A2 A4 A5");
    assert_eq!(sale.that_are(SeatStatus::Available), "A1 A6 B1 B2 B3 B4 B5 B6");
    let release = AllotmentId::parse("one").unwrap();
    sale.does(&Command::ReleaseAllotment { id: release.clone() });
    assert_eq!(sale.ask(&Command::ReleaseAllotment { id: release }), Err(Refusal::NoSuchAllotment));
    assert_eq!(sale.that_are(SeatStatus::Blocked), "A4");

    let unfit = |outcome: Outcome| matches!(outcome, Err(Refusal::Unfit { field: "releaseAt", .. }));
    let now = sale.now;
    assert!(unfit(sale.set_aside("one", "A1", Some(now))));
    assert!(unfit(sale.set_aside("one", "A1", Some(after(SHOW, DAY)))));
}

#[test]
fn an_allotment_outlives_the_opening_closing_and_cancelling_of_its_sale() {
    let mut sale = Sale::planned(plan());
    let at = after(START, 600_000);
    sale.set_aside("sponsor", "A1 A2", Some(at)).unwrap();
    sale.put_code("SPON", of_allotment("sponsor")).unwrap();
    sale.does(&AnyCommand::Open);
    let held = sale.coded("ann", "A1", "SPON").unwrap();
    sale.begin_at_once("ann", held, 7).unwrap();
    sale.confirm(held, 7).unwrap();
    sale.does(&Command::Close);
    sale.replan(|plan| plan.starts_at = after(SHOW, 1_000)).unwrap();
    assert_eq!(sale.counts("sponsor"), [2, 0, 1, 1]);
    sale.does(&Command::Cancel);
    assert_eq!(sale.counts("sponsor"), [2, 0, 0, 2]);
    assert_eq!(sale.set_aside("other", "B1", None), Err(Refusal::InvalidTransition));
    sale.at(at).tick();
    assert_eq!(sale.schedule.allotments().len(), 0);
}

#[test]
fn seats_set_aside_leave_no_single_seat_alone_among_their_own() {
    let mut sale = Sale::open_with(|plan| plan.policy.prevent_orphan_seats = true);
    sale.set_aside("sponsor", "A2 A3 A4 A5", None).unwrap();
    sale.put_code("SPON", of_allotment("sponsor")).unwrap();
    let orphan = Err(Refusal::OrphanSeats { seats: sale.seats("A2").to_vec() });
    assert_eq!(sale.coded("ann", "A3", "SPON"), orphan);
    sale.coded("ann", "A2", "SPON").unwrap();
    let best = sale.best_coded("bob", 1, "SPON").unwrap();
    assert_eq!(sale.seats_of(best), "A3");
}

#[test]
fn the_door_asks_for_a_code_as_long_as_a_phase_is_open_or_to_come() {
    let mut sale = phased();
    sale.put_code("FANS", once(opens(&["fans"]))).unwrap();
    sale.put_code("CARD", opens(&["card"])).unwrap();
    let early = CodeTerms { valid_from: Some(after(START, 60_000)), ..opens(&["fans"]) };
    sale.put_code("LATER", early).unwrap();
    let door = |sale: &Sale, text: Option<&str>, millis| {
        sale.schedule.check_door(text.map(code).as_ref(), after(START, millis))
    };
    assert_eq!(door(&sale, None, 0), Err(Refusal::CodeRequired), "nobody waits in vain");
    assert_eq!(door(&sale, Some("fans"), 0), Ok(()), "a fan may come early");
    assert_eq!(door(&sale, Some("LATER"), 0), Ok(()), "it is valid once the phase is open");
    assert_eq!(door(&sale, Some("CARD"), 0), Err(Refusal::CodeInvalid));
    assert_eq!(door(&sale, Some("NONE"), 0), Err(Refusal::CodeInvalid));
    assert_eq!(door(&sale, Some("CARD"), 119_999), Err(Refusal::CodeInvalid));
    assert_eq!(door(&sale, Some("CARD"), 120_000), Ok(()));
    assert_eq!(door(&sale, Some("FANS"), 120_000), Err(Refusal::CodeInvalid));
    assert_eq!(door(&sale, None, 239_999), Err(Refusal::CodeRequired));
    assert_eq!(door(&sale, None, 240_000), Ok(()), "what comes next is the general sale");
    sale.wait(60_000).coded("ann", "A1", "FANS").unwrap();
    assert_eq!(door(&sale, Some("FANS"), 60_000), Err(Refusal::CodeExhausted));
}
