//! `Idempotency-Key` in the waiting room: the first answer again, whatever has become of the place since (I1).

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Front, Hall, enter, is, pass_of, planned, queue_up, stand, waits_at};
use crate::keys::is_replay;
use crate::{Answer, Api, POST, PUT};

#[tokio::test]
async fn a_repeated_join_is_the_first_answer_again_whatever_became_of_the_place() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let kim = enter(&hall, "kim").await;
    let join = || hall.join("lee").key("k");
    let first = join().await;
    assert_eq!((first.status, &first.body["position"]), (201, &json!(1)));
    for key in
        ["activatedAt", "estimatedWaitSeconds", "expiresAt", "issuedAt", "scheduleId", "status", "token"]
    {
        assert!(first.body.get(key).is_some(), "{key}: {}", first.body);
    }
    let lee = pass_of(&first.body);
    is_replay(&join().await, &first);
    hall.leave("kim", &kim).await.ok(204);
    is_replay(&join().await, &first);
    hall.hold_with("lee", &lee, &[1, 2]).await.ok(201);
    is_replay(&join().await, &first);
    hall.leave("lee", &lee).await.ok(204);
    is_replay(&join().await, &first);
    assert_eq!(hall.crowd().await, (0, 0), "no repeat takes a place");
    hall.sale("cancel").await.ok(200);
    is_replay(&join().await, &first);
}

#[tokio::test]
async fn a_keyed_join_that_finds_a_place_is_answered_with_it_and_so_again() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let kim = hall.join("kim").await.ok(201);
    let found = hall.join("kim").key("k").await;
    assert_eq!((found.status, &found.body["token"]), (200, &kim["token"]));
    hall.leave("kim", &pass_of(&kim)).await.ok(204);
    is_replay(&hall.join("kim").key("k").await, &found);
    assert_eq!(hall.crowd().await, (0, 0));
    let at_once = hall.join("kim").key("l").await;
    assert_eq!((at_once.status, &at_once.body["status"]), (201, &json!("active")));
    is_replay(&hall.join("kim").key("l").await, &at_once);
}

#[tokio::test]
async fn a_key_is_one_users_for_one_body_and_a_refusal_keeps_none() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let first = hall.join("kim").key("k").await;
    assert_eq!(first.status, 201);
    let lees = hall.join("lee").key("k").await;
    assert_eq!((lees.status, lees.header("idempotent-replayed")), (201, ""));
    assert_ne!(lees.body["token"], first.body["token"]);
    let other = r#"{"scheduleId":  "s"}"#;
    let call = hall.as_user("kim", POST, "/queue/tokens").key("k").bytes("application/json", other);
    call.await.refused(422, "idempotency_key_reused");
    is_replay(&hall.join("kim").key("k").await, &first);

    hall.as_admin(PUT, "/schedules/t").json(&planned(Value::Null)).await.ok(201);
    let there = || hall.as_user("kim", POST, "/queue/tokens").key("t").json(&json!({"scheduleId": "t"}));
    there().await.refused(409, "no_waiting_room");
    hall.as_admin(PUT, "/schedules/t").json(&planned(json!({}))).await.ok(200);
    let taken = there().await;
    assert_eq!(taken.status, 201, "{}", taken.body);
    is_replay(&there().await, &taken);
}

#[tokio::test]
async fn of_many_joins_at_once_with_one_key_one_takes_the_place() {
    let api = Api::with_hall(4, json!({"queue": {"maxActive": 1}})).await;
    enter(&api, "kim").await;
    let rush = (0..16).map(|_| async { api.join("lee").key("k").await });
    let answers = join_all(rush).await;
    let is_first = |answer: &&Answer| answer.status == 201 && answer.header("idempotent-replayed").is_empty();
    assert_eq!(answers.iter().filter(is_first).count(), 1);
    let first = answers.iter().find(is_first).unwrap();
    for answer in answers.iter().filter(|answer| !is_first(answer)) {
        if answer.status == 201 {
            is_replay(answer, first);
        } else {
            assert_eq!((answer.status, answer.code().as_str()), (409, "request_in_progress"));
        }
    }
    assert_eq!(super::crowd(&api).await, (1, 1));
}

#[tokio::test]
async fn a_repeated_leave_gives_no_later_place_up() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    enter(&hall, "kim").await;
    let lee = queue_up(&hall, "lee").await;
    let leave = || hall.leave("lee", &lee).key("k");
    let first = leave().await;
    assert_eq!(first.status, 204);
    is_replay(&leave().await, &first);
    let again = queue_up(&hall, "lee").await;
    is_replay(&leave().await, &first);
    assert_eq!(stand(&hall, "lee", &again).await, waits_at(1));
    let so_already = hall.leave("lee", &lee).key("another").await;
    assert_eq!(so_already.status, 204);
    hall.leave("lee", &lee).key("another").await.ok(204);
    let mine = hall.leave("lee", &again).key("k").await;
    mine.ok(204);
    assert_eq!(stand(&hall, "lee", &again).await, is("done"), "the key belongs to the place that it was for");
}

#[tokio::test]
async fn a_repeated_change_of_the_room_is_the_first_answer_again_and_changes_nothing() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    enter(&hall, "kim").await;
    let change = json!({"maxActive": 2, "admitPerMinute": 600});
    let tune = || hall.tune(&change).key("k");
    let first = tune().await;
    assert_eq!((first.status, &first.body["maxActive"], &first.body["active"]), (200, &json!(2), &json!(1)));
    assert!(super::run::SHAPE.iter().all(|key| first.body.get(key).is_some()), "{}", first.body);
    is_replay(&tune().await, &first);
    let lee = enter(&hall, "lee").await;
    hall.hold_with("lee", &lee, &[1]).await.ok(201);
    queue_up(&hall, "park").await;
    is_replay(&tune().await, &first);
    hall.tune(&json!({"maxActive": 5, "paused": true})).await.ok(200);
    is_replay(&tune().await, &first);
    let room = hall.room().await.ok(200);
    assert_eq!((&room["maxActive"], &room["paused"]), (&json!(5), &json!(true)), "no repeat has an effect");
    hall.tune(&json!({"maxActive": 3})).key("k").await.refused(422, "idempotency_key_reused");
    let so_already = hall.tune(&json!({"maxActive": 5})).key("l").await;
    assert_eq!((so_already.status, so_already.header("idempotent-replayed")), (200, ""));
    hall.tune(&json!({"maxActive": 6})).await.ok(200);
    is_replay(&hall.tune(&json!({"maxActive": 5})).key("l").await, &so_already);
    assert_eq!(hall.room().await.ok(200)["maxActive"], 6);
}

#[tokio::test]
async fn a_change_of_the_room_leaves_the_schedules_kept_answers_as_they_were() {
    let hall = Hall::upcoming(json!({"maxActive": 1})).await;
    let open = || hall.sale("open").key("k");
    let first = open().await;
    assert_eq!(first.status, 200);
    hall.tune(&json!({"maxActive": 9, "admitPerMinute": 60})).await.ok(200);
    is_replay(&open().await, &first);
}

#[tokio::test]
async fn a_key_is_known_after_kill_9() {
    let mut api = Api::with_hall(4, json!({"queue": {"maxActive": 1}})).await;
    let change = json!({"maxActive": 1, "admitPerMinute": 600});
    let first = api.join("kim").key("join").await;
    let second = api.join("lee").key("join").await;
    let third = api.join("park").key("join").await;
    assert_eq!((&second.body["position"], &third.body["position"]), (&json!(1), &json!(2)));
    let tuned = api.tune(&change).key("tune").await;
    let left = api.leave("lee", &pass_of(&second.body)).key("leave").await;
    assert_eq!((first.status, tuned.status, left.status), (201, 200, 204));
    for snapshot in [false, true, false] {
        if snapshot {
            api.admin(POST, "/admin/snapshots").await.ok(200);
        }
        api = api.kill_and_restart();
        is_replay(&api.join("kim").key("join").await, &first);
        is_replay(&api.join("lee").key("join").await, &second);
        is_replay(&api.join("park").key("join").await, &third);
        is_replay(&api.leave("lee", &pass_of(&second.body)).key("leave").await, &left);
        is_replay(&api.tune(&change).key("tune").await, &tuned);
        api.tune(&json!({"maxActive": 2})).key("tune").await.refused(422, "idempotency_key_reused");
        assert_eq!(super::crowd(&api).await, (1, 1));
    }
}
