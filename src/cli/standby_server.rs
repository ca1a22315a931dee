//! The server of a node that stands by: it gives each request to the node that has the log.
//!
//! As with the server of the time before readiness, two servers listen on the same socket: this one until the node has the log and
//! serves, then the application's. Nobody is told in between that nobody serves: what waits here is given to the application.

use core::time::Duration;

use onsale::http::hop::Standby;
use onsale::http::limits::ServerLimits;
use onsale::http::request::Site;
use onsale::http::server::{self, DrainReport};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The server of the time of standing by.
pub(super) struct StandbyServer {
    standby: Standby,
    /// From then on the application has the new connections.
    full: CancellationToken,
    end: CancellationToken,
    server: JoinHandle<DrainReport>,
}

impl StandbyServer {
    /// Starts to answer on `listener`. It ends with `shutdown`, too.
    pub(super) fn begin(
        listener: TcpListener,
        limits: ServerLimits,
        standby: Standby,
        shutdown: &CancellationToken,
    ) -> Self {
        let (full, end) = (shutdown.child_token(), shutdown.child_token());
        let served = server::serve_until(listener, standby.site(), limits, full.clone(), end.clone());
        Self { standby, full, end, server: tokio::spawn(served) }
    }

    /// Has the application answer what waits here and what comes on these connections, and takes no new ones: a client that keeps its
    /// connection notices nothing. What is returned ends with the last of them, or the process.
    pub(super) fn give_way(self, site: Site) -> impl Future<Output = DrainReport> + Send + use<> {
        self.standby.succeed(site);
        self.full.cancel();
        async move {
            self.server.await.unwrap_or_else(|error| {
                tracing::error!(%error, "the server of the time of standing by ended early");
                DrainReport { open: 0, dropped: 0, took: Duration::ZERO }
            })
        }
    }

    /// Ends the server, after it has answered what is under way.
    pub(super) async fn end(self) {
        self.standby.end();
        self.full.cancel();
        self.end.cancel();
        if let Err(error) = self.server.await {
            tracing::error!(%error, "the server of the time of standing by ended early");
        }
    }
}
