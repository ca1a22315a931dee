//! Places: taken, shown, given up, over.

use futures_util::future::join_all;
use reqwest::Client;
use serde_json::{Value, json};

use super::{
    CURRENT, EVENTS, Front, Hall, ROOM, crowd, enter, is, millis, pass_of, planned, queue_up, stand, waits_at,
};
use crate::server::token;
use crate::{Api, Call, DELETE, GET, PATCH, POST, PUT, is_instant, keys_of, text};

/// What every answer about a place says.
const PLACE: [&str; 8] = [
    "activatedAt",
    "estimatedWaitSeconds",
    "expiresAt",
    "issuedAt",
    "position",
    "scheduleId",
    "status",
    "token",
];

fn has_shape(place: &Value) {
    let keys = keys_of(place);
    assert!(PLACE.iter().all(|key| keys.contains(key)), "{place}");
    assert!(
        !text(&place["token"]).is_empty() && place["scheduleId"] == "s" && is_instant(&place["issuedAt"])
    );
}

#[tokio::test]
async fn a_place_is_201_and_the_standing_one_200_with_the_same_pass() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let kim = hall.join("kim").await.ok(201);
    let lee = hall.join("lee").await.ok(201);
    hall.pass(5_000).await;
    assert_eq!(hall.join("kim").await.ok(200), kim);
    assert_eq!(hall.join("lee").await.ok(200), lee);
    assert_ne!(kim["token"], lee["token"]);
    assert_eq!(hall.crowd().await, (1, 1));
    hall.leave("lee", &pass_of(&lee)).await.ok(204);
    let again = hall.join("lee").await.ok(201);
    assert_ne!(again["token"], lee["token"], "a place that was given up doesn't come back");
}

#[tokio::test]
async fn a_place_is_told_in_one_shape_whatever_its_status() {
    let hall = Hall::open(json!({"maxActive": 1, "activeSeconds": 900, "waitingSeconds": 600})).await;
    hall.advance(1_000);
    let kim = hall.join("kim").await.ok(201);
    let lee = hall.join("lee").await.ok(201);
    for (user, joined) in [("kim", &kim), ("lee", &lee)] {
        has_shape(joined);
        assert_eq!(&hall.place(user, &pass_of(joined)).await.ok(200), joined);
    }
    let issued = millis(&kim["issuedAt"]);
    assert_eq!(
        (&kim["status"], &kim["position"], &kim["estimatedWaitSeconds"]),
        (&json!("active"), &Value::Null, &Value::Null)
    );
    assert_eq!((millis(&kim["activatedAt"]), millis(&kim["expiresAt"])), (issued, issued + 900_000));
    assert_eq!((&lee["status"], &lee["position"]), (&json!("waiting"), &json!(1)));
    assert_eq!((&lee["activatedAt"], millis(&lee["expiresAt"])), (&Value::Null, issued + 600_000));

    hall.advance(2_000);
    hall.leave("kim", &pass_of(&kim)).await.ok(204);
    let lee = hall.place("lee", &pass_of(&lee)).await.ok(200);
    has_shape(&lee);
    assert_eq!((&lee["status"], &lee["position"]), (&json!("active"), &Value::Null));
    assert_eq!(millis(&lee["issuedAt"]), issued, "a place was taken once");
    assert_eq!((millis(&lee["activatedAt"]), millis(&lee["expiresAt"])), (issued + 2_000, issued + 902_000));
    let over = hall.place("kim", &pass_of(&kim)).await.ok(200);
    has_shape(&over);
    assert_eq!((&over["status"], &over["position"]), (&json!("done"), &Value::Null));
    assert_eq!((&over["token"], &over["issuedAt"]), (&kim["token"], &kim["issuedAt"]));
}

#[tokio::test]
async fn positions_are_exact_from_1_on_and_never_grow() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let first = enter(&hall, "first").await;
    let names = ["a", "b", "c", "d", "e"];
    let mut passes = Vec::new();
    for (name, position) in names.into_iter().zip(1_u64..) {
        let place = hall.join(name).await.ok(201);
        assert_eq!(place["position"], position);
        passes.push(pass_of(&place));
    }
    let look = async || {
        let look = |(name, pass): (&'static str, &String)| {
            let call = hall.place(name, pass);
            async move { call.await.ok(200)["position"].as_u64() }
        };
        join_all(names.into_iter().zip(&passes).map(look)).await
    };
    assert_eq!(look().await, [1, 2, 3, 4, 5].map(Some));
    hall.leave("b", &passes[1]).await.ok(204);
    assert_eq!(look().await, [Some(1), None, Some(2), Some(3), Some(4)], "who was behind moves up");
    hall.leave("e", &passes[4]).await.ok(204);
    assert_eq!(look().await, [Some(1), None, Some(2), Some(3), None], "who was ahead stays");
    hall.leave("first", &first).await.ok(204);
    assert_eq!(look().await, [None, None, Some(1), Some(2), None]);
    assert_eq!(hall.join("f").await.ok(201)["position"], 3);
}

#[tokio::test]
async fn whoever_leaves_lets_the_next_in_before_the_answer() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let kim = enter(&hall, "kim").await;
    let lee = queue_up(&hall, "lee").await;
    let park = queue_up(&hall, "park").await;
    let answer = hall.leave("kim", &kim).await;
    assert!(answer.bytes.is_empty());
    answer.ok(204);
    assert_eq!(stand(&hall, "lee", &lee).await, is("active"));
    assert_eq!(stand(&hall, "park", &park).await, waits_at(1));
    hall.leave("kim", &kim).await.ok(204);
    assert_eq!(hall.crowd().await, (1, 1), "a repeated leave lets nobody else in");
    assert_eq!(stand(&hall, "kim", &kim).await, is("done"));
    hall.leave("park", &park).await.ok(204);
    assert_eq!(stand(&hall, "park", &park).await, is("done"), "who gave up waiting is done, too");
}

#[tokio::test]
async fn the_pass_of_an_earlier_place_gives_no_later_one_up() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    enter(&hall, "kim").await;
    let early = queue_up(&hall, "lee").await;
    hall.leave("lee", &early).await.ok(204);
    let late = queue_up(&hall, "lee").await;
    hall.leave("lee", &early).await.ok(204);
    assert_eq!(stand(&hall, "lee", &late).await, waits_at(1));
    assert_eq!(stand(&hall, "lee", &early).await, is("done"));
}

#[tokio::test]
async fn a_schedule_that_is_not_there_has_no_queue() {
    let hall = Hall::open(json!({})).await;
    let kim = enter(&hall, "kim").await;
    let body = json!({"scheduleId": "none"});
    hall.as_user("kim", POST, "/queue/tokens").json(&body).await.refused(404, "not_found");
    hall.call(GET, &ROOM.replace("/s/", "/none/")).await.refused(404, "not_found");
    hall.as_admin(PATCH, &ROOM.replace("/s/", "/none/")).json(&json!({})).await.refused(404, "not_found");
    for (method, path) in [(GET, CURRENT), (DELETE, CURRENT), (GET, EVENTS)] {
        let call = hall.as_user("kim", method, &path.replace("=s", "=none")).header("queue-token", &kim);
        call.await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_schedule_without_a_waiting_room_says_so() {
    let hall = Hall::open(Value::Null).await;
    hall.join("kim").await.refused(409, "no_waiting_room");
    hall.room().await.refused(409, "no_waiting_room");
    hall.tune(&json!({"maxActive": 3})).await.refused(409, "no_waiting_room");
    assert_eq!(hall.call(GET, "/schedules/s").await.ok(200)["policy"]["queue"], Value::Null);
    hall.as_user("kim", POST, "/reservations").json(&crate::hold_of(&[1])).await.ok(201);
}

#[tokio::test]
async fn what_a_request_for_a_place_says_is_read_strictly() {
    let hall = Hall::open(json!({})).await;
    let join = |body: &Value| hall.as_user("kim", POST, "/queue/tokens").json(body);
    join(&json!({"scheduleId": "s", "position": 1})).await.names("position");
    join(&json!({})).await.names("scheduleId");
    join(&json!({"scheduleId": 7})).await.names("scheduleId");
    let call = hall.as_user("kim", POST, "/queue/tokens").bytes("application/json", "{");
    call.await.refused(400, "malformed_request");
    let call = hall.as_user("kim", POST, "/queue/tokens").bytes("text/plain", "s");
    call.await.refused(415, "unsupported_media_type");
    assert_eq!(hall.crowd().await, (0, 0));
    for path in [CURRENT, EVENTS] {
        let path = path.split('?').next().unwrap();
        hall.as_user("kim", GET, path).header("queue-token", "x").await.names("scheduleId");
    }
}

#[tokio::test]
async fn a_place_is_for_someone_who_says_who_they_are() {
    let hall = Hall::open(json!({})).await;
    let kim = enter(&hall, "kim").await;
    let nobody = hall.call(POST, "/queue/tokens").json(&json!({"scheduleId": "s"}));
    nobody.await.refused(401, "unauthenticated");
    for (method, path) in [(GET, CURRENT), (DELETE, CURRENT), (GET, EVENTS)] {
        hall.call(method, path).header("queue-token", &kim).await.refused(401, "unauthenticated");
    }
    assert_eq!(hall.crowd().await, (0, 1));
}

#[tokio::test]
async fn one_user_on_sixteen_connections_has_one_place() {
    let api = Api::with_hall(4, json!({"queue": {"maxActive": 1}})).await;
    enter(&api, "kim").await;
    let url = format!("{}/api/v1/queue/tokens", api.server.url);
    let join = |_| {
        let request = Client::new().post(&url).bearer_auth(token("lee"));
        Call(request).json(&json!({"scheduleId": "s"})).into_future()
    };
    let answers = join_all((0..16).map(join)).await;
    let statuses = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((statuses(201), statuses(200)), (1, 15));
    for answer in &answers {
        assert_eq!(answer.body["token"], answers[0].body["token"]);
        assert_eq!(answer.body["position"], 1);
    }
    assert_eq!(crowd(&api).await, (1, 1));
}

#[tokio::test]
async fn a_place_that_waited_too_long_is_over_at_that_very_instant() {
    let hall = Hall::open(json!({"maxActive": 1, "waitingSeconds": 60})).await;
    enter(&hall, "kim").await;
    let lee = queue_up(&hall, "lee").await;
    hall.advance(10_000);
    let park = queue_up(&hall, "park").await;
    hall.advance(49_999);
    assert_eq!(stand(&hall, "lee", &lee).await, waits_at(1));
    hall.advance(1);
    assert_eq!(stand(&hall, "lee", &lee).await, is("expired"));
    hall.settle().await;
    assert_eq!(stand(&hall, "park", &park).await, waits_at(1));
    let again = hall.join("lee").await.ok(201);
    assert_eq!(again["position"], 2, "who comes again stands at the end");
    assert_eq!(stand(&hall, "lee", &lee).await, is("expired"));
    hall.hold_with("lee", &lee, &[1]).await.refused(403, "queue_not_active");
}

#[tokio::test]
async fn a_waiting_place_says_when_to_look_again_and_an_active_one_does_not() {
    let hall = Hall::open(json!({"maxActive": 1, "claimSeconds": 5})).await;
    let kim = enter(&hall, "kim").await;
    let own = |answer: &crate::Answer| {
        let vary = answer.header("vary").to_ascii_lowercase();
        assert!(vary.contains("authorization") && vary.contains("queue-token"), "{vary}");
    };
    for number in 0..30 {
        let user = format!("fan-{number}");
        let joined = hall.join(&user).await;
        let looked = hall.place(&user, &pass_of(&joined.body)).await;
        for answer in [joined, looked] {
            let seconds: u64 = answer.header("retry-after").parse().unwrap();
            assert_eq!(answer.header("cache-control"), format!("private, max-age={seconds}"));
            own(&answer);
            // Whoever looks as often as they are told shows up in time.
            assert!((1..=5).contains(&seconds), "{user} is told to look again after {seconds} s");
        }
    }
    let active = hall.place("kim", &kim).await;
    hall.leave("kim", &kim).await.ok(204);
    let over = hall.place("kim", &kim).await;
    for answer in [active, over] {
        assert_eq!((answer.header("retry-after"), answer.header("cache-control")), ("", "no-store"));
        own(&answer);
    }
}

#[tokio::test]
async fn the_estimated_wait_is_the_measured_pace_times_the_position() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let mut passes = vec![enter(&hall, "fan-0").await];
    for number in 1..20 {
        let place = hall.join(&format!("fan-{number}")).await.ok(201);
        assert_eq!(place["estimatedWaitSeconds"], Value::Null, "nothing was measured yet");
        passes.push(pass_of(&place));
    }
    assert_eq!(hall.room().await.ok(200)["estimatedWaitSeconds"], Value::Null);
    for (number, pass) in passes.iter().enumerate().take(9) {
        hall.advance(2_000);
        hall.leave(&format!("fan-{number}"), pass).await.ok(204);
    }
    let last = hall.place("fan-19", &passes[19]).await.ok(200);
    assert_eq!(last["position"], 10);
    let near = |wait: &Value, seconds: u64| wait.as_u64().unwrap().abs_diff(seconds) <= seconds / 5;
    assert!(near(&last["estimatedWaitSeconds"], 20), "{last}");
    let room = hall.room().await.ok(200);
    assert!(near(&room["estimatedWaitSeconds"], 22), "a newcomer would be the eleventh: {room}");
    let active = hall.place("fan-9", &passes[9]).await.ok(200);
    assert_eq!(active["estimatedWaitSeconds"], Value::Null);
}

#[tokio::test]
async fn a_cancelled_performance_ends_every_place() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let kim = enter(&hall, "kim").await;
    let lee = queue_up(&hall, "lee").await;
    hall.sale("cancel").await.ok(200);
    for (user, pass) in [("kim", &kim), ("lee", &lee)] {
        assert_eq!(stand(&hall, user, pass).await, is("expired"));
        hall.hold_with(user, pass, &[1]).await.refused(403, "queue_not_active");
        hall.join(user).await.refused(409, "schedule_not_open");
    }
    let room = hall.room().await.ok(200);
    assert_eq!(
        (&room["waiting"], &room["active"], &room["gate"]),
        (&json!(0), &json!(0), &json!("cancelled"))
    );
}

#[tokio::test]
async fn places_and_their_order_survive_kill_9() {
    let queue = json!({"maxActive": 1, "claimSeconds": 3_600});
    let mut api = Api::with_hall(4, json!({"queue": queue})).await;
    let names = ["kim", "lee", "park", "choi"];
    let mut places = Vec::new();
    for name in names {
        places.push(api.join(name).await.ok(201));
    }
    for _ in 0..2 {
        api = api.kill_and_restart();
        for (name, place) in names.iter().zip(&places) {
            assert_eq!(api.join(name).await.ok(200), *place);
        }
    }
    api.leave("kim", &pass_of(&places[0])).await.ok(204);
    api.admin(POST, "/admin/snapshots").await.ok(200);
    api = api.kill_and_restart();
    assert_eq!(stand(&api, "kim", &pass_of(&places[0])).await, is("done"));
    assert_eq!(stand(&api, "lee", &pass_of(&places[1])).await, is("active"));
    assert_eq!(stand(&api, "choi", &pass_of(&places[3])).await, waits_at(2));
    api.hold_with("lee", &pass_of(&places[1]), &[1]).await.ok(201);
}

#[tokio::test]
async fn a_waiting_room_that_is_set_up_later_takes_people_from_then_on() {
    let hall = Hall::open(Value::Null).await;
    hall.join("kim").await.refused(409, "no_waiting_room");
    hall.put(&planned(json!({"maxActive": 1}))).await.ok(200);
    enter(&hall, "kim").await;
    queue_up(&hall, "lee").await;
    let named = hall.as_admin(PUT, "/schedules/t").json(&planned(json!({}))).await.ok(201);
    assert_eq!(named["policy"]["queue"]["maxActive"], 100, "a room of another schedule is another");
    assert_eq!(hall.crowd().await, (1, 1));
}
