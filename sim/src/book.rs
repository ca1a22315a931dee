//! The model's own book: what was asked, what was acknowledged, and what was seen. It shares no code with the engine.
//!
//! The promises are checked by two rules. What is acknowledged is visible at that moment; and what was ever visible never
//! unhappens, in this life or after a crash. The rest (one key, one effect; nothing appears that nobody asked for) is counted by
//! the random parts that each attempt carries: each of them is the mark of one attempt, so the book knows which attempt had
//! an effect without knowing how.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use onsale::domain::accounts;
use onsale::domain::ids::{PaymentId, ScheduleId, ScheduleNumber, UserId};
use onsale::domain::keys::KeyUse;
use onsale::domain::money::Currency;
use onsale::domain::payments::{Payment, State};
use onsale::domain::schedule::policy::QueuePolicy;
use onsale::domain::schedule::{Plan, Reservation, ReservationStatus, SaleStatus, Schedule};
use onsale::domain::time::{Seconds, Timestamp};
use onsale::domain::users::UserStatus;
use onsale::domain::waiting_room::Place;
use onsale::engine::{self, Engine, EngineError, ScheduleEntry};

use crate::calls::{Answered, Call, No, Outcome, Reply};
use crate::plan::{CLAIM_SECONDS, Setup};
use crate::prepared::Theatre;
use crate::selling;

/// How long a key is promised to answer.
pub(crate) const KEY_LIFE: u64 = 86_400_000;

/// A promise that was broken.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    /// Which, and how: `M3 refund-stuck`.
    pub(crate) promise: &'static str,
    pub(crate) text: String,
}

/// What an effect made: the same key must lead to the same again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Reservation(u32, u64),
    Payment(PaymentId),
    Moved(u32, u64),
    Place(u32),
    /// Codes that were generated, by the first of them.
    Codes(String),
    Done,
}

/// One request of a client, however often it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Op {
    pub(crate) call: Call,
    pub(crate) key: Option<KeyUse>,
    /// One for each attempt, with the instant at which it was sent.
    pub(crate) nonces: Vec<(u32, u64)>,
    /// What was first acknowledged.
    effect: Option<Effect>,
    /// From when on its key counts, by the engine's clock: when the key was first sent, by this request or by an earlier one of the same
    /// body.
    sent_at: u64,
}

/// A reservation as it was last seen.
#[derive(Debug, Clone)]
pub(crate) struct SeenReservation {
    pub(crate) kept: Reservation,
    /// Whether it may have left memory by now.
    pub(crate) gone: bool,
}

/// A payment as it was last seen.
#[derive(Debug, Clone)]
pub(crate) struct SeenPayment {
    pub(crate) kept: Payment,
    pub(crate) gone: bool,
}

/// A place in a waiting room as it was last seen.
#[derive(Debug, Clone)]
pub(crate) struct SeenPlace {
    pub(crate) user: UserId,
    pub(crate) active: bool,
    pub(crate) position: Option<u32>,
    /// When it ends by time.
    pub(crate) ends_at: u64,
}

impl SeenPlace {
    /// As its user was told. Where it stood in line is compared only between places that were seen at one moment.
    fn of(user: &UserId, answer: &Place) -> Self {
        // Whoever waits may be let in at any moment, and then has to show up.
        let claim_by = answer.activated_at.unwrap_or(answer.issued_at).plus(Seconds::new(CLAIM_SECONDS));
        Self {
            user: user.clone(),
            active: answer.activated_at.is_some(),
            position: None,
            ends_at: answer.expires_at.min(claim_by).as_millis(),
        }
    }
}

/// A schedule as it was last seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeenSchedule {
    pub(crate) reservations: BTreeMap<u32, SeenReservation>,
    pub(crate) payments: BTreeMap<u32, SeenPayment>,
    pub(crate) places: BTreeMap<u32, SeenPlace>,
    /// How many could be active.
    pub(crate) active_max: u32,
    pub(crate) version: u64,
}

/// What of a plan configures the schedule's waiting room.
type RoomPlan = (Option<QueuePolicy>, Option<Timestamp>, Timestamp);

/// The requests that could change one thing; only the last of them says what it is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Latest(Option<usize>);

impl Latest {
    /// A request is sent, for the first time or again.
    pub(crate) fn send(&mut self, op: usize, first: bool) {
        // An older one that is sent again may have its effect now, or have had it before: nobody knows.
        if first || self.0 != Some(op) {
            self.0 = first.then_some(op);
        }
    }

    /// Tells whether a request is the one that says what is.
    pub(crate) fn is(self, op: usize) -> bool {
        self.0 == Some(op)
    }
}

/// What is known of how a schedule is to be run; nothing where requests are under way, or came to an unknown end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    planning: Latest,
    pub(crate) plan: Option<Plan>,
    /// Since when the plan is known.
    pub(crate) since: u64,
    room: Option<RoomPlan>,
    tuning: Latest,
    /// How many may be active, and enter a minute, as it was tuned.
    pub(crate) tuned: Option<(u32, Option<u32>)>,
}

/// Whether a user is kept from acting; nothing where requests are under way, or came to an unknown end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Barred {
    asking: Latest,
    pub(crate) is: Option<bool>,
}

/// An outage: what lived when the engine died.
#[derive(Debug, Clone)]
pub(crate) struct Outage {
    pub(crate) died_at: u64,
    pub(crate) lived: Vec<(u32, Reservation)>,
    /// Whether a start died, too.
    died_again: bool,
}

/// The book.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) setup: Setup,
    pub(crate) ops: Vec<Op>,
    /// The plans with which the world began.
    pub(crate) first_plans: BTreeMap<ScheduleId, Plan>,
    pub(crate) theatre: Theatre,
    pub(crate) schedules: BTreeMap<u32, SeenSchedule>,
    pub(crate) wanted: BTreeMap<ScheduleId, Wanted>,
    /// The number of acknowledged movements of each user.
    pub(crate) movements: BTreeMap<UserId, usize>,
    /// In which currencies each user's money was acknowledged.
    pub(crate) currencies: BTreeMap<UserId, BTreeSet<Currency>>,
    pub(crate) users: BTreeSet<UserId>,
    pub(crate) barred: BTreeMap<UserId, Barred>,
    pub(crate) outage: Option<Outage>,
    /// What isn't checked, by name.
    pub(crate) unchecked: Vec<String>,
    /// The first promise that was broken.
    pub(crate) broken: Option<Violation>,
    pub(crate) asked: BTreeMap<&'static str, u64>,
    pub(crate) vanished: u64,
    pub(crate) lost: u64,
}

/// Where a request went wrong by no fault of its own, it may be made again.
fn is_passing(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::InProgress
            | EngineError::Overloaded
            | EngineError::NotReady
            | EngineError::OutcomeUnknown
            | EngineError::JournalUnavailable
            | EngineError::ArchiveUnavailable
    )
}

/// Returns the half of a nonce that an id keeps as it was asked for: the other hides its number.
pub(crate) fn asked_for(nonce: u64) -> u32 {
    u32::try_from(nonce & u64::from(u32::MAX)).expect("masked")
}

impl Book {
    /// Notes that a promise was broken; the first counts.
    pub(crate) fn broken(&mut self, promise: &'static str, text: impl Into<String>) {
        if self.unchecked.iter().any(|name| promise.ends_with(name.as_str())) {
            return;
        }
        self.broken.get_or_insert(Violation { promise, text: text.into() });
    }

    pub(crate) fn check(&mut self, promise: &'static str, right: bool, text: impl FnOnce() -> String) {
        if !right {
            self.broken(promise, text());
        }
    }

    /// Notes the plan with which a schedule began.
    pub(crate) fn begin_plan(&mut self, id: &ScheduleId, plan: &Plan) {
        self.first_plans.insert(id.clone(), plan.clone());
        let wanted = self.wanted.entry(id.clone()).or_default();
        (wanted.plan, wanted.room) = (Some(plan.clone()), Some(room_of(plan)));
    }

    /// Notes a new request; returns its number.
    pub(crate) fn ask(&mut self, call: Call, key: Option<KeyUse>, now: u64) -> usize {
        let same = |asked: &&Op| asked.key.is_some() && asked.key == key && now < asked.sent_at + KEY_LIFE;
        let sent_at = self.ops.iter().find(same).map_or(now, |asked| asked.sent_at);
        self.ops.push(Op { call, key, nonces: Vec::new(), effect: None, sent_at });
        self.ops.len() - 1
    }

    /// Notes that a request is being sent.
    pub(crate) fn send(&mut self, op: usize, nonce: u64, now: u64) {
        // A start may set the clock back, to the last that was durable: what was sent before the crash without a trace was sent later.
        let key = self.ops[op].key;
        for same in self.ops.iter_mut().filter(|same| key.is_some() && same.key == key) {
            same.sent_at = same.sent_at.min(now);
        }

        let asked = &mut self.ops[op];
        let first = asked.nonces.is_empty();
        asked.nonces.push((asked_for(nonce), now));
        *self.asked.entry(asked.call.route()).or_default() += 1;
        let call = asked.call.clone();
        self.send_prepared(op, first, &call);
        for (schedule, plan) in call.plans() {
            self.send_plan(op, first, schedule, plan);
        }

        if let Call::Tune { schedule, .. } = &call {
            let wanted = self.wanted.entry(schedule.clone()).or_default();
            wanted.tuning.send(op, first);
            wanted.tuned = None;
        }

        if let Call::SetStatus { user, .. } = &call {
            let barred = self.barred.entry(user.clone()).or_default();
            barred.asking.send(op, first);
            barred.is = None;
        }
    }

    fn send_plan(&mut self, op: usize, first: bool, id: &ScheduleId, plan: Option<&Plan>) {
        let wanted = self.wanted.entry(id.clone()).or_default();
        wanted.planning.send(op, first);
        wanted.plan = None;
        // What was tuned stays where the document's room is the one that stands.
        if wanted.room.is_none() || wanted.room != plan.map(room_of) {
            (wanted.room, wanted.tuned, wanted.tuning) = (None, None, Latest::default());
        }
    }

    /// Learns how a call ended, at the moment at which its caller does.
    pub(crate) fn learn(&mut self, engine: &Engine, op: usize, outcome: &Outcome) {
        let reply = match outcome {
            Outcome::Unknown => return self.vanished += 1,
            Outcome::Answered(Ok(reply)) => reply,
            Outcome::Answered(Err(no)) => return self.refused(engine, op, no),
        };
        let now = engine.now().as_millis();
        self.see_answer(engine, op, reply);
        let effect = effect_of(reply);
        let other = self.promised(op, now).find(|first| **first != effect).cloned();
        if let Some(first) = other {
            self.broken(
                "I1 key-answer",
                format!("a key was answered with {first:?}, and now with {effect:?}"),
            );
        }
        self.ops[op].effect = Some(effect);
        self.settle_wishes(op, now);
    }

    /// Returns what was acknowledged to a request's key, by this request or by others with the same body, and is what it still has to lead
    /// to.
    fn promised(&self, op: usize, now: u64) -> impl Iterator<Item = &Effect> {
        let asked = &self.ops[op];
        let holds = asked.key.is_some() && !self.was_remade(&asked.call);
        let same = move |other: &&Op| holds && other.key == asked.key && now < other.sent_at + KEY_LIFE;
        let acknowledged = self.ops.iter().filter(same).filter_map(|other| other.effect.as_ref());
        // A failed payment has no effect: the same key makes a new one.
        acknowledged.filter(|effect| !self.is_failed(effect))
    }

    fn is_failed(&self, effect: &Effect) -> bool {
        let Effect::Payment(id) = effect else { return false };
        let seen = self.schedules.get(&id.schedule.0).and_then(|seen| seen.payments.get(&id.number.count()));
        seen.is_some_and(|seen| seen.kept.state == State::Failed)
    }

    /// What was acknowledged is visible now (V1, S3).
    fn see_answer(&mut self, engine: &Engine, op: usize, reply: &Reply) {
        let call = self.ops[op].call.clone();
        match &reply.answer {
            Answered::Reservation(answer) => self.see_reservation(engine, op, answer, reply.replayed),
            Answered::Payment(payment) => {
                let id = payment.id;
                let visible = engine.payment(id);
                let archived = engine.catalogue().is_archived(id.schedule);
                let right = archived
                    || visible.as_ref().is_some_and(|visible| visible.reservation == payment.reservation);
                self.check("V1 payment-unseen", right, || {
                    format!("payment {id} was answered, and nobody sees it")
                });
                let seen = self.schedules.entry(id.schedule.0).or_default();
                if let Some(visible) = visible
                    && let Entry::Vacant(first) = seen.payments.entry(id.number.count())
                {
                    first.insert(SeenPayment { kept: visible.clone(), gone: false });
                    self.check_paid(&visible);
                }
            }
            Answered::Moved(moved) => {
                let Call::Charge { user, currency, amount } = &call else { return };
                let found = engine.balance(user);
                let right = found.is_some_and(|(_, of, _)| of == *currency);
                let text =
                    format!("{} {amount:?} were charged, and the account is {found:?}", currency.as_str());
                self.check("M1 charge-unseen", right && moved.amount == *amount, || text);
                if amount.minor() > 0 {
                    self.currencies.entry(user.clone()).or_default().insert(*currency);
                }
            }
            Answered::Place(place) => {
                if let Call::Join { schedule, user } = &call
                    && !reply.replayed
                {
                    self.see_place(engine, schedule, user, place);
                }
            }
            Answered::User(id) => {
                if matches!(call, Call::SignUp { .. }) {
                    self.users.insert(id.clone());
                }
                let seen = engine.user(id).is_some();
                self.check("V1 user-unseen", seen, || {
                    format!("user {id} was answered, and nobody knows them")
                });
            }
            Answered::Codes(codes) => self.see_codes(engine, &call, codes, engine.now().as_millis()),
            Answered::Done => self.see_done(engine, op, reply.replayed),
        }
    }

    fn see_reservation(&mut self, engine: &Engine, op: usize, answer: &Reservation, replayed: bool) {
        let call = self.ops[op].call.clone();
        let (Call::Hold { schedule, .. }
        | Call::Exchange { schedule, .. }
        | Call::Release { schedule, .. }
        | Call::Order { schedule, .. }) = &call
        else {
            return;
        };
        let Some(entry) = engine.schedule(schedule) else { return };
        let kept = entry.read();
        let visible = kept.reservation_numbered(answer.number).cloned();
        let Some(visible) = visible else {
            let ended = answer.ended_at.is_some() || replayed;
            return self.check("V1 reservation-unseen", ended, || {
                format!("{answer:?} was answered, and nobody sees it")
            });
        };
        let same = (visible.nonce, &visible.user) == (answer.nonce, &answer.user);
        let ended = !visible.status.is_live();
        selling::check_areas(&kept, self, engine.now().as_millis());
        let done = if let Call::Exchange { wish, .. } = &call {
            replayed
                || selling::is_as_wished(&kept, &visible, wish)
                || ended
                || self.is_exchanged_again(&kept, op, &visible)
        } else {
            ended || matches!(call, Call::Hold { .. } | Call::Order { .. })
        };
        let right = same && done;
        let text = format!("{} was answered with {answer:?}, and what is seen is {visible:?}", call.route());
        self.check("V1 reservation-unseen", right, || text);

        let seen = self.schedules.entry(entry.number().0).or_default();
        if let Entry::Vacant(first) = seen.reservations.entry(answer.number.0) {
            first.insert(SeenReservation { kept: visible.clone(), gone: false });
            self.check_asked(&kept, &visible);
        }
    }

    /// Nothing is paid that nobody asked to pay.
    pub(crate) fn check_paid(&mut self, kept: &Payment) {
        let asked = self.was_asked(kept.id.nonce, |call| {
            matches!(call, Call::Pay { user, reservation, .. } if *user == kept.user && *reservation == kept.reservation)
        });
        self.check("M2 payment-unasked", asked, || format!("nobody asked for {kept:?}"));
    }

    /// Nothing is held that nobody asked for.
    pub(crate) fn check_asked(&mut self, schedule: &Schedule, kept: &Reservation) {
        let id = schedule.id();
        let asked = self.was_asked(kept.nonce, |call| match (call, kept.order()) {
            (Call::Hold { user, schedule, .. }, None) => Some(user) == kept.user.as_ref() && schedule == id,
            (Call::Order { schedule, sale, .. }, Some(_)) => sale.user == kept.user && schedule == id,
            _ => false,
        });
        self.check("S3 reservation-unasked", asked, || format!("nobody asked for {kept:?}"));
        self.check_when(schedule, kept);
    }

    /// Tells whether an exchange that may have come after `op` asked for the seats that a reservation has: both may have become durable
    /// in the same moment.
    fn is_exchanged_again(&self, schedule: &Schedule, op: usize, visible: &Reservation) -> bool {
        let asks = |other: &Op| {
            matches!(&other.call, Call::Exchange { reservation, wish, .. }
                if reservation.nonce == visible.nonce && selling::is_as_wished(schedule, visible, wish))
        };
        let mut others = self.ops.iter().enumerate();
        others.any(|(number, other)| (number > op || other.effect.is_none()) && asks(other))
    }

    /// What was answered of a place is published by now, and maybe more: it may have ended in the same moment. From here on it counts
    /// as seen, so that it doesn't go without a reason.
    fn see_place(&mut self, engine: &Engine, schedule: &ScheduleId, user: &UserId, answer: &Place) {
        let Some(entry) = engine.schedule(schedule) else { return };
        let right = {
            let room = entry.room().read();
            let given = answer.ticket.0 <= room.joined_total();
            room.user(answer.ticket).map_or(given, |standing| *standing == **user)
        };
        self.check("V1 place-unseen", right, || {
            format!("{user}'s place in {schedule} was answered ({answer:?}), and nobody sees it")
        });
        let seen = self.schedules.entry(entry.number().0).or_default();
        seen.places.entry(answer.ticket.0).or_insert_with(|| SeenPlace::of(user, answer));
    }

    fn see_done(&mut self, engine: &Engine, op: usize, replayed: bool) {
        if replayed {
            return;
        }
        let call = self.ops[op].call.clone();
        // Whether a put was done before isn't said; one that is sent again may have been, and the schedule removed since.
        if let Call::Put { schedule, .. } = &call
            && self.wanted.get(schedule).is_some_and(|wanted| wanted.planning.0 == Some(op))
        {
            let listed = engine.catalogue().schedule(schedule).is_some();
            self.check("V1 put-unseen", listed, || format!("{schedule} was put, and isn't listed"));
        }
        if let Call::Cancel { schedule } = &call {
            let is_cancelled =
                |entry: Arc<ScheduleEntry>| entry.read().sale_status() == SaleStatus::Cancelled;
            let cancelled = engine.schedule(schedule).is_none_or(is_cancelled);
            self.check("V1 cancel-unseen", cancelled, || {
                format!("{schedule} was cancelled, and is still sold")
            });
        }
    }

    /// What was acknowledged last is how it shall be.
    fn settle_wishes(&mut self, op: usize, now: u64) {
        let call = self.ops[op].call.clone();
        self.settle_prepared(op, &call, now);
        for (schedule, plan) in call.plans() {
            if let Some(plan) = plan {
                self.wish_plan(op, schedule, plan, now);
            }
        }
        if let Call::Tune { schedule, tuning } = &call {
            let latest = |wanted: &&mut Wanted| wanted.tuning.0 == Some(op) && wanted.plan.is_some();
            if let Some(wanted) = self.wanted.get_mut(schedule).filter(latest)
                && let (Some(active), Some(per_minute)) = (tuning.active_max, tuning.admit_per_minute)
            {
                wanted.tuned = Some((active, per_minute));
            }
        }
        if let Call::SetStatus { user, status } = &call {
            let latest = |barred: &&mut Barred| barred.asking.0 == Some(op);
            if let Some(barred) = self.barred.get_mut(user).filter(latest) {
                barred.is = Some(*status != UserStatus::Active);
            }
        }
    }

    fn wish_plan(&mut self, op: usize, id: &ScheduleId, plan: &Plan, now: u64) {
        if let Some(wanted) = self.wanted.get_mut(id).filter(|wanted| wanted.planning.0 == Some(op)) {
            (wanted.plan, wanted.room, wanted.since) = (Some(plan.clone()), Some(room_of(plan)), now);
        }
    }

    /// A refusal is true, and one key has one answer.
    fn refused(&mut self, engine: &Engine, op: usize, no: &No) {
        let No::Engine(error) = no else { return };
        if is_passing(error) {
            return;
        }

        let asked = self.ops[op].clone();
        let now = engine.now().as_millis();
        let first = self.promised(op, now).next().cloned();
        if let Some(first) = first {
            let text = format!("a key was answered with {first:?}, and now with \"{error}\"");
            self.broken("I1 key-refused", text);
        }

        if let (
            Call::Charge { user, currency, .. },
            EngineError::Refused(engine::Refusal::Account(refusal)),
        ) = (&asked.call, error)
        {
            let others = self.currencies.get(user).is_some_and(|of| of.iter().any(|of| of != currency));
            let other_currency = *refusal == accounts::Refusal::OtherCurrency;
            self.check("M1 other-currency", others || !other_currency, || {
                format!("{user} was refused {}, and never had money in another currency", currency.as_str())
            });
        }
        if let EngineError::Refused(engine::Refusal::Schedule(refusal)) = error {
            self.check_refusal(engine, &asked, refusal, now);
        }
    }

    /// Tells whether what a call is about may be another schedule by now, under the same id.
    fn was_remade(&self, call: &Call) -> bool {
        let about = call.schedule();
        about.is_some_and(|about| {
            self.ever_asked(|call| matches!(call, Call::Remove { schedule } if schedule == about))
        })
    }

    /// Finds requests of a user and a route with a key, the newest first.
    pub(crate) fn keyed(&self, user: Option<&str>, route: Option<&str>) -> Vec<usize> {
        let fits = |op: &Op| {
            op.key.is_some()
                && user.is_none_or(|user| op.call.user().is_some_and(|of| **of == *user))
                && route.is_none_or(|route| op.call.route() == route)
        };
        (0..self.ops.len()).rev().filter(|op| fits(&self.ops[*op])).collect()
    }

    /// Tells whether an attempt with this nonce was ever made by a call that `fits`.
    pub(crate) fn was_asked(&self, nonce: u64, fits: impl Fn(&Call) -> bool) -> bool {
        let nonce = asked_for(nonce);
        self.ops.iter().any(|op| op.nonces.iter().any(|(of, _)| *of == nonce) && fits(&op.call))
    }

    /// Tells whether anyone ever asked for what `fits`.
    pub(crate) fn ever_asked(&self, fits: impl Fn(&Call) -> bool) -> bool {
        self.ops.iter().any(|op| !op.nonces.is_empty() && fits(&op.call))
    }

    /// Returns how many at most anyone ever asked to be active in a schedule's room.
    pub(crate) fn active_asked(&self, id: &ScheduleId) -> u32 {
        let of = |op: &Op| {
            let asked = if let Call::Tune { schedule, tuning } = &op.call
                && schedule == id
            {
                tuning.active_max
            } else {
                let plan = op.call.plans().into_iter().find(|(schedule, _)| *schedule == id);
                let queue = plan.and_then(|(_, plan)| plan?.policy.queue.clone());
                queue.map(|queue| queue.active_max)
            };
            asked.unwrap_or_default()
        };
        self.ops.iter().map(of).max().unwrap_or_default()
    }

    /// Notes what lived when the engine died.
    pub(crate) fn died(&mut self, now: u64) {
        if self.outage.is_some() {
            return;
        }
        let mut lived = Vec::new();
        for (number, seen) in &self.schedules {
            for kept in seen.reservations.values() {
                let deadline = kept.kept.expires_at.as_millis();
                if !kept.gone && kept.kept.status.has_deadline() && deadline > now {
                    lived.push((*number, kept.kept.clone()));
                }
            }
        }
        self.outage = Some(Outage { died_at: now, died_again: false, lived });
    }

    /// Notes that a start died, too.
    pub(crate) fn start_died(&mut self) {
        if let Some(outage) = &mut self.outage {
            outage.died_again = true;
        }
    }

    /// A hold that lived when the engine died gets its time back (S4).
    pub(crate) fn check_outage(&mut self, engine: &Engine) {
        let Some(Outage { died_at, died_again, lived }) = self.outage.take() else { return };
        let ready = engine.now().as_millis();
        for (number, before) in lived {
            let Some(entry) = engine.schedule_by_number(ScheduleNumber(number)) else { continue };
            let schedule = entry.read();
            let Some(now) = schedule.reservation_numbered(before.number).cloned() else { continue };
            let grace = schedule.plan().policy.recovery_grace.as_millis();
            drop(schedule);
            let ended_at = now.ended_at.map_or(0, Timestamp::as_millis);
            if now.status == ReservationStatus::Expired && ended_at > died_at {
                self.broken(
                    "S4 outage-expired",
                    format!(
                        "{:?}'s hold {} lived when the engine died at {died_at} (until {}), and expired at {ended_at}, before the \
                         engine was ready at {ready}: an outage took its time",
                        now.user,
                        now.number.0,
                        before.expires_at.as_millis()
                    ),
                );
            }
            if now.status == before.status && now.status.has_deadline() {
                let (old, new) = (before.expires_at.as_millis(), now.expires_at.as_millis());
                let back = old + ready.saturating_sub(died_at);
                // A start that died may have been ready for a moment: then there were two outages, neither of which the hold may have
                // outlasted by itself. Its time it gets back in any case.
                let least = if old <= ready && !died_again { back.max(ready + grace) } else { back };
                self.check("S4 outage-expired", new + 50 >= least, || {
                    format!("hold {} had until {old}, the engine was away from {died_at} to {ready}, and it has until {new}", now.number.0)
                });
            }
        }
    }
}

/// What of a plan configures the schedule's waiting room.
fn room_of(plan: &Plan) -> RoomPlan {
    (plan.policy.queue.clone(), plan.sales_open_at, plan.closes_at())
}

fn effect_of(reply: &Reply) -> Effect {
    match &reply.answer {
        Answered::Reservation(reservation) => Effect::Reservation(reservation.number.0, reservation.nonce),
        Answered::Payment(payment) => Effect::Payment(payment.id),
        Answered::Moved(moved) => Effect::Moved(moved.id.number, moved.id.nonce),
        Answered::Place(place) => Effect::Place(place.ticket.0),
        Answered::Codes(codes) => Effect::Codes(codes.first().map(ToString::to_string).unwrap_or_default()),
        Answered::User(_) | Answered::Done => Effect::Done,
    }
}

/// The book as the clients of a world share it.
pub(crate) type Shared = Arc<std::sync::Mutex<Book>>;

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: u64 = 1_800_000_000_000;

    fn ask(book: &mut Book, now: u64) -> usize {
        let key = KeyUse { digest: 1, fingerprint: 2 };
        let schedule = ScheduleId::parse("s1").expect("an id");
        book.ask(Call::Open { schedule }, Some(key), now)
    }

    fn is_promised(book: &Book, op: usize, now: u64) -> bool {
        book.promised(op, now).next().is_some()
    }

    #[test]
    fn requests_with_the_same_key_and_body_share_its_day_and_its_effect() {
        let mut book = Book::default();
        let first = ask(&mut book, BEGIN);
        book.send(first, 1, BEGIN);
        book.ops[first].effect = Some(Effect::Done);
        let second = ask(&mut book, BEGIN + 1_810);
        book.send(second, 2, BEGIN + 1_810);
        assert!(is_promised(&book, second, BEGIN + KEY_LIFE - 1), "what the first was answered with");
        book.ops[second].effect = Some(Effect::Done);
        assert!(!is_promised(&book, second, BEGIN + KEY_LIFE), "the day began with the first");
    }

    #[test]
    fn a_key_that_was_sent_again_by_an_earlier_clock_counts_from_then() {
        let mut book = Book::default();
        let first = ask(&mut book, BEGIN + 300_000);
        book.send(first, 1, BEGIN + 300_000);
        let second = ask(&mut book, BEGIN + 300_000);
        // It left no trace, the process died, and the clock goes on from the last mark.
        book.send(second, 2, BEGIN);
        book.ops[first].effect = Some(Effect::Done);
        for op in [first, second] {
            assert!(is_promised(&book, op, BEGIN + KEY_LIFE - 1));
            assert!(!is_promised(&book, op, BEGIN + KEY_LIFE));
        }
    }
}
