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
        let end = shutdown.child_token();
        let server = tokio::spawn(server::serve(listener, standby.site(), limits, end.clone()));
        Self { standby, end, server }
    }

    /// Has the application answer what waits here, and takes no more. What is returned ends once all of it is answered.
    pub(super) fn give_way(self, site: Site) -> impl Future<Output = DrainReport> + Send + use<> {
        self.standby.succeed(site);
        self.end.cancel();
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
        self.end.cancel();
        if let Err(error) = self.server.await {
            tracing::error!(%error, "the server of the time of standing by ended early");
        }
    }
}
