//! Schedules: their policy, how a sale opens and closes, seats off sale, cancelling, free dates.

use serde_json::{Value, json};

use crate::{
    Answer, Api, DELETE, GET, POST, PUT, from_now, hold_of, keys_of, path_of, put_concert, schedule,
    seat_ids, soon, text, with,
};

/// Puts the schedule `s` of [`crate::concert`], with changed members.
async fn put_schedule(api: &Api, members: &[(&str, Value)]) -> Answer {
    let document =
        members.iter().fold(schedule(), |document, (name, value)| with(document, name, value.clone()));
    api.admin(PUT, "/schedules/s").json(&document).await
}

async fn status(api: &Api) -> String {
    text(&api.public(GET, "/schedules/s").await.ok(200)["status"])
}

#[tokio::test]
async fn a_schedule_is_put_with_the_policys_defaults_and_shows_its_counts() {
    let api = Api::start();
    put_concert(&api).await;
    put_schedule(&api, &[]).await.ok(201);
    let read = api.public(GET, "/schedules/s").await.ok(200);
    assert_eq!(
        (&read["scheduleId"], &read["concertId"], &read["status"]),
        (&json!("s"), &json!("c"), &json!("upcoming"))
    );
    assert_eq!(read["startsAt"], "2037-01-01T10:00:00.000Z");
    let defaults = json!({"holdSeconds": 300, "maxSeatsPerReservation": 4, "maxSeatsPerUser": 4, "paymentSeconds": 60,
        "cancelUntilSecondsBeforeStart": 86_400, "preventOrphanSeats": false, "recoveryGraceSeconds": 900, "queue": null});
    assert_eq!(read["policy"], defaults);
    for (of, count) in [("available", 7), ("held", 0), ("reserved", 0), ("blocked", 0)] {
        assert_eq!(read["seats"][of], count, "{of}");
    }
    put_schedule(&api, &[("policy", json!({"queue": {}}))]).await.ok(200);
    let queue = json!({"maxActive": 100, "admitPerMinute": null, "activeSeconds": 1800, "claimSeconds": 120,
        "idleSeconds": 120, "waitingSeconds": 3600, "order": "fifo", "opensAt": null});
    assert_eq!(api.public(GET, "/schedules/s").await.ok(200)["policy"], with(defaults, "queue", queue));
}

#[tokio::test]
async fn times_and_policy_may_change_and_the_concert_may_not() {
    let api = Api::start();
    put_concert(&api).await;
    api.admin(PUT, "/concerts/d").json(&crate::concert()).await.ok(201);
    let casting = json!({"charlie": "김호영", "lola": ["강홍석", "최재림"]});
    put_schedule(&api, &[]).await.ok(201);
    let members = [
        ("startsAt", json!("2037-01-01T11:00:00+09:00")),
        ("casting", casting.clone()),
        ("policy", json!({"holdSeconds": 7})),
    ];
    put_schedule(&api, &members).await.ok(200);
    let read = api.public(GET, "/schedules/s").await.ok(200);
    assert_eq!(read["startsAt"], "2037-01-01T02:00:00.000Z", "instants are shown in UTC");
    assert_eq!((&read["casting"], &read["policy"]["holdSeconds"]), (&casting, &json!(7)));
    put_schedule(&api, &[("concertId", json!("d"))]).await.refused(409, "in_use");
}

#[tokio::test]
async fn what_a_schedule_cannot_be_is_refused_with_the_field() {
    let api = Api::start();
    put_concert(&api).await;
    for name in ["concertId", "startsAt", "endsAt"] {
        put_schedule(&api, &[(name, Value::Null)]).await.names(name);
    }
    put_schedule(&api, &[("concertId", json!("none"))]).await.names("concertId");
    for wrong in [json!("2037-01-01"), json!("2037-01-01T10:00:00"), json!("tomorrow"), json!(2_114_416_800)]
    {
        put_schedule(&api, &[("startsAt", wrong)]).await.names("startsAt");
    }
    put_schedule(&api, &[("endsAt", json!("2037-01-01T09:59:59.999Z"))]).await.names("endsAt");
    let policies = [
        ("holdSeconds", json!(0)),
        ("holdSeconds", json!(-1)),
        ("holdSeconds", json!(1.5)),
        ("holdSeconds", json!("300")),
        ("maxSeatsPerReservation", json!(0)),
        ("maxSeatsPerUser", json!(0)),
        ("paymentSeconds", json!(0)),
        ("preventOrphanSeats", json!("yes")),
        ("queue", json!({"maxActive": 0})),
        ("queue", json!({"order": "random"})),
    ];
    for (name, wrong) in policies {
        let mut policy = json!({});
        policy[name] = wrong.clone();
        let problem = put_schedule(&api, &[("policy", policy)]).await.refused(422, "invalid_request");
        let field = problem["errors"][0]["field"].as_str().unwrap();
        assert!(field.starts_with(&format!("policy.{name}")), "{name} {wrong}: {field}");
    }
    api.public(GET, "/schedules/s").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_sale_opens_closes_opens_again_and_is_cancelled_for_good() {
    let api = Api::start();
    put_concert(&api).await;
    put_schedule(&api, &[]).await.ok(201);
    let to = async |step: &str| api.admin(POST, &format!("/schedules/s/{step}")).await;
    api.hold("kim", &[1]).await.refused(409, "schedule_not_open");
    to("close").await.refused(409, "invalid_transition");
    for (step, becomes) in [("open", "open"), ("close", "closed"), ("open", "open")] {
        for _ in 0..2 {
            assert_eq!(to(step).await.ok(200)["status"], becomes, "doing it again is 200");
            assert_eq!(status(&api).await, becomes);
        }
    }
    let first = api.hold("kim", &[1]).await.ok(201);
    to("close").await.ok(200);
    api.hold("lee", &[2]).await.refused(409, "schedule_not_open");
    let other = json!({"seats": seat_ids(&[2])});
    api.user("kim", crate::PATCH, &path_of(&first)).json(&other).await.refused(409, "schedule_not_open");
    assert_eq!(api.user("kim", GET, &path_of(&first)).await.ok(200)["status"], "held", "a live hold goes on");
    for _ in 0..2 {
        assert_eq!(to("cancel").await.ok(200)["status"], "cancelled");
    }
    assert_eq!(api.statuses().await, ["available"; 7], "holds are released at once");
    let after = api.user("kim", GET, &path_of(&first)).await.ok(200);
    assert!(["released", "cancelled"].contains(&after["status"].as_str().unwrap()), "{after}");
    to("open").await.refused(409, "invalid_transition");
    to("close").await.refused(409, "invalid_transition");
    api.hold("lee", &[2]).await.refused(409, "schedule_not_open");
    api.admin(POST, "/schedules/none/open").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_sale_opens_by_itself_at_its_instant_and_not_before() {
    let api = Api::start();
    put_concert(&api).await;
    let opens_at = from_now(1_500);
    put_schedule(&api, &[("salesOpenAt", json!(opens_at))]).await.ok(201);
    assert_eq!(status(&api).await, "upcoming");
    let held = soon(async {
        loop {
            let answer = api.hold("kim", &[1]).await;
            if answer.status == 201 {
                break answer.ok(201);
            }
            answer.refused(409, "schedule_not_open");
        }
    })
    .await;
    assert!(text(&held["createdAt"]) >= opens_at, "{held}");
    assert_eq!(status(&api).await, "open");
}

#[tokio::test]
async fn a_sale_closes_by_itself_at_its_instant_and_does_not_open_after_it() {
    let api = Api::start();
    put_concert(&api).await;
    let closes_at = from_now(1_500);
    put_schedule(&api, &[("salesCloseAt", json!(closes_at))]).await.ok(201);
    api.admin(POST, "/schedules/s/open").await.ok(200);
    let mut last = String::new();
    soon(async {
        loop {
            let answer = api.hold("kim", &[1]).await;
            if answer.status != 201 {
                answer.refused(409, "schedule_not_open");
                break;
            }
            let held = answer.ok(201);
            last = text(&held["createdAt"]);
            api.user("kim", DELETE, &path_of(&held)).await.ok(200);
        }
    })
    .await;
    assert!(!last.is_empty() && last < closes_at, "{last} {closes_at}");
    assert_eq!(status(&api).await, "closed");
    api.admin(POST, "/schedules/s/open").await.refused(409, "invalid_transition");
    put_schedule(&api, &[]).await.ok(200);
    assert_eq!(
        api.admin(POST, "/schedules/s/open").await.ok(200)["status"],
        "open",
        "with a later end it does"
    );
}

#[tokio::test]
async fn a_sale_ends_when_the_performance_begins() {
    let api = Api::start();
    put_concert(&api).await;
    let times =
        [("startsAt", json!("2020-01-01T10:00:00.000Z")), ("endsAt", json!("2020-01-01T12:00:00.000Z"))];
    put_schedule(&api, &times).await.ok(201);
    api.admin(POST, "/schedules/s/open").await.refused(409, "invalid_transition");
}

#[tokio::test]
async fn seats_are_taken_off_sale_and_put_back_all_or_none() {
    let api = Api::with_hall(6, json!({})).await;
    let held = api.hold("kim", &[2, 3]).await.ok(201);
    let put = |route: &'static str, seats: &'static [u32]| {
        let body = json!({"seats": seat_ids(seats)});
        let call = api.admin(POST, &format!("/schedules/s/{route}")).json(&body);
        async move { call.await }
    };
    let problem = put("block", &[1, 2, 3]).await.refused(409, "seat_unavailable");
    assert_eq!(problem["seats"], json!(seat_ids(&[2, 3])), "each that isn't available is named");
    assert_eq!(api.statuses().await[0], "available", "none is blocked when one cannot be");
    let shown = put("block", &[1, 5]).await.ok(200);
    assert_eq!((&shown["seats"]["blocked"], &shown["seats"]["available"]), (&json!(2), &json!(2)));
    assert_eq!(api.statuses().await, ["blocked", "held", "held", "available", "blocked", "available"]);
    let problem = api.hold("lee", &[4, 5]).await.refused(409, "seat_unavailable");
    assert_eq!(problem["seats"], json!(seat_ids(&[5])));
    put("unblock", &[1, 2]).await.refused(409, "seat_unavailable");
    assert_eq!(api.statuses().await[0], "blocked", "none is put back when one cannot be");
    put("unblock", &[1, 5]).await.ok(200);
    api.hold("lee", &[4, 5]).await.ok(201);
    for route in ["block", "unblock"] {
        put(route, &[]).await.names("seats");
        put(route, &[6, 6]).await.names("seats[1]");
        let problem = put(route, &[6, 7, 8]).await.refused(422, "unknown_seat");
        assert_eq!(problem["seats"], json!(seat_ids(&[7, 8])));
    }
    api.user("kim", DELETE, &path_of(&held)).await.ok(200);
    put("block", &[1, 2, 3]).await.ok(200);
}

#[tokio::test]
async fn available_dates_are_days_of_the_venue_with_an_open_schedule_and_a_seat_left() {
    let api = Api::start();
    put_concert(&api).await;
    api.admin(PUT, "/concerts/d").json(&crate::concert()).await.ok(201);
    // 16:00 in UTC is one o'clock of the next day in Seoul.
    for (id, concert, starts_at) in [
        ("s", "c", "2037-01-01T16:00:00.000Z"),
        ("t", "c", "2037-01-02T05:00:00.000Z"),
        ("u", "d", "2037-01-05T14:59:59.999Z"),
        ("w", "d", "2037-02-01T00:00:00.000Z"),
    ] {
        let document = with(with(schedule(), "concertId", json!(concert)), "startsAt", json!(starts_at));
        let document = with(document, "endsAt", json!("2037-03-01T00:00:00.000Z"));
        let policy = json!({"maxSeatsPerReservation": 7, "maxSeatsPerUser": 7});
        api.admin(PUT, &format!("/schedules/{id}")).json(&with(document, "policy", policy)).await.ok(201);
    }
    let dates = async |query: &str| {
        let answer = api.public(GET, &format!("/concerts/available-dates{query}")).await.ok(200);
        assert_eq!(keys_of(&answer), ["dates"]);
        answer["dates"].clone()
    };
    assert_eq!(dates("").await, json!([]));
    for id in ["s", "t", "u"] {
        api.admin(POST, &format!("/schedules/{id}/open")).await.ok(200);
    }
    assert_eq!(dates("").await, json!(["2037-01-02", "2037-01-05"]));
    assert_eq!(dates("?concertId=d").await, json!(["2037-01-05"]));
    assert_eq!(dates("?concertId=none").await, json!([]));
    let all = json!({"scheduleId": "u", "bestAvailable": {"count": 7}});
    let hold = api.user("kim", POST, "/reservations").json(&all).await.ok(201);
    assert_eq!(dates("").await, json!(["2037-01-02"]), "no seat is left");
    api.user("kim", DELETE, &path_of(&hold)).await.ok(200);
    assert_eq!(dates("").await, json!(["2037-01-02", "2037-01-05"]));
    api.admin(POST, "/schedules/u/close").await.ok(200);
    api.admin(POST, "/schedules/s/cancel").await.ok(200);
    assert_eq!(dates("").await, json!(["2037-01-02"]), "the other schedule of that day goes on");
}

#[tokio::test]
async fn the_schedules_of_a_concert_come_in_order_of_their_start() {
    let api = Api::start();
    put_concert(&api).await;
    for (id, starts_at) in
        [("a", "2037-03-01"), ("b", "2037-01-01"), ("x", "2037-02-01"), ("k", "2037-01-01")]
    {
        let document = with(schedule(), "startsAt", json!(format!("{starts_at}T10:00:00.000Z")));
        let document = with(document, "endsAt", json!(format!("{starts_at}T12:00:00.000Z")));
        api.admin(PUT, &format!("/schedules/{id}")).json(&document).await.ok(201);
    }
    let mut seen = Vec::new();
    let mut query = "?limit=1".to_owned();
    loop {
        let page = api.public(GET, &format!("/concerts/c/schedules{query}")).await.ok(200);
        seen.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        query = format!("?limit=1&cursor={cursor}");
    }
    let starts: Vec<String> = seen.iter().map(|schedule| text(&schedule["startsAt"])).collect();
    assert!(starts.is_sorted() && starts.len() == 4, "{starts:?}");
    assert_eq!(api.public(GET, "/concerts/c/schedules").await.ok(200)["items"], json!(seen));
    assert_eq!(
        seen[0],
        api.public(GET, &format!("/schedules/{}", text(&seen[0]["scheduleId"]))).await.ok(200)
    );
}

#[tokio::test]
async fn a_hold_lasts_as_long_as_the_policy_said_when_it_was_made() {
    let api = Api::with_hall(4, json!({"holdSeconds": 100})).await;
    let hold = api.hold("kim", &[1]).await.ok(201);
    let lifetime = |hold: &Value| {
        let at = |name: &str| text(&hold[name]).parse::<jiff::Timestamp>().unwrap().as_millisecond();
        at("expiresAt") - at("createdAt")
    };
    assert_eq!(lifetime(&hold), 100_000);
    let document = with(schedule(), "policy", json!({"holdSeconds": 200}));
    api.admin(PUT, "/schedules/s").json(&document).await.ok(200);
    assert_eq!(api.user("kim", GET, &path_of(&hold)).await.ok(200)["expiresAt"], hold["expiresAt"]);
    let body = hold_of(&[2]);
    assert_eq!(lifetime(&api.user("lee", POST, "/reservations").json(&body).await.ok(201)), 200_000);
}

#[tokio::test]
async fn a_sale_that_opened_by_itself_has_its_prices_for_good() {
    let api = Api::start();
    put_concert(&api).await;
    put_schedule(&api, &[("salesOpenAt", json!("2020-01-01T00:00:00.000Z"))]).await.ok(201);
    let mut cheaper = crate::concert();
    cheaper["grades"][0]["price"] = json!(1);
    api.admin(PUT, "/concerts/c").json(&cheaper).await.refused(409, "in_use");
    assert_eq!(status(&api).await, "open");
    assert_eq!(api.hold("kim", &[1]).await.ok(201)["amount"], 50_000);
}

#[tokio::test]
async fn numbers_and_instants_at_the_ends_of_their_ranges_are_refused_or_kept_and_nothing_breaks() {
    let api = Api::start();
    put_concert(&api).await;
    let policy_of = |name: &str, value: &Value| {
        let mut policy = json!({});
        policy[name] = value.clone();
        [("policy", policy)]
    };
    for name in ["holdSeconds", "paymentSeconds", "cancelUntilSecondsBeforeStart", "recoveryGraceSeconds"] {
        for value in [json!(u64::MAX), json!(i64::MAX), json!(1e300)] {
            put_schedule(&api, &policy_of(name, &value)).await.names(&format!("policy.{name}"));
        }
    }
    for name in ["maxSeatsPerReservation", "maxSeatsPerUser"] {
        for value in [json!(u64::MAX), json!(i64::MIN)] {
            put_schedule(&api, &policy_of(name, &value)).await.names(&format!("policy.{name}"));
        }
    }
    for wrong in
        ["1969-12-31T23:59:59.999Z", "+12000-01-01T00:00:00Z", "2037-02-30T00:00:00Z", "2037-01-01T25:00:00Z"]
    {
        put_schedule(&api, &[("startsAt", json!(wrong))]).await.names("startsAt");
    }
    let last = [("startsAt", json!("9999-12-01T00:00:00Z")), ("endsAt", json!("9999-12-01T01:00:00Z"))];
    put_schedule(&api, &last).await.ok(201);
    api.admin(POST, "/schedules/s/open").await.ok(200);
    for count in [json!(u64::MAX), json!(u32::MAX), json!(-1), json!(1.5)] {
        let body = json!({"scheduleId": "s", "bestAvailable": {"count": count}});
        api.user("kim", POST, "/reservations").json(&body).await.names("bestAvailable.count");
    }
    assert_eq!(api.public(GET, "/concerts/available-dates").await.ok(200)["dates"], json!(["9999-12-01"]));
    api.hold("kim", &[1]).await.ok(201);
}

#[tokio::test]
async fn a_schedule_that_was_removed_and_put_again_is_another() {
    let api = Api::with_hall(4, json!({})).await;
    let held = api.hold("kim", &[1]).await.ok(201);
    api.user("kim", DELETE, &path_of(&held)).await.ok(200);
    api.admin(DELETE, "/schedules/s").await.ok(204);
    put_schedule(&api, &[]).await.ok(201);
    assert_eq!(status(&api).await, "upcoming");
    api.admin(POST, "/schedules/s/open").await.ok(200);
    api.user("kim", GET, &path_of(&held)).await.refused(404, "not_found");
    let again = api.hold("kim", &[1]).await.ok(201);
    assert_ne!(again["reservationId"], held["reservationId"]);
    let api = api.kill_and_restart();
    assert_eq!(api.statuses().await, ["held", "available", "available", "available"]);
}
