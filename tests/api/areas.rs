//! Areas without numbered seats beside numbered seats: in the venue, the plan, the map in all its forms, and in reservations.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::events::{Event, Stream};
use crate::{Api, DELETE, GET, PATCH, POST, PUT, concert, keys_of, path_of, schedule, text, venue, with};

const MAP: &str = "/schedules/s/seats";

/// [`crate::venue`] with the area `pit` of the grade ST with 5 places, and the area `lawn` of the grade S with 2 on another floor.
fn mixed() -> Value {
    let areas = json!([
        {"areaId": "pit", "floor": "1", "name": "스탠딩", "grade": "ST", "capacity": 5, "outline": [[0, 0], [9, 0], [9, 3.5]]},
        {"areaId": "lawn", "floor": "2", "name": "Lawn", "grade": "S", "capacity": 2},
    ]);
    with(venue(), "areas", areas)
}

fn priced() -> Value {
    let mut priced = concert();
    let standing = json!({"grade": "ST", "price": 20_000, "color": "#0000FF"});
    priced["grades"].as_array_mut().unwrap().push(standing);
    priced
}

/// Starts a server with an open schedule `s` of [`mixed`].
async fn api() -> Api {
    let api = Api::start();
    api.admin(PUT, "/venues/v").json(&mixed()).await.ok(201);
    api.admin(PUT, "/concerts/c").json(&priced()).await.ok(201);
    let policy = json!({"maxSeatsPerReservation": 6, "maxSeatsPerUser": 7});
    api.admin(PUT, "/schedules/s").json(&with(schedule(), "policy", policy)).await.ok(201);
    api.admin(POST, "/schedules/s/open").await.ok(200);
    api
}

fn wish(seats: &[&str], areas: &Value) -> Value {
    let wish = json!({"scheduleId": "s", "areas": areas});
    if seats.is_empty() { wish } else { with(wish, "seats", json!(seats)) }
}

fn places(area: &str, count: u64) -> Value {
    json!([{"areaId": area, "count": count}])
}

async fn hold(api: &Api, user: &str, body: &Value) -> crate::Answer {
    api.user(user, POST, "/reservations").json(body).await
}

/// An area of the map with its counts of available, held, reserved and blocked places.
fn area(id: &str, counts: [u64; 4]) -> Value {
    let (name, grade, price) = if id == "pit" { ("스탠딩", "ST", 20_000) } else { ("Lawn", "S", 30_000) };
    let [available, held, reserved, blocked] = counts;
    json!({"areaId": id, "name": name, "grade": grade, "price": price, "capacity": counts.iter().sum::<u64>(),
        "available": available, "held": held, "reserved": reserved, "blocked": blocked})
}

/// The counts of `pit` in the map: available, held, reserved, blocked.
async fn pit(api: &Api) -> [u64; 4] {
    let map = api.public(GET, MAP).await.ok(200);
    ["available", "held", "reserved", "blocked"].map(|status| map["areas"][0][status].as_u64().unwrap())
}

#[tokio::test]
async fn a_venue_with_areas_is_given_back_and_is_in_the_plan() {
    let api = api().await;
    let put = api.public(GET, "/venues/v").await.ok(200);
    assert_eq!(put["areas"], mixed()["areas"]);
    let venues = api.public(GET, "/venues").await.ok(200);
    assert_eq!(venues["items"][0]["seats"], 7 + 7, "seats and places");

    let id = text(&api.public(GET, "/schedules/s").await.ok(200)["planId"]);
    let plan = api.public(GET, &format!("/plans/{id}")).await.ok(200);
    assert_eq!(plan["areas"], mixed()["areas"]);
    assert_eq!(plan["seats"].as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn a_venue_may_have_nothing_but_areas() {
    let api = Api::start();
    let lawn = json!([{"areaId": "lawn", "floor": "", "name": "Lawn", "grade": "S", "capacity": 100_000}]);
    let standing = with(with(venue(), "sections", json!([])), "areas", lawn);
    api.admin(PUT, "/venues/v").json(&with(standing.clone(), "areas", json!([]))).await.names("sections");
    api.admin(PUT, "/venues/v").json(&standing).await.ok(201);
    api.admin(PUT, "/concerts/c").json(&concert()).await.ok(201);
    api.admin(PUT, "/schedules/s").json(&schedule()).await.ok(201);
    api.admin(POST, "/schedules/s/open").await.ok(200);
    hold(&api, "kim", &wish(&[], &places("lawn", 3))).await.ok(201);

    let map = api.public(GET, MAP).await.ok(200);
    assert_eq!((&map["seats"], &map["areas"][0]["held"]), (&json!([]), &json!(3)));
    let vector = api.public(GET, "/schedules/s/seats?shape=vector").await.ok(200);
    assert_eq!((&vector["statuses"], &vector["areas"]), (&json!(""), &map["areas"]));
    let mut stream = Stream::new(api.public(GET, "/schedules/s/seats/events").open().await);
    let snapshot = stream.must().await;
    assert_eq!((&snapshot.data["seats"], &snapshot.data["areas"]), (&json!({}), &map["areas"]));
    let counts = json!({"available": 99_997, "held": 3, "reserved": 0, "blocked": 0, "total": 100_000});
    assert_eq!(api.public(GET, "/schedules/s").await.ok(200)["seats"], counts);
    let dates = api.public(GET, "/concerts/available-dates").await.ok(200);
    assert_eq!(dates["dates"], json!(["2037-01-01"]), "a place is left");
}

#[tokio::test]
async fn places_set_aside_are_blocked_for_others_and_their_code_takes_them_alone() {
    let api = api().await;
    let path = "/schedules/s/allotments/sponsor";
    let set = async |areas: Value| {
        let terms = json!({"name": "Sponsor", "seats": ["1-A-1-1"], "areas": areas});
        api.admin(PUT, path).json(&terms).await
    };
    hold(&api, "cha", &wish(&[], &places("pit", 2))).await.ok(201);
    let both = json!([{"areaId": "lawn", "count": 3}, {"areaId": "pit", "count": 4}]);
    let refused = set(both).await.refused(409, "not_enough_seats");
    let lacking = json!([{"areaId": "pit", "available": 3}, {"areaId": "lawn", "available": 2}]);
    assert_eq!(refused["areas"], lacking, "all or none");
    assert_eq!(pit(&api).await, [3, 2, 0, 0]);
    for (areas, field) in [
        (places("none", 1), "areas[0].areaId"),
        (places("pit", 0), "areas[0].count"),
        (json!([{"areaId": "pit", "count": 1}, {"areaId": "pit", "count": 1}]), "areas[1].areaId"),
    ] {
        set(areas).await.names(field);
    }
    let nothing = json!({"name": "Sponsor", "seats": [], "areas": []});
    api.admin(PUT, path).json(&nothing).await.names("seats");

    let aside = set(places("pit", 2)).await.ok(201);
    assert_eq!(aside["areas"], places("pit", 2));
    assert_eq!([&aside["total"], &aside["held"], &aside["sold"], &aside["left"]], [3, 0, 0, 3]);
    assert_eq!(pit(&api).await, [1, 2, 0, 2]);
    api.admin(PUT, "/schedules/s/codes/SPON").json(&json!({"allotmentId": "sponsor"})).await.ok(201);
    let refused = hold(&api, "kim", &wish(&[], &places("pit", 2))).await.refused(409, "not_enough_seats");
    assert_eq!(refused["areas"], json!([{"areaId": "pit", "available": 1}]));

    let coded = |count| with(wish(&[], &places("pit", count)), "code", json!("SPON"));
    hold(&api, "lee", &coded(3)).await.refused(409, "not_enough_seats");
    let held = hold(&api, "lee", &coded(1)).await.ok(201);
    assert_eq!(pit(&api).await, [1, 3, 0, 1]);
    let read = api.admin(GET, path).await.ok(200);
    assert_eq!([&read["total"], &read["held"], &read["sold"], &read["left"]], [3, 1, 0, 2]);
    let of_areas = json!([{"areaId": "pit", "total": 2, "held": 1, "sold": 0, "left": 1}]);
    assert_eq!(read["areaCounts"], of_areas);
    let offer = api.user("kim", GET, "/schedules/s/offer?code=SPON").await.ok(200);
    let aside = json!({"seats": ["1-A-1-1"], "areas": [{"areaId": "pit", "available": 1}]});
    assert_eq!(offer["allotment"], aside, "what is left for who has the code");
    let told = crate::feed::read(&api, 0).await;
    let told = told.iter().find(|event| event.kind == "AllotmentSet").unwrap();
    assert_eq!(told.data["data"]["areas"], places("pit", 2));

    let api = api.kill_and_restart();
    assert_eq!(api.admin(GET, path).await.ok(200), read);
    let terms = |count| json!({"name": "Sponsor", "areas": places("pit", count)});
    api.admin(PUT, path).json(&terms(1)).await.ok(200);
    assert_eq!(pit(&api).await, [2, 3, 0, 0], "the one that is held counts");
    api.admin(PUT, path).json(&terms(2)).await.ok(200);
    api.user("lee", DELETE, &path_of(&held)).await.ok(200);
    assert_eq!(pit(&api).await, [1, 2, 0, 2], "it is the allotment's again");
    api.admin(DELETE, path).await.ok(204);
    assert_eq!(pit(&api).await, [3, 2, 0, 0]);
    let told = crate::feed::read(&api, 0).await;
    let told = told.iter().find(|event| event.kind == "AllotmentReleased").unwrap();
    assert_eq!(told.data["data"]["areas"], places("pit", 2));
}

#[tokio::test]
async fn the_best_of_a_grade_that_only_areas_have_are_refused_with_what_is_left_in_them() {
    let api = api().await;
    hold(&api, "kim", &wish(&[], &places("pit", 2))).await.ok(201);
    let best = json!({"scheduleId": "s", "bestAvailable": {"grade": "ST", "count": 4}});
    let refused = hold(&api, "lee", &best).await.refused(409, "not_enough_seats");
    assert_eq!(refused["areas"], json!([{"areaId": "pit", "available": 3}]));
}

#[tokio::test]
async fn every_wrong_part_of_an_area_is_named() {
    let api = Api::start();
    let put = async |edit: &dyn Fn(&mut Value)| {
        let mut wrong = mixed();
        edit(&mut wrong["areas"]);
        api.admin(PUT, "/venues/v").json(&wrong).await
    };
    put(&|areas| areas[1]["areaId"] = json!("pit")).await.names("areas[1].areaId");
    put(&|areas| areas[1]["areaId"] = json!("")).await.names("areas[1].areaId");
    put(&|areas| areas[0]["capacity"] = json!(0)).await.names("areas[0].capacity");
    put(&|areas| areas[0]["capacity"] = json!(100_001)).await.names("areas[0].capacity");
    put(&|areas| areas[0]["name"] = json!("")).await.names("areas[0].name");
    put(&|areas| areas[0]["grade"] = json!("")).await.names("areas[0].grade");
    put(&|areas| areas[0]["outline"] = json!([[0, 0]])).await.names("areas[0].outline");
    put(&|areas| areas[0]["colour"] = json!("red")).await.refused(422, "invalid_request");
    let many: Vec<Value> = (0..1_001)
        .map(|id| json!({"areaId": id.to_string(), "floor": "", "name": "n", "grade": "S", "capacity": 1}))
        .collect();
    put(&|areas| *areas = json!(many)).await.names("areas");

    put(&|_| ()).await.ok(201);
    api.admin(PUT, "/concerts/c").json(&concert()).await.names("grades");
    api.admin(PUT, "/concerts/c").json(&priced()).await.ok(201);
}

#[tokio::test]
async fn of_an_area_only_its_name_and_outline_change_while_a_schedule_uses_it() {
    let api = api().await;
    let put = async |edit: &dyn Fn(&mut Value)| {
        let mut changed = mixed();
        edit(&mut changed["areas"]);
        api.admin(PUT, "/venues/v").json(&changed).await
    };
    let plan = async || text(&api.public(GET, "/schedules/s").await.ok(200)["planId"]);
    let before = (plan().await, api.public(GET, MAP).await.header("etag").to_owned());
    put(&|areas| areas[0]["name"] = json!("Pit")).await.ok(200);
    let map = api.public(GET, MAP).header("if-none-match", &before.1).await.ok(200);
    assert_eq!(map["areas"][0]["name"], "Pit", "the map has another tag");
    let named = plan().await;
    assert_ne!(named, before.0);
    put(&|areas| areas[1]["outline"] = json!([[0, 0], [1, 0], [1, 1]])).await.ok(200);
    assert!(![before.0, named].contains(&plan().await));

    put(&|areas| areas[0]["capacity"] = json!(6)).await.refused(409, "in_use");
    put(&|areas| areas[0]["grade"] = json!("S")).await.refused(409, "in_use");
    put(&|areas| areas[0]["floor"] = json!("3")).await.refused(409, "in_use");
    put(&|areas| areas[0]["areaId"] = json!("x")).await.refused(409, "in_use");
    put(&|areas| drop(areas.as_array_mut().unwrap().pop())).await.refused(409, "in_use");
}

#[tokio::test]
async fn seats_and_places_are_held_in_one_reservation() {
    let api = api().await;
    let areas = json!([{"areaId": "pit", "count": 3}, {"areaId": "lawn", "count": 1}]);
    let held = hold(&api, "kim", &wish(&["1-A-1-2"], &areas)).await.ok(201);
    let seat = json!({"seatId": "1-A-1-2", "grade": "R", "price": 50_000});
    for (name, value) in seat.as_object().unwrap() {
        assert_eq!(&held["seats"][0][name], value);
    }
    for (place, area, grade, price, count) in [(0, "pit", "ST", 20_000, 3), (1, "lawn", "S", 30_000, 1)] {
        let shown = &held["areas"][place];
        let expected = json!({"areaId": area, "grade": grade, "price": price, "count": count});
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&shown[name], value, "{shown}");
        }
    }
    assert_eq!(held["amount"], 50_000 + 3 * 20_000 + 30_000);
    let lines = held["lines"].as_array().unwrap();
    let amounts = lines.iter().map(|line| line["amount"].as_i64().unwrap());
    assert_eq!(amounts.sum::<i64>(), 140_000, "{lines:?}");
    assert_eq!(api.user("kim", GET, &path_of(&held)).await.ok(200), held);

    let map = api.public(GET, MAP).await;
    assert!(!String::from_utf8_lossy(&map.bytes).contains("kim"));
    let map = map.ok(200);
    assert_eq!(keys_of(&map), ["areas", "scheduleId", "seats", "version"]);
    assert_eq!(map["areas"], json!([area("pit", [2, 3, 0, 0]), area("lawn", [1, 1, 0, 0])]));
    let vector = api.public(GET, "/schedules/s/seats?shape=vector").await.ok(200);
    assert_eq!(keys_of(&vector), ["areas", "planId", "scheduleId", "statuses", "version"]);
    assert_eq!(vector["areas"], map["areas"]);
    let counts = json!({"available": 9, "held": 5, "reserved": 0, "blocked": 0, "total": 14});
    assert_eq!(api.public(GET, "/schedules/s").await.ok(200)["seats"], counts);

    let narrowed = async |query: &str| {
        let map = api.public(GET, &format!("{MAP}?{query}")).await.ok(200);
        let areas = map["areas"].as_array().unwrap().clone();
        areas.iter().map(|area| text(&area["areaId"])).collect::<Vec<_>>()
    };
    assert_eq!(narrowed("grade=S").await, ["lawn"]);
    assert_eq!(narrowed("status=held").await, ["pit", "lawn"]);
    assert!(narrowed("status=reserved").await.is_empty());
}

#[tokio::test]
async fn what_is_not_there_whole_is_not_held_at_all() {
    let api = api().await;
    hold(&api, "kim", &wish(&["1-A-1-1"], &places("pit", 3))).await.ok(201);
    let refused =
        hold(&api, "lee", &wish(&["1-A-1-2"], &places("pit", 3))).await.refused(409, "not_enough_seats");
    assert_eq!(refused["areas"], json!([{"areaId": "pit", "available": 2}]));
    let taken = hold(&api, "lee", &wish(&["1-A-1-1", "1-A-1-2"], &places("pit", 1))).await;
    assert_eq!(taken.refused(409, "seat_unavailable")["seats"], json!(["1-A-1-1"]));
    assert_eq!((pit(&api).await, api.statuses().await[1].as_str()), ([2, 3, 0, 0], "available"));

    let areas = json!([{"areaId": "pit", "count": 9}, {"areaId": "lawn", "count": 1}]);
    hold(&api, "lee", &wish(&[], &areas)).await.names("areas");
    hold(&api, "lee", &wish(&[], &places("nowhere", 1))).await.names("areas[0].areaId");
    hold(&api, "lee", &wish(&[], &places("pit", 0))).await.names("areas[0].count");
    hold(&api, "lee", &wish(&[], &json!([]))).await.refused(422, "invalid_request");
    let twice = json!([{"areaId": "pit", "count": 1}, {"areaId": "pit", "count": 1}]);
    hold(&api, "lee", &wish(&[], &twice)).await.names("areas[1].areaId");
    hold(&api, "kim", &wish(&[], &places("lawn", 2))).await.ok(201);
    let more = hold(&api, "kim", &wish(&[], &places("pit", 2))).await;
    more.refused(409, "seat_limit_exceeded");
}

#[tokio::test]
async fn an_exchange_mixes_seats_and_places_and_a_release_gives_them_back() {
    let api = api().await;
    let held = hold(&api, "kim", &wish(&[], &places("pit", 4))).await.ok(201);
    let exchange = async |body: Value| api.user("kim", PATCH, &path_of(&held)).json(&body).await;
    let now = exchange(json!({"seats": ["1-A-1-1"], "areas": places("pit", 5)})).await.ok(200);
    assert_eq!((&now["areas"][0]["count"], &now["expiresAt"]), (&json!(5), &held["expiresAt"]));
    let refused = exchange(json!({"areas": places("lawn", 3)})).await.refused(409, "not_enough_seats");
    assert_eq!(refused["areas"], json!([{"areaId": "lawn", "available": 2}]));
    assert_eq!(pit(&api).await, [0, 5, 0, 0], "the old places are kept");

    let seats = exchange(json!({"seats": ["1-A-1-1", "1-A-1-2"]})).await.ok(200);
    assert!(seats.get("areas").is_none() && seats.get("lines").is_none(), "{seats}");
    assert_eq!(pit(&api).await, [5, 0, 0, 0]);
    exchange(json!({"areas": places("pit", 1)})).await.ok(200);
    api.user("kim", DELETE, &path_of(&held)).await.ok(200);
    assert_eq!(pit(&api).await, [5, 0, 0, 0]);
}

#[tokio::test]
async fn followers_are_told_of_areas_what_changed_only() {
    let api = api().await;
    let mut stream = Stream::new(api.public(GET, "/schedules/s/seats/events").open().await);
    let snapshot = stream.must().await;
    assert_eq!(snapshot.data["areas"], json!([area("pit", [5, 0, 0, 0]), area("lawn", [2, 0, 0, 0])]));

    let held = hold(&api, "kim", &wish(&["1-A-1-1"], &places("pit", 3))).await.ok(201);
    let first = stream.must().await;
    let delta = |seats: Value, areas: Value| json!({"seats": seats, "areas": areas});
    let told = |Event { data, .. }: &Event| with(data.clone(), "version", Value::Null);
    let pit = json!({"pit": {"available": 2, "held": 3}});
    assert_eq!(told(&first), delta(json!({"1-A-1-1": "held"}), pit));

    let body = json!({"areas": [{"areaId": "lawn", "count": 1}, {"areaId": "pit", "count": 3}]});
    api.user("kim", PATCH, &path_of(&held)).json(&body).await.ok(200);
    let second = stream.must().await;
    let lawn = json!({"lawn": {"available": 1, "held": 1}});
    assert_eq!(told(&second), delta(json!({"1-A-1-1": "available"}), lawn));
    api.user("lee", POST, "/reservations")
        .json(&json!({"scheduleId": "s", "seats": ["1-A-1-4"]}))
        .await
        .ok(201);
    let third = stream.must().await;
    assert_eq!(told(&third), json!({"seats": {"1-A-1-4": "held"}}), "no area changed");

    // Who resumes gets what came meanwhile, and the vector has followed all of it.
    let call = api.public(GET, "/schedules/s/seats/events").header("last-event-id", &first.id);
    let mut resumed = Stream::new(call.open().await);
    assert_eq!(resumed.must().await, second);
    let map = api.public(GET, MAP).await.ok(200);
    let vector = api.public(GET, "/schedules/s/seats?shape=vector").await.ok(200);
    assert_eq!(map["areas"], json!([area("pit", [2, 3, 0, 0]), area("lawn", [1, 1, 0, 0])]));
    assert_eq!(vector["areas"], map["areas"]);
}

#[tokio::test]
async fn paid_places_survive_a_kill_and_a_cancellation_gives_them_back() {
    let api = api().await;
    let held = hold(&api, "kim", &wish(&["1-A-1-1"], &places("pit", 2))).await.ok(201);
    hold(&api, "lee", &wish(&[], &places("pit", 1))).await.ok(201);
    api.admin(POST, "/users/kim/balance").json(&json!({"amount": 90_000})).await.ok(201);
    let pay = json!({"reservationId": held["reservationId"], "method": "balance"});
    let paid = api.user("kim", POST, "/payments").key("pay").json(&pay).await.ok(201);
    assert_eq!(paid["amount"], 90_000);
    assert_eq!(pit(&api).await, [2, 1, 2, 0]);
    let tag = api.public(GET, MAP).await.header("etag").to_owned();

    let api = api.kill_and_restart();
    assert_eq!(pit(&api).await, [2, 1, 2, 0]);
    let same = api.public(GET, MAP).header("if-none-match", &tag).await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED.as_u16(), "the same content has the same tag");
    let mine = api.user("kim", GET, &path_of(&held)).await.ok(200);
    assert_eq!((&mine["status"], &mine["areas"][0]["count"]), (&json!("confirmed"), &json!(2)));
    api.user("kim", DELETE, &path_of(&held)).await.ok(200);
    assert_eq!(pit(&api).await, [4, 1, 0, 0]);
    assert_eq!(api.user("kim", GET, "/users/kim/balance").await.ok(200)["balance"], 90_000);

    api.admin(POST, "/admin/snapshots").await.ok(200);
    let api = api.kill_and_restart();
    assert_eq!(pit(&api).await, [4, 1, 0, 0]);
    api.admin(POST, "/schedules/s/cancel").await.ok(200);
    assert_eq!(pit(&api).await, [5, 0, 0, 0]);
}

#[tokio::test]
async fn the_past_knows_areas() {
    let api = api().await;
    let held = hold(&api, "kim", &wish(&["1-A-1-1"], &places("pit", 2))).await.ok(201);
    let then = text(&held["createdAt"]);
    api.user("kim", DELETE, &path_of(&held)).await.ok(200);
    assert_eq!(pit(&api).await, [5, 0, 0, 0]);

    let history = api.admin(GET, "/admin/schedules/s/history").await.ok(200);
    let held = history["items"].as_array().unwrap().iter().find(|item| item["type"] == "SeatsHeld").unwrap();
    assert_eq!(held["data"]["seats"], json!(["1-A-1-1"]));
    let areas = &held["data"]["areas"][0];
    assert_eq!((&areas["areaId"], &areas["count"]), (&json!("pit"), &json!(2)));

    let at = async |query: &str| {
        api.admin(GET, &format!("/admin/schedules/s/seats?at={then}{query}")).await.ok(200)["areas"].clone()
    };
    // Other events may share the hold's millisecond.
    let (list, vector) = (at("").await, at("&shape=vector").await);
    assert_eq!(list, vector);
    assert_eq!((&list[0]["areaId"], &list[0]["capacity"]), (&json!("pit"), &json!(5)));
}

#[tokio::test]
async fn the_best_of_a_grade_that_only_an_area_has_are_places_of_it() {
    let api = api().await;
    let best = async |user: &str, best: Value| {
        let body = json!({"scheduleId": "s", "bestAvailable": best});
        api.user(user, POST, "/reservations").json(&body).await
    };
    let held = best("kim", json!({"count": 4, "grade": "ST"})).await.ok(201);
    assert_eq!(held["seats"], json!([]));
    assert_eq!((&held["areas"][0]["areaId"], &held["areas"][0]["count"]), (&json!("pit"), &json!(4)));
    assert_eq!(held["amount"], 80_000);
    best("lee", json!({"count": 2, "grade": "ST"})).await.refused(409, "not_enough_seats");

    // A section has no areas, a floor may have.
    let seats = best("lee", json!({"count": 2, "grade": "S", "sectionId": "A"})).await.ok(201);
    assert_eq!(seats["seats"].as_array().unwrap().len(), 2);
    let lawn = best("lee", json!({"count": 1, "floor": "2"})).await.ok(201);
    assert_eq!((&lawn["seats"], &lawn["areas"][0]["areaId"]), (&json!([]), &json!("lawn")));
    best("lee", json!({"count": 1, "sectionId": "Z"})).await.names("bestAvailable.sectionId");
    best("lee", json!({"count": 1, "floor": "9"})).await.names("bestAvailable.floor");
}
