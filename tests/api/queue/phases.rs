//! Phases at their instants, with and without a waiting room; the code at its door; guessing.

use super::*;
use crate::{Answer, path_of, seat_ids};

/// A phase of a minute after a minute for fans, and one of a minute after three for members, who have one seat of the grade `S` each; the
/// sale is general after five minutes.
fn phased(queue: Value) -> Value {
    let phases = json!([
        {"phaseId": "fans", "name": "Fan club", "opensAt": at(60_000), "closesAt": at(120_000)},
        {"phaseId": "members", "name": "Members", "opensAt": at(180_000), "closesAt": at(240_000),
            "grades": ["S"], "maxSeatsPerUser": 1},
    ]);
    let mut policy = json!({"phases": phases});
    policy["queue"] = queue;
    with(with(schedule(), "policy", policy), "salesOpenAt", json!(at(300_000)))
}

impl Hall {
    async fn phased(queue: Value) -> Self {
        let hall = Self::unplanned().await;
        hall.put(&phased(queue)).await.ok(201);
        hall.put_code("FANS", json!({"phases": ["fans"]})).await;
        hall.put_code("MEMBERS", json!({"phases": ["members"]})).await;
        hall
    }

    async fn put_code(&self, code: &str, terms: Value) {
        self.as_admin(PUT, &format!("/schedules/s/codes/{code}")).json(&terms).await.ok(201);
    }

    async fn hold_coded(&self, user: &str, seats: &[&str], code: &str) -> Answer {
        let body = json!({"scheduleId": "s", "seats": seats, "code": code});
        self.as_user(user, POST, "/reservations").json(&body).await
    }

    async fn hold_bare(&self, user: &str, seats: &[u32]) -> Answer {
        self.as_user(user, POST, "/reservations").json(&hold_of(seats)).await
    }

    async fn join_with(&self, user: &str, code: &str) -> Answer {
        self.as_user(user, POST, "/queue/tokens").json(&json!({"scheduleId": "s", "code": code})).await
    }

    async fn schedule(&self) -> Value {
        self.call(GET, "/schedules/s").await.ok(200)
    }

    async fn is(&self) -> (String, Option<String>) {
        let schedule = self.schedule().await;
        (text(&schedule["status"]), schedule["phase"].as_str().map(str::to_owned))
    }
}

fn open_in(phase: &str) -> (String, Option<String>) {
    ("open".to_owned(), Some(phase.to_owned()))
}

fn plainly(status: &str) -> (String, Option<String>) {
    (status.to_owned(), None)
}

#[tokio::test]
async fn phases_are_put_shown_and_put_back_and_what_they_cannot_be_is_refused() {
    let hall = Hall::phased(Value::Null).await;
    let shown = hall.schedule().await;
    assert_eq!(shown["policy"]["phases"], phased(Value::Null)["policy"]["phases"]);
    assert_eq!(shown["phase"], Value::Null);
    assert!(shown.as_object().unwrap().contains_key("phase"));
    hall.put(&shown).await.ok(200);

    let with_phases = |phases: Value| {
        let mut document = phased(Value::Null);
        document["policy"]["phases"] = phases;
        document
    };
    let phase = |id: &str, opens: u64, closes: u64| json!({"phaseId": id, "name": "x", "opensAt": at(opens), "closesAt": at(closes)});
    for (phases, field) in [
        (json!([phase("a", 1, 1)]), "policy.phases[0].closesAt"),
        (json!([phase("a", 1, 300_001)]), "policy.phases[0].closesAt"),
        (json!([phase("a", 1, 9), phase("b", 8, 10)]), "policy.phases[1].opensAt"),
        (json!([phase("a", 1, 2), phase("a", 3, 4)]), "policy.phases[1].phaseId"),
        (json!([phase("a b", 1, 2)]), "policy.phases[0].phaseId"),
        (json!([with(phase("a", 1, 2), "grades", json!(["VIP"]))]), "policy.phases[0].grades"),
        (json!([with(phase("a", 1, 2), "maxSeatsPerUser", json!(0))]), "policy.phases[0].maxSeatsPerUser"),
    ] {
        hall.put(&with_phases(phases)).await.names(field);
    }
    hall.put(&with_phases(json!([with(phase("a", 1, 2), "open", json!(1))])))
        .await
        .refused(422, "invalid_request");

    // A sale without phases says nothing of them.
    let bare = Hall::upcoming(Value::Null).await.schedule().await;
    assert!(bare.get("phase").is_none() && bare["policy"].get("phases").is_none(), "{bare}");
}

#[tokio::test]
async fn a_phase_sells_at_its_instants_to_those_who_bring_a_code_of_it() {
    let hall = Hall::phased(Value::Null).await;
    hall.put_code("ANYONE", json!({})).await;
    let seats = seat_ids(&[1, 2, 3, 4]);
    let seat = |number: usize| vec![seats[number - 1].as_str()];

    hall.advance(59_999);
    assert_eq!(hall.is().await, plainly("upcoming"));
    hall.hold_coded("kim", &seat(1), "FANS").await.refused(409, "schedule_not_open");
    hall.advance(1);
    assert_eq!(hall.is().await, open_in("fans"), "no timer has fired");
    hall.hold_bare("kim", &[1]).await.refused(403, "code_required");
    for wrong in ["MEMBERS", "ANYONE", "NONE-SUCH"] {
        hall.hold_coded("kim", &seat(1), wrong).await.refused(403, "code_invalid");
    }
    let held = hall.hold_coded("kim", &seat(1), "fans").await.ok(201);
    assert_eq!(held["code"], "FANS");
    let patch = json!({"seats": seat_ids(&[2])});
    hall.as_user("kim", PATCH, &path_of(&held)).json(&patch).await.ok(200);

    hall.advance(59_999);
    hall.hold_coded("lee", &seat(1), "FANS").await.ok(201);
    hall.advance(1);
    assert_eq!(hall.is().await, plainly("upcoming"));
    hall.hold_coded("cha", &seat(3), "FANS").await.refused(409, "schedule_not_open");
    hall.as_user("kim", PATCH, &path_of(&held)).json(&patch).await.refused(409, "schedule_not_open");

    hall.advance(60_000);
    assert_eq!(hall.is().await, open_in("members"));
    hall.hold_coded("cha", &seat(3), "MEMBERS").await.refused(403, "code_invalid");
    hall.hold_coded("cha", &["1-A-2-1", "1-A-2-2"], "MEMBERS").await.refused(409, "seat_limit_exceeded");
    let best = json!({"scheduleId": "s", "bestAvailable": {"count": 1}, "code": "MEMBERS"});
    let held = hall.as_user("cha", POST, "/reservations").json(&best).await.ok(201);
    assert_eq!(held["seats"][0]["grade"], "S");

    hall.advance(120_000);
    assert_eq!(hall.is().await, plainly("open"));
    hall.hold_bare("cha", &[3]).await.ok(201);
    hall.hold_coded("dan", &seat(4), "FANS").await.refused(403, "code_invalid");
    hall.hold_coded("dan", &seat(4), "ANYONE").await.ok(201);
}

#[tokio::test]
async fn the_door_asks_for_the_code_so_that_nobody_waits_in_vain_and_the_room_goes_on_into_the_general_sale()
{
    let hall = Hall::phased(json!({"maxActive": 1})).await;
    hall.put_code("ONCE", json!({"phases": ["fans"], "maxUses": 1})).await;
    hall.join("kim").await.refused(403, "code_required");
    hall.join_with("kim", "MEMBERS").await.refused(403, "code_invalid");
    let kim = hall.join_with("kim", "FANS").await.ok(201);
    assert_eq!(kim["status"], "waiting", "the phase isn't open yet");
    let kim = pass_of(&kim);
    hall.join("kim").await.ok(200);
    let lee = pass_of(&hall.join_with("lee", "once").await.ok(201));

    hall.pass(60_000).await;
    assert_eq!(stand(&hall, "kim", &kim).await, is("active"));
    assert_eq!(stand(&hall, "lee", &lee).await, waits_at(1));
    let hold = |user: &'static str, pass: String, seats: [u32; 1], code: &'static str| {
        let body = with(hold_of(&seats), "code", json!(code));
        hall.as_user(user, POST, "/reservations").header("queue-token", &pass).json(&body)
    };
    hall.hold_with("kim", &kim, &[1]).await.refused(403, "code_required");
    hold("lee", lee.clone(), [1], "ONCE").await.refused(403, "queue_not_active");
    let booked = hold("kim", kim.clone(), [1], "ONCE").await.ok(201);
    hall.join_with("cha", "ONCE").await.refused(409, "code_exhausted");
    hall.join("cha").await.refused(403, "code_required");
    hall.as_user("kim", DELETE, &path_of(&booked)).await.ok(200);

    // Between phases nobody is let in, and a pass of the phase opens nothing.
    hall.pass(60_000).await;
    hold("kim", kim.clone(), [1], "FANS").await.refused(409, "schedule_not_open");
    hall.leave("kim", &kim).await.ok(204);
    hall.settle().await;
    assert_eq!(stand(&hall, "lee", &lee).await, waits_at(1));
    hall.join_with("dan", "FANS").await.refused(403, "code_invalid");
    let dan = pass_of(&hall.join_with("dan", "MEMBERS").await.ok(201));

    // After the last phase everyone may wait for the general sale, in the same line.
    hall.pass(120_000).await;
    let eve = pass_of(&hall.join("eve").await.ok(201));
    hall.pass(59_999).await;
    assert_eq!(hall.schedule().await["status"], "upcoming");
    hall.pass(1).await;
    let mut active = Vec::new();
    for (user, pass) in [("lee", &lee), ("dan", &dan), ("eve", &eve)] {
        if stand(&hall, user, pass).await == is("active") {
            active.push(user);
        }
    }
    assert_eq!(active.len(), 1, "one at a time: {active:?}");
    assert_ne!(active, ["eve"], "those who were in line come first");
}

#[tokio::test]
async fn an_allotment_is_released_at_its_instant_over_the_api() {
    let hall = Hall::open(Value::Null).await;
    let terms = json!({"name": "Sponsor", "seats": seat_ids(&[1, 2]), "releaseAt": at(60_000)});
    hall.as_admin(PUT, "/schedules/s/allotments/sponsor").json(&terms).await.ok(201);
    hall.put_code("SPON", json!({"allotmentId": "sponsor"})).await;
    hall.advance(59_999);
    hall.hold_bare("kim", &[1]).await.refused(409, "seat_unavailable");
    hall.hold_coded("lee", &[&seat_ids(&[2])[0]], "SPON").await.ok(201);
    hall.advance(1);
    hall.hold_bare("kim", &[1]).await.ok(201);
    hall.as_admin(GET, "/schedules/s/allotments/sponsor").await.refused(404, "not_found");
}

#[tokio::test]
async fn reads_of_codes_and_allotments_are_exact_at_the_instant_of_the_request() {
    let hall = Hall::open(Value::Null).await;
    let terms = json!({"name": "Sponsor", "seats": seat_ids(&[1, 2]), "releaseAt": at(400_000)});
    hall.as_admin(PUT, "/schedules/s/allotments/sponsor").json(&terms).await.ok(201);
    hall.put_code("SPON", json!({"allotmentId": "sponsor", "maxUses": 1})).await;
    hall.hold_coded("kim", &[&seat_ids(&[1])[0]], "SPON").await.ok(201);
    let counts = async || {
        let code = hall.as_admin(GET, "/schedules/s/codes/SPON").await.ok(200);
        let listed = hall.as_admin(GET, "/schedules/s/codes").await.ok(200)["items"][0].clone();
        assert_eq!(listed, code);
        let aside = hall.as_admin(GET, "/schedules/s/allotments/sponsor").await.ok(200);
        [&code["used"], &code["seats"], &aside["held"], &aside["left"]].map(|count| count.as_u64().unwrap())
    };

    // Nobody is woken in between: what is read is read at that instant.
    hall.advance(299_999);
    assert_eq!(counts().await, [1, 1, 1, 1]);
    hall.advance(1);
    assert_eq!(counts().await, [0, 0, 0, 2]);
    hall.advance(99_999);
    assert_eq!(hall.as_admin(GET, "/schedules/s/allotments").await.ok(200)["items"][0]["left"], 2);
    hall.advance(1);
    hall.as_admin(GET, "/schedules/s/allotments/sponsor").await.refused(404, "not_found");
    assert_eq!(hall.as_admin(GET, "/schedules/s/allotments").await.ok(200)["items"], json!([]));
}

#[tokio::test]
async fn a_request_without_a_code_and_a_holds_own_code_are_no_guesses() {
    let hall = Hall::phased(Value::Null).await;
    hall.advance(60_000);
    let held = hall.hold_coded("kim", &[&seat_ids(&[1])[0]], "fans").await.ok(201);
    // The hold goes on in the general sale; its code doesn't.
    hall.advance(240_000);
    let exchange = async |code: Value| {
        let body = with(json!({"seats": seat_ids(&[2])}), "code", code);
        hall.as_user("kim", PATCH, &path_of(&held)).json(&body).await
    };
    for _ in 0..12 {
        exchange(Value::Null).await.refused(403, "code_invalid");
        exchange(json!("Fans")).await.refused(403, "code_invalid");
    }
    // Another's code is a guess, and so is one's own where it isn't the hold's.
    for _ in 0..5 {
        exchange(json!("NONE-SUCH")).await.refused(403, "code_invalid");
        hall.hold_coded("kim", &[&seat_ids(&[3])[0]], "FANS").await.refused(403, "code_invalid");
    }
    exchange(json!("NONE-SUCH")).await.refused(429, "rate_limited");
    exchange(json!("FANS")).await.refused(403, "code_invalid");
    // Somebody else's hold tells nothing of its code.
    for _ in 0..10 {
        let body = json!({"seats": seat_ids(&[2]), "code": "FANS"});
        hall.as_user("lee", PATCH, &path_of(&held)).json(&body).await.refused(404, "not_found");
    }
    let body = json!({"seats": seat_ids(&[2]), "code": "FANS"});
    hall.as_user("lee", PATCH, &path_of(&held)).json(&body).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn a_code_that_is_wrong_has_one_answer_and_guessing_is_limited_by_user() {
    let hall = Hall::open(Value::Null).await;
    hall.put_code("LATER", json!({"validFrom": "2036-01-01T00:00:00.000Z"})).await;
    hall.put_code("ONLYS", json!({"grades": ["S"]})).await;
    hall.put_code("RIGHT", json!({})).await;
    let seats = seat_ids(&[1]);
    let seat = [seats[0].as_str()];
    let unknown = hall.hold_coded("kim", &seat, "NONE-SUCH").await.refused(403, "code_invalid");
    for wrong in ["LATER", "ONLYS", "no", "not a code", ""] {
        let refused = hall.hold_coded("kim", &seat, wrong).await.refused(403, "code_invalid");
        assert_eq!(refused["detail"], unknown["detail"], "{wrong}");
    }
    for _ in 0..4 {
        hall.hold_coded("kim", &seat, "NONE-SUCH").await.refused(403, "code_invalid");
    }

    // Ten wrong ones: a right one waits, too, so that nothing is learnt.
    let limited = hall.hold_coded("kim", &seat, "RIGHT").await;
    assert_eq!(limited.header("retry-after"), "6");
    limited.refused(429, "rate_limited");
    hall.hold_bare("kim", &[1]).await.ok(201);
    hall.hold_coded("lee", &[&seat_ids(&[2])[0]], "RIGHT").await.ok(201);
    hall.advance(5_999);
    hall.hold_coded("kim", &[&seat_ids(&[3])[0]], "RIGHT").await.refused(429, "rate_limited");
    hall.advance(1);
    hall.hold_coded("kim", &[&seat_ids(&[3])[0]], "RIGHT").await.ok(201);
}

#[tokio::test]
async fn guessing_is_limited_by_address_at_the_seats_and_at_the_door_and_right_codes_cost_nothing() {
    let hall = Hall::phased(json!({"maxActive": 100})).await;
    for number in 0..100 {
        hall.join_with(&format!("fan-{number}"), "FANS").await.ok(201);
    }
    for number in 0..60 {
        hall.join_with(&format!("user-{}", number / 10), "WRONG").await.refused(403, "code_invalid");
    }
    hall.join_with("other", "FANS").await.refused(429, "rate_limited");
    hall.advance(1_000);
    hall.join_with("other", "FANS").await.ok(201);
    hall.join_with("other2", "WRONG").await.refused(403, "code_invalid");
    hall.join_with("other3", "WRONG").await.refused(429, "rate_limited");
}
