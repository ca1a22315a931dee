//! The draw of a shuffled room: no position before it, an order that anyone can check after it.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{Front, Hall, at, enter, is, pass_of, planned, queue_up, stand};
use crate::{Api, GET, PUT, feed, from_now, schedule, text, with};

fn shuffled(opens_at: &str, most: u32) -> Value {
    json!({"order": "shuffle", "opensAt": opens_at, "maxActive": most})
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap();
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// The numbers that a seed gives: block `i` is SHA-256(seed ‖ i), four numbers of 64 bits.
fn numbers(seed: &[u8]) -> impl Iterator<Item = u64> {
    (0_u64..).flat_map(move |block| {
        let bytes = sha256(&[seed, &block.to_be_bytes()].concat());
        (0..4).map(move |part| u64::from_be_bytes(bytes[8 * part..8 * part + 8].try_into().unwrap()))
    })
}

/// The order in which a seed puts `count` people, by the number of their joining from 0, as anyone can compute it.
fn drawn(seed: &[u8], count: usize) -> Vec<usize> {
    let mut numbers = numbers(seed);
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        let below = u128::try_from(last + 1).unwrap();
        let fair = (1_u128 << 64) / below * below;
        let number = numbers.find(|number| u128::from(*number) < fair).unwrap();
        order.swap(last, usize::try_from(u128::from(number) % below).unwrap());
    }
    order
}

/// Has fans queue up before a draw, and returns their passes.
async fn fans(front: &impl Front, count: usize) -> Vec<String> {
    let mut passes = Vec::new();
    for number in 0..count {
        let place = front.join(&format!("fan-{number}")).await.ok(201);
        assert_eq!((&place["status"], &place["position"]), (&json!("waiting"), &Value::Null), "{place}");
        assert_eq!(place["estimatedWaitSeconds"], Value::Null);
        passes.push(pass_of(&place));
    }
    passes
}

/// The fans in the order of their positions; who is active stands before all others.
async fn in_order(front: &impl Front, passes: &[String]) -> Vec<(u64, usize)> {
    let mut order = Vec::new();
    for (number, pass) in passes.iter().enumerate() {
        let (status, position) = stand(front, &format!("fan-{number}"), pass).await;
        assert_eq!(status == "active", position.is_none());
        order.push((position.unwrap_or_default(), number));
    }
    order.sort_unstable();
    order
}

#[tokio::test]
async fn a_draw_gives_everyone_who_came_before_a_place_that_can_be_checked() {
    const FANS: usize = 40;
    let hall = Hall::open(shuffled(&at(60_000), 1)).await;
    let passes = fans(&hall, FANS).await;
    hall.pass(59_999).await;
    let before = hall.room().await.ok(200)["draw"].clone();
    assert_eq!((&before["seed"], &before["drawn"]), (&Value::Null, &Value::Null));
    let undrawn = hall.place("fan-0", &passes[0]).await.ok(200);
    assert_eq!((&undrawn["status"], &undrawn["position"]), (&json!("waiting"), &Value::Null));
    let refused = hall.hold_with("fan-0", &passes[0], &[1]).await.refused(403, "queue_not_active");
    assert_eq!(refused["position"], Value::Null);

    hall.pass(1).await;
    let after = hall.room().await.ok(200)["draw"].clone();
    assert_eq!(after["drawn"], FANS);
    let seed = unhex(&text(&after["seed"]));
    assert_eq!(seed.len(), 32);
    let hash = hex(&sha256(&seed));
    assert_eq!(
        (&before["seedSha256"], &after["seedSha256"]),
        (&json!(hash), &json!(hash)),
        "no other seed was drawn"
    );
    let (positions, order): (Vec<u64>, Vec<usize>) = in_order(&hall, &passes).await.into_iter().unzip();
    assert_eq!(
        positions,
        (0..).take(FANS).collect::<Vec<u64>>(),
        "one is active, the others stand from 1 on"
    );
    assert_eq!(order, drawn(&seed, FANS));
    assert!(!order.is_sorted(), "forty in the order of joining: once in 10^47 draws");

    let mut order = order.into_iter();
    for _ in 0..3 {
        let fan = order.next().unwrap();
        assert_eq!(stand(&hall, &format!("fan-{fan}"), &passes[fan]).await, is("active"));
        hall.leave(&format!("fan-{fan}"), &passes[fan]).await.ok(204);
    }
}

#[tokio::test]
async fn after_the_draw_it_is_first_come_first_served() {
    let hall = Hall::open(shuffled(&at(60_000), 1)).await;
    let passes = fans(&hall, 5).await;
    hall.advance(60_000);
    // Joining at the very instant is too late for the draw.
    assert_eq!(hall.join("late").await.ok(201)["position"], 5);
    assert_eq!(hall.join("later").await.ok(201)["position"], 6);
    assert_eq!(hall.room().await.ok(200)["draw"]["drawn"], 5);
    let positions = in_order(&hall, &passes).await.into_iter().map(|(position, _)| position);
    assert_eq!(positions.collect::<Vec<u64>>(), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn whoever_left_before_the_draw_is_not_drawn() {
    let hall = Hall::open(shuffled(&at(60_000), 1)).await;
    let mut passes = fans(&hall, 6).await;
    hall.leave("fan-5", &passes[5]).await.ok(204);
    passes.pop();
    hall.pass(60_000).await;
    let draw = hall.room().await.ok(200)["draw"].clone();
    assert_eq!(draw["drawn"], 5);
    let order: Vec<usize> = in_order(&hall, &passes).await.into_iter().map(|(_, fan)| fan).collect();
    assert_eq!(order, drawn(&unhex(&text(&draw["seed"])), 5));
}

#[tokio::test]
async fn without_an_instant_the_draw_is_made_when_the_sale_opens() {
    let hall = Hall::upcoming(json!({"order": "shuffle", "maxActive": 2})).await;
    let passes = fans(&hall, 6).await;
    hall.pass(1_000_000).await;
    assert_eq!(stand(&hall, "fan-0", &passes[0]).await, ("waiting".to_owned(), None));
    hall.sale("open").await.ok(200);
    let positions = in_order(&hall, &passes).await.into_iter().map(|(position, _)| position);
    assert_eq!(positions.collect::<Vec<u64>>(), [0, 0, 1, 2, 3, 4]);
    assert_eq!(hall.room().await.ok(200)["draw"]["drawn"], 6);
}

#[tokio::test]
async fn a_room_without_a_draw_has_none() {
    let hall = Hall::open(json!({})).await;
    assert_eq!(hall.room().await.ok(200)["draw"], Value::Null);
}

#[tokio::test]
async fn the_order_that_people_were_promised_stands_while_they_wait() {
    let hall = Hall::open(shuffled(&at(60_000), 1)).await;
    let passes = fans(&hall, 2).await;
    let mut fifo = planned(json!({"order": "fifo", "opensAt": at(60_000), "maxActive": 7}));
    fifo["policy"]["holdSeconds"] = json!(77);
    let before = hall.call(GET, "/schedules/s").await.ok(200);
    hall.put(&fifo).await.refused(409, "in_use");
    assert_eq!(hall.call(GET, "/schedules/s").await.ok(200), before, "nothing of it was changed");
    assert_eq!(hall.room().await.ok(200)["maxActive"], 1);
    for (number, pass) in passes.iter().enumerate() {
        hall.leave(&format!("fan-{number}"), pass).await.ok(204);
    }
    hall.put(&fifo).await.ok(200);
    assert_eq!(hall.join("kim").await.ok(201)["position"], 1, "first come, first served from now on");
    hall.put(&planned(shuffled(&at(60_000), 1))).await.refused(409, "in_use");
    assert_eq!(hall.room().await.ok(200)["draw"], Value::Null);
}

#[tokio::test]
async fn once_drawn_the_order_stays_whatever_the_policy_says() {
    let hall = Hall::open(shuffled(&at(60_000), 1)).await;
    let passes = fans(&hall, 6).await;
    hall.pass(60_000).await;
    let order = in_order(&hall, &passes).await;
    for kind in ["fifo", "shuffle"] {
        let queue = json!({"order": kind, "opensAt": at(60_000), "maxActive": 1});
        hall.put(&planned(queue)).await.ok(200);
        hall.settle().await;
        assert_eq!(in_order(&hall, &passes).await, order);
    }
}

#[tokio::test]
async fn a_draw_is_made_once_also_across_kill_9_and_its_seed_is_told_no_earlier() {
    const FANS: usize = 12;
    let mut api = Api::start();
    crate::put_concert(&api).await;
    let document = |opens_at: &str| with(schedule(), "policy", json!({"queue": shuffled(opens_at, 1)}));
    api.admin(PUT, "/schedules/s").json(&document(&from_now(3_600_000))).await.ok(201);
    api.sale("open").await.ok(200);
    let passes = fans(&api, FANS).await;
    let before = api.room().await.ok(200)["draw"].clone();
    let undrawn = feed::read(&api, 0).await;
    api = api.kill_and_restart();
    assert_eq!(api.room().await.ok(200)["draw"], before, "the seed is the same, and still a secret");

    // The hour is called off: the draw is due at once, and made by the time of the answer.
    api.admin(PUT, "/schedules/s").json(&document(&from_now(-1_000))).await.ok(200);
    let after = api.room().await.ok(200)["draw"].clone();
    let seed = text(&after["seed"]);
    assert_eq!((&after["seedSha256"], &after["drawn"]), (&before["seedSha256"], &json!(FANS)));
    let order = in_order(&api, &passes).await;
    let expected = drawn(&unhex(&seed), FANS);
    assert_eq!(order.iter().map(|(_, fan)| *fan).collect::<Vec<usize>>(), expected);
    for event in &undrawn {
        assert!(!event.data.to_string().contains(&seed), "{event:?}");
    }
    api = api.kill_and_restart();
    assert_eq!(in_order(&api, &passes).await, order);
    assert_eq!(api.room().await.ok(200)["draw"], after);
    let told = feed::read(&api, 0).await;
    let named: Vec<&str> = told
        .iter()
        .filter(|event| event.data.to_string().contains(&seed))
        .map(|event| event.kind.as_str())
        .collect();
    assert_eq!(named, ["Drawn"], "the journal keeps the seed, and tells it with the draw");
    let hashes = told.iter().filter(|event| event.kind == "RoomConfigured");
    let hashes: Vec<Value> = hashes.map(|event| event.data["data"]["seedSha256"].clone()).collect();
    assert_eq!(hashes, [before["seedSha256"].clone(), Value::Null]);
}

#[tokio::test]
async fn a_shuffled_room_that_is_shut_and_set_up_again_draws_anew() {
    let hall = Hall::open(shuffled(&at(60_000), 1)).await;
    fans(&hall, 3).await;
    hall.pass(60_000).await;
    let first = hall.room().await.ok(200)["draw"].clone();
    hall.put(&planned(Value::Null)).await.ok(200);
    hall.put(&planned(shuffled(&at(120_000), 1))).await.ok(200);
    let second = hall.room().await.ok(200)["draw"].clone();
    assert_eq!(second["seed"], Value::Null);
    assert_ne!(second["seedSha256"], first["seedSha256"]);
    let place = hall.join("kim").await.ok(201);
    assert_eq!((&place["status"], &place["position"]), (&json!("waiting"), &Value::Null));
    hall.pass(60_000).await;
    assert_eq!(stand(&hall, "kim", &pass_of(&place)).await, is("active"));
    queue_up(&hall, "lee").await;
    let room = hall.room().await.ok(200);
    assert_eq!((&room["draw"]["drawn"], &room["active"]), (&json!(1), &json!(1)));
    let later = Hall::open(json!({"order": "shuffle", "maxActive": 1})).await;
    enter(&later, "kim").await;
    assert_eq!(later.room().await.ok(200)["draw"]["drawn"], 0, "nobody waited when the sale opened");
}
