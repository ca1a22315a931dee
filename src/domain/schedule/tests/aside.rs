//! Places of areas that are set aside: who gets them, and where they are when. `selling_model` holds the same against a model, at random.

use super::areas::{LAWN, PIT, areas_of, lacking, places, sale};
use super::selling::{code, of_allotment, uses};
use super::*;
use crate::domain::ids::AllotmentId;
use crate::domain::schedule::allotments::{AllotmentTerms, AsidePlaces};
use crate::domain::venue::Area;

impl Sale {
    fn set_places_aside(
        &mut self,
        id: &str,
        seats: &str,
        areas: &[(Area, u32)],
        release_at: Option<Timestamp>,
    ) -> Outcome {
        let areas = areas.iter().map(|&(area, count)| AsidePlaces { area, count });
        let terms = AllotmentTerms {
            id: AllotmentId::parse(id).unwrap(),
            name: id.to_owned(),
            reason: None,
            seats: self.seats(seats),
            areas: areas.collect(),
            release_at,
            life: 0,
        };
        self.ask(&Command::SetAllotment { terms: Arc::new(terms) })
    }

    fn coded_places(&mut self, who: &str, areas: &[(Area, u32)]) -> Result<ReservationRef, Refusal> {
        let wish = Wish { code: Some("SPON".into()), areas: places(areas), ..Wish::default() };
        self.try_wish(who, wish)
    }
}

/// Given 4 of the pit's 7 places set aside, and the code SPON for them.
fn with_the_pit_aside(release_at: Option<Timestamp>) -> Sale {
    let mut sale = sale();
    sale.set_places_aside("sponsor", "", &[(PIT, 4)], release_at).unwrap();
    sale.put_code("SPON", of_allotment("sponsor")).unwrap();
    sale
}

#[test]
fn places_set_aside_are_blocked_for_others_and_their_code_takes_them_alone() {
    let mut sale = with_the_pit_aside(None);
    assert_eq!((sale.counts_of(PIT), sale.counts("sponsor")), ([3, 0, 0, 4], [4, 0, 0, 4]));
    assert_eq!(sale.try_mixed("ann", "", &[(PIT, 4)]), lacking(&[(PIT, 3)]));
    assert_eq!(sale.coded_places("bob", &[(PIT, 5)]), lacking(&[(PIT, 4)]));
    assert_eq!(sale.coded_places("bob", &[(LAWN, 1)]), lacking(&[(LAWN, 0)]), "of nothing else");
    assert_eq!(sale.coded("bob", "A1", "SPON"), sale.unavailable("A1"));

    let held = sale.coded_places("bob", &[(PIT, 3)]).unwrap();
    sale.try_mixed("ann", "", &[(PIT, 3)]).unwrap();
    assert_eq!((sale.counts_of(PIT), sale.counts("sponsor")), ([0, 6, 0, 1], [4, 3, 0, 1]));
    sale.begin_at_once("bob", held, 7).unwrap();
    sale.confirm(held, 7).unwrap();
    assert_eq!((sale.counts_of(PIT), sale.counts("sponsor")), ([0, 3, 3, 1], [4, 0, 3, 1]));
    sale.release("bob", held).unwrap();
    assert_eq!((sale.counts_of(PIT), sale.counts("sponsor")), ([0, 3, 0, 4], [4, 0, 0, 4]));
    assert_eq!(sale.schedule.sellable().available, sale.schedule.counts().available + 4);

    let best = Wish { code: Some("SPON".into()), ..Wish::best(4) };
    let best = sale.try_wish("cat", best).unwrap();
    assert_eq!(areas_of(sale.get(best)), [(PIT, 4)], "the best are of it, too");
}

#[test]
fn places_set_aside_are_released_at_their_instant_whether_or_not_a_timer_fires() {
    let at = after(START, 60_000);
    let mut sale = with_the_pit_aside(Some(at));
    let held = sale.coded_places("bob", &[(PIT, 1)]).unwrap();
    assert_eq!(sale.wait(59_999).try_mixed("ann", "", &[(PIT, 4)]), lacking(&[(PIT, 3)]));
    sale.wait(1).try_mixed("ann", "", &[(PIT, 6)]).unwrap();
    assert_eq!(sale.coded_places("cat", &[(PIT, 1)]), Err(Refusal::CodeInvalid));
    // What was held then is everyone's once it ends.
    sale.release("bob", held).unwrap();
    assert_eq!(sale.counts_of(PIT), [1, 6, 0, 0]);
}

#[test]
fn a_release_tells_the_places_that_are_left() {
    let mut sale = with_the_pit_aside(None);
    sale.coded_places("bob", &[(PIT, 1)]).unwrap();
    let id = AllotmentId::parse("sponsor").unwrap();
    let released = sale.does(&Command::ReleaseAllotment { id: id.clone() });
    let left = AsidePlaces { area: PIT, count: 3 };
    assert_eq!(released, Event::AllotmentReleased { id, seats: [].into(), areas: [left].into() });
    assert_eq!(sale.counts_of(PIT), [6, 1, 0, 0]);
}

#[test]
fn seats_and_places_are_set_aside_all_or_none() {
    let mut sale = sale();
    sale.try_mixed("ann", "A1", &[(PIT, 5)]).unwrap();
    assert_eq!(sale.set_places_aside("one", "A1", &[(PIT, 3)], None), sale.unavailable("A1"));
    assert_eq!(
        sale.set_places_aside("one", "A2", &[(PIT, 3), (LAWN, 4)], None),
        lacking(&[(PIT, 2), (LAWN, 3)])
    );
    assert_eq!(sale.set_places_aside("one", "A2", &[(Area(2), 1)], None), Err(Refusal::UnknownArea));
    assert_eq!(sale.set_places_aside("one", "A2", &[(PIT, 0)], None), Err(Refusal::NoSeats));
    for areas in [[(PIT, 1), (PIT, 1)], [(LAWN, 1), (PIT, 1)]] {
        let refused = sale.set_places_aside("one", "", &areas, None);
        assert!(matches!(refused, Err(Refusal::Unfit { field: "areas", .. })));
    }
    assert_eq!(sale.that_are(SeatStatus::Blocked), "");
    sale.set_places_aside("one", "A2", &[(PIT, 2), (LAWN, 3)], None).unwrap();
    assert_eq!(sale.set_places_aside("one", "A2", &[(PIT, 2), (LAWN, 3)], None), Ok(None));
    assert_eq!((sale.counts_of(PIT), sale.counts_of(LAWN)), ([0, 5, 0, 2], [0, 0, 0, 3]));
    assert_eq!(sale.counts("one"), [6, 0, 0, 6]);
}

#[test]
fn a_share_that_is_set_again_counts_what_is_held_and_sold_of_it() {
    let mut sale = with_the_pit_aside(None);
    let held = sale.coded_places("bob", &[(PIT, 3)]).unwrap();
    let less = sale.set_places_aside("sponsor", "", &[(PIT, 2)], None);
    assert!(matches!(less, Err(Refusal::Unfit { field: "areas", .. })), "three of it are held");
    assert_eq!(
        sale.set_places_aside("sponsor", "", &[(PIT, 8)], None),
        lacking(&[(PIT, 7)]),
        "all there are"
    );
    sale.set_places_aside("sponsor", "", &[(PIT, 7)], None).unwrap();
    assert_eq!((sale.counts_of(PIT), sale.counts("sponsor")), ([0, 3, 0, 4], [7, 3, 0, 4]));
    sale.set_places_aside("sponsor", "", &[(PIT, 3)], None).unwrap();
    assert_eq!((sale.counts_of(PIT), sale.counts("sponsor")), ([4, 3, 0, 0], [3, 3, 0, 0]));

    // Left out, what is held is everyone's at its end; named again, it is the allotment's.
    sale.set_places_aside("sponsor", "A1", &[], None).unwrap();
    assert_eq!(sale.counts("sponsor"), [1, 0, 0, 1]);
    sale.set_places_aside("sponsor", "A1", &[(PIT, 3)], None).unwrap();
    sale.release("bob", held).unwrap();
    assert_eq!((sale.counts_of(PIT), sale.counts("sponsor")), ([4, 0, 0, 3], [4, 0, 0, 4]));
}

#[test]
fn an_exchange_takes_from_the_share_and_gives_back_to_it() {
    let mut sale = with_the_pit_aside(None);
    let held = sale.coded_places("bob", &[(PIT, 3)]).unwrap();
    let exchange = |sale: &mut Sale, count, drops_code| {
        let wish = Wish { areas: places(&[(PIT, count)]), drops_code, ..Wish::default() };
        sale.ask(&Command::Exchange { reservation: held, caller: by("bob"), wish })
    };
    exchange(&mut sale, 4, false).unwrap();
    assert_eq!(exchange(&mut sale, 5, false), lacking(&[(PIT, 4)]));
    exchange(&mut sale, 1, false).unwrap();
    assert_eq!((sale.counts_of(PIT), sale.counts("sponsor")), ([3, 1, 0, 3], [4, 1, 0, 3]));
    // Without its code it takes from everyone's.
    assert_eq!(exchange(&mut sale, 4, true), lacking(&[(PIT, 3)]));
    exchange(&mut sale, 3, true).unwrap();
    assert_eq!((sale.counts_of(PIT), sale.counts("sponsor")), ([0, 3, 0, 4], [4, 0, 0, 4]));
    assert_eq!(sale.uses("SPON"), uses(0, 0));

    // The code has ended: what is held of it may become less, and no more.
    let other = sale.coded_places("cat", &[(PIT, 2)]).unwrap();
    sale.does(&Command::EndCode { code: code("SPON") });
    let exchange = |sale: &mut Sale, count| {
        let wish = Wish { areas: places(&[(PIT, count)]), ..Wish::default() };
        sale.ask(&Command::Exchange { reservation: other, caller: by("cat"), wish })
    };
    assert_eq!(exchange(&mut sale, 3), Err(Refusal::CodeInvalid));
    exchange(&mut sale, 1).unwrap();
    assert_eq!(sale.counts("sponsor"), [4, 1, 0, 3]);
}

#[test]
fn money_that_came_late_takes_places_of_the_share_again() {
    let mut sale = with_the_pit_aside(None);
    let held = sale.coded_places("bob", &[(PIT, 3)]).unwrap();
    sale.begin_at_once("bob", held, 7).unwrap();
    sale.wait(300_000).tick();
    assert_eq!(sale.counts("sponsor"), [4, 0, 0, 4]);
    let other = sale.coded_places("cat", &[(PIT, 2)]).unwrap();
    assert_eq!(sale.confirm(held, 7), lacking(&[(PIT, 2)]), "everyone's places aren't of it");
    sale.release("cat", other).unwrap();
    sale.confirm(held, 7).unwrap();
    assert_eq!((sale.counts_of(PIT), sale.counts("sponsor")), ([3, 0, 3, 1], [4, 0, 3, 1]));
}

#[test]
fn an_allotment_has_nothing_of_one_before_it_that_had_its_id() {
    let mut sale = with_the_pit_aside(None);
    let held = sale.coded_places("bob", &[(PIT, 2)]).unwrap();
    let late = sale.coded_places("dan", &[(PIT, 1)]).unwrap();
    let sold = sale.coded_places("cat", &[(PIT, 1)]).unwrap();
    sale.begin_at_once("cat", sold, 7).unwrap();
    sale.confirm(sold, 7).unwrap();
    sale.begin_at_once("dan", late, 8).unwrap();
    sale.does(&Command::ReleaseAllotment { id: AllotmentId::parse("sponsor").unwrap() });

    // What was held and sold of the first is none of the second's share, and doesn't come back to it.
    sale.set_places_aside("sponsor", "", &[(PIT, 3)], None).unwrap();
    assert_eq!((sale.counts_of(PIT), sale.counts("sponsor")), ([0, 3, 1, 3], [3, 0, 0, 3]));
    sale.release("bob", held).unwrap();
    assert_eq!((sale.counts_of(PIT), sale.counts("sponsor")), ([2, 1, 1, 3], [3, 0, 0, 3]));
    sale.set_places_aside("sponsor", "", &[(PIT, 2)], None).unwrap();
    assert_eq!((sale.counts_of(PIT), sale.counts("sponsor")), ([3, 1, 1, 2], [2, 0, 0, 2]));

    // Money that came late takes again what was the first's: everyone's by now.
    sale.wait(300_000).tick();
    assert_eq!(sale.counts_of(PIT), [4, 0, 1, 2]);
    sale.confirm(late, 8).unwrap();
    assert_eq!((sale.counts_of(PIT), sale.counts("sponsor")), ([3, 0, 2, 2], [2, 0, 0, 2]));

    // The code is for the id, and so for the second.
    let held = sale.coded_places("bob", &[(PIT, 2)]).unwrap();
    assert_eq!((sale.counts_of(PIT), sale.counts("sponsor")), ([3, 2, 2, 0], [2, 2, 0, 0]));
    sale.release("bob", held).unwrap();
    assert_eq!((sale.counts_of(PIT), sale.counts("sponsor")), ([3, 0, 2, 2], [2, 0, 0, 2]));
}
