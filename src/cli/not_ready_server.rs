//! The server that answers while recovery runs: alive, and not ready.
//!
//! Two servers listen on the same socket (a duplicate of its descriptor): first this one, then the application's. Between
//! them connections wait in the system's queue, so nobody is refused, and the application's site needs no check.

use core::time::Duration;

use onsale::http::limits::ServerLimits;
use onsale::http::problem::{Code, Problem};
use onsale::http::request::Site;
use onsale::http::table::{Routes, any, get};
use onsale::http::{HttpParts, server};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a request to this site may hold up the change; each is answered at once.
const DRAIN: Duration = Duration::from_secs(1);
/// The seconds after which a client is asked to try again.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The server of the time before readiness.
pub(super) struct NotReadyServer {
    end: CancellationToken,
    server: JoinHandle<server::DrainReport>,
}

impl NotReadyServer {
    /// Starts to answer on `listener`.
    pub(super) fn begin(listener: TcpListener, limits: ServerLimits, parts: &HttpParts) -> Self {
        let end = CancellationToken::new();
        let limits = ServerLimits { drain: DRAIN, ..limits };
        let server = tokio::spawn(server::serve(listener, site(parts), limits, end.clone()));
        Self { end, server }
    }

    /// Ends the server. Once this returns, the next server gets every new request.
    pub(super) async fn end(self) {
        self.end.cancel();
        if let Err(error) = self.server.await {
            tracing::error!(%error, "the server of the time before readiness ended early");
        }
    }
}

fn site(parts: &HttpParts) -> Site {
    let not_ready = || async {
        let problem = Problem::new(
            Code::NotReady,
            "The engine is recovering its data and isn't ready yet; try again in a moment.",
        );
        problem.retry_after(RETRY_AFTER_SECONDS)
    };
    let alive = || async { axum::Json(serde_json::json!({"status": "ok"})) };
    let routes = Routes::new()
        .route("/healthz", get(alive))
        .route("/", any(not_ready))
        .route("/{*path}", any(not_ready));
    parts.dress(routes, &())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use axum::http::Request;
    use onsale::clock::ManualClock;
    use onsale::config::Config;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn before_recovery_is_done_the_process_lives_and_is_not_ready() {
        let clock = Arc::new(ManualClock::default());
        let parts = HttpParts::new(&Config::defaults(), clock, CancellationToken::new()).unwrap();
        let status = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            site(&parts).oneshot(request).await.unwrap().status().as_u16()
        };
        assert_eq!(status("/healthz").await, 200);
        for path in ["/readyz", "/", "/api/v1/concerts", "/metrics"] {
            assert_eq!(status(path).await, 503, "{path}");
        }
    }
}
