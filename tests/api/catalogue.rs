//! Venues and concerts: put, read, listed, removed, refused.

use std::future::IntoFuture as _;

use serde_json::{Value, json};

use crate::{Api, DELETE, GET, POST, PUT, concert, keys_of, put_concert, schedule, venue, with};

#[tokio::test]
async fn a_venue_is_put_whole_and_read_back() {
    let api = Api::start();
    let put = api.admin(PUT, "/venues/v").json(&venue()).await.ok(201);
    let read = api.public(GET, "/venues/v").await.ok(200);
    assert_eq!(put, read);
    for (name, value) in venue().as_object().unwrap() {
        assert_eq!(&read[name], value, "{name}");
    }
    assert_eq!(read["venueId"], "v");
    let other = with(
        venue(),
        "sections",
        json!([{"sectionId": "Z", "floor": "2", "rows": [
        {"rowId": "1", "grade": "R", "seats": [{"seatId": "left", "seatNumber": 1}, {"seatId": "right", "seatNumber": 2}]}]}]),
    );
    api.admin(PUT, "/venues/v").json(&other).await.ok(200);
    let read = api.public(GET, "/venues/v").await.ok(200);
    assert_eq!(read["sections"], other["sections"], "the whole is replaced");
    api.admin(PUT, "/venues/v").json(&other).await.ok(200);
}

#[tokio::test]
async fn what_a_venue_cannot_be_is_refused_with_the_field() {
    let api = Api::start();
    let put = |body: &Value| api.admin(PUT, "/venues/v").json(body);
    let rows =
        |rows: Value| with(venue(), "sections", json!([{"sectionId": "A", "floor": "1", "rows": rows}]));
    for name in ["name", "timeZone", "sections"] {
        put(&with(venue(), name, Value::Null)).await.names(name);
    }
    put(&with(venue(), "timeZone", json!("Nowhere/City"))).await.names("timeZone");
    put(&with(venue(), "name", json!(7))).await.names("name");
    let no_length = json!([{"rowId": "1", "grade": "R"}]);
    let both =
        json!([{"rowId": "1", "grade": "R", "length": 1, "seats": [{"seatId": "x", "seatNumber": 1}]}]);
    let none = json!([{"rowId": "1", "grade": "R", "length": 0}]);
    let negative = json!([{"rowId": "1", "grade": "R", "length": -1}]);
    let endless = json!([{"rowId": "1", "grade": "R", "length": 4_000_000_000_u64}]);
    let twice = json!([{"rowId": "1", "grade": "R", "length": 2}, {"rowId": "1", "grade": "R", "length": 2}]);
    let same_id = json!([{"rowId": "1", "grade": "R", "seats": [
        {"seatId": "x", "seatNumber": 1}, {"seatId": "x", "seatNumber": 2}]}]);
    for wrong in [no_length, both, none, negative, endless, twice, same_id] {
        let problem = put(&rows(wrong.clone())).await.refused(422, "invalid_request");
        let field = problem["errors"][0]["field"].as_str().unwrap();
        assert!(field.starts_with("sections[0].rows["), "{wrong}: {field}");
    }
    api.public(GET, "/venues/v").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_section_is_known_by_floor_and_id_together() {
    let api = Api::start();
    let section = |floor: &str| json!({"sectionId": "A", "floor": floor, "rows": [{"rowId": "1", "grade": "R", "length": 2}]});
    let two = |one, other| with(venue(), "sections", json!([section(one), section(other)]));
    api.admin(PUT, "/venues/v").json(&two("1", "2")).await.ok(201);
    api.admin(PUT, "/venues/w").json(&two("1", "1")).await.refused(422, "invalid_request");
}

#[tokio::test]
async fn a_concert_is_put_read_back_and_every_grade_of_its_venue_has_a_price() {
    let api = Api::start();
    api.admin(PUT, "/concerts/c").json(&concert()).await.names("venueId");
    put_concert(&api).await;
    let full = json!({"title": "Show", "artist": "Someone", "venueId": "v", "currency": "KRW", "description": "A show.",
        "posterUrl": "https://posters.example/1.png", "cast": {"charlie": ["김호영", "이석훈"]}, "grades": [
            {"grade": "R", "price": 50_000, "color": "#FF0000", "description": "near"},
            {"grade": "S", "price": 30_000, "color": "#00FF00"}]});
    api.admin(PUT, "/concerts/c").json(&full).await.ok(200);
    let read = api.public(GET, "/concerts/c").await.ok(200);
    for (name, value) in full.as_object().unwrap() {
        assert_eq!(&read[name], value, "{name}");
    }
    assert_eq!(read["concertId"], "c");
    let put = |body: &Value| api.admin(PUT, "/concerts/d").json(body);
    for name in ["title", "artist", "venueId", "currency", "grades"] {
        put(&with(concert(), name, Value::Null)).await.names(name);
    }
    put(&with(concert(), "venueId", json!("nowhere"))).await.names("venueId");
    put(&with(concert(), "currency", json!("won"))).await.names("currency");
    put(&with(concert(), "title", json!(7))).await.names("title");
    let priced = |grades: Value| with(concert(), "grades", grades);
    let only_one = put(&priced(json!([{"grade": "R", "price": 1, "color": "#FF0000"}]))).await;
    only_one.names("grades");
    let negative = json!([{"grade": "R", "price": -1, "color": "#FF0000"}, {"grade": "S", "price": 1, "color": "#FF0000"}]);
    put(&priced(negative)).await.names("grades[0].price");
    let twice = json!([{"grade": "R", "price": 1, "color": "#FF0000"}, {"grade": "S", "price": 1, "color": "#FF0000"},
        {"grade": "R", "price": 2, "color": "#FF0000"}]);
    put(&priced(twice)).await.refused(422, "invalid_request");
    api.public(GET, "/concerts/d").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_venue_that_a_schedule_uses_changes_its_name_and_address_alone() {
    let api = Api::with_hall(4, json!({})).await;
    let standing = api.public(GET, "/venues/v").await.ok(200);
    let document = |name: &str, value: Value| {
        let body = with(with(standing.clone(), "venueId", Value::Null), "seats", Value::Null);
        with(body, name, value)
    };
    let put = |body: Value| api.admin(PUT, "/venues/v").json(&body).into_future();
    put(document("name", json!("New name"))).await.ok(200);
    put(document("address", json!("2 Street"))).await.ok(200);
    let sections =
        json!([{"sectionId": "A", "floor": "1", "rows": [{"rowId": "1", "grade": "R", "length": 5}]}]);
    put(document("sections", sections)).await.refused(409, "in_use");
    put(document("timeZone", json!("Asia/Seoul"))).await.refused(409, "in_use");
    let hold = api.hold("kim", &[1]).await.ok(201);
    assert_eq!(hold["venue"], "Hall", "the last put was of the first name");
    put(document("name", json!("New name"))).await.ok(200);
    assert_eq!(api.user("kim", GET, &crate::path_of(&hold)).await.ok(200)["venue"], "New name");
}

#[tokio::test]
async fn prices_stand_once_a_sale_has_opened_and_venue_and_currency_once_there_is_a_schedule() {
    let api = Api::start();
    put_concert(&api).await;
    api.admin(PUT, "/venues/w").json(&venue()).await.ok(201);
    let put = |body: Value| api.admin(PUT, "/concerts/c").json(&body).into_future();
    put(with(concert(), "currency", json!("USD"))).await.ok(200);
    put(with(concert(), "venueId", json!("w"))).await.ok(200);
    put(concert()).await.ok(200);
    api.admin(PUT, "/schedules/s").json(&schedule()).await.ok(201);
    put(with(concert(), "currency", json!("USD"))).await.refused(409, "in_use");
    put(with(concert(), "venueId", json!("w"))).await.refused(409, "in_use");
    let mut dearer = concert();
    dearer["grades"][0]["price"] = json!(60_000);
    put(dearer.clone()).await.ok(200);
    let map = api.public(GET, "/schedules/s/seats").await.ok(200);
    assert_eq!(map["seats"][0]["price"], 60_000, "before the sale the price may change");
    api.admin(POST, "/schedules/s/open").await.ok(200);
    put(concert()).await.refused(409, "in_use");
    put(with(dearer, "title", json!("Another title"))).await.ok(200);
    let map = api.public(GET, "/schedules/s/seats").await.ok(200);
    assert_eq!(map["seats"][0]["price"], 60_000);
}

#[tokio::test]
async fn a_thing_is_removed_while_nothing_uses_it() {
    let api = Api::start();
    let delete = |path: &'static str| api.admin(DELETE, path).into_future();
    for path in ["/venues/v", "/concerts/c", "/schedules/s"] {
        delete(path).await.refused(404, "not_found");
    }
    put_concert(&api).await;
    api.admin(PUT, "/schedules/s").json(&schedule()).await.ok(201);
    delete("/venues/v").await.refused(409, "in_use");
    delete("/concerts/c").await.refused(409, "in_use");
    api.admin(POST, "/schedules/s/open").await.ok(200);
    let hold = api.hold("kim", &[1]).await.ok(201);
    delete("/schedules/s").await.refused(409, "in_use");
    api.user("kim", DELETE, &crate::path_of(&hold)).await.ok(200);
    for path in ["/schedules/s", "/concerts/c", "/venues/v"] {
        let gone = delete(path).await;
        assert!(gone.bytes.is_empty());
        gone.ok(204);
        api.public(GET, path).await.refused(404, "not_found");
        delete(path).await.refused(404, "not_found");
    }
    api.public(GET, "/schedules/s/seats").await.refused(404, "not_found");
    api.user("kim", GET, &crate::path_of(&hold)).await.refused(404, "not_found");
    api.hold("kim", &[1]).await.refused(404, "not_found");
}

#[tokio::test]
async fn catalogue_lists_are_paged_without_gap_or_repetition() {
    let api = Api::start();
    for index in 0..5 {
        api.admin(PUT, &format!("/venues/v{index}")).json(&venue()).await.ok(201);
        let concert = with(concert(), "venueId", json!(format!("v{index}")));
        api.admin(PUT, &format!("/concerts/c{index}")).json(&concert).await.ok(201);
    }
    for (path, id) in [("/venues", "venueId"), ("/concerts", "concertId")] {
        let mut seen = Vec::new();
        let mut query = "?limit=2".to_owned();
        loop {
            let page = api.public(GET, &format!("{path}{query}")).await.ok(200);
            assert_eq!(keys_of(&page), ["items", "nextCursor"]);
            let items = page["items"].as_array().unwrap();
            assert!((1..=2).contains(&items.len()));
            seen.extend(items.iter().map(|item| crate::text(&item[id])));
            let Some(cursor) = page["nextCursor"].as_str() else { break };
            query = format!("?limit=2&cursor={cursor}");
        }
        let all = api.public(GET, path).await.ok(200);
        let all: Vec<String> =
            all["items"].as_array().unwrap().iter().map(|item| crate::text(&item[id])).collect();
        assert_eq!((seen.len(), &seen), (5, &all), "{path}");
    }
}

#[tokio::test]
async fn a_venue_that_gets_a_grade_without_a_price_sells_no_seat_of_it() {
    let api = Api::start();
    put_concert(&api).await;
    let rows =
        json!([{"rowId": "1", "grade": "R", "length": 4}, {"rowId": "2", "grade": "New", "length": 3}]);
    let other = with(venue(), "sections", json!([{"sectionId": "A", "floor": "1", "rows": rows}]));
    let replaced = api.admin(PUT, "/venues/v").json(&other).await;
    if replaced.status == 200 {
        api.admin(PUT, "/schedules/s").json(&schedule()).await.refused(422, "invalid_request");
    } else {
        assert!([409, 422].contains(&replaced.status), "{}", replaced.body);
        api.admin(PUT, "/schedules/s").json(&schedule()).await.ok(201);
    }
}

#[tokio::test]
async fn what_get_gives_of_a_schedule_can_be_put_again_and_imported() {
    let api = Api::with_hall(4, json!({"queue": {"maxActive": 7}})).await;
    api.admin(POST, "/schedules/s/block").json(&json!({"seats": ["1-A-1-1"]})).await.ok(200);
    let schedule = api.public(GET, "/schedules/s").await.ok(200);
    assert_eq!((&schedule["status"], &schedule["seats"]["blocked"]), (&json!("open"), &json!(1)));
    assert_eq!(api.admin(PUT, "/schedules/s").json(&schedule).await.ok(200), schedule);
    let mut changed = schedule.clone();
    changed["policy"]["holdSeconds"] = 60.into();
    assert_eq!(api.admin(PUT, "/schedules/s").json(&changed).await.ok(200), changed, "with changes, too");
    api.admin(POST, "/import").json(&json!({"schedules": [changed]})).await.ok(200);

    let read_only = ["currency", "seats", "status", "venueId", "version"];
    let others = [json!("USD"), json!({"available": 4, "held": 0, "reserved": 0, "blocked": 0, "total": 4})];
    let others = [&others[..], &[json!("closed"), json!("w"), json!(99)]].concat();
    let mut wrong = changed.clone();
    for (name, value) in read_only.iter().zip(others) {
        wrong[name] = value.clone();
        api.admin(PUT, "/schedules/s").json(&with(changed.clone(), name, value)).await.names(name);
    }
    wrong["endsAt"] = "tomorrow".into();
    let refused = api.admin(PUT, "/schedules/s").json(&wrong).await;
    let errors = refused.body["errors"].as_array().unwrap();
    let mut named: Vec<&str> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, ["currency", "endsAt", "seats", "status", "venueId", "version"], "all at once");
    let imported = api.admin(POST, "/import").json(&json!({"schedules": [wrong]})).await;
    imported.names("schedules[0].version");
    // Of one that isn't there yet nothing is true.
    let fresh = with(changed, "scheduleId", json!("t"));
    api.admin(PUT, "/schedules/t").json(&fresh).await.names("status");
}
