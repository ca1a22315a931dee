//! Codes and allotments: who defines them, what a hold with one gets, how often, and what is said of it elsewhere.

use serde_json::{Value, json};

use crate::{
    Answer, Api, DELETE, GET, PATCH, POST, PUT, from_now, path_of, put_concert, schedule, seat_ids, text,
    with,
};

const CODES: &str = "/schedules/s/codes";
const ALLOTMENTS: &str = "/schedules/s/allotments";

/// A server with an open sale `s` in a hall whose row 1 of 4 seats is `R`, and row 2 of 3 seats `S`.
async fn on_sale(policy: Value) -> Api {
    let api = Api::start_with(&[("ONSALE_RATE_LIMIT", "off")]);
    put_concert(&api).await;
    api.admin(PUT, "/schedules/s").json(&with(schedule(), "policy", policy)).await.ok(201);
    api.admin(POST, "/schedules/s/open").await.ok(200);
    api
}

impl Api {
    async fn put_code(&self, code: &str, terms: Value) -> Answer {
        self.admin(PUT, &format!("{CODES}/{code}")).json(&terms).await
    }

    async fn code(&self, code: &str) -> Value {
        self.admin(GET, &format!("{CODES}/{code}")).await.ok(200)
    }

    async fn hold_coded(&self, user: &str, seats: &[u32], code: &str) -> Answer {
        let body = json!({"scheduleId": "s", "seats": seat_ids(seats), "code": code});
        self.user(user, POST, "/reservations").json(&body).await
    }

    async fn set_aside(&self, id: &str, terms: Value) -> Answer {
        self.admin(PUT, &format!("{ALLOTMENTS}/{id}")).json(&terms).await
    }
}

#[tokio::test]
async fn a_code_is_put_read_ended_and_put_again() {
    let api = on_sale(json!({})).await;
    let terms = json!({"discount": {"percent": 10}, "grades": ["R"], "maxUses": 5, "maxSeats": 9,
        "validFrom": "2026-01-01T00:00:00.000Z", "validUntil": "2037-01-01T00:00:00.000Z"});
    let put = api.put_code("summer-26", terms.clone()).await.ok(201);
    let shown =
        with(with(with(terms.clone(), "code", json!("SUMMER-26")), "used", json!(0)), "seats", json!(0));
    assert_eq!(put, shown);
    assert_eq!(api.put_code("SUMMER-26", terms).await.ok(200), shown, "case doesn't count");
    api.hold_coded("kim", &[1, 2], "Summer-26").await.ok(201);
    let used = api.code("summer-26").await;
    assert_eq!((&used["used"], &used["seats"]), (&json!(1), &json!(2)));

    for _ in 0..2 {
        api.admin(DELETE, &format!("{CODES}/summer-26")).key("end").await.ok(204);
    }
    api.admin(GET, &format!("{CODES}/summer-26")).await.refused(404, "not_found");
    api.admin(DELETE, &format!("{CODES}/summer-26")).await.refused(404, "not_found");
    api.hold_coded("lee", &[3], "summer-26").await.refused(403, "code_invalid");
    let again = api.put_code("summer-26", json!({})).await.ok(201);
    assert_eq!(again["used"], 1, "what was used stays counted");
}

#[tokio::test]
async fn what_a_code_cannot_be_is_refused_with_the_field() {
    let api = on_sale(json!({})).await;
    for wrong in ["abc", "a_bc", "a%20bc", &"x".repeat(65)] {
        api.put_code(wrong, json!({})).await.names("code");
    }
    let cases = [
        (json!({"phases": ["none"]}), "phases"),
        (json!({"phases": ["a", "a"]}), "phases[1]"),
        (json!({"allotmentId": "none"}), "allotmentId"),
        (json!({"grades": ["VIP"]}), "grades"),
        (json!({"grades": []}), "grades"),
        (json!({"priceTypes": ["none"]}), "priceTypes"),
        (json!({"discount": {}}), "discount"),
        (json!({"discount": {"percent": 10, "amountPerSeat": 1}}), "discount"),
        (json!({"discount": {"percent": 101}}), "discount.percent"),
        (json!({"discount": {"amountPerSeat": 0}}), "discount.amountPerSeat"),
        (json!({"maxUses": 0}), "maxUses"),
        (json!({"maxSeats": 0}), "maxSeats"),
        (json!({"validFrom": "soon"}), "validFrom"),
        (json!({"validFrom": from_now(2_000), "validUntil": from_now(1_000)}), "validUntil"),
    ];
    for (terms, field) in cases {
        api.put_code("code", terms).await.names(field);
    }
    api.put_code("code", json!({"maxUse": 1})).await.refused(422, "invalid_request");
    api.put_code("code", json!({})).await.ok(201);
    api.user("kim", PUT, &format!("{CODES}/other")).json(&json!({})).await.refused(403, "forbidden");
    api.user("kim", GET, CODES).await.refused(403, "forbidden");
    api.user("kim", GET, &format!("{CODES}/code")).await.refused(403, "forbidden");
    api.admin(PUT, "/schedules/none/codes/code").json(&json!({})).await.refused(404, "not_found");
}

#[tokio::test]
async fn generated_codes_are_told_once_and_again_by_their_key_and_each_is_used_once() {
    let api = on_sale(json!({"maxSeatsPerUser": 9})).await;
    for (body, field) in [
        (json!({"count": 0}), "count"),
        (json!({"count": 10_001}), "count"),
        (json!({"count": 1, "prefix": "a b"}), "prefix"),
        (json!({"count": 1, "maxUses": 0}), "maxUses"),
    ] {
        api.admin(POST, CODES).json(&body).await.names(field);
    }

    let body = json!({"count": 3, "prefix": "fan", "maxSeats": 2});
    let made = api.admin(POST, CODES).key("k").json(&body).await.ok(201);
    let codes: Vec<String> = made["codes"].as_array().unwrap().iter().map(text).collect();
    assert_eq!(codes.len(), 3);
    assert!(codes.iter().all(|code| code.starts_with("FAN-") && code.len() == 18), "{codes:?}");
    let other = api.admin(POST, CODES).json(&body).await.ok(201);
    assert_ne!(other, made);

    api.hold_coded("kim", &[1], &codes[0]).await.ok(201);
    api.hold_coded("lee", &[2], &codes[0].to_lowercase()).await.refused(409, "code_exhausted");
    api.hold_coded("lee", &[1, 2, 3], &codes[1]).await.refused(409, "code_exhausted");
    api.admin(DELETE, &format!("{CODES}/{}", codes[1])).await.ok(204);
    let api = api.kill_and_restart();
    assert_eq!(api.admin(POST, CODES).key("k").json(&body).await.ok(201), made, "the first answer again");
    api.hold_coded("lee", &[2], &codes[1]).await.refused(403, "code_invalid");
    api.hold_coded("lee", &[2], &codes[2]).await.ok(201);

    // In pages of one: all but the one that ended.
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.admin(GET, &format!("{CODES}?limit=1{cursor}")).await.ok(200);
        listed.extend(page["items"].as_array().unwrap().iter().map(|item| text(&item["code"])));
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let mut expected = vec![codes[0].clone(), codes[2].clone()];
    expected.extend(other["codes"].as_array().unwrap().iter().map(text));
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn whoever_follows_the_feed_learns_no_generated_code() {
    let api = on_sale(json!({})).await;
    let body = json!({"count": 1, "prefix": "fan", "discount": {"percent": 50}});
    let made = api.admin(POST, CODES).key("k").json(&body).await.ok(201);
    let code = text(&made["codes"][0]);
    let held = api.hold_coded("kim", &[1], &code).await.ok(201);
    assert_eq!((&held["code"], &held["lines"][1]["name"]), (&json!(code), &json!(code)), "its owner has it");
    let exchange = json!({"seats": seat_ids(&[2])});
    api.user("kim", PATCH, &path_of(&held)).json(&exchange).await.ok(200);
    // Once the hold has ended, whoever knows the code could use it.
    api.user("kim", DELETE, &path_of(&held)).await.ok(200);

    let events = crate::feed::read(&api, 0).await;
    let told = |kind: &str| events.iter().find(|event| event.kind == kind).unwrap().data["data"].clone();
    for kind in ["SeatsHeld", "SeatsExchanged"] {
        let told = told(kind);
        let masked = json!("FAN-****-****-****");
        assert_eq!((&told["code"], &told["lines"][1]["name"]), (&masked, &masked), "{told}");
    }
    assert!(events.iter().all(|event| !event.data.to_string().contains(&code)));
    let history = api.admin(GET, "/admin/schedules/s/history?limit=1000").await.ok(200);
    assert!(!history.to_string().contains(&code));
}

#[tokio::test]
async fn ten_thousand_codes_are_generated_at_once() {
    let api = on_sale(json!({})).await;
    let made = api.admin(POST, CODES).json(&json!({"count": 10_000})).await.ok(201);
    let codes: std::collections::HashSet<&str> =
        made["codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
    assert_eq!(codes.len(), 10_000);
    let code = codes.iter().next().unwrap();
    api.hold_coded("kim", &[1], code).await.ok(201);
}

#[tokio::test]
async fn a_hold_uses_a_code_and_its_release_and_exchange_give_the_use_back() {
    let api = on_sale(json!({})).await;
    api.put_code("SOLO", json!({"maxUses": 1, "discount": {"amountPerSeat": 10_000}})).await.ok(201);
    api.put_code("ELSE", json!({})).await.ok(201);
    let held = api.hold_coded("kim", &[1], "solo").await.ok(201);
    assert_eq!((&held["amount"], &held["code"]), (&json!(40_000), &json!("SOLO")));
    let lines = held["lines"].as_array().unwrap();
    assert_eq!(lines.iter().map(|line| line["amount"].as_i64().unwrap()).sum::<i64>(), 40_000);
    api.hold_coded("lee", &[2], "SOLO").await.refused(409, "code_exhausted");

    let patch = async |body: Value| api.user("kim", PATCH, &path_of(&held)).json(&body).await;
    let kept = patch(json!({"seats": seat_ids(&[1, 2])})).await.ok(200);
    assert_eq!((&kept["amount"], &kept["code"]), (&json!(80_000), &json!("SOLO")), "it keeps its code");
    assert_eq!(api.code("SOLO").await["seats"], 2);
    patch(json!({"seats": seat_ids(&[1]), "code": "NONE"})).await.refused(403, "code_invalid");
    let other = patch(json!({"seats": seat_ids(&[1]), "code": "ELSE"})).await.ok(200);
    assert_eq!((&other["amount"], &other["code"]), (&json!(50_000), &json!("ELSE")));

    let next = api.hold_coded("lee", &[2], "SOLO").await.ok(201);
    api.user("lee", DELETE, &path_of(&next)).await.ok(200);
    assert_eq!(api.code("SOLO").await["used"], 0);
    let wish = json!({"scheduleId": "s", "bestAvailable": {"count": 1}, "code": "SOLO"});
    api.user("cha", POST, "/reservations").json(&wish).await.ok(201);
}

#[tokio::test]
async fn an_exchange_lets_go_of_its_code_with_null_and_then_costs_what_it_costs() {
    let api = on_sale(json!({})).await;
    api.put_code("HALF", json!({"maxUses": 1, "discount": {"percent": 50}})).await.ok(201);
    let held = api.hold_coded("kim", &[1, 2], "HALF").await.ok(201);
    let patch = async |body: Value| api.user("kim", PATCH, &path_of(&held)).json(&body).await;
    api.admin(DELETE, &format!("{CODES}/HALF")).await.ok(204);

    for body in [json!({"seats": seat_ids(&[1, 3])}), json!({"seats": seat_ids(&[1, 2, 3]), "code": "half"})]
    {
        patch(body).await.refused(403, "code_invalid");
    }
    let less = patch(json!({"seats": seat_ids(&[2])})).await.ok(200);
    assert_eq!((&less["amount"], &less["code"]), (&json!(25_000), &json!("HALF")), "it keeps what it has");
    let api = api.kill_and_restart();
    let body = json!({"seats": seat_ids(&[2, 3]), "code": null});
    let full = api.user("kim", PATCH, &path_of(&held)).json(&body).await.ok(200);
    assert_eq!((&full["amount"], full.get("code")), (&json!(100_000), None));
    let again = api.put_code("HALF", json!({"maxUses": 1})).await.ok(201);
    assert_eq!(again["used"], 0, "its use is given back");
}

#[tokio::test]
async fn letters_of_a_code_are_of_any_script_and_small_ones_are_the_capital_ones() {
    let api = on_sale(json!({})).await;
    for (put, shown, brought) in [("팬클럽-7", "팬클럽-7", "팬클럽-7"), ("straße", "STRASSE", "Strasse")]
    {
        assert_eq!(api.put_code(put, json!({})).await.ok(201)["code"], shown);
        let held = api.hold_coded("kim", &[1], brought).await.ok(201);
        assert_eq!(held["code"], shown);
        api.user("kim", DELETE, &path_of(&held)).await.ok(200);
    }
    api.put_code("straße", json!({})).await.ok(200);
    // Their case is not one that a text can be turned into: each is a letter of its own.
    for odd in ["STRAẞE", "İSTANBUL"] {
        assert_eq!(api.put_code(odd, json!({})).await.ok(201)["code"], *odd);
    }
    let api = api.kill_and_restart();
    assert_eq!(api.code("İSTANBUL").await["used"], 0);
}

#[tokio::test]
async fn a_thousand_callers_at_once_use_a_code_of_ten_uses_ten_times_and_so_they_do_across_kill_9() {
    let mut api = Api::start_with(&[("ONSALE_RATE_LIMIT", "off")]);
    api.server.prepare(1_200, json!({"maxSeatsPerUser": 9})).await;
    api.put_code("TEN10", json!({"maxUses": 10})).await.ok(201);

    let attack = async |api: &Api, round: u32| {
        let calls = (0..1_000_u32).map(|number| {
            let seat = number + 1;
            async move {
                let answer = api.hold_coded(&format!("fan-{round}-{number}"), &[seat], "TEN10").await;
                match answer.code().as_str() {
                    "code_exhausted" | "seat_unavailable" => None,
                    _ => Some((format!("fan-{round}-{number}"), answer.ok(201))),
                }
            }
        });
        let answers = futures_util::future::join_all(calls).await;
        answers.into_iter().flatten().collect::<Vec<_>>()
    };

    let mut held = attack(&api, 0).await;
    assert_eq!(held.len(), 10, "exactly as often as it can be used");
    assert_eq!(api.code("TEN10").await["used"], 10);
    api = api.kill_and_restart();
    assert_eq!(api.code("TEN10").await["used"], 10);
    assert_eq!(attack(&api, 1).await.len(), 0);

    // Four are given back, and just as many are used again.
    for (user, hold) in held.drain(..4) {
        api.user(&user, DELETE, &path_of(&hold)).await.ok(200);
    }
    assert_eq!(api.code("TEN10").await["used"], 6);
    api = api.kill_and_restart();
    assert_eq!(attack(&api, 2).await.len(), 4);
    let code = api.code("TEN10").await;
    assert_eq!((&code["used"], &code["seats"]), (&json!(10), &json!(10)));
}

#[tokio::test]
async fn seats_set_aside_are_blocked_for_others_and_their_code_takes_them_alone() {
    let api = on_sale(json!({})).await;
    api.hold("cha", &[4]).await.ok(201);
    let wrong = json!({"name": "Sponsor", "seats": seat_ids(&[1, 4])});
    let refused = api.set_aside("sponsor", wrong).await.refused(409, "seat_unavailable");
    assert_eq!(refused["seats"], json!(seat_ids(&[4])), "all or none");

    let terms = json!({"name": "Sponsor", "reason": "contract 12", "seats": seat_ids(&[1, 2]),
        "releaseAt": "2036-12-31T00:00:00.000Z"});
    let mut shown = terms.clone();
    for (name, value) in [
        ("allotmentId", json!("sponsor")),
        ("total", json!(2)),
        ("held", json!(0)),
        ("sold", json!(0)),
        ("left", json!(2)),
    ] {
        shown = with(shown, name, value);
    }
    assert_eq!(api.set_aside("sponsor", terms.clone()).await.ok(201), shown);
    assert_eq!(api.set_aside("sponsor", terms).await.ok(200), shown);
    assert_eq!(api.statuses().await[..4], ["blocked", "blocked", "available", "held"]);
    api.hold("kim", &[1]).await.refused(409, "seat_unavailable");
    api.admin(POST, "/schedules/s/unblock")
        .json(&json!({"seats": seat_ids(&[1])}))
        .await
        .refused(409, "seat_unavailable");

    api.put_code("SPON", json!({"allotmentId": "sponsor"})).await.ok(201);
    api.hold_coded("kim", &[3], "SPON").await.refused(409, "seat_unavailable");
    let best = json!({"scheduleId": "s", "bestAvailable": {"count": 1}, "code": "SPON"});
    let held = api.user("kim", POST, "/reservations").json(&best).await.ok(201);
    let path = format!("{ALLOTMENTS}/sponsor");
    let read = api.admin(GET, &path).await.ok(200);
    assert_eq!([&read["total"], &read["held"], &read["sold"], &read["left"]], [2, 1, 0, 1]);
    let too_many = json!({"scheduleId": "s", "bestAvailable": {"count": 2}, "code": "SPON"});
    api.user("lee", POST, "/reservations").json(&too_many).await.refused(409, "not_enough_seats");
    let listed = api.admin(GET, ALLOTMENTS).await.ok(200);
    assert_eq!(listed["items"], json!([read]));

    let api = api.kill_and_restart();
    assert_eq!(api.admin(GET, &path).await.ok(200), read);
    for _ in 0..2 {
        api.admin(DELETE, &path).key("go").await.ok(204);
    }
    api.admin(GET, &path).await.refused(404, "not_found");
    api.hold_coded("lee", &[2], "SPON").await.refused(403, "code_invalid");
    api.user("kim", DELETE, &path_of(&held)).await.ok(200);
    assert_eq!(api.statuses().await[..3], ["available", "available", "available"]);
}

#[tokio::test]
async fn who_brings_a_code_is_told_what_it_gives_before_anything_is_held() {
    let api = on_sale(json!({})).await;
    api.set_aside("sponsor", json!({"name": "Sponsor", "seats": seat_ids(&[1, 2])})).await.ok(201);
    let offer = |user: &'static str, code: &str| {
        let path = format!("/schedules/s/offer?code={code}");
        api.user(user, GET, &path)
    };
    let terms = json!({"allotmentId": "sponsor", "discount": {"percent": 10}, "grades": ["R"], "maxUses": 1, "maxSeats": 2});
    api.put_code("SPON", terms).await.ok(201);
    api.put_code("PLAIN", json!({})).await.ok(201);
    let given = json!({"code": "SPON", "discount": {"percent": 10}, "grades": ["R"], "seatsLeft": 2,
        "allotment": {"seats": seat_ids(&[1, 2])}});
    assert_eq!(offer("kim", "spon").await.ok(200), given, "case doesn't count");
    assert_eq!(offer("kim", "PLAIN").await.ok(200), json!({"code": "PLAIN"}));
    offer("kim", "WRONG").await.refused(403, "code_invalid");
    offer("kim", "!").await.refused(403, "code_invalid");
    assert_eq!(api.code("SPON").await["used"], 0, "it uses nothing");

    // It is used up, but for who has used it: that one may exchange.
    let held = api.hold_coded("kim", &[1], "SPON").await.ok(201);
    assert_eq!(offer("kim", "SPON").await.ok(200), with(given.clone(), "seatsLeft", json!(1)));
    offer("lee", "SPON").await.refused(409, "code_exhausted");
    api.user("kim", DELETE, &path_of(&held)).await.ok(200);
    assert_eq!(offer("lee", "SPON").await.ok(200), given);

    api.admin(POST, "/schedules/s/close").await.ok(200);
    offer("lee", "SPON").await.refused(409, "schedule_not_open");
    api.admin(POST, "/schedules/s/open").await.ok(200);
    api.admin(DELETE, &format!("{ALLOTMENTS}/sponsor")).await.ok(204);
    offer("lee", "SPON").await.refused(403, "code_invalid");
}

#[tokio::test]
async fn a_question_what_a_code_gives_is_a_guess_like_any_other() {
    let api = on_sale(json!({})).await;
    api.put_code("RIGHT", json!({})).await.ok(201);
    for guess in 0..10 {
        let path = format!("/schedules/s/offer?code=GUESS-{guess}");
        api.user("kim", GET, &path).await.refused(403, "code_invalid");
    }
    api.user("kim", GET, "/schedules/s/offer?code=RIGHT").await.refused(429, "rate_limited");
    api.user("lee", GET, "/schedules/s/offer?code=RIGHT").await.ok(200);
}

#[tokio::test]
async fn what_an_allotment_cannot_be_is_refused_with_the_field() {
    let api = on_sale(json!({})).await;
    for (terms, field) in [
        (json!({"name": "", "seats": seat_ids(&[1])}), "name"),
        (json!({"name": " ", "seats": seat_ids(&[1])}), "name"),
        (json!({"name": "x", "reason": "", "seats": seat_ids(&[1])}), "reason"),
        (json!({"name": "x", "reason": " \n\u{2003}", "seats": seat_ids(&[1])}), "reason"),
        (json!({"name": "x"}), "seats"),
        (json!({"name": "x", "seats": [seat_ids(&[1])[0], seat_ids(&[1])[0]]}), "seats[1]"),
        (json!({"name": "x", "seats": seat_ids(&[1]), "releaseAt": "2020-01-01T00:00:00.000Z"}), "releaseAt"),
        (json!({"name": "x", "seats": seat_ids(&[1]), "releaseAt": "2037-02-01T00:00:00.000Z"}), "releaseAt"),
    ] {
        api.set_aside("a", terms).await.names(field);
    }
    api.set_aside("a", json!({"name": "x", "seats": ["none"]})).await.refused(422, "unknown_seat");
    api.set_aside("a%20b", json!({"name": "x", "seats": seat_ids(&[1])})).await.names("allotmentId");
    let user =
        api.user("kim", PUT, &format!("{ALLOTMENTS}/a")).json(&json!({"name": "x", "seats": seat_ids(&[1])}));
    user.await.refused(403, "forbidden");
    api.user("kim", GET, ALLOTMENTS).await.refused(403, "forbidden");
}

#[tokio::test]
async fn history_and_the_map_of_before_tell_of_allotments_and_codes() {
    let api = on_sale(json!({})).await;
    api.set_aside("sponsor", json!({"name": "Sponsor", "seats": seat_ids(&[1])})).await.ok(201);
    api.put_code("SPON", json!({"allotmentId": "sponsor"})).await.ok(201);
    api.admin(POST, CODES).json(&json!({"count": 2})).await.ok(201);
    let history = api.admin(GET, "/admin/schedules/s/history").await.ok(200);
    let then = text(&history["items"][0]["at"]);
    // What comes next happens at a later instant.
    while from_now(-1) <= then {
        tokio::task::yield_now().await;
    }
    api.admin(DELETE, &format!("{ALLOTMENTS}/sponsor")).await.ok(204);
    api.admin(DELETE, &format!("{CODES}/SPON")).await.ok(204);

    let seat = &seat_ids(&[1])[0];
    let history = api.admin(GET, &format!("/admin/schedules/s/history?seatId={seat}")).await.ok(200);
    let types: Vec<String> =
        history["items"].as_array().unwrap().iter().map(|event| text(&event["type"])).collect();
    assert!(
        types.contains(&"AllotmentSet".to_owned()) && types.contains(&"AllotmentReleased".to_owned()),
        "{types:?}"
    );
    let history = api.admin(GET, "/admin/schedules/s/history").await.ok(200);
    let all = history["items"].as_array().unwrap();
    let of = |name: &str| {
        all.iter().find(|event| event["type"] == name).unwrap_or_else(|| panic!("{name} in {all:?}"))
    };
    assert_eq!(of("CodePut")["data"]["code"], "SPON");
    assert_eq!(
        (&of("CodesMade")["data"]["count"], &of("CodesMade")["data"].get("codes")),
        (&json!(2), &None)
    );
    assert_eq!(of("CodeEnded")["data"]["code"], "SPON");

    let map = api.admin(GET, &format!("/admin/schedules/s/seats?at={then}")).await.ok(200);
    assert_eq!(map["seats"][0]["status"], "blocked", "as it was then");
    assert_eq!(api.statuses().await[0], "available");
}

#[tokio::test]
async fn a_schedule_says_that_it_takes_codes_once_some_were_made() {
    let api = on_sale(json!({})).await;
    let read = async || api.public(GET, "/schedules/s").await.ok(200);
    assert_eq!(read().await.get("takesCodes"), None);

    api.put_code("SUMMER", json!({})).await.ok(201);
    let shown = read().await;
    assert_eq!(shown["takesCodes"], true);
    api.admin(PUT, "/schedules/s").json(&shown).await.ok(200);
    let wrong = with(shown, "takesCodes", json!(false));
    api.admin(PUT, "/schedules/s").json(&wrong).await.names("takesCodes");
}
