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
}

/// Check that the process runs
#[utoipa::path(get, path = "/healthz", operation_id = "readHealth", tag = "Running it",
    responses((status = 200, description = "It does", body = Health)))]
async fn alive() -> Json<Health> {
    Json(StatusCode::OK, Health { status: "ok" })
}

/// Check that the process takes requests
///
/// 200 when recovery is complete and the journal accepts writes.
#[utoipa::path(get, path = "/readyz", operation_id = "readReadiness", tag = "Running it",
    responses((status = 200, description = "It does", body = Health),
        (status = 503, description = "`journal_unavailable`, `log_lost_data` or `not_ready`, with the reason")))]
async fn ready(State(app): State<App>) -> Result<Json<Health>, Problem> {
    app.readiness().map(|()| Json(StatusCode::OK, Health { status: "ready" }))
}
