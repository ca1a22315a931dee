//! What is checked after each step, from the published state alone.
//!
//! Nothing that was ever seen unhappens; nothing is there that nobody asked for; and what must hold at every moment holds.

use std::collections::BTreeMap;
use std::path::Path;

use onsale::domain::accounts::Transaction;
use onsale::domain::ids::{PaymentNumber, UserId};
use onsale::domain::payments::{Failure, Method, Payment, State};
use onsale::domain::schedule::policy::QueuePolicy;
use onsale::domain::schedule::{Reservation, ReservationStatus, Schedule, SeatStatus};
use onsale::domain::time::Timestamp;
use onsale::domain::waiting_room::{PlaceStatus, Ticket, WaitingRoom};
use onsale::engine::{Engine, EngineError, ScheduleEntry};

use crate::book::{Book, KEY_LIFE, SeenPayment, SeenPlace, SeenReservation, SeenSchedule, asked_for};
use crate::calls::Call;
use crate::plan::{CLAIM_SECONDS, HOLD_SECONDS, USERS};
use crate::{office, selling};

/// How long attempts that came to nothing are kept.
const PAYMENT_RETENTION: u64 = 7 * 86_400_000;

/// What is on an account: the movements, the newest first, and the balance.
pub(crate) type Account = (&'static str, Result<Vec<Transaction>, EngineError>, u64);

/// Reads every account. The old part of one is on a file, so that this may wait.
pub(crate) async fn accounts(engine: &Engine) -> Vec<Account> {
    let mut accounts = Vec::new();
    for name in USERS {
        let movements = engine.transactions(name, None, 10_000).await;
        let balance = engine.balance(name).map_or(0, |(balance, ..)| balance.minor());
        accounts.push((name, movements, balance));
    }
    accounts
}

/// Looks at everything that is published.
pub(crate) fn observe(engine: &Engine, accounts: Vec<Account>, book: &mut Book) {
    for entry in engine.schedules() {
        let mut seen = book.schedules.remove(&entry.number().0).unwrap_or_default();
        see_schedule(engine, &entry, &mut seen, book);
        book.schedules.insert(entry.number().0, seen);
    }
    for account in accounts {
        see_account(account, book);
    }
    see_users(engine, book);
    check_keys(book);
}

fn see_schedule(engine: &Engine, entry: &ScheduleEntry, seen: &mut SeenSchedule, book: &mut Book) {
    {
        let schedule = entry.read();
        book.check("R1 version-back", schedule.version() >= seen.version, || {
            format!(
                "schedule {} was at version {}, and is at {}",
                entry.id(),
                seen.version,
                schedule.version()
            )
        });
        seen.version = schedule.version();
        check_seats(&schedule, book);
        see_reservations(&schedule, seen, book);
        selling::check(&schedule, seen, book, engine.now().as_millis());
        let wanted = book.wanted.get(entry.id()).and_then(|wanted| wanted.plan.clone());
        if let Some(wanted) = wanted {
            let right = **schedule.plan() == wanted;
            book.check("I1 other-plan", right, || {
                format!(
                    "a plan of {} was acknowledged, and another one stands: casting {:?}",
                    entry.id(),
                    schedule.plan().casting
                )
            });
        }
    }
    see_payments(engine, entry, seen, book);
    check_confirmed(engine, entry, book);
    see_room(entry, seen, book, engine.now().as_millis());
}

/// S1 and S2.
fn check_seats(schedule: &Schedule, book: &mut Book) {
    let mut owners: BTreeMap<u32, (&Reservation, SeatStatus)> = BTreeMap::new();
    for reservation in schedule.reservations() {
        let status = match reservation.status {
            ReservationStatus::Held | ReservationStatus::Paying => SeatStatus::Held,
            ReservationStatus::Confirmed => SeatStatus::Reserved,
            ReservationStatus::Cancelled | ReservationStatus::Released | ReservationStatus::Expired => {
                continue;
            }
        };
        for seat in &*reservation.seats {
            if let Some((other, _)) = owners.insert(seat.0, (reservation, status)) {
                book.broken(
                    "S1 seat-twice",
                    format!("seat {} belongs to {other:?} and {reservation:?}", seat.0),
                );
            }
        }
    }

    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for (index, status) in (0..).zip(schedule.statuses()) {
        *counts.entry(status.as_str()).or_default() += 1;
        let right = match owners.get(&index) {
            Some((_, expected)) => status == expected,
            None => matches!(status, SeatStatus::Available | SeatStatus::Blocked),
        };
        book.check("S2 seat-status", right, || {
            format!("seat {index} of {} is {}", schedule.id(), status.as_str())
        });
    }

    for status in SeatStatus::ALL {
        let places: u32 = schedule.area_counts().iter().map(|counts| counts.of(status)).sum();
        let counted = counts.get(status.as_str()).copied().unwrap_or_default() + places;
        book.check("S2 seat-counts", schedule.counts().of(status) == counted, || {
            format!(
                "{} counts {:?}, and has {counted} that are {}",
                schedule.id(),
                schedule.counts(),
                status.as_str()
            )
        });
    }
}

fn see_reservations(schedule: &Schedule, seen: &mut SeenSchedule, book: &mut Book) {
    let last = schedule.last_instant().as_millis();
    let mut present = Vec::new();
    for now in schedule.reservations() {
        present.push(now.number.0);
        if let Some(before) = seen.reservations.get_mut(&now.number.0) {
            check_change(schedule, &before.kept, now, book);
            if before.gone {
                book.broken(
                    "S3 reservation-back",
                    format!("reservation {} was forgotten, and is back", now.number.0),
                );
            }
            before.kept = now.clone();
        } else {
            book.check_asked(schedule, now);
            seen.reservations.insert(now.number.0, SeenReservation { kept: now.clone(), gone: false });
        }
        check_deadline(now, book);
    }

    let retention = schedule.limits().ended_retention.as_millis();
    for (number, before) in &mut seen.reservations {
        if before.gone || present.contains(number) {
            continue;
        }
        // It may have ended since it was last seen.
        let ended_at = before.kept.ended_at.unwrap_or(before.kept.expires_at).as_millis();
        let may = before.kept.status != ReservationStatus::Confirmed && ended_at + retention <= last
            || before.kept.status.is_live() && before.kept.created_at.as_millis() + retention <= last;
        // An order is its payment, too.
        let may = may && before.kept.order().is_none();
        book.check("S3 reservation-gone", may, || format!("{:?} is gone at {last}", before.kept));
        before.gone = true;
    }
}

/// What a reservation was, and what it may have become since.
fn check_change(schedule: &Schedule, before: &Reservation, now: &Reservation, book: &mut Book) {
    use ReservationStatus::{Cancelled, Confirmed, Expired, Held, Paying, Released};
    let same = (before.nonce, &before.user) == (now.nonce, &now.user);
    book.check("S3 reservation-other", same, || format!("{before:?} has become {now:?}"));
    let right = match before.status {
        Held | Paying => true,
        Confirmed => matches!(now.status, Confirmed | Cancelled),
        Expired => matches!(now.status, Expired | Confirmed | Cancelled),
        Cancelled => now.status == Cancelled,
        Released => now.status == Released,
    };

    book.check("S3 reservation-back", right, || format!("{before:?} has become {now:?}"));
    if (before.status, now.status) == (Confirmed, Cancelled) {
        book.check_cancelled(schedule.id(), now);
    }
    if before.seats != now.seats {
        let exchanged = book.ever_asked(
            |call| matches!(call, Call::Exchange { wish, .. } if selling::is_as_wished(schedule, now, wish)),
        );
        book.check("S5 seats-unasked", exchanged, || {
            format!("{before:?} has become {now:?}, and nobody asked for these seats")
        });
    }

    if now.status == Expired && before.status != Expired {
        let ended = now.ended_at.map_or(0, Timestamp::as_millis);
        book.check("S4 expired-early", ended >= now.expires_at.as_millis(), || {
            format!("{now:?} ended before its deadline")
        });
    }
}

/// A payment moves a deadline only while it is under way.
fn check_deadline(now: &Reservation, book: &mut Book) {
    if now.status == ReservationStatus::Held && is_moved(now) {
        book.broken(
            "S4 deadline-moved",
            format!("no payment is under way, and the deadline was moved: {now:?}"),
        );
    }
}

/// Tells whether the deadline isn't the one that the hold was made with, though no outage moved it.
fn is_moved(reservation: &Reservation) -> bool {
    let first = reservation.created_at.as_millis() + u64::from(HOLD_SECONDS) * 1_000;
    !reservation.recovered && reservation.expires_at.as_millis() != first
}

/// How far a payment is, so that it only ever goes on.
fn rank(state: State) -> u8 {
    match state {
        State::Ready => 0,
        State::Begun => 1,
        State::Capturing => 2,
        State::Declined => 3,
        State::Captured => 4,
        State::Confirmed => 5,
        State::Completed => 6,
        State::Refunding => 7,
        State::Refunded => 8,
        State::Failed => 9,
    }
}

fn may_become(before: State, now: State) -> bool {
    let taken = |state| {
        matches!(
            state,
            State::Captured | State::Confirmed | State::Completed | State::Refunding | State::Refunded
        )
    };
    match before {
        State::Failed | State::Refunded => now == before,
        State::Declined => matches!(now, State::Declined | State::Failed),
        State::Captured | State::Confirmed | State::Completed | State::Refunding => {
            taken(now) && rank(now) >= rank(before)
        }
        State::Ready | State::Begun | State::Capturing => rank(now) >= rank(before),
    }
}

fn see_payments(engine: &Engine, entry: &ScheduleEntry, seen: &mut SeenSchedule, book: &mut Book) {
    let now = engine.now().as_millis();
    let last = seen.payments.keys().next_back().copied().unwrap_or_default();
    for number in 1..=last + 8 {
        let found = engine.payment_numbered(entry.number(), PaymentNumber(number));
        match (seen.payments.get_mut(&number), found) {
            (None, None) => {}
            (None, Some(found)) => {
                book.check_paid(&found);
                seen.payments.insert(number, SeenPayment { kept: found, gone: false });
            }
            (Some(before), Some(found)) => {
                let same = before.kept.id == found.id
                    && before.kept.amount == found.amount
                    && before.kept.reservation == found.reservation
                    && before.kept.user == found.user
                    && !before.gone;
                let right = same && may_become(before.kept.state, found.state);
                book.check("S3 payment-back", right, || format!("{:?} has become {found:?}", before.kept));
                before.kept = found;
            }
            (Some(before), None) => {
                let nothing =
                    !matches!(before.kept.state, State::Completed | State::Refunding | State::Refunded);
                let old = before.kept.updated_at.as_millis() + PAYMENT_RETENTION <= now;
                book.check("S3 payment-gone", before.gone || nothing && old, || {
                    format!("{:?} is gone", before.kept)
                });
                before.gone = true;
            }
        }
    }
}

/// M2: a confirmed reservation has exactly one payment that took its amount.
fn check_confirmed(engine: &Engine, entry: &ScheduleEntry, book: &mut Book) {
    let seen: Vec<Payment> = (1..=1_000)
        .map_while(|number| {
            let any = (number..number + 9)
                .any(|number| engine.payment_numbered(entry.number(), PaymentNumber(number)).is_some());
            any.then(|| engine.payment_numbered(entry.number(), PaymentNumber(number)))
        })
        .flatten()
        .collect();
    let schedule = entry.read();

    for reservation in schedule.reservations() {
        let stands = |payment: &&Payment| {
            payment.reservation.number == reservation.number
                && matches!(payment.state, State::Captured | State::Confirmed | State::Completed)
        };
        let standing: Vec<&Payment> = seen.iter().filter(stands).collect();
        if reservation.order().is_some() {
            office::check_order(&schedule, reservation, &standing, book);
            continue;
        }
        let amounts = book.amounts(&schedule, reservation);
        match reservation.status {
            ReservationStatus::Confirmed => {
                let its = |payment: &&&Payment| Some(payment.id) == reservation.payment;
                let right = standing.iter().filter(its).count() == 1
                    && standing.iter().filter(its).all(|payment| amounts.contains(&payment.amount.minor()))
                    && standing.iter().filter(|payment| payment.state != State::Captured).count() <= 1;
                book.check("M2 confirmed-unpaid", right, || {
                    format!("{reservation:?} is confirmed, and its payments are {standing:?}")
                });
            }
            ReservationStatus::Held => {
                let taken = standing.iter().any(|payment| payment.state != State::Captured);
                book.check("M2 held-paid", !taken, || format!("{reservation:?} has {standing:?}"));
            }
            ReservationStatus::Paying => {
                // A balance says at once whether it pays: no deadline need move for it.
                let by_balance = seen.iter().any(|payment| {
                    Some(payment.id) == reservation.payment && payment.method == Method::Balance
                });
                if by_balance && is_moved(reservation) {
                    book.broken(
                        "S4 balance-moved",
                        format!("a payment from a balance moved the deadline of {reservation:?}"),
                    );
                }
            }
            ReservationStatus::Cancelled => {
                let given_back = seen.iter().find(|payment| {
                    Some(payment.id) == reservation.payment
                        && payment.failure == Some(Failure::Cancelled)
                        && matches!(payment.state, State::Refunding | State::Refunded)
                });
                let Some(payment) = given_back else { continue };
                let (amount, back) = (payment.amount.minor(), payment.refund_amount().minor());
                let right =
                    amounts.contains(&amount) && book.may_go_back(entry.id(), reservation, amount, back);
                book.check("M3 other-refund", right, || {
                    format!("{reservation:?} cost one of {amounts:?}, and {payment:?} gives {back} back")
                });
            }
            ReservationStatus::Released | ReservationStatus::Expired => {}
        }
    }
}

fn see_room(entry: &ScheduleEntry, seen: &mut SeenSchedule, book: &mut Book, now: u64) {
    let room = entry.room().read();
    let id = entry.id();
    if let (Some(wanted), Some(settings)) =
        (book.wanted.get(id).and_then(|wanted| wanted.tuned), room.settings())
    {
        let stands = (settings.policy.active_max, settings.policy.admit_per_minute);
        book.check("I1 tuning-undone", stands == wanted, || {
            format!(
                "the room of {id} was tuned to {wanted:?}, nobody changed that, and it runs by {stands:?}"
            )
        });
    }

    if let Some(plan) = book.wanted.get(id).and_then(|wanted| wanted.plan.clone()) {
        let configured = room.configured().map(|settings| settings.policy.clone());
        // Whoever waits in an order keeps it; what was tuned stands beside what was configured.
        let follows = match (&configured, &plan.policy.queue) {
            (Some(runs), Some(asked)) => *runs == QueuePolicy { order: runs.order, ..asked.clone() },
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        book.check("I1 other-room", follows, || {
            format!(
                "a plan of {id} was acknowledged, and its room runs by {configured:?}: {:?}",
                plan.policy.queue
            )
        });
    }

    let active_before = seen.places.values().filter(|place| place.active).count();
    let mut places = BTreeMap::new();
    for number in 1..=room.joined_total() {
        let ticket = Ticket(number);
        let Some(user) = room.user(ticket).map(|user| UserId::parse(user).expect("an id")) else { continue };
        let active = room.pass(ticket);
        let joined_at = room.joined_at(ticket).expect("who has a place joined");
        let ends_at = match active {
            Some((expires_at, claim_by)) => claim_by.map_or(expires_at, |by| by.min(expires_at)).as_millis(),
            // It may enter at any moment, and then has to be claimed.
            None => room
                .place(ticket, joined_at)
                .map_or(0, |place| place.expires_at.as_millis())
                .min(now + u64::from(CLAIM_SECONDS) * 1_000),
        };
        let place = SeenPlace { user, active: active.is_some(), position: room.position(ticket), ends_at };
        places.insert(number, place);
    }

    check_places(id, &room, seen, &places, book, now);
    let active = places.values().filter(|place| place.active).count();
    let most = room.overview().active_max;

    // It may have been more for a moment: whoever is in by then stays.
    let certain = most == seen.active_max && book.wanted.get(id).is_none_or(|wanted| wanted.plan.is_some());
    let asked = if certain { 0 } else { book.active_asked(id) };
    let bound = usize::try_from(most.max(asked)).expect("small").max(active_before);
    book.check("Q1 too-many-active", active <= bound, || format!("{active} are active in {id}, of {most}"));
    seen.active_max = most;
    check_draw(id, &room, &places, book, now);
    seen.places = places;
}

fn check_places(
    id: &onsale::domain::ids::ScheduleId,
    room: &WaitingRoom,
    seen: &SeenSchedule,
    places: &BTreeMap<u32, SeenPlace>,
    book: &mut Book,
    now: u64,
) {
    for (number, place) in places.iter().filter(|(number, _)| !seen.places.contains_key(number)) {
        let asked = book.ever_asked(
            |call| matches!(call, Call::Join { user, schedule } if *user == place.user && schedule == id),
        );
        book.check("Q1 place-unasked", asked, || {
            format!("nobody asked for place {number} in {id}: {place:?}")
        });
    }

    for (number, before) in &seen.places {
        match places.get(number) {
            None => {
                let ended = room.ending(Ticket(*number)) == PlaceStatus::Done;
                let asked = book.ever_asked(|call| {
                    let shut = matches!(call, Call::Put { schedule, .. } | Call::Cancel { schedule } if schedule == id);
                    let left = matches!(call, Call::Leave { user, .. } if *user == before.user);
                    shut || left || matches!(call, Call::Import { .. })
                });
                // An active place that was extended by an outage, or claimed, is seen so before it ends.
                let right = ended || before.ends_at <= now || asked;
                book.check("S3 place-gone", right, || {
                    format!("place {number} in {id} is gone at {now}: {before:?}")
                });
            }
            Some(place) => {
                let same = place.user == before.user && (!before.active || place.active);
                book.check("S3 place-back", same, || {
                    format!("place {number} in {id} was {before:?}, and is {place:?}")
                });
                if let (Some(was), Some(is)) = (before.position, place.position) {
                    book.check("Q1 position-grew", is <= was, || {
                        format!("position of place {number} in {id} grew from {was} to {is}")
                    });
                }
            }
        }
    }

    // Whoever was let in was before everyone who was in line then and still is.
    let entered = seen
        .places
        .iter()
        .filter(|(number, before)| !before.active && places.get(number).is_some_and(|place| place.active));

    for (number, entered) in entered {
        let Some(position) = entered.position else { continue };
        for (other, waits) in places.iter().filter(|(_, place)| !place.active) {
            let before = seen.places.get(other).and_then(|before| before.position);
            let passed = before.is_some_and(|before| before < position);
            book.check("Q1 passed-others", !passed, || {
                format!("place {number} in {id} entered from {position}, before place {other} ({waits:?})")
            });
        }
    }
}

/// In a room that draws, nobody has a position before it opens; unless there was a draw, of someone.
fn check_draw(
    id: &onsale::domain::ids::ScheduleId,
    room: &WaitingRoom,
    places: &BTreeMap<u32, SeenPlace>,
    book: &mut Book,
    now: u64,
) {
    let Some(settings) = room.settings() else { return };
    let shuffles = settings.policy.order == onsale::domain::schedule::policy::QueueOrder::Shuffle;
    let opens_later = settings.opens_at.is_some_and(|at| at.as_millis() > now);
    let drawn_nobody = room.drawing().is_some_and(|(_, count)| count == 0);
    let known = places.values().find(|place| place.position.is_some());
    if let (true, true, true, Some(place)) = (shuffles, opens_later, drawn_nobody, known) {
        book.broken(
            "Q1 no-draw",
            format!("the room of {id} draws when it opens, later than {now}; {place:?} has a position: no draw will come"),
        );
    }
}

/// M1, and that no acknowledged movement is lost.
fn see_account((name, movements, has): Account, book: &mut Book) {
    let user = UserId::parse(name).expect("an id");
    let movements = match movements {
        Ok(movements) => movements,
        Err(error) => {
            return book.broken("B1 movements-unread", format!("{name}'s movements can't be read: {error}"));
        }
    };
    let mut balance: u64 = 0;
    let mut charges = Vec::new();

    for moved in movements.iter().rev() {
        let amount = moved.amount.minor();
        let after = match moved.kind.as_str() {
            "payment" => balance.checked_sub(amount),
            _ => Some(balance + amount),
        };
        let right = after == Some(moved.balance_after.minor());
        book.check("M1 balance-sum", right, || format!("{name} had {balance}, and then {moved:?}"));
        balance = moved.balance_after.minor();
        if moved.kind.as_str() == "charge" {
            let asked = book.was_asked(moved.id.nonce, |call| {
                matches!(call, Call::Charge { user: of, amount, .. } if *of == user && *amount == moved.amount)
            });
            book.check("M1 charge-unasked", asked, || format!("nobody asked for {moved:?}"));
            charges.push((asked_for(moved.id.nonce), moved.at.as_millis()));
        }
    }

    book.check("M1 balance-other", has == balance, || {
        format!("{name} has {has}, and the movements come to {balance}")
    });
    let before = book.movements.insert(user, movements.len()).unwrap_or_default();
    book.check("S3 movements-gone", before <= movements.len(), || {
        format!("{name} had {before} movements, and has {}", movements.len())
    });
    check_one_effect(book, "charge", name, &charges);
}

fn see_users(engine: &Engine, book: &mut Book) {
    for id in book.users.clone() {
        book.check("S3 user-gone", engine.user(&id).is_some(), || {
            format!("user {id} signed up, and is unknown")
        });
    }
    for (user, barred) in book.barred.clone() {
        if let Some(barred) = barred.is {
            book.check("S3 barred-other", engine.is_barred(&user) == barred, || {
                format!("that {user} is barred: {barred}, was acknowledged")
            });
        }
    }
}

/// I1: one key has one effect. Each attempt carries another nonce, so effects tell which attempt had them. A schedule that was removed
/// and made again is another one, and knows nothing of the first one's keys.
fn check_keys(book: &mut Book) {
    let mut made: Vec<(&str, Vec<(u32, u64)>)> = Vec::new();
    for seen in book.schedules.values() {
        let held = seen.reservations.values().map(|seen| &seen.kept);
        let held: Vec<_> = held.map(|kept| (asked_for(kept.nonce), kept.created_at.as_millis())).collect();
        made.extend([("hold", held.clone()), ("order", held)]);
        let paid = seen.payments.values().map(|seen| &seen.kept).filter(|kept| kept.state != State::Failed);
        made.push((
            "pay",
            paid.map(|kept| (asked_for(kept.id.nonce), kept.created_at.as_millis())).collect(),
        ));
    }
    for (route, effects) in made {
        check_one_effect(book, route, "", &effects);
    }
}

/// `effects` are the random parts of what was made, with the instants at which it was.
fn check_one_effect(book: &mut Book, route: &'static str, user: &str, effects: &[(u32, u64)]) {
    // A key with a body is one wish, however many requests have it; it counts from the earliest attempt, which needn't be the first: a
    // start may set the clock back.
    let mut wishes: BTreeMap<(u128, u128), (u64, &Call, Vec<u32>)> = BTreeMap::new();
    for op in &book.ops {
        let fits =
            op.call.route() == route && (user.is_empty() || op.call.user().is_some_and(|of| **of == *user));
        let Some(key) = op.key.filter(|_| fits) else { continue };
        let (since, _, nonces) =
            wishes.entry((key.digest, key.fingerprint)).or_insert((u64::MAX, &op.call, Vec::new()));
        for (nonce, at) in &op.nonces {
            *since = (*since).min(*at);
            nonces.push(*nonce);
        }
    }

    let mut twice = None;
    for (since, call, nonces) in wishes.values() {
        // A message can wait for as long as the process isn't scheduled: what counts is when it was done.
        let within = effects.iter().filter(|(_, at)| *at < since.saturating_add(KEY_LIFE));
        let its = within.filter(|(nonce, _)| nonces.contains(nonce)).count();
        if its > 1 {
            twice = Some(format!("{its} effects of one key: {call:?}"));
        }
    }

    if let Some(text) = twice {
        book.broken("I1 key-twice", text);
    }
}

/// B1: nothing is left behind by a snapshot that couldn't be written, or whose process died. One that goes on isn't seen here: it is
/// written at one go.
pub(crate) fn check_files(dir: &Path, book: &mut Book) {
    let entries = std::fs::read_dir(dir.join("snapshots")).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let left: Vec<String> = names.filter(|name| name.ends_with(".partial")).collect();
    book.check("B1 partial-left", left.is_empty(), || {
        format!("unfinished snapshots are left behind: {left:?}")
    });
}
