//! The waiting room looks at the seats: nobody is let in to an empty shelf, and everyone is told what is left.

use serde_json::{Value, json};

use super::{Front, Hall, Told, enter, is, pass_of, planned, queue_up, stand, waits_at};
use crate::{DELETE, POST, PUT, path_of};

/// Holds every seat of the hall for two users; returns their names and holds.
async fn hold_all(hall: &Hall) -> [(&'static str, Value); 2] {
    let front = json!(["1-A-1-1", "1-A-1-2", "1-A-1-3", "1-A-1-4"]);
    let rear = json!(["1-A-2-1", "1-A-2-2", "1-A-2-3"]);
    let mut holds = Vec::new();
    for (user, seats) in [("kim", front), ("lee", rear)] {
        let pass = enter(hall, user).await;
        let body = json!({"scheduleId": "s", "seats": seats});
        let call = hall.as_user(user, POST, "/reservations").header("queue-token", &pass).json(&body);
        holds.push((user, call.await.ok(201)));
    }
    holds.try_into().unwrap()
}

fn left(document: &Value) -> (&Value, &Value, &Value) {
    (&document["seatsLeft"]["R"], &document["seatsLeft"]["S"], &document["soldOut"])
}

#[tokio::test]
async fn a_place_and_the_room_say_how_many_seats_of_each_grade_are_left() {
    let hall = Hall::open(json!({"maxActive": 1})).await;
    let kim = enter(&hall, "kim").await;
    let lees = hall.join("lee").await.ok(201);
    assert_eq!(lees["seatsLeft"], json!({"R": 4, "S": 3}));
    let held = hall.hold_with("kim", &kim, &[1, 2]).await.ok(201);
    hall.as_admin(POST, "/schedules/s/block").json(&json!({"seats": ["1-A-2-3"]})).await.ok(200);
    for document in
        [hall.room().await, hall.place("lee", &pass_of(&lees)).await, hall.place("kim", &kim).await]
    {
        assert_eq!(left(&document.ok(200)), (&json!(2), &json!(2), &json!(false)));
    }
    hall.as_user("kim", DELETE, &path_of(&held)).await.ok(200);
    assert_eq!(hall.room().await.ok(200)["seatsLeft"], json!({"R": 4, "S": 2}));
}

#[tokio::test]
async fn while_every_seat_is_held_nobody_is_let_in_though_there_is_room() {
    let hall = Hall::open(json!({"maxActive": 10})).await;
    let [(_, kims), _] = hold_all(&hall).await;
    let park = queue_up(&hall, "park").await;
    let choi = queue_up(&hall, "choi").await;
    hall.pass(10_000).await;
    assert_eq!(stand(&hall, "park", &park).await, waits_at(1));
    let room = hall.room().await.ok(200);
    assert_eq!((&room["gate"], left(&room)), (&json!("all_held"), (&json!(0), &json!(0), &json!(false))));
    hall.as_user("kim", DELETE, &path_of(&kims)).await.ok(200);
    hall.settle().await;
    assert_eq!(hall.room().await.ok(200)["gate"], "open");
    assert_eq!(stand(&hall, "park", &park).await, is("active"));
    assert_eq!(stand(&hall, "choi", &choi).await, is("active"));
    hall.hold_with("park", &park, &[1]).await.ok(201);
}

#[tokio::test]
async fn a_hold_that_ends_by_time_lets_the_next_in() {
    let hall = Hall::open(json!({"maxActive": 10})).await;
    hold_all(&hall).await;
    let park = queue_up(&hall, "park").await;
    hall.pass(299_999).await;
    assert_eq!(stand(&hall, "park", &park).await, waits_at(1));
    hall.pass(1).await;
    assert_eq!(stand(&hall, "park", &park).await, is("active"));
}

#[tokio::test]
async fn a_released_seat_is_noticed_without_anyone_asking() {
    let hall = Hall::open(json!({"maxActive": 10})).await;
    let [_, (_, lees)] = hold_all(&hall).await;
    let park = queue_up(&hall, "park").await;
    let mut told = Told::of(&hall, "park", &park).await;
    assert_eq!(told.must("position").await["position"], 1);
    hall.as_user("lee", DELETE, &path_of(&lees)).await.ok(200);
    assert_eq!(told.must("active").await["seatsLeft"], json!({"R": 0, "S": 3}));
}

#[tokio::test]
async fn a_sold_out_sale_says_so_everywhere_and_lets_in_whoever_waits_when_a_seat_comes_back() {
    let hall = Hall::open(json!({"maxActive": 10, "waitingSeconds": 86_400})).await;
    let holds = hold_all(&hall).await;
    let park = queue_up(&hall, "park").await;
    let mut told = Told::of(&hall, "park", &park).await;
    assert_eq!(told.must("position").await["soldOut"], false);
    for (user, held) in &holds {
        hall.confirm(user, held).await;
    }
    hall.settle().await;
    let nothing = (&json!(0), &json!(0), &json!(true));
    let room = hall.room().await.ok(200);
    assert_eq!((&room["gate"], left(&room)), (&json!("sold_out"), nothing));
    assert_eq!(left(&hall.place("park", &park).await.ok(200)), nothing);
    let position = told.must("position").await;
    assert_eq!(
        (&position["position"], left(&position)),
        (&json!(1), nothing),
        "told though the place is the same"
    );
    let late = hall.join("late").await.ok(201);
    assert_eq!((&late["status"], left(&late)), (&json!("waiting"), nothing));

    let cancelled = hall.as_admin(DELETE, &path_of(&holds[0].1)).await.ok(200);
    assert_eq!(cancelled["status"], "cancelled");
    hall.settle().await;
    assert_eq!(stand(&hall, "park", &park).await, is("active"));
    let room = hall.room().await.ok(200);
    assert_eq!((&room["gate"], left(&room)), (&json!("open"), (&json!(4), &json!(0), &json!(false))));
}

#[tokio::test]
async fn seats_that_are_off_sale_are_none_to_wait_for() {
    let hall = Hall::open(json!({"maxActive": 10})).await;
    let rows = [(1, 1..=4), (2, 1..=3)];
    let seats = rows.into_iter().flat_map(|(row, seats)| seats.map(move |seat| format!("1-A-{row}-{seat}")));
    let all = json!({"seats": seats.collect::<Vec<String>>()});
    hall.as_admin(POST, "/schedules/s/block").json(&all).await.ok(200);
    let kim = queue_up(&hall, "kim").await;
    assert_eq!(hall.room().await.ok(200)["soldOut"], true);
    hall.as_admin(POST, "/schedules/s/unblock").json(&all).await.ok(200);
    hall.settle().await;
    assert_eq!(stand(&hall, "kim", &kim).await, is("active"));
}

#[tokio::test]
async fn another_schedules_seats_are_another_schedules() {
    let hall = Hall::open(json!({"maxActive": 10})).await;
    hall.as_admin(PUT, "/schedules/t").json(&planned(json!({"maxActive": 10}))).await.ok(201);
    hall.as_admin(POST, "/schedules/t/open").await.ok(200);
    hold_all(&hall).await;
    queue_up(&hall, "park").await;
    let body = json!({"scheduleId": "t"});
    let there = hall.as_user("park", POST, "/queue/tokens").json(&body).await.ok(201);
    assert_eq!((&there["status"], &there["seatsLeft"]), (&json!("active"), &json!({"R": 4, "S": 3})));
}
