//! What a schedule does with what the search finds: the best seats, and the rule of the single seat.

use super::*;

fn strict() -> Sale {
    Sale::open_with(|plan| plan.policy.prevent_orphan_seats = true)
}

#[test]
fn the_best_seats_are_of_the_best_grade_with_room_for_all() {
    let mut sale = Sale::open();
    let best = sale.try_best("ann", None, 2).unwrap();
    assert_eq!(sale.seats_of(best), "A3 A4");
    let best = sale.try_best("bob", None, 3).unwrap();
    assert!(sale.seats_of(best).starts_with('B'), "no three are left together in row A");
}

#[test]
fn the_grades_go_from_best_to_least_as_the_concert_ranks_them() {
    let mut sale = Sale::planned(plan());
    let ranked = Prices { best_first: [1, 0].into(), ..Prices::clone(&prices(100)) };
    sale.does(&AnyCommand::SetPrices { prices: Arc::new(ranked) });
    sale.does(&AnyCommand::Open);
    let best = sale.try_best("ann", None, 2).unwrap();
    assert_eq!(sale.seats_of(best), "B3 B4");
}

#[test]
fn the_best_seats_of_a_grade_are_of_that_grade_only() {
    let mut sale = Sale::open();
    let best = sale.try_best("ann", Some("R"), 4).unwrap();
    assert!(sale.seats_of(best).split(' ').all(|seat| seat.starts_with('B')));
    assert_eq!(sale.try_best("bob", Some("R"), 3), Err(Refusal::NotEnoughSeats));
    let last = sale.try_best("bob", Some("R"), 2).unwrap();
    assert_eq!(sale.get(last).seats.len(), 2);
    assert_eq!(sale.try_best("bob", Some("R"), 1), Err(Refusal::NotEnoughSeats));
}

#[test]
fn blocked_seats_are_not_offered() {
    let mut sale = Sale::open();
    sale.block("A1 A2 A3 A4 A5 A6 B1 B2 B3 B4 B5").unwrap();
    assert_eq!(sale.try_best("ann", None, 2), Err(Refusal::NotEnoughSeats));
    let best = sale.try_best("ann", None, 1).unwrap();
    assert_eq!(sale.seats_of(best), "B6");
}

#[test]
fn a_hold_that_would_strand_a_single_seat_is_refused_where_it_could_be_avoided() {
    let mut sale = strict();
    sale.hold("ann", "A1 A2");
    let stranded = Refusal::OrphanSeats { seats: sale.seats("A3").to_vec() };
    assert_eq!(sale.try_hold("bob", "A4 A5"), Err(stranded));
    assert_eq!(sale.that_are(SeatStatus::Held), "A1 A2");
    assert!(sale.try_hold("bob", "A3 A4").is_ok());
}

#[test]
fn without_the_rule_anyone_may_leave_a_single_seat() {
    let mut sale = Sale::open();
    sale.hold("ann", "A1 A2");
    assert!(sale.try_hold("bob", "A4 A5").is_ok());
}

#[test]
fn a_taken_seat_is_named_before_a_stranded_one() {
    let mut sale = strict();
    sale.hold("ann", "A1 A2");
    assert_eq!(sale.try_hold("bob", "A2 A4 A5"), sale.unavailable("A2"));
}

#[test]
fn an_exchange_that_would_strand_a_single_seat_is_refused() {
    let mut sale = strict();
    sale.hold("ann", "A1 A2");
    let hold = sale.hold("bob", "B1 B2");
    let stranded = Refusal::OrphanSeats { seats: sale.seats("A3").to_vec() };
    assert_eq!(sale.exchange("bob", hold, "A4 A5"), Err(stranded));
    assert_eq!(sale.seats_of(hold), "B1 B2");
}

#[test]
fn the_old_seats_of_an_exchange_count_as_free() {
    let mut sale = strict();
    sale.hold("ann", "A1");
    let hold = sale.hold("bob", "A2 A3");
    let stranded = Refusal::OrphanSeats { seats: sale.seats("A2").to_vec() };
    assert_eq!(
        sale.exchange("bob", hold, "A3 A4"),
        Err(stranded),
        "the seat that is left alone is one's own"
    );
    assert!(sale.exchange("bob", hold, "A2 A3 A4").is_ok());
    let mut sale = strict();
    let hold = sale.hold("bob", "A1 A2");
    assert!(sale.exchange("bob", hold, "A4 A5").is_ok(), "A3 is not alone: A1 and A2 are free again");
}
