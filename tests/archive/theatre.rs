//! What was sold like a theatre, in the archive: orders of the box office, price types, fees, areas, codes and allotments answer as before,
//! wherever the move was killed; nothing of them can change; and a payment service's word of before is known.

use core::time::Duration;

use super::*;

const OWNERS: [&str; 5] = ["kim", "lee", "park", "choi", "kang"];

/// The theatre, with a service of its own that takes money.
async fn open(config: EngineConfig) -> Engine {
    let gateways = Gateways::default().with_external();
    Engine::open(EngineConfig { gateways, ..config }).await.unwrap()
}

impl Api {
    async fn does(&self, verb: Verb, caller: &str, path: &str, body: Option<Value>) -> Value {
        let (status, document) = self.call(verb.clone(), caller, path, body).await;
        assert!((200..300).contains(&status), "{verb} {path}: {status} {document}");
        document
    }

    async fn order(&self, clerk: &str, schedule: &str, body: Value) -> Value {
        self.does(Verb::POST, clerk, &format!("/schedules/{schedule}/orders"), Some(body)).await
    }

    async fn hold(&self, caller: &str, wish: Value) -> String {
        let held = self.does(Verb::POST, caller, "/reservations", Some(wish)).await;
        held["reservationId"].as_str().unwrap().to_owned()
    }

    async fn buy(&self, caller: &str, wish: Value) -> String {
        let id = self.hold(caller, wish).await;
        let pay = json!({"reservationId": id, "method": "balance"});
        self.does(Verb::POST, caller, "/payments", Some(pay)).await;
        id
    }

    /// All that is told of two schedules, to everyone who may ask.
    async fn told(&self) -> Vec<(String, Value)> {
        let mut told = Vec::new();
        for schedule in ["t0", "t1"] {
            for path in ["", "/seats", "/seats?shape=vector", "/seats?status=reserved"] {
                let path = format!("/schedules/{schedule}{path}");
                told.push((path.clone(), self.get("kim", &path).await));
            }
            let plan = self.get("kim", &format!("/schedules/{schedule}")).await["planId"].clone();
            told.push((
                schedule.into(),
                self.get("kim", &format!("/plans/{}", plan.as_str().unwrap())).await,
            ));
            for path in ["/codes", "/allotments", "/codes/FANS10", "/codes/PRESS"] {
                let path = format!("/schedules/{schedule}{path}");
                let (status, document) = self.call(Verb::GET, "admin", &path, None).await;
                told.push((path, json!([status, document])));
            }
            for list in ["reservations", "payments"] {
                let path = format!("/{list}?scheduleId={schedule}");
                let pages = [self.pages("admin", &path, 2).await, self.pages("admin", &path, 100).await];
                assert_eq!(pages[0], pages[1], "{path}");
                for item in &pages[0] {
                    let id = item[if list == "payments" { "paymentId" } else { "reservationId" }]
                        .as_str()
                        .unwrap();
                    let one = format!("/{list}/{id}");
                    assert_eq!(self.get("admin", &one).await, *item, "{one}");
                    // A clerk may see orders, and nothing else.
                    let seen = self.call(Verb::GET, "clerk-1", &one, None).await;
                    told.push((one, json!([seen.0, seen.1])));
                }
                told.push((path, pages[0].clone().into()));
            }
        }
        for name in OWNERS {
            for path in ["/reservations", "/payments"] {
                told.push((format!("{name} {path}"), self.pages(name, path, 100).await.into()));
            }
        }
        told
    }
}

/// Two shows that are long over, sold in every way, of which the second was cancelled; returns what is told of an external payment, too.
async fn season(engine: &Engine, clock: &ManualClock) -> (Api, PaymentId) {
    let api = Api::of(engine, clock);
    let venue = json!({"name": "Hall", "timeZone": "Asia/Seoul", "sections": [{"sectionId": "A", "floor": "1",
        "rows": [{"rowId": "1", "grade": "R", "length": 40}]}],
        "areas": [{"areaId": "pit", "floor": "1", "name": "Pit", "grade": "ST", "capacity": 30}]});
    let concert = json!({"title": "Show", "artist": "Someone", "venueId": "hall", "currency": "KRW",
        "grades": [{"grade": "R", "price": 50_000, "color": "#888888", "prices": {"youth": 40_000}},
                   {"grade": "ST", "price": 20_000, "color": "#0000FF", "prices": {"youth": 15_000}}],
        "priceTypes": [{"priceType": "adult", "name": "일반"}, {"priceType": "youth", "name": "청소년"}],
        "fees": [{"feeId": "booking", "name": "예매", "amount": 2_000, "per": "seat", "refundable": false},
                 {"feeId": "post", "name": "배송", "amount": 3_000, "per": "reservation", "refundable": true}]});
    api.does(Verb::PUT, "admin", "/venues/hall", Some(venue)).await;
    api.does(Verb::PUT, "admin", "/concerts/show", Some(concert)).await;
    for (id, day) in [("t0", 16), ("t1", 17)] {
        let schedule = json!({"concertId": "show", "startsAt": format!("2027-01-{day}T08:00:00.000Z"),
            "endsAt": format!("2027-01-{day}T10:00:00.000Z"),
            "policy": {"maxSeatsPerUser": 40, "cancelUntilSecondsBeforeStart": 0}});
        api.does(Verb::PUT, "admin", &format!("/schedules/{id}"), Some(schedule)).await;
        let press = json!({"name": "Press", "reason": "12조", "seats": ["1-A-1-30", "1-A-1-31", "1-A-1-32"],
            "areas": [{"areaId": "pit", "count": 5}]});
        let of = |path: &str| format!("/schedules/{id}/{path}");
        api.does(Verb::PUT, "admin", &of("allotments/press"), Some(press)).await;
        api.does(Verb::PUT, "admin", &of("codes/PRESS"), Some(json!({"allotmentId": "press"}))).await;
        let fans = json!({"discount": {"percent": 10}, "maxUses": 9});
        api.does(Verb::PUT, "admin", &of("codes/FANS10"), Some(fans)).await;
        api.does(Verb::POST, "admin", &of("codes"), Some(json!({"count": 3, "prefix": "VIP"}))).await;
        api.does(Verb::POST, "admin", &of("open"), None).await;
    }
    for name in ["kim", "lee", "choi"] {
        charge(engine, name, 900_000).await;
    }

    let seat = |id: u32, price_type: &str| json!({"seatId": format!("1-A-1-{id}"), "priceType": price_type});
    let pit = |count: u32| json!([{"areaId": "pit", "count": count, "priceType": "youth"}]);
    for schedule in ["t0", "t1"] {
        clock.pass_millis(10);
        let wish = json!({"scheduleId": schedule, "seats": [seat(1, "youth"), seat(2, "adult")], "areas": pit(2),
            "code": "FANS10"});
        api.buy("kim", wish).await;
        api.buy(
            "kim",
            json!({"scheduleId": schedule, "seats": ["1-A-1-30"], "areas": pit(1), "code": "PRESS"}),
        )
        .await;
        let given_back =
            api.buy("lee", json!({"scheduleId": schedule, "seats": ["1-A-1-5"], "code": "FANS10"})).await;
        api.does(Verb::DELETE, "admin", &format!("/reservations/{given_back}"), None).await;

        clock.pass_millis(10);
        let owned = json!({"userId": "choi", "name": "Choi", "seats": [seat(10, "youth")], "areas": pit(2),
            "payment": {"method": "cash", "reference": "slip 7"}});
        api.order("clerk-1", schedule, owned).await;
        let nobodys = json!({"seats": ["1-A-1-12", "1-A-1-13"], "amount": 10_000, "reason": "staff",
            "payment": {"method": "card_terminal"}});
        let nobodys = api.order("clerk-2", schedule, nobodys).await;
        let path = format!("/reservations/{}", nobodys["reservationId"].as_str().unwrap());
        api.does(Verb::DELETE, "clerk-2", &path, None).await;
        let press = json!({"bestAvailable": {"count": 2}, "allotmentId": "press", "payment": {"method": "complimentary"}});
        api.order("clerk-3", schedule, press).await;
        // The press's share is set again, by one who has its id later.
        if schedule == "t0" {
            api.does(Verb::DELETE, "admin", "/schedules/t0/allotments/press", None).await;
            let again = json!({"name": "Press", "areas": [{"areaId": "pit", "count": 3}]});
            api.does(Verb::PUT, "admin", "/schedules/t0/allotments/press", Some(again)).await;
        }
    }

    let held = api.hold("kang", json!({"scheduleId": "t0", "seats": ["1-A-1-20"]})).await;
    let pay = json!({"reservationId": held, "method": "external"});
    let external = api.does(Verb::POST, "kang", "/payments", Some(pay)).await;
    let external = engine.payment_id(external["paymentId"].as_str().unwrap()).unwrap();
    tell(engine, external, Report::Captured(taken("pi_1", 55_000))).await.unwrap();
    engine.settled().await;
    api.does(Verb::DELETE, "admin", &format!("/reservations/{held}"), None).await;
    tell(engine, external, Report::Refunded { taken: taken("pi_1", 55_000), transaction: None })
        .await
        .unwrap();

    clock.pass_millis(10);
    api.does(Verb::POST, "admin", "/schedules/t1/cancel", None).await;
    engine.settled().await;
    clock.pass_millis(40 * DAY);
    // Whoever is asked looks at the clock: the sale has closed by itself.
    api.does(Verb::POST, "admin", "/schedules/t0/close", None).await;
    clock.pass_millis(2 * DAY);
    (api, external)
}

fn taken(payment_key: &str, amount: u64) -> Taken {
    let currency = Currency::parse("KRW").unwrap();
    Taken { payment_key: payment_key.into(), amount: Money::new(amount).unwrap(), currency }
}

async fn tell(engine: &Engine, order: PaymentId, report: Report) -> Result<(), EngineError> {
    engine.report_payment(order, report, Duration::from_mins(1)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_theatre_sold_answers_as_before_from_the_archive_after_a_restart_and_from_a_backup() {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, clock) = settings(dir.path());
    config.journal.retain = onsale::journal::Retain::Forever;
    let engine = open(config.clone()).await;
    let (api, _) = season(&engine, &clock).await;
    let before = api.told().await;
    let export = |engine: &Engine| {
        let engine = engine.clone();
        tokio::task::spawn_blocking(move || Tables::of_engine(&engine))
    };
    let exported = export(&engine).await.unwrap();
    let history = async |api: &Api| api.pages("admin", "/admin/schedules/t0/history", 100).await;
    let happened = history(&api).await;
    let looked_back = format!("/admin/schedules/t0/seats?at={}", support::NOW.plus(Seconds::new(3_600)));
    let map = api.get("admin", &looked_back).await;
    let copies = [dir.path().join("before"), dir.path().join("after")];
    back_up(&engine, &copies[0]);
    engine.snapshot().await.unwrap();

    assert_eq!(engine.archive_old().await, Ok(Moved { schedules: 2, transactions: 0 }));
    assert!(engine.schedule("t0").is_none() && engine.schedule("t1").is_none());
    assert_eq!(api.told().await, before);
    let after = export(&engine).await.unwrap();
    assert_eq!(after.sorted(), exported.sorted());
    after.check();
    let told = history(&api).await;
    assert_eq!((&told[0]["type"], &told[1..]), (&json!("Archived"), &happened[..]));
    assert_eq!(api.get("admin", &looked_back).await, map);
    engine.snapshot().await.unwrap();
    back_up(&engine, &copies[1]);
    engine.close().await.unwrap();
    let (code, shown) = verify(dir.path());
    assert_eq!(code, Some(0), "{shown}");

    for dir in [dir.path().to_owned()].iter().chain(&copies) {
        let mut config = config.clone();
        config.journal.dir.clone_from(dir);
        let engine = open(config).await;
        engine.archive_old().await.unwrap();
        assert_eq!(engine.catalogue().archived_count(), 2);
        assert_eq!(Api::of(&engine, &clock).told().await, before, "{}", dir.display());
        assert_eq!(export(&engine).await.unwrap().sorted(), exported.sorted());
        engine.close().await.unwrap();
        let (code, shown) = verify(dir);
        assert_eq!(code, Some(0), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_theatres_move_that_is_killed_anywhere_has_happened_or_happens_again() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = settings(dir.path());
    let prepared = MemoryDisk::new();
    let engine = open(on(&prepared, &config, dir.path())).await;
    let (api, _) = season(&engine, &clock).await;
    let expected = api.told().await;
    drop((api, engine));
    let start = prepared.crashed();
    for point in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let disk = start.crashed();
        let engine = open(on(&disk, &config, dir.path())).await;
        let killed = cut_off(&disk, point, async { assert!(engine.archive_old().await.is_ok()) }).await;
        drop(engine);
        let disk = disk.crashed();
        let engine = open(on(&disk, &config, dir.path())).await;
        assert_eq!(Api::of(&engine, &clock).told().await, expected, "killed at {point}");
        engine.archive_old().await.unwrap();
        assert_eq!(engine.catalogue().archived_count(), 2);
        assert_eq!(Api::of(&engine, &clock).told().await, expected, "moved after {point}");
        drop(engine);
        let engine = open(on(&disk.crashed(), &config, dir.path())).await;
        assert_eq!(Api::of(&engine, &clock).told().await, expected, "opened after {point}");
        if !killed {
            assert!(point >= 3, "{point} points to be killed at");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_theatre_sold_changes_in_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    let (config, clock) = settings(dir.path());
    let engine = open(config).await;
    let (api, external) = season(&engine, &clock).await;
    engine.archive_old().await.unwrap();
    let before = api.told().await;

    let payments = api.pages("admin", "/payments?scheduleId=t0", 100).await;
    let of = |clerk: &str| {
        let order = payments.iter().find(|payment| payment["order"]["clerkId"] == clerk);
        format!("/reservations/{}", order.unwrap()["reservationId"].as_str().unwrap())
    };
    let cash = json!({"seats": ["1-A-1-20"], "payment": {"method": "cash"}});
    let press = json!({"name": "Press", "seats": ["1-A-1-20"]});
    for (verb, caller, path, body, status, code) in [
        // Its key's day is over, and so is the show.
        (Verb::POST, "clerk-1", "/schedules/t0/orders".into(), Some(cash.clone()), 409, "schedule_not_open"),
        (Verb::POST, "clerk-1", "/schedules/t1/orders".into(), Some(cash), 409, "schedule_not_open"),
        (Verb::DELETE, "clerk-1", of("clerk-1"), None, 409, "cancellation_closed"),
        (Verb::DELETE, "choi", of("clerk-1"), None, 409, "cancellation_closed"),
        (Verb::DELETE, "kim", of("clerk-1"), None, 404, "not_found"),
        (Verb::GET, "kim", of("clerk-2"), None, 404, "not_found"),
        (Verb::PUT, "admin", "/schedules/t0/codes/NEW1".into(), Some(json!({})), 409, "invalid_transition"),
        (
            Verb::POST,
            "admin",
            "/schedules/t0/codes".into(),
            Some(json!({"count": 1})),
            409,
            "invalid_transition",
        ),
        (Verb::DELETE, "admin", "/schedules/t0/codes/FANS10".into(), None, 409, "invalid_transition"),
        (Verb::PUT, "admin", "/schedules/t0/allotments/other".into(), Some(press), 409, "invalid_transition"),
        (Verb::DELETE, "admin", "/schedules/t0/allotments/press".into(), None, 409, "invalid_transition"),
    ] {
        let (found, problem) = api.call(verb.clone(), caller, &path, body).await;
        assert_eq!((found, problem["code"].as_str()), (status, Some(code)), "{verb} {path} {problem}");
    }
    // What is so already is no refusal.
    let again = api.does(Verb::DELETE, "clerk-2", &of("clerk-2"), None).await;
    assert_eq!((&again["status"], &again["refund"]), (&json!("cancelled"), &json!("by_hand")));

    let known = [
        Report::Captured(taken("pi_1", 55_000)),
        Report::Refunded { taken: taken("pi_1", 53_000), transaction: None },
        Report::Refunded { taken: taken("pi_1", 55_000), transaction: Some("re_2".into()) },
    ];
    for report in known {
        assert_eq!(tell(&engine, external, report.clone()).await, Ok(()), "{report:?}");
    }
    let refused = |refusal| Err(EngineError::Refused(Refusal::Payment(refusal)));
    let late = Report::Captured(taken("pi_2", 55_000));
    assert_eq!(tell(&engine, external, late).await, refused(payments::Refusal::NotReady));
    let much = Report::Refunded { taken: taken("pi_1", 55_001), transaction: None };
    assert_eq!(tell(&engine, external, much).await, refused(payments::Refusal::MoreThanTaken));
    assert_eq!(api.told().await, before);
    engine.close().await.unwrap();
}
