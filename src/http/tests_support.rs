//! What the tests of this layer start from.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::auth::Standing;
use super::context::Phase;
use super::problem::Problem;
use super::{HttpParts, extract};
use crate::clock::ManualClock;
use crate::config::Config;
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;

/// Without an engine nobody is suspended.
impl Standing for HttpParts {
    fn is_barred(&self, _: &UserId) -> bool {
        false
    }
}

/// Any body within the usual limit, whatever its type. An empty one is fine.
#[derive(Debug, Clone)]
pub(crate) struct AnyBody(pub(crate) Bytes);

impl<S: AsRef<HttpParts> + Send + Sync> FromRequest<S> for AnyBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        extract::read(&parts, body, state.as_ref().limits.body_bytes_max, Phase::Body).await.map(Self)
    }
}

/// The secret that the tests' tokens are signed with.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// What makes the parts those of a node of a cluster.
pub(crate) const CLUSTER: [(&str, &str); 2] = [
    ("ONSALE_CLUSTER_LOG", "nats://127.0.0.1:4222"),
    ("ONSALE_CLUSTER_SECRET", "the-secret-of-a-cluster-of-nodes-"),
];

/// Makes the parts of a configuration of these variables, with a secret and a clock that stands.
pub(crate) fn parts(variables: &[(&str, &str)]) -> HttpParts {
    let matches = clap::Command::new("test").args(Config::flags()).get_matches_from(["test"]);
    let environment = [("ONSALE_JWT_SECRET", SECRET)];
    let variables = environment.iter().chain(variables);
    let config =
        Config::load(&matches, variables.map(|(name, text)| ((*name).into(), (*text).into()))).unwrap();
    let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
    HttpParts::new(&config, Arc::new(clock), CancellationToken::new()).unwrap()
}
