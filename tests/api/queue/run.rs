//! How a room is run: its document, its settings, the operations page, the feed.

use serde_json::{Value, json};

use super::{Front, Hall, ROOM, at, enter, pass_of, planned, queue_up, stand, waits_at};
use crate::server::{ADMIN, SECRET, token};
use crate::{Api, GET, PATCH, POST, PUT, concert, feed, keys_of, schedule, text, with};

/// What every answer about a room says.
pub(super) const SHAPE: [&str; 7] =
    ["active", "admitPerMinute", "admittedTotal", "estimatedWaitSeconds", "maxActive", "paused", "waiting"];

#[tokio::test]
async fn a_room_is_told_to_everyone_in_one_shape() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    enter(&hall, "kim").await;
    queue_up(&hall, "lee").await;
    let answer = hall.room().await;
    assert_eq!(answer.header("cache-control"), "public, max-age=1");
    let room = answer.ok(200);
    assert!(SHAPE.iter().all(|key| keys_of(&room).contains(key)), "{room}");
    let numbers = ["waiting", "active", "maxActive", "admittedTotal"].map(|key| room[key].as_u64().unwrap());
    assert_eq!(numbers, [1, 1, 1, 1]);
    assert_eq!((&room["admitPerMinute"], &room["paused"]), (&Value::Null, &json!(false)));
    assert_eq!(room["scheduleId"], "s");
    for name in ["kim", "lee"] {
        assert!(!room.to_string().contains(name), "nobody is named");
    }
    let tuned = hall.tune(&json!({"admitPerMinute": 90})).await.ok(200);
    assert!(SHAPE.iter().all(|key| keys_of(&tuned).contains(key)), "{tuned}");
    assert_eq!(hall.room().await.ok(200), tuned);
}

#[tokio::test]
async fn what_is_not_named_stays_and_null_takes_the_pace_away() {
    let hall = Hall::open(json!({"maxActive": 3, "admitPerMinute": 60})).await;
    let settings = async || {
        let room = hall.room().await.ok(200);
        (room["maxActive"].clone(), room["admitPerMinute"].clone(), room["paused"].clone())
    };
    let steps = [
        (json!({}), (json!(3), json!(60), json!(false))),
        (json!({"maxActive": 5}), (json!(5), json!(60), json!(false))),
        (json!({"paused": true}), (json!(5), json!(60), json!(true))),
        (json!({"admitPerMinute": null}), (json!(5), Value::Null, json!(true))),
        (
            json!({"maxActive": 1_000_000, "admitPerMinute": 1, "paused": false}),
            (json!(1_000_000), json!(1), json!(false)),
        ),
    ];
    for (change, expected) in steps {
        hall.tune(&change).await.ok(200);
        assert_eq!(settings().await, expected, "{change}");
    }
}

#[tokio::test]
async fn the_schedule_shows_what_its_room_runs_by() {
    let hall = Hall::open(json!({"maxActive": 3})).await;
    hall.tune(&json!({"maxActive": 8, "admitPerMinute": 120})).await.ok(200);
    let queue = hall.call(GET, "/schedules/s").await.ok(200)["policy"]["queue"].clone();
    assert_eq!((&queue["maxActive"], &queue["admitPerMinute"]), (&json!(8), &json!(120)));
    assert_eq!((&queue["activeSeconds"], &queue["order"]), (&json!(1_800), &json!("fifo")));
    hall.put(&planned(json!({"maxActive": 4}))).await.ok(200);
    let room = hall.room().await.ok(200);
    assert_eq!(
        (&room["maxActive"], &room["admitPerMinute"]),
        (&json!(4), &Value::Null),
        "a new plan is followed"
    );
}

#[tokio::test]
async fn a_room_is_run_by_administrators() {
    let hall = Hall::open(json!({"maxActive": 3})).await;
    let change = json!({"maxActive": 4});
    hall.call(PATCH, ROOM).json(&change).await.refused(401, "unauthenticated");
    hall.as_user("kim", PATCH, ROOM).json(&change).await.refused(403, "forbidden");
    let pass = enter(&hall, "kim").await;
    let with_pass = hall.as_user("kim", PATCH, ROOM).header("queue-token", &pass).json(&change);
    with_pass.await.refused(403, "forbidden");
    assert_eq!(hall.room().await.ok(200)["maxActive"], 3);
}

#[tokio::test]
async fn a_wrong_setting_is_named_and_changes_nothing() {
    let hall = Hall::open(json!({"maxActive": 3})).await;
    for name in ["maxActive", "admitPerMinute"] {
        let wrong =
            [json!(0), json!(-1), json!(1_000_001), json!(u64::MAX), json!(1.5), json!("3"), json!([])];
        for value in wrong {
            hall.tune(&json!({name: value, "paused": true})).await.names(name);
        }
    }
    for value in [json!("yes"), json!(1)] {
        hall.tune(&json!({"paused": value})).await.names("paused");
    }
    let both = hall.tune(&json!({"maxActive": 0, "admitPerMinute": 0})).await.refused(422, "invalid_request");
    assert_eq!(both["errors"].as_array().unwrap().len(), 2);
    for unknown in
        ["activeSeconds", "claimSeconds", "idleSeconds", "waitingSeconds", "order", "opensAt", "max_active"]
    {
        hall.tune(&json!({unknown: 60})).await.names(unknown);
    }
    let broken = hall.as_admin(PATCH, ROOM).bytes("application/json", "{\"paused\"");
    broken.await.refused(400, "malformed_request");
    let room = hall.room().await.ok(200);
    assert_eq!((&room["maxActive"], &room["paused"]), (&json!(3), &json!(false)));
}

#[tokio::test]
async fn a_refused_plan_leaves_the_room_as_it_is() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    hall.as_admin(PUT, "/concerts/d").json(&concert()).await.ok(201);
    let kim = enter(&hall, "kim").await;
    let lee = queue_up(&hall, "lee").await;
    for queue in [Value::Null, json!({"maxActive": 9})] {
        hall.put(&with(planned(queue.clone()), "concertId", json!("d"))).await.refused(409, "in_use");
        let backwards = with(planned(queue), "endsAt", json!("2036-01-01T00:00:00.000Z"));
        hall.put(&backwards).await.refused(422, "invalid_request");
        assert_eq!(stand(&hall, "lee", &lee).await, waits_at(1));
        hall.place("kim", &kim).await.ok(200);
        assert_eq!(hall.room().await.ok(200)["maxActive"], 1);
    }
}

#[tokio::test]
async fn an_import_that_one_room_refuses_changes_none() {
    let shuffled = json!({"order": "shuffle", "opensAt": at(60_000)});
    let hall = Hall::open(shuffled).await;
    hall.as_admin(PUT, "/schedules/a").json(&planned(json!({"maxActive": 1}))).await.ok(201);
    hall.join("kim").await.ok(201);
    let item = |id: &str, queue| with(planned(queue), "scheduleId", json!(id));
    let schedules = [item("a", json!({"maxActive": 9})), item("s", json!({})), item("new", json!({}))];
    let document = json!({"venues": [], "concerts": [], "schedules": schedules});
    hall.as_admin(POST, "/import").json(&document).await.refused(409, "in_use");
    assert_eq!(hall.call(GET, "/schedules/a/queue").await.ok(200)["maxActive"], 1);
    hall.call(GET, "/schedules/new").await.refused(404, "not_found");
    let draw = &hall.room().await.ok(200)["draw"];
    assert!(draw["seedSha256"].is_string() && draw["seed"].is_null(), "{draw}");
}

#[tokio::test]
async fn what_an_administrator_changed_survives_kill_9() {
    let api = Api::with_hall(4, json!({"queue": {"maxActive": 1}})).await;
    enter(&api, "kim").await;
    let change = json!({"maxActive": 7, "admitPerMinute": 600, "paused": true});
    let tuned = api.tune(&change).await.ok(200);
    let api = api.kill_and_restart();
    assert_eq!(api.room().await.ok(200), tuned);
    queue_up(&api, "lee").await;
}

#[tokio::test]
async fn the_operations_page_counts_all_rooms_and_shows_each() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    hall.as_admin(PUT, "/schedules/t").json(&planned(json!({"maxActive": 5}))).await.ok(201);
    hall.as_admin(PUT, "/schedules/u").json(&schedule()).await.ok(201);
    enter(&hall, "kim").await;
    queue_up(&hall, "lee").await;
    let there = hall.as_user("kim", POST, "/queue/tokens").json(&json!({"scheduleId": "t"}));
    there.await.ok(201);
    let overview = hall.as_admin(GET, "/admin/overview").await.ok(200);
    let queue = &overview["queue"];
    assert_eq!(
        (&queue["waiting"], &queue["active"], &queue["admittedTotal"]),
        (&json!(2), &json!(1), &json!(1))
    );
    let of = |id: &str| {
        let schedules = overview["schedules"].as_array().unwrap();
        schedules.iter().find(|schedule| schedule["scheduleId"] == id).unwrap()["queue"].clone()
    };
    let counts = |room: &Value| ["waiting", "active", "maxActive"].map(|key| room[key].as_u64().unwrap());
    assert_eq!((counts(&of("s")), counts(&of("t"))), ([1, 1, 1], [1, 0, 5]));
    assert_eq!((&of("s")["gate"], &of("t")["gate"]), (&json!("open"), &json!("not_on_sale")));
    assert_eq!(of("u"), Value::Null, "a schedule without a room");
}

#[tokio::test]
async fn the_feed_tells_what_happens_in_a_room_and_never_a_pass() {
    let api = Api::with_hall(4, json!({"queue": {"maxActive": 1}})).await;
    let kim = pass_of(&api.join("kim").key("a-key-of-kims").await.ok(201));
    let lee = queue_up(&api, "lee").await;
    let park = queue_up(&api, "park").await;
    api.place("kim", &kim).await.ok(200);
    api.leave("park", &park).await.ok(204);
    api.leave("kim", &kim).await.ok(204);
    api.tune(&json!({"maxActive": 2})).await.ok(200);
    api.sale("close").await.ok(200);
    let all = feed::read(&api, 0).await;
    let of_room = |kind: &str| {
        let of = all.iter().filter(|event| event.kind == kind);
        of.map(|event| event.data["data"].clone()).collect::<Vec<Value>>()
    };
    assert_eq!(of_room("RoomConfigured").len(), 1);
    let joined = of_room("Joined");
    let users: Vec<String> = joined.iter().map(|data| text(&data["userId"])).collect();
    assert_eq!(users, ["kim", "lee", "park"]);
    assert!(joined.iter().all(|data| data["scheduleId"] == "s" && data["by"] == "user"), "{joined:?}");
    assert_eq!(of_room("Left").len(), 2);
    assert_eq!(of_room("Admitted").len(), 1);
    assert_eq!(of_room("Claimed")[0]["tickets"], json!([joined[0]["ticket"]]));
    assert_eq!(of_room("Admitted")[0]["tickets"], json!([joined[1]["ticket"]]));
    assert_eq!(of_room("RoomTuned")[0]["by"], "admin");
    assert_eq!(of_room("GateMoved").last().unwrap()["gate"], "not_on_sale");
    let mut told: String = all.iter().map(|event| event.data.to_string()).collect();
    told += &api.admin(GET, "/admin/schedules/s/history").await.ok(200).to_string();
    told += &api.admin(GET, "/admin/overview").await.ok(200).to_string();
    for secret in [&kim, &lee, &park, "a-key-of-kims", ADMIN, SECRET, &token("kim")] {
        assert!(!told.contains(secret));
        // Nor is the signed end of a pass.
        assert!(!told.contains(&secret[secret.len() - 12..]));
    }
    for word in ["fingerprint", "digest", "password", "secret"] {
        assert!(!told.to_ascii_lowercase().contains(word), "{word}");
    }
}
