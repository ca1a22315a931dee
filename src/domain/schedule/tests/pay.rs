//! Paying: the deadline that moves once, failing, confirming, and money that comes too late.

use super::*;

const P1: u128 = 1;
const P2: u128 = 2;

#[test]
fn a_payment_moves_a_near_deadline_to_the_payments_own() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.wait(290_000).begin("ann", hold, P1).unwrap();
    assert_eq!(sale.status(hold), ReservationStatus::Paying);
    assert_eq!(sale.deadline(hold), after(START, 350_000));
    assert_eq!(sale.that_are(SeatStatus::Held), "A1");
    sale.at(after(START, 349_999));
    assert_eq!(sale.try_hold("bob", "A1"), sale.unavailable("A1"));
    assert!(sale.wait(1).try_hold("bob", "A1").is_ok());
}

#[test]
fn a_payment_leaves_a_far_deadline_where_it_was() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.wait(240_000).begin("ann", hold, P1).unwrap();
    assert_eq!(sale.deadline(hold), after(START, 300_000));
}

#[test]
fn a_payment_from_the_balance_moves_no_deadline() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.wait(290_000).begin_at_once("ann", hold, P1).unwrap();
    assert_eq!(sale.deadline(hold), after(START, 300_000));
    sale.fail(hold, P1).unwrap();
    assert_eq!(sale.deadline(hold), after(START, 300_000));
    // One that fails between two that take their time changes nothing for these.
    sale.begin("ann", hold, P2).unwrap();
    sale.wait(1_000).fail(hold, P2).unwrap();
    sale.begin_at_once("ann", hold, P1).unwrap();
    assert_eq!(sale.deadline(hold), after(START, 300_000));
    sale.fail(hold, P1).unwrap();
    assert_eq!(sale.deadline(hold), after(START, 300_000));
    sale.begin("ann", hold, P2).unwrap();
    assert_eq!(sale.deadline(hold), after(START, 350_000));
}

#[test]
fn a_later_payment_has_the_deadline_that_the_first_one_had() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.wait(290_000).begin("ann", hold, P1).unwrap();
    sale.wait(5_000).fail(hold, P1).unwrap();
    sale.begin("ann", hold, P2).unwrap();
    assert_eq!(sale.deadline(hold), after(START, 350_000));
    sale.wait(30_000).confirm(hold, P2).unwrap();
    assert_eq!(sale.status(hold), ReservationStatus::Confirmed);
}

#[test]
fn an_outage_gives_its_time_back_to_both_deadlines_of_a_payment() {
    let mut sale = Sale::open_with(|plan| plan.policy.recovery_grace = Seconds::new(0));
    let hold = sale.hold("ann", "A1");
    sale.wait(290_000).begin("ann", hold, P1).unwrap();
    let down_since = sale.now;
    sale.wait(1_000_000).bridge(down_since).unwrap();
    assert_eq!(sale.deadline(hold), after(START, 1_350_000));
    sale.fail(hold, P1).unwrap();
    assert_eq!(sale.deadline(hold), after(START, 1_300_000));
    sale.begin("ann", hold, P2).unwrap();
    assert_eq!(sale.deadline(hold), after(START, 1_350_000));
}

#[test]
fn an_outage_after_the_holds_own_deadline_brings_that_no_time() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.wait(290_000).begin("ann", hold, P1).unwrap();
    sale.wait(20_000);
    let down_since = sale.now;
    sale.wait(1_000).bridge(down_since).unwrap();
    assert_eq!(sale.deadline(hold), after(START, 351_000));
    sale.fail(hold, P1).unwrap();
    sale.tick();
    assert_eq!(sale.status(hold), ReservationStatus::Expired);
}

#[test]
fn a_journal_of_an_earlier_version_keeps_the_deadlines_that_it_had() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    let (number, payment) = (hold.number, PaymentId::from_bits(P1));
    sale.wait(290_000);
    let begun = |at| Event::PaymentBegun { number, payment, expires_at: at, held_until: None };
    sale.apply(&begun(after(START, 350_000)), None);
    sale.wait(20_000).apply(&Event::PaymentFailed { number, expires_at: None }, None);
    assert_eq!(sale.deadline(hold), after(START, 350_000));
    sale.begin("ann", hold, P2).unwrap();
    assert_eq!(sale.deadline(hold), after(START, 350_000), "it is moved once");
    sale.fail(hold, P2).unwrap();
    assert_eq!(sale.deadline(hold), after(START, 350_000));
}

#[test]
fn a_payment_that_fails_gives_the_old_deadline_back() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.wait(290_000).begin("ann", hold, P1).unwrap();
    sale.wait(5_000).fail(hold, P1).unwrap();
    assert_eq!((sale.status(hold), sale.deadline(hold)), (ReservationStatus::Held, after(START, 300_000)));
    assert_eq!(sale.wait(5_000).try_hold("bob", "A1").map(|_| ()), Ok(()));
    assert_eq!(sale.status(hold), ReservationStatus::Expired);
}

#[test]
fn a_hold_whose_deadline_passed_while_a_payment_failed_expires() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.wait(290_000).begin("ann", hold, P1).unwrap();
    sale.wait(20_000).fail(hold, P1).unwrap();
    assert_eq!(sale.get(hold).status_at(sale.now), ReservationStatus::Expired);
    sale.tick();
    assert_eq!((sale.status(hold), sale.get(hold).payment), (ReservationStatus::Expired, None));
    assert_eq!(sale.confirm(hold, P1), Err(Refusal::PaymentNotUnderWay));
}

#[test]
fn however_often_payments_fail_the_deadline_is_never_later_than_the_first_of_them_made_it() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    for payment in 0..30 {
        sale.wait(9_900).begin("ann", hold, payment).unwrap();
        assert!(sale.deadline(hold) <= after(START, 300_000 + 60_000));
        sale.fail(hold, payment).unwrap();
    }
    assert_eq!(sale.deadline(hold), after(START, 300_000));
}

#[test]
fn a_payment_that_needed_no_more_time_leaves_the_move_to_the_next() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.begin("ann", hold, P1).unwrap();
    sale.wait(290_000).fail(hold, P1).unwrap();
    sale.begin("ann", hold, P2).unwrap();
    assert_eq!(sale.deadline(hold), after(START, 350_000));
}

#[test]
fn a_payment_that_began_already_begins_no_second_time() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.begin("ann", hold, P1).unwrap();
    assert_eq!(sale.begin("ann", hold, P1), Ok(None));
    assert_eq!(sale.begin("ann", hold, P2), Err(Refusal::NotHeld), "one payment at a time");
}

#[test]
fn a_payment_begins_only_for_a_live_hold() {
    let mut sale = Sale::open();
    let (sold, released, expired) = (sale.sell("ann", "A1"), sale.hold("ann", "A2"), sale.hold("ann", "A3"));
    sale.release("ann", released).unwrap();
    assert_eq!(sale.begin("ann", sold, P1), Err(Refusal::NotHeld));
    assert_eq!(sale.begin("ann", released, P1), Err(Refusal::NotHeld));
    sale.wait(300_000);
    assert_eq!(sale.begin("ann", expired, P1), Err(Refusal::Expired));
}

#[test]
fn a_live_hold_is_paid_after_the_sale_has_closed() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.does(&Command::Close);
    sale.begin("ann", hold, P1).unwrap();
    sale.confirm(hold, P1).unwrap();
    assert_eq!(sale.that_are(SeatStatus::Reserved), "A1");
}

#[test]
fn a_failed_payment_leaves_the_hold_to_its_deadline() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.wait(270_000).begin("ann", hold, P1).unwrap();
    assert_eq!(sale.fail(hold, P2), Ok(None), "another payment's failure is not this one's");
    assert_eq!(sale.status(hold), ReservationStatus::Paying);
    sale.fail(hold, P1).unwrap();
    assert_eq!((sale.status(hold), sale.get(hold).payment), (ReservationStatus::Held, None));
    assert_eq!(sale.deadline(hold), after(START, 300_000));
    assert_eq!(sale.fail(hold, P1), Ok(None), "it fails once");
    assert_eq!(sale.confirm(hold, P1), Err(Refusal::PaymentNotUnderWay));
    assert!(sale.exchange("ann", hold, "A2").is_ok(), "it is a hold like any other");
}

#[test]
fn a_paid_reservation_is_confirmed_for_good() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1 A2");
    sale.begin("ann", hold, P1).unwrap();
    sale.wait(5_000).confirm(hold, P1).unwrap();
    let reservation = sale.get(hold);
    assert_eq!(reservation.status, ReservationStatus::Confirmed);
    assert_eq!(reservation.confirmed_at, Some(after(START, 5_000)));
    assert_eq!(reservation.payment, Some(PaymentId::from_bits(P1)));
    assert_eq!(sale.schedule.deadline_count(), 0, "its deadline is gone");
    sale.at(SHOW).tick();
    assert_eq!(sale.that_are(SeatStatus::Reserved), "A1 A2");
}

#[test]
fn confirming_again_changes_nothing_and_another_payment_confirms_nothing() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    assert_eq!(sale.confirm(hold, P1), Err(Refusal::PaymentNotUnderWay), "no payment has begun");
    sale.begin("ann", hold, P1).unwrap();
    assert_eq!(sale.confirm(hold, P2), Err(Refusal::PaymentNotUnderWay));
    sale.confirm(hold, P1).unwrap();
    assert_eq!(sale.confirm(hold, P1), Ok(None));
    assert_eq!(sale.confirm(hold, P2), Err(Refusal::PaymentNotUnderWay));
    assert_eq!(sale.fail(hold, P1), Ok(None), "what is confirmed no longer fails");
    sale.release("ann", hold).unwrap();
    assert_eq!(sale.confirm(hold, P1), Ok(None), "it was bought");
    assert_eq!(sale.status(hold), ReservationStatus::Cancelled, "what was cancelled stays so");
}

/// Given a payment that was still under way at its deadline.
fn too_late(sale: &mut Sale) -> ReservationRef {
    let hold = sale.hold("ann", "A1 A2");
    sale.begin("ann", hold, P1).unwrap();
    let deadline = sale.deadline(hold);
    sale.at(deadline).tick();
    assert_eq!(sale.status(hold), ReservationStatus::Expired);
    assert_eq!(sale.that_are(SeatStatus::Held), "");
    hold
}

#[test]
fn money_that_comes_too_late_takes_the_same_seats_if_they_are_still_free() {
    let mut sale = Sale::open();
    let late = too_late(&mut sale);
    assert_eq!(sale.wait(60_000).confirm(late, P2), Err(Refusal::PaymentNotUnderWay));
    sale.confirm(late, P1).unwrap();
    assert_eq!(sale.that_are(SeatStatus::Reserved), "A1 A2");
    assert_eq!(sale.get(late).ended_at, None);
    assert_eq!(sale.try_hold("ann", "A3 A4 A5 A6 B1"), Err(Refusal::TooManySeats { max: 4 }));
    assert_eq!(sale.try_hold("ann", "A3 A4 A5 A6").map(|_| ()), Ok(()));
    assert_eq!(sale.try_hold("ann", "B1"), Err(Refusal::SeatLimitExceeded { max: 6 }), "its seats count");
}

#[test]
fn money_that_comes_too_late_takes_nothing_when_a_seat_is_taken() {
    let mut sale = Sale::open();
    let late = too_late(&mut sale);
    sale.hold("bob", "A2 A3");
    assert_eq!(sale.confirm(late, P1), sale.unavailable("A2"));
    assert_eq!(sale.status(late), ReservationStatus::Expired);
    assert_eq!(sale.that_are(SeatStatus::Held), "A2 A3");
    sale.block("A1").unwrap();
    assert_eq!(sale.confirm(late, P1), sale.unavailable("A1 A2"));
}

#[test]
fn money_that_comes_too_late_takes_its_seats_even_when_the_sale_has_closed() {
    let mut sale = Sale::open();
    let late = too_late(&mut sale);
    sale.does(&Command::Close);
    assert!(sale.confirm(late, P1).unwrap().is_some());
}

#[test]
fn money_that_comes_too_late_takes_nothing_once_the_show_has_begun_or_is_cancelled() {
    let keep = |plan: &mut Plan| plan.starts_at = after(START, 400_000);
    let mut sale = Sale::open_with(keep);
    let late = too_late(&mut sale);
    sale.at(after(START, 400_000));
    assert_eq!(sale.confirm(late, P1), Err(Refusal::Expired));
    let mut sale = Sale::open_with(keep);
    let late = too_late(&mut sale);
    sale.at(after(START, 399_999));
    assert!(sale.confirm(late, P1).unwrap().is_some(), "a millisecond before is in time");
    let mut sale = Sale::open();
    let late = too_late(&mut sale);
    sale.does(&Command::Cancel);
    assert_eq!(sale.confirm(late, P1), Err(Refusal::Expired));
}

#[test]
fn a_hold_that_expired_unpaid_is_not_confirmed_by_any_payment() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.wait(300_000);
    assert_eq!(sale.confirm(hold, P1), Err(Refusal::PaymentNotUnderWay));
    assert_eq!(sale.fail(hold, P1), Ok(None));
    assert_eq!(sale.status(hold), ReservationStatus::Expired);
}

/// What a seat of row A costs.
const VIP: u64 = 100;

#[test]
fn money_that_was_taken_elsewhere_confirms_a_hold_and_no_other_money_does_then() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1 A2");
    assert_eq!(sale.confirm_taken(hold, P1, 2 * VIP - 1), Err(Refusal::OtherAmount), "M2: its own amount");
    sale.wait(5_000).confirm_taken(hold, P1, 2 * VIP).unwrap();
    let reservation = sale.get(hold);
    assert_eq!(
        (reservation.status, reservation.payment),
        (ReservationStatus::Confirmed, Some(PaymentId::from_bits(P1)))
    );
    assert_eq!(reservation.confirmed_at, Some(after(START, 5_000)));
    assert_eq!(sale.confirm_taken(hold, P1, 2 * VIP), Ok(None));
    assert_eq!(sale.confirm_taken(hold, P2, 2 * VIP), Err(Refusal::PaymentNotUnderWay));
    sale.at(SHOW).tick();
    assert_eq!(sale.that_are(SeatStatus::Reserved), "A1 A2", "it has no deadline any more");
}

#[test]
fn money_for_seats_that_were_exchanged_meanwhile_must_be_what_the_new_ones_cost() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.exchange("ann", hold, "B1").unwrap();
    assert_eq!(sale.confirm_taken(hold, P1, VIP), Err(Refusal::OtherAmount));
    sale.exchange("ann", hold, "A5").unwrap();
    assert!(sale.confirm_taken(hold, P1, VIP).unwrap().is_some());
}

#[test]
fn money_that_was_taken_elsewhere_and_comes_too_late_follows_the_rule_of_all_late_money() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1 A2");
    sale.wait(300_000).tick();
    assert_eq!(sale.status(hold), ReservationStatus::Expired);
    sale.confirm_taken(hold, P1, 2 * VIP).unwrap();
    assert_eq!(sale.that_are(SeatStatus::Reserved), "A1 A2");
    assert_eq!(sale.get(hold).ended_at, None);
    sale.release("ann", hold).unwrap();
    assert_eq!(sale.confirm_taken(hold, P1, 2 * VIP), Ok(None), "it was bought");
    assert_eq!(sale.status(hold), ReservationStatus::Cancelled, "what was cancelled stays so");

    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1 A2");
    sale.wait(300_000).hold("bob", "A2");
    assert_eq!(sale.confirm_taken(hold, P1, 2 * VIP), sale.unavailable("A2"));

    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1 A2");
    sale.does(&Command::Cancel);
    assert_eq!(sale.confirm_taken(hold, P1, 2 * VIP), Err(Refusal::NotHeld));
}

#[test]
fn money_that_was_taken_elsewhere_does_not_get_in_the_way_of_a_payment_that_is_under_way() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.begin("ann", hold, P1).unwrap();
    assert_eq!(sale.confirm_taken(hold, P2, VIP), Err(Refusal::PaymentNotUnderWay));
    sale.confirm(hold, P1).unwrap();
    assert_eq!(sale.confirm_taken(hold, P2, VIP), Err(Refusal::PaymentNotUnderWay));
}
