//! Accessible seats and those of companions: kept for those who ask for them, until they are released.

use serde_json::{Value, json};

use crate::{Api, GET, PATCH, POST, PUT, concert, from_now, path_of, schedule, text, venue, with};

/// [`crate::venue`] whose row 1 has an accessible seat in its middle and a companion's beside it: `1-A-1-2` and `1-A-1-3`.
fn hall() -> Value {
    let seat = |number: u32| json!({"seatId": format!("1-A-1-{number}"), "seatNumber": number});
    let mut hall = venue();
    let row = &mut hall["sections"][0]["rows"][0];
    *row = with(row.take(), "length", Value::Null);
    row["seats"] = (1..=4).map(seat).collect();
    row["seats"][1]["accessible"] = true.into();
    row["seats"][2]["companionOf"] = "1-A-1-2".into();
    hall
}

async fn api(policy: Value) -> Api {
    let api = Api::start();
    api.admin(PUT, "/venues/v").json(&hall()).await.ok(201);
    api.admin(PUT, "/concerts/c").json(&concert()).await.ok(201);
    api.admin(PUT, "/schedules/s").json(&with(schedule(), "policy", policy)).await.ok(201);
    api.admin(POST, "/schedules/s/open").await.ok(200);
    api
}

fn seats(numbers: &[u32], accessible: bool) -> Value {
    let body = json!({"scheduleId": "s", "seats": crate::seat_ids(numbers)});
    if accessible { with(body, "accessible", json!(true)) } else { body }
}

async fn hold(api: &Api, user: &str, body: Value) -> crate::Answer {
    api.user(user, POST, "/reservations").json(&body).await
}

async fn best(api: &Api, user: &str, best: Value) -> crate::Answer {
    hold(api, user, json!({"scheduleId": "s", "bestAvailable": best})).await
}

fn ids(reservation: &Value) -> Vec<String> {
    reservation["seats"].as_array().unwrap().iter().map(|seat| text(&seat["seatId"])).collect()
}

#[tokio::test]
async fn an_accessible_seat_is_given_by_its_id_only_to_who_says_so() {
    let api = api(json!({})).await;
    for numbers in [&[2][..], &[3], &[1, 2, 3]] {
        let refused = hold(&api, "kim", seats(numbers, false)).await.refused(409, "accessible_seat");
        let special: Vec<u32> = numbers.iter().copied().filter(|number| [2, 3].contains(number)).collect();
        assert_eq!(refused["seats"], json!(crate::seat_ids(&special)));
    }
    let no = with(seats(&[2], false), "accessible", json!(false));
    hold(&api, "kim", no).await.refused(409, "accessible_seat");
    hold(&api, "kim", seats(&[1, 4], false)).await.ok(201);
    hold(&api, "lee", seats(&[2, 3], true)).await.ok(201);
    hold(&api, "pak", seats(&[2], false)).await.refused(409, "seat_unavailable");
    hold(&api, "pak", with(seats(&[2], false), "accessible", json!("yes")))
        .await
        .refused(422, "invalid_request");
}

#[tokio::test]
async fn the_best_seats_leave_accessible_ones_out_and_find_them_for_who_says_so() {
    let api = api(json!({})).await;
    let grade = json!({"count": 3, "grade": "R"});
    best(&api, "kim", grade).await.refused(409, "not_enough_seats");

    let plain = best(&api, "kim", json!({"count": 2})).await.ok(201);
    assert_eq!(plain["seats"][0]["grade"], "S", "no two seats of row 1 are side by side without them");

    let with_companion = best(&api, "lee", json!({"count": 2, "accessible": true})).await.ok(201);
    assert_eq!(ids(&with_companion), ["1-A-1-2", "1-A-1-3"]);
    let none_left = best(&api, "pak", json!({"count": 1, "accessible": true})).await;
    none_left.refused(409, "not_enough_seats");
}

#[tokio::test]
async fn an_exchange_keeps_accessible_seats_and_gets_none_unasked() {
    let api = api(json!({})).await;
    let exchange = async |held: &Value, body: Value| {
        let body = with(body, "scheduleId", Value::Null);
        api.user("kim", PATCH, &path_of(held)).json(&body).await
    };
    let held = hold(&api, "kim", seats(&[1], false)).await.ok(201);
    exchange(&held, seats(&[2], false)).await.refused(409, "accessible_seat");
    exchange(&held, seats(&[2], true)).await.ok(200);
    // What it has already isn't given once more; the companion's seat is.
    exchange(&held, seats(&[1, 2], false)).await.ok(200);
    exchange(&held, seats(&[2, 3], false)).await.refused(409, "accessible_seat");
    let best = json!({"bestAvailable": {"count": 2, "accessible": true}});
    assert_eq!(ids(&exchange(&held, best).await.ok(200)), ["1-A-1-2", "1-A-1-3"]);
    let plain = exchange(&held, json!({"bestAvailable": {"count": 1, "grade": "R"}})).await.ok(200);
    assert!(["1-A-1-1", "1-A-1-4"].contains(&ids(&plain)[0].as_str()), "{plain}");
}

#[tokio::test]
async fn once_they_are_released_they_are_sold_like_all_others() {
    let later = api(json!({"accessibleReleaseAt": from_now(3_600_000)})).await;
    let policy = later.public(GET, "/schedules/s").await.ok(200)["policy"].clone();
    assert!(crate::is_instant(&policy["accessibleReleaseAt"]), "{policy}");
    hold(&later, "kim", seats(&[2], false)).await.refused(409, "accessible_seat");

    // An administrator may release them at once, and keep what is left again.
    let put = async |policy: Value| {
        later.admin(PUT, "/schedules/s").json(&with(schedule(), "policy", policy)).await.ok(200);
    };
    put(json!({"accessibleReleaseAt": from_now(-1)})).await;
    hold(&later, "kim", seats(&[2], false)).await.ok(201);
    put(json!({})).await;
    hold(&later, "lee", seats(&[3], false)).await.refused(409, "accessible_seat");
    let wrong = with(schedule(), "policy", json!({"accessibleReleaseAt": "tomorrow"}));
    later.admin(PUT, "/schedules/s").json(&wrong).await.names("policy.accessibleReleaseAt");
}

#[tokio::test]
async fn a_mark_counts_from_when_the_venue_has_it() {
    let api = api(json!({})).await;
    let mut changed = hall();
    changed["sections"][0]["rows"][0]["seats"][0]["accessible"] = true.into();
    changed["sections"][0]["rows"][0]["seats"][2] = json!({"seatId": "1-A-1-3", "seatNumber": 3});
    api.admin(PUT, "/venues/v").json(&changed).await.ok(200);
    hold(&api, "kim", seats(&[1], false)).await.refused(409, "accessible_seat");
    hold(&api, "kim", seats(&[3], false)).await.ok(201);
    let api = api.kill_and_restart();
    hold(&api, "lee", seats(&[1], false)).await.refused(409, "accessible_seat");
    hold(&api, "lee", seats(&[1], true)).await.ok(201);
}
