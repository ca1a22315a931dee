//! The stream of a seat map: a snapshot, then every version, resumable, and an end at shutdown.

use std::collections::BTreeMap;

use reqwest::Response;
use serde_json::{Value, json};

use crate::server::is_log_local;
use crate::{Api, DELETE, GET, POST, PUT, path_of, seat_ids, soon, text};

/// Server-sent events as they come.
pub(crate) struct Stream {
    response: Response,
    read: Vec<u8>,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl Stream {
    pub(crate) fn new(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert_eq!(kind.split(';').next(), Some("text/event-stream"));
        Self { response, read: Vec::new() }
    }

    /// Returns the next event; nothing where the stream has ended in order.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = Self::event(&self.block().await?) {
                return Some(event);
            }
        }
    }

    /// Returns the next block of lines: an event, or a comment.
    pub(crate) async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.read.drain(..end + 2).collect();
                return Some(String::from_utf8(block).unwrap());
            }
            let more = soon(self.response.chunk()).await.expect("a stream is never broken off");
            self.read.extend_from_slice(&more?);
        }
    }

    /// Reads a block of lines; a comment alone is no event.
    fn event(block: &str) -> Option<Event> {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        let data = field("data: ")?;
        Some(Event {
            id: field("id: ").expect("an event has an id").to_owned(),
            kind: field("event: ").expect("an event has a kind").to_owned(),
            data: serde_json::from_str(data).unwrap(),
        })
    }

    pub(crate) async fn must(&mut self) -> Event {
        self.next().await.expect("the stream goes on")
    }
}

/// Follows the seats of the schedule `s`.
async fn follow(api: &Api) -> Stream {
    Stream::new(api.public(GET, "/schedules/s/seats/events").open().await)
}

async fn resume(api: &Api, id: &str) -> Stream {
    let call = api.public(GET, "/schedules/s/seats/events").header("last-event-id", id);
    Stream::new(call.open().await)
}

/// A seat map as a client of the stream has it.
#[derive(Debug, Default)]
struct Map {
    /// What the last event is known by.
    id: String,
    version: u64,
    /// The seats that aren't available.
    seats: BTreeMap<String, String>,
}

impl Map {
    /// Takes an event in; fails where a version is left out.
    fn take(&mut self, event: &Event) {
        let version = event.data["version"].as_u64().unwrap();
        assert_eq!(crate::keys_of(&event.data), ["seats", "version"]);
        let seats = event.data["seats"].as_object().unwrap();
        if event.kind == "snapshot" {
            self.seats.clear();
            assert!(seats.values().all(|status| status != "available"), "{event:?}");
        } else {
            assert_eq!(event.kind, "delta");
            assert_eq!(version, self.version + 1, "no version is left out");
            assert!(!seats.is_empty());
        }
        assert_ne!(event.id, self.id, "each has an id of its own");
        self.id.clone_from(&event.id);
        self.version = version;
        for (seat, status) in seats {
            if status == "available" {
                assert!(self.seats.remove(seat).is_some(), "only what changed is told: {event:?}");
            } else {
                assert_ne!(self.seats.insert(seat.clone(), text(status)).as_ref(), Some(&text(status)));
            }
        }
    }

    /// The map as the route that shows it whole says.
    async fn whole(api: &Api) -> Self {
        let map = api.public(GET, "/schedules/s/seats").await.ok(200);
        let taken = |seat: &&Value| seat["status"] != "available";
        let named = |seat: &Value| (text(&seat["seatId"]), text(&seat["status"]));
        let seats = map["seats"].as_array().unwrap().iter().filter(taken).map(named).collect();
        Self { id: String::new(), version: map["version"].as_u64().unwrap(), seats }
    }

    /// Takes events in until it is as new as a map.
    async fn catch_up(&mut self, stream: &mut Stream, whole: &Self) {
        while self.version < whole.version {
            self.take(&stream.must().await);
        }
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        (self.version, &self.seats) == (other.version, &other.seats)
    }
}

impl Event {
    /// The version of the seat map that it leads to.
    fn version(&self) -> u64 {
        self.data["version"].as_u64().unwrap()
    }

    /// The position in the journal.
    pub(crate) fn position(&self) -> u64 {
        self.data["position"].as_u64().unwrap()
    }
}

#[tokio::test]
async fn a_stream_begins_with_a_snapshot_and_tells_every_change_after_it() {
    let api = Api::with_hall(6, json!({})).await;
    let first = api.hold("kim", &[1, 2]).await.ok(201);
    api.admin(POST, "/schedules/s/block").json(&json!({"seats": seat_ids(&[6])})).await.ok(200);
    let mut stream = follow(&api).await;
    let snapshot = stream.must().await;
    assert_eq!(snapshot.kind, "snapshot");
    assert_eq!(snapshot.data["seats"], json!({"1-A-1-1": "held", "1-A-1-2": "held", "1-A-1-6": "blocked"}));
    api.hold("lee", &[3]).await.ok(201);
    let delta = stream.must().await;
    assert_eq!(delta.kind, "delta");
    assert_eq!(delta.data, json!({"version": snapshot.version() + 1, "seats": {"1-A-1-3": "held"}}));
    let exchange = json!({"seats": seat_ids(&[2, 4])});
    api.user("kim", crate::PATCH, &path_of(&first)).json(&exchange).await.ok(200);
    let delta = stream.must().await;
    assert_eq!(delta.data["seats"], json!({"1-A-1-1": "available", "1-A-1-4": "held"}));
    api.user("kim", DELETE, &path_of(&first)).await.ok(200);
    let delta = stream.must().await;
    assert_eq!(delta.data["seats"], json!({"1-A-1-2": "available", "1-A-1-4": "available"}));
}

#[tokio::test]
async fn many_holds_at_once_leave_no_gap_in_any_stream() {
    const FANS: u32 = 40;
    let api = Api::with_hall(2 * FANS, json!({})).await;
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(follow(&api).await);
    }
    let rush = (0..FANS).map(|fan| {
        let api = &api;
        async move {
            let user = format!("fan-{fan}");
            let held = api.hold(&user, &[2 * fan + 1, 2 * fan + 2]).await.ok(201);
            if fan % 2 == 0 {
                api.user(&user, DELETE, &path_of(&held)).await.ok(200);
            }
        }
    });
    futures_util::future::join_all(rush).await;
    let whole = Map::whole(&api).await;
    assert_eq!(u32::try_from(whole.seats.len()), Ok(FANS), "half of the pairs are given back");
    for mut stream in streams {
        let mut map = Map::default();
        map.catch_up(&mut stream, &whole).await;
        assert_eq!(map, whole);
    }
}

#[tokio::test]
async fn a_stream_resumes_behind_the_version_that_the_client_has() {
    let api = Api::with_hall(6, json!({})).await;
    let mut stream = follow(&api).await;
    let mut seen = Map::default();
    seen.take(&stream.must().await);
    api.hold("kim", &[1]).await.ok(201);
    seen.take(&stream.must().await);
    drop(stream);
    let left_at = seen.id.clone();
    api.hold("lee", &[2]).await.ok(201);
    api.hold("park", &[3]).await.ok(201);
    let mut resumed = resume(&api, &left_at).await;
    for _ in 0..2 {
        let event = resumed.must().await;
        assert_eq!(event.kind, "delta");
        seen.take(&event);
    }
    assert_eq!(seen, Map::whole(&api).await);
    let mut up_to_date = resume(&api, &seen.id).await;
    api.hold("choi", &[4]).await.ok(201);
    let event = up_to_date.must().await;
    assert_eq!((event.kind.as_str(), event.version()), ("delta", seen.version + 1));
    let parts: Vec<&str> = seen.id.split('-').collect();
    let [number, version, sum] = parts[..] else { panic!("{}", seen.id) };
    let next = format!("{number}-1000000-{sum}");
    for unknown in
        [&next, "x", "", "1", version, "1-2-3-4", &format!("{number}-{version}"), &format!("-{sum}-")]
    {
        let event = resume(&api, unknown).await.must().await;
        assert_eq!(event.kind, "snapshot", "an id that was never given is answered with all there is");
    }
}

#[tokio::test]
async fn a_client_that_fell_far_behind_gets_a_fresh_snapshot() {
    const FANS: u32 = 50;
    let api = Api::with_hall(FANS, json!({})).await;
    let begun = follow(&api).await.must().await.id;
    // Each fan changes the map 22 times, and 1,100 changes are more than any stream may be behind.
    let rush = (1..=FANS).map(|fan| {
        let (api, user) = (&api, format!("fan-{fan}"));
        async move {
            for _ in 0..11 {
                let held = api.hold(&user, &[fan]).await.ok(201);
                api.user(&user, DELETE, &path_of(&held)).await.ok(200);
            }
        }
    });
    futures_util::future::join_all(rush).await;
    api.hold("kim", &[1]).await.ok(201);
    let event = resume(&api, &begun).await.must().await;
    assert_eq!(event.kind, "snapshot");
    let mut map = Map::default();
    map.take(&event);
    assert_eq!(map, Map::whole(&api).await);
}

#[tokio::test]
async fn a_stream_of_the_process_before_goes_on_without_a_gap() {
    let api = Api::with_hall(6, json!({})).await;
    let mut stream = follow(&api).await;
    let mut seen = Map::default();
    seen.take(&stream.must().await);
    api.hold("kim", &[1]).await.ok(201);
    seen.take(&stream.must().await);
    api.hold("lee", &[2]).await.ok(201);
    let api = api.kill_and_restart();
    let mut resumed = resume(&api, &seen.id).await;
    api.hold("park", &[3]).await.ok(201);
    let whole = Map::whole(&api).await;
    assert_eq!(whole.seats.len(), 3);
    seen.catch_up(&mut resumed, &whole).await;
    assert_eq!(seen, whole);
}

#[tokio::test]
async fn a_stream_of_a_schedule_that_was_made_again_under_its_id_begins_anew() {
    let api = Api::with_hall(6, json!({})).await;
    let held = api.hold("kim", &[1, 2]).await.ok(201);
    let mut seen = Map::default();
    seen.take(&follow(&api).await.must().await);
    let tag = api.public(GET, "/schedules/s/seats").await.header("etag").to_owned();
    api.user("kim", DELETE, &path_of(&held)).await.ok(200);
    api.admin(DELETE, "/schedules/s").await.ok(204);
    api.admin(PUT, "/schedules/s").json(&crate::schedule()).await.ok(201);
    api.admin(POST, "/schedules/s/open").await.ok(200);
    // The same version of the map, and one more: what was said of the old one fits neither.
    for seat in [3, 4] {
        api.hold("lee", &[seat]).await.ok(201);
        let whole = Map::whole(&api).await;
        let mut resumed = resume(&api, &seen.id).await;
        let event = resumed.must().await;
        assert_eq!(event.kind, "snapshot");
        let mut map = Map::default();
        map.take(&event);
        assert_eq!(map, whole);
        let other = api.public(GET, "/schedules/s/seats").header("if-none-match", &tag).await;
        assert_ne!(other.header("etag"), tag);
        other.ok(200);
    }
}

/// What was told before a backup was restored is of a past that isn't this one: the same schedule, the same versions, other
/// seats.
#[tokio::test]
async fn a_stream_that_saw_what_a_restored_backup_lacks_begins_anew() {
    if !is_log_local("a copy of the directory") {
        return;
    }
    let api = Api::with_hall(6, json!({})).await;
    api.hold("kim", &[1]).await.ok(201);
    let mut seen = Map::default();
    seen.take(&follow(&api).await.must().await);
    let shared = seen.id.clone();
    let backup = api.back_up();
    let api = api.kill_and_restart();
    api.hold("kim", &[2]).await.ok(201);
    api.hold("kim", &[3]).await.ok(201);
    let mut resumed = resume(&api, &shared).await;
    for _ in 0..2 {
        seen.take(&resumed.must().await);
    }
    let map_of_it = api.public(GET, "/schedules/s/seats").await.header("etag").to_owned();
    let api = api.kill_and_restore(&backup);
    for seat in [4, 5, 6] {
        api.hold("lee", &[seat]).await.ok(201);
        let event = resume(&api, &seen.id).await.must().await;
        assert_eq!(event.kind, "snapshot", "at version {}", event.version());
        api.public(GET, "/schedules/s/seats").header("if-none-match", &map_of_it).await.ok(200);
    }
    // What was told before the backup still holds.
    let mut map = Map { id: shared.clone(), version: 1, seats: [("1-A-1-1".into(), "held".into())].into() };
    let mut resumed = resume(&api, &shared).await;
    let whole = Map::whole(&api).await;
    map.catch_up(&mut resumed, &whole).await;
    assert_eq!(map, whole);
}

#[tokio::test]
async fn a_hold_that_ends_by_time_is_told_without_anyone_asking() {
    let api = Api::with_hall(4, json!({"holdSeconds": 1})).await;
    let mut stream = follow(&api).await;
    let mut map = Map::default();
    map.take(&stream.must().await);
    api.hold("kim", &[1, 2]).await.ok(201);
    map.take(&stream.must().await);
    let over = stream.must().await;
    assert_eq!(over.data["seats"], json!({"1-A-1-1": "available", "1-A-1-2": "available"}));
    map.take(&over);
    assert_eq!(map, Map::whole(&api).await);
}

#[tokio::test]
async fn every_stream_ends_in_order_when_the_server_stops() {
    let api = Api::with_hall(4, json!({})).await;
    let mut seats = follow(&api).await;
    seats.must().await;
    let feed = api.admin(GET, "/events").open().await;
    let mut feed = Stream::new(feed);
    feed.must().await;
    let stopped = tokio::task::spawn_blocking(move || api.server.terminate());
    assert_eq!(seats.next().await, None);
    while feed.next().await.is_some() {}
    assert_eq!(soon(stopped).await.unwrap().code(), Some(0));
}
