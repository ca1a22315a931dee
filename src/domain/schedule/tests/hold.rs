//! Holding, exchanging and giving back (S1, S2, S5), and who may.

use super::*;
use crate::domain::ids::SEALED;

#[test]
fn seats_are_held_all_or_none_and_every_taken_one_is_named() {
    let mut sale = Sale::open();
    sale.hold("ann", "A2 A3");
    sale.block("A5").unwrap();
    assert_eq!(sale.try_hold("bob", "A1 A2 A3 A5"), sale.unavailable("A2 A3 A5"));
    assert_eq!(sale.that_are(SeatStatus::Held), "A2 A3");
    assert_eq!(sale.schedule.counts(), Counts { available: 9, held: 2, reserved: 0, blocked: 1 });
    assert_eq!(sale.schedule.reservations_of("bob").count(), 0);
}

#[test]
fn a_hold_keeps_the_seats_in_the_order_asked_for_and_its_deadline() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A3 B1 A1");
    assert_eq!(sale.seats_of(hold), "A3 B1 A1");
    assert_eq!(sale.status(hold), ReservationStatus::Held);
    assert_eq!(sale.deadline(hold), after(START, 300_000));
    assert_eq!(sale.schedule.amount(&sale.get(hold).seats).minor(), 270);
    assert_eq!(sale.that_are(SeatStatus::Held), "A1 A3 B1");
}

#[test]
fn a_hold_has_at_least_one_seat_and_no_more_than_a_reservation_may_have() {
    let mut sale = Sale::open();
    assert_eq!(sale.try_hold("ann", ""), Err(Refusal::NoSeats));
    assert_eq!(sale.try_best("ann", None, 0), Err(Refusal::NoSeats));
    assert_eq!(sale.try_hold("ann", "A1 A2 A3 A4 A5"), Err(Refusal::TooManySeats { max: 4 }));
    assert_eq!(sale.try_best("ann", None, 5), Err(Refusal::TooManySeats { max: 4 }));
    assert!(sale.try_hold("ann", "A1 A2 A3 A4").is_ok());
}

#[test]
fn the_seats_of_a_users_live_reservations_count_against_the_limit_until_they_end() {
    let full = Err(Refusal::SeatLimitExceeded { max: 6 });
    let mut sale = Sale::open();
    sale.sell("ann", "A1 A2");
    let paying = sale.hold("ann", "A3 A4");
    sale.begin("ann", paying, 1).unwrap();
    let held = sale.hold("ann", "A5");
    assert_eq!(sale.try_hold("ann", "B1 B2"), full, "confirmed, paying and held seats all count");
    let last = sale.hold("ann", "B1");
    assert_eq!(sale.try_best("ann", None, 1), full);
    assert!(sale.try_hold("bob", "B2").is_ok(), "the limit is each user's own");
    sale.release("ann", held).unwrap();
    assert!(sale.try_hold("ann", "A5").is_ok(), "a released seat no longer counts");
    assert_eq!(sale.try_hold("ann", "B3"), full);
    let expiry = sale.deadline(last);
    sale.at(expiry);
    assert_eq!(sale.try_hold("ann", "B3 B4 B5 B6").map(|_| ()), Ok(()), "expired seats no longer count");
}

#[test]
fn a_cancelled_reservation_no_longer_counts_against_the_limit() {
    let mut sale = Sale::open_with(|plan| plan.policy.seats_per_user_max = 2);
    let sold = sale.sell("ann", "A1 A2");
    assert_eq!(sale.try_hold("ann", "A3"), Err(Refusal::SeatLimitExceeded { max: 2 }));
    sale.release("ann", sold).unwrap();
    assert!(sale.try_hold("ann", "A1 A2").is_ok());
}

#[test]
fn an_exchange_gets_all_new_seats_or_keeps_all_old_ones() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1 A2");
    sale.hold("bob", "A4");
    let before = sale.schedule.clone();
    assert_eq!(sale.exchange("ann", hold, "A3 A4 A5"), sale.unavailable("A4"));
    assert!(sale.schedule == before, "a refusal changes nothing");
    sale.exchange("ann", hold, "A5 A3").unwrap();
    assert_eq!(sale.seats_of(hold), "A5 A3");
    assert_eq!(sale.that_are(SeatStatus::Held), "A3 A4 A5");
    assert!(sale.try_hold("bob", "A1 A2").is_ok(), "the old seats are free at once");
}

#[test]
fn an_exchange_may_keep_some_of_its_own_seats() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1 A2 A3");
    sale.exchange("ann", hold, "A3 A4").unwrap();
    assert_eq!(sale.that_are(SeatStatus::Held), "A3 A4");
    let changed: Vec<Seat> = sale.schedule.changed().to_vec();
    assert_eq!(sale.names(&changed), "A1 A2 A4", "a seat that stays changes for nobody");
}

#[test]
fn an_exchange_for_the_same_seats_is_no_event() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1 A2");
    assert_eq!(sale.exchange("ann", hold, "A1 A2"), Ok(None));
}

#[test]
fn an_exchange_leaves_the_deadline_where_it_was() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    sale.wait(200_000).exchange("ann", hold, "A2").unwrap();
    assert_eq!(sale.deadline(hold), after(START, 300_000));
    sale.at(after(START, 300_000));
    assert_eq!(sale.exchange("ann", hold, "A3"), Err(Refusal::Expired));
}

#[test]
fn an_exchange_keeps_to_the_limits_without_counting_its_old_seats() {
    let mut sale = Sale::open_with(|plan| plan.policy.seats_per_user_max = 5);
    sale.hold("ann", "B1 B2");
    let hold = sale.hold("ann", "A1 A2 A3");
    assert!(sale.exchange("ann", hold, "A4 A5 A6").is_ok());
    assert_eq!(sale.exchange("ann", hold, "A1 A2 A3 A4"), Err(Refusal::SeatLimitExceeded { max: 5 }));
    assert_eq!(sale.exchange("ann", hold, "A1 A2 A3 A4 A5"), Err(Refusal::TooManySeats { max: 4 }));
    assert_eq!(sale.exchange("ann", hold, ""), Err(Refusal::NoSeats));
    sale.exchange("ann", hold, "A1").unwrap();
    assert!(sale.try_hold("ann", "A4 A5").is_ok(), "seats that were given back no longer count");
}

#[test]
fn only_a_hold_can_be_exchanged() {
    let mut sale = Sale::open();
    let (sold, paying, released) = (sale.sell("ann", "A1"), sale.hold("ann", "A2"), sale.hold("ann", "A3"));
    sale.begin("ann", paying, 1).unwrap();
    sale.release("ann", released).unwrap();
    for reservation in [sold, paying, released] {
        assert_eq!(sale.exchange("ann", reservation, "B1"), Err(Refusal::NotHeld));
    }
}

#[test]
fn a_reservation_is_its_owners_or_an_administrators_and_unknown_to_anyone_else() {
    let unknown = Err(Refusal::NoSuchReservation);
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1");
    assert_eq!(sale.exchange("bob", hold, "A2"), unknown);
    assert_eq!(sale.begin("bob", hold, 1), unknown);
    assert_eq!(sale.release("bob", hold), unknown);
    let guessed = ReservationRef { nonce: hold.nonce + 1, ..hold };
    assert_eq!(sale.exchange("ann", guessed, "A2"), unknown);
    assert_eq!(sale.release("admin", guessed), unknown);
    assert_eq!(sale.begin("ann", guessed, 1), unknown);
    assert_eq!(sale.fail(guessed, 1), unknown);
    assert_eq!(sale.confirm(guessed, 1), unknown);
    assert!(sale.exchange("admin", hold, "A2").unwrap().is_some());
    assert!(sale.release("admin", hold).unwrap().is_some());
}

#[test]
fn a_released_hold_frees_its_seats_and_releasing_it_again_changes_nothing() {
    let mut sale = Sale::open();
    let hold = sale.hold("ann", "A1 A2");
    sale.wait(1_000).release("ann", hold).unwrap();
    assert_eq!(sale.status(hold), ReservationStatus::Released);
    assert_eq!(sale.that_are(SeatStatus::Held), "");
    assert_eq!(sale.schedule.next_due(), Some(SHOW), "its deadline is gone");
    assert_eq!(sale.release("ann", hold), Ok(None));
    sale.hold("bob", "A1 A2");
    assert_eq!(sale.release("ann", hold), Ok(None), "and takes nothing from the next");
    assert_eq!(sale.that_are(SeatStatus::Held), "A1 A2");
}

#[test]
fn what_is_paying_or_expired_cannot_be_given_back_even_by_an_administrator() {
    let mut sale = Sale::open();
    let (paying, expired) = (sale.hold("ann", "A1"), sale.hold("ann", "A2"));
    sale.wait(299_000).begin("ann", paying, 1).unwrap();
    sale.wait(1_000);
    for who in ["ann", "admin"] {
        assert_eq!(sale.release(who, paying), Err(Refusal::NotHeld));
        assert_eq!(sale.release(who, expired), Err(Refusal::NotHeld));
    }
    assert_eq!(sale.status(paying), ReservationStatus::Paying);
    assert_eq!(sale.status(expired), ReservationStatus::Expired);
}

#[test]
fn a_confirmed_reservation_can_be_cancelled_until_its_window_closes() {
    let last = before(SHOW, DAY);
    let mut sale = Sale::open();
    let (one, other) = (sale.sell("ann", "A1"), sale.sell("ann", "A2"));
    sale.at(last).release("ann", one).unwrap();
    assert_eq!(sale.status(one), ReservationStatus::Cancelled);
    assert_eq!(sale.get(one).cancelled_at, Some(last));
    assert_eq!(sale.wait(1).release("ann", other), Err(Refusal::CancellationClosed));
    assert_eq!(sale.release("ann", one), Ok(None), "repeating it is no refusal, even after the window");
    assert_eq!(sale.at(SHOW).release("admin", other).map(|_| ()), Ok(()), "an administrator always can");
    assert_eq!(sale.that_are(SeatStatus::Reserved), "");
}

#[test]
fn nothing_can_be_held_or_exchanged_unless_the_sale_is_open() {
    let closed = Err(Refusal::NotOpen);
    let mut sale = Sale::planned(plan());
    assert_eq!(sale.try_hold("ann", "A1"), closed);
    sale.does(&AnyCommand::Open);
    let hold = sale.hold("ann", "A1");
    sale.does(&Command::Close);
    assert_eq!(sale.try_hold("ann", "A2"), closed);
    assert_eq!(sale.try_best("ann", None, 1), closed);
    assert_eq!(sale.exchange("ann", hold, "A2"), Err(Refusal::NotOpen));
    assert!(sale.release("ann", hold).unwrap().is_some(), "what is held can still be given back");
}

#[test]
fn seats_are_blocked_all_or_none() {
    let mut sale = Sale::open();
    sale.hold("ann", "A1");
    sale.sell("ann", "A2");
    assert_eq!(sale.block("A1 A2 A3"), sale.unavailable("A1 A2"));
    assert_eq!(sale.that_are(SeatStatus::Blocked), "");
    assert_eq!(sale.block(""), Err(Refusal::NoSeats));
    sale.block("A3 A4").unwrap();
    assert_eq!(sale.that_are(SeatStatus::Blocked), "A3 A4");
    assert_eq!(sale.try_hold("bob", "A4 A5"), sale.unavailable("A4"));
    assert_eq!(sale.block("A3 A4"), Ok(None), "what is blocked already stays so");
    let again = sale.block("A4 A5");
    assert_eq!(again, Ok(Some(Event::SeatsBlocked { seats: sale.seats("A5") })), "only the new ones move");
}

#[test]
fn seats_are_put_back_on_sale_all_or_none() {
    let mut sale = Sale::open();
    sale.block("A3 A4").unwrap();
    sale.hold("ann", "A1");
    assert_eq!(sale.unblock("A1 A3"), sale.unavailable("A1"));
    assert_eq!(sale.unblock(""), Err(Refusal::NoSeats));
    assert_eq!(sale.unblock("A5"), Ok(None), "what is on sale stays so");
    sale.unblock("A3 A4 A5").unwrap();
    assert_eq!(sale.that_are(SeatStatus::Blocked), "");
    assert!(sale.try_hold("bob", "A3 A4").is_ok());
}

#[test]
fn of_a_users_ended_reservations_only_the_newest_are_kept() {
    let mut sale = Sale::open();
    let other = sale.hold("bob", "B1");
    sale.release("bob", other).unwrap();
    let pursued = sale.hold("ann", "A2");
    sale.begin("ann", pursued, 7).unwrap();
    sale.wait(300_000).tick();
    assert_eq!(sale.status(pursued), ReservationStatus::Expired);

    let mut ended = Vec::new();
    for _ in 0..3 * ENDED_PER_USER_MAX {
        let hold = sale.wait(1).hold("ann", "A1");
        sale.release("ann", hold).unwrap();
        assert_eq!(sale.status(hold), ReservationStatus::Released, "the last is kept");
        ended.push(hold);
    }

    let (forgotten, kept) = ended.split_at(2 * ENDED_PER_USER_MAX);
    assert!(forgotten.iter().all(|hold| sale.schedule.reservation(*hold).is_none()));
    assert!(kept.iter().all(|hold| sale.schedule.reservation(*hold).is_some()));
    assert_eq!(sale.release("ann", forgotten[0]), Err(Refusal::NoSuchReservation));
    assert_eq!(sale.status(other), ReservationStatus::Released, "another user's are another's");
    sale.confirm(pursued, 7).unwrap();
    assert_eq!(sale.status(pursued), ReservationStatus::Confirmed, "money that comes late finds its seats");
}

#[test]
fn what_is_forgotten_of_a_user_leaves_nothing_behind() {
    let mut sale = Sale::open();
    for _ in 0..5_000 {
        let hold = sale.wait(1).hold("ann", "A1");
        sale.release("ann", hold).unwrap();
    }
    assert_eq!(sale.schedule.reservations().count(), ENDED_PER_USER_MAX);
    assert_eq!(sale.schedule.ended.len(), ENDED_PER_USER_MAX);
    let image = Image::of(&sale.schedule);
    assert_eq!(image.ended.len(), ENDED_PER_USER_MAX);
    assert!(image.restore(layout()) == sale.schedule);
}

/// The bound came with a version: what was written before names reservations that it forgets.
#[test]
fn a_journal_and_an_image_of_before_the_bound_are_read_all_the_same() {
    let mut sale = Sale::open();
    let first = sale.hold("ann", "A1");
    sale.release("ann", first).unwrap();
    let mut image = Image::of(&sale.schedule);
    for number in 2..=1_200 {
        let mut reservation = image.reservations.get(1_u32).unwrap().clone();
        reservation.number = ReservationNumber(number);
        image.ended.push((reservation.ended_at.unwrap(), number));
        image.reservations.insert(number, reservation);
    }
    image.last_reservation = 1_200;
    let mut restored = image.restore(layout());
    restored.check_invariants();
    assert_eq!(restored.reservations().count(), ENDED_PER_USER_MAX);
    assert!(restored.reservation_numbered(first.number).is_none());

    let key = KeyUse { digest: 1, fingerprint: 1 };
    restored.apply(&Event::KeyKept { number: Some(first.number) }, sale.now, Some(key));
    assert!(restored.find_key(key, sale.now).is_none(), "there is nothing that it could answer");
}

#[test]
fn whoever_lets_holds_end_unpaid_again_and_again_waits_until_the_first_of_them_was_an_hour_ago() {
    const SECOND: u64 = 1_000;
    let mut sale = Sale::open();
    let check = |sale: &Sale, who: &str| sale.schedule.check_unpaid(&user(who), 3, sale.now);
    // One that was paid and given back took nothing from anyone.
    let paid = sale.hold("ann", "B1");
    sale.begin("ann", paid, 7).unwrap();
    sale.confirm(paid, 7).unwrap();
    sale.release("ann", paid).unwrap();
    assert_eq!(sale.status(paid), ReservationStatus::Cancelled);

    sale.hold("ann", "A1");
    sale.wait(300 * SECOND).tick();
    let given_back = sale.hold("ann", "A1");
    sale.wait(SECOND).release("ann", given_back).unwrap();
    sale.hold("ann", "A1");
    assert_eq!(check(&sale, "ann"), Ok(()), "two");
    sale.wait(300 * SECOND).tick();
    let wait = |seconds| Err(Refusal::TooManyUnpaid { wait: Seconds::new(seconds) });
    assert_eq!(check(&sale, "ann"), wait(3_299));
    assert_eq!(check(&sale, "bob"), Ok(()));
    sale.wait(3_299 * SECOND - 1);
    assert_eq!(check(&sale, "ann"), wait(1));
    sale.wait(1);
    assert_eq!(check(&sale, "ann"), Ok(()), "the first of them is an hour ago");
    // The one that was given back a second later is the first of three again.
    let again = sale.hold("ann", "A1");
    sale.release("ann", again).unwrap();
    assert_eq!(check(&sale, "ann"), wait(1));
}

#[test]
fn numbers_go_on_where_their_ids_are_sealed_from_now_on() {
    let mut sale = Sale::open();
    let plain = sale.hold("ann", "A1");
    let sealed = ReservationNumber(SEALED | 2);
    let held = |number, seat: &str, sale: &Sale| Event::SeatsHeld {
        number,
        nonce: 5,
        user: user("bob"),
        seats: sale.seats(seat),
        expires_at: after(sale.now, 300_000),
        terms: None,
    };
    let event = held(sealed, "A2", &sale);
    sale.apply(&event, None);
    assert_eq!(sale.schedule.reservation(plain).unwrap().number.count(), 1);
    let bobs = ReservationRef { number: sealed, nonce: 5 };
    assert_eq!(sale.schedule.reservation(bobs).unwrap().number.count(), 2);
    let unsealed = ReservationRef { number: ReservationNumber(2), nonce: 5 };
    assert!(sale.schedule.reservation(unsealed).is_none(), "an id is written in one way");
    assert_eq!(sale.hold("cat", "A3").number, ReservationNumber(3));
    let restored = Image::of(&sale.schedule).restore(layout());
    restored.check_invariants();
    assert!(restored == sale.schedule);
    sale.release("bob", bobs).unwrap();
    assert_eq!(sale.status(bobs), ReservationStatus::Released);
}

#[test]
fn maps_that_say_the_same_have_the_same_sum_and_others_have_others() {
    let mut sale = Sale::open();
    let empty = sale.schedule.seats_sum();
    let mut sums = BTreeSet::from([empty]);
    for seats in ["A1", "A2", "B1", "A1 A2", "A1 B1", "A1 A2 B1"] {
        let hold = sale.hold("ann", seats);
        let taken = sale.schedule.seats_sum();
        assert!(sums.insert(taken), "{seats}");
        let restored = Image::of(&sale.schedule).restore(layout());
        assert_eq!(restored.seats_sum(), taken, "{seats}: a restart changes nothing");
        sale.release("ann", hold).unwrap();
        assert_eq!(sale.schedule.seats_sum(), empty, "{seats}: whatever the way there");
    }
    sale.block("A1").unwrap();
    assert!(sums.insert(sale.schedule.seats_sum()), "blocked isn't held");
}
