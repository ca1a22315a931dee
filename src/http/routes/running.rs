//! Stub.
use crate::http::app::App;
/// Stub.
pub fn routes() -> utoipa_axum::router::OpenApiRouter<App> {
    utoipa_axum::router::OpenApiRouter::new()
}
