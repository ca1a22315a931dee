//! The accept loop: connections in, requests to the site, and an orderly end.
//!
//! Owns the sockets, the answers before there is a request (too many connections, an unreadable head), and the check of
//! a request's head. Absent on purpose: a request's content, and TLS (a proxy's work).
//!
//! Invariants: at most `connections_max` connections are served and [`REFUSALS_MAX`] refused at a
//! time; each has a deadline (`watch.rs`); a connection that we close is read on for a moment, since what
//! is unread would reset it before the client has its answer; after a stop nothing is accepted, what is
//! under way is answered, and at the deadline nothing is left.

mod watch;

use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::net::SocketAddr;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::watch::{Answer, Guarded, Verdict, Watch, WatchedBody};
use super::hosts;
use super::limits::ServerLimits;
use super::problem::{Code, Problem};
use super::request::{Arrival, RequestIds, Running, Site, X_REQUEST_ID, dress};

/// The most connections over the limit that get an answer at a time; more are closed without one.
pub const REFUSALS_MAX: usize = 256;

/// How long a closing connection is read on, and its last answer may take.
const LINGER: Duration = Duration::from_secs(2);

/// The pause after an accept that failed for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the system keeps for a connection's client, which inherits it. Linux calls a socket writable once a third of that is free; the
/// buffer that it grows by itself, to some megabytes, makes a client that reads steadily but slowly look like one that reads nothing.
const SEND_BUFFER_BYTES: u32 = 256 << 10;

/// The connections that wait in the system for the accept loop.
const BACKLOG: u32 = 4096;

/// The least that hyper takes as its buffer.
const HYPER_BUFFER_BYTES_MIN: usize = 8192;

/// The result of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainReport {
    /// The connections that were open when the stop began.
    pub open: usize,
    /// Those of them that were dropped at the deadline.
    pub dropped: usize,
    /// How long the stop took.
    pub took: Duration,
}

/// Binds a listening socket whose backlog holds the rush at the opening of a sale.
///
/// # Errors
/// When the address is taken or not allowed.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // So that a restart doesn't wait for the old connections' last minute.
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The state that all connections share.
struct ServerState {
    http: http1::Builder,
    site: Site,
    limits: ServerLimits,
    ids: RequestIds,
    drain: CancellationToken,
    draining: AtomicBool,
    open: metrics::Gauge,
}

/// Serves the site until `shutdown` is cancelled. Then it accepts no connections, closes idle ones, and answers
/// running requests. Event streams must end by the same token. After `limits.drain` the remaining connections are
/// dropped.
pub async fn serve(
    listener: TcpListener,
    site: Site,
    limits: ServerLimits,
    shutdown: CancellationToken,
) -> DrainReport {
    serve_until(listener, site, limits, shutdown.clone(), shutdown).await
}

/// The same, and accepts no connections from `full` on. Those that are there are served until `shutdown`.
pub async fn serve_until(
    listener: TcpListener,
    site: Site,
    limits: ServerLimits,
    full: CancellationToken,
    shutdown: CancellationToken,
) -> DrainReport {
    let mut http = http1::Builder::new();
    // The times are the watch's.
    http.header_read_timeout(None::<Duration>)
        .max_buf_size((4 * limits.header_bytes_max).max(HYPER_BUFFER_BYTES_MIN));
    let shared = Arc::new(ServerState {
        http,
        site,
        limits,
        ids: RequestIds::new(),
        drain: CancellationToken::new(),
        draining: AtomicBool::new(false),
        open: metrics::gauge!("onsale_http_connections"),
    });
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    let refused = metrics::counter!("onsale_http_connections_refused_total");
    let mut connections = JoinSet::new();

    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = full.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        // Those that ended since the last look no longer count.
        while connections.try_join_next().is_some() {}
        if connections.len() < limits.connections_max {
            connections.spawn(connection(stream, peer, shared.clone()));
        } else {
            refused.increment(1);
            if let Ok(permit) = refusals.clone().try_acquire_owned() {
                let shared = shared.clone();
                tokio::spawn(async move {
                    say(stream, Problem::overloaded(), &shared).await;
                    drop(permit);
                });
            }
        }
    }

    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = shutdown.run_until_cancelled(all).await;
    drain(connections, &shared, limits.drain).await
}

/// Pauses after an error of the system, such as too few file descriptors, which needs time. An error of one connection
/// needs none.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
        return;
    }
    tracing::warn!(%error, "a connection can't be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn drain(mut connections: JoinSet<()>, shared: &ServerState, limit: Duration) -> DrainReport {
    let started = Instant::now();
    while connections.try_join_next().is_some() {}
    let open = connections.len();
    // The flag first: a connection that is woken by the token looks at it.
    shared.draining.store(true, Ordering::Release);
    shared.drain.cancel();
    let all = async { while connections.join_next().await.is_some() {} };
    let dropped = match tokio::time::timeout_at(started + limit, all).await {
        Ok(()) => 0,
        Err(_) => connections.len(),
    };
    connections.shutdown().await;
    DrainReport { open, dropped, took: started.elapsed() }
}

/// Counts an open connection until it is dropped.
struct Open<'a>(&'a metrics::Gauge);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// The end of a connection.
enum End {
    /// hyper is done with it.
    Served(Result<(), hyper::Error>),
    /// Its time was up.
    Late(Verdict),
}

async fn connection(stream: TcpStream, peer: SocketAddr, shared: Arc<ServerState>) {
    shared.open.increment(1.0);
    let _open = Open(&shared.open);

    // An answer is written at once: Nagle's algorithm would hold back its second part.
    let _ = stream.set_nodelay(true);

    let watch = Watch::new(shared.limits);
    let handler = Handler { shared: shared.clone(), peer, watch: watch.clone() };
    let io = TokioIo::new(Guarded::new(stream, watch.clone()));
    let mut http = shared.http.serve_connection(io, handler);

    let mut cancelled = pin!(shared.drain.cancelled());
    let mut timer = pin!(tokio::time::sleep(shared.limits.idle_timeout));
    let (mut registered, mut told, mut armed) = (false, false, false);

    // A select would take the token's lock at every poll. The token is polled once, to register the waker; after that the
    // flag says whether the token woke the task.
    let end = poll_fn(|cx| {
        if !told && (!registered || shared.draining.load(Ordering::Acquire)) {
            registered = true;
            if cancelled.as_mut().poll(cx).is_ready() {
                told = true;
                Pin::new(&mut http).graceful_shutdown();
            }
        }

        loop {
            if let Poll::Ready(served) = Pin::new(&mut http).poll(cx) {
                return Poll::Ready(End::Served(served));
            }
            watch.poll_rest(cx);

            // An early timer costs one more look. Moving it with each request would cost more.
            if let Some(deadline) = watch.deadline()
                && deadline < timer.deadline()
            {
                timer.as_mut().reset(deadline);
            }
            // The timer wakes this task by itself once it knows it, so it isn't polled at every look. A task that has used its turn up
            // is woken, and the timer doesn't get to know it.
            if armed && !timer.is_elapsed() {
                return Poll::Pending;
            }
            armed = tokio::task::coop::has_budget_remaining();
            ready!(timer.as_mut().poll(cx));
            armed = false;

            let now = Instant::now();
            match watch.judge(now) {
                Verdict::GoOn => {
                    let next = watch.deadline().unwrap_or(now + shared.limits.idle_timeout);
                    timer.as_mut().reset(next);
                }
                verdict @ (Verdict::Close | Verdict::BreakOff) => return Poll::Ready(End::Late(verdict)),
            }
        }
    })
    .await;

    let stream = http.into_parts().io.into_inner().into_stream();
    match end {
        End::Served(served) => {
            if let Err(error) = served {
                // The client left, or sent no HTTP. hyper's message repeats nothing of it.
                tracing::debug!(%error, "a connection ended early");
            }
            finish(stream, &watch, &shared).await;
        }
        End::Late(verdict) => {
            tracing::debug!(?verdict, "a connection's time was up");
            if verdict == Verdict::BreakOff {
                // The system drops what it would still send, instead of offering it to the client.
                let _ = stream.set_zero_linger();
            }
        }
    }
}

/// Sends the last answer on a connection, if there is one, and closes it.
async fn finish(stream: TcpStream, watch: &Watch, shared: &ServerState) {
    let problem = match watch.refused() {
        None if watch.has_ended() || shared.draining.load(Ordering::Acquire) => return,
        None => return linger(stream, &[], shared.limits.rest_bytes_max).await,
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG) => {
            Problem::headers_too_large(shared.limits.header_bytes_max)
        }
        Some(_) => Problem::new(Code::MalformedRequest, "The request isn't HTTP/1.1 as it is written."),
    };
    say(stream, problem, shared).await;
}

/// Answers input that isn't a request, and closes.
async fn say(stream: TcpStream, problem: Problem, shared: &ServerState) {
    let body = problem.to_json();
    let mut response = dress(problem.into_response());
    let headers = response.headers_mut();
    headers.insert(X_REQUEST_ID, shared.ids.next());
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    headers.insert(header::CONNECTION, CLOSE);
    let mut answer = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        answer.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(&body);
    linger(stream, &answer, shared.limits.rest_bytes_max).await;
}

/// Writes the last bytes and closes. The client's bytes are read meanwhile and thrown away: closing with unread bytes
/// would reset the connection before the client reads the answer.
async fn linger(mut stream: TcpStream, last: &[u8], bytes_max: u64) {
    let closed = async {
        stream.write_all(last).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(bytes_max), &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(LINGER, closed).await;
}

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Hands a connection's requests to the site.
struct Handler {
    shared: Arc<ServerState>,
    peer: SocketAddr,
    watch: Arc<Watch>,
}

impl Handler {
    /// Says why a request isn't answered, and whether its connection closes with that: where its head can be read in two
    /// ways, what follows may be another's request (RFC 9112, sections 3.2 and 6.3).
    fn fault(&self, request: &Request<Incoming>, fragment: bool) -> Option<(Problem, bool)> {
        let malformed = |what| Some((Problem::new(Code::MalformedRequest, what), true));
        if let Some(what) = hosts::fault(request.version(), request.headers()) {
            return malformed(what);
        }
        if fragment {
            return malformed("The request's target has a fragment, which only the client's side knows.");
        }
        let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
        let coding = codings.next();
        if coding.is_some_and(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
            || codings.next().is_some()
        {
            return malformed("Transfer-Encoding may be chunked, once, and nothing else.");
        }
        if !self.shared.limits.hosts.allow(request) {
            let what =
                "A demonstration is called by names of this machine alone, such as localhost: see Host.";
            return Some((Problem::new(Code::Forbidden, what), false));
        }
        None
    }
}

impl Service<Request<Incoming>> for Handler {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let fragment = self.watch.begin(request.body().size_hint().exact());
        let fault = self.fault(&request, fragment);
        let close = fault.as_ref().is_some_and(|(_, close)| *close);
        let expects = request.headers().contains_key(header::EXPECT);
        let request = request.map(|body| {
            if body.is_end_stream() {
                Body::empty()
            } else {
                Body::new(WatchedBody::new(body, self.watch.clone()))
            }
        });
        let arrival = Arrival { peer: self.peer.ip(), fault: fault.map(|(problem, _)| problem) };
        let running = self.shared.site.begin(request, arrival);
        Answering { running, watch: self.watch.clone(), expects, close }
    }
}

/// An answer on its way from the site to hyper.
struct Answering {
    running: Running,
    watch: Arc<Watch>,
    /// Whether the client waits to be told to send its body.
    expects: bool,
    close: bool,
}

impl Future for Answering {
    type Output = Result<Response<Answer>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(mut response) = Pin::new(&mut self.running).poll(cx) else {
            self.watch.works_until(self.running.deadline());
            return Poll::Pending;
        };
        let close = self.watch.answered(self.expects) || self.close;
        // A body that didn't come in time isn't waited for.
        if close || response.status() == StatusCode::REQUEST_TIMEOUT {
            response.headers_mut().insert(header::CONNECTION, CLOSE);
        }
        Poll::Ready(Ok(response.map(|body| Answer::new(body, self.watch.clone()))))
    }
}

#[cfg(test)]
mod tests;
