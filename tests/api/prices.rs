//! Price types, fees and lines over HTTP: what a concert says of them, what a reservation costs and why, and what its cancellation gives
//! back, from a balance and at the gateway, also across a crash.

use onsale::mock_gateway::{DEMO_SECRET, MockConfig, MockGateway, RunningGateway};
use serde_json::{Value, json};

use crate::{
    Answer, Api, DELETE, GET, PATCH, POST, PUT, concert, feed, keys_of, path_of, schedule, text, venue, with,
};

/// [`crate::concert`] with an area of the grade ST, three price types, and two fees. `S` isn't sold to the young, and only `R` to seniors.
fn priced() -> Value {
    let mut priced = concert();
    priced["grades"][0]["prices"] = json!({"youth": 33_333, "senior": 0});
    let standing = json!({"grade": "ST", "price": 20_000, "color": "#0000FF", "prices": {"youth": 15_000}});
    priced["grades"].as_array_mut().unwrap().push(standing);
    priced["priceTypes"] = json!([{"priceType": "adult", "name": "일반"}, {"priceType": "youth", "name": "청소년", "note": "만 18세 이하"},
        {"priceType": "senior", "name": "경로"}]);
    priced["fees"] = json!([
        {"feeId": "booking", "name": "예매 수수료", "amount": 2_000, "per": "seat", "refundable": false},
        {"feeId": "post", "name": "배송", "amount": 3_000, "per": "reservation", "refundable": true}]);
    priced
}

async fn put(api: &Api, concert: &Value) {
    let areas = json!([{"areaId": "pit", "floor": "1", "name": "스탠딩", "grade": "ST", "capacity": 9}]);
    api.admin(PUT, "/venues/v").json(&with(venue(), "areas", areas)).await.ok(201);
    api.admin(PUT, "/concerts/c").json(concert).await.ok(201);
    let policy =
        json!({"maxSeatsPerReservation": 6, "maxSeatsPerUser": 7, "cancelUntilSecondsBeforeStart": 0});
    api.admin(PUT, "/schedules/s").json(&with(schedule(), "policy", policy)).await.ok(201);
}

/// A server with an open schedule `s` of [`priced`].
async fn api() -> Api {
    api_with(&[]).await
}

async fn api_with(environment: &[(&str, &str)]) -> Api {
    let api = Api::start_with(&[&[("ONSALE_RATE_LIMIT", "off")], environment].concat());
    put(&api, &priced()).await;
    api.admin(POST, "/schedules/s/open").await.ok(200);
    api
}

fn seat(id: &str, price_type: &str) -> Value {
    json!({"seatId": id, "priceType": price_type})
}

async fn hold(api: &Api, user: &str, wish: Value) -> Answer {
    api.user(user, POST, "/reservations").json(&with(wish, "scheduleId", json!("s"))).await
}

fn line(kind: &str, name: &str, count: u64, unit: i64) -> Value {
    let amount = i64::try_from(count).unwrap() * unit;
    json!({"kind": kind, "name": name, "count": count, "unitAmount": unit, "amount": amount})
}

/// Checks that a reservation's lines add up to its amount, and returns that.
#[track_caller]
fn sum(reservation: &Value) -> i64 {
    let lines = reservation["lines"].as_array().unwrap();
    let sum: i64 = lines.iter().map(|line| line["amount"].as_i64().unwrap()).sum();
    assert_eq!(reservation["amount"], sum, "{reservation}");
    sum
}

async fn charge(api: &Api, user: &str) {
    api.admin(POST, &format!("/users/{user}/balance")).json(&json!({"amount": 1_000_000})).await.ok(201);
}

async fn balance(api: &Api, user: &str) -> i64 {
    api.admin(GET, &format!("/users/{user}/balance")).await.ok(200)["balance"].as_i64().unwrap()
}

/// Pays for a hold from the user's balance.
async fn pay(api: &Api, user: &str, held: &Value) -> Value {
    let body = json!({"reservationId": held["reservationId"], "method": "balance"});
    api.user(user, POST, "/payments").key(&path_of(held)).json(&body).await.ok(201)
}

async fn payment(api: &Api, payment: &Value) -> Value {
    api.admin(GET, &format!("/payments/{}", text(&payment["paymentId"]))).await.ok(200)
}

/// Looks at a payment until its money is back.
async fn refunded(api: &Api, paid: &Value) -> Value {
    loop {
        let payment = payment(api, paid).await;
        if payment["status"] == "refunded" {
            return payment;
        }
        assert!(["completed", "refunding"].contains(&text(&payment["status"]).as_str()), "{payment}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_concert_gives_back_its_price_types_and_fees() {
    let api = api().await;
    let shown = api.public(GET, "/concerts/c").await.ok(200);
    for member in ["priceTypes", "fees", "grades"] {
        assert_eq!(shown[member], priced()[member]);
    }
    // One without any has no member of them.
    api.admin(PUT, "/concerts/plain").json(&with(priced(), "fees", Value::Null)).await.ok(201);
    let mut bare = with(with(priced(), "fees", json!([])), "priceTypes", json!([]));
    for grade in bare["grades"].as_array_mut().unwrap() {
        grade.as_object_mut().unwrap().remove("prices");
    }
    api.admin(PUT, "/concerts/plain").json(&bare).await.ok(200);
    let bare = api.public(GET, "/concerts/plain").await.ok(200);
    assert!(!keys_of(&bare).iter().any(|key| ["priceTypes", "fees"].contains(key)), "{bare}");
    assert!(bare["grades"][0].get("prices").is_none());
}

#[tokio::test]
async fn every_wrong_part_of_types_and_fees_is_named() {
    let api = api().await;
    let put = async |edit: &dyn Fn(&mut Value)| {
        let mut wrong = priced();
        edit(&mut wrong);
        api.admin(PUT, "/concerts/other").json(&wrong).await
    };
    put(&|it| it["priceTypes"][1]["priceType"] = json!("adult")).await.names("priceTypes[1].priceType");
    put(&|it| it["priceTypes"][1]["priceType"] = json!("a b")).await.names("priceTypes[1].priceType");
    put(&|it| it["priceTypes"][1]["name"] = json!("")).await.names("priceTypes[1].name");
    put(&|it| it["priceTypes"][1]["name"] = json!("x".repeat(101))).await.names("priceTypes[1].name");
    put(&|it| it["priceTypes"][1]["note"] = json!("a\u{0}")).await.names("priceTypes[1].note");
    put(&|it| it["grades"][0]["prices"]["nobody"] = json!(1)).await.names("grades[0].prices");
    put(&|it| it["grades"][0]["prices"]["adult"] = json!(1)).await.names("grades[0].prices");
    put(&|it| it["grades"][0]["prices"]["youth"] = json!(1_000_000_000_001_u64))
        .await
        .names("grades[0].prices");
    put(&|it| it["fees"][1]["feeId"] = json!("booking")).await.names("fees[1].feeId");
    put(&|it| it["fees"][0]["amount"] = json!(1_000_000_000_001_u64)).await.names("fees[0].amount");
    put(&|it| it["fees"][0]["name"] = json!("")).await.names("fees[0].name");
    put(&|it| it["fees"][0]["per"] = json!("row")).await.refused(422, "invalid_request");
    put(&|it| it["fees"][0]["vat"] = json!(1)).await.refused(422, "invalid_request");
    let many = |name: &str| -> Value {
        let one = |number: u32| {
            let id = number.to_string();
            if name == "fees" {
                json!({"feeId": id, "name": "n", "amount": 1, "per": "seat", "refundable": true})
            } else {
                json!({"priceType": id, "name": "n"})
            }
        };
        (0..17).map(one).collect()
    };
    put(&|it| it["fees"] = many("fees")).await.names("fees");
    put(&|it| *it = with(concert(), "priceTypes", many("priceTypes"))).await.names("priceTypes");
    put(&|_| ()).await.ok(201);
}

#[tokio::test]
async fn a_reservation_says_what_each_place_costs_and_why() {
    let api = api().await;
    let wish = json!({"seats": ["1-A-1-1", seat("1-A-1-2", "youth"), seat("1-A-1-3", "youth"), {"seatId": "1-A-2-1"}],
        "areas": [{"areaId": "pit", "count": 1, "priceType": "adult"}, {"areaId": "pit", "count": 1, "priceType": "youth"}]});
    let held = hold(&api, "kim", wish).await.ok(201);
    let lines = json!([
        line("seat", "R 일반", 1, 50_000),
        line("seat", "R 청소년", 2, 33_333),
        line("seat", "S 일반", 1, 30_000),
        line("area", "ST 일반", 1, 20_000),
        line("area", "ST 청소년", 1, 15_000),
        line("fee", "예매 수수료", 6, 2_000),
        line("fee", "배송", 1, 3_000)
    ]);
    assert_eq!(held["lines"], lines);
    assert_eq!(sum(&held), 196_666);
    let seats: Vec<(&Value, &Value)> =
        held["seats"].as_array().unwrap().iter().map(|seat| (&seat["priceType"], &seat["price"])).collect();
    assert_eq!(
        seats,
        [
            (&json!("adult"), &json!(50_000)),
            (&json!("youth"), &json!(33_333)),
            (&json!("youth"), &json!(33_333)),
            (&json!("adult"), &json!(30_000)),
        ]
    );
    let area = |price_type: &str, price: u64| json!({"areaId": "pit", "grade": "ST", "price": price, "priceType": price_type, "count": 1});
    assert_eq!(held["areas"], json!([area("adult", 20_000), area("youth", 15_000)]));
    assert!(held.get("refundAmount").is_none(), "nothing is paid");

    let again = api.user("kim", GET, &path_of(&held)).await.ok(200);
    assert_eq!(again, held);
    // The outage moved its deadline, and nothing else.
    let api = api.kill_and_restart();
    let after = api.user("kim", GET, &path_of(&held)).await.ok(200);
    for member in ["seats", "areas", "lines", "amount"] {
        assert_eq!(after[member], held[member]);
    }
}

#[tokio::test]
async fn what_is_not_sold_so_is_refused_with_the_field() {
    let api = api().await;
    let cases = [
        (json!({"seats": ["1-A-1-1", seat("1-A-2-1", "youth")]}), "seats[1].priceType"),
        (json!({"seats": ["1-A-1-1", seat("1-A-1-2", "nobody")]}), "seats[1].priceType"),
        (json!({"areas": [{"areaId": "pit", "count": 1, "priceType": "senior"}]}), "areas[0].priceType"),
        (json!({"areas": [{"areaId": "pit", "count": 1, "priceType": ""}]}), "areas[0].priceType"),
        (
            json!({"areas": [{"areaId": "pit", "count": 1}, {"areaId": "pit", "count": 2, "priceType": "adult"}]}),
            "areas[1].areaId",
        ),
        (
            json!({"bestAvailable": {"count": 3, "priceTypes": {"adult": 1, "youth": 1}}}),
            "bestAvailable.priceTypes",
        ),
        (json!({"bestAvailable": {"count": 1, "priceTypes": {"nobody": 1}}}), "bestAvailable.priceTypes"),
        (
            json!({"bestAvailable": {"count": 1, "grade": "S", "priceTypes": {"youth": 1}}}),
            "bestAvailable.priceTypes",
        ),
        (json!({"bestAvailable": {"count": 7, "priceTypes": {"adult": 7}}}), "bestAvailable.count"),
        (
            json!({"bestAvailable": {"count": 4_000_000_000_u32, "priceTypes": {"adult": 4_000_000_000_u32}}}),
            "bestAvailable.count",
        ),
    ];
    for (wish, field) in cases {
        hold(&api, "kim", wish).await.names(field);
    }
    for wrong in [
        json!([1]),
        json!([{"priceType": "youth"}]),
        json!([{"seatId": "1-A-1-1", "type": "youth"}]),
        json!([null]),
    ] {
        hold(&api, "kim", json!({"seats": wrong})).await.refused(422, "invalid_request");
    }
    hold(&api, "kim", json!({"seats": ["1-A-1-1", seat("1-A-1-1", "youth")]})).await.names("seats[1]");

    // A concert without types knows none, and one without fees changes nothing of a reservation.
    let plain = Api::with_hall(3, json!({})).await;
    let named = json!({"scheduleId": "s", "seats": [seat("1-A-1-1", "adult")]});
    plain.user("kim", POST, "/reservations").json(&named).await.names("seats[0].priceType");
    let body = json!({"scheduleId": "s", "seats": [{"seatId": "1-A-1-1"}]});
    let held = plain.user("kim", POST, "/reservations").json(&body).await.ok(201);
    assert_eq!(keys_of(&held["seats"][0]), ["grade", "price", "seatId"]);
    let more = ["lines", "areas", "code", "refundAmount", "priceType"];
    assert!(!keys_of(&held).iter().any(|key| more.contains(key)), "{held}");
}

#[tokio::test]
async fn the_best_places_have_the_price_types_that_were_counted() {
    let api = api().await;
    let best = |count: u32, types: Value| json!({"bestAvailable": {"count": count, "priceTypes": types}});
    let held = hold(&api, "kim", best(3, json!({"youth": 2, "adult": 1, "senior": 0}))).await;
    // Seniors buy in R alone, though none of them comes.
    let held = held.ok(201);
    let types: Vec<String> =
        held["seats"].as_array().unwrap().iter().map(|seat| text(&seat["priceType"])).collect();
    assert_eq!(types, ["adult", "youth", "youth"]);
    assert_eq!(sum(&held), 50_000 + 2 * 33_333 + 3 * 2_000 + 3_000);
    // One seat of R is left: the young stand.
    let held = hold(&api, "lee", best(2, json!({"youth": 2}))).await.ok(201);
    assert_eq!((&held["seats"], &held["areas"][0]["priceType"]), (&json!([]), &json!("youth")));
    hold(&api, "pak", best(2, json!({"senior": 2}))).await.refused(409, "not_enough_seats");
}

#[tokio::test]
async fn an_exchange_has_all_its_lines_anew() {
    let api = api().await;
    let held = hold(&api, "kim", json!({"seats": ["1-A-1-1", "1-A-1-2"]})).await.ok(201);
    assert_eq!(sum(&held), 107_000);
    let path = path_of(&held);
    let exchange = async |wish: Value| api.user("kim", PATCH, &path).json(&wish).await;
    let wish = json!({"seats": [seat("1-A-1-1", "youth")], "areas": [{"areaId": "pit", "count": 2}]});
    let fresh = hold(
        &api,
        "lee",
        json!({"seats": [seat("1-A-1-3", "youth")], "areas": [{"areaId": "pit", "count": 2}]}),
    )
    .await
    .ok(201);
    let exchanged = exchange(wish).await.ok(200);
    assert_eq!(exchanged["lines"], fresh["lines"], "as a hold of the same has");
    assert_eq!(sum(&exchanged), 33_333 + 40_000 + 6_000 + 3_000);
    exchange(json!({"seats": [seat("1-A-2-1", "youth")]})).await.names("seats[0].priceType");
    assert_eq!(api.user("kim", GET, &path).await.ok(200), exchanged);
    let best = exchange(json!({"bestAvailable": {"count": 1, "grade": "R", "priceTypes": {"senior": 1}}}))
        .await
        .ok(200);
    assert_eq!(sum(&best), 5_000, "seniors pay the fees alone");

    let events: Vec<Value> = feed::read(&api, 0)
        .await
        .into_iter()
        .filter(|event| event.kind == "SeatsExchanged")
        .map(|event| event.data["data"].clone())
        .collect();
    assert_eq!((&events[0]["lines"], &events[0]["priceTypes"]), (&exchanged["lines"], &json!(["youth"])));
    assert_eq!(events[0]["areas"], json!([{"areaId": "pit", "count": 2, "priceType": "adult"}]));
}

#[tokio::test]
async fn a_code_takes_off_places_and_not_fees_and_keeps_to_its_price_types() {
    let api = api().await;
    let code = json!({"discount": {"percent": 10}, "priceTypes": ["youth"]});
    api.admin(PUT, "/schedules/s/codes/young").json(&code).await.ok(201);
    let coded = |seats: Value| json!({"seats": seats, "code": "young"});
    hold(&api, "kim", coded(json!(["1-A-1-1"]))).await.refused(403, "code_invalid");
    let held = hold(&api, "kim", coded(json!([seat("1-A-1-1", "youth")]))).await.ok(201);
    assert_eq!(held["lines"][3], line("discount", "YOUNG", 1, -3_333));
    assert_eq!((sum(&held), &held["code"]), (30_000 + 5_000, &json!("YOUNG")));
    let unknown = json!({"priceTypes": ["nobody"]});
    api.admin(PUT, "/schedules/s/codes/none").json(&unknown).await.names("priceTypes");
}

#[tokio::test]
async fn prices_change_until_the_first_sale_opens_and_stand_then() {
    let api = Api::start();
    put(&api, &priced()).await;
    let mut dearer = priced();
    dearer["fees"][0]["amount"] = json!(2_500);
    dearer["grades"][0]["prices"]["youth"] = json!(30_000);
    api.admin(PUT, "/concerts/c").json(&dearer).await.ok(200);
    api.admin(POST, "/schedules/s/open").await.ok(200);
    let held = hold(&api, "kim", json!({"seats": [seat("1-A-1-1", "youth")]})).await.ok(201);
    assert_eq!(sum(&held), 30_000 + 2_500 + 3_000);

    let edits: [&dyn Fn(&mut Value); 6] = [
        &|it| it["fees"][0]["amount"] = json!(1),
        &|it| it["fees"][0]["refundable"] = json!(true),
        &|it| it["fees"] = json!([]),
        &|it| it["grades"][0]["prices"]["youth"] = json!(1),
        &|it| it["grades"][1]["prices"] = json!({"youth": 1}),
        &|it| it["priceTypes"][1]["name"] = json!("Youth"),
    ];
    for edit in edits {
        let mut changed = dearer.clone();
        edit(&mut changed);
        api.admin(PUT, "/concerts/c").json(&changed).await.refused(409, "in_use");
    }
    // What people read beside it is no price.
    let mut told = dearer.clone();
    told["priceTypes"][1]["note"] = json!("신분증");
    api.admin(PUT, "/concerts/c").json(&told).await.ok(200);
    let opened = feed::read(&api, 0).await.into_iter().find(|event| event.kind == "SalesOpened").unwrap();
    let opened = &opened.data["data"];
    assert_eq!(
        (&opened["fees"], &opened["priceTypes"][1]["prices"]),
        (&dearer["fees"], &json!({"R": 30_000, "ST": 15_000}))
    );
}

#[tokio::test]
async fn who_gives_a_reservation_back_has_what_is_refundable() {
    let api = api().await;
    charge(&api, "kim").await;
    let held = hold(&api, "kim", json!({"seats": ["1-A-1-1", "1-A-1-2"]})).await.ok(201);
    let paid = pay(&api, "kim", &held).await;
    assert_eq!(balance(&api, "kim").await, 1_000_000 - 107_000);
    let bought = api.user("kim", GET, &path_of(&held)).await.ok(200);
    assert_eq!(bought["refundAmount"], 103_000, "it says beforehand what would go back");

    let given = api.user("kim", DELETE, &path_of(&held)).await.ok(200);
    assert_eq!(
        (&given["status"], &given["amount"], &given["refundAmount"]),
        (&json!("cancelled"), &json!(107_000), &json!(103_000))
    );
    assert_eq!(balance(&api, "kim").await, 1_000_000 - 4_000, "durable before the answer");
    let back = refunded(&api, &paid).await;
    assert_eq!((&back["amount"], &back["refundAmount"]), (&json!(107_000), &json!(103_000)));
    let moved = api.user("kim", GET, "/users/kim/balance/transactions").await.ok(200);
    assert_eq!(
        (&moved["items"][0]["type"], &moved["items"][0]["amount"]),
        (&json!("refund"), &json!(103_000))
    );
    let begun = feed::read(&api, 0).await.into_iter().find(|event| event.kind == "RefundBegun").unwrap();
    let begun = &begun.data["data"];
    assert_eq!((&begun["amount"], &begun["paidAmount"]), (&json!(103_000), &json!(107_000)));

    let api = api.kill_and_restart();
    assert_eq!(balance(&api, "kim").await, 1_000_000 - 4_000);
    assert_eq!(payment(&api, &paid).await, back);
    assert_eq!(api.user("kim", DELETE, &path_of(&held)).await.ok(200), given, "repeated");
}

#[tokio::test]
async fn a_cancelled_schedule_gives_everything_back() {
    let api = api().await;
    for user in ["kim", "lee"] {
        charge(&api, user).await;
    }
    let before = hold(&api, "kim", json!({"seats": ["1-A-1-1"]})).await.ok(201);
    let kept = hold(&api, "lee", json!({"seats": ["1-A-1-2"]})).await.ok(201);
    pay(&api, "kim", &before).await;
    let paid = pay(&api, "lee", &kept).await;
    api.user("kim", DELETE, &path_of(&before)).await.ok(200);
    api.admin(POST, "/schedules/s/cancel").await.ok(200);
    let back = refunded(&api, &paid).await;
    assert!(back.get("refundAmount").is_none(), "all of it: {back}");
    assert_eq!((balance(&api, "kim").await, balance(&api, "lee").await), (998_000, 1_000_000));
    let cancelled = api.user("lee", GET, &path_of(&kept)).await.ok(200);
    assert_eq!((&cancelled["status"], &cancelled["refundAmount"]), (&json!("cancelled"), &json!(55_000)));
    let before = api.user("kim", GET, &path_of(&before)).await.ok(200);
    assert_eq!(before["refundAmount"], 53_000, "who had cancelled before keeps that answer");
}

/// A server with the mock gateway that it captures at.
struct Desk {
    api: Api,
    gateway: RunningGateway,
    client: reqwest::Client,
}

impl Desk {
    async fn open() -> Self {
        let gateway = MockGateway::start(MockConfig::default()).await.unwrap();
        let own = [
            ("ONSALE_TOSS_URL", gateway.url()),
            ("ONSALE_TOSS_SECRET", DEMO_SECRET),
            ("ONSALE_TOSS_TIMEOUT_SECONDS", "1"),
        ];
        let api = api_with(&own).await;
        Self { api, gateway, client: reqwest::Client::new() }
    }

    async fn at_gateway(&self, path: &str, body: &Value) -> Value {
        let answer =
            self.client.post(format!("{}{path}", self.gateway.url())).json(body).send().await.unwrap();
        assert!(answer.status().is_success());
        answer.json().await.unwrap()
    }

    async fn totals(&self) -> Value {
        let ledger = self.client.get(format!("{}/mock/ledger", self.gateway.url())).send().await.unwrap();
        ledger.json::<Value>().await.unwrap()["totals"].clone()
    }

    /// Holds a seat and pays for it at the gateway; returns the hold and the payment.
    async fn buy(&self, user: &str, seat: &str) -> (Value, Value) {
        let held = hold(&self.api, user, json!({"seats": [seat]})).await.ok(201);
        let body = json!({"reservationId": held["reservationId"], "method": "card"});
        let ready = self.api.user(user, POST, "/payments").key(&path_of(&held)).json(&body).await.ok(201);
        let body = json!({"orderId": ready["orderId"], "amount": ready["amount"]});
        let payment_key = self.at_gateway("/checkout", &body).await["paymentKey"].clone();
        let path = format!("/payments/{}/confirm", text(&ready["paymentId"]));
        let paid = self.api.user(user, POST, &path).json(&json!({"paymentKey": payment_key})).await.ok(200);
        (held, paid)
    }
}

#[tokio::test]
async fn a_gateway_gives_a_part_back_and_once() {
    let desk = Desk::open().await;
    let (held, paid) = desk.buy("kim", "1-A-1-1").await;
    desk.api.user("kim", DELETE, &path_of(&held)).await.ok(200);
    let back = refunded(&desk.api, &paid).await;
    assert_eq!((&back["amount"], &back["refundAmount"]), (&json!(55_000), &json!(53_000)));
    let totals = desk.totals().await;
    assert_eq!(
        (&totals["captured"], &totals["cancelled"], &totals["cancellations"]),
        (&json!(55_000), &json!(53_000), &json!(1))
    );
}

#[tokio::test]
async fn a_part_goes_back_once_though_the_gateways_answers_are_lost() {
    for fault in ["cancel/drop-after", "cancel/fail-after", "cancel/fail-before"] {
        let desk = Desk::open().await;
        let (held, paid) = desk.buy("kim", "1-A-1-1").await;
        desk.at_gateway("/mock/faults", &json!({"fault": fault, "times": 2})).await;
        desk.api.user("kim", DELETE, &path_of(&held)).await.ok(200);
        refunded(&desk.api, &paid).await;
        let totals = desk.totals().await;
        assert_eq!(
            (&totals["cancelled"], &totals["cancellations"]),
            (&json!(53_000), &json!(1)),
            "{fault}: {totals}"
        );
    }
}

#[tokio::test]
async fn a_crash_between_a_cancellation_and_its_refund_loses_nothing_of_the_part() {
    let desk = Desk::open().await;
    let (held, paid) = desk.buy("kim", "1-A-1-1").await;
    desk.at_gateway("/mock/faults", &json!({"fault": "cancel/fail-before", "times": 1_000})).await;
    desk.api.user("kim", DELETE, &path_of(&held)).await.ok(200);
    let Desk { api, gateway, client } = desk;
    let api = api.kill_and_restart();
    client.delete(format!("{}/mock/faults", gateway.url())).send().await.unwrap();
    let back = refunded(&api, &paid).await;
    assert_eq!(back["refundAmount"], 53_000);
    let desk = Desk { api, gateway, client };
    let totals = desk.totals().await;
    assert_eq!((&totals["cancelled"], &totals["cancellations"]), (&json!(53_000), &json!(1)));
}

#[tokio::test]
async fn a_refund_of_nothing_asks_no_gateway() {
    let desk = Desk::open().await;
    let code = json!({"discount": {"percent": 100}});
    desk.api.admin(PUT, "/schedules/s/codes/free").json(&code).await.ok(201);
    let mut bare = priced();
    bare["fees"] =
        json!([{"feeId": "booking", "name": "Fee", "amount": 2_000, "per": "seat", "refundable": false}]);
    desk.api.admin(PUT, "/concerts/d").json(&bare).await.ok(201);
    let policy = json!({"cancelUntilSecondsBeforeStart": 0});
    let other = with(with(schedule(), "concertId", json!("d")), "policy", policy);
    desk.api.admin(PUT, "/schedules/t").json(&other).await.ok(201);
    desk.api.admin(PUT, "/schedules/t/codes/free").json(&code).await.ok(201);
    desk.api.admin(POST, "/schedules/t/open").await.ok(200);

    let wish = json!({"scheduleId": "t", "seats": ["1-A-1-1"], "code": "free"});
    let held = desk.api.user("kim", POST, "/reservations").json(&wish).await.ok(201);
    assert_eq!(sum(&held), 2_000);
    let body = json!({"reservationId": held["reservationId"], "method": "card"});
    let ready = desk.api.user("kim", POST, "/payments").key("k").json(&body).await.ok(201);
    let body = json!({"orderId": ready["orderId"], "amount": 2_000});
    let payment_key = desk.at_gateway("/checkout", &body).await["paymentKey"].clone();
    let path = format!("/payments/{}/confirm", text(&ready["paymentId"]));
    let paid = desk.api.user("kim", POST, &path).json(&json!({"paymentKey": payment_key})).await.ok(200);
    let given = desk.api.user("kim", DELETE, &path_of(&held)).await.ok(200);
    assert_eq!(given["refundAmount"], 0);
    let back = refunded(&desk.api, &paid).await;
    assert_eq!(back["refundAmount"], 0);
    assert_eq!(desk.totals().await["cancellations"], 0);
}
