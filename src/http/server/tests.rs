//! Connections over real sockets.

use super::*;
use crate::http::context::RequestContext;
use crate::http::hosts::Hosts;
use crate::http::table::{Routes, get, post};
use crate::http::tests_support;

struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    /// Lets the requests of `/wait` go on.
    gate: Arc<Semaphore>,
    report: tokio::task::JoinHandle<DrainReport>,
}

pub(super) fn limits() -> ServerLimits {
    ServerLimits {
        connections_max: 100,
        header_bytes_max: 16 << 10,
        header_read_timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_secs(75),
        write_timeout: Duration::from_secs(30),
        rest_bytes_max: 1 << 20,
        rest_timeout: Duration::from_secs(30),
        drain: Duration::from_secs(30),
        hosts: Hosts::Any,
    }
}

fn start(limits: ServerLimits) -> Server {
    start_with(limits, &[])
}

fn start_with(limits: ServerLimits, variables: &[(&str, &str)]) -> Server {
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let (shutdown, gate) = (CancellationToken::new(), Arc::new(Semaphore::new(0)));
    let http = tests_support::parts(variables);
    let waiting = gate.clone();
    let events = shutdown.clone();
    let routes = Routes::new()
        .route("/ok", get(async || "ok"))
        .route("/peer", get(async |context: RequestContext| context.peer().to_string()))
        .route("/echo", post(async |tests_support::AnyBody(bytes): tests_support::AnyBody| bytes))
        .route("/refuse", post(async || Problem::new(Code::Unauthenticated, "Not you.")))
        .route(
            "/large",
            get(async || {
                let piece = || Some(Ok::<_, Infallible>(bytes::Bytes::from(vec![b'x'; 1 << 16])));
                Body::from_stream(futures_util::stream::iter(core::iter::from_fn(piece)))
            }),
        )
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
                Body::from_stream(futures_util::StreamExt::chain(first, rest))
            }),
        );
    let site = http.dress(routes, &http);
    let report = tokio::spawn(serve(listener, site, limits, shutdown.clone()));
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

/// Reads an answer to the end of its connection; checks that it is this problem, with all that every answer has.
async fn refused(stream: &mut TcpStream, status: u16, code: &str) {
    let text = read_to_end(stream).await;
    assert!(text.starts_with("HTTP/1.") && text[8..].starts_with(&format!(" {status} ")), "{text}");
    assert!(text.ends_with('}') && text.contains(&format!("\"code\":\"{code}\"")), "{text}");
    for header in [
        "content-type: application/problem+json",
        "cache-control: no-store",
        "content-security-policy: default-src 'none'; frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "x-request-id: ",
        "connection: close",
    ] {
        assert_eq!(text.matches(&format!("\r\n{header}")).count(), 1, "{header}: {text}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_long_or_no_http_is_a_problem_document_and_the_end() {
    let server = start(limits());
    let long = |bytes: usize| "x".repeat(bytes);
    // Over our limit it is answered by the layer, which keeps the connection; far over it hyper stops reading.
    let mut stream = server.connect().await;
    send(&mut stream, &format!("GET /ok HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", long(17_000))).await;
    assert!(read_until(&mut stream, "headers_too_large").await.starts_with("HTTP/1.1 431"));
    for head in [
        format!("GET /ok HTTP/1.1\r\nhost: x\r\nx-long: {}", long(66_000)),
        format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", long(66_000)),
        format!("GET /ok HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101)),
    ] {
        let mut stream = server.connect().await;
        send(&mut stream, &head).await;
        refused(&mut stream, 431, "headers_too_large").await;
    }
    let server = start(ServerLimits { header_bytes_max: 1 << 20, ..limits() });
    let mut stream = server.connect().await;
    send(&mut stream, &format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", long(66_000))).await;
    refused(&mut stream, 431, "headers_too_large").await;
    for head in [
        "\0\0\0\0\r\n\r\n",
        "GET /ok HTTP/9.9\r\n\r\n",
        "GET /o k HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /ok HTTP/1.1\r\nhost x\r\n\r\n",
        "GET /ok HTTP/1.1\r\nhost: x\r\n folded\r\n\r\n",
        "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n",
    ] {
        let mut stream = server.connect().await;
        send(&mut stream, head).await;
        refused(&mut stream, 400, "malformed_request").await;
    }
    // An answer before it stays as it is.
    let mut stream = server.connect().await;
    send(&mut stream, &format!("{OK}\0\r\n\r\n")).await;
    let text = read_to_end(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("\r\n\r\nokHTTP/1.1 400"), "{text}");
}

#[tokio::test]
async fn a_request_that_can_be_read_in_two_ways_is_400_and_nothing_after_it_is_answered() {
    let server = start(limits());
    let chunk = "5\r\nhello\r\n0\r\n\r\n";
    for head in [
        "GET /ok HTTP/1.1\r\n\r\n".to_owned(),
        "GET /ok HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n".to_owned(),
        "GET /ok HTTP/1.1\r\nhost: a b\r\n\r\n".to_owned(),
        "GET /ok HTTP/1.0\r\nhost: x\r\nhost: y\r\n\r\n".to_owned(),
        "GET /ok#frag HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /ok?a=1#frag HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET http://x/ok# HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        format!("POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, chunked\r\n\r\n{chunk}"),
        format!(
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n{chunk}"
        ),
        format!("POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n{chunk}"),
        format!(
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: identity\r\ntransfer-encoding: chunked\r\n\r\n{chunk}"
        ),
    ] {
        for before in ["", OK, "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok"] {
            let mut stream = server.connect().await;
            send(&mut stream, before).await;
            if !before.is_empty() {
                // Alone, or together with what is wrong.
                read_until(&mut stream, "\r\n\r\nok").await;
            }
            send(&mut stream, &format!("{head}GET /peer HTTP/1.1\r\nhost: x\r\n\r\n")).await;
            refused(&mut stream, 400, "malformed_request").await;
            let mut stream = server.connect().await;
            send(&mut stream, &format!("{before}{head}GET /peer HTTP/1.1\r\nhost: x\r\n\r\n")).await;
            let text = read_to_end(&mut stream).await;
            assert_eq!(text.matches("HTTP/1.").count(), 1 + usize::from(!before.is_empty()), "{text}");
            assert!(text.contains("malformed_request"), "{text}");
        }
    }
    // What is right stays so, whatever stands in fields and bodies.
    let mut stream = server.connect().await;
    let right = "\r\nGET /ok HTTP/1.1\r\nhost: x\r\nreferer: /a#b\r\n\r\n";
    let chunked = "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: Chunked\r\n\r\n2\r\n#a\r\n0\r\n\r\n";
    let whole = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n\n#\n#";
    send(&mut stream, &format!("{right}{whole}{right}{chunked}{right}")).await;
    send(&mut stream, "GET /ok HTTP/1.0\r\n\r\n").await;
    let text = read_to_end(&mut stream).await;
    assert_eq!(text.matches(" 200 OK\r\n").count(), 6, "{text}");
    // As it is however it is cut.
    for size in [1, 7, 100] {
        let mut stream = server.connect().await;
        let all = format!("{right}{whole}{right}GET /peer#x HTTP/1.1\r\nhost: x\r\n\r\n");
        for part in all.as_bytes().chunks(size) {
            stream.write_all(part).await.unwrap();
            tokio::task::yield_now().await;
        }
        let text = read_to_end(&mut stream).await;
        assert_eq!((text.matches(" 200 OK\r\n").count(), text.matches(" 400 ").count()), (3, 1), "{text}");
    }
}

#[tokio::test]
async fn a_refusal_before_the_body_was_read_reaches_its_client_which_sends_it_all_the_same() {
    let server = start(limits());
    // The body comes in a later segment, and the connection goes on behind it.
    let mut stream = server.connect().await;
    for _ in 0..3 {
        send(&mut stream, "POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 500000\r\n\r\n").await;
        let text = read_until(&mut stream, "unauthenticated").await;
        assert!(text.starts_with("HTTP/1.1 401") && !text.contains("connection: close"), "{text}");
        send(&mut stream, &"x".repeat(500_000)).await;
    }
    send(&mut stream, OK).await;
    read_until(&mut stream, "\r\n\r\nok").await;
    // Of a body over its route's limit likewise.
    send(&mut stream, "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 500000\r\n\r\n").await;
    assert!(read_until(&mut stream, "body_too_large").await.starts_with("HTTP/1.1 413"));
    send(&mut stream, &"x".repeat(500_000)).await;
    send(&mut stream, OK).await;
    read_until(&mut stream, "\r\n\r\nok").await;

    // More than is read, or an unknown length: the close is announced, and the client still gets to send its body.
    let over = 3_000_000;
    for length in [format!("content-length: {over}"), "transfer-encoding: chunked".to_owned()] {
        let mut stream = server.connect().await;
        send(&mut stream, &format!("POST /refuse HTTP/1.1\r\nhost: x\r\n{length}\r\n\r\n")).await;
        send(&mut stream, &format!("7a120\r\n{}\r\n0\r\n\r\n", "x".repeat(500_000))).await;
        stream.shutdown().await.unwrap();
        let text = read_to_end(&mut stream).await;
        assert!(text.contains("connection: close") && text.ends_with('}'), "{text}");
    }
    // A client that waits to be told to send is told no, and nothing is waited for.
    let mut stream = server.connect().await;
    let head = "POST /refuse HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    send(&mut stream, head).await;
    let text = read_to_end(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 401") && text.contains("connection: close"), "{text}");
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_loses_the_connection() {
    let server = start(ServerLimits { write_timeout: Duration::from_millis(20), ..limits() });
    let mut stream = server.connect().await;
    // The answer has no end, so it is the server that ends the connection.
    send(&mut stream, "GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
    stream.ready(tokio::io::Interest::ERROR).await.unwrap();
    let mut bytes = vec![0; 1 << 20];
    let error = loop {
        match stream.read(&mut bytes).await {
            Ok(0) => panic!("it is broken off, and not ended in order"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_demonstration_is_called_by_names_of_loopback_alone() {
    let own = "10.0.0.7".parse().unwrap();
    let server = start(ServerLimits { hosts: Hosts::Loopback(own), ..limits() });
    let mut stream = server.connect().await;
    for host in ["evil.example", "localhost.evil.example:80", ""] {
        send(&mut stream, &format!("GET /ok HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
        let text = read_until(&mut stream, "\"forbidden\"").await;
        assert!(text.starts_with("HTTP/1.1 403"), "{host}: {text}");
    }
    for host in ["localhost:8080", "127.0.0.1:8080", "[::1]", "10.0.0.7:8080"] {
        send(&mut stream, &format!("GET /ok HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
        read_until(&mut stream, "\r\n\r\nok").await;
    }
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
async fn a_connection_without_a_next_request_and_one_whose_body_does_not_come_are_closed() {
    let short = Duration::from_millis(20);
    let server = start(ServerLimits { idle_timeout: short, ..limits() });
    let mut idle = server.connect().await;
    assert_eq!(read_to_end(&mut idle).await, "");

    let server = start(ServerLimits { rest_timeout: short, ..limits() });
    let mut stream = server.connect().await;
    send(&mut stream, "POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf").await;
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 401"));
}

#[tokio::test]
async fn a_route_that_works_for_too_long_is_answered_for_at_its_deadline() {
    let server = start_with(limits(), &[("ONSALE_LIMITS_REQUEST_TIMEOUT_SECONDS", "1")]);
    let mut stream = server.connect().await;
    send(&mut stream, "GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(read_until(&mut stream, "overloaded").await.starts_with("HTTP/1.1 503"));
    send(&mut stream, OK).await;
    assert!(read_until(&mut stream, "\r\n\r\nok").await.contains("HTTP/1.1 200"));
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
