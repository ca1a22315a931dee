//! What an embedder can ask of an engine, whatever it is: what can't be is refused, nothing panics, and the books agree (B1, M2).
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use onsale::books;
use onsale::clock::ManualClock;
use onsale::domain::cause::{By, Cause};
use onsale::domain::ids::{PaymentId, PaymentNumber, ReservationNumber, ScheduleId, ScheduleNumber};
use onsale::domain::keys::KeyUse;
use onsale::domain::money::{Currency, Money};
use onsale::domain::payments::Method;
use onsale::domain::schedule::policy::{Casting, Policy, QueueOrder, QueuePolicy};
use onsale::domain::schedule::{Answer, Caller, Command, Plan, Refusal, ReservationRef, Wish};
use onsale::domain::time::{Seconds, Timestamp};
use onsale::domain::users::UserStatus;
use onsale::domain::venue::{Grade, Seat};
use onsale::domain::waiting_room::{Ticket, Tuning};
use onsale::engine::{
    CatalogueChange, Changes, Engine, EngineConfig, Import, Moment, Pass, Purchase, ScheduleEntry,
};
use onsale::gateway::PaymentKey;
use onsale::journal::{MemoryDisk, Position, ReadError};
use onsale::record;
use onsale::recovery::World;
use proptest::prelude::*;
use support::{NOW, concert, config_at_now, hold_command, open_with, reservation, user};

/// The panics of this process, whichever thread they are on: an actor's is caught, and it starts again.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            told(panic);
        }));
    });
}

/// The state as the journal alone tells, from its beginning, with its invariants and its books checked.
fn check(engine: &Engine) {
    let mut world = World::default();
    let apply = |_, bytes: &[u8]| {
        world.apply(&record::decode(bytes).unwrap()).unwrap();
        Ok::<(), ReadError>(())
    };
    engine.journal().for_each(Position::START, apply).unwrap();
    world.check().unwrap();
    books::check(&world).unwrap();
    for entry in engine.schedules() {
        entry.read().check_invariants();
        assert!(entry.is_running() && entry.room().is_running());
    }
}

async fn opened(disk: &MemoryDisk, dir: &std::path::Path) -> (Engine, ManualClock) {
    let (config, clock) = config_at_now(dir);
    let config = EngineConfig { medium: Some(Arc::new(disk.clone())), ..config };
    let (engine, entries) = open_with(config, 1, 2).await;
    let queue = Some(QueuePolicy { active_max: 1, ..QueuePolicy::default() });
    let policy = Policy { queue, seats_per_user_max: 1_000, ..Policy::default() };
    let change =
        CatalogueChange::PutSchedule(entries[1].id().clone(), concert().id, support::plan(NOW, policy));
    engine.change(change, None).await.unwrap();
    (engine, clock)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seats_that_the_venue_does_not_have_or_that_come_twice_are_refused_and_the_schedule_goes_on() {
    let (disk, dir) = (MemoryDisk::new(), tempfile::tempdir().unwrap());
    let (engine, _) = opened(&disk, dir.path()).await;
    let entry = engine.schedule("s0").unwrap();
    let unknown = |seats: &[u32]| Refusal::UnknownSeats { seats: seats.iter().copied().map(Seat).collect() };
    let repeated =
        |seats: &[u32]| Refusal::RepeatedSeats { seats: seats.iter().copied().map(Seat).collect() };
    let held = reservation(engine.act(&entry, hold_command("kim", &[0, 1]), None).await.unwrap());
    let (own, caller) = (ReservationRef { number: held.number, nonce: held.nonce }, Caller::Admin);

    // More often than an actor is started again.
    for _ in 0..7 {
        for (seats, refusal) in [
            (&[999][..], unknown(&[999])),
            (&[7, 50, u32::MAX], unknown(&[50, u32::MAX])),
            (&[7, 7], repeated(&[7])),
            (&[9, 8, 9, 8], repeated(&[8, 9])),
        ] {
            let named: Arc<[Seat]> = seats.iter().copied().map(Seat).collect();
            let wish = Wish::seats(Arc::clone(&named));
            let exchange = Command::Exchange { reservation: own, caller: caller.clone(), wish };
            let block = Command::Block { seats: Arc::clone(&named) };
            for command in [hold_command("lee", seats), exchange, block, Command::Unblock { seats: named }] {
                let asked = engine.act(&entry, command.clone(), None).await;
                assert_eq!(asked, Err(refusal.clone().into()), "{command:?}");
            }
        }
    }
    let wish = Wish::best_of(Some(Grade(1)), 1);
    let best = Command::hold(user("lee"), wish, 1);
    assert_eq!(engine.act(&entry, best, None).await, Err(Refusal::UnknownGrade.into()));
    engine.act(&entry, hold_command("lee", &[7]), None).await.unwrap();
    check(&engine);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_out_of_its_bounds_is_refused_with_the_field() {
    type Change = fn(&mut Policy);
    let (disk, dir) = (MemoryDisk::new(), tempfile::tempdir().unwrap());
    let (engine, _) = opened(&disk, dir.path()).await;
    let policies: [(&str, Change); 11] = [
        ("policy.holdSeconds", |policy| policy.hold = Seconds::new(86_401)),
        ("policy.holdSeconds", |policy| policy.hold = Seconds::ZERO),
        ("policy.maxSeatsPerReservation", |policy| policy.seats_per_reservation_max = 101),
        ("policy.maxSeatsPerUser", |policy| policy.seats_per_user_max = 10_001),
        ("policy.paymentSeconds", |policy| policy.payment = Seconds::new(3_601)),
        ("policy.cancelUntilSecondsBeforeStart", |policy| {
            policy.cancel_until_before_start = Seconds::new(u32::MAX);
        }),
        ("policy.recoveryGraceSeconds", |policy| policy.recovery_grace = Seconds::new(86_401)),
        ("policy.queue.maxActive", |policy| policy.queue.as_mut().unwrap().active_max = 0),
        ("policy.queue.admitPerMinute", |policy| policy.queue.as_mut().unwrap().admit_per_minute = Some(0)),
        ("policy.queue.activeSeconds", |policy| policy.queue.as_mut().unwrap().active = Seconds::ZERO),
        ("policy.queue.waitingSeconds", |policy| {
            policy.queue.as_mut().unwrap().waiting = Seconds::new(604_801);
        }),
    ];
    let mut plans: Vec<(&str, Plan)> = Vec::new();
    for (field, change) in policies {
        let mut policy = Policy { queue: Some(QueuePolicy::default()), ..Policy::default() };
        change(&mut policy);
        plans.push((field, support::plan(NOW, policy)));
    }
    let mut plan = support::plan(NOW, Policy::default());
    plan.casting.insert("lola".into(), Casting::Many(vec!["x".repeat(1 << 20)]));
    plans.push(("casting", plan));
    for (field, plan) in plans {
        let id = ScheduleId::parse("s0").unwrap();
        let put = CatalogueChange::PutSchedule(id.clone(), concert().id, plan.clone());
        let import = Import { schedules: vec![(id, concert().id, plan)], ..Import::default() };
        for change in [put, CatalogueChange::Import(import)] {
            let refused = format!("{:?}", engine.change(change, None).await.unwrap_err());
            assert!(refused.contains(field), "{field}: {refused}");
        }
    }
    check(&engine);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_a_sentence_with_the_ids_of_its_seats() {
    let (disk, dir) = (MemoryDisk::new(), tempfile::tempdir().unwrap());
    let (engine, _) = opened(&disk, dir.path()).await;
    let entry = engine.schedule("s0").unwrap();
    engine.act(&entry, hold_command("kim", &[0, 1]), None).await.unwrap();
    for (seats, said) in [
        (&[1, 2][..], "at least one of the seats is taken: 1-A-1-2"),
        (&[4, 4], "a seat is named twice: 1-A-1-5"),
        (&[50, 7], "the venue has no such seats: #50"),
        (&[], "at least one seat is needed"),
    ] {
        let wish = Wish::seats(seats.iter().copied().map(Seat).collect::<Vec<_>>());
        let hold = Command::hold(user("lee"), wish, 7);
        let refused = engine.act(&entry, hold, None).await.unwrap_err();
        assert_eq!(refused.named(entry.layout()).to_string(), said);
    }
    let known = engine.change(CatalogueChange::RemoveVenue(concert().venue), None).await.unwrap_err();
    assert_eq!(known.named(entry.layout()).to_string(), known.to_string());
    assert_eq!(known.to_string(), "a concert happens in this venue");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_is_told_every_durable_fact_in_order_from_wherever_it_was_until_the_engine_is_closed() {
    let (disk, dir) = (MemoryDisk::new(), tempfile::tempdir().unwrap());
    let (engine, _) = opened(&disk, dir.path()).await;
    let entry = engine.schedule("s0").unwrap();
    let (mut early, mut late) = (engine.changes(Position::START), engine.changes(engine.journal().durable()));
    let before = late.position();

    // It waits for what isn't there yet.
    let waiting = tokio::spawn(async move { (late.next().await.unwrap().unwrap(), late) });
    for seat in 0..50 {
        engine.act(&entry, hold_command("kim", &[seat]), None).await.unwrap();
    }
    let mut stored = Vec::new();
    let store = |position, bytes: &[u8]| {
        stored.push(Moment { position, record: record::decode(bytes).unwrap() });
        Ok::<(), ReadError>(())
    };
    engine.journal().for_each(Position::START, store).unwrap();
    let last = stored.last().unwrap().position;

    let (mut told, mut late) = waiting.await.unwrap();
    told.extend(told_until(&mut late, last).await);
    assert_eq!(told_until(&mut early, last).await, stored);
    stored.retain(|moment| moment.position > before);
    assert_eq!(told, stored);
    let mut further = engine.changes(stored[9].position);
    assert_eq!(told_until(&mut further, last).await, stored[10..]);

    let waiting = tokio::spawn(async move { while early.next().await.unwrap().is_some() {} });
    engine.close().await.unwrap();
    waiting.await.unwrap();
}

async fn told_until(changes: &mut Changes, last: Position) -> Vec<Moment> {
    let mut told = Vec::new();
    while changes.position() < last {
        told.extend(changes.next().await.unwrap().expect("the engine is open"));
    }
    told
}

/// A call of the engine's public methods, with whatever its types can hold.
#[derive(Debug, Clone)]
enum Call {
    Act(u8, Command),
    Join(u8),
    Leave(u8, Ticket),
    Tune(Tuning),
    ShowLife(Ticket),
    ReadPass(String),
    Charge(u8, Money, Currency),
    Pay(u8, ReservationRef, Method),
    ConfirmPayment(u8, PaymentId),
    Put(u8, Box<Plan>),
    Open(u8),
    Remove(u8),
    SetStatus(u8, UserStatus),
    Pass(u64),
}

/// Mostly of few things, so that one call meets another's; sometimes anything.
fn few(most: u32) -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0..most, 1 => any::<u32>()]
}

fn seats() -> impl Strategy<Value = Arc<[Seat]>> {
    let some = prop::collection::vec(few(53).prop_map(Seat), 0..5);
    let many = prop::collection::vec((0..52u32).prop_map(Seat), 100..300);
    prop_oneof![9 => some, 1 => many].prop_map(Into::into)
}

fn reference() -> impl Strategy<Value = ReservationRef> {
    // A hold's nonce is always this, so that some are real.
    (few(6), prop_oneof![9 => Just(7), 1 => any::<u64>()])
        .prop_map(|(number, nonce)| ReservationRef { number: ReservationNumber(number), nonce })
}

fn caller() -> impl Strategy<Value = Caller> {
    prop_oneof![Just(Caller::Admin), (0u8..3).prop_map(|who| Caller::User(person(who)))]
}

fn wish() -> impl Strategy<Value = Wish> {
    let grade = prop::option::of(prop_oneof![4 => Just(Grade(0)), 1 => any::<u16>().prop_map(Grade)]);
    prop_oneof![
        3 => seats().prop_map(Wish::seats),
        1 => (grade, few(6)).prop_map(|(grade, count)| Wish::best_of(grade, count)),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        6 => (0u8..3, wish()).prop_map(|(who, wish)| Command::hold(person(who), wish, 7)),
        3 => (reference(), caller(), wish())
            .prop_map(|(reservation, caller, wish)| Command::Exchange { reservation, caller, wish }),
        2 => (reference(), caller())
            .prop_map(|(reservation, caller)| Command::Release { reservation, caller }),
        1 => Just(Command::Close),
        1 => Just(Command::Cancel),
        1 => seats().prop_map(|seats| Command::Block { seats }),
        1 => seats().prop_map(|seats| Command::Unblock { seats }),
    ]
}

fn instant() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        4 => (0..200_000u32).prop_map(|seconds| NOW.plus(Seconds::new(seconds))),
        1 => any::<u64>().prop_map(Timestamp::from_millis),
    ]
}

fn seconds() -> impl Strategy<Value = Seconds> {
    few(1_000).prop_map(Seconds::new)
}

fn plan() -> impl Strategy<Value = Box<Plan>> {
    let idle = prop::option::of(seconds());
    let queue = (few(3), prop::option::of(few(100)), seconds(), seconds(), seconds(), any::<bool>(), idle);
    let queue =
        queue.prop_map(|(active_max, admit_per_minute, active, claim, waiting, drawn, idle)| QueuePolicy {
            active_max,
            admit_per_minute,
            active,
            claim,
            waiting,
            idle,
            order: if drawn { QueueOrder::Shuffle } else { QueueOrder::Fifo },
            opens_at: None,
        });
    let policy =
        (seconds(), few(101), few(101), seconds(), seconds(), any::<bool>(), prop::option::of(queue));
    let times = (instant(), instant(), prop::option::of(instant()), prop::option::of(instant()));
    (policy, times).prop_map(|(policy, (starts_at, ends_at, sales_open_at, sales_close_at))| {
        let (hold, seats_per_reservation_max, seats_per_user_max, payment, cancel, orphans, queue) = policy;
        Box::new(Plan {
            starts_at,
            ends_at,
            sales_open_at,
            sales_close_at,
            casting: std::collections::BTreeMap::new(),
            policy: Policy {
                hold,
                seats_per_reservation_max,
                seats_per_user_max,
                payment,
                cancel_until_before_start: cancel,
                prevent_orphan_seats: orphans,
                recovery_grace: Seconds::new(60),
                queue,
            },
        })
    })
}

fn call() -> impl Strategy<Value = Call> {
    let which = || prop_oneof![9 => 0u8..2, 1 => Just(9)];
    let who = || 0u8..3;
    let ticket = || few(5).prop_map(Ticket);
    let money = prop_oneof![
        2 => Just(Money::new(1_000_000).unwrap()),
        1 => (0..=Money::MAX.minor()).prop_map(|minor| Money::new(minor).unwrap()),
    ];
    let currency = prop_oneof![9 => Just("KRW"), 1 => Just("USD")];
    let method = prop_oneof![9 => Just(Method::Balance), 1 => Just(Method::Card)];
    let payment = (few(3), few(4), any::<u64>()).prop_map(|(schedule, number, nonce)| PaymentId {
        schedule: ScheduleNumber(schedule),
        number: PaymentNumber(number),
        nonce,
    });
    let tuning = (
        prop::option::of(few(4)),
        prop::option::of(prop::option::of(few(9))),
        prop::option::of(any::<bool>()),
    )
        .prop_map(|(active_max, admit_per_minute, paused)| Tuning {
            active_max,
            admit_per_minute,
            paused,
        });
    let status =
        prop_oneof![Just(UserStatus::Active), Just(UserStatus::Suspended), Just(UserStatus::Deleted)];
    prop_oneof![
        12 => (which(), command()).prop_map(|(which, command)| Call::Act(which, command)),
        3 => who().prop_map(Call::Join),
        1 => (who(), ticket()).prop_map(|(who, ticket)| Call::Leave(who, ticket)),
        1 => tuning.prop_map(Call::Tune),
        1 => ticket().prop_map(Call::ShowLife),
        1 => ".{0,90}".prop_map(Call::ReadPass),
        2 => (who(), money, currency)
            .prop_map(|(who, money, currency)| Call::Charge(who, money, Currency::parse(currency).unwrap())),
        4 => (who(), reference(), method)
            .prop_map(|(who, reservation, method)| Call::Pay(who, reservation, method)),
        1 => (who(), payment).prop_map(|(who, payment)| Call::ConfirmPayment(who, payment)),
        2 => (which(), plan()).prop_map(|(which, plan)| Call::Put(which, plan)),
        2 => which().prop_map(Call::Open),
        1 => which().prop_map(Call::Remove),
        1 => (who(), status).prop_map(|(who, status)| Call::SetStatus(who, status)),
        2 => prop_oneof![0..1_000u64, Just(400_000), Just(90_000_000)].prop_map(Call::Pass),
    ]
}

fn key() -> impl Strategy<Value = Option<KeyUse>> {
    prop::option::weighted(0.2, (0..4u128, 0..2u128))
        .prop_map(|key| key.map(|(digest, fingerprint)| KeyUse { digest, fingerprint }))
}

fn person(who: u8) -> onsale::domain::ids::UserId {
    user(&format!("u{who}"))
}

fn named(which: u8) -> ScheduleId {
    ScheduleId::parse(&format!("s{which}")).unwrap()
}

/// Makes a call. What it answers is of no interest here: that it answers is.
async fn make(engine: &Engine, clock: &ManualClock, call: Call, key: Option<KeyUse>) {
    let find = |which: u8| engine.schedule(&named(which));
    let with_room = || find(1);
    let cause = Cause { by: By::User, key };
    match call {
        Call::Act(which, command) => {
            let Some(entry) = find(which) else { return };
            if let Ok(acted) = engine.act(&entry, command, key).await
                && let Answer::Reservation(reservation) = acted.answer
            {
                assert!(!reservation.seats.is_empty());
            }
        }
        Call::Join(who) => {
            let Some(entry) = with_room() else { return };
            drop(engine.join(&entry, &person(who), key).await);
        }
        Call::Leave(who, ticket) => {
            let Some(entry) = with_room() else { return };
            drop(engine.leave(&entry, &person(who), ticket, key).await);
        }
        Call::Tune(tuning) => {
            let Some(entry) = with_room() else { return };
            drop(engine.tune(&entry, tuning, cause).await);
        }
        Call::ShowLife(ticket) => show_life(engine, with_room().as_deref(), ticket),
        Call::ReadPass(text) => {
            let Some(entry) = with_room() else { return };
            assert_eq!(engine.read_pass(&entry, "u0", &text), None);
        }
        Call::Charge(who, money, currency) => {
            drop(engine.charge(&person(who), money, currency, 1, cause).await);
        }
        Call::Pay(who, reservation, method) => {
            let Some(entry) = find(0) else { return };
            let purchase = Purchase { user: person(who), reservation, method, nonce: 7, key };
            drop(engine.pay(&entry, purchase).await);
        }
        Call::ConfirmPayment(who, payment) => {
            let payment_key = PaymentKey::parse("invented").unwrap();
            let asked = engine.confirm_payment(payment, person(who), &payment_key, key, Duration::MAX);
            drop(asked.await);
        }
        Call::Put(which, plan) => {
            let change = CatalogueChange::PutSchedule(named(which), concert().id, *plan);
            drop(engine.change(change, cause).await);
        }
        Call::Open(which) => drop(engine.change(CatalogueChange::OpenSchedule(named(which)), cause).await),
        Call::Remove(which) => {
            drop(engine.change(CatalogueChange::RemoveSchedule(named(which)), cause).await);
        }
        Call::SetStatus(who, status) => drop(engine.set_user_status(person(who), status, cause).await),
        Call::Pass(millis) => clock.pass_millis(millis),
    }
}

fn show_life(engine: &Engine, entry: Option<&ScheduleEntry>, ticket: Ticket) {
    let Some(entry) = entry else { return };
    engine.show_life(entry, ticket);
    let pass = Pass { ticket, issued_at: NOW };
    let text = engine.sign_pass(entry, "u0", pass);
    assert_eq!(engine.read_pass(entry, "u0", &text), Some(pass));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_asked_nothing_panics_and_the_books_agree(
        calls in prop::collection::vec((call(), key()), 1..60),
    ) {
        count_panics();
        let before = PANICS.load(Ordering::SeqCst);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (disk, dir) = (MemoryDisk::new(), tempfile::tempdir().unwrap());
            let (engine, clock) = opened(&disk, dir.path()).await;
            for (call, key) in calls {
                make(&engine, &clock, call, key).await;
            }
            engine.settled().await;
            check(&engine);
            engine.close().await.unwrap();
        });
        prop_assert_eq!(PANICS.load(Ordering::SeqCst), before, "nothing panicked");
    }
}
