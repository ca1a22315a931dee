//! `onsale import` of other systems' files, as an operator meets it: into a running engine, and as a rehearsal.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use server::{ADMIN, Server};

/// Runs `onsale import` with these arguments and no settings of whoever runs the test. Returns both outputs.
#[track_caller]
fn import(dir: &Path, arguments: &[&str], code: i32) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_onsale"))
        .arg("import")
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .env("ONSALE_JOURNAL_RESERVE_BYTES", "0")
        .env("ONSALE_ADMIN_TOKEN", ADMIN)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    assert!(!err.contains("panicked"), "{err}");
    (out, err)
}

fn seat(label: &str, x: u32, y: u32, key: u32) -> Value {
    json!({"label": label, "x": x, "y": y, "categoryKey": key, "accessible": false, "companionSeat": false, "restrictedView": false})
}

/// A seats.io chart with two rows.
fn chart() -> Value {
    let mut front = vec![seat("1", 10, 20, 1), seat("2", 20, 20, 1), seat("3", 30, 20, 2)];
    front[0]["accessible"] = json!(true);
    front[1]["companionSeat"] = json!(true);
    json!({
        "name": "Kammerspiele", "version": 19, "venueType": "ROWS_WITHOUT_SECTIONS",
        "categories": {"list": [{"key": 1, "label": "Parkett", "color": "#87A9CD"}, {"key": 2, "label": "Rang", "color": "#5E42ED"}]},
        "subChart": {"focalPoint": {"x": 20, "y": 0}, "sections": [], "booths": [], "texts": [{"text": "Bar"}], "rows": [
            {"label": "B", "seats": [seat("1", 10, 40, 2), seat("2", 20, 40, 2)]},
            {"label": "A", "seats": front}]},
    })
}

/// A pretix seating plan with one row.
fn plan() -> Value {
    let seat = |number: u32| {
        json!({"seat_guid": format!("saal-{number}"), "seat_number": number.to_string(), "category": "Saal",
               "position": {"x": number * 30, "y": 0}})
    };
    json!({
        "name": "Saal", "size": {"width": 100, "height": 100}, "categories": [{"name": "Saal", "color": "#888888"}],
        "zones": [{"name": "Saal", "position": {"x": 5, "y": 5}, "rows": [
            {"row_number": "1", "position": {"x": 0, "y": 10}, "seats": [seat(1), seat(2)]}]}],
    })
}

/// A directory with a file of each system.
fn stage() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path: PathBuf = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("chart.json", serde_json::to_string_pretty(&chart()).unwrap());
    write("plan.json", plan().to_string());
    write("tables/concerts.csv", "id,title,artist\n7,Winter,Ann\n".into());
    write(
        "tables/concert_schedules.csv",
        "id,concert_id,start_time,end_time,venue,total_seats,status\n71,7,2099-05-01 19:00:00,2099-05-01 21:00:00,Town Hall,3,UPCOMING\n".into(),
    );
    write(
        "tables/seats.csv",
        "schedule_id,section,row,number,grade,price,status\n71,A,1,1,VIP,90000,AVAILABLE\n71,A,1,2,VIP,90000,AVAILABLE\n71,A,2,1,R,50000,AVAILABLE\n".into(),
    );
    dir
}

const TO_PLAN: [&str; 4] = ["--venue", "kammer", "--time-zone", "Europe/Vienna"];
const TO_CONCERT: [&str; 10] = [
    "--concert",
    "urfaust",
    "--title",
    "Urfaust",
    "--currency",
    "EUR",
    "--price",
    "Parkett=4200",
    "--price",
    "Rang=2600",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chart_is_imported_with_a_concert_and_its_seats_are_sold() {
    let dir = stage();
    let server = Server::start(&dir.path().join("data"));
    let to = ["--url", server.url.as_str()];
    let arguments = [&["chart.json"][..], &TO_PLAN, &TO_CONCERT, &to].concat();
    let (out, _) = import(dir.path(), &arguments, 0);
    assert_eq!(
        out,
        "chart.json is a seats.io chart, version 19\n\
         \x20 venue kammer, \"Kammerspiele\": 1 section, 3 rows, 5 seats\n\
         \x20   grade Parkett: 2 seats\n\
         \x20   grade Rang: 3 seats\n\
         \x20   of the seats: 1 accessible, 1 for companions\n\
         \x20 concert urfaust, \"Urfaust\": 0 schedules (Parkett 4200, Rang 2600 EUR)\n\
         \x20 note: 1 texts, icons, pictures and shapes are left out\n\
         imported 1 venue, 1 concert, 0 schedules\n"
    );
    // The same file says nothing new.
    assert_eq!(import(dir.path(), &arguments, 0).0, out);

    let schedule =
        json!({"concertId": "urfaust", "startsAt": "2037-01-01T10:00:00Z", "endsAt": "2037-01-01T12:00:00Z"});
    assert_eq!(server.admin(Method::PUT, "/api/v1/schedules/u1", Some(schedule)).await.0, 201);
    assert_eq!(server.admin(Method::POST, "/api/v1/schedules/u1/open", None).await.0, 200);
    let (_, map) = server.get("/api/v1/schedules/u1/seats").await;
    let ids: Vec<&str> =
        map["seats"].as_array().unwrap().iter().map(|seat| seat["seatId"].as_str().unwrap()).collect();
    assert_eq!(ids, ["A-1", "A-2", "A-3", "B-1", "B-2"]);
    let hold = json!({"scheduleId": "u1", "seats": ["B-1", "B-2"]});
    let (status, booked) = server.user("ann", Method::POST, "/api/v1/reservations", Some(hold)).await;
    assert_eq!((status, &booked["amount"]), (201, &json!(5200)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_and_tables_are_imported_and_known_by_what_they_have() {
    let dir = stage();
    let server = Server::start(&dir.path().join("data"));
    let to = ["--url", server.url.as_str()];
    let plan = [
        &["plan.json", "--venue", "saal", "--time-zone", "Europe/Berlin", "--venue-name", "Großer Saal"][..],
        &to,
    ]
    .concat();
    let (out, _) = import(dir.path(), &plan, 0);
    assert!(out.starts_with("plan.json is a pretix seating plan\n"), "{out}");
    assert!(out.ends_with("imported 1 venue, 0 concerts, 0 schedules\n"), "{out}");
    let (_, venue) = server.get("/api/v1/venues/saal").await;
    assert_eq!(venue["name"], "Großer Saal");
    let seat = &venue["sections"][0]["rows"][0]["seats"][1];
    assert_eq!(*seat, json!({"seatId": "saal-2", "seatNumber": 2, "x": 65, "y": 15}));

    let tables = [&["tables", "--time-zone", "Asia/Seoul", "--currency", "KRW"][..], &to].concat();
    let (out, _) = import(dir.path(), &tables, 0);
    assert!(out.ends_with("imported 1 venue, 1 concert, 1 schedule\n"), "{out}");
    let (_, schedule) = server.get("/api/v1/schedules/71").await;
    assert_eq!(
        (&schedule["startsAt"], &schedule["seats"]["total"]),
        (&json!("2099-05-01T10:00:00.000Z"), &json!(3))
    );
    assert_eq!(schedule["status"], "upcoming");
}

#[test]
fn a_rehearsal_imports_nothing_and_asks_nobody_and_a_print_can_be_imported() {
    let dir = stage();
    let to_tables = ["tables", "--time-zone", "Asia/Seoul", "--currency", "KRW"];
    for (arguments, would) in [
        ([&["chart.json"][..], &TO_PLAN].concat(), "would import 1 venue, 0 concerts, 0 schedules\n"),
        ([&["plan.json"][..], &TO_PLAN].concat(), "would import 1 venue, 0 concerts, 0 schedules\n"),
        (to_tables.to_vec(), "would import 1 venue, 1 concert, 1 schedule\n"),
    ] {
        let (out, _) = import(dir.path(), &[&arguments[..], &["--dry-run"]].concat(), 0);
        assert!(out.ends_with(would), "{out}");
        let (printed, _) = import(dir.path(), &[&arguments[..], &["--print"]].concat(), 0);
        fs::write(dir.path().join("printed.json"), printed).unwrap();
        let (out, _) = import(dir.path(), &["printed.json", "--dry-run"], 0);
        assert_eq!(out, would, "what is printed is a document of our own");
    }
    // Nothing of it made a data directory.
    assert!(!dir.path().join("data").exists());
}

#[test]
fn what_is_wrong_is_told_with_file_line_column_and_path() {
    let dir = stage();
    let mut wrong = chart();
    wrong["subChart"]["rows"][0]["seats"][1]["categoryKey"] = json!(7);
    wrong["subChart"]["rows"][1]["seats"][0]["x"] = json!("left");
    fs::write(dir.path().join("chart.json"), serde_json::to_string_pretty(&wrong).unwrap()).unwrap();
    let (_, told) = import(dir.path(), &[&["chart.json", "--dry-run"][..], &TO_PLAN].concat(), 1);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "onsale: chart.json can't be imported"), "{told}");
    let text = fs::read_to_string(dir.path().join("chart.json")).unwrap();
    let line = text.lines().position(|line| line.contains("\"categoryKey\": 7")).unwrap() + 1;
    let column = text.lines().nth(line - 1).unwrap().find('7').unwrap() + 1;
    assert_eq!(
        lines[1],
        format!(
            "chart.json:{line}:{column}: subChart.rows[0].seats[1].categoryKey: is the key of no category of this chart"
        )
    );
    assert!(lines[2].ends_with("subChart.rows[1].seats[0].x: must be a number"), "{told}");

    fs::write(dir.path().join("tables/seats.csv"), "schedule_id,number,price\n71,1,5\n71,2,many\n").unwrap();
    let (_, told) =
        import(dir.path(), &["tables", "--dry-run", "--time-zone", "UTC", "--currency", "KRW"], 1);
    assert!(told.contains("tables/seats.csv:3: price: must be a price, as in 50000\n"), "{told}");

    // What only the engine would refuse has its line, too, or its flag.
    fs::write(dir.path().join("tables/seats.csv"), "schedule_id,number,price\n71,1,5\n71,2,5\n71,3,5\n")
        .unwrap();
    fs::write(dir.path().join("tables/concerts.csv"), "id,title,artist\n7,\"a\tb\",Ann\n").unwrap();
    let (_, told) = import(dir.path(), &["tables", "--print", "--time-zone", "UTC", "--currency", "won"], 1);
    assert_eq!(
        told,
        "onsale: tables can't be imported\n\
         tables/concerts.csv:2: title: must not have control characters\n\
         --currency: must be an ISO 4217 code, as in KRW\n"
    );

    // What is neither is told by the engine's own check, field by field.
    fs::write(dir.path().join("other.json"), "{\"shows\": []}").unwrap();
    let (_, told) = import(dir.path(), &["other.json", "--dry-run"], 1);
    assert!(told.contains("refused (422 invalid_request)") && told.contains("shows"), "{told}");
    fs::write(dir.path().join("other.json"), "{\n \"zones\": [,]}").unwrap();
    let (_, told) = import(dir.path(), &[&["other.json", "--from", "pretix"][..], &TO_PLAN].concat(), 1);
    assert!(told.contains("other.json isn't JSON") && told.contains("line 2 column 12"), "{told}");
}

#[test]
fn flags_that_are_missing_or_say_nothing_are_wrong_usage() {
    let dir = stage();
    let told = |arguments: &[&str]| import(dir.path(), arguments, 2).1;
    assert!(told(&["chart.json", "--dry-run"]).contains("add --venue ID and --time-zone ZONE"));
    assert!(told(&["tables", "--dry-run"]).contains("add --time-zone ZONE and --currency CODE"));
    assert!(
        told(&["chart.json", "--venue", "v", "--time-zone", "Nowhere/At-all"])
            .contains("--time-zone Nowhere/At-all")
    );
    let plan = |more: &[&str]| told(&[&["chart.json"][..], &TO_PLAN, more].concat());
    assert!(plan(&["--price", "Parkett=1"]).contains("add --concert ID"));
    let concert = ["--concert", "c", "--title", "t", "--currency", "EUR"];
    assert!(plan(&concert).contains("add --price \"Parkett=…\" --price \"Rang=…\""));
    let priced = |prices: &[&str]| plan(&[&concert[..], prices].concat());
    assert!(priced(&["--price", "Parkett=free"]).contains("GRADE=AMOUNT"));
    assert!(priced(&["--price", "Parkett=1", "--price", "Parkett=2"]).contains("stands twice"));
    assert!(
        priced(&["--price", "Parkett=1", "--price", "Rang=2", "--price", "Loge=3"])
            .contains("no seats of that grade")
    );
    assert!(plan(&["--show-minutes", "90"]).contains("--show-minutes isn't for a plan"));
    assert!(
        told(&["chart.json", "--from", "onsale", "--venue", "v"]).contains("--venue isn't for a document")
    );
}
