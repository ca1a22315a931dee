//! The export's stream: whole lines, one export at a time, and nothing goes on for a client that went away.

use reqwest::Response;
use serde_json::{Value, json};

use crate::{Api, GET, PUT, is_instant, keys_of, schedule, soon};

async fn lines(mut response: Response) -> Vec<Value> {
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let mut bytes = Vec::new();
    while let Some(chunk) = soon(response.chunk()).await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    assert!(bytes.ends_with(b"\n"));
    let text = String::from_utf8(bytes).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn an_export_is_a_line_of_what_it_is_then_its_rows_then_a_line_that_says_it_is_complete() {
    let api = Api::with_hall(4, json!({})).await;
    api.hold("kim", &[1, 2]).await.ok(201);
    let position = api.admin(GET, "/admin/overview").await.ok(200)["journal"]["position"].clone();
    let lines = lines(api.admin(GET, "/admin/export").open().await).await;
    let [first, rows @ .., last] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(keys_of(first), ["logId", "onsale", "position", "schemaVersion", "tables", "takenAt"]);
    assert_eq!(first["position"], position);
    assert!(is_instant(&first["takenAt"]));
    assert_eq!(last["complete"], true);
    let mut announced = 0;
    for table in first["tables"].as_array().unwrap() {
        let name = &table["name"];
        let found: Vec<&Value> = rows.iter().filter(|row| row[0] == *name).collect();
        let columns = table["columns"].as_array().unwrap().len();
        assert!(found.iter().all(|row| row.as_array().unwrap().len() == columns + 1), "{name}");
        assert_eq!(table["rows"], found.len(), "{name}");
        assert_eq!(last["tables"][name.as_str().unwrap()], found.len(), "{name}");
        announced += found.len();
    }
    assert_eq!(announced, rows.len());
    let held = rows.iter().filter(|row| row[0] == "seats" && row[10] == "held").count();
    assert_eq!(held, 2, "{rows:?}");
}

#[tokio::test]
async fn one_export_runs_at_a_time_and_one_whose_client_went_away_makes_room() {
    let api = Api::start();
    // More than the sockets between the two take without a reader: 50,000 seats, three times.
    let row = |row: u32| json!({"rowId": row.to_string(), "grade": "R", "length": 500});
    let rows: Vec<Value> = (1..=100).map(row).collect();
    let sections = json!([{"sectionId": "A", "floor": "1", "rows": rows}]);
    let venue =
        json!({"name": "Arena", "address": "", "type": "arena", "timeZone": "UTC", "sections": sections});
    api.admin(PUT, "/venues/v").json(&venue).await.ok(201);
    let grades = json!([{"grade": "R", "price": 50_000, "color": "#888888"}]);
    let concert =
        json!({"title": "Show", "artist": "Someone", "venueId": "v", "currency": "KRW", "grades": grades});
    api.admin(PUT, "/concerts/c").json(&concert).await.ok(201);
    for id in ["one", "two", "three"] {
        api.admin(PUT, &format!("/schedules/{id}")).json(&schedule()).await.ok(201);
    }
    let mut first = api.admin(GET, "/admin/export").open().await;
    assert!(soon(first.chunk()).await.unwrap().is_some());
    let refused = api.admin(GET, "/admin/export").await;
    assert_eq!(refused.header("retry-after"), "10");
    refused.refused(503, "overloaded");
    drop(first);
    // The slot is free once the work has seen that nobody takes it any more.
    let second = soon(async {
        loop {
            let response = api.admin(GET, "/admin/export").open().await;
            if response.status().is_success() {
                break response;
            }
        }
    });
    let all = lines(second.await).await;
    assert_eq!(all.last().unwrap()["tables"]["seats"], 150_000);
}
