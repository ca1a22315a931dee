//! Connections over real sockets.

use axum::routing::{get, post};

use super::*;
use crate::http::{extract, tests_support};

struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    /// Lets the requests of `/wait` go on.
    gate: Arc<Semaphore>,
    report: tokio::task::JoinHandle<DrainReport>,
}

fn limits() -> ServerLimits {
    ServerLimits {
        connections_max: 100,
        header_bytes_max: 16 << 10,
        header_read_timeout: Duration::from_secs(30),
        drain: Duration::from_secs(30),
    }
}

fn start(limits: ServerLimits) -> Server {
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let (shutdown, gate) = (CancellationToken::new(), Arc::new(Semaphore::new(0)));
    let http = tests_support::parts(&[]);
    let waiting = gate.clone();
    let events = shutdown.clone();
    let router = Router::new()
        .route("/ok", get(async || "ok"))
        .route("/peer", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string()))
        .route("/echo", post(async |extract::AnyBody(bytes): extract::AnyBody| bytes))
        .route(
            "/wait",
            get(async move || {
                waiting.acquire().await.unwrap().forget();
                "waited"
            }),
        )
        .route(
            "/events",
            get(async move || {
                let first = futures_util::stream::once(async { Ok::<_, io::Error>("data: 1\n\n") });
                let rest = futures_util::stream::once(async move {
                    events.cancelled().await;
                    Ok("data: end\n\n")
                });
                axum::body::Body::from_stream(futures_util::StreamExt::chain(first, rest))
            }),
        );
    let router = http.dress(router).with_state(http);
    let report = tokio::spawn(serve(listener, router, limits, shutdown.clone()));
    Server { address, shutdown, gate, report }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Reads until `end` has come.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut bytes = [0; 4096];
    while !text.contains(end) {
        let count = stream.read(&mut bytes).await.unwrap();
        assert!(count > 0, "closed after {text}");
        text.push_str(core::str::from_utf8(&bytes[..count]).unwrap());
    }
    text
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

const OK: &str = "GET /ok HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request_and_knows_its_peer() {
    let server = start(limits());
    let mut stream = server.connect().await;
    for _ in 0..3 {
        send(&mut stream, OK).await;
        assert!(read_until(&mut stream, "\r\n\r\nok").await.starts_with("HTTP/1.1 200"));
    }
    send(&mut stream, "GET /peer HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut stream, "\r\n\r\n127.0.0.1").await;
}

#[tokio::test]
async fn headers_over_the_limit_are_a_problem_document_and_far_over_it_at_least_431() {
    let server = start(limits());
    for bytes in [17_000, 60_000] {
        let mut stream = server.connect().await;
        let long = "x".repeat(bytes);
        send(&mut stream, &format!("GET /ok HTTP/1.1\r\nhost: x\r\nx-long: {long}\r\n\r\n")).await;
        let text = read_until(&mut stream, "headers_too_large").await;
        assert!(text.starts_with("HTTP/1.1 431") && text.contains("application/problem+json"));
    }
    let mut stream = server.connect().await;
    let long = "x".repeat(66_000);
    send(&mut stream, &format!("GET /ok HTTP/1.1\r\nhost: x\r\nx-long: {long}")).await;
    assert!(read_until(&mut stream, "\r\n").await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn one_connection_more_than_the_limit_is_told_503_and_a_place_that_is_free_is_given_again() {
    let server = start(ServerLimits { connections_max: 1, ..limits() });
    let mut first = server.connect().await;
    send(&mut first, OK).await;
    read_until(&mut first, "\r\n\r\nok").await;
    let mut second = server.connect().await;
    send(&mut second, OK).await;
    let text = read_to_end(&mut second).await;
    assert!(text.starts_with("HTTP/1.1 503") && text.contains("retry-after: 1"), "{text}");
    assert!(text.contains("\"code\":\"overloaded\"") && text.contains("connection: close"));
    first.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut first).await, "");
    loop {
        let mut third = server.connect().await;
        send(&mut third, OK).await;
        if read_until(&mut third, "\r\n\r\n").await.starts_with("HTTP/1.1 200") {
            break;
        }
    }
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_closes_what_is_idle_and_ends_streams() {
    let server = start(limits());
    let mut idle = server.connect().await;
    send(&mut idle, OK).await;
    read_until(&mut idle, "\r\n\r\nok").await;
    let mut events = server.connect().await;
    send(&mut events, "GET /events HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut events, "data: 1").await;
    let mut busy = server.connect().await;
    // The echo is answered on the same connection first, so the wait is known to be accepted.
    send(&mut busy, "GET /ok HTTP/1.1\r\nhost: x\r\n\r\nGET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut busy, "\r\n\r\nok").await;
    server.shutdown.cancel();
    assert_eq!(read_to_end(&mut idle).await, "");
    assert!(read_to_end(&mut events).await.contains("data: end"));
    server.gate.add_permits(1);
    assert!(read_to_end(&mut busy).await.ends_with("waited"));
    let report = server.report.await.unwrap();
    assert_eq!((report.open, report.dropped), (3, 0));
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn what_does_not_end_by_the_deadline_is_dropped() {
    let server = start(ServerLimits { drain: Duration::from_millis(1), ..limits() });
    let mut busy = server.connect().await;
    send(&mut busy, "GET /ok HTTP/1.1\r\nhost: x\r\n\r\nGET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut busy, "\r\n\r\nok").await;
    server.shutdown.cancel();
    let report = server.report.await.unwrap();
    assert_eq!((report.open, report.dropped), (1, 1));
    assert!(!read_to_end(&mut busy).await.contains("waited"));
}

#[tokio::test]
async fn a_connection_that_sends_no_headers_is_closed() {
    let server = start(ServerLimits { header_read_timeout: Duration::from_millis(20), ..limits() });
    let mut slow = server.connect().await;
    send(&mut slow, "GET /ok HT").await;
    assert_eq!(read_to_end(&mut slow).await, "");
}

#[tokio::test]
async fn garbage_and_clients_that_leave_harm_nobody() {
    let server = start(limits());
    for garbage in [
        "\0\0\0\0\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf",
    ] {
        let mut stream = server.connect().await;
        send(&mut stream, garbage).await;
        drop(stream);
    }
    let mut stream = server.connect().await;
    send(&mut stream, OK).await;
    read_until(&mut stream, "\r\n\r\nok").await;
}
