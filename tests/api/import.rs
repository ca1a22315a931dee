//! The import of many things at once, all or nothing.

use std::future::IntoFuture as _;

use serde_json::{Value, json};

use crate::{Api, GET, POST, PUT, concert, schedule, text, venue, with};

fn charlotte() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/charlotte.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What [`venue`], [`concert`] and [`schedule`] are as one document.
fn document() -> Value {
    json!({"venues": [with(venue(), "venueId", json!("v"))], "concerts": [with(concert(), "concertId", json!("c"))],
        "schedules": [with(schedule(), "scheduleId", json!("s"))]})
}

async fn count(api: &Api, path: &str) -> usize {
    api.public(GET, &format!("{path}?limit=1000")).await.ok(200)["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_charlotte_theater_is_imported_and_imported_again_without_a_change() {
    let api = Api::start();
    let import = || api.admin(POST, "/import").json(&charlotte()).into_future();
    import().await.ok(200);
    assert_eq!((count(&api, "/venues").await, count(&api, "/concerts").await), (1, 2));
    let concerts = api.public(GET, "/concerts").await.ok(200);
    let mut schedules = Vec::new();
    for concert in concerts["items"].as_array().unwrap() {
        let path = format!("/concerts/{}/schedules?limit=1000", text(&concert["concertId"]));
        schedules.extend(api.public(GET, &path).await.ok(200)["items"].as_array().unwrap().clone());
    }
    assert_eq!(schedules.len(), 44);
    for schedule in &schedules {
        assert_eq!(schedule["seats"]["available"], 1_210);
    }
    let map =
        api.public(GET, &format!("/schedules/{}/seats", text(&schedules[0]["scheduleId"]))).await.ok(200);
    let seats = map["seats"].as_array().unwrap();
    assert_eq!(seats.len(), 1_210);
    let ids: std::collections::BTreeSet<&str> =
        seats.iter().map(|seat| seat["seatId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1_210);
    assert!(ids.contains("1층-B-7-14"));

    let position = api.admin(POST, "/admin/snapshots").await.ok(200)["position"].clone();
    import().await.ok(200);
    assert_eq!(api.public(GET, "/concerts").await.ok(200), concerts);
    let after = api.admin(POST, "/admin/snapshots").await.ok(200)["position"].clone();
    assert_eq!(after, position, "what is equal is left alone: nothing was written");
}

#[tokio::test]
async fn an_imported_schedule_sells_seats_whose_names_are_percent_encoded_in_paths() {
    let api = Api::start();
    api.admin(POST, "/import").json(&charlotte()).await.ok(200);
    let id = "perf-kinky-1-2027-02-09-19:30";
    let encoded = id.replace(':', "%3A");
    api.admin(POST, &format!("/schedules/{encoded}/open")).await.ok(200);
    let body = json!({"scheduleId": id, "seats": ["1층-B-7-14", "1층-B-7-15"]});
    let held = api.user("김호영", POST, "/reservations").json(&body).await.ok(201);
    assert_eq!(held["userId"], "김호영");
    let path = format!("/admin/schedules/{encoded}/history?seatId=1%EC%B8%B5-B-7-14");
    let history = api.admin(GET, &path).await.ok(200);
    assert_eq!(history["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_import_is_all_or_nothing_and_says_which_item_is_wrong() {
    let api = Api::start();
    let import = |document: &Value| api.admin(POST, "/import").json(document);
    let mut wrong = document();
    wrong["schedules"][0]["concertId"] = json!("nowhere");
    let problem = import(&wrong).await.refused(422, "invalid_request");
    let field = text(&problem["errors"][0]["field"]);
    assert!(field.starts_with("schedules[0]"), "{field}");
    let mut wrong = document();
    wrong["concerts"][0]["grades"] = json!([]);
    let problem = import(&wrong).await.refused(422, "invalid_request");
    let field = text(&problem["errors"][0]["field"]);
    assert!(field.starts_with("concerts[0]"), "{field}");
    let mut wrong = document();
    wrong["venues"][0].as_object_mut().unwrap().remove("venueId");
    import(&wrong).await.names("venues[0].venueId");
    assert_eq!(
        (count(&api, "/venues").await, count(&api, "/concerts").await),
        (0, 0),
        "nothing is left of it"
    );
    import(&document()).await.ok(200);
    assert_eq!((count(&api, "/venues").await, count(&api, "/concerts").await), (1, 1));
}

#[tokio::test]
async fn an_import_that_changes_what_is_in_use_is_refused_whole() {
    let api = Api::start();
    api.admin(POST, "/import").json(&document()).await.ok(200);
    api.admin(POST, "/schedules/s/open").await.ok(200);
    let mut dearer = document();
    dearer["concerts"][0]["grades"][0]["price"] = json!(1);
    dearer["venues"][0]["name"] = json!("Another name");
    let problem = api.admin(POST, "/import").json(&dearer).await.refused(409, "in_use");
    let detail = text(&problem["detail"]);
    assert!(detail.starts_with("concerts[0] (c): a sale"), "the item is named: {detail}");
    assert_eq!(api.public(GET, "/venues/v").await.ok(200)["name"], "Hall");
    api.admin(POST, "/import").json(&document()).await.ok(200);
    assert_eq!(api.public(GET, "/schedules/s").await.ok(200)["status"], "open", "a sale under way goes on");
}

#[tokio::test]
async fn an_import_may_build_on_what_is_there_and_survives_kill_9() {
    let api = Api::start();
    api.admin(PUT, "/venues/v").json(&venue()).await.ok(201);
    let rest =
        json!({"venues": [], "concerts": document()["concerts"], "schedules": document()["schedules"]});
    api.admin(POST, "/import").json(&rest).await.ok(200);
    let shown = api.public(GET, "/schedules/s").await.ok(200);
    let api = api.kill_and_restart();
    assert_eq!(api.public(GET, "/schedules/s").await.ok(200), shown);
}

#[tokio::test]
async fn an_id_that_no_path_could_lead_to_is_refused() {
    let api = Api::start();
    for (list, field, id) in [
        ("concerts", "concertId", "available-dates"),
        ("concerts", "concertId", ".."),
        ("venues", "venueId", "."),
        ("schedules", "scheduleId", ".."),
    ] {
        let mut document = document();
        document[list][0][field] = id.into();
        let refused = api.admin(POST, "/import").json(&document).await;
        refused.names(&format!("{list}[0].{field}"));
    }
    assert_eq!((count(&api, "/venues").await, count(&api, "/concerts").await), (0, 0));
    let put = api.admin(PUT, "/concerts/available-dates").json(&concert()).await;
    put.refused(405, "method_not_allowed");
}
