//! The application: the engine behind the routes.

use std::sync::Arc;

use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::HttpParts;
use super::routes::{self, Samples, SeatBodies};
use crate::engine::Engine;

/// What every handler sees. A clone is a few counters.
#[derive(Clone)]
pub struct App {
    /// The engine.
    pub engine: Engine,
    /// Tokens, limits, the clock, the end.
    pub parts: HttpParts,
    /// The newest body of each seat map.
    pub seat_bodies: Arc<SeatBodies>,
    /// Where the journal was when the operations page was looked at.
    pub samples: Arc<Samples>,
    /// What `/metrics` shows; nothing where it has an address of its own, or nobody records.
    pub metrics: Option<PrometheusHandle>,
}

impl AsRef<HttpParts> for App {
    fn as_ref(&self) -> &HttpParts {
        &self.parts
    }
}

impl App {
    /// Puts the engine behind the routes.
    pub fn new(engine: Engine, parts: HttpParts) -> Self {
        Self { engine, parts, seat_bodies: Arc::default(), samples: Arc::default(), metrics: None }
    }

    /// Shows these metrics at `/metrics`.
    #[must_use]
    pub fn with_metrics(mut self, metrics: PrometheusHandle) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Makes the router of everything.
    pub fn router(self) -> Router {
        let (router, description) = all_routes().split_for_parts();
        let parts = self.parts.clone();
        parts.dress(router.merge(routes::docs::pages(description)).with_state(self))
    }

    /// Returns the description of every route. It needs no engine.
    pub fn openapi() -> OpenApi {
        routes::docs::completed(all_routes().split_for_parts().1)
    }
}

fn all_routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(routes::docs::description())
        .nest("/api/v1", routes::api())
        .merge(routes::running::routes())
}
