//! The stream of a place: where it stands at once, then what changes, then its end.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Front, Hall, Told, at, enter, pass_of, planned, queue_up};
use crate::{Api, DELETE, keys_of, soon};

#[tokio::test]
async fn a_stream_tells_the_position_at_once_then_its_changes_then_the_turn_then_the_end() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let kim = enter(&hall, "kim").await;
    let lee = queue_up(&hall, "lee").await;
    let park = queue_up(&hall, "park").await;
    let response = hall.follow("park", &park).open().await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let mut told = Told(crate::events::Stream::new(response));
    let position = told.must("position").await;
    assert_eq!((&position["status"], &position["position"]), (&json!("waiting"), &json!(2)));
    assert!(keys_of(&position).contains(&"estimatedWaitSeconds"), "{position}");
    hall.leave("lee", &lee).await.ok(204);
    assert_eq!(told.must("position").await["position"], 1);
    hall.leave("kim", &kim).await.ok(204);
    let active = told.must("active").await;
    assert_eq!(active, hall.place("park", &park).await.ok(200), "it is the whole place");
    assert_eq!((&active["status"], &active["token"]), (&json!("active"), &json!(park)));
    hall.leave("park", &park).await.ok(204);
    assert_eq!(told.must("ended").await["status"], "done");
    assert_eq!(told.next().await, None, "nothing comes after the end");
}

#[tokio::test]
async fn a_stream_of_an_active_place_begins_with_it_and_one_of_a_place_that_is_over_with_the_end() {
    let hall = Hall::open(json!({"maxActive": 1, "activeSeconds": 60})).await;
    let kim = enter(&hall, "kim").await;
    let mut told = Told::of(&hall, "kim", &kim).await;
    told.must("active").await;
    hall.pass(60_000).await;
    assert_eq!(told.must("ended").await["status"], "expired");
    assert_eq!(told.next().await, None);
    let mut late = Told::of(&hall, "kim", &kim).await;
    assert_eq!(late.must("ended").await["status"], "expired");
    assert_eq!(late.next().await, None);
}

#[tokio::test]
async fn positions_are_told_at_most_once_a_second_and_the_last_is_not_left_out() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    enter(&hall, "kim").await;
    let mut ahead = Vec::new();
    for number in 0..20 {
        let user = format!("fan-{number}");
        let pass = queue_up(&hall, &user).await;
        ahead.push((user, pass));
    }
    let lee = queue_up(&hall, "lee").await;
    let opened = Instant::now();
    let mut told = Told::of(&hall, "lee", &lee).await;
    let mut seen = vec![told.must("position").await["position"].as_u64().unwrap()];
    for (user, pass) in &ahead[..15] {
        hall.leave(user, pass).await.ok(204);
    }
    while seen.last() != Some(&6) {
        seen.push(told.must("position").await["position"].as_u64().unwrap());
    }
    assert!(seen.is_sorted_by(|one, next| one > next) && seen[0] == 21, "{seen:?}");
    let spread = u64::try_from(seen.len() - 1).unwrap();
    assert!(opened.elapsed().as_secs() >= spread, "{seen:?} within {:?}", opened.elapsed());
}

#[tokio::test]
async fn a_place_that_is_yet_to_be_drawn_is_told_without_a_position_and_then_with_it() {
    let queue = json!({"order": "shuffle", "opensAt": at(60_000), "maxActive": 1});
    let hall = Hall::open(queue).await;
    let mut streams = Vec::new();
    for user in ["kim", "lee"] {
        let place = hall.join(user).await.ok(201);
        let mut told = Told::of(&hall, user, &pass_of(&place)).await;
        assert_eq!(told.must("position").await["position"], Value::Null);
        streams.push(told);
    }
    hall.pass(60_000).await;
    let mut told = Vec::new();
    for stream in &mut streams {
        let (name, data) = stream.next().await.unwrap();
        told.push((name, data["position"].clone()));
    }
    told.sort_unstable_by_key(|(name, _)| name.clone());
    assert_eq!(told, [("active".to_owned(), Value::Null), ("position".to_owned(), json!(1))]);
}

#[tokio::test]
async fn a_stream_ends_when_the_performance_is_cancelled_or_the_room_is_shut() {
    for cancel in [true, false] {
        let hall = Hall::open(json!({"maxActive": 1})).await;
        let kim = enter(&hall, "kim").await;
        let lee = queue_up(&hall, "lee").await;
        let mut to_kim = Told::of(&hall, "kim", &kim).await;
        let mut to_lee = Told::of(&hall, "lee", &lee).await;
        to_kim.must("active").await;
        to_lee.must("position").await;
        if cancel {
            hall.sale("cancel").await.ok(200);
        } else {
            hall.put(&planned(Value::Null)).await.ok(200);
        }
        for told in [&mut to_kim, &mut to_lee] {
            assert_eq!(told.must("ended").await["status"], "expired");
            assert_eq!(told.next().await, None);
        }
    }
}

#[tokio::test]
async fn a_stream_of_a_schedule_that_is_removed_ends_soon() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let kim = enter(&hall, "kim").await;
    let lee = queue_up(&hall, "lee").await;
    let mut to_kim = Told::of(&hall, "kim", &kim).await;
    let mut to_lee = Told::of(&hall, "lee", &lee).await;
    to_kim.must("active").await;
    to_lee.must("position").await;
    let removed = Instant::now();
    hall.as_admin(DELETE, "/schedules/s").await.ok(204);
    for told in [&mut to_kim, &mut to_lee] {
        assert_eq!(told.must("ended").await["status"], "expired");
        assert_eq!(told.next().await, None);
    }
    assert!(removed.elapsed().as_secs() < 10, "{:?}", removed.elapsed());
}

#[tokio::test]
async fn many_follow_one_room_and_each_is_told_the_own_place() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let kim = enter(&hall, "kim").await;
    let mut streams = Vec::new();
    for position in 1_u64..=20 {
        let user = format!("fan-{position}");
        let pass = queue_up(&hall, &user).await;
        let mut told = Told::of(&hall, &user, &pass).await;
        assert_eq!(told.must("position").await["position"], position);
        streams.push(told);
    }
    hall.leave("kim", &kim).await.ok(204);
    let mut streams = streams.into_iter();
    streams.next().unwrap().must("active").await;
    for (position, mut told) in (1_u64..).zip(streams) {
        assert_eq!(told.must("position").await["position"], position);
    }
}

#[tokio::test]
async fn every_stream_of_a_place_ends_in_order_when_the_server_stops() {
    let api = Api::with_hall(4, json!({"queue": {"maxActive": 1}})).await;
    let kim = enter(&api, "kim").await;
    let lee = queue_up(&api, "lee").await;
    let mut to_kim = Told::of(&api, "kim", &kim).await;
    let mut to_lee = Told::of(&api, "lee", &lee).await;
    to_kim.must("active").await;
    to_lee.must("position").await;
    let stopped = tokio::task::spawn_blocking(move || api.server.terminate());
    assert_eq!((to_kim.next().await, to_lee.next().await), (None, None));
    assert_eq!(soon(stopped).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_stream_of_a_place_goes_on_after_kill_9_with_the_same_pass() {
    let api = Api::with_hall(4, json!({"queue": {"maxActive": 1}})).await;
    let kim = enter(&api, "kim").await;
    let lee = queue_up(&api, "lee").await;
    let api = api.kill_and_restart();
    let mut told = Told::of(&api, "lee", &lee).await;
    assert_eq!(told.must("position").await["position"], 1);
    api.leave("kim", &kim).await.ok(204);
    told.must("active").await;
}
