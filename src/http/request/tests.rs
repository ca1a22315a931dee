//! The layer around every request.

use core::time::Duration;
use std::sync::Mutex;

use futures_util::StreamExt;
use tower::ServiceExt;

use super::*;
use crate::http::table::{get, post};
use crate::http::{HttpParts, extract, tests_support};

type Answer = axum::response::Response;

fn site(http: &HttpParts) -> Site {
    let stall = async || core::future::pending::<()>().await;
    let routes = Routes::new()
        .route("/ok/{id}", get(async || "ok"))
        .route("/panic", get(async || -> () { panic!("a bug") }))
        .route(
            "/late-panic",
            get(async || -> () {
                tokio::task::yield_now().await;
                panic!("a bug")
            }),
        )
        .route("/stall", get(stall).post(stall))
        .route("/read", post(async |_: tests_support::AnyBody| "read"))
        .route("/large", post(async |_: extract::LargeBody<serde_json::Value>| "read"))
        .route("/id", get(async |context: RequestContext| context.id().to_owned()));
    http.dress(routes, http)
}

async fn ask(request: Request<Body>) -> Answer {
    site(&tests_support::parts(&[])).oneshot(request).await.unwrap()
}

fn get_request(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

async fn code_of(response: Answer) -> (u16, String) {
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    (status, json["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_request_id_is_taken_if_it_is_visible_ascii_and_else_made() {
    let answer = async |id: &[u8]| {
        let id = HeaderValue::from_bytes(id).unwrap();
        let request = Request::get("/id").header(X_REQUEST_ID, id).body(Body::empty()).unwrap();
        ask(request).await.headers()[X_REQUEST_ID].to_str().unwrap().to_owned()
    };
    assert_eq!(answer(b"client-1").await, "client-1");
    let longest = "x".repeat(128);
    assert_eq!(answer(longest.as_bytes()).await, longest);
    let too_long = "x".repeat(129);
    for wrong in [&b""[..], b"a b", too_long.as_bytes(), b"\xc3\xa9"] {
        let made = answer(wrong).await;
        assert_eq!(made.len(), 16);
        assert!(made.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    let response = ask(get_request("/id")).await;
    let id = response.headers()[X_REQUEST_ID].to_str().unwrap().to_owned();
    let bytes = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    assert_eq!(bytes, id, "the route sees the id that the client gets");
}

#[test]
fn made_ids_differ() {
    let ids = RequestIds::new();
    let made: std::collections::HashSet<_> = (0..10_000).map(|_| ids.next()).collect();
    assert_eq!(made.len(), 10_000);
}

#[tokio::test]
async fn a_panic_is_a_500_with_the_request_id_and_nothing_else() {
    for path in ["/panic", "/late-panic"] {
        let response = ask(get_request(path)).await;
        let id = response.headers()[X_REQUEST_ID].to_str().unwrap().to_owned();
        assert_eq!(response.status(), 500);
        let bytes = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((&json["code"], &json["requestId"]), (&"internal".into(), &id.into()));
        assert!(!json.to_string().contains("a bug"));
    }
}

#[tokio::test]
async fn headers_over_the_limit_are_431() {
    let with = |bytes: usize| {
        let text = "x".repeat(bytes);
        Request::get("/ok/1").header("x-long", text).body(Body::empty()).unwrap()
    };
    assert_eq!(ask(with(16_000)).await.status(), 200);
    assert_eq!(code_of(ask(with(17_000)).await).await, (431, "headers_too_large".into()));
    let long_path = format!("/ok/1?{}", "x".repeat(17_000));
    assert_eq!(ask(get_request(&long_path)).await.status(), 431);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_takes_too_long_has_an_unknown_outcome_and_a_read_is_overloaded() {
    let started = Instant::now();
    let post = Request::post("/stall").body(Body::empty()).unwrap();
    assert_eq!(code_of(ask(post).await).await, (503, "outcome_unknown".into()));
    assert_eq!(started.elapsed().as_secs(), 10);
    let response = ask(get_request("/stall")).await;
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(code_of(response).await, (503, "overloaded".into()));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_408_and_a_large_one_has_six_times_as_long() {
    for (path, seconds) in [("/read", 10), ("/large", 60)] {
        let started = Instant::now();
        let first = futures_util::stream::iter([Ok::<_, std::io::Error>("{")]);
        let body = Body::from_stream(first.chain(futures_util::stream::pending()));
        let request = Request::post(path).header("content-type", "application/json").body(body);
        assert_eq!(code_of(ask(request.unwrap()).await).await, (408, "request_timeout".into()));
        assert_eq!(started.elapsed().as_secs(), seconds, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_after_its_headers() {
    let http = tests_support::parts(&[]);
    let stream = async || {
        let ticks = futures_util::stream::unfold(0, async |count| {
            tokio::time::sleep(Duration::from_secs(30)).await;
            (count < 3).then(|| (Ok::<_, std::io::Error>("tick"), count + 1))
        });
        Body::from_stream(ticks)
    };
    let site = http.dress(Routes::new().route("/events", get(stream)), &());
    let response = site.oneshot(get_request("/events")).await.unwrap();
    let bytes = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
    assert_eq!(bytes, "tickticktick");
}

#[test]
fn metrics_name_the_route_by_its_template_and_never_by_its_path() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new()
        .set_buckets_for_metric(
            metrics_exporter_prometheus::Matcher::Suffix("_seconds".into()),
            crate::telemetry::SECONDS_BUCKETS,
        )
        .unwrap()
        .build_recorder();
    let handle = recorder.handle();
    ::metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let site = site(&tests_support::parts(&[]));
            for path in ["/ok/secret-1", "/ok/secret-2", "/secret-3", "/panic"] {
                let _ = site.clone().oneshot(get_request(path)).await;
            }
            let odd = Request::builder().method("BREW").uri("/ok/1").body(Body::empty()).unwrap();
            let _ = site.clone().oneshot(odd).await;
        });
    });
    let text = handle.render();
    for line in [
        r#"onsale_http_requests_total{route="/ok/{id}",method="GET",status="200"} 2"#,
        r#"onsale_http_requests_total{route="unmatched",method="GET",status="404"} 1"#,
        r#"onsale_http_requests_total{route="/panic",method="GET",status="500"} 1"#,
        r#"onsale_http_requests_total{route="/ok/{id}",method="other",status="405"} 1"#,
        r#"onsale_http_request_seconds_count{route="/ok/{id}",method="GET"} 2"#,
        r#"onsale_http_request_seconds_bucket{route="/ok/{id}",method="GET",le="10"} 2"#,
        "onsale_http_requests_in_flight 0",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("secret") && !text.contains("BREW"), "{text}");
}

/// Collects what is logged as text.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn logs_have_the_request_id_and_template_and_nothing_else_of_the_client() {
    // While there is one subscriber only, tracing asks the thread that meets a callsite first, which
    // may be another test's without any; with two it asks both.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    for level in [tracing::Level::DEBUG, tracing::Level::INFO] {
        check_logs_at(level);
    }
}

fn check_logs_at(level: tracing::Level) {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let site = site(&tests_support::parts(&[]));
            for path in ["/ok/secret-1?secret=2", "/secret-3", "/panic"] {
                let request = Request::get(path)
                    .header(X_REQUEST_ID, "the-id")
                    .header("authorization", "Bearer secret-4");
                let _ = site.clone().oneshot(request.body(Body::empty()).unwrap()).await;
            }
        });
    });
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("the-id") && text.contains("/panic"), "{text}");
    let debug = level == tracing::Level::DEBUG;
    assert_eq!(text.contains("/ok/{id}"), debug, "{text}");
    assert!(text.contains("request failed") && text.contains("internal"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn pages_of_the_named_origins_may_call_and_others_not() {
    let http = tests_support::parts(&[("ONSALE_CORS_ORIGINS", "https://a.example")]);
    let ask = async |method: &str, origin: &str| {
        let request = Request::builder()
            .method(method)
            .uri("/ok/1")
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .body(Body::empty())
            .unwrap();
        site(&http).oneshot(request).await.unwrap()
    };
    let allowed = "access-control-allow-origin";
    assert_eq!(ask("OPTIONS", "https://a.example").await.headers()[allowed], "https://a.example");
    let response = ask("GET", "https://a.example").await;
    let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap();
    for name in ["etag", "location", "retry-after", "x-request-id", "idempotent-replayed"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    assert!(!ask("GET", "https://b.example").await.headers().contains_key(allowed));
    let off = site(&tests_support::parts(&[]))
        .oneshot(Request::get("/ok/1").header("origin", "https://a.example").body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert!(!off.headers().contains_key(allowed));
}

#[tokio::test]
async fn no_error_is_kept_and_nothing_is_loaded_by_an_answer() {
    for (path, status) in [("/ok/1", 200), ("/none", 404), ("/panic", 500), ("/read", 405)] {
        let response = ask(get_request(path)).await;
        assert_eq!(response.status(), status);
        let headers = response.headers();
        let kept = headers.get("cache-control").map(|value| value.to_str().unwrap());
        assert_eq!(kept, (status >= 400).then_some("no-store"), "{path}");
        assert_eq!(headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'");
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn an_address_reads_so_much_and_probes_are_always_answered() {
    let http = tests_support::parts(&[
        ("ONSALE_LIMITS_READS_PER_SECOND", "2"),
        ("ONSALE_TRUSTED_PROXIES", "0.0.0.0"),
    ]);
    let routes = Routes::new()
        .route("/ok/{id}", get(async || "ok").post(async || "ok"))
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(async || "ok"));
    let site = http.dress(routes, &());
    let ask = async |method: &str, path: &str, address: &str| {
        let request = Request::builder().method(method).uri(path).header("x-forwarded-for", address);
        site.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    };
    for number in 0..20 {
        let method = if number % 2 == 0 { "GET" } else { "HEAD" };
        assert_eq!(ask(method, "/ok/1", "192.0.2.1").await.status(), 200, "ten seconds' worth at once");
    }
    for path in ["/ok/1", "/none"] {
        let refused = ask("GET", path, "192.0.2.1").await;
        assert_eq!(refused.headers()["retry-after"], "1");
        assert_eq!(code_of(refused).await, (429, "rate_limited".into()));
    }
    for (method, path, address) in [
        ("POST", "/ok/1", "192.0.2.1"),
        ("GET", "/healthz", "192.0.2.1"),
        ("GET", "/readyz", "192.0.2.1"),
        ("GET", "/ok/1", "192.0.2.2"),
    ] {
        assert_eq!(ask(method, path, address).await.status(), 200, "{method} {path} {address}");
    }
}
