//! A user's reservations: newest first, narrowed, paged.

use serde_json::{Value, json};

use crate::{Api, DELETE, GET, PUT, keys_of, path_of, schedule, text, with};

async fn ids(api: &Api, user: &str, query: &str) -> Vec<String> {
    let list = api.user(user, GET, &format!("/reservations{query}")).await.ok(200);
    list["items"].as_array().unwrap().iter().map(|item| text(&item["reservationId"])).collect()
}

#[tokio::test]
async fn a_list_is_the_callers_newest_first_and_narrowed_by_status_and_schedule() {
    let api = Api::with_hall(10, json!({"maxSeatsPerUser": 10})).await;
    api.admin(PUT, "/schedules/t").json(&schedule()).await.ok(201);
    api.admin(crate::POST, "/schedules/t/open").await.ok(200);
    let mut held = Vec::new();
    for seat in 1..=4 {
        held.push(api.hold("kim", &[seat]).await.ok(201));
    }
    let there = json!({"scheduleId": "t", "seats": ["1-A-1-1"]});
    held.push(api.user("kim", crate::POST, "/reservations").json(&there).await.ok(201));
    api.hold("lee", &[9]).await.ok(201);
    let released = api.user("kim", DELETE, &path_of(&held[1])).await.ok(200);
    held[1] = released;
    let newest_first = |of: &dyn Fn(&&Value) -> bool| -> Vec<String> {
        held.iter().rev().filter(of).map(|one| text(&one["reservationId"])).collect()
    };
    let list = api.user("kim", GET, "/reservations").await.ok(200);
    assert_eq!(keys_of(&list), ["items", "nextCursor"]);
    assert_eq!(list["nextCursor"], Value::Null);
    let expected: Vec<Value> = held.iter().rev().cloned().collect();
    let mut shown = list["items"].as_array().unwrap().clone();
    // Instants are whole milliseconds: two of one millisecond have no order that a client could know.
    assert!(shown.is_sorted_by(|one, next| text(&one["createdAt"]) >= text(&next["createdAt"])), "{list}");
    let by_id = |one: &Value| text(&one["reservationId"]);
    let mut expected_by_id = expected.clone();
    shown.sort_by_key(by_id);
    expected_by_id.sort_by_key(by_id);
    assert_eq!(shown, expected_by_id, "an item is the document of the reservation");
    assert_eq!(ids(&api, "kim", "?status=released").await, newest_first(&|one| one["status"] == "released"));
    assert_eq!(ids(&api, "kim", "?scheduleId=t").await, newest_first(&|one| one["scheduleId"] == "t"));
    assert_eq!(
        ids(&api, "kim", "?scheduleId=s&status=held").await,
        newest_first(&|one| one["scheduleId"] == "s" && one["status"] == "held")
    );
    assert!(ids(&api, "kim", "?status=confirmed").await.is_empty());
    assert!(ids(&api, "nobody", "").await.is_empty());
    api.user("kim", GET, "/reservations?status=free").await.names("status");
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition_while_new_ones_come() {
    let api = Api::with_hall(20, json!({"maxSeatsPerUser": 20})).await;
    for seat in 1..=7 {
        api.hold("kim", &[seat]).await.ok(201);
    }
    let all = ids(&api, "kim", "").await;
    assert_eq!(all.len(), 7);
    let (mut seen, mut query) = (Vec::new(), "?limit=3".to_owned());
    loop {
        let page = api.user("kim", GET, &format!("/reservations{query}")).await.ok(200);
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|item| text(&item["reservationId"])));
        assert!(items.len() <= 3);
        let fresh = 8 + u32::try_from(seen.len()).unwrap();
        api.hold("kim", &[fresh]).await.ok(201);
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        query = format!("?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, all, "what came meanwhile is before the first page");
    api.user("kim", GET, "/reservations?cursor=nonsense").await.refused(400, "malformed_request");
}

#[tokio::test]
async fn a_page_has_1_to_1000_items() {
    let api = Api::start();
    for path in ["/venues", "/concerts", "/reservations"] {
        let get = |query: &str| api.user("kim", GET, &format!("{path}?{query}"));
        for limit in ["0", "1001", "-1", "x", "", "1.5"] {
            get(&format!("limit={limit}")).await.names("limit");
        }
        for limit in ["1", "1000"] {
            let empty = get(&format!("limit={limit}")).await.ok(200);
            assert_eq!(empty, json!({"items": [], "nextCursor": null}));
        }
        get("cursor=%2A%2A").await.refused(400, "malformed_request");
    }
    crate::put_concert(&api).await;
    for cursor in ["x", "AAAA", "%20"] {
        let path = format!("/concerts/c/schedules?cursor={cursor}");
        api.public(GET, &path).await.refused(400, "malformed_request");
    }
    let document = with(schedule(), "casting", Value::Null);
    api.admin(PUT, "/schedules/s").json(&document).await.ok(201);
    api.public(GET, "/concerts/c/schedules?limit=0").await.names("limit");
}

/// All pages of a list, one after the other.
async fn pages(call: impl AsyncFn(&str) -> Value, limit: usize) -> Vec<Value> {
    let (mut items, mut query) = (Vec::new(), format!("limit={limit}"));
    loop {
        let page = call(&query).await;
        let shown = page["items"].as_array().unwrap();
        assert!(shown.len() <= limit);
        items.extend(shown.iter().cloned());
        let Some(cursor) = page["nextCursor"].as_str() else { return items };
        query = format!("limit={limit}&cursor={cursor}");
    }
}

/// Two schedules, `s` and `t`, with what three users have there; returns the reservations, the newest first.
async fn sold(api: &Api) -> Vec<Value> {
    api.admin(PUT, "/schedules/t").json(&schedule()).await.ok(201);
    api.admin(crate::POST, "/schedules/t/open").await.ok(200);
    let mut made = Vec::new();
    for seat in 1..=9 {
        let schedule = if seat % 3 == 0 { "t" } else { "s" };
        let user = ["kim", "lee", "park"][seat % 3];
        let body = json!({"scheduleId": schedule, "seats": [format!("1-A-1-{seat}")]});
        made.push(api.user(user, crate::POST, "/reservations").json(&body).await.ok(201));
    }
    made[3] = api.user("lee", DELETE, &path_of(&made[3])).await.ok(200);
    made.reverse();
    made
}

/// Instants are whole milliseconds: two of one millisecond may come either way round.
fn same_but_for_moments(one: &[Value], other: &[Value]) {
    let by_id = |items: &[Value]| {
        let mut items = items.to_vec();
        items.sort_by_key(|item| text(&item["reservationId"]));
        items
    };
    assert!(one.is_sorted_by(|one, next| text(&one["createdAt"]) >= text(&next["createdAt"])));
    assert_eq!(by_id(one), by_id(other));
}

#[tokio::test]
async fn administrators_list_everyones_reservations_by_user_schedule_and_status_and_nobody_else_anothers() {
    let api = Api::with_hall(10, json!({"maxSeatsPerUser": 10})).await;
    let made = sold(&api).await;
    for limit in [1, 2, 4, 1000] {
        let all = async |narrow: &str| {
            pages(
                async |query| api.admin(GET, &format!("/reservations?{query}{narrow}")).await.ok(200),
                limit,
            )
            .await
        };
        let of =
            |keep: &dyn Fn(&&Value) -> bool| -> Vec<Value> { made.iter().filter(keep).cloned().collect() };
        same_but_for_moments(&all("").await, &made);
        same_but_for_moments(&all("&userId=lee").await, &of(&|one| one["userId"] == "lee"));
        same_but_for_moments(&all("&scheduleId=t").await, &of(&|one| one["scheduleId"] == "t"));
        same_but_for_moments(&all("&status=released").await, &of(&|one| one["status"] == "released"));
        let held = of(&|one| one["scheduleId"] == "s" && one["status"] == "held");
        same_but_for_moments(&all("&scheduleId=s&status=held").await, &held);
        assert!(all("&scheduleId=none").await.is_empty() && all("&status=paying").await.is_empty());
    }
    api.user("lee", GET, "/reservations?userId=kim").await.refused(403, "forbidden");
    let own = api.user("lee", GET, "/reservations?userId=lee").await.ok(200);
    assert_eq!(own["items"].as_array().unwrap().len(), 3);
    for wrong in ["status=free", "status="] {
        api.admin(GET, &format!("/reservations?{wrong}")).await.names("status");
    }
    api.admin(GET, "/reservations?status=held&status=held").await.names("status");
}

#[tokio::test]
async fn a_schedules_list_has_everyone_who_has_something_there_with_the_name_that_is_known() {
    let api = Api::with_hall(10, json!({})).await;
    let ann = json!({"email": "ann@example.org", "name": "Ann", "password": "correct horse battery"});
    api.public(crate::POST, "/users").json(&ann).await.ok(201);
    let session = json!({"email": "ann@example.org", "password": "correct horse battery"});
    let session = api.public(crate::POST, "/sessions").json(&session).await.ok(201);
    let anns = api.public(crate::POST, "/reservations").bearer(&text(&session["accessToken"]));
    let anns = anns.json(&crate::hold_of(&[1])).await.ok(201);
    let kims = api.hold("kim", &[2]).await.ok(201);
    api.user("kim", DELETE, &path_of(&kims)).await.ok(200);
    let list = async |query: &str| {
        let list = api.admin(GET, &format!("/schedules/s/reservations?{query}")).await.ok(200);
        list["items"].as_array().unwrap().clone()
    };
    let all = list("").await;
    assert_eq!(all.len(), 2);
    let names: Vec<(&Value, &Value)> = all.iter().map(|item| (&item["userId"], &item["userName"])).collect();
    assert!(
        names.contains(&(&anns["userId"], &json!("Ann"))) && names.contains(&(&json!("kim"), &Value::Null))
    );
    let held = list("status=held").await;
    assert_eq!(held.len(), 1);
    assert_eq!(
        with(held[0].clone(), "userName", Value::Null),
        anns,
        "the rest is the reservation's document"
    );
    api.admin(GET, "/schedules/none/reservations").await.refused(404, "not_found");
    api.user("kim", GET, "/schedules/s/reservations").await.refused(403, "forbidden");
    api.public(GET, "/schedules/s/reservations").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn payments_are_listed_by_user_schedule_and_status() {
    let api = Api::with_hall(10, json!({"maxSeatsPerUser": 10})).await;
    let made = sold(&api).await;
    let charge = |user: &str| {
        api.admin(crate::POST, &format!("/users/{user}/balance")).json(&json!({"amount": 100_000}))
    };
    charge("kim").await.ok(201);
    charge("park").await.ok(201);
    let mut paid = Vec::new();
    for (index, one) in made.iter().rev().enumerate() {
        if one["status"] == "held" && one["userId"] != "lee" {
            let body = json!({"reservationId": one["reservationId"], "method": "balance"});
            let user = text(&one["userId"]);
            let payment =
                api.user(&user, crate::POST, "/payments").key(&format!("k{index}")).json(&body).await;
            // The third of each finds too little left.
            if payment.status == 201 {
                paid.push(payment.body);
            } else {
                payment.refused(402, "insufficient_balance");
            }
        }
    }
    paid.reverse();
    for limit in [1, 3, 1000] {
        let all = async |narrow: &str| -> Vec<Value> {
            pages(async |query| api.admin(GET, &format!("/payments?{query}{narrow}")).await.ok(200), limit)
                .await
        };
        let completed = all("&status=completed").await;
        let ids = |items: &[Value]| -> std::collections::BTreeSet<String> {
            items.iter().map(|item| text(&item["paymentId"])).collect()
        };
        assert_eq!(ids(&completed), ids(&paid));
        assert_eq!(all("").await.len(), paid.len() + all("&status=failed").await.len());
        let kims: Vec<Value> = paid.iter().filter(|one| one["userId"] == "kim").cloned().collect();
        assert_eq!(ids(&all("&userId=kim&status=completed").await), ids(&kims));
        let in_t = all("&scheduleId=t").await;
        assert!(!in_t.is_empty() && in_t.iter().all(|one| one["userId"] == "kim"));
    }
    let own = api.user("park", GET, "/payments?status=completed").await.ok(200);
    assert!(
        own["items"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["userId"] == "park" && one["gateway"].is_null())
    );
    api.user("lee", GET, "/payments?userId=kim").await.refused(403, "forbidden");
    api.admin(GET, "/payments?status=paid").await.names("status");
}

#[tokio::test]
async fn what_no_id_can_be_narrows_no_list() {
    let api = Api::start();
    for wrong in ["", "a%20b", "a%2Fb", &"x".repeat(129)] {
        for list in ["reservations", "payments"] {
            api.admin(GET, &format!("/{list}?scheduleId={wrong}")).await.names("scheduleId");
            api.user("kim", GET, &format!("/{list}?scheduleId={wrong}")).await.names("scheduleId");
        }
        api.public(GET, &format!("/concerts/available-dates?concertId={wrong}")).await.names("concertId");
    }
    for wrong in ["", "%07", &"x".repeat(129)] {
        for list in ["reservations", "payments"] {
            api.admin(GET, &format!("/{list}?userId={wrong}")).await.names("userId");
        }
    }
}
