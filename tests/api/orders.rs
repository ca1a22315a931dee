//! The box office: what a clerk sells, for how much, what is told of it, and what a repeat finds.

use serde_json::{Value, json};

use crate::server::signed;
use crate::{
    Answer, Api, DELETE, GET, PATCH, POST, PUT, concert, keys_of, path_of, put_concert, schedule, seat_ids,
    text, venue, with,
};

const ORDERS: &str = "/schedules/s/orders";

/// A server with a schedule `s` whose sale is closed, in a hall whose row 1 of 4 seats is `R`, and row 2 of 3 seats `S`.
async fn closed(policy: Value) -> Api {
    let api = Api::start_with(&[("ONSALE_RATE_LIMIT", "off")]);
    put_concert(&api).await;
    api.admin(PUT, "/schedules/s").json(&with(schedule(), "policy", policy)).await.ok(201);
    api.admin(POST, "/schedules/s/open").await.ok(200);
    api.admin(POST, "/schedules/s/close").await.ok(200);
    api
}

fn clerk(name: &str) -> String {
    signed(&json!({"sub": name, "exp": 4_102_444_800_u64, "role": "box_office"}))
}

/// An order of seats of row 1, for cash.
fn cash(seats: &[u32]) -> Value {
    json!({"seats": seat_ids(seats), "payment": {"method": "cash"}})
}

impl Api {
    async fn order(&self, key: &str, body: &Value) -> Answer {
        self.public(POST, ORDERS).bearer(&clerk("carl")).key(key).json(body).await
    }

    async fn as_clerk(&self, method: reqwest::Method, path: &str) -> Answer {
        self.public(method, path).bearer(&clerk("carla")).await
    }

    /// The payment that a reservation shows, as the box office sees it.
    async fn payment_of(&self, reservation: &Value) -> Value {
        self.as_clerk(GET, &format!("/payments/{}", text(&reservation["paymentId"]))).await.ok(200)
    }

    /// Has a user of whom the engine has a record.
    async fn known(&self, user: &str) {
        let charged = json!({"amount": 10_000});
        self.admin(POST, &format!("/users/{user}/balance")).json(&charged).await.ok(201);
    }
}

/// The lines of a reservation: kind, name, count and amount.
fn lines(reservation: &Value) -> Vec<Value> {
    let of = |line: &Value| json!([line["kind"], line["name"], line["count"], line["amount"]]);
    reservation["lines"].as_array().unwrap().iter().map(of).collect()
}

#[tokio::test]
async fn a_clerk_sells_while_the_sale_is_closed_and_the_payment_is_completed() {
    let api = closed(json!({})).await;
    let mut body = cash(&[1, 2]);
    body["name"] = json!("김관객");
    body["payment"] = json!({"method": "card_terminal", "reference": "slip 7"});
    let answer = api.order("k", &body).await;
    let location = answer.header("location").to_owned();
    let order = answer.ok(201);

    assert_eq!(location, format!("/api/v1{}", path_of(&order)));
    assert_eq!(
        (&order["status"], &order["userId"], &order["name"]),
        (&json!("confirmed"), &Value::Null, &json!("김관객"))
    );
    assert_eq!((&order["amount"], &order["confirmedAt"]), (&json!(100_000), &order["createdAt"]));
    assert_eq!(lines(&order), [json!(["seat", "R", 2, 100_000])]);
    assert_eq!(api.statuses().await[..3], ["reserved", "reserved", "available"]);

    let payment = api.payment_of(&order).await;
    let told = ["status", "method", "amount", "reservationId", "completedAt", "userId", "failure", "orderId"];
    let told = told.map(|name| payment[name].clone());
    let expected = [
        json!("completed"),
        json!("card_terminal"),
        json!(100_000),
        order["reservationId"].clone(),
        order["createdAt"].clone(),
    ];
    assert_eq!(told[..5], expected);
    assert_eq!(told[5..], [Value::Null, Value::Null, Value::Null]);
    assert_eq!(payment["order"], json!({"clerkId": "carl", "reference": "slip 7", "reason": null}));

    // The box office and administrators see it, and nobody else.
    assert_eq!(api.as_clerk(GET, &path_of(&order)).await.ok(200), order);
    assert_eq!(api.admin(GET, &path_of(&order)).await.ok(200), order);
    api.user("kim", GET, &path_of(&order)).await.refused(404, "not_found");
    api.user("kim", GET, &format!("/payments/{}", text(&order["paymentId"]))).await.refused(404, "not_found");
    api.user("kim", DELETE, &path_of(&order)).await.refused(404, "not_found");
}

#[tokio::test]
async fn an_order_of_a_user_is_in_their_lists() {
    let api = closed(json!({"maxSeatsPerUser": 1, "maxSeatsPerReservation": 1})).await;
    let of_kim = with(cash(&[1, 2, 3]), "userId", json!("kim"));
    api.order("k", &of_kim).await.names("userId");
    api.known("kim").await;
    let order = api.order("k", &of_kim).await.ok(201);

    assert_eq!(order["userId"], "kim");
    assert_eq!(api.user("kim", GET, "/reservations").await.ok(200)["items"], json!([order]));
    let payments = api.user("kim", GET, "/payments?status=completed").await.ok(200);
    let payment = &payments["items"][0];
    assert_eq!((&payment["paymentId"], &payment["method"]), (&order["paymentId"], &json!("cash")));
    assert!(!keys_of(payment).contains(&"order"), "who sold it is the house's own");
    assert_eq!(
        api.user("kim", GET, &format!("/payments/{}", text(&order["paymentId"]))).await.ok(200),
        *payment
    );
    api.user("lee", GET, &path_of(&order)).await.refused(404, "not_found");

    // It counts as theirs, and they may give it back in time: by hand.
    api.admin(POST, "/schedules/s/open").await.ok(200);
    api.hold("kim", &[4]).await.refused(409, "seat_limit_exceeded");
    let cancelled = api.user("kim", DELETE, &path_of(&order)).await.ok(200);
    assert_eq!((&cancelled["status"], &cancelled["refund"]), (&json!("cancelled"), &json!("by_hand")));
    assert_eq!(
        api.user("kim", GET, "/users/kim/balance").await.ok(200)["balance"],
        10_000,
        "never the balance"
    );
}

#[tokio::test]
async fn a_suspended_user_may_have_an_order_and_a_deleted_one_is_no_user() {
    let api = closed(json!({})).await;
    api.known("kim").await;
    let of_kim = |seat: u32| with(cash(&[seat]), "userId", json!("kim"));
    for (status, seat) in [("suspended", 1), ("active", 2)] {
        api.admin(PATCH, "/users/kim").json(&json!({"status": status})).await.ok(200);
        assert_eq!(api.order(status, &of_kim(seat)).await.ok(201)["userId"], "kim");
    }
    api.admin(PATCH, "/users/kim").json(&json!({"status": "deleted"})).await.ok(200);
    api.order("deleted", &of_kim(3)).await.names("userId");
}

#[tokio::test]
async fn an_order_never_takes_what_is_not_free() {
    let api = closed(json!({})).await;
    api.admin(POST, "/schedules/s/open").await.ok(200);
    api.hold("kim", &[1]).await.ok(201);
    api.order("a", &cash(&[2])).await.ok(201);
    api.admin(POST, "/schedules/s/block").json(&json!({"seats": seat_ids(&[3])})).await.ok(200);
    for taken in [1, 2, 3] {
        let refused = api.order("b", &cash(&[taken, 4])).await.refused(409, "seat_unavailable");
        assert_eq!(refused["seats"], json!(seat_ids(&[taken])));
    }
    assert_eq!(api.statuses().await[..4], ["held", "reserved", "blocked", "available"]);
    let best =
        |count: u32| json!({"bestAvailable": {"count": count, "grade": "R"}, "payment": {"method": "cash"}});
    api.order("c", &best(2)).await.refused(409, "not_enough_seats");
    assert_eq!(api.order("c", &best(1)).await.ok(201)["seats"][0]["seatId"], "1-A-1-4");
}

#[tokio::test]
async fn an_order_for_an_allotment_takes_from_it_alone() {
    let api = closed(json!({})).await;
    let press = json!({"name": "Press", "seats": seat_ids(&[1, 2])});
    api.admin(PUT, "/schedules/s/allotments/press").json(&press).await.ok(201);
    api.order("a", &cash(&[1])).await.refused(409, "seat_unavailable");
    let of_press = |seats: &[u32]| with(cash(seats), "allotmentId", json!("press"));
    api.order("a", &of_press(&[1, 3])).await.refused(409, "seat_unavailable");
    api.order("a", &with(cash(&[1]), "allotmentId", json!("none"))).await.names("allotmentId");
    let order = api.order("a", &of_press(&[1])).await.ok(201);
    let counts = api.admin(GET, "/schedules/s/allotments/press").await.ok(200);
    assert_eq!((&counts["sold"], &counts["left"]), (&json!(1), &json!(1)));
    api.as_clerk(DELETE, &path_of(&order)).await.ok(200);
    assert_eq!(api.admin(GET, "/schedules/s/allotments/press").await.ok(200)["left"], 2);
}

#[tokio::test]
async fn a_clerk_sets_another_amount_with_a_reason() {
    let api = closed(json!({})).await;
    let set = |seat: u32, amount: u64, reason: &str| {
        let body = with(cash(&[seat]), "amount", json!(amount));
        if reason.is_empty() { body } else { with(body, "reason", json!(reason)) }
    };
    api.order("a", &set(1, 1_000, "")).await.names("reason");
    let less = api.order("a", &set(1, 20_000, "직원")).await.ok(201);
    assert_eq!(lines(&less), [json!(["seat", "R", 1, 50_000]), json!(["discount", "직원", 1, -30_000])]);
    let more = api.order("b", &set(2, 51_000, "programme")).await.ok(201);
    assert_eq!(lines(&more)[1], json!(["fee", "programme", 1, 1_000]));
    assert_eq!(api.payment_of(&more).await["amount"], 51_000);
    assert_eq!(api.payment_of(&less).await["order"]["reason"], "직원");

    let free = json!({"seats": seat_ids(&[3]), "payment": {"method": "complimentary"}});
    api.order("c", &with(with(free.clone(), "amount", json!(1)), "reason", json!("x"))).await.names("amount");
    let free = api.order("c", &free).await.ok(201);
    assert_eq!(
        (&free["amount"], &lines(&free)[1]),
        (&json!(0), &json!(["discount", "complimentary", 1, -50_000]))
    );
    let payment = api.payment_of(&free).await;
    assert_eq!((&payment["status"], &payment["method"]), (&json!("completed"), &json!("complimentary")));
    api.as_clerk(DELETE, &path_of(&free)).await.ok(200);
    assert_eq!(api.payment_of(&free).await["status"], "refunded", "there is nothing to give back");
}

#[tokio::test]
async fn what_an_order_cannot_be_is_refused_with_the_field() {
    let api = closed(json!({})).await;
    let cases = [
        (json!({"payment": {"method": "cash"}}), "seats"),
        (with(cash(&[1]), "bestAvailable", json!({"count": 1})), "bestAvailable"),
        (with(cash(&[1]), "name", json!("")), "name"),
        (with(cash(&[1]), "reason", json!("a\nb")), "reason"),
        (with(cash(&[1]), "reason", json!(" ")), "reason"),
        (with(cash(&[1]), "name", json!(" \u{3000} ")), "name"),
        (
            with(cash(&[1]), "payment", json!({"method": "cash", "reference": "x".repeat(201)})),
            "payment.reference",
        ),
        (with(cash(&[1]), "userId", json!("")), "userId"),
        (with(cash(&[1]), "allotmentId", json!("a b")), "allotmentId"),
    ];
    for (body, field) in cases {
        api.order("k", &body).await.names(field);
    }
    api.order("k", &with(cash(&[1]), "payment", json!({"method": "balance"})))
        .await
        .refused(422, "invalid_request");
    api.order("k", &with(cash(&[1]), "code", json!("FANS"))).await.refused(422, "invalid_request");
    api.order("k", &cash(&[9])).await.refused(422, "unknown_seat");
    let keyless = api.public(POST, ORDERS).bearer(&clerk("carl")).json(&cash(&[1])).await;
    keyless.refused(400, "malformed_request");
    let nowhere = api.public(POST, "/schedules/none/orders").bearer(&clerk("carl")).key("k");
    nowhere.json(&cash(&[1])).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_key_is_one_order_before_and_after_it_is_cancelled_and_after_kill_9() {
    let api = closed(json!({})).await;
    let first = api.order("k", &cash(&[1])).await.ok(201);
    let again = api.order("k", &cash(&[1])).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.ok(201), first);
    api.order("k", &cash(&[2])).await.refused(422, "idempotency_key_reused");
    // Before anything of the other body is looked at.
    let unknown = with(cash(&[1]), "seats", json!(["nowhere"]));
    api.order("k", &unknown).await.refused(422, "idempotency_key_reused");

    let api = api.kill_and_restart();
    assert_eq!(api.order("k", &cash(&[1])).await.ok(201), first);
    assert_eq!(api.as_clerk(GET, &path_of(&first)).await.ok(200), first);
    assert_eq!(api.payment_of(&first).await["status"], "completed");
    let cancelled = api.as_clerk(DELETE, &path_of(&first)).await.ok(200);
    assert_eq!((&cancelled["status"], &cancelled["refund"]), (&json!("cancelled"), &json!("by_hand")));
    assert_eq!(api.order("k", &cash(&[1])).await.ok(201), first, "the first answer, and no other order");

    let api = api.kill_and_restart();
    assert_eq!(api.order("k", &cash(&[1])).await.ok(201), first);
    assert_eq!(api.as_clerk(GET, &path_of(&first)).await.ok(200), cancelled);
    assert_eq!(api.as_clerk(DELETE, &path_of(&first)).await.ok(200), cancelled);
    assert_eq!(api.statuses().await[0], "available");
    let payment = api.payment_of(&first).await;
    let told = ["status", "refund", "refundedAt"].map(|name| payment[name].clone());
    assert_eq!(told, [json!("refunding"), json!("by_hand"), Value::Null]);
    assert_eq!(payment["failure"]["code"], "reservation_cancelled");
}

#[tokio::test]
async fn orders_stand_in_the_lists_of_payments_among_all_others() {
    let api = closed(json!({})).await;
    let first = api.order("a", &cash(&[1])).await.ok(201);
    api.admin(POST, "/schedules/s/open").await.ok(200);
    let held = api.hold("kim", &[2]).await.ok(201);
    for _ in 0..5 {
        api.known("kim").await;
    }
    let pay = json!({"reservationId": held["reservationId"], "method": "balance"});
    let paid = api.user("kim", POST, "/payments").key("p").json(&pay).await.ok(201);
    let last = api.order("b", &cash(&[3])).await.ok(201);

    let newest_first = [&last["paymentId"], &paid["paymentId"], &first["paymentId"]];
    for query in ["", "&scheduleId=s", "&status=completed"] {
        let (mut listed, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = api.admin(GET, &format!("/payments?limit=1{query}{cursor}")).await.ok(200);
            listed.extend(page["items"].as_array().unwrap().iter().map(|item| item["paymentId"].clone()));
            let Some(next) = page["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert!(listed.iter().eq(newest_first), "{query}: {listed:?}");
    }

    // Of a cancelled performance: the list of what is to be given back by hand.
    api.admin(POST, "/schedules/s/cancel").await.ok(200);
    let by_hand = api.admin(GET, "/payments?scheduleId=s&status=refunding").await.ok(200);
    let ids: Vec<&Value> =
        by_hand["items"].as_array().unwrap().iter().map(|item| &item["paymentId"]).collect();
    assert!(ids.contains(&&last["paymentId"]) && ids.contains(&&first["paymentId"]), "{ids:?}");
    let orders = by_hand["items"].as_array().unwrap().iter().filter(|item| item["method"] == "cash");
    assert!(orders.map(|item| &item["refund"]).eq(["by_hand"; 2].iter()));
    api.order("c", &cash(&[4])).await.refused(409, "schedule_not_open");
}

#[tokio::test]
async fn a_clerk_touches_orders_and_nothing_else() {
    let api = closed(json!({})).await;
    api.admin(POST, "/schedules/s/open").await.ok(200);
    let held = api.hold("kim", &[1]).await.ok(201);
    api.as_clerk(GET, &path_of(&held)).await.refused(404, "not_found");
    api.as_clerk(DELETE, &path_of(&held)).await.refused(404, "not_found");
    for _ in 0..5 {
        api.known("kim").await;
    }
    let pay = json!({"reservationId": held["reservationId"], "method": "balance"});
    let paid = api.user("kim", POST, "/payments").key("p").json(&pay).await.ok(201);
    api.as_clerk(GET, &format!("/payments/{}", text(&paid["paymentId"]))).await.refused(404, "not_found");
    api.as_clerk(DELETE, &path_of(&held)).await.refused(404, "not_found");
    assert_eq!(api.user("kim", GET, &path_of(&held)).await.ok(200)["status"], "confirmed");

    let order = api.order("k", &cash(&[2])).await.ok(201);
    let exchange = json!({"seats": seat_ids(&[3])});
    let patched = api.public(PATCH, &path_of(&order)).bearer(&clerk("carl")).json(&exchange).await;
    patched.refused(403, "forbidden");
    for (method, path) in [
        (GET, "/reservations"),
        (GET, "/payments"),
        (GET, "/schedules/s/reservations"),
        (GET, "/admin/overview"),
        (POST, "/schedules/s/close"),
        (GET, "/admin/export"),
    ] {
        api.as_clerk(method, path).await.refused(403, "forbidden");
    }
    for role in ["user", "operator", "auditor", "feed"] {
        let token = signed(&json!({"sub": "x", "exp": 4_102_444_800_u64, "role": role}));
        let refused = api.public(POST, ORDERS).bearer(&token).key("k").json(&cash(&[3])).await;
        refused.refused(403, "forbidden");
    }
    // An administrator sells, too.
    api.admin(POST, ORDERS).key("k").json(&cash(&[4])).await.ok(201);
}

#[tokio::test]
async fn who_sold_how_and_why_is_in_the_history_and_in_the_feed() {
    let api = closed(json!({})).await;
    let body = json!({"name": "김관객", "seats": seat_ids(&[1]), "amount": 1_000, "reason": "critic",
        "payment": {"method": "invoice", "reference": "2026-17"}});
    let order = api.order("k", &body).await.ok(201);
    api.as_clerk(DELETE, &path_of(&order)).await.ok(200);
    let history = api.admin(GET, "/admin/schedules/s/history?seatId=1-A-1-1").await.ok(200);
    let [cancelled, ordered] = [0, 1].map(|index| history["items"][index].clone());

    assert_eq!((&ordered["type"], &cancelled["type"]), (&json!("Ordered"), &json!("ReservationCancelled")));
    let data = &ordered["data"];
    let told =
        ["adminId", "clerkId", "method", "reference", "reason", "amount", "currency", "seats", "paymentId"];
    let told = told.map(|name| data[name].clone());
    let expected = json!([
        "carl",
        "carl",
        "invoice",
        "2026-17",
        "critic",
        1_000,
        "KRW",
        ["1-A-1-1"],
        order["paymentId"]
    ]);
    assert_eq!(json!(told), expected);
    assert_eq!((&data["userId"], &data["reservationId"]), (&Value::Null, &order["reservationId"]));
    assert!(!ordered.to_string().contains("김관객"), "a name isn't told to whoever follows");
    assert_eq!(
        (&cancelled["data"]["refund"], &cancelled["data"]["adminId"]),
        (&json!("by_hand"), &json!("carla"))
    );
}

#[tokio::test]
async fn the_door_list_names_who_comes() {
    let api = closed(json!({})).await;
    api.known("kim").await;
    let named = with(cash(&[1]), "name", json!("김관객"));
    api.order("a", &named).await.ok(201);
    api.order("b", &with(cash(&[2]), "userId", json!("kim"))).await.ok(201);
    let list = api.admin(GET, "/schedules/s/reservations?status=confirmed").await.ok(200);
    let told: Vec<Value> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| json!([item["userId"], item["name"], item["userName"]]))
        .collect();
    assert_eq!(told, [json!(["kim", null, null]), json!([null, "김관객", null])]);
}

#[tokio::test]
async fn places_of_areas_are_sold_before_the_sale_opens() {
    let api = Api::start();
    let areas = json!([{"areaId": "pit", "floor": "1", "name": "Pit", "grade": "S", "capacity": 50}]);
    api.admin(PUT, "/venues/v").json(&with(venue(), "areas", areas)).await.ok(201);
    api.admin(PUT, "/concerts/c").json(&concert()).await.ok(201);
    api.admin(PUT, "/schedules/s").json(&schedule()).await.ok(201);
    let body = json!({"seats": seat_ids(&[1]), "areas": [{"areaId": "pit", "count": 40}], "payment": {"method": "invoice"}});
    let order = api.order("k", &body).await.ok(201);
    assert_eq!((&order["amount"], &order["areas"][0]["count"]), (&json!(1_250_000), &json!(40)));
    let refused = api.order("l", &with(body, "seats", Value::Null)).await.refused(409, "not_enough_seats");
    assert_eq!(refused["areas"], json!([{"areaId": "pit", "available": 10}]));
    assert_eq!(api.public(GET, "/schedules/s").await.ok(200)["status"], "upcoming");
    // What it was sold at stands from now on.
    let mut dearer = concert();
    dearer["grades"][0]["price"] = json!(60_000);
    api.admin(PUT, "/concerts/c").json(&dearer).await.refused(409, "in_use");
    assert_eq!(api.as_clerk(GET, &path_of(&order)).await.ok(200)["amount"], 1_250_000);
}
