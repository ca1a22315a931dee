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
