//! The accept loop: connections in, requests to the router, and an orderly end.
//!
//! Owns the sockets and what is said before there is a request: too many connections. Absent on
//! purpose: anything about a request's content, and TLS (a proxy's work).
//!
//! Invariants: at most `connections_max` connections are served and [`REFUSALS_MAX`] refused at a
//! time; after a stop nothing is accepted, what is under way is answered, and at the deadline
//! nothing is left.

use core::{
    convert::Infallible,
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::pin,
    time::Duration,
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{Router, extract::ConnectInfo, routing::future::RouteFuture};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::Service};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{limits::ServerLimits, problem::Problem};

/// The connections over the limit that are told so at a time; more are closed without a word.
pub const REFUSALS_MAX: usize = 256;

/// How long a connection over the limit may take to hear that it is.
const REFUSAL_SECONDS: u64 = 2;

/// The pause after an accept that failed for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The connections that wait in the system for the accept loop.
const BACKLOG: u32 = 4096;

/// The least that hyper takes as its buffer.
const HYPER_BUFFER_BYTES_MIN: usize = 8192;

/// How a stop went.
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
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What all connections share.
struct Shared {
    http: http1::Builder,
    router: Router,
    drain: CancellationToken,
    draining: AtomicBool,
    open: metrics::Gauge,
}

/// Serves the router until `shutdown` is cancelled, then drains: nothing is accepted any more,
/// idle connections are closed, requests under way are answered. Streams of events must end by the
/// same token. After `limits.drain` what is left is dropped.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ServerLimits,
    shutdown: CancellationToken,
) -> DrainReport {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_timeout)
        .max_buf_size((4 * limits.header_bytes_max).max(HYPER_BUFFER_BYTES_MIN));
    let shared = Arc::new(Shared {
        http,
        router,
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
            () = shutdown.cancelled() => break,
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
                tokio::spawn(async move {
                    refuse(stream).await;
                    drop(permit);
                });
            }
        }
    }
    drop(listener);
    drain(connections, &shared, limits.drain).await
}

/// An error of one connection is over at once; one of the system (no file descriptors) needs time.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
        return;
    }
    tracing::warn!(%error, "a connection can't be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn drain(mut connections: JoinSet<()>, shared: &Shared, limit: Duration) -> DrainReport {
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

async fn connection(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    shared.open.increment(1.0);
    let _open = Open(&shared.open);
    // An answer is written at once; Nagle's algorithm would hold back its second part.
    let _ = stream.set_nodelay(true);
    let handler = Handler { router: shared.router.clone(), peer };
    let mut connection = pin!(shared.http.serve_connection(TokioIo::new(stream), handler));
    let mut cancelled = pin!(shared.drain.cancelled());
    let (mut registered, mut told) = (false, false);
    // A select over the token would take its lock at every look. The token needs to be asked once,
    // to know whom to wake; after that the flag says whether it was the token that woke us.
    let served: Result<(), hyper::Error> = poll_fn(|cx| {
        if !told && (!registered || shared.draining.load(Ordering::Acquire)) {
            registered = true;
            if cancelled.as_mut().poll(cx).is_ready() {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
        }
        connection.as_mut().poll(cx)
    })
    .await;
    if let Err(error) = served {
        // Clients that leave and garbage that isn't HTTP; hyper's words hold none of it.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Hands a connection's requests to the router.
struct Handler {
    router: Router,
    peer: SocketAddr,
}

impl Service<Request<Incoming>> for Handler {
    type Response = Response<axum::body::Body>;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        // A router is always ready, and its clone is a counter.
        tower::Service::call(&mut self.router.clone(), request)
    }
}

/// Says 503 and closes. What the client sends meanwhile is read and thrown away, since closing
/// with unread bytes would reset the connection before the answer is read.
async fn refuse(mut stream: TcpStream) {
    let body = Problem::overloaded().to_json();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: {}\r\ncontent-length: {}\r\nretry-after: {}\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n",
        super::problem::MEDIA_TYPE,
        body.len(),
        super::problem::OVERLOADED_RETRY_AFTER_SECONDS,
    );
    let answer = async {
        stream.write_all(&[head.as_bytes(), &body].concat()).await?;
        stream.shutdown().await?;
        let mut thrown_away = [0; 1024];
        while stream.read(&mut thrown_away).await? > 0 {}
        Ok::<(), io::Error>(())
    };
    let _ = tokio::time::timeout(Duration::from_secs(REFUSAL_SECONDS), answer).await;
}

#[cfg(test)]
mod tests;
