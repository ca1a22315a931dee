//! Every prefix of a recorded log is a whole world: it replays, no seat has two owners, and its money adds up (S1, M1–M3). So whatever a
//! log is cut to, by a crash or by a copy that is behind, is a state that the engine could have stopped in; and an engine that starts
//! from it ends what was under way.
//!
//! The logs are the golden ones: the engine wrote them, and together they tell of everything that it does. A log is cut behind each of
//! its frames, the least that is there wholly or not at all. The rules are written down here once more, and share no code with the
//! engine's own, which are asked as well ([`World::check`], [`books`]).
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod support;

use onsale::books;
use onsale::clock::ManualClock;
use onsale::domain::accounts::{Account, Accounts, Kind};
use onsale::domain::ids::{PaymentId, PaymentNumber};
use onsale::domain::money::Currency;
use onsale::domain::payments::{Method, Payment, Payments, State};
use onsale::domain::schedule::{Reservation, ReservationStatus};
use onsale::engine::{Engine, EngineConfig};
use onsale::gateway::{
    self, Cancel, CancelOutcome, Capture, CaptureOutcome, Find, Found, Gateway, Gateways, OrderId, Said,
    Terms,
};
use onsale::journal::{
    Entry, EntryTooLarge, Hooks, InspectError, Inspection, Journal, MemoryDisk, Position, Records,
};
use onsale::record::{Record, Stream};
use onsale::recovery::{self, RebuildError, Start, Until, World, rebuild};

/// A log: its records, and the positions of the last record of each frame.
struct Log {
    name: String,
    records: Vec<(Position, Vec<u8>)>,
    ends: Vec<Position>,
}

impl Log {
    fn read(folder: &Path) -> Self {
        let inspection = Inspection::open(&folder.join("data"), None).unwrap();
        let (mut records, mut ends) = (Vec::new(), Vec::new());
        let visit = |position, bytes: &[u8]| {
            records.push((position, bytes.to_vec()));
            Ok::<_, InspectError>(())
        };
        inspection.for_each(Position::START, Position::END, visit).unwrap();
        for number in inspection.generations() {
            let note = |frame: onsale::journal::FrameReport| {
                // Inside a large entry a frame ends nothing.
                if frame.count > 0 {
                    ends.push(frame.first.advance(frame.count).previous().position());
                }
            };
            inspection.frames(*number, note).unwrap();
        }
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(ends.last(), records.last().map(|(position, _)| position), "{name} ends with a frame");
        Self { name, records, ends }
    }

    /// Every log of today's format that is kept.
    fn all() -> Vec<Self> {
        let snapshots = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots");
        let mut folders: Vec<PathBuf> =
            fs::read_dir(snapshots).unwrap().map(|it| it.unwrap().path()).collect();
        folders.retain(|folder| folder.file_name().unwrap().to_str().unwrap().starts_with("v2"));
        folders.sort();
        folders.iter().map(|folder| Self::read(folder)).collect()
    }

    /// Makes a world of the records up to a position, as every start does.
    fn world(&self, until: Position) -> Result<World, RebuildError> {
        let records = |after, visit: &mut recovery::Visit<'_, RebuildError>| {
            let behind = self.records.iter().filter(|(position, _)| *position > after && *position <= until);
            behind.into_iter().try_for_each(|(position, bytes)| visit(*position, bytes))
        };
        let rebuilt = rebuild([Ok(Start::default())], records, Until::End, &|_| Ok(true))?;
        rebuilt.world.check_at(rebuilt.position)?;
        Ok(rebuilt.world)
    }

    /// Returns what is wrong with the world at a position.
    fn fault_at(&self, until: Position) -> Option<String> {
        let checked = catch_unwind(AssertUnwindSafe(|| {
            let world = self.world(until).map_err(|error| error.to_string())?;
            books::check(&world).map_err(|error| error.to_string())?;
            check_seats(&world)?;
            check_money(&world)
        }));
        let checked = checked.unwrap_or_else(|_| Err("an invariant doesn't hold".to_owned()));
        checked.err().map(|fault| format!("{} at {until}: {fault}", self.name))
    }

    /// Returns what is wrong first, wherever the log is cut.
    fn fault(&self) -> Option<String> {
        self.ends.iter().find_map(|until| self.fault_at(*until))
    }

    fn record(&self, index: usize) -> Record {
        let (position, bytes) = &self.records[index];
        recovery::decode(*position, bytes).unwrap()
    }

    /// The same log with other records at its positions.
    fn with(&self, name: &str, records: Vec<(Position, Vec<u8>)>) -> Self {
        Self { name: format!("{} {name}", self.name), records, ends: self.ends.clone() }
    }
}

impl Log {
    /// Writes the records up to a position to a new disk, frame by frame.
    async fn cut(&self, until: Position, config: &EngineConfig) -> MemoryDisk {
        let disk = MemoryDisk::new();
        let journal = Journal::open_in(config.journal.clone(), Arc::new(disk.clone())).unwrap();
        let clock = Arc::clone(&config.clock);
        let journal = journal.start(Hooks::with_clock(Arc::new(move || clock.now().as_millis()))).unwrap();
        let mut after = Position::START;
        for end in self.ends.iter().filter(|end| **end <= until) {
            let mut records = Records::new();
            for (_, bytes) in self.records.iter().filter(|(at, _)| *at > after && at <= end) {
                let copy = |record: &mut Vec<u8>| {
                    record.extend_from_slice(bytes);
                    Ok::<(), EntryTooLarge>(())
                };
                records.push_with(copy).unwrap();
            }
            journal.reserve().await.unwrap().send(Entry { records, done: Box::new(|_| {}) });
            after = *end;
        }
        journal.close().await.unwrap();
        disk.crashed()
    }
}

/// A gateway that takes what it is asked to take, and knows of nothing that it wasn't asked in this life.
struct Fresh;

impl Gateway for Fresh {
    fn terms(&self) -> &'static Terms {
        const TERMS: Terms = Terms::new("obedient");
        &TERMS
    }

    fn takes(&self, _: Currency) -> bool {
        true
    }

    fn confirm(&self, capture: Capture) -> gateway::Answer<'_, CaptureOutcome> {
        let payment_key = capture.payment_key;
        let outcome = CaptureOutcome::Captured { payment_key, transaction: None, approved_at: None };
        Box::pin(std::future::ready(outcome))
    }

    fn find(&self, _: Find) -> gateway::Answer<'_, Found> {
        Box::pin(std::future::ready(Found::NoSuchOrder))
    }

    fn cancel(&self, _: Cancel) -> gateway::Answer<'_, CancelOutcome> {
        Box::pin(std::future::ready(CancelOutcome::Cancelled { transaction: Some(Said::new("refund")) }))
    }

    fn read_notice(&self, _: &[u8]) -> Option<OrderId> {
        None
    }
}

/// Returns every payment of an engine, with its reservation.
fn payments(engine: &Engine) -> Vec<(Payment, Option<Reservation>)> {
    let of = |entry: Arc<onsale::engine::ScheduleEntry>| {
        let all =
            (1..=50).filter_map(|number| engine.payment_numbered(entry.number(), PaymentNumber(number)));
        let found = all.map(|payment| {
            let reservation = entry.read().reservation(payment.reservation).cloned();
            (payment, reservation)
        });
        found.collect::<Vec<_>>()
    };
    engine.schedules().into_iter().flat_map(of).collect()
}

fn holds(right: bool, fault: impl FnOnce() -> String) -> Result<(), String> {
    if right { Ok(()) } else { Err(fault()) }
}

/// S1: no seat is in two live reservations.
fn check_seats(world: &World) -> Result<(), String> {
    for schedule in world.schedules.values() {
        let mut taken = BTreeSet::new();
        for reservation in schedule.reservations() {
            let is_live = matches!(
                reservation.status,
                ReservationStatus::Held | ReservationStatus::Paying | ReservationStatus::Confirmed
            );
            for seat in reservation.seats.iter().filter(|_| is_live) {
                holds(taken.insert(seat.0), || {
                    format!("seat {} of {} has two owners", seat.0, schedule.id())
                })?;
            }
        }
    }
    Ok(())
}

fn check_money(world: &World) -> Result<(), String> {
    let mut moved: BTreeMap<PaymentId, (u64, u64)> = BTreeMap::new();
    let mut archived = BTreeSet::new();
    for (user, account) in world.accounts.values().flat_map(Accounts::iter) {
        let sum = sum(account, &mut moved);
        if account.carried().is_some() {
            archived.insert(user.as_str());
        }
        holds(sum == Some(account.balance().minor()), || format!("the balance of {user} isn't {sum:?}"))?;
    }

    for payments in world.payments.values() {
        let schedule = world.schedules.get(&payments.schedule());
        for payment in payments.iter() {
            // Movements that are in the archive are looked up by nobody here.
            let moved = moved.remove(&payment.id);
            if moved.is_some() || !archived.contains(payment.user.as_str()) {
                check_moved(payment, moved)?;
            }
            let reservation = schedule.and_then(|schedule| schedule.reservation(payment.reservation));
            if let Some(reservation) = reservation {
                check_payment(payment, reservation)?;
            }
        }
    }
    // What is in the archive has its payments there.
    let orphan = moved.keys().find(|payment| world.payments.contains_key(&payment.schedule));
    holds(orphan.is_none(), || format!("money moved for {orphan:?}, which isn't there"))
}

/// M1: adds an account's movements up, and notes what payments took from it and gave back. It never has less than nothing.
fn sum(account: &Account, moved: &mut BTreeMap<PaymentId, (u64, u64)>) -> Option<u64> {
    let mut movements: Vec<_> = account.transactions().collect();
    movements.reverse();
    let mut balance = account.carried().map_or(0, |carried| carried.balance.minor());
    for movement in movements {
        let amount = movement.amount.minor();
        balance = match movement.kind {
            Kind::Charge => balance.checked_add(amount)?,
            Kind::Payment(payment) => {
                moved.entry(payment).or_default().0 += amount;
                balance.checked_sub(amount)?
            }
            Kind::Refund(payment) => {
                moved.entry(payment).or_default().1 += amount;
                balance.checked_add(amount)?
            }
        };
        if balance != movement.balance_after.minor() {
            return None;
        }
    }
    Some(balance)
}

/// M2, M3: a payment from a balance says that it took money once the account says so, not before, and that it gave it back likewise.
fn check_moved(payment: &Payment, moved: Option<(u64, u64)>) -> Result<(), String> {
    let (taken, given_back) = moved.unwrap_or_default();
    let amount = payment.amount.minor();
    // Less than all, where a fee isn't refundable.
    let back = payment.refund_amount().minor();
    let right = match (payment.method, payment.state) {
        (Method::Balance, State::Ready | State::Begun | State::Declined | State::Failed) => {
            (taken, given_back) == (0, 0)
        }
        // The account is moved first.
        (Method::Balance, State::Capturing) => taken == 0 || taken == amount,
        (Method::Balance, State::Captured | State::Confirmed | State::Completed) => {
            (taken, given_back) == (amount, 0)
        }
        (Method::Balance, State::Refunding) => taken == amount && (given_back == 0 || given_back == back),
        (Method::Balance, State::Refunded) => (taken, given_back) == (amount, back),
        (_, _) => (taken, given_back) == (0, 0),
    };
    holds(right, || {
        format!("{} is {:?}, and its account gave {taken} and got {given_back}", payment.id, payment.state)
    })
}

/// M2: a payment that stands has its reservation, and a confirmed reservation that a payment is named for has it.
fn check_payment(payment: &Payment, reservation: &Reservation) -> Result<(), String> {
    let is_its = reservation.payment == Some(payment.id);
    let is_sold = matches!(reservation.status, ReservationStatus::Confirmed | ReservationStatus::Cancelled);
    let right = match payment.state {
        State::Confirmed | State::Completed => is_its && is_sold,
        State::Captured => true,
        State::Ready | State::Begun | State::Capturing | State::Declined | State::Failed => {
            !(is_its && reservation.status == ReservationStatus::Confirmed)
        }
        State::Refunding | State::Refunded => !(is_its && reservation.status == ReservationStatus::Confirmed),
    };
    holds(right, || format!("{} is {:?}, and its reservation is {reservation:?}", payment.id, payment.state))
}

#[test]
fn wherever_a_log_is_cut_it_is_a_whole_world_whose_seats_and_money_add_up() {
    let logs = Log::all();
    for log in &logs {
        assert_eq!(log.fault(), None);
    }
    let cuts: usize = logs.iter().map(|log| log.ends.len()).sum();
    let records: usize = logs.iter().map(|log| log.records.len()).sum();
    println!("{} logs, {records} records, {cuts} cuts", logs.len());
    assert!(logs.len() >= 9 && cuts > 300, "{} logs, {cuts} cuts", logs.len());
}

/// Nobody asks anything: what a start finds under way, it brings to an end.
#[tokio::test]
async fn wherever_a_log_is_cut_an_engine_goes_on_and_ends_what_was_under_way() {
    let (mut resumed, mut starts) = (0, 0);
    for log in
        Log::all().iter().filter(|log| ["v2", "v2-areas", "v2-money", "v2-rooms"].contains(&&*log.name))
    {
        for until in &log.ends {
            let before = log.world(*until).unwrap();
            let under_way = before.payments.values().flat_map(Payments::under_way);
            resumed += under_way.filter(|payment| payment.state != State::Ready).count();
            starts += 1;

            let dir = tempfile::tempdir().unwrap();
            let gateway: Arc<dyn Gateway> = Arc::new(Fresh);
            let config = EngineConfig {
                clock: Arc::new(ManualClock::at(before.last_instant())),
                gateways: Gateways::new([gateway]),
                archive_after: None,
                ..support::one_entry_a_sync(support::config(dir.path()))
            };
            let disk = log.cut(*until, &config).await;
            let engine = Engine::open(EngineConfig { medium: Some(Arc::new(disk)), ..config }).await.unwrap();
            engine.settled().await;
            for (payment, reservation) in payments(&engine) {
                let place = format!("{} at {until}: {payment:?} of {reservation:?}", log.name);
                let rests = matches!(
                    payment.state,
                    State::Ready | State::Completed | State::Failed | State::Refunded
                );
                assert!(rests, "{place}");
                let movements = engine.transactions(&payment.user, None, 1_000).await.unwrap();
                let sum = |of: Kind| {
                    let its = movements.iter().filter(|movement| movement.kind == of);
                    its.map(|movement| movement.amount.minor()).sum::<u64>()
                };
                let moved = (sum(Kind::Payment(payment.id)), sum(Kind::Refund(payment.id)));
                assert_eq!(check_moved(&payment, Some(moved)), Ok(()), "{place}");
                if let Some(reservation) = reservation {
                    assert_eq!(check_payment(&payment, &reservation), Ok(()), "{place}");
                }
            }
            engine.close().await.unwrap();
        }
    }
    println!("{starts} starts, {resumed} payments under way");
    assert!(starts > 100 && resumed > 20, "{starts} starts, {resumed} payments under way");
}

#[test]
fn a_record_that_is_missing_or_comes_too_early_is_seen() {
    let (mut dropped, mut swapped) = (0, 0);
    for log in Log::all() {
        let streams: Vec<Stream> = (0..log.records.len()).map(|index| log.record(index).stream()).collect();
        // A few of each log, spread over it.
        for index in (0..log.records.len()).step_by(7) {
            let Some(next) = (index + 1..log.records.len()).find(|next| streams[*next] == streams[index])
            else {
                continue;
            };
            // What comes behind a schedule's end counts for nothing, and may be missing.
            if !is_followed(&log, next) {
                continue;
            }
            let mut without = log.records.clone();
            without.remove(index);
            assert!(log.with("lacks one", without).fault().is_some(), "{} without record {index}", log.name);
            dropped += 1;

            let mut other = log.records.clone();
            let (first, second) = (other[index].1.clone(), other[next].1.clone());
            (other[index].1, other[next].1) = (second, first);
            assert!(
                log.with("has two swapped", other).fault().is_some(),
                "{} with {index} and {next} swapped",
                log.name
            );
            swapped += 1;
        }
    }
    assert!(dropped > 30 && swapped > 30, "{dropped} dropped, {swapped} swapped");
}

/// Tells whether a record changes the world that it is applied to.
fn is_followed(log: &Log, index: usize) -> bool {
    let mut world = World::default();
    let all = (0..=index).map(|at| world.follow(log.records[at].0, &log.record(at)).unwrap());
    all.last().unwrap()
}

/// What is cut stream by stream, each where it likes, is no world: the money's log has to be one, or its streams' order be kept.
#[test]
fn a_cut_that_takes_one_stream_farther_than_another_is_seen() {
    let logs = Log::all();
    let log = logs.iter().find(|log| log.name == "v2-money").unwrap();
    let streams: BTreeSet<Stream> = (0..log.records.len()).map(|index| log.record(index).stream()).collect();
    let mut seen = BTreeSet::new();
    for stream in streams {
        for from in 0..log.records.len() {
            let is_kept = |index: &usize| *index < from || log.record(*index).stream() != stream;
            let kept =
                (0..log.records.len()).filter(is_kept).map(|index| log.records[index].clone()).collect();
            if log.with("lacks an end", kept).fault().is_some() {
                seen.insert(stream);
                break;
            }
        }
    }
    let money = seen.iter().filter(|stream| matches!(stream, Stream::Payments(_) | Stream::Accounts(_)));
    assert!(money.count() >= 2, "{seen:?}");
}
