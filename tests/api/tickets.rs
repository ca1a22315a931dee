//! Tickets to event streams, for browsers, whose `EventSource` sends no headers.

use serde_json::json;

use crate::events::Stream;
use crate::server::signed;
use crate::{Api, GET, PATCH, POST, is_instant, keys_of, text};

const PLACE: &str = "/queue/tokens/current/events?scheduleId=s";
const FAR: u64 = 4_102_444_800;

async fn ticket(api: &Api, name: &str, pass: Option<&str>) -> String {
    let call = api.user(name, POST, "/streams/tickets");
    let call = if let Some(pass) = pass { call.header("queue-token", pass) } else { call };
    text(&call.await.ok(201)["ticket"])
}

async fn pass(api: &Api, name: &str) -> String {
    let place = api.user(name, POST, "/queue/tokens").json(&json!({"scheduleId": "s"})).await.ok(201);
    text(&place["token"])
}

#[tokio::test]
async fn a_ticket_opens_one_stream_of_its_callers_place_in_place_of_the_headers() {
    let api = Api::with_hall(4, json!({"queue": {"maxActive": 1}})).await;
    let kim = pass(&api, "kim").await;
    let taken = api.user("kim", POST, "/streams/tickets").header("queue-token", &kim).await;
    assert_eq!(taken.header("cache-control"), "no-store");
    let taken = taken.ok(201);
    assert_eq!(keys_of(&taken), ["expiresAt", "ticket"]);
    assert!(is_instant(&taken["expiresAt"]));
    let taken = text(&taken["ticket"]);

    let open = async |ticket: &str| api.public(GET, &format!("{PLACE}&ticket={ticket}")).open().await;
    let mut stream = Stream::new(open(&taken).await);
    let first = stream.block().await.unwrap();
    assert!(first.lines().any(|line| line == "event: active"), "{first}");
    for used in [taken.as_str(), "", "x", &"x".repeat(43)] {
        api.public(GET, &format!("{PLACE}&ticket={used}")).await.refused(401, "unauthenticated");
    }

    for wrong in ["a b", "", &"x".repeat(1_001)] {
        let asked = api.user("kim", POST, "/streams/tickets").header("queue-token", wrong);
        asked.await.refused(401, "queue_token_invalid");
    }

    // What the ticket stands for is checked as it is without one.
    let lee = ticket(&api, "lee", Some(&kim)).await;
    api.public(GET, &format!("{PLACE}&ticket={lee}")).await.refused(401, "queue_token_invalid");
    let without = ticket(&api, "kim", None).await;
    // A header beside it doesn't count.
    let beside = api.user("kim", GET, &format!("{PLACE}&ticket={without}")).header("queue-token", &kim);
    beside.await.refused(403, "queue_token_required");
}

#[tokio::test]
async fn a_ticket_gives_no_right_and_ends_with_its_callers() {
    let api = Api::with_hall(4, json!({"queue": {"maxActive": 1}})).await;
    api.public(POST, "/streams/tickets").await.refused(401, "unauthenticated");
    let user = ticket(&api, "kim", None).await;
    api.public(GET, &format!("/events?ticket={user}")).await.refused(403, "forbidden");

    let feed = signed(&json!({"sub": "reader", "exp": FAR, "role": "feed"}));
    let take = async || {
        let taken = api.public(POST, "/streams/tickets").bearer(&feed).await;
        text(&taken.ok(201)["ticket"])
    };
    let opened = api.public(GET, &format!("/events?ticket={}", take().await)).open().await;
    let mut opened = Stream::new(opened);
    opened.must().await;
    let late = take().await;
    api.admin(PATCH, "/users/reader").json(&json!({"status": "suspended"})).await.ok(200);
    api.public(GET, &format!("/events?ticket={late}")).await.refused(403, "user_suspended");
    api.public(POST, "/streams/tickets").bearer(&feed).await.refused(403, "user_suspended");
}

#[tokio::test]
async fn the_public_stream_takes_a_ticket_and_needs_none_and_no_other_route_takes_one() {
    let api = Api::with_hall(4, json!({})).await;
    let map = "/schedules/s/seats/events";
    Stream::new(api.public(GET, map).open().await).must().await;
    let taken = ticket(&api, "kim", None).await;
    Stream::new(api.public(GET, &format!("{map}?ticket={taken}")).open().await).must().await;
    api.public(GET, &format!("{map}?ticket={taken}")).await.refused(401, "unauthenticated");
    let taken = ticket(&api, "kim", None).await;
    api.public(GET, &format!("/reservations?ticket={taken}")).await.refused(401, "unauthenticated");
    api.user("kim", GET, &format!("/reservations?ticket={taken}")).await.names("ticket");
}
