//! Orders of the box office: when a clerk sells, what, for how much, and what becomes of it.

use super::accessible::Hall;
use super::areas::{PIT, layout_with_areas, places, plan_with_areas, prices_with_areas};
use super::*;
use crate::domain::ids::{AllotmentId, PaymentNumber, PriceTypeId};
use crate::domain::payments::{OrderPayment, State};
use crate::domain::schedule::orders::{Order, OrderMethod, OrderWish};
use crate::domain::schedule::terms::LineKind;

/// An order of nobody's, for cash.
pub(super) fn order_of(wish: Wish) -> OrderWish {
    let (clerk, method) = (user("carl"), OrderMethod::Cash);
    OrderWish {
        user: None,
        wish,
        types: None,
        allotment: None,
        order: Order { clerk, method, reference: None, name: None, reason: None },
        amount: None,
        nonce: 41,
        payment_nonce: 42,
    }
}

fn reference_of(outcome: Outcome) -> Result<ReservationRef, Refusal> {
    match outcome? {
        Some(Event::Ordered { number, nonce, .. }) => Ok(ReservationRef { number, nonce }),
        other => panic!("an order makes a reservation, not {other:?}"),
    }
}

impl Sale {
    pub(super) fn try_order(&mut self, order: OrderWish) -> Result<ReservationRef, Refusal> {
        reference_of(self.ask(&Command::Order(Box::new(order))))
    }

    fn order_seats(&mut self, seats: &str) -> Result<ReservationRef, Refusal> {
        let wish = Wish::seats(self.seats(seats));
        self.try_order(order_of(wish))
    }

    fn payment(&self, order: ReservationRef) -> OrderPayment {
        OrderPayment::of(&self.schedule, self.get(order)).expect("an order is its payment")
    }

    fn order_lines(&self, order: ReservationRef) -> Vec<(LineKind, String, u32, i64)> {
        let lines = self.get(order).terms.as_ref().unwrap().lines.iter();
        lines.map(|line| (line.kind, line.name.to_string(), line.count, line.amount)).collect()
    }
}

#[test]
fn an_order_is_a_confirmed_reservation_and_its_own_payment_in_one_event() {
    let mut sale = Sale::open();
    let version = sale.schedule.version();
    let order = sale.order_seats("A1 B2").unwrap();

    assert_eq!(sale.schedule.version(), version + 1);
    let kept = sale.get(order).clone();
    assert_eq!((kept.status, kept.user.as_ref()), (ReservationStatus::Confirmed, None));
    assert_eq!((kept.created_at, kept.confirmed_at), (sale.now, Some(sale.now)));
    assert_eq!(sale.that_are(SeatStatus::Reserved), "A1 B2");
    let expected = [(LineKind::Seat, "VIP".to_owned(), 1, 100), (LineKind::Seat, "R".to_owned(), 1, 70)];
    assert_eq!(sale.order_lines(order), expected);

    let payment = sale.payment(order);
    assert_eq!((Some(payment.id), payment.reservation), (kept.payment, order));
    assert_eq!((payment.amount(), payment.state()), (Money::new(170).unwrap(), State::Completed));
    assert_eq!(payment.id.number.order(), Some(order.number), "its id leads to it");
    assert_eq!(OrderPayment::find(&sale.schedule, payment.id), Some(payment.clone()));
    let guessed = PaymentId { nonce: payment.id.nonce ^ 1, ..payment.id };
    assert_eq!(OrderPayment::find(&sale.schedule, guessed), None);
    let of_a_saga = PaymentId { number: PaymentNumber(order.number.0), ..payment.id };
    assert_eq!(OrderPayment::find(&sale.schedule, of_a_saga), None);
    // What a user buys is no order.
    let bought = sale.sell("ann", "A2");
    assert_eq!(OrderPayment::of(&sale.schedule, sale.get(bought)), None);
    assert!(sale.schedule.orders().map(|kept| kept.number).eq([order.number]));
}

#[test]
fn an_order_keeps_its_user_from_more_seats_and_not_from_fewer_or_others() {
    let mut sale = Sale::open_with(|plan| plan.policy.seats_per_user_max = 2);
    let hold = sale.hold("ann", "A1 A2");
    let order = OrderWish { user: Some(user("ann")), ..order_of(Wish::seats(sale.seats("B1 B2 B3"))) };
    sale.try_order(order).unwrap();
    sale.exchange("ann", hold, "A1 A3").unwrap();
    sale.exchange("ann", hold, "A3").unwrap();
    let refused = Err(Refusal::SeatLimitExceeded { max: 2 });
    assert_eq!(sale.exchange("ann", hold, "A3 A4"), refused);
}

#[test]
fn price_types_that_were_read_from_another_list_are_refused() {
    let mut sale = Sale::planned(plan());
    let read = |types: &[&str], sale: &Sale| {
        let types = types.iter().map(|id| PriceTypeId::parse(id).unwrap()).collect();
        OrderWish { types: Some(types), ..order_of(Wish::seats(sale.seats("A1"))) }
    };
    let why = "the concert's price types have changed this moment: ask again";
    let refused = Err(Refusal::Unfit { field: "scheduleId", why });
    assert_eq!(sale.try_order(read(&["adult", "youth"], &sale)), refused);
    sale.try_order(read(&[], &sale)).unwrap();
}

#[test]
fn prices_that_an_order_was_sold_at_stand_whatever_becomes_of_the_concerts_change() {
    let mut sale = Sale::planned(plan());
    let [old, new] = [prices(100), prices(250)];
    sale.does(&AnyCommand::Reprice { prices: Arc::clone(&new) });
    sale.order_seats("A1").unwrap();
    // The concert's change came to nothing: a start, or the catalogue, sets the old ones again.
    let back = AnyCommand::SetPrices { prices: Arc::clone(&old) };
    assert_eq!(sale.ask(&back), Ok(None));
    assert_eq!(sale.schedule.decide_at_start(&back), None);
    assert_eq!(sale.ask(&AnyCommand::Reprice { prices: old }), Err(Refusal::PricesFixed));
    assert_eq!(sale.does(&AnyCommand::Open), Event::SalesOpened { prices: Some(new) });
}

#[test]
fn a_schedule_takes_as_many_orders_as_it_has_places_and_ten_thousand_that_were_cancelled() {
    let mut schedule = Sale::planned(plan()).schedule;
    let mut does = |command: AnyCommand| {
        let event = schedule.decide(&command, START)?.unwrap();
        schedule.apply(&event, START, None);
        Ok(event)
    };
    let order = || Command::Order(Box::new(order_of(Wish::seats([Seat(0)])))).into();
    for _ in 0..10_000 + layout().seat_count() {
        let reservation = reference_of(does(order()).map(Some)).unwrap();
        does(Command::Release { reservation, caller: Caller::Clerk }.into()).unwrap();
    }
    let why = "more of its orders were cancelled than can be kept";
    assert_eq!(does(order()), Err(Refusal::Unfit { field: "scheduleId", why }));
}

#[test]
fn the_box_office_sells_before_and_after_the_sale_and_to_the_end_of_the_performance() {
    let mut sale = Sale::planned(plan());
    assert_eq!(sale.schedule.summary().status, SaleStatus::Upcoming);
    sale.order_seats("A1").unwrap();
    // What it was sold at stands for the sale, too.
    let dearer = AnyCommand::Reprice { prices: prices(120) };
    assert_eq!(sale.ask(&dearer), Err(Refusal::PricesFixed));
    let order = sale.order_seats("A2").unwrap();
    sale.does(&AnyCommand::Open);
    let amounts: Vec<u64> =
        sale.schedule.orders().map(|order| sale.schedule.amount_of(order).minor()).collect();
    assert_eq!(amounts, [100, 100]);

    sale.does(&Command::Close);
    assert_eq!(sale.try_hold("ann", "A3"), Err(Refusal::NotOpen));
    sale.order_seats("A3").unwrap();
    let ends = SHOW.plus(Seconds::new(7_200));
    sale.at(before(ends, 1)).order_seats("A4").unwrap();
    assert_eq!(sale.at(ends).order_seats("A5"), Err(Refusal::NotOpen), "nobody can come any more");
    assert_eq!(sale.status(order), ReservationStatus::Confirmed);

    let mut sale = Sale::open();
    sale.does(&Command::Cancel);
    assert_eq!(sale.order_seats("A1"), Err(Refusal::NotOpen));
}

#[test]
fn a_clerk_sells_above_what_the_policy_gives_users() {
    let mut sale = Sale::open_with(|plan| {
        plan.policy.seats_per_reservation_max = 2;
        plan.policy.seats_per_user_max = 2;
        plan.policy.prevent_orphan_seats = true;
    });
    sale.hold("bob", "A1");
    assert_eq!(sale.try_hold("ann", "A3"), Err(Refusal::OrphanSeats { seats: sale.seats("A2").to_vec() }));
    // A seat between is left alone, and there are more of them than a user may have.
    let order = OrderWish { user: Some(user("ann")), ..order_of(Wish::seats(sale.seats("A3 A5 B1 B2 B3"))) };
    let order = sale.try_order(order).unwrap();
    assert_eq!(sale.get(order).user, Some(user("ann")));
    assert!(sale.schedule.reservations_of("ann").map(|own| own.number).eq([order.number]));
    // They are the user's seats from now on.
    assert_eq!(sale.try_hold("ann", "B5"), Err(Refusal::SeatLimitExceeded { max: 2 }));

    let many: Arc<[Seat]> = (0..101).map(Seat).collect();
    assert_eq!(sale.try_order(order_of(Wish::seats(many))), Err(Refusal::TooManySeats { max: 100 }));
    assert_eq!(sale.try_order(order_of(Wish::default())), Err(Refusal::NoSeats));
}

#[test]
fn an_order_never_takes_what_somebody_has_or_what_is_off_sale_or_set_aside() {
    let mut sale = Sale::open();
    sale.hold("ann", "A1");
    sale.sell("bob", "A2");
    sale.block("A3").unwrap();
    sale.set_aside("press", "A4", None).unwrap();
    sale.order_seats("A5").unwrap();
    for seat in ["A1", "A2", "A3", "A4", "A5"] {
        assert_eq!(sale.order_seats(&format!("A6 {seat}")), sale.unavailable(seat), "all or none");
    }
    let best = |grade| order_of(Wish::best_of(Some(grade), 2));
    let vip = sale.schedule.layout().grade("VIP").unwrap();
    assert_eq!(sale.try_order(best(vip)), Err(Refusal::NotEnoughSeats));
    // An unpaid hold's seat is the next one's.
    sale.wait(300_000).order_seats("A1").unwrap();
}

#[test]
fn an_order_for_an_allotment_takes_from_it_alone_and_gives_back_to_it() {
    let mut sale = Sale::open();
    sale.set_aside("press", "A1 A2 B1", None).unwrap();
    let press = AllotmentId::parse("press").unwrap();
    let of_press = |wish| OrderWish { allotment: Some(press.clone()), ..order_of(wish) };

    let other = of_press(Wish::seats(sale.seats("A1 A3")));
    assert_eq!(sale.try_order(other), sale.unavailable("A3"));
    let unknown =
        OrderWish { allotment: AllotmentId::parse("other").ok(), ..order_of(Wish::seats(sale.seats("A1"))) };
    let refused = Refusal::Unfit { field: "allotmentId", why: "the schedule has no such allotment" };
    assert_eq!(sale.try_order(unknown), Err(refused));
    assert_eq!(sale.try_order(of_press(Wish::best(4))), Err(Refusal::NotEnoughSeats));

    let order = sale.try_order(of_press(Wish::best(2))).unwrap();
    assert_eq!((sale.seats_of(order), sale.counts("press")), ("A1 A2".into(), [3, 0, 2, 1]));
    sale.release("clerk", order).unwrap();
    assert_eq!((sale.counts("press"), sale.that_are(SeatStatus::Blocked)), ([3, 0, 0, 3], "A1 A2 B1".into()));
}

#[test]
fn what_is_taken_may_be_another_sum_with_a_reason() {
    let mut sale = Sale::open();
    let set = |sale: &Sale, seats: &str, method, amount: Option<u64>, reason: Option<&str>| {
        let mut order = order_of(Wish::seats(sale.seats(seats)));
        order.amount = amount.map(|minor| Money::new(minor).unwrap());
        (order.order.method, order.order.reason) = (method, reason.map(Into::into));
        order
    };
    let (cash, free) = (OrderMethod::Cash, OrderMethod::Complimentary);
    let vip = |count: u32| (LineKind::Seat, "VIP".to_owned(), count, 100 * i64::from(count));

    let order = sale.try_order(set(&sale, "A1", cash, Some(40), Some("staff"))).unwrap();
    assert_eq!(sale.order_lines(order), [vip(1), (LineKind::Discount, "staff".into(), 1, -60)]);
    let order = sale.try_order(set(&sale, "A2", cash, Some(130), Some("programme"))).unwrap();
    assert_eq!(sale.order_lines(order), [vip(1), (LineKind::Fee, "programme".into(), 1, 30)]);
    let order = sale.try_order(set(&sale, "A3", cash, Some(100), Some("as ever"))).unwrap();
    assert_eq!(sale.order_lines(order), [vip(1)], "nothing to make up for");

    let order = sale.try_order(set(&sale, "A4", free, None, None)).unwrap();
    assert_eq!(sale.order_lines(order), [vip(1), (LineKind::Discount, "complimentary".into(), 1, -100)]);
    assert_eq!(sale.payment(order).amount(), Money::ZERO);
    let order = sale.try_order(set(&sale, "A5", free, Some(0), Some("critic"))).unwrap();
    assert_eq!(sale.order_lines(order), [vip(1), (LineKind::Discount, "critic".into(), 1, -100)]);

    let unfit = |field, why| Err(Refusal::Unfit { field, why });
    let order = set(&sale, "A6", cash, Some(0), None);
    assert_eq!(sale.try_order(order), unfit("reason", "is needed with amount"));
    let order = set(&sale, "A6", free, Some(1), Some("critic"));
    assert_eq!(sale.try_order(order), unfit("amount", "a complimentary order costs nothing"));
}

#[test]
fn a_cancelled_order_is_given_back_by_hand_and_is_never_forgotten() {
    let mut sale = Sale::open();
    let paid = OrderWish { user: Some(user("ann")), ..order_of(Wish::seats(sale.seats("A1"))) };
    let paid = sale.try_order(paid).unwrap();
    let mut given = order_of(Wish::seats(sale.seats("A2")));
    given.order.method = OrderMethod::Complimentary;
    let given = sale.try_order(given).unwrap();

    sale.wait(10);
    sale.release("clerk", paid).unwrap();
    sale.release("admin", given).unwrap();
    assert_eq!(sale.release("clerk", paid), Ok(None), "again changes nothing");
    assert_eq!(sale.that_are(SeatStatus::Reserved), "");
    assert_eq!(
        (sale.payment(paid).state(), sale.payment(paid).refund()),
        (State::Refunding, prices(100).by_grade[0])
    );
    assert_eq!(
        (sale.payment(given).state(), sale.payment(given).refunded_at()),
        (State::Refunded, Some(sale.now))
    );

    // Everything else is forgotten by then.
    let released = sale.hold("ann", "A3");
    sale.release("ann", released).unwrap();
    sale.wait(2 * 3_600_000).hold("ann", "A3");
    assert_eq!(sale.schedule.reservation(released), None);
    assert_eq!(
        (sale.payment(paid).state(), sale.payment(given).state()),
        (State::Refunding, State::Refunded)
    );
    assert_eq!(sale.schedule.reservations_of("ann").count(), 2);
}

#[test]
fn a_performance_that_is_cancelled_cancels_its_orders() {
    let mut sale = Sale::open();
    let order = sale.order_seats("A1").unwrap();
    sale.does(&Command::Cancel);
    assert_eq!(
        (sale.status(order), sale.payment(order).state()),
        (ReservationStatus::Cancelled, State::Refunding)
    );
}

#[test]
fn a_clerk_cancels_orders_and_nothing_else_and_users_their_own_in_time() {
    let mut sale = Sale::open();
    let bought = sale.sell("ann", "A1");
    assert_eq!(sale.release("clerk", bought), Err(Refusal::NoSuchReservation));
    let held = sale.hold("ann", "A2");
    assert_eq!(sale.release("clerk", held), Err(Refusal::NoSuchReservation));
    let nobodys = sale.order_seats("A3").unwrap();
    assert_eq!(sale.release("ann", nobodys), Err(Refusal::NoSuchReservation));
    let of_bob = |seats| OrderWish { user: Some(user("bob")), ..order_of(Wish::seats(seats)) };
    let late = sale.try_order(of_bob(sale.seats("A4"))).unwrap();
    let early = sale.try_order(of_bob(sale.seats("A5"))).unwrap();
    assert_eq!(sale.release("ann", early), Err(Refusal::NoSuchReservation));
    sale.release("bob", early).unwrap();
    sale.at(before(SHOW, DAY / 2));
    assert_eq!(sale.release("bob", late), Err(Refusal::CancellationClosed));
    sale.release("clerk", late).unwrap();
}

#[test]
fn places_of_areas_are_sold_beside_seats() {
    let creation = Creation { prices: Some(prices_with_areas()), ..creation(plan_with_areas()) };
    let schedule = Schedule::create(creation, layout_with_areas(), START);
    let mut sale = Sale { schedule, now: START, nonce: 100 };
    let wish = |seats: Arc<[Seat]>, count| Wish { areas: places(&[(PIT, count)]), ..Wish::seats(seats) };
    let order = sale.try_order(order_of(wish(sale.seats("A1"), 6))).unwrap();
    assert_eq!(sale.order_lines(order)[1], (LineKind::Area, "ST".to_owned(), 6, 240));
    let refused = sale.try_order(order_of(wish(sale.seats("A2"), 2)));
    assert_eq!(refused, Err(Refusal::NotEnoughPlaces { areas: vec![(PIT, 1)] }));
    let counts = |sale: &Sale| SeatStatus::ALL.map(|status| sale.schedule.area_counts()[0].of(status));
    assert_eq!(counts(&sale), [1, 0, 6, 0]);
    sale.release("clerk", order).unwrap();
    assert_eq!(counts(&sale), [7, 0, 0, 0]);
}

#[test]
fn a_clerk_who_names_an_accessible_seat_sells_it_and_the_best_are_as_for_everyone() {
    // `A3` is accessible, and `A4` its companion's.
    let mut hall = Hall::open_with(|_| ());
    let vip = hall.sale.schedule.layout().grade("VIP");
    let best = Command::Order(Box::new(order_of(Wish::best_of(vip, 3))));
    let order = reference_of(hall.ask(best)).unwrap();
    assert_eq!(hall.sale.seats_of(order), "A1 A2 A5");
    let named = Command::Order(Box::new(order_of(Wish::seats(hall.sale.seats("A3 A4")))));
    let order = reference_of(hall.ask(named)).unwrap();
    assert_eq!(hall.sale.seats_of(order), "A3 A4");
}
