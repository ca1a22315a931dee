//! Passes: what they open, for whom, and for how long (Q2).

use serde_json::{Value, json};

use super::{CURRENT, EVENTS, Front, Hall, enter, is, pass_of, planned, queue_up, stand};
use crate::keys::is_replay;
use crate::server::is_log_local;
use crate::{Answer, Api, Call, DELETE, GET, PATCH, POST, PUT, hold_of, path_of, seat_ids};

/// Every route that reads a pass, for a user who has the hold `held`.
fn routes<'a>(hall: &'a Hall, user: &'a str, held: &Value) -> [(&'static str, Call); 5] {
    let exchange = json!({"seats": seat_ids(&[4])});
    [
        ("hold", hall.as_user(user, POST, "/reservations").json(&hold_of(&[2]))),
        ("exchange", hall.as_user(user, PATCH, &path_of(held)).json(&exchange)),
        ("look", hall.as_user(user, GET, CURRENT)),
        ("follow", hall.as_user(user, GET, EVENTS)),
        ("leave", hall.as_user(user, DELETE, CURRENT)),
    ]
}

/// Shows a pass everywhere, and fails unless it is no pass of this user for this schedule.
async fn is_invalid(hall: &Hall, user: &str, held: &Value, pass: &str) {
    for (route, call) in routes(hall, user, held) {
        let answer = call.header("queue-token", pass).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "queue_token_invalid"), "{route}: {pass}");
    }
}

/// Someone at the seats, with a hold of the first.
async fn at_the_seats(hall: &Hall, user: &str) -> (String, Value) {
    let pass = enter(hall, user).await;
    let held = hall.hold_with(user, &pass, &[1]).await.ok(201);
    (pass, held)
}

fn exchange(hall: &Hall, user: &str, pass: &str, held: &Value, seat: u32) -> Call {
    let body = json!({"seats": seat_ids(&[seat])});
    hall.as_user(user, PATCH, &path_of(held)).header("queue-token", pass).json(&body)
}

/// Fails unless the pass was refused as one that isn't active, with this position.
#[track_caller]
fn is_not_active(answer: Answer, position: Option<u64>) {
    let problem = answer.refused(403, "queue_not_active");
    assert_eq!(problem["position"], json!(position), "{problem}");
    assert!(problem.as_object().unwrap().contains_key("position"));
}

#[tokio::test]
async fn an_active_pass_holds_and_exchanges_and_giving_back_needs_none() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let (pass, held) = at_the_seats(&hall, "kim").await;
    let exchanged = exchange(&hall, "kim", &pass, &held, 3).await.ok(200);
    assert_eq!(exchanged["seats"][0]["seatId"], "1-A-1-3");
    hall.as_user("kim", GET, &path_of(&held)).await.ok(200);
    hall.leave("kim", &pass).await.ok(204);
    assert_eq!(hall.as_user("kim", DELETE, &path_of(&held)).await.ok(200)["status"], "released");
}

#[tokio::test]
async fn without_a_pass_nobody_gets_anywhere() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let (pass, held) = at_the_seats(&hall, "kim").await;
    for (route, call) in routes(&hall, "kim", &held) {
        let answer = call.await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "queue_token_required"), "{route}");
    }
    // What a request lacks is said before what isn't there.
    for method in [GET, DELETE] {
        let nowhere = hall.as_user("kim", method, "/queue/tokens/current?scheduleId=none").await;
        nowhere.refused(403, "queue_token_required");
    }
    let seats = &hall.as_user("kim", GET, &path_of(&held)).await.ok(200)["seats"];
    assert_eq!(seats[0]["seatId"], "1-A-1-1", "nothing was exchanged");
    assert_eq!(stand(&hall, "kim", &pass).await, is("active"), "nobody has left");
    assert_eq!(hall.call(GET, "/schedules/s").await.ok(200)["seats"]["held"], 1);
}

#[tokio::test]
async fn whoever_waits_is_refused_with_their_position() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let (kim, held) = at_the_seats(&hall, "kim").await;
    let lee = queue_up(&hall, "lee").await;
    let park = queue_up(&hall, "park").await;
    is_not_active(hall.hold_with("lee", &lee, &[2]).await, Some(1));
    is_not_active(hall.hold_with("park", &park, &[2]).await, Some(2));
    hall.leave("kim", &kim).await.ok(204);
    let again = queue_up(&hall, "kim").await;
    is_not_active(exchange(&hall, "kim", &again, &held, 3).await, Some(2));
    hall.hold_with("lee", &lee, &[2]).await.ok(201);
}

#[tokio::test]
async fn no_character_of_a_pass_can_be_another() {
    let hall = Hall::open(json!({"maxActive": 3})).await;
    let (pass, held) = at_the_seats(&hall, "kim").await;
    for at in 0..pass.len() {
        let mut forged = pass.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        hall.hold_with("kim", &forged, &[2]).await.refused(401, "queue_token_invalid");
        exchange(&hall, "kim", &forged, &held, 3).await.refused(401, "queue_token_invalid");
    }
    let mut last = pass.clone().into_bytes();
    last.rotate_right(1);
    let turned = String::from_utf8(last).unwrap();
    let longer = [format!("{pass}A"), format!("{pass}="), format!("{pass}{pass}")];
    for forged in ["", "x", "not a pass", &pass[1..], &pass[..pass.len() - 1], &turned]
        .into_iter()
        .chain(longer.iter().map(String::as_str))
    {
        is_invalid(&hall, "kim", &held, forged).await;
    }
    let both = hall.hold_with("kim", &pass, &[2]).header("queue-token", &pass);
    both.await.refused(401, "queue_token_invalid");
    assert_eq!(stand(&hall, "kim", &pass).await, is("active"));
    assert_eq!(hall.call(GET, "/schedules/s").await.ok(200)["seats"]["held"], 1);
}

#[tokio::test]
async fn a_pass_works_for_the_user_alone_who_got_it() {
    let hall = Hall::open(json!({"maxActive": 3})).await;
    let (kims, _) = at_the_seats(&hall, "kim").await;
    let lees = enter(&hall, "lee").await;
    let held = hall.hold_with("lee", &lees, &[3]).await.ok(201);
    is_invalid(&hall, "lee", &held, &kims).await;
    // Nor for one who never queued, or whose name begins or ends as the owner's does.
    for other in ["park", "ki", "kimm", "Kim"] {
        is_invalid(&hall, other, &held, &kims).await;
    }
    let admin = hall.as_admin(POST, "/reservations").header("queue-token", &kims).json(&hold_of(&[2]));
    admin.await.refused(401, "queue_token_invalid");
    assert_eq!(stand(&hall, "kim", &kims).await, is("active"), "nobody has left in their name");
}

#[tokio::test]
async fn a_name_in_any_script_has_a_pass() {
    let hall = Hall::open(json!({"maxActive": 10})).await;
    let long = "x".repeat(128);
    let names = ["관객", "a b\"c", "%2F..", &long];
    let mut passes = Vec::new();
    for (name, seat) in names.into_iter().zip(1..) {
        let pass = enter(&hall, name).await;
        hall.hold_with(name, &pass, &[seat]).await.ok(201);
        passes.push(pass);
    }
    for (other, pass) in names.iter().zip(passes.iter().skip(1)) {
        hall.hold_with(other, pass, &[1]).await.refused(401, "queue_token_invalid");
    }
}

#[tokio::test]
async fn a_pass_works_for_its_schedule_alone() {
    let hall = Hall::open(json!({"maxActive": 3})).await;
    hall.as_admin(PUT, "/schedules/t").json(&planned(json!({"maxActive": 3}))).await.ok(201);
    hall.as_admin(POST, "/schedules/t/open").await.ok(200);
    let (_, held) = at_the_seats(&hall, "kim").await;
    let join = hall.as_user("kim", POST, "/queue/tokens").json(&json!({"scheduleId": "t"}));
    let other = pass_of(&join.await.ok(201));
    is_invalid(&hall, "kim", &held, &other).await;
    let mut body = hold_of(&[1]);
    body["scheduleId"] = json!("t");
    let there = hall.as_user("kim", POST, "/reservations").header("queue-token", &other).json(&body);
    there.await.ok(201);
}

#[tokio::test]
async fn a_pass_of_a_schedule_that_was_removed_is_none_of_the_next_with_its_name() {
    let hall = Hall::open(json!({"maxActive": 3})).await;
    let pass = enter(&hall, "kim").await;
    hall.as_admin(DELETE, "/schedules/s").await.ok(204);
    hall.place("kim", &pass).await.refused(404, "not_found");
    hall.put(&planned(json!({"maxActive": 3}))).await.ok(201);
    hall.sale("open").await.ok(200);
    let mine = enter(&hall, "kim").await;
    assert_ne!(mine, pass);
    let held = hall.hold_with("kim", &mine, &[1]).await.ok(201);
    is_invalid(&hall, "kim", &held, &pass).await;
}

#[tokio::test]
async fn a_pass_that_was_given_up_opens_nothing_any_more() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let (pass, held) = at_the_seats(&hall, "kim").await;
    hall.leave("kim", &pass).await.ok(204);
    for _ in 0..2 {
        is_not_active(hall.hold_with("kim", &pass, &[2]).await, None);
        is_not_active(exchange(&hall, "kim", &pass, &held, 3).await, None);
        assert_eq!(stand(&hall, "kim", &pass).await, is("done"));
        hall.leave("kim", &pass).await.ok(204);
    }
    let again = enter(&hall, "kim").await;
    is_not_active(hall.hold_with("kim", &pass, &[2]).await, None);
    hall.hold_with("kim", &again, &[2]).await.ok(201);
}

#[tokio::test]
async fn a_pass_ends_at_its_very_instant_whether_or_not_anyone_looks() {
    let hall = Hall::open(json!({"maxActive": 1, "activeSeconds": 600, "idleSeconds": null})).await;
    let (pass, held) = at_the_seats(&hall, "kim").await;
    hall.advance(299_999);
    exchange(&hall, "kim", &pass, &held, 2).await.ok(200);
    hall.advance(300_000);
    hall.hold_with("kim", &pass, &[3]).await.ok(201);
    hall.advance(1);
    // Nothing has told the room that time has passed: the pass itself is over.
    is_not_active(hall.hold_with("kim", &pass, &[4]).await, None);
    assert_eq!(stand(&hall, "kim", &pass).await, is("expired"));
    let held = hall.as_user("kim", GET, "/reservations?status=held").await.ok(200);
    assert_eq!(held["items"].as_array().unwrap().len(), 1, "what it held lives on to its own deadline");
    is_not_active(exchange(&hall, "kim", &pass, &held["items"][0], 4).await, None);
}

#[tokio::test]
async fn what_was_answered_once_needs_no_pass() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let pass = enter(&hall, "kim").await;
    let held = hall.hold_with("kim", &pass, &[1]).key("hold").await;
    assert_eq!(held.status, 201);
    let body = json!({"seats": seat_ids(&[2])});
    let exchange = || hall.as_user("kim", PATCH, &path_of(&held.body)).key("exchange").json(&body);
    let exchanged = exchange().header("queue-token", &pass).await;
    assert_eq!(exchanged.status, 200);
    hall.leave("kim", &pass).await.ok(204);
    let again = |seat| hall.as_user("kim", POST, "/reservations").key("hold").json(&hold_of(&[seat]));
    is_replay(&again(1).await, &held);
    is_replay(&exchange().await, &exchanged);
    again(2).await.refused(422, "idempotency_key_reused");
    let other = hall.as_user("kim", POST, "/reservations").key("another").json(&hold_of(&[1]));
    other.await.refused(403, "queue_token_required");
    let lees = hall.as_user("lee", POST, "/reservations").key("hold").json(&hold_of(&[1]));
    lees.await.refused(403, "queue_token_required");
}

#[tokio::test]
async fn without_the_waiting_room_no_pass_is_needed_and_an_old_one_never_works_again() {
    let hall = Hall::open(json!({"maxActive": 2})).await;
    let kim = enter(&hall, "kim").await;
    let lee = enter(&hall, "lee").await;
    let park = queue_up(&hall, "park").await;
    hall.put(&planned(Value::Null)).await.ok(200);
    hall.room().await.refused(409, "no_waiting_room");
    hall.join("kim").await.refused(409, "no_waiting_room");
    let held = hall.as_user("choi", POST, "/reservations").json(&hold_of(&[1])).await.ok(201);
    let exchange = json!({"seats": seat_ids(&[2])});
    hall.as_user("choi", PATCH, &path_of(&held)).json(&exchange).await.ok(200);
    // An old pass isn't needed and does no harm.
    hall.hold_with("kim", &kim, &[3]).await.ok(201);

    hall.put(&planned(json!({"maxActive": 2}))).await.ok(200);
    let room = hall.room().await.ok(200);
    assert_eq!((&room["waiting"], &room["active"]), (&json!(0), &json!(0)), "nobody has a place any more");
    for (user, pass) in [("kim", &kim), ("lee", &lee), ("park", &park)] {
        is_not_active(hall.hold_with(user, pass, &[4]).await, None);
        assert_eq!(stand(&hall, user, pass).await, is("expired"));
    }
    let again = enter(&hall, "kim").await;
    assert_ne!(again, kim);
    is_not_active(hall.hold_with("kim", &kim, &[4]).await, None);
    hall.hold_with("kim", &again, &[4]).await.ok(201);
}

#[tokio::test]
async fn a_pass_is_the_same_after_kill_9_and_one_that_was_over_stays_over() {
    let api = Api::with_hall(4, json!({"queue": {"maxActive": 2}})).await;
    let kim = enter(&api, "kim").await;
    let lee = enter(&api, "lee").await;
    api.hold_with("kim", &kim, &[1]).await.ok(201);
    api.leave("lee", &lee).await.ok(204);
    let api = api.kill_and_restart();
    api.hold_with("kim", &kim, &[2]).await.ok(201);
    is_not_active(api.hold_with("lee", &lee, &[3]).await, None);
    api.hold_with("lee", &kim, &[3]).await.refused(401, "queue_token_invalid");
}

/// The tickets that a restored backup gives are others' than those that were given after it was made.
#[tokio::test]
async fn a_pass_of_a_past_that_was_undone_opens_nothing() {
    if !is_log_local("a copy of the directory") {
        return;
    }
    let api = Api::start();
    api.server.prepare(4, json!({"queue": {"maxActive": 10}})).await;
    let backup = api.back_up();
    let lost = enter(&api, "kim").await;
    api.hold_with("kim", &lost, &[1]).await.ok(201);
    let api = api.kill_and_restore(&backup);
    api.hold_with("kim", &lost, &[1]).await.refused(403, "queue_not_active");
    let lees = enter(&api, "lee").await;
    let problem = api.hold_with("kim", &lost, &[1]).await.refused(403, "queue_not_active");
    assert_eq!(problem["position"], Value::Null, "the ticket is another's");
    assert_eq!(stand(&api, "kim", &lost).await, is("expired"));
    api.leave("kim", &lost).await.ok(204);
    api.hold_with("lee", &lees, &[1]).await.ok(201);
}
