//! Holding seats, exchanging them, giving them back, and the deadline.

use serde_json::{Value, json};

use crate::{
    Api, DELETE, GET, PATCH, POST, PUT, hold_of, keys_of, path_of, put_concert, schedule, seat_ids, soon,
    text, with,
};

/// The keys of a reservation's document, in order.
const KEYS: [&str; 17] = [
    "amount",
    "cancelledAt",
    "concertId",
    "concertTitle",
    "confirmedAt",
    "createdAt",
    "currency",
    "expiresAt",
    "paymentId",
    "recovered",
    "reservationId",
    "scheduleId",
    "seats",
    "startsAt",
    "status",
    "userId",
    "venue",
];

async fn exchange(api: &Api, user: &str, reservation: &Value, seats: &[u32]) -> crate::Answer {
    let body = json!({"seats": seat_ids(seats)});
    api.user(user, PATCH, &path_of(reservation)).json(&body).await
}

async fn best(api: &Api, user: &str, best: Value) -> crate::Answer {
    let body = json!({"scheduleId": "s", "bestAvailable": best});
    api.user(user, POST, "/reservations").json(&body).await
}

#[tokio::test]
async fn a_hold_is_answered_with_its_document_and_where_it_is() {
    let api = Api::with_hall(4, json!({"holdSeconds": 120})).await;
    let answer = api.hold("kim", &[2, 3]).await;
    let location = answer.header("location").to_owned();
    let held = answer.ok(201);
    assert_eq!(keys_of(&held), KEYS);
    assert_eq!(location, format!("/api/v1{}", path_of(&held)));
    for (name, value) in [
        ("scheduleId", json!("s")),
        ("concertId", json!("c")),
        ("concertTitle", json!("Show")),
        ("venue", json!("Hall")),
        ("startsAt", json!("2037-01-01T10:00:00.000Z")),
        ("userId", json!("kim")),
        ("status", json!("held")),
        ("amount", json!(100_000)),
        ("currency", json!("KRW")),
        ("confirmedAt", Value::Null),
        ("cancelledAt", Value::Null),
        ("paymentId", Value::Null),
        ("recovered", json!(false)),
    ] {
        assert_eq!(held[name], value, "{name}");
    }
    let seat = |number| json!({"seatId": format!("1-A-1-{number}"), "grade": "R", "price": 50_000});
    assert_eq!(held["seats"], json!([seat(2), seat(3)]));
    assert_eq!(api.user("kim", GET, &path_of(&held)).await.ok(200), held);
    assert_eq!(api.statuses().await, ["available", "held", "held", "available"]);
}

#[tokio::test]
async fn a_reservation_is_seen_by_its_owner_and_administrators_and_is_nowhere_for_anyone_else() {
    let api = Api::with_hall(4, json!({})).await;
    let held = api.hold("kim", &[1]).await.ok(201);
    let path = path_of(&held);
    assert_eq!(api.admin(GET, &path).await.ok(200), held);
    api.user("lee", GET, &path).await.refused(404, "not_found");
    exchange(&api, "lee", &held, &[2]).await.refused(404, "not_found");
    api.user("lee", DELETE, &path).await.refused(404, "not_found");
    assert_eq!(api.user("kim", GET, &path).await.ok(200), held, "nothing of it had an effect");
    let id = text(&held["reservationId"]);
    let last = if id.ends_with('a') { 'b' } else { 'a' };
    for wrong in ["x", &format!("{id}0"), &format!("{}{last}", &id[..id.len() - 1]), "%20"] {
        for method in [GET, DELETE] {
            api.user("kim", method, &format!("/reservations/{wrong}")).await.refused(404, "not_found");
        }
    }
    assert_eq!(
        api.admin(DELETE, &path).await.ok(200)["status"],
        "released",
        "an administrator's, and anyone's"
    );
}

#[tokio::test]
async fn taken_seats_are_all_named_and_none_is_held() {
    let api = Api::with_hall(6, json!({})).await;
    api.hold("kim", &[2, 4]).await.ok(201);
    let problem = api.hold("lee", &[1, 2, 3, 4]).await.refused(409, "seat_unavailable");
    assert_eq!(problem["seats"], json!(seat_ids(&[2, 4])));
    assert_eq!(api.statuses().await, ["available", "held", "available", "held", "available", "available"]);
    let own = api.hold("kim", &[4]).await.refused(409, "seat_unavailable");
    assert_eq!(own["seats"], json!(seat_ids(&[4])), "one's own seats are taken, too");
}

#[tokio::test]
async fn what_cannot_be_held_is_refused_with_the_field_or_the_seats() {
    let api = Api::with_hall(10, json!({"maxSeatsPerReservation": 3, "maxSeatsPerUser": 3})).await;
    let hold = |body: Value| {
        let call = api.user("kim", POST, "/reservations").json(&body);
        async move { call.await }
    };
    api.hold("kim", &[]).await.names("seats");
    api.hold("kim", &[1, 2, 1]).await.names("seats[2]");
    api.hold("kim", &[1, 2, 3, 4]).await.names("seats");
    hold(json!({"scheduleId": "s"})).await.refused(422, "invalid_request");
    let both = json!({"scheduleId": "s", "seats": ["1-A-1-1"], "bestAvailable": {"count": 1}});
    hold(both).await.refused(422, "invalid_request");
    hold(json!({"seats": ["1-A-1-1"]})).await.names("scheduleId");
    hold(json!({"scheduleId": "s", "seats": "1-A-1-1"})).await.names("seats");
    hold(json!({"scheduleId": "s", "seats": ["1-A-1-1", 7]})).await.names("seats[1]");
    best(&api, "kim", json!({"count": 0})).await.names("bestAvailable.count");
    best(&api, "kim", json!({"count": 4})).await.names("bestAvailable.count");
    best(&api, "kim", json!({})).await.names("bestAvailable.count");
    best(&api, "kim", json!({"count": 1, "grade": "Z"})).await.names("bestAvailable.grade");
    let problem = api.hold("kim", &[1, 11, 12]).await.refused(422, "unknown_seat");
    assert_eq!(problem["seats"], json!(seat_ids(&[11, 12])), "every unknown seat is named, and no other");
    hold(json!({"scheduleId": "none", "seats": ["1-A-1-1"]})).await.refused(404, "not_found");
    hold(json!([1])).await.refused(422, "invalid_request");
    assert_eq!(api.statuses().await, ["available"; 10]);
}

#[tokio::test]
async fn a_user_has_so_many_seats_of_a_schedule_and_gets_more_when_some_are_given_back() {
    let api = Api::with_hall(10, json!({"maxSeatsPerReservation": 3, "maxSeatsPerUser": 4})).await;
    let first = api.hold("kim", &[1, 2, 3]).await.ok(201);
    api.hold("kim", &[4, 5]).await.refused(409, "seat_limit_exceeded");
    let second = api.hold("kim", &[4]).await.ok(201);
    exchange(&api, "kim", &second, &[4, 5]).await.refused(409, "seat_limit_exceeded");
    exchange(&api, "kim", &second, &[5]).await.ok(200);
    api.hold("lee", &[6, 7, 8]).await.ok(201);
    api.user("kim", DELETE, &path_of(&first)).await.ok(200);
    api.hold("kim", &[1, 2, 3]).await.ok(201);
}

#[tokio::test]
async fn the_best_available_are_of_the_best_grade_together_and_only_if_there_are_enough() {
    let api = Api::start();
    put_concert(&api).await;
    api.admin(PUT, "/schedules/s").json(&schedule()).await.ok(201);
    api.admin(POST, "/schedules/s/open").await.ok(200);
    let found = best(&api, "kim", json!({"count": 2})).await.ok(201);
    let numbers: Vec<u64> = found["seats"]
        .as_array()
        .unwrap()
        .iter()
        .map(|seat| {
            assert_eq!(seat["grade"], "R", "grades stand from best to least");
            text(&seat["seatId"]).rsplit('-').next().unwrap().parse().unwrap()
        })
        .collect();
    assert_eq!(numbers[0].abs_diff(numbers[1]), 1, "{found}");
    let narrowed = best(&api, "lee", json!({"count": 3, "grade": "S"})).await.ok(201);
    assert!(narrowed["seats"].as_array().unwrap().iter().all(|seat| seat["grade"] == "S"));
    assert_eq!(narrowed["amount"], 90_000);
    best(&api, "park", json!({"count": 1, "grade": "S"})).await.refused(409, "not_enough_seats");
    best(&api, "park", json!({"count": 3})).await.refused(409, "not_enough_seats");
    best(&api, "park", json!({"count": 2})).await.ok(201);
    best(&api, "choi", json!({"count": 1})).await.refused(409, "not_enough_seats");
}

#[tokio::test]
async fn where_orphans_are_prevented_no_single_seat_is_left_between_taken_ones() {
    let policy = json!({"preventOrphanSeats": true});
    let api = Api::with_hall(7, policy).await;
    api.hold("kim", &[1]).await.ok(201);
    let problem = api.hold("lee", &[3]).await.refused(409, "orphan_seat");
    assert_eq!(problem["seats"], json!(seat_ids(&[2])), "the seat that would be left alone is named");
    assert_eq!(api.statuses().await.iter().filter(|status| *status == "held").count(), 1);
    let held = api.hold("lee", &[2]).await.ok(201);
    exchange(&api, "lee", &held, &[3]).await.refused(409, "orphan_seat");
    exchange(&api, "lee", &held, &[4]).await.ok(200);
    let free = Api::with_hall(7, json!({})).await;
    free.hold("kim", &[1]).await.ok(201);
    free.hold("lee", &[3]).await.ok(201);
}

#[tokio::test]
async fn an_exchange_has_the_new_seats_or_keeps_the_old_and_never_moves_the_deadline() {
    let api = Api::with_hall(8, json!({"maxSeatsPerReservation": 3})).await;
    let held = api.hold("kim", &[1, 2]).await.ok(201);
    api.hold("lee", &[5]).await.ok(201);
    let problem = exchange(&api, "kim", &held, &[2, 4, 5]).await.refused(409, "seat_unavailable");
    assert_eq!(problem["seats"], json!(seat_ids(&[5])), "the caller's own seats aren't taken");
    assert_eq!(api.user("kim", GET, &path_of(&held)).await.ok(200), held, "the old seats are kept");
    let exchanged = exchange(&api, "kim", &held, &[2, 3, 4]).await.ok(200);
    assert_eq!(exchanged["amount"], 150_000);
    let ids: Vec<String> =
        exchanged["seats"].as_array().unwrap().iter().map(|seat| text(&seat["seatId"])).collect();
    assert_eq!(ids, seat_ids(&[2, 3, 4]));
    let unchanged = |document: Value| with(with(document, "seats", Value::Null), "amount", Value::Null);
    assert_eq!(
        unchanged(exchanged.clone()),
        unchanged(held.clone()),
        "nothing else moves, the deadline least"
    );
    let statuses = api.statuses().await;
    assert_eq!(statuses[..6], ["available", "held", "held", "held", "held", "available"]);
    assert_eq!(
        exchange(&api, "kim", &held, &[2, 3, 4]).await.ok(200),
        exchanged,
        "the same again is no change"
    );
    exchange(&api, "kim", &held, &[]).await.names("seats");
    exchange(&api, "kim", &held, &[1, 1]).await.names("seats[1]");
    exchange(&api, "kim", &held, &[1, 2, 3, 4]).await.names("seats");
    exchange(&api, "kim", &held, &[9]).await.refused(422, "unknown_seat");
    api.user("kim", DELETE, &path_of(&held)).await.ok(200);
    exchange(&api, "kim", &held, &[1]).await.refused(409, "reservation_not_held");
}

#[tokio::test]
async fn giving_a_hold_back_frees_its_seats_and_doing_it_again_is_the_same() {
    let api = Api::with_hall(4, json!({})).await;
    let held = api.hold("kim", &[1, 2]).await.ok(201);
    let released = api.user("kim", DELETE, &path_of(&held)).await.ok(200);
    assert_eq!(released, with(held.clone(), "status", json!("released")));
    api.hold("lee", &[1]).await.ok(201);
    assert_eq!(api.user("kim", DELETE, &path_of(&held)).await.ok(200), released);
    assert_eq!(api.user("kim", GET, &path_of(&held)).await.ok(200), released);
    assert_eq!(
        api.statuses().await,
        ["held", "available", "available", "available"],
        "of lee nothing is freed"
    );
}

#[tokio::test]
async fn from_its_deadline_on_a_hold_is_over_for_every_request_and_before_it_for_none() {
    let api = Api::with_hall(2, json!({"holdSeconds": 1})).await;
    let held = api.hold("kim", &[1]).await.ok(201);
    let next = soon(async {
        loop {
            let answer = api.hold("lee", &[1]).await;
            if answer.status == 201 {
                break answer.ok(201);
            }
            answer.refused(409, "seat_unavailable");
        }
    })
    .await;
    assert!(text(&next["createdAt"]) >= text(&held["expiresAt"]), "{held} {next}");
    let expired = api.user("kim", GET, &path_of(&held)).await.ok(200);
    assert_eq!(expired, with(held.clone(), "status", json!("expired")));
    exchange(&api, "kim", &held, &[2]).await.refused(409, "reservation_expired");
    api.user("kim", DELETE, &path_of(&held)).await.refused(409, "reservation_not_held");
    let listed = api.user("kim", GET, "/reservations?status=expired").await.ok(200);
    assert_eq!(listed["items"], json!([expired]));
    api.hold("kim", &[2]).await.ok(201);
    let metrics = String::from_utf8(api.root(GET, "/metrics").await.bytes).unwrap();
    let ends = "onsale_decisions_total{command=\"expire\",outcome=\"done\"} 1\n";
    assert!(metrics.contains(ends), "{metrics}");
}

#[tokio::test]
async fn where_there_is_a_waiting_room_a_hold_needs_a_pass() {
    let api = Api::with_hall(4, json!({})).await;
    let standing = api.hold("kim", &[1]).await.ok(201);
    let with_queue = with(schedule(), "policy", json!({"queue": {"maxActive": 10}}));
    api.admin(PUT, "/schedules/s").json(&with_queue).await.ok(200);
    let hold = || api.user("kim", POST, "/reservations").json(&hold_of(&[2]));
    hold().await.refused(403, "queue_token_required");
    hold().header("queue-token", "forged").await.refused(401, "queue_token_invalid");
    let body = json!({"seats": seat_ids(&[2])});
    let exchange = || api.user("kim", PATCH, &path_of(&standing)).json(&body);
    exchange().await.refused(403, "queue_token_required");
    exchange().header("queue-token", "forged").await.refused(401, "queue_token_invalid");
    api.public(GET, "/schedules/s/seats").await.ok(200);
    let released = api.user("kim", DELETE, &path_of(&standing)).await.ok(200);
    assert_eq!(released["status"], "released", "to give back needs none");
    api.admin(PUT, "/schedules/s").json(&schedule()).await.ok(200);
    hold().await.ok(201);
}

#[tokio::test]
async fn of_many_who_want_the_same_seats_at_once_each_seat_has_one_owner() {
    let api = Api::with_hall(12, json!({"maxSeatsPerUser": 2})).await;
    let fans = (0_u32..48).map(|fan| {
        let api = &api;
        async move {
            let first = fan % 11 + 1;
            api.hold(&format!("fan-{fan}"), &[first, first + 1]).await
        }
    });
    let mut owned = std::collections::BTreeMap::new();
    for answer in futures_util::future::join_all(fans).await {
        if answer.status != 201 {
            let problem = answer.refused(409, "seat_unavailable");
            assert!(!problem["seats"].as_array().unwrap().is_empty());
            continue;
        }
        let held = answer.ok(201);
        for seat in held["seats"].as_array().unwrap() {
            let before = owned.insert(text(&seat["seatId"]), text(&held["userId"]));
            assert_eq!(before, None, "{seat}");
        }
    }
    let map = api.public(GET, "/schedules/s/seats?status=held").await.ok(200);
    let mut held: Vec<String> =
        map["seats"].as_array().unwrap().iter().map(|seat| text(&seat["seatId"])).collect();
    held.sort_unstable();
    assert_eq!(held, owned.into_keys().collect::<Vec<_>>());
}

#[tokio::test]
async fn ids_and_cursors_say_nothing_of_how_many_were_made() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use onsale::domain::ids::{PaymentId, ReservationId, SEALED, SEALED_BY_AES, TransactionId};

    /// All that a text says of its number without the log's secret.
    const HIDDEN: u32 = SEALED | SEALED_BY_AES;

    let api = Api::with_hall(6, json!({"maxSeatsPerUser": 6})).await;
    let charge = json!({"amount": 1_000_000});
    let charged = api.admin(POST, "/users/kim/balance").json(&charge).await.ok(201);
    let transaction = TransactionId::parse(&text(&charged["transactionId"])).unwrap();
    assert_eq!(transaction.number, HIDDEN);
    let mut held = Vec::new();
    for seat in 1..=3 {
        let reservation = api.hold("kim", &[seat]).await.ok(201);
        let id = text(&reservation["reservationId"]);
        assert_eq!(ReservationId::parse(&id).unwrap().number.0, HIDDEN);
        assert_eq!(api.user("kim", GET, &path_of(&reservation)).await.ok(200), reservation);
        let body = json!({"reservationId": id, "method": "balance"});
        let paid = api.user("kim", POST, "/payments").key(&id).json(&body).await.ok(201);
        let payment = text(&paid["paymentId"]);
        assert_eq!(PaymentId::parse(&payment).unwrap().number.0, HIDDEN);
        api.user("kim", GET, &format!("/payments/{payment}")).await.ok(200);
        held.push(id);
    }
    // The lists go on where they were, and their cursors tell as little.
    for (path, name) in [("/reservations", "reservationId"), ("/payments", "paymentId")] {
        let mut cursor = String::new();
        let mut found = Vec::new();
        loop {
            let page = api.user("kim", GET, &format!("{path}?limit=1{cursor}")).await.ok(200);
            found.extend(page["items"].as_array().unwrap().iter().map(|item| text(&item[name])));
            let Some(next) = page["nextCursor"].as_str() else { break };
            let bytes = URL_SAFE_NO_PAD.decode(next).unwrap();
            let number = u32::from_be_bytes(*bytes.last_chunk().unwrap());
            assert!(!(1..=100).contains(&(number & !SEALED)), "{number}");
            cursor = format!("&cursor={next}");
        }
        assert_eq!(found.len(), 3, "{path}");
        if name == "reservationId" {
            found.reverse();
            assert_eq!(found, held);
        }
    }
    // An id with another number, or none, leads nowhere.
    let id = ReservationId::parse(&held[0]).unwrap();
    let plain = ReservationId { number: onsale::domain::ids::ReservationNumber(1), ..id };
    api.user("kim", GET, &format!("/reservations/{plain}")).await.refused(404, "not_found");
}

#[tokio::test]
async fn whoever_lets_holds_end_unpaid_again_and_again_is_told_to_wait() {
    let api = Api::start_with(&[("ONSALE_LIMITS_UNPAID_HOLDS_PER_HOUR", "2")]);
    api.server.prepare(6, json!({})).await;
    let keyed = || api.user("kim", POST, "/reservations").key("k").json(&hold_of(&[1]));
    let first = keyed().await.ok(201);
    api.user("kim", DELETE, &path_of(&first)).await.ok(200);
    let second = api.hold("kim", &[1]).await.ok(201);
    api.user("kim", DELETE, &path_of(&second)).await.ok(200);
    let refused = api.hold("kim", &[2]).await;
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((3_000..=3_600).contains(&wait), "{wait}");
    refused.refused(429, "rate_limited");
    assert_eq!(keyed().await.ok(201), first, "what was answered stays answered");
    api.hold("lee", &[2]).await.ok(201);
}
