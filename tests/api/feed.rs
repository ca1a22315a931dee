//! The journal as a feed of `CloudEvents`: in order, none left out, resumable, without a secret.

use std::collections::BTreeSet;

use serde_json::json;

use crate::events::{Event, Stream};
use crate::server::{ADMIN, SECRET, token};
use crate::{Api, DELETE, GET, PATCH, POST, hold_of, is_instant, path_of, seat_ids, text};

async fn follow(api: &Api, after: u64) -> Stream {
    Stream::new(api.admin(GET, &format!("/events?after={after}")).open().await)
}

/// Reads from a position up to what is durable now.
pub(crate) async fn read(api: &Api, after: u64) -> Vec<Event> {
    let last = api.admin(GET, "/admin/overview").await.ok(200)["journal"]["position"].as_u64().unwrap();
    let mut stream = follow(api, after).await;
    let mut events: Vec<Event> = Vec::new();
    while events.last().map_or(after, Event::position) < last {
        events.push(stream.must().await);
    }
    events
}

#[tokio::test]
async fn the_feed_is_cloudevents_in_order_with_their_positions_and_any_of_them_resumes_it() {
    let api = Api::with_hall(4, json!({})).await;
    let held = api.hold("kim", &[1]).await.ok(201);
    let body = json!({"seats": seat_ids(&[2])});
    api.user("kim", PATCH, &path_of(&held)).json(&body).await.ok(200);
    api.user("kim", DELETE, &path_of(&held)).await.ok(200);
    let all = read(&api, 0).await;
    assert!(all.is_sorted_by(|one, next| one.position() < next.position()));
    let mut ids = BTreeSet::new();
    for Event { id, kind, data } in &all {
        assert_eq!(data["specversion"], "1.0");
        assert_eq!(data["position"].to_string(), *id);
        assert_eq!(data["type"], *kind);
        assert!(!text(&data["source"]).is_empty() && !kind.is_empty());
        assert!(ids.insert((text(&data["source"]), text(&data["id"]))), "source and id name one event");
        assert!(is_instant(&data["time"]), "{data}");
        assert!(data["data"].is_object());
        for name in data.as_object().unwrap().keys() {
            let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            assert!(plain, "CloudEvents names an attribute in lower-case letters and digits: {name}");
        }
    }
    let kinds: Vec<&str> = all.iter().map(|event| event.kind.as_str()).collect();
    for kind in
        ["VenuePut", "ConcertPut", "Created", "SalesOpened", "SeatsHeld", "SeatsExchanged", "HoldReleased"]
    {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    assert_eq!(all.iter().find(|event| event.kind == "SeatsHeld").unwrap().data["data"]["userId"], "kim");
    for (index, event) in all.iter().enumerate().take(all.len() - 1) {
        assert_eq!(read(&api, event.position()).await, all[index + 1..]);
    }
    let call = api.admin(GET, "/events?after=0").header("last-event-id", &all[1].id);
    assert_eq!(
        Stream::new(call.open().await).must().await,
        all[2],
        "a client that comes back says where it was"
    );
    let whole = api.admin(GET, "/events").open().await;
    assert_eq!(Stream::new(whole).must().await, all[0]);
    let api = api.kill_and_restart();
    assert_eq!(read(&api, 0).await[..all.len()], all, "a crash changes nothing of it");
}

#[tokio::test]
async fn what_happens_while_one_follows_comes_without_a_gap() {
    const FANS: u32 = 20;
    let api = Api::with_hall(FANS, json!({})).await;
    let before = read(&api, 0).await.last().unwrap().position();
    let mut stream = follow(&api, before).await;
    let rush = (1..=FANS).map(|fan| {
        let api = &api;
        async move { api.hold(&format!("fan-{fan}"), &[fan]).await.ok(201) }
    });
    let mut held = BTreeSet::new();
    for one in futures_util::future::join_all(rush).await {
        held.insert(text(&one["reservationId"]));
    }
    let mut followed = Vec::new();
    for _ in 0..FANS {
        followed.push(stream.must().await);
    }
    assert_eq!(followed, read(&api, before).await);
    let told: BTreeSet<String> =
        followed.iter().map(|event| text(&event.data["data"]["reservationId"])).collect();
    assert_eq!(told, held);
}

#[tokio::test]
async fn a_place_that_is_none_is_refused() {
    let api = Api::with_hall(4, json!({})).await;
    for after in ["x", "-1", "1.5", ""] {
        api.admin(GET, &format!("/events?after={after}")).await.names("after");
    }
    api.admin(GET, "/events?after=1000000").await.names("after");
    api.admin(GET, "/events").header("last-event-id", "x").await.refused(400, "malformed_request");
}

#[tokio::test]
async fn no_key_token_or_secret_is_ever_in_the_feed_or_a_history() {
    const KEY: &str = "a-key-that-nobody-else-may-know";
    let api = Api::with_hall(4, json!({})).await;
    let held = api.user("kim", POST, "/reservations").key(KEY).json(&hold_of(&[1])).await.ok(201);
    for _ in 0..2 {
        api.user("kim", DELETE, &path_of(&held)).key(KEY).await.ok(200);
    }
    api.user("kim", DELETE, &path_of(&held)).key("another-key-of-that-kind").await.ok(200);
    let all = read(&api, 0).await;
    let mut told: String = all.iter().map(|event| event.data.to_string()).collect();
    told += &api.admin(GET, "/admin/schedules/s/history").await.ok(200).to_string();
    told += &api.admin(GET, "/admin/overview").await.ok(200).to_string();
    assert!(told.contains("\"kim\""));
    for secret in [KEY, "another-key-of-that-kind", ADMIN, SECRET, &token("kim")] {
        assert!(!told.contains(secret));
    }
    for word in ["fingerprint", "digest", "password", "secret"] {
        assert!(!told.to_ascii_lowercase().contains(word), "{word}");
    }
}
