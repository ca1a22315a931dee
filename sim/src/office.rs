//! The box office, as the model counts it: what an order costs, what goes back for it, who may cancel it, and why it may be refused.
//!
//! An order is sold while the sale is upcoming or closed, too, above users' limits, and never what somebody has, what is blocked, or what
//! is set aside for others.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most calls and refusals have nothing to do with the box office"
)]

use onsale::domain::ids::ScheduleId;
use onsale::domain::money::Money;
use onsale::domain::payments::{OrderPayment, Payment, State};
use onsale::domain::schedule::orders::OrderMethod;
use onsale::domain::schedule::{Caller, Pick, Plan, Refusal, Reservation, ReservationStatus, Schedule, Wish};

use crate::book::{Book, asked_for};
use crate::calls::{Call, Sale};
use crate::door::{Lie, Source, Span};

/// Returns what is taken for an order whose places cost so much; nothing for one that can't be.
pub(crate) fn taken(sale: &Sale, cost: u64) -> Option<u64> {
    let set = sale.amount.map(Money::minor);
    if sale.order.method == OrderMethod::Complimentary {
        return (set.unwrap_or(0) == 0).then_some(0);
    }
    match (set, &sale.order.reason) {
        (Some(_), None) => None,
        (Some(amount), Some(_)) => Some(amount),
        (None, _) => Some(cost),
    }
}

impl Book {
    /// Returns the order that made a reservation.
    pub(crate) fn order_of(&self, kept: &Reservation) -> Option<&Sale> {
        let nonce = asked_for(kept.nonce);
        self.sent()
            .filter(|op| op.nonces.iter().any(|(of, _)| *of == nonce))
            .find_map(|op| if let Call::Order { sale, .. } = &op.call { Some(&**sale) } else { None })
    }

    /// An order could be made at its instant: the show wasn't over.
    pub(crate) fn check_sold(&mut self, schedule: &Schedule, kept: &Reservation) {
        let (id, at) = (schedule.id(), kept.created_at);
        let right = self.plans_at(id, at.as_millis()).iter().any(|plan| at < plan.ends_at);
        self.check("A1 not-for-sale", right, || format!("{kept:?} of {id} was sold at {at}, after the show"));
    }

    /// What was sold is cancelled by whoever may, or with the whole show.
    pub(crate) fn check_cancelled(&mut self, id: &ScheduleId, kept: &Reservation) {
        let right = self.ever_asked(|call| match call {
            Call::Cancel { schedule } => schedule == id,
            Call::Release { caller, reservation, .. } if reservation.nonce == kept.nonce => match caller {
                Caller::User(user) => kept.user.as_ref() == Some(user),
                Caller::Clerk => kept.order().is_some(),
                Caller::Admin => true,
            },
            _ => false,
        });
        self.check("S3 cancelled-unasked", right, || {
            format!("{kept:?} of {id} is cancelled, and nobody asked for that who may")
        });
    }

    /// Returns what is wrong with the refusal of an order, if anything is.
    pub(crate) fn lie_of_office(
        &self,
        schedule: &Schedule,
        (wish, sale): (&Wish, &Sale),
        refusal: &Refusal,
        span: Span,
    ) -> Option<Lie> {
        let id = schedule.id();
        let standing = sale.allotment.as_ref().map(|allotment| self.standing(id, allotment, span));
        let is_unknown = matches!(standing, Some(None));
        let source = standing.map_or(Source::Everyones, Source::Allotment);

        match refusal {
            Refusal::NotOpen => self
                .may_be_sold(id, span)
                .then_some(("A1 refused-open", "a clerk sells until the show is over")),
            Refusal::SeatLimitExceeded { .. }
            | Refusal::CodeRequired
            | Refusal::CodeInvalid
            | Refusal::CodeExhausted => Some(("A1 refused-office", "that isn't for a clerk")),
            Refusal::AccessibleSeats { .. } => matches!(wish.pick, Pick::Seats(_))
                .then_some(("A1 accessible-late", "who names them has seen them")),
            Refusal::Unfit { field: "scheduleId", .. } => {
                let changed = self.ever_asked(|call| matches!(call, Call::Reprice { .. }));
                (!changed).then_some(("A1 refused-office", "nobody has changed price types"))
            }
            Refusal::Unfit { field: "allotmentId", .. } => {
                (!is_unknown).then_some(("A1 refused-office", "the allotment stood all the time"))
            }
            Refusal::Unfit { .. } => {
                taken(sale, 0).map(|_| ("A1 refused-office", "its amount is one that can be taken"))
            }
            _ => self.lie_about_places(schedule, wish, &source, refusal, span),
        }
    }

    fn may_be_sold(&self, id: &ScheduleId, span: Span) -> bool {
        let is_over = |plan: &Plan| plan.ends_at.as_millis() <= span.now;
        let is_known = self.plan_known(id, span.since).is_some_and(|plan| !is_over(plan));
        is_known && !self.ever_asked(|call| matches!(call, Call::Cancel { schedule } if schedule == id))
    }
}

/// An order is its payment (M2), and what goes back for it is said by it (M3). No other payment stands for it.
pub(crate) fn check_order(schedule: &Schedule, kept: &Reservation, others: &[&Payment], book: &mut Book) {
    let id = schedule.id();
    let Some(payment) = OrderPayment::of(schedule, kept) else {
        return book.broken("M2 order-payment", format!("{kept:?} of {id} has no payment"));
    };
    let (amount, back) = (payment.amount().minor(), payment.refund().minor());
    let state = match kept.status {
        ReservationStatus::Confirmed => Some(State::Completed),
        ReservationStatus::Cancelled if back == 0 => Some(State::Refunded),
        ReservationStatus::Cancelled => Some(State::Refunding),
        ReservationStatus::Held
        | ReservationStatus::Paying
        | ReservationStatus::Released
        | ReservationStatus::Expired => None,
    };
    let amounts = book.amounts(schedule, kept);
    let right = amounts == [amount]
        && state == Some(payment.state())
        && payment.user == kept.user
        && kept.payment.is_some_and(|id| id.number.order() == Some(kept.number))
        && others.is_empty();
    book.check("M2 order-payment", right, || {
        format!("{kept:?} of {id} costs {amounts:?}, and is paid by {payment:?} and {others:?}")
    });

    if kept.status == ReservationStatus::Cancelled {
        let right = book.may_go_back(id, kept, amount, back);
        book.check("M3 other-refund", right, || {
            format!("{kept:?} of {id} cost {amount}, and {back} goes back")
        });
    }
}
