//! The application: the engine behind the routes.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;

use super::HttpParts;
use super::auth::{Caller, FollowersToken, Standing};
use super::cluster::ClusterNode;
use super::exports::Exports;
use super::problem::{Code, Problem};
use super::samples::Samples;
use super::seat_map::SeatBodies;
use super::seat_plan::SeatPlans;
use super::seat_vector::SeatVectors;
use super::sign_ups::SignUps;
use crate::domain::ids::UserId;
use crate::engine::Engine;

/// The state that every handler gets. A clone is one counter: the router makes several for each request.
#[derive(Clone)]
pub struct App(Arc<AppInner>);

/// The fields of [`App`].
pub struct AppInner {
    /// The engine.
    pub engine: Engine,
    /// Tokens, limits, the clock, and the shutdown.
    pub parts: HttpParts,
    /// The newest body of each seat map.
    pub seat_bodies: SeatBodies,
    /// The newest version of each seat map in short.
    pub seat_vectors: SeatVectors,
    /// The plans that were asked for last.
    pub seat_plans: SeatPlans,
    /// Where the journal was at earlier requests for the operations page.
    pub samples: Samples,
    /// Whether an export runs.
    pub exports: Exports,
    /// Seals sign-ups that wait for their mail.
    pub sign_ups: SignUps,
    /// What this node is told of its cluster, if it is in one.
    pub cluster: Option<ClusterNode>,
    /// The recorder that `/metrics` shows; absent if the metrics have an address of their own, or nothing is recorded.
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
        Self::of(engine, parts, metrics, None)
    }

    /// The same, as a node of a cluster.
    pub fn in_cluster(
        engine: Engine,
        parts: HttpParts,
        metrics: Option<PrometheusHandle>,
        node: ClusterNode,
    ) -> Self {
        Self::of(engine, parts, metrics, Some(node))
    }

    fn of(
        engine: Engine,
        parts: HttpParts,
        metrics: Option<PrometheusHandle>,
        cluster: Option<ClusterNode>,
    ) -> Self {
        let sign_ups = SignUps::new(&engine);
        Self(Arc::new(AppInner {
            engine,
            parts,
            seat_bodies: SeatBodies::default(),
            seat_vectors: SeatVectors::default(),
            seat_plans: SeatPlans::default(),
            samples: Samples::default(),
            exports: Exports::default(),
            sign_ups,
            cluster,
            metrics,
        }))
    }

    /// Tells whether a follower of a stream may get more: the token is still trusted and valid, and its user may act. A
    /// stream asks before each chunk.
    pub(super) fn may_follow(&self, token: &FollowersToken) -> bool {
        let now = self.engine.now();
        let caller = self.parts.authenticator.followed_by(token, now);
        caller.is_ok_and(|caller| self.still_stands(&caller, now).is_ok())
    }

    /// Waits until about a caller's token expires. The caller of this looks at the clock again.
    pub(super) async fn token_over(&self, caller: &Caller) {
        match caller.expires_at {
            Some(at) => tokio::time::sleep(self.parts.clock.time_until(at)).await,
            None => core::future::pending().await,
        }
    }

    /// Returns why the process takes no requests, if it doesn't.
    pub(super) fn readiness(&self) -> Result<(), Problem> {
        if self.engine.journal().failure().is_some() {
            return Err(Problem::new(
                Code::JournalUnavailable,
                "The journal has failed, so nothing can be changed until the process is restarted.",
            ));
        }
        let health = self.engine.journal().health();
        if let Some(lost) = &health.lost {
            return Err(Problem::new(
                Code::LogLostData,
                format!(
                    "The log's servers have lost what was acknowledged: {lost}. Stop the process, and look for their newest data."
                ),
            ));
        }
        if health.is_silent() {
            return Err(Problem::new(
                Code::JournalUnavailable,
                "The log's servers don't answer, or take no changes: all changes wait for them. Reads go on.",
            ));
        }
        let is_draining = self.cluster.as_ref().is_some_and(|node| node.drain.is_asked());
        if is_draining || self.parts.shutdown.is_cancelled() {
            return Err(Problem::new(Code::NotReady, "The process is stopping and takes no new requests."));
        }
        Ok(())
    }
}
