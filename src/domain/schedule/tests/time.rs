//! Deadlines to the millisecond (S4), outages, and how long the past is kept.

use super::*;

#[test]
fn a_held_seat_is_refused_until_the_hold_expires() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    let deadline = sale.deadline(hold);
    sale.at(before(deadline, 1));
    assert_eq!(sale.try_hold("bob", "A1"), sale.unavailable("A1"));
    assert!(sale.at(deadline).try_hold("bob", "A1").is_ok(), "no timer has fired, and it is free");
    assert_eq!(sale.status(hold), ReservationStatus::Expired);
    assert_eq!(sale.get(hold).ended_at, Some(deadline));
}

#[test]
fn a_hold_works_until_its_deadline_and_not_at_it() {
    let deadline = after(START, 300_000);
    let try_at = |now: Timestamp, what: fn(&mut Sale, ReservationRef) -> Outcome| {
        let mut sale = Sale::open();
        let hold = sale.hold("ann", "A1");
        what(sale.at(now), hold).map(|_| ())
    };
    let exchange = |sale: &mut Sale, hold| sale.exchange("ann", hold, "A2");
    let begin = |sale: &mut Sale, hold| sale.begin("ann", hold, 1);
    let release = |sale: &mut Sale, hold| sale.release("ann", hold);
    assert_eq!(try_at(before(deadline, 1), exchange), Ok(()));
    assert_eq!(try_at(deadline, exchange), Err(Refusal::Expired));
    assert_eq!(try_at(before(deadline, 1), begin), Ok(()));
    assert_eq!(try_at(deadline, begin), Err(Refusal::Expired));
    assert_eq!(try_at(before(deadline, 1), release), Ok(()));
    assert_eq!(try_at(deadline, release), Err(Refusal::NotHeld));
}

#[test]
fn a_reservations_status_at_an_instant_is_known_before_its_event() {
    let mut sale = Sale::open();
    let (held, sold) = (sale.hold("ann", "A1"), sale.sell("ann", "A2"));
    let deadline = sale.deadline(held);
    assert_eq!(sale.get(held).status_at(before(deadline, 1)), ReservationStatus::Held);
    assert_eq!(sale.get(held).status_at(deadline), ReservationStatus::Expired);
    assert_eq!(sale.get(sold).status_at(deadline), ReservationStatus::Confirmed);
}

#[test]
fn holds_expire_in_the_order_of_their_deadlines_and_numbers() {
    let mut sale = Sale::open();
    let (one, two) = (sale.hold("ann", "A1"), sale.hold("ann", "A2"));
    let three = sale.wait(5_000).hold("ann", "A3");
    sale.begin("ann", one, 1).unwrap();
    assert_eq!(sale.schedule.next_due(), Some(after(START, 300_000)));
    let expired = |hold: ReservationRef| Event::HoldExpired { number: hold.number };
    assert_eq!(sale.at(after(START, 304_999)).tick(), [expired(one), expired(two)]);
    assert_eq!(sale.wait(1).tick(), [expired(three)]);
}

#[test]
#[should_panic(expected = "S4")]
fn time_never_runs_backwards_for_a_schedule() {
    let mut sale = Sale::open();
    sale.wait(1_000).hold("ann", "A1");
    sale.now = before(sale.now, 1);
    sale.hold("ann", "A2");
}

#[test]
fn an_outage_gives_every_live_hold_its_time_back() {
    let mut sale = Sale::open();
    let (held, paying, sold) = (sale.hold("ann", "A1"), sale.hold("bob", "A2"), sale.sell("cat", "A3"));
    sale.begin("bob", paying, 1).unwrap();
    let released = sale.hold("ann", "A4");
    sale.release("ann", released).unwrap();
    let down_since = after(START, 60_000);
    sale.wait(160_000).bridge(down_since).unwrap();
    for hold in [held, paying] {
        assert_eq!(sale.deadline(hold), after(START, 400_000), "100 s of downtime");
        assert!(sale.get(hold).recovered);
    }
    for ended in [sold, released] {
        assert_eq!(sale.deadline(ended), after(START, 300_000));
        assert!(!sale.get(ended).recovered);
    }
    assert_eq!(sale.status(paying), ReservationStatus::Paying);
    sale.at(after(START, 399_999));
    assert_eq!(sale.try_hold("bob", "A1"), sale.unavailable("A1"));
    assert!(sale.wait(1).try_hold("bob", "A1").is_ok());
}

#[test]
fn a_hold_that_would_have_ended_during_an_outage_gets_the_grace_after_readiness() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    let ready = after(START, 300_000);
    sale.at(ready).bridge(after(START, 200_000)).unwrap();
    assert_eq!(sale.deadline(hold), after(ready, 900_000), "not the 100 s of the downtime only");
    assert_eq!(sale.tick(), []);
    assert_eq!(sale.status(hold), ReservationStatus::Held);
}

#[test]
fn an_outage_that_is_bridged_twice_gives_what_one_bridge_would_have_given() {
    // What ends before the first start was ready, between the two, and after the second.
    for (pause, first, second) in [(0, 250_000, 400_000), (0, 310_000, 400_000), (0, 200_000, 250_000)] {
        let began = after(START, 100_000);
        let deadline = |starts: &[u64]| {
            let mut sale = Sale::open();
            let hold = sale.wait(pause).hold("ann", "A1");
            let mut crossed = began;
            for start in starts {
                sale.at(after(START, *start)).bridge_on(began, crossed).unwrap();
                crossed = sale.now;
            }
            sale.get(hold).expires_at
        };
        assert_eq!(deadline(&[first, second]), deadline(&[second]), "{first} {second}");
    }
}

#[test]
fn a_hold_that_outlives_an_outage_gets_the_downtime_and_no_grace() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.wait(299_999).bridge(after(START, 200_000)).unwrap();
    assert_eq!(sale.deadline(hold), after(START, 399_999));
}

#[test]
fn a_long_hold_gets_more_than_the_grace() {
    let mut sale = Sale::open_with(|plan| plan.policy.hold = Seconds::new(3_600));
    let hold = sale.hold("ann", "A1");
    sale.wait(5_000_000).bridge(after(START, 100_000)).unwrap();
    assert_eq!(sale.deadline(hold), after(START, 8_500_000), "3500 s were left, and still are");
}

#[test]
fn a_hold_that_was_over_before_an_outage_stays_over() {
    let mut sale = Sale::open();
    let over = sale.hold("ann", "A1");
    let living = sale.wait(1).hold("bob", "A2");
    let down_since = sale.deadline(over);
    sale.wait(1_000_000).bridge(down_since).unwrap();
    sale.tick();
    assert_eq!(sale.status(over), ReservationStatus::Expired, "from its deadline on it can't be used");
    assert!(!sale.get(over).recovered);
    assert_eq!(sale.status(living), ReservationStatus::Held);
    assert_eq!(sale.that_are(SeatStatus::Held), "A2");
}

#[test]
fn an_outage_without_live_holds_is_no_event() {
    let mut sale = Sale::open();
    sale.sell("ann", "A1");
    assert_eq!(sale.wait(1_000).bridge(START), Ok(None));
    let over = sale.hold("ann", "A2");
    let deadline = sale.deadline(over);
    assert_eq!(sale.wait(1_000_000).bridge(deadline), Ok(None), "nor with one that was over before");
}

#[test]
fn ended_reservations_are_forgotten_after_their_retention_in_event_time() {
    let mut sale = Sale::open();
    let (released, sold) = (sale.hold("ann", "A1"), sale.sell("bob", "A2"));
    sale.release("ann", released).unwrap();
    sale.wait(3_599_999).hold("cat", "B1");
    assert!(sale.schedule.reservation(released).is_some());
    sale.wait(1);
    assert!(sale.schedule.reservation(released).is_some(), "only an event's time counts, so replay agrees");
    sale.hold("cat", "B2");
    assert!(sale.schedule.reservation(released).is_none());
    assert_eq!(sale.release("ann", released), Err(Refusal::NoSuchReservation));
    assert_eq!(sale.schedule.users().filter(|user| ***user == *"ann").count(), 0, "nor is its user known");
    assert!(sale.schedule.reservation(sold).is_some(), "a confirmed one stays");
}

#[test]
fn a_reservation_that_was_confirmed_after_its_end_is_not_forgotten() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.begin("ann", hold, 1).unwrap();
    sale.wait(300_000).confirm(hold, 1).unwrap();
    sale.wait(3_600_000).hold("bob", "B1");
    assert_eq!(sale.status(hold), ReservationStatus::Confirmed);
    sale.release("ann", hold).unwrap();
    sale.wait(3_599_999).hold("bob", "B2");
    assert_eq!(sale.status(hold), ReservationStatus::Cancelled, "its retention counts from its last end");
    sale.wait(1).hold("bob", "B3");
    assert!(sale.schedule.reservation(hold).is_none());
}

#[test]
fn shorter_limits_forget_at_once_and_equal_ones_are_no_event() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.release("ann", hold).unwrap();
    assert_eq!(sale.ask(&AnyCommand::SetLimits { limits: LIMITS }), Ok(None));
    let limits = Limits { ended_retention: Seconds::new(10), ..LIMITS };
    sale.wait(10_000).does(&AnyCommand::SetLimits { limits });
    assert!(sale.schedule.reservation(hold).is_none());
    assert_eq!(sale.schedule.limits(), limits);
}
