//! Looking back: what happened to a schedule and its seats, and how they were at an instant.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::server::is_log_local;
use crate::{Api, DELETE, GET, PATCH, POST, PUT, path_of, seat_ids, soon, text};

/// Changes a letter of what the oldest generation of a journal has.
fn damage_the_oldest_generation(data: &Path) {
    let mut generations: Vec<_> =
        fs::read_dir(data.join("journal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    generations.sort();
    assert!(generations.len() > 1, "{generations:?}");
    let store = generations[0].join("db");
    let mut bytes = fs::read(&store).unwrap();
    let at = bytes.windows(6).position(|six| six == b"kimkim").unwrap();
    bytes[at] ^= 1;
    fs::write(&store, bytes).unwrap();
}

async fn items(api: &Api, query: &str) -> Vec<Value> {
    let path = format!("/admin/schedules/s/history{query}");
    api.admin(GET, &path).await.ok(200)["items"].as_array().unwrap().clone()
}

fn kinds(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| text(&item["type"])).collect()
}

/// The statuses of all seats at an instant.
async fn at(api: &Api, instant: &str) -> Vec<String> {
    let map = api.admin(GET, &format!("/admin/schedules/s/seats?at={instant}")).await.ok(200);
    assert_eq!(map["scheduleId"], "s");
    map["seats"].as_array().unwrap().iter().map(|seat| text(&seat["status"])).collect()
}

#[tokio::test]
async fn a_history_says_who_what_when_and_where_in_the_journal() {
    let api = Api::with_hall(4, json!({})).await;
    let held = api.hold("kim", &[1, 2]).await.ok(201);
    let body = json!({"seats": seat_ids(&[2, 3])});
    api.user("kim", PATCH, &path_of(&held)).json(&body).await.ok(200);
    api.user("kim", DELETE, &path_of(&held)).await.ok(200);
    api.hold("lee", &[3]).await.ok(201);
    api.admin(POST, "/schedules/s/block").json(&json!({"seats": seat_ids(&[4])})).await.ok(200);
    let all = items(&api, "").await;
    assert_eq!(
        kinds(&all),
        [
            "SeatsBlocked",
            "SeatsHeld",
            "HoldReleased",
            "SeatsExchanged",
            "SeatsHeld",
            "SalesOpened",
            "Created"
        ],
        "the newest first"
    );
    let positions: Vec<u64> = all.iter().map(|item| item["position"].as_u64().unwrap()).collect();
    assert!(positions.is_sorted_by(|one, next| one > next), "{positions:?}");
    for item in &all {
        assert!(crate::is_instant(&item["at"]), "{item}");
    }
    for item in &all[2..5] {
        assert_eq!(item["data"]["userId"], "kim", "{item}");
        assert_eq!(item["data"]["reservationId"], held["reservationId"]);
    }
    assert_eq!(all[4]["at"], held["createdAt"]);
    assert_eq!(all[4]["data"]["seats"], json!(seat_ids(&[1, 2])));
    assert_eq!(items(&api, "?limit=2").await, all[..2]);
    let of_seat = |seat: u32| format!("?seatId=1-A-1-{seat}");
    assert_eq!(kinds(&items(&api, &of_seat(1)).await), ["SeatsExchanged", "SeatsHeld"]);
    assert_eq!(kinds(&items(&api, &of_seat(3)).await), ["SeatsHeld", "HoldReleased", "SeatsExchanged"]);
    assert_eq!(kinds(&items(&api, &of_seat(4)).await), ["SeatsBlocked"]);
    let problem = api.admin(GET, "/admin/schedules/s/history?seatId=none").await.refused(422, "unknown_seat");
    assert_eq!(problem["seats"], json!(["none"]));
    api.admin(GET, "/admin/schedules/none/history").await.refused(404, "not_found");
    api.admin(GET, "/admin/schedules/s/history?limit=0").await.names("limit");
    let api = api.kill_and_restart();
    let after = items(&api, "").await;
    assert_eq!(after[after.len() - all.len()..], all, "what happened stays as it was");
}

#[tokio::test]
async fn the_map_is_shown_as_it_was_at_an_instant() {
    let api = Api::with_hall(4, json!({})).await;
    let first = api.hold("kim", &[1, 2]).await.ok(201);
    let held_at = text(&first["createdAt"]);
    api.user("kim", DELETE, &path_of(&first)).await.ok(200);
    // The release is later than the hold by a millisecond at least, so that an instant lies between.
    let released_at = soon(async {
        loop {
            let next = api.hold("kim", &[4]).await.ok(201);
            api.user("kim", DELETE, &path_of(&next)).await.ok(200);
            if text(&next["createdAt"]) > held_at {
                break text(&next["createdAt"]);
            }
        }
    })
    .await;
    assert_eq!(at(&api, &released_at).await[..2], ["available", "available"]);
    let before = held_at.parse::<jiff::Timestamp>().unwrap() - jiff::SignedDuration::from_secs(3600);
    api.admin(GET, &format!("/admin/schedules/s/seats?at={before:.3}")).await.refused(404, "not_found");
    api.admin(GET, "/admin/schedules/s/seats").await.names("at");
    api.admin(GET, "/admin/schedules/s/seats?at=yesterday").await.names("at");
    api.admin(GET, &format!("/admin/schedules/none/seats?at={held_at}")).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_hold_is_seen_in_the_past_until_its_deadline_and_not_from_it_on() {
    let api = Api::with_hall(2, json!({"holdSeconds": 1})).await;
    let held = api.hold("kim", &[1]).await.ok(201);
    soon(async { while api.user("kim", GET, &path_of(&held)).await.ok(200)["status"] == "held" {} }).await;
    let deadline: jiff::Timestamp = text(&held["expiresAt"]).parse().unwrap();
    let last = deadline - jiff::SignedDuration::from_millis(1);
    for instant in [text(&held["createdAt"]), format!("{last:.3}")] {
        assert_eq!(at(&api, &instant).await, ["held", "available"], "{instant}");
    }
    assert_eq!(at(&api, &format!("{deadline:.3}")).await, ["available"; 2]);
    api.admin(POST, "/admin/snapshots").await.ok(200);
    assert_eq!(at(&api, &format!("{last:.3}")).await, ["held", "available"], "a snapshot changes no past");
}

#[tokio::test]
async fn what_is_no_longer_kept_is_gone_and_says_what_is() {
    let api = Api::start_with(&[("ONSALE_JOURNAL_RETAIN", "snapshot")]);
    api.server.prepare(8, json!({"maxSeatsPerUser": 8})).await;
    let long_ago = text(&api.hold("kim", &[1]).await.ok(201)["createdAt"]);
    for seat in 2..=5 {
        api.hold("kim", &[seat]).await.ok(201);
        api.admin(POST, "/admin/snapshots").await.ok(200);
    }
    let problem = api.admin(GET, "/events?after=0").await.refused(410, "not_retained");
    let oldest = problem["oldestPosition"].as_u64().unwrap();
    assert!(oldest > 1);
    let path = format!("/admin/schedules/s/seats?at={long_ago}");
    let problem = api.admin(GET, &path).await.refused(410, "not_retained");
    assert_eq!(problem["oldestPosition"], oldest);
    let feed = api.admin(GET, &format!("/events?after={}", oldest - 1)).open().await;
    assert_eq!(crate::events::Stream::new(feed).must().await.position(), oldest);
    assert_eq!(api.statuses().await[..6], ["held", "held", "held", "held", "held", "available"]);
}

#[tokio::test]
async fn what_is_damaged_is_no_bug_and_the_sale_goes_on() {
    if !is_log_local("the files of a journal") {
        return;
    }
    let api = Api::with_hall(4, json!({})).await;
    api.hold("kimkim", &[1]).await.ok(201);
    let at = text(&api.hold("lee", &[2]).await.ok(201)["createdAt"]);
    api.admin(POST, "/admin/snapshots").await.ok(200);

    // A start needs the newest generation alone.
    let api = api.kill_and_restart_after(damage_the_oldest_generation);
    api.hold("lee", &[3]).await.ok(201);
    let map = format!("/admin/schedules/s/seats?at={at}");
    for path in ["/admin/schedules/s/history", &map, "/events", "/events?after=0"] {
        let told = text(&api.admin(GET, path).await.refused(503, "journal_unavailable")["detail"]);
        assert!(told.contains("generation 1") && told.contains("onsale verify"), "{path}: {told}");
    }
    let metrics = soon(api.root(GET, "/metrics").into_future()).await.bytes;
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(metrics.contains("\nonsale_journal_read_failures_total 4\n"));
}

#[tokio::test]
async fn the_feed_tells_what_is_sound_also_where_the_names_of_a_removed_schedule_are_damaged() {
    if !is_log_local("the files of a journal") {
        return;
    }
    let api = Api::with_hall(4, json!({})).await;
    let concert = text(&api.root(GET, "/api/v1/schedules/s").await.ok(200)["concertId"]);
    api.hold("kimkim", &[1]).await.ok(201);
    let body =
        json!({"concertId": concert, "startsAt": "2099-01-01T10:00:00Z", "endsAt": "2099-01-01T12:00:00Z"});
    api.admin(PUT, "/schedules/gone").json(&body).await.ok(201);
    let taken = api.admin(POST, "/admin/snapshots").await.ok(200)["position"].as_u64().unwrap();
    assert_eq!(api.admin(DELETE, "/schedules/gone").await.status, 204);

    let names = |events: &[crate::events::Event]| -> Vec<Value> {
        let deleted = events.iter().filter(|event| event.kind == "Deleted");
        deleted.map(|event| event.data["data"]["scheduleId"].clone()).collect()
    };
    assert_eq!(names(&crate::feed::read(&api, taken).await), ["gone"]);
    let api = api.kill_and_restart_after(damage_the_oldest_generation);
    assert_eq!(names(&crate::feed::read(&api, taken).await), [Value::Null], "nobody knows its name any more");
}

#[tokio::test]
async fn a_reader_that_comes_late_learns_the_names_of_all_schedules_that_were_removed() {
    const REMOVED: usize = 40;
    let api = Api::with_hall(4, json!({})).await;
    let concert = text(&api.root(GET, "/api/v1/schedules/s").await.ok(200)["concertId"]);
    let body =
        json!({"concertId": concert, "startsAt": "2099-01-01T10:00:00Z", "endsAt": "2099-01-01T12:00:00Z"});
    let ids: Vec<String> = (0..=REMOVED).map(|number| format!("gone-{number}")).collect();
    for id in &ids {
        api.admin(PUT, &format!("/schedules/{id}")).json(&body).await.ok(201);
    }
    let taken = api.admin(POST, "/admin/snapshots").await.ok(200)["position"].as_u64().unwrap();
    for id in &ids[..REMOVED] {
        assert_eq!(api.admin(DELETE, &format!("/schedules/{id}")).await.status, 204);
    }

    let feed = api.admin(GET, &format!("/events?after={taken}")).open().await;
    let mut feed = crate::events::Stream::new(feed);
    let mut told = Vec::new();
    while told.len() < REMOVED {
        let event = feed.must().await;
        if event.kind == "Deleted" {
            told.push(text(&event.data["data"]["scheduleId"]));
        }
    }
    assert_eq!(told, ids[..REMOVED]);

    // One that is removed while the reader follows is among those that it looks for anew.
    assert_eq!(api.admin(DELETE, &format!("/schedules/{}", ids[REMOVED])).await.status, 204);
    while told.len() <= REMOVED {
        let event = feed.must().await;
        if event.kind == "Deleted" {
            told.push(text(&event.data["data"]["scheduleId"]));
        }
    }
    assert_eq!(told[REMOVED], ids[REMOVED]);
}
