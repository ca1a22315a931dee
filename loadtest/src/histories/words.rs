//! A seat's history in words, for a person who has to find out what went wrong.

use std::fmt::Write as _;

use super::{
    check::{Offence, Step},
    history::{Answered, Asked, History},
    seat::{Is, Op, Owner, Ret, Status},
};

/// Tells what happened to a seat, up to the answer that no order explains.
pub(super) fn tell(history: &History, seat: usize, offence: &Offence) -> String {
    let mut words = format!("seat {}, at first {}:\n", history.seats[seat], is(history, offence.from));
    for step in &offence.steps {
        let _ = writeln!(words, "  {:<24} {}", when(step), what(history, step));
    }
    words.push_str("  no order of these, each within its time, has all these answers\n");
    words
}

/// In milliseconds of the history.
fn when(step: &Step) -> String {
    let millis = |nanos: u64| format!("{}.{:03}", nanos / 1_000_000, nanos / 1000 % 1000);
    if step.end == u64::MAX {
        format!("from {} ms", millis(step.begin))
    } else {
        format!("{}–{} ms", millis(step.begin), millis(step.end))
    }
}

fn is(history: &History, is: Is) -> String {
    match is {
        Is::Available => "available".to_owned(),
        Is::Held(owner) => format!("held by {}", name(history, owner)),
        Is::Due(owner) => {
            format!("held by {}, whose deadline has come", name(history, owner))
        }
        Is::Reserved(owner) => format!("reserved by {}", name(history, owner)),
    }
}

/// A reservation by the number of its request, its user, and its id where somebody was told.
fn name(history: &History, owner: Owner) -> String {
    let hold = history.operations.iter().find(|operation| {
        matches!(operation.asked, Asked::Hold { owner: of, .. } if of == owner)
            && matches!(operation.answered, Answered::Done(_) | Answered::Unknown)
    });
    let id = hold.and_then(|hold| match &hold.answered {
        Answered::Done(Some(told)) => Some(&told.id),
        Answered::Done(None)
        | Answered::Unknown
        | Answered::Taken(_)
        | Answered::Refused
        | Answered::Map(_) => None,
    });
    match (hold, id) {
        (Some(hold), Some(id)) => format!("#{owner} (user {}, {id})", hold.user),
        (Some(hold), None) => format!("#{owner} (user {}, id unknown)", hold.user),
        (None, _) => format!("#{owner}"),
    }
}

fn what(history: &History, step: &Step) -> String {
    let name = |owner| name(history, owner);
    let asked = match step.op {
        Op::Hold(owner) => format!("a hold, {}", name(owner)),
        Op::Exchange(owner) => format!("an exchange for this seat, {}", name(owner)),
        Op::Leave(owner) => format!("a release, or an exchange for others, {}", name(owner)),
        Op::Pay(owner) => format!("a payment, {}", name(owner)),
        Op::Map => "the map".to_owned(),
        Op::Look(owner) => format!("a look at {}", name(owner)),
        Op::Deadline(owner) | Op::DeadlinePaying(owner) => format!("the deadline of {}", name(owner)),
        Op::Restart => "the server is killed and comes back".to_owned(),
    };
    let answered = match step.ret {
        Ret::Done if matches!(step.op, Op::Deadline(_) | Op::DeadlinePaying(_) | Op::Restart) => {
            return asked;
        }
        Ret::Done => "acknowledged",
        Ret::Taken => "refused, the seat is taken",
        Ret::Free => "refused, others of the seats are taken and this one isn't",
        Ret::Shown(Status::Available) => "available",
        Ret::Shown(Status::Held) => "held",
        Ret::Shown(Status::Reserved) => "reserved",
        Ret::Holds => "it has the seat",
        Ret::Owns => "it is confirmed and has the seat",
        Ret::Gone => "it hasn't the seat",
        Ret::Unknown => "outcome unknown",
    };

    format!("{asked}: {answered}")
}
