//! What the engine's address answers while recovery runs: alive, and not ready.
//!
//! The same socket is listened on twice (a duplicate of its descriptor): first by this router's server, then by the
//! application's. What has connected meanwhile waits in the system's queue, so nobody is refused at the change, and
//! the application's router pays nothing for it.

use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use onsale::http::HttpParts;
use onsale::http::limits::ServerLimits;
use onsale::http::problem::{Code, Problem};
use onsale::http::server;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a request to this router may hold up the change; each is answered at once.
const DRAIN: Duration = Duration::from_secs(1);
/// What a client is told to wait.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The server of the time before readiness.
pub(super) struct Starting {
    end: CancellationToken,
    server: JoinHandle<server::DrainReport>,
}

impl Starting {
    /// Begins to answer on `listener`.
    pub(super) fn begin(listener: TcpListener, limits: ServerLimits, parts: &HttpParts) -> Self {
        let end = CancellationToken::new();
        let limits = ServerLimits { drain: DRAIN, ..limits };
        let server = tokio::spawn(server::serve(listener, router(parts), limits, end.clone()));
        Self { end, server }
    }

    /// Ends; when it returns, every new request is the next server's.
    pub(super) async fn end(self) {
        self.end.cancel();
        if let Err(error) = self.server.await {
            tracing::error!(%error, "the server of the time before readiness ended early");
        }
    }
}

fn router(parts: &HttpParts) -> Router {
    let not_ready = || async {
        let problem =
            Problem::new(Code::NotReady, "The engine is recovering what is durable; it isn't ready yet.");
        problem.retry_after(RETRY_AFTER_SECONDS)
    };
    let alive = || async { axum::Json(serde_json::json!({"status": "ok"})) };
    let router = Router::new()
        .route("/healthz", get(alive))
        .route("/", any(not_ready))
        .route("/{*path}", any(not_ready));
    parts.dress(router)
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
            router(&parts).oneshot(request).await.unwrap().status().as_u16()
        };
        assert_eq!(status("/healthz").await, 200);
        for path in ["/readyz", "/", "/api/v1/concerts", "/metrics"] {
            assert_eq!(status(path).await, 503, "{path}");
        }
    }
}
