//! One idempotency key has one effect and one answer (I1).

use super::*;

fn key(digest: u128, fingerprint: u128) -> KeyUse {
    KeyUse { digest, fingerprint }
}

fn ask_for(sale: &mut Sale, seats: &str) -> Command {
    let wish = Wish::seats(sale.seats(seats));
    sale.wish("ann", wish)
}

#[test]
fn a_key_keeps_its_first_answer_even_when_the_reservation_changes_later() {
    let mut sale = Sale::open();
    let command = ask_for(&mut sale, "A1");
    sale.ask_with(&command, Some(key(1, 7))).unwrap();
    let first = sale.schedule.reservations_of("ann").next_back().unwrap().clone();
    let version = sale.schedule.version();
    let hold = ReservationRef { number: first.number, nonce: first.nonce };
    sale.exchange("ann", hold, "A2").unwrap();
    sale.release("ann", hold).unwrap();
    let answer = Answer::Reservation(first);
    let found = sale.schedule.find_key(key(1, 7), sale.now);
    assert_eq!(found, Some(KeyFound::Answered { answer: &answer, version }));
    assert_eq!(sale.schedule.find_key(key(1, 8), sale.now), Some(KeyFound::Reused), "another body");
    assert_eq!(sale.schedule.find_key(key(2, 7), sale.now), None, "another key");
}

#[test]
fn a_key_outlives_the_reservation_that_it_made() {
    let mut sale = Sale::open();
    let command = ask_for(&mut sale, "A1");
    sale.ask_with(&command, Some(key(1, 7))).unwrap();
    sale.wait(300_000).tick();
    sale.wait(3_600_000).hold("bob", "B1");
    assert_eq!(sale.schedule.reservations_of("ann").count(), 0);
    assert!(sale.schedule.find_key(key(1, 7), sale.now).is_some());
}

#[test]
fn a_change_of_the_schedule_answers_with_the_schedule_as_it_was_then() {
    let mut sale = Sale::open();
    sale.ask_with(&Command::Close, Some(key(1, 7))).unwrap();
    let then = Answer::Schedule(sale.schedule.summary());
    sale.does(&AnyCommand::Open);
    sale.hold("ann", "A1");
    let version = sale.schedule.version() - 2;
    let found = sale.schedule.find_key(key(1, 7), sale.now);
    assert_eq!(found, Some(KeyFound::Answered { answer: &then, version }));
}

#[test]
fn a_refusal_keeps_no_key() {
    let mut sale = Sale::open();
    sale.hold("bob", "A1");
    let command = ask_for(&mut sale, "A1");
    assert!(sale.ask_with(&command, Some(key(1, 7))).is_err());
    assert!(sale.schedule.keys().is_empty());
}

#[test]
fn fewer_keys_are_kept_when_there_is_less_room() {
    let mut sale = Sale::open();
    for (digest, seat) in [(1, "A1"), (2, "A2"), (3, "A3")] {
        let command = ask_for(&mut sale, seat);
        sale.ask_with(&command, Some(key(digest, 7))).unwrap();
    }
    sale.does(&AnyCommand::SetLimits { limits: Limits { keys_max: 2, ..LIMITS } });
    let is_kept = |digest| sale.schedule.find_key(key(digest, 7), sale.now).is_some();
    assert_eq!([1, 2, 3].map(is_kept), [false, true, true]);
}
