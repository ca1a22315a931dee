//! The sale itself: opening, closing, cancelling, changing the plan, removing.

use super::*;

fn timed() -> Plan {
    let (opens, closes) = (after(START, 60_000), after(START, 120_000));
    Plan { sales_open_at: Some(opens), sales_close_at: Some(closes), ..plan() }
}

#[test]
fn a_sale_opens_and_closes_by_itself_at_its_instants_whether_or_not_a_timer_fires() {
    let mut sale = Sale::planned(timed());
    assert_eq!(sale.schedule.next_due(), Some(after(START, 60_000)));
    assert_eq!(sale.wait(59_999).try_hold("ann", "A1"), Err(Refusal::NotOpen));
    assert!(sale.wait(1).try_hold("ann", "A1").is_ok());
    assert_eq!(sale.schedule.next_due(), Some(after(START, 120_000)));
    assert!(sale.wait(59_999).try_hold("ann", "A2").is_ok());
    assert_eq!(sale.wait(1).try_hold("ann", "A3"), Err(Refusal::NotOpen));
    assert_eq!(sale.schedule.summary().status, SaleStatus::Closed);
}

#[test]
fn the_sale_at_an_instant_is_known_before_the_event_that_says_so() {
    let sale = Sale::planned(timed());
    let at = |millis| sale.schedule.sale_at(after(START, millis));
    assert_eq!(at(59_999), SaleStatus::Upcoming);
    assert_eq!((at(60_000), at(119_999)), (SaleStatus::Open, SaleStatus::Open));
    assert_eq!(at(120_000), SaleStatus::Closed);
    let has_opened = |millis| sale.schedule.has_opened_by(after(START, millis));
    assert_eq!([59_999, 60_000, 120_000].map(has_opened), [false, true, true]);
}

#[test]
fn a_sale_that_slept_through_its_hours_has_opened_and_closed() {
    let mut sale = Sale::planned(timed());
    let came = sale.wait(500_000).tick();
    assert_eq!(came, [Event::SalesOpened { prices: Some(prices(100)) }, Event::SalesClosed]);
}

#[test]
fn a_sale_without_a_closing_instant_closes_when_the_show_begins() {
    let mut sale = Sale::open();
    assert!(sale.at(before(SHOW, 1)).try_hold("ann", "A1").is_ok());
    assert_eq!(sale.at(SHOW).try_hold("ann", "A2"), Err(Refusal::NotOpen));
    assert_eq!(sale.tick(), []);
}

#[test]
fn a_hold_that_ends_as_the_sale_closes_ends_first() {
    let mut sale = Sale::open_with(|plan| plan.sales_close_at = Some(after(START, 300_000)));
    let hold = sale.hold("ann", "A1");
    let came = sale.wait(300_000).tick();
    assert_eq!(came, [Event::HoldExpired { number: hold.number }, Event::SalesClosed]);
}

#[test]
fn an_administrator_opens_and_closes_at_will() {
    let open = AnyCommand::Open;
    let mut sale = Sale::planned(plan());
    assert_eq!(sale.ask(&Command::Close), Err(Refusal::InvalidTransition), "it hasn't opened yet");
    sale.does(&open);
    assert_eq!(sale.ask(&open), Ok(None));
    sale.does(&Command::Close);
    assert_eq!(sale.ask(&Command::Close), Ok(None));
    sale.does(&open);
    sale.does(&Command::Cancel);
    assert_eq!(sale.ask(&Command::Cancel), Ok(None));
    assert_eq!(sale.ask(&open), Err(Refusal::InvalidTransition));
    assert_eq!(sale.ask(&Command::Close), Err(Refusal::InvalidTransition));
    assert_eq!(sale.block("A1"), Err(Refusal::InvalidTransition));
    assert_eq!(sale.unblock("A1"), Err(Refusal::InvalidTransition));
}

#[test]
fn a_sale_whose_closing_instant_has_come_opens_no_more() {
    let open = AnyCommand::Open;
    let mut sale = Sale::planned(plan());
    assert_eq!(sale.at(SHOW).ask(&open), Err(Refusal::InvalidTransition));
    let mut sale = Sale::planned(plan());
    assert!(sale.at(before(SHOW, 1)).ask(&open).unwrap().is_some(), "a millisecond before it does");
    let mut sale = Sale::planned(timed());
    assert_eq!(sale.wait(120_000).ask(&open), Err(Refusal::InvalidTransition), "nor opens again");
}

#[test]
fn a_sale_that_was_closed_by_hand_does_not_open_by_itself() {
    let mut sale = Sale::planned(timed());
    sale.does(&AnyCommand::Open);
    sale.does(&Command::Close);
    assert_eq!(sale.schedule.next_due(), None);
    assert_eq!(sale.wait(60_000).try_hold("ann", "A1"), Err(Refusal::NotOpen));
}

#[test]
fn the_prices_are_those_of_the_first_opening() {
    let mut sale = Sale::planned(plan());
    assert_eq!(sale.schedule.prices(), Some(&prices(100)), "as it was created");
    let reprice = |price| AnyCommand::Reprice { prices: prices(price) };
    assert_eq!(sale.does(&reprice(250)), Event::PricesSet { prices: prices(250) });
    assert_eq!(sale.ask(&reprice(250)), Ok(None));
    assert_eq!(sale.does(&AnyCommand::Open), Event::SalesOpened { prices: Some(prices(250)) });
    assert_eq!(sale.ask(&reprice(999)), Err(Refusal::PricesFixed));
    sale.does(&Command::Close);
    assert_eq!(sale.ask(&reprice(250)), Err(Refusal::PricesFixed));
    assert_eq!(sale.ask(&AnyCommand::SetPrices { prices: prices(999) }), Ok(None), "its own stand");
    assert_eq!(sale.does(&AnyCommand::Open), Event::SalesOpened { prices: None });
    let hold = sale.hold("ann", "A1 B1");
    assert_eq!(sale.schedule.amount(&sale.get(hold).seats).minor(), 320);
    let mut sale = Sale::planned(timed());
    sale.wait(60_000).tick();
    assert_eq!(sale.schedule.prices(), Some(&prices(100)), "also when it opens by itself");
}

#[test]
fn a_sale_that_opens_in_a_moment_keeps_its_prices_and_is_given_old_ones_back_all_the_same() {
    let mut sale = Sale::planned(timed());
    sale.wait(54_999);
    sale.does(&AnyCommand::Reprice { prices: prices(250) });
    sale.wait(1);
    assert_eq!(sale.ask(&AnyCommand::Reprice { prices: prices(300) }), Err(Refusal::PricesFixed));
    sale.does(&AnyCommand::SetPrices { prices: prices(100) });
    assert_eq!(sale.wait(5_000).tick(), [Event::SalesOpened { prices: Some(prices(100)) }]);
}

#[test]
fn a_schedule_of_a_journal_of_before_has_no_prices_until_they_are_set_or_its_sale_opens() {
    let mut schedule = Schedule::create(Creation { prices: None, ..creation(plan()) }, layout(), START);
    let opened = Event::SalesOpened { prices: Some(prices(250)) };
    let mut of_before = schedule.clone();
    of_before.apply(&opened, START, None);
    assert_eq!((of_before.prices(), of_before.has_opened()), (Some(&prices(250)), true));

    assert_eq!(schedule.prices(), None);
    let set = schedule.decide_at_start(&AnyCommand::SetPrices { prices: prices(250) }).unwrap();
    schedule.apply(&set, START, None);
    assert_eq!((schedule.prices(), schedule.has_opened()), (Some(&prices(250)), false));
    assert_eq!(schedule.decide(&AnyCommand::Open, START), Ok(Some(opened)));
}

#[test]
fn a_cancelled_schedule_gives_all_seats_back() {
    let mut sale = Sale::open();
    let (held, paying, sold) = (sale.hold("ann", "A1"), sale.hold("bob", "A2"), sale.sell("cat", "A3 A4"));
    let released = sale.hold("ann", "B1");
    sale.release("ann", released).unwrap();
    sale.block("B6").unwrap();
    sale.begin("bob", paying, 1).unwrap();
    sale.wait(1_000).does(&Command::Cancel);
    assert_eq!(sale.schedule.counts(), Counts { available: 11, held: 0, reserved: 0, blocked: 1 });
    assert_eq!(sale.status(held), ReservationStatus::Released);
    assert_eq!(sale.status(paying), ReservationStatus::Released);
    assert_eq!(
        sale.get(paying).payment,
        Some(PaymentId::from_bits(1)),
        "whose money is to be given back is known"
    );
    assert_eq!(sale.status(sold), ReservationStatus::Cancelled);
    assert_eq!(sale.get(sold).cancelled_at, Some(after(START, 1_000)));
    assert_eq!(sale.get(released).ended_at, Some(START), "what had ended is left alone");
    let changed = sale.schedule.changed().to_vec();
    assert_eq!(sale.names(&changed), "A1 A2 A3 A4");
    assert_eq!(sale.schedule.next_due(), None);
    assert_eq!(sale.confirm(paying, 1), Err(Refusal::NotHeld), "what it captures is refunded");
    assert_eq!(sale.begin("ann", held, 2), Err(Refusal::NotHeld));
    assert_eq!(sale.release("cat", sold), Ok(None));
    assert_eq!(sale.try_hold("ann", "A1"), Err(Refusal::NotOpen));
}

#[test]
fn an_upcoming_schedule_that_is_cancelled_never_opens() {
    let mut sale = Sale::planned(timed());
    sale.does(&Command::Cancel);
    assert_eq!(sale.wait(60_000).tick(), []);
    assert_eq!(sale.schedule.sale_at(sale.now), SaleStatus::Cancelled);
    assert!(!sale.schedule.has_opened_by(sale.now));
}

#[test]
fn an_equal_plan_is_no_event_and_another_concert_is_refused() {
    let mut sale = Sale::open();
    assert_eq!(sale.replan(|_| ()), Ok(None));
    let (concert, plan) = (ConcertId::parse("other").unwrap(), Arc::clone(sale.schedule.plan()));
    assert_eq!(sale.ask(&AnyCommand::Replan { concert, plan }), Err(Refusal::ConcertFixed));
}

#[test]
fn a_new_plan_holds_from_its_event_on() {
    let mut sale = Sale::open();
    let old = sale.hold("ann", "A1 A2");
    sale.replan(|plan| {
        plan.policy.hold = Seconds::new(10);
        plan.policy.seats_per_reservation_max = 1;
        plan.policy.seats_per_user_max = 2;
    })
    .unwrap();
    assert_eq!(sale.deadline(old), after(START, 300_000), "what is held keeps its deadline");
    assert_eq!(sale.try_hold("bob", "A3 A4"), Err(Refusal::TooManySeats { max: 1 }));
    assert_eq!(sale.try_hold("ann", "A3"), Err(Refusal::SeatLimitExceeded { max: 2 }));
    let new = sale.hold("bob", "A3");
    assert_eq!(sale.deadline(new), after(START, 10_000));
    let soon = after(START, 20_000);
    sale.replan(|plan| plan.sales_close_at = Some(soon)).unwrap();
    assert_eq!(sale.at(soon).try_hold("cat", "B1"), Err(Refusal::NotOpen));
    sale.replan(|plan| plan.sales_close_at = None).unwrap();
    assert_eq!(sale.try_hold("cat", "B1"), Err(Refusal::NotOpen), "what has closed opens only by hand");
    sale.does(&AnyCommand::Open);
    assert!(sale.try_hold("cat", "B1").is_ok());
}

#[test]
fn a_sale_whose_closing_is_moved_into_the_past_closes_with_the_next_request() {
    let mut sale = Sale::open();
    sale.wait(60_000).replan(|plan| plan.sales_close_at = Some(START)).unwrap();
    assert_eq!(sale.schedule.sale_at(sale.now), SaleStatus::Closed);
    assert_eq!(sale.try_hold("ann", "A1"), Err(Refusal::NotOpen));
}

#[test]
fn a_schedule_is_removed_while_nothing_is_live_and_nothing_was_ever_confirmed() {
    let mut sale = Sale::open();
    let held = sale.hold("ann", "A1");
    assert_eq!(sale.ask(&AnyCommand::Delete), Err(Refusal::InUse));
    sale.begin("ann", held, 1).unwrap();
    assert_eq!(sale.ask(&AnyCommand::Delete), Err(Refusal::InUse));
    let mut sold = Sale::open();
    let reservation = sold.sell("ann", "A1");
    assert_eq!(sold.ask(&AnyCommand::Delete), Err(Refusal::InUse));
    sold.release("ann", reservation).unwrap();
    assert_eq!(sold.ask(&AnyCommand::Delete), Err(Refusal::InUse), "it was confirmed once");
    sale.fail(held, 1).unwrap();
    sale.release("ann", held).unwrap();
    sale.does(&AnyCommand::Delete);
    assert!(sale.schedule.is_deleted());
}

#[test]
fn a_removed_schedule_refuses_everything_and_has_nothing_due() {
    let mut sale = Sale::planned(timed());
    sale.does(&AnyCommand::Delete);
    assert_eq!(sale.wait(60_000).tick(), [], "it doesn't open any more");
    assert_eq!(sale.schedule.next_due(), None);
    assert_eq!(sale.ask(&AnyCommand::Delete), Err(Refusal::NoSuchReservation));
    assert_eq!(sale.try_hold("ann", "A1"), Err(Refusal::NoSuchReservation));
}
