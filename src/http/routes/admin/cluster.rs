//! The nodes of a cluster: who has the log, who stands by, and how one hands over.
//!
//! Every node answers for itself, so neither is handed on.

use axum::extract::State;
use axum::http::StatusCode;

use crate::http::app::App;
use crate::http::auth::Admin;
use crate::http::cluster::{ClusterDocument, ClusterNode, DrainBegun};
use crate::http::json::Json;
use crate::http::problem::{Code, Problem};

/// Read the cluster
///
/// As the node that is asked sees it; each node answers for itself. Without a cluster, `mode` is `single`.
#[utoipa::path(get, path = "/api/v1/admin/cluster", operation_id = "readCluster", tag = "Operations", security(("bearer" = [])),
    responses((status = 200, description = "The nodes", body = ClusterDocument)))]
pub(super) async fn cluster(State(app): State<App>, _: Admin) -> Json<ClusterDocument> {
    let document = app.cluster.as_ref().map_or_else(ClusterDocument::single, ClusterNode::document);
    Json(StatusCode::OK, document)
}

/// Have a node hand over
///
/// The node that is asked: if it has the log, it hands it to another one. Then its process ends. Doing it again is 202.
#[utoipa::path(post, path = "/api/v1/admin/cluster/drain", operation_id = "drainNode", tag = "Operations", security(("bearer" = [])),
    responses((status = 202, description = "It begins to", body = DrainBegun),
        (status = 409, description = "`invalid_transition`: there is no cluster, so nobody to hand over to")))]
pub(super) async fn drain(State(app): State<App>, Admin(caller): Admin) -> Result<Json<DrainBegun>, Problem> {
    let node = app.cluster.as_ref().ok_or_else(|| {
        Problem::new(
            Code::InvalidTransition,
            "This process isn't a node of a cluster (cluster.log, cluster.address), so there is nobody to hand over to.",
        )
    })?;
    Ok(Json(StatusCode::ACCEPTED, node.begin_to_drain(&caller)))
}
