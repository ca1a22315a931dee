//! Stub.
use crate::http::app::App;
/// Stub.
pub fn description() -> utoipa::openapi::OpenApi {
    utoipa::openapi::OpenApi::default()
}
/// Stub.
pub fn pages(_: utoipa::openapi::OpenApi) -> axum::Router<App> {
    axum::Router::new()
}
