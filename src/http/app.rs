//! The application: the engine behind the routes.

use std::sync::Arc;

use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::HttpParts;
use super::auth::{Caller, Standing};
use super::routes::{self, Exports, Samples, SeatBodies};
use super::shape::Shapes;
use super::sign_ups::SignUps;
use crate::domain::ids::UserId;
use crate::engine::Engine;

/// What every handler sees. A clone is one counter: the router makes several for each request.
#[derive(Clone)]
pub struct App(Arc<AppInner>);

/// The fields of [`App`].
pub struct AppInner {
    /// The engine.
    pub engine: Engine,
    /// Tokens, limits, the clock, the end.
    pub parts: HttpParts,
    /// The newest body of each seat map.
    pub seat_bodies: SeatBodies,
    /// Where the journal was when the operations page was looked at.
    pub samples: Samples,
    /// Whether an export runs.
    pub exports: Exports,
    /// Seals sign-ups that wait for their mail.
    pub sign_ups: SignUps,
    /// What `/metrics` shows; nothing where it has an address of its own, or nobody records.
    pub metrics: Option<PrometheusHandle>,
}

impl core::ops::Deref for App {
    type Target = AppInner;

    fn deref(&self) -> &AppInner {
        &self.0
    }
}

impl AsRef<HttpParts> for App {
    fn as_ref(&self) -> &HttpParts {
        &self.parts
    }
}

impl Standing for App {
    fn is_barred(&self, user: &UserId) -> bool {
        self.engine.is_barred(user)
    }
}

impl App {
    /// Puts the engine behind the routes; `metrics` are shown at `/metrics`.
    pub fn new(engine: Engine, parts: HttpParts, metrics: Option<PrometheusHandle>) -> Self {
        let (seat_bodies, samples, exports) = (SeatBodies::default(), Samples::default(), Exports::default());
        let sign_ups = SignUps::new(&engine);
        Self(Arc::new(AppInner { engine, parts, seat_bodies, samples, exports, sign_ups, metrics }))
    }

    /// Waits until a caller's token is over, or about that long: whoever waits looks at the clock again.
    pub(super) async fn token_over(&self, caller: &Caller) {
        match caller.expires_at {
            Some(at) => tokio::time::sleep(self.parts.clock.time_until(at)).await,
            None => core::future::pending().await,
        }
    }

    /// Makes the router of everything.
    pub fn router(self) -> Router {
        let (router, description) = all_routes().split_for_parts();
        let (parts, shapes) = (self.parts.clone(), Shapes::of(&description));
        parts.dress_described(router.merge(routes::docs::pages(description)).with_state(self), shapes)
    }

    /// Returns the description of every route. It needs no engine.
    pub fn openapi() -> OpenApi {
        routes::docs::completed(all_routes().split_for_parts().1)
    }
}

fn all_routes() -> OpenApiRouter<App> {
    // Paths are whole in each file: a nested router costs every request a copy of its URI.
    OpenApiRouter::with_openapi(routes::docs::description())
        .merge(routes::api())
        .merge(routes::running::routes())
}
