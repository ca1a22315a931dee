//! The seat map as a document: its keys, its tag, compressed, narrowed.

use serde_json::{Value, json};

use crate::{Api, GET, POST, PUT, keys_of, put_concert, schedule, seat_ids, text};

const MAP: &str = "/schedules/s/seats";

#[tokio::test]
async fn a_map_has_every_seat_with_its_place_its_price_and_its_status_and_never_who_holds_it() {
    let api = Api::start();
    put_concert(&api).await;
    api.admin(PUT, "/schedules/s").json(&schedule()).await.ok(201);
    api.admin(POST, "/schedules/s/open").await.ok(200);
    api.admin(POST, "/schedules/s/block").json(&json!({"seats": ["1-A-2-3"]})).await.ok(200);
    api.hold("somebody-else", &[2]).await.ok(201);
    let answer = api.public(GET, MAP).await;
    assert!(!String::from_utf8_lossy(&answer.bytes).contains("somebody-else"));
    assert_eq!(answer.header("content-type"), "application/json");
    let map = answer.ok(200);
    assert_eq!(keys_of(&map), ["scheduleId", "seats", "version"]);
    assert_eq!(map["scheduleId"], "s");
    let seat = |row: &str, number: u32, grade: &str, price: u32, status: &str| {
        json!({"seatId": format!("1-A-{row}-{number}"), "section": "A", "floor": "1", "row": row,
            "number": number, "grade": grade, "price": price, "status": status})
    };
    let expected = json!([
        seat("1", 1, "R", 50_000, "available"),
        seat("1", 2, "R", 50_000, "held"),
        seat("1", 3, "R", 50_000, "available"),
        seat("1", 4, "R", 50_000, "available"),
        seat("2", 1, "S", 30_000, "available"),
        seat("2", 2, "S", 30_000, "available"),
        seat("2", 3, "S", 30_000, "blocked"),
    ]);
    assert_eq!(map["seats"], expected);
}

#[tokio::test]
async fn a_maps_tag_is_strong_and_stands_until_something_changes() {
    let api = Api::with_hall(4, json!({})).await;
    let first = api.public(GET, MAP).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{tag}");
    let ask = |tags: &str| api.public(GET, MAP).header("if-none-match", tags);
    for tags in [tag.as_str(), "*", &format!("\"other\", {tag}"), &format!("W/{tag}")] {
        let same = ask(tags).await;
        assert!(same.bytes.is_empty());
        assert_eq!(
            same.header("etag"),
            tag,
            "{tags}: the tag that a 200 would have (RFC 9110, section 15.4.5)"
        );
        same.ok(304);
    }
    ask("\"other\"").await.ok(200);
    api.hold("kim", &[1]).await.ok(201);
    let changed = ask(&tag).await;
    assert_ne!(changed.header("etag"), tag);
    assert_eq!(changed.ok(200)["seats"][0]["status"], "held");
}

#[tokio::test]
async fn a_tag_is_never_given_twice_to_different_content() {
    let api = Api::with_hall(4, json!({})).await;
    let filtered = "/schedules/s/seats?status=held";
    let (whole, narrow) = (api.public(GET, MAP).await, api.public(GET, filtered).await);
    assert_ne!(whole.bytes, narrow.bytes);
    // A tag names one representation of one address; the answers of two addresses are never mixed up.
    let again = api.public(GET, filtered).header("if-none-match", narrow.header("etag")).await;
    assert_eq!(again.status, 304);
    let hold = api.hold("kim", &[1]).await.ok(201);
    let tag_while_held = api.public(GET, MAP).await.header("etag").to_owned();
    api.user("kim", crate::DELETE, &crate::path_of(&hold)).await.ok(200);
    let released = api.public(GET, MAP).await;
    assert_eq!(released.ok(200)["seats"], whole.body["seats"]);
    let api = api.kill_and_restart();
    let restarted = api.public(GET, MAP).header("if-none-match", &tag_while_held).await;
    restarted.ok(200);
}

#[tokio::test]
async fn a_client_that_reads_gzip_gets_the_same_map_compressed() {
    let api = Api::with_hall(200, json!({})).await;
    let plain = api.public(GET, MAP).await;
    let client = reqwest::Client::builder().no_gzip().build().unwrap();
    let url = format!("{}/api/v1{MAP}", api.server.url);
    let get = |coding: &'static str| client.get(&url).header("accept-encoding", coding).send();
    for refused in [
        "identity",
        "br",
        "gzip;q=0",
        "gzip; q=0.000",
        "gzip;q=0, *",
        "*, gzip;q=0",
        "GZIP;Q=0, *;q=1",
        "x-gzip;q=0, *",
        "*;q=0",
        "br, *;q=0.0",
        "identity;q=0.5, *;q=0",
    ] {
        let response = get(refused).await.unwrap();
        assert!(!response.headers().contains_key("content-encoding"), "{refused}");
        assert_eq!(response.bytes().await.unwrap(), plain.bytes);
    }
    for wanted in ["gzip;q=0.001, *;q=0", "*", "br;q=1.0, *;q=0.1", "x-gzip", "gzip;q=1"] {
        assert_eq!(get(wanted).await.unwrap().headers()["content-encoding"], "gzip", "{wanted}");
    }
    let response = get("br, gzip").await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let vary = response.headers()["vary"].to_str().unwrap().to_ascii_lowercase();
    assert!(vary.contains("accept-encoding"), "{vary}");
    let tag = response.headers()["etag"].clone();
    let compressed = response.bytes().await.unwrap();
    assert!(compressed.len() * 5 < plain.bytes.len());
    let mut opened = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&compressed[..]), &mut opened).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&opened).unwrap(), plain.body);
    let same = client.get(&url).header("accept-encoding", "gzip").header("if-none-match", tag).send();
    assert_eq!(same.await.unwrap().status(), 304);
}

#[tokio::test]
async fn a_map_is_narrowed_by_status_and_grade() {
    let api = Api::start();
    put_concert(&api).await;
    api.admin(PUT, "/schedules/s").json(&schedule()).await.ok(201);
    api.admin(POST, "/schedules/s/open").await.ok(200);
    api.hold("kim", &[2]).await.ok(201);
    api.admin(POST, "/schedules/s/block").json(&json!({"seats": ["1-A-2-2"]})).await.ok(200);
    let narrowed = async |query: &str| {
        let map = api.public(GET, &format!("{MAP}?{query}")).await.ok(200);
        assert_eq!(keys_of(&map), ["scheduleId", "seats", "version"]);
        let seats = map["seats"].as_array().unwrap();
        seats.iter().map(|seat| text(&seat["seatId"])).collect::<Vec<_>>()
    };
    assert_eq!(narrowed("status=held").await, seat_ids(&[2]));
    assert_eq!(narrowed("status=available&grade=R").await, seat_ids(&[1, 3, 4]));
    assert_eq!(narrowed("grade=S").await, ["1-A-2-1", "1-A-2-2", "1-A-2-3"]);
    assert_eq!(narrowed("status=blocked").await, ["1-A-2-2"]);
    assert!(narrowed("status=reserved").await.is_empty());
    api.public(GET, &format!("{MAP}?status=free")).await.names("status");
    api.public(GET, &format!("{MAP}?grade=Z")).await.names("grade");
}
