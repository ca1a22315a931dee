//! The probes: whether the process runs, and whether it takes requests.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::json::Json;
use crate::http::problem::Problem;
use crate::http::table::{Routes, routes};

/// Makes the probes' routes.
pub fn routes() -> Routes<App> {
    routes![alive, ready]
}

/// The answer to a probe.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    status: &'static str,
    /// Of a node of a cluster: `owner` has the log, `standby` hands requests to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
}

/// Check that the process runs
#[utoipa::path(get, path = "/healthz", operation_id = "readHealth", tag = "Running it",
    responses((status = 200, description = "It does", body = Health)))]
async fn alive() -> Json<Health> {
    Json(StatusCode::OK, Health { status: "ok", role: None })
}

/// Check that the process takes requests
///
/// 200 when recovery is complete and the journal accepts writes; of a node that stands by, when the node that has the log answers it.
#[utoipa::path(get, path = "/readyz", operation_id = "readReadiness", tag = "Running it",
    responses((status = 200, description = "It does", body = Health),
        (status = 503, description = "`journal_unavailable`, `log_lost_data` or `not_ready`, with the reason")))]
async fn ready(State(app): State<App>) -> Result<Json<Health>, Problem> {
    app.readiness()?;
    let role = app.cluster.is_some().then_some("owner");
    Ok(Json(StatusCode::OK, Health { status: "ready", role }))
}
