//! What a step means now: which hold is "kim's third", which seats are "the first from there".

use std::sync::Arc;

use onsale::domain::ids::{ConcertId, ReservationId, ScheduleId, ScheduleNumber, UserId};
use onsale::domain::keys::KeyUse;
use onsale::domain::money::Money;
use onsale::domain::payments::{Payment, State};
use onsale::domain::schedule::terms::{AreaWish, PriceType};
use onsale::domain::schedule::{Caller, Pick, Plan, Reservation, ReservationRef, ReservationStatus, Wish};
use onsale::domain::time::Timestamp;
use onsale::domain::users::{Email, PasswordHash, Profile, UserName, UserStatus};
use onsale::domain::venue::{Area, Seat};
use onsale::domain::waiting_room::Tuning;
use onsale::engine::Pass;
use onsale::gateway::{OrderId, PaymentKey};

use crate::book::Book;
use crate::calls::{Call, Sale, YOUTH};
use crate::dice::{Dice, Trace};
use crate::documents;
use crate::plan::{self, Ask, Basket, Canceller, CodePick, DocChange, SCHEDULES, USERS};
use crate::world::{Living, World};

/// Finds or makes the request that a step asks for; none, where there is nothing that it could be about.
pub(crate) fn resolve(
    world: &World,
    living: &Living,
    dice: &mut Dice,
    ask: Ask,
    key: plan::KeyUse,
) -> Option<usize> {
    if let Ask::Repeat { pick } = ask {
        let keyed = world.book().keyed(None, None);
        return (!keyed.is_empty()).then(|| keyed[pick % keyed.len()]);
    }

    let call = call(world, living, ask)?;
    let now = living.engine.now().as_millis();
    let mut book = world.book();
    let takes_key = !matches!(call, Call::SignUp { .. } | Call::Snapshot | Call::Archive);
    let key = match key {
        plan::KeyUse::None => None,
        plan::KeyUse::New | plan::KeyUse::Again(_) if !takes_key => None,
        plan::KeyUse::New => Some(key_of(dice.next(), &call)),
        plan::KeyUse::Again(pick) => {
            let user = call.user().map(|user| user.as_str().to_owned());
            let earlier = book.keyed(user.as_deref(), Some(call.route()));
            let again = (!earlier.is_empty()).then(|| earlier[pick % earlier.len()]);
            let digest = again.and_then(|op| book.ops[op].key).map(|key| key.digest);
            let key = key_of(dice.next(), &call);
            Some(digest.map_or(key, |digest| KeyUse { digest, ..key }))
        }
    };

    Some(book.ask(call, key, now))
}

/// A key is known by its digest, its body by another one.
fn key_of(number: u64, call: &Call) -> KeyUse {
    let mut body = Trace::default();
    body.add(format!("{call:?}").as_bytes());
    KeyUse { digest: u128::from(number), fingerprint: u128::from(body.digest()) }
}

fn user(index: usize) -> UserId {
    UserId::parse(USERS[index]).expect("an id")
}

fn call(world: &World, living: &Living, ask: Ask) -> Option<Call> {
    let engine = &living.engine;
    let mut book = world.book();
    Some(match ask {
        Ask::Hold { user: who, schedule, basket } => {
            let id = documents::schedule_id(schedule);
            let wish = wish(world, &book, &id, basket);
            Call::Hold { user: user(who), schedule: id, wish }
        }
        Ask::Exchange { user: who, pick, basket } => {
            let (schedule, reservation) =
                reservation_of(living, &book, who, pick, |status| status == ReservationStatus::Held)?;
            let wish = wish(world, &book, &schedule, basket);
            Call::Exchange { user: user(who), schedule, reservation, wish }
        }
        Ask::Release { user: who, pick, paid, admin } => {
            let (schedule, reservation) = reservation_of(living, &book, who, pick, |status| {
                status == if paid { ReservationStatus::Confirmed } else { ReservationStatus::Held }
            })?;
            let caller = if admin { Caller::Admin } else { Caller::User(user(who)) };
            Call::Release { caller, schedule, reservation }
        }
        Ask::Order { .. } | Ask::CancelOrder { .. } => at_box_office(world, living, &book, ask)?,
        Ask::Reprice { children } => Call::Reprice { concert: Box::new(documents::play(children)) },
        Ask::Pay { user: who, pick, card } => {
            let (schedule, reservation) =
                reservation_of(living, &book, who, pick, |status| status == ReservationStatus::Held)?;
            Call::Pay { user: user(who), schedule, reservation, card }
        }
        Ask::Confirm { user: who, pick, made_up } => confirm(world, &book, who, pick, made_up)?,
        Ask::Charge { user: who, thousands, dollars } => Call::Charge {
            user: user(who),
            amount: Money::new(thousands * 1_000)?,
            currency: if dollars { documents::dollars() } else { documents::won() },
        },
        Ask::Join { user: who, schedule } => {
            let schedule = documents::schedule_id(schedule);
            Call::Join { user: user(who), schedule }
        }
        Ask::Leave { user: who, schedule } => {
            let (user, schedule) = (user(who), documents::schedule_id(schedule));
            let ticket = engine.schedule(&schedule)?.room().read().standing(&user)?;
            Call::Leave { user, schedule, ticket }
        }
        Ask::ShowLife { user: who, schedule } => {
            let (user, schedule) = (user(who), documents::schedule_id(schedule));
            show_pass(living, &mut book, &user, &schedule);
            return None;
        }
        Ask::Tune { schedule, active, per_minute, paused } => Call::Tune {
            schedule: documents::schedule_id(schedule),
            tuning: Tuning {
                active_max: Some(active),
                admit_per_minute: Some(per_minute),
                paused: Some(paused),
            },
        },
        Ask::Put { schedule, change } => {
            let (schedule, concert, plan) = document(world, living, schedule, change);
            Call::Put { schedule, concert, plan }
        }
        Ask::Import { change } => {
            let schedules =
                (0..SCHEDULES.len()).map(|index| document(world, living, index, change)).collect();
            Call::Import { schedules }
        }
        Ask::Open { schedule } => Call::Open { schedule: documents::schedule_id(schedule) },
        Ask::Close { schedule } => Call::Close { schedule: documents::schedule_id(schedule) },
        Ask::Cancel { schedule } => Call::Cancel { schedule: documents::schedule_id(schedule) },
        Ask::Remove { schedule } => Call::Remove { schedule: documents::schedule_id(schedule) },
        Ask::Block { schedule, first, free } => Call::Block {
            schedule: documents::schedule_id(schedule),
            seats: some_seats(world, first, 1),
            free,
        },
        Ask::PutCode { .. }
        | Ask::MakeCodes { .. }
        | Ask::EndCode { .. }
        | Ask::SetAside { .. }
        | Ask::GiveBack { .. } => prepare(world, &book, ask, engine.now())?,
        Ask::SignUp { number } => Call::SignUp { profile: Box::new(profile(number)) },
        Ask::Suspend { user: who, back } => {
            let status = if back { UserStatus::Active } else { UserStatus::Suspended };
            Call::SetStatus { user: user(who), status }
        }
        Ask::Snapshot => Call::Snapshot,
        Ask::Archive => Call::Archive,
        Ask::Hint { pick } => {
            let all: Vec<_> = (0..USERS.len()).flat_map(|who| payments_of(&book, who, |_| true)).collect();
            let payment = all.get(pick % all.len().max(1))?;
            engine.hint(payment.id);
            return None;
        }
        Ask::Repeat { .. } => unreachable!("it makes no new request"),
    })
}

/// Makes what a clerk asks, or who cancels what a clerk sold.
fn at_box_office(world: &World, living: &Living, book: &Book, ask: Ask) -> Option<Call> {
    if let Ask::Order { user: who, schedule, basket, sale } = ask {
        let schedule = documents::schedule_id(schedule);
        let wish = wish(world, book, &schedule, Basket { code: CodePick::None, ..basket });
        let sale = Sale {
            user: who.map(user),
            allotment: sale.allotment.map(documents::allotment_id),
            amount: sale.amount.and_then(Money::new),
            order: documents::order(sale.method, sale.reason),
        };
        return Some(Call::Order { schedule, wish, sale: Box::new(sale) });
    }
    let Ask::CancelOrder { pick, by, any } = ask else { return None };
    let sold =
        |kept: &Reservation| kept.status == ReservationStatus::Confirmed && (any || kept.order().is_some());
    let (schedule, reservation, owner) = picked(living, book, pick, sold)?;
    let caller = match by {
        Canceller::Clerk => Caller::Clerk,
        Canceller::Admin => Caller::Admin,
        Canceller::Owner => Caller::User(owner?),
    };
    Some(Call::Release { caller, schedule, reservation })
}

/// Makes what an administrator asks to prepare a sale.
fn prepare(world: &World, book: &Book, ask: Ask, now: Timestamp) -> Option<Call> {
    if let Ask::PutCode { schedule, code, terms } = ask {
        let (schedule, code) = (documents::schedule_id(schedule), documents::code_text(code));
        return Some(Call::PutCode { schedule, code, terms: Arc::new(documents::code_terms(terms, now)) });
    }
    if let Ask::MakeCodes { schedule, count, terms } = ask {
        // No other request has the same.
        let (schedule, prefix) = (documents::schedule_id(schedule), format!("MADE{}", book.ops.len()));
        let terms = Arc::new(documents::code_terms(terms, now));
        return Some(Call::MakeCodes { schedule, prefix, count, terms });
    }
    if let Ask::EndCode { schedule, code } = ask {
        let schedule = documents::schedule_id(schedule);
        let code = code_of(book, &schedule, code)?;
        return Some(Call::EndCode { schedule, code });
    }
    if let Ask::SetAside { schedule, number, first, seats, places, release } = ask {
        let seats = some_seats(world, first, seats).to_vec();
        let places = (some_area(world, first), places);
        let release_at = release.map(|millis| Timestamp::from_millis(now.as_millis() + millis));
        let terms = Arc::new(documents::allotment(number, seats, places, release_at));
        return Some(Call::SetAside { schedule: documents::schedule_id(schedule), terms });
    }
    if let Ask::GiveBack { schedule, number } = ask {
        let (schedule, id) = (documents::schedule_id(schedule), documents::allotment_id(number));
        return Some(Call::GiveBack { schedule, id });
    }
    None
}

/// Goes through the checkout of a payment that is ready; of any, where none is.
fn confirm(world: &World, book: &Book, who: usize, pick: usize, made_up: bool) -> Option<Call> {
    let ready = payments_of(book, who, |state| state == State::Ready);
    let any = payments_of(book, who, |_| true);
    let among = if ready.is_empty() { any } else { ready };
    let payment = among.get(pick % among.len().max(1))?.clone();
    let text = if made_up { format!("made-up-{}", payment.id) } else { format!("agreed-{}", payment.id) };
    if !made_up {
        let order = OrderId::parse(&payment.id.to_string()).expect("a payment's id is an order's");
        world.desk.agree(&order, payment.amount, &text);
    }
    let payment_key = PaymentKey::parse(&text).expect("letters, digits and hyphens");
    Some(Call::Confirm { user: user(who), payment: payment.id, payment_key })
}

fn wish(world: &World, book: &Book, id: &ScheduleId, basket: Basket) -> Wish {
    let plain = if basket.seats == 0 {
        Wish { pick: Pick::None, ..Wish::default() }
    } else if basket.best {
        Wish::best(u32::try_from(basket.seats).expect("small"))
    } else {
        Wish::seats(some_seats(world, basket.first, basket.seats))
    };
    let youth = |bit: u32| documents::has_tariff(id) && basket.youths.wrapping_shr(bit) & 1 == 1;
    let price_type = |youth: bool| if youth { YOUTH } else { PriceType::DEFAULT };
    let area = some_area(world, basket.area);
    let places = AreaWish { area, count: basket.places, price_type: price_type(youth(7)) };
    let seats: Vec<PriceType> = (0..plain.pick.count()).map(|bit| price_type(youth(bit))).collect();
    Wish {
        price_types: if seats.contains(&YOUTH) { seats.into() } else { Box::default() },
        areas: (basket.places > 0).then_some(places).into_iter().collect(),
        code: code_of(book, id, basket.code).map(Into::into),
        accessible: basket.accessible,
        drops_code: basket.drops,
        ..plain
    }
}

/// Finds a code; none, where none was told yet.
fn code_of(book: &Book, id: &ScheduleId, code: CodePick) -> Option<String> {
    match code {
        CodePick::None => None,
        CodePick::Named(number) => Some(documents::code_text(number)),
        CodePick::Generated(pick) => {
            let told = book.told_codes(id);
            told.get(pick % told.len().max(1)).cloned()
        }
    }
}

fn some_area(world: &World, pick: usize) -> Area {
    Area(u16::try_from(pick % world.plan.setup.areas.len()).expect("small"))
}

fn some_seats(world: &World, first: usize, count: u64) -> Arc<[Seat]> {
    let all = u64::from(world.plan.setup.row * world.plan.setup.rows);
    let first = u64::try_from(first).expect("small");
    let seat = |next: u64| Seat(u32::try_from((first + next) % all).expect("small"));
    (0..count.min(all)).map(seat).collect()
}

/// Finds a user's reservations of some statuses, the newest first, and picks one.
fn reservation_of(
    living: &Living,
    book: &Book,
    who: usize,
    pick: usize,
    fits: impl Fn(ReservationStatus) -> bool,
) -> Option<(ScheduleId, ReservationRef)> {
    let user = user(who);
    let its = |kept: &Reservation| kept.user.as_ref() == Some(&user) && fits(kept.status);
    picked(living, book, pick, its).map(|(schedule, reservation, _)| (schedule, reservation))
}

/// Finds reservations, the newest first, and picks one, with whose it is.
fn picked(
    living: &Living,
    book: &Book,
    pick: usize,
    fits: impl Fn(&Reservation) -> bool,
) -> Option<(ScheduleId, ReservationRef, Option<UserId>)> {
    let mut found = Vec::new();
    for (number, seen) in &book.schedules {
        for seen in seen.reservations.values() {
            let kept = &seen.kept;
            if !seen.gone && fits(kept) {
                let number = ScheduleNumber(*number);
                let id = ReservationId { schedule: number, number: kept.number, nonce: kept.nonce };
                found.push((std::cmp::Reverse(kept.created_at), id, kept.user.clone()));
            }
        }
    }
    found.sort_unstable_by_key(|(at, id, _)| (*at, id.schedule, id.number));
    let (_, id, owner) = found.get(pick % found.len().max(1))?;
    let schedule = living.engine.schedule_by_number(id.schedule)?.id().clone();
    Some((schedule, ReservationRef { number: id.number, nonce: id.nonce }, owner.clone()))
}

fn payments_of(book: &Book, who: usize, fits: impl Fn(State) -> bool) -> Vec<Payment> {
    let user = user(who);
    let all = book.schedules.values().flat_map(|seen| seen.payments.values());
    let mut found: Vec<_> = all
        .filter(|seen| !seen.gone && seen.kept.user == user && fits(seen.kept.state))
        .map(|seen| seen.kept.clone())
        .collect();
    found.sort_by_key(|payment| std::cmp::Reverse((payment.created_at, payment.id.number)));
    found
}

/// Changes the document that stands, or makes the first one anew.
fn document(
    world: &World,
    living: &Living,
    index: usize,
    change: DocChange,
) -> (ScheduleId, ConcertId, Plan) {
    let id = documents::schedule_id(index);
    let standing = living.engine.schedule(&id).map(|entry| (**entry.read().plan()).clone());
    let plan = standing.unwrap_or_else(|| documents::first_plan(&world.plan.setup, index));
    (id, documents::concert_of(index), documents::changed(plan, change, living.engine.now()))
}

/// Shows a pass: it is its user's, for its schedule, and nobody else's (Q2). It is a sign of life.
fn show_pass(living: &Living, book: &mut Book, user: &UserId, schedule: &ScheduleId) {
    let Some(entry) = living.engine.schedule(schedule) else { return };
    let place = {
        let room = entry.room().read();
        room.standing(user).and_then(|ticket| Some((ticket, room.joined_at(ticket)?)))
    };
    let Some((ticket, issued_at)) = place else { return };
    let text = living.engine.sign_pass(&entry, user, Pass { ticket, issued_at });
    let read = living.engine.read_pass(&entry, user, &text);
    book.check("Q2 pass-unread", read == Some(Pass { ticket, issued_at }), || {
        format!("{user}'s pass for {schedule} is read as {read:?}")
    });

    for other in USERS.iter().filter(|other| **other != &**user) {
        let read = living.engine.read_pass(&entry, other, &text);
        book.check("Q2 pass-shared", read.is_none(), || {
            format!("{user}'s pass for {schedule} works for {other}")
        });
    }

    for other in living.engine.schedules().iter().filter(|other| other.number() != entry.number()) {
        let read = living.engine.read_pass(other, user, &text);
        book.check("Q2 pass-elsewhere", read.is_none(), || {
            format!("{user}'s pass for {schedule} works for {}", other.id())
        });
    }
}

fn profile(number: u64) -> Profile {
    Profile {
        email: Email::parse(&format!("fan{number}@example.org")).expect("an address"),
        name: UserName::parse("Fan").expect("a name"),
        password: PasswordHash::parse("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g")
            .expect("a hash"),
    }
}
