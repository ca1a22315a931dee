//! Who is admitted and when, how a place ends, what an administrator may change, and what a key answers.

use std::collections::BTreeMap;

use super::naive::{draw, sha256};
use super::*;
use crate::domain::schedule::policy::{Plan, Policy};
use crate::domain::schedule::{Counts, SaleStatus};

/// Given people who joined, one a second, before the room opens in a minute and is drawn then.
fn shuffled(names: &str) -> Foyer {
    let mut foyer = Foyer::open_with(|settings| {
        settings.policy.order = QueueOrder::Shuffle;
        settings.policy.active_max = 1;
        settings.opens_at = Some(after(START, MINUTE));
    });
    for who in names.split_whitespace() {
        foyer.wait(1_000).join(who);
    }
    foyer
}

fn only(active_max: u32) -> Tuning {
    Tuning { active_max: Some(active_max), ..Tuning::default() }
}

fn paused(paused: bool) -> Tuning {
    Tuning { paused: Some(paused), ..Tuning::default() }
}

fn key(digest: u128) -> KeyUse {
    KeyUse { digest, fingerprint: 7 }
}

// Joining and leaving.

#[test]
fn who_finds_room_enters_at_once() {
    let mut foyer = Foyer::open();
    let joined = Event::Joined { ticket: Ticket(1), user: user("ann"), admitted: true };
    assert_eq!(foyer.try_join("ann"), Ok(Some(joined)));
    let place = foyer.place("ann");
    assert_eq!((place.status, place.position), (PlaceStatus::Active, None));
    assert_eq!((place.issued_at, place.activated_at), (START, Some(START)));
    assert_eq!(place.expires_at, after(START, 30 * MINUTE));
}

#[test]
fn who_finds_none_waits_behind_everyone_who_came_before() {
    let foyer = Foyer::open_to("ann bob cat dan");
    assert_eq!((foyer.inside(), foyer.line()), ("ann bob".to_owned(), "cat dan".to_owned()));
    assert_eq!((foyer.position("cat"), foyer.position("dan")), (Some(1), Some(2)));
    let place = foyer.place("cat");
    assert_eq!((place.status, place.activated_at), (PlaceStatus::Waiting, None));
    assert_eq!(place.expires_at, after(START, HOUR));
}

#[test]
fn joining_again_gives_the_standing_place() {
    let mut foyer = Foyer::open_to("ann bob cat");
    let (inside, waiting) = (foyer.ticket("ann"), foyer.ticket("cat"));
    assert_eq!(foyer.try_join("ann"), Ok(None));
    assert_eq!(foyer.try_join("cat"), Ok(None));
    assert_eq!((foyer.ticket("ann"), foyer.ticket("cat")), (inside, waiting));
}

#[test]
fn whoever_leaves_the_seats_lets_the_next_in_in_the_same_step() {
    let mut foyer = Foyer::open_to("ann bob cat dan");
    let ann = foyer.ticket("ann");
    assert_eq!(foyer.leave("ann"), Ok(Some(Event::Left { ticket: ann })));
    assert_eq!((foyer.inside(), foyer.line()), ("bob cat".to_owned(), "dan".to_owned()));
    assert_eq!(foyer.room.ending(ann), PlaceStatus::Done);
}

#[test]
fn whoever_leaves_the_line_moves_up_those_behind_and_joins_again_at_the_end() {
    let mut foyer = Foyer::open_to("ann bob cat dan eve");
    foyer.leave("dan").unwrap();
    assert_eq!((foyer.position("cat"), foyer.position("eve")), (Some(1), Some(2)));
    foyer.join("dan");
    assert_eq!(foyer.line(), "cat eve dan");
    assert_eq!(foyer.ticket("dan"), Ticket(6), "no number is given twice");
}

#[test]
fn only_a_users_own_standing_place_can_be_given_up() {
    let mut foyer = Foyer::open_to("ann bob");
    let (first, bobs) = (foyer.ticket("ann"), foyer.ticket("bob"));
    foyer.leave("ann").unwrap();
    foyer.join("ann");
    for ticket in [first, bobs, Ticket(0), Ticket(99)] {
        assert_eq!(foyer.ask(&Command::Leave { user: user("ann"), ticket }), Ok(None));
    }
    assert_eq!(foyer.inside(), "bob ann");
}

#[test]
fn there_is_nothing_to_join_without_a_room_or_once_the_sale_is_over() {
    assert_eq!(Foyer::new().try_join("ann"), Err(Refusal::NoRoom));
    let mut foyer = Foyer::open();
    assert!(foyer.at(before(CLOSE, 1)).try_join("ann").is_ok());
    assert_eq!(foyer.at(CLOSE).try_join("bob"), Err(Refusal::NotOnSale));
    assert_eq!(foyer.try_join("ann"), Ok(None), "who has a place still finds it");
}

// Passes.

#[test]
fn a_pass_without_a_sign_of_life_ends_and_the_next_comes() {
    let mut foyer = Foyer::open_to("ann bob cat");
    let ann = foyer.ticket("ann");
    foyer.claim("bob").unwrap();
    foyer.wait(2 * MINUTE - 1);
    assert_eq!((foyer.tick(), foyer.place("ann").status), (vec![], PlaceStatus::Active));
    foyer.wait(1);
    assert_eq!(foyer.place("ann").status, PlaceStatus::Expired, "told before any timer fires");
    let tickets = |who: &str| [foyer.ticket(who)].into();
    let events =
        vec![Event::PassesExpired { tickets: tickets("ann") }, Event::Admitted { tickets: tickets("cat") }];
    assert_eq!(foyer.tick(), events);
    assert_eq!((foyer.inside(), foyer.room.ending(ann)), ("bob cat".to_owned(), PlaceStatus::Expired));
}

#[test]
fn a_claimed_pass_lives_to_its_end_and_no_longer() {
    let mut foyer = Foyer::open_to("ann bob cat");
    foyer.claim("ann").unwrap();
    foyer.claim("bob").unwrap();
    assert_eq!(foyer.claim("ann"), Ok(None), "one sign of life is enough");
    assert_eq!(foyer.room.next_due(foyer.now), Some(after(START, 30 * MINUTE)));
    foyer.wait(30 * MINUTE - 1);
    assert_eq!((foyer.tick(), foyer.inside()), (vec![], "ann bob".to_owned()));
    foyer.wait(1).tick();
    assert_eq!(foyer.inside(), "cat");
}

#[test]
fn a_sign_of_life_that_the_room_hears_of_at_the_deadline_counts() {
    let mut foyer = Foyer::open_to("ann bob cat");
    let ann = foyer.ticket("ann");
    foyer.show("ann");
    foyer.wait(2 * MINUTE);
    assert_eq!(foyer.tick()[0], Event::Claimed { tickets: [ann].into() });
    assert_eq!(foyer.inside(), "ann cat", "bob showed none");
    assert_eq!(foyer.room.pass(ann), Some((after(START, 30 * MINUTE), None)));
}

fn idle_for(seconds: u32) -> Foyer {
    let mut foyer = Foyer::open_with(|settings| settings.policy.idle = Some(Seconds::new(seconds)));
    foyer.join_all("ann bob cat dan");
    foyer
}

#[test]
fn who_shows_one_sign_of_life_and_then_none_makes_room_after_the_idle_time() {
    let mut foyer = idle_for(60);
    foyer.wait(30_000).claim("ann").unwrap();
    foyer.claim("bob").unwrap();
    foyer.wait(MINUTE - 1);
    assert_eq!((foyer.tick(), foyer.inside()), (vec![], "ann bob".to_owned()));
    let ann = foyer.ticket("ann");
    foyer.show("bob");
    foyer.wait(1);
    assert_eq!(foyer.place("ann").status, PlaceStatus::Expired, "told before any timer fires");
    let events = foyer.tick();
    let bob = (foyer.ticket("bob"), after(START, 30_000 + 2 * MINUTE - 1));
    assert_eq!(events[0], Event::Stayed { until: [bob].into() }, "from the very sign on");
    assert_eq!(events[1], Event::PassesExpired { tickets: [ann].into() });
    assert_eq!((foyer.inside(), foyer.line()), ("bob cat".to_owned(), "dan".to_owned()));
    // Bob does nothing more, and Cat never shows up.
    foyer.at(before(bob.1, 1));
    assert_eq!((foyer.tick(), foyer.inside()), (vec![], "bob cat".to_owned()));
    foyer.wait(1).tick();
    assert_eq!(foyer.inside(), "cat dan");
}

#[test]
fn who_goes_on_showing_signs_of_life_stays_to_the_end_of_the_pass_and_no_longer() {
    let mut foyer = idle_for(60);
    foyer.claim("ann").unwrap();
    for _ in 0..36 {
        foyer.show("ann");
        foyer.wait(50_000).tick();
    }
    assert_eq!(foyer.now, after(START, 30 * MINUTE));
    assert!(!foyer.inside().contains("ann"));
    // Written once in an idle time, however often it is shown.
    let stayed = foyer.journal.iter().filter(|entry| matches!(entry.event, Event::Stayed { .. })).count();
    assert!((25..=35).contains(&stayed), "{stayed}");
}

#[test]
fn a_sign_of_life_of_long_ago_is_none() {
    let mut foyer = idle_for(60);
    foyer.show("ann");
    // The room was never told, and the time to show up is longer.
    foyer.wait(2 * MINUTE).tick();
    assert_eq!(foyer.inside(), "cat dan");
}

#[test]
fn an_outage_counts_as_no_idle_time() {
    let mut foyer = idle_for(60);
    foyer.claim("ann").unwrap();
    let down_since = after(START, 30_000);
    foyer.at(after(START, 10 * MINUTE));
    assert_eq!(foyer.bridge(down_since), Ok(Some(Event::OutageBridged { down_since })));
    let until = after(START, 10 * MINUTE + 30_000);
    assert_eq!(foyer.room.pass(foyer.ticket("ann")), Some((after(START, 30 * MINUTE), Some(until))));
    foyer.at(before(until, 1)).tick();
    assert!(foyer.inside().contains("ann"));
    foyer.at(until).tick();
    assert!(!foyer.inside().contains("ann"));
}

#[test]
fn a_sign_of_life_lengthens_no_pass() {
    let mut foyer = Foyer::open_with(|settings| settings.policy.active = Seconds::new(60));
    let ann = foyer.join("ann");
    foyer.show("ann");
    foyer.wait(MINUTE);
    assert_eq!(foyer.tick(), [Event::PassesExpired { tickets: [ann].into() }]);
}

#[test]
fn who_waits_or_has_left_shows_no_sign_of_life() {
    let mut foyer = Foyer::open_to("ann bob cat");
    let ann = foyer.ticket("ann");
    assert_eq!(foyer.claim("cat"), Ok(None));
    foyer.leave("ann").unwrap();
    assert_eq!(foyer.ask(&Command::Claim { ticket: ann }), Ok(None));
}

#[test]
fn a_finished_payment_ends_the_pass_and_admits_the_next() {
    let mut foyer = Foyer::open_to("ann bob cat");
    let ann = foyer.ticket("ann");
    assert_eq!(foyer.finish("ann"), Ok(Some(Event::Finished { ticket: ann })));
    assert_eq!((foyer.inside(), foyer.line()), ("bob cat".to_owned(), String::new()));
    assert_eq!((foyer.room.place(ann, START), foyer.room.ending(ann)), (None, PlaceStatus::Done));
    assert_eq!(foyer.finish("ann"), Ok(None));
}

#[test]
fn a_payment_of_one_who_waits_ends_no_place() {
    let mut foyer = Foyer::open_to("ann bob cat");
    assert_eq!(foyer.finish("cat"), Ok(None));
    assert_eq!(foyer.position("cat"), Some(1));
}

#[test]
fn an_outage_moves_the_claims_deadline_but_not_the_passs_end() {
    let mut foyer = Foyer::open_to("ann bob cat");
    foyer.claim("bob").unwrap();
    let down_since = after(START, MINUTE);
    foyer.at(after(START, 10 * MINUTE));
    assert_eq!(foyer.bridge(down_since), Ok(Some(Event::OutageBridged { down_since })));
    let end = after(START, 30 * MINUTE);
    assert_eq!(foyer.room.pass(foyer.ticket("ann")), Some((end, Some(after(START, 11 * MINUTE)))));
    assert_eq!(foyer.room.pass(foyer.ticket("bob")), Some((end, None)));
    foyer.at(after(START, 11 * MINUTE)).tick();
    assert_eq!(foyer.inside(), "bob cat");
}

#[test]
fn an_outage_gives_nothing_back_to_who_had_not_shown_up_in_time_before_it() {
    let down_since = after(START, 2 * MINUTE);
    let mut foyer = Foyer::open_to("ann bob cat");
    foyer.at(after(START, 10 * MINUTE));
    assert_eq!(foyer.bridge(down_since), Ok(None));
    assert_eq!(foyer.inside(), "cat");
    // Nor does it because someone else gets time back.
    let mut foyer = Foyer::open_to("ann");
    foyer.wait(1).join("bob");
    foyer.at(after(START, 10 * MINUTE));
    assert_eq!(foyer.bridge(down_since), Ok(Some(Event::OutageBridged { down_since })));
    assert_eq!(foyer.inside(), "bob");
}

// Who may be admitted.

#[test]
fn lowering_the_most_who_may_be_active_ends_nobody_and_admits_nobody_until_there_is_room() {
    let mut foyer = Foyer::open_to("ann bob cat dan");
    foyer.tune(only(1)).unwrap();
    assert_eq!(foyer.inside(), "ann bob");
    foyer.leave("ann").unwrap();
    assert_eq!(foyer.inside(), "bob");
    foyer.leave("bob").unwrap();
    assert_eq!((foyer.inside(), foyer.line()), ("cat".to_owned(), "dan".to_owned()));
}

#[test]
fn raising_the_most_who_may_be_active_admits_the_first_in_the_same_step() {
    let mut foyer = Foyer::open_to("ann bob cat dan eve");
    foyer.tune(only(4)).unwrap();
    assert_eq!((foyer.inside(), foyer.line()), ("ann bob cat dan".to_owned(), "eve".to_owned()));
}

#[test]
fn nobody_is_admitted_while_the_room_is_paused() {
    let mut foyer = Foyer::open_to("ann bob cat");
    foyer.tune(paused(true)).unwrap();
    foyer.leave("ann").unwrap();
    assert_eq!((foyer.inside(), foyer.line()), ("bob".to_owned(), "cat".to_owned()));
    assert_eq!((foyer.position("cat"), foyer.room.is_moving(foyer.now)), (Some(1), false));
    foyer.tune(paused(false)).unwrap();
    assert_eq!(foyer.inside(), "bob cat");
}

#[test]
fn who_joins_a_paused_room_waits_even_if_it_is_empty() {
    let mut foyer = Foyer::open();
    foyer.tune(paused(true)).unwrap();
    foyer.join("ann");
    assert_eq!((foyer.line(), foyer.room.next_due(foyer.now)), ("ann".to_owned(), Some(after(START, HOUR))));
}

#[test]
fn nobody_is_admitted_before_the_room_opens() {
    let opens_at = after(START, MINUTE);
    let mut foyer = Foyer::open_with(|settings| settings.opens_at = Some(opens_at));
    foyer.join_all("ann bob cat");
    assert_eq!((foyer.inside(), foyer.room.next_due(foyer.now)), (String::new(), Some(opens_at)));
    assert_eq!(foyer.at(before(opens_at, 1)).tick(), []);
    foyer.at(opens_at).tick();
    assert_eq!((foyer.inside(), foyer.line()), ("ann bob".to_owned(), "cat".to_owned()));
}

#[test]
fn nobody_is_admitted_once_the_sale_is_over() {
    let mut foyer = Foyer::open_with(|settings| settings.closes_at = after(START, MINUTE));
    foyer.join_all("ann bob cat dan");
    foyer.at(after(START, MINUTE - 1)).leave("ann").unwrap();
    assert_eq!(foyer.inside(), "bob cat");
    foyer.at(after(START, MINUTE)).leave("bob").unwrap();
    assert_eq!((foyer.inside(), foyer.line()), ("cat".to_owned(), "dan".to_owned()));
    let claim_by = after(START, 3 * MINUTE - 1);
    assert_eq!(foyer.room.next_due(foyer.now), Some(claim_by), "dan's turn never comes");
}

#[test]
fn nobody_is_admitted_unless_seats_are_free_and_on_sale() {
    for gate in [Gate::NotOnSale, Gate::AllHeld, Gate::SoldOut] {
        let mut foyer = Foyer::open();
        foyer.follow(gate);
        foyer.join("ann");
        assert_eq!((foyer.line(), foyer.position("ann")), ("ann".to_owned(), Some(1)), "{gate:?}");
        foyer.follow(Gate::Open);
        assert_eq!(foyer.inside(), "ann", "{gate:?}");
        foyer.follow(gate);
        assert_eq!(foyer.inside(), "ann", "{gate:?}: a pass goes on");
    }
}

#[test]
fn a_cancelled_performance_ends_everyones_place_and_refuses_newcomers() {
    let mut foyer = Foyer::open_to("ann bob cat");
    let tickets = [foyer.ticket("ann"), foyer.ticket("cat")];
    foyer.follow(Gate::Cancelled);
    assert_eq!((foyer.room.active(), foyer.room.waiting()), (0, 0));
    assert_eq!(tickets.map(|ticket| foyer.room.ending(ticket)), [PlaceStatus::Expired; 2]);
    assert_eq!(foyer.try_join("dan"), Err(Refusal::NotOnSale));
}

#[test]
fn a_place_expires_when_it_has_waited_too_long_since_the_room_opened() {
    let opens_at = after(START, MINUTE);
    let mut foyer = Foyer::open_with(|settings| {
        settings.opens_at = Some(opens_at);
        settings.policy.active_max = 1;
        settings.policy.active = Seconds::new(7_200);
    });
    // The first two joined before it opened, so they have waited equally long; the last one joined later.
    foyer.join_all("ann bob");
    foyer.at(opens_at).claim("ann").unwrap();
    foyer.wait(1_000).join_all("cat");
    let bob = foyer.ticket("bob");
    assert_eq!(foyer.place("bob").expires_at, after(opens_at, HOUR));
    assert_eq!(foyer.place("cat").expires_at, after(opens_at, HOUR + 1_000));
    assert_eq!(foyer.at(after(opens_at, HOUR - 1)).tick(), []);
    foyer.wait(1);
    assert_eq!((foyer.place("bob").status, foyer.position("bob")), (PlaceStatus::Expired, None));
    assert_eq!(foyer.tick(), [Event::PlacesExpired { last: bob }]);
    assert_eq!((foyer.line(), foyer.position("cat")), ("cat".to_owned(), Some(1)));
    assert_eq!(foyer.room.ending(bob), PlaceStatus::Expired);
}

#[test]
fn so_many_a_minute_are_a_smooth_stream() {
    let mut foyer = Foyer::open_with(|settings| {
        settings.policy.active_max = 100;
        settings.policy.admit_per_minute = Some(30);
    });
    foyer.join_all("ann bob cat dan");
    assert_eq!(foyer.inside(), "ann");
    assert_eq!(foyer.room.next_due(foyer.now), Some(after(START, 2_000)));
    assert_eq!(foyer.wait(1_999).tick(), []);
    foyer.wait(1).tick();
    assert_eq!(foyer.inside(), "ann bob");
    foyer.wait(2_000).tick();
    assert_eq!((foyer.inside(), foyer.line()), ("ann bob cat".to_owned(), "dan".to_owned()));
}

#[test]
fn what_a_slow_time_left_over_is_no_burst_later() {
    let mut foyer = Foyer::open_with(|settings| {
        settings.policy.active_max = 100;
        settings.policy.admit_per_minute = Some(120);
    });
    foyer.wait(MINUTE).join_all("ann bob cat dan");
    assert_eq!((foyer.inside(), foyer.line()), ("ann bob".to_owned(), "cat dan".to_owned()));
    assert_eq!(foyer.room.next_due(foyer.now), Some(after(foyer.now, 500)));
    let unlimited = Tuning { admit_per_minute: Some(None), ..Tuning::default() };
    foyer.tune(unlimited).unwrap();
    assert_eq!(foyer.inside(), "ann bob cat dan");
}

// The draw.

#[test]
fn a_shuffled_place_has_no_position_before_the_draw_and_an_exact_one_after_it() {
    let mut foyer = shuffled("ann bob cat dan");
    assert_eq!(foyer.position("ann"), None);
    assert_eq!(foyer.room.next_due(foyer.now), Some(after(START, MINUTE)));
    foyer.at(after(START, MINUTE));
    assert_eq!(foyer.tick()[0], Event::Drawn { seed: seed(7) });
    let mut order = vec!["ann", "bob", "cat", "dan"];
    draw(&seed(7), &mut order);
    assert_ne!(order, ["ann", "bob", "cat", "dan"], "the test's seed changes the order");
    assert_eq!(foyer.inside(), order[0], "the first drawn is admitted in the same step");
    assert_eq!(foyer.line(), order[1..].join(" "));
    assert_eq!((foyer.position(order[1]), foyer.position(order[3])), (Some(1), Some(3)));
    assert_eq!(foyer.room.drawing(), Some((seed(7), 4)));
}

#[test]
fn whoever_joins_after_the_draw_stands_behind_everyone_drawn() {
    let mut foyer = shuffled("ann bob cat dan");
    foyer.leave("bob").unwrap();
    foyer.at(after(START, MINUTE)).join_all("eve fay");
    assert!(foyer.line().ends_with(" eve fay"), "{}", foyer.line());
    assert_eq!((foyer.position("eve"), foyer.position("fay")), (Some(3), Some(4)));
}

#[test]
fn a_draw_is_what_anyone_can_compute() {
    // The names in the order of joining, as the documentation of the draw has them for ten people and this seed.
    let mut foyer = shuffled("a b c d e f g h i j");
    foyer.at(after(START, MINUTE)).tick();
    assert_eq!((foyer.inside(), foyer.line()), ("g".to_owned(), "i j a h e b d f c".to_owned()));
}

#[test]
fn the_hash_of_the_seed_is_published_before_the_draw_and_the_seed_after_it() {
    let mut foyer = shuffled("ann bob");
    let published = foyer.room.commitment().unwrap();
    assert_eq!(foyer.room.drawing(), None);
    foyer.at(after(START, MINUTE)).tick();
    let (revealed, count) = foyer.room.drawing().unwrap();
    assert_eq!((published, count), (sha256(&revealed.0), 2));
    assert_eq!(foyer.room.commitment(), Some(published));
    assert_eq!(Foyer::open().room.commitment(), None, "without a draw there is nothing to publish");
}

#[test]
fn a_room_without_an_instant_to_open_is_drawn_once_the_sale_is_open() {
    let mut foyer = Foyer::shut_with(|settings| settings.policy.order = QueueOrder::Shuffle);
    foyer.join_all("ann bob cat");
    assert_eq!(foyer.room.drawing(), None);
    foyer.follow(Gate::SoldOut);
    assert_eq!(foyer.room.drawing(), Some((seed(7), 3)));
}

#[test]
fn the_order_cant_change_while_someone_waits_undrawn() {
    let mut foyer = shuffled("ann");
    assert_order_is_fixed(&mut foyer, QueueOrder::Fifo);
    foyer.leave("ann").unwrap();
    assert!(matches!(foyer.reconfigure(in_order(QueueOrder::Fifo)), Ok(Some(_))));
    foyer.join("bob");
    assert_order_is_fixed(&mut foyer, QueueOrder::Shuffle);
}

fn in_order(order: QueueOrder) -> impl Fn(&mut Settings) {
    move |settings| settings.policy.order = order
}

/// Another order is refused; a plan that says so all the same is followed in all else.
fn assert_order_is_fixed(foyer: &mut Foyer, order: QueueOrder) {
    let (standing, commitment) = (foyer.room.configured().unwrap().clone(), foyer.room.commitment());
    let mut other = standing.clone();
    in_order(order)(&mut other);
    assert_eq!(foyer.room.check_order(&other), Err(Refusal::OrderFixed));
    assert_eq!(foyer.configure(Some(other.clone())), Ok(None));

    other.policy.active_max += 1;
    foyer.configure(Some(other.clone())).unwrap().unwrap();
    let followed = foyer.room.configured().unwrap();
    assert_eq!(followed.policy.order, standing.policy.order);
    assert_eq!(followed.policy.active_max, other.policy.active_max);
    assert_eq!(foyer.room.commitment(), commitment);
}

#[test]
fn a_seed_stands_once_its_hash_is_published() {
    let mut foyer = shuffled("ann");
    let mut settings = foyer.room.settings().unwrap().clone();
    settings.policy.active_max = 5;
    let command = Command::Configure { settings: Some(Box::new(settings.clone())), seed: seed(8) };
    assert_eq!(
        foyer.ask(&command),
        Ok(Some(Event::Configured { settings: Some(Box::new(settings)), seed: None }))
    );
    foyer.at(after(START, MINUTE)).tick();
    assert_eq!(foyer.room.drawing(), Some((seed(7), 1)));
}

#[test]
fn who_was_drawn_keeps_the_place_however_the_settings_change_afterwards() {
    let mut foyer = shuffled("ann bob cat");
    foyer.at(after(START, MINUTE)).tick();
    let line = foyer.line();
    let later = after(START, 2 * MINUTE);
    foyer.reconfigure(|settings| settings.opens_at = Some(later)).unwrap();
    foyer.at(later).join("dan");
    assert_eq!(foyer.line(), format!("{line} dan"));
    foyer.reconfigure(|settings| settings.policy.order = QueueOrder::Fifo).unwrap();
    assert_eq!(foyer.line(), format!("{line} dan"));
}

#[test]
fn a_room_that_was_drawn_while_it_was_empty_draws_again_at_a_later_opening() {
    let mut foyer = shuffled("");
    foyer.at(after(START, MINUTE)).tick();
    assert_eq!(foyer.room.drawing(), Some((seed(7), 0)));
    let later = after(START, 2 * MINUTE);
    let mut settings = foyer.room.settings().unwrap().clone();
    settings.opens_at = Some(later);
    foyer.ask(&Command::Configure { settings: Some(Box::new(settings)), seed: seed(8) }).unwrap();
    assert_eq!(foyer.room.commitment(), Some(sha256(&[8; 32])), "another hash is published");
    assert_eq!(foyer.room.drawing(), None);
    foyer.join_all("ann bob cat dan");
    assert_eq!(foyer.position("ann"), None, "nobody has a position before the draw");
    assert_eq!(foyer.at(later).tick()[0], Event::Drawn { seed: seed(8) });
    let mut order = vec!["ann", "bob", "cat", "dan"];
    draw(&seed(8), &mut order);
    assert_ne!(order, ["ann", "bob", "cat", "dan"]);
    assert_eq!((foyer.inside(), foyer.line()), (order[0].to_owned(), order[1..].join(" ")));
    assert_eq!(foyer.room.drawing(), Some((seed(8), 4)));
}

/// When the room is to open at another instant, by this seed where a draw comes of it.
fn open_at(foyer: &mut Foyer, opens_at: Option<Timestamp>, byte: u8) -> Option<Seed> {
    let mut settings = foyer.room.settings().unwrap().clone();
    settings.opens_at = opens_at;
    let command = Command::Configure { settings: Some(Box::new(settings)), seed: seed(byte) };
    let Ok(Some(Event::Configured { seed, .. })) = foyer.ask(&command) else { panic!("it is changed") };
    seed
}

#[test]
fn who_has_a_position_when_the_opening_is_moved_keeps_it_and_the_next_are_drawn_behind() {
    let mut foyer = shuffled("ann bob cat");
    foyer.follow(Gate::AllHeld);
    foyer.at(after(START, MINUTE)).join("dan");
    let line = foyer.line();
    assert!(line.ends_with(" dan"), "{line}");
    let later = after(START, 5 * MINUTE);
    assert_eq!(open_at(&mut foyer, Some(later), 8), Some(seed(8)));
    assert_eq!(foyer.position("dan"), Some(4), "a position is never lost");
    foyer.join_all("eve fay gus hal");
    assert_eq!((foyer.position("eve"), foyer.position("hal")), (None, None));
    assert_eq!(foyer.room.undrawn().count(), 4);
    let image = restored(&foyer.room);
    let from = foyer.journal.len();
    foyer.at(later).tick();
    let mut order = vec!["eve", "fay", "gus", "hal"];
    draw(&seed(8), &mut order);
    assert_ne!(order, ["eve", "fay", "gus", "hal"]);
    assert_eq!(foyer.line(), format!("{line} {}", order.join(" ")));
    assert_eq!((foyer.position("dan"), foyer.room.drawing()), (Some(4), Some((seed(8), 4))));
    assert!(foyer.replay(image, from) == foyer.room, "R1");
    // And once more, with people at the seats.
    foyer.follow(Gate::Open);
    assert_eq!(foyer.inside(), line.split(' ').next().unwrap());
    let last = after(START, 9 * MINUTE);
    assert_eq!(open_at(&mut foyer, Some(last), 9), Some(seed(9)));
    foyer.join_all("ida jan");
    foyer.at(last).tick();
    assert_eq!((foyer.room.drawing(), foyer.position("dan")), (Some((seed(9), 2)), Some(2)));
}

#[test]
fn a_rehearsal_before_the_opening_is_moved_costs_nobody_the_draw() {
    let mut foyer = shuffled("staff");
    foyer.at(after(START, MINUTE)).tick();
    assert_eq!(foyer.inside(), "staff");
    foyer.finish("staff").unwrap();
    assert!(open_at(&mut foyer, Some(after(START, HOUR)), 8).is_some());
    foyer.join_all("a b c d e f g h i j");
    let mut order = vec!["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    draw(&seed(8), &mut order);
    foyer.at(after(START, HOUR)).tick();
    assert_eq!(format!("{} {}", foyer.inside(), foyer.line()), order.join(" "));
}

#[test]
fn an_opening_that_isnt_ahead_brings_no_draw_and_one_that_is_moved_twice_brings_one() {
    let mut foyer = shuffled("");
    assert_eq!(open_at(&mut foyer, Some(after(START, 2 * MINUTE)), 8), None, "the hash is out");
    foyer.at(after(START, 2 * MINUTE)).tick();
    assert_eq!(open_at(&mut foyer, Some(after(START, MINUTE)), 8), None);
    assert_eq!(open_at(&mut foyer, None, 8), None, "the sale is open");
    foyer.reconfigure(|settings| settings.policy.active_max = 7).unwrap();
    foyer.follow(Gate::NotOnSale);
    foyer.reconfigure(|settings| settings.policy.active_max = 1).unwrap();
    assert_eq!(foyer.room.drawing(), Some((seed(7), 0)), "a break of the sale is no other opening");
    assert_eq!(open_at(&mut foyer, Some(after(START, 3 * MINUTE)), 8), Some(seed(8)));
    assert_eq!(open_at(&mut foyer, None, 9), None);
    foyer.join_all("ann bob");
    foyer.follow(Gate::AllHeld);
    assert_eq!(foyer.room.drawing(), Some((seed(8), 2)), "it opens with the sale");
}

#[test]
fn the_order_cant_change_while_someone_waits_for_another_draw() {
    let mut foyer = shuffled("");
    foyer.at(after(START, MINUTE)).tick();
    open_at(&mut foyer, Some(after(START, HOUR)), 8);
    foyer.join("ann");
    assert_order_is_fixed(&mut foyer, QueueOrder::Fifo);
    foyer.leave("ann").unwrap();
    foyer.reconfigure(in_order(QueueOrder::Fifo)).unwrap();
    assert_eq!((foyer.room.drawing(), foyer.room.commitment()), (None, None));
}

// Settings, and what the room is told of its schedule.

#[test]
fn a_room_is_run_by_its_schedules_plan_and_opens_with_the_sale_unless_told_otherwise() {
    let mut plan = Plan {
        starts_at: CLOSE,
        ends_at: after(CLOSE, HOUR),
        sales_open_at: Some(after(START, 1)),
        sales_close_at: Some(after(START, 3)),
        casting: BTreeMap::default(),
        policy: Policy::default(),
    };
    assert_eq!(Settings::of(&plan, 8), None, "without a queue there is no room");
    let mut policy = settings().policy;
    plan.policy.queue = Some(policy.clone());
    let settings = Settings::of(&plan, 8).unwrap();
    assert_eq!((settings.opens_at, settings.closes_at), (Some(after(START, 1)), after(START, 3)));
    assert_eq!((settings.policy, settings.keys_max), (policy.clone(), 8));
    policy.opens_at = Some(after(START, 2));
    plan.policy.queue = Some(policy);
    assert_eq!(Settings::of(&plan, 8).unwrap().opens_at, Some(after(START, 2)));
}

#[test]
fn the_gate_says_whether_it_is_worth_entering_or_waiting() {
    let counts = |available, held| Counts { available, held, ..Counts::default() };
    assert_eq!(Gate::of(SaleStatus::Open, counts(1, 1)), Gate::Open);
    assert_eq!(Gate::of(SaleStatus::Open, counts(0, 1)), Gate::AllHeld);
    assert_eq!(Gate::of(SaleStatus::Open, counts(0, 0)), Gate::SoldOut);
    for sale in [SaleStatus::Upcoming, SaleStatus::Closed] {
        assert_eq!(Gate::of(sale, counts(1, 0)), Gate::NotOnSale);
    }
    assert_eq!(Gate::of(SaleStatus::Cancelled, counts(1, 0)), Gate::Cancelled);
}

#[test]
fn configuring_the_same_again_does_nothing_and_what_was_tuned_stands() {
    let mut foyer = Foyer::open_to("ann bob cat");
    assert_eq!(foyer.reconfigure(|_| ()), Ok(None));
    foyer.tune(only(3)).unwrap();
    assert_eq!(foyer.reconfigure(|_| ()), Ok(None));
    assert_eq!((foyer.room.overview().active_max, foyer.inside()), (3, "ann bob cat".to_owned()));
}

#[test]
fn what_was_tuned_is_kept_where_new_settings_have_the_same_policy() {
    let mut foyer = Foyer::open();
    let before = foyer.room.configured().unwrap().clone();
    assert_eq!(foyer.room.kept_tuning(&before), None, "nothing was tuned");
    foyer.tune(Tuning { active_max: Some(7), admit_per_minute: Some(Some(5)), paused: Some(true) }).unwrap();
    let kept = Tuning { active_max: Some(7), admit_per_minute: Some(Some(5)), paused: None };
    let later = Settings { closes_at: before.closes_at.plus(Seconds::new(60)), ..before.clone() };
    assert_eq!(foyer.room.kept_tuning(&later), Some(kept), "a pause stands by itself");
    let mut other = before.clone();
    other.policy.order = QueueOrder::Shuffle;
    assert_eq!(foyer.room.kept_tuning(&other), Some(kept), "an order tunes nothing");
    other.policy.active_max += 1;
    assert_eq!(foyer.room.kept_tuning(&other), None, "another policy is followed");
}

#[test]
fn tuning_to_what_is_so_does_nothing_and_there_must_be_a_room() {
    let mut foyer = Foyer::open();
    assert_eq!(foyer.tune(Tuning::default()), Ok(None));
    assert_eq!(foyer.tune(only(2)), Ok(None));
    foyer.configure(None).unwrap();
    assert_eq!(foyer.tune(only(2)), Err(Refusal::NoRoom));
}

#[test]
fn a_room_that_is_shut_ends_everyones_place_and_starts_anew() {
    let mut foyer = shuffled("ann bob");
    foyer.at(after(START, MINUTE)).tick();
    foyer.tune(paused(true)).unwrap();
    foyer.configure(None).unwrap();
    let Overview { waiting, active, active_max, paused, admitted_total, .. } = foyer.room.overview();
    assert_eq!((waiting, active, active_max, paused, admitted_total), (0, 0, 0, false, 1));
    assert_eq!((foyer.room.drawing(), foyer.room.commitment()), (None, None));
    assert_eq!(foyer.configure(None), Ok(None));
    assert_eq!(foyer.try_join("ann"), Err(Refusal::NoRoom));
    foyer.configure(Some(settings())).unwrap();
    foyer.follow(Gate::Open);
    assert_eq!(foyer.join("ann"), Ticket(3), "no number is given twice");
}

// Keys, and what is kept.

#[test]
fn a_keyed_join_answers_what_it_answered_first() {
    let mut foyer = Foyer::open_to("ann bob");
    let join = Command::Join { user: user("cat") };
    foyer.ask_with(&join, Some(key(1))).unwrap();
    let (first, version) = (Answer::Place(foyer.place("cat")), foyer.room.version());
    foyer.leave("ann").unwrap();
    assert_eq!(foyer.inside(), "bob cat");
    let restarted = restored(&foyer.room);
    for room in [&foyer.room, &restarted] {
        let answered = Some(KeyFound::Answered { answer: &first, version });
        assert_eq!(room.find_key(key(1), foyer.now), answered);
        let other = KeyUse { digest: 1, fingerprint: 8 };
        assert_eq!(room.find_key(other, foyer.now), Some(KeyFound::Reused), "another body");
        assert_eq!(room.find_key(key(2), foyer.now), None, "another key");
    }
}

#[test]
fn a_key_keeps_what_became_of_the_place_that_was_given_up() {
    let mut foyer = Foyer::open_to("ann bob cat");
    let ticket = foyer.ticket("cat");
    foyer.wait(500);
    foyer.ask_with(&Command::Leave { user: user("cat"), ticket }, Some(key(1))).unwrap();
    let Some(KeyFound::Answered { answer: Answer::Place(place), .. }) =
        foyer.room.find_key(key(1), foyer.now)
    else {
        panic!("a key answers with the place")
    };
    assert_eq!((place.ticket, place.status, place.position), (ticket, PlaceStatus::Done, None));
    assert_eq!((place.issued_at, place.expires_at), (START, after(START, 500)));
}

#[test]
fn a_room_that_was_shut_keeps_as_many_keys_after_a_restart_as_before() {
    let mut foyer = Foyer::open();
    foyer.configure(None).unwrap();
    let mut restarted = restored(&foyer.room);
    let kept = Event::KeyKept { ticket: None };
    for room in [&mut foyer.room, &mut restarted] {
        room.apply(&kept, START, Some(key(1)));
        assert!(room.find_key(key(1), START).is_some(), "I1");
    }
}

#[test]
fn a_place_that_was_never_given_is_nobodys() {
    let foyer = Foyer::open_to("ann bob cat");
    for never in [Ticket(0), Ticket(4), Ticket(u32::MAX)] {
        assert_eq!((foyer.room.place(never, START), foyer.room.user(never)), (None, None));
        assert_eq!((foyer.room.position(never), foyer.room.joined_at(never)), (None, None));
        assert_eq!((foyer.room.pass(never), foyer.room.has(never)), (None, false));
    }
}
