//! What one seat may do, one operation after another: the specification that recorded histories are held against.
//!
//! It shares no code with the server. A seat is available, held by a reservation, or reserved by it once it is paid for. After an
//! operation of unknown outcome it is one of several things, so a [`Seat`] is the set of what it may be, and an answer that
//! fits none of them is wrong.
//!
//! Time enters as an operation like any other: a hold's [`Op::Deadline`] takes place within what two clocks can differ. From then on the
//! seat is [`Is::Due`]: whoever asks for it gets it and nobody can use the old hold, but the published map may go on saying `held` until
//! the server has made the end durable. After a crash a hold that was due is over or has been given its time back; only an end that
//! nobody was told can be undone so: by the map, or by the reservation itself.
//!
//! A payment that was begun before the deadline may have its money after it. Then it takes the seats if they are free at that moment,
//! whoever had them meanwhile.

use std::collections::BTreeSet;

use stateright::semantics::SequentialSpec;

/// A reservation, by the number of the operation that asked for it: known also where its id isn't.
pub(super) type Owner = usize;

/// What a seat is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Is {
    Available,
    Held(Owner),
    /// Held until a deadline that has come.
    Due(Owner),
    Reserved(Owner),
}

impl Is {
    /// Says whether whoever asks for the seat gets it.
    fn is_to_be_had(self) -> bool {
        match self {
            Self::Available | Self::Due(_) => true,
            Self::Held(_) | Self::Reserved(_) => false,
        }
    }

    /// What it is once the end of a due hold is durable.
    fn ended(self) -> Self {
        match self {
            Self::Due(_) => Self::Available,
            Self::Available | Self::Held(_) | Self::Reserved(_) => self,
        }
    }
}

/// What is asked of a seat, or happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Hold(Owner),
    /// An exchange asks for this seat, which the reservation may have already.
    Exchange(Owner),
    /// A release, a cancellation, or an exchange for other seats.
    Leave(Owner),
    Pay(Owner),
    /// The seat map is read.
    Map,
    /// The reservation is read.
    Look(Owner),
    Deadline(Owner),
    /// The deadline of one that a payment was begun for before.
    DeadlinePaying(Owner),
    /// The server is killed and comes back.
    Restart,
}

/// What was answered, as far as this seat goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ret {
    Done,
    /// Refused, because another has this seat.
    Taken,
    /// Refused, because others have others of the seats; this one was there to be had.
    Free,
    /// By the map.
    Shown(Status),
    /// The reservation is live and has this seat.
    Holds,
    /// The reservation is confirmed and has this seat.
    Owns,
    /// The reservation doesn't have this seat, or has ended.
    Gone,
    /// No answer: it takes effect within its interval, or never.
    Unknown,
}

impl Ret {
    /// Says whether the operation changed nothing, whatever it asked for.
    pub(super) fn only_looks(self) -> bool {
        match self {
            Self::Taken | Self::Free | Self::Shown(_) | Self::Holds | Self::Owns | Self::Gone => true,
            Self::Done | Self::Unknown => false,
        }
    }
}

/// A seat's status in the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Available,
    Held,
    Reserved,
}

/// What a seat may be, and whose money may still come for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Seat {
    may_be: BTreeSet<Is>,
    /// Those whose payment was begun before the deadline of their hold, which has come.
    late: BTreeSet<Owner>,
}

impl Seat {
    pub(super) fn that_is(is: Is) -> Self {
        Self { may_be: BTreeSet::from([is]), late: BTreeSet::new() }
    }
}

impl SequentialSpec for Seat {
    type Op = Op;
    type Ret = Ret;

    /// Histories hold answers for all operations, an unknown one too, so nothing is left in flight.
    fn invoke(&mut self, op: &Op) -> Ret {
        self.is_valid_step(op, &Ret::Unknown);
        Ret::Unknown
    }

    fn is_valid_step(&mut self, op: &Op, ret: &Ret) -> bool {
        if let Op::DeadlinePaying(owner) = op
            && self.may_be.contains(&Is::Held(*owner))
        {
            self.late.insert(*owner);
        }
        let after = self.may_be.iter().flat_map(|&is| after(is, *op, *ret, &self.late));
        self.may_be = after.flatten().collect();
        !self.may_be.is_empty()
    }
}

/// Returns what a seat may be after an operation; nothing where the answer is wrong for what it was.
fn after(is: Is, op: Op, ret: Ret, late: &BTreeSet<Owner>) -> [Option<Is>; 2] {
    match ret {
        Ret::Done if op == Op::Restart => revived(is),
        Ret::Done => [done(is, op, late), None],
        Ret::Unknown => [Some(is), done(is, op, late)],
        Ret::Taken | Ret::Free | Ret::Shown(_) | Ret::Holds | Ret::Owns | Ret::Gone => {
            [seen(is, op, ret), None]
        }
    }
}

/// A hold that was due when the server died has ended, or lives on with a later deadline.
fn revived(is: Is) -> [Option<Is>; 2] {
    match is {
        Is::Due(owner) => [Some(is.ended()), Some(Is::Held(owner))],
        Is::Available | Is::Held(_) | Is::Reserved(_) => [Some(is), None],
    }
}

/// What an acknowledged change makes of a seat.
fn done(is: Is, op: Op, late: &BTreeSet<Owner>) -> Option<Is> {
    match (op, is) {
        (Op::Exchange(owner), Is::Held(holder)) if holder == owner => Some(is),
        (Op::Exchange(owner), Is::Due(holder)) if holder == owner => None,
        (Op::Hold(owner) | Op::Exchange(owner), _) if is.is_to_be_had() => Some(Is::Held(owner)),

        (Op::Pay(owner), Is::Held(holder)) if holder == owner => Some(Is::Reserved(owner)),
        (Op::Pay(owner), _) if is.is_to_be_had() && late.contains(&owner) => Some(Is::Reserved(owner)),
        // S4: a hold that is due can't be given back, nor can its payment be begun.
        (Op::Leave(owner) | Op::Pay(owner), Is::Due(holder)) if holder == owner => None,
        (Op::Leave(owner), Is::Held(holder) | Is::Reserved(holder)) if holder == owner => Some(Is::Available),
        (Op::Pay(owner), Is::Reserved(holder)) if holder == owner => None,
        (Op::Deadline(owner) | Op::DeadlinePaying(owner), Is::Held(holder)) if holder == owner => {
            Some(Is::Due(owner))
        }
        // An earlier one of the same kind, or another seat of the reservation's.
        (Op::Leave(_) | Op::Pay(_) | Op::Deadline(_) | Op::DeadlinePaying(_), _) => Some(is),

        (Op::Hold(_) | Op::Exchange(_) | Op::Restart | Op::Map | Op::Look(_), _) => None,
    }
}

/// Whether an answer that changes nothing fits, and what is known of the seat by it.
fn seen(is: Is, op: Op, ret: Ret) -> Option<Is> {
    let fits = match (op, ret) {
        (Op::Hold(_), Ret::Taken) => matches!(is, Is::Held(_) | Is::Reserved(_)),
        (Op::Hold(_), Ret::Free) | (Op::Map, Ret::Shown(Status::Available)) => is.is_to_be_had(),
        (Op::Exchange(owner), Ret::Taken) => {
            matches!(is, Is::Held(holder) | Is::Reserved(holder) if holder != owner)
        }
        (Op::Exchange(owner), Ret::Free) => is.is_to_be_had() || is == Is::Held(owner),
        (Op::Map, Ret::Shown(Status::Held)) => matches!(is, Is::Held(_) | Is::Due(_)),
        (Op::Map, Ret::Shown(Status::Reserved)) => matches!(is, Is::Reserved(_)),
        (Op::Look(owner), Ret::Holds) => is == Is::Held(owner) || is == Is::Due(owner),
        (Op::Look(owner), Ret::Owns) => is == Is::Reserved(owner),
        (Op::Look(owner), Ret::Gone) => is != Is::Held(owner) && is != Is::Reserved(owner),
        _ => false,
    };

    // What is told is durable: a hold whose end was told can't come back.
    let told = match (op, ret) {
        (Op::Map, Ret::Shown(Status::Available)) => true,
        (Op::Look(owner), Ret::Gone) => is == Is::Due(owner),
        _ => false,
    };
    fits.then_some(if told { is.ended() } else { is })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes the steps from an available seat; says which one is wrong, or what the seat may be.
    fn run(steps: &[(Op, Ret)]) -> Result<Vec<Is>, usize> {
        let mut seat = Seat::that_is(Is::Available);
        for (at, (op, ret)) in steps.iter().enumerate() {
            if !seat.is_valid_step(op, ret) {
                return Err(at);
            }
        }
        Ok(seat.may_be.into_iter().collect())
    }

    const HELD: (Op, Ret) = (Op::Hold(1), Ret::Done);
    const DUE: (Op, Ret) = (Op::Deadline(1), Ret::Done);

    #[test]
    fn a_seat_is_given_once() {
        assert_eq!(run(&[HELD, (Op::Hold(2), Ret::Taken)]), Ok(vec![Is::Held(1)]));
        assert_eq!(run(&[HELD, (Op::Hold(2), Ret::Done)]), Err(1));
        assert_eq!(run(&[HELD, (Op::Exchange(2), Ret::Done)]), Err(1));
        assert_eq!(run(&[HELD, (Op::Exchange(1), Ret::Done)]), Ok(vec![Is::Held(1)]));
        assert_eq!(run(&[(Op::Hold(2), Ret::Taken)]), Err(0));
        assert_eq!(run(&[HELD, (Op::Hold(2), Ret::Free)]), Err(1));
    }

    #[test]
    fn a_seat_that_was_left_is_there_for_the_next() {
        let left = (Op::Leave(1), Ret::Done);
        assert_eq!(run(&[HELD, left, (Op::Hold(2), Ret::Done)]), Ok(vec![Is::Held(2)]));
        assert_eq!(run(&[HELD, left, (Op::Hold(2), Ret::Taken)]), Err(2));
        assert_eq!(run(&[HELD, (Op::Leave(2), Ret::Done)]), Ok(vec![Is::Held(1)]));
        let paid = (Op::Pay(1), Ret::Done);
        assert_eq!(run(&[HELD, paid, left, (Op::Map, Ret::Shown(Status::Reserved))]), Err(3));
    }

    #[test]
    fn a_paid_seat_has_no_deadline() {
        let paid = (Op::Pay(1), Ret::Done);
        assert_eq!(run(&[HELD, paid, DUE]), Ok(vec![Is::Reserved(1)]));
        assert_eq!(run(&[HELD, paid, (Op::Map, Ret::Shown(Status::Held))]), Err(2));
        assert_eq!(run(&[HELD, paid, (Op::Look(1), Ret::Holds)]), Err(2));
    }

    #[test]
    fn a_hold_that_is_due_gives_way_and_is_of_no_use() {
        assert_eq!(run(&[HELD, DUE, (Op::Hold(2), Ret::Done)]), Ok(vec![Is::Held(2)]));
        assert_eq!(run(&[HELD, DUE, (Op::Hold(2), Ret::Taken)]), Err(2));
        assert_eq!(run(&[HELD, DUE, (Op::Leave(1), Ret::Done)]), Err(2));
        assert_eq!(run(&[HELD, DUE, (Op::Pay(1), Ret::Done)]), Err(2));
        assert_eq!(run(&[HELD, DUE, (Op::Exchange(1), Ret::Done)]), Err(2));
        assert_eq!(run(&[HELD, (Op::Hold(2), Ret::Done), DUE]), Err(1), "not before its deadline");
    }

    #[test]
    fn money_that_comes_too_late_takes_the_seat_again_if_it_is_free_and_was_asked_for_in_time() {
        let paid = (Op::Pay(1), Ret::Done);
        let due = (Op::DeadlinePaying(1), Ret::Done);
        let shown = (Op::Map, Ret::Shown(Status::Available));
        assert_eq!(run(&[HELD, due, paid]), Ok(vec![Is::Reserved(1)]));
        assert_eq!(run(&[HELD, due, shown, paid]), Ok(vec![Is::Reserved(1)]));
        assert_eq!(run(&[HELD, due, shown, (Op::Hold(2), Ret::Done), paid]), Ok(vec![Is::Held(2)]));
        let others = [(Op::Hold(2), Ret::Done), (Op::Leave(2), Ret::Done)];
        assert_eq!(run(&[HELD, due, others[0], others[1], paid]), Ok(vec![Is::Reserved(1)]));
        assert_eq!(run(&[HELD, (Op::Leave(1), Ret::Done), due, paid]), Ok(vec![Is::Available]));
        assert_eq!(run(&[HELD, due, (Op::Leave(1), Ret::Done)]), Err(2));
        assert_eq!(run(&[HELD, due, shown, (Op::Map, Ret::Shown(Status::Held))]), Err(3));
    }

    #[test]
    fn the_map_may_show_a_due_hold_and_never_shows_it_again_once_it_is_gone() {
        let shown = |status| (Op::Map, Ret::Shown(status));
        assert!(run(&[HELD, DUE, shown(Status::Held), shown(Status::Available)]).is_ok());
        assert_eq!(run(&[HELD, DUE, shown(Status::Available), shown(Status::Held)]), Err(3));
        assert_eq!(run(&[HELD, shown(Status::Available)]), Err(1));
    }

    #[test]
    fn an_outage_gives_time_back_only_where_nobody_was_told_of_the_end() {
        let restart = (Op::Restart, Ret::Done);
        assert_eq!(run(&[HELD, DUE, restart]), Ok(vec![Is::Available, Is::Held(1)]));
        assert_eq!(run(&[HELD, DUE, restart, (Op::Look(1), Ret::Holds)]), Ok(vec![Is::Held(1)]));
        let shown = (Op::Map, Ret::Shown(Status::Available));
        assert_eq!(run(&[HELD, DUE, shown, restart, (Op::Look(1), Ret::Holds)]), Err(4));
        assert_eq!(run(&[HELD, DUE, (Op::Look(1), Ret::Gone), restart, (Op::Look(1), Ret::Holds)]), Err(4));
        assert_eq!(run(&[HELD, DUE, (Op::Look(1), Ret::Gone), (Op::Map, Ret::Shown(Status::Held))]), Err(3));
        assert_eq!(run(&[HELD, (Op::Look(1), Ret::Gone)]), Err(1), "not before its deadline");
        assert_eq!(run(&[HELD, restart, (Op::Map, Ret::Shown(Status::Available))]), Err(2), "S3");
    }

    #[test]
    fn after_an_unknown_outcome_both_are_right_until_something_tells() {
        let maybe = (Op::Leave(1), Ret::Unknown);
        assert_eq!(run(&[HELD, maybe]), Ok(vec![Is::Available, Is::Held(1)]));
        assert_eq!(run(&[HELD, maybe, (Op::Hold(2), Ret::Taken)]), Ok(vec![Is::Held(1)]));
        assert_eq!(run(&[HELD, maybe, (Op::Hold(2), Ret::Taken), (Op::Hold(3), Ret::Done)]), Err(3));
    }
}
