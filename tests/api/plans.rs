//! The plan of a venue, and the map as a vector that follows its order.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{Api, GET, POST, PUT, keys_of, schedule, text, venue, with};

const VECTOR: &str = "/schedules/s/seats?shape=vector";

/// [`crate::venue`] with a plan.
fn planned() -> Value {
    let rows = json!([
        {"rowId": "1", "grade": "R", "length": 4, "at": [3.5, 12], "step": [0.6, 0]},
        {"rowId": "2", "grade": "S", "seats": [
            {"seatId": "1-A-2-1", "seatNumber": 1, "x": 3.1, "y": 13, "accessible": true},
            {"seatId": "1-A-2-2", "seatNumber": 2, "companionOf": "1-A-2-1", "restrictedView": true},
            {"seatId": "1-A-2-3", "seatNumber": 3}]},
    ]);
    let outline = json!([[0, 8], [40, 8], [40, 20.25]]);
    let sections = json!([{"sectionId": "A", "floor": "1", "outline": outline, "rows": rows}]);
    let stage = json!({"outline": [[0, 0], [40, 0], [40, 6], [0, 6]]});
    with(with(venue(), "sections", sections), "stage", stage)
}

async fn api() -> Api {
    let api = Api::start();
    crate::put_concert(&api).await;
    api.admin(PUT, "/schedules/s").json(&schedule()).await.ok(201);
    api.admin(POST, "/schedules/s/open").await.ok(200);
    api
}

async fn plan_id(api: &Api) -> String {
    text(&api.public(GET, "/schedules/s").await.ok(200)["planId"])
}

/// Reads a vector's statuses as the contract says: two bits a seat, lowest first.
fn statuses(vector: &Value, seats: usize) -> Vec<u8> {
    let bytes = STANDARD.decode(vector["statuses"].as_str().unwrap()).unwrap();
    assert_eq!(bytes.len(), seats.div_ceil(4));
    (0..seats).map(|seat| bytes[seat / 4] >> (2 * (seat % 4)) & 0b11).collect()
}

#[tokio::test]
async fn a_plan_says_where_everything_is_and_is_kept_for_good() {
    let api = api().await;
    let put = api.admin(PUT, "/venues/v").json(&planned()).await.ok(200);
    assert_eq!(put, api.public(GET, "/venues/v").await.ok(200));
    for (name, value) in planned().as_object().unwrap() {
        assert_eq!(&put[name], value, "{name}");
    }

    let id = plan_id(&api).await;
    let answer = api.public(GET, &format!("/plans/{id}")).await;
    assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(answer.header("content-type"), "application/json");
    let tag = answer.header("etag").to_owned();
    let plan = answer.ok(200);
    let seat = |row: &str, number: u32, grade: &str, x: Value, y: u32| {
        json!({"seatId": format!("1-A-{row}-{number}"), "sectionId": "A", "floor": "1", "rowId": row, "seatNumber": number,
            "grade": grade, "x": x, "y": y})
    };
    let mut seats = vec![
        seat("1", 1, "R", json!(3.5), 12),
        seat("1", 2, "R", json!(4.1), 12),
        seat("1", 3, "R", json!(4.7), 12),
        seat("1", 4, "R", json!(5.3), 12),
        seat("2", 1, "S", json!(3.1), 13),
        seat("2", 2, "S", json!(4.1), 13),
        seat("2", 3, "S", json!(5.1), 13),
    ];
    seats[4]["accessible"] = true.into();
    seats[5]["companionOf"] = "1-A-2-1".into();
    seats[5]["restrictedView"] = true.into();
    let sections = json!([{"sectionId": "A", "floor": "1", "outline": planned()["sections"][0]["outline"]}]);
    let expected = json!({"planId": id, "stage": planned()["stage"], "sections": sections, "seats": seats});
    assert_eq!(plan, expected);

    let again = api.public(GET, &format!("/plans/{id}")).header("if-none-match", &tag).await;
    assert_eq!((again.status, again.header("etag")), (304, tag.as_str()));
    assert_eq!(again.header("cache-control"), "public, max-age=31536000, immutable");

    let client = reqwest::Client::builder().no_gzip().build().unwrap();
    let url = format!("{}/api/v1/plans/{id}", api.server.url);
    let uncompressed = client.get(&url).send().await.unwrap();
    assert!(uncompressed.headers().get("content-encoding").is_none());
    let response = client.get(&url).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_ne!(response.headers()["etag"], uncompressed.headers()["etag"]);
    let mut opened = Vec::new();
    let compressed = response.bytes().await.unwrap();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&compressed[..]), &mut opened).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&opened).unwrap(), plan);
}

#[tokio::test]
async fn a_plan_changes_while_seats_are_sold_and_has_another_id_each_time() {
    let api = api().await;
    api.hold("kim", &[1, 2]).await.ok(201);
    let put = async |body: &Value| api.admin(PUT, "/venues/v").json(body).await;
    let mut ids = vec![plan_id(&api).await];
    let mut body = planned();
    for change in [
        |_: &mut Value| {},
        |body: &mut Value| body["stage"]["outline"][0][1] = json!(-1),
        |body: &mut Value| body["sections"][0]["outline"][2] = json!([0, 20]),
        |body: &mut Value| body["sections"][0]["rows"][0]["step"] = json!([0.5, 0.1]),
        |body: &mut Value| body["sections"][0]["rows"][1]["seats"][2]["restrictedView"] = json!(true),
    ] {
        change(&mut body);
        put(&body).await.ok(200);
        let id = plan_id(&api).await;
        assert!(!ids.contains(&id));
        api.public(GET, &format!("/plans/{}", ids.last().unwrap())).await.refused(404, "not_found");
        ids.push(id);
    }
    put(&planned()).await.ok(200);
    assert_eq!(plan_id(&api).await, ids[1], "the same content has the same id");
    put(&with(planned(), "name", json!("Another name"))).await.ok(200);
    assert_eq!(plan_id(&api).await, ids[1], "a venue's name isn't on its plan");

    let seats = |edit: &dyn Fn(&mut Value)| {
        let mut body = planned();
        edit(&mut body["sections"][0]["rows"][1]);
        body
    };
    for refused in [
        seats(&|row| row["seats"][0]["seatNumber"] = json!(9)),
        seats(&|row| row["seats"][2]["seatId"] = json!("other")),
        seats(&|row| row["grade"] = json!("R")),
        seats(&|row| row["rowId"] = json!("9")),
        seats(&|row| drop(row["seats"].as_array_mut().unwrap().pop())),
    ] {
        put(&refused).await.refused(409, "in_use");
    }
    put(&seats(&|row| row["seats"][1]["companionOf"] = json!("1-A-2-3")))
        .await
        .names("sections[0].rows[1].seats[1].companionOf");
    put(&seats(&|row| row["seats"][1]["x"] = json!(1))).await.names("sections[0].rows[1].seats[1].y");
    put(&seats(&|row| row["at"] = json!([1, 1]))).await.names("sections[0].rows[1].step");
    put(&seats(&|row| row["at"] = json!([1]))).await.names("sections[0].rows[1].at");
    assert_eq!(plan_id(&api).await, ids[1], "what is refused changes nothing");

    let schedule = api.public(GET, "/schedules/s").await.ok(200);
    assert_eq!(schedule["seats"]["held"], 2);
    api.admin(PUT, "/schedules/s").json(&schedule).await.ok(200);
    api.admin(PUT, "/schedules/s").json(&with(schedule, "planId", json!(ids[0]))).await.names("planId");

    let api = api.kill_and_restart();
    assert_eq!(plan_id(&api).await, ids[1], "also after a crash");
    api.public(GET, &format!("/plans/{}", ids[1])).await.ok(200);
}

#[tokio::test]
async fn what_is_no_plan_is_not_found() {
    let api = api().await;
    for id in ["0", "00000000000000000000000000000000", "0000000000000000000000000000000g"] {
        api.public(GET, &format!("/plans/{id}")).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn equal_venues_share_a_plan_and_one_without_coordinates_has_one_too() {
    let api = api().await;
    let id = plan_id(&api).await;
    let plan = api.public(GET, &format!("/plans/{id}")).await.ok(200);
    assert_eq!(keys_of(&plan), ["planId", "seats", "sections"]);
    let places = plan["seats"].as_array().unwrap().iter().map(|seat| (seat["x"].clone(), seat["y"].clone()));
    let places: Vec<_> = places.collect();
    assert_eq!(places[0], (json!(0.5), json!(0.5)));
    assert_eq!(places[4], (json!(1), json!(1.5)));

    api.admin(PUT, "/venues/w").json(&venue()).await.ok(201);
    let concert = with(crate::concert(), "venueId", json!("w"));
    api.admin(PUT, "/concerts/d").json(&concert).await.ok(201);
    let other = with(schedule(), "concertId", json!("d"));
    assert_eq!(api.admin(PUT, "/schedules/t").json(&other).await.ok(201)["planId"], id);
    api.admin(PUT, "/venues/v").json(&planned()).await.ok(200);
    api.public(GET, &format!("/plans/{id}")).await.ok(200);
}

#[tokio::test]
async fn a_vector_says_of_each_seat_what_the_map_says() {
    let api = api().await;
    let map = async || {
        let map = api.public(GET, "/schedules/s/seats").await.ok(200);
        let vector = api.public(GET, VECTOR).await.ok(200);
        assert_eq!(keys_of(&vector), ["planId", "scheduleId", "statuses", "version"]);
        assert_eq!((&vector["scheduleId"], &vector["version"]), (&map["scheduleId"], &map["version"]));
        assert_eq!(text(&vector["planId"]), plan_id(&api).await);
        let words = ["available", "held", "reserved", "blocked"];
        let seats = map["seats"].as_array().unwrap();
        let expected: Vec<&str> = seats.iter().map(|seat| seat["status"].as_str().unwrap()).collect();
        let bits = statuses(&vector, seats.len());
        assert_eq!(bits.iter().map(|bits| words[usize::from(*bits)]).collect::<Vec<_>>(), expected);
        bits
    };
    assert_eq!(map().await, [0; 7]);
    let hold = api.hold("kim", &[2, 4]).await.ok(201);
    assert_eq!(map().await, [0, 1, 0, 1, 0, 0, 0]);
    api.admin(POST, "/schedules/s/block").json(&json!({"seats": ["1-A-2-3"]})).await.ok(200);
    api.hold("lee", &[1]).await.ok(201);
    assert_eq!(map().await, [1, 1, 0, 1, 0, 0, 3]);
    api.user("kim", crate::DELETE, &crate::path_of(&hold)).await.ok(200);
    assert_eq!(map().await, [1, 0, 0, 0, 0, 0, 3]);
    let charge = api.admin(POST, "/users/lee/balance").json(&json!({"amount": 500_000}));
    charge.await.ok(201);
    let lee = api.user("lee", GET, "/reservations").await.ok(200)["items"][0]["reservationId"].clone();
    let payment = json!({"reservationId": lee, "method": "balance"});
    api.user("lee", POST, "/payments").header("idempotency-key", "k").json(&payment).await.ok(201);
    assert_eq!(map().await, [2, 0, 0, 0, 0, 0, 3]);
    // An exchange moves several at once.
    let hold = api.hold("kim", &[2, 3]).await.ok(201);
    let exchange = json!({"seats": ["1-A-1-3", "1-A-2-1"]});
    api.user("kim", crate::PATCH, &crate::path_of(&hold)).json(&exchange).await.ok(200);
    assert_eq!(map().await, [2, 0, 1, 0, 1, 0, 3]);
}

#[tokio::test]
async fn a_vectors_tag_stands_until_a_seat_or_the_plan_changes() {
    let api = api().await;
    let first = api.public(GET, VECTOR).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"'), "a strong one");
    assert_eq!(first.header("cache-control"), "no-cache");
    let ask = |tag: &str| api.public(GET, VECTOR).header("if-none-match", tag);
    assert_eq!(ask(&tag).await.status, 304);
    let list = api.public(GET, "/schedules/s/seats").await;
    assert_ne!(list.header("etag"), tag, "another answer has another tag");

    api.hold("kim", &[1]).await.ok(201);
    let held = ask(&tag).await;
    let held_tag = held.header("etag").to_owned();
    held.ok(200);
    assert_eq!(ask(&held_tag).await.status, 304);
    api.admin(PUT, "/venues/v").json(&planned()).await.ok(200);
    let replanned = ask(&held_tag).await.ok(200);
    assert_eq!(text(&replanned["planId"]), plan_id(&api).await);

    for narrowed in ["status=held", "grade=R"] {
        let field = narrowed.split('=').next().unwrap();
        api.public(GET, &format!("{VECTOR}&{narrowed}")).await.names(field);
    }
    api.public(GET, "/schedules/s/seats?shape=round").await.refused(422, "invalid_request");
    api.public(GET, "/schedules/nowhere/seats?shape=vector").await.refused(404, "not_found");
}
