//! The application: the engine behind the routes.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;

use super::HttpParts;
use super::auth::{Caller, FollowersToken, Standing};
use super::exports::Exports;
use super::problem::{Code, Problem};
use super::samples::Samples;
use super::seat_map::SeatBodies;
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

    /// Says whether who follows a stream may be told more: their token is still trusted and not over, and they may act. A stream asks
    /// it each time before it tells anything.
    pub(super) fn may_follow(&self, token: &FollowersToken) -> bool {
        let now = self.engine.now();
        let caller = self.parts.authenticator.followed_by(token, now);
        caller.is_ok_and(|caller| self.still_stands(&caller, now).is_ok())
    }

    /// Waits until a caller's token is over, or about that long: whoever waits looks at the clock again.
    pub(super) async fn token_over(&self, caller: &Caller) {
        match caller.expires_at {
            Some(at) => tokio::time::sleep(self.parts.clock.time_until(at)).await,
            None => core::future::pending().await,
        }
    }

    /// Says why it takes no work, if it doesn't.
    pub(super) fn readiness(&self) -> Result<(), Problem> {
        if self.engine.journal().failure().is_some() {
            return Err(Problem::new(
                Code::JournalUnavailable,
                "The journal has failed: nothing can be changed until the process starts again.",
            ));
        }
        if self.parts.shutdown.is_cancelled() {
            return Err(Problem::new(Code::NotReady, "The process is stopping: it takes no new work."));
        }
        Ok(())
    }
}
