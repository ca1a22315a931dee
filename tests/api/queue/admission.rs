//! Who is let in, and when (Q1).

use std::collections::VecDeque;

use futures_util::future::join_all;
use serde_json::json;

use super::{
    Front, Hall, START, Told, at, crowd, enter, is, millis, pass_of, planned_with, queue_up, stand, waits_at,
};
use crate::{Api, feed, soon, text};

/// Has `count` fans queue up, and returns their names and passes.
async fn fans(hall: &Hall, count: u32) -> Vec<(String, String)> {
    let mut fans = Vec::new();
    for number in 1..=count {
        let name = format!("fan-{number}");
        let pass = pass_of(&hall.join(&name).await.ok(201));
        fans.push((name, pass));
    }
    fans
}

/// How each of them stands, in order.
async fn stands(hall: &Hall, fans: &[(String, String)]) -> Vec<(String, Option<u64>)> {
    let mut stands = Vec::new();
    for (name, pass) in fans {
        stands.push(stand(hall, name, pass).await);
    }
    stands
}

#[tokio::test]
async fn nobody_is_let_in_before_the_sale_opens_and_then_before_the_opening_is_answered() {
    let hall = Hall::upcoming(json!({"maxActive": 2})).await;
    let fans = fans(&hall, 3).await;
    hall.pass(1_000_000).await;
    assert_eq!(stands(&hall, &fans).await, [waits_at(1), waits_at(2), waits_at(3)]);
    assert_eq!(hall.room().await.ok(200)["gate"], "not_on_sale");
    hall.sale("open").await.ok(200);
    assert_eq!(stands(&hall, &fans).await, [is("active"), is("active"), waits_at(1)]);
    let room = hall.room().await.ok(200);
    assert_eq!((&room["gate"], &room["admittedTotal"]), (&json!("open"), &json!(2)));
}

#[tokio::test]
async fn nobody_is_let_in_before_opens_at_though_the_sale_is_open() {
    let hall = Hall::open(json!({"maxActive": 100, "opensAt": at(60_000)})).await;
    let fans = fans(&hall, 4).await;
    assert_eq!(hall.room().await.ok(200)["opensAt"], at(60_000));
    hall.pass(59_999).await;
    let waiting: Vec<_> = (1..=4).map(waits_at).collect();
    assert_eq!(stands(&hall, &fans).await, waiting);
    hall.hold_with(&fans[0].0, &fans[0].1, &[1]).await.refused(403, "queue_not_active");
    hall.pass(1).await;
    assert_eq!(stands(&hall, &fans).await, [const { "active" }; 4].map(is));
    let activated = millis(&hall.place(&fans[3].0, &fans[3].1).await.ok(200)["activatedAt"]);
    assert_eq!(activated, START.as_millis() + 60_000);
}

#[tokio::test]
async fn a_newcomer_at_the_opening_instant_passes_nobody_who_waits() {
    let hall = Hall::open(json!({"maxActive": 2, "opensAt": at(60_000)})).await;
    let fans = fans(&hall, 3).await;
    hall.advance(60_000);
    // No timer has fired: the request itself brings what is due.
    let late = hall.join("late").await.ok(201);
    assert_eq!((&late["status"], &late["position"]), (&json!("waiting"), &json!(2)));
    assert_eq!(stands(&hall, &fans).await, [is("active"), is("active"), waits_at(1)]);
}

#[tokio::test]
async fn a_sale_that_opens_by_itself_lets_people_in_at_that_instant() {
    let hall = Hall::unplanned().await;
    let document = planned_with(json!({"maxActive": 1}), &[("salesOpenAt", at(60_000))]);
    hall.put(&document).await.ok(201);
    let fans = fans(&hall, 2).await;
    hall.pass(59_999).await;
    assert_eq!(stands(&hall, &fans).await, [waits_at(1), waits_at(2)]);
    hall.pass(1).await;
    assert_eq!(stands(&hall, &fans).await, [is("active"), waits_at(1)]);
    hall.hold_with(&fans[0].0, &fans[0].1, &[1]).await.ok(201);
}

#[tokio::test]
async fn after_opens_at_people_still_wait_for_the_sale() {
    let hall = Hall::upcoming(json!({"maxActive": 1, "opensAt": at(60_000)})).await;
    let fans = fans(&hall, 2).await;
    hall.pass(100_000).await;
    assert_eq!(stands(&hall, &fans).await, [waits_at(1), waits_at(2)]);
    hall.sale("open").await.ok(200);
    assert_eq!(stands(&hall, &fans).await, [is("active"), waits_at(1)]);
}

#[tokio::test]
async fn a_closed_sale_lets_nobody_in_until_it_is_opened_again() {
    let hall = Hall::open(json!({"maxActive": 2})).await;
    let kim = enter(&hall, "kim").await;
    let lee = enter(&hall, "lee").await;
    let park = queue_up(&hall, "park").await;
    hall.sale("close").await.ok(200);
    hall.leave("kim", &kim).await.ok(204);
    hall.pass(1_000).await;
    assert_eq!(stand(&hall, "park", &park).await, waits_at(1));
    assert_eq!(stand(&hall, "lee", &lee).await, is("active"), "closing ends nobody's pass");
    hall.hold_with("lee", &lee, &[1]).await.refused(409, "schedule_not_open");
    let choi = queue_up(&hall, "choi").await;
    hall.sale("open").await.ok(200);
    assert_eq!(stand(&hall, "park", &park).await, is("active"));
    assert_eq!(stand(&hall, "choi", &choi).await, waits_at(1));
}

#[tokio::test]
async fn from_the_end_of_the_sale_on_nobody_is_let_in() {
    let hall = Hall::unplanned().await;
    let document = planned_with(json!({"maxActive": 1}), &[("salesCloseAt", at(60_000))]);
    hall.put(&document).await.ok(201);
    hall.sale("open").await.ok(200);
    let kim = enter(&hall, "kim").await;
    let lee = queue_up(&hall, "lee").await;
    hall.advance(60_000);
    // The instant decides, whether or not the sale's own timer has fired.
    hall.join("park").await.refused(409, "schedule_not_open");
    hall.leave("kim", &kim).await.ok(204);
    assert_eq!(stand(&hall, "lee", &lee).await, waits_at(1));
    hall.settle().await;
    assert_eq!(stand(&hall, "lee", &lee).await, waits_at(1));
}

#[tokio::test]
async fn a_higher_limit_lets_the_first_in_line_in_before_the_answer() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let fans = fans(&hall, 5).await;
    let room = hall.tune(&json!({"maxActive": 3})).await.ok(200);
    assert_eq!(room["maxActive"], 3);
    let now = [is("active"), is("active"), is("active"), waits_at(1), waits_at(2)];
    assert_eq!(stands(&hall, &fans).await, now);
}

#[tokio::test]
async fn a_lower_limit_ends_no_pass_and_lets_nobody_in_until_there_is_room() {
    let hall = Hall::open(json!({"maxActive": 3})).await;
    let fans = fans(&hall, 5).await;
    hall.tune(&json!({"maxActive": 1})).await.ok(200);
    assert_eq!(hall.crowd().await, (2, 3));
    for (index, seat) in (1..=3).enumerate() {
        hall.hold_with(&fans[index].0, &fans[index].1, &[seat]).await.ok(201);
    }
    for (index, crowd) in [(2, 2), (2, 1), (1, 1)].into_iter().enumerate() {
        hall.leave(&fans[index].0, &fans[index].1).await.ok(204);
        assert_eq!(hall.crowd().await, crowd);
    }
    assert_eq!(stands(&hall, &fans[3..]).await, [is("active"), waits_at(1)]);
}

#[tokio::test]
async fn a_pace_spreads_admissions_over_the_minute() {
    let hall = Hall::open(json!({"maxActive": 1_000, "admitPerMinute": 60})).await;
    let fans = fans(&hall, 20).await;
    assert_eq!(hall.crowd().await, (19, 1), "there is room for all, and the pace lets one in");
    for second in 1..=9 {
        hall.pass(999).await;
        assert_eq!(hall.crowd().await, (20 - second, second));
        hall.pass(1).await;
        assert_eq!(hall.crowd().await, (19 - second, second + 1));
    }
    assert_eq!(stands(&hall, &fans[9..11]).await, [is("active"), waits_at(1)]);
    hall.tune(&json!({"admitPerMinute": 30})).await.ok(200);
    hall.pass(1_999).await;
    assert_eq!(hall.crowd().await, (10, 10));
    hall.pass(1).await;
    assert_eq!(hall.crowd().await, (9, 11));
    hall.tune(&json!({"admitPerMinute": null})).await.ok(200);
    assert_eq!(hall.crowd().await, (0, 20), "without a pace there is room for all");
}

#[tokio::test]
async fn a_minute_in_which_nobody_came_is_not_saved_up() {
    let hall = Hall::open(json!({"maxActive": 1_000, "admitPerMinute": 120})).await;
    hall.pass(600_000).await;
    fans(&hall, 10).await;
    let (_, at_once) = hall.crowd().await;
    assert!((1..=2).contains(&at_once), "at most a second's worth, and not {at_once}");
    hall.pass(1_000).await;
    assert_eq!(hall.crowd().await.1, at_once + 2);
}

#[tokio::test]
async fn a_paused_room_lets_nobody_in_and_ends_no_pass() {
    let hall = Hall::open(json!({"maxActive": 2})).await;
    let kim = enter(&hall, "kim").await;
    assert_eq!(hall.tune(&json!({"paused": true})).await.ok(200)["paused"], true);
    let fans = fans(&hall, 2).await;
    assert_eq!(stands(&hall, &fans).await, [waits_at(1), waits_at(2)], "though there is room");
    hall.hold_with("kim", &kim, &[1]).await.ok(201);
    hall.leave("kim", &kim).await.ok(204);
    hall.pass(10_000).await;
    assert_eq!(hall.crowd().await, (2, 0));
    assert_eq!(hall.tune(&json!({"paused": false})).await.ok(200)["paused"], false);
    assert_eq!(hall.crowd().await, (0, 2));
}

#[tokio::test]
async fn an_admitted_user_who_shows_no_sign_of_life_makes_room_for_the_next() {
    let hall = Hall::open(json!({"maxActive": 1, "claimSeconds": 30})).await;
    let kim = enter(&hall, "kim").await;
    let lee = queue_up(&hall, "lee").await;
    let park = queue_up(&hall, "park").await;
    hall.pass(29_999).await;
    assert_eq!(stand(&hall, "lee", &lee).await, waits_at(1), "who waits and looks is not let in by it");
    hall.advance(1);
    hall.hold_with("kim", &kim, &[1]).await.refused(403, "queue_not_active");
    assert_eq!(stand(&hall, "kim", &kim).await, is("expired"));
    hall.settle().await;
    assert_eq!(stand(&hall, "lee", &lee).await, is("active"));
    // Lee has looked, and stays.
    hall.pass(60_000).await;
    assert_eq!(stand(&hall, "lee", &lee).await, is("active"));
    assert_eq!(stand(&hall, "park", &park).await, waits_at(1));
    assert_eq!(hall.room().await.ok(200)["admittedTotal"], 2);
}

#[tokio::test]
async fn a_sign_of_life_in_the_last_moment_is_one() {
    let hall = Hall::open(json!({"maxActive": 2, "claimSeconds": 30, "activeSeconds": 100})).await;
    let kim = enter(&hall, "kim").await;
    let lee = enter(&hall, "lee").await;
    let park = queue_up(&hall, "park").await;
    hall.advance(29_999);
    assert_eq!(stand(&hall, "kim", &kim).await, is("active"));
    hall.hold_with("lee", &lee, &[1]).await.ok(201);
    hall.pass(1).await;
    hall.pass(60_000).await;
    assert_eq!(hall.crowd().await, (1, 2), "one has looked, one has held: both were there");
    hall.pass(9_999).await;
    assert_eq!(stand(&hall, "park", &park).await, waits_at(1));
    hall.pass(1).await;
    assert_eq!(stand(&hall, "park", &park).await, is("active"));
    assert_eq!(stand(&hall, "kim", &kim).await, is("expired"), "activity doesn't make a pass longer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sign_of_life_counts_though_it_is_yet_to_be_written() {
    let hall = Hall::open(json!({"maxActive": 1, "claimSeconds": 30})).await;
    let kim = enter(&hall, "kim").await;
    hall.advance(29_999);
    hall.disk.hold_syncs();
    assert_eq!(stand(&hall, "kim", &kim).await, is("active"));
    tokio::task::block_in_place(|| hall.disk.wait_for_held_sync());
    hall.advance(1);
    assert_eq!(stand(&hall, "kim", &kim).await, is("active"));
    Told::of(&hall, "kim", &kim).await.must("active").await;
    hall.disk.release_syncs();
    hall.hold_with("kim", &kim, &[1]).await.ok(201);
}

#[tokio::test]
async fn another_users_request_is_no_sign_of_life() {
    let hall = Hall::open(json!({"maxActive": 1, "claimSeconds": 30})).await;
    let kim = enter(&hall, "kim").await;
    let lee = queue_up(&hall, "lee").await;
    hall.place("lee", &kim).await.refused(401, "queue_token_invalid");
    hall.pass(30_000).await;
    assert_eq!(stand(&hall, "kim", &kim).await, is("expired"));
    assert_eq!(stand(&hall, "lee", &lee).await, is("active"));
}

#[tokio::test]
async fn an_open_stream_is_a_sign_of_life() {
    let hall = Hall::open(json!({"maxActive": 1, "claimSeconds": 30, "idleSeconds": null})).await;
    let kim = enter(&hall, "kim").await;
    let lee = queue_up(&hall, "lee").await;
    let mut told = Told::of(&hall, "lee", &lee).await;
    told.must("position").await;
    hall.leave("kim", &kim).await.ok(204);
    told.must("active").await;
    hall.pass(30_000).await;
    hall.pass(600_000).await;
    assert_eq!(stand(&hall, "lee", &lee).await, is("active"));
}

#[tokio::test]
async fn who_has_shown_one_sign_of_life_and_does_nothing_more_makes_room_for_the_next() {
    let hall = Hall::open(json!({"maxActive": 1, "idleSeconds": 60})).await;
    let kim = enter(&hall, "kim").await;
    let lee = queue_up(&hall, "lee").await;
    assert_eq!(stand(&hall, "kim", &kim).await, is("active"));
    hall.pass(30_000).await;
    hall.hold_with("kim", &kim, &[1]).await.ok(201);
    hall.pass(59_999).await;
    assert_eq!(stand(&hall, "lee", &lee).await, waits_at(1), "the time goes from the last sign on");
    hall.advance(1);
    hall.hold_with("kim", &kim, &[2]).await.refused(403, "queue_not_active");
    assert_eq!(stand(&hall, "kim", &kim).await, is("expired"));
    hall.settle().await;
    assert_eq!(stand(&hall, "lee", &lee).await, is("active"));
    assert_eq!(hall.room().await.ok(200)["admittedTotal"], 2);
}

#[tokio::test]
async fn who_goes_on_showing_signs_of_life_stays() {
    let hall = Hall::open(json!({"maxActive": 1, "idleSeconds": 60, "activeSeconds": 600})).await;
    let kim = enter(&hall, "kim").await;
    let lee = queue_up(&hall, "lee").await;
    for _ in 0..11 {
        assert_eq!(stand(&hall, "kim", &kim).await, is("active"));
        // No timer fires: that the room is yet to be told changes nothing.
        hall.advance(50_000);
    }
    hall.settle().await;
    assert_eq!(stand(&hall, "kim", &kim).await, is("active"));
    hall.pass(50_000).await;
    assert_eq!(stand(&hall, "kim", &kim).await, is("expired"), "and not beyond the pass");
    assert_eq!(stand(&hall, "lee", &lee).await, is("active"));
}

#[tokio::test]
async fn an_open_stream_keeps_a_pass_from_being_idle_and_one_that_is_gone_does_not() {
    let api = Api::with_hall(4, json!({"queue": {"maxActive": 1, "idleSeconds": 5}})).await;
    let kim = enter(&api, "kim").await;
    let lee = queue_up(&api, "lee").await;
    let mut to_kim = crate::events::Stream::new(api.follow("kim", &kim).open().await);
    let mut to_lee = Told::of(&api, "lee", &lee).await;
    to_lee.must("position").await;
    for _ in 0..4 {
        to_kim.block().await.unwrap();
    }
    assert_eq!(stand(&api, "lee", &lee).await, waits_at(1));
    drop(to_kim);
    to_lee.reach("active").await;
}

#[tokio::test]
async fn the_next_is_let_in_without_anyone_asking() {
    let queue = json!({"maxActive": 1, "claimSeconds": 2, "activeSeconds": 4});
    let api = Api::with_hall(4, json!({"queue": queue})).await;
    api.tune(&json!({"paused": true})).await.ok(200);
    let kim = queue_up(&api, "kim").await;
    let lee = queue_up(&api, "lee").await;
    let park = queue_up(&api, "park").await;
    let mut to_lee = Told::of(&api, "lee", &lee).await;
    let mut to_park = Told::of(&api, "park", &park).await;
    api.tune(&json!({"paused": false})).await.ok(200);
    // Kim is gone: the time to show up ends.
    let lees = to_lee.reach("active").await;
    assert_eq!(stand(&api, "kim", &kim).await, is("expired"));
    // Lee is there: the pass ends with its whole time.
    assert_eq!(to_lee.must("ended").await["status"], "expired");
    assert_eq!(to_lee.next().await, None);
    let parks = to_park.reach("active").await;
    let between = millis(&parks["activatedAt"]) - millis(&lees["activatedAt"]);
    assert!((4_000..14_000).contains(&between), "{between} ms");
}

/// The journal's word for what happened in the room: nobody is let in before their turn, and never too many.
fn replay(events: &[crate::events::Event], most: usize) -> Vec<u64> {
    let (mut line, mut active, mut admitted) = (VecDeque::new(), Vec::new(), Vec::new());
    for event in events {
        let data = &event.data["data"];
        let tickets = || data["tickets"].as_array().unwrap().iter().map(|ticket| ticket.as_u64().unwrap());
        match event.kind.as_str() {
            "Joined" if data["admitted"] == true => {
                assert!(line.is_empty(), "nobody passes those who wait");
                active.push(data["ticket"].as_u64().unwrap());
                admitted.push(data["ticket"].as_u64().unwrap());
            }
            "Joined" => line.push_back(data["ticket"].as_u64().unwrap()),
            "Admitted" => {
                for ticket in tickets() {
                    assert_eq!(line.pop_front(), Some(ticket), "whoever is let in was first");
                    active.push(ticket);
                    admitted.push(ticket);
                }
            }
            "Left" => {
                line.retain(|ticket| data["ticket"] != *ticket);
                active.retain(|ticket| data["ticket"] != *ticket);
            }
            _ => {}
        }
        assert!(active.len() <= most, "{active:?} are active");
    }
    admitted
}

#[tokio::test]
async fn in_a_rush_the_first_in_line_is_let_in_each_time_and_never_too_many() {
    const FANS: usize = 40;
    let api = Api::with_hall(4, json!({"queue": {"maxActive": 3}})).await;
    let rush = (0..FANS).map(|number| {
        let (api, user) = (&api, format!("fan-{number}"));
        async move {
            let place = api.join(&user).await.ok(201);
            let pass = pass_of(&place);
            if number % 5 == 4 {
                api.leave(&user, &pass).await.ok(204);
                return;
            }
            let mut last = u64::MAX;
            while let (status, Some(position)) = stand(api, &user, &pass).await {
                assert!(status == "waiting" && position <= last, "{last}, then {position}");
                last = position;
            }
            assert_eq!(stand(api, &user, &pass).await, is("active"));
            let (_, active) = crowd(api).await;
            assert!(active <= 3, "{active} are active");
            api.leave(&user, &pass).await.ok(204);
        }
    });
    soon(join_all(rush)).await;
    assert_eq!(crowd(&api).await, (0, 0));
    let events = feed::read(&api, 0).await;
    let admitted = replay(&events, 3);
    assert!(admitted.is_sorted() && admitted.len() >= FANS * 4 / 5, "{admitted:?}");
    let users = events.iter().filter(|event| event.kind == "Joined");
    let mut users: Vec<String> = users.map(|event| text(&event.data["data"]["userId"])).collect();
    users.sort_unstable();
    users.dedup();
    assert_eq!(users.len(), FANS);
}
