//! The mock's sockets. They can do one thing that the engine's server doesn't: close a connection instead of answering.
//!
//! Invariant: a request that a web page of another site could send in its visitor's name changes nothing.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::checkout;
use crate::http::extract::is_json;
use crate::http::hosts::{self, Hosts};
use crate::http::request::dress;

/// The open connections; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 1024;
/// How long a connection may take to send the head of its next request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a stop waits for what is under way.
const DRAIN: Duration = Duration::from_secs(5);
/// The pause after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Marks a response that isn't to be sent: the connection is closed instead.
#[derive(Debug, Clone, Copy)]
pub(super) struct DropConnection;

impl fmt::Display for DropConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed on demand")
    }
}

impl core::error::Error for DropConnection {}

/// Serves until `shutdown`, then answers what is under way.
pub(super) async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let hosts = match listener.local_addr() {
        Ok(own) if own.ip().is_loopback() => Hosts::Loopback(own.ip()),
        Ok(_) | Err(_) => Hosts::Any,
    };
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();

    while let Some(Ok(permit)) = shutdown.run_until_cancelled(permits.clone().acquire_owned()).await {
        let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await else { break };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (router, shutdown) = (router.clone(), shutdown.clone());
        connections.spawn(async move {
            connection(stream, router, hosts, shutdown).await;
            drop(permit);
        });
        while connections.try_join_next().is_some() {}
    }

    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    // Requests that still run have a fault that makes them slow.
    let _ = tokio::time::timeout(DRAIN, all).await;
}

async fn connection(stream: TcpStream, router: Router, hosts: Hosts, shutdown: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| answer(router.clone(), hosts, request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let mut connection = core::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    // An error is a client that left, or a connection closed on demand.
    if shutdown.run_until_cancelled(connection.as_mut()).await.is_none() {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

async fn answer(
    router: Router,
    hosts: Hosts,
    request: Request<Incoming>,
) -> Result<Response<Body>, DropConnection> {
    if let Some((status, what)) = fault(hosts, &request) {
        let body = serde_json::json!({"code": "INVALID_REQUEST", "message": what});
        return Ok(dress((status, axum::Json(body)).into_response()));
    }
    let response = match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if response.extensions().get::<DropConnection>().is_some() {
        Err(DropConnection)
    } else {
        Ok(dress(response))
    }
}

/// Returns why a request is refused, if it is.
fn fault(hosts: Hosts, request: &Request<Incoming>) -> Option<(StatusCode, &'static str)> {
    if let Some(what) = hosts::fault(request.version(), request.headers()) {
        return Some((StatusCode::BAD_REQUEST, what));
    }
    if !hosts.allow(request) {
        return Some((StatusCode::FORBIDDEN, "Host must be a name of this machine, such as localhost."));
    }
    // A page of another site can't send other methods without a preflight, which is refused.
    let is_change =
        !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE);
    if is_change && !is_json(request.headers()) && !checkout::is_form(request) {
        return Some((
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "The body must come with Content-Type: application/json.",
        ));
    }
    None
}
