//! Accessible seats and those of companions: who is given them, and from when on everyone is.

use super::*;
use crate::domain::venue::{Seating, Venue};

/// The usual rows, of which `A3` is accessible and `A4` its companion's.
fn seating() -> Seating {
    let row = |id: &str, grade: &str| {
        let seat = |number: u32| ListedSeat::new(SeatId::parse(&format!("{id}{number}")).unwrap(), number);
        let mut seats: Vec<ListedSeat> = (1..=6).map(seat).collect();
        if id == "A" {
            seats[2].accessible = true;
            seats[3].companion_of = Some(SeatId::parse("A3").unwrap());
        }
        let seats = RowSeats::Listed(seats);
        Row { id: id.into(), grade: GradeName::parse(grade).unwrap(), line: None, seats }
    };
    let rows = vec![row("A", "VIP"), row("B", "R")];
    let venue = Venue {
        id: VenueId::parse("charlotte").unwrap(),
        name: String::new(),
        address: String::new(),
        kind: String::new(),
        time_zone: String::new(),
        stage: None,
        sections: vec![Section { id: "1".into(), floor: "1".into(), outline: None, rows }],
        areas: vec![],
    };
    Seating::new(&venue, &layout()).unwrap()
}

/// A sale in a hall with accessible seats.
pub(super) struct Hall {
    pub(super) sale: Sale,
    seating: Seating,
}

impl Hall {
    pub(super) fn open_with(change: impl FnOnce(&mut Plan)) -> Self {
        Self { sale: Sale::open_with(change), seating: seating() }
    }

    pub(super) fn ask(&mut self, command: Command) -> Outcome {
        self.sale.tick();
        let outcome = self.sale.schedule.decide_seated(&command.into(), self.sale.now, Some(&self.seating));
        if let Ok(Some(event)) = &outcome {
            self.sale.apply(event, None);
        }
        outcome
    }

    fn try_wish(&mut self, who: &str, wish: Wish) -> Result<ReservationRef, Refusal> {
        let command = self.sale.wish(who, wish);
        match self.ask(command)? {
            Some(Event::SeatsHeld { number, nonce, .. }) => Ok(ReservationRef { number, nonce }),
            other => panic!("a hold makes a reservation, not {other:?}"),
        }
    }

    fn try_hold(&mut self, who: &str, seats: &str, accessible: bool) -> Result<ReservationRef, Refusal> {
        let wish = Wish { accessible, ..Wish::seats(self.sale.seats(seats)) };
        self.try_wish(who, wish)
    }

    fn best(&mut self, who: &str, count: u32, accessible: bool) -> Result<String, Refusal> {
        let grade = self.sale.schedule.layout().grade("VIP");
        let held = self.try_wish(who, Wish { accessible, ..Wish::best_of(grade, count) })?;
        Ok(self.sale.seats_of(held))
    }

    fn exchange(&mut self, who: &str, of: ReservationRef, seats: &str, accessible: bool) -> Outcome {
        let wish = Wish { accessible, ..Wish::seats(self.sale.seats(seats)) };
        self.ask(Command::Exchange { reservation: of, caller: by(who), wish })
    }

    fn kept<T>(&self, seats: &str) -> Result<T, Refusal> {
        Err(Refusal::AccessibleSeats { seats: self.sale.seats(seats).to_vec() })
    }
}

#[test]
fn accessible_seats_are_given_by_id_to_who_asks_for_them() {
    let mut hall = Hall::open_with(|_| ());
    assert_eq!(hall.try_hold("ann", "A2 A3 A4", false), hall.kept("A3 A4"));
    assert_eq!(hall.try_hold("ann", "A4", false), hall.kept("A4"));
    hall.try_hold("ann", "A2", false).unwrap();
    hall.try_hold("bob", "A3 A4", true).unwrap();
    assert_eq!(hall.try_hold("cat", "A3", false), hall.sale.unavailable("A3"));
}

#[test]
fn the_best_seats_are_others_unless_one_is_asked_for() {
    let mut hall = Hall::open_with(|_| ());
    assert_eq!(hall.best("ann", 3, false).unwrap(), "A1 A2 A5", "no three are side by side without them");
    assert_eq!(hall.best("bob", 2, false), Err(Refusal::NotEnoughSeats));
    assert_eq!(hall.best("bob", 2, true).unwrap(), "A3 A4");
    assert_eq!(hall.best("cat", 1, true), Err(Refusal::NotEnoughSeats));
}

#[test]
fn an_exchange_keeps_what_the_hold_has_and_gets_no_other_unasked() {
    let mut hall = Hall::open_with(|_| ());
    let plain = hall.try_hold("ann", "A1", false).unwrap();
    assert_eq!(hall.exchange("ann", plain, "A3", false), hall.kept("A3"));
    assert_eq!(hall.sale.seats_of(plain), "A1");
    hall.exchange("ann", plain, "A3", true).unwrap();
    hall.exchange("ann", plain, "A3 A2", false).unwrap();
    assert_eq!(hall.exchange("ann", plain, "A3 A4", false), hall.kept("A4"));

    let best = |count, accessible| Wish { accessible, ..Wish::best(count) };
    let ask = |wish| Command::Exchange { reservation: plain, caller: by("ann"), wish };
    hall.ask(ask(best(2, true))).unwrap();
    assert_eq!(hall.sale.seats_of(plain), "A3 A4");
    hall.ask(ask(best(2, false))).unwrap();
    assert_eq!(hall.sale.seats_of(plain), "A1 A2", "its own are kept from it, too, where it doesn't ask");
}

#[test]
fn from_the_instant_of_their_release_they_are_sold_like_all_others() {
    let release = after(START, 60_000);
    let mut hall = Hall::open_with(|plan| plan.policy.accessible_release_at = Some(release));
    hall.sale.at(before(release, 1));
    assert_eq!(hall.try_hold("ann", "A3", false), hall.kept("A3"));
    // No timer has to fire, and no event says so.
    hall.sale.at(release);
    assert_eq!(hall.sale.schedule.due(release), None);
    hall.try_hold("ann", "A3", false).unwrap();
    assert_eq!(hall.best("bob", 3, false).unwrap(), "A4 A5 A6");
}

#[test]
fn a_seat_that_may_not_be_had_is_a_taken_one_for_its_neighbours() {
    let mut hall = Hall::open_with(|plan| plan.policy.prevent_orphan_seats = true);
    // A6 stands at the row's end; A5 would stand alone between A4 and A6.
    assert!(matches!(hall.try_hold("ann", "A6", false), Err(Refusal::OrphanSeats { .. })));
    hall.try_hold("ann", "A5", false).unwrap();
    // Who may have A4 leaves nobody alone.
    let mut hall = Hall::open_with(|plan| plan.policy.prevent_orphan_seats = true);
    hall.try_hold("ann", "A6", true).unwrap();
}
