//! The pages: what a browser is told about them. `web/test/` drives them.

use serde_json::json;

use crate::{Api, GET, POST};

/// An address of each page.
const PAGES: [&str; 9] = [
    "/",
    "/shows/perf-1",
    "/schedules/%EC%83%A4:1",
    "/reservations",
    "/reservations/r",
    "/account",
    "/verify",
    "/ops",
    "/ops/sales/one",
];

#[tokio::test]
async fn a_page_is_asked_for_each_time_and_its_parts_once_for_ever() {
    let api = Api::start();
    for path in PAGES {
        let page = api.root(GET, path).await;
        assert_eq!((page.status, page.header("cache-control")), (200, "no-cache"), "{path}");
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
        let tag = page.header("etag").to_owned();
        let again = api.root(GET, path).header("if-none-match", &tag).await;
        assert_eq!((again.status, again.bytes.len()), (304, 0), "{path}");

        let html = String::from_utf8(page.bytes).unwrap();
        let parts: Vec<&str> = html.split("\"/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(parts.len() >= 3, "{path}: {parts:?}");
        for part in parts {
            let part = api.root(GET, &format!("/{part}")).await;
            assert_eq!(part.status, 200);
            assert!(part.header("cache-control").contains("immutable"));
        }
    }
    api.root(GET, "/assets/none.js").await.refused(404, "not_found");
    api.root(GET, "/assets/..%2Findex.html").await.refused(404, "not_found");
    api.root(GET, "/shows").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_page_loads_nothing_from_elsewhere_and_runs_no_text() {
    let api = Api::start();
    for path in PAGES {
        let page = api.root(GET, path).await;
        let policy = page.header("content-security-policy").to_owned();
        for part in
            ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "trusted-types 'none'"]
        {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("//") && !policy.contains('*'), "{policy}");
        let html = String::from_utf8(page.bytes).unwrap();
        assert!(!html.contains("//"), "no address of another host: {html}");
        assert!(!html.contains("style=") && !html.contains("<style"), "{html}");
    }
}

#[tokio::test]
async fn a_link_to_a_page_may_have_parameters_of_its_own() {
    let api = Api::start();
    for path in PAGES {
        let page = api.root(GET, &format!("{path}?utm_source=mail&paymentKey=1")).await;
        assert_eq!(page.status, 200, "{path}");
    }
    api.root(POST, "/").json(&json!({})).await.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn a_link_that_leads_nowhere_is_a_page_for_who_reads_pages_and_a_problem_for_programs() {
    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let api = Api::start();
    for path in ["/nothing", "/shows", "/shows/one/two", "/shedules/s?code=FANS"] {
        let page = api.root(GET, path).header("accept", BROWSER).await;
        assert_eq!(page.status, 404, "{path}");
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
        assert!(page.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert_eq!(page.header("vary"), "accept, accept-encoding");
        let html = String::from_utf8(page.bytes).unwrap();
        assert!(html.contains("<script"), "the storefront says it in its reader's language: {html}");

        api.root(GET, path).await.refused(404, "not_found");
        api.root(GET, path).header("accept", "*/*").await.refused(404, "not_found");
        api.root(POST, path).header("accept", BROWSER).json(&json!({})).await.refused(404, "not_found");
    }
    for path in ["/api", "/api/v1/nothing", "/api/v2"] {
        api.root(GET, path).header("accept", BROWSER).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn only_a_demonstration_makes_its_reader_a_fan_or_the_operator() {
    let api = Api::start();
    let told = api.root(GET, "/pages.json").await.ok(200);
    assert_eq!((&told["demoFans"], &told["demoOperators"]), (&json!(false), &json!(false)));
    for role in ["user", "admin"] {
        api.root(POST, "/demo/sessions").json(&json!({"role": role})).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn pages_that_are_turned_off_are_nowhere_and_the_api_is_where_it_was() {
    let api = Api::start_with(&[("ONSALE_PAGES", "off")]);
    for path in PAGES.into_iter().chain(["/pages.json"]) {
        api.root(GET, path).header("accept", "text/html").await.refused(404, "not_found");
    }
    api.root(GET, "/docs").await;
    api.public(GET, "/concerts").await.ok(200);
}
