//! The archive, through the engine and its API: what moves there answers as before, is dropped from memory, survives a kill
//! at every point, and is missed when it is gone.
#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    reason = "a test fails loudly, and its numbers are small"
)]

mod support;
#[path = "support/tables.rs"]
mod tables;
#[path = "archive/theatre.rs"]
mod theatre;

use std::path::Path;
use std::process::Command as Process;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method as Verb, Request, header};
use onsale::archive::{self, Archive, ArchiveError};
use onsale::backup::{GiveError, Taker, give};
use onsale::clock::{Clock, ManualClock};
use onsale::config::Config;
use onsale::domain::accounts::Shard;
use onsale::domain::catalogue::CatalogueEvent;
use onsale::domain::cause::{By, Cause};
use onsale::domain::ids::{PaymentId, ReservationId, ScheduleId, ScheduleNumber};
use onsale::domain::money::{Currency, Money};
use onsale::domain::payments::{self, Method, Report, Taken};
use onsale::domain::schedule::policy::{Policy, QueuePolicy};
use onsale::domain::schedule::{
    Archived, Caller, Command, Creation, Event, Limits, Reservation, ReservationRef, ReservationStatus,
};
use onsale::domain::time::Seconds;
use onsale::domain::waiting_room::Tuning;
use onsale::engine::{
    CatalogueChange, Engine, EngineConfig, EngineError, EngineOpenError, Moved, Purchase, Refusal,
    ScheduleEntry,
};
use onsale::gateway::Gateways;
use onsale::http::HttpParts;
use onsale::http::app::App;
use onsale::http::request::Site;
use onsale::journal::{InspectError, Inspection, MemoryDisk, Position, snapshot};
use onsale::record::{self, Fact, Record};
use onsale::recovery::{ReplayError, World};
use serde_json::{Value, json};
use support::{
    cancel_order, concert, config_at_now, cut_off, hold, open_with, order, plan, release_command, user,
};
use tables::Tables;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const SEAT: u64 = 50_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const ADMIN: &str = "an-administrators-token-of-32-or-more";
const DAY: u64 = 86_400_000;
const USERS: [&str; 4] = ["kim", "lee", "park", "choi"];

async fn charge(engine: &Engine, name: &str, amount: u64) {
    let (amount, krw) = (Money::new(amount).unwrap(), Currency::parse("KRW").unwrap());
    engine.charge(&user(name), amount, krw, 1, Cause::default()).await.unwrap();
}

fn reference(held: &Reservation) -> ReservationRef {
    ReservationRef { number: held.number, nonce: held.nonce }
}

/// Holds seats and pays for them.
async fn buy(engine: &Engine, entry: &ScheduleEntry, name: &str, seats: &[u32]) -> Reservation {
    let held = hold(engine, entry, name, seats).await.unwrap();
    let reservation = reference(&held);
    let purchase = Purchase { user: user(name), reservation, method: Method::Balance, nonce: 7, key: None };
    engine.pay(entry, purchase).await.unwrap();
    held
}

/// An engine whose reservations are kept for longer than a show stays, so that the archive has some of every kind.
fn settings(dir: &Path) -> (EngineConfig, ManualClock) {
    let (config, clock) = config_at_now(dir);
    (EngineConfig { ended_retention: Seconds::new(90 * 86_400), ..config }, clock)
}

/// Two shows that are long over, of which one was cancelled, and one that is yet to come; all have a past.
async fn season(config: EngineConfig, clock: &ManualClock) -> Engine {
    let (engine, entries) = open_with(config, 2, 3).await;
    let [first, second, third] = &entries[..] else { panic!("three schedules") };
    for name in USERS {
        charge(&engine, name, 40 * SEAT).await;
    }
    buy(&engine, first, "kim", &[1, 2]).await;
    clock.pass_millis(10);
    let given_back = buy(&engine, first, "lee", &[5]).await;
    let release = Command::Release { reservation: reference(&given_back), caller: Caller::Admin };
    engine.act(first, release, None).await.unwrap();
    let released = hold(&engine, first, "park", &[8]).await.unwrap();
    engine.act(first, release_command("park", &released), None).await.unwrap();
    hold(&engine, first, "choi", &[9]).await.unwrap();
    order(&engine, first, Some("choi"), &[20], None).await.unwrap();
    clock.pass_millis(10);
    let given_back = order(&engine, first, None, &[21, 22], Some(SEAT)).await.unwrap();
    engine.act(first, cancel_order(&given_back), None).await.unwrap();
    engine
        .act(first, Command::Block { seats: [onsale::domain::venue::Seat(90)].into() }, None)
        .await
        .unwrap();
    clock.pass_millis(10);
    let queue = Some(QueuePolicy { active_max: 1, ..QueuePolicy::default() });
    let queued = plan(support::NOW, Policy { queue, seats_per_user_max: 99, ..Policy::default() });
    let change = CatalogueChange::PutSchedule(second.id().clone(), concert().id, queued);
    engine.change(change, None).await.unwrap();
    let tuning = Tuning { active_max: Some(55), admit_per_minute: Some(Some(66)), paused: None };
    engine.tune(second, tuning, None).await.unwrap();
    buy(&engine, second, "kim", &[3]).await;
    clock.pass_millis(10);
    buy(&engine, third, "kim", &[4]).await;
    let mut later = plan(support::NOW, Policy { seats_per_user_max: 1_000, ..Policy::default() });
    later.starts_at = later.starts_at.plus(Seconds::new(400 * 86_400));
    later.ends_at = later.ends_at.plus(Seconds::new(400 * 86_400));
    let change = CatalogueChange::PutSchedule(third.id().clone(), concert().id, later);
    engine.change(change, None).await.unwrap();
    clock.pass_millis(10);
    buy(&engine, second, "lee", &[6]).await;
    engine.act(second, Command::Cancel, None).await.unwrap();
    engine.settled().await;
    clock.pass_millis(40 * DAY);
    // Whoever is asked looks at the clock: the sale has closed by itself.
    engine.act(first, Command::Close, None).await.unwrap();
    clock.pass_millis(2 * DAY);
    engine
}

/// One request has one key.
fn key_of(caller: &str, path: &str, body: Option<&Value>) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (caller, path, body.map(ToString::to_string)).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// The API over an engine.
struct Api(Site);

impl Api {
    fn of(engine: &Engine, clock: &ManualClock) -> Self {
        let matches = clap::Command::new("test").args(Config::flags()).get_matches_from(["test"]);
        let environment =
            [("ONSALE_JWT_SECRET", SECRET), ("ONSALE_ADMIN_TOKEN", ADMIN), ("ONSALE_RATE_LIMIT", "off")];
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let config = Config::load(&matches, environment).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let parts = HttpParts::new(&config, clock, CancellationToken::new()).unwrap();
        Self(App::new(engine.clone(), parts, None).site())
    }

    async fn call(&self, verb: Verb, caller: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
        let role = if caller.starts_with("clerk") { "box_office" } else { "user" };
        let claims = json!({"sub": caller, "role": role, "exp": 4_102_444_800_u64});
        let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
        let token = if caller == "admin" { ADMIN.to_owned() } else { token };
        let request = Request::builder()
            .method(verb)
            .uri(format!("/api/v1{path}"))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header("idempotency-key", key_of(caller, path, body.as_ref()))
            .header(header::CONTENT_TYPE, "application/json");
        let bytes = body.map(|body| body.to_string()).unwrap_or_default();
        let request = request.header(header::CONTENT_LENGTH, bytes.len()).body(Body::from(bytes)).unwrap();
        let response = self.0.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn get(&self, caller: &str, path: &str) -> Value {
        let (status, document) = self.call(Verb::GET, caller, path, None).await;
        assert_eq!(status, 200, "{path}: {document}");
        document
    }

    /// Reads a list page by page.
    async fn pages(&self, caller: &str, path: &str, limit: usize) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let page = self.get(caller, &format!("{path}{mark}limit={limit}{cursor}")).await;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            let Some(next) = page["nextCursor"].as_str() else { return items };
            cursor = format!("&cursor={next}");
        }
    }

    /// Everything that the API says of the season.
    async fn everything(&self) -> Vec<(String, Value)> {
        let mut said = Vec::new();
        for schedule in ["s0", "s1", "s2"] {
            for path in ["", "/seats", "/seats?status=reserved", "/seats?grade=R"] {
                let path = format!("/schedules/{schedule}{path}");
                said.push((path.clone(), self.get("kim", &path).await));
            }
        }
        for limit in [1, 2, 100] {
            let path = "/concerts/show/schedules".to_owned();
            said.push((path.clone(), self.pages("kim", &path, limit).await.into()));
        }
        for name in USERS {
            let mut lists = vec![format!("/users/{name}/balance/transactions"), "/payments".to_owned()];
            for narrow in ["", "?scheduleId=s0", "?scheduleId=s1", "?status=confirmed", "?status=cancelled"] {
                lists.push(format!("/reservations{narrow}"));
            }
            for path in lists {
                let pages = [self.pages(name, &path, 1).await, self.pages(name, &path, 100).await];
                assert_eq!(pages[0], pages[1], "{path}");
                for item in &pages[0] {
                    if let Some(id) = item["reservationId"].as_str().filter(|_| item["seats"].is_array()) {
                        assert_eq!(self.get(name, &format!("/reservations/{id}")).await, *item);
                    }
                    if let Some(id) = item["paymentId"].as_str().filter(|_| item["method"].is_string()) {
                        assert_eq!(self.get(name, &format!("/payments/{id}")).await, *item);
                    }
                }
                said.push((format!("{name} {path}"), pages[0].clone().into()));
            }
            said.push((format!("{name} balance"), self.get(name, &format!("/users/{name}/balance")).await));
        }
        said
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_running_engines_directory_answers_as_the_engine_does_what_is_archived_too() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = settings(dir.path());
    let engine = season(config.clone(), &clock).await;
    // What moves later than the copy's position is in no event of it, and does no harm.
    let copies = [dir.path().join("before"), dir.path().join("after")];
    back_up(&engine, &copies[0]);
    assert_eq!(engine.archive_old().await, Ok(Moved { schedules: 2, transactions: 0 }));
    let before = Api::of(&engine, &clock).everything().await;
    back_up(&engine, &copies[1]);
    engine.close().await.unwrap();

    for copy in copies {
        let mut config = config.clone();
        config.journal.dir.clone_from(&copy);
        let engine = Engine::open(config).await.unwrap();
        assert_eq!(Api::of(&engine, &clock).everything().await, before);
        engine.archive_old().await.unwrap();
        assert_eq!(engine.catalogue().archived_count(), 2);
        assert_eq!(Api::of(&engine, &clock).everything().await, before);
        engine.close().await.unwrap();
        let (code, shown) = verify(&copy);
        assert_eq!(code, Some(0), "{shown}");
    }
}

/// Makes a copy of a running engine's directory.
fn back_up(engine: &Engine, to: &Path) {
    let mut taker = Taker::new(to);
    let given = give::<GiveError>(engine.data_dir(), engine.journal(), engine.archive(), |chunk| {
        taker.push(&chunk).unwrap();
        Ok(())
    });
    let backed_up = taker.finish().unwrap();
    assert_eq!(backed_up.position, given.unwrap().position);
    assert!(backed_up.skipped.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moved_to_the_archive_answers_as_before_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = settings(dir.path());
    let engine = season(config.clone(), &clock).await;
    let before = Api::of(&engine, &clock).everything().await;
    assert!(!dir.path().join(archive::FILE).exists(), "nothing is written before anything moves");
    assert_eq!(engine.archive_old().await, Ok(Moved { schedules: 2, transactions: 0 }));
    assert!(engine.schedule("s0").is_none() && engine.schedule("s1").is_none());
    assert!(engine.schedule("s2").is_some());
    assert_eq!(Api::of(&engine, &clock).everything().await, before);
    assert_eq!(engine.archive_old().await, Ok(Moved::default()), "once");
    engine.close().await.unwrap();
    let engine = Engine::open(config.clone()).await.unwrap();
    assert_eq!(Api::of(&engine, &clock).everything().await, before, "from the snapshot");
    assert_eq!(engine.catalogue().archived_count(), 2);
    engine.close().await.unwrap();
    let engine = Engine::open(EngineConfig { archive_after: None, ..config }).await.unwrap();
    clock.pass_millis(1_000 * DAY);
    assert_eq!(engine.archive_old().await, Ok(Moved::default()), "switched off");
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_has_what_moved_to_the_archive_as_it_was_before() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = settings(dir.path());
    let engine = season(config, &clock).await;
    for _ in 0..120 {
        charge(&engine, "kim", 1).await;
    }
    // What is due by now has happened in both.
    clock.pass_millis(40 * DAY);
    let export = |engine: &Engine| {
        let engine = engine.clone();
        tokio::task::spawn_blocking(move || Tables::of_engine(&engine))
    };
    let before = export(&engine).await.unwrap();
    let moved = engine.archive_old().await.unwrap();
    assert!(moved.schedules > 0 && moved.transactions > 0, "{moved:?}");
    let after = export(&engine).await.unwrap();
    assert_eq!(after.sorted(), before.sorted());
    after.check();
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_in_the_archive_is_streamed_once_and_looked_back_at() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = settings(dir.path());
    let engine = season(config, &clock).await;
    let api = Api::of(&engine, &clock);
    let at = |path: &str| format!("/admin/schedules/s0/{path}?at={}", clock.now());
    let before = api.get("admin", &at("seats")).await;
    engine.archive_old().await.unwrap();
    assert_eq!(api.get("admin", &at("seats")).await, before);
    let history = api.get("admin", "/admin/schedules/s0/history").await;
    let last = [0, 1].map(|index| history["items"][index]["type"].clone());
    assert_eq!(last, ["Archived", "SalesClosed"]);
    let request = Request::get("/api/v1/schedules/s0/seats/events").body(Body::empty()).unwrap();
    let mut stream = api.0.clone().oneshot(request).await.unwrap().into_body().into_data_stream();
    let first = futures_util::StreamExt::next(&mut stream).await.unwrap().unwrap();
    let text = String::from_utf8(first.to_vec()).unwrap();
    assert!(text.contains("event: snapshot\n") && text.contains("\"1-A-1-2\":\"reserved\""), "{text}");
    let still = futures_util::StreamExt::next(&mut stream);
    assert!(futures_util::FutureExt::now_or_never(still).is_none(), "and stands");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_archive_refuses_changes_with_the_fitting_problem() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = settings(dir.path());
    let engine = season(config, &clock).await;
    engine.archive_old().await.unwrap();
    let api = Api::of(&engine, &clock);
    let of = async |name: &str, schedule: &str| -> String {
        let path = format!("/reservations?scheduleId={schedule}");
        api.pages(name, &path, 100).await[0]["reservationId"].as_str().unwrap().to_owned()
    };
    let (kim, lee, park) = (of("kim", "s0").await, of("lee", "s0").await, of("park", "s0").await);
    let seats = json!({"seats": ["1-A-1-30"]});
    let hold = |schedule: &str| json!({"scheduleId": schedule, "seats": ["1-A-1-30"]});
    let pay = json!({"reservationId": kim, "method": "balance"});
    let put = json!({"concertId": "show", "startsAt": "2037-01-01T10:00:00.000Z", "endsAt": "2037-01-01T12:00:00.000Z"});
    let kims = format!("/reservations/{kim}");
    for (verb, caller, path, body, status, code) in [
        (Verb::POST, "kim", "/reservations", Some(hold("s0")), 409, "schedule_not_open"),
        // It had a waiting room.
        (Verb::POST, "kim", "/reservations", Some(hold("s1")), 409, "schedule_not_open"),
        (Verb::PATCH, "kim", &kims, Some(seats.clone()), 409, "reservation_not_held"),
        (Verb::DELETE, "kim", &kims, None, 409, "cancellation_closed"),
        (Verb::DELETE, "admin", &kims, None, 409, "cancellation_closed"),
        (Verb::DELETE, "lee", &kims, None, 404, "not_found"),
        (Verb::POST, "kim", "/payments", Some(pay), 409, "reservation_not_held"),
        (Verb::POST, "admin", "/schedules/s0/open", None, 409, "invalid_transition"),
        (Verb::POST, "admin", "/schedules/s0/cancel", None, 409, "invalid_transition"),
        (Verb::POST, "admin", "/schedules/s1/block", Some(seats.clone()), 409, "invalid_transition"),
        (Verb::POST, "admin", "/schedules/s0/block", Some(seats), 409, "invalid_transition"),
        (Verb::PUT, "admin", "/schedules/s0", Some(put.clone()), 409, "in_use"),
        (Verb::DELETE, "admin", "/schedules/s0", None, 409, "in_use"),
        (Verb::DELETE, "admin", "/concerts/show", None, 409, "in_use"),
        (Verb::POST, "kim", "/queue/tokens", Some(json!({"scheduleId": "s1"})), 409, "no_waiting_room"),
    ] {
        let (found, problem) = api.call(verb.clone(), caller, path, body).await;
        assert_eq!((found, problem["code"].as_str()), (status, Some(code)), "{verb} {path} {problem}");
    }
    // What is so already is no refusal.
    for (verb, caller, path) in [
        (Verb::DELETE, "lee", format!("/reservations/{lee}")),
        (Verb::DELETE, "park", format!("/reservations/{park}")),
        (Verb::POST, "admin", "/schedules/s0/close".to_owned()),
        (Verb::POST, "admin", "/schedules/s1/cancel".to_owned()),
    ] {
        let (status, document) = api.call(verb, caller, &path, None).await;
        assert_eq!(status, 200, "{path} {document}");
    }
    // The same plan again, as an import sends it, is left alone.
    let plan = Arc::clone(engine.find_schedule("s0").await.unwrap().unwrap().read().plan());
    let same = CatalogueChange::PutSchedule(ScheduleId::parse("s0").unwrap(), concert().id, (*plan).clone());
    engine.change(same, None).await.unwrap();
    // Prices stand, since a sale has opened.
    let mut dearer = concert();
    dearer.grades[0].price = Money::new(1).unwrap();
    let dearer = engine.change(CatalogueChange::PutConcert(dearer), None).await;
    assert!(matches!(dearer, Err(EngineError::Refused(Refusal::Catalogue(_)))), "{dearer:?}");
    assert_eq!(engine.archive_old().await, Ok(Moved::default()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_services_word_of_before_is_known_in_the_archive_and_a_new_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = settings(dir.path());
    let config = EngineConfig { gateways: Gateways::default().with_external(), ..config };
    let (engine, entries) = open_with(config, 2, 1).await;
    let entry = &entries[0];
    let held = hold(&engine, entry, "kim", &[1]).await.unwrap();
    let reservation = reference(&held);
    let purchase = Purchase { user: user("kim"), reservation, method: Method::External, nonce: 7, key: None };
    let order = engine.pay(entry, purchase).await.unwrap().answer.id;

    let taken = |payment_key: &str, amount| Taken {
        payment_key: payment_key.into(),
        amount: Money::new(amount).unwrap(),
        currency: Currency::parse("KRW").unwrap(),
    };
    let tell = |report| engine.report_payment(order, report, core::time::Duration::from_mins(1));
    let captured = |payment_key, amount| Report::Captured(taken(payment_key, amount));
    let refunded =
        |payment_key, amount| Report::Refunded { taken: taken(payment_key, amount), transaction: None };
    // The second time that it took money went back.
    let words = [captured("k", SEAT), captured("again", SEAT), refunded("again", SEAT)];
    for word in &words {
        assert_eq!(tell(word.clone()).await, Ok(()));
    }
    engine.settled().await;
    clock.pass_millis(40 * DAY);
    engine.act(entry, Command::Close, None).await.unwrap();
    clock.pass_millis(2 * DAY);
    assert_eq!(engine.archive_old().await.unwrap().schedules, 1);

    let declined = Report::Declined { code: "NO".into(), reason: "no".into() };
    for word in words.into_iter().chain([declined]) {
        assert_eq!(tell(word.clone()).await, Ok(()), "{word:?}");
    }
    let refused = |refusal| Err(EngineError::Refused(Refusal::Payment(refusal)));
    assert_eq!(tell(captured("new", SEAT)).await, refused(payments::Refusal::NotReady));
    assert_eq!(tell(captured("k", SEAT - 1)).await, refused(payments::Refusal::Contradicts));
    assert_eq!(tell(refunded("k", SEAT)).await, refused(payments::Refusal::NotOwed));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_moved_leaves_memory_and_those_who_follow_it_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = settings(dir.path());
    let engine = season(config, &clock).await;
    let entry = engine.schedule("s0").unwrap();
    let mut follower = entry.watch_seats();
    follower.borrow_and_update();
    engine.archive_old().await.unwrap();
    assert!(follower.has_changed().unwrap() && entry.is_gone());
    assert_eq!(
        hold(&engine, &entry, "kim", &[40]).await,
        Err(EngineError::NotReady),
        "asked again, it is found"
    );
    drop(follower);
    let entry = {
        let weak = Arc::downgrade(&entry);
        drop(entry);
        weak
    };
    engine.snapshot().await.unwrap();
    let gone = async {
        while entry.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(30);
    tokio::time::timeout(patience, gone).await.expect("something keeps a schedule that is in the archive");
}

fn on(disk: &MemoryDisk, config: &EngineConfig, dir: &Path) -> EngineConfig {
    let mut config = config.clone();
    dir.clone_into(&mut config.journal.dir);
    EngineConfig { medium: Some(Arc::new(disk.clone())), ..config }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_is_killed_anywhere_has_happened_or_happens_again() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = settings(dir.path());
    let prepared = MemoryDisk::new();
    let engine = season(on(&prepared, &config, dir.path()), &clock).await;
    for _ in 0..120 {
        charge(&engine, "kim", 10).await;
    }
    clock.pass_millis(40 * DAY);
    let expected = Api::of(&engine, &clock).everything().await;
    drop(engine);
    let start = prepared.crashed();
    let mut ends = std::collections::BTreeSet::new();
    for point in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let disk = start.crashed();
        let engine = Engine::open(on(&disk, &config, dir.path())).await.unwrap();
        let mut all = Moved::default();
        let killed = cut_off(&disk, point, async { all = engine.archive_old().await.unwrap() }).await;
        assert!(all.schedules == 2 && all.transactions > 20, "{all:?}");
        drop(engine);
        // All its rows are there, and of the journal what was synced by then.
        let disk = disk.crashed();
        let engine = Engine::open(on(&disk, &config, dir.path())).await.unwrap();
        ends.insert((engine.catalogue().archived_count(), engine.archived_transactions()));
        assert_eq!(Api::of(&engine, &clock).everything().await, expected, "killed at {point}");
        engine.archive_old().await.unwrap();
        assert_eq!(engine.catalogue().archived_count(), 2);
        assert_eq!(usize::try_from(engine.archived_transactions()).unwrap(), all.transactions);
        assert_eq!(Api::of(&engine, &clock).everything().await, expected, "moved after {point}");
        drop(engine);
        let engine = Engine::open(on(&disk.crashed(), &config, dir.path())).await.unwrap();
        assert_eq!(Api::of(&engine, &clock).everything().await, expected, "opened after {point}");
        if !killed {
            assert!(point >= 3, "{point} points to be killed at");
            break;
        }
    }
    assert!(ends.len() > 2, "the points differ in what had moved: {ends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_interrupted_move_left_is_overwritten_by_what_has_happened_since() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = settings(dir.path());
    let prepared = MemoryDisk::new();
    let engine = season(on(&prepared, &config, dir.path()), &clock).await;
    drop(engine);
    let disk = prepared.crashed();
    let engine = Engine::open(on(&disk, &config, dir.path())).await.unwrap();
    disk.freeze_after_syncs(0);
    engine.archive_old().await.unwrap();
    assert!(dir.path().join(archive::FILE).exists(), "its rows are there");
    drop(engine);
    let disk = disk.crashed();
    let engine = Engine::open(on(&disk, &config, dir.path())).await.unwrap();
    assert_eq!(engine.catalogue().archived_count(), 0, "and their events aren't");
    let entry = engine.schedule("s0").unwrap();
    let kims = entry.read().reservations_of("kim").next().unwrap().clone();
    let release = Command::Release { reservation: reference(&kims), caller: Caller::Admin };
    engine.act(&entry, release, None).await.unwrap();
    clock.pass_millis(2 * DAY);
    let before = Api::of(&engine, &clock).everything().await;
    engine.archive_old().await.unwrap();
    assert_eq!(engine.catalogue().archived_count(), 2);
    assert_eq!(Api::of(&engine, &clock).everything().await, before);
    drop(engine);
    let engine = Engine::open(on(&disk.crashed(), &config, dir.path())).await.unwrap();
    assert_eq!(Api::of(&engine, &clock).everything().await, before);
}

async fn refused_to_open(config: &EngineConfig) -> String {
    match Engine::open(config.clone()).await {
        Ok(_) => panic!("it opened"),
        Err(error @ EngineOpenError::Archive(_)) => error.to_string(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_refuses_to_open_without_what_the_journal_moved_to_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = settings(dir.path());
    let engine = season(config.clone(), &clock).await;
    let file = dir.path().join(archive::FILE);
    let aside = dir.path().join("aside");
    engine.archive_old().await.unwrap();
    std::fs::copy(&file, &aside).unwrap();
    for _ in 0..120 {
        charge(&engine, "kim", 10).await;
    }
    clock.pass_millis(40 * DAY);
    engine.archive_old().await.unwrap();
    let before = Api::of(&engine, &clock).everything().await;
    engine.close().await.unwrap();
    let newest = std::fs::read(&file).unwrap();

    std::fs::remove_file(&file).unwrap();
    let error = refused_to_open(&config).await;
    for part in ["archive.sqlite", "lacks", "schedule s0", "schedule s1", "user kim", "backup"] {
        assert!(error.contains(part), "{error}");
    }
    std::fs::copy(&aside, &file).unwrap();
    let error = refused_to_open(&config).await;
    assert!(error.contains("user kim") && !error.contains("schedule s0"), "older than the journal: {error}");
    std::fs::write(&file, &newest[..newest.len() / 2]).unwrap();
    refused_to_open(&config).await;

    // Another engine's.
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = Archive::open(elsewhere.path(), 1).unwrap();
    foreign.put_transactions(&user("kim"), 0, 0, &[]).unwrap();
    drop(foreign);
    std::fs::copy(elsewhere.path().join(archive::FILE), &file).unwrap();
    let error = refused_to_open(&config).await;
    assert!(error.contains("another log"), "{error}");

    std::fs::write(&file, newest).unwrap();
    let engine = Engine::open(config).await.unwrap();
    assert_eq!(Api::of(&engine, &clock).everything().await, before);
    engine.close().await.unwrap();
}

/// Replays what follows a snapshot, or everything.
fn replayed(inspection: &Inspection, snapshot: Option<(Position, &Path)>) -> World {
    let mut world = World::default();
    let sections = snapshot.iter().flat_map(|(_, path)| snapshot::read(path).unwrap().sections);
    for section in record::decode_sections(sections) {
        world.restore(section.unwrap()).unwrap();
    }
    let from = snapshot.map_or(Position::START, |(position, _)| position);
    let visit = |_, bytes: &[u8]| {
        world.apply(&record::decode(bytes).unwrap()).unwrap();
        Ok::<(), InspectError>(())
    };
    inspection.for_each(from, Position::new(u64::MAX), visit).unwrap();
    world.check().unwrap();
    world
}

fn verify(dir: &Path) -> (Option<i32>, String) {
    let done =
        Process::new(env!("CARGO_BIN_EXE_onsale")).args(["verify", "--data-dir"]).arg(dir).output().unwrap();
    (done.status.code(), String::from_utf8(done.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_and_what_follows_it_is_the_replay_from_the_beginning_and_verify_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, clock) = settings(dir.path());
    config.journal.retain = onsale::journal::Retain::Forever;
    let engine = season(config.clone(), &clock).await;
    for _ in 0..130 {
        charge(&engine, "kim", 10).await;
    }
    engine.snapshot().await.unwrap();
    engine.archive_old().await.unwrap();
    engine.snapshot().await.unwrap();
    clock.pass_millis(40 * DAY);
    engine.archive_old().await.unwrap();
    charge(&engine, "kim", 10).await;
    engine.close().await.unwrap();

    let inspection = Inspection::open(dir.path(), None).unwrap();
    let world = replayed(&inspection, None);
    assert_eq!((world.schedules.len(), world.payments.len(), world.catalogue.archived_count()), (1, 1, 2));
    let snapshots = snapshot::list(dir.path()).unwrap();
    assert!(snapshots.len() >= 2);
    for (position, path) in snapshots {
        assert!(replayed(&inspection, Some((position, &path))) == world, "from {position}");
    }
    let log_id = inspection.log_id().unwrap();
    let archive = Archive::open_read_only(dir.path(), log_id, inspection.scratch()).unwrap();
    let checked = archive.verify(&world).unwrap();
    let moved = world.accounts[&Shard::of("kim")].archived();
    assert_eq!((checked.schedules, checked.transactions), (2, moved));
    assert!(moved > 30 && checked.reservations > 4 && checked.payments == 6, "{checked:?}");
    drop((archive, inspection));

    let (code, text) = verify(dir.path());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("archive    ok       2 schedules, ") && text.ends_with("sound\n"), "{text}");
    let shown = Process::new(env!("CARGO_BIN_EXE_onsale"))
        .args(["replay", "--schedule", "s0", "--data-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["schedules"][0]["seats"]["reserved"], 3, "{shown}");
    assert_eq!(shown["catalogue"]["archivedSchedules"], 2);

    // A byte of a schedule that SQLite doesn't look at.
    let file = dir.path().join(archive::FILE);
    let mut bytes = std::fs::read(&file).unwrap();
    let places: Vec<usize> = (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(b"choi")).collect();
    for at in &places {
        bytes[*at] = b'k';
    }
    assert!(places.len() >= 2);
    std::fs::write(&file, &bytes).unwrap();
    let (code, text) = verify(dir.path());
    assert!(code == Some(1) && text.contains("archive    DAMAGED  "), "{text}");
    std::fs::remove_file(&file).unwrap();
    let (code, text) = verify(dir.path());
    assert!(code == Some(1) && text.contains("lacks"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn movements_are_paged_from_memory_into_the_archive_whenever_they_moved() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = settings(dir.path());
    let disk = MemoryDisk::new();
    let engine = Engine::open(on(&disk, &config, dir.path())).await.unwrap();
    let api = Api::of(&engine, &clock);
    // Two users of one shard, whose numbers interleave.
    let other =
        (0..1_000).map(|index| format!("u{index}")).find(|name| Shard::of(name) == Shard::of("kim")).unwrap();
    let names = ["kim", other.as_str()];
    let mut naive: Vec<Vec<u64>> = vec![Vec::new(), Vec::new()];
    let mut dice = 7_u64;
    for turn in 0..9 {
        for _ in 0..70 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (who, amount) = (usize::from((dice >> 40).is_multiple_of(4)), 1 + (dice >> 50) % 100);
            charge(&engine, names[who], amount).await;
            naive[who].insert(0, amount);
        }
        if turn % 2 == 1 {
            clock.pass_millis(31 * DAY);
            engine.archive_old().await.unwrap();
        }
        for (name, naive) in names.iter().zip(&naive) {
            for limit in [1 + usize::try_from(dice >> 33).unwrap() % 150, 1_000] {
                let path = format!("/users/{name}/balance/transactions");
                let listed = api.pages(name, &path, limit).await;
                let amounts: Vec<u64> = listed.iter().map(|item| item["amount"].as_u64().unwrap()).collect();
                assert_eq!(amounts, *naive, "{name}, {limit} at a time, turn {turn}");
                let sum: u64 = naive.iter().sum();
                assert_eq!(listed[0]["balanceAfter"], sum, "M1");
            }
        }
    }
    assert!(engine.archived_transactions() > 300);
    let kept = engine.transactions("kim", None, 100).await.unwrap();
    assert_eq!(kept.len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_with_a_wrong_random_part_leads_to_nothing_in_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = settings(dir.path());
    let engine = season(config, &clock).await;
    engine.archive_old().await.unwrap();
    let api = Api::of(&engine, &clock);
    let payment = support::payments_of(&engine, "kim").await.pop().unwrap();
    assert!(engine.catalogue().is_archived(payment.id.schedule));
    let guessed = PaymentId { nonce: payment.id.nonce ^ 1, ..payment.id };
    assert_eq!(engine.find_payment(guessed).await, Ok(None));
    let reservation = &engine.reservations_of("kim", Some("s0"), None, None, 9).await.unwrap()[0].2;
    let guessed = ReservationId {
        schedule: payment.id.schedule,
        number: reservation.number,
        nonce: reservation.nonce ^ 1,
    };
    for (caller, path, status) in [
        ("kim", format!("/reservations/{guessed}"), 404),
        ("admin", format!("/payments/{}", payment.id), 200),
        ("lee", format!("/payments/{}", payment.id), 404),
    ] {
        assert_eq!(api.call(Verb::GET, caller, &path, None).await.0, status, "{caller} {path}");
    }
    let missing = Archive::open(dir.path(), 0);
    assert!(matches!(missing, Err(ArchiveError::OtherLog { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_comes_while_a_schedule_moves_has_happened_or_is_refused() {
    let (mut moved, mut changed) = (0, 0);
    for round in 0..24 {
        let dir = tempfile::tempdir().unwrap();
        let (config, clock) = settings(dir.path());
        let disk = MemoryDisk::new();
        let engine = season(on(&disk, &config, dir.path()), &clock).await;
        let entry = engine.schedule("s0").unwrap();
        let kims = reference(entry.read().reservations_of("kim").next().unwrap());
        let before = engine.balance("kim").unwrap().0;
        let wait = async |turns: usize| {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        let archive = async {
            wait((round % 2) * round).await;
            engine.archive_old().await.unwrap();
        };
        let change = async {
            wait(((round + 1) % 2) * 4 * round).await;
            let release = Command::Release { reservation: kims, caller: Caller::Admin };
            engine.act(&entry, release, None).await
        };
        // First the one, then the other; and then both at once, the one or the other a little later.
        let change = match round {
            0 => {
                let change = change.await;
                archive.await;
                change
            }
            1 => {
                archive.await;
                change.await
            }
            _ => tokio::join!(archive, change).1,
        };
        let entry = engine.find_schedule("s0").await.unwrap().unwrap();
        let status = entry.read().reservation(kims).unwrap().status;
        let given_back = engine.balance("kim").unwrap().0 != before;
        let is_archived = entry.is_archived();
        assert_eq!(given_back, change.is_ok(), "{change:?}");
        assert_eq!(status == ReservationStatus::Cancelled, change.is_ok(), "{change:?}");
        if let Err(error) = &change {
            assert_eq!(*error, EngineError::NotReady);
        }
        assert!(!is_archived || change.is_err(), "it is never in the archive as it was before");
        moved += usize::from(is_archived);
        changed += usize::from(change.is_ok());
        drop(engine);
        let engine = Engine::open(on(&disk.crashed(), &config, dir.path())).await.unwrap();
        let entry = engine.find_schedule("s0").await.unwrap().unwrap();
        assert_eq!(
            (entry.read().reservation(kims).unwrap().status, entry.is_archived()),
            (status, is_archived)
        );
    }
    assert!(moved > 0 && changed > 0, "{moved} moved, {changed} changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_written_to_the_archive_stays_in_memory_and_takes_changes() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = settings(dir.path());
    let engine = season(config.clone(), &clock).await;
    for _ in 0..110 {
        charge(&engine, "kim", 10).await;
    }
    clock.pass_millis(40 * DAY);
    let before = Api::of(&engine, &clock).everything().await;
    let file = dir.path().join(archive::FILE);
    std::fs::create_dir(&file).unwrap();
    assert_eq!(engine.archive_old().await, Err(EngineError::ArchiveUnavailable));
    assert_eq!((engine.catalogue().archived_count(), engine.archived_transactions()), (0, 0));
    assert_eq!(Api::of(&engine, &clock).everything().await, before);
    let entry = engine.schedule("s0").unwrap();
    let kims = reference(entry.read().reservations_of("kim").next().unwrap());
    let release = Command::Release { reservation: kims, caller: Caller::Admin };
    engine.act(&entry, release, None).await.unwrap();
    std::fs::remove_dir(&file).unwrap();
    clock.pass_millis(2 * DAY);
    let before = Api::of(&engine, &clock).everything().await;
    let moved = engine.archive_old().await.unwrap();
    assert!(moved.schedules == 2 && moved.transactions > 0, "{moved:?}");
    assert_eq!(Api::of(&engine, &clock).everything().await, before);
    engine.close().await.unwrap();
    let engine = Engine::open(config).await.unwrap();
    assert_eq!(Api::of(&engine, &clock).everything().await, before);
    engine.close().await.unwrap();
}

#[test]
fn an_event_that_moves_what_never_was_is_an_error_of_replay() {
    let at = support::NOW;
    let id = ScheduleId::parse("s0").unwrap();
    let created = || {
        let creation = Creation {
            number: ScheduleNumber(1),
            id: id.clone(),
            concert: concert().id,
            venue: support::venue(1, 4).id,
            currency: concert().currency,
            plan: Arc::new(plan(at, Policy::default())),
            limits: Limits { ended_retention: Seconds::DAY, keys_max: 9 },
            prices: None,
        };
        let listed = CatalogueEvent::ScheduleListed {
            id: id.clone(),
            number: creation.number,
            concert: concert().id,
            creation: None,
        };
        let facts = [
            (1, Fact::Catalogue(CatalogueEvent::VenuePut(Arc::new(support::venue(1, 4))))),
            (2, Fact::Catalogue(CatalogueEvent::ConcertPut(Arc::new(concert())))),
            (3, Fact::Catalogue(listed)),
            (1, Fact::Schedule(creation.number, Event::Created(Box::new(creation)))),
        ];
        let mut world = World::default();
        for (version, fact) in facts {
            world.apply(&Record { version, at, by: By::Engine, key: None, fact }).unwrap();
        }
        world
    };
    let moved = |name: &str, version, payments| {
        let archived = Archived { version, payments, opened: false };
        let event = CatalogueEvent::ScheduleArchived { id: ScheduleId::parse(name).unwrap(), archived };
        let record = Record { version: 4, at, by: By::Engine, key: None, fact: Fact::Catalogue(event) };
        let mut world = created();
        world.apply(&record).map(|_| world.check())
    };
    assert_eq!(moved("s0", 1, 0), Ok(Ok(())));
    for (version, payments) in [(0, 0), (2, 0), (1, 1)] {
        assert_eq!(moved("s0", version, payments), Err(ReplayError::Archived(1)));
    }
    assert_eq!(moved("s1", 1, 0), Err(ReplayError::Unlisted));

    // Today its own stream ends first, and its listing says the same.
    let ended = |payments, archived| {
        let mut world = created();
        let fact = Fact::Schedule(ScheduleNumber(1), Event::Archived { payments });
        world.apply(&Record { version: 2, at, by: By::Engine, key: None, fact })?;
        world.check().unwrap();
        assert_eq!((world.schedules.len(), world.archived().len(), world.ended.len()), (0, 1, 1));
        let event = CatalogueEvent::ScheduleArchived { id: id.clone(), archived };
        world.apply(&Record { version: 4, at, by: By::Engine, key: None, fact: Fact::Catalogue(event) })?;
        world.check().unwrap();
        Ok((world.archived().len(), world.ended.len()))
    };
    let as_it_was = Archived { version: 1, payments: 0, opened: false };
    assert_eq!(ended(0, as_it_was), Ok((1, 0)));
    assert_eq!(ended(1, as_it_was), Err(ReplayError::Archived(1)));
    assert_eq!(ended(0, Archived { version: 2, ..as_it_was }), Err(ReplayError::Archived(1)));
}

#[test]
fn a_schedule_that_is_listed_and_missing_is_an_error_unless_it_is_yet_to_be_created() {
    let at = support::NOW;
    let creation = Creation {
        number: ScheduleNumber(1),
        id: ScheduleId::parse("s0").unwrap(),
        concert: concert().id,
        venue: support::venue(1, 4).id,
        currency: concert().currency,
        plan: Arc::new(plan(at, Policy::default())),
        limits: Limits { ended_retention: Seconds::DAY, keys_max: 9 },
        prices: None,
    };
    let (id, number, concert_id) = (creation.id.clone(), creation.number, creation.concert.clone());
    let creation = Some(Arc::new(creation));
    let events = [
        CatalogueEvent::VenuePut(Arc::new(support::venue(1, 4))),
        CatalogueEvent::ConcertPut(Arc::new(concert())),
        CatalogueEvent::ScheduleListed { id, number, concert: concert_id, creation },
    ];
    let mut world = World::default();
    for (version, event) in (1..).zip(events) {
        let record = Record { version, at, by: By::Engine, key: None, fact: Fact::Catalogue(event) };
        world.apply(&record).unwrap();
    }
    assert_eq!((world.check(), world.to_be_created().count()), (Ok(()), 1));
    let fact = Fact::Catalogue(CatalogueEvent::SchedulesCreated);
    world.apply(&Record { version: 4, at, by: By::Engine, key: None, fact }).unwrap();
    assert_eq!(world.check(), Err(ReplayError::Listing { listed: 1, found: 0, existing: 0 }));
}
